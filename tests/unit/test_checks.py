"""Model checks: p-values that notice, reweighting against exact answers, AUROC against scikit-learn."""

import dataclasses
import json
import math
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import roc_auc_score

from bnn.baselines.reference import fit_references
from bnn.checks import out_of_distribution, statistics
from bnn.checks.assemble import MAX_SHARE_ABOVE, check, flags, save
from bnn.checks.sensitivity import prior_sensitivity
from bnn.core.errors import ResultError
from bnn.core.settings import BaselineSettings, BlockPriorSettings, ModelSettings, PriorSettings
from bnn.core.storage import read_json, read_netcdf
from bnn.model.network import Network
from bnn.model.posterior import make_network, make_prior
from bnn.posterior.predictor import make_predictor
from tests.refusals import refused
from tests.result_keys import undescribed
from tests.unit.synthetic_chains import (
    LIKELIHOOD,
    NETWORK,
    combined,
    independent_theta,
    layout_of,
    make_dataset,
    write_chains,
)

SIDE = BlockPriorSettings("normal", 1.0, 4.0)
PRIOR = PriorSettings(SIDE, SIDE, fan_in_scaling=False, learned_scales="none")
SETTINGS = ModelSettings(NETWORK, PRIOR, LIKELIHOOD)
TRAINING = BaselineSettings(
    learning_rate=0.02,
    weight_decay=1e-4,
    batch_size=16,
    max_epochs=30,
    patience=30,
    validation_size=0.25,
    class_weight="none",
)


# --- The whole


@pytest.mark.parametrize("task", ["classification", "regression"])
def test_what_is_in_the_files(tmp_path, task):
    dataset = make_dataset(task, n_train=30, n_test=12)
    paths = write_chains(tmp_path, independent_theta(dataset, n_chains=2, n_draws=60), layout_of(dataset))
    idata = combined(dataset, paths)
    variables, _ = fit_references(
        dataset,
        make_network(NETWORK, dataset.x_train, n_outputs=dataset.n_outputs),
        TRAINING,
        seed=1,
        n_members=2,
    )
    references = {name: values for name, (_, values) in variables.items()}
    summary, arrays = check(idata, dataset, references, SETTINGS, seed=3, prior_factors=(0.5, 0.95))
    save(summary, arrays, json_path=tmp_path / "checks.json", netcdf_path=tmp_path / "checks.nc")
    found, stored = read_json(tmp_path / "checks.json"), read_netcdf(tmp_path / "checks.nc")[0]
    assert undescribed(found, "checks.json") == []
    assert [flag["name"] for flag in found["flags"]] == ["posterior_predictive_off", "loo_unreliable"]
    assert found["loo"]["k_threshold"] == pytest.approx(1 - 1 / math.log10(120)), "of 120 draws"
    assert found["sensitivity"]["k_threshold"] == found["loo"]["k_threshold"]
    assert found["loo"]["n_above"] == (stored["loo_k"] > found["loo"]["k_threshold"]).sum()
    assert found["loo"]["n_rows"] == 30 and len(found["loo"]["worst"]) == 10
    assert {item["row"] for item in found["loo"]["worst"]} <= set(dataset.row_train.tolist())
    density = idata["predictions"]["log_density_y"].values
    held_out = np.log(np.exp(density).mean(axis=(0, 1)))
    assert found["loo"]["nll_test"] == pytest.approx(-held_out.mean())
    assert found["loo"]["nll_test_se"] == pytest.approx(held_out.std(ddof=1) / math.sqrt(12))
    assert stored["loo_k"].max() == pytest.approx(found["loo"]["k_max"])
    for kind in ("posterior", "prior"):
        for index, entry in enumerate(found[f"{kind}_predictive"]):
            assert stored[f"{kind}_{index}"].mean() == pytest.approx(entry["mean"], abs=1e-9)
    assert [entry["factor"] for entry in found["sensitivity"]["factors"]] == [0.5, 0.95, 1.0]
    assert found["hole"] is None
    if task == "regression":
        named = [entry for entry in found["posterior_predictive"] if "row" in entry]
        assert [entry["name"] for entry in named] == ["largest residual"]
        group = idata["posterior_predictive"]
        mean, noise = group["mean"].values, group["noise_sd"].values
        residual = (
            np.abs(dataset.target_mean + dataset.target_scale * dataset.y_train - mean) / noise[..., None]
        )
        assert named[0]["row"] == dataset.row_train[residual.mean(axis=(0, 1)).argmax()]
    again, _ = check(idata, dataset, references, SETTINGS, seed=3, prior_factors=(0.5, 0.95))
    assert json.dumps(again) == json.dumps(summary), "the same seed gives the same checks"


