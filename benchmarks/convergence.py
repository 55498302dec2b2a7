"""Core-seconds until chains agree: this package, its build d22f40b, NumPyro, nutpie and BlackJAX on one core.

Run as `python benchmarks/convergence.py --results FOLDER [--tables FOLDER] [--earlier CHECKOUT] [--only TARGET ...]
[--methods NAME ...] [--seeds N] [--minutes M]`; a stored result, <results>/<target>/<seed>.<method>.json, is not
computed again. The summary of all that is there goes to <results>/convergence.md.

Every target is a tanh network with N(0, 1) on every weight and bias; of a real target the log of the noise is
N(-1, 1). Inputs and real targets are standardised by the training rows, a fifth of the rows is for testing, but for the
tables of the tutorial (Chandra & Simmons 2024), which come with their split.

A method runs four chains in **stages** from the start, each with twice as many iterations of warm-up and draws as the
one before, 250 of each at first. It has **got there** at the first stage after which at every test row R-hat is at most
1.05 and bulk ESS at least 100. Its core-seconds are the CPU time of that stage without that of a run of two and
two iterations, which imports and compiles. Its next stage is not begun if it would take more than the minutes that are
allowed, as the last one says: it has then **not got there**.
"""

import argparse
import functools
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import common
import numpy as np
import peers
import samplers
from untuned import core_seconds

from bnn.core.storage import read_json, write_json
from bnn.posterior.arviz_versions import ess_bulk, rhat

METHODS = ("ours", "earlier", *samplers.ENVIRONMENTS)
RHAT, ESS = 1.05, 100.0
FIRST = 250
SHORTEST = 2
"""Iterations of warm-up and draws of the run whose seconds are taken off"""


class Target(NamedTuple):
    """Standardised rows and the sizes of all layers."""

    x: np.ndarray
    y: np.ndarray
    x_test: np.ndarray
    sizes: np.ndarray


def of_rows(
    x: np.ndarray, y: np.ndarray, hidden: tuple[int, ...], test: np.ndarray, *, is_class: bool
) -> Target:
    """Return a target of the rows of a table, (row, feature) and (row,), some of which are for testing, (row,) bool."""
    mean, scale = x[~test].mean(axis=0), x[~test].std(axis=0)
    x = (x - mean) / np.where(scale > 0, scale, 1.0)
    y = np.unique(y, return_inverse=True)[1] if is_class else (y - y[~test].mean()) / y[~test].std()
    n_outputs = int(y.max()) + 1 if is_class else 1
    return Target(x[~test], y[~test], x[test], np.array([x.shape[1], *hidden, n_outputs]))


def _split(x: np.ndarray, y: np.ndarray, hidden: tuple[int, ...], seed: int, *, is_class: bool) -> Target:
    from sklearn.model_selection import train_test_split

    parts = train_test_split(
        np.arange(len(y)), test_size=0.2, random_state=seed, stratify=y if is_class else None
    )
    return of_rows(x, y, hidden, np.isin(np.arange(len(y)), parts[1]), is_class=is_class)


def _sklearn(name: str, hidden: tuple[int, ...], seed: int, *, is_class: bool) -> Target:
    import sklearn.datasets

    x, y = getattr(sklearn.datasets, f"load_{name}")(return_X_y=True)
    return _split(x, y, hidden, seed, is_class=is_class)


