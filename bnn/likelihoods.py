"""Likelihoods: how the network's output and the noise parameters make the targets.

A likelihood never sees weights: it gets the network's output and hands back the gradient with respect to it, which
backpropagation takes on from there.
"""

import math
from collections.abc import Mapping
from typing import Protocol

import numpy as np

from bnn.priors import BlockPrior, Normal

LOG_NOISE_SCALE = "log_noise_scale"
_HALF_LOG_2PI = 0.5 * math.log(2 * math.pi)


class Likelihood(Protocol):
    """What a posterior asks of a likelihood."""

    @property
    def parameter_priors(self) -> dict[str, BlockPrior]:
        """Name -> prior of each scalar parameter of the likelihood itself; empty if there is none."""

    def encode(self, y: np.ndarray) -> np.ndarray:
        """Return the target, shape (obs,), in the form that the other methods take."""

    def pointwise(
        self, output: np.ndarray, target: np.ndarray, parameters: Mapping[str, np.ndarray]
    ) -> np.ndarray:
        """Return the log likelihood in nats of every row, shape (chain, obs), float64."""

    def pointwise_and_grad(
        self, output: np.ndarray, target: np.ndarray, parameters: Mapping[str, np.ndarray]
    ) -> tuple[np.ndarray, np.ndarray, dict[str, np.ndarray]]:
        """Return `pointwise`, its gradient by the output (chain, obs, output), and by each own parameter (chain,)."""


def log_softmax(logits: np.ndarray) -> np.ndarray:
    """Return log probabilities over the last axis; exact for logits of any size."""
    shifted = logits - logits.max(axis=-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))


def softmax(logits: np.ndarray) -> np.ndarray:
    """Return probabilities over the last axis."""
    return np.exp(log_softmax(logits))


class Categorical:
    """Class labels with probabilities softmax(output).

    Parameters
    ----------
    n_classes
        Number of classes; the network has as many outputs.
    """

    def __init__(self, n_classes: int) -> None:
        self.n_classes = n_classes
        self._ones = np.ones((n_classes, 1))

    @property
    def parameter_priors(self) -> dict[str, BlockPrior]:
        """Return no parameters."""
        return {}

    def encode(self, y: np.ndarray) -> np.ndarray:
        """Return one-hot rows, shape (obs, class), of class indices.

        Raises
        ------
        ValueError
            If an index is outside 0 .. n_classes - 1.
        """
        if y.size and not (y.min() >= 0 and y.max() < self.n_classes):
            raise ValueError(
                f"class indices run from {y.min()} to {y.max()}; there are {self.n_classes} classes"
            )
        return np.eye(self.n_classes)[y.astype(np.int64)]

    def pointwise(
        self, output: np.ndarray, target: np.ndarray, parameters: Mapping[str, np.ndarray]
    ) -> np.ndarray:
        """Return the log probability of each row's class, nats, shape (chain, obs)."""
        return np.einsum("cnk,nk->cn", log_softmax(output), target)

    def pointwise_and_grad(
        self, output: np.ndarray, target: np.ndarray, parameters: Mapping[str, np.ndarray]
    ) -> tuple[np.ndarray, np.ndarray, dict[str, np.ndarray]]:
        """Return `pointwise` and its gradient by the logits, one-hot minus probabilities."""
        # As in log_softmax, but with one exponential for the density and the gradient together.
        shifted = output - np.maximum.reduce(output, axis=-1, keepdims=True)
        weight = np.exp(shifted)
        total = np.matmul(weight, self._ones)
        pointwise = np.einsum("cnk,nk->cn", shifted, target) - np.log(total[..., 0])
        return pointwise, (target - weight / total).astype(output.dtype, copy=False), {}


class Gaussian:
    """A real target with mean = output and one noise scale, sampled or known.

    Parameters
    ----------
    noise_scale
        Known standard deviation of the noise in standardised target units, or None: its logarithm is then a parameter.
    log_noise_mean, log_noise_sd
        Mean and standard deviation of the normal prior of the log noise scale (unused if it is known).
    """

    def __init__(self, *, noise_scale: float | None, log_noise_mean: float, log_noise_sd: float) -> None:
        self.noise_scale = noise_scale
        self.log_noise_mean = log_noise_mean
        self.log_noise_sd = log_noise_sd

    @property
    def parameter_priors(self) -> dict[str, BlockPrior]:
        """Return the prior of the log noise scale, if it is sampled."""
        if self.noise_scale is not None:
            return {}
        return {LOG_NOISE_SCALE: BlockPrior(Normal(), self.log_noise_mean, self.log_noise_sd)}

    def log_scale(self, parameters: Mapping[str, np.ndarray]) -> np.ndarray:
        """Return the log of the noise standard deviation, shape (chain,) if sampled, else ()."""
        if self.noise_scale is not None:
            return np.asarray(math.log(self.noise_scale))
        return np.asarray(parameters[LOG_NOISE_SCALE])

    def encode(self, y: np.ndarray) -> np.ndarray:
        """Return the target as it is, in float64."""
        return np.asarray(y, dtype=np.float64)

    def pointwise(
        self, output: np.ndarray, target: np.ndarray, parameters: Mapping[str, np.ndarray]
    ) -> np.ndarray:
        """Return the normal log density of each row's target, nats, shape (chain, obs)."""
        log_scale = self.log_scale(parameters)[..., None]
        z = (target - output[..., 0]) * np.exp(-log_scale)
        return -0.5 * z * z - log_scale - _HALF_LOG_2PI

    def pointwise_and_grad(
        self, output: np.ndarray, target: np.ndarray, parameters: Mapping[str, np.ndarray]
    ) -> tuple[np.ndarray, np.ndarray, dict[str, np.ndarray]]:
        """Return `pointwise`, (y - mean)/scale^2, and the derivative by the log noise scale, sum(z^2 - 1)."""
        log_scale = self.log_scale(parameters)[..., None]
        precision = np.exp(-log_scale)
        z = (target - output[..., 0]) * precision
        pointwise = -0.5 * z * z - log_scale - _HALF_LOG_2PI
        grad = (z * precision).astype(output.dtype, copy=False)[..., None]
        own = {} if self.noise_scale is not None else {LOG_NOISE_SCALE: np.add.reduce(z * z - 1.0, axis=-1)}
        return pointwise, grad, own
