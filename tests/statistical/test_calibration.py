"""Simulation-based calibration of every adjusted kernel and every model on a 1-3-1 network (Talts et al. 2018).

Parameters drawn from the prior make data; the rank of the drawn function values, noise scale, learned scales and log
density among draws of the posterior of these data is then uniform, if and only if the whole machine (start, warm-up,
adaptation, coordinates, kernel) samples the posterior. All replications run side by side as the chains of one batch,
each with targets of its own.

`pytest tests/statistical` runs 200 replications of the default kernel on the model with the most parts, whose output
layer is integrated out; `make calibrate` runs 1,000, of every adjusted kernel and every model, and shows that it
catches mutants.

The test needs chains that have converged in every replication, for it judges the draws, not the length of the run.
With a quarter of the iterations, or steps tuned to an acceptance of 0.4, malt and mams come too rarely into the narrow
region of small noise, and 1,000 replications show that (200 do not).
"""

from typing import Any

import numpy as np
import pytest
from scipy import stats

from bnn.core.progress import Silent
from bnn.core.seeding import ChainRandom
from bnn.core.settings import BlockPriorSettings, LangevinSettings, PriorSettings, SamplerSettings
from bnn.mcmc.chain import run_chains
from bnn.mcmc.coordinates import Coordinates
from bnn.mcmc.kernels import base, langevin_gradient, mala, malt, mams, random_walk
from bnn.model.collapsed import CollapsedPosterior
from bnn.model.counts import Hurdle, NegativeBinomial, Poisson
from bnn.model.layout import ParameterLayout
from bnn.model.likelihoods import (
    LOG_DISPERSION,
    LOG_NOISE_SCALE,
    Gaussian,
    HeteroscedasticGaussian,
    HeteroscedasticStudentT,
    RegressionLikelihood,
    StudentT,
)
from bnn.model.network import Network
from bnn.model.posterior import Posterior
from bnn.model.priors import LOG_PRIOR_SCALE, Prior, learned_scale_shapes, network_prior
from bnn.model.targets import Target
from tests.effort import FULL

pytestmark = pytest.mark.slow

N_REPLICATIONS = 1000 if FULL else 200
N_DRAWS = 99 if FULL else 49
"""One less than a multiple of the bins, so that the ranks of a right sampler fall into each alike."""
N_BINS = 10
FALSE_ALARM = 1e-4
"""Probability that a correct sampler fails one of the rank tests of a kernel and model; over all under 1 in 1,000."""

# Moves between kept draws, so that ranks are nearly independent: some ten autocorrelation times.
THIN = {"malt": 20, "mams": 20, "mala": 200, "langevin_gradient": 200, "random_walk": 400}
DEFAULT_KERNELS = ("malt", "mams")

# Steps longer than a kernel would take by itself, so that a sampler without correction is plainly biased.
ACCEPTANCE = {"malt": 0.65, "mams": 0.5, "mala": 0.4, "langevin_gradient": 0.4, "random_walk": 0.4}


NOISE = {"log_noise_mean": -0.5, "log_noise_sd": 0.5}
# Name -> likelihood, and which scales of the prior are learned.
MODELS: dict[str, tuple[Any, str]] = {
    "gaussian": (Gaussian(noise_scale=None, **NOISE), "none"),
    "student_t": (StudentT(df=4.0, noise_scale=None, **NOISE), "none"),
    "heteroscedastic": (HeteroscedasticGaussian(**NOISE), "none"),
    "heteroscedastic_student_t": (HeteroscedasticStudentT(df=4.0, **NOISE), "none"),
    "learned scales": (Gaussian(noise_scale=None, **NOISE), "ard"),
    "poisson": (Poisson(Target(form="count", location=0.5)), "none"),
    "negative_binomial": (
        NegativeBinomial(Target(form="count", location=0.5), log_dispersion_mean=-0.5, log_dispersion_sd=0.5),
        "none",
    ),
    "hurdle": (Hurdle(Target(form="hurdle", location=1.0, spread=0.5), **NOISE), "none"),
}
OF_RANGE = ("poisson", "negative_binomial", "hurdle")
"""Models whose targets are no real number with noise on it."""


