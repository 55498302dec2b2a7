"""Locks that die with their process; locks of killed Snakemakes are cleared, those of living ones are not."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from bnn.jobs.interruption import Interrupted
from bnn.jobs.locks import FolderLock, exclusive_lock
from bnn.jobs.processes import snakemakes_in

ROOT = Path(__file__).parents[2]


HOLDER = """
import os, sys
from pathlib import Path
from bnn.jobs.locks import FolderLock

folder = Path(sys.argv[1])
lock = FolderLock(folder)
lock.enter()
for name in sys.argv[2:]:
    if name == "started":
        lock.started()
    else:
        (folder / "locks").mkdir(exist_ok=True)
        (folder / "locks" / name).write_text("results/a")
os.kill(os.getpid(), 9)
"""


def killed(folder: Path, *steps: str) -> None:
    """Let a process make locks, say that it has started, and be killed; in that order, or another."""
    done = subprocess.run([sys.executable, "-c", HOLDER, str(folder), *steps], cwd=ROOT, check=False)
    assert done.returncode == -9


def lock_file(folder: Path, name: str = "0.input.lock") -> Path:
    lock = folder / "locks" / name
    lock.parent.mkdir(parents=True, exist_ok=True)
    lock.write_text("results/b\n")
    return lock


def left(folder: Path) -> list[str]:
    """Return the locks that a new Snakemake finds once it has cleared what it may."""
    lock = FolderLock(folder)
    lock.enter()
    lock.leave()
    return sorted(path.name for path in (folder / "locks").glob("*.lock"))


@pytest.mark.parametrize("steps", [("0.input.lock", "started"), ("0.input.lock",)])
def test_locks_of_the_dead_are_cleared(tmp_path, steps):
    """Wherever between its first step and its last one it was killed."""
    killed(tmp_path, *steps)
    assert left(tmp_path) == []


def test_locks_that_nobody_wrote_down_stay(tmp_path):
    lock_file(tmp_path)
    assert left(tmp_path) == ["0.input.lock"]
    # Nor does one that came before the dead one become his.
    killed(tmp_path, "1.input.lock", "started")
    assert left(tmp_path) == ["0.input.lock"]


def test_a_lock_that_another_workflow_made_since_stays(tmp_path):
    killed(tmp_path, "0.input.lock", "started")
    lock_file(tmp_path, "1.input.lock")
    assert left(tmp_path) == ["1.input.lock"]


def test_locks_of_the_living_stay(tmp_path):
    first, second = FolderLock(tmp_path), FolderLock(tmp_path)
    first.enter()
    lock_file(tmp_path)
    first.started()
    second.enter()
    assert left(tmp_path) == ["0.input.lock"], "both live"
    first.leave()
    assert left(tmp_path) == ["0.input.lock"], "the second one has the file"
    second.leave()
    # Nobody has the file, as where a network's file system does not pass locks on; but this process lives.
    assert left(tmp_path) == ["0.input.lock"]


@pytest.mark.parametrize(
    ("key", "value", "stays"),
    [
        ("host", "elsewhere", True),  # whether it lives cannot be told
        ("boot", "before", False),  # whatever has its number now
        ("pid", "own", False),  # a later process with that number, see `started`
        ("started", None, False),
    ],
)
def test_whom_the_file_names_decides(tmp_path, key, value, stays):
    killed(tmp_path, "0.input.lock", "started")
    place = tmp_path / "bnn.lock"
    record = json.loads(place.read_text().splitlines()[0])
    # Not in the parameters: workers of a parallel run must name their tests alike.
    place.write_text(json.dumps(record | {key: os.getpid() if value == "own" else value}) + "\n")
    assert left(tmp_path) == (["0.input.lock"] if stays else [])


@pytest.mark.parametrize("text", ["", "process 7 on here", "[]", "{}", '{"pid": 1'])
def test_a_file_that_names_nobody_clears_nothing(tmp_path, text):
    lock_file(tmp_path)
    (tmp_path / "bnn.lock").write_text(text)
    assert left(tmp_path) == ["0.input.lock"]


def test_where_any_snakemake_works_nothing_is_cleared(tmp_path):
    """Another Snakefile's Snakemake does not know this file; what runs a single job of one does not count."""
    killed(tmp_path / ".snakemake", "0.input.lock", "started")
    program = tmp_path / "snakemake"
    program.write_text("print('here', flush=True); import time; time.sleep(600)")
    for options, stays in (([], True), (["--mode", "remote"], False)):
        command = [sys.executable, str(program), *options]
        with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            process.stdout.readline()
            try:
                assert list(snakemakes_in(tmp_path)) == ([process.pid] if stays else [])
                if stays:
                    assert left(tmp_path / ".snakemake") == ["0.input.lock"]
            finally:
                process.kill()
    assert left(tmp_path / ".snakemake") == []


def test_a_folder_that_cannot_be_made_is_left_to_snakemake(tmp_path):
    (tmp_path / "file").write_text("")
    lock = FolderLock(tmp_path / "file" / "folder")
    lock.enter()
    lock.started()
    lock.leave()
    assert (tmp_path / "file").read_text() == ""


def test_without_locks_of_the_file_system_nothing_is_cleared(tmp_path, monkeypatch):
    killed(tmp_path, "0.input.lock", "started")

    def fail(*_):
        raise OSError(37, "No locks available")

    monkeypatch.setattr("fcntl.flock", fail)
    assert left(tmp_path) == ["0.input.lock"]


def test_a_lock_dies_with_its_process_and_says_whose_it_was(tmp_path):
    code = (
        "import os, sys; from bnn.jobs.locks import exclusive_lock\n"
        f"with exclusive_lock({str(tmp_path / 'lock')!r}, patience=0, check=lambda: None):\n"
        "    os._exit(9)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False)
    assert done.returncode == 9
    with exclusive_lock(tmp_path / "lock", patience=0, check=lambda: None) as before:
        assert before is not None and before.startswith("process ")
        assert (tmp_path / "lock").read_text().startswith(f"process {os.getpid()} on ")
    with exclusive_lock(tmp_path / "lock", patience=0, check=lambda: None) as before:
        assert before is None


def test_who_waits_for_a_lock_can_be_stopped(tmp_path):
    def stop():
        raise Interrupted("it received SIGTERM", 143)

    with exclusive_lock(tmp_path / "lock", patience=0, check=lambda: None):
        waiting = exclusive_lock(tmp_path / "lock", patience=60, check=stop)
        with pytest.raises(Interrupted), waiting:
            pytest.fail("two hold it")


def test_without_locks_of_the_file_system_a_chain_goes_on_and_says_so(tmp_path, monkeypatch, capsys):
    def fail(*_):
        raise OSError(37, "No locks available")

    monkeypatch.setattr("fcntl.flock", fail)
    with exclusive_lock(tmp_path / "lock", patience=0, check=lambda: None) as before:
        assert before is None
    assert "No locks available; make sure that no other process is at work here" in capsys.readouterr().out
