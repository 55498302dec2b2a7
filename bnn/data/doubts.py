"""What of a table may be meant otherwise than it was read: told before any chain starts, and the run goes on."""

import re
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from bnn.core.errors import Doubt, drop_line, in_yaml
from bnn.data.cells import in_order, where_missing

if TYPE_CHECKING:
    import pandas as pd

    from bnn.data.cells import Missing
    from bnn.data.encoding import Encoding


_DATE_NAME = re.compile(
    r"(^|.*[_ .-])(date|datum|day|tag|fecha|jour|data|time|dt)([_ .-].*|$)", re.IGNORECASE
)
_FIRST_SERIAL, _LAST_SERIAL = 15_000, 80_000
"""Days since 1900, as spreadsheets count them, of the years 1941 and 2119"""
_FEWEST_OTHERS = 5
"""Other values of which a column must have as many before one of them can lie far from the rest"""
_MOST_LINES = 5
"""Doubts of one kind that a terminal shows; the page of the dataset has all."""


def lines(doubts: Sequence[Doubt]) -> Iterator[str]:
    """Yield a line for each doubt, of many of one kind for the first ones."""
    counts: Counter[str] = Counter()
    for doubt in doubts:
        counts[doubt.code] += 1
        if counts[doubt.code] <= _MOST_LINES:
            yield str(doubt)
    for code, count in counts.items():
        if count > _MOST_LINES:
            yield f"{count - _MOST_LINES} more columns like these [{code}]"


def missing_doubts(
    frame: "pd.DataFrame", encoding: "Encoding", *, missing: "Missing", first_row: int = 0
) -> Iterator[Doubt]:
    """Yield what was filled in without being asked for."""
    if missing != "auto":
        return
    columns = {column.name: column for column in encoding.columns}
    for name, series in frame.items():
        is_missing, column = where_missing(series), columns[str(name)]
        if count := int(is_missing.sum()):
            stands = "the most frequent value stands" if column.kind != "number" else "the median stands"
            told = ", and a feature says where" if column.has_indicator else ""
            yield Doubt(
                "value-missing",
                column.name,
                f"{count} of {len(frame)} values are missing: {stands} in for them{told} (columns.missing: impute says "
                f"that it is meant; or {drop_line(column.name)})",
                int(np.flatnonzero(is_missing)[0]) + first_row,
            )


def number_doubts(
    frame: "pd.DataFrame", *, features: Collection[str] = (), first_row: int = 0
) -> Iterator[Doubt]:
    """Yield columns of numbers that may be something else: numbers of rows, dates, words for a missing value.

    Parameters
    ----------
    frame
        The columns, as `tidy` makes them.
    features
        Columns of which the config says that they are features as they are.
    first_row
        Number of the first row in messages.
    """
    for name, column in frame.items():
        name = str(name)
        if column.dtype != np.float64 or name in features or len(column) < _FEWEST_OTHERS:
            continue
        values = column.to_numpy()
        present = values[~np.isnan(values)]
        if not present.size:
            continue
        kept = f"source.features: [{in_yaml(name)}] keeps it without a word"
        if len(frame.columns) > 1 and in_order(column):
            yield Doubt(
                "counts-the-rows",
                name,
                f"it counts the rows, from {present[0]:.0f} on; if it is no quantity, set {drop_line(name)}; {kept}",
            )
        elif _are_dates(name, present):
            yield Doubt(
                "dates-as-numbers",
                name,
                f"{present[0]:.0f} and the others look like dates; if they are, make columns of what matters of them "
                f"(year, month, days since a day), or set {drop_line(name)}; {kept}",
            )
        elif (word := _stand_in(present)) is not None:
            rows = np.flatnonzero(values == word)
            yield Doubt(
                "far-from-the-rest",
                name,
                f"{word:.0f} stands in {rows.size} rows, far from all others; if a missing value is meant, set "
                f"source.missing_words: {{{in_yaml(name)}: ['{word:.0f}']}}; {kept}",
                int(rows[0]) + first_row,
            )


def _are_dates(name: str, values: np.ndarray) -> bool:
    """Return whether numbers are dates such as 20240131, or, under the name of a date, days since 1900."""
    low, high = values.min(), values.max()
    if high == low or not (low >= 18_000_101 and high <= 22_001_231):
        is_serial = high > low >= _FIRST_SERIAL and high <= _LAST_SERIAL and _DATE_NAME.fullmatch(name)
        return bool(is_serial) and bool((values == np.round(values)).all())
    month, day = values // 100 % 100, values % 100
    is_date = (month >= 1) & (month <= 12) & (day >= 1) & (day <= 31)
    return bool((is_date & (values == np.round(values))).all())


def _stand_in(values: np.ndarray) -> float | None:
    """Return the whole number that repeats at one end, far from the rest as what stands for nothing is; or None."""
    for word in (float(values.min()), float(values.max())):
        is_word = values == word
        count = np.count_nonzero(is_word)
        if word == 0 or word != round(word) or count < 2:
            continue
        others = values[~is_word]
        if not others.size or np.unique(others[:1000]).size < _FEWEST_OTHERS:
            continue
        low, high = others.min(), others.max()
        nearest = low if word < low else high
        if abs(word - nearest) > high - low:
            return word
        # Below zero where nothing else is, and not as the tail of the others would go on.
        if word == -1 and low >= 0 and count > 2 * np.count_nonzero(others == low):
            return word
    return None
