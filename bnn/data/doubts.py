"""What of a table may be meant otherwise than it was read: told before any chain starts, and the run goes on."""

import re
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from bnn.core.errors import Doubt, drop_line, in_yaml, listing
from bnn.core.gross_values import gross_errors, mean_and_scale
from bnn.data.cells import in_order, where_missing
from bnn.data.row_numbers import RowNumbers
from bnn.data.words import TextFormat

if TYPE_CHECKING:
    import pandas as pd

    from bnn.data.cells import Missing
    from bnn.data.encoding import Encoding


_DATE_NAME = re.compile(
    r"(^|.*[_ .-])(date|datum|day|tag|fecha|jour|data|time|timestamp|epoch|ts|dt)([_ .-].*|$)", re.IGNORECASE
)
_PERCENT_NAME = re.compile(r"%|percent|prozent|(^|[^a-z])pct([^a-z]|$)", re.IGNORECASE)
_FIRST_SERIAL, _LAST_SERIAL = 15_000, 80_000
"""Days since 1900, as spreadsheets count them, of the years 1941 and 2119"""
_FIRST_SECOND, _LAST_SECOND = 3e8, 3e9
"""Seconds since 1970 of the years 1979 and 2065"""
_FEWEST_OTHERS = 5
"""Other values of which a column must have as many before one of them can lie far from the rest"""
_FEWEST_CODES = 2
"""The same before nines, as in 1, 2, 99"""
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
            more = "1 more column" if count == _MOST_LINES + 1 else f"{count - _MOST_LINES} more columns"
            yield f"{more} like these [{code}]"


def missing_doubts(
    frame: "pd.DataFrame", encoding: "Encoding", *, missing: "Missing", first_row: int | RowNumbers = 0
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
                f"{count} of {len(frame)} values {'is' if count == 1 else 'are'} missing: {stands} in for them{told} "
                f"(columns.missing: impute says that it is meant; or {drop_line(column.name)})",
                int(np.flatnonzero(is_missing)[0]) + first_row,
            )


