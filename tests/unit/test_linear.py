"""The linear reference, against scikit-learn's estimators of the same name."""

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris, load_wine
from sklearn.linear_model import LogisticRegression, RidgeCV
from sklearn.model_selection import GridSearchCV, PredefinedSplit

from bnn.baselines.linear import (
    LOGISTIC_PENALTIES,
    RIDGE_PENALTIES,
    fit_logistic,
    fit_ridge,
    stratified_folds,
)
from bnn.baselines.training import balanced_weights


def standardised(load):
    x, y = load(return_X_y=True)
    return (x - x.mean(axis=0)) / x.std(axis=0), y


def scikit_learns(x, y, class_weight=None):
    """The same search over the same folds, each fit brought to its optimum."""
    model = LogisticRegression(max_iter=10_000, tol=1e-8, class_weight=class_weight)
    folds = PredefinedSplit(stratified_folds(y, 5))
    return GridSearchCV(model, {"C": 1 / LOGISTIC_PENALTIES}, cv=folds, scoring="neg_log_loss").fit(x, y)


@pytest.mark.parametrize("n_rows", [442, 9])
def test_ridge_regression_is_that_of_scikit_learn(n_rows):
    x, y = (values[:n_rows] for values in standardised(load_diabetes))
    ours, theirs = fit_ridge(x, y), RidgeCV(alphas=RIDGE_PENALTIES).fit(x, y)
    assert ours.penalty == pytest.approx(theirs.alpha_)
    np.testing.assert_allclose(ours.predict(x), theirs.predict(x), rtol=1e-8)


def test_ridge_regression_needs_no_more_rows_than_inputs():
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((6, 40)), rng.standard_normal(6)
    ours, theirs = fit_ridge(x, y), RidgeCV(alphas=RIDGE_PENALTIES).fit(x, y)
    np.testing.assert_allclose(ours.predict(x), theirs.predict(x), atol=1e-8)


def test_a_penalty_under_which_a_row_decides_its_own_fit_is_not_chosen():
    x, y = 1e12 * np.eye(3), np.array([1.0, -1.0, 2.0])
    assert np.isfinite(fit_ridge(x, y).predict(x)).all()


@pytest.mark.parametrize("load", [load_iris, load_breast_cancer], ids=["three classes", "two classes"])
def test_logistic_regression_is_that_of_scikit_learn(load):
    x, y = standardised(load)
    ours, theirs = fit_logistic(x, y, n_classes=int(y.max()) + 1), scikit_learns(x, y)
    assert ours.penalty == pytest.approx(1 / theirs.best_params_["C"])
    np.testing.assert_allclose(ours.predict_probability(x), theirs.predict_proba(x), atol=5e-4)


def test_rows_of_rare_classes_weigh_more_if_asked():
    x, y = standardised(load_wine)
    chosen = np.concatenate([np.flatnonzero(y == 0)[:8], np.flatnonzero(y == 1), np.flatnonzero(y == 2)])
    x, y = x[chosen, :2], y[chosen]
    # The penalty would be another one if the folds were fitted without weights.
    weighted = fit_logistic(x, y, n_classes=3, row_weights=balanced_weights(y))
    theirs = scikit_learns(x, y, class_weight="balanced")
    assert weighted.penalty == pytest.approx(1 / theirs.best_params_["C"])
    np.testing.assert_allclose(weighted.predict_probability(x), theirs.predict_proba(x), atol=5e-4)
    plain = fit_logistic(x, y, n_classes=3)
    assert weighted.predict_probability(x)[:, 0].mean() > 0.05 + plain.predict_probability(x)[:, 0].mean()


def test_classes_share_the_folds_evenly():
    rng = np.random.default_rng(1)
    y = rng.permutation(np.repeat([0, 1, 2], [7, 12, 14]))
    folds = stratified_folds(y, 5)
    assert np.ptp(np.bincount(folds)) <= 1
    for label in range(3):
        assert np.ptp(np.bincount(folds[y == label], minlength=5)) <= 1


def test_a_class_with_one_row_gets_the_penalty_that_scikit_learn_has_by_default():
    x, y = standardised(load_iris)
    x, y = x[:101], y[:101]
    ours, theirs = fit_logistic(x, y, n_classes=3), LogisticRegression(tol=1e-8, max_iter=10_000).fit(x, y)
    assert ours.penalty == 1
    np.testing.assert_allclose(ours.predict_probability(x), theirs.predict_proba(x), atol=5e-4)
