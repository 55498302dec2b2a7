"""Scores of the predictions of any model, row by row.

A row's score comes from the same functions whichever model predicted: those of `bnn.evaluation`, and here those of
mixtures of normals whose scales differ between rows, and of quantiles.
"""

import math
from pathlib import Path

import numpy as np

from bnn.core.storage import read_json, read_netcdf
from bnn.data.dataset import Dataset
from bnn.evaluation import metrics
from bnn.evaluation.forecasts import (
    TargetForecast,
    mixture_forecast,
    observed,
    posterior_forecast,
    posterior_summary,
)
from bnn.evaluation.reference_forecasts import reference_mixture
from bnn.posterior.mixture import gaussian_log_density, log_mean_exp
from bnn.posterior.posterior_file import PosteriorFile, likelihood_of
from bnn.posterior.predictive import ClassSummary, intervals_of_sorted, predicted_class

LEVEL = 0.9
"""What the intervals hold whose coverage is a score."""
QUANTILES = tuple(round(0.05 * step, 2) for step in range(1, 20))
"""Levels at which quantile regression predicts; the first and the last are the ends of the interval."""
_DRAWS = 10_000
"""Draws of a mixture of normals from which its CRPS and its interval are taken, some for each component."""

Rows = dict[str, np.ndarray]
"""Score -> (obs,)"""


def class_rows(probability: np.ndarray, y: np.ndarray) -> Rows:
    """Return the scores of class probabilities: `nll` (nats), `brier` (0 to 2), `correct` (0 or 1).

    Parameters
    ----------
    probability
        Shape (obs, class).
    y
        Class indices, (obs,).
    """
    with np.errstate(divide="ignore"):
        nll = -np.log(probability[np.arange(len(y)), y])
    brier = ((probability - np.eye(probability.shape[1])[y]) ** 2).sum(axis=1)
    return {"nll": nll, "brier": brier, "correct": (predicted_class(probability) == y).astype(float)}


def forecast_rows(forecast: TargetForecast, y: np.ndarray) -> Rows:
    """Return `nll` (nats), `crps`, `error` (mean - y) and `covered` (0 or 1) of the forecasts of `bnn.evaluation`."""
    lower, upper = forecast.interval(LEVEL)
    rows = _target_rows(y, forecast.mean, forecast.crps, lower, upper) | {"nll": forecast.nll}
    # An end of the interval has a probability of its own where values are counts or zeros.
    inside = metrics.is_inside(lower, upper, y, pit=forecast.pit, level=LEVEL)
    return rows | {"covered": np.where(np.isnan(rows["covered"]), np.nan, inside)}


