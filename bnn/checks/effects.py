"""What drives the predictions: which columns matter, and in which direction, with errors and bands.

Columns are those of the table: the features that a column of texts, or of missing values, became go together. All is
computed from kept draws in the space of the features, so that it holds for every kind of column, however many levels or
gaps it has: a missing value is one more state of its column, and no grid is made from missing numbers.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from bnn.data.dataset import Dataset
from bnn.posterior.mixture import log_mean_exp
from bnn.posterior.predictor import Predictor

LEVEL = 0.9
"""What the bands of the partial dependence hold."""
_MAX_DRAWS, _MAX_ROWS, _N_SHUFFLES = 100, 200, 3
_MAX_COLUMNS = 30
"""Columns that are shuffled in full; of a wider table those that matter most by a rough look."""
_ROUGH_DRAWS, _ROUGH_ROWS = 10, 50
_N_SHOWN = 3
"""Columns whose partial dependence is computed."""
_N_POINTS, _MAX_LEVELS = 20, 12
_TAILS = (0.02, 0.98)
"""Quantiles between which numbers are varied: beyond them there are few rows."""


class _Column(NamedTuple):
    name: str
    kind: str
    features: tuple[int, ...]
    """Those that hold its value: one of numbers, one a level of texts."""
    indicator: int | None
    """The one that says where it is missing."""

    @property
    def every(self) -> list[int]:
        return [*self.features, *(() if self.indicator is None else (self.indicator,))]


def effects(
    dataset: Dataset, predictor: Predictor, theta: np.ndarray, rng: np.random.Generator
) -> dict[str, Any]:
    """Return permutation importance of the columns, and partial dependence of those that matter most.

    Importance is by how much the negative log likelihood of the test rows rises when the values of a column are
    shuffled among them (Breiman 2001; Fisher, Rudin & Dominici 2019): a mean over rows, with its standard error.
    Partial dependence is the mean prediction when a column has one value in every training row (Friedman 2001), with a
    central band over draws.

    Parameters
    ----------
    dataset
        The table.
    predictor
        Turns draws into predictions.
    theta
        Shape (chain, draw, param).
    rng
        Picks rows and shuffles.

    Returns
    -------
    The entry `effects` of checks.json.
    """
    flat = _thinned(theta.reshape(-1, theta.shape[-1]), _MAX_DRAWS)
    columns = columns_of(dataset)
    rows = _some(len(dataset.x_test), _MAX_ROWS, rng)
    x, y = dataset.x_test[rows], dataset.y_test[rows]
    chosen: Sequence[_Column] = columns
    if len(columns) > _MAX_COLUMNS:
        few, rough = slice(_ROUGH_ROWS), _thinned(flat, _ROUGH_DRAWS)
        found = _importance(columns, predictor, rough, x[few], y[few], 1, rng)
        order = np.argsort([-entry["value"] for entry in found], kind="stable")[:_MAX_COLUMNS]
        chosen = [columns[index] for index in order]
    importance = _importance(chosen, predictor, flat, x, y, _N_SHUFFLES, rng)
    order = np.argsort([-entry["value"] for entry in importance], kind="stable")
    background = dataset.x_train[_some(len(dataset.x_train), _MAX_ROWS // 2, rng)]
    return {
        "level": LEVEL,
        "n_rows": len(rows),
        "n_columns": len(columns),
        "importance": [importance[index] for index in order],
        "dependence": [
            _dependence(chosen[index], dataset, predictor, flat, background) for index in order[:_N_SHOWN]
        ],
    }


def columns_of(dataset: Dataset) -> list[_Column]:
    """Return the columns that became features, with the places of these."""
    if dataset.columns is None:
        return [_Column(name, "number", (index,), None) for index, name in enumerate(dataset.feature_names)]
    found, start = [], 0
    for column in dataset.columns:
        # Features stand in the order of the columns, the one of missing values last in its column.
        places = tuple(range(start, start + len(column.features)))
        start += len(places)
        # What an exposure does is no finding: the mean is in proportion to it.
        if places and column.kind != "exposure":
            indicator = places[-1] if column.has_indicator else None
            values = places[:-1] if column.has_indicator else places
            found.append(_Column(column.name, column.kind, values, indicator))
    return found


def _importance(
    columns: Sequence[_Column],
    predictor: Predictor,
    theta: np.ndarray,
    x: np.ndarray,
    y: np.ndarray,
    n_shuffles: int,
    rng: np.random.Generator,
) -> list[dict[str, Any]]:
    before = _nll(predictor, theta, x, y)
    orders = [rng.permutation(len(x)) for _ in range(n_shuffles)]
    found = []
    for column in columns:
        rises = np.zeros(len(x))
        for order in orders:
            shuffled = x.copy()
            shuffled[:, column.every] = x[order][:, column.every]
            rises += (_nll(predictor, theta, shuffled, y) - before) / n_shuffles
        error = float(rises.std(ddof=1) / np.sqrt(len(x))) if len(x) > 1 else float("nan")
        found.append({"name": column.name, "value": float(rises.mean()), "se": error})
    return found


def _nll(predictor: Predictor, theta: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return the negative log likelihood of each row, (obs,), nats."""
    blocks = [np.asarray(block.log_density) for block in predictor.stream(theta, x, y)]
    return -log_mean_exp(np.concatenate(blocks), 0)


