"""Compiled forward and backward passes, and log densities, of one network over one table.

They do what `NumpyPasses` and the likelihoods do, and are checked against them; `bnn.model.network` loads this for the
engine "numba". What is compiled is in `bnn.model.compiled_loops`.
"""

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

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
    VARYING_STUDENT_T,
    evaluate,
    run_tile,
)
from bnn.model.compiled_rows import add_gradient, add_products
from bnn.model.likelihoods import (
    LOG_NOISE_SCALE,
    Gaussian,
    HeteroscedasticGaussian,
    HeteroscedasticStudentT,
    Likelihood,
    StudentT,
)
from bnn.model.passes import MOST_ROUNDING, LogDensityAndGrad, NoiseOutput
from bnn.model.priors import Prior

_ROWS_IN_BLOCK = 608
"""At most so many rows go through the network together: few enough for the inner caches, no more than the stride."""
_TILE_BYTES = 2**19
"""Activations of one chain that are kept from the forward to the backward pass: they bound the memory."""

_KEPT_BYTES = 2**22
"""Hidden units of one chain that are kept for the gradient of a collapsed posterior; beyond, they are made again."""


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
    # Exactly these: another class, though derived from one of them, may have another density.
    if type(likelihood) is Categorical:
        return CATEGORICAL, 0.0, 0.0, 0.0, 0.0
    if type(likelihood) is Gaussian:
        return GAUSSIAN, likelihood.log_constant, _log_scale(likelihood.noise_scale), 0.0, 0.0
    if type(likelihood) is StudentT:
        return STUDENT_T, likelihood.log_constant, _log_scale(likelihood.noise_scale), 0.0, likelihood.df
    if type(likelihood) is HeteroscedasticGaussian:
        code, df = HETEROSCEDASTIC, 0.0
    elif type(likelihood) is HeteroscedasticStudentT:
        code, df = VARYING_STUDENT_T, likelihood.df
    else:
        return None
    return code, likelihood.log_constant, likelihood.log_noise_mean, likelihood.log_noise_sd, df


def _log_scale(known: float | None) -> float:
    return math.log(known or 1.0)


