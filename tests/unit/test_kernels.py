"""Algebra of the kernels: proposal densities, acceptance, and what an iteration reports."""

from dataclasses import asdict, replace

import numpy as np
import pytest
from scipy import stats

from bnn.core.seeding import ChainRandom, Stream
from bnn.core.settings import LangevinSettings
from bnn.mcmc.kernels import langevin_gradient, make_kernel, mala, malt, mams, microcanonical, random_walk
from bnn.mcmc.kernels.base import (
    MAX_STEPS,
    ChainState,
    Tuning,
    log_normal_shape,
    metropolis_hastings,
    steps_of_trajectory,
    take_unadjusted,
)

LANGEVIN = LangevinSettings(0.3, 0.7, 0.5)
KERNELS = {
    "mala": mala.KERNEL,
    "random_walk": random_walk.KERNEL,
    "langevin_gradient": langevin_gradient.make_kernel(**asdict(LANGEVIN)),
    "malt": malt.KERNEL,
    "mams": mams.KERNEL,
    "microcanonical": microcanonical.KERNEL,
}


class GaussianTarget:
    """A correlated Gaussian, which knows nothing of networks."""

    precision = np.array([[2.0, 0.6], [0.6, 0.5]])

    def log_density(self, position):
        return -0.5 * np.einsum("ci,ij,cj->c", position, self.precision, position)

    def log_density_and_grad(self, position):
        return self.log_density(position), -np.einsum("ci,ij->cj", position, self.precision)


def randoms(n_chains=1, seed=0):
    return ChainRandom.of_chains(seed, Stream.SAMPLE, range(n_chains))


def tuning(n_chains, step_size, trajectory=1.5):
    return Tuning(
        np.full(n_chains, step_size), np.tile([0.5, 2.0], (n_chains, 1)), np.full(n_chains, trajectory)
    )


@pytest.fixture
def ratio_parts(monkeypatch):
    """Record what a kernel hands to the acceptance rule."""
    seen = []

    def record(random, current, proposed, *, log_q_forth, log_q_back):
        seen.append((current, proposed, log_q_forth, log_q_back))
        return metropolis_hastings(random, current, proposed, log_q_forth=log_q_forth, log_q_back=log_q_back)

    for module in (mala, random_walk, langevin_gradient):
        monkeypatch.setattr(module, "metropolis_hastings", record)
    return seen


def log_q_mala(to, start, step_size):
    variance = np.array([0.5, 2.0])
    mean = start + step_size * variance * -(start @ GaussianTarget.precision)
    return stats.norm(mean, np.sqrt(2 * step_size * variance)).logpdf(to).sum()


def test_mala_ratio_is_that_of_the_proposal_density(ratio_parts):
    target = GaussianTarget()
    state = mala.KERNEL.start(np.array([[0.3, -1.2]]), target)
    _, info = mala.step(randoms(), state, target, tuning(1, 0.2))
    ((current, proposed, forth, back),) = ratio_parts
    a, b = current.position[0], proposed.position[0]
    expected = log_q_mala(a, b, 0.2) - log_q_mala(b, a, 0.2)
    assert (back - forth)[0] == pytest.approx(expected, rel=1e-10)
    density = target.log_density(proposed.position) - target.log_density(current.position)
    assert info.log_ratio[0] == pytest.approx(expected + density[0], rel=1e-10)


def test_langevin_gradient_ratio_is_that_of_the_proposal_density(ratio_parts):
    target = GaussianTarget()
    kinds = set()
    for seed in range(12):
        state = mala.KERNEL.start(np.array([[0.3, -1.2]]), target)
        KERNELS["langevin_gradient"].step(randoms(seed=seed), state, target, tuning(1, 0.8))
        current, proposed, forth, back = ratio_parts[-1]
        a, b = current.position[0], proposed.position[0]
        variance = np.array([0.5, 2.0])

        def log_q(to, start, drift, variance=variance):
            mean = start + drift * 0.3 * 0.8**2 * variance * -(start @ target.precision)
            return stats.norm(mean, 0.7 * 0.8 * np.sqrt(variance)).logpdf(to).sum()

        candidates = {drift: log_q(a, b, drift) - log_q(b, a, drift) for drift in (0.0, 1.0)}
        matching = [d for d, value in candidates.items() if abs((back - forth)[0] - value) < 1e-10]
        assert len(matching) == 1
        kinds.add(matching[0])
    assert kinds == {0.0, 1.0}, "both proposals must occur"


