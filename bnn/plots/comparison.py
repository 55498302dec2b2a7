"""Figure of how much better or worse the Bayesian network is than each contender, from metrics.json."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from bnn.plots.canvas import BLUE, INK, MODELS, MUTED, PAPER, VERMILLION, WIDTH, PathLike, save, styled

_LABELS = {"accuracy": "Accuracy [percentage points]", "rmse": "RMSE", "nll": "NLL [nats a row]"}
_MORE_IS_BETTER = ("accuracy",)


@styled
def differences(path: PathLike, metrics: Mapping[str, Any]) -> None:
    """Draw the BNN minus each other model with its interval, for the score of the task and for the NLL.

    Right of the line the BNN is better: differences of what should be small are drawn with their sign turned on the
    axis, so that numbers stay those of the tables.

    Parameters
    ----------
    path
        The SVG file.
    metrics
        Content of metrics.json, of which `task`, `target_unit`, `without_density` and `differences` are used.
    """
    names = ("accuracy" if metrics["task"] == "classification" else "rmse", "nll")
    found = metrics["differences"]
    models = [model for model in MODELS if model in found]
    figure = Figure(figsize=(WIDTH, 2 * (0.3 * len(models) + 0.72)), layout="constrained")
    for axes, name in zip(figure.subplots(2, 1), names, strict=True):
        scale = 100 if name == "accuracy" else 1
        for place, model in enumerate(models):
            entry = found[model].get(name)
            if entry is None or any(entry[end] is None for end in ("value", "lower", "upper")):
                missing = name == "nll" and model in metrics["without_density"]
                text = "predicts no density" if missing else "not finite"
                clear = {"facecolor": PAPER, "edgecolor": "none", "pad": 1.5}  # of the zero line
                where = axes.get_yaxis_transform()
                axes.text(0.5, place, text, transform=where, va="center", ha="center", bbox=clear)
                continue
            value, low, high = (scale * entry[end] for end in ("value", "lower", "upper"))
            sign = 1 if name in _MORE_IS_BETTER else -1
            nearest = min(sign * low, sign * high)
            colour = BLUE if nearest > 0 else VERMILLION if max(sign * low, sign * high) < 0 else MUTED
            axes.hlines(place, low, high, color=colour, linewidth=2.2)
            axes.plot(value, place, color=colour, marker=MODELS[model][2], markersize=6)
        axes.axvline(0.0, color=INK, linewidth=1, linestyle=(0, (4, 3)))
        reach = float(np.abs(axes.get_xlim()).max()) or 1.0
        axes.set(xlim=(-reach, reach) if name in _MORE_IS_BETTER else (reach, -reach))
        axes.set(ylim=(len(models) - 0.5, -0.5), xlabel=_label(name, metrics["target_unit"]))
        axes.set_yticks(range(len(models)), labels=[MODELS[model][0] for model in models])
        axes.tick_params(axis="y", length=0, labelcolor=INK)
        axes.xaxis.set_major_locator(MaxNLocator(5))
        for x, side, text in ((0.0, "left", "← BNN worse"), (1.0, "right", "BNN better →")):
            axes.text(x, 1.02, text, transform=axes.transAxes, ha=side, va="bottom", fontsize=9, color=MUTED)
    save(figure, path, "BNN minus each other model, test rows")


def _label(name: str, unit: str) -> str:
    return f"{_LABELS[name]} [{unit}]" if name == "rmse" and unit else _LABELS[name]
