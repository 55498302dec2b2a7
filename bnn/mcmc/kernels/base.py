"""What every kernel shares: the state of a batch of chains, what an iteration reports, and the one acceptance rule."""

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

import numpy as np

from bnn.core.seeding import ChainRandom

DIVERGENCE_THRESHOLD = 1000.0
"""A proposal whose log acceptance ratio is below minus this many nats, or is not a number, counts as divergent."""


MAX_STEPS = 1024
"""Most steps of one trajectory: where a posterior is so stiff that the wanted length needs more, it is cut short."""


class Target(Protocol):
    """The density that a kernel leaves invariant."""

    def log_density(self, position: np.ndarray) -> np.ndarray:
        """Return the log density in nats, (chain, param) -> (chain,)."""

    def log_density_and_grad(self, position: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the log density (chain,) and its gradient (chain, param)."""


class BatchTarget(Target, Protocol):
    """A density whose gradient batches of rows estimate."""

    @property
    def n_batches(self) -> int:
        """How many batches make all rows."""

    def grad_of_batches(self, position: np.ndarray, batch: np.ndarray) -> np.ndarray:
        """Return what one batch for each chain, (chain,), says of the gradient, (chain, param)."""


class ChainState(NamedTuple):
    """Where the chains are. The density and the gradient travel with the position, so that neither is
    computed twice."""

    position: np.ndarray
    """(chain, param)"""
    log_density: np.ndarray
    """(chain,), nats"""
    grad: np.ndarray
    """(chain, param); (chain, 0) for kernels that use no gradient"""
    velocity: np.ndarray | None = None
    """(chain, param), for a kernel whose motion continues from one iteration to the next; None before the first"""


class TransitionInfo(NamedTuple):
    """What happened in one iteration; every field has shape (chain,)."""

    acceptance_prob: np.ndarray
    accepted: np.ndarray
    log_ratio: np.ndarray
    diverging: np.ndarray


class Tuning(NamedTuple):
    """What adaptation sets, chain by chain."""

    step_size: np.ndarray
    """(chain,)"""
    variance: np.ndarray
    """(chain, param): the diagonal C of the preconditioner, in squared units of theta"""
    trajectory: np.ndarray
    """(chain,): length of a trajectory, in units in which the preconditioned coordinates have unit variance; kernels
    without trajectories ignore it"""


class Kernel(NamedTuple):
    """An iteration that leaves the target invariant, and what adaptation must know about it."""

    name: str
    target_acceptance: float
    """The acceptance rate to which the step size is adapted unless the config says another."""
    start: Callable[[np.ndarray, Target], ChainState]
    step: Callable[[ChainRandom, ChainState, Any, Tuning], tuple[ChainState, TransitionInfo]]
    """It takes a `Target`; of a kernel that goes by batches a `BatchTarget`"""
    step_exponent: float = 0.5
    """Power of the preconditioner C that the step size multiplies: 1 where a step is a variance, 1/2 for a length"""
    has_trajectories: bool = False
    """Whether an iteration takes several steps"""
    adjusted: bool = True
    """Whether proposals are accepted or rejected; if not, draws are biased by the step size"""
    by_batches: bool = False
    """Whether it takes the gradient of some rows at a time"""


def start_with_grad(position: np.ndarray, target: Target) -> ChainState:
    """Return the state at a position, gradient included."""
    return ChainState(position, *target.log_density_and_grad(position))


def start_without_grad(position: np.ndarray, target: Target) -> ChainState:
    """Return the state at a position for kernels that use no gradient."""
    return ChainState(position, target.log_density(position), np.empty((len(position), 0)))


def steps_of_trajectory(tuning: Tuning) -> np.ndarray:
    """Return how many steps make a trajectory of the wanted length, (chain,), from 1 to MAX_STEPS."""
    return np.clip(np.ceil(tuning.trajectory / tuning.step_size), 1, MAX_STEPS).astype(np.int64)


def log_normal_shape(z: np.ndarray) -> np.ndarray:
    """Return the log of a standard normal density up to its constant, (chain, param) -> (chain,).

    A proposal with mean m and standard deviation s has this at z = (to - m) / s, less the log of s. All
    kernels here propose with the same s there and back, so it drops out of the acceptance ratio as the
    constant does.
    """
    return -0.5 * np.einsum("cp,cp->c", z, z)


def metropolis_hastings(
    random: ChainRandom,
    current: ChainState,
    proposed: ChainState,
    *,
    log_q_forth: np.ndarray | float,
    log_q_back: np.ndarray | float,
) -> tuple[ChainState, TransitionInfo]:
    """Accept or reject each chain's proposal (Hastings 1970), in log space and in float64.

    Parameters
    ----------
    log_q_forth
        log q(proposed | current), up to a constant that it shares with `log_q_back`.
    log_q_back
        log q(current | proposed).

    Notes
    -----
    A ratio that is not a number, or is infinite (a proposal where the density overflows), rejects, and is counted as
    diverging.
    """
    log_ratio = proposed.log_density - current.log_density + log_q_back - log_q_forth
    acceptance_prob = np.exp(np.minimum(0.0, log_ratio))
    # True where the ratio is not a number as well. A density that overflows to infinity is no place to be either.
    diverging = ~((log_ratio >= -DIVERGENCE_THRESHOLD) & (log_ratio < np.inf))
    if diverging.any():
        acceptance_prob[~np.isfinite(log_ratio)] = 0.0
    accepted = random.uniform() < acceptance_prob
    return _choose(accepted, proposed, current), TransitionInfo(
        acceptance_prob, accepted, log_ratio, diverging
    )


def take_unadjusted(
    current: ChainState, proposed: ChainState, *, log_ratio: np.ndarray, quality: np.ndarray
) -> tuple[ChainState, TransitionInfo]:
    """Take each chain's proposal without correction, except where it diverged.

    Parameters
    ----------
    log_ratio
        The log acceptance ratio that an adjusted kernel would use.
    quality
        What stands in the field `acceptance_prob`, in [0, 1].

    Notes
    -----
    There is no way on from where the density is not finite, and hardly one from where a step lost more than the
    threshold: one step that is too long can lead where the gradient is so steep that no step is short enough to return.
    """
    finite = np.isfinite(proposed.log_density) & np.isfinite(log_ratio)
    accepted = finite & (log_ratio >= -DIVERGENCE_THRESHOLD)
    return _choose(accepted, proposed, current), TransitionInfo(
        np.where(accepted, quality, 0.0), accepted, log_ratio, ~accepted
    )


def _choose(accepted: np.ndarray, proposed: ChainState, current: ChainState) -> ChainState:
    # Chains often decide alike (a single one always does), and then nothing has to be copied.
    if accepted.all():
        return proposed
    if not accepted.any():
        return current
    keep = accepted[:, None]
    return ChainState(
        np.where(keep, proposed.position, current.position),
        np.where(accepted, proposed.log_density, current.log_density),
        np.where(keep, proposed.grad, current.grad),
    )
