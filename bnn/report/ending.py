"""What a run says last: a line a dataset or the failed jobs' own sentences; the same table for Snakemake's report."""

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from bnn.core.storage import read_json
from bnn.report.sentences import marks
from bnn.report.table import METRICS, difference, headline, score

_FAULT = re.compile(r"^(?:[\w.]+\.)?(?:\w+(?:Error|Exception|Fault)): (.*)", re.MULTILINE | re.DOTALL)


Row = tuple[str, ...]


def verdicts(results: Path, names: Iterable[str]) -> list[Row]:
    """Return a table of all datasets, its headings first: verdict, score, difference to the baseline network, page.

    Parameters
    ----------
    results
        The folder of the results.
    names
        Datasets, in the order of the rows; those without results are left out.
    """
    rows: list[Row] = [("Dataset", "Verdict", "Score", "NLL, BNN − baseline network", "BNN is", "Page")]
    for name in names:
        folder = results / name
        if not all((folder / f"{file}.json").is_file() for file in ("diagnostics", "metrics")):
            continue
        diagnostics, metrics = (read_json(folder / f"{file}.json") for file in ("diagnostics", "metrics"))
        metric = METRICS[headline(metrics)]
        own = score(metrics["models"]["bnn"]["test"].get(headline(metrics)), metric)
        gap, _ = difference(metrics["differences"]["baseline"].get("nll"), METRICS["nll"])
        word = marks(diagnostics, metrics)[-1].word
        rows.append(
            (name, diagnostics["verdict"], f"{metric.label} {own}", gap, word, f"{folder}/report.html")
        )
    return rows


def summary(results: Path, names: Iterable[str]) -> str:
    """Return `verdicts` as text; parameters as there."""
    return "\n".join(_aligned(verdicts(results, names)))


def in_rst(rows: Iterable[Row]) -> str:
    """Return `verdicts` in reStructuredText, whatever the datasets are called; "" if no dataset has one."""
    rows = list(rows)
    if len(rows) < 2:
        return ""
    lines = [".. list-table::", "   :header-rows: 1", ""]
    for row in rows:
        cells = [re.sub(r"([^\w\s])", r"\\\1", cell).replace("_", r"\_") for cell in row]
        lines += [f"   {'* -' if place == 0 else '  -'} {cell}".rstrip() for place, cell in enumerate(cells)]
    return "\n".join(lines)


def failures(results: Path, since: float) -> str:
    """Return what the jobs said that failed since a time (seconds since 1970), a line a job; "" for none."""
    said = []
    for path in sorted(results.glob("**/logs/*.log")):
        if path.stat().st_mtime < since:
            continue
        text = path.read_text(encoding="utf-8", errors="replace")
        found = (
            _FAULT.findall(text.rpartition("Traceback (most recent call last)")[2])
            if "Traceback" in text
            else []
        )
        if found:
            said.append(f"{path.parent.parent.name}, {path.stem}: {found[-1].strip()}\n  (details: {path})")
    return "\n".join(said)


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(map(str.ljust, row, widths)).rstrip() for row in rows]