def make_posterior(model):
    """A 1-3-1 network (two outputs if the second one makes the noise) on ten rows; its targets are set later."""
    likelihood, learned_scales = MODELS[model]
    network = Network((1, 3, likelihood.n_outputs), activation="tanh", dtype="float64")
    shapes = network.parameter_shapes
    side = BlockPriorSettings("normal", 1.0, 4.0)
    blocks = network_prior(shapes, PriorSettings(side, side, False, learned_scales))
    own = likelihood.parameter_priors
    layout = ParameterLayout(shapes | dict.fromkeys(own, ()) | learned_scale_shapes(shapes, learned_scales))
    x = np.linspace(-2, 2, 10)[:, None]
    return Posterior(network, likelihood, Prior(layout, blocks | own), x=x, y=np.zeros(10))


POINTS = np.array([[-1.5], [0.3], [3.0]])


def quantities(posterior, theta):
    """Return what is ranked, (..., quantity): all outputs at three points, the noise scale and the learned scales."""
    flat = theta.reshape(-1, theta.shape[-1])
    parameters = posterior.layout.unpack(flat)
    outputs = posterior.network.forward(parameters, POINTS).reshape(len(flat), -1)
    own = [
        parameters[name].reshape(len(flat), -1)
        for name in posterior.layout.names
        if name in (LOG_NOISE_SCALE, LOG_DISPERSION) or name.startswith(LOG_PRIOR_SCALE)
    ]
    return np.concatenate([outputs, *own], axis=1).reshape(*theta.shape[:-1], -1)


def targets(likelihood, output, parameters, rng):
    """Return new targets of each chain as the likelihood takes them, the chain first."""
    if isinstance(likelihood, RegressionLikelihood):
        noise = likelihood.noise_sd(output, parameters)
        return output[:, 0] + noise * likelihood.sample_noise(output[:, 0].shape, rng)
    drawn = likelihood.sample(output, parameters, rng)
    return np.moveaxis(likelihood.encode(likelihood.target.encode(drawn)), 0, 1)


