"""Scores by which the benchmark compares models, and what it says of their differences."""

import math
from typing import Any

import numpy as np
import pytest
from scipy.special import ndtri

from benchmarks import comparison, made_targets, scoring
from bnn.core.settings import FAMILIES
from bnn.evaluation.forecasts import mixture_forecast
from bnn.evaluation.metrics import brier, nll
from bnn.posterior.mixture import GaussianMixture
from bnn.selection.families import families_of, kind_of


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(3)


def result(
    split: int, score: Any, row: Any = None, *, series: bool = False, n_train: int = 80
) -> dict[str, Any]:
    rows = {"crps": np.asarray(score, dtype=float)}
    n_test = len(rows["crps"])
    row = np.arange(n_test) + 1000 * split if row is None else row
    shared = {"split": split, "is_series": series, "n_train": n_train, "n_test": n_test}
    return {**shared, "row": row, "rows": rows}


def test_one_normal_is_scored_as_the_package_scores_it(rng: np.random.Generator) -> None:
    means, y = rng.normal(5, 3, (1, 40)), rng.normal(5, 4, 40)
    ours = scoring.forecast_rows(mixture_forecast(GaussianMixture(means, np.array([2.5])), y), y)
    rows = scoring.normal_rows(means, np.full((1, 40), 2.5), y, rng)
    assert rows.keys() == ours.keys()
    for name, values in rows.items():
        np.testing.assert_allclose(values, ours[name], rtol=1e-9, err_msg=name)
    assert 0 < rows["covered"].mean() < 1


def test_many_normals_are_scored_as_the_package_scores_them(rng: np.random.Generator) -> None:
    means, y = rng.normal(0, 2, (7, 30)), rng.normal(0, 3, 30)
    scales = rng.uniform(0.2, 2, 7)
    ours = scoring.forecast_rows(mixture_forecast(GaussianMixture(means, scales), y), y)
    rows = scoring.normal_rows(means, np.repeat(scales[:, None], 30, axis=1), y, rng)
    np.testing.assert_allclose(rows["nll"], ours["nll"], rtol=1e-9)
    np.testing.assert_allclose(rows["error"], ours["error"], rtol=1e-9)
    np.testing.assert_allclose(rows["crps"], ours["crps"], rtol=2e-3)
    np.testing.assert_array_equal(rows["covered"], ours["covered"])


def test_a_scale_belongs_to_its_row(rng: np.random.Generator) -> None:
    y, scales = np.array([1.0, 1.0]), np.array([[0.1, 10.0]])
    rows = scoring.normal_rows(np.zeros((1, 2)), scales, y, rng)
    assert rows["covered"].tolist() == [0, 1]
    both = scoring.normal_rows(np.zeros((2, 2)), np.repeat(scales, 2, axis=0), y, rng)
    np.testing.assert_allclose(both["crps"], rows["crps"], rtol=2e-3)
    assert both["covered"].tolist() == [0, 1]


@pytest.mark.parametrize("shift", [0.0, 0.7, 1.5])
def test_quantiles_of_a_normal_give_nearly_its_crps(rng: np.random.Generator, shift: float) -> None:
    y = ndtri((np.arange(4000) + 0.5) / 4000) + shift
    quantiles = np.repeat(5 + 3 * ndtri(scoring.QUANTILES)[:, None], len(y), axis=1)
    y, mean, scale = 5 + 3 * y, np.full(len(y), 5.0), np.full((1, len(y)), 3.0)
    rows, exact = scoring.quantile_rows(quantiles, mean, y), scoring.normal_rows(mean[None], scale, y, rng)
    # Levels beyond 0.05 and 0.95 are not predicted: where they matter a little is lost.
    assert rows["crps"].mean() == pytest.approx(exact["crps"].mean(), rel=2e-3 if shift == 0 else 0.03)
    np.testing.assert_array_equal(rows["covered"], exact["covered"])
    assert "nll" not in rows


