"""Tables as their source gives them, in original units; CSV files, whose faults are named by place."""

import csv
import difflib
import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import NamedTuple

import numpy as np

# Squares of such values, and sums of them over any table, stay finite.
_LARGEST = 1e150
_MISSING = {"", "na", "n/a", "#n/a", "<na>", "nan", "-nan", "null", "none"}
# A class written as a number: no words that float() knows, no leading zeros (007 is a code), and short enough to be
# held and shown exactly.
_NUMBER = re.compile(r"[+-]?((0|[1-9]\d{0,14})(\.\d{0,15})?|\.\d{1,15})([eE][+-]?\d{1,2})?", re.ASCII)
# Joiners that words of some scripts need; other characters without a shape of their own are faults or tricks.
_JOINERS = "\u200c\u200d"
_LONGEST_NAME = 500


class DataError(ValueError):
    """The data cannot be used; the message says where the fault is and what to do, in one line."""


class Table(NamedTuple):
    """What a source holds, in original units."""

    x: np.ndarray
    """(row, feature) float64"""
    y: np.ndarray
    """(row,): class index (int64), or the target (float64)"""
    feature_names: tuple[str, ...]
    target_name: str
    target_unit: str
    class_names: tuple[str, ...]
    """() for regression"""


def read_csv(path: str, *, target: str, target_unit: str, is_class: bool, must_vary: bool = True) -> Table:
    """Read a CSV file: a header line, a target column, and numeric features in all other columns.

    Parameters
    ----------
    path
        The file: UTF-8, with commas between cells.
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

    Raises
    ------
    DataError
        If the file cannot be used; the message names file, column and row (as a spreadsheet counts: the
        header is row 1).
    """
    try:
        header, rows = _records(path)
        columns = dict(zip(header, zip(*rows, strict=True), strict=True))
        if target not in columns:
            close = difflib.get_close_matches(target, header, n=1)
            hint = f"; did you mean '{close[0]}'?" if close else ""
            raise DataError(
                f"there is no target column '{shown(target)}' (the columns are {listing(header)}){hint}"
            )
        cells = columns.pop(target)
        if not columns:
            raise DataError(f"there is no column beside the target '{target}': nothing to predict from")
        remedy = "features must be numbers: remove the column, or code it as numbers"
        x = np.column_stack([_numbers(name, column, remedy) for name, column in columns.items()])
        if is_class:
            y, class_names = _classes(target, cells, must_vary=must_vary)
        else:
            y = _numbers(
                target,
                cells,
                "the target of a regression must be a number; for classes set `task: classification`",
            )
            class_names = ()
            if must_vary and np.ptp(y) == 0:
                raise DataError(
                    f"column '{target}': the target is {shown(cells[0])} in every row: there is nothing to learn"
                )
    except DataError as error:
        raise DataError(f"{path}: {error}") from error
    return Table(x, y, tuple(columns), target, target_unit, class_names)


def join(train: Table, test: Table) -> Table:
    """Return the rows of both tables, train first.

    Raises
    ------
    DataError
        If the test table lacks a feature, has another one, or has a class that the train table has not.
    """
    of_train, of_test = set(train.feature_names), set(test.feature_names)
    missing = [name for name in train.feature_names if name not in of_test]
    unknown = [name for name in test.feature_names if name not in of_train]
    for names, fault in ((missing, "lacks"), (unknown, "has, and the train file has not,")):
        if names:
            raise DataError(f"the test file {fault} column {listing(names)}: both must have the same columns")
    place = {name: index for index, name in enumerate(test.feature_names)}
    order = [place[name] for name in train.feature_names]
    y = test.y
    if train.class_names:
        strange = [f"'{name}'" for name in test.class_names if name not in train.class_names]
        if strange:
            raise DataError(f"the test file has class {listing(strange)}, which the train file has not")
        y = np.array([train.class_names.index(name) for name in test.class_names], dtype=np.int64)[test.y]
    return train._replace(x=np.vstack([train.x, test.x[:, order]]), y=np.concatenate([train.y, y]))


def listing(names: Sequence[str]) -> str:
    """Return names separated by commas, the first ten of many."""
    text = ", ".join(shown(name) for name in names[:10])
    return text if len(names) <= 10 else f"{text} and {len(names) - 10} more"


def shown(text: str) -> str:
    """Return a text as a message can hold it: on one line, all of it visible, and not endless."""
    visible = "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)
    return visible if len(visible) <= 60 else f"{visible[:57]}..."


class Features(NamedTuple):
    """Features of new rows, in original units."""

    x: np.ndarray
    """(row, feature) float64, features in the order asked for"""
    has_ignored: bool
    """Whether the column that is ignored was there"""


def read_features(path: str, feature_names: Sequence[str], *, ignored: str) -> Features:
    """Read the features of new rows from a CSV file.

    Parameters
    ----------
    path
        The file, as for `read_csv`.
    feature_names
        Columns that must be there, in the order in which they are returned; in the file any order will do.
    ignored
        Name of a column, the target, that may be there.

    Raises
    ------
    DataError
        If the file cannot be used, lacks a column or has another one; the message names file, column and row (the
        header is row 1).
    """
    try:
        header, rows = _records(path, remedy="check its name")
        known, there = {*feature_names, ignored}, set(header)
        missing = [name for name in feature_names if name not in there]
        extra = [name for name in header if name not in known]
        if missing:
            close = difflib.get_close_matches(missing[0], extra, n=1)
            hint = f"; is it '{close[0]}'? Then rename that" if close else ""
            columns_are = "column {} is" if len(missing) == 1 else "columns {} are"
            raise DataError(
                f"row 1: {columns_are.format(listing(missing))} missing, which the network was trained on{hint}"
            )
        if extra:
            one = f"column {listing(extra)} is not one that the network was trained on; remove it"
            several = (
                f"columns {listing(extra)} are not among those that the network was trained on; remove them"
            )
            raise DataError(f"row 1: {one if len(extra) == 1 else several}")
        columns = dict(zip(header, zip(*rows, strict=True), strict=True))
        remedy = "features must be numbers"
        x = np.column_stack([_numbers(name, columns[name], remedy) for name in feature_names])
    except DataError as error:
        raise DataError(f"{path}: {error}") from error
    return Features(x, ignored in there)


