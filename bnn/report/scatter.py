"""The scatter of uncertainty in the page itself: a drawing whose points a reader can ask for their row."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from bnn.core import formatting
from bnn.core.row_names import row_name

WIDTH, HEIGHT = 520, 400
_LEFT, _RIGHT, _TOP, _BOTTOM = 64.0, 12.0, 12.0, 62.0
_MAX_POINTS = 1000
"""Points drawn; of a larger table the most uncertain half of these, and the rest at even steps down the ranks."""
_TICKS = 5
_OF_CLASSES = (
    "Each point is a test row: point at one to see which. Aleatoric: classes overlap, more data would not help. "
    "Epistemic: draws of the posterior disagree, more data near the row would help. Wrong rows should lie away "
    "from the lower left corner, where the sum of both is small."
)
_OF_TARGETS = (
    "Each point is a test row: point at one to see which. Lines are at one and two standard deviations (sd)"
)
_IF_NORMAL = ": if the spread is right, two rows in three lie below the first, and nineteen in twenty below the second."
_NORMAL = ("gaussian", "heteroscedastic")
_DECADES = 100.0
"""Ratio of the largest to the smallest spread beyond which axes are logarithmic."""
_NEAREST = 0.1
"""Smallest distance that a logarithmic axis shows, in the smallest spread."""


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
    """A drawing: points, tick marks (position, text), lines (ends, text), labels of axes and kinds, a caption."""

    points: tuple[Point, ...]
    x_ticks: tuple[tuple[float, str], ...]
    y_ticks: tuple[tuple[float, str], ...]
    lines: tuple[tuple[float, float, float, float, str], ...]
    x_label: str
    y_label: str
    good_label: str
    bad_label: str
    caption: str
    n_rows: int


@dataclass(frozen=True)
class _Row:
    x: float
    y: float
    total: float
    good: bool
    row: str
    text: str


def scatter(
    rows: Sequence[Mapping[str, str]], metrics: Mapping[str, Any], family: str = "gaussian"
) -> Scatter | None:
    """Lay out how unsure the BNN is of each test row.

    Of classes, the epistemic against the aleatoric entropy. Of a real target, how far it was off against the standard
    deviation of the prediction, with lines at one and two of them: a plot of the epistemic part alone would not say
    where errors are to be expected, as noise mostly outweighs it.

    Parameters
    ----------
    rows
        Lines of predictions.csv, column -> text.
    metrics
        Content of metrics.json.
    family
        What a real target is drawn from, by the name of the config.

    Returns
    -------
    None without a row whose figures are all finite.
    """
    is_class = metrics["task"] == "classification"
    unit = f" [{metrics['target_unit']}]" if metrics["target_unit"] and not is_class else ""
    read = [_class_row(row) if is_class else _target_row(row) for row in rows]
    usable = [row for row in read if all(math.isfinite(value) for value in (row.x, row.y, row.total))]
    if not usable:
        return None
    shown = _thinned(usable)
    is_log = not is_class and min(row.x for row in shown) > 0 and _spans_decades([row.x for row in shown])
    if is_log:
        least = _NEAREST * min(row.x for row in shown)
        shown = [replace(row, x=math.log10(row.x), y=math.log10(max(row.y, least))) for row in shown]
    x_ticks, y_ticks = (
        _decades([getattr(row, axis) for row in shown])
        if is_log
        else _ticks([getattr(row, axis) for row in shown], axis == "y")
        for axis in ("x", "y")
    )
    if is_class:
        labels = ("Aleatoric: expected entropy [nats]", "Epistemic: mutual information [nats]")
        kinds, caption = ("right", "wrong"), _OF_CLASSES
    else:
        labels = (f"Standard deviation of the prediction{unit}", f"Distance from what was observed{unit}")
        kinds = ("inside its 90 % interval", "outside")
        caption = _OF_TARGETS + (_IF_NORMAL if family in _NORMAL else ".")
    # Points of the rarer kind come last, on top.
    order = sorted(shown, key=lambda row: not row.good)
    return Scatter(
        tuple(
            Point(_place(row.x, x_ticks), _place(row.y, y_ticks, True), row.good, row.row, row.text)
            for row in order
        ),
        tuple((_place(value, x_ticks), text) for value, text in x_ticks),
        tuple((_place(value, y_ticks, True), text) for value, text in y_ticks),
        () if is_class else tuple(_lines(x_ticks, y_ticks, is_log=is_log)),
        *labels,
        *kinds,
        caption,
        len(usable),
    )


def _lines(
    x_ticks: Sequence[tuple[float, str]], y_ticks: Sequence[tuple[float, str]], *, is_log: bool
) -> Iterator[tuple[float, float, float, float, str]]:
    """Yield the ends of the lines at one and two standard deviations, as far as they are inside the axes, and names."""
    highest = y_ticks[-1][0]
    for slope in (1, 2):
        shift = math.log10(slope) if is_log else 0.0
        factor = 1 if is_log else slope
        first = max(x_ticks[0][0], y_ticks[0][0] - shift) if is_log else x_ticks[0][0]
        last = min(x_ticks[-1][0], (highest - shift) / factor)
        if first >= last:
            continue
        ends = [(x, factor * x + shift) for x in (first, last)]
        (x1, y1), (x2, y2) = ((_place(x, x_ticks), _place(y, y_ticks, True)) for x, y in ends)
        yield x1, y1, x2, y2, f"{slope} sd"


def _number(cell: str) -> float:
    """Return a number of a table, NaN where it has none."""
    return float(cell) if cell else math.nan


def _class_row(row: Mapping[str, str]) -> _Row:
    right = row["y"] == row["bnn_predicted"]
    x, y = _number(row["bnn_entropy_aleatoric"]), _number(row["bnn_mutual_information"])
    probability = formatting.probability(_number(row[f"bnn_probability_{row['bnn_predicted']}"]), 3)
    text = (
        f"Row {row_name(row)}: observed {row['y']}, predicted {row['bnn_predicted']} with probability "
        f"{probability}. Aleatoric {formatting.number(x, 3)}, epistemic {formatting.number(y, 3)} nats."
    )
    return _Row(x, y, _number(row["bnn_entropy_total"]), right, row["row"], text)


def _target_row(row: Mapping[str, str]) -> _Row:
    y, mean, total = _number(row["y"]), _number(row["bnn_mean"]), _number(row["bnn_sd"])
    low, high = _number(row["bnn_lower_90"]), _number(row["bnn_upper_90"])
    aleatoric, epistemic = _number(row["bnn_sd_aleatoric"]), _number(row["bnn_sd_epistemic"])
    number, end = formatting.number, formatting.end
    text = (
        f"Row {row_name(row)}: observed {formatting.as_given(y)}, predicted {number(mean)}, 90 % interval {end(low)} "
        f"to {end(high)}. Standard deviation {number(total, 3)}: aleatoric {number(aleatoric, 3)}, epistemic "
        f"{number(epistemic, 3)}."
    )
    return _Row(total, abs(y - mean), total, low <= y <= high, row["row"], text)


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
    # Digits to which neighbours differ.
    digits = max(2, 1 + math.ceil(math.log10(max(abs(first), abs(last), 1))))
    return [(index * step, _tick_text(index * step, places, digits)) for index in range(first, last + 1)]


def _spans_decades(values: Sequence[float]) -> bool:
    return max(values) > _DECADES * min(values)


def _decades(logs: Sequence[float]) -> list[tuple[float, str]]:
    """Return the powers of ten from below the smallest value to above the largest, given their logs."""
    first, last = math.floor(min(logs)), math.ceil(max(logs))
    return [
        (float(power), formatting.number(10.0**power, 1)) for power in range(first, max(last, first + 1) + 1)
    ]


def _tick_text(value: float, places: int, digits: int) -> str:
    return (
        formatting.number(value, digits)
        if places > 4
        else f"{value:,.{places}f}".replace("-", "\N{MINUS SIGN}")
    )


def _place(value: float, ticks: Sequence[tuple[float, str]], vertical: bool = False) -> float:
    low, high = ticks[0][0], ticks[-1][0]
    share = (value - low) / (high - low)
    if vertical:
        return round(HEIGHT - _BOTTOM - share * (HEIGHT - _TOP - _BOTTOM), 1)
    return round(_LEFT + share * (WIDTH - _LEFT - _RIGHT), 1)
