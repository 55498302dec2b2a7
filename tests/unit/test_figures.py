"""From posterior and references to the arrays that figures draw: the right rows, in original units."""

import dataclasses
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from bnn.evaluation.forecasts import REFERENCES, observed
from bnn.evaluation.reference_forecasts import reference_mixture
from bnn.model.layout import ParameterLayout
from bnn.model.network import Network
from bnn.plots import ClassificationTest, RegressionTest, figures
from bnn.posterior.arviz_versions import open_posterior
from tests.unit.synthetic_chains import (
    LIKELIHOOD,
    NETWORK,
    combined,
    independent_theta,
    layout_of,
    make_dataset,
    write_chains,
)


def one_feature():
    dataset = make_dataset("regression")
    return dataclasses.replace(
        dataset,
        x_train=dataset.x_train[:, :1],
        x_test=dataset.x_test[:, :1],
        feature_names=("length",),
        columns=None,
        feature_mean=dataset.feature_mean[:1],
        feature_scale=dataset.feature_scale[:1],
    )


def posterior_of(folder, dataset, *, n_records=3):
    theta = independent_theta(dataset, n_chains=2, n_draws=50)
    paths = write_chains(folder, theta, layout_of(dataset), n_records=n_records)
    return combined(dataset, paths, likelihood=LIKELIHOOD)


@pytest.fixture(scope="module")
def posteriors(tmp_path_factory):
    """Task -> a posterior that no test changes."""
    return {
        task: posterior_of(tmp_path_factory.mktemp(task), make_dataset(task))
        for task in ("classification", "regression")
    }


@pytest.mark.parametrize("n_records", [3, 0])
def test_trace_has_the_warm_up_if_there_are_records(tmp_path, n_records):
    trace = figures.log_density_trace(posterior_of(tmp_path, make_dataset("regression"), n_records=n_records))
    assert trace.log_density.shape == (2, 50)
    assert (trace.thin, trace.n_warmup) == (2, 30)
    if n_records:
        assert trace.warmup_iteration is not None and trace.warmup_log_density is not None
        assert trace.warmup_iteration.tolist() == [10, 20, 30]
        assert trace.warmup_log_density.shape == (2, 3)
    else:
        assert trace.warmup_iteration is None and trace.warmup_log_density is None


def test_rows_of_a_classification(posteriors):
    dataset = make_dataset("classification")
    idata = posteriors["classification"]
    reference = np.full((5, 3), 1 / 3)
    rows = figures.rows_of_test(
        idata, dataset, {f"{model}_test_probability": reference for model in REFERENCES}
    )
    assert isinstance(rows, ClassificationTest)
    assert np.array_equal(rows.y, dataset.y_test)
    mean = idata["predictions"]["probability"].values.mean(axis=(0, 1))
    assert np.allclose(rows.probability["bnn"], mean)
    assert rows.probability["linear"] is reference
    assert rows.class_names == tuple(dataset.class_names)


def test_rows_of_a_regression_are_in_original_units(posteriors):
    dataset = make_dataset("regression")
    idata = posteriors["regression"]
    reference = {f"{model}_test_mean": np.zeros(5) for model in REFERENCES}
    reference |= {"ensemble_test_mean": np.stack([np.full(5, 1.0), np.full(5, 3.0)])}
    scales = {f"{model}_noise_scale": np.ones(2 if model == "ensemble" else ()) for model in REFERENCES}
    rows = figures.rows_of_test(idata, dataset, reference | scales)
    assert isinstance(rows, RegressionTest)
    assert np.allclose(rows.y, 20 + 5 * dataset.y_test)
    assert np.allclose(rows.mean, idata["predictions"]["mean"].values.mean(axis=(0, 1)))
    assert np.all(rows.lower_90 < rows.mean) and np.all(rows.mean < rows.upper_90)
    below = (idata["predictions"]["y"].values < rows.y).mean(axis=(0, 1))
    assert np.allclose(rows.pit["bnn"], below, atol=0.01)
    assert np.allclose(
        rows.pit["baseline"],
        reference_mixture(reference | scales, "baseline", "test", dataset, LIKELIHOOD).cdf(rows.y),
    )
    assert rows.replicated.shape == (50, len(dataset.y_train))
    assert rows.replicated[1].tolist() == idata["posterior_predictive"]["y"].values[0, 2].tolist()
    assert rows.target_label == "price [EUR]"


def test_the_run_of_the_chains(posteriors):
    run = figures.chain_run(posteriors["regression"], 0.6)
    assert run.iteration[[0, -1]].tolist() == [32, 130]
    assert run.acceptance_rate.shape == (2, 50) and run.warmup_step_size.shape == (2, 3)
    assert (run.n_explore, run.n_warmup, run.target_acceptance) == (0, 30, 0.6)


