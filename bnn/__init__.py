"""Bayesian neural networks from scratch: NumPy networks, Langevin Metropolis-Hastings, honest diagnostics."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bnn.estimators.classifier import BNNClassifier as BNNClassifier
    from bnn.estimators.regressor import BNNRegressor as BNNRegressor

__version__ = "0.1.0"
__all__ = ["BNNClassifier", "BNNRegressor"]


def __getattr__(name: str) -> Any:
    """Import an estimator when it is asked for: a job of the workflow does without scikit-learn (PEP 562)."""
    if name == "BNNClassifier":
        from bnn.estimators.classifier import BNNClassifier

        return BNNClassifier
    if name == "BNNRegressor":
        from bnn.estimators.regressor import BNNRegressor

        return BNNRegressor
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
