"""Tuning during warm-up, chain by chain: step size by dual averaging, diagonal preconditioner by windows.

Both are frozen before the first kept draw, because a proposal that goes on learning from its own past no
longer leaves the target invariant.
"""

import math
from typing import NamedTuple

import numpy as np

from bnn.mcmc.kernels.base import MAX_STEPS, Tuning

# Constants of Hoffman & Gelman (2014), section 3.2.1, as Stan keeps them.
_GAMMA, _T0, _KAPPA = 0.05, 10.0, 0.75
_WINDOW_ENDS = (0.05, 0.15, 0.35, 0.7)
"""Ends of the windows as fractions of warm-up: the first finds a step size from the start point; each later
one learns the variance of its own draws, about twice as many as the one before. The last 30 % settle the step
size: where the curvature of the posterior varies from place to place, the chain must visit enough places for
their average."""
_MOST_STEPS = (16, 32, 64, 256, MAX_STEPS)
"""Most steps of a trajectory in each window and after the last. Before the preconditioner is known, the wanted length
would take hundreds of steps of the wrong shape."""
QUARTER_PERIOD = math.pi / 2
"""Length after which a trajectory on a normal of unit variance has forgotten where it started (Neal 2011, section 4.2):
the automatic length, since the preconditioner brings the posterior near to unit variance."""
COLLAPSED_LENGTH = 2.5 * QUARTER_PERIOD
"""The automatic length where the output layer is integrated out. What is left, hidden layers of a regression, is far
from normal, and its slow directions are longer than the preconditioner can tell: on concrete, 50 hidden units, it had
three times as many effective draws a gradient as a quarter period; six quarter periods had fewer."""
_SHRINKAGE_DRAWS = 5.0
_SMALLEST_RATIO = 1e-12


class DualAveraging(NamedTuple):
    """State of the step-size search (Hoffman & Gelman 2014, equation 6); every field has shape (chain,) but
    `n_seen`."""

    n_seen: int
    anchor: np.ndarray
    error_mean: np.ndarray
    log_step: np.ndarray
    log_step_averaged: np.ndarray


def start_dual_averaging(step_size: np.ndarray) -> DualAveraging:
    """Return a fresh search that starts from, and is drawn towards ten times, the given step sizes."""
    log_step = np.log(step_size)
    zero = np.zeros_like(log_step)
    return DualAveraging(0, np.log(10.0) + log_step, zero, log_step, zero)


def update_dual_averaging(state: DualAveraging, acceptance_prob: np.ndarray, target: float) -> DualAveraging:
    """Return the search after one more iteration.

    Parameters
    ----------
    acceptance_prob
        Acceptance probability of the iteration, shape (chain,).
    target
        The acceptance rate to reach.
    """
    count = state.n_seen + 1
    weight = 1.0 / (count + _T0)
    error_mean = (1.0 - weight) * state.error_mean + weight * (target - acceptance_prob)
    log_step = state.anchor - np.sqrt(count) / _GAMMA * error_mean
    share = count**-_KAPPA
    averaged = share * log_step + (1.0 - share) * state.log_step_averaged
    return DualAveraging(count, state.anchor, error_mean, log_step, averaged)


class RunningVariance(NamedTuple):
    """Welford's running mean and sum of squared deviations, both (chain, param)."""

    n_seen: int
    mean: np.ndarray
    squares: np.ndarray


def start_running_variance(like: np.ndarray) -> RunningVariance:
    """Return an empty accumulator for positions of this shape."""
    return RunningVariance(0, np.zeros_like(like), np.zeros_like(like))


def update_running_variance(state: RunningVariance, position: np.ndarray) -> RunningVariance:
    """Return the accumulator after one more position (Welford 1962)."""
    count = state.n_seen + 1
    deviation = position - state.mean
    mean = state.mean + deviation / count
    return RunningVariance(count, mean, state.squares + deviation * (position - mean))


def learned_metric(positions: RunningVariance, gradients: RunningVariance) -> np.ndarray:
    """Return the diagonal C of the preconditioner, (chain, param), that minimises the Fisher divergence.

    It is sqrt(var theta / var gradient): on a normal target the variance itself, and where the target is not normal a
    compromise between how far coordinates spread and how steep the density is along them (Seyboldt, Carlson & Carpenter
    2026, section 3). Kernels without a gradient have the variance. It is shrunk on the log scale, which respects
    coordinates of very different widths, towards its geometric mean within each chain, with the weight of five draws. A
    coordinate that never moved gets a small positive entry.

    Parameters
    ----------
    positions, gradients
        Of the same iterations; gradients of shape (chain, 0) for kernels that use none.

    Raises
    ------
    ValueError
        If there are fewer than two positions.
    """
    if positions.n_seen < 2:
        raise ValueError(f"a variance needs two positions, there are {positions.n_seen}")
    log_metric = _log_variance(positions)
    if gradients.mean.shape[-1]:
        log_metric = 0.5 * (log_metric - _log_variance(gradients))
    weight = positions.n_seen / (positions.n_seen + _SHRINKAGE_DRAWS)
    return np.exp(weight * log_metric + (1.0 - weight) * log_metric.mean(axis=-1, keepdims=True))


