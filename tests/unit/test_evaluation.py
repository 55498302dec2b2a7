"""Scores of all models: same rows, same units, and Monte Carlo errors that are as large as they say."""

import dataclasses
import json
import math
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from bnn.core.errors import ResultError
from bnn.core.storage import read_json
from bnn.evaluation import assemble, forecasts, metrics
from bnn.evaluation import scores as scoring
from bnn.evaluation.naming import row_entries
from bnn.posterior.arviz_versions import open_posterior
from bnn.posterior.predictive import central_intervals, mixture_log_density
from tests.effort import FULL
from tests.refusals import refused
from tests.unit.synthetic_chains import (
    LIKELIHOOD,
    combined,
    independent_theta,
    layout_of,
    make_dataset,
    write_chains,
)

ATTRIBUTES = {
    "seconds": 0.75,
    "seconds_ensemble": 1.5,
    "seconds_boosting": 2.5,
    "best_epoch": 3,
    "n_params": 13,
}
MODELS = ["bnn", "baseline", "ensemble", "linear", "boosting"]
OF_DENSITY = ("nll", "nll_gaussian")
CLASS_SCORES = ["accuracy", "nll", "brier", "ece", "balanced_accuracy", "auroc", "average_precision"]
REGRESSION_SCORES = ["rmse", "mae", "r2", "nll", "nll_gaussian", "crps"]
REGRESSION_SCORES += [f"{name}_{level}" for level in (50, 90, 95) for name in ("coverage", "width")]


def posterior_of(folder, dataset, theta, likelihood=LIKELIHOOD):
    paths = write_chains(folder, theta, layout_of(dataset, likelihood))
    return combined(dataset, paths, likelihood=likelihood)


def references(predictions):
    """Return a baseline file's variables in which all models predict the same; boosting, its quantiles."""
    own = {name: np.asarray(value) for name, value in predictions.items()}
    found = {f"{model}_{name}": value for model in ("baseline", "linear") for name, value in own.items()}
    repeated = {
        name: value if name.endswith("probability") else np.stack([value] * 2) for name, value in own.items()
    }
    if "noise_scale" in own:
        level = np.array([0.025, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.975])
        found["boosting_level"] = level
        for split in ("train", "test"):
            mean, reach = own[f"{split}_mean"], own["noise_scale"] * stats.norm.ppf(level)
            found |= {f"boosting_{split}_mean": mean, f"boosting_{split}_quantile": mean + reach[:, None]}
    else:
        found |= {f"boosting_{name}": value for name, value in own.items()}
    return found | {f"ensemble_{name}": value for name, value in repeated.items()}


def evaluate(idata, dataset, baseline):
    scores, columns = assemble.evaluate(idata, dataset, baseline, ATTRIBUTES, rng=np.random.default_rng(4))
    return scores, pd.DataFrame(columns)


def any_references(dataset):
    rng = np.random.default_rng(8)
    sizes = {"train": len(dataset.y_train), "test": len(dataset.y_test)}
    if dataset.task == "classification":
        n_classes = dataset.n_outputs
        return references(
            {f"{s}_probability": rng.dirichlet(np.ones(n_classes), size=n) for s, n in sizes.items()}
        )
    means = {f"{split}_mean": rng.normal(20, 5, size=n) for split, n in sizes.items()}
    return references(means | {"noise_scale": 2.0})


@pytest.fixture(scope="module", params=["classification", "regression"])
def evaluated(request, tmp_path_factory):
    dataset = make_dataset(request.param)
    folder = tmp_path_factory.mktemp("evaluated")
    idata = posterior_of(folder, dataset, independent_theta(dataset, n_chains=3, n_draws=40))
    baseline = any_references(dataset)
    return dataset, idata, baseline, *evaluate(idata, dataset, baseline)


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    """A posterior of the regression that no test changes."""
    dataset = make_dataset("regression")
    theta = independent_theta(dataset, n_chains=2, n_draws=20)
    return posterior_of(tmp_path_factory.mktemp("plain"), dataset, theta)


