"""From draws of the posterior to the predictive distribution, and what part of its spread is due to the draws.

Shapes are (chain, draw, obs) and (chain, draw, obs, class). Forward passes are made in blocks of draws, and
summaries in blocks of rows, so memory does not grow with both: summaries take arrays, or variables of a file that read
from the disk what they are sliced for.
"""

from collections.abc import Iterator, Sequence
from copy import deepcopy
from typing import Any, NamedTuple

import numpy as np

from bnn.posterior.mixture import log_mean_exp
from bnn.posterior.predictor import Predictor, row_blocks


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


class GridPrediction(NamedTuple):
    """Predictions on a grid of inputs, in original target units."""

    summary: TargetSummary
    levels: tuple[float, ...]
    lower: np.ndarray
    """(level, obs): lower end of the central interval of a new observation"""
    upper: np.ndarray
    """(level, obs)"""


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
    for rows in row_blocks(n_obs, 8 * probability[:, :, 0].size):
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
    for rows in row_blocks(n_obs, 8 * mean[:, :, 0].size):
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
        Fractions that the intervals hold; what is above 1 is as in `intervals_of_sorted`.

    Returns
    -------
    lower, upper
        Shape (level, obs).
    """
    ends = np.empty((2, len(levels), draws.shape[2]))
    for rows in row_blocks(draws.shape[2], 8 * draws[:, :, 0].size):
        block = np.asarray(draws[:, :, rows], dtype=np.float64).reshape(-1, rows.stop - rows.start)
        ends[:, :, rows] = intervals_of_sorted(np.sort(block, axis=0), levels)
    return ends[0], ends[1]


def intervals_of_sorted(ordered: np.ndarray, levels: Sequence[float]) -> np.ndarray:
    """Return `central_intervals` of draws in ascending order, (draw, obs), as one array (2, level, obs).

    Quantiles are interpolated between order statistics like those of `np.quantile`. A level of 1 is the range of the
    draws; each end of one above, as of calibrated intervals, lies farther out by (level - 1) times that range.
    """
    asked = np.asarray(levels, dtype=np.float64)
    half = np.minimum(asked, 1.0) / 2
    position = np.stack([0.5 - half, 0.5 + half]) * (len(ordered) - 1)
    below = np.floor(position).astype(np.int64)
    above = np.minimum(below + 1, len(ordered) - 1)
    ends = np.asarray(ordered[below] + (position - below)[..., None] * (ordered[above] - ordered[below]))
    for index in np.flatnonzero(asked > 1):
        # Infinity times a range of 0 is no number.
        farther = np.inf if np.isinf(asked[index]) else (asked[index] - 1) * (ordered[-1] - ordered[0])
        ends[0, index] -= farther
        ends[1, index] += farther
    return ends


def mixture_log_density(log_density: Any) -> np.ndarray:
    """Return the log of the mean over all draws of a density, in nats; (chain, draw, obs) -> (obs,).

    It takes an array, or a stored one, of which slices are read.

    Its sum over rows is the log pointwise predictive density (lppd). A density of 0 in every draw gives -inf.
    """
    mixed = np.empty(log_density.shape[2])
    for rows in row_blocks(len(mixed), 8 * log_density[:, :, 0].size):
        mixed[rows] = log_mean_exp(np.asarray(log_density[:, :, rows], dtype=np.float64), (0, 1))
    return mixed


def predicted_class(probability: np.ndarray) -> np.ndarray:
    """Return the most probable class of each row, the first one on a tie; (obs, class) -> (obs,) int64."""
    return np.argmax(probability, axis=-1).astype(np.int64)


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
    if not predictor.is_regression:
        raise ValueError("a class has no mean and no intervals along a grid")
    parts: list[TargetSummary] = []
    ends: list[tuple[np.ndarray, np.ndarray]] = []
    for mean, noise_sd, new in _target_blocks(predictor, theta, x, rng):
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
        for mean, noise_sd, _ in _target_blocks(predictor, theta, x):
            parts.append(target_summary(mean, noise_sd if predictor.noise_varies else noise_sd[..., 0]))
    else:
        bytes_per_row = 8 * theta[..., 0].size * predictor.network.sizes[-1]
        for rows in row_blocks(len(x), bytes_per_row):
            parts.append(class_summary(predict_draws(predictor, theta, x[rows])))
    return type(parts[0])(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def new_observations(
    predictor: Predictor, theta: np.ndarray, x: np.ndarray, rng: np.random.Generator
) -> Iterator[np.ndarray]:
    """Yield new observations (draw, obs) of some rows after others: class indices, or in original target units.

    Parameters
    ----------
    predictor
        Network, likelihood and units.
    theta
        Shape (draw, param); each draw makes one observation of each row.
    x
        Standardised inputs, shape (obs, input).
    rng
        Source of the noise.
    """
    for rows in row_blocks(len(x), 8 * len(theta)):
        yield np.concatenate([predictor.sample(block, rng) for block in predictor.stream(theta, x[rows])])


def quantiles_of_rows(
    predictor: Predictor,
    theta: np.ndarray,
    x: np.ndarray,
    probabilities: Sequence[float],
    rng: np.random.Generator,
) -> np.ndarray:
    """Return quantiles of a new observation of each row, (probability, obs): those at which intervals end.

    Parameters are as of `predict_grid`; the same generator gives its very ends.
    """
    levels = [abs(2 * probability - 1) for probability in probabilities]
    found = []
    for _, _, new in _target_blocks(predictor, theta, x, rng):
        lower, upper = central_intervals(new, levels)
        is_low = np.array(probabilities)[:, None] < 0.5
        found.append(np.where(is_low, lower, upper))
    return np.concatenate(found, axis=1)


def _target_blocks(
    predictor: Predictor, theta: np.ndarray, x: np.ndarray, start: np.random.Generator | None = None
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Yield mean (chain, draw, obs), noise_sd, of that shape or (chain, draw, 1), and new observations of some rows.

    Each block of rows begins with the generator as it was handed over, so that a draw has the same noise at every
    point: ends of intervals are then as smooth as the network. Without a generator there are no new observations.
    """
    shape = theta.shape[:2]
    flat = theta.reshape(-1, theta.shape[-1])
    for rows in row_blocks(len(x), 8 * len(flat)):
        rng = deepcopy(start)
        mean, noise_sd, new = [], [], [np.empty((0, rows.stop - rows.start))]
        for block in predictor.stream(flat, x[rows]):
            mean.append(block.value)
            noise_sd.append(np.asarray(block.noise_sd))
            if rng is not None:
                new.append(predictor.sample(block, rng, alike=True))
        drawn = np.concatenate(new).reshape(*shape, -1) if rng is not None else np.empty((*shape, 0))
        yield np.concatenate(mean).reshape(*shape, -1), np.concatenate(noise_sd).reshape(*shape, -1), drawn
