"""Write the page over all datasets, and what a run says last."""

from pathlib import Path

from bnn.core.storage import read_json
from bnn.jobs.interruption import job_log
from bnn.report import render_overview, write_page
from bnn.report.ending import summary


def main(diagnostics_paths, metrics_paths, checks_paths, repeats_paths, out_path):
    """Write results/report.html, and print a line a dataset.

    Parameters
    ----------
    diagnostics_paths, metrics_paths, checks_paths
        Verdict, scores and model checks of each dataset, in the order of the rows.
    repeats_paths
        Means over splits of each dataset that was repeated.
    out_path
        Where the page goes.
    """
    entries = []
    for paths in zip(diagnostics_paths, metrics_paths, checks_paths, strict=True):
        diagnostics, metrics, checks = (read_json(path) for path in paths)
        # What the checks raise stands with what the scores raise.
        entries.append((diagnostics, metrics | {"flags": metrics["flags"] + checks["flags"]}))
    write_page(out_path, render_overview(entries, [read_json(path) for path in repeats_paths]))
    results = Path(out_path).parent
    lines = summary(results, [Path(path).parent.name for path in metrics_paths])
    print(lines.replace(str(results), "results"))  # of what lies in a storage these are copies


if "snakemake" in globals():
    with job_log(snakemake.log[0], label="overview"):
        main(
            snakemake.input.diagnostics,
            snakemake.input.metrics,
            snakemake.input.checks,
            snakemake.input.repeats,
            snakemake.output[0],
        )
