"""Tables of the report: from the contents of diagnostics.json and metrics.json to cells of text."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bnn.report import formatting

MODELS = {"bnn": "BNN", "baseline": "Baseline", "linear": "Linear"}
_INTERVAL_LEVELS = (50, 90, 95)


@dataclass(frozen=True)
class Metric:
    """How a metric is shown: name, which values are good, is it a share, has it the target's unit."""

    label: str
    better: str
    is_share: bool
    has_unit: bool


METRICS = {
    "accuracy": Metric("Accuracy", "higher is better", True, False),
    "rmse": Metric("RMSE", "lower is better", False, True),
    "mae": Metric("MAE", "lower is better", False, True),
    "r2": Metric("R²", "higher is better, at most 1", False, False),
    "nll": Metric("NLL", "nats a row, lower is better", False, False),
    "nll_gaussian": Metric("NLL, Gaussian", "of mean and variance alone; nats a row", False, False),
    "crps": Metric("CRPS", "lower is better", False, True),
    "brier": Metric("Brier score", "lower is better", False, False),
    "ece": Metric("ECE", "lower is better", True, False),
}
"""Metrics of the comparison, in the order of its rows; intervals have their own table."""


@dataclass(frozen=True)
class Cell:
    """Text of a cell, and what is wrong with it: "" (nothing), "warn" or "fail"."""

    text: str
    flag: str = ""


@dataclass(frozen=True)
class Row:
    """A row: its heading, a remark on the heading, and its cells."""

    label: str
    remark: str
    cells: tuple[Cell, ...]


@dataclass(frozen=True)
class Table:
    """A table: id, caption, headings of groups (text, number of columns), headings, rows, notes below."""

    name: str
    caption: str
    groups: tuple[tuple[str, int], ...]
    columns: tuple[str, ...]
    rows: tuple[Row, ...]
    notes: tuple[str, ...]


def comparison(metrics: Mapping[str, Any], split: str) -> Table:
    """Compare the models on the rows of a split, without the intervals."""
    models = _models(metrics)
    known = [name for name in METRICS if any(name in metrics["models"][model][split] for model in models)]
    # A metric that this table does not know is shown under its own name rather than dropped.
    present = {name: None for model in models for name in metrics["models"][model][split]}
    of_intervals = ("coverage_", "width_")
    others = [name for name in present if name not in METRICS and not name.startswith(of_intervals)]
    rows = []
    for name in known + others:
        metric = METRICS.get(name, Metric(name, "", False, False))
        unit = metrics["target_unit"] if metric.has_unit else ""
        remark = ", ".join(text for text in (unit, metric.better) if text)
        values = [metrics["models"][model][split].get(name) for model in models]
        rows.append(Row(metric.label, remark, tuple(Cell(score(value, metric)) for value in values)))
    notes = _missing_note(rows, "the metric is not defined for these rows, or was not finite")
    columns = ("Metric", *(MODELS.get(model, model) for model in models))
    n_rows = formatting.count(metrics[f"n_{split}"])
    caption = f"{split.capitalize()} rows ({n_rows})"
    return Table(f"comparison-{split}", caption, (), columns, tuple(rows), notes)


def score(value: Mapping[str, Any] | None, metric: Metric) -> str:
    """Format an entry {"value", "mcse"} of metrics.json."""
    if value is None:
        return formatting.NOT_AVAILABLE
    if metric.is_share:
        return formatting.percent(value["value"], value["mcse"])
    return formatting.estimate(value["value"], value["mcse"])


def headline(metrics: Mapping[str, Any]) -> str:
    """Name of the metric that comes first for the task: accuracy or RMSE."""
    return "accuracy" if metrics["task"] == "classification" else "rmse"


