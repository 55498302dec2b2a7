"""The compiled engine of small networks for classes: what it promises, against NumPy's."""

import os
import platform
import subprocess
import sys
from itertools import product

import numpy as np
import pytest

from bnn.core.settings import BlockPriorSettings, PriorSettings
from bnn.model.activations import ACTIVATIONS
from bnn.model.layout import ParameterLayout
from bnn.model.likelihoods import Categorical, Gaussian
from bnn.model.network import Network
from bnn.model.posterior import Posterior
from bnn.model.priors import BlockPrior, Normal, Prior, learned_scale_shapes, network_prior

compiled_lanes = pytest.importorskip("bnn.model.compiled_lanes", reason="Numba is not installed")

LANES = compiled_lanes.LANES


def make_posterior(
    *,
    sizes=(4, 9, 3),
    n_rows=37,
    activation="tanh",
    family="normal",
    learned_scales="none",
    more=None,
    engine="numba",
    dtype="float32",
):
    more = more or {}
    rng = np.random.default_rng(0)
    network = Network(sizes, activation=activation, dtype=dtype, engine=engine)
    shapes = network.parameter_shapes
    side = BlockPriorSettings(family, 0.8, 3.0)
    layout = ParameterLayout(shapes | learned_scale_shapes(shapes, learned_scales) | dict.fromkeys(more, ()))
    blocks = network_prior(shapes, PriorSettings(side, side, True, learned_scales))
    x, y = rng.standard_normal((n_rows, sizes[0])), rng.integers(0, sizes[-1], n_rows)
    return Posterior(network, Categorical(sizes[-1]), Prior(layout, blocks | more), x=x, y=y)


def make_pair(**settings):
    """Return the posterior by lanes and, exact, by NumPy."""
    ours = make_posterior(**settings)
    assert ours._lanes is not None
    return ours, make_posterior(**settings, engine="numpy", dtype="float64")


def draw(posterior, n_chains, scale=0.5):
    return scale * np.random.default_rng(1).standard_normal((n_chains, posterior.layout.n_params))


def assert_agree(ours, exact, theta, tolerance=1e-5):
    before = theta.copy()
    log_density, grad = ours.log_density_and_grad(theta)
    expected, expected_grad = exact.log_density_and_grad(theta)
    assert np.array_equal(theta, before)
    assert log_density.dtype == grad.dtype == np.float64
    assert np.allclose(log_density, expected, rtol=tolerance)
    assert np.max(np.abs(grad - expected_grad)) <= tolerance * np.max(np.abs(expected_grad))


@pytest.mark.parametrize("n_chains", [1, LANES - 1, LANES, 2 * LANES + 3])
@pytest.mark.parametrize("hidden", [(), (5,), (4, 3), (4, 3, 5), (9, 6, 7, 2)], ids=str)
@pytest.mark.parametrize("activation", list(ACTIVATIONS))
def test_agrees_with_numpy_in_double_precision(activation, hidden, n_chains):
    ours, exact = make_pair(sizes=(4, *hidden, 3), activation=activation)
    assert_agree(ours, exact, draw(ours, n_chains))
    theta = draw(ours, n_chains)
    assert np.allclose(ours.log_density(theta), ours.log_density_and_grad(theta)[0], rtol=1e-5)


@pytest.mark.parametrize("n_rows", [1, 3, 4, 17])
def test_every_width_takes_the_right_loop(n_rows):
    """The loops take rows by fours and units by threes: each remainder has code of its own."""
    for inputs, units, classes in product((1, 2, 3, 5, 8), (1, 2, 3, 4, 6), (2, 3, 4, 7)):
        ours, exact = make_pair(sizes=(inputs, units, classes), n_rows=n_rows)
        assert_agree(ours, exact, draw(ours, 2))


