"""Every mistake in a config is found, and told once, in words that a scientist can act on."""

import re
from typing import Any

import pytest
import yaml

from bnn.config.loading import ConfigError, load

IRIS: dict[str, Any] = {"task": "classification", "source": {"kind": "sklearn", "name": "iris"}}
GAP: dict[str, Any] = {"task": "regression", "source": {"kind": "synthetic", "name": "gap"}}

# YAML of the shared settings >> part of the one message.
SHARED_CASES = """
seed: -1 >> seed: must be a whole number from 0 to 4294967295, not -1
seed: true >> seed: must be a whole number from 0 to 4294967295, not true
seed: 1.5 >> seed: must be a whole number from 0 to 4294967295, not 1.5
seed: 1.5e0 >> seed: must be a whole number from 0 to 4294967295, not 1.5
split: {test_size: 1} >> split.test_size: must be a number greater than 0 and less than 1, not 1
split: {stratify: 1} >> split.stratify: must be true or false, not 1
split: {stratify: "yes"} >> split.stratify: must be true or false, not 'yes'
split: {seed: x} >> split.seed: must be a whole number from 0 to 4294967295, or null, not 'x'
network: {hidden: 16} >> network.hidden: must be a list of whole numbers, at most 10, each from 1 to 10000, such
network: {hidden: [8, 0]} >> such as [16] or [32, 16], but entry 2 is 0
network: {hidden: [8, true]} >> such as [16] or [32, 16], not [8, true]
network: {hidden: [1,1,1,1,1,1,1,1,1,1,1]} >> network.hidden: must be a list of whole numbers, at most 10,
network: {activation: tan} >> network.activation: must be one of tanh, relu, sigmoid, not 'tan'
network: {precision: 64} >> network.precision: must be one of auto, float64, float32, not 64
prior: 5 >> prior: must be a group of keys (lines indented below it), not 5
prior: true >> prior: must be a group of keys (lines indented below it), not true
prior: {weights: {scale: 0}} >> prior.weights.scale: must be a number greater than 0, not 0
prior: {biases: {df: .inf}} >> prior.biases.df: must be a number greater than 0, not Infinity
prior: {biases: {scale: .nan}} >> prior.biases.scale: must be a number greater than 0, not NaN
prior: {weights: {family: {}}} >> must be one of normal, laplace, student_t, not a group of keys
likelihood: {noise: auto} >> likelihood.noise: must be the word sampled, or a number greater than 0, not 'auto'
likelihood: {noise: 0} >> likelihood.noise: must be the word sampled, or a number greater than 0, not 0
likelihood: {noise: true} >> likelihood.noise: must be the word sampled, or a number greater than 0, not true
likelihood: {family: cauchy} >> likelihood.family: must be one of gaussian, heteroscedastic, student_t, not 'cauchy'
likelihood: {df: 2} >> likelihood.df: must be a number greater than 2, not 2
prior: {learned_scales: yes} >> prior.learned_scales: must be one of none, layer, ard, not true
likelihood: {log_noise_mean: } >> likelihood.log_noise_mean: must be a number, not null
baseline: {batch_size: 0} >> baseline.batch_size: must be a whole number, 1 or more, not 0
baseline: {batch_size: "two\\nlines"} >> baseline.batch_size: must be a whole number, 1 or more, not 'two\\nlines'
sampler: {target_acceptance: 2} >> must be a number greater than 0 and less than 1, or null, not 2
sampler: {langevin: {langevin_probability: 2}} >> sampler.langevin.langevin_probability: must be a number from 0
diagnostics: {rhat_warn: 2} >> diagnostics: rhat_warn (2) must not be greater than rhat_fail (1.05)
diagnostics: {ess_fail: 500} >> diagnostics: ess_fail (500) must not be greater than ess_warn (400)
diagnostics: {acceptance_min: 0.99} >> acceptance_min (0.99) must not be greater than acceptance_max (0.95)
sampler: {chians: 4} >> sampler.chians: unknown key. Did you mean chains? Allowed here: kernel, chains, chains_per_job
sampler: {Chains: 4} >> sampler.Chains: unknown key. Did you mean chains?
evaluation: {sensitivity_rerun: true} >> evaluation.sensitivity_rerun: is no longer a key: write a second dataset with
sampler: {3: 4} >> sampler.3: unknown key. Allowed here: kernel, chains
smpler: {} >> smpler: unknown key. Did you mean sampler? Allowed here: seed, repeats, split, columns,
chains: 4 >> chains: unknown key. It belongs in sampler.chains or datasets.<name>.sampler.chains.
task: 4 >> task: unknown key. It belongs in datasets.<name>.task.
"""

