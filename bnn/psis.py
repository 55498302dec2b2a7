"""Pareto-smoothed importance sampling (Vehtari et al. 2024), and leave-one-out cross-validation by it.

Draws of one distribution stand for another one when they are weighted. The largest weights decide how well that works:
a generalised Pareto distribution is fitted to them, its quantiles take their place, and its shape k says whether the
result can be trusted: up to 0.7 it can, beyond it the error is not under control.
"""

from typing import NamedTuple

import numpy as np

from bnn.arviz_import import quiet_import

with quiet_import():
    import arviz as az
    import xarray as xr

K_THRESHOLD = 0.7
"""Pareto k above this: not to be trusted."""

_BLOCK = 1000
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
    for start in range(0, len(flat), _BLOCK):
        part = slice(start, start + _BLOCK)
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
    shift = log_likelihood.max(axis=(0, 1))
    density = np.exp(log_likelihood - shift)
    efficiency = relative_efficiency(density)
    flat = np.moveaxis(log_likelihood, 2, 0).reshape(log_likelihood.shape[2], -1).astype(np.float64)
    weights, k = smooth(-flat, efficiency=efficiency)
    terms = weights + flat
    highest = terms.max(axis=1)
    elpd = highest + np.log(np.exp(terms - highest[:, None]).sum(axis=1))
    lppd = shift + np.log(density.mean(axis=(0, 1), dtype=np.float64))
    return Loo(elpd, lppd, k)
