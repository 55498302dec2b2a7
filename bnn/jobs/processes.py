"""Which processes live on this machine, as /proc shows them. The Snakefile imports this module: it stays light.

`python -m bnn.jobs.processes FOLDER` succeeds if a Snakemake that was killed left the folder locked.
"""

import os
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple


class Process(NamedTuple):
    """A process and who is above it; the time of its start tells it from a later one with its number."""

    pid: int
    parent: int
    started: str
    """Clock ticks since the machine started"""

    def lives(self) -> bool:
        """Return whether it has not ended."""
        now = look(self.pid)
        return now is not None and now.started == self.started


def look(pid: int) -> Process | None:
    """Return a living process; None if it has ended."""
    try:
        # The name in brackets may hold anything, so fields are counted from the last bracket.
        fields = Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] in "ZX" else Process(pid, int(fields[1]), fields[19])


def _line_of(pid: int) -> Iterator[int]:
    """Yield a process and all that are above it."""
    process = look(pid)
    while process is not None:
        yield process.pid
        process = look(process.parent)


def snakemakes_in(folder: str | os.PathLike[str]) -> Iterator[int]:
    """Yield the processes, other than this one, of Snakemakes that work in a folder.

    Those that run a single job do not count, and neither does what started this process, such as `timeout`.
    """
    place, own = os.path.realpath(folder), set(_line_of(os.getpid()))
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) in own:
            continue
        with suppress(OSError):  # it has ended, or is somebody else's and shows nothing
            words = (entry / "cmdline").read_bytes().decode(errors="replace").split("\0")
            is_snakemake = any(os.path.basename(word) == "snakemake" for word in words[:3])
            if is_snakemake and "--mode" not in words and os.path.realpath(entry / "cwd") == place:
                yield int(entry.name)


def left_locked(folder: str | os.PathLike[str]) -> bool:
    """Return whether locks of Snakemake lie in a folder where no living Snakemake of this machine works.

    Where that cannot be told the answer is no: without /proc, and for the locks of another user, whose processes do
    not show where they work.
    """
    locks = Path(folder, ".snakemake", "locks")
    # Locks before processes: whoever made a lock that is there now lives, or has ended, when the processes are read.
    before = set(locks.glob("*.lock"))
    if not before or not Path("/proc/self/stat").exists() or any(snakemakes_in(folder)):
        return False
    try:
        return all(lock.stat().st_uid == os.getuid() for lock in before)
    except FileNotFoundError:  # who had ended just then took it along
        return False


if __name__ == "__main__":
    sys.exit(not left_locked(sys.argv[1]))