# --- Predictive checks


def regression_idata(rng, n=80, n_draws=200, *, outlier=0.0, grows=False):
    """Return draws of the right mean and noise 1, and data that this model makes, or not quite."""
    mean = rng.normal(0, 2, size=n)
    noise = np.exp(0.5 * mean) if grows else np.ones(n)
    y = mean + noise * rng.standard_normal(n)
    y[3] += outlier
    scale = math.sqrt(np.mean((y - mean) ** 2))
    means = mean + 0.1 * rng.standard_normal((2, n_draws, n))
    arrays = {"mean": means, "noise_sd": np.full((2, n_draws), scale)}
    arrays["y"] = means + scale * rng.standard_normal(means.shape)
    group = dict(arrays)
    dataset = SimpleNamespace(task="regression", y_train=y, target_mean=0.0, target_scale=1.0)
    return {"posterior_predictive": group}, dataset


def p_values(idata, dataset):
    checks = [statistics.summarise(item) for item in statistics.posterior_checks(idata, dataset)]
    assert all(item["lower"] <= item["mean"] <= item["upper"] for item in checks)
    return {item["name"]: item["p_value"] for item in checks}


def test_checks_find_outliers_and_growing_noise_and_are_content_otherwise():
    rng = np.random.default_rng(5)
    good = p_values(*regression_idata(rng))
    assert all(0.01 < value < 0.99 for value in good.values()), good
    # The residual of the outlier is the largest by far, on the right side: few replicates are as extreme.
    bad = p_values(*regression_idata(rng, outlier=12.0))
    assert bad["largest residual"] < 0.01 and bad["skewness of residuals"] < 0.01
    outlying = statistics.posterior_checks(*regression_idata(rng, outlier=12.0))
    of_rows = {item.name: item.of_rows for item in outlying}
    largest = of_rows["largest residual"]
    assert largest is not None and largest.argmax() == 3 and largest.shape == (80,)
    assert of_rows["mean"] is None
    assert p_values(*regression_idata(rng, grows=True))["spread along the mean"] < 0.01


def class_idata(rng, sharpened, n=120, n_draws=100):
    truth = rng.dirichlet([0.4, 0.4, 0.4], size=n)
    y = (rng.random(n)[:, None] > np.cumsum(truth, axis=1)).sum(axis=1).clip(0, 2)
    claimed = truth**sharpened
    claimed /= claimed.sum(axis=1, keepdims=True)
    probability = np.broadcast_to(claimed, (2, n_draws, n, 3))
    drawn = (rng.random((2, n_draws, n))[..., None] > np.cumsum(probability, axis=-1)).sum(axis=-1).clip(0, 2)
    group = {"y": drawn, "probability": probability}
    dataset = SimpleNamespace(task="classification", y_train=y, class_names=("a", "b", "c"))
    return {"posterior_predictive": group}, dataset


def test_checks_find_probabilities_that_are_too_timid_or_too_bold():
    rng = np.random.default_rng(6)
    good = p_values(*class_idata(rng, 1.0))
    assert list(good) == ["rows of a", "rows of b", "rows of c", "right predictions", "log likelihood"]
    assert all(0.01 < value < 0.99 for value in good.values()), good
    # Timid: classes come as the model expects more often than it dares to say.
    assert p_values(*class_idata(rng, 0.3))["log likelihood"] < 0.01
    assert p_values(*class_idata(rng, 3.0))["log likelihood"] > 0.99


