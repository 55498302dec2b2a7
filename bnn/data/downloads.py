"""Files from addresses: fetched once, in as many goes as it takes, and checked against their digest before use.

The digest names the file in the cache and decides in the end: whatever a server, a proxy or a half-written file does,
nothing else is ever read.
"""

import contextlib
import fcntl
import hashlib
import http.client
import os
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from bnn.core.errors import DataError

TRIES = 3
"""Connections that are made before a file is given up; each goes on where the last one broke off."""

WAIT_SECONDS = 1.0
TIMEOUT_SECONDS = 30.0
_CHUNK = 2**20
_ARCHIVES = {
    b"PK\x03\x04": "zip",
    b"\x1f\x8b": "gzip",
    b"BZh": "bzip2",
    b"\xfd7zXZ\x00": "xz",
    b"\x28\xb5\x2f\xfd": "zstd",
    b"7z\xbc\xaf": "7z",
}


class _Broken(Exception):
    """A connection that another one may do better than; the message says what happened."""


def cache_folder() -> Path:
    """Return where files from the network are kept: $BNN_CACHE, or results/.cache."""
    return Path(os.environ.get("BNN_CACHE") or "results/.cache")


def fetch(url: str, *, sha256: str, max_bytes: int) -> Path:
    """Return the path of a file in the cache, fetched if it is not there.

    Parameters
    ----------
    url
        Its address, http or https.
    sha256
        Its SHA-256 digest in hexadecimal digits.
    max_bytes
        Bytes that it may have at most.

    Raises
    ------
    DataError
        If it cannot be downloaded, is too large, has another digest, or is an archive. What has come of a broken
        transfer is kept, and the next call goes on from there.
    """
    expected = sha256.lower()
    path = cache_folder() / f"{expected}.csv"
    with alone(path.with_suffix(".lock")):
        if not path.is_file() or _digest(path) != expected:
            _transfer(url, path, expected, max_bytes)
    with path.open("rb") as file:
        start = file.read(8)
    for mark, name in _ARCHIVES.items():
        if start.startswith(mark):
            raise DataError(
                "archive",
                f"{url}: this is an archive ({name}), and only a CSV file itself can be read; unpack it and use "
                "`kind: csv`",
                file=url,
            )
    return path


@contextlib.contextmanager
def alone(path: Path) -> Iterator[None]:
    """Wait until no other process fetches what this file in the cache stands for; its folder is made if need be."""
    with contextlib.ExitStack() as stack:
        # A cache that cannot be written to, such as one that many share, is only read, and needs no lock.
        with contextlib.suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True)
            fcntl.flock(stack.enter_context(path.open("w")), fcntl.LOCK_EX)
        yield


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _transfer(url: str, path: Path, expected: str, max_bytes: int) -> None:
    part = path.with_suffix(".part")
    resumed = part.is_file()
    broken = _Broken("")
    for attempt in range(TRIES):
        if attempt:
            time.sleep(WAIT_SECONDS)
        try:
            _continue(url, part, max_bytes)
        except _Broken as error:
            broken = error
            continue
        found = _digest(part)
        if found == expected:
            with part.open("rb+") as file:
                os.fsync(file.fileno())
            os.replace(part, path)
            return
        part.unlink()
        if not resumed:
            raise DataError(
                "wrong-digest",
                f"{url}: the file has the SHA-256 digest {found}, not {expected}: it is another file than the config "
                "speaks of; look at it before you correct source.sha256",
                file=url,
                key="source.sha256",
                value=found,
            )
        # What an earlier run left may be the beginning of something else.
        resumed = False
    kept = "; what has come is kept, and the next run goes on from there" if part.is_file() else ""
    raise DataError(
        "unreachable",
        f"{url} cannot be fetched ({broken}): is there a network here? Run again where there is one, or fetch the file "
        f"yourself and use `kind: csv`{kept}",
        file=url,
    )


def _continue(url: str, part: Path, max_bytes: int) -> None:
    """Fetch what is missing of a file.

    Raises
    ------
    _Broken
        If the connection cannot be made, or ends before the file does.
    DataError
        If the server refuses, or the file is too large.
    """
    have = part.stat().st_size if part.is_file() else 0
    headers = {"User-Agent": "bnn", "Accept-Encoding": "identity"} | (
        {"Range": f"bytes={have}-"} if have else {}
    )
    try:
        with _opener().open(urllib.request.Request(url, headers=headers), timeout=TIMEOUT_SECONDS) as answer:
            if answer.status != 206:  # the whole file, whatever was asked for
                have = 0
            length = answer.headers.get("Content-Length")
            total = have + int(length) if length and length.isdigit() else None
            _check_size(url, total or 0, max_bytes)
            with part.open("ab" if have else "wb") as file:
                while block := answer.read(_CHUNK):
                    have += len(block)
                    if have > max_bytes:
                        part.unlink()
                    _check_size(url, have, max_bytes)
                    file.write(block)
    except urllib.error.HTTPError as error:
        error.close()
        if error.code == 416:  # there is nothing after what we have: it is whole, or of another file
            return
        if error.code >= 500 or error.code == 429:
            raise _Broken(f"the server answers {error.code} {error.reason}") from error
        raise DataError(
            "refused-by-server",
            f"{url}: the server answers {error.code} {error.reason}; check source.url",
            file=url,
        ) from error
    except (
        urllib.error.URLError,
        http.client.HTTPException,
        TimeoutError,
        ConnectionError,
        ssl.SSLError,
    ) as error:
        raise _Broken(str(getattr(error, "reason", error)) or type(error).__name__) from error
    if total is not None and have < total:
        raise _Broken(f"the connection ended after {have:,} of {total:,} bytes")


def _check_size(url: str, n_bytes: int, max_bytes: int) -> None:
    if n_bytes > max_bytes:
        raise DataError(
            "file-too-large",
            f"{url}: the file has more than {max_bytes / 1e6:,.0f} MB; raise source.max_mb if that is right",
            file=url,
            key="source.max_mb",
        )


def _opener() -> urllib.request.OpenerDirector:
    """Return what opens http and https alone, wherever a server redirects to."""
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler(),
        urllib.request.HTTPHandler(),
        urllib.request.HTTPSHandler(),
        urllib.request.HTTPRedirectHandler(),
        urllib.request.HTTPErrorProcessor(),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.UnknownHandler(),
    ):
        opener.add_handler(handler)
    return opener
