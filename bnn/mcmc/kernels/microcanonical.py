"""Microcanonical Langevin dynamics: a velocity of constant length that turns towards the gradient.

The dynamics conserve the energy -log p + (d - 1) log(speed of the underlying flow), and at stationarity visit
positions by the target (Robnik et al. 2023; Robnik & Seljak 2024). This module's kernel takes one step an iteration,
keeps its velocity from one to the next, and corrects nothing, so its draws are biased by the step size: it explores
before warm-up, where its long steps leave poor modes quickly. `mams` corrects trajectories of such steps.
"""

import numpy as np

from bnn.core.seeding import ChainRandom
from bnn.mcmc.kernels.base import (
    ChainState,
    Kernel,
    Target,
    TransitionInfo,
    Tuning,
    start_with_grad,
    take_unadjusted,
)

ENERGY_VARIANCE = 0.05
"""Squared energy error of a step, per parameter, at which its quality, see `step`, is a half (Robnik & Seljak 2024,
section 4). Warm-up aims at a quality of 0.9: the errors have heavy tails, and at a half the mean error is far larger,
which on the airfoil table cost 0.1 nats a test row."""
BOLD_QUALITY = 0.1
"""The quality at which exploration begins, a typical squared energy error of 0.5 per parameter; it ends at the kernel's
own. Bold to its end it left chains far lower: at -393 to -302 nats instead of 243 to 394 (energy, 50-50 units), at 40
to 155 instead of 232 to 254 (yacht, 50 units)."""
FRICTION_LENGTH = 2.0
"""Trajectory lengths over which the velocity is forgotten; of 0.3, 1, 2 and 6 in trials the best, by little."""


def unit(vector: np.ndarray) -> np.ndarray:
    """Return each chain's vector, (chain, param), scaled to length 1."""
    return vector / np.sqrt(np.vecdot(vector, vector))[:, None]


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
    strength = np.sqrt(np.vecdot(force, force))
    per_strength = 1.0 / np.maximum(strength, np.finfo(float).tiny)
    delta = time * strength / free
    along = per_strength * np.vecdot(force, velocity)
    decay = np.exp(-delta)
    cosh, sinh = 0.5 * (1.0 + decay * decay), 0.5 * (1.0 - decay * decay)
    growth = cosh + along * sinh
    turned = decay[:, None] * velocity
    turned += ((sinh + along * (cosh - decay)) * per_strength)[:, None] * force
    # The length is growth, but for rounding, which is large where the force points backwards.
    turned /= np.sqrt(np.vecdot(turned, turned))[:, None]
    return turned, free * (delta + np.log(growth))


def refresh(
    random: ChainRandom, direction: np.ndarray, step_size: np.ndarray, length: np.ndarray
) -> np.ndarray:
    """Turn directions, (chain, param), by so much noise that a path of the given length, (chain,), forgets them.

    Robnik & Seljak (2024), equation 9.
    """
    n_params = direction.shape[1]
    noisy = random.standard_normal(n_params)
    noisy *= np.sqrt(np.expm1(2.0 * step_size / length) / n_params)[:, None]
    noisy += direction
    noisy /= np.sqrt(np.vecdot(noisy, noisy))[:, None]
    return noisy


def leap(
    here: ChainState, direction: np.ndarray, step_size: np.ndarray, deviation: np.ndarray, target: Target
) -> tuple[ChainState, np.ndarray, np.ndarray]:
    """Take one step: half a turn, a drift, half a turn.

    The speed is the square root of the number of parameters, so that step sizes and lengths mean what they mean for
    velocities of unit variance.

    Returns
    -------
    there, direction, kinetic_change
        The state moved to, the unit direction there, (chain, param), and (chain,) in nats.
    """
    time = step_size * np.sqrt(direction.shape[1])
    direction, first = turn(direction, deviation * here.grad, 0.5 * time)
    there = start_with_grad(here.position + time[:, None] * deviation * direction, target)
    direction, second = turn(direction, deviation * there.grad, 0.5 * time)
    return there, direction, first + second


def check_dimension(position: np.ndarray) -> None:
    """Raise ValueError where the dynamics do not exist: for a single parameter."""
    if position.shape[1] < 2:
        raise ValueError("microcanonical dynamics need two parameters or more: choose another sampler.kernel")


def step(
    random: ChainRandom, state: ChainState, target: Target, tuning: Tuning
) -> tuple[ChainState, TransitionInfo]:
    """Take one step; a chain that diverges there stays, and turns round.

    The field `acceptance_prob`, to which warm-up tunes the step size, holds what stands in for an acceptance, the
    quality 1 / (1 + squared energy error per parameter / ENERGY_VARIANCE).
    """
    check_dimension(state.position)
    n_params = state.position.shape[1]
    if state.velocity is None:
        direction = unit(random.standard_normal(n_params))
    else:
        length = FRICTION_LENGTH * tuning.trajectory
        direction = refresh(random, state.velocity, tuning.step_size, length)
    there, onward, kinetic_change = leap(state, direction, tuning.step_size, np.sqrt(tuning.variance), target)
    log_ratio = there.log_density - state.log_density - kinetic_change
    with np.errstate(all="ignore"):
        quality = 1.0 / (1.0 + log_ratio**2 / (n_params * ENERGY_VARIANCE))
    moved, info = take_unadjusted(state, there, log_ratio=log_ratio, quality=quality)
    velocity = np.where(info.accepted[:, None], onward, -direction)
    return moved._replace(velocity=velocity), info


KERNEL = Kernel("microcanonical", 0.9, start_with_grad, step, adjusted=False)
