"""Rows of the linear regression of a collapsed posterior: features of the last hidden layer, and targets.

A regression needs the sums over rows of the products of [h, 1, y] with themselves, each row times its weight; the
gradient by the hidden layers is a matrix times those rows, carried back. Features are kept from one to the other.
"""

import numpy as np

from bnn.model.layout import ParameterLayout
from bnn.model.passes import MOST_ROUNDING, NoiseOutput, Passes, Rows


class MatrixRows:
    """Rows by NumPy's matrix products; see `Rows`.

    Parameters
    ----------
    passes
        Of the hidden layers; None if there is none.
    layout
        Of the parameters.
    x, y
        Inputs, (obs, input), in the type in which to compute, and targets, (obs,) or (chain, obs).
    noise
        The output that makes the noise, if one does.
    """

    def __init__(
        self,
        passes: Passes | None,
        layout: ParameterLayout,
        x: np.ndarray,
        y: np.ndarray,
        noise: NoiseOutput | None,
    ) -> None:
        self._passes, self._layout, self._x, self._y, self._noise = passes, layout, x, y, noise
        self._tiles = (slice(0, len(x)),) if passes is None else passes.tiles
        # Features of a tile, a one for the bias, and the target, times the weights of the rows.
        self._rows: np.ndarray = np.zeros((0, 0, 0), dtype=x.dtype)
        self._products = self._rows
        self._weights: np.ndarray | None = None
        """(chain, obs): weights of the rows of the tile, with which they are multiplied"""

    def products(
        self, rest: np.ndarray, row_precision: np.ndarray, variance: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Sum over the rows, a tile at a time."""
        if self._passes is not None:
            self._passes.load(rest)
        total, logs = None, np.zeros(len(rest))
        for index in range(len(self._tiles)):
            self._load(index, rest, row_precision)
            precision = 1.0 / variance
            if self._weights is not None:
                logs += np.log(self._weights).sum(axis=-1, dtype=np.float64)
                precision = precision * np.square(self._weights).mean(axis=-1, dtype=np.float64)
            if total is None:
                total = np.zeros((len(rest), self._rows.shape[1], self._rows.shape[1]))
            # Of the evidence nothing but the residuals is left of sums that are 1/variance times as large.
            is_exact = len(self._x) * np.finfo(self._x.dtype).eps * precision > MOST_ROUNDING
            for chains, dtype in ((~is_exact, self._x.dtype), (is_exact, np.float64)):
                if chains.any():
                    rows = self._rows if chains.all() else self._rows[chains]
                    rows = rows.astype(dtype, copy=False)
                    total[chains] += np.matmul(rows, rows.swapaxes(-1, -2))
        assert total is not None
        return total, logs

    def add_gradient(
        self, rest: np.ndarray, row_precision: np.ndarray, matrix: np.ndarray, grad: np.ndarray
    ) -> None:
        """Add the gradient, a tile at a time."""
        if self._passes is None and self._noise is None:
            return
        matrix = matrix.astype(self._x.dtype, copy=False)
        for index in range(len(self._tiles)):
            if len(self._tiles) > 1:
                self._load(index, rest, row_precision)
            shape = (len(rest), matrix.shape[1], self._rows.shape[-1])
            if self._products.shape != shape:
                self._products = np.empty(shape, self._x.dtype)
            np.matmul(matrix, self._rows, out=self._products)
            by_hidden = self._products[:, : self._rows.shape[1] - 2]
            by_noise = None if self._noise is None else self._add_by_noise(self._noise, grad)
            if self._weights is not None:
                by_hidden *= self._weights[:, None]
            if by_noise is not None and self._noise is not None:
                by_hidden += rest[:, self._noise.weight, None].astype(self._x.dtype) * by_noise[:, None]
            if self._passes is not None:
                self._passes.backward(index, by_hidden)
        if self._passes is not None:
            self._passes.add_gradient(grad)

    def _add_by_noise(self, noise: NoiseOutput, grad: np.ndarray) -> np.ndarray:
        """Add the part by the weights of the output that makes the noise, and return that by it, (chain, obs)."""
        # A sum over j of row j times the gradient by it is minus ((y - Phi m)^2 + Phi A^-1 Phi')/s^2.
        total = np.einsum("ckn,ckn->cn", self._rows, self._products)
        by_output = -noise.log_sd * (total + 1.0)
        grad[:, noise.bias] += by_output.sum(axis=-1, dtype=np.float64)[:, None]
        unweighted = (by_output / self._weights)[..., None]
        grad[:, noise.weight] += np.matmul(self._rows[:, :-2], unweighted)[..., 0]
        return by_output

    def _load(self, index: int, rest: np.ndarray, row_precision: np.ndarray) -> None:
        """Set features of a tile, ones and targets, times the weights of the rows, (chain, k + 1, obs)."""
        part = self._tiles[index]
        features = self._features(index, len(rest))
        shape = (len(rest), features.shape[1] + 2, part.stop - part.start)
        if self._rows.shape != shape:
            self._rows = np.empty(shape, dtype=self._x.dtype)
        weights = None if self._noise is None else np.exp(-self._noise.log_scales(rest, features))
        if row_precision.shape[-1]:
            roots = np.sqrt(row_precision[:, part]).astype(self._x.dtype)
            weights = roots if weights is None else weights * roots
        self._weights = weights
        if self._weights is None:
            self._rows[:, :-2] = features
            self._rows[:, -2] = 1.0
            self._rows[:, -1] = self._y[..., part]
        else:
            np.multiply(features, self._weights[:, None], out=self._rows[:, :-2])
            self._rows[:, -2] = self._weights
            self._rows[:, -1] = self._y[..., part] * self._weights

    def _features(self, index: int, n_chains: int) -> np.ndarray:
        """Run the hidden layers over a tile, (chain, k - 1, obs), with the parameters that were loaded."""
        if self._passes is None:
            return np.broadcast_to(self._x.T, (n_chains, *self._x.T.shape))
        return self._passes.forward(index)


def make_rows(
    passes: Passes | None,
    layout: ParameterLayout,
    x: np.ndarray,
    y: np.ndarray,
    noise: NoiseOutput | None,
    *,
    is_mixed: bool,
) -> Rows:
    """Return the rows of a regression, by the engine of its passes; parameters as of `MatrixRows` and `Passes`."""
    rows = None if passes is None else passes.regression(y, noise, is_mixed=is_mixed)
    return rows or MatrixRows(passes, layout, x, y, noise)
