"""Times as a table gives them: numbers, or dates as ISO 8601 writes them."""

import math
import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import NamedTuple

import numpy as np

from bnn.core.errors import cell_error, shown
from bnn.data.row_numbers import RowNumbers
from bnn.data.words import with_point

_MONTH = re.compile(r"\d{4}-\d{2}")


class Times(NamedTuple):
    """Times of rows, in the order of the rows."""

    values: np.ndarray
    """(row,) float64: numbers as given, or seconds since 1970-01-01"""
    is_date: bool


def read_times(
    column: str, cells: Sequence[object] | np.ndarray, *, first_row: int | RowNumbers = 0, decimal: str = "."
) -> Times:
    """Read a column of times.

    Parameters
    ----------
    column
        Its name.
    cells
        All numbers, or all dates such as 2026-01, 2026-01-31 and 2026-01-31T12:30:00; (row,).
    first_row
        Number of the first row in messages.
    decimal
        What stands before the fraction of a number in cells that are texts.

    Raises
    ------
    DataError
        If a cell is neither, or empty; the message names its row.
    """
    texts = [str(cell).strip() for cell in cells]
    dates = [_read(text, _seconds) for text in texts]
    numbers = [
        _read(with_point(text, decimal) if isinstance(cell, str) else text, float)
        for cell, text in zip(cells, texts, strict=True)
    ]
    # The kind that more cells are of is the one that was meant.
    is_date = np.isnan(dates).sum() < np.isnan(numbers).sum()
    values = np.array(dates if is_date else numbers)
    for row in np.flatnonzero(np.isnan(values)):
        raise cell_error(
            "not-a-time",
            column,
            int(row) + first_row,
            f"'{shown(texts[row])}' is not a time; write all times as "
            "numbers, or all as dates such as 2026-01-31 or 2026-01-31T12:30:00",
            value=str(texts[row]),
        )
    return Times(values, bool(is_date))


def _read(text: str, kind: Callable[[str], float]) -> float:
    """Return the time that a text says, NaN if it says none."""
    try:
        value = kind(text)
    except ValueError:
        return math.nan
    return value if math.isfinite(value) else math.nan


def _seconds(text: str) -> float:
    moment = datetime.fromisoformat(f"{text}-01" if _MONTH.fullmatch(text) else text)
    # A date without a zone is taken as it stands: what counts is the order, and the length of steps.
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
