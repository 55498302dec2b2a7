"""The pages of the report: what they say, that they need no network, and that no text of a user becomes markup."""

import base64
import copy
import re
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from jinja2 import UndefinedError

from bnn import plots
from bnn.core.storage import read_json, write_json
from bnn.diagnostics.verdict import worst
from bnn.report import render_overview, render_tables, table, write_page
from bnn.report.captions import figure_texts
from bnn.report.overview import overview_rows
from bnn.report.render import FILES
from bnn.report.rst import PATH, figure_captions
from tests.unit.report_inputs import (
    MODELS,
    SVG,
    distinct_metrics,
    make_checks,
    make_diagnostics,
    make_metrics,
    make_predictions,
    make_settings,
)
from tests.unit.report_page import (
    Page,
    assert_close,
    assert_shows,
    dataset_page,
)


@pytest.fixture
def svg(tmp_path: Path) -> Path:
    path = tmp_path / "figure.svg"
    path.write_text(SVG, encoding="utf-8")
    return path


def pages(svg: Path) -> dict[str, str]:
    """Render a page of each kind."""
    cases = [
        (task, verdict) for task in ("classification", "regression") for verdict in ("PASS", "WARN", "FAIL")
    ]
    rendered = {f"{task} {verdict}": dataset_page(svg, task, verdict) for task, verdict in cases}
    entries = [(make_diagnostics(task, verdict, task), make_metrics(task, task)) for task, verdict in cases]
    return rendered | {"overview": render_overview(entries), "empty overview": render_overview([])}


def test_pages_are_well_formed_and_need_no_network(svg: Path) -> None:
    for name, html in pages(svg).items():
        page = Page.of(html)
        assert page.unclosed == [], name
        assert html.startswith("<!DOCTYPE html>") and "charset" in page.attributes("meta")[0]
        addresses = [
            attributes[key]
            for _, attributes in page.elements
            for key in ("src", "href", "srcset", "data", "action", "poster")
            if key in attributes
        ]
        assert all(
            address.startswith(("data:", "#", "../", "classification/", "regression/", "figures/"))
            or address in FILES
            for address in addresses
        )
        assert not re.search(r"@import|url\(|https?://", html), name
        assert html.count("<script") == 1, "the one of the page itself"
        ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
        assert len(ids) == len(set(ids)), name


def test_headings_are_hierarchical_and_images_described(svg: Path) -> None:
    for name, html in pages(svg).items():
        page = Page.of(html)
        levels = [int(tag[1]) for tag, _ in page.elements if re.fullmatch(r"h[1-6]", tag)]
        assert levels[0] == 1 and levels.count(1) == 1, name
        assert all(after <= before + 1 for before, after in pairwise(levels)), name
        assert all(len(image["alt"]) > 20 for image in page.attributes("img")), name
        assert page.attributes("html") == [{"lang": "en"}]
        scrolling = [element for element in page.attributes("div") if "scroll" in element.get("class", "")]
        known = {attributes.get("id") for _, attributes in page.elements}
        assert all(
            element["tabindex"] == "0" and element["aria-labelledby"] in known for element in scrolling
        )
        scopes = {attributes.get("scope") for attributes in page.attributes("th")}
        assert scopes <= {"row", "col", "colgroup"}, name


@pytest.mark.parametrize("task", ["classification", "regression"])
@pytest.mark.parametrize("split", ["train", "test"])
def test_comparison_shows_the_numbers_of_the_file(svg: Path, task: str, split: str) -> None:
    metrics = distinct_metrics(task)
    found = Page.of(dataset_page(svg, task, metrics=metrics)).cells(f"comparison-{split}")
    assert found.pop("Metric") == [
        "BNN",
        "Baseline network",
        "Deep ensemble",
        "Linear model",
        "Gradient boosting",
        "Monte Carlo error, BNN",
    ]
    n_metrics = {"classification": 7, "regression": 5}[task]
    assert len(found) == n_metrics
    for name, metric in table.METRICS.items():
        if metric.label in found:
            for model, text in zip(MODELS, found[metric.label], strict=False):
                if task == "regression" and (model, name) == ("boosting", "nll"):
                    assert text == "–"
                    continue
                assert_shows(text, metrics["models"][model][split][name], "se")
            assert_close(found[metric.label][-1], metrics["models"]["bnn"][split][name]["mcse"])