def test_langevin_gradient_with_unit_step_and_no_preconditioner_is_the_published_proposal(ratio_parts):
    target = GaussianTarget()
    kernel = make_kernel("langevin_gradient", langevin=replace(LANGEVIN, langevin_probability=1.0))
    start = np.array([[0.3, -1.2]])
    kernel.step(
        randoms(), kernel.start(start, target), target, Tuning(np.ones(1), np.ones((1, 2)), np.ones(1))
    )
    random = randoms()
    random.uniform()
    gradient_step = start + 0.3 * target.log_density_and_grad(start)[1]
    assert np.allclose(ratio_parts[0][1].position, gradient_step + 0.7 * random.standard_normal(2))


def test_mala_log_ratio_is_antisymmetric(ratio_parts):
    """The log ratio of a move and of the way back, each evaluated by the kernel itself, sum to zero."""
    target, tuned = GaussianTarget(), tuning(1, 0.3)
    there = mala.step(randoms(), mala.KERNEL.start(np.array([[0.3, -1.2]]), target), target, tuned)[
        1
    ].log_ratio
    start, end = ratio_parts[0][0].position, ratio_parts[0][1].position
    step_variance = tuned.step_size[:, None] * tuned.variance
    mean = mala.proposal_mean(mala.KERNEL.start(end, target), step_variance)

    class Backwards(ChainRandom):
        """Noise that leads the kernel from the end of the move to its start."""

        def standard_normal(self, size, *, chains=None):
            return (start - mean) / np.sqrt(2 * step_variance)

        def uniform(self):
            return np.zeros(1)

    back = mala.step(Backwards([]), mala.KERNEL.start(end, target), target, tuned)[1].log_ratio
    assert np.allclose(ratio_parts[1][1].position, start)
    assert back == pytest.approx(-there, rel=1e-10)


@pytest.mark.parametrize("name", list(KERNELS))
def test_a_transition_leaves_its_input_alone_and_carries_density_and_gradient(name):
    target = GaussianTarget()
    kernel = KERNELS[name]
    state = kernel.start(np.random.default_rng(0).standard_normal((6, 2)), target)
    before = [np.copy(part) for part in (state.position, state.log_density, state.grad)]
    moved, info = kernel.step(randoms(6), state, target, tuning(6, 0.4))
    after = (state.position, state.log_density, state.grad)
    assert all(np.array_equal(a, b) for a, b in zip(before, after, strict=True))
    expected = kernel.start(moved.position, target)
    assert np.allclose(moved.log_density, expected.log_density)
    assert np.allclose(moved.grad, expected.grad)
    assert np.array_equal(np.any(moved.position != state.position, axis=1), info.accepted)


def state(log_density):
    values = np.atleast_1d(np.asarray(log_density, dtype=float))
    return ChainState(values[:, None], values, values[:, None])


def test_a_density_that_overflows_to_infinity_rejects_and_is_counted():
    current, proposed = state([0.0, 0.0]), state([np.inf, 1e300])
    random = ChainRandom.of_chains(0, Stream.SAMPLE, range(2))
    moved, info = metropolis_hastings(random, current, proposed, log_q_forth=0.0, log_q_back=0.0)
    assert info.accepted.tolist() == [False, True]
    assert info.diverging.tolist() == [True, False]
    assert info.acceptance_prob.tolist() == [0.0, 1.0]
    assert moved.log_density.tolist() == [0.0, 1e300]


def test_nan_rejects_and_is_counted():
    current = state([0.0, 0.0, 0.0, 0.0])
    proposed = state([np.nan, -np.inf, -2000.0, 10.0])
    moved, info = metropolis_hastings(randoms(4), current, proposed, log_q_forth=0.0, log_q_back=0.0)
    assert info.accepted.tolist() == [False, False, False, True]
    assert info.diverging.tolist() == [True, True, True, False]
    assert info.acceptance_prob.tolist() == [0.0, 0.0, 0.0, 1.0]
    assert moved.log_density.tolist() == [0.0, 0.0, 0.0, 10.0]


def test_acceptance_happens_as_often_as_its_probability():
    n = 40_000
    current, proposed = state(np.zeros(n)), state(np.full(n, np.log(0.3)))
    random = ChainRandom([np.random.default_rng(0)] * n)
    _, info = metropolis_hastings(random, current, proposed, log_q_forth=0.0, log_q_back=0.0)
    # Standard error sqrt(0.3 * 0.7 / 40000) = 0.0023; four of them, a false alarm in 16,000 runs.
    assert info.accepted.mean() == pytest.approx(0.3, abs=0.0092)


