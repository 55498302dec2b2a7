"""What each finding of the verdict means in plain words, and what to change in the config."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from bnn.core.settings import WARMUP
from bnn.diagnostics.verdict import worst

Settings = Mapping[str, Any]
Change = dict[str, Any]
"""Part of the config of a dataset, nested as in the file."""

_MEANINGS = {
    "too_few_draws": "R-hat and ESS compare stretches of chains. From so few draws they cannot be computed, so "
    "nothing is known about convergence.",
    "stuck": "The chain rejected its proposals for most of the run, so most of its draws are one and the same network. "
    "The average over draws gives that network a weight that the posterior does not.",
    "one_chain": "A chain cannot show what it has missed. Only chains that start in different places, and then "
    "agree, are evidence that the whole posterior was visited.",
    "local": "Several networks fit the rows, and no chain goes from one to another in this time. Each was explored "
    "well, so the predictions average over them, but with equal weights, which the posterior may not give them.",
    "biased": "The kernel leaves out the step that makes its draws exact. They may agree with one another and still "
    "be too wide or too narrow.",
    "diverging": "The trajectory left the region that it should follow, because its steps were too long where "
    "the posterior bends. Such regions are then visited too rarely.",
    "cut_short": "The posterior is so narrow in some direction that steps must be tiny, and a trajectory of steps does "
    "not get across it. Chains may not have met.",
    "worse_mode": "The chain settled among networks that explain the data less well, and did not leave them. Its "
    "draws count as much as those of the other chains and pull the average towards poorer predictions.",
    "not_finite": "A number overflowed or was undefined. What is computed from it means nothing.",
    "acceptance_low": "Nearly every proposal was rejected, so the chain hardly moved. The step size is too large: "
    "warm-up ended before it had been tuned.",
    "acceptance_high": "Nearly every proposal was accepted because it was tiny. The chain creeps, and its draws "
    "resemble one another.",
    "frozen": "Nothing moved: the draws of all chains are equal. There is no posterior to speak of.",
    "constant": "The prediction for these rows never changed between draws. Either the data leave no doubt about "
    "it, or the hidden units are saturated and cannot respond.",
    "rhat": "The chains do not agree: one chain predicts something else than another. They have not run "
    "long enough to forget where they started, or each stays in a part of the posterior of its own.",
    "ess": "The draws resemble one another so much that they are worth few independent ones. Averages over them, "
    "and the ends of intervals even more, are imprecise.",
}

_OF_WARNINGS = {
    "rhat": "The chains agree nearly, and a little less than was asked: means and intervals may be off by a small part "
    "of their width. A longer run makes sure.",
    "ess": "The draws are worth fewer independent ones than was asked. Means are known well enough to read, the ends "
    "of intervals less so. A longer run makes sure.",
}
"""What a finding means that is only a warning, where that is less."""

_SCALE_THAT_MIXES = 1.0
"""Scale of the weights' prior, the narrowest of those that `auto` chooses among."""

_DRAWS_PER_ESS = 5
"""Kept draws of all chains for each effective one that is asked: correlated draws are never worth their number."""

_WIDE = 50
"""Units of the layers that are advised where there are fewer."""


@dataclass(frozen=True)
class Advice:
    """Findings of one kind: its gravest level, the sentences, and what they mean."""

    level: str
    sentences: tuple[str, ...]
    meaning: str


def explain(findings: Sequence[Mapping[str, Any]]) -> list[Advice]:
    """Group the findings of diagnostics.json by kind, in their order; those of a run without fault are left out.

    Raises
    ------
    KeyError
        If a kind has no explanation here.
    """
    kinds: dict[str, list[Mapping[str, Any]]] = {}
    is_local = any(finding["name"] == "local" for finding in findings)
    for finding in findings:
        if finding["level"] != "PASS":
            # That chains disagree, and how far, is what LOCAL says: the words of a small disagreement would belie it.
            name = "local" if is_local and finding["name"] in ("rhat", "ess") else finding["name"]
            kinds.setdefault(name, []).append(finding)
    return [
        Advice(
            found[0]["level"], tuple(finding["text"] for finding in found), _meaning(name, found[0]["level"])
        )
        for name, found in kinds.items()
    ]