def test_what_is_in_the_scores(evaluated, tmp_path):
    dataset, _, _, scores, table = evaluated
    is_class = dataset.task == "classification"
    names = CLASS_SCORES if is_class else REGRESSION_SCORES
    assert list(scores["models"]) == MODELS
    for model, splits in scores["models"].items():
        for found in splits.values():
            assert list(found) == names
            without = OF_DENSITY if model in scores["without_density"] else ()
            for name, entry in found.items():
                assert math.isfinite(entry["value"]) == (name not in without), (model, name)
            assert all((entry["mcse"] is None) == (model != "bnn") for entry in found.values())
    assert (scores["dataset"], scores["task"], scores["n_train"], scores["n_test"]) == (
        "toy",
        dataset.task,
        8,
        5,
    )
    assert (scores["n_features"], scores["target_name"]) == (2, dataset.target_name)
    assert scores["target_unit"] == ("" if is_class else "EUR")
    assert scores["class_names"] == (["kind 0", "kind 1", "kind 2"] if is_class else [])
    assert scores["architecture"] == [2, 3, dataset.n_outputs]
    assert scores["n_params"] == layout_of(dataset).n_params
    assert scores["seconds"] == {
        "baseline": 0.75,
        "ensemble": 1.5,
        "boosting": 2.5,
        "bnn": 0.5 * 3 + (1 + 2 + 3) + 2 * 3,
    }
    assert scores["without_density"] == ([] if is_class else ["boosting"])
    for parts in scores["uncertainty"].values():
        assert parts["total"] == pytest.approx(parts["aleatoric"] + parts["epistemic"], rel=1e-9)
    assert ("classification_report" in scores) == is_class
    json_path, csv_path = tmp_path / "metrics.json", tmp_path / "predictions.csv"
    assemble.save(scores, dict(table.items()), json_path=json_path, csv_path=csv_path)
    # R² has no error where five rows drawn with replacement may be one row five times.
    assert read_json(json_path) == json.loads(json.dumps(scores).replace("NaN", "null"))
    pd.testing.assert_frame_equal(pd.read_csv(csv_path), table)


def test_conformal_calibration_is_judged_on_the_test_rows(evaluated):
    """Limits that are the levels change nothing; one that is too high to be found holds everything."""
    dataset, idata, baseline, scores, table = evaluated
    # Of 99 scores the 50th, 90th and 95th are those of the levels.
    found = {"n_folds": 5, "scores": [0.01 * k for k in range(1, 94)] + [0.94, 0.95] + [None] * 4}
    after, columns = assemble.evaluate(
        idata, dataset, baseline, ATTRIBUTES, rng=np.random.default_rng(4), conformal=found
    )
    entry = after.pop("conformal")
    assert json.dumps(after) == json.dumps(scores)
    assert (entry["n_rows"], entry["n_folds"]) == (99, 5)
    for one in entry["levels"]:
        assert one["limit"] == pytest.approx(one["level"])
        assert one["before"] == pytest.approx(one["after"])
        name = f"{100 * one['level']:.0f}"
        if dataset.task == "classification":
            held = np.stack([columns[f"bnn_set_{name}_{label}"] for label in dataset.class_names], axis=1)
            assert one["after"]["size"] == held.sum(axis=1).mean()
            assert one["after"]["coverage"] == held[np.arange(5), dataset.y_test].mean()
            continue
        ends = [columns[f"bnn_{end}_{name}_conformal"] for end in ("lower", "upper")]
        assert np.allclose(ends, [table[f"bnn_{end}_{name}"] for end in ("lower", "upper")])
        of_model = scores["models"]["bnn"]["test"]
        assert one["after"]["coverage"] == of_model[f"coverage_{name}"]["value"]
        assert one["after"]["width"] == pytest.approx(of_model[f"width_{name}"]["value"])
    few = assemble.evaluate(
        idata,
        dataset,
        baseline,
        ATTRIBUTES,
        rng=np.random.default_rng(4),
        conformal={"n_folds": 5, "scores": [0.1] * 5},
    )[0]["conformal"]["levels"]
    assert [math.isinf(one["limit"]) for one in few] == [False, True, True]
    assert few[1]["after"]["coverage"] == few[2]["after"]["coverage"] == 1.0


