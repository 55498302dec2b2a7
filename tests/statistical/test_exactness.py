"""Kernels leave their target invariant: closed forms, joint-distribution tests, and mutants that must fail both.

Every check is a function that raises AssertionError, so that the same check is run on the real kernel and on mutants.
"""

import math

import numpy as np
import pytest
from scipy import stats

from bnn.core.progress import Silent
from bnn.core.seeding import ChainRandom
from bnn.core.settings import BlockPriorSettings, LangevinSettings, PriorSettings, SamplerSettings
from bnn.mcmc.chain import run_chains
from bnn.mcmc.kernels import langevin_gradient, make_kernel, mala, malt, mams, random_walk
from bnn.mcmc.kernels.base import (
    TransitionInfo,
    Tuning,
    log_normal_shape,
    metropolis_hastings,
    start_with_grad,
)
from bnn.model.layout import ParameterLayout
from bnn.model.likelihoods import Gaussian
from bnn.model.network import Network
from bnn.model.posterior import Posterior
from bnn.model.priors import BlockPrior, Normal, Prior, network_prior

KERNELS = ("malt", "mams", "mala", "random_walk", "langevin_gradient")
LANGEVIN = LangevinSettings(0.01, 0.1, 0.5)
N_CHAINS = 32
NOISE = 0.6


def linear_problem():
    """A linear network with known noise: posterior, and the closed forms of its posterior and of held-out densities."""
    rng = np.random.default_rng(3)
    x = rng.standard_normal((15, 2))
    y = x @ [0.8, -0.5] + 0.3 + NOISE * rng.standard_normal(15)
    network = Network((2, 1), activation="tanh", dtype="float64")
    layout = ParameterLayout(network.parameter_shapes)
    side = BlockPriorSettings("normal", 1.0, 4.0)
    blocks = network_prior(network.parameter_shapes, PriorSettings(side, side, False, "none"))
    likelihood = Gaussian(noise_scale=NOISE, log_noise_mean=0.0, log_noise_sd=1.0)
    posterior = Posterior(network, likelihood, Prior(layout, blocks), x=x, y=y)
    design = np.column_stack([x, np.ones(15)])
    covariance = np.linalg.inv(design.T @ design / NOISE**2 + np.eye(3))
    mean = covariance @ design.T @ y / NOISE**2
    held_out = np.column_stack([rng.standard_normal((6, 2)), np.ones(6)])
    y_out = held_out @ [0.8, -0.5, 0.3]
    spread = np.sqrt(NOISE**2 + np.einsum("ni,ij,nj->n", held_out, covariance, held_out))
    lppd = stats.norm(held_out @ mean, spread).logpdf(y_out)
    return posterior, mean, covariance, (held_out, y_out, lppd)


def assert_within_four_standard_errors(estimates, truth):
    """Compare the mean over independent chains, axis 0, with the truth.

    With 32 chains the statistic is Student's t with 31 degrees of freedom: P(|t| > 4) = 3.7e-4 a figure. The
    checks below look at 18 figures a kernel, so a correct kernel fails one run in 150; the seeds are fixed.
    """
    error = estimates.std(axis=0, ddof=1) / math.sqrt(len(estimates))
    difference = np.abs(estimates.mean(axis=0) - truth)
    assert np.all(difference <= 4 * error), f"off by {difference} with standard errors {error}"


def check_linear_posterior(kernel):
    posterior, mean, covariance, (held_out, y_out, lppd) = linear_problem()
    # Warm-up aims at the acceptance rate at which the uncorrected sampler is plainly biased.
    settings = SamplerSettings(
        kernel=kernel,
        warmup=600,
        draws=1500,
        thin={"malt": 1, "mams": 1, "mala": 2}.get(kernel, 5),
        most_steps=1024,
        most_gradients=None,
        init="prior",
        optimise_steps=1,
        optimise_learning_rate=0.01,
        explore=0,
        target_acceptance=None,
        trajectory_length=None,
        precondition=True,
        collapse="never",
        langevin=LANGEVIN,
        keep_precision="float64",
    )
    theta = run_chains(posterior, range(N_CHAINS), 11, settings, Silent()).theta
    assert_within_four_standard_errors(theta.mean(axis=1), mean)
    centred = theta - mean
    upper = np.triu_indices(3)
    products = np.einsum("cdi,cdj->cij", centred, centred) / theta.shape[1]
    assert_within_four_standard_errors(products[:, upper[0], upper[1]], covariance[upper])
    parameters = posterior.layout.unpack(theta.reshape(-1, 3))
    output = posterior.network.forward(parameters, held_out[:, :2])
    log_density = posterior.likelihood.pointwise(output, posterior.likelihood.encode(y_out), parameters)
    density = np.exp(log_density).reshape(*theta.shape[:2], -1)
    # Each row's predictive density over its closed form, by chain: the mean must be 1.
    assert_within_four_standard_errors(density.mean(axis=1) / np.exp(lppd), np.ones(len(lppd)))


