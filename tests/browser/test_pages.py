"""The pages in a real browser, from the disk and without a network: what a reader sees, hears and can do."""

import csv
import json
import re
import zipfile
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from bnn.plots import figure_names
from bnn.report import render_overview, write_page
from bnn.report.captions import CAPTIONS
from tests.browser.conftest import CONFIG, EVIL, SCREENSHOTS, missing, snakemake
from tests.unit import report_inputs as inputs
from tests.unit.report_page import dataset_page
from tests.unit.traced_numbers import allowed, derived, untraced

pytestmark = pytest.mark.browser

MAX_BYTES = 2_000_000
PAGES = ("report.html", *(f"{name}/report.html" for name in CONFIG["datasets"]))
SCHEMES = ("light", "dark")
WIDTHS = (1280, 768, 360)
PAPER = 718
"""Width of a sheet of A4 between its margins, in CSS pixels."""


@pytest.fixture(scope="module")
def results(run_folder: Path) -> Path:
    return run_folder / "results"


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An overview of made-up datasets with every verdict, scores in another order than names, and one missing."""
    entries = []
    for index, (task, verdict) in enumerate(
        product(("classification", "regression"), ("PASS", "WARN", "FAIL"))
    ):
        name = f"set {'cafbed'[index]}"
        metrics = inputs.make_metrics(task, name) | {"n_train": (120, 9, 1000, 30, 75, 4000)[index]}
        metrics["models"]["bnn"]["test"]["nll"]["value"] = (0.3, 0.05, 12.0, None, 0.9, 0.1)[index]
        metrics["flags"][0] |= {"raised": index == 1, "text": "The NLL of the BNN is worse."}
        entries.append((inputs.make_diagnostics(task, verdict, name), metrics))
    path = tmp_path_factory.mktemp("many") / "report.html"
    write_page(path, render_overview(entries))
    return path


def column(page: Any, table: str, index: int) -> list[str]:
    """Texts of a column of the rows that are shown, remarks left out."""
    script = """([table, index]) => [...document.querySelectorAll(`#${table} tbody tr`)].filter((row) => !row.hidden)
        .map((row) => [...row.children[index].childNodes].filter((node) => node.className !== "remark")
        .map((node) => node.textContent).join("").trim())"""
    found: list[str] = page.evaluate(script, [table, index])
    return found


@pytest.mark.parametrize("name", PAGES)
def test_a_page_opens_from_the_disk_without_a_network(visit, results, name):
    path = results / name
    assert path.stat().st_size <= MAX_BYTES
    visited = visit(path)
    images = visited.page.evaluate(
        """async () => Promise.all([...document.images].map(async (image) => {
            await image.decode(); return [image.complete, image.naturalWidth, image.alt.length]; }))"""
    )
    assert all(complete and width > 0 and alt > 20 for complete, width, alt in images)
    figures = {figure.stem for figure in (path.parent / "figures").glob("*.svg")}
    assert len(images) == len(figures)
    assert visited.complaints == []
    outside = [url for url in visited.requests if not url.startswith(("file:", "data:"))]
    assert outside == []
    files = {url for url in visited.requests if url.startswith("file:")}
    assert files == {path.as_uri()}, "a page is one file"


@pytest.mark.parametrize("name", PAGES)
def test_no_page_is_wider_than_the_screen_and_pictures_of_it_are_kept(visit, results, name):
    SCREENSHOTS.mkdir(exist_ok=True)
    for width, scheme in product(WIDTHS, SCHEMES):
        page = visit(results / name, width=width, scheme=scheme).page
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        label = name.replace("/report.html", "").replace("report.html", "overview")
        page.screenshot(path=SCREENSHOTS / f"{label}-{width}-{scheme}.png", full_page=True)
    page.set_viewport_size({"width": PAPER, "height": 1000})
    page.emulate_media(media="print")
    assert page.evaluate("document.documentElement.scrollWidth") <= PAPER


BROKEN = """(selector) => [...document.querySelectorAll(selector)].flatMap((cell) => {
    const walker = document.createTreeWalker(cell, NodeFilter.SHOW_TEXT), broken = [];
    for (let node = walker.nextNode(); node; node = walker.nextNode()) {
        for (const word of node.data.matchAll(/\\S+/g)) {
            const range = document.createRange();
            range.setStart(node, word.index);
            range.setEnd(node, word.index + word[0].length);
            const lines = new Set([...range.getClientRects()].map((box) => Math.round(box.top)));
            if (lines.size > 1) broken.push(word[0]);
        }
    }
    return broken;
})"""
"""Words of cells that stand on more than one line."""


@pytest.mark.parametrize("width", WIDTHS)
def test_names_of_rows_and_features_stand_on_one_line(visit, tmp_path, width):
    svg = tmp_path / "figure.svg"
    svg.write_text(inputs.SVG, encoding="utf-8")
    metrics = inputs.make_metrics("regression")
    metrics["feature_names"] = ["od315_of_diluted", "smoothness", "c", "d"]
    metrics["columns"] = [inputs.make_column(name) for name in metrics["feature_names"]]
    for entry in metrics["rows"]["most_uncertain"]:
        entry |= {"id": f"ORD-1995-0001{entry['row']}", "time": "2026-01-31"}
    for entry in metrics["rows"]["most_wrong"]:
        entry["time"] = "2026-01-31"
    page_path = tmp_path / "report.html"
    write_page(page_path, dataset_page(svg, "regression", metrics=metrics))
    page = visit(page_path, width=width).page
    page.evaluate("document.querySelectorAll('details').forEach((part) => { part.open = true; })")
    tables = ("#most-uncertain", "#most-wrong", "#columns")
    assert page.locator("#most-wrong tbody th").first.inner_text().split() == ["41", "2026-01-31"]
    for table in tables:
        assert page.evaluate(BROKEN, f"{table} tbody th, {table} tbody td") == [], table
    # In a column that is too narrow for its words they are found.
    page.add_style_tag(
        content="#columns tbody th { max-width: 4rem; min-width: 0; overflow-wrap: anywhere; }"
    )
    assert "od315_of_diluted" in page.evaluate(BROKEN, "#columns tbody th")


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (360, "dark")])
@pytest.mark.parametrize("name", [*PAGES, "many"])
def test_axe_finds_no_serious_fault(visit, results, many, name, width, scheme):
    from axe_playwright_python.sync_playwright import Axe

    page = visit(many if name == "many" else results / name, width=width, scheme=scheme).page
    page.evaluate("document.querySelectorAll('details').forEach((part) => { part.open = true; })")
    violations = Axe().run(page).response["violations"]
    grave = [
        f"{fault['id']} ({fault['impact']}): {fault['help']}: {fault['nodes'][0]['html'][:200]}"
        for fault in violations
        if fault["impact"] in ("serious", "critical")
    ]
    assert grave == []


def test_a_click_sorts_a_table_by_numbers_both_ways_and_missing_ones_stay_last(visit, many):
    visited = visit(many)
    page = visited.page
    heading = page.locator("#overview thead th", has_text="NLL, BNN").first
    values = "rows => rows.map((row) => row.querySelector('.drawn').dataset.sort)"

    def order() -> list[str]:
        found: list[str] = page.eval_on_selector_all("#overview tbody tr", values)
        return found

    before = order()
    heading.get_by_role("button").click()
    assert heading.get_attribute("aria-sort") == "ascending"
    known = [float(text) for text in order() if text]
    assert known == sorted(known) and order()[-1] == "" and order() != before
    heading.get_by_role("button").click()
    assert heading.get_attribute("aria-sort") == "descending"
    assert [float(text) for text in order() if text] == sorted(known, reverse=True) and order()[-1] == ""
    # Text, by keyboard; and another column takes the mark over.
    name = page.locator("#overview thead th").first
    name.get_by_role("button").focus()
    page.keyboard.press("Enter")
    names = page.eval_on_selector_all("#overview tbody a", "links => links.map((link) => link.textContent)")
    assert names == sorted(names) and len(names) == 6
    assert heading.get_attribute("aria-sort") is None
    page.locator("#overview thead th", has_text="Sampling").get_by_role("button").click()
    assert [text[-4:] for text in column(page, "overview", 1)] == ["FAIL"] * 2 + ["WARN"] * 2 + ["PASS"] * 2
    assert visited.complaints == []


def test_filters_hide_datasets_and_say_how_many_are_left(visit, many):
    page = visit(many).page
    shown = "rows => rows.filter((row) => !row.hidden).map((row) => row.querySelector('a').textContent)"
    rows = "#overview tbody tr"
    page.get_by_label("Filter by name").fill("regression FAIL")
    assert page.eval_on_selector_all(rows, shown) == ["set d"]
    assert page.locator("output").inner_text() == "1 of 6 datasets shown"
    page.get_by_label("Filter by name").fill("")
    page.get_by_label("Verdict").select_option("WARN")
    assert sorted(page.eval_on_selector_all(rows, shown)) == ["set a", "set e"]
    # What is to be watched unfolds in the row.
    flags = page.locator("#overview .flags")
    assert flags.count() == 1 and not flags.locator("li").is_visible()
    flags.locator("summary").click()
    assert flags.locator("li").inner_text() == "The NLL of the BNN is worse."
    page.get_by_label("Verdict").select_option("")
    assert len(page.eval_on_selector_all(rows, shown)) == 6
    assert page.locator("output").inner_text() == ""


def test_the_verdict_fail_is_at_the_top_of_both_pages_and_in_the_comparison(visit, results):
    for name in PAGES:
        page = visit(results / name).page
        mark = page.locator(".badge.FAIL" if name == "report.html" else ".marks .bad").first
        assert mark.bounding_box()["y"] < 400
        assert "FAIL" in mark.inner_text()
        assert "be trusted" in page.locator("header" if name == "report.html" else "#answer").inner_text()
        if name != "report.html":
            caption = page.locator("#comparison-test caption").text_content()
            assert caption.endswith("not to be trusted, the chains have not converged")
    said = visit(results / "mine/report.html").page.locator("#advice").text_content()
    assert "Chain 1 is stuck" in said and "one and the same network" in said
    assert "target_acceptance: 0.9" in said


def test_a_name_that_is_a_script_is_text(visit, results):
    visited = visit(results / "mine/report.html")
    assert EVIL in visited.page.locator("#columns").text_content()
    assert EVIL in visited.page.locator("#effects").inner_text()
    assert visited.page.evaluate("document.scripts.length") == 1
    assert visited.complaints == []


@pytest.mark.parametrize("name", CONFIG["datasets"])
def test_every_number_of_a_run_is_in_its_files(results, name):
    found = {
        file: json.loads((results / name / f"{file}.json").read_text(encoding="utf-8"))
        for file in ("metrics", "diagnostics", "checks")
    }
    page = (results / name / "report.html").read_text(encoding="utf-8")
    settings = re.search(r'<pre class="copied config"[^>]*>(.*?)</pre>', page, re.DOTALL)
    versions = re.search(r'<dl class="facts versions">(.*?)</dl>', page, re.DOTALL)
    made = re.search(r'<p class="note made">(.*?)</p>', page)
    assert settings and versions and made
    forms = allowed(*found.values(), derived(found["metrics"], found["diagnostics"]))
    assert untraced(page, forms | allowed(settings.group(1), versions.group(1), made.group(1))) == []


def test_a_point_of_the_scatter_says_which_row_it_is(visit, results):
    visited = visit(results / "iris/report.html")
    page = visited.page
    tip = page.locator("#scatter .tip")
    assert not tip.is_visible()
    with open(results / "iris" / "predictions.csv", encoding="utf-8", newline="") as handle:
        rows = list(csv.DictReader(handle))
    assert page.locator("#scatter [data-row]").count() == len(rows)
    row = max(rows, key=lambda line: float(line["bnn_entropy_aleatoric"]))
    page.locator(f'#scatter [data-row="{row["row"]}"]').hover()
    assert tip.inner_text().startswith(
        f"Row {row['row']}: observed {row['y']}, predicted {row['bnn_predicted']}"
    )
    page.mouse.move(2, 2)
    assert not tip.is_visible()
    # The other way round: a row of the table marks its point.
    line = page.locator("#most-uncertain tbody tr").first
    line.hover()
    marked = page.locator("#scatter .here")
    assert marked.count() == 1 and marked.get_attribute("data-row") == line.get_attribute("data-row")
    assert visited.complaints == []


def test_without_scripts_the_page_says_the_same(visit, results):
    page = visit(results / "report.html", java_script_enabled=False).page
    assert page.locator("#overview tbody tr").count() == len(CONFIG["datasets"])
    assert page.locator(".controls").count() == page.locator("th button").count() == 0


def test_on_paper_is_what_the_reader_opened_in_whole_words_on_few_pages(visit, results, tmp_path):
    page = visit(results / "iris/report.html").page
    page.locator("#convergence-checks summary").click()
    page.pdf(path=tmp_path / "iris.pdf", prefer_css_page_size=True)
    assert len(re.findall(rb"/Type\s*/Page\b", (tmp_path / "iris.pdf").read_bytes())) <= 8
    assert page.locator("details[open]").count() == 1
    page.set_viewport_size({"width": PAPER, "height": 1000})
    page.emulate_media(media="print")
    for what in (".tool", ".controls", "#appendix table"):
        assert page.locator(what).count() == 0 or not page.locator(what).first.is_visible(), what
    page.evaluate("document.querySelectorAll('details').forEach((part) => { part.open = true; })")
    assert page.evaluate(BROKEN, "table td, table thead th") == []
    # Small print is no larger than the numbers of its table.
    sizes = "cells => cells.map((cell) => parseFloat(getComputedStyle(cell).fontSize))"
    numbers = page.eval_on_selector_all("table tbody td", sizes)
    assert max(page.eval_on_selector_all("table thead th, table .remark", sizes)) <= min(numbers)


def test_a_page_is_short(visit, results):
    for name in CONFIG["datasets"]:
        page = visit(results / name / "report.html").page
        words = "document.body.innerText.split(/\\s+/).filter(Boolean).length"
        assert page.evaluate("document.documentElement.scrollHeight") <= 7500
        assert page.evaluate(words) <= 1800
        page.evaluate("document.querySelectorAll('details').forEach((part) => { part.open = true; })")
        assert page.evaluate(words) <= 4500


def test_text_of_figures_can_be_read_on_a_telephone(visit, results):
    page = visit(results / "mine/report.html", width=360).page
    images = page.eval_on_selector_all("figure img", "all => all.map((image) => [image.alt, image.width])")
    smallest = {}
    for path in (results / "mine" / "figures").glob("*.svg"):
        text = path.read_text(encoding="utf-8")
        width = float(re.search(r'viewBox="0 0 ([\d.]+)', text).group(1))  # type: ignore[union-attr]
        sizes = [
            float(size)
            for size in re.findall(r"font-size: ([\d.]+)px|font: ([\d.]+)px", text)
            for size in size
            if size
        ]
        shown = next(image[1] for image in images if image[1])
        smallest[path.stem] = min(sizes) * shown / width
    assert min(smallest.values()) >= 9, smallest


def test_texts_are_copied_and_tables_downloaded(visit, results):
    visited = visit(results / "iris/report.html")
    page = visited.page
    with page.expect_download() as download:
        page.locator("#unsure").get_by_role("button", name="CSV").click()
    assert download.value.suggested_filename == "most-uncertain.csv"
    lines = Path(download.value.path()).read_text(encoding="utf-8").splitlines()
    assert lines[0].startswith('"Row') and len(lines) == 6
    copy = page.locator("#made").get_by_role("button", name="Copy").first
    copy.click()
    page.wait_for_function("document.querySelector('#made .tool').textContent === 'Copied'")
    assert visited.complaints == []


def test_links_between_the_pages_and_to_the_files_lead_somewhere(visit, results):
    for name in PAGES:
        path = results / name
        page = visit(path).page
        for href in page.eval_on_selector_all("a", "links => links.map((link) => link.getAttribute('href'))"):
            if href.startswith("#"):
                assert page.locator(href).count() == 1, href
            else:
                assert (path.parent / href).exists(), href


def test_snakemakes_own_report_holds_pages_tables_and_figures_with_captions(run_folder):
    snakemake(run_folder, "--report", "report.zip")
    with zipfile.ZipFile(run_folder / "report.zip") as archive:
        names = archive.namelist()
        text = "".join(
            archive.read(name).decode("utf-8") for name in names if name.endswith((".js", "report.html"))
        )
    captions = {*figure_names("classification", 4), *figure_names("regression", 2)}
    for figure in captions:
        assert sum(name.endswith(f"/{figure}.svg") for name in names) >= 1, figure
        assert CAPTIONS[figure].text[:40] in text, figure
    for table in (
        "scores_test",
        "differences",
        "convergence",
        "chains",
        "most_uncertain",
        "most_wrong",
        "out_of_distribution",
    ):
        assert sum(name.endswith(f"/{table}.html") for name in names) == len(CONFIG["datasets"]), table
    assert not any(name.endswith(".csv") for name in names), "which the report would only offer for download"
    for category in ("Reports", "Tables", "Figures"):
        assert f'"{category}"' in text
    for label in ("log density trace", "most uncertain", "mine", "Overview"):
        assert f'"{label}"' in text
    # The first page says how each dataset fared.
    assert "The verdict is on the chains." in text
    for name in CONFIG["datasets"]:
        assert re.search(rf"<td>(<p>)?{name}\b.{{0,80}}?FAIL", text, flags=re.DOTALL), name


def test_a_missing_browser_skips_these_tests_but_not_unseen_by_continuous_integration(monkeypatch):
    monkeypatch.delenv("BNN_REQUIRE_BROWSER", raising=False)
    with pytest.raises(pytest.skip.Exception, match="there is no Chromium"):
        missing("there is no Chromium")
    monkeypatch.setenv("BNN_REQUIRE_BROWSER", "1")
    with pytest.raises(pytest.fail.Exception, match="there is no Chromium, and BNN_REQUIRE_BROWSER is set"):
        missing("there is no Chromium")


N_MANY, MOST_SECONDS = 200, 1.5


def test_an_overview_of_two_hundred_datasets_is_there_at_once(browser, tmp_path):
    """Loaded, laid out, sorted and filtered, in seconds of the processor: other tests run beside this one."""
    entries = []
    for index in range(N_MANY):
        task, name = ("classification", "regression")[index % 2], f"d{index:03d}"
        entries.append((inputs.make_diagnostics(task, "PASS", name), inputs.make_metrics(task, name)))
    path = tmp_path / "report.html"
    write_page(path, render_overview(entries))
    context = browser.new_context(viewport={"width": 1280, "height": 900}, offline=True)
    page = context.new_page()
    session = context.new_cdp_session(page)
    session.send("Performance.enable", {"timeDomain": "threadTicks"})

    def seconds() -> float:
        metrics = {item["name"]: item["value"] for item in session.send("Performance.getMetrics")["metrics"]}
        return float(metrics["TaskDuration"])

    page.goto(path.as_uri())
    page.evaluate("document.body.getBoundingClientRect().height")
    loaded = seconds()
    assert page.locator("#overview tbody tr").count() == N_MANY
    page.locator("#overview thead th", has_text="Score").get_by_role("button").click()
    page.get_by_role("searchbox").fill("d19")
    assert page.locator("#overview tbody tr:not([hidden])").count() == 10
    total = seconds()
    print(f"loaded in {loaded:.2f} s, sorted and filtered in {total - loaded:.2f} s of the processor")
    context.close()
    assert 0 < loaded < MOST_SECONDS and total - loaded < MOST_SECONDS