def test_observed_counts_are_whole_and_zeros_exact():
    """Standardising rounds, and draws are compared with them for equality."""
    rng = np.random.default_rng(0)
    n_off = 0
    for _ in range(20):
        count = np.append(rng.poisson(2.0, 5) * rng.integers(1, 1000), [0, 1]).astype(float)
        mean, scale = count.mean(), count.std()
        dataset = dataclasses.replace(
            make_dataset("regression"),
            y_test=((count - mean) / scale)[:5],
            target_mean=mean,
            target_scale=scale,
        )
        n_off += (mean + scale * dataset.y_test != count[:5]).sum()
        assert np.array_equal(forecasts.observed(dataset, "test"), count[:5])
    assert n_off > 0


def test_shares_of_test_rows_have_their_binomial_interval(evaluated):
    _, _, _, found, _ = evaluated
    for model, splits in found["models"].items():
        for name, entry in splits["test"].items():
            is_share = name == "accuracy" or name.startswith("coverage_")
            assert ({"lower", "upper"} <= set(entry)) == is_share, (model, name)
            if is_share:
                assert 0 <= entry["lower"] <= entry["value"] <= entry["upper"] <= 1
                assert (
                    entry["upper"] - entry["lower"] > 0.4
                )  # five rows tell little, also where all are right
        assert not any("lower" in entry for entry in splits["train"].values())


def test_rows_go_by_the_number_and_the_name_that_the_file_has(tmp_path):
    own = make_dataset("regression")
    names = np.array([f"site {index}" for index in range(len(own.row_test))])
    dataset = dataclasses.replace(own, first_row=2, first_row_test=2, id_name="site", id_test=names)
    idata = posterior_of(tmp_path, dataset, independent_theta(dataset, n_chains=2, n_draws=20))
    scores, table = evaluate(idata, dataset, any_references(dataset))
    assert (
        table["row"].tolist() == (own.row_test + 2).tolist() == idata["predictions"]["obs_id"].values.tolist()
    )
    assert table["id"].tolist() == names.tolist()
    named = dict(zip(table["row"], table["id"], strict=True))
    for entry in scores["rows"]["most_wrong"]:
        assert named[entry["row"]] == entry["id"]
    assert (scores["first_row"], scores["id_name"]) == (2, "site")


def test_the_distance_of_zeros_and_ones_is_in_their_standard_deviations(tmp_path):
    own = make_dataset("regression")
    rare = np.where(np.arange(len(own.x_train)) == 0, 1.0, 0.0)
    x_train = np.column_stack([rare - rare.mean(), own.x_train[:, 1]])
    x_test = np.column_stack([np.full(len(own.x_test), 1 - rare.mean()), own.x_test[:, 1]])
    mean, scale = (
        np.array([value, of[1]]) for value, of in ((rare.mean(), own.feature_mean), (1.0, own.feature_scale))
    )
    dataset = dataclasses.replace(own, x_train=x_train, x_test=x_test, feature_mean=mean, feature_scale=scale)
    idata = posterior_of(tmp_path, dataset, independent_theta(dataset, n_chains=2, n_draws=20))
    scores, _ = evaluate(idata, dataset, any_references(dataset))
    for entry in scores["rows"]["most_wrong"]:
        assert entry["features"][0] == pytest.approx(1)
        assert entry["standardised"][0] == pytest.approx((1 - rare.mean()) / rare.std())


