"""What every job of the workflow does around its work: its output goes to its log file, its errors are one
clear line, and a long job can be asked to stop."""

import atexit
import gc
import os
import signal
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType, TracebackType
from typing import Self, TextIO

from bnn.core.errors import with_code
from bnn.core.storage import checked_before_replacing
from bnn.jobs.processes import Process, look

_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
_ORPHANED = 1
"""Exit status of a job whose Snakemake is gone: no process reads it."""
_MOST_WRAPPERS = 8


class Interrupted(Exception):
    """The job was asked to stop.

    Parameters
    ----------
    reason
        Why.
    status
        The exit status for it: not 0, so that Snakemake runs the job again.
    """

    def __init__(self, reason: str, status: int) -> None:
        super().__init__(reason)
        self.status = status


@contextmanager
def job_log(path: str | os.PathLike[str], *, label: str) -> Iterator[TextIO]:
    """Send all that this process prints to a log file, and yield the terminal that it had before.

    The file descriptors themselves are redirected, so that libraries written in C are heard as well.

    Parameters
    ----------
    path
        The log file.
    label
        What the job is, for the message on the terminal if it fails.

    Raises
    ------
    SystemExit
        With status 1 if the work fails; the log then holds the traceback, the terminal the message. With the status of
        the interruption if it was asked to stop.
    """
    # A process that ends is searched for cycles: what is frozen is left out, which saves a sixth of a second where
    # scikit-learn was imported.
    atexit.register(gc.freeze)
    sys.stdout.flush()
    sys.stderr.flush()
    kept = os.dup(2), os.dup(1)
    terminal = os.fdopen(os.dup(2), "w", encoding="utf-8", errors="replace")
    has_log = False
    try:
        with open(path, "w", encoding="utf-8") as log:
            os.dup2(log.fileno(), 1)
            os.dup2(log.fileno(), 2)
            has_log = True
            with checked_before_replacing(_orphan_check()):
                yield terminal
    except Interrupted as stop:
        _say(f"{label} stopped: {stop}", terminal, sys.stderr)
        raise SystemExit(stop.status) from stop
    except KeyboardInterrupt as stop:
        _say(f"{label} stopped: it was interrupted", terminal, sys.stderr)
        raise SystemExit(128 + signal.SIGINT) from stop
    except Exception as error:
        # The terminal first: the disk that holds the log may be full.
        text = with_code(error)
        # Behind the last line of a list of faults it would seem to be of that fault.
        before = "\n  " if "\n" in text else " "
        _say(f"{label} failed: {text}{before}(details: {path})", terminal)
        if has_log:
            _say(traceback.format_exc(), sys.stderr)
        raise SystemExit(1) from error
    finally:
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError):  # what a full disk did not take of the log
                stream.flush()
        for descriptor, original in zip((2, 1), kept, strict=True):
            os.dup2(original, descriptor)
            os.close(original)
        terminal.close()


def _say(text: str, *places: TextIO) -> None:
    for place in places:
        with suppress(OSError):
            print(text, file=place, flush=True)


def _orphan_check() -> Callable[[], None]:
    """Return what raises Interrupted if this is a job of a Snakemake that is gone.

    The next Snakemake starts such a job anew, perhaps with another config: the orphan must not replace what that made.
    """
    script = sys.argv[0]
    if Path(script).parent.parts[-2:] != (
        ".snakemake",
        "scripts",
    ):  # where Snakemake puts the scripts of its jobs
        return lambda: None
    return _Starters(script).check


class Interruption:
    """Notices, between `with` and its end, that this process should stop, so that its work can end in good order.

    It heeds SIGTERM (a cluster's time limit, scancel), SIGINT (Ctrl-C) and SIGHUP (a closed terminal), unless the
    process was started to ignore them, and notices when the process that started the job is gone: a killed Snakemake
    leaves its jobs alive, and the next one starts them anew.

    Parameters
    ----------
    script
        How the command line of this job names it. Shells in whose command lines it stands are wrappers: the first
        process above them started the job. None: no process is watched.
    """

    def __init__(self, script: str | None = None) -> None:
        self._signal: int | None = None
        self._handlers: dict[int, object] = {}
        self._script = script
        self._starters: _Starters | None = None

    def __enter__(self) -> Self:
        for number in _SIGNALS:
            before = signal.getsignal(number)
            if before is not signal.SIG_IGN:
                self._handlers[number] = before
                signal.signal(number, self._on_signal)
        if self._script is not None:
            self._starters = _Starters(self._script)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._handlers.items():
            signal.signal(number, handler)  # type: ignore[arg-type]

    def check_signal(self) -> None:
        """Raise Interrupted if a signal came; takes some ten nanoseconds."""
        if self._signal is not None:
            raise Interrupted(f"it received {signal.Signals(self._signal).name}", 128 + self._signal)

    def check(self) -> None:
        """Raise Interrupted if a signal came or the process that started this one is gone."""
        self.check_signal()
        if self._starters is not None:
            self._starters.check()

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        self._signal = number


class _Starters:
    """The processes that started this one.

    Parameters
    ----------
    script
        How the command line of this job names it.
    """

    def __init__(self, script: str) -> None:
        self._watched, self._orphan = _starters(script)

    def check(self) -> None:
        """Raise Interrupted if one of them is gone."""
        if self._orphan or not all(process.lives() for process in self._watched):
            raise Interrupted("the Snakemake that started it is gone", _ORPHANED)


def _starters(script: str) -> tuple[list[Process], bool]:
    """Return the wrappers of this process and what started them, and whether that is gone already."""
    found: list[Process] = []
    pid = os.getppid()
    for _ in range(_MOST_WRAPPERS):
        if pid == 0:  # outside this container
            break
        process = look(pid)
        if process is None:
            return found, Path("/proc/self/stat").exists()  # without /proc nothing can be said
        try:
            command = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace")
        except OSError:
            return found, True
        is_wrapper = script in command
        # The parent of an orphan is the first process, or a service manager. What it starts itself is no orphan, but
        # that is never Snakemake's job, except in a container whose first process is Snakemake.
        adopts = pid == 1 or "systemd" in command.partition("\0")[0]
        if adopts and not any(name in command for name in ("snakemake", "python")):
            return found, True
        found.append(process)
        if not is_wrapper:
            break
        pid = process.parent
    return found, False
