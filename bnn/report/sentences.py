"""The answer in three marks: can the sampling be trusted, are its uncertainties right, is it the better model.

They say numbers and what an interval includes or not; no adjective stands here that a number does not carry.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bnn.core import formatting
from bnn.diagnostics.verdict import worst, worst_places
from bnn.report.table import DOUBTED, METRICS, SAME, difference, headline, outcome, scores_beside

SIGNS = {"good": "✓", "open": "!", "bad": "✕"}
"""Level of a mark -> its sign."""
VERDICTS = {"PASS": "good", "WARN": "open", "LOCAL": "open", "FAIL": "bad"}
"""Verdict on the chains -> level of its mark."""
_OFF = ("coverage_90_off", "pit_off")
_FALSE_ALARMS = 0.01
"""p-value of the ECE below which confidence is flagged, as the flags of a real target are."""
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
        # What is neither R-hat nor ESS, such as a chain that is stuck, is said in the words of its finding.
        others = [item["text"] for item in diagnostics["findings"] if item["level"] == verdict]
        text = f"{'; '.join(said) or others[0].rstrip('.')}."
        if verdict == "FAIL":
            text += f" The {chains} did not converge: no figure of the BNN on this page is to be trusted."
        elif verdict == "LOCAL":
            text += " Each chain is sound by itself, and they do not mix: predictions are averages over all of them."
    return Mark("Sampling", VERDICTS[verdict], verdict, text[:1].upper() + text[1:])


def _misses(diagnostics: Mapping[str, Any], level: str) -> list[str]:
    """Say by how much the worst R-hat and ESS miss the limit of a level, and of what; empty if none does."""
    limits, said = diagnostics["thresholds"], []
    (rhat, of_rhat), (ess, of_ess) = worst_places(diagnostics)
    if rhat is None or ess is None:
        return ["R-hat or the effective sample size cannot be computed"]
    limit = limits[f"rhat_{level}"]
    if rhat > limit:
        said.append(f"R-hat of {of_rhat} is {formatting.rhat(rhat)} (limit {limit:g})")
    limit = limits[f"ess_{level}"]
    if ess < limit:
        said.append(f"the effective sample size of {of_ess} is {formatting.count(ess)} (limit {limit:g})")
    return said


def certainty(metrics: Mapping[str, Any], *, trusted: bool = True) -> Mark:
    """Say whether the BNN is as sure as it is right; too sure is worse than not sure enough."""
    n_test = formatting.count(metrics["n_test"])
    if metrics["task"] == "classification":
        found = metrics["calibration"]["bnn"]
        confidence, right = mean_confidence(metrics), metrics["models"]["bnn"]["test"]["accuracy"]["value"]
        text = (
            f"It is {formatting.percent(confidence)} sure of the class that it names, on average, and right for "
            f"{formatting.percent(right)} of {n_test} test rows."
        )
        off = found["ece_p_value"] is not None and found["ece_p_value"] < _FALSE_ALARMS
        too_sure = None not in (confidence, right) and confidence > right
    else:
        unit = f" {metrics['target_unit']}" if metrics["target_unit"] else ""
        entry, width = (metrics["models"]["bnn"]["test"].get(name) for name in ("coverage_90", "width_90"))
        held = None if entry is None else entry["value"]
        wide = (
            "" if width is None else f", and are {formatting.number(width['value'], 3)}{unit} wide on average"
        )
        text = f"Its 90 % intervals hold {formatting.percent(held)} of {n_test} test rows{wide}."
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


def mean_confidence(metrics: Mapping[str, Any]) -> float | None:
    """Return the mean probability of the predicted class over the test rows; None without a row."""
    bins = metrics["calibration"]["bnn"]["bins"]
    n_rows = sum(item["n_rows"] for item in bins)
    return sum(item["n_rows"] * item["confidence"] for item in bins) / n_rows if n_rows else None


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
    text = text[:1].upper() + text[1:]
    return Mark("Against the baseline network", level, word, text)


def _compared(metrics: Mapping[str, Any], name: str) -> str:
    metric, entry = METRICS[name], metrics["differences"]["baseline"].get(name)
    value, ends = difference(entry, metric)
    own, other = scores_beside(
        [metrics["models"][model]["test"].get(name) for model in ("bnn", "baseline")], entry, metric
    )
    label = metric.label if metric.label.isupper() else metric.label.lower()
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
    return f" (always naming {largest['class']} would be right for {formatting.percent(share)})"


def kind_of_rows(metrics: Mapping[str, Any]) -> str:
    """Say what the least sure rows have in common: their classes, or the feature in which they stand out."""
    rows = metrics["rows"]["most_uncertain"]
    if len(rows) < 3:
        return ""
    number = formatting.count(len(rows))
    said = []
    if metrics["task"] == "classification":
        classes = [row["y"] for row in rows]
        names = sorted(set(classes), key=lambda name: (-classes.count(name), classes.index(name)))[:2]
        shares = " and ".join(f"{classes.count(name)} of {name}" for name in names)
        said.append(f"of the {number} least sure rows {shares}")
    deviations = [row["standardised"] for row in rows]
    means = [sum(values) / len(rows) for values in zip(*deviations, strict=True) if None not in values]
    if means and len(means) == len(metrics["feature_names"]):
        index = max(range(len(means)), key=lambda place: abs(means[place]))
        name = metrics["feature_names"][index]
        lead = "and in all" if said else f"in the {number} least sure rows"
        said.append(
            f"{lead} {name} is on average {formatting.deviation(means[index])} from the mean of the training rows"
        )
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
    text = f"Of out-of-distribution inputs it tells {least['name']} ones worst from test rows: AUROC {auroc}"
    if entry["auroc"] < 0.5:
        text += "; below 0.5 it is surer of such inputs than of test rows"
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
        return "No column matters beyond its error: shuffled, none makes the predictions worse."
    named = [f"{entry['name']} by {formatting.estimate(entry['value'], entry['se'])}" for entry in clear[:3]]
    matter = f"{formatting.count(len(clear))} of {formatting.count(found['n_columns'])} columns"
    return (
        f"{matter} matter{'s' if len(clear) == 1 else ''} beyond two standard errors. Shuffled, the NLL (nats a row) "
        f"rises most for {', then '.join(named)}."
    )
