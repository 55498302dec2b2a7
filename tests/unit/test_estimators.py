"""The estimators: the same draws as the workflow's, and at home in scikit-learn and pandas."""

import ast
import inspect
import json
import math
import os
import pickle
import re
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import PolynomialFeatures

from bnn import BNNClassifier, BNNRegressor
from bnn.config import loading as bnn_config
from bnn.core.errors import DataError, Fault
from bnn.core.plan import planned
from bnn.diagnostics.verdict import worst
from bnn.estimators.parameters import Names
from bnn.posterior.posterior_file import PosteriorFile
from scripts import choose, combine, diagnose, prepare, sample_chain
from tests.effort import FULL
from tests.refusals import refused

ROOT = Path(__file__).parents[2]

# After so short a warm-up steps are tiny, and trajectories of the usual length have a thousand of them.
SAMPLER = {"optimise_steps": 60, "optimise_learning_rate": 0.05, "trajectory_length": 0.2}
SETTINGS: dict[str, Any] = {
    "sampler": SAMPLER,
    "network": {"engine": "numpy"},
}
QUICK: dict[str, Any] = {"hidden": (3,), "chains": 2, "warmup": 20, "draws": 20, "random_state": 7} | {
    "settings": SETTINGS,
    "prior_scale": 1.0,
}
NORMAL = QUICK | {"likelihood": "gaussian"}
# Twenty draws do not converge, and the estimators say so.
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@pytest.fixture(scope="module")
def table() -> tuple[pd.DataFrame, pd.Series]:
    rng = np.random.default_rng(0)
    X = pd.DataFrame({"length": rng.normal(size=50), "width": rng.normal(5, 2, size=50)})
    return X, pd.Series(2 * X["length"] - X["width"] + 0.3 * rng.normal(size=50), name="price")


@pytest.fixture(scope="module")
def mixed(table: tuple[pd.DataFrame, pd.Series]) -> pd.DataFrame:
    rng = np.random.default_rng(1)
    return table[0].assign(
        colour=rng.choice(["red", "green", "blue"], 50),
        sold=rng.random(50) > 0.5,
        size=pd.Categorical(rng.choice(["S", "M"], 50)),
    )


@pytest.fixture(scope="module")
def regressor(table: tuple[pd.DataFrame, pd.Series]) -> BNNRegressor:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return BNNRegressor(**NORMAL).fit(*table)


@pytest.fixture(scope="module")
def classifier(table: tuple[pd.DataFrame, pd.Series]) -> BNNClassifier:
    X, y = table
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return BNNClassifier(**QUICK).fit(X, np.where(y > -5, "dear", "cheap"))


# R-hat and ESS of every row take half of the time of a fit, and scikit-learn asks for none of them.
_CHECKS = """
import json, sys, traceback, warnings
import numpy as np
from sklearn.utils.estimator_checks import estimator_checks_generator
import bnn
from bnn.posterior import arviz_versions

def name_of(check):
    return getattr(check, "func", check).__name__

warnings.simplefilter("ignore")
arviz_versions._figure = lambda name, draws, **_: np.ones(draws.shape[2])
parameters, left_out = json.loads(sys.argv[2]), set()
if sys.argv[3] == "own" and sys.argv[1] == "BNNRegressor":
    left_out = {name_of(check) for _, check in estimator_checks_generator(bnn.BNNClassifier())}
passed, failed = [], []
for estimator, check in estimator_checks_generator(getattr(bnn, sys.argv[1])(**parameters)):
    if name_of(check) in left_out:
        continue
    try:
        check(estimator)
    except Exception:  # that of a check which is skipped, too
        failed.append([name_of(check), traceback.format_exc()])
    else:
        passed.append(name_of(check))
print(json.dumps([passed, failed]))
"""


