"""Adaptation, optimiser, and whole chains: determinism, independence of the batch, what is kept and what is refused."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from bnn.core.progress import Silent
from bnn.core.seeding import ChainRandom, Stream, chain_rng
from bnn.core.settings import BlockPriorSettings, LangevinSettings, PriorSettings, SamplerSettings
from bnn.mcmc import adaptation
from bnn.mcmc.chain import MOST_STARTS, quiet_overflow, run_chains
from bnn.mcmc.kernels import mala, microcanonical
from bnn.model.categorical import Categorical
from bnn.model.layout import ParameterLayout
from bnn.model.likelihoods import Gaussian
from bnn.model.network import Network
from bnn.model.posterior import Posterior
from bnn.model.priors import Prior, learned_scale_shapes, network_prior

SETTINGS = SamplerSettings(
    kernel="mala",
    warmup=60,
    draws=20,
    thin=2,
    most_steps=1024,
    most_gradients=None,
    init="optimised",
    optimise_steps=15,
    optimise_learning_rate=0.02,
    explore=0,
    target_acceptance=None,
    trajectory_length=None,
    precondition=True,
    collapse="never",
    langevin=LangevinSettings(0.01, 0.05, 0.5),
    keep_precision="float64",
)


def changed(**fields):
    return replace(SETTINGS, **fields)


@pytest.fixture(scope="module")
def posterior():
    rng = np.random.default_rng(0)
    network = Network((3, 6, 3), activation="tanh", dtype="float64")
    layout = ParameterLayout(network.parameter_shapes)
    side = BlockPriorSettings("normal", 1.0, 4.0)
    prior = Prior(layout, network_prior(layout.shapes, PriorSettings(side, side, True, "none")))
    x = rng.standard_normal((40, 3))
    return Posterior(network, Categorical(3), prior, x=x, y=(x[:, 0] > 0).astype(int) + (x[:, 1] > 0.5))


def same(a, b):
    return all(
        np.array_equal(getattr(a, name), getattr(b, name))
        for name in ("theta", "log_density", "acceptance_rate", "n_diverging", "step_size")
    ) and all(np.array_equal(a.warmup[name], b.warmup[name]) for name in a.warmup)


@pytest.mark.parametrize(
    "kernel", ["malt", "mams", "microcanonical", "sms_ubu", "mala", "random_walk", "langevin_gradient"]
)
def test_chain_three_alone_equals_chain_three_of_four(posterior, kernel):
    settings = changed(kernel=kernel, explore=10)
    together = run_chains(posterior, [0, 1, 2, 3], 5, settings, Silent())
    alone = run_chains(posterior, [3], 5, settings, Silent())
    assert np.array_equal(alone.theta[0], together.theta[3])
    assert np.array_equal(alone.log_density[0], together.log_density[3])
    assert np.array_equal(alone.acceptance_rate[0], together.acceptance_rate[3])
    assert alone.step_size[0] == together.step_size[3]


@pytest.mark.parametrize("learned_scales", ["layer", "ard"])
def test_chain_three_alone_equals_chain_three_of_four_with_many_learned_scales(learned_scales):
    """Sums over thirty scales must be made in one order, however many chains there are."""
    rng = np.random.default_rng(0)
    network = Network((30, 4, 1), activation="tanh", dtype="float64")
    side = BlockPriorSettings("normal", 1.0, 4.0)
    shapes = network.parameter_shapes
    blocks = network_prior(shapes, PriorSettings(side, side, True, learned_scales))
    likelihood = Gaussian(noise_scale=0.5, log_noise_mean=0.0, log_noise_sd=1.0)
    prior = Prior(ParameterLayout(shapes | learned_scale_shapes(shapes, learned_scales)), blocks)
    x = rng.standard_normal((20, 30))
    posterior = Posterior(network, likelihood, prior, x=x, y=rng.standard_normal(20))
    settings = changed(explore=10)
    together = run_chains(posterior, [0, 1, 2, 3], 5, settings, Silent())
    alone = run_chains(posterior, [3], 5, settings, Silent())
    assert np.array_equal(alone.theta[0], together.theta[3])
    assert np.array_equal(alone.log_density[0], together.log_density[3])


def test_the_seed_decides_everything(posterior):
    first, again = (run_chains(posterior, [0, 1], 5, SETTINGS, Silent()) for _ in range(2))
    assert same(first, again)
    other = run_chains(posterior, [0, 1], 6, SETTINGS, Silent())
    assert not np.any(first.theta[:, -1] == other.theta[:, -1])
    assert not np.any(first.theta[0, -1] == first.theta[1, -1])


@pytest.mark.parametrize(
    "fields",
    [
        {"kernel": "random_walk"},
        {"warmup": 61},
        {"thin": 3},
        {"init": "prior"},
        {"optimise_steps": 16},
        {"optimise_learning_rate": 0.03},
        {"target_acceptance": 0.8},
        {"precondition": False},
        {"explore": 5},
        {"kernel": "malt"},
        {"kernel": "mams"},
        {"kernel": "microcanonical"},
        {"kernel": "sms_ubu"},
    ],
    ids=lambda fields: next(iter(fields)),
)
def test_every_setting_changes_the_draws(posterior, fields):
    base = run_chains(posterior, [0], 5, SETTINGS, Silent())
    assert not np.array_equal(base.theta, run_chains(posterior, [0], 5, changed(**fields), Silent()).theta)


@pytest.mark.parametrize("name", ["learning_rate", "noise_scale", "langevin_probability"])
def test_every_langevin_setting_changes_the_draws(posterior, name):
    base = changed(kernel="langevin_gradient")
    langevin = replace(base.langevin, **{name: 0.9 * getattr(base.langevin, name)})
    other = changed(kernel="langevin_gradient", langevin=langevin)
    runs = [run_chains(posterior, [0], 5, settings, Silent()).theta for settings in (base, other)]
    assert not np.array_equal(runs[0], runs[1])


def test_more_draws_begin_with_the_same_draws(posterior):
    short, long = (run_chains(posterior, [1], 5, changed(draws=n), Silent()) for n in (5, 9))
    assert np.array_equal(short.theta, long.theta[:, :5])


def test_log_density_belongs_to_theta(posterior):
    draws = run_chains(posterior, [0, 1], 5, SETTINGS, Silent())
    flat = draws.theta.reshape(-1, posterior.layout.n_params)
    assert np.allclose(draws.log_density.ravel(), posterior.log_density(flat), rtol=1e-12)
    assert draws.theta.shape == (2, 20, posterior.layout.n_params)
    assert np.all((draws.acceptance_rate > 0) & (draws.acceptance_rate <= 1))
    assert draws.n_gradients == 15 + 60 + 40 + 1
    climb = draws.optimiser
    assert climb["iteration"].tolist() == list(range(15))
    assert climb["log_density"].shape == (2, 15)
    assert np.all(climb["log_density"][:, -1] > climb["log_density"][:, 0])
    assert draws.n_steps is None, "mala has no trajectories"


def test_the_tuning_is_frozen_before_the_first_kept_draw_and_streams_are_apart(posterior, monkeypatch):
    seen = []

    def recorded(random, state, target, tuning):
        seen.append((tuning.step_size.copy(), tuning.variance.copy(), random.generators))
        return mala.step(random, state, target, tuning)

    monkeypatch.setattr(mala, "KERNEL", mala.KERNEL._replace(step=recorded))
    draws = run_chains(posterior, [0, 1], 5, SETTINGS, Silent())
    warmup, kept = seen[: SETTINGS.warmup], seen[SETTINGS.warmup :]
    assert len(kept) == SETTINGS.draws * SETTINGS.thin
    assert all(np.array_equal(step, draws.step_size) for step, _, _ in kept)
    assert all(np.array_equal(variance, kept[0][1]) for _, variance, _ in kept)
    assert len({step.tobytes() for step, _, _ in warmup}) > 10, "warm-up tunes"
    assert kept[0][2] is not warmup[0][2]
    fresh = ChainRandom.of_chains(5, Stream.SAMPLE, [0, 1])
    run_states = [generator.bit_generator.state["state"]["inc"] for generator in kept[0][2]]
    assert run_states == [generator.bit_generator.state["state"]["inc"] for generator in fresh.generators]


def test_a_window_end_keeps_the_length_of_the_step():
    """A new preconditioner starts a new search whose first step has the geometric mean of eps * C unchanged."""
    rng = np.random.default_rng(0)
    state = adaptation.start_adaptation(np.zeros((2, 3)), np.zeros((2, 0)), 0.1)
    n_warmup = 100
    first, second = adaptation.window_ends(n_warmup)[:2]
    for _ in range(second):
        before = state
        state = adaptation.update_adaptation(
            state,
            rng.standard_normal((2, 3)) * [0.1, 1.0, 7.0],
            np.zeros((2, 0)),
            np.full(2, 0.3),
            n_warmup=n_warmup,
            target_acceptance=0.6,
            precondition=True,
            step_exponent=1.0,
        )
    assert first < second
    assert state.search.n_seen == 0, "the search starts anew"
    assert not np.array_equal(state.variance, before.variance)

    def length(log_step, variance):
        return log_step + np.log(variance).mean(axis=1)

    updated = adaptation.update_dual_averaging(before.search, np.full(2, 0.3), 0.6)
    assert np.allclose(
        length(state.search.log_step, state.variance), length(updated.log_step_averaged, before.variance)
    )


def test_phases_of_warmup_are_recorded_apart(posterior):
    settings = changed(kernel="malt", explore=7, warmup=12)
    draws = run_chains(posterior, [0, 1], 5, settings, Silent())
    assert draws.warmup["iteration"].tolist() == list(range(1, 20))
    assert draws.warmup["explores"].tolist() == [True] * 7 + [False] * 12
    assert draws.warmup["log_density"].shape == (2, 19)
    assert set(draws.seconds) == {"optimise", "explore", "warmup", "draws"}


def test_exploration_begins_with_bold_steps_and_ends_with_accurate_ones(posterior):
    draws = run_chains(posterior, [0, 1], 5, changed(explore=600), Silent())
    explores = draws.warmup["explores"]
    quality, step_size = (draws.warmup[name][:, explores] for name in ("acceptance_rate", "step_size"))
    bold, accurate = microcanonical.BOLD_QUALITY, microcanonical.KERNEL.target_acceptance
    n_records = explores.sum()
    early = slice(n_records // 6, n_records // 3)
    assert np.all(np.abs(quality[:, early].mean(axis=1) - bold) < 0.3)
    assert np.all(np.abs(quality[:, -1] - accurate) < 0.15)
    assert np.all(step_size[:, -20:].mean(axis=1) < 0.75 * step_size[:, early].mean(axis=1))


def test_draws_without_correction_say_so(posterior):
    assert not run_chains(posterior, [0], 5, changed(kernel="microcanonical"), Silent()).adjusted
    assert run_chains(posterior, [0], 5, changed(kernel="mams"), Silent()).adjusted


def test_trajectories_are_counted_in_gradients(posterior):
    draws = run_chains(posterior, [0], 5, changed(kernel="malt"), Silent())
    # At least one step an iteration, and more on average.
    assert draws.n_gradients > 2 * SETTINGS.n_steps


def test_trajectories_are_short_before_the_preconditioner_is_known_and_whole_after():
    state = adaptation.start_adaptation(np.zeros((2, 3)), np.zeros((2, 0)), 1e-3)
    tuning = partial(adaptation.tuning_for_warmup, n_warmup=100)
    first = tuning(state, trajectory_length=2.0, most_steps=1024)
    assert np.allclose(first.trajectory, 16 * 1e-3)
    last = tuning(state._replace(iteration=90), trajectory_length=0.3, most_steps=1024)
    assert np.allclose(last.trajectory, 0.3)
    assert np.allclose(tuning(state, trajectory_length=2.0, most_steps=None).trajectory, 2.0)
    frozen = partial(adaptation.frozen_tuning, state, trajectory_length=2.0)
    assert np.allclose(frozen(most_steps=10_000).trajectory, 2.0)
    assert np.allclose(frozen(most_steps=100).trajectory, 100 * 1e-3)


class Holes(Posterior):
    """A posterior whose density is not a number where `is_hole` says so of theta, (chain, param) -> (chain,)."""

    def __init__(self, posterior, is_hole):
        self.network, self.x, self.prior, self.layout = (
            posterior.network,
            posterior.x,
            posterior.prior,
            posterior.layout,
        )
        self._posterior, self._is_hole = posterior, is_hole

    def log_density_and_grad(self, theta):
        log_density, grad = self._posterior.log_density_and_grad(theta)
        log_density[self._is_hole(theta)] = np.nan
        return log_density, grad


def first_draws(posterior, chains):
    return {chain: posterior.prior.sample(chain_rng(1, Stream.INITIAL, chain)) for chain in chains}


@pytest.mark.parametrize("init", ["prior", "optimised"])
def test_a_start_without_finite_density_is_tried_again_and_other_chains_do_not_change(posterior, init):
    bad = first_draws(posterior, [7])[7]

    def near(theta):
        return np.abs(theta - bad).max(axis=1) < 0.5

    settings = changed(init=init, precondition=False)
    holed = run_chains(Holes(posterior, near), [4, 7], 1, settings, Silent())
    whole = run_chains(posterior, [4, 7], 1, settings, Silent())
    assert np.array_equal(holed.theta[0], whole.theta[0])
    assert not np.any(holed.theta[1, 0] == whole.theta[1, 0])
    assert np.isfinite(holed.log_density).all()
    alone = run_chains(Holes(posterior, near), [7], 1, settings, Silent())
    assert np.array_equal(alone.theta[0], holed.theta[1])


@pytest.mark.parametrize("init", ["prior", "optimised"])
def test_a_chain_without_any_finite_start_is_an_error_that_names_it(posterior, init):
    tried = []

    def never(theta):
        tried.append(theta[1].copy())
        return np.array([False, True])

    with pytest.raises(FloatingPointError, match="chain 7"), quiet_overflow():
        run_chains(Holes(posterior, never), [4, 7], 1, changed(init=init, optimise_steps=2), Silent())
    assert len({theta.tobytes() for theta in tried}) >= MOST_STARTS


def warmup_tuning(adapting, n_warmup):
    return adaptation.tuning_for_warmup(adapting, n_warmup=n_warmup, trajectory_length=1.0, most_steps=1024)


class Normal2:
    """Independent normals of very different widths."""

    widths = np.array([0.02, 1.0, 10.0])

    def log_density(self, position):
        return -0.5 * np.sum((position / self.widths) ** 2, axis=1)

    def log_density_and_grad(self, position):
        return self.log_density(position), -position / self.widths**2


def test_adaptation_finds_the_scales_and_the_acceptance_rate():
    target, n_warmup = Normal2(), 4000
    random = ChainRandom.of_chains(1, Stream.WARMUP, range(4))
    state = mala.KERNEL.start(np.zeros((4, 3)), target)
    adapting = adaptation.start_adaptation(state.position, state.grad, 1e-3)
    for _ in range(n_warmup):
        state, info = mala.step(random, state, target, warmup_tuning(adapting, n_warmup))
        adapting = adaptation.update_adaptation(
            adapting,
            state.position,
            state.grad,
            info.acceptance_prob,
            n_warmup=n_warmup,
            target_acceptance=0.574,
            precondition=True,
            step_exponent=1.0,
        )
    tuning = adaptation.frozen_tuning(adapting, trajectory_length=1.0, most_steps=1024)
    # 2000 correlated draws a chain: standard deviations are known to about 10 %; 40 % is four of those.
    assert np.allclose(np.sqrt(tuning.variance) / Normal2.widths, 1.0, atol=0.4)
    accepted = 0.0
    for _ in range(1000):
        state, info = mala.step(random, state, target, tuning)
        accepted += info.acceptance_prob.mean() / 1000
    assert accepted == pytest.approx(0.574, abs=0.08)


def test_dual_averaging_follows_the_published_recursion():
    search = adaptation.start_dual_averaging(np.array([0.5]))
    search = adaptation.update_dual_averaging(search, np.array([0.2]), 0.6)
    # Hoffman & Gelman (2014), equation 6, by hand: mu = log 5, t0 = 10, gamma = 0.05, kappa = 0.75.
    error = (0.6 - 0.2) / 11
    assert search.log_step[0] == pytest.approx(np.log(5.0) - error / 0.05)
    assert search.log_step_averaged[0] == pytest.approx(search.log_step[0])
    search = adaptation.update_dual_averaging(search, np.array([0.9]), 0.6)
    error = (1 - 1 / 12) * error + (0.6 - 0.9) / 12
    log_step = np.log(5.0) - np.sqrt(2) / 0.05 * error
    assert search.log_step[0] == pytest.approx(log_step)
    first = np.log(5.0) - (0.4 / 11) / 0.05
    share = 2**-0.75
    assert search.log_step_averaged[0] == pytest.approx(share * log_step + (1 - share) * first)


def window_of(values):
    window = adaptation.start_running_variance(values[0])
    for value in values:
        window = adaptation.update_running_variance(window, value)
    return window


def test_the_metric_is_that_of_the_fisher_divergence_shrunk():
    rng = np.random.default_rng(0)
    positions = rng.standard_normal((30, 2, 5)) * [1, 2, 3, 4, 5]
    gradients = rng.standard_normal((30, 2, 5)) / [1, 2, 3, 4, 9]
    window = window_of(positions)
    variance, steepness = positions.var(axis=0, ddof=1), gradients.var(axis=0, ddof=1)
    for raw, grads in ((variance, gradients[..., :0]), (np.sqrt(variance / steepness), gradients)):
        centre = np.exp(np.log(raw).mean(axis=1, keepdims=True))
        expected = raw ** (30 / 35) * centre ** (5 / 35)
        assert np.allclose(adaptation.learned_metric(window, window_of(grads)), expected)
    with pytest.raises(ValueError, match="positions"):
        adaptation.learned_metric(adaptation.start_running_variance(positions[0]), window_of(gradients))


def test_a_coordinate_that_never_moved_keeps_a_positive_variance():
    window = window_of(np.zeros((4, 1, 3)))
    assert np.all(adaptation.learned_metric(window, window_of(np.zeros((4, 1, 0)))) > 0)
