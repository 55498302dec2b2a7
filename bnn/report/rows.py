"""Tables of single test rows: those of which the network is least sure, and those that it got most wrong."""

from collections.abc import Mapping
from typing import Any

from bnn.core import formatting
from bnn.core.row_names import other_names
from bnn.report.table import Cell, Row, Table, finite, missing_note

_CAPTIONS = {
    "most_uncertain": "Least sure of these test rows",
    "most_wrong": "Most surprised by these test rows (largest NLL)",
}
_N_ROWS = 5
_N_UNUSUAL = 2
_FAR = 2.0
"""Standard deviations from the mean of the training rows beyond which a value is called unusual."""


def worst_rows(metrics: Mapping[str, Any], which: str) -> Table:
    """Rows with what was observed and predicted, how sure that was, and why not more.

    Parameters
    ----------
    metrics
        Content of metrics.json.
    which
        "most_uncertain" or "most_wrong".
    """
    is_class = metrics["task"] == "classification"
    unit = f" [{metrics['target_unit']}]" if metrics["target_unit"] and not is_class else ""
    found = metrics["rows"][which]
    entries = found[:_N_ROWS]
    sd = formatting.column([entry["total"] for entry in entries])
    nll = formatting.column([entry["nll"] for entry in entries])
    observed, predicted = _class_cells(entries) if is_class else _target_cells(entries)
    rows = []
    for index, entry in enumerate(entries):
        cells = [observed[index], predicted[index]]
        cells.append(Cell(sd[index], sort=finite(entry["total"])))
        cells += [Cell(nll[index], sort=finite(entry["nll"])), Cell(_why(entry, metrics))]
        rows.append(Row(str(entry["row"]), other_names(entry), tuple(cells), key=str(entry["row"])))
    spread = "Entropy [nats]" if is_class else f"Standard deviation{unit}"
    return Table(
        which.replace("_", "-"),
        _CAPTIONS[which] + (f": the first {_N_ROWS} of {len(found)}" if len(found) > _N_ROWS else ""),
        ("Row", f"Observed{unit}", f"Predicted{unit}", spread, "NLL [nats]", "Why"),
        tuple(rows),
        notes=missing_note(rows, "the value was not finite"),
        sortable=len(rows) > 1,
    )


def _class_cells(entries: list[Mapping[str, Any]]) -> tuple[list[Cell], list[Cell]]:
    observed, predicted = [], []
    for entry in entries:
        right = entry["y"] == entry["predicted"]
        of_y, of_predicted = (
            formatting.probability(entry[key], 2) for key in ("probability_of_y", "probability")
        )
        observed.append(Cell(entry["y"], remark="" if right else f"p = {of_y}"))
        predicted.append(
            Cell(
                entry["predicted"], "" if right else "bad", f"p = {of_predicted}{'' if right else '; wrong'}"
            )
        )
    return observed, predicted


def _target_cells(entries: list[Mapping[str, Any]]) -> tuple[list[Cell], list[Cell]]:
    names = ("predicted", "lower_90", "upper_90")
    # Where the target lies far from zero, its digits say little and those of the spread all.
    spread = min((entry["total"] for entry in entries if entry["total"]), default=None)
    places = formatting.places_beside(spread)
    numbers = [entry[name] for name in names for entry in entries]
    every = formatting.column(numbers, 4, places=None if places is None else max(0, places - 1))
    shown = {name: every[place * len(entries) :] for place, name in enumerate(names)}
    ends = [entry[name] for name in ("lower_90", "upper_90") for entry in entries]
    if all(end is not None and end == round(end) for end in ends):  # counts
        shown["lower_90"], shown["upper_90"] = (
            [formatting.count(entry[name]) for entry in entries] for name in ("lower_90", "upper_90")
        )
    observed, predicted = [], []
    for index, entry in enumerate(entries):
        y, low, high = entry["y"], entry["lower_90"], entry["upper_90"]
        outside = None not in (y, low, high) and not low <= y <= high
        interval = f"{shown['lower_90'][index]} to {shown['upper_90'][index]}"
        observed.append(
            Cell(formatting.as_given(y), "bad" if outside else "", "outside" if outside else "", finite(y))
        )
        predicted.append(Cell(shown["predicted"][index], remark=interval, sort=finite(entry["predicted"])))
    return observed, predicted


def of_levels(metrics: Mapping[str, Any]) -> set[str]:
    """Return the features that say whether a row has some text: any but the most frequent ones lies far from others."""
    return {name for column in metrics["columns"] if column["kind"] == "text" for name in column["features"]}


def _why(entry: Mapping[str, Any], metrics: Mapping[str, Any]) -> str:
    """Say what makes the row uncertain: epistemic, draws that disagree because it is unusual, or aleatoric."""
    names, distance = metrics["feature_names"], entry["standardised"]
    quantities = [index for index, name in enumerate(names) if name not in of_levels(metrics)]
    order = sorted(quantities, key=lambda index: -abs(distance[index] or 0))[:_N_UNUSUAL]
    far = [
        f"{names[index]} {formatting.as_given(entry['features'][index])} ({formatting.deviation(distance[index])})"
        for index in order
        if abs(distance[index] or 0) >= _FAR
    ]
    unusual = f"unusual {' and '.join(far)}" if far else "no value is unusual by itself"
    if entry["far_because"]:
        unusual = f"far from the training rows: {entry['far_because']}"
    total, epistemic = entry["total"], entry["epistemic"]
    if not total or epistemic is None:
        return unusual
    share = epistemic / total
    if metrics["task"] == "classification":
        whole, noise = "entropy", "classes overlap"
    else:
        # Standard deviations: their squares add up.
        share, whole, noise = share**2, "variance", "mostly noise"
    cause = "draws disagree" if share >= 0.5 else noise
    cause += f" (epistemic: {formatting.percent(share)} of the {whole})"
    return f"{cause}; {unusual}"
