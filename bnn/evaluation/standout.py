"""The test rows to look at: where the Bayesian network is least sure, and where it is most wrong."""

from typing import Any

import numpy as np

from bnn.data.dataset import Dataset
from bnn.evaluation.forecasts import TargetForecast, observed
from bnn.evaluation.naming import row_entries
from bnn.posterior.far_rows import relative_distance, why_far
from bnn.posterior.predictive import ClassSummary, TargetSummary, predicted_class

N_ROWS = 10


def standout_rows(
    dataset: Dataset, summary: ClassSummary | TargetSummary, forecast: TargetForecast | None
) -> dict[str, list[dict[str, Any]]]:
    """Return the rows of largest total uncertainty and of largest negative log density or probability, worst first.

    Parameters
    ----------
    dataset
        The table.
    summary
        Predictive distribution of the test rows.
    forecast
        The same of a real target, with intervals; None for classes.
    """
    if isinstance(summary, ClassSummary):
        with np.errstate(divide="ignore"):
            nll = -np.log(summary.probability[np.arange(len(dataset.y_test)), dataset.y_test])
    else:
        assert forecast is not None
        nll = forecast.nll
    order = {"most_uncertain": summary.total, "most_wrong": nll}
    # Zeros and ones are inputs of scale 1; their standard deviation is less, the more so the rarer one of them is.
    deviation = dataset.x_train.std(axis=0)
    deviation = np.where(deviation > 0, deviation, 1.0)
    largest = {name: _largest(values) for name, values in order.items()}
    rows = sorted({row for found in largest.values() for row in found})
    x_train, x = (dataset.entering(x) for x in (dataset.x_train, dataset.x_test[rows]))
    far = dict(zip(rows, why_far(dataset, x, relative_distance(x_train, x)), strict=True))
    return {
        name: [
            names | _entry(dataset, summary, forecast, nll, deviation, index) | {"far_because": far[index]}
            for index, names in zip(found, row_entries(dataset, "test", found), strict=True)
        ]
        for name, found in largest.items()
    }


def _largest(values: np.ndarray) -> list[int]:
    """Return the indices of the largest values, largest first; equal ones in their order."""
    return np.argsort(-values, kind="stable")[:N_ROWS].tolist()


def _entry(
    dataset: Dataset,
    summary: ClassSummary | TargetSummary,
    forecast: TargetForecast | None,
    nll: np.ndarray,
    deviation: np.ndarray,
    index: int,
) -> dict[str, Any]:
    inputs = dataset.x_test[index]
    parts = {name: getattr(summary, name)[index] for name in ("total", "aleatoric", "epistemic")}
    entry: dict[str, Any] = {}
    if isinstance(summary, ClassSummary):
        probability, y = summary.probability[index], int(dataset.y_test[index])
        guess = int(predicted_class(probability))
        entry |= {"y": dataset.class_names[y], "predicted": dataset.class_names[guess]}
        entry |= {"probability": float(probability[guess]), "probability_of_y": float(probability[y])}
    else:
        assert forecast is not None
        lower, upper = forecast.interval(0.9)
        entry |= {"y": float(observed(dataset, "test")[index]), "predicted": float(summary.mean[index])}
        entry |= {"lower_90": float(lower[index]), "upper_90": float(upper[index])}
        parts = {name: np.sqrt(value) for name, value in parts.items()}
    return entry | {
        "nll": float(nll[index]),
        **{name: float(value) for name, value in parts.items()},
        "features": (dataset.feature_mean + dataset.feature_scale * inputs).tolist(),
        "standardised": (inputs / deviation).tolist(),
    }
