"""One chain, or several in lock-step: start, optimise, explore, adapt, freeze, draw.

Optimising climbs from a draw of the prior to where the posterior has its mass; exploring takes long unadjusted steps,
which leave poor modes that an adjusted kernel would stay in; adapting runs the kernel itself and tunes it. Every chain
has its own start, random streams, step size and preconditioner; running chains side by side only shares the cost of
NumPy calls, so chain 3 alone equals chain 3 of four bit for bit.

`ChainRun` makes one step at a time and shows all that the next step depends on as a `RunState`, numbers alone: from a
stored state another process goes on to the same draws, bit for bit.
"""

import time
from collections.abc import Callable, Sequence
from functools import partial

import numpy as np

from bnn.core.progress import Progress
from bnn.core.seeding import ChainRandom, Stream
from bnn.core.settings import PHASES, SamplerSettings
from bnn.mcmc import adaptation, row_precision
from bnn.mcmc.chain_state import (
    ChainDraws,
    Draw,
    OptimiserRecord,
    RunState,
    RunSummary,
    WarmupRecord,
    columns_of,
)
from bnn.mcmc.coordinates import Coordinates
from bnn.mcmc.kernels import make_kernel, microcanonical, resolve_kernel
from bnn.mcmc.kernels.base import ChainState, Kernel, Tuning, steps_of_trajectory
from bnn.mcmc.target import CountedTarget
from bnn.model.adam import adam_step, start_adam
from bnn.model.batches import RowBatches
from bnn.model.collapsed import CollapsedPosterior
from bnn.model.posterior import Posterior

MOST_STARTS = 10
"""Draws of the prior that a chain may try until its log density is finite."""

quiet_overflow = partial(np.errstate, over="ignore", invalid="ignore", divide="ignore")
"""Overflow in a proposal is expected: it gives a ratio that rejects and is counted, so NumPy need not warn as well."""

_OPTIMISER_RECORDS = 100
_WARMUP_RECORDS = 500
_FIRST_STEP_SIZE = 1e-3
_FIRST_LEAPFROG_STEP_SIZE = 1e-2
_STREAMS = dict(zip(PHASES, (Stream.INITIAL, Stream.EXPLORE, Stream.WARMUP, Stream.SAMPLE), strict=True))


def run_chains(
    posterior: Posterior, chains: Sequence[int], seed: int, settings: SamplerSettings, progress: Progress
) -> ChainDraws:
    """Sample the posterior with some of the chains of a run, and hold all draws in memory.

    Parameters
    ----------
    posterior
        The target.
    chains
        Numbers of the chains; each number has its own random streams.
    seed
        Seed of the run.
    settings
        How to sample.
    progress
        Told of every step.

    Raises
    ------
    FloatingPointError
        If a chain finds no start point where the log density is finite.
    """
    shape = (len(chains), settings.draws)
    theta = np.empty((*shape, posterior.layout.n_params))
    log_density, acceptance = np.empty(shape), np.empty(shape)
    n_diverging = np.empty(shape, dtype=np.int64)
    index = 0
    with quiet_overflow():
        run = ChainRun(posterior, chains, seed, settings)
        while index < settings.draws:
            draw = run.step()
            progress.advance(run.state.phase, run.details)
            if draw is not None:
                theta[:, index], log_density[:, index] = draw.theta, draw.log_density
                acceptance[:, index], n_diverging[:, index] = draw.acceptance_rate, draw.n_diverging
                index += 1
    progress.close()
    return ChainDraws(
        **vars(run.summary()),
        theta=theta,
        log_density=log_density,
        acceptance_rate=acceptance,
        n_diverging=n_diverging,
        n_gradients=run.state.n_gradients,
    )


