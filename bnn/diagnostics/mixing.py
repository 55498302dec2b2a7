"""R-hat and effective sample sizes of many quantities at once, after Vehtari et al. (2021), on NumPy alone.

For what runs while chains do, within importance sampling, and for most of many quantities. The figures that decide a
verdict are those of ArviZ, which tests compare with these: its import takes longer than all the work of a job on a
small table, and it goes through the quantities one by one.

All functions take draws of shape (chain, draw, quantity), finite, and return one number a quantity.
"""

from functools import lru_cache
from statistics import NormalDist

import numpy as np

MIN_DRAWS = 4
"""Draws per chain that R-hat and ESS need at least; twice that for a single chain, whose halves are compared."""
TAILS = (0.05, 0.95)
"""The quantiles of tail ESS, those of Vehtari et al. (2021)."""

_SAME = 1e-15
"""Spread below which draws count as equal: all of them are then effective."""


def rhat(draws: np.ndarray) -> np.ndarray:
    """Return the rank-normalised split R-hat: the larger one of the draws and of their distances from the median.

    The first sees chains that differ in place, the second chains that differ in spread.
    """
    halves = _halves(draws)
    return _larger_rhat(halves, _normal_scores(halves))


def ess_bulk(draws: np.ndarray) -> np.ndarray:
    """Return the effective sample size in the bulk of the distribution: that of the mean of normal scores."""
    return _ess(_normal_scores(_halves(draws)))


def rhat_and_ess_bulk(draws: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return what `rhat` and `ess_bulk` do, in two thirds of the time: the draws are ranked once for both."""
    halves = _halves(draws)
    scores = _normal_scores(halves)
    return _larger_rhat(halves, scores), _ess(scores)


def ess_mean(draws: np.ndarray) -> np.ndarray:
    """Return the effective sample size of the mean of the draws."""
    return _ess(_halves(draws))


def ess_tail(draws: np.ndarray) -> np.ndarray:
    """Return the smaller one of the effective sample sizes of the 5 % and the 95 % quantile."""
    limits = np.quantile(draws, TAILS, axis=(0, 1), method="linear")
    low, high = (ess_mean((draws <= limit).astype(np.float64)) for limit in limits)
    return np.minimum(low, high)


def mcse_mean(draws: np.ndarray) -> np.ndarray:
    """Return the Monte Carlo standard error of the mean, in the unit of the draws."""
    return np.asarray(draws.std(axis=(0, 1), ddof=1) / np.sqrt(ess_mean(draws)))


def _halves(draws: np.ndarray) -> np.ndarray:
    """Return each half of each chain as a chain, (quantity, chain, draw): a chain that drifts disagrees with itself."""
    half = draws.shape[1] // 2
    both = np.concatenate([draws[:, :half], draws[:, -half:]])
    return np.ascontiguousarray(np.moveaxis(both, 2, 0), dtype=np.float64)


def _normal_scores(values: np.ndarray) -> np.ndarray:
    """Return normal quantiles of the ranks of each quantity's values, ties sharing their mean rank."""
    flat = values.reshape(len(values), -1)
    order = np.argsort(flat, axis=1)
    ordered = np.take_along_axis(flat, order, axis=1)
    # A value's mean rank is halfway between the first and the last place of those that equal it.
    places = np.arange(flat.shape[1])
    begins = np.ones(flat.shape, dtype=bool)
    begins[:, 1:] = ordered[:, 1:] != ordered[:, :-1]
    ends = np.ones(flat.shape, dtype=bool)
    ends[:, :-1] = begins[:, 1:]
    first = np.maximum.accumulate(np.where(begins, places, 0), axis=1)
    last = np.minimum.accumulate(np.where(ends, places, places[-1])[:, ::-1], axis=1)[:, ::-1]
    scores = np.empty_like(flat)
    np.put_along_axis(scores, order, _scores_of_ranks(flat.shape[1])[first + last], axis=1)
    return scores.reshape(values.shape)


@lru_cache(maxsize=4)
def _scores_of_ranks(n: int) -> np.ndarray:
    """Return the normal scores of the ranks 1, 1.5, 2, ..., n (Blom 1958)."""
    quantile = NormalDist().inv_cdf
    return np.array([quantile((1 + twice / 2 - 0.375) / (n + 0.25)) for twice in range(2 * n - 1)])


def _larger_rhat(halves: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Return the R-hat of halves of chains whose normal scores are known; both (quantity, chain, draw)."""
    middle = np.median(halves.reshape(len(halves), -1), axis=1)
    distances = np.abs(halves - middle[:, None, None])
    # Distances that are all the same say nothing.
    return np.fmax(_split_rhat(scores), _split_rhat(_normal_scores(distances)))


def _split_rhat(values: np.ndarray) -> np.ndarray:
    """Return the root of the ratio of two estimates of the variance; values (quantity, chain, draw)."""
    n_draws = values.shape[2]
    between = n_draws * values.mean(axis=2).var(axis=1, ddof=1)
    within = values.var(axis=2, ddof=1).mean(axis=1)
    return np.asarray(np.sqrt((between / within + n_draws - 1) / n_draws))


def _ess(values: np.ndarray) -> np.ndarray:
    """Return the effective sample size of the mean of values (quantity, chain, draw).

    Autocorrelations are summed in pairs as long as the pairs are positive, each made no larger than the one before
    (Geyer 1992).
    """
    n_chains, n_draws = values.shape[1:]
    total = n_chains * n_draws
    means = values.mean(axis=2)
    covariance = _autocovariance(values - means[..., None])
    within = covariance[:, 0] * n_draws / (n_draws - 1)
    variance = covariance[:, 0] + (means.var(axis=1, ddof=1) if n_chains > 1 else 0.0)
    correlation = 1 - (within[:, None] - covariance) / variance[:, None]
    correlation[:, 0] = 1.0
    n_pairs = max(n_draws - 1, 2) // 2
    even = correlation[:, : 2 * n_pairs : 2]
    pairs = even + correlation[:, 1 : 2 * n_pairs : 2]
    # The pair that ends the sum: the first one that is not positive, or the last one that there is.
    ends = pairs <= 0
    ends[:, -1] = True
    end = np.argmax(ends, axis=1)
    counted = np.arange(n_pairs) < end[:, None]
    smooth = np.minimum.accumulate(pairs, axis=1)
    last, half = (array[np.arange(len(end)), end] for array in (pairs, even))
    half = np.where(last < 0, np.maximum(half, 0.0), half)
    time = np.maximum(2 * np.where(counted, smooth, 0.0).sum(axis=1) + half - 1, 1 / np.log10(total))
    constant = np.ptp(values.reshape(len(values), -1), axis=1) < _SAME
    return np.where(constant, float(total), total / time)


def _autocovariance(centred: np.ndarray) -> np.ndarray:
    """Return the autocovariance at each lag, mean over chains; (quantity, chain, draw) -> (quantity, lag)."""
    n_draws = centred.shape[2]
    n_padded = 1 << (2 * n_draws - 1).bit_length()  # so that no lag wraps round
    spectrum = np.fft.rfft(centred, n=n_padded, axis=2)
    power = (spectrum.real**2 + spectrum.imag**2).mean(axis=1)
    return np.fft.irfft(power, n=n_padded, axis=1)[:, :n_draws] / n_draws
