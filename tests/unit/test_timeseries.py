"""Windows of a time series: which rows they are made of, and that the train part knows nothing of the test part."""

import numpy as np
import pytest

from bnn.data.time_series import lag_features, make_windows, series_times, split_windows
from tests.refusals import refused


def test_a_window_holds_the_last_values_and_the_one_so_many_steps_later() -> None:
    windows = make_windows(30, lags=3, horizon=4)
    features = lag_features(np.arange(30.0), windows.origin, 3)
    assert list(features) == ["lag_1", "lag_2", "lag_3"], "the latest first"
    first = [features[name][0] for name in features]
    assert (first, windows.target[0]) == ([2, 1, 0], 6), (
        "values 0, 1, 2 are known; 3 + 4 - 1 = 6 is asked for"
    )
    assert windows.target[-1] == 29, "the last row is a target"
    assert len(windows.target) == 30 - 3 - 4 + 1


@pytest.mark.parametrize("horizon", [1, 12])
def test_every_train_target_was_known_when_the_first_test_forecast_is_made(horizon: int) -> None:
    windows = make_windows(200, lags=12, horizon=horizon)
    train, test = split_windows(windows, 0.2)
    assert windows.target[train].max() == windows.origin[test].min()
    assert windows.target[train].max() < windows.target[test].min()
    assert len(test) == np.ceil(0.2 * len(windows.target))
    assert len(windows.target) - len(train) - len(test) == horizon - 1, "no more are left out than need be"


def test_a_series_that_is_too_short_is_refused() -> None:
    with refused("too-few-rows", key="series.lags"):
        make_windows(18, lags=12, horizon=1)
    assert len(make_windows(19, lags=12, horizon=1).target) == 7
    with refused("too-few-rows", key="split.test_size"):
        split_windows(make_windows(19, lags=12, horizon=1), 0.9)


def test_times_must_increase() -> None:
    times = series_times("month", np.array(["2026-01", "2026-02", "2026-03"]))
    assert times.is_date
    assert np.diff(times.values).tolist() == [31 * 86400, 28 * 86400]
    with refused("time-not-increasing", column="m", row=4):
        series_times("m", np.array(["2026-01", "2026-02", "2026-02"]), first_row=2)


def test_a_row_that_is_missing_from_a_series_is_named() -> None:
    """Every lag across it would be of another time than its name says."""
    months = np.array([f"2025-{month:02}-01" for month in range(1, 13)])
    assert series_times("month", months).is_date, "months of 28 and of 31 days are steps of one length"
    with refused("time-step-too-long", column="month", row=6):
        series_times("month", np.delete(months, 4), first_row=2)
    with refused("time-step-too-long", column="t", row=3):
        series_times("t", np.array([0.5, 1.5, 2.5, 4.5, 5.5]))
