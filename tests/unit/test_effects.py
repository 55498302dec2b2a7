"""Which columns matter and how: scikit-learn's answers where it has them, and true ones where it has none."""

import dataclasses

import numpy as np
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.inspection import partial_dependence, permutation_importance

from bnn.checks import effects
from bnn.core.settings import LikelihoodSettings
from bnn.data.column_encoding import Column
from bnn.data.dataset import Dataset, Task
from bnn.posterior.predictor import Predictor, make_predictor
from tests.unit.synthetic_chains import LIKELIHOOD, NETWORK, independent_theta, make_dataset

LINEAR = dataclasses.replace(NETWORK, hidden=())


def run(dataset: Dataset, theta: np.ndarray, predictor: Predictor) -> dict:
    return effects.effects(dataset, predictor, theta, np.random.default_rng(0))


def linear(
    dataset: Dataset, slopes: list[float], likelihood: LikelihoodSettings = LIKELIHOOD
) -> tuple[Predictor, np.ndarray]:
    """Return draws of a linear model whose slopes, of standardised features, hardly vary."""
    predictor = make_predictor(dataset, network=LINEAR, likelihood=likelihood)
    theta = np.zeros((2, 20, predictor.layout.n_params))
    theta[..., : len(slopes)] = slopes
    theta[..., 0] += 1e-3 * np.random.default_rng(1).standard_normal((2, 20))
    return predictor, theta


@pytest.mark.parametrize("task", ["classification", "regression"])
def test_numbers_have_the_effects_that_scikit_learn_finds(task: Task) -> None:
    dataset = make_dataset(task, n_train=60, n_test=80)
    predictor = make_predictor(dataset, network=NETWORK, likelihood=LIKELIHOOD)
    theta = independent_theta(dataset, n_chains=2, n_draws=40)
    found = run(dataset, theta, predictor)
    flat = theta.reshape(-1, theta.shape[-1])

    def mean_of_draws(x: np.ndarray) -> np.ndarray:
        return np.concatenate([block.value for block in predictor.stream(flat, x)]).mean(axis=0)

    class Model(BaseEstimator):
        def fit(self, x: np.ndarray, y: np.ndarray) -> "Model":
            self.fitted_, self.classes_ = True, np.arange(3)
            return self

    class Classes(ClassifierMixin, Model):
        predict_proba = staticmethod(mean_of_draws)

    class Target(RegressorMixin, Model):
        predict = staticmethod(mean_of_draws)

    model = (Classes if task == "classification" else Target)().fit(dataset.x_train, dataset.y_train)

    def score(_: Model, x: np.ndarray, y: np.ndarray) -> float:
        return -float(effects._nll(predictor, flat, x, y).mean())

    reference = permutation_importance(
        model, dataset.x_test, dataset.y_test, scoring=score, n_repeats=30, random_state=0
    )
    by_name = {entry["name"]: entry for entry in found["importance"]}
    for index, name in enumerate(dataset.feature_names):
        error = reference.importances_std[index] / np.sqrt(3)
        assert by_name[name]["value"] == pytest.approx(reference.importances_mean[index], abs=4 * error)
        assert by_name[name]["se"] > 0
    for entry in found["dependence"]:
        index = dataset.feature_names.index(entry["name"])
        grid = (np.array(entry["values"]) - dataset.feature_mean[index]) / dataset.feature_scale[index]
        curves = partial_dependence(
            model,
            dataset.x_train,
            [index],
            custom_values={index: grid},
            kind="average",
            response_method="auto",
        )["average"]
        for line in entry["lines"]:
            place = dataset.class_names.index(line["class"]) if line["class"] else 0
            assert line["mean"] == pytest.approx(curves[place], rel=1e-6)
            assert all(low <= high for low, high in zip(line["lower"], line["upper"], strict=True))


def table(
    columns: tuple[Column, ...], x: np.ndarray, slopes: list[float]
) -> tuple[Dataset, Predictor, np.ndarray]:
    """Return a regression on these features, which are zeros and ones or standardised, and its linear model."""
    names = tuple(name for column in columns for name in column.features)
    n_train = 2 * len(x) // 3
    base = make_dataset("regression", n_train=n_train, n_test=len(x) - n_train)
    dataset = dataclasses.replace(
        base,
        x_train=x[:n_train],
        x_test=x[n_train:],
        y_train=x[:n_train] @ slopes,
        y_test=x[n_train:] @ slopes,
        feature_names=names,
        feature_mean=np.zeros(len(names)),
        feature_scale=np.ones(len(names)),
        columns=columns,
    )
    return dataset, *linear(dataset, slopes)


