"""Figures of predictions: are they right, and are they as sure as they should be?"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullFormatter, NullLocator

from bnn.model.targets import BOUNDS
from bnn.plots.canvas import (
    BLUE,
    INK,
    MAX_MARKERS,
    MODELS,
    MUTED,
    SKY,
    VERMILLION,
    WIDTH,
    PathLike,
    legend_above,
    new_figure,
    padded,
    points,
    reference_line,
    save,
    save_message,
    styled,
)

_MOST_BARS = 40
"""Bars of counts; of more counts each bar holds several."""
_DECADES = 100.0
"""Ratio of the largest to the smallest of positive values beyond which axes are logarithmic."""


@dataclass(frozen=True)
class ClassificationTest:
    """Test rows of a classification.

    Attributes
    ----------
    y
        (obs,) class index.
    probability
        Model (see `bnn.plots.canvas.MODELS`) -> (obs, class); the posterior mean for "bnn".
    class_names
        In the order of the indices.
    """

    y: np.ndarray
    probability: Mapping[str, np.ndarray]
    class_names: tuple[str, ...]


@dataclass(frozen=True)
class RegressionTest:
    """Test rows of a regression, in the target's own units, and what the model makes of the training rows.

    Attributes
    ----------
    y
        (obs,) observed values.
    mean
        (obs,) predicted mean of the BNN.
    lower_90, upper_90
        (obs,) bounds of the BNN's central 90 % interval for a new observation.
    pit
        Model -> (obs,) predicted probability of less than the observed value.
    target_label
        Name and unit of the target, see `axis_label`.
    y_train
        (train obs,) observed values.
    replicated
        (draw, train obs) values that the fitted model makes in their place.
    form
        What values the target's family can have, see `bnn.model.targets.BOUNDS`.
    """

    y: np.ndarray
    mean: np.ndarray
    lower_90: np.ndarray
    upper_90: np.ndarray
    pit: Mapping[str, np.ndarray]
    target_label: str
    y_train: np.ndarray
    replicated: np.ndarray
    form: str = "standardised"


@dataclass(frozen=True)
class Band:
    """Predictions along the only feature, in original units: (grid,), but for the training data (obs,)."""

    x_grid: np.ndarray
    bnn_mean: np.ndarray
    lower_50: np.ndarray
    upper_50: np.ndarray
    lower_90: np.ndarray
    upper_90: np.ndarray
    baseline_mean: np.ndarray
    x_train: np.ndarray
    y_train: np.ndarray
    feature_label: str
    target_label: str


@dataclass(frozen=True)
class AlongTime:
    """Forecasts of the test rows of a time series in the order of time, in original units: (obs,) each.

    Attributes
    ----------
    time
        When each value was observed: numbers, or datetime64.
    y
        Observed values.
    mean, lower_50, upper_50, lower_90, upper_90
        Predicted mean of the BNN, and ends of its central intervals for a new observation.
    time_before, y_before
        The last training rows, for the eye.
    time_label, target_label
        Labels of the axes.
    """

    time: np.ndarray
    y: np.ndarray
    mean: np.ndarray
    lower_50: np.ndarray
    upper_50: np.ndarray
    lower_90: np.ndarray
    upper_90: np.ndarray
    time_before: np.ndarray
    y_before: np.ndarray
    time_label: str
    target_label: str


@styled
def intervals_along_time(path: PathLike, series: AlongTime) -> None:
    """Draw the BNN's mean and 50 % and 90 % intervals along time, and what was observed before and then."""
    figure, axes = new_figure(height=4.0)
    y = series.y
    inside = (y >= series.lower_90) & (y <= series.upper_90)
    for low, high, share, colour in (
        (series.lower_90, series.upper_90, 90, SKY),
        (series.lower_50, series.upper_50, 50, BLUE),
    ):
        label = f"BNN, {share} % interval"
        band = axes.fill_between(series.time, low, high, color=colour, alpha=0.35, linewidth=0, label=label)
        band.set_rasterized(len(y) > MAX_MARKERS)
    is_long = len(y) > 4 * MAX_MARKERS
    before = (series.time_before, series.y_before, MUTED, "before, training rows")
    for time, values, colour, label in ((series.time, series.mean, BLUE, "BNN, mean"), before):
        axes.plot(time, values, color=colour, linewidth=1.0, label=label, rasterized=is_long)
    label = f"observed, inside ({np.count_nonzero(inside)} rows)"
    points(axes, series.time[inside], y[inside], color=INK, marker="o", markersize=1.8, label=label)
    label = f"observed, outside ({np.count_nonzero(~inside)} rows)"
    points(axes, series.time[~inside], y[~inside], color=VERMILLION, marker="X", markersize=5, label=label)
    axes.set(xlabel=series.time_label, ylabel=series.target_label)
    axes.margins(x=0.01)
    for tick in axes.get_xticklabels():
        tick.set(rotation=30, ha="right")
    legend_above(figure, n_columns=2)
    save(figure, path, "Forecasts of the test rows along time")


