"""Whether each chain, alone, has explored where it is, and how far chains differ: what the verdict LOCAL rests on."""

import math
from typing import Any

import numpy as np

from bnn.diagnostics import mixing
from bnn.posterior.mixture import log_mean_exp
from bnn.posterior.posterior_file import PREDICTIONS, StoredPosterior, log_density_of_rows
from bnn.posterior.predictor import row_blocks

_BLOCK_NUMBERS = 4_000_000
"""Numbers judged at a time, which bounds the memory."""


def each_chain(idata: StoredPosterior, split: str) -> dict[str, Any]:
    """Return how each chain mixes by itself and how far chains differ in what they predict.

    Parameters
    ----------
    idata
        The combined posterior.
    split
        "train" or "test": whose predictions to judge.

    Returns
    -------
    dict
        `rhat_max`, `ess_bulk_min`: (chain,) lists, the worst over all rows (means, or probabilities of classes) and the
        log density of that chain alone. `between_share`: the part of the epistemic variance that lies between the means
        of chains, mean over rows. `nested_rhat_max`, `nested_rhat_median`: over rows, of two groups of chains
        (Margossian et al. 2024, definition 2.3); None with fewer than four chains. `nll`: (chain,) list, mean over rows
        of the negative log density of what was observed, of that chain alone, and `nll_all` of all chains together,
        nats; None where a density is 0 in all draws or not a number.
    """
    group = idata[PREDICTIONS[split]]
    values = group["mean" if "mean" in group else "probability"]
    n_chains, n_draws = values.shape[:2]
    log_density = np.asarray(idata["sample_stats"]["lp"].values)[..., None]
    step = max(1, _BLOCK_NUMBERS // (n_chains * n_draws * math.prod(values.shape[3:])))
    figures = [_worst(log_density)]
    shares, nested = [], []
    for start in range(0, values.shape[2], step):
        block = np.asarray(values[:, :, start : start + step], dtype=np.float64).reshape(
            n_chains, n_draws, -1
        )
        # What is not finite must be seen, what never changes says nothing.
        block = block[..., np.ptp(block, axis=(0, 1)) != 0]
        if not block.shape[2]:
            continue
        figures.append(_worst(block))
        between = block.mean(axis=1).var(axis=0)
        shares.append(between / (between + block.var(axis=1).mean(axis=0)))
        nested.append(nested_rhat(block))
    found = np.array(figures)
    alone, together = _negative_log_scores(log_density_of_rows(idata, split))
    all_nested = np.concatenate(nested or [np.array([np.nan])])
    return {
        "rhat_max": found[:, 0].max(axis=0).tolist(),
        "ess_bulk_min": found[:, 1].min(axis=0).tolist(),
        "between_share": float(np.mean(np.concatenate(shares))) if shares else None,
        "nested_rhat_max": None if np.isnan(all_nested).any() else float(all_nested.max()),
        "nested_rhat_median": None if np.isnan(all_nested).any() else float(np.median(all_nested)),
        "nll": [float(value) if math.isfinite(value) else None for value in alone],
        "nll_all": together if math.isfinite(together) else None,
    }


def _negative_log_scores(log_density: Any) -> tuple[np.ndarray, float]:
    """Return the mean NLL of each chain, (chain,), and that of their mixture; log density (chain, draw, obs), nats."""
    n_chains, n_draws, n_rows = log_density.shape
    alone, together = np.zeros(n_chains), 0.0
    for rows in row_blocks(n_rows, 8 * n_chains * n_draws):
        of_chains = log_mean_exp(np.asarray(log_density[:, :, rows], dtype=np.float64), 1)
        alone -= of_chains.sum(axis=1) / n_rows
        together -= float(log_mean_exp(of_chains, 0).sum()) / n_rows
    return alone, together


def nested_rhat(draws: np.ndarray) -> np.ndarray:
    """Return the nested R-hat of two groups of chains, draws (chain, draw, quantity) -> (quantity,).

    Chains of a group are taken together: their means over chains and draws are compared with how chains and draws vary
    within a group. NaN with fewer than four chains or two draws.
    """
    half = len(draws) // 2
    if half < 2 or draws.shape[1] < 2:
        return np.full(draws.shape[2], np.nan)
    groups = draws[: 2 * half].reshape(2, half, *draws.shape[1:])
    of_chains = groups.mean(axis=2)
    between = of_chains.mean(axis=1).var(axis=0, ddof=1)
    within = (of_chains.var(axis=1, ddof=1) + groups.var(axis=2, ddof=1).mean(axis=1)).mean(axis=0)
    return np.asarray(np.sqrt(1.0 + between / within))


def _worst(draws: np.ndarray) -> np.ndarray:
    """Return the largest R-hat and the smallest ESS of each chain alone, (2, chain); NaN counts as the worst."""
    if not np.isfinite(draws).all() or draws.shape[1] < 2 * mixing.MIN_DRAWS:
        return np.array([np.full(len(draws), np.inf), np.zeros(len(draws))])
    worst = []
    with np.errstate(divide="ignore", invalid="ignore"):
        for chain in draws:
            rhat, ess = mixing.rhat_and_ess_bulk(chain[None])
            worst.append((np.nan_to_num(rhat, nan=np.inf).max(), np.nan_to_num(ess, nan=0.0).min()))
    return np.array(worst).T
