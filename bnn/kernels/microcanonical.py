"""Microcanonical Langevin dynamics: a velocity of constant length that turns towards the gradient.

The dynamics conserve the energy -log p + (d - 1) log(speed of the underlying flow), and at stationarity visit
positions by the target (Robnik et al. 2023; Robnik & Seljak 2024). `trajectory` integrates them; this module's kernel
takes the end point without correction, so its draws are biased by the step size and it serves warm-up, where its
long steps leave poor modes quickly; `bnn.kernels.mams` corrects it.
"""

from typing import NamedTuple

import numpy as np

from bnn.kernels.base import (
    ChainState,
    Kernel,
    Target,
    TransitionInfo,
    Tuning,
    start_with_grad,
    steps_of_trajectory,
    take_unadjusted,
)
from bnn.seeding import ChainRandom

ENERGY_VARIANCE = 0.05
"""Squared energy error of a step, per parameter, to which warm-up tunes the unadjusted kernel's step size: small enough
for moderate bias, and some ten times what an acceptance step would forgive (Robnik & Seljak 2024, section 4)."""
FRICTION_LENGTH = 1.0


class Trajectory(NamedTuple):
    """Where a trajectory ends, and how well it conserved the energy."""

    end: ChainState
    kinetic_change: np.ndarray
    """(chain,), nats: the sum over its steps"""
    energy_variance: np.ndarray
    """(chain,): mean over its steps of the squared energy error, per parameter"""


def unit(vector: np.ndarray) -> np.ndarray:
    """Return each chain's vector, (chain, param), scaled to length 1."""
    return vector / np.sqrt(np.einsum("cp,cp->c", vector, vector))[:, None]


def turn(velocity: np.ndarray, force: np.ndarray, time: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Turn unit velocities towards the force, the exact flow at fixed position (Steeg & Galstyan 2021).

    Parameters
    ----------
    velocity
        Unit vectors, (chain, param).
    force
        Gradient of the log density in the same coordinates, (chain, param).
    time
        How long the force acts, (chain,).

    Returns
    -------
    velocity, kinetic_change
        (chain, param) and (chain,), nats: (d - 1) log of the growth of the underlying speed.

    Notes
    -----
    Hyperbolic functions are divided by exp(delta) throughout, so that a steep force does not overflow.
    """
    free = force.shape[1] - 1
    strength = np.sqrt(np.einsum("cp,cp->c", force, force))
    direction = force / np.maximum(strength, np.finfo(float).tiny)[:, None]
    delta = time * strength / free
    along = np.einsum("cp,cp->c", direction, velocity)
    decay = np.exp(-delta)
    cosh, sinh = 0.5 * (1.0 + decay * decay), 0.5 * (1.0 - decay * decay)
    growth = cosh + along * sinh
    turned = decay[:, None] * velocity + (sinh + along * (cosh - decay))[:, None] * direction
    return unit(turned), free * (delta + np.log(growth))


def trajectory(random: ChainRandom, state: ChainState, target: Target, tuning: Tuning) -> Trajectory:
    """Follow one trajectory of each chain from a random direction; shorter ones wait for the longest.

    The direction is partly refreshed between steps (Robnik & Seljak 2024, equation 9). The speed is the square root of
    the number of parameters, so that step sizes and lengths mean what they mean for velocities of unit variance.
    """
    n_params = state.position.shape[1]
    if n_params < 2:
        raise ValueError("microcanonical dynamics need two parameters or more: choose another sampler.kernel")
    speed = np.sqrt(n_params)
    n_steps = steps_of_trajectory(tuning)
    deviation = np.sqrt(tuning.variance)
    spread = np.sqrt(np.expm1(2.0 * tuning.step_size / (FRICTION_LENGTH * tuning.trajectory)) / n_params)
    direction = unit(random.standard_normal(n_params))
    here = state
    kinetic_change, squared_error = np.zeros(len(n_steps)), np.zeros(len(n_steps))
    for index in range(int(n_steps.max())):
        moving = index < n_steps
        if index:
            noise = random.standard_normal(n_params, chains=moving)
            direction = np.where(moving[:, None], unit(direction + spread[:, None] * noise), direction)
        time = np.where(moving, tuning.step_size, 0.0) * speed
        direction, first = turn(direction, deviation * here.grad, 0.5 * time)
        there = start_with_grad(here.position + time[:, None] * deviation * direction, target)
        direction, second = turn(direction, deviation * there.grad, 0.5 * time)
        kinetic_change += first + second
        squared_error += (first + second - (there.log_density - here.log_density)) ** 2
        here = there
    return Trajectory(here, kinetic_change, squared_error / (n_steps * n_params))


def step(
    random: ChainRandom, state: ChainState, target: Target, tuning: Tuning
) -> tuple[ChainState, TransitionInfo]:
    """Move to the end of a trajectory, unless the energy diverged on the way.

    The field `acceptance_prob`, to which warm-up tunes the step size, holds what stands in for an
    acceptance: 1 / (1 + energy variance / ENERGY_VARIANCE), a half at the wanted energy error.
    """
    path = trajectory(random, state, target, tuning)
    with np.errstate(all="ignore"):
        quality = 1.0 / (1.0 + path.energy_variance / ENERGY_VARIANCE)
    return take_unadjusted(state, path.end, log_ratio=_log_ratio(state, path), quality=quality)


def _log_ratio(state: ChainState, path: Trajectory) -> np.ndarray:
    return path.end.log_density - state.log_density - path.kinetic_change


KERNEL = Kernel("microcanonical", 0.5, start_with_grad, step, has_trajectories=True, adjusted=False)
