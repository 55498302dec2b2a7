"""Likelihoods of targets that are no real number with noise on it: counts, and amounts that are often 0."""

import math
from collections.abc import Mapping

import numpy as np
from scipy.special import gammaln, psi

from bnn.model.likelihoods import LOG_DISPERSION, LOG_NOISE_SCALE
from bnn.model.priors import BlockPrior, Normal
from bnn.model.targets import Target

_HALF_LOG_2PI = 0.5 * math.log(2 * math.pi)
_LARGEST_LOG = 300.0
"""Log means beyond are cut off from the gradient's view: no posterior reaches them, first steps of a chain may."""


SHARE_OF_ZEROS, FEWEST_ZEROS = 0.02, 5
"""Zeros among other amounts, as a share and in number, from which on they have a probability of their own."""


def has_zeros(zero: np.ndarray) -> bool:
    """Return whether so many targets are 0, (obs,) bool, that this is no accident of a range that begins there."""
    return bool(zero.sum() >= max(FEWEST_ZEROS, SHARE_OF_ZEROS * len(zero)))


class _Counts:
    """What likelihoods of counts share: log mean = location + output.

    Parameters
    ----------
    target
        Of the table: its location is the log of the mean count of the training rows, or of their rate where they have
        an exposure, whose log is in the output.
    """

    noise_varies = True

    def __init__(self, target: Target) -> None:
        self.target = target

    @property
    def n_outputs(self) -> int:
        """The log of the mean, from the location on."""
        return 1

    def encode(self, y: np.ndarray) -> np.ndarray:
        """Return counts and the logs of their factorials, shape (2, obs).

        Raises
        ------
        ValueError
            If a number is negative or not whole.
        """
        if y.size and not ((y >= 0).all() and (y == np.rint(y)).all()):
            raise ValueError("counts are whole numbers from 0")
        return np.stack([y, gammaln(y + 1.0)])

    def _log_mean(self, output: np.ndarray) -> np.ndarray:
        return np.minimum(self.target.location + output[:, 0].astype(np.float64), _LARGEST_LOG)