def test_log_normal_shape_differs_from_the_density_by_a_constant_only():
    rng = np.random.default_rng(0)
    residual, deviation = rng.standard_normal((5, 3)), np.array([0.2, 1.0, 3.0])
    density = stats.norm(0, deviation).logpdf(residual).sum(axis=1)
    difference = density - log_normal_shape(residual / deviation)
    assert np.ptp(difference) < 1e-12


def test_unknown_kernel_names_the_choices():
    with pytest.raises(
        ValueError, match="malt, mams, mala, random_walk, microcanonical, sms_ubu, langevin_gradient"
    ):
        make_kernel("hmc", langevin=LANGEVIN)


def test_auto_is_malt():
    assert make_kernel("auto", langevin=LANGEVIN) is malt.KERNEL


def test_steps_cover_the_trajectory_and_are_bounded():
    tuned = Tuning(np.array([0.5, 0.4, 5.0, 1e-6]), np.ones((4, 2)), np.full(4, 1.5))
    assert steps_of_trajectory(tuned).tolist() == [3, 4, 1, MAX_STEPS]


@pytest.mark.parametrize("name", ["malt", "mams"])
def test_a_chain_with_a_short_trajectory_does_not_feel_the_long_one_beside_it(name):
    target, kernel = GaussianTarget(), KERNELS[name]
    start = np.random.default_rng(0).standard_normal((2, 2))
    sizes, variance = np.array([0.5, 0.05]), np.tile([0.5, 2.0], (2, 1))
    together = Tuning(sizes, variance, np.full(2, 1.5))
    both, info = kernel.step(randoms(2), kernel.start(start, target), target, together)
    for chain in range(2):
        alone = Tuning(sizes[chain : chain + 1], variance[:1], np.full(1, 1.5))
        random = ChainRandom.of_chains(0, Stream.SAMPLE, [chain])
        one, info_one = kernel.step(random, kernel.start(start[chain : chain + 1], target), target, alone)
        assert np.array_equal(one.position[0], both.position[chain])
        assert info_one.log_ratio[0] == info.log_ratio[chain]


@pytest.mark.parametrize("name", ["malt", "mams"])
def test_the_energy_error_of_a_trajectory_shrinks_with_the_square_of_the_step(name):
    """The integrators are of second order: an error in a kick or in the kinetic energy would leave the first order."""
    target, kernel = GaussianTarget(), KERNELS[name]
    start = kernel.start(np.random.default_rng(1).standard_normal((500, 2)), target)
    error = [
        np.sqrt(np.mean(kernel.step(randoms(500), start, target, tuning(500, size))[1].log_ratio ** 2))
        for size in (0.2, 0.1, 0.05)
    ]
    ratios = np.array(error[:-1]) / error[1:]
    assert np.all((ratios > 3) & (ratios < 5.5)), ratios


def test_turn_is_the_flow_of_its_differential_equation():
    """du/dt = (g - u (u.g)) / (d - 1), and the kinetic energy grows by u.g; against many small Euler steps."""
    rng = np.random.default_rng(0)
    velocity, force = microcanonical.unit(rng.standard_normal((3, 4))), 5 * rng.standard_normal((3, 4))
    turned, kinetic = microcanonical.turn(velocity, force, np.array([0.3, 0.1, 0.0]))
    for chain, time in enumerate((0.3, 0.1, 0.0)):
        u, energy, n = velocity[chain].copy(), 0.0, 20_000
        for _ in range(n):
            along = u @ force[chain]
            u, energy = u + time / n * (force[chain] - u * along) / 3, energy + time / n * along
        assert turned[chain] == pytest.approx(u, abs=1e-4)
        assert kinetic[chain] == pytest.approx(energy, abs=2e-3)


def test_turn_stays_finite_under_a_huge_force():
    velocity = np.array([[1.0, 0.0], [0.6, 0.8]])
    turned, kinetic = microcanonical.turn(velocity, np.array([[0.0, 1e8], [0.0, 0.0]]), np.ones(2))
    assert np.allclose(turned, [[0.0, 1.0], [0.6, 0.8]])
    assert np.all(np.isfinite(kinetic)) and kinetic[1] == 0.0


def test_microcanonical_takes_what_an_adjusted_kernel_would_refuse_and_says_so():
    target = GaussianTarget()
    start = microcanonical.KERNEL.start(np.random.default_rng(0).standard_normal((200, 2)), target)
    moved, info = microcanonical.step(randoms(200), start, target, tuning(200, 1.2))
    assert info.accepted.all() and np.all(np.any(moved.position != start.position, axis=1))
    assert (np.exp(info.log_ratio) < 0.5).any() and not microcanonical.KERNEL.adjusted
    assert np.all((info.acceptance_prob > 0) & (info.acceptance_prob < 1))
    small = microcanonical.step(randoms(200), start, target, tuning(200, 0.1))[1]
    assert small.acceptance_prob.mean() > info.acceptance_prob.mean()


