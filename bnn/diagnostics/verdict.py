"""From figures to a verdict: PASS, WARN, LOCAL or FAIL, and why, in sentences that say what to change."""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from bnn.core.row_names import ROW_COUNTING
from bnn.diagnostics.mixing import MIN_DRAWS

_SCALARS = ("log_density", "noise_scale", "dispersion")
"""Single numbers of a draw that the verdict looks at; None where a model has no such number."""
_ROWS = {"train": "training", "test": "test"}
_LEVELS = ("FAIL", "WARN")
"""Of the limits."""
_GRAVITY = ("FAIL", "LOCAL", "WARN")
_EXTREME = "look for extreme values in the data, or lower the scale in prior.weights"
_MODE_GAP = 3.0
"""Standard deviations of the log density by which the mean of a chain in a worse mode is lower."""
_MIXING = "raise sampler.warmup, or run for longer with a higher sampler.thin or sampler.draws"

_LOCAL_RHAT = 1.05
"""Largest split R-hat that a chain may have by itself, at any test row and of its log density."""
_LOCAL_ESS = 100.0
"""Smallest bulk effective sample size that it must have there."""
_LOCAL_CHAINS = 8
"""Fewer chains say little about how many modes there are."""


class Finding(NamedTuple):
    """What speaks against a run, or, of a run without fault, what it reached."""

    level: str
    """FAIL, LOCAL or WARN; PASS of what was reached."""
    text: str
    """A sentence that says what was found and what to change."""
    name: str
    """What kind of finding it is: the report explains each kind."""


def judge(summary: Mapping[str, Any]) -> tuple[str, list[Finding]]:
    """Return the verdict and what it rests on, the gravest first.

    FAIL: an R-hat above `rhat_fail` or a bulk ESS below `ess_fail` (log density, noise scale or dispersion, prediction
    at any training or test row), a stuck chain or one that hardly accepts, draws that are not finite or never change,
    too few draws. WARN: the same figures against `rhat_warn` and `ess_warn`, one chain only, predictions that never
    change, acceptance or divergences out of bounds. LOCAL in place of FAIL: nothing but the agreement of chains is
    missing, and each of eight chains or more has converged by itself; they explore different modes.

    Parameters
    ----------
    summary
        The content of diagnostics.json but for "verdict", "reasons" and "findings"; figures that could not be computed
        are None or NaN.

    Returns
    -------
    verdict
        "PASS", "WARN", "LOCAL" or "FAIL".
    findings
        All that speaks against the run, or the one that says what was reached.
    """
    findings = list(_findings_of_run(summary))
    if not _too_few_draws(summary):
        for name in _SCALARS:
            if summary[name] is not None:
                findings += _findings_of_scalar(_label(name), summary[name], summary)
        for split in summary["predictions"]:
            findings += _findings_of_predictions(split, summary)
    if not findings:
        return "PASS", [Finding("PASS", _what_was_reached(summary), "reached")]
    failures = {finding.name for finding in findings if finding.level == "FAIL"}
    if failures and failures <= {"rhat", "ess"} and is_local(summary):
        findings = [_local(summary), *(finding for finding in findings if finding.level != "FAIL")]
    findings.sort(key=lambda finding: _GRAVITY.index(finding.level))
    return findings[0].level, findings


def is_local(summary: Mapping[str, Any]) -> bool:
    """Return whether every chain has explored its own mode and there are enough of them, by `each_chain`'s figures."""
    found = summary["each_chain"]
    return (
        bool(summary["adjusted"])
        and len(found["rhat_max"]) >= _LOCAL_CHAINS
        and all(value is not None and value <= _LOCAL_RHAT for value in found["rhat_max"])
        and all(value is not None and value >= _LOCAL_ESS for value in found["ess_bulk_min"])
    )


def _local(summary: Mapping[str, Any]) -> Finding:
    found = summary["each_chain"]
    return Finding(
        "LOCAL",
        f"Each of the {len(found['rhat_max'])} chains has converged by itself (R-hat at most "
        f"{_rhat_text(max(found['rhat_max']))}, bulk ESS at least {math.floor(min(found['ess_bulk_min']))}), but in "
        f"a mode of its own: {found['between_share']:.0%} of the epistemic variance lies between chains. Read the "
        "predictions as a mixture over these modes, not as the posterior; for one that all chains agree on take wider "
        "layers or a smaller scale in prior.weights.",
        "local",
    )


def _label(scalar: str) -> str:
    return f"the {scalar.replace('_', ' ')}"


def _is_missing(value: float | None) -> bool:
    return value is None or math.isnan(value)


def _rhat_text(value: float) -> str:
    # Rounded up, so that a value above a limit is not printed as that limit.
    return f"{math.ceil(value * 1e4 - 1e-6) / 1e4:.4f}" if math.isfinite(value) else "infinite"


def _too_few_draws(summary: Mapping[str, Any]) -> bool:
    return int(summary["n_draws"]) < (MIN_DRAWS if summary["n_chains"] > 1 else 2 * MIN_DRAWS)


