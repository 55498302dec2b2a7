"""Loops, compiled by Numba, that solve the linear regression on features of each chain of a collapsed posterior."""

import math

import numba
import numpy as np

_FAST = {"contract", "reassoc", "nsz"}
"""Sums in any order and multiply-adds, but infinities and what is not a number stay what they are."""


@numba.njit(cache=True, error_model="numpy", fastmath=_FAST)
def _root_of_inverse(a: np.ndarray, root: np.ndarray) -> float:
    """Turn the upper half of A, (k, k), into U with U'U = A, set R = U'^-1, and return log|A|/2; NaN if not positive.

    By rows, four of the rows before at a time: one load and store of a row for four multiply-adds.
    """
    k, half_log = a.shape[0], 0.0
    for i in range(k):
        whole = i // 4 * 4
        for p in range(0, whole, 4):
            f0, f1, f2, f3 = a[p, i], a[p + 1, i], a[p + 2, i], a[p + 3, i]
            for j in range(i, k):
                a[i, j] -= f0 * a[p, j] + f1 * a[p + 1, j] + f2 * a[p + 2, j] + f3 * a[p + 3, j]
        for p in range(whole, i):
            f0 = a[p, i]
            for j in range(i, k):
                a[i, j] -= f0 * a[p, j]
        pivot = a[i, i]
        if not (pivot > 0.0 and pivot < math.inf):
            return math.nan
        half_log += 0.5 * math.log(pivot)
        scale = 1.0 / math.sqrt(pivot)
        for j in range(i, k):
            a[i, j] *= scale
    for i in range(k):
        root[i, :] = 0.0
        whole = i // 4 * 4
        for p in range(0, whole, 4):
            f0, f1, f2, f3 = a[p, i], a[p + 1, i], a[p + 2, i], a[p + 3, i]
            for j in range(p + 4):
                root[i, j] -= (
                    f0 * root[p, j] + f1 * root[p + 1, j] + f2 * root[p + 2, j] + f3 * root[p + 3, j]
                )
        for p in range(whole, i):
            f0 = a[p, i]
            for j in range(p + 1):
                root[i, j] -= f0 * root[p, j]
        root[i, i] = 1.0
        scale = 1.0 / a[i, i]
        for j in range(i + 1):
            root[i, j] *= scale
    return half_log


@numba.njit(cache=True, error_model="numpy", fastmath=_FAST)
def _inverse_of_root(root: np.ndarray, inverse: np.ndarray) -> None:
    """Set A^-1 = R'R, (k, k), of a lower triangular R."""
    k = root.shape[0]
    for i in range(k):
        inverse[i, : i + 1] = 0.0
        whole = i + (k - i) // 4 * 4
        for p in range(i, whole, 4):
            f0, f1, f2, f3 = root[p, i], root[p + 1, i], root[p + 2, i], root[p + 3, i]
            for j in range(i + 1):
                inverse[i, j] += (
                    f0 * root[p, j] + f1 * root[p + 1, j] + f2 * root[p + 2, j] + f3 * root[p + 3, j]
                )
        for p in range(whole, k):
            f0 = root[p, i]
            for j in range(i + 1):
                inverse[i, j] += f0 * root[p, j]
        for j in range(i):
            inverse[j, i] = inverse[i, j]


@numba.njit(cache=True, error_model="numpy", fastmath=_FAST)
def regressions(
    products: np.ndarray, variance: np.ndarray, precision: np.ndarray, inverse_too: bool
) -> tuple[np.ndarray, ...]:
    """Solve every chain's regression.

    Parameters
    ----------
    products
        Sums over rows of products of [Phi, y] with themselves, (chain, k + 1, k + 1).
    variance, precision
        Of the noise, (chain,), and diagonal of the prior's, (chain, k).
    inverse_too
        Whether A^-1 and what the gradient needs are wanted.

    Returns
    -------
    tuple of ndarray
        m (chain, k), R (chain, k, k), A^-1 (chain, k, k), log|A|/2 (chain,), NaN where A is not positive definite, and
        by which matrix of [h, 1, y] the gradient by the hidden units is made, (chain, k - 1, k + 1).
    """
    n_chains, k = precision.shape
    mean, half_log = np.zeros((n_chains, k)), np.empty(n_chains)
    root = np.zeros((n_chains, k, k))
    inverse = np.empty((n_chains, k, k))
    by_rows = np.empty((n_chains, k - 1, k + 1), dtype=np.float32)
    a, solved = np.empty((k, k)), np.empty(k)
    for c in range(n_chains):
        scale = 1.0 / variance[c]
        for i in range(k):
            for j in range(i, k):
                a[i, j] = products[c, i, j] * scale
            a[i, i] += precision[c, i]
        half_log[c] = _root_of_inverse(a, root[c])
        if math.isnan(half_log[c]):
            root[c] = np.eye(k)
        for i in range(k):
            total = 0.0
            for j in range(i + 1):
                total += root[c, i, j] * products[c, j, k]
            solved[i] = total * scale
        for i in range(k):
            for j in range(i + 1):
                mean[c, j] += root[c, i, j] * solved[i]
        if inverse_too:
            _inverse_of_root(root[c], inverse[c])
            for i in range(k - 1):
                hidden = mean[c, i] * scale
                for j in range(k):
                    by_rows[c, i, j] = -(inverse[c, i, j] * scale + hidden * mean[c, j])
                by_rows[c, i, k] = hidden
    return mean, root, inverse, half_log, by_rows
