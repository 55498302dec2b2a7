"""What `auto` stands for: the race between candidates, the budget, and rounds of chains of open length."""

import io
import itertools
import re
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bnn.config.loading import chain_settings, leaves_open, load
from bnn.core import plan
from bnn.core.plan import AGREEING_RHAT, as_run, planned, with_plan
from bnn.core.progress import Progress, Silent
from bnn.core.settings import WARMUP, ChainSettings, ModelSettings, SamplerSettings, build
from bnn.core.storage import read_json, read_netcdf, write_json
from bnn.jobs import chain_job, rounds
from bnn.jobs.interruption import Interruption
from bnn.model.likelihoods import LOG_NOISE_SCALE
from bnn.model.posterior import make_posterior
from bnn.posterior.chain_files import read_chains
from bnn.selection import budget, cheap_fit, choice, pilot, race
from bnn.selection.families import NOISES, families_of
from bnn.selection.plan import make_plan
from scripts import choose
from tests.effort import FULL
from tests.unit.synthetic_chains import make_dataset

GAP: dict[str, Any] = {"task": "regression", "source": {"kind": "synthetic", "name": "gap"}}


def settings_of(**own: Any) -> dict[str, Any]:
    return load({"datasets": {"gap": {**GAP, **own}}}).datasets["gap"].model_dump(mode="json")


def settings_of_classes(**own: Any) -> dict[str, Any]:
    config = {"task": "classification", "source": {"kind": "sklearn", "name": "iris"}, **own}
    return load({"datasets": {"iris": config}}).datasets["iris"].model_dump(mode="json")


def rows(n: int = 90, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 2))
    return x, x[:, 0] + 0.3 * rng.normal(size=n)


@pytest.fixture
def rhats() -> dict[race.Candidate, float]:
    """R-hat that cheap fits are made to have, by candidate; 1 of others."""
    return {}


@pytest.fixture
def scores(
    monkeypatch: pytest.MonkeyPatch, rhats: dict[race.Candidate, float]
) -> dict[race.Candidate, float]:
    """Mean log scores that cheap fits are made to have, by candidate."""
    means: dict[race.Candidate, float] = {}

    def fit(x: Any, y: Any, left_out: Any, *, settings: Any, **_: Any) -> cheap_fit.CheapFit:
        which = race.Candidate(
            settings.network.hidden,
            settings.prior.weights.scale,
            settings.likelihood.family,
            settings.network.input_transform,
            settings.prior.output_factor,
            settings.network.activation,
        )
        noise = np.random.default_rng(len(left_out[1])).normal(0, 0.5, len(left_out[1]))
        about = [len(which.hidden), int(which.scale), len(which.family), int(which.output_factor) - 1]
        own = np.random.default_rng(about[: 3 + (which.output_factor > 1)]).normal(0, 0.3, len(noise))
        found = means.get(which, -2.0) + noise + own - own.mean()
        return cheap_fit.CheapFit(found, rhats.get(which, 1.0))

    monkeypatch.setattr(race, "cheap_fit", fit)
    return means


NORMAL = settings_of(likelihood={"family": "gaussian"})
"""Nothing but the network and its prior is open."""


def test_the_best_candidate_is_chosen_and_hopeless_ones_are_given_up(
    scores: dict[race.Candidate, float],
) -> None:
    best = race.Candidate((50,), 2.0, "gaussian")
    scores[best] = -1.0
    scores[race.Candidate((50, 50), 4.0, "gaussian")] = -1.01
    chosen, tried = choice.choose(*rows(), n_classes=None, settings=settings_of())
    assert chosen["network"]["hidden"] == [50]
    assert chosen["prior"]["weights"]["scale"] == 2.0
    assert chosen["likelihood"]["family"] == "gaussian"
    assert tried[0].candidate == best
    assert (tried[0].difference, tried[0].error) == (0.0, 0.0)
    folds = {one.candidate: one.n_folds for one in tried}
    assert folds[race.Candidate((50, 50), 4.0, "gaussian")] == race.N_FOLDS
    assert folds[race.Candidate((), 4.0, "gaussian")] == 1


def test_a_linear_model_must_be_better_than_the_best_network(scores: dict[race.Candidate, float]) -> None:
    linear = race.Candidate((), 4.0, "gaussian")
    scores[race.Candidate((50,), 1.0, "gaussian")] = -1.0
    for mean, hidden in ((-1.0, [50]), (-0.5, [])):
        scores[linear] = mean
        chosen, _ = choice.choose(*rows(), n_classes=None, settings=NORMAL)
        assert chosen["network"]["hidden"] == hidden


@pytest.mark.parametrize(("better", "hidden"), [(0.05, [50]), (0.2, [])])
def test_what_is_preferred_is_behind_by_little_however_uncertain_the_difference(
    scores: dict[race.Candidate, float], monkeypatch: pytest.MonkeyPatch, better: float, hidden: list[int]
) -> None:
    monkeypatch.setattr(plan, "MARGIN", 100.0)
    scores[race.Candidate((50,), 1.0, "gaussian")] = -1.0
    scores[race.Candidate((), 4.0, "gaussian")] = -1.0 + better
    chosen, _ = choice.choose(*rows(), n_classes=None, settings=NORMAL)
    assert chosen["network"]["hidden"] == hidden