def _findings_of_run(summary: Mapping[str, Any]) -> Iterator[Finding]:
    limits, chains, n_draws = summary["thresholds"], summary["chains"], summary["n_draws"]
    if _too_few_draws(summary):
        needed = MIN_DRAWS if len(chains) > 1 else 2 * MIN_DRAWS
        yield Finding(
            "FAIL",
            f"R-hat and ESS need at least {needed} draws per chain, {n_draws} were kept: "
            "raise sampler.draws.",
            "too_few_draws",
        )
    for chain in chains:
        if chain["stuck"]:
            yield Finding(
                "FAIL",
                f"Chain {chain['chain']} is stuck: it stayed in one place for more than half of its {n_draws} "
                f"draws (step size {chain['step_size']:.2g}); raise sampler.warmup or sampler.target_acceptance.",
                "stuck",
            )
    if len(chains) == 1:
        yield Finding(
            "WARN",
            "There is one chain, so R-hat compares its two halves and cannot see what the chain has missed: "
            "raise sampler.chains to 8.",
            "one_chain",
        )
    if summary["adjusted"]:
        for chain in chains:
            yield from _findings_of_acceptance(chain, limits)
    else:
        yield Finding(
            "WARN",
            f"The draws are biased by the step size: the kernel {summary['kernel']} accepts every proposal without "
            "correction. Chains may agree on a distribution that is not the posterior; for exact draws set "
            "sampler.kernel: malt, which on many rows takes far longer.",
            "biased",
        )
    yield from _findings_of_modes(chains)
    if cut := [chain for chain in chains if chain["cut_short"]]:
        names = ", ".join(str(chain["chain"]) for chain in cut)
        yield Finding(
            "WARN",
            f"The trajectories of chain {names} end after {cut[0]['n_steps']} steps, the most that they may have, so "
            "trajectories are shorter than asked: raise sampler.warmup, or take wider noise or narrower priors.",
            "cut_short",
        )
    n_diverging = sum(chain["n_diverging"] for chain in chains)
    # Of all iterations, not of kept draws, which would make the limit depend on sampler.thin.
    n_iterations = n_draws * summary["thin"] * len(chains)
    if n_diverging > limits["diverging_warn"] * n_iterations:
        yield Finding(
            "WARN",
            f"{n_diverging} of {n_iterations} iterations ({n_diverging / n_iterations:.1%}) diverged, more than "
            f"{limits['diverging_warn']:.1%} (diagnostics.diverging_warn): raise sampler.target_acceptance or "
            "sampler.warmup.",
            "diverging",
        )


def _findings_of_modes(chains: Sequence[Mapping[str, Any]]) -> Iterator[Finding]:
    """Name the chains that stayed in a much worse mode than the best one: below it by more than the draws spread."""
    finite = [chain for chain in chains if not _is_missing(chain["log_density_mean"])]
    if not finite:
        return
    best = max(finite, key=lambda chain: float(chain["log_density_mean"]))
    for chain in finite:
        below = best["log_density_mean"] - chain["log_density_mean"]
        spread = max(chain["log_density_sd"], best["log_density_sd"])
        if spread > 0 and below > _MODE_GAP * spread:
            yield Finding(
                "WARN",
                f"Chain {chain['chain']} sits in a worse mode: its log density is {below:.1f} nats below that of chain "
                f"{best['chain']}, {below / spread:.1f} times what draws differ by. It is kept; raise "
                "sampler.optimise_steps or sampler.explore so that chains leave such modes.",
                "worse_mode",
            )


def _findings_of_acceptance(chain: Mapping[str, Any], limits: Mapping[str, float]) -> Iterator[Finding]:
    rate, number = chain["acceptance_rate"], chain["chain"]
    if _is_missing(rate):
        yield Finding(
            "FAIL", f"The acceptance rate of chain {number} is not finite: {_EXTREME}.", "not_finite"
        )
    elif rate < limits["acceptance_fail"]:
        yield Finding(
            "FAIL",
            f"Chain {number} accepts {rate:.2%} of its proposals, less than {limits['acceptance_fail']:.2%} "
            "(diagnostics.acceptance_fail), so it stays nearly where it is: raise sampler.warmup, in which the step "
            f"size is tuned, or {_EXTREME}.",
            "acceptance_low",
        )
    elif rate < limits["acceptance_min"]:
        yield Finding(
            "WARN",
            f"Chain {number} accepts {rate:.1%} of its proposals, less than {limits['acceptance_min']:.1%} "
            "(diagnostics.acceptance_min): raise sampler.warmup, in which the step size is tuned.",
            "acceptance_low",
        )
    elif rate > limits["acceptance_max"]:
        yield Finding(
            "WARN",
            f"Chain {number} accepts {rate:.1%} of its proposals, more than {limits['acceptance_max']:.1%} "
            "(diagnostics.acceptance_max), so its steps are too small: raise sampler.warmup, in which the step "
            "size is tuned.",
            "acceptance_high",
        )


