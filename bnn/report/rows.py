"""Tables of single test rows: those of which the network is least sure, and those that it got most wrong."""

from collections.abc import Mapping
from typing import Any

from bnn.core import formatting
from bnn.core.row_names import other_names, row_name
from bnn.report.table import Cell, Row, Table, finite, missing_note

_CAPTIONS = {
    "most_uncertain": "Most uncertain test rows",
    "most_wrong": "Most surprising test rows (largest NLL)",
}
_N_UNUSUAL = 3
_MAX_FEATURES = 200
"""Features that the table of all features shows; a wide table of genes must not make the page heavy."""


def worst_rows(metrics: Mapping[str, Any], which: str) -> Table:
    """Rows with what was observed and predicted, and their most unusual features.

    Parameters
    ----------
    metrics
        Content of metrics.json.
    which
        "most_uncertain" or "most_wrong".
    """
    is_class = metrics["task"] == "classification"
    unit = f" [{metrics['target_unit']}]" if metrics["target_unit"] and not is_class else ""
    rows = []
    for entry in metrics["rows"][which]:
        cells = _class_cells(entry) if is_class else _target_cells(entry)
        cells += [
            Cell(formatting.number(entry[name], 3), sort=finite(entry[name]))
            for name in ("nll", "total", "aleatoric", "epistemic")
        ]
        cells.append(_unusual(entry, metrics["feature_names"]))
        rows.append(Row(str(entry["row"]), other_names(entry), tuple(cells), key=str(entry["row"])))
    parts = ("Total", "Aleatoric", "Epistemic")
    if is_class:
        columns = ("Row", "Observed", "Predicted", "NLL", *parts)
        groups = (("", 4), ("Uncertainty [nats]", 3), ("", 1))
    else:
        columns = ("Row", f"Observed{unit}", f"Predicted{unit}", "NLL", *parts)
        groups = (("", 4), (f"Standard deviation{unit}", 3), ("", 1))
    return Table(
        which.replace("_", "-"),
        _CAPTIONS[which],
        (*columns, "Features furthest from the training mean"),
        tuple(rows),
        groups=groups,
        notes=missing_note(rows, "the value was not finite"),
        sortable=len(rows) > 1,
    )


def all_features(metrics: Mapping[str, Any], which: str) -> Table | None:
    """Every feature of those rows, a line a feature; None where the other table shows them all."""
    names = metrics["feature_names"]
    entries = metrics["rows"][which]
    if len(names) <= _N_UNUSUAL or not entries:
        return None
    order = range(len(names))
    notes: tuple[str, ...] = ()
    if len(names) > _MAX_FEATURES:
        far = [max(abs(entry["standardised"][index] or 0) for entry in entries) for index in order]
        order = sorted(sorted(order, key=lambda index: -far[index])[:_MAX_FEATURES])  # type: ignore[assignment]
        notes = ("Features that are nowhere far from the training mean are left out; metrics.json has all.",)
    rows = tuple(Row(names[index], "", tuple(_feature(entry, index) for entry in entries)) for index in order)
    return Table(
        f"{which.replace('_', '-')}-features",
        f"{_CAPTIONS[which]}: every feature",
        ("Feature", *(f"Row {row_name(entry)}" for entry in entries)),
        rows,
        notes=notes,
    )


def _class_cells(entry: Mapping[str, Any]) -> list[Cell]:
    right = entry["y"] == entry["predicted"]
    of_y, of_predicted = (
        formatting.probability(entry[name], 3) for name in ("probability_of_y", "probability")
    )
    return [
        Cell(entry["y"], remark=f"p = {of_y}"),
        Cell(entry["predicted"], "" if right else "bad", f"p = {of_predicted}{'' if right else '; wrong'}"),
    ]


def _target_cells(entry: Mapping[str, Any]) -> list[Cell]:
    y, low, high = entry["y"], entry["lower_90"], entry["upper_90"]
    outside = None not in (y, low, high) and not low <= y <= high
    ends = f"{formatting.number(low)} to {formatting.number(high)}"
    return [
        Cell(formatting.number(y), "bad" if outside else "", "outside" if outside else "", finite(y)),
        Cell(formatting.number(entry["predicted"]), remark=ends, sort=finite(entry["predicted"])),
    ]


def _unusual(entry: Mapping[str, Any], names: list[str]) -> Cell:
    distance = entry["standardised"]
    order = sorted(range(len(names)), key=lambda index: -abs(distance[index] or 0))[:_N_UNUSUAL]
    texts = [
        f"{names[index]} {formatting.as_given(entry['features'][index])} ({formatting.deviation(distance[index])})"
        for index in order
    ]
    return Cell("\n".join(texts))


def _feature(entry: Mapping[str, Any], index: int) -> Cell:
    value, distance = entry["features"][index], entry["standardised"][index]
    return Cell(formatting.as_given(value), remark=formatting.deviation(distance))
