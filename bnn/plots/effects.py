"""Figures of what drives the predictions, drawn from `effects` of checks.json."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from bnn.plots.canvas import (
    BLUE,
    CHAIN_COLOURS,
    INK,
    MUTED,
    WIDTH,
    PathLike,
    legend_above,
    new_figure,
    save,
    shortened,
    styled,
)

_N_COLUMNS = 10
"""Columns that are drawn, those first that matter."""
_LETTERS = 22


@styled
def importance(path: PathLike, effects: Mapping[str, Any]) -> None:
    """Draw by how much the NLL of the test rows rises when a column is shuffled, with two standard errors."""
    first = sorted(effects["importance"], key=lambda entry: not _matters(entry))[:_N_COLUMNS]
    shown = [entry for entry in effects["importance"] if entry in first]
    figure, axes = new_figure(height=0.26 * len(shown) + 0.9)
    for place, entry in enumerate(shown):
        if entry["value"] is None:
            continue
        reach = 2 * (entry["se"] or 0.0)
        colour = BLUE if _matters(entry) else MUTED
        axes.hlines(place, entry["value"] - reach, entry["value"] + reach, color=colour, linewidth=2)
        axes.plot(entry["value"], place, color=colour, marker="o", markersize=5)
    axes.axvline(0.0, color=INK, linewidth=1, linestyle=(0, (4, 3)))
    axes.set_yticks(range(len(shown)), labels=[shortened(entry["name"], _LETTERS) for entry in shown])
    axes.set(ylim=(len(shown) - 0.5, -0.5), xlabel="Rise of the NLL [nats a row]")
    axes.tick_params(axis="y", length=0, labelcolor=INK)
    axes.xaxis.set_major_locator(MaxNLocator(5))
    save(figure, path, "Importance of the columns")


def _matters(entry: Mapping[str, Any]) -> bool:
    """Return whether a column's rise of the NLL is beyond two standard errors."""
    return None not in (entry["value"], entry["se"]) and bool(entry["value"] > 2 * entry["se"])


@styled
def partial_dependence(path: PathLike, effects: Mapping[str, Any], target_label: str) -> None:
    """Draw the mean prediction against the value of the columns that matter most, with a band over draws.

    Parameters
    ----------
    path
        The SVG file.
    effects
        That entry of checks.json.
    target_label
        Name and unit of the target; of classes their probability is drawn.
    """
    shown = effects["dependence"]
    figure = Figure(figsize=(WIDTH, 1.55 * len(shown) + 0.5), layout="constrained")
    panels = figure.subplots(len(shown), 1, squeeze=False)[:, 0]
    for axes, entry in zip(panels, shown, strict=True):
        x = np.array(entry["values"]) if entry["values"] else np.arange(len(entry["labels"]))
        for index, line in enumerate(entry["lines"]):
            colour = CHAIN_COLOURS[index % len(CHAIN_COLOURS)]
            mean, low, high = (np.array(line[key], dtype=float) for key in ("mean", "lower", "upper"))
            label = shortened(line["class"], _LETTERS) or "mean, 90 % band"
            if entry["values"] and len(x) > 1:
                axes.fill_between(x, low, high, color=colour, alpha=0.2, linewidth=0)
                axes.plot(x, mean, color=colour, linewidth=1.5, label=label)
            else:
                axes.vlines(x, low, high, color=colour, linewidth=1.5)
                axes.plot(x, mean, color=colour, marker="o", linestyle="none", label=label)
        if entry["labels"]:
            names = [shortened(label, 9) for label in entry["labels"]]
            axes.set_xticks(x, labels=names, rotation=30 if len(names) > 4 else 0)
        axes.set(xlabel=shortened(entry["name"], 36))
        axes.margins(x=0.03)
        axes.yaxis.set_major_locator(MaxNLocator(4))
    figure.supylabel(f"Predicted {target_label}" if target_label else "Probability", fontsize=9.5)
    legend_above(figure, n_columns=2)
    save(figure, path, "Mean prediction against the value of a column")
