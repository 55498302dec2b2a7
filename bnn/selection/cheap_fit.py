"""Cheap fits: a short unadjusted run of a few chains, and what it predicts for rows that were left out."""

from typing import NamedTuple

import numpy as np

from bnn.core.progress import Silent
from bnn.core.settings import LangevinSettings, ModelSettings, SamplerSettings
from bnn.diagnostics import mixing
from bnn.mcmc.chain import run_chains
from bnn.model.network import Network, outputs, resolve_engine
from bnn.model.posterior import Posterior, make_posterior
from bnn.model.targets import Target

N_CHAINS = 2
_EVERY = 3
"""Draws that predict are fewer than those whose R-hat is taken: neighbours tell little more and cost as much."""
_DRAWS_AT_ONCE = 20
"""Draws that predict side by side: bounds the memory."""

SAMPLER = SamplerSettings(
    kernel="microcanonical",
    warmup=500,
    draws=90,
    thin=5,
    most_steps=1024,
    most_gradients=None,
    init="optimised",
    optimise_steps=250,
    optimise_learning_rate=0.01,
    explore=0,
    target_acceptance=None,
    trajectory_length=None,
    precondition=True,
    collapse="auto",
    langevin=LangevinSettings(0.01, 0.05, 0.5),
    keep_precision="float64",
)
"""Every step is one gradient and none is rejected: biased, far faster than an exact kernel to a region of good fits,
and the same for all candidates."""


class CheapFit(NamedTuple):
    """What a cheap fit says of a candidate."""

    log_scores: np.ndarray
    """Log score of each row that was left out, (obs,), in nats: the density of the mixture over draws"""
    rhat: float
    """Median over outputs at those rows of the R-hat of the chains: how well the posterior mixes; infinite if it has
    none"""


def fitted(
    x: np.ndarray,
    y: np.ndarray,
    *,
    n_classes: int | None,
    settings: ModelSettings,
    seed: int,
    target: Target | None = None,
) -> np.ndarray | None:
    """Return draws of theta, (chain, draw, param), given some rows; None if no chain found a start.

    Parameters are as of `cheap_fit`.
    """
    posterior = make_posterior(
        x,
        y,
        n_classes=n_classes,
        network=resolve_engine(settings.network),
        prior=settings.prior,
        likelihood=settings.likelihood,
        target=target,
    )
    try:
        return run_chains(posterior, range(N_CHAINS), seed, SAMPLER, Silent()).theta
    except FloatingPointError:
        return None


def cheap_fit(
    x: np.ndarray,
    y: np.ndarray,
    left_out: tuple[np.ndarray, np.ndarray],
    *,
    n_classes: int | None,
    settings: ModelSettings,
    seed: int,
    target: Target | None = None,
) -> CheapFit:
    """Fit some rows and return how well the fit predicts others, and how far its chains agree there.

    The log score of a real target is per unit of its column, and where all values are whole numbers it is at most 0, as
    the log of a probability is: else noise that is narrower than the step from one to the next would win.

    Parameters
    ----------
    x, y
        Rows to fit, shapes (obs, input) and (obs,), as a posterior takes them.
    left_out
        The same of the rows to score.
    n_classes
        Classes of the target; None for a real one.
    settings
        The candidate.
    seed
        Seed of the chains.
    target
        How the likelihood describes a real target, from all training rows.

    Returns
    -------
    CheapFit
        With log scores of minus infinity if no chain found a start with a finite density.
    """
    theta = fitted(x, y, n_classes=n_classes, settings=settings, seed=seed, target=target)
    if theta is None:
        return CheapFit(np.full(len(left_out[1]), -np.inf), np.inf)
    scored = make_posterior(
        *left_out,
        n_classes=n_classes,
        network=settings.network.in_numpy("float64"),
        prior=settings.prior,
        likelihood=settings.likelihood,
        target=target,
        inputs=x,
    )
    rhat = median_rhat(scored.network, scored.x, theta)
    found = _log_mean_density(scored, few_of(theta))
    if target is None:
        return CheapFit(found, rhat)
    found = found + target.log_jacobian(left_out[1])
    values = target.original(np.concatenate([y, left_out[1]]))
    is_whole = np.abs(values - np.rint(values)).max() <= 1e-9 * max(1.0, np.abs(values).max())
    return CheapFit(np.minimum(found, 0.0) if is_whole else found, rhat)


def few_of(theta: np.ndarray) -> np.ndarray:
    """Return the draws that predict, (draw, param), of all of theta, (chain, draw, param)."""
    return theta[:, _EVERY - 1 :: _EVERY].reshape(-1, theta.shape[-1])


def median_rhat(network: Network, x: np.ndarray, theta: np.ndarray) -> float:
    """Return the median R-hat of the outputs at all rows; theta (chain, draw, param); infinite if none is finite."""
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        of_chains = [outputs(network, draws, x) for draws in theta]
        rhat = mixing.rhat(np.stack(of_chains).reshape(*theta.shape[:2], -1))
    rhat = rhat[np.isfinite(rhat)]
    return float(np.median(rhat)) if len(rhat) else float("inf")


def _log_mean_density(posterior: Posterior, theta: np.ndarray) -> np.ndarray:
    """Return the log of the mean over draws, theta (draw, param), of the likelihood of each row, (obs,)."""
    total = np.full(len(posterior.x), -np.inf)
    with np.errstate(over="ignore", invalid="ignore"):
        for block in np.array_split(theta, max(1, len(theta) // _DRAWS_AT_ONCE)):
            for row in posterior.pointwise(block):
                total = np.logaddexp(total, np.where(np.isfinite(row), row, -np.inf))
    return total - np.log(len(theta))
