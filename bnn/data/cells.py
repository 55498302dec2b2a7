"""Columns of any table as one of three kinds: numbers, truth values, texts; and those that no network should get."""

import re
from collections.abc import Collection
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from bnn.core.errors import DataError, cell_error, collected_faults, drop_line, in_yaml, shown
from bnn.data.csv_files import LARGEST, fault_of_name, truth_of

if TYPE_CHECKING:
    import pandas as pd

Missing = Literal["auto", "error", "impute"]

_DATE = re.compile(
    r"(\d{4}([-/.])\d{1,2}\2\d{1,2}|\d{1,2}([-/.])\d{1,2}\3\d{2,4}|\d{1,2}[ -][A-Za-z]{3,9}[ -,]+\d{2,4}"
    r"|[A-Za-z]{3,9} \d{1,2},? \d{4})([T ]\d{1,2}:\d{2}.*)?|\d{1,2}:\d{2}(:\d{2}(\.\d+)?)?"
)
_FEW_ROWS = 20
"""Of fewer rows texts may well be all different though they are categories"""
_ROW_NUMBER = re.compile(r"(.*[_ .-])?id|index|rownames|unnamed.*|row[_ ]?(number|nr|no)?", re.IGNORECASE)


def missing_error(name: str, place: int, count: int, first_row: int) -> DataError:
    """Return the error for a value that is missing, the first of some in the column."""
    more = f" (and in {count - 1} more row{'s' * (count > 2)} of the column)" if count > 1 else ""
    return cell_error(
        "value-missing",
        name,
        place + first_row,
        f"the value is missing{more}; fill it in, remove row or column, or set columns.missing: impute",
    )


