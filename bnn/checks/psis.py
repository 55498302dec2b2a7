"""Pareto-smoothed importance sampling (Vehtari et al. 2024), and leave-one-out cross-validation by it.

Draws of one distribution stand for another one when they are weighted. The largest weights decide how well that works:
a generalised Pareto distribution is fitted to them, its quantiles take their place, and its shape k says whether the
result can be trusted: up to min(1 - 1 / log10(draws), 0.7) it can, beyond it the error is not under control.

ArviZ smooths in the same way, which tests compare; its import takes longer than the work of a job on a small table.
"""

import math
from typing import Any, NamedTuple

import numpy as np

from bnn.diagnostics.mixing import MIN_DRAWS, ess_mean
from bnn.posterior.mixture import log_mean_exp

K_MAX = 0.7
"""Pareto k above this is not to be trusted, however many the draws."""

_CELLS_AT_ONCE = 2**20
"""Log weights smoothed at a time, so that copies stay small."""
_EFFICIENCY_ROWS = 200
"""Rows from which the efficiency of the draws is estimated: it only decides how many weights count as large."""
_MIN_TAIL = 5
"""Large weights without which nothing is fitted."""
_LOWEST = math.log(np.finfo(np.float64).tiny)
# Of the fit: how far the candidates of theta reach, in upper quartiles; and a prior of so many weights around k = 1/2.
_PRIOR_REACH = 3
_PRIOR_WEIGHTS = 10


class Loo(NamedTuple):
    """Leave-one-out predictive densities of the training rows."""

    elpd: np.ndarray
    """(obs,): log predictive density of each row given all others, nats"""
    lppd: np.ndarray
    """(obs,): the same given all rows, the row itself included"""
    k: np.ndarray
    """(obs,): Pareto k"""


def k_threshold(n_draws: int) -> float:
    """Return the Pareto k above which a mean over so many weighted draws is not to be trusted, at least 0.

    It is min(1 - 1 / log10(n_draws), 0.7): heavier weights need more draws (Vehtari et al. 2024).
    """
    return max(0.0, min(1 - 1 / math.log10(n_draws), K_MAX)) if n_draws > 1 else 0.0


