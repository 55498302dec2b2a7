"""How much memory each job will need, told from the config and the first part of a table, before anything has run.

The Snakefile imports this module, so it must stay light: no NumPy here. A prediction counts all that a cluster counts:
the script with the libraries that it loads, its arrays, and the Snakemake that starts it there.
"""

import csv
import itertools
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

MARGIN = 1.25
"""Requests over predictions: an allocator holds more than what is in use."""

_MIB = 2**20
_SNAKEMAKE_MB = 100
_BLOCK = 64 * _MIB
_SAMPLE_BYTES = 2**17
_MOST_CLASSES = 1000
_STRANGE_ROWS = 400
"""Inputs of a kind by which a model is tested for what it does not know, at most"""
_NEW_ROWS = 1000
"""New rows that are predicted at a time, if there are as many"""

# Interpreter and libraries: what a script needs on the smallest of tables.
_BASE_MB = {
    "prepare": 165,
    "fit_baseline": 170,
    "sample_chain": 60,
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
}


def table_of(source: Mapping[str, Any], task: str) -> Table:
    """Return the extent of a source, of a CSV file estimated from its first 128 KiB (exact if it is shorter).

    Whatever is wrong with a file is for its reader to say: here it counts as an empty table.

    Parameters
    ----------
    source
        `kind` and the keys of that kind, as in the config.
    task
        "classification" or "regression".
    """
    if source["kind"] == "sklearn":
        return _SKLEARN[source["name"]]
    if source["kind"] == "synthetic":
        return Table(source["n"], 1, 1)
    train = _table_of_csv(Path(source["path"]), source["target"], task)
    test = _table_of_csv(Path(source["test"]), source["target"], task) if source["test"] else Table(0, 0, 0)
    return Table(train.rows + test.rows, train.features, train.outputs)


def _table_of_csv(path: Path, target: str, task: str) -> Table:
    try:
        with path.open("rb") as file:
            data = file.read(_SAMPLE_BYTES)
        size = path.stat().st_size
    except OSError:
        return Table(0, 1, 1)
    # The last line of a sample is cut anywhere, and must not count.
    whole = data if size <= len(data) else data[: data.rfind(b"\n") + 1]
    header, *lines = whole.decode("utf-8-sig", errors="replace").splitlines() or [""]
    rows = len(lines) if size <= len(data) else round(len(lines) * size / max(len(whole), 1))
    outputs = 1
    try:
        names = [name.strip() for name in next(csv.reader([header]), [""])]
        if task == "classification" and target in names:
            place = names.index(target)
            labels = {cells[place].strip() for cells in csv.reader(lines) if len(cells) > place}
            outputs = min(max(len(labels), 2), _MOST_CLASSES)
    except csv.Error:
        return Table(rows, header.count(","), outputs)
    return Table(rows, max(len(names) - 1, 1), outputs)


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
    regression = settings["task"] == "regression"
    columns = rows * (features + 1)
    # Bytes on top of the base, by what holds them.
    extra = {
        # Every cell as text in two lists, the columns as numbers, and both parts, raw and standardised.
        "prepare": 110 * columns - 60 * _MIB,
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
    """Say in two lines what a run of these datasets amounts to.

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
        if rule != "overview"
    ]
    most, rule, name = max(requests)
    return (
        f"{len(datasets):,} datasets with {sum(table.rows for table in tables.values()):,} rows: "
        f"{chains:,} chains in {jobs:,} jobs keep {draws:,} draws.\n"
        f"The job that asks for most memory is {rule} of {name}: {most:,} MB."
    )
