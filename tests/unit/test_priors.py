"""Priors with learned scales: against SciPy, central differences and the distribution of their own draws."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from bnn.core.settings import BlockPriorSettings, PriorSettings
from bnn.model.layout import ParameterLayout
from bnn.model.posterior import make_posterior
from bnn.model.priors import (
    LOG_PRIOR_SCALE,
    BlockPrior,
    LogHalfNormal,
    Normal,
    Prior,
    learned_scale_shapes,
    network_prior,
)
from tests.unit.synthetic_chains import LIKELIHOOD, NETWORK, make_dataset

SHAPES = {"weight_0": (4, 3), "bias_0": (3,), "weight_1": (3, 2), "bias_1": (2,)}
REFERENCE = {"normal": stats.norm(), "laplace": stats.laplace(), "student_t": stats.t(3.0)}
SCALES = {"weight": 0.8, "bias": 1.7}


def make_prior(learned_scales, *, family="normal", fan_in_scaling=True):
    """Return a prior over a network and, between it and the learned scales, a noise parameter."""
    sides = {name: BlockPriorSettings(family, scale, 3.0) for name, scale in SCALES.items()}
    blocks = network_prior(
        SHAPES, PriorSettings(sides["weight"], sides["bias"], fan_in_scaling, learned_scales)
    )
    shapes = SHAPES | {"log_noise_scale": ()} | learned_scale_shapes(SHAPES, learned_scales)
    return Prior(ParameterLayout(shapes), blocks | {"log_noise_scale": BlockPrior(Normal(), -1.0, 0.5)})


def expected_log_density(prior, theta, family, fan_in_scaling):
    """Written out from the definition: tau half-normal, weights of scale tau / sqrt(fan-in)."""
    total = np.zeros(len(theta))
    blocks = prior.layout.unpack(theta)
    for name, shape in SHAPES.items():
        log_tau = blocks[LOG_PRIOR_SCALE + name].reshape(len(theta), -1)
        half = stats.halfnorm(scale=SCALES[name.split("_")[0]])
        total += (half.logpdf(np.exp(log_tau)) + log_tau).sum(axis=1)  # Jacobian of the logarithm
        scale = np.exp(log_tau) / (np.sqrt(shape[0]) if len(shape) == 2 and fan_in_scaling else 1.0)
        weights = blocks[name].reshape(len(theta), log_tau.shape[1], -1)
        total += (REFERENCE[family].logpdf(weights / scale[..., None]) - np.log(scale)[..., None]).sum(
            axis=(1, 2)
        )
    return total + stats.norm(-1, 0.5).logpdf(blocks["log_noise_scale"])


def test_the_output_factor_widens_the_weights_of_the_last_layer_alone():
    side = BlockPriorSettings("normal", 0.8, 4.0)
    narrow, wide = (
        network_prior(SHAPES, PriorSettings(side, side, True, "none", factor)) for factor in (1.0, 8.0)
    )
    ratios = {name: wide[name].scale / narrow[name].scale for name in SHAPES}
    assert ratios == {"weight_0": 1, "bias_0": 1, "weight_1": pytest.approx(8), "bias_1": 1}
    learned = network_prior(SHAPES, PriorSettings(side, side, True, "layer", 8.0))
    assert learned[LOG_PRIOR_SCALE + "weight_1"].location == pytest.approx(np.log(6.4))
    assert learned[LOG_PRIOR_SCALE + "weight_0"].location == pytest.approx(np.log(0.8))


@pytest.mark.parametrize("fan_in_scaling", [True, False])
@pytest.mark.parametrize("family", REFERENCE)
@pytest.mark.parametrize("learned_scales", ["layer", "ard"])
def test_density_and_gradient(learned_scales, family, fan_in_scaling):
    prior = make_prior(learned_scales, family=family, fan_in_scaling=fan_in_scaling)
    theta = np.random.default_rng(2).standard_normal((5, prior.layout.n_params))
    before = theta.copy()
    total, grad = prior.log_density_and_grad(theta)
    assert np.array_equal(theta, before), "the position was changed"
    assert np.allclose(total, expected_log_density(prior, theta, family, fan_in_scaling), rtol=1e-12)
    step = 1e-6
    for index in range(theta.shape[1]):
        shift = np.zeros(theta.shape[1])
        shift[index] = step
        up, down = (prior.log_density_and_grad(theta + sign * shift)[0] for sign in (1, -1))
        assert np.allclose(grad[:, index], (up - down) / (2 * step), rtol=1e-5, atol=1e-6), index
    for chain in range(5):
        alone = prior.log_density_and_grad(theta[[chain]])
        assert np.array_equal(alone[0][0], total[chain])
        assert np.array_equal(alone[1][0], grad[chain])


@pytest.mark.parametrize("learned_scales", ["layer", "ard"])
def test_draws_are_of_the_hierarchy(learned_scales):
    prior = make_prior(learned_scales)
    rng = np.random.default_rng(3)
    draws = prior.layout.unpack(np.stack([prior.sample(rng) for _ in range(3000)]))
    for name, shape in SHAPES.items():
        tau = np.exp(draws[LOG_PRIOR_SCALE + name])
        # Kolmogorov-Smirnov at a false-alarm rate of 1e-4 each; scales that are 20 % off have p < 1e-4.
        half = stats.halfnorm(scale=SCALES[name.split("_")[0]])
        assert stats.kstest(tau.ravel(), half.cdf).pvalue > 1e-4
        assert stats.kstest(1.2 * tau.ravel(), half.cdf).pvalue < 1e-4
        own = tau.reshape(3000, *np.shape(tau)[1:], *(1 for _ in range(len(shape) + 1 - tau.ndim)))
        z = draws[name] * (np.sqrt(shape[0]) if len(shape) == 2 else 1.0) / own
        assert stats.kstest(z.ravel(), "norm").pvalue > 1e-4
        assert stats.kstest(1.2 * z.ravel(), "norm").pvalue < 1e-4
        # Weights that share a scale are large together, so their squares are correlated.
        squares = draws[name].reshape(3000, -1)[:, :2] ** 2
        assert stats.spearmanr(squares[:, 0], squares[:, 1]).statistic > 0.1


def test_log_half_normal_is_that_of_scipy():
    z = np.array([-9.0, -1.0, 0.2, 1.5])
    expected = stats.halfnorm().logpdf(np.exp(z)) + z
    assert np.allclose(LogHalfNormal().log_density_and_grad(z[:, None])[0], expected, rtol=1e-12)
    draws = LogHalfNormal().sample(np.random.default_rng(0), 20_000)
    assert stats.kstest(np.exp(draws), "halfnorm").pvalue > 1e-4


def test_blocks_of_learned_scales():
    assert learned_scale_shapes(SHAPES, "none") == {}
    layer = learned_scale_shapes(SHAPES, "layer")
    assert layer == {f"log_prior_scale_{name}": () for name in SHAPES}
    assert learned_scale_shapes(SHAPES, "ard") == layer | {"log_prior_scale_weight_0": (4,)}
    assert list(learned_scale_shapes(SHAPES, "ard")) == list(layer)
    with pytest.raises(ValueError, match="learned_scales"):
        learned_scale_shapes(SHAPES, "unit")


def test_fixed_scales_are_evaluated_as_ever():
    prior = make_prior("none")
    assert prior.learned is None
    assert len(prior.parts) == 1, "one call for all of theta"
    # With learned scales there is one more: the scales.
    assert len(make_prior("ard").parts) == 2


def test_log_factors_that_do_not_fit_are_refused():
    half = BlockPrior(LogHalfNormal(), 0.0, 1.0)

    def prior(shape, **blocks):
        layout = ParameterLayout({"a": (3, 2), "b": (3, 2), "s": shape})
        fixed = BlockPrior(Normal(), 0.0, 1.0)
        return Prior(layout, {"a": fixed, "b": fixed, "s": half} | blocks)

    scaled = BlockPrior(Normal(), 0.0, 1.0, "s")
    for shape in ((), (3,), (3, 2)):
        prior(shape, a=scaled)
    with pytest.raises(ValueError, match="must be a block of fixed scale whose shape is the beginning"):
        prior((2,), a=scaled)
    with pytest.raises(ValueError, match="not None"):
        prior((), a=BlockPrior(Normal(), 0.0, 1.0, "t"))
    with pytest.raises(ValueError, match="must be a block of fixed scale"):
        prior((3, 2), a=scaled, s=BlockPrior(Normal(), 0.0, 1.0, "b"))
    with pytest.raises(ValueError, match="'s'"):
        prior((), a=scaled, b=scaled)


def test_priors_of_learned_scales_meet_those_of_fixed_ones():
    """At tau = the configured scale the conditional density of the weights is that of the fixed scales."""
    learned, fixed = make_prior("ard"), make_prior("none")
    theta = np.random.default_rng(6).standard_normal((3, learned.layout.n_params))
    n_fixed = fixed.layout.n_params
    theta[:, n_fixed:] = learned.location[n_fixed:]
    hyper = LogHalfNormal().log_density_and_grad(np.zeros((3, theta.shape[1] - n_fixed)))[0]
    found, grad = learned.log_density_and_grad(theta)
    expected, expected_grad = fixed.log_density_and_grad(theta[:, :n_fixed])
    assert np.allclose(found - hyper, expected, rtol=1e-12)
    assert np.allclose(grad[:, :n_fixed], expected_grad, rtol=1e-12)


FAMILIES = ("gaussian", "heteroscedastic", "student_t", "categorical")


@pytest.mark.parametrize(
    ("likelihood", "family", "learned_scales"),
    list(itertools.product(FAMILIES, REFERENCE, ["none", "layer", "ard"])),
)
def test_gradient_of_the_posterior(likelihood, family, learned_scales):
    side = BlockPriorSettings(family, 0.8, 3.0)
    dataset = make_dataset("classification" if likelihood == "categorical" else "regression")
    posterior = make_posterior(
        dataset.x_train,
        dataset.y_train,
        n_classes=dataset.n_classes,
        network=NETWORK,
        prior=PriorSettings(side, side, True, learned_scales),
        likelihood=replace(LIKELIHOOD, family="gaussian" if likelihood == "categorical" else likelihood),
    )
    names = posterior.layout.names
    first = [name.startswith(("weight_", "bias_")) for name in names]
    hyper = [name.startswith(LOG_PRIOR_SCALE) for name in names]
    assert first == sorted(first, reverse=True), "the network's blocks come first"
    assert hyper == sorted(hyper), "and scales of the prior last"
    theta = 0.5 * np.random.default_rng(1).standard_normal((2, posterior.layout.n_params))
    grad = posterior.log_density_and_grad(theta)[1]
    numeric, step = np.empty_like(grad), 1e-6
    for index in range(theta.shape[1]):
        shift = np.zeros(theta.shape[1])
        shift[index] = step
        numeric[:, index] = (posterior.log_density(theta + shift) - posterior.log_density(theta - shift)) / (
            2 * step
        )
    assert np.max(np.abs(grad - numeric)) <= 1e-6 * np.max(np.abs(numeric))
