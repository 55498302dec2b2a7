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
_PACKING = "; unpack it, and name the table"
_NO_TABLES = {
    rb"(%.*\n\s*)*@relation\b": f"an ARFF file{_SAVE} scipy.io.arff.loadarff, or set `kind: openml`",
    rb"[\[{]\s*[\[{\"]": f"a JSON file{_SAVE} read_json",
    rb"<(!doctype html|html|\?xml)": "a page of the web or an XML file, no table; check where it was downloaded from",
    rb"version https://git-lfs": "a pointer of Git LFS, not the file itself; fetch it with `git lfs pull`",
    rb"\{\\rtf|%pdf-": "a document, no table; save the table as CSV",
    rb"RD[ABX][23]\n|[ABX]\n\0\0\0[\x02\x03]|structure\((?:list|c)\(": "an object of R, no table; write it with "
    "write.csv(..., row.names = FALSE)",
    rb"\$FL[23]@": f"a file of SPSS{_SAVE} read_spss",
    rb"<stata_dta>|[\x6c-\x73][\x01\x02]\x01\0": f"a file of Stata{_SAVE} read_stata",
    rb"\0{12}\xc2\xea\x81\x60|HEADER RECORD\*{7}LIBRARY": f"a file of SAS{_SAVE} read_sas",
    rb"\x89HDF": f"an HDF5 file{_SAVE} read_hdf",
    rb"\x93NUMPY": "an array of NumPy; make a CSV file of it, with names of columns",
    rb"SQLite format 3\0": f"a database of SQLite{_SAVE} read_sql",
    rb"\x80[\x02-\x05]": f"a pickle of Python{_SAVE} read_pickle",
    rb"\x28\xb5\x2f\xfd|7z\xbc\xaf\x27\x1c|Rar!\x1a\x07|\x1f\x9d": f"an archive of another kind than gz, bz2, xz "
    f"and zip{_PACKING}",
    rb"MATLAB \d": f"a file of MATLAB{_SAVE} scipy.io.loadmat",
    rb"(?s:.{257})ustar": f"a tar archive{_PACKING}",
    rb"(?-i:ORC)[^\t\r\n -~]|(?-i:Obj)\x01": "an ORC or Avro file; make a Parquet file of it",
}
"""What files begin with that are no table of lines -> what they are, and what to do."""
_LOOK = 2000
"""Bytes that are looked at"""


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
    if (kind := kind_of(path)) != "csv":
        raise DataError("other-kind-of-file", f"this is no text file; set `kind: {kind}`", key="source.kind")
    file = _unpacked(path)
    start = file.peek(_LOOK)[:_LOOK] if begins_with_table else b""  # type: ignore[attr-defined]
    for pattern, what in _NO_TABLES.items():
        if re.match(pattern, start.removeprefix(b"\xef\xbb\xbf").lstrip(), re.IGNORECASE):
            file.close()
            raise DataError("no-table", f"this is {what}")
    return file


def _unpacked(path: Path) -> IO[bytes]:
    with path.open("rb") as file:
        start = file.read(8)
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