@pytest.mark.parametrize(
    ("start", "step", "is_date", "first"),
    [
        (1900.0, 1.0, False, "1900"),
        (0.5, 0.25, False, "0.5"),
        (86_400.0, 86_400.0, True, "1970-01-02"),
        (0.0, 3600.0, True, "1970-01-01T00:00:00"),
    ],
)
def test_rows_of_a_series_go_by_their_time(plain, start, step, is_date, first):
    own = make_dataset("regression")
    train, test = (start + step * np.arange(len(rows)) for rows in (own.row_train, own.row_test))
    dataset = dataclasses.replace(own, time_train=train, time_test=test, time_name="t", time_is_date=is_date)
    scores, table = evaluate(plain, dataset, any_references(dataset))
    assert str(table["time"][0]) == first and scores["time_name"] == "t"
    times = dict(zip(table["row"], map(str, table["time"]), strict=True))
    for entry in scores["rows"]["most_wrong"]:
        assert entry["time"] == times[entry["row"]]
    # Without a column of times a row's number is all there is to say.
    counted = dataclasses.replace(dataset, time_test=own.row_test.astype(float), time_is_date=False)
    assert "time" not in row_entries(counted, "test", [0])[0]
    assert row_entries(dataset, "train", [0]) == [{"row": int(own.row_train[0]), "time": first}]


def test_the_last_value_of_a_series_is_scored_like_the_other_models(plain):
    own = make_dataset("regression")
    train, test = (np.arange(len(rows), dtype=float) for rows in (own.row_train, own.row_test))
    dataset = dataclasses.replace(own, time_train=train, time_test=test, time_name="row")
    given = any_references(dataset)
    for model in ("linear", "naive"):
        given |= {
            f"{model}_{part}_mean": np.full(len(getattr(own, f"row_{part}")), 21.0)
            for part in ("train", "test")
        }
        given[f"{model}_noise_scale"] = np.array(4.0)
    scores, table = evaluate(plain, dataset, given)
    assert list(scores["models"]) == [*MODELS, "naive"] and scores["is_series"]
    # As texts, because a NaN is not equal to itself.
    assert repr(scores["models"]["naive"]) == repr(scores["models"]["linear"])
    assert repr(scores["differences"]["naive"]) == repr(scores["differences"]["linear"])
    assert np.array_equal(table["naive_mean"], table["linear_mean"])


def test_table_of_a_classification(tmp_path):
    dataset = make_dataset("classification")
    idata = posterior_of(tmp_path, dataset, independent_theta(dataset, n_chains=2, n_draws=20))
    baseline = any_references(dataset)
    scores, table = evaluate(idata, dataset, baseline)
    kinds = [f"kind {index}" for index in range(3)]
    assert table["row"].tolist() == dataset.row_test.tolist()
    assert table["y"].tolist() == [kinds[index] for index in dataset.y_test]
    probability = table[[f"bnn_probability_{kind}" for kind in kinds]].to_numpy()
    assert np.allclose(probability, idata["predictions"]["probability"].values.mean(axis=(0, 1)), rtol=1e-6)
    assert table["bnn_predicted"].tolist() == [kinds[index] for index in probability.argmax(axis=1)]
    assert np.allclose(table["bnn_entropy_total"], stats.entropy(probability, axis=1), rtol=1e-6)
    parts = table["bnn_entropy_aleatoric"] + table["bnn_mutual_information"]
    assert np.allclose(table["bnn_entropy_total"], parts, rtol=1e-9)
    assert table["linear_probability_kind 1"].tolist() == baseline["linear_test_probability"][:, 1].tolist()
    accuracy = (table["bnn_predicted"] == table["y"]).mean()
    assert scores["models"]["bnn"]["test"]["accuracy"]["value"] == accuracy
    recall = {row["class"]: row["recall"] for row in scores["classification_report"]["test"]["linear"]}
    for kind in kinds:
        own = table[table["y"] == kind]
        assert recall[kind] == pytest.approx((own["linear_predicted"] == kind).mean())


