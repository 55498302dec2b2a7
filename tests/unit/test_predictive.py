"""From draws to predictive distributions: identities, SciPy, and independence of how draws are cut into blocks."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import special, stats

from bnn.core.errors import ResultError
from bnn.posterior import predictive
from bnn.posterior import predictor as predictor_module
from bnn.posterior.predictor import make_predictor, sample_classes
from tests.refusals import refused
from tests.unit.synthetic_chains import LIKELIHOOD, NETWORK, independent_theta, layout_of, make_dataset


@pytest.fixture
def rng():
    return np.random.default_rng(3)


@pytest.fixture(params=["one block", "many blocks"])
def block_bytes(request, monkeypatch):
    monkeypatch.setattr(predictor_module, "BLOCK_BYTES", 2**25 if request.param == "one block" else 2**11)


@pytest.mark.usefixtures("block_bytes")
def test_entropies_are_those_of_scipy_and_add_up(rng):
    probability = rng.dirichlet([0.4, 0.6, 1.0], size=(3, 50, 11)).astype(np.float32)
    found = predictive.class_summary(probability)
    exact = probability.astype(np.float64)
    assert np.allclose(found.probability, exact.mean(axis=(0, 1)), rtol=1e-12)
    normed = exact / exact.sum(axis=-1, keepdims=True)
    assert np.allclose(found.total, stats.entropy(normed.mean(axis=(0, 1)), axis=-1), atol=1e-6)
    assert np.allclose(found.aleatoric, stats.entropy(normed, axis=-1).mean(axis=(0, 1)), atol=1e-6)
    assert np.allclose(found.total, found.aleatoric + found.epistemic, rtol=1e-12)
    assert (found.epistemic > 0).all()


def test_certainty_has_no_entropy_and_draws_that_disagree_are_all_epistemic():
    certain = np.zeros((1, 2, 1, 2))
    certain[0, 0, 0] = [1.0, 0.0]
    certain[0, 1, 0] = [0.0, 1.0]
    found = predictive.class_summary(certain)
    assert found.aleatoric[0] == 0
    assert found.epistemic[0] == pytest.approx(np.log(2))
    assert predictive.class_summary(certain[:, :1]).total[0] == 0


@pytest.mark.usefixtures("block_bytes")
def test_variance_of_new_observations_is_the_law_of_total_variance(rng):
    mean = 5 + 2 * rng.standard_normal((2, 4000, 3))
    noise_scale = rng.uniform(0.5, 1.5, size=(2, 4000))
    found = predictive.target_summary(mean, noise_scale)
    assert np.allclose(found.mean, mean.mean(axis=(0, 1)), rtol=1e-12)
    assert np.allclose(found.epistemic, mean.reshape(-1, 3).var(axis=0), rtol=1e-12)
    assert np.allclose(found.aleatoric, np.mean(noise_scale**2), rtol=1e-12)
    assert np.allclose(found.total, found.aleatoric + found.epistemic, rtol=1e-12)
    new = mean + noise_scale[..., None] * rng.standard_normal(mean.shape)
    # A variance of 8,000 draws has a relative standard error of sqrt(2/8000) = 1.6 %.
    assert np.allclose(new.var(axis=(0, 1)), found.total, rtol=0.08)


@pytest.mark.usefixtures("block_bytes")
def test_noise_that_depends_on_the_row_is_aleatoric_row_by_row(rng):
    mean = rng.standard_normal((2, 50, 3))
    noise_sd = rng.uniform(0.5, 1.5, size=(2, 50, 3)) * np.array([1.0, 2.0, 4.0])
    found = predictive.target_summary(mean, noise_sd)
    assert np.allclose(found.aleatoric, np.mean(noise_sd**2, axis=(0, 1)), rtol=1e-12)
    assert np.allclose(found.total, found.aleatoric + found.epistemic, rtol=1e-12)
    same = np.repeat(noise_sd[..., :1], 3, axis=2)
    assert np.allclose(
        predictive.target_summary(mean, same).total, predictive.target_summary(mean, same[..., 0]).total
    )


@pytest.mark.usefixtures("block_bytes")
@pytest.mark.parametrize("n_draws", [1, 2, 7, 100])
def test_intervals_are_quantiles_of_numpy(rng, n_draws):
    draws = rng.standard_normal((2, n_draws, 6))
    lower, upper = predictive.central_intervals(draws, (0.5, 0.9, 0.95))
    flat = draws.reshape(-1, 6)
    assert np.allclose(lower, np.quantile(flat, [0.25, 0.05, 0.025], axis=0), rtol=1e-9, atol=1e-12)
    assert np.allclose(upper, np.quantile(flat, [0.75, 0.95, 0.975], axis=0), rtol=1e-9, atol=1e-12)


def test_mixture_density_is_a_log_of_a_mean_even_far_out(rng):
    log_density = rng.normal(-2000, 30, size=(2, 20, 4))
    expected = special.logsumexp(log_density.reshape(-1, 4), axis=0) - np.log(40)
    assert np.allclose(predictive.mixture_log_density(log_density), expected, rtol=1e-12)
    log_density[..., 0] = -np.inf
    log_density[0, 0, 1] = np.nan
    found = predictive.mixture_log_density(log_density)
    assert found[0] == -np.inf
    assert np.isnan(found[1])


def test_classes_are_drawn_as_often_as_they_should(rng):
    probability = np.array([[0.2, 0.0, 0.5, 0.3], [1.0, 0.0, 0.0, 0.0]])
    drawn = sample_classes(np.broadcast_to(probability, (20_000, 2, 4)), rng)
    counts = np.bincount(drawn[:, 0], minlength=4)
    assert counts[1] == 0
    expected = 20_000 * probability[0, [0, 2, 3]]
    # The seed is fixed; over seeds a right sampler would fail here once in 10,000.
    assert stats.chisquare(counts[[0, 2, 3]], expected).pvalue > 1e-4
    assert (drawn[:, 1] == 0).all()


@pytest.mark.parametrize("task", ["classification", "regression"])
@pytest.mark.parametrize("precision", ["float64", "float32"])
def test_stream_is_the_network_in_original_units(task, precision):
    dataset = make_dataset(task)
    predictor = make_predictor(dataset, network=replace(NETWORK, precision=precision), likelihood=LIKELIHOOD)
    theta = independent_theta(dataset, n_chains=1, n_draws=5)[0]
    (block,) = predictor.stream(theta, dataset.x_test, dataset.y_test)
    assert block.draws == slice(0, 5)
    blocks = predictor.layout.unpack(theta[3])
    hidden = np.tanh(dataset.x_test @ blocks["weight_0"] + blocks["bias_0"])
    output = hidden @ blocks["weight_1"] + blocks["bias_1"]
    tolerance = 1e-12 if precision == "float64" else 1e-5
    assert block.value.dtype == np.float64
    assert block.log_density is not None
    if task == "classification":
        probability = special.softmax(output, axis=1)
        assert np.allclose(block.value[3], probability, rtol=tolerance)
        log_density = np.log(probability[np.arange(5), dataset.y_test])
    else:
        mean, scale = 20 + 5 * output[:, 0], 5 * np.exp(blocks["log_noise_scale"])
        assert np.allclose(block.value[3], mean, rtol=tolerance)
        log_density = stats.norm.logpdf(20 + 5 * dataset.y_test, mean, scale)
    assert np.allclose(block.log_density[3], log_density, rtol=10 * tolerance, atol=10 * tolerance)


@pytest.mark.parametrize("task", ["classification", "regression"])
def test_blocks_change_nothing(task, monkeypatch):
    dataset = make_dataset(task)
    predictor = make_predictor(dataset, network=NETWORK, likelihood=LIKELIHOOD)
    theta = independent_theta(dataset, n_chains=1, n_draws=33)[0]

    def collect(block_bytes):
        monkeypatch.setattr(predictor_module, "BLOCK_BYTES", block_bytes)
        rng = np.random.default_rng(5)
        blocks = list(predictor.stream(theta, dataset.x_train))
        assert all(block.log_density is None for block in blocks)
        drawn = [predictor.sample(block, rng) for block in blocks]
        return len(blocks), np.concatenate([block.value for block in blocks]), np.concatenate(drawn)

    (one, values, drawn), (many, other_values, other_drawn) = collect(2**25), collect(1000)
    assert one == 1
    assert many > 5
    assert np.array_equal(values, other_values)
    assert np.array_equal(drawn, other_drawn)


def test_noise_is_the_sampled_one_or_a_known_constant():
    dataset = make_dataset("regression")
    theta = independent_theta(dataset, n_chains=2, n_draws=4)
    sampled = make_predictor(dataset, network=NETWORK, likelihood=LIKELIHOOD)
    assert np.allclose(sampled.noise_scale(theta), np.exp(theta[..., -1]), rtol=1e-12)
    known = make_predictor(dataset, network=NETWORK, likelihood=replace(LIKELIHOOD, noise=0.25))
    assert known.layout.n_params == theta.shape[-1] - 1
    assert np.allclose(known.noise_scale(theta[..., :-1]), np.full((2, 4), 0.25), rtol=1e-12)
    with pytest.raises(ValueError, match="noise scale"):
        table = make_dataset("classification")
        make_predictor(table, network=NETWORK, likelihood=LIKELIHOOD).noise_scale(theta)


@pytest.mark.usefixtures("block_bytes")
def test_grid_has_the_moments_and_quantiles_of_the_mixture(rng):
    dataset = make_dataset("regression")
    predictor = make_predictor(dataset, network=NETWORK, likelihood=LIKELIHOOD)
    theta = independent_theta(dataset, n_chains=2, n_draws=2000)
    x = np.stack([np.linspace(-3, 3, 5), np.zeros(5)], axis=1)
    found = predictive.predict_grid(predictor, theta, x, levels=(0.5, 0.9), rng=rng)
    mean = predictive.predict_draws(predictor, theta, x)
    assert mean.shape == (2, 2000, 5)
    expected = predictive.target_summary(mean, 5 * np.exp(theta[..., -1]))
    for name in ("mean", "total", "aleatoric", "epistemic"):
        assert np.allclose(getattr(found.summary, name), getattr(expected, name), rtol=1e-12)
    assert found.levels == (0.5, 0.9)
    assert found.lower.shape == found.upper.shape == (2, 5)
    scale = 5 * np.exp(theta[..., -1:])
    for level, lower, upper in zip(found.levels, found.lower, found.upper, strict=True):
        inside = (stats.norm.cdf(upper, mean, scale) - stats.norm.cdf(lower, mean, scale)).mean(axis=(0, 1))
        # 4,000 draws: a quantile's probability has a standard error of at most sqrt(0.25 / 4000) = 0.8 %.
        assert np.allclose(inside, level, atol=0.04)


@pytest.mark.usefixtures("block_bytes")
@pytest.mark.parametrize("family", ["gaussian", "student_t", "heteroscedastic", "heteroscedastic_student_t"])
def test_each_family_predicts_its_own_noise(family, rng):
    """Densities are those of SciPy, and new observations have the variance and the quantiles that are claimed."""
    dataset = make_dataset("regression")
    likelihood = replace(LIKELIHOOD, family=family, df=6.0)
    layout = layout_of(dataset, likelihood)
    predictor = make_predictor(dataset, network=NETWORK, likelihood=likelihood)
    theta = independent_theta(dataset, n_chains=1, n_draws=8000, layout=layout)
    blocks = list(predictor.stream(theta[0], dataset.x_test, dataset.y_test))
    mean = np.concatenate([block.value for block in blocks])
    noise_sd = np.concatenate([block.noise_sd for block in blocks])
    parameters = layout.unpack(theta[0])
    output = predictor.network.forward(parameters, dataset.x_test)
    assert np.allclose(mean, 20 + 5 * output[:, 0], rtol=1e-12)
    is_heavy = family.endswith("student_t")
    if family.startswith("heteroscedastic"):
        scale = 5 * np.exp(-1.0 + output[:, 1])
        assert predictor.noise_varies
    else:
        scale = 5 * np.exp(parameters["log_noise_scale"])[:, None]
        assert not predictor.noise_varies
    assert np.allclose(noise_sd, scale * (np.sqrt(6 / 4) if is_heavy else 1.0), rtol=1e-12)
    density = stats.t(6.0, mean, scale) if is_heavy else stats.norm(mean, scale)
    found = np.concatenate([block.log_density for block in blocks])
    assert np.allclose(found, density.logpdf(20 + 5 * dataset.y_test), rtol=1e-9, atol=1e-9)
    new = np.concatenate([predictor.sample(block, rng) for block in blocks])
    uniform = density.cdf(new)
    # 40,000 numbers; over seeds a right sampler would fail here once in 10,000.
    assert stats.kstest(uniform.ravel(), "uniform").pvalue > 1e-4
    summary = predictive.target_summary(
        mean[None], noise_sd[None] if predictor.noise_varies else noise_sd[None, :, 0]
    )
    # A variance of 8,000 draws of kurtosis up to 20 has a relative standard error of up to 5 %.
    assert np.allclose(new.var(axis=0), summary.total, rtol=0.2)
    assert np.mean(new.var(axis=0) / summary.total) == pytest.approx(1.0, abs=0.1)
    grid = predictive.predict_grid(predictor, theta, dataset.x_test, levels=(0.9,), rng=rng)
    for name in ("mean", "total", "aleatoric", "epistemic"):
        assert np.allclose(getattr(grid.summary, name), getattr(summary, name), rtol=1e-9), name
    inside = (density.cdf(grid.upper[0]) - density.cdf(grid.lower[0])).mean(axis=0)
    # A quantile's probability from 8,000 draws has a standard error of at most sqrt(0.05 * 0.95 / 8000) = 0.25 %.
    assert np.allclose(inside, 0.9, atol=0.015)


def test_noise_of_a_row_has_no_single_scale_and_classes_have_no_grid(rng):
    dataset = make_dataset("regression")
    predictor = make_predictor(
        dataset, network=NETWORK, likelihood=replace(LIKELIHOOD, family="heteroscedastic")
    )
    assert predictor.network.sizes == (2, 3, 2)
    with pytest.raises(ValueError, match="scale"):
        predictor.noise_scale(np.zeros((1, predictor.layout.n_params)))
    table = make_dataset("classification")
    classes = make_predictor(table, network=NETWORK, likelihood=LIKELIHOOD)
    with pytest.raises(ValueError, match="mean"):
        predictive.predict_grid(
            classes, np.zeros((1, 1, classes.layout.n_params)), table.x_test, levels=(0.9,), rng=rng
        )


def test_scales_of_the_prior_do_not_change_predictions():
    dataset = make_dataset("regression")
    layout = layout_of(dataset, learned_scales="ard")
    assert layout.shapes["log_prior_scale_weight_0"] == (2,)
    theta = independent_theta(dataset, n_chains=1, n_draws=4, layout=layout)
    plain = make_predictor(dataset, network=NETWORK, likelihood=LIKELIHOOD)
    learned = make_predictor(dataset, network=NETWORK, likelihood=LIKELIHOOD, layout=layout)
    expected = predictive.predict_draws(plain, theta[..., : plain.layout.n_params], dataset.x_test)
    assert np.array_equal(predictive.predict_draws(learned, theta, dataset.x_test), expected)
    other = layout_of(dataset, replace(LIKELIHOOD, noise=0.5), "ard")
    with refused("other-parameters", kind=ResultError):
        make_predictor(dataset, network=NETWORK, likelihood=LIKELIHOOD, layout=other)


def test_draws_of_probabilities_keep_chains_apart():
    dataset = make_dataset("classification")
    predictor = make_predictor(dataset, network=NETWORK, likelihood=LIKELIHOOD)
    theta = independent_theta(dataset, n_chains=3, n_draws=6)
    together = predictive.predict_draws(predictor, theta, dataset.x_test)
    assert together.shape == (3, 6, 5, 3)
    assert np.array_equal(together[2:], predictive.predict_draws(predictor, theta[2:], dataset.x_test))
    assert np.allclose(together.sum(axis=-1), 1.0, rtol=1e-12)