def _log_variance(state: RunningVariance) -> np.ndarray:
    variance = state.squares / (state.n_seen - 1)
    largest = variance.max(axis=-1, keepdims=True)
    return np.log(np.maximum(variance, np.maximum(_SMALLEST_RATIO * largest, np.finfo(float).tiny)))


class Adaptation(NamedTuple):
    """Everything that warm-up learns; immutable, so that a checkpoint is a copy of it."""

    iteration: int
    search: DualAveraging
    variance: np.ndarray
    window: RunningVariance
    """Of positions"""
    gradients: RunningVariance
    """Of the gradients there"""


def start_adaptation(position: np.ndarray, grad: np.ndarray, step_size: float) -> Adaptation:
    """Return the adaptation at the start of warm-up, with an identity preconditioner."""
    search = start_dual_averaging(np.full(len(position), step_size))
    windows = start_running_variance(position), start_running_variance(grad)
    return Adaptation(0, search, np.ones_like(position), *windows)


def tuning_for_warmup(
    state: Adaptation, *, n_warmup: int, trajectory_length: float, most_steps: int | None
) -> Tuning:
    """Return the tuning for the next warm-up iteration.

    Trajectories are cut short in the first windows, and to `most_steps` in all; None for a kernel without them.
    """
    step_size = np.exp(state.search.log_step)
    if most_steps is None:
        return Tuning(step_size, state.variance, np.full_like(step_size, trajectory_length))
    most = min(most_steps, _MOST_STEPS[sum(state.iteration >= end for end in window_ends(n_warmup))])
    return Tuning(step_size, state.variance, np.minimum(trajectory_length, most * step_size))


def frozen_tuning(state: Adaptation, *, trajectory_length: float, most_steps: int | None) -> Tuning:
    """Return the tuning for the kept draws: the averaged step size, the last preconditioner, the whole length.

    Trajectories have `most_steps` at most; None for a kernel without them.
    """
    settled = state.search.log_step_averaged if state.search.n_seen else state.search.log_step
    step_size = np.exp(settled)
    longest = np.inf if most_steps is None else most_steps * step_size
    return Tuning(step_size, state.variance, np.minimum(np.full_like(step_size, trajectory_length), longest))


def window_ends(n_warmup: int) -> tuple[int, ...]:
    """Return the iterations after which a window ends: the first starts the learning of variances, the rest use it."""
    return tuple(int(fraction * n_warmup) for fraction in _WINDOW_ENDS)


def update_adaptation(
    state: Adaptation,
    position: np.ndarray,
    grad: np.ndarray,
    acceptance_prob: np.ndarray,
    *,
    n_warmup: int,
    target_acceptance: float,
    precondition: bool,
    step_exponent: float,
) -> Adaptation:
    """Return the adaptation after one more warm-up iteration.

    Parameters
    ----------
    position
        Where the chains are after the iteration, shape (chain, param).
    grad
        Gradient of the log density there, of the same shape; (chain, 0) for kernels that use none.
    acceptance_prob
        Its acceptance probabilities, shape (chain,).
    n_warmup
        Length of the whole warm-up in iterations.
    target_acceptance
        The acceptance rate to reach.
    precondition
        Whether to learn the diagonal preconditioner; without it C stays the identity.
    step_exponent
        The power of C that the step size multiplies in the kernel's proposals: 1 for a variance, 1/2 for a length.
    """
    iteration = state.iteration + 1
    search = update_dual_averaging(state.search, acceptance_prob, target_acceptance)
    if not precondition:
        return state._replace(iteration=iteration, search=search)
    first, *ends = window_ends(n_warmup)
    window, gradients, variance = state.window, state.gradients, state.variance
    if first < iteration <= ends[-1]:
        window, gradients = (
            update_running_variance(window, position),
            update_running_variance(gradients, grad),
        )
    if iteration in ends and window.n_seen > 1:
        learned = learned_metric(window, gradients)
        # Keep the proposals' overall length: the new step size starts where eps * C^exponent has the same geometric
        # mean as before.
        ratio = np.exp(step_exponent * np.mean(np.log(variance) - np.log(learned), axis=-1))
        search = start_dual_averaging(np.exp(search.log_step_averaged) * ratio)
        variance = learned
        window, gradients = start_running_variance(position), start_running_variance(grad)
    return Adaptation(iteration, search, variance, window, gradients)
