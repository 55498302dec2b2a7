"""Figures of the sampler: did the chains sample the same distribution?"""

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
    ORANGE,
    VERMILLION,
    WIDTH,
    PathLike,
    dashed_level,
    legend_above,
    new_figure,
    note,
    padded,
    save,
    save_message,
    styled,
)
from bnn.plots.chains import shade_phases

_MAX_TRACE_POINTS = 6000
_MAX_LEGEND_CHAINS = 8
_THOUSANDS = FuncFormatter(lambda value, _: f"{value:,.0f}")


@dataclass(frozen=True)
class LogDensityTrace:
    """Log density of the chains, in nats.

    Attributes
    ----------
    log_density
        (chain, draw), the kept draws.
    chain_ids
        (chain,).
    thin, n_warmup
        Iterations between two kept draws, and before the first of them.
    warmup_log_density, warmup_iteration
        (chain, record) and (record,); both None when there are no records of the warm-up.
    n_explore
        Iterations of exploration, before the warm-up.
    """

    log_density: np.ndarray
    chain_ids: Sequence[int] | np.ndarray
    thin: int
    n_warmup: int
    warmup_log_density: np.ndarray | None
    warmup_iteration: np.ndarray | None
    n_explore: int = 0


@styled
def log_density_trace(path: PathLike, trace: LogDensityTrace) -> None:
    """Draw the log density of each chain against the iteration, the warm-up on a shaded ground.

    The vertical axis fits the kept draws; records of the warm-up beyond it are cut off. Where a chain has
    more draws than the figure can show, each short stretch is drawn by its smallest and largest value, so
    extremes stay visible.
    """
    title = "Log density of the chains"
    draws = np.asarray(trace.log_density, dtype=np.float64)
    n_missing = np.count_nonzero(~np.isfinite(draws))
    if n_missing == draws.size:
        return save_message(path, title, "No draw has a finite log density.")
    figure, axes = new_figure()
    iteration = trace.n_warmup + trace.thin * np.arange(1, draws.shape[1] + 1)
    n_bins = max(_MAX_TRACE_POINTS // (4 * len(draws)), 10)
    for index, (chain, values) in enumerate(zip(trace.chain_ids, draws, strict=True)):
        colour = CHAIN_COLOURS[index % len(CHAIN_COLOURS)]
        x, y = extremes(iteration, values, n_bins)
        axes.plot(x, y, color=colour, linewidth=0.7, alpha=0.85, label=f"chain {chain}")
        if trace.warmup_log_density is not None and trace.warmup_iteration is not None:
            x, y = extremes(trace.warmup_iteration, trace.warmup_log_density[index], n_bins)
            axes.plot(x, y, color=colour, linewidth=0.7, alpha=0.85)
    shade_phases((axes,), trace.n_explore, trace.n_warmup, recorded=trace.warmup_log_density is not None)
    if n_missing:
        note(axes, 0.98, 0.98, f"{n_missing} draws without a finite log density are not shown", VERMILLION)
    axes.set(xlabel="Iteration of the chain", ylabel="Log density [nats]", ylim=padded(draws, 0.25))
    axes.set_xlim(0 if trace.warmup_log_density is not None else trace.n_warmup, iteration[-1])
    axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    axes.xaxis.set_major_formatter(_THOUSANDS)
    if len(draws) <= _MAX_LEGEND_CHAINS:
        legend_above(figure, n_columns=4)
    save(figure, path, title)


def extremes(x: np.ndarray, y: np.ndarray, n_bins: int) -> tuple[np.ndarray, np.ndarray]:
    """Thin a line for drawing: the smallest and the largest finite value of each of `n_bins` stretches, in
    their order.

    Parameters
    ----------
    x, y
        (point,).
    n_bins
        Number of stretches of about equal length.

    Returns
    -------
    x and y with at most `2 * n_bins` points, or as they came when they have no more. A stretch without a
    finite value is NaN.
    """
    if len(y) <= 2 * n_bins:
        return x, np.where(np.isfinite(y), y, np.nan)
    kept_x, kept_y = [], []
    for part in np.array_split(np.arange(len(y)), n_bins):
        finite = part[np.isfinite(y[part])]
        if finite.size == 0:
            kept_x.append(x[part[:1]])
            kept_y.append(np.array([np.nan]))
            continue
        ends = np.unique([finite[np.argmin(y[finite])], finite[np.argmax(y[finite])]])
        kept_x.append(x[ends])
        kept_y.append(y[ends])
    return np.concatenate(kept_x), np.concatenate(kept_y)


@styled
def log_density_rank(path: PathLike, log_density: np.ndarray, chain_ids: Sequence[int] | np.ndarray) -> None:
    """Draw, for each chain, the histogram of the ranks of its log densities (chain, draw) in all chains."""
    title = "Ranks of the log density of the chains"
    n_chains, n_draws = log_density.shape
    if log_density.size == 0:
        return save_message(path, title, "There is no draw to show.")
    figure, axes = new_figure(height=float(np.clip(0.55 * n_chains + 0.9, 1.6, 9.0)))
    n_bins = int(np.clip(n_draws // 10, 2, 20))
    counts = rank_histogram(log_density, n_bins)
    edges = np.linspace(0, 100, n_bins + 1)
    # Each chain has a lane of height 1; the uniform count is drawn at 0.45 unless a crowded bin would leave
    # its lane.
    uniform = n_draws / n_bins
    scale = min(0.45 / uniform, 0.92 / float(counts.max()))
    for index, row in enumerate(counts):
        lane = n_chains - 1 - index
        colour = CHAIN_COLOURS[index % len(CHAIN_COLOURS)]
        axes.stairs(lane + scale * row, edges, baseline=lane, fill=True, facecolor=colour, alpha=0.8)
        dashed_level(axes, lane + scale * uniform, 0, 100)
    lanes = n_chains - 1 - np.arange(n_chains)
    axes.set_yticks(lanes + scale * uniform, labels=[f"chain {chain}" for chain in chain_ids])
    axes.tick_params(axis="y", length=0)
    axes.grid(False)
    axes.set(xlim=(0, 100), ylim=(0, n_chains), xlabel="Rank of the log density among all chains [%]")
    axes.set_ylabel("Number of draws")
    save(figure, path, title)


def rank_histogram(values: np.ndarray, n_bins: int) -> np.ndarray:
    """Count the draws of each chain in bins of their rank among the draws of all chains (Vehtari et al. 2021,
    section 5).

    Parameters
    ----------
    values
        (chain, draw). Equal values share their mean rank, so a chain that does not move fills one bin. NaN
        ranks highest.
    n_bins
        Number of bins of equal width.

    Returns
    -------
    (chain, n_bins) int64; near `n_draws / n_bins` everywhere when the chains sample the same distribution.
    """
    _, group, size = np.unique(values, return_inverse=True, return_counts=True)
    mean_rank = np.cumsum(size) - size / 2
    bins = (mean_rank[group.reshape(values.shape)] / values.size * n_bins).astype(np.int64)
    return np.stack([np.bincount(row, minlength=n_bins) for row in bins])


@styled
def convergence(
    path: PathLike,
    rhat: Mapping[str, np.ndarray],
    ess_bulk: Mapping[str, np.ndarray],
    thresholds: Mapping[str, float],
) -> None:
    """Draw the distributions of R-hat and bulk effective sample size over predictions, with the thresholds as
    lines.

    Parameters
    ----------
    path
        The SVG file.
    rhat, ess_bulk
        Split ("train", "test") -> array of any shape, an entry a predicted quantity; entries that are not
        finite are counted.
    thresholds
        `rhat_warn`, `rhat_fail`, `ess_warn`, `ess_fail`.
    """
    figure = Figure(figsize=(WIDTH, 4.4), layout="constrained")
    upper, lower = figure.subplots(2, 1)
    _distribution(upper, rhat, (thresholds["rhat_warn"], thresholds["rhat_fail"]), logarithmic=False)
    _distribution(lower, ess_bulk, (thresholds["ess_warn"], thresholds["ess_fail"]), logarithmic=True)
    upper.set(xlabel="R-hat of a prediction (1 is best)", ylabel="Share [%]")
    lower.set(xlabel="Bulk effective sample size of a prediction [draws]", ylabel="Share [%]")
    legend_above(figure, n_columns=4)
    save(figure, path, "R-hat and effective sample size of the predictions")


def _distribution(
    axes: Axes, values: Mapping[str, np.ndarray], limits: tuple[float, float], *, logarithmic: bool
) -> None:
    """Draw a histogram a split, and the limits (warn, fail) as lines."""
    finite = {split: array[np.isfinite(array)] for split, array in values.items()}
    pooled = np.concatenate([*(array.ravel() for array in finite.values()), limits[:1]])
    low, high = float(pooled.min()), float(pooled.max())
    # The second limit is worth its room only when it does not push the data into a corner.
    reach = (low / 10, high * 10) if logarithmic else (low - 2 * (high - low), high + 2 * (high - low))
    shown = [limit for limit in limits if reach[0] <= limit <= reach[1]]
    low, high = min(low, *shown), max(high, *shown)
    if logarithmic:
        low, high = max(low, 1.0) * 0.85, high * 1.15
        edges = np.geomspace(low, high, 41)
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(LogLocator(10, subs=(1, 2, 5), numticks=12))
        axes.xaxis.set_major_formatter(_THOUSANDS)
        axes.xaxis.set_minor_formatter(NullFormatter())
    else:
        margin = 0.06 * (high - low) or 1e-3
        low, high = low - margin, high + margin
        edges = np.linspace(low, high, 41)
        axes.xaxis.set_major_locator(MaxNLocator(6))
    for (split, array), colour, fill in zip(finite.items(), (ORANGE, BLUE), (True, False), strict=False):
        counts, _ = np.histogram(np.clip(array, low, high), edges)
        share = 100 * counts / max(array.size, 1)
        style: dict[str, Any] = {"fill": fill, "alpha": 0.6 if fill else 1.0, "linewidth": 1.3}
        axes.stairs(share, edges, color=colour, label=f"{split} rows", **style)
    for limit, name, line in zip(limits, ("warn", "fail"), ((0, (4, 3)), "-"), strict=True):
        if limit in shown:
            axes.axvline(limit, color=VERMILLION, linewidth=1.1, linestyle=line, label=f"{name} limit")
    n_missing = sum(array.size for array in values.values()) - sum(array.size for array in finite.values())
    if n_missing:
        note(axes, 0.98, 0.98, f"{n_missing} not finite, not shown", VERMILLION)
    axes.set(xlim=(low, high), ylim=(0, None))
