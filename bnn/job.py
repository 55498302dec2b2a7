"""What every job of the workflow does around its work: its output goes to its log file, its errors are one
clear line."""

import os
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO


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
        With status 1 if the work fails; the log then holds the traceback, the terminal one line.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    kept = os.dup(2), os.dup(1)
    terminal = os.fdopen(os.dup(2), "w", encoding="utf-8", errors="replace")
    with open(path, "w", encoding="utf-8") as log:
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)
        try:
            yield terminal
        except Exception as error:
            traceback.print_exc()
            print(f"{label} failed: {error} (details: {path})", file=terminal)
            raise SystemExit(1) from error
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            for descriptor, original in zip((2, 1), kept, strict=True):
                os.dup2(original, descriptor)
                os.close(original)
            terminal.close()
