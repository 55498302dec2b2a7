"""Write the page of one dataset."""

import importlib.metadata
import platform
from pathlib import Path

import bnn
from bnn.datasets import Dataset
from bnn.job import job_log
from bnn.report import render_dataset, write_page
from bnn.storage import read_json

PACKAGES = ("numpy", "scipy", "scikit-learn", "arviz", "matplotlib", "snakemake")


def versions():
    """Return the versions of what made the results."""
    packages = {name: importlib.metadata.version(name) for name in PACKAGES}
    return {"bnn": bnn.__version__, "Python": platform.python_version(), **packages}


def main(data_path, metrics_path, diagnostics_path, figures_path, out_path, settings):
    """Write report.html of one dataset.

    Parameters
    ----------
    data_path
        The prepared table.
    metrics_path, diagnostics_path
        Scores and verdict.
    figures_path
        Folder of the figures.
    out_path
        Where the page goes.
    settings
        The dataset's whole config.
    """
    page = render_dataset(
        diagnostics=read_json(diagnostics_path),
        metrics=read_json(metrics_path),
        settings=settings,
        versions=versions(),
        figures={path.stem: path for path in Path(figures_path).glob("*.svg")},
        feature_names=Dataset.load(data_path).feature_names,
        overview_href="../report.html",
    )
    write_page(out_path, page)


if "snakemake" in globals():
    with job_log(snakemake.log[0], label=f"report {snakemake.wildcards.dataset}"):
        main(
            snakemake.input.data,
            snakemake.input.metrics,
            snakemake.input.diagnostics,
            snakemake.input.figures,
            snakemake.output[0],
            snakemake.params.settings,
        )
