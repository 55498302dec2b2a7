"""Metropolis-adjusted microcanonical sampler: trajectories of `bnn.kernels.microcanonical`, accepted or rejected
by the energy that they fail to conserve (Robnik, Cohn-Gordon & Seljak 2025)."""

from bnn.kernels import microcanonical
from bnn.kernels.base import (
    ChainState,
    Kernel,
    Target,
    TransitionInfo,
    Tuning,
    metropolis_hastings,
    start_with_grad,
)
from bnn.seeding import ChainRandom


def step(
    random: ChainRandom, state: ChainState, target: Target, tuning: Tuning
) -> tuple[ChainState, TransitionInfo]:
    """Propose the end of a trajectory from a fresh random direction.

    The turn of the direction changes volume on the sphere by what `kinetic_change` sums up, which is why that sum
    stands in the ratio where the change of kinetic energy stands for Hamiltonian dynamics (their section 3).
    """
    path = microcanonical.trajectory(random, state, target, tuning)
    return metropolis_hastings(random, state, path.end, log_q_forth=path.kinetic_change, log_q_back=0.0)


KERNEL = Kernel("mams", 0.8, start_with_grad, step, has_trajectories=True)
