"""The posterior with the output layer integrated out, exactly: linear regression on features of the last hidden layer.

With normal noise and a normal prior of the output weights, their posterior given everything else is normal, and the
rest has a density in closed form. With Phi = [h, 1] (obs, k) the features, L the prior precisions of the k output
weights and s the noise scale (Bishop 2006, sections 3.3 and 3.5; O'Hagan 1978):

    A = L + Phi'Phi / s^2,   m = A^-1 Phi'y / s^2,
    log p(y | rest) = -n/2 log(2 pi s^2) - y'y / (2 s^2) + m'A m / 2 - log|A| / 2 + log|L| / 2.

Kernels move the rest, in which no output weight is left to follow hidden units about; the weights of a kept draw come
from N(m, A^-1). The gradient by the features is (y - Phi m) m'/s^2 - Phi A^-1/s^2, which backpropagation takes on.

Where the noise differs from row to row, rows of Phi and y times a weight each are such a regression:

- Noise that depends on the inputs, scale s_i of row i: the weight is 1/s_i, and s is 1. The weights of the output that
  makes the noise are not integrated out; the gradient by log s_i is ((y_i - Phi_i m)^2 + Phi_i A^-1 Phi_i')/s_i^2 - 1.
- Student-t noise is normal with the precision l_i/s^2, l_i from a gamma distribution (Andrews & Mallows 1974; Geweke
  1993): the weight is sqrt(l_i). Between iterations all l_i are drawn anew given the rest, a Gibbs step.
- Student-t noise that depends on the inputs: the weight is sqrt(l_i)/s_i.
"""

import math
from collections.abc import Iterator
from typing import NamedTuple, Self

import numpy as np

from bnn.core.seeding import ChainRandom
from bnn.model.layout import ParameterLayout
from bnn.model.likelihoods import (
    LOG_NOISE_SCALE,
    Gaussian,
    HeteroscedasticGaussian,
    HeteroscedasticStudentT,
    StudentT,
)
from bnn.model.network import Network
from bnn.model.passes import NoiseOutput
from bnn.model.posterior import Posterior
from bnn.model.priors import Normal, Prior
from bnn.model.regression_rows import make_rows

_OF_NOISE = ".noise"
"""Ends the names of the blocks that make the noise, of an output layer that makes mean and noise."""
_VARYING = HeteroscedasticGaussian | HeteroscedasticStudentT
_LOG_2PI = math.log(2 * math.pi)


class _Conditional(NamedTuple):
    """The output layer's posterior given the rest, and what the gradient needs of it."""

    mean: np.ndarray
    """m, (chain, k)"""
    root: np.ndarray
    """R with R'R = A^-1, (chain, k, k)"""
    inverse: np.ndarray
    """A^-1, (chain, k, k)"""
    by_rows: np.ndarray
    """Matrix of [h, 1, y] that gives the gradient by the hidden units, (chain, k - 1, k + 1): by h_i it is the sum
    over j of -(A^-1 + m m')_ij Phi_j / s^2, plus m_i y / s^2"""
    evidence: np.ndarray
    """log p(y | rest), nats, (chain,); minus infinity where a number overflowed"""
    precision: np.ndarray
    """Diagonal of L, (chain, k)"""
    residual: np.ndarray
    """|y - Phi m|^2 / s^2, (chain,)"""