# YAML of a dataset x >> part of the one message. SHORT says what begins with a $.
DATASET_CASES = """
$IRIS, sampler: {chians: 2} >> x.sampler.chians: unknown key. Did you mean chains? Allowed here: kernel, chains
$IRIS, evaluation: {sensitivity_rerun: false} >> x.evaluation.sensitivity_rerun: is no longer a key: write a second
$IRIS, chains: 2 >> x.chains: unknown key. It belongs in sampler.chains. Allowed here: seed, repeats, split
$IRIS, path: a >> x.path: unknown key. It belongs in source.path. Allowed here:
$IRIS, sampler: 5 >> x.sampler: must be a group of keys (lines indented below it), not 5
task: clasification, $SOURCE >> x.task: must be one of classification, regression, timeseries, not 'clasification'
$SOURCE >> x.task: is missing; it must be one of classification, regression
task: regression >> x.source: is missing; it must be a group of keys (lines indented below it)
task: regression, source: >> x.source: must be a group of keys (lines indented below it), not null
task: regression, source: iris >> x.source: must be a group of keys (lines indented below it), not 'iris'
task: regression, source: {} >> x.source.kind: is missing; it must be one of csv, openml, parquet, sklearn
task: regression, source: {kind: sql} >> x.source.kind: must be one of csv, openml, parquet, sklearn, synthetic,
task: regression, source: {kind: tsv, path: a} >> x.source.kind: is no longer tsv: write `kind: csv` and `separator: "
task: regression, source: {kind: sklearn} >> x.source.name: is missing; it must be one of iris, wine, breast
task: regression, source: {kind: sklearn, name: irs} >> x.source.name: must be one of iris, wine, breast_cancer,
task: regression, source: {kind: csv, path: a} >> source.target: is missing; it must be text that is not empty
task: regression, source: {kind: csv, path: "a{dataset}.csv", target: y} >> x.source.path: a path must hold no braces
$CSV, test: "b}.csv", target: y} >> x.source.test: a path must hold no braces and no line breaks; rename the file
$CSV, target: ""} >> x.source.target: must be text that is not empty, not ''
$CSV, target: 5} >> x.source.target: must be text that is not empty, not 5 (put it in quotes if it is meant as text)
$CSV, target: yes} >> x.source.target: must be text that is not empty, not true (put it in quotes if it is
$CSV, target: y, target_unit: 1} >> x.source.target_unit: must be text, not 1 (put it in quotes
$CSV, target: [a]} >> x.source.target: must be text that is not empty, not ["a"]
$CSV, target: y, name: x} >> x.source.name: unknown key. Allowed here: kind, path, test, target, target_unit
$CSV, target: y, taget_unit: x} >> x.source.taget_unit: unknown key. Did you mean target_unit?
$CSV, target: [a, b]} >> x.source.target: must be one column, not 2: make a dataset for each, here with `target: a` and
$CSV, target: y, drop: a} >> x.source.drop: must be a list of texts, each not empty, not 'a'
$CSV, target: y, drop: [y]} >> x.source: drop must not name the target 'y'
$CSV, target: y, row_id: y} >> x.source: target and row_id both name y; remove it from one of them
$CSV, target: y, drop: [a], row_id: a} >> x.source: drop and row_id both name a; remove it from one of them
$CSV, target: y, drop: [a], categorical: [a]} >> x.source: drop and categorical both name a; remove it from one of them
$CSV, target: y, separator: ";;"} >> x.source.separator: must be text that is one character, not ';;'
$CSV, target: y, separator: "x"} >> x.source: separator cannot be 'x'; use one such as ',', ';', '|' or
$CSV, target: y, decimal: ","} >> x.source: separator and decimal must not both be ','
$OPENML, name: iris} >> x.source: give either id, or name and version: a name alone may mean another table tomorrow
$OPENML, id: 61, name: iris, version: 1} >> x.source: give either id, or name and version
$URL, url: "ftp://a.org/b.csv"} >> x.source.url: must be an address that begins with https:// or http://, not 'ftp://
$URL, url: "https://me:secret@a.org/b.csv"} >> x.source.url: must hold no user name and no password
$URL, url: "https://a.org/b.csv.GZ"} >> x.source.url: names an archive (.gz), and only a CSV file itself can be read
$URL, url: "https://a.org/größe.csv"} >> x.source.url: must hold no 'ö', which is not ASCII; write it as %C3%B6 (percent
$URL, url: "https://größe.org/b.csv"} >> x.source.url: must hold no 'ö', which is not ASCII; write the host in its form
$URL, url: "https://a.org:99999/b.csv"} >> x.source.url: must be an address with a host and a port that exist, not 'ht
$URL, url: "https://a.org:http/b.csv"} >> x.source.url: must be an address with a host and a port that exist, not 'ht
$URL, url: "https://[::1/b.csv"} >> x.source.url: must be an address with a host and a port that exist, not 'https://[:
$URL, url: "https://:443/b.csv"} >> x.source.url: must be an address that begins with https:// or http://, not 'https:/
$URL, url: "https://a.org/b.csv", sha256: abc} >> x.source.sha256: must be text that is 64 hexadecimal digits, not 'abc'
$IRIS, columns: {missing: ignore} >> x.columns.missing: must be one of error, impute, not 'ignore'
$GAP, n: true} >> x.source.n: must be a whole number from 10 to 1000000, not true
$GAP, noise: 0} >> x.source.noise: must be a number greater than 0, not 0
task: regression, $SOURCE >> x.task: must be classification for the sklearn dataset 'iris'
task: classification, source: {kind: synthetic, name: gap} >> x.task: must be regression for the synthetic data
$IRIS, likelihood: {noise: 0.1} >> x.likelihood: has no effect, because only regression has noise; remove it
$GAP}, likelihood: {df: 5} >> x.likelihood.df: has no effect on the family gaussian; remove it, or set `family: st
$GAP}, likelihood: {family: heteroscedastic, noise: 0.1} >> x.likelihood.noise: has no effect on the family heter
$GAP}, split: {stratify: true} >> x.split.stratify: has no effect, because only classes have proportions
$IRIS, prior: {weights: {df: 3}} >> x.prior.weights.df: has no effect on the family normal; remove it, or set
$IRIS, prior: {biases: {df: 3, family: laplace}} >> x.prior.biases.df: has no effect on the family laplace
$GAP}, likelihood: {noise: 0.5, log_noise_mean: 0} >> x.likelihood.log_noise_mean: has no effect on known noise; remove
$IRIS, sampler: {init: prior, optimise_steps: 9} >> x.sampler.optimise_steps: has no effect, because chains start from
$CSV, target: y, test: b.csv}, split: {test_size: 0.3} >> x.split.test_size: has no effect, because source.test names
$IRIS, sampler: {kernel: mala, trajectory_length: 2} >> x.sampler.trajectory_length: has no effect on the kernel mala
$IRIS, sampler: {langevin: {noise_scale: 1}} >> x.sampler.langevin: has no effect on the kernel auto; remove it
$GAP}, baseline: {class_weight: balanced} >> x.baseline.class_weight: has no effect, because there are no classes
$CSV, target: y}, split: {method: group} >> x.split.column: is needed for `method: group`: name a column of the table
$CSV, target: y}, split: {method: column} >> x.split.column: is needed for `method: column`: name a column of the ta
$CSV, target: y}, split: {column: part} >> x.split.column: has no effect on `method: random`; remove it, or set another
$CSV, target: y}, split: {method: time, seed: 3} >> x.split.seed: has no effect on `method: time`; remove it, or set
$CSV, target: y}, split: {method: time, test_value: a} >> x.split.test_value: has no effect on `method: time`; remove
$CSV, target: y}, split: {method: column, column: c, test_size: 0.3} >> x.split.test_size: has no effect on `method: col
$CSV, target: y}, split: {method: group, column: c, stratify: true} >> x.split.stratify: has no effect on `method: gr
$CSV, target: y}, split: {method: group, column: y} >> x.split.column: 'y' is the target, which cannot be known before
$CSV, target: y, drop: [c]}, split: {method: group, column: c} >> x.source.drop: names 'c', which split.column needs
$SERIES, drop: [t]}, series: {time: t} >> x.source.drop: names 't', which series.time needs; take it out
$CSV, target: y}, series: {lags: 2} >> x.series: has no effect on the task regression; remove it, or set `task: timeser
$SERIES}, split: {method: random} >> x.split.method: has no effect, because a time series is split by time; remove it
$SERIES}, split: {method: time, column: t} >> x.split.column: has no effect, because a time series is split by time; rem
$SERIES}, series: {time: y} >> x.series.time: 'y' is the target, which cannot be known before; name another column
$SERIES, test: b.csv} >> x.source.test: cannot be read as the end of a series; put all rows into source.path, and set
$SERIES}, repeats: 3 >> x.repeats: has no effect, because a time series is split by time; remove it
$CSV, target: y}, repeats: 3, split: {method: time} >> x.repeats: has no effect, because split.method time deals out no
$CSV, target: y, test: b.csv}, repeats: 3 >> x.repeats: has no effect, because source.test names the test rows; remove
$CSV, target: y}, repeats: 3, predict: [c.csv] >> x.predict: cannot be done together with repeats, because each split
$IRIS, repeats: 3, seed: 4294967294 >> x.repeats: the seeds of the splits would exceed 4294967295; choose a smaller
$IRIS, diagnostics: {ess_warn: 50} >> x.diagnostics: ess_fail (100) must not be greater than ess_warn (50)
"""
SHORT = {
    "$IRIS": "task: classification, source: {kind: sklearn, name: iris}",
    "$SOURCE": "source: {kind: sklearn, name: iris}",
    "$GAP": "task: regression, source: {kind: synthetic, name: gap",
    "$OPENML": "task: classification, source: {kind: openml",
    "$URL": f"task: regression, source: {{kind: url, target: y, sha256: {'a' * 64}",
    "$CSV": "task: regression, source: {kind: csv, path: a.csv",
    "$SERIES": "task: timeseries, source: {kind: csv, path: a.csv, target: y",
}