def _findings_of_scalar(
    label: str, figures: Mapping[str, Any], summary: Mapping[str, Any]
) -> Iterator[Finding]:
    if _is_missing(figures["mean"]) or math.isinf(figures["mean"]):
        yield Finding("FAIL", f"Draws of {label} are not finite: {_EXTREME}.", "not_finite")
    elif _is_missing(figures["rhat"]):
        yield Finding(
            "FAIL",
            f"Draws of {label} are the same in all chains, so nothing was sampled: raise sampler.warmup.",
            "frozen",
        )
    else:
        yield from _findings_of_figures(label, figures["rhat"], figures["ess_bulk"], ("", ""), summary)


def _findings_of_predictions(split: str, summary: Mapping[str, Any]) -> Iterator[Finding]:
    figures = summary["predictions"][split]
    label = f"the predictions for the {split} rows"
    n_all = figures["n_quantities"]
    if figures["n_not_finite"]:
        n_bad = figures["n_not_finite"]
        yield Finding(
            "FAIL", f"{n_bad} of {n_all} quantities in {label} are not finite: {_EXTREME}.", "not_finite"
        )
    if figures["n_constant"]:
        yield Finding(
            "WARN",
            f"{figures['n_constant']} of {n_all} quantities in {label} are the same in every draw, so R-hat "
            "cannot judge them: lower the scale in prior.weights if the network saturates.",
            "constant",
        )
    if not _is_missing(figures["rhat_max"]):
        counting = ROW_COUNTING[summary["first_row"]]
        places = (
            f" (row {figures['worst_row']}, {counting})",
            f" (row {figures['worst_row_ess']}, {counting})",
        )
        ess = figures["ess_bulk_min"]
        yield from _findings_of_figures(label, figures["rhat_max"], ess, places, summary)


def _findings_of_figures(
    label: str, rhat: float, ess: float, where: tuple[str, str], summary: Mapping[str, Any]
) -> Iterator[Finding]:
    limits = summary["thresholds"]
    worst = ("Largest R-hat", "Smallest bulk ESS") if where[0] else ("R-hat", "Bulk ESS")
    for level in _LEVELS:
        limit = limits[f"rhat_{level.lower()}"]
        if rhat > limit:
            key = f"diagnostics.rhat_{level.lower()}"
            value = _rhat_text(rhat)
            yield Finding(
                level,
                f"{worst[0]} of {label} is {value}{where[0]}, above {limit:g} ({key}): {_MIXING}.",
                "rhat",
            )
            break
    for level in _LEVELS:
        limit = limits[f"ess_{level.lower()}"]
        if ess < limit:
            # ESS grows in proportion to the number of iterations once chains have mixed.
            factor = math.ceil(10 * limits["ess_warn"] / ess) / 10
            yield Finding(
                level,
                f"{worst[1]} of {label} is {math.floor(ess)}{where[1]}, below {limit:g} "
                f"(diagnostics.ess_{level.lower()}): for {limits['ess_warn']:g} take about {factor:g} times as "
                f"many iterations, with a higher sampler.thin (now {summary['thin']}) or sampler.draws "
                f"(now {summary['n_draws']}).",
                "ess",
            )
            break


def _what_was_reached(summary: Mapping[str, Any]) -> str:
    scalars = {_label(name): summary[name] for name in _SCALARS if summary[name] is not None}
    splits = [part for part in summary["predictions"].values() if not _is_missing(part["rhat_max"])]
    rhat = max([item["rhat"] for item in scalars.values()] + [part["rhat_max"] for part in splits])
    ess = min([item["ess_bulk"] for item in scalars.values()] + [part["ess_bulk_min"] for part in splits])
    limits = summary["thresholds"]
    return (
        f"For {', '.join(scalars)} and the predictions at every row, R-hat is at most {_rhat_text(rhat)} "
        f"(limit {limits['rhat_warn']:g}) and the bulk ESS at least {math.floor(ess)} "
        f"(limit {limits['ess_warn']:g})."
    )


def worst(diagnostics: Mapping[str, Any]) -> tuple[float | None, float | None]:
    """Largest R-hat and smallest bulk ESS of all that the verdict looks at; None when one is missing."""
    (rhat, _), (ess, _) = worst_places(diagnostics)
    return rhat, ess


def worst_places(diagnostics: Mapping[str, Any]) -> tuple[tuple[float | None, str], tuple[float | None, str]]:
    """Largest R-hat and smallest bulk ESS, each with its place: "the prediction for test row 7 of the table"."""
    scalars = {_label(name): diagnostics[name] for name in _SCALARS if diagnostics[name] is not None}
    rhats = [(entry["rhat"], label) for label, entry in scalars.items()]
    sizes = [(entry["ess_bulk"], label) for label, entry in scalars.items()]
    for split, entry in diagnostics["predictions"].items():
        of = f"the prediction for {_ROWS[split]} row"
        rhats.append((entry["rhat_max"], f"{of} {entry['worst_row']} of the table"))
        sizes.append((entry["ess_bulk_min"], f"{of} {entry['worst_row_ess']} of the table"))
    rhat = (None, "") if any(value is None for value, _ in rhats) else max(rhats)
    ess = (None, "") if any(value is None for value, _ in sizes) else min(sizes)
    return rhat, ess