def normal_rows(means: np.ndarray, scales: np.ndarray, y: np.ndarray, rng: np.random.Generator) -> Rows:
    """Return the scores of mixtures of normals of equal weight, as `forecast_rows` does.

    One component has a closed form. CRPS and interval of several are those of draws, as many of each component, and of
    each one in every equal share of its probability, which leaves hardly any noise.

    Parameters
    ----------
    means, scales
        Means and standard deviations in the unit of y, (component, obs).
    y
        Shape (obs,).
    rng
        Source of the draws.
    """
    from scipy.special import ndtr, ndtri

    mean = means.mean(axis=0)
    nll = -log_mean_exp(gaussian_log_density(means, scales, y), 0)
    if len(means) == 1:
        z = (y - mean) / scales[0]
        # Gneiting & Raftery 2007, eq. 5.
        density = np.exp(-0.5 * z * z) / math.sqrt(2 * math.pi)
        crps = scales[0] * (z * (2 * ndtr(z) - 1) + 2 * density - 1 / math.sqrt(math.pi))
        reach = scales[0] * ndtri(0.5 + LEVEL / 2)
        return _target_rows(y, mean, crps, mean - reach, mean + reach) | {"nll": nll}
    each = -(-_DRAWS // len(means))
    crps, ends = np.empty(len(y)), np.empty((2, len(y)))
    for row in range(len(y)):
        share = (np.arange(each) + rng.random((len(means), each))) / each
        ordered = np.sort((means[:, row, None] + scales[:, row, None] * ndtri(share)).ravel())[:, None]
        crps[row] = metrics.crps_of_sorted(ordered, y[row : row + 1])[0]
        ends[:, row] = intervals_of_sorted(ordered, [LEVEL])[:, 0, 0]
    return _target_rows(y, mean, crps, *ends) | {"nll": nll}


def quantile_rows(quantiles: np.ndarray, mean: np.ndarray, y: np.ndarray) -> Rows:
    """Return the scores of predicted quantiles, which say nothing of a density: no `nll`.

    CRPS is the integral over all levels of twice the quantile loss (Gneiting & Ranjan 2011, eq. 4), by Simpson's rule
    with a loss of 0 at the levels 0 and 1. For a normal distribution it comes out 0.05 % too small, by the plain mean
    of the losses 0.4 %. Quantiles that cross are sorted (Chernozhukov, Fernández-Val & Galichon 2010).

    Parameters
    ----------
    quantiles
        Of the levels `QUANTILES`, (level, obs), in the unit of y.
    mean
        Predicted mean, (obs,).
    y
        Shape (obs,).
    """
    level, ordered = np.array(QUANTILES)[:, None], np.sort(quantiles, axis=0)
    loss = 2 * (level - (y < ordered)) * (y - ordered)
    weight = np.where(np.arange(len(loss)) % 2, 2.0, 4.0) / (3 * (len(loss) + 1))
    return _target_rows(y, mean, weight @ loss, ordered[0], ordered[-1])


def _target_rows(
    y: np.ndarray, mean: np.ndarray, crps: np.ndarray, lower: np.ndarray, upper: np.ndarray
) -> Rows:
    covered = ((lower <= y) & (y <= upper)).astype(float)
    covered[~(np.isfinite(lower) & np.isfinite(upper))] = np.nan
    return {"crps": np.asarray(crps), "error": mean - y, "covered": covered}


def means_of_rows(rows: Rows) -> dict[str, float]:
    """Return the scores of a split: means over its rows, the RMSE, and what share of rows is right or covered."""
    names = {"nll": "nll", "crps": "crps", "brier": "brier", "covered": "coverage", "correct": "accuracy"}
    found = {names[name]: float(values.mean()) for name, values in rows.items() if name in names}
    if "error" in rows:
        found["rmse"] = math.sqrt(np.mean(rows["error"] ** 2))
    return found


def workflow_rows(folder: Path) -> dict[str, Rows]:
    """Return the scores of the Bayesian network, `bnn`, and of the deep ensemble, `ensemble`.

    Parameters
    ----------
    folder
        What the workflow wrote for a dataset.

    Raises
    ------
    ValueError
        If their means are not what metrics.json says, which a report shows.
    """
    dataset = Dataset.load(folder / "data.nc")
    references, _ = read_netcdf(folder / "baseline.nc")
    posterior, y = PosteriorFile(folder / "posterior.nc"), observed(dataset, "test")
    summary = posterior_summary(posterior, dataset, "test")
    if isinstance(summary, ClassSummary):
        found = {
            "bnn": class_rows(summary.probability, y),
            "ensemble": class_rows(references["ensemble_test_probability"], y),
        }
    else:
        likelihood = likelihood_of(posterior)
        ensemble = mixture_forecast(reference_mixture(references, "ensemble", "test", dataset, likelihood), y)
        found = {
            "bnn": forecast_rows(posterior_forecast(posterior, dataset, "test"), y),
            "ensemble": forecast_rows(ensemble, y),
        }
    shown = read_json(folder / "metrics.json")["models"]
    for model, rows in found.items():
        for name, value in means_of_rows(rows).items():
            other = shown[model]["test"]["coverage_90" if name == "coverage" else name]["value"]
            if not np.isclose(value, math.nan if other is None else other, rtol=1e-6, equal_nan=True):
                raise ValueError(f"{folder}: {name} of {model} is {value}, but metrics.json says {other}")
    return found
