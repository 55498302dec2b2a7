"""The scatter of uncertainty in the page itself: a drawing whose points a reader can ask for their row."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bnn.core import formatting
from bnn.core.row_names import row_name

WIDTH, HEIGHT = 640.0, 400.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 64.0, 12.0, 12.0, 52.0
_MAX_POINTS = 1000
"""Points drawn; of a larger table the most uncertain half of these, and the rest at even steps down the ranks."""
_TICKS = 5


@dataclass(frozen=True)
class Point:
    """A test row: position in the drawing, whether it was predicted right, what it says when asked."""

    x: float
    y: float
    good: bool
    row: str
    text: str


@dataclass(frozen=True)
class Scatter:
    """A drawing: points, tick marks (position, text), labels of the axes and of the two kinds of points."""

    points: tuple[Point, ...]
    x_ticks: tuple[tuple[float, str], ...]
    y_ticks: tuple[tuple[float, str], ...]
    x_label: str
    y_label: str
    good_label: str
    bad_label: str
    n_rows: int


@dataclass(frozen=True)
class _Row:
    x: float
    y: float
    total: float
    good: bool
    row: str
    text: str


def scatter(rows: Sequence[Mapping[str, str]], metrics: Mapping[str, Any]) -> Scatter | None:
    """Lay out the epistemic against the aleatoric uncertainty of the test rows.

    Where the aleatoric part is the same for all rows (a regression with one noise) the predicted value is
    on the horizontal axis instead.

    Parameters
    ----------
    rows
        Lines of predictions.csv, column -> text.
    metrics
        Content of metrics.json.

    Returns
    -------
    None without a row whose figures are all finite.
    """
    is_class = metrics["task"] == "classification"
    unit = f" [{metrics['target_unit']}]" if metrics["target_unit"] and not is_class else ""
    one_noise = not is_class and _is_constant([float(row["bnn_sd_aleatoric"]) for row in rows])
    read = [_class_row(row) if is_class else _target_row(row, one_noise) for row in rows]
    usable = [row for row in read if all(math.isfinite(value) for value in (row.x, row.y, row.total))]
    if not usable:
        return None
    shown = _thinned(usable)
    x_ticks, y_ticks = (_ticks([getattr(row, axis) for row in shown], axis == "y") for axis in ("x", "y"))
    if is_class:
        labels = ("Aleatoric: expected entropy [nats]", "Epistemic: mutual information [nats]")
    else:
        horizontal = f"Predicted value{unit}" if one_noise else f"Aleatoric standard deviation{unit}"
        labels = (horizontal, f"Epistemic standard deviation{unit}")
    kinds = ("right", "wrong") if is_class else ("inside its 90 % interval", "outside its 90 % interval")
    # Points of the rarer kind come last, on top.
    order = sorted(shown, key=lambda row: not row.good)
    return Scatter(
        tuple(
            Point(_place(row.x, x_ticks), _place(row.y, y_ticks, True), row.good, row.row, row.text)
            for row in order
        ),
        tuple((_place(value, x_ticks), text) for value, text in x_ticks),
        tuple((_place(value, y_ticks, True), text) for value, text in y_ticks),
        *labels,
        *kinds,
        len(usable),
    )


def _class_row(row: Mapping[str, str]) -> _Row:
    right = row["y"] == row["bnn_predicted"]
    x, y = float(row["bnn_entropy_aleatoric"]), float(row["bnn_mutual_information"])
    probability = formatting.probability(float(row[f"bnn_probability_{row['bnn_predicted']}"]), 3)
    text = (
        f"Row {row_name(row)}: observed {row['y']}, predicted {row['bnn_predicted']} with probability "
        f"{probability}. Aleatoric {formatting.number(x, 3)}, epistemic {formatting.number(y, 3)} nats."
    )
    return _Row(x, y, float(row["bnn_entropy_total"]), right, row["row"], text)


def _target_row(row: Mapping[str, str], one_noise: bool) -> _Row:
    y, mean, total = float(row["y"]), float(row["bnn_mean"]), float(row["bnn_sd"])
    low, high = float(row["bnn_lower_90"]), float(row["bnn_upper_90"])
    aleatoric, epistemic = float(row["bnn_sd_aleatoric"]), float(row["bnn_sd_epistemic"])
    number = formatting.number
    text = (
        f"Row {row_name(row)}: observed {number(y)}, predicted {number(mean)}, 90 % interval {number(low)} "
        f"to {number(high)}. Standard deviation {number(total, 3)}: aleatoric {number(aleatoric, 3)}, epistemic "
        f"{number(epistemic, 3)}."
    )
    return _Row(mean if one_noise else aleatoric, epistemic, total, low <= y <= high, row["row"], text)


def _is_constant(values: Sequence[float]) -> bool:
    return not values or max(values) - min(values) <= 1e-6 * abs(max(values))


def _thinned(rows: list[_Row]) -> list[_Row]:
    if len(rows) <= _MAX_POINTS:
        return rows
    ranked = sorted(rows, key=lambda row: -row.total)
    top, rest = ranked[: _MAX_POINTS // 2], ranked[_MAX_POINTS // 2 :]
    step = len(rest) / (_MAX_POINTS - len(top))
    return top + [rest[int(index * step)] for index in range(_MAX_POINTS - len(top))]


def _ticks(values: Sequence[float], from_zero: bool) -> list[tuple[float, str]]:
    """Round numbers, evenly spaced, from below the smallest value to above the largest; from 0 if asked."""
    low, high = min(values), max(values)
    if from_zero and low >= 0:
        low = 0.0
    span = (high - low) or abs(high) or 1.0
    magnitude = 10.0 ** math.floor(math.log10(span / _TICKS))
    step = next(factor * magnitude for factor in (1, 2, 5, 10) if factor * magnitude * _TICKS >= span)
    first, last = math.floor(low / step), max(math.ceil(high / step), math.floor(low / step) + 1)
    places = max(0, -math.floor(math.log10(step)))
    return [(index * step, _tick_text(index * step, places)) for index in range(first, last + 1)]


def _tick_text(value: float, places: int) -> str:
    return (
        formatting.number(value, 2) if places > 4 else f"{value:,.{places}f}".replace("-", "\N{MINUS SIGN}")
    )


def _place(value: float, ticks: Sequence[tuple[float, str]], vertical: bool = False) -> float:
    low, high = ticks[0][0], ticks[-1][0]
    share = (value - low) / (high - low)
    if vertical:
        return round(HEIGHT - _BOTTOM - share * (HEIGHT - _TOP - _BOTTOM), 1)
    return round(_LEFT + share * (WIDTH - _LEFT - _RIGHT), 1)