def _dependence(
    column: _Column, dataset: Dataset, predictor: Predictor, theta: np.ndarray, background: np.ndarray
) -> dict[str, Any]:
    values, labels, states = _states(column, dataset)
    curves = []
    for state in states:
        x = background.copy()
        x[:, column.every] = state
        curves.append(np.concatenate([block.value.mean(axis=1) for block in predictor.stream(theta, x)]))
    # (draw, point), or (draw, point, class).
    found = np.stack(curves, axis=1)
    shown = [None] if found.ndim == 2 else _classes(found)
    tails = [0.5 - LEVEL / 2, 0.5 + LEVEL / 2]
    lines = []
    for index in shown:
        line = found if index is None else found[..., index]
        lower, upper = np.quantile(line, tails, axis=0)
        name = "" if index is None else dataset.class_names[index]
        ends = {"mean": line.mean(axis=0), "lower": lower, "upper": upper}
        lines.append({"class": name} | {key: array.tolist() for key, array in ends.items()})
    return {"name": column.name, "values": values, "labels": labels, "lines": lines}


def _states(column: _Column, dataset: Dataset) -> tuple[list[float], list[str], list[np.ndarray]]:
    """Return the values of a column of numbers, or labels of another one, and what its features are at each."""
    mean, scale = dataset.feature_mean[column.every], dataset.feature_scale[column.every]

    def standardised(original: np.ndarray) -> np.ndarray:
        return np.asarray((original - mean) / scale)

    # The state of a value that is missing: its commonest features among the rows that miss it.
    missing = []
    if column.indicator is not None:
        place = column.indicator
        original = dataset.feature_mean[place] + dataset.feature_scale[place] * dataset.x_train[:, place]
        rows = dataset.x_train[original > 0.5]
        missing = [rows[0][column.every]] if len(rows) else []
    if column.kind == "number" and column.features:
        place = column.features[0]
        known = np.ones(len(dataset.x_train), dtype=bool)
        if column.indicator is not None:
            known = original <= 0.5
        values = dataset.feature_mean[place] + dataset.feature_scale[place] * dataset.x_train[known, place]
        unique = np.unique(values)
        if len(unique) > _N_POINTS:
            low, high = np.quantile(values, _TAILS)
            unique = np.unique(np.linspace(low, high, _N_POINTS))
        rest = np.zeros(len(column.every) - 1)
        states = [standardised(np.concatenate([[value], rest])) for value in unique]
        return unique.tolist(), [], states
    if column.kind == "boolean":
        rest = np.zeros(len(column.every) - 1)
        labels = ["false", "true"]
        states = [standardised(np.concatenate([[value], rest])) for value in (0.0, 1.0)]
    else:
        share = (
            dataset.x_train[:, column.features].mean(axis=0) * dataset.feature_scale[list(column.features)]
        )
        share = share + dataset.feature_mean[list(column.features)]
        common = np.argsort(-share, kind="stable")[:_MAX_LEVELS]
        labels = [_level(dataset.feature_names[column.features[index]], column.name) for index in common]
        states = [standardised(np.eye(len(column.every))[index]) for index in common]
    if missing:
        labels, states = [*labels, "missing"], [*states, *missing]
    return [], labels, states


def _level(feature: str, column: str) -> str:
    """Return what a feature of a column of texts stands for, without the name of the column before it."""
    rest = feature.removeprefix(column).lstrip("= _:")
    return rest or feature


def _classes(found: np.ndarray) -> list[int]:
    """Return the classes that are shown: the second of two, else the four whose probability changes most."""
    n_classes = found.shape[2]
    if n_classes == 2:
        return [1]
    change = np.ptp(found.mean(axis=0), axis=0)
    return sorted(np.argsort(-change, kind="stable")[:4].tolist())


def _thinned(theta: np.ndarray, most: int) -> np.ndarray:
    return theta[:: max(1, len(theta) // most)][:most]


def _some(n_rows: int, most: int, rng: np.random.Generator) -> np.ndarray:
    rows = np.arange(n_rows)
    return rows if n_rows <= most else np.sort(rng.permutation(n_rows)[:most])
