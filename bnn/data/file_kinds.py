"""What a file is by its first bytes, and what it holds where it is packed."""

import bz2
import gzip
import lzma
import re
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

from bnn.core.errors import DataError, listing

_PACKED: dict[bytes, Callable[[Path], Any]] = {
    b"\x1f\x8b": gzip.open,
    b"BZh": bz2.open,
    b"\xfd7zXZ\0": lzma.open,
}
_OTHER_KINDS = {b"PAR1": "parquet", b"ARROW1": "feather", b"\xd0\xcf\x11\xe0": "excel"}
"""First bytes of files that are no text -> the kind of source that reads them."""

_SAVE = "; make a CSV file of it, as pandas does with"
_NO_TABLES = {
    rb"@relation\b": f"an ARFF file{_SAVE} scipy.io.arff.loadarff, or set `kind: openml`",
    rb"[\[{]\s*[\[{\"]": f"a JSON file{_SAVE} read_json",
    rb"<(!doctype html|html|\?xml)": "a page of the web or an XML file, no table; check where it was downloaded from",
    rb"version https://git-lfs": "a pointer of Git LFS, not the file itself; fetch it with `git lfs pull`",
    rb"\{\\rtf|%pdf-": "a document, no table; save the table as CSV",
}
"""What files begin with that are no table of lines -> what they are, and what to do."""


def kind_of(path: Path) -> str:
    """Return the kind of source that reads a file, by its first bytes."""
    with path.open("rb") as file:
        start = file.read(8)
    for magic, kind in _OTHER_KINDS.items():
        if start.startswith(magic):
            return kind
    if start.startswith(b"PK\x03\x04"):
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
        if "[Content_Types].xml" in names or "mimetype" in names:
            return "excel"
    return "csv"


def opened(path: Path, *, begins_with_table: bool = True) -> IO[bytes]:
    """Open a file, unpacked if it is packed.

    Parameters
    ----------
    path
        Which file.
    begins_with_table
        Whether no lines before the table are skipped, so that the first ones say whether it is one.

    Raises
    ------
    DataError
        If it is a file of another kind, or an archive of several.
    """
    with path.open("rb") as file:
        start = file.read(200)
    for pattern, what in _NO_TABLES.items() if begins_with_table else ():
        if re.match(pattern, start.removeprefix(b"\xef\xbb\xbf").lstrip(), re.IGNORECASE):
            raise DataError("no-table", f"this is {what}")
    if (kind := kind_of(path)) != "csv":
        raise DataError("other-kind-of-file", f"this is no text file; set `kind: {kind}`", key="source.kind")
    if start.startswith(b"PK\x03\x04"):
        with zipfile.ZipFile(path) as archive:
            names = [
                name
                for name in archive.namelist()
                if not name.endswith("/") and not name.startswith("__MACOSX")
            ]
            if len(names) != 1:
                raise DataError(
                    "archive-of-several",
                    f"the archive holds {len(names)} files ({listing(names)}); unpack it and name one of them",
                )
            return archive.open(names[0])  # which keeps the archive open as long as it is
    for magic, unpack in _PACKED.items():
        if start.startswith(magic):
            return unpack(path)
    return path.open("rb")
