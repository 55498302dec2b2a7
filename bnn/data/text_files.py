"""Text files as header and blocks of rows: what packs them, what stands around the table, and what cannot be right.

A reader that guesses (pandas takes 1_000 for text, a ragged row for missing values) would let a wrong table pass. Arrow
splits what is plain; where it meets a quotation mark or a row that is not like the others, the strict reader of the
standard library begins anew, and its errors name the row.
"""

import csv
import io
import lzma
import re
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING, NamedTuple

import numpy as np

from bnn.core.errors import DataError, in_yaml
from bnn.data.file_kinds import opened
from bnn.data.number_hints import is_nearly_number
from bnn.data.text_encodings import LONGEST_LINE, encoding_of, in_utf_8, wrong_encoding
from bnn.data.words import TextFormat, number_of

if TYPE_CHECKING:
    import pyarrow as pa

SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars", " ": "blanks"}
_BLOCK_CELLS = 100_000
_LEAST_BLOCK, _LARGEST_BLOCK = 2**16, 2**22
"""Bytes that are read at a time: several blocks are held at once, each in several forms."""
_BLOCKS = 512
"""Blocks of a file between those bounds: more take longer, fewer more memory."""
_BYTES_OF_ROW = 16 * 32
"""Bytes of a block for each column at least: some sixteen rows, for one must fit."""
EMPTY = "the file is empty; it needs a header line and rows of data"


class Block(NamedTuple):
    """Some rows of a file."""

    columns: list["pa.Array"]
    """Texts of each column"""
    row: int
    """Number of the first of them; the header is row 1"""
    n_rows: int


class _CloserLook(Exception):
    """The quick reader met something that it must not judge."""


