"""Figures: the same data give the same bytes, axes are labelled, and odd data still give a file that says so."""

import subprocess
import sys
import xml.etree.ElementTree as ET
from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import pytest

from bnn import plots
from bnn.checks.statistics import Check, summarise
from bnn.evaluation.calibration import target_calibration
from bnn.evaluation.forecasts import mixture_forecast
from bnn.plots import bands, canvas, sampler
from bnn.plots.calibration import against_uniform
from bnn.posterior.mixture import GaussianMixture

LIMITS = {"rhat_warn": 1.01, "rhat_fail": 1.05, "ess_warn": 400, "ess_fail": 100}
MAX_BYTES = 300_000
SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(7)


def make_trace(
    rng: np.random.Generator, n_chains: int = 4, n_draws: int = 300, warmup: bool = True
) -> plots.LogDensityTrace:
    records = np.arange(20, 1001, 20)
    return plots.LogDensityTrace(
        log_density=-60 + rng.normal(size=(n_chains, n_draws)),
        chain_ids=np.arange(n_chains),
        thin=5,
        n_warmup=1000,
        warmup_log_density=-70 + rng.normal(size=(n_chains, len(records))) if warmup else None,
        warmup_iteration=records if warmup else None,
    )


def make_diagnostics(rng: np.random.Generator, shape: tuple[int, ...] = (30, 3)) -> dict[str, np.ndarray]:
    return {
        f"{name}_{split}": values
        for split in ("train", "test")
        for name, values in (
            ("rhat", 1 + 0.001 * rng.random(shape)),
            ("ess_bulk", 2000 * np.exp(0.2 * rng.normal(size=shape))),
            ("ess_tail", np.ones(shape)),
        )
    } | {f"row_{split}": 100 + np.arange(shape[0]) for split in ("train", "test")}


def make_classification(rng: np.random.Generator, n_rows: int = 30) -> plots.ClassificationTest:
    logits = 2 * rng.normal(size=(n_rows, 3))
    probability = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    y = np.where(rng.random(n_rows) < 0.8, probability.argmax(axis=1), rng.integers(0, 3, n_rows))
    models = {"bnn": probability, "baseline": probability[:, [1, 0, 2]], "linear": probability}
    models["ensemble"] = probability
    return plots.ClassificationTest(y, models, ("setosa", "versicolor", "virginica"))


def make_regression(
    rng: np.random.Generator, n_rows: int = 40, label: str = "yield [kg]"
) -> plots.RegressionTest:
    mean = 100 * rng.normal(size=n_rows)
    y = mean + rng.normal(size=n_rows)
    pit = {"bnn": rng.random(n_rows), "baseline": rng.random(n_rows)}
    y_train = 100 * rng.normal(size=60)
    replicated = 100 * rng.normal(size=(50, 60))
    return plots.RegressionTest(y, mean, mean - 1.645, mean + 1.645, pit, label, y_train, replicated)


def make_along_time(rng: np.random.Generator, n_rows: int = 40, dates: bool = False) -> plots.AlongTime:
    time = np.arange(n_rows + 10).astype("datetime64[D]") if dates else np.arange(n_rows + 10.0)
    mean = np.sin(np.arange(n_rows) / 5)
    ends = (mean - 0.5, mean + 0.5, mean - 1, mean + 1)
    y = mean + 0.6 * rng.normal(size=n_rows)
    return plots.AlongTime(time[10:], y, mean, *ends, time[:10], np.zeros(10), "month", "spots [n]")


def make_band(rng: np.random.Generator) -> plots.Band:
    x = np.linspace(-3, 3, 50)
    ends = (np.sin(x) - 0.5, np.sin(x) + 0.5, np.sin(x) - 1, np.sin(x) + 1)
    x_train = rng.uniform(-2, 2, 60)
    return plots.Band(
        x, np.sin(x), *ends, 0.9 * np.sin(x), x_train, np.sin(x_train), "dose [mg]", "yield [kg]"
    )


