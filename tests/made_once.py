"""What costs much and is only read is made once for a run of the tests, by the process that asks for it first."""

import fcntl
import os
from collections.abc import Callable
from pathlib import Path

import pytest


def made_once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], None]) -> Path:
    """Return a folder that all test processes share, filled by the first of them while the others wait.

    Parameters
    ----------
    factory
        The fixture `tmp_path_factory`.
    name
        The folder's name, one for each thing that is made.
    make
        Fills the folder, which is empty. Where it fails, the next test that asks tries again in an empty folder.
    """
    root = factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        root = root.parent  # each process has a folder of its own in that of the run
    with (root / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = root / f"{name}.done"
        if not done.exists():
            attempt = 1 + len(list(root.glob(f"{name}.attempt-*")))
            folder = root / f"{name}.attempt-{attempt}"
            folder.mkdir()
            make(folder)
            done.write_text(folder.name)
        return root / done.read_text()
