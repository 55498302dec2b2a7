"""Likelihoods: how the network's output and the noise parameters make the targets.

A likelihood never sees weights: it gets the network's output and hands back the gradient with respect to it, which
backpropagation takes on from there.
"""

import math
from collections.abc import Mapping
from typing import Protocol, runtime_checkable

import numpy as np

from bnn.model.priors import BlockPrior, Normal

LOG_NOISE_SCALE = "log_noise_scale"
LOG_DISPERSION = "log_dispersion"
_HALF_LOG_2PI = 0.5 * math.log(2 * math.pi)


class Likelihood(Protocol):
    """What a posterior asks of a likelihood."""

    @property
    def n_outputs(self) -> int:
        """Outputs that the network must have."""

    @property
    def parameter_priors(self) -> dict[str, BlockPrior]:
        """Name -> prior of each scalar parameter of the likelihood itself; empty if there is none."""

    def encode(self, y: np.ndarray) -> np.ndarray:
        """Return the target, shape (obs,), in the form that the other methods take: its last axis is obs."""

    def pointwise(
        self, output: np.ndarray, target: np.ndarray, parameters: Mapping[str, np.ndarray]
    ) -> np.ndarray:
        """Return the log likelihood in nats of every row, shape (chain, obs), float64; output (chain, output, obs)."""

    def total_and_grad(
        self, output: np.ndarray, target: np.ndarray, parameters: Mapping[str, np.ndarray]
    ) -> tuple[np.ndarray, np.ndarray, dict[str, np.ndarray]]:
        """Return the log likelihood of all rows and its gradients.

        Parameters
        ----------
        output
            Of the network, shape (chain, output, obs).
        target
            What `encode` returned, for these rows; it may have a chain axis in front.
        parameters
            Blocks of the likelihood's own parameters among others, chain axis first.

        Returns
        -------
        total
            Nats, shape (chain,), summed in float64.
        output_grad
            Gradient by the output, of its shape and type.
        own_grad
            Name -> gradient by each own parameter, shape (chain,).
        """