@pytest.mark.parametrize(
    ("behind", "chosen_scale"), [(0.01, 1.0), (0.03, 2.0)], ids=["negligible", "more than negligible"]
)
def test_a_narrower_prior_takes_the_place_of_one_that_is_hardly_better(
    scores: dict[race.Candidate, float], behind: float, chosen_scale: float
) -> None:
    scores[race.Candidate((50, 50), 4.0, "gaussian")] = -1.0
    scores[race.Candidate((50, 50), 2.0, "gaussian")] = -1.0 - 0.001
    scores[race.Candidate((50,), 2.0, "gaussian")] = -1.0 - 0.002
    scores[race.Candidate((50,), 1.0, "gaussian")] = -1.0 - behind
    chosen, tried = choice.choose(*rows(), n_classes=None, settings=NORMAL)
    assert (chosen["network"]["hidden"], chosen["prior"]["weights"]["scale"]) == ([50], chosen_scale)
    assert tried[0].candidate.scale == chosen_scale


@pytest.mark.parametrize(
    ("behind", "rhat", "hidden", "scale"),
    [
        (0.09, 1.015, [50, 50], 2.0),
        (0.09, 1.06, [50], 2.0),
        (0.11, 1.015, [50], 4.0),
    ],
    ids=["agrees", "disagrees more than another", "too far behind"],
)
def test_a_network_whose_chains_agree_takes_the_place_of_one_whose_chains_do_not(
    scores: dict[race.Candidate, float],
    rhats: dict[race.Candidate, float],
    behind: float,
    rhat: float,
    hidden: list[int],
    scale: float,
) -> None:
    best, calmer = race.Candidate((50,), 4.0, "gaussian"), race.Candidate((50, 50), 2.0, "gaussian")
    middling, shallow = (race.Candidate((50,), scale, "gaussian") for scale in (2.0, 1.0))
    scores |= {best: -1.0, calmer: -1.0 - behind}
    rhats |= {best: 1.2, calmer: rhat}
    if rhat > AGREEING_RHAT:
        scores[middling], rhats[middling] = -1.05, 1.055
    # A simple network that was passed over does not come back.
    scores[shallow], rhats[shallow] = -1.0 - behind / 2, 1.3
    chosen, tried = choice.choose(*rows(), n_classes=None, settings=NORMAL)
    assert (chosen["network"]["hidden"], chosen["prior"]["weights"]["scale"]) == (hidden, scale)
    assert {one.candidate: one.rhat for one in tried}[best] == pytest.approx(1.2)


def test_where_no_chains_agree_a_prior_that_is_narrower_takes_the_place(
    scores: dict[race.Candidate, float], rhats: dict[race.Candidate, float]
) -> None:
    """Short chains tell scales apart less than long ones do."""
    best, narrow = race.Candidate((50,), 4.0, "gaussian"), race.Candidate((50, 50), 1.0, "gaussian")
    least, worse = race.Candidate((50, 50), 1.4, "gaussian"), race.Candidate((50,), 1.0, "gaussian")
    scores |= {best: -1.0, narrow: -1.09, least: -1.01, worse: -1.02}
    rhats |= {best: 1.2, narrow: 1.06, least: 1.04, worse: 1.3}
    chosen, _ = choice.choose(*rows(), n_classes=None, settings=NORMAL)
    assert (chosen["network"]["hidden"], chosen["prior"]["weights"]["scale"]) == ([50, 50], 1.0)
    # Unless chains that long will not agree with it, either.
    # Nor if chains of the wider one disagree far more.
    for rhat, will_agree, scale in ((1.04, True, 1.0), (1.04, False, 1.4), (1.13, False, 1.0)):
        rhats[least] = rhat
        asked: list[float] = []

        def agrees(
            model: Any, score: float, will_agree: bool = will_agree, asked: list[float] = asked
        ) -> bool:
            asked.append(model["prior"]["weights"]["scale"])
            assert score == pytest.approx(-1.09, abs=0.1)
            return will_agree

        chosen, tried = choice.choose(*rows(), n_classes=None, settings=NORMAL, agrees=agrees)
        assert (chosen["prior"]["weights"]["scale"], asked) == (scale, [1.0] * (rhat < 1.1))
        taken = [one.candidate.scale for one in tried if one.difference == one.error == 0.0]
        assert set(taken) == {scale}
    rhats[least] = 1.04
    # Of two of that width the better one, though the chains of the other disagree a little less.
    rhats[worse] = 1.07
    chosen, _ = choice.choose(*rows(), n_classes=None, settings=NORMAL)
    assert (chosen["network"]["hidden"], chosen["prior"]["weights"]["scale"]) == ([50], 1.0)


