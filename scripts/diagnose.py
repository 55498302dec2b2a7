"""Judge whether the chains converged, in function space."""

from bnn.data.dataset import Dataset
from bnn.diagnostics import summary as diagnostics
from bnn.jobs.interruption import job_log
from bnn.posterior.posterior_file import PosteriorFile


def main(data_path, posterior_path, json_path, netcdf_path, thresholds):
    """Write diagnostics.json and diagnostics.nc of one dataset.

    Parameters
    ----------
    data_path
        The prepared table.
    posterior_path
        Its InferenceData.
    json_path, netcdf_path
        Where the verdict and the figures at every row go.
    thresholds
        Section `diagnostics` of the dataset's config.
    """
    dataset = Dataset.load(data_path)
    summary, pointwise = diagnostics.summarise(PosteriorFile(posterior_path), dataset, thresholds=thresholds)
    diagnostics.save(summary, pointwise, json_path=json_path, netcdf_path=netcdf_path)
    print(f"{dataset.name}: {summary['verdict']}", *summary["reasons"], sep="\n- ")


if "snakemake" in globals():
    with job_log(snakemake.log[0], label=f"diagnose {snakemake.wildcards.dataset}"):
        main(
            snakemake.input.data,
            snakemake.input.posterior,
            snakemake.output.summary,
            snakemake.output.pointwise,
            snakemake.params.settings["diagnostics"],
        )
