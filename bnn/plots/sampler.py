"""Figures of the sampler: did the chains sample the same distribution?"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.ticker import FuncFormatter, MaxNLocator

from bnn.plots.bands import rank_band, thinned_ranks
from bnn.plots.calibration import LEVEL, against_uniform, chance_band, grid
from bnn.plots.canvas import (
    CHAIN_COLOURS,
    INK,
    VERMILLION,
    PathLike,
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
_MIN_RANKED = 5
"""Independent draws of a chain below which ranks say nothing."""
_MAX_STEPS = 50
"""Points at which ranks are compared."""
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
        legend_above(figure, n_columns=3)
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
def log_density_rank(
    path: PathLike,
    log_density: np.ndarray,
    chain_ids: Sequence[int] | np.ndarray,
    ess: float | None,
    rng: np.random.Generator,
) -> None:
    """Draw by how much the distribution of each chain's ranks differs from the uniform one.

    Parameters
    ----------
    path
        The SVG file.
    log_density
        (chain, draw), nats.
    chain_ids
        (chain,).
    ess
        Its effective sample size: draws are thinned to about so many, or correlation alone would leave the band.
    rng
        Draws the ranks that give the simultaneous band.
    """
    title = "Ranks of the log density of the chains"
    values = np.asarray(log_density, dtype=np.float64)
    ranks = thinned_ranks(values, ess) if values.size else values
    has_band = ranks.shape[1] >= _MIN_RANKED
    if not has_band:
        ranks = thinned_ranks(values, None) if values.size else values
    n_chains, n_draws = ranks.shape
    if n_draws < _MIN_RANKED:
        return save_message(path, title, "The chains have too few draws to be ranked.")
    figure, axes = new_figure()
    z = grid(min(n_draws, _MAX_STEPS))
    if has_band:
        chance_band(axes, z, *rank_band(n_chains, n_draws, z, LEVEL, rng))
    else:
        note(axes, 0.98, 0.98, "no band: too few effective draws for one", INK)
    for index, (chain, values) in enumerate(zip(chain_ids, ranks, strict=True)):
        colour = CHAIN_COLOURS[index % len(CHAIN_COLOURS)]
        label = f"chain {chain}" if n_chains <= _MAX_LEGEND_CHAINS else None
        axes.plot(*against_uniform(values, z), color=colour, linewidth=1.2, label=label)
    axes.set(xlim=(0, 1), xlabel="Rank of the log density among all chains", ylabel="Share − expected")
    legend_above(figure, n_columns=3)
    save(figure, path, title)
