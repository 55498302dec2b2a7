"""Pareto-smoothed importance sampling (Vehtari et al. 2024), and leave-one-out cross-validation by it.

Draws of one distribution stand for another one when they are weighted. The largest weights decide how well that works:
a generalised Pareto distribution is fitted to them, its quantiles take their place, and its shape k says whether the
result can be trusted: up to min(1 - 1 / log10(draws), 0.7) it can, beyond it the error is not under control.
"""

import math
from typing import NamedTuple

import numpy as np

from bnn.arviz_import import quiet_import

with quiet_import():
    import arviz as az
    import xarray as xr

K_MAX = 0.7
"""Pareto k above this is not to be trusted, however many the draws."""

_CELLS_AT_ONCE = 2**22
"""Log weights handed to ArviZ at a time, so that its copies stay small."""
_EFFICIENCY_ROWS = 200
"""Rows from which the efficiency of the draws is estimated: it only decides how many weights count as large."""


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
    weights, k = np.empty_like(flat), np.empty(len(flat))
    at_once = max(1, _CELLS_AT_ONCE // flat.shape[1])
    for start in range(0, len(flat), at_once):
        part = slice(start, start + at_once)
        weights[part], k[part] = az.psislw(flat[part], reff=efficiency)
    equal = np.ptp(flat, axis=1) == 0
    k[equal] = 0.0
    return weights.reshape(log_ratios.shape), k.reshape(log_ratios.shape[:-1])


def relative_efficiency(values: np.ndarray) -> float:
    """Return effective draws per draw for means of values (chain, draw, quantity), at most 1: the mean over quantities.

    Quantities that are the same in every draw are left out; without any others it is 1.
    """
    n_chains, n_draws, n_quantities = values.shape
    step = max(1, n_quantities // _EFFICIENCY_ROWS)
    chosen = values[..., ::step]
    chosen = chosen[..., np.ptp(chosen, axis=(0, 1)) > 0]
    if not chosen.shape[-1] or n_draws < 4:
        return 1.0
    data = xr.Dataset({"x": (("chain", "draw", "quantity"), chosen)})
    found = np.asarray(az.ess(data, method="mean")["x"]) / (n_chains * n_draws)
    return float(np.clip(np.nanmean(found), 1.0 / (n_chains * n_draws), 1.0))


def leave_one_out(log_likelihood: np.ndarray) -> Loo:
    """Return how well each row is predicted by all others (Vehtari, Gelman & Gabry 2017).

    Parameters
    ----------
    log_likelihood
        Of each draw and training row, nats, (chain, draw, obs).
    """
    n_chains, n_draws, n_rows = log_likelihood.shape
    step = max(1, n_rows // _EFFICIENCY_ROWS)
    some = log_likelihood[..., ::step]
    efficiency = relative_efficiency(np.exp(some - some.max(axis=(0, 1))))
    elpd, lppd, k = np.empty(n_rows), np.empty(n_rows), np.empty(n_rows)
    at_once = max(1, _CELLS_AT_ONCE // (n_chains * n_draws))
    for start in range(0, n_rows, at_once):
        rows = slice(start, start + at_once)
        flat = log_likelihood[..., rows].reshape(n_chains * n_draws, -1).T.astype(np.float64)
        weights, k[rows] = smooth(-flat, efficiency=efficiency)
        elpd[rows] = _log_sum(weights + flat)
        lppd[rows] = _log_sum(flat) - np.log(n_chains * n_draws)
    return Loo(elpd, lppd, k)


def _log_sum(terms: np.ndarray) -> np.ndarray:
    """Return the log of the sum of exponentials over the last axis."""
    highest = terms.max(axis=-1)
    return np.asarray(highest + np.log(np.exp(terms - highest[..., None]).sum(axis=-1)))