def _records(
    path: str, remedy: str = "check source.path (it starts from the folder of the run)"
) -> tuple[list[str], list[list[str]]]:
    """Return the header and the data rows, all of one length, without blanks around cells."""
    records: list[list[str]] = []
    try:
        # utf-8-sig: spreadsheets begin a file with a mark that would become part of the first name.
        with Path(path).open(encoding="utf-8-sig", newline="") as file:
            records.extend([cell.strip() for cell in record] for record in csv.reader(file, strict=True))
    except FileNotFoundError:
        raise DataError(f"there is no such file; {remedy}") from None
    except OSError as error:
        raise DataError(f"the file cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise DataError("the file is not UTF-8 text; save it again as 'CSV UTF-8'") from error
    except csv.Error as error:
        raise DataError(
            f"row {len(records) + 1} cannot be read as CSV ({error}); check its quotation marks"
        ) from error
    while records and not any(records[-1]):
        records.pop()
    if not records:
        raise DataError("the file is empty; it needs a header line and rows of data")
    header, *rows = records
    if not any(header):
        raise DataError("row 1 is empty; the header line must come first")
    for mark, name in ((";", "semicolons"), ("\t", "tabs")):
        if len(header) == 1 and mark in header[0]:
            raise DataError(f"the cells seem to be separated by {name}; save the file with commas")
    for number, name in enumerate(header, start=1):
        if fault := _fault_of_name(name):
            raise DataError(f"row 1: the name of column {number} {fault}; rename it")
    if "" in header:
        raise DataError(
            f"column {header.index('') + 1} has no name; name or remove it (pandas writes such a column "
            "unless told `index=False`)"
        )
    twice = [f"'{name}'" for name, count in Counter(header).items() if count > 1]
    if twice:
        raise DataError(f"row 1: column {listing(twice)} appears more than once; rename or remove one")
    if not rows:
        raise DataError("there is a header line but no row of data")
    for number, row in enumerate(rows, start=2):
        if not any(row):
            raise DataError(f"row {number} is empty; remove it")
        if len(row) != len(header):
            raise DataError(
                f"row {number} has {len(row)} cells, but the header has {len(header)}; check its commas"
            )
    return header, rows


def _fault_of_name(name: str) -> str | None:
    """Say what makes a name of a column or class unfit to be stored and shown; None if nothing does."""
    if len(name) > _LONGEST_NAME:
        return f"has {len(name)} characters, more than {_LONGEST_NAME}"
    for character in name:
        # Control and format characters, and separators of lines: NetCDF ends a text at a NUL, and a page or a
        # terminal may show something else than what is there.
        if unicodedata.category(character) in ("Cc", "Cf", "Zl", "Zp") and character not in _JOINERS:
            return f"holds a character that cannot be seen (U+{ord(character):04X})"
    return None


def _numbers(name: str, cells: Sequence[str], remedy: str) -> np.ndarray:
    """Return a column as float64."""
    missing = [row for row, cell in enumerate(cells, start=2) if cell.lower() in _MISSING]
    if missing:
        raise _missing_error(name, missing)
    values = np.empty(len(cells))
    for index, cell in enumerate(cells):
        try:
            # float() would take 1_000 for a number.
            values[index] = float(cell.replace("_", "?"))
        except ValueError:
            raise DataError(
                f"column '{name}', row {index + 2}: '{shown(cell)}' is not a number; {remedy}"
            ) from None
    large = np.flatnonzero(~(np.abs(values) <= _LARGEST))
    if large.size:
        row = int(large[0])
        raise DataError(
            f"column '{name}', row {row + 2}: {shown(cells[row])} is infinite or too large; correct it"
        )
    return values


def _missing_error(name: str, rows: Sequence[int]) -> DataError:
    more = f" (and in {len(rows) - 1} more rows of the column)" if len(rows) > 1 else ""
    return DataError(
        f"column '{name}', row {rows[0]}: the value is missing{more}; fill it in, or remove row or column"
    )


def _classes(name: str, cells: Sequence[str], *, must_vary: bool) -> tuple[np.ndarray, tuple[str, ...]]:
    """Return class indices and the sorted names of the classes."""
    missing = [row for row, cell in enumerate(cells, start=2) if cell.lower() in _MISSING]
    if missing:
        raise _missing_error(name, missing)
    for row, cell in enumerate(cells, start=2):
        if fault := _fault_of_name(cell):
            raise DataError(f"column '{name}', row {row}: the name of the class {fault}; rename it")
    if all(_NUMBER.fullmatch(cell) for cell in set(cells)):
        text = _names_of_numbers(cells)
        names = tuple(sorted(set(text.values()), key=Decimal))
    else:
        text = {cell: cell for cell in cells}
        names = tuple(sorted(text))
    if must_vary and len(names) == 1:
        raise DataError(
            f"column '{name}': the target is '{names[0]}' in every row: there is nothing to tell apart"
        )
    if must_vary and len(names) > len(cells) / 2:
        raise DataError(
            f"column '{name}': the target has {len(names)} different values in {len(cells)} rows: these are "
            "hardly classes; for a quantity set `task: regression`"
        )
    index = {class_name: number for number, class_name in enumerate(names)}
    return np.array([index[text[cell]] for cell in cells], dtype=np.int64), names


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
