"""Locks that die with their process: two processes never write one chain, and a killed run leaves nothing locked.

All are `flock` locks, which the kernel releases when a process ends, however it ends. A lock file is never removed:
between a removal and the next opening two processes could each lock a file of their own.
"""

import errno
import fcntl
import json
import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from bnn.jobs.processes import Process, look, machine, snakemakes_in

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


NO_LOCKS = frozenset(
    {
        "-n",
        "--dry-run",
        "--dryrun",
        "--lint",
        "--unlock",
        "--dag",
        "--rulegraph",
        "--filegraph",
        "--d3dag",
        "-S",
        "--summary",
        "-D",
        "--detailed-summary",
        "-l",
        "--list",
        "--list-rules",
        "--lt",
        "--list-target-rules",
        "--list-changes",
        "--archive",
        "--report",
        "--print-compilation",
        "--generate-unit-tests",
        "--containerize",
        "--cleanup-metadata",
        "--cleanup-shadow",
    }
)
"""Options of Snakemake with which it runs nothing, and leaves locks alone."""


class FolderLock:
    """What this workflow adds to the locks that Snakemake makes in its folder: those of a killed Snakemake are removed.

    A Snakemake that is about to run jobs writes down in `.snakemake/bnn.lock` who it is and, once it has them, which
    locks are its own, and holds a shared `flock` on that file until it ends. The next one removes those locks, and no
    others, when all of this holds: no other Snakemake of this workflow has the file, the one that wrote it down is of
    this machine and has ended, and no Snakemake of any kind works in the folder. Else Snakemake's own lock decides.

    Parameters
    ----------
    folder
        The folder `.snakemake`.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self._place = Path(folder)
        self._file: BinaryIO | None = None
        self._record: dict[str, Any] | None = None

    def enter(self) -> None:
        """Remove the locks of the dead, and say who is at work from now on."""
        try:
            self._place.mkdir(parents=True, exist_ok=True)
            # It stays open as long as the process lives.
            file = os.fdopen(
                os.open(self._place / "bnn.lock", os.O_RDWR | os.O_CREAT, 0o666), "rb+", buffering=0
            )
        except OSError:
            return
        try:
            if _try_lock(file):
                locks, may_go = self._locks_written_down(file)
                if may_go:
                    for lock in locks:
                        lock.unlink(missing_ok=True)
                if may_go or not locks:  # else what is written there is still needed
                    self._record = _who() | {"before": sorted(self._locks()), "made": None}
                    self._write(file)
            # From exclusive to shared the file is free for a moment. Whoever gets it then finds this process alive.
            fcntl.flock(file, fcntl.LOCK_SH)
        except OSError:  # a file system without such locks: nothing is removed
            file.close()
            self._record = None
            return
        self._file = file

    def started(self) -> None:
        """Write down which locks are this Snakemake's own, now that it has them."""
        if self._file is None or self._record is None:
            return
        before = self._record["before"]
        self._record["made"] = [lock for lock in sorted(self._locks()) if lock not in before]
        self._write(self._file)

    def leave(self) -> None:
        """Let go of the file, as the end of the process does."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _locks(self) -> list[list[Any]]:
        """Return name and time of the locks that there are."""
        found = (self._place / "locks").glob("*.lock")
        return [[path.name, path.stat().st_mtime_ns] for path in found]

    def _locks_written_down(self, file: BinaryIO) -> tuple[list[Path], bool]:
        """Return which locks there are of the Snakemake that the file names, and whether they may be removed."""
        try:
            record = json.loads(os.pread(file.fileno(), 2**20, 0).partition(b"\n")[0])
            writer = Process(record["pid"], 0, record["started"])
            before, made = record["before"], record["made"]
            there = record["host"], record["boot"]
        except (ValueError, KeyError, TypeError):  # empty, or of another version
            return [], False
        locks = self._locks()
        if made is None:
            # It was killed between its first step and its first job: what came after the first step is its own.
            since = os.fstat(file.fileno()).st_mtime_ns
            made = [lock for lock in locks if lock not in before and lock[1] >= since]
        paths = [self._place / "locks" / lock[0] for lock in locks if lock in made]
        here = machine()
        is_dead = there[0] == here[0] and (there[1] != here[1] or not writer.lives())
        return paths, bool(paths) and is_dead and not any(snakemakes_in(self._place.parent))

    def _write(self, file: BinaryIO) -> None:
        # In one call, so that a kill leaves the old line or the new one; what is left of a longer one is not read.
        os.pwrite(file.fileno(), json.dumps(self._record).encode() + b"\n", 0)


def _who() -> dict[str, Any]:
    host, boot = machine()
    process = look(os.getpid())
    return {"host": host, "boot": boot, "pid": os.getpid(), "started": process.started if process else ""}
