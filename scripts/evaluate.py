"""Score the Bayesian network and both references on the same rows, in the same units."""

from bnn import evaluation, inference_data
from bnn.datasets import Dataset
from bnn.job import job_log
from bnn.storage import read_netcdf


def main(data_path, baseline_path, posterior_path, json_path, csv_path):
    """Write metrics.json and predictions.csv of one dataset.

    Parameters
    ----------
    data_path
        The prepared table.
    baseline_path
        Predictions of both references.
    posterior_path
        InferenceData of the chains.
    json_path, csv_path
        Where scores and predictions of the test rows go.
    """
    scores, predictions = evaluation.evaluate(
        inference_data.load(posterior_path), Dataset.load(data_path), *read_netcdf(baseline_path)
    )
    evaluation.save(scores, predictions, json_path=json_path, csv_path=csv_path)


if "snakemake" in globals():
    with job_log(snakemake.log[0], label=f"evaluate {snakemake.wildcards.dataset}"):
        main(
            snakemake.input.data,
            snakemake.input.baseline,
            snakemake.input.posterior,
            snakemake.output.metrics,
            snakemake.output.predictions,
        )
