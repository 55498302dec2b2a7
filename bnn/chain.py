"""One chain, or several in lock-step: start, optimise, adapt, freeze, draw.

Every chain has its own start, random streams, step size and preconditioner; running chains side by side only shares the
cost of NumPy calls, so chain 3 alone equals chain 3 of four bit for bit.
"""

import json
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from bnn import adaptation
from bnn.kernels import make_kernel
from bnn.kernels.base import ChainState, Kernel, Tuning
from bnn.optimize import maximise
from bnn.posterior import Posterior
from bnn.progress import Progress
from bnn.seeding import ChainRandom, Stream, chain_rng
from bnn.storage import write_netcdf

_WARMUP_RECORDS = 500
_FIRST_STEP_SIZE = 1e-3


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
    target_acceptance
        Acceptance rate to adapt to; None for the kernel's own.
    precondition
        Whether warm-up learns a diagonal preconditioner.
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
    target_acceptance: float | None
    precondition: bool
    langevin: Mapping[str, float]

    @property
    def n_steps(self) -> int:
        """Steps of a whole run, optimiser and transitions alike."""
        optimise = self.optimise_steps if self.init == "optimised" else 0
        return optimise + self.warmup + self.draws * self.thin


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
    """"iteration" (record,), and "log_density", "step_size", "acceptance_rate", each (chain, record)"""
    seconds: Mapping[str, float]
    """Wall-clock seconds of "optimise", "warmup" and "draws", for the whole batch"""
    n_gradients: int
    """Evaluations of the log density, with or without gradient, per chain"""


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
    # Overflow in a proposal is expected: it gives a ratio that rejects and is counted, so NumPy need not warn as well.
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        begin = time.perf_counter()
        position = _start_positions(posterior, chains, seed, settings, progress)
        state = kernel.start(position, posterior)
        _check_start(state, chains)
        optimised = time.perf_counter()
        random = ChainRandom.of_chains(seed, Stream.WARMUP, chains)
        state, tuning, warmup = _warm_up(kernel, random, state, posterior, settings, progress)
        warmed = time.perf_counter()
        random = ChainRandom.of_chains(seed, Stream.SAMPLE, chains)
        kept = _draw(kernel, random, state, posterior, tuning, settings, progress)
        end = time.perf_counter()
    progress.close()
    return ChainDraws(
        chains=tuple(chains),
        **kept,
        step_size=tuning.step_size,
        warmup=warmup,
        seconds={"optimise": optimised - begin, "warmup": warmed - optimised, "draws": end - warmed},
        n_gradients=settings.n_steps + 1,
    )


def _start_positions(
    posterior: Posterior, chains: Sequence[int], seed: int, settings: SamplerSettings, progress: Progress
) -> np.ndarray:
    draws = [posterior.prior.sample(chain_rng(seed, Stream.INITIAL, chain)) for chain in chains]
    position = np.stack(draws)
    if settings.init == "prior":
        return position

    def on_step(_: int, log_density: np.ndarray) -> None:
        progress.advance("optimise", lambda: f"log density {np.mean(log_density):.1f}")

    return maximise(
        posterior.log_density_and_grad,
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


def _warm_up(
    kernel: Kernel,
    random: ChainRandom,
    state: ChainState,
    posterior: Posterior,
    settings: SamplerSettings,
    progress: Progress,
) -> tuple[ChainState, Tuning, dict[str, np.ndarray]]:
    target = kernel.target_acceptance if settings.target_acceptance is None else settings.target_acceptance
    adapting = adaptation.start_adaptation(state.position, _FIRST_STEP_SIZE)
    every = max(1, settings.warmup // _WARMUP_RECORDS)
    iterations: list[int] = []
    records: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
    recent = np.full(len(state.log_density), target)
    for iteration in range(1, settings.warmup + 1):
        tuning = adaptation.tuning_for_warmup(adapting)
        state, info = kernel.step(random, state, posterior, tuning)
        adapting = adaptation.update_adaptation(
            adapting,
            state.position,
            info.acceptance_prob,
            n_warmup=settings.warmup,
            target_acceptance=target,
            precondition=settings.precondition,
        )
        recent = 0.98 * recent + 0.02 * info.acceptance_prob  # over about the last fifty transitions
        progress.advance("warm-up", lambda: _details(recent, tuning.step_size))  # noqa: B023 (called at once)
        if iteration % every == 0:
            iterations.append(iteration)
            records.append((state.log_density, tuning.step_size, recent))
    names = ("log_density", "step_size", "acceptance_rate")
    columns = np.array(records).reshape(len(records), 3, len(state.log_density))
    trace = {name: columns[:, i].T.copy() for i, name in enumerate(names)}
    return (
        state,
        adaptation.frozen_tuning(adapting),
        {"iteration": np.array(iterations, dtype=np.int64), **trace},
    )


def _draw(
    kernel: Kernel,
    random: ChainRandom,
    state: ChainState,
    posterior: Posterior,
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
            state, info = kernel.step(random, state, posterior, tuning)
            total += info.acceptance_prob
            n_diverging += info.diverging
            progress.advance("draws", lambda: _details(shown, tuning.step_size))  # noqa: B023
        theta[:, draw] = state.position
        log_density[:, draw] = state.log_density
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
    }
    for name in ("log_density", "step_size", "acceptance_rate"):
        variables[f"warmup_{name}"] = (("chain", "record"), draws.warmup[name])
    attributes: dict[str, Any] = {
        "dataset": dataset,
        "seed": seed,
        "layout": posterior.layout.to_json(),
        "kernel": settings.kernel,
        "n_warmup": settings.warmup,
        "n_draws": settings.draws,
        "thin": settings.thin,
        "langevin": json.dumps(dict(settings.langevin)),
        "n_gradients": draws.n_gradients,
    }
    attributes |= {f"seconds_{phase}": seconds for phase, seconds in draws.seconds.items()}
    write_netcdf(path, variables, attributes)
