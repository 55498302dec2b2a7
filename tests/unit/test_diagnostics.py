"""Verdicts that must be right: well mixed, stuck, shifted, single, constant, not finite chains; too few draws."""

import re
from dataclasses import replace

import numpy as np
import pytest

from bnn.core.storage import read_json, read_netcdf
from bnn.diagnostics import convergence
from bnn.diagnostics import summary as run_summary
from bnn.diagnostics.verdict import _findings_of_run
from bnn.model.network import Network
from bnn.posterior import arviz_versions
from tests.unit.report_inputs import make_diagnostics
from tests.unit.synthetic_chains import (
    LIKELIHOOD,
    combined,
    independent_theta,
    layout_of,
    make_dataset,
    write_chains,
)

THRESHOLDS = {
    "rhat_warn": 1.01,
    "rhat_fail": 1.05,
    "ess_warn": 400.0,
    "ess_fail": 100.0,
    "acceptance_min": 0.1,
    "acceptance_fail": 0.01,
    "acceptance_max": 0.95,
    "diverging_warn": 0.01,
}
N_DRAWS = 400


@pytest.fixture
def judged(tmp_path):
    """Return a function from draws of theta to the summary and the figures at every row."""

    def judge(theta, dataset, *, likelihood=LIKELIHOOD, learned_scales="none", thresholds=None, **chains):
        paths = write_chains(tmp_path, theta, layout_of(dataset, likelihood, learned_scales), **chains)
        idata = combined(dataset, paths, likelihood=likelihood)
        return run_summary.summarise(idata, dataset, thresholds=THRESHOLDS | (thresholds or {}))

    return judge


def gaussian_chains(n_chains=4, n_draws=N_DRAWS, shape=(), seed=0):
    return np.random.default_rng(seed).standard_normal((n_chains, n_draws, *shape))


# --- figures of one quantity


def test_figures_of_many_quantities_are_those_of_each_alone(monkeypatch):
    monkeypatch.setattr(convergence, "_BLOCK_NUMBERS", 4 * 4 * N_DRAWS)  # more than one block
    draws = np.cumsum(gaussian_chains(shape=(3, 2)), axis=1) * 0.05 + gaussian_chains(shape=(3, 2), seed=1)
    found = convergence.convergence(draws)
    for name in ("rhat", "ess_bulk", "ess_tail", "mcse_mean"):
        expected = getattr(arviz_versions, name)(draws.reshape(4, N_DRAWS, 6)).reshape(3, 2)
        assert np.array_equal(getattr(found, name), expected), name
    brief = convergence.convergence(draws, brief=True)
    assert np.array_equal(brief.rhat, found.rhat)
    assert np.array_equal(brief.ess_bulk, found.ess_bulk)
    assert np.isnan(brief.ess_tail).all()


def test_of_many_quantities_arviz_judges_those_that_decide(monkeypatch):
    white = gaussian_chains(shape=(600,))
    draws = np.cumsum(white, axis=1) * np.linspace(0, 0.1, 600) + white[:, ::-1]
    expected = {name: getattr(arviz_versions, name)(draws) for name in ("rhat", "ess_bulk", "ess_tail")}
    judged: list[int] = []

    def sevens(some):
        judged.append(some.shape[2])
        return np.full(some.shape[2], 7.0)

    monkeypatch.setattr(arviz_versions, "rhat", sevens)
    found = convergence.convergence(draws)
    by_arviz = found.rhat == 7.0
    assert sum(judged) == by_arviz.sum() <= 100
    assert by_arviz[np.argsort(expected["rhat"])[-20:]].all()
    assert by_arviz[np.argsort(expected["ess_bulk"])[:20]].all()
    assert by_arviz[np.argsort(expected["ess_tail"])[:20]].all()
    np.testing.assert_allclose(found.rhat[~by_arviz], expected["rhat"][~by_arviz], rtol=1e-9)
    np.testing.assert_allclose(found.ess_bulk, expected["ess_bulk"], rtol=1e-9)
    np.testing.assert_allclose(found.ess_tail, expected["ess_tail"], rtol=1e-9)


