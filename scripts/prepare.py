"""Read a dataset from its source, split and standardise it."""

from bnn.data.doubts import lines
from bnn.data.preparation import prepare
from bnn.jobs.interruption import job_log


def main(out_path, name, settings):
    """Write data.nc of one dataset, and return a line for each doubt about the table.

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
    doubts = [f"{name}: WARN: {line}" for line in lines(dataset.doubts)]
    print(*doubts, sep="\n")
    return doubts


if "snakemake" in globals():
    wildcards = snakemake.wildcards
    with job_log(snakemake.log[0], label=f"prepare {wildcards.dataset}") as terminal:
        doubts = main(snakemake.output[0], wildcards.dataset, snakemake.params.settings)
        print(*doubts, sep="\n", end="\n" if doubts else "", file=terminal)
