"""Sheets of workbooks, as Excel and LibreOffice write them: cells have types of their own, and no column has one."""

import re
import zipfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from xml.sax.saxutils import quoteattr, unescape

from bnn.core.errors import DataError, Doubt, cell_error, in_yaml, listing, raise_all
from bnn.data.csv_files import Choose, Columns
from bnn.data.typed_columns import check_typed_names, read_typed
from bnn.data.words import TextFormat

# A formula without the value that a spreadsheet would have stored beside it: the reader takes it for an empty cell.
_NEVER_CALCULATED = re.compile(rb'<c r="([A-Z]+)(\d+)"[^>]*><f[^>]*(?:/>|>[^<]*</f>)(?:<v\s*/>|<v></v>)?</c>')

# The reader takes a cell with an error for an empty one, too; #N/A says itself that there is no value.
_ERROR = re.compile(
    rb'<c r="([A-Z]+)(\d+)"(?:(?! t=)[^>])* t="e"[^>]*>(?:(?!</c>).)*?<v>(#(?!N/A<)[^<]*)</v>', re.DOTALL
)
_ERROR_OF_ODS = re.compile(rb'calcext:value-type="error"[^>]*><text:p>(#(?!N/A<)[^<]*|Err:\d+)<')


def read_sheet(path: Path, sheet: str | None, choose: Choose, form: TextFormat) -> Columns:
    """Read the columns of a sheet: a row of names, and rows of as many cells below it.

    Parameters
    ----------
    path
        The workbook.
    sheet
        Name of the sheet; None: the only one.
    choose
        Says what each column is to hold.
    form
        How texts in it are written; of the lines to skip only those at the top, or by their number.

    Raises
    ------
    DataError
        If the workbook, the sheet or a column cannot be read; rows are counted from that of the names, which is row 1.
    """
    import pandas as pd

    name, cells, merged = _sheet(path, sheet)
    skip = form.skip_lines
    left_out: list[str] = []
    rows: list[tuple[int, list[Any]]] = []
    for number, found in enumerate(cells, start=1):
        text = "\t".join(map(str, found)).strip()
        may_skip = not rows or form.left_out is None or text in form.left_out
        if number <= skip if isinstance(skip, int) else number in skip and may_skip:
            left_out += [text] * bool(rows)
        else:
            rows.append((number, found))
    while rows and all(cell == "" for cell in rows[-1][1]):
        rows.pop()
    if not rows:
        raise DataError(
            "file-empty", f"the sheet '{name}' is empty; it needs a row of names and rows of data"
        )
    place = {number: row for row, (number, _) in enumerate(rows, start=1)}
    for (first, left), (last, right) in merged:
        if first + 1 in place:
            raise DataError(
                "cells-merged",
                f"row {place[first + 1]}: cells are merged ({_letters(left)}{first + 1}:{_letters(right)}{last + 1}), "
                "and only the first of them holds the value; split them, and fill each"
                + f", or, if it is a title, set source.skip_lines: {_below(rows, last)}"
                * (place[first + 1] == 1),
                row=place[first + 1],
            )
    header, *body = (row for _, row in rows)
    names = [str(cell).strip() or f"Unnamed: {column}" for column, cell in enumerate(header)]
    check_typed_names(names)
    if not body:
        raise DataError("no-rows", "there is a row of names but no row of data")
    for row, line in enumerate(body, start=2):
        if all(cell == "" for cell in line):
            raise DataError("row-empty", f"row {row} is empty; remove it", row=row)
    kinds = choose(names, ())
    xml = _xml_of(path, name)
    faults: dict[tuple[str, int], DataError] = {}
    told = [(*found, "") for found in _NEVER_CALCULATED.findall(xml)] + _ERROR.findall(xml)
    for letters, digits, error in told:
        column, number = _column(letters.decode()), int(digits)
        if number in place and column < len(names) and kinds[names[column]] != "skip":
            text = "holds a formula that no spreadsheet has calculated; open the file in one, and save it"
            if error:
                text = f"holds the error {error.decode()}; correct it, or leave it empty"
            code = "formula-error" if error else "never-calculated"
            fault = cell_error(code, names[column], place[number], f"the cell {text}")
            faults.setdefault((code, column), fault)
    raise_all([*faults.values()], "cells cannot be used as they are")

    def series(column: int) -> Any:
        return pd.Series([_value(row[column]) for row in body], dtype=object)

    frame, doubts, column_faults = read_typed(names, series, kinds, form=form, first_row=2)
    if errors := [error.decode() for error in _ERROR_OF_ODS.findall(xml)]:
        kind = Counter(errors).most_common(1)[0][0]
        text = (
            f"the sheet holds an error, such as {kind}, {len(errors)} times; it is taken for a missing value"
        )
        doubts = (*doubts, Doubt("formula-error", "", text))
    if not xml and (gap := next((row for row, line in enumerate(body, start=2) if "" in line), None)):
        text = "in this kind of workbook a cell with an error, such as #DIV/0!, reads as an empty one; save it as xlsx"
        doubts = (*doubts, Doubt("errors-unseen", "", text, row=gap))
    return Columns(frame, doubts, column_faults, 2, tuple(left_out))


