"""Names that a user brings (columns, classes, units, files) are data: none becomes a path, a command or markup."""

import csv
import html
import json
from pathlib import Path

import pytest

from bnn.core.storage import read_json
from bnn.data.dataset import Dataset
from tests.workflow.project import CLASSES, FEATURES, HOSTILE, TARGET, Project

pytestmark = pytest.mark.slow


@pytest.fixture
def run(finished: Project) -> Path:
    """The folder in which the whole workflow ran on a table full of such names, among others."""
    return finished.run_folder


def test_nothing_is_written_beside_the_results(run: Path) -> None:
    assert {path.name for path in run.iterdir()} == {
        "config",
        "results",
        ".snakemake",
        HOSTILE,
        "mine.csv",
    }
    assert [path.name for path in run.parent.iterdir()] == ["run"]
    assert [path.name for path in run.parents[1].iterdir()] == ["inner"]
    assert not list(run.rglob("pwned*"))
    # Names of files come from the workflow alone.
    for path in (run / "results").rglob("*"):
        assert path.name.isascii() and len(path.name) < 100 and not set(path.name) & set("<>$`'\"{};& "), path


def test_names_come_through_as_they_are(run: Path) -> None:
    dataset = Dataset.load(run / "results" / "names" / "data.nc")
    assert dataset.feature_names == tuple(FEATURES)
    assert dataset.class_names == tuple(sorted(CLASSES))
    assert (dataset.target_name, dataset.target_unit) == (TARGET, "<b>kg</b>")
    with (run / "results" / "names" / "predictions.csv").open(encoding="utf-8", newline="") as file:
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
    text = (run / "results" / "names" / "report.html").read_text(encoding="utf-8")
    assert html.escape(CLASSES[0]) in text or "&lt;img" in text


def test_json_is_json(run: Path) -> None:
    for path in (run / "results").rglob("*.json"):
        assert isinstance(read_json(path), dict)
        words: list[str] = []
        json.loads(path.read_text(encoding="utf-8"), parse_constant=words.append)
        assert not words, f"{path}: {words}"
