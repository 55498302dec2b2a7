"""Log densities against SciPy, and every gradient against central differences."""

import numpy as np
import pytest
from scipy import stats

from bnn.core.settings import BlockPriorSettings, PriorSettings
from bnn.model.activations import ACTIVATIONS
from bnn.model.categorical import Categorical, log_softmax, softmax
from bnn.model.layout import ParameterLayout
from bnn.model.likelihoods import Gaussian, HeteroscedasticGaussian, HeteroscedasticStudentT, Likelihood
from bnn.model.likelihoods import StudentT as StudentTNoise
from bnn.model.network import Network
from bnn.model.posterior import Posterior
from bnn.model.priors import (
    BlockPrior,
    Laplace,
    Normal,
    Prior,
    StudentT,
    learned_scale_shapes,
    make_family,
    network_prior,
)

FAMILIES = ("normal", "laplace", "student_t")


def make_posterior(
    *,
    hidden=(5,),
    activation="tanh",
    family="normal",
    likelihood="categorical",
    fan_in_scaling=True,
    seed=0,
    dtype="float64",
    engine="numpy",
    n_rows=20,
    learned_scales="none",
    n_inputs=4,
):
    rng = np.random.default_rng(seed)
    n_out = {"categorical": 3, "heteroscedastic": 2, "heteroscedastic_student_t": 2}.get(likelihood, 1)
    network = Network((n_inputs, *hidden, n_out), activation=activation, dtype=dtype, engine=engine)
    x = rng.standard_normal((n_rows, n_inputs))
    like: Likelihood
    y: np.ndarray
    if likelihood == "categorical":
        like, y = Categorical(3), rng.integers(0, 3, n_rows)
    else:
        noise = 0.7 if likelihood == "known_noise" else None
        like = Gaussian(noise_scale=noise, log_noise_mean=-1.0, log_noise_sd=0.5)
        if likelihood == "student_t":
            like = StudentTNoise(df=4.5, noise_scale=None, log_noise_mean=-1.0, log_noise_sd=0.5)
        elif likelihood == "heteroscedastic":
            like = HeteroscedasticGaussian(log_noise_mean=-1.0, log_noise_sd=0.5)
        elif likelihood == "heteroscedastic_student_t":
            like = HeteroscedasticStudentT(df=4.5, log_noise_mean=-1.0, log_noise_sd=0.5)
        y = rng.standard_normal(n_rows)
    own = like.parameter_priors
    shapes = network.parameter_shapes
    layout = ParameterLayout(shapes | dict.fromkeys(own, ()) | learned_scale_shapes(shapes, learned_scales))
    side = BlockPriorSettings(family, 0.8, 3.0)
    blocks = network_prior(shapes, PriorSettings(side, side, fan_in_scaling, learned_scales))
    return Posterior(network, like, Prior(layout, blocks | own), x=x, y=y)


def relative_gradient_error(posterior, n_chains, seed=1):
    """Largest difference between the gradient and central differences, relative to the gradient's largest entry."""
    rng = np.random.default_rng(seed)
    theta = 0.5 * rng.standard_normal((n_chains, posterior.layout.n_params))
    before = theta.copy()
    _, grad = posterior.log_density_and_grad(theta)
    assert np.array_equal(theta, before), "the position was changed"
    numeric = np.empty_like(grad)
    # Rounding costs about 1e-16 * 100 nats / 1e-6 = 1e-8, the cubic term 1e-12, against gradients of 10 and
    # more. A larger # step would reach across the kinks of relu, where the log density has no derivative.
    step = 1e-6
    for i in range(theta.shape[1]):
        shift = np.zeros(theta.shape[1])
        shift[i] = step
        numeric[:, i] = (posterior.log_density(theta + shift) - posterior.log_density(theta - shift)) / (
            2 * step
        )
    return float(np.max(np.abs(grad - numeric)) / np.max(np.abs(numeric)))


@pytest.mark.parametrize("n_chains", [1, 7])
@pytest.mark.parametrize("hidden", [(5,), (4, 3), (4, 3, 5)])
@pytest.mark.parametrize("activation", list(ACTIVATIONS))
@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("likelihood", ["categorical", "sampled_noise", "known_noise"])
def test_gradient_of_log_density(likelihood, family, activation, hidden, n_chains):
    posterior = make_posterior(hidden=hidden, activation=activation, family=family, likelihood=likelihood)
    assert relative_gradient_error(posterior, n_chains) <= 1e-6


