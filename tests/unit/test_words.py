"""What programs, pages and figures say has the words of the glossary."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
HOME_MADE = re.compile(
    r"\bby lot\b|ordinary network|strange input|burn-in|\bwalkers?\b|told in a line|called off|as one asks"
    r"|the same story|networks disagree|\b(?:a|each|every|per|of|more|one) moves?\b|\bmoves (?:per|of|that)\b",
    flags=re.IGNORECASE,
)
"""Words for which the glossary has a term of the field."""
PACKAGES = sorted(path.name for path in (ROOT / "bnn").iterdir() if (path / "__init__.py").is_file())
PAGES = sorted(
    path
    for folder, suffix in (
        ("bnn/report/templates", "j2"),
        ("workflow/report", "rst"),
        ("workflow/rules", "smk"),
        ("workflow/schemas", "json"),
    )
    for path in (ROOT / folder).glob(f"*.{suffix}")
)


def said(tree: ast.AST) -> Iterator[str]:
    """Return the texts of a module, its docstrings among them."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield " ".join(node.value.split())


@pytest.mark.parametrize("package", PACKAGES)
def test_programs_have_the_words_of_the_field(package: str) -> None:
    found = [
        (path.name, match)
        for path in (ROOT / "bnn" / package).rglob("*.py")
        for text in said(ast.parse(path.read_text(encoding="utf-8")))
        for match in HOME_MADE.findall(text)
    ]
    assert found == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_templates_have_the_words_of_the_field(page: Path) -> None:
    assert HOME_MADE.findall(" ".join(page.read_text(encoding="utf-8").split())) == []


def test_a_home_made_word_is_found() -> None:
    tree = ast.parse('"""Say how many moves of a chain there are."""\nx = f"an {1} ordinary network"')
    assert [match for text in said(tree) for match in HOME_MADE.findall(text)] == ["moves of", "ordinary network"]
