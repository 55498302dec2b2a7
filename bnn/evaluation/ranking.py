"""How well probabilities rank rows of a class before all others: scores that do not hang on how common classes are.

Each takes weights of rows, so that a bootstrap over rows is one call: a replicate is a set of weights. A score is not a
number where a replicate has no row of the class, or no other; rows drawn within classes leave no such replicate.
"""

from collections.abc import Callable

import numpy as np

Score = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]
"""(score (obs,), positive (obs,) bool, weights (replicate, obs)) -> (replicate,)"""


def auroc(score: np.ndarray, positive: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the probability that a positive row has the larger score than another one, ties half.

    It is the area under the receiver operating characteristic (Hanley & McNeil 1982): 0.5 is chance, whatever the
    share of the positive rows.

    Parameters
    ----------
    score
        The larger, the likelier positive; shape (obs,).
    positive
        Shape (obs,), bool.
    weights
        Of the rows in each replicate, shape (replicate, obs).

    Returns
    -------
    ndarray
        Shape (replicate,); NaN where no weight is on a positive row, or none on another.
    """
    hits, others = _by_score(score, positive, weights)
    below = np.cumsum(others, axis=1) - others
    wins = (hits * (below + others / 2)).sum(axis=1)
    with np.errstate(invalid="ignore"):
        found = wins / (hits.sum(axis=1) * others.sum(axis=1))
    # A score that is perfect, or constant, in all replicates has no spread: rounding must not pass for one.
    return np.asarray(np.round(found, 12))


def average_precision(score: np.ndarray, positive: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the mean precision over the positive rows, each at its own score: the area under precision and recall.

    Precision is the share of positive rows among those of at least that score; nothing is interpolated. Chance is the
    share of positive rows. Parameters and result as in `auroc`, but that other rows need not be there.
    """
    hits, others = (side[:, ::-1] for side in _by_score(score, positive, weights))
    found = np.cumsum(hits, axis=1)
    asked = found + np.cumsum(others, axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        precision = np.where(asked > 0, found / asked, 0.0)
        return np.asarray((hits * precision).sum(axis=1) / found[:, -1])


def _by_score(score: np.ndarray, positive: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the weight of positive and of other rows at each distinct score, ascending; (replicate, score)."""
    _, group = np.unique(score, return_inverse=True)
    order = np.argsort(group, kind="stable")
    starts = np.flatnonzero(np.diff(group[order], prepend=-1))
    ordered, of_class = weights[:, order], positive[order]
    hits, others = (np.add.reduceat(ordered * side, starts, axis=1) for side in (of_class, ~of_class))
    return hits, others


def class_ranking(
    score: Score, probability: np.ndarray, y: np.ndarray, weights: np.ndarray, *, positive: int
) -> np.ndarray:
    """Return a score of class probabilities, of one class or, of more than two, the mean over classes.

    Parameters
    ----------
    score
        `auroc` or `average_precision`.
    probability
        Shape (obs, class).
    y
        Class indices, shape (obs,).
    weights
        Shape (replicate, obs).
    positive
        The class whose rows are to be found where there are two. Of more than two each is set against the rest,
        and classes count alike (macro average); those without a row in y have nothing to find, and do not count.

    Returns
    -------
    ndarray
        Shape (replicate,); NaN where it is not defined, and everywhere if a probability is not finite.
    """
    if not np.isfinite(probability).all():
        return np.full(len(weights), np.nan)
    n_classes = probability.shape[1]
    classes = [positive] if n_classes == 2 else np.unique(y)
    return np.mean([score(probability[:, k], y == k, weights) for k in classes], axis=0)


def balanced_accuracy(predicted: np.ndarray, y: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the mean over classes of the share of their rows that are predicted right (their recall).

    Chance is one over the number of classes, whatever their shares.

    Parameters
    ----------
    predicted, y
        Class indices, shape (obs,).
    weights
        Shape (replicate, obs).

    Returns
    -------
    ndarray
        Shape (replicate,); NaN where a class that is in y has no weight.
    """
    of_class = np.equal.outer(y, np.unique(y)).astype(np.float64)
    right = of_class * (predicted == y)[:, None]
    with np.errstate(invalid="ignore"):
        return np.asarray(((weights @ right) / (weights @ of_class)).mean(axis=1))