def test_scores_and_table_of_a_regression_are_in_original_units(tmp_path):
    dataset = make_dataset("regression")
    theta = independent_theta(dataset, n_chains=2, n_draws=50)
    idata = posterior_of(tmp_path, dataset, theta)
    scores, table = evaluate(idata, dataset, any_references(dataset))
    y = 20 + 5 * dataset.y_test
    assert np.allclose(table["y"], y, rtol=1e-12)
    means = idata["predictions"]["mean"].values.astype(float)
    noise = 5 * np.exp(theta[..., -1])
    assert np.allclose(table["bnn_mean"], means.mean(axis=(0, 1)), rtol=1e-9)
    assert np.allclose(table["bnn_sd_epistemic"], means.std(axis=(0, 1)), rtol=1e-9)
    assert np.allclose(table["bnn_sd_aleatoric"], np.sqrt(np.mean(noise**2)), rtol=1e-9)
    assert np.allclose(table["bnn_sd"] ** 2, table["bnn_sd_aleatoric"] ** 2 + table["bnn_sd_epistemic"] ** 2)
    drawn = idata["predictions"]["y"].values
    found = {name: entry["value"] for name, entry in scores["models"]["bnn"]["test"].items()}
    assert found["rmse"] == pytest.approx(np.sqrt(np.mean((table["bnn_mean"] - y) ** 2)), rel=1e-9)
    density = stats.norm.pdf(y, means, noise[..., None]).mean(axis=(0, 1))
    assert found["nll"] == pytest.approx(-np.log(density).mean(), rel=1e-6)
    normal = stats.norm(table["bnn_mean"], table["bnn_sd"])
    assert found["nll_gaussian"] == pytest.approx(-normal.logpdf(y).mean(), rel=1e-9)
    assert found["nll_gaussian"] != pytest.approx(found["nll"], rel=1e-3), (
        "a mixture is no normal distribution"
    )
    assert found["crps"] == pytest.approx(
        metrics.sample_crps(drawn.reshape(-1, 5).astype(float), y), rel=1e-9
    )
    for level, lower, upper in zip((50, 90, 95), *central_intervals(drawn, (0.5, 0.9, 0.95)), strict=True):
        assert np.array_equal(table[f"bnn_lower_{level}"], lower)
        assert np.array_equal(table[f"bnn_upper_{level}"], upper)
        assert found[f"coverage_{level}"] == np.mean((lower <= y) & (y <= upper))
        assert found[f"width_{level}"] == pytest.approx((upper - lower).mean(), rel=1e-9)
    train = scores["models"]["bnn"]["train"]["nll"]["value"]
    log_likelihood = idata["log_likelihood"]["y"].values
    assert train == pytest.approx(-mixture_log_density(log_likelihood).mean(), rel=1e-9)


def test_one_distribution_has_one_set_of_scores_whichever_model_predicts_it(tmp_path):
    """All draws are equal, and all references predict what the draws predict: classes."""
    dataset = make_dataset("classification", n_train=30, n_test=20)
    theta = np.repeat(independent_theta(dataset, n_chains=1, n_draws=1), 20, axis=1)
    idata = posterior_of(tmp_path, dataset, theta)
    own = {"train": idata["posterior_predictive"], "test": idata["predictions"]}
    first = {split: group["probability"].values[0, 0].astype(float) for split, group in own.items()}
    probability = {f"{split}_probability": values for split, values in first.items()}
    scores, _ = evaluate(idata, dataset, references(probability))
    for split in ("train", "test"):
        for name, entry in scores["models"]["bnn"][split].items():
            assert entry["mcse"] == pytest.approx(0, abs=1e-9)
            for model in MODELS[1:]:
                assert scores["models"][model][split][name]["value"] == pytest.approx(
                    entry["value"], rel=1e-9
                ), name
    for reports in scores["classification_report"].values():
        assert reports["bnn"] == reports["baseline"] == reports["linear"]
    sizes = {
        split: sum(row["support"] for row in reports["bnn"])
        for split, reports in scores["classification_report"].items()
    }
    assert sizes == {"train": len(dataset.y_train), "test": len(dataset.y_test)}


