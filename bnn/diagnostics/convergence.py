"""Figures of convergence of any quantity: R-hat, effective sample sizes, Monte Carlo errors, chains that are stuck.

R-hat is the rank-normalised split R-hat, and ESS the bulk and tail effective sample size, of Vehtari et al. (2021).
They are ArviZ's, which goes through the quantities one by one. Of many quantities only the worst, which decide, are
given to it: the rest have the figures of `mixing`, which are the same to rounding and take a fraction of the time.
"""

from collections.abc import Mapping
from types import ModuleType
from typing import NamedTuple

import numpy as np

from bnn.diagnostics import mixing
from bnn.diagnostics.mixing import MIN_DRAWS
from bnn.posterior import arviz_versions

_BLOCK_NUMBERS = 2**19
"""Draws of all quantities that are judged at a time, so that copies stay small."""
_WORST = 20
"""Of many quantities ArviZ judges so many with the largest R-hat, with the smallest bulk and tail ESS, and with the
largest Monte Carlo error."""
_MANY = 6 * _WORST
"""Quantities up to which ArviZ judges all."""


class Convergence(NamedTuple):
    """Diagnostics of each quantity, all of the quantities' shape; NaN where they cannot be computed."""

    rhat: np.ndarray
    """Infinite if every chain is constant but chains differ; NaN if the quantity is the same in every draw"""
    ess_bulk: np.ndarray
    ess_tail: np.ndarray
    mcse_mean: np.ndarray
    """Monte Carlo standard error of the mean, in the unit of the quantity"""
    finite: np.ndarray
    """Whether all draws are finite"""
    constant: np.ndarray
    """Whether all draws of all chains are equal"""


def convergence(draws: np.ndarray, *, brief: bool = False) -> Convergence:
    """Return the diagnostics of every quantity.

    A constant quantity has no R-hat: draws that never change do not show that chains agree (ArviZ gives it as
    many effective draws as there are draws). With one chain, its halves stand in for two chains in R-hat,
    which is then blind to all that this chain has not visited.

    Parameters
    ----------
    draws
        Shape (chain, draw, ...); every index of the other axes is a quantity.
    brief
        Leave out the tail ESS and the Monte Carlo error, a third of the work; they are then NaN.
    """
    shape = draws.shape[2:]
    flat = draws.reshape(*draws.shape[:2], -1)
    finite = np.isfinite(flat).all(axis=(0, 1))
    constant = finite & (flat == flat[:1, :1]).all(axis=(0, 1))
    figures = np.full((4, flat.shape[2]), np.nan)
    usable = finite & ~constant
    if flat.shape[1] >= MIN_DRAWS:
        indices = np.flatnonzero(usable)
        step = max(1, _BLOCK_NUMBERS // (flat.shape[0] * flat.shape[1]))
        if len(indices) > _MANY:
            for start in range(0, len(indices), step):
                block = indices[start : start + step]
                figures[:, block] = _figures(mixing, flat[..., block].astype(np.float64), brief=brief)
            indices = _deciding(figures, indices)
        for start in range(0, len(indices), step):
            block = indices[start : start + step]
            figures[:, block] = _figures(arviz_versions, flat[..., block].astype(np.float64), brief=brief)
        frozen = usable & (flat == flat[:, :1]).all(axis=(0, 1))
        figures[0, frozen] = np.inf
    return Convergence(*(row.reshape(shape) for row in (*figures, finite, constant)))


def _deciding(figures: np.ndarray, indices: np.ndarray) -> np.ndarray:
    """Return those of the indices that are among the worst in any of the figures."""
    merit = (figures * np.array([-1.0, 1.0, 1.0, -1.0])[:, None])[:, indices]
    worst = np.argsort(merit, axis=1)[:, :_WORST]  # those without a figure come last
    return indices[np.unique(worst[~np.isnan(np.take_along_axis(merit, worst, axis=1))])]


def _figures(source: ModuleType, draws: np.ndarray, *, brief: bool) -> np.ndarray:
    """Return R-hat, bulk ESS, tail ESS and MCSE of (chain, draw, quantity), shape (4, quantity), by a module."""
    halves = draws
    if draws.shape[0] == 1:
        half = draws.shape[1] // 2
        halves = np.concatenate([draws[:, :half], draws[:, -half:]])
    figures = np.full((4, draws.shape[2]), np.nan)
    with np.errstate(divide="ignore", invalid="ignore"):
        if source is mixing and halves is draws:
            figures[:2] = mixing.rhat_and_ess_bulk(draws)
        else:
            if halves.shape[1] >= MIN_DRAWS:
                figures[0] = source.rhat(halves)
            figures[1] = source.ess_bulk(draws)
        if not brief:
            figures[2] = source.ess_tail(draws)
            figures[3] = source.mcse_mean(draws)
    return figures


def stuck_chains(theta: np.ndarray) -> np.ndarray:
    """Return which chains stayed in one place for more than half of their draws.

    Parameters
    ----------
    theta
        Shape (chain, draw, ...).

    Returns
    -------
    ndarray
        Shape (chain,), bool.
    """
    n_chains, n_draws = theta.shape[:2]
    flat = theta.reshape(n_chains, n_draws, -1)
    same = (flat[:, 1:] == flat[:, :-1]).all(axis=2)
    longest = np.ones(n_chains, dtype=np.int64)
    run = np.ones(n_chains, dtype=np.int64)
    for step in range(n_draws - 1):
        run = np.where(same[:, step], run + 1, 1)
        longest = np.maximum(longest, run)
    return (longest > n_draws / 2) & (n_draws > 1)


def canonical_weights(weights: Mapping[str, np.ndarray], *, odd_activation: bool) -> dict[str, np.ndarray]:
    """Sort the hidden units of every layer by bias, so that draws of exchangeable units compare.

    Permuting units, and for an odd activation flipping the sign of all that goes in and out of a unit, leaves
    the network's function as it is. Here every bias of a hidden unit is made non-negative (odd activations),
    then units are sorted by bias.

    Parameters
    ----------
    weights
        `weight_<l>` (chain, draw, input, unit) and `bias_<l>` (chain, draw, unit) of every layer.
    odd_activation
        Whether the activation satisfies f(-z) = -f(z), as tanh does.
    """
    result = {name: np.array(values) for name, values in weights.items()}
    n_layers = sum(name.startswith("weight_") for name in weights)
    for layer in range(n_layers - 1):
        into, bias, out = f"weight_{layer}", f"bias_{layer}", f"weight_{layer + 1}"
        if odd_activation:
            sign = np.where(result[bias] < 0, -1.0, 1.0)
            result[into] *= sign[..., None, :]
            result[bias] *= sign
            result[out] *= sign[..., :, None]
        order = np.argsort(result[bias], axis=-1)
        result[bias] = np.take_along_axis(result[bias], order, axis=-1)
        result[into] = np.take_along_axis(result[into], order[..., None, :], axis=-1)
        result[out] = np.take_along_axis(result[out], order[..., :, None], axis=-2)
    return result
