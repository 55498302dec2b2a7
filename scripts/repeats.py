"""Take means of scores over the splits of a dataset that was run on several."""

from bnn.core.storage import read_json, write_json
from bnn.evaluation.repeats import summarise
from bnn.jobs.interruption import job_log


def main(name, metrics_paths, diagnostics_paths, out_path):
    """Write repeats.json of one dataset.

    Parameters
    ----------
    name
        Name of the dataset in the config.
    metrics_paths, diagnostics_paths
        Scores and verdict of each split.
    out_path
        Where the means go.
    """
    metrics, diagnostics = (
        [read_json(path) for path in paths] for paths in (metrics_paths, diagnostics_paths)
    )
    write_json(out_path, summarise(name, metrics, diagnostics))


if "snakemake" in globals():
    with job_log(snakemake.log[0], label=f"repeats {snakemake.wildcards.repeated}"):
        main(
            snakemake.wildcards.repeated,
            snakemake.input.metrics,
            snakemake.input.diagnostics,
            snakemake.output[0],
        )
