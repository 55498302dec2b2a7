"""Pages, messages, comments and docstrings have the words of the glossary, and none that are made at home."""

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.doc_words import prose, tracked
from tests.unit.docs_blocks import DOCS, ROOT

GLOSSARY = DOCS / "reference" / "glossary.md"
PAGES = [
    *(page for page in tracked(ROOT) if page != GLOSSARY),
    *(
        ROOT / name
        for name in ("CONTRIBUTING.md", "config/README.md", "benchmarks/README.md", "CHANGELOG.md")
    ),
]
PROGRAM = sorted(path for folder in ("bnn", "scripts") for path in (ROOT / folder).rglob("*.py"))
RULES = [*sorted((ROOT / "workflow").rglob("*.smk")), ROOT / "workflow" / "report" / "workflow.rst"]
RULES += [DOCS / "reference" / "results.yaml", *sorted((ROOT / "bnn").rglob("*.j2"))]

HOME_MADE = re.compile(
    r"""
    # one thing of the sampler, one word: iteration, warm-up, chain
    (?<!cannot\ )\b(?:a|each|every|per|kept|diverging|divergent|rejected|many|N)\ moves?\b
    | \bmoves\ (?:per|of|that|were|are|since)\b | \btransitions?\b(?!\ kernel) | \bburn-?in\b | \bwalkers?\b
    # baseline network, out-of-distribution input, random split
    | \bordinary\ networks?\b | \breference\ networks?\b | \bstrange(?:st|r)?\b | \bnovelty\b
    | \bby\ lot\b
    # phrases that are nobody's English
    | \bmend(?:s|ed|ing)?\b | \btold\ in\ a\ line\b | \bcalled\ off\b | \bcannot\ be\ had\b | \bas\ one\ asks\b
    | \bthe\ same\ story\b | \bworth\ something\b | \bby\ heart\b | \bgoes\ on\ as\b
    """,
    flags=re.IGNORECASE | re.VERBOSE,
)
"""Words for which the glossary has a term of the field, and turns of phrase that need decoding."""


def found_in(text: str) -> list[str]:
    """Return the home-made words of a text."""
    return [match[0] for match in HOME_MADE.finditer(" ".join(text.split()))]


def said(source: str) -> Iterator[str]:
    """Yield what a program says to a reader: its comments, docstrings and the texts that it holds."""
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            yield token.string
    tree = ast.parse(source)
    joined = [node for node in ast.walk(tree) if isinstance(node, ast.JoinedStr)]
    parts = {id(part) for node in joined for part in node.values}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in parts:
            yield node.value
        elif isinstance(node, ast.JoinedStr):
            yield "".join(str(part.value) if isinstance(part, ast.Constant) else "N" for part in node.values)


def test_home_made_words_are_found() -> None:
    source = '"""Each move."""\nx = f"{n} moves of it"  # by lot\n"a Transition kernel"\nTransitionInfo\n'
    assert [word for text in said(source) for word in found_in(text)] == ["by lot", "Each move", "N moves"]
    assert found_in("move the file; it cannot move; transition kernel; everyday") == []
    assert found_in("an ordinary\nnetwork") == ["ordinary network"]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_pages_have_the_words_of_the_field(page: Path) -> None:
    assert found_in(prose(page.read_text(encoding="utf-8"))) == []


def test_the_program_has_the_words_of_the_field() -> None:
    """Messages, descriptions of the config, docstrings and comments."""
    found = {
        f"{path.relative_to(ROOT)}: {word}"
        for path in PROGRAM
        for text in said(path.read_text(encoding="utf-8"))
        for word in found_in(text)
    }
    assert sorted(found) == []


def test_rules_and_descriptions_of_keys_have_the_words_of_the_field() -> None:
    assert len(RULES) > 5
    found = {f"{path.relative_to(ROOT)}: {found_in(path.read_text(encoding='utf-8'))}" for path in RULES}
    assert [item for item in sorted(found) if not item.endswith(": []")] == []


def test_no_text_has_a_word_that_the_glossary_rules_out() -> None:
    """The last column of the glossary is not for show: what can be searched for is searched for."""
    rows = re.findall(
        r"^\| ([^|]+) \| [^|]+ \| ([^|]*) ?\|$", GLOSSARY.read_text(encoding="utf-8"), re.MULTILINE
    )
    ruled_out = {word.strip() for _, words in rows for word in words.split(",") if word.strip()}
    for word in ("burn-in", "walker", "ordinary network", "strange"):
        assert word in ruled_out and found_in(f"a {word} here"), word
