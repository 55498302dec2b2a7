"""Gradients against central differences."""

import numpy as np
import pytest

from bnn.model.posterior import Posterior


def check_gradient(posterior: Posterior) -> None:
    """Check at two thetas that density and gradient are of one function, to 1e-6 of the largest part."""
    theta = 0.5 * np.random.default_rng(1).normal(size=(2, posterior.layout.n_params))
    total, grad = posterior.log_density_and_grad(theta)
    assert total == pytest.approx(posterior.log_density(theta), rel=1e-12)
    steps = 1e-5 * np.eye(theta.shape[1])
    numeric = np.stack(
        [(posterior.log_density(theta + h) - posterior.log_density(theta - h)) / 2e-5 for h in steps], axis=1
    )
    assert np.abs(numeric - grad).max() <= 1e-6 * max(1.0, np.abs(grad).max())
