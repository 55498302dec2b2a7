"""What the pages and docstrings show is true: examples run, configs load, commands parse, links lead somewhere."""

import doctest
import importlib
import re
import shlex
from argparse import ArgumentParser
from pathlib import Path

import pytest
import yaml
from snakemake.cli import get_argument_parser

from bnn.config.loading import load
from bnn.report.sentences import VERDICTS
from tests.doc_words import tracked
from tests.unit.docs_blocks import DOCS, ROOT, blocks, run

PAGES = [*tracked(ROOT), ROOT / "CONTRIBUTING.md"]
MODULES = sorted(
    ".".join(path.relative_to(ROOT).with_suffix("").parts)
    for path in (ROOT / "bnn").rglob("*.py")
    if ">>> " in path.read_text(encoding="utf-8")
)
HAS_PYTHON = [page for page in PAGES if any(block.language == "python" for block in blocks(page))]
IN_ORDER = "decision.md"  # which runs the workflow: tests/workflow/test_example.py


def name_of(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


@pytest.mark.slow
@pytest.mark.parametrize("page", [page for page in HAS_PYTHON if page.name != IN_ORDER], ids=name_of)
def test_python_of_a_page_runs_and_prints_what_it_says(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(page, {}) >= 1


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_yaml_of_a_page_is_a_config(page: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A whole one, that of a module, one dataset, or settings of one."""
    iris = {"task": "classification", "source": {"kind": "sklearn", "name": "iris"}}
    gap = {"task": "regression", "source": {"kind": "synthetic", "name": "gap"}}
    for block in blocks(page):
        if block.language != "yaml":
            continue
        keys = yaml.safe_load(block.text)
        keys = keys.get("bnn", keys)
        if "datasets" in keys:
            load(keys)
        elif all(isinstance(value, dict) and "source" in value for value in keys.values()):
            load({"datasets": keys})
        else:
            load({"datasets": {"toy": {**(gap if "likelihood" in keys else iris), **keys}}})


@pytest.fixture(scope="module")
def parser() -> ArgumentParser:
    return get_argument_parser(profiles=[])


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_commands_of_a_page_are_known_to_snakemake(page: Path, parser: ArgumentParser) -> None:
    """In blocks and within lines; whatever stands for a name of a file is one for the parser, too."""
    text = page.read_text(encoding="utf-8")
    shown = re.findall(r"`(snakemake [^`]*)`", text)
    shown += [line for block in blocks(page) if block.language == "bash" for line in block.text.splitlines()]
    for command in shown:
        words = shlex.split(command)
        if "snakemake" not in words:
            continue
        options = words[words.index("snakemake") + 1 :]
        # A profile is looked for when it is named; a plugin brings options of its own.
        plain = [word.replace("workflow/", f"{ROOT}/workflow/") for word in options]
        _, unknown = parser.parse_known_args(plain)
        assert [word for word in unknown if word.startswith("-") and "slurm" not in word] == [], command


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_of_a_page_lead_somewhere(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for link in re.findall(r"\]\(([^)\s]+)\)", text):
        target, _, anchor = link.partition("#")
        if target.startswith("https://"):
            continue
        path = (page.parent / target) if target else page
        assert path.exists(), f"{page.name}: {link}"
        if anchor:
            headings = re.findall(r"^#+ (.*)$", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
            known = {re.sub(r"[^\w\- ]", "", heading).lower().replace(" ", "-") for heading in headings}
            assert anchor in known, f"{page.name}: {link}"


def test_every_page_is_linked_from_the_readme() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    pages = [name_of(page) for page in tracked(ROOT) if page.name != "index.md" and page.name != "README.md"]
    assert len(pages) > 20
    assert [page for page in pages if f"({page})" not in readme] == []


def test_the_figures_of_the_readme_are_those_that_were_measured() -> None:
    """Of iris, from the table that its benchmark wrote."""
    lines = (ROOT / "benchmarks" / "results" / "iris.md").read_text(encoding="utf-8").splitlines()
    rows = {cells[1]: cells for line in lines if len(cells := [c.strip() for c in line.split("|")]) > 2}
    names = {name: place for place, name in enumerate(rows["sampler"])}
    errors = next(place for name, place in names.items() if name.startswith("standard errors from NUTS"))
    readme = " ".join((ROOT / "README.md").read_text(encoding="utf-8").split())
    assert f"{rows['malt'][errors].partition(' / ')[0]} standard errors from that of NumPyro" in readme
    assert f"{float(rows['malt'][names['with warm-up']]):.0f} times as many effective draws" in readme


def test_every_verdict_and_level_is_explained() -> None:
    """In the table of verdicts, and in the glossary."""
    diagnostics, glossary = (
        (DOCS / name).read_text(encoding="utf-8")
        for name in ("explanation/diagnostics.md", "reference/glossary.md")
    )
    assert [name for name in VERDICTS if f"\n| {name} |" not in diagnostics or name not in glossary] == []


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=pytest.mark.slow) if name.startswith("bnn.estimators.") else name
        for name in MODULES
    ],
)
def test_examples_in_docstrings_run(name: str) -> None:
    found = doctest.testmod(importlib.import_module(name))
    assert found.attempted > 0
    assert found.failed == 0


_CITATION = re.compile(
    r"\b([A-ZÖ][\w’\-]+)(?:(?:, [A-ZÖ][\w’\-]+)* & [A-ZÖ][\w’\-]+| et al\.)?"
    r",? \(?(1[89]\d\d|20[0-2]\d)\b(?=[,;)]| section)"
)
"""An author and a year, as in Hastings (1970), or (Neal 1996, chapter 2)."""


def test_what_docstrings_cite_is_in_the_list_of_references() -> None:
    listed = " ".join((DOCS / "reference" / "references.md").read_text(encoding="utf-8").split())
    entries = [entry.partition("). ")[0] for entry in listed.split(" - ")[1:]]
    cited = set()
    for path in (ROOT / "bnn").rglob("*.py"):
        text = " ".join(path.read_text(encoding="utf-8").split())
        cited |= {(match[1], match[2]) for match in _CITATION.finditer(text)}
    assert len(cited) > 20
    missing = [
        (name, year) for name, year in cited if not any(name in e and f"({year}" in e for e in entries)
    ]
    assert sorted(missing) == []
