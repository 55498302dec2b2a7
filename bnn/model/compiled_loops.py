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
may overflow, and its log density must then show it. Loops that call each other are in one file, because Numba looks at
a function's file to see whether what it keeps compiled still holds; compiled_rows.py says how it does without.
"""

import math
from collections.abc import Callable
from typing import Any

import numba
import numpy as np
from numba.core.codegen import get_host_cpu_features
from numba.extending import overload

if numba.config.CPU_FEATURES is None and "+avx512f" in (_features := get_host_cpu_features()).split(","):
    # LLVM holds back from the longest vectors, lest they slow the clock for the rest of a program.
    numba.config.CPU_FEATURES = f"{_features},-prefer-256-bit"

STRIDE = 624
"""Numbers from a unit's values to the next one's: no power of two, which would map all units to the same cache lines"""
ROWS_IN_LINE = 32
"""A block is filled up to a multiple of this, to whole vectors, with copies of its last row that do not count."""
ACTIVATION_CODES = {"relu": 0, "tanh": 1, "sigmoid": 2}
_RELU, _TANH, _SIGMOID = range(3)
_BACK, LINEAR = 3, 6
"""What is added to an activation's code for its derivative, and the code of none"""
CATEGORICAL, GAUSSIAN, STUDENT_T, HETEROSCEDASTIC, VARYING_STUDENT_T = range(5)
_EXACT: Any = {"error_model": "numpy", "cache": True, "fastmath": {"contract"}}
# No array is made in the loops, and to count references to parts of arrays would take longer than what is done to them.
FAST: Any = _EXACT | {"fastmath": {"contract", "reassoc", "nsz"}, "_nrt": False}
_jit = numba.njit(**FAST)

