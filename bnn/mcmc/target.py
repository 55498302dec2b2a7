"""What kernels see of a posterior: its log density in the coordinates that are sampled, each evaluation counted."""

from collections.abc import Callable
from functools import partial

import numpy as np

from bnn.mcmc.coordinates import Coordinates
from bnn.mcmc.kernels.base import ChainState
from bnn.model.batches import RowBatches
from bnn.model.collapsed import CollapsedPosterior


class CountedTarget:
    """The posterior in the coordinates that are sampled, and how often it was evaluated.

    Parameters
    ----------
    coordinates
        The posterior.
    batches
        Of its rows, for kernels that go by them.
    on_evaluation
        Called before each evaluation.
    """

    def __init__(
        self,
        coordinates: Coordinates,
        batches: RowBatches | None,
        on_evaluation: Callable[[], None] | None,
    ) -> None:
        self.coordinates = coordinates
        self._batches, self._on_evaluation = batches, on_evaluation
        self._n_batches_seen = 0
        self.n_evaluations = 0

    @property
    def n_batches(self) -> int:
        return 0 if self._batches is None else len(self._batches)

    def log_density(self, position: np.ndarray) -> np.ndarray:
        self._count()
        return self.coordinates.log_density(position)

    def log_density_and_grad(self, position: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        self._count()
        return self.coordinates.log_density_and_grad(position)

    def grad_of_batches(self, position: np.ndarray, batch: np.ndarray) -> np.ndarray:
        assert self._batches is not None
        if self._on_evaluation is not None:
            self._on_evaluation()
        self._n_batches_seen += 1
        if self._n_batches_seen == self.n_batches:
            self._n_batches_seen, self.n_evaluations = 0, self.n_evaluations + 1
        of_batch = partial(self._batches.log_density_and_grad, batch=batch)
        return self.coordinates.log_density_and_grad(position, of_batch)[1]

    def log_density_of_theta(self, state: ChainState) -> np.ndarray:
        """Return what is recorded: the log density of theta, (chain,), not that of the position.

        Where the output layer is integrated out, it is that of the other parameters.
        """
        return state.log_density - self.coordinates.log_jacobian(state.position)

    def log_density_of_draw(self, theta: np.ndarray, state: ChainState) -> np.ndarray:
        """Return what is recorded of a draw of all parameters, theta (chain, param).

        Given row precisions, which change between iterations, the log density would be as much of these.
        """
        posterior = self.coordinates.posterior
        if isinstance(posterior, CollapsedPosterior) and posterior.n_mixing:
            return posterior.whole.log_density(theta)
        return self.log_density_of_theta(state)

    def _count(self) -> None:
        if self._on_evaluation is not None:
            self._on_evaluation()
        self.n_evaluations += 1
