"""Which rows train and which test: at random, by time, by group, or as a column says."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple, Self

import numpy as np

from bnn.core.errors import DataError, listing, shown
from bnn.core.identical_rows import taken_together
from bnn.data.row_numbers import RowNumbers
from bnn.data.times import read_times

MIN_TRAIN_ROWS = 5
MIN_TEST_ROWS = 2
_MOST_OFF = 0.1
"""Part of its size by which a test part may differ from what was asked for, so that rows with the same inputs stay
together"""


class Rows(NamedTuple):
    """What a split needs to know of a table."""

    y: np.ndarray
    """(row,): class index, or the target"""
    class_names: tuple[str, ...]
    """() for regression"""
    target_name: str
    column: np.ndarray | None
    """(row,): float64 or str, values of the column that the split names; None if it names none"""
    first_row: int | RowNumbers = 0
    """Number of the first row in messages"""
    decimal: str = "."
    """What stands before the fraction of a number in the table"""
    first: np.ndarray | None = None
    """(row,): index of the first row with the same inputs, see `bnn.core.identical_rows`; None: all are different"""

    def of(self, used: np.ndarray) -> Self:
        """Return some of the rows, by their indices; the first of those with the same inputs are among them."""
        first = None if self.first is None else np.searchsorted(used, self.first[used])
        return self._replace(y=self.y[used], first=first)


def split_rows(
    rows: Rows, split: Mapping[str, Any], *, used: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Deal the rows out.

    Parameters
    ----------
    rows
        The table.
    split
        The section `split` of the config. `method: random` is scikit-learn's `train_test_split` with
        `random_state=seed`, `group` its `GroupShuffleSplit`. Rows with the same inputs are then put on one side where
        that can be done, see `_together`.
    used
        Indices of the rows to deal out, increasing; None: all.

    Returns
    -------
    row_train, row_test
        Indices of rows; those of a split in time are in its order.

    Raises
    ------
    DataError
        If a part would be too small to learn from or to be judged by; the message says what to change.
    """
    if split["method"] == "random":
        row_train, row_test = _random(rows if used is None else rows.of(used), split)
        if used is not None:
            row_train, row_test = used[row_train], used[row_test]
    else:
        dealt = {"time": _time, "group": _group, "column": _column}[split["method"]]
        row_train, row_test = dealt(rows, split)
        if used is not None:
            row_train, row_test = (part[np.isin(part, used)] for part in (row_train, row_test))
    _check_sizes(len(row_train), len(row_test), _what(split, len(rows.y)))
    check_target(rows, row_train)
    return row_train, row_test


def check_size(n_rows: int, part: Literal["train", "test"]) -> None:
    """Raise DataError if a file of one part alone has too few rows."""
    least = MIN_TRAIN_ROWS if part == "train" else MIN_TEST_ROWS
    if n_rows < least:
        rows = "row" if n_rows == 1 else "rows"
        raise DataError(
            "too-few-rows",
            f"the file has {n_rows} {rows} to {part}, but at least {least} are needed; add rows",
        )


def check_target(rows: Rows, row_train: np.ndarray) -> None:
    """Raise DataError if the train part has no row of a class, or one value of the target alone."""
    y = rows.y[row_train]
    if rows.class_names:
        absent = np.setdiff1d(np.arange(len(rows.class_names)), y)
        if absent.size:
            names = listing([f"'{rows.class_names[index]}'" for index in absent])
            # A class of one row cannot be in both parts.
            can_stratify = (np.bincount(rows.y, minlength=len(rows.class_names)) > 1).all()
            remedy = "set split.stratify: true with split.method: random, " * bool(can_stratify)
            raise DataError(
                "class-not-in-train",
                f"no row of class {names} is in the train part; {remedy}choose another split, or remove such rows",
                value=rows.class_names[absent[0]],
            )
    elif np.ptp(y) == 0:
        raise DataError(
            "target-constant",
            f"the target '{rows.target_name}' is constant on the train part: nothing to learn",
            column=rows.target_name,
        )


def _what(split: Mapping[str, Any], n_rows: int) -> str:
    """Say which keys of the config divide how many rows."""
    if split["method"] == "column":
        return f"'{shown(split['test_value'])}' in column '{split['column']}' of {n_rows} rows"
    of_groups = f" of the groups in column '{split['column']}'" if split["method"] == "group" else ""
    return f"split.test_size {split['test_size']}{of_groups} of {n_rows} rows"


def _check_sizes(n_train: int, n_test: int, what: str) -> None:
    if n_train < MIN_TRAIN_ROWS or n_test < MIN_TEST_ROWS:
        raise DataError(
            "too-few-rows",
            f"{what} gives {n_train} to train and {n_test} to test, but at least {MIN_TRAIN_ROWS} and {MIN_TEST_ROWS} "
            "are needed; add rows or change split.test_size",
            key="split.test_size",
        )