@pytest.mark.slow
@pytest.mark.parametrize(("name", "n_least"), [("BNNClassifier", 54), ("BNNRegressor", 51 if FULL else 5)])
def test_every_check_of_scikit_learn_passes(name: str, n_least: int) -> None:
    """None is skipped (one is, unless SciPy is told of the array API before it is imported), none expected to fail.

    Those that a classifier must pass as well run through code that both share: once, or twice in `make calibrate`.
    """
    parameters = {**(NORMAL if name == "BNNRegressor" else QUICK), "hidden": [4]}
    done = subprocess.run(
        [
            sys.executable,
            "-W",
            "ignore",
            "-c",
            _CHECKS,
            name,
            json.dumps(parameters),
            "all" if FULL else "own",
        ],
        cwd=ROOT,
        env={**os.environ, "SCIPY_ARRAY_API": "1"},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr
    passed, failed = json.loads(done.stdout)
    assert failed == []
    assert len(passed) >= n_least


def workflow(folder: Path, X: pd.DataFrame, y: Any, task: str, settings: dict[str, Any]) -> PosteriorFile:
    """Run the scripts of the workflow on a table as CSV, one job a chain, and return its posterior.nc."""
    table = X.assign(target=np.asarray(y))
    table.to_csv(folder / "train.csv", index=False)
    table.tail(5).to_csv(folder / "test.csv", index=False)
    source = {"kind": "csv", "path": str(folder / "train.csv"), "test": str(folder / "test.csv")}
    own = {"task": task, "source": source | {"target": "target"}, **settings}
    resolved = bnn_config.load({"datasets": {"toy": own}}).datasets["toy"].model_dump(mode="json")
    sections = {name: resolved[name] for name in ("task", "source", "split", "columns")}
    prepare.main(folder / "data.nc", "toy", sections)
    plan = folder / "plan.json"
    choose.main(folder / "data.nc", plan, bnn_config.chain_settings(resolved), None, "code")
    chosen = planned(bnn_config.chain_settings(resolved), [plan])
    chains = []
    for chain in range(resolved["sampler"]["chains"]):
        chains.append(folder / f"chain_{chain}.nc")
        state = folder / f"chain_{chain}.state"
        sample_chain.main(folder / "data.nc", chains[-1], [chain], chosen, state, 30.0, None)
    posterior = folder / "posterior.nc"
    combine.main(folder / "data.nc", chains, posterior, None, planned(resolved, [plan]), "both")
    diagnose.main(
        folder / "data.nc", posterior, folder / "diagnostics.json", folder / "d.nc", resolved["diagnostics"]
    )
    return PosteriorFile(posterior)


@pytest.mark.slow
@pytest.mark.parametrize("likelihood", ["gaussian", "heteroscedastic"])
def test_a_regressor_draws_what_the_workflow_draws(
    tmp_path: Path, mixed: pd.DataFrame, table: tuple[pd.DataFrame, pd.Series], likelihood: str
) -> None:
    """Bit for bit: weights, log densities, predictions of the training rows, and new observations."""
    sampler = {**SAMPLER, "chains": 3, "warmup": 20, "draws": 10}
    settings = {"seed": 7, "network": {"hidden": [3], "engine": "numpy"}, "sampler": sampler} | {
        "likelihood": {"family": likelihood},
        "prior": {"weights": {"scale": 1.0}},
    }
    stored = workflow(tmp_path, mixed, table[1], "regression", settings)
    model = BNNRegressor(**NORMAL | {"chains": 3, "draws": 10, "likelihood": likelihood}).fit(mixed, table[1])
    same(stored, model)
    own = json.loads((tmp_path / "diagnostics.json").read_text())
    assert model.diagnostics_["log_density"] == own["log_density"]
    # Rows of a frame are counted from 0, those of a file from its header.
    found, expected = (item["predictions"]["train"] for item in (model.diagnostics_, own))
    for name in ("worst_row", "worst_row_ess"):
        assert found[name] + 2 == expected[name]
    assert found == expected | {name: found[name] for name in ("worst_row", "worst_row_ess")}


@pytest.mark.slow
def test_a_classifier_draws_what_the_workflow_draws(tmp_path: Path) -> None:
    X, y = load_iris(return_X_y=True, as_frame=True)
    y = y.map({0: "setosa", 1: "versicolor", 2: "virginica"})
    prior = {"learned_scales": "ard"}
    sampler = {**SAMPLER, "chains": 2, "warmup": 20, "draws": 20}
    settings = {"seed": 7, "network": {"hidden": [3], "engine": "numpy"}, "sampler": sampler} | {
        "prior": {**prior, "weights": {"scale": 1.0}}
    }
    stored = workflow(tmp_path, X, y, "classification", settings)
    model = BNNClassifier(**{**QUICK, "settings": {**SETTINGS, "prior": prior}}).fit(X, y)
    same(stored, model)


def same(stored: PosteriorFile, model: Any) -> None:
    """Compare the groups of a posterior.nc and of an estimator that are about training rows."""
    idata = model.inference_data_
    groups = ("posterior", "sample_stats", "posterior_predictive", "log_likelihood")
    for group in groups:
        timed = {"seconds_optimise", "seconds_explore", "seconds_warmup", "seconds_draws"}
        names = set(idata[group].data_vars) - timed - {"n_gradients"}
        assert names
        for name in names:
            np.testing.assert_array_equal(idata[group][name].values, stored[group][name].values)


@pytest.mark.slow
def test_the_draws_do_not_depend_on_the_number_of_processes(
    table: tuple[pd.DataFrame, pd.Series], regressor: BNNRegressor
) -> None:
    for n_jobs in (2, -1):
        other = BNNRegressor(**NORMAL, n_jobs=n_jobs).fit(*table)
        np.testing.assert_array_equal(other.predict(table[0]), regressor.predict(table[0]))


def test_defaults_are_those_of_the_config() -> None:
    """Shown in the signature and in the docstring, and stated in the config, but for how long a fit is."""
    defaults = bnn_config.Config(datasets={}).model_dump(mode="json")
    for estimator in (BNNClassifier, BNNRegressor):
        parameters = inspect.signature(estimator).parameters
        described = inspect.cleandoc(str(estimator.__doc__))
        for name, path in Names(list(parameters)).paths.items():
            # None, as everywhere in scikit-learn; and a length that a search over many fits can afford.
            if name in ("random_state", "chains", "draws", "warmup"):
                continue
            expected: Any = defaults
            for key in path:
                expected = expected[key]
            default = parameters[name].default
            assert (list(default) if isinstance(default, tuple) else default) == expected, name
        for name, parameter in parameters.items():
            shown = json.dumps(parameter.default) if isinstance(parameter.default, str) else parameter.default
            line = next(line for line in described.splitlines() if line.startswith(f"{name} : "))
            assert line.endswith(f"default={shown}"), line


def test_predictions_have_an_uncertainty(
    table: tuple[pd.DataFrame, pd.Series], regressor: BNNRegressor
) -> None:
    X, y = table
    mean, sd = regressor.predict(X, return_std=True)
    np.testing.assert_array_equal(mean, regressor.predict(X))
    drawn = regressor.sample_posterior(X)
    assert drawn.shape == (40, 50)
    np.testing.assert_allclose(drawn.mean(axis=0), mean)
    noise = regressor.inference_data_["posterior"]["noise_scale"].values * y.std(ddof=0)
    np.testing.assert_allclose(sd**2, drawn.var(axis=0) + np.mean(noise**2))
    narrow, wide = (regressor.predict_interval(X, coverage) for coverage in (0.5, 0.9))
    assert wide.shape == (50, 2)
    assert (wide[:, 0] < narrow[:, 0]).all() and (narrow[:, 1] < wide[:, 1]).all()
    inside = (wide[:, 0] <= y) & (y <= wide[:, 1])
    assert inside.mean() > 0.6
    assert regressor.score(X, y) > 0.8
    far = X + 10 * X.std()
    assert (regressor.predict(far, return_std=True)[1] > sd).mean() > 0.9
    for coverage in (0, 1, 90):
        with pytest.raises(ValueError, match="coverage"):
            regressor.predict_interval(X, coverage)


def test_draws_of_the_posterior(
    table: tuple[pd.DataFrame, pd.Series], regressor: BNNRegressor, classifier: BNNClassifier
) -> None:
    X = table[0][:4]
    all_of_them = regressor.sample_posterior(X)
    some = regressor.sample_posterior(X, 4)
    np.testing.assert_array_equal(some, all_of_them[[0, 13, 26, 39]])
    observed = regressor.sample_posterior(X, observations=True)
    assert observed.shape == (40, 4) and not np.array_equal(observed, all_of_them)
    np.testing.assert_array_equal(observed, regressor.sample_posterior(X, observations=True))
    other = regressor.sample_posterior(X, observations=True, random_state=1)
    assert not np.array_equal(observed, other)
    probability = classifier.sample_posterior(X, 5)
    assert probability.shape == (5, 4, 2)
    np.testing.assert_allclose(
        classifier.sample_posterior(X).mean(axis=0), classifier.predict_proba(X), rtol=1e-12
    )
    assert set(classifier.sample_posterior(X, observations=True).ravel()) <= {"cheap", "dear"}
    for n_samples in (0, 41):
        with pytest.raises(ValueError, match="n_samples"):
            regressor.sample_posterior(X, n_samples)


def test_a_run_without_convergence_says_so_and_what_to_change(table: tuple[pd.DataFrame, pd.Series]) -> None:
    with pytest.warns(ConvergenceWarning) as caught:
        model = BNNRegressor(**NORMAL).fit(*table)
    (said,) = [str(item.message) for item in caught if item.category is ConvergenceWarning]
    figures = model.diagnostics_
    assert figures["verdict"] == "FAIL"
    largest, smallest = worst(figures)
    assert largest is not None and smallest is not None
    # The verdict's own roundings, so that one figure does not read as two.
    rhat, ess = math.ceil(largest * 1e4 - 1e-6) / 1e4, math.floor(smallest)
    assert said.startswith(
        f"BNNRegressor: verdict FAIL: largest R-hat {rhat:.4f} (limit 1.01), smallest bulk ESS {ess} (limit 400). "
    )
    assert any(f" is {rhat:.4f} " in reason or f" is {rhat:.4f}," in reason for reason in figures["reasons"])
    assert any(f" is {ess} " in reason or f" is {ess}," in reason for reason in figures["reasons"])
    assert "draws=" in said and "warmup=1000" in said
    assert caught[0].filename == __file__
    for text in (said, *figures["reasons"]):
        assert "sampler." not in text and "diagnostics." not in text
    assert "test" not in figures["predictions"]


@pytest.mark.slow
def test_a_run_that_converged_is_quiet() -> None:
    x = np.random.default_rng(3).normal(size=(40, 1))
    y = x[:, 0] + np.random.default_rng(4).normal(size=40)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = BNNRegressor(hidden=(), warmup=300, draws=400, random_state=1).fit(x, y)
    assert model.diagnostics_["verdict"] == "PASS"


def test_every_reason_is_told_in_words_of_the_estimator() -> None:
    names = Names(["draws", "prior_scale"])
    text = (
        "raise sampler.draws or sampler.explore, or lower the scale in prior.weights (diagnostics.rhat_warn)."
    )
    limit = 'settings["diagnostics"]["rhat_warn"]'
    expected = f'raise draws or settings["sampler"]["explore"], or lower prior_scale ({limit}).'
    assert names.translated(text) == expected


def test_wrong_parameters_are_all_named(table: tuple[pd.DataFrame, pd.Series]) -> None:
    bad = BNNRegressor(hidden=(0,), draws=-1, likelihood="normal", random_state=-1)
    with pytest.raises(Fault) as caught:
        bad.fit(*table)
    assert {(fault.code, fault.key) for fault in caught.value.faults} == {
        ("wrong-value", name) for name in ("hidden", "draws", "likelihood", "random_state")
    }


@pytest.mark.parametrize(
    ("estimator", "settings", "code", "key"),
    [
        (BNNRegressor, {"sampler": {"draws": 5}}, "is-parameter", "sampler.draws"),
        (BNNRegressor, {"split": {}}, "unknown-key", "split"),
        (BNNRegressor, {"sampler": {"chains_per_job": 2}}, "no-effect", "sampler.chains_per_job"),
        (BNNRegressor, {"sampler": {"explor": 2}}, "unknown-key", 'settings["sampler"]["explor"]'),
        (BNNRegressor, {"prior": {"weights": {"df": 3}}}, "no-effect", 'settings["prior"]["weights"]["df"]'),
        (BNNRegressor, [("sampler", {})], "not-a-group", None),
        (BNNClassifier, {"likelihood": {"noise": 1}}, "no-effect", "likelihood"),
    ],
)
def test_wrong_settings_are_explained(
    table: tuple[pd.DataFrame, pd.Series], estimator: Any, settings: Any, code: str, key: str | None
) -> None:
    X, y = table
    with refused(code, kind=Fault, **({} if key is None else {"key": key})):
        estimator(settings=settings).fit(X, y > 0 if estimator is BNNClassifier else y)


def test_settings_reach_the_sampler(table: tuple[pd.DataFrame, pd.Series]) -> None:
    sampler = {**SETTINGS["sampler"], "keep": "weights", "explore": 5}
    model = BNNRegressor(**{**NORMAL, "settings": {**SETTINGS, "sampler": sampler}}).fit(*table)
    assert "posterior_predictive" not in model.inference_data_
    assert model.diagnostics_["n_warmup"] == 25
    assert np.isfinite(model.predict(table[0])).all()


@pytest.mark.slow
def test_parameters_of_numpy_are_taken(
    table: tuple[pd.DataFrame, pd.Series], regressor: BNNRegressor
) -> None:
    """Grids are often made of them."""
    parameters = {**NORMAL, "hidden": np.array([3]), "draws": np.int64(20), "random_state": np.int64(7)}
    model = BNNRegressor(**parameters).fit(*table)
    np.testing.assert_array_equal(model.predict(table[0]), regressor.predict(table[0]))


@pytest.mark.slow
def test_a_random_state_gives_a_seed(table: tuple[pd.DataFrame, pd.Series]) -> None:
    states = [np.random.RandomState(0), np.random.RandomState(0), None]
    first, second, third = (BNNRegressor(**{**NORMAL, "random_state": state}).fit(*table) for state in states)
    assert first.seed_ == second.seed_ != third.seed_
    np.testing.assert_array_equal(first.predict(table[0]), second.predict(table[0]))


@pytest.mark.slow
def test_frames_with_texts_truth_and_gaps(table: tuple[pd.DataFrame, pd.Series], mixed: pd.DataFrame) -> None:
    X = mixed.assign(width=mixed["width"].where(mixed["width"] > 4))
    model = BNNRegressor(**NORMAL, missing="impute").fit(X, table[1])
    assert list(model.feature_names_in_) == list(X.columns)
    inputs = list(model.inference_data_["posterior"]["input"].values)
    assert {"colour=red", "size=M", "sold", "width is missing"} <= set(inputs)
    expected = model.predict(X)
    # The order of columns is that of the fit, and checked.
    with pytest.raises(ValueError, match="feature names should match"):
        model.predict(X[X.columns[::-1]])
    with pytest.warns(UserWarning, match="'colour'.*'violet'"):
        model.predict(X.assign(colour="violet"))
    # BLAS may sum in another order for another number of rows.
    np.testing.assert_allclose(model.predict(X.iloc[3:5]), expected[3:5], rtol=1e-12)


def test_gaps_that_no_row_of_the_fit_has_are_told(
    table: tuple[pd.DataFrame, pd.Series], regressor: BNNRegressor
) -> None:
    X = table[0].copy()
    name = str(X.columns[0])
    X[name] = X[name].astype(float)
    X.loc[X.index[:2], name] = np.nan
    with pytest.warns(UserWarning, match=f"'{name}'.* 2 of these .*filled in"):
        assert np.isfinite(regressor.predict(X)).all()


def test_a_prediction_does_not_depend_on_the_other_rows(table: tuple[pd.DataFrame, pd.Series]) -> None:
    """F alone looks like false, but the fit knows a column of texts, and rows of gaps alone."""
    X = table[0].assign(sex=np.resize(list("MFI"), 50))
    X.loc[4:6, "sex"] = None
    model = BNNRegressor(**NORMAL, missing="impute").fit(X, table[1])
    expected = np.asarray(model.predict(X))
    for rows in ([1, 10, 13], [4, 5]):
        np.testing.assert_allclose(model.predict(X.iloc[rows]), expected[rows])


_DAY = pd.Timestamp("2020-02-03")
_NAMES = [f"n{i}" for i in range(50)]


@pytest.mark.parametrize(
    ("change", "faults"),
    [
        ({"width": np.nan}, [("column-empty", "width", None)]),
        ({"length": [np.nan] + [1.0, 2.0] * 24 + [3.0]}, [("value-missing", "length", 0)]),
        ({"day": _DAY}, [("date-among-features", "day", 0)]),
        ({"name": _NAMES}, [("texts-all-different", "name", 0)]),
        ({"a, b": "2020-02-03"}, [("date-among-features", "a, b", 0)]),
        ({"id": range(50)}, [("numbers-the-rows", "id", None)]),
        ({"length": [1.0, "a"] * 25}, [("mixed-kinds", "length", 0)]),
        ({"length": 1e200}, [("number-too-large", "length", 0)]),
        (
            {"length": 1e200, "day": _DAY},
            [("number-too-large", "length", 0), ("date-among-features", "day", 0)],
        ),
        ({"length": 1.0, "width": 2.0}, [("no-features", None, None)]),
    ],
)
def test_columns_that_cannot_be_used_are_named(
    table: tuple[pd.DataFrame, pd.Series], change: Any, faults: list[tuple[str, str | None, int | None]]
) -> None:
    with pytest.raises(DataError) as caught:
        BNNRegressor(**NORMAL, missing="error").fit(table[0].assign(**change), table[1])
    assert [(fault.code, fault.column, fault.row) for fault in caught.value.faults] == faults


@pytest.mark.parametrize(
    ("change", "advice"),
    [
        ({"length": [np.nan] + [1.0, 2.0] * 24 + [3.0]}, "missing='impute'"),
        ({"name": _NAMES}, "X.drop(columns=['name'])"),
        ({"name (of it) ": _NAMES}, "X.drop(columns=['name (of it) '])"),
        ({"a, b": "2020-02-03"}, "X.drop(columns=['a, b'])"),
        ({"day": "2020-02-03"}, "X.drop(columns=['day'])"),
        ({"id": range(50)}, "X.drop(columns=['id'])"),
    ],
)
def test_advice_is_in_code_of_a_frame_and_not_in_keys_of_the_config(
    table: tuple[pd.DataFrame, pd.Series], change: Any, advice: str
) -> None:
    with pytest.raises(DataError) as caught:
        BNNRegressor(**NORMAL, missing="error").fit(table[0].assign(**change), table[1])
    assert advice in str(caught.value)
    assert not re.search(r"(source|split|series|columns)\.[a-z_]+", str(caught.value))


def test_rows_that_cannot_be_predicted_are_named(
    table: tuple[pd.DataFrame, pd.Series], regressor: BNNRegressor
) -> None:
    X = table[0][:3]
    strict = BNNRegressor(**NORMAL, missing="error").fit(*table)
    with refused("value-missing", column="width", row=1):
        strict.predict(X.assign(width=[1.0, np.nan, 2.0]))
    with pytest.raises(ValueError, match=r"0 sample\(s\)"):
        regressor.predict(X[:0])
    with pytest.raises(NotFittedError):
        BNNRegressor().predict(X)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:X (has|does not have) (valid )?feature names:UserWarning")
def test_columns_without_names_are_told_by_their_place(table: tuple[pd.DataFrame, pd.Series]) -> None:
    """Arrays, and frames whose columns are numbered; scikit-learn warns where only one of both has names."""
    X, y = table
    plain, numbered = X.to_numpy(), X.set_axis([3, 4], axis=1)
    expected = BNNRegressor(**NORMAL).fit(X, y).predict(X)
    for fitted in (plain, numbered):
        model = BNNRegressor(**NORMAL).fit(fitted, y)
        assert not hasattr(model, "feature_names_in_")
        for rows in (plain, numbered, X):
            np.testing.assert_array_equal(model.predict(rows), expected)


def test_what_cannot_be_learned_from_is_refused(table: tuple[pd.DataFrame, pd.Series]) -> None:
    X = table[0]
    with refused("target-constant", kind=Fault):
        BNNRegressor().fit(X, np.full(50, 3.0))
    with refused("target-constant", kind=Fault):
        BNNClassifier().fit(X, ["a"] * 50)
    with refused("wrong-value", kind=Fault, key="missing"):
        BNNClassifier(missing="drop").fit(X, ["a", "b"] * 25)


def test_copies_are_whole(
    tmp_path: Path, table: tuple[pd.DataFrame, pd.Series], regressor: BNNRegressor, classifier: BNNClassifier
) -> None:
    for model in (regressor, classifier):
        joblib.dump(model, tmp_path / "model")
        for copy in (pickle.loads(pickle.dumps(model)), joblib.load(tmp_path / "model")):
            np.testing.assert_array_equal(copy.predict(table[0]), model.predict(table[0]))
            assert copy.diagnostics_ == model.diagnostics_
            for group in model.inference_data_:
                assert copy.inference_data_[group].equals(model.inference_data_[group])
        fresh = clone(model)
        assert fresh.get_params() == model.get_params() and not hasattr(fresh, "diagnostics_")


@pytest.mark.slow
def test_tools_of_scikit_learn_take_it(table: tuple[pd.DataFrame, pd.Series]) -> None:
    pytest.importorskip("matplotlib")
    from sklearn.calibration import CalibrationDisplay

    X, y = table
    pipeline = make_pipeline(PolynomialFeatures(2, include_bias=False), BNNRegressor(**NORMAL))
    assert cross_val_score(pipeline, X, y, cv=2).mean() > 0.5
    search = GridSearchCV(BNNClassifier(**QUICK), {"prior_scale": [0.01, 2.0]}, cv=2, scoring="neg_log_loss")
    is_dear = (y > -5).to_numpy()
    search.fit(X, is_dear)
    assert search.best_params_ == {"prior_scale": 2.0}
    display = CalibrationDisplay.from_estimator(search.best_estimator_, X, is_dear, n_bins=3)
    np.testing.assert_array_equal(np.sort(display.y_prob), np.sort(search.predict_proba(X)[:, 1]))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_estimators_around_it_predict_and_give_the_one_within(table: tuple[pd.DataFrame, pd.Series]) -> None:
    from sklearn.calibration import CalibratedClassifierCV
    from sklearn.compose import TransformedTargetRegressor
    from sklearn.ensemble import BaggingRegressor, StackingRegressor, VotingRegressor
    from sklearn.linear_model import Ridge

    X, y = table
    inner = BNNRegressor(**NORMAL)
    shifted = TransformedTargetRegressor(inner, func=np.exp, inverse_func=np.log, check_inverse=False).fit(
        X, y / 10
    )
    drawn = shifted.regressor_.sample_posterior(X, 20)
    assert drawn.shape == (20, len(y)) and np.isfinite(shifted.predict(X)).all()
    for outer, within in (
        (VotingRegressor([("bnn", inner)]), lambda fitted: fitted.estimators_[0]),
        (StackingRegressor([("bnn", inner)], Ridge(), cv=2), lambda fitted: fitted.estimators_[0]),
        (BaggingRegressor(inner, 1, random_state=0), lambda fitted: fitted.estimators_[0]),
    ):
        fitted = outer.fit(X.to_numpy(), y)
        assert np.corrcoef(fitted.predict(X.to_numpy()), y)[0, 1] > 0.7
        assert within(fitted).predict_interval(X.to_numpy()).shape == (len(y), 2)
    is_dear = (y > y.median()).to_numpy()
    calibrated = CalibratedClassifierCV(BNNClassifier(**QUICK), cv=2).fit(X, is_dear)
    assert calibrated.predict_proba(X).shape == (len(y), 2)
    assert calibrated.calibrated_classifiers_[0].estimator.predict_proba(X).shape == (len(y), 2)


@pytest.mark.slow
def test_a_bar_is_shown_if_asked_for(
    table: tuple[pd.DataFrame, pd.Series], capfd: pytest.CaptureFixture[str]
) -> None:
    BNNRegressor(**NORMAL).fit(*table)
    assert capfd.readouterr() == ("", "")
    BNNRegressor(**NORMAL, verbose=True).fit(*table)
    out, err = capfd.readouterr()
    assert out == "" and "BNNRegressor chain 0-1" in err


@pytest.mark.slow
def test_nothing_is_left_in_the_temporary_folder(
    table: tuple[pd.DataFrame, pd.Series], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    BNNRegressor(**NORMAL).fit(*table)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("estimator", [BNNClassifier, BNNRegressor])
def test_the_docstring_lists_every_parameter_with_its_default(estimator: type) -> None:
    parameters = (inspect.getdoc(estimator) or "").partition("Parameters")[2].partition("Attributes")[0]
    listed = re.findall(r"^(\w+) : .*, default=(.+)$", parameters, flags=re.MULTILINE)
    defaults = {
        name: parameter.default for name, parameter in inspect.signature(estimator).parameters.items()
    }
    assert {name: ast.literal_eval(default) for name, default in listed} == defaults


def test_a_generator_is_a_seed(table: tuple[pd.DataFrame, pd.Series]) -> None:
    one, same = (
        BNNRegressor(**NORMAL | {"random_state": np.random.default_rng(1)}).fit(*table) for _ in range(2)
    )
    generator = np.random.default_rng(1)
    assert one.seed_ == same.seed_ == int(generator.integers(2**31 - 1))
    assert clone(one).fit(*table).seed_ != one.seed_, "a generator moves on"


def test_intervals_of_several_coverages(
    table: tuple[pd.DataFrame, pd.Series], regressor: BNNRegressor
) -> None:
    X = table[0][:7]
    found = regressor.predict_interval(X, coverage=[0.5, 0.9])
    assert found.shape == (2, 7, 2)
    assert np.array_equal(found[1], regressor.predict_interval(X, coverage=0.9))
    wrongs: list[Any] = [[0.5, 1.0], [], 0.0, [[0.5]]]
    for wrong in wrongs:
        with pytest.raises(ValueError, match="between 0 and 1"):
            regressor.predict_interval(X, coverage=wrong)


def test_frames_of_polars_are_as_those_of_pandas(table: tuple[pd.DataFrame, pd.Series]) -> None:
    polars = pytest.importorskip("polars")
    X = table[0].assign(
        kind=[None if i == 3 else "pqr"[i % 3] for i in range(50)],
        n=[None if i == 4 else i % 5 for i in range(50)],
    )
    X["n"] = X["n"].astype("Int64")
    other = polars.DataFrame({name: [None if pd.isna(v) else v for v in X[name].tolist()] for name in X})
    model = BNNRegressor(**NORMAL, missing="impute")
    expected = model.fit(X, table[1]).predict(X)
    np.testing.assert_array_equal(clone(model).fit(other, table[1].to_numpy()).predict(other), expected)
    assert list(clone(model).fit(other, table[1].to_numpy()).feature_names_in_) == list(X)


@pytest.mark.parametrize("things", [[[1, 2]] * 50, [{"a": 1}] * 50, [np.arange(3)] * 50, [b"x"] * 50])
def test_things_in_cells_are_refused_by_column_and_row(
    table: tuple[pd.DataFrame, pd.Series], things: Any
) -> None:
    X = table[0].assign(thing=pd.Series([None, *things[1:]], dtype=object))
    with pytest.raises(DataError) as caught:
        BNNRegressor(**NORMAL).fit(X, table[1])
    assert [(fault.code, fault.column, fault.row) for fault in caught.value.faults] == [
        ("type-unusable", "thing", 1)
    ]
