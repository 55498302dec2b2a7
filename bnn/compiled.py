"""The passes of a dense network over the rows of a table, compiled by Numba; `bnn.network` loads this when asked for.

It does what `NumpyPasses` in `bnn.network` does, and is checked against it. It is faster because a block of rows stays
in the inner caches while it goes through the whole network; NumPy reads and writes every activation once an operation,
and a small network is bound by that.

- Rows come in blocks, and an array holds (block, unit, row): the inner loops run over neighbouring rows of one unit, so
  that the compiler makes vector instructions of them whatever the widths of the layers are.
- Four units of a layer are made from four of the layer below at a time: each activation that is loaded is used four
  times. In the gradient it is two by four, because there the registers hold eight running sums.
- Chains share nothing: the arithmetic of a chain depends on the network and the rows only, never on its neighbours.
"""

from collections.abc import Sequence

import llvmlite.binding
import numba
import numpy as np

_ROWS_IN_BLOCK = 768
"""At most so many rows go through the network together: their activations stay in the second-level cache, and the loops
are long enough for what starting one costs. Between 450 and 1,300 the time hardly changes."""
_TILE_BYTES = 2**19
"""Activations of one chain that are kept from the forward to the backward pass: they bound the memory."""

# LLVM holds back from vectors of 512 bits where a processor has them, lest it slow its clock for the rest of a program.
# Here there is no rest: on such a processor they make the passes 10 to 20 per cent faster.
_features = llvmlite.binding.get_host_cpu_features()
if _features.get("avx512f", False) and numba.config.CPU_FEATURES is None:
    numba.config.CPU_FEATURES = f"{_features.flatten()},-prefer-256-bit"

# Sums may be reordered and products contracted; "no NaN" and "no infinity" are not promised, because a proposal may
# overflow, and its log density must then show it.
_FASTMATH = {"reassoc", "contract", "arcp", "nsz"}
_jit = numba.njit(cache=True, error_model="numpy", fastmath=_FASTMATH)
# Pasted into their callers before anything is compiled: a third of the compiler's work, for code as fast.
_inline_jit = numba.njit(inline="always", error_model="numpy", fastmath=_FASTMATH)

_RELU, _TANH, _SIGMOID, _LIBRARY_TANH, _LIBRARY_SIGMOID = range(5)
_CODES = {
    "float32": {"relu": _RELU, "tanh": _TANH, "sigmoid": _SIGMOID},
    "float64": {"relu": _RELU, "tanh": _LIBRARY_TANH, "sigmoid": _LIBRARY_SIGMOID},
}

_one, _half, _bound = np.float32(1.0), np.float32(0.5), np.float32(7.9)
_p0, _p1, _p2, _p3, _p4 = (
    np.float32(c) for c in (9.99999994e-01, 1.34506196e-01, 3.57899085e-03, 2.20232253e-05, 1.54279444e-08)
)
_q1, _q2, _q3, _q4 = (np.float32(c) for c in (4.67839476e-01, 2.61922335e-02, 3.42364861e-04, 8.59876870e-07))


@_inline_jit
def _tanh_fraction(x):
    """Return numerator and denominator of tanh x in single precision, x p(x^2) and q(x^2), p and q of degree four.

    The coefficients are a least-squares fit of p - q tanh(x)/x on 6,000 points of (0, 7.9], linear in them once q(0)
    is 1. Each row is weighted by 1/q of the fit before (Sanathanan & Koerner 1963), which makes the error a relative
    one, and by Lawson's (1961) factors, which raise the weight where the error is large and so lead to the smallest
    maximum: 5.7e-9. Beyond 7.9 the value there is kept, 2.7e-7 from one; the rest of the 4e-7 is rounding.
    """
    if x > _bound:
        x = _bound
    elif x < -_bound:
        x = -_bound
    u = x * x
    p = (((_p4 * u + _p3) * u + _p2) * u + _p1) * u + _p0
    q = (((_q4 * u + _q3) * u + _q2) * u + _q1) * u + _one
    return p * x, q


