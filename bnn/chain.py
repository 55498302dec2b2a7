"""One chain, or several in lock-step: start, optimise, explore, adapt, freeze, draw.

Optimising climbs from a draw of the prior to where the posterior has its mass; exploring takes long unadjusted steps,
which leave poor modes that an adjusted kernel would stay in; adapting runs the kernel itself and tunes it. Every chain
has its own start, random streams, step size and preconditioner; running chains side by side only shares the cost of
NumPy calls, so chain 3 alone equals chain 3 of four bit for bit.
"""

import json
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from bnn import adaptation
from bnn.coordinates import Coordinates
from bnn.kernels import make_kernel, microcanonical
from bnn.kernels.base import ChainState, Kernel, Tuning
from bnn.optimize import maximise
from bnn.posterior import Posterior
from bnn.progress import Progress
from bnn.seeding import ChainRandom, Stream, chain_rng
from bnn.storage import write_netcdf

_WARMUP_RECORDS = 500
_FIRST_STEP_SIZE = 1e-3
_FIRST_LEAPFROG_STEP_SIZE = 1e-2


@dataclass(frozen=True)
class SamplerSettings:
    """How to sample. There are no defaults here: they live in the config.

    Parameters
    ----------
    kernel
        Name of the kernel.
    warmup
        Transitions before the tuning is frozen.
    draws
        Draws kept per chain.
    thin
        Transitions per kept draw.
    init
        "optimised": a draw from the prior, then Adam on the log density; "prior": the draw from the prior itself.
    optimise_steps, optimise_learning_rate
        Length of that Adam run and its first step length.
    explore
        Unadjusted transitions between the optimiser and warm-up.
    target_acceptance
        Acceptance rate to adapt to; None for the kernel's own.
    trajectory_length
        Length of a trajectory where the preconditioned posterior has unit variance, for kernels that have trajectories;
        None for a quarter period.
    precondition
        Whether to sample along the principal axes of the inputs, with a diagonal preconditioner learnt in warm-up.
    langevin
        Settings of the kernel `langevin_gradient`.
    """

    kernel: str
    warmup: int
    draws: int
    thin: int
    init: str
    optimise_steps: int
    optimise_learning_rate: float
    explore: int
    target_acceptance: float | None
    trajectory_length: float | None
    precondition: bool
    langevin: Mapping[str, float]

    @property
    def n_steps(self) -> int:
        """Steps of a whole run, optimiser and transitions alike."""
        optimise = self.optimise_steps if self.init == "optimised" else 0
        return optimise + self.explore + self.warmup + self.draws * self.thin


@dataclass(frozen=True)
class ChainDraws:
    """What a batch of chains kept; shapes as named."""

    chains: tuple[int, ...]
    theta: np.ndarray
    """(chain, draw, param)"""
    log_density: np.ndarray
    """(chain, draw), nats"""
    acceptance_rate: np.ndarray
    """(chain, draw): mean over the transitions since the draw before"""
    n_diverging: np.ndarray
    """(chain, draw): divergent transitions since the draw before"""
    step_size: np.ndarray
    """(chain,), frozen"""
    warmup: Mapping[str, np.ndarray]
    """"iteration" (record,), and "log_density", "step_size", "acceptance_rate", each (chain, record); transitions of
    exploration are counted first, and are records of their own phase, "explores" (record,)"""
    seconds: Mapping[str, float]
    """Wall-clock seconds of "optimise", "explore", "warmup" and "draws", for the whole batch"""
    n_gradients: int
    """Evaluations of the log density, with or without gradient, per chain; the longest trajectory of a batch counts"""
    adjusted: bool
    """Whether proposals were accepted or rejected; if not, the draws are biased by the step size"""