def test_one_normal_distribution_has_one_set_of_scores_whichever_model_predicts_it(tmp_path):
    """The same for a regression; intervals and CRPS of the posterior come from draws: equal up to their error."""
    dataset = make_dataset("regression", n_train=40, n_test=30)
    theta = np.repeat(independent_theta(dataset, n_chains=1, n_draws=1), 8000, axis=1)
    idata = posterior_of(tmp_path, dataset, theta)
    own = {"train": idata["posterior_predictive"], "test": idata["predictions"]}
    means = {f"{split}_mean": group["mean"].values[0, 0].astype(float) for split, group in own.items()}
    noise = 5 * np.exp(theta[0, 0, -1])
    scores, _ = evaluate(idata, dataset, references(means | {"noise_scale": noise}))
    for split in ("train", "test"):
        bnn = scores["models"]["bnn"][split]
        for model in MODELS[1:]:
            for name, entry in scores["models"][model][split].items():
                if model == "boosting" and name in OF_DENSITY:
                    assert math.isnan(entry["value"])
                elif name in ("rmse", "mae", "r2", "nll", "nll_gaussian"):
                    assert bnn[name]["value"] == pytest.approx(entry["value"], rel=1e-6), name
                elif name.startswith("coverage"):
                    # An end that moves by its error can cross one observation or two.
                    assert bnn[name]["value"] == pytest.approx(entry["value"], abs=0.051), name
                else:
                    assert bnn[name]["value"] == pytest.approx(entry["value"], rel=0.02), name


@pytest.mark.parametrize("family", ["student_t", "heteroscedastic"])
def test_scores_of_other_noise_are_by_their_own_density_and_variance(tmp_path, family):
    dataset = make_dataset("regression")
    likelihood = replace(LIKELIHOOD, family=family)
    layout = layout_of(dataset, likelihood)
    theta = independent_theta(dataset, n_chains=2, n_draws=40, layout=layout)
    idata = posterior_of(tmp_path, dataset, theta, likelihood)
    scores, table = evaluate(idata, dataset, any_references(dataset))
    y, means = 20 + 5 * dataset.y_test, idata["predictions"]["mean"].values.astype(float)
    if family == "student_t":
        scale = 5 * np.exp(theta[..., -1:])
        density, variance = stats.t(4, means, scale).pdf(y), np.broadcast_to(2 * scale**2, means.shape)
    else:
        scale = idata["predictions"]["noise_sd"].values.astype(float)
        density, variance = stats.norm(means, scale).pdf(y), scale**2
        assert np.ptp(table["bnn_sd_aleatoric"]) > 0.1
    assert np.allclose(table["bnn_sd_aleatoric"] ** 2, variance.mean(axis=(0, 1)), rtol=1e-6)
    found = scores["models"]["bnn"]["test"]
    assert found["nll"]["value"] == pytest.approx(-np.log(density.mean(axis=(0, 1))).mean(), rel=1e-6)
    sd = np.sqrt(variance.mean(axis=(0, 1)) + means.var(axis=(0, 1)))
    assert np.allclose(table["bnn_sd"], sd, rtol=1e-6)
    expected = -stats.norm(means.mean(axis=(0, 1)), sd).logpdf(y).mean()
    assert found["nll_gaussian"]["value"] == pytest.approx(expected, rel=1e-6)
    assert scores["uncertainty"]["test"]["aleatoric"] == pytest.approx(variance.mean(), rel=1e-6)


def test_variance_of_a_target_far_from_zero_keeps_its_digits(tmp_path):
    near, far = (make_dataset("regression", target_mean=mean) for mean in (20.0, 1.7e9))
    theta = independent_theta(near, n_chains=2, n_draws=30)
    values = []
    for index, dataset in enumerate((near, far)):
        folder = tmp_path / str(index)
        folder.mkdir()
        idata = posterior_of(folder, dataset, theta)
        scores, _ = evaluate(idata, dataset, any_references(dataset))
        values.append(scores["models"]["bnn"]["test"]["nll_gaussian"]["value"])
    assert values[1] == pytest.approx(values[0], rel=1e-5)


