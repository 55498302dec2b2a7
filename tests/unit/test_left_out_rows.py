"""How training rows are left out to compare models: as the test rows of the table were."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bnn.baselines.training import validation_rows
from bnn.config.loading import chain_settings
from bnn.core.identical_rows import divided
from bnn.data.dataset import Dataset
from bnn.data.preparation import prepare
from bnn.selection import budget, choice, race
from bnn.selection import plan as plans
from bnn.selection.cheap_fit import CheapFit
from tests.unit.test_selection import rows, settings_of

SPLIT = {"method": "random", "test_size": 0.2, "stratify": False, "seed": 1, "repeated_rows": "auto"}


def table(folder: Path, n: int = 90) -> Path:
    rng = np.random.default_rng(0)
    lines = [f"{rng.normal():.6f},{rng.normal():.6f},{'abcdefghi'[i // 10]},{i}" for i in range(n)]
    (folder / "a.csv").write_text("\n".join(["x,y,who,when", *lines, ""]))
    return folder / "a.csv"


@pytest.mark.parametrize("how", ["random", "time", "group"])
def test_a_dataset_says_how_its_rows_are_to_be_left_out(tmp_path: Path, how: str) -> None:
    column = {"random": {}, "time": {"column": "when"}, "group": {"column": "who"}}[how]
    source = {"kind": "csv", "path": str(table(tmp_path)), "target": "y", "drop": ["who"] * (how != "group")}
    made = prepare("a", task="regression", source=source, split={**SPLIT, "method": how, **column})
    made.save(tmp_path / "a.nc")
    found = Dataset.load(tmp_path / "a.nc")
    assert found.in_order is (how == "time")
    assert (found.group_train is not None) is (how == "group")
    if found.group_train is not None:
        # Groups are tens of rows of the file.
        whole = found.row_train // 10
        assert len({*zip(whole.tolist(), found.group_train.tolist(), strict=True)}) == len(set(whole)) < 9


def test_parts_are_stretches_of_time_or_whole_groups() -> None:
    order = np.random.default_rng(0).permutation(90)
    parts = divided(order, np.arange(90), 3, in_order=True, groups=None)
    assert [part.tolist() for part in parts] == [list(range(30 * k, 30 * k + 30)) for k in range(3)]
    groups = np.arange(90) // 10
    parts = divided(order, np.arange(90), 3, in_order=False, groups=groups)
    assert sorted(np.concatenate(parts)) == list(range(90)) and len(parts) == 3
    assert sum(len(set(groups[part])) for part in parts) == 9


def test_a_baseline_network_is_stopped_by_a_stretch_of_time_or_by_groups() -> None:
    y, begins = np.zeros(100), set()
    for seed in range(9):
        rng = np.random.default_rng(seed)
        rows = validation_rows(y, size=0.2, stratify=False, rng=rng, in_order=True)
        assert rows.tolist() == list(range(rows[0], rows[0] + 20))
        begins.add(int(rows[0]))
        groups = np.arange(100) % 10
        rows = validation_rows(y, size=0.2, stratify=False, rng=rng, first=groups)
        assert len(rows) == 20 and len(set(groups[rows])) == 2
    assert len(begins) > 5 and max(begins) <= 80


def choose_with(
    monkeypatch: pytest.MonkeyPatch, scores: dict[float, float], noise: np.ndarray, **how: Any
) -> list[race.Comparison]:
    """Choose among priors of a network of five units whose cheap fits have a mean log score each, and noise by row."""

    def fit(x: Any, y: Any, left_out: Any, *, settings: Any, **_: Any) -> CheapFit:
        scale = settings.prior.weights.scale
        own = noise[left_out[0][:, 0].astype(int)] * (scale == 2.0)
        return CheapFit(scores[scale] + own, 1.0)

    monkeypatch.setattr(race, "cheap_fit", fit)
    settings = settings_of(likelihood={"family": "gaussian"}, network={"hidden": [5]})
    x = np.arange(len(noise), dtype=float)[:, None]
    return choice.choose(x, x[:, 0], n_classes=None, settings=settings, **how)[1]


SCORES = {1.0: -1.0, 1.4: -9.0, 2.0: -1.5, 4.0: -9.0}


def test_what_neighbours_and_groups_say_counts_once(monkeypatch: pytest.MonkeyPatch) -> None:
    noise = np.repeat(np.random.default_rng(1).normal(size=30), 10) * 4
    noise -= noise.mean()
    errors = {}
    ways: dict[str, dict[str, Any]] = {
        "rows": {},
        "order": {"in_order": True},
        "groups": {"groups": np.arange(300) // 10},
    }
    for name, how in ways.items():
        found = choose_with(monkeypatch, SCORES, noise, **how)
        errors[name] = {one.candidate.scale: one for one in found}[2.0]
    assert errors["rows"].error == pytest.approx(noise.std() / math.sqrt(300))
    for name in ("order", "groups"):
        assert errors[name].difference == pytest.approx(0.5)
        assert errors[name].error == pytest.approx(noise.std() / math.sqrt(30))


def test_in_order_of_time_no_candidate_is_given_up_early(monkeypatch: pytest.MonkeyPatch) -> None:
    for in_order, n_folds in ((False, 1), (True, race.N_FOLDS)):
        found = choose_with(monkeypatch, SCORES, np.zeros(90), in_order=in_order)
        assert {one.candidate.scale: one.n_folds for one in found}[4.0] == n_folds


@pytest.mark.parametrize(("noise", "collapse"), [(2.0, "never"), (0.1, "auto")])
def test_where_noise_is_large_the_output_layer_is_sampled(
    monkeypatch: pytest.MonkeyPatch, noise: float, collapse: str
) -> None:
    x, y = rows(200)
    y = x[:, 0] + noise * np.random.default_rng(2).normal(size=200)
    scale = 7.0 * y.std()
    unit = race.Unit(3.0, scale)
    y = (y - y.mean()) / y.std()

    def fit(_: Any, __: Any, left_out: Any, **___: Any) -> CheapFit:
        share = noise / math.sqrt(1 + noise**2) * scale
        score = -math.log(share) - 0.5 * (1 + math.log(2 * math.pi))
        return CheapFit(np.full(len(left_out[1]), score), 1.0)

    monkeypatch.setattr(race, "cheap_fit", fit)
    settings = settings_of(likelihood={"family": "gaussian"})
    plan = plans.make_plan(
        x,
        y,
        n_classes=None,
        settings=chain_settings(settings),
        budget=budget.Budget(2, 2, 0.001),
        unit=unit,
    )
    assert plan["settings"]["sampler"]["collapse"] == collapse
    prior = {"weights": {"scale": 1}, "biases": {"scale": 1}}
    for hidden, expected in (([50], collapse), ([3], "auto"), ([50, 16], "auto")):
        own = {"network": {"hidden": hidden}, "prior": prior, "likelihood": {"family": "gaussian"}}
        fixed = chain_settings(settings_of(**own))
        plan = plans.make_plan(
            x, y, n_classes=None, settings=fixed, budget=budget.Budget(2, 2, 0.001), unit=unit
        )
        assert (plan["tried"], plan["settings"]["sampler"]["collapse"]) == ([], expected)
    fixed = chain_settings(settings_of(likelihood={"family": "gaussian"}, sampler={"collapse": "never"}))
    plan = plans.make_plan(x, y, n_classes=None, settings=fixed, budget=budget.Budget(2, 2, 0.001), unit=unit)
    assert plan["settings"]["sampler"]["collapse"] == "never"