def test_summary_of_a_check():
    drawn = np.random.default_rng(0).standard_normal((4, 500))
    entry = statistics.summarise(statistics.Check("t", "text", drawn, 1.0))
    share = (drawn >= 1.0).mean()
    assert entry["p_value"] == pytest.approx(share)
    assert entry["mcse"] == pytest.approx(math.sqrt(share * (1 - share) / 2000), rel=0.5)
    assert [entry["lower"], entry["upper"]] == pytest.approx([-1.645, 1.645], abs=0.15)
    same = statistics.summarise(statistics.Check("t", "text", np.ones((2, 50)), 1.0))
    assert same["p_value"] == 0.5, "ties count half"
    assert same["observed_lower"] is same["observed_upper"] is None, "one number was observed"
    of_draws = np.sort(np.random.default_rng(1).standard_normal((4, 500)).ravel()).reshape(4, 500)
    found = statistics.summarise(statistics.Check("t", "text", drawn, of_draws))
    assert [found["observed_lower"], found["observed_upper"]] == [
        of_draws.ravel()[99],
        of_draws.ravel()[1899],
    ]
    none = statistics.summarise(statistics.Check("t", "text", drawn, None))
    assert none["observed"] is none["p_value"] is none["mcse"] is None


def test_prior_checks_of_a_linear_network_are_those_of_its_prior():
    """f = w x + b: the spread over rows is |w| sd(x), whose mean is scale sqrt(2/pi) sd(x)."""
    dataset = make_dataset("regression", n_train=50)
    dataset = dataclasses.replace(
        dataset,
        x_train=dataset.x_train[:, :1],
        x_test=dataset.x_test[:, :1],
        feature_names=("length",),
        columns=None,
        feature_mean=dataset.feature_mean[:1],
        feature_scale=dataset.feature_scale[:1],
    )
    predictor = make_predictor(dataset, network=replace(NETWORK, hidden=()), likelihood=LIKELIHOOD)
    wide = replace(PRIOR, weights=replace(SIDE, scale=3.0))
    prior = make_prior(predictor.network, predictor.likelihood, wide)
    spread, mean, *_ = statistics.prior_checks(prior, predictor, dataset, np.random.default_rng(0))
    expected = 3.0 * math.sqrt(2 / math.pi) * dataset.target_scale * dataset.x_train.std()
    assert spread.replicated.mean() == pytest.approx(expected, rel=0.1)
    assert spread.observed == pytest.approx((dataset.target_scale * dataset.y_train).std())
    assert mean.name == "mean" and mean.replicated.shape == (1000,)
    entry = statistics.summarise(mean)
    assert entry["mcse"] == pytest.approx(
        math.sqrt(entry["p_value"] * (1 - entry["p_value"]) / 1000), rel=0.01
    )


def test_a_wider_prior_is_surer_of_classes():
    dataset = make_dataset("classification", n_train=40)
    predictor = make_predictor(dataset, network=NETWORK, likelihood=LIKELIHOOD)
    confidence = []
    for scale in (0.3, 3.0):
        own = replace(PRIOR, weights=replace(SIDE, scale=scale))
        prior = make_prior(predictor.network, predictor.likelihood, own)
        checks = statistics.prior_checks(prior, predictor, dataset, np.random.default_rng(0))
        assert [item.name for item in checks] == [
            "mean confidence",
            "share of sure rows",
            "share of the largest class",
        ]
        confidence.append(checks[0].replicated.mean())
    assert 1 / 3 < confidence[0] < 0.65 < 0.75 < confidence[1]


# --- What must not be overlooked


