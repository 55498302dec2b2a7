"""Prior densities: each coordinate a normal, Laplace or Student-t of its own location and scale.

Scales of weights and biases are fixed, or learned: then theta holds the log of a scale for each block, or for each
input of the first layer, and given the scales the coordinates are independent.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from bnn.core.settings import PriorSettings
from bnn.model.layout import ParameterLayout


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
        return -0.5 * (np.vecdot(z, z) + z.shape[-1] * math.log(2 * math.pi)), -z

    def sample(self, rng: np.random.Generator, size: int) -> np.ndarray:
        """Return draws of shape (size,)."""
        return rng.standard_normal(size)


@dataclass(frozen=True)
class Laplace:
    """Double exponential ``exp(-|z|) / 2``; its standard deviation is sqrt(2) scales."""

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


@dataclass(frozen=True)
class LogHalfNormal:
    """Logarithm of the absolute value of a standard normal number: a scale's, with the Jacobian of the logarithm.

    Its location is the log of the scale of the half-normal distribution.
    """

    def log_density_and_grad(self, z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the log density in nats, summed over the last axis, and its gradient."""
        squares = np.exp(2.0 * z)
        constant = 0.5 * math.log(2 / math.pi) * z.shape[-1]
        return constant + np.add.reduce(z - 0.5 * squares, axis=-1), 1.0 - squares

    def sample(self, rng: np.random.Generator, size: int) -> np.ndarray:
        """Return draws of shape (size,)."""
        return np.log(np.abs(rng.standard_normal(size)))


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
    """Prior of one parameter block: a family, a location and a scale for all its coordinates.

    `log_factor` may name another block: the scale is then `scale` times the exponential of that block, which has one
    value for all coordinates, or one for each index of the first axes of this block.
    """

    family: Family
    location: float
    scale: float
    log_factor: str | None = None


class LearnedScales:
    """Where the learned scales are in theta, and which coordinates each of them scales.

    Parameters
    ----------
    layout
        Of theta.
    blocks
        Block name -> prior, for all blocks.

    Raises
    ------
    ValueError
        If a log factor does not fit the block that it scales.
    """

    def __init__(self, layout: ParameterLayout, blocks: Mapping[str, BlockPrior]) -> None:
        self.places = np.array([], dtype=np.intp)
        """(scale,): index in theta of each log factor, in the order of the coordinates that they scale"""
        starts: list[int] = []
        kept: list[int] = []
        # Coordinates of a fixed scale have the factor 1, which stands behind the learned ones.
        self.index = np.full(layout.n_params, -1, dtype=np.intp)
        """(param,): which factor scales a coordinate"""
        for name, part in layout.slices.items():
            factor = blocks[name].log_factor
            if factor is None:
                starts.append(part.start)
                continue
            shape, own = layout.shapes[name], layout.shapes.get(factor)
            if own is None or shape[: len(own)] != own or blocks[factor].log_factor is not None:
                raise ValueError(
                    f"the log factor {factor!r} of {name!r}, shape {shape}, must be a block of fixed scale whose "
                    f"shape is the beginning of that, not {own}"
                )
            places = np.arange(layout.slices[factor].start, layout.slices[factor].stop)
            if np.intersect1d(places, self.places).size:
                raise ValueError(f"{factor!r} is the log factor of two blocks")
            n_each = (part.stop - part.start) // len(places)
            kept += range(len(starts), len(starts) + len(places))
            starts += range(part.start, part.stop, n_each)
            self.index[part] = len(self.places) + np.repeat(np.arange(len(places)), n_each)
            self.places = np.append(self.places, places)
        self._starts, self._kept = np.array(starts), np.array(kept)
        """Where runs of coordinates of one factor start, and which of the runs have a learned one"""
        self.counts = np.bincount(self.index[self.index >= 0]).astype(np.float64)
        """(scale,): how many coordinates each log factor scales"""

    def factors(self, theta: np.ndarray) -> np.ndarray:
        """Return the factor of each coordinate's scale, shaped like theta."""
        values = np.ones((*theta.shape[:-1], len(self.places) + 1))
        np.exp(theta[..., self.places], out=values[..., :-1])
        return np.take(values, self.index, axis=-1)

    def sums(self, values: np.ndarray) -> np.ndarray:
        """Return the sum over the coordinates that each log factor scales, (chain, param) -> (chain, scale)."""
        return np.add.reduceat(values, self._starts, axis=-1)[:, self._kept]

    def log_volume(self, theta: np.ndarray) -> np.ndarray:
        """Return the log of the product of all coordinates' factors, (chain, param) -> (chain,).

        Not by a matrix product: BLAS sums in another order for another number of chains, and chains must not depend on
        their neighbours.
        """
        return np.asarray(np.add.reduce(np.take(theta, self.places, axis=-1) * self.counts, axis=-1))

    def correct(self, total: np.ndarray, grad: np.ndarray, theta: np.ndarray, z_grad: np.ndarray) -> None:
        """Add to a log density and its gradient what the log factors contribute, in place.

        The density of a coordinate x with factor e^u is p(z)/(scale e^u), z = x/(scale e^u): its log changes with u
        by -z p'(z)/p(z) - 1.

        Parameters
        ----------
        total, grad
            (chain,), (chain, param).
        theta
            (chain, param).
        z_grad
            z p'(z)/p(z), (chain, param).
        """
        total -= self.log_volume(theta)
        grad[:, self.places] -= self.sums(z_grad) + self.counts