# --- Monte Carlo errors-


def test_blocks_are_runs_of_one_chain():
    assert scoring.jackknife_blocks(2, 10).tolist() == [
        [0, 0, 1, 1, 2, 2, 3, 3, 4, 4],
        [5, 5, 6, 6, 7, 7, 8, 8, 9, 9],
    ]
    assert scoring.jackknife_blocks(1, 3).tolist() == [[0, 1, 2]]
    sizes = np.bincount(scoring.jackknife_blocks(3, 23).ravel())
    assert len(sizes) == 15
    assert set(sizes) == {4, 5}


def test_jackknife_of_a_mean_is_its_standard_error():
    """With blocks of one draw the jackknife of a mean is s / sqrt(n), exactly."""
    values = np.random.default_rng(1).standard_normal(30)
    left_out = (values.sum() - values) / 29
    assert scoring.jackknife_mcse(left_out) == pytest.approx(values.std(ddof=1) / math.sqrt(30), rel=1e-12)
    assert scoring.jackknife_mcse(left_out[:1]) is None
    assert scoring.jackknife_mcse(np.full(7, 0.1)) == 0
    assert np.isnan(scoring.jackknife_mcse(np.array([1.0, np.inf, 2.0])) or 0.0)


def test_leaving_blocks_out_is_what_it_says(tmp_path):
    """The scores with a block left out, computed anew from the draws that remain."""
    dataset = make_dataset("regression")
    idata = posterior_of(tmp_path, dataset, independent_theta(dataset, n_chains=2, n_draws=23))
    group = idata["predictions"]
    blocks = scoring.jackknife_blocks(2, 23)
    y = forecasts.observed(dataset, "test")
    rebuilt = []
    for block in range(10):
        kept = blocks != block
        mean, drawn, density = (group[name].values[kept][None] for name in ("mean", "y", "log_density_y"))
        lower, upper = central_intervals(drawn, (0.95,))
        noise = group["noise_sd"].values[kept]
        sd = np.sqrt(mean[0].astype(float).var(axis=0) + np.mean(noise**2))
        rebuilt.append(
            {
                "nll_gaussian": metrics.gaussian_nll(mean[0].mean(axis=0, dtype=float), sd, y),
                "rmse": metrics.rmse(mean[0].mean(axis=0, dtype=float), y),
                "nll": -mixture_log_density(density).mean(),
                "crps": metrics.sample_crps(drawn[0].astype(float), y),
                "width_95": metrics.mean_width(lower[0], upper[0]),
            }
        )
    scores, _ = evaluate(idata, dataset, any_references(dataset))
    for name in rebuilt[0]:
        expected = scoring.jackknife_mcse(np.array([item[name] for item in rebuilt]))
        assert scores["models"]["bnn"]["test"][name]["mcse"] == pytest.approx(expected, rel=1e-6), name