def test_extreme_p_values_and_a_large_share_of_bad_k_are_raised():
    def raised(p_values, n_above, is_class=False):
        about = {"observed": 346.0, "mean": 920.4}
        checks = [about | {"name": f"statistic {i}", "p_value": p} for i, p in enumerate(p_values)]
        found = flags(
            {"n_above": n_above, "n_rows": 142, "k_threshold": 0.697}, checks, first_row=2, is_class=is_class
        )
        return {flag["name"]: flag["text"] for flag in found if flag["raised"]}

    assert raised([0.3, None, 0.02, 0.98], 14) == {}
    found = raised([0.3, 0.0, 0.995], 123)
    assert list(found) == ["posterior_predictive_off", "loo_unreliable"]
    off = found["posterior_predictive_off"]
    assert "statistic 1 346, the model's 920 on average, statistic 2 346" in off and "statistic 0" not in off
    assert "try" not in off and "likelihood.family" in off
    assert "likelihood.family" not in raised([0.0], 0, is_class=True)["posterior_predictive_off"]
    assert "for 123 of the 142 training rows" in found["loo_unreliable"]
    assert "(Pareto k above 0.70;" in found["loo_unreliable"]
    assert list(raised([], 15)) == ["loo_unreliable"]
    few = flags({"n_above": 1, "n_rows": 142, "k_threshold": 0.7}, [], first_row=2, is_class=False)[1]
    assert few["text"] == (
        "The leave-one-out score (elpd_loo) is unreliable for 1 of the 142 training rows (Pareto k above 0.70; limit "
        f"{100 * MAX_SHARE_ABOVE:g} % of rows)."
    )
    of_row = {"name": "largest residual", "p_value": 0.0, "row": 57, "id": "site 9"}
    of_row |= {"observed": 7.25, "mean": 2.5}
    text = flags({"n_above": 0, "n_rows": 9, "k_threshold": 0.7}, [of_row], first_row=2, is_class=False)[0][
        "text"
    ]
    assert "largest residual 7.25, the model's 2.50 on average (row 57 (site 9), the header is row 1)" in text


def test_of_counts_and_amounts_the_share_of_zeros_is_looked_at():
    replicated = np.tile([[0.0, 2.0, 1.0], [0.0, 0.0, 5.0]], 5)
    y = np.tile([0.0, 3.0, 1.0], 5)
    found = {check.name: check for check in statistics._target_statistics(y, replicated)}
    assert "smallest" not in found
    assert found["zeros"].observed == pytest.approx(1 / 3)
    assert found["zeros"].replicated.tolist() == pytest.approx([1 / 3, 2 / 3])
    # Values of a range that begins at 0 have one zero, which no continuous family makes again.
    for other in (np.where(y == 0, -1.0, y), np.linspace(0, 1, 15)):
        names = [check.name for check in statistics._target_statistics(other, replicated)]
        assert "smallest" in names and "zeros" not in names


# --- Sensitivity to the prior


NOISE = 0.5
KNOWN_NOISE = replace(LIKELIHOOD, noise=NOISE)
LINEAR = replace(NETWORK, hidden=())


def exact_posterior(dataset, factor):
    """Return mean and covariance of (w1, w2, b) of the linear network under the prior of that scale."""
    x = np.column_stack([dataset.x_train, np.ones(len(dataset.x_train))])
    covariance = np.linalg.inv(x.T @ x / NOISE**2 + np.eye(3) / factor**2)
    return covariance @ x.T @ dataset.y_train / NOISE**2, covariance


def exact_scores(dataset, factor):
    """Return the NLL in original units and the RMSE of the test rows."""
    mean, covariance = exact_posterior(dataset, factor)
    x = np.column_stack([dataset.x_test, np.ones(len(dataset.x_test))])
    sd = np.sqrt(np.einsum("ni,ij,nj->n", x, covariance, x) + NOISE**2)
    log_density = stats.norm.logpdf(dataset.y_test, x @ mean, sd) - math.log(dataset.target_scale)
    return -log_density.mean(), dataset.target_scale * math.sqrt(np.mean((x @ mean - dataset.y_test) ** 2))


def exact_draws(dataset, factor, n_draws, seed):
    rng = np.random.default_rng(seed)
    mean, covariance = exact_posterior(dataset, factor)
    return rng.multivariate_normal(mean, covariance, size=(4, n_draws))


