"""CSV files, read strictly and in blocks: whatever cannot be right is an error that names row and column.

A reader that guesses (pandas' own takes 1_000 for text, a ragged row for missing values) would let a wrong table pass.
Cells become numbers, or codes of texts, a block of rows at a time, so that a file never lies in memory as text.
"""

import csv
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from bnn.core.errors import (
    DataError,
    cell_error,
    collected_faults,
    drop_line,
    in_yaml,
    listing,
    or_missing,
    shown,
)

if TYPE_CHECKING:
    import pandas as pd

Kind = Literal["any", "number", "text", "skip"]
"""What a column is to hold: numbers or texts, as its cells tell; numbers; texts, whatever they look like; no matter."""

# Squares of such values, and sums of them over any table, stay finite.
LARGEST = 1e150
MISSING_WORDS = ("NA", "N/A", "#N/A", "<NA>", "NaN", "-NaN", "null", "None")
"""Words, in any case, that stand for a missing value like an empty cell, if nothing else is said."""

_PAIRS = (("true", "false"), ("yes", "no"), ("t", "f"), ("y", "n"))
BOOLEAN = {word: word == pair[0] for pair in _PAIRS for word in pair}
"""Words, in lower case, for true and false: of columns that hold one pair of them, and nothing else.

A single letter says so only beside its other half: F alone may be a sex, or a grade.
"""

_BLOCK_CELLS = 100_000
_LONGEST_LINE = 2**24
_LONGEST_NAME = 500
# Joiners that words of some scripts need; other characters without a shape of their own are faults or tricks.
_JOINERS = "\u200c\u200d"
_EMPTY = "the file is empty; it needs a header line and rows of data"
_SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs"}


def read_columns(
    path: str,
    choose: Callable[[Sequence[str]], Mapping[str, Kind]],
    *,
    separator: str = ",",
    decimal: str = ".",
    missing_words: Sequence[str] = MISSING_WORDS,
    is_source: bool = True,
) -> "pd.DataFrame":
    """Read the columns of a CSV file: a header line, and rows of as many cells.

    Parameters
    ----------
    path
        The file: UTF-8.
    choose
        Says for the names in the header what each column is to hold, or raises DataError.
    separator
        What stands between cells.
    decimal
        What stands before the fraction of a number, "." or ",".
    missing_words
        Words, in any case, that stand for a missing value like an empty cell.
    is_source
        Whether the config names the file, so that it may be mended there.

    Returns
    -------
    DataFrame
        The columns that are not skipped, in the order of the file: float64 with NaN where a value is missing;
        `boolean` where all texts are the words of a pair such as yes and no; else categories, which are sorted texts.
        Columns that are to hold text are always categories.

    Raises
    ------
    DataError
        If the file cannot be read so; the message names row (as a spreadsheet counts: the header is row 1) and column.
    """
    import pandas as pd

    remedy = "check source.path (it starts from the folder of the run)" if is_source else "check its name"
    rows = _rows(Path(path), separator, remedy)
    header = next(rows)
    if not any(header) and not any(any(map(str.strip, row)) for row in rows):
        raise DataError("file-empty", _EMPTY)
    _check_header(header, separator, or_set=", or set source.separator" if is_source else "")
    kinds = choose(header)
    columns = [
        None if kinds[name] == "skip" else _Column(name, kinds[name], decimal=decimal, words=missing_words)
        for name in header
    ]
    n_rows = 0
    for block in _blocks(rows, header):
        for column, cells in zip(columns, zip(*block, strict=True), strict=True):
            if column is not None:
                column.add(cells, n_rows + 2)
        n_rows += len(block)
    if not n_rows:
        raise DataError("no-rows", "there is a header line but no row of data")
    with collected_faults() as collect:
        found = {column.name: collect(column.values) for column in columns if column is not None}
    # One array of all columns is far faster where they are many; a long table stays as it was read, without a copy.
    return pd.DataFrame(found, index=pd.RangeIndex(n_rows), copy=len(found) > n_rows)


