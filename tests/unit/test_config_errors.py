"""Every mistake in a config is found, and told once, with its key."""

from typing import Any

import pytest
import yaml

from bnn.config.loading import ConfigError, load
from tests.refusals import config_refused

IRIS: dict[str, Any] = {"task": "classification", "source": {"kind": "sklearn", "name": "iris"}}
GAP: dict[str, Any] = {"task": "regression", "source": {"kind": "synthetic", "name": "gap"}}

# YAML of the shared settings >> code and key of the one problem.
SHARED_CASES = """
seed: -1 >> wrong-value seed
seed: true >> wrong-value seed
seed: 1.5 >> wrong-value seed
seed: 1.5e0 >> wrong-value seed
split: {test_size: 1} >> wrong-value split.test_size
split: {stratify: 1} >> wrong-value split.stratify
split: {stratify: "yes"} >> wrong-value split.stratify
split: {seed: x} >> wrong-value split.seed
network: {hidden: 16} >> wrong-value network.hidden
network: {hidden: [8, 0]} >> wrong-value network.hidden
network: {hidden: [8, true]} >> wrong-value network.hidden
network: {hidden: [1,1,1,1,1,1,1,1,1,1,1]} >> wrong-value network.hidden
network: {activation: tan} >> wrong-value network.activation
network: {precision: 64} >> wrong-value network.precision
prior: 5 >> wrong-value prior
prior: true >> wrong-value prior
prior: {weights: {scale: 0}} >> wrong-value prior.weights.scale
prior: {biases: {df: .inf}} >> wrong-value prior.biases.df
prior: {biases: {scale: .nan}} >> wrong-value prior.biases.scale
prior: {weights: {family: {}}} >> wrong-value prior.weights.family
likelihood: {noise: auto} >> wrong-value likelihood.noise
likelihood: {noise: 0} >> wrong-value likelihood.noise
likelihood: {noise: true} >> wrong-value likelihood.noise
likelihood: {family: cauchy} >> wrong-value likelihood.family
likelihood: {df: 2} >> wrong-value likelihood.df
prior: {learned_scales: yes} >> wrong-value prior.learned_scales
likelihood: {log_noise_mean: } >> wrong-value likelihood.log_noise_mean
baseline: {batch_size: 0} >> wrong-value baseline.batch_size
baseline: {batch_size: "two\\nlines"} >> wrong-value baseline.batch_size
sampler: {target_acceptance: 2} >> wrong-value sampler.target_acceptance
sampler: {langevin: {langevin_probability: 2}} >> wrong-value sampler.langevin.langevin_probability
diagnostics: {rhat_warn: 2} >> wrong-order diagnostics
diagnostics: {ess_fail: 500} >> wrong-order diagnostics
diagnostics: {acceptance_min: 0.99} >> wrong-order diagnostics
sampler: {chians: 4} >> unknown-key sampler.chians
sampler: {Chains: 4} >> unknown-key sampler.Chains
evaluation: {sensitivity_rerun: true} >> removed-key evaluation.sensitivity_rerun
sampler: {3: 4} >> unknown-key sampler.3
smpler: {} >> unknown-key smpler
chains: 4 >> unknown-key chains
task: 4 >> unknown-key task
"""

