"""Train the frequentist network and the linear reference on the same rows as the chains."""

import time

from bnn.baseline import BaselineSettings, fit_baseline
from bnn.datasets import Dataset
from bnn.job import job_log
from bnn.posterior import make_network
from bnn.seeding import Stream, chain_rng
from bnn.storage import write_netcdf


def main(data_path, out_path, settings):
    """Write baseline.nc of one dataset.

    Parameters
    ----------
    data_path
        The prepared table.
    out_path
        Where the predictions of both references go.
    settings
        Sections `seed`, `network` and `baseline` of the dataset's config.
    """
    dataset = Dataset.load(data_path)
    network = make_network(dataset, settings["network"])
    rng = chain_rng(settings["seed"], Stream.BASELINE)
    began = time.perf_counter()
    variables, attributes = fit_baseline(dataset, network, BaselineSettings(**settings["baseline"]), rng)
    attributes["seconds_training"] = time.perf_counter() - began
    write_netcdf(out_path, variables, attributes)
    print(f"{dataset.name}: best epoch {attributes['best_epoch']} of {attributes['epochs']}")


if "snakemake" in globals():
    with job_log(snakemake.log[0], label=f"fit_baseline {snakemake.wildcards.dataset}"):
        main(snakemake.input.data, snakemake.output[0], snakemake.params.settings)
