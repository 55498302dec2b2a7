"""Table of what became of each column of the data."""

from collections.abc import Mapping, Sequence
from typing import Any

from bnn.core import formatting
from bnn.core.row_names import shortened
from bnn.report.table import Cell, Row, Table

_KINDS = {
    "number": "number",
    "boolean": "true or false",
    "text": "text",
    "exposure": "exposure",
    "dropped": "not read",
    "aside": "no feature",
    "id": "names of rows",
}
_MAX_LEVELS = 5
"""Levels of a column that are named."""
_MAX_COLUMNS = 200
"""Columns that are shown; a wide table of genes must not make the page heavy."""


def columns(metrics: Mapping[str, Any], powers: Mapping[str, float]) -> Table:
    """Kind, missing values, levels and outcome of each column; those of which something special is to say come first.

    Parameters
    ----------
    metrics
        Content of metrics.json.
    powers
        Feature -> exponent of its transform, as checks.json has it.
    """
    found = metrics["columns"]
    order = sorted(
        range(len(found)), key=lambda index: _is_plain(found[index]) and found[index]["name"] not in powers
    )
    n_left = len(found) - _MAX_COLUMNS
    notes = list(metrics["doubts"])
    if n_left > 0:
        notes.append("Numbers without missing values beyond these are left out; metrics.json has all.")
    if any(column["n_unseen_test"] for column in found):
        notes.append(
            "Unseen: test rows with a text that no training row has; the network sees none of its levels."
        )
    rows = [
        Row(
            column["name"],
            "",
            (
                Cell(_KINDS[column["kind"]]),
                *(_count(column, name) for name in ("n_missing", "n_missing_test")),
                _levels(column),
                _count(column, "n_unseen_test") if column["kind"] == "text" else Cell("–"),
                Cell("; ".join([_outcome(column, powers.get(column["name"])), *column["doubts"]])),
            ),
        )
        for column in (found[index] for index in order[:_MAX_COLUMNS])
    ]
    return Table(
        "columns",
        "What became of each column",
        ("Column", "Holds", "Training", "Test", "Levels", "Unseen", "Outcome"),
        tuple(rows),
        groups=(("", 2), ("Missing values", 2), ("Texts", 2), ("", 1)),
        notes=tuple(notes),
        sortable=len(rows) > 1,
    )


def _is_plain(column: Mapping[str, Any]) -> bool:
    return column["kind"] == "number" and bool(column["features"]) and not _missing(column)


def _missing(column: Mapping[str, Any]) -> int:
    return int(column["n_missing"] + column["n_missing_test"])


def _count(column: Mapping[str, Any], name: str) -> Cell:
    if column["kind"] in ("dropped", "aside", "id"):
        return Cell("–")
    return Cell(formatting.count(column[name]), sort=column[name])


def _levels(column: Mapping[str, Any]) -> Cell:
    if column["kind"] != "text":
        return Cell("–")
    n_levels = column["n_levels"]
    # Names of common levels first; those that stand together as rare are named in the outcome.
    named = _names(column["levels"], n_levels - column["n_rare"])
    return Cell(formatting.count(n_levels), remark=named, sort=n_levels)


def _names(levels: Sequence[str], n_all: int) -> str:
    """Return the first levels, with dots behind them if there are more."""
    names = [shortened(level) for level in levels[:_MAX_LEVELS]]
    return ", ".join([*names, "…"] if n_all > len(names) else names)


def _outcome(column: Mapping[str, Any], power: float | None) -> str:
    if column["kind"] == "dropped":
        return "left out: source.drop names it"
    if column["kind"] == "aside":
        return "left out: rows are put in order, or split, by it"
    if column["kind"] == "id":
        return "left out: source.row_id names it; it stands beside the rows"
    features = column["features"]
    n_values = len(features) - column["has_indicator"]
    parts = []
    if n_values == 0:
        parts.append(
            "left out: every text is rare"
            if column["kind"] == "text" and column["n_levels"] > 1
            else "left out: constant on the training rows"
        )
    elif column["kind"] == "number":
        parts.append("standardised")
        if power is not None:
            parts.append(
                f"long tail compressed for the networks (Yeo–Johnson, power {formatting.as_given(power)})"
            )
    elif column["kind"] == "exposure":
        parts.append("the expected count is in proportion to it")
    elif column["kind"] == "boolean":
        parts.append("1 if true, else 0")
    else:
        parts.append("1 in the feature of its level, 0 in those of others")
        if column["n_rare"]:
            rare = _names(column["rare"], column["n_rare"])
            parts.append(f"{formatting.count(column['n_rare'])} rare levels share one ({rare})")
    if _missing(column) and n_values:
        fill = column["fill"]
        if column["kind"] == "boolean":
            fill = "true" if fill else "false"
        parts.append(
            f"missing values become {formatting.as_given(fill) if column['kind'] == 'number' else fill}"
        )
    if column["has_indicator"]:
        parts.append("a feature says where it is missing")
    return "; ".join(parts)
