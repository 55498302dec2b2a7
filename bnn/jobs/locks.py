"""A lock that dies with its process: two processes never write one chain, and a killed one leaves nothing locked.

It is a `flock` lock, which the kernel releases when a process ends, however it ends. The lock file is never removed:
between a removal and the next opening two processes could each lock a file of their own.
"""

import errno
import fcntl
import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

_SECONDS_BETWEEN_TRIES = 0.1


@contextmanager
def exclusive_lock(
    path: str | os.PathLike[str], *, patience: float, check: Callable[[], None]
) -> Iterator[str | None]:
    """Hold a lock that no other process holds.

    Parameters
    ----------
    path
        The lock file; its folder is made if need be.
    patience
        Seconds to wait for another process to let go.
    check
        Called while waiting; it may raise.

    Yields
    ------
    str or None
        The process that held the lock before and ended without letting go: killed, or the power failed.

    Raises
    ------
    TimeoutError
        If another process keeps the lock; the message names it.
    OSError
        If the file cannot be written.
    """
    place = Path(path)
    place.parent.mkdir(parents=True, exist_ok=True)
    with open(place, "ab+") as file:
        deadline = time.monotonic() + patience
        while not _try_lock_if_possible(file):
            check()
            if time.monotonic() > deadline:
                raise TimeoutError(
                    f"{_holder(file) or 'another process'} is still writing what {place} guards: "
                    "wait until it has ended, or end it"
                )
            time.sleep(_SECONDS_BETWEEN_TRIES)
        before = _holder(file)
        file.truncate(0)
        file.write(f"process {os.getpid()} on {socket.gethostname()}".encode())
        file.flush()
        try:
            yield before
        finally:
            file.truncate(0)


def _try_lock_if_possible(file: BinaryIO) -> bool:
    """Try to lock; where the file system knows no locks, say so and go on: Snakemake starts each job once."""
    try:
        return _try_lock(file)
    except OSError as error:
        if error.errno not in (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP):
            raise
        print(f"{file.name}: {os.strerror(error.errno)}; make sure that no other process is at work here")
        return True


def _try_lock(file: BinaryIO) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _holder(file: BinaryIO) -> str | None:
    file.seek(0)
    return file.read(200).decode("utf-8", errors="replace") or None