def _random(rows: Rows, split: Mapping[str, Any]) -> tuple[np.ndarray, np.ndarray]:
    from sklearn.model_selection import train_test_split

    n_rows = len(rows.y)
    n_test = math.ceil(split["test_size"] * n_rows)
    n_train = n_rows - n_test
    _check_sizes(n_train, n_test, _what(split, n_rows))
    n_classes = len(rows.class_names)
    stratify = n_classes > 0 and split["stratify"]
    if stratify:
        count = np.bincount(rows.y, minlength=n_classes)
        rare = [f"'{name}'" for name, size in zip(rows.class_names, count, strict=True) if size < 2]
        if rare:
            raise DataError(
                "class-too-rare",
                f"of class {listing(rare)} there is one row, which cannot be in both parts; add rows, merge classes, "
                "or remove the rows",
                value=rare[0][1:-1],
            )
        if min(n_test, n_train) < n_classes:
            raise DataError(
                "too-few-rows",
                f"{_what(split, n_rows)} gives {n_train} to train and {n_test} to test, which is too few to have "
                f"{n_classes} classes in both parts; add rows, change split.test_size, or set split.stratify: false",
                key="split.test_size",
            )
    row_train, row_test = train_test_split(
        np.arange(n_rows),
        test_size=split["test_size"],
        random_state=split["seed"],
        stratify=rows.y if stratify else None,
    )
    return _together(rows, row_train, row_test, stratify)


def _together(
    rows: Rows, row_train: np.ndarray, row_test: np.ndarray, stratify: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Put rows with the same inputs on one side, and move as few others as that needs.

    Test rows stay test rows in the order of the lot, each now with all that are the same, until there are as many as
    before; of classes, if they are to keep their proportions, one after the other. The split stays as it is if no rows
    are the same, and if whole groups are too large for a test part of that size (`_MOST_OFF`), leave a part without a
    class or a target with one value alone, or if one of them would be most of the test part.
    """
    if rows.first is None or not is_parted(rows.first, row_train, row_test):
        return row_train, row_test
    order, n_test = np.concatenate([row_test, row_train]), len(row_test)
    label = rows.y[rows.first] if stratify else np.zeros(len(rows.y), dtype=np.int64)
    is_test, left = np.zeros(len(rows.y), dtype=bool), 0
    for value, size in zip(*np.unique(label[row_test], return_counts=True), strict=True):
        own = order[label[order] == value]
        taken = own[taken_together(own, rows.first, left + size)]
        is_test[taken] = True
        # What one class has too few or too many of, the next makes good.
        left += int(size) - len(taken)
    new_train, new_test = order[~is_test[order]], order[is_test[order]]
    if abs(len(new_test) - n_test) > max(1, _MOST_OFF * n_test):
        return row_train, row_test
    largest = np.unique(rows.first[new_test], return_counts=True)[1].max()
    has_all = all(
        np.array_equal(np.unique(rows.y[new]), np.unique(rows.y[old]))
        if rows.class_names
        else np.ptp(rows.y[new]) > 0
        for new, old in ((new_train, row_train), (new_test, row_test))[: 1 + stratify]
    )
    return (new_train, new_test) if has_all and largest <= len(new_test) / 2 else (row_train, row_test)


def is_parted(first: np.ndarray, row_train: np.ndarray, row_test: np.ndarray) -> bool:
    """Return whether a row of one part has the inputs of a row of the other."""
    return bool(np.isin(first[row_test], first[row_train]).any())


def _time(rows: Rows, split: Mapping[str, Any]) -> tuple[np.ndarray, np.ndarray]:
    n_rows = len(rows.y)
    n_train = n_rows - math.ceil(split["test_size"] * n_rows)
    if rows.column is None:
        return np.arange(n_train), np.arange(n_train, n_rows)
    times = read_times(split["column"], rows.column, first_row=rows.first_row, decimal=rows.decimal).values
    order = np.argsort(times, kind="stable")
    # Rows of one moment belong together: those that the boundary would part are all test rows.
    n_train = int(np.searchsorted(times[order], times[order[n_train]], side="left"))
    return order[:n_train], order[n_train:]


def _group(rows: Rows, split: Mapping[str, Any]) -> tuple[np.ndarray, np.ndarray]:
    from sklearn.model_selection import GroupShuffleSplit

    groups = _texts(rows)
    n_groups = len(set(groups))
    n_test = math.ceil(split["test_size"] * n_groups)
    if n_groups - n_test < 1:
        raise DataError(
            "too-few-groups",
            f"column '{split['column']}' has {n_groups} group{'' if n_groups == 1 else 's'}, of which split.test_size "
            f"{split['test_size']} leaves none to train on; name another column, or change split.test_size",
            column=split["column"],
        )
    splitter = GroupShuffleSplit(n_splits=1, test_size=n_test, random_state=split["seed"])
    row_train, row_test = next(splitter.split(groups, groups=groups))
    return row_train, row_test


def _column(rows: Rows, split: Mapping[str, Any]) -> tuple[np.ndarray, np.ndarray]:
    texts, value = _texts(rows), split["test_value"].strip()
    is_test = np.array([text == value for text in texts])
    if not is_test.any():
        known = listing(sorted({f"'{shown(text)}'" for text in texts}))
        raise DataError(
            "no-test-rows",
            f"column '{split['column']}' has no row with '{shown(value)}' (it holds {known}); set split.test_value to "
            "what marks test rows",
            column=split["column"],
            value=value,
            key="split.test_value",
        )
    return np.flatnonzero(~is_test), np.flatnonzero(is_test)


def _texts(rows: Rows) -> Sequence[str]:
    """Return the cells as a person writes them: of a column of numbers 1, not 1.0."""
    assert rows.column is not None, "the config asks for a column"
    return [
        f"{cell:.15g}".replace(".", rows.decimal) if isinstance(cell, float) else str(cell).strip()
        for cell in rows.column.tolist()
    ]
