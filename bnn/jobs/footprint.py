"""How much memory each job will need, told from the config and the first part of a table, before anything has run.

The Snakefile imports this module, so it must stay light: no NumPy here. A prediction counts all that a cluster counts:
the script with the libraries that it loads, its arrays, and the Snakemake that starts it there.
"""

import csv
import itertools
import math
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

MARGIN = 1.25
"""Requests over predictions: an allocator holds more than what is in use."""

_MIB = 2**20
_SNAKEMAKE_MB = 130
_BLOCK = 64 * _MIB
_SAMPLE_BYTES = 2**17
_MOST_CLASSES = 1000
_MOST_LEVELS = 250
_MISSING = {"na", "nan", "null", "none", "n/a"}
_STRANGE_ROWS = 400
"""Inputs of a kind by which a model is tested for what it does not know, at most"""
_NEW_ROWS = 1000
"""New rows that are predicted at a time, if there are as many"""

# Interpreter and libraries: what a script needs on the smallest of tables.
_BASE_MB = {
    "prepare": 185,
    "fit_baseline": 105,
    "sample_chain": 65,
    "combine": 65,
    "diagnose": 65,
    "evaluate": 115,
    "check": 95,
    "predict": 200,
    "plot": 125,
    "report": 50,
    "overview": 50,
}


class Table(NamedTuple):
    """Extent of a table, train and test rows together."""

    rows: int
    features: int
    outputs: int
    """Classes, or 1 for regression."""


_SKLEARN = {
    "iris": Table(150, 4, 3),
    "wine": Table(178, 13, 3),
    "breast_cancer": Table(569, 30, 2),
    "diabetes": Table(442, 10, 1),
    "california_housing": Table(20_640, 8, 1),
}
_SYNTHETIC = {"gap": (1, 1), "sine": (1, 1), "friedman1": (10, 1), "two_moons": (2, 2)}
"""Features and outputs of artificial data."""
_UNSEEN = Table(20_000, 30, 1)
"""What is taken for a table that is not on this machine yet; a job that runs out of memory is tried again with more."""


def table_of(source: Mapping[str, Any], task: str, *, aside: str | None = None) -> Table:
    """Return the extent of a source, of a text file estimated from its first 128 KiB (exact if it is shorter).

    Each text of a column counts as a feature, as does a column with missing values once more. Whatever is wrong with a
    file is for its reader to say: here it counts as an empty table.

    Parameters
    ----------
    source
        `kind` and the keys of that kind, as in the config.
    task
        "classification" or "regression".
    aside
        Column that is no feature, because rows are split or put in order by it.
    """
    kind = source["kind"]
    if kind == "sklearn":
        return _SKLEARN[source["name"]]
    if kind == "synthetic":
        return Table(source["n"], *_SYNTHETIC[source["name"]])
    if kind == "url":
        path = Path(os.environ.get("BNN_CACHE") or "results/.cache") / f"{source['sha256'].lower()}.csv"
        return _table_of_file(path, source, task, aside) if path.is_file() else _unseen(task)
    if kind == "openml":
        return _unseen(task)
    train = _table_of_file(Path(source["path"]), source, task, aside)
    test = _table_of_file(Path(source["test"]), source, task, aside) if source["test"] else Table(0, 0, 0)
    return Table(train.rows + test.rows, train.features, train.outputs)


def with_lags(series: Table, lags: int) -> Table:
    """Return the extent of the table that a time series becomes."""
    return series._replace(features=series.features + lags)


def _unseen(task: str) -> Table:
    return _UNSEEN._replace(outputs=1 if task != "classification" else 10)


