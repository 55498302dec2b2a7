"""Figures of calibration: do probabilities and intervals hold what they promise? Drawn from metrics.json."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from bnn.plots.canvas import (
    BLUE,
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
    styled,
)


@styled
def reliability(path: PathLike, calibration: Mapping[str, Any]) -> None:
    """Draw the share of right predictions against the confidence in them, and the number of rows.

    Parameters
    ----------
    path
        The SVG file.
    calibration
        That entry of metrics.json: model -> `bins` and `level`. The bars are the BNN's consistency bars: where the
        share would lie by chance if its probabilities were right.
    """
    figure = Figure(figsize=(WIDTH, 4.4), layout="constrained")
    axes, count_axes = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    reference_line(axes, (0.0, 1.0), "calibrated")
    own = calibration["bnn"]
    values = {name: np.array([item[name] for item in own["bins"]]) for name in own["bins"][0]}
    label = f"{100 * own['level']:.0f} % by chance, BNN"
    axes.vlines(
        values["confidence"],
        values["band_lower"],
        values["band_upper"],
        color=SKY,
        linewidth=7,
        alpha=0.5,
        label=label,
    )
    for model, entry in calibration.items():
        name, colour, marker, line = MODELS[model]
        confidence, share = ([item[key] for item in entry["bins"]] for key in ("confidence", "accuracy"))
        style: dict[str, Any] = {"color": colour, "linestyle": line, "linewidth": 1.2}
        axes.plot(confidence, share, marker=marker, label=name, **style)
        edges = [entry["bins"][0]["lower"]]
        counts: list[float] = []
        for item in entry["bins"]:
            if item["lower"] > edges[-1] + 1e-9:  # bins without a row
                edges.append(item["lower"])
                counts.append(0)
            edges.append(item["upper"])
            counts.append(item["n_rows"])
        count_axes.stairs(counts, edges, **style)
    axes.set(ylabel="Share of right predictions", ylim=(-0.03, 1.03))
    lowest = min(entry["bins"][0]["lower"] for entry in calibration.values())
    count_axes.set(xlabel="Confidence: probability of the predicted class", ylabel="Test rows")
    count_axes.set(xlim=(lowest - 0.02, 1.02), ylim=(0, None))
    count_axes.yaxis.set_major_locator(MaxNLocator(3, integer=True))
    legend_above(figure, n_columns=3)
    save(figure, path, "Reliability diagram of the test rows")


@styled
def pit(path: PathLike, calibration: Mapping[str, Any]) -> None:
    """Draw the histogram of the probability integral transform of BNN and baseline, `calibration` of metrics.json."""
    figure, axes = new_figure()
    own = calibration["bnn"]["pit"]
    axes.axhspan(
        own["band_lower"],
        own["band_upper"],
        facecolor=SKY,
        alpha=0.35,
        linewidth=0,
        label=f"{100 * calibration['bnn']['level']:.0f} % by chance",
    )
    for model in ("bnn", "baseline"):
        name, colour, _, line = MODELS[model]
        found = calibration[model]["pit"]
        axes.stairs(found["n_rows"], found["edges"], color=colour, linestyle=line, linewidth=1.6, label=name)
    if own["p_value"] is not None:
        note(axes, 0.02, 0.98, f"BNN: p = {own['p_value']:.2g} (Kolmogorov-Smirnov)", MUTED)
    highest = max(max(calibration[model]["pit"]["n_rows"]) for model in ("bnn", "baseline"))
    axes.set(xlim=(0, 1), ylim=(0, 1.25 * max(highest, own["band_upper"])))
    axes.set(xlabel="Predicted probability of a value below the observed one (PIT)", ylabel="Test rows")
    axes.yaxis.set_major_locator(MaxNLocator(5, integer=True))
    legend_above(figure, n_columns=3)
    save(figure, path, "Probability integral transform of the test rows")


@styled
def coverage(path: PathLike, calibration: Mapping[str, Any]) -> None:
    """Draw the share of test rows inside central intervals against what these are to hold, from metrics.json."""
    figure, axes = new_figure(height=3.6)
    reference_line(axes, (0.0, 100.0), "calibrated")
    points = calibration["bnn"]["coverage"]
    level, low, high = (
        100 * np.array([item[key] for item in points]) for key in ("level", "band_lower", "band_upper")
    )
    share = f"{100 * calibration['bnn']['level']:.0f} % by chance"
    axes.fill_between(level, low, high, color=SKY, alpha=0.3, linewidth=0, label=share)
    for model, entry in calibration.items():
        name, colour, marker, line = MODELS[model]
        found = [
            100 * item["coverage"] if item["coverage"] is not None else np.nan for item in entry["coverage"]
        ]
        width = 1.6 if colour == BLUE else 1.1
        axes.plot(
            level,
            found,
            color=colour,
            linestyle=line,
            linewidth=width,
            marker=marker,
            markersize=2.5,
            label=name,
        )
    axes.set(xlim=(0, 100), ylim=(0, 102))
    axes.set(xlabel="Central interval is to hold [%]", ylabel="Test rows inside [%]")
    legend_above(figure, n_columns=3)
    save(figure, path, "Coverage of the intervals on the test rows")
