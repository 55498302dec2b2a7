"""From draws of the posterior to the predictive distribution, and what part of its spread is due to the draws.

Shapes are (chain, draw, obs) and (chain, draw, obs, class). Forward passes are made in blocks of draws, and
summaries in blocks of rows, so memory does not grow with both: summaries take arrays, or variables of a file that read
from the disk what they are sliced for.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from bnn.core.errors import ResultError
from bnn.core.settings import LikelihoodSettings, NetworkSettings
from bnn.data.dataset import Dataset
from bnn.model.layout import ParameterLayout
from bnn.model.likelihoods import Gaussian, Likelihood, RegressionLikelihood, StudentT, softmax
from bnn.model.network import Network
from bnn.model.posterior import make_likelihood, make_network
from bnn.model.priors import LOG_PRIOR_SCALE
from bnn.posterior.mixture import log_mean_exp

BLOCK_BYTES = 2**25
"""Rough size of the largest array of a block."""


class ClassSummary(NamedTuple):
    """Predictive distribution of a class, and its entropy split in two; entropies in nats."""

    probability: np.ndarray
    """(obs, class): mean over all draws"""
    total: np.ndarray
    """(obs,): entropy of that mean"""
    aleatoric: np.ndarray
    """(obs,): mean over draws of the entropy of each draw; what more data would not remove"""
    epistemic: np.ndarray
    """(obs,): mutual information of class and parameters, the difference of the two; what the draws disagree on"""


class TargetSummary(NamedTuple):
    """Mean and variance of a real target, the variance split in two."""

    mean: np.ndarray
    """(obs,)"""
    total: np.ndarray
    """(obs,): variance of a new observation, the sum of the next two"""
    aleatoric: np.ndarray
    """(obs,): mean over draws of the noise variance"""
    epistemic: np.ndarray
    """(obs,): variance over draws of the mean"""


class PredictionBlock(NamedTuple):
    """Predictions of some of the draws."""

    draws: slice
    """Which draws, in the order of theta"""
    value: np.ndarray
    """(draw, obs, class) probabilities, or (draw, obs) means in original target units; float64"""
    log_density: np.ndarray | None
    """(draw, obs): log density of y in nats, per original target unit; None where no y was given"""
    noise_sd: np.ndarray | None
    """Standard deviation of the noise in original target units: (draw, obs), or (draw, 1) where it is the same for all
    rows; None for classes"""


class GridPrediction(NamedTuple):
    """Predictions on a grid of inputs, in original target units."""

    summary: TargetSummary
    levels: tuple[float, ...]
    lower: np.ndarray
    """(level, obs): lower end of the central interval of a new observation"""
    upper: np.ndarray
    """(level, obs)"""


def _row_blocks(n_rows: int, bytes_per_row: int) -> Iterator[slice]:
    step = max(1, BLOCK_BYTES // max(1, bytes_per_row))
    for start in range(0, n_rows, step):
        yield slice(start, min(start + step, n_rows))


def entropy(probability: np.ndarray) -> np.ndarray:
    """Return the entropy in nats over the last axis; a probability of 0 adds nothing, as p log p tends to 0."""
    probability = np.asarray(probability, dtype=np.float64)
    safe = np.where(probability == 0.0, 1.0, probability)
    return -(probability * np.log(safe)).sum(axis=-1)


def class_summary(probability: np.ndarray) -> ClassSummary:
    """Summarise draws of class probabilities.

    Total entropy = expected entropy + mutual information (Depeweg et al. 2018, section 3).

    Parameters
    ----------
    probability
        Shape (chain, draw, obs, class).
    """
    n_obs, n_classes = probability.shape[2:]
    mean, aleatoric = np.empty((n_obs, n_classes)), np.empty(n_obs)
    for rows in _row_blocks(n_obs, 8 * probability[:, :, 0].size):
        block = np.asarray(probability[:, :, rows], dtype=np.float64)
        mean[rows] = block.mean(axis=(0, 1))
        aleatoric[rows] = entropy(block).mean(axis=(0, 1))
    total = entropy(mean)
    return ClassSummary(mean, total, aleatoric, total - aleatoric)


def target_summary(mean: np.ndarray, noise_sd: np.ndarray) -> TargetSummary:
    """Summarise draws of the mean and of the noise of a real target, by the law of total variance.

    Parameters
    ----------
    mean
        Shape (chain, draw, obs).
    noise_sd
        Standard deviation of the noise in the unit of the mean, shape (chain, draw), or (chain, draw, obs) where it
        differs between rows.
    """
    n_obs = mean.shape[2]
    centre, aleatoric, epistemic = np.empty(n_obs), np.empty(n_obs), np.empty(n_obs)
    for rows in _row_blocks(n_obs, 8 * mean[:, :, 0].size):
        block = np.asarray(mean[:, :, rows], dtype=np.float64)
        centre[rows] = block.mean(axis=(0, 1))
        epistemic[rows] = block.var(axis=(0, 1))
        noise = np.asarray(noise_sd if noise_sd.ndim == 2 else noise_sd[:, :, rows])
        aleatoric[rows] = np.square(noise, dtype=np.float64).mean(axis=(0, 1))
    return TargetSummary(centre, aleatoric + epistemic, aleatoric, epistemic)


def central_intervals(draws: np.ndarray, levels: Sequence[float]) -> tuple[np.ndarray, np.ndarray]:
    """Return the ends of central intervals, quantiles (1 - level)/2 and (1 + level)/2 of the draws.

    Parameters
    ----------
    draws
        Draws of a new observation, shape (chain, draw, obs).
    levels
        Fractions that the intervals hold.

    Returns
    -------
    lower, upper
        Shape (level, obs).
    """
    ends = np.empty((2, len(levels), draws.shape[2]))
    for rows in _row_blocks(draws.shape[2], 8 * draws[:, :, 0].size):
        block = np.asarray(draws[:, :, rows], dtype=np.float64).reshape(-1, rows.stop - rows.start)
        ends[:, :, rows] = intervals_of_sorted(np.sort(block, axis=0), levels)
    return ends[0], ends[1]


def intervals_of_sorted(ordered: np.ndarray, levels: Sequence[float]) -> np.ndarray:
    """Return `central_intervals` of draws in ascending order, (draw, obs), as one array (2, level, obs).

    Quantiles are interpolated between order statistics like those of `np.quantile`.
    """
    half = np.asarray(levels) / 2
    position = np.stack([0.5 - half, 0.5 + half]) * (len(ordered) - 1)
    below = np.floor(position).astype(np.int64)
    above = np.minimum(below + 1, len(ordered) - 1)
    return np.asarray(ordered[below] + (position - below)[..., None] * (ordered[above] - ordered[below]))


def mixture_log_density(log_density: Any) -> np.ndarray:
    """Return the log of the mean over all draws of a density, in nats; (chain, draw, obs) -> (obs,).

    It takes an array, or a stored one, of which slices are read.

    Its sum over rows is the log pointwise predictive density (lppd). A density of 0 in every draw gives -inf.
    """
    mixed = np.empty(log_density.shape[2])
    for rows in _row_blocks(len(mixed), 8 * log_density[:, :, 0].size):
        mixed[rows] = log_mean_exp(np.asarray(log_density[:, :, rows], dtype=np.float64), (0, 1))
    return mixed


def predicted_class(probability: np.ndarray) -> np.ndarray:
    """Return the most probable class of each row, the first one on a tie; (obs, class) -> (obs,) int64."""
    return np.argmax(probability, axis=-1).astype(np.int64)


def sample_classes(probability: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Draw a class from each distribution; (..., class) -> (...) int64, one uniform number each."""
    cumulative = np.cumsum(probability, axis=-1)
    # Scaled by the last entry, which rounding can leave a little below 1.
    u = rng.random(probability.shape[:-1])[..., None] * cumulative[..., -1:]
    return (u >= cumulative[..., :-1]).sum(axis=-1)


