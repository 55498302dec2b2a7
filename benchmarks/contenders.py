"""Models that `benchmarks/untuned.py` compares with, each as its documentation uses it, in an environment of its own.

Every function takes the encoded and standardised training inputs (obs, feature), the targets (class indices, or
standardised), the test inputs, the number of classes (0: a real target) and a seed. Of classes it returns their
probabilities, (obs, class). Of a real target it returns means and standard deviations of normals of equal weight, each
(component, obs); `histogram` returns quantiles (level, obs) and the mean (obs,).

Boosting needs a number of trees. For CatBoost and NGBoost, whose likelihood otherwise overfits small tables, it is the
best one on a fifth of the training rows, with which the model is then fitted to all of them (as NGBoost's paper does).
"""

import sys
import warnings
from typing import Any

import common  # noqa: F401, limits threads before NumPy is loaded
import numpy as np
import peers

ENVIRONMENTS = {
    "catboost": "boosting",
    "ngboost": "boosting",
    "histogram": "boosting",
    "gaussian_process": "boosting",
    "bde": "bde",
}
"""Function of this script -> the environment that it needs"""
QUANTILES = tuple(round(0.05 * step, 2) for step in range(1, 20))
"""Levels that `histogram` predicts, those of `scoring.QUANTILES`: nothing of this package is in its environment."""

_MOST_TREES, _PATIENCE = 2000, 50
_VIRTUAL_ENSEMBLES = 10

Answer = tuple[np.ndarray, ...]


def _held_out(x: np.ndarray, y: np.ndarray, n_classes: int, seed: int) -> Any:
    """Return training inputs, validation inputs, training targets, validation targets."""
    from sklearn.model_selection import train_test_split

    each = n_classes and np.bincount(y, minlength=n_classes)[np.unique(y)].min() > 1
    return train_test_split(x, y, test_size=0.2, random_state=seed, stratify=y if each else None)


def _by_class(probability: np.ndarray, classes: np.ndarray, n_classes: int) -> Answer:
    """Return probabilities of all classes: one that no training row has gets 0."""
    found = np.zeros((len(probability), n_classes))
    found[:, np.asarray(classes).astype(int)] = probability
    return (found,)


def catboost(x: np.ndarray, y: np.ndarray, x_test: np.ndarray, n_classes: int, seed: int) -> Answer:
    """Fit CatBoost: classes, or `RMSEWithUncertainty` with ten virtual ensembles, as a normal.

    `predict` gives mean and variance (of the noise) of all trees. Virtual ensembles are models of fewer trees, whose
    own means and variances are worse; the variance among their means is what is not known, and is added.
    """
    from catboost import CatBoostClassifier, CatBoostRegressor

    own: dict[str, Any] = {"loss_function": "MultiClass"}
    if not n_classes:
        own = {"loss_function": "RMSEWithUncertainty"}
    own |= {"random_seed": seed, "thread_count": 1, "verbose": False, "allow_writing_files": False}
    kind = CatBoostClassifier if n_classes else CatBoostRegressor
    fitted, held, y_fitted, y_held = _held_out(x, y, n_classes, seed)
    first = kind(iterations=_MOST_TREES, **own)
    first.fit(fitted, y_fitted, eval_set=(held, y_held), early_stopping_rounds=_PATIENCE)
    # The rate that it chooses depends on the number of trees, so it is kept.
    trees = max(first.get_best_iteration() + 1, 2 * _VIRTUAL_ENSEMBLES)
    model = kind(iterations=trees, learning_rate=first.learning_rate_, **own).fit(x, y)
    if n_classes:
        return _by_class(model.predict_proba(x_test), model.classes_, n_classes)
    mean, noise = model.predict(x_test, thread_count=1).T
    of_members = model.virtual_ensembles_predict(
        x_test, prediction_type="VirtEnsembles", virtual_ensembles_count=_VIRTUAL_ENSEMBLES, thread_count=1
    )[..., 0]
    return mean[None], np.sqrt(noise + of_members.var(axis=1))[None]


