"""Families of targets that are no real number with noise on it: transforms, counts, amounts that are often 0."""

from collections.abc import Mapping

import numpy as np
import pytest
from scipy import stats
from scipy.integrate import quad

from bnn.core.errors import DataError
from bnn.core.settings import FAMILIES, BlockPriorSettings, LikelihoodSettings, NetworkSettings, PriorSettings
from bnn.model.likelihoods import LOG_DISPERSION, LOG_NOISE_SCALE, RegressionLikelihood
from bnn.model.posterior import make_likelihood, make_posterior
from bnn.model.targets import Target, fit_target, wrong_values
from bnn.posterior.predictor import Predictor
from bnn.selection.families import families_of
from tests.unit.central_differences import check_gradient
from tests.unit.synthetic_chains import LIKELIHOOD

BLOCK = BlockPriorSettings(family="normal", scale=1.0, df=4.0)
PRIOR = PriorSettings(weights=BLOCK, biases=BLOCK, fan_in_scaling=True, learned_scales="none")
NETWORK = NetworkSettings(hidden=(4,), activation="tanh", precision="float64", engine="numpy")
OTHERS = [name for name, family in FAMILIES.items() if family.form != "standardised"]


def settings(family: str) -> LikelihoodSettings:
    return LikelihoodSettings(family=family, noise="sampled", df=4.0, log_noise_mean=-1.0, log_noise_sd=1.0)


def values(family: str, n: int = 60) -> np.ndarray:
    """Return targets that the family can have, in the unit of their column."""
    rng = np.random.default_rng(3)
    form = FAMILIES[family].form
    if form == "log":
        return np.exp(rng.normal(2.0, 1.5, n))
    if form == "logit":
        return rng.beta(2.0, 5.0, n)
    if form == "count":
        return rng.negative_binomial(2, 0.3, n).astype(float)
    return np.where(rng.random(n) < 0.4, 0.0, np.exp(rng.normal(3.0, 0.7, n)))


def standardised(family: str) -> tuple[np.ndarray, Target]:
    y = values(family)
    mean, scale = float(y.mean()), float(y.std())
    return (y - mean) / scale, fit_target(family, (y - mean) / scale, mean=mean, scale=scale)


def predictor(family: str) -> tuple[Predictor, np.ndarray, Mapping[str, np.ndarray]]:
    """Return a predictor, what a network puts out for one row in two draws, and parameters."""
    _, target = standardised(family)
    likelihood = make_likelihood(settings(family), n_classes=None, target=target)
    posterior = make_posterior(
        np.zeros((60, 2)),
        standardised(family)[0],
        n_classes=None,
        network=NETWORK,
        prior=PRIOR,
        likelihood=settings(family),
        target=target,
    )
    output = np.full((2, likelihood.n_outputs, 1), [[[0.3]], [[-0.6]]])
    own = {LOG_NOISE_SCALE: np.array([-0.7, -0.2]), LOG_DISPERSION: np.array([-0.5, 0.4])}
    return Predictor(posterior.network, likelihood, posterior.layout, target), output, own


def densities(family: str, value: float) -> np.ndarray:
    """Return the density, or probability, of a value under both draws."""
    made, output, own = predictor(family)
    y = (np.array([value]) - made.target.mean) / made.target.scale
    return np.exp(np.asarray(made.block(output, own, y).log_density)[:, 0])


@pytest.mark.parametrize("family", OTHERS)
def test_gradient_is_that_of_the_log_density(family):
    y, target = standardised(family)
    x = np.random.default_rng(0).normal(size=(len(y), 2))
    posterior = make_posterior(
        x,
        y,
        n_classes=None,
        network=NETWORK,
        prior=PRIOR,
        likelihood=settings(family),
        target=target,
    )
    check_gradient(posterior)


@pytest.mark.parametrize("family", OTHERS)
def test_probability_is_one_in_all(family):
    form = FAMILIES[family].form
    if form == "count":
        found = sum(densities(family, float(count)) for count in range(400))
    else:
        end = 1.0 if form == "logit" else 1e5
        # In the log of the value the densities have no peaks that quadrature overlooks.
        found = np.array(
            [
                quad(lambda t, d=d: np.exp(t) * densities(family, np.exp(t))[d], -25, np.log(end), limit=400)[
                    0
                ]
                for d in range(2)
            ]
        )
        if form == "hurdle":
            found += densities(family, 0.0)
    assert found == pytest.approx(1.0, abs=2e-6)


@pytest.mark.parametrize("family", OTHERS)
def test_new_observations_have_the_moments_and_stay_within_the_range(family):
    """Means of 200,000: a false alarm in a million (5 standard errors)."""
    made, output, own = predictor(family)
    block = made.block(output, own)
    n = 200_000
    many = made.block(np.repeat(output, n, axis=2), own)
    drawn = made.sample(many, np.random.default_rng(5))
    for draw in range(2):
        error = drawn[draw].std() / np.sqrt(n)
        assert abs(drawn[draw].mean() - block.value[draw, 0]) < 5 * error
        spread = np.square(drawn[draw] - block.value[draw, 0])
        assert abs(spread.mean() - np.asarray(block.noise_sd)[draw, 0] ** 2) < 5 * spread.std() / np.sqrt(n)
    assert not wrong_values(family, drawn.ravel()).any()


