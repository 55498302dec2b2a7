"""Check the model of one dataset: leave-one-out, predictive checks, other priors, out-of-distribution inputs."""

from bnn.checks.assemble import check, save
from bnn.core.plan import planned
from bnn.core.settings import ModelSettings, build
from bnn.core.storage import read_netcdf
from bnn.data.dataset import Dataset
from bnn.jobs.interruption import job_log
from bnn.posterior.posterior_file import PosteriorFile


def main(data_path, baseline_path, posterior_path, json_path, netcdf_path, settings):
    """Write checks.json and checks.nc of one dataset.

    Parameters
    ----------
    data_path
        The prepared table.
    baseline_path
        The trained references.
    posterior_path
        InferenceData of the chains.
    json_path, netcdf_path
        Where the checks, and the arrays of their figures, go.
    settings
        Sections `seed`, `network`, `prior`, `likelihood` and `evaluation` of the dataset's config.
    """
    summary, variables = check(
        PosteriorFile(posterior_path),
        Dataset.load(data_path),
        read_netcdf(baseline_path)[0],
        build(ModelSettings, settings),
        seed=settings["seed"],
        prior_factors=tuple(settings["evaluation"]["prior_factors"]),
    )
    save(summary, variables, json_path=json_path, netcdf_path=netcdf_path)


if "snakemake" in globals():
    with job_log(snakemake.log[0], label=f"check {snakemake.wildcards.dataset}"):
        main(
            snakemake.input.data,
            snakemake.input.baseline,
            snakemake.input.posterior,
            snakemake.output.summary,
            snakemake.output.arrays,
            planned(snakemake.params.settings, snakemake.input.plan),
        )
