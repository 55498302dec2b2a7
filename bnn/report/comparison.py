"""Tables of metrics.json: how good the predictions are, and whether the Bayesian network is the better model."""

from collections.abc import Mapping
from typing import Any

from bnn.core import formatting
from bnn.report.table import (
    DOUBTED,
    ECE_NOTE,
    FEW_NOTE,
    FEW_ROWS,
    MANY_NOTE,
    METRICS,
    MODELS,
    NO_DENSITY,
    OUTCOMES,
    SAME,
    Cell,
    Metric,
    Row,
    Table,
    density_note,
    difference,
    lacks_density,
    missing_note,
    models_of,
    outcome,
    score,
)

_OF_INTERVALS = ("coverage_", "width_")
_SCORE_MISSING = "the metric is not defined for these rows, or was not finite"


def scores(metrics: Mapping[str, Any], split: str, *, trusted: bool = True) -> Table:
    """Compare the models on the rows of a split, without the intervals.

    Parameters
    ----------
    metrics
        Content of metrics.json.
    split
        "test", with standard errors over rows, or "train", without.
    trusted
        Whether the chains converged; if not, the caption says what that means for the table.
    """
    found = metrics["models"]
    models = models_of(found)
    error = "se" if split == "test" else None
    present = {name: None for model in models for name in found[model][split]}
    # A metric that this table does not know is shown under its own name rather than dropped.
    others = [name for name in present if name not in METRICS and not name.startswith(_OF_INTERVALS)]
    rows = []
    for name in [name for name in METRICS if name in present] + others:
        metric = METRICS.get(name, Metric(name, "", 0))
        entries = [found[model][split].get(name) for model in models]
        mcse = (entries[0] or {}).get("mcse")
        shown = formatting.percent(mcse) if metric.is_share else formatting.number(mcse, 2)
        cells = [
            Cell(NO_DENSITY if lacks_density(metrics, model, name) else score(entry, metric, error))
            for model, entry in zip(models, entries, strict=True)
        ]
        rows.append(Row(metric.label, remark(metric, metrics), (*cells, Cell(shown))))
    doubt = "" if trusted else ": not to be trusted, the chains have not converged"
    caption = f"{split.capitalize()} rows ({formatting.count(metrics[f'n_{split}'])}){doubt}"
    columns = ("Metric", *(MODELS.get(model, model) for model in models), "Monte Carlo error, BNN")
    notes = missing_note(rows, _SCORE_MISSING) + density_note(rows, metrics["without_density"])
    notes += _of_which_class(metrics)
    return Table(f"comparison-{split}", caption, columns, tuple(rows), notes=notes)


def _of_which_class(metrics: Mapping[str, Any]) -> tuple[str, ...]:
    """Say what the scores mean that are of one class."""
    if metrics["task"] != "classification":
        return ()
    if metrics["positive_class"] is not None:
        return (f"Average precision is of the rarer class, {metrics['positive_class']}.",)
    return (
        "AUROC and average precision set each class against the rest, and are means over classes: all count alike, "
        "however rare.",
    )


def remark(metric: Metric, metrics: Mapping[str, Any]) -> str:
    """Unit of a metric and which of its values are good."""
    unit = metrics["target_unit"] if metric.has_unit else ""
    return ", ".join(text for text in (unit, metric.better) if text)


def differences(metrics: Mapping[str, Any], *, trusted: bool = True) -> Table:
    """The BNN minus each other model on the test rows, and what the interval of the difference says."""
    found = metrics["differences"]
    others = [model for model in models_of(metrics["models"]) if model in found]
    rows = []
    for name, metric in METRICS.items():
        if not any(name in found[other] for other in others):
            continue
        cells = []
        for other in others:
            if lacks_density(metrics, other, name):
                cells.append(Cell(NO_DENSITY))
                continue
            entry = found[other].get(name)
            value, ends = difference(entry, metric)
            words, flag = OUTCOMES[outcome(entry, metric)] if trusted or not metric.sign else (DOUBTED, "")
            cells.append(Cell(value, flag, ends if ends in ("", SAME) else f"{ends}\n{words}"))
        unit = "percentage points" if metric.is_share else metrics["target_unit"] if metric.has_unit else ""
        rows.append(Row(metric.label, unit, tuple(cells)))
    level = formatting.level(metrics["bootstrap"]["level"])
    doubt = "" if trusted else "; not to be trusted, the chains have not converged"
    return Table(
        "differences",
        f"BNN minus the other model, test rows ({level} interval below{doubt})",
        ("Metric", *(MODELS.get(other, other) for other in others)),
        tuple(rows),
        notes=(
            *missing_note(rows, _SCORE_MISSING),
            *density_note(rows, metrics["without_density"]),
            *_cautions(metrics),
        ),
    )


def _cautions(metrics: Mapping[str, Any]) -> tuple[str, ...]:
    """What must be known to read the differences."""
    few = (FEW_NOTE,) if metrics["n_test"] < FEW_ROWS else ()
    return (*few, MANY_NOTE, *((ECE_NOTE,) if metrics["task"] == "classification" else ()))


