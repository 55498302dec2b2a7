"""Coverage before and after conformal calibration, and the calibrated intervals and label sets of the test rows."""

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from bnn.core.settings import FAMILIES
from bnn.data.dataset import Dataset
from bnn.evaluation.forecasts import observed
from bnn.evaluation.metrics import mean_width
from bnn.evaluation.scores import LEVELS
from bnn.model.targets import BOUNDS
from bnn.posterior.conformal import interval_scores, label_sets, limits, set_scores
from bnn.posterior.posterior_file import PREDICTIONS, StoredPosterior, likelihood_of
from bnn.posterior.predictive import ClassSummary, TargetSummary, intervals_of_sorted

_ROWS_AT_ONCE = 256


class Calibrated(NamedTuple):
    """What metrics.json and predictions.csv say of conformal calibration."""

    entry: dict[str, Any]
    """Of metrics.json"""
    columns: dict[str, np.ndarray]
    """Of predictions.csv, (obs,) each"""


def calibrated(
    idata: StoredPosterior,
    dataset: Dataset,
    summary: ClassSummary | TargetSummary,
    found: Mapping[str, Any],
    rng: np.random.Generator,
) -> Calibrated:
    """Judge the intervals or label sets of the Bayesian network on the test rows, as they are and calibrated.

    Parameters
    ----------
    idata, dataset
        The posterior and its table.
    summary
        Its predictive distribution of the test rows.
    found
        Content of conformal.json.
    rng
        Source of the parts of atoms (see `bnn.posterior.conformal.interval_scores`).
    """
    scores = np.array([math.inf if score is None else score for score in found["scores"]])
    after = limits(scores, LEVELS)
    if isinstance(summary, ClassSummary):
        levels, columns = _of_classes(dataset, summary.probability, after)
    else:
        levels, columns = _of_target(idata, dataset, after, rng)
    entry = {"n_rows": len(scores), "n_folds": found["n_folds"], "levels": levels}
    return Calibrated(entry, columns)


def _of_classes(
    dataset: Dataset, probability: np.ndarray, after: np.ndarray
) -> tuple[list[dict[str, Any]], dict[str, np.ndarray]]:
    scores, levels = set_scores(probability, dataset.y_test), []
    columns: dict[str, np.ndarray] = {}
    for level, limit in zip(LEVELS, after, strict=True):
        # As they are: the fewest of the most probable classes whose probabilities sum to the level.
        before = np.nextafter(level, 0.0)
        sets = {"before": label_sets(probability, before), "after": label_sets(probability, limit)}
        entry: dict[str, Any] = {"level": level, "limit": float(limit)}
        for name, most in (("before", before), ("after", limit)):
            size = sets[name].sum(axis=1)
            entry[name] = {
                "coverage": float(np.mean(scores <= most)),
                "size": float(size.mean()),
                "share_of_one": float(np.mean(size == 1)),
            }
        levels.append(entry)
        for index, label in enumerate(dataset.class_names):
            columns[f"bnn_set_{100 * level:.0f}_{label}"] = sets["after"][:, index].astype(np.int64)
    return levels, columns


def _of_target(
    idata: StoredPosterior, dataset: Dataset, after: np.ndarray, rng: np.random.Generator
) -> tuple[list[dict[str, Any]], dict[str, np.ndarray]]:
    y, draws = observed(dataset, "test"), idata[PREDICTIONS["test"]]["y"]
    every = (*LEVELS, *after)
    scores, ends = np.empty(len(y)), np.empty((2, len(every), len(y)))
    for start in range(0, len(y), _ROWS_AT_ONCE):
        rows = slice(start, start + _ROWS_AT_ONCE)
        block = np.asarray(draws[:, :, rows], dtype=np.float64)
        block = np.sort(block.reshape(-1, block.shape[-1]), axis=0)
        scores[rows] = interval_scores(block, y[rows], rng.random(len(y[rows])))
        ends[:, :, rows] = intervals_of_sorted(block, every)
    ends = np.clip(ends, *BOUNDS[FAMILIES[likelihood_of(idata).family].form])
    levels = []
    columns: dict[str, np.ndarray] = {}
    for index, (level, limit) in enumerate(zip(LEVELS, after, strict=True)):
        entry: dict[str, Any] = {"level": level, "limit": float(limit)}
        for name, place in (("before", index), ("after", len(LEVELS) + index)):
            lower, upper = ends[:, place]
            held = (lower <= y) & (y <= upper)  # ends included, as in predictions.csv
            entry[name] = {"coverage": float(np.mean(held)), "width": mean_width(lower, upper)}
        levels.append(entry)
        for end, column in zip(("lower", "upper"), ends[:, len(LEVELS) + index], strict=True):
            columns[f"bnn_{end}_{100 * level:.0f}_conformal"] = column
    return levels, columns
