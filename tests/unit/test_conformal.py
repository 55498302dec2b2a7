"""Conformal calibration: exact ranks, coverage that holds for few rows, intervals that invert, sets never empty."""

import math
from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from scipy import stats

from bnn.core.settings import (
    BlockPriorSettings,
    LikelihoodSettings,
    ModelSettings,
    NetworkSettings,
    PriorSettings,
)
from bnn.model.targets import fit_target
from bnn.posterior.conformal import interval_scores, label_sets, limits, rank, set_scores
from bnn.posterior.predictive import intervals_of_sorted
from bnn.selection import cheap_fit, conformal
from bnn.selection.conformal import N_FOLDS, conformity_scores

FALSE_ALARMS = 1e-4
"""Probability with which each check of simulated coverage fails though all is right."""
BLOCK = BlockPriorSettings(family="normal", scale=1.0, df=4.0)
LEVELS = (Fraction(1, 2), Fraction(4, 5), Fraction(9, 10), Fraction(19, 20))


@pytest.mark.parametrize("level", LEVELS)
def test_the_rank_is_the_least_that_holds_the_level_in_exact_fractions(level: Fraction) -> None:
    for n in range(1, 400):
        found = rank(n, float(level))
        assert Fraction(found, n + 1) >= level > Fraction(found - 1, n + 1)


def test_at_nine_tenths_the_largest_of_nine_scores_is_enough() -> None:
    assert rank(9, 0.9) == 9
    assert limits(np.arange(9.0), [0.9]).tolist() == [8.0]
    assert limits(np.arange(8.0), [0.9]).tolist() == [math.inf], "of eight it is not"
    assert limits(np.arange(4.0), [0.8]).tolist() == [3.0]
    assert limits(np.empty(0), [0.5]).tolist() == [math.inf]


def usual(hits: float, n: int, level: float) -> bool:
    """Return whether so many hits of n are what a probability of `level` gives."""
    return bool(stats.binomtest(int(hits), n, level).pvalue > FALSE_ALARMS)


@pytest.mark.parametrize(("n", "level"), [(9, 0.9), (4, 0.8), (19, 0.95), (39, 0.9)])
def test_new_rows_keep_to_the_limit_as_often_as_they_should(n: int, level: float) -> None:
    """Where (n + 1) level is whole the coverage is the level itself; one rank lower is noticed."""
    n_tables, rng = 6000, np.random.default_rng(7)
    # Scores of a skewed distribution: any continuous one gives the same coverage.
    scores = rng.exponential(size=(n_tables, n + 1)) ** 2
    hits = sum(one[-1] <= limits(one[:-1], [level])[0] for one in scores)
    assert usual(hits, n_tables, level)
    one_too_low = np.sort(scores[:, :-1], axis=1)[:, rank(n, level) - 2]
    assert not usual(int((scores[:, -1] <= one_too_low).sum()), n_tables, level)


def test_intervals_calibrated_on_overconfident_draws_hold_what_they_promise() -> None:
    """Through scores and intervals: draws with half the spread that the values have."""
    rng, n, n_rows = np.random.default_rng(3), 199, 4000
    y = rng.normal(size=n + n_rows)
    draws = 0.5 * rng.normal(size=(1000, 1)) + np.zeros(len(y))
    limit = limits(interval_scores(draws[:, :n], y[:n], np.zeros(n)), [0.9]).tolist()
    lower, upper = intervals_of_sorted(np.sort(draws[:, n:], axis=0), limit)[:, 0]
    held = ((lower <= y[n:]) & (y[n:] <= upper)).sum()
    plain = intervals_of_sorted(np.sort(draws[:, n:], axis=0), [0.9])[:, 0]
    # Given the 199 rows the coverage is a beta variate; over new rows too a beta-binomial one.
    k = rank(n, 0.9)
    low, high = stats.betabinom(n_rows, k, n + 1 - k).ppf([FALSE_ALARMS / 2, 1 - FALSE_ALARMS / 2])
    assert low <= held <= high
    assert ((plain[0] <= y[n:]) & (y[n:] <= plain[1])).sum() < low


def test_a_score_is_the_level_of_the_smallest_interval_that_holds_the_value() -> None:
    rng = np.random.default_rng(1)
    draws = rng.normal(size=(51, 300))
    y = rng.normal(scale=3.0, size=300)
    scores = interval_scores(draws, y, np.zeros(300))
    assert (scores > 1).sum() > 30 and (scores < 1).sum() > 30, "beyond all draws, and among them"
    ordered = np.sort(draws, axis=0)
    for row in range(300):
        ends = intervals_of_sorted(ordered[:, [row]], [scores[row]])[:, 0, 0]
        assert np.abs(ends - y[row]).min() == pytest.approx(0.0, abs=1e-12)
        for factor, inside in ((0.999, False), (1.001, True)):
            lower, upper = intervals_of_sorted(ordered[:, [row]], [factor * scores[row]])[:, 0, 0]
            assert bool(lower <= y[row] <= upper) is inside


def test_intervals_grow_with_their_level_and_an_infinite_one_has_no_end() -> None:
    draws = np.sort(np.random.default_rng(2).normal(size=(20, 3)), axis=0)
    draws[:, 2] = 4.0
    lower, upper = intervals_of_sorted(draws, [0.0, 0.5, 1.0, 1.2, 3.0, math.inf])
    assert (np.diff(lower[:, :2], axis=0) < 0).all() and (np.diff(upper[:, :2], axis=0) > 0).all()
    assert np.array_equal(lower[2], draws[0]) and np.array_equal(upper[2], draws[-1])
    assert lower[-1].tolist() == [-math.inf] * 3 and upper[-1].tolist() == [math.inf] * 3
    assert lower[:-1, 2].tolist() == [4.0] * 5


