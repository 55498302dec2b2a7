"""Calibrated forecasts pass, miscalibrated ones do not, and bands hold what they say."""

import numpy as np
import pytest
from scipy import stats

from bnn.evaluation import assemble, calibration, metrics
from bnn.evaluation.forecasts import CURVE_LEVELS, mixture_forecast
from bnn.posterior.mixture import GaussianMixture


def forecast(rng, n, claimed_sd, bias=0.0):
    mean = rng.normal(50, 10, size=n)
    y = mean + rng.standard_normal(n)
    return mixture_forecast(GaussianMixture(mean[None] + bias, np.array([claimed_sd])), y), y


def test_p_values_of_a_calibrated_forecast_are_uniform_and_those_of_others_small():
    """Of 200 p-values as many lie below 0.1 as a binomial allows: 20 +- 4.2 (one time in 10,000 beyond 4 sd)."""
    rng = np.random.default_rng(0)
    right = [calibration.target_calibration(*forecast(rng, 150, 1.0))["pit"]["p_value"] for _ in range(200)]
    assert 4 < np.sum(np.array(right) < 0.1) < 37
    for claimed, bias in ((0.6, 0.0), (1.8, 0.0), (1.0, 0.5)):
        wrong = calibration.target_calibration(*forecast(rng, 300, claimed, bias))
        assert wrong["pit"]["p_value"] < 1e-3, (claimed, bias)


def test_the_largest_gap_of_the_pit_is_named():
    rng = np.random.default_rng(4)
    for claimed, bias in ((2.0, 0.0), (1.0, 1.0), (1.0, -1.0)):
        given, y = forecast(rng, 2000, claimed, bias)
        pit = calibration.target_calibration(given, y)["pit"]
        assert np.mean(given.pit <= pit["expected"]) == pytest.approx(pit["observed"], abs=1.01 / 2000)
        largest = max(abs(np.mean(given.pit <= u) - u) for u in np.linspace(0, 1, 501))
        assert abs(pit["observed"] - pit["expected"]) == pytest.approx(largest, abs=0.005)
        assert largest > 0.13


def test_a_calibrated_forecast_is_seldom_flagged_and_wide_or_narrow_intervals_are():
    """Of 400 tables at most 1 % by chance, 4 +- 2; one in 10,000 has more than 12."""
    rng = np.random.default_rng(5)

    def n_raised(n_tables, claimed, n_rows=60):
        made = (forecast(rng, n_rows, claimed) for _ in range(n_tables))
        found = [calibration.target_calibration(*table)["pit"] for table in made]
        return sum(assemble._pit_flag(pit, n_rows)["raised"] for pit in found)

    assert n_raised(400, 1.0) <= 12
    assert n_raised(20, 3.0) >= 18
    assert n_raised(20, 0.5, n_rows=200) == 20


def test_pit_counts_every_row_and_an_overconfident_forecast_fills_the_ends():
    rng = np.random.default_rng(1)
    for n, n_bins in ((80, 5), (200, 10)):
        found = calibration.target_calibration(*forecast(rng, n, 0.35))["pit"]
        assert len(found["n_rows"]) == n_bins and len(found["edges"]) == n_bins + 1
        assert sum(found["n_rows"]) == n
        assert found["n_rows"][0] + found["n_rows"][-1] > 2 * found["band_upper"]


def test_coverage_curve_stays_in_its_band_when_it_should():
    """Nineteen bands of 99 % over 60 tables: 99 in 100 hold, but for the steps of a count, which only add."""
    rng = np.random.default_rng(2)
    inside: list[bool] = []
    sides: dict[float, list[float]] = {0.5: [], 2.0: []}
    for _ in range(60):
        for point in calibration.target_calibration(*forecast(rng, 120, 1.0))["coverage"]:
            inside.append(point["band_lower"] <= point["coverage"] <= point["band_upper"])
    assert 0.98 < np.mean(inside) < 0.999
    for claimed, side in sides.items():
        points = calibration.target_calibration(*forecast(rng, 400, claimed))["coverage"]
        assert [point["level"] for point in points] == list(CURVE_LEVELS)
        side += [point["coverage"] - point["level"] for point in points]
    assert max(sides[0.5]) < 0 < min(sides[2.0])


def classes(rng, n, sharpened):
    probability = rng.dirichlet([1.0, 1.0, 1.0], size=n)
    y = (rng.random(n)[:, None] > np.cumsum(probability, axis=1)).sum(axis=1).clip(0, 2)
    claimed = probability**sharpened
    return claimed / claimed.sum(axis=1, keepdims=True), y


def calibrate(rng, n, sharpened):
    probability, y = classes(rng, n, sharpened)
    return calibration.class_calibration(probability, y, rng)