def check(
    frame: "pd.DataFrame", *, missing: Missing = "auto", first_row: int = 0, is_test: bool = False
) -> None:
    """Refuse columns that no network should be given.

    Parameters
    ----------
    frame
        The columns, as `tidy` makes them: those of all rows, because no statistics come from here.
    missing
        As for `fit`.
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


def _check_column(name: str, column: "pd.Series", missing: Missing, first_row: int, is_test: bool) -> None:
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
    elif _ROW_NUMBER.fullmatch(name) and column.dtype == np.float64:
        _check_row_numbers(name, column.to_numpy())


def _check_texts(name: str, column: "pd.Series", first_row: int) -> None:
    codes = column.cat.codes.to_numpy()
    first = int(np.flatnonzero(codes >= 0)[0])
    levels = [str(level) for level in column.cat.categories]
    cell = levels[codes[first]]
    place = f"column '{name}', row {first + first_row}"
    if all(_DATE.fullmatch(level) for level in levels[:100]):
        raise _date_error(name, first + first_row, cell)
    n_used = np.unique(codes[codes >= 0]).size
    if n_used > len(codes) / 2:
        what = "a name or an id says nothing about new rows; drop it"
        if len(codes) < _FEW_ROWS:
            what = (
                "of categories each needs several rows to learn from, and a name or an id says nothing about new ones; "
                "add rows, drop the column"
            )
        raise DataError(
            "texts-all-different",
            f"{place}: '{shown(cell)}' is not a number, and the column has {n_used} different texts in {len(codes)} "
            f"rows: {what} ({drop_line(name)}), keep it as the name of rows (source.row_id: {in_yaml(name)}), or, if "
            "it is meant as a number, write it without unit, sign of percent or thousands",
            column=name,
            row=first + first_row,
            value=cell,
        )
    for code, level in enumerate(levels):
        if fault := fault_of_name(level):
            row = int(np.flatnonzero(codes == code)[0]) + first_row
            raise cell_error("text-unusable", name, row, f"the text {fault}; correct it")


def _date_error(name: str, row: int, cell: str) -> DataError:
    return cell_error(
        "date-among-features",
        name,
        row,
        f"'{shown(cell)}' is a date or a time, and features must be numbers or categories; "
        f"make columns of what matters of it (year, month, days since a day), or drop it ({drop_line(name)}); if "
        f"rows are in time, use it: `task: timeseries` with series.time: {in_yaml(name)}, or split.method: time with "
        f"split.column: {in_yaml(name)}",
        value=cell,
    )


def _check_row_numbers(name: str, values: np.ndarray) -> None:
    present = values[~np.isnan(values)]
    if len(present) > 2 and (present == np.round(present)).all() and np.unique(present).size == len(present):
        raise DataError(
            "numbers-the-rows",
            f"column '{name}' numbers the rows, which says nothing about new ones; drop it ({drop_line(name)}), "
            f"keep it as the name of rows (source.row_id: {in_yaml(name)}), or rename it if it is a quantity",
            column=name,
        )


def tidy(frame: "pd.DataFrame", *, texts: Collection[str] = (), first_row: int = 0) -> "pd.DataFrame":
    """Return any columns as the kinds that `check`, `fit` and `transform` take.

    Parameters
    ----------
    frame
        Columns of numbers, truth values, texts, or categories; missing values as NaN or None. It is not changed.
    texts
        Columns known to hold texts, which stay texts though these rows hold no others than yes and no, say.
    first_row
        Number of the first row in messages.

    Returns
    -------
    DataFrame
        Columns of float64 with NaN, `boolean`, or categories of sorted texts (the words of a pair such as yes and no
        are truth values); names are texts.

    Raises
    ------
    DataError
        If a column holds several kinds of things, dates, or something else; numbers that are infinite or too large; or
        if two columns have one name.
    """
    import pandas as pd

    columns: dict[str, Any] = {}
    with collected_faults() as collect:
        for place, label in enumerate(frame.columns):
            name = str(label)
            if fault := fault_of_name(name):
                raise DataError(
                    "name-unusable", f"the name of column {place + 1} {fault}; rename it", column=name
                )
            if name in columns:
                raise DataError(
                    "name-twice",
                    f"column '{shown(name)}' appears more than once; rename or remove one",
                    column=name,
                )
            columns[name] = collect(
                partial(_tidy_column, name, frame.iloc[:, place], name in texts, first_row)
            )
    return pd.DataFrame(columns, index=pd.RangeIndex(len(frame)), copy=False)


def _tidy_column(name: str, column: "pd.Series", is_text: bool, first_row: int) -> Any:
    import pandas as pd
    from pandas.api import types

    dtype = column.dtype
    if types.is_bool_dtype(dtype) and not isinstance(dtype, pd.CategoricalDtype):
        return pd.array(column, dtype="boolean")
    if types.is_numeric_dtype(dtype) and not types.is_complex_dtype(dtype):
        return _tidy_numbers(name, floats(column), first_row)
    present = column[column.notna().to_numpy()]
    if isinstance(dtype, pd.CategoricalDtype):
        return _tidy_texts(column.astype(object), is_text)
    kinds = {_kind_of(value) for value in present}
    if kinds == {"text"}:
        return _tidy_texts(column, is_text)
    if kinds == {"boolean"}:
        return pd.array(column.astype(object).where(column.notna(), None), dtype="boolean")
    if kinds <= {"number"}:
        return _tidy_numbers(name, column.astype(float).to_numpy(), first_row)
    row = int(np.flatnonzero(column.notna().to_numpy())[0])
    if "date" in kinds:
        raise _date_error(name, row + first_row, str(column.iloc[row]))
    counts = {kind: sum(_kind_of(value) == kind for value in present) for kind in kinds}
    least = min(sorted(counts), key=counts.__getitem__)
    row = next(i for i, value in enumerate(column) if not pd.isna(value) and _kind_of(value) == least)
    raise cell_error(
        "mixed-kinds",
        name,
        row + first_row,
        f"'{shown(str(column.iloc[row]))}' is a {least} in a column of "
        f"{' and '.join(sorted(f'{kind}s' for kind in kinds))}; a column must hold one kind of thing",
        value=str(column.iloc[row]),
    )


def _kind_of(value: Any) -> str:
    if isinstance(value, str):
        return "text"
    if isinstance(value, bool | np.bool_):
        return "boolean"
    if isinstance(value, int | float | np.integer | np.floating) or type(value).__name__ == "Decimal":
        return "number"
    if (
        hasattr(value, "isoformat")
        or isinstance(value, np.datetime64 | np.timedelta64)
        or hasattr(value, "total_seconds")
    ):
        return "date"
    return "thing"


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


def _tidy_numbers(name: str, values: np.ndarray, first_row: int) -> np.ndarray:
    large = np.flatnonzero(np.abs(values) > LARGEST)
    if large.size:
        row = int(large[0])
        raise cell_error(
            "number-too-large", name, row + first_row, f"{values[row]} is infinite or too large; correct it"
        )
    return values


def _tidy_texts(column: "pd.Series", is_text: bool) -> Any:
    import pandas as pd

    texts = pd.Categorical(column.map(str, na_action="ignore").astype(object))
    truth = None if is_text else truth_of([str(level) for level in texts.categories])
    if truth is not None:
        return pd.arrays.BooleanArray(truth[texts.codes], texts.codes == -1)
    return texts


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


def as_texts(column: "pd.Series") -> Any:
    """Return a column of anything as categories of texts, whole numbers without a fraction."""
    import pandas as pd

    def text(value: Any) -> str:
        is_whole = isinstance(value, float | np.floating) and float(value).is_integer()
        return str(int(value) if is_whole else value)

    return pd.Categorical(column.astype(object).map(text, na_action="ignore").astype(object))
