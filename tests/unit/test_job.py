"""Job logs, in a process of their own because they redirect its output."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from bnn.jobs.interruption import job_log

ROOT = Path(__file__).parents[2]

SCRIPT = """
import os
from bnn.jobs.interruption import job_log
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
    fault = 'from bnn.core.errors import DataError; raise DataError("not-a-number", "toy.csv, row 3")'
    done, log = run(tmp_path, fault)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "prepare toy failed: toy.csv, row 3 [not-a-number] (details: " in done.stderr
    assert "Traceback" in log
    assert "after" not in done.stdout
    done, _ = run(tmp_path, 'raise ValueError("two faults:\\n  - one\\n  - two")')
    assert "prepare toy failed: two faults:\n  - one\n  - two\n  (details: " in done.stderr


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


@pytest.mark.parametrize(
    ("work", "status", "said"),
    [
        ("raise KeyboardInterrupt", 130, "prepare toy stopped: it was interrupted"),
        ("raise MemoryError", 1, "prepare toy failed: MemoryError (details: "),
    ],
)
def test_what_ends_a_job_is_one_line_whatever_it_is(tmp_path, work, status, said):
    done, _ = run(tmp_path, work)
    assert done.returncode == status
    assert said in done.stderr and "Traceback" not in done.stderr


@pytest.mark.parametrize("log", ["/dev/full", "no/such/folder/job.log"])
def test_a_log_that_cannot_be_written_hides_no_error(tmp_path, log):
    code = SCRIPT.format(log=log, work='raise ValueError("toy.csv, row 3: no number")')
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env=environment,
        timeout=60,
        cwd=tmp_path,
    )
    assert done.returncode == 1
    assert "prepare toy failed: " in done.stderr and log in done.stderr
    assert "Traceback" not in done.stderr


def test_an_orphan_replaces_nothing(tmp_path):
    """A short job outlives its killed Snakemake; the next one has made the file with another config meanwhile."""
    folder = tmp_path / ".snakemake" / "scripts"
    folder.mkdir(parents=True)
    script, out, go = folder / "tmp1.toy.py", tmp_path / "out.json", tmp_path / "go"
    script.write_text(
        "import sys, time\nfrom pathlib import Path\n"
        "from bnn.jobs.interruption import job_log\nfrom bnn.core.storage import write_json\n"
        "with job_log('job.log', label='toy'):\n"
        "    Path('begun').touch()\n"
        "    while not Path('go').exists():\n        time.sleep(0.01)\n"
        "    write_json('out.json', {'from': 'orphan'})\n"
    )
    starter = "import subprocess, sys; sys.exit(subprocess.Popen([sys.executable, sys.argv[1]]).wait())"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}

    def start():
        process = subprocess.Popen(
            [sys.executable, "-c", starter, str(script)], cwd=tmp_path, env=environment
        )
        wait_for(lambda: (tmp_path / "begun").exists())
        (tmp_path / "begun").unlink()
        return process

    process = start()
    go.touch()
    assert process.wait(timeout=60) == 0
    assert "orphan" in out.read_text(), "a job that is none writes"
    go.unlink()
    process = start()
    process.kill()
    process.wait()
    out.write_text("of the next run")
    go.touch()
    wait_for(lambda: "is gone" in (tmp_path / "job.log").read_text())
    assert out.read_text() == "of the next run"
    assert not list(tmp_path.glob(".out.*")), "nothing half-written stays"


def wait_for(condition, seconds=30.0):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)