def test_exploration_is_told_from_warm_up(tmp_path):
    posterior_of(tmp_path, make_dataset("regression"))
    idata = open_posterior(tmp_path / "posterior.nc")  # whose arrays can be written to
    idata["warmup_sample_stats"]["explores"][:2] = 1
    assert figures.log_density_trace(idata).n_explore == 20
    assert figures.chain_run(idata, 0.6).n_explore == 20
    (tmp_path / "bare").mkdir()
    run = figures.chain_run(posterior_of(tmp_path / "bare", make_dataset("regression"), n_records=0), 0.6)
    assert run.n_explore == 0 and not len(run.warmup_iteration)


def test_band_runs_beyond_the_data_in_original_units(tmp_path):
    dataset = one_feature()
    idata = posterior_of(tmp_path, dataset)
    network = Network((1, 3, 1), activation="tanh", dtype="float64")
    layout = ParameterLayout(network.parameter_shapes)
    theta = np.random.default_rng(1).standard_normal(layout.n_params)
    band = figures.band(
        idata,
        dataset,
        {"theta": theta, "baseline_noise_scale": np.array(1.0)},
        network=NETWORK,
        likelihood=LIKELIHOOD,
        rng=np.random.default_rng(0),
    )
    assert band is not None
    x = dataset.feature_mean[0] + dataset.feature_scale[0] * dataset.x_train[:, 0]
    assert np.allclose(band.x_train, x)
    reach = 0.25 * np.ptp(x)
    assert np.allclose(band.x_grid[[0, -1]], [x.min() - reach, x.max() + reach])
    standardised = (band.x_grid - dataset.feature_mean[0]) / dataset.feature_scale[0]
    expected = 20 + 5 * network.forward(layout.unpack(theta[None]), standardised[:, None])[0, 0]
    assert np.allclose(band.baseline_mean, expected)
    assert np.array_equal(band.y_train, observed(dataset, "train"))
    inside = (
        (band.lower_90 < band.lower_50) & (band.lower_50 < band.upper_50) & (band.upper_50 < band.upper_90)
    )
    assert inside.all()


def test_band_of_noise_that_depends_on_the_input(tmp_path):
    dataset = one_feature()
    likelihood = replace(LIKELIHOOD, family="heteroscedastic")
    layout = layout_of(dataset, likelihood, "ard")
    theta = np.zeros((2, 2000, layout.n_params))
    # One hidden unit turns the noise up with the input; the mean is 0 in standardised units throughout.
    theta[..., layout.slices["weight_0"].start] = 1.0
    theta[..., layout.slices["weight_1"].start + 1] = 1.5
    paths = write_chains(tmp_path, theta, layout)
    idata = combined(dataset, paths, likelihood=likelihood)
    network = Network((1, 3, 1), activation="tanh", dtype="float64")
    plain = ParameterLayout(network.parameter_shapes)
    weights = np.random.default_rng(1).standard_normal(plain.n_params)
    settings: dict[str, Any] = {"network": NETWORK, "likelihood": likelihood, "rng": np.random.default_rng(0)}
    band = figures.band(idata, dataset, {"theta": weights, "baseline_noise_scale": np.array(1.0)}, **settings)
    assert band is not None
    x = (band.x_grid - dataset.feature_mean[0]) / dataset.feature_scale[0]
    assert np.allclose(band.bnn_mean, 20)
    half = 1.6449 * 5 * np.exp(-1.0 + 1.5 * np.tanh(x))
    # Quantiles of 4,000 draws have a relative standard error of 1.9 %.
    assert np.allclose((band.upper_90 - band.lower_90) / 2, half, rtol=0.08)
    expected = 20 + 5 * network.forward(plain.unpack(weights[None]), x[:, None])[0, 0]
    assert np.allclose(band.baseline_mean, expected), "the baseline has one output all the same"


def test_no_band_with_classes_or_several_features(posteriors):
    for task, idata in posteriors.items():
        settings: dict[str, Any] = {
            "network": NETWORK,
            "likelihood": LIKELIHOOD,
            "rng": np.random.default_rng(0),
        }
        assert figures.band(idata, make_dataset(task), {}, **settings) is None


def test_forecasts_along_time_have_the_end_of_the_training_part_before_them(posteriors):
    dataset = make_dataset("regression")
    n_train, n_test = len(dataset.y_train), len(dataset.y_test)
    times = 86400.0 * np.arange(n_train + n_test)
    dataset = dataclasses.replace(
        dataset, time_train=times[:n_train], time_test=times[n_train:], time_name="day", time_is_date=True
    )
    idata = posteriors["regression"]
    found = figures.along_time(idata, dataset)
    assert found is not None
    assert found.time[0] == np.datetime64("1970-01-01") + np.timedelta64(n_train, "D")
    assert found.time_before[-1] == found.time[0] - np.timedelta64(1, "D")
    assert np.array_equal(found.y, observed(dataset, "test"))
    assert np.array_equal(found.y_before, observed(dataset, "train")[-len(found.y_before) :])
    assert ((found.lower_90 < found.lower_50) & (found.upper_50 < found.upper_90)).all()
    assert figures.along_time(idata, make_dataset("regression")) is None