@pytest.mark.slow
@pytest.mark.parametrize("persistence", [0.0, 0.8] if FULL else [0.8])
def test_errors_are_as_large_as_the_scatter_between_runs(persistence):
    """Scores of 200 posteriors with other draws, independent or autocorrelated, scatter by their Monte Carlo error.

    The variance of 200 scores has a relative standard error of sqrt(2/199) = 10 %, the mean of their squared errors
    (19 degrees of freedom each) one of sqrt(2/19/200) = 2 %. The ratio may be off by 40 %, so over seeds a right
    jackknife would fail here once in 10,000 times for each of 9 scores. Quantiles far out jump from draw to draw,
    which with few draws the jackknife overstates: widths of intervals may claim up to twice the variance.
    """
    n_runs, n_chains, n_draws, n_obs = 200, 4, 400, 12
    rng = np.random.default_rng(11)
    y_class, y = rng.integers(0, 3, size=n_obs), rng.standard_normal(n_obs)
    centre = rng.standard_normal((n_obs, 3))

    def draws():
        noise = rng.standard_normal((n_chains, n_draws, n_obs, 3))
        for draw in range(1, n_draws):
            noise[:, draw] = persistence * noise[:, draw - 1] + math.sqrt(1 - persistence**2) * noise[:, draw]
        return centre + noise

    runs = []
    for _ in range(n_runs):
        logits = draws()
        probability = np.exp(logits) / np.exp(logits).sum(axis=-1, keepdims=True)
        mean = logits[..., 0]
        noise_draws = rng.standard_normal(mean.shape)
        arrays = {"mean": mean, "y": mean + noise_draws, "probability": probability}
        arrays["noise_sd"] = np.ones(mean.shape[:2])
        arrays["log_density_y"] = stats.norm.logpdf(y, mean, 1.0)
        idata: Any = {"predictions": arrays}
        found = scoring.posterior_target_scores(idata, "test", y)
        classes = scoring.posterior_class_scores(idata, "test", y_class, positive=1)
        kept = {
            name: found[name]
            for name in ("rmse", "mae", "nll", "nll_gaussian", "crps", "width_50", "width_95")
        }
        runs.append(kept | {f"class {name}": classes[name] for name in ("nll", "brier")})
    for name in runs[0]:
        scatter = np.var([run[name]["value"] for run in runs], ddof=1)
        claimed = np.mean([run[name]["mcse"] ** 2 for run in runs])
        assert 0.6 < claimed / scatter < (2.0 if name.startswith("width") else 1.4), (name, claimed / scatter)


def test_one_draw_has_no_monte_carlo_error(tmp_path):
    dataset = make_dataset("classification")
    idata = posterior_of(tmp_path, dataset, independent_theta(dataset, n_chains=1, n_draws=1))
    scores, _ = evaluate(idata, dataset, any_references(dataset))
    assert scores["models"]["bnn"]["test"]["nll"]["mcse"] is None


def test_rows_in_parts_change_nothing(plain, monkeypatch):
    dataset = make_dataset("regression")
    baseline = any_references(dataset)
    whole, _ = evaluate(plain, dataset, baseline)
    monkeypatch.setattr(scoring, "_ROWS_AT_ONCE", 2)
    parts, _ = evaluate(plain, dataset, baseline)
    for name, entry in whole["models"]["bnn"]["train"].items():
        for part in ("value", "mcse"):
            assert parts["models"]["bnn"]["train"][name][part] == pytest.approx(entry[part], rel=1e-9), name


def test_densities_far_out_do_not_underflow_and_impossible_ones_show(tmp_path):
    dataset = make_dataset("regression")
    posterior_of(tmp_path, dataset, independent_theta(dataset, n_chains=2, n_draws=10))
    idata = open_posterior(tmp_path / "posterior.nc")  # whose arrays can be written to
    idata["predictions"]["log_density_y"] -= 5000
    far, _ = evaluate(idata, dataset, any_references(dataset))
    assert 5000 < far["models"]["bnn"]["test"]["nll"]["value"] < 5100
    idata["predictions"]["log_density_y"][..., 2] = -np.inf
    none, _ = evaluate(idata, dataset, any_references(dataset))
    assert none["models"]["bnn"]["test"]["nll"]["value"] == math.inf
    assert math.isnan(none["models"]["bnn"]["test"]["nll"]["mcse"])


def test_other_rows_are_refused(plain):
    dataset = make_dataset("regression")
    baseline = any_references(dataset)
    short = baseline | {"linear_test_mean": baseline["linear_test_mean"][:-1]}
    with refused("other-rows", kind=ResultError, value="linear"):
        evaluate(plain, dataset, short)
    other = make_dataset("regression", n_train=9, n_test=5)
    with refused("other-rows", kind=ResultError, value="bnn"):
        evaluate(plain, other, any_references(other))
