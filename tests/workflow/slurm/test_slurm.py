"""The tiny config on a real Slurm, with the profile that users get: groups, requests, a chain killed and resumed."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from bnn.core.storage import read_netcdf
from tests.workflow.project import FIXED
from tests.workflow.slurm.cluster import Cluster, reason_to_skip

ROOT = Path(__file__).parents[3]
SECONDS = 280
# The chains take some five seconds, long enough to be caught; the rest is as small as can be.
CONFIG: dict[str, Any] = FIXED | {
    "network": {"hidden": [4], "engine": "numpy"},
    "baseline": {"max_epochs": 20},
    "sampler": {
        "chains": 2,
        "chains_per_job": 1,
        "warmup": 200,
        "draws": 250,
        "thin": 1,
        "optimise_steps": 50,
        "checkpoint_seconds": 0.5,
    },
    "datasets": {"iris": {"task": "classification", "source": {"kind": "sklearn", "name": "iris"}}},
}
# Without accounting there is no sacct; and a small cluster need not be asked as seldom as a large one.
OPTIONS = "--slurm-status-command squeue --slurm-init-seconds-before-status-checks 2 --seconds-between-status-checks 2"


@pytest.fixture
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    reason = reason_to_skip()
    if reason and os.environ.get("BNN_REQUIRE_SLURM"):
        pytest.fail(f"BNN_REQUIRE_SLURM is set: {reason}")
    if reason:
        pytest.skip(reason)
    with Cluster(tmp_path_factory.mktemp("slurm") / "cluster") as running:
        yield running


def snakemake(folder: Path) -> list[str]:
    (folder / "config").mkdir(parents=True)
    (folder / "config" / "config.yaml").write_text(yaml.safe_dump(CONFIG))
    snakefile = str(ROOT / "Snakefile")
    return [sys.executable, "-m", "snakemake", "--snakefile", snakefile, "--directory", str(folder)]


def wait_until_sampling(folder: Path, cluster: Cluster, process: subprocess.Popen[bytes]) -> str:
    """Return the id of the job of chain 0 once it has left a checkpoint behind it."""
    checkpoint = folder / "results" / "iris" / "chains" / "chain_0.state" / "checkpoint"
    end = time.monotonic() + 120
    while time.monotonic() < end and process.poll() is None:
        running = [number for number, _, comment in cluster.jobs(state="RUNNING") if is_chain(comment, 0)]
        if running and checkpoint.exists():
            return running[0]
        time.sleep(0.3)
    raise AssertionError(f"chain 0 was not seen running; jobs: {cluster.jobs()}")


def is_chain(comment: str, chain: int) -> bool:
    return comment.startswith("rule_sample_chain") and comment.endswith(f"iris_{chain}")


@pytest.mark.cluster
def test_a_run_with_a_cancelled_chain_ends_with_the_same_draws(cluster: Cluster, tmp_path: Path) -> None:
    folder, log_path = tmp_path / "run", tmp_path / "snakemake.log"
    command = [
        *snakemake(folder),
        "--profile",
        str(ROOT / "workflow" / "profiles" / "slurm"),
        *OPTIONS.split(),
    ]
    with log_path.open("wb") as log:
        process = subprocess.Popen(command, env=cluster.environment, stdout=log, stderr=subprocess.STDOUT)
        try:
            cancelled = wait_until_sampling(folder, cluster, process)
            cluster.run("scancel", cancelled)
            status = process.wait(timeout=SECONDS)
        finally:
            if process.poll() is None:
                process.terminate()  # it takes its jobs back
                process.wait(timeout=60)
    said = log_path.read_text(errors="replace")
    assert status == 0, f"{said[-3000:]}\n{cluster.jobs()}"

    # Chain 0 was cancelled, submitted again and finished; nothing else was run twice.
    jobs = cluster.jobs()
    by_state = {number: state for number, state, _ in jobs}
    assert by_state.pop(cancelled) == "CANCELLED"
    assert set(by_state.values()) == {"COMPLETED"}
    assert sum(is_chain(comment, 0) for _, _, comment in jobs) == 2
    assert sum(is_chain(comment, 1) for _, _, comment in jobs) == 1
    # Short jobs went together: six rules in one job. The plugin cuts the comment before the last of them, the report.
    together = ("check", "combine", "diagnose", "evaluate", "plot")
    assert any(all(rule in comment for rule in together) for _, _, comment in jobs), jobs
    # Table, baseline, two chains and one of them again, results; the overview is made where Snakemake runs.
    assert len(jobs) == 6

    # The second job went on where the first one stood, and the draws are those of a run that nobody touched.
    text = (folder / "results" / "iris" / "logs" / "sample_chain_0.log").read_text()
    assert re.search(r"going on from .*chain_0\.state", text), text
    assert (folder / "results" / "report.html").is_file()
    alone = tmp_path / "alone"
    target = "results/iris/chains/chain_0.nc"
    done = subprocess.run(
        [*snakemake(alone), "--cores", "1", target], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stdout + done.stderr
    expected, _ = read_netcdf(alone / target)
    found, _ = read_netcdf(folder / target)
    assert np.array_equal(found["theta"], expected["theta"])
    requests_grow_when_a_job_is_tried_again(cluster)
    nothing_is_left_behind(cluster)


def requests_grow_when_a_job_is_tried_again(cluster: Cluster) -> None:
    """Memory and time of the two jobs of chain 0 in the run above."""
    lines = cluster.run(
        "squeue", "--noheader", "--states=all", "--Format=Comment:|,MinMemory:|,TimeLimit:|"
    ).splitlines()
    rows = [[field.strip() for field in line.split("|")] for line in lines]
    asked = sorted(
        (int(memory.removesuffix("M")), limit) for comment, memory, limit, *_ in rows if is_chain(comment, 0)
    )
    (first, first_limit), (second, second_limit) = asked
    assert second == 2 * first
    assert (first_limit, second_limit) == ("4:00:00", "8:00:00")


def nothing_is_left_behind(cluster: Cluster) -> None:
    """The daemons end, and the link is gone."""
    daemons = [daemon for daemon, _ in cluster._daemons]
    cluster.stop()
    assert len(daemons) == 3
    assert all(daemon.poll() is not None for daemon in daemons)
    assert not Path("/etc/slurm/slurm.conf").exists()


@pytest.mark.slow
@pytest.mark.parametrize("profile", ["slurm", "cluster-generic"])
def test_the_config_runs_elsewhere_by_changing_the_profile(profile: str, tmp_path: Path) -> None:
    """A dry run with each profile: same jobs, groups and all. It needs the plugin, but no cluster."""
    command = [
        *snakemake(tmp_path / "run"),
        "--profile",
        str(ROOT / "workflow" / "profiles" / profile),
        "--dry-run",
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    said = done.stdout + done.stderr
    assert done.returncode == 0, said
    assert re.search(r"^total +12$", done.stdout, re.MULTILINE), "eleven jobs, and the one for all"
    assert "Traceback" not in said


# A batch system as small as can be, with the commands of LSF: it runs at once what it gets, and notes the requests.
LSF = {
    "bsub": """for script; do :; done
        setsid sh -c 'sh "$1"; echo $? > "$2/new.$$"; mv -n "$2/new.$$" "$2/exit.$$"' \
            job "$script" "$here" > /dev/null 2>&1 &
        echo "$! $*" >> "$here/asked"
        echo "Job <$!> is submitted to default queue <normal7>."
    """,
    "bjobs": """for job; do :; done
        grep -q "^$job " "$here/asked" || { echo "Job <$job> is not found" >&2; exit 255; }
        case $(cat "$here/exit.$job" 2> /dev/null) in "") echo RUN ;; 0) echo DONE ;; *) echo EXIT ;; esac
    """,
    "bkill": """for job; do
            echo 130 > "$here/kill.$job"; mv "$here/kill.$job" "$here/exit.$job"
            kill -s TERM -- "-$job"
        done
    """,
}


class BatchSystem:
    """Commands in a folder, and Snakemake with the profile as it stands."""

    def __init__(self, folder: Path) -> None:
        self.bin, self.run = folder / "bin", folder / "run"
        self.bin.mkdir()
        for name, body in LSF.items():
            (self.bin / name).write_text(f'#!/bin/sh\nhere=$(dirname "$0")\n{body}')
            (self.bin / name).chmod(0o755)
        self._command = [
            *snakemake(self.run),
            *("--profile", str(ROOT / "workflow" / "profiles" / "cluster-generic")),
            *("--seconds-between-status-checks", "1"),
        ]

    def start(self, target: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [*self._command, target],
            env={**os.environ, "PATH": f"{self.bin}:{os.environ['PATH']}"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def asked(self) -> list[tuple[str, list[str]]]:
        """Return the number of each job so far, and what it asked for."""
        path = self.bin / "asked"
        lines = [line.split() for line in path.read_text().splitlines()] if path.exists() else []
        return [(line[0], line[3:9]) for line in lines]

    def wait_for_checkpoint(self, process: subprocess.Popen[str]) -> str:
        """Return the number of the job of chain 0 once it samples."""
        checkpoint = self.run / "results" / "iris" / "chains" / "chain_0.state" / "checkpoint"
        end = time.monotonic() + 120
        while not checkpoint.exists():
            assert time.monotonic() < end and process.poll() is None, self.asked()
            time.sleep(0.2)
        return self.asked()[-1][0]


@pytest.mark.slow
def test_a_batch_system_gets_the_requests(tmp_path: Path) -> None:
    system = BatchSystem(tmp_path)
    target = "results/iris/baseline.nc"
    process = system.start(target)
    said, _ = process.communicate(timeout=200)
    assert process.returncode == 0, said
    assert (system.run / target).is_file()
    asked = [request for _, request in system.asked()]
    assert [(one[0], one[1], one[2], one[4], one[5]) for one in asked] == [
        ("-n", "1", "-M", "-W", "10"),
        ("-n", "1", "-M", "-W", "30"),
    ]
    assert all(re.fullmatch(r"\d{3,}MB", one[3]) for one in asked)


@pytest.mark.slow
def test_a_job_that_a_batch_system_lost_is_submitted_again(tmp_path: Path) -> None:
    """Killed from outside, it leaves no word: the status command tells, and the chain goes on with twice the memory."""
    system = BatchSystem(tmp_path)
    process = system.start("results/iris/chains/chain_0.nc")
    job = system.wait_for_checkpoint(process)
    subprocess.run([system.bin / "bkill", job], check=True)
    said, _ = process.communicate(timeout=240)
    assert process.returncode == 0, said
    (_, first), (_, second) = system.asked()[1:]
    assert int(second[3].removesuffix("MB")) == 2 * int(first[3].removesuffix("MB"))
    log = system.run / "results" / "iris" / "logs" / "sample_chain_0.log"
    assert "going on from" in log.read_text()


@pytest.mark.slow
def test_jobs_of_a_stopped_snakemake_are_taken_back(tmp_path: Path) -> None:
    system = BatchSystem(tmp_path)
    process = system.start("results/iris/chains/chain_0.nc")
    job = system.wait_for_checkpoint(process)
    process.send_signal(signal.SIGINT)
    said, _ = process.communicate(timeout=120)
    assert process.returncode != 0, said
    # The job ends by itself after Snakemake did: it writes its checkpoint first.
    ended, deadline = system.bin / f"exit.{job}", time.monotonic() + 60
    while not (ended.is_file() and ended.read_text()) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert ended.read_text().strip() == "130"


def test_every_file_of_a_profile_is_read() -> None:
    """A profile that Snakemake does not find by its name is silently none at all."""
    for folder in (ROOT / "workflow" / "profiles").iterdir():
        assert [path.name for path in folder.iterdir()] == ["config.v9+.yaml"]
    assert shutil.which("snakemake", path=str(Path(sys.executable).parent))
