"""Checkpoints: where a long computation stands, in a file with a checksum, and what it has put out, in a raw file.

The output grows in a file of fixed-size records beside the checkpoint. The checkpoint says how many records belong to
it and their checksum, and is written after they have reached the disk: so at every moment the disk holds a checkpoint
and all records that it speaks of, perhaps with more behind them, which are cut off when the job continues.

Nothing here executes code from a file: arrays are read without pickle, the rest is JSON.
"""

import hashlib
import io
import json
import os
import types
import typing
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np

from bnn.core.errors import Fault
from bnn.core.storage import atomic_path, named_errors
from bnn.jobs.identity import EARLIER, MAGIC, Identity

_BLOCK_BYTES = 2**20

State = TypeVar("State")


class CheckpointError(Fault):
    """A checkpoint, or the records that it speaks of, cannot be used; the message says why."""


class Mark(NamedTuple):
    """A place in a file of records."""

    n_records: int
    checksum: int
    """CRC-32 of all records before it"""


START = Mark(0, 0)
"""The mark of an empty file."""


def write_checkpoint(path: str | os.PathLike[str], state: Any, mark: Mark, identity: Identity) -> None:
    """Write a checkpoint, whole or not at all, and wait until it is on the disk.

    Parameters
    ----------
    path
        The file.
    state
        A NamedTuple of arrays, numbers, texts, None, JSON values, NamedTuples, and tuples of NamedTuples of one shape.
    mark
        Which records belong to it; they must have been synced.
    identity
        What the state depends on, name -> digest or version: a checkpoint of another identity is never used.
    """
    arrays: dict[str, np.ndarray] = {}
    plain: dict[str, Any] = {}
    _flatten("state", state, arrays, plain)
    header = {"mark": list(mark), "state": plain}
    buffer = io.BytesIO()
    np.savez(buffer, header=np.frombuffer(json.dumps(header).encode(), dtype=np.uint8), **arrays)  # type: ignore[arg-type]
    payload = json.dumps(dict(identity)).encode() + b"\n" + buffer.getvalue()
    checksum = hashlib.sha256(payload).hexdigest().encode()
    # An orphan writes where it stood as well: the lock of the chains keeps it apart from who comes after it.
    with atomic_path(path, check=False) as temporary, open(temporary, "wb") as file:
        file.write(MAGIC + checksum + b"\n" + payload)


def read_checkpoint(
    path: str | os.PathLike[str], kind: type[State], identity: Identity
) -> tuple[State, Mark]:
    """Read what `write_checkpoint` wrote.

    Parameters
    ----------
    path
        The file.
    kind
        Class of the state.
    identity
        What it must have been written with.

    Raises
    ------
    CheckpointError
        If the file is damaged, or of another identity; the message names what differs.
    FileNotFoundError
        If there is none.
    """
    head, _, payload = Path(path).read_bytes().partition(b"\n")
    if head.startswith(MAGIC.replace(b"2", b"1", 1)):
        raise CheckpointError("earlier-version", EARLIER)
    if head != MAGIC + hashlib.sha256(payload).hexdigest().encode():
        raise CheckpointError("damaged", "it is damaged: its checksum is wrong")
    made_with, _, payload = payload.partition(b"\n")
    found = json.loads(made_with)
    other = sorted(name for name in identity.keys() | found.keys() if identity.get(name) != found.get(name))
    if other:
        raise CheckpointError(
            "other-identity",
            f"it was made with another {' and another '.join(other)}",
            value=", ".join(other),
        )
    try:
        with np.load(io.BytesIO(payload), allow_pickle=False) as arrays:
            stored = dict(arrays)
        header = json.loads(stored.pop("header").tobytes())
        mark, plain = Mark(*header["mark"]), header["state"]
        return _build("state", kind, stored, plain), mark
    except (KeyError, TypeError, ValueError, zipfile.BadZipFile) as error:
        raise CheckpointError("other-format", f"it is not a checkpoint of this version ({error})") from error


def _flatten(name: str, value: Any, arrays: dict[str, np.ndarray], plain: dict[str, Any]) -> None:
    if hasattr(value, "_fields"):
        for field in value._fields:
            _flatten(f"{name}.{field}", getattr(value, field), arrays, plain)
    elif isinstance(value, np.ndarray):
        arrays[name] = value
    elif isinstance(value, tuple) and value and hasattr(value[0], "_fields"):
        plain[name] = len(value)
        for field in value[0]._fields:
            arrays[f"{name}.{field}"] = np.array([getattr(item, field) for item in value])
    elif isinstance(value, tuple):
        plain[name] = list(value)
    else:
        plain[name] = value


