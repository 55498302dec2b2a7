"""Columns that no network should get, and helpers for tidy ones: numbers, truth values, texts."""

import re
from collections.abc import Collection
from functools import partial
from typing import TYPE_CHECKING, Literal

import numpy as np

from bnn.core.errors import DataError, cell_error, collected_faults, drop_line, group_line, in_yaml, shown
from bnn.data.csv_files import NAMELESS
from bnn.data.row_numbers import RowNumbers
from bnn.data.typed_columns import date_error
from bnn.data.words import are_digits, fault_of_name, truth_of

if TYPE_CHECKING:
    import pandas as pd

Missing = Literal["auto", "error", "impute"]

_DATE = re.compile(
    r"(\d{4}([-/.])\d{1,2}\2\d{1,2}|\d{1,2}([-/.])\d{1,2}\3\d{2,4}|\d{1,2}[ -][A-Za-z]{3,9}[ -,]+\d{2,4}"
    r"|\d{1,2}[A-Za-z]{3}\d{2,4}|[A-Za-z]{3,9} \d{1,2},? \d{4})([T: ]\d{1,2}:\d{2}.*)?"
    r"|(\d+ days?,? )?\d{1,2}:\d{2}(:\d{2})?(\.\d+)?( ?[AaPp]\.?[Mm]\.?)?"
)
_FEW_ROWS = 20
"""Of fewer rows texts may well be all different though they are categories"""
_ROW_NUMBER = re.compile(
    r"(.*[_ .-])?id|index|row ?names|__index_level_\d+__|row[_ ]?(number|nr|no)?", re.IGNORECASE
)
_CAMEL_ID = re.compile(r".*[a-z](Id|ID)")
_OF_ROWS = {
    *(
        "#",
        "№",
        "id",
        "ids",
        "no",
        "nr",
        "num",
        "number",
        "index",
        "idx",
        "serial",
        "key",
        "row",
        "rows",
        "rownames",
        "obs",
    ),
    *("observation", "record", "rec", "seq", "sequence", "case", "sample", "instant", "entry", "item"),
}
"""Words of names of columns that number the rows, where the numbers are 1, 2, 3 and so on"""


def missing_error(name: str, place: int, count: int, first_row: int | RowNumbers) -> DataError:
    """Return the error for a value that is missing, the first of some in the column."""
    more = f" (and in {count - 1} more row{'s' * (count > 2)} of the column)" if count > 1 else ""
    return cell_error(
        "value-missing",
        name,
        place + first_row,
        f"the value is missing{more}; fill it in, remove row or column, or set columns.missing: impute",
    )


def check(
    frame: "pd.DataFrame",
    *,
    missing: Missing = "auto",
    features: Collection[str] = (),
    first_row: int | RowNumbers = 0,
    is_test: bool = False,
) -> None:
    """Refuse columns that no network should be given.

    Parameters
    ----------
    frame
        The columns, as `tidy` makes them: those of all rows, because no statistics come from here.
    missing
        As for `fit`.
    features
        Columns that are features though they number the rows.
    first_row
        Number of the first row in messages.
    is_test
        Whether nothing will be learned from these rows, so that a column may be all missing or all different.

    Raises
    ------
    DataError
        If a value is missing that must not be; a column has no value at all, holds dates, or texts that are nearly all
        different, or numbers the rows. The message names column and row.
    """
    with collected_faults() as collect:
        for name, column in frame.items():
            collect(partial(_check_column, str(name), column, missing, first_row, is_test))
            if not is_test and name not in features:
                collect(partial(_check_rows, str(name), column, len(frame.columns) == 1))


def _check_column(
    name: str, column: "pd.Series", missing: Missing, first_row: int | RowNumbers, is_test: bool
) -> None:
    import pandas as pd

    is_missing = where_missing(column)
    rows = np.flatnonzero(is_missing)
    if rows.size == len(column) and not (is_test and missing != "error"):
        raise DataError(
            "column-empty",
            f"column '{name}' has no value in any row; remove it, or set {drop_line(name)}",
            column=name,
        )
    if rows.size and missing == "error":
        raise missing_error(name, int(rows[0]), rows.size, first_row)
    if is_test:
        return
    if isinstance(column.dtype, pd.CategoricalDtype):
        _check_texts(name, column, first_row)


