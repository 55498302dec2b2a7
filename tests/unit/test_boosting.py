"""Gradient boosting: what it predicts, and what becomes of quantiles as a predictive distribution."""

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy import stats
from scipy.interpolate import PchipInterpolator
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

from bnn.baselines import boosting
from bnn.baselines.boosting import LEVELS, boosting_predictions
from bnn.data.dataset import Dataset
from bnn.evaluation.forecasts import CURVE_LEVELS, mixture_forecast
from bnn.evaluation.metrics import is_inside
from bnn.evaluation.quantile_forecasts import QuantileForecast
from bnn.model.targets import BOUNDS, Target, fit_target
from tests.unit.synthetic_chains import make_dataset

LEVEL = np.array(LEVELS)


def forecast_of(distribution: Any, n_rows: int, target: Target | None = None) -> QuantileForecast:
    """Return the forecast by the right quantiles of a distribution, the same one in all rows."""
    quantile = np.tile(distribution.ppf(LEVEL)[:, None], n_rows)
    return QuantileForecast(LEVEL, quantile, np.full(n_rows, distribution.mean()), target or Target())


def table(y: Callable[[np.ndarray, np.random.Generator], np.ndarray], n: int = 300, seed: int = 3) -> Dataset:
    """Return a table with the target y(x, rng) of three features."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((n, 3))
    value = y(x, rng)
    own = make_dataset("regression")
    names = ("a", "b", "c")
    n_train = 2 * n // 3
    mean, scale = float(value[:n_train].mean()), float(value[:n_train].std())
    encoded = (value - mean) / scale
    return dataclasses.replace(
        own,
        x_train=x[:n_train],
        x_test=x[n_train:],
        y_train=encoded[:n_train],
        y_test=encoded[n_train:],
        row_train=np.arange(n_train),
        row_test=np.arange(n_train, n),
        feature_names=names,
        columns=None,
        feature_mean=np.zeros(3),
        feature_scale=np.ones(3),
        target_mean=mean,
        target_scale=scale,
    )


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three levels and few trees, which is what takes time."""
    monkeypatch.setattr(boosting, "LEVELS", (0.05, 0.5, 0.95))
    monkeypatch.setattr(boosting, "MAX_TREES", 60)


def predict(dataset: Dataset, target: Target | None = None, **changes: Any) -> dict[str, np.ndarray]:
    """Fit with the usual settings."""
    given: dict[str, Any] = {"validation_size": 0.2, "class_weight": "none"} | changes
    return boosting_predictions(dataset, rng=np.random.default_rng(5), target=target, **given)


# --- The forecast that quantiles make


def test_crps_of_normal_quantiles_is_the_closed_form_but_for_the_tails() -> None:
    """Gneiting & Raftery 2007, eq. 5; observations in the middle, where tails matter least, and far out."""
    mean, sd = 3.0, 2.0
    y = mean + sd * np.array([0.0, -0.7, 1.1, 1.9, -4.0])
    z = (y - mean) / sd
    exact = sd * (z * (2 * stats.norm.cdf(z) - 1) + 2 * stats.norm.pdf(z) - 1 / np.sqrt(np.pi))
    assert forecast_of(stats.norm(mean, sd), len(y)).crps(y) == pytest.approx(exact, rel=0.006)
    drawn = mean + sd * stats.norm.ppf((np.arange(2000) + 0.5) / 2000)
    found = forecast_of(stats.norm(mean, sd), len(drawn)).crps(drawn).mean()
    assert found == pytest.approx(sd / np.sqrt(np.pi), rel=0.001)


def test_crps_is_the_integral_of_twice_the_quantile_loss() -> None:
    """With ends held: both sides of the identity, computed apart."""
    rng = np.random.default_rng(0)
    quantile, y = np.sort(rng.normal(size=(len(LEVEL), 6)), axis=0), rng.normal(size=6)
    p = (np.arange(20_000) + 0.5) / 20_000
    expected = []
    for own, observed in zip(quantile.T, y, strict=True):
        curve = PchipInterpolator(stats.norm.ppf(LEVEL), own)
        at = curve(stats.norm.ppf(np.clip(p, LEVEL[0], LEVEL[-1])))
        expected.append(np.mean(2 * (p - (observed < at)) * (observed - at)))
    found = QuantileForecast(LEVEL, quantile, quantile.mean(axis=0), Target()).crps(y)
    assert found == pytest.approx(expected, abs=2e-3)


