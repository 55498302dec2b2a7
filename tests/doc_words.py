"""Count the words of prose in the pages that people write: README.md and the pages of docs/.

`python -m tests.doc_words [FOLDER]` counts those of this checkout, or of another one. Not counted are

- pages and parts of pages that are generated: those that git ignores, and those that begin with "Written by `python -m";
- the gallery, which shows pages of the report;
- blocks of code, comments, pictures and the targets of links.

A word is what has a letter or a digit between blanks: the lines of a table and the marks of a list are none.
"""

import re
import sys
from pathlib import Path

_GENERATED = re.compile(r"<!-- Written by `python [^`]+`")


def pages(folder: Path) -> list[Path]:
    """Return the pages that are counted."""
    ignored = {
        line.strip("/\n") for line in (folder / ".gitignore").read_text(encoding="utf-8").splitlines() if line
    }
    found = [folder / "README.md", *sorted((folder / "docs").rglob("*.md"))]
    return [page for page in found if not _is_apart(page.relative_to(folder), ignored) and not _made(page)]


def _is_apart(path: Path, ignored: set[str]) -> bool:
    places = {path.as_posix(), *(parent.as_posix() for parent in path.parents)}
    return bool(places & ignored) or "docs/gallery" in places


def _made(page: Path) -> bool:
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