@_inline_jit
def _tanh(x):
    """Return tanh x within 4e-7."""
    p, q = _tanh_fraction(x)
    return p / q


@_inline_jit
def _activate(z, zb, zi, m, code):
    """Replace row zi of block zb, m long, by its activation."""
    if code == _TANH:
        for r in range(m):
            z[zb, zi, r] = _tanh(z[zb, zi, r])
    elif code == _RELU:
        for r in range(m):
            v = z[zb, zi, r]
            z[zb, zi, r] = np.float32(0.0) if v < np.float32(0.0) else v  # NaN stays
    elif code == _SIGMOID:
        for r in range(m):
            z[zb, zi, r] = _half + _half * _tanh(_half * z[zb, zi, r])
    elif code == _LIBRARY_TANH:
        for r in range(m):
            z[zb, zi, r] = np.tanh(z[zb, zi, r])
    else:
        for r in range(m):
            z[zb, zi, r] = _half + _half * np.tanh(_half * z[zb, zi, r])


@_inline_jit
def _activate_two(z, zb, zi, m, code):
    """Do what `_activate` does for rows zi and zi + 1, with one division for two tanh: it takes as long as all else."""
    if code == _TANH:
        for r in range(m):
            p0, q0 = _tanh_fraction(z[zb, zi, r])
            p1, q1 = _tanh_fraction(z[zb, zi + 1, r])
            inverse = _one / (q0 * q1)
            z[zb, zi, r] = p0 * (q1 * inverse)
            z[zb, zi + 1, r] = p1 * (q0 * inverse)
    else:
        _activate(z, zb, zi, m, code)
        _activate(z, zb, zi + 1, m, code)


@_inline_jit
def _times_derivative(d, db, di, h, hb, hi, m, code):
    """Multiply row di of d by the derivative of the activation, which has the output h."""
    if code in (_TANH, _LIBRARY_TANH):
        for r in range(m):
            d[db, di, r] *= _one - h[hb, hi, r] * h[hb, hi, r]
    elif code == _RELU:
        for r in range(m):
            if not h[hb, hi, r] > np.float32(0.0):
                d[db, di, r] = np.float32(0.0)
    else:
        for r in range(m):
            d[db, di, r] *= h[hb, hi, r] * (_one - h[hb, hi, r])


@_inline_jit
def _combine(z, zb, zi, bias, h, hb, k, w, c, at, step, n_in, m):
    """Set row zi of z to bias + sum over i of w[c, at + i step] times row k + i of h."""
    rest = (n_in - 1) % 4 + 1
    w0 = w[c, at]
    if rest == 1:
        for r in range(m):
            z[zb, zi, r] = bias + w0 * h[hb, k, r]
    else:
        w1 = w[c, at + step]
        if rest == 2:
            for r in range(m):
                z[zb, zi, r] = bias + (w0 * h[hb, k, r] + w1 * h[hb, k + 1, r])
        else:
            w2 = w[c, at + 2 * step]
            if rest == 3:
                for r in range(m):
                    z[zb, zi, r] = bias + ((w0 * h[hb, k, r] + w1 * h[hb, k + 1, r]) + w2 * h[hb, k + 2, r])
            else:
                w3 = w[c, at + 3 * step]
                for r in range(m):
                    z[zb, zi, r] = bias + (
                        (w0 * h[hb, k, r] + w1 * h[hb, k + 1, r])
                        + (w2 * h[hb, k + 2, r] + w3 * h[hb, k + 3, r])
                    )
    for i in range(rest, n_in, 4):
        w0, w1 = w[c, at + i * step], w[c, at + (i + 1) * step]
        w2, w3 = w[c, at + (i + 2) * step], w[c, at + (i + 3) * step]
        for r in range(m):
            t = z[zb, zi, r] + w0 * h[hb, k + i, r]
            t += w1 * h[hb, k + i + 1, r]
            t += w2 * h[hb, k + i + 2, r]
            z[zb, zi, r] = t + w3 * h[hb, k + i + 3, r]


