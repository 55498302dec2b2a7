"""Log density and gradient of a dense network over a table, in loops that Numba compiles.

They do what `NumpyPasses` and the likelihoods do, and are checked against them. A block of rows goes through the whole
network, forward and backward, while it lies in the inner caches; NumPy reads and writes every activation once an
operation, and a small network is bound by that.

- Activations lie in flat arrays, that of unit j at row r at j * STRIDE + r. Innermost loops run over rows, so that the
  compiler fills vectors whatever the layers' widths; the constant stride tells it that units do not overlap.
- Four units by four inputs share what is loaded: sixteen multiply-adds for eight loads and four stores. Units are
  counted in fours in memory, and those beyond a layer's width have weights of zero.
- Chains share nothing: the arithmetic of a chain depends on network and rows only, never on its neighbours.

Sums may be contracted and taken in any order; "no NaN" and "no infinity" are not promised to the compiler: a proposal
may overflow, and its log density must then show it. All loops are in this file, because Numba looks at a function's
file to see whether what it keeps compiled still holds.
"""

import math
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import numba
import numpy as np
from numba.extending import overload

from bnn.model.likelihoods import (
    LOG_NOISE_SCALE,
    Categorical,
    Gaussian,
    HeteroscedasticGaussian,
    Likelihood,
    StudentT,
)
from bnn.model.network import LogDensityAndGrad
from bnn.model.priors import Prior

STRIDE = 624
"""Numbers from a unit's values to the next unit's: no power of two, which would map all units to the same cache lines"""
_ROWS_IN_BLOCK = 608
_ROWS_IN_LINE = 16
"""A block is filled up to a multiple of this, that of a vector, with copies of its last row that count for nothing."""
_TILE_BYTES = 2**19
"""Activations of one chain that are kept from the forward to the backward pass: they bound the memory."""
ACTIVATION_CODES = {"relu": 0, "tanh": 1, "sigmoid": 2}
_RELU, _TANH, _SIGMOID = range(3)
_BACK, _LINEAR = 3, 6
"""What is added to an activation's code for its derivative, and the code of none"""
_CATEGORICAL, _GAUSSIAN, _STUDENT_T, _HETEROSCEDASTIC = range(4)
_EXACT: Any = {"error_model": "numpy", "cache": True, "fastmath": {"contract"}}
# No array is made in the loops, and to count references to parts of arrays would take longer than what is done to them.
_FAST: Any = _EXACT | {"fastmath": {"contract", "reassoc", "nsz"}, "_nrt": False}
_jit = numba.njit(**_FAST)

_single = np.float32
_BOUND = _single(7.9)
_P = tuple(map(_single, (9.99999994e-01, 1.34506196e-01, 3.57899085e-03, 2.20232253e-05, 1.54279444e-08)))
_Q = tuple(map(_single, (1.0, 4.67839476e-01, 2.61922335e-02, 3.42364861e-04, 8.59876870e-07)))
"""tanh x = x p(x^2) / q(x^2) in single precision: a least-squares fit of p - q tanh(x)/x on (0, 7.9], with weights 1/q of
the fit before (Sanathanan & Koerner 1963) for a relative error and those of Lawson (1961) for the smallest maximum, 5.7e-9.
Beyond 7.9 the value there is kept, 2.7e-7 from one; the rest of the 4e-7 is rounding.
"""
_LOG2_E, _LN2_HIGH, _LN2_LOW = map(_single, (1 / math.log(2), 0.693359375, math.log(2) - 0.693359375))
_E = tuple(_single(1 / math.factorial(k)) for k in range(8))
_L = tuple(_single(2 / k) for k in (1, 3, 5, 7))
_SQRT_HALF = np.int32(0x3F3504F3)


def _of_type(function: Callable[[float], float]) -> Callable[[Callable], Callable]:
    """Make loops call the decorated function for numbers in single precision, and `function` for others.

    The library's are too slow there: they take one number at a time, not a vector.
    """

    def decorate(single: Callable[[float], float]) -> Callable[[float], float]:
        @overload(single, jit_options=_EXACT)
        def choose(x):
            return single if x == numba.float32 else lambda x: function(x)

        return single

    return decorate


