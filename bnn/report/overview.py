"""The rows of the page over all datasets."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from bnn.core import formatting
from bnn.diagnostics.verdict import worst
from bnn.report.table import (
    DOUBTED,
    FEW_NOTE,
    FEW_ROWS,
    MANY_NOTE,
    METRICS,
    MODELS,
    OUTCOMES,
    SAME,
    Cell,
    Metric,
    difference,
    finite,
    headline,
    outcome,
    score,
    share_bound,
)

COMPARED = ("bnn", "baseline", "ensemble", "linear")
_VERDICTS = ("FAIL", "WARN", "PASS")
_PLOT_WIDTH = 150.0

Entry = tuple[Mapping[str, Any], Mapping[str, Any]]
"""Contents of diagnostics.json and metrics.json of a dataset."""


@dataclass(frozen=True)
class Whisker:
    """An interval drawn beside its numbers: positions of its ends, its middle and of zero."""

    lower: float
    middle: float
    upper: float
    zero: float


@dataclass(frozen=True)
class OverviewRow:
    """A dataset: its name and link, verdict and what it rests on, facts, scores, and the drawn difference in NLL."""

    dataset: str
    href: str
    verdict: str
    verdict_sort: int
    task: str
    facts: tuple[Cell, ...]
    metric: Cell
    headline: tuple[Cell, ...]
    nll: tuple[Cell, ...]
    whisker: Whisker | None
    convergence: str
    seconds: Cell
    remarks: tuple[str, ...]


def overview_rows(entries: Sequence[Entry]) -> list[OverviewRow]:
    """Build a row a dataset, in the order of the entries."""
    # What is not to be trusted is not drawn, nor does it set the scale of what is.
    whiskers = _whiskers(
        [
            None if diagnostics["verdict"] == "FAIL" else metrics["differences"]["baseline"].get("nll")
            for diagnostics, metrics in entries
        ]
    )
    return [
        _row(diagnostics, metrics, whisker)
        for (diagnostics, metrics), whisker in zip(entries, whiskers, strict=True)
    ]


def _row(diagnostics: Mapping[str, Any], metrics: Mapping[str, Any], whisker: Whisker | None) -> OverviewRow:
    metric = METRICS[headline(metrics)]
    trusted = diagnostics["verdict"] != "FAIL"
    rhat, ess = worst(diagnostics)
    rows, features = metrics["n_train"], metrics["n_features"]
    architecture = "–".join(str(size) for size in metrics["architecture"])
    return OverviewRow(
        dataset=metrics["dataset"],
        href=f"{quote(metrics['dataset'], safe='')}/report.html",
        verdict=diagnostics["verdict"],
        verdict_sort=_VERDICTS.index(diagnostics["verdict"]),
        task="time series" if metrics["is_series"] else metrics["task"],
        facts=(
            Cell(f"{formatting.count(rows)} + {formatting.count(metrics['n_test'])}", sort=rows),
            Cell(formatting.count(features), sort=features),
            Cell(architecture, sort=metrics["n_params"]),
        ),
        metric=Cell(metric.label, remark=metrics["target_unit"] if metric.has_unit else ""),
        headline=_scores(metrics, headline(metrics), metric, trusted),
        nll=_scores(metrics, "nll", METRICS["nll"], trusted),
        whisker=whisker,
        convergence=f"R-hat {formatting.rhat(rhat)}\nESS {formatting.count(ess)}",
        seconds=Cell(formatting.number(metrics["seconds"]["bnn"], 3), sort=finite(metrics["seconds"]["bnn"])),
        remarks=tuple(flag["text"] for flag in metrics["flags"] if flag["raised"]),
    )


def _scores(metrics: Mapping[str, Any], name: str, metric: Metric, trusted: bool) -> tuple[Cell, ...]:
    """The BNN's score, and each other model's with the difference below it."""
    cells = []
    for model in COMPARED:
        entry = metrics["models"].get(model, {}).get("test", {}).get(name)
        text, bound = score(entry, metric, has_bound=False), share_bound(entry, metric)
        sort = None if entry is None else finite(entry["value"])
        gap = metrics["differences"].get(model, {}).get(name)
        value, ends = difference(gap, metric)
        if not ends:
            cells.append(Cell(text, remark=bound, sort=sort))
            continue
        words, flag = OUTCOMES[outcome(gap, metric)] if trusted else (DOUBTED, "")
        unit = " points" if metric.is_share else ""
        says = SAME.replace(" every", "\nevery") if ends == SAME else f"{value}{unit}\n{words}"
        cells.append(Cell(text, flag, f"{bound}\n{says}" if bound else says, sort))
    return tuple(cells)


def _whiskers(entries: Sequence[Mapping[str, Any] | None]) -> list[Whisker | None]:
    """Place the intervals on one scale, zero in the middle."""
    ends = ("lower", "value", "upper")
    known = [entry for entry in entries if entry and all(finite(entry[end]) is not None for end in ends)]
    reach = max((abs(entry[end]) for entry in known for end in ends), default=0.0) or 1.0

    def place(value: float) -> float:
        return round(_PLOT_WIDTH / 2 * (1 + 0.94 * value / reach), 1)

    return [
        Whisker(place(entry["lower"]), place(entry["value"]), place(entry["upper"]), place(0.0))
        if entry in known and entry is not None
        else None
        for entry in entries
    ]


def cautions(entries: Sequence[Entry]) -> tuple[str, ...]:
    """What must be known to read the differences between models."""
    few = [metrics["dataset"] for _, metrics in entries if metrics["n_test"] < FEW_ROWS]
    return (MANY_NOTE, *((f"{', '.join(few)}: {FEW_NOTE}",) if few else ()))


def tally(entries: Sequence[Entry]) -> list[tuple[str, int]]:
    """How many datasets have each verdict, the gravest first."""
    verdicts = [diagnostics["verdict"] for diagnostics, _ in entries]
    return [(verdict, verdicts.count(verdict)) for verdict in _VERDICTS if verdict in verdicts]


def model_labels() -> list[str]:
    """Headings of the compared models."""
    return [MODELS[model] for model in COMPARED]
