"""Scores of predictions against what was observed: plain arrays in, plain numbers out.

Nothing is clipped and no row is skipped: a probability of exactly 0 for the class that came gives an infinite
`nll`, and a non-finite prediction gives a non-finite score, so that the reader sees it.
"""

import math
from typing import NamedTuple

import numpy as np

from bnn.posterior.mixture import gaussian_log_density
from bnn.posterior.predictive import predicted_class

ECE_BINS = 15
"""Number of equal-width bins of confidence in `ece` and `reliability` (Guo et al. 2017 use 15)."""

BIASED = ("ece",)
"""Scores that lie above what they estimate, the more so the less sure a model is and the fewer the rows, as their
bootstrap replicates do once more: no interval of their differences says which model is better."""


class Reliability(NamedTuple):
    """Confidence and accuracy in each bin of confidence; NaN where a bin is empty."""

    confidence: np.ndarray
    """(bin,): mean probability of the predicted class"""
    accuracy: np.ndarray
    """(bin,): fraction of rows whose predicted class is the true one"""
    n_rows: np.ndarray
    """(bin,): rows"""


def _check_classes(probability: np.ndarray, y: np.ndarray) -> None:
    if probability.ndim != 2 or y.shape != probability.shape[:1]:
        raise ValueError(
            f"probability has shape {probability.shape} and y {y.shape}; expected (obs, class) and (obs,)"
        )
    if y.size == 0:
        raise ValueError("no rows to score")
    if y.min() < 0 or y.max() >= probability.shape[1]:
        raise ValueError(
            f"class indices run from {y.min()} to {y.max()}; there are {probability.shape[1]} classes"
        )


def _check_same_shape(**arrays: np.ndarray) -> None:
    shapes = {name: np.shape(array) for name, array in arrays.items()}
    if len(set(shapes.values())) != 1:
        raise ValueError("shapes differ: " + ", ".join(f"{name} {shape}" for name, shape in shapes.items()))
    if 0 in next(iter(shapes.values())):
        raise ValueError("no rows to score")


def accuracy(probability: np.ndarray, y: np.ndarray) -> float:
    """Return the fraction of rows whose most probable class is the true one.

    Parameters
    ----------
    probability
        Shape (obs, class).
    y
        Class indices, shape (obs,).

    Raises
    ------
    ValueError
        If the shapes do not fit, there are no rows, or an index names no class; so do all scores of classes.
    """
    _check_classes(probability, y)
    if not np.isfinite(probability).all():
        return math.nan
    return float(np.mean(predicted_class(probability) == y))


def nll(probability: np.ndarray, y: np.ndarray) -> float:
    """Return the mean negative log probability of the true class, in nats; infinite if one of them is 0.

    Parameters
    ----------
    probability
        Shape (obs, class).
    y
        Class indices, shape (obs,).
    """
    _check_classes(probability, y)
    with np.errstate(divide="ignore"):
        return float(-np.log(probability[np.arange(len(y)), y]).mean(dtype=np.float64))


def brier(probability: np.ndarray, y: np.ndarray) -> float:
    """Return the Brier score: the mean over rows of the sum over all classes of (probability - one-hot)^2.

    It lies between 0 and 2 (Brier 1950); for two classes it is twice the score that uses one class only.

    Parameters
    ----------
    probability
        Shape (obs, class).
    y
        Class indices, shape (obs,).
    """
    _check_classes(probability, y)
    one_hot = np.eye(probability.shape[1])[y]
    return float(((probability - one_hot) ** 2).sum(axis=1).mean())


def confidence_bins(probability: np.ndarray, n_bins: int = ECE_BINS) -> np.ndarray:
    """Return the bin of confidence of each row, of bins of equal width that hold their right edge; (obs,) int."""
    edges = np.linspace(0.0, 1.0, n_bins + 1)[1:-1]
    return np.searchsorted(edges, probability.max(axis=1).astype(np.float64), side="left")