@styled
def observed_predicted(path: PathLike, test: RegressionTest) -> None:
    """Draw what was observed against the BNN's mean and 90 % interval of each test row."""
    title = "Observed against predicted values of the test rows"
    y, mean = test.y, test.mean
    if len(y) == 0:
        return save_message(path, title, "There is no test row to show.")
    figure, axes = new_figure(height=4.0)
    gap = np.full(len(y), np.nan)  # ends each bar, so that all bars are one short path in the file
    x_bars = np.stack([mean, mean, gap], axis=1).ravel()
    y_bars = np.stack([test.lower_90, test.upper_90, gap], axis=1).ravel()
    width = float(np.clip(150 / len(y), 0.5, 3))
    (bars,) = axes.plot(x_bars, y_bars, color=SKY, linewidth=width, alpha=0.45, label="90 % interval")
    bars.set(solid_capstyle="butt", rasterized=len(y) > MAX_MARKERS)
    scale = _scale(np.concatenate([y, mean, test.lower_90]), y, test.form)
    reference_line(
        axes, padded(mean, 0.05) if not scale else (mean.min(), mean.max()), "observed = predicted"
    )
    inside = (y >= test.lower_90) & (y <= test.upper_90)
    for chosen, name, colour, marker, size in (
        (inside, "inside", INK, "o", 2.5),
        (~inside, "outside", VERMILLION, "X", 5),
    ):
        label = f"{name} ({np.count_nonzero(chosen)} rows)"
        points(axes, mean[chosen], y[chosen], color=colour, marker=marker, markersize=size, label=label)
    axes.set(xlabel=f"Predicted {test.target_label}", ylabel=f"Observed {test.target_label}")
    if scale:
        axes.set_xscale(**scale)
        axes.set_yscale(**scale)
        plain_decades(axes.xaxis)
        plain_decades(axes.yaxis)
    legend_above(figure, n_columns=2)
    save(figure, path, title)


def _scale(values: np.ndarray, y: np.ndarray, form: str) -> dict[str, Any]:
    """Return a logarithmic scale if observed values need it, linear near 0 where they may be 0; {} if not."""
    if over_decades(y) and values.min() > 0:
        return {"value": "log"}
    positive = y[y > 0]
    if form in ("count", "hurdle") and len(positive) and over_decades(positive):
        return {"value": "symlog", "linthresh": float(np.quantile(positive, 0.05))}
    return {}


def over_decades(values: np.ndarray) -> bool:
    """Return whether values are positive and so far apart that only their logs can be seen side by side."""
    return bool(values.min() > 0 and values.max() > _DECADES * values.min())


def plain_decades(axis: Axis) -> None:
    """Write plain numbers at the decades of a logarithmic axis."""
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_formatter(NullFormatter())


@styled
def density(path: PathLike, test: RegressionTest) -> None:
    """Draw the observed training targets over targets that the fitted model makes in their place.

    Real numbers by their density, counts by bars, amounts that are often 0 by the share of zeros and the density of the
    others.
    """
    title = "Observed and replicated targets"
    if test.form == "count":
        figure, axes = new_figure()
        _draw_counts(axes, test)
    elif test.form == "hurdle":
        figure = Figure(figsize=(WIDTH, 3.0), layout="constrained")
        left, axes = figure.subplots(1, 2, width_ratios=(1, 4))
        _draw_zeros(left, test)
        _draw_densities(
            axes, test.y_train[test.y_train > 0], [row[row > 0] for row in test.replicated], test.form
        )
    else:
        figure, axes = new_figure()
        _draw_densities(axes, test.y_train, list(test.replicated), test.form)
    axes.set(xlabel=test.target_label)
    legend_above(figure, n_columns=2)
    save(figure, path, title)


