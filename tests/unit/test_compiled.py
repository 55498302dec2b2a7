"""The compiled engine, and what both engines promise: same gradients, tiles, chains apart, bounded memory."""

import os
import platform
import subprocess
import sys
import tracemalloc

import numpy as np
import pytest

from bnn.model import network as network_module
from bnn.model.activations import ACTIVATIONS
from bnn.model.layout import ParameterLayout
from bnn.model.network import Network
from tests.unit.test_gradients import make_posterior, relative_gradient_error

compiled = pytest.importorskip("bnn.model.compiled", reason="Numba is not installed")

LIKELIHOODS = (
    "categorical",
    "sampled_noise",
    "known_noise",
    "student_t",
    "heteroscedastic",
    "heteroscedastic_student_t",
)
ENGINES = ("numpy", "numba")
DTYPES = ("float64", "float32")
HIDDEN = [(), (5,), (4, 3), (4, 3, 5), (9, 6, 7, 2)]


@pytest.fixture
def small_tiles(monkeypatch):
    """Blocks of at most 32 rows and tiles of a few blocks, so that a hundred rows need several of both."""
    monkeypatch.setattr(compiled, "_ROWS_IN_BLOCK", 32)
    monkeypatch.setattr(compiled, "_TILE_BYTES", 2 * 24 * 8 * compiled.STRIDE)
    monkeypatch.setattr(network_module, "_TILE_BYTES", 4096)


def unfused(posterior):
    """Return the posterior with the likelihood evaluated beside the passes."""
    posterior._fused = None
    return posterior


def draw(posterior, n_chains, seed=1, scale=0.5):
    return scale * np.random.default_rng(seed).standard_normal((n_chains, posterior.layout.n_params))


@pytest.mark.parametrize("n_chains", [1, 7])
@pytest.mark.parametrize("hidden", HIDDEN, ids=str)
@pytest.mark.parametrize("activation", list(ACTIVATIONS))
@pytest.mark.parametrize("likelihood", LIKELIHOODS)
def test_gradient_of_log_density(likelihood, activation, hidden, n_chains):
    posterior = make_posterior(likelihood=likelihood, activation=activation, hidden=hidden, engine="numba")
    assert posterior._fused is not None
    assert relative_gradient_error(posterior, n_chains) <= 1e-6


@pytest.mark.parametrize("engine", ENGINES)
def test_gradient_over_several_tiles(engine, small_tiles):
    """A hundred and one rows: the last block and the last tile are short."""
    for likelihood in LIKELIHOODS:
        posterior = make_posterior(hidden=(9, 6), likelihood=likelihood, engine=engine, n_rows=101)
        assert len(posterior._passes.tiles) > 1
        assert posterior._passes.tiles[-1] != posterior._passes.tiles[0]
        assert relative_gradient_error(posterior, 3) <= 1e-6
        assert relative_gradient_error(unfused(posterior), 3) <= 1e-6


def assert_agree(ours, reference, theta, tolerance):
    before = theta.copy()
    expected, expected_grad = reference.log_density_and_grad(theta)
    for _ in range(2):
        log_density, grad = ours.log_density_and_grad(theta)
        assert np.array_equal(theta, before)
        assert log_density.dtype == grad.dtype == np.float64
        assert np.allclose(log_density, expected, rtol=tolerance)
        assert np.max(np.abs(grad - expected_grad)) <= tolerance * np.max(np.abs(expected_grad))
        assert np.allclose(ours.log_density(theta), log_density, rtol=tolerance)
        unfused(ours)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("hidden", HIDDEN, ids=str)
@pytest.mark.parametrize("activation", list(ACTIVATIONS))
def test_engines_agree(activation, hidden, dtype, small_tiles):
    """Rounding is 1e-16 or 6e-8, times a few for the sums; the single precision tanh is within 4e-7."""
    tolerance = 1e-12 if dtype == "float64" else 1e-5
    settings = {"activation": activation, "hidden": hidden, "dtype": dtype, "n_rows": 101}
    for likelihood in LIKELIHOODS:
        for n_chains in (1, 7):
            ours, reference = (
                make_posterior(**settings, likelihood=likelihood, engine=engine)
                for engine in reversed(ENGINES)
            )
            assert_agree(ours, reference, draw(ours, n_chains), tolerance)


