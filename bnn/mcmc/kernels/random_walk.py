"""Random-walk Metropolis: a symmetric normal proposal, no gradient (Metropolis et al. 1953; Roberts et al. 1997)."""

import numpy as np

from bnn.core.seeding import ChainRandom
from bnn.mcmc.kernels.base import (
    ChainState,
    Kernel,
    Target,
    TransitionInfo,
    Tuning,
    metropolis_hastings,
    start_without_grad,
)


def step(
    random: ChainRandom, state: ChainState, target: Target, tuning: Tuning
) -> tuple[ChainState, TransitionInfo]:
    """Propose theta + step_size * sqrt(C) * noise, and accept by the ratio of densities alone."""
    deviation = tuning.step_size[:, None] * np.sqrt(tuning.variance)
    position = state.position + deviation * random.standard_normal(state.position.shape[1])
    proposed = start_without_grad(position, target)
    return metropolis_hastings(random, state, proposed, log_q_forth=0.0, log_q_back=0.0)


KERNEL = Kernel("random_walk", 0.234, start_without_grad, step)