def cases(text: str) -> list[list[str]]:
    for short, long in SHORT.items():
        text = text.replace(short, long)
    return [line.split(" >> ") for line in text.strip().splitlines()]


def errors_of(raw: Any) -> list[str]:
    with pytest.raises(ConfigError) as error:
        load(raw)
    text = str(error.value)
    assert text.splitlines()[1:] == [f"  - {line}" for line in error.value.errors]
    # Words of pydantic or of Python that a scientist should not have to know.
    for word in (
        "pydantic",
        "further information",
        "Input should",
        "dictionary",
        "Traceback",
        "None",
        "True",
        "type=",
    ):
        assert word not in text
    return list(error.value.errors)


def with_iris(**own: Any) -> dict[str, Any]:
    return {"datasets": {"iris": {**IRIS, **own}}}


@pytest.mark.parametrize(("text", "expected"), cases(SHARED_CASES))
def test_an_error_in_a_shared_setting_is_told_once(text: str, expected: str) -> None:
    (line,) = errors_of({**yaml.safe_load(text), "datasets": {"iris": IRIS, "gap": GAP}})
    assert expected in line
    assert not line.startswith("datasets")


@pytest.mark.parametrize(("text", "expected"), cases(DATASET_CASES))
def test_an_error_in_a_dataset_names_its_key(text: str, expected: str) -> None:
    (line,) = errors_of({"datasets": {"x": yaml.safe_load(f"{{{text}}}"), "iris": IRIS}})
    assert line.startswith("datasets.x")
    assert expected in line


