"""Files that appear whole or not at all: NetCDF and JSON, written beside their place and then renamed.

NetCDF goes through h5netcdf without xarray: a chain's job reads and writes these files, and must start fast.
Nothing here can execute code from a file: there is no pickle, and NetCDF holds numbers and text.
"""

import csv
import hashlib
import json
import math
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import numpy as np

_OVERHEAD_BYTES = 2**16
"""What HDF5 needs beside the arrays, at most about."""


class Streamed(Protocol):
    """An array that is never whole in memory."""

    shape: tuple[int, ...]
    dtype: np.dtype

    def blocks(self) -> Iterator[tuple[tuple[slice, ...], np.ndarray]]:
        """Yield places and what is there, which together cover the array."""


Variable = tuple[Sequence[str], np.ndarray | Streamed]
"""Names of the dimensions, and the array."""


@contextmanager
def named_errors(path: str | os.PathLike[str]) -> Iterator[None]:
    """Name the file in errors of the operating system, which often say only that the disk is full.

    HDF5 gives such errors as texts, some of them as RuntimeError.
    """
    try:
        yield
    except (OSError, RuntimeError) as error:
        number = re.search(r"errno = (\d+)", str(error))
        is_named = getattr(error, "filename", None) is not None or f"write {path}" in str(error)
        if is_named or not (number or isinstance(error, OSError)):
            raise
        code = int(number[1]) if number else getattr(error, "errno", None)
        raise OSError(f"cannot write {path}: {os.strerror(code) if code else error}") from error


def check_space(path: str | os.PathLike[str], n_bytes: int) -> None:
    """Raise OSError now if a file of that size cannot be written, instead of when HDF5 is in the middle of it.

    HDF5 does not survive a disk that is full when it closes a file: the process crashes a little later.
    """
    with open(path, "wb") as file:
        os.posix_fallocate(file.fileno(), 0, n_bytes + _OVERHEAD_BYTES)


_checks: list[Callable[[], None]] = []


@contextmanager
def checked_before_replacing(check: Callable[[], None]) -> Iterator[None]:
    """While this lasts, call `check` just before any file takes its final name: it may raise, and the old one stays."""
    _checks.append(check)
    try:
        yield
    finally:
        _checks.remove(check)


@contextmanager
def atomic_path(path: str | os.PathLike[str], *, check: bool = True) -> Iterator[Path]:
    """Yield a temporary path in the same folder; on success sync it to disk and rename it to `path`.

    On an error the temporary file is removed and `path` is left as it was: a reader never sees half a file. What a
    killed process left is removed, too: no two processes write one file at a time, for a job whose Snakemake is gone
    ends before it replaces anything (`bnn.jobs.interruption.job_log`), unless `check` says that something else keeps
    writers apart.

    Raises
    ------
    OSError
        If the folder cannot be written or the disk is full; the message names the path.
    """
    final = Path(path)
    # The process id keeps two writers apart; the suffix stays, because some writers choose the format by it.
    temporary = final.with_name(f".{final.stem}.{os.getpid()}{final.suffix}")
    with named_errors(final):
        final.parent.mkdir(parents=True, exist_ok=True)
        for left in final.parent.iterdir():
            if re.fullmatch(rf"\.{re.escape(final.stem)}\.\d+{re.escape(final.suffix)}", left.name):
                left.unlink(missing_ok=True)
        try:
            yield temporary
            with open(temporary, "rb+") as handle:
                os.fsync(handle.fileno())
            for raise_if_late in _checks if check else ():
                raise_if_late()
            os.replace(temporary, final)
            _sync_folder(final.parent)
        finally:
            temporary.unlink(missing_ok=True)


