"""Figures of how the chains ran and whether they agree, point by point."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

from bnn.plots.canvas import (
    BLUE,
    CHAIN_COLOURS,
    INK,
    MUTED,
    ORANGE,
    SHADE,
    VERMILLION,
    WIDTH,
    PathLike,
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

_N_NAMED = 3
_MAX_POINTS = 80
_MAX_LEGEND_CHAINS = 8


@dataclass(frozen=True)
class ChainRun:
    """Acceptance rate and step size of the chains along their run.

    Attributes
    ----------
    chain_ids
        (chain,).
    iteration, warmup_iteration
        Of the draws (draw,), and of the records of exploration and warm-up (record,), which may be none.
    acceptance_rate
        (chain, draw).
    step_size, warmup_step_size
        (chain, draw) and (chain, record), in units of the preconditioned posterior.
    n_explore, n_warmup
        Iterations of exploration, and before the first draw.
    target_acceptance
        The rate to which warm-up adapts the step size.
    """

    chain_ids: Sequence[int] | np.ndarray
    iteration: np.ndarray
    acceptance_rate: np.ndarray
    step_size: np.ndarray
    warmup_iteration: np.ndarray
    warmup_step_size: np.ndarray
    n_explore: int
    n_warmup: int
    target_acceptance: float


@styled
def worst_points(
    path: PathLike, diagnostics: Mapping[str, np.ndarray], thresholds: Mapping[str, float]
) -> None:
    """Draw R-hat and bulk ESS of the prediction at every row, worst first, and name the worst rows.

    Parameters
    ----------
    path
        The SVG file.
    diagnostics
        Variables of `diagnostics.nc`: `rhat_<split>` and `ess_bulk_<split>`, (obs,) or (obs, class), and `row_<split>`.
    thresholds
        `rhat_warn`, `ess_warn`.
    """
    rows = [(split, int(row)) for split in ("train", "test") for row in diagnostics[f"row_{split}"]]
    figure = Figure(figsize=(WIDTH, 4.6), layout="constrained")
    upper, lower = figure.subplots(2, 1)
    panels: tuple[tuple[Axes, str, str, float], ...] = (
        (upper, "rhat", "R-hat", thresholds["rhat_warn"]),
        (lower, "ess_bulk", "Bulk ESS [draws]", thresholds["ess_warn"]),
    )
    for axes, name, label, limit in panels:
        worst = np.concatenate(
            [_worst_of_row(diagnostics[f"{name}_{s}"], name == "rhat") for s in ("train", "test")]
        )
        known = np.flatnonzero(np.isfinite(worst))
        order = known[np.argsort(-worst[known] if name == "rhat" else worst[known], kind="stable")]
        values, place = worst[order], np.arange(1, len(order) + 1)
        bad = values > limit if name == "rhat" else values < limit
        points(
            axes, place[~bad], values[~bad], color=BLUE, marker="o", markersize=2.5, label="within the limit"
        )
        points(axes, place[bad], values[bad], color=VERMILLION, marker="X", markersize=5, label="beyond it")
        for rank, index in enumerate(order[:_N_NAMED]):
            split, row = rows[index]
            corner = (0.98, (0.82 if name == "rhat" else 0.55) - 0.11 * rank)
            digits = f"{worst[index]:.4f}" if name == "rhat" else f"{worst[index]:,.0f}"
            note(axes, *corner, f"{'worst: ' if not rank else ''}row {row} ({split}), {digits}", MUTED)
        n_missing = len(worst) - len(order)
        missing = f", {n_missing} not computable" if n_missing else ""
        axes.set(xlabel=f"Rows, worst first{missing}", ylabel=label)
        low, high = padded(np.append(values, limit), 0.08)
        axes.set(ylim=(low, high), xlim=(0, max(len(order), 1) + 1))
        dashed_level(axes, limit, 0, max(len(order), 1) + 1)
    legend_above(figure, n_columns=2)
    save(figure, path, "R-hat and effective sample size at every row")


def _worst_of_row(values: np.ndarray, largest: bool) -> np.ndarray:
    """Return the worst value of each row over its classes, (obs,); NaN where there is none."""
    flat = values.reshape(len(values), -1)
    empty = np.isnan(flat).all(axis=1)
    filled = np.where(empty[:, None], 0.0, flat)
    return np.where(empty, np.nan, np.nanmax(filled, axis=1) if largest else np.nanmin(filled, axis=1))


@styled
def acceptance(path: PathLike, run: ChainRun) -> None:
    """Draw the acceptance rate of the kept draws beside its target, and the step size along the whole run.

    Of the warm-up only an average is recorded that starts at the target: its acceptance is not drawn.
    """
    figure = Figure(figsize=(WIDTH, 4.2), layout="constrained")
    upper, lower = figure.subplots(2, 1, sharex=True)
    for index, chain in enumerate(run.chain_ids):
        style: dict[str, Any] = {"color": CHAIN_COLOURS[index % len(CHAIN_COLOURS)], "linewidth": 0.9}
        label = f"chain {chain}" if len(run.chain_ids) <= _MAX_LEGEND_CHAINS else None
        upper.plot(*_means(run.iteration, run.acceptance_rate[index]), label=label, **style)
        lower.plot(*_means(run.iteration, run.step_size[index]), **style)
        if len(run.warmup_iteration):
            lower.plot(*_means(run.warmup_iteration, run.warmup_step_size[index]), **style)
    upper.axhline(run.target_acceptance, color=INK, linewidth=1, linestyle=(0, (4, 3)), label="target")
    shade_phases((upper, lower), run.n_explore, run.n_warmup, recorded=len(run.warmup_iteration) > 0)
    upper.set(ylabel="Acceptance rate", ylim=(0, 1.02))
    lower.set(ylabel="Step size", xlabel="Iteration of the chain", yscale="log")
    # Plain numbers: the usual labels of a logarithmic axis are mathematical markup.
    lower.yaxis.set_major_locator(LogLocator(10, subs=(1, 2, 5), numticks=8))
    lower.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    lower.yaxis.set_minor_formatter(NullFormatter())
    lower.set_xlim(0 if len(run.warmup_iteration) else run.n_warmup, run.iteration[-1])
    lower.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    legend_above(figure, n_columns=3)
    save(figure, path, "Acceptance rate and step size of the chains")


def shade_phases(panels: Sequence[Axes], n_explore: int, n_warmup: int, *, recorded: bool) -> None:
    """Shade exploration and warm-up, and name them in the first panel."""
    if not recorded:
        return
    for axes in panels:
        axes.axvspan(0, n_warmup, facecolor=SHADE, zorder=0)
        if n_explore:
            axes.axvline(n_explore, color=MUTED, linewidth=0.8, linestyle=(0, (4, 3)))
    note(panels[0], 0.02, 0.98, "exploration, then warm-up" if n_explore else "warm-up, not kept", MUTED)


def _means(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return means over stretches, so that a long run gives a short line."""
    if len(y) <= _MAX_POINTS:
        return x, y
    parts = np.array_split(np.arange(len(y)), _MAX_POINTS)
    return np.array([x[part].mean() for part in parts]), np.array([y[part].mean() for part in parts])