def smooth(log_ratios: np.ndarray, *, efficiency: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """Return smoothed log weights that sum to 1, and the Pareto k of each set of weights.

    Parameters
    ----------
    log_ratios
        Log of target density over density of the draws, up to a constant, (..., draw).
    efficiency
        Effective draws per draw.

    Returns
    -------
    log_weights
        (..., draw).
    k
        (...); infinite where there are too few different weights to tell, 0 where all are equal.
    """
    flat = np.array(log_ratios, dtype=np.float64).reshape(-1, log_ratios.shape[-1])
    n_draws = flat.shape[1]
    n_tail = min(math.ceil(min(n_draws / 5, 3 * math.sqrt(n_draws / efficiency))), n_draws - 1)
    equal = np.ptp(flat, axis=1) == 0
    flat -= flat.max(axis=1, keepdims=True)
    k = np.array([_smooth_tail(row, n_tail) for row in flat])
    flat -= (log_mean_exp(flat, -1) + np.log(n_draws))[:, None]
    k[equal] = 0.0
    return flat.reshape(log_ratios.shape), k.reshape(log_ratios.shape[:-1])


def _smooth_tail(log_weights: np.ndarray, n_tail: int) -> float:
    """Replace the largest log weights (draw,), of which 0 is the highest, by quantiles of what fits them; return k."""
    cut = max(np.partition(log_weights, -n_tail - 1)[-n_tail - 1], _LOWEST)
    # Weights that equal the one at the cut all count as small.
    places = np.flatnonzero(log_weights > cut)
    if len(places) < _MIN_TAIL:
        return math.inf
    places = places[np.argsort(log_weights[places], kind="stable")]
    low = math.exp(cut)
    k, scale = _fit_pareto(np.exp(log_weights[places]) - low)
    if math.isfinite(k):
        shares = (np.arange(len(places)) + 0.5) / len(places)
        # No smoothed weight is larger than the largest raw one.
        log_weights[places] = np.minimum(np.log(low + _pareto_quantiles(shares, k, scale)), 0.0)
    return k


def _fit_pareto(tail: np.ndarray) -> tuple[float, float]:
    """Return shape k and scale of a generalised Pareto distribution of values in ascending order, all positive.

    The likelihood depends on theta = -k / scale once k is at its best for it; theta's posterior mean under a weak prior
    is a mean over candidates (Zhang & Stephens 2009). k is then drawn a little towards 1/2 (Vehtari et al. 2024).
    """
    n = len(tail)
    n_candidates = 30 + math.isqrt(n)
    quartile = tail[int(n / 4 + 0.5) - 1]
    grid = 1 - np.sqrt(n_candidates / (np.arange(n_candidates) + 0.5))
    theta = 1 / tail[-1] + grid / (_PRIOR_REACH * quartile)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        best = np.log1p(-theta[:, None] * tail).mean(axis=1)
        profile = n * (np.log(-theta / best) - best - 1)
        weights = np.exp(profile - profile.max())
        weights /= weights.sum()
        weights[weights < 10 * np.finfo(np.float64).eps] = 0.0
        mean = (weights @ theta) / weights.sum()
        k = np.log1p(-mean * tail).mean()
    return float((n * k + _PRIOR_WEIGHTS / 2) / (n + _PRIOR_WEIGHTS)), float(-k / mean)


def _pareto_quantiles(shares: np.ndarray, k: float, scale: float) -> np.ndarray:
    """Return the quantiles of the generalised Pareto distribution at shares in (0, 1)."""
    log_survival = np.log1p(-shares)
    if abs(k) < np.finfo(np.float64).eps:
        return -scale * log_survival
    return np.asarray(scale * np.expm1(-k * log_survival) / k)


def relative_efficiency(values: np.ndarray) -> float:
    """Return effective draws per draw for means of values (chain, draw, quantity), at most 1: the mean over quantities.

    Quantities that are the same in every draw are left out; without any others it is 1.
    """
    n_chains, n_draws, n_quantities = values.shape
    step = max(1, n_quantities // _EFFICIENCY_ROWS)
    chosen = values[..., ::step]
    chosen = chosen[..., np.ptp(chosen, axis=(0, 1)) > 0]
    if not chosen.shape[-1] or n_draws < MIN_DRAWS:
        return 1.0
    found = ess_mean(chosen) / (n_chains * n_draws)
    return float(np.clip(np.nanmean(found), 1.0 / (n_chains * n_draws), 1.0))


def leave_one_out(log_likelihood: Any) -> Loo:
    """Return how well each row is predicted by all others (Vehtari, Gelman & Gabry 2017).

    Parameters
    ----------
    log_likelihood
        Of each draw and training row, nats, (chain, draw, obs): an array, or a stored one, of which slices are read.
    """
    n_chains, n_draws, n_rows = log_likelihood.shape
    some = np.asarray(log_likelihood[:, :, :: max(1, n_rows // _EFFICIENCY_ROWS)])
    efficiency = relative_efficiency(np.exp(some - some.max(axis=(0, 1))))
    elpd, lppd, k = np.empty(n_rows), np.empty(n_rows), np.empty(n_rows)
    at_once = max(1, _CELLS_AT_ONCE // (n_chains * n_draws))
    for start in range(0, n_rows, at_once):
        rows = slice(start, start + at_once)
        flat = np.asarray(log_likelihood[:, :, rows]).reshape(n_chains * n_draws, -1).T.astype(np.float64)
        weights, k[rows] = smooth(-flat, efficiency=efficiency)
        elpd[rows] = log_mean_exp(weights + flat, -1) + np.log(n_chains * n_draws)
        lppd[rows] = log_mean_exp(flat, -1)
    return Loo(elpd, lppd, k)
