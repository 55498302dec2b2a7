"""Conformal calibration: what level of a predictive distribution holds what it promises, by rows left out of the fit.

A row that was left out has a conformity score: of a real target the level of the smallest central interval that holds
it (distributional conformal prediction, Chernozhukov, Wüthrich & Zhu 2021), of a class the probability of the classes
that are more probable (adaptive prediction sets, Romano, Sesia & Candès 2020). The k-th smallest score of n, with
k = ceil((n + 1) level), is the limit: were a new row exchangeable with those, it would score at most that with the
probability `level` at least (Vovk, Gammerman & Shafer 2005).
"""

import math
from collections.abc import Sequence
from fractions import Fraction

import numpy as np


def rank(n_scores: int, level: float) -> int:
    """Return ceil((n + 1) level) in exact arithmetic, of a level as it is written: 0.9 is nine tenths.

    In floating point nine scores at a level of 0.9 can have the rank 10, one too high, and 0.8 such cases too.

    Parameters
    ----------
    n_scores
        Number n of scores.
    level
        Probability with which a new score is to be among the lowest.
    """
    return math.ceil((n_scores + 1) * Fraction(str(level)))


def limits(scores: np.ndarray, levels: Sequence[float]) -> np.ndarray:
    """Return the score that new rows keep to with each probability, (level,).

    Parameters
    ----------
    scores
        Conformity scores of rows left out, (obs,); infinite where all would have to be allowed for.
    levels
        Probabilities.

    Returns
    -------
    ndarray
        Infinite where there are too few scores for a level.
    """
    ordered = np.append(np.sort(scores), np.inf)
    return ordered[[min(rank(len(scores), level), len(ordered)) - 1 for level in levels]]


def interval_scores(draws: np.ndarray, y: np.ndarray, parts: np.ndarray) -> np.ndarray:
    """Return the level of the smallest central interval that holds each value, (obs,).

    It inverts `bnn.posterior.predictive.intervals_of_sorted`, beyond the outermost draws too, where it is above 1. The
    lower end of an interval is the quantile (1 - level)/2.

    Parameters
    ----------
    draws
        New observations of each row, (draw, obs), two draws at least.
    y
        The values, (obs,).
    parts
        Numbers in [0, 1), (obs,), uniform at random: where several draws are the same as y, as counts and zeros are, it
        stands at that part of them, so that scores of right predictions are uniform.

    Returns
    -------
    ndarray
        Infinite where all draws are the same and y is another value, and where something is not a number.
    """
    ordered = np.sort(draws, axis=0)
    last = len(ordered) - 1
    below, same = (ordered < y).sum(axis=0), (ordered == y).sum(axis=0)
    rows = np.arange(len(y))
    left, right = ordered[np.clip(below - 1, 0, last), rows], ordered[np.minimum(below, last), rows]
    with np.errstate(divide="ignore", invalid="ignore"):
        between = below - 1 + (y - left) / (right - left)
        position = np.where(same > 0, below + parts * (same - 1), between) / last
        beyond = np.maximum(ordered[0] - y, y - ordered[-1]) / (ordered[-1] - ordered[0])
        scores = np.where(beyond > 0, 1 + beyond, np.abs(2 * position - 1))
    return np.where(np.isnan(scores), np.inf, scores)


def set_scores(probability: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return the probability of all classes that are more probable than the true one, (obs,).

    Parameters
    ----------
    probability
        Shape (obs, class).
    y
        Class indices, (obs,).

    Returns
    -------
    ndarray
        Zero where the true class is the most probable one; infinite where something is not a number.
    """
    scores = _more_probable(probability)[np.arange(len(y)), y]
    return np.where(np.isfinite(probability).all(axis=1), scores, np.inf)


def label_sets(probability: np.ndarray, limit: float) -> np.ndarray:
    """Return which classes are in the label set of each row, (obs, class) bool: those that score at most `limit`.

    The most probable class scores 0, so that no set is empty.

    Parameters
    ----------
    probability
        Shape (obs, class).
    limit
        From 0; infinite: all classes.
    """
    return np.asarray(_more_probable(probability) <= limit)


def _more_probable(probability: np.ndarray) -> np.ndarray:
    """Return for each class the sum of the probabilities that are greater than its own, (obs, class)."""
    # Sorted, not compared pair by pair: there may be many classes.
    order = np.argsort(-probability, axis=1, kind="stable")
    ordered = np.take_along_axis(probability, order, axis=1)
    before = np.cumsum(ordered, axis=1) - ordered
    before[:, 0] = 0.0
    # Equally probable classes go together: each has the sum before the first of them.
    for place in range(1, before.shape[1]):
        tied = ordered[:, place] == ordered[:, place - 1]
        before[tied, place] = before[tied, place - 1]
    found = np.empty_like(before)
    np.put_along_axis(found, order, before, axis=1)
    return found
