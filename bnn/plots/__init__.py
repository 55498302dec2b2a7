"""Figures as SVG files: plain arrays in, files out. The only part of the package that imports matplotlib."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bnn.plots.calibration import coverage, pit, reliability
from bnn.plots.canvas import PathLike, axis_label
from bnn.plots.chains import ChainRun, acceptance, energy, worst_points
from bnn.plots.checks import loo_pareto_k, out_of_distribution, predictive_checks, prior_sensitivity
from bnn.plots.classes import predicted_classes
from bnn.plots.comparison import differences
from bnn.plots.effects import importance, partial_dependence
from bnn.plots.predictions import (
    AlongTime,
    Band,
    ClassificationTest,
    RegressionTest,
    band_along_feature,
    density,
    intervals_along_time,
    observed_predicted,
)
from bnn.plots.sampler import LogDensityTrace, log_density_rank, log_density_trace

__all__ = [
    "AlongTime",
    "Band",
    "ChainRun",
    "CheckArrays",
    "ClassificationTest",
    "LogDensityTrace",
    "RegressionTest",
    "acceptance",
    "axis_label",
    "band_along_feature",
    "coverage",
    "density",
    "differences",
    "energy",
    "figure_names",
    "importance",
    "intervals_along_time",
    "log_density_rank",
    "log_density_trace",
    "loo_pareto_k",
    "observed_predicted",
    "out_of_distribution",
    "partial_dependence",
    "pit",
    "plot_dataset",
    "predicted_classes",
    "predictive_checks",
    "prior_sensitivity",
    "reliability",
    "worst_points",
]


@dataclass(frozen=True)
class CheckArrays:
    """Arrays of checks.nc.

    Attributes
    ----------
    posterior
        Replicated statistics, (draw,) each, in the order of checks.json.
    loo_k, loo_rows
        Pareto k of each training row, and its number in the source table; (obs,).
    """

    posterior: Sequence[np.ndarray]
    loo_k: np.ndarray
    loo_rows: np.ndarray


def figure_names(task: str, n_features: int, *, is_series: bool = False) -> tuple[str, ...]:
    """Names (without suffix) of the figures that `plot_dataset` writes, in the order in which they are read.

    A time series is a regression whose rows have times.

    Raises
    ------
    ValueError
        If the task is neither "classification" nor "regression".
    """
    if task == "classification":
        predictions: tuple[str, ...] = ("reliability", "classes")
        model: tuple[str, ...] = ("posterior_predictive",)
    elif task == "regression":
        shown = "along_time" if is_series else "band" if n_features == 1 else "observed_predicted"
        predictions = ("coverage", shown)
        model = ("density", "pit", "posterior_predictive")
    else:
        raise ValueError(f"task is {task!r}, but must be 'classification' or 'regression'")
    checks = (*model, "prior_sensitivity", "loo_pareto_k")
    sampler = ("log_density_trace", "log_density_rank", "worst_points", "acceptance", "energy")
    effects = ("effects", "partial_dependence")
    return ("differences", *predictions, *effects, "out_of_distribution", *checks, *sampler)


def plot_dataset(
    folder: PathLike,
    *,
    trace: LogDensityTrace,
    run: ChainRun,
    diagnostics: Mapping[str, np.ndarray],
    summary: Mapping[str, Any],
    test: ClassificationTest | RegressionTest,
    band: Band | None,
    metrics: Mapping[str, Any],
    checks: Mapping[str, Any],
    arrays: CheckArrays,
    rng: np.random.Generator,
    along_time: AlongTime | None = None,
) -> dict[str, Path]:
    """Write every figure that applies to a dataset as `<folder>/<name>.svg`.

    Parameters
    ----------
    folder
        Where the files go; made if need be.
    trace
        Log density of the chains.
    run
        How they ran.
    diagnostics
        Variables of `diagnostics.nc`, of which `rhat_<split>`, `ess_bulk_<split>` and `row_<split>` are used, for the
        splits train and test.
    summary, metrics, checks
        Contents of diagnostics.json, metrics.json and checks.json.
    test
        Observations and predictions of the test rows; its type decides which figures of predictions are
        drawn.
    band
        Predictions over a grid, for a regression on one feature; else None.
    arrays
        Of checks.nc.
    rng
        Draws what chance alone would do.
    along_time
        Forecasts of a time series; else None.

    Returns
    -------
    Name of each figure -> path of its file, in the order of `figure_names`.
    """
    draw: dict[str, Callable[[Path], None]] = {}
    unit, thresholds = metrics["target_unit"], summary["thresholds"]
    draw["differences"] = lambda path: differences(path, metrics)
    if isinstance(test, ClassificationTest):
        draw["reliability"] = lambda path: reliability(path, test.probability, test.y, rng)
        draw["classes"] = lambda path: predicted_classes(
            path, test.probability["bnn"], test.y, test.class_names
        )
    else:
        draw["coverage"] = lambda path: coverage(path, metrics["calibration"])
        if along_time is not None:
            draw["along_time"] = lambda path: intervals_along_time(path, along_time)
        elif band is not None:
            draw["band"] = lambda path: band_along_feature(path, band)
        else:
            draw["observed_predicted"] = lambda path: observed_predicted(path, test)
    target_label = "" if isinstance(test, ClassificationTest) else test.target_label
    draw["effects"] = lambda path: importance(path, checks["effects"])
    draw["partial_dependence"] = lambda path: partial_dependence(path, checks["effects"], target_label)
    draw["out_of_distribution"] = lambda path: out_of_distribution(path, checks["out_of_distribution"])
    if isinstance(test, RegressionTest):
        draw["density"] = lambda path: density(path, test)
        draw["pit"] = lambda path: pit(path, test.pit, rng)
    draw["posterior_predictive"] = lambda path: predictive_checks(
        path, checks["posterior_predictive"], arrays.posterior, unit=unit
    )
    draw["prior_sensitivity"] = lambda path: prior_sensitivity(path, checks["sensitivity"])
    limit = checks["loo"]["k_threshold"]
    draw["loo_pareto_k"] = lambda path: loo_pareto_k(path, arrays.loo_k, arrays.loo_rows, limit)
    draw["log_density_trace"] = lambda path: log_density_trace(path, trace)
    ess = summary["log_density"]["ess_bulk"]
    draw["log_density_rank"] = lambda path: log_density_rank(
        path, trace.log_density, trace.chain_ids, ess, rng
    )
    draw["worst_points"] = lambda path: worst_points(path, diagnostics, thresholds)
    draw["acceptance"] = lambda path: acceptance(path, run)
    draw["energy"] = lambda path: energy(path, trace.log_density, trace.chain_ids)
    paths = {name: Path(folder) / f"{name}.svg" for name in draw}
    for name, path in paths.items():
        draw[name](path)
    return paths
