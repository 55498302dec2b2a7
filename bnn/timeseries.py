"""A time series as a table: what is known at a time, and the value so many steps later.

The forecast is direct: one model for one horizon, no prediction fed back as input (Ben Taieb et al. 2012). All here is
about which row goes where; no value is scaled or averaged.
"""

import math
from typing import NamedTuple

import numpy as np

from bnn.splits import MIN_TEST_ROWS, MIN_TRAIN_ROWS
from bnn.tables import DataError
from bnn.times import read_times


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
            f"a series of {n_rows} rows is too short for series.lags {lags} and series.horizon {horizon}, which need "
            f"at least {needed}; add rows, or choose smaller ones"
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
            f"split.test_size {test_size} of {n_windows} windows gives {len(row_train)} to train and {n_test} to test, "
            f"but at least {MIN_TRAIN_ROWS} and {MIN_TEST_ROWS} are needed; add rows or change split.test_size"
        )
    return row_train, row_test


def series_times(column: str, cells: np.ndarray) -> tuple[np.ndarray, bool]:
    """Read the times of a series, which must increase from row to row.

    Returns
    -------
    values
        Shape (row,): numbers, or seconds since 1970-01-01.
    is_date
        Which of the two.

    Raises
    ------
    DataError
        If a cell is no time, or does not come after the one above it; the message names its row.
    """
    times = read_times(column, cells)
    for row in np.flatnonzero(np.diff(times.values) <= 0):
        raise DataError(
            f"column '{column}', row {row + 3}: {cells[row + 1]} does not come after {cells[row]} in the row above; "
            "put the rows in the order of time, one for each time"
        )
    return times.values, times.is_date