@runtime_checkable
class RegressionLikelihood(Likelihood, Protocol):
    """What predictions ask of a real target, once encoded: the mean is output 0, and noise is added to it."""

    noise_varies: bool
    """Whether the noise depends on the row, not only on the draw"""

    def noise_sd(self, output: np.ndarray, parameters: Mapping[str, np.ndarray]) -> np.ndarray:
        """Return the standard deviation of a new observation about its mean, standardised target units.

        Parameters
        ----------
        output
            Of the network, shape (chain, output, obs).
        parameters
            Blocks of the likelihood's own parameters among others, chain axis first.

        Returns
        -------
        ndarray
            Shape (chain, obs), or (chain, 1) where the noise is the same for all rows.
        """

    def sample_noise(self, shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
        """Return noise of mean 0 and variance 1."""


@runtime_checkable
class DirectLikelihood(Likelihood, Protocol):
    """What predictions ask of a likelihood of a number that is not a mean with noise on it, in the column's unit."""

    def moments(
        self, output: np.ndarray, parameters: Mapping[str, np.ndarray]
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return mean and standard deviation of a new observation, each (chain, obs)."""

    def sample(
        self, output: np.ndarray, parameters: Mapping[str, np.ndarray], rng: np.random.Generator
    ) -> np.ndarray:
        """Return a new observation for each draw and row, (chain, obs)."""


def n_outputs_without_noise(likelihood: Likelihood) -> int:
    """Return the outputs of a baseline network: the mean alone, where that of a posterior may have noise beside it."""
    return 1 if isinstance(likelihood, RegressionLikelihood) else likelihood.n_outputs


def _sum_of_squares(z: np.ndarray) -> np.ndarray:
    """Return the sum over the last axis in float64."""
    z = z.astype(np.float64, copy=False)
    return np.asarray(np.vecdot(z, z))


class _RealTarget:
    """What likelihoods of a real target share: a shape of the noise, here normal, with a scale."""

    log_constant = -_HALF_LOG_2PI
    """Log density of a row at its mean where the log scale is 0"""
    _sd_per_scale = 1.0

    def encode(self, y: np.ndarray) -> np.ndarray:
        """Return the target as it is, in float64."""
        return np.asarray(y, dtype=np.float64)

    def sample_noise(self, shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
        """Return numbers of mean 0 and variance 1."""
        return rng.standard_normal(shape)

    def _log_density(self, z: np.ndarray, log_scale: np.ndarray) -> np.ndarray:
        """Return the log density, nats, of targets that lie z scales from their mean."""
        return -0.5 * z * z - log_scale - _HALF_LOG_2PI


class _StudentTNoise(_RealTarget):
    """Noise with heavy tails; the variance is scale^2 df/(df - 2).

    Raises
    ------
    ValueError
        If df is 2 or less: new observations would have no variance.
    """

    def _set_freedom(self, df: float) -> None:
        if not df > 2:
            raise ValueError(f"{df:g} degrees of freedom: noise has a variance only with more than 2")
        self.df = df
        self.log_constant = math.lgamma(0.5 * (df + 1)) - math.lgamma(0.5 * df) - 0.5 * math.log(df * math.pi)
        self._sd_per_scale = math.sqrt(df / (df - 2))

    def sample_noise(self, shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
        """Return Student-t numbers, divided by their standard deviation."""
        return rng.standard_t(self.df, shape) / self._sd_per_scale

    def _log_density(self, z: np.ndarray, log_scale: np.ndarray) -> np.ndarray:
        return self.log_constant - 0.5 * (self.df + 1) * np.log1p(z * z / self.df) - log_scale


class _OneNoiseScale(_RealTarget):
    """Noise of one scale for all rows, sampled or known.

    Parameters
    ----------
    noise_scale
        Known scale of the noise in standardised target units, or None: its logarithm is then a parameter.
    log_noise_mean, log_noise_sd
        Mean and standard deviation of the normal prior of the log noise scale (unused if it is known).
    """

    noise_varies = False

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

    @property
    def n_outputs(self) -> int:
        """The mean."""
        return 1

    def log_scale(self, parameters: Mapping[str, np.ndarray]) -> np.ndarray:
        """Return the log of the noise scale, shape (chain,) if sampled, else ()."""
        if self.noise_scale is not None:
            return np.asarray(math.log(self.noise_scale))
        return np.asarray(parameters[LOG_NOISE_SCALE])

    def pointwise(
        self, output: np.ndarray, target: np.ndarray, parameters: Mapping[str, np.ndarray]
    ) -> np.ndarray:
        """Return the log density of each row's target, nats, shape (chain, obs)."""
        log_scale = self.log_scale(parameters)[..., None]
        return self._log_density((target - output[:, 0]) * np.exp(-log_scale), log_scale)

    def noise_sd(self, output: np.ndarray, parameters: Mapping[str, np.ndarray]) -> np.ndarray:
        """Return the standard deviation of the noise of each draw, shape (chain, 1)."""
        scale = np.exp(self.log_scale(parameters))[..., None]
        return np.broadcast_to(self._sd_per_scale * scale, (len(output), 1))


class Gaussian(_OneNoiseScale):
    """A real target with mean = output and normal noise; its scale is the standard deviation.

    Parameters
    ----------
    noise_scale
        Known standard deviation of the noise in standardised target units, or None: its logarithm is then a parameter.
    log_noise_mean, log_noise_sd
        Mean and standard deviation of the normal prior of the log noise scale (unused if it is known).
    """

    def total_and_grad(
        self, output: np.ndarray, target: np.ndarray, parameters: Mapping[str, np.ndarray]
    ) -> tuple[np.ndarray, np.ndarray, dict[str, np.ndarray]]:
        """Return the sum of `pointwise`, (y - mean)/scale^2, and the gradient by the log noise scale, sum(z^2 - 1)."""
        log_scale = self.log_scale(parameters)[..., None]
        n_obs = output.shape[-1]
        precision = np.exp(-log_scale).astype(output.dtype)
        z = (target.astype(output.dtype, copy=False) - output[:, 0]) * precision
        squares = _sum_of_squares(z)
        total = -0.5 * squares - n_obs * (log_scale[..., 0] + _HALF_LOG_2PI)
        own = {} if self.noise_scale is not None else {LOG_NOISE_SCALE: squares - n_obs}
        z *= precision
        return total, z[:, None], own


class StudentT(_StudentTNoise, _OneNoiseScale):
    """A real target with location = output and Student-t noise, to which far-off rows are no catastrophe.

    Parameters
    ----------
    df
        Degrees of freedom, more than 2: the variance of the noise is scale^2 df/(df - 2).
    noise_scale
        Known scale of the noise in standardised target units, or None: its logarithm is then a parameter.
    log_noise_mean, log_noise_sd
        Mean and standard deviation of the normal prior of the log noise scale (unused if it is known).

    Raises
    ------
    ValueError
        If df is 2 or less: new observations would have no variance.
    """

    def __init__(
        self, *, df: float, noise_scale: float | None, log_noise_mean: float, log_noise_sd: float
    ) -> None:
        super().__init__(noise_scale=noise_scale, log_noise_mean=log_noise_mean, log_noise_sd=log_noise_sd)
        self._set_freedom(df)

    def total_and_grad(
        self, output: np.ndarray, target: np.ndarray, parameters: Mapping[str, np.ndarray]
    ) -> tuple[np.ndarray, np.ndarray, dict[str, np.ndarray]]:
        """Return the sum of `pointwise` and its gradients.

        With w = (df + 1)/(df + z^2), the weight that a row has beside that of normal noise, they are w z/scale and
        sum(w z^2 - 1).
        """
        log_scale = self.log_scale(parameters)[..., None]
        n_obs = output.shape[-1]
        precision = np.exp(-log_scale).astype(output.dtype)
        z = (target.astype(output.dtype, copy=False) - output[:, 0]) * precision
        squares = z * z
        logs = np.add.reduce(np.log1p(squares / self.df), axis=-1, dtype=np.float64)
        total = n_obs * (self.log_constant - log_scale[..., 0]) - 0.5 * (self.df + 1) * logs
        weight = (self.df + 1) / (self.df + squares)
        own: dict[str, np.ndarray] = {}
        if self.noise_scale is None:
            squares *= weight
            own[LOG_NOISE_SCALE] = np.add.reduce(squares, axis=-1, dtype=np.float64) - n_obs
        z *= precision
        z *= weight
        return total, z[:, None], own


class _VaryingNoise(_RealTarget):
    """Noise that depends on the inputs: its log scale is a + b times output 1; see `HeteroscedasticGaussian`."""

    noise_varies = True

    def __init__(self, *, log_noise_mean: float, log_noise_sd: float) -> None:
        self.log_noise_mean = log_noise_mean
        self.log_noise_sd = log_noise_sd

    @property
    def parameter_priors(self) -> dict[str, BlockPrior]:
        """Return no parameters: the network makes the noise too."""
        return {}

    @property
    def n_outputs(self) -> int:
        """The mean, and the log noise scale before it is scaled and shifted."""
        return 2

    def pointwise(
        self, output: np.ndarray, target: np.ndarray, parameters: Mapping[str, np.ndarray]
    ) -> np.ndarray:
        """Return the log density of each row's target, nats, shape (chain, obs)."""
        log_scale = self._log_scale(output.astype(np.float64, copy=False))
        return self._log_density((target - output[:, 0]) * np.exp(-log_scale), log_scale)

    def noise_sd(self, output: np.ndarray, parameters: Mapping[str, np.ndarray]) -> np.ndarray:
        """Return the standard deviation of the noise of each draw and row, shape (chain, obs)."""
        return self._sd_per_scale * np.exp(self._log_scale(output.astype(np.float64, copy=False)))

    def _log_scale(self, output: np.ndarray) -> np.ndarray:
        return self.log_noise_mean + self.log_noise_sd * output[:, 1]


class HeteroscedasticGaussian(_VaryingNoise):
    """A real target with mean = output 0 and normal noise that depends on the inputs: log scale = a + b times output 1.

    Parameters
    ----------
    log_noise_mean
        a: log of the standard deviation, in standardised target units, where the second output is 0. The prior of the
        weights, which is centred on 0, is then a prior about this noise.
    log_noise_sd
        b: how much the noise is believed to vary, as a multiple of what the outputs vary under the prior; the smaller,
        the nearer to the same noise for all rows.
    """

    def total_and_grad(
        self, output: np.ndarray, target: np.ndarray, parameters: Mapping[str, np.ndarray]
    ) -> tuple[np.ndarray, np.ndarray, dict[str, np.ndarray]]:
        """Return the sum of `pointwise` and its gradient by both outputs, (y - mean)/scale^2 and b (z^2 - 1)."""
        log_scale = self._log_scale(output)
        precision = np.exp(-log_scale)
        z = (target.astype(output.dtype, copy=False) - output[:, 0]) * precision
        grad = np.empty_like(output)
        total = -0.5 * _sum_of_squares(z)
        total -= np.add.reduce(log_scale, axis=-1, dtype=np.float64) + output.shape[-1] * _HALF_LOG_2PI
        np.multiply(z, precision, out=grad[:, 0])
        z *= z
        z -= 1.0
        np.multiply(z, self.log_noise_sd, out=grad[:, 1])
        return total, grad, {}


class HeteroscedasticStudentT(_StudentTNoise, _VaryingNoise):
    """A real target with location = output 0 and Student-t noise whose log scale is a + b times output 1.

    Parameters
    ----------
    df
        Degrees of freedom, more than 2: the variance of the noise is scale^2 df/(df - 2).
    log_noise_mean, log_noise_sd
        a and b, as of `HeteroscedasticGaussian`, of the scale in the place of the standard deviation.

    Raises
    ------
    ValueError
        If df is 2 or less: new observations would have no variance.
    """

    def __init__(self, *, df: float, log_noise_mean: float, log_noise_sd: float) -> None:
        super().__init__(log_noise_mean=log_noise_mean, log_noise_sd=log_noise_sd)
        self._set_freedom(df)

    def total_and_grad(
        self, output: np.ndarray, target: np.ndarray, parameters: Mapping[str, np.ndarray]
    ) -> tuple[np.ndarray, np.ndarray, dict[str, np.ndarray]]:
        """Return the sum of `pointwise` and its gradient by both outputs.

        With the weight w = (df + 1)/(df + z^2) they are w z/scale and b (w z^2 - 1).
        """
        log_scale = self._log_scale(output)
        precision = np.exp(-log_scale)
        z = (target.astype(output.dtype, copy=False) - output[:, 0]) * precision
        squares = z * z
        grad = np.empty_like(output)
        logs = 0.5 * (self.df + 1) * np.log1p(squares / self.df) + log_scale
        total = output.shape[-1] * self.log_constant - np.add.reduce(logs, axis=-1, dtype=np.float64)
        weight = (self.df + 1) / (self.df + squares)
        np.multiply(weight * z, precision, out=grad[:, 0])
        np.multiply(weight * squares - 1.0, self.log_noise_sd, out=grad[:, 1])
        return total, grad, {}
