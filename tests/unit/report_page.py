"""A page with made-up contents, and a reader of pages, for the tests of the report."""

from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from bnn import plots
from bnn.report import render_dataset
from tests.unit.report_inputs import (
    MADE,
    VERSIONS,
    make_checks,
    make_diagnostics,
    make_metrics,
    make_predictions,
    make_settings,
)

DRAWN = {"path", "circle"}
"""Elements of drawings that close themselves."""


@dataclass
class Page(HTMLParser):
    """What the tests ask of a page: its elements, its text, and its tables by id."""

    elements: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    text: str = ""
    tables: dict[str, list[list[str]]] = field(default_factory=dict)
    unclosed: list[str] = field(default_factory=list)
    in_remark: bool = False
    remarks: dict[str, dict[str, list[str]]] = field(default_factory=dict)
    """Table -> heading of the row -> remark of each of its cells, the heading's first."""

    @classmethod
    def of(cls, html: str) -> "Page":
        page = cls()
        HTMLParser.__init__(page)
        page.feed(html)
        page.close()
        return page

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in {"meta", "link", "img"} | DRAWN:
            self.unclosed.append(tag)
        if tag == "span":
            self.in_remark = ("class", "remark") in attrs
        if tag == "table":
            self.tables[self.elements[-1][1]["id"]] = []
            self.remarks_of_rows: list[list[str]] = []
        if tag == "tr":
            self.rows.append([])
            self.remarks_of_rows.append([])
        if tag in {"td", "th"}:
            self.rows[-1].append("")
            self.remarks_of_rows[-1].append("")

    @property
    def rows(self) -> list[list[str]]:
        return self.tables[list(self.tables)[-1]]

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        assert self.unclosed.pop() == tag
        if tag == "table":
            rows = zip(self.rows, self.remarks_of_rows, strict=True)
            self.remarks[list(self.tables)[-1]] = {row[0].strip(): texts for row, texts in rows}
        if tag == "span":
            self.in_remark = False

    def handle_data(self, data: str) -> None:
        if {"style", "script"} & set(self.unclosed):
            return
        self.text += data.replace("\N{NO-BREAK SPACE}", " ")
        cells = [place for place, tag in enumerate(self.unclosed) if tag in {"td", "th"}]
        # What unfolds or is drawn in a cell is not its text.
        if cells and not {"details", "svg"} & set(self.unclosed[cells[-1] :]):
            (self.remarks_of_rows if self.in_remark else self.rows)[-1][-1] += data

    def attributes(self, tag: str) -> list[dict[str, str]]:
        """Attributes of every element with this tag."""
        return [attributes for name, attributes in self.elements if name == tag]

    def cells(self, table: str) -> dict[str, list[str]]:
        """Cells of a table's rows by the heading of the row, without remarks."""
        return {row[0].strip(): [cell.strip() for cell in row[1:]] for row in self.tables[table]}


def dataset_page(svg: Path, task: str, verdict: str = "PASS", **changes: Any) -> str:
    """Render the page of a dataset with every figure of its task."""
    metrics = changes.pop("metrics", make_metrics(task))
    arguments = {
        "diagnostics": make_diagnostics(task, verdict),
        "metrics": metrics,
        "checks": make_checks(task),
        "predictions": make_predictions(task),
        "settings": make_settings(),
        "versions": VERSIONS,
        "made": MADE,
        "programs": ".venv/bin/",
        "figures": dict.fromkeys(plots.figure_names(task, metrics["n_features"]), svg),
        "overview_href": "../report.html",
    }
    return render_dataset(**(arguments | changes))


def to_number(text: str) -> float:
    """Read a number as the report writes it."""
    plain = text.replace(",", "").replace("\N{MINUS SIGN}", "-").removesuffix(" %")
    return float(plain) / (100 if text.endswith("%") else 1)


def resolution(text: str) -> float:
    """Half a unit of the last digit of a number as the report writes it."""
    digits = text.removesuffix(" %").partition(".")[2]
    return 0.5000001 * 10.0 ** -len(digits) / (100 if text.endswith("%") else 1)


def assert_shows(text: str, entry: dict[str, Any], error: str) -> None:
    """Check that a cell shows an entry {"value", ...} and one of its errors to the precision that it displays."""
    unit = " %" if text.endswith(" %") else ""
    value, sign, shown = text.removesuffix(unit).partition(" ± ")
    assert_close(value + unit, entry["value"])
    if entry.get(error) is None:
        assert not sign
    else:
        assert_close(shown + unit, entry[error])


def assert_close(text: str, value: float) -> None:
    """Check that a text shows a number to the precision that it displays."""
    assert to_number(text) == pytest.approx(value, abs=resolution(text), rel=0)
