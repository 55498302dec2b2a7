"""Rows far from the training rows: how far, and in which features.

A row is far if its mean distance to the five nearest training rows, in standardised features, is larger than that of
99 % of the training rows to each other. Unlike a box or an ellipse around all rows this also sees a hole in their midst
(k nearest neighbours, Loftsgaarden & Quesenberry 1965).
"""

import numpy as np
from scipy.spatial import cKDTree

from bnn.core import formatting
from bnn.core.settings import INDICATES
from bnn.data.dataset import Dataset

N_NEIGHBOURS = 5
QUANTILE = 0.99
_MOST_ROWS, _MOST_ASKED = 20_000, 500
"""Training rows, spread evenly, among which neighbours are sought, and those of them whose distances say what is usual:
with many features each search looks at nearly all rows."""
_N_NAMED = 2
"""Features that are named for a row."""
_SHARE = 0.2
"""Share of the squared distance from which a second one is."""


def relative_distance(x_train: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Return the mean distance of each row to its nearest training rows, over what is usual among those, (obs,).

    Parameters
    ----------
    x_train, x
        Standardised features, (row, feature) and (obs, feature).
    """
    x_train = _some(x_train, _MOST_ROWS)
    tree = cKDTree(x_train)
    n_neighbours = min(N_NEIGHBOURS, len(x_train) - 1)
    # A training row is its own nearest neighbour, at distance 0: one more is asked for, and that one left out.
    own = tree.query(_some(x_train, _MOST_ASKED), k=range(2, n_neighbours + 2))[0].mean(axis=1)
    usual = np.quantile(own, QUANTILE)
    if usual == 0:
        usual = own.max() or 1.0
    return np.asarray(tree.query(x, k=range(1, n_neighbours + 1))[0].mean(axis=1) / usual)


def _some(rows: np.ndarray, most: int) -> np.ndarray:
    """Return at most so many of the rows, spread evenly."""
    return rows[:: max(1, -(-len(rows) // most))]


def outside_range(x_train: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Return which values lie beyond those of all training rows, (obs, feature) bool."""
    low, high = x_train.min(axis=0), x_train.max(axis=0)
    # Rounding in the standardisation must not push the largest training value itself out of its range.
    slack = 1e-9 * np.maximum(1.0, high - low)
    return np.asarray((x < low - slack) | (x > high + slack))


def why_far(dataset: Dataset, x: np.ndarray, distance: np.ndarray) -> list[str]:
    """Say for each row that is far which features put it there, "" for the others.

    Parameters
    ----------
    dataset
        The table that the network was trained on.
    x
        Standardised features that enter the network, (obs, input).
    distance
        Of `relative_distance`, (obs,).
    """
    far = np.flatnonzero(distance > 1)
    said = [""] * len(x)
    if not len(far):
        return said
    x_train = _some(dataset.entering(dataset.x_train), _MOST_ROWS)
    n_neighbours = min(N_NEIGHBOURS, len(x_train) - 1)
    nearest = cKDTree(x_train).query(x[far], k=range(1, n_neighbours + 1))[1]
    outside = outside_range(dataset.entering(dataset.x_train), x[far])
    for index, row in enumerate(far):
        near = x_train[nearest[index]].mean(axis=0)
        squares = np.square(x[row] - near)
        order = np.argsort(-squares, kind="stable")[:_N_NAMED]
        named = [
            place
            for rank, place in enumerate(order)
            if not rank or outside[index, place] or squares[place] >= _SHARE * squares.sum()
        ]
        parts = [
            _unlike(dataset, place, x[row, place], near[place], outside[index, place]) for place in named
        ]
        said[row] = "; ".join(parts)
    return said


def _unlike(dataset: Dataset, place: int, value: float, near: float, is_outside: bool) -> str:
    """Say how a value differs from those of the training rows, in the unit of its column."""
    mean, scale = dataset.feature_mean[place], dataset.feature_scale[place]
    text = f"{dataset.feature_names[place]} {formatting.as_given(mean + scale * value)}"
    if is_outside:
        ends = (dataset.x_train[:, place].min(), dataset.x_train[:, place].max())
        low, high = (formatting.as_given(mean + scale * end) for end in ends)
        return f"{text} is beyond all training rows ({low} to {high})"
    name = dataset.feature_names[place]
    original, share = mean + scale * value, float(mean + scale * near)
    if name.endswith(INDICATES) and original in (0.0, 1.0):
        state = name if original else f"{name.removesuffix(INDICATES)} is there"
        return f"{state}; of the nearest training rows {formatting.percent(share)} miss it"
    return (
        f"{text}, where the nearest training rows have {formatting.number(mean + scale * near, 3)} on average"
    )
