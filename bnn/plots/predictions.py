"""Figures of predictions: are they right, and are they as sure as they should be?"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from matplotlib.ticker import MaxNLocator

from bnn.plots.canvas import (
    BLUE,
    INK,
    MAX_MARKERS,
    MODELS,
    MUTED,
    ORANGE,
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

_NO_ROWS = "There is no test row to show."


@dataclass(frozen=True)
class ClassificationTest:
    """Test rows of a classification.

    Attributes
    ----------
    y
        (obs,) class index.
    probability
        Model (see `bnn.plots.canvas.MODELS`) -> (obs, class); the posterior mean for "bnn".
    aleatoric, epistemic
        (obs,) expected entropy and mutual information of the BNN, in nats.
    """

    y: np.ndarray
    probability: Mapping[str, np.ndarray]
    aleatoric: np.ndarray
    epistemic: np.ndarray


@dataclass(frozen=True)
class RegressionTest:
    """Test rows of a regression, in the target's own units.

    Attributes
    ----------
    y
        (obs,) observed values.
    mean
        Model (see `bnn.plots.canvas.MODELS`) -> (obs,) predicted mean.
    lower_90, upper_90
        (obs,) bounds of the BNN's central 90 % interval for a new observation.
    aleatoric, epistemic
        (obs,) standard deviation of the noise, and of the mean over draws, of the BNN.
    target_label
        Name and unit of the target, see `axis_label`.
    """

    y: np.ndarray
    mean: Mapping[str, np.ndarray]
    lower_90: np.ndarray
    upper_90: np.ndarray
    aleatoric: np.ndarray
    epistemic: np.ndarray
    target_label: str


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
def uncertainty(path: PathLike, aleatoric: np.ndarray, epistemic: np.ndarray, correct: np.ndarray) -> None:
    """Draw aleatoric against epistemic uncertainty of test rows.

    Parameters
    ----------
    path
        The SVG file.
    aleatoric, epistemic
        (obs,) expected entropy and mutual information, in nats.
    correct
        (obs,) bool: the predicted class is the observed one.
    """
    title = "Uncertainty of the test rows"
    if len(aleatoric) == 0:
        return save_message(path, title, _NO_ROWS)
    figure, axes = new_figure()
    kinds = ((correct, "right", BLUE, "o", 4), (~correct, "wrong", VERMILLION, "X", 6))
    for chosen, name, colour, marker, size in kinds:
        label = f"predicted class {name} ({np.count_nonzero(chosen)} rows)"
        style = {"color": colour, "marker": marker, "markersize": size, "label": label}
        points(axes, aleatoric[chosen], epistemic[chosen], **style)
    axes.set(xlabel="Aleatoric: expected entropy [nats]", ylabel="Epistemic: mutual information [nats]")
    axes.set_xlim(0, 1.05 * padded(aleatoric, 0.0)[1])
    axes.set_ylim(0, 1.05 * padded(epistemic, 0.0)[1])
    legend_above(figure, n_columns=2)
    save(figure, path, title)


@styled
def target_uncertainty(path: PathLike, test: RegressionTest) -> None:
    """Draw aleatoric and epistemic standard deviation of each test row against the predicted mean."""
    title = "Uncertainty of the test rows"
    if len(test.y) == 0:
        return save_message(path, title, _NO_ROWS)
    figure, axes = new_figure()
    mean = test.mean["bnn"]
    points(axes, mean, test.aleatoric, color=ORANGE, marker="s", markersize=3, label="aleatoric: noise")
    points(
        axes,
        mean,
        test.epistemic,
        color=BLUE,
        marker="o",
        markersize=3,
        label="epistemic: what draws differ by",
    )
    axes.set(xlabel=f"Predicted {test.target_label}", ylabel=f"Standard deviation, {test.target_label}")
    axes.set_ylim(0, 1.08 * padded(np.concatenate([test.aleatoric, test.epistemic]), 0.0)[1])
    legend_above(figure, n_columns=2)
    save(figure, path, title)


@styled
def prediction_intervals(path: PathLike, test: RegressionTest) -> None:
    """Draw the BNN's mean and 90 % interval for each test row, sorted by the mean, and the observed value."""
    title = "Prediction intervals of the test rows"
    n_rows = len(test.y)
    if n_rows == 0:
        return save_message(path, title, _NO_ROWS)
    figure, axes = new_figure(height=3.4)
    order = np.argsort(test.mean["bnn"], kind="stable")
    low, high, y = test.lower_90[order], test.upper_90[order], test.y[order]
    position = np.arange(1, n_rows + 1)
    gap = np.full(n_rows, np.nan)  # ends each bar, so that all bars are one short path in the file
    x_bars = np.stack([position, position, gap], axis=1).ravel()
    y_bars = np.stack([low, high, gap], axis=1).ravel()
    width = float(np.clip(180 / n_rows, 0.5, 4))
    (bars,) = axes.plot(x_bars, y_bars, color=SKY, linewidth=width, alpha=0.6, label="BNN, 90 % interval")
    bars.set(solid_capstyle="butt", rasterized=n_rows > MAX_MARKERS)
    axes.plot(position, test.mean["bnn"][order], color=BLUE, linewidth=1.4, label="BNN, mean")
    inside = (y >= low) & (y <= high)
    kinds = ((inside, "inside", INK, "o", 2.5), (~inside, "outside", VERMILLION, "X", 5))
    for chosen, name, colour, marker, size in kinds:
        label = f"observed, {name} ({np.count_nonzero(chosen)} rows)"
        style = {"color": colour, "marker": marker, "markersize": size, "label": label}
        points(axes, position[chosen], y[chosen], **style)
    axes.set(xlabel="Test rows, sorted by predicted mean", ylabel=test.target_label)
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    legend_above(figure, n_columns=2)
    save(figure, path, title)