@pytest.mark.parametrize("task", ["classification", "regression"])
def test_differences_show_the_numbers_of_the_file_and_what_they_mean(svg: Path, task: str) -> None:
    metrics = distinct_metrics(task)
    metrics["differences"]["linear"]["nll"] |= {"lower": 0.01, "upper": 0.03}
    metrics["differences"]["ensemble"]["nll"] |= {"lower": -0.03, "upper": -0.01}
    page = Page.of(dataset_page(svg, task, metrics=metrics))
    found = page.cells("differences")
    for name, metric in table.METRICS.items():
        if metric.label in found:
            scale = 100 if metric.is_share else 1
            for other, text in zip(MODELS[1:], found[metric.label], strict=True):
                entry = metrics["differences"][other][name]
                if task == "regression" and (other, name) == ("boosting", "nll"):
                    assert text == "–"
                    continue
                assert_shows(
                    text.removeprefix("+"), {key: scale * entry[key] for key in ("value", "se")}, "se"
                )
    outcomes = page.remarks["differences"]["NLL"][1:]
    assert [text.splitlines()[-1] for text in outcomes[:3]] == ["not told apart", "BNN better", "BNN worse"]
    assert ("–: gradient boosting" in page.text) == (task == "regression")
    assert "n/a: the metric" not in page.text


def test_a_score_that_does_not_vary_over_rows_has_no_error(svg: Path) -> None:
    """Thirty rows out of thirty do not make the accuracy certain; the bootstrap cannot know."""
    metrics = make_metrics("classification")
    own = {"value": 1.0, "mcse": 0.0, "se": 1e-17, "lower": 0.88430, "upper": 1.0}
    metrics["models"]["bnn"]["test"]["accuracy"] = own
    metrics["models"]["linear"]["test"]["accuracy"] = own | {"value": 0.0, "lower": 0.0, "upper": 0.1157}
    metrics["differences"]["baseline"]["accuracy"] = {"value": 0.0, "se": 0.0, "lower": 0.0, "upper": 0.0}
    page = Page.of(dataset_page(svg, "classification", metrics=metrics))
    assert page.cells("comparison-test")["Accuracy"][0] == "100 % (at least 88.4 %)"
    assert page.cells("comparison-test")["Accuracy"][3] == "0 % (at most 11.6 %)"
    assert "Accuracy 100 % against" in page.text
    overview = Page.of(render_overview([(make_diagnostics("classification"), metrics)]))
    assert overview.cells("overview")["iris"][3] == "100 %"
    assert page.remarks["differences"]["Accuracy"][1] == "same on every row"


def test_an_ece_is_called_neither_better_nor_worse(svg: Path) -> None:
    metrics = distinct_metrics("classification")
    for other in MODELS[1:]:
        metrics["differences"][other]["ece"] |= {"lower": 0.04, "upper": 0.09}
    for verdict in ("PASS", "FAIL"):
        page = Page.of(dataset_page(svg, "classification", verdict, metrics=metrics))
        assert page.remarks["differences"]["ECE"] == ["percentage points", *[""] * len(MODELS[1:])]
        assert table.ECE_NOTE in page.text
    assert table.ECE_NOTE not in Page.of(dataset_page(svg, "regression")).text


@pytest.mark.parametrize(("n_test", "said"), [(29, True), (30, False)])
def test_few_test_rows_and_many_comparisons_are_said(svg: Path, n_test: int, said: bool) -> None:
    metrics = make_metrics("regression") | {"n_test": n_test}
    page = Page.of(dataset_page(svg, "regression", metrics=metrics))
    assert (table.FEW_NOTE in page.text) == said
    assert table.MANY_NOTE in page.text
    overview = Page.of(render_overview([(make_diagnostics("regression"), metrics)])).text
    assert (table.FEW_NOTE in overview) == said
    assert table.MANY_NOTE in overview


def test_the_difference_of_chains_that_did_not_converge_is_not_drawn() -> None:
    entries = [
        (make_diagnostics("regression", verdict), make_metrics("regression")) for verdict in ("PASS", "FAIL")
    ]
    failed, passed = entries[1], entries[0]
    assert render_overview([passed]).count('class="whisker"') == 1
    assert render_overview([failed]).count('class="whisker"') == 0
    # Nor does it stretch the scale of the others.
    failed[1]["differences"]["baseline"]["nll"] |= {"lower": -1e6, "upper": 1e6}
    assert overview_rows([passed, failed])[0].whisker == overview_rows([passed])[0].whisker


