"""Rows of the regression of a collapsed posterior, in loops that Numba compiles; see `bnn.model.regression_rows`.

A block of rows goes through hidden layers and sums of products, and later back, while it lies in the inner caches.
"""

import math

import numba
import numpy as np

from bnn.model.compiled_loops import (
    FAST,
    HETEROSCEDASTIC,
    LINEAR,
    ROWS_IN_LINE,
    STRIDE,
    STUDENT_T,
    VARYING_STUDENT_T,
    backward,
    exponential,
    forward,
    sums,
)

LOOPS = "efa9ea8e3aba"
"""Begins the SHA-256 of compiled_loops.py: this file changes with that one, and Numba sees no other when it looks."""
_jit = numba.njit(**FAST)


@_jit
def _weigh(h, target, noise, precision, numbers, kind, rows, k, m, n):
    """Set rows to hidden units, ones and target, times the weight of each row; return sums of its log and square.

    The first row of `target` has one where a row counts and zero where it fills the block up.
    """
    w, y = rows[(k - 1) * STRIDE :], rows[k * STRIDE :]
    number, logs, squares = w.dtype.type, 0.0, 0.0
    for r in range(n):
        w[r] = number(1)
    if kind in (HETEROSCEDASTIC, VARYING_STUDENT_T):
        a, b, bias = number(numbers[0]), number(numbers[1]), number(noise[k - 1])
        for r in range(n):
            y[r] = bias
        for j in range(k - 1):
            hj, weight = h[j * STRIDE :], number(noise[j])
            for r in range(n):
                y[r] += weight * hj[r]
        for r in range(n):
            u = a + b * y[r]
            logs -= np.float64(target[r] * u)
            w[r] = exponential(-u)
    if kind in (STUDENT_T, VARYING_STUDENT_T):
        for r in range(m):
            w[r] *= number(math.sqrt(precision[r]))
    for r in range(n):
        w[r] *= target[r]
        y[r] = w[r] * target[r + STRIDE]
        squares += np.float64(w[r] * w[r])
    for j in range(k - 1):
        hj, row = h[j * STRIDE :], rows[j * STRIDE :]
        for r in range(n):
            row[r] = hj[r] * w[r]
    return logs, squares


@_jit
def _add_products(g, rows, width, zero, n):
    """Add the sums of products of rows with each other, the lower half, to g; the sums are in the type of zero."""
    for j in range(0, width, 2):
        dj = rows[j * STRIDE :]
        for i in range(j // 4 * 4, width, 4):
            hi, gi = rows[i * STRIDE :], g[i * width + j :]
            a0 = a1 = a2 = a3 = b0 = b1 = b2 = b3 = zero
            for r in range(n):
                x, y = zero + dj[r], zero + dj[r + STRIDE]
                p, q, s, t = hi[r], hi[r + STRIDE], hi[r + 2 * STRIDE], hi[r + 3 * STRIDE]
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


@_jit
def add_products(theta, weights, network, shape, table, model, variance, sums_of, most, total, logs):
    """Set every chain's products, (chain, k + 1, k + 1), and add to the sums of the logs of the weights, (chain,).

    Where a mean squared weight by the variance is above `most`, the products are summed in float64.
    """
    w, place, back_place, _, part = weights
    plan, code = network
    n_rows, size, k = shape
    x, target, hidden, rows = table
    kind, numbers, noise, precision = model
    at, width = plan[len(plan) - 1, 4], (k + 4) // 4 * 4
    for c in range(len(theta)):
        for p in range(len(place)):
            w[place[p]] = w[back_place[p]] = theta[c, part + p]
        for block in range(len(x)):
            m = min(size, n_rows - block * size)
            n = (m + ROWS_IN_LINE - 1) // ROWS_IN_LINE * ROWS_IN_LINE
            h = hidden[c, min(block, hidden.shape[1] - 1)]
            forward(x[block], h, w, plan, False, code, n)
            own = precision[min(c, len(precision) - 1), block * size :]
            log, square = _weigh(h[at:], target[block], noise[c], own, numbers, kind, rows, k, m, n)
            logs[c] += log
            # Of the evidence nothing but the residuals is left of sums that are so many times as large.
            if square > most * m * variance[c]:
                _add_products(sums_of, rows, width, 0.0, n)
            else:
                _add_products(sums_of, rows, width, w.dtype.type(0), n)
        for i in range(k + 1):
            for j in range(i + 1):
                total[c, i, j] = total[c, j, i] = sums_of[i * width + j]
        sums_of[:] = 0.0


@_jit
def add_gradient(theta, weights, network, shape, table, model, matrix, places, buffers, by_hidden, by_noise):
    """Add the gradient by the hidden layers, in the order of `weights`, and by the output that makes the noise.

    `matrix` (chain, output, k + 1) times the rows is the gradient by weighted hidden units and, where the noise has an
    output, by the weighted one and target; it is put in `places`, where `sums` looks for it.
    """
    w, place, back_place, _, part = weights
    plan, code = network
    n_rows, size, k = shape
    x, target, hidden, rows = table
    kind, numbers, noise, precision = model
    tiled, products, delta, zeros = buffers
    at, out = plan[len(plan) - 1, 4], products[(k + 1) * STRIDE :]
    number = w.dtype.type
    for c in range(len(theta)):
        for p in range(len(place)):
            w[place[p]] = w[back_place[p]] = theta[c, part + p]
        for j in range(matrix.shape[1]):
            for i in range(k + 1):
                tiled[places[j, i]] = matrix[c, j, i]
        for block in range(len(x)):
            m = min(size, n_rows - block * size)
            n = (m + ROWS_IN_LINE - 1) // ROWS_IN_LINE * ROWS_IN_LINE
            h = hidden[c, min(block, hidden.shape[1] - 1)]
            if hidden.shape[1] < len(x):
                forward(x[block], h, w, plan, False, code, n)
            own = precision[min(c, len(precision) - 1), block * size :]
            _weigh(h[at:], target[block], noise[c], own, numbers, kind, rows, k, m, n)
            sums(products, rows, tiled, zeros, products, LINEAR, k + 1, matrix.shape[1], n)
            scale, ones = rows[(k - 1) * STRIDE :], target[block]
            for j in range(k - 1):
                dj, zj = delta[at + j * STRIDE :], products[j * STRIDE :]
                for r in range(n):
                    dj[r] = zj[r] * scale[r]
            if kind in (HETEROSCEDASTIC, VARYING_STUDENT_T):
                for r in range(n):
                    out[r] = number(1)
                for j in range(k + 1):
                    zj, row = products[j * STRIDE :], rows[j * STRIDE :]
                    for r in range(n):
                        out[r] += zj[r] * row[r]
                total = 0.0
                for r in range(n):
                    out[r] *= -number(numbers[1]) * ones[r]
                    total += np.float64(out[r])
                by_noise[c, k - 1] += total
                for j in range(k - 1):
                    dj, hj = delta[at + j * STRIDE :], h[at + j * STRIDE :]
                    weight, by_weight = number(noise[c, j]), number(0)
                    for r in range(n):
                        dj[r] += weight * out[r]
                        by_weight += hj[r] * out[r]
                    by_noise[c, j] += by_weight
            backward(x[block], h, delta, w, by_hidden[c], zeros, plan, False, code, n)
