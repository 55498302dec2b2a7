"""Batches of rows, and the kernel that goes by them: exact where it can be, and as biased as it says."""

import math
from dataclasses import replace

import numpy as np
import pytest

from bnn.core.progress import Silent
from bnn.core.seeding import ChainRandom, Stream
from bnn.core.settings import (
    BlockPriorSettings,
    LikelihoodSettings,
    NetworkSettings,
    PriorSettings,
)
from bnn.diagnostics import mixing
from bnn.mcmc.chain import ChainRun, quiet_overflow, run_chains
from bnn.mcmc.kernels import MOST_EXACT_ROWS, resolve_kernel, sms_ubu
from bnn.mcmc.kernels.base import Tuning
from bnn.model import batches
from bnn.model.batches import RowBatches
from bnn.model.posterior import Posterior, make_posterior
from bnn.selection import cheap_fit

NOISE = 0.5
SAMPLER = replace(
    cheap_fit.SAMPLER,
    kernel="sms_ubu",
    warmup=400,
    thin=1,
    optimise_steps=300,
    optimise_learning_rate=0.02,
)


def table(n_rows: int = 300) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((n_rows, 2))
    return x, x @ [0.7, -0.3] + 0.2 + NOISE * rng.standard_normal(n_rows)


def posterior(
    hidden: tuple[int, ...] = (), *, noise: str | float = NOISE, learned: str = "none"
) -> Posterior:
    side = BlockPriorSettings("normal", 1.0, 4.0)
    return make_posterior(
        *table(),
        n_classes=None,
        network=NetworkSettings(hidden, "tanh", "float64", "numpy"),
        prior=PriorSettings(side, side, fan_in_scaling=False, learned_scales=learned),
        likelihood=LikelihoodSettings("gaussian", noise, 4.0, -1.0, 1.0),
    )


@pytest.fixture
def five_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batches, "BATCH_ROWS", 60)


@pytest.mark.usefixtures("five_batches")
@pytest.mark.parametrize("learned", ["none", "layer"])
def test_the_mean_over_batches_is_the_posterior(learned: str) -> None:
    whole = posterior((3,), noise="sampled", learned=learned)
    parts = RowBatches(whole)
    assert len(parts) == 5
    theta = np.stack([whole.prior.sample(np.random.default_rng(seed)) for seed in range(2)])
    found = [parts.log_density_and_grad(theta, np.array([k, (k + 3) % 5])) for k in range(5)]
    for got, expected in zip(
        (np.mean([one[part] for one in found], axis=0) for part in (0, 1)),
        whole.log_density_and_grad(theta),
        strict=True,
    ):
        np.testing.assert_allclose(got, expected, rtol=1e-10)
    assert np.ptp([one[0][0] for one in found]) > 1, "batches differ"


@pytest.mark.parametrize(("n_rows", "n_batches"), [(12, 1), (2999, 1), (3001, 2), (10**6, 100)])
def test_batches_have_some_rows_and_are_not_too_many(
    monkeypatch: pytest.MonkeyPatch, n_rows: int, n_batches: int
) -> None:
    sizes: list[int] = []
    monkeypatch.setattr(Posterior, "of_rows", lambda self, rows: sizes.append(len(rows)))
    whole = posterior()
    whole.x = np.empty((n_rows, 0))
    assert len(RowBatches(whole)) == n_batches
    assert sum(sizes) == n_rows and max(sizes) - min(sizes) <= 1


def test_free_motion_has_the_moments_of_its_equation() -> None:
    """Against many small Euler steps of the equation, and 4 standard errors of 200,000 numbers (once in 1,600 runs)."""
    length, time, n = sms_ubu.FRICTION_LENGTH, 0.07, 200_000
    random = ChainRandom.of_chains(3, Stream.SAMPLE, range(1))
    start = np.full((1, n), 1.3)
    position, velocity = sms_ubu.drift(
        random, np.zeros((1, n)), start, np.array([time]), np.full((1, n), 2.0)
    )
    # Moments (mean and covariance of way and velocity) of dx = v dt, dv = -v / L dt + sqrt(2 / L) dW.
    mean, covariance, n_steps = np.array([0.0, 1.3]), np.zeros((2, 2)), 20_000
    drift = np.array([[0.0, 1.0], [0.0, -1 / length]])
    for _ in range(n_steps):
        mean = mean + time / n_steps * drift @ mean
        covariance = covariance + time / n_steps * (drift @ covariance + covariance @ drift.T)
        covariance[1, 1] += time / n_steps * 2 / length
    found = np.stack([position[0] / 2.0, velocity[0]])
    errors = np.sqrt(np.diag(covariance) / n)
    assert np.all(np.abs(found.mean(axis=1) - mean) < 4 * errors)
    ratio = np.cov(found) / covariance
    assert np.all(np.abs(ratio - 1) < 4 * math.sqrt(2 / n) + 2e-3)


