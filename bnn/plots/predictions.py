"""Figures of predictions: are they right, and are they as sure as they should be?"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from matplotlib.axis import Axis
from matplotlib.ticker import FuncFormatter, NullFormatter, NullLocator

from bnn.plots.canvas import (
    BLUE,
    INK,
    MAX_MARKERS,
    MODELS,
    MUTED,
    SKY,
    VERMILLION,
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
    """

    y: np.ndarray
    mean: np.ndarray
    lower_90: np.ndarray
    upper_90: np.ndarray
    pit: Mapping[str, np.ndarray]
    target_label: str
    y_train: np.ndarray
    replicated: np.ndarray


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
    is_log = over_decades(y) and min(mean.min(), test.lower_90.min()) > 0
    reference_line(axes, (mean.min(), mean.max()) if is_log else padded(mean, 0.05), "observed = predicted")
    inside = (y >= test.lower_90) & (y <= test.upper_90)
    for chosen, name, colour, marker, size in (
        (inside, "inside", INK, "o", 2.5),
        (~inside, "outside", VERMILLION, "X", 5),
    ):
        label = f"{name} ({np.count_nonzero(chosen)} rows)"
        points(axes, mean[chosen], y[chosen], color=colour, marker=marker, markersize=size, label=label)
    axes.set(xlabel=f"Predicted {test.target_label}", ylabel=f"Observed {test.target_label}")
    if is_log:
        axes.set(xscale="log", yscale="log")
        plain_decades(axes.xaxis)
        plain_decades(axes.yaxis)
    legend_above(figure, n_columns=2)
    save(figure, path, title)


def over_decades(values: np.ndarray) -> bool:
    """Return whether values are positive and so far apart that only their logs can be seen side by side."""
    return bool(values.min() > 0 and values.max() > _DECADES * values.min())


def plain_decades(axis: Axis) -> None:
    """Write plain numbers at the decades of a logarithmic axis."""
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_formatter(NullFormatter())


@styled
def density(path: PathLike, test: RegressionTest) -> None:
    """Draw the density of the observed training targets over those of targets that the fitted model makes."""
    title = "Observed and replicated targets"
    is_log = over_decades(test.y_train) and test.replicated.min() > 0
    y_train, replicated = (
        (np.log10(test.y_train), np.log10(test.replicated)) if is_log else (test.y_train, test.replicated)
    )
    known = np.concatenate([y_train, *np.quantile(replicated, [0.001, 0.999], axis=1)])
    low, high = padded(known, 0.05)
    edges = np.linspace(low, high, 201)
    middle = 0.5 * (edges[1:] + edges[:-1])
    # Silverman's rule, of the observed values: all curves are smoothed alike.
    spread = float(y_train.std()) or 1.0
    width = max(0.9 * spread * len(y_train) ** -0.2, middle[1] - middle[0])
    kernel = np.exp(-0.5 * ((middle[:, None] - middle) / width) ** 2)
    kernel /= kernel.sum(axis=1, keepdims=True)

    def smooth(values: np.ndarray) -> np.ndarray:
        counts, _ = np.histogram(values, edges)
        return np.asarray(kernel @ (counts / len(values) / (edges[1] - edges[0])))

    figure, axes = new_figure()
    at = 10**middle if is_log else middle
    for index, values in enumerate(replicated):
        label = "made by the model" if index == 0 else None
        axes.plot(at, smooth(values), color=SKY, linewidth=0.7, alpha=0.5, label=label)
    axes.plot(at, smooth(y_train), color=INK, linewidth=1.8, label="observed")
    axes.set(ylim=(0, None), xlabel=test.target_label, ylabel="Density")
    if is_log:
        axes.set(xscale="log")
        plain_decades(axes.xaxis)
    axes.set(xlim=(at[0], at[-1]))
    axes.yaxis.set_major_locator(NullLocator())
    legend_above(figure, n_columns=2)
    save(figure, path, title)


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
    axes.set(xlabel=band.feature_label, ylabel=band.target_label)
    legend_above(figure, n_columns=2)
    save(figure, path, "Predictions along the feature")
