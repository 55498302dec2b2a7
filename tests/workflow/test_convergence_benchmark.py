"""benchmarks/convergence.py: what it stores, when a method has got there, and that it goes on where it was."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]


def run(folder: Path, *arguments: str) -> str:
    """Measure this package on iris, one seed, and return what was said."""
    command = [sys.executable, str(ROOT / "benchmarks" / "convergence.py"), "--results", str(folder)]
    command += ["--only", "iris", "--methods", "ours", "--seeds", "1", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=300)
    assert done.returncode == 0, done.stderr
    return done.stdout


def stored(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "iris" / "0.ours.json").read_text(encoding="utf-8"))
    return found


def test_a_method_goes_on_until_it_has_got_there_and_is_measured_once(tmp_path: Path) -> None:
    run(tmp_path)
    result = stored(tmp_path)
    *early, last = result["stages"]
    assert result["there"] and last["rhat"] <= 1.05 and last["ess"] >= 100
    assert all(stage["rhat"] > 1.05 or stage["ess"] < 100 for stage in early)
    assert [stage["n"] for stage in result["stages"]] == [250 * 2**k for k in range(len(early) + 1)]
    written = (tmp_path / "iris" / "0.ours.json").stat().st_mtime_ns
    said = run(tmp_path)
    assert (tmp_path / "iris" / "0.ours.json").stat().st_mtime_ns == written
    row = next(line for line in said.splitlines() if line.startswith("| iris |"))
    assert f"{last['rhat']:.3f}" in row and "not reached" not in row


def test_a_method_without_time_has_not_got_there_and_gets_no_ratio(tmp_path: Path) -> None:
    file = tmp_path / "iris" / "0.ours.json"
    os.makedirs(file.parent)
    stage = {"n": 250, "seconds": 9.0, "n_gradients": None, "rhat_median": 1.2, "rhat": 1.9, "ess": 5.0}
    file.write_text(json.dumps({"there": False, "minutes": 0.1, "overhead": 1.0, "stages": [stage]}))
    row = next(line for line in run(tmp_path).splitlines() if line.startswith("| iris |"))
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    assert cells == ["iris", "0", "ours", "not reached in 9", "–", "1.200 / 1.900", "5", "–", "–"]
