"""Metropolis-adjusted microcanonical sampler: trajectories of the steps of `microcanonical`, accepted or
rejected by the energy that they fail to conserve (Robnik, Cohn-Gordon & Seljak 2025)."""

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
from bnn.mcmc.kernels.microcanonical import check_dimension, leap, unit

FRICTION_LENGTH = 1.0
"""Trajectory lengths over which friction makes a trajectory forget its direction."""


def step(
    random: ChainRandom, state: ChainState, target: Target, tuning: Tuning
) -> tuple[ChainState, TransitionInfo]:
    """Propose the end of a trajectory from a fresh random direction; shorter ones wait for the longest.

    The turn of the direction changes volume on the sphere by what `kinetic_change` sums up, which is why that sum
    stands in the ratio where the change of kinetic energy stands for Hamiltonian dynamics (their section 3). The
    direction is partly refreshed between steps, which leaves its law invariant and drops out of the ratio.
    """
    check_dimension(state.position)
    n_params = state.position.shape[1]
    n_steps = steps_of_trajectory(tuning)
    deviation = np.sqrt(tuning.variance)
    spread = np.sqrt(np.expm1(2.0 * tuning.step_size / (FRICTION_LENGTH * tuning.trajectory)) / n_params)
    direction = unit(random.standard_normal(n_params))
    here = state
    kinetic_change = np.zeros(len(n_steps))
    for index in range(int(n_steps.max())):
        moving = index < n_steps
        if index:
            noise = random.standard_normal(n_params, chains=moving)
            direction = np.where(moving[:, None], unit(direction + spread[:, None] * noise), direction)
        here, direction, change = leap(
            here, direction, np.where(moving, tuning.step_size, 0.0), deviation, target
        )
        kinetic_change += change
    return metropolis_hastings(random, state, here, log_q_forth=kinetic_change, log_q_back=0.0)


KERNEL = Kernel("mams", 0.8, start_with_grad, step, has_trajectories=True)
