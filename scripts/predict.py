"""Predict the rows of a file that `predict:` in the config names."""

from pathlib import Path

from bnn.jobs.interruption import job_log
from bnn.posterior.new_rows import origin, predict_file


def main(posterior_path, path, out_path):
    """Write the predictions of one file.

    Parameters
    ----------
    posterior_path
        InferenceData of the chains, in the folder of the dataset.
    path
        The file.
    out_path
        Where the predictions go.
    """
    said = predict_file(Path(posterior_path).parent, path, out_path)
    print(origin(path), *said.notes, *(f"warning: {doubt}" for doubt in said.doubts), sep="\n")


if "snakemake" in globals():
    with job_log(
        snakemake.log[0], label=f"predict {snakemake.input.rows} with {snakemake.wildcards.dataset}"
    ):
        main(snakemake.input.posterior, snakemake.input.rows, snakemake.output[0])
