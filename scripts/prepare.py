"""Read a dataset from its source, split and standardise it."""

from bnn.data.preparation import prepare
from bnn.jobs.interruption import job_log


def main(out_path, name, settings):
    """Write data.nc of one dataset.

    Parameters
    ----------
    out_path
        Where the prepared table goes.
    name
        Name of the dataset.
    settings
        Sections `task`, `source`, `split`, `columns` and `series` of its config.
    """
    dataset = prepare(name, **settings)
    dataset.save(out_path)
    print(f"{name}: {len(dataset.y_train)} training and {len(dataset.y_test)} test rows")


if "snakemake" in globals():
    wildcards = snakemake.wildcards
    with job_log(snakemake.log[0], label=f"prepare {wildcards.dataset}"):
        main(snakemake.output[0], wildcards.dataset, snakemake.params.settings)