def test_quantiles_that_cross_are_sorted(rng: np.random.Generator) -> None:
    quantiles, y = rng.normal(size=(19, 5)), rng.normal(size=5)
    rows = scoring.quantile_rows(quantiles, np.zeros(5), y)
    ordered = scoring.quantile_rows(np.sort(quantiles, axis=0), np.zeros(5), y)
    np.testing.assert_array_equal(rows["crps"], ordered["crps"])


def test_classes_are_scored_as_the_package_scores_them(rng: np.random.Generator) -> None:
    probability, y = rng.dirichlet(np.ones(4), 50), rng.integers(0, 4, 50)
    rows = scoring.class_rows(probability, y)
    assert rows["nll"].mean() == pytest.approx(nll(probability, y))
    assert rows["brier"].mean() == pytest.approx(brier(probability, y))
    assert scoring.means_of_rows(rows)["accuracy"] == np.mean(probability.argmax(axis=1) == y)


def test_an_interval_without_ends_covers_nothing(rng: np.random.Generator) -> None:
    rows = scoring.normal_rows(np.array([[np.nan, 0.0]]), np.ones((1, 2)), np.zeros(2), rng)
    assert math.isnan(scoring.means_of_rows(rows)["coverage"])


def test_rmse_is_of_the_mean() -> None:
    assert scoring.means_of_rows({"error": np.array([3.0, -4.0])}) == {"rmse": pytest.approx(math.sqrt(12.5))}


def test_error_of_one_split_is_that_of_a_mean_over_rows(rng: np.random.Generator) -> None:
    a, b = rng.normal(size=(2, 50))
    found = comparison.paired([result(0, a)], [result(0, b)], "crps")
    assert found.value == pytest.approx(np.mean(a - b))
    assert found.se == pytest.approx(np.std(a - b, ddof=1) / math.sqrt(50))


def test_rows_that_come_again_count_once(rng: np.random.Generator) -> None:
    a, b = rng.normal(size=(2, 50))
    same = [np.arange(50)] * 3
    once = comparison.paired([result(0, a)], [result(0, b)], "crps")
    thrice = comparison.paired(
        [result(i, a, row) for i, row in enumerate(same)],
        [result(i, b, row) for i, row in enumerate(same)],
        "crps",
    )
    assert thrice == pytest.approx(once)


def test_error_grows_with_what_differs_between_splits() -> None:
    a = [result(split, np.full(20, float(split))) for split in range(3)]
    b = [result(split, np.zeros(20)) for split in range(3)]
    found = comparison.paired(a, b, "crps")
    assert found == pytest.approx((1.0, math.sqrt(1 / 3 + 20 / 80)))


def test_neighbours_of_a_series_are_no_independent_rows(rng: np.random.Generator) -> None:
    # A walk in time, its rows stored in another order.
    walk, order = np.cumsum(rng.normal(size=400)), rng.permutation(400)
    zero = np.zeros(400)
    table = comparison.paired([result(0, walk[order], order)], [result(0, zero, order)], "crps")
    series = comparison.paired(
        [result(0, walk[order], order, series=True)], [result(0, zero, order, series=True)], "crps"
    )
    assert series.value == pytest.approx(table.value)
    assert series.se > 3 * table.se


def test_only_splits_of_both_are_compared() -> None:
    a = [result(0, [1.0, 2.0]), result(1, [50.0, 60.0])]
    b = [result(0, [0.0, 0.0]), result(2, [0.0, 0.0])]
    assert comparison.paired(a, b, "crps").value == pytest.approx(1.5)
    assert math.isnan(comparison.paired(a[1:], b, "crps").value)


