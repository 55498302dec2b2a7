"""Scores against scikit-learn, SciPy and brute force; what is not finite shows."""

import math

import numpy as np
import pytest
from scipy import stats
from sklearn import metrics as reference

from bnn.evaluation import metrics


@pytest.fixture
def rng():
    return np.random.default_rng(7)


@pytest.fixture
def classes(rng):
    """80 rows, four classes, the last of which is never the most probable one and so never predicted."""
    probability = rng.dirichlet([0.7, 0.7, 0.7, 1.0], size=80)
    probability[:, 3] = np.minimum(probability[:, 3], 0.01)
    probability /= probability.sum(axis=1, keepdims=True)
    return probability, rng.integers(0, 4, size=80)


@pytest.fixture
def targets(rng):
    mean = 50 + 10 * rng.standard_normal(60)
    return mean, mean + 4 * rng.standard_normal(60)


def test_accuracy_and_nll_are_those_of_scikit_learn(classes):
    probability, y = classes
    assert metrics.accuracy(probability, y) == reference.accuracy_score(y, probability.argmax(axis=1))
    assert metrics.nll(probability, y) == pytest.approx(
        reference.log_loss(y, probability, labels=range(4)), rel=1e-12
    )


def test_a_tie_goes_to_the_first_class():
    assert metrics.predicted_class(np.array([[0.5, 0.5], [0.2, 0.8]])).tolist() == [0, 1]


def test_probability_zero_of_the_true_class_is_an_infinite_nll():
    assert metrics.nll(np.array([[1.0, 0.0], [0.5, 0.5]]), np.array([1, 0])) == math.inf


def test_nothing_hides_a_probability_that_is_not_a_number():
    probability, y = np.array([[np.nan, np.nan], [0.1, 0.9]]), np.array([0, 1])
    scores = [score(probability, y) for score in (metrics.accuracy, metrics.nll, metrics.brier, metrics.ece)]
    assert all(math.isnan(score) for score in scores)


def test_brier_sums_over_all_classes(classes):
    probability, y = classes
    by_hand = np.mean(
        [
            sum((p - (k == true)) ** 2 for k, p in enumerate(row))
            for row, true in zip(probability, y, strict=True)
        ]
    )
    assert metrics.brier(probability, y) == pytest.approx(by_hand, rel=1e-12)
    two, binary = probability[:, :2] / probability[:, :2].sum(axis=1, keepdims=True), y % 2
    assert metrics.brier(two, binary) == pytest.approx(
        2 * reference.brier_score_loss(binary, two[:, 1]), rel=1e-12
    )
    assert metrics.brier(np.array([[0.0, 1.0]]), np.array([0])) == 2.0


@pytest.mark.parametrize("n_bins", [1, 10, 15])
def test_ece_by_brute_force(classes, n_bins):
    probability, y = classes
    confidence, right = probability.max(axis=1), probability.argmax(axis=1) == y
    expected = 0.0
    for index in range(n_bins):
        inside = (confidence > index / n_bins) & (confidence <= (index + 1) / n_bins)
        if inside.any():
            expected += inside.mean() * abs(right[inside].mean() - confidence[inside].mean())
    assert metrics.ece(probability, y, n_bins) == pytest.approx(expected, rel=1e-12)
    bins = metrics.reliability(probability, y, n_bins)
    assert bins.n_rows.sum() == 80
    assert np.isnan(bins.accuracy[bins.n_rows == 0]).all()