@pytest.mark.parametrize("learned_scales", ["none", "layer", "ard"])
@pytest.mark.parametrize("family", ["normal", "laplace", "student_t"])
def test_every_prior(family, learned_scales):
    """Fixed normal priors are in the loops, others beside them."""
    settings = {"family": family, "learned_scales": learned_scales, "likelihood": "student_t"}
    ours, reference = (make_posterior(**settings, engine=engine) for engine in reversed(ENGINES))
    assert (ours.prior.normal is None) == ((family, learned_scales) != ("normal", "none"))
    assert_agree(ours, reference, draw(ours, 3), 1e-12)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("scale", [1.0, 10.0, 60.0])
def test_logits_of_any_size(scale, dtype):
    """Without a hidden layer theta is what the logits are made of; e^-87 is the smallest number that is full."""
    ours = make_posterior(hidden=(), engine="numba", dtype=dtype, n_rows=37)
    exact = make_posterior(hidden=(), n_rows=37)
    theta = draw(ours, 8, scale=scale)
    assert np.abs(exact.network.forward(exact.layout.unpack(theta), exact.x)).max() > 2 * scale
    assert_agree(ours, exact, theta, 1e-12 if dtype == "float64" else 1e-5)


def test_features_of_the_last_hidden_layer():
    """Passes of a network without the output layer: its features come out, and the gradient by them goes in."""
    whole = make_posterior(hidden=(9, 6), likelihood="known_noise", engine="numba", n_rows=37)
    theta = draw(whole, 3)
    network, layout = whole.network, whole.layout
    passes = network.trunk.passes(whole.x, layout)
    passes.load(theta)
    blocks = layout.unpack(theta)
    outputs = network.forward_layers(blocks, network.columns(whole.x))
    assert np.allclose(passes.forward(0), outputs[-2], rtol=1e-12, atol=1e-12)
    output_grad = np.random.default_rng(3).standard_normal((3, 1, 37))
    expected = np.zeros(theta.shape)
    layout.add_to(expected, network.backward(blocks, outputs, output_grad))
    passes.backward(0, blocks["weight_2"] @ output_grad)
    found = np.zeros(theta.shape)
    passes.add_gradient(found)
    last = layout.slices["weight_2"].start
    assert np.allclose(found[:, :last], expected[:, :last], rtol=1e-12, atol=1e-12)
    assert not found[:, last:].any()


@pytest.mark.parametrize(
    "sizes", [(i, j, k) for i in range(1, 9) for j in (1, 2, 3, 4, 5, 8) for k in (1, 2, 5)]
)
def test_every_width_takes_the_right_loop(sizes):
    """The loops take units and inputs by fours: what is left over has code of its own."""
    rng = np.random.default_rng(0)
    x, output_grad = rng.standard_normal((37, sizes[0])), rng.standard_normal((2, sizes[-1], 37))
    outputs, gradients = [], []
    for engine in ENGINES:
        network = Network(sizes, activation="tanh", dtype="float64", engine=engine)
        layout = ParameterLayout(network.parameter_shapes)
        passes = network.passes(x, layout)
        passes.load(np.random.default_rng(1).standard_normal((2, layout.n_params)))
        outputs.append(passes.forward(0).copy())
        passes.backward(0, output_grad)
        gradients.append(np.ones((2, layout.n_params)))
        passes.add_gradient(gradients[-1])
    assert np.allclose(outputs[0], outputs[1], rtol=1e-12, atol=1e-12)
    assert np.allclose(gradients[0], gradients[1], rtol=1e-12, atol=1e-12)


