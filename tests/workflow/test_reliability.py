"""The real workflow killed, stopped, locked, and out of disk: the same command again ends with the same results."""

import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from bnn.storage import read_netcdf

ROOT = Path(__file__).parents[2]
N_KILLS = 30
N_SERIES = 3
"""Undisturbed ends among the kills, each of which is compared."""

CONFIG: dict[str, Any] = {
    "network": {"hidden": [3]},
    "baseline": {"max_epochs": 20},
    "sampler": {"chains": 2, "warmup": 100, "draws": 200, "optimise_steps": 50, "checkpoint_seconds": 0.2},
    "datasets": {"gap": {"task": "regression", "source": {"kind": "synthetic", "name": "gap"}}},
}


STARTED: list[subprocess.Popen[str]] = []


class Run:
    """A folder in which the workflow runs."""

    def __init__(self, folder: Path, **sampler: Any) -> None:
        self.folder = folder
        self.seconds = 0.0
        self.configure(**sampler)

    def configure(self, **sampler: Any) -> None:
        (self.folder / "config").mkdir(parents=True, exist_ok=True)
        config = CONFIG | {"sampler": CONFIG["sampler"] | sampler}
        (self.folder / "config" / "config.yaml").write_text(yaml.safe_dump(config))

    def start(self, *options: str, cores: int = 2) -> subprocess.Popen[str]:
        """Start Snakemake in a process group of its own, as a shell does."""
        command = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile")]
        process = subprocess.Popen(
            [*command, "--directory", str(self.folder), "--cores", str(cores), *options],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
        STARTED.append(process)
        return process

    def finish(self, *options: str, cores: int = 2) -> str:
        """Run to the end; return what was said."""
        process = self.start(*options, cores=cores)
        said, _ = process.communicate(timeout=600)
        assert process.returncode == 0, said
        return said

    def result(self, *parts: str) -> Path:
        return self.folder.joinpath("results", *parts)

    def wait_for_draws(self) -> None:
        """Wait until a chain has written some."""
        path, deadline = self.result(*STATE, "draws"), time.monotonic() + 300
        while not path.exists() or not path.stat().st_size:
            assert time.monotonic() < deadline, "no chain started"
            time.sleep(0.02)


CHAIN = ("gap", "chains", "chain_0.nc")
STATE = ("gap", "chains", "chain_0.state")


def kill_group(process: subprocess.Popen[str], number: int = signal.SIGKILL) -> None:
    with suppress(ProcessLookupError):  # it may just have ended
        os.killpg(process.pid, number)
    process.communicate(timeout=300)


def without_times(value: Any) -> Any:
    """Return JSON without what is measured by a clock."""
    if isinstance(value, dict):
        return {key: without_times(item) for key, item in value.items() if "seconds" not in key}
    if isinstance(value, list):
        return [without_times(item) for item in value]
    return value


def page_without_times(path: Path) -> str:
    """Return a page without spans of time: 1.2 s, 3 min, 56 times as long, and the numbers by which they are sorted."""
    page = path.read_text(encoding="utf-8")
    page = re.sub(r'data-sort="[^"]*"( data-label="Core seconds"[^>]*>)[\d.,]+', r"\1TIME", page)
    text = re.sub(r"\d[\d.,]*\s*(ms|s|min|h|times as)\b", "TIME", page)
    return re.sub(r'data-sort="[^"]*"([^>]*>)TIME', r"\1TIME", text)


def assert_same_results(one: Run, other: Run) -> None:
    for chain in (0, 1):
        first, second = (
            read_netcdf(run.result("gap", "chains", f"chain_{chain}.nc")) for run in (one, other)
        )
        for name, values in first[0].items():
            assert np.array_equal(values, second[0][name]), name
        assert without_times(first[1]) == without_times(second[1])
    for name in ("metrics.json", "diagnostics.json"):
        texts = [json.loads(run.result("gap", name).read_text()) for run in (one, other)]
        assert without_times(texts[0]) == without_times(texts[1]), name
    assert (
        one.result("gap", "predictions.csv").read_bytes()
        == other.result("gap", "predictions.csv").read_bytes()
    )
    figures = [sorted(run.result("gap", "figures").iterdir()) for run in (one, other)]
    for first_path, second_path in zip(*figures, strict=True):
        assert first_path.name == second_path.name
        assert first_path.read_bytes() == second_path.read_bytes(), first_path.name
    for page in (("report.html",), ("gap", "report.html")):
        assert page_without_times(one.result(*page)) == page_without_times(other.result(*page)), page


@pytest.fixture(autouse=True)
def nothing_stays_alive():
    """End what a test started, should it fail before it does so itself."""
    yield
    while STARTED:
        process = STARTED.pop()
        if process.poll() is None:
            kill_group(process)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    run = Run(tmp_path_factory.mktemp("undisturbed"))
    began = time.monotonic()
    run.finish()
    run.seconds = time.monotonic() - began
    return run


def test_killed_at_random_moments_the_same_command_ends_with_the_same_results(undisturbed, tmp_path):
    """Thirty kills of the whole process group, in three series that each end with a run that is left alone.

    Where they hit is left to chance, and on a fast machine chains are short targets: kills of a chain on its way are
    those of test_chain_process.py.
    """
    moments = random.Random(1)
    for series in range(N_SERIES):
        run = Run(tmp_path / str(series))
        for _ in range(N_KILLS // N_SERIES):
            process = run.start()
            # A run that goes on has less left to do than the first one had.
            time.sleep(moments.uniform(0.05, 0.5) * undisturbed.seconds)
            kill_group(process)
        run.finish()
        assert_same_results(run, undisturbed)
        left = [path for path in run.result().rglob(".*") if path.name != ".snakemake_timestamp"]
        assert left == [], "half-written files"


NEVER_DONE = 10_000_000
"""Draws that no test waits for. What was drawn serves a run with fewer draws as well."""


def test_after_ctrl_c_the_same_command_goes_on(undisturbed, tmp_path):
    run = Run(tmp_path / "run", draws=NEVER_DONE)
    process = run.start()
    run.wait_for_draws()
    os.killpg(process.pid, signal.SIGINT)
    said, _ = process.communicate(timeout=300)
    assert process.returncode != 0
    assert "stopped: it received SIGINT; what was done is kept in results/gap/chains/chain_" in said
    run.configure()
    run.finish()
    assert_same_results(run, undisturbed)
    assert "going on from" in run.result("gap", "logs", "sample_chain_0.log").read_text()


def test_orphans_of_a_killed_snakemake_make_way_for_the_next_one(undisturbed, tmp_path):
    """Only Snakemake is killed: its jobs live on, its locks stay, and the next run starts at once."""
    run = Run(tmp_path / "run", draws=NEVER_DONE)
    process = run.start()
    run.wait_for_draws()
    process.kill()
    assert list((run.folder / ".snakemake" / "locks").iterdir())
    run.configure()
    run.finish()
    assert_same_results(run, undisturbed)
    said, _ = process.communicate(timeout=300)  # ends when the last orphan has
    assert "stopped: the Snakemake that started it is gone" in said


def test_a_living_snakemake_keeps_its_lock(tmp_path):
    run = Run(tmp_path / "run", draws=NEVER_DONE)
    process = run.start()
    run.wait_for_draws()
    second = run.start()
    said, _ = second.communicate(timeout=600)
    kill_group(process)
    assert second.returncode != 0
    assert "Directory cannot be locked" in said


def test_more_draws_extend_the_chains_and_the_time_between_checkpoints_runs_nothing_again(
    undisturbed, tmp_path
):
    run = Run(tmp_path / "run")
    shutil.copytree(undisturbed.folder, run.folder, dirs_exist_ok=True)
    run.configure(checkpoint_seconds=7)
    assert "Nothing to be done" in run.finish()
    before = read_netcdf(run.result(*CHAIN))[0]["theta"]
    run.configure(draws=250)
    run.finish(str(Path("results").joinpath(*CHAIN)))
    after = read_netcdf(run.result(*CHAIN))[0]["theta"]
    assert after.shape[1] == 250
    assert np.array_equal(after[:, :200], before)
    assert "draws, 200 draws so far" in run.result("gap", "logs", "sample_chain_0.log").read_text()
