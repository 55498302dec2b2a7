"""Forward and backward passes of a dense network over a table by the loops of `bnn.model.compiled_loops`.

They do what `NumpyPasses` in `bnn.model.network` does, and are checked against it; it loads this when asked for
the engine "numba". It is faster because a block of rows stays in the inner caches while it goes through the whole
network; NumPy reads and writes every activation once an operation, and a small network is bound by that.
"""

from collections.abc import Sequence

import numpy as np

from bnn.model.compiled_loops import ACTIVATION_CODES, ROWS_IN_LINE, backward, forward

_ROWS_IN_BLOCK = 768
"""At most so many rows go through the network together: their activations stay in the second-level cache, and the loops
are long enough for what starting one costs."""
_TILE_BYTES = 2**19
"""Activations of one chain that are kept from the forward to the backward pass: they bound the memory."""
_LINE_BYTES = 64


def aligned(shape: Sequence[int], dtype: np.dtype) -> np.ndarray:
    """Return an array that begins at a cache line: vector loads across two lines take twice as long."""
    n_bytes = int(np.prod(shape)) * dtype.itemsize
    raw = np.empty(n_bytes + _LINE_BYTES, dtype=np.uint8)
    skip = -raw.ctypes.data % _LINE_BYTES
    return raw[skip : skip + n_bytes].view(dtype).reshape(shape)


class CompiledPasses:
    """Compiled forward and backward passes of one network over one table; see `bnn.model.network.Passes`.

    The compiler runs at the first pass, some three seconds, once for each type of number on a machine; what it makes
    is kept in `__pycache__` beside this file, or where the environment variable NUMBA_CACHE_DIR says. Threads must not
    share an object: what a forward pass leaves behind is kept in it for the backward pass.

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
    """

    def __init__(self, sizes: Sequence[int], *, activation: str, x: np.ndarray, part: slice) -> None:
        self._sizes = np.array(sizes, dtype=np.int64)
        self._code = ACTIVATION_CODES[activation]
        self._part = part
        n_rows, n_inputs = x.shape
        # Blocks of one length, so that the last is no short one, and of whole cache lines.
        n_blocks = max(1, -(-n_rows // _ROWS_IN_BLOCK))
        size = max(1, -(-n_rows // (ROWS_IN_LINE * n_blocks))) * ROWS_IN_LINE
        n_blocks = max(1, -(-n_rows // size))
        self._x = aligned((n_blocks, n_inputs, size), x.dtype)
        for block in range(n_blocks):
            rows = np.arange(block * size, (block + 1) * size)
            # The last block is filled up with its last row: whatever is made of that is finite where the row's is.
            self._x[block] = x[np.minimum(rows, n_rows - 1)].T
        bytes_in_block = size * sum(sizes[1:]) * x.dtype.itemsize
        self._blocks_in_tile = min(n_blocks, max(1, _TILE_BYTES // bytes_in_block))
        step = self._blocks_in_tile * size
        self.tiles = tuple(slice(start, min(start + step, n_rows)) for start in range(0, n_rows, step))
        self._allocate(1)

    def _allocate(self, n_chains: int) -> None:
        """Make the arrays for a number of chains; they serve until another number comes."""
        dtype, size = self._x.dtype, self._x.shape[2]
        units, outputs = int(self._sizes[1:].sum()), int(self._sizes[-1])
        n_params = self._part.stop - self._part.start
        self._weights = np.empty((n_chains, n_params), dtype=dtype)
        self._grad = np.zeros((n_chains, n_params))
        self._hidden = aligned((self._blocks_in_tile * n_chains, units, size), dtype)
        self._delta = aligned((2, int(self._sizes[1:].max()), size), dtype)
        lengths = {rows.stop - rows.start for rows in self.tiles}
        self._outputs = {length: aligned((n_chains, outputs, length), dtype) for length in lengths}

    def load(self, theta: np.ndarray) -> None:
        """Take theta, (chain, param)."""
        if len(theta) != len(self._weights):
            self._allocate(len(theta))
        self._weights[...] = theta[:, self._part]
        self._grad[...] = 0.0

    def forward(self, tile: int) -> np.ndarray:
        """Return the output of a tile, (chain, output, obs); the next call overwrites it."""
        rows = self.tiles[tile]
        n_rows, first = rows.stop - rows.start, tile * self._blocks_in_tile
        output = self._outputs[n_rows]
        forward(self._weights, self._x, self._hidden, output, first, n_rows, self._sizes, self._code)
        return output

    def backward(self, tile: int, output_grad: np.ndarray) -> None:
        """Add up the gradient over the tile that `forward` has seen last."""
        rows = self.tiles[tile]
        n_rows, first = rows.stop - rows.start, tile * self._blocks_in_tile
        output_grad = np.ascontiguousarray(output_grad, dtype=self._x.dtype)
        arrays = (self._weights, self._x, self._hidden, output_grad, self._grad, self._delta)
        backward(*arrays, first, n_rows, self._sizes, self._code)

    def add_gradient(self, grad: np.ndarray) -> None:
        """Add the gradient over all tiles since `load` to grad."""
        grad[:, self._part] += self._grad