def test_standard_error_of_the_mean_of_independent_draws():
    found = convergence.convergence(gaussian_chains(n_draws=2000))
    assert float(found.mcse_mean) == pytest.approx(1 / np.sqrt(8000), rel=0.1)
    assert float(found.ess_bulk) == pytest.approx(8000, rel=0.15)


def test_a_constant_quantity_is_not_perfect():
    draws = gaussian_chains(shape=(2,))
    draws[..., 0] = 0.25
    found = convergence.convergence(draws)
    assert found.constant.tolist() == [True, False]
    assert np.isnan([found.rhat[0], found.ess_bulk[0], found.ess_tail[0], found.mcse_mean[0]]).all()
    assert found.rhat[1] < 1.01


def test_chains_that_stand_still_in_different_places_have_infinite_rhat():
    found = convergence.convergence(np.repeat(np.arange(4.0)[:, None], N_DRAWS, axis=1))
    assert found.rhat == np.inf
    assert not found.constant


def test_one_draw_that_is_not_finite_spoils_its_quantity_only():
    draws = gaussian_chains(shape=(3,))
    draws[2, 100, 0] = np.nan
    draws[1, 5, 1] = np.inf
    found = convergence.convergence(draws)
    assert found.finite.tolist() == [False, False, True]
    assert np.isnan(found.rhat).tolist() == [True, True, False]


def test_a_single_chain_is_compared_with_itself():
    steady = convergence.convergence(gaussian_chains(1))
    assert float(steady.rhat) < 1.01
    drifting = gaussian_chains(1) + np.linspace(0, 4, N_DRAWS)
    assert float(convergence.convergence(drifting).rhat) > 1.5
    short = convergence.convergence(gaussian_chains(1, n_draws=6))
    assert np.isnan(short.rhat)
    assert not np.isnan(short.ess_bulk)


@pytest.mark.parametrize(
    ("draws", "stuck"),
    [
        ([0, 1, 2, 3, 4, 5], False),
        ([7, 7, 7, 7, 7, 7], True),
        ([0, 7, 7, 7, 7, 5], True),
        ([0, 7, 7, 7, 4, 5], False),
        ([0, 0, 1, 1, 0, 0], False),
        ([0], False),
        ([0, 0], True),
    ],
)
def test_stuck_is_more_than_half_of_the_draws_in_one_place(draws, stuck):
    theta = np.array(draws, dtype=float)[None, :, None] * np.ones(3)
    assert convergence.stuck_chains(theta).tolist() == [stuck]
    moving = np.arange(len(draws), dtype=float)[None, :, None] * np.ones(3)
    both = convergence.stuck_chains(np.concatenate([moving, theta]))
    assert both.tolist() == [False, stuck]


# --- weights in a canonical order


@pytest.mark.parametrize("activation", ["tanh", "relu", "sigmoid"])
@pytest.mark.parametrize("hidden", [(5,), (4, 3), ()])
def test_canonical_weights_make_the_same_function(activation, hidden):
    rng = np.random.default_rng(2)
    network = Network((2, *hidden, 3), activation=activation, dtype="float64")
    weights = {name: rng.standard_normal((2, 3, *shape)) for name, shape in network.parameter_shapes.items()}
    before = {name: values.copy() for name, values in weights.items()}
    found = convergence.canonical_weights(weights, odd_activation=activation == "tanh")
    assert all(np.array_equal(weights[name], before[name]) for name in weights)
    x = rng.standard_normal((7, 2))
    for chain in range(2):
        one = {name: values[chain] for name, values in weights.items()}
        other = {name: values[chain] for name, values in found.items()}
        assert np.allclose(network.forward(one, x), network.forward(other, x), rtol=1e-9, atol=1e-12)
    for layer in range(len(hidden)):
        assert (np.diff(found[f"bias_{layer}"], axis=-1) >= 0).all()
        if activation == "tanh":
            assert (found[f"bias_{layer}"] >= 0).all()