def make_run(
    rng: np.random.Generator, n_chains: int = 4, n_draws: int = 300, n_explore: int = 200
) -> plots.ChainRun:
    records = np.arange(20, 1001, 20)
    return plots.ChainRun(
        chain_ids=np.arange(n_chains),
        iteration=1000 + 5 * np.arange(1, n_draws + 1),
        acceptance_rate=rng.uniform(0.7, 0.9, (n_chains, n_draws)),
        step_size=np.full((n_chains, n_draws), 0.03),
        warmup_iteration=records,
        warmup_step_size=np.full((n_chains, len(records)), 0.1),
        n_explore=n_explore,
        n_warmup=1000,
        target_acceptance=0.8,
    )


def make_metrics(
    rng: np.random.Generator, test: plots.ClassificationTest | plots.RegressionTest
) -> dict[str, Any]:
    """What the figures need of metrics.json, made by the functions that write it."""
    gap = {"value": 0.1, "lower": -0.1, "upper": 0.3}
    is_class = isinstance(test, plots.ClassificationTest)
    found = dict.fromkeys(("accuracy" if is_class else "rmse", "nll"), gap)
    metrics = {
        "task": "classification" if is_class else "regression",
        "target_unit": "" if is_class else "kg",
        "differences": dict.fromkeys(("baseline", "ensemble", "linear", "boosting"), found),
        "without_density": [] if is_class else ["boosting"],
    }
    if isinstance(test, plots.RegressionTest):
        forecast = mixture_forecast(GaussianMixture(test.mean[None], np.ones(1)), test.y)
        metrics["calibration"] = dict.fromkeys(("bnn", "baseline"), target_calibration(forecast, test.y))
    return metrics


def make_effects() -> dict[str, Any]:
    line = {"class": "", "mean": [1.0, 2.0], "lower": [0.5, 1.5], "upper": [1.5, 2.5]}
    return {
        "importance": [
            {"name": "dose", "value": 0.3, "se": 0.1},
            {"name": "$site$", "value": 0.0, "se": 0.1},
        ],
        "dependence": [
            {
                "name": "dose",
                "values": [3.0, 4.0],
                "labels": [],
                "lines": [line, line | {"class": "virginica"}],
            },
            {"name": "$site$", "values": [], "labels": ["north", "missing"], "lines": [line]},
        ],
    }


def make_checks(rng: np.random.Generator, n_rows: int = 60) -> tuple[dict[str, Any], plots.CheckArrays]:
    statistics = [
        Check("mean", "mean of the targets", rng.normal(size=(2, 100)), 0.1),
        Check("mean confidence", "how sure", rng.random((2, 100)), None),
    ]
    scores = {"nll_mcse": 0.01, "headline": 0.9, "headline_mcse": 0.01}
    factors = [
        {"factor": 0.5, "method": "needs a rerun", "pareto_k": 2.0, "nll": None} | dict.fromkeys(scores),
        {"factor": 0.9, "method": "reweighted", "pareto_k": 0.4, "nll": rng.uniform(0.3, 0.4)} | scores,
        {"factor": 1.0, "method": "as run", "pareto_k": 0.0, "nll": 0.28} | scores,
        {"factor": 2.0, "method": "reweighted", "pareto_k": 0.6, "nll": 0.25} | scores,
    ]
    auroc = {"auroc": rng.uniform(0.75, 0.85), "lower": 0.7, "upper": 0.9}
    models = {"bnn": auroc, "baseline": {"auroc": 0.5, "lower": 0.5, "upper": 0.5}, "ensemble": auroc}
    summary = {
        "posterior_predictive": [summarise(item) for item in statistics],
        "prior_predictive": [summarise(item) for item in statistics],
        "sensitivity": {"k_threshold": 0.7, "slope_nll": -0.1, "factors": factors},
        "out_of_distribution": {
            "score": "predictive entropy",
            "kinds": [{"name": name, "models": models} for name in ("noised", "shifted", "uniform")],
        },
        "loo": {"k_threshold": 0.7},
        "effects": make_effects(),
    }
    replicated = [np.asarray(item.replicated).ravel() for item in statistics]
    k = rng.uniform(0, 0.6, n_rows)
    k[3] = 0.9
    return summary, plots.CheckArrays(replicated, k, np.arange(n_rows))


def texts(path: Path) -> list[str]:
    """Every text of a figure; the file must be well-formed XML."""
    root = ET.fromstring(path.read_bytes())
    assert root.tag == f"{SVG}svg"
    return ["".join(element.itertext()) for element in root.iter(f"{SVG}text")]