def run_chains(
    posterior: Posterior, chains: Sequence[int], seed: int, settings: SamplerSettings, progress: Progress
) -> ChainDraws:
    """Sample the posterior with some of the chains of a run.

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
        If a chain starts where the log density is not finite.
    """
    kernel = make_kernel(settings.kernel, langevin=settings.langevin)
    target = _CountedTarget(Coordinates(posterior, principal_axes=settings.precondition))
    # Overflow in a proposal is expected: it gives a ratio that rejects and is counted, so NumPy need not warn as well.
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        times = [time.perf_counter()]
        start = _start_positions(posterior, target, chains, seed, settings, progress)
        state = kernel.start(start, target)
        _check_start(state, chains)
        times.append(time.perf_counter())
        explored: list[_Record] = []
        if settings.explore:
            random = ChainRandom.of_chains(seed, Stream.EXPLORE, chains)
            exploring = microcanonical.KERNEL
            state = exploring.start(state.position, target)
            state, _, explored = _adapt(
                exploring, random, state, target, "explore", settings.explore, settings, progress
            )
            state = kernel.start(state.position, target)
        times.append(time.perf_counter())
        random = ChainRandom.of_chains(seed, Stream.WARMUP, chains)
        state, tuning, adapted = _adapt(
            kernel, random, state, target, "warm-up", settings.warmup, settings, progress
        )
        times.append(time.perf_counter())
        random = ChainRandom.of_chains(seed, Stream.SAMPLE, chains)
        kept = _draw(kernel, random, state, target, tuning, settings, progress)
        times.append(time.perf_counter())
    progress.close()
    return ChainDraws(
        chains=tuple(chains),
        **kept,
        step_size=tuning.step_size,
        warmup=_warmup_records(explored, adapted, settings.explore, len(chains)),
        seconds=dict(zip(("optimise", "explore", "warmup", "draws"), np.diff(times).tolist(), strict=True)),
        n_gradients=target.n_evaluations,
        adjusted=kernel.adjusted,
    )