def test_running_a_dataset_again_leaves_the_page_over_all_alone(svg: Path) -> None:
    text = Page.of(dataset_page(svg, "regression")).text
    command = next(line for line in text.splitlines() if ".venv/bin/snakemake " in line)
    # The target comes first: what follows --configfile is taken for one.
    assert command.split("--replace")[0].split()[-1] == "results/iris/report.html"


def test_interval_table_shows_the_numbers_of_the_file(svg: Path) -> None:
    metrics = distinct_metrics("regression")
    page = Page.of(dataset_page(svg, "regression", metrics=metrics))
    found = page.cells("intervals-test")
    assert "Mean width [points]" in found["Interval"]
    for level in (50, 90, 95):
        names = [(model, f"{kind}_{level}") for model in metrics["models"] for kind in ("coverage", "width")]
        for (model, name), text in zip(names, found[f"{level} %"], strict=True):
            assert_shows(text, metrics["models"][model]["test"][name], "se" if "cov" in name else "none")


def test_class_table_shows_the_numbers_of_the_file(svg: Path) -> None:
    found = Page.of(dataset_page(svg, "classification")).cells("classes-test")
    assert found["virginica"] == ["10", *(["100 %", "90.0 %", "94.7 %"] * len(MODELS))]


def test_uncertainty_table_shows_parts_and_share(svg: Path) -> None:
    html = dataset_page(svg, "regression")
    assert Page.of(html).cells("uncertainty")["Test rows"] == ["0.362", "0.318", "0.173", "22.9 %"]
    assert "standard deviation, points" in html
    metrics = make_metrics("classification")
    metrics["uncertainty"]["test"] = {"total": 0.0, "aleatoric": 0.0, "epistemic": 0.0}
    page = Page.of(dataset_page(svg, "classification", metrics=metrics))
    assert page.cells("uncertainty")["Test rows"] == ["0", "0", "0", "n/a"]
    assert "n/a: there is no uncertainty to split" in page.text


def test_convergence_and_chain_tables(svg: Path) -> None:
    page = Page.of(dataset_page(svg, "regression", "FAIL"))
    found = page.cells("convergence")
    assert found["Predictions, test rows"] == ["90", "1.3820", "1.0008", "13", "11", "2,911", "7", "1,002"]
    assert found["Noise scale"][1] == "1.0012"
    assert page.remarks["convergence"]["Predictions, test rows"][0] == "worst R-hat at row 77"
    alone = render_tables(
        make_diagnostics("regression", "FAIL"), make_metrics("regression"), make_checks("regression")
    )
    tables = [Page.of(alone[name]) for name in ("convergence", "chains")]
    flags = [cell.get("class", "") for single in tables for cell in single.attributes("td")]
    assert flags.count("flag-fail") == 5  # R-hat and ESS of both splits, and the stuck chain
    assert flags.count("flag-warn") == 4  # quantities beyond the limits
    assert "Stuck" in page.tables["chains"][0]
    numbers = ["\N{MINUS SIGN}61.400", "1.0140", "303", "0.373", "13.5 s"]
    assert page.cells("chains")["2"] == ["57.3 %", "0.0123", "0", "no", *numbers]
    assert page.cells("chains")["3"][3] == "yes"
    assert "together have an NLL of 0.344, one by itself 0.351 to 0.373; 27.0 % of the epistemic" in page.text
    assert "Noise scale" not in Page.of(dataset_page(svg, "classification")).cells("convergence")


def test_fail_says_that_the_figures_are_not_to_be_trusted(svg: Path) -> None:
    for task in ("classification", "regression"):
        for verdict in ("PASS", "WARN", "FAIL"):
            page = Page.of(dataset_page(svg, task, verdict))
            before_table, caption = page.text.split("Test rows (30)")
            failed = verdict == "FAIL"
            assert ("BNN's figures in this comparison are not to be trusted" in before_table) == failed
            assert caption.startswith(": not to be trusted") == failed
            mark = {"PASS": "✓ Sampling: PASS.", "WARN": "! Sampling: WARN.", "FAIL": "✕ Sampling: FAIL."}[
                verdict
            ]
            top = before_table[: before_table.index("Where is it unsure")]
            assert mark in top
            assert ("trust no BNN figure on this page" in top) == failed
            assert top.count("not to be trusted.") == (4 if failed else 0)
            for reason in make_diagnostics(task, verdict)["reasons"]:
                assert (reason in top) == (verdict != "PASS")
            html = "".join(
                render_tables(make_diagnostics(task, verdict), make_metrics(task), make_checks(task)).values()
            )
            assert ("not to be trusted" in html) == failed


