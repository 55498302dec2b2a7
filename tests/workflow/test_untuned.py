"""What `benchmarks/untuned.py` reads of a run."""

import json

import pytest

from benchmarks.scoring import means_of_rows, workflow_rows
from tests.workflow.project import SHARED, Project

pytestmark = pytest.mark.slow


def test_scores_are_those_of_the_report(finished: Project) -> None:
    for dataset in SHARED["datasets"]:
        folder = finished.result(dataset)
        shown = json.loads((folder / "metrics.json").read_text())["models"]
        for model, rows in workflow_rows(folder).items():
            for name, value in means_of_rows(rows).items():
                score = "coverage_90" if name == "coverage" else name
                assert value == pytest.approx(shown[model]["test"][score]["value"])