def reliability(probability: np.ndarray, y: np.ndarray, n_bins: int = ECE_BINS) -> Reliability:
    """Return how often the predicted class was right, by the confidence in it.

    Parameters
    ----------
    probability
        Shape (obs, class).
    y
        Class indices, shape (obs,).
    n_bins
        Bins of equal width over 0..1; a bin holds its right edge.
    """
    _check_classes(probability, y)
    confidence = probability.max(axis=1).astype(np.float64)
    correct = predicted_class(probability) == y
    index = confidence_bins(probability, n_bins)
    count = np.bincount(index, minlength=n_bins)
    with np.errstate(invalid="ignore"):
        mean_confidence = np.bincount(index, weights=confidence, minlength=n_bins) / count
        fraction_correct = np.bincount(index, weights=correct, minlength=n_bins) / count
    return Reliability(mean_confidence, fraction_correct, count)


def ece(probability: np.ndarray, y: np.ndarray, n_bins: int = ECE_BINS) -> float:
    """Return the expected calibration error: the mean over rows of ``|accuracy - confidence|`` of the row's bin.

    Confidence is the probability of the predicted class, in `n_bins` bins of equal width (Guo et al. 2017).

    Parameters
    ----------
    probability
        Shape (obs, class).
    y
        Class indices, shape (obs,).
    n_bins
        Number of bins.
    """
    if not np.isfinite(probability).all():
        return math.nan
    bins = reliability(probability, y, n_bins)
    filled = bins.n_rows > 0
    gap = np.abs(bins.accuracy[filled] - bins.confidence[filled])
    return float((gap * bins.n_rows[filled]).sum() / len(y))


def classification_report(
    y: np.ndarray, predicted: np.ndarray, class_names: tuple[str, ...]
) -> list[dict[str, str | float | int]]:
    """Return precision, recall, F1 and support (rows of y) of every class.

    A ratio whose denominator is 0 (a class never predicted, or not present) is given as 0.

    Parameters
    ----------
    y, predicted
        Class indices, shape (obs,).
    class_names
        Name of each class.
    """
    _check_same_shape(y=y, predicted=predicted)
    rows: list[dict[str, str | float | int]] = []
    for index, name in enumerate(class_names):
        hit = int(np.sum((y == index) & (predicted == index)))
        n_predicted, support = int(np.sum(predicted == index)), int(np.sum(y == index))
        rows.append(
            {
                "class": name,
                "precision": hit / n_predicted if n_predicted else math.nan,
                "recall": hit / support if support else math.nan,
                "f1": 2 * hit / (n_predicted + support) if n_predicted + support else math.nan,
                "support": support,
            }
        )
    return rows


def rmse(mean: np.ndarray, y: np.ndarray) -> float:
    """Return the root of the mean squared error, in the unit of y; both shape (obs,)."""
    _check_same_shape(mean=mean, y=y)
    return math.sqrt(np.mean((mean - y) ** 2))


def mae(mean: np.ndarray, y: np.ndarray) -> float:
    """Return the mean absolute error, in the unit of y; both shape (obs,)."""
    _check_same_shape(mean=mean, y=y)
    return float(np.mean(np.abs(mean - y)))


def r2(mean: np.ndarray, y: np.ndarray) -> float:
    """Return 1 - (squared error / squared deviation of y from its own mean); NaN where y does not vary."""
    _check_same_shape(mean=mean, y=y)
    total = float(np.sum((y - y.mean()) ** 2))
    return 1.0 - float(np.sum((mean - y) ** 2)) / total if total else math.nan


def gaussian_nll(mean: np.ndarray, scale: np.ndarray | float, y: np.ndarray) -> float:
    """Return the mean negative log density in nats under normal predictive distributions.

    Parameters
    ----------
    mean, y
        Shape (obs,), in one unit.
    scale
        Standard deviation in that unit, a number or shape (obs,).
    """
    _check_same_shape(mean=mean, y=y)
    return float(-gaussian_log_density(mean, scale, y).mean())


