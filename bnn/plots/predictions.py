"""Figures of predictions: are they right, and are they as sure as they should be?"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from bnn import metrics
from bnn.metrics import ECE_BINS
from bnn.plots.canvas import (
    BLUE,
    INK,
    MAX_MARKERS,
    MODELS,
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

_NO_ROWS = "There is no test row to show."


@dataclass(frozen=True)
class ClassificationTest:
    """Test rows of a classification.

    Attributes
    ----------
    y
        (obs,) class index.
    probability
        Model ("bnn", "baseline", "linear") -> (obs, class); the posterior mean for "bnn".
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
        Model ("bnn", "baseline", "linear") -> (obs,) predicted mean.
    lower_90, upper_90
        (obs,) bounds of the BNN's central 90 % interval for a new observation.
    target_label
        Name and unit of the target, see `axis_label`.
    """

    y: np.ndarray
    mean: Mapping[str, np.ndarray]
    lower_90: np.ndarray
    upper_90: np.ndarray
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


@styled
def reliability(path: PathLike, y: np.ndarray, probability: Mapping[str, np.ndarray]) -> None:
    """Draw the share of right predictions against the confidence in them, and the number of rows.

    Parameters
    ----------
    path
        The SVG file.
    y
        (obs,) class index.
    probability
        Model -> (obs, class). The confidence is the probability of the predicted class; bins are those of
        the expected calibration error. The bars of the BNN are 90 % Wilson intervals: how far off a bin may
        be by the chance of few rows alone.
    """
    title = "Reliability diagram of the test rows"
    if len(y) == 0:
        return save_message(path, title, _NO_ROWS)
    figure = Figure(figsize=(WIDTH, 4.4), layout="constrained")
    axes, count_axes = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    reference_line(axes, (0.0, 1.0), "calibrated")
    edges = np.linspace(0, 1, ECE_BINS + 1)
    for model, values in probability.items():
        label, colour, marker, line = MODELS[model]
        confidence, share, count = metrics.reliability(values, y, ECE_BINS)
        used = count > 0
        style: dict[str, Any] = {"color": colour, "linestyle": line, "linewidth": 1.2}
        axes.plot(confidence[used], share[used], marker=marker, label=label, **style)
        if model == "bnn":
            low, high = wilson_interval(share[used], count[used], 1.645)
            axes.vlines(confidence[used], low, high, color=colour, linewidth=1)
        count_axes.stairs(count, edges, **style)
    axes.set(ylabel="Share of right predictions", ylim=(-0.03, 1.03))
    lowest = min(float(values.max(axis=-1).min()) for values in probability.values())
    count_axes.set(xlabel="Confidence: probability of the predicted class", ylabel="Rows")
    count_axes.set(xlim=(np.floor(10 * lowest) / 10 - 0.02, 1.02), ylim=(0, None))
    count_axes.yaxis.set_major_locator(MaxNLocator(3, integer=True))
    legend_above(figure, n_columns=4)
    save(figure, path, title)


def wilson_interval(share: np.ndarray, count: np.ndarray, z: float) -> tuple[np.ndarray, np.ndarray]:
    """Interval for a proportion (Wilson 1927), which stays within 0 and 1 and works for few rows.

    Parameters
    ----------
    share, count
        (bin,) observed share of successes, and number of trials (at least 1).
    z
        Quantile of the standard normal distribution: 1.645 for 90 %.
    """
    centre = (share + z**2 / (2 * count)) / (1 + z**2 / count)
    half = z / (1 + z**2 / count) * np.sqrt(share * (1 - share) / count + z**2 / (4 * count**2))
    return centre - half, centre + half


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