@pytest.fixture(scope="module")
def figures(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Every figure, of few rows."""
    return write_all(tmp_path_factory.mktemp("figures"), np.random.default_rng(7))


def write_task(
    folder: Path,
    rng: np.random.Generator,
    test: plots.ClassificationTest | plots.RegressionTest,
    band: plots.Band | None,
    along_time: plots.AlongTime | None = None,
) -> dict[str, Path]:
    """Write every figure of one task."""
    n_rows = len(test.y)
    checks, arrays = make_checks(rng, n_rows)
    shape = (n_rows, 3) if isinstance(test, plots.ClassificationTest) else (n_rows,)
    return plots.plot_dataset(
        folder,
        trace=make_trace(rng),
        run=make_run(rng),
        diagnostics=make_diagnostics(rng, shape),
        summary={"thresholds": LIMITS, "log_density": {"ess_bulk": 900.0}},
        test=test,
        band=band,
        metrics=make_metrics(rng, test),
        checks=checks,
        arrays=arrays,
        rng=rng,
        along_time=along_time,
    )


def write_all(folder: Path, rng: np.random.Generator, n_rows: int = 40) -> dict[str, Path]:
    """Write every figure of both tasks."""
    test = make_regression(rng, n_rows)
    written: dict[str, Path] = {}
    for name, band, along_time in (
        ("plain", None, None),
        ("band", make_band(rng), None),
        ("series", None, make_along_time(rng, n_rows)),
    ):
        written |= write_task(folder / name, rng, test, band, along_time)
    # Figures that both tasks have are those of the classification.
    return written | write_task(folder, rng, make_classification(rng, n_rows), None)


@pytest.mark.slow
@pytest.mark.parametrize("n_features", [1, 4])
def test_plot_dataset_writes_the_figures_that_apply(
    tmp_path: Path, rng: np.random.Generator, n_features: int
) -> None:
    cases: dict[str, plots.ClassificationTest | plots.RegressionTest] = {
        "classification": make_classification(rng),
        "regression": make_regression(rng),
    }
    for task, test in cases.items():
        band = make_band(rng) if n_features == 1 and task == "regression" else None
        written = write_task(tmp_path / task, rng, test, band)
        assert tuple(written) == plots.figure_names(task, n_features)
        assert sorted(written.values()) == sorted((tmp_path / task).iterdir())
        assert {path.stem for path in written.values()} == set(written)
    with pytest.raises(ValueError, match="'ranking'"):
        plots.figure_names("ranking", 1)


def test_a_time_series_has_a_figure_along_time_and_dates_are_dates(
    tmp_path: Path, rng: np.random.Generator
) -> None:
    written = write_task(tmp_path, rng, make_regression(rng), None, make_along_time(rng, dates=True))
    assert tuple(written) == plots.figure_names("regression", 4, is_series=True)
    assert any(text.startswith("1970-0") for text in texts(written["along_time"]))


@pytest.mark.slow
def test_same_data_give_the_same_bytes_whatever_matplotlibrc_says(
    tmp_path: Path, figures: dict[str, Path]
) -> None:
    first = write_all(tmp_path / "a", np.random.default_rng(3), n_rows=800)
    with matplotlib.rc_context({"font.size": 20, "svg.hashsalt": None, "axes.grid": False}):
        second = write_all(tmp_path / "b", np.random.default_rng(3), n_rows=800)
        assert matplotlib.rcParams["font.size"] == 20
    for name in first:
        assert first[name].read_bytes() == second[name].read_bytes(), name
    same = {name for name in first if first[name].read_bytes() == figures[name].read_bytes()}
    assert same <= {"differences", "effects", "partial_dependence"}, (
        "these are of figures that do not change here"
    )


@pytest.mark.slow
def test_figures_are_small_and_hold_no_link_and_no_date(tmp_path: Path, rng: np.random.Generator) -> None:
    for path in write_all(tmp_path, rng, n_rows=20_000).values():
        text = path.read_text(encoding="utf-8")
        assert len(text) < MAX_BYTES, path.name
        rest = text.replace('"http://www.w3.org/2000/svg"', "").replace('"http://www.w3.org/1999/xlink"', "")
        assert "http" not in rest and "<script" not in rest and "<metadata" not in rest
        assert "prefers-color-scheme:dark" in text
        title = ET.fromstring(text).find(f"{SVG}title")
        assert title is not None and title.text


def test_trace_of_a_long_run_stays_small(tmp_path: Path, rng: np.random.Generator) -> None:
    path = tmp_path / "trace.svg"
    plots.log_density_trace(path, make_trace(rng, n_chains=12, n_draws=5000))
    assert path.stat().st_size < MAX_BYTES
    assert "chain 0" not in texts(path)  # a legend of twelve chains would cover the figure


@pytest.mark.parametrize(
    ("name", "labels"),
    [
        (
            "log_density_trace",
            ["Iteration of the chain", "Log density [nats]", "chain 3", "warm-up, not kept"],
        ),
        ("log_density_rank", ["Rank of the log density among all chains", "99 % by chance", "chain 0"]),
        (
            "reliability",
            ["Probability of the predicted class", "Share of right rows", "baseline network", "BNN"],
        ),
        (
            "pit",
            ["Predicted probability of less than observed (PIT)", "Share − expected", "baseline network"],
        ),
        ("coverage", ["Central interval is to hold [%]", "Test rows inside [%]", "99 % by chance"]),
        ("differences", ["Accuracy [percentage points]", "NLL [nats a row]", "BNN better →", "linear model"]),
        ("classes", ["Probability given to the true class", "Predicted class", "virginica"]),
        ("effects", ["dose", "$site$", "Rise of the NLL [nats a row]"]),
        ("partial_dependence", ["dose", "$site$", "north", "missing", "virginica", "Probability"]),
        ("density", ["yield [kg]", "made by the model", "observed"]),
        (
            "out_of_distribution",
            ["noised", "uniform", "deep ensemble", "AUROC (0.5: chance)"],
        ),
        ("posterior_predictive", ["made by the model", "observed", "mean confidence"]),
        (
            "prior_sensitivity",
            [
                "Factor on the scales of the prior",
                "needs a rerun (Pareto k > 0.7)",
                "draws reweighted",
                "0.9",
            ],
        ),
        ("loo_pareto_k", ["Pareto k", "above 0.7: unreliable (1 rows)"]),
        ("worst_points", ["R-hat", "Bulk ESS [draws]", "Rows, worst first", "within the limit"]),
        ("acceptance", ["Acceptance rate", "Step size", "exploration, then warm-up", "chain 3", "target"]),
        ("energy", ["Log density [nats]", "spread", "steps"]),
        ("along_time", ["month", "spots [n]", "BNN, 90 % interval", "BNN, mean", "before, training rows"]),
        ("observed_predicted", ["Predicted yield [kg]", "Observed yield [kg]", "observed = predicted"]),
        ("band", ["dose [mg]", "yield [kg]", "BNN, 50 % interval", "training data"]),
    ],
)
def test_axes_and_lines_are_labelled(figures: dict[str, Path], name: str, labels: list[str]) -> None:
    assert set(labels) <= set(texts(figures[name]))


def test_counts_in_the_legends_are_those_of_the_data(tmp_path: Path, rng: np.random.Generator) -> None:
    path = tmp_path / "figure.svg"
    test = make_regression(rng)
    test.y[:7] = 1e3
    plots.observed_predicted(path, test)
    inside = np.count_nonzero((test.lower_90 <= test.y) & (test.y <= test.upper_90))
    assert {f"inside ({inside} rows)", f"outside ({40 - inside} rows)"} <= set(texts(path))
    rows = make_classification(rng)
    plots.predicted_classes(path, rows.probability["bnn"], rows.y, rows.class_names)
    right = np.count_nonzero(rows.probability["bnn"].argmax(axis=1) == rows.y)
    cells = [int(text) for text in texts(path) if text.isdigit()]
    assert sum(cells) == 30 and sum(cells[::4]) == right
    y = np.arange(144) % 12
    probability = np.eye(12)[np.where(np.arange(144) % 7 == 0, (y + 5) % 12, y)]
    plots.predicted_classes(path, probability, y, tuple(f"class {letter}" for letter in "abcdefghijkl"))
    written = texts(path)
    assert written.count("2 others") == 3, "both axes of the matrix, and a strip"
    assert sum(int(text) for text in written if text.isdigit()) == 144, "no row is lost"


@pytest.mark.parametrize("name", ["_hidden", "$x^2$ costs 5$", "<b>&amp;\"'", "体重\x07", "long " * 30, ""])
def test_names_of_users_are_drawn_as_they_are(tmp_path: Path, rng: np.random.Generator, name: str) -> None:
    path = tmp_path / "figure.svg"
    label = plots.axis_label(name, "µg")
    plots.observed_predicted(path, make_regression(rng, label=label))
    assert f"Observed {label}" in texts(path)
    assert label.isprintable() and len(label) <= 40
    assert plots.axis_label("dose", "") == "dose"


def test_equal_values_share_their_rank_and_draws_are_thinned_to_what_they_are_worth() -> None:
    values = np.array([[1.0, 1.0, 1.0, 1.0], [0.0, 0.5, 2.0, 3.0]])
    assert bands.thinned_ranks(values, None).tolist() == [[0.5] * 4, [0.0625, 0.1875, 0.8125, 0.9375]]
    assert bands.thinned_ranks(np.arange(40.0).reshape(2, 20), 10.0).shape == (2, 5)
    assert bands.thinned_ranks(np.arange(40.0).reshape(2, 20), 1.0).shape == (2, 1)


def test_the_increasing_curve_is_that_of_scikit_learn(rng: np.random.Generator) -> None:
    from sklearn.isotonic import IsotonicRegression

    x = np.sort(np.round(rng.random(200), 2))  # with ties
    hit = rng.random((3, 200)) < x**2
    for row, curve in zip(hit, bands.isotonic(x, hit), strict=True):
        assert curve == pytest.approx(IsotonicRegression().fit_transform(x, row.astype(float)))


def test_bands_hold_what_chance_does_as_often_as_they_say(rng: np.random.Generator) -> None:
    """Four standard errors of 400 tables; and each leaves out what is wrong by a little."""
    z, low_high = np.arange(1, 20) / 20, (0.9 - 0.06, 0.9 + 0.06)
    low, high = bands.ecdf_band(100, z, 0.9, rng)

    def inside(power: float) -> float:
        share = (rng.random((400, 100, 1)) ** power <= z).mean(axis=1)
        return float(((share >= low - 1e-9) & (share <= high + 1e-9)).all(axis=1).mean())

    assert low_high[0] < inside(1.0) < low_high[1] + 0.03  # counts are whole: it holds a little more
    assert inside(1.6) < 0.4
    low, high = bands.rank_band(3, 50, z, 0.9, rng)
    ranks = rng.permuted(np.tile((np.arange(150) + 0.5) / 150, (400, 1)), axis=1).reshape(400, 3, 50, 1)
    share = (ranks <= z).mean(axis=2)
    held = ((share >= low - 1e-9) & (share <= high + 1e-9)).all(axis=(1, 2)).mean()
    assert low_high[0] < held < low_high[1] + 0.03
    x = np.sort(rng.uniform(0.5, 1, 150))
    low, high = bands.consistency_band(x, 0.9, rng)
    curves = bands.isotonic(x, rng.random((400, 150)) < x)
    held = ((curves >= low - 1e-9) & (curves <= high + 1e-9)).mean()
    assert low_high[0] < held < low_high[1] + 0.03


def test_a_wrong_chain_leaves_the_band_of_ranks(tmp_path: Path, rng: np.random.Generator) -> None:
    values = rng.normal(size=(4, 500))
    z = np.arange(1, 20) / 20
    low, high = bands.rank_band(4, 500, z, 0.9, rng)
    for shift, leaves in ((0.0, False), (0.5, True)):
        values[2] += shift
        _, beyond = against_uniform(bands.thinned_ranks(values, None)[2], z)
        share = beyond[1:-1] + z
        assert bool(((share < low) | (share > high)).any()) == leaves


def test_extremes_survive_thinning(rng: np.random.Generator) -> None:
    x, y = np.arange(1000), rng.normal(size=1000)
    y[[137, 138, 700]] = (50.0, -50.0, np.inf)
    y[200:300] = np.nan
    thin_x, thin_y = sampler.extremes(x, y, 20)
    assert len(thin_x) == len(thin_y) <= 40
    assert np.nanmax(thin_y) == 50 and np.nanmin(thin_y) == -50
    assert (np.diff(thin_x) > 0).all()
    assert np.isnan(thin_y[(thin_x >= 200) & (thin_x < 300)]).all()
    shown = np.isfinite(thin_y)
    assert (y[thin_x[shown]] == thin_y[shown]).all()
    short_x, short_y = sampler.extremes(x[:3], np.array([1.0, -np.inf, 2.0]), 20)
    assert short_x.tolist() == [0, 1, 2] and np.isnan(short_y[1])


def test_the_worst_rows_are_named(tmp_path: Path, rng: np.random.Generator) -> None:
    found = make_diagnostics(rng, (30, 3))
    found["rhat_test"][7, 1] = 1.3
    found["ess_bulk_train"][4, 2] = 17.0
    found["rhat_train"][2] = np.nan
    path = tmp_path / "figure.svg"
    plots.worst_points(path, found, LIMITS)
    said = texts(path)
    assert "worst: row 107 (test), 1.3000" in said
    assert "worst: row 104 (train), 17" in said
    assert "beyond it" in said and "Rows, worst first, 1 not computable" in said


def test_energy_tells_chains_that_crawl_from_independent_draws(
    tmp_path: Path, rng: np.random.Generator
) -> None:
    """The ratio of variances is 2(1 - correlation of successive draws): 2 for white noise, 0.02 for 0.99."""
    white = rng.normal(size=5000)
    crawl = np.empty(5000)
    crawl[0] = 0
    for index in range(1, 5000):
        crawl[index] = 0.99 * crawl[index - 1] + np.sqrt(1 - 0.99**2) * white[index]
    path = tmp_path / "figure.svg"
    plots.energy(path, np.stack([rng.normal(size=5000), crawl]), [0, 1])
    ratios = [float(text.split()[2]) for text in texts(path) if text.startswith("chain")]
    assert ratios[0] == pytest.approx(2, abs=0.1) and 0.01 < ratios[1] < 0.05
    plots.energy(path, np.full((2, 50), -np.inf), [0, 1])
    assert texts(path) == ["The log density is not finite in every draw, or there are too few draws."]


def test_what_was_observed_once_for_each_draw_is_shaded(tmp_path: Path, rng: np.random.Generator) -> None:
    path, values = tmp_path / "figure.svg", [rng.standard_normal(200)]
    number = Check("largest", "of the targets", values[0][None], 0.1)
    of_draws = Check("residual", "of the draw", values[0][None], rng.standard_normal((1, 200)))
    for given, is_shaded in ((number, False), (of_draws, True)):
        plots.predictive_checks(path, [summarise(given)], values, unit="")
        assert ("opacity: 0.25" in path.read_text(encoding="utf-8")) is is_shaded


def test_checks_without_a_finite_k_say_so(tmp_path: Path) -> None:
    path = tmp_path / "figure.svg"
    plots.loo_pareto_k(path, np.full(4, np.inf), np.arange(4), 0.7)
    assert texts(path) == ["Pareto k could not be computed for any row."]
    plots.loo_pareto_k(path, np.array([0.2, np.inf]), np.arange(2), 0.7)
    assert "1 not finite, not shown" in texts(path)


def test_degenerate_draws_give_a_figure_that_says_so(tmp_path: Path, rng: np.random.Generator) -> None:
    path = tmp_path / "figure.svg"
    trace = make_trace(rng)
    trace.log_density[1, :3] = (-np.inf, np.nan, np.inf)
    plots.log_density_trace(path, trace)
    assert "3 draws without a finite log density are not shown" in texts(path)
    trace.log_density[:] = -np.inf
    plots.log_density_trace(path, trace)
    assert texts(path) == ["No draw has a finite log density."]
    plots.log_density_rank(path, np.empty((2, 0)), [0, 1], None, rng)
    assert texts(path) == ["The chains have too few draws to be ranked."]
    # Of chains that disagree all draws are ranked, without a band that so few effective ones would give.
    plots.log_density_rank(
        path, np.repeat([[0.0], [1.0]], 30, axis=1) + rng.random((2, 30)), [0, 1], 2.0, rng
    )
    assert {"no band: too few effective draws for one", "chain 1"} <= set(texts(path))
    # One chain that never moved, without records of the warm-up.
    frozen = plots.LogDensityTrace(np.full((1, 50), -3.0), [7], 1, 10, None, None)
    plots.log_density_trace(path, frozen)
    assert "chain 7" in texts(path) and "warm-up, not kept" not in texts(path)
    plots.log_density_rank(path, frozen.log_density, frozen.chain_ids, None, rng)
    assert "chain 7" in texts(path)


def test_missing_test_rows_give_a_figure_that_says_so(tmp_path: Path, rng: np.random.Generator) -> None:
    path = tmp_path / "figure.svg"
    regression, classes = make_regression(rng, n_rows=0), make_classification(rng, n_rows=0)
    draw: list[Callable[[], None]] = [
        lambda: plots.observed_predicted(path, regression),
        lambda: plots.pit(path, regression.pit, rng),
        lambda: plots.reliability(path, classes.probability, classes.y, rng),
        lambda: plots.predicted_classes(path, classes.probability["bnn"], classes.y, classes.class_names),
    ]
    for write in draw:
        write()
        assert texts(path) == ["There is no test row to show."]


def test_constant_predictions_still_have_axes(tmp_path: Path, rng: np.random.Generator) -> None:
    zero, path = np.zeros(4), tmp_path / "figure.svg"
    test = plots.RegressionTest(
        zero, zero, zero, zero, {"bnn": zero, "baseline": zero}, "y", zero, zero[None]
    )
    plots.observed_predicted(path, test)
    assert "inside (4 rows)" in texts(path)
    plots.density(path, test)
    assert "observed" in texts(path)
    plots.pit(path, test.pit, rng)
    assert "BNN" in texts(path)
    assert canvas.padded(np.array([np.nan]), 0.1) == (0.0, 1.0)


def test_counts_get_bars_and_amounts_a_share_of_zeros(rng: np.random.Generator, tmp_path: Path) -> None:
    for form, made, word in (
        ("count", rng.poisson(3.0, (20, 60)).astype(float), "Rows (axis of square roots)"),
        ("hurdle", rng.gamma(2.0, 3.0, (20, 60)) * (rng.random((20, 60)) < 0.6), "Share of rows that are 0"),
        ("logit", rng.beta(0.8, 3.0, (20, 60)), "Density"),
    ):
        y = made[0]
        test = plots.RegressionTest(y, y, y, y, {"bnn": y, "baseline": y}, "y", y, made[1:], form)
        plots.density(tmp_path / f"{form}.svg", test)
        assert word in texts(tmp_path / f"{form}.svg")
        plots.observed_predicted(tmp_path / f"{form}.svg", test)


@pytest.mark.parametrize("name", ["rmse", "nll"])
def test_a_difference_that_is_not_finite_is_said(tmp_path: Path, rng: np.random.Generator, name: str) -> None:
    path = tmp_path / "figure.svg"
    metrics = make_metrics(rng, make_regression(rng))
    metrics["differences"]["linear"] = metrics["differences"]["linear"] | {name: None}
    plots.differences(path, metrics)
    assert texts(path).count("not finite") == 1


def test_the_nll_of_quantiles_is_said_not_to_be_there(tmp_path: Path, rng: np.random.Generator) -> None:
    path = tmp_path / "figure.svg"
    metrics = make_metrics(rng, make_regression(rng))
    none = dict.fromkeys(("value", "lower", "upper"))
    metrics["differences"]["boosting"] = metrics["differences"]["boosting"] | {"nll": none}
    plots.differences(path, metrics)
    assert texts(path).count("predicts no density") == 1 and "not finite" not in texts(path)


def test_failed_write_leaves_the_old_figure(tmp_path: Path, rng: np.random.Generator) -> None:
    path = tmp_path / "figure.svg"
    path.write_text("old", encoding="utf-8")
    with pytest.raises(ValueError, match="zip"):
        plots.log_density_trace(path, plots.LogDensityTrace(np.zeros((2, 5)), [0], 1, 1, None, None))
    assert path.read_text(encoding="utf-8") == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_plots_do_not_import_pyplot() -> None:
    code = "import sys, bnn.plots; raise SystemExit('matplotlib.pyplot' in sys.modules)"
    assert (
        subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parents[2], check=False).returncode
        == 0
    )


@pytest.mark.parametrize(
    ("p_value", "text"), [(0.0, "p < 0.0005"), (1.0, "p > 1 − 0.0005"), (0.371, "p = 0.37")]
)
def test_a_p_value_of_no_draws_is_a_bound(p_value, text):
    assert plots.checks._p_text({"p_value": p_value, "n_replicates": 2000}) == text
