"""Write the page over all datasets."""

from bnn.job import job_log
from bnn.report import render_overview, write_page
from bnn.storage import read_json


def main(diagnostics_paths, metrics_paths, out_path):
    """Write results/report.html.

    Parameters
    ----------
    diagnostics_paths, metrics_paths
        Verdict and scores of each dataset, in the order of the rows.
    out_path
        Where the page goes.
    """
    pairs = zip(diagnostics_paths, metrics_paths, strict=True)
    write_page(
        out_path, render_overview([(read_json(verdict), read_json(scores)) for verdict, scores in pairs])
    )


if "snakemake" in globals():
    with job_log(snakemake.log[0], label="overview"):
        main(snakemake.input.diagnostics, snakemake.input.metrics, snakemake.output[0])
