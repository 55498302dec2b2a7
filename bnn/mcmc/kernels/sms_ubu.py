"""Symmetric minibatch splitting: kinetic Langevin dynamics that few rows at a time drive (Paulin et al. 2024).

A velocity is kicked by the gradient of one batch of rows (B), and between kicks moves freely with friction and noise, a
motion that is solved exactly (U): the scheme UBU (Sanz-Serna & Zygalakis 2021). An iteration takes all batches in a
random order and then in the reverse one, so that what one batch pushes too far to one side its second kick takes back,
and errors fall with the square of the step size. It costs two gradients of all rows, however many steps it has, and
a log density at its end.

Nothing is corrected, so draws are biased: gradients of few rows heat. How much, the energy shows that kicks bring and
the log density does not pay for, and warm-up tunes the step size to it. The kernel is for tables of so many rows that
an exact one would make too few iterations.
"""

import numpy as np

from bnn.core.seeding import ChainRandom
from bnn.mcmc.kernels.base import (
    BatchTarget,
    ChainState,
    Kernel,
    TransitionInfo,
    Tuning,
    start_without_grad,
    take_unadjusted,
)

FRICTION_LENGTH = 0.1
"""Length over which the velocity is forgotten, in the unit of trajectories. Heat grows with the product of this and the
step size, and so does the distance that a chain covers: shorter lengths allow longer steps."""
MEAN_HEAT = 0.2
"""Excess of the variance of velocities over 1, which it is in the target, that warm-up aims at: epistemic standard
deviations are then some 10 % too large, where they are small beside the noise. On 49,000 rows the test score was the
same to 0.001 nats from 0.06 to 0.3. There the quality of an iteration, see `step`, is a half; what an iteration gains
varies by more than its mean, and alike to both sides, so the mean quality is a half, too. It is a mean over parameters:
those that the data determine have more."""


def drift(
    random: ChainRandom, position: np.ndarray, velocity: np.ndarray, time: np.ndarray, deviation: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Move freely with friction and noise, the exact solution of dx = v dt, dv = -v / L dt + sqrt(2 / L) dW.

    Parameters
    ----------
    position, velocity
        (chain, param); velocities have unit variance, and positions move by `deviation` times them.
    time
        How long, (chain,).
    deviation
        Square roots of the preconditioner, (chain, param).

    Returns
    -------
    position, velocity
        (chain, param)
    """
    in_lengths = (time / FRICTION_LENGTH)[:, None]
    kept = np.exp(-in_lengths)
    # Variances of the noise that both get, and their covariance.
    of_velocity = -np.expm1(-2.0 * in_lengths)
    of_way = 2.0 * in_lengths - (1.0 - kept) * (3.0 - kept)
    shared = (1.0 - kept) ** 2
    noise = random.standard_normal(velocity.shape[1]) * np.sqrt(of_velocity)
    own = np.sqrt(np.maximum(0.0, of_way - shared**2 / of_velocity))
    way = (1.0 - kept) * velocity + shared / of_velocity * noise
    way += own * random.standard_normal(velocity.shape[1])
    return position + FRICTION_LENGTH * deviation * way, kept * velocity + noise


def step(
    random: ChainRandom, state: ChainState, target: BatchTarget, tuning: Tuning
) -> tuple[ChainState, TransitionInfo]:
    """Go through all batches and back; a chain that diverges on the way stays, with another velocity.

    The field `acceptance_prob`, to which warm-up tunes the step size, holds the quality
    1 / (1 + exp(heat / MEAN_HEAT - 1)).
    The heat is the excess variance of velocities at which friction takes away, on average, what energy the iteration
    has gained: d / L times it in a unit of time, with d parameters and friction length L.
    """
    n_params = state.position.shape[1]
    batches = _forth_and_back(random.permutation(target.n_batches))
    deviation, size = np.sqrt(tuning.variance), tuning.step_size
    velocity = random.standard_normal(n_params) if state.velocity is None else state.velocity
    position, velocity = drift(random, state.position, velocity, 0.5 * size, deviation)
    gained, n_steps = np.zeros(len(position)), batches.shape[1]
    for index, batch in enumerate(batches.T):
        kick = size[:, None] * deviation * target.grad_of_batches(position, batch)
        gained += np.vecdot(kick, velocity + 0.5 * kick)
        # Free motion of two halves of a step is that of a whole one.
        time = size if index < n_steps - 1 else 0.5 * size
        position, velocity = drift(random, position, velocity + kick, time, deviation)
    there = start_without_grad(position, target)
    gained -= there.log_density - state.log_density
    heat = gained * FRICTION_LENGTH / (n_params * n_steps * size)
    # Where a chain leaves the mode that the optimiser has found, it loses half a nat for each parameter.
    moved, info = take_unadjusted(
        state,
        there,
        log_ratio=there.log_density - state.log_density + n_params,
        quality=0.5 + 0.5 * np.tanh(0.5 * (1.0 - heat / MEAN_HEAT)),  # the same, without overflow
    )
    fresh = random.standard_normal(n_params, chains=info.diverging)
    return moved._replace(velocity=np.where(info.diverging[:, None], fresh, velocity)), info


def _forth_and_back(order: np.ndarray) -> np.ndarray:
    return np.hstack([order, order[:, ::-1]])


KERNEL = Kernel("sms_ubu", 0.5, start_without_grad, step, adjusted=False, by_batches=True)
