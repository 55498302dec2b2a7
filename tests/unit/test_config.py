"""A config is resolved for every dataset, and its files are looked for."""

import copy
import json
import subprocess
import sys
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml
from pydantic import ValidationError

from bnn.config.loading import RESERVED_NAMES, ConfigError, chain_settings, check_files, load, merge, runs
from bnn.config.model import Settings, Split
from bnn.config.sampling import Sampler
from bnn.core import settings
from bnn.mcmc.kernels import make_kernel
from tests.refusals import config_refused

ROOT = Path(__file__).parents[2]
IRIS = {"task": "classification", "source": {"kind": "sklearn", "name": "iris"}}
GAP = {"task": "regression", "source": {"kind": "synthetic", "name": "gap"}}


def with_iris(**own: Any) -> dict[str, Any]:
    return {"datasets": {"iris": {**IRIS, **own}}}


def with_gap(**own: Any) -> dict[str, Any]:
    return {"datasets": {"gap": {**GAP, **own}}}


def test_defaults_and_shared_and_own_settings_are_laid_over_each_other() -> None:
    raw = {
        "seed": 5,
        "network": {"hidden": [8, 8, 8], "activation": "relu"},
        "sampler": {"chains": 2, "kernel": "langevin_gradient", "langevin": {"noise_scale": 0.2}},
        "datasets": {
            "iris": {**IRIS, "network": {"hidden": [3]}, "sampler": {"draws": 50, "langevin": None}},
            "gap": {**GAP, "seed": 6, "sampler": None},
        },
    }
    before = copy.deepcopy(raw)
    config = load(raw)
    assert raw == before
    iris, gap = config.datasets["iris"], config.datasets["gap"]
    assert iris.network.hidden == (3,)
    assert iris.network.activation == gap.network.activation == "relu"
    assert gap.network.hidden == (8, 8, 8)
    assert (iris.sampler.chains, iris.sampler.draws, iris.sampler.langevin.noise_scale) == (2, 50, 0.2)
    assert gap.sampler.draws == Settings().sampler.draws != 50
    assert iris.sampler.langevin.learning_rate == Settings().sampler.langevin.learning_rate
    assert (config.seed, iris.seed, gap.seed) == (5, 5, 6)
    assert iris.baseline == gap.baseline == Settings().baseline


@pytest.mark.parametrize(
    ("shared", "own", "expected"),
    [
        ({}, {}, Settings().seed),
        ({"seed": 5}, {}, 5),
        ({"seed": 5}, {"seed": 6}, 6),
        ({"seed": 5, "split": {"seed": 7}}, {"seed": 6}, 7),
        ({"seed": 5, "split": {"seed": 7}}, {"split": {"seed": 0}}, 0),
        ({"seed": 5, "split": {"seed": 7}}, {"split": {"seed": None}}, 5),
    ],
)
def test_the_seed_of_the_split_is_resolved(
    shared: dict[str, Any], own: dict[str, Any], expected: int
) -> None:
    dataset = load({**shared, **with_gap(**own)}).datasets["gap"]
    assert dataset.model_dump()["split"]["seed"] == expected


def test_stratify_is_off_for_regression() -> None:
    config = load({"split": {"stratify": True}, "datasets": {"iris": IRIS, "gap": GAP}})
    assert config.datasets["iris"].split.stratify
    assert not config.datasets["gap"].split.stratify


def test_keys_that_have_no_effect_on_a_split_do_not_change_it() -> None:
    keys = {"seed": 7, "column": "c", "test_value": "x", "test_size": 0.3, "repeated_rows": "drop"}
    shared = {"split": keys, "repeats": 4}
    source = {"kind": "csv", "path": "a.csv", "target": "y"}

    def resolved(task: str, **own: Any) -> dict[str, Any]:
        dataset = load({**shared, "datasets": {"x": {"task": task, "source": source, **own}}}).datasets["x"]
        return dataset.split.model_dump() | {"repeats": dataset.repeats}

    by_lot = {
        "method": "random",
        "column": None,
        "test_value": "test",
        "test_size": 0.3,
        "stratify": True,
        "seed": 7,
        "repeated_rows": "drop",
    }
    assert resolved("classification") == by_lot | {"repeats": 4}
    in_time = {"method": "time", "stratify": False, "seed": None, "repeats": 1}
    assert resolved("regression", split={"method": "time"}) == by_lot | in_time | {"column": "c"}
    of_series = {"column": "t", "repeated_rows": "auto"}
    assert resolved("timeseries", series={"time": "t"}) == by_lot | in_time | of_series
    by_column = {
        "method": "column",
        "column": "c",
        "test_value": "x",
        "test_size": 0.2,
        "repeated_rows": "drop",
    }
    assert resolved("regression", split={"method": "column"}) == in_time | by_column
    # A file of test rows needs no split at all; rows may be the same in it, too.
    source["test"] = "b.csv"
    defaults = {name: field.default for name, field in Split.model_fields.items()}
    keys["method"] = "group"
    assert resolved("classification") == defaults | {"repeats": 1, "repeated_rows": "drop"}


