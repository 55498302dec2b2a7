"""Tables as their source gives them, in original units: features by name, a target, and columns that are set aside."""

import difflib
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from decimal import Decimal
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from bnn.core.errors import DataError, cell_error, listing, raise_all, shown
from bnn.data.cells import as_truth
from bnn.data.csv_files import MISSING_WORDS, Kind, fault_of_name, read_columns

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "DataError",
    "Table",
    "check_names",
    "join",
    "listing",
    "make_table",
    "naming",
    "read_csv",
    "shown",
    "with_point",
]

# A class written as a number: no words that float() knows, no leading zeros (007 is a code), and short enough to be
# held and shown exactly.
_NUMBER = re.compile(r"[+-]?((0|[1-9]\d{0,14})(\.\d{0,15})?|\.\d{1,15})([eE][+-]?\d{1,2})?", re.ASCII)
_LONGEST_TEXT = 200
"""Characters of a text that names a row or says how to split; every row takes as much memory as the longest."""
CSV_FIRST_ROW = 2
"""Number of the first row of data of a text file: the header is row 1."""


class Table(NamedTuple):
    """What a source holds, in original units."""

    x: "pd.DataFrame"
    """Features by name, (row, feature), with a plain index: float64 with NaN where missing, `boolean`, or categories
    of texts; see `bnn.data.cells.tidy`"""
    y: np.ndarray
    """(row,): class index (int64), or the target (float64)"""
    target_name: str
    target_unit: str
    class_names: tuple[str, ...]
    """() for regression"""
    aside: Mapping[str, np.ndarray] = {}
    """Columns that are no features, such as one that says how to split: (row,), float64 if all cells are numbers, else
    str"""
    dropped: tuple[str, ...] = ()
    """Columns that the source has and the config does not want"""
    ids: np.ndarray | None = None
    """(row,) str: what the column that `source.row_id` names says of each row; None if it names none"""
    first_row: int = 0
    """Number of the first row of data in messages; a key of `ROW_COUNTING`"""
    decimal: str = "."
    """What stands before the fraction of a number in texts of columns set aside"""

    @property
    def feature_names(self) -> tuple[str, ...]:
        """Names of the columns of x."""
        return tuple(self.x.columns)


@contextmanager
def naming(*places: str, is_file: bool = True) -> Iterator[None]:
    """Put places before the message of a DataError; the last one is its file, unless it has one or this is none."""
    try:
        yield
    except DataError as error:
        file = places[-1] if places and is_file and error.file is None else None
        raise error.reworded(": ".join([*places, str(error)]), file=file) from error


def read_csv(
    path: str,
    *,
    target: str,
    target_unit: str = "",
    is_class: bool,
    must_vary: bool = True,
    separator: str = ",",
    decimal: str = ".",
    missing_words: Sequence[str] = MISSING_WORDS,
    drop: Sequence[str] = (),
    categorical: Sequence[str] = (),
    aside: Sequence[str] = (),
    row_id: str | None = None,
    known_texts: Collection[str] = (),
) -> Table:
    """Read a CSV file: a header line, a target column, and features in all other columns.

    Parameters
    ----------
    path
        The file: UTF-8.
    target
        Name of the target column.
    target_unit
        Unit of the target, for labels.
    is_class
        Whether the target is a class, text or number, and not a quantity. Classes are sorted, by value where
        all are numbers.
    must_vary
        Whether a model is to learn from these rows, so that a target with one value, or with hardly a value twice,
        is an error.
    separator, decimal, missing_words
        What stands between cells, before the fraction of a number, and for a missing value.
    drop
        Columns that are left out.
    categorical
        Columns whose cells are texts though they look like numbers.
    aside
        Columns that are kept beside the features.
    row_id
        Column that names rows, if there is one, kept beside the features too.
    known_texts
        Columns, some of which may not be there, that hold texts in another file of the same table.

    Raises
    ------
    DataError
        If the file cannot be used; the message names file, column and row (as a spreadsheet counts: the
        header is row 1).
    """

    def choose(header: Sequence[str]) -> Mapping[str, Kind]:
        check_names(header, target, drop=drop, categorical=categorical, aside=aside, row_id=row_id)
        kinds: dict[str, Kind] = dict.fromkeys(header, "any")
        for name in header:
            if name in drop:
                kinds[name] = "skip"
            elif name in (*categorical, *aside, row_id) or name in known_texts:
                kinds[name] = "text"
        return {**kinds, target: "text" if is_class else "number"}

    with naming(path):
        try:
            frame = read_columns(
                path, choose, separator=separator, decimal=decimal, missing_words=missing_words
            )
        except DataError as error:
            raise _with_task(error, target) if not is_class else error from error
        table = make_table(
            frame,
            target=target,
            is_class=is_class,
            must_vary=must_vary,
            aside=aside,
            row_id=row_id,
            first_row=CSV_FIRST_ROW,
            decimal=decimal,
        )
    return table._replace(target_unit=target_unit, dropped=tuple(drop), decimal=decimal)


