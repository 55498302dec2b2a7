"""Write the page of one dataset, and its main tables as pages of their own."""

import csv
import hashlib
import importlib.metadata
import platform
import subprocess
import sys
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import bnn
from bnn.core.plan import planned
from bnn.core.storage import read_json
from bnn.jobs.interruption import job_log
from bnn.report import render_dataset, render_tables, write_page

PACKAGES = ("numpy", "scipy", "scikit-learn", "arviz", "arviz-stats", "matplotlib", "snakemake")


def versions():
    """Return the versions of what made the results."""
    packages = {name: importlib.metadata.version(name) for name in PACKAGES}
    return {"bnn": bnn.__version__, "Python": platform.python_version(), **packages}


def programs():
    """Return the folder of the programs that run this, as commands typed here need it; "" if it is not below here."""
    folder = Path(sys.executable).parent
    return f"{folder.relative_to(Path.cwd())}/" if folder.is_relative_to(Path.cwd()) else ""


def made(predictions_path, source):
    """Return when, from which commit of the workflow and from which source the results were made, in words."""
    day = datetime.fromtimestamp(Path(predictions_path).stat().st_mtime, UTC).date()
    parts = [day.isoformat(), f"bnn {bnn.__version__}"]
    asked = ["git", "-C", str(Path(bnn.__file__).parent), "rev-parse", "--short", "HEAD"]
    with suppress(
        OSError, subprocess.CalledProcessError
    ):  # installed, or without git: the version says enough
        found = subprocess.run(asked, capture_output=True, text=True, check=True)
        parts.append(f"commit {found.stdout.strip()}")
    path = source.get("path")
    if path is None:
        return [*parts, f"source {source['kind']} {source.get('name', '')}".rstrip()]
    parts.append(f"source {path}")
    if Path(path).is_file():
        with open(path, "rb") as handle:
            parts.append(f"SHA-256 {hashlib.file_digest(handle, 'sha256').hexdigest()[:12]}")
    return parts


def main(files, out_path, tables_path, settings, tried):
    """Write report.html and the folder of tables of one dataset.

    Parameters
    ----------
    files
        Paths by name: `metrics`, `diagnostics`, `checks`, `predictions` and, a folder, `figures`.
    out_path
        Where the page goes.
    tables_path
        Where the tables go, one HTML file each.
    settings
        The dataset's whole config.
    tried
        Candidates that were compared, where the config left something open.
    """
    found = {name: read_json(files[name]) for name in ("diagnostics", "metrics", "checks")}
    with open(files["predictions"], encoding="utf-8", newline="") as handle:
        predictions = list(csv.DictReader(handle))
    page = render_dataset(
        **found,
        predictions=predictions,
        settings=settings,
        tried=tried,
        versions=versions(),
        made=made(files["predictions"], settings["source"]),
        programs=programs(),
        figures={path.stem: path for path in Path(files["figures"]).glob("*.svg")},
        overview_href="../report.html",
    )
    for name, table in render_tables(**found).items():
        write_page(Path(tables_path) / f"{name}.html", table)
    write_page(out_path, page)


if "snakemake" in globals():
    with job_log(snakemake.log[0], label=f"report {snakemake.wildcards.dataset}"):
        plans = snakemake.input.plan
        main(
            snakemake.input,
            snakemake.output.page,
            snakemake.output.tables,
            planned(snakemake.params.settings, plans),
            [one for plan in plans for one in read_json(plan)["tried"]],
        )