def test_a_repeated_dataset_is_a_run_for_each_seed_of_the_split() -> None:
    config = load({"seed": 5, "datasets": {"iris": {**IRIS, "repeats": 3}, "gap": GAP}})
    found = runs(config)
    assert list(found) == ["iris.0", "iris.1", "iris.2", "gap"]
    assert [run.split.seed for run in found.values()] == [5, 6, 7, 5]
    assert {run.seed for run in found.values()} == {5}, "what is not the split stays"
    alone = load({"seed": 5, "datasets": {"iris": IRIS, "gap": GAP}}).datasets
    assert found["iris.0"] == alone["iris"], "the first is what it would be alone"
    assert found["gap"] == alone["gap"]


def test_another_prior_family_keeps_the_scale_and_ignores_df() -> None:
    raw = {"prior": {"weights": {"family": "student_t", "scale": 0.5, "df": 3}}}
    found = load({**raw, **with_iris(prior={"weights": {"family": "normal"}})}).datasets["iris"].prior
    assert (found.weights.family, found.weights.scale) == ("normal", 0.5)
    assert found.biases.scale == "auto"


def test_sections_become_plain_data() -> None:
    dataset = load(with_gap(network={"hidden": [4, 2]}, likelihood={"noise": 0.5})).datasets["gap"]
    plain = dataset.model_dump()
    assert json.loads(json.dumps(plain)) == plain
    expected = {"hidden": [4, 2], "input_transform": "auto", "activation": "tanh"}
    expected |= {"precision": "auto", "engine": "auto"}
    assert plain["network"] == expected
    assert plain["likelihood"]["noise"] == 0.5
    assert plain["source"] == {"kind": "synthetic", "name": "gap", "n": 60, "noise": 0.3, "seed": 0}
    assert type(dataset.sampler.langevin.model_dump()) is dict


def test_numbers_may_be_written_as_yaml_1_1_misreads_them() -> None:
    text = """
    baseline: {learning_rate: 1e-3, batch_size: 1.6e1}
    sampler: {draws: 1e3, warmup: 2e+3, thin: 3.0}
    prior: {weights: {scale: 2}}
    likelihood: {noise: 5e-2}
    datasets: {gap: {task: regression, source: {kind: synthetic, name: gap, n: 2e1, noise: 1e-2}}}
    """
    raw = yaml.safe_load(text)
    assert raw["baseline"]["learning_rate"] == "1e-3"
    found = load(raw).datasets["gap"]
    assert found.baseline.learning_rate == 0.001
    whole = (found.baseline.batch_size, found.sampler.draws, found.sampler.warmup, found.sampler.thin)
    assert whole == (16, 1000, 2000, 3)
    assert {type(number) for number in whole} == {int}
    assert type(found.prior.weights.scale) is float
    assert found.likelihood.noise == 0.05
    assert found.model_dump()["source"]["n"] == 20


def test_a_loaded_config_cannot_be_changed() -> None:
    config = load({"datasets": {"iris": IRIS}})
    with pytest.raises(ValidationError, match="frozen"):
        config.datasets["iris"].sampler.chains = 3  # type: ignore[misc]


def test_a_linear_network_and_relu_with_langevin_are_allowed() -> None:
    own = {"network": {"hidden": [], "activation": "relu"}, "sampler": {"kernel": "langevin_gradient"}}
    assert load(with_iris(**own)).datasets["iris"].network.hidden == ()


