"""Likelihood of classes."""

from collections.abc import Mapping

import numpy as np

from bnn.model.priors import BlockPrior


def log_softmax(logits: np.ndarray) -> np.ndarray:
    """Return log probabilities over the last axis; exact for logits of any size."""
    shifted = logits - logits.max(axis=-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))


def softmax(logits: np.ndarray) -> np.ndarray:
    """Return probabilities over the last axis."""
    return np.exp(log_softmax(logits))


class Categorical:
    """Class labels with probabilities softmax(output).

    Parameters
    ----------
    n_classes
        Number of classes; the network has as many outputs.
    """

    def __init__(self, n_classes: int) -> None:
        self.n_classes = n_classes

    @property
    def parameter_priors(self) -> dict[str, BlockPrior]:
        """Return no parameters."""
        return {}

    @property
    def n_outputs(self) -> int:
        """A logit for each class."""
        return self.n_classes

    def encode(self, y: np.ndarray) -> np.ndarray:
        """Return one-hot columns, shape (class, obs), of class indices.

        Raises
        ------
        ValueError
            If an index is outside 0 .. n_classes - 1.
        """
        if y.size and not (y.min() >= 0 and y.max() < self.n_classes):
            raise ValueError(
                f"class indices run from {y.min()} to {y.max()}; there are {self.n_classes} classes"
            )
        return np.ascontiguousarray(np.eye(self.n_classes)[:, y.astype(np.int64)])

    def pointwise(
        self, output: np.ndarray, target: np.ndarray, parameters: Mapping[str, np.ndarray]
    ) -> np.ndarray:
        """Return the log probability of each row's class, nats, shape (chain, obs)."""
        log_probability = log_softmax(output.swapaxes(-1, -2).astype(np.float64, copy=False))
        return np.einsum("cnk,ckn->cn" if target.ndim == 3 else "cnk,kn->cn", log_probability, target)

    def total_and_grad(
        self, output: np.ndarray, target: np.ndarray, parameters: Mapping[str, np.ndarray]
    ) -> tuple[np.ndarray, np.ndarray, dict[str, np.ndarray]]:
        """Return the sum of `pointwise` and its gradient by the logits, one-hot minus probabilities."""
        # As in log_softmax, but with one exponential for the density and the gradient together.
        target = target.astype(output.dtype, copy=False)
        shifted = output - np.maximum.reduce(output, axis=1, keepdims=True)
        # One class of each row is picked, so this sum rounds nothing.
        pointwise = np.einsum("ckn,ckn->cn" if target.ndim == 3 else "ckn,kn->cn", shifted, target)
        weight = np.exp(shifted, out=shifted)
        spread = np.add.reduce(weight, axis=1, keepdims=True)
        pointwise -= np.log(spread[:, 0])
        weight /= spread
        total = np.add.reduce(pointwise, axis=-1, dtype=np.float64)
        return total, np.subtract(target, weight, out=weight), {}
