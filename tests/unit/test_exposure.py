"""Counts over something: the expected count is in proportion to the exposure, in chains, baselines and new rows."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from bnn.baselines.reference import fit_references, network_predictions
from bnn.baselines.training import BaselineSettings
from bnn.checks.effects import columns_of
from bnn.checks.out_of_distribution import make_inputs
from bnn.config.errors import ConfigError
from bnn.config.loading import load
from bnn.core.errors import DataError
from bnn.core.settings import (
    BlockPriorSettings,
    LikelihoodSettings,
    ModelSettings,
    NetworkSettings,
    PriorSettings,
)
from bnn.data.dataset import Dataset
from bnn.data.preparation import prepare
from bnn.model.posterior import Posterior, make_likelihood, make_network, make_posterior
from bnn.model.targets import fit_target
from bnn.posterior.new_rows import predictions
from bnn.posterior.predictor import make_predictor, target_of
from bnn.selection.choice import choose
from bnn.selection.conformal import conformity_scores
from bnn.selection.race import Unit
from tests.refusals import refused
from tests.unit.central_differences import check_gradient

N = 200
BLOCK = BlockPriorSettings(family="normal", scale=1.0, df=4.0)
PRIOR = PriorSettings(weights=BLOCK, biases=BLOCK, fan_in_scaling=True, learned_scales="none")
NETWORK = NetworkSettings(hidden=(4,), activation="tanh", precision="float64", engine="numpy")
SPLIT = {"method": "random", "column": None, "test_size": 0.25, "stratify": False, "seed": 1}

TRAINING = BaselineSettings(
    learning_rate=0.02,
    weight_decay=0.0,
    batch_size=150,
    max_epochs=1000,
    patience=30,
    validation_size=0.2,
    class_weight="none",
)


def settings(family: str) -> LikelihoodSettings:
    return LikelihoodSettings(family=family, noise="sampled", df=4.0, log_noise_mean=-1.0, log_noise_sd=1.0)


def frame(**columns: Any) -> pd.DataFrame:
    """Return counts whose rate is exp(1 + 0.8 a), over between 1/20 and 20 years."""
    rng = np.random.default_rng(5)
    a, years = rng.normal(size=N), np.exp(rng.uniform(-3, 3, N))
    counts = rng.poisson(years * np.exp(1 + 0.8 * a))
    return pd.DataFrame({"years": years, "a": a, "y": counts} | columns)


def read(path: Path, table: pd.DataFrame, **keys: Any) -> Dataset:
    table.to_csv(path, index=False)
    source = {"kind": "csv", "path": str(path), "target": "y", "exposure": "years", **keys}
    return prepare("mine", task="regression", source=source, split=SPLIT)


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    return read(tmp_path / "a.csv", frame())


def posterior_of(dataset: Dataset, family: str, network: NetworkSettings = NETWORK) -> Posterior:
    return make_posterior(
        dataset.x_train,
        dataset.y_train,
        n_classes=None,
        network=network,
        prior=PRIOR,
        likelihood=settings(family),
        target=target_of(dataset, settings(family)),
    )


def test_the_last_feature_is_its_log(dataset: Dataset) -> None:
    logs = np.log(frame()["years"][dataset.row_train])
    assert dataset.feature_names == ("a", "log(years)")
    assert dataset.x_train[:, 1] == pytest.approx(logs - logs.mean())
    assert dataset.log_exposure_train is not None


@pytest.mark.parametrize("family", ["poisson", "negative_binomial"])
def test_density_is_that_of_counts_over_the_exposure(dataset: Dataset, family: str) -> None:
    posterior, target = posterior_of(dataset, family), target_of(dataset, settings(family))
    assert target is not None
    theta = 0.5 * np.random.default_rng(1).normal(size=(2, posterior.layout.n_params))
    table = frame().iloc[dataset.row_train]
    years = (table["years"] / np.exp(np.log(table["years"]).mean())).to_numpy()
    assert target.location == pytest.approx(np.log(table["y"].sum() / years.sum()))
    # The network sees the other feature alone.
    plain = make_network(NETWORK, dataset.x_train[:, :1], n_outputs=1)
    output = plain.forward(posterior.layout.unpack(theta), dataset.x_train[:, :1])[:, 0]
    mean = years * np.exp(target.location + output)
    if family == "poisson":
        expected = stats.poisson.logpmf(table["y"].to_numpy(), mean)
    else:
        size = np.exp(-posterior.layout.unpack(theta)["log_dispersion"])[:, None]
        expected = stats.nbinom.logpmf(table["y"].to_numpy(), size, size / (size + mean))
    assert posterior.pointwise(theta) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("engine", ["numpy", "numba"])
@pytest.mark.parametrize("transform", ["none", "yeo_johnson"])
def test_gradient_is_that_of_the_log_density(dataset: Dataset, engine: str, transform: str) -> None:
    network = NetworkSettings((4,), "tanh", "float64", engine, transform)
    posterior = posterior_of(dataset, "negative_binomial", network)
    check_gradient(posterior)


def test_rows_left_out_keep_theirs(dataset: Dataset) -> None:
    posterior = posterior_of(dataset, "poisson")
    theta = np.random.default_rng(1).normal(size=(2, posterior.layout.n_params))
    rows = np.arange(3, 60, 4)
    assert posterior.of_rows(rows).pointwise(theta) == pytest.approx(posterior.pointwise(theta)[:, rows])


def test_predictions_are_in_proportion(dataset: Dataset) -> None:
    predictor = make_predictor(dataset, network=NETWORK, likelihood=settings("poisson"))
    theta = np.random.default_rng(2).normal(size=(5, predictor.layout.n_params))
    years = np.array([1.0, 2.0, 10.0])
    x = np.column_stack([np.full(3, 0.7), np.log(years)])
    (block,) = predictor.stream(theta, x)
    assert block.value / block.value[:, :1] == pytest.approx(np.tile(years, (5, 1)), rel=1e-12)
    encoded = dataset.encoding.transform(pd.DataFrame({"years": years, "a": 0.0}))
    assert np.diff(encoded.x[:, -1]) == pytest.approx(np.diff(np.log(years)))


def test_baseline_networks_learn_the_rate(dataset: Dataset) -> None:
    """Without the offset their mean is far off; the linear model has the form that made the counts."""
    like, target = settings("poisson"), target_of(dataset, settings("poisson"))
    assert target is not None
    family = make_likelihood(like, n_classes=None, target=target)
    truth = np.exp(1 + 0.8 * frame()["a"].to_numpy()[dataset.row_test])
    found = {}
    for has_offset in (True, False):
        network = make_network(
            NetworkSettings((), "tanh", "float64", "numpy"),
            dataset.x_train if has_offset else dataset.x_train[:, :1],
            n_outputs=1,
            has_offset=has_offset,
        )
        table = dataset if has_offset else _without(dataset)
        predicted, _ = network_predictions(
            table, network, TRAINING, [np.random.default_rng(1)], target, family
        )
        found[has_offset] = np.exp(target.location + predicted["test_output"][0, 0])
    years = frame()["years"].to_numpy()[dataset.row_test]
    errors = {key: np.abs(np.log(mean / (years * truth))).mean() for key, mean in found.items()}
    assert errors[True] < 0.15 < 0.5 < errors[False]


def _without(dataset: Dataset) -> Dataset:
    return replace(
        dataset,
        x_train=dataset.x_train[:, :1],
        x_test=dataset.x_test[:, :1],
        feature_names=dataset.feature_names[:1],
        feature_mean=dataset.feature_mean[:1],
        feature_scale=dataset.feature_scale[:1],
        columns=tuple(column for column in dataset.columns or () if column.kind != "exposure"),
    )


def test_the_choice_is_among_counts(dataset: Dataset) -> None:
    sections = {
        "seed": 1,
        "network": {
            "hidden": [3],
            "activation": "tanh",
            "precision": "float64",
            "engine": "numpy",
            "input_transform": "auto",
        },
        "prior": {
            "weights": {"family": "normal", "scale": 1.0, "df": 4.0},
            "biases": {"family": "normal", "scale": 1.0, "df": 4.0},
            "fan_in_scaling": True,
            "learned_scales": "none",
            "output_factor": 1.0,
        },
        "likelihood": {
            "family": "auto",
            "noise": "sampled",
            "df": 4.0,
            "log_noise_mean": -1.0,
            "log_noise_sd": 1.0,
        },
    }
    unit = Unit(dataset.target_mean, dataset.target_scale, log_exposure=dataset.log_exposure_train)
    chosen, tried = choose(dataset.x_train, dataset.y_train, n_classes=None, settings=sections, unit=unit)
    assert {one.candidate.family for one in tried} == {"poisson", "negative_binomial"}
    assert chosen["likelihood"]["family"] == "poisson"


@pytest.mark.parametrize("value", ["0", "-2", ""])
def test_what_is_no_exposure_is_refused_by_row(tmp_path: Path, value: str) -> None:
    years = [value if row == 40 else 1.5 for row in range(N)]
    place: dict[str, Any] = {"column": "years"} | ({"value": value} if value else {})
    with refused("exposure-not-positive", row=42, file="a.csv", **place):
        read(tmp_path / "a.csv", frame(years=years))
    frame(years=years)[35:45].to_csv(tmp_path / "b.csv", index=False)
    with refused("exposure-not-positive", row=7, file="b.csv", **place):
        read(tmp_path / "c.csv", frame(), test=str(tmp_path / "b.csv"))


def test_columns_that_are_not_there_or_say_nothing(tmp_path: Path, dataset: Dataset) -> None:
    with pytest.raises(DataError) as caught:
        read(tmp_path / "a.csv", frame(), exposure="year")
    assert caught.value.code == "column-missing" and "'years'" in str(caught.value)
    with pytest.raises(DataError) as caught:
        read(tmp_path / "a.csv", frame().drop(columns="a"))
    assert caught.value.code == "no-features"
    with pytest.raises(DataError) as caught:
        dataset.encoding.transform(
            pd.DataFrame({"years": ["two"] * 2, "a": 0.0}).astype({"years": "category"})
        )
    assert caught.value.code == "other-kind"


def test_other_families_have_none() -> None:
    with pytest.raises(ValueError, match="not for counts"):
        fit_target("gaussian", np.arange(9.0), mean=0.0, scale=1.0, log_exposure=np.zeros(9))


@pytest.mark.parametrize(
    ("keys", "where"),
    [
        ({"task": "classification"}, "source.exposure"),
        ({"likelihood": {"family": "log_normal"}}, "source.exposure"),
        ({"split": {"method": "group", "column": "years"}}, "source.exposure"),
        ({"source": {"drop": ["years"]}}, "source"),
        ({"source": {"target": "years"}}, "source"),
    ],
)
def test_a_config_that_contradicts_itself_is_refused(keys: dict[str, Any], where: str) -> None:
    source = {"kind": "csv", "path": "a.csv", "target": "y", "exposure": "years"}
    own = {"task": "regression", **keys, "source": source | keys.get("source", {})}
    with pytest.raises(ConfigError) as caught:
        load({"datasets": {"mine": own}})
    assert f"datasets.mine.{where}" in str(caught.value)


def test_a_target_that_is_no_count_is_refused(tmp_path: Path) -> None:
    table = frame()
    table["y"] = table["y"].astype(float)
    table.loc[12, "y"] = 2.5
    with refused("no-count", column="y", row=14, value="2.5", file="a.csv"):
        read(tmp_path / "a.csv", table)


def test_new_rows_are_not_far_for_it(dataset: Dataset) -> None:
    """The mean is in proportion to it, however large it is: it is known as well as for any other."""
    predictor = make_predictor(dataset, network=NETWORK, likelihood=settings("poisson"))
    theta = 0.3 * np.random.default_rng(2).normal(size=(2, 50, predictor.layout.n_params))
    table = pd.DataFrame({"years": [1.0, 1e4, 1.0], "a": [0.1, 0.1, 40.0]})
    found = predictions(
        dataset, predictor, theta, dataset.encoding.transform(table).x, np.random.default_rng(1)
    )
    assert found["far"].tolist() == [0, 0, 1]
    assert found["outside_range"].tolist() == ["", "", "a"]
    assert "years" not in "".join(found["far_because"])
    assert found["distance"][0] == found["distance"][1]


def test_inputs_that_are_moved_keep_theirs(dataset: Dataset) -> None:
    for kind in make_inputs(dataset, np.random.default_rng(1)):
        assert np.isin(kind.x[:, -1], dataset.x_test[:, -1]).all()
        if kind.row is not None:
            assert (kind.x[:, -1] == dataset.x_test[kind.row, -1]).all()


def test_it_is_no_feature_that_matters(dataset: Dataset) -> None:
    assert [column.name for column in columns_of(dataset)] == ["a"]
    assert dataset.n_inputs == 1


def test_references_have_the_offset_too(dataset: Dataset) -> None:
    """Each of them, the linear model among them: their mean is in proportion to the exposure."""
    like, target = settings("poisson"), target_of(dataset, settings("poisson"))
    network = make_network(NETWORK, dataset.x_train, n_outputs=1, has_offset=True)
    likelihood = make_likelihood(like, n_classes=None, target=target)
    longer = replace(dataset, x_test=dataset.x_test + np.array([0.0, np.log(3.0)]))
    (found, _), (again, _) = (
        fit_references(one, network, TRAINING, seed=1, n_members=2, target=target, likelihood=likelihood)
        for one in (dataset, longer)
    )
    for name in ("baseline_test_output", "linear_test_output", "ensemble_test_output"):
        assert again[name][1] - found[name][1] == pytest.approx(np.full(found[name][1].shape, np.log(3.0)))


def test_folds_of_calibration_have_the_offset_too(dataset: Dataset) -> None:
    """Without it the ranks of observations, which intervals are calibrated by, would lie at either end."""
    target = target_of(dataset, settings("poisson"))
    scores = conformity_scores(
        dataset.x_train,
        dataset.y_train,
        n_classes=None,
        settings=ModelSettings(network=NETWORK, prior=PRIOR, likelihood=settings("poisson")),
        seed=1,
        target=target,
    )
    assert np.mean(scores > 0.95) < 0.2