def test_texts_of_users_stay_text(svg: Path) -> None:
    evil = "<script>alert('1')</script>\"&amp;"
    metrics = make_metrics("classification", dataset=evil)
    metrics |= {"class_names": [evil, "b", "c"], "target_name": evil}
    for rows in (rows for reports in metrics["classification_report"].values() for rows in reports.values()):
        rows[0] = rows[0] | {"class": evil}
    diagnostics = make_diagnostics("classification", "WARN", dataset=evil)
    diagnostics["findings"] = [{"level": "WARN", "name": "rhat", "text": f"{evil} is too large"}]
    settings = make_settings() | {"source": {"path": evil}}
    metrics["feature_names"] = [evil, "b", "c", "d"]
    metrics["rows"]["most_wrong"][0]["y"] = evil
    predictions = make_predictions("classification")
    predictions[0]["y"] = evil
    html = dataset_page(
        svg,
        "classification",
        metrics=metrics,
        diagnostics=diagnostics,
        settings=settings,
        predictions=predictions,
    )
    regression = make_metrics("regression", dataset=evil) | {"target_unit": evil, "target_name": evil}
    overview = render_overview([(diagnostics, metrics), (make_diagnostics("regression"), regression)])
    for text in (html, overview, dataset_page(svg, "regression", metrics=regression)):
        page = Page.of(text)
        assert [tag for tag, _ in page.elements].count("script") == 1, "the one of the page itself"
        assert page.text.count(evil) >= 2
    page = Page.of(html)
    assert evil in page.cells("classes-test")
    assert "&#39;1&#39;" in html
    link = Page.of(overview).attributes("a")[0]["href"]
    assert link == "%3Cscript%3Ealert%28%271%27%29%3C%2Fscript%3E%22%26amp%3B/report.html"


def test_figures_are_embedded_in_their_parts(svg: Path) -> None:
    metrics = make_metrics("regression") | {"n_features": 1}
    shuffled = dict.fromkeys(sorted(plots.figure_names("regression", 1)), svg)
    page = Page.of(dataset_page(svg, "regression", metrics=metrics, figures=shuffled))
    figures = [element["id"].removeprefix("figure-") for element in page.attributes("figure")]
    assert sorted(figures) == sorted([*plots.figure_names("regression", 1), "scatter"])
    links = [element["href"] for element in page.attributes("a") if element["href"].startswith("figures/")]
    assert sorted(links) == sorted(f"figures/{name}.svg" for name in shuffled)
    without = Page.of(dataset_page(svg, "classification", predictions=[]))
    assert "scatter" not in {element.get("id") for element in without.attributes("figure")}
    kind, _, content = page.attributes("img")[0]["src"].partition(",")
    assert kind == "data:image/svg+xml;base64"
    assert base64.b64decode(content).decode("utf-8") == SVG
    with pytest.raises(ValueError, match="'new'"):
        dataset_page(svg, "regression", figures={"new": svg})


def test_every_figure_has_texts() -> None:
    names = {*plots.figure_names("classification", 4), *plots.figure_names("regression", 1)}
    assert set(figure_texts(make_diagnostics("regression"), make_metrics("regression"))) >= names


def test_captions_of_snakemakes_report_are_those_of_the_page() -> None:
    assert PATH.read_text(encoding="utf-8") == figure_captions(), "run python -m bnn.report.rst"


def test_a_runner_up_that_predicts_better_comes_with_the_reason(svg: Path) -> None:
    def one(
        hidden: list[int], difference: float, rhat: float | None, spread: float = 0.021
    ) -> dict[str, Any]:
        candidate = {"hidden": hidden, "scale": 2.0, "family": "gaussian"}
        error = spread if difference else 0.0
        return {"candidate": candidate, "difference": difference, "error": error, "rhat": rhat}

    cases = [([50], -0.044, 1.118, True), ([50], -0.044, 1.02, False), ([50], 0.044, 1.118, False)]
    cases += [([], -0.044, 1.118, False)]  # a linear model, which is never passed over for its chains
    # The same network with other noise: passed over for its mixing, or not better by a standard error.
    cases += [([50, 50], -0.044, 1.118, True), ([50, 50], -0.02, 1.118, False)]
    # However uncertain a difference of 0.15 nats is, it would not have been passed over for simplicity.
    wide = [one([7], 0.0, 1.5), one([50, 50], 0.0, 1.021), one([50, 50], -0.15, 1.118, 0.2)]
    assert "chains that agree less" in dataset_page(svg, "regression", tried=wide)
    for hidden, difference, rhat, said in cases:
        # One that was behind another in an earlier step is no runner-up of the one that was chosen in the end.
        tried = [one([7], 0.0, 1.5), one([9], -0.3, 1.5), one([50, 50], 0.0, 1.021)]
        page = dataset_page(svg, "regression", tried=[*tried, one(hidden, difference, rhat)])
        assert ("chains that agree less (R-hat of short runs 1.118, of this one 1.021)" in page) is said
        assert f"{abs(difference):.3f} ± 0.021 nats a row" in page


