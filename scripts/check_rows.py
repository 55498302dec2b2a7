"""Read the rows of a file that `predict:` in the config names, before anything is sampled for them."""

from pathlib import Path

from bnn.data.dataset import Dataset
from bnn.data.new_row_files import features_for
from bnn.jobs.interruption import job_log


def main(data_path, path, out_path):
    """Leave an empty file where the rows of one file can be predicted.

    Parameters
    ----------
    data_path
        The prepared table.
    path
        The file.
    out_path
        Where the empty file goes.
    """
    features, _ = features_for(Dataset.load(data_path), path)
    print(f"{len(features.x)} rows can be predicted")
    Path(out_path).touch()


if "snakemake" in globals():
    with job_log(
        snakemake.log[0], label=f"check_rows {snakemake.input.rows} for {snakemake.wildcards.dataset}"
    ):
        main(snakemake.input.data, snakemake.input.rows, snakemake.output[0])
