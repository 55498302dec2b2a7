"""Table of repeats.json: scores of datasets that were run on several splits."""

from collections.abc import Mapping, Sequence
from typing import Any

from bnn.core import formatting
from bnn.report.table import (
    DOUBTED,
    METRICS,
    MODELS,
    NO_DENSITY,
    OUTCOMES,
    Cell,
    Metric,
    Row,
    Table,
    density_note,
    difference,
    headline,
    lacks_density,
    missing_note,
    models_of,
    outcome,
    score,
)

_NOTE = (
    "Behind ± stands the standard error of the mean over splits. Splits of one table share rows, so differences "
    "between models are judged by an interval that allows for it (of Nadeau and Bengio), not by these errors."
)


def over_splits(found: Sequence[Mapping[str, Any]]) -> Table | None:
    """Show the means over splits, and the BNN minus each other model below them; None without a repeated dataset.

    Parameters
    ----------
    found
        Contents of repeats.json of each dataset.
    """
    if not found:
        return None
    models = models_of({model: None for entry in found for model in entry["models"]})
    rows = [_row(entry, name, METRICS[name], models) for entry in found for name in (headline(entry), "nll")]
    columns = ("Dataset", "Splits", "Metric", *(MODELS.get(model, model) for model in models))
    without = dict.fromkeys(model for entry in found for model in entry["without_density"])
    notes = (
        _NOTE,
        *missing_note(
            rows, "there is no such model of the dataset, or the score was not finite on every split"
        ),
        *density_note(rows, without),
    )
    return Table("repeats", "Means over splits, test rows", columns, tuple(rows), notes=notes)


def _row(entry: Mapping[str, Any], name: str, metric: Metric, models: Sequence[str]) -> Row:
    verdicts = ", ".join(f"{number} {verdict}" for verdict, number in sorted(entry["verdicts"].items()))
    unit = entry["target_unit"] if metric.has_unit else ""
    cells = [Cell(formatting.count(entry["n_repeats"]), remark=verdicts), Cell(metric.label, remark=unit)]
    for model in models:
        if lacks_density(entry, model, name):
            cells.append(Cell(NO_DENSITY))
            continue
        text = score(entry["models"].get(model, {}).get(name), metric)
        gap = entry["differences"].get(model, {}).get(name)
        if gap is None:
            cells.append(Cell(text))
            continue
        value, _ = difference(gap, metric)
        words, flag = OUTCOMES[outcome(gap, metric)] if "FAIL" not in entry["verdicts"] else (DOUBTED, "")
        cells.append(Cell(text, flag, f"{value}{' points' if metric.is_share else ''}\n{words}"))
    return Row(entry["dataset"], "", tuple(cells))
