"""Draw the figures of one dataset."""

import numpy as np

from bnn import inference_data
from bnn.datasets import Dataset
from bnn.evaluation import observed, posterior_summary
from bnn.job import job_log
from bnn.plots import Band, ClassificationTest, LogDensityTrace, RegressionTest, axis_label, plot_dataset
from bnn.predictive import central_intervals, make_predictor, predict_draws, predict_grid
from bnn.seeding import Stream, chain_rng
from bnn.storage import read_netcdf

MODELS = ("baseline", "linear")
GRID = np.linspace(-0.25, 1.25, 241)
"""Points of the band along the range of the training data, which lies from 0 to 1."""


def trace_of(idata):
    """Return the log density of the chains, warm-up included."""
    stats, warmup = idata.sample_stats, getattr(idata, "warmup_sample_stats", None)
    about = idata.posterior.attrs
    return LogDensityTrace(
        log_density=stats["lp"].values,
        chain_ids=stats["chain"].values,
        thin=int(about["thin"]),
        n_warmup=int(about["n_warmup"]),
        warmup_log_density=None if warmup is None else warmup["lp"].values,
        warmup_iteration=None if warmup is None else warmup["draw"].values,
    )


def test_rows(idata, dataset, baseline):
    """Return observations and predictions of the test rows."""
    y, summary = observed(dataset, "test"), posterior_summary(idata, dataset, "test")
    if dataset.task == "classification":
        probability = {model: baseline[f"{model}_test_probability"] for model in MODELS}
        probability = {"bnn": summary.probability} | probability
        return ClassificationTest(y, probability, summary.aleatoric, summary.epistemic)
    mean = {"bnn": summary.mean} | {model: baseline[f"{model}_test_mean"] for model in MODELS}
    lower, upper = central_intervals(idata.predictions["y"].values, (0.9,))
    return RegressionTest(y, mean, lower[0], upper[0], axis_label(dataset.target_name, dataset.target_unit))


def band_of(idata, dataset, baseline, settings):
    """Return predictions along the only feature of a regression; None if there are more."""
    if dataset.task != "regression" or len(dataset.feature_names) != 1:
        return None
    low, high = dataset.x_train.min(), dataset.x_train.max()
    x = (low + (high - low) * GRID)[:, None]
    predictor = make_predictor(dataset, network=settings["network"], likelihood=settings["likelihood"])
    theta, _ = inference_data.stacked_theta(idata)
    rng = chain_rng(settings["seed"], Stream.PREDICTIVE, 1)
    grid = predict_grid(predictor, theta, x, levels=(0.5, 0.9), rng=rng)
    weights = np.zeros((1, 1, predictor.layout.n_params))
    weights[..., : len(baseline["theta"])] = baseline["theta"]
    original = {"mean": dataset.feature_mean[0], "scale": dataset.feature_scale[0]}
    return Band(
        x_grid=original["mean"] + original["scale"] * x[:, 0],
        bnn_mean=grid.summary.mean,
        lower_50=grid.lower[0],
        upper_50=grid.upper[0],
        lower_90=grid.lower[1],
        upper_90=grid.upper[1],
        baseline_mean=predict_draws(predictor, weights, x)[0, 0],
        x_train=original["mean"] + original["scale"] * dataset.x_train[:, 0],
        y_train=observed(dataset, "train"),
        feature_label=axis_label(dataset.feature_names[0], ""),
        target_label=axis_label(dataset.target_name, dataset.target_unit),
    )


def main(data_path, baseline_path, posterior_path, diagnostics_path, out_path, settings):
    """Write the figures of one dataset.

    Parameters
    ----------
    data_path
        The prepared table.
    baseline_path
        Predictions of both references.
    posterior_path
        InferenceData of the chains.
    diagnostics_path
        R-hat and ESS at every row.
    out_path
        Folder of the figures.
    settings
        Sections `seed`, `network`, `likelihood` and `diagnostics` of the dataset's config.
    """
    dataset, idata = Dataset.load(data_path), inference_data.load(posterior_path)
    baseline, _ = read_netcdf(baseline_path)
    plot_dataset(
        out_path,
        trace=trace_of(idata),
        diagnostics=read_netcdf(diagnostics_path)[0],
        thresholds=settings["diagnostics"],
        test=test_rows(idata, dataset, baseline),
        band=band_of(idata, dataset, baseline, settings),
    )


if "snakemake" in globals():
    with job_log(snakemake.log[0], label=f"plot {snakemake.wildcards.dataset}"):
        main(
            snakemake.input.data,
            snakemake.input.baseline,
            snakemake.input.posterior,
            snakemake.input.diagnostics,
            snakemake.output[0],
            snakemake.params.settings,
        )
