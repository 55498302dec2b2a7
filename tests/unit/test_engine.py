"""Which engine a chain runs on: settled once, kept with its draws, and never mixed."""

import importlib.util
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bnn.core.errors import ResultError
from bnn.core.seeding import Stream, chain_rng
from bnn.core.settings import NetworkSettings
from bnn.core.storage import read_attributes
from bnn.jobs.chain_job import ChainJob
from bnn.jobs.identity import stored_identity
from bnn.model.network import resolve_engine
from bnn.posterior.inference_data import combine
from tests.refusals import refused
from tests.unit.synthetic_chains import LIKELIHOOD, NETWORK, layout_of, make_dataset, write_chains
from tests.unit.test_chain_job import make_job, run

AUTO = replace(NETWORK, precision="auto", engine="auto")


@pytest.fixture(params=["with Numba", "without Numba"])
def has_numba(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    there = request.param == "with Numba"
    set_numba(monkeypatch, there)
    return there


def set_numba(monkeypatch: pytest.MonkeyPatch, there: bool) -> None:
    """Make Numba seem to be installed, or not to be."""
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: object() if there else None)


@pytest.mark.parametrize(
    ("engine", "precision", "with_numba", "without"),
    [
        ("auto", "auto", ("numba", "float32"), ("numpy", "float64")),
        ("auto", "float32", ("numba", "float32"), ("numpy", "float32")),
        ("auto", "float64", ("numpy", "float64"), ("numpy", "float64")),
        ("numpy", "auto", ("numpy", "float64"), ("numpy", "float64")),
        ("numba", "auto", ("numba", "float32"), ("numba", "float32")),
        ("numba", "float64", ("numba", "float64"), ("numba", "float64")),
    ],
)
def test_what_auto_stands_for(
    has_numba: bool, engine: str, precision: str, with_numba: tuple[str, str], without: tuple[str, str]
) -> None:
    found = resolve_engine(replace(NETWORK, engine=engine, precision=precision))
    assert (found.engine, found.precision) == (with_numba if has_numba else without)


def with_network(job: ChainJob, network: NetworkSettings) -> ChainJob:
    return replace(job, settings=replace(job.settings, network=network))


def engine_of(path: Path) -> tuple[Any, Any]:
    attributes = read_attributes(path)
    return attributes["engine"], attributes["precision"]


def test_what_ran_is_written_down_and_gone_on_with(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A chain that NumPy began goes on with NumPy where Numba is, too, and is that of a config that says so."""
    set_numba(monkeypatch, False)
    job = with_network(make_job(tmp_path, draws=6), AUTO)
    run(job)
    assert engine_of(job.path) == ("numpy", "float64")
    set_numba(monkeypatch, True)
    longer = with_network(make_job(tmp_path, draws=8), AUTO)
    run(longer)
    assert engine_of(job.path) == ("numpy", "float64")
    kept = stored_identity(job.folder / "checkpoint")
    run(with_network(make_job(tmp_path, draws=8), NETWORK))
    assert stored_identity(job.folder / "checkpoint") == kept
    assert not list(job.folder.glob("*.refused"))


def test_draws_of_numba_need_numba(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("numba", reason="Numba is not installed")
    job = with_network(make_job(tmp_path, draws=3), AUTO)
    run(job)
    assert engine_of(job.path) == ("numba", "float32")
    set_numba(monkeypatch, False)
    with pytest.raises(ModuleNotFoundError, match="Numba"):
        run(with_network(make_job(tmp_path, draws=8), AUTO))
    # Another config, of which there are no draws, does without.
    other = with_network(make_job(tmp_path, draws=3, thin=1), AUTO)
    run(other)
    assert engine_of(other.path) == ("numpy", "float64")


def test_chains_of_two_engines_are_not_put_together(tmp_path: Path) -> None:
    dataset = make_dataset("regression")
    layout = layout_of(dataset)
    theta = np.zeros((2, 4, layout.n_params))
    paths = write_chains(tmp_path, theta, layout, changes={1: {"engine": "numba", "precision": "float32"}})
    with refused("chains-disagree", kind=ResultError, file=paths[1].name, key="engine"):
        combine(
            tmp_path / "posterior.nc",
            dataset,
            paths,
            network=AUTO,
            likelihood=LIKELIHOOD,
            keep="both",
            rng=chain_rng(1, Stream.PREDICTIVE),
        )