def _with_task(error: DataError, target: str) -> DataError:
    """Say what to do if the target of a regression is no number."""
    if error.code != "not-a-number" or error.column != target:
        return error
    return error.reworded(
        f"{error}; the target of a regression must be a number; for classes set `task: classification`"
    )


def check_names(
    names: Sequence[str],
    target: str,
    *,
    drop: Sequence[str],
    categorical: Sequence[str] = (),
    aside: Sequence[str] = (),
    row_id: str | None = None,
) -> None:
    """Raise DataError if columns that are asked for are not there, or the target is asked for as something else too."""
    of_source = {"drop": drop, "categorical": categorical, "row_id": [row_id] if row_id else []}
    asked = [("target", "", target)]
    asked += [(role, f" (source.{role})", name) for role, of in of_source.items() for name in of]
    asked += [("", "", name) for name in aside]
    faults = [
        DataError(
            "target-named-twice",
            f"the target column '{shown(target)}' is named by {key} too; take it out there, or set source.target",
            column=target,
            key=key,
        )
        for key, of in [
            *((f"source.{role}", of) for role, of in of_source.items()),
            ("split or series", aside),
        ]
        if target in of
    ]
    for role, key, name in asked:
        if name not in names:
            close = difflib.get_close_matches(name, names, n=1)
            hint = f"; did you mean '{shown(close[0])}'?" if close else ""
            what = "target column" if role == "target" else "column"
            message = f"there is no {what} '{shown(name)}'{key} (the columns are {listing(names)}){hint}"
            where = f"source.{role}" if role else None
            faults.append(DataError("column-missing", message, column=name, key=where))
    raise_all(faults, "names of columns in the config do not fit the table")


def make_table(
    frame: "pd.DataFrame",
    *,
    target: str,
    is_class: bool,
    must_vary: bool = True,
    aside: Sequence[str] = (),
    row_id: str | None = None,
    first_row: int = 0,
    decimal: str = ".",
) -> Table:
    """Make a table from tidy columns: the target, features in all others but those set aside.

    Parameters
    ----------
    frame
        Columns as `read_columns` returns them: the target as texts if it is a class, else as float64; those set aside
        as texts.
    target, is_class, must_vary, aside, row_id, decimal
        As for `read_csv`.
    first_row
        Number of the first row in messages.

    Raises
    ------
    DataError
        If the target has missing values, or none that a model can learn from.
    """
    if is_class:
        y, class_names = _classes(target, frame[target], must_vary=must_vary, first_row=first_row)
    else:
        y, class_names = frame[target].to_numpy(dtype=np.float64), ()
        _check_missing(target, np.isnan(y), first_row)
        if must_vary and np.ptp(y) == 0:
            raise DataError(
                "target-constant",
                f"column '{target}': the target is {y[0]} in every row: there is nothing to learn",
                column=target,
            )
    kept = {name: _aside(name, frame[name], first_row, decimal) for name in aside}
    ids = None if row_id is None else names_of_rows(row_id, frame[row_id], first_row)
    x = frame.drop(columns=list(dict.fromkeys([target, *aside, *([] if row_id is None else [row_id])])))
    return Table(x, y, target, "", class_names, kept, ids=ids, first_row=first_row)