def test_the_best_is_found_on_shared_rows(rng: np.random.Generator) -> None:
    hard = rng.normal(10, 1, 200)
    whole = [result(0, hard - 9), result(1, hard)]
    # It ran on the easy split alone, where it is worse; by means of its own splits it would win.
    partly = [result(0, hard - 9 + rng.normal(0.5, 0.1, 200))]
    noisy = [result(split, one["rows"]["crps"] + rng.normal(0.01, 1, 200)) for split, one in enumerate(whole)]
    found = comparison.standing({"partly": partly, "whole": whole, "noisy": noisy}, "crps")
    assert found["whole"] == comparison.Difference(0, 0)
    assert found["partly"].value == pytest.approx(0.5, abs=0.05)
    assert {name: comparison.is_told_apart(item) for name, item in found.items()} == {
        "whole": False,
        "partly": True,
        "noisy": False,
    }


def test_a_score_that_is_no_number_is_never_as_good() -> None:
    found = comparison.standing({"good": [result(0, [1.0, 2.0])], "bad": [result(0, [0.0, np.nan])]}, "crps")
    assert not comparison.is_told_apart(found["good"])
    assert comparison.is_told_apart(found["bad"])


def test_a_stored_null_is_no_number() -> None:
    assert np.isnan(comparison.values_of({"rows": {"nll": [None, 1.0]}}, "nll")).tolist() == [True, False]


def test_ranks_share_ties_and_put_failures_last() -> None:
    found = comparison.ranks({"a": 2.0, "b": 1.0, "c": 2.0, "d": math.nan, "e": 3.0})
    assert found == {"b": 1, "a": 2.5, "c": 2.5, "e": 4, "d": 5}


def test_geometric_mean_of_ratios() -> None:
    assert comparison.geometric_mean([0.25, 4.0, 8.0]) == pytest.approx(2.0)
    assert math.isnan(comparison.geometric_mean([]))


def stored(split: int, nll: float | None, *, seconds: float = 1.0, crps: float = 1.0) -> dict[str, Any]:
    rows = result(split, [crps, crps + 1])
    return rows | {"task": "regression", "scores": {"nll": nll}, "core_seconds": seconds}


FAILED = {"split": 1, "task": "regression", "failed": "no memory"}


def test_ranks_are_among_those_that_ran_on_the_split() -> None:
    quantiles = stored(0, None) | {"scores": {}}
    found = comparison.nll_ranks(
        {
            "a": [stored(0, 2.0), stored(1, 2.0)],
            "b": [stored(0, 1.0), FAILED],
            "c": [stored(0, None)],
            "d": [quantiles],
        }
    )
    assert found == {"a": [2, 1], "b": [1, 2], "c": [3]}


def test_a_model_that_failed_on_a_split_is_not_the_best() -> None:
    found = comparison.standings(
        {"a": [stored(0, 0, crps=2), stored(1, 0, crps=2)], "b": [stored(0, 0), FAILED]}
    )
    assert found["a"] == comparison.Difference(0, 0)
    assert comparison.is_told_apart(found["b"])
    assert comparison.is_told_apart(comparison.standings({"b": [FAILED]})["b"])


def test_costs_are_compared_within_a_split() -> None:
    fast, slow = [stored(0, 0, seconds=2), stored(1, 0, seconds=30)], [stored(0, 0, seconds=8), FAILED]
    assert comparison.ratios({"fast": fast, "slow": slow}, "fast", "slow", comparison.cost) == [0.25]
    assert comparison.ratios({"fast": fast}, "fast", "slow", comparison.cost) == []


def test_all_families_are_made() -> None:
    assert set(made_targets.KINDS) == set(FAMILIES)


@pytest.mark.parametrize("kind", made_targets.KINDS)
def test_a_made_target_can_be_of_its_family(kind: str) -> None:
    for seed in range(10):
        x, y = made_targets.table(kind, 1300, seed)
        assert x.shape == (1300, 4) and np.isfinite(y).all()
        assert kind_of(kind) in families_of(y[:300], np.empty(0))
        assert np.array_equal(y, made_targets.table(kind, 1300, seed)[1])
        assert not np.array_equal(y, made_targets.table(kind, 1300, seed + 1)[1])