@pytest.mark.parametrize(
    "distribution", [stats.norm(5, 2), stats.expon(), stats.t(4)], ids=["norm", "expon", "t"]
)
def test_right_quantiles_are_calibrated(distribution: Any) -> None:
    n = 4000
    y = distribution.ppf((np.random.default_rng(1).permutation(n) + 0.5) / n)
    found = mixture_forecast(forecast_of(distribution, n), y)
    assert stats.kstest(found.pit, "uniform").statistic < 0.012
    held = [np.mean((low <= y) & (y <= high)) for low, high in zip(found.lower, found.upper, strict=True)]
    assert held == pytest.approx(CURVE_LEVELS, abs=0.012)
    for level, low, high in zip(CURVE_LEVELS, found.lower, found.upper, strict=True):
        if level in (0.5, 0.8, 0.9, 0.95):
            assert [low[0], high[0]] == pytest.approx(distribution.interval(level)), (
                "a level that is predicted"
            )
    assert not found.has_density and np.isnan(found.nll).all() and np.isnan(found.sd).all()


@pytest.mark.parametrize("share", [0.1, 1 / 3, 0.6])
def test_zeros_that_are_an_end_of_intervals_count_as_often_as_they_should(share: float) -> None:
    """Spread below 0 and cut off: intervals that begin with 0 hold zeros no oftener than they say."""
    n = 6000

    def amount(probability: np.ndarray) -> np.ndarray:
        return np.asarray(stats.expon().ppf(np.maximum(probability - share, 0) / (1 - share)))

    y = amount((np.random.default_rng(2).permutation(n) + 0.5) / n)
    quantile = np.where(share > LEVEL, -np.log(2) * (1 - LEVEL / share), amount(LEVEL))
    target = Target(form="hurdle")
    forecast = QuantileForecast(LEVEL, np.tile(quantile[:, None], n), np.full(n, y.mean()), target)
    found = mixture_forecast(forecast, y)
    exact = np.mean([np.abs(value - y).mean() for value in y]) / 2
    assert found.crps.mean() == pytest.approx(exact, rel=0.002)
    for level in (0.5, 0.9, 0.95):
        low, high = found.interval(level)
        assert np.mean(is_inside(low, high, y, pit=found.pit, level=level)) == pytest.approx(level, abs=0.02)


@pytest.mark.parametrize("form", ["count", "hurdle", "log", "logit"])
def test_forecasts_keep_to_what_the_target_can_be(form: str) -> None:
    rng = np.random.default_rng(4)
    quantile = np.sort(rng.normal(0.4, 1.5, size=(len(LEVEL), 50)), axis=0)
    forecast = QuantileForecast(LEVEL, quantile, rng.normal(0.4, 1.5, size=50), Target(form=form))
    lower, upper = forecast.intervals(CURVE_LEVELS)
    smallest, largest = BOUNDS[form]
    for values in (lower, upper, forecast.mean):
        assert values.min() >= smallest and values.max() <= largest
    assert lower.min() == smallest, "some quantiles are beyond it: the test shows something"
    assert (form == "count") == bool((lower == np.rint(lower)).all() and (upper == np.rint(upper)).all())
    assert (np.diff(upper, axis=0) >= 0).all() and (np.diff(lower, axis=0) <= 0).all()


def test_right_quantiles_of_counts_that_are_spread_are_calibrated() -> None:
    """Spread by half a unit either way and rounded: CRPS, PIT and coverage are those of the counts."""
    n, counts = 3000, np.arange(30)
    y = stats.poisson(3).ppf((np.random.default_rng(0).permutation(n) + 0.5) / n)
    exact = np.abs(y[:, None] - y).mean() / 2
    quantile = np.interp(LEVEL, np.concatenate([[0], stats.poisson(3).cdf(counts)]), np.arange(31) - 0.5)
    forecast = QuantileForecast(LEVEL, np.tile(quantile[:, None], n), np.full(n, 3.0), Target(form="count"))
    found = mixture_forecast(forecast, y)
    assert found.crps.mean() == pytest.approx(exact, rel=0.003)
    assert stats.kstest(found.pit, "uniform").statistic < 0.02
    for level in (0.5, 0.9, 0.95):
        low, high = found.interval(level)
        held = is_inside(low, high, y, pit=found.pit, level=level)
        assert np.mean(held) == pytest.approx(level, abs=0.015)


