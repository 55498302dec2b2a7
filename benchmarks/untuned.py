"""Tables that nobody tuned: this package with `task` and `source` alone, against what else predicts with uncertainty.

Run as `python benchmarks/untuned.py --tables path/to/data --results folder [--only NAME ...] [--splits N]
[--methods NAME ...] [--budget MINUTES] [--config FILE]`. The folder of tables holds the files that
config/real-tables.yaml, or another config, names; the datasets of scikit-learn come with it, california_housing if it
can be downloaded. Every table is split as the workflow splits it, with `seed` 0, 1 and so on (a time series once), and
every model gets the same encoded rows.

Each (table, split, method) is a file <results>/<table>/<split>.<method>.json, and what is there is not computed again:
a run that was stopped goes on, and a model is measured anew once its files are removed. A summary of all that is there
is written to <results>/untuned.md. Everything runs on one core.

- bnn: `snakemake --cores 1` on a config of `seed`, `task` and `source` (and `series`) in a temporary folder; its
  core-seconds are those of all jobs up to the predictions and the verdict.
- ensemble: the deep ensemble of that run, of the network that was chosen for it; its core-seconds are those of the job
  that trains it, the baseline network and the linear model, without gradient boosting.
- the others: benchmarks/contenders.py. The Gaussian process runs on tables of at most 2,000 rows, bde on one split of
  larger ones.
"""

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import common  # noqa: F401, limits threads before NumPy is loaded
import contenders
import numpy as np
import peers
import scoring
import untuned_summary
import yaml

from bnn.config.errors import ConfigError
from bnn.config.loading import check_files, load, runs
from bnn.config.sources import SOURCE_TASKS
from bnn.core.code_digest import code_digest
from bnn.core.errors import Fault
from bnn.core.storage import read_attributes, read_json, write_json
from bnn.data.dataset import Dataset
from bnn.data.preparation import prepare
from bnn.data.sources import SKLEARN_TARGETS
from bnn.evaluation.forecasts import observed

ROOT = Path(__file__).parents[1]
OURS = ("bnn", "ensemble")
METHODS = (*OURS, *contenders.ENVIRONMENTS)
KEYS = ("task", "source", "series")
"""What of a dataset's config is used: nothing else is set."""
FEW_ROWS = 2000
"""Rows of a table up to which the Gaussian process runs, and bde on more than one split."""

Tables = dict[str, dict[str, Any]]
"""Name -> keys of its config"""


def read_tables(config: Path, only: list[str] | None) -> Tables:
    """Return scikit-learn's datasets and those of a config, as far as their files are there; say which are not."""
    tables: Tables = {
        name: {"task": SOURCE_TASKS[name], "source": {"kind": "sklearn", "name": name}}
        for name in SKLEARN_TARGETS
    }
    for name, keys in yaml.safe_load(config.read_text(encoding="utf-8"))["datasets"].items():
        tables[name] = {key: keys[key] for key in KEYS if key in keys}
    if unknown := sorted(set(only or ()) - set(tables)):
        raise SystemExit(f"no table is named {', '.join(unknown)}; there are {', '.join(tables)}")
    found: Tables = {}
    for name in only or tables:
        try:
            check_files(load({"datasets": {name: tables[name]}}))
        except ConfigError as error:
            print(f"{name} is left out: {error}", file=sys.stderr)
        else:
            found[name] = tables[name]
    return found


def prepared(name: str, keys: Mapping[str, Any], split: int) -> tuple[Dataset, bool]:
    """Return the table of a split as the workflow prepares it, and whether other splits have other rows."""
    settings = runs(load({"seed": split, "datasets": {name: keys}}))[name].model_dump(mode="json")
    sections = ("task", "source", "split", "columns", "series")
    return prepare(name, **{key: settings[key] for key in sections}), settings["split"]["seed"] is not None


def core_seconds(task: Callable[[], Any]) -> tuple[float, Any]:
    """Return the CPU seconds, of user and system, of the processes that a task starts, and what it returns."""

    def used() -> float:
        usage = resource.getrusage(resource.RUSAGE_CHILDREN)
        return usage.ru_utime + usage.ru_stime

    before = used()
    answer = task()
    return used() - before, answer


