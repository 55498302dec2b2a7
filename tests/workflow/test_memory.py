"""The memory that jobs ask for holds what they use, and is at most twice as much: measured, rule by rule, at two sizes.

Each script runs as a process of its own. What a cluster counts is that and the Snakemake which starts it.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

from bnn.config import load
from bnn.footprint import request_mb, table_of

ROOT = Path(__file__).parents[2]
LARGEST_WASTE = 2.0
_RUN = """
import json, resource, sys
S, D = json.loads(sys.argv[1]), sys.argv[2]
SAMPLER = dict(S["sampler"])
for name in ("chains", "chains_per_job", "checkpoint_seconds", "keep"):
    del SAMPLER[name]
CHAINS = range(S["sampler"]["chains"])
{call}
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
"""
CALLS = {
    "prepare": 'from scripts.prepare import main; main(f"{D}/data.nc", "d", S)',
    "fit_baseline": 'from scripts.fit_baseline import main; main(f"{D}/data.nc", f"{D}/baseline.nc", S)',
    "sample_chain": "from scripts.sample_chain import main\n"
    'main(f"{D}/data.nc", f"{D}/c.nc", CHAINS, S | {"sampler": SAMPLER}, "code", f"{D}/state", 30.0, None)',
    "combine": "from scripts.combine import main\n"
    'main(f"{D}/data.nc", [f"{D}/c.nc"], f"{D}/posterior.nc", None, S, "both")',
    "diagnose": "from scripts.diagnose import main\n"
    'main(f"{D}/data.nc", f"{D}/posterior.nc", f"{D}/diagnostics.json", f"{D}/diagnostics.nc", S["diagnostics"])',
    "evaluate": "from scripts.evaluate import main\n"
    'main(f"{D}/data.nc", f"{D}/baseline.nc", f"{D}/posterior.nc", f"{D}/metrics.json", f"{D}/predictions.csv")',
    "plot": "from scripts.plot import main\n"
    'main(f"{D}/data.nc", f"{D}/baseline.nc", f"{D}/posterior.nc", f"{D}/diagnostics.nc", f"{D}/figures", S)',
    "report": "from scripts.report import main\n"
    'main(f"{D}/data.nc", f"{D}/metrics.json", f"{D}/diagnostics.json", f"{D}/figures", f"{D}/report.html", S)',
}


class Case(NamedTuple):
    rows: int
    features: int
    classes: int
    hidden: int
    chains: int
    draws: int


CASES = {
    "small": Case(rows=200, features=5, classes=1, hidden=4, chains=2, draws=50),
    # Many predictions; many weights.
    "many rows": Case(rows=4000, features=20, classes=3, hidden=8, chains=4, draws=800),
    "many weights": Case(rows=300, features=20, classes=1, hidden=100, chains=4, draws=1000),
}
CHECKED = {
    "small": tuple(CALLS),
    "many rows": ("prepare", "fit_baseline", "sample_chain", "combine", "evaluate"),
    "many weights": ("prepare", "sample_chain", "combine"),
}
"""Diagnosing and drawing take too long at these sizes to be run here with every change."""


class Measured(NamedTuple):
    request: int
    used: float


@pytest.fixture(scope="module")
def snakemake_mb(tmp_path_factory: pytest.TempPathFactory) -> float:
    """Memory of the Snakemake that starts a job."""
    program = (
        "import resource, sys\nfrom snakemake.cli import main\n"
        "try:\n    main(sys.argv[1:])\nexcept SystemExit:\n    pass\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)"
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


@pytest.fixture(scope="module", params=CASES)
def measured(
    request: pytest.FixtureRequest, snakemake_mb: float, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, Measured]]:
    case, folder = CASES[request.param], tmp_path_factory.mktemp("memory")
    settings = write_case(case, folder)
    table = table_of(settings["source"], settings["task"])
    assert table[:2] == pytest.approx((case.rows, case.features), rel=0.05)
    yield {
        rule: Measured(request_mb(rule, table, settings), peak_of(rule, settings, folder) + snakemake_mb)
        for rule in CHECKED[request.param]
    }


def write_case(case: Case, folder: Path) -> dict[str, Any]:
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
    # Memory does not depend on where chains go, so they take the cheapest of ways.
    sampler = {"kernel": "random_walk", "init": "prior", "warmup": 10, "draws": case.draws}
    raw = {
        "network": {"hidden": [case.hidden]},
        "baseline": {"max_epochs": 2},
        "sampler": {**sampler, "chains": case.chains, "chains_per_job": case.chains},
        "datasets": {
            "d": {
                "task": "classification" if case.classes > 1 else "regression",
                "source": {"kind": "csv", "path": str(folder / "t.csv"), "target": "y"},
            }
        },
    }
    return load(raw).datasets["d"].model_dump(mode="json")


def peak_of(rule: str, settings: dict[str, Any], folder: Path) -> float:
    command = [sys.executable, "-c", _RUN.replace("{call}", CALLS[rule]), json.dumps(settings), str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240, cwd=ROOT, env=os.environ)
    assert done.returncode == 0, f"{rule}: {done.stderr[-2000:]}"
    return float(done.stdout.split()[-1])


def test_jobs_use_what_they_ask_for_and_at_least_half_of_it(measured: dict[str, Measured]) -> None:
    figures = "\n".join(
        f"{rule}: asks for {figure.request} MB, uses {figure.used:.0f} MB"
        for rule, figure in measured.items()
    )
    print(figures)
    too_little = [rule for rule, figure in measured.items() if figure.used > figure.request]
    too_much = [rule for rule, figure in measured.items() if figure.request > LARGEST_WASTE * figure.used]
    assert (too_little, too_much) == ([], []), figures