def truth_of(levels: Sequence[str], *, is_known: bool = False) -> np.ndarray | None:
    """Return which of the texts of a column are true, (level,) bool; None if they are not the words of one pair.

    N and F in one column, say, are not two ways to write false. One letter without the other half of its pair is no
    truth value, unless the column is known to hold such (`is_known`).
    """
    words = {level.lower() for level in levels}
    if not words or not any(words <= set(pair) for pair in _PAIRS):
        return None
    if not is_known and len(words) == 1 and len(min(words)) == 1:
        return None
    return np.array([BOOLEAN[level.lower()] for level in levels])


def fault_of_name(name: str, *, longest: int = _LONGEST_NAME) -> str | None:
    """Say what makes a name of a column or class unfit to be stored and shown; None if nothing does."""
    if len(name) > longest:
        return f"has {len(name)} characters, more than {longest}"
    for character in name:
        # Control, format, private and unassigned characters, and separators of lines: NetCDF ends a text at a NUL, and
        # a page or a terminal may show something else than what is there.
        if (
            unicodedata.category(character) in ("Cc", "Cf", "Co", "Cn", "Zl", "Zp")
            and character not in _JOINERS
        ):
            return f"holds a character that cannot be seen (U+{ord(character):04X})"
    return None


def _rows(path: Path, separator: str, remedy: str) -> Iterator[list[str]]:
    """Yield the header, without blanks around names, and then the cells of each row as they are."""
    n_read = 0
    try:
        # utf-8-sig: spreadsheets begin a file with a mark that would become part of the first name.
        with path.open(encoding="utf-8-sig", newline="") as file:
            for row in csv.reader(_lines(file), delimiter=separator, strict=True):
                yield [cell.strip() for cell in row] if n_read == 0 else row
                n_read += 1
    except FileNotFoundError:
        raise DataError("file-missing", f"there is no such file; {remedy}") from None
    except UnicodeDecodeError:
        place = _first_row_of_another_encoding(path)
        raise DataError(
            "not-utf-8", f"the file is not UTF-8 text{place}; save it again as 'CSV UTF-8'"
        ) from None
    except csv.Error as error:
        raise DataError(
            "not-csv",
            f"row {n_read + 1} cannot be read as CSV ({error}); check its quotation marks",
            row=n_read + 1,
        ) from error
    except OSError as error:
        raise DataError("file-unreadable", f"the file cannot be read: {error.strerror}; {remedy}") from error
    if n_read == 0:
        raise DataError("file-empty", _EMPTY)


def _lines(file: "Iterator[str]") -> Iterator[str]:
    """Yield the lines of a file; a line without end, as in a file that is no text, must not fill the memory."""
    for number, line in enumerate(iter(lambda: file.readline(_LONGEST_LINE), ""), start=1):  # type: ignore[attr-defined]
        if len(line) == _LONGEST_LINE:
            raise DataError(
                "line-too-long",
                f"line {number} has more than {_LONGEST_LINE} characters: this is no table of lines and columns; "
                "check which file is named",
                row=number,
            )
        yield line


def _first_row_of_another_encoding(path: Path) -> str:
    with path.open("rb") as file:
        for number, line in enumerate(iter(lambda: file.readline(_LONGEST_LINE), b""), start=1):
            if number == 1 and line.startswith((b"\xff\xfe", b"\xfe\xff")):
                return " but UTF-16"
            try:
                line.decode("utf-8")
            except UnicodeDecodeError as error:
                return f" (line {number}, from byte {error.start + 1} on)"
    return ""


