"""The Metropolis-adjusted Langevin algorithm with a diagonal preconditioner (Roberts & Tweedie 1996)."""

import numpy as np

from bnn.core.seeding import ChainRandom
from bnn.mcmc.kernels.base import (
    ChainState,
    Kernel,
    Target,
    TransitionInfo,
    Tuning,
    log_normal_shape,
    metropolis_hastings,
    start_with_grad,
)


def proposal_mean(state: ChainState, step_variance: np.ndarray) -> np.ndarray:
    """Return theta + eps C grad, (chain, param): one Euler step of the Langevin diffusion that has the target
    as its law."""
    return state.position + step_variance * state.grad


def step(
    random: ChainRandom, state: ChainState, target: Target, tuning: Tuning
) -> tuple[ChainState, TransitionInfo]:
    """Propose from a normal with mean theta + eps C grad and covariance 2 eps C, and correct for the asymmetry."""
    step_variance = tuning.step_size[:, None] * tuning.variance
    deviation = np.sqrt(2.0 * step_variance)
    noise = random.standard_normal(deviation.shape[1])
    proposed = start_with_grad(proposal_mean(state, step_variance) + deviation * noise, target)
    noise_back = (state.position - proposal_mean(proposed, step_variance)) / deviation
    return metropolis_hastings(
        random,
        state,
        proposed,
        log_q_forth=log_normal_shape(noise),
        log_q_back=log_normal_shape(noise_back),
    )


KERNEL = Kernel("mala", 0.574, start_with_grad, step, step_exponent=1.0)
