"""Locks that die with their process; locks of killed Snakemakes are cleared, those of living ones are not."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from bnn.job import Interrupted
from bnn.locks import clear_stale_locks, exclusive_lock

ROOT = Path(__file__).parents[2]


def stale(folder: Path) -> Path:
    lock = folder / "locks" / "0.input.lock"
    lock.parent.mkdir(parents=True, exist_ok=True)
    lock.write_text("results/a\n")
    return lock


def test_locks_of_the_dead_are_cleared(tmp_path):
    lock = stale(tmp_path)
    held = clear_stale_locks(tmp_path)
    assert held is not None and not lock.exists()
    held.close()


def test_a_folder_without_locks_is_made_and_held(tmp_path):
    first = clear_stale_locks(tmp_path / "new")
    lock = stale(tmp_path / "new")
    second = clear_stale_locks(tmp_path / "new")
    assert first is not None and second is not None
    assert lock.exists(), "the first one lives"
    first.close()
    third = clear_stale_locks(tmp_path / "new")
    assert third is not None and lock.exists(), "the second one lives"
    second.close()
    third.close()
    last = clear_stale_locks(tmp_path / "new")
    assert last is not None and not lock.exists()
    last.close()


def test_a_folder_that_cannot_be_made_is_left_to_snakemake(tmp_path):
    (tmp_path / "file").write_text("")
    assert clear_stale_locks(tmp_path / "file" / "folder") is None


def test_without_locks_of_the_file_system_nothing_is_cleared(tmp_path, monkeypatch):
    lock = stale(tmp_path)

    def fail(*_):
        raise OSError(37, "No locks available")

    monkeypatch.setattr("fcntl.flock", fail)
    assert clear_stale_locks(tmp_path) is None
    assert lock.exists()


def test_a_lock_dies_with_its_process_and_says_whose_it_was(tmp_path):
    code = (
        "import os, sys; from bnn.locks import exclusive_lock\n"
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
