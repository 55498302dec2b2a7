"""What a table of the report is made of: cells of text, rows, and how each metric is shown."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from bnn.core import formatting

MODELS = {
    "bnn": "BNN",
    "baseline": "Baseline network",
    "ensemble": "Deep ensemble",
    "linear": "Linear model",
    "boosting": "Gradient boosting",
    "naive": "Last value",
}
"""Model -> heading of its column, in the order of the columns."""


@dataclass(frozen=True)
class Metric:
    """How a metric is shown.

    Attributes
    ----------
    label
        Its name for people.
    better
        Which values are good, in words.
    sign
        1 where more is better, -1 where less is, 0 where neither.
    is_share
        Shown as a percentage.
    has_unit
        Whether it is in the unit of the target.
    """

    label: str
    better: str
    sign: int
    is_share: bool = False
    has_unit: bool = False


_LESS = "lower is better"
_CHANCE = "higher is better, chance is"
METRICS = {
    "accuracy": Metric("Accuracy", "higher is better", 1, is_share=True),
    "balanced_accuracy": Metric("Balanced accuracy", f"{_CHANCE} one over the classes", 1, is_share=True),
    "auroc": Metric("AUROC", f"{_CHANCE} one half", 1),
    "average_precision": Metric("Average precision", f"{_CHANCE} the share of the class", 1),
    "rmse": Metric("RMSE", _LESS, -1, has_unit=True),
    "mae": Metric("MAE", _LESS, -1, has_unit=True),
    "r2": Metric("R²", "higher is better", 1),
    "nll": Metric("NLL", f"nats a row, {_LESS}", -1),
    "nll_gaussian": Metric("NLL, Gaussian", f"nats a row, {_LESS}", -1),
    "crps": Metric("CRPS", _LESS, -1, has_unit=True),
    "brier": Metric("Brier score", _LESS, -1),
    "ece": Metric("ECE", "no rank, see Calibration", 0, is_share=True),
}
"""Metrics of the comparison, in the order of its rows; intervals have their own table."""

ECE_NOTE = (
    "ECE ranks no models: it is above 0 even for a calibrated one, and the more so the less sure that is, so a smaller "
    "one need not be the better calibrated. The table under Calibration sets each model's beside what chance alone "
    "would give."
)
FEW_NOTE = (
    "The test rows are few: a bootstrap over so few understates the errors, and its intervals are too narrow."
)
MANY_NOTE = (
    "Many comparisons are made here, and none is corrected for the others: now and then an interval excludes 0 by "
    "chance alone."
)
FEW_ROWS = 30
"""Test rows below which a bootstrap over rows is said to understate errors."""

NO_DENSITY = "–"
"""What stands in place of a score that needs a density, of a model that predicts quantiles alone."""
OF_DENSITY = ("nll", "nll_gaussian")
"""Scores that need one."""

DOUBTED = "not to be trusted"
"""What stands in place of an outcome where the chains have not converged."""
SAME = "same on every row"
OUTCOMES = {
    "better": ("BNN better", "good"),
    "worse": ("BNN worse", "bad"),
    "open": ("not told apart", ""),
    "none": ("", ""),
}
"""What `outcome` returns -> in words, and the flag of the cell."""


@dataclass(frozen=True)
class Cell:
    """A cell.

    Attributes
    ----------
    text
        What it says.
    flag
        What is wrong with it: "warn", "fail" or "" (nothing); "good" and "bad" mark a difference.
    remark
        A smaller line below the text.
    sort
        What a sorted column is ordered by; None: the text.
    """

    text: str
    flag: str = ""
    remark: str = ""
    sort: float | None = None


@dataclass(frozen=True)
class Row:
    """A row: its heading, a remark on the heading, its cells; and an id by which others point to it."""

    label: str
    remark: str
    cells: tuple[Cell, ...]
    key: str = ""


@dataclass(frozen=True)
class Table:
    """A table: id, caption, headings of groups (text, number of columns), headings, rows, notes below."""

    name: str
    caption: str
    columns: tuple[str, ...]
    rows: tuple[Row, ...]
    groups: tuple[tuple[str, int], ...] = ()
    notes: tuple[str, ...] = field(default=())
    sortable: bool = False


def headline(metrics: Mapping[str, Any]) -> str:
    """Name of the metric that comes first for the task: accuracy or RMSE."""
    return "accuracy" if metrics["task"] == "classification" else "rmse"


def models_of(found: Mapping[str, Any]) -> list[str]:
    """Names of the models in the order of their columns; unknown ones follow."""
    return [model for model in MODELS if model in found] + [model for model in found if model not in MODELS]


def share_bound(entry: Mapping[str, Any] | None, metric: Metric) -> str:
    """Return the end of the binomial interval of a share of all rows, or of none: "at least 88.4 %"; else ""."""
    if entry is None or not metric.is_share or entry["value"] not in (0, 1) or entry.get("lower") is None:
        return ""
    side, end = ("at least", "lower") if entry["value"] == 1 else ("at most", "upper")
    return f"{side} {formatting.percent(entry[end])}"


def score(
    entry: Mapping[str, Any] | None, metric: Metric, error: str | None = "se", *, has_bound: bool = True
) -> str:
    """Format an entry {"value", "mcse", "se"} of metrics.json.

    Parameters
    ----------
    entry
        None becomes "n/a".
    metric
        Which metric it is of.
    error
        The standard error to show behind ±; None: the value alone. One over rows that is 0 (a model that is right
        on every row) is not shown: other rows would differ. In its place stands, for the share of rows, the end of
        its binomial interval.
    has_bound
        False: leave that end out, because it is shown elsewhere (`share_bound`).
    """
    if entry is None:
        return formatting.NOT_AVAILABLE
    uncertainty = entry[error] if error else None
    if error == "se" and formatting.is_negligible(uncertainty, entry["value"]):
        uncertainty = None
        bound = share_bound(entry, metric)
        if bound and has_bound:
            return f"{formatting.percent(entry['value'])} ({bound})"
    if metric.is_share:
        value = entry["value"]
        # A share and its error beyond 0 or 1 would be an impossible range.
        if value is not None and uncertainty is not None and not uncertainty <= value <= 1 - uncertainty:
            lower, upper = entry.get("lower"), entry.get("upper")
            shown = formatting.percent(value)
            return (
                shown
                if lower is None or upper is None
                else f"{shown} ({100 * lower:.0f} to {100 * upper:.0f} %)"
            )
        return formatting.percent(value, uncertainty)
    return formatting.estimate(entry["value"], uncertainty)


def scores_beside(
    entries: Sequence[Mapping[str, Any] | None], gap: Mapping[str, Any] | None, metric: Metric
) -> list[str]:
    """Format scores that stand beside their difference: to one place more, so that it follows from them."""
    scale = 100 if metric.is_share else 1
    error = None if gap is None or gap["se"] is None else scale * gap["se"]
    values = [
        None if entry is None or entry["value"] is None else scale * entry["value"] for entry in entries
    ]
    texts = formatting.column([*values], places=formatting.places_beside(error))
    return [f"{text} %" if metric.is_share and text != formatting.NOT_AVAILABLE else text for text in texts]


def difference(entry: Mapping[str, Any] | None, metric: Metric) -> tuple[str, str]:
    """Format an entry {"value", "se", "lower", "upper"}: the difference with its error, and its interval.

    Differences of shares are in percentage points. Instead of the interval stands "same on every row" where
    that is so, and nothing where there is no difference to show, or one that ranks no models.
    """
    if entry is None or entry["value"] is None:
        return formatting.NOT_AVAILABLE, ""
    if formatting.is_negligible(entry["se"], entry["value"]) and formatting.is_negligible(
        entry["value"], 0.0
    ):
        return "0", SAME
    scale = 100 if metric.is_share else 1
    value, se, lower, upper = (
        None if entry[name] is None else scale * entry[name] for name in ("value", "se", "lower", "upper")
    )
    return formatting.signed(value, se), formatting.interval(lower, upper, se) if metric.sign else ""


def outcome(entry: Mapping[str, Any] | None, metric: Metric) -> str:
    """Say what the interval of a difference (BNN minus other) means: "better", "worse" or "open" for the BNN.

    "none" where neither more nor less is better.
    """
    if metric.sign == 0:
        return "none"
    if entry is None or entry["lower"] is None or entry["upper"] is None:
        return "open"
    low, high = sorted((metric.sign * entry["lower"], metric.sign * entry["upper"]))
    return "better" if low > 0 else "worse" if high < 0 else "open"


def lacks_density(found: Mapping[str, Any], model: str, name: str) -> bool:
    """Whether a model has no such score because it predicts quantiles alone; of metrics.json or repeats.json."""
    return name in OF_DENSITY and model in found["without_density"]


def missing_note(rows: Sequence[Row], reason: str) -> tuple[str, ...]:
    """Explain "n/a" where a cell shows it."""
    missing = any(formatting.NOT_AVAILABLE in cell.text for row in rows for cell in row.cells)
    return (f"{formatting.NOT_AVAILABLE}: {reason}.",) if missing else ()


def density_note(rows: Sequence[Row], models: Iterable[str]) -> tuple[str, ...]:
    """Explain the dash where a cell shows it, of these models without a density."""
    missing = any(cell.text == NO_DENSITY for row in rows for cell in row.cells)
    named = " and ".join(MODELS.get(model, model).lower() for model in models)
    return (f"{NO_DENSITY}: {named} predicts quantiles, which have no density.",) if missing else ()


def finite(value: float | None) -> float | None:
    """Return a number to sort by, None where there is none."""
    return value if value is not None and math.isfinite(value) else None
