"""The linear reference: ridge or penalised logistic regression, the penalty chosen by cross-validation.

These are the estimators of scikit-learn's RidgeCV and of LogisticRegression in a grid search, to which tests hold them.
They are computed here because the import of scikit-learn takes longer than all that a job does with it, and because
both are a few lines: ridge regression has a closed form, and logistic regression is a convex problem for SciPy's
L-BFGS-B (Byrd et al. 1995).
"""

from typing import NamedTuple

import numpy as np

from bnn.model.likelihoods import log_softmax, softmax

RIDGE_PENALTIES = np.logspace(-3, 4, 29)
LOGISTIC_PENALTIES = np.logspace(-3, 3, 13)
MAX_FOLDS = 5
_GRADIENT_TOLERANCE = 1e-6
"""Of the largest component, nats a row. At the 1e-4 of scikit-learn, probabilities where classes can nearly be told
apart are still off by a tenth."""


class LinearModel(NamedTuple):
    """A linear predictor, x @ weights + intercept."""

    weights: np.ndarray
    """(input,), or (input, class) for logits"""
    intercept: np.ndarray
    """(), or (class,)"""
    penalty: float
    """On half the sum of squared weights, the loss being half the sum of squares or the sum of negative log
    likelihoods in nats; the intercept has none"""

    def predict(self, x: np.ndarray) -> np.ndarray:
        """Return the mean (obs,) of standardised inputs (obs, input)."""
        return x @ self.weights + self.intercept

    def predict_probability(self, x: np.ndarray) -> np.ndarray:
        """Return class probabilities (obs, class) of standardised inputs (obs, input)."""
        return softmax(x @ self.weights + self.intercept)


def fit_ridge(x: np.ndarray, y: np.ndarray) -> LinearModel:
    """Fit ridge regression, its penalty that of `RIDGE_PENALTIES` with the smallest leave-one-out error.

    The residual of a row that was left out is its residual divided by 1 - h, h its leverage (Golub, Heath & Wahba
    1979), so one singular value decomposition serves for all rows and penalties.

    Parameters
    ----------
    x, y
        Standardised inputs (obs, input) and targets (obs,).
    """
    x_mean, y_mean = x.mean(axis=0), y.mean()
    left, singular, right = np.linalg.svd(x - x_mean, full_matrices=False)
    projected = left.T @ (y - y_mean)
    errors = []
    for penalty in RIDGE_PENALTIES:
        shrinkage = singular**2 / (singular**2 + penalty)
        residual = y - y_mean - left @ (shrinkage * projected)
        # The intercept is fitted too: it has a leverage of 1/n. A row that decides its own fit cannot be left out.
        free = 1 - 1 / len(y) - left**2 @ shrinkage
        errors.append(np.mean((residual / free) ** 2) if free.min() > 0 else np.inf)
    penalty = RIDGE_PENALTIES[int(np.argmin(errors))]
    weights = right.T @ (singular / (singular**2 + penalty) * projected)
    return LinearModel(weights, y_mean - x_mean @ weights, float(penalty))


def fit_logistic(
    x: np.ndarray, y: np.ndarray, *, n_classes: int, row_weights: np.ndarray | None = None
) -> LinearModel:
    """Fit logistic regression, its penalty that of `LOGISTIC_PENALTIES` with the best cross-validated likelihood.

    There are as many folds, each with rows of every class, as the rarest class has rows, at most `MAX_FOLDS`. With
    one row of a class there can be none: the penalty is then 1, as scikit-learn has it by default.

    Parameters
    ----------
    x, y
        Standardised inputs (obs, input) and class indices (obs,).
    n_classes
        Number of classes.
    row_weights
        How much each row counts in the fit, (obs,), mean 1; None: all alike. The folds' likelihoods are not weighted.
    """
    weights = np.ones(len(y)) if row_weights is None else row_weights
    n_folds = int(min(MAX_FOLDS, np.bincount(y, minlength=n_classes).min()))
    if n_folds < 2:
        return _logistic(x, y, weights, n_classes, penalty=1.0)
    scores = np.zeros(len(LOGISTIC_PENALTIES))
    folds = stratified_folds(y, n_folds)
    for fold in range(n_folds):
        kept, left_out = np.flatnonzero(folds != fold), np.flatnonzero(folds == fold)
        start = None
        # From strong to weak, each fit from the one before, which lies near.
        for index in reversed(range(len(LOGISTIC_PENALTIES))):
            penalty = LOGISTIC_PENALTIES[index]
            start = _logistic(x[kept], y[kept], weights[kept], n_classes, penalty=penalty, start=start)
            log_probability = log_softmax(x[left_out] @ start.weights + start.intercept)
            scores[index] += np.mean(log_probability[np.arange(len(left_out)), y[left_out]]) / n_folds
    return _logistic(x, y, weights, n_classes, penalty=float(LOGISTIC_PENALTIES[int(np.argmax(scores))]))


def stratified_folds(y: np.ndarray, n_folds: int) -> np.ndarray:
    """Return the fold of each row, (obs,): the rows of each class are dealt out in turn; y are class indices."""
    folds = np.empty(len(y), dtype=np.int64)
    dealt = 0
    for label in np.unique(y):
        rows = np.flatnonzero(y == label)
        folds[rows] = (dealt + np.arange(len(rows))) % n_folds
        dealt += len(rows)  # the next class goes on where this one ended, so that folds are of one size
    return folds


def _logistic(
    x: np.ndarray,
    y: np.ndarray,
    row_weights: np.ndarray,
    n_classes: int,
    *,
    penalty: float,
    start: LinearModel | None = None,
) -> LinearModel:
    """Return the minimum of the weighted sum of negative log likelihoods, plus the penalty.

    Of two classes one logit is a constant 0, which takes no penalty: the usual logistic regression.
    """
    from scipy.optimize import minimize  # slow to import, and regression does without it

    first = 1 if n_classes == 2 else 0
    coefficients = np.zeros((x.shape[1] + 1, n_classes))
    if start is not None:
        coefficients[:-1], coefficients[-1] = start.weights, start.intercept
    shape = coefficients[:, first:].shape
    hits = np.eye(n_classes)[y]
    share = row_weights[:, None] / len(y)
    shrink = penalty / len(y)

    def loss_and_grad(free: np.ndarray) -> tuple[float, np.ndarray]:
        """Return the mean loss of a row and its gradient."""
        coefficients[:, first:] = free.reshape(shape)
        weights = coefficients[:-1]
        log_probability = log_softmax(x @ weights + coefficients[-1])
        loss = 0.5 * shrink * np.vdot(weights, weights) - np.vdot(share * hits, log_probability)
        residual = share * (np.exp(log_probability) - hits)
        grad = np.empty_like(coefficients)
        grad[:-1] = x.T @ residual + shrink * weights
        grad[-1] = residual.sum(axis=0)
        return float(loss), grad[:, first:].ravel()

    guess = coefficients[:, first:].ravel()
    options = {"maxiter": 5000, "gtol": _GRADIENT_TOLERANCE, "ftol": 0.0}
    found = minimize(loss_and_grad, guess, jac=True, method="L-BFGS-B", options=options)
    coefficients[:, first:] = found.x.reshape(shape)
    return LinearModel(coefficients[:-1], coefficients[-1], float(penalty))