@pytest.mark.parametrize(("activation", "said"), [("relu", "50 relu units"), ("tanh", "50 units")])
def test_a_runner_up_is_named_by_its_activation_if_that_is_another(
    svg: Path, activation: str, said: str
) -> None:
    chosen = {"hidden": [10], "scale": 2.0, "family": "gaussian", "activation": "tanh"}
    second = {"hidden": [50], "scale": 4.0, "family": "gaussian", "activation": activation}
    tried = [
        {"candidate": one, "difference": difference, "error": difference / 2, "rhat": 1.0}
        for one, difference in ((chosen, 0.0), (second, 0.01))
    ]
    assert f"runner-up: {said}, scale 4" in dataset_page(svg, "classification", tried=tried)


def test_missing_numbers_are_said_in_words(svg: Path) -> None:
    metrics = make_metrics("regression")
    metrics["models"]["bnn"]["test"]["r2"] = {"value": None, "mcse": None, "se": None}
    metrics["models"]["linear"]["test"] = {}
    metrics["models"]["bnn"]["train"]["coverage_50"] = {"value": None, "mcse": None, "se": None}
    metrics["seconds"] = {"baseline": None, "ensemble": None, "boosting": None, "bnn": 3.0}
    diagnostics = make_diagnostics("regression", "FAIL")
    diagnostics["log_density"] = dict.fromkeys(diagnostics["log_density"])
    diagnostics["predictions"]["test"] |= {"rhat_max": None, "ess_bulk_min": None}
    diagnostics["chains"][0] |= {"acceptance_rate": None, "step_size": None}
    page = Page.of(dataset_page(svg, "regression", diagnostics=diagnostics, metrics=metrics))
    assert page.cells("comparison-test")["R²"] == [
        "n/a",
        "0.476 ± 0.015",
        "0.471 ± 0.015",
        "n/a",
        "0.462 ± 0.015",
        "n/a",
    ]
    assert page.cells("convergence")["Log density"][1] == "n/a"
    assert page.cells("chains")["0"][:2] == ["n/a", "n/a"]
    assert page.cells("chains")["3"][-2] == "n/a"
    for reason in (
        "the metric is not defined",
        "the interval was not finite",
        "the quantity is the same in every draw",
    ):
        assert f"n/a: {reason}" in page.text
    assert worst(diagnostics) == (None, None)
    assert worst(make_diagnostics("regression", "WARN")) == (1.0213, 287.4)
    overview = Page.of(render_overview([(diagnostics, metrics)]))
    assert "n/a" in overview.cells("overview")["iris"][-2]
    assert overview.remarks["overview"]["iris"][1] == "R-hat n/a\nESS n/a"


def test_other_models_and_metrics_are_shown_under_their_own_names(svg: Path) -> None:
    metrics = make_metrics("classification")
    extra = {"log_score": {"value": -0.25, "mcse": None, "se": None}}
    metrics["models"]["forest"] = {"train": extra, "test": extra}
    found = Page.of(dataset_page(svg, "classification", metrics=metrics)).cells("comparison-test")
    assert found["Metric"][:-1] == [
        "BNN",
        "Baseline network",
        "Deep ensemble",
        "Linear model",
        "Gradient boosting",
        "forest",
    ]
    assert found["log_score"] == [*["n/a"] * len(MODELS), "\N{MINUS SIGN}0.2500", "n/a"]


def test_page_says_how_it_was_made(svg: Path) -> None:
    text = Page.of(dataset_page(svg, "classification")).text
    for expected in (
        "sampler:\n  kernel: mala",
        "seed: 1",
        "--configfile iris.yaml",
        "NumPy",
        "2.4.0",
        "1 min 13 s",
        "306 times as long",
        "52,000",
    ):
        assert expected in text
    assert "(one in 5 iterations)" in text
    every = make_diagnostics("classification") | {"thin": 1, "n_chains": 1}
    assert "1 chain of 2,000 kept draws (every iteration)" in dataset_page(
        svg, "classification", diagnostics=every
    )


