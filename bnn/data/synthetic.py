"""Artificial tables whose truth is known, for seeing what a model makes of it."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

Drawn = tuple[np.ndarray, np.ndarray]
"""x (row, feature) float64; y (row,): float64, or class indices (int64)"""


def gap(n: int, noise: float, rng: np.random.Generator) -> Drawn:
    """Draw y = sin(x) + 0.3 x + noise with x uniform on [-5, -3] and [3, 5]: no data between.

    Parameters
    ----------
    n
        Number of rows.
    noise
        Standard deviation of the Gaussian noise.
    rng
        Source of randomness.

    Returns
    -------
    x
        Shape (n, 1).
    y
        Shape (n,).
    """
    x = rng.choice([-1.0, 1.0], size=n) * rng.uniform(3.0, 5.0, size=n)
    return x[:, None], np.sin(x) + 0.3 * x + noise * rng.standard_normal(n)


def sine(n: int, noise: float, rng: np.random.Generator) -> Drawn:
    """Draw y = sin(2 x) + noise with x uniform on [-3, 3], whose noise grows from a fifth of `noise` to all of it.

    Parameters and returns are those of `gap`; `noise` is the standard deviation at x = 3.
    """
    x = rng.uniform(-3.0, 3.0, size=n)
    sd = noise * (0.2 + 0.8 * (x + 3) / 6)
    return x[:, None], np.sin(2 * x) + sd * rng.standard_normal(n)


def friedman1(n: int, noise: float, rng: np.random.Generator) -> Drawn:
    """Draw ten features, uniform on [0, 1], of which five matter: Friedman (1991), equation 61.

    y = 10 sin(pi x1 x2) + 20 (x3 - 1/2)² + 10 x4 + 5 x5 + noise; parameters and returns are those of `gap`, with ten
    columns of x.
    """
    x = rng.uniform(size=(n, 10))
    mean = 10 * np.sin(np.pi * x[:, 0] * x[:, 1]) + 20 * (x[:, 2] - 0.5) ** 2 + 10 * x[:, 3] + 5 * x[:, 4]
    return x, mean + noise * rng.standard_normal(n)


def two_moons(n: int, noise: float, rng: np.random.Generator) -> Drawn:
    """Draw two classes on two half circles that reach into each other, moved by noise in both directions.

    Parameters and returns are those of `gap`, with two columns of x and class indices.
    """
    y = rng.permutation(np.arange(n) % 2)
    angle = rng.uniform(0.0, np.pi, size=n)
    upper = np.column_stack([np.cos(angle), np.sin(angle)])
    lower = np.column_stack([1 - np.cos(angle), 0.5 - np.sin(angle)])
    return np.where(y[:, None] == 0, upper, lower) + noise * rng.standard_normal((n, 2)), y


class Generator(NamedTuple):
    """How an artificial table is drawn."""

    draw: Callable[[int, float, np.random.Generator], Drawn]
    """(rows, noise, rng) -> x, y"""
    class_names: tuple[str, ...] = ()
    """() for regression"""


GENERATORS = {
    "gap": Generator(gap),
    "sine": Generator(sine),
    "friedman1": Generator(friedman1),
    "two_moons": Generator(two_moons, ("upper", "lower")),
}
"""Artificial tables by name."""