def names_of_rows(name: str, column: "pd.Series", first_row: int) -> np.ndarray:
    """Return what names each row, (row,) str; "" where nothing does."""
    codes = column.cat.codes.to_numpy()
    texts = [str(text) for text in column.cat.categories]
    _check_shown(name, texts, codes, first_row)
    return np.array([*texts, ""], dtype=str)[codes]


def _check_shown(name: str, texts: Sequence[str], codes: np.ndarray, first_row: int) -> None:
    """Raise DataError if a text cannot be shown, or is so long that an array of one width would be too large."""
    for code, text in enumerate(texts):
        if fault := fault_of_name(text, longest=_LONGEST_TEXT):
            row = int(np.flatnonzero(codes == code)[0]) + first_row
            raise cell_error("text-unusable", name, row, f"the text {fault}; shorten or correct it")


def _check_missing(name: str, is_missing: np.ndarray, first_row: int) -> None:
    rows = np.flatnonzero(is_missing)
    if rows.size:
        more = (
            f" (and in {rows.size - 1} more row{'s' * (rows.size > 2)} of the column)"
            if rows.size > 1
            else ""
        )
        raise cell_error(
            "value-missing",
            name,
            rows[0] + first_row,
            f"the value is missing{more}; fill it in, or remove the row",
        )


def _aside(name: str, column: "pd.Series", first_row: int, decimal: str) -> np.ndarray:
    codes = column.cat.codes.to_numpy()
    _check_missing(name, codes == -1, first_row)
    levels = [str(level) for level in column.cat.categories]
    _check_shown(name, levels, codes, first_row)
    numbers = [with_point(level, decimal) for level in levels]
    if all(_NUMBER.fullmatch(number) for number in numbers):
        return np.array([float(number) for number in numbers])[codes]
    return np.array(levels, dtype=str)[codes]


def with_point(text: str, decimal: str) -> str:
    """Return a number as Python writes it; no number, if it has a point where the decimal mark is a comma."""
    return text.replace(".", "?").replace(",", ".") if decimal == "," else text


def join(train: Table, test: Table) -> Table:
    """Return the rows of both tables, train first.

    Raises
    ------
    DataError
        If the test table lacks a feature, has another one or one of another kind, or has a class that the train table
        has not.
    """
    import pandas as pd

    of_train, of_test = set(train.feature_names), set(test.feature_names)
    missing = [name for name in train.feature_names if name not in of_test]
    unknown = [name for name in test.feature_names if name not in of_train]
    for names, fault in ((missing, "lacks"), (unknown, "has, and the train file has not,")):
        if names:
            raise DataError(
                "column-missing" if fault == "lacks" else "column-unknown",
                f"the test file {fault} column {listing(names)}: both must have the same columns",
                column=names[0],
            )
    y = test.y
    if train.class_names:
        # 0.5 and 0.50 are one class, whichever file writes which.
        numbers = all(map(_NUMBER.fullmatch, train.class_names))
        index = {Decimal(name) if numbers else name: k for k, name in enumerate(train.class_names)}
        own = [Decimal(name) if numbers and _NUMBER.fullmatch(name) else name for name in test.class_names]
        strange = [f"'{name}'" for name, key in zip(test.class_names, own, strict=True) if key not in index]
        if strange:
            raise DataError(
                "class-unknown",
                f"the test file has class {listing(strange)}, which the train file has not",
                value=strange[0][1:-1],
            )
        y = np.array([index[key] for key in own], dtype=np.int64)[test.y]
    columns = {name: _joined(name, train.x[name], test.x[name]) for name in train.feature_names}
    n_rows = len(train.y) + len(y)
    return train._replace(
        x=pd.DataFrame(columns, index=pd.RangeIndex(n_rows), copy=False),
        y=np.concatenate([train.y, y]),
        aside={name: np.concatenate([train.aside[name], test.aside[name]]) for name in train.aside},
        ids=None if train.ids is None or test.ids is None else np.concatenate([train.ids, test.ids]),
    )


