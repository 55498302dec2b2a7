"""Tuning during warm-up, chain by chain: step size by dual averaging, diagonal preconditioner by windows of variance.

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
    """Return the search after one more transition.

    Parameters
    ----------
    acceptance_prob
        Acceptance probability of the transition, shape (chain,).
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


def shrunk_variance(state: RunningVariance) -> np.ndarray:
    """Return the variances, (chain, param), shrunk on the log scale towards their geometric mean within each chain.

    The weight of the mean is that of five draws. On the log scale the shrinkage respects coordinates of very
    different widths, and does not depend on the units of theta. A coordinate that never moved gets a small
    positive variance.

    Raises
    ------
    ValueError
        If there are fewer than two positions.
    """
    if state.n_seen < 2:
        raise ValueError(f"a variance needs two positions, there are {state.n_seen}")
    variance = state.squares / (state.n_seen - 1)
    largest = variance.max(axis=-1, keepdims=True)
    log_variance = np.log(np.maximum(variance, np.maximum(_SMALLEST_RATIO * largest, np.finfo(float).tiny)))
    weight = state.n_seen / (state.n_seen + _SHRINKAGE_DRAWS)
    return np.exp(weight * log_variance + (1.0 - weight) * log_variance.mean(axis=-1, keepdims=True))


class Adaptation(NamedTuple):
    """Everything that warm-up learns; immutable, so that a checkpoint is a copy of it."""

    iteration: int
    search: DualAveraging
    variance: np.ndarray
    window: RunningVariance


def start_adaptation(position: np.ndarray, step_size: float) -> Adaptation:
    """Return the adaptation at the start of warm-up, with an identity preconditioner."""
    search = start_dual_averaging(np.full(len(position), step_size))
    return Adaptation(0, search, np.ones_like(position), start_running_variance(position))


def tuning_for_warmup(
    state: Adaptation, *, n_warmup: int, trajectory_length: float, cut_short: bool
) -> Tuning:
    """Return the tuning for the next warm-up transition, with trajectories cut short in the first windows if asked."""
    step_size = np.exp(state.search.log_step)
    if not cut_short:
        return Tuning(step_size, state.variance, np.full_like(step_size, trajectory_length))
    most = _MOST_STEPS[sum(state.iteration >= end for end in window_ends(n_warmup))]
    return Tuning(step_size, state.variance, np.minimum(trajectory_length, most * step_size))


def frozen_tuning(state: Adaptation, *, trajectory_length: float) -> Tuning:
    """Return the tuning for the kept draws: the averaged step size, the last preconditioner, the whole length."""
    settled = state.search.log_step_averaged if state.search.n_seen else state.search.log_step
    step_size = np.exp(settled)
    return Tuning(step_size, state.variance, np.full_like(step_size, trajectory_length))


def window_ends(n_warmup: int) -> tuple[int, ...]:
    """Return the iterations after which a window ends: the first starts the learning of variances, the rest use it."""
    return tuple(int(fraction * n_warmup) for fraction in _WINDOW_ENDS)


def update_adaptation(
    state: Adaptation,
    position: np.ndarray,
    acceptance_prob: np.ndarray,
    *,
    n_warmup: int,
    target_acceptance: float,
    precondition: bool,
    step_exponent: float,
) -> Adaptation:
    """Return the adaptation after one more warm-up transition.

    Parameters
    ----------
    position
        Where the chains are after the transition, shape (chain, param).
    acceptance_prob
        Its acceptance probabilities, shape (chain,).
    n_warmup
        Length of the whole warm-up in transitions.
    target_acceptance
        The acceptance rate to reach.
    precondition
        Whether to learn the diagonal preconditioner; without it C stays the identity.
    step_exponent
        The power of C that the step size multiplies in the kernel's moves: 1 for a variance, 1/2 for a length.
    """
    iteration = state.iteration + 1
    search = update_dual_averaging(state.search, acceptance_prob, target_acceptance)
    if not precondition:
        return state._replace(iteration=iteration, search=search)
    first, *ends = window_ends(n_warmup)
    window = (
        update_running_variance(state.window, position) if first < iteration <= ends[-1] else state.window
    )
    variance = state.variance
    if iteration in ends and window.n_seen > 1:
        learned = shrunk_variance(window)
        # Keep the moves' overall length: the new step size starts where eps * C^exponent has the same geometric
        # mean as before.
        ratio = np.exp(step_exponent * np.mean(np.log(variance) - np.log(learned), axis=-1))
        search = start_dual_averaging(np.exp(search.log_step_averaged) * ratio)
        variance, window = learned, start_running_variance(position)
    return Adaptation(iteration, search, variance, window)
