"""What the figures of a dataset show: from posterior, references and table to the plain arrays that `plots` draws."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from bnn.core.settings import FAMILIES, LikelihoodSettings, NetworkSettings
from bnn.data.dataset import Dataset
from bnn.evaluation.forecasts import (
    REFERENCES,
    observed,
    pit_of_draws,
    posterior_summary,
    times_of,
)
from bnn.evaluation.reference_forecasts import network_mixture, reference_mixture
from bnn.model.likelihoods import n_outputs_without_noise
from bnn.model.posterior import make_network
from bnn.plots import (
    AlongTime,
    Band,
    ChainRun,
    CheckArrays,
    ClassificationTest,
    LogDensityTrace,
    RegressionTest,
    axis_label,
)
from bnn.posterior.posterior_file import StoredPosterior, likelihood_of, stacked_theta
from bnn.posterior.predictive import ClassSummary, TargetSummary, central_intervals, predict_grid
from bnn.posterior.predictor import make_predictor

_GRID = np.linspace(-0.25, 1.25, 241)
"""Points of the band, in units of the range of the training data, which lies from 0 to 1."""
_N_REPLICATED = 50
"""Tables made by the model that a figure shows."""


def log_density_trace(idata: StoredPosterior) -> LogDensityTrace:
    """Return the log density of the chains, warm-up included if it was recorded."""
    stats, about = idata["sample_stats"], idata["posterior"].attrs
    warmup = idata.get("warmup_sample_stats")
    return LogDensityTrace(
        log_density=stats["lp"].values,
        chain_ids=stats["chain"].values,
        thin=int(about["thin"]),
        n_warmup=int(about["n_warmup"]),
        warmup_log_density=None if warmup is None else warmup["lp"].values,
        warmup_iteration=None if warmup is None else warmup["draw"].values,
        n_explore=_n_explore(idata),
    )


def chain_run(idata: StoredPosterior, target_acceptance: float) -> ChainRun:
    """Return acceptance rate and step size of the chains along their run, with the rate that was aimed at."""
    stats, about = idata["sample_stats"], idata["posterior"].attrs
    n_chains, n_draws = stats["lp"].shape
    records = idata.get("warmup_sample_stats")
    return ChainRun(
        chain_ids=stats["chain"].values,
        iteration=int(about["n_warmup"]) + int(about["thin"]) * np.arange(1, n_draws + 1),
        acceptance_rate=stats["acceptance_rate"].values,
        step_size=stats["step_size"].values,
        warmup_iteration=np.empty(0, dtype=np.int64) if records is None else records["draw"].values,
        warmup_step_size=np.empty((n_chains, 0)) if records is None else records["step_size"].values,
        n_explore=_n_explore(idata),
        n_warmup=int(about["n_warmup"]),
        target_acceptance=target_acceptance,
    )


def check_arrays(summary: Mapping[str, Any], variables: Mapping[str, np.ndarray]) -> CheckArrays:
    """Return the arrays of checks.nc, those of statistics in the order of checks.json."""
    posterior = [variables[f"posterior_{index}"] for index in range(len(summary["posterior_predictive"]))]
    return CheckArrays(posterior, variables["loo_k"], variables["row_train"])


def _n_explore(idata: StoredPosterior) -> int:
    """Return the iterations of exploration before warm-up: those of the last of its records."""
    if "warmup_sample_stats" not in idata:
        return 0
    records = idata["warmup_sample_stats"]
    explored = records["draw"].values[records["explores"].values > 0]
    return int(explored[-1]) if explored.size else 0


def rows_of_test(
    idata: StoredPosterior, dataset: Dataset, baseline: Mapping[str, np.ndarray]
) -> ClassificationTest | RegressionTest:
    """Return observations and predictions of the test rows, of all models and in original target units.

    Parameters
    ----------
    idata
        What `bnn.posterior.inference_data.combine` wrote, read.
    dataset
        Its table.
    baseline
        Variables of the file of the references.
    """
    y = observed(dataset, "test")
    if dataset.task == "classification":
        probability = {model: baseline[f"{model}_test_probability"] for model in REFERENCES}
        own = posterior_summary(idata, dataset, "test")
        assert isinstance(own, ClassSummary)
        return ClassificationTest(y, {"bnn": own.probability, **probability}, tuple(dataset.class_names))
    group, before = idata["predictions"], idata["posterior_predictive"]["y"]
    summary = posterior_summary(idata, dataset, "test")
    assert isinstance(summary, TargetSummary)
    lower, upper = central_intervals(group["y"], (0.9,))
    step = max(1, before.shape[0] * before.shape[1] // _N_REPLICATED)
    replicated = np.asarray(before[:, ::step], dtype=np.float64).reshape(-1, before.shape[2])
    return RegressionTest(
        y=y,
        mean=summary.mean,
        lower_90=lower[0],
        upper_90=upper[0],
        pit={
            "bnn": pit_of_draws(group["y"], y),
            "baseline": reference_mixture(baseline, "baseline", "test", dataset, likelihood_of(idata)).cdf(y),
        },
        target_label=axis_label(dataset.target_name, dataset.target_unit),
        y_train=observed(dataset, "train"),
        replicated=replicated[:_N_REPLICATED],
        form=FAMILIES[likelihood_of(idata).family].form,
    )


def along_time(idata: StoredPosterior, dataset: Dataset) -> AlongTime | None:
    """Return forecasts of the test rows along time, with the end of the training part; None of other tables."""
    if dataset.time_train is None or dataset.time_test is None:
        return None
    before = slice(-max(1, len(dataset.y_test) // 3), None)
    summary = posterior_summary(idata, dataset, "test")
    assert isinstance(summary, TargetSummary), "a time series is a regression"
    lower, upper = central_intervals(idata["predictions"]["y"], (0.5, 0.9))
    return AlongTime(
        time=times_of(dataset.time_test, dataset),
        y=observed(dataset, "test"),
        mean=summary.mean,
        lower_50=lower[0],
        upper_50=upper[0],
        lower_90=lower[1],
        upper_90=upper[1],
        time_before=times_of(dataset.time_train[before], dataset),
        y_before=observed(dataset, "train")[before],
        time_label=axis_label(dataset.time_name, ""),
        target_label=axis_label(dataset.target_name, dataset.target_unit),
    )


def band(
    idata: StoredPosterior,
    dataset: Dataset,
    baseline: Mapping[str, np.ndarray],
    *,
    network: NetworkSettings,
    likelihood: LikelihoodSettings,
    rng: np.random.Generator,
) -> Band | None:
    """Return predictions along the only feature of a regression, a quarter of its range beyond; None with
    more features.

    Parameters
    ----------
    idata, dataset, baseline
        As in `rows_of_test`.
    network, likelihood
        Their settings.
    rng
        Source of the draws of new observations.
    """
    if dataset.task != "regression" or len(dataset.feature_names) != 1:
        return None
    low, high = dataset.x_train.min(), dataset.x_train.max()
    x = (low + (high - low) * _GRID)[:, None]
    theta, layout = stacked_theta(idata)
    sampled = network.in_numpy(idata["posterior"].attrs["precision"])
    predictor = make_predictor(dataset, network=sampled, likelihood=likelihood, layout=layout)
    grid = predict_grid(predictor, theta, x, levels=(0.5, 0.9), rng=rng)
    # Whatever the noise of the posterior, the baseline's network has one output, the mean.
    n_outputs = n_outputs_without_noise(predictor.likelihood)
    net = make_network(network.in_numpy(), dataset.x_train, n_outputs=n_outputs)
    baseline_mean = network_mixture(baseline, "baseline", net, x, dataset, likelihood).mean
    mean, scale = dataset.feature_mean[0], dataset.feature_scale[0]
    return Band(
        x_grid=mean + scale * x[:, 0],
        bnn_mean=grid.summary.mean,
        lower_50=grid.lower[0],
        upper_50=grid.upper[0],
        lower_90=grid.lower[1],
        upper_90=grid.upper[1],
        baseline_mean=baseline_mean,
        x_train=mean + scale * dataset.x_train[:, 0],
        y_train=observed(dataset, "train"),
        feature_label=axis_label(dataset.feature_names[0], ""),
        target_label=axis_label(dataset.target_name, dataset.target_unit),
    )