def test_merge_replaces_all_but_groups() -> None:
    base = {"a": {"b": 1, "c": [1, 2]}, "d": 1}
    assert merge(base, {"a": {"c": [3]}, "e": {}}) == {"a": {"b": 1, "c": [3]}, "d": 1, "e": {}}
    assert merge(base, {"a": None, "d": None}) == {"a": {"b": 1, "c": [1, 2]}, "d": None}
    assert merge(base, {"a": 5}) == {"a": 5, "d": 1}
    assert merge({"a": 5}, {"a": {"b": 1}}) == {"a": {"b": 1}}
    assert base == {"a": {"b": 1, "c": [1, 2]}, "d": 1}


def test_missing_files_are_all_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "houses.csv").write_text("x,y\n")

    def dataset(path: str) -> dict[str, Any]:
        return {"task": "regression", "source": {"kind": "csv", "path": path, "target": "y"}}

    good = {
        "good": dataset("data/houses.csv"),
        "full": dataset(str(tmp_path / "data" / "houses.csv")),
        "gap": GAP,
    }
    check_files(load({"datasets": good}))
    bad = {"near": dataset("data/house.csv"), "far": dataset("nowhere/a.csv"), "folder": dataset("data")}
    with config_refused(
        "file-missing datasets.near.source.path",
        "file-missing datasets.far.source.path",
        "file-is-folder datasets.folder.source.path",
    ):
        check_files(load({"datasets": {**good, **bad}}))