def _meaning(name: str, level: str) -> str:
    grave = _MEANINGS[name]
    return _OF_WARNINGS.get(name, grave) if level == "WARN" else grave


def changes(diagnostics: Mapping[str, Any], settings: Settings) -> Change:
    """Return what to change in the config of the dataset for all findings together; empty if nothing helps.

    Where findings ask for different values of a key, the largest is taken.

    Parameters
    ----------
    diagnostics
        Content of diagnostics.json.
    settings
        The config of this dataset as run.
    """
    merged: Change = {}
    for name in dict.fromkeys(finding["name"] for finding in diagnostics["findings"]):
        if name in _CHANGES:
            _merge(merged, _CHANGES[name](diagnostics, settings))
    return merged


def again(settings: Settings, change: Change) -> str:
    """Return what to do after a second failure, in a sentence or two.

    Parameters
    ----------
    settings
        The config of this dataset as run.
    change
        What is advised before, see `changes`: not the same again.
    """
    hidden = settings["network"]["hidden"]
    wider = (
        ""
        if hidden and min(hidden) >= _WIDE
        else f"take a larger network, network.hidden: [{_WIDE}, {_WIDE}]; "
    )
    narrower = "halve prior.weights.scale" + " once more" * ("prior" in change)
    return (
        f"If that fails again, more of the same will not help: {wider}{narrower}, so that functions vary less and "
        "chains mix better; and look for columns with extreme values in the table."
    )


def as_yaml(dataset: str, change: Change, settings: Settings) -> str:
    """Write a change as the lines to put into the config, each with what the run had; "" for none.

    Parameters
    ----------
    dataset
        Its name.
    change
        What `changes` returned.
    settings
        The config of this dataset as run, with the length that open chains became.
    """
    if not change:
        return ""
    name = yaml.safe_dump({dataset: None}, allow_unicode=True).replace(" null", "").rstrip()
    return "\n".join(["datasets:", f"  {name}", *_lines(change, settings, " " * 4), ""])


def _lines(change: Change, settings: Settings, indent: str) -> Iterator[str]:
    for key, value in change.items():
        before = settings.get(key)
        if isinstance(value, dict):
            yield f"{indent}{key}:"
            yield from _lines(value, before or {}, indent + "  ")
        else:
            text = yaml.safe_dump(value, default_flow_style=True).removesuffix("...\n").strip()
            told = "  # as in this run" if before == value else f"  # this run: {before}"
            yield f"{indent}{key}: {text}" + ("" if before is None else told)


def _merge(into: Change, change: Change) -> None:
    for key, value in change.items():
        if isinstance(value, dict):
            _merge(into.setdefault(key, {}), value)
        else:
            into[key] = max(into[key], value) if key in into else value


def _sampler(**factors: int) -> Callable[[Mapping[str, Any], Settings], Change]:
    """Return a change that multiplies keys of `sampler`."""

    def change(_: Mapping[str, Any], settings: Settings) -> Change:
        return {"sampler": {key: _times(settings, key, factor) for key, factor in factors.items()}}

    return change


def _times(settings: Settings, key: str, factor: int) -> int:
    """Return a multiple of a key of `sampler`; a warm-up of a few iterations is not merely doubled."""
    before = settings["sampler"][key]
    value = factor * (WARMUP if before == "auto" else int(before))
    return max(value, WARMUP) if key == "warmup" else value


def _fixed(**values: Any) -> Callable[[Mapping[str, Any], Settings], Change]:
    return lambda _, __: {"sampler": values}


def _narrower_prior(_: Mapping[str, Any], settings: Settings) -> Change:
    return _scaled(settings["prior"]["weights"]["scale"] / 2, settings)


def _scaled(scale: float, settings: Settings) -> Change:
    """Return another scale of the weights. A factor is kept by writing it: beside a scale that is set, auto is 1."""
    factor = settings["prior"].get("output_factor", 1.0)
    return {"prior": {"weights": {"scale": scale}} | ({} if factor == 1 else {"output_factor": factor})}