@_of_type(math.tanh)
def _tanh(x):
    x = min(max(x, -_BOUND), _BOUND)
    u = x * x
    p = (((_P[4] * u + _P[3]) * u + _P[2]) * u + _P[1]) * u + _P[0]
    q = (((_Q[4] * u + _Q[3]) * u + _Q[2]) * u + _Q[1]) * u + _Q[0]
    return x * p / q


@_of_type(math.exp)
def _exp(x):
    """Return 2^n e^r with |r| <= log(2) / 2 for x from -87 to 88, within 2e-7 of it."""
    x = min(max(x, _single(-87.0)), _single(88.0))
    n = np.floor(x * _LOG2_E + _single(0.5))
    r = (x - n * _LN2_HIGH) - n * _LN2_LOW
    power = ((_E[7] * r + _E[6]) * r + _E[5]) * r + _E[4]
    power = (((power * r + _E[3]) * r + _E[2]) * r + _E[1]) * r + _E[0]
    # An exponent of n, written into the bits where a number has it, is a factor of 2^n.
    return power * np.int32((np.int32(n) + np.int32(127)) << np.int32(23)).view(np.float32)


@_of_type(math.log)
def _log(x):
    """Return log m + n log 2 for x = 2^n m > 0 with m from sqrt(1/2) on; NaN for what is not finite."""
    bits = np.float32(x).view(np.int32)
    n = np.floor(_single(np.int32(bits - _SQRT_HALF)) * _single(2.0**-23))
    m = np.int32(bits - (np.int32(n) << np.int32(23))).view(np.float32)
    s = (m - _single(1)) / (m + _single(1))
    u = s * s
    return s * (((_L[3] * u + _L[2]) * u + _L[1]) * u + _L[0]) + n * (_LN2_HIGH + _LN2_LOW) + (x - x)


@_jit
def _tile(z, h, w, bias, start, n):
    """Add the products of four inputs and sixteen weights to four units; at the start, to their biases."""
    a0, a1, a2, a3, b0, b1, b2, b3 = w[0], w[1], w[2], w[3], w[4], w[5], w[6], w[7]
    c0, c1, c2, c3, d0, d1, d2, d3 = w[8], w[9], w[10], w[11], w[12], w[13], w[14], w[15]
    if start:
        a, b, c, d = bias[0], bias[1], bias[2], bias[3]
        for r in range(n):
            p, q, s, t = h[r], h[r + STRIDE], h[r + 2 * STRIDE], h[r + 3 * STRIDE]
            z[r] = a + a0 * p + a1 * q + a2 * s + a3 * t
            z[r + STRIDE] = b + b0 * p + b1 * q + b2 * s + b3 * t
            z[r + 2 * STRIDE] = c + c0 * p + c1 * q + c2 * s + c3 * t
            z[r + 3 * STRIDE] = d + d0 * p + d1 * q + d2 * s + d3 * t
    else:
        for r in range(n):
            p, q, s, t = h[r], h[r + STRIDE], h[r + 2 * STRIDE], h[r + 3 * STRIDE]
            z[r] = z[r] + a0 * p + a1 * q + a2 * s + a3 * t
            z[r + STRIDE] = z[r + STRIDE] + b0 * p + b1 * q + b2 * s + b3 * t
            z[r + 2 * STRIDE] = z[r + 2 * STRIDE] + c0 * p + c1 * q + c2 * s + c3 * t
            z[r + 3 * STRIDE] = z[r + 3 * STRIDE] + d0 * p + d1 * q + d2 * s + d3 * t


@_jit
def _finish(z, out, way, n):
    """Pass a unit through its activation, or its gradient through the derivative of that which put `out` out."""
    one, half = z.dtype.type(1), z.dtype.type(0.5)
    for r in range(n):
        if way == _RELU:
            z[r] = max(z[r], z.dtype.type(0))
        elif way == _TANH:
            z[r] = _tanh(z[r])
        elif way == _SIGMOID:
            z[r] = half + half * _tanh(half * z[r])
        elif way == _BACK + _RELU:
            z[r] = z[r] if out[r] > 0 else z.dtype.type(0)
        elif way == _BACK + _TANH:
            z[r] *= one - out[r] * out[r]
        elif way == _BACK + _SIGMOID:
            z[r] *= out[r] * (one - out[r])


