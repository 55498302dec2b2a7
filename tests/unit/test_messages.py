"""What messages say, in full sentences: the one file of tests to edit where they are reworded.

Which error is raised where, by its code and place, is tested beside what raises it. Here are the inputs of those tests
once more, each with the beginning, or a part, of its message.
"""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from bnn.config.errors import ConfigError
from bnn.config.files import check_syntax
from bnn.config.loading import load
from bnn.core.errors import DataError, Fault, with_code
from bnn.data.preparation import prepare
from tests.unit.test_config_errors import GAP, IRIS, cases
from tests.unit.test_config_files import FAULTY
from tests.unit.test_table_faults import FAULTS, WORDS, read

MOST_WORDS = 35
"""In a sentence, or a part of one that ends with a semicolon or a colon."""

# YAML of the shared settings >> part of the message.
SHARED = """
seed: -1 >> seed: must be a whole number from 0 to 4294967295, not -1
seed: true >> seed: must be a whole number from 0 to 4294967295, not true
seed: 1.5 >> seed: must be a whole number from 0 to 4294967295, not 1.5
seed: 1.5e0 >> seed: must be a whole number from 0 to 4294967295, not 1.5
split: {test_size: 1} >> split.test_size: must be a number greater than 0 and less than 1, not 1
split: {stratify: 1} >> split.stratify: must be true or false, not 1
split: {stratify: "yes"} >> split.stratify: must be true or false, not 'yes'
split: {seed: x} >> split.seed: must be a whole number from 0 to 4294967295, or null, not 'x'
network: {hidden: 16} >> network.hidden: must be the word auto, or a list of whole numbers, at most 10, each from 1
network: {hidden: [8, 0]} >> such as [16] or [32, 16], but entry 2 is 0
network: {hidden: [8, true]} >> such as [16] or [32, 16], not [8, true]
network: {hidden: [1,1,1,1,1,1,1,1,1,1,1]} >> network.hidden: must be the word auto, or a list of whole numbers, at most
network: {activation: tan} >> network.activation: must be one of auto, tanh, relu, sigmoid, not 'tan'
network: {precision: 64} >> network.precision: must be one of auto, float64, float32, not 64
prior: 5 >> prior: must be a group of keys (lines indented below it), not 5
prior: true >> prior: must be a group of keys (lines indented below it), not true
prior: {weights: {scale: 0}} >> prior.weights.scale: must be the word auto, or a number greater than 0, not 0
prior: {biases: {df: .inf}} >> prior.biases.df: must be a number greater than 0, not Infinity
prior: {biases: {scale: .nan}} >> prior.biases.scale: must be the word auto, or a number greater than 0, not NaN
prior: {weights: {family: {}}} >> must be one of normal, laplace, student_t, not a group of keys
likelihood: {noise: auto} >> likelihood.noise: must be the word sampled, or a number greater than 0, not 'auto'
likelihood: {noise: 0} >> likelihood.noise: must be the word sampled, or a number greater than 0, not 0
likelihood: {noise: true} >> likelihood.noise: must be the word sampled, or a number greater than 0, not true
likelihood: {family: cauchy} >> likelihood.family: must be one of auto, gaussian, student_t, heteroscedastic
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
smpler: {} >> smpler: unknown key. Did you mean sampler? Allowed here: seed, repeats, conformal, split, columns,
chains: 4 >> chains: unknown key. It belongs in sampler.chains or datasets.<name>.sampler.chains.
task: 4 >> task: unknown key. It belongs in datasets.<name>.task.
"""

