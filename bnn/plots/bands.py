"""What chance alone does to a curve: bands for calibration curves and for empirical distribution functions."""

import numpy as np

_N_SIMULATED = 1000
_CELLS_AT_ONCE = 2**22
_MOST_RANKED = 20_000
"""Draws of all chains beyond which ranks are thinned: a band of so many is narrower than a line."""


def isotonic(x: np.ndarray, hit: np.ndarray) -> np.ndarray:
    """Return the share of hits as the increasing function of x that fits best, at each x; pool adjacent violators.

    Parameters
    ----------
    x
        (obs,) in ascending order.
    hit
        (..., obs) of 0 and 1.
    """
    from scipy.optimize import (
        isotonic_regression,
    )  # slow to import, and figures of real targets do without it

    starts = np.flatnonzero(np.diff(x, prepend=-np.inf) > 0)
    size = np.diff(starts, append=len(x))
    # Rows of the same x are one point, or their order would matter.
    share = np.add.reduceat(np.asarray(hit, dtype=np.float64), starts, axis=-1) / size
    fitted = [isotonic_regression(row, weights=size).x for row in share.reshape(-1, len(starts))]
    return np.repeat(np.reshape(fitted, share.shape), size, axis=-1)


def consistency_band(x: np.ndarray, level: float, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return between which shares `isotonic` lies if each probability x is right (Dimitriadis et al. 2021).

    Parameters
    ----------
    x
        (obs,) probabilities in ascending order.
    level
        What the band holds at each x by itself.
    rng
        Draws the hits.

    Returns
    -------
    lower, upper
        (obs,).
    """
    n_simulated = int(np.clip(_CELLS_AT_ONCE // len(x), 100, _N_SIMULATED))
    curves = isotonic(x, rng.random((n_simulated, len(x))) < x)
    lower, upper = np.quantile(curves, [0.5 - level / 2, 0.5 + level / 2], axis=0)
    return lower, upper


def ecdf_band(
    n_rows: int, z: np.ndarray, level: float, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Return between which shares the distribution function of uniform values lies at all z together.

    Each point has the same chance of leaving the band, adjusted by simulation until all together have that of the
    level (Säilynoja, Bürkner & Vehtari 2022, algorithm 1).

    Parameters
    ----------
    n_rows
        Number of values.
    z
        Where the function is looked at, ascending, between 0 and 1.
    level
        Chance that uniform values stay inside everywhere.
    rng
        Draws them.

    Returns
    -------
    lower, upper
        Shares, of the shape of z.
    """
    steps = np.diff(z, prepend=0.0, append=1.0)
    counts = rng.multinomial(n_rows, steps / steps.sum(), _N_SIMULATED).cumsum(axis=1)[:, : len(z)]
    return _simultaneous(counts, n_rows, z, level)


def rank_band(
    n_chains: int, n_draws: int, z: np.ndarray, level: float, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Return between which shares of its draws each chain has ranks of at most z, if all sample the same.

    As `ecdf_band`, but chains share their ranks: what one has too many of the others have too few of.

    Parameters
    ----------
    n_chains, n_draws
        Chains, and independent draws of each.
    z, level, rng
        As in `ecdf_band`; the level is for all chains together.
    """
    ranks = np.tile((np.arange(n_chains * n_draws) + 0.5) / (n_chains * n_draws), (_N_SIMULATED // 4, 1))
    ranks = rng.permuted(ranks, axis=1).reshape(-1, n_chains, n_draws)
    counts = np.stack([(ranks <= point).sum(axis=-1) for point in z], axis=-1)
    low, high = _simultaneous(counts.reshape(len(counts), -1), n_draws, np.tile(z, n_chains), level)
    return low[: len(z)], high[: len(z)]


def thinned_ranks(values: np.ndarray, ess: float | None) -> np.ndarray:
    """Return ranks among all draws, as shares, of as many draws a chain as the correlated ones are worth.

    Parameters
    ----------
    values
        (chain, draw). Equal values share their mean rank.
    ess
        Effective sample size of all chains together; None: every draw counts.
    """
    worth = min(values.size if ess is None else max(ess, len(values)), _MOST_RANKED)
    kept = values[:, :: max(1, round(values.size / worth))]
    _, group, size = np.unique(kept, return_inverse=True, return_counts=True)
    mean_rank = np.cumsum(size) - size / 2
    return np.asarray(mean_rank[group.reshape(kept.shape)] / kept.size)


def _simultaneous(counts: np.ndarray, n: int, z: np.ndarray, level: float) -> tuple[np.ndarray, np.ndarray]:
    """Return binomial bounds, as shares, of such a chance each that simulated counts (table, z) keep within all."""
    from scipy import stats

    tail = np.minimum(stats.binom.cdf(counts, n, z), stats.binom.sf(counts - 1, n, z)).min(axis=1)
    chance = np.quantile(tail, 1 - level)
    return stats.binom.ppf(chance, n, z) / n, stats.binom.isf(chance, n, z) / n
