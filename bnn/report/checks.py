"""Tables of checks.json: can the model be right, and does it know what it does not know."""

from collections.abc import Mapping
from typing import Any

from bnn.core import formatting
from bnn.core.row_names import row_name
from bnn.report.table import (
    DOUBTED,
    METRICS,
    MODELS,
    OUTCOMES,
    Cell,
    Metric,
    Row,
    Table,
    missing_note,
    models_of,
    outcome,
)

_AUROC = Metric("AUROC", "higher is better", 1)
_CHANCE = 0.5
_NOT_COMPUTED = "the figure could not be computed"


def out_of_distribution(checks: Mapping[str, Any], *, trusted: bool = True) -> Table:
    """How well each model tells test rows from inputs of another kind: AUROC and NLL, a row a kind and model.

    If the chains have not converged (`trusted` is false) no difference is called one.
    """
    found = checks["out_of_distribution"]
    resamples = f"no error seen in {formatting.count(found['n_replicates'])} resamples"
    rows, always_alike = [], False
    for kind in found["kinds"]:
        for model in models_of(kind["models"]):
            entry, gap = kind["models"][model], kind["differences"].get(model)
            exact = formatting.is_negligible(entry["se"], entry["auroc"])
            always_alike |= exact and entry["auroc"] == _CHANCE
            cells = [Cell(_estimated(entry["auroc"], entry["se"]), "", resamples if exact else "")]
            cells.append(Cell("–") if gap is None else _difference(gap, resamples, trusted))
            cells.append(Cell(formatting.number(entry["nll"], 3)))
            described = kind["description"] if model == "bnn" else ""
            rows.append(Row(f"{kind['name']}, {MODELS.get(model, model)}", described, tuple(cells)))
    numbers = ", ".join(f"{formatting.count(kind['n_rows'])} {kind['name']}" for kind in found["kinds"])
    notes = ["The error holds other test rows and, for shifted inputs, other directions."]
    if always_alike:
        notes.append(
            "An AUROC of 0.5 without error is that of a model with one noise for all inputs: it is as sure of each "
            "by construction, so no input can move it."
        )
    return Table(
        "out-of-distribution",
        f"Telling out-of-distribution inputs from test rows by the {found['score']} "
        f"({formatting.count(found['n_rows'])} test rows against {numbers} inputs)",
        ("Inputs, model", "AUROC", "BNN minus this model", "NLL [nats a row]"),
        tuple(rows),
        notes=(*notes, *missing_note(rows, "such inputs have no target, or the figure was not finite")),
    )


def hole(checks: Mapping[str, Any], metrics: Mapping[str, Any]) -> Table | None:
    """Width of the 90 % intervals in the hole between training rows and at them; None without a hole."""
    found = checks["hole"]
    if not found:
        return None
    unit = f" [{metrics['target_unit']}]" if metrics["target_unit"] else ""
    rows = tuple(
        Row(
            MODELS.get(model, model),
            "",
            tuple(
                Cell(formatting.number(found["models"][model][name], digits))
                for name, digits in (("width_inside", 4), ("width_data", 4), ("ratio", 3))
            ),
        )
        for model in models_of(found["models"])
    )
    ends = f"{formatting.number(found['lower'], 3)} to {formatting.number(found['upper'], 3)}"
    columns = ("Model", f"Width inside{unit}", f"Width at the data{unit}", "Ratio")
    notes = missing_note(rows, _NOT_COMPUTED)
    return Table(
        "hole", f"90 % intervals inside the widest gap of the data ({ends})", columns, rows, notes=notes
    )


def leave_one_out(checks: Mapping[str, Any]) -> Table:
    """PSIS-LOO on training rows beside the score of the test rows."""
    loo = checks["loo"]
    count, number = formatting.count, formatting.number
    flag, doubt = ("warn", "not reliable") if loo["n_above"] else ("", "")
    limit = number(loo["k_threshold"], 2)
    rows = (
        Row(
            "NLL by leave-one-out",
            "training rows, nats a row",
            (_estimate(loo, "nll", "nll_se", flag, doubt),),
        ),
        Row("NLL of the test rows", "nats a row", (_estimate(loo, "nll_test", "nll_test_se"),)),
        Row("elpd", "sum over training rows, nats", (_estimate(loo, "elpd_loo", "se", flag, doubt),)),
        Row("Effective number of parameters", "p_loo", (Cell(number(loo["p_loo"], 3), flag, doubt),)),
        Row("Largest Pareto k", "", (Cell(number(loo["k_max"], 2)),)),
        Row(
            f"Rows with k above {limit}",
            f"of {count(loo['n_rows'])}",
            (Cell(count(loo["n_above"]), flag),),
        ),
    )
    notes = missing_note(rows, _NOT_COMPUTED)
    if loo["n_above"]:
        notes = (
            f"k is above its limit for {count(loo['n_above'])} of {count(loo['n_rows'])} rows: the figures by "
            "leave-one-out are not reliable, and as a rule too good. Their errors do not hold this.",
            *notes,
        )
    return Table("leave-one-out", "Leave-one-out (PSIS-LOO)", ("Quantity", "Value"), rows, notes=notes)


