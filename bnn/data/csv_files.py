"""CSV files: whatever cannot be right is an error that names row and column."""

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from bnn.core.errors import DataError, Doubt, in_yaml, listing, raise_all
from bnn.data.number_hints import thousands_mark
from bnn.data.text_columns import TextColumn
from bnn.data.text_files import SEPARATORS, TextFile, wrong_separator
from bnn.data.words import Kind, TextFormat, fault_of_name, number_of

if TYPE_CHECKING:
    import pandas as pd

NAMELESS = re.compile(r"Unnamed: \d+")
"""What a column without a name is called, here as in pandas: by its place, counted from 0."""

Choose = Callable[[Sequence[str], Sequence[str]], Mapping[str, Kind]]
"""Says for the names of the columns, and those among them that the file itself calls names of rows, what each is to
hold; or raises DataError."""


class Columns(NamedTuple):
    """Columns of a file, in its order."""

    frame: "pd.DataFrame"
    """Those that are not skipped: float64 with NaN where a value is missing; `boolean` where all texts are the words of
    a pair such as yes and no; else categories, which are sorted texts. Columns that are to hold texts always are."""
    doubts: tuple[Doubt, ...]
    faults: tuple[DataError, ...]
    """Those of columns that cannot be used, and are not in the frame"""
    first_row: int
    """Number of the first row in messages; a key of `ROW_COUNTING`"""
    left_out: tuple[str, ...] = ()
    """What stands in lines of the table that the config leaves out"""

    def checked(self) -> "pd.DataFrame":
        """Return the frame, or raise the faults of columns that are not in it."""
        raise_all(self.faults, "columns cannot be used as they are")
        return self.frame


def read_columns(path: str, choose: Choose, form: TextFormat, *, is_source: bool = True) -> Columns:
    """Read the columns of a CSV file: a header line, and rows of as many cells.

    Parameters
    ----------
    path
        The file: UTF-8, or such a file packed.
    choose
        Says what each column is to hold.
    form
        How the file is written.
    is_source
        Whether the config names the file, so that it can be corrected there.

    Raises
    ------
    DataError
        If the file cannot be read so; the message names row (as a spreadsheet counts: the header is row 1) and column.
        Faults of columns are returned.
    """
    import pandas as pd
    import pyarrow as pa

    file = TextFile(Path(path), form, is_source=is_source)
    header, is_short = _names(file, form)
    try:
        if len(header) == 1:
            _check_separator(file.header[0], form, is_source)
        _check_header(header)
        kinds = choose(header, ())
    except DataError as error:
        raise _with_cause(error, header, form) from error
    if is_short and kinds[header[0]] == "any":
        raise DataError(
            "row-length",
            f"row 2 has {len(header)} cells, but the header has {len(header) - 1}; check its separators and quotation "
            "marks, or, if the first cell of each row is its name, as R writes it, set source.row_id: "
            f"{in_yaml(header[0])}",
            row=2,
        )
    wanted = [kinds[name] != "skip" for name in header]
    units = file.units
    columns = [TextColumn(name, kinds[name], form, units=units) for name in header if kinds[name] != "skip"]
    n_rows = 0
    for block in file.blocks(len(header), wanted):
        for column, cells in zip(columns, block.columns, strict=True):
            column.add(cells, block.row)
        n_rows += block.n_rows
    if not n_rows:
        raise DataError("no-rows", "there is a header line but no row of data")
    pa.default_memory_pool().release_unused()
    found: dict[str, Any] = {}
    faults: list[DataError] = []
    for column in columns:
        try:
            found[column.name] = column.values()
        except DataError as error:
            faults.append(error)
    # One array of all columns is far faster where they are many; a long table stays as it was read, without a copy.
    frame = pd.DataFrame(found, index=pd.RangeIndex(n_rows), copy=len(found) > n_rows)
    frame.columns = pd.Index(
        list(found), dtype=object
    )  # a walk through columns is far faster than by Arrow's texts
    doubts = [doubt for column in columns for doubt in column.doubts]
    return Columns(frame, tuple(doubts), tuple(faults), file.first_row, file.left_out)


def _names(file: TextFile, form: TextFormat) -> tuple[list[str], bool]:
    """Return a name for each column, and whether the header has one less than there are cells, as R has it."""
    if not form.header:
        n_cells = len(file.first)
        if form.names and len(form.names) != n_cells:
            raise DataError(
                "row-length",
                f"row 1 has {n_cells} cells, but source.names has {len(form.names)} names; give one for each",
                row=1,
                key="source.names",
            )
        return list(form.names or (f"c{place + 1}" for place in range(n_cells))), False
    names = list(file.header)
    if not any(names):
        raise DataError("header-empty", "row 1 is empty; the header line must come first", row=1)
    is_longer = len(file.first) == len(names) + 1 and len(names) > 1
    # A separator at the end of each line but the header, or a name of each row at its beginning.
    is_short = is_longer and bool(file.first[-1].strip())
    if is_longer:
        names = ["", *names] if is_short else [*names, ""]
    return [name or f"Unnamed: {place}" for place, name in enumerate(names)], is_short


def _check_separator(first: str, form: TextFormat, is_source: bool) -> None:
    """Raise DataError if the only cell of row 1 holds what separates others."""
    marks = [mark for mark in SEPARATORS if mark in first and mark not in (form.separator, " ")]
    if not form.header:
        marks = [mark for mark in marks if mark not in (form.decimal, form.thousands)]
    if not form.header or _is_data(first, form):
        n_blanks = len(first.split()) - 1
        is_number = form.thousands == " " or thousands_mark(first.strip(), ".")
        if n_blanks > max([1, *map(first.count, marks)]) and not is_number:
            marks = [" "]
    if marks:
        raise wrong_separator(marks[0], form.separator, is_source=is_source)


def _is_data(text: str, form: TextFormat) -> bool:
    """Whether a cell is rather a row of numbers between blanks."""
    parts = text.split()
    return len(parts) > 2 and 2 * sum(number_of(part, form) is not None for part in parts) > len(parts)


def _check_header(header: Sequence[str]) -> None:
    for number, name in enumerate(header, start=1):
        if fault := fault_of_name(name):
            raise DataError(
                "name-unusable", f"row 1: the name of column {number} {fault}; rename it", column=name, row=1
            )
    twice = [f"'{name}'" for name, count in Counter(header).items() if count > 1]
    if twice:
        raise DataError(
            "name-twice",
            f"row 1: column {listing(twice)} appears more than once; rename or remove one",
            column=twice[0][1:-1],
            row=1,
        )


def _with_cause(error: DataError, header: Sequence[str], form: TextFormat) -> DataError:
    """Say why names may not be as expected: row 1 holds no names, or not yet."""
    if not form.header or error.code not in ("column-missing", "name-twice"):
        return error
    hints: list[str] = []
    if form.separator != " " and (
        (len(header) == 1 and " " in header[0]) or any(_is_data(name, form) for name in header)
    ):
        hints.append("if blanks separate the cells, set source.separator: ' '")
    if error.code == "name-twice" or any(
        number_of(part, form) is not None for part in " ".join(header).split()
    ):
        hints.append("if row 1 holds data and no names, set source.header: false, and source.names")
    n_names = sum(not NAMELESS.fullmatch(name) for name in header)
    if n_names == 1 or n_names < len(header) or not header[0][0].isalnum():
        hints.append("if lines come before the header, set source.skip_lines: 1, say, or source.comment: '#'")
    return error.reworded("; ".join([str(error), *hints]))
