"""Draw the figures of one dataset."""

from bnn.core.plan import planned
from bnn.core.seeding import Stream, chain_rng
from bnn.core.settings import LikelihoodSettings, NetworkSettings, build
from bnn.core.storage import read_json, read_netcdf
from bnn.data.dataset import Dataset
from bnn.jobs.interruption import job_log
from bnn.plots import figures, plot_dataset
from bnn.posterior.posterior_file import PosteriorFile


def main(
    data_path,
    baseline_path,
    posterior_path,
    diagnostics_path,
    metrics_path,
    checks_path,
    arrays_path,
    out_path,
    settings,
):
    """Write the figures of one dataset.

    Parameters
    ----------
    data_path
        The prepared table.
    baseline_path
        Predictions of all references.
    posterior_path
        InferenceData of the chains.
    diagnostics_path
        R-hat and ESS at every row.
    metrics_path, checks_path, arrays_path
        Scores, checks, and the arrays of the checks.
    out_path
        Folder of the figures.
    settings
        Sections `seed`, `network`, `likelihood` and `diagnostics` of the dataset's config.
    """
    dataset, idata = Dataset.load(data_path), PosteriorFile(posterior_path)
    baseline, checks = read_netcdf(baseline_path)[0], read_json(checks_path)
    plot_dataset(
        out_path,
        trace=figures.log_density_trace(idata),
        run=figures.chain_run(idata),
        agreement=figures.chain_predictions(idata, dataset),
        metrics=read_json(metrics_path),
        checks=checks,
        arrays=figures.check_arrays(checks, read_netcdf(arrays_path)[0]),
        diagnostics=read_netcdf(diagnostics_path)[0],
        thresholds=settings["diagnostics"],
        along_time=figures.along_time(idata, dataset),
        test=figures.rows_of_test(idata, dataset, baseline),
        band=figures.band(
            idata,
            dataset,
            baseline,
            network=build(NetworkSettings, settings["network"]),
            likelihood=build(LikelihoodSettings, settings["likelihood"]),
            rng=chain_rng(settings["seed"], Stream.PREDICTIVE, 1),
        ),
    )


if "snakemake" in globals():
    with job_log(snakemake.log[0], label=f"plot {snakemake.wildcards.dataset}"):
        main(
            snakemake.input.data,
            snakemake.input.baseline,
            snakemake.input.posterior,
            snakemake.input.diagnostics,
            snakemake.input.metrics,
            snakemake.input.checks,
            snakemake.input.arrays,
            snakemake.output[0],
            planned(snakemake.params.settings, snakemake.input.plan),
        )
