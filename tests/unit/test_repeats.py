"""Means over splits, and their page."""

import copy
from typing import Any

import numpy as np
import pytest
from scipy import stats

from bnn.evaluation.repeats import mean_over_splits, paired_difference, summarise
from bnn.report import render_overview
from bnn.report.repeats import over_splits
from tests.unit.report_inputs import make_diagnostics, make_metrics
from tests.unit.report_page import Page
from tests.unit.traced_numbers import allowed, derived, untraced


def splits(task: str, verdicts: tuple[str, ...] = ("PASS", "PASS", "WARN")) -> tuple[list[Any], list[Any]]:
    """Return contents of diagnostics.json and metrics.json of splits that differ."""
    metrics = []
    for index in range(len(verdicts)):
        found = copy.deepcopy(make_metrics(task, f"mine.{index}"))
        for scores in found["models"].values():
            for entry in scores["test"].values():
                if entry["value"] is not None:
                    entry["value"] *= 1 + 0.013 * index
        for scores in found["differences"].values():
            for entry in scores.values():
                if entry["value"] is not None:
                    entry["value"] *= 1 + 0.017 * index
        metrics.append(found)
    return [make_diagnostics(task, verdict, f"mine.{i}") for i, verdict in enumerate(verdicts)], metrics


def test_means_and_errors_are_those_of_the_splits() -> None:
    diagnostics, metrics = splits("regression")
    found = summarise("mine", metrics, diagnostics)
    values = [entry["models"]["bnn"]["test"]["rmse"]["value"] for entry in metrics]
    assert found["models"]["bnn"]["rmse"] == {
        "value": pytest.approx(np.mean(values)),
        "se": pytest.approx(stats.sem(values)),
    }
    assert found["runs"] == ["mine.0", "mine.1", "mine.2"]
    assert found["verdicts"] == {"PASS": 2, "WARN": 1}
    assert set(found["differences"]) == {"baseline", "ensemble", "linear", "boosting"}


def test_the_interval_of_a_difference_allows_for_rows_that_splits_share() -> None:
    values = [0.1, 0.3, 0.2, 0.25]
    found = paired_difference(values, 0.25)
    scale = np.sqrt((1 / 4 + 0.25) * np.var(values, ddof=1))
    lower, upper = stats.t.interval(0.95, 3, loc=np.mean(values), scale=scale)
    assert [found["lower"], found["upper"]] == pytest.approx([lower, upper])
    assert found["se"] == pytest.approx(stats.sem(values))
    uncorrected = stats.t.interval(0.95, 3, loc=np.mean(values), scale=stats.sem(values))
    assert found["lower"] < uncorrected[0], "splits that share rows say less than as many tables would"


def test_a_score_that_one_split_lacks_has_no_mean() -> None:
    assert np.isnan(list(mean_over_splits([0.5, None, 0.7]).values())).all()


def test_an_ece_ranks_no_models_on_several_splits_either() -> None:
    diagnostics, metrics = splits("classification")
    for found in summarise("mine", metrics, diagnostics)["differences"].values():
        assert np.isfinite([found["ece"]["value"], found["ece"]["se"]]).all()
        assert np.isnan([found["ece"]["lower"], found["ece"]["upper"]]).all()
        assert np.isfinite([found["accuracy"]["lower"], found["accuracy"]["upper"]]).all()


@pytest.mark.parametrize("task", ["classification", "regression"])
def test_the_overview_shows_the_means_and_where_the_pages_of_the_splits_are(task: str) -> None:
    diagnostics, metrics = splits(task)
    repeats = summarise("mine", metrics, diagnostics)
    html = render_overview(list(zip(diagnostics, metrics, strict=True)), [repeats])
    page = Page.of(html)
    links = [link["href"] for link in page.attributes("a")]
    assert [link for link in links if link.startswith("mine")][:3] == [
        f"mine.{i}/report.html" for i in range(3)
    ]
    more = [derived(m, d) for m, d in zip(metrics, diagnostics, strict=True)]
    assert untraced(html, allowed(repeats, *metrics, *diagnostics, *more)) == []
    table = over_splits([repeats])
    assert table is not None
    assert [row.cells[0].text for row in table.rows] == ["3", "3"]
    assert [row.cells[0].remark for row in table.rows] == ["2 PASS, 1 WARN"] * 2


def test_chains_that_did_not_converge_on_one_split_make_no_better_model() -> None:
    diagnostics, metrics = splits("regression", ("PASS", "FAIL", "PASS"))
    for entry in metrics:
        entry["differences"]["baseline"]["nll"]["value"] = -3.0
    table = over_splits([summarise("mine", metrics, diagnostics)])
    assert table is not None
    assert "not to be trusted" in table.rows[1].cells[3].remark
    trusted = over_splits([summarise("mine", metrics, [d | {"verdict": "PASS"} for d in diagnostics])])
    assert trusted is not None
    assert (trusted.rows[1].cells[3].flag, "BNN better" in trusted.rows[1].cells[3].remark) == ("good", True)


def test_a_score_that_a_model_cannot_have_is_a_dash_with_its_reason() -> None:
    both = []
    for task in ("classification", "regression"):
        diagnostics, metrics = splits(task)
        both.append(summarise(task, metrics, diagnostics))
    table = over_splits(both)
    assert table is not None
    dashes = [(row.label, row.cells[1].text) for row in table.rows if row.cells[-1].text == "–"]
    assert dashes == [("regression", "NLL")]
    assert [note for note in table.notes if note.startswith("–: gradient boosting")] != []
    of_classes = over_splits(both[:1])
    assert of_classes is not None
    assert not any("gradient boosting" in note for note in of_classes.notes)


def test_a_series_beside_other_tables_has_a_column_more() -> None:
    diagnostics, metrics = splits("regression")
    for found in metrics:
        for key in ("models", "differences", "calibration"):
            found[key]["naive"] = found[key]["linear"]
    plain = summarise("plain", *reversed(splits("regression")))
    for given in (
        [plain, summarise("series", metrics, diagnostics)],
        [summarise("series", metrics, diagnostics), plain],
    ):
        table = over_splits(given)
        assert table is not None and table.columns[-1] == "Last value"
        assert [row.label for row in table.rows if row.cells[-1].text == "n/a"] == ["plain", "plain"]


def test_without_a_repeated_dataset_there_is_no_table() -> None:
    assert over_splits([]) is None
    assert "over several splits" not in render_overview(
        [(make_diagnostics("regression"), make_metrics("regression"))]
    )
