"""Adam (Kingma & Ba 2015) with decoupled weight decay: trains the frequentist network and gives chains a warm start."""

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