def test_scores_of_right_counts_are_uniform() -> None:
    rng = np.random.default_rng(4)
    draws, y = rng.poisson(0.7, size=(400, 5000)), rng.poisson(0.7, size=5000)
    parts = rng.random(5000)
    assert stats.kstest(interval_scores(draws, y, parts), "uniform").statistic < 0.03
    assert stats.kstest(interval_scores(draws, y, np.zeros(5000)), "uniform").statistic > 0.1


def test_what_no_draw_differs_from_has_no_scale_beyond() -> None:
    draws = np.zeros((5, 3))
    draws[0, 2] = np.nan
    scores = interval_scores(draws, np.array([0.0, 1.0, 0.0]), np.full(3, 0.5))
    assert scores.tolist()[:2] == [0.0, math.inf]


def test_label_sets_are_never_empty_and_hold_a_class_that_scores_within_the_limit() -> None:
    rng = np.random.default_rng(5)
    probability = rng.dirichlet([0.3] * 6, size=500)
    every = np.stack([set_scores(probability, np.full(500, label)) for label in range(6)], axis=1)
    sizes = []
    for limit in (0.0, 0.2, 0.5, 0.9, math.inf):
        sets = label_sets(probability, limit)
        assert sets[np.arange(500), probability.argmax(axis=1)].all()
        assert np.array_equal(sets, every <= limit)
        sizes.append(sets.sum(axis=1))
    assert (np.diff(sizes, axis=0) >= 0).all()
    assert sizes[0].max() == 1 and sizes[-1].min() == 6
    # The fewest classes whose probabilities sum to 0.9.
    cumulative = np.cumsum(-np.sort(-probability, axis=1), axis=1)
    assert np.array_equal(sizes[3], (cumulative < 0.9).sum(axis=1) + 1)


def test_equally_probable_classes_are_in_a_set_together() -> None:
    probability = np.array([[0.4, 0.2, 0.4], [0.25, 0.5, 0.25]])
    assert label_sets(probability, 0.0).tolist() == [[True, False, True], [False, True, False]]
    assert label_sets(probability, 0.5).tolist() == [[True, False, True], [True, True, True]]
    assert set_scores(probability, np.array([2, 0])).tolist() == [0.0, 0.5]
    assert set_scores(np.array([[np.nan, 1.0]]), np.array([0])).tolist() == [math.inf]


@pytest.fixture
def short_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fits of linear models, which need no long chains."""
    few = replace(cheap_fit.SAMPLER, warmup=100, thin=5, optimise_steps=50)
    monkeypatch.setattr(cheap_fit, "SAMPLER", few)


def model(family: str = "gaussian") -> ModelSettings:
    return ModelSettings(
        network=NetworkSettings(hidden=(), activation="tanh", precision="float64", engine="numpy"),
        prior=PriorSettings(weights=BLOCK, biases=BLOCK, fan_in_scaling=True, learned_scales="none"),
        likelihood=LikelihoodSettings(
            family=family, noise="sampled", df=4.0, log_noise_mean=-1.0, log_noise_sd=1.0
        ),
    )


def table(n: int = 100) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(6)
    x = rng.normal(size=(n, 2))
    return x, 0.8 * x[:, 0] + 0.6 * rng.normal(size=n)


def test_a_model_that_is_right_scores_evenly_and_the_same_again(short_fits: None) -> None:
    x, y = table()
    settings: dict[str, Any] = {"n_classes": None, "settings": model(), "seed": 1}
    scores = conformity_scores(x, y, **settings)
    assert stats.kstest(scores, "uniform").pvalue > FALSE_ALARMS
    assert np.array_equal(scores, conformity_scores(x, y, **settings))


def test_classes_and_counts_are_scored_too(short_fits: None) -> None:
    x, y = table(60)
    label = (y > 0).astype(np.int64)
    scores = conformity_scores(x, label, n_classes=2, settings=model(), seed=1)
    assert 0.6 < (scores == 0).mean() < 1.0, "most are the most probable class"
    assert scores[scores > 0].min() >= 0.5
    count = np.random.default_rng(8).poisson(np.exp(0.5 * y)).astype(float)
    standardised = (count - count.mean()) / count.std()
    target = fit_target("poisson", standardised, mean=float(count.mean()), scale=float(count.std()))
    scores = conformity_scores(
        x, standardised, n_classes=None, settings=model("poisson"), seed=1, target=target
    )
    assert stats.kstest(scores, "uniform").pvalue > FALSE_ALARMS


def test_each_row_is_left_out_once_with_those_of_the_same_inputs(monkeypatch: pytest.MonkeyPatch) -> None:
    x, y = table(40)
    x = np.repeat(x, 3, axis=0)[:97]
    y = np.arange(97.0)
    used: list[np.ndarray] = []

    def fitted(x: np.ndarray, y: np.ndarray, **_: Any) -> None:
        used.append(y)

    monkeypatch.setattr(conformal, "fitted", fitted)
    scores = conformity_scores(x, y, n_classes=None, settings=model(), seed=1)
    assert (scores == math.inf).all(), "no fit found a start"
    left_out = [np.setdiff1d(y, one).astype(int) for one in used]
    assert np.array_equal(np.sort(np.concatenate(left_out)), np.arange(97))
    for one in left_out:
        assert not set(one // 3) & set(np.setdiff1d(np.arange(97), one) // 3)
    used.clear()
    conformity_scores(x, y, n_classes=None, settings=model(), seed=1, in_order=True)
    assert len(used) == N_FOLDS
    for one in used:
        assert (np.diff(np.setdiff1d(y, one)) == 1).all(), "a stretch of time"
