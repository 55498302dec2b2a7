"""Put the chains together, and compute what every draw predicts."""

from bnn import inference_data
from bnn.datasets import Dataset
from bnn.job import job_log
from bnn.seeding import Stream, chain_rng


def main(data_path, chain_paths, out_path, settings):
    """Write posterior.nc of one dataset.

    Parameters
    ----------
    data_path
        The prepared table.
    chain_paths
        Files of all its chains.
    out_path
        Where the InferenceData goes.
    settings
        Sections `seed`, `network` and `likelihood` of the dataset's config.
    """
    idata = inference_data.build(
        Dataset.load(data_path),
        chain_paths,
        network=settings["network"],
        likelihood=settings["likelihood"],
        rng=chain_rng(settings["seed"], Stream.PREDICTIVE),
    )
    inference_data.save(idata, out_path)


if "snakemake" in globals():
    with job_log(snakemake.log[0], label=f"combine {snakemake.wildcards.dataset}"):
        main(
            snakemake.input.data,
            snakemake.input.chains,
            snakemake.output[0],
            snakemake.params.settings,
        )
