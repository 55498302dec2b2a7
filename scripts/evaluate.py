"""Score the Bayesian network and its references on the same rows, in the same units."""

from bnn.core.seeding import Stream, chain_rng
from bnn.core.storage import read_json, read_netcdf
from bnn.data.dataset import Dataset
from bnn.evaluation.assemble import evaluate, save
from bnn.jobs.interruption import job_log
from bnn.posterior.posterior_file import PosteriorFile


def main(data_path, baseline_path, posterior_path, conformal_paths, json_path, csv_path, seed):
    """Write metrics.json and predictions.csv of one dataset.

    Parameters
    ----------
    data_path
        The prepared table.
    baseline_path
        Predictions of all references.
    posterior_path
        InferenceData of the chains.
    conformal_paths
        The file of conformity scores of training rows; nothing where they are not asked for.
    json_path, csv_path
        Where scores and predictions of the test rows go.
    seed
        Seed of the run.
    """
    scores, predictions = evaluate(
        PosteriorFile(posterior_path),
        Dataset.load(data_path),
        *read_netcdf(baseline_path),
        rng=chain_rng(seed, Stream.EVALUATION),
        conformal=next(map(read_json, conformal_paths), None),
    )
    save(scores, predictions, json_path=json_path, csv_path=csv_path)


if "snakemake" in globals():
    with job_log(snakemake.log[0], label=f"evaluate {snakemake.wildcards.dataset}"):
        main(
            snakemake.input.data,
            snakemake.input.baseline,
            snakemake.input.posterior,
            snakemake.input.conformal,
            snakemake.output.metrics,
            snakemake.output.predictions,
            snakemake.params.settings["seed"],
        )
