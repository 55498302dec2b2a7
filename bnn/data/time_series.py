"""A time series as a table: what is known at a time, and the value so many steps later.

The forecast is direct: one model for one horizon, no prediction fed back as input (Ben Taieb et al. 2012). All here is
about which row goes where; no value is scaled or averaged.
"""

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from bnn.core.errors import DataError, cell_error, drop_line
from bnn.data.splits import MIN_TEST_ROWS, MIN_TRAIN_ROWS, Rows, check_target
from bnn.data.tables import Table
from bnn.data.times import Times, read_times

LONGEST_STEP = 1.5
"""Usual steps that one step of a series may be long."""


class Windows(NamedTuple):
    """Rows of the series that each row of the table is made of."""

    origin: np.ndarray
    """(window,): the last row that is known when the forecast is made"""
    target: np.ndarray
    """(window,): the row whose value is forecast"""


def make_windows(n_rows: int, *, lags: int, horizon: int) -> Windows:
    """Return every window that the series has room for, in the order of time.

    Parameters
    ----------
    n_rows
        Length of the series.
    lags
        Values that a forecast is made from, the origin's own among them.
    horizon
        Steps from the origin to the target.

    Raises
    ------
    DataError
        If there is no room for enough of them.
    """
    origin = np.arange(lags - 1, n_rows - horizon)
    needed = lags + horizon - 1 + MIN_TRAIN_ROWS + MIN_TEST_ROWS
    if n_rows < needed:
        raise DataError(
            "too-few-rows",
            f"a series of {n_rows} rows is too short for series.lags {lags} and series.horizon {horizon}, which need "
            f"at least {needed}; add rows, or choose smaller ones",
            key="series.lags",
        )
    return Windows(origin, origin + horizon)


def lag_features(y: np.ndarray, origin: np.ndarray, lags: int) -> dict[str, np.ndarray]:
    """Return the last values at each origin, the latest first: name of the feature -> (window,)."""
    return {f"lag_{lag}": y[origin - (lag - 1)] for lag in range(1, lags + 1)}


def split_windows(windows: Windows, test_size: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the indices of train and test windows, the test part last.

    A train window ends (its target) no later than the first forecast of the test part is made (its origin): so the
    model could have been trained then. With horizon h the h - 1 windows between are in neither part.

    Parameters
    ----------
    windows
        All of them, in the order of time.
    test_size
        Fraction of the windows that is the test part.

    Raises
    ------
    DataError
        If a part is too small.
    """
    n_windows = len(windows.origin)
    n_test = math.ceil(test_size * n_windows)
    row_test = np.arange(n_windows - n_test, n_windows)
    row_train = (
        np.flatnonzero(windows.target <= windows.origin[row_test[0]]) if n_test else np.arange(n_windows)
    )
    if len(row_train) < MIN_TRAIN_ROWS or n_test < MIN_TEST_ROWS:
        raise DataError(
            "too-few-rows",
            f"split.test_size {test_size} of {n_windows} windows gives {len(row_train)} to train and {n_test} to test, "
            f"but at least {MIN_TRAIN_ROWS} and {MIN_TEST_ROWS} are needed; add rows or change split.test_size",
            key="split.test_size",
        )
    return row_train, row_test


_DASHES = "; if these are months or days, write them with dashes, such as 1990-12 or 1990-12-31"


def series_times(column: str, cells: np.ndarray, *, first_row: int = 0, decimal: str = ".") -> Times:
    """Read the times of a series, which must increase from row to row by steps of about one length.

    Months differ by a tenth; a step of half as much again as the usual one means that a row is missing, and every lag
    across it would be of another time than its name says.

    Raises
    ------
    DataError
        If a cell is no time, does not come after the one above it, or comes too long after it; the message names its
        row.
    """
    times = read_times(column, cells, first_row=first_row, decimal=decimal)
    for row in np.flatnonzero(np.diff(times.values) <= 0):
        raise cell_error(
            "time-not-increasing",
            column,
            int(row) + 1 + first_row,
            f"{_written(cells[row + 1])} does not come after {_written(cells[row])} in the "
            "row above; put the rows in the order of time, one for each time",
        )
    steps = np.diff(times.values)
    for row in np.flatnonzero(steps > LONGEST_STEP * np.median(steps)):
        raise cell_error(
            "time-step-too-long",
            column,
            int(row) + 1 + first_row,
            f"from {_written(cells[row])} to {_written(cells[row + 1])} is longer than other steps, but lags count "
            "rows; put in a row for each time that is missing, or, if rows are steps of one length all the same, as "
            f"trading days are, leave out series.time ({drop_line(column)}){_DASHES * _are_days(times)}",
        )
    return times


def _written(cell: object) -> str:
    """Return a time as the table has it, a whole number without a fraction."""
    return str(int(cell)) if isinstance(cell, float) and cell.is_integer() else str(cell)


def _are_days(times: Times) -> bool:
    """Return whether numbers are rather months or days, such as 199012 and 19901231."""
    values = times.values
    if times.is_date or (values != np.round(values)).any():
        return False
    months = values if values.max() < 1e6 else values // 100
    return bool(
        ((months >= 180_001) & (months <= 220_012) & (months % 100 >= 1) & (months % 100 <= 12)).all()
    )


class Forecasts(NamedTuple):
    """What is known of the rows of a table beside the table, once a series has become one."""

    train: np.ndarray
    """Indices of its rows"""
    test: np.ndarray
    target: np.ndarray
    """(row,): row of the series that is forecast"""
    time: np.ndarray
    """(row,): time of that, see `bnn.data.times.Times`"""
    time_name: str
    time_is_date: bool


def as_forecasts(
    table: Table, series: Mapping[str, Any], split: Mapping[str, Any]
) -> tuple[Table, Forecasts]:
    """Make the table that a network learns from: a row for each window, past values and what else is known as features.

    Parameters
    ----------
    table
        The series: a row for each time.
    series
        `lags` and `horizon`, as in the config.
    split
        `test_size`, and `column`: that of the times among those set aside, or None.

    Raises
    ------
    DataError
        If it is too short, its times do not increase, or a column has the name of a lag.
    """
    import pandas as pd

    windows = make_windows(len(table.y), lags=series["lags"], horizon=series["horizon"])
    lagged = lag_features(table.y, windows.origin, series["lags"])
    for name in (name for name in table.feature_names if name in lagged):
        raise DataError(
            "column-name-taken",
            f"column '{name}' has the name of a past value of the target; rename it",
            column=name,
        )
    known = table.x.iloc[windows.origin].reset_index(drop=True)
    x = pd.concat([pd.DataFrame(lagged), known], axis=1)
    train, test = split_windows(windows, split["test_size"])
    y = table.y[windows.target]
    check_target(Rows(y, (), table.target_name, None), train)
    times = Times(table.first_row + np.arange(len(table.y), dtype=np.float64), is_date=False)
    if (column := split["column"]) is not None:
        times = series_times(column, table.aside[column], first_row=table.first_row, decimal=table.decimal)
    name = "row" if column is None else column
    found = Forecasts(train, test, windows.target, times.values[windows.target], name, times.is_date)
    return table._replace(x=x, y=y), found