def test_canonical_weights_undo_permutations_and_signs():
    rng = np.random.default_rng(4)
    sizes: dict[str, tuple[int, ...]]
    sizes = {
        "weight_0": (2, 4),
        "bias_0": (4,),
        "weight_1": (4, 3),
        "bias_1": (3,),
        "weight_2": (3, 1),
        "bias_2": (1,),
    }
    weights = {name: rng.standard_normal((1, 1, *shape)) for name, shape in sizes.items()}
    other = {name: values.copy() for name, values in weights.items()}
    for layer, order in ((0, [2, 0, 3, 1]), (1, [1, 2, 0])):
        sign = rng.choice([-1.0, 1.0], size=len(order))
        other[f"weight_{layer}"] = (other[f"weight_{layer}"] * sign)[..., order]
        other[f"bias_{layer}"] = (other[f"bias_{layer}"] * sign)[..., order]
        other[f"weight_{layer + 1}"] = (other[f"weight_{layer + 1}"] * sign[:, None])[..., order, :]
    first = convergence.canonical_weights(weights, odd_activation=True)
    second = convergence.canonical_weights(other, odd_activation=True)
    for name in sizes:
        assert np.allclose(first[name], second[name], rtol=1e-12)


# --- verdicts


@pytest.mark.parametrize("task", ["classification", "regression"])
def test_independent_draws_pass(judged, task, tmp_path):
    dataset = make_dataset(task)
    theta = independent_theta(dataset, n_chains=4, n_draws=N_DRAWS)
    summary, pointwise = judged(theta, dataset, thresholds={"rhat_warn": 1.02}, apart=True)
    assert summary["verdict"] == "PASS", summary["reasons"]
    assert len(summary["reasons"]) == 1
    noise = ", the noise scale" if task == "regression" else ""
    assert summary["reasons"][0].startswith(f"For the log density{noise} and the predictions at every row")
    assert list(summary)[:5] == ["dataset", "task", "kernel", "verdict", "reasons"]
    assert summary["findings"] == [{"level": "PASS", "text": summary["reasons"][0], "name": "reached"}]
    assert (summary["n_chains"], summary["n_draws"], summary["thin"], summary["n_warmup"]) == (
        4,
        N_DRAWS,
        2,
        30,
    )
    assert summary["seconds"] == {"optimise": 2.0, "explore": 0.0, "warmup": 10.0, "draws": 8.0}
    assert summary["n_gradients"] == 400
    assert summary["chains"][3]["seconds"] == pytest.approx(6.5)
    assert summary["chains"][1]["chain"] == 1
    lp = -0.5 * (theta**2).sum(axis=-1)
    assert summary["log_density"]["rhat"] == pytest.approx(arviz_versions.rhat(lp[..., None])[0], rel=1e-12)
    assert summary["log_density"]["mean"] == pytest.approx(lp.mean())
    assert (summary["noise_scale"] is None) == (task == "classification")
    n_classes = 3 if task == "classification" else 1
    assert summary["predictions"]["train"]["n_quantities"] == 8 * n_classes
    assert summary["predictions"]["test"]["n_quantities"] == 5 * n_classes
    for split, rows in (("train", dataset.row_train), ("test", dataset.row_test)):
        figures = summary["predictions"][split]
        rhat = pointwise[f"rhat_{split}"][1]
        assert figures["rhat_max"] == rhat.max()
        assert figures["worst_row"] == rows[np.argmax(rhat.reshape(len(rows), -1).max(axis=1))]
        ess = pointwise[f"ess_bulk_{split}"][1]
        assert figures["worst_row_ess"] == rows[np.argmin(ess.reshape(len(rows), -1).min(axis=1))]
        assert figures["ess_bulk_min"] == pointwise[f"ess_bulk_{split}"][1].min()
        assert figures["mcse_mean_max"] == pointwise[f"mcse_mean_{split}"][1].max()
        assert np.array_equal(pointwise[f"row_{split}"][1], rows)
    json_path, netcdf_path = tmp_path / "diagnostics.json", tmp_path / "diagnostics.nc"
    run_summary.save(summary, pointwise, json_path=json_path, netcdf_path=netcdf_path)
    assert read_json(json_path)["predictions"] == summary["predictions"]
    stored, attributes = read_netcdf(netcdf_path)
    assert np.array_equal(stored["rhat_test"], pointwise["rhat_test"][1])
    assert attributes["verdict"] == "PASS"


