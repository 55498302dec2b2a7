"""Mean and standard deviation of a column, not of a few gross errors in it.

One value a thousand times the others among 300 moves the mean beyond all of them and makes the standard deviation
some fifty times theirs: in such units all rows but one are the same.
"""

import math

import numpy as np

FAR = 10.0
"""Scales of the middle of a column beyond which a value is no part of it. Of a normal column none is; of Student's t
with three degrees of freedom one in 700, but those are too few and too near to count, see `LEAST_RATIO`."""
FAR_IN_LOGS = 5.0
"""The same for logs of a column of positive numbers: values over several decades are far from the middle as they are,
and not in logs."""
LARGEST_SHARE = 0.05
"""Of rows that may be gross errors; more are a part of what the column is."""
LEAST_RATIO = 3.0
"""By which values that are left out must raise the standard deviation. Below it the units are not ruined: Student's t
with three degrees of freedom, Laplace and exponential columns stay below, and a model with heavy tails takes them as
they are."""
_FEWEST_NEAR = 0.77
"""Of rows that lie within a standard deviation of the mean where there are gross errors. With a share of them of p at
most 0.05 the mean is within sqrt(p / (1 - p)) = 0.23 standard deviations of that of the others, whose own standard
deviation is less than a third: by Chebyshev's inequality 0.95 (1 - 1 / (9 * 0.77^2)) = 0.772 of the rows are near."""
_TENTH = 1.2816
"""Quantile 0.9 of a standard normal"""


def gross_errors(values: np.ndarray, *, far_in_logs: float = FAR_IN_LOGS) -> np.ndarray:
    """Return which values are gross errors, that is, would ruin mean and standard deviation; (row,) bool.

    They are more than `FAR` scales from the median, and of positive columns more than `far_in_logs` in logs. The scale
    is that of the middle four fifths of the rows, which 5 % of errors hardly move, and which is not zero where half of
    the values are. There are none if they would be more than `LARGEST_SHARE` of the rows, or if with them the standard
    deviation is no more than `LEAST_RATIO` times that of the others.

    Parameters
    ----------
    values
        Shape (row,), without missing ones.
    far_in_logs
        As `FAR_IN_LOGS`.
    """
    none = np.zeros(len(values), dtype=bool)
    with np.errstate(
        over="ignore", invalid="ignore"
    ):  # of values near the largest number, whose squares are none
        away = values - values.mean()
        np.abs(away, out=away)
        spread = math.sqrt(away @ away / len(values))
        # Of most columns that tells it, in a tenth of the time that quantiles take.
        if np.count_nonzero(away <= spread) < _FEWEST_NEAR * len(values) and spread < math.inf:
            return none
        del away
        is_far = _is_far(values, FAR)
        if is_far.any() and values.min() > 0:
            is_far &= _is_far(np.log(values), far_in_logs)
        if not 0 < np.count_nonzero(is_far) <= LARGEST_SHARE * len(values):
            return none
        return none if spread <= LEAST_RATIO * values[~is_far].std() else is_far


def mean_and_scale(values: np.ndarray) -> tuple[float, float]:
    """Return mean and standard deviation (divisor n) of the values without gross errors, shape (row,).

    The scale is 1 where it is too small to be a number. Without gross errors both are what NumPy makes of all values,
    to the last bit.
    """
    is_gross = gross_errors(values)
    kept = values[~is_gross] if is_gross.any() else values
    return float(kept.mean()), float(kept.std()) or 1.0


def _is_far(values: np.ndarray, limit: float) -> np.ndarray:
    low, middle, high = np.quantile(values, (0.1, 0.5, 0.9))
    scale = (high - low) / (2 * _TENTH)
    return np.abs(values - middle) > limit * scale if scale > 0 else np.zeros(len(values), dtype=bool)