@pytest.fixture(scope="module")
def linear_run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("linear")
    dataset = make_dataset("regression", n_train=6, n_test=20)
    predictor = make_predictor(dataset, network=LINEAR, likelihood=KNOWN_NOISE)
    paths = write_chains(folder, exact_draws(dataset, 1.0, 4000, 0), predictor.layout)
    idata = combined(dataset, paths, network=LINEAR, likelihood=KNOWN_NOISE)
    return dataset, idata, predictor


def test_reweighted_scores_are_the_exact_ones_of_a_conjugate_model(linear_run):
    dataset, idata, predictor = linear_run
    found = prior_sensitivity(idata, dataset, predictor, prior=PRIOR, factors=(0.8, 1.25))
    entries = {entry["factor"]: entry for entry in found["factors"]}
    methods = {factor: entry["method"] for factor, entry in entries.items()}
    assert methods == {0.8: "reweighted", 1.0: "as run", 1.25: "reweighted"}
    exact = {factor: exact_scores(dataset, factor) for factor in entries}
    assert exact[0.8][0] - exact[1.25][0] > 0.01 or exact[1.25][0] - exact[0.8][0] > 0.01, (
        "the prior hardly matters: the test shows nothing"
    )
    for factor, entry in entries.items():
        for name, value in zip(("nll", "headline"), exact[factor], strict=True):
            # Four Monte Carlo errors, which the jackknife knows to a sixth; float32 predictions cost the rest.
            assert abs(entry[name] - value) < 4 * entry[f"{name}_mcse"] + 1e-4, (factor, name)
    assert entries[0.8]["ess"] < entries[1.0]["ess"] == 16_000
    step = 0.01
    for index, name in enumerate(("nll", "headline")):
        up, down = (exact_scores(dataset, math.exp(sign * step))[index] for sign in (1, -1))
        slope = (up - down) / (2 * step)
        assert abs(found[f"slope_{name}"] - slope) < 4 * found[f"slope_{name}_mcse"] + 1e-3, name


def test_a_prior_far_away_needs_a_rerun_and_has_no_scores(linear_run):
    dataset, idata, predictor = linear_run
    found = prior_sensitivity(idata, dataset, predictor, prior=PRIOR, factors=(0.05,))
    entry = found["factors"][0]
    assert (entry["factor"], entry["method"]) == (0.05, "needs a rerun")
    assert entry["pareto_k"] > 0.7 and entry["nll"] is entry["ess"] is entry["headline"] is None


def test_draws_of_another_prior_are_refused(linear_run):
    dataset, idata, predictor = linear_run
    learned = replace(PRIOR, learned_scales="layer")
    with refused("other-parameters", kind=ResultError):
        prior_sensitivity(idata, dataset, predictor, prior=learned, factors=(2.0,))


# --- Inputs unlike the training rows


def test_auroc_is_that_of_scikit_learn_and_its_error_that_of_the_formula():
    rng = np.random.default_rng(7)
    inside, outside = np.round(rng.normal(0, 1, 150), 1), np.round(rng.normal(0.7, 1, 200), 1)
    weights = [np.concatenate(list(out_of_distribution.row_weights(n, 2000, rng))) for n in (150, 200)]
    value, drawn = out_of_distribution.told_apart(inside, outside, *weights)
    label, score = np.repeat([0, 1], [150, 200]), np.concatenate([inside, outside])
    assert value == pytest.approx(roc_auc_score(label, score))
    counts = [np.round(w[3] * w.shape[1]).astype(int) for w in weights]
    again = np.repeat(label, np.concatenate(counts)), np.repeat(score, np.concatenate(counts))
    assert drawn[3] == pytest.approx(roc_auc_score(*again)), "a replicate is the AUROC of the rows it drew"
    # DeLong, DeLong & Clarke-Pearson (1988).
    wins = 0.5 * (outside > inside[:, None]) + 0.5 * (outside >= inside[:, None])
    error = math.sqrt(wins.mean(axis=1).var(ddof=1) / 150 + wins.mean(axis=0).var(ddof=1) / 200)
    assert drawn.std() == pytest.approx(error, rel=0.1)