@_jit
def _sums(z, h, w, bias, out, way, n_in, n_out, n):
    """Set z_j to bias_j + sum over i of w_ij h_i and finish it; the weights are in the order of `_in_tiles`."""
    whole, n_in = n_out // 4 * 4, (n_in + 3) // 4 * 4
    for j in range(0, whole, 4):
        for i in range(0, n_in, 4):
            _tile(z[j * STRIDE :], h[i * STRIDE :], w[j * n_in + 4 * i :], bias[j:], i == 0, n)
        for k in range(j, j + 4):
            _finish(z[k * STRIDE :], out[k * STRIDE :], way, n)
    for j in range(whole, n_out):
        zj, b = z[j * STRIDE :], bias[j]
        for i in range(0, n_in, 4):
            hi, wi = h[i * STRIDE :], w[j * n_in + i :]
            a0, a1, a2, a3 = wi[0], wi[1], wi[2], wi[3]
            for r in range(n):
                more = a0 * hi[r] + a1 * hi[r + STRIDE] + a2 * hi[r + 2 * STRIDE] + a3 * hi[r + 3 * STRIDE]
                zj[r] = (b if i == 0 else zj[r]) + more
        _finish(zj, out[j * STRIDE :], way, n)


@_jit
def _products(g, g_bias, h, d, width, n_in, n_out, n):
    """Add the sums over rows of h_i d_j to g, (in, out), and those of d_j to g_bias."""
    zero = d.dtype.type(0)
    for j in range(0, n_out, 2):
        dj = d[j * STRIDE :]
        for i in range(0, n_in, 4):
            hi, gi = h[i * STRIDE :], g[i * width + j :]
            a = b = a0 = a1 = a2 = a3 = b0 = b1 = b2 = b3 = zero
            for r in range(n):
                x, y = dj[r], dj[r + STRIDE]
                p, q, s, t = hi[r], hi[r + STRIDE], hi[r + 2 * STRIDE], hi[r + 3 * STRIDE]
                a += x
                b += y
                a0 += x * p
                a1 += x * q
                a2 += x * s
                a3 += x * t
                b0 += y * p
                b1 += y * q
                b2 += y * s
                b3 += y * t
            for u, v in ((a0, b0), (a1, b1), (a2, b2), (a3, b3)):
                gi[0] += u
                gi[1] += v
                gi = gi[width:]
            if i == 0:
                g_bias[j] += a
                g_bias[j + 1] += b


@_jit
def _forward(x, hidden, w, plan, depth, code, n):
    """Run a block of rows through `depth` layers; the last layer of the plan is linear."""
    for layer in range(depth):
        n_in, n_out, width, above, start, weights, _, _, bias = plan[layer]
        h, z = x if layer == 0 else hidden[above:], hidden[start:]
        _sums(z, h, w[weights:], w[bias:], z, code if layer < len(plan) - 1 else _LINEAR, n_in, n_out, n)


@_jit
def _backward(x, hidden, delta, w, g, zeros, plan, depth, code, n):
    """Add to g the gradient by the weights of `depth` layers; delta has that by what the last of them puts out."""
    for layer in range(depth - 1, -1, -1):
        n_in, n_out, width, above, start, _, weights, gradient, bias = plan[layer]
        d, h = delta[start:], x if layer == 0 else hidden[above:]
        if layer == depth - 1 and depth < len(plan):
            for j in range(0, n_out * STRIDE, STRIDE):
                _finish(d[j:], hidden[start + j :], _BACK + code, n)
        _products(g[gradient:], g[bias:], h, d, width, n_in, n_out, n)
        if layer > 0:
            _sums(delta[above:], d, w[weights:], zeros, h, _BACK + code, n_out, n_in, n)


@_jit
def _categorical(o, d, target, rows, n_classes, n):
    """Set rows to the log likelihood of each, and d to its gradient by the logits o."""
    top, spread, mask = rows[STRIDE:], rows[2 * STRIDE :], target
    for r in range(n):
        rows[r], top[r], spread[r] = 0, o[r], 0
    for k in range(1, n_classes):
        ok = o[k * STRIDE :]
        for r in range(n):
            top[r] = max(top[r], ok[r])
    for k in range(n_classes):
        ok, dk, tk = o[k * STRIDE :], d[k * STRIDE :], target[(k + 1) * STRIDE :]
        for r in range(n):
            z = ok[r] - top[r]
            weight = _exp(z)
            dk[r] = weight
            spread[r] += weight
            rows[r] += tk[r] * z
    for r in range(n):
        rows[r] -= mask[r] * _log(spread[r])
        top[r] = mask[r] / spread[r]
    for k in range(n_classes):
        dk, tk = d[k * STRIDE :], target[(k + 1) * STRIDE :]
        for r in range(n):
            dk[r] = tk[r] - dk[r] * top[r]


