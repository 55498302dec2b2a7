"""Tables and priors at the limits, from the file to the draws: finite draws, or one error that says what to do."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bnn.core.progress import Silent
from bnn.core.settings import BlockPriorSettings, ChainSettings
from bnn.core.storage import read_netcdf
from bnn.data.dataset import Dataset
from bnn.data.preparation import prepare
from bnn.jobs.chain_job import ChainJob, run_job
from bnn.jobs.interruption import Interruption
from tests.refusals import refused
from tests.unit.synthetic_chains import LIKELIHOOD, NETWORK
from tests.unit.test_chain_job import PRIOR, SAMPLER


@pytest.fixture
def rng() -> np.random.Generator:
    """The same numbers for each test, whichever ran before it."""
    return np.random.default_rng(0)


def table(folder: Path, x: np.ndarray, y: np.ndarray, task: Any = "regression") -> Dataset:
    """Return the table as it comes out of a CSV file."""
    header = ",".join([*(f"x{index}" for index in range(x.shape[1])), "y"])
    rows = [
        ",".join(repr(float(value)) for value in row) + f",{target}" for row, target in zip(x, y, strict=True)
    ]
    path = folder / "table.csv"
    path.write_text("\n".join([header, *rows, ""]))
    source = {"kind": "csv", "path": str(path), "test": None, "target": "y", "target_unit": ""}
    split = {"method": "random", "test_size": 0.25, "stratify": True, "seed": 1}
    return prepare("toy", task=task, source=source, split=split)


def draws(folder: Path, dataset: Dataset, **changes: Any) -> dict[str, np.ndarray]:
    """Return what a chain keeps."""
    settings = ChainSettings(NETWORK, PRIOR, LIKELIHOOD, seed=1, sampler=replace(SAMPLER, warmup=100))
    job = ChainJob(
        dataset.name,
        dataset.x_train,
        dataset.y_train,
        dataset.n_classes,
        (2,),
        replace(settings, **changes),
        folder / "chain.nc",
        folder / "state",
        30.0,
    )
    run_job(job, lambda total: Silent(), Interruption())
    return read_netcdf(job.path)[0]


def assert_it_moves(found: dict[str, np.ndarray]) -> None:
    assert np.isfinite(found["theta"]).all() and np.isfinite(found["log_density"]).all()
    assert len(np.unique(found["log_density"])) > 1


@pytest.mark.parametrize("size", [1e-90, 1e90])
def test_features_of_any_size_are_standardised(tmp_path, size, rng):
    x = rng.standard_normal((40, 3)) * size
    assert_it_moves(draws(tmp_path, table(tmp_path, x, rng.standard_normal(40) * size)))


@pytest.mark.slow
def test_one_value_a_million_times_the_others(tmp_path, rng):
    x = rng.standard_normal((40, 3))
    x[3, 1] = 1e6
    assert_it_moves(draws(tmp_path, table(tmp_path, x, x[:, 0])))


@pytest.mark.parametrize("task", ["regression", "classification"])
def test_more_parameters_than_rows(tmp_path, task, rng):
    y = np.arange(12) % 2
    dataset = table(tmp_path, rng.standard_normal((12, 30)), y, task)
    found = draws(tmp_path, dataset, network=replace(NETWORK, hidden=(20,)))
    assert found["theta"].shape[2] > 40 * len(dataset.y_train)
    assert_it_moves(found)


@pytest.mark.parametrize(
    ("n_rows", "y", "task"),
    [
        (1, [1.0], "regression"),
        (20, [3.0], "regression"),
        (20, ["a"], "classification"),
    ],
    ids=["one row", "constant target", "one class"],
)
def test_what_cannot_be_learned_from_is_refused(tmp_path, n_rows, y, task, rng):
    with refused("target-constant", file="table.csv", column="y"):
        table(tmp_path, rng.standard_normal((n_rows, 2)), np.array(y * n_rows, dtype=object), task)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_file_of_a_table_that_is_not_finite_is_refused(tmp_path, value, rng):
    dataset = table(tmp_path, rng.standard_normal((40, 2)), rng.standard_normal(40))
    dataset.x_train[4, 1] = value
    dataset.save(tmp_path / "data.nc")
    with pytest.raises(ValueError, match=r"'toy'.*x_train"):
        Dataset.load(tmp_path / "data.nc")


def test_a_prior_beyond_all_numbers_is_an_error_that_names_the_chain(tmp_path, rng):
    dataset = table(tmp_path, rng.standard_normal((40, 2)), rng.standard_normal(40))
    wild = replace(PRIOR, weights=BlockPriorSettings("normal", 1e200, 4.0))
    with pytest.raises(FloatingPointError, match="chain 2"):
        draws(tmp_path, dataset, prior=wild)


def test_proposals_that_overflow_are_counted_and_the_chain_goes_on(tmp_path, rng):
    """Steps far too long for the posterior: nearly all proposals land where the density overflows."""
    dataset = table(tmp_path, rng.standard_normal((40, 2)), rng.standard_normal(40))
    sampler = replace(
        SAMPLER,
        kernel="random_walk",
        warmup=1,
        target_acceptance=1e-6,
        draws=20,
        explore=0,
    )
    precise = replace(LIKELIHOOD, noise=5e-154)
    found = draws(tmp_path, dataset, sampler=sampler, likelihood=precise)
    assert np.isfinite(found["theta"]).all()
    assert found["diverging"].sum() > 0
