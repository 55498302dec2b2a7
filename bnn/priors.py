"""Prior densities: independent coordinates, each a normal, Laplace or Student-t with its own location and scale."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from bnn.layout import ParameterLayout


class Family(Protocol):
    """A standardised one-dimensional density (location 0, scale 1)."""

    def log_density_and_grad(self, z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the normalised log density in nats, summed over the last axis, and its gradient, shaped like z."""

    def sample(self, rng: np.random.Generator, size: int) -> np.ndarray:
        """Return draws of shape (size,)."""


@dataclass(frozen=True)
class Normal:
    """Standard normal; the scale is its standard deviation."""

    def log_density_and_grad(self, z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the log density in nats, summed over the last axis, and its gradient."""
        return -0.5 * (np.einsum("...p,...p->...", z, z) + z.shape[-1] * math.log(2 * math.pi)), -z

    def sample(self, rng: np.random.Generator, size: int) -> np.ndarray:
        """Return draws of shape (size,)."""
        return rng.standard_normal(size)


@dataclass(frozen=True)
class Laplace:
    """Double exponential exp(-|z|)/2; its standard deviation is sqrt(2) scales."""

    def log_density_and_grad(self, z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the log density in nats, summed over the last axis, and its gradient (0 at the kink)."""
        return -np.abs(z).sum(axis=-1) - z.shape[-1] * math.log(2), -np.sign(z)

    def sample(self, rng: np.random.Generator, size: int) -> np.ndarray:
        """Return draws of shape (size,)."""
        return rng.laplace(size=size)


@dataclass(frozen=True)
class StudentT:
    """Student's t with `df` degrees of freedom.

    Parameters
    ----------
    df
        Degrees of freedom, positive; the tails are heavier the smaller it is.
    """

    df: float

    def log_density_and_grad(self, z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the log density in nats, summed over the last axis, and its gradient."""
        half = 0.5 * (self.df + 1)
        constant = math.lgamma(half) - math.lgamma(0.5 * self.df) - 0.5 * math.log(self.df * math.pi)
        spread = self.df + z * z
        log_density = z.shape[-1] * constant - half * np.log(spread / self.df).sum(axis=-1)
        return log_density, -(self.df + 1) * z / spread

    def sample(self, rng: np.random.Generator, size: int) -> np.ndarray:
        """Return draws of shape (size,)."""
        return rng.standard_t(self.df, size=size)


def make_family(family: str, df: float) -> Family:
    """Return the family of that name: "normal", "laplace" or "student_t" (the only one that uses `df`).

    Raises
    ------
    ValueError
        If there is no such family.
    """
    families: dict[str, Family] = {"normal": Normal(), "laplace": Laplace(), "student_t": StudentT(df)}
    if family not in families:
        raise ValueError(f"unknown prior family {family!r}: choose one of {', '.join(families)}")
    return families[family]


@dataclass(frozen=True)
class BlockPrior:
    """Prior of one parameter block: a family, a location and a scale for all its coordinates."""

    family: Family
    location: float
    scale: float


class Prior:
    """Product of the block priors over the whole of theta.

    Parameters
    ----------
    layout
        Where each block lies in theta.
    blocks
        Block name -> prior, one for every block of the layout.

    Raises
    ------
    ValueError
        If a block has no prior or a prior no block, or a scale is not positive.
    """

    def __init__(self, layout: ParameterLayout, blocks: Mapping[str, BlockPrior]) -> None:
        if set(blocks) != set(layout.names):
            raise ValueError(f"priors for {sorted(blocks)}, but the parameters are {sorted(layout.names)}")
        self.layout = layout
        self.location = np.empty(layout.n_params)
        self.scale = np.empty(layout.n_params)
        # Neighbouring blocks of one family are evaluated together: with normal priors that is all of theta at once.
        self.parts: list[tuple[slice, Family]] = []
        for name, part in layout.slices.items():
            block = blocks[name]
            if not block.scale > 0:
                raise ValueError(f"the prior scale of {name!r} is {block.scale}: it must be positive")
            self.location[part] = block.location
            self.scale[part] = block.scale
            if self.parts and self.parts[-1][1] == block.family:
                self.parts[-1] = (slice(self.parts[-1][0].start, part.stop), block.family)
            else:
                self.parts.append((part, block.family))
        self.log_scale_total = float(np.log(self.scale).sum())

    def log_density_and_grad(self, theta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the log prior in nats, shape (chain,), and its gradient, shape (chain, param)."""
        z = (theta - self.location) / self.scale
        if len(self.parts) == 1:
            total, grad = self.parts[0][1].log_density_and_grad(z)
        else:
            total, grad = np.zeros(theta.shape[:-1]), np.empty_like(z)
            for part, family in self.parts:
                log_density, grad[..., part] = family.log_density_and_grad(z[..., part])
                total += log_density
        return total - self.log_scale_total, grad / self.scale

    def sample(self, rng: np.random.Generator) -> np.ndarray:
        """Return one draw of theta, shape (param,)."""
        z = np.concatenate([family.sample(rng, part.stop - part.start) for part, family in self.parts])
        return self.location + self.scale * z


def network_prior(
    shapes: Mapping[str, tuple[int, ...]],
    *,
    weights: Mapping[str, Any],
    biases: Mapping[str, Any],
    fan_in_scaling: bool,
) -> dict[str, BlockPrior]:
    """Return the priors of a network's weights and biases, all centred on zero.

    Parameters
    ----------
    shapes
        Name -> shape of the network's blocks: weights (inputs, outputs), biases (outputs,).
    weights, biases
        Each with `family`, `scale` and `df`.
    fan_in_scaling
        Divide the scale of a weight by the square root of its layer's inputs, so that the variance of a
        unit's input does not grow with the width of the layer below (Neal 1996, chapter 2).
    """
    priors: dict[str, BlockPrior] = {}
    for name, shape in shapes.items():
        is_weight = len(shape) == 2
        chosen = weights if is_weight else biases
        shrink = math.sqrt(shape[0]) if is_weight and fan_in_scaling else 1.0
        priors[name] = BlockPrior(make_family(chosen["family"], chosen["df"]), 0.0, chosen["scale"] / shrink)
    return priors