def test_both_probabilities_of_two_classes_have_the_figures_of_one(judged):
    dataset = make_dataset("classification", n_classes=2)
    theta = independent_theta(dataset, n_chains=4, n_draws=100)
    summary, pointwise = judged(theta, dataset)
    assert summary["predictions"]["test"]["n_quantities"] == 5
    rhat = pointwise["rhat_test"][1]
    assert rhat.shape == (5, 2)
    assert np.array_equal(rhat[:, 0], rhat[:, 1])


def test_one_shifted_chain_fails(judged):
    dataset = make_dataset("regression")
    theta = independent_theta(dataset, n_chains=4, n_draws=N_DRAWS)
    theta[2, :, layout_of(dataset).slices["bias_1"]] += 2.0
    summary, _ = judged(theta, dataset)
    assert summary["verdict"] == "FAIL"
    pattern = (
        r"Largest R-hat of the predictions for the test rows is 1\.\d{4} \(row \d+, counted from 0\), "
        r"above 1\.05 \(diagnostics\.rhat_fail\): raise sampler\.warmup"
    )
    assert any(re.match(pattern, reason) for reason in summary["reasons"]), summary["reasons"]
    assert summary["predictions"]["test"]["n_rhat_above"] == 5


def test_stuck_chain_fails(judged):
    dataset = make_dataset("classification")
    theta = independent_theta(dataset, n_chains=4, n_draws=N_DRAWS)
    theta[1] = theta[1, 0]
    summary, _ = judged(theta, dataset)
    assert summary["verdict"] == "FAIL"
    assert summary["stuck_chains"] == [1]
    assert summary["reasons"][0].startswith("Chain 1 is stuck: it stayed in one place for more than half")


def test_a_chain_whose_density_varies_by_itself_is_stuck_all_the_same(judged):
    """Where output weights are drawn anew, the density is another one though nothing else moves."""
    dataset = make_dataset("regression")
    layout = layout_of(dataset)
    theta = independent_theta(dataset, n_chains=4, n_draws=N_DRAWS)
    stays = layout.slices["weight_0"]
    theta[1, :, stays] = theta[1, 0, stays]
    lp = np.random.default_rng(5).normal(size=theta.shape[:2])
    summary, _ = judged(theta, dataset, variables={"log_density": lp})
    assert summary["stuck_chains"] == [1]


def test_all_chains_stuck_in_one_place_fail_though_nothing_disagrees(judged):
    dataset = make_dataset("regression")
    theta = np.broadcast_to(independent_theta(dataset, n_chains=1, n_draws=1), (4, N_DRAWS, 14)).copy()
    summary, pointwise = judged(theta, dataset)
    assert summary["verdict"] == "FAIL"
    assert summary["stuck_chains"] == [0, 1, 2, 3]
    assert np.isnan(pointwise["rhat_test"][1]).all()
    figures = summary["predictions"]["test"]
    assert (figures["n_constant"], figures["rhat_max"], figures["worst_row"]) == (5, None, None)
    assert any("the log density are the same in all chains" in reason for reason in summary["reasons"])
    assert any("5 of 5 quantities" in reason for reason in summary["reasons"])


