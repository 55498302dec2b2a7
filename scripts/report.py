"""Write the page of one dataset, and its main tables as pages of their own."""

import csv
import importlib.metadata
import platform
from pathlib import Path

import bnn
from bnn.core.plan import planned
from bnn.core.storage import read_json
from bnn.jobs.interruption import job_log
from bnn.report import render_dataset, render_tables, write_page

PACKAGES = ("numpy", "scipy", "scikit-learn", "arviz", "matplotlib", "snakemake")


def versions():
    """Return the versions of what made the results."""
    packages = {name: importlib.metadata.version(name) for name in PACKAGES}
    return {"bnn": bnn.__version__, "Python": platform.python_version(), **packages}


def main(files, out_path, tables_path, settings):
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
    """
    found = {name: read_json(files[name]) for name in ("diagnostics", "metrics", "checks")}
    with open(files["predictions"], encoding="utf-8", newline="") as handle:
        predictions = list(csv.DictReader(handle))
    page = render_dataset(
        **found,
        predictions=predictions,
        settings=settings,
        versions=versions(),
        figures={path.stem: path for path in Path(files["figures"]).glob("*.svg")},
        overview_href="../report.html",
    )
    for name, table in render_tables(**found).items():
        write_page(Path(tables_path) / f"{name}.html", table)
    write_page(out_path, page)


if "snakemake" in globals():
    with job_log(snakemake.log[0], label=f"report {snakemake.wildcards.dataset}"):
        main(
            snakemake.input,
            snakemake.output.page,
            snakemake.output.tables,
            planned(snakemake.params.settings, snakemake.input.plan),
        )