def predictive_checks(checks: Mapping[str, Any], which: str) -> Table:
    """Statistics of the observed targets beside those of targets that the model makes.

    Parameters
    ----------
    checks
        Content of checks.json.
    which
        "posterior_predictive" or "prior_predictive".
    """
    rows = []
    (lowest, highest) = next(
        flag["limit"] for flag in checks["flags"] if flag["name"] == "posterior_predictive_off"
    )
    for check in checks[which]:
        observed, mean, lower, upper = (check[name] for name in ("observed", "mean", "lower", "upper"))
        counts = all(value is None or value == round(value) for value in (observed, lower, upper))
        shown = formatting.column([observed, lower, upper], places=0 if counts else None)
        ends = f"{shown[1]} to {shown[2]}"
        p_value = check["p_value"]
        extreme = p_value is not None and not lowest <= p_value <= highest
        # A prior need not make the observed value likely; a fitted model should.
        flag = "warn" if extreme and which == "posterior_predictive" else ""
        dash = "–" if observed is None and p_value is None else None
        cells = (
            Cell(dash or shown[0], flag),
            Cell(formatting.number(mean, 3)),
            Cell(ends),
            Cell(dash or _p_value(check), flag),
        )
        where = f"\nhere: row {row_name(check)}" if "row" in check else ""
        rows.append(Row(check["name"], f"{check['description']}{where}", cells))
    when = "after" if which == "posterior_predictive" else "before"
    return Table(
        which.replace("_", "-"),
        f"What the model believes {when} seeing the data",
        ("Statistic", "Observed", "Model, mean", "Model, 90 %", "p-value"),
        tuple(rows),
        notes=missing_note(rows, _NOT_COMPUTED),
    )


def sensitivity(checks: Mapping[str, Any], metrics: Mapping[str, Any]) -> Table:
    """Test scores under narrower and wider priors."""
    found = checks["sensitivity"]
    metric = METRICS[found["headline"]]
    rows = []
    for entry in found["factors"]:
        value, mcse = entry["headline"], entry["headline_mcse"]
        shown = formatting.percent(value, mcse) if metric.is_share else formatting.estimate(value, mcse)
        cells = (
            Cell(entry["method"]),
            Cell(formatting.number(entry["pareto_k"], 2) if entry["pareto_k"] is not None else "–"),
            Cell(formatting.count(entry["ess"]) if entry["ess"] is not None else "–"),
            Cell(shown if value is not None else "–"),
            Cell(_estimate(entry, "nll", "nll_mcse").text if entry["nll"] is not None else "–"),
        )
        rows.append(Row(f"× {entry['factor']:g}", "", cells))
    slopes = (
        Cell(_estimated(found[f"slope_{name}"], found[f"slope_{name}_mcse"]))
        if found[f"slope_{name}"] is not None
        else Cell("–")
        for name in ("headline", "nll")
    )
    rows.append(
        Row(
            "Slope at ×\N{NO-BREAK SPACE}1",
            "by the natural log of the factor",
            (Cell("derivative"), Cell("–"), Cell("–"), *slopes),
        )
    )
    unit = f" [{metrics['target_unit']}]" if metric.has_unit and metrics["target_unit"] else ""
    columns = (
        "Prior scales",
        "How",
        "Pareto k",
        "ESS of the weights",
        f"{metric.label}{unit}",
        "NLL [nats a row]",
    )
    notes = ["The number after ± is the Monte Carlo standard error."]
    if any(entry["nll"] is None for entry in found["factors"]):
        notes.append(
            "Where Pareto k is above its limit the draws cannot be reweighted, and the factor is left open; a second "
            "dataset in the config, with other scales in its prior, runs the chains under that prior."
        )
    return Table("sensitivity", "Test rows under other priors", columns, tuple(rows), notes=tuple(notes))


def _estimate(entry: Mapping[str, Any], value: str, error: str, flag: str = "", remark: str = "") -> Cell:
    return Cell(formatting.estimate(entry[value], entry[error]), flag, remark)


def _estimated(value: float | None, error: float | None) -> str:
    # An error of 0 means that no bootstrap sample differs, not that the figure is certain.
    return formatting.estimate(value, None if formatting.is_negligible(error, value) else error, 3)


def _p_value(check: Mapping[str, Any]) -> str:
    """A share of 0 or 1 of finitely many replicates is a bound, not a probability."""
    value, bound = check["p_value"], 1 / check["n_replicates"]
    if value == 0:
        return f"< {formatting.number(bound, 2)}"
    if value == 1:
        return f"> 1 − {formatting.number(bound, 2)}"
    error = None if formatting.is_negligible(check["mcse"], value) else check["mcse"]
    return formatting.estimate(value, error, 2)


def _difference(entry: Mapping[str, Any], resamples: str, trusted: bool) -> Cell:
    value, error = entry["value"], entry["se"]
    if formatting.is_negligible(error, value):
        return Cell(formatting.signed(value), "", resamples)
    words, flag = OUTCOMES[outcome(entry, _AUROC)] if trusted else (DOUBTED, "")
    ends = formatting.interval(entry["lower"], entry["upper"], error)
    return Cell(formatting.signed(value, error), flag, f"{ends}\n{words}")
