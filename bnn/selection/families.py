"""Which families of `likelihood.family` a real target could have, by the values that it takes."""

from collections.abc import Sequence

import numpy as np

from bnn.model.counts import has_zeros
from bnn.model.targets import wrong_values

SMALL_COUNT = 10.0
"""Whole numbers of which a tenth are at most so large are looked at as counts: of larger ones a normal distribution
says the same."""
DECADE = 10.0
"""Ratio of the largest to the smallest of positive values from which on logs are what is expected of them. Below it
they have to be better: of tables with normal noise about 20, values from 6 to 34, logs were taken on one in four."""
SPAN = 3.0
"""The same from which on logs are looked at: below it a log is nearly a straight line. Log score of folds, the best of
log-normal families beside the best of others (50 units, scale 2): -1.50 and -1.53 on mpg (12 to 44), -10.94 and -10.93
on HousePrices (25 to 190 thousand), -3.42 and -3.40 on Prestige (15 to 87), and -8.02 and -7.92 on birthwt (709 to
4990)."""
COUNTS = ("poisson", "negative_binomial")
"""Families of counts, the simplest first"""
NOISES = {
    "gaussian": ("gaussian", "student_t", "heteroscedastic", "heteroscedastic_student_t"),
    "log_normal": ("log_normal", "heteroscedastic_log_normal"),
    "logit_normal": ("logit_normal", "heteroscedastic_logit_normal"),
}
"""Family -> those that differ from it by their noise alone, the simplest first."""


def kind_of(family: str) -> str:
    """Return the family of normal noise that a family differs from by its noise alone; others stand for themselves."""
    return next((kind for kind, families in NOISES.items() if family in families), family)


def families_of(train: np.ndarray, beside: np.ndarray) -> Sequence[str]:
    """Return the families to compare for a target, what is expected of its values first.

    Parameters
    ----------
    train
        Training targets in the unit of their column, shape (obs,).
    beside
        Other values of the column: a family that cannot have them is out of the question. They say nothing else.

    Returns
    -------
    sequence of str
        One of them where the others are out of the question.
    """
    possible = (family for family in _of_training(train) if not wrong_values(family, beside).any())
    return tuple(possible) or ("gaussian",)


def _of_training(values: np.ndarray) -> Sequence[str]:
    slack = 1e-9 * max(1.0, float(np.abs(values).max(initial=0.0)))
    lowest, highest = float(values.min()), float(values.max())
    if lowest < -slack or highest <= slack:
        return ("gaussian",)
    if np.abs(values - np.rint(values)).max() <= slack:
        return (*COUNTS, "gaussian") if _are_small_counts(values) else _positive(values)
    if highest <= 1.0:
        return ("logit_normal", "gaussian")
    if has_zeros(np.abs(values) <= slack):
        return ("hurdle",)
    return _positive(values)


def _are_small_counts(train: np.ndarray) -> bool:
    # Two values are classes with a number for a name, and so may three be.
    return float(np.quantile(train, 0.1)) <= SMALL_COUNT and len(np.unique(train)) > 3


def _positive(values: np.ndarray) -> Sequence[str]:
    smallest = float(values.min())
    largest = float(values.max())
    if smallest <= 0 or largest < SPAN * smallest:
        return ("gaussian",)
    return ("log_normal", "gaussian") if largest >= DECADE * smallest else ("gaussian", "log_normal")
