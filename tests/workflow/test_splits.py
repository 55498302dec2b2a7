"""Datasets on several splits, a time series, amounts that are often 0 and counts, through the whole workflow."""

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray

from bnn.data.dataset import Dataset
from tests.made_once import made_once
from tests.workflow.project import (
    AMOUNTS,
    CLAIMS,
    MONTHS,
    NEW_CLAIMS,
    PAIRS,
    SERIES,
    SPLITS,
    Project,
    copy_of_the_config,
)

pytestmark = pytest.mark.slow


@pytest.fixture(scope="session")
def splits(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A finished run of its own: three times all jobs are more than the quick tests have time for."""
    return Project(made_once(tmp_path_factory, "splits", _run_splits))


def _run_splits(folder: Path) -> None:
    project = Project.new(folder, SPLITS)
    (folder / "wave.csv").write_text(SERIES, encoding="utf-8")
    (folder / "pairs.csv").write_text(PAIRS, encoding="utf-8")
    (folder / "amounts.csv").write_text(AMOUNTS, encoding="utf-8")
    (folder / "claims.csv").write_text(CLAIMS, encoding="utf-8")
    (folder / "new.csv").write_text(NEW_CLAIMS, encoding="utf-8")
    project.finish()


def read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def test_each_split_is_a_run_of_its_own_and_their_means_are_taken(splits: Project) -> None:
    rows = [set(Dataset.load(splits.result(f"twice.{i}", "data.nc")).row_test.tolist()) for i in range(2)]
    assert rows[0] != rows[1]
    found = read(splits.result("twice", "repeats.json"))
    scores = [read(splits.result(f"twice.{i}", "metrics.json"))["models"]["bnn"]["test"] for i in range(2)]
    for name in ("nll", "accuracy", "auroc"):
        values = [score[name]["value"] for score in scores]
        assert found["models"]["bnn"][name]["value"] == pytest.approx(np.mean(values))
        assert found["models"]["bnn"][name]["se"] == pytest.approx(abs(values[0] - values[1]) / 2)
    page = splits.result("report.html").read_text(encoding="utf-8")
    assert "Means over splits, test rows" in page
    assert all(f'href="twice.{i}/report.html"' in page for i in range(2))


def test_one_split_more_runs_that_split_alone(splits: Project) -> None:
    config = copy_of_the_config(SPLITS)
    assert splits.jobs_to_run() == set()
    config["datasets"]["twice"]["repeats"] = 3
    splits.configure(config)
    try:
        jobs = splits.jobs_to_run()
    finally:
        splits.configure(SPLITS)
    assert "Taking means over the splits of twice" in jobs
    assert {job for job in jobs if "twice.2" not in job} == {"Taking means over the splits of twice"}


def test_the_config_in_the_page_of_a_split_runs_it_again(splits: Project) -> None:
    page = splits.result("twice.1", "report.html").read_text(encoding="utf-8")
    assert "seed: 43" in page, "of the second split"
    assert "repeats: 1" in page
    assert "snakemake --cores all results/twice/report.html" in page, "no name of a dataset has a point"


def test_a_time_series_is_forecast_and_drawn_along_time(splits: Project) -> None:
    dataset = Dataset.load(splits.result("wave", "data.nc"))
    assert dataset.feature_names == ("lag_1", "lag_2", "lag_3", "lag_4")
    with splits.result("wave", "predictions.csv").open(encoding="utf-8") as file:
        lines = list(csv.DictReader(file))
    assert [line["time"][:7] for line in lines] == [MONTHS[int(line["row"]) - 2] for line in lines]
    assert lines[-1]["row"] == "121", "the last line of the file, whose header is line 1"
    assert all(
        float(line["bnn_lower_90_conformal"]) < float(line["bnn_upper_90_conformal"]) for line in lines
    )
    calibrated = read(splits.result("wave", "metrics.json"))["conformal"]["levels"]
    assert [one["level"] for one in calibrated] == [0.5, 0.9, 0.95]
    scores = read(splits.result("wave", "conformal.json"))["scores"]
    assert len(scores) == len(dataset.y_train) and None not in scores
    assert splits.result("wave", "figures", "along_time.svg").is_file()
    page = splits.result("wave", "report.html").read_text(encoding="utf-8")
    assert 'id="figure-along_time"' in page
    assert "Predicts level, 3 steps ahead of the last value that is known," in page
    assert "the test rows after the training rows in time" in page


def test_amounts_that_are_often_0_are_predicted_in_their_range(splits: Project) -> None:
    with splits.result("amounts", "predictions.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    for model in ("bnn", "baseline", "ensemble", "linear"):
        assert all(0 <= float(row[f"{model}_lower_90"]) <= float(row[f"{model}_upper_90"]) for row in rows)
        assert all(np.isfinite(float(row[f"{model}_nll"])) for row in rows)
    assert all(0 <= float(row["boosting_lower_95"]) <= float(row["boosting_upper_95"]) for row in rows)
    assert not {"boosting_nll", "boosting_sd"} & rows[0].keys(), "quantiles have no density"
    assert "zero or log-normal (hurdle)" in splits.result("amounts", "report.html").read_text(
        encoding="utf-8"
    )


def test_counts_are_in_proportion_to_their_exposure(splits: Project) -> None:
    with splits.result("claims", "predictions", "new.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    means = [float(row["mean"]) for row in rows]
    assert means == pytest.approx([means[0], 2 * means[0], 50 * means[0]])
    assert {row["outside_range"] for row in rows} == {""}
    weights = xarray.open_dataset(splits.result("claims", "posterior.nc"), group="posterior")["weight_0"]
    assert weights["input"].values.tolist() == ["a", "b"], "what is in proportion has no weight"
    page = splits.result("claims", "report.html").read_text(encoding="utf-8")
    assert "Predicts claims from 2 features" in page
    assert "the expected count is in proportion to it" in page