def test_importing_the_config_is_light() -> None:
    code = (
        "import sys, bnn.config.loading\n"
        "print(sorted({'numpy', 'pandas', 'sklearn', 'scipy', 'arviz', 'matplotlib'} & set(sys.modules)))\n"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert run.stdout.strip() == "[]"


def test_shared_keys_without_effect_do_not_change_a_dataset() -> None:
    """Else a change of the noise prior, say, would sample every classification again."""
    both = {"datasets": {"iris": IRIS, "gap": GAP}}
    before = load(both).datasets
    idle = {
        "likelihood": {"noise": 0.5},
        "sampler": {"langevin": {"learning_rate": 0.5}},
        "prior": {"weights": {"df": 9}},
    }
    after = load({**idle, **both}).datasets
    assert after["iris"] == before["iris"]
    assert after["gap"].likelihood.noise == 0.5
    assert after["gap"].sampler == before["gap"].sampler
    known = load({"likelihood": {"noise": 0.5, "log_noise_sd": 3}, **both}).datasets["gap"].likelihood
    assert known == after["gap"].likelihood
    noise = {"likelihood": {"df": 9, "log_noise_sd": 3, "log_noise_mean": -2}}
    hetero = load({**noise, **with_gap(likelihood={"family": "heteroscedastic"})}).datasets["gap"].likelihood
    own = {"family": "heteroscedastic", "log_noise_mean": -2, "log_noise_sd": 3}
    assert hetero == load(with_gap(likelihood=own)).datasets["gap"].likelihood
    for family in ("student_t", "heteroscedastic_student_t"):
        student = load({**noise, **with_gap(likelihood={"family": family})}).datasets["gap"].likelihood
        assert (student.df, student.log_noise_sd, student.log_noise_mean) == (9.0, 3.0, -2.0)
    normal = {"family": "gaussian"}
    assert (
        load({"likelihood": {"df": 9, **normal}, **both}).datasets["gap"]
        == load({"likelihood": normal, **both}).datasets["gap"]
    )
    start = {"sampler": {"init": "prior", "optimise_steps": 7}}
    assert (
        load({**start, **both}).datasets["iris"].sampler.optimise_steps
        == before["iris"].sampler.optimise_steps
    )


def test_a_shared_trajectory_length_is_idle_for_exactly_the_kernels_without_trajectories() -> None:
    for name in get_args(Sampler.model_fields["kernel"].annotation):
        shared = {"sampler": {"kernel": name, "trajectory_length": 2.0}}
        kernel = make_kernel(
            name, langevin=settings.build(settings.LangevinSettings, Settings().sampler.langevin.model_dump())
        )
        # The unadjusted kernel steps singly too, but forgets its direction over a length.
        used = kernel.has_trajectories or not (kernel.adjusted or kernel.by_batches)
        kept = load({**shared, **with_gap()}).datasets["gap"].sampler.trajectory_length
        assert kept == (2.0 if used else None), name


@pytest.mark.parametrize("name", RESERVED_NAMES)
def test_a_dataset_cannot_take_a_folder_of_the_workflow(name: str) -> None:
    with config_refused(f"name-reserved datasets.{name}"):
        load({"datasets": {name: IRIS}})


def test_files_to_predict_are_looked_for_and_named_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NEW_ROWS", str(tmp_path))
    (tmp_path / "new.csv").touch()
    config = load(with_iris(predict=["$NEW_ROWS/new.csv"]))
    assert config.datasets["iris"].predict == (str(tmp_path / "new.csv"),)
    check_files(config)
    with config_refused("file-missing datasets.iris.predict"):
        check_files(load(with_iris(predict=["nwe.csv"])))
    with config_refused("not-different datasets.iris.predict"):
        load(with_iris(predict=["a/new.csv", "b/new.csv"]))
    own = tmp_path / "results" / "iris" / "predictions" / "new.csv"
    own.parent.mkdir(parents=True)
    own.touch()
    with config_refused("would-replace-input datasets.iris.predict"):
        check_files(load(with_iris(predict=["results/iris/predictions/new.csv"])))
    with config_refused("name-unusable datasets.iris.predict"):
        load(with_iris(predict=["*.csv"]))
    with config_refused("variable-not-set datasets.iris.predict"):
        load(with_iris(predict=["$NOWHERE/new.csv"]))
    with config_refused("unknown-key predict"):
        load({"predict": ["new.csv"], **with_iris()})


@pytest.mark.parametrize("factors", [[1.0], [0.5, 0.5], [0.0], [-1.0]])
def test_factors_of_the_prior_are_positive_different_and_not_one(factors: list[float]) -> None:
    with pytest.raises(ConfigError) as error:
        load(with_iris(evaluation={"prior_factors": factors}))
    (problem,) = error.value.problems
    assert problem.key.startswith("datasets.iris.evaluation")
    assert load(with_iris(evaluation={"prior_factors": []})).datasets["iris"].evaluation.prior_factors == ()


@pytest.mark.parametrize(
    ("likelihood", "scale", "expected"),
    [
        ({"family": "gaussian"}, 4, 1.0),
        ({"family": "poisson"}, "auto", 1.0),
        ({"family": "heteroscedastic"}, 0.5, 1.0),
        ({"family": "heteroscedastic_log_normal"}, 1.6, 0.625),
        ({"family": "heteroscedastic"}, 4, 0.5),
        ({"family": "heteroscedastic_student_t"}, 4, 0.5),
        ({"family": "heteroscedastic"}, "auto", "auto"),
        ({"family": "auto"}, 2, "auto"),
        ({"family": "heteroscedastic", "log_noise_sd": 3}, 4, 3.0),
    ],
)
def test_the_spread_of_noise_follows_the_prior(
    likelihood: dict[str, Any], scale: Any, expected: float | str
) -> None:
    config = load(with_gap(likelihood=likelihood, prior={"weights": {"scale": scale}}))
    assert config.datasets["gap"].likelihood.log_noise_sd == expected


def test_settings_have_the_fields_of_the_models_that_build_them() -> None:
    """One dataclass of `core` for each model of the config; other keys are for the workflow alone."""
    config = load(
        with_gap(
            network={"hidden": [4]},
            likelihood={"family": "gaussian"},
            prior={"weights": {"scale": 2}, "biases": {"scale": 1}},
        )
    )
    dataset = config.datasets["gap"].model_dump(mode="json")
    dataset |= {"sampler": chain_settings(dataset)["sampler"]}
    for section, kind, beside in (
        ("network", settings.NetworkSettings, set()),
        ("prior", settings.PriorSettings, set()),
        ("likelihood", settings.LikelihoodSettings, set()),
        ("baseline", settings.BaselineSettings, set()),
        ("sampler", settings.SamplerSettings, set()),
    ):
        built: Any = settings.build(kind, dataset[section])
        assert {field.name for field in fields(built)} == dataset[section].keys() - beside, section
        plain = json.loads(json.dumps(asdict(built)))
        assert plain == {name: dataset[section][name] for name in plain}, section


def test_what_yaml_takes_for_a_date_is_text() -> None:
    text = "{task: regression, source: {kind: csv, path: a.csv, target: y, drop: [2024-01-31]},"
    text += " split: {method: column, column: c, test_value: 2026-01-31}}"
    found = load({"datasets": {"x": yaml.safe_load(text)}}).datasets["x"]
    assert found.split.test_value == "2026-01-31" and found.source.drop == ("2024-01-31",)  # type: ignore[union-attr]
