"""Preparing a large table takes at most 2.6 times the memory that its numbers take, NetCDF file included."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
LIMIT = 2.6
_PROGRAM = """
import json, re, sys

def resident(key):
    return int(re.search(key + r":\\s*(\\d+) kB", open("/proc/self/status").read())[1]) * 1024

import h5netcdf, h5py, pandas, sklearn.compose, sklearn.impute, sklearn.model_selection, sklearn.preprocessing
from bnn.data.preparation import prepare

def run(path):
    source = {"kind": "csv", "path": path, "target": "y"}
    split = {"method": "random", "test_size": 0.2, "stratify": False, "seed": 1}
    dataset = prepare("large", task="regression", source=source, split=split, columns=json.loads(sys.argv[3]))
    dataset.save(path + ".nc")
    return dataset

# A small table first: what libraries load when they are first used is not what a large table costs.
run(sys.argv[1])
open("/proc/self/clear_refs", "w").write("5")
before = resident("VmRSS")
run(sys.argv[2])
print(resident("VmHWM") - before)
"""


@pytest.mark.parametrize("gaps", [False, True], ids=["whole", "with missing values and texts"])
def test_a_large_table_is_prepared_in_little_memory(tmp_path: Path, gaps: bool) -> None:
    n_rows, n_columns = 100_000, 20
    header = ",".join([*(f"x{i}" for i in range(n_columns - 1)), "y"])
    values = np.random.default_rng(0).normal(size=(n_rows, n_columns))
    lines = [",".join(map(repr, row)) for row in values.tolist()]
    if gaps:
        lines = [
            f"{'abc'[i % 3]},{line.split(',', 2)[2]}" if i % 5 else f"b,{line.split(',', 2)[2]}"
            for i, line in enumerate(lines)
        ]
        lines = [line if i % 9 else line.replace(line.split(",")[1], "NA", 1) for i, line in enumerate(lines)]
        header = ",".join(["kind", *header.split(",")[2:]])
    for name, count in (("small", 100), ("large", n_rows)):
        (tmp_path / f"{name}.csv").write_text("\n".join([header, *lines[:count], ""]))
    paths = [str(tmp_path / f"{name}.csv") for name in ("small", "large")]
    settings = json.dumps({"missing": "impute"} if gaps else {})
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM, *paths, settings],
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    ratio = int(done.stdout) / (8 * n_rows * n_columns)
    print(f"{ratio:.2f} times the size of the numbers")
    assert ratio <= LIMIT