def _table_of_file(path: Path, source: Mapping[str, Any], task: str, aside: str | None) -> Table:
    """Return the extent of a file; of Parquet, which is not read here, as if a cell took four bytes."""
    try:
        with path.open("rb") as file:
            data = file.read(_SAMPLE_BYTES)
        size = path.stat().st_size
    except OSError:
        return Table(0, 1, 1)
    if source["kind"] == "parquet":
        return Table(size // (4 * _UNSEEN.features), _UNSEEN.features, _unseen(task).outputs)
    # The last line of a sample is cut anywhere, and must not count.
    whole = data if size <= len(data) else data[: data.rfind(b"\n") + 1]
    lines = whole.decode("utf-8-sig", errors="replace").splitlines()
    n_lines = max(len(lines) - 1, 0)
    rows = n_lines if size <= len(data) else round(n_lines * size / max(len(whole), 1))
    separator = "\t" if source["kind"] == "tsv" else source.get("separator", ",")
    try:
        header, *cells = csv.reader(lines, delimiter=separator) if lines else [[""]]
    except csv.Error:
        return Table(rows, lines[0].count(separator), 1)
    names = [name.strip() for name in header]
    columns = dict(zip(names, itertools.zip_longest(*cells, fillvalue=""), strict=False))
    target = columns.pop(source["target"], ())
    outputs = 1
    if task == "classification" and target:
        outputs = min(max(len({cell.strip() for cell in target}), 2), _MOST_CLASSES)
    left_out = {source["target"], aside, *source.get("drop", ())}
    chosen = [
        _n_features(columns.get(name, ()), is_text=name in source.get("categorical", ()))
        for name in names
        if name not in left_out
    ]
    return Table(rows, max(sum(chosen), 1), outputs)


def _n_features(cells: Iterable[str], *, is_text: bool) -> int:
    """Return about how many features a column becomes."""
    texts = {cell.strip() for cell in cells}
    words = texts - {""}
    n_missing = int("" in texts or any(word.lower() in _MISSING for word in words))
    # A few cells tell: a column of numbers holds no text, or it is an error.
    is_text = is_text or any(
        word[0].isalpha() for word in itertools.islice(words, 20) if word.lower() not in _MISSING
    )
    return n_missing + (min(len(words), _MOST_LEVELS) if is_text else 1)


def n_parameters(table: Table, settings: Mapping[str, Any]) -> int:
    """Return the number of parameters of a posterior, or one or two more."""
    outputs = table.outputs + (settings["likelihood"]["family"] == "heteroscedastic")
    sizes = (table.features, *settings["network"]["hidden"], outputs)
    weights = sum((n_in + 1) * n_out for n_in, n_out in itertools.pairwise(sizes))
    return weights + 2 + (table.features + len(sizes) if settings["prior"]["learned_scales"] != "none" else 0)


def peak_mb(rule: str, table: Table, settings: Mapping[str, Any]) -> float:
    """Predict the peak memory of a job.

    Parameters
    ----------
    rule
        Name of the rule.
    table
        Extent of its table; anything for `overview`, which has none.
    settings
        Whole settings of the dataset.

    Returns
    -------
    float
        MiB of the script and of the Snakemake that starts it.
    """
    sampler = settings["sampler"]
    rows, features = table.rows, table.features
    draws = sampler["chains"] * sampler["draws"]
    points, weights = draws * rows, draws * n_parameters(table, settings)
    regression = settings["task"] != "classification"
    columns = rows * (features + 1)
    # Bytes on top of the base, by what holds them.
    extra = {
        # The columns as they are read, and as features: both as numbers.
        "prepare": 17 * columns,
        "fit_baseline": 28 * columns,
        # The table twice (as read, and turned for the network); draws go to the disk as they come.
        "sample_chain": 16 * columns,
        # A block of draws at a time: what each predicts, and its weights; and the weights of one chain as stored.
        "combine": min(points * (4 * table.outputs + 12) + 24 * weights, _BLOCK)
        + 16 * weights / sampler["chains"],
        "diagnose": 30 * _MIB + points * 5 + 7 * weights,
        # The weights stacked and as stored; a block of replicated targets; predictions of strange inputs.
        "check": 32 * weights
        + draws * min(rows, 2 * _STRANGE_ROWS) * (16 * table.outputs + 16)
        + min(32 * points * table.outputs, 2 * _BLOCK),
        # Those of a block of new rows, and the weights as above.
        "predict": 32 * weights + 24 * draws * _NEW_ROWS * table.outputs,
        "evaluate": min(points * (20 if regression else 4 * table.outputs + 12), 2 * _BLOCK),
        "plot": points * 5,
    }.get(rule, 0)
    return _BASE_MB[rule] + max(0.0, extra) / _MIB + _SNAKEMAKE_MB


def request_mb(rule: str, table: Table, settings: Mapping[str, Any]) -> int:
    """Return what a job of a rule asks for, in MiB, rounded up to whole tens."""
    return 10 * math.ceil(MARGIN * peak_mb(rule, table, settings) / 10)


def summary(datasets: Mapping[str, Mapping[str, Any]], tables: Mapping[str, Table]) -> str:
    """Say in two lines what a run of these datasets amounts to, and in a third where a setting does not pay.

    Parameters
    ----------
    datasets
        Name -> whole settings.
    tables
        Name -> extent of the table.
    """
    samplers = [settings["sampler"] for settings in datasets.values()]
    chains = sum(sampler["chains"] for sampler in samplers)
    jobs = sum(math.ceil(sampler["chains"] / sampler["chains_per_job"]) for sampler in samplers)
    draws = sum(sampler["chains"] * sampler["draws"] for sampler in samplers)
    requests = [
        (request_mb(rule, tables[name], settings), rule, name)
        for name, settings in datasets.items()
        for rule in _BASE_MB
        if rule != "overview" and (rule != "predict" or settings["predict"])
    ]
    most, rule, name = max(requests)
    lines = [
        f"{_number(len(datasets), 'dataset')} with {sum(table.rows for table in tables.values()):,} rows: "
        f"{_number(chains, 'chain')} in {_number(jobs, 'job')} keep{'s' if chains == 1 else ''} {draws:,} draws.",
        f"The job that asks for most memory is {rule} of {name}: {most:,} MB.",
    ]
    networks = {name: settings["network"] for name, settings in datasets.items()}
    slow = [name for name, of in networks.items() if (of["engine"], of["precision"]) == ("numba", "float64")]
    if slow:
        more = f" and {len(slow) - 1} more" if len(slow) > 1 else ""
        lines.append(
            f"network.engine: numba gains little or nothing in float64 ({slow[0]}{more}): set network.precision: "
            "float32 for its speed, or leave it out."
        )
    return "\n".join(lines)


def _number(count: int, noun: str) -> str:
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"
