"""How much do predictions depend on the scale of the prior?

Draws under one prior stand for those under another when they are weighted by the ratio of the priors; Pareto k tells
whether that works. In many dimensions it works near the prior that was used, and no further: beyond, chains have to run
under that prior. The derivative of a score by the log of the scale needs no weights (Kallioinen et al. 2024 use it
alike).
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from bnn.checks.psis import k_threshold, relative_efficiency, smooth
from bnn.core.errors import ResultError
from bnn.core.settings import PriorSettings
from bnn.data.dataset import Dataset
from bnn.evaluation import metrics
from bnn.evaluation.forecasts import observed
from bnn.evaluation.scores import jackknife_blocks, jackknife_mcse
from bnn.model.layout import ParameterLayout
from bnn.model.posterior import make_prior
from bnn.posterior.posterior_file import StoredPosterior, stacked_theta
from bnn.posterior.predictor import Predictor

_BLOCK_BYTES = 2**25
"""Rough size of the draws that are read at a time."""
_STEP = 1e-4
"""Change of the log of the factor in the difference quotients of slopes."""

Draws = dict[str, Any]
"""`value`: probabilities (chain, draw, obs, class) or means (chain, draw, obs); `log_density` (chain, draw, obs);
arrays, or stored ones, of which slices are read"""


def prior_sensitivity(
    idata: StoredPosterior,
    dataset: Dataset,
    predictor: Predictor,
    *,
    prior: PriorSettings,
    factors: tuple[float, ...],
) -> dict[str, Any]:
    """Return the test scores under priors whose scales of weights and biases are multiplied by each factor.

    Parameters
    ----------
    idata
        What `bnn.posterior.inference_data.combine` wrote, read.
    dataset
        Its table.
    predictor
        Of its draws.
    prior
        As the chains had it.
    factors
        Multiples of its scales.
    """
    theta, layout = stacked_theta(idata)
    group = idata["predictions"]
    value = group["probability" if dataset.task == "classification" else "mean"]
    draws = {"value": value, "log_density": group["log_density_y"]}
    log_prior = _log_prior(dataset, predictor, prior, layout, theta)
    start = log_prior(1.0)
    efficiency = relative_efficiency(start[..., None])
    threshold = k_threshold(start.size)
    score = _scorer(dataset)
    uniform = np.zeros_like(start)
    entries = [_entry(1.0, "as run", score, draws, uniform, k=0.0)]
    for factor in factors:
        ratios = (log_prior(factor) - start).ravel()
        weights, k = smooth(ratios, efficiency=efficiency)
        if k <= threshold:
            log_weights = weights.reshape(start.shape)
            entries.append(_entry(factor, "reweighted", score, draws, log_weights, k=float(k)))
        else:
            entries.append(_unknown(factor, float(k)))
    gradient = (log_prior(np.exp(_STEP)) - log_prior(np.exp(-_STEP))) / (2 * _STEP)
    up, down = (_variants(score, draws, sign * _STEP * gradient) for sign in (1.0, -1.0))
    slopes = (up - down) / (2 * _STEP)
    headline = "accuracy" if dataset.task == "classification" else "rmse"
    # An accuracy goes in steps: it has no slope.
    known = [True, headline == "rmse"]
    slope = [float(slopes[0, i]) if known[i] else None for i in range(2)]
    error = [jackknife_mcse(slopes[1:, i]) if known[i] else None for i in range(2)]
    return {
        "k_threshold": threshold,
        "headline": headline,
        "slope_nll": slope[0],
        "slope_nll_mcse": error[0],
        "slope_headline": slope[1],
        "slope_headline_mcse": error[1],
        "factors": sorted(entries, key=lambda entry: float(entry["factor"])),
    }


def _log_prior(
    dataset: Dataset,
    predictor: Predictor,
    prior: PriorSettings,
    layout: ParameterLayout,
    theta: np.ndarray,
) -> Callable[[float], np.ndarray]:
    """Return a function of the factor: the log prior of each draw, nats, (chain, draw)."""
    flat = theta.reshape(-1, theta.shape[-1])

    def log_prior(factor: float) -> np.ndarray:
        scaled = make_prior(predictor.network, predictor.likelihood, prior.scaled(factor))
        if scaled.layout != layout:
            raise ResultError(
                "other-parameters",
                f"the draws of {dataset.name!r} hold parameters {layout.to_json()}, the prior of the config is for "
                f"{scaled.layout.to_json()}: sample again",
            )
        step = max(1, _BLOCK_BYTES // (8 * flat.shape[1]))
        blocks = (flat[start : start + step] for start in range(0, len(flat), step))
        found = [scaled.log_density_and_grad(block)[0] for block in blocks]
        return np.concatenate(found).reshape(theta.shape[:2])

    return log_prior


def _scorer(dataset: Dataset) -> Callable[[np.ndarray, np.ndarray], tuple[float, float]]:
    """Return a function of predictions (obs, class) or (obs,), and of densities (obs,): NLL and headline score."""
    y = observed(dataset, "test")
    headline = metrics.accuracy if dataset.task == "classification" else metrics.rmse

    def score(value: np.ndarray, log_density: np.ndarray) -> tuple[float, float]:
        return -float(log_density.mean()), headline(value, y)

    return score


def _variants(
    score: Callable[[np.ndarray, np.ndarray], tuple[float, float]], draws: Draws, log_weights: np.ndarray
) -> np.ndarray:
    """Return the scores of weighted draws: of all of them, then with each block of draws left out; (variant, 2).

    Parameters
    ----------
    score
        Of `_scorer`.
    draws
        Predictions.
    log_weights
        Up to a constant, (chain, draw).
    """
    blocks = jackknife_blocks(*log_weights.shape)
    n_blocks = int(blocks.max()) + 1
    weights = np.exp(log_weights - log_weights.max())
    member = (blocks.ravel()[None] == np.arange(n_blocks)[:, None]) * weights.ravel()
    shift = np.empty(draws["log_density"].shape[2])
    values, densities = [], []
    step = max(1, _BLOCK_BYTES // (8 * weights.size * math.prod(draws["value"].shape[3:])))
    for start in range(0, len(shift), step):
        rows = slice(start, start + step)
        part = np.asarray(draws["value"][:, :, rows], dtype=np.float64)
        values.append((member @ part.reshape(weights.size, -1)).reshape(n_blocks, *part.shape[2:]))
        log_density = np.asarray(draws["log_density"][:, :, rows])
        shift[rows] = log_density.max(axis=(0, 1))
        densities.append(member @ np.exp(log_density - shift[rows]).reshape(weights.size, -1))
    value_sum, density_sum = np.concatenate(values, axis=1), np.concatenate(densities, axis=1)
    mass = member.sum(axis=1)
    keep = np.vstack([np.ones(n_blocks), 1 - np.eye(n_blocks)]) if n_blocks > 1 else np.ones((1, 1))
    found = []
    for kept in keep:
        total = kept @ mass
        value = np.tensordot(kept, value_sum, axes=1) / total
        with np.errstate(divide="ignore"):
            found.append(score(value, shift + np.log(kept @ density_sum / total)))
    return np.array(found)


def _entry(
    factor: float,
    method: str,
    score: Callable[[np.ndarray, np.ndarray], tuple[float, float]],
    draws: Draws,
    log_weights: np.ndarray,
    *,
    k: float,
) -> dict[str, Any]:
    variants = _variants(score, draws, log_weights)
    weights = np.exp(log_weights - log_weights.max())
    return {
        "factor": factor,
        "method": method,
        "pareto_k": k,
        "ess": float(weights.sum() ** 2 / (weights**2).sum()),
        "nll": float(variants[0, 0]),
        "nll_mcse": jackknife_mcse(variants[1:, 0]),
        "headline": float(variants[0, 1]),
        "headline_mcse": jackknife_mcse(variants[1:, 1]),
    }


def _unknown(factor: float, k: float) -> dict[str, Any]:
    scores = dict.fromkeys(("ess", "nll", "nll_mcse", "headline", "headline_mcse"))
    return {"factor": factor, "method": "needs a rerun", "pareto_k": k, **scores}
