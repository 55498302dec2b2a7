"""Encodings of text files: what the file itself says, and any other as UTF-8 while it is read."""

import codecs
import io
import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import IO

from bnn.core.errors import DataError, shown
from bnn.data.file_kinds import opened

_MARKS = {
    codecs.BOM_UTF8: "utf-8",
    codecs.BOM_UTF32_LE: "utf-32",  # before that of UTF-16, which begins it
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
_CHUNK = 2**16
LONGEST_LINE = 2**24
"""Characters of a line at most: one without end, as in a file that is no text, must not fill the memory."""
_WINDOWS = "cp1252"
"""What R, Excel and SAS write on Windows in Western Europe and America"""


def encoding_of(path: Path, named: str, *, is_source: bool, begins_with_table: bool) -> str:
    """Return the encoding of a file: what a mark at its beginning says, else the one that is named.

    Raises
    ------
    DataError
        If it is UTF-8 and another one is named, or UTF-16 without a mark and UTF-8 is named.
    """
    with opened(path, begins_with_table=begins_with_table) as file:
        start = file.read(_CHUNK)
    for mark, encoding in _MARKS.items():
        if start.startswith(mark):
            return encoding
    named = codecs.lookup(named).name.removesuffix("-sig")
    if named == "utf-8" and (wide := _wide(start)):
        remedy = f"set source.encoding: {wide}" if is_source else "save it again as 'CSV UTF-8'"
        raise DataError(
            "not-utf-8",
            f"the file is not UTF-8 text but UTF-16 without a mark at its beginning; {remedy}",
            key="source.encoding",
            value=wide,
        )
    if named not in ("utf-8", "ascii") and _keeps_ascii(named) and _is_utf_8(path):
        remedy = (
            "remove it"
            if is_source
            else f"save it again in {named}, or as 'CSV UTF-8', which begins with a mark"
        )
        raise DataError(
            "wrong-encoding",
            f"the file is UTF-8 text, and source.encoding says {named}; {remedy}",
            key="source.encoding",
        )
    return named


def in_utf_8(file: IO[bytes], encoding: str) -> IO[bytes]:
    """Return a file that reads as UTF-8, whatever its encoding, a piece at a time."""
    if encoding == "utf-8":
        return file
    return io.BufferedReader(_InUtf8(file, encoding), _CHUNK)


class _InUtf8(io.RawIOBase):
    """A file of another encoding."""

    def __init__(self, file: IO[bytes], encoding: str) -> None:
        self._file = file
        self._decoder = codecs.getincrementaldecoder(encoding)()
        self._ready = memoryview(b"")
        self._is_over = False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "bytearray | memoryview") -> int:  # type: ignore[override]
        while not self._ready and not self._is_over:
            chunk = self._file.read(_CHUNK)
            self._is_over = not chunk
            self._ready = memoryview(self._decoder.decode(chunk, self._is_over).encode())
        size = min(len(buffer), len(self._ready))
        buffer[:size] = self._ready[:size]
        self._ready = self._ready[size:]
        return size

    def close(self) -> None:
        self._file.close()
        super().close()


def wrong_encoding(path: Path, encoding: str, named: str, *, is_source: bool) -> DataError:
    """Return the error for a file that holds bytes which its encoding has not, beside the one that is named for it."""
    place, line = _first_strange(path, encoding)
    if encoding != "utf-8":
        says = (
            "source.encoding says so" if codecs.lookup(named).name == encoding else "its first bytes say so"
        )
        remedy = "correct it" if is_source else "save it again as 'CSV UTF-8', which begins with a mark"
        return DataError(
            "wrong-encoding",
            f"the file is not {encoding} text{place}, though {says}; {remedy}",
            key="source.encoding",
        )
    guess = _WINDOWS if _may_be(path, _WINDOWS) else None
    text = (
        re.search(r"[^\s,;|\"]{0,20}[^\x00-\x7f][^\s,;|\"]{0,20}", line.decode(_WINDOWS)) if guess else None
    )
    name = "the name of its encoding, such as cp1251 or gbk"
    if guess:
        name = f"{guess}, as R and Excel write on Windows"
        name += f" (the text there is then '{shown(text[0])}')" if text else ""
    remedy = f"set source.encoding: {name}, or " if is_source else ""
    return DataError(
        "not-utf-8",
        f"the file is not UTF-8 text{place}; {remedy}save it again as 'CSV UTF-8'",
        key="source.encoding",
        value=guess,
    )


def _chunks(path: Path) -> Iterator[bytes]:
    with opened(path, begins_with_table=False) as file:
        yield from iter(partial(file.read, _CHUNK), b"")


def _wide(start: bytes) -> str | None:
    """Return which UTF-16 a text looks like: of most characters one byte is zero."""
    even, odd = start[::2].count(0), start[1::2].count(0)
    if 4 * max(even, odd) < len(start) or min(even, odd):
        return None
    return None if even == odd else "utf-16-le" if odd else "utf-16-be"


def _may_be(path: Path, encoding: str) -> bool:
    decoder = codecs.getincrementaldecoder(encoding)()
    try:
        for chunk in _chunks(path):
            decoder.decode(chunk)
        decoder.decode(b"", final=True)
    except UnicodeError:
        return False
    return True


def _is_utf_8(path: Path) -> bool:
    """Whether a file is UTF-8 beyond doubt: other texts beyond ASCII hardly ever are by chance."""
    return any(not chunk.isascii() for chunk in _chunks(path)) and _may_be(path, "utf-8")


def _first_strange(path: Path, encoding: str) -> tuple[str, bytes]:
    """Return the place of the first bytes that an encoding has not, as part of a message, and their line."""
    if _keeps_ascii(encoding):
        with opened(path, begins_with_table=False) as file:
            for number, line in enumerate(iter(partial(file.readline, LONGEST_LINE), b""), start=1):
                try:
                    line.decode(encoding)
                except UnicodeError as error:
                    start = getattr(error, "start", 0)
                    return f" (line {number}, from byte {start + 1} on)", line
    return "", b""


def _keeps_ascii(encoding: str) -> bool:
    """Whether separators, digits and ends of lines are the bytes of ASCII."""
    return "\n,".encode(encoding) == b"\n,"