class Prior:
    """Product of the block priors over the whole of theta; scales that are learned are part of theta.

    Parameters
    ----------
    layout
        Where each block lies in theta.
    blocks
        Block name -> prior, one for every block of the layout.

    Raises
    ------
    ValueError
        If a block has no prior or a prior no block, a scale is not positive, or a log factor does not fit.
    """

    def __init__(self, layout: ParameterLayout, blocks: Mapping[str, BlockPrior]) -> None:
        if set(blocks) != set(layout.names):
            raise ValueError(f"priors for {sorted(blocks)}, but the parameters are {sorted(layout.names)}")
        self.layout = layout
        self.blocks = dict(blocks)
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
        self._inverse = 1.0 / self.scale
        self.log_scale_total = float(np.log(self.scale).sum())
        is_fixed = all(block.log_factor is None for block in blocks.values())
        self.learned = None if is_fixed else LearnedScales(layout, blocks)

    @property
    def normal(self) -> tuple[np.ndarray, np.ndarray, float] | None:
        """Location, inverse scale and log density at the location, if coordinates are independent and normal."""
        if self.learned is not None or any(not isinstance(family, Normal) for _, family in self.parts):
            return None
        at_location = -0.5 * len(self.scale) * math.log(2 * math.pi) - self.log_scale_total
        return self.location, self._inverse, at_location

    def log_density_and_grad(self, theta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the log prior in nats, shape (chain,), and its gradient, shape (chain, param)."""
        inverse = self._inverse if self.learned is None else self._inverse / self.learned.factors(theta)
        z = (theta - self.location) * inverse
        if len(self.parts) == 1:
            total, grad = self.parts[0][1].log_density_and_grad(z)
        else:
            total, grad = np.zeros(theta.shape[:-1]), np.empty_like(z)
            for part, family in self.parts:
                log_density, grad[..., part] = family.log_density_and_grad(z[..., part])
                total += log_density
        total = total - self.log_scale_total
        if self.learned is not None:
            z *= grad
        grad *= inverse
        if self.learned is not None:
            self.learned.correct(total, grad, theta, z)
        return total, grad

    def sample(self, rng: np.random.Generator) -> np.ndarray:
        """Return one draw of theta, shape (param,)."""
        z = np.concatenate([family.sample(rng, part.stop - part.start) for part, family in self.parts])
        theta = self.location + self.scale * z
        if self.learned is None:
            return theta
        # Log factors have the factor 1 themselves, so the draw that has them is complete but for the others'.
        return self.location + self.scale * self.learned.factors(theta) * z


LOG_PRIOR_SCALE = "log_prior_scale_"
"""The log of a learned scale is the block of this name followed by the name of the block that it scales."""


def learned_scale_shapes(
    shapes: Mapping[str, tuple[int, ...]], learned_scales: str
) -> dict[str, tuple[int, ...]]:
    """Return name -> shape of the log scales that are learned along with a network's parameters.

    Parameters
    ----------
    shapes
        Name -> shape of the network's blocks, first layer first.
    learned_scales
        "none"; "layer": one scale for each block of weights or biases; or "ard": for the first weights one for each
        input instead, so that inputs without effect can be switched off (MacKay 1994, Neal 1996).

    Raises
    ------
    ValueError
        If it is none of these.
    """
    if learned_scales not in ("none", "layer", "ard"):
        raise ValueError(f"unknown learned_scales {learned_scales!r}: choose one of none, layer, ard")
    if learned_scales == "none":
        return {}
    found: dict[str, tuple[int, ...]] = {LOG_PRIOR_SCALE + name: () for name in shapes}
    if learned_scales == "ard":
        first, shape = next(iter(shapes.items()))
        found[LOG_PRIOR_SCALE + first] = shape[:1]
    return found


def network_prior(shapes: Mapping[str, tuple[int, ...]], settings: PriorSettings) -> dict[str, BlockPrior]:
    """Return the priors of a network's weights and biases, all centred on zero, and of the scales that are learned.

    Parameters
    ----------
    shapes
        Name -> shape of the network's blocks: weights (inputs, outputs), biases (outputs,), first layer first.
    settings
        Families and scales. `fan_in_scaling` divides the scale of a weight by the square root of its layer's inputs, so
        that the variance of a unit's input does not grow with the width of the layer below (Neal 1996, chapter 2).
        A learned scale has a half-normal prior of the scale `scale`; the fan-in comes on top of it. The weights of the
        last layer have `output_factor` times the scale.
    """
    learned = learned_scale_shapes(shapes, settings.learned_scales)
    priors: dict[str, BlockPrior] = {}
    *_, last = (name for name, shape in shapes.items() if len(shape) == 2)
    for name, shape in shapes.items():
        is_weight = len(shape) == 2
        chosen = settings.weights if is_weight else settings.biases
        scale = chosen.scale * (settings.output_factor if name == last else 1.0)
        family = make_family(chosen.family, chosen.df)
        shrink = math.sqrt(shape[0]) if is_weight and settings.fan_in_scaling else 1.0
        log_factor = LOG_PRIOR_SCALE + name
        if log_factor in learned:
            priors[name] = BlockPrior(family, 0.0, 1.0 / shrink, log_factor)
            priors[log_factor] = BlockPrior(LogHalfNormal(), math.log(scale), 1.0)
        else:
            priors[name] = BlockPrior(family, 0.0, scale / shrink)
    return priors
