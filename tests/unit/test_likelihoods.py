"""Likelihoods: densities against SciPy, gradients against central differences, noise against its variance."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import special, stats

from bnn.model.categorical import Categorical
from bnn.model.likelihoods import (
    Gaussian,
    HeteroscedasticGaussian,
    HeteroscedasticStudentT,
    Likelihood,
    RegressionLikelihood,
    StudentT,
)
from bnn.model.posterior import make_likelihood, make_network
from tests.unit.synthetic_chains import LIKELIHOOD, NETWORK, make_dataset

PRIOR = {"log_noise_mean": -0.7, "log_noise_sd": 1.0}
LIKELIHOODS: dict[str, Likelihood] = {
    "categorical": Categorical(3),
    "two classes": Categorical(2),
    "gaussian": Gaussian(noise_scale=None, **PRIOR),
    "gaussian, known": Gaussian(noise_scale=0.6, **PRIOR),
    "student_t": StudentT(df=2.5, noise_scale=None, **PRIOR),
    "student_t, known": StudentT(df=5.0, noise_scale=0.6, **PRIOR),
    "heteroscedastic": HeteroscedasticGaussian(log_noise_mean=-0.7, log_noise_sd=0.6),
    "heteroscedastic_student_t": HeteroscedasticStudentT(df=2.5, log_noise_mean=-0.7, log_noise_sd=0.6),
}
REAL = [name for name, like in LIKELIHOODS.items() if isinstance(like, RegressionLikelihood)]


def example(name, *, n_chains=3, n_obs=11, seed=0):
    """Return a likelihood, and an output, a target and own parameters for it."""
    like, rng = LIKELIHOODS[name], np.random.default_rng(seed)
    output = rng.standard_normal((n_chains, like.n_outputs, n_obs))
    y = rng.standard_normal(n_obs) if name in REAL else rng.integers(0, like.n_outputs, n_obs)
    return like, output, y, {own: rng.normal(-0.5, 0.3, n_chains) for own in like.parameter_priors}


@pytest.mark.parametrize("name", LIKELIHOODS)
def test_gradients_are_central_differences(name):
    like, output, y, parameters = example(name)
    target, step = like.encode(y), 1e-6
    assert target.shape[-1] == len(y)
    before = output.copy()
    total, grad, own = like.total_and_grad(output, target, parameters)
    assert np.array_equal(output, before), "the output was changed"
    assert total.shape == (3,)
    assert grad.shape == output.shape
    assert set(own) == set(like.parameter_priors)

    def sums(values, changed):
        return like.pointwise(values, target, changed).sum(axis=-1)

    assert np.allclose(total, sums(output, parameters), rtol=1e-12)
    for index in np.ndindex(output.shape[1:]):
        shift = np.zeros_like(output)
        shift[:, *index] = step
        numeric = (sums(output + shift, parameters) - sums(output - shift, parameters)) / (2 * step)
        assert np.allclose(grad[:, *index], numeric, rtol=1e-6, atol=1e-7)
    for key, value in parameters.items():
        up, down = ({key: value + change} for change in (step, -step))
        numeric = (sums(output, up) - sums(output, down)) / (2 * step)
        assert np.allclose(own[key], numeric, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("name", LIKELIHOODS)
def test_float32_is_float64_to_rounding(name):
    like, output, y, parameters = example(name, n_obs=5000)
    target = like.encode(y)
    total, grad, own = like.total_and_grad(output, target, parameters)
    single = like.total_and_grad(output.astype(np.float32), target, parameters)
    assert (single[0].dtype, single[1].dtype) == (np.float64, np.float32)
    # Each term of the sum rounds by about 1e-7 of its size, in either direction.
    assert np.allclose(single[0], total, rtol=1e-6)
    assert np.allclose(single[1], grad, rtol=1e-4, atol=1e-5)
    for key, value in own.items():
        assert single[2][key].dtype == np.float64
        assert np.allclose(single[2][key], value, rtol=1e-5, atol=1e-2)


@pytest.mark.parametrize("name", LIKELIHOODS)
def test_each_chain_may_have_its_own_target(name):
    like, output, y, parameters = example(name)
    targets = np.stack([like.encode(np.roll(y, shift)) for shift in range(3)])
    pointwise = like.pointwise(output, targets, parameters)
    total, grad, own = like.total_and_grad(output, targets, parameters)
    for chain in range(3):
        mine = {key: value[[chain]] for key, value in parameters.items()}
        alone = like.total_and_grad(output[[chain]], targets[chain], mine)
        assert np.allclose(like.pointwise(output[[chain]], targets[chain], mine), pointwise[chain])
        assert np.allclose(alone[0], total[chain], rtol=1e-12)
        assert np.allclose(alone[1][0], grad[chain], rtol=1e-12)
        assert all(np.allclose(alone[2][key], own[key][chain], rtol=1e-12) for key in own)


def test_densities_are_those_of_scipy():
    for name in ("student_t", "student_t, known"):
        like, output, y, parameters = example(name)
        assert isinstance(like, StudentT)
        scale = np.exp(parameters["log_noise_scale"])[:, None] if parameters else 0.6
        expected = stats.t(like.df, output[:, 0], scale).logpdf(y)
        assert np.allclose(like.pointwise(output, like.encode(y), parameters), expected, rtol=1e-12)
    like, output, y, _ = example("heteroscedastic_student_t")
    expected = stats.t(2.5, output[:, 0], np.exp(-0.7 + 0.6 * output[:, 1])).logpdf(y)
    assert np.allclose(like.pointwise(output, like.encode(y), {}), expected, rtol=1e-12)
    like, output, y, _ = example("heteroscedastic")
    expected = stats.norm(output[:, 0], np.exp(-0.7 + 0.6 * output[:, 1])).logpdf(y)
    assert np.allclose(like.pointwise(output, like.encode(y), {}), expected, rtol=1e-12)
    like, output, y, _ = example("categorical")
    expected = special.log_softmax(output, axis=1)[:, y, np.arange(len(y))]
    assert np.allclose(like.pointwise(output, like.encode(y), {}), expected, rtol=1e-12)


@pytest.mark.parametrize("name", REAL)
def test_noise_has_the_variance_and_the_shape_of_the_density(name):
    like, output, _, parameters = example(name, n_obs=2)
    assert isinstance(like, RegressionLikelihood)
    sd = like.noise_sd(output, parameters)
    assert sd.shape == ((3, 2) if like.noise_varies else (3, 1))
    # The variance of the density itself, by quadrature about the mean of the first row of the second chain. Tails of
    # 2.5 degrees of freedom reach far: points are spaced by their logarithm.
    distance = np.logspace(-8, 8, 40_001)
    one = np.repeat(output[1:2, :, :1], len(distance), axis=2)
    mine = {key: value[1:2] for key, value in parameters.items()}
    density = np.exp(like.pointwise(one, one[0, 0] + distance, mine))[0]
    assert 2 * np.trapezoid(density, distance) == pytest.approx(1.0, rel=1e-5)
    assert 2 * np.trapezoid(density * distance**2, distance) == pytest.approx(sd[1, 0] ** 2, rel=1e-3)
    noise = like.sample_noise((200, 100), np.random.default_rng(4))
    df = getattr(like, "df", np.inf)
    standard = stats.norm() if df == np.inf else stats.t(df, scale=np.sqrt((df - 2) / df))
    # Kolmogorov-Smirnov at a false-alarm rate of 1e-4; a scale 10 % off has p < 1e-10.
    assert stats.kstest(noise.ravel(), standard.cdf).pvalue > 1e-4
    assert stats.kstest(1.1 * noise.ravel(), standard.cdf).pvalue < 1e-4


def test_student_t_of_many_degrees_of_freedom_is_gaussian():
    like, output, y, parameters = example("gaussian")
    student = StudentT(df=1e7, noise_scale=None, **PRIOR)
    total, grad, own = student.total_and_grad(output, y, parameters)
    expected, expected_grad, expected_own = like.total_and_grad(output, y, parameters)
    assert np.allclose(total, expected, rtol=1e-5)
    assert np.allclose(grad, expected_grad, rtol=1e-5)
    assert np.allclose(own["log_noise_scale"], expected_own["log_noise_scale"], rtol=1e-5, atol=1e-5)
    assert isinstance(like, Gaussian)
    assert np.allclose(student.noise_sd(output, parameters), like.noise_sd(output, parameters), rtol=1e-6)


def test_an_outlier_pulls_student_t_less():
    output, y, parameters = np.zeros((1, 1, 1)), np.array([30.0]), {"log_noise_scale": np.zeros(1)}
    pull = {
        name: LIKELIHOODS[name].total_and_grad(output, y, parameters)[1] for name in ("gaussian", "student_t")
    }
    assert pull["gaussian"].item() == pytest.approx(30.0)
    assert 0 < pull["student_t"].item() < 0.2


def test_noise_without_variance_is_refused():
    with pytest.raises(ValueError, match="degrees of freedom"):
        StudentT(df=2.0, noise_scale=None, **PRIOR)
    with pytest.raises(ValueError, match="degrees of freedom"):
        HeteroscedasticStudentT(df=2.0, log_noise_mean=-0.7, log_noise_sd=0.6)


def test_the_config_chooses_the_family_and_the_outputs():
    table, classes = make_dataset("regression"), make_dataset("classification")
    kinds = {
        "gaussian": Gaussian,
        "student_t": StudentT,
        "heteroscedastic": HeteroscedasticGaussian,
        "heteroscedastic_student_t": HeteroscedasticStudentT,
    }
    for family, kind in kinds.items():
        section = replace(LIKELIHOOD, family=family, df=7.0)
        like = make_likelihood(section, n_classes=None)
        assert type(like) is kind
        assert make_network(NETWORK, np.zeros((1, 2)), n_outputs=like.n_outputs).sizes == (
            2,
            3,
            like.n_outputs,
        )
        assert isinstance(make_likelihood(section, n_classes=3), Categorical)
    # The baseline has one mean, whatever the noise of the Bayesian network.
    assert make_network(NETWORK, table.x_train, n_outputs=table.n_outputs).sizes == (2, 3, 1)
    assert make_network(NETWORK, classes.x_train, n_outputs=classes.n_outputs).sizes == (2, 3, 3)
    student = make_likelihood(replace(LIKELIHOOD, family="student_t", df=7.0, noise=0.5), n_classes=None)
    varying = make_likelihood(replace(LIKELIHOOD, family="heteroscedastic_student_t", df=7.0), n_classes=None)
    assert isinstance(varying, HeteroscedasticStudentT)
    assert varying.df == 7.0
    assert isinstance(student, StudentT)
    assert (student.df, student.noise_scale, student.parameter_priors) == (7.0, 0.5, {})
    with pytest.raises(ValueError, match="'cauchy'"):
        make_likelihood(replace(LIKELIHOOD, family="cauchy"), n_classes=None)