# YAML of a dataset x >> part of the message.
OF_A_DATASET = """
$IRIS, sampler: {chians: 2} >> x.sampler.chians: unknown key. Did you mean chains? Allowed here: kernel, chains
$IRIS, evaluation: {sensitivity_rerun: false} >> x.evaluation.sensitivity_rerun: is no longer a key: write a second
$IRIS, chains: 2 >> x.chains: unknown key. It belongs in sampler.chains. Allowed here: seed, repeats, conformal, split
$IRIS, path: a >> x.path: unknown key. It belongs in source.path. Allowed here:
$IRIS, sampler: 5 >> x.sampler: must be a group of keys (lines indented below it), not 5
task: clasification, $SOURCE >> x.task: must be one of classification, regression, timeseries, not 'clasification'
$SOURCE >> x.task: is missing; it must be one of classification, regression
task: regression >> x.source: is missing; it must be a group of keys (lines indented below it)
task: regression, source: >> x.source: must be a group of keys (lines indented below it), not null
task: regression, source: iris >> x.source: must be a group of keys (lines indented below it), not 'iris'
task: regression, source: {} >> x.source.kind: is missing; it must be one of csv, excel, feather, openml, parquet
task: regression, source: {kind: sql} >> x.source.kind: must be one of csv, excel, feather, openml, parquet, sklearn
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
$CSV, target: y, name: x} >> x.source.name: unknown key. Did you mean names? Allowed here: kind, path, test
$CSV, target: y, taget_unit: x} >> x.source.taget_unit: unknown key. Did you mean target_unit?
$CSV, target: [a, b]} >> x.source.target: must be one column, not 2: make a dataset for each, here with `target: a` and
$CSV, target: y, drop: a} >> x.source.drop: must be a list of texts, each not empty, not 'a'
$CSV, target: y, drop: [no]} >> must be a list of texts, each not empty, but entry 1 is false (put it in quotes if it is
$CSV, target: y, drop: [no]} >> meant as text: YAML takes words such as no and off for false)
$CSV, target: y, drop: [7]} >> but entry 1 is 7 (put it in quotes if it is meant as text)
$CSV, target: y, drop: [y]} >> x.source: drop must not name the target 'y'
$CSV, target: y, row_id: y} >> x.source: target and row_id both name y; remove it from one of them
$CSV, target: y, drop: [a], row_id: a} >> x.source: drop and row_id both name a; remove it from one of them
$CSV, target: y, drop: [a], categorical: [a]} >> x.source: drop and categorical both name a; remove it from one of them
$CSV, target: y, separator: ";;"} >> x.source.separator: must be text that is one character, not ';;'
$CSV, target: y, separator: "x"} >> x.source: separator cannot be 'x'; use one such as ',', ';', '|' or
$CSV, target: y, separator: "."} >> x.source: separator and decimal must not both be '.'
$CSV, target: y, encoding: windows1252} >> x.source.encoding: 'windows1252' is no encoding that Python knows; di
$OPENML, name: iris} >> x.source: give either id, or name and version: a name alone may mean another table tomorrow
$OPENML, id: 61, name: iris, version: 1} >> x.source: give either id, or name and version
$URL, url: "ftp://a.org/b.csv"} >> x.source.url: must be an address that begins with https:// or http://, not 'ftp://
$URL, url: "https://me:secret@a.org/b.csv"} >> x.source.url: must hold no user name and no password
$URL, url: "https://a.org/b.csv.7Z"} >> x.source.url: names an archive (.7z), and only a CSV file can be read
$URL, url: "https://a.org/größe.csv"} >> x.source.url: must hold no 'ö', which is not ASCII; write it as %C3%B6 (percent
$URL, url: "https://größe.org/b.csv"} >> x.source.url: must hold no 'ö', which is not ASCII; write the host in its form
$URL, url: "https://a.org:99999/b.csv"} >> x.source.url: must be an address with a host and a port that exist, not 'ht
$URL, url: "https://a.org:http/b.csv"} >> x.source.url: must be an address with a host and a port that exist, not 'ht
$URL, url: "https://[::1/b.csv"} >> x.source.url: must be an address with a host and a port that exist, not 'https://[:
$URL, url: "https://:443/b.csv"} >> x.source.url: must be an address that begins with https:// or http://, not 'https:/
$URL, url: "https://a.org/b.csv", sha256: abc} >> x.source.sha256: must be text that is 64 hexadecimal digits, not 'abc'
$IRIS, columns: {missing: ignore} >> x.columns.missing: must be one of auto, error, impute, not 'ignore'
$GAP, n: true} >> x.source.n: must be a whole number from 10 to 1000000, not true
$GAP, noise: 0} >> x.source.noise: must be a number greater than 0, not 0
task: regression, $SOURCE >> x.task: must be classification for the sklearn dataset 'iris'
task: classification, source: {kind: synthetic, name: gap} >> x.task: must be regression for the synthetic data
$IRIS, likelihood: {noise: 0.1} >> x.likelihood: has no effect, because only regression has noise; remove it
$GAP}, likelihood: {family: gaussian, df: 5} >> x.likelihood.df: has no effect on the family gaussian; remove it, or
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

# Name of a file in FAULTY >> what follows its name.
OF_A_CONFIG_FILE = {
    "a bracket": ", line 3, column 2: this is not YAML: expected ',' or ']'",
    "a tab": ", line 2, column 1: this is not YAML: found character",
    "a quotation mark": (
        ", line 3, column 1: this is not YAML: found unexpected end of stream, while scanning a "
        "quoted scalar that begins in line 1"
    ),
    "two documents": (
        ", line 2, column 1: this is not YAML: expected a single document in the stream (line 1), "
        "but found another"
    ),
    "an anchor that is not there": ", line 1, column 4: this is not YAML: found undefined alias 'b'; ",
    "brackets beyond all measure": ": its groups or lists are nested too deeply to be read",
    "two of a name, in JSON with tabs": ", line 3, column 2: the key 'a' stands in line 2 already",
    "a bell": ": this is not YAML (unacceptable character #x0007",
    "another encoding": ": this is not UTF-8 text (from byte 3 on)",
    "two of a name": ", line 4, column 3: the key 'iris' stands in line 2 already",
    "two in a list": ", line 2, column 10: the key 'b' stands in line 2 already",
}

# Name of a table in FAULTS -> what follows the name of the file.
OF_A_TABLE = {
    "empty": "the file is empty; it needs a header line and rows of data",
    "header only": "there is a header line but no row of data",
    "ragged row": "row 3 has 2 cells, but the header has 3; check its separators and quotation marks",
    "duplicate column": "row 1: column 'x' appears more than once; rename or remove one",
    "wrong encoding": (
        "the file is not UTF-8 text (line 4, from byte 5 on); set source.encoding: cp1252, as R and Excel write on "
        "Windows (the text there is then 'größer'), or save it again as 'CSV UTF-8'"
    ),
    "target column missing": "there is no target column 'y' (the columns are x, z, Y_)",
    "target value missing": (
        "column 'y', row 5: the value is missing; fill it in, remove the row, or leave such rows out "
        "(source.missing_target: drop)"
    ),
    "target constant": "column 'y': the target is 3.0 in every row",
    "one class": "column 'y': the target is 'a' in every row: there is nothing to tell apart",
    "a class with one row": (
        "of class 'c' there is one row, which cannot be in both parts; add rows, merge classes, or remove "
        "the rows"
    ),
    "all-missing column": "column 'z' has no value in any row; remove it, or set source.drop: [z]",
    "missing value": "column 'z', row 9: the value is missing; fill it in, remove row or column, or",
    "infinity": "column 'x', row 7: -inf is infinite or too large; correct it",
    "1e300": "column 'x', row 7: 1e300 is infinite or too large; correct it",
    "date": (
        "column 'day', row 2: '2021-03-01' is a date or a time, and features must be numbers or "
        "categories; make"
    ),
    "mixed types: a text among numbers": (
        "column 'z', row 6: 'tall' is not a number, but other cells of the column are; correct it"
    ),
    "words for a missing value": "column 'z', row 5: 'n.a.' is not a number, but other cells of the column are; "
    "correct it (a column of numbers may hold nothing else), or, if 'N.A.', '-', 'unknown' stand for "
    "a missing value, set source.missing_words: "
    f"{WORDS}, or, if all are levels, set source.categorical: [z], or drop the column (source.drop: [z])",
    "a word for a missing value in most rows": (
        "column 'z', row 2: '0' is a number, but most cells of the column are texts; correct it, "
        "or, if '?' stands for a missing value, set source.missing_words: [NA, N/A, \"#N/A\", "
        '"<NA>", NaN, "-NaN", "null", None, "?"], or, if'
    ),
    "mixed types: a number with its unit": (
        "column 'z', row 6: '12 kg' is not a number, but other cells of the column are; correct it "
        "(a column of numbers may hold nothing else); write a number alone, without unit or sign of money, or, if"
    ),
    "mixed types: a number among texts": (
        "column 'kind', row 5: '12' is a number, but most cells of the column are texts; correct it, or, if"
    ),
    "semicolon separator": (
        'the cells seem to be separated by semicolons; save the file with commas, or set source.separator: ";"'
    ),
    "decimal comma": (
        "column 'x', row 2: '0,5' is not a number as long as source.decimal is '.'; if its comma "
        "is a decimal comma, set source.decimal: ','"
    ),
    "decimal comma and semicolon": "the cells seem to be separated by semicolons",
    "10,000 levels": "column 'town' holds 9",
    "id column of texts": (
        "column 'id', row 2: 'AB-0000' is not a number, and the column has 40 different texts in "
        "40 rows: a name"
    ),
    "a text in five rows": (
        "column 'town', row 2: 'a' is not a number, and the column has 3 different texts in 5 "
        "rows: of categories each needs several rows to learn from, and a name or an id says "
        "nothing about new ones; add rows, drop the column"
    ),
    "id column of numbers": (
        "column 'id' numbers the rows, which says nothing about new ones; drop it (source.drop: "
        "[id]), keep it as the name of rows (source.row_id: id), or, if it is a quantity, set source.features"
    ),
    "3 rows": (
        "split.test_size 0.25 of 3 rows gives 2 to train and 1 to test, but at least 5 and 2 are "
        "needed; add rows"
    ),
    "3 rows, and a file of test rows": "the file has 3 rows to train, but at least 5 are needed; add rows",
    "a file of 1 test row": "the file has 1 row to test, but at least 2 are needed; add rows",
    "2 GB of nothing": "line 1 has more than 16777216 characters: this is no table of lines and columns",
    "folder": "the file cannot be read: Is a directory; check source.path",
    "unreadable": "the file cannot be read: Input/output error; check source.path",
    "symlink loop": "the file cannot be read: Too many levels of symbolic links; check source.path",
    "no file": "there is no such file; check source.path",
}

# CSV text -> part of the message.
OF_A_TEXT = [
    ("", "the file is empty"),
    ("\n\n , \n", "the file is empty"),
    ("a,b,y\n", "there is a header line but no row of data"),
    ("a,b,x\n1,2,3\n", "there is no target column 'y' (the columns are a, b, x)"),
    ("a,Y_,yy\n1,2,3\n", "did you mean 'yy'?"),
    ("a,b,a,y\n1,2,3,4\n", "row 1: column 'a' appears more than once"),
    (
        ",a,y\n0,1,2\n1,2,3\n",
        "column 'Unnamed: 0' has no name of its own; pandas and R write names of rows so",
    ),
    ("y\n1\n2\n", "there is no column beside the target 'y'"),
    ("a,b,y\n1,2,3\n\n4,5,6\n", "row 3 is empty; remove it"),
    ("a,b,y\n1,2,3\n4,5\n", "row 3 has 2 cells, but the header has 3"),
    ("a,b,y\n1,2,3,4\n", "row 2 has 4 cells, but the header has 3"),
    ("a;b;y\n1;2;3\n", "separated by semicolons"),
    ("a\tb\ty\n1\t2\t3\n", "separated by tabs"),
    ('"a";"b";"y"\n1;2;3\n', "separated by semicolons"),
    ("a,y\n1 %,2\n2,3\n3,4\n", "(a column of numbers may hold nothing else); write a number alone, without"),
    ('[{"a": 1, "y": 2}]\n', "this is a JSON file; make a CSV file of it, as pandas does with read_json"),
    ("<!DOCTYPE html><p>404\n", "this is a page of the web or an XML file, no table; check where"),
    ('a,y\n1,2\n"3,4\n', "row 3 cannot be read as CSV"),
    ("a,y\n1,2.0\n2,2.00\n3,2\n", "column 'y': the target is 2.0 in every row"),
    ("\na,y\n1,2\n", "row 1 is empty; the header line must come first"),
    ("a\0,y\n1,2\n", "row 1: the name of column 1 holds a character that cannot be seen (U+0000); rename"),
    ('"a\nb",y\n1,2\n', "row 1: the name of column 1 holds a character that cannot be seen (U+000A); rename"),
    ("a\u202eb,y\n1,2\n", "holds a character that cannot be seen (U+202E)"),
    (f"{'a' * 501},y\n1,2\n", "row 1: the name of column 1 has 501 characters, more than 500"),
    (f"a,y\n{'z' * 1000},2\n1,3\n", f"'{'z' * 57}...' is not a number"),
    ("a,y\n1\x1b[31m,2\n1,3\n", "row 2: '1\\x1b[31m' is not a number"),
    ("a,y\n1,2\n2,3\n3,4\n", "gives 2 to train and 1 to test, but at least 5 and 2 are needed"),
    ("a,y\n1,2\n2,3\n3,4\n4,high\n", "the target of a regression must be a number; for classes set"),
]


def assert_style(message: str) -> None:
    """No sentence is too long to be read at once; what stands in quotation marks counts as one word."""
    plain = re.sub(r"'[^']*'|`[^`]*`|\[[^]]*\]|\"[^\"]*\"", "it", message)
    for sentence in re.split(r"[.;:] |\n", plain):
        assert len(sentence.split()) <= MOST_WORDS, sentence


def config_message(raw: Any) -> str:
    with pytest.raises(ConfigError) as error:
        load(raw)
    (problem,) = error.value.problems
    assert str(error.value) == f"1 error in the configuration:\n  - {problem} [{problem.code}]"
    assert_style(problem.message)
    return str(problem)


@pytest.mark.parametrize(("text", "expected"), cases(SHARED))
def test_messages_of_shared_settings(text: str, expected: str) -> None:
    assert expected in config_message({**yaml.safe_load(text), "datasets": {"iris": IRIS, "gap": GAP}})


@pytest.mark.parametrize(("text", "expected"), cases(OF_A_DATASET))
def test_messages_of_a_dataset(text: str, expected: str) -> None:
    assert expected in config_message({"datasets": {"x": yaml.safe_load(f"{{{text}}}"), "iris": IRIS}})


def test_long_values_are_cut() -> None:
    raw: dict[str, Any] = {"datasets": {"iris": IRIS}}
    said = config_message({"baseline": {"weight_decay": "x" * 99}, **raw})
    assert said == f"baseline.weight_decay: must be a number, 0 or more, not '{'x' * 57}...'"
    assert config_message({"sampler": {"draws": [5] * 99}, **raw}).endswith("5, 5, 5,...")


def test_the_example_in_the_message_about_no_dataset_is_a_config() -> None:
    example = re.search("`(.*)`", config_message({}))
    assert example and list(load(yaml.safe_load(example[1])).datasets) == ["iris"]


@pytest.mark.parametrize("name", OF_A_CONFIG_FILE)
def test_messages_of_config_files(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "config.yaml").write_bytes(FAULTY[name][0])
    with pytest.raises(ConfigError) as error:
        check_syntax(["config.yaml"])
    (problem,) = error.value.problems
    assert str(problem).startswith(f"config.yaml{OF_A_CONFIG_FILE[name]}")
    assert_style(problem.message)


@pytest.mark.parametrize("name", OF_A_TABLE)
def test_messages_of_tables(name: str, tmp_path: Path) -> None:
    fault = next(fault for fault in FAULTS if fault.name == name)
    path = tmp_path / "mine.csv"
    fault.make(path)
    with pytest.raises(DataError) as error:
        read(fault, path)
    assert str(error.value).startswith(f"dataset 'mine': {tmp_path / fault.where}: {OF_A_TABLE[name]}")
    assert_style(str(error.value))


@pytest.mark.parametrize(("text", "expected"), OF_A_TEXT)
def test_messages_of_csv_texts(text: str, expected: str, tmp_path: Path) -> None:
    path = tmp_path / "bad.csv"
    path.write_text(text, encoding="utf-8", newline="")
    source = {"kind": "csv", "path": str(path), "target": "y"}
    split = {"method": "random", "test_size": 0.2, "stratify": False, "seed": 1}
    with pytest.raises(DataError) as error:
        prepare("mine", task="regression", source=source, split=split)
    assert expected in str(error.value)
    assert_style(str(error.value))


# Columns of a table of 60 rows beside y >> keys of the split >> beginning, or a part, of the doubt.
OF_DOUBTS: list[tuple[dict[str, Any], dict[str, Any], str]] = [
    (
        {"a": [i // 2 for i in range(60)], "y": [i // 2 * 1.5 for i in range(60)]},
        {},
        "row 3: 30 (50 %) of 60 rows repeat an earlier one, and are not trained on, as copies: targets of other rows "
        "differ; rows with the same features are in one part "
        "(split.repeated_rows: drop uses the first of those that are the same in all columns; keep says that they are",
    ),
    (
        {"a": [i // 2 for i in range(60)], "y": [i * 1.5 for i in range(60)]},
        {},
        "row 3: 30 (50 %) of 60 rows have the features of an earlier one, but not its target; rows with",
    ),
    (
        {"a": [i % 2 for i in range(60)], "y": [i * 1.5 for i in range(60)]},
        {},
        "12 (100 %) of 12 test rows have the features of a training row, because too few groups of such rows make a "
        "test part, and say little about new ones",
    ),
    (
        {"a": [min(i, 58) ** 2 for i in range(60)], "y": [i * 1.5 for i in range(60)]},
        {"method": "time"},
        "row 61: 1 (1.7 %) of 60 rows have the features of an earlier one, but not its target (split.repeated_rows:",
    ),
    (
        {"a": [i * i for i in range(60)], "y": [i % 9 if i != 50 else 10_000 for i in range(60)]},
        {"method": "time"},
        "column 'y', row 52: 10000 lies 3,896 standard deviations of the other values from their mean; the column is "
        "standardised without such values, and they are kept; if they are errors, correct them or remove the rows",
    ),
    (
        {"a": [i % 7 + i / 90 if i % 25 else 1e5 + i for i in range(60)], "y": [i % 9 for i in range(60)]},
        {"method": "time"},
        "from their mean; such values are in row 27, row 52, too; the column is standardised without such values, and "
        "they are kept; if they are errors, correct them or leave them empty",
    ),
]


@pytest.mark.parametrize(("columns", "keys", "expected"), OF_DOUBTS)
def test_messages_of_doubts(
    columns: dict[str, Any], keys: dict[str, Any], expected: str, tmp_path: Path
) -> None:
    path = tmp_path / "a.csv"
    rows = [",".join(map(str, row)) for row in zip(*columns.values(), strict=True)]
    path.write_text("\n".join([",".join(columns), *rows]) + "\n", encoding="utf-8")
    source = {"kind": "csv", "path": str(path), "target": "y", "features": ["a"]}
    split = {"method": "random", "column": None, "test_size": 0.2, "stratify": False, "seed": 1}
    (doubt,) = prepare("mine", task="regression", source=source, split=split | keys).doubts
    assert expected in doubt.with_place
    assert_style(doubt.with_place)


def test_a_terminal_shows_the_codes() -> None:
    one = Fault("value-missing", "the value is missing")
    assert with_code(one) == "the value is missing [value-missing]"
    assert with_code(Fault("several-faults", "two", faults=[one, one])) == "two", "they have theirs"
    assert with_code(OSError("disk full")) == "disk full"
