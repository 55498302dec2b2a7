"""Metropolis-adjusted Langevin trajectories (Riou-Durand & Vogrinc 2022).

An iteration draws a velocity and follows underdamped Langevin dynamics for a whole trajectory, leapfrog steps with a
partial refreshment of the velocity between them, and accepts or rejects its end point once. The refreshment leaves
the velocity's law invariant and so drops out of the acceptance ratio: what counts is the energy that the
leapfrog steps fail to conserve, summed over the trajectory (their equation 12). Without friction it is Hamiltonian
Monte Carlo; with friction the mixing depends less on the length of the trajectory.
"""

import numpy as np

from bnn.core.seeding import ChainRandom
from bnn.mcmc.kernels.base import (
    ChainState,
    Kernel,
    Target,
    TransitionInfo,
    Tuning,
    metropolis_hastings,
    start_with_grad,
    steps_of_trajectory,
)

FRICTION_LENGTH = 2.0
"""Lengths of a trajectory after which friction has reduced the velocity to 1/e; the best of 0.5, 1, 2 and none in
trials, where none was faster for a well-chosen length and slower for a bad one."""


def step(
    random: ChainRandom, state: ChainState, target: Target, tuning: Tuning
) -> tuple[ChainState, TransitionInfo]:
    """Follow one trajectory of each chain; chains with shorter ones stand still until the longest is done."""
    n_params = state.position.shape[1]
    n_steps = steps_of_trajectory(tuning)
    deviation = np.sqrt(tuning.variance)
    keep = np.exp(-tuning.step_size / (FRICTION_LENGTH * tuning.trajectory))[:, None]
    fresh = np.sqrt(1.0 - keep * keep)
    velocity = random.standard_normal(n_params)
    here = state
    kinetic_change = np.zeros(len(n_steps))
    for index in range(int(n_steps.max())):
        moving = index < n_steps
        if index:
            noise = random.standard_normal(n_params, chains=moving)
            velocity = np.where(moving[:, None], keep * velocity + fresh * noise, velocity)
        kick = (np.where(moving, tuning.step_size, 0.0))[:, None] * deviation
        before = np.einsum("cp,cp->c", velocity, velocity)
        velocity = velocity + 0.5 * kick * here.grad
        here = start_with_grad(here.position + kick * velocity, target)
        velocity = velocity + 0.5 * kick * here.grad
        kinetic_change += 0.5 * (np.einsum("cp,cp->c", velocity, velocity) - before)
    return metropolis_hastings(random, state, here, log_q_forth=kinetic_change, log_q_back=0.0)


KERNEL = Kernel("malt", 0.8, start_with_grad, step, has_trajectories=True)
