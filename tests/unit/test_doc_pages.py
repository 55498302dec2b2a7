"""The pages that people write are short and plain; the lists of the reference are written from their sources."""

import importlib.util
import re
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

from tests.doc_words import n_words, pages, prose, tracked
from tests.result_keys import described, undescribed
from tests.unit.docs_blocks import DOCS, ROOT

MOST_WORDS = 9000
README_WORDS = 900
LONGEST_SENTENCE = 35


def test_words_are_those_of_the_prose() -> None:
    text = "# A b\n\nOne [two](three/four.md), `five` | --- |\n\n```python\nsix = 7\n```\n\n- ![eight](nine.png)\n"
    text += "<!-- ten -->"
    assert prose(text).split() == ["#", "A", "b", "One", "[two],", "`five`", "|", "---", "|", "-"]
    assert n_words(text) == 5
    assert n_words("- ```yaml\n  a: 1\n  ```\n\n  ```yaml\n  b: 2\n  ```\nleft") > 0


def test_pages_that_are_generated_or_ignored_do_not_count(tmp_path: Path) -> None:
    texts = {
        "README.md": "a",
        "docs/index.md": "b",
        "docs/reference/made.md": "# A\n\n<!-- Written by `python x.py` from y -->\nb",
        "docs/reference/kept.md": "c",
        "docs/reference/api/d.md": "d",
        "docs/gallery/index.md": "e",
        ".gitignore": "/docs/reference/api/\n/results/\n",
    }
    for name, text in texts.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")

    def names(found: list[Path]) -> set[str]:
        return {page.relative_to(tmp_path).as_posix() for page in found}

    assert names(pages(tmp_path)) == {"README.md", "docs/index.md", "docs/reference/kept.md"}
    assert names(tracked(tmp_path)) - names(pages(tmp_path)) == {
        "docs/reference/made.md",
        "docs/gallery/index.md",
    }


def test_the_pages_are_short() -> None:
    counts = {page.name: n_words(page.read_text(encoding="utf-8")) for page in pages(ROOT)}
    assert len(counts) > 15
    assert sum(counts.values()) <= MOST_WORDS, counts
    assert len((ROOT / "README.md").read_text(encoding="utf-8").split()) <= README_WORDS


def sentences(text: str) -> list[str]:
    """Return the sentences of a page; a paragraph, a heading, an item and a cell of a table each end one."""
    parts = re.split(r"\n\s*\n|\n#+ |\n- |\n\d+\. |\||(?<=[.!?])[*`)]*\s+(?=[A-Z*`\[])", text)
    return [" ".join(part.lstrip("#- \n").split()) for part in parts if part.strip()]


def test_sentences_end_where_they_should() -> None:
    text = "# A b\n\nOne two. Three\nfour: five.\n\n- six `a.b c`.\n- **seven?** Eight\n\n| nine | ten |"
    assert [len(sentence.split()) for sentence in sentences(text)] == [2, 2, 3, 3, 1, 1, 1, 1]


@pytest.mark.parametrize("page", tracked(ROOT), ids=lambda page: page.relative_to(ROOT).as_posix())
def test_sentences_are_short(page: Path) -> None:
    text = prose(page.read_text(encoding="utf-8"))
    if page.name == "references.md":  # titles of papers are as long as they are
        return
    assert [found for found in sentences(text) if len(found.split()) > LONGEST_SENTENCE] == []


@pytest.fixture(scope="module")
def lists() -> ModuleType:
    spec = importlib.util.spec_from_file_location("reference_lists", DOCS / "_ext" / "reference_lists.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_lists_are_current(lists: Any, tmp_path: Path) -> None:
    """If this fails, run `python docs/_ext/reference_lists.py`."""
    lists.main(tmp_path)
    for name in ("results.md", "references.md"):
        assert (DOCS / "reference" / name).read_text(encoding="utf-8") == (tmp_path / name).read_text(
            encoding="utf-8"
        )


def test_no_entry_of_the_references_is_lost(lists: Any) -> None:
    text = (DOCS / "reference" / "references.bib").read_text(encoding="utf-8")
    entries = list(lists.references(text))
    assert len(entries) == len(re.findall(r"^@", text, flags=re.MULTILINE)) > 60
    assert [entry for entry in entries if not {"author", "year", "title"} <= entry.keys()] == []
    assert sum(map(len, entries)) == len(re.findall(r"^  \w+ = ", text, flags=re.MULTILINE))


def test_keys_that_nobody_described_are_found() -> None:
    assert "loo.worst[].{row,id,time,k}" in described("checks.json")
    known: dict[str, Any] = {
        "loo": {"k_max": 1.0, "worst": [{"row": 1, "k": 0.5}]},
        "hole": None,
        "flags": [],
    }
    assert undescribed(known, "checks.json") == []
    unknown = {
        "loo": {"k_mix": 1.0, "worst": [{"raw": 1}]},
        "whole": None,
        "effects": {"level": {"deeper": 1}},
    }
    assert undescribed(unknown, "checks.json") == [
        "effects.level.deeper",
        "loo.k_mix",
        "loo.worst[].raw",
        "whole",
    ]
    assert undescribed({"thresholds": {"new": 1}}, "diagnostics.json") == [], "all keys below"


def test_every_description_is_a_sentence() -> None:
    keys = yaml.safe_load((DOCS / "reference" / "results.yaml").read_text(encoding="utf-8"))
    groups = [keys["folder"], *keys["scores"].values(), *keys["columns"].values()]
    groups += [file["keys"] for file in keys["files"].values()]
    texts = [text for group in groups for text in group.values()]
    assert len(texts) > 150
    assert [text for text in texts if not text.endswith(".")] == []