def test_quantiles_that_cross_or_of_other_rows_are_refused() -> None:
    quantile = np.tile(LEVEL[:, None], 2)
    with pytest.raises(ValueError, match="ascending"):
        QuantileForecast(LEVEL, quantile[::-1], np.zeros(2), Target())
    with pytest.raises(ValueError, match="shape"):
        QuantileForecast(LEVEL, quantile, np.zeros(3), Target())


def test_rows_in_parts_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(6)
    quantile, y = np.sort(rng.normal(size=(len(LEVEL), 30)), axis=0), rng.normal(size=30)
    forecast = QuantileForecast(LEVEL, quantile, np.zeros(30), Target())
    whole = forecast.crps(y), forecast.cdf(y)
    monkeypatch.setattr("bnn.evaluation.quantile_forecasts._ROWS_AT_ONCE", 7)
    assert forecast.crps(y) == pytest.approx(whole[0], rel=1e-12)
    assert np.array_equal(forecast.cdf(y), whole[1])


# --- What is fitted


@pytest.mark.usefixtures("few")
def test_quantiles_are_in_the_unit_of_the_target_and_follow_the_noise() -> None:
    """The noise grows with the first feature: so does the width, and the middle is where it should be."""
    dataset = table(
        lambda x, rng: 100 + 5 * x[:, 1] + np.exp(0.6 * x[:, 0]) * rng.standard_normal(len(x)), 900
    )
    found = predict(dataset)
    low, middle, high = found["test_quantile"]
    assert found["train_quantile"].shape == (3, len(dataset.y_train))
    assert np.corrcoef(high - low, np.exp(0.6 * dataset.x_test[:, 0]))[0, 1] > 0.6
    expected = 100 + 5 * dataset.x_test[:, 1]
    for centre in (middle, found["test_mean"]):
        assert np.sqrt(np.mean((centre - expected) ** 2)) < 1.5, "the target has a standard deviation of 5"
    y = dataset.target_mean + dataset.target_scale * dataset.y_test
    assert 0.75 < np.mean((low <= y) & (y <= high)) < 0.95


def test_crossing_quantiles_are_sorted(monkeypatch: pytest.MonkeyPatch) -> None:
    class Crossing:
        """Predicts the less the higher its level."""

        def __init__(self, quantile: float = 0.0, **_: Any) -> None:
            self.quantile, self.validation_score_ = quantile, np.zeros(3)

        def fit(self, *_: np.ndarray) -> "Crossing":
            return self

        def predict(self, x: np.ndarray) -> np.ndarray:
            return np.full(len(x), -self.quantile)

    monkeypatch.setattr("sklearn.ensemble.HistGradientBoostingRegressor", Crossing)
    dataset = make_dataset("regression")
    found = predict(dataset)["test_quantile"]
    assert found[:, 0] == pytest.approx(dataset.target_mean - dataset.target_scale * LEVEL[::-1])


@pytest.mark.usefixtures("few")
def test_it_stops_on_rows_set_aside_and_is_fitted_to_all() -> None:
    """As many trees as the rows set aside found best; the last model has seen every training row."""
    dataset = table(lambda x, rng: x[:, 0] + rng.standard_normal(len(x)))
    found = predict(dataset)
    own: dict[str, Any] = {
        "random_state": int(np.random.default_rng(5).integers(2**31)),
        "validation_fraction": 0.2,
    }
    stopped = HistGradientBoostingRegressor(early_stopping=True, max_iter=boosting.MAX_TREES, **own)
    stopped.fit(dataset.x_train, dataset.y_train)
    best = int(np.argmax(stopped.validation_score_))
    assert 0 < best < stopped.n_iter_, "it goes on for some trees, which are not kept"
    again = HistGradientBoostingRegressor(early_stopping=False, max_iter=best, **own)
    again.fit(dataset.x_train, dataset.y_train)
    expected = dataset.target_mean + dataset.target_scale * again.predict(dataset.x_test)
    assert np.array_equal(found["test_mean"], expected)
    same = predict(dataset)
    assert all(np.array_equal(same[name], values) for name, values in found.items())
    assert not np.array_equal(predict(dataset, validation_size=0.4)["test_mean"], expected)


@pytest.mark.usefixtures("few")
def test_quantiles_of_a_target_over_decades_are_those_of_its_logs() -> None:
    dataset = table(lambda x, rng: np.exp(3 * x[:, 0] + 0.3 * rng.standard_normal(len(x))))
    target = fit_target("log_normal", dataset.y_train, mean=dataset.target_mean, scale=dataset.target_scale)
    logs, values = (predict(dataset, how)["test_quantile"] for how in (target, None))
    assert logs.min() > 0
    right = 3 * dataset.x_test[:, 0] + 0.3 * stats.norm.ppf([[0.05], [0.5], [0.95]])
    of_logs, of_values = (np.abs(np.log(np.maximum(found, 1e-9)) - right).mean() for found in (logs, values))
    assert of_logs < 0.5 * of_values, (of_logs, of_values)