def _numbers(frame: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return all columns but the last, texts as one column of 0 and 1 for each level, and the last one."""
    import pandas as pd

    return pd.get_dummies(frame.iloc[:, :-1]).to_numpy(dtype=np.float64), frame.iloc[:, -1].to_numpy()


def _file(folder: Path, name: str, hidden: tuple[int, ...]) -> Target:
    import pandas as pd

    x, y = _numbers(pd.read_csv(folder / f"{name}.csv"))
    return _split(x, y.astype(float), hidden, 0, is_class=False)


def _tutorial(folder: Path, name: str, *, is_class: bool) -> Target:
    import pandas as pd

    parts = [pd.read_csv(folder / "tutorial" / f"{name}_{part}.csv") for part in ("train", "test")]
    x, y = _numbers(pd.concat(parts))
    test = np.arange(len(y)) >= len(parts[0])
    return of_rows(x, y if is_class else y.astype(float), (10,), test, is_class=is_class)


def targets(tables: Path | None) -> dict[str, Callable[[], Target]]:
    """Return functions that read each target; without a folder of tables those of scikit-learn's datasets."""
    found: dict[str, Callable[[], Target]] = {
        "iris": functools.partial(_sklearn, "iris", (10,), 42, is_class=True),
        "diabetes": functools.partial(_sklearn, "diabetes", (10,), 0, is_class=False),
    }
    if tables is not None:
        for name, hidden in (("abalone", (10,)), ("concrete", (50,)), ("airfoil", (16, 16))):
            found[name] = functools.partial(_file, tables, name, hidden)
        for name, is_class in (("iris", True), ("ionosphere", True), ("abalone", False), ("sunspot", False)):
            found[f"tutorial_{name}"] = functools.partial(_tutorial, tables, name, is_class=is_class)
    return found


def run_stage(method: str, target: Target, seed: int, n: int, earlier: Path | None) -> tuple[float, Any]:
    """Return CPU seconds of a run with n iterations of warm-up and n draws, and what it returned."""
    arguments = [*target, seed, n, n, *([str(earlier.resolve())] if method == "earlier" and earlier else [])]
    environment = samplers.ENVIRONMENTS.get(method, Path(sys.executable))
    return core_seconds(functools.partial(peers.run_in, environment, samplers.__file__, method, *arguments))


def measure(
    method: str, target: Target, seed: int, *, minutes: float, earlier: Path | None
) -> dict[str, Any]:
    """Return the stages of a method on a target until it has got there, or may not go on."""
    for _ in range(2):  # the first one fills caches of compiled code
        overhead, _ = run_stage(method, target, seed, SHORTEST, earlier)
    stages: list[dict[str, Any]] = []
    n = FIRST
    while True:
        seconds, (predicted, n_gradients) = run_stage(method, target, seed, n, earlier)
        seconds = max(seconds - overhead, 0.0)
        varies = predicted.std(axis=(0, 1)) > 0
        is_finite = bool(np.isfinite(predicted).all() and varies.all())
        stages.append(
            {
                "n": n,
                "seconds": seconds,
                "n_gradients": None if np.isnan(n_gradients) else float(n_gradients),
                "rhat_median": float(np.median(rhat(predicted))) if is_finite else None,
                "rhat": float(rhat(predicted).max()) if is_finite else None,
                "ess": float(ess_bulk(predicted).min()) if is_finite else None,
            }
        )
        last = stages[-1]
        print(method, seed, last, flush=True)
        there = is_finite and last["rhat"] <= RHAT and last["ess"] >= ESS
        if there or 2 * seconds > 60 * minutes:
            return {"there": there, "minutes": minutes, "overhead": overhead, "stages": stages}
        n *= 2


def _cells(found: Mapping[str, Any], ours: float | None) -> list[str]:
    """Return the row of a method: its last stage, and the ratio of this package's core-seconds to its own."""
    if "failed" in found:
        return ["failed", "–", "–", "–", "–", "–"]
    last = found["stages"][-1]
    if last["rhat"] is None:
        shown, ess = "not finite", "–"
    else:
        shown, ess = f"{last['rhat_median']:.3f} / {last['rhat']:.3f}", f"{last['ess']:.0f}"
    gradients = "–" if last["n_gradients"] is None else f"{last['n_gradients']:,.0f}"
    seconds = f"{last['seconds']:.1f}" if found["there"] else f"not reached in {last['seconds']:.0f}"
    rate = f"{last['ess'] / last['seconds']:.2g}" if found["there"] and last["seconds"] > 0 else "–"
    ratio = f"{ours / last['seconds']:.2g}" if found["there"] and ours and last["seconds"] > 0 else "–"
    return [seconds, gradients, shown, ess, rate, ratio]


def write(folder: Path) -> None:
    """Write the table of all stored results."""
    rows = []
    for place in sorted(path for path in folder.iterdir() if path.is_dir()):
        for seed in sorted({int(path.name.partition(".")[0]) for path in place.glob("*.json")}):
            results = {
                method: read_json(path)
                for method in METHODS
                if (path := place / f"{seed}.{method}.json").exists()
            }
            mine = results.get("ours", {"there": False})
            ours = mine["stages"][-1]["seconds"] if mine.get("there") else None
            rows += [
                [place.name, str(seed), method, *_cells(found, ours)] for method, found in results.items()
            ]
    header = ["target", "seed", "method", "core-seconds", "gradients of all chains"]
    header += ["R-hat over test rows, median / max", "bulk ESS, min", "ESS a second", "ours / its seconds"]
    note = (
        "Core-seconds of the first of stages, each twice as long as the one before, after which every test row has "
        f"R-hat at most {RHAT} and bulk ESS at least {ESS:.0f}: warm-up and draws of four chains, without imports and "
        "compilation, which leave the seconds uncertain by about one. "
        "Where a method has not got there, the seconds are those of its last stage, and there is no ratio: the ESS of "
        "chains that disagree means nothing. mclmc is unadjusted: its draws are biased by its step size. nutpie calls "
        "a function compiled by JAX for each gradient from Python, which is most of its time on targets this small. "
        "`earlier` is build d22f40b of this package, with its default kernel compiled."
    )
    title = "Core-seconds until chains agree"
    common.write_table("convergence", title, header, rows, note, folder=folder)


def main(arguments: list[str] | None = None) -> None:
    """Measure what is asked for and not there yet, and write the table."""
    parser = argparse.ArgumentParser(description="Core-seconds until chains agree.")
    parser.add_argument("--results", type=Path, required=True, help="folder of what was measured")
    parser.add_argument("--tables", type=Path, help="folder of abalone.csv and the others")
    parser.add_argument("--earlier", type=Path, metavar="CHECKOUT", help="folder of build d22f40b")
    parser.add_argument("--only", nargs="+", metavar="TARGET")
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--minutes", type=float, default=60.0, help="core-minutes of a stage at most")
    options = parser.parse_args(arguments)
    known = targets(options.tables)
    if unknown := sorted(set(options.only or ()) - set(known)):
        parser.error(f"no target is named {', '.join(unknown)}; there are {', '.join(known)}")
    options.results.mkdir(parents=True, exist_ok=True)
    for name in options.only or known:
        for seed in range(options.seeds):
            for method in options.methods:
                file = options.results / name / f"{seed}.{method}.json"
                if file.exists() or (method == "earlier" and options.earlier is None):
                    continue
                print(name, flush=True)
                try:
                    found = measure(
                        method, known[name](), seed, minutes=options.minutes, earlier=options.earlier
                    )
                except (FileNotFoundError, RuntimeError, ValueError, OSError) as error:
                    print(f"{name}: {method} is left out: {error}", file=sys.stderr)
                    continue
                file.parent.mkdir(parents=True, exist_ok=True)
                write_json(file, {"target": name, "method": method, "seed": seed, **found})
    write(options.results)


if __name__ == "__main__":
    main()
