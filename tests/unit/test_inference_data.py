"""The posterior file: anybody can open it, variables mean what they say, chains that do not fit are refused."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from bnn.core.errors import ResultError
from bnn.posterior import chain_files, inference_data
from bnn.posterior.arviz_versions import open_posterior
from bnn.posterior.posterior_file import PosteriorFile, stacked_theta
from bnn.posterior.predictor import make_predictor
from tests.refusals import refused
from tests.unit.synthetic_chains import (
    LIKELIHOOD,
    NETWORK,
    combined,
    independent_theta,
    layout_of,
    make_dataset,
    write_chains,
)

TASKS = ["classification", "regression"]


def build(dataset, paths, **settings):
    """Combine chain files, and return what ArviZ itself reads from the file."""
    combined(dataset, paths, **settings)
    return open_posterior(Path(paths[0]).parent / "posterior.nc")


@pytest.fixture(scope="module", params=TASKS)
def dataset(request):
    return make_dataset(request.param)


@pytest.fixture(scope="module")
def theta(dataset):
    return independent_theta(dataset, n_chains=3, n_draws=10)


@pytest.fixture(scope="module")
def saved(dataset, theta, tmp_path_factory):
    """Return what ArviZ itself reads from the file."""
    folder = tmp_path_factory.mktemp("saved")
    return build(dataset, write_chains(folder, theta, layout_of(dataset), apart=True))


def test_groups_variables_and_dimensions(saved, dataset):
    kind: tuple[str, tuple[str, ...]] = ("probability", ("chain", "draw", "obs_id", "class"))
    if dataset.task == "regression":
        kind = ("mean", ("chain", "draw", "obs_id"))
    for group, rows in (("posterior_predictive", dataset.row_train), ("predictions", dataset.row_test)):
        assert saved[group][kind[0]].dims == kind[1]
        assert saved[group][kind[0]].dtype == np.float32
        assert saved[group]["y"].dims == ("chain", "draw", "obs_id")
        assert np.array_equal(saved[group]["obs_id"], rows)
    of_target = {kind[0], "y"} | ({"noise_sd"} if dataset.task == "regression" else set())
    assert set(saved["posterior_predictive"].data_vars) == of_target
    assert set(saved["predictions"].data_vars) == of_target | {"log_density_y"}
    assert set(saved["log_likelihood"].data_vars) == {"y"}
    posterior = saved["posterior"]
    assert posterior["weight_0"].dims == ("chain", "draw", "input", "hidden_0")
    assert posterior["weight_1"].dims == ("chain", "draw", "hidden_0", "output")
    assert posterior["bias_0"].dims == ("chain", "draw", "hidden_0")
    assert posterior["bias_1"].dims == ("chain", "draw", "output")
    assert posterior["input"].values.tolist() == ["length", "width"]
    if dataset.task == "classification":
        assert posterior["output"].values.tolist() == ["kind 0", "kind 1", "kind 2"]
        assert saved["predictions"]["class"].values.tolist() == ["kind 0", "kind 1", "kind 2"]
        assert "noise_scale" not in posterior
    else:
        assert posterior["output"].values.tolist() == ["price"]
        assert posterior["noise_scale"].dims == ("chain", "draw")
        assert posterior["noise_scale"].attrs["units"] == "standardised target units"
        assert saved["predictions"]["mean"].attrs["units"] == "EUR"
        assert saved["log_likelihood"]["y"].attrs["units"] == "nats, per EUR"
    stats_group = saved["sample_stats"]
    assert set(stats_group.data_vars) >= {"lp", "acceptance_rate", "step_size", "diverging"}
    assert stats_group["diverging"].dtype == bool
    assert stats_group["seconds_warmup"].values.tolist() == [1.0, 2.0, 3.0]
    assert stats_group["n_gradients"].values.tolist() == [100, 100, 100]
    assert stats_group["preconditioner"].dims == ("chain", "coordinate")
    assert stats_group["trajectory_length"].values.tolist() == [1.57] * 3
    assert "n_steps" not in stats_group, "mala has no trajectories"
    assert saved["warmup_sample_stats"]["optimiser_lp"].dims == ("chain", "optimiser_step")
    assert saved["warmup_sample_stats"]["optimiser_step"].values.tolist() == [0, 10]
    assert saved["warmup_sample_stats"]["draw"].values.tolist() == [10, 20, 30]
    assert saved["warmup_sample_stats"]["lp"].values[2].tolist() == [2.0, 2.0, 2.0]
    about = posterior.attrs
    assert (about["dataset"], about["task"], about["kernel"]) == ("toy", dataset.task, "mala")
    assert (about["thin"], about["n_warmup"], about["n_draws"]) == (2, 30, 10)
    assert about["architecture"].tolist() == [2, 3, dataset.n_outputs]
    assert about["n_params"] == layout_of(dataset).n_params


def test_observed_values_are_in_original_units(saved, dataset):
    y_train, y_test = dataset.y_train, dataset.y_test
    if dataset.task == "regression":
        y_train, y_test = 20 + 5 * y_train, 20 + 5 * y_test
    assert np.allclose(saved["observed_data"]["y"], y_train, rtol=1e-12)
    assert np.allclose(saved["predictions_constant_data"]["y"], y_test, rtol=1e-12)
    assert np.array_equal(saved["constant_data"]["x"], dataset.x_train)
    assert np.array_equal(saved["predictions_constant_data"]["x"], dataset.x_test)


def test_theta_comes_back(saved, dataset, theta):
    found, layout = stacked_theta(saved)
    assert layout == layout_of(dataset)
    assert np.allclose(found, theta, rtol=1e-14, atol=1e-14)


def test_predictions_and_densities_are_those_of_each_draw(saved, dataset, theta):
    predictor = make_predictor(dataset, network=NETWORK, likelihood=LIKELIHOOD)
    name = "probability" if dataset.task == "classification" else "mean"
    for group, density, x, y in (
        ("posterior_predictive", saved["log_likelihood"]["y"], dataset.x_train, dataset.y_train),
        ("predictions", saved["predictions"]["log_density_y"], dataset.x_test, dataset.y_test),
    ):
        for chain in range(3):
            (block,) = predictor.stream(theta[chain], x, y)
            assert block.log_density is not None
            assert np.allclose(saved[group][name][chain], block.value, rtol=1e-6)
            assert np.allclose(density[chain], block.log_density, rtol=1e-12, atol=1e-12)


def test_new_observations_scatter_as_they_should(tmp_path):
    dataset = make_dataset("regression")
    theta = np.repeat(independent_theta(dataset, n_chains=2, n_draws=1), 2000, axis=1)
    group = build(dataset, write_chains(tmp_path, theta, layout_of(dataset)))["predictions"]
    z = (group["y"] - group["mean"]).values / (5 * np.exp(theta[:, :1, -1:]))
    # 20,000 standard normal numbers; over seeds a right sampler would fail here once in 10,000.
    assert stats.kstest(z.ravel(), "norm").pvalue > 1e-4


@pytest.mark.slow
def test_order_of_files_does_not_matter_and_chains_keep_their_numbers(dataset, theta, tmp_path):
    paths = write_chains(tmp_path, theta, layout_of(dataset), chain_ids=[4, 1, 2], apart=True)
    straight, reverse = build(dataset, paths), build(dataset, paths[::-1])
    assert straight["posterior"]["chain"].values.tolist() == [1, 2, 4]
    assert np.array_equal(stacked_theta(straight)[0], stacked_theta(reverse)[0])
    assert np.array_equal(
        straight["posterior"]["weight_0"][2], layout_of(dataset).unpack(theta)["weight_0"][0]
    )
    for group in straight:
        assert straight[group].equals(reverse[group]), group
    assert straight["sample_stats"]["seconds_warmup"].values.tolist() == [2.0, 3.0, 5.0]
    other = build(dataset, paths, seed=1)
    assert not np.array_equal(straight["predictions"]["y"], other["predictions"]["y"])


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("kernel", "random_walk"),
        ("n_warmup", 31),
        ("thin", 3),
        ("seed", 2),
        ("dataset", "other"),
        ("layout", '[["w", [1]]]'),
    ],
)
def test_chains_of_different_runs_are_refused(tmp_path, key, value):
    dataset = make_dataset("regression")
    theta = independent_theta(dataset, n_chains=3, n_draws=4)
    paths = write_chains(tmp_path, theta, layout_of(dataset), changes={1: {key: value}})
    with refused("chains-disagree", kind=ResultError, file=paths[1].name, key=key) as error:
        build(dataset, paths)
    assert str(paths[1]) in str(error.value)
    assert str(paths[0]) in str(error.value)


def test_chains_with_another_length_are_refused(tmp_path):
    dataset = make_dataset("regression")
    layout = layout_of(dataset)
    theta = independent_theta(dataset, n_chains=2, n_draws=4)
    paths = write_chains(tmp_path, theta, layout, changes={0: {"n_draws": 5}, 1: {"n_draws": 5}})
    with refused("wrong-length", kind=ResultError, file="chain_0.nc"):
        build(dataset, paths)


def test_chains_that_do_not_fit_the_table_are_refused(tmp_path):
    dataset = make_dataset("regression")
    layout = layout_of(dataset)
    theta = independent_theta(dataset, n_chains=2, n_draws=4)
    paths = write_chains(tmp_path, theta, layout)
    with refused("no-chain", kind=ResultError):
        build(dataset, [])
    with refused("chain-twice", kind=ResultError):
        build(dataset, [*paths, paths[0]])
    with refused("other-parameters", kind=ResultError):
        build(dataset, paths, likelihood=replace(LIKELIHOOD, noise=0.5))
    wrong = write_chains(tmp_path, theta, layout, changes={0: {"dataset": "b"}, 1: {"dataset": "b"}})
    with refused("other-dataset", kind=ResultError, value="b"):
        build(dataset, wrong)


def test_known_noise_is_a_constant(tmp_path):
    dataset = make_dataset("regression")
    likelihood = replace(LIKELIHOOD, noise=0.3)
    layout = layout_of(dataset, likelihood)
    theta = independent_theta(dataset, n_chains=2, n_draws=4)[..., :-1]
    idata = build(dataset, write_chains(tmp_path, theta, layout, n_records=0), likelihood=likelihood)
    assert np.allclose(idata["posterior"]["noise_scale"], 0.3, rtol=1e-12)
    assert np.array_equal(stacked_theta(idata)[0], theta)
    assert "warmup_sample_stats" not in idata


@pytest.mark.slow
@pytest.mark.parametrize("family", ["gaussian", "student_t", "heteroscedastic", "heteroscedastic_student_t"])
@pytest.mark.parametrize("learned_scales", ["layer", "ard"])
def test_every_family_is_stored_with_its_noise_and_the_scales_of_the_prior(tmp_path, family, learned_scales):
    dataset = make_dataset("regression")
    likelihood = replace(LIKELIHOOD, family=family)
    layout = layout_of(dataset, likelihood, learned_scales)
    theta = independent_theta(dataset, n_chains=2, n_draws=6, layout=layout)
    build(dataset, write_chains(tmp_path, theta, layout), likelihood=likelihood)
    saved = open_posterior(tmp_path / "posterior.nc")
    found, found_layout = stacked_theta(saved)
    assert found_layout == layout
    assert np.allclose(found, theta, rtol=1e-14, atol=1e-14)
    posterior = saved["posterior"]
    first = ("input",) if learned_scales == "ard" else ()
    assert posterior["log_prior_scale_weight_0"].dims == ("chain", "draw", *first)
    assert posterior["log_prior_scale_bias_1"].dims == ("chain", "draw")
    predictor = make_predictor(dataset, network=NETWORK, likelihood=likelihood, layout=layout)
    for group, x in (("predictions", dataset.x_test), ("posterior_predictive", dataset.x_train)):
        noise_sd = saved[group]["noise_sd"]
        assert noise_sd.attrs["units"] == "EUR"
        assert ("Student-t with 4" in noise_sd.attrs["long_name"]) == family.endswith("student_t")
        (block,) = predictor.stream(theta[1], x)
        assert block.noise_sd is not None
        if family.startswith("heteroscedastic"):
            assert noise_sd.dims == ("chain", "draw", "obs_id")
            assert noise_sd.dtype == np.float32
            assert np.allclose(noise_sd[1], block.noise_sd, rtol=1e-6)
        else:
            # Not a number a row: the file of a large table would be half as large again.
            assert noise_sd.dims == ("chain", "draw")
            assert np.allclose(noise_sd[1], block.noise_sd[:, 0], rtol=1e-12)
    assert ("noise_scale" in posterior) == (not family.startswith("heteroscedastic"))
    if family.startswith("heteroscedastic"):
        assert posterior["output"].values.tolist() == ["price", "log noise scale"]
    else:
        assert posterior["output"].values.tolist() == ["price"]
        assert np.allclose(
            posterior["noise_scale"], np.exp(theta[..., layout.slices["log_noise_scale"]][..., 0])
        )
        assert ("Student-t with 4" in posterior["noise_scale"].attrs["long_name"]) == (family == "student_t")


def test_a_target_far_from_zero_keeps_its_digits(tmp_path):
    dataset = make_dataset("regression", target_mean=1.7e9)
    theta = independent_theta(dataset, n_chains=2, n_draws=4)
    group = build(dataset, write_chains(tmp_path, theta, layout_of(dataset)))["predictions"]
    predictor = make_predictor(dataset, network=NETWORK, likelihood=LIKELIHOOD)
    (block,) = predictor.stream(theta[1], dataset.x_test)
    assert np.abs(group["mean"][1].values - block.value).max() < 1e-6


def test_a_file_that_cannot_be_written_leaves_the_old_one(dataset, theta, tmp_path, monkeypatch):
    paths = write_chains(tmp_path / "chains", theta, layout_of(dataset))
    path = tmp_path / "chains" / "posterior.nc"
    path.write_text("old")

    def fail(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(inference_data, "_store_predictions", fail)
    with pytest.raises(OSError, match=r"posterior\.nc"):
        build(dataset, paths)
    assert path.read_text() == "old"
    assert set(path.parent.iterdir()) == {path, *paths}


@pytest.mark.slow
@pytest.mark.parametrize("keep", ["weights", "predictions"])
def test_what_is_not_kept_is_left_out_and_the_rest_is_the_same(dataset, theta, tmp_path, keep):
    whole = build(dataset, write_chains(tmp_path / "a", theta, layout_of(dataset)))
    part = build(dataset, write_chains(tmp_path / "b", theta, layout_of(dataset)), keep=keep)
    gone = {"posterior_predictive", "log_likelihood", "predictions"}
    # ArviZ 0.23 leaves out a group without variables, 1 does not.
    kept = {group: dict(posterior.data_vars) for group, posterior in part.items() if posterior.data_vars}
    if keep == "predictions":
        gone = set()
        density = kept["posterior"].pop("log_density")
        assert np.array_equal(density.values, whole["sample_stats"]["lp"].values)
    assert set(whole) - set(kept) == gone
    for group, variables in kept.items():
        left_out = set(whole[group].data_vars) - set(variables)
        weights = {"weight_0", "weight_1", "bias_0", "bias_1"}
        assert left_out == (weights if (group, keep) == ("posterior", "predictions") else set())
        for name, values in variables.items():
            assert values.equals(whole[group][name]), (group, name)
    if keep == "predictions":
        with refused("no-weights", kind=ResultError, key="sampler.keep"):
            stacked_theta(part)


@pytest.mark.slow
def test_blocks_of_draws_do_not_matter(dataset, theta, tmp_path, monkeypatch):
    whole = build(dataset, write_chains(tmp_path / "a", theta, layout_of(dataset)))
    monkeypatch.setattr(chain_files, "BLOCK_BYTES", 3 * 8 * theta.shape[-1])
    blocks = build(dataset, write_chains(tmp_path / "b", theta, layout_of(dataset)))
    for group in whole:
        assert whole[group].equals(blocks[group]), group


@pytest.mark.slow
def test_arviz_is_imported_in_silence_and_without_a_home_folder(tmp_path):
    """ArviZ writes a note into the user's cache on import, in which jobs that start together could collide."""
    cache = {"XDG_CACHE_HOME": os.devnull, "MPLCONFIGDIR": str(tmp_path)}
    code = (
        "import platformdirs, sys, numpy as np; before = platformdirs.user_cache_dir\n"
        "from bnn.posterior import arviz_versions, chain_files, inference_data\n"
        "assert 'arviz' not in sys.modules\n"
        "arviz_versions.ess_bulk(np.random.default_rng(0).normal(size=(2, 9, 1)))\n"
        "assert {'arviz', 'arviz_stats'} & sys.modules.keys()\n"
        "assert platformdirs.user_cache_dir is before"
    )
    answer = subprocess.run(
        [sys.executable, "-c", code],
        cwd=Path(__file__).parents[2],
        env=os.environ | cache,
        capture_output=True,
        text=True,
    )
    assert (answer.returncode, answer.stderr) == (0, "")


def test_the_file_reads_the_same_without_arviz(dataset, theta, tmp_path):
    saved = build(dataset, write_chains(tmp_path, theta, layout_of(dataset)))
    plain = PosteriorFile(tmp_path / "posterior.nc")
    assert sorted(plain) == sorted(saved)
    for group in saved:
        for name in map(str, saved[group].data_vars):
            assert name in plain[group]
            expected = saved[group][name].values
            if expected.ndim == 3:
                assert np.array_equal(plain[group][name][:, 2:5, 1:], expected[:, 2:5, 1:])
            assert np.array_equal(plain[group][name].values, expected), (group, name)
            assert plain[group][name].shape == expected.shape and plain[group][name].ndim == expected.ndim
    assert "nothing" not in plain["posterior"]
    for name, value in saved["posterior"].attrs.items():
        assert np.array_equal(plain["posterior"].attrs[name], value), name
    assert np.array_equal(stacked_theta(plain)[0], stacked_theta(saved)[0])
    with pytest.raises(FileNotFoundError, match=r"none\.nc"):
        PosteriorFile(tmp_path / "none.nc")