_single = np.float32
_BOUND = _single(7.9)
_P = tuple(map(_single, (9.99999994e-01, 1.34506196e-01, 3.57899085e-03, 2.20232253e-05, 1.54279444e-08)))
_Q = tuple(map(_single, (1.0, 4.67839476e-01, 2.61922335e-02, 3.42364861e-04, 8.59876870e-07)))
"""tanh x = x p(x^2) / q(x^2) in single precision: a least-squares fit of p - q tanh(x)/x on (0, 7.9].

Its weights are 1/q of the fit before (Sanathanan & Koerner 1963), which makes the error a relative one, and those of
Lawson (1961) for the smallest maximum: 5.7e-9. Beyond 7.9 the value there is kept, 2.7e-7 from one; the rest of the
4e-7 is rounding.
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
    """Return tanh x within 4e-7."""
    x = min(max(x, -_BOUND), _BOUND)
    u = x * x
    p = (((_P[4] * u + _P[3]) * u + _P[2]) * u + _P[1]) * u + _P[0]
    q = (((_Q[4] * u + _Q[3]) * u + _Q[2]) * u + _Q[1]) * u + _Q[0]
    return x * p / q


@_of_type(math.exp)
def exponential(x):
    """Return e^x as 2^n e^r, r at most log(2)/2 from zero, for x from -87 to 88, within 2e-7 of it."""
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
def sums(z, h, w, bias, out, way, n_in, n_out, n):
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
def forward(x, hidden, w, plan, linear, code, n):
    """Run a block of rows through all layers, the last of which may be linear."""
    for layer in range(len(plan)):
        n_in, n_out, _, above, start, weights, _, _, bias = plan[layer]
        h, z = x if layer == 0 else hidden[above:], hidden[start:]
        sums(
            z,
            h,
            w[weights:],
            w[bias:],
            z,
            LINEAR if linear and layer == len(plan) - 1 else code,
            n_in,
            n_out,
            n,
        )


@_jit
def backward(x, hidden, delta, w, g, zeros, plan, linear, code, n):
    """Add to g the gradient by the weights of all layers; delta has that by what the last of them puts out."""
    for layer in range(len(plan) - 1, -1, -1):
        n_in, n_out, width, above, start, _, weights, gradient, bias = plan[layer]
        d, h = delta[start:], x if layer == 0 else hidden[above:]
        if layer == len(plan) - 1 and not linear:
            for j in range(0, n_out * STRIDE, STRIDE):
                _finish(d[j:], hidden[start + j :], _BACK + code, n)
        _products(g[gradient:], g[bias:], h, d, width, n_in, n_out, n)
        if layer > 0:
            sums(delta[above:], d, w[weights:], zeros, h, _BACK + code, n_out, n_in, n)


@_jit
def _categorical(o, d, target, rows, n_classes, n):
    """Set rows to the log likelihood of each, and d to its gradient by the logits o.

    Behind those of the log likelihood, rows have the largest logit, then the inverse sum of exponentials.
    """
    for r in range(n):
        rows[r], rows[r + STRIDE], rows[r + 2 * STRIDE] = 0, o[r], 0
    for k in range(1, n_classes):
        ok = o[k * STRIDE :]
        for r in range(n):
            rows[r + STRIDE] = max(rows[r + STRIDE], ok[r])
    for k in range(n_classes):
        ok, dk, tk = o[k * STRIDE :], d[k * STRIDE :], target[(k + 1) * STRIDE :]
        for r in range(n):
            z = ok[r] - rows[r + STRIDE]
            weight = exponential(z)
            dk[r] = weight
            rows[r + 2 * STRIDE] += weight
            rows[r] += tk[r] * z
    for r in range(n):
        rows[r] -= target[r] * _log(rows[r + 2 * STRIDE])
        rows[r + 2 * STRIDE] = target[r] / rows[r + 2 * STRIDE]
    for k in range(n_classes):
        dk, tk = d[k * STRIDE :], target[(k + 1) * STRIDE :]
        for r in range(n):
            dk[r] = tk[r] - dk[r] * rows[r + 2 * STRIDE]


@_jit
def _real(o, d, target, rows, kind, log_scale, slope, df, n):
    """Set rows to each one's log likelihood less its constant, then to that's derivative by the log scale; set d."""
    number = o.dtype.type
    one, half, a, b, f = number(1), number(0.5), number(log_scale), number(slope), number(df)
    fixed, varies = number(math.exp(-log_scale)), kind in (HETEROSCEDASTIC, VARYING_STUDENT_T)
    is_heavy = kind in (STUDENT_T, VARYING_STUDENT_T)
    for r in range(n):
        u, precision, mask = a, fixed, target[r]
        if varies:
            u = a + b * o[r + STRIDE]
            precision = exponential(-u)
        z = (target[r + STRIDE] - o[r]) * precision
        weight, loss = one, half * z * z
        if is_heavy:
            weight = (f + one) / (f + z * z)
            loss = half * (f + one) * _log(one + z * z / f)
        score = mask * (weight * z * z - one)
        rows[r] = -mask * (loss + u)
        rows[r + STRIDE] = score
        d[r] = mask * weight * z * precision
        if varies:
            d[r + STRIDE] = score * b


@_jit
def evaluate(theta, own, prior, constants, kind, shape, target, x, arrays, weights, plan, code, total, grad):
    """Set the log density, (chain,), and its gradient, (chain, param), of every chain."""
    w, place, back_place, g_place, part = weights
    g, hidden, delta, rows, zeros = arrays
    n_rows, size, n_outputs = shape
    location, inverse = prior
    o, d = hidden[plan[len(plan) - 1, 4] :], delta[plan[len(plan) - 1, 4] :]
    for c in range(len(theta)):
        t, gradient, density, scale_grad = theta[c], grad[c], constants[0], 0.0
        log_scale = t[own] if own >= 0 else constants[1]
        for p in range(len(location)):
            z = (t[p] - location[p]) * inverse[p]
            density -= 0.5 * z * z
            gradient[p] = -z * inverse[p]
        t, network_gradient = t[part:], gradient[part:]
        for p in range(len(place)):
            w[place[p]] = w[back_place[p]] = t[p]
        for block in range(len(x)):
            n = (min(size, n_rows - block * size) + ROWS_IN_LINE - 1) // ROWS_IN_LINE * ROWS_IN_LINE
            forward(x[block], hidden, w, plan, True, code, n)
            if kind == CATEGORICAL:
                _categorical(o, d, target[block], rows, n_outputs, n)
            else:
                _real(o, d, target[block], rows, kind, log_scale, constants[2], constants[3], n)
            for r in range(n):
                density += np.float64(rows[r])
            if own >= 0:
                for r in range(n):
                    scale_grad += np.float64(rows[r + STRIDE])
            backward(x[block], hidden, delta, w, g, zeros, plan, True, code, n)
        for p in range(len(g_place)):
            network_gradient[p] += g[g_place[p]]
            g[g_place[p]] = 0.0
        if own >= 0:
            gradient[own] += scale_grad
        total[c] = density


@_jit
def run_tile(theta, weights, first_block, size, x, hidden, delta, out, g, zeros, plan, linear, code, back):
    """Run neighbouring rows forward and copy what comes out to `out`, or backward from the gradient that it has."""
    w, place, back_place, _, part = weights
    n_rows, at = out.shape[2], plan[len(plan) - 1, 4]
    for c in range(len(theta)):
        for p in range(len(place)):
            w[place[p]] = w[back_place[p]] = theta[c, part + p]
        for block in range((n_rows + size - 1) // size):
            m = min(size, n_rows - block * size)
            n = (m + ROWS_IN_LINE - 1) // ROWS_IN_LINE * ROWS_IN_LINE
            xb, hb = x[first_block + block], hidden[c, block]
            if not back:
                forward(xb, hb, w, plan, linear, code, n)
            for j in range(out.shape[1]):
                row, values = out[c, j, block * size :], (delta if back else hb)[at + j * STRIDE :]
                for r in range(n):
                    if not back and r < m:
                        row[r] = values[r]
                    elif back:
                        values[r] = row[r] if r < m else w.dtype.type(0)
            if back:
                backward(xb, hb, delta, w, g[c], zeros, plan, linear, code, n)
