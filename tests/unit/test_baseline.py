"""The frequentist network and the linear reference."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from sklearn.linear_model import LogisticRegression

from bnn.baselines import training
from bnn.baselines.reference import (
    fit_references,
    linear_predictions,
    network_predictions,
    stratified_folds,
)
from bnn.baselines.training import balanced_weights, validation_rows
from bnn.baselines.training import train as train_networks
from bnn.config.loading import load
from bnn.core.seeding import Stream, chain_rng
from bnn.core.settings import BaselineSettings, NetworkSettings, build
from bnn.data.preparation import prepare
from bnn.model.categorical import softmax
from bnn.model.layout import ParameterLayout
from bnn.model.network import Network, outputs
from bnn.model.posterior import make_network
from tests.unit.synthetic_chains import make_dataset

ROOT = Path(__file__).parents[2]

SETTINGS = BaselineSettings(
    learning_rate=0.01,
    weight_decay=1e-4,
    batch_size=32,
    max_epochs=400,
    patience=60,
    validation_size=0.2,
    class_weight="none",
)
NETWORK = NetworkSettings((8,), "tanh", "float64", "numpy")
SPLIT = {"method": "random", "test_size": 0.2, "stratify": False, "seed": 42}


def train(network, x, y, *, rng, **settings):
    """Train one network."""
    (fit,) = train_networks(network, x, y, rngs=[rng], **settings)
    return fit


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
    network = make_network(NETWORK, iris.x_train, n_outputs=iris.n_outputs)
    fit = train(
        network,
        iris.x_train,
        iris.y_train,
        n_classes=3,
        settings=changed(patience=2, learning_rate=0.3),
        rng=np.random.default_rng(0),
    )
    assert len(fit.validation_loss) - 1 == fit.best_epoch + 2


def test_validation_rows_only_decide_when_to_stop(diabetes):
    """Other targets on the validation rows leave the first training run as it is, epoch by epoch."""
    network = make_network(NETWORK, diabetes.x_train, n_outputs=diabetes.n_outputs)

    def fitted(y):
        rng = np.random.default_rng(1)
        return train(network, diabetes.x_train, y, n_classes=None, settings=changed(max_epochs=5), rng=rng)

    first = fitted(diabetes.y_train)
    y = diabetes.y_train.copy()
    y[first.validation_rows] += 3.0
    second = fitted(y)
    assert np.array_equal(first.validation_rows, second.validation_rows)
    assert np.array_equal(first.train_loss, second.train_loss)
    assert not np.any(first.validation_loss == second.validation_loss)
    assert not np.array_equal(first.theta, second.theta), "the second run trains on all rows"


def loss_on_validation_rows(network, fit, x, y):
    parameters = ParameterLayout(network.parameter_shapes).unpack(fit.stopped_theta[None])
    output = network.forward(parameters, x[fit.validation_rows])[0, 0]
    return np.mean(0.5 * (output - y[fit.validation_rows]) ** 2) + 0.5 * np.log(2 * np.pi)


def test_the_stopped_network_is_that_of_the_best_epoch(diabetes):
    network = make_network(NETWORK, diabetes.x_train, n_outputs=diabetes.n_outputs)
    settings = changed(patience=5, learning_rate=0.05)
    rng = np.random.default_rng(0)
    fit = train(network, diabetes.x_train, diabetes.y_train, n_classes=None, settings=settings, rng=rng)
    assert fit.best_epoch < len(fit.validation_loss) - 1
    loss = loss_on_validation_rows(network, fit, diabetes.x_train, diabetes.y_train)
    assert loss == pytest.approx(fit.validation_loss[fit.best_epoch])
    assert loss < fit.validation_loss[-1]


def test_weights_decay_and_biases_do_not():
    """With targets that an untrained bias of zero explains, a huge decay empties the weights and nothing else moves."""
    x, y = np.random.default_rng(0).standard_normal((60, 2)), np.full(60, 3.0)
    network = Network((2, 1), activation="tanh", dtype="float64")
    settings = changed(weight_decay=30.0, max_epochs=400, patience=400)
    fit = train(network, x, y, n_classes=None, settings=settings, rng=np.random.default_rng(0))
    blocks = ParameterLayout(network.parameter_shapes).unpack(fit.theta)
    assert np.max(np.abs(blocks["weight_0"])) < 0.05
    assert blocks["bias_0"][0] == pytest.approx(3.0, abs=0.05)


@pytest.mark.parametrize(
    "fields",
    [
        {"learning_rate": 0.02},
        {"weight_decay": 0.1},
        {"batch_size": 16},
        {"max_epochs": 4},
        {"validation_size": 0.3},
        {"class_weight": "balanced"},
    ],
    ids=lambda fields: next(iter(fields)),
)
def test_every_setting_changes_the_fit(iris, fields):
    network = make_network(NETWORK, iris.x_train, n_outputs=iris.n_outputs)

    def theta(settings):
        rng = np.random.default_rng(1)
        return train(network, iris.x_train, iris.y_train, n_classes=3, settings=settings, rng=rng).theta

    base = changed(max_epochs=5)
    assert not np.array_equal(theta(base), theta(BaselineSettings(**{**base.__dict__, **fields})))


def test_balanced_classes_weigh_the_same_in_the_loss_of_all_references():
    """One class in twelve, overlapping the other: with balanced weights it is found as often as the common one."""
    rng = np.random.default_rng(4)
    y = np.repeat([0, 1], [550, 50])
    x = rng.normal(1.2 * y, 1.0)[:, None]
    weights = balanced_weights(y)
    assert weights.mean() == pytest.approx(1)
    assert weights[y == 0].sum() == pytest.approx(weights[y == 1].sum())
    network = Network((1, 4, 2), activation="tanh", dtype="float64")
    recall = {}
    for class_weight in ("none", "balanced"):
        settings = changed(max_epochs=60, class_weight=class_weight)
        fit = train(network, x, y, n_classes=2, settings=settings, rng=np.random.default_rng(0))
        output = network.forward(ParameterLayout(network.parameter_shapes).unpack(fit.theta[None]), x)[0]
        guess = output.argmax(axis=0)
        recall[class_weight] = [np.mean(guess[y == k] == k) for k in (0, 1)]
    assert recall["none"][1] < 0.3
    assert recall["balanced"] == [pytest.approx(0.72, abs=0.08)] * 2, "both near P(noise < half the distance)"


def test_the_gradient_of_weighted_classes_is_that_of_their_weighted_loss():
    rng = np.random.default_rng(2)
    y = np.array([0, 0, 0, 0, 0, 1])
    x = rng.normal(size=(6, 2))
    network = Network((2, 3, 2), activation="tanh", dtype="float64")
    run = training._Training(network, x, y, 2, changed(class_weight="balanced"), None)
    theta, rows = rng.normal(size=(1, run.layout.n_params)), np.arange(6)[None]
    grad = run._loss_grad(theta, rows)[0]
    step = 1e-6 * np.eye(run.layout.n_params)
    numeric = [(run.loss(theta + h, rows) - run.loss(theta - h, rows))[0] / 2e-6 for h in step]
    assert grad == pytest.approx(numeric, abs=1e-8)


def test_validation_rows_are_stratified_and_refuse_to_take_all():
    y = np.repeat([0, 1], [80, 20])
    rows = validation_rows(y, size=0.25, stratify=True, rng=np.random.default_rng(0))
    assert np.bincount(y[rows]).tolist() == [20, 5]
    assert np.array_equal(rows, np.unique(rows))
    with pytest.raises(ValueError, match=r"baseline\.validation_size"):
        validation_rows(np.zeros(3), size=0.1, stratify=False, rng=np.random.default_rng(0))


def test_iris_reaches_the_notebooks_accuracy():
    """The notebooks' split and network, with the default config's seed: training 98.3 % (118 of 120), test 100 %."""
    raw = yaml.safe_load((ROOT / "config" / "config.yaml").read_text(encoding="utf-8"))
    config = load(raw | {"network": {"hidden": [10]}})
    settings = config.datasets["iris"].model_dump(mode="json")
    dataset = prepare("iris", task="classification", source=settings["source"], split=settings["split"])
    predictions, _ = network_predictions(
        dataset,
        make_network(
            build(NetworkSettings, settings["network"]).in_numpy(),
            dataset.x_train,
            n_outputs=dataset.n_outputs,
        ),
        build(BaselineSettings, settings["baseline"]),
        [chain_rng(settings["seed"], Stream.BASELINE)],
    )
    assert (predictions["train_probability"][0].argmax(axis=1) == dataset.y_train).mean() >= 0.983
    assert (predictions["test_probability"][0].argmax(axis=1) == dataset.y_test).all()


def test_regression_is_in_target_units_with_a_noise_scale_from_rows_not_fitted(diabetes):
    network = make_network(NETWORK, diabetes.x_train, n_outputs=diabetes.n_outputs)
    predictions, (fit,) = network_predictions(diabetes, network, SETTINGS, [np.random.default_rng(0)])
    y = diabetes.target_mean + diabetes.target_scale * diabetes.y_train
    residual = (predictions["train_mean"][0] - y)[fit.validation_rows]
    assert predictions["noise_scale"][0] > np.sqrt(np.mean(residual**2)), (
        "the final network has seen these rows"
    )
    assert 40 < predictions["noise_scale"][0] < 80, "disease progression runs from 25 to 346"


def test_linear_reference_is_in_target_units_with_the_noise_of_its_residuals(diabetes, iris):
    linear = linear_predictions(diabetes, class_weight="none")
    assert 45 < linear["noise_scale"] < 65, "disease progression runs from 25 to 346"
    probability = linear_predictions(iris, class_weight="none")["test_probability"]
    assert probability.shape == (30, 3)
    assert (probability.argmax(axis=1) == iris.y_test).mean() > 0.9


@pytest.mark.parametrize("n_columns", [5, 50, 98, 120])
def test_the_noise_of_the_linear_model_is_its_error_on_new_rows(n_columns):
    """Residuals of 100 rows tell less the more columns there are; the penalty makes degrees of freedom fewer."""
    rng = np.random.default_rng(n_columns)
    x = rng.normal(size=(1100, n_columns))
    y = x[:, :3].sum(axis=1) / 3**0.5 + 0.5 * rng.normal(size=1100)
    y = (y - y[:100].mean()) / y[:100].std()
    parts: dict[str, Any] = {"x_train": x[:100], "y_train": y[:100], "x_test": x[100:], "y_test": y[100:]}
    parts |= {"feature_names": tuple(f"x{i}" for i in range(n_columns)), "columns": None}
    parts |= {"feature_mean": np.zeros(n_columns), "feature_scale": np.ones(n_columns)}
    parts |= {"row_train": np.arange(100), "row_test": np.arange(100, 1100)}
    dataset = dataclasses.replace(make_dataset("regression"), **parts)
    linear = linear_predictions(dataset, class_weight="none")
    off = linear["test_mean"] - dataset.original_target("test")
    assert linear["noise_scale"] == pytest.approx(np.sqrt(np.mean(off**2)), rel=0.25)


def test_the_linear_reference_weighs_rows_of_rare_classes_more_if_asked(iris):
    rows = np.concatenate([np.flatnonzero(iris.y_train == k)[:size] for k, size in enumerate((40, 40, 6))])
    few = dataclasses.replace(
        iris, x_train=iris.x_train[rows], y_train=iris.y_train[rows], row_train=iris.row_train[rows]
    )
    plain, weighted = (
        linear_predictions(few, class_weight=how)["test_probability"][:, 2].mean()
        for how in ("none", "balanced")
    )
    assert weighted > plain + 0.02


def test_a_class_with_one_row_gets_the_penalty_that_scikit_learn_has_by_default(iris):
    rows = np.concatenate([np.flatnonzero(iris.y_train == k)[:size] for k, size in enumerate((40, 40, 1))])
    few = dataclasses.replace(
        iris, x_train=iris.x_train[rows], y_train=iris.y_train[rows], row_train=iris.row_train[rows]
    )
    found = linear_predictions(few, class_weight="none")["test_probability"]
    theirs = LogisticRegression(C=1.0, tol=1e-8, max_iter=10_000).fit(few.x_train, few.y_train)
    np.testing.assert_allclose(found, theirs.predict_proba(few.x_test), atol=5e-4)


def test_classes_share_the_folds_evenly():
    rng = np.random.default_rng(1)
    y = rng.permutation(np.repeat([0, 1, 2], [7, 12, 14]))
    folds = stratified_folds(y, 5)
    assert np.ptp(np.bincount(folds)) <= 1
    for label in range(3):
        assert np.ptp(np.bincount(folds[y == label], minlength=5)) <= 1


def test_file_holds_all_references_on_the_same_rows(diabetes, iris):
    for dataset in (diabetes, iris):
        network = make_network(NETWORK, dataset.x_train, n_outputs=dataset.n_outputs)
        variables, attributes = fit_references(dataset, network, changed(max_epochs=3), seed=1, n_members=3)
        is_real = dataset.task == "regression"
        kind = "mean" if is_real else "probability"
        for split, rows in (("train", len(dataset.y_train)), ("test", len(dataset.y_test))):
            shape = (rows,) if is_real else (rows, 3)
            for model in ("baseline", "linear"):
                assert variables[f"{model}_{split}_{kind}"][1].shape == shape
            found = variables[f"ensemble_{split}_{kind}"][1]
            assert found.shape == ((3, *shape) if is_real else shape)
        for model, sizes in (("baseline", ()), ("ensemble", (3,)), ("linear", ())):
            assert (f"{model}_noise_scale" in variables) == is_real
            if is_real:
                assert variables[f"{model}_noise_scale"][1].shape == sizes
        assert attributes["n_params"] == len(variables["theta"][1])
        assert variables["ensemble_theta"][1].shape == (3, attributes["n_params"])
        assert attributes["seconds"] > 0 and attributes["seconds_ensemble"] > 0


@pytest.mark.parametrize("name", ["iris", "diabetes"])
def test_a_network_trained_beside_others_is_what_it_would_be_alone(request, name):
    """Members stop at different epochs, and those that go on must not notice."""
    dataset = request.getfixturevalue(name)
    n_classes = 3 if name == "iris" else None
    settings = changed(max_epochs=40, patience=3, learning_rate=0.03)
    options = {"n_classes": n_classes, "settings": settings}
    x, y, network = (
        dataset.x_train,
        dataset.y_train,
        make_network(NETWORK, dataset.x_train, n_outputs=dataset.n_outputs),
    )
    together = train_networks(
        network, x, y, rngs=[chain_rng(5, Stream.ENSEMBLE, i) for i in range(4)], **options
    )
    assert len({len(fit.train_loss) for fit in together}) > 1, "all stop together: the test shows nothing"
    for member, fit in enumerate(together):
        alone = train(network, x, y, rng=chain_rng(5, Stream.ENSEMBLE, member), **options)
        assert alone.best_epoch == fit.best_epoch
        for part in ("theta", "stopped_theta", "train_loss", "validation_loss", "validation_rows"):
            assert np.array_equal(getattr(alone, part), getattr(fit, part)), part


def test_the_ensemble_averages_distributions_of_networks_that_differ(iris):
    network = make_network(NETWORK, iris.x_train, n_outputs=iris.n_outputs)
    variables, _ = fit_references(iris, network, changed(max_epochs=20), seed=1, n_members=4)
    members = softmax(outputs(network, variables["ensemble_theta"][1], iris.x_test).swapaxes(1, 2))
    assert np.ptp(members, axis=0).max() > 0.01
    assert np.allclose(variables["ensemble_test_probability"][1], members.mean(axis=0))
    assert not np.array_equal(variables["ensemble_theta"][1][0], variables["theta"][1])
    more, _ = fit_references(iris, network, changed(max_epochs=20), seed=1, n_members=5)
    assert np.array_equal(more["ensemble_theta"][1][:4], variables["ensemble_theta"][1])


def test_the_last_value_of_a_series_is_a_forecast(tmp_path):
    """Two steps ahead: from row i - 2 to row i; its noise is what it misses the training rows by."""
    y = np.round(np.cumsum(np.random.default_rng(3).normal(size=80)), 3)
    (tmp_path / "a.csv").write_text("y\n" + "".join(f"{value}\n" for value in y), encoding="utf-8")
    split = {"method": "time", "column": None, "test_size": 0.2, "stratify": False, "seed": None}
    source = {"kind": "csv", "path": str(tmp_path / "a.csv"), "target": "y"}
    series = {"lags": 3, "horizon": 2}
    dataset = prepare("walk", task="timeseries", source=source, split=split, series=series)
    network = make_network(NETWORK, dataset.x_train, n_outputs=dataset.n_outputs)
    variables, _ = fit_references(dataset, network, changed(max_epochs=2), seed=1, n_members=1)
    for part in ("train", "test"):
        dims, mean = variables[f"naive_{part}_mean"]
        assert dims == (f"obs_{part}",)
        np.testing.assert_allclose(mean, y[getattr(dataset, f"row_{part}") - 2])
    missed = y[dataset.row_train] - y[dataset.row_train - 2]
    assert variables["naive_noise_scale"][1] == pytest.approx(np.sqrt(np.mean(missed**2)))


def test_no_other_table_has_a_last_value(diabetes):
    variables, _ = fit_references(
        diabetes,
        make_network(NETWORK, diabetes.x_train, n_outputs=diabetes.n_outputs),
        changed(max_epochs=2),
        seed=1,
        n_members=1,
    )
    assert not any(name.startswith("naive") for name in variables)