@styled
def intervals_along_time(path: PathLike, series: AlongTime) -> None:
    """Draw the BNN's mean and 50 % and 90 % intervals along time, and what was observed before and then."""
    figure, axes = new_figure(height=3.6)
    y = series.y
    inside = (y >= series.lower_90) & (y <= series.upper_90)
    for low, high, share in ((series.lower_90, series.upper_90, 90), (series.lower_50, series.upper_50, 50)):
        label = f"BNN, {share} % interval"
        band = axes.fill_between(series.time, low, high, color=SKY, alpha=0.35, linewidth=0, label=label)
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
    """Draw observed against predicted values of the test rows, for each model."""
    title = "Observed against predicted values of the test rows"
    if len(test.y) == 0:
        return save_message(path, title, _NO_ROWS)
    figure, axes = new_figure(height=3.4)
    reference_line(axes, padded(np.concatenate([test.y, *test.mean.values()]), 0.05), "observed = predicted")
    # The BNN comes last, on top of the others.
    for model in reversed(tuple(test.mean)):
        label, colour, marker, _ = MODELS[model]
        face = colour if model == "bnn" else "none"
        points(axes, test.mean[model], test.y, color=colour, marker=marker, label=label, markerfacecolor=face)
    axes.set(xlabel=f"Predicted {test.target_label}", ylabel=f"Observed {test.target_label}")
    legend_above(figure, n_columns=2)
    save(figure, path, title)


@styled
def band_along_feature(path: PathLike, band: Band) -> None:
    """Draw the BNN's mean and 50 % and 90 % intervals along the only feature, with the training data."""
    figure, axes = new_figure(height=3.6)
    for low, high, share in ((band.lower_90, band.upper_90, 90), (band.lower_50, band.upper_50, 50)):
        label = f"BNN, {share} % interval"
        axes.fill_between(band.x_grid, low, high, color=SKY, alpha=0.35, linewidth=0, label=label)
    axes.plot(band.x_grid, band.bnn_mean, color=BLUE, linewidth=1.4, label="BNN, mean")
    label, colour, _, line = MODELS["baseline"]
    axes.plot(band.x_grid, band.baseline_mean, color=colour, linestyle=line, linewidth=1.4, label=label)
    points(axes, band.x_train, band.y_train, color=INK, marker="o", markersize=2.5, label="training data")
    axes.set(xlabel=band.feature_label, ylabel=band.target_label)
    legend_above(figure, n_columns=3)
    save(figure, path, "Predictions along the feature")