def test_a_column_of_texts_with_a_missing_cell_has_an_effect_of_each_level() -> None:
    rng = np.random.default_rng(3)
    city = Column("city", "text", levels=("oslo", "rome"), has_indicator=True, fill="oslo")
    size = Column("size")
    level = rng.integers(0, 3, 90)  # the third: missing, filled with oslo
    x = np.stack([level != 1, level == 1, level == 2, rng.standard_normal(90)], axis=1).astype(float)
    dataset, predictor, theta = table((city, size), x, [0.0, 2.0, 1.0, 0.1])
    found = run(dataset, theta, predictor)
    assert [entry["name"] for entry in found["importance"]] == ["city", "size"]
    (entry,) = [entry for entry in found["dependence"] if entry["name"] == "city"]
    means = dict(zip(entry["labels"], entry["lines"][0]["mean"], strict=True))
    assert set(means) == {"oslo", "rome", "missing"}
    assert means["rome"] - means["oslo"] == pytest.approx(2.0 * dataset.target_scale, abs=0.01)
    assert means["missing"] - means["oslo"] == pytest.approx(1.0 * dataset.target_scale, abs=0.01)


def test_missing_numbers_do_not_flatten_the_curve() -> None:
    rng = np.random.default_rng(3)
    column = Column("income", has_indicator=True, fill=0.0)
    missing = rng.random(300) < 0.06
    x = np.stack([np.where(missing, 0.0, rng.standard_normal(300)), missing], axis=1).astype(float)
    dataset, predictor, theta = table((column,), x, [1.5, 3.0])
    (entry,) = run(dataset, theta, predictor)["dependence"]
    values, means = np.array(entry["values"]), np.array(entry["lines"][0]["mean"])
    assert np.isfinite(values).all() and len(values) == 20
    # As if no row missed it: the slope is that of the model, and the indicator is off.
    assert np.diff(means) / np.diff(values) == pytest.approx(1.5 * dataset.target_scale, rel=0.01)
    assert np.interp(0.0, values, means) == pytest.approx(dataset.target_mean, abs=0.1)


def test_of_a_hundred_levels_the_commonest_are_shown_and_all_are_shuffled_together() -> None:
    rng = np.random.default_rng(3)
    names = tuple(f"k{index:03d}" for index in range(150))
    level = np.minimum(rng.geometric(0.03, 900) - 1, 149)
    slopes = (np.arange(150) / 50).tolist()
    dataset, predictor, theta = table((Column("kind", "text", levels=names),), np.eye(150)[level], slopes)
    found = run(dataset, theta, predictor)
    (entry,) = found["dependence"]
    common = np.bincount(level[: len(dataset.x_train)], minlength=150)
    assert len(entry["labels"]) == 12
    assert sorted(common[int(label[1:])] for label in entry["labels"]) == sorted(np.sort(common)[-12:])
    for label, mean in zip(entry["labels"], entry["lines"][0]["mean"], strict=True):
        assert mean - dataset.target_mean == pytest.approx(
            slopes[int(label[1:])] * dataset.target_scale, abs=0.1
        )
    assert found["importance"][0]["value"] > 10 * found["importance"][0]["se"] > 0


def test_whole_numbers_and_truth_are_varied_over_the_values_that_there_are() -> None:
    rng = np.random.default_rng(3)
    x = np.stack([rng.integers(0, 4, 90), rng.integers(0, 2, 90)], axis=1).astype(float)
    dataset, predictor, theta = table((Column("rooms"), Column("garden", "boolean")), x, [1.0, -2.0])
    entries = {entry["name"]: entry for entry in run(dataset, theta, predictor)["dependence"]}
    assert entries["rooms"]["values"] == [0.0, 1.0, 2.0, 3.0]
    assert entries["garden"]["labels"] == ["false", "true"]
    no, yes = entries["garden"]["lines"][0]["mean"]
    assert yes - no == pytest.approx(-2.0 * dataset.target_scale, abs=0.01)


def test_of_a_wide_table_the_columns_that_matter_are_found() -> None:
    rng = np.random.default_rng(3)
    x = rng.standard_normal((150, 200))
    slopes = [0.0] * 200
    slopes[17], slopes[150] = 2.0, -1.0
    dataset, predictor, theta = table(tuple(Column(f"gene {index}") for index in range(200)), x, slopes)
    found = run(dataset, theta, predictor)
    assert [entry["name"] for entry in found["importance"][:2]] == ["gene 17", "gene 150"]
    assert (len(found["importance"]), found["n_columns"]) == (30, 200)