@pytest.mark.parametrize("dataset", [None, [], "iris"])
def test_a_dataset_without_keys_is_explained(dataset: Any) -> None:
    assert errors_of({"datasets": {"x": dataset}}) == [
        "datasets.x: must be a group of keys with at least `task` and `source`"
    ]


def test_long_values_are_cut() -> None:
    (line,) = errors_of({"baseline": {"weight_decay": "x" * 99}, **with_iris()})
    assert line == f"baseline.weight_decay: must be a number, 0 or more, not '{'x' * 57}...'"
    (line,) = errors_of({"sampler": {"draws": [5] * 99}, **with_iris()})
    assert line.endswith("5, 5, 5,...")


@pytest.mark.parametrize(
    ("shared", "own"),
    [
        ({"likelihood": {"noise": 0.1}}, IRIS),
        ({"likelihood": {"noise": 0.1}}, {**IRIS, "likelihood": None}),
        ({"likelihood": {"noise": 0.1, "df": 5}}, {**GAP, "likelihood": {"family": "heteroscedastic"}}),
        ({"likelihood": {"family": "student_t"}}, {**GAP, "likelihood": {"df": 5, "noise": 0.2}}),
        ({"split": {"stratify": True}}, {**GAP, "split": {"test_size": 0.3}}),
        ({}, {**GAP, "split": {"stratify": False}}),
        ({"prior": {"weights": {"df": 3}}}, {**IRIS, "prior": {"weights": {"family": "laplace"}}}),
        ({"prior": {"weights": {"family": "student_t"}}}, {**IRIS, "prior": {"weights": {"df": 3}}}),
        ({"sampler": {"langevin": {"noise_scale": 1}}}, {**IRIS, "sampler": {"kernel": "mala"}}),
        ({"sampler": {"kernel": "langevin_gradient"}}, {**IRIS, "sampler": {"langevin": {"noise_scale": 1}}}),
        ({"sampler": {"trajectory_length": 2}}, {**IRIS, "sampler": {"kernel": "mala"}}),
        ({}, {**IRIS, "sampler": {"kernel": "microcanonical", "trajectory_length": 2}}),
        (
            {"repeats": 3, "split": {"column": "c", "seed": 7}},
            {**GAP, "split": {"method": "time", "stratify": False}},
        ),
        ({"baseline": {"class_weight": "balanced"}}, GAP),
    ],
)
def test_only_a_datasets_own_idle_keys_are_errors(shared: dict[str, Any], own: dict[str, Any]) -> None:
    load({**shared, "datasets": {"x": own}})


