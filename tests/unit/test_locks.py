"""A lock that dies with its process; which locks of Snakemake are those of a killed one."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from bnn.jobs.interruption import Interrupted
from bnn.jobs.locks import exclusive_lock
from bnn.jobs.processes import left_locked, snakemakes_in

ROOT = Path(__file__).parents[2]


@pytest.fixture
def locked(tmp_path):
    """A folder in which a lock of Snakemake lies."""
    (tmp_path / ".snakemake" / "locks").mkdir(parents=True)
    (tmp_path / ".snakemake" / "locks" / "0.input.lock").write_text("results/b\n")
    return tmp_path


def test_a_folder_without_locks_is_not_locked(tmp_path):
    assert not left_locked(tmp_path)
    (tmp_path / ".snakemake" / "locks").mkdir(parents=True)
    assert not left_locked(tmp_path)


def test_a_lock_is_left_where_no_snakemake_works(locked):
    """What runs a single job of one does not count."""
    program = locked / "snakemake"
    program.write_text("print('here', flush=True); import time; time.sleep(600)")
    for options, works in (([], True), (["--mode", "remote"], False)):
        command = [sys.executable, str(program), *options]
        with subprocess.Popen(command, cwd=locked, stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            process.stdout.readline()
            try:
                assert list(snakemakes_in(locked)) == ([process.pid] if works else [])
                assert left_locked(locked) is not works
            finally:
                process.kill()
    assert left_locked(locked)


def test_a_lock_of_another_user_is_left_alone(locked, monkeypatch):
    monkeypatch.setattr("os.getuid", lambda: 4321)
    assert not left_locked(locked)


def make_results(folder):
    """Run the recipe of `make results`, with a Snakemake that only says how it is called."""
    python = folder / "venv" / "bin" / "python"
    python.parent.mkdir(parents=True, exist_ok=True)
    python.write_text(
        f'#!/bin/sh\n[ "$2" = snakemake ] && shift 2 && echo "snakemake $*" && exit\n'
        f'PYTHONPATH="{ROOT}" exec "{sys.executable}" "$@"\n'
    )
    python.chmod(python.stat().st_mode | stat.S_IXUSR)
    command = ["make", "-f", str(ROOT / "Makefile"), "-C", str(folder), "--no-print-directory"]
    done = subprocess.run(
        [*command, "-o", "setup", "results", "VENV=venv", "CORES=2"],
        capture_output=True,
        text=True,
        check=True,
    )
    return [line for line in done.stdout.splitlines() if line.startswith("snakemake")]


def test_make_results_unlocks_what_is_left_locked_and_nothing_else(locked, tmp_path_factory):
    assert make_results(locked) == ["snakemake --unlock", "snakemake --cores 2"]
    assert make_results(tmp_path_factory.mktemp("free")) == ["snakemake --cores 2"]
    program = locked / "snakemake"
    program.write_text("print('here', flush=True); import time; time.sleep(600)")
    with subprocess.Popen([sys.executable, str(program)], cwd=locked, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        try:
            assert make_results(locked) == ["snakemake --cores 2"]
        finally:
            process.kill()


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
