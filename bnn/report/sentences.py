"""The answer in three sentences: can the sampling be trusted, is it the better model, how sure is it.

They say numbers and what an interval includes or not; no adjective stands here that a number does not carry.
"""

from collections.abc import Mapping
from typing import Any

from bnn.core import formatting
from bnn.core.row_names import row_name
from bnn.diagnostics.verdict import worst, worst_places
from bnn.report.table import DOUBTED, METRICS, SAME, Metric, difference, headline, outcome, score

_CHANCE = 0.5
_MEANS = {
    "better": "all of it in favour of the BNN",
    "worse": "all of it in favour of the ordinary network",
    "open": "which includes 0: these rows do not tell the two apart",
}


def answer(
    diagnostics: Mapping[str, Any], metrics: Mapping[str, Any], checks: Mapping[str, Any]
) -> tuple[str, str, str]:
    """Return three sentences for the top of the page of a dataset.

    Parameters
    ----------
    diagnostics, metrics, checks
        Contents of diagnostics.json, metrics.json and checks.json.
    """
    trusted = diagnostics["verdict"] != "FAIL"
    return trust(diagnostics), comparison(metrics, trusted=trusted), certainty(metrics, checks)


def trust(diagnostics: Mapping[str, Any]) -> str:
    """Say what R-hat and ESS are, or which of their limits is missed, where and by how much."""
    verdict, limits = diagnostics["verdict"], diagnostics["thresholds"]
    is_one = diagnostics["n_chains"] == 1
    chains = "The only chain" if is_one else f"The {diagnostics['n_chains']} chains"
    stay = "stays" if is_one else "stay"
    if verdict == "PASS":
        rhat, ess = worst(diagnostics)
        noise = "" if diagnostics["noise_scale"] is None else ", the noise scale"
        return (
            f"{chains} {stay} within every limit (PASS): over the predictions at every row{noise} and the log density, "
            f"R-hat is at most {formatting.rhat(rhat)} (limit {limits['rhat_warn']:g}) and the bulk effective sample "
            f"size at least {formatting.count(ess)} (limit {limits['ess_warn']:g})."
        )
    misses = _misses(diagnostics, verdict.lower())
    # What is neither R-hat nor ESS, such as a chain that is stuck, is said in the words of its finding.
    others = [item for item in diagnostics["findings"] if item["name"] not in ("rhat", "ess")]
    quoted = [] if misses else [item for item in others if item["level"] == verdict][:1]
    said = "; ".join(misses.values() or [item["text"].rstrip(".") for item in quoted])
    unsaid = {item["name"] for item in diagnostics["findings"]} & {"rhat", "ess"} - misses.keys()
    n_more = len(others) - len(quoted) + len(unsaid)
    what = "what speaks against the run, and what to change, stands below."
    if n_more:
        what = f"{n_more} more finding{'' if n_more == 1 else 's'}, and what to change, stand below."
    if verdict == "WARN":
        return f"{chains} {stay} within every limit of failure but not of warning (WARN): {said}. {what.capitalize()}"
    return (
        f"{chains} did not converge (FAIL): {said}. No figure of the BNN on this page is to be trusted before that is "
        f"mended: {what}"
    )


def _misses(diagnostics: Mapping[str, Any], level: str) -> dict[str, str]:
    """Say of R-hat and of ESS by how much the worst misses the limit of a level, and of what: kind of finding -> text.

    Empty if none does.
    """
    limits, said = diagnostics["thresholds"], {}
    (rhat, of_rhat), (ess, of_ess) = worst_places(diagnostics)
    if rhat is None or ess is None:
        return {"missing": "R-hat or the effective sample size cannot be computed"}
    limit = limits[f"rhat_{level}"]
    if rhat > limit:
        above = formatting.rhat(rhat - limit)
        said["rhat"] = f"R-hat of {of_rhat} is {formatting.rhat(rhat)}, {above} above the limit of {limit:g}"
    limit = limits[f"ess_{level}"]
    if ess < limit:
        size = formatting.count(ess)
        said["ess"] = f"the bulk effective sample size of {of_ess} is {size}, below the limit of {limit:g}"
    return said