def ngboost(x: np.ndarray, y: np.ndarray, x_test: np.ndarray, n_classes: int, seed: int) -> Answer:
    """Fit NGBoost: classes, or a normal distribution."""
    from ngboost import NGBClassifier, NGBRegressor
    from ngboost.distns import k_categorical

    own: dict[str, Any] = {"random_state": seed, "verbose": False}
    if n_classes:
        own["Dist"] = k_categorical(n_classes)
    kind = NGBClassifier if n_classes else NGBRegressor
    fitted, held, y_fitted, y_held = _held_out(x, y, n_classes, seed)
    first = kind(n_estimators=_MOST_TREES, **own)
    first.fit(fitted, y_fitted, X_val=held, Y_val=y_held, early_stopping_rounds=_PATIENCE)
    best = first.best_val_loss_itr
    model = kind(n_estimators=_MOST_TREES if best is None else best + 1, **own).fit(x, y)
    if n_classes:
        return (model.predict_proba(x_test),)
    found = model.pred_dist(x_test).params
    return found["loc"][None], found["scale"][None]


def histogram(x: np.ndarray, y: np.ndarray, x_test: np.ndarray, n_classes: int, seed: int) -> Answer:
    """Fit scikit-learn's histogram boosting as it comes: classes, or a model for each quantile and one for the mean."""
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

    if n_classes:
        model = HistGradientBoostingClassifier(random_state=seed).fit(x, y)
        return _by_class(model.predict_proba(x_test), model.classes_, n_classes)
    quantiles = [
        HistGradientBoostingRegressor(loss="quantile", quantile=level, random_state=seed)
        .fit(x, y)
        .predict(x_test)
        for level in QUANTILES
    ]
    mean = HistGradientBoostingRegressor(random_state=seed).fit(x, y).predict(x_test)
    return np.stack(quantiles), mean


def gaussian_process(x: np.ndarray, y: np.ndarray, x_test: np.ndarray, n_classes: int, seed: int) -> Answer:
    """Fit scikit-learn's Gaussian process, a length scale for each input, from the best of three starts."""
    from sklearn.gaussian_process import GaussianProcessClassifier, GaussianProcessRegressor
    from sklearn.gaussian_process.kernels import RBF, ConstantKernel, WhiteKernel

    warnings.simplefilter("ignore")  # that length scales of inputs without effect are at their limits
    # Random starts are uniform in the logs of these bounds, so they must be no wider than what can be.
    scales = RBF(np.full(x.shape[1], np.sqrt(x.shape[1])), (0.1, 1000.0))
    kernel = ConstantKernel(1.0, (0.01, 1000.0)) * scales
    if n_classes:
        model = GaussianProcessClassifier(kernel, n_restarts_optimizer=2, random_state=seed).fit(x, y)
        return _by_class(model.predict_proba(x_test), model.classes_, n_classes)
    noisy = kernel + WhiteKernel(0.1, (1e-6, 10.0))
    # Its noise is in the standard deviations that it predicts.
    regressor = GaussianProcessRegressor(noisy, n_restarts_optimizer=2, random_state=seed).fit(x, y)
    mean, scale = regressor.predict(x_test, return_std=True)
    return mean[None], scale[None]


def bde(x: np.ndarray, y: np.ndarray, x_test: np.ndarray, n_classes: int, seed: int) -> Answer:
    """Run bde at the setting of its paper: members at their draws, heteroscedastic for a real target."""
    if not n_classes:
        _, mean, scale = peers.bde(x, y, x_test)
        return mean, scale
    from bde import BdeClassifier

    model = BdeClassifier(**peers.BDE).fit(x.astype(np.float32), y)
    probability = np.asarray(model.predict_proba(x_test.astype(np.float32)), dtype=np.float64)
    return _by_class(probability, model.classes_, n_classes)


if __name__ == "__main__":
    peers.main(globals(), *sys.argv[1:])