class TextFile:
    """A text file: its header, and then its rows.

    Parameters
    ----------
    path
        The file.
    form
        How it is written.
    is_source
        Whether the config names the file, so that it can be corrected there.

    Raises
    ------
    DataError
        If it cannot be read so; the message names the row.
    """

    def __init__(self, path: Path, form: TextFormat, *, is_source: bool) -> None:
        self._path, self._form, self._is_source = path, form, is_source
        self._encoding = ""
        self._begins_with_table = not (form.skip_lines or form.comment)
        self._remedy = (
            "check source.path (it starts from the folder of the run)" if is_source else "check its name"
        )
        self._line = ""
        """The one read last"""
        self._is_said = False
        """Whether the first line says what separates cells, as Excel has it"""
        self._lines_read: list[int] = []
        """Numbers of the lines of the header and of the first row"""
        self._left_out: dict[int, str] = {}
        """Lines below the header that are no part of the table, by their numbers"""
        rows = self._strict_rows()
        self.header = next(rows)
        self.first: list[str] = [] if form.header else self.header
        """The first row of data"""
        if form.header:
            with suppress(DataError):  # it is told with those of other rows
                self.first = next(rows, [])
        self.first_row = 2 if form.header else 1
        if not any(self.header) and not any(self.first) and not any(any(map(str.strip, row)) for row in rows):
            raise DataError("file-empty", EMPTY)

    @property
    def units(self) -> list[int]:
        """What `skip_lines` is to be if the first row holds units; [] if it has a number, or there is no header."""
        cells = [cell.strip() for cell in self.first if cell.strip()]
        if not (self._is_source and self._form.header and cells and len(self._lines_read) == 2):
            return []
        if any(number_of(cell, self._form) is not None or is_nearly_number(cell) for cell in cells):
            return []
        skip = self._form.skip_lines
        return [*(range(1, skip + 1) if isinstance(skip, int) else skip), self._lines_read[1]]

    @property
    def left_out(self) -> tuple[str, ...]:
        """What stands in lines below the header that are no part of the table, as far as it has been read."""
        return tuple(self._left_out.values())

    def blocks(self, n_cells: int, wanted: Sequence[bool]) -> Iterator[Block]:
        """Yield blocks of rows; of columns that are not wanted, none.

        Raises
        ------
        DataError
            If a row is not like the others; rows of blanks may only end a file.
        """
        done = 0
        try:
            for block in self._quick_blocks(n_cells, wanted):
                yield block
                done += block.n_rows
        except _CloserLook:
            yield from self._strict_blocks(n_cells, wanted, done)

    def _quick_blocks(self, n_cells: int, wanted: Sequence[bool]) -> Iterator[Block]:
        """Yield blocks as Arrow splits them, or raise _CloserLook before one that is not plain."""
        import pyarrow as pa
        import pyarrow.compute as pc
        import pyarrow.csv

        form = self._form
        if form.comment or form.separator == " " or not isinstance(form.skip_lines, int) or not any(wanted):
            raise _CloserLook
        names = [str(place) for place in range(n_cells)]
        size = self._path.stat().st_size
        read = pyarrow.csv.ReadOptions(
            use_threads=False,
            block_size=max(_BYTES_OF_ROW * n_cells, min(max(size // _BLOCKS, _LEAST_BLOCK), _LARGEST_BLOCK)),
            column_names=names,
            skip_rows=form.skip_lines + self._is_said + form.header,
        )
        parse = pyarrow.csv.ParseOptions(
            delimiter=form.separator, quote_char=False, double_quote=False, ignore_empty_lines=False
        )
        convert = pyarrow.csv.ConvertOptions(
            column_types=dict.fromkeys(names, pa.string()),
            strings_can_be_null=False,
        )
        places = [place for place, keep in enumerate(wanted) if keep]
        row, is_over = self.first_row, False
        try:
            with self._opened() as file:
                if (
                    form.header and file.readline(LONGEST_LINE).count(b'"') % 2
                ):  # a name holds the end of a line
                    raise _CloserLook
                is_plain = isinstance(getattr(file, "raw", None), io.FileIO)
            # Arrow reads ahead: a thread that still wants a file of Python's when Python ends would abort the process.
            with (
                pa.OSFile(str(self._path)) if is_plain else self._opened() as file,
                pyarrow.csv.open_csv(file, read, parse, convert) as batches,
            ):
                for batch in batches:
                    columns = batch.columns
                    # In a column that nobody wants, too: a text between them may hold the end of a line.
                    if any(b'"' in bytes(column.buffers()[2] or b"") for column in columns):
                        raise _CloserLook
                    blank = pc.equal(pc.utf8_trim_whitespace(columns[0]), "")
                    for column in columns[1:] if pc.any(blank).as_py() else ():
                        blank = pc.and_(blank, pc.equal(pc.utf8_trim_whitespace(column), ""))
                    n_rows = len(blank) - blank.true_count
                    if blank.true_count:
                        # Rows of blanks may only end a file.
                        if is_over or pc.any(blank.slice(0, n_rows)).as_py():
                            raise _CloserLook
                        columns = [column.slice(0, n_rows) for column in columns]
                    elif is_over:
                        raise _CloserLook
                    is_over = bool(blank.true_count)
                    if n_rows:
                        yield Block([columns[place] for place in places], row, n_rows)
                    row += n_rows
        except (pa.ArrowException, OSError, EOFError, zipfile.BadZipFile, UnicodeError):
            raise _CloserLook from None

    def _strict_blocks(self, n_cells: int, wanted: Sequence[bool], done: int) -> Iterator[Block]:
        """Yield blocks as the standard library splits them, without the rows that are done."""
        import pyarrow as pa

        rows = self._strict_rows()
        if self._form.header:
            next(rows)
        size = max(1, _BLOCK_CELLS // n_cells)
        block: list[list[str]] = []
        first, blank = self.first_row + done, 0

        def columns_of(block: list[list[str]]) -> list[pa.Array]:
            return [pa.array([row[place] for row in block], pa.string()) for place in np.flatnonzero(wanted)]

        for number, row in enumerate(rows, start=self.first_row):
            if not (row and row[0].strip()) and not any(cell.strip() for cell in row):
                blank = blank or number
                continue
            if blank:
                raise DataError("row-empty", f"row {blank} is empty; remove it", row=blank)
            if len(row) != n_cells:
                raise DataError(
                    "row-length",
                    f"row {number} has {len(row)} cells, but the "
                    f"{'header' if self._form.header else 'first row'} has {n_cells}; check its separators and "
                    "quotation marks",
                    row=number,
                )
            if number < first:
                continue
            block.append(row)
            if len(block) == size:
                yield Block(columns_of(block), first, size)
                first += size
                block = []
        if block:
            yield Block(columns_of(block), first, len(block))

    def _strict_rows(self) -> Iterator[list[str]]:
        """Yield the header, without blanks around names, and then the cells of each row as they are."""
        n_read = 0
        path, separator = self._path, self._form.separator
        try:
            if not self._encoding:
                about = {"is_source": self._is_source, "begins_with_table": self._begins_with_table}
                self._encoding = encoding_of(path, self._form.encoding, **about)
            # utf-8-sig: spreadsheets begin a file with a mark that would become part of the first name.
            with self._opened() as packed, io.TextIOWrapper(packed, encoding="utf-8-sig", newline="") as file:
                lines = self._lines(file)
                for row in csv.reader(
                    lines, delimiter=separator, strict=True, skipinitialspace=separator == " "
                ):
                    is_names = n_read == 0 and self._form.header
                    yield [cell.strip() for cell in row] if is_names else row
                    n_read += 1
        except FileNotFoundError:
            raise DataError("file-missing", f"there is no such file; {self._remedy}") from None
        except UnicodeError:
            raise wrong_encoding(
                path, self._encoding, self._form.encoding, is_source=self._is_source
            ) from None
        except csv.Error as error:
            if n_read == 0 and (mark := self._other_separator()):
                raise wrong_separator(mark, separator, is_source=self._is_source) from error
            raise DataError(
                "not-csv",
                f"row {n_read + 1} cannot be read as CSV ({error}); check its quotation marks"
                + "; within a text one is doubled, not written behind a backslash (in R by qmethod = 'double')"
                * (r"\"" in self._line),
                row=n_read + 1,
            ) from error
        except (EOFError, zipfile.BadZipFile, lzma.LZMAError, RuntimeError) as error:
            raise DataError(
                "archive-unreadable", f"the packed file cannot be read: {error}; pack it again"
            ) from error
        except OSError as error:
            raise DataError(
                "file-unreadable", f"the file cannot be read: {error.strerror or error}; {self._remedy}"
            ) from error
        if n_read == 0:
            raise DataError("file-empty", EMPTY)

    def _opened(self) -> IO[bytes]:
        file = opened(self._path, begins_with_table=self._begins_with_table)
        return in_utf_8(file, self._encoding)

    def _other_separator(self) -> str | None:
        """Return what stands more often in the first line than what is to separate its cells, if anything does."""
        with self._opened() as packed, io.TextIOWrapper(packed, encoding="utf-8-sig", newline="") as file:
            line = next(self._lines(file), "")
        mark = max(SEPARATORS, key=lambda mark: line.count(f'"{mark}"'))
        if f'"{mark}"' in line:
            return mark if mark != self._form.separator else None
        mark = max((mark for mark in SEPARATORS if mark != " "), key=line.count)
        return mark if line.count(mark) > line.count(self._form.separator) else None

    def _lines(self, file: io.TextIOWrapper) -> Iterator[str]:
        """Yield the lines of the table; a line without end, as in a file that is no text, must not fill the memory."""
        form, skip, is_below = self._form, self._form.skip_lines, False
        for number, line in enumerate(iter(lambda: file.readline(LONGEST_LINE), ""), start=1):
            if len(line) == LONGEST_LINE:
                raise DataError(
                    "line-too-long",
                    f"line {number} has more than {LONGEST_LINE} characters: this is no table of lines and columns; "
                    "check which file is named",
                    row=number,
                )
            if number == 1 and (said := re.fullmatch(r'"?sep=(.)"?\s*', line)):
                self._check_said(said[1])
                continue
            if isinstance(skip, int):
                if number <= skip:
                    continue
            elif number in skip:
                text = line.strip()
                if not is_below or form.left_out is None or text in form.left_out:
                    if is_below:
                        self._left_out[number] = text
                    continue
            if form.comment and line.lstrip().startswith(form.comment):
                continue
            self._line, is_below = line, True
            if len(self._lines_read) < 2:
                self._lines_read.append(number)
            # Between blanks a tab is one more.
            yield line.replace("\t", " ").strip(" \r\n") + "\n" if form.separator == " " else line

    def _check_said(self, separator: str) -> None:
        self._is_said = True
        if separator != self._form.separator:
            raise DataError(
                "wrong-separator",
                f"the first line says that cells are separated by '{separator}'; set source.separator: \"{separator}\"",
                key="source.separator",
                value=separator,
            )


def wrong_separator(mark: str, separator: str, *, is_source: bool) -> DataError:
    """Return the error for cells that something else separates."""
    return DataError(
        "wrong-separator",
        f"the cells seem to be separated by {SEPARATORS[mark]}; save the file with "
        f"{SEPARATORS.get(separator, repr(separator))}{f', or set source.separator: {in_yaml(mark)}' * is_source}",
        key="source.separator",
        value=mark,
    )