@pytest.mark.usefixtures("few")
@pytest.mark.parametrize("family", ["negative_binomial", "hurdle", "logit_normal"])
def test_targets_of_every_kind_are_predicted(family: str) -> None:
    """Zeros and counts that many rows share, too, come as often as the levels say."""

    def values(x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        if family == "logit_normal":
            return np.asarray(1 / (1 + np.exp(-x[:, 0] - rng.standard_normal(len(x)))))
        drawn = rng.poisson(np.exp(0.5 * x[:, 0])).astype(float)
        return drawn if family == "negative_binomial" else drawn * rng.uniform(1, 2, len(x))

    dataset = table(values, 450)
    target = fit_target(family, dataset.y_train, mean=dataset.target_mean, scale=dataset.target_scale)
    found = predict(dataset, target)
    y = np.round(dataset.target_mean + dataset.target_scale * dataset.y_test, 9)
    forecast = QuantileForecast(found["level"], found["test_quantile"], found["test_mean"], target)
    lower, upper = (ends[0] for ends in forecast.intervals([0.9]))
    smallest, largest = BOUNDS[target.form]
    assert lower.min() >= smallest and upper.max() <= largest and (lower <= upper).all()
    held = is_inside(lower, upper, y, pit=forecast.cdf(y), level=0.9)
    assert 0.75 < np.mean(held) < 0.97
    if family != "logit_normal":
        assert (lower == 0).mean() > 0.5
        assert np.mean((lower <= y) & (y <= upper)) > np.mean(held), (
            "intervals from 0 on hold more than they say"
        )


def test_counts_are_spread_out_about_themselves() -> None:
    """Of 10,000 rows the mean is off by 0.012, four standard errors, once in 16,000 tables."""
    y = np.random.default_rng(3).poisson(2.0, 10_000).astype(float)
    standardised = (y - y.mean()) / y.std()
    target = fit_target("poisson", standardised, mean=float(y.mean()), scale=float(y.std()))
    spread = boosting._spread_out(standardised, target, np.random.default_rng(4))
    moved = target.mean + target.scale * spread - y
    assert abs(moved.mean()) < 0.012
    assert 0.499 < np.abs(moved).max() <= 0.5


def test_classes_have_probabilities_of_all_columns_and_rare_ones_can_weigh_more() -> None:
    dataset = make_dataset("classification", n_train=240, n_test=60)
    rng = np.random.default_rng(7)
    y_train = rng.choice(3, p=(0.45, 0.45, 0.1), size=240)
    dataset = dataclasses.replace(dataset, y_train=y_train)
    plain, weighted = (predict(dataset, class_weight=how)["test_probability"] for how in ("none", "balanced"))
    assert plain.shape == (60, 3) and plain.sum(axis=1) == pytest.approx(1) and (plain > 0).all()
    assert weighted[:, 2].mean() > plain[:, 2].mean() + 0.1


@pytest.mark.parametrize("rows", [(40, 40, 1), (2, 2, 2)], ids=["one row of a class", "few rows"])
def test_without_rows_to_spare_it_has_as_many_trees_as_scikit_learn_by_default(rows: tuple[int, ...]) -> None:
    y = np.repeat(np.arange(3), rows)
    dataset = make_dataset("classification", n_train=len(y), n_test=20)
    dataset = dataclasses.replace(dataset, y_train=y)
    found = predict(dataset)["test_probability"]
    theirs = HistGradientBoostingClassifier(early_stopping=False).fit(dataset.x_train, y)
    assert found == pytest.approx(theirs.predict_proba(dataset.x_test), rel=1e-9)


def test_a_regression_whose_rows_are_nearly_all_set_aside_is_fitted() -> None:
    dataset = make_dataset("regression", n_train=12, n_test=20)
    found = predict(dataset, validation_size=0.95)
    own = {"random_state": int(np.random.default_rng(5).integers(2**31))}
    theirs = HistGradientBoostingRegressor(early_stopping=False, **own).fit(dataset.x_train, dataset.y_train)
    expected = dataset.target_mean + dataset.target_scale * theirs.predict(dataset.x_test)
    assert found["test_mean"] == pytest.approx(expected, rel=1e-9)
