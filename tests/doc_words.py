"""Count the words of prose in the pages that people write: README.md and the pages of docs/.

`python -m tests.doc_words [FOLDER]` counts those of this checkout, or of another one. Not counted are

- pages and parts of pages that are generated: those that git ignores, and those that begin with "Written by `python";
- the gallery, which shows pages of the report;
- blocks of code, comments, pictures and the targets of links.

A word is what has a letter or a digit between blanks: the lines of a table and the marks of a list are none.
"""

import re
import sys
from pathlib import Path

_GENERATED = re.compile(r"<!-- Written by `python [^`]+`")


def tracked(folder: Path) -> list[Path]:
    """Return README.md and the pages of docs/ that git does not ignore."""
    lines = (folder / ".gitignore").read_text(encoding="utf-8").splitlines()
    ignored = {folder / line.strip("/") for line in lines if line.startswith("/docs/")}
    found = [folder / "README.md", *sorted((folder / "docs").rglob("*.md"))]
    return [page for page in found if ignored.isdisjoint((page, *page.parents))]


def pages(folder: Path) -> list[Path]:
    """Return the pages that are counted."""
    return [
        page for page in tracked(folder) if not _is_made(page) and page.parent != folder / "docs" / "gallery"
    ]


def _is_made(page: Path) -> bool:
    return _GENERATED.search(page.read_text(encoding="utf-8")[:500]) is not None


def prose(text: str) -> str:
    """Return the text of a page without blocks of code, comments, pictures and the targets of links."""
    text = re.sub(r"^( *)(```+).*?^\1\2$", "\n", text, flags=re.MULTILINE | re.DOTALL)
    text = re.sub(r"<!--.*?-->", "", text, flags=re.DOTALL)
    return re.sub(r"\]\([^)]*\)", "]", re.sub(r"!\[[^]]*\]\([^)]*\)", "", text))


def n_words(text: str) -> int:
    """Return the number of words of prose."""
    return sum(re.search(r"\w", word) is not None for word in prose(text).split())


def main(folder: Path) -> None:
    """Print the words of each page, and of all."""
    counts = {page: n_words(page.read_text(encoding="utf-8")) for page in pages(folder)}
    for page, count in counts.items():
        print(f"{count:6,} {page.relative_to(folder)}")
    print(f"{sum(counts.values()):6,} words")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "."))