def test_rows_in_several_blocks(monkeypatch):
    expected = make_posterior(n_rows=101).log_density_and_grad(draw(make_posterior(), 5))
    monkeypatch.setattr(compiled_lanes, "_BLOCK_BYTES", 1)
    ours, exact = make_pair(n_rows=101)
    assert ours._lanes._after[5].shape == (4, 13, LANES)
    assert_agree(ours, exact, draw(ours, 5))
    assert np.allclose(ours.log_density_and_grad(draw(ours, 5))[1], expected[1], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("learned_scales", ["none", "layer", "ard"])
@pytest.mark.parametrize("family", ["normal", "laplace", "student_t"])
def test_every_prior(family, learned_scales):
    """Fixed normal priors are in the loops, others beside them."""
    ours, exact = make_pair(family=family, learned_scales=learned_scales)
    assert (ours.prior.normal is None) == ((family, learned_scales) != ("normal", "none"))
    assert_agree(ours, exact, draw(ours, 3))


def test_theta_may_hold_more_than_the_network():
    ours, exact = make_pair(more={"other": BlockPrior(Normal(), 1.0, 0.1)})
    assert ours.prior.normal is not None
    assert_agree(ours, exact, draw(ours, 3))


def test_one_chain_of_a_batch_equals_the_chain_alone_bit_for_bit():
    posterior = make_posterior(n_rows=101)
    theta = draw(posterior, 2 * LANES + 1)
    log_density, grad = posterior.log_density_and_grad(theta)
    for chain in range(len(theta)):
        alone, grad_alone = posterior.log_density_and_grad(theta[chain : chain + 1])
        assert alone[0] == log_density[chain]
        assert np.array_equal(grad_alone[0], grad[chain])


def test_a_second_call_starts_afresh():
    posterior = make_posterior()
    theta = draw(posterior, 3)
    log_density, grad = posterior.log_density_and_grad(theta)
    kept = grad.copy()
    posterior.log_density_and_grad(draw(posterior, LANES + 2, scale=2.0))
    again, grad_again = posterior.log_density_and_grad(theta)
    assert np.array_equal(grad, kept), "a result that was handed out changed"
    assert np.array_equal(again, log_density)
    assert np.array_equal(grad_again, grad)


@pytest.mark.parametrize("scale", [1.0, 10.0, 60.0])
def test_logits_of_any_size(scale):
    """Without a hidden layer theta is what the logits are made of; e^-87 is the smallest number that is full."""
    ours, exact = make_pair(sizes=(4, 3))
    theta = draw(ours, LANES, scale)
    assert np.abs(exact.network.forward(exact.layout.unpack(theta), exact.x)).max() > 2 * scale
    assert_agree(ours, exact, theta)


def test_many_rows_of_even_chances():
    """The product of the rows' sums, 2^1000, is near the largest number there is."""
    posterior = make_posterior(sizes=(1, 2), n_rows=1000)
    assert posterior._lanes is not None
    log_density, _ = posterior.log_density_and_grad(np.zeros((1, 4)))
    expected = -1000 * np.log(2) + posterior.log_prior(np.zeros((1, 4)))
    assert log_density == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("activation", list(ACTIVATIONS))
def test_what_is_not_finite_shows_in_its_chain_only(activation):
    posterior = make_posterior(activation=activation)
    theta = draw(posterior, 3)
    clean, clean_grad = posterior.log_density_and_grad(theta)
    for part in posterior.layout.slices.values():
        for value in (np.nan, np.inf, -np.inf):
            bad = theta.copy()
            bad[1, part.start] = value
            log_density, grad = posterior.log_density_and_grad(bad)
            assert not np.isfinite(log_density[1])
            assert not np.isfinite(grad[1]).all()
            assert np.array_equal(log_density[[0, 2]], clean[[0, 2]])
            assert np.array_equal(grad[[0, 2]], clean_grad[[0, 2]])


def test_an_overflow_and_a_row_that_is_not_a_number_show():
    """The largest number in single precision is 3.4e38; the prior alone would be finite."""
    posterior = make_posterior(activation="relu", family="laplace")
    theta = draw(posterior, 2)
    theta[0, posterior.layout.slices["weight_1"]] = 3e38
    theta[0, posterior.layout.slices["bias_0"]] = 1e4
    assert np.isfinite(posterior.log_prior(theta)).all()
    log_density, _ = posterior.log_density_and_grad(theta)
    assert not np.isfinite(log_density[0])
    assert np.isfinite(log_density[1])
    x = posterior.x.copy()
    x[3, 1] = np.nan
    posterior._lanes = posterior.network.lanes(x, posterior.layout, None)
    assert np.isnan(posterior.log_density_and_grad(theta)[0]).all()


def test_targets_that_differ_between_chains_go_the_other_way():
    ours, exact = make_pair(n_rows=20)
    labels = np.random.default_rng(8).integers(0, 3, (2, 20))
    ours.target = exact.target = np.stack([exact.likelihood.encode(y) for y in labels])
    assert_agree(ours, exact, draw(ours, 2))


@pytest.mark.parametrize(
    ("settings", "suits"),
    [
        ({"sizes": (4, 10, 3), "n_rows": 120}, True),
        ({"sizes": (4, 10, 3), "n_rows": 1200}, False),
        ({"sizes": (4, 50, 50, 3)}, False),
        ({"sizes": (1, 2), "n_rows": 1200}, False),  # more than e^709 for the product of the rows' sums
        ({"dtype": "float64"}, False),
        ({"engine": "numpy"}, False),
    ],
    ids=str,
)
def test_what_is_not_small_goes_the_other_way(settings, suits):
    ours = make_posterior(**settings)
    assert (ours._lanes is not None) == suits
    exact = make_posterior(**(settings | {"engine": "numpy", "dtype": "float64"}))
    assert_agree(ours, exact, draw(ours, 2))


def test_numbers_as_targets_go_the_other_way():
    network = Network((2, 1), activation="tanh", dtype="float32", engine="numba")
    layout = ParameterLayout(network.parameter_shapes)
    side = BlockPriorSettings("normal", 1.0, 4.0)
    prior = Prior(layout, network_prior(layout.shapes, PriorSettings(side, side, True, "none")))
    gaussian = Gaussian(noise_scale=1.0, log_noise_mean=0.0, log_noise_sd=1.0)
    assert Posterior(network, gaussian, prior, x=np.ones((3, 2)), y=np.zeros(3))._lanes is None


def test_a_theta_that_is_too_short_is_refused():
    posterior = make_posterior()
    with pytest.raises(ValueError, match="do not fit network and table"):
        posterior.log_density_and_grad(draw(posterior, 2)[:, :-1])


def test_what_is_kept_compiled_is_what_the_compiler_makes():
    """What writes the loops runs here even where an earlier run of the tests left them compiled."""
    posterior = make_posterior(sizes=(4, 9, 6, 3))
    kept = posterior.log_density_and_grad(draw(posterior, 2))
    compiled_lanes._evaluate.recompile()
    fresh = posterior.log_density_and_grad(draw(posterior, 2))
    assert np.array_equal(kept[0], fresh[0])
    assert np.array_equal(kept[1], fresh[1])


def test_what_is_kept_compiled_is_looked_up_by_the_other_file_too():
    text = compiled_lanes.Path(compiled_lanes.compiled_loops.__file__).read_bytes()
    enclosed = [cell.cell_contents for cell in compiled_lanes._evaluate.py_func.__closure__]
    assert enclosed == [compiled_lanes.hashlib.sha256(text).hexdigest()]


@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="the features are those of x86-64")
@pytest.mark.parametrize(("features", "lanes"), [("+avx,+avx2,+fma", 8), ("+sse2", 4)])
def test_lanes_of_other_processors(features, lanes, tmp_path):
    """The processor decides how many chains a vector holds: here as on one that can do less than this."""
    settings = {"NUMBA_CPU_NAME": "x86-64", "NUMBA_CPU_FEATURES": features, "NUMBA_CACHE_DIR": str(tmp_path)}
    code = (
        f"import pytest, bnn.model.compiled_lanes as lanes; assert lanes.LANES == {lanes}; "
        f"raise SystemExit(pytest.main(['-q', '-p', 'no:cacheprovider', {__file__!r}, "
        "'-k', 'agrees or every_width or bit_for_bit or finite or any_size']))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env=os.environ | settings, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert " passed" in done.stdout