class CollapsedPosterior:
    """Posterior of all parameters but the output layer, which is integrated out.

    Parameters
    ----------
    whole
        The posterior of all parameters.

    Raises
    ------
    ValueError
        If the output layer cannot be integrated out; see `of`.
    """

    def __init__(self, whole: Posterior) -> None:
        if not _can_collapse(whole):
            raise ValueError(
                "the output layer needs normal or Student-t noise and a normal prior centred on zero"
            )
        self.whole = whole
        self.network: Network = whole.network
        self._output = whole.network.layers[-1]
        self._size = whole.network.sizes[-2] + 1
        names = [name for name in whole.layout.names if name not in self._output]
        places = {
            name: np.arange(whole.layout.n_params)[whole.layout.slices[name]] for name in whole.layout.names
        }
        kept = {name: places[name] for name in names}
        shapes = {name: whole.layout.shapes[name] for name in names}
        blocks = {name: whole.prior.blocks[name] for name in names}
        self._varying = whole.likelihood if isinstance(whole.likelihood, _VARYING) else None
        self._of_noise = tuple(name + _OF_NOISE for name in self._output)
        if self._varying is not None:
            for name, own, shape in zip(self._output, self._of_noise, ((self._size - 1,), ()), strict=True):
                # Of two outputs, the second one.
                kept[own], shapes[own], blocks[own] = places[name][1::2], shape, whole.prior.blocks[name]
        self.layout = ParameterLayout(shapes)
        self.prior = Prior(self.layout, blocks)
        self._kept = np.concatenate([*kept.values(), np.arange(0)])
        self._drawn = np.concatenate([places[name][:: whole.network.sizes[-1]] for name in self._output])
        """(k,): where the output weights and the bias of the mean are in theta"""
        self.x = whole.x
        inputs = np.asarray(whole.network.taken(whole.x), dtype=whole.network.dtype)
        self._y = np.asarray(whole.target, dtype=np.float64)
        self._n_rows = self._y.shape[-1]
        self._squares = np.vecdot(self._y, self._y)
        likelihood = whole.likelihood
        self._df = likelihood.df if isinstance(likelihood, StudentT | HeteroscedasticStudentT) else None
        self._is_weighted = self._df is not None or self._varying is not None
        self.row_precision = np.ones((1, self.n_mixing))
        """(chain, n_mixing): l of each row, on which densities of the next calls are conditional; at first as normal"""
        trunk = whole.network.trunk
        self._passes = None if trunk is None else trunk.passes(self.x, self.layout)
        self._noise = None
        if self._varying is not None:
            own_weight, own_bias = (self.layout.slices[name] for name in self._of_noise)
            self._noise = NoiseOutput(
                own_weight, own_bias, self._varying.log_noise_mean, self._varying.log_noise_sd
            )
        self._rows = make_rows(
            self._passes, self.layout, inputs, self._y, self._noise, is_mixed=self._df is not None
        )
        weight, bias = (whole.prior.blocks[name] for name in self._output)
        self._scales = np.append(np.full(self._size - 1, weight.scale), bias.scale)
        self._factors = tuple(block.log_factor for block in (weight, bias))
        self._regressions = _regressions
        # Its loops make single-precision matrices.
        if self.network.engine == "numba" and self.network.dtype == np.float32:
            from bnn.model.compiled_linear import regressions

            self._regressions = regressions

    @classmethod
    def of(cls, whole: Posterior) -> Self | None:
        """Return the collapsed posterior, or None where the output layer cannot be integrated out.

        It can where the noise is normal or Student-t, and the prior of the output weights and of the bias is normal and
        centred on zero, its scales known or learned.
        """
        return cls(whole) if _can_collapse(whole) else None

    @property
    def n_mixing(self) -> int:
        """Rows whose noise precision is sampled beside the rest: all with Student-t noise, else none."""
        return 0 if self._df is None else self._n_rows

    def reduce(self, theta: np.ndarray) -> np.ndarray:
        """Return the parameters that are sampled, (chain, rest), of all of theta, (chain, param)."""
        return theta[:, self._kept]

    def complete(self, rest: np.ndarray, random: ChainRandom) -> np.ndarray:
        """Return theta, (chain, param), its output weights drawn from their posterior given the rest, (chain, rest)."""
        theta = np.empty((len(rest), self.whole.layout.n_params))
        theta[:, self._kept] = rest
        theta[:, self._drawn] = self._sample_weights(rest, random)
        return theta

    def sample_row_precision(self, rest: np.ndarray, random: ChainRandom) -> np.ndarray:
        """Return l of each row, (chain, n_mixing), from its distribution given the rest.

        Given also output weights that are drawn before: a gamma distribution of shape (df + 1)/2 and rate
        (df + (y_i - Phi_i w)^2/s^2)/2, s that of the row where it varies.
        """
        if self._df is None:
            return np.empty((len(rest), 0))
        weights = self._sample_weights(rest, random)
        squares = np.empty((len(rest), self._n_rows))
        for part, features in self._features(rest):
            mean = np.matmul(weights[:, None, :-1], features)[:, 0] + weights[:, -1:]
            squares[:, part] = (self._y[..., part] - mean) ** 2
            if self._noise is not None:
                squares[:, part] *= np.exp(-2.0 * self._noise.log_scales(rest, features))
        rate = 0.5 * (self._df + squares / self._noise_variance(rest)[:, None])
        return random.standard_gamma(0.5 * (self._df + 1), self._n_rows) / rate

    def _features(self, rest: np.ndarray) -> Iterator[tuple[slice, np.ndarray]]:
        """Yield rows, and their features of the last hidden layer, (chain, k - 1, obs)."""
        if self._passes is None:
            inputs = self.network.columns(self.x)
            yield slice(0, len(self.x)), np.broadcast_to(inputs, (len(rest), *inputs.shape))
            return
        self._passes.load(rest)
        for index, part in enumerate(self._passes.tiles):
            yield part, self._passes.forward(index)

    def _sample_weights(self, rest: np.ndarray, random: ChainRandom) -> np.ndarray:
        """Return weights of the mean's output, its bias last, from N(m, A^-1), (chain, k)."""
        found = self._conditional(rest, *self._products(rest), inverse_too=False)
        noise = random.standard_normal(self._size)
        return np.asarray(found.mean + np.einsum("cij,ci->cj", found.root, noise))

    def log_density(self, rest: np.ndarray) -> np.ndarray:
        """Return the log density of the rest with the output layer integrated out, nats, (chain,)."""
        total = self.prior.log_density_and_grad(rest)[0]
        return total + self._conditional(rest, *self._products(rest), inverse_too=False).evidence

    def log_density_and_grad(self, rest: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return that log density (chain,) and its gradient (chain, rest), both float64."""
        total, grad = self.prior.log_density_and_grad(rest)
        found = self._conditional(rest, *self._products(rest), inverse_too=True)
        total = total + found.evidence
        spread = found.precision * np.diagonal(found.inverse, axis1=-2, axis2=-1)
        if LOG_NOISE_SCALE in self.layout.names:
            part = self.layout.slices[LOG_NOISE_SCALE].start
            grad[:, part] += found.residual - self._n_rows + self._size - spread.sum(axis=-1)
        change = spread + found.precision * found.mean * found.mean - 1.0
        for factor, of_factor in zip(self._factors, (slice(0, -1), slice(-1, None)), strict=True):
            if factor is not None:
                grad[:, self.layout.slices[factor].start] += change[:, of_factor].sum(axis=-1)
        self._rows.add_gradient(rest, self.row_precision, self._by_rows(found), grad)
        return total, grad

    def _by_rows(self, found: _Conditional) -> np.ndarray:
        """Return the matrix of [h, 1, y] that gives the gradient by h, and by one and y too where the noise varies."""
        if self._varying is None:
            return found.by_rows
        last = np.empty((len(found.mean), 2, self._size + 1))
        last[:, 0, :-1] = -(found.inverse[:, -1] + found.mean[:, -1:] * found.mean)
        last[:, 0, -1], last[:, 1, :-1], last[:, 1, -1] = found.mean[:, -1], found.mean, -1.0
        return np.concatenate([found.by_rows, last], axis=1)

    def _products(self, rest: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return self._rows.products(rest, self.row_precision, self._noise_variance(rest))

    def _conditional(
        self, rest: np.ndarray, products: np.ndarray, log_weights: np.ndarray, *, inverse_too: bool
    ) -> "_Conditional":
        """Return what follows from the products, each chain by itself; the inverse only where it is asked for."""
        variance = self._noise_variance(rest)
        scale = self._output_scales(rest)
        precision = 1.0 / (scale * scale)
        mean, root, inverse, half_log, by_rows = self._regressions(products, variance, precision, inverse_too)
        explained = np.einsum("ck,ck->c", mean, products[:, :-1, -1] / variance[:, None])
        squares = (products[:, -1, -1] if self._is_weighted else self._squares) / variance
        evidence = -0.5 * (self._n_rows * (_LOG_2PI + np.log(variance)) + squares - explained)
        evidence = evidence + log_weights - half_log - np.log(scale).sum(axis=-1)
        residual = squares - explained - (precision * mean * mean).sum(axis=-1)
        evidence = np.where(np.isfinite(evidence), evidence, -np.inf)
        return _Conditional(mean, root, inverse, by_rows, evidence, precision, residual)

    def _noise_variance(self, rest: np.ndarray) -> np.ndarray:
        """Return s^2, (chain,)."""
        likelihood = self.whole.likelihood
        if isinstance(likelihood, _VARYING):
            return np.ones(len(rest))
        assert isinstance(likelihood, Gaussian | StudentT)
        if likelihood.noise_scale is not None:
            return np.full(len(rest), likelihood.noise_scale**2)
        return np.exp(2.0 * rest[:, self.layout.slices[LOG_NOISE_SCALE].start])

    def _output_scales(self, rest: np.ndarray) -> np.ndarray:
        """Return the prior standard deviation of each output weight and of the bias, (chain, k)."""
        scales = np.broadcast_to(self._scales, (len(rest), self._size)).copy()
        for factor, part in zip(self._factors, (slice(0, -1), slice(-1, None)), strict=True):
            if factor is not None:
                scales[:, part] *= np.exp(rest[:, self.layout.slices[factor]])
        return scales


def _can_collapse(whole: Posterior) -> bool:
    blocks = [whole.prior.blocks[name] for name in whole.network.layers[-1]]
    return (
        isinstance(whole.likelihood, Gaussian | StudentT | _VARYING)
        and all(isinstance(block.family, Normal) and block.location == 0.0 for block in blocks)
        # One learned scale for a block; of a network without hidden layers it may be one for each input.
        and all(block.log_factor is None or whole.layout.shapes[block.log_factor] == () for block in blocks)
    )


def _regressions(
    products: np.ndarray, variance: np.ndarray, precision: np.ndarray, inverse_too: bool
) -> tuple[np.ndarray, ...]:
    """Solve every chain's regression; as `bnn.model.compiled_linear.regressions`, by NumPy."""
    size = precision.shape[-1]
    matrix = products[:, :-1, :-1] / variance[:, None, None]
    diagonal = np.arange(size)
    matrix[:, diagonal, diagonal] += precision
    right = products[:, :-1, -1] / variance[:, None]
    fine = np.isfinite(matrix).all(axis=(1, 2)) & np.isfinite(right).all(axis=1) & (variance > 0)
    matrix[~fine] = np.eye(size)
    lower, positive = _cholesky(matrix)
    root = np.linalg.inv(lower)
    mean = np.einsum("cij,ci->cj", root, np.einsum("cij,cj->ci", root, right))
    half_log = np.log(np.diagonal(lower, axis1=-2, axis2=-1)).sum(axis=-1)
    half_log = np.where(fine & positive, half_log, np.nan)
    if not inverse_too:
        return mean, root, root, half_log, root
    inverse = np.matmul(root.swapaxes(-1, -2), root)
    hidden = mean[:, :-1] / variance[:, None]
    by_rows = np.empty((len(mean), size - 1, size + 1))
    by_rows[..., :-1] = -(inverse[:, :-1] / variance[:, None, None] + hidden[..., None] * mean[:, None])
    by_rows[..., -1] = hidden
    return mean, root, inverse, half_log, by_rows


def _cholesky(matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return lower factors, (chain, k, k), and which matrices are positive definite; others have the identity."""
    try:
        return np.linalg.cholesky(matrix), np.ones(len(matrix), dtype=bool)
    except np.linalg.LinAlgError:
        factors, positive = [], []
        for own in matrix:
            try:
                factors.append(np.linalg.cholesky(own))
                positive.append(True)
            except np.linalg.LinAlgError:
                factors.append(np.eye(len(own)))
                positive.append(False)
        return np.array(factors), np.array(positive)
