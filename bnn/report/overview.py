"""The rows of the page over all datasets."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from bnn.core import formatting
from bnn.diagnostics.verdict import worst
from bnn.report.sentences import Mark, marks
from bnn.report.table import (
    FEW_NOTE,
    FEW_ROWS,
    MANY_NOTE,
    METRICS,
    Cell,
    difference,
    finite,
    headline,
    scores_beside,
    share_bound,
)

_VERDICTS = ("FAIL", "WARN", "LOCAL", "PASS")
_OUTCOMES = ("better", "not told apart", "worse")
_PLOT_WIDTH = 150.0

Entry = tuple[Mapping[str, Any], Mapping[str, Any]]
"""Contents of diagnostics.json and metrics.json of a dataset."""


@dataclass(frozen=True)
class Whisker:
    """An interval drawn beside its numbers: positions of its ends, middle, zero and ticks; its value and a text."""

    lower: float
    middle: float
    upper: float
    zero: float
    ticks: tuple[tuple[float, str], ...]
    value: float
    text: str


@dataclass(frozen=True)
class OverviewRow:
    """A dataset: its name, link and facts, verdict and other marks, scores, and the drawn difference in NLL."""

    dataset: str
    href: str
    facts: str
    verdict: str
    verdict_sort: int
    convergence: str
    marks: tuple[Mark, ...]
    score: Cell
    baseline: Cell
    whisker: Whisker | None
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
    task = "time series" if metrics["is_series"] else metrics["task"]
    n_train, n_test = (formatting.count(metrics[name]) for name in ("n_train", "n_test"))
    entries = [metrics["models"][model]["test"].get(headline(metrics)) for model in ("bnn", "baseline")]
    texts = scores_beside(entries, metrics["differences"]["baseline"].get(headline(metrics)), metric)
    unit = metrics["target_unit"] if metric.has_unit else ""
    score, baseline = (
        Cell(text, remark=remark, sort=None if entry is None else finite(entry["value"]))
        for text, entry, remark in zip(
            texts,
            entries,
            (f"{metric.label}{f', {unit}' if unit else ''}", share_bound(entries[1], metric)),
            strict=True,
        )
    )
    return OverviewRow(
        dataset=metrics["dataset"],
        href=f"{quote(metrics['dataset'], safe='')}/report.html",
        facts=f"{task}, {n_train} + {n_test} rows, network {'–'.join(map(str, metrics['architecture']))}",
        verdict=diagnostics["verdict"],
        verdict_sort=_VERDICTS.index(diagnostics["verdict"]),
        convergence=_convergence(diagnostics),
        marks=marks(diagnostics, metrics)[1:],
        score=score,
        baseline=baseline,
        whisker=whisker,
        seconds=Cell(formatting.number(metrics["seconds"]["bnn"], 3), sort=finite(metrics["seconds"]["bnn"])),
        remarks=tuple(flag["text"] for flag in metrics["flags"] if flag["raised"]),
    )


def _convergence(diagnostics: Mapping[str, Any]) -> str:
    """Say what the verdict rests on: of LOCAL also what each chain reached by itself, which sets it apart from FAIL."""
    rhat, ess = worst(diagnostics)
    if diagnostics["verdict"] == "LOCAL":
        alone = max(diagnostics["each_chain"]["rhat_max"])
        return f"R-hat {formatting.rhat(alone)} in each chain\n{formatting.rhat(rhat)} across chains"
    return f"R-hat {formatting.rhat(rhat)}\nESS {formatting.count(ess)}"


def _whiskers(entries: Sequence[Mapping[str, Any] | None]) -> list[Whisker | None]:
    """Place the intervals on one scale, zero in the middle."""
    ends = ("lower", "value", "upper")
    known = [entry for entry in entries if entry and all(finite(entry[end]) is not None for end in ends)]
    reach = max((abs(entry[end]) for entry in known for end in ends), default=0.0) or 1.0

    def place(value: float) -> float:
        return round(_PLOT_WIDTH / 2 * (1 + 0.94 * value / reach), 1)

    tick = float(f"{0.7 * reach:.0e}")
    ticks = tuple((place(value), formatting.signed(value, digits=1)) for value in (-tick, 0.0, tick))
    return [
        Whisker(
            place(entry["lower"]),
            place(entry["value"]),
            place(entry["upper"]),
            place(0.0),
            ticks,
            entry["value"],
            "{} ({})".format(*difference(entry, METRICS["nll"])),
        )
        if entry in known and entry is not None
        else None
        for entry in entries
    ]


def cautions(entries: Sequence[Entry]) -> tuple[str, ...]:
    """What must be known to read the differences between models."""
    few = [metrics["dataset"] for _, metrics in entries if metrics["n_test"] < FEW_ROWS]
    return (MANY_NOTE, *((f"{', '.join(few)}: {FEW_NOTE}",) if few else ()))


def verdict_counts(rows: Sequence[OverviewRow]) -> list[tuple[str, int]]:
    """How many datasets have each verdict, the gravest first."""
    found = [row.verdict for row in rows]
    return [(verdict, found.count(verdict)) for verdict in _VERDICTS if verdict in found]


def tally(rows: Sequence[OverviewRow]) -> list[tuple[str, int]]:
    """On how many datasets the BNN is better than the baseline network, not told apart, or worse; FAIL is left out."""
    found = [row.marks[-1].word for row in rows]
    return [(word, found.count(word)) for word in _OUTCOMES if word in found]
