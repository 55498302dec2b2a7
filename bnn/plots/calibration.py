"""Figures of calibration: do probabilities and intervals hold what they promise?"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bnn.plots.bands import consistency_band, ecdf_band, isotonic
from bnn.plots.canvas import (
    MODELS,
    MUTED,
    SKY,
    WIDTH,
    PathLike,
    legend_above,
    new_figure,
    note,
    reference_line,
    save,
    save_message,
    styled,
)

LEVEL = 0.99
"""What the bands hold."""
_COMPARED = ("bnn", "baseline")
_MOST_POINTS = 500
"""Points of a curve."""


@styled
def reliability(
    path: PathLike, probability: Mapping[str, np.ndarray], y: np.ndarray, rng: np.random.Generator
) -> None:
    """Draw how often rows are right against how sure the model is of them, of BNN and baseline.

    The curve is the increasing one that fits best (CORP; Dimitriadis, Gneiting & Jordan 2021), so no bins are chosen;
    the band is where it would lie if the BNN's probabilities were right.

    Parameters
    ----------
    path
        The SVG file.
    probability
        Model -> (obs, class).
    y
        (obs,) class index.
    rng
        Draws the tables that give the band.
    """
    title = "Reliability of the test rows"
    if not len(y):
        return save_message(path, title, "There is no test row to show.")
    figure = Figure(figsize=(WIDTH, 4.0), layout="constrained")
    axes, count_axes = figure.subplots(2, 1, sharex=True, height_ratios=(4, 1))
    lowest = 1.0
    for model in reversed(_COMPARED):
        confidence = _on_a_grid(probability[model].max(axis=1).astype(np.float64))
        order = np.argsort(confidence, kind="stable")
        x, hit = confidence[order], (probability[model].argmax(axis=1) == y)[order]
        lowest = min(lowest, x[0])
        name, colour, _, line = MODELS[model]
        style: dict[str, Any] = {"color": colour, "linestyle": line, "linewidth": 1.6}
        shown = np.unique(x, return_index=True)[1]
        axes.plot(x[shown], isotonic(x, hit)[shown], label=name, **style)
        count_axes.stairs(*np.histogram(x, np.linspace(1 / probability[model].shape[1], 1, 21)), **style)
        if model == "bnn":
            low, high = consistency_band(x, LEVEL, rng)
            label = f"{100 * LEVEL:.0f} % by chance"
            axes.fill_between(
                x[shown], low[shown], high[shown], color=SKY, alpha=0.35, linewidth=0, label=label
            )
    reference_line(axes, (lowest, 1.0), "calibrated")
    axes.set(ylabel="Share of right rows", ylim=(-0.03, 1.03))
    count_axes.set(xlabel="Probability of the predicted class", ylabel="Rows")
    count_axes.set(xlim=(lowest - 0.02, 1.02), ylim=(0, None))
    count_axes.locator_params(axis="y", nbins=3, integer=True)
    legend_above(figure, n_columns=2)
    save(figure, path, title)


def _on_a_grid(probability: np.ndarray) -> np.ndarray:
    """Return probabilities, of many rows rounded to what can be told apart in a figure, which then stays small."""
    return (
        probability
        if len(probability) <= _MOST_POINTS
        else np.round(probability * _MOST_POINTS) / _MOST_POINTS
    )


@styled
def pit(path: PathLike, values: Mapping[str, np.ndarray], rng: np.random.Generator) -> None:
    """Draw by how much the distribution of the PIT differs from the uniform one, of BNN and baseline.

    Parameters
    ----------
    path
        The SVG file.
    values
        Model -> (obs,) probability that it gave to a value below the observed one.
    rng
        Draws the tables that give the simultaneous band.
    """
    title = "Probability integral transform of the test rows"
    n_rows = len(values["bnn"])
    if not n_rows:
        return save_message(path, title, "There is no test row to show.")
    figure, axes = new_figure()
    z = grid(n_rows)
    chance_band(axes, z, *ecdf_band(n_rows, z, LEVEL, rng))
    for model in reversed(_COMPARED):
        name, colour, _, line = MODELS[model]
        axes.plot(*against_uniform(values[model], z), color=colour, linestyle=line, linewidth=1.6, label=name)
    note(axes, 0.02, 0.98, "↑ predicted too high", MUTED)
    note(axes, 0.02, 0.10, "↓ predicted too low", MUTED)
    axes.set(
        xlim=(0, 1), xlabel="Predicted probability of less than observed (PIT)", ylabel="Share − expected"
    )
    axes.margins(y=0.15)
    legend_above(figure, n_columns=3)
    save(figure, path, title)


def grid(n: int) -> np.ndarray:
    """Return the inner points at which a distribution function of n values is looked at."""
    n_steps = int(np.clip(n, 5, 100))
    return np.arange(1, n_steps) / n_steps


def against_uniform(values: np.ndarray, z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return points of the distribution function minus the uniform one, ends included."""
    share = np.searchsorted(np.sort(values), z, side="right") / len(values)
    return np.concatenate([[0.0], z, [1.0]]), np.concatenate([[0.0], share - z, [0.0]])


def chance_band(axes: Axes, z: np.ndarray, lower: np.ndarray, upper: np.ndarray) -> None:
    """Shade where a distribution function minus the uniform one lies by chance, at all z together."""
    x, label = np.concatenate([[0.0], z, [1.0]]), f"{100 * LEVEL:.0f} % by chance"
    low, high = (np.concatenate([[0.0], ends - z, [0.0]]) for ends in (lower, upper))
    axes.fill_between(x, low, high, color=SKY, alpha=0.35, linewidth=0, label=label)
    axes.axhline(0.0, color=MUTED, linewidth=0.8)


@styled
def coverage(path: PathLike, calibration: Mapping[str, Any]) -> None:
    """Draw the share of test rows inside central intervals against what these are to hold, from metrics.json."""
    figure, axes = new_figure(height=4.0)
    reference_line(axes, (0.0, 100.0), "calibrated")
    points = calibration["bnn"]["coverage"]
    level, low, high = (
        100 * np.array([item[key] for item in points]) for key in ("level", "band_lower", "band_upper")
    )
    label = f"{100 * calibration['bnn']['level']:.0f} % by chance"
    axes.fill_between(level, low, high, color=SKY, alpha=0.35, linewidth=0, label=label)
    for model in reversed(_COMPARED):
        name, colour, _, line = MODELS[model]
        found = [item["coverage"] for item in calibration[model]["coverage"]]
        share = [np.nan if value is None else 100 * value for value in found]
        axes.plot(level, share, color=colour, linestyle=line, linewidth=1.6, label=name)
    axes.set(xlim=(0, 100), ylim=(0, 102))
    axes.set(xlabel="Central interval is to hold [%]", ylabel="Test rows inside [%]")
    legend_above(figure, n_columns=2)
    save(figure, path, "Coverage of the intervals on the test rows")