def _sync_folder(folder: Path) -> None:
    """Wait until the names in a folder are on the disk: else a power failure could undo a rename."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_netcdf(
    path: str | os.PathLike[str], variables: Mapping[str, Variable], attributes: Mapping[str, Any]
) -> None:
    """Write arrays with named dimensions, and attributes, to a NetCDF4 file.

    Parameters
    ----------
    path
        Where the file goes; its folder is made if need be.
    variables
        Name -> (names of dimensions, array of numbers or of `str`). A dimension has one length in a file.
    attributes
        Name -> number or text. (A list of one would come back as its only item: store lists as variables.)

    Raises
    ------
    ValueError
        If two variables disagree on the length of a dimension, an array has another number of dimensions than
        named, or something is not a number or text (NetCDF knows no true and false: use 1 and 0).
    """
    sizes: dict[str, int] = {}
    variables = {
        name: (dims, array if hasattr(array, "blocks") else np.asarray(array))
        for name, (dims, array) in variables.items()
    }
    for name, (dims, array) in variables.items():
        if len(dims) != len(array.shape):
            raise ValueError(
                f"variable {name!r} has {len(array.shape)} dimensions but {len(dims)} names: {list(dims)}"
            )
        if array.dtype.kind not in "iufU":
            raise ValueError(f"variable {name!r} is of type {array.dtype}: use numbers or str")
        for dim, size in zip(dims, array.shape, strict=True):
            if sizes.setdefault(dim, size) != size:
                raise ValueError(
                    f"variable {name!r}: dimension {dim!r} has length {size}, elsewhere {sizes[dim]}"
                )
    for name, value in attributes.items():
        if isinstance(value, bool | np.bool_) or not isinstance(value, int | float | str | np.number):
            raise ValueError(f"attribute {name!r} is {value!r}: use a number or text")
    n_bytes = sum(array.dtype.itemsize * math.prod(array.shape) for _, array in variables.values())
    with atomic_path(path) as temporary:
        check_space(temporary, n_bytes)
        _write_netcdf(temporary, sizes, variables, attributes)


def text_type() -> Any:
    """Return the type of variables that hold text."""
    import h5py

    return h5py.string_dtype()


def _write_netcdf(
    path: Path, sizes: Mapping[str, int], variables: Mapping[str, Variable], attributes: Mapping[str, Any]
) -> None:
    import h5netcdf

    with h5netcdf.File(path, "w") as file:
        file.dimensions = sizes
        for name, (dims, array) in variables.items():
            if not isinstance(array, np.ndarray):
                stored = file.create_variable(name, tuple(dims), dtype=array.dtype)
                for place, block in array.blocks():
                    stored[place] = block
            elif array.dtype.kind == "U":
                stored = file.create_variable(name, tuple(dims), dtype=text_type())
                stored[...] = array.astype(object)
            else:
                file.create_variable(name, tuple(dims), data=array)
        for name, value in attributes.items():
            file.attrs[name] = value


def read_netcdf(
    path: str | os.PathLike[str], *, without: Sequence[str] = ()
) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Read the variables and attributes that `write_netcdf` wrote.

    Parameters
    ----------
    path
        The file.
    without
        Names of variables to leave out.

    Returns
    -------
    variables
        Name -> array; text comes back as an array of `str`.
    attributes
        Name -> plain Python number or text.
    """
    import h5py

    # Not h5netcdf, which looks up every dimension again for each array: that takes ten times as long.
    with h5py.File(Path(path), "r") as file:
        variables = {
            name: _plain_array(np.asarray(stored[...]))
            for name, stored in _stored_variables(file)
            if name not in without
        }
        attributes = _plain_attributes(file.attrs)
    return variables, attributes


def read_attributes(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Read the attributes alone, however large the arrays are."""
    import h5py

    with h5py.File(Path(path), "r") as file:
        return _plain_attributes(file.attrs)


def _stored_variables(file: Any) -> Iterator[tuple[str, Any]]:
    """Yield names and arrays of an HDF5 file, without the dimensions that NetCDF stores as arrays as well."""
    for name, stored in file.items():
        if not stored.attrs.get("NAME", b"").startswith(
            b"This is a netCDF dimension but not a netCDF variable"
        ):
            # So NetCDF calls a variable that has the name of a dimension which is not its own.
            yield name.removeprefix("_nc4_non_coord_"), stored


def _plain_attributes(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Return the attributes that are ours, whose numbers NetCDF stores as arrays of one."""
    return {
        name: value.item() if isinstance(value, np.ndarray) else value
        for name, value in attributes.items()
        if not name.startswith(("_NC", "_nc"))
    }


@contextmanager
def stored_array(path: str | os.PathLike[str], name: str) -> Iterator[Any]:
    """Yield a variable of a NetCDF file that reads from the disk what it is sliced for."""
    import h5netcdf

    with h5netcdf.File(Path(path), "r") as file:
        yield file.variables[name]


def write_json(path: str | os.PathLike[str], value: Any) -> None:
    """Write a JSON file that any reader accepts: NumPy numbers become plain ones, non-finite ones null."""
    text = json.dumps(_jsonable(value), indent=1, allow_nan=False, ensure_ascii=False)
    with atomic_path(path) as temporary:
        temporary.write_text(text + "\n", encoding="utf-8")


def write_csv(path: str | os.PathLike[str], columns: Mapping[str, np.ndarray]) -> None:
    """Write columns of equal length as a CSV file; numbers keep all their digits, what is not a number is empty."""
    texts = [[str(item) if item == item else "" for item in column] for column in columns.values()]
    with atomic_path(path) as temporary, open(temporary, "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(zip(*texts, strict=True))


def content_digest(content: Mapping[str, Any]) -> str:
    """Return the SHA-256 of names with numbers, texts, lists, mappings or arrays, whatever the order of the names."""
    digest = hashlib.sha256()
    for name in sorted(content):
        value = content[name]
        if isinstance(value, np.ndarray):
            about = f"{value.dtype.str}{value.shape}"
            data = np.ascontiguousarray(value).tobytes()
        else:
            about, data = "", json.dumps(value, sort_keys=True).encode()
        digest.update(f"{name}\0{about}\0{len(data)}\0".encode())
        digest.update(data)
    return digest.hexdigest()


def read_json(path: str | os.PathLike[str]) -> Any:
    """Read a JSON file."""
    return json.loads(Path(path).read_text(encoding="utf-8"))


def _plain_array(values: np.ndarray) -> np.ndarray:
    if values.dtype.kind != "O":
        return values
    texts = [item.decode("utf-8") if isinstance(item, bytes) else str(item) for item in values.ravel()]
    return np.array(texts, dtype=str).reshape(values.shape)


def _jsonable(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _jsonable(item) for key, item in value.items()}
    if isinstance(value, np.ndarray):
        return _jsonable(value.tolist())
    if isinstance(value, list | tuple):
        return [_jsonable(item) for item in value]
    if isinstance(value, np.generic):
        return _jsonable(value.item())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