@pytest.mark.slow
@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="the features are those of x86-64")
def test_loops_of_other_processors(tmp_path):
    """The processor decides how long vectors are: here as on the one that can do least, after some compiling."""
    settings = {"NUMBA_CPU_NAME": "x86-64", "NUMBA_CPU_FEATURES": "+sse2", "NUMBA_CACHE_DIR": str(tmp_path)}
    chosen = "every_width or several_tiles"
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", __file__, "-k", chosen]
    done = subprocess.run(command, env=os.environ | settings, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert " passed" in done.stdout


@pytest.mark.parametrize("chosen", ["", "+avx512f", "+avx"])
def test_features_that_the_user_chose_stay(chosen):
    code = f"import bnn.model.compiled_loops, numba; assert numba.config.CPU_FEATURES == {chosen!r}"
    subprocess.run([sys.executable, "-c", code], env=os.environ | {"NUMBA_CPU_FEATURES": chosen}, check=True)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("engine", ENGINES)
def test_one_chain_of_a_batch_equals_the_chain_alone_bit_for_bit(engine, dtype, small_tiles):
    for likelihood in LIKELIHOODS:
        posterior = make_posterior(
            likelihood=likelihood, hidden=(16, 7, 8), dtype=dtype, engine=engine, n_rows=333
        )
        theta = draw(posterior, 4)
        log_density, grad = posterior.log_density_and_grad(theta)
        without = posterior.log_density(theta)
        for chain in range(4):
            alone, grad_alone = posterior.log_density_and_grad(theta[chain : chain + 1])
            assert alone[0] == log_density[chain]
            assert posterior.log_density(theta[chain : chain + 1])[0] == without[chain]
            assert np.array_equal(grad_alone[0], grad[chain])


@pytest.mark.parametrize("engine", ENGINES)
def test_a_second_call_starts_afresh(engine, small_tiles):
    """Arrays are used again: nothing of the call before may show, whatever its number of chains."""
    posterior = make_posterior(hidden=(6, 5), engine=engine, n_rows=101)
    theta = draw(posterior, 3)
    log_density, grad = posterior.log_density_and_grad(theta)
    kept = grad.copy()
    posterior.log_density_and_grad(draw(posterior, 3, seed=5))
    posterior.log_density_and_grad(draw(posterior, 2, seed=6))
    again, grad_again = posterior.log_density_and_grad(theta)
    assert np.array_equal(grad, kept), "a result that was handed out changed"
    assert np.array_equal(again, log_density)
    assert np.array_equal(grad_again, grad)


@pytest.mark.parametrize("engine", ENGINES)
def test_float32_is_within_1e_5_of_float64(engine):
    """Relative to the sum of the rows' terms; here some 2,000 nats."""
    for likelihood in LIKELIHOODS:
        for activation in ACTIVATIONS:
            exact, single = (
                make_posterior(
                    hidden=(16, 8),
                    activation=activation,
                    likelihood=likelihood,
                    dtype=dtype,
                    engine=engine,
                    n_rows=2000,
                )
                for dtype in DTYPES
            )
            theta = draw(exact, 3)
            (reference, reference_grad), (log_density, grad) = (
                p.log_density_and_grad(theta) for p in (exact, single)
            )
            assert np.allclose(log_density, reference, rtol=1e-5)
            assert np.max(np.abs(grad - reference_grad)) <= 1e-5 * np.max(np.abs(reference_grad))


@pytest.mark.parametrize("activation", list(ACTIVATIONS))
@pytest.mark.parametrize("dtype", DTYPES)
def test_activation_is_accurate_everywhere(dtype, activation):
    """Through a network that does nothing else: one hidden unit, weights of one."""
    z = np.concatenate([np.linspace(-20, 20, 400_001), [0.0, -1e-30, 1e-5, -300.0, 3e4]]).astype(dtype)
    network = Network((1, 1, 1), activation=activation, dtype=dtype, engine="numba")
    passes = network.passes(z[:, None], ParameterLayout(network.parameter_shapes))
    passes.load(np.array([[1.0, 0.0, 1.0, 0.0]]))
    found = np.concatenate([passes.forward(tile)[0, 0].copy() for tile in range(len(passes.tiles))])
    expected = ACTIVATIONS[activation].function(z.astype(np.float64))
    error = np.abs(found - expected) / np.maximum(1, np.abs(expected))
    assert error.max() <= (4e-7 if dtype == "float32" else 1e-15)
    if activation == "tanh":
        assert np.abs(found).max() <= 1, "its derivative, one minus the square, must not change sign"


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("activation", list(ACTIVATIONS))
@pytest.mark.parametrize("engine", ENGINES)
def test_what_is_not_finite_shows_in_its_chain_only(engine, activation, dtype):
    posterior = make_posterior(hidden=(5, 6), activation=activation, dtype=dtype, engine=engine)
    theta = draw(posterior, 3)
    clean, clean_grad = posterior.log_density_and_grad(theta)
    with np.errstate(all="ignore"):
        for part in posterior.layout.slices.values():
            for value in (np.nan, np.inf, -np.inf):
                bad = theta.copy()
                bad[1, part.start] = value
                log_density, grad = posterior.log_density_and_grad(bad)
                assert not np.isfinite(log_density[1])
                assert not np.isfinite(grad[1]).all()
                assert np.array_equal(log_density[[0, 2]], clean[[0, 2]])
                assert np.array_equal(grad[[0, 2]], clean_grad[[0, 2]])
                assert np.isnan(posterior.log_likelihood(bad)[1]) or not np.isnan(value)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("activation", list(ACTIVATIONS))
def test_a_row_that_is_not_a_number_and_an_overflow_show(activation, engine):
    posterior = make_posterior(
        activation=activation, dtype="float32", engine=engine, likelihood="known_noise"
    )
    theta = draw(posterior, 2)
    with np.errstate(all="ignore"):
        huge = theta.copy()
        # The largest number in single precision is 3.4e38.
        huge[0, posterior.layout.slices["weight_1"]] = 3e38
        huge[0, posterior.layout.slices["bias_0"]] = 1e4
        found = posterior.log_likelihood(huge)
        assert not np.isfinite(found[0])
        assert np.isfinite(found[1])
        x = posterior.x.copy()
        x[3, 1] = np.nan
        posterior._passes = posterior.network.passes(x, posterior.layout)
        assert np.isnan(posterior.log_likelihood(theta)).all()


@pytest.mark.parametrize("engine", ENGINES)
def test_targets_may_differ_between_chains(engine, small_tiles):
    """As in Geweke's test: one column of targets a chain."""
    posterior = make_posterior(likelihood="sampled_noise", engine=engine, n_rows=101)
    theta = draw(posterior, 3)
    targets = np.random.default_rng(8).standard_normal((3, 101))
    posterior.target = targets
    log_density, grad = posterior.log_density_and_grad(theta)
    for chain in range(3):
        posterior.target = targets[chain]
        alone, grad_alone = posterior.log_density_and_grad(theta[chain : chain + 1])
        assert alone[0] == pytest.approx(log_density[chain], rel=1e-13)
        assert np.allclose(grad_alone[0], grad[chain], rtol=1e-12)


@pytest.mark.parametrize("engine", ENGINES)
def test_memory_does_not_grow_with_the_table(engine):
    def peak(n_rows):
        posterior = make_posterior(hidden=(16, 16), dtype="float32", engine=engine, n_rows=n_rows)
        theta = draw(posterior, 4)
        tracemalloc.start()
        posterior.log_density_and_grad(theta)
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    peak(100)  # compiles
    assert peak(200_000) < 1.1 * peak(20_000)


def test_parameters_with_a_gap_are_refused():
    network = Network((2, 1), activation="tanh", dtype="float64", engine="numba")
    layout = ParameterLayout({"weight_0": (2, 1), "log_noise_scale": (), "bias_0": (1,)})
    with pytest.raises(ValueError, match="layout"):
        network.passes(np.zeros((3, 2)), layout)


def test_a_theta_or_a_target_that_does_not_fit_is_refused():
    posterior = make_posterior(engine="numba")
    with pytest.raises(ValueError, match="do not fit network and table"):
        posterior.log_density_and_grad(draw(posterior, 2)[:, :-1])
    posterior.target = posterior.target[:, :-1]
    with pytest.raises(ValueError, match="do not fit network and table"):
        posterior.log_density_and_grad(draw(posterior, 2))


def test_without_numba_the_error_says_what_to_do(monkeypatch):
    monkeypatch.setitem(sys.modules, "numba", None)
    for name in ("bnn.model.compiled", "bnn.model.compiled_loops"):
        monkeypatch.delitem(sys.modules, name)
    network = Network((2, 1), activation="tanh", dtype="float64", engine="numba")
    layout = ParameterLayout(network.parameter_shapes)
    with pytest.raises(ModuleNotFoundError, match="numba"):
        network.passes(np.zeros((3, 2)), layout)
    assert make_posterior(engine="numpy").log_density(np.zeros((1, 43))).shape == (1,)
