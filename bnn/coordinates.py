"""Coordinates in which a posterior is easier to sample: input weights along the principal axes of the inputs.

Columns of a table are often nearly the same, so the data tell sums of input weights far better than differences, and
a diagonal preconditioner cannot say so. Turned to the principal axes of the training inputs, every weight of
the first layer acts on an uncorrelated input. The turn is orthogonal: densities keep their values, and with
its transpose applied to the gradient the target is the same distribution.
"""

import numpy as np

from bnn.posterior import Posterior


class PrincipalAxes:
    """A posterior seen in coordinates whose first-layer weights are turned to the principal axes of the inputs.

    Parameters
    ----------
    posterior
        The target in theta.
    """

    def __init__(self, posterior: Posterior) -> None:
        self.posterior = posterior
        weight = posterior.network.layers[0][0]
        self._part = posterior.layout.slices[weight]
        self._shape = posterior.layout.shapes[weight]
        # Float64 whatever the network computes in: the axes must be orthogonal to rounding.
        x = np.asarray(posterior.x, dtype=np.float64)
        self._axes = np.linalg.eigh(x.T @ x)[1]

    def to_theta(self, position: np.ndarray) -> np.ndarray:
        """Return theta, (chain, param), of a position."""
        return self._turned(position, self._axes)

    def from_theta(self, theta: np.ndarray) -> np.ndarray:
        """Return the position, (chain, param), of theta: the inverse of `to_theta`."""
        return self._turned(theta, self._axes.T)

    def log_density(self, position: np.ndarray) -> np.ndarray:
        """Return the log density in nats; (chain, param) -> (chain,)."""
        return self.posterior.log_density(self.to_theta(position))

    def log_density_and_grad(self, position: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the log density (chain,) and its gradient by the position (chain, param)."""
        log_density, grad = self.posterior.log_density_and_grad(self.to_theta(position))
        return log_density, self.from_theta(grad)

    def _turned(self, vectors: np.ndarray, axes: np.ndarray) -> np.ndarray:
        turned = vectors.copy()
        block = vectors[:, self._part].reshape(-1, *self._shape)
        turned[:, self._part] = np.matmul(axes, block).reshape(len(vectors), -1)
        return turned
