"""Locks that die with their process: two processes never write one chain, and a killed run leaves nothing locked.

All are `flock` locks, which the kernel releases when a process ends, however it ends. A lock file is never removed:
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


def clear_stale_locks(folder: str | os.PathLike[str]) -> BinaryIO | None:
    """Remove the locks that a killed Snakemake left in its folder, unless another Snakemake lives there.

    Every Snakemake of this workflow shares a lock on one file from before it reads its folder until it ends. Who gets
    the file for himself knows that no other lives, on this machine or, where the file system passes locks on, on
    another: all that is locked was left by the dead. With another one alive, Snakemake's own lock decides as ever.

    Parameters
    ----------
    folder
        The folder `.snakemake`.

    Returns
    -------
    file
        To be kept open as long as this Snakemake lives; None where the folder cannot be written or locked, and
        nothing was removed.
    """
    place = Path(folder)
    try:
        place.mkdir(parents=True, exist_ok=True)
        file = open(place / "bnn.lock", "ab+")  # noqa: SIM115 (it stays open as long as the process lives)
    except OSError:
        return None
    try:
        if _try_lock(file):
            for lock in (place / "locks").glob("*.lock"):
                lock.unlink(missing_ok=True)
        # From exclusive to shared the lock is free for a moment. Whoever gets it then finds no lock of ours to remove:
        # Snakemake makes its locks after this.
        fcntl.flock(file, fcntl.LOCK_SH)
    except OSError:
        file.close()
        return None
    return file
