"""Tables of checks.json: can the model be right, and does it know what it does not know."""

from collections.abc import Mapping
from typing import Any

from bnn.report import formatting
from bnn.report.table import (
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
_NOT_COMPUTED = "the figure could not be computed"


def out_of_distribution(checks: Mapping[str, Any]) -> Table:
    """How well each model tells test rows from inputs that it has not seen: AUROC and NLL, a row a kind and model."""
    found = checks["out_of_distribution"]
    rows = []
    for kind in found["kinds"]:
        for model in models_of(kind["models"]):
            entry, gap = kind["models"][model], kind["differences"].get(model)
            cells = [Cell(_estimated(entry["auroc"], entry["se"]))]
            cells.append(Cell("–") if gap is None else _difference(gap))
            cells.append(Cell(formatting.number(entry["nll"], 3)))
            described = kind["description"] if model == "bnn" else ""
            rows.append(Row(f"{kind['name']}, {MODELS.get(model, model)}", described, tuple(cells)))
    return Table(
        "out-of-distribution",
        f"Telling unseen inputs by the {found['score']} ({formatting.count(found['n_rows'])} of each kind)",
        ("Inputs, model", "AUROC", "BNN minus this model", "NLL [nats a row]"),
        tuple(rows),
        notes=missing_note(rows, "such inputs have no target, or the figure was not finite"),
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
    rows = (
        Row("NLL by leave-one-out", "training rows, nats a row", (_estimate(loo, "nll", "nll_se"),)),
        Row("NLL of the test rows", "nats a row", (_estimate(loo, "nll_test", "nll_test_se"),)),
        Row("elpd", "sum over training rows, nats", (_estimate(loo, "elpd_loo", "se"),)),
        Row("Effective number of parameters", "p_loo", (Cell(number(loo["p_loo"], 3)),)),
        Row("Largest Pareto k", "", (Cell(number(loo["k_max"], 2)),)),
        Row(
            f"Rows with k above {loo['k_threshold']:g}",
            f"of {count(loo['n_rows'])}",
            (Cell(count(loo["n_above"]), "warn" if loo["n_above"] else ""),),
        ),
    )
    notes = missing_note(rows, _NOT_COMPUTED)
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
    for check in checks[which]:
        ends = f"{formatting.number(check['lower'], 3)} to {formatting.number(check['upper'], 3)}"
        observed, low, high = check["observed"], check["lower"], check["upper"]
        outside = None not in (observed, low, high) and not low <= observed <= high
        # A prior need not make the observed value likely; a fitted model should.
        flag = "warn" if outside and which == "posterior_predictive" else ""
        dash = "–" if observed is None and check["p_value"] is None else None
        cells = (
            Cell(dash or formatting.number(observed, 3), flag),
            Cell(formatting.number(check["mean"], 3)),
            Cell(ends),
            Cell(dash or formatting.estimate(check["p_value"], check["mcse"], 2)),
        )
        rows.append(Row(check["name"], check["description"], cells))
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
    unit = f" [{metrics['target_unit']}]" if metric.has_unit and metrics["target_unit"] else ""
    columns = ("Prior scales", "How", "Pareto k", "ESS", f"{metric.label}{unit}", "NLL [nats a row]")
    notes = ["The number after ± is the Monte Carlo standard error."]
    if any(entry["nll"] is None for entry in found["factors"]):
        notes.append("For a prior that needs a rerun set evaluation.sensitivity_rerun in the config.")
    return Table("sensitivity", "Test rows under other priors", columns, tuple(rows), notes=tuple(notes))


def _estimate(entry: Mapping[str, Any], value: str, error: str) -> Cell:
    return Cell(formatting.estimate(entry[value], entry[error]))


def _estimated(value: float | None, error: float | None) -> str:
    # An error of 0 means that no bootstrap sample differs, not that the figure is certain.
    return formatting.estimate(value, None if formatting.is_negligible(error, value) else error, 3)


def _difference(entry: Mapping[str, Any]) -> Cell:
    value, error = entry["value"], entry["se"]
    if formatting.is_negligible(error, value):
        return Cell(formatting.signed(value))
    words, flag = OUTCOMES[outcome(entry, _AUROC)]
    ends = formatting.interval(entry["lower"], entry["upper"], error)
    return Cell(formatting.signed(value, error), flag, f"{ends}\n{words}")