@pytest.mark.parametrize(("shift", "expected"), [(0.0, 0.5), (3.0, 1.0), (-3.0, 0.0)])
def test_an_auroc_that_no_row_changes_has_no_spread(shift, expected):
    rng = np.random.default_rng(8)
    weights = [np.concatenate(list(out_of_distribution.row_weights(n, 500, rng))) for n in (130, 170)]
    value, drawn = out_of_distribution.told_apart(np.ones(130), np.ones(170) + shift, *weights)
    assert value == expected and np.ptp(drawn) == 0


def test_inputs_are_as_far_out_as_they_say():
    dataset = make_dataset("regression", n_train=40, n_test=25)
    inside, noised, shifted, uniform = out_of_distribution.make_inputs(dataset, np.random.default_rng(0))
    assert np.array_equal(inside.x, dataset.x_test)
    copies = np.tile(dataset.x_test, (8, 1))
    assert noised.x.shape == uniform.x.shape == copies.shape == (200, 2)
    assert (noised.x - copies).std() == pytest.approx(out_of_distribution.NOISE_SD, rel=0.15)
    assert noised.row is not None and np.array_equal(dataset.x_test[noised.row], copies)
    assert shifted.row is not None and shifted.y is not None
    moved = (shifted.x - dataset.x_test[shifted.row]).reshape(out_of_distribution.N_DIRECTIONS, 10, 2)
    assert np.allclose(np.abs(moved), out_of_distribution.SHIFT)
    assert np.allclose(moved, moved[:, :1]), "the rows of a direction alike"
    assert len(np.unique(np.sign(moved[:, 0]), axis=0)) == 4, "every direction there is"
    assert np.array_equal(dataset.y_test[shifted.row], shifted.y)
    assert all(len(set(rows)) == 10 for rows in shifted.row.reshape(-1, 10).tolist())
    low, high = dataset.x_train.min(axis=0), dataset.x_train.max(axis=0)
    width = high - low
    assert ((uniform.x >= low - width) & (uniform.x <= high + width)).all()
    assert ((uniform.x < low) | (uniform.x > high)).any(axis=1).mean() > 0.7
    assert uniform.y is None and noised.y is not None and len(noised.y) == 200
    many = make_dataset("regression", n_train=20, n_test=500)
    assert [len(kind.x) for kind in out_of_distribution.make_inputs(many, np.random.default_rng(0))] == [
        out_of_distribution.MAX_ROWS
    ] * 4


def test_the_error_of_shifted_inputs_holds_other_directions_and_other_rows():
    """A score that grows with one feature is 1 or 0 by direction: seeds differ by that far more than by rows."""
    found, errors = [], []
    for seed in range(60):
        rng = np.random.default_rng(seed)
        dataset = make_dataset("regression", n_train=20, n_test=200)
        dataset = dataclasses.replace(dataset, x_test=rng.standard_normal((200, 2)))
        inside, _, shifted, _ = out_of_distribution.make_inputs(dataset, rng)
        weights = np.concatenate(list(out_of_distribution.row_weights(200, 200, rng)))
        outside = out_of_distribution.input_weights(shifted, weights, rng)
        assert np.allclose(outside.sum(axis=1), 1)
        value, drawn = out_of_distribution.told_apart(inside.x[:, 0], shifted.x[:, 0], weights, outside)
        found.append(value)
        errors.append(drawn.std(ddof=1))
    # Both directions of the feature are as likely: the standard error is that of a share of 40 coins.
    assert np.mean(errors) == pytest.approx(np.std(found, ddof=1), rel=0.35)
    assert np.mean(errors) == pytest.approx(0.5 / math.sqrt(out_of_distribution.N_DIRECTIONS), rel=0.35)


