"""ArviZ 0.23 and 1 say the same, and what they say is what NumPy says."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bnn.checks.psis import leave_one_out
from bnn.diagnostics import mixing
from bnn.posterior import arviz_versions
from bnn.posterior.posterior_file import PosteriorFile
from tests.unit.synthetic_chains import combined, independent_theta, layout_of, make_dataset, write_chains

ROOT = Path(__file__).parents[2]
OTHER = os.environ.get("BNN_OTHER_ARVIZ")
"""A Python that has the other version of ArviZ: `make test-arviz` makes one."""


def chains(n_chains: int, n_draws: int, n_quantities: int = 4, seed: int = 0) -> np.ndarray:
    """Return draws that are more and more correlated with the number of the quantity."""
    white = np.random.default_rng(seed).standard_normal((n_chains, n_draws, n_quantities))
    return np.asarray(np.cumsum(white, axis=1) * np.linspace(0, 0.1, n_quantities) + white[:, ::-1])


def repeated(draws: np.ndarray) -> np.ndarray:
    """Return draws of chains that reject every other proposal."""
    return np.repeat(draws[:, ::2], 2, axis=1)


DRAWS = {
    "four chains": chains(4, 300),
    "chains of an odd length": chains(3, 147),
    "a quantile on a draw": chains(1, 2001),
    "rejections": repeated(chains(4, 300)),
    "few draws": chains(2, 4),
    "one stuck chain": np.where(np.arange(4)[:, None, None] == 2, 1.5, chains(4, 200)),
    "two values": np.sign(chains(4, 300)),
    "far from zero": 1e9 + chains(4, 300),
}


@pytest.mark.filterwarnings("ignore:(invalid value|divide by zero):RuntimeWarning")
@pytest.mark.parametrize("name", DRAWS)
def test_figures_are_those_of_numpy(name: str) -> None:
    draws = DRAWS[name]
    for figure in ("ess_bulk", "ess_tail", "mcse_mean", *(["rhat"] if len(draws) > 1 else [])):
        found = getattr(arviz_versions, figure)(draws)
        np.testing.assert_allclose(found, getattr(mixing, figure)(draws), rtol=1e-9, err_msg=figure)
    both = mixing.rhat_and_ess_bulk(draws)
    np.testing.assert_array_equal(both, (mixing.rhat(draws), mixing.ess_bulk(draws)))


def test_the_error_of_a_mean_far_from_zero_is_that_of_the_mean_near_it() -> None:
    near = arviz_versions.mcse_mean(chains(4, 300))
    np.testing.assert_allclose(arviz_versions.mcse_mean(1e9 + chains(4, 300)), near, rtol=1e-6)


@pytest.fixture(scope="module", params=["classification", "regression"])
def folder(request: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with draws.npz and posterior.nc."""
    folder = tmp_path_factory.mktemp("both")
    np.savez(folder / "draws.npz", allow_pickle=False, **DRAWS)
    dataset = make_dataset(request.param, n_train=30)
    theta = 0.2 * independent_theta(dataset, n_chains=4, n_draws=250)
    combined(dataset, write_chains(folder, theta, layout_of(dataset)))
    (folder / "part").mkdir()
    combined(dataset, write_chains(folder / "part", theta, layout_of(dataset)), keep="predictions")
    (folder / "part/posterior.nc").rename(folder / "predictions.nc")
    return folder


def said_by(python: str, folder: Path) -> dict[str, Any]:
    command = [python, "-m", "tests.unit.arviz_figures", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))


@pytest.mark.slow
def test_arviz_reads_and_judges_the_file(folder: Path) -> None:
    said = said_by(sys.executable, folder)["said"]
    stored = PosteriorFile(folder / "posterior.nc")
    elpd = leave_one_out(stored["log_likelihood"]["y"]).elpd.sum()
    assert [said["loo"], said["loo without weights"]] == pytest.approx([elpd, elpd], abs=1e-3)
    assert said["summary without weights"] == pytest.approx(stored["sample_stats"]["lp"].values.mean())
    weight = stored["posterior"]["weight_0"].values.mean(axis=(0, 1))
    assert said["summary"]["weight_0[length, 1]"] == pytest.approx(weight[0, 1])
    assert said["in memory"]["log_likelihood"]["y"] == pytest.approx(
        stored["log_likelihood"]["y"].values.sum()
    )


@pytest.mark.skipif(OTHER is None, reason="there is one version of ArviZ: make test-arviz")
def test_both_versions_say_the_same(folder: Path) -> None:
    assert OTHER is not None
    here, there = said_by(sys.executable, folder), said_by(OTHER, folder)
    assert {here["kind"], there["kind"]} == {"InferenceData", "DataTree"}
    for name, expected in here["said"].items():
        found = there["said"][name]
        if " of " in name:
            np.testing.assert_allclose(found, expected, rtol=1e-9, err_msg=name)
        elif name == "groups":
            assert found == expected
        elif name.startswith("loo"):
            assert found == pytest.approx(expected, abs=1e-3)
        elif name.startswith("summary"):
            assert found == pytest.approx(expected)
        else:
            assert found.keys() == expected.keys()
            for group, sums in expected.items():
                assert found[group] == pytest.approx(sums, nan_ok=True), group
