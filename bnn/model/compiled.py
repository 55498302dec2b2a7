"""Compiled forward and backward passes, and log densities, of one network over one table.

They do what `NumpyPasses` and the likelihoods do, and are checked against them; `bnn.model.network` loads this for the
engine "numba". What is compiled is in `bnn.model.compiled_loops`.
"""

import math
from collections.abc import Callable, Sequence
from itertools import pairwise

import numpy as np

from bnn.model.categorical import Categorical
from bnn.model.compiled_loops import (
    ACTIVATION_CODES,
    CATEGORICAL,
    GAUSSIAN,
    HETEROSCEDASTIC,
    ROWS_IN_LINE,
    STRIDE,
    STUDENT_T,
    evaluate,
    run_tile,
)
from bnn.model.likelihoods import LOG_NOISE_SCALE, Gaussian, HeteroscedasticGaussian, Likelihood, StudentT
from bnn.model.priors import Prior

LogDensityAndGrad = Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]
_ROWS_IN_BLOCK = 608
"""At most so many rows go through the network together: few enough for the inner caches, no more than the stride."""
_TILE_BYTES = 2**19
"""Activations of one chain that are kept from the forward to the backward pass: they bound the memory."""


def _in_fours(n: int) -> int:
    return -(-n // 4) * 4


def _in_tiles(i: np.ndarray, j: np.ndarray, n_in: int, n_out: int) -> np.ndarray:
    """Return where `_sums` looks for the weight of input i and unit j: tile after tile, then unit after unit."""
    tiled = j // 4 * 4 * _in_fours(n_in) + i // 4 * 16 + j % 4 * 4 + i % 4
    return np.where(j < n_out // 4 * 4, tiled, j * _in_fours(n_in) + i)


def _zeros(shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    """Return zeros that begin at a page: vector loads across two cache lines take twice as long."""
    raw = np.zeros(int(np.prod(shape)) * dtype.itemsize + 4096, dtype=np.uint8)
    start = -raw.ctypes.data % 4096
    return raw[start : start + raw.size - 4096].view(dtype).reshape(shape)


def _describe(likelihood: Likelihood) -> tuple[int, float, float, float, float] | None:
    """Return a likelihood's code, log density at the mean, log scale with what an output adds to it, and freedom."""
    if type(likelihood) is Categorical:
        return CATEGORICAL, 0.0, 0.0, 0.0, 0.0
    if type(likelihood) is HeteroscedasticGaussian:
        return (
            HETEROSCEDASTIC,
            likelihood.log_constant,
            likelihood.log_noise_mean,
            likelihood.log_noise_sd,
            0.0,
        )
    if type(likelihood) is Gaussian:
        return GAUSSIAN, likelihood.log_constant, math.log(likelihood.noise_scale or 1.0), 0.0, 0.0
    if type(likelihood) is StudentT:
        return (
            STUDENT_T,
            likelihood.log_constant,
            math.log(likelihood.noise_scale or 1.0),
            0.0,
            likelihood.df,
        )
    return None


class CompiledPasses:
    """Compiled forward and backward passes of one network over one table; see `bnn.network.Passes`.

    The compiler runs at the first pass, once for each type of number on a machine; what it makes is kept in
    `__pycache__` beside this file, or where the environment variable NUMBA_CACHE_DIR says. Threads must not share an
    object: what a forward pass leaves behind is kept in it for the backward pass.

    Parameters
    ----------
    sizes
        Units of each layer, inputs first.
    activation
        Name of the hidden activation.
    x
        Inputs, shape (obs, input), in the type in which to compute.
    part
        Where the network's parameters lie in theta: weight_0 (input, unit), bias_0, weight_1, ... without gaps.
    linear_output
        Whether the last layer is linear; if not, its units have the activation too.
    """

    def __init__(
        self, sizes: Sequence[int], *, activation: str, x: np.ndarray, part: slice, linear_output: bool = True
    ) -> None:
        n_rows, self._dtype = len(x), x.dtype
        self._n_blocks = max(1, -(-n_rows // _ROWS_IN_BLOCK))
        # Blocks of one length, so that the last is no short one.
        size = max(1, -(-n_rows // (ROWS_IN_LINE * self._n_blocks))) * ROWS_IN_LINE
        self._linear, self._code, self._shape = (
            linear_output,
            ACTIVATION_CODES[activation],
            (n_rows, size),
        )
        plan, places, above, start, at = [], [], 0, 0, 0
        for n_in, n_out in pairwise(sizes):
            i, j = np.indices((n_in, n_out)).reshape(2, -1)
            width, size_in_fours = _in_fours(n_out), _in_fours(n_in) * _in_fours(n_out)
            back, gradient, bias = at + size_in_fours, at + 2 * size_in_fours, at + 3 * size_in_fours
            plan.append((n_in, n_out, width, above, start, at, back, gradient, bias))
            where = (
                at + _in_tiles(i, j, n_in, n_out),
                back + _in_tiles(j, i, n_out, n_in),
                gradient + i * width + j,
            )
            biases = np.broadcast_to(np.arange(bias, bias + n_out), (3, n_out))
            places.append(np.hstack([where, biases]))
            above, start, at = start, start + width * STRIDE, bias + width
        self._plan, self._n_units, self._n_weights = np.array(plan), start, at
        # Unsigned: of a signed index the loops would ask whether it counts from the end.
        self._weights = (
            np.zeros(at, x.dtype),
            *map(np.array, np.hstack(places).astype(np.uintp)),
            part.start,
        )
        self._part, self._zeros = part, np.zeros(_in_fours(max(sizes)), x.dtype)
        self._x, self._delta = self._blocks(x), _zeros((start,), x.dtype)
        self._blocks_in_tile = min(self._n_blocks, max(1, _TILE_BYTES // self._delta.nbytes))
        step = self._blocks_in_tile * size
        self.tiles = tuple(slice(first, min(first + step, n_rows)) for first in range(0, n_rows, step))
        self._hidden, self._out = np.zeros((0, 0, 0), x.dtype), np.zeros((0, 0, 0), x.dtype)

    def _blocks(self, columns: np.ndarray) -> np.ndarray:
        """Return (obs, column) as (block, column * STRIDE), filled up with the last row and with columns of zeros."""
        n_rows, size = self._shape
        blocks = _zeros((self._n_blocks, _in_fours(columns.shape[1]), STRIDE), self._dtype)
        for block in range(self._n_blocks):
            rows = np.minimum(np.arange(block * size, (block + 1) * size), n_rows - 1)
            blocks[block, : columns.shape[1], :size] = columns[rows].T
        return blocks.reshape(self._n_blocks, -1)

    def load(self, theta: np.ndarray) -> None:
        """Take theta, (chain, param)."""
        self._theta = np.ascontiguousarray(theta, dtype=np.float64)
        if len(theta) != len(self._hidden):
            self._hidden = _zeros((len(theta), self._blocks_in_tile, self._n_units), self._dtype)
        self._grad = np.zeros((len(theta), self._n_weights))

    def forward(self, tile: int) -> np.ndarray:
        """Return the output of a tile, (chain, output, obs), which the next call writes over."""
        rows = self.tiles[tile]
        shape = (len(self._theta), self._plan[-1, 1], rows.stop - rows.start)
        # The system takes its time for new memory.
        if self._out.shape != shape:
            self._out = np.empty(shape, self._dtype)
        self._run(tile, self._out, False)
        return self._out

    def backward(self, tile: int, output_grad: np.ndarray) -> None:
        """Add up the gradient over the tile that `forward` has seen last."""
        self._run(tile, np.ascontiguousarray(output_grad, dtype=self._dtype), True)

    def _run(self, tile: int, out: np.ndarray, back: bool) -> None:
        where, buffers = (tile * self._blocks_in_tile, self._shape[1]), (self._x, self._hidden, self._delta)
        network = (self._zeros, self._plan, self._linear, self._code)
        run_tile(self._theta, self._weights, *where, *buffers, out, self._grad, *network, back)

    def add_gradient(self, grad: np.ndarray) -> None:
        """Add the gradient over all tiles since `load` to grad."""
        grad[:, self._part] += self._grad[:, self._weights[3]]

    def fuse(self, likelihood: Likelihood, prior: Prior, target: np.ndarray) -> LogDensityAndGrad | None:
        """Return what evaluates likelihood and normal prior in the loops too, or None; see `Passes`."""
        described = _describe(likelihood)
        if described is None:
            return None
        kind, log_constant, *numbers = described
        location, inverse, constant = prior.normal or (np.zeros(0), np.zeros(0), 0.0)
        (n_rows, size), n_params = self._shape, prior.layout.n_params
        own = (
            prior.layout.slices[LOG_NOISE_SCALE].start
            if LOG_NOISE_SCALE in likelihood.parameter_priors
            else -1
        )
        constants = (constant + n_rows * log_constant, *numbers)
        buffers = (
            np.zeros(self._n_weights),
            _zeros(self._delta.shape, self._dtype),
            self._delta,
            _zeros((3 * STRIDE,), self._dtype),
            self._zeros,
        )
        settings = (own, (location, inverse), constants, kind, (n_rows, size, likelihood.n_outputs))
        network = (self._x, buffers, self._weights, self._plan, self._code)

        def cut(target: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            blocks = self._blocks(np.vstack([np.ones(n_rows), target]).T)
            # Rows that fill a block up have no target and no weight.
            blocks.reshape(self._n_blocks, -1, STRIDE)[-1, :, n_rows - (self._n_blocks - 1) * size :] = 0.0
            return target, blocks

        seen = cut(target)

        def log_density_and_grad(theta: np.ndarray, target: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            nonlocal seen
            theta = np.ascontiguousarray(theta, dtype=np.float64)
            if theta.shape[1:] != (n_params,) or target.shape[-1] != n_rows:
                raise ValueError(f"theta {theta.shape} or target {target.shape} do not fit network and table")
            if seen[0] is not target:
                seen = cut(target)
            total, grad = np.empty(len(theta)), np.zeros(theta.shape)
            evaluate(theta, *settings, seen[1], *network, total, grad)
            if len(location):
                return total, grad
            log_prior, prior_grad = prior.log_density_and_grad(theta)
            return total + log_prior, grad + prior_grad

        return log_density_and_grad
