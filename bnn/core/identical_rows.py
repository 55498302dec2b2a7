"""Rows of a table whose inputs are the same, and parts of a table that keep such rows together.

A row that is left out says nothing about new ones if the same inputs were seen in training: what was memorised
is then as good as what was understood.
"""

import math
from collections.abc import Iterable

import numpy as np

MOST_COPIES = 0.1
"""Part of the rows that may be copies of others without being left out"""
N_STRETCHES = 30
"""Of a table in the order of time, between which scores are taken to be independent"""
_FEWEST_IN_STRETCH = 4
FEWEST_DIFFERENT = 20
"""Rows that must be left without copies; fewer are hardly a table to learn from, and all are kept"""


def stretches(n_rows: int) -> np.ndarray:
    """Return the stretch of each row of a table in the order of time, (row,) int64: neighbours tell less than others.

    They are all of about one length; there are two at least.
    """
    n = min(N_STRETCHES, max(2, n_rows // _FEWEST_IN_STRETCH))
    return np.arange(n_rows) * n // max(1, n_rows)


def first_of_each(columns: Iterable[np.ndarray], n_rows: int) -> np.ndarray:
    """Return for each row the index of the first one that is the same in all columns, (row,) int64; often its own.

    Column by column, and only of rows that are not yet told apart from all others: in most tables two columns of
    numbers are enough, so that no copy of a large table is made.

    Parameters
    ----------
    columns
        Arrays of numbers, (row,); missing values (NaN) are the same.
    n_rows
        Length of each.
    """
    first = np.zeros(n_rows, dtype=np.int64)
    left = np.arange(n_rows)
    for place, column in enumerate(columns if n_rows else ()):
        values = column[left] if place else column
        if place:
            _, code = np.unique(values, return_inverse=True)
            values = first[left] * (int(code.max()) + 1) + code
        if _are_different(values):
            first[left] = left
            break
        _, start, group, count = np.unique(values, return_index=True, return_inverse=True, return_counts=True)
        first[left] = left[start][group]
        left = left[count[group] > 1]
        if not left.size:
            break
    return first


def _are_different(values: np.ndarray) -> bool:
    """Return whether no two values are the same, NaN included: sorting tells it in a tenth of the time of `unique`."""
    ordered = np.sort(values)  # NaN comes last
    return not (np.any(ordered[1:] == ordered[:-1]) or np.isnan(ordered[-2:-1]).any())


def are_copies(y: np.ndarray, is_repeat: np.ndarray) -> bool:
    """Return whether rows that are the same, real target and all, are copies of one measurement.

    Measurements repeated under the same conditions differ by their noise, and agree where the target has few values.
    So they are copies if most different rows have a target that no other has. Taken for measurements they would say
    that there is no noise: a network that goes through all of them is then as likely as can be. A few copies
    (`MOST_COPIES`) hardly say so, and are left alone.

    Parameters
    ----------
    y
        Real target, (row,).
    is_repeat
        (row,): whether the row is the same as an earlier one.
    """
    n_different = np.count_nonzero(~is_repeat)
    if n_different < FEWEST_DIFFERENT or np.mean(is_repeat) <= MOST_COPIES:
        return False
    counts = np.unique(y[~is_repeat], return_counts=True)[1]
    return bool(np.sum(counts == 1) > n_different / 2)


def taken_together(order: np.ndarray, first: np.ndarray, size: int) -> np.ndarray:
    """Return which of the rows in `order` to take, (row,) bool, so that as near to `size` of them as can be are.

    They are taken from the beginning, each with all that are the same; a group that would lead farther from `size` is
    left out. Where no rows are the same these are the first `size`.

    Parameters
    ----------
    order
        Indices of rows.
    first
        What `first_of_each` returns of the table that they index.
    size
        How many to take.
    """
    groups = first[order]
    sizes = np.bincount(groups)
    taken, left = set(), size
    for group in dict.fromkeys(groups.tolist()):
        if abs(left - sizes[group]) < abs(left):
            taken.add(group)
            left -= int(sizes[group])
    return np.isin(groups, list(taken))


def gathered(order: np.ndarray, first: np.ndarray) -> np.ndarray:
    """Return `order` with all rows that are the same moved up to the first of them."""
    _, start, group = np.unique(first[order], return_index=True, return_inverse=True)
    return order[np.argsort(start[group], kind="stable")]


def divided(
    order: np.ndarray, first: np.ndarray, n_folds: int, *, in_order: bool, groups: np.ndarray | None
) -> list[np.ndarray]:
    """Return the rows in `order` as parts that are left out as the test rows of their table were.

    Parameters
    ----------
    order
        Indices of rows, at random.
    first
        What `first_of_each` returns of the table that they index.
    n_folds
        Number of parts.
    in_order
        Whether rows follow each other in time: a part is then a stretch of them, else their neighbours would tell.
    groups
        Number of the group of each row of the table, whose rows stay together; None if there are none.
    """
    if in_order:
        return np.array_split(np.sort(order), n_folds)
    return folds(order, first if groups is None else groups, n_folds)


def folds(order: np.ndarray, first: np.ndarray, n_folds: int) -> list[np.ndarray]:
    """Return the rows in `order` as parts of about one size, none of which has rows that are the same as another's.

    As `numpy.array_split` where no rows are the same, and where there are fewer different ones than parts.
    """
    left, parts = order, []
    for n_parts in range(n_folds, 1, -1):
        is_own = taken_together(left, first, math.ceil(len(left) / n_parts))
        parts.append(left[is_own])
        left = left[~is_own]
    parts.append(left)
    return parts if all(part.size for part in parts) else np.array_split(order, n_folds)