@_jit
def _real(o, d, target, rows, kind, log_scale, slope, df, n):
    """Set rows to each one's log likelihood less its constant, then to that's derivative by the log scale; set d."""
    number = o.dtype.type
    one, half, a, b, f = number(1), number(0.5), number(log_scale), number(slope), number(df)
    fixed = number(math.exp(-log_scale))
    for r in range(n):
        u, precision, mask = a, fixed, target[r]
        if kind == _HETEROSCEDASTIC:
            u = a + b * o[r + STRIDE]
            precision = _exp(-u)
        z = (target[r + STRIDE] - o[r]) * precision
        weight, loss = one, half * z * z
        if kind == _STUDENT_T:
            weight = (f + one) / (f + z * z)
            loss = half * (f + one) * _log(one + z * z / f)
        score = mask * (weight * z * z - one)
        rows[r] = -mask * (loss + u)
        rows[r + STRIDE] = score
        d[r] = mask * weight * z * precision
        if kind == _HETEROSCEDASTIC:
            d[r + STRIDE] = score * b


@_jit
def _evaluate(theta, own, prior, constants, kind, shape, target, x, arrays, weights, plan, code, total, grad):
    """Set the log density, (chain,), and its gradient, (chain, param), of every chain."""
    (w, place, g_place, first), (g, hidden, delta, rows, zeros), (n_rows, size, n_outputs) = (
        weights,
        arrays,
        shape,
    )
    depth, n_params = len(plan), prior.shape[1]
    at = plan[depth - 1, 4]
    o, d = hidden[at:], delta[at:]
    for c in range(len(theta)):
        density, scale_grad = constants[0], 0.0
        log_scale = theta[c, own] if own >= 0 else constants[1]
        for p in range(n_params):
            z = (theta[c, p] - prior[0, p]) * prior[1, p]
            density -= 0.5 * z * z
            grad[c, p] = -z * prior[1, p]
        for p in range(place.shape[1]):
            w[place[0, p]] = w[place[1, p]] = theta[c, first + p]
        for block in range(len(x)):
            n = (min(size, n_rows - block * size) + _ROWS_IN_LINE - 1) // _ROWS_IN_LINE * _ROWS_IN_LINE
            _forward(x[block], hidden, w, plan, depth, code, n)
            if kind == _CATEGORICAL:
                _categorical(o, d, target[block], rows, n_outputs, n)
            else:
                _real(o, d, target[block], rows, kind, log_scale, constants[2], constants[3], n)
            for r in range(n):
                density += np.float64(rows[r])
                scale_grad += np.float64(rows[r + STRIDE])
            _backward(x[block], hidden, delta, w, g, zeros, plan, depth, code, n)
        for p in range(len(g_place)):
            grad[c, first + p] += g[g_place[p]]
            g[g_place[p]] = 0.0
        if own >= 0:
            grad[c, own] += scale_grad
        total[c] = density