def test_microcanonical_goes_on_in_its_direction_and_turns_round_where_there_is_no_way():
    class Walled(GaussianTarget):
        def log_density_and_grad(self, position):
            density, grad = super().log_density_and_grad(position)
            return np.where(position[:, 0] > 1.0, -np.inf, density), grad

    start = microcanonical.KERNEL.start(np.zeros((50, 2)), Walled())
    tuned = Tuning(np.full(50, 0.3), np.ones((50, 2)), np.full(50, 1e6))  # hardly any noise on the way
    first, _ = microcanonical.step(randoms(50), start, Walled(), tuned)
    second, info = microcanonical.step(randoms(50), first, Walled(), tuned)
    assert first.velocity is not None
    assert np.all(np.sum((second.position - first.position) * first.velocity, axis=1)[info.accepted] > 0)
    state, refused = second, np.zeros(50, dtype=bool)
    for _ in range(20):
        before = state
        state, info = microcanonical.step(randoms(50), before, Walled(), tuned)
        stayed = ~info.accepted
        assert state.velocity is not None and before.velocity is not None
        refused |= stayed
        assert np.array_equal(state.position[stayed], before.position[stayed])
        assert np.all(np.sum(state.velocity * before.velocity, axis=1)[stayed] < -0.99)
    assert refused.any() and np.all(state.position[:, 0] <= 1.0)


def test_microcanonical_forgets_its_direction_over_the_friction_length():
    """Without a force the direction's correlation after a path of length s is exp(-s / length); 400 chains of 50
    parameters estimate it within 0.01, so 0.04 is four standard errors."""
    length, size, n = 1.0, 0.05, 20
    direction = begin = microcanonical.unit(np.random.default_rng(0).standard_normal((400, 50)))
    random = randoms(400)
    for _ in range(n):
        direction = microcanonical.refresh(random, direction, np.full(400, size), np.full(400, length))
    assert np.mean(np.sum(direction * begin, axis=1)) == pytest.approx(np.exp(-n * size / length), abs=0.04)


def test_microcanonical_needs_two_parameters():
    class OneDimensional(GaussianTarget):
        precision = np.ones((1, 1))

    tuned = Tuning(np.ones(1), np.ones((1, 1)), np.ones(1))
    start = mams.KERNEL.start(np.zeros((1, 1)), OneDimensional())
    for kernel in (mams.KERNEL, microcanonical.KERNEL):
        with pytest.raises(ValueError, match=r"sampler\.kernel"):
            kernel.step(randoms(1), start, OneDimensional(), tuned)


@pytest.mark.parametrize("log_density", [np.nan, np.inf, -np.inf, -2e12])
def test_an_unadjusted_move_that_is_refused_counts_as_divergent(log_density):
    here = ChainState(np.zeros((1, 2)), np.zeros(1), np.zeros((1, 2)))
    there = ChainState(np.ones((1, 2)), np.array([log_density]), np.zeros((1, 2)))
    moved, info = take_unadjusted(
        here, there, log_ratio=there.log_density - here.log_density, quality=np.ones(1)
    )
    assert np.array_equal(moved.position, here.position)
    assert info.diverging[0] and not info.accepted[0] and info.acceptance_prob[0] == 0.0


def test_exploration_comes_back_where_one_step_can_lead_too_far():
    """A density that falls ever more steeply: a chain that is let go too far out cannot come back."""

    class Steep(GaussianTarget):
        precision = np.eye(20)

        def log_density_and_grad(self, position):
            squares = np.vecdot(position, position)
            return -0.5 * squares - squares**4, -position * (1.0 + 8.0 * squares**3)[:, None]

        def log_density(self, position):
            return self.log_density_and_grad(position)[0]

    target, kernel = Steep(), microcanonical.KERNEL
    ones = np.ones((4, 20))
    state = kernel.start(0.1 * ones, target)
    for step_size in (0.05, 5.0, 0.05, 0.05):
        tuned = Tuning(np.full(4, step_size), ones, np.ones(4))
        state, info = kernel.step(randoms(4), state, target, tuned)
        assert (state.log_density > -1000).all()
        assert info.diverging.all() == (step_size == 5.0)
