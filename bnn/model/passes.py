"""What runs rows of a table through a network, forward and backward: what each engine offers and is asked for."""

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple, Protocol

import numpy as np

if TYPE_CHECKING:
    from bnn.model.likelihoods import Likelihood
    from bnn.model.priors import Prior

LogDensityAndGrad = Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]
MOST_ROUNDING = 0.01
"""Nats by which rounding may change a log density; where it could be more, products are summed in float64."""


class NoiseOutput(NamedTuple):
    """The output that makes the log of each row's noise scale: log s = log_mean + log_sd * (h weight + bias)."""

    weight: slice
    bias: slice
    """Where they are among the parameters"""
    log_mean: float
    log_sd: float

    def log_scales(self, rest: np.ndarray, features: np.ndarray) -> np.ndarray:
        """Return log s, (chain, obs), of parameters (chain, rest) and features (chain, k - 1, obs), in their type."""
        weight, bias = (rest[:, where].astype(features.dtype) for where in (self.weight, self.bias))
        output = np.matmul(weight[:, None], features)[:, 0] + bias
        return np.asarray(self.log_mean + self.log_sd * output)


class Rows(Protocol):
    """What a collapsed posterior asks of its rows."""

    def products(
        self, rest: np.ndarray, row_precision: np.ndarray, variance: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Sum over the rows.

        Parameters
        ----------
        rest
            Parameters, (chain, rest).
        row_precision
            Precision of each row's noise, (chain, obs); (chain, 0) where it is one.
        variance
            By which the products will be divided, (chain,).

        Returns
        -------
        products
            Of the rows' [h, 1, y] with themselves, (chain, k + 1, k + 1).
        log_weights
            Sums of the logs of the weights, (chain,).
        """

    def add_gradient(
        self, rest: np.ndarray, row_precision: np.ndarray, matrix: np.ndarray, grad: np.ndarray
    ) -> None:
        """Add the gradient by the hidden layers, and by the output that makes the noise, to grad, (chain, rest).

        Parameters
        ----------
        rest, row_precision
            Those of the last call of `products`.
        matrix
            Which of weighted [h, 1, y] makes the gradient by the weighted h, (chain, k - 1, k + 1); where the noise has
            an output, by the weighted one and y, too, (chain, k + 1, k + 1).
        """


class Passes(Protocol):
    """Forward and backward passes over the rows of one table, a tile of neighbouring rows at a time.

    `load` comes first; then, for each tile in turn, `forward` and, if the gradient is wanted, `backward`; last
    `add_gradient`.
    """

    tiles: tuple[slice, ...]
    """The rows of each tile, in their order"""

    def load(self, theta: np.ndarray) -> None:
        """Take theta, shape (chain, param), for the passes to come, and forget the gradient of those before."""

    def forward(self, tile: int) -> np.ndarray:
        """Return the output of a tile's rows, shape (chain, output, obs); it lasts until the next call."""

    def backward(self, tile: int, output_grad: np.ndarray) -> None:
        """Add up the gradient over the tile that `forward` has seen last.

        Parameters
        ----------
        tile
            Its number.
        output_grad
            Gradient of a scalar per chain by what `forward` returned, shape (chain, output, obs).
        """

    def add_gradient(self, grad: np.ndarray) -> None:
        """Add the gradient over all tiles since `load` to grad, shape (chain, param), float64, in place."""

    def fuse(self, likelihood: "Likelihood", prior: "Prior", target: np.ndarray) -> LogDensityAndGrad | None:
        """Return what evaluates the whole log posterior density in one call, or None if these passes cannot.

        It takes theta, (chain, param), and an encoded target like the one that is given here, and returns the log
        density, (chain,), with its gradient, (chain, param), both in float64.
        """

    def regression(self, y: np.ndarray, noise: NoiseOutput | None, *, is_mixed: bool) -> Rows | None:
        """Return the rows of the regression on what these passes put out, or None if they cannot make them faster.

        Parameters
        ----------
        y
            Targets, (obs,) or (chain, obs).
        noise
            The output that makes the noise, if one does.
        is_mixed
            Whether each row's noise has a precision of its own.
        """