@pytest.mark.parametrize("kernel", KERNELS)
def test_linear_network_matches_the_closed_form(kernel):
    check_linear_posterior(kernel)


def always_accept(random, current, proposed, *, log_q_forth, log_q_back):
    """Mutant: no correction."""
    random.uniform()
    log_ratio = proposed.log_density - current.log_density + log_q_back - log_q_forth
    prob = np.exp(np.minimum(0.0, log_ratio))
    return proposed, TransitionInfo(prob, np.ones(len(prob), bool), log_ratio, np.zeros(len(prob), bool))


def one_way_ratio(random, current, proposed, *, log_q_forth, log_q_back):
    """Mutant: the proposal taken for symmetric, as in the notebooks that this project starts from."""
    return metropolis_hastings(random, current, proposed, log_q_forth=0.0, log_q_back=0.0)


def variance_for_deviation(random, state, target, tuning):
    """Mutant: noise scaled by the variance in the draw, by the standard deviation in the ratio."""
    step_variance = tuning.step_size[:, None] * tuning.variance
    deviation = np.sqrt(2 * step_variance)
    mean = mala.proposal_mean(state, step_variance)
    proposed = start_with_grad(mean + deviation**2 * random.standard_normal(mean.shape[1]), target)
    back = mala.proposal_mean(proposed, step_variance)
    return metropolis_hastings(
        random,
        state,
        proposed,
        log_q_forth=log_normal_shape((proposed.position - mean) / deviation),
        log_q_back=log_normal_shape((state.position - back) / deviation),
    )


@pytest.mark.slow
@pytest.mark.parametrize("kernel", KERNELS)
def test_linear_network_catches_a_sampler_without_correction(kernel, monkeypatch):
    for module in (malt, mams, mala, random_walk, langevin_gradient):
        monkeypatch.setattr(module, "metropolis_hastings", always_accept)
    with pytest.raises(AssertionError, match="standard errors"):
        check_linear_posterior(kernel)


def test_linear_network_catches_variance_for_standard_deviation(monkeypatch):
    monkeypatch.setattr(mala, "KERNEL", mala.KERNEL._replace(step=variance_for_deviation))
    with pytest.raises(AssertionError, match="standard errors"):
        check_linear_posterior("mala")


def test_linear_network_catches_a_swapped_layout(monkeypatch):
    """Mutant: the bias is read from where the first weight lies, in density and draws apart."""
    straight = ParameterLayout.unpack

    def swapped(self, theta, names=None):
        return straight(self, theta[..., ::-1], names)

    monkeypatch.setattr(ParameterLayout, "unpack", swapped)
    with pytest.raises(AssertionError, match="standard errors"):
        check_linear_posterior("mala")


def one_unit_posterior(n_chains, rng):
    """A 1-1-1 tanh network with sampled noise, one dataset a chain, and exact draws from the joint of
    parameters and data."""
    network = Network((1, 1, 1), activation="tanh", dtype="float64")
    likelihood = Gaussian(noise_scale=None, log_noise_mean=-0.5, log_noise_sd=0.5)
    side = BlockPriorSettings("normal", 1.0, 4.0)
    blocks = network_prior(network.parameter_shapes, PriorSettings(side, side, False, "none"))
    own = likelihood.parameter_priors
    layout = ParameterLayout(network.parameter_shapes | dict.fromkeys(own, ()))
    prior = Prior(layout, blocks | own)
    x = np.linspace(-2, 2, 5)[:, None]
    posterior = Posterior(network, likelihood, prior, x=x, y=np.zeros(5))
    return posterior, prior.location + prior.scale * rng.standard_normal((n_chains, layout.n_params))


