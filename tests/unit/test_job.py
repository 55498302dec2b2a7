"""Job logs, in a process of their own because they redirect its output."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from bnn.job import job_log

ROOT = Path(__file__).parents[2]

SCRIPT = """
import os
from bnn.job import job_log
with job_log({log!r}, label="prepare toy") as terminal:
    print("to the log")
    os.system("echo from a child")
    print("to the terminal", file=terminal)
    {work}
print("after")
"""


def run(tmp_path, work):
    log = tmp_path / "job.log"
    code = SCRIPT.format(log=str(log), work=work)
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment, timeout=60
    )
    return done, log.read_text()


def test_output_goes_to_the_log_and_the_terminal_stays_free(tmp_path):
    done, log = run(tmp_path, "pass")
    assert done.returncode == 0
    assert done.stdout == "after\n"
    assert done.stderr == "to the terminal\n"
    assert sorted(log.split("\n")) == ["", "from a child", "to the log"]


def test_an_error_is_one_line_on_the_terminal_and_a_traceback_in_the_log(tmp_path):
    done, log = run(tmp_path, 'raise ValueError("toy.csv, row 3: no number")')
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "prepare toy failed: toy.csv, row 3: no number (details: " in done.stderr
    assert "Traceback" in log
    assert "after" not in done.stdout


def test_descriptors_are_restored(tmp_path, capfd):
    with job_log(tmp_path / "job.log", label="toy") as terminal:
        os.write(1, b"inside")
        print("aside", file=terminal)
    print("after")
    with pytest.raises(SystemExit, match="1"), job_log(tmp_path / "job.log", label="toy"):
        raise ValueError("no")
    shown = capfd.readouterr()
    assert shown.out == "after\n"
    assert shown.err.splitlines()[0] == "aside"
    assert "toy failed: no" in shown.err
