"""Pareto-smoothed importance sampling and leave-one-out against exact answers."""

import arviz
import numpy as np
import pytest
from scipy import stats

from bnn.checks import psis


@pytest.mark.parametrize(("rate", "k"), [(0.8, 0.2), (0.5, 0.5), (0.2, 0.8)])
def test_k_and_means_of_exponential_draws_that_stand_for_others(rate, k):
    """Weights exp((1 - rate) x) of draws from Exp(1) have a Pareto tail of shape 1 - rate, exactly."""
    x = np.random.default_rng(0).exponential(size=40_000)
    log_weights, found = psis.smooth((1 - rate) * x)
    assert found == pytest.approx(k, abs=0.08)
    weights = np.exp(log_weights)
    assert weights.sum() == pytest.approx(1)
    if k <= psis.K_MAX:
        assert weights @ x == pytest.approx(1 / rate, rel=0.05), "the mean of Exp(rate)"


def test_the_limit_of_k_grows_with_the_draws_up_to_its_maximum():
    assert [psis.k_threshold(n) for n in (100, 1000)] == pytest.approx([0.5, 2 / 3])
    assert psis.k_threshold(2200) == psis.k_threshold(10**6) == psis.K_MAX == 0.7
    assert psis.k_threshold(2000) < 0.7
    assert [psis.k_threshold(n) for n in (1, 2, 10)] == [0.0, 0.0, 0.0]


def test_equal_weights_need_no_smoothing_and_many_sets_are_handled_one_by_one():
    rng = np.random.default_rng(1)
    ratios = np.stack([np.zeros(500), rng.normal(size=500), 3 * rng.normal(size=500)])
    weights, k = psis.smooth(ratios)
    assert k[0] == 0.0 and np.allclose(np.exp(weights[0]), 1 / 500)
    for index in (1, 2):
        alone, own = psis.smooth(ratios[index])
        assert own == k[index] and np.array_equal(alone, weights[index])
    assert k[2] > k[1]


@pytest.mark.parametrize("efficiency", [1.0, 0.25])
@pytest.mark.parametrize("spread", [0.1, 1.0, 4.0])
def test_smoothing_is_that_of_arviz(spread, efficiency):
    # The tail then has a whole number of draws, 90 or 180: ArviZ 0.23 rounds it up, as here, and 1 down.
    ratios = spread * np.random.default_rng(2).normal(size=(3, 900))
    log_weights, k = psis.smooth(ratios, efficiency=efficiency)
    if arviz.__version__.startswith("0."):
        expected, expected_k = arviz.psislw(ratios.copy(), reff=efficiency)
    else:  # version 1 takes log likelihoods, whose log ratios are their negatives
        arrays = pytest.importorskip("arviz_stats.base").array_stats
        expected, expected_k = arrays.psislw(-ratios, r_eff=efficiency, axis=-1)
    assert k == pytest.approx(np.asarray(expected_k), abs=1e-6)
    assert np.allclose(log_weights, np.asarray(expected), atol=1e-6)


def normal_model(n, n_draws, outlier=0.0):
    """Return the log likelihood (4, draw, obs) of exact posterior draws of a mean, and the exact LOO densities."""
    rng = np.random.default_rng(3)
    y = rng.normal(1.0, 1.0, size=n)
    y[0] += outlier
    prior_precision = 0.25
    precision = prior_precision + n
    mean = rng.normal(y.sum() / precision, precision**-0.5, size=(4, n_draws))
    rest = prior_precision + n - 1
    exact = stats.norm((y.sum() - y) / rest, np.sqrt(1 / rest + 1)).logpdf(y)
    lppd = stats.norm(y.sum() / precision, np.sqrt(1 / precision + 1)).logpdf(y)
    return stats.norm.logpdf(y, mean[..., None], 1.0), exact, lppd


def test_leave_one_out_is_the_exact_one_of_a_conjugate_model():
    log_likelihood, exact, lppd = normal_model(25, 2000)
    found = psis.leave_one_out(log_likelihood)
    # 8,000 independent draws; the densities vary by a fifth, so means are known to 0.3 %.
    assert np.allclose(found.elpd, exact, atol=0.02)
    assert np.allclose(found.lppd, lppd, atol=0.01)
    assert (found.k < psis.K_MAX).all()
    assert (found.lppd > found.elpd).all()


def test_a_row_that_the_posterior_hangs_on_has_the_largest_k():
    log_likelihood, _, _ = normal_model(6, 1000, outlier=12.0)
    found = psis.leave_one_out(log_likelihood)
    assert np.argmax(found.k) == 0 and found.k[0] > 0.5


def test_efficiency_of_correlated_draws():
    rng = np.random.default_rng(4)
    white = rng.normal(size=(4, 2000, 3))
    slow = np.empty_like(white)
    slow[:, 0] = white[:, 0]
    for draw in range(1, 2000):
        slow[:, draw] = 0.9 * slow[:, draw - 1] + np.sqrt(1 - 0.81) * white[:, draw]
    # (1 - 0.9)/(1 + 0.9) of the draws.
    assert psis.relative_efficiency(slow) == pytest.approx(0.0526, rel=0.3)
    assert psis.relative_efficiency(white) > 0.9
    assert psis.relative_efficiency(np.ones((4, 100, 2))) == 1.0
