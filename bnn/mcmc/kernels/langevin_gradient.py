"""The Langevin-gradient proposal of Chandra & Simmons (2024), with the reverse density that makes it exact.

The drift is one full-batch gradient step with a learning rate of its own, the noise has a standard deviation
of its own, and with probability 1 - langevin_probability the proposal is a random walk with the same noise.
Unlike in MALA the drift is not tied to the variance of the noise; the ratio evaluates both directions, and with
it the kernel is exact for any pair.
"""

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


def make_kernel(*, learning_rate: float, noise_scale: float, langevin_probability: float) -> Kernel:
    """Return the kernel.

    Parameters
    ----------
    learning_rate
        Size of the gradient step at step_size 1.
    noise_scale
        Standard deviation of the noise at step_size 1.
    langevin_probability
        Probability that an iteration uses the gradient, in [0, 1].

    Notes
    -----
    Adaptation scales both together, the noise by step_size and the learning rate by its square, which is how drift and
    noise of a diffusion scale: shrinking the noise alone would leave a drift that the acceptance ratio never
    forgives. With step_size 1 and C = 1 the proposal is the published one.
    """

    def step(
        random: ChainRandom, state: ChainState, target: Target, tuning: Tuning
    ) -> tuple[ChainState, TransitionInfo]:
        # The choice is made before the proposal and does not depend on the state: each of the two is
        # reversible by itself.
        uses_gradient = random.uniform() < langevin_probability
        rate = (uses_gradient * learning_rate * tuning.step_size**2)[:, None] * tuning.variance
        deviation = noise_scale * tuning.step_size[:, None] * np.sqrt(tuning.variance)
        noise = random.standard_normal(deviation.shape[1])
        proposed = start_with_grad(state.position + rate * state.grad + deviation * noise, target)
        noise_back = (state.position - proposed.position - rate * proposed.grad) / deviation
        return metropolis_hastings(
            random,
            state,
            proposed,
            log_q_forth=log_normal_shape(noise),
            log_q_back=log_normal_shape(noise_back),
        )

    return Kernel("langevin_gradient", 0.574, start_with_grad, step)
