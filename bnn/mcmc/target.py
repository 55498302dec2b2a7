"""What kernels see of a posterior: its log density in the coordinates that are sampled, each evaluation counted."""

from collections.abc import Callable

import numpy as np

from bnn.mcmc.coordinates import Coordinates
from bnn.mcmc.kernels.base import ChainState


class CountedTarget:
    """The posterior in the coordinates that are sampled, and how often it was evaluated."""

    def __init__(self, coordinates: Coordinates, on_evaluation: Callable[[], None] | None) -> None:
        self.coordinates = coordinates
        self._on_evaluation = on_evaluation
        self.n_evaluations = 0

    def log_density(self, position: np.ndarray) -> np.ndarray:
        self._count()
        return self.coordinates.log_density(position)

    def log_density_and_grad(self, position: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        self._count()
        return self.coordinates.log_density_and_grad(position)

    def log_density_of_theta(self, state: ChainState) -> np.ndarray:
        """Return what is recorded: the log density of theta, (chain,), not that of the position.

        Where the output layer is integrated out, it is that of the other parameters.
        """
        return state.log_density - self.coordinates.log_jacobian(state.position)

    def _count(self) -> None:
        if self._on_evaluation is not None:
            self._on_evaluation()
        self.n_evaluations += 1