def check_calibration(kernel, model, n_replications, monkeypatch, *, collapse="never"):
    # All replications wait for the longest trajectory; a kernel is exact whatever the bound.
    monkeypatch.setattr(base, "MAX_STEPS", 12)
    posterior = make_posterior(model)
    rng = np.random.default_rng(17)
    truth = np.stack([posterior.prior.sample(rng) for _ in range(n_replications)])
    parameters = posterior.layout.unpack(truth)
    output = posterior.network.forward(parameters, posterior.x)
    posterior.target = targets(posterior.likelihood, output, parameters, rng)
    settings = SamplerSettings(
        kernel=kernel,
        warmup=1000 if kernel in DEFAULT_KERNELS else 3000,
        draws=N_DRAWS,
        thin=THIN[kernel],
        most_steps=1024,
        most_gradients=None,
        init="prior",
        optimise_steps=1,
        optimise_learning_rate=0.01,
        explore=0,
        target_acceptance=ACCEPTANCE[kernel],
        trajectory_length=None,
        precondition=True,
        collapse=collapse,
        langevin=LangevinSettings(0.01, 0.1, 0.5),
        keep_precision="float64",
    )
    theta = run_chains(posterior, range(n_replications), 23, settings, Silent()).theta
    drawn = np.concatenate([quantities(posterior, theta), _log_density(posterior, theta)[..., None]], axis=-1)
    true = np.concatenate([quantities(posterior, truth), posterior.log_density(truth)[:, None]], axis=-1)
    ranks = (drawn < true[:, None]).sum(axis=1)
    n_quantities = ranks.shape[1]
    for index in range(n_quantities):
        counts = np.bincount(ranks[:, index] * N_BINS // (N_DRAWS + 1), minlength=N_BINS)
        p_value = stats.chisquare(counts).pvalue
        assert p_value > FALSE_ALARM / n_quantities, f"ranks of quantity {index} are not uniform: {counts}"


def _log_density(posterior, theta):
    """Return the log density of every draw, (chain, draw); each chain is judged by its own targets."""
    return np.stack([posterior.log_density(theta[:, draw]) for draw in range(theta.shape[1])], axis=1)


@pytest.mark.skipif(not FULL, reason="test_exactness.py tries every kernel in less time")
@pytest.mark.parametrize("kernel", THIN)
def test_ranks_are_uniform(kernel, monkeypatch):
    check_calibration(kernel, "gaussian", N_REPLICATIONS, monkeypatch)


@pytest.mark.skipif(not FULL, reason="Student-t noise, below, goes through the same machine and more")
@pytest.mark.parametrize("model", [name for name in MODELS if name != "gaussian"])
def test_ranks_are_uniform_in_every_model(model, monkeypatch):
    check_calibration("malt", model, N_REPLICATIONS, monkeypatch)


COLLAPSING = ("gaussian", "student_t", "heteroscedastic", "heteroscedastic_student_t", "learned scales")


# Student-t noise is normal noise, and row precisions that are drawn between iterations.
@pytest.mark.parametrize("model", COLLAPSING if FULL else ["student_t"])
def test_ranks_are_uniform_with_the_output_layer_integrated_out(model, monkeypatch):
    check_calibration("malt", model, N_REPLICATIONS, monkeypatch, collapse="auto")


def _without_its_determinant(conditional):
    def mutant(self, *products, inverse_too):
        found = conditional(self, *products, inverse_too=inverse_too)
        diagonal = np.diagonal(found.root, axis1=-2, axis2=-1)
        return found._replace(evidence=found.evidence - np.log(diagonal).sum(axis=-1))

    return mutant


def _without_the_logs_of_the_noise(products):
    return lambda self, rest: (products(self, rest)[0], np.zeros(len(rest)))


def _nearer_to_normal_noise(sample_row_precision):
    return lambda self, rest, random: sample_row_precision(self, rest, random) ** 0.5


@pytest.mark.skipif(not FULL, reason="tests/unit/test_collapsed.py catches such faults in less time")
@pytest.mark.parametrize(
    ("name", "mutate", "model"),
    [
        ("_conditional", _without_its_determinant, "gaussian"),
        ("_products", _without_the_logs_of_the_noise, "heteroscedastic"),
        ("sample_row_precision", _nearer_to_normal_noise, "student_t"),
    ],
)
def test_calibration_catches_mutants_of_the_collapsed_posterior(name, mutate, model, monkeypatch):
    monkeypatch.setattr(CollapsedPosterior, name, mutate(getattr(CollapsedPosterior, name)))
    with pytest.raises(AssertionError, match="not uniform"):
        check_calibration("malt", model, N_REPLICATIONS, monkeypatch, collapse="auto")


@pytest.mark.skipif(not FULL, reason="tests/unit/test_coordinates.py catches it in less time")
def test_calibration_catches_learned_scales_without_their_jacobian(monkeypatch):
    def mutant(self, position):
        return self.posterior.log_density(self.to_theta(position))

    def mutant_and_grad(self, position):
        log_density, grad = original(self, position)
        grad[:, self._learned.places] -= self._learned.counts
        return log_density - self.log_jacobian(position), grad

    original = Coordinates.log_density_and_grad
    monkeypatch.setattr(Coordinates, "log_density", mutant)
    monkeypatch.setattr(Coordinates, "log_density_and_grad", mutant_and_grad)
    with pytest.raises(AssertionError, match="not uniform"):
        check_calibration("malt", "learned scales", N_REPLICATIONS, monkeypatch)


@pytest.mark.skipif(not FULL, reason="test_families.py holds densities against scipy's in less time")
@pytest.mark.parametrize("model", OF_RANGE)
def test_calibration_catches_rows_that_count_twice(model, monkeypatch):
    def mutant(self, output, target, parameters):
        total, grad, own = original(self, output, target, parameters)
        return 2 * total, 2 * grad, {name: 2 * value for name, value in own.items()}

    kind = type(MODELS[model][0])
    original = kind.total_and_grad
    monkeypatch.setattr(kind, "total_and_grad", mutant)
    with pytest.raises(AssertionError, match="not uniform"):
        check_calibration("malt", model, 200, monkeypatch)


def uncorrected(random: ChainRandom, current, proposed, *, log_q_forth, log_q_back):
    """Mutant: every finite proposal is taken; the acceptance that it reports tunes the step size as before."""
    _, info = base.metropolis_hastings(
        random, current, proposed, log_q_forth=log_q_forth, log_q_back=log_q_back
    )
    finite = np.isfinite(proposed.log_density)
    return base._choose(finite, proposed, current), info


@pytest.mark.skipif(not FULL, reason="test_exactness.py catches them in less time")
@pytest.mark.parametrize("kernel", THIN)
def test_calibration_catches_a_sampler_without_correction(kernel, monkeypatch):
    for module in (langevin_gradient, mala, malt, mams, random_walk):
        monkeypatch.setattr(module, "metropolis_hastings", uncorrected)
    with pytest.raises(AssertionError, match="not uniform"):
        check_calibration(kernel, "gaussian", N_REPLICATIONS, monkeypatch)