def intervals(metrics: Mapping[str, Any], split: str) -> Table:
    """Compare coverage and width of the central intervals of the models; regression only."""
    models = _models(metrics)
    unit = f" [{metrics['target_unit']}]" if metrics["target_unit"] else ""
    coverage, width = Metric("", "", True, False), Metric("", "", False, True)
    rows = []
    for level in _INTERVAL_LEVELS:
        cells = []
        for model in models:
            scores = metrics["models"][model][split]
            cells += [Cell(score(scores.get(f"coverage_{level}"), coverage))]
            cells += [Cell(score(scores.get(f"width_{level}"), width))]
        rows.append(Row(f"{level} %", "", tuple(cells)))
    groups = (("", 1), *((MODELS.get(model, model), 2) for model in models))
    columns = ("Interval", *(("Coverage", f"Mean width{unit}") * len(models)))
    note = _missing_note(rows, "the interval was not finite")
    caption = f"{split.capitalize()} rows ({formatting.count(metrics[f'n_{split}'])})"
    return Table(f"intervals-{split}", caption, groups, columns, tuple(rows), note)


def classes(metrics: Mapping[str, Any], split: str) -> Table:
    """Classification report of the models on the rows of a split."""
    reports = metrics["classification_report"][split]
    models = [model for model in MODELS if model in reports]
    scores = ("precision", "recall", "f1")
    rows = []
    for index, first in enumerate(reports[models[0]]):
        entries = [reports[model][index] for model in models]
        cells = [Cell(formatting.count(first["support"]))]
        cells += [Cell(formatting.percent(entry[name])) for entry in entries for name in scores]
        rows.append(Row(first["class"], "", tuple(cells)))
    groups = (("", 2), *((MODELS[model], len(scores)) for model in models))
    columns = ("Class", "Rows", *(("Precision", "Recall", "F1") * len(models)))
    return Table(f"classes-{split}", f"Each class, {split} rows", groups, columns, tuple(rows), ())


def uncertainty(metrics: Mapping[str, Any]) -> Table:
    """Mean total uncertainty of the BNN, split into aleatoric and epistemic."""
    classification = metrics["task"] == "classification"
    unit = "nats" if classification else f"variance, ({metrics['target_unit'] or 'unit of the target'})²"
    rows = []
    for split in ("test", "train"):
        parts = metrics["uncertainty"][split]
        total, epistemic = parts["total"], parts["epistemic"]
        share = epistemic / total if total and epistemic is not None else None
        cells = [Cell(formatting.number(parts[name])) for name in ("total", "aleatoric", "epistemic")]
        rows.append(Row(f"{split.capitalize()} rows", "", (*cells, Cell(formatting.percent(share)))))
    columns = ("Mean over", "Total", "Aleatoric", "Epistemic", "Epistemic share")
    notes = _missing_note(rows, "there is no uncertainty to split, or it was not finite")
    return Table("uncertainty", f"Uncertainty of the BNN ({unit})", (), columns, tuple(rows), notes)


def convergence(diagnostics: Mapping[str, Any]) -> Table:
    """R-hat and ESS of the log density, the noise scale, the predictions and, to inform, the weights."""
    limits = diagnostics["thresholds"]
    rows = [_scalar_row("Log density", diagnostics["log_density"], limits)]
    if diagnostics["noise_scale"] is not None:
        rows.append(_scalar_row("Noise scale", diagnostics["noise_scale"], limits))
    for split in ("test", "train"):
        figures = diagnostics["predictions"][split]
        cells = (
            Cell(formatting.count(figures["n_quantities"])),
            _rhat_cell(figures["rhat_max"], limits),
            Cell(formatting.rhat(figures["rhat_median"])),
            _excess_cell(figures["n_rhat_above"]),
            _ess_cell(figures["ess_bulk_min"], limits),
            Cell(formatting.count(figures["ess_bulk_median"])),
            _excess_cell(figures["n_ess_bulk_below"]),
            Cell(formatting.count(figures["ess_tail_min"])),
        )
        rows.append(Row(f"Predictions, {split} rows", "", cells))
    informative = [
        ("Weights", "as sampled", diagnostics["weights"]["raw"]),
        ("Weights", "hidden units sorted", diagnostics["weights"]["canonical"]),
    ]
    if diagnostics.get("prior_scales"):
        informative.append(("Prior scales", "logarithms", diagnostics["prior_scales"]))
    for label, remark, figures in informative:
        cells = (
            Cell(formatting.count(figures["n_quantities"]) if "n_quantities" in figures else "–"),
            Cell(formatting.rhat(figures["rhat_max"])),
            Cell(formatting.rhat(figures["rhat_median"])),
            Cell("–"),
            Cell(formatting.count(figures["ess_bulk_min"])),
            Cell(formatting.count(figures["ess_bulk_median"])),
            Cell("–"),
            Cell("–"),
        )
        rows.append(Row(label, f"{remark}; for information", cells))
    groups = (("", 2), ("R-hat", 3), ("Bulk ESS", 3), ("Tail ESS", 1))
    above, below = f"Above {limits['rhat_warn']:g}", f"Below {limits['ess_warn']:g}"
    columns = ("Quantity", "Number", "Worst", "Median", above, "Worst", "Median", below, "Worst")
    reason = "the quantity is the same in every draw, a draw is not finite, or there are too few draws"
    notes = _missing_note(rows, reason)
    return Table("convergence", "R-hat and effective sample sizes (ESS)", groups, columns, tuple(rows), notes)


