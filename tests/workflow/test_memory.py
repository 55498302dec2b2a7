"""The memory that jobs ask for holds what they use, and is at most twice as much: measured, rule by rule.

`pytest` measures at one size, `make calibrate` at every one of `CASES`.

Each script runs as a process of its own. What a cluster counts is that and the Snakemake which starts it.
"""

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import yaml

from tests.effort import FULL
from tests.workflow.project import FIXED

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
LARGEST_WASTE = 2.0
# Python runs this when it starts: each job leaves its name, what it asked for, its peak and what its inputs measure.
_RECORD = r"""
import atexit, os, re, sys

def record():
    script = re.search(r"\.snakemake/scripts/\w+\.(\w+)\.py$", sys.argv[0])
    if script:
        # Not getrusage: its peak includes that of the process which started this one.
        peak = re.search(r"VmHWM:\s*(\d+) kB", open("/proc/self/status").read())
        job = sys.modules["__main__"].snakemake
        inputs = sum(os.path.getsize(path) for path in job.input) / 1e6
        with open(os.environ["BNN_PEAKS"], "a") as file:
            file.write(f"{script[1]} {job.resources.mem_mb} {int(peak[1]) / 1024} {inputs}\n")

atexit.register(record)
"""


class Case(NamedTuple):
    rows: int
    features: int
    classes: int
    hidden: int
    chains: int
    draws: int


CASES = {
    # Every rule, at a size that still takes seconds.
    "middle": Case(rows=600, features=10, classes=3, hidden=16, chains=4, draws=400),
    "small": Case(rows=200, features=5, classes=1, hidden=4, chains=2, draws=50),
    # Many predictions; many weights.
    "many rows": Case(rows=4000, features=20, classes=3, hidden=8, chains=4, draws=800),
    "many weights": Case(rows=300, features=20, classes=1, hidden=100, chains=4, draws=1000),
}
EVERYTHING = ("results/d/report.html", "results/d/predictions/new.csv")
TARGETS = {
    "small": EVERYTHING,
    "middle": EVERYTHING,
    "many rows": ("results/d/metrics.json", "results/d/checks.json"),
    "many weights": ("results/d/checks.json",),
}
"""Up to where each is run: diagnosing and drawing large ones takes too long."""


class Measured(NamedTuple):
    request: float
    used: float
    inputs: float


@pytest.fixture(scope="module")
def snakemake_mb(tmp_path_factory: pytest.TempPathFactory) -> float:
    """Memory of the Snakemake that starts a job."""
    program = (
        "import re, sys\nfrom snakemake.cli import main\n"
        "try:\n    main(sys.argv[1:])\nexcept SystemExit:\n    pass\n"
        # Not getrusage: its peak includes that of the process which started this one.
        "peak = re.search(r'VmHWM:\\s*(\\d+) kB', open('/proc/self/status').read())\n"
        "print(int(peak[1]) / 1024)"
    )
    command = [
        sys.executable,
        "-c",
        program,
        "--snakefile",
        str(ROOT / "Snakefile"),
        "--dry-run",
        "--quiet",
        "all",
    ]
    folder = tmp_path_factory.mktemp("snakemake")
    options = [
        "--directory",
        str(folder),
        "--configfile",
        str(ROOT / "config" / "tiny.yaml"),
        "--replace-workflow-config",
    ]
    done = subprocess.run([*command, *options], capture_output=True, text=True, timeout=120, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    return float(done.stdout.split()[-1])


MEASURED = list(CASES) if FULL else ["middle"]


@pytest.fixture(scope="module", params=MEASURED)
def measured(
    request: pytest.FixtureRequest, snakemake_mb: float, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Measured]:
    case, folder = CASES[request.param], tmp_path_factory.mktemp("memory")
    write_case(case, folder)
    found = run_case(folder, TARGETS[request.param])
    return {rule: job._replace(used=job.used + snakemake_mb) for rule, job in found.items()}


def write_case(case: Case, folder: Path) -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(case.rows, case.features))
    y = (
        rng.integers(case.classes, size=case.rows)
        if case.classes > 1
        else x[:, 0] + rng.normal(size=case.rows)
    )
    header = ",".join([*(f"x{i}" for i in range(case.features)), "y"])
    np.savetxt(
        folder / "t.csv", np.column_stack([x, y]), fmt="%.6g", delimiter=",", header=header, comments=""
    )
    new = folder / "new.csv"
    np.savetxt(new, x, fmt="%.6g", delimiter=",", header=header.removesuffix(",y"), comments="")
    # Memory does not depend on where chains go, so they take the cheapest of ways.
    sampler = {"kernel": "random_walk", "init": "prior", "warmup": 10, "draws": case.draws}
    raw = {
        "network": {"hidden": [case.hidden]},
        **FIXED,
        "baseline": {"max_epochs": 2},
        "sampler": {**sampler, "chains": case.chains, "chains_per_job": case.chains},
        "datasets": {
            "d": {
                "task": "classification" if case.classes > 1 else "regression",
                "source": {"kind": "csv", "path": str(folder / "t.csv"), "target": "y"},
                "predict": [str(folder / "new.csv")],
            }
        },
    }
    (folder / "config").mkdir()
    (folder / "config" / "config.yaml").write_text(yaml.safe_dump(raw))


def run_case(folder: Path, targets: Sequence[str]) -> dict[str, Measured]:
    """Return what each script asked for and its peak, in MiB, and the MB of its inputs."""
    (folder / "hook").mkdir()
    (folder / "hook" / "sitecustomize.py").write_text(_RECORD)
    peaks = folder / "peaks"
    path = os.pathsep.join([str(folder / "hook"), str(ROOT)])
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile"), "--cores", "2"]
    done = subprocess.run(
        [*command, "--directory", str(folder), *targets],
        capture_output=True,
        text=True,
        timeout=300,
        env={**os.environ, "PYTHONPATH": path, "BNN_PEAKS": str(peaks)},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return {
        name: Measured(*map(float, figures))
        for name, *figures in map(str.split, peaks.read_text().splitlines())
    }


def test_jobs_use_what_they_ask_for_and_at_least_half_of_it(measured: dict[str, Measured]) -> None:
    assert {"prepare", "sample_chain", "combine"} <= set(measured)
    figures = "\n".join(
        f"{rule}: asks for {figure.request:.0f} MB, uses {figure.used:.0f} MB, reads {figure.inputs:.1f} MB"
        for rule, figure in measured.items()
    )
    print(figures)
    too_little = [rule for rule, figure in measured.items() if figure.used > figure.request]
    too_much = [rule for rule, figure in measured.items() if figure.request > LARGEST_WASTE * figure.used]
    assert (too_little, too_much) == ([], []), figures
