"""Adam (Kingma & Ba 2015) with decoupled weight decay: trains the frequentist network and gives chains a warm start."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

_BETA_1, _BETA_2, _EPSILON = 0.9, 0.999, 1e-8


class AdamState(NamedTuple):
    """Moments of the gradient, shaped like theta, and the number of steps made."""

    n_steps: int
    mean: np.ndarray
    square: np.ndarray

    def of(self, rows: np.ndarray) -> "AdamState":
        """Return the state of some rows of theta alone."""
        return AdamState(self.n_steps, self.mean[rows], self.square[rows])


def start_adam(theta: np.ndarray) -> AdamState:
    """Return the state before the first step."""
    return AdamState(0, np.zeros_like(theta), np.zeros_like(theta))


def adam_step(
    state: AdamState,
    theta: np.ndarray,
    grad: np.ndarray,
    *,
    learning_rate: float,
    weight_decay: float | np.ndarray,
) -> tuple[AdamState, np.ndarray]:
    """Return the state and theta after one step down the gradient.

    Parameters
    ----------
    theta, grad
        Position and gradient of the loss there, of one shape, say (chain, param).
    learning_rate
        Length of the step in units of theta.
    weight_decay
        Rate at which theta shrinks towards zero, apart from the gradient (Loshchilov & Hutter 2019); a
        number, or an array over parameters.
    """
    count = state.n_steps + 1
    mean = _BETA_1 * state.mean + (1 - _BETA_1) * grad
    square = _BETA_2 * state.square + (1 - _BETA_2) * grad * grad
    direction = (mean / (1 - _BETA_1**count)) / (np.sqrt(square / (1 - _BETA_2**count)) + _EPSILON)
    return AdamState(count, mean, square), theta - learning_rate * (direction + weight_decay * theta)


def maximise(
    log_density_and_grad: Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]],
    start: np.ndarray,
    *,
    n_steps: int,
    learning_rate: float,
    on_step: Callable[[int, np.ndarray], None],
) -> np.ndarray:
    """Climb a log density from each chain's start with a step that falls linearly to zero.

    Parameters
    ----------
    log_density_and_grad
        (chain, param) -> (chain,), (chain, param).
    start
        Shape (chain, param).
    n_steps
        Number of gradient steps.
    learning_rate
        Step length at the start, in units of theta.
    on_step
        Called after each step with its number and the log density before it.

    Returns
    -------
    ndarray
        Where each chain ends, shape (chain, param).
    """
    state, theta = start_adam(start), start
    for index in range(n_steps):
        log_density, grad = log_density_and_grad(theta)
        rate = learning_rate * (1.0 - index / n_steps)
        state, theta = adam_step(state, theta, -grad, learning_rate=rate, weight_decay=0.0)
        on_step(index + 1, log_density)
    return theta