def _build(name: str, kind: Any, arrays: Mapping[str, np.ndarray], plain: Mapping[str, Any]) -> Any:
    """Return the value that `_flatten` took apart, of the type that an annotation says."""
    if name in plain and plain[name] is None:
        return None
    if isinstance(kind, types.UnionType):  # None was dealt with
        (kind,) = (option for option in typing.get_args(kind) if option is not types.NoneType)
    if hasattr(kind, "_fields"):
        hints = typing.get_type_hints(kind)
        return kind(
            **{field: _build(f"{name}.{field}", hints[field], arrays, plain) for field in kind._fields}
        )
    if kind is np.ndarray:
        return arrays[name]
    if typing.get_origin(kind) is not tuple:
        return plain[name]
    item = typing.get_args(kind)[0]
    if not hasattr(item, "_fields"):
        return tuple(plain[name])
    if not plain[name]:
        return ()
    hints = typing.get_type_hints(item)
    columns = [
        arrays[f"{name}.{field}"]
        if hints[field] is np.ndarray
        else [hints[field](value) for value in arrays[f"{name}.{field}"]]
        for field in item._fields
    ]
    return tuple(item(*row) for row in zip(*columns, strict=True))


class RecordFile:
    """A file of records of one structured type, which grows at its end and can be read a block at a time.

    Parameters
    ----------
    path
        The file; what is behind the mark is cut off.
    dtype
        Type of a record.
    mark
        Up to where the file is to be believed.

    Raises
    ------
    CheckpointError
        If the file is shorter than the mark says, or its checksum is another.
    """

    def __init__(self, path: str | os.PathLike[str], dtype: np.dtype, mark: Mark = START) -> None:
        self.path = Path(path)
        self.dtype = dtype
        self._record = np.zeros((), dtype=dtype)
        if mark.n_records and not self.path.exists():
            raise CheckpointError("draws-missing", "the file with its draws is missing")
        with named_errors(self.path):
            self._file = open(self.path, "ab+")  # noqa: SIM115 (closed by close)
        try:
            self._verify(mark)
        except BaseException:
            self._file.close()
            raise
        self._mark = mark

    def _verify(self, mark: Mark) -> None:
        checksum, left = 0, mark.n_records * self.dtype.itemsize
        self._file.seek(0)
        while left:
            block = self._file.read(min(left, _BLOCK_BYTES))
            if not block:
                raise CheckpointError("draws-too-short", "the file with its draws is shorter than it says")
            checksum, left = zlib.crc32(block, checksum), left - len(block)
        if checksum != mark.checksum:
            raise CheckpointError(
                "draws-damaged", "the file with its draws is damaged: its checksum is wrong"
            )
        with named_errors(self.path):
            self._file.truncate(mark.n_records * self.dtype.itemsize)

    @property
    def mark(self) -> Mark:
        """The end of the file."""
        return self._mark

    def append(self, **fields: Any) -> None:
        """Add a record."""
        for name, value in fields.items():
            self._record[name] = value
        data = self._record.tobytes()
        with named_errors(self.path):
            self._file.write(data)
        self._mark = Mark(self._mark.n_records + 1, zlib.crc32(data, self._mark.checksum))

    def sync(self) -> None:
        """Wait until all records are on the disk."""
        with named_errors(self.path):
            self._file.flush()
            os.fsync(self._file.fileno())

    def read(self, place: slice) -> np.ndarray:
        """Return the records from the start to the stop of a slice."""
        self._file.flush()
        self._file.seek(place.start * self.dtype.itemsize)
        data = self._file.read((place.stop - place.start) * self.dtype.itemsize)
        return np.frombuffer(data, dtype=self.dtype)

    def blocks(self, n_records: int) -> Iterator[tuple[slice, np.ndarray]]:
        """Yield the first records, a block at a time, with their place."""
        step = max(1, _BLOCK_BYTES // self.dtype.itemsize)
        for start in range(0, n_records, step):
            place = slice(start, min(start + step, n_records))
            yield place, self.read(place)

    def close(self) -> None:
        """Close the file; what was not synced may not have reached the disk."""
        with named_errors(self.path):
            self._file.close()


class KeptColumn:
    """A field of the kept records as an array of the file: (chain, draw, ...), read a block of records at a time.

    Parameters
    ----------
    records, field
        The file, and the name of the field.
    kept
        Numbers of the records that are kept, ascending.
    check
        Called before each block: it raises an exception to stop.
    """

    def __init__(self, records: RecordFile, field: str, kept: np.ndarray, check: Callable[[], None]) -> None:
        self._records, self._field, self._kept, self._check = records, field, kept, check
        base, own = records.dtype[field].subdtype or (records.dtype[field], ())
        self.dtype = base
        self.shape = (own[0], len(kept), *own[1:])

    def blocks(self) -> Iterator[tuple[tuple[slice, ...], np.ndarray]]:
        """Yield places in the array and what belongs there."""
        for place, block in self._records.blocks(int(self._kept[-1]) + 1):
            self._check()
            first, last = np.searchsorted(self._kept, (place.start, place.stop))
            if last > first:
                chosen = block[self._field][self._kept[first:last] - place.start]
                yield (slice(None), slice(int(first), int(last))), np.moveaxis(chosen, 0, 1)