def test_gradient_without_hidden_layer_and_without_fan_in_scaling():
    for likelihood in ("categorical", "sampled_noise"):
        assert (
            relative_gradient_error(make_posterior(hidden=(), likelihood=likelihood, fan_in_scaling=False), 3)
            <= 1e-6
        )


def test_gradient_check_catches_the_notebooks_layout(monkeypatch):
    """Mutant: pack all weights first, then all biases, while unpacking weight, bias, weight, bias."""

    def weights_first(self, theta, parameters):
        if not parameters:  # the likelihood has none of its own
            return
        names = sorted(parameters, key=lambda name: not name.startswith("weight"))
        theta += np.concatenate([parameters[name].reshape(len(theta), -1) for name in names], axis=-1)

    monkeypatch.setattr(ParameterLayout, "add_to", weights_first)
    assert relative_gradient_error(make_posterior(), 2) > 0.1


def test_log_density_and_its_parts_agree_with_the_version_with_gradient():
    for likelihood in ("categorical", "sampled_noise"):
        posterior = make_posterior(likelihood=likelihood)
        theta = np.random.default_rng(2).standard_normal((5, posterior.layout.n_params))
        expected = posterior.log_prior(theta) + posterior.log_likelihood(theta)
        assert np.allclose(posterior.log_density_and_grad(theta)[0], expected, rtol=1e-13)
        assert np.allclose(posterior.log_density(theta), expected, rtol=1e-13)


def test_one_chain_of_a_batch_equals_the_chain_alone_bit_for_bit():
    for likelihood in ("categorical", "sampled_noise"):
        posterior = make_posterior(likelihood=likelihood, hidden=(16, 8))
        theta = np.random.default_rng(3).standard_normal((4, posterior.layout.n_params))
        log_density, grad = posterior.log_density_and_grad(theta)
        for chain in range(4):
            alone, grad_alone = posterior.log_density_and_grad(theta[chain : chain + 1])
            assert alone[0] == log_density[chain]
            assert np.array_equal(grad_alone[0], grad[chain])


def test_float32_network_is_close_and_sums_in_float64():
    exact, single = make_posterior(), make_posterior(dtype="float32")
    theta = np.random.default_rng(4).standard_normal((3, exact.layout.n_params))
    log_density, grad = single.log_density_and_grad(theta)
    assert log_density.dtype == grad.dtype == np.float64
    reference, reference_grad = exact.log_density_and_grad(theta)
    assert np.allclose(log_density, reference, rtol=1e-5)
    assert not np.array_equal(log_density, reference)
    assert np.max(np.abs(grad - reference_grad)) < 1e-4 * np.max(np.abs(reference_grad))


@pytest.mark.parametrize(
    ("family", "reference"),
    [(Normal(), stats.norm()), (Laplace(), stats.laplace()), (StudentT(3.5), stats.t(3.5))],
)
def test_families_against_scipy(family, reference):
    z = np.array([-30.0, -2.0, -0.1, 0.3, 5.0])
    assert np.allclose(family.log_density_and_grad(z[:, None])[0], reference.logpdf(z), rtol=1e-12)
    assert np.allclose(family.log_density_and_grad(z)[0], reference.logpdf(z).sum(), rtol=1e-12)
    draws = family.sample(np.random.default_rng(0), 20_000)
    # Kolmogorov-Smirnov at a false-alarm rate of 1e-4; draws of the wrong scale (10 % off) have p < 1e-10.
    assert stats.kstest(draws, reference.cdf).pvalue > 1e-4
    assert stats.kstest(1.1 * draws, reference.cdf).pvalue < 1e-4