@dataclass(frozen=True)
class Predictor:
    """Turns draws of theta into predictions in the original unit of the target.

    Parameters
    ----------
    network
        Architecture.
    likelihood
        What the output of the network means.
    layout
        Where the parameters are in theta.
    target_mean, target_scale
        Original target = target_mean + target_scale * standardised target; 0 and 1 for classes.
    """

    network: Network
    likelihood: Likelihood
    layout: ParameterLayout
    target_mean: float
    target_scale: float

    @property
    def is_regression(self) -> bool:
        """Whether the target is a real number."""
        return isinstance(self.likelihood, RegressionLikelihood)

    @property
    def noise_varies(self) -> bool:
        """Whether there is noise that depends on the row."""
        return isinstance(self.likelihood, RegressionLikelihood) and self.likelihood.noise_varies

    def noise_scale(self, theta: np.ndarray) -> np.ndarray:
        """Return the scale parameter of the noise, *standardised* units; (..., param) -> (...).

        It is the standard deviation of normal noise. Where it is known it is that constant for every draw.

        Raises
        ------
        ValueError
            If the target is a class, or the noise depends on the row.
        """
        if isinstance(self.likelihood, Gaussian | StudentT):
            scale = np.exp(self.likelihood.log_scale(self.layout.unpack(theta)))
            return np.broadcast_to(scale, theta.shape[:-1]).copy()
        if self.is_regression:
            raise ValueError("noise that depends on the row has no single scale")
        raise ValueError("a class has no noise scale")

    def stream(
        self, theta: np.ndarray, x: np.ndarray, y: np.ndarray | None = None
    ) -> Iterator[PredictionBlock]:
        """Yield predictions, a block of draws at a time.

        Parameters
        ----------
        theta
            Shape (draw, param).
        x
            Standardised inputs, shape (obs, input).
        y
            Class index or *standardised* target, shape (obs,), or None.
        """
        target = None if y is None else self.likelihood.encode(y)
        # Change of variable: a density per original unit is 1/target_scale times that per standardised unit.
        log_unit = np.log(self.target_scale)
        for draws in _row_blocks(len(theta), 8 * max(1, len(x)) * max(self.network.sizes)):
            parameters = self.layout.unpack(theta[draws])
            output = self.network.forward(parameters, x).astype(np.float64, copy=False)
            log_density = None
            if target is not None:
                log_density = self.likelihood.pointwise(output, target, parameters) - log_unit
            if isinstance(self.likelihood, RegressionLikelihood):
                value = self.target_mean + self.target_scale * output[:, 0]
                noise_sd = self.target_scale * self.likelihood.noise_sd(output, parameters)
            else:
                value, noise_sd = softmax(output.swapaxes(-1, -2)), None
            yield PredictionBlock(draws, value, log_density, noise_sd)

    def sample(self, block: PredictionBlock, rng: np.random.Generator) -> np.ndarray:
        """Draw a new observation for every draw and row of a block, shape (draw, obs): class index or original unit.

        Parameters
        ----------
        block
            What `stream` yielded.
        rng
            Source of randomness; the result does not depend on how draws were cut into blocks.
        """
        if isinstance(self.likelihood, RegressionLikelihood):
            return block.value + block.noise_sd * self.likelihood.sample_noise(block.value.shape, rng)
        return sample_classes(block.value, rng)