def test_chains_stuck_in_different_places_fail_with_infinite_rhat(judged):
    dataset = make_dataset("regression")
    theta = np.repeat(independent_theta(dataset, n_chains=4, n_draws=1), N_DRAWS, axis=1)
    summary, _ = judged(theta, dataset)
    assert summary["verdict"] == "FAIL"
    assert any("R-hat of the log density is infinite" in reason for reason in summary["reasons"])


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_draws_that_are_not_finite_fail(judged, bad):
    dataset = make_dataset("regression")
    theta = independent_theta(dataset, n_chains=4, n_draws=N_DRAWS)
    theta[3, 17, layout_of(dataset).slices["bias_1"]] = bad
    log_density = -0.5 * (theta**2).sum(axis=-1)
    summary, pointwise = judged(theta, dataset, variables={"log_density": log_density})
    assert summary["verdict"] == "FAIL"
    assert any("Draws of the log density are not finite" in reason for reason in summary["reasons"])
    assert any(
        "5 of 5 quantities in the predictions for the test rows are not finite" in r
        for r in summary["reasons"]
    )
    assert np.isnan(pointwise["rhat_train"][1]).all()


def test_a_single_chain_is_a_warning_at_best(judged):
    dataset = make_dataset("regression")
    theta = independent_theta(dataset, n_chains=1, n_draws=2000)
    summary, _ = judged(theta, dataset)
    assert summary["verdict"] == "WARN"
    assert summary["reasons"][0].startswith("There is one chain")
    assert summary["predictions"]["test"]["rhat_max"] is not None


@pytest.mark.parametrize(("n_chains", "n_draws", "needed"), [(4, 3, 4), (4, 1, 4), (1, 7, 8)])
def test_too_few_draws_fail(judged, n_chains, n_draws, needed):
    dataset = make_dataset("classification")
    summary, _ = judged(independent_theta(dataset, n_chains=n_chains, n_draws=n_draws), dataset)
    assert summary["verdict"] == "FAIL"
    assert summary["reasons"][0].startswith(
        f"R-hat and ESS need at least {needed} draws per chain, {n_draws} were kept: raise sampler.draws."
    )
    assert len(summary["reasons"]) == (2 if n_chains == 1 else 1)


@pytest.mark.slow
def test_low_effective_sample_size_warns_then_fails_and_says_how_much_longer(judged):
    dataset = make_dataset("regression")
    theta = independent_theta(dataset, n_chains=4, n_draws=80)
    limits = {"rhat_warn": 1.1, "rhat_fail": 1.2}
    warned, _ = judged(theta, dataset, thresholds=limits)
    assert warned["verdict"] == "WARN"
    ess = warned["log_density"]["ess_bulk"]
    assert 150 < ess < 400
    (sentence,) = [reason for reason in warned["reasons"] if reason.startswith("Bulk ESS of the log density")]
    (factor,) = map(float, re.findall(r"about ([\d.]+) times", sentence))
    assert factor == pytest.approx(400 / ess, abs=0.1)
    assert sentence.endswith("higher sampler.thin (now 2) or sampler.draws (now 80).")
    failed, _ = judged(theta, dataset, thresholds=limits | {"ess_fail": 390.0})
    assert failed["verdict"] == "FAIL"
    assert "below 390 (diagnostics.ess_fail)" in failed["reasons"][0]


def test_known_noise_is_not_judged(judged):
    dataset = make_dataset("regression")
    theta = independent_theta(dataset, n_chains=4, n_draws=N_DRAWS)[..., :-1]
    summary, _ = judged(
        theta, dataset, likelihood=replace(LIKELIHOOD, noise=0.3), thresholds={"rhat_warn": 1.02}
    )
    assert summary["noise_scale"] is None
    assert summary["verdict"] == "PASS", summary["reasons"]


