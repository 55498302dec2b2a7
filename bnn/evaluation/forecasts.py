"""What each model predicts for the rows of a split, in one form for all models and in original target units."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from bnn.core.errors import ResultError
from bnn.data.dataset import Dataset
from bnn.evaluation.metrics import crps_of_sorted, pit_of_rows
from bnn.evaluation.quantile_forecasts import QuantileForecast
from bnn.evaluation.reference_forecasts import Mixture
from bnn.posterior.posterior_file import PREDICTIONS, StoredPosterior, log_density_of_rows
from bnn.posterior.predictive import (
    ClassSummary,
    TargetSummary,
    class_summary,
    intervals_of_sorted,
    mixture_log_density,
    target_summary,
)

REFERENCES = ("baseline", "ensemble", "linear", "boosting")
"""Models that the Bayesian network is compared with."""

NAIVE = "naive"
"""One more of a time series: the last known value."""

CURVE_LEVELS = tuple(round(0.05 * step, 2) for step in range(1, 20))
"""What the central intervals of a forecast hold."""

_ROWS_AT_ONCE = 256


class TargetForecast(NamedTuple):
    """Predictive distributions of a real target, and what they say about the observed values; all in its unit."""

    mean: np.ndarray
    """(obs,)"""
    sd: np.ndarray
    """(obs,): standard deviation of a new observation; NaN where quantiles alone are predicted"""
    nll: np.ndarray
    """(obs,): negative log density of the observed value, nats; NaN likewise"""
    crps: np.ndarray
    """(obs,)"""
    pit: np.ndarray
    """(obs,): probability of a value below the observed one"""
    lower: np.ndarray
    """(level, obs): ends of the central intervals of `CURVE_LEVELS`"""
    upper: np.ndarray
    """(level, obs)"""
    has_density: bool = True
    """Whether a density is predicted, and with it a standard deviation"""

    def interval(self, level: float) -> tuple[np.ndarray, np.ndarray]:
        """Return the ends of the central interval of one of `CURVE_LEVELS`, each (obs,)."""
        index = CURVE_LEVELS.index(level)
        return self.lower[index], self.upper[index]


def observed(dataset: Dataset, split: str) -> np.ndarray:
    """Return the targets of a split, shape (obs,): class indices, or values in original target units."""
    y = dataset.y_train if split == "train" else dataset.y_test
    if dataset.task == "classification":
        return y
    found = dataset.target_mean + dataset.target_scale * y
    # Standardising rounds, and draws of counts and zeros are compared with these for equality.
    rounding = (
        8 * np.finfo(np.float64).eps * (abs(dataset.target_mean) + np.abs(found) + dataset.target_scale)
    )
    return np.where(np.abs(found - np.rint(found)) <= rounding, np.rint(found), found)


def times_of(values: np.ndarray, dataset: Dataset) -> np.ndarray:
    """Return times of a time series as they are read: numbers, or datetime64 where they are dates."""
    return values.astype("datetime64[s]") if dataset.time_is_date else values


def positive_class(dataset: Dataset) -> int:
    """Return the class that precision is of where there are two: the rarer one of the training rows, else the last."""
    count = np.bincount(dataset.y_train, minlength=dataset.n_outputs)
    return int(np.flatnonzero(count == count.min())[-1])


def posterior_summary(idata: StoredPosterior, dataset: Dataset, split: str) -> ClassSummary | TargetSummary:
    """Return the predictive distribution of every row of a split, and how its spread splits; original units."""
    group = idata[PREDICTIONS[split]]
    if dataset.task == "classification":
        return class_summary(group["probability"])
    return target_summary(group["mean"], group["noise_sd"])


def posterior_forecast(idata: StoredPosterior, dataset: Dataset, split: str) -> TargetForecast:
    """Return the predictive distributions of the Bayesian network; regression only."""
    group, y = idata[PREDICTIONS[split]], observed(dataset, split)
    log_density = log_density_of_rows(idata, split)
    summary = target_summary(group["mean"], group["noise_sd"])
    crps, pit = np.empty(len(y)), np.empty(len(y))
    ends = np.empty((2, len(CURVE_LEVELS), len(y)))
    for start in range(0, len(y), _ROWS_AT_ONCE):
        rows = slice(start, start + _ROWS_AT_ONCE)
        block = np.asarray(group["y"][:, :, rows], dtype=np.float64)
        ordered = np.sort(block.reshape(-1, block.shape[-1]), axis=0)
        crps[rows] = crps_of_sorted(ordered, y[rows])
        ends[:, :, rows] = intervals_of_sorted(ordered, CURVE_LEVELS)
        pit[rows] = pit_of_rows(ordered, y[rows], start)
    nll = -mixture_log_density(log_density)
    return TargetForecast(summary.mean, np.sqrt(summary.total), nll, crps, pit, ends[0], ends[1])


def pit_of_draws(draws: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return the probability integral transform (obs,) of y, of draws (chain, draw, obs) read some rows at a time."""
    pit = np.empty(len(y))
    for start in range(0, len(y), _ROWS_AT_ONCE):
        rows = slice(start, start + _ROWS_AT_ONCE)
        block = np.asarray(draws[:, :, rows], dtype=np.float64)
        pit[rows] = pit_of_rows(block.reshape(-1, block.shape[-1]), y[rows], start)
    return pit


def mixture_forecast(mixture: Mixture, y: np.ndarray) -> TargetForecast:
    """Return the predictive distributions of a reference, judged by the observed values (obs,)."""
    lower, upper = mixture.intervals(CURVE_LEVELS)
    nll, crps, pit = -mixture.log_density(y), mixture.crps(y), mixture.cdf(y)
    has_density = not isinstance(mixture, QuantileForecast)
    return TargetForecast(mixture.mean, mixture.sd, nll, crps, pit, lower, upper, has_density)


def models_in(references: Mapping[str, np.ndarray]) -> tuple[str, ...]:
    """Return the names of the models in the file that `bnn.baselines.reference.fit_references` made."""
    return (*REFERENCES, NAIVE) if f"{NAIVE}_test_mean" in references else REFERENCES


def check_rows(idata: StoredPosterior, dataset: Dataset, references: Mapping[str, np.ndarray]) -> None:
    """Raise ValueError if the rows of the posterior or of the references are not those of the table."""
    kind = "probability" if dataset.task == "classification" else "mean"
    for split in ("train", "test"):
        rows = dataset.row_numbers(split)
        if not np.array_equal(idata[PREDICTIONS[split]]["obs_id"].values, rows):
            raise ResultError(
                "other-rows",
                f"{dataset.name}: the posterior was computed on other {split} rows than the table has",
                value="bnn",
            )
        for model in models_in(references):
            own = f"{model}_{split}_output"
            predicted = references[own if own in references else f"{model}_{split}_{kind}"]
            found = predicted.shape[-2 if kind == "probability" else -1]
            if found != len(rows):
                raise ResultError(
                    "other-rows",
                    f"{dataset.name}: {model} predicts {found} {split} rows, the table has {len(rows)}",
                    value=model,
                )
