"""Gross errors: told from heavy tails, left out of the units of a column, named, and met by noise with heavy tails."""

import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pytest

from bnn.core.gross_values import gross_errors, mean_and_scale
from bnn.evaluation.columns import other_doubts
from bnn.selection import choice, race
from bnn.selection.cheap_fit import CheapFit
from tests.unit.test_selection import rows, settings_of
from tests.unit.test_split_tables import lines, made

Rng = np.random.Generator

ORDINARY: dict[str, Callable[[Rng, int], np.ndarray]] = {
    "normal": lambda rng, n: rng.normal(size=n),
    "laplace": lambda rng, n: rng.laplace(size=n),
    "student_t": lambda rng, n: rng.standard_t(3, size=n),
    "exponential": lambda rng, n: rng.exponential(size=n),
    "two decades": lambda rng, n: np.exp(1.0 * rng.normal(size=n)),
    "five decades": lambda rng, n: np.exp(2.9 * rng.normal(size=n)),
    "counts": lambda rng, n: rng.negative_binomial(0.5, 0.1, size=n) * 1.0,
    "mostly zero": lambda rng, n: np.where(rng.random(n) < 0.6, 0, rng.gamma(1, size=n)),
    "two clusters": lambda rng, n: np.where(rng.random(n) < 0.2, 8, 0) + rng.normal(size=n),
    "constant but for one": lambda rng, n: (np.arange(n) == 3) * 1e6,
}


@pytest.mark.parametrize("kind", ORDINARY)
@pytest.mark.parametrize("n_rows", [30, 300, 3000])
def test_heavy_tails_are_no_errors_and_units_are_those_of_numpy(kind: str, n_rows: int) -> None:
    for seed in range(10):
        values = ORDINARY[kind](np.random.default_rng(seed), n_rows)
        assert not gross_errors(values).any()
        assert mean_and_scale(values) == (values.mean(), values.std())


@pytest.mark.parametrize("n_rows", [30, 300, 3000])
@pytest.mark.parametrize("wrong", [1e4, -1e4, 1e300, np.finfo(float).max])
def test_a_value_far_beyond_all_others_does_not_count(n_rows: int, wrong: float) -> None:
    values = np.random.default_rng(0).normal(50, 10, size=n_rows)
    right = np.delete(values, 7)
    values[7] = wrong
    assert np.flatnonzero(gross_errors(values)).tolist() == [7]
    assert mean_and_scale(values) == (right.mean(), right.std())


def test_a_rule_by_standard_deviations_would_see_nothing_among_few_errors() -> None:
    """Errors hide each other: of four among a hundred none is five standard deviations from the mean."""
    values = np.random.default_rng(0).normal(size=100)
    values[:4] = 1e3, 1.1e3, 1.2e3, 1.3e3
    assert not (np.abs(values - values.mean()) > 6 * values.std()).any()
    assert gross_errors(values).sum() == 4


def test_three_in_a_hundred_are_errors_and_one_in_ten_are_not() -> None:
    rng = np.random.default_rng(1)
    for share, expected in ((0.03, True), (0.1, False)):
        values = rng.normal(size=1000)
        values[: int(1000 * share)] += 25 * rng.choice([-1, 1], size=int(1000 * share))
        assert gross_errors(values).any() == expected


def test_a_positive_column_must_be_far_in_logs_too() -> None:
    values = np.exp(1.5 * np.random.default_rng(0).normal(size=300))
    assert not gross_errors(values).any()
    assert gross_errors(-values).any() == gross_errors(values - values.min()).any() == (values > 1e9).any()
    values[5] = 1e6
    assert np.flatnonzero(gross_errors(values)).tolist() == [5]


def test_what_scales_and_shifts_a_column_scales_and_shifts_its_units() -> None:
    values = np.random.default_rng(0).normal(size=300)
    values[9] = -5e5
    mean, scale = mean_and_scale(values)
    assert mean_and_scale(3 + 2 * values) == pytest.approx((3 + 2 * mean, 2 * scale))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for size in (1e-90, 1e90):
            assert mean_and_scale(values * size) == pytest.approx((mean * size, scale * size))


