"""Figures as SVG files: plain arrays in, files out. The only part of the package that imports matplotlib."""

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from bnn.plots.canvas import PathLike, axis_label
from bnn.plots.predictions import (
    Band,
    ClassificationTest,
    RegressionTest,
    band_along_feature,
    observed_predicted,
    prediction_intervals,
    reliability,
    uncertainty,
)
from bnn.plots.sampler import LogDensityTrace, convergence, log_density_rank, log_density_trace

__all__ = [
    "Band",
    "ClassificationTest",
    "LogDensityTrace",
    "RegressionTest",
    "axis_label",
    "band_along_feature",
    "convergence",
    "figure_names",
    "log_density_rank",
    "log_density_trace",
    "observed_predicted",
    "plot_dataset",
    "prediction_intervals",
    "reliability",
    "uncertainty",
]


def figure_names(task: str, n_features: int) -> tuple[str, ...]:
    """Names (without suffix) of the figures that `plot_dataset` writes, in the order in which they are read.

    Raises
    ------
    ValueError
        If the task is neither "classification" nor "regression".
    """
    if task == "classification":
        predictions: tuple[str, ...] = ("reliability", "uncertainty")
    elif task == "regression":
        predictions = (("band",) if n_features == 1 else ()) + ("prediction_intervals", "observed_predicted")
    else:
        raise ValueError(f"task is {task!r}, but must be 'classification' or 'regression'")
    return (*predictions, "log_density_trace", "log_density_rank", "convergence")


def plot_dataset(
    folder: PathLike,
    *,
    trace: LogDensityTrace,
    diagnostics: Mapping[str, np.ndarray],
    thresholds: Mapping[str, float],
    test: ClassificationTest | RegressionTest,
    band: Band | None,
) -> dict[str, Path]:
    """Write every figure that applies to a dataset as `<folder>/<name>.svg`.

    Parameters
    ----------
    folder
        Where the files go; made if need be.
    trace
        Log density of the chains.
    diagnostics
        Variables of `diagnostics.nc`, of which `rhat_<split>` and `ess_bulk_<split>` are used, for the splits
        train and test.
    thresholds
        `rhat_warn`, `rhat_fail`, `ess_warn`, `ess_fail`: the section `diagnostics` of the config.
    test
        Observations and predictions of the test rows; its type decides which figures of predictions are
        drawn.
    band
        Predictions over a grid, for a regression on one feature; else None.

    Returns
    -------
    Name of each figure -> path of its file, in the order of `figure_names`.
    """
    draw: dict[str, Callable[[Path], None]] = {}
    if isinstance(test, ClassificationTest):
        correct = np.argmax(test.probability["bnn"], axis=-1) == test.y
        draw["reliability"] = lambda path: reliability(path, test.y, test.probability)
        draw["uncertainty"] = lambda path: uncertainty(path, test.aleatoric, test.epistemic, correct)
    else:
        if band is not None:
            draw["band"] = lambda path: band_along_feature(path, band)
        draw["prediction_intervals"] = lambda path: prediction_intervals(path, test)
        draw["observed_predicted"] = lambda path: observed_predicted(path, test)
    draw["log_density_trace"] = lambda path: log_density_trace(path, trace)
    draw["log_density_rank"] = lambda path: log_density_rank(path, trace.log_density, trace.chain_ids)
    rhat = {split: diagnostics[f"rhat_{split}"] for split in ("train", "test")}
    ess_bulk = {split: diagnostics[f"ess_bulk_{split}"] for split in ("train", "test")}
    draw["convergence"] = lambda path: convergence(path, rhat, ess_bulk, thresholds)
    paths = {name: Path(folder) / f"{name}.svg" for name in draw}
    for name, path in paths.items():
        draw[name](path)
    return paths