def chains(diagnostics: Mapping[str, Any]) -> Table:
    """How each chain ran."""
    limits = diagnostics["thresholds"]
    rows = []
    for chain in diagnostics["chains"]:
        rate = chain["acceptance_rate"]
        in_range = rate is not None and limits["acceptance_min"] <= rate <= limits["acceptance_max"]
        cells = (
            Cell(formatting.percent(rate), "" if in_range else "warn"),
            Cell(formatting.number(chain["step_size"], 3)),
            Cell(formatting.count(chain["n_diverging"])),
            Cell("yes", "fail") if chain["stuck"] else Cell("no"),
            Cell(formatting.number(chain["log_density_mean"], 5)),
            Cell(formatting.duration(chain["seconds"])),
        )
        rows.append(Row(str(chain["chain"]), "", cells))
    columns = ("Chain", "Accepted", "Step size", "Divergences", "Stuck", "Mean log density [nats]", "Time")
    notes = _missing_note(rows, "the figure was not finite")
    return Table("chains", "Each chain", (), columns, tuple(rows), notes)


def _models(metrics: Mapping[str, Any]) -> list[str]:
    found = metrics["models"]
    return [model for model in MODELS if model in found] + [model for model in found if model not in MODELS]


def _scalar_row(label: str, figures: Mapping[str, Any], limits: Mapping[str, float]) -> Row:
    dash = Cell("–")
    rhat, ess = _rhat_cell(figures["rhat"], limits), _ess_cell(figures["ess_bulk"], limits)
    cells = (Cell("1"), rhat, dash, dash, ess, dash, dash, Cell(formatting.count(figures["ess_tail"])))
    mean = formatting.estimate(figures["mean"], figures["mcse_mean"])
    return Row(label, f"mean {mean}", cells)


def _rhat_cell(value: float | None, limits: Mapping[str, float]) -> Cell:
    return Cell(formatting.rhat(value), rhat_flag(value, limits))


def _excess_cell(number: int) -> Cell:
    return Cell(formatting.count(number), "warn" if number else "")


def _ess_cell(value: float | None, limits: Mapping[str, float]) -> Cell:
    return Cell(formatting.count(value), ess_flag(value, limits))


def rhat_flag(value: float | None, limits: Mapping[str, float]) -> str:
    """Return "fail", "warn" or "" for an R-hat; a missing one is explained in words instead."""
    if value is None:
        return ""
    return "fail" if value > limits["rhat_fail"] else "warn" if value > limits["rhat_warn"] else ""


def ess_flag(value: float | None, limits: Mapping[str, float]) -> str:
    """Return "fail", "warn" or "" for an effective sample size; see `rhat_flag` on missing ones."""
    if value is None:
        return ""
    return "fail" if value < limits["ess_fail"] else "warn" if value < limits["ess_warn"] else ""


def _missing_note(rows: Sequence[Row], reason: str) -> tuple[str, ...]:
    """Explain "n/a" where a cell shows it."""
    missing = any(formatting.NOT_AVAILABLE in cell.text for row in rows for cell in row.cells)
    return (f"{formatting.NOT_AVAILABLE}: {reason}.",) if missing else ()
