"""The real workflow killed, stopped, locked: the same command again, unlocked after a kill, has the same results."""

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

import h5py
import numpy as np
import pytest
import yaml

from bnn.core.storage import read_netcdf
from tests.made_once import made_once
from tests.workflow.project import FIXED, TRAJECTORY_LENGTH

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
N_KILLS = int(os.environ.get("BNN_KILLS") or 1)
"""`make kills` asks for thirty."""
STAGES: dict[str, tuple[float, tuple[str, ...]]] = {
    "nothing": (1.0, ("*",)),
    "prepared and trained": (0.8, ("report.html", "gap/chains", "gap/posterior.nc")),
    "sampled": (0.6, ("report.html", "gap/posterior.nc")),
    "combined": (
        0.5,
        ("report.html", "gap/report.html", "gap/metrics.json", "gap/checks.json", "gap/diagnostics.json"),
    ),
}
"""What is done before a run that is killed -> about what share of a run's time is left, and what is not there yet."""

CONFIG: dict[str, Any] = FIXED | {
    "network": {"hidden": [3], "engine": "numpy"},
    "baseline": {"max_epochs": 20},
    "sampler": {
        "chains": 2,
        "chains_per_job": 1,
        "warmup": 100,
        "draws": 200,
        "optimise_steps": 50,
        "checkpoint_seconds": 0.2,
    }
    | {"trajectory_length": TRAJECTORY_LENGTH},
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

    def unlock(self) -> None:
        """Type what a locked folder asks for."""
        said, _ = (process := self.start("--unlock")).communicate(timeout=600)
        assert process.returncode == 0, said

    def locks(self) -> list[Path]:
        return list((self.folder / ".snakemake" / "locks").glob("*.lock"))

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
TARGET = str(Path("results").joinpath(*CHAIN))


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


def compared(run: Run) -> dict[str, Path]:
    """Return all that a run made, but for what tells when and how it ran: logs, benchmarks, states of chains."""
    return {
        str(path.relative_to(run.result())): path
        for path in run.result().rglob("*")
        if path.is_file()
        and not {"logs", "benchmarks"} & set(path.parts)
        and not any(part.endswith(".state") for part in path.parts)
        and path.name != ".snakemake_timestamp"
    }


def content(path: Path) -> Any:
    """Return what is in a file, without spans of time."""
    if path.suffix == ".html":
        return page_without_times(path)
    if path.suffix == ".json":
        return without_times(json.loads(path.read_text(encoding="utf-8")))
    if path.suffix != ".nc":
        return path.read_bytes()
    with h5py.File(path, "r") as file:
        found: dict[str, Any] = {}

        def visit(name: str, item: h5py.Dataset | h5py.Group) -> None:
            # These lists hold places within the file, which depend on the order of writing.
            about = {
                key: item.attrs[key] for key in item.attrs if key not in ("REFERENCE_LIST", "DIMENSION_LIST")
            }
            values = item[()].tobytes() if isinstance(item, h5py.Dataset) and item.dtype.kind != "O" else None
            if isinstance(item, h5py.Dataset) and item.dtype.kind == "O":
                values = item[()].tolist()
            found[name] = (repr(without_times(about)), values)

        visit("", file)
        file.visititems(visit)
        return without_times(found)


def assert_same_results(one: Run, other: Run) -> None:
    """Compare every file: chains, posterior, references, scores, checks, diagnostics, predictions, figures, pages."""
    first, second = compared(one), compared(other)
    assert sorted(first) == sorted(second)
    assert {"gap/posterior.nc", "gap/baseline.nc", "gap/checks.json", "gap/checks.nc", "report.html"} <= set(
        first
    )
    assert any(name.startswith("gap/tables/") for name in first)
    different = [name for name, path in first.items() if content(path) != content(second[name])]
    assert different == []


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
    folder = made_once(tmp_path_factory, "undisturbed", _run_undisturbed)
    run = Run(folder / "run")
    run.seconds = float((folder / "seconds").read_text())
    return run


def _run_undisturbed(folder: Path) -> None:
    began = time.monotonic()
    Run(folder / "run").finish()
    (folder / "seconds").write_text(str(time.monotonic() - began))


def assert_same_chain(one: Run, other: Run) -> None:
    """Compare the chain that was interrupted: nothing but its job had begun."""
    assert content(one.result(*CHAIN)) == content(other.result(*CHAIN))


def begun(folder: Path, undisturbed: Run, missing: tuple[str, ...]) -> Run:
    """Return a run that has come as far as another one had before it made what is missing."""
    run = Run(folder)
    if missing != ("*",):
        shutil.copytree(undisturbed.folder, folder, dirs_exist_ok=True)
        for name in missing:
            path = run.result(name)
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink()
    return run


def test_killed_at_random_moments_the_same_command_ends_with_the_same_results(undisturbed, tmp_path):
    """Kills of the whole process group, each followed by a run to the end and a comparison of all results.

    Most of the time goes into runs to the end, so only some of the runs that are killed begin with nothing. Where a
    kill hits is left to chance, and on a fast machine chains are short targets: kills of a chain on its way are those
    of test_chain_process.py.
    """
    moments = random.Random(1)
    n_killed = n_runs = 0
    pace = 1.0
    while n_killed < N_KILLS:
        n_runs += 1
        assert n_runs <= 2 * N_KILLS, "most runs ended before they were killed"
        # The machine may be less busy now than when the time of a run was measured.
        share, missing = moments.choice(list(STAGES.values()))
        folder = tmp_path / str(n_runs)
        run = begun(folder, undisturbed, missing)
        process = run.start()
        with suppress(subprocess.TimeoutExpired):
            process.wait(timeout=moments.uniform(0.02, 0.8) * pace * share * undisturbed.seconds)
        lives = process.poll() is None
        n_killed += lives
        pace = min(1.0, 1.05 * pace) if lives else 0.7 * pace
        kill_group(process)
        if run.locks():
            run.unlock()
        run.finish()
        assert_same_results(run, undisturbed)
        left = [path for path in run.result().rglob(".*") if path.name != ".snakemake_timestamp"]
        assert left == [], "half-written files"
        shutil.rmtree(folder)


NEVER_DONE = 10_000_000
"""Draws that no test waits for. What was drawn serves a run with fewer draws as well."""


def test_after_ctrl_c_the_same_command_goes_on(undisturbed, tmp_path):
    run = Run(tmp_path / "run", draws=NEVER_DONE)
    process = run.start(TARGET)
    run.wait_for_draws()
    os.killpg(process.pid, signal.SIGINT)
    said, _ = process.communicate(timeout=300)
    assert process.returncode != 0
    assert "stopped: it received SIGINT; what was done is kept in results/gap/chains/chain_" in said
    run.configure()
    run.finish(TARGET)
    assert_same_chain(run, undisturbed)
    assert "going on from" in run.result("gap", "logs", "sample_chain_0.log").read_text()


def test_orphans_of_a_killed_snakemake_make_way_for_the_next_one(undisturbed, tmp_path):
    """Only Snakemake is killed: its jobs live on, and its locks stay until the line is typed that the next run names.

    No checkpoint is due for long, so what the next run goes on from is what the orphan wrote when it noticed.
    """
    run = Run(tmp_path / "run", draws=NEVER_DONE, checkpoint_seconds=100_000)
    process = run.start(TARGET)
    run.wait_for_draws()
    process.kill()
    process.wait()
    locks = run.locks()
    assert locks
    run.configure()
    refused = run.start(TARGET)
    said_then, _ = refused.communicate(timeout=600)
    assert refused.returncode != 0
    assert "Directory cannot be locked" not in said_then
    (line,) = (line for line in said_then.splitlines() if line.startswith("snakemake "))
    assert line.startswith("snakemake --unlock ")
    assert line.endswith(f"--directory {run.folder} --cores 2 {TARGET}")
    assert run.locks() == locks, "nothing but the line unlocks"
    run.unlock()
    run.finish(TARGET)
    assert_same_chain(run, undisturbed)
    said, _ = process.communicate(timeout=300)  # ends when the last orphan has
    assert "stopped: the Snakemake that started it is gone" in said
    assert "going on from" in run.result("gap", "logs", "sample_chain_0.log").read_text()


def test_a_living_snakemake_keeps_its_lock(tmp_path):
    run = Run(tmp_path / "run", draws=NEVER_DONE)
    process = run.start(TARGET)
    run.wait_for_draws()
    second = run.start(TARGET)
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
    run.finish(TARGET)
    after = read_netcdf(run.result(*CHAIN))[0]["theta"]
    assert after.shape[1] == 250
    assert np.array_equal(after[:, :200], before)
    assert "draws, 200 draws so far" in run.result("gap", "logs", "sample_chain_0.log").read_text()
