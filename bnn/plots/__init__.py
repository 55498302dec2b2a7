"""Figures as SVG files: plain arrays in, files out. The only part of the package that imports matplotlib."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bnn.plots.calibration import coverage, pit, reliability
from bnn.plots.canvas import PathLike, axis_label
from bnn.plots.chains import (
    ChainPredictions,
    ChainRun,
    acceptance,
    chain_agreement,
    energy,
    worst_points,
)
from bnn.plots.checks import loo_pareto_k, out_of_distribution, predictive_checks, prior_sensitivity
from bnn.plots.predictions import (
    AlongTime,
    Band,
    ClassificationTest,
    RegressionTest,
    band_along_feature,
    intervals_along_time,
    observed_predicted,
    prediction_intervals,
    target_uncertainty,
    uncertainty,
)
from bnn.plots.sampler import LogDensityTrace, convergence, log_density_rank, log_density_trace

__all__ = [
    "AlongTime",
    "Band",
    "ChainPredictions",
    "ChainRun",
    "CheckArrays",
    "ClassificationTest",
    "LogDensityTrace",
    "RegressionTest",
    "acceptance",
    "axis_label",
    "band_along_feature",
    "chain_agreement",
    "convergence",
    "coverage",
    "energy",
    "figure_names",
    "intervals_along_time",
    "log_density_rank",
    "log_density_trace",
    "loo_pareto_k",
    "observed_predicted",
    "out_of_distribution",
    "pit",
    "plot_dataset",
    "prediction_intervals",
    "predictive_checks",
    "prior_sensitivity",
    "reliability",
    "target_uncertainty",
    "uncertainty",
    "worst_points",
]


@dataclass(frozen=True)
class CheckArrays:
    """Arrays of checks.nc.

    Attributes
    ----------
    posterior, prior
        Replicated statistics, (draw,) each, in the order of checks.json.
    loo_k, loo_rows
        Pareto k of each training row, and its number in the source table; (obs,).
    """

    posterior: Sequence[np.ndarray]
    prior: Sequence[np.ndarray]
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
        predictions: tuple[str, ...] = ("reliability", "uncertainty")
    elif task == "regression":
        predictions = ("along_time",) * is_series + ("band",) * (n_features == 1)
        predictions += ("prediction_intervals", "observed_predicted")
        predictions += ("pit", "coverage", "uncertainty")
    else:
        raise ValueError(f"task is {task!r}, but must be 'classification' or 'regression'")
    checks = (
        "out_of_distribution",
        "posterior_predictive",
        "prior_predictive",
        "prior_sensitivity",
        "loo_pareto_k",
    )
    sampler = ("log_density_trace", "log_density_rank", "convergence", "worst_points", "acceptance", "energy")
    return (*predictions, *checks, *sampler, "chain_agreement")


def plot_dataset(
    folder: PathLike,
    *,
    trace: LogDensityTrace,
    run: ChainRun,
    agreement: ChainPredictions,
    diagnostics: Mapping[str, np.ndarray],
    thresholds: Mapping[str, float],
    test: ClassificationTest | RegressionTest,
    band: Band | None,
    metrics: Mapping[str, Any],
    checks: Mapping[str, Any],
    arrays: CheckArrays,
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
    agreement
        What each of them predicts.
    diagnostics
        Variables of `diagnostics.nc`, of which `rhat_<split>`, `ess_bulk_<split>` and `row_<split>` are used, for the
        splits train and test.
    thresholds
        `rhat_warn`, `rhat_fail`, `ess_warn`, `ess_fail`: the section `diagnostics` of the config.
    test
        Observations and predictions of the test rows; its type decides which figures of predictions are
        drawn.
    band
        Predictions over a grid, for a regression on one feature; else None.
    metrics, checks
        Contents of metrics.json and checks.json.
    arrays
        Of checks.nc.
    along_time
        Forecasts of a time series; else None.

    Returns
    -------
    Name of each figure -> path of its file, in the order of `figure_names`.
    """
    draw: dict[str, Callable[[Path], None]] = {}
    calibration, unit = metrics["calibration"], metrics["target_unit"]
    if isinstance(test, ClassificationTest):
        correct = np.argmax(test.probability["bnn"], axis=-1) == test.y
        draw["reliability"] = lambda path: reliability(path, calibration)
        draw["uncertainty"] = lambda path: uncertainty(path, test.aleatoric, test.epistemic, correct)
    else:
        if along_time is not None:
            draw["along_time"] = lambda path: intervals_along_time(path, along_time)
        if band is not None:
            draw["band"] = lambda path: band_along_feature(path, band)
        draw["prediction_intervals"] = lambda path: prediction_intervals(path, test)
        draw["observed_predicted"] = lambda path: observed_predicted(path, test)
        draw["pit"] = lambda path: pit(path, calibration)
        draw["coverage"] = lambda path: coverage(path, calibration)
        draw["uncertainty"] = lambda path: target_uncertainty(path, test)
    draw["out_of_distribution"] = lambda path: out_of_distribution(path, checks["out_of_distribution"])
    for kind, title, replicated in (
        ("posterior_predictive", "Posterior predictive checks", arrays.posterior),
        ("prior_predictive", "Prior predictive checks", arrays.prior),
    ):
        draw[kind] = lambda path, kind=kind, title=title, replicated=replicated: predictive_checks(  # type: ignore[misc]
            path, checks[kind], replicated, title=title, unit=unit
        )
    draw["prior_sensitivity"] = lambda path: prior_sensitivity(path, checks["sensitivity"])
    limit = checks["loo"]["k_threshold"]
    draw["loo_pareto_k"] = lambda path: loo_pareto_k(path, arrays.loo_k, arrays.loo_rows, limit)
    draw["log_density_trace"] = lambda path: log_density_trace(path, trace)
    draw["log_density_rank"] = lambda path: log_density_rank(path, trace.log_density, trace.chain_ids)
    rhat = {split: diagnostics[f"rhat_{split}"] for split in ("train", "test")}
    ess_bulk = {split: diagnostics[f"ess_bulk_{split}"] for split in ("train", "test")}
    draw["convergence"] = lambda path: convergence(path, rhat, ess_bulk, thresholds)
    draw["worst_points"] = lambda path: worst_points(path, diagnostics, thresholds)
    draw["acceptance"] = lambda path: acceptance(path, run)
    draw["energy"] = lambda path: energy(path, trace.log_density, trace.chain_ids)
    draw["chain_agreement"] = lambda path: chain_agreement(path, agreement)
    paths = {name: Path(folder) / f"{name}.svg" for name in draw}
    for name, path in paths.items():
        draw[name](path)
    return paths
