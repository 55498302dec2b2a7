"""Writes the lists of the reference: docs/reference/results.md from results.yaml, references.md from references.bib.

Run `python docs/_ext/reference_lists.py` in the repository after a change of either; a test fails until then.
"""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from bnn.plots import figure_names
from bnn.report.captions import CAPTIONS

REFERENCE = Path(__file__).parents[1] / "reference"
_WRITTEN = "<!-- Written by `python docs/_ext/reference_lists.py` from {}: change that, not this file. -->\n"


def results_text(keys: Mapping[str, Any]) -> str:
    """Return the page of what lies in results/, from the contents of results.yaml."""
    parts = ["# Results\n", _WRITTEN.format("results.yaml")]
    parts += [_items(keys["folder"]), "## What is common to all\n", keys["common"], "## Scores\n"]
    for task, scores in keys["scores"].items():
        parts += [f"Of {task}, under `models.<model>.<split>`:\n", _items(scores)]
    for name, file in keys["files"].items():
        parts += [f"## `{name}`\n", f"{file['about']}\n", _items(file["keys"])]
    for name, columns in keys["columns"].items():
        parts += [f"## `{name}`\n", _items(columns)]
    return "\n".join([*parts, "## Figures\n", _items(_figures())])


def _items(entries: Mapping[str, str]) -> str:
    return "".join(f"- `{key}`: {text}\n" for key, text in entries.items())


def _figures() -> dict[str, str]:
    """Return the title of each figure, and which datasets have it where not all do."""
    kinds = {
        "classes": figure_names("classification", 2),
        "one feature": figure_names("regression", 1),
        "several features": figure_names("regression", 2),
        "time series": figure_names("regression", 2, is_series=True),
    }
    found = {}
    for name in dict.fromkeys(name for names in kinds.values() for name in names):
        having = [kind for kind, names in kinds.items() if name in names]
        where = "" if len(having) == len(kinds) else f" ({', '.join(having)})"
        found[name] = f"{CAPTIONS[name].title}{where}"
    return found


def references(text: str) -> Iterator[dict[str, str]]:
    """Yield the fields of each entry of a BibTeX file, in which each field stands on a line of its own."""
    for entry in re.split(r"^@", text, flags=re.MULTILINE)[1:]:
        yield dict(re.findall(r"^  (\w+) = \{(.*)\},?$", entry, flags=re.MULTILINE))


def references_text(bibliography: str) -> str:
    """Return the page of references, from the contents of references.bib."""
    lines = [_entry(fields) for fields in references(bibliography)]
    return "\n".join(
        [
            "# References\n",
            _WRITTEN.format("references.bib"),
            "What the code and these pages cite.\n",
            *lines,
            "",
        ]
    )


def _entry(fields: Mapping[str, str]) -> str:
    *others, last = fields["author"].split(" and ")
    authors = f"{', '.join(others)} and {last}" if others else last
    if "journal" in fields:
        number = f"({fields['number']})" if "number" in fields else ""
        pages = fields["pages"].replace("--", "–")
        where = f"{fields['title']}. *{fields['journal']}* {fields['volume']}{number}, {pages}."
    elif "publisher" in fields:
        where = f"*{fields['title']}*. {fields['publisher']}."
    else:
        where = ". ".join(fields[key] for key in ("title", "note") if key in fields) + "."
    link = f" <{fields['url']}>" if "url" in fields else ""
    return f"- {authors} ({fields['year']}). {where}{link}"


def main(folder: Path) -> None:
    """Write both pages below a folder."""
    keys = yaml.safe_load((REFERENCE / "results.yaml").read_text(encoding="utf-8"))
    (folder / "results.md").write_text(results_text(keys), encoding="utf-8")
    bibliography = (REFERENCE / "references.bib").read_text(encoding="utf-8")
    (folder / "references.md").write_text(references_text(bibliography), encoding="utf-8")


if __name__ == "__main__":
    main(REFERENCE)