def _joined(name: str, train: "pd.Series", test: "pd.Series") -> "pd.Series":
    import pandas as pd
    from pandas.api.types import union_categoricals

    if isinstance(train.dtype, pd.CategoricalDtype) and isinstance(test.dtype, pd.CategoricalDtype):
        return pd.Series(union_categoricals([train, test], sort_categories=True))
    if isinstance(train.dtype, pd.BooleanDtype):
        test = as_truth(test)
    kinds = [_kind(column) for column in (train, test)]
    if kinds[0] != kinds[1]:
        # A column without any value says nothing of its kind.
        if test.isna().all():
            test = pd.Series(np.full(len(test), None, dtype=object)).astype(train.dtype)
        else:
            raise DataError(
                "other-kind",
                f"column '{name}' holds {kinds[0]} in the train file and {kinds[1]} in the test file; make them the "
                "same",
                column=name,
            )
    return pd.concat([train, test], ignore_index=True)


def _kind(column: "pd.Series") -> str:
    import pandas as pd

    if isinstance(column.dtype, pd.CategoricalDtype):
        return "texts"
    return "true or false" if isinstance(column.dtype, pd.BooleanDtype) else "numbers"


def _classes(
    name: str, column: "pd.Series", *, must_vary: bool, first_row: int
) -> tuple[np.ndarray, tuple[str, ...]]:
    """Return class indices and the sorted names of the classes."""
    codes = column.cat.codes.to_numpy()
    _check_missing(name, codes == -1, first_row)
    cells = [str(cell) for cell in column.cat.categories]
    for code, cell in enumerate(cells):
        if fault := fault_of_name(cell):
            row = int(np.flatnonzero(codes == code)[0]) + first_row
            raise cell_error(
                "name-unusable", name, row, f"the name of the class {fault}; rename it", value=cell
            )
    if all(_NUMBER.fullmatch(cell) for cell in cells):
        text = _names_of_numbers(cells)
        names = tuple(sorted(set(text.values()), key=Decimal))
    else:
        text = {cell: cell for cell in cells}
        names = tuple(sorted(text))
    if must_vary and len(names) == 1:
        raise DataError(
            "target-constant",
            f"column '{name}': the target is '{shown(names[0])}' in every row: there is nothing to tell apart",
            column=name,
        )
    if must_vary and len(names) > len(codes) / 2:
        raise DataError(
            "hardly-classes",
            f"column '{name}': the target has {len(names)} different values in {len(codes)} rows: these are "
            "hardly classes; for a quantity set `task: regression`",
            column=name,
        )
    index = {class_name: number for number, class_name in enumerate(names)}
    return np.array([index[text[cell]] for cell in cells], dtype=np.int64)[codes], names


def _names_of_numbers(cells: Sequence[str]) -> dict[str, str]:
    """Return one name for all ways in which a number is written: 1, 1.0 and 1e0 are one class."""
    text: dict[str, str] = {}
    by_value: dict[Decimal, str] = {}
    # Decimal compares exactly; float() would make one class of long numbers that differ in their last digit.
    for cell in sorted(set(cells), key=lambda cell: (len(cell), cell)):
        value = Decimal(cell)
        whole = value == value.to_integral_value() and abs(value) < 10**15
        text[cell] = by_value.setdefault(value, str(int(value)) if whole else cell)
    return text