def intervals(metrics: Mapping[str, Any]) -> Table:
    """Compare coverage and width of the central intervals of the models; regression only."""
    found = metrics["models"]
    models = models_of(found)
    unit = f" [{metrics['target_unit']}]" if metrics["target_unit"] else ""
    coverage, width = Metric("", "", 0, is_share=True), Metric("", "", 0, has_unit=True)
    names = {name for model in models for name in found[model]["test"] if name.startswith("coverage_")}
    rows = []
    for level in sorted(int(name.removeprefix("coverage_")) for name in names):
        cells = []
        for model in models:
            of_model = found[model]["test"]
            cells += [Cell(score(of_model.get(f"coverage_{level}"), coverage))]
            cells += [Cell(score(of_model.get(f"width_{level}"), width, None))]
        rows.append(Row(f"{level} %", "", tuple(cells)))
    return Table(
        "intervals-test",
        "Intervals, test rows",
        ("Interval", *(("Coverage", f"Mean width{unit}") * len(models))),
        tuple(rows),
        groups=(("", 1), *((MODELS.get(model, model), 2) for model in models)),
        notes=missing_note(rows, "the interval was not finite"),
    )


def classes(metrics: Mapping[str, Any]) -> Table:
    """Precision, recall and F1 of each class and model."""
    reports = metrics["classification_report"]["test"]
    models = models_of(reports)
    names = ("precision", "recall", "f1")
    rows = []
    for index, first in enumerate(reports[models[0]]):
        entries = [reports[model][index] for model in models]
        cells = [Cell(formatting.count(first["support"]), sort=first["support"])]
        cells += [
            Cell(formatting.percent(entry[name]), sort=entry[name]) for entry in entries for name in names
        ]
        rows.append(Row(first["class"], "", tuple(cells)))
    return Table(
        "classes-test",
        "Each class, test rows",
        ("Class", "Rows", *(("Precision", "Recall", "F1") * len(models))),
        tuple(rows),
        groups=(("", 2), *((MODELS.get(model, model), len(names)) for model in models)),
        sortable=len(rows) > 2,
    )


def uncertainty(metrics: Mapping[str, Any]) -> Table:
    """Mean total uncertainty of the BNN, split into aleatoric and epistemic: entropies, or standard deviations."""
    is_class = metrics["task"] == "classification"
    unit = (
        "nats"
        if is_class
        else "standard deviation" + (f", {metrics['target_unit']}" if metrics["target_unit"] else "")
    )
    rows = []
    for split in ("test", "train"):
        parts = metrics["uncertainty"][split]
        total, epistemic = parts["total"], parts["epistemic"]
        share = epistemic / total if total and epistemic is not None else None
        values = [parts[name] for name in ("total", "aleatoric", "epistemic")]
        # Variances of a target: a reader knows the unit of their roots.
        shown = (
            values if is_class else [None if value is None else max(value, 0.0) ** 0.5 for value in values]
        )
        cells = [Cell(text) for text in formatting.column(shown)]
        rows.append(Row(f"{split.capitalize()} rows", "", (*cells, Cell(formatting.percent(share)))))
    columns = ("Mean over", "Total", "Aleatoric", "Epistemic", "Epistemic share")
    notes: tuple[str, ...] = (
        () if is_class else ("Squares of standard deviations add up; the share is of variances.",)
    )
    notes += missing_note(rows, "there is no uncertainty to split, or it was not finite")
    return Table("uncertainty", f"Uncertainty of the BNN ({unit})", columns, tuple(rows), notes=notes)


def calibration(metrics: Mapping[str, Any]) -> Table:
    """How far each model is from calibrated, beside what chance alone would give on as many rows."""
    found = metrics["calibration"]
    rows = []
    for model in models_of(found):
        entry = found[model]
        if metrics["task"] == "classification":
            cells = [Cell(formatting.percent(entry[name])) for name in ("ece", "ece_if_calibrated")]
            cells.append(Cell(formatting.number(entry["ece_p_value"], 2)))
        else:
            outside = sum(
                point["coverage"] is not None
                and not point["band_lower"] <= point["coverage"] <= point["band_upper"]
                for point in entry["coverage"]
            )
            cells = [Cell(formatting.number(entry["pit"]["p_value"], 2))]
            cells.append(Cell(f"{outside} of {len(entry['coverage'])}"))
        rows.append(Row(MODELS.get(model, model), "", tuple(cells)))
    if metrics["task"] == "classification":
        columns: tuple[str, ...] = ("Model", "ECE", "ECE if it were calibrated", "p-value")
    else:
        columns = ("Model", "p-value, PIT uniform", "Levels whose coverage is outside its band")
    notes = missing_note(rows, "the figure was not finite")
    return Table("calibration", "Calibration, test rows", columns, tuple(rows), notes=notes)
