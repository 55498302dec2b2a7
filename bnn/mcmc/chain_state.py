"""What a batch of chains is told, where it stands between two steps, and what it hands out."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from bnn.mcmc.adaptation import Adaptation
from bnn.mcmc.kernels.base import ChainState, Tuning
from bnn.model.adam import AdamState

PHASES = ("optimise", "explore", "warmup", "draws")
"""Parts of a run, in order; their seconds are counted apart."""


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
    def lengths(self) -> dict[str, int]:
        """Steps of each phase, optimiser and transitions alike."""
        optimise = self.optimise_steps if self.init == "optimised" else 0
        return dict(zip(PHASES, (optimise, self.explore, self.warmup, self.draws * self.thin), strict=True))

    @property
    def n_steps(self) -> int:
        """Steps of a whole run."""
        return sum(self.lengths.values())


class Draw(NamedTuple):
    """What is kept of each chain; fields have shape (chain,) where nothing else is said."""

    theta: np.ndarray
    """(chain, param)"""
    log_density: np.ndarray
    """nats"""
    acceptance_rate: np.ndarray
    """Mean over the transitions since the draw before"""
    n_diverging: np.ndarray
    """Divergent transitions since the draw before"""
    n_gradients: int
    """Evaluations of the log density, with or without gradient, since the start of the run, per chain; the longest
    trajectory of a batch counts"""


class OptimiserRecord(NamedTuple):
    """How far the optimiser was at one of its steps."""

    iteration: int
    """Steps since its start, the last one if it had to start again"""
    log_density: np.ndarray
    """(chain,), nats"""


class WarmupRecord(NamedTuple):
    """How far warm-up was at one of its transitions; fields have shape (chain,) where nothing else is said."""

    iteration: int
    """Transitions since the start of exploration"""
    explores: bool
    log_density: np.ndarray
    step_size: np.ndarray
    acceptance_rate: np.ndarray
    """Over about the last fifty transitions"""


class RunState(NamedTuple):
    """Everything that the next step depends on. Nothing in it is ever changed: a step makes another state."""

    phase: str
    iteration: int
    """Steps made in this phase"""
    n_starts: int
    """Draws of the prior that were tried as start points"""
    settled: np.ndarray
    """(chain,) bool: chains that keep their start point while others try another"""
    adam: AdamState
    chain: ChainState
    """While optimising, only the position counts"""
    adapting: Adaptation | None
    tuning: Tuning | None
    """Frozen, once there are draws"""
    recent: np.ndarray
    """(chain,): acceptance rate over about the last fifty transitions"""
    acceptance: np.ndarray
    """(chain,): sum of acceptance probabilities since the last kept draw"""
    n_diverging: np.ndarray
    """(chain,): divergent transitions since the last kept draw"""
    optimiser_records: tuple[OptimiserRecord, ...]
    records: tuple[WarmupRecord, ...]
    n_gradients: int
    seconds: tuple[float, ...]
    """Wall-clock seconds of each phase, for the whole batch"""
    random: list[dict[str, Any]]
    """State of each chain's generator in this phase"""


@dataclass(frozen=True)
class RunSummary:
    """What a batch of chains says of its run beside the draws; shapes as named."""

    chains: tuple[int, ...]
    tuning: Tuning
    """Frozen"""
    n_steps: np.ndarray | None
    """(chain,): steps of a trajectory; None for a kernel without trajectories"""
    optimiser: Mapping[str, np.ndarray]
    """"iteration" (record,) and "log_density" (chain, record)"""
    warmup: Mapping[str, np.ndarray]
    """"iteration" and "explores" (record,), and "log_density", "step_size", "acceptance_rate", each (chain, record)"""
    seconds: Mapping[str, float]
    """Wall-clock seconds of each phase, for the whole batch"""
    adjusted: bool
    """Whether proposals were accepted or rejected; if not, the draws are biased by the step size"""

    @property
    def step_size(self) -> np.ndarray:
        """(chain,), frozen"""
        return self.tuning.step_size


@dataclass(frozen=True)
class ChainDraws(RunSummary):
    """What a batch of chains kept, in memory; see `Draw`."""

    theta: np.ndarray
    """(chain, draw, param)"""
    log_density: np.ndarray
    """(chain, draw)"""
    acceptance_rate: np.ndarray
    """(chain, draw)"""
    n_diverging: np.ndarray
    """(chain, draw)"""
    n_gradients: int
    """At the last draw"""