def test_counts_are_those_of_scipy():
    for count in (0.0, 3.0, 40.0):
        made, output, own = predictor("poisson")
        mean = np.exp(made.target.location + output[:, 0, 0])
        assert densities("poisson", count) == pytest.approx(stats.poisson.pmf(count, mean))
        made, output, own = predictor("negative_binomial")
        size = np.exp(-own[LOG_DISPERSION])
        expected = stats.nbinom.pmf(count, size, size / (size + mean))
        assert densities("negative_binomial", count) == pytest.approx(expected)


def test_a_log_normal_density_is_per_unit_of_the_column():
    made, output, own = predictor("log_normal")
    target = made.target
    for value in (0.1, 7.0, 300.0):
        centre = target.location + target.spread * output[:, 0, 0]
        expected = stats.lognorm.pdf(
            value, target.spread * np.exp(own[LOG_NOISE_SCALE]), scale=np.exp(centre)
        )
        assert densities("log_normal", value) == pytest.approx(expected)


def test_shares_of_exactly_0_and_1_have_finite_densities():
    y = np.concatenate([[0.0, 1.0], values("logit_normal")])
    target = fit_target("logit_normal", y, mean=0.0, scale=1.0)
    assert np.isfinite(target.encode(y)).all() and np.isfinite(target.log_jacobian(y)).all()
    assert target.decode(target.encode(y)) == pytest.approx(y, abs=1e-12)
    step = 1e-6
    slope = (target.encode(y[2:] + step) - target.encode(y[2:] - step)) / (2 * step)
    assert target.log_jacobian(y[2:]) == pytest.approx(np.log(slope), abs=1e-6)


@pytest.mark.parametrize("family", OTHERS)
def test_targets_come_back_from_their_form(family):
    y, target = standardised(family)
    original = target.original(y)
    assert original == pytest.approx(values(family), rel=1e-9, abs=1e-9)
    if FAMILIES[family].form in ("log", "logit"):
        encoded = target.encode(y)
        assert target.decode(encoded) == pytest.approx(original)
        assert encoded.mean() == pytest.approx(0, abs=1e-12) and encoded.std() == pytest.approx(1)
        made = make_likelihood(settings(family), n_classes=None)
        assert isinstance(made, RegressionLikelihood), (
            "what was made for real targets serves: compiled, collapsed"
        )
    if FAMILIES[family].form == "hurdle":
        assert (original == 0).sum() == np.isneginf(target.encode(y)).sum() > 10


def test_a_draw_that_extrapolates_the_noise_does_not_decide_the_mean():
    target = Target(form="log", location=0.5, spread=2.0)
    mean, sd = target.moments(np.zeros(3), np.array([0.5, 1.0, 5.0]))
    assert mean[:2] == pytest.approx(np.exp([0.5 + 0.5, 0.5 + 2.0]))
    assert (mean[2], sd[2]) == (mean[1], sd[1])


def test_moments_of_wild_draws_are_numbers():
    """The prior makes them: their squares must be numbers, too."""
    for form in ("log", "hurdle"):
        mean, sd = Target(form=form).log_moments(np.array([1e4]), np.array([50.0]))
        drawn = Target(form=form).decode(np.array([1e4]))
        assert np.isfinite([mean**2, sd**2, drawn**2]).all()


@pytest.mark.parametrize(
    ("family", "value"),
    [("log_normal", 0.0), ("logit_normal", 1.1), ("poisson", -1.0), ("poisson", 0.5), ("hurdle", -0.1)],
)
def test_a_value_that_a_family_cannot_have_is_refused(family, value):
    y = np.concatenate([values(family), [value]])
    with pytest.raises(DataError) as error:
        fit_target(family, (y - y.mean()) / y.std(), mean=y.mean(), scale=y.std())
    assert error.value.code == "wrong-family" and error.value.key == "likelihood.family"


def test_families_are_told_by_the_values():
    rng = np.random.default_rng(0)
    none = np.empty(0)
    normal = rng.normal(size=300)
    assert families_of(normal, none) == ("gaussian",)
    assert families_of(normal + 100, none) == ("gaussian",)
    assert families_of(np.exp(3 * normal), none) == ("log_normal", "gaussian")
    assert families_of(np.exp(3 * normal), np.array([-1.0])) == ("gaussian",), "a test row is negative"
    for beside in (25.0, 40.0, 2.5):
        there = families_of(8 + 0.05 * normal, np.array([beside]))
        assert there == ("gaussian",), "a test row says no more than what is possible"
    counts = rng.poisson(2.0, 300).astype(float)
    assert families_of(counts, np.array([2.5])) == ("gaussian",)
    assert families_of(1 / (1 + np.exp(-normal)), none)[0] == "logit_normal"
    assert families_of(rng.poisson(2.0, 300).astype(float), none)[0] == "poisson"
    assert families_of(np.round(10_000 * (9 + normal)), none) == ("gaussian",), "whole, but large"
    assert families_of(9 + 2 * normal, none) == ("gaussian", "log_normal"), "the log bends"
    assert families_of(np.array([2.0, 19.0] * 9 + [4.5]), none) == ("gaussian", "log_normal")
    assert families_of(np.array([2.0, 20.0] * 9 + [4.5]), none) == ("log_normal", "gaussian"), "a decade"
    amounts = np.where(normal > 0, np.exp(normal), 0.0)
    assert families_of(amounts, none) == ("hurdle",)
    assert families_of(np.concatenate([np.exp(normal) + 1, [0.0]]), none) == ("gaussian",), (
        "one zero is chance"
    )
    assert families_of(np.tile([0.0, 1.0], 100), none) == ("gaussian",), "two values are classes"
    assert LIKELIHOOD.family in FAMILIES