def test_reliability_of_calibrated_and_overconfident_classes():
    rng = np.random.default_rng(3)
    p_values, inside, expected, found_ece = [], [], [], []
    for _ in range(100):
        found = calibrate(rng, 150, 1.0)
        p_values.append(found["ece_p_value"])
        expected.append(found["ece_if_calibrated"])
        found_ece.append(found["ece"])
        inside += [b["band_lower"] <= b["accuracy"] <= b["band_upper"] for b in found["bins"]]
    assert 2 < np.sum(np.array(p_values) < 0.1) < 23, "10 +- 3"
    assert np.mean(inside) > 0.97
    assert np.mean(expected) == pytest.approx(np.mean(found_ece), rel=0.1)
    wrong = calibrate(rng, 400, 3.0)
    assert wrong["ece_p_value"] < 0.01
    assert any(bin_["accuracy"] < bin_["band_lower"] for bin_ in wrong["bins"])


def test_bins_are_those_of_the_expected_calibration_error():
    rng = np.random.default_rng(4)
    probability, y = classes(rng, 200, 2.0)
    found = calibration.class_calibration(probability, y, rng)
    assert found["ece"] == pytest.approx(metrics.ece(probability, y))
    diagram = metrics.reliability(probability, y)
    filled = diagram.n_rows > 0
    assert [b["n_rows"] for b in found["bins"]] == diagram.n_rows[filled].tolist()
    assert np.allclose([b["confidence"] for b in found["bins"]], diagram.confidence[filled])
    assert np.allclose([b["accuracy"] for b in found["bins"]], diagram.accuracy[filled])
    assert all(b["lower"] < b["confidence"] <= b["upper"] + 1e-12 for b in found["bins"])


def test_certain_and_right_has_no_error_and_is_not_suspicious():
    y = np.array([0, 1, 1, 0])
    found = calibration.class_calibration(np.eye(2)[y], y, np.random.default_rng(0))
    assert (found["ece"], found["ece_if_calibrated"], found["ece_p_value"]) == (0.0, 0.0, 1.0)


FIXED = (0.80, 0.97)
"""Limits that take no account of the number of rows: what `usual_coverage` must do better than."""


def alarm_rate(limits, n_rows, coverage):
    """Return the share of tables whose coverage lies beyond the limits, if each row is inside with one probability."""
    share = np.arange(n_rows + 1) / n_rows
    beyond = (share < limits[0]) | (share > limits[1])
    return stats.binom.pmf(np.arange(n_rows + 1), n_rows, coverage)[beyond].sum()


@pytest.mark.parametrize(("n_rows", "power"), [(18, 0.75), (100, 0.999), (1000, 0.999)])
def test_coverage_is_called_off_as_rarely_as_said_and_found_where_it_is_bad(n_rows, power):
    limits = calibration.usual_coverage(0.9, n_rows)
    assert alarm_rate(limits, n_rows, 0.9) <= calibration.FALSE_ALARMS
    assert alarm_rate(limits, n_rows, 0.6) >= power


def test_fixed_limits_would_cry_wolf_on_few_rows():
    """The mutant: were these the limits, the test above would fail."""
    assert alarm_rate(FIXED, 18, 0.9) > 0.2
    assert (
        alarm_rate(FIXED, 1000, 0.82)
        < 0.1
        < 0.999
        < alarm_rate(calibration.usual_coverage(0.9, 1000), 1000, 0.82)
    )


@pytest.mark.parametrize("n_rows", [2, 7, 18, 100, 1000])
def test_usual_coverage_is_what_the_exact_binomial_test_does_not_reject(n_rows):
    low, high = calibration.usual_coverage(0.9, n_rows)
    kept = [
        hits / n_rows
        for hits in range(n_rows + 1)
        if stats.binomtest(hits, n_rows, 0.9).pvalue >= calibration.FALSE_ALARMS
    ]
    assert (low, high) == (min(kept), max(kept))


def test_a_fault_that_no_one_would_notice_raises_no_alarm_however_many_the_rows():
    low, high = calibration.usual_coverage(0.9, 1_000_000)
    assert low == pytest.approx(0.9 - calibration.MARGIN, abs=2e-6)
    assert high == pytest.approx(0.9 + calibration.MARGIN, abs=2e-6)


def test_narrow_intervals_of_a_forecast_on_few_rows_are_found():
    """Through the forecast itself: 400 tables of 18 rows whose intervals hold 90 %, or 60 %."""
    rng = np.random.default_rng(5)
    low, high = calibration.usual_coverage(0.9, 18)
    rates = []
    for claimed in (1.0, stats.norm.ppf(0.8) / stats.norm.ppf(0.95)):
        shares = []
        for _ in range(400):
            own, y = forecast(rng, 18, claimed)
            lower, upper = own.interval(0.9)
            shares.append(metrics.coverage(lower, upper, y))
        rates.append(np.mean([not low <= share <= high for share in shares]))
    assert rates[0] <= 0.025, "0.0064 +- 0.004"
    assert rates[1] >= 0.7, "0.79 +- 0.02"