def test_ece_counts_certain_and_wrong_as_one():
    assert metrics.ece(np.array([[1.0, 0.0], [1.0, 0.0]]), np.array([1, 1])) == 1.0
    assert metrics.ECE_BINS == 15


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.UndefinedMetricWarning")
def test_classification_report_is_that_of_scikit_learn(classes):
    probability, y = classes
    predicted = metrics.predicted_class(probability)
    names = ("a", "b", "c", "d")
    expected = reference.classification_report(
        y, predicted, labels=range(4), target_names=names, output_dict=True, zero_division=np.nan
    )
    found = metrics.classification_report(y, predicted, names)
    assert [row["class"] for row in found] == list(names)
    for row in found:
        theirs = expected[row["class"]]
        assert row["support"] == theirs["support"]
        for ours, name in (("precision", "precision"), ("recall", "recall"), ("f1", "f1-score")):
            assert row[ours] == pytest.approx(theirs[name], rel=1e-12, nan_ok=True)
    assert np.isnan(found[3]["precision"]), "never predicted"
    absent = metrics.classification_report(np.array([0]), np.array([0]), ("a", "b"))[1]
    assert np.isnan([absent["recall"], absent["f1"]]).all() and absent["support"] == 0


def test_point_scores_are_those_of_scikit_learn(targets):
    mean, y = targets
    assert metrics.rmse(mean, y) == pytest.approx(math.sqrt(reference.mean_squared_error(y, mean)), rel=1e-12)
    assert metrics.mae(mean, y) == pytest.approx(reference.mean_absolute_error(y, mean), rel=1e-12)
    assert metrics.r2(mean, y) == pytest.approx(reference.r2_score(y, mean), rel=1e-12)
    assert math.isnan(metrics.r2(mean, np.full(60, 3.0)))


def test_gaussian_nll_is_that_of_scipy(targets, rng):
    mean, y = targets
    scale = rng.uniform(1, 9, size=60)
    assert metrics.gaussian_nll(mean, scale, y) == pytest.approx(
        -stats.norm.logpdf(y, mean, scale).mean(), rel=1e-12
    )
    assert metrics.gaussian_nll(mean, 2.5, y) == pytest.approx(
        -stats.norm.logpdf(y, mean, 2.5).mean(), rel=1e-12
    )


def test_sample_crps_is_the_mean_over_all_pairs(rng):
    draws, y = 1e6 + rng.standard_normal((41, 5)), 1e6 + rng.standard_normal(5)
    pairs = np.abs(draws[:, None] - draws[None, :]).mean(axis=(0, 1))
    expected = (np.abs(draws - y).mean(axis=0) - pairs / 2).mean()
    assert metrics.sample_crps(draws, y) == pytest.approx(expected, rel=1e-9)
    assert metrics.sample_crps(draws[:1], y) == pytest.approx(np.abs(draws[0] - y).mean(), rel=1e-12)


def test_coverage_counts_ends_and_width_is_a_mean():
    lower, upper = np.array([0.0, 0.0, 0.0, 0.0]), np.array([1.0, 1.0, 2.0, 4.0])
    assert metrics.coverage(lower, upper, np.array([0.0, 1.0, 2.1, -0.1])) == 0.5
    assert metrics.mean_width(lower, upper) == 2.0
    assert math.isnan(metrics.coverage(np.full(4, -np.inf), upper, upper))


def test_shapes_that_would_broadcast_are_refused():
    column, row = np.zeros((3, 1)), np.zeros(3)
    for score in (metrics.rmse, metrics.mae, metrics.r2):
        with pytest.raises(ValueError, match=r"mean \(3, 1\), y \(3,\)"):
            score(column, row)
    with pytest.raises(ValueError, match="rows"):
        metrics.rmse(np.zeros(0), np.zeros(0))
    with pytest.raises(ValueError, match="expected"):
        metrics.accuracy(np.zeros(3), np.zeros(3, dtype=int))
    with pytest.raises(ValueError, match="rows"):
        metrics.nll(np.zeros((0, 2)), np.zeros(0, dtype=int))
    with pytest.raises(ValueError, match="classes"):
        metrics.brier(np.full((2, 2), 0.5), np.array([0, 2]))


def test_a_bin_of_confidence_holds_its_right_edge():
    """Confidences 0.5 and 0.75 of four bins: one in (0.25, 0.5], one in (0.5, 0.75]."""
    probability = np.array([[0.5, 0.25, 0.25], [0.75, 0.25, 0.0]])
    assert metrics.reliability(probability, np.array([0, 0]), 4).n_rows.tolist() == [0, 1, 1, 0]
