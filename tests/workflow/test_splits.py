"""Datasets on several splits, and a time series, through the whole workflow."""

import csv
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bnn.data.dataset import Dataset
from tests.workflow.test_workflow import TINY, Project

MONTHS = [f"{1950 + i // 12}-{1 + i % 12:02d}" for i in range(120)]
SERIES = "month,level\n" + "".join(f"{month},{math.sin(i / 6):.4f}\n" for i, month in enumerate(MONTHS))


def config(repeats: int) -> dict[str, Any]:
    series = {"lags": 4, "horizon": 3, "time": "month"}
    source = {"kind": "csv", "path": "mine.csv", "target": "level"}
    return TINY | {
        "datasets": {
            "iris": {**TINY["datasets"]["iris"], "repeats": repeats},
            "wave": {"task": "timeseries", "source": source, "series": series},
        }
    }


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Project:
    project = Project(tmp_path_factory.mktemp("splits"))
    (project.run_folder / "mine.csv").write_text(SERIES, encoding="utf-8")
    project.configure(config(2))
    done = project.snakemake()
    assert done.returncode == 0, done.stdout + done.stderr
    return project


def read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def test_each_split_is_a_run_of_its_own_and_their_means_are_taken(finished: Project) -> None:
    rows = [set(Dataset.load(finished.result(f"iris.{i}", "data.nc")).row_test.tolist()) for i in range(2)]
    assert rows[0] != rows[1]
    found = read(finished.result("iris", "repeats.json"))
    scores = [read(finished.result(f"iris.{i}", "metrics.json"))["models"]["bnn"]["test"] for i in range(2)]
    for name in ("nll", "accuracy", "auroc"):
        values = [score[name]["value"] for score in scores]
        assert found["models"]["bnn"][name]["value"] == pytest.approx(np.mean(values))
        assert found["models"]["bnn"][name]["se"] == pytest.approx(abs(values[0] - values[1]) / 2)
    page = finished.result("report.html").read_text(encoding="utf-8")
    assert "Means over splits, test rows" in page
    assert all(f'href="iris.{i}/report.html"' in page for i in range(2))


def test_one_split_more_runs_that_split_alone(finished: Project) -> None:
    assert finished.jobs_to_run() == set()
    finished.configure(config(3))
    try:
        jobs = finished.jobs_to_run()
    finally:
        finished.configure(config(2))
    assert "Taking means over the splits of iris" in jobs
    assert {job for job in jobs if "iris.2" not in job} == {"Taking means over the splits of iris"}


def test_the_config_in_the_page_of_a_split_runs_it_again(finished: Project) -> None:
    page = finished.result("iris.1", "report.html").read_text(encoding="utf-8")
    assert "seed: 43" in page, "of the second split"
    assert "repeats: 1" in page
    assert "snakemake --cores all results/iris/report.html" in page, "no name of a dataset has a point"


def test_a_time_series_is_forecast_and_drawn_along_time(finished: Project) -> None:
    dataset = Dataset.load(finished.result("wave", "data.nc"))
    assert dataset.feature_names == ("lag_1", "lag_2", "lag_3", "lag_4")
    with finished.result("wave", "predictions.csv").open(encoding="utf-8") as file:
        lines = list(csv.DictReader(file))
    assert [line["time"][:7] for line in lines] == [MONTHS[int(line["row"]) - 2] for line in lines]
    assert lines[-1]["row"] == "121", "the last line of the file, whose header is line 1"
    assert finished.result("wave", "figures", "along_time.svg").is_file()
    page = finished.result("wave", "report.html").read_text(encoding="utf-8")
    assert 'id="figure-along_time"' in page
    assert "Predicts level, 3 steps ahead of the last value that is known," in page
    assert "the test rows after the training rows in time" in page