def test_overview_has_a_row_a_dataset_with_links_that_resolve(svg: Path, tmp_path: Path) -> None:
    cases = {"iris": "PASS", "breast cancer #2": "WARN", "wine": "FAIL"}
    entries = []
    for name, verdict in cases.items():
        diagnostics, metrics = (
            make_diagnostics("classification", verdict, name),
            distinct_metrics("classification"),
        )
        metrics["dataset"] = name
        write_page(tmp_path / name / "report.html", dataset_page(svg, "classification", metrics=metrics))
        entries.append((diagnostics, metrics))
    html = render_overview(entries)
    write_page(tmp_path / "report.html", html)
    page = Page.of(html)
    for link in page.attributes("a"):
        assert unquote(link["href"]).removesuffix("/report.html") in cases
        target = tmp_path / unquote(link["href"])
        assert target.is_file()
        back = Page.of(target.read_text(encoding="utf-8")).attributes("a")[0]["href"]
        assert (target.parent / back).resolve() == tmp_path / "report.html"
    found = page.cells("overview")
    assert list(found)[1:] == list(cases)
    for diagnostics, metrics in entries:
        verdict, certain, against, own, baseline, _, seconds = found[metrics["dataset"]]
        assert verdict.endswith(diagnostics["verdict"]) and seconds == "95.0"
        for model, text in (("bnn", own), ("baseline", baseline)):
            assert_close(text, metrics["models"][model]["test"]["accuracy"]["value"])
        failed = diagnostics["verdict"] == "FAIL"
        assert (certain == against == "✕ not to be trusted") == failed
    assert [row[1] for row in list(page.remarks["overview"].values())[1:]] == [
        "R-hat 1.0034\nESS 1,312",
        "R-hat 1.0213\nESS 287",
        "R-hat 1.3820\nESS 11",
    ]
    assert "3 datasets: 1 FAIL, 1 WARN, 1 PASS" in page.text
    assert "not to be trusted" in page.text
    assert "not to be trusted" not in Page.of(render_overview(entries[:1])).text
    assert "There is no dataset to show." in render_overview([])


def test_what_the_json_lacks_is_an_error_not_a_gap(svg: Path) -> None:
    diagnostics = make_diagnostics("classification")
    del diagnostics["n_draws"]
    with pytest.raises(UndefinedError, match="n_draws"):
        dataset_page(svg, "classification", diagnostics=diagnostics)


def test_inputs_come_back_unchanged_and_pages_repeat(svg: Path) -> None:
    diagnostics, metrics = make_diagnostics("regression"), make_metrics("regression")
    before = copy.deepcopy((diagnostics, metrics))
    first = dataset_page(svg, "regression", diagnostics=diagnostics, metrics=metrics)
    assert (diagnostics, metrics) == before
    assert first == dataset_page(svg, "regression", diagnostics=diagnostics, metrics=metrics)


def test_write_page_replaces_the_file_whole(tmp_path: Path) -> None:
    path = tmp_path / "new" / "report.html"
    write_page(path, "ä")
    assert path.read_bytes() == "ä".encode()
    assert [file.name for file in path.parent.iterdir()] == ["report.html"]


def test_contents_of_json_files_render_as_they_are_written(svg: Path, tmp_path: Path) -> None:
    """NumPy numbers and tuples are gone once the files were written; the page is the same before and after."""
    diagnostics, metrics = make_diagnostics("regression"), make_metrics("regression")
    write_json(tmp_path / "d.json", diagnostics)
    write_json(tmp_path / "m.json", metrics)
    loaded = {"diagnostics": read_json(tmp_path / "d.json"), "metrics": read_json(tmp_path / "m.json")}
    assert dataset_page(svg, "regression", **loaded) == dataset_page(svg, "regression")


def test_predictions_that_the_config_asks_for_are_linked(svg: Path) -> None:
    page = dataset_page(
        svg, "regression", settings=make_settings() | {"predict": ["in/next year.csv", "b.csv"]}
    )
    assert (
        '<a href="predictions/next%20year.csv">next year.csv</a>, <a href="predictions/b.csv">b.csv</a>.'
        in page
    )
    assert 'id="predicted"' not in dataset_page(svg, "regression")