def test_prior_applies_location_scale_and_fan_in():
    layout = ParameterLayout({"weight_0": (4, 2), "bias_0": (2,), "log_noise_scale": ()})
    side = BlockPriorSettings("laplace", 3.0, 4.0)
    bias = BlockPriorSettings("normal", 2.0, 4.0)
    blocks = network_prior({"weight_0": (4, 2), "bias_0": (2,)}, PriorSettings(side, bias, True, "none"))
    prior = Prior(layout, blocks | {"log_noise_scale": BlockPrior(Normal(), -1.0, 0.5)})
    theta = np.random.default_rng(5).standard_normal((3, 11))
    expected = stats.laplace(0, 1.5).logpdf(theta[:, :8]).sum(axis=1)
    expected += stats.norm(0, 2).logpdf(theta[:, 8:10]).sum(axis=1)
    expected += stats.norm(-1, 0.5).logpdf(theta[:, 10])
    assert np.allclose(prior.log_density_and_grad(theta)[0], expected, rtol=1e-12)
    draws = np.stack([prior.sample(np.random.default_rng(i)) for i in range(4000)])
    # Standard errors: 1.5 * sqrt(2)/sqrt(8000) = 2 % and below; 10 % is five of them.
    assert np.std(draws[:, :8]) == pytest.approx(1.5 * np.sqrt(2), rel=0.1)
    assert np.std(draws[:, 8:10]) == pytest.approx(2.0, rel=0.1)
    assert np.mean(draws[:, 10]) == pytest.approx(-1.0, abs=0.05)


def test_prior_refuses_what_does_not_fit():
    layout = ParameterLayout({"a": (2,)})
    with pytest.raises(ValueError, match="priors"):
        Prior(layout, {"b": BlockPrior(Normal(), 0.0, 1.0)})
    with pytest.raises(ValueError, match="scale"):
        Prior(layout, {"a": BlockPrior(Normal(), 0.0, 0.0)})
    with pytest.raises(ValueError, match="family"):
        make_family("cauchy", 1.0)


def test_softmax_is_exact_for_huge_logits():
    logits = np.array([[1e4, 0.0, -1e4], [700.0, 700.0, 700.0]])
    assert np.allclose(softmax(logits), np.array([[1, 0, 0], [1 / 3, 1 / 3, 1 / 3]]))
    assert np.allclose(log_softmax(logits)[0], [0, -1e4, -2e4])


def test_likelihoods_against_scipy():
    rng = np.random.default_rng(6)
    output, y = rng.standard_normal((2, 1, 9)), rng.standard_normal(9)
    like = Gaussian(noise_scale=None, log_noise_mean=0.0, log_noise_sd=1.0)
    log_scale = np.array([-0.5, 0.4])
    expected = stats.norm(output[:, 0], np.exp(log_scale)[:, None]).logpdf(y)
    assert np.allclose(like.pointwise(output, like.encode(y), {"log_noise_scale": log_scale}), expected)
    logits, labels = rng.standard_normal((2, 3, 9)), rng.integers(0, 3, 9)
    categorical = Categorical(3)
    picked = np.log(softmax(logits.swapaxes(1, 2)))[:, np.arange(9), labels]
    assert np.allclose(categorical.pointwise(logits, categorical.encode(labels), {}), picked)
    with pytest.raises(ValueError, match="classes"):
        categorical.encode(np.array([0, 3]))


def test_network_refuses_impossible_shapes():
    with pytest.raises(ValueError, match="at least inputs and outputs"):
        Network((3,), activation="tanh", dtype="float64")
    with pytest.raises(ValueError, match="at least inputs and outputs"):
        Network((3, 0, 1), activation="tanh", dtype="float64")
    with pytest.raises(ValueError, match="activation"):
        Network((3, 1), activation="selu", dtype="float64")
    with pytest.raises(ValueError, match="engine"):
        Network((3, 1), activation="tanh", dtype="float64", engine="cupy")


@pytest.mark.parametrize("name", list(ACTIVATIONS))
def test_activation_derivatives_in_terms_of_the_output(name):
    activation = ACTIVATIONS[name]
    z = np.array([-40.0, -1.3, -0.2, 0.4, 2.0, 40.0])
    step = 1e-6
    numeric = (activation.function(z + step) - activation.function(z - step)) / (2 * step)
    assert np.allclose(activation.derivative(activation.function(z)), numeric, atol=1e-9)
    assert activation.function(z.astype(np.float32)).dtype == np.float32
