"""Figures of model checks, drawn from checks.json and the arrays in checks.nc."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, MaxNLocator, NullLocator

from bnn.plots.canvas import (
    BLUE,
    GRID,
    INK,
    MODELS,
    MUTED,
    SKY,
    VERMILLION,
    WIDTH,
    PathLike,
    axis_label,
    dashed_level,
    legend_above,
    new_figure,
    note,
    padded,
    points,
    save,
    save_message,
    styled,
)

_LANE = 0.62  # inches
_MAX_LANES = 12


@styled
def predictive_checks(
    path: PathLike,
    checks: Sequence[Mapping[str, Any]],
    replicated: Sequence[np.ndarray],
    *,
    unit: str,
) -> None:
    """Draw the distribution of each replicated statistic, and the observed one.

    Parameters
    ----------
    path
        The SVG file.
    checks
        `posterior_predictive` of checks.json.
    replicated
        Statistics of replicated targets, (draw,) each, in the order of the checks.
    unit
        Unit of the target, for statistics that have it; "" where unknown.
    """
    shown = list(zip(checks, replicated, strict=True))[:_MAX_LANES]
    figure = Figure(figsize=(WIDTH, _LANE * len(shown) + 0.6), layout="constrained")
    lanes = figure.subplots(len(shown), 1, squeeze=False)[:, 0]
    for axes, (check, values) in zip(lanes, shown, strict=True):
        finite = values[np.isfinite(values)]
        observed = check["observed"]
        # A few draws with extreme tails would leave nothing of the others to be seen.
        usual = finite[_in_middle(finite)]
        # What depends on the draw, such as a residual, was observed once for each.
        ends = [
            check[f"observed_{end}"] for end in ("lower", "upper") if check[f"observed_{end}"] is not None
        ]
        known = usual if observed is None else np.append(usual, [observed, *ends])
        low, high = padded(known, 0.04)
        # Counts fall between the edges, not on them.
        whole = high - low < 200 and bool(np.all(known == np.round(known)))
        if whole:
            low, high = min(low, known.min() - 1.0), max(high, known.max() + 1.0)
        edges = np.arange(np.floor(low), np.ceil(high) + 1) + 0.5 if whole else np.linspace(low, high, 41)
        counts, _ = np.histogram(usual, edges)
        axes.stairs(counts, edges, fill=True, facecolor=SKY, alpha=0.7, label="made by the model")
        text = check["name"]
        if observed is not None:
            axes.axvline(observed, color=VERMILLION, linewidth=1.6, label="observed")
            if ends:
                axes.axvspan(*ends, color=VERMILLION, alpha=0.25, linewidth=0)
            text += f" ({_p_text(check)})"
        if unit and check["name"] in ("mean", "sd", "smallest", "largest", "sd of the network"):
            text = text.replace(check["name"], axis_label(check["name"], unit), 1)
        axes.set_title(text, fontsize=9, loc="left", pad=2, color=INK)
        axes.set(xlim=(low, high), ylim=(0, 1.05 * max(int(counts.max()), 1)))
        axes.yaxis.set_major_locator(NullLocator())
        axes.xaxis.set_major_locator(MaxNLocator(6, integer=whole))
        axes.spines["left"].set_visible(False)
    legend_above(figure, n_columns=2)
    save(figure, path, "Posterior predictive checks")


def _in_middle(values: np.ndarray) -> np.ndarray:
    """Return which values, (draw,), are among the central 99 %, bool; all of few ones."""
    if len(values) < 2:
        return np.ones(len(values), dtype=bool)
    low, high = np.quantile(values, (0.005, 0.995), method="inverted_cdf")
    return (values >= low) & (values <= high)


def _p_text(check: Mapping[str, Any]) -> str:
    """A share of 0 or 1 of finitely many replicates is a bound, not a probability."""
    value, bound = check["p_value"], 1 / check["n_replicates"]
    return f"p < {bound:.2g}" if value == 0 else f"p > 1 − {bound:.2g}" if value == 1 else f"p = {value:.2g}"


@styled
def prior_sensitivity(path: PathLike, sensitivity: Mapping[str, Any]) -> None:
    """Draw the test NLL against the factor on the prior's scales, `sensitivity` of checks.json."""
    figure, axes = new_figure()
    entries = sensitivity["factors"]
    methods = {
        "as run": ("the prior as it is", BLUE, "o", BLUE),
        "reweighted": ("draws reweighted", BLUE, "D", "none"),
    }
    for method, (label, colour, marker, face) in methods.items():
        found = [entry for entry in entries if entry["method"] == method and entry["nll"] is not None]
        if found:
            x, y = ([entry[key] for entry in found] for key in ("factor", "nll"))
            error = [2 * (entry["nll_mcse"] or 0.0) for entry in found]
            axes.errorbar(
                x,
                y,
                yerr=error,
                color=colour,
                marker=marker,
                markerfacecolor=face,
                linestyle="none",
                label=label,
            )
    own = next(entry for entry in entries if entry["factor"] == 1)
    factors = np.array([entry["factor"] for entry in entries])
    if own["nll"] is not None and sensitivity["slope_nll"] is not None:
        near = np.geomspace(max(factors.min(), 0.7), min(factors.max(), 1.4), 20)
        tangent = own["nll"] + sensitivity["slope_nll"] * np.log(near)
        axes.plot(near, tangent, color=MUTED, linewidth=1, linestyle=(0, (4, 3)), label="slope at 1")
    for entry in entries:
        if entry["method"] == "needs a rerun":
            label = f"needs a rerun (Pareto k > {sensitivity['k_threshold']:.2g})"
            axes.axvline(entry["factor"], color=GRID, linewidth=3, label=label, zorder=0)
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(FixedLocator(factors.tolist()))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xticks(factors, labels=[f"{factor:g}" for factor in factors])
    axes.set(xlabel="Factor on the scales of the prior", ylabel="NLL of the test rows [nats a row]")
    legend_above(figure, n_columns=2)
    save(figure, path, "Sensitivity to the scale of the prior")


