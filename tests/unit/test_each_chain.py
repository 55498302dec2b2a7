"""The verdict LOCAL: chains that have each converged in a mode of their own, and chains that only look so."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from bnn.config.loading import load
from bnn.diagnostics import remedies
from bnn.diagnostics.each_chain import each_chain, nested_rhat
from bnn.diagnostics.verdict import is_local

N_CHAINS, N_DRAWS, N_ROWS = 8, 400, 6


def chains(n_chains: int = N_CHAINS, *, apart: float = 5.0, seed: int = 0) -> np.ndarray:
    """Return predictions (chain, draw, obs): independent draws about a place of each chain."""
    rng = np.random.default_rng(seed)
    places = apart * rng.normal(size=(n_chains, 1, N_ROWS))
    return places + rng.normal(size=(n_chains, N_DRAWS, N_ROWS))


def found(mean: np.ndarray, log_density: np.ndarray | None = None) -> dict[str, Any]:
    lp = SimpleNamespace(values=np.random.default_rng(1).normal(size=mean.shape[:2]))
    group = {"mean": mean, "log_density_y": np.zeros_like(mean) if log_density is None else log_density}
    idata: Any = {"predictions": group, "sample_stats": {"lp": lp}}
    return {"adjusted": True, "each_chain": each_chain(idata, "test")}


def test_chains_that_each_converged_are_local() -> None:
    summary = found(chains())
    assert is_local(summary)
    assert summary["each_chain"]["between_share"] > 0.8
    assert summary["each_chain"]["nested_rhat_max"] > 1.05
    assert found(chains(apart=0.0))["each_chain"]["between_share"] < 0.01


def drifting(mean: np.ndarray) -> np.ndarray:
    mean[3] += np.linspace(0, 3, N_DRAWS)[:, None]
    return mean


def stuck(mean: np.ndarray) -> np.ndarray:
    mean[3, 40:] = mean[3, 40]
    return mean


def half_as_long(mean: np.ndarray) -> np.ndarray:
    """Half of the draws are those of before once more: a chain that moves every eighth time."""
    mean[3] = np.repeat(mean[3, ::8], 8, axis=0)
    return mean


def not_finite(mean: np.ndarray) -> np.ndarray:
    mean[3, 7, 2] = np.nan
    return mean


def at_one_row(mean: np.ndarray) -> np.ndarray:
    mean[3, :, 2] += np.linspace(0, 3, N_DRAWS)
    return mean


@pytest.mark.parametrize("spoil", [drifting, stuck, half_as_long, not_finite, at_one_row])
def test_one_chain_that_has_not_converged_spoils_it(spoil: Any) -> None:
    assert not is_local(found(spoil(chains())))


def test_seven_chains_or_biased_draws_are_not_local() -> None:
    assert not is_local(found(chains(7)))
    assert not is_local(found(chains()) | {"adjusted": False})


def test_each_chain_has_the_score_of_its_own_mixture() -> None:
    """Densities 1 and 3 in turn mix to 2 in one chain, 6 throughout the other: 4 together; 0 has no finite score."""
    density = np.empty((2, N_DRAWS, N_ROWS))
    density[0, ::2], density[0, 1::2], density[1] = 1.0, 3.0, 6.0
    scores = found(chains(2), np.log(density))["each_chain"]
    assert np.allclose(scores["nll"], [-np.log(2), -np.log(6)])
    assert np.isclose(scores["nll_all"], -np.log(4))
    density[0, :, 1] = 0.0
    with np.errstate(divide="ignore"):
        scores = found(chains(2), np.log(density))["each_chain"]
    assert scores["nll"][0] is None
    assert np.isclose(scores["nll_all"], -(5 * np.log(4) + np.log(3)) / 6)


def test_nested_rhat_is_one_for_chains_of_one_distribution() -> None:
    """Of 1,000 quantities the largest of two groups of four chains; with 400 draws it stays below 1.02."""
    rng = np.random.default_rng(2)
    assert nested_rhat(rng.normal(size=(8, 400, 1000))).max() < 1.02
    assert np.isnan(nested_rhat(rng.normal(size=(3, 400, 2)))).all()


def test_one_chain_is_advised_to_be_as_many_as_the_default() -> None:
    iris = {"task": "classification", "source": {"kind": "sklearn", "name": "iris"}}
    default = load({"datasets": {"iris": iris}}).datasets["iris"]
    one = load({"sampler": {"chains": 1, "draws": 500}, "datasets": {"iris": iris}}).datasets["iris"]
    finding = {"level": "WARN", "name": "one_chain", "text": "…"}
    change = remedies.changes({"findings": [finding]}, one.model_dump(mode="json"))
    assert change == {"sampler": {"chains": default.sampler.chains}}
