"""The answer in three marks: can the sampling be trusted, are its uncertainties right, is it the better model.

They say numbers and what an interval includes or not; no adjective stands here that a number does not carry.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bnn.core import formatting
from bnn.core.errors import listing
from bnn.core.settings import FALSE_ALARMS, INDICATES
from bnn.diagnostics.verdict import worst, worst_places
from bnn.report.rows import of_levels
from bnn.report.table import (
    DOUBTED,
    METRICS,
    MODELS,
    SAME,
    Metric,
    difference,
    headline,
    outcome,
    scores_beside,
)

SIGNS = {"good": "✓", "open": "!", "bad": "✕"}
"""Level of a mark -> its sign."""
VERDICTS = {"PASS": "good", "WARN": "open", "LOCAL": "open", "FAIL": "bad"}
"""Verdict on the chains -> level of its mark."""
_OFF = ("coverage_90_off", "pit_off")
_NAMED = {
    name: label.lower() if name == "boosting" else f"the {label.lower()}" for name, label in MODELS.items()
}
_EXPLAINED = {"nll": "NLL (negative log likelihood)"}
"""What a metric is, where a page has it first."""
_MOST_CLASSES = 3
"""Classes that are named of the least sure rows."""
_STANDS_OUT = 0.5
"""Standard deviations by which a feature of the least sure rows is off on average to be named."""
_OF_OUTCOMES = {"better": ("good", "better"), "worse": ("bad", "worse"), "open": ("open", "not told apart")}


@dataclass(frozen=True)
class Mark:
    """A line of the answer: what it is about, good, open or bad, in a word, and the number behind it."""

    subject: str
    level: str
    word: str
    text: str

    @property
    def sign(self) -> str:
        """The sign of its level, which tells marks apart without colours."""
        return SIGNS[self.level]


def marks(diagnostics: Mapping[str, Any], metrics: Mapping[str, Any]) -> tuple[Mark, Mark, Mark]:
    """Return the three marks of a dataset.

    Parameters
    ----------
    diagnostics, metrics
        Contents of diagnostics.json and metrics.json.
    """
    trusted = diagnostics["verdict"] != "FAIL"
    return sampling(diagnostics), certainty(metrics, trusted=trusted), comparison(metrics, trusted=trusted)


def sampling(diagnostics: Mapping[str, Any]) -> Mark:
    """Say what R-hat is, or which limit is missed, where and by how much."""
    verdict, limits = diagnostics["verdict"], diagnostics["thresholds"]
    n_chains = diagnostics["n_chains"]
    chains = "1 chain" if n_chains == 1 else f"{n_chains} chains"
    if verdict == "PASS":
        rhat, ess = worst(diagnostics)
        text = (
            f"{chains} agree on every row: R-hat is at most {formatting.rhat(rhat)} (limit {limits['rhat_warn']:g}), "
            f"the effective sample size at least {formatting.count(ess)} (limit {limits['ess_warn']:g})."
        )
    else:
        said = _misses(diagnostics, "fail" if verdict == "FAIL" else "warn")
        if verdict == "LOCAL":  # which the first miss shows: a reader who sees both counts two faults
            said = [f"the chains disagree: {said[0]}"] if said else []
        # What is neither R-hat nor ESS, such as a chain that is stuck, is said in the words of its finding.
        others = [item["text"] for item in diagnostics["findings"] if item["level"] == verdict]
        text = f"{'; '.join(said) or others[0].rstrip('.')}."
        if verdict == "FAIL":
            text += f" The {chains} did not converge: trust no BNN figure on this page."
        elif verdict == "LOCAL":
            text += (
                f" Each of the {chains} converged on a fit of its own. Use the predictions as an ensemble's: they "
                "average over these fits, and are not the posterior's."
            )
    return Mark("Sampling", VERDICTS[verdict], verdict, text[:1].upper() + text[1:])


def _misses(diagnostics: Mapping[str, Any], level: str) -> list[str]:
    """Say by how much the worst R-hat and ESS miss the limit of a level, and of what; empty if none does."""
    beyond, below = ("FAIL: above", "FAIL: below") if level == "fail" else ("PASS: at most", "PASS: at least")
    limits, said = diagnostics["thresholds"], []
    (rhat, of_rhat), (ess, of_ess) = worst_places(diagnostics)
    if rhat is None or ess is None:
        return ["R-hat or the effective sample size cannot be computed"]
    limit = limits[f"rhat_{level}"]
    if rhat > limit:
        said.append(f"R-hat of {of_rhat} is {formatting.rhat(rhat)} ({beyond} {limit:g})")
    limit = limits[f"ess_{level}"]
    if ess < limit:
        said.append(f"the effective sample size of {of_ess} is {formatting.count(ess)} ({below} {limit:g})")
    return said


def certainty(metrics: Mapping[str, Any], *, trusted: bool = True) -> Mark:
    """Say whether the BNN is as sure as it is right; too sure is worse than not sure enough."""
    n_test = formatting.count(metrics["n_test"])
    if metrics["task"] == "classification":
        found = metrics["calibration"]["bnn"]
        confidence, right = found["confidence"], found["accuracy"]
        low, high = found["accuracy_if_calibrated"]
        text = (
            f"It is {formatting.percent(confidence)} sure of the class that it names, on average, and right for "
            f"{formatting.percent(right)} of {n_test} test rows{_by_chance(low, high)}."
        )
        off = found["ece_p_value"] is not None and not (
            found["ece_p_value"] >= FALSE_ALARMS and low <= right <= high
        )
        too_sure = None not in (confidence, right) and confidence > right
    else:
        unit = f" {metrics['target_unit']}" if metrics["target_unit"] else ""
        entry, width = (metrics["models"]["bnn"]["test"].get(name) for name in ("coverage_90", "width_90"))
        held = None if entry is None else entry["value"]
        limits = [flag["limit"] for flag in metrics["flags"] if flag["name"] == "coverage_90_off"]
        # Counts and zeros often lie on ends, and an interval that holds all of them holds more than it says.
        whole = metrics["calibration"]["bnn"].get("held_90")
        at_ends = ""
        if whole not in (None, held):
            at_ends = f", {formatting.percent(held)} with those on an end counted by chance"
        text = (
            f"Its 90 % intervals hold {formatting.percent(whole or held)} of {n_test} test rows{at_ends}"
            f"{_by_chance(*limits[0]) if limits else ''}."
        )
        if width is not None and metrics["target_width_90"] is not None:
            own, whole = (formatting.number(one, 3) for one in (width["value"], metrics["target_width_90"]))
            text += f" They are {own}{unit} wide on average; 90 % of the training values span {whole}{unit}."
        off = any(flag["raised"] for flag in metrics["flags"] if flag["name"] in _OFF)
        too_sure = held is not None and held < 0.9
    text += calibrated(metrics)
    if not trusted:
        return Mark("Uncertainty", "bad", DOUBTED, text)
    level, word = (
        ("good", "as it should be")
        if not off
        else ("bad", "too sure")
        if too_sure
        else ("open", "not sure enough")
    )
    return Mark("Uncertainty", level, word, text)


def _by_chance(low: float | None, high: float | None) -> str:
    """Say between which shares of rows a calibrated model comes out; nothing where they are not numbers."""
    if low is None or high is None:
        return ""
    ends = f"{formatting.percent(low)} to {formatting.percent(high)}"
    return f" (a calibrated model's, {100 * (1 - FALSE_ALARMS):g} times in 100: {ends})"


def calibrated(metrics: Mapping[str, Any], level: float = 0.9) -> str:
    """Say what conformal calibration makes of the intervals or label sets; nothing where it is not asked for."""
    if (found := metrics.get("conformal")) is None:
        return ""
    entry = next(one for one in found["levels"] if one["level"] == level)
    before, after = entry["before"], entry["after"]
    if metrics["task"] == "classification":
        return (
            f" Its {formatting.level(level)} label sets hold the class of {formatting.percent(before['coverage'])} and "
            f"have {formatting.number(before['size'], 3)} classes on average, after conformal calibration "
            f"{formatting.percent(after['coverage'])} and {formatting.number(after['size'], 3)}."
        )
    if entry["limit"] is None:
        return f" After conformal calibration they have no end: {found['n_rows']} rows are too few for it."
    unit = f" {metrics['target_unit']}" if metrics["target_unit"] else ""
    return (
        f" After conformal calibration they hold {formatting.percent(after['coverage'])}, and are "
        f"{formatting.number(after['width'], 3)}{unit} wide."
    )


def comparison(metrics: Mapping[str, Any], *, trusted: bool = True) -> Mark:
    """Say how the BNN and the baseline network score, and whether the test rows tell them apart.

    The negative log likelihood decides, which judges probabilities and not predictions alone.
    """
    found = metrics["differences"]["baseline"]
    level, word = _OF_OUTCOMES[outcome(found.get("nll"), METRICS["nll"])]
    if not trusted:
        level, word = "bad", DOUBTED
    name = headline(metrics)
    text = f"{_compared(metrics, name)}{_largest_class(metrics)}; {_compared(metrics, 'nll')}."
    text = text[:1].upper() + text[1:] + (_others(metrics) if trusted else "")
    return Mark("Against the baseline network", level, word, text)


def _others(metrics: Mapping[str, Any]) -> str:
    """Say which of the other models the BNN is better and worse than, by the NLL, or the headline score without one.

    Where the headline score is worse and the NLL is not, that is said too.
    """
    found: dict[tuple[str, str], list[str]] = {}
    name = headline(metrics)
    for model, entry in metrics["differences"].items():
        if model == "baseline":
            continue
        words = {by: outcome(entry.get(by), METRICS[by]) for by in ("nll", name)}
        scores = [name] if model in metrics["without_density"] else ["nll"]
        if words[name] == "worse" and words["nll"] != "worse":
            scores = ["nll", name]
        for by in scores:
            if words[by] in ("better", "worse"):
                found.setdefault((_label(METRICS[by]), words[by]), []).append(_NAMED[model])
    return "".join(f" By {label} it is {word} than {_and(names)}." for (label, word), names in found.items())


def _label(metric: Metric) -> str:
    """Return the name of a metric within a sentence."""
    return metric.label if metric.label.isupper() else metric.label.lower()


def _and(names: Sequence[str]) -> str:
    """Return names with commas, and "and" before the last."""
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def _compared(metrics: Mapping[str, Any], name: str) -> str:
    metric, entry = METRICS[name], metrics["differences"]["baseline"].get(name)
    value, ends = difference(entry, metric)
    own, other = scores_beside(
        [metrics["models"][model]["test"].get(name) for model in ("bnn", "baseline")], entry, metric
    )
    label = _EXPLAINED.get(name, _label(metric))
    if not ends:
        return f"{label} {own} against {other}, difference {value} (it could not be computed)"
    unit = (
        " points"
        if metric.is_share
        else f" {metrics['target_unit']}"
        if metric.has_unit and metrics["target_unit"]
        else ""
    )
    if ends == SAME:
        return f"{label} {own} for both ({SAME})" if own == other else f"{label} {own} against {other}"
    level = formatting.level(metrics["bootstrap"]["level"])
    if "×" not in value:  # the interval says more than the error
        value = value.partition(" ±")[0]
    own_unit = "" if metric.is_share else unit
    return f"{label} {own} against {other}{own_unit}, difference {value}{unit} ({level} interval {ends})"


def _largest_class(metrics: Mapping[str, Any]) -> str:
    """Say which share of the test rows one class has: what always naming it would be right about."""
    if metrics["task"] != "classification":
        return ""
    # Any model's report does: how many rows a class has is the same in all.
    report = metrics["classification_report"]["test"]["bnn"]
    largest = max(report, key=lambda entry: entry["support"])
    share = largest["support"] / sum(entry["support"] for entry in report)
    return f" (always naming {largest['class']}: {formatting.percent(share)})"


def kind_of_rows(metrics: Mapping[str, Any]) -> str:
    """Say what the least sure rows have in common: their classes, or the feature in which they stand out."""
    rows = metrics["rows"]["most_uncertain"]
    if len(rows) < 3:
        return ""
    number = formatting.count(len(rows))
    said = []
    if metrics["task"] == "classification":
        classes = [row["y"] for row in rows]
        names = sorted(set(classes), key=lambda name: (-classes.count(name), classes.index(name)))
        shares = [f"{classes.count(name)} of {name}" for name in names[:_MOST_CLASSES]]
        rest = len(classes) - sum(classes.count(name) for name in names[:_MOST_CLASSES])
        shares += [f"{rest} of others"] if rest else []
        said.append(f"of the {number} least sure rows {listing(shares)}")
    # An exposure comes last, and is no finding: whatever is counted over more varies more.
    deviations = [row["standardised"][: metrics["n_features"]] for row in rows]
    means = [sum(values) / len(rows) for values in zip(*deviations, strict=True) if None not in values]
    if means and len(means) == metrics["n_features"]:
        names = metrics["feature_names"]
        means = [
            0.0 if name in of_levels(metrics) else mean for name, mean in zip(names, means, strict=False)
        ]
        index = max(range(len(means)), key=lambda place: abs(means[place]))
        name = names[index]
        if abs(means[index]) >= _STANDS_OUT:
            lead = "their" if said else f"in the {number} least sure rows"
            off = formatting.deviation(means[index])
            if name.endswith(INDICATES):
                times = "more" if means[index] > 0 else "less"
                missing = f"{name.removesuffix(INDICATES)} is missing {times} often than in the training rows ({off})"
                said.append(missing if said else f"{lead} {missing}")
            else:
                said.append(f"{lead} {name} is on average {off} from the mean of the training rows")
        elif not said:
            said.append(f"no feature stands out in the {number} least sure rows, on average")
    text = ", ".join(said)
    return f"{text[:1].upper()}{text[1:]}." if text else ""


def least_told(found: Mapping[str, Any]) -> str:
    """Say which kind of out-of-distribution inputs the BNN tells from test rows worst.

    Parameters
    ----------
    found
        `out_of_distribution` of checks.json.
    """
    known = [kind for kind in found["kinds"] if kind["models"]["bnn"]["auroc"] is not None]
    if not known:
        return ""
    least = min(known, key=lambda kind: kind["models"]["bnn"]["auroc"])
    entry = least["models"]["bnn"]
    error = None if formatting.is_negligible(entry["se"], entry["auroc"]) else entry["se"]
    auroc = formatting.estimate(entry["auroc"], error, 3)
    text = (
        f"Do out-of-distribution inputs have more uncertainty than test rows? Of {least['name']} ones, the hardest, "
        f"the AUROC is {auroc} (1: always, 0.5: as often as not)"
    )
    if entry["auroc"] < 0.5:
        text += "; below 0.5 the model is surer of such inputs than of test rows"
    return f"{text}."


def drivers(found: Mapping[str, Any]) -> str:
    """Say which columns matter most, and how many do at all.

    Parameters
    ----------
    found
        `effects` of checks.json.
    """
    known = [entry for entry in found["importance"] if entry["value"] is not None and entry["se"] is not None]
    clear = [entry for entry in known if entry["value"] > 2 * entry["se"]]
    if not clear:
        return "These test rows show of no column that it matters: shuffled, none clearly makes predictions worse."
    named = [f"{entry['name']} by {formatting.estimate(entry['value'], entry['se'])}" for entry in clear[:3]]
    n_columns = found["n_columns"]
    matter = f"{formatting.count(len(clear))} of {formatting.count(n_columns)} column{'s' * (n_columns > 1)}"
    return (
        f"{matter} clearly matter{'s' if len(clear) == 1 else ''} on the test rows (beyond two standard errors). "
        f"Shuffled, the NLL (nats a row, ± one standard error) rises most for {', then '.join(named)}."
    )