class CompiledPasses:
    """Compiled forward and backward passes of one network over one table; see `bnn.model.passes.Passes`.

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

    def _target_blocks(self, target: np.ndarray) -> np.ndarray:
        """Return ones and targets, (target, obs) or (obs,), as `_blocks` does; rows that fill a block up have zeros."""
        n_rows, size = self._shape
        blocks = self._blocks(np.vstack([np.ones(n_rows), target]).T)
        blocks.reshape(self._n_blocks, -1, STRIDE)[-1, :, n_rows - (self._n_blocks - 1) * size :] = 0.0
        return blocks

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

        seen = target, self._target_blocks(target)

        def log_density_and_grad(theta: np.ndarray, target: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            nonlocal seen
            theta = np.ascontiguousarray(theta, dtype=np.float64)
            if theta.shape[1:] != (n_params,) or target.shape[-1] != n_rows:
                raise ValueError(f"theta {theta.shape} or target {target.shape} do not fit network and table")
            if seen[0] is not target:
                seen = target, self._target_blocks(target)
            total, grad = np.empty(len(theta)), np.zeros(theta.shape)
            evaluate(theta, *settings, seen[1], *network, total, grad)
            if len(location):
                return total, grad
            log_prior, prior_grad = prior.log_density_and_grad(theta)
            return total + log_prior, grad + prior_grad

        return log_density_and_grad

    def regression(
        self, y: np.ndarray, noise: NoiseOutput | None, *, is_mixed: bool
    ) -> "CompiledRows | None":
        """Return rows that go through the network and into sums block by block; None if targets differ by chain."""
        return None if y.ndim > 1 else CompiledRows(self, y, noise, is_mixed=is_mixed)


class CompiledRows:
    """Rows of a regression on what compiled passes put out; see `bnn.model.passes.Rows`.

    Parameters
    ----------
    passes
        Of the hidden layers.
    y
        Targets, (obs,).
    noise
        The output that makes the noise, if one does.
    is_mixed
        Whether each row's noise has a precision of its own.
    """

    def __init__(
        self, passes: CompiledPasses, y: np.ndarray, noise: NoiseOutput | None, *, is_mixed: bool
    ) -> None:
        self._passes, self._noise, dtype = passes, noise, passes._dtype
        n_rows, size = passes._shape
        n_units = int(passes._plan[-1, 1])
        k, units = n_units + 1, _in_fours(n_units + 2)
        self._shape = (n_rows, size, k)
        kinds = (GAUSSIAN, STUDENT_T) if noise is None else (HETEROSCEDASTIC, VARYING_STUDENT_T)
        self._kind, self._is_mixed = kinds[is_mixed], is_mixed
        self._target = passes._target_blocks(y)
        self._rows = _zeros((units * STRIDE,), dtype)
        self._sums = np.zeros(units * units)
        self._most = MOST_ROUNDING / (n_rows * np.finfo(dtype).eps)
        j, i = np.indices((n_units if noise is None else k + 1, k + 1))
        self._places = _in_tiles(i, j, k + 1, len(j))
        zeros = np.zeros(max(units, len(passes._zeros)), dtype)
        products = _zeros(((k + 2) * STRIDE,), dtype)
        self._buffers = (np.zeros(units * units, dtype), products, passes._delta, zeros)
        # Hidden units of all blocks, if they are few enough to be kept until the gradient is asked for, or of one.
        self._n_kept = passes._n_blocks if passes._n_blocks * passes._delta.nbytes <= _KEPT_BYTES else 1
        self._hidden = np.zeros((0, 0, 0), dtype)

    def products(
        self, rest: np.ndarray, row_precision: np.ndarray, variance: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Sum over the rows, a block at a time."""
        k = self._shape[2]
        if len(self._hidden) != len(rest):
            self._hidden = _zeros((len(rest), self._n_kept, self._passes._n_units), self._passes._dtype)
        total, logs = np.empty((len(rest), k + 1, k + 1)), np.zeros(len(rest))
        add_products(*self._arguments(rest, row_precision), variance, self._sums, self._most, total, logs)
        if self._is_mixed:
            logs += 0.5 * np.log(row_precision).sum(axis=-1)
        return total, logs

    def add_gradient(
        self, rest: np.ndarray, row_precision: np.ndarray, matrix: np.ndarray, grad: np.ndarray
    ) -> None:
        """Add the gradient, a block at a time."""
        by_hidden = np.zeros((len(rest), self._passes._n_weights))
        by_noise = np.zeros((len(rest), self._shape[2]))
        matrix = np.ascontiguousarray(matrix, dtype=self._rows.dtype)
        arguments = self._arguments(rest, row_precision)
        add_gradient(*arguments, matrix, self._places, self._buffers, by_hidden, by_noise)
        grad[:, self._passes._part] += by_hidden[:, self._passes._weights[3]]
        if self._noise is not None:
            grad[:, self._noise.weight] += by_noise[:, :-1]
            grad[:, self._noise.bias] += by_noise[:, -1:]

    def _arguments(self, rest: np.ndarray, row_precision: np.ndarray) -> tuple[Any, ...]:
        """Return what both loops take: theta, where weights go, the network, the shape, the table and the noise."""
        passes, numbers = self._passes, (0.0, 0.0)
        weights = np.zeros((len(rest), self._shape[2]))
        if self._noise is not None:
            numbers = (self._noise.log_mean, self._noise.log_sd)
            weights[:, :-1], weights[:, -1:] = rest[:, self._noise.weight], rest[:, self._noise.bias]
        return (
            np.ascontiguousarray(rest, dtype=np.float64),
            passes._weights,
            (passes._plan, passes._code),
            self._shape,
            (passes._x, self._target, self._hidden, self._rows),
            (self._kind, numbers, weights, np.ascontiguousarray(row_precision)),
        )