def comparison(metrics: Mapping[str, Any], *, trusted: bool = True) -> str:
    """Say how the BNN and the ordinary network score, and whether the test rows tell them apart.

    If the chains have not converged (`trusted` is false) it says no more than the numbers.
    """
    name = headline(metrics)
    metric, nll = METRICS[name], METRICS["nll"]
    unit = f" {metrics['target_unit']}" if metric.has_unit and metrics["target_unit"] else ""
    own, other = (
        score(metrics["models"][model]["test"].get(name), metric) + unit for model in ("bnn", "baseline")
    )
    n_test = formatting.count(metrics["n_test"])
    label = metric.label if metric.label.isupper() else metric.label.lower()
    return (
        f"On {n_test} test rows{_largest_class(metrics)} the {label} is {own} for the BNN and {other} for the ordinary "
        f"network, a difference of {_difference(metrics, name, metric, unit, trusted)}; "
        f"the difference in negative log likelihood is {_difference(metrics, 'nll', nll, ' nats a row', trusted)}."
    )


def _largest_class(metrics: Mapping[str, Any]) -> str:
    """Say which share of the test rows one class has: what always naming it would be right about."""
    if metrics["task"] != "classification":
        return ""
    # Any model's report does: how many rows a class has is the same in all.
    report = metrics["classification_report"]["test"]["bnn"]
    largest = max(report, key=lambda entry: entry["support"])
    share = largest["support"] / sum(entry["support"] for entry in report)
    return f", of which {formatting.percent(share)} are of one class, {largest['class']},"


def _difference(metrics: Mapping[str, Any], name: str, metric: Metric, unit: str, trusted: bool) -> str:
    entry = metrics["differences"]["baseline"].get(name)
    value, ends = difference(entry, metric)
    if not ends:
        return f"{value} (it could not be computed)"
    unit = " percentage points" if metric.is_share else unit
    if ends == SAME:
        return f"{value}{unit} ({ends})"
    level = formatting.level(metrics["bootstrap"]["level"])
    means = _MEANS[outcome(entry, metric)] if trusted else DOUBTED
    return f"{value}{unit} ({level} interval {ends}, {means})"


def certainty(metrics: Mapping[str, Any], checks: Mapping[str, Any]) -> str:
    """Say how far the BNN's own statements of certainty hold, and for which row it is least sure."""
    rows = metrics["rows"]["most_uncertain"]
    least = ""
    if metrics["task"] == "classification":
        found = metrics["calibration"]["bnn"]
        held = (
            "The BNN's confidence differs from the share of rows that it gets right by "
            f"{formatting.percent(found['ece'])} on average (ECE), where a calibrated model would by "
            f"{formatting.percent(found['ece_if_calibrated'])} "
            f"(p = {formatting.number(found['ece_p_value'], 2)})"
        )
        if rows:
            row = rows[0]
            least = (
                f"; it is least sure of row {row_name(row)}, which it calls {row['predicted']} with "
                f"probability {formatting.probability(row['probability'], 2)}"
            )
    else:
        unit = f" {metrics['target_unit']}" if metrics["target_unit"] else ""
        scores = metrics["models"]["bnn"]["test"]
        share = score(scores.get("coverage_90"), Metric("", "", 0, is_share=True))
        width = score(scores.get("width_90"), Metric("", "", 0), None)
        held = f"The BNN's 90 % intervals hold {share} of the test rows and are {width}{unit} wide on average"
        if rows:
            row = rows[0]
            least = (
                f"; it is least sure of row {row_name(row)}, for which it predicts "
                f"{formatting.number(row['predicted'])}{unit} with a standard deviation of "
                f"{formatting.number(row['total'], 3)}{unit}"
            )
    return f"{held}{least}{_strange(checks['out_of_distribution'])}."


def _strange(found: Mapping[str, Any]) -> str:
    """Say which kind of strange inputs the BNN tells from test rows worst, if one is worse than others."""
    kinds = {kind["name"]: kind["models"]["bnn"] for kind in found["kinds"]}
    known = {name: entry for name, entry in kinds.items() if entry["auroc"] is not None}
    if not known:
        return ""
    aurocs = [entry["auroc"] for entry in known.values()]
    name, entry = min(known.items(), key=lambda item: item[1]["auroc"])
    is_sure = formatting.is_negligible(entry["se"], entry["auroc"])
    auroc = formatting.estimate(entry["auroc"], None if is_sure else entry["se"])
    against = "0.5 would be chance"
    if entry["auroc"] < _CHANCE:
        against += "; below it the BNN is surer of such inputs than of test rows"
    if len(known) > 1 and min(aurocs) == max(aurocs):
        return f"; it tells all kinds of strange inputs from test rows with an AUROC of {auroc} ({against})"
    if len(known) == 1:
        return f"; it tells {name} inputs from test rows with an AUROC of {auroc} ({against})"
    return (
        f"; of the kinds of strange inputs it tells {name} ones from test rows worst, with an AUROC of {auroc} "
        f"({against})"
    )
