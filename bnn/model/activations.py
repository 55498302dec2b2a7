"""Activations of hidden units: name -> function and derivative, the derivative written in terms of the output.

Writing the derivative in the output (as scikit-learn does) spares backpropagation the pre-activations. Both work in
place, because a small network spends its time on memory: `bnn.model.compiled` has its own
versions, checked against these.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np


class Activation(NamedTuple):
    """A function of the pre-activation, and its derivative as a function of the output."""

    function: Callable[[np.ndarray], np.ndarray]
    """Replaces its argument, and returns it"""
    derivative: Callable[[np.ndarray], np.ndarray]
    """Leaves its argument as it is"""


def _tanh(z: np.ndarray) -> np.ndarray:
    return np.tanh(z, out=z)


def _tanh_derivative(output: np.ndarray) -> np.ndarray:
    square = output * output
    return np.subtract(1.0, square, out=square)


def _relu(z: np.ndarray) -> np.ndarray:
    return np.maximum(z, 0.0, out=z)


def _relu_derivative(output: np.ndarray) -> np.ndarray:
    return (output > 0.0).astype(output.dtype)


def _sigmoid(z: np.ndarray) -> np.ndarray:
    # By tanh, which neither overflows nor needs a case for the sign of z.
    z *= 0.5
    np.tanh(z, out=z)
    z += 1.0
    z *= 0.5
    return z


def _sigmoid_derivative(output: np.ndarray) -> np.ndarray:
    rest = 1.0 - output
    rest *= output
    return rest


ACTIVATIONS: dict[str, Activation] = {
    "tanh": Activation(_tanh, _tanh_derivative),
    "relu": Activation(_relu, _relu_derivative),
    "sigmoid": Activation(_sigmoid, _sigmoid_derivative),
}