def table(wrong: Mapping[str, float] = MappingProxyType({}), *, gap: bool = False) -> str:
    n = 100
    rng = np.random.default_rng(0)
    columns = {"a": rng.normal(size=n), "b": rng.normal(size=n), "y": rng.normal(30, 5, size=n)}
    for place, value in wrong.items():
        columns[place[0]][int(place[1:])] = value
    cells = [[repr(float(cell)) for cell in row] for row in zip(*columns.values(), strict=True)]
    if gap:
        for row in cells[: n // 2]:
            row[1] = ""
    return lines(",".join(columns), [",".join(row) for row in cells])


def test_errors_are_named_by_row_and_columns_keep_their_units(tmp_path: Path) -> None:
    clean = made(tmp_path / "a.csv", table())
    row = int(clean.row_train[0])
    found = made(tmp_path / "a.csv", table({f"y{row}": 30_000, f"b{row}": -1e6}))
    assert [(doubt.code, doubt.column, doubt.row) for doubt in found.doubts] == [
        ("gross-value", "y", row + 2),
        ("gross-value", "b", row + 2),
    ]
    assert clean.doubts == ()
    assert [place.partition(":")[0] for place in other_doubts(found)] == [f"column 'y', row {row + 2}"]
    others = clean.y_train[1:] * clean.target_scale + clean.target_mean
    assert (found.target_mean, found.target_scale) == pytest.approx((others.mean(), others.std()))
    assert found.feature_scale == pytest.approx(clean.feature_scale, rel=0.05)
    assert found.y_train[0] * found.target_scale + found.target_mean == pytest.approx(30_000), "it is kept"


def test_an_error_among_the_test_rows_alone_is_named_and_changes_nothing(tmp_path: Path) -> None:
    clean = made(tmp_path / "a.csv", table())
    row = int(clean.row_test[0])
    found = made(tmp_path / "a.csv", table({f"y{row}": 30_000}))
    assert [(doubt.column, doubt.row) for doubt in found.doubts] == [("y", row + 2)]
    assert (found.target_mean, found.target_scale) == (clean.target_mean, clean.target_scale)


def test_missing_values_do_not_make_others_look_far_away(tmp_path: Path) -> None:
    clean = made(tmp_path / "a.csv", table(gap=True))
    assert [doubt.code for doubt in clean.doubts] == ["value-missing"]
    row = next(int(row) for row in clean.row_train if row >= 50)
    found = made(tmp_path / "a.csv", table({f"b{row}": 1e7}, gap=True))
    assert ("gross-value", "b", row + 2) in [(doubt.code, doubt.column, doubt.row) for doubt in found.doubts]
    assert found.feature_scale == pytest.approx(clean.feature_scale, rel=0.1)


def test_a_series_names_the_row_of_its_value_once(tmp_path: Path) -> None:
    values = np.random.default_rng(0).normal(size=120)
    values[40] = 1e5
    text = lines("y", [repr(float(value)) for value in values])
    split: dict[str, Any] = {"method": "time", "stratify": False, "seed": None}
    series = {"lags": 3, "horizon": 2, "time": None}
    found = made(tmp_path / "a.csv", text, task="timeseries", series=series, **split)
    assert [(doubt.code, doubt.column, doubt.row) for doubt in found.doubts] == [("gross-value", "y", 42)]
    assert np.abs(found.x_train).max() > 1e4 and (found.feature_scale < 2).all()


@pytest.mark.parametrize("is_wrong", [False, True])
def test_with_a_gross_error_candidates_are_compared_with_heavy_tails(
    monkeypatch: pytest.MonkeyPatch, is_wrong: bool
) -> None:
    """And heavy tails are taken unless other noise is better by more than a standard error."""
    seen: list[str] = []

    def fit(x: Any, y: Any, left_out: Any, *, settings: Any, **_: Any) -> CheapFit:
        seen.append(settings.likelihood.family)
        return CheapFit(np.zeros(len(left_out[1])), 1.0)

    monkeypatch.setattr(race, "cheap_fit", fit)
    x, y = rows()
    y[3] += 1e4 * is_wrong
    chosen, _ = choice.choose(x, y, n_classes=None, settings=settings_of())
    expected = "student_t" if is_wrong else "gaussian"
    assert chosen["likelihood"]["family"] == seen[0] == expected
    assert seen.count(expected) > seen.count("heteroscedastic")


@pytest.mark.parametrize(("scales", "expected"), [(6.5, "log_normal"), (14.0, "student_t")])
def test_a_tail_in_logs_is_no_error_of_a_target(
    monkeypatch: pytest.MonkeyPatch, scales: float, expected: str
) -> None:
    """Log-normal noise that varies has values that pass for errors in a column: its logs have heavy tails."""

    def fit(x: Any, y: Any, left_out: Any, **_: Any) -> CheapFit:
        return CheapFit(np.zeros(len(left_out[1])), 1.0)

    monkeypatch.setattr(race, "cheap_fit", fit)
    x, _ = rows()
    logs = np.linspace(-1.7, 1.7, len(x))
    logs[3] = scales
    values = np.exp(logs)
    assert gross_errors(values)[3], "of a column it counts as one"
    unit = race.Unit(float(values.mean()), float(values.std()))
    y = (values - unit.mean) / unit.scale
    chosen, _ = choice.choose(x, y, n_classes=None, settings=settings_of(), unit=unit)
    assert chosen["likelihood"]["family"] == expected
