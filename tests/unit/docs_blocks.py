"""Fenced blocks of the pages of the documentation, and how those in Python are run."""

import contextlib
import io
import re
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"


class Block(NamedTuple):
    """A fenced block: its language, its text, and the line at which the text begins."""

    language: str
    text: str
    line: int


def blocks(page: Path) -> list[Block]:
    """Return the fenced blocks of a page in their order, without the indentation of a list that they stand in."""
    text = page.read_text(encoding="utf-8")
    found = []
    for match in re.finditer(r"^( *)```(\w+)\n(.*?)^\1```$", text, flags=re.MULTILINE | re.DOTALL):
        body = re.sub(rf"^{match[1]}", "", match[3], flags=re.MULTILINE)
        found.append(Block(match[2], body, text[: match.start(3)].count("\n") + 1))
    return found


def run(page: Path, others: Mapping[str, Callable[[str], None]]) -> int:
    """Run a page from top to bottom in the current folder; return how many outputs were compared.

    A block in Python is executed, in one namespace for the page; a block of text after it is what it must have printed.

    Parameters
    ----------
    page
        The page.
    others
        Language -> what to do with its blocks; without it they are left alone.
    """
    names: dict[str, Any] = {"__name__": "__main__"}
    printed, n_compared = "", 0
    for block in blocks(page):
        if block.language == "python":
            # Line numbers of errors are those of the page.
            code = compile("\n" * (block.line - 1) + block.text, str(page), "exec")
            with contextlib.redirect_stdout(io.StringIO()) as out, warnings.catch_warnings():
                warnings.simplefilter("error")
                warnings.filterwarnings("ignore", category=ResourceWarning)
                # ArviZ announces its version 1 where it is first imported on a day.
                warnings.filterwarnings("ignore", r"\s*ArviZ is undergoing", FutureWarning)
                exec(code, names)
            printed = out.getvalue()
        elif block.language == "text":
            assert block.text == printed, f"{page.name}, line {block.line}: it printed\n{printed}"
            n_compared += 1
        elif block.language in others:
            others[block.language](block.text)
    return n_compared