class Poisson(_Counts):
    """Counts whose variance is their mean."""

    @property
    def parameter_priors(self) -> dict[str, BlockPrior]:
        """Return no parameters."""
        return {}

    def pointwise(
        self, output: np.ndarray, target: np.ndarray, parameters: Mapping[str, np.ndarray]
    ) -> np.ndarray:
        """Return the log probability of each row's count, nats, shape (chain, obs)."""
        log_mean = self._log_mean(output)
        return np.asarray(target[..., 0, :] * log_mean - np.exp(log_mean) - target[..., 1, :])

    def total_and_grad(
        self, output: np.ndarray, target: np.ndarray, parameters: Mapping[str, np.ndarray]
    ) -> tuple[np.ndarray, np.ndarray, dict[str, np.ndarray]]:
        """Return the sum of `pointwise` and its gradient by the output, count - mean."""
        count, log_mean = target[..., 0, :], self._log_mean(output)
        mean = np.exp(log_mean)
        total = (count * log_mean - mean - target[..., 1, :]).sum(axis=-1)
        return total, (count - mean)[:, None].astype(output.dtype), {}

    def moments(
        self, output: np.ndarray, parameters: Mapping[str, np.ndarray]
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return mean and standard deviation of the count, each (chain, obs)."""
        mean = np.exp(self._log_mean(output))
        return mean, np.sqrt(mean)

    def sample(
        self, output: np.ndarray, parameters: Mapping[str, np.ndarray], rng: np.random.Generator
    ) -> np.ndarray:
        """Return a new count for each draw and row, (chain, obs), float64."""
        return _poisson(np.exp(self._log_mean(output)), rng)


class NegativeBinomial(_Counts):
    """Counts that vary more than Poisson's: variance = mean + dispersion * mean^2 (NB2; Cameron & Trivedi 1986).

    Parameters
    ----------
    target
        Of the table.
    log_dispersion_mean, log_dispersion_sd
        Mean and standard deviation of the normal prior of the log of the dispersion.
    """

    def __init__(self, target: Target, *, log_dispersion_mean: float, log_dispersion_sd: float) -> None:
        super().__init__(target)
        self.log_dispersion_mean, self.log_dispersion_sd = log_dispersion_mean, log_dispersion_sd

    @property
    def parameter_priors(self) -> dict[str, BlockPrior]:
        """Return the prior of the log dispersion."""
        return {LOG_DISPERSION: BlockPrior(Normal(), self.log_dispersion_mean, self.log_dispersion_sd)}

    def pointwise(
        self, output: np.ndarray, target: np.ndarray, parameters: Mapping[str, np.ndarray]
    ) -> np.ndarray:
        """Return the log probability of each row's count, nats, shape (chain, obs)."""
        count, log_mean = target[..., 0, :], self._log_mean(output)
        log_dispersion = np.asarray(parameters[LOG_DISPERSION], dtype=np.float64)[..., None]
        size, excess = np.exp(-log_dispersion), np.log1p(np.exp(log_dispersion + log_mean))
        ways = gammaln(count + size) - gammaln(size) - target[..., 1, :]
        return np.asarray(ways - (count + size) * excess + count * (log_dispersion + log_mean))

    def total_and_grad(
        self, output: np.ndarray, target: np.ndarray, parameters: Mapping[str, np.ndarray]
    ) -> tuple[np.ndarray, np.ndarray, dict[str, np.ndarray]]:
        """Return the sum of `pointwise` and its gradients.

        With m the mean, a the dispersion and r = 1/a: (k - m)/(1 + a m) by the log mean, and by log a
        -r (psi(k + r) - psi(r) - log(1 + a m)) + (k - m)/(1 + a m).
        """
        count, log_mean = target[..., 0, :], self._log_mean(output)
        log_dispersion = np.asarray(parameters[LOG_DISPERSION], dtype=np.float64)[..., None]
        size, product = np.exp(-log_dispersion), np.exp(log_dispersion + log_mean)
        excess = np.log1p(product)
        total = gammaln(count + size) - gammaln(size) - target[..., 1, :]
        total += count * (log_dispersion + log_mean) - (count + size) * excess
        by_output = (count - np.exp(log_mean)) / (1.0 + product)
        own = by_output - size * (psi(count + size) - psi(size) - excess)
        return total.sum(axis=-1), by_output[:, None].astype(output.dtype), {LOG_DISPERSION: own.sum(axis=-1)}

    def moments(
        self, output: np.ndarray, parameters: Mapping[str, np.ndarray]
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return mean and standard deviation of the count, each (chain, obs)."""
        mean = np.exp(self._log_mean(output))
        dispersion = np.exp(np.asarray(parameters[LOG_DISPERSION], dtype=np.float64))[..., None]
        return mean, np.sqrt(mean + dispersion * mean * mean)

    def sample(
        self, output: np.ndarray, parameters: Mapping[str, np.ndarray], rng: np.random.Generator
    ) -> np.ndarray:
        """Return a new count for each draw and row, (chain, obs), float64: Poisson with a gamma for its mean."""
        mean = np.exp(self._log_mean(output))
        dispersion = np.exp(np.asarray(parameters[LOG_DISPERSION], dtype=np.float64))[..., None]
        shape = np.broadcast_to(1.0 / dispersion, mean.shape)
        return _poisson(mean * dispersion * rng.standard_gamma(shape), rng)


class Hurdle:
    """Amounts that are 0 with a probability of their own, and else log-normal (Cragg 1971).

    log amount = location + spread * (output 0 + scale * noise); log odds of a positive amount = output 1.

    Parameters
    ----------
    target
        Of the table: location and spread of the logs of positive training values.
    log_noise_mean, log_noise_sd
        Mean and standard deviation of the normal prior of the log of the scale of the noise.
    """

    noise_varies = True

    def __init__(self, target: Target, *, log_noise_mean: float, log_noise_sd: float) -> None:
        self.target = target
        self.log_noise_mean, self.log_noise_sd = log_noise_mean, log_noise_sd

    @property
    def parameter_priors(self) -> dict[str, BlockPrior]:
        """Return the prior of the log noise scale."""
        return {LOG_NOISE_SCALE: BlockPrior(Normal(), self.log_noise_mean, self.log_noise_sd)}

    @property
    def n_outputs(self) -> int:
        """The centre of the log amount, and the log odds of a positive one."""
        return 2

    def encode(self, y: np.ndarray) -> np.ndarray:
        """Return whether each row is positive, and its log amount (0 where it is not), shape (2, obs)."""
        positive = np.isfinite(y)
        return np.stack([positive.astype(np.float64), np.where(positive, y, 0.0)])

    def pointwise(
        self, output: np.ndarray, target: np.ndarray, parameters: Mapping[str, np.ndarray]
    ) -> np.ndarray:
        """Return the log probability of 0, or the log density of the encoded amount, nats, shape (chain, obs)."""
        output = output.astype(np.float64, copy=False)
        log_scale = np.asarray(parameters[LOG_NOISE_SCALE], dtype=np.float64)[..., None]
        positive, amount = target[..., 0, :], target[..., 1, :]
        z = (amount - output[:, 0]) * np.exp(-log_scale)
        density = -0.5 * z * z - log_scale - _HALF_LOG_2PI
        # log of the probability of what was seen: positive or not.
        log_odds = np.where(positive > 0, output[:, 1], -output[:, 1])
        return np.asarray(positive * density - np.logaddexp(0.0, -log_odds))

    def total_and_grad(
        self, output: np.ndarray, target: np.ndarray, parameters: Mapping[str, np.ndarray]
    ) -> tuple[np.ndarray, np.ndarray, dict[str, np.ndarray]]:
        """Return the sum of `pointwise` and its gradients: z/scale, seen - probability, and z^2 - 1."""
        total = self.pointwise(output, target, parameters).sum(axis=-1)
        log_scale = np.asarray(parameters[LOG_NOISE_SCALE], dtype=np.float64)[..., None]
        positive, amount = target[..., 0, :], target[..., 1, :]
        precision = np.exp(-log_scale)
        z = (amount - output[:, 0]) * precision
        grad = np.empty_like(output)
        grad[:, 0] = positive * z * precision
        grad[:, 1] = positive - _positive(output)
        return total, grad, {LOG_NOISE_SCALE: (positive * (z * z - 1.0)).sum(axis=-1)}

    def moments(
        self, output: np.ndarray, parameters: Mapping[str, np.ndarray]
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return mean and standard deviation of the amount, zeros among it, each (chain, obs)."""
        share = _positive(output)
        scale = np.exp(np.asarray(parameters[LOG_NOISE_SCALE], dtype=np.float64))[..., None]
        mean, sd = self.target.log_moments(output[:, 0].astype(np.float64), scale)
        return share * mean, np.sqrt(share * (sd * sd + (1.0 - share) * mean * mean))

    def sample(
        self, output: np.ndarray, parameters: Mapping[str, np.ndarray], rng: np.random.Generator
    ) -> np.ndarray:
        """Return a new amount for each draw and row, (chain, obs)."""
        scale = np.exp(np.asarray(parameters[LOG_NOISE_SCALE], dtype=np.float64))[..., None]
        encoded = output[:, 0] + scale * rng.standard_normal(output[:, 0].shape)
        is_positive = rng.random(encoded.shape) < _positive(output)
        return np.where(is_positive, self.target.decode(encoded), 0.0)


def _positive(output: np.ndarray) -> np.ndarray:
    return np.asarray(0.5 * (1.0 + np.tanh(0.5 * output[:, 1].astype(np.float64))))


def _poisson(mean: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return Poisson numbers; of means so large that they would overflow an integer, these themselves."""
    small = np.minimum(mean, 1e15)
    return np.where(mean <= 1e15, rng.poisson(small), mean).astype(np.float64)