@pytest.mark.slow
def test_noise_of_every_row_is_judged_as_a_prediction(judged):
    dataset = make_dataset("regression")
    likelihood = replace(LIKELIHOOD, family="heteroscedastic")
    layout = layout_of(dataset, likelihood)
    theta = independent_theta(dataset, n_chains=4, n_draws=N_DRAWS, layout=layout)
    good, _ = judged(theta, dataset, likelihood=likelihood, thresholds={"rhat_warn": 1.02})
    assert good["verdict"] == "PASS", good["reasons"]
    assert good["noise_scale"] is None
    assert good["predictions"]["test"]["n_quantities"] == 5
    # The second output, and nothing else, differs between chains.
    theta[0, :, layout.slices["bias_1"].stop - 1] += 3.0
    bad, pointwise = judged(
        theta, dataset, likelihood=likelihood, variables={"log_density": gaussian_chains()}
    )
    assert bad["verdict"] == "FAIL"
    assert min(bad["predictions"]["test"]["rhat_max"], pointwise["rhat_test"][1].min()) > 1.1
    assert np.array_equal(
        pointwise["mcse_mean_test"][1], judged(theta, dataset, likelihood=likelihood)[1]["mcse_mean_test"][1]
    )
    assert good["predictions"]["test"]["mcse_mean_max"] == bad["predictions"]["test"]["mcse_mean_max"]


@pytest.mark.slow
@pytest.mark.parametrize("learned_scales", ["layer", "ard"])
def test_scales_of_the_prior_are_shown_and_do_not_decide(judged, learned_scales):
    dataset = make_dataset("regression")
    layout = layout_of(dataset, LIKELIHOOD, learned_scales)
    theta = independent_theta(dataset, n_chains=4, n_draws=N_DRAWS, layout=layout)
    theta[0, :, layout.slices["log_prior_scale_weight_0"].start] += 5.0
    density = {"log_density": gaussian_chains()}
    summary, _ = judged(
        theta, dataset, learned_scales=learned_scales, thresholds={"rhat_warn": 1.02}, variables=density
    )
    assert summary["verdict"] == "PASS", summary["reasons"]
    scales = summary["prior_scales"]
    assert scales["n_quantities"] == (4 if learned_scales == "layer" else 5)
    assert scales["rhat_max"] > 1.1 > scales["rhat_median"]
    assert scales["ess_bulk_min"] < 100 < scales["ess_bulk_median"]
    fixed = theta[..., : layout_of(dataset).n_params]
    plain, _ = judged(fixed, dataset, thresholds={"rhat_warn": 1.02}, variables=density)
    assert plain["prior_scales"] is None
    assert plain["weights"] == summary["weights"], "scales of the prior are no weights"


def test_sampled_noise_that_never_changes_fails(judged):
    dataset = make_dataset("regression")
    theta = independent_theta(dataset, n_chains=4, n_draws=N_DRAWS)
    theta[..., -1] = -1.0
    summary, _ = judged(theta, dataset)
    assert summary["verdict"] == "FAIL"
    assert summary["reasons"][0].startswith("Draws of the noise scale are the same in all chains")


def test_saturated_probabilities_are_told(judged):
    dataset = make_dataset("classification")
    theta = independent_theta(dataset, n_chains=4, n_draws=N_DRAWS)
    theta[..., layout_of(dataset).slices["bias_1"]] += np.array([500.0, 0.0, 0.0])
    summary, _ = judged(theta, dataset, thresholds={"rhat_warn": 1.02})
    assert summary["verdict"] == "WARN"
    assert len(summary["reasons"]) == 2
    assert summary["reasons"][1].startswith(
        "15 of 15 quantities in the predictions for the test rows are the same"
    )


