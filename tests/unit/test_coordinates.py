"""The coordinates along the principal axes of the inputs: the same distribution, better conditioned."""

import numpy as np
import pytest

from bnn.coordinates import PrincipalAxes
from bnn.layout import ParameterLayout
from bnn.likelihoods import Categorical
from bnn.network import Network
from bnn.posterior import Posterior
from bnn.priors import Prior, network_prior


@pytest.fixture(scope="module", params=[(4, 5, 3), (4, 3)], ids=["hidden", "linear"])
def posterior(request):
    rng = np.random.default_rng(0)
    network = Network(request.param, activation="tanh", dtype="float64")
    # A prior that is not invariant under rotation, so that the test sees whether theta itself is turned.
    side = {"family": "laplace", "scale": 1.0, "df": 4.0}
    layout = ParameterLayout(network.parameter_shapes)
    prior = Prior(layout, network_prior(layout.shapes, weights=side, biases=side, fan_in_scaling=True))
    x = rng.standard_normal((30, 4)) @ rng.standard_normal((4, 4))
    return Posterior(network, Categorical(3), prior, x=x, y=rng.integers(0, 3, 30))


def test_to_theta_and_back(posterior):
    axes = PrincipalAxes(posterior)
    theta = np.random.default_rng(1).standard_normal((5, posterior.layout.n_params))
    kept = theta.copy()
    position = axes.from_theta(theta)
    assert np.allclose(axes.to_theta(position), theta, atol=1e-13)
    assert np.array_equal(theta, kept)
    first = posterior.layout.slices["weight_0"]
    rest = np.ones(posterior.layout.n_params, bool)
    rest[first] = False
    assert np.array_equal(position[:, rest], theta[:, rest])
    assert not np.allclose(position[:, first], theta[:, first])


def test_density_is_that_of_theta_and_the_gradient_is_its_own(posterior):
    axes = PrincipalAxes(posterior)
    position = np.random.default_rng(2).standard_normal((3, posterior.layout.n_params))
    log_density, grad = axes.log_density_and_grad(position)
    assert np.allclose(log_density, posterior.log_density(axes.to_theta(position)), rtol=1e-13)
    assert np.allclose(log_density, axes.log_density(position), rtol=1e-13)
    for index in range(posterior.layout.n_params):
        step = np.zeros(posterior.layout.n_params)
        step[index] = 1e-6
        slope = (axes.log_density(position + step) - axes.log_density(position - step)) / 2e-6
        assert np.allclose(grad[:, index], slope, atol=1e-6)


def test_turned_weights_act_on_uncorrelated_inputs(posterior):
    axes = PrincipalAxes(posterior)
    n_in, n_out = posterior.layout.shapes["weight_0"]
    position = np.zeros((n_in, posterior.layout.n_params))
    block = np.zeros((n_in, n_in, n_out))
    block[np.arange(n_in), np.arange(n_in), 0] = 1.0
    position[:, posterior.layout.slices["weight_0"]] = block.reshape(n_in, -1)
    weights = posterior.layout.unpack(axes.to_theta(position))["weight_0"][:, :, 0]
    inputs = posterior.x @ weights.T
    products = inputs.T @ inputs
    assert np.allclose(products - np.diag(np.diag(products)), 0.0, atol=1e-9 * products.max())