def number_doubts(
    frame: "pd.DataFrame",
    form: TextFormat,
    *,
    is_typed: bool = False,
    features: Collection[str] = (),
    first_row: int | RowNumbers = 0,
) -> Iterator[Doubt]:
    """Yield columns of numbers that may be something else: numbers of rows, dates, words for a missing value.

    Parameters
    ----------
    frame
        The columns, as `tidy` makes them.
    form, is_typed
        How texts are written, and whether the file could have held numbers as such.
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
                f"{_plain(word)} stands in {rows.size} rows, far from all others; if a missing value is meant, set "
                f"{form.missing_line(name, [_plain(word)], keep=len(present) < len(values), is_typed=is_typed)}; "
                f"{kept}",
                int(rows[0]) + first_row,
            )


def target_doubts(
    name: str,
    values: np.ndarray,
    form: TextFormat,
    *,
    is_typed: bool = False,
    is_series: bool = False,
    has_gaps: bool = False,
    first_row: int | RowNumbers = 0,
) -> Iterator[Doubt]:
    """Yield that a number of a target, (row,), may stand for a missing value, as others did where it has gaps."""
    if len(values) >= _FEWEST_OTHERS and (word := _stand_in(values)) is not None:
        rows = np.flatnonzero(values == word)
        line = form.missing_line(name, [_plain(word)], keep=has_gaps, is_typed=is_typed)
        remedy = f"set {line} and source.missing_target: drop"
        if is_series:
            remedy = "fill such values in"
        yield Doubt(
            "far-from-the-rest",
            name,
            f"{_plain(word)} stands in {rows.size} rows of the target, far from all others; if a missing value is "
            f"meant, {remedy}",
            int(rows[0]) + first_row,
        )


def percent_doubts(name: str, unit: str, values: np.ndarray) -> Iterator[Doubt]:
    """Yield that a target, (row,), is a share in percent, which no noise of real numbers keeps within 0 and 100."""
    is_called_so = unit.startswith("%") or _PERCENT_NAME.search(name)
    if is_called_so and values.min() >= 0 and 1 < values.max() <= 100:
        yield Doubt(
            "percent-as-number",
            name,
            "it looks like a share in percent, and intervals may go beyond 100; if it is, divide it by 100, for which "
            "there are distributions from 0 to 1",
        )


def class_doubts(name: str, class_names: Sequence[str], y_test: np.ndarray) -> Iterator[Doubt]:
    """Yield that classes have no test row, (row,), so that nothing says how well they are told."""
    absent = [f"'{one}'" for index, one in enumerate(class_names) if not (y_test == index).any()]
    if absent and len(y_test):
        yield Doubt(
            "class-not-in-test",
            name,
            f"no test row is of class {listing(absent)}: no score says how well "
            f"{'it is' if len(absent) == 1 else 'they are'} told from others",
        )


def _plain(number: float) -> str:
    return f"{number:.0f}" if number == round(number) else f"{number:g}"


def repeated_doubts(
    first: np.ndarray,
    is_repeat: np.ndarray,
    parts: tuple[np.ndarray, np.ndarray],
    *,
    by_lot: bool,
    are_copies: bool = False,
    n_in_file: int | None = None,
    first_row: int | RowNumbers = 0,
) -> Iterator[Doubt]:
    """Yield that rows are the same, and whether such rows are in both parts.

    Parameters
    ----------
    first
        (row,): index of the first row with the same inputs.
    is_repeat
        (row,): whether it has the target of an earlier one with the same inputs, too.
    parts
        Indices of the training and of the test rows.
    by_lot
        Whether the parts are whole groups of such rows where that can be.
    are_copies
        Whether those that have the target, too, are not trained on.
    n_in_file
        Rows before those of a test file, which have numbers of their own.
    first_row
        Number of the first row in messages.
    """
    is_alike = first != np.arange(len(first))
    if not is_alike.any():
        return
    told = [
        f"{_share(count, len(first))} of {len(first)} rows {what}"
        for count, what in (
            (
                np.count_nonzero(is_repeat),
                "repeat an earlier one"
                + ", and are not trained on, as copies: targets of other rows differ" * are_copies,
            ),
            (
                np.count_nonzero(is_alike & ~is_repeat),
                "have the features of an earlier one, but not its target",
            ),
        )
        if count
    ]
    where = int(np.flatnonzero(is_alike)[0])
    train, test = parts
    if parted := np.count_nonzero(np.isin(first[test], first[train])):
        why = ", because too few groups of such rows make a test part" if by_lot else ""
        told.append(
            f"{_share(parted, len(test))} of {len(test)} test rows have the features of a training row{why}, and say "
            "little about new ones"
        )
    elif by_lot:
        told.append("rows with the same features are in one part")
    yield Doubt(
        "rows-repeated",
        "",
        f"{'; '.join(told)} (split.repeated_rows: drop uses the first of those that are the same in all columns; keep "
        "says that they are meant)",
        None if n_in_file is not None and where >= n_in_file else where + first_row,
    )


def _share(count: "int | np.signedinteger", n_all: int) -> str:
    """Return a count with its share: `8 (0.53 %)`."""
    percentage = 100 * count / n_all
    return f"{count} ({percentage:{'.0f' if percentage >= 10 else '.2g'}} %)"


def gross_doubts(
    name: str, values: np.ndarray, train: np.ndarray, numbers: np.ndarray, *, is_target: bool = False
) -> Iterator[Doubt]:
    """Yield that a column of numbers holds gross errors, as `bnn.core.gross_values` tells them.

    Parameters
    ----------
    name
        Name of the column.
    values
        (row,): all of it, NaN where missing.
    train
        Indices of the training rows.
    numbers
        (row,): what messages call each row.
    is_target
        Whether it is the target.
    """
    # Errors among test rows alone are told as well, and of a few more rows it may be another matter than of some.
    for rows in (slice(None), train):
        found = values[rows]
        is_missing = np.isnan(found)
        found = found[~is_missing] if is_missing.any() else found
        is_gross = gross_errors(found) if found.size else np.zeros(0, dtype=bool)
        if not is_gross.any():
            continue
        gross = np.sort(np.arange(len(values))[rows][~is_missing][is_gross])
        mean, scale = mean_and_scale(found)
        distance = np.abs(values[gross[0]] - mean) / scale
        away = f"{distance:,.0f}" if distance < 1e6 else f"{distance:.2g}"
        others = [f"row {number}" for number in numbers[gross[1:]]]
        too = f"; such values are in {listing(others)}, too" if others else ""
        fix = "remove the rows" if is_target else "leave them empty"
        yield Doubt(
            "gross-value",
            name,
            f"{values[gross[0]]:.6g} lies {away} standard deviations of the other values from their mean{too}; the "
            f"column is standardised without such values, and they are kept; if they are errors, correct them or {fix}",
            int(numbers[gross[0]]),
        )
        return


def _are_dates(name: str, values: np.ndarray) -> bool:
    """Return whether numbers are such as 20240131, or, if the name says so, days since 1900 or seconds since 1970."""
    low, high = values.min(), values.max()
    if _DATE_NAME.fullmatch(name) and any(
        _FIRST_SECOND * unit <= low < high <= _LAST_SECOND * unit for unit in (1, 1000)
    ):
        return bool((values == np.round(values)).all())
    if high == low or not (low >= 18_000_101 and high <= 22_001_231):
        is_serial = high > low >= _FIRST_SERIAL and high <= _LAST_SERIAL and _DATE_NAME.fullmatch(name)
        return bool(is_serial) and bool((values == np.round(values)).all())
    month, day = values // 100 % 100, values % 100
    is_date = (month >= 1) & (month <= 12) & (day >= 1) & (day <= 31)
    return bool((is_date & (values == np.round(values))).all())


def _stand_in(values: np.ndarray) -> float | None:
    """Return the number that repeats at one end, far from the rest as what stands for nothing is; or None."""
    for word in (float(values.min()), float(values.max())):
        is_word = values == word
        count = np.count_nonzero(is_word)
        is_nines = set(f"{abs(word):g}") <= {"9", "."}  # 9, 99, -999, 99.9
        if not (word == round(word) or is_nines) or word == 0 or count < 2:
            continue
        others = values[~is_word]
        fewest = _FEWEST_CODES if (is_nines and abs(word) > 9) or word == -9 else _FEWEST_OTHERS
        if not others.size or np.unique(others[:1000]).size < fewest:
            continue
        low, high = others.min(), others.max()
        nearest = low if word < low else high
        if abs(word - nearest) > high - low:
            return word
        # Below zero where nothing else is, and not as the tail of the others would go on.
        if (word == -1 or is_nines) and word < 0 <= low and count > 2 * np.count_nonzero(others == low):
            return word
    return None
