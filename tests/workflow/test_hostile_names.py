"""Names that a user brings (columns, classes, units, files) are data: none becomes a path, a command or markup."""

import csv
import html
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from bnn.core.storage import read_json
from bnn.data.dataset import Dataset

ROOT = Path(__file__).parents[2]
TARGET = "../../../up"
FEATURES = [
    "<script>alert(1)</script>",
    "/etc/passwd",
    "$(touch pwned)",
    "`touch pwned`; touch pwned",
    "{dataset}",
    "{{ 7 * 7 }}",
]
FEATURES += ['" onload="alert(1)', "größe % μ", "a" * 500, "%s %d \\n", "-rf *", "名前"]
CLASSES = ["<img src=x onerror=alert(1)>", "../..", "$HOME", "'; DROP TABLE draws; --"]
TABLE = "da ta $(touch pwned) 'q' ;& %s.csv"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the whole workflow ran on a table full of such names."""
    folder = tmp_path_factory.mktemp("outer") / "inner" / "run"
    (folder / "config").mkdir(parents=True)
    with (folder / TABLE).open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow([*FEATURES, TARGET])
        for row in range(48):
            numbers = [(row * (column + 3)) % 17 + column for column in range(len(FEATURES))]
            writer.writerow([*numbers, CLASSES[row % len(CLASSES)]])
    source = {"kind": "csv", "path": TABLE, "target": TARGET, "target_unit": "<b>kg</b>"}
    config: dict[str, Any] = {
        "network": {"hidden": [2], "engine": "numpy"},
        "baseline": {"max_epochs": 5},
        "sampler": {"chains": 2, "chains_per_job": 2, "warmup": 20, "draws": 20, "optimise_steps": 5},
        "datasets": {"mine": {"task": "classification", "source": source}},
    }
    (folder / "config" / "config.yaml").write_text(
        yaml.safe_dump(config, allow_unicode=True), encoding="utf-8"
    )
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile"), "--cores", "2"]
    done = subprocess.run(
        [*command, "--directory", str(folder)],
        capture_output=True,
        text=True,
        timeout=300,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def test_nothing_is_written_beside_the_results(run: Path) -> None:
    assert {path.name for path in run.iterdir()} == {"config", "results", ".snakemake", TABLE}
    assert [path.name for path in run.parent.iterdir()] == ["run"]
    assert [path.name for path in run.parents[1].iterdir()] == ["inner"]
    assert not list(run.rglob("pwned*"))
    # Names of files come from the workflow alone.
    for path in (run / "results").rglob("*"):
        assert path.name.isascii() and len(path.name) < 100 and not set(path.name) & set("<>$`'\"{};& "), path


def test_names_come_through_as_they_are(run: Path) -> None:
    dataset = Dataset.load(run / "results" / "mine" / "data.nc")
    assert dataset.feature_names == tuple(FEATURES)
    assert dataset.class_names == tuple(sorted(CLASSES))
    assert (dataset.target_name, dataset.target_unit) == (TARGET, "<b>kg</b>")
    with (run / "results" / "mine" / "predictions.csv").open(encoding="utf-8", newline="") as file:
        header, *rows = csv.reader(file)
    assert rows and {len(row) for row in rows} == {len(header)}


def test_pages_show_names_as_text(run: Path) -> None:
    """As the page is written; what a browser makes of it is tested with the report."""
    for page in (run / "results").rglob("*.html"):
        text = page.read_text(encoding="utf-8")
        for name in [*FEATURES, *CLASSES, TARGET, "<b>kg</b>"]:
            if html.escape(name) != name:
                assert name not in text, f"{page.name} holds {name} as it is"
        assert "49" not in text or "{{ 7 * 7 }}" in text or "7 * 7" not in text
    text = (run / "results" / "mine" / "report.html").read_text(encoding="utf-8")
    assert html.escape(CLASSES[0]) in text or "&lt;img" in text


def test_json_is_json(run: Path) -> None:
    for path in (run / "results").rglob("*.json"):
        assert isinstance(read_json(path), dict)
        words: list[str] = []
        json.loads(path.read_text(encoding="utf-8"), parse_constant=words.append)
        assert not words, f"{path}: {words}"
