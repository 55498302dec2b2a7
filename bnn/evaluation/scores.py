"""Scores of forecasts; those of the Bayesian network with their Monte Carlo standard errors.

A Monte Carlo error says how far a score would differ with other draws of the same posterior. It is found by leaving out
blocks of draws in turn (the jackknife).
"""

import math
from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np

from bnn.evaluation import metrics, ranking
from bnn.evaluation.forecasts import TargetForecast
from bnn.posterior.mixture import log_mean_exp
from bnn.posterior.posterior_file import PREDICTIONS, StoredPosterior, log_density_of_rows
from bnn.posterior.predictive import intervals_of_sorted

LEVELS = (0.5, 0.9, 0.95)
"""What the central intervals hold whose coverage and width are scores."""

SHARES = ("accuracy", *(f"coverage_{100 * level:.0f}" for level in LEVELS))
"""Scores that are shares of rows."""

_BLOCKS_PER_CHAIN = 5
_ROWS_AT_ONCE = 256

Scores = dict[str, float]


def rows_that_count(share: float, error: float, clusters: np.ndarray | None, n_rows: int) -> float:
    """Return of how many independent rows a share would have its standard error; all of them without clusters.

    Parameters
    ----------
    share, error
        The share, and its standard error over clusters, see `bnn.evaluation.bootstrap.row_weights`.
    clusters
        What each row belongs to, (obs,), or None.
    n_rows
        How many there are.
    """
    variance = share * (1 - share)
    if clusters is None or not error >= 0:
        return n_rows
    if variance == 0:
        return len(np.unique(clusters))
    return float(np.clip(variance / max(error**2, 1e-300), 1.0, n_rows))


def share_interval(share: float, n_rows: float, level: float) -> dict[str, float]:
    """Return the ends `lower` and `upper` of the exact binomial interval of a share (Clopper & Pearson 1934).

    Unlike a bootstrap over rows it knows that a share of all rows in few is not certain.

    Parameters
    ----------
    share
        In [0, 1]; if it is not a number, the ends are none, either.
    n_rows
        Of how many rows, which need not be a whole number.
    level
        What the interval holds at least, such as 0.95.
    """
    from scipy.special import betaincinv  # slow to import, and not all that import this module need it

    if math.isnan(share):
        return {"lower": math.nan, "upper": math.nan}
    hits, tail = share * n_rows, (1 - level) / 2
    if isinstance(n_rows, int):
        hits = round(hits)
    lower = betaincinv(hits, n_rows - hits + 1, tail) if hits else 0.0
    upper = betaincinv(hits + 1, n_rows - hits, 1 - tail) if hits < n_rows else 1.0
    return {"lower": float(lower), "upper": float(upper)}


def class_scores(probability: np.ndarray, y: np.ndarray, *, positive: int) -> Scores:
    """Return all scores of class probabilities; (obs, class) and class indices (obs,).

    `positive` is the class that is to be found where there are two, see `bnn.evaluation.ranking.class_ranking`.
    """
    found = {
        "accuracy": metrics.accuracy(probability, y),
        "nll": metrics.nll(probability, y),
        "brier": metrics.brier(probability, y),
        "ece": metrics.ece(probability, y),
    }
    once = np.ones((1, len(y)))
    return found | {
        name: float(values[0]) for name, values in prevalence_scores(probability, y, once, positive).items()
    }


def prevalence_scores(
    probability: np.ndarray, y: np.ndarray, weights: np.ndarray, positive: int
) -> dict[str, np.ndarray]:
    """Return the scores that a model does not win by betting on the commonest class, under each set of weights.

    Parameters
    ----------
    probability
        Shape (obs, class).
    y
        Class indices, (obs,).
    weights
        Shape (replicate, obs).
    positive
        As in `class_scores`.

    Returns
    -------
    dict
        Score -> (replicate,).
    """
    finite = np.isfinite(probability).all()
    predicted = metrics.predicted_class(probability)
    found = {
        name: ranking.class_ranking(score, probability, y, weights, positive=positive)
        for name, score in (("auroc", ranking.auroc), ("average_precision", ranking.average_precision))
    }
    balanced = ranking.balanced_accuracy(predicted, y, weights)
    return {"balanced_accuracy": balanced if finite else np.full(len(weights), np.nan)} | found


