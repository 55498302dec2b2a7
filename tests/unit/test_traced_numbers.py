"""Every number in a page stands in a result file, the config or the versions; a number put in by hand is found."""

import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from bnn.report import render, render_overview, render_tables
from tests.unit import report_inputs as inputs
from tests.unit.report_page import dataset_page
from tests.unit.traced_numbers import allowed, derived, text_of, tokens, untraced

TASKS = ("classification", "regression")
VERDICTS = ("PASS", "WARN", "FAIL")


@pytest.fixture
def svg(tmp_path: Path) -> Path:
    path = tmp_path / "figure.svg"
    path.write_text(inputs.SVG, encoding="utf-8")
    return path


def files(task: str, verdict: str) -> dict[str, Any]:
    return {
        "diagnostics": inputs.make_diagnostics(task, verdict),
        "metrics": inputs.distinct_metrics(task),
        "checks": inputs.make_checks(task),
    }


def forms_of(found: dict[str, Any]) -> set[str]:
    more = derived(found["metrics"], found["diagnostics"])
    return allowed(*found.values(), more, inputs.make_settings(), inputs.VERSIONS, inputs.MADE)


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("verdict", VERDICTS)
def test_every_number_of_a_page_is_in_a_file(svg: Path, task: str, verdict: str) -> None:
    found = files(task, verdict)
    html = dataset_page(svg, task, **found)
    assert len(tokens(text_of(html))) > 200
    assert untraced(html, forms_of(found)) == []
    for name, table in render_tables(**found).items():
        assert untraced(table, forms_of(found)) == [], name


@pytest.mark.parametrize("task", TASKS)
def test_every_number_of_conformal_calibration_is_in_a_file(svg: Path, task: str) -> None:
    found = files(task, "PASS")
    found["metrics"]["conformal"] = inputs.make_conformal(task)
    html = dataset_page(svg, task, **found)
    assert "90.4" in tokens(text_of(html))
    assert untraced(html, forms_of(found)) == []
    found["metrics"]["conformal"]["levels"][1]["limit"] = None
    html = dataset_page(svg, task, **found)
    assert ("90.4" in tokens(text_of(html))) == (task == "classification"), (
        "without a limit intervals have no end"
    )
    assert untraced(html, forms_of(found)) == []


def test_the_log_density_may_be_what_has_not_converged(svg: Path) -> None:
    found = files("regression", "FAIL")
    found["diagnostics"]["log_density"]["rhat"] = 4.4858
    html = dataset_page(svg, "regression", **found)
    assert "R-hat of the log density is 4.4858 (FAIL: above 1.05)" in text_of(html)
    assert untraced(html, forms_of(found)) == []


def test_the_end_of_the_interval_of_a_whole_share_is_in_a_file(svg: Path) -> None:
    found = files("classification", "PASS")
    whole = {"value": 1.0, "mcse": 0.0, "se": 0.0, "lower": 0.8729, "upper": 1.0}
    found["metrics"]["models"]["bnn"]["test"]["accuracy"] = whole
    html = dataset_page(svg, "classification", **found)
    assert "(at least 87.3 %)" in html
    assert untraced(html, forms_of(found)) == []


def test_every_number_of_the_overview_is_in_a_file() -> None:
    found = [files(task, verdict) for task in TASKS for verdict in VERDICTS]
    html = render_overview([(entry["diagnostics"], entry["metrics"]) for entry in found])
    forms = set().union(*(forms_of(entry) for entry in found)) | {
        "6",
        "2",
    }  # datasets, and those of each verdict
    assert len(tokens(text_of(html))) > 60
    assert untraced(html, forms) == []


@pytest.mark.parametrize("task", TASKS)
def test_numbers_of_the_scatter_are_in_the_predictions(svg: Path, task: str) -> None:
    html = dataset_page(svg, task)
    texts = re.findall(r'data-text="([^"]*)"', html)
    assert len(texts) == len(inputs.make_predictions(task))
    values = [
        [float(value) for value in line.values() if re.fullmatch(r"[\d.]+", value)]
        for line in inputs.make_predictions(task)
    ]
    forms = allowed(values) | {"90"}
    assert [token for text in texts for token in tokens(text) if token not in forms] == []


@pytest.mark.parametrize(
    ("template", "before"),
    [
        ("dataset.html.j2", '<h2 id="unsure-heading">'),
        ("dataset.html.j2", '<h2 id="tables-heading">'),
        ("macros.html.j2", '<div class="scroll"'),
    ],
)
@pytest.mark.parametrize("number", ["0.9731", "17.42", "1,234", "98.6 %", "37"])
def test_a_number_put_into_a_template_by_hand_is_found(
    svg: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, template: str, before: str, number: str
) -> None:
    folder = tmp_path / "templates"
    shutil.copytree(render._TEMPLATES, folder)
    text = (folder / template).read_text(encoding="utf-8")
    assert before in text
    (folder / template).write_text(
        text.replace(before, f"<p>It is {number}.</p>{before}", 1), encoding="utf-8"
    )
    monkeypatch.setattr(render, "_TEMPLATES", folder)
    render._environment.cache_clear()
    try:
        found = files("classification", "PASS")
        html = dataset_page(svg, "classification", **found)
    finally:
        monkeypatch.undo()
        render._environment.cache_clear()
    assert set(untraced(html, forms_of(found))) == {number.removesuffix(" %")}


def test_a_wrong_digit_anywhere_is_found(svg: Path) -> None:
    """Change the last digit of long numbers, one at a time: by chance one in twenty, at most, is another's."""
    found = files("regression", "PASS")
    html = dataset_page(svg, "regression", **found)
    forms = forms_of(found)
    long = sorted(
        {token for token in tokens(text_of(html)) if len(re.sub(r"\D", "", token).lstrip("0")) >= 4}
    )
    changed = [token[:-1] + str((int(token[-1]) + 5) % 10) for token in long if token[-1].isdigit()]
    missed = [token for token in changed if token in forms]
    assert len(changed) > 50
    assert len(missed) <= 0.05 * len(changed), missed
