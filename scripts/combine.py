"""Put the chains together, and compute what every draw predicts."""

from bnn.core.plan import planned
from bnn.core.seeding import Stream, chain_rng
from bnn.core.settings import LikelihoodSettings, NetworkSettings, build
from bnn.data.dataset import Dataset
from bnn.jobs.interruption import job_log
from bnn.posterior import inference_data


def main(data_path, chain_paths, out_path, working_path, settings, keep):
    """Write posterior.nc of one dataset, and where it keeps only a part, a whole one to work with.

    Parameters
    ----------
    data_path
        The prepared table.
    chain_paths
        Files of all its chains.
    out_path
        Where the InferenceData goes.
    working_path
        Where one with all draws and predictions goes, if `keep` is not "both"; else None.
    settings
        Sections `seed`, `network` and `likelihood` of the dataset's config.
    keep
        What posterior.nc keeps.
    """
    dataset = Dataset.load(data_path)
    for path, part in ((working_path, "both"), (out_path, keep)):
        if path is not None:
            inference_data.combine(
                path,
                dataset,
                chain_paths,
                network=build(NetworkSettings, settings["network"]),
                likelihood=build(LikelihoodSettings, settings["likelihood"]),
                keep=part,
                rng=chain_rng(settings["seed"], Stream.PREDICTIVE),
            )


if "snakemake" in globals():
    with job_log(snakemake.log[0], label=f"combine {snakemake.wildcards.dataset}"):
        main(
            snakemake.input.data,
            snakemake.input.chains,
            snakemake.output.posterior,
            snakemake.output.get("working"),
            planned(snakemake.params.settings, snakemake.input.plan),
            snakemake.params.keep,
        )
