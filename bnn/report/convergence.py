"""Tables of diagnostics.json: have the chains converged, and how did each run."""

from collections.abc import Mapping
from typing import Any

from bnn.core import formatting
from bnn.report.table import Cell, Row, Table, finite, missing_note

_DASH = Cell("–")


def convergence(diagnostics: Mapping[str, Any]) -> Table:
    """R-hat and ESS of the log density, the noise scale or dispersion, the predictions and, to inform, the weights."""
    limits = diagnostics["thresholds"]
    rows = [_scalar_row("Log density", diagnostics["log_density"], limits)]
    for name, label in (("noise_scale", "Noise scale"), ("dispersion", "Dispersion")):
        if diagnostics[name] is not None:
            rows.append(_scalar_row(label, diagnostics[name], limits))
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
        row = figures["worst_row"]
        where = "" if row is None else f"worst R-hat at row {row}"
        rows.append(Row(f"Predictions, {split} rows", where, cells))
    informative = [
        ("Weights", "as sampled", diagnostics["weights"]["raw"]),
        ("Weights", "hidden units sorted", diagnostics["weights"]["canonical"]),
    ]
    if diagnostics.get("prior_scales"):
        informative.append(("Prior scales", "logarithms", diagnostics["prior_scales"]))
    for label, remark, figures in informative:
        cells = (
            Cell(formatting.count(figures["n_quantities"])),
            Cell(formatting.rhat(figures["rhat_max"])),
            Cell(formatting.rhat(figures["rhat_median"])),
            _DASH,
            Cell(formatting.count(figures["ess_bulk_min"])),
            Cell(formatting.count(figures["ess_bulk_median"])),
            _DASH,
            _DASH,
        )
        rows.append(Row(label, f"{remark}; for information", cells))
    above, below = f"Above {limits['rhat_warn']:g}", f"Below {limits['ess_warn']:g}"
    reason = "the quantity is the same in every draw, a draw is not finite, or there are too few draws"
    return Table(
        "convergence",
        "R-hat and effective sample sizes (ESS)",
        ("Quantity", "Number", "Worst", "Median", above, "Worst", "Median", below, "Worst"),
        tuple(rows),
        groups=(("", 2), ("R-hat", 3), ("Bulk ESS", 3), ("Tail ESS", 1)),
        notes=missing_note(rows, reason),
    )


def chains(diagnostics: Mapping[str, Any]) -> Table:
    """How each chain ran."""
    limits, alone = diagnostics["thresholds"], diagnostics["each_chain"]
    rows = []
    by_chain = zip(diagnostics["chains"], alone["rhat_max"], alone["ess_bulk_min"], alone["nll"], strict=True)
    for chain, rhat, ess, nll in by_chain:
        rate = chain["acceptance_rate"]
        in_range = rate is not None and limits["acceptance_min"] <= rate <= limits["acceptance_max"]
        cells = (
            Cell(formatting.percent(rate), "" if in_range else "warn", sort=finite(rate)),
            Cell(formatting.number(chain["step_size"], 3), sort=finite(chain["step_size"])),
            Cell(formatting.count(chain["n_diverging"]), sort=chain["n_diverging"]),
            Cell("yes", "fail") if chain["stuck"] else Cell("no"),
            Cell(formatting.number(chain["log_density_mean"], 5), sort=finite(chain["log_density_mean"])),
            Cell(formatting.rhat(rhat), sort=finite(rhat)),
            Cell(formatting.count(ess), sort=finite(ess)),
            Cell(formatting.number(nll, 3), sort=finite(nll)),
            Cell(formatting.duration(chain["seconds"]), sort=finite(chain["seconds"])),
        )
        rows.append(Row(str(chain["chain"]), "", cells))
    columns = (
        *("Chain", "Accepted", "Step size", "Divergences", "Stuck", "Mean log density [nats]"),
        *("R-hat alone", "ESS alone", "NLL alone", "Time"),
    )
    notes = missing_note(rows, "the figure was not finite")
    if len(rows) > 1 and alone["nll_all"] is not None:
        notes = (*notes, _how_far_chains_differ(alone))
    return Table(
        "chains",
        "Each chain",
        columns,
        tuple(rows),
        notes=notes,
        sortable=len(rows) > 2,
    )


def _how_far_chains_differ(alone: Mapping[str, Any]) -> str:
    scores = [value for value in alone["nll"] if value is not None]
    text = "Alone: at test rows, the worst R-hat and ESS among them. "
    text += f"All chains together have an NLL of {formatting.number(alone['nll_all'], 3)}"
    if scores:
        lowest, highest = (formatting.number(value, 3) for value in (min(scores), max(scores)))
        text += f", one by itself {lowest} to {highest}"
    if alone["between_share"] is not None:
        text += (
            f"; {formatting.percent(alone['between_share'])} of the epistemic variance lies between chains"
        )
    return f"{text}."


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


def _scalar_row(label: str, figures: Mapping[str, Any], limits: Mapping[str, float]) -> Row:
    rhat, ess = _rhat_cell(figures["rhat"], limits), _ess_cell(figures["ess_bulk"], limits)
    tail = Cell(formatting.count(figures["ess_tail"]))
    mean = formatting.estimate(figures["mean"], figures["mcse_mean"])
    return Row(label, f"mean {mean}", (_DASH, rhat, _DASH, _DASH, ess, _DASH, _DASH, tail))


def _rhat_cell(value: float | None, limits: Mapping[str, float]) -> Cell:
    return Cell(formatting.rhat(value), rhat_flag(value, limits))


def _excess_cell(number: int) -> Cell:
    return Cell(formatting.count(number), "warn" if number else "")


def _ess_cell(value: float | None, limits: Mapping[str, float]) -> Cell:
    return Cell(formatting.count(value), ess_flag(value, limits))
