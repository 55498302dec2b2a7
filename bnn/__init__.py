"""Bayesian neural networks from scratch: NumPy networks, Langevin Metropolis-Hastings, honest diagnostics."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bnn.estimator import BNNClassifier as BNNClassifier
    from bnn.estimator import BNNRegressor as BNNRegressor

__version__ = "0.1.0"
__all__ = ["BNNClassifier", "BNNRegressor"]


def __getattr__(name: str) -> Any:
    """Import the estimators when they are asked for: a job of the workflow does without scikit-learn (PEP 562)."""
    if name in __all__:
        from bnn import estimator

        return getattr(estimator, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