def _below(rows: list[tuple[int, list[Any]]], last: int) -> int:
    """Return how many rows stand above the first one of several cells below a row, counted from 0."""
    full = (n for n, row in rows if n > last + 1 and sum(cell != "" for cell in row) > 1)
    return next(full, last + 2) - 1


def _value(cell: Any) -> Any:
    return None if cell == "" else cell


def _letters(column: int) -> str:
    """Return what a spreadsheet calls a column, counted from 0."""
    return ("" if column < 26 else _letters(column // 26 - 1)) + chr(ord("A") + column % 26)


def _sheet(path: Path, sheet: str | None) -> tuple[str, list[list[Any]], Sequence[Any]]:
    """Return the name of a sheet, its cells by rows, and which of them are merged."""
    try:
        import python_calamine
    except ModuleNotFoundError:
        raise DataError(
            "package-missing",
            "a workbook is read by the package python-calamine: pip install python-calamine",
        ) from None
    if not path.is_file():
        fault = "it is a folder" if path.is_dir() else "there is no such file"
        code = "file-unreadable" if path.is_dir() else "file-missing"
        raise DataError(code, f"{fault}; check source.path (it starts from the folder of the run)")
    try:
        with python_calamine.CalamineWorkbook.from_path(str(path)) as book:
            names = list(book.sheet_names)
            if sheet is None and len(names) > 1:
                raise DataError(
                    "sheet-unclear",
                    f"the workbook has {len(names)} sheets ({listing(names)}); set "
                    f"source.sheet: {in_yaml(names[0])}, say",
                    key="source.sheet",
                )
            if sheet is not None and sheet not in names:
                raise DataError(
                    "sheet-missing",
                    f"there is no sheet '{sheet}' (the sheets are {listing(names)})",
                    key="source.sheet",
                )
            found = book.get_sheet_by_name(sheet or names[0])
            return found.name, found.to_python(skip_empty_area=False), found.merged_cell_ranges or ()
    except (python_calamine.CalamineError, zipfile.BadZipFile, OSError) as error:
        raise DataError("not-excel", f"this is no workbook that can be read ({error})") from error


def _xml_of(path: Path, sheet: str) -> bytes:
    """Return a sheet as the workbook holds it, of xlsx and ods alone; of others nothing."""
    if not zipfile.is_zipfile(path):
        return b""
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
        if "content.xml" in names:
            content = archive.read("content.xml")
            tables = re.split(rb"(?=<table:table [^>]*table:name=)", content)
            name = f"table:name={quoteattr(sheet)}".encode()
            return next((table for table in tables if name in table[: table.find(b">")]), b"")
        if "xl/workbook.xml" not in names or "xl/_rels/workbook.xml.rels" not in names:
            return b""
        book = archive.read("xl/workbook.xml").decode()
        links = archive.read("xl/_rels/workbook.xml.rels").decode()
        for tag in re.findall(r"<sheet [^>]*>", book):
            own = dict(re.findall(r'([\w:]+)="([^"]*)"', tag))
            if unescape(own.get("name", "")) != sheet:
                continue
            for link in re.findall(r"<Relationship [^>]*>", links):
                about = dict(re.findall(r'(\w+)="([^"]*)"', link))
                if about.get("Id") == own.get("r:id"):
                    return archive.read("xl/" + about["Target"].removeprefix("/xl/"))
    return b""


def _column(letters: str) -> int:
    number = 0
    for letter in letters:
        number = number * 26 + ord(letter) - ord("A") + 1
    return number - 1