def _draw_densities(axes: Axes, y: np.ndarray, replicated: list[np.ndarray], form: str) -> None:
    """Draw smoothed densities, none of which reaches beyond the values that the family can have."""
    replicated = [row for row in replicated if len(row)]
    is_log = len(y) > 0 and over_decades(y) and all(row.min() > 0 for row in replicated)
    if is_log:
        y, replicated = np.log10(y), [np.log10(row) for row in replicated]
    lowest, highest = (-np.inf, np.inf) if is_log else BOUNDS[form]
    known = np.concatenate([y, *(np.quantile(row, [0.001, 0.999]) for row in replicated)])
    low, high = np.clip(padded(known, 0.05), lowest, highest)
    edges = np.linspace(low, high, 201)
    middle = 0.5 * (edges[1:] + edges[:-1])
    # Silverman's rule, of the observed values: all curves are smoothed alike.
    spread = float(y.std()) if len(y) else 0.0
    width = max(0.9 * (spread or 1.0) * max(len(y), 1) ** -0.2, middle[1] - middle[0])
    # What would be smoothed beyond a bound is reflected there.
    sources = [middle, *(2 * bound - middle for bound in (lowest, highest) if np.isfinite(bound))]
    kernel = np.sum([np.exp(-0.5 * ((middle[:, None] - source) / width) ** 2) for source in sources], axis=0)
    kernel /= kernel.sum(axis=1, keepdims=True)

    def smooth(values: np.ndarray) -> np.ndarray:
        counts, _ = np.histogram(values, edges)
        return np.asarray(kernel @ (counts / max(len(values), 1) / (edges[1] - edges[0])))

    at = 10**middle if is_log else middle
    for index, values in enumerate(replicated):
        label = "made by the model" if index == 0 else None
        axes.plot(at, smooth(values), color=SKY, linewidth=0.7, alpha=0.5, label=label)
    axes.plot(at, smooth(y), color=INK, linewidth=1.8, label="observed")
    axes.set(ylim=(0, None), ylabel="Density")
    if is_log:
        axes.set(xscale="log")
        plain_decades(axes.xaxis)
    axes.set(xlim=(at[0], at[-1]))
    axes.yaxis.set_major_locator(NullLocator())


def _draw_counts(axes: Axes, test: RegressionTest) -> None:
    """Draw how many rows have each count, observed and made by the model, beside one another: a rootogram."""
    highest = max(float(test.y_train.max()), float(np.quantile(test.replicated, 0.995)))
    step = int(highest // _MOST_BARS) + 1
    edges = np.arange(0, highest + step + 1, step) - 0.5
    at = edges[:-1] + step / 2
    observed = np.histogram(test.y_train, edges)[0]
    made = np.stack([np.histogram(row, edges)[0] for row in test.replicated])
    axes.bar(at, observed, 0.8 * step, color=INK, alpha=0.45, label="observed")
    low, middle, high = np.quantile(made, [0.05, 0.5, 0.95], axis=0)
    axes.vlines(at, low, high, color=BLUE, linewidth=1.6)
    axes.plot(
        at, middle, color=BLUE, marker="o", markersize=3.5, linestyle="none", label="made by the model, 90 %"
    )
    # Roots of counts vary alike, whatever their size: the tail can be judged as well as the top.
    axes.set_yscale("function", functions=(lambda rows: np.sqrt(np.maximum(rows, 0)), np.square))
    axes.set(ylim=(0, None), ylabel="Rows (axis of square roots)")
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    axes.yaxis.set_major_locator(MaxNLocator(4, integer=True))


def _draw_zeros(axes: Axes, test: RegressionTest) -> None:
    """Draw the share of rows that are exactly 0, observed and made by the model."""
    made = (test.replicated == 0).mean(axis=1)
    low, middle, high = np.quantile(made, [0.05, 0.5, 0.95])
    axes.bar(0, (test.y_train == 0).mean(), 0.6, color=INK, alpha=0.45)
    axes.vlines(0, low, high, color=BLUE, linewidth=1.6)
    axes.plot(0, middle, color=BLUE, marker="o", markersize=3.5)
    axes.set(xlim=(-0.6, 0.6), ylim=(0, None), ylabel="Share of rows that are 0")
    axes.set_xticks([0], labels=["0"])
    axes.grid(visible=False, axis="x")


@styled
def band_along_feature(path: PathLike, band: Band) -> None:
    """Draw the BNN's mean and 50 % and 90 % intervals along the only feature, with the training data."""
    figure, axes = new_figure(height=4.0)
    for low, high, share, shade in (
        (band.lower_90, band.upper_90, 90, SKY),
        (band.lower_50, band.upper_50, 50, BLUE),
    ):
        label = f"BNN, {share} % interval"
        axes.fill_between(band.x_grid, low, high, color=shade, alpha=0.35, linewidth=0, label=label)
    axes.plot(band.x_grid, band.bnn_mean, color=BLUE, linewidth=1.4, label="BNN, mean")
    label, colour, _, line = MODELS["baseline"]
    axes.plot(band.x_grid, band.baseline_mean, color=colour, linestyle=line, linewidth=1.4, label=label)
    points(axes, band.x_train, band.y_train, color=INK, marker="o", markersize=2.5, label="training data")
    if over_decades(band.y_train) and band.lower_90.min() > 0:
        axes.set(yscale="log")
        plain_decades(axes.yaxis)
    axes.set(xlabel=band.feature_label, ylabel=band.target_label)
    legend_above(figure, n_columns=2)
    save(figure, path, "Predictions along the feature")
