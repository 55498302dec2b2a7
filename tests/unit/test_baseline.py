"""The frequentist network and the linear reference."""

from pathlib import Path

import numpy as np
import pytest
import yaml

from bnn.baseline import (
    BaselineSettings,
    fit_baseline,
    linear_predictions,
    network_predictions,
    train,
    validation_rows,
)
from bnn.config import load
from bnn.datasets import prepare
from bnn.network import Network
from bnn.posterior import make_network
from bnn.seeding import Stream, chain_rng

ROOT = Path(__file__).parents[2]

SETTINGS = BaselineSettings(
    learning_rate=0.01, weight_decay=1e-4, batch_size=32, max_epochs=400, patience=60, validation_size=0.2
)
NETWORK = {"hidden": [8], "activation": "tanh", "precision": "float64"}
SPLIT = {"test_size": 0.2, "stratify": False, "seed": 42}


def changed(**fields):
    return BaselineSettings(**{**SETTINGS.__dict__, **fields})


@pytest.fixture(scope="module")
def iris():
    return prepare("iris", task="classification", source={"kind": "sklearn", "name": "iris"}, split=SPLIT)


@pytest.fixture(scope="module")
def diabetes():
    return prepare("diabetes", task="regression", source={"kind": "sklearn", "name": "diabetes"}, split=SPLIT)


def test_training_learns_a_curve_that_a_line_cannot():
    rng = np.random.default_rng(0)
    x = rng.uniform(-2, 2, (200, 1))
    y = np.sin(2 * x[:, 0])
    network = Network((1, 12, 1), activation="tanh", dtype="float64")
    fit = train(network, x, y, n_classes=None, settings=changed(weight_decay=0.0), rng=rng)
    # The loss is half the squared error plus log sqrt(2 pi); the best line leaves 0.3.
    assert fit.validation_loss[fit.best_epoch] - 0.5 * np.log(2 * np.pi) < 0.02
    assert fit.best_epoch == np.argmin(fit.validation_loss)
    assert len(fit.train_loss) == len(fit.validation_loss) <= 401


def test_training_stops_when_patience_ends(iris):
    network = make_network(iris, NETWORK)
    fit = train(
        network,
        iris.x_train,
        iris.y_train,
        n_classes=3,
        settings=changed(patience=2, learning_rate=0.3),
        rng=np.random.default_rng(0),
    )
    assert len(fit.validation_loss) - 1 == fit.best_epoch + 2


def test_validation_rows_are_not_trained_on(iris):
    network = make_network(iris, NETWORK)

    def fitted(y):
        return train(
            network,
            iris.x_train,
            y,
            n_classes=3,
            settings=changed(max_epochs=3),
            rng=np.random.default_rng(1),
        )

    first = fitted(iris.y_train)
    y = iris.y_train.copy()
    # Swap two labels among the validation rows: the proportions, and so the rows set aside, stay.
    a, b = first.validation_rows[[0, -1]]
    a, b = next((i, j) for i in first.validation_rows for j in first.validation_rows if y[i] != y[j])
    y[[a, b]] = y[[b, a]]
    second = fitted(y)
    assert not np.array_equal(first.validation_loss, second.validation_loss)
    if np.array_equal(first.validation_rows, second.validation_rows):
        assert np.array_equal(first.train_loss, second.train_loss)


@pytest.mark.parametrize(
    "fields",
    [
        {"learning_rate": 0.02},
        {"weight_decay": 0.1},
        {"batch_size": 16},
        {"max_epochs": 4},
        {"validation_size": 0.3},
    ],
    ids=lambda fields: next(iter(fields)),
)
def test_every_setting_changes_the_fit(iris, fields):
    network = make_network(iris, NETWORK)

    def theta(settings):
        rng = np.random.default_rng(1)
        return train(network, iris.x_train, iris.y_train, n_classes=3, settings=settings, rng=rng).theta

    base = changed(max_epochs=5)
    assert not np.array_equal(theta(base), theta(BaselineSettings(**{**base.__dict__, **fields})))


def test_validation_rows_are_stratified_and_refuse_to_take_all():
    y = np.repeat([0, 1], [80, 20])
    rows = validation_rows(y, size=0.25, stratify=True, rng=np.random.default_rng(0))
    assert np.bincount(y[rows]).tolist() == [20, 5]
    assert np.array_equal(rows, np.unique(rows))
    with pytest.raises(ValueError, match=r"baseline.validation_size 0.1 sets 0 of 3"):
        validation_rows(np.zeros(3), size=0.1, stratify=False, rng=np.random.default_rng(0))


def test_iris_reaches_the_notebooks_accuracy():
    """The notebooks' split, with the default config's seed: training 98.3 % (118 of 120), test 100 %."""
    config = load(yaml.safe_load((ROOT / "config" / "config.yaml").read_text(encoding="utf-8")))
    settings = config.datasets["iris"].model_dump(mode="json")
    dataset = prepare("iris", task="classification", source=settings["source"], split=settings["split"])
    predictions, _ = network_predictions(
        dataset,
        make_network(dataset, settings["network"]),
        BaselineSettings(**settings["baseline"]),
        chain_rng(settings["seed"], Stream.BASELINE),
    )
    assert (predictions["train_probability"].argmax(axis=1) == dataset.y_train).mean() >= 0.983
    assert (predictions["test_probability"].argmax(axis=1) == dataset.y_test).all()


def test_regression_is_in_target_units_with_a_noise_scale_from_rows_not_fitted(diabetes):
    network = make_network(diabetes, NETWORK)
    predictions, fit = network_predictions(diabetes, network, SETTINGS, np.random.default_rng(0))
    y = diabetes.target_mean + diabetes.target_scale * diabetes.y_train
    residual = (predictions["train_mean"] - y)[fit.validation_rows]
    assert predictions["noise_scale"] == pytest.approx(np.sqrt(np.mean(residual**2)))
    assert 40 < predictions["noise_scale"] < 80, "disease progression runs from 25 to 346"


def test_linear_reference_is_scikit_learns(diabetes, iris):
    from sklearn.linear_model import LinearRegression

    linear = linear_predictions(diabetes)
    plain = LinearRegression().fit(diabetes.x_train, diabetes.y_train).predict(diabetes.x_test)
    plain = diabetes.target_mean + diabetes.target_scale * plain
    # A ridge penalty chosen by cross-validation moves the least-squares predictions by little.
    assert np.corrcoef(linear["test_mean"], plain)[0, 1] > 0.99
    assert np.sqrt(np.mean((linear["test_mean"] - plain) ** 2)) < 0.15 * linear["noise_scale"]
    probability = linear_predictions(iris)["test_probability"]
    assert probability.shape == (30, 3)
    assert (probability.argmax(axis=1) == iris.y_test).mean() > 0.9


def test_file_holds_both_references_on_the_same_rows(diabetes, iris):
    for dataset in (diabetes, iris):
        network = make_network(dataset, NETWORK)
        variables, attributes = fit_baseline(
            dataset, network, changed(max_epochs=3), np.random.default_rng(0)
        )
        kind = "mean" if dataset.task == "regression" else "probability"
        for split, rows in (("train", len(dataset.y_train)), ("test", len(dataset.y_test))):
            shapes = {variables[f"{model}_{split}_{kind}"][1].shape for model in ("baseline", "linear")}
            assert shapes == {(rows,) if dataset.task == "regression" else (rows, 3)}
        assert ("baseline_noise_scale" in variables) == (dataset.task == "regression")
        assert attributes["n_params"] == len(variables["theta"][1])