@_jit
def _pass(theta, weights, first_block, size, x, hidden, delta, out, g, zeros, plan, depth, code, back):
    """Run neighbouring rows forward and copy what comes out to `out`, or backward from the gradient that it has."""
    w, place, _, first = weights
    n_rows, at = out.shape[2], plan[depth - 1, 4]
    for c in range(len(theta)):
        for p in range(place.shape[1]):
            w[place[0, p]] = w[place[1, p]] = theta[c, first + p]
        for block in range((n_rows + size - 1) // size):
            m = min(size, n_rows - block * size)
            n = (m + _ROWS_IN_LINE - 1) // _ROWS_IN_LINE * _ROWS_IN_LINE
            xb, hb = x[first_block + block], hidden[c, block]
            if not back:
                _forward(xb, hb, w, plan, depth, code, n)
            for j in range(out.shape[1]):
                row, values = out[c, j, block * size :], (delta if back else hb)[at + j * STRIDE :]
                for r in range(n):
                    if not back and r < m:
                        row[r] = values[r]
                    elif back:
                        values[r] = row[r] if r < m else w.dtype.type(0)
            if back:
                _backward(xb, hb, delta, w, g[c], zeros, plan, depth, code, n)


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
        return _CATEGORICAL, 0.0, 0.0, 0.0, 0.0
    if type(likelihood) is HeteroscedasticGaussian:
        return (
            _HETEROSCEDASTIC,
            likelihood.log_constant,
            likelihood.log_noise_mean,
            likelihood.log_noise_sd,
            0.0,
        )
    if type(likelihood) is Gaussian:
        return _GAUSSIAN, likelihood.log_constant, math.log(likelihood.noise_scale or 1.0), 0.0, 0.0
    if type(likelihood) is StudentT:
        return (
            _STUDENT_T,
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
    depth
        Layers that the passes go through, None for all. With one fewer, `forward` returns what the last hidden layer
        puts out, and `backward` takes the gradient by that.
    """

    def __init__(
        self, sizes: Sequence[int], *, activation: str, x: np.ndarray, part: slice, depth: int | None = None
    ) -> None:
        n_rows, self._dtype = len(x), x.dtype
        self._n_blocks = max(1, -(-n_rows // _ROWS_IN_BLOCK))
        # Blocks of one length, so that the last is no short one.
        size = max(1, -(-n_rows // (_ROWS_IN_LINE * self._n_blocks))) * _ROWS_IN_LINE
        self._depth, self._code, self._shape = (
            depth or len(sizes) - 1,
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
        place = np.hstack(places)
        self._weights = (np.zeros(at, x.dtype), place[:2].copy(), place[2].copy(), part.start)
        self._part, self._zeros = part, np.zeros(_in_fours(max(sizes)), x.dtype)
        self._x, self._delta = self._blocks(x), _zeros((start,), x.dtype)
        self._blocks_in_tile = min(self._n_blocks, max(1, _TILE_BYTES // self._delta.nbytes))
        step = self._blocks_in_tile * size
        self.tiles = tuple(slice(first, min(first + step, n_rows)) for first in range(0, n_rows, step))
        self._hidden = np.zeros((0, 0, 0), x.dtype)

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
        """Return the output of a tile, (chain, output, obs)."""
        rows = self.tiles[tile]
        out = np.empty(
            (len(self._theta), self._plan[self._depth - 1, 1], rows.stop - rows.start), self._dtype
        )
        self._run(tile, out, False)
        return out

    def backward(self, tile: int, output_grad: np.ndarray) -> None:
        """Add up the gradient over the tile that `forward` has seen last."""
        self._run(tile, np.ascontiguousarray(output_grad, dtype=self._dtype), True)

    def _run(self, tile: int, out: np.ndarray, back: bool) -> None:
        where, buffers = (tile * self._blocks_in_tile, self._shape[1]), (self._x, self._hidden, self._delta)
        network = (self._zeros, self._plan, self._depth, self._code)
        _pass(self._theta, self._weights, *where, *buffers, out, self._grad, *network, back)

    def add_gradient(self, grad: np.ndarray) -> None:
        """Add the gradient over all tiles since `load` to grad."""
        grad[:, self._part] += self._grad[:, self._weights[2]]

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
        settings = (own, np.stack([location, inverse]), constants, kind, (n_rows, size, likelihood.n_outputs))
        network = (self._x, buffers, self._weights, self._plan, self._code)

        def cut(target: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            blocks = self._blocks(np.vstack([np.ones(n_rows), target]).T)
            # Rows that fill a block up have no target and no weight.
            blocks.reshape(self._n_blocks, -1, STRIDE)[-1, :, n_rows - (self._n_blocks - 1) * size :] = 0.0
            return target, blocks

        seen = cut(target)

        def evaluate(theta: np.ndarray, target: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            nonlocal seen
            theta = np.ascontiguousarray(theta, dtype=np.float64)
            if theta.shape[1:] != (n_params,) or target.shape[-1] != n_rows:
                raise ValueError(f"theta {theta.shape} or target {target.shape} do not fit network and table")
            if seen[0] is not target:
                seen = cut(target)
            total, grad = np.empty(len(theta)), np.zeros(theta.shape)
            _evaluate(theta, *settings, seen[1], *network, total, grad)
            if len(location):
                return total, grad
            log_prior, prior_grad = prior.log_density_and_grad(theta)
            return total + log_prior, grad + prior_grad

        return evaluate
