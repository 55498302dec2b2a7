"""Draw the figures of one dataset."""

from bnn.core.plan import planned
from bnn.core.seeding import Stream, chain_rng
from bnn.core.settings import LangevinSettings, LikelihoodSettings, NetworkSettings, build
from bnn.core.storage import read_json, read_netcdf
from bnn.data.dataset import Dataset
from bnn.jobs.interruption import job_log
from bnn.mcmc.kernels import make_kernel, resolve_kernel
from bnn.plots import figures, plot_dataset
from bnn.posterior.posterior_file import PosteriorFile


def main(
    data_path,
    baseline_path,
    posterior_path,
    diagnostics_path,
    summary_path,
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
    diagnostics_path, summary_path
        R-hat and ESS at every row, and the summary of them.
    metrics_path, checks_path, arrays_path
        Scores, checks, and the arrays of the checks.
    out_path
        Folder of the figures.
    settings
        Sections `seed`, `network` and `likelihood` of the dataset's config; of `sampler`, `kernel`, `langevin` and
        `target_acceptance`.
    """
    dataset, idata = Dataset.load(data_path), PosteriorFile(posterior_path)
    baseline, checks = read_netcdf(baseline_path)[0], read_json(checks_path)
    sampler = settings["sampler"]
    name = resolve_kernel(sampler["kernel"], len(dataset.x_train))
    kernel = make_kernel(name, langevin=build(LangevinSettings, sampler["langevin"]))
    target = None if kernel.by_batches else sampler["target_acceptance"]
    plot_dataset(
        out_path,
        trace=figures.log_density_trace(idata),
        run=figures.chain_run(idata, kernel.target_acceptance if target is None else target),
        metrics=read_json(metrics_path),
        checks=checks,
        arrays=figures.check_arrays(checks, read_netcdf(arrays_path)[0]),
        diagnostics=read_netcdf(diagnostics_path)[0],
        summary=read_json(summary_path),
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
        rng=chain_rng(settings["seed"], Stream.PREDICTIVE, 2),
    )


if "snakemake" in globals():
    with job_log(snakemake.log[0], label=f"plot {snakemake.wildcards.dataset}"):
        main(
            snakemake.input.data,
            snakemake.input.baseline,
            snakemake.input.posterior,
            snakemake.input.diagnostics,
            snakemake.input.summary,
            snakemake.input.metrics,
            snakemake.input.checks,
            snakemake.input.arrays,
            snakemake.output[0],
            planned(snakemake.params.settings, snakemake.input.plan),
        )
