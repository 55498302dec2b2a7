"""Mixtures of normals against SciPy, and against the definitions of their scores."""

import numpy as np
import pytest
from scipy import integrate, stats

from bnn.evaluation import metrics
from bnn.posterior.mixture import GaussianMixture


@pytest.fixture(params=[1, 3])
def mixture(request):
    rng = np.random.default_rng(request.param)
    return GaussianMixture(rng.normal(5, 3, size=(request.param, 7)), rng.uniform(0.5, 2, size=request.param))


def test_moments_density_and_distribution_are_those_of_draws_and_of_scipy(mixture):
    y = np.linspace(-2, 12, 7)
    parts = [stats.norm(m, s) for m, s in zip(mixture.means, mixture.scales, strict=True)]
    assert np.allclose(mixture.log_density(y), np.log(np.mean([part.pdf(y) for part in parts], axis=0)))
    assert np.allclose(mixture.cdf(y), np.mean([part.cdf(y) for part in parts], axis=0))
    rng = np.random.default_rng(0)
    draws = np.concatenate([part.rvs((100_000, 7), random_state=rng) for part in parts])
    # Means of 100,000 draws or more are known to sd/300, standard deviations to sd/400 (more for fat tails).
    assert np.abs(mixture.mean - draws.mean(axis=0)).max() < 5 * mixture.sd.max() / 300
    assert np.allclose(mixture.sd, draws.std(axis=0), rtol=0.02)


def test_density_far_out_does_not_underflow(mixture):
    assert np.isfinite(mixture.log_density(np.full(7, 1e6))).all()


def test_interval_ends_are_quantiles(mixture):
    levels = (0.5, 0.9, 0.95)
    lower, upper = mixture.intervals(levels)
    for index, level in enumerate(levels):
        assert np.allclose(mixture.cdf(lower[index]), 0.5 - level / 2, atol=1e-12)
        assert np.allclose(mixture.cdf(upper[index]), 0.5 + level / 2, atol=1e-12)
    if len(mixture.scales) == 1:
        expected = stats.norm.interval(0.9, mixture.means[0], mixture.scales[0])
        assert np.allclose([lower[1], upper[1]], expected, rtol=1e-9)


def test_crps_is_the_integral_that_defines_it(mixture):
    y = np.array([1.0, 6.0, -9.0, 4.0, 5.0, 20.0, 5.5])
    found = mixture.crps(y)
    for row in range(7):
        one = GaussianMixture(mixture.means[:, row : row + 1], mixture.scales)

        def squared(t, one=one, observed=y[row]):
            return (one.cdf(np.array([t]))[0] - (t >= observed)) ** 2

        integral = integrate.quad(squared, -40, 60, points=[y[row]], limit=400)[0]
        assert found[row] == pytest.approx(integral, rel=1e-6)


def test_crps_of_draws_tends_to_it(mixture):
    rng = np.random.default_rng(1)
    y = rng.normal(5, 3, size=7)
    component = rng.integers(0, len(mixture.scales), size=(40_000, 7))
    noise = mixture.scales[component] * rng.standard_normal((40_000, 7))
    draws = mixture.means[component, np.arange(7)] + noise
    assert metrics.sample_crps(draws, y) == pytest.approx(mixture.crps(y).mean(), rel=0.01)


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match=r"means.*scales"):
        GaussianMixture(np.zeros((2, 3)), np.ones(3))
    with pytest.raises(ValueError, match="scales"):
        GaussianMixture(np.zeros((2, 3)), np.array([1.0, 0.0]))