def test_networks_none_of_which_can_be_fitted_are_chosen_among(scores: dict[race.Candidate, float]) -> None:
    for one in choice.NETWORKS["regression"]:
        scores[race.Candidate(one.hidden, one.prior_scale, "gaussian")] = -np.inf
    chosen, _ = choice.choose(*rows(), n_classes=None, settings=NORMAL)
    found = choice.NetworkPrior(tuple(chosen["network"]["hidden"]), chosen["prior"]["weights"]["scale"])
    assert found in choice.NETWORKS["regression"]


def test_a_network_that_is_told_apart_from_the_best_is_not_as_good(
    scores: dict[race.Candidate, float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plan, "MARGIN", 0.0)
    scores[race.Candidate((50, 50), 4.0, "gaussian")] = -1.0
    scores[race.Candidate((50,), 1.0, "gaussian")] = -1.001
    chosen, _ = choice.choose(*rows(), n_classes=None, settings=NORMAL)
    assert chosen["network"]["hidden"] == [50, 50]


def test_what_the_config_says_is_taken_and_not_compared(scores: dict[race.Candidate, float]) -> None:
    own = {
        "network": {"hidden": [7]},
        "prior": {"weights": {"scale": 3}},
        "likelihood": {"family": "gaussian"},
    }
    settings = settings_of(**own)
    chosen, tried = choice.choose(*rows(), n_classes=None, settings=settings)
    assert tried == []
    assert chosen["network"] == settings["network"]
    assert chosen["prior"]["weights"] == settings["prior"]["weights"]
    assert chosen["prior"]["biases"]["scale"] == race.BIAS_SCALE
    _, tried = choice.choose(*rows(), n_classes=None, settings=settings_of(network={"hidden": [7]}))
    assert {one.candidate.hidden for one in tried} == {(7,)}


def test_kind_and_noise_are_compared_before_the_network_and_the_noise_again_after_it(
    scores: dict[race.Candidate, float],
) -> None:
    """The kind that keeps to the values is taken with the noise that suits it, though with normal noise it is worse."""
    positive = np.exp(3.0 * rows()[1])
    assert families_of(positive, np.empty(0)) == ("log_normal", "gaussian")
    unit = race.Unit(float(positive.mean()), float(positive.std()))
    y = (positive - unit.mean) / unit.scale
    network = (50, 50), 2.0
    scores[race.Candidate((50,), 2.0, "heteroscedastic_log_normal")] = -1.0
    scores[race.Candidate((50,), 2.0, "log_normal")] = -4.0
    scores[race.Candidate((50,), 2.0, "student_t")] = -1.5
    scores[race.Candidate(*network, "heteroscedastic_log_normal")] = -0.5
    scores[race.Candidate(*network, "log_normal")] = -0.3
    chosen, tried = choice.choose(rows()[0], y, n_classes=None, settings=settings_of(), unit=unit)
    assert chosen["network"]["hidden"] == [50, 50]
    assert chosen["likelihood"]["family"] == "log_normal"
    steps = [one.candidate for one in tried if one.difference == 0.0]
    assert [one.family for one in steps] == ["heteroscedastic_log_normal"] * 2 + ["log_normal"]


@pytest.mark.parametrize(
    ("behind", "rhat", "family"),
    [(0.015, 1.01, "gaussian"), (0.03, 1.01, "heteroscedastic"), (0.015, 1.3, "heteroscedastic")],
    ids=["agrees", "too far behind", "disagrees as well"],
)
def test_noise_whose_chains_agree_takes_the_place_of_noise_whose_chains_do_not(
    scores: dict[race.Candidate, float],
    rhats: dict[race.Candidate, float],
    behind: float,
    rhat: float,
    family: str,
) -> None:
    network = (50,), 2.0
    scores[race.Candidate(*network, "heteroscedastic")] = -1.0
    scores[race.Candidate(*network, "gaussian")] = -1.0 - behind
    rhats[race.Candidate(*network, "heteroscedastic")] = 1.2
    rhats[race.Candidate(*network, "gaussian")] = rhat
    settings = settings_of(prior={"weights": {"scale": 2}}, network={"hidden": [50]})
    chosen, _ = choice.choose(*rows(3000), n_classes=None, settings=settings)
    assert chosen["likelihood"]["family"] == family


@pytest.mark.parametrize(
    ("behind", "rhat", "agreeing", "family", "asked"),
    [
        (0.29, 1.01, ("gaussian",), "gaussian", ["heteroscedastic", "gaussian"]),
        (0.29, 1.01, (), "heteroscedastic", ["heteroscedastic", "gaussian"]),
        (0.29, 1.01, ("heteroscedastic", "gaussian"), "heteroscedastic", ["heteroscedastic"]),
        (0.31, 1.01, ("gaussian",), "heteroscedastic", []),
        (0.29, 1.3, ("gaussian",), "heteroscedastic", []),
    ],
    ids=["agrees alone", "neither", "both", "too far behind", "disagrees when cheap"],
)
def test_noise_whose_chains_will_agree_takes_the_place_of_noise_whose_chains_will_not(
    scores: dict[race.Candidate, float],
    rhats: dict[race.Candidate, float],
    behind: float,
    rhat: float,
    agreeing: tuple[str, ...],
    family: str,
    asked: list[str],
) -> None:
    varies, constant = (race.Candidate((50,), 2.0, name) for name in ("heteroscedastic", "gaussian"))
    scores |= {varies: -1.0, constant: -1.0 - behind}
    rhats |= {varies: 1.2, constant: rhat}
    settings = settings_of(prior={"weights": {"scale": 2}}, network={"hidden": [50]})
    found: list[str] = []

    def agrees(model: Any, score: float) -> bool:
        found.append(model["likelihood"]["family"])
        assert score == pytest.approx(scores[varies if found[-1] == varies.family else constant], abs=0.05)
        return found[-1] in agreeing

    chosen, tried = choice.choose(*rows(3000), n_classes=None, settings=settings, agrees=agrees)
    assert (chosen["likelihood"]["family"], found) == (family, asked)
    last = tried[-len(NOISES["gaussian"]) :]
    assert last[0].candidate.family == family and last[0].difference == last[0].error == 0.0


@pytest.mark.parametrize(
    ("scores_of", "family"),
    [
        ((-1.2, -1.0, -0.99), "heteroscedastic"),
        ((-1.2, -1.0, -0.95), "heteroscedastic_student_t"),
        ((-1.01, -1.0, -1.0), "gaussian"),
    ],
)
def test_noise_of_more_parts_must_be_better_by_more_than_little(
    scores: dict[race.Candidate, float], scores_of: tuple[float, ...], family: str
) -> None:
    for name, mean in zip(
        ("gaussian", "heteroscedastic", "heteroscedastic_student_t"), scores_of, strict=True
    ):
        scores[race.Candidate((50,), 2.0, name)] = mean
    settings = settings_of(prior={"weights": {"scale": 2}}, network={"hidden": [50]})
    # So many rows that a hundredth is more than a standard error.
    chosen, _ = choice.choose(*rows(6000), n_classes=None, settings=settings)
    assert chosen["likelihood"]["family"] == family


@pytest.mark.parametrize(("n_gradients", "expected"), [(60_000, True), (600, False)])
def test_a_pilot_foresees_whether_chains_agree(n_gradients: int, expected: bool) -> None:
    x, y = rows(60)
    own: dict[str, Any] = {
        "network": {"hidden": [4]},
        "prior": {"weights": {"scale": 1}, "biases": {"scale": 1}},
    }
    settings = build(ChainSettings, with_plan(chain_settings(settings_of(sampler={"draws": 4}, **own)), PLAN))
    sampler = replace(settings.sampler, most_gradients=n_gradients)
    found = pilot.will_agree(x, y, n_chains=4, settings=replace(settings, sampler=sampler), target=None)
    assert found == expected


def test_chains_of_a_linear_model_are_not_passed_over_for_disagreeing_when_cheap(
    scores: dict[race.Candidate, float], rhats: dict[race.Candidate, float]
) -> None:
    """Its posterior has one mode, in which chains meet in time."""
    wide, narrow = (race.Candidate((), scale, "gaussian") for scale in (16.0, 4.0))
    scores |= {wide: -0.5, narrow: -0.515}
    rhats |= {wide: 1.4, narrow: 1.1}
    x, y = rows(3000)
    chosen, tried = choice.choose(x, (y > 0).astype(int), n_classes=2, settings=settings_of())
    assert (chosen["network"]["hidden"], chosen["prior"]["weights"]["scale"]) == ([], 16.0)
    assert tried[0].rhat == pytest.approx(1.4)


@pytest.mark.parametrize(
    ("gain", "has_tail", "expected"),
    [(0.3, True, "yeo_johnson"), (-1e-6, True, "none"), (-0.3, True, "none"), (0.3, False, "none")],
    ids=["better", "as good", "worse", "no long tail"],
)
def test_long_tails_of_inputs_are_drawn_in_where_that_is_better(
    scores: dict[race.Candidate, float], gain: float, has_tail: bool, expected: str
) -> None:
    x, y = rows(600)
    scores[race.Candidate(*choice.TRIAL, "gaussian", "yeo_johnson")] = gain - 2.0
    scores[race.Candidate((50,), 4.0, "gaussian", "yeo_johnson")] = -1.0
    x = np.exp(x) if has_tail else x
    chosen, tried = choice.choose(x, y, n_classes=None, settings=NORMAL)
    assert chosen["network"]["input_transform"] == expected
    assert {one.candidate.inputs for one in tried if one.difference == 0.0} == {expected}
    assert (chosen["prior"]["weights"]["scale"] == 4.0) == (expected == "yeo_johnson")
    fixed = settings_of(
        likelihood={"family": "gaussian"}, network={"hidden": [50]}, prior={"weights": {"scale": 2}}
    )
    assert choice.choose(x, y, n_classes=None, settings=fixed)[0]["network"]["input_transform"] == "none"


def test_the_transform_of_a_fold_is_learned_from_the_rows_that_are_fitted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Rows left out, whose tail is another one, are transformed as the rows of the fit are."""
    x, y = np.exp(rows(80)[0]), rows(80)[1]
    made: list[Any] = []
    of_network = cheap_fit.make_posterior

    def make(*args: Any, **kwargs: Any) -> Any:
        made.append(of_network(*args, **kwargs).network.inputs)
        return of_network(*args, **kwargs)

    monkeypatch.setattr(cheap_fit, "make_posterior", make)
    own = {"hidden": [3], "input_transform": "yeo_johnson"}
    settings = with_plan(settings_of(network=own, prior={"weights": {"scale": 1}}), PLAN)
    cheap_fit.cheap_fit(
        x[:60], y[:60], (x[60:] ** 3, y[60:]), n_classes=None, settings=build(ModelSettings, settings), seed=1
    )
    assert len(made) == 2
    np.testing.assert_array_equal(made[0].power, made[1].power)
    np.testing.assert_array_equal(made[0].mean, made[1].mean)


@pytest.mark.parametrize(("asked", "expected"), [("auto", 0.5), (0.7, 0.7)])
def test_a_wide_prior_narrows_how_much_noise_varies_unless_it_is_given(asked: Any, expected: float) -> None:
    settings = settings_of(likelihood={"log_noise_sd": asked})
    found = race.filled(settings, race.Candidate((50,), 2.0, "heteroscedastic"))
    assert found["likelihood"]["log_noise_sd"] == expected


@pytest.mark.slow
def test_noise_that_varies_and_noise_with_outliers_are_found() -> None:
    """Tables of each kind, 300 rows: the right family in at least nine of ten; of normal noise too."""
    n_tables = 10 if FULL else 2
    small = {"network": {"hidden": [8], "engine": "numpy"}, "prior": {"weights": {"scale": 2}}}
    right = dict.fromkeys(NOISES["gaussian"], 0)
    for seed in range(n_tables):
        rng = np.random.default_rng(seed)
        x = rng.uniform(-2, 2, size=(300, 1))
        noise = {
            "gaussian": 0.3 * rng.normal(size=300),
            "student_t": 0.1 * rng.standard_t(2.5, size=300),
            "heteroscedastic": np.exp(0.8 * x[:, 0] - 1.5) * rng.normal(size=300),
            "heteroscedastic_student_t": np.exp(0.8 * x[:, 0] - 2.5) * rng.standard_t(2.5, size=300),
        }
        for family, error in noise.items():
            chosen, _ = choice.choose(
                x, np.sin(2 * x[:, 0]) + error, n_classes=None, settings=settings_of(seed=seed, **small)
            )
            right[family] += chosen["likelihood"]["family"] == family
    assert min(right.values()) >= 0.9 * n_tables, right


def test_log_scores_are_those_of_the_mixture_over_draws() -> None:
    x, y = rows(40)
    own = {"network": {"hidden": [3], "engine": "numpy"}, "prior": {"weights": {"scale": 1}}}
    settings = build(ChainSettings, with_plan(chain_settings(settings_of(sampler={"draws": 4}, **own)), PLAN))
    posterior = make_posterior(
        x,
        y,
        n_classes=None,
        network=settings.network.in_numpy(),
        prior=settings.prior,
        likelihood=settings.likelihood,
    )
    theta = np.stack([posterior.prior.sample(np.random.default_rng(seed)) for seed in range(45)])
    expected = np.log(np.mean([np.exp(posterior.pointwise(one[None])[0]) for one in theta], axis=0))
    assert np.allclose(cheap_fit._log_mean_density(posterior, theta), expected)


PLAN: dict[str, dict[str, Any]] = {
    "prior": {"biases": {"family": "normal", "scale": 1.0, "df": 4.0}},
    "likelihood": {"family": "gaussian", "log_noise_sd": 1.0},
}


def test_a_budget_is_a_number_of_gradients(monkeypatch: pytest.MonkeyPatch) -> None:
    """Five passes in a millisecond of processor time, ten minutes for two jobs: 1,500,000 for each chain."""
    clock = itertools.count()
    monkeypatch.setattr(budget.time, "process_time", lambda: 5e-4 * next(clock))
    monkeypatch.setattr(budget, "_FEWEST_SECONDS", 0.0)
    own = {"network": {"hidden": [3], "engine": "numpy"}, "prior": {"weights": {"scale": 1}}}
    settings = build(ChainSettings, with_plan(chain_settings(settings_of(sampler={"draws": 4}, **own)), PLAN))
    found = budget.Budget(chains=8, chains_per_job=4, budget_minutes=10).gradients(
        *rows(40), n_classes=None, settings=settings
    )
    # This clock goes on by half a millisecond when it is read: twice after the first time.
    assert found == pytest.approx(1_500_000)


def test_a_plan_goes_over_the_config_and_reproduces_the_run(tmp_path: Any) -> None:
    settings = settings_of(network={"engine": "numpy"}, sampler={"budget_minutes": 0.001})
    assert leaves_open(settings)
    for_chains = chain_settings(settings)
    fixed = {"network": {**settings["network"], "hidden": [3]}}
    asked = {**for_chains, **fixed, **{k: {**for_chains[k], **PLAN[k]} for k in PLAN}}
    asked |= {"prior": {**for_chains["prior"], "weights": {"family": "normal", "scale": 2.0, "df": 4.0}}}

    def planned_for(warmup: int | str) -> dict[str, Any]:
        settings = asked | {"sampler": asked["sampler"] | {"warmup": warmup}}
        return make_plan(*rows(40), n_classes=None, settings=settings, budget=budget.Budget(2, 2, 0.001))

    assert planned_for(777)["settings"]["sampler"]["warmup"] == 777, "a key set by hand is taken exactly"
    plan = planned_for("auto")
    assert plan["settings"]["sampler"]["warmup"] == plan["settings"]["sampler"]["draws"] < WARMUP
    assert plan["tried"] == []
    write_json(tmp_path / "plan.json", plan)
    found = planned(for_chains, [tmp_path / "plan.json"])
    sampler = build(ChainSettings, found).sampler
    assert sampler.most_gradients is not None
    assert sampler.draws % 2 == 0
    diagnostics = {"n_draws": sampler.draws, "thin": 8}
    again = as_run({**settings, **found}, diagnostics)["sampler"]
    assert "most_gradients" not in again
    assert (again["draws"], again["thin"], again["most_steps"]) == (sampler.draws, 8, sampler.most_steps)


SAMPLER = SamplerSettings(**asdict(cheap_fit.SAMPLER) | {"draws": 100, "thin": 3, "most_gradients": 10_000})


def test_a_plan_stays_while_nothing_has_changed_that_it_was_made_with(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    made: list[int] = []

    def make(*_: Any, **__: Any) -> dict[str, Any]:
        made.append(len(made))
        return {"settings": {"network": {"hidden": made[-1:]}}, "tried": []}

    monkeypatch.setattr(choose, "make_plan", make)
    data, path, settings = tmp_path / "data.nc", tmp_path / "plan.json", settings_of()
    table = make_dataset("regression")
    other = replace(table, y_train=np.roll(table.y_train, 1))
    # A minute is measured anew each time: another plan would draw all chains again.
    for rows_of, code, n_made in ((table, "a", 1), (table, "a", 1), (table, "b", 2), (other, "b", 3)):
        rows_of.save(data)
        choose.main(data, path, settings, None, code)
        assert read_json(path)["settings"]["network"]["hidden"] == made[-1:] == [n_made - 1]
    path.write_text("{", encoding="utf-8")
    choose.main(data, path, settings, None, "b")
    assert len(made) == 4


@pytest.mark.parametrize("n_more", [0, 2, 36, 98])
@pytest.mark.parametrize("n_rounds", [1, 2, 3, 5])
def test_rounds_keep_the_draws_of_one_run_with_more_thinning(n_rounds: int, n_more: int) -> None:
    """Ten gradients for an iteration; what is left after the last whole round goes into more draws."""
    apart = 3 * 2 ** (n_rounds - 1)
    n_whole = 100 + 50 * (n_rounds - 1)
    each = np.array([3 * 2 ** max(0, -(-(index - 99) // 50)) for index in range(n_whole)] + [apart] * n_more)
    at = np.cumsum(each)
    settings = replace(SAMPLER, most_gradients=10 * (int(at[n_whole - 1]) + apart * 98))
    iterations = rounds.iterations_of(10 * at, settings)
    assert iterations.tolist() == each.tolist()
    kept = rounds.kept_records(iterations)
    assert at[kept].tolist() == [apart * (index + 1) for index in range(100 + n_more)]
    assert kept[-1] == n_whole + n_more - 1


@pytest.mark.parametrize("apart", ["nothing", "one row", "noise"])
def test_chains_agree_if_all_rows_and_the_noise_do(apart: str) -> None:
    """The row is one of a thousand that no few rows spread evenly hold."""
    x = np.zeros((1000, 1))
    x[3] = 1.0
    own: dict[str, Any] = {
        "network": {"hidden": []},
        "prior": {"weights": {"scale": 1}, "biases": {"scale": 1}},
    }
    settings = build(ChainSettings, with_plan(chain_settings(settings_of(sampler={"draws": 4}, **own)), PLAN))
    posterior = make_posterior(
        x,
        x[:, 0],
        n_classes=None,
        network=settings.network.in_numpy(),
        prior=settings.prior,
        likelihood=settings.likelihood,
    )
    rng = np.random.default_rng(0)
    theta = rng.normal(size=(4, 500, posterior.layout.n_params))
    name = {"one row": "weight_0", "noise": LOG_NOISE_SCALE}.get(apart)
    if name is not None:
        theta[1, :, posterior.layout.slices[name]] += 2.0
    found = rounds.agreement(posterior, theta, rng.normal(size=(4, 500)))
    assert found.is_enough == (apart == "nothing"), found
    strict = found._replace(limits=rounds.Limits(1.01, 1e6))
    assert not strict.is_enough
    assert "limit 1e+06" in str(strict), "the config may ask for more"


def test_a_round_is_begun_only_if_it_can_be_paid() -> None:
    settings = replace(SAMPLER, most_gradients=1000)
    assert rounds.can_double(settings, at_first_draw=200, so_far=600)
    assert not rounds.can_double(settings, at_first_draw=200, so_far=601)


@pytest.mark.parametrize("collapse", ["auto", "never"])
def test_chains_of_open_length_are_those_of_a_run_of_that_length(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, collapse: str
) -> None:
    """Bit for bit, with jobs that end after different rounds: of all chains the iterations that each has."""
    monkeypatch.setattr(rounds, "agreement", lambda *_: rounds.Agreement(2.0, 10.0))
    x, y = rows(30)
    own = {"network": {"hidden": [3], "engine": "numpy"}, "prior": {"weights": {"scale": 1}}}
    how = {"warmup": 20, "draws": 40, "optimise_steps": 10, "trajectory_length": 0.2, "collapse": collapse}
    settings = build(ChainSettings, with_plan(chain_settings(settings_of(sampler=how, **own)), PLAN))

    def sampled(chain: int, **sampler: Any) -> Path:
        name = "-".join([str(chain), *map(str, sampler.values())])
        job = chain_job.ChainJob(
            name="gap",
            x=x,
            y=y,
            n_classes=None,
            chains=(chain,),
            settings=replace(settings, sampler=replace(settings.sampler, **sampler)),
            path=tmp_path / f"{name}.nc",
            folder=tmp_path / f"{name}.state",
            checkpoint_seconds=1e9,
        )
        chain_job.run_job(job, lambda _: Silent(), Interruption())
        return job.path

    used = int(read_netcdf(sampled(0))[1]["n_gradients"])
    # One round for chain 0, three for chain 1: 40 iterations of the first are 10 of every fourth.
    found = read_chains([sampled(0, most_gradients=used), sampled(1, most_gradients=20 * used)])
    apart = found.attributes["thin"]
    assert apart > 2
    expected = read_chains([sampled(chain, thin=apart, draws=40 // apart) for chain in (0, 1)])
    assert found.attributes["n_draws"] == expected.attributes["n_draws"] == 40 // apart
    for mine, other in zip(found.theta(), expected.theta(), strict=True):
        assert mine[:2] == other[:2]
        assert np.array_equal(mine[2], other[2])
    for name in ("log_density", "diverging"):
        assert np.array_equal(found.variables[name], expected.variables[name]), name
    assert np.allclose(found.variables["acceptance_rate"], expected.variables["acceptance_rate"])
    # What is left after whole rounds, and is not enough for another, goes into a last one.
    most = 7 * used // 2
    lasting = read_chains([sampled(2, most_gradients=most)])
    n_draws, apart = lasting.attributes["n_draws"], lasting.attributes["thin"]
    assert 40 < n_draws < 80 and 0.9 * most < lasting.attributes["n_gradients"] < 1.1 * most
    (mine,), (other,) = lasting.theta(), read_chains([sampled(2, thin=apart, draws=n_draws)]).theta()
    assert np.array_equal(mine[2], other[2])


def test_a_job_that_becomes_longer_never_has_less_than_no_time_left() -> None:
    log = io.StringIO()
    progress = Progress("iris chain 0", 16, log=log)
    for total in (16, 32):
        progress.expect(total)
        for _ in range(16):
            progress.advance("draws", lambda: "well")
    shown = re.findall(r"(\d+ of \d+) iterations, .*?, (-?\d+) s left", log.getvalue())
    assert shown == [("16 of 16", "0"), ("32 of 32", "0")]


def test_the_output_layer_of_classes_may_be_wider_than_the_hidden_ones(
    scores: dict[race.Candidate, float],
) -> None:
    x, y = rows()
    classes = (y > 0).astype(int)
    scores[race.Candidate((50,), 2.0, "gaussian", output_factor=16.0)] = -1.0
    scores[race.Candidate((50,), 2.0, "gaussian", output_factor=3.0)] = -1.5

    def chosen(**prior: Any) -> tuple[float, float]:
        found, _ = choice.choose(x, classes, n_classes=2, settings=settings_of(prior=prior))
        return found["prior"]["weights"]["scale"], found["prior"]["output_factor"]

    assert chosen() == (2.0, 16.0)
    assert chosen(output_factor=3) == (2.0, 3.0), "a key set by hand is taken exactly"
    assert chosen(weights={"scale": 4}) == (4.0, 1.0), "what was not asked for stays as it was"


@pytest.mark.parametrize(("behind", "expected"), [(0.004, 4.0), (0.006, 16.0)])
def test_of_classes_a_narrower_output_layer_may_be_behind_by_little(
    scores: dict[race.Candidate, float], behind: float, expected: float
) -> None:
    x, y = rows(3000)
    scores[race.Candidate((50,), 2.0, "gaussian", output_factor=16.0)] = -1.0
    scores[race.Candidate((50,), 2.0, "gaussian", output_factor=4.0)] = -1.0 - behind
    found, _ = choice.choose(x, (y > 0).astype(int), n_classes=2, settings=settings_of())
    assert found["prior"]["output_factor"] == expected


RELU = race.Candidate((50,), 4.0, "gaussian", activation="relu")


@pytest.mark.parametrize(
    ("network", "expected"),
    [
        ({}, ([50], "relu")),
        ({"activation": "tanh"}, ([50], "tanh")),
        ({"activation": "sigmoid"}, ([50], "sigmoid")),
        ({"hidden": [50]}, ([50], "tanh")),
        ({"hidden": [50], "activation": "relu"}, ([50], "relu")),
    ],
)
def test_the_activation_of_a_classifier_is_chosen_with_its_layers(
    scores: dict[race.Candidate, float], network: dict[str, Any], expected: tuple[list[int], str]
) -> None:
    x, y = rows()
    for activation, score in (("relu", -1.0), ("tanh", -1.5), ("sigmoid", -1.5)):
        scores[RELU._replace(activation=activation)] = score
    settings = settings_of_classes(network=network)
    found, _ = choice.choose(x, (y > 0).astype(int), n_classes=2, settings=settings)
    assert (found["network"]["hidden"], found["network"]["activation"]) == expected


def test_a_real_target_keeps_tanh(scores: dict[race.Candidate, float]) -> None:
    scores[RELU] = -1.0
    found, tried = choice.choose(*rows(), n_classes=None, settings=NORMAL)
    assert found["network"]["activation"] == "tanh"
    assert {one.candidate.activation for one in tried} == {"tanh"}


@pytest.mark.parametrize("activation", ["relu", "sigmoid"])
def test_an_activation_set_by_hand_is_that_of_every_candidate(
    scores: dict[race.Candidate, float], activation: str
) -> None:
    settings = settings_of(network={"activation": activation})
    _, tried = choice.choose(*rows(), n_classes=None, settings=settings)
    assert {one.candidate.activation for one in tried} == {activation}


@pytest.mark.parametrize(("ahead", "expected"), [(0.004, "tanh"), (0.006, "relu")])
def test_relu_is_taken_where_it_is_clearly_better(
    scores: dict[race.Candidate, float], ahead: float, expected: str
) -> None:
    x, y = rows(3000)
    scores[RELU] = -1.0
    scores[race.Candidate((50,), 8.0, "gaussian")] = -1.0 - ahead
    found, _ = choice.choose(x, (y > 0).astype(int), n_classes=2, settings=settings_of_classes())
    assert found["network"]["activation"] == expected


def test_a_plan_from_before_there_was_a_factor_of_the_output_layer_has_none() -> None:
    settings = settings_of()
    assert settings["prior"]["output_factor"] == "auto"
    old = {"prior": {"weights": {"scale": 2.0}}}
    assert with_plan(settings, old)["prior"]["output_factor"] == 1.0
    assert with_plan(settings, {"sampler": {}})["prior"]["output_factor"] == "auto", (
        "the plan says nothing of it"
    )
    assert with_plan({"network": settings["network"]}, old) == {"network": settings["network"]}


@pytest.mark.parametrize(("ample", "expected"), [(True, 16.0), (False, 4.0), (None, 4.0)])
def test_classes_whose_chains_have_ample_time_need_not_agree_when_cheap(
    scores: dict[race.Candidate, float],
    rhats: dict[race.Candidate, float],
    ample: bool | None,
    expected: float,
) -> None:
    wide, calm = (race.Candidate((50,), 2.0, "gaussian", output_factor=factor) for factor in (16.0, 4.0))
    scores |= {wide: -1.0, calm: -1.015}
    rhats |= {wide: 1.2, calm: 1.01}
    asked: list[tuple[float, float]] = []

    def is_ample(chosen: Any, rhat: float) -> bool:
        asked.append((chosen["prior"]["output_factor"], rhat))
        return bool(ample)

    x, y = rows(3000)
    classes, asks = (y > 0).astype(int), None if ample is None else is_ample
    found, tried = choice.choose(x, classes, n_classes=2, settings=settings_of(), is_ample=asks)
    assert found["prior"]["output_factor"] == expected
    assert [(factor, round(rhat, 6)) for factor, rhat in asked] == ([] if ample is None else [(16.0, 1.2)])
    assert tried[0].candidate.output_factor == expected, "the chosen one comes first of its step"


@pytest.mark.parametrize(("minutes", "expected"), [(1e-4, False), (1.0, True)])
def test_time_is_ample_where_the_disagreement_of_short_runs_will_vanish(
    monkeypatch: pytest.MonkeyPatch, minutes: float, expected: bool
) -> None:
    x, y = rows()
    seen: list[bool] = []

    def asked(*_: Any, is_ample: Any, settings: Any, **__: Any) -> Any:
        chosen = {name: settings[name] for name in ("network", "prior", "likelihood")}
        seen.append(is_ample(chosen, 1.2))
        return chosen, []

    monkeypatch.setattr("bnn.selection.plan.choose", asked)
    own = {"hidden": [4], "engine": "numpy"}, {"weights": {"scale": 1}, "biases": {"scale": 1}}
    settings = chain_settings(settings_of(network=own[0], prior=own[1], likelihood={"family": "gaussian"}))
    make_plan(x, (y > 0).astype(int), n_classes=2, settings=settings, budget=budget.Budget(2, 2, minutes))
    assert seen == [expected]