def make_predictor(
    dataset: Dataset,
    *,
    network: NetworkSettings,
    likelihood: LikelihoodSettings,
    layout: ParameterLayout | None = None,
) -> Predictor:
    """Return the predictor of a dataset.

    Parameters
    ----------
    dataset
        The table.
    network, likelihood
        Their settings.
    layout
        Of the draws, if they hold more than what these sections ask for: scales of the prior, which predictions do
        not depend on, follow the rest.

    Raises
    ------
    ValueError
        If the layout is of another network or likelihood.
    """
    like = make_likelihood(likelihood, n_classes=dataset.n_classes)
    net = make_network(network, n_inputs=dataset.n_inputs, n_outputs=like.n_outputs)
    needed = ParameterLayout(net.parameter_shapes | dict.fromkeys(like.parameter_priors, ()))
    if layout is None:
        layout = needed
    known = {name: shape for name, shape in layout.shapes.items() if not name.startswith(LOG_PRIOR_SCALE)}
    if ParameterLayout(known) != needed:
        raise ResultError(
            "other-parameters",
            f"the draws of {dataset.name!r} hold parameters {layout.to_json()}, "
            f"the config asks for {needed.to_json()}: sample again",
        )
    return Predictor(net, like, layout, dataset.target_mean, dataset.target_scale)