def sample_crps(draws: np.ndarray, y: np.ndarray) -> float:
    """Return the mean CRPS of the empirical distributions of draws, in the unit of y.

    Parameters
    ----------
    draws
        Shape (draw, obs).
    y
        Shape (obs,).
    """
    _check_same_shape(y=y, draw=draws[0])
    return float(crps_of_sorted(np.sort(draws, axis=0), y).mean())


def crps_of_sorted(ordered: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return the CRPS of each row from draws in ascending order; (draw, obs) and (obs,) -> (obs,).

    ``E|X - y| - E|X - X'| / 2`` over all pairs of draws (Gneiting & Raftery 2007, eq. 21). With sorted draws
    ``x_(i)``, i = 1..n, half the mean over pairs is ``sum_i (2i - n - 1) x_(i) / n^2``, so nothing is quadratic in
    n. For n independent draws its expectation is the CRPS of the sampled distribution plus ``E|X - X'| / (2n)``.
    """
    n = len(ordered)
    weight = (2.0 * np.arange(1, n + 1) - n - 1) / n**2
    # Centred on the observation: a mean that is large beside the spread would cost digits.
    centred = ordered - y
    return np.asarray(np.abs(centred).mean(axis=0) - weight @ centred)


def is_inside(
    lower: np.ndarray, upper: np.ndarray, y: np.ndarray, *, pit: np.ndarray | None = None, level: float = 0.0
) -> np.ndarray:
    """Return whether each y is inside its interval, ends included; all shape (obs,), bool.

    A value that is exactly an end, as zeros and counts often are, has a probability of its own, and an interval that
    holds all of it holds more than its share. Where its `pit` is given, that of a randomised probability integral
    transform, it counts as inside if that is within `level`: right predictions then cover what they say.
    """
    _check_same_shape(lower=lower, upper=upper, y=y)
    inside = (lower <= y) & (y <= upper)
    if pit is None:
        return inside
    return np.where((y == lower) | (y == upper), np.abs(pit - 0.5) <= level / 2, inside)


def coverage(
    lower: np.ndarray, upper: np.ndarray, y: np.ndarray, *, pit: np.ndarray | None = None, level: float = 0.0
) -> float:
    """Return the fraction of y inside its interval; parameters as of `is_inside`."""
    if not (np.isfinite(lower).all() and np.isfinite(upper).all()):
        return math.nan
    return float(np.mean(is_inside(lower, upper, y, pit=pit, level=level)))


def mean_width(lower: np.ndarray, upper: np.ndarray) -> float:
    """Return the mean of upper - lower, in their unit; both shape (obs,)."""
    _check_same_shape(lower=lower, upper=upper)
    return float(np.mean(upper - lower))


def pit_of_rows(draws: np.ndarray, y: np.ndarray, first: int) -> np.ndarray:
    """Return the randomised probability integral transform of some rows, draws (draw, obs), y (obs,) -> (obs,).

    Where draws are the same as y, as counts and zeros are, a part of them counts as below that is uniform over the
    rows: that of right predictions is then uniform (Czado, Gneiting & Held 2009). `first` is the number of the first
    row, by which the part is the same in every call.
    """
    below, same = (draws < y).sum(axis=0), (draws == y).sum(axis=0)
    # Half a draw on either side: an observation beyond all draws is unlikely, not impossible.
    return np.asarray((below + _parts(len(y), first) * same + 0.5) / (len(draws) + 1))


def _parts(n_rows: int, first: int) -> np.ndarray:
    """Return numbers in [0, 1) that any rows are spread evenly by: multiples of the golden ratio (Weyl 1916)."""
    return np.asarray((np.arange(first + 1, first + n_rows + 1) * (math.sqrt(5) - 1) / 2) % 1.0)