class ChainRun:
    """A batch of chains on the way: a step at a time, from the start or from a stored state.

    Parameters
    ----------
    posterior, chains, seed, settings
        As for `run_chains`. The number of draws in the settings is not looked at: a run continues as long as it is
        asked, and `thin`, iterations from one kept draw to the next, may be changed between steps.
    state
        Where to go on; None to start.
    on_evaluation
        Called before every evaluation of the log density; it may raise to leave a long trajectory. The state is then
        that of before the step, but generators have moved on: go on with another `ChainRun` from a stored state.

    Raises
    ------
    FloatingPointError
        Here or in a step, if a chain finds no start point where the log density is finite.
    """

    def __init__(
        self,
        posterior: Posterior,
        chains: Sequence[int],
        seed: int,
        settings: SamplerSettings,
        *,
        state: RunState | None = None,
        on_evaluation: Callable[[], None] | None = None,
    ) -> None:
        self.posterior, self.chains, self.seed, self.settings = posterior, tuple(chains), seed, settings
        name = resolve_kernel(settings.kernel, len(posterior.x))
        self.kernel = make_kernel(name, langevin=settings.langevin)
        batches = RowBatches(posterior) if self.kernel.by_batches else None
        # Without a hidden layer nothing but scales would be left to move. What is integrated out depends on all rows.
        can_collapse = settings.collapse == "auto" and posterior.network.trunk is not None and batches is None
        self._collapsed = CollapsedPosterior.of(posterior) if can_collapse else None
        density = posterior if self._collapsed is None else self._collapsed
        coordinates = Coordinates(density, principal_axes=settings.precondition)
        self._target = CountedTarget(coordinates, batches, on_evaluation)
        self.thin = settings.thin
        self._lengths = settings.lengths
        phase = PHASES[0] if state is None else state.phase
        self._random = ChainRandom.of_chains(seed, _STREAMS[phase], chains)
        if state is not None:
            self._random.set_state(state.random)
            self._target.n_evaluations = state.n_gradients
            self.state = state
        else:
            self.state = self._first_state()
            if not self._lengths["optimise"]:
                self.state = self._leave_optimiser(self.state)

    def step(self) -> Draw | None:
        """Make one step of the optimiser or one iteration; return the draw that it completes, if it does."""
        began = time.perf_counter()
        before = self.state
        phase = PHASES.index(before.phase)
        if self._collapsed is not None:
            self._collapsed.row_precision = before.row_precision
        draw = None
        if before.phase == "optimise":
            state = self._optimise(before)
        elif before.phase == "draws":
            state, draw = self._draw(before)
        else:
            state = self._adapt(before)
        if state.phase == before.phase and self._collapsed is not None:
            steps = (self._target, self._phase_kernel(state.phase))
            state = row_precision.refreshed(state, self._collapsed, *steps, self.seed, self.chains)
        seconds = list(before.seconds)
        seconds[phase] += time.perf_counter() - began
        self.state = state._replace(n_gradients=self._target.n_evaluations, seconds=tuple(seconds))
        return draw

    def stored_state(self) -> RunState:
        """Return all that another `ChainRun` needs to go on from here."""
        return self.state._replace(random=self._random.state())

    @property
    def n_done(self) -> int:
        """Steps made so far of those that the settings plan."""
        before = PHASES[: PHASES.index(self.state.phase)]
        return sum(self._lengths[phase] for phase in before) + self.state.iteration

    def details(self) -> str:
        """Return how the run goes, for a display."""
        state = self.state
        if state.phase == "optimise":
            return f"log density {np.mean(state.chain.log_density):.1f}"
        tuning = state.tuning or self._tuning(state)
        return f"acceptance {np.mean(state.recent):.2f}, step size {np.mean(tuning.step_size):.2e}"

    def summary(self) -> RunSummary:
        """Return what the run says of itself; warm-up must be over."""
        tuning, records = self.state.tuning, self.state.records
        assert tuning is not None
        with quiet_overflow():  # of a search for a step size that has failed
            n_steps = steps_of_trajectory(tuning) if self.kernel.has_trajectories else None
        columns, n_chains = ("log_density", "step_size", "acceptance_rate"), len(self.chains)
        return RunSummary(
            chains=self.chains,
            tuning=tuning,
            n_steps=n_steps,
            optimiser=columns_of(self.state.optimiser_records, ("log_density",), n_chains),
            warmup=columns_of(records, columns, n_chains)
            | {"explores": np.array([record.explores for record in records], dtype=bool)},
            seconds=dict(zip(PHASES, self.state.seconds, strict=True)),
            kernel=self.kernel.name,
            adjusted=self.kernel.adjusted,
        )

    def _first_state(self) -> RunState:
        position = self._prior_draws()
        zero = np.zeros(len(self.chains))
        n_mixing = 0 if self._collapsed is None else self._collapsed.n_mixing
        return RunState(
            phase="optimise",
            iteration=0,
            n_starts=1,
            settled=np.zeros(len(self.chains), dtype=bool),
            adam=start_adam(position),
            chain=ChainState(position, zero, np.zeros_like(position)),
            adapting=None,
            tuning=None,
            row_precision=np.ones((len(self.chains), n_mixing)),
            recent=zero,
            acceptance=zero,
            n_diverging=np.zeros(len(self.chains), dtype=np.int64),
            optimiser_records=(),
            records=(),
            n_gradients=0,
            seconds=(0.0,) * len(PHASES),
            random=[],
        )

    def _prior_draws(self) -> np.ndarray:
        theta = np.stack([self.posterior.prior.sample(generator) for generator in self._random.generators])
        return self._target.coordinates.from_theta(
            theta if self._collapsed is None else self._collapsed.reduce(theta)
        )

    def _optimise(self, state: RunState) -> RunState:
        """Climb the log density by Adam, with a step that falls linearly to zero."""
        position, n_steps = state.chain.position, self._lengths["optimise"]
        log_density, grad = self._target.log_density_and_grad(position)
        rate = self.settings.optimise_learning_rate * (1.0 - state.iteration / n_steps)
        adam, moved = adam_step(state.adam, position, -grad, learning_rate=rate, weight_decay=0.0)
        if state.settled.any():
            moved = np.where(state.settled[:, None], position, moved)
        chain = ChainState(moved, log_density, grad)
        records = state.optimiser_records
        if state.iteration % max(1, n_steps // _OPTIMISER_RECORDS) == 0:
            of_theta = self._target.log_density_of_theta(state.chain._replace(log_density=log_density))
            records = (*records, OptimiserRecord(state.iteration, of_theta))
        state = state._replace(
            iteration=state.iteration + 1, adam=adam, chain=chain, optimiser_records=records
        )
        return state if state.iteration < n_steps else self._leave_optimiser(state)

    def _leave_optimiser(self, state: RunState) -> RunState:
        """Go on where every chain has a finite log density; give the others another draw of the prior to start from.

        A chain draws again from its own stream, and others stay where they are: they are the same with or without it.
        """
        chain = self.kernel.start(state.chain.position, self._target)
        settled = np.isfinite(chain.log_density) & np.isfinite(chain.grad).all(axis=1)
        while not settled.all():
            if state.n_starts == MOST_STARTS:
                bad = ", ".join(str(self.chains[index]) for index in np.flatnonzero(~settled))
                raise FloatingPointError(
                    f"chain {bad}: the log density is not finite at any of {MOST_STARTS} start points; "
                    "look for extreme values in the data, or lower prior scales or sampler.optimise_learning_rate"
                )
            position = np.where(settled[:, None], chain.position, self._prior_draws())
            chain = chain._replace(position=position)
            state = state._replace(
                iteration=0,
                n_starts=state.n_starts + 1,
                settled=settled,
                chain=chain,
                optimiser_records=(),
            )
            if self._lengths["optimise"]:
                return state._replace(adam=start_adam(position))
            chain = self.kernel.start(position, self._target)
            settled = np.isfinite(chain.log_density) & np.isfinite(chain.grad).all(axis=1)
        if self._lengths["explore"]:
            return self._enter("explore", state, microcanonical.KERNEL.start(chain.position, self._target))
        return self._enter("warmup", state, chain)

    def _enter(self, phase: str, state: RunState, chain: ChainState) -> RunState:
        """Begin a phase of warm-up at a state that its kernel has started."""
        kernel = self._phase_kernel(phase)
        first = _FIRST_LEAPFROG_STEP_SIZE if kernel.has_trajectories else _FIRST_STEP_SIZE
        self._random = ChainRandom.of_chains(self.seed, _STREAMS[phase], self.chains)
        return state._replace(
            phase=phase,
            iteration=0,
            chain=chain,
            adapting=adaptation.start_adaptation(chain.position, chain.grad, first),
            recent=np.full(len(self.chains), self._wanted(phase, 0)),
        )

    def _wanted(self, phase: str, iteration: int) -> float:
        """Return the acceptance rate, or its stand-in, that a phase tunes to.

        Exploration begins with steps that are too long to stay anywhere and ends with accurate ones, as in simulated
        annealing: long steps heat.
        """
        if phase == "explore":
            hot, cold = microcanonical.BOLD_QUALITY, microcanonical.KERNEL.target_acceptance
            return hot + (cold - hot) * iteration / self._lengths[phase]
        asked = self.settings.target_acceptance
        return self.kernel.target_acceptance if asked is None or self.kernel.by_batches else asked

    def _phase_kernel(self, phase: str) -> Kernel:
        return microcanonical.KERNEL if phase == "explore" else self.kernel

    @property
    def _trajectory_length(self) -> float:
        asked = self.settings.trajectory_length
        if asked is not None:
            return asked
        return adaptation.QUARTER_PERIOD if self._collapsed is None else adaptation.COLLAPSED_LENGTH

    def _tuning(self, state: RunState) -> Tuning:
        assert state.adapting is not None
        return adaptation.tuning_for_warmup(
            state.adapting,
            n_warmup=self._lengths[state.phase],
            trajectory_length=self._trajectory_length,
            most_steps=self.settings.most_steps if self._phase_kernel(state.phase).has_trajectories else None,
        )

    def _adapt(self, state: RunState) -> RunState:
        """Make an iteration and learn from it; after the last one, freeze what was learned."""
        assert state.adapting is not None
        phase, kernel, n_transitions = (
            state.phase,
            self._phase_kernel(state.phase),
            self._lengths[state.phase],
        )
        tuning = self._tuning(state)
        chain, info = kernel.step(self._random, state.chain, self._target, tuning)
        adapting = adaptation.update_adaptation(
            state.adapting,
            chain.position,
            chain.grad,
            info.acceptance_prob,
            n_warmup=n_transitions,
            target_acceptance=self._wanted(phase, state.iteration),
            # An unadjusted chain travels far while it is tuned: its variance tells of the way, not the posterior.
            precondition=self.settings.precondition and kernel.adjusted,
            step_exponent=kernel.step_exponent,
        )
        recent = 0.98 * state.recent + 0.02 * info.acceptance_prob
        iteration, records = state.iteration + 1, state.records
        if iteration % max(1, n_transitions // _WARMUP_RECORDS) == 0:
            explores = phase == "explore"
            total = iteration if explores else self._lengths["explore"] + iteration
            log_density = self._target.log_density_of_theta(chain)
            records = (*records, WarmupRecord(total, explores, log_density, tuning.step_size, recent))
        state = state._replace(
            iteration=iteration, chain=chain, adapting=adapting, recent=recent, records=records
        )
        if iteration < n_transitions:
            return state
        if phase == "explore":
            return self._enter("warmup", state, self.kernel.start(chain.position, self._target))
        self._random = ChainRandom.of_chains(self.seed, Stream.SAMPLE, self.chains)
        tuning = adaptation.frozen_tuning(
            adapting,
            trajectory_length=self._trajectory_length,
            most_steps=self.settings.most_steps if kernel.has_trajectories else None,
        )
        return state._replace(phase="draws", iteration=0, tuning=tuning)

    def _draw(self, state: RunState) -> tuple[RunState, Draw | None]:
        assert state.tuning is not None
        chain, info = self.kernel.step(self._random, state.chain, self._target, state.tuning)
        acceptance = state.acceptance + info.acceptance_prob
        n_diverging = state.n_diverging + info.diverging
        recent = 0.98 * state.recent + 0.02 * info.acceptance_prob
        iteration, thin = state.iteration + 1, self.thin
        draw = None
        if iteration % thin == 0:
            theta = self._target.coordinates.to_theta(chain.position)
            if self._collapsed is not None:
                # Streams of their own, so that a draw does not depend on which others are kept.
                random = ChainRandom.of_chains(self.seed, Stream.OUTPUT, self.chains, iteration)
                theta = self._collapsed.complete(theta, random)
            n_gradients = self._target.n_evaluations
            log_density = self._target.log_density_of_draw(theta, chain)
            draw = Draw(theta, log_density, acceptance / thin, n_diverging, n_gradients)
            acceptance, n_diverging = np.zeros_like(acceptance), np.zeros_like(n_diverging)
        state = state._replace(
            iteration=iteration, chain=chain, recent=recent, acceptance=acceptance, n_diverging=n_diverging
        )
        return state, draw