def test_every_error_is_listed() -> None:
    raw = {
        "sede": 1,
        "sampler": {"chains": 0, "kernel": "hmc"},
        "datasets": {
            "iris": {**IRIS, "sampler": {"chains": -1, "thn": 3}, "task": "regression"},
            "gap": {**GAP, "split": {"stratify": True}, "likelihood": {"noise": -1}},
            "mine": {"source": {"kind": "csv"}},
        },
    }
    keys = [line.split(":")[0] for line in errors_of(raw)]
    assert sorted(keys) == [
        "datasets.gap.likelihood.noise",
        "datasets.iris.sampler.chains",
        "datasets.iris.sampler.thn",
        "datasets.mine.source.path",
        "datasets.mine.source.target",
        "datasets.mine.task",
        "sampler.chains",
        "sampler.kernel",
        "sede",
    ]
    with pytest.raises(ConfigError, match=r"^9 errors in the configuration:\n"):
        load(raw)


def test_a_dataset_that_mends_a_shared_error_has_none_itself() -> None:
    (line,) = errors_of({"sampler": {"chains": 0}, **with_iris(sampler={"chains": 2})})
    assert line.startswith("sampler.chains")
    (line,) = errors_of({"sampler": 3, **with_iris(sampler={"chains": 2})})
    assert line.startswith("sampler: must be a group")


