"""What the stored results of `benchmarks/untuned.py` say, as Markdown tables."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import common
import comparison
import numpy as np
from comparison import ByMethod

from bnn.core.storage import read_json

MANY_ROWS = 1000
"""Rows of a table from which on its coverage is judged by itself"""

_NOTE = """\
Of classes CRPS stands for the Brier score (0 to 2) and RMSE for the accuracy; NLL is in nats a row, its density
and all else in the unit of the target; where this package chose counts, its NLL is of probabilities, beside the
densities of the others. Scores are means over the splits at which a model ran. **Behind the best**: mean of
paired differences in CRPS or Brier from the best model over rows and splits, with its standard error, the
larger of that over rows (those that several splits share count once, neighbours of a series together) and that
over splits (Nadeau & Bengio 2003); `=` marks the best model, and `~` those that are not told apart from it,
being behind by at most two standard errors. A model that failed on a split is told apart. The **rank in NLL**
is that among the models with a density that ran on a split, failures last. **Times ...**: geometric mean over
(table, split) of the ratio within each; core-seconds are CPU time of all processes, start and imports included.
CatBoost: a normal with the mean and the variance of all trees, and the variance among the means of ten virtual
ensembles. Its trees and NGBoost's are counted on a fifth of the training rows, and fitted again on all.
Histogram boosting: 19 quantiles."""


def read_results(folder: Path, methods: Sequence[str]) -> dict[str, ByMethod]:
    """Return table -> method -> results, methods in that order."""
    found: dict[str, ByMethod] = {}
    for path in sorted(folder.glob("*/*.json")):
        result = read_json(path)
        found.setdefault(result["table"], defaultdict(list))[result["method"]].append(result)
    return {
        table: {method: by_method[method] for method in methods if method in by_method}
        for table, by_method in found.items()
    }


def write(folder: Path, methods: Sequence[str]) -> None:
    """Print the summary of all that is stored in a folder, and write it there."""
    tables = read_results(folder, methods)
    if not tables:
        print("Nothing is stored.")
        return
    behind = {table: comparison.standings(by_method) for table, by_method in tables.items()}
    header = ["model", "best, or not told apart, of tables", "mean rank in NLL (tables)"]
    header += [
        f"coverage of 90 % intervals: mean; tables of {MANY_ROWS:,} rows or more",
        "times bnn's CRPS or Brier",
        "times bde's core-seconds",
    ]
    rows = [[method, *_overall(tables, behind, method)] for method in methods]
    parts = [_table_of(table, by_method, behind[table]) for table, by_method in tables.items()]
    codes = {r["code"] for by in tables.values() for r in by.get("bnn", ()) if "failed" not in r}
    if len(codes) > 1:
        parts.insert(0, f"**Results of {len(codes)} versions of this package are mixed here.**")
    title = "Tables that nobody tuned"
    common.write_table("untuned", title, header, rows, "\n\n".join([_NOTE, *parts]), folder=folder)


def _overall(
    tables: Mapping[str, ByMethod], behind: Mapping[str, Mapping[str, comparison.Difference]], method: str
) -> list[str]:
    """Return the cells of a method in the table over all tables."""
    ran = [table for table, by_method in tables.items() if method in by_method]
    good = [table for table in ran if not comparison.is_told_apart(behind[table][method])]
    # Each table counts once, however many splits it has.
    placed = [
        float(np.mean(found[method]))
        for by in tables.values()
        if method in (found := comparison.nll_ranks(by))
    ]
    shares, large, losses, costs = [], [], [], []
    for table in ran:
        results = tables[table][method]
        losses += comparison.ratios(tables[table], method, "bnn", comparison.loss)
        costs += comparison.ratios(tables[table], method, "bde", comparison.cost)
        if (share := _mean(results, "coverage")) is None:
            continue
        shares.append(share)
        if results[0]["n_train"] + results[0]["n_test"] >= MANY_ROWS:
            large.append(share)
    covered = f"{100 * np.mean(shares):.1f} %" if shares else "–"
    covered += f"; {100 * min(large):.1f} to {100 * max(large):.1f} %" if large else ""
    return [
        f"{len(good)} of {len(ran)}",
        f"{np.mean(placed):.2f} ({len(placed)})" if placed else "–",
        covered,
        *(
            f"{comparison.geometric_mean(part):.3g} ({len(part)})" if part else "–"
            for part in (losses, costs)
        ),
    ]


def _table_of(table: str, by_method: ByMethod, behind: Mapping[str, comparison.Difference]) -> str:
    """Return the section of one table."""
    first = next(iter(by_method.values()))[0]
    is_class = first["task"] == "classification"
    names = ["nll", "brier", "accuracy"] if is_class else ["nll", "crps", "rmse", "coverage"]
    header = [
        "model",
        "splits",
        "NLL",
        *(("Brier", "accuracy") if is_class else ("CRPS", "RMSE", "90 % cover")),
    ]
    header += ["core-seconds", "behind the best", "mean rank in NLL", "verdicts"]
    placed, rows = comparison.nll_ranks(by_method), []
    for method, results in by_method.items():
        failed = sum("failed" in result for result in results)
        values = [_mean(results, name) for name in names]
        seconds = [result["core_seconds"] for result in results if "failed" not in result]
        value, error = behind[method]
        mark = "=" if value == 0 and error == 0 else "" if comparison.is_told_apart(behind[method]) else "~"
        verdicts = [result["verdict"] for result in results if "verdict" in result]
        rows.append(
            [method, f"{len(results)}" + (f", {failed} failed" if failed else "")]
            + ["–" if value is None else f"{value:.4g}" for value in values]
            + [f"{np.mean(seconds):.0f}" if seconds else "–"]
            + ["–" if np.isnan(value) else f"{value:.3g} ± {error:.2g} {mark}".strip()]
            + [f"{np.mean(placed[method]):.2f}" if method in placed else "–"]
            + [", ".join(f"{verdicts.count(name)} {name}" for name in sorted(set(verdicts)))]
        )
    size = f"{first['n_train']:,} training and {first['n_test']:,} test rows, {first['n_features']} features"
    return f"## {table}: {size}\n\n{common.table(header, rows)}"


def _mean(results: Sequence[Mapping[str, Any]], score: str) -> float | None:
    """Return the mean over splits of a score that the model has; None if it has none or failed on all."""
    values = [
        comparison.number(r["scores"][score]) for r in results if "failed" not in r and score in r["scores"]
    ]
    return float(np.mean(values)) if values else None
