"""The power transform of inputs: its values, what it leaves alone, and that every pass of a network takes it."""

from dataclasses import replace

import numpy as np
import pytest
import scipy.stats

from bnn.core.settings import YEO_JOHNSON, BlockPriorSettings, NetworkSettings, PriorSettings, build
from bnn.mcmc.coordinates import Coordinates
from bnn.model.input_transform import fit_inputs, yeo_johnson
from bnn.model.layout import ParameterLayout
from bnn.model.likelihoods import Gaussian
from bnn.model.network import ENGINES, Network, outputs
from bnn.model.posterior import Posterior, make_network, make_prior

RNG = np.random.default_rng(5)
TAILED = np.column_stack(
    [
        RNG.lognormal(size=400),
        -RNG.lognormal(sigma=0.7, size=400),
        RNG.normal(size=400),
        RNG.integers(0, 8, 400),
    ]
)
"""Two columns of long tails, a normal one, and one of few values."""


@pytest.mark.parametrize("power", [-1.0, 0.0, 0.5, 1.0, 2.0, 3.0])
def test_values_are_those_of_scipy(power: float) -> None:
    values = np.linspace(-4, 5, 37)
    np.testing.assert_allclose(
        yeo_johnson(values, power), scipy.stats.yeojohnson(values, power), rtol=1e-12, atol=1e-14
    )


def test_long_tails_are_drawn_in_and_other_columns_stay() -> None:
    transform = fit_inputs(TAILED)
    assert transform.columns.tolist() == [0, 1]
    assert transform.power[0] < 0.5 and transform.power[1] > 1.5
    found = transform(TAILED)
    assert np.abs(scipy.stats.skew(found[:, :2])).max() < 0.3 < np.abs(scipy.stats.skew(TAILED[:, :2])).min()
    np.testing.assert_allclose(found[:, :2].mean(axis=0), 0, atol=1e-12)
    np.testing.assert_allclose(found[:, :2].std(axis=0), 1)
    np.testing.assert_array_equal(found[:, 2:], TAILED[:, 2:])


def test_powers_are_close_to_the_likeliest() -> None:
    """scipy maximises the same likelihood without a grid."""
    transform = fit_inputs(TAILED)
    values = (TAILED[:, transform.columns] - transform.centre) / transform.scale
    likeliest = [scipy.stats.yeojohnson_normmax(column) for column in values.T]
    np.testing.assert_allclose(transform.power, likeliest, atol=0.13)


def test_normal_columns_are_hardly_ever_transformed() -> None:
    """At most 1 in 100 of 2,000 normal columns, where 1 in 600 is expected: false alarms of this test below 1e-6."""
    rng = np.random.default_rng(1)
    count = sum(fit_inputs(rng.standard_normal((150, 100))).columns.size for _ in range(20))
    assert count <= 20


@pytest.mark.parametrize("far", [1e9, 1e200, 1.7e308])
def test_values_far_away_stay_finite_and_in_order(far: float) -> None:
    transform = fit_inputs(TAILED)
    x = np.repeat(np.array([-far, -10.0, 0.0, 10.0, far])[:, None], 4, axis=1)
    found = transform(x)[:, :2].astype(np.float32)
    assert np.isfinite(found).all() and (np.diff(found, axis=0) >= 0).all()
    assert (np.diff(found[1:4], axis=0) > 0).all()


def test_the_transform_is_the_one_that_stored_draws_were_made_with() -> None:
    """Predictions learn it anew. Where it becomes another, raise `bnn.mcmc.SAMPLER_VERSION` and store the new one."""
    x = np.exp(np.linspace(-2.5, 2.5, 101))[:, None]
    transform = fit_inputs(x)
    found = [float(getattr(transform, name)[0]) for name in ("centre", "scale", "power", "mean", "sd")]
    expected = [1.0, 2.374972691328133, -0.75, 0.09411704221650985, 0.49799773380099716]
    assert found == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("gross", [-1000.0, 1e160])
