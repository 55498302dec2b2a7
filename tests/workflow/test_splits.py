"""Datasets on several splits, and a time series, through the whole workflow."""

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bnn.data.dataset import Dataset
from tests.workflow.project import MONTHS, SHARED, Project, copy_of_the_config


def read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def test_each_split_is_a_run_of_its_own_and_their_means_are_taken(finished: Project) -> None:
    rows = [set(Dataset.load(finished.result(f"twice.{i}", "data.nc")).row_test.tolist()) for i in range(2)]
    assert rows[0] != rows[1]
    found = read(finished.result("twice", "repeats.json"))
    scores = [read(finished.result(f"twice.{i}", "metrics.json"))["models"]["bnn"]["test"] for i in range(2)]
    for name in ("nll", "accuracy", "auroc"):
        values = [score[name]["value"] for score in scores]
        assert found["models"]["bnn"][name]["value"] == pytest.approx(np.mean(values))
        assert found["models"]["bnn"][name]["se"] == pytest.approx(abs(values[0] - values[1]) / 2)
    page = finished.result("report.html").read_text(encoding="utf-8")
    assert "Means over splits, test rows" in page
    assert all(f'href="twice.{i}/report.html"' in page for i in range(2))


def test_one_split_more_runs_that_split_alone(own: Project) -> None:
    config = copy_of_the_config(SHARED)
    config["datasets"] = {"twice": config["datasets"]["twice"]}
    own.configure(config)
    assert own.jobs_to_run() == set()
    config["datasets"]["twice"]["repeats"] = 3
    own.configure(config)
    jobs = own.jobs_to_run()
    assert "Taking means over the splits of twice" in jobs
    assert {job for job in jobs if "twice.2" not in job} == {"Taking means over the splits of twice"}


def test_the_config_in_the_page_of_a_split_runs_it_again(finished: Project) -> None:
    page = finished.result("twice.1", "report.html").read_text(encoding="utf-8")
    assert "seed: 43" in page, "of the second split"
    assert "repeats: 1" in page
    assert "snakemake --cores all results/twice/report.html" in page, "no name of a dataset has a point"


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