@styled
def out_of_distribution(path: PathLike, found: Mapping[str, Any]) -> None:
    """Draw how well each model tells out-of-distribution inputs from test rows, from checks.json."""
    kinds = found["kinds"]
    figure, axes = new_figure(height=0.75 * len(kinds) + 1.0)
    models = list(kinds[0]["models"])
    for index, model in enumerate(models):
        label, colour, marker, _ = MODELS[model]
        entries = [kind["models"][model] for kind in kinds]
        place = [len(kinds) - 1 - lane + 0.22 * (len(models) / 2 - index - 0.5) for lane in range(len(kinds))]
        value, low, high = (
            np.array([entry[key] for entry in entries], dtype=float) for key in ("auroc", "lower", "upper")
        )
        axes.hlines(place, low, high, color=colour, linewidth=1.4)
        axes.plot(value, place, color=colour, marker=marker, linestyle="none", label=label)
    axes.axvline(0.5, color=INK, linewidth=0.8, linestyle=(0, (4, 3)))
    axes.set_yticks(range(len(kinds))[::-1], labels=[kind["name"] for kind in kinds])
    axes.set(ylim=(-0.5, len(kinds) - 0.5), xlim=(min(0.4, axes.get_xlim()[0]), 1.03))
    axes.tick_params(axis="y", length=0)
    axes.set(xlabel="AUROC (0.5: chance)")
    legend_above(figure, n_columns=2)
    save(figure, path, "Uncertainty at inputs unlike the training rows")


@styled
def loo_pareto_k(path: PathLike, k: np.ndarray, rows: np.ndarray, threshold: float) -> None:
    """Draw Pareto k of leave-one-out for each training row (obs,), against its number in the source (obs,)."""
    title = "Pareto k of the training rows"
    finite = np.isfinite(k)
    if not finite.any():
        return save_message(path, title, "Pareto k could not be computed for any row.")
    figure, axes = new_figure()
    kinds = (
        (finite & (k <= threshold), f"at most {threshold:.2g}", BLUE, "o", 3),
        (finite & (k > threshold), f"above {threshold:.2g}: unreliable", VERMILLION, "X", 5),
    )
    for chosen, name, colour, marker, size in kinds:
        label = f"{name} ({np.count_nonzero(chosen)} rows)"
        points(axes, rows[chosen], k[chosen], color=colour, marker=marker, markersize=size, label=label)
    dashed_level(axes, threshold, float(rows.min()), float(rows.max()))
    if not finite.all():
        note(axes, 0.98, 0.98, f"{np.count_nonzero(~finite)} not finite, not shown", VERMILLION)
    axes.set(xlabel="Training row (number in the source table)", ylabel="Pareto k")
    axes.set_ylim(*padded(np.append(k[finite], threshold), 0.1))
    legend_above(figure, n_columns=1)
    save(figure, path, title)