def _worst_error(draws: np.ndarray) -> float:
    """Return by how many Monte Carlo standard errors, at most, means and squares of draws miss the closed form."""
    x, y = table()
    rows = np.column_stack([x, np.ones(len(x))])
    covariance = np.linalg.inv(rows.T @ rows / NOISE**2 + np.eye(3))
    z = (draws - covariance @ rows.T @ y / NOISE**2) / np.sqrt(np.diag(covariance))
    worst = 0.0
    for quantity, expected in ((z, 0.0), (z**2, 1.0)):
        error = quantity.std(axis=(0, 1)) / np.sqrt(mixing.ess_bulk(quantity))
        worst = max(worst, float(np.abs((quantity.mean(axis=(0, 1)) - expected) / error).max()))
    return worst


def _draws(step_size: float, n_draws: int) -> np.ndarray:
    """Return theta, (chain, draw, param), of chains with a fixed step, five batches forth and back an iteration."""
    whole = posterior()
    run = ChainRun(whole, range(4), 1, SAMPLER)
    target, random = run._target, ChainRandom.of_chains(1, Stream.SAMPLE, range(4))
    tuned = Tuning(np.full(4, step_size), np.ones((4, 3)), np.ones(4))
    state = sms_ubu.KERNEL.start(run.state.chain.position, target)
    theta = []
    for index in range(n_draws + 200):
        state, _ = sms_ubu.step(random, state, target, tuned)
        if index >= 200:
            theta.append(target.coordinates.to_theta(state.position))
    return np.stack(theta, axis=1)


@pytest.mark.usefixtures("five_batches")
def test_small_steps_sample_the_posterior(monkeypatch: pytest.MonkeyPatch) -> None:
    """Means and squares within 4.5 standard errors of six quantities: a false alarm in some 20,000 runs."""
    assert _worst_error(_draws(0.003, 1000)) < 4.5
    # The likelihood of a batch must count as often as there are batches.
    monkeypatch.setattr(batches.RowBatches, "__len__", lambda self: 4)
    assert _worst_error(_draws(0.003, 1000)) > 4.5


@pytest.mark.usefixtures("five_batches")
def test_the_way_back_takes_out_what_batches_do(monkeypatch: pytest.MonkeyPatch) -> None:
    """Variances over those of the posterior, at steps at which they are 1.01 forth and back and 1.11 forth alone.

    Their standard error is 0.011: a false alarm in some 10,000 runs.
    """
    x, _ = table()
    rows = np.column_stack([x, np.ones(len(x))])
    variance = np.diag(np.linalg.inv(rows.T @ rows / NOISE**2 + np.eye(3)))

    def heated() -> float:
        return float((_draws(0.005, 1500).var(axis=1).mean(axis=0) / variance).mean())

    assert abs(heated() - 1) < 0.06

    monkeypatch.setattr(sms_ubu, "_forth_and_back", lambda order: np.hstack([order, order]))
    assert heated() > 1.06


@pytest.mark.usefixtures("five_batches")
def test_warm_up_finds_steps_that_heat_little_and_counts_gradients_of_all_rows() -> None:
    whole = posterior((4,), noise="sampled")
    draws = run_chains(whole, range(2), 1, replace(SAMPLER, draws=200), Silent())
    assert not draws.adjusted and draws.kernel == "sms_ubu"
    # The optimiser, a start, and of each iteration two gradients and a log density.
    assert draws.n_gradients == 300 + 1 + 3 * (400 + 200)
    assert np.all(np.abs(draws.acceptance_rate.mean(axis=1) - 0.5) < 0.15)
    assert np.isfinite(draws.theta).all() and np.ptp(draws.theta, axis=1).min() > 0


@pytest.mark.usefixtures("five_batches")
def test_a_chain_that_diverges_stays_and_tries_another_way() -> None:
    run = ChainRun(posterior((4,)), range(2), 1, SAMPLER)
    state = sms_ubu.KERNEL.start(run.state.chain.position, run._target)
    n_params = state.position.shape[1]
    tuned = Tuning(np.array([50.0, 1e-4]), np.ones((2, n_params)), np.ones(2))
    with quiet_overflow():
        moved, info = sms_ubu.step(
            ChainRandom.of_chains(1, Stream.SAMPLE, range(2)), state, run._target, tuned
        )
    assert info.diverging.tolist() == [True, False]
    assert info.acceptance_prob[0] == 0 and info.acceptance_prob[1] > 0.5
    assert np.array_equal(moved.position[0], state.position[0])
    assert not np.array_equal(moved.position[1], state.position[1])
    assert moved.velocity is not None and np.isfinite(moved.velocity).all()


def test_auto_is_exact_up_to_fifty_thousand_rows() -> None:
    assert resolve_kernel("auto", MOST_EXACT_ROWS) == "auto"
    assert resolve_kernel("auto", MOST_EXACT_ROWS + 1) == "sms_ubu"
    assert resolve_kernel("malt", MOST_EXACT_ROWS + 1) == "malt"


@pytest.mark.usefixtures("five_batches")
def test_an_acceptance_rate_that_is_asked_for_means_nothing_to_it() -> None:
    short = replace(SAMPLER, warmup=30, draws=4)
    asked, not_asked = (
        run_chains(posterior(), [0], 1, replace(short, target_acceptance=target), Silent())
        for target in (0.9, None)
    )
    assert np.array_equal(asked.theta, not_asked.theta)
