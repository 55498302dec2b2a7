"""Scores that do not hang on how common classes are, against scikit-learn; weights are rows drawn again."""

import numpy as np
import pytest
from sklearn import metrics as reference

from bnn.evaluation import ranking
from bnn.evaluation.bootstrap import row_weights


@pytest.fixture
def rng():
    return np.random.default_rng(11)


@pytest.fixture
def binary(rng):
    """120 rows, one in six positive; scores rounded so that many are equal."""
    positive = rng.random(120) < 1 / 6
    return np.round(rng.normal(positive * 1.0), 1), positive


SCORES = [
    (ranking.auroc, reference.roc_auc_score),
    (ranking.average_precision, reference.average_precision_score),
]


@pytest.mark.parametrize(("score", "expected"), SCORES)
def test_scores_and_their_replicates_are_those_of_scikit_learn(score, expected, binary, rng):
    values, positive = binary
    weights = np.concatenate(list(row_weights(len(values), 20, rng)))
    found = score(values, positive, np.vstack([np.ones(len(values)), weights]))
    assert found[0] == pytest.approx(expected(positive, values), rel=1e-12)
    for replicate, row in zip(found[1:], weights, strict=True):
        assert replicate == pytest.approx(expected(positive, values, sample_weight=row), rel=1e-9)


def test_a_perfect_a_reversed_and_a_constant_score():
    positive, once = np.array([False, False, False, True]), np.ones((1, 4))
    perfect = np.array([0.1, 0.2, 0.3, 0.9])
    assert ranking.auroc(perfect, positive, once) == 1
    assert ranking.auroc(-perfect, positive, once) == 0
    assert ranking.auroc(np.zeros(4), positive, once) == 0.5
    assert ranking.average_precision(perfect, positive, once) == 1
    assert ranking.average_precision(np.zeros(4), positive, once) == 0.25, "chance is the share of the class"


def test_a_replicate_without_the_class_is_not_a_number(binary):
    values, positive = binary
    weights = np.stack([positive * 1.0, ~positive * 1.0])
    assert np.isnan(ranking.auroc(values, positive, weights)).all()
    assert ranking.average_precision(values, positive, weights).tolist() == [
        1.0,
        pytest.approx(np.nan, nan_ok=True),
    ]
    assert np.isnan(ranking.balanced_accuracy(positive * 1, positive * 1, weights)).all()


def test_many_classes_are_set_against_the_rest_and_count_alike(rng):
    y = rng.choice(4, size=200, p=[0.7, 0.2, 0.08, 0.02])
    probability = rng.dirichlet(np.ones(4), size=200) + np.eye(4)[y] * 0.3
    probability /= probability.sum(axis=1, keepdims=True)
    once = np.ones((1, 200))
    (auroc,) = ranking.class_ranking(ranking.auroc, probability, y, once, positive=0)
    assert auroc == pytest.approx(reference.roc_auc_score(y, probability, multi_class="ovr", average="macro"))
    (precision,) = ranking.class_ranking(ranking.average_precision, probability, y, once, positive=0)
    assert precision == pytest.approx(
        reference.average_precision_score(np.eye(4)[y], probability, average="macro")
    )
    (balanced,) = ranking.balanced_accuracy(probability.argmax(axis=1), y, once)
    assert balanced == pytest.approx(reference.balanced_accuracy_score(y, probability.argmax(axis=1)))


def test_of_two_classes_the_one_that_is_asked_for_is_to_be_found(rng):
    y = (rng.random(90) < 0.2).astype(int)
    first = np.clip(rng.normal(0.7 - 0.3 * y, 0.2), 0, 1)
    probability, once = np.stack([first, 1 - first], axis=1), np.ones((1, 90))
    for positive in (0, 1):
        (found,) = ranking.class_ranking(ranking.average_precision, probability, y, once, positive=positive)
        expected = reference.average_precision_score(y == positive, probability[:, positive])
        assert found == pytest.approx(expected)
    areas = [ranking.class_ranking(ranking.auroc, probability, y, once, positive=k)[0] for k in (0, 1)]
    assert areas[0] == pytest.approx(areas[1]), "the area is the same from either side"


def test_a_probability_that_is_not_finite_shows():
    probability, y = np.array([[np.nan, np.nan], [0.1, 0.9]]), np.array([0, 1])
    assert np.isnan(ranking.class_ranking(ranking.auroc, probability, y, np.ones((2, 2)), positive=1)).all()
