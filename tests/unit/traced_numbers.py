"""Where does each number of a page come from? Numbers that no result file, config or version explains are found."""

import math
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from html.parser import HTMLParser
from typing import Any

import numpy as np

from bnn.core import formatting

NUMBER = re.compile(
    r"(?<![\w.])\d+(?:,\d{3})*(?:\.\d+)*(?:e[-+]?\d+)?(?: × 10[\u2070-\u209f\u00b2\u00b3\u00b9]+)?(?!\w)"
)
CONSTANTS = {
    "0": "what a difference is compared with",
    "1": "R-hat of chains that agree, AUROC of perfect separation, the row of the header of a file",
    "0.5": "AUROC of chance",
    "90": "the level of the keys lower_90, upper_90 and coverage_90",
}
"""Numbers of the texts themselves, and why they are no results."""

ERROR_OF = (
    *(("value", error) for error in ("se", "mcse")),
    ("mean", "mcse_mean"),
    ("auroc", "se"),
    ("p_value", "mcse"),
    ("elpd_loo", "se"),
    ("nll", "nll_se"),
    ("nll", "nll_mcse"),
    ("nll_test", "nll_test_se"),
    ("headline", "headline_mcse"),
    ("slope_nll", "slope_nll_mcse"),
    ("slope_headline", "slope_headline_mcse"),
)
"""Keys of a figure and of its standard error, which decides how many digits are shown."""

_SIMPLE: tuple[Callable[[float], str], ...] = (
    *(lambda value, digits=digits: formatting.number(value, digits) for digits in (2, 3, 4, 5)),
    *(lambda value, digits=digits: formatting.probability(value, digits) for digits in (2, 3)),
    *(lambda value, places=places: formatting.column([value], places=places)[0] for places in range(1, 5)),
    *(lambda value, places=places: formatting.column([100 * value], places=places)[0] for places in (1, 2)),
    formatting.as_given,
    formatting.count,
    formatting.rhat,
    formatting.duration,
    formatting.percent,
    formatting.level,
    formatting.deviation,
    str,
    lambda value: f"{value:g}",
)


class _Text(HTMLParser):
    """Text of a page and of its alternative texts; drawings, scripts and suggested changes of the config left out."""

    def __init__(self) -> None:
        super().__init__()
        self.parts: list[str] = []
        self.skipped = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        if self.skipped or tag in ("svg", "style", "script") or found.get("class") == "change":
            self.skipped += tag not in ("meta", "link", "img", "br")
        self.parts.append(found.get("alt") or "")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        pass

    def handle_endtag(self, tag: str) -> None:
        self.skipped -= bool(self.skipped)

    def handle_data(self, data: str) -> None:
        if not self.skipped:
            self.parts.append(data)


def text_of(html: str) -> str:
    """Return what a reader or a screen reader gets."""
    reader = _Text()
    reader.feed(html)
    return " ".join(reader.parts)


def tokens(text: str) -> list[str]:
    """Return the numbers in a text, without signs."""
    return NUMBER.findall(text)


def allowed(*sources: Any) -> set[str]:
    """Return every form in which the report may show a number of these contents of files.

    A number may be shown in a few formats; a text that came with a file may hold any number.
    """
    forms: set[str] = set()
    for source in sources:
        for text in _forms(source):
            forms.update(tokens(text))
    return forms


def untraced(html: str, forms: set[str]) -> list[str]:
    """Return the numbers of a page that are neither among the forms nor constants of the texts."""
    return [token for token in tokens(text_of(html)) if token not in forms and token not in CONSTANTS]


def derived(metrics: Mapping[str, Any], diagnostics: Mapping[str, Any]) -> list[Any]:
    """Return the few figures that the page computes, computed here once more."""
    figures: list[Any] = [len(metrics["class_names"])]
    rows = metrics["rows"]["most_uncertain"]
    figures += [len(rows), *range(len(metrics["columns"]) + 1)]  # columns that matter
    if metrics["task"] == "classification":
        # The share of the largest class among the test rows, the mean confidence, classes of the least sure rows.
        sizes = [entry["support"] for entry in metrics["classification_report"]["test"]["linear"]]
        figures.append(max(sizes) / sum(sizes))
        bins = metrics["calibration"]["bnn"]["bins"]
        n_rows = [entry["n_rows"] for entry in bins]
        figures.append(np.average([entry["confidence"] for entry in bins], weights=n_rows).item())
        figures += [sum(row["y"] == other["y"] for row in rows) for other in rows]
    figures += np.mean([row["standardised"] for row in rows], axis=0).tolist()
    for row in rows + metrics["rows"]["most_wrong"]:
        figures += [(row["epistemic"] / row["total"]) ** power for power in (1, 2)]
    counts = Counter(finding["name"] for finding in diagnostics["findings"])
    figures += counts.values()  # findings of a kind
    for parts in metrics["uncertainty"].values():
        figures += [math.sqrt(value) for value in parts.values()]
        if parts["total"]:
            figures.append(parts["epistemic"] / parts["total"])
    seconds = metrics["seconds"]
    figures += [seconds["bnn"] / value for value in seconds.values() if value and seconds["bnn"]]
    if metrics["task"] == "regression":
        for model in metrics["calibration"].values():
            points = model["coverage"]
            inside = [point["band_lower"] <= point["coverage"] <= point["band_upper"] for point in points]
            figures += [len(points), len(points) - sum(inside)]
    return figures


def _forms(source: Any) -> Iterator[str]:
    if isinstance(source, Mapping):
        yield from map(str, source)  # names of classes, features, packages
        yield from _pairs(source)
        yield from _forms(list(source.values()))
    elif isinstance(source, str):
        yield source
    elif isinstance(source, Sequence):
        for item in source:
            yield from _forms(item)
    elif isinstance(source, int | float) and not isinstance(source, bool):
        yield from (form(source) for form in _SIMPLE)


def _pairs(entry: Mapping[str, Any]) -> Iterable[str]:
    for value, error in ERROR_OF:
        figures = (entry.get(value), entry.get(error))
        if all(isinstance(figure, int | float) for figure in figures):
            yield formatting.estimate(*figures)
            yield formatting.estimate(*figures, digits=3)
            yield formatting.percent(*figures)
    if "p_value" in entry and entry.get("n_replicates"):  # the bound of a p-value of 0
        yield formatting.number(1 / entry["n_replicates"], 2)
    ends = [entry.get(name) for name in ("lower", "upper", "se")]
    if all(isinstance(end, int | float) for end in ends):
        yield formatting.interval(*ends)
        yield formatting.interval(*(100 * end for end in ends))  # type: ignore[operator]