def _smaller_steps(_: Mapping[str, Any], settings: Settings) -> Change:
    sampler = settings["sampler"]
    if sampler["kernel"] == "sms_ubu":  # which has no acceptance
        return {"sampler": {"warmup": _times(settings, "warmup", 2)}}
    target = 0.9 if sampler["target_acceptance"] is None else (1 + sampler["target_acceptance"]) / 2
    return {"sampler": {"warmup": _times(settings, "warmup", 2), "target_acceptance": round(target, 3)}}


def _are_far_apart(diagnostics: Mapping[str, Any], settings: Settings) -> bool:
    """Return whether chains that ran for all of their budget are so far apart that a longer run is no remedy.

    On airfoil (50-50 units, four chains) R-hat was 1.6 after 40,000 gradients with scale 2, as large after 50,000 with
    1.4; with scale 1 it was 1.04 after 40,000.
    """
    largest, _ = worst(diagnostics)
    is_wide = settings["prior"]["weights"]["scale"] > _SCALE_THAT_MIXES
    used_up = bool(settings["sampler"].get("most_gradients"))
    return used_up and is_wide and largest is not None and largest > diagnostics["thresholds"]["rhat_fail"]


def _longer(diagnostics: Mapping[str, Any], settings: Settings) -> Change:
    if _are_far_apart(diagnostics, settings):
        return _scaled(_SCALE_THAT_MIXES, settings)
    _, smallest = worst(diagnostics)
    # ESS grows in proportion to the number of iterations once chains have mixed.
    factor = math.ceil(diagnostics["thresholds"]["ess_warn"] / smallest) if smallest else 2
    return _run_for(max(2, factor), diagnostics, settings)


def _settle(diagnostics: Mapping[str, Any], settings: Settings) -> Change:
    if _are_far_apart(diagnostics, settings):
        return _scaled(_SCALE_THAT_MIXES, settings)
    change = _run_for(2, diagnostics, settings)
    if "budget_minutes" not in change["sampler"]:
        change["sampler"]["warmup"] = _times(settings, "warmup", 2)
    return change


def _run_for(factor: int, diagnostics: Mapping[str, Any], settings: Settings) -> Change:
    """Multiply the number of iterations by more draws, as far as so few cannot be worth what is asked, or thin."""
    sampler = settings["sampler"]
    if sampler.get("most_gradients"):
        return {"sampler": {"budget_minutes": math.ceil(factor * sampler["budget_minutes"])}}
    enough = math.ceil(_DRAWS_PER_ESS * diagnostics["thresholds"]["ess_warn"] / sampler["chains"])
    if sampler["draws"] >= enough:
        return {"sampler": {"thin": factor * sampler["thin"]}}
    thin = math.ceil(factor * sampler["draws"] / enough) * sampler["thin"]
    return {"sampler": {"draws": enough} | ({"thin": thin} if thin > sampler["thin"] else {})}


def _leave_modes(_: Mapping[str, Any], settings: Settings) -> Change:
    sampler = settings["sampler"]
    explore = 0 if sampler["explore"] == "auto" else sampler["explore"]
    return {
        "sampler": {
            "optimise_steps": 2 * sampler["optimise_steps"],
            "explore": 2 * explore or sampler["optimise_steps"],
        }
    }


_CHANGES: dict[str, Callable[[Mapping[str, Any], Settings], Change]] = {
    "too_few_draws": _fixed(draws=500),
    "stuck": _smaller_steps,
    "one_chain": _fixed(chains=4),
    "biased": _fixed(kernel="malt"),
    "local": _narrower_prior,
    "diverging": _smaller_steps,
    "cut_short": _sampler(warmup=2),
    "worse_mode": _leave_modes,
    "not_finite": _narrower_prior,
    "acceptance_low": _sampler(warmup=2),
    "acceptance_high": _sampler(warmup=2),
    "frozen": _sampler(warmup=2),
    "constant": _narrower_prior,
    "rhat": _settle,
    "ess": _longer,
}