def target_scores(
    y: np.ndarray,
    *,
    mean: np.ndarray,
    sd: np.ndarray,
    nll: float,
    crps: float,
    lower: np.ndarray,
    upper: np.ndarray,
    pit: np.ndarray | None = None,
) -> Scores:
    """Return all scores of a regression.

    `nll_gaussian` is that of the normal distribution of the predictive mean and standard deviation, by which papers
    compare; `nll` that of the predictive distribution itself.

    Parameters
    ----------
    y
        Shape (obs,).
    mean, sd
        Of the predictive distribution, (obs,).
    nll, crps
        Of the predictive distribution, means over the rows.
    lower, upper
        Ends of the intervals of `LEVELS`, (level, obs).
    pit
        Randomised probability integral transform, (obs,): see `metrics.is_inside`.
    """
    scores = {
        "rmse": metrics.rmse(mean, y),
        "mae": metrics.mae(mean, y),
        "r2": metrics.r2(mean, y),
        "nll": nll,
        "nll_gaussian": metrics.gaussian_nll(mean, sd, y),
        "crps": crps,
    }
    for level, low, high in zip(LEVELS, lower, upper, strict=True):
        scores[f"coverage_{100 * level:.0f}"] = metrics.coverage(low, high, y, pit=pit, level=level)
        scores[f"width_{100 * level:.0f}"] = metrics.mean_width(low, high)
    return scores


def forecast_scores(forecast: TargetForecast, y: np.ndarray) -> Scores:
    """Return all scores of a forecast of a real target, observed values (obs,)."""
    ends = [forecast.interval(level) for level in LEVELS]
    return target_scores(
        y,
        mean=forecast.mean,
        sd=forecast.sd,
        nll=float(forecast.nll.mean()),
        crps=float(forecast.crps.mean()),
        lower=np.stack([lower for lower, _ in ends]),
        upper=np.stack([upper for _, upper in ends]),
        pit=forecast.pit,
    )


def posterior_class_scores(
    idata: StoredPosterior, split: str, y: np.ndarray, *, positive: int
) -> dict[str, Any]:
    """Return score -> {"value", "mcse"} of the Bayesian network; y and positive as in `class_scores`."""
    probability = idata[PREDICTIONS[split]]["probability"]
    blocks = jackknife_blocks(*probability.shape[:2])
    parts = [
        block_means(np.asarray(probability[:, :, start : start + _ROWS_AT_ONCE]), blocks)
        for start in range(0, len(y), _ROWS_AT_ONCE)
    ]
    return _with_mcse([class_scores(mean, y, positive=positive) for mean in np.concatenate(parts, axis=1)])


def posterior_target_scores(idata: StoredPosterior, split: str, y: np.ndarray) -> dict[str, Any]:
    """Return score -> {"value", "mcse"} of the Bayesian network; y (obs,) in original units."""
    group = idata[PREDICTIONS[split]]
    drawn, noise_sd = group["y"], group["noise_sd"]
    log_density = log_density_of_rows(idata, split)
    blocks = jackknife_blocks(*drawn.shape[:2])
    n_variants = len(_variants(blocks))
    centre, variance, density, crps = (np.empty((n_variants, len(y))) for _ in range(4))
    if noise_sd.ndim == 2:
        noise_sd = np.broadcast_to(np.asarray(noise_sd)[..., None], (*noise_sd.shape, len(y)))
    ends = np.empty((n_variants, 2, len(LEVELS), len(y)))
    pit = np.empty(len(y))
    for start in range(0, len(y), _ROWS_AT_ONCE):
        rows = slice(start, start + _ROWS_AT_ONCE)
        mean, density_of_draws = np.asarray(group["mean"][:, :, rows]), np.asarray(log_density[:, :, rows])
        centre[:, rows] = block_means(mean, blocks)
        # Deviations from the mean of all draws: squares of the means themselves would cost digits.
        deviation = mean - centre[0, rows]
        noise = np.square(np.asarray(noise_sd[:, :, rows]), dtype=np.float64)
        variance[:, rows] = block_means(deviation**2 + noise, blocks) - block_means(deviation, blocks) ** 2
        density[:, rows] = log_mean_exp(density_of_draws, (0, 1), mean=partial(block_means, blocks=blocks))
        new = np.asarray(drawn[:, :, rows])
        pit[rows] = metrics.pit_of_rows(new.reshape(-1, new.shape[-1]), y[rows], start)
        for variant, ordered in enumerate(_sorted_draws(new, blocks)):
            crps[variant, rows] = metrics.crps_of_sorted(ordered, y[rows])
            ends[variant, :, :, rows] = intervals_of_sorted(ordered, LEVELS)
    return _with_mcse(
        [
            target_scores(
                y,
                mean=centre[variant],
                sd=np.sqrt(variance[variant]),
                nll=float(-density[variant].mean()),
                crps=float(crps[variant].mean()),
                lower=ends[variant, 0],
                upper=ends[variant, 1],
                pit=pit,
            )
            for variant in range(n_variants)
        ]
    )


