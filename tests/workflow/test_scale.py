"""Many datasets: the graph of jobs is built in time, the overview stays small."""

import os
import re
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import yaml

from bnn.report import render_overview
from tests.unit.report_inputs import make_diagnostics, make_metrics

ROOT = Path(__file__).parents[2]
N_DATASETS, N_CHAINS = 200, 8


def config_of(folder: Path) -> bytes:
    """Two hundred datasets, every third a file of its own."""
    datasets: dict[str, Any] = {}
    for index in range(N_DATASETS):
        task, source = "classification", {"kind": "sklearn", "name": "wine"}
        if index % 3 == 1:
            task, source = "regression", {"kind": "synthetic", "name": "gap"}
        elif index % 3 == 2:
            path = folder / f"t{index}.csv"
            path.write_text("a,b,y\n" + "".join(f"{i},{i % 3},{i % 5}\n" for i in range(2000)))
            task, source = "regression", {"kind": "csv", "path": str(path), "target": "y"}
        datasets[f"d{index:03d}"] = {"task": task, "source": source}
    return yaml.safe_dump({"sampler": {"chains": N_CHAINS}, "datasets": datasets}).encode()


@pytest.mark.slow
def test_the_graph_of_two_hundred_datasets_is_built_in_twenty_seconds(tmp_path: Path) -> None:
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "config.yaml").write_bytes(config_of(tmp_path))
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile"), "--cores", "2"]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        [*command, "--directory", str(tmp_path), "--dry-run", "--quiet", "rules"],
        capture_output=True,
        text=True,
        timeout=240,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert done.returncode == 0, done.stderr
    # Processor time: other tests run beside this one.
    seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    print(f"{seconds:.1f} s")
    assert seconds <= 20
    assert re.search(rf"^sample_chain +{N_DATASETS * N_CHAINS // 4}$", done.stdout, re.MULTILINE)
    assert len(done.stdout) < 20_000, "a summary can be read"


def test_the_overview_of_two_hundred_datasets_is_made_and_opened_quickly() -> None:
    tasks = ("classification", "regression")
    pairs = [
        (make_diagnostics(tasks[i % 2], "PASS", f"d{i:03d}"), make_metrics(tasks[i % 2], f"d{i:03d}"))
        for i in range(N_DATASETS)
    ]
    start = time.process_time()
    page = render_overview(pairs)
    assert time.process_time() - start < 5
    assert page.count("/report.html") >= N_DATASETS
    # One file without pictures or scripts from elsewhere: a browser lays out a megabyte of tables at once.
    assert len(page.encode()) < 1_500_000
    assert "<script src" not in page and "<img" not in page