def run_workflow(
    name: str, keys: Mapping[str, Any], split: int, budget: float | None
) -> dict[str, dict[str, Any]]:
    """Return what is stored of `bnn` and of `ensemble`, both of one run of the workflow."""
    config: dict[str, Any] = {"seed": split, "datasets": {name: dict(keys)}}
    if budget is not None:
        config["sampler"] = {"budget_minutes": budget}
    with tempfile.TemporaryDirectory() as place:
        (Path(place) / "config.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
        command = [
            sys.executable,
            "-m",
            "snakemake",
            "--snakefile",
            str(ROOT / "Snakefile"),
            "--directory",
            place,
        ]
        command += ["--replace-workflow-config", "--configfile", f"{place}/config.yaml", "--cores", "1"]
        command += ["--workflow-profile", "none", "--quiet", "all", "--"]

        def make(*files: str) -> float:
            targets = [f"results/{name}/{file}" for file in files]
            seconds, done = core_seconds(
                partial(subprocess.run, [*command, *targets], capture_output=True, text=True)
            )
            if done.returncode:
                raise RuntimeError(f"the workflow failed:\n{done.stderr[-2000:]}")
            return seconds

        seconds = {"bnn": make("posterior.nc", "diagnostics.json"), "ensemble": make("baseline.nc")}
        make("metrics.json")
        folder = Path(place, "results", name)
        seconds["ensemble"] -= read_attributes(folder / "baseline.nc")["seconds_boosting"]
        diagnosed, plan = (read_json(folder / file) for file in ("diagnostics.json", "plan.json"))
        about = {"bnn": {"verdict": diagnosed["verdict"], "plan": plan["settings"]}, "ensemble": {}}
        return {
            model: {
                "core_seconds": seconds[model],
                "scores": scoring.means_of_rows(rows),
                "rows": rows,
                "code": code_digest(ROOT / "bnn", ROOT / "scripts", ROOT / "workflow"),
                **about[model],
            }
            for model, rows in scoring.workflow_rows(folder).items()
        }


def run_contender(method: str, dataset: Dataset, split: int) -> dict[str, Any]:
    """Return what is stored of another model."""
    y, n_classes = observed(dataset, "train"), dataset.n_classes or 0
    centre, scale = (0.0, 1.0) if n_classes else (y.mean(), y.std())
    target = y if n_classes else (y - centre) / scale
    arrays = (dataset.x_train, target, dataset.x_test, n_classes, split)
    environment = contenders.ENVIRONMENTS[method]
    seconds, answer = core_seconds(partial(peers.run_in, environment, contenders.__file__, method, *arrays))
    y_test = observed(dataset, "test")
    if not all(np.isfinite(part).all() for part in answer):
        raise ValueError(f"{method} predicts NaN or infinity")
    if n_classes:
        rows = scoring.class_rows(answer[0], y_test)
    elif method == "histogram":
        quantiles, mean = (centre + scale * part for part in answer)
        rows = scoring.quantile_rows(quantiles, mean, y_test)
    else:
        means, scales = centre + scale * answer[0], scale * answer[1]
        rows = scoring.normal_rows(means, scales, y_test, np.random.default_rng(split))
    return {"core_seconds": seconds, "scores": scoring.means_of_rows(rows), "rows": rows}


def runs_on(method: str, n_rows: int, split: int) -> bool:
    """Return whether a method is run on a split of a table of that size."""
    few = n_rows <= FEW_ROWS
    return few or not (method == "gaussian_process" or (method == "bde" and split > 0))


def measure(name: str, keys: Mapping[str, Any], methods: list[str], options: argparse.Namespace) -> None:
    """Run on a table what is not stored yet, and store it; a model that fails is stored as failed."""
    for split in range(options.splits):
        files = {method: options.results / name / f"{split}.{method}.json" for method in methods}
        open_ = [method for method, file in files.items() if not file.exists()]
        if not open_:
            continue
        dataset, by_lot = prepared(name, keys, split)
        if split and not by_lot:
            return
        n_train, n_test = len(dataset.y_train), len(dataset.y_test)
        # A list: a row in order of the table, by which models are paired.
        shared = {
            "table": name,
            "split": split,
            "task": dataset.task,
            "is_series": dataset.time_test is not None,
            "n_train": n_train,
            "n_test": n_test,
            "n_features": dataset.n_inputs,
            "row": dataset.row_test,
        }
        open_ = [method for method in open_ if runs_on(method, n_train + n_test, split)]
        while open_:
            method = open_[0]
            together = [other for other in open_ if other == method or (method in OURS and other in OURS)]
            start = time.perf_counter()
            try:
                if method in OURS:
                    found = run_workflow(name, keys, split, options.budget)
                else:
                    found = {method: run_contender(method, dataset, split)}
            except (RuntimeError, subprocess.CalledProcessError, ValueError) as error:
                found = {other: {"failed": str(error)} for other in together}
            for other in together:
                result = {"method": other, **shared, **found[other]}
                files[other].parent.mkdir(parents=True, exist_ok=True)
                write_json(files[other], result)
                told = result.get("scores") or result["failed"]
                print(name, split, other, f"{time.perf_counter() - start:.0f} s", told, flush=True)
                open_.remove(other)


def main(arguments: list[str] | None = None) -> None:
    """Measure what is asked for, and write the summary."""
    parser = argparse.ArgumentParser(description="Untuned models on tables.")
    parser.add_argument(
        "--tables", type=Path, required=True, help="folder of the files that the config names"
    )
    parser.add_argument("--results", type=Path, required=True, help="folder of what was measured")
    parser.add_argument("--config", type=Path, default=ROOT / "config" / "real-tables.yaml")
    parser.add_argument("--only", nargs="+", metavar="NAME", help="tables (default: all)")
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS))
    parser.add_argument("--splits", type=int, default=5)
    parser.add_argument(
        "--budget", type=float, metavar="MINUTES", help="sampler.budget_minutes (default: its own)"
    )
    options = parser.parse_args(arguments)
    os.environ["BNN_DATA"] = str(options.tables.resolve())
    options.results.mkdir(parents=True, exist_ok=True)
    if set(OURS) & set(options.methods):
        settings, kept = {"budget_minutes": options.budget}, options.results / "settings.json"
        if kept.exists() and (before := read_json(kept)) != settings:
            parser.error(f"{kept} says {before}: name another folder for the results of {settings}")
        write_json(kept, settings)
    for name, keys in read_tables(options.config, options.only).items():
        try:
            measure(name, keys, options.methods, options)
        except Fault as error:
            print(f"{name} is left out: {error}", file=sys.stderr)
    untuned_summary.write(options.results, METHODS)


if __name__ == "__main__":
    main()