@styled
def energy(path: PathLike, log_density: np.ndarray, chain_ids: Sequence[int] | np.ndarray) -> None:
    """Draw how widely the log density varies, and how far it moves from one draw to the next.

    Where steps are short beside the spread, chains cross the distribution slowly. The number is the variance of steps
    over that of the log density: 2 for independent draws, near 0 for chains that crawl.

    Parameters
    ----------
    path
        The SVG file.
    log_density
        (chain, draw), nats.
    chain_ids
        (chain,).
    """
    title = "Spread and steps of the log density"
    if not np.isfinite(log_density).all() or log_density.shape[1] < 3:
        message = "The log density is not finite in every draw, or there are too few draws."
        return save_message(path, title, message)
    centred = log_density - log_density.mean(axis=1, keepdims=True)
    steps = np.diff(log_density, axis=1)
    figure, axes = new_figure()
    low, high = padded(np.concatenate([centred.ravel(), steps.ravel()]), 0.02)
    edges = np.linspace(low, high, 61)
    for values, label, colour, fill in (
        (centred, "spread", ORANGE, True),
        (steps, "steps", BLUE, False),
    ):
        share = 100 * np.histogram(values, edges)[0] / values.size
        style: dict[str, Any] = {"fill": fill, "alpha": 0.6 if fill else 1.0, "linewidth": 1.3}
        axes.stairs(share, edges, color=colour, label=label, **style)
    spread = centred.var(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.where(spread > 0, steps.var(axis=1) / spread, 0.0)
    for index, chain in enumerate(chain_ids[:_MAX_LEGEND_CHAINS]):
        note(axes, 0.98, 0.97 - 0.085 * index, f"chain {chain}: {ratio[index]:.2f} of 2", MUTED)
    axes.set(xlim=(low, high), ylim=(0, None), xlabel="Log density [nats]", ylabel="Share of draws [%]")
    legend_above(figure, n_columns=2)
    save(figure, path, title)
