"""Mixtures of normal distributions: what a network with normal noise, or an ensemble of them, predicts for a target."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

_HALF_LOG_2PI = 0.5 * math.log(2 * math.pi)
_BISECTIONS = 60
"""Halvings of the bracket of a quantile: as many as a float64 has digits, and a few more."""
_REACH = 10.0
"""Standard deviations beyond every component that a bracket begins with."""


def log_mean_exp(
    values: np.ndarray,
    axis: int | tuple[int, ...],
    *,
    mean: Callable[[np.ndarray], np.ndarray] | None = None,
) -> np.ndarray:
    """Return the log of the mean of exponentials over axes; the largest is taken out first, so nothing underflows.

    Parameters
    ----------
    values
        Logs of what is averaged, nats; -inf stands for 0.
    axis
        The axes.
    mean
        Another mean over those axes than that of all, for example one that leaves some out.

    Returns
    -------
    ndarray
        Without those axes; -inf where all is 0.
    """
    highest = values.max(axis=axis, keepdims=True)
    shift = np.where(np.isneginf(highest), 0.0, highest)
    scaled = np.exp(values - shift)
    with np.errstate(divide="ignore"):
        return np.squeeze(shift, axis) + np.log(scaled.mean(axis=axis) if mean is None else mean(scaled))


@dataclass(frozen=True)
class GaussianMixture:
    """For each row, normal distributions of equal weight.

    Parameters
    ----------
    means
        Shape (component, obs), in the unit of the target.
    scales
        Standard deviations, shape (component,), in that unit.

    Raises
    ------
    ValueError
        If the shapes do not fit together or a scale is not positive.
    """

    means: np.ndarray
    scales: np.ndarray

    def __post_init__(self) -> None:
        if self.means.ndim != 2 or self.scales.shape != self.means.shape[:1] or not len(self.scales):
            raise ValueError(
                f"means {self.means.shape} and scales {self.scales.shape}: expected (component, obs) "
                "and (component,), with one component or more"
            )
        if not (self.scales > 0).all():
            raise ValueError(f"scales {self.scales.tolist()}: all must be positive")

    @property
    def mean(self) -> np.ndarray:
        """(obs,)"""
        return np.asarray(self.means.mean(axis=0))

    @property
    def sd(self) -> np.ndarray:
        """Standard deviation by the law of total variance, (obs,)."""
        return np.sqrt(self.means.var(axis=0) + np.mean(self.scales**2))

    def log_density(self, y: np.ndarray) -> np.ndarray:
        """Return the log density in nats, (obs,); nothing underflows."""
        return log_mean_exp(gaussian_log_density(self.means, self.scales[:, None], y), 0)

    def cdf(self, x: np.ndarray) -> np.ndarray:
        """Return the probability of a value of at most x; (..., obs) -> (..., obs)."""
        total = np.zeros(np.shape(x))
        for mean, scale in zip(self.means, self.scales, strict=True):
            total += _normal_cdf((x - mean) / scale)
        return total / len(self.scales)

    def intervals(self, levels: Sequence[float]) -> tuple[np.ndarray, np.ndarray]:
        """Return lower and upper ends of central intervals, each (level, obs)."""
        half = np.asarray(levels) / 2
        ends = self._quantiles(np.concatenate([0.5 - half, 0.5 + half]))
        return ends[: len(half)], ends[len(half) :]

    def crps(self, y: np.ndarray) -> np.ndarray:
        """Return the continuous ranked probability score of each row, (obs,), in the unit of y.

        mean_i A(y - mean_i, s_i^2) - mean_ij A(mean_i - mean_j, s_i^2 + s_j^2)/2, with A(m, v) the mean absolute value
        of a normal variable of mean m and variance v (Grimit et al. 2006, eq. 5).
        """
        spread = np.zeros(len(y))
        for mean, scale in zip(self.means, self.scales, strict=True):
            spread += _mean_absolute(mean - self.means, np.hypot(scale, self.scales)[:, None]).sum(axis=0)
        own = _mean_absolute(y - self.means, self.scales[:, None]).mean(axis=0)
        return np.asarray(own - 0.5 * spread / len(self.scales) ** 2)

    def _quantiles(self, probability: np.ndarray) -> np.ndarray:
        """Return quantiles, (probability, obs), by bisection; those of one component are known."""
        if len(self.scales) == 1:
            from scipy.special import ndtri

            return self.means + self.scales * ndtri(probability)[:, None]
        reach = _REACH * self.scales[:, None]
        shape = (len(probability), self.means.shape[1])
        low = np.broadcast_to((self.means - reach).min(axis=0), shape).copy()
        high = np.broadcast_to((self.means + reach).max(axis=0), shape).copy()
        for _ in range(_BISECTIONS):
            middle = 0.5 * (low + high)
            below = self.cdf(middle) < probability[:, None]
            low, high = np.where(below, middle, low), np.where(below, high, middle)
        return 0.5 * (low + high)


def gaussian_log_density(mean: np.ndarray, scale: np.ndarray | float, y: np.ndarray) -> np.ndarray:
    """Return the log density in nats of y under a normal distribution of that mean and standard deviation."""
    z = (y - mean) / scale
    return np.asarray(-0.5 * z * z - np.log(scale) - _HALF_LOG_2PI)


def _normal_cdf(z: np.ndarray) -> np.ndarray:
    from scipy.special import ndtr  # slow to import, and jobs on classes do without it

    return np.asarray(ndtr(z))


def _mean_absolute(mean: np.ndarray, scale: np.ndarray) -> np.ndarray:
    z = mean / scale
    density = np.exp(-0.5 * z * z) / np.sqrt(2 * np.pi)
    return np.asarray(2 * scale * density + mean * (2 * _normal_cdf(z) - 1))