@pytest.mark.parametrize("shift", [-500.0, 50.0], ids=["expected by no draw", "by every draw"])
def test_a_class_that_all_draws_are_sure_of_leaves_its_rows_to_the_others(judged, shift):
    dataset = make_dataset("classification")
    theta = independent_theta(dataset, n_chains=4, n_draws=N_DRAWS)
    theta[..., layout_of(dataset).slices["bias_1"]] += np.array([shift, 0.0, 0.0])
    summary, pointwise = judged(theta, dataset, thresholds={"rhat_warn": 1.02})
    assert summary["verdict"] == "PASS", summary["reasons"]
    assert {part["n_constant"] for part in summary["predictions"].values()} == {0}
    assert np.isnan(pointwise["rhat_test"][1][:, 0]).all()
    assert np.isfinite(pointwise["rhat_test"][1][:, 1:]).all()


def test_how_a_chain_ran_is_judged(judged):
    dataset = make_dataset("regression")
    theta = independent_theta(dataset, n_chains=4, n_draws=N_DRAWS)
    rates = np.repeat([[0.03], [0.004], [0.99], [np.nan]], N_DRAWS, axis=1)
    diverging = np.zeros(theta.shape[:2], dtype=np.int64)
    diverging[2] = 1
    ran = {"acceptance_rate": rates, "diverging": diverging}
    summary, _ = judged(theta, dataset, variables=ran, thresholds={"rhat_warn": 1.02})
    expected = [
        ("FAIL", "Chain 1 accepts 0.40% of its proposals, less than 1.00%"),
        ("FAIL", "The acceptance rate of chain 3 is not finite"),
        ("WARN", "Chain 0 accepts 3.0% of its proposals, less than 10.0%"),
        ("WARN", "Chain 2 accepts 99.0% of its proposals, more than 95.0%"),
        ("WARN", f"{N_DRAWS} of {8 * N_DRAWS} iterations (12.5%) diverged"),
    ]
    assert summary["verdict"] == "FAIL"
    for finding, (level, words) in zip(summary["findings"], expected, strict=True):
        assert finding["level"] == level
        assert finding["text"].startswith(words)
    assert summary["n_diverging"] == N_DRAWS


def run_findings(**changes):
    summary = make_diagnostics("classification")
    of_chains = {"log_density_means": "log_density_mean", "cut_short": "cut_short"}
    summary |= {name: value for name, value in changes.items() if name not in of_chains}
    for name, field in of_chains.items():
        for chain, value in zip(summary["chains"], changes.get(name, ()), strict=False):
            chain[field] = value
    return list(_findings_of_run(summary))


def test_draws_without_correction_are_a_warning_and_their_acceptance_is_not_judged():
    assert run_findings() == []
    (finding,) = run_findings(adjusted=False, kernel="microcanonical")
    assert finding[0] == "WARN"
    assert finding[1].startswith("The draws are biased by the step size: the kernel microcanonical")


def test_a_chain_in_a_much_worse_mode_is_named():
    assert run_findings(log_density_means=(-60.0, -61.0, -70.0, -59.0)) == []
    (finding,) = run_findings(log_density_means=(-60.0, -61.0, -90.0, -59.0))
    assert finding[:2] == (
        "WARN",
        "Chain 2 sits in a worse mode: its log density is 31.0 nats below that of chain 3, 7.6 times what draws "
        "differ by. It is kept; raise sampler.optimise_steps or sampler.explore so that chains leave such modes.",
    )
    assert run_findings(log_density_means=(None, float("nan"), -60.0, -59.0)) == []


def test_trajectories_that_are_cut_short_are_named():
    (finding,) = run_findings(cut_short=(False, True, True, False))
    assert (finding.level, finding.name) == ("WARN", "cut_short")
    assert finding.text.startswith("The trajectories of chain 1, 2 end after 12 steps")


def test_steps_of_trajectories_are_reported_chain_by_chain(judged):
    dataset = make_dataset("regression")
    theta = independent_theta(dataset, n_chains=3, n_draws=100)
    summary, _ = judged(theta, dataset, n_steps=(1024, 7, 1023))
    assert [chain["n_steps"] for chain in summary["chains"]] == [1024, 7, 1023]
    assert [chain["cut_short"] for chain in summary["chains"]] == [True, False, False]
    assert "cut_short" in {finding["name"] for finding in summary["findings"]}
    summary, _ = judged(theta, dataset)
    assert {chain["n_steps"] for chain in summary["chains"]} == {None}


