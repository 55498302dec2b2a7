"""Row precisions of Student-t noise, drawn anew between iterations: a Gibbs step beside the steps of a kernel."""

from collections.abc import Sequence

import numpy as np

from bnn.core.seeding import ChainRandom, Stream
from bnn.core.settings import PHASES
from bnn.mcmc.chain_state import RunState
from bnn.mcmc.kernels.base import Kernel
from bnn.mcmc.target import CountedTarget
from bnn.model.collapsed import CollapsedPosterior

_SINGLE_STEPS = 10
"""Steps of a gradient each, of the optimiser or a kernel without trajectories, between two draws."""


def refreshed(
    state: RunState,
    posterior: CollapsedPosterior,
    target: CountedTarget,
    kernel: Kernel,
    seed: int,
    chains: Sequence[int],
) -> RunState:
    """Return the state with new row precisions, if it has any and it is time: after each trajectory, or some steps.

    Parameters
    ----------
    state
        After an iteration.
    posterior
        The target given row precisions; it takes the new ones.
    target
        The same, as the kernel sees it.
    kernel
        Of the phase; the optimiser has none of its own, and it is not looked at.
    seed, chains
        Of the run; each chain and iteration has a stream of its own.
    """
    is_optimising = state.phase == "optimise"
    has_trajectories = kernel.has_trajectories and not is_optimising
    if not state.row_precision.size or not (has_trajectories or state.iteration % _SINGLE_STEPS == 0):
        return state
    # While some chains look for a start again, others have settled: they are the same with or without them.
    n_starts = state.n_starts if is_optimising else 1
    places = (PHASES.index(state.phase), n_starts, state.iteration)
    random = ChainRandom.of_chains(seed, Stream.ROW_PRECISION, chains, *places)
    drawn = posterior.sample_row_precision(target.coordinates.to_theta(state.chain.position), random)
    # Where the optimiser has left all bounds there is nothing to draw from.
    drawn = np.where((drawn > 0) & np.isfinite(drawn), drawn, 1.0)
    if is_optimising:
        drawn = np.where(state.settled[:, None], state.row_precision, drawn)
        return state._replace(row_precision=drawn)
    posterior.row_precision = drawn
    chain = kernel.start(state.chain.position, target)
    return state._replace(row_precision=drawn, chain=chain._replace(velocity=state.chain.velocity))