def _check_texts(name: str, column: "pd.Series", first_row: int | RowNumbers) -> None:
    codes = column.cat.codes.to_numpy()
    first = int(np.flatnonzero(codes >= 0)[0])
    levels = [str(level) for level in column.cat.categories]
    cell = levels[codes[first]]
    place = f"column '{name}', row {first + first_row}"
    if all(_DATE.fullmatch(level) for level in levels[:100]):
        raise date_error(name, first + first_row, cell)
    n_used = np.unique(codes[codes >= 0]).size
    if n_used > len(codes) / 2:
        what = "a name or an id says nothing about new rows; drop it"
        if len(codes) < _FEW_ROWS:
            what = (
                "of categories each needs several rows to learn from, and a name or an id says nothing about new ones; "
                "add rows, drop the column"
            )
        how = "write it without unit, sign of percent or thousands"
        if are_digits(levels):
            how = f"set source.numeric: [{in_yaml(name)}]"
        together = ""
        if n_used < np.count_nonzero(codes >= 0):
            together = f", split by it, if rows of one belong together ({group_line(name)})"
        raise DataError(
            "texts-all-different",
            f"{place}: '{shown(cell)}' is not a number, and the column has {n_used} different texts in {len(codes)} "
            f"rows: {what} ({drop_line(name)}), keep it as the name of rows (source.row_id: {in_yaml(name)})"
            f"{together}, or, if it is meant as a number, {how}",
            column=name,
            row=first + first_row,
            value=cell,
        )
    for code, level in enumerate(levels):
        if fault := fault_of_name(level):
            row = int(np.flatnonzero(codes == code)[0]) + first_row
            raise cell_error("text-unusable", name, row, f"the text {fault}; correct it")


def _check_rows(name: str, column: "pd.Series", is_only: bool) -> None:
    """Refuse a column that names or numbers the rows."""
    remedy = (
        f"drop it ({drop_line(name)}), keep it as the name of rows (source.row_id: {in_yaml(name)}), or, if it is a "
        f"quantity, set source.features: [{in_yaml(name)}]"
    )
    if NAMELESS.fullmatch(name):
        raise DataError(
            "name-missing",
            f"column '{name}' has no name of its own; pandas and R write names of rows so; {remedy}",
            column=name,
        )
    if column.dtype != np.float64 or is_only:
        return
    values = column.to_numpy()
    for some in (values[:100], values):  # most columns need no look at all of it
        some = some[~np.isnan(some)]
        if (some != np.round(some)).any():
            return
    values = some
    if len(values) < 3:
        return
    is_like = _ROW_NUMBER.fullmatch(name) or _CAMEL_ID.fullmatch(name)
    if (in_order(column) and is_like_number(name)) or (is_like and np.unique(values).size == len(values)):
        raise DataError(
            "numbers-the-rows",
            f"column '{name}' numbers the rows, which says nothing about new ones; {remedy}",
            column=name,
        )


def in_order(column: "pd.Series") -> bool:
    """Return whether numbers count the rows: 0, 1, 2 or 1, 2, 3 and so on."""
    values = column.to_numpy()
    return len(values) > 2 and values[0] in (0, 1) and bool((np.diff(values) == 1).all())


def is_like_number(name: str) -> bool:
    """Return whether a column is called as one that numbers the rows is."""
    return name == "X" or bool({*words_of(name)} & _OF_ROWS)  # X: as R calls a nameless column


def words_of(name: str) -> list[str]:
    """Return the words in the name of a column, in small letters: `patientID` and `patient_id` have the same."""
    return [word.lower() for word in re.findall(r"[A-Z]?[a-z]+|[A-Z]+|#|№", name)]


def where_missing(column: "pd.Series") -> np.ndarray:
    """Return whether each value is missing."""
    # Much faster than pandas for the many columns of a wide table.
    return np.isnan(column.to_numpy()) if column.dtype == np.float64 else column.isna().to_numpy()


def floats(column: "pd.Series") -> np.ndarray:
    """Return numbers, or truth as 1 and 0, as float64 with NaN where missing."""
    return (
        column.to_numpy()
        if column.dtype == np.float64
        else column.to_numpy(dtype=np.float64, na_value=np.nan)
    )


def as_truth(column: "pd.Series") -> "pd.Series":
    """Return a column that is known to hold truth values as `boolean`, though these rows have but a letter of a pair.

    A column of anything else comes back as it is.
    """
    import pandas as pd

    if not isinstance(column.dtype, pd.CategoricalDtype):
        return column
    truth = truth_of([str(level) for level in column.cat.categories], is_known=True)
    if truth is None:
        return column
    codes = column.cat.codes.to_numpy()
    return pd.Series(pd.arrays.BooleanArray(truth[codes], codes == -1), index=column.index)
