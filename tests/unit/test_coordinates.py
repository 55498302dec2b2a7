"""The coordinates in which is sampled: the same distribution, better conditioned."""

import numpy as np
import pytest

from bnn.core.settings import BlockPriorSettings, PriorSettings
from bnn.mcmc.coordinates import Coordinates
from bnn.model.categorical import Categorical
from bnn.model.layout import ParameterLayout
from bnn.model.network import Network
from bnn.model.posterior import Posterior
from bnn.model.priors import Prior, learned_scale_shapes, network_prior


def make_posterior(sizes, learned_scales):
    rng = np.random.default_rng(0)
    network = Network(sizes, activation="tanh", dtype="float64")
    # A prior that is not invariant under rotation, so that the test sees whether theta itself is turned.
    side = BlockPriorSettings("laplace", 1.0, 4.0)
    shapes = network.parameter_shapes
    blocks = network_prior(shapes, PriorSettings(side, side, True, learned_scales))
    layout = ParameterLayout(shapes | learned_scale_shapes(shapes, learned_scales))
    x = rng.standard_normal((30, 4)) @ rng.standard_normal((4, 4))
    return Posterior(network, Categorical(3), Prior(layout, blocks), x=x, y=rng.integers(0, 3, 30))


@pytest.fixture(scope="module", params=["none", "layer", "ard"])
def learned_scales(request):
    return request.param


@pytest.fixture(scope="module", params=[(4, 5, 3), (4, 3)], ids=["hidden", "linear"])
def posterior(request, learned_scales):
    return make_posterior(request.param, learned_scales)


@pytest.mark.parametrize("principal_axes", [True, False])
def test_to_theta_and_back(posterior, principal_axes):
    coordinates = Coordinates(posterior, principal_axes=principal_axes)
    theta = np.random.default_rng(1).standard_normal((5, posterior.layout.n_params))
    kept = theta.copy()
    position = coordinates.from_theta(theta)
    assert np.allclose(coordinates.to_theta(position), theta, atol=1e-13)
    assert np.array_equal(theta, kept)


def test_only_the_first_weights_are_turned():
    posterior = make_posterior((4, 5, 3), "none")
    coordinates = Coordinates(posterior, principal_axes=True)
    theta = np.random.default_rng(1).standard_normal((5, posterior.layout.n_params))
    position = coordinates.from_theta(theta)
    first = posterior.layout.slices["weight_0"]
    rest = np.ones(posterior.layout.n_params, bool)
    rest[first] = False
    assert np.array_equal(position[:, rest], theta[:, rest])
    assert not np.allclose(position[:, first], theta[:, first])


@pytest.mark.parametrize("principal_axes", [True, False])
def test_density_is_that_of_theta_times_the_jacobian(posterior, principal_axes):
    coordinates = Coordinates(posterior, principal_axes=principal_axes)
    position = np.random.default_rng(2).standard_normal((1, posterior.layout.n_params))
    steps = 1e-6 * np.eye(posterior.layout.n_params)
    jacobian = (coordinates.to_theta(position + steps) - coordinates.to_theta(position - steps)) / 2e-6
    log_determinant = np.linalg.slogdet(jacobian)[1]
    expected = posterior.log_density(coordinates.to_theta(position)) + log_determinant
    assert np.allclose(coordinates.log_density(position), expected, rtol=1e-8)
    assert np.allclose(coordinates.log_jacobian(position), log_determinant, atol=1e-7)


@pytest.mark.parametrize("principal_axes", [True, False])
def test_gradient_is_that_of_the_density(posterior, principal_axes):
    coordinates = Coordinates(posterior, principal_axes=principal_axes)
    position = np.random.default_rng(2).standard_normal((3, posterior.layout.n_params))
    log_density, grad = coordinates.log_density_and_grad(position)
    assert np.allclose(log_density, coordinates.log_density(position), rtol=1e-13)
    for index in range(posterior.layout.n_params):
        step = np.zeros(posterior.layout.n_params)
        step[index] = 1e-6
        slope = (coordinates.log_density(position + step) - coordinates.log_density(position - step)) / 2e-6
        assert np.allclose(grad[:, index], slope, atol=1e-6)


@pytest.mark.parametrize("learned", ["layer", "ard"])
def test_weights_and_their_scales_are_independent_under_the_prior(learned):
    posterior = make_posterior((4, 5, 3), learned)
    rng = np.random.default_rng(3)
    theta = np.stack([posterior.prior.sample(rng) for _ in range(4000)])
    position = Coordinates(posterior, principal_axes=False).from_theta(theta)
    layout = posterior.layout
    log_scale = layout.unpack(position)["log_prior_scale_weight_1"]
    size = {
        name: np.log(np.abs(layout.unpack(p)["weight_1"][:, 0, 0]))
        for name, p in (("theta", theta), ("position", position))
    }
    # The correlation of 4,000 independent pairs has the standard deviation 0.016; in theta it is near 0.6.
    assert abs(np.corrcoef(log_scale, size["position"])[0, 1]) < 0.07
    assert np.corrcoef(log_scale, size["theta"])[0, 1] > 0.4


def test_turned_weights_act_on_uncorrelated_inputs():
    posterior = make_posterior((4, 5, 3), "none")
    coordinates = Coordinates(posterior, principal_axes=True)
    n_in, n_out = posterior.layout.shapes["weight_0"]
    position = np.zeros((n_in, posterior.layout.n_params))
    block = np.zeros((n_in, n_in, n_out))
    block[np.arange(n_in), np.arange(n_in), 0] = 1.0
    position[:, posterior.layout.slices["weight_0"]] = block.reshape(n_in, -1)
    weights = posterior.layout.unpack(coordinates.to_theta(position))["weight_0"][:, :, 0]
    inputs = posterior.x @ weights.T
    products = inputs.T @ inputs
    assert np.allclose(products - np.diag(np.diag(products)), 0.0, atol=1e-9 * products.max())