def redraw_data(posterior, theta, rng):
    parameters = posterior.layout.unpack(theta)
    mean = posterior.network.forward(parameters, posterior.x)[:, 0]
    with np.errstate(over="ignore", invalid="ignore"):  # a mutant's parameters may run away
        noise = np.exp(parameters["log_noise_scale"])[:, None] * rng.standard_normal(mean.shape)
        posterior.target = mean + noise


def check_joint_distribution(kernel, step_size, n_chains=2000, n_rounds=25):
    """Geweke's (2004) joint-distribution test with independent replications.

    Parameters and data start as an exact draw from their joint distribution. Rounds of "iteration of the
    parameters, then new data" leave that distribution as it is if the kernel is exact, so at the end the
    parameters of each chain are an exact, independent draw from the prior. Kolmogorov-Smirnov at 1e-4 on 5
    parameters and 2 function values: a correct kernel fails one run in 1,400.
    """
    rng = np.random.default_rng(5)
    posterior, theta = one_unit_posterior(n_chains, rng)
    start = theta
    random = ChainRandom([rng] * n_chains)
    tuning = Tuning(np.full(n_chains, step_size), np.ones_like(theta), np.full(n_chains, 5 * step_size))
    moved = 0.0
    for _ in range(n_rounds):
        redraw_data(posterior, theta, rng)
        with np.errstate(over="ignore", invalid="ignore"):
            state, info = kernel.step(random, kernel.start(theta, posterior), posterior, tuning)
        theta = state.position
        moved += info.accepted.mean() / n_rounds
    assert moved > 0.3, "a test on chains that hardly move shows nothing"
    z = (theta - posterior.prior.location) / posterior.prior.scale
    figures = [stats.kstest(column, stats.norm.cdf).pvalue for column in z.T]
    before, after = (
        posterior.network.forward(posterior.layout.unpack(t), np.array([[-1.0], [3.0]]))[:, 0]
        for t in (start, theta)
    )
    figures += [stats.ks_2samp(a, b).pvalue for a, b in zip(before.T, after.T, strict=True)]
    assert min(figures) > 1e-4, f"p = {min(figures):.1e}"


STEPS = {"malt": 0.2, "mams": 0.2, "mala": 0.05, "random_walk": 0.2, "langevin_gradient": 3.0}


def kernel_by_name(name):
    return make_kernel(name, langevin=LangevinSettings(0.01, 0.1, 0.7))


@pytest.mark.parametrize("name", KERNELS)
def test_joint_distribution(name):
    check_joint_distribution(kernel_by_name(name), STEPS[name])


@pytest.mark.slow
@pytest.mark.parametrize("name", KERNELS)
def test_joint_distribution_catches_a_sampler_without_correction(name, monkeypatch):
    for module in (malt, mams, mala, random_walk, langevin_gradient):
        monkeypatch.setattr(module, "metropolis_hastings", always_accept)
    with pytest.raises(AssertionError, match="p ="):
        check_joint_distribution(kernel_by_name(name), STEPS[name])


@pytest.mark.slow
@pytest.mark.parametrize("name", ["mala", "langevin_gradient"])
def test_joint_distribution_catches_a_ratio_without_the_reverse_density(name, monkeypatch):
    for module in (mala, langevin_gradient):
        monkeypatch.setattr(module, "metropolis_hastings", one_way_ratio)
    with pytest.raises(AssertionError, match="p ="):
        check_joint_distribution(kernel_by_name(name), STEPS[name])


def test_joint_distribution_catches_variance_for_standard_deviation():
    with pytest.raises(AssertionError, match="p ="):
        check_joint_distribution(mala.KERNEL._replace(step=variance_for_deviation), 0.05)


def test_start_blocks_are_what_the_prior_says():
    """The exact draws above rest on all priors of the one-unit network being normal."""
    posterior, _ = one_unit_posterior(1, np.random.default_rng(0))
    assert [family for _, family in posterior.prior.parts] == [Normal()]
    assert isinstance(posterior.likelihood.parameter_priors["log_noise_scale"], BlockPrior)