def test_a_gross_error_does_not_spoil_the_unit_of_the_others(gross: float) -> None:
    """Nor does one that is not among the rows from which powers are learned."""
    x = RNG.lognormal(size=(10_000, 1))
    x[1] = gross
    transform = fit_inputs(x)
    found = transform(x)
    assert np.isfinite(found).all()
    assert 0.8 < np.delete(found, 1).std() < 1.2 and transform.columns.tolist() == [0]


@pytest.mark.parametrize("x", [np.ones((30, 0)), np.ones((30, 2)), np.zeros((1, 3))])
def test_a_table_without_tails_has_no_transform(x: np.ndarray) -> None:
    transform = fit_inputs(x)
    assert transform.columns.size == 0
    np.testing.assert_array_equal(transform(x), x)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_network_is_that_of_transformed_inputs(engine: str) -> None:
    """Forward and backward, and the trunk of which an output layer is integrated out."""
    if engine == "numba":
        pytest.importorskip("numba")
    transform = fit_inputs(TAILED)
    of_inputs, plain = (
        Network((4, 5, 1), activation="tanh", dtype="float64", engine=engine, inputs=inputs)
        for inputs in (transform, None)
    )
    layout = ParameterLayout(plain.parameter_shapes)
    theta = RNG.normal(size=(2, layout.n_params))
    np.testing.assert_array_equal(outputs(of_inputs, theta, TAILED), outputs(plain, theta, transform(TAILED)))
    for network, reference in ((of_inputs, plain), (of_inputs.trunk, plain.trunk)):
        assert network is not None and reference is not None
        layout = ParameterLayout(reference.parameter_shapes)
        theta = RNG.normal(size=(2, layout.n_params))
        grads = []
        for one, x in ((network, TAILED), (reference, transform(TAILED))):
            passes = one.passes(x, layout)
            passes.load(theta)
            grad = np.zeros_like(theta)
            for tile in range(len(passes.tiles)):
                passes.backward(tile, np.ones_like(passes.forward(tile)))
            passes.add_gradient(grad)
            grads.append(grad)
        np.testing.assert_array_equal(grads[0], grads[1])


def test_coordinates_turn_to_the_principal_axes_of_transformed_inputs() -> None:
    x = np.exp(np.column_stack([TAILED[:, 2], TAILED[:, 2] + 0.5 * RNG.normal(size=400)]))
    transform = fit_inputs(x)
    network = Network((2, 3, 1), activation="tanh", dtype="float64", inputs=transform)
    likelihood = Gaussian(noise_scale=1.0, log_noise_mean=0.0, log_noise_sd=1.0)
    side = BlockPriorSettings("normal", 1.0, 4.0)
    settings = PriorSettings(side, side, fan_in_scaling=True, learned_scales="none")
    prior = make_prior(network, likelihood, settings)
    posterior = Posterior(network, likelihood, prior, x=x, y=x[:, 0])
    coordinates = Coordinates(posterior, principal_axes=True)
    axes = coordinates.to_theta(np.eye(prior.layout.n_params))[:, prior.layout.slices["weight_0"]]
    # The first unit's weights of both inputs, of the two coordinates that move them.
    turn = axes.reshape(-1, 2, 3)[:, :, 0]
    turn = turn[np.abs(turn).sum(axis=1) > 0]
    assert turn.shape == (2, 2)
    np.testing.assert_allclose(np.corrcoef((transform(x) @ turn.T).T)[0, 1], 0, atol=1e-10)


@pytest.mark.parametrize("asked", ["none", "auto"])
def test_a_transform_is_made_where_it_is_asked_for_alone(asked: str) -> None:
    settings = NetworkSettings(hidden=(3,), activation="tanh", precision="float64", engine="numpy")
    assert make_network(replace(settings, input_transform=asked), TAILED, n_outputs=1).inputs is None
    made = make_network(replace(settings, input_transform=YEO_JOHNSON), TAILED, n_outputs=1).inputs
    assert made is not None and made.columns.tolist() == [0, 1]


def test_settings_from_before_there_was_a_transform_have_none() -> None:
    old = {"hidden": [3], "activation": "tanh", "precision": "float64", "engine": "numpy"}
    assert build(NetworkSettings, old).input_transform == "none"