def _check_header(header: Sequence[str], separator: str, or_set: str) -> None:
    if not any(header):
        raise DataError("header-empty", "row 1 is empty; the header line must come first", row=1)
    for mark, name in _SEPARATORS.items() if len(header) == 1 else ():
        if mark in header[0] and mark != separator:
            raise DataError(
                "wrong-separator",
                f"the cells seem to be separated by {name}; save the file with "
                f"{_SEPARATORS.get(separator, repr(separator))}{or_set}",
                key="source.separator",
            )
    for number, name in enumerate(header, start=1):
        if fault := fault_of_name(name):
            raise DataError(
                "name-unusable", f"row 1: the name of column {number} {fault}; rename it", column=name, row=1
            )
    if "" in header:
        raise DataError(
            "name-missing",
            f"column {header.index('') + 1} has no name; name or remove it (pandas writes such a column "
            "unless told `index=False`)",
            column="",
            row=1,
        )
    twice = [f"'{name}'" for name, count in Counter(header).items() if count > 1]
    if twice:
        raise DataError(
            "name-twice",
            f"row 1: column {listing(twice)} appears more than once; rename or remove one",
            column=twice[0][1:-1],
            row=1,
        )


def _blocks(rows: Iterator[list[str]], header: Sequence[str]) -> Iterator[list[list[str]]]:
    """Yield rows of data some thousand cells at a time, all of one length; rows of blanks may only end a file."""
    n_cells, size = len(header), max(1, _BLOCK_CELLS // len(header))
    block: list[list[str]] = []
    blank = 0
    for number, row in enumerate(rows, start=2):
        if not (row and row[0].strip()) and not any(cell.strip() for cell in row):
            blank = blank or number
            continue
        if blank:
            raise DataError("row-empty", f"row {blank} is empty; remove it", row=blank)
        if len(row) != n_cells:
            raise DataError(
                "row-length",
                f"row {number} has {len(row)} cells, but the header has {n_cells}; check its separators and quotation "
                "marks",
                row=number,
            )
        block.append(row)
        if len(block) == size:
            yield block
            block = []
    if block:
        yield block


def _as_number(word: str, decimal: str) -> float | None:
    """Return a word for a missing value as a number, written with a point or as in the file; None if it is none."""
    text = word.replace(",", ".") if decimal == "," else word
    try:
        value = float(text.replace("_", "?"))
    except ValueError:
        return None
    return value if value == value else None


class _Column:
    """A column as it is read, block by block."""

    def __init__(self, name: str, kind: Kind, *, decimal: str, words: Sequence[str]) -> None:
        self.name = name
        self._words = words
        self._missing = {"", *(word.strip().lower() for word in words)}
        self._missing_numbers = [
            value for word in self._missing if (value := _as_number(word, decimal)) is not None
        ]
        self._kind = kind
        self._decimal = decimal
        self._blocks: list[
            np.ndarray
        ] = []  # float64 without any text, or codes (int32) of texts, -1 for no text
        self._levels: dict[str, int] = {}
        self._n_numbers = self._n_texts = 0
        self._first_number: tuple[int, str] | None = None
        self._first_text: tuple[int, str] | None = None

    def add(self, cells: Sequence[str], row: int) -> None:
        """Take the cells of a block whose first one stands in the row."""
        if self._kind != "text":
            values = self._fast(cells)
            if values is not None:
                self._n_numbers += len(values)
                self._first_number = self._first_number or (row, cells[0])
                self._blocks.append(values)
                return
        self._slow(cells, row)

    def _fast(self, cells: Sequence[str]) -> np.ndarray | None:
        """Return the numbers if there is nothing else, and none that needs a closer look."""
        text = "".join(cells)
        # float() would take 1_000 for a number.
        if "_" in text:
            return None
        if self._decimal == ",":
            if "." in text:
                return None
            cells = [cell.replace(",", ".") for cell in cells]
        try:
            values = np.fromiter(map(float, cells), dtype=np.float64, count=len(cells))
        except ValueError:
            return None
        if self._missing_numbers and np.isin(values, self._missing_numbers).any():
            return None
        return values if (np.abs(values) <= LARGEST).all() else None

    def _slow(self, cells: Sequence[str], row: int) -> None:
        values = np.full(len(cells), np.nan)
        codes = np.full(len(cells), -1, dtype=np.int32)
        for index, raw in enumerate(cells):
            cell = raw.strip()
            if cell.lower() in self._missing:
                continue
            number = None if self._kind == "text" else self._number(cell, row + index)
            if number is not None and number in self._missing_numbers:
                continue
            if number is not None:
                values[index] = number
                self._n_numbers += 1
                self._first_number = self._first_number or (row + index, cell)
                continue
            if self._kind == "number":
                raise self._not_a_number(row + index, cell)
            codes[index] = self._levels.setdefault(cell, len(self._levels))
            self._n_texts += 1
            self._first_text = self._first_text or (row + index, cell)
        self._blocks.append(codes if self._n_texts else values)

    def _number(self, cell: str, row: int) -> float | None:
        text = cell
        if self._decimal == ",":
            # A point would be a mark of thousands: 1.500 would pass for one and a half.
            text = text.replace(".", "?").replace(",", ".")
        try:
            value = float(text.replace("_", "?"))
        except ValueError:
            return None
        if value != value:
            return None  # float() takes "nan", which is a word like others if it does not stand for a missing value
        if abs(value) > LARGEST:
            raise cell_error(
                "number-too-large",
                self.name,
                row,
                f"{shown(cell)} is infinite or too large; correct it",
                value=cell,
            )
        return value

    def _not_a_number(self, row: int, cell: str) -> DataError:
        hint = ""
        if self._decimal == "." and cell.count(",") == 1 and self._is_number(cell.replace(",", ".")):
            hint = (
                " as long as source.decimal is '.'; if its comma is a decimal comma, set source.decimal: ','"
            )
        elif self._decimal == "," and self._is_number(cell):
            hint = " as long as source.decimal is ','"
        return cell_error(
            "not-a-number", self.name, row, f"'{shown(cell)}' is not a number{hint}", value=cell
        )

    @staticmethod
    def _is_number(text: str) -> bool:
        try:
            float(text)
        except ValueError:
            return False
        return True

    def values(self) -> "np.ndarray | pd.Categorical | pd.arrays.BooleanArray":
        """Return the whole column.

        Raises
        ------
        DataError
            If it holds numbers and texts, or numbers with a decimal comma that was not asked for.
        """
        import pandas as pd

        if self._first_text is None and self._kind != "text":
            values = np.concatenate(self._blocks)
            self._blocks.clear()
            return values
        if self._first_text is not None and self._kind != "text":
            self._check_texts()
        codes = np.concatenate(
            [
                block if block.dtype == np.int32 else np.full(len(block), -1, np.int32)
                for block in self._blocks
            ]
        )
        self._blocks.clear()
        levels = list(self._levels)
        truth = None if self._kind == "text" else truth_of(levels)
        if truth is not None:
            return pd.arrays.BooleanArray(truth[codes], codes == -1)
        order = sorted(range(len(levels)), key=levels.__getitem__)
        rank = np.empty(len(levels) + 1, dtype=np.int32)
        rank[order] = np.arange(len(levels))
        rank[-1] = -1
        return pd.Categorical.from_codes(
            rank[codes], categories=pd.Index([levels[i] for i in order], dtype=object)
        )

    def _check_texts(self) -> None:
        assert self._first_text is not None
        row, cell = self._first_text
        if self._first_number is None:
            if all(self._is_number(level.replace(",", ".")) for level in self._levels):
                raise self._not_a_number(row, cell)
            return
        fault = self._not_a_number(row, cell)
        if self._n_texts <= self._n_numbers:
            raise DataError(
                "text-among-numbers",
                f"{fault}, but other cells of the column are; correct it (a column of numbers may hold nothing else), "
                f"{or_missing(self._levels, self._words)}or drop the column ({drop_line(self.name)})",
                column=self.name,
                row=row,
                value=cell,
            )
        row, cell = self._first_number
        raise cell_error(
            "number-among-texts",
            self.name,
            row,
            f"'{shown(cell.strip())}' is a number, but most cells of the column are "
            f"texts; correct it, {or_missing(self._levels, self._words, most=1)}or, if it is a text as well, set "
            f"source.categorical: [{in_yaml(self.name)}]",
            value=cell.strip(),
        )
