"""What a batch of chains is told, where it stands between two steps, and what it hands out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from bnn.mcmc.adaptation import Adaptation
from bnn.mcmc.kernels.base import ChainState, Tuning
from bnn.model.adam import AdamState


class Draw(NamedTuple):
    """What is kept of each chain; fields have shape (chain,) where nothing else is said."""

    theta: np.ndarray
    """(chain, param)"""
    log_density: np.ndarray
    """nats"""
    acceptance_rate: np.ndarray
    """Mean over the iterations since the draw before"""
    n_diverging: np.ndarray
    """Divergent iterations since the draw before"""
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
    """How far warm-up was at one of its iterations; fields have shape (chain,) where nothing else is said."""

    iteration: int
    """Iterations since the start of exploration"""
    explores: bool
    log_density: np.ndarray
    step_size: np.ndarray
    acceptance_rate: np.ndarray
    """Over about the last fifty iterations"""


def columns_of(
    records: Sequence[OptimiserRecord | WarmupRecord], names: Sequence[str], n_chains: int
) -> dict[str, np.ndarray]:
    """Return the iterations of records, (record,), and each named field, (chain, record)."""
    shape = (len(records), n_chains)
    columns = {
        name: np.array([getattr(record, name) for record in records]).reshape(shape).T.copy()
        for name in names
    }
    return {"iteration": np.array([record.iteration for record in records], dtype=np.int64)} | columns


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
    row_precision: np.ndarray
    """(chain, obs): by what the noise precision of each row is multiplied, where Student-t noise is sampled as normal
    noise of such rows; else (chain, 0)"""
    recent: np.ndarray
    """(chain,): acceptance rate over about the last fifty iterations"""
    acceptance: np.ndarray
    """(chain,): sum of acceptance probabilities since the last kept draw"""
    n_diverging: np.ndarray
    """(chain,): divergent iterations since the last kept draw"""
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
    kernel: str
    """Its name, which `auto` stood for"""
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