class _CountedTarget:
    """The posterior in the coordinates that are sampled, and how often it was evaluated."""

    def __init__(self, coordinates: Coordinates) -> None:
        self.coordinates = coordinates
        self.n_evaluations = 0

    def log_density(self, position: np.ndarray) -> np.ndarray:
        self.n_evaluations += 1
        return self.coordinates.log_density(position)

    def log_density_and_grad(self, position: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        self.n_evaluations += 1
        return self.coordinates.log_density_and_grad(position)

    def log_density_of_theta(self, state: ChainState) -> np.ndarray:
        """Return what is recorded: the log density of theta, (chain,), not that of the position."""
        return state.log_density - self.coordinates.log_jacobian(state.position)


def _start_positions(
    posterior: Posterior,
    target: _CountedTarget,
    chains: Sequence[int],
    seed: int,
    settings: SamplerSettings,
    progress: Progress,
) -> np.ndarray:
    draws = [posterior.prior.sample(chain_rng(seed, Stream.INITIAL, chain)) for chain in chains]
    position = target.coordinates.from_theta(np.stack(draws))
    if settings.init == "prior":
        return position

    def on_step(_: int, log_density: np.ndarray) -> None:
        progress.advance("optimise", lambda: f"log density {np.mean(log_density):.1f}")

    return maximise(
        target.log_density_and_grad,
        position,
        n_steps=settings.optimise_steps,
        learning_rate=settings.optimise_learning_rate,
        on_step=on_step,
    )


def _check_start(state: ChainState, chains: Sequence[int]) -> None:
    bad = [chain for chain, value in zip(chains, state.log_density, strict=True) if not np.isfinite(value)]
    if bad:
        raise FloatingPointError(
            f"chain {', '.join(map(str, bad))}: the log density is not finite at the start point; "
            "look for extreme values in the data, or lower prior scales or sampler.optimise_learning_rate"
        )


def _details(acceptance: np.ndarray, step_size: np.ndarray) -> str:
    return f"acceptance {np.mean(acceptance):.2f}, step size {np.mean(step_size):.2e}"


_Record = tuple[int, np.ndarray, np.ndarray, np.ndarray]


def _adapt(
    kernel: Kernel,
    random: ChainRandom,
    state: ChainState,
    target: _CountedTarget,
    phase: str,
    n_transitions: int,
    settings: SamplerSettings,
    progress: Progress,
) -> tuple[ChainState, Tuning, list[_Record]]:
    """Run a kernel and tune it on the way; return where it ends, its frozen tuning, and records of the way."""
    wanted = kernel.target_acceptance
    if phase == "explore":
        wanted = microcanonical.BOLD_QUALITY
    elif settings.target_acceptance is not None:
        wanted = settings.target_acceptance
    length = adaptation.QUARTER_PERIOD if settings.trajectory_length is None else settings.trajectory_length
    first = _FIRST_LEAPFROG_STEP_SIZE if kernel.has_trajectories else _FIRST_STEP_SIZE
    adapting = adaptation.start_adaptation(state.position, first)
    every = max(1, n_transitions // _WARMUP_RECORDS)
    records: list[_Record] = []
    recent = np.full(len(state.log_density), wanted)
    for iteration in range(1, n_transitions + 1):
        tuning = adaptation.tuning_for_warmup(
            adapting, n_warmup=n_transitions, trajectory_length=length, cut_short=kernel.has_trajectories
        )
        state, info = kernel.step(random, state, target, tuning)
        adapting = adaptation.update_adaptation(
            adapting,
            state.position,
            info.acceptance_prob,
            n_warmup=n_transitions,
            target_acceptance=wanted,
            # An unadjusted chain travels far while it is tuned: its variance tells of the way, not the posterior.
            precondition=settings.precondition and kernel.adjusted,
            step_exponent=kernel.step_exponent,
        )
        recent = 0.98 * recent + 0.02 * info.acceptance_prob  # over about the last fifty transitions
        progress.advance(phase, lambda: _details(recent, tuning.step_size))  # noqa: B023 (called at once)
        if iteration % every == 0:
            records.append((iteration, target.log_density_of_theta(state), tuning.step_size, recent))
    return state, adaptation.frozen_tuning(adapting, trajectory_length=length), records


def _warmup_records(
    explored: list[_Record], adapted: list[_Record], n_explore: int, n_chains: int
) -> dict[str, np.ndarray]:
    records = explored + [(n_explore + iteration, *rest) for iteration, *rest in adapted]
    columns = np.array([rest for _, *rest in records]).reshape(len(records), 3, n_chains)
    names = ("log_density", "step_size", "acceptance_rate")
    return {
        "iteration": np.array([iteration for iteration, *_ in records], dtype=np.int64),
        "explores": np.arange(len(records)) < len(explored),
    } | {name: columns[:, i].T.copy() for i, name in enumerate(names)}


def _draw(
    kernel: Kernel,
    random: ChainRandom,
    state: ChainState,
    target: _CountedTarget,
    tuning: Tuning,
    settings: SamplerSettings,
    progress: Progress,
) -> dict[str, np.ndarray]:
    n_chains, n_params = state.position.shape
    theta = np.empty((n_chains, settings.draws, n_params))
    log_density = np.empty((n_chains, settings.draws))
    acceptance = np.empty((n_chains, settings.draws))
    diverging = np.empty((n_chains, settings.draws), dtype=np.int64)
    shown = np.full(n_chains, kernel.target_acceptance)
    for draw in range(settings.draws):
        total, n_diverging = np.zeros(n_chains), np.zeros(n_chains, dtype=np.int64)
        for _ in range(settings.thin):
            state, info = kernel.step(random, state, target, tuning)
            total += info.acceptance_prob
            n_diverging += info.diverging
            progress.advance("draws", lambda: _details(shown, tuning.step_size))  # noqa: B023
        theta[:, draw] = target.coordinates.to_theta(state.position)
        log_density[:, draw] = target.log_density_of_theta(state)
        acceptance[:, draw] = total / settings.thin
        shown = acceptance[:, max(0, draw - 19) : draw + 1].mean(axis=1)  # of the last twenty draws
        diverging[:, draw] = n_diverging
    return {
        "theta": theta,
        "log_density": log_density,
        "acceptance_rate": acceptance,
        "n_diverging": diverging,
    }


def save_draws(
    path: str | os.PathLike[str],
    draws: ChainDraws,
    *,
    posterior: Posterior,
    settings: SamplerSettings,
    dataset: str,
    seed: int,
) -> None:
    """Write what a batch of chains kept to a NetCDF file, with all that is needed to read it alone."""
    shared = ("chain", "draw")
    steps = np.broadcast_to(draws.step_size[:, None], draws.log_density.shape)
    variables: dict[str, tuple[Sequence[str], np.ndarray]] = {
        "theta": ((*shared, "param"), draws.theta),
        "log_density": (shared, draws.log_density),
        "acceptance_rate": (shared, draws.acceptance_rate),
        "diverging": (shared, draws.n_diverging),
        "step_size": (shared, steps),
        "chain_id": (("chain",), np.array(draws.chains, dtype=np.int64)),
        "warmup_iteration": (("record",), draws.warmup["iteration"]),
        "warmup_explores": (("record",), draws.warmup["explores"].astype(np.int64)),
    }
    for name in ("log_density", "step_size", "acceptance_rate"):
        variables[f"warmup_{name}"] = (("chain", "record"), draws.warmup[name])
    attributes: dict[str, Any] = {
        "dataset": dataset,
        "seed": seed,
        "layout": posterior.layout.to_json(),
        "kernel": settings.kernel,
        "n_warmup": settings.explore + settings.warmup,
        "n_draws": settings.draws,
        "thin": settings.thin,
        "langevin": json.dumps(dict(settings.langevin)),
        "n_gradients": draws.n_gradients,
        "adjusted": int(draws.adjusted),
    }
    attributes |= {f"seconds_{phase}": seconds for phase, seconds in draws.seconds.items()}
    write_netcdf(path, variables, attributes)
