"""Figures of predictions of classes: which are taken for which, and how sure of its class is each row."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bnn.plots.canvas import (
    BLUE,
    INK,
    SKY,
    VERMILLION,
    WIDTH,
    PathLike,
    points,
    save,
    save_message,
    shortened,
    styled,
)

_MAX_CLASSES = 10
"""Classes that are drawn; of more, those with most test rows."""


@styled
def predicted_classes(
    path: PathLike, probability: np.ndarray, y: np.ndarray, class_names: tuple[str, ...]
) -> None:
    """Draw the confusion matrix of the test rows, and the probability that each gave to its true class.

    Parameters
    ----------
    path
        The SVG file.
    probability
        (obs, class) of the BNN.
    y
        (obs,) class index.
    class_names
        In the order of the indices.
    """
    title = "Predicted classes of the test rows"
    if not len(y):
        return save_message(path, title, "There is no test row to show.")
    predicted = probability.argmax(axis=1)
    size = np.bincount(y, minlength=len(class_names))
    shown = np.sort(np.argsort(-size, kind="stable")[:_MAX_CLASSES])
    names = [shortened(class_names[index], 12) for index in shown]
    of_true, is_right = probability[np.arange(len(y)), y], predicted == y
    if len(class_names) > len(shown):
        # The others as one: none of their rows, and no error towards them, is lost.
        others = np.setdiff1d(np.arange(len(class_names)), shown)
        y, predicted = y.copy(), predicted.copy()
        y[np.isin(y, others)] = predicted[np.isin(predicted, others)] = others[0]
        shown = np.append(shown, others[0])
        names = [*names, f"{len(others)} others"]
    figure = Figure(figsize=(WIDTH, 0.46 * len(shown) + 2.4), layout="constrained")
    matrix_axes, strip_axes = figure.subplots(2, 1, height_ratios=(1.1, 1))
    counts = np.zeros((len(class_names), len(class_names)), dtype=np.int64)
    np.add.at(counts, (y, predicted), 1)
    _matrix(matrix_axes, counts[np.ix_(shown, shown)], names)
    place = {index: lane for lane, index in enumerate(shown)}
    for right, colour, marker in ((True, BLUE, "o"), (False, VERMILLION, "X")):
        chosen = np.flatnonzero(is_right == right)
        # Rows of a class lie side by side in its lane, in the order of the table.
        spread = np.array([0.3 * ((row * 0.618034) % 1 - 0.5) * 2 for row in chosen])
        lane = np.array([place[y[row]] for row in chosen], dtype=float) + spread
        points(strip_axes, of_true[chosen], lane, color=colour, marker=marker, markersize=4, alpha=0.7)
    strip_axes.set_yticks(range(len(names)), labels=names)
    strip_axes.set(xlim=(-0.03, 1.03), ylim=(len(names) - 0.5, -0.5))
    strip_axes.set(xlabel="Probability given to the true class", ylabel="True class")
    strip_axes.tick_params(axis="y", length=0, labelcolor=INK)
    save(figure, path, title)


def _matrix(axes: Axes, counts: np.ndarray, names: list[str]) -> None:
    total = np.maximum(counts.sum(axis=1, keepdims=True), 1)
    for row, column in np.ndindex(*counts.shape):
        if counts[row, column]:
            colour = SKY if row == column else VERMILLION
            share = 0.15 + 0.6 * counts[row, column] / total[row, 0]
            axes.fill_between(
                (column - 0.48, column + 0.48), row - 0.46, row + 0.46, color=colour, alpha=share, linewidth=0
            )
        axes.text(column, row, str(counts[row, column]), ha="center", va="center", color=INK)
    axes.set_xticks(range(len(names)), labels=names, rotation=30 if len(names) > 3 else 0)
    axes.set_yticks(range(len(names)), labels=names)
    axes.set(xlim=(-0.5, len(names) - 0.5), ylim=(len(names) - 0.5, -0.5))
    axes.set(xlabel="Predicted class", ylabel="True class")
    axes.grid(False)
    axes.tick_params(length=0, labelcolor=INK)