def test_an_error_repeated_by_a_dataset_is_reported_for_both() -> None:
    lines = errors_of({"sampler": {"chains": 0}, **with_iris(sampler={"chains": 0})})
    assert [line.split(":")[0] for line in lines] == ["sampler.chains", "datasets.iris.sampler.chains"]


def test_a_contradiction_between_shared_keys_is_reported_once() -> None:
    (line,) = errors_of({"diagnostics": {"rhat_warn": 2}, **with_iris(diagnostics={"ess_warn": 500})})
    assert line.startswith("diagnostics: rhat_warn (2)")


@pytest.mark.parametrize("raw", [{}, {"datasets": None}, {"datasets": {}}, {"datasets": []}])
def test_a_config_without_datasets_is_explained(raw: dict[str, Any]) -> None:
    (line,) = errors_of(raw)
    assert line.startswith(
        "datasets: there is no dataset to run; name at least one, such as `datasets: {iris:"
    )
    example = re.search("`(.*)`", line)
    assert example and list(load(yaml.safe_load(example[1])).datasets) == ["iris"]


@pytest.mark.parametrize(
    ("datasets", "fault"),
    [([{"name": "iris"}], "not a list: write the name in place"), ("iris", "must be names")],
)
def test_datasets_that_are_no_group_of_names_are_not_called_absent(datasets: Any, fault: str) -> None:
    (line,) = errors_of({"datasets": datasets})
    assert line.startswith("datasets: must be names with keys below each") and fault in line


def test_an_unknown_shared_key_that_belongs_elsewhere_is_reported_once() -> None:
    (line,) = errors_of({"prior": {"scale": 2}, **with_iris()})
    assert line.startswith("prior.scale: unknown key. It belongs in prior.weights.scale")
    lines = errors_of({"prior": {"scale": 2}, **with_iris(prior={"scale": 3})})
    assert [line.split(":")[0] for line in lines] == ["prior.scale", "datasets.iris.prior.scale"]


def test_errors_are_found_even_without_datasets() -> None:
    assert [line.split(":")[0] for line in errors_of({"sampler": {"thin": 0}})] == [
        "sampler.thin",
        "datasets",
    ]


@pytest.mark.parametrize("raw", [None, [], "text", 5])
def test_a_file_without_keys_is_explained(raw: Any) -> None:
    (line,) = errors_of(raw)
    assert "keys with values" in line


@pytest.mark.parametrize("name", ["a", "A1", "my-data_2", "9lives", "x" * 64])
def test_dataset_names_that_can_be_folders(name: str) -> None:
    assert list(load({"datasets": {name: IRIS}}).datasets) == [name]


@pytest.mark.parametrize("name", ["", "a b", "a/b", "..", ".a", "-a", "_a", "a\n", "ä", "x" * 65, "a.b"])
def test_dataset_names_that_cannot(name: str) -> None:
    (line,) = [item for item in errors_of({"datasets": {name: IRIS}}) if "folder name" in item]
    shown = name.replace("\n", "\\n")
    assert line.startswith(f"datasets.{shown}: this name cannot become a folder name; use at most 64 letters")


@pytest.mark.parametrize("name", [2020, True, None])
def test_dataset_names_must_be_text(name: Any) -> None:
    with pytest.raises(ConfigError, match=f'a dataset name must be text: write "{name}" in quotes'):
        load({"datasets": {name: IRIS}})