@_inline_jit
def _combine_four(z, zb, zi, a, b, e, f, h, hb, k, w, c, at, step, across, n_in, m):
    """Do what `_combine` does for rows zi to zi + 3, with biases a, b, e, f and weights `across` apart."""
    at1, at2, at3 = at + across, at + 2 * across, at + 3 * across
    rest = (n_in - 1) % 4 + 1
    if rest == 1:
        a0, b0, e0, f0 = w[c, at], w[c, at1], w[c, at2], w[c, at3]
        for r in range(m):
            x0 = h[hb, k, r]
            z[zb, zi, r] = a + a0 * x0
            z[zb, zi + 1, r] = b + b0 * x0
            z[zb, zi + 2, r] = e + e0 * x0
            z[zb, zi + 3, r] = f + f0 * x0
        first = 1
    elif rest == 2:
        a0, b0, e0, f0 = w[c, at], w[c, at1], w[c, at2], w[c, at3]
        a1, b1, e1, f1 = w[c, at + step], w[c, at1 + step], w[c, at2 + step], w[c, at3 + step]
        for r in range(m):
            x0, x1 = h[hb, k, r], h[hb, k + 1, r]
            z[zb, zi, r] = (a + a0 * x0) + a1 * x1
            z[zb, zi + 1, r] = (b + b0 * x0) + b1 * x1
            z[zb, zi + 2, r] = (e + e0 * x0) + e1 * x1
            z[zb, zi + 3, r] = (f + f0 * x0) + f1 * x1
        first = 2
    else:
        s2 = 2 * step
        a0, b0, e0, f0 = w[c, at], w[c, at1], w[c, at2], w[c, at3]
        a1, b1, e1, f1 = w[c, at + step], w[c, at1 + step], w[c, at2 + step], w[c, at3 + step]
        a2, b2, e2, f2 = w[c, at + s2], w[c, at1 + s2], w[c, at2 + s2], w[c, at3 + s2]
        if rest == 3:
            for r in range(m):
                x0, x1, x2 = h[hb, k, r], h[hb, k + 1, r], h[hb, k + 2, r]
                z[zb, zi, r] = ((a + a0 * x0) + a1 * x1) + a2 * x2
                z[zb, zi + 1, r] = ((b + b0 * x0) + b1 * x1) + b2 * x2
                z[zb, zi + 2, r] = ((e + e0 * x0) + e1 * x1) + e2 * x2
                z[zb, zi + 3, r] = ((f + f0 * x0) + f1 * x1) + f2 * x2
            first = 3
        else:
            s3 = 3 * step
            a3, b3, e3, f3 = w[c, at + s3], w[c, at1 + s3], w[c, at2 + s3], w[c, at3 + s3]
            for r in range(m):
                x0, x1, x2, x3 = h[hb, k, r], h[hb, k + 1, r], h[hb, k + 2, r], h[hb, k + 3, r]
                z[zb, zi, r] = (((a + a0 * x0) + a1 * x1) + a2 * x2) + a3 * x3
                z[zb, zi + 1, r] = (((b + b0 * x0) + b1 * x1) + b2 * x2) + b3 * x3
                z[zb, zi + 2, r] = (((e + e0 * x0) + e1 * x1) + e2 * x2) + e3 * x3
                z[zb, zi + 3, r] = (((f + f0 * x0) + f1 * x1) + f2 * x2) + f3 * x3
            first = 4
    for i in range(first, n_in, 4):
        o0, o1, o2, o3 = i * step, (i + 1) * step, (i + 2) * step, (i + 3) * step
        a0, a1, a2, a3 = w[c, at + o0], w[c, at + o1], w[c, at + o2], w[c, at + o3]
        b0, b1, b2, b3 = w[c, at1 + o0], w[c, at1 + o1], w[c, at1 + o2], w[c, at1 + o3]
        e0, e1, e2, e3 = w[c, at2 + o0], w[c, at2 + o1], w[c, at2 + o2], w[c, at2 + o3]
        f0, f1, f2, f3 = w[c, at3 + o0], w[c, at3 + o1], w[c, at3 + o2], w[c, at3 + o3]
        n = k + i
        for r in range(m):
            x0, x1, x2, x3 = h[hb, n, r], h[hb, n + 1, r], h[hb, n + 2, r], h[hb, n + 3, r]
            z[zb, zi, r] = (((z[zb, zi, r] + a0 * x0) + a1 * x1) + a2 * x2) + a3 * x3
            z[zb, zi + 1, r] = (((z[zb, zi + 1, r] + b0 * x0) + b1 * x1) + b2 * x2) + b3 * x3
            z[zb, zi + 2, r] = (((z[zb, zi + 2, r] + e0 * x0) + e1 * x1) + e2 * x2) + e3 * x3
            z[zb, zi + 3, r] = (((z[zb, zi + 3, r] + f0 * x0) + f1 * x1) + f2 * x2) + f3 * x3