def test_weights_are_information_only(judged):
    """Two chains whose units are swapped agree on every prediction, and after sorting on the weights, too."""
    dataset = make_dataset("regression")
    layout = layout_of(dataset)
    theta = 0.1 * independent_theta(dataset, n_chains=4, n_draws=N_DRAWS)
    theta[..., layout.slices["bias_0"]] += np.array([1.0, 2.0, 3.0])
    blocks = {name: values.copy() for name, values in layout.unpack(theta).items()}
    order = [2, 0, 1]
    for chain in (1, 3):
        for name in ("weight_0", "bias_0"):
            blocks[name][chain] = -blocks[name][chain][..., order]
        blocks["weight_1"][chain] = -blocks["weight_1"][chain][..., order, :]
    lp = -0.5 * (theta**2).sum(axis=-1)
    limits = {"rhat_warn": 1.02}
    summary, _ = judged(layout.pack(blocks), dataset, variables={"log_density": lp}, thresholds=limits)
    assert summary["verdict"] == "PASS", summary["reasons"]
    assert summary["weights"]["raw"]["rhat_max"] > 1.5
    assert summary["weights"]["canonical"]["rhat_max"] < 1.02


def test_of_many_weights_some_are_judged(judged, monkeypatch):
    """Of two that are looked at, the first and the last, a drift is seen; of another it is not."""
    dataset = make_dataset("regression")
    theta = 0.1 * independent_theta(dataset, n_chains=4, n_draws=N_DRAWS)
    n_weights = theta.shape[-1] - sum("noise" in name for name in layout_of(dataset).names)
    drift = np.arange(4)[:, None]
    monkeypatch.setattr(run_summary, "_MOST_WEIGHTS", 2)
    for place, is_seen in ((0, True), (n_weights - 1, True), (1, False)):
        moved = theta.copy()
        moved[..., place] += drift
        raw = judged(moved, dataset)[0]["weights"]["raw"]
        assert raw["n_quantities"] == 2
        assert (raw["rhat_max"] > 1.5) == is_seen, place


def test_probabilities_near_one_keep_their_digits(judged):
    """Of two classes the rare one is judged: next to 1, single precision would round all draws to the same number."""
    dataset = make_dataset("classification", n_classes=2)
    theta = independent_theta(dataset, n_chains=4, n_draws=100)
    theta[..., layout_of(dataset).slices["bias_1"]] += np.array([30.0, 0.0])
    summary, pointwise = judged(theta, dataset)
    assert summary["predictions"]["test"]["n_constant"] == 0
    assert np.isfinite(pointwise["rhat_test"][1]).all()


def test_failures_come_before_warnings(judged):
    dataset = make_dataset("regression")
    theta = independent_theta(dataset, n_chains=1, n_draws=100)
    summary, _ = judged(theta, dataset, thresholds={"ess_fail": 300.0})
    grave = ["diagnostics.ess_fail" in reason for reason in summary["reasons"]]
    assert summary["verdict"] == "FAIL"
    assert grave[0]
    assert grave == sorted(grave, reverse=True)
    assert not all(grave)


@pytest.mark.slow
@pytest.mark.parametrize("task", ["classification", "regression"])
def test_figures_do_not_depend_on_how_much_is_read_at_a_time(judged, monkeypatch, task):
    dataset = make_dataset(task)
    theta = independent_theta(dataset, n_chains=3, n_draws=40)
    summary, pointwise = judged(theta, dataset)
    monkeypatch.setattr(run_summary, "_BLOCK_BYTES", 8 * 3 * 40 * 5)
    again, pointwise_again = judged(theta, dataset)
    assert again == summary
    for name, (_, values) in pointwise.items():
        np.testing.assert_array_equal(values, pointwise_again[name][1])