# YAML of a dataset x >> code and key, below `datasets`, of the one problem. SHORT says what begins with a $.
DATASET_CASES = """
$IRIS, sampler: {chians: 2} >> unknown-key x.sampler.chians
$IRIS, evaluation: {sensitivity_rerun: false} >> removed-key x.evaluation.sensitivity_rerun
$IRIS, chains: 2 >> unknown-key x.chains
$IRIS, path: a >> unknown-key x.path
$IRIS, sampler: 5 >> wrong-value x.sampler
task: clasification, $SOURCE >> wrong-value x.task
$SOURCE >> missing x.task
task: regression >> missing x.source
task: regression, source: >> wrong-value x.source
task: regression, source: iris >> wrong-value x.source
task: regression, source: {} >> missing x.source.kind
task: regression, source: {kind: sql} >> wrong-value x.source.kind
task: regression, source: {kind: tsv, path: a} >> removed-value x.source.kind
task: regression, source: {kind: sklearn} >> missing x.source.name
task: regression, source: {kind: sklearn, name: irs} >> wrong-value x.source.name
task: regression, source: {kind: csv, path: a} >> missing x.source.target
task: regression, source: {kind: csv, path: "a{dataset}.csv", target: y} >> path-unusable x.source.path
$CSV, test: "b}.csv", target: y} >> path-unusable x.source.test
$CSV, target: ""} >> wrong-value x.source.target
$CSV, target: 5} >> wrong-value x.source.target
$CSV, target: yes} >> wrong-value x.source.target
$CSV, target: y, target_unit: 1} >> wrong-value x.source.target_unit
$CSV, target: [a]} >> wrong-value x.source.target
$CSV, target: y, name: x} >> unknown-key x.source.name
$CSV, target: y, taget_unit: x} >> unknown-key x.source.taget_unit
$CSV, target: [a, b]} >> several-targets x.source.target
$CSV, target: y, drop: a} >> wrong-value x.source.drop
$CSV, target: y, drop: [y]} >> contradiction x.source
$CSV, target: y, row_id: y} >> contradiction x.source
$CSV, target: y, drop: [a], row_id: a} >> contradiction x.source
$CSV, target: y, drop: [a], categorical: [a]} >> contradiction x.source
$CSV, target: y, separator: ";;"} >> wrong-value x.source.separator
$CSV, target: y, separator: "x"} >> wrong-value x.source
$CSV, target: y, separator: "."} >> contradiction x.source
$CSV, target: y, drop: [a], fold_case: [a]} >> contradiction x.source
$CSV, target: y, encoding: cp12520} >> wrong-value x.source.encoding
$CSV, target: y, encoding: base64} >> wrong-value x.source.encoding
$CSV, target: y, encoding: punycode} >> wrong-value x.source.encoding
$OPENML, name: iris} >> which-table x.source
$OPENML, id: 61, name: iris, version: 1} >> which-table x.source
$URL, url: "ftp://a.org/b.csv"} >> wrong-address x.source.url
$URL, url: "https://me:secret@a.org/b.csv"} >> address-with-password x.source.url
$URL, url: "https://a.org/b.csv.7Z"} >> archive x.source.url
$URL, url: "https://a.org/größe.csv"} >> wrong-address x.source.url
$URL, url: "https://größe.org/b.csv"} >> wrong-address x.source.url
$URL, url: "https://a.org:99999/b.csv"} >> wrong-address x.source.url
$URL, url: "https://a.org:http/b.csv"} >> wrong-address x.source.url
$URL, url: "https://[::1/b.csv"} >> wrong-address x.source.url
$URL, url: "https://:443/b.csv"} >> wrong-address x.source.url
$URL, url: "https://a.org/b.csv", sha256: abc} >> wrong-value x.source.sha256
$IRIS, columns: {missing: ignore} >> wrong-value x.columns.missing
$GAP, n: true} >> wrong-value x.source.n
$GAP, noise: 0} >> wrong-value x.source.noise
task: regression, $SOURCE >> wrong-task x.task
task: classification, source: {kind: synthetic, name: gap} >> wrong-task x.task
$IRIS, likelihood: {noise: 0.1} >> no-effect x.likelihood
$GAP}, likelihood: {family: gaussian, df: 5} >> no-effect x.likelihood.df
$GAP}, likelihood: {family: heteroscedastic, noise: 0.1} >> no-effect x.likelihood.noise
$GAP}, split: {stratify: true} >> no-effect x.split.stratify
$IRIS, prior: {weights: {df: 3}} >> no-effect x.prior.weights.df
$IRIS, prior: {biases: {df: 3, family: laplace}} >> no-effect x.prior.biases.df
$GAP}, likelihood: {noise: 0.5, log_noise_mean: 0} >> no-effect x.likelihood.log_noise_mean
$IRIS, sampler: {init: prior, optimise_steps: 9} >> no-effect x.sampler.optimise_steps
$CSV, target: y, test: b.csv}, split: {test_size: 0.3} >> no-effect x.split.test_size
$IRIS, sampler: {kernel: mala, trajectory_length: 2} >> no-effect x.sampler.trajectory_length
$IRIS, sampler: {langevin: {noise_scale: 1}} >> no-effect x.sampler.langevin
$GAP}, baseline: {class_weight: balanced} >> no-effect x.baseline.class_weight
$CSV, target: y}, split: {method: group} >> missing x.split.column
$CSV, target: y}, split: {method: column} >> missing x.split.column
$CSV, target: y}, split: {column: part} >> no-effect x.split.column
$CSV, target: y}, split: {method: time, seed: 3} >> no-effect x.split.seed
$CSV, target: y}, split: {method: time, test_value: a} >> no-effect x.split.test_value
$CSV, target: y}, split: {method: column, column: c, test_size: 0.3} >> no-effect x.split.test_size
$CSV, target: y}, split: {method: group, column: c, stratify: true} >> no-effect x.split.stratify
$CSV, target: y}, split: {method: group, column: y} >> target-known-late x.split.column
$CSV, target: y, drop: [c]}, split: {method: group, column: c} >> contradiction x.source.drop
$SERIES, drop: [t]}, series: {time: t} >> contradiction x.source.drop
$CSV, target: y}, series: {lags: 2} >> no-effect x.series
$SERIES}, split: {method: random} >> no-effect x.split.method
$SERIES}, split: {method: time, column: t} >> no-effect x.split.column
$SERIES}, series: {time: y} >> target-known-late x.series.time
$SERIES, test: b.csv} >> not-for-series x.source.test
$SERIES, missing_target: drop} >> not-for-series x.source.missing_target
$SERIES}, repeats: 3 >> no-effect x.repeats
$CSV, target: y}, repeats: 3, split: {method: time} >> no-effect x.repeats
$CSV, target: y, test: b.csv}, repeats: 3 >> no-effect x.repeats
$CSV, target: y}, repeats: 3, predict: [c.csv] >> not-with-repeats x.predict
$IRIS, repeats: 3, seed: 4294967294 >> seed-too-large x.repeats
$IRIS, diagnostics: {ess_warn: 50} >> wrong-order x.diagnostics
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


def problems_of(raw: Any) -> list[str]:
    """Return the code and the key of every problem of a config."""
    with pytest.raises(ConfigError) as error:
        load(raw)
    text = str(error.value)
    assert len(text.splitlines()) == 1 + len(error.value.problems), "one line each"
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
    return [f"{problem.code} {problem.key}" for problem in error.value.problems]


def with_iris(**own: Any) -> dict[str, Any]:
    return {"datasets": {"iris": {**IRIS, **own}}}


@pytest.mark.parametrize(("text", "expected"), cases(SHARED_CASES))
def test_an_error_in_a_shared_setting_is_told_once(text: str, expected: str) -> None:
    assert problems_of({**yaml.safe_load(text), "datasets": {"iris": IRIS, "gap": GAP}}) == [expected]


@pytest.mark.parametrize(("text", "expected"), cases(DATASET_CASES))
def test_an_error_in_a_dataset_names_its_key(text: str, expected: str) -> None:
    code, key = expected.split(" ")
    found = problems_of({"datasets": {"x": yaml.safe_load(f"{{{text}}}"), "iris": IRIS}})
    assert found == [f"{code} datasets.{key}"]


@pytest.mark.parametrize("dataset", [None, [], "iris"])
def test_a_dataset_without_keys_is_explained(dataset: Any) -> None:
    assert problems_of({"datasets": {"x": dataset}}) == ["not-a-group datasets.x"]


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
        ({"sampler": {"target_acceptance": 0.9}}, {**IRIS, "sampler": {"kernel": "sms_ubu"}}),
        (
            {"repeats": 3, "split": {"column": "c", "seed": 7}},
            {**GAP, "split": {"method": "time", "stratify": False}},
        ),
        ({"baseline": {"class_weight": "balanced"}}, GAP),
    ],
)
def test_only_a_datasets_own_idle_keys_are_errors(shared: dict[str, Any], own: dict[str, Any]) -> None:
    load({**shared, "datasets": {"x": own}})


@pytest.mark.parametrize("key", ["target_acceptance", "trajectory_length"])
def test_keys_that_a_kernel_of_batches_does_not_read_are_errors(key: str) -> None:
    own = {**IRIS, "sampler": {"kernel": "sms_ubu", key: 0.9}}
    assert problems_of({"datasets": {"x": own}}) == [f"no-effect datasets.x.sampler.{key}"]


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
    assert sorted(problems_of(raw), key=lambda problem: problem.split(" ")[1]) == [
        "wrong-value datasets.gap.likelihood.noise",
        "wrong-value datasets.iris.sampler.chains",
        "unknown-key datasets.iris.sampler.thn",
        "missing datasets.mine.source.path",
        "missing datasets.mine.source.target",
        "missing datasets.mine.task",
        "wrong-value sampler.chains",
        "wrong-value sampler.kernel",
        "unknown-key sede",
    ]


def test_a_dataset_that_mends_a_shared_error_has_none_itself() -> None:
    corrected = with_iris(sampler={"chains": 2})
    assert problems_of({"sampler": {"chains": 0}, **corrected}) == ["wrong-value sampler.chains"]
    assert problems_of({"sampler": 3, **corrected}) == ["wrong-value sampler"]


def test_an_error_repeated_by_a_dataset_is_reported_for_both() -> None:
    assert problems_of({"sampler": {"chains": 0}, **with_iris(sampler={"chains": 0})}) == [
        "wrong-value sampler.chains",
        "wrong-value datasets.iris.sampler.chains",
    ]


def test_a_contradiction_between_shared_keys_is_reported_once() -> None:
    raw = {"diagnostics": {"rhat_warn": 2}, **with_iris(diagnostics={"ess_warn": 500})}
    assert problems_of(raw) == ["wrong-order diagnostics"]


@pytest.mark.parametrize("raw", [{}, {"datasets": None}, {"datasets": {}}, {"datasets": []}])
def test_a_config_without_datasets_is_explained(raw: dict[str, Any]) -> None:
    assert problems_of(raw) == ["no-dataset datasets"]


@pytest.mark.parametrize("datasets", [[{"name": "iris"}], "iris"])
def test_datasets_that_are_no_group_of_names_are_not_called_absent(datasets: Any) -> None:
    assert problems_of({"datasets": datasets}) == ["not-a-group datasets"]


def test_an_unknown_shared_key_that_belongs_elsewhere_is_reported_once() -> None:
    assert problems_of({"prior": {"scale": 2}, **with_iris()}) == ["unknown-key prior.scale"]
    assert problems_of({"prior": {"scale": 2}, **with_iris(prior={"scale": 3})}) == [
        "unknown-key prior.scale",
        "unknown-key datasets.iris.prior.scale",
    ]


def test_errors_are_found_even_without_datasets() -> None:
    assert problems_of({"sampler": {"thin": 0}}) == ["wrong-value sampler.thin", "no-dataset datasets"]


@pytest.mark.parametrize("raw", [None, [], "text", 5])
def test_a_file_without_keys_is_explained(raw: Any) -> None:
    assert problems_of(raw) == ["not-a-group "]


@pytest.mark.parametrize("name", ["a", "A1", "my-data_2", "9lives", "x" * 64])
def test_dataset_names_that_can_be_folders(name: str) -> None:
    assert list(load({"datasets": {name: IRIS}}).datasets) == [name]


@pytest.mark.parametrize("name", ["", "a b", "a/b", "..", ".a", "-a", "_a", "a\n", "ä", "x" * 65, "a.b"])
def test_dataset_names_that_cannot(name: str) -> None:
    assert f"name-unusable datasets.{name}" in problems_of({"datasets": {name: IRIS}})


@pytest.mark.parametrize("name", [2020, True, None])
def test_dataset_names_must_be_text(name: Any) -> None:
    with config_refused(f"name-not-text datasets.{name}"):
        load({"datasets": {name: IRIS}})