@_inline_jit
def _dots(g, c, at, step, d, db, di, h, hb, k, n_in, m):
    """Add to g[c, at + i step] the product of row di of d and row k + i of h, and after the last the sum of row di."""
    zero = np.float32(0.0)
    rest = n_in % 4
    for i in range(rest):
        s0 = zero
        for r in range(m):
            s0 += h[hb, k + i, r] * d[db, di, r]
        g[c, at + i * step] += s0
    for i in range(rest, n_in, 4):
        s0, s1, s2, s3 = zero, zero, zero, zero
        n = k + i
        for r in range(m):
            t = d[db, di, r]
            s0 += h[hb, n, r] * t
            s1 += h[hb, n + 1, r] * t
            s2 += h[hb, n + 2, r] * t
            s3 += h[hb, n + 3, r] * t
        g[c, at + i * step] += s0
        g[c, at + (i + 1) * step] += s1
        g[c, at + (i + 2) * step] += s2
        g[c, at + (i + 3) * step] += s3
    s0 = zero
    for r in range(m):
        s0 += d[db, di, r]
    g[c, at + n_in * step] += s0


@_inline_jit
def _dots_two(g, c, at, step, d, db, di, h, hb, k, n_in, m):
    """Do what `_dots` does for rows di and di + 1 of d."""
    zero = np.float32(0.0)
    rest = n_in % 4
    for i in range(rest):
        s0, t0 = zero, zero
        for r in range(m):
            s0 += h[hb, k + i, r] * d[db, di, r]
            t0 += h[hb, k + i, r] * d[db, di + 1, r]
        g[c, at + i * step] += s0
        g[c, at + i * step + 1] += t0
    for i in range(rest, n_in, 4):
        s0, s1, s2, s3, t0, t1, t2, t3 = zero, zero, zero, zero, zero, zero, zero, zero
        n = k + i
        for r in range(m):
            y0, y1 = d[db, di, r], d[db, di + 1, r]
            x0, x1, x2, x3 = h[hb, n, r], h[hb, n + 1, r], h[hb, n + 2, r], h[hb, n + 3, r]
            s0 += x0 * y0
            s1 += x1 * y0
            s2 += x2 * y0
            s3 += x3 * y0
            t0 += x0 * y1
            t1 += x1 * y1
            t2 += x2 * y1
            t3 += x3 * y1
        o0, o1, o2, o3 = at + i * step, at + (i + 1) * step, at + (i + 2) * step, at + (i + 3) * step
        g[c, o0] += s0
        g[c, o1] += s1
        g[c, o2] += s2
        g[c, o3] += s3
        g[c, o0 + 1] += t0
        g[c, o1 + 1] += t1
        g[c, o2 + 1] += t2
        g[c, o3 + 1] += t3
    s0, t0 = zero, zero
    for r in range(m):
        s0 += d[db, di, r]
        t0 += d[db, di + 1, r]
    g[c, at + n_in * step] += s0
    g[c, at + n_in * step + 1] += t0