def jackknife_blocks(n_chains: int, n_draws: int) -> np.ndarray:
    """Return the block of each draw, shape (chain, draw): five runs of successive draws per chain.

    Successive draws resemble each other, so they are left out together; the error then counts their
    autocorrelation as long as that is short beside a block.
    """
    n_blocks = min(_BLOCKS_PER_CHAIN, n_draws)
    return np.arange(n_chains)[:, None] * n_blocks + np.arange(n_draws) * n_blocks // n_draws


def jackknife_mcse(left_out: np.ndarray) -> float | None:
    """Return the standard error of an estimate from its values with one block left out each.

    sqrt((g - 1)/g sum_b (value_b - mean)^2) for g blocks (Efron & Stein 1981). It is 0 where no block matters,
    as for an accuracy that no block changes; None for fewer than two blocks.

    Parameters
    ----------
    left_out
        Shape (block,).
    """
    g = len(left_out)
    if g < 2:
        return None
    if not np.isfinite(left_out).all():
        return float("nan")
    deviation = left_out - left_out[0]  # exactly 0 where no block matters; a mean may be off by rounding
    return float(np.sqrt((g - 1) / g * np.sum((deviation - deviation.mean()) ** 2)))


def block_means(values: np.ndarray, blocks: np.ndarray) -> np.ndarray:
    """Return means over all draws, then over all but each block; (chain, draw, ...) -> (variant, ...).

    They are sums of sums of blocks: taking a block off the total would lose small means to rounding.
    """
    n_blocks = int(blocks.max()) + 1
    sums = np.stack([values[blocks == block].sum(axis=0, dtype=np.float64) for block in range(n_blocks)])
    holds = np.stack([np.bincount(blocks[kept], minlength=n_blocks) for kept in _variants(blocks)])
    return np.tensordot((holds > 0) / holds.sum(axis=1, keepdims=True), sums, axes=1)


def _with_mcse(variants: list[Scores]) -> dict[str, dict[str, float | None]]:
    """Return value and error of each score from its variants, see `_variants`."""
    return {
        name: {"value": value, "mcse": jackknife_mcse(np.array([scores[name] for scores in variants[1:]]))}
        for name, value in variants[0].items()
    }


def _variants(blocks: np.ndarray) -> list[np.ndarray]:
    """Return which draws to keep, each (chain, draw) bool: all, then all but one block (if there are two or more)."""
    n_blocks = int(blocks.max()) + 1
    return [blocks >= 0] + [blocks != block for block in range(n_blocks) if n_blocks > 1]


def _sorted_draws(values: np.ndarray, blocks: np.ndarray) -> Iterator[np.ndarray]:
    """Yield the draws of each variant in ascending order; (chain, draw, obs) -> (kept draw, obs). It sorts once."""
    by_row = values.reshape(blocks.size, -1).T.astype(np.float64)
    order = np.argsort(by_row, axis=1)
    ordered, block = np.take_along_axis(by_row, order, axis=1), blocks.ravel()[order]
    yield ordered.T
    for left_out in range(len(_variants(blocks)) - 1):
        yield ordered[block != left_out].reshape(len(by_row), -1).T