def predict_draws(predictor: Predictor, theta: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Return probabilities (chain, draw, obs, class) or means (chain, draw, obs) of all draws at once.

    Parameters
    ----------
    predictor
        Network, likelihood and units.
    theta
        Shape (chain, draw, param).
    x
        Standardised inputs, shape (obs, input).
    """
    flat = theta.reshape(-1, theta.shape[-1])
    values = np.concatenate([block.value for block in predictor.stream(flat, x)])
    return values.reshape(theta.shape[:2] + values.shape[1:])


def predict_grid(
    predictor: Predictor,
    theta: np.ndarray,
    x: np.ndarray,
    *,
    levels: Sequence[float],
    rng: np.random.Generator,
) -> GridPrediction:
    """Return mean, variances and central intervals of a real target on a grid of inputs.

    Parameters
    ----------
    predictor
        Network, likelihood and units.
    theta
        Shape (chain, draw, param).
    x
        Standardised inputs, shape (obs, input).
    levels
        Fractions that the intervals hold.
    rng
        Source of the noise of new observations.

    Raises
    ------
    ValueError
        If the target is a class.
    """
    if not isinstance(predictor.likelihood, RegressionLikelihood):
        raise ValueError("a class has no mean and no intervals along a grid")
    parts: list[TargetSummary] = []
    ends: list[tuple[np.ndarray, np.ndarray]] = []
    # The same noise at every point: ends of intervals are then as smooth as the network.
    noise = predictor.likelihood.sample_noise((*theta.shape[:2], 1), rng)
    for mean, noise_sd in _target_blocks(predictor, theta, x):
        new = mean + noise_sd * noise
        parts.append(target_summary(mean, noise_sd if predictor.noise_varies else noise_sd[..., 0]))
        ends.append(central_intervals(new, levels))
    summary = TargetSummary(*(np.concatenate(column) for column in zip(*parts, strict=True)))
    lower, upper = (np.concatenate(column, axis=1) for column in zip(*ends, strict=True))
    return GridPrediction(summary, tuple(levels), lower, upper)


def predict_rows(predictor: Predictor, theta: np.ndarray, x: np.ndarray) -> ClassSummary | TargetSummary:
    """Return the predictive distribution of each row, a block of rows at a time.

    Parameters
    ----------
    predictor
        Network, likelihood and units.
    theta
        Shape (chain, draw, param).
    x
        Standardised inputs, shape (obs, input), one row at least.
    """
    parts: list[ClassSummary | TargetSummary] = []
    if predictor.is_regression:
        for mean, noise_sd in _target_blocks(predictor, theta, x):
            parts.append(target_summary(mean, noise_sd if predictor.noise_varies else noise_sd[..., 0]))
    else:
        bytes_per_row = 8 * theta[..., 0].size * predictor.network.sizes[-1]
        for rows in _row_blocks(len(x), bytes_per_row):
            parts.append(class_summary(predict_draws(predictor, theta, x[rows])))
    return type(parts[0])(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def _target_blocks(
    predictor: Predictor, theta: np.ndarray, x: np.ndarray
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield mean (chain, draw, obs) and noise_sd, of that shape or (chain, draw, 1), for blocks of the rows."""
    shape = theta.shape[:2]
    flat = theta.reshape(-1, theta.shape[-1])
    for rows in _row_blocks(len(x), 8 * len(flat)):
        blocks = list(predictor.stream(flat, x[rows]))
        mean = np.concatenate([block.value for block in blocks]).reshape(*shape, -1)
        noise_sd = np.concatenate([np.asarray(block.noise_sd) for block in blocks]).reshape(*shape, -1)
        yield mean, noise_sd