@_inline_jit
def _layer(z, zb, zi, h, hb, k, w, c, at, n_in, n_out, m):
    """Set rows zi .. of z to the pre-activations of a layer whose weights, then biases, begin at w[c, at]."""
    bias = at + n_in * n_out
    whole = n_out - n_out % 4
    for j in range(0, whole, 4):
        b0, b1, b2, b3 = w[c, bias + j], w[c, bias + j + 1], w[c, bias + j + 2], w[c, bias + j + 3]
        _combine_four(z, zb, zi + j, b0, b1, b2, b3, h, hb, k, w, c, at + j, n_out, 1, n_in, m)
    for j in range(whole, n_out):
        _combine(z, zb, zi + j, w[c, bias + j], h, hb, k, w, c, at + j, n_out, n_in, m)


@_jit
def _forward(w, x, hidden, output, first, n_rows, sizes, code):
    """Run `n_rows` rows, from block `first` of x, through every chain's network.

    Parameters
    ----------
    w
        Weights and biases, (chain, param).
    x
        Inputs, (block, input, row).
    hidden
        Receives what every layer puts out, (block * chain, unit, row).
    output
        Receives the output of the last layer, (chain, output, row of the tile).
    sizes
        Units of each layer.
    code
        Which activation.
    """
    n_chains, size, n_layers = w.shape[0], x.shape[2], len(sizes) - 1
    for block in range((n_rows + size - 1) // size):
        start = block * size
        m = min(size, n_rows - start)
        for c in range(n_chains):
            b = block * n_chains + c
            below, at, k, unit = first + block, 0, 0, 0
            h = x
            for layer in range(n_layers):
                n_in, n_out = sizes[layer], sizes[layer + 1]
                _layer(hidden, b, unit, h, below, k, w, c, at, n_in, n_out, m)
                if layer < n_layers - 1:
                    for j in range(0, n_out - 1, 2):
                        _activate_two(hidden, b, unit + j, m, code)
                    if n_out % 2:
                        _activate(hidden, b, unit + n_out - 1, m, code)
                h = hidden
                at, below, k, unit = at + (n_in + 1) * n_out, b, unit, unit + n_out
            for j in range(sizes[n_layers]):
                for r in range(m):
                    output[c, j, start + r] = hidden[b, k + j, r]


@_inline_jit
def _layer_below(d, now, w, c, at, n_in, n_out, m):
    """Set d[1 - now] to the gradient by what a layer takes in, given d[now], that by what it puts out."""
    zero = np.float32(0.0)
    whole = n_in - n_in % 4
    for i in range(0, whole, 4):
        row = at + i * n_out
        _combine_four(d, 1 - now, i, zero, zero, zero, zero, d, now, 0, w, c, row, 1, n_out, n_out, m)
    for i in range(whole, n_in):
        _combine(d, 1 - now, i, zero, d, now, 0, w, c, at + i * n_out, 1, n_out, m)


@_inline_jit
def _layer_gradient(g, c, at, d, db, h, hb, k, n_in, n_out, m):
    """Add to g from g[c, at] on the gradient by a layer's weights and biases, given d, that by what it puts out."""
    whole = n_out - n_out % 2
    for j in range(0, whole, 2):
        _dots_two(g, c, at + j, n_out, d, db, j, h, hb, k, n_in, m)
    if whole < n_out:
        _dots(g, c, at + whole, n_out, d, db, whole, h, hb, k, n_in, m)


@_jit
def _backward(w, x, hidden, output_grad, g, delta, first, n_rows, sizes, code):
    """Add to g, (chain, param) in float64, the gradient over the rows that `_forward` was given last.

    `delta`, (2, unit, row), is where the gradients by two neighbouring layers are kept.
    """
    n_chains, size, n_layers = w.shape[0], x.shape[2], len(sizes) - 1
    for block in range((n_rows + size - 1) // size):
        start = block * size
        m = min(size, n_rows - start)
        for c in range(n_chains):
            b = block * n_chains + c
            now, at, unit = 0, w.shape[1], hidden.shape[1] - sizes[n_layers]
            for j in range(sizes[n_layers]):
                for r in range(m):
                    delta[0, j, r] = output_grad[c, j, start + r]
            for layer in range(n_layers - 1, -1, -1):
                n_in, n_out = sizes[layer], sizes[layer + 1]
                at -= (n_in + 1) * n_out
                unit -= n_in
                if layer > 0:
                    h, below, k = hidden, b, unit
                else:
                    h, below, k = x, first + block, 0
                _layer_gradient(g, c, at, delta, now, h, below, k, n_in, n_out, m)
                if layer > 0:
                    _layer_below(delta, now, w, c, at, n_in, n_out, m)
                    now = 1 - now
                    for i in range(n_in):
                        _times_derivative(delta, now, i, hidden, b, unit + i, m, code)


def _aligned(shape: Sequence[int], dtype: np.dtype) -> np.ndarray:
    """Return an array that begins at a cache line: vector loads across two lines take twice as long."""
    n_bytes = int(np.prod(shape)) * dtype.itemsize
    raw = np.empty(n_bytes + 64, dtype=np.uint8)
    skip = -raw.ctypes.data % 64
    return raw[skip : skip + n_bytes].view(dtype).reshape(shape)


class CompiledPasses:
    """Compiled forward and backward passes of one network over one table; see `bnn.network.Passes`.

    The compiler runs at the first pass, some fifteen seconds, once for each type of number on a machine; what it makes
    is kept in `__pycache__` beside this file, or where the environment variable NUMBA_CACHE_DIR says.

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
        self._code = _CODES[x.dtype.name][activation]
        self._part = part
        n_rows, n_inputs = x.shape
        # Blocks of one length, so that the last is no short one, and of whole cache lines.
        n_blocks = max(1, -(-n_rows // _ROWS_IN_BLOCK))
        size = max(16, -(-n_rows // (16 * n_blocks)) * 16)
        n_blocks = max(1, -(-n_rows // size))
        self._x = _aligned((n_blocks, n_inputs, size), x.dtype)
        self._x[...] = 0.0
        for block in range(n_blocks):
            rows = x[block * size : (block + 1) * size]
            self._x[block, :, : len(rows)] = rows.T
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
        self._hidden = _aligned((self._blocks_in_tile * n_chains, units, size), dtype)
        self._delta = _aligned((2, int(self._sizes[1:].max()), size), dtype)
        lengths = {rows.stop - rows.start for rows in self.tiles}
        self._outputs = {length: _aligned((n_chains, outputs, length), dtype) for length in lengths}

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
        _forward(self._weights, self._x, self._hidden, output, first, n_rows, self._sizes, self._code)
        return output

    def backward(self, tile: int, output_grad: np.ndarray) -> None:
        """Add up the gradient over the tile that `forward` has seen last."""
        rows = self.tiles[tile]
        n_rows, first = rows.stop - rows.start, tile * self._blocks_in_tile
        output_grad = np.ascontiguousarray(output_grad, dtype=self._x.dtype)
        arrays = (self._weights, self._x, self._hidden, output_grad, self._grad, self._delta)
        _backward(*arrays, first, n_rows, self._sizes, self._code)

    def add_gradient(self, grad: np.ndarray) -> None:
        """Add the gradient over all tiles since `load` to grad."""
        grad[:, self._part] += self._grad
