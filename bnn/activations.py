"""Activations of hidden units: name -> function and derivative, the derivative written in terms of the output.

Writing the derivative in the output (as scikit-learn does) spares backpropagation the pre-activations.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np


class Activation(NamedTuple):
    """A function of the pre-activation, and its derivative as a function of the output."""

    function: Callable[[np.ndarray], np.ndarray]
    derivative: Callable[[np.ndarray], np.ndarray]


def _sigmoid(z: np.ndarray) -> np.ndarray:
    # By tanh, which neither overflows nor needs a case for the sign of z.
    return 0.5 * (1.0 + np.tanh(0.5 * z))


ACTIVATIONS: dict[str, Activation] = {
    "tanh": Activation(np.tanh, lambda output: 1.0 - output * output),
    "relu": Activation(lambda z: np.maximum(z, 0.0), lambda output: (output > 0.0).astype(output.dtype)),
    "sigmoid": Activation(_sigmoid, lambda output: output * (1.0 - output)),
}