@pytest.fixture(scope="module")
def toy_networks():
    """Return a one-feature table, linear draws of the network that disagree away from 0, and three trained networks."""
    rng = np.random.default_rng(8)
    dataset = make_dataset("regression", n_train=60, n_test=30)
    x = rng.choice([-1, 1], size=90) * rng.uniform(1, 2, size=90)
    dataset = dataclasses.replace(
        dataset,
        x_train=x[:60, None],
        x_test=x[60:, None],
        y_train=x[:60],
        y_test=x[60:],
        feature_names=("length",),
        columns=None,
        feature_mean=np.array([3.0]),
        feature_scale=np.array([2.0]),
    )
    predictor = make_predictor(dataset, network=LINEAR, likelihood=KNOWN_NOISE)
    theta = np.stack([1 + 0.5 * rng.standard_normal((2, 400)), np.zeros((2, 400))], axis=-1)
    network = Network((1, 1), activation="tanh", dtype="float64")
    references = {
        "theta": np.array([1.0, 0.0]),
        "ensemble_theta": np.array([[0.5, 0.0], [1.5, 0.0]]),
        "baseline_noise_scale": np.array(2.5),
        "ensemble_noise_scale": np.array([2.5, 2.5]),
    }
    return dataset, predictor, theta, network, references


def test_models_whose_draws_disagree_outside_know_it_and_one_of_constant_noise_does_not(toy_networks):
    dataset, predictor, theta, network, references = toy_networks
    summary, scores = out_of_distribution.out_of_distribution(
        dataset, predictor, theta, network, references, KNOWN_NOISE, np.random.default_rng(0)
    )
    assert summary["score"] == "predictive standard deviation"
    for kind in summary["kinds"]:
        models = kind["models"]
        assert models["baseline"]["auroc"] == 0.5 and models["baseline"]["se"] == 0
        assert models["bnn"]["auroc"] == models["ensemble"]["auroc"], "both grow with |x|, in the same order"
        label = np.repeat([0, 1], [30, len(scores["bnn"][kind["name"]])])
        score = np.concatenate([scores["bnn"]["test rows"], scores["bnn"][kind["name"]]])
        assert models["bnn"]["auroc"] == pytest.approx(roc_auc_score(label, score))
        gap = kind["differences"]["baseline"]
        assert gap["value"] == pytest.approx(models["bnn"]["auroc"] - 0.5)
        assert gap["lower"] <= gap["value"] <= gap["upper"] and gap["se"] > 0
        assert (models["bnn"]["nll"] is None) == (kind["name"] == "uniform")
    x = dataset.x_test[:, 0]
    expected = dataset.target_scale * np.sqrt(NOISE**2 + x**2 * theta[..., 0].var())
    assert np.allclose(scores["bnn"]["test rows"], expected)
    assert np.allclose(scores["ensemble"]["test rows"], np.sqrt(2.5**2 + (5 * 0.5 * x) ** 2))
    noised = {kind["name"]: kind["models"] for kind in summary["kinds"]}["noised"]
    assert noised["baseline"]["nll"] > noised["bnn"]["nll"], "wide intervals pay where the target is far off"


def test_hole_is_the_middle_of_the_widest_gap_in_original_units(toy_networks):
    dataset, predictor, theta, network, references = toy_networks
    found = out_of_distribution.hole(
        dataset, predictor, theta, network, references, KNOWN_NOISE, np.random.default_rng(0)
    )
    assert found is not None
    x = np.sort(dataset.x_train[:, 0])
    gap = int(np.argmax(np.diff(x)))
    quarter = (x[gap + 1] - x[gap]) / 4
    assert found["lower"] == pytest.approx(3 + 2 * (x[gap] + quarter))
    assert found["upper"] == pytest.approx(3 + 2 * (x[gap + 1] - quarter))
    models = found["models"]
    assert models["baseline"]["ratio"] == pytest.approx(1.0)
    assert models["baseline"]["width_data"] == pytest.approx(2 * 1.6449 * 2.5, rel=1e-3)
    # These draws agree near 0, inside the hole: the opposite of what a network should do there.
    assert models["bnn"]["ratio"] < 0.8 and models["ensemble"]["ratio"] < 1.0
    for task in ("classification", "regression"):
        assert (
            out_of_distribution.hole(
                make_dataset(task), predictor, theta, network, {}, KNOWN_NOISE, np.random.default_rng(0)
            )
            is None
        )
