"""The style that all figures share, and the way they reach a file.

Figures are built without pyplot: its import is slow and its state is global. The same arrays give the same
bytes with the same matplotlib: the user's matplotlibrc is ignored, identifiers are salted with a fixed text,
and there is no date. Text stays text: it can be searched, it is set in the reader's font, and the files stay
small. Each file follows the light or dark scheme of its reader.

Colours are from the palette of Okabe and Ito (2008), which colour-blind readers can tell apart; markers and
line styles differ too.
"""

import io
import os
import re
import warnings
from collections.abc import Callable
from functools import wraps
from typing import Any, ParamSpec
from xml.sax.saxutils import escape

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from bnn.core.storage import atomic_path

PathLike = str | os.PathLike[str]
Arguments = ParamSpec("Arguments")

INK, MUTED, GRID, SHADE, PAPER = "#24292f", "#59636e", "#d8dee4", "#eef1f4", "#ffffff"
BLUE, ORANGE, GREEN = "#0072b2", "#e69f00", "#009e73"
VERMILLION, PURPLE, SKY = "#d55e00", "#cc79a7", "#56b4e9"
CHAIN_COLOURS = (BLUE, VERMILLION, GREEN, PURPLE, ORANGE, SKY, INK, "#998800")
MODELS = {
    "bnn": ("BNN", BLUE, "o", "-"),
    "baseline": ("baseline network", ORANGE, "s", "--"),
    "ensemble": ("deep ensemble", PURPLE, "D", "-."),
    "linear": ("linear model", GREEN, "^", ":"),
    "boosting": ("gradient boosting", SKY, "P", "--"),
    "naive": ("last value", VERMILLION, "v", "-."),
}
"""Model -> label, colour, marker and line style, the same in every figure."""

WIDTH, HEIGHT = (
    4.1,
    3.0,
)  # inches; as wide as a telephone's screen and as a third of a desk's, so that text stays readable
MAX_MARKERS = 500  # above this, points become an embedded picture, which keeps the file small
_DASHES = (0, (4, 3))
# Light colour -> its counterpart on a dark ground; a colour that reads well on both is not listed.
_DARK = {
    INK: "#e6edf3",
    MUTED: "#9aa4af",
    GRID: "#30363d",
    SHADE: "#1c2128",
    PAPER: "#0d1117",
    BLUE: "#3d9fdb",
    GREEN: "#1fb58a",
    VERMILLION: "#ef7d33",
}
# Any, because some releases of matplotlib type every key and others none.
_STYLE: Any = {
    "axes.axisbelow": True,
    "axes.edgecolor": MUTED,
    "axes.facecolor": "none",
    "axes.grid": True,
    "axes.labelcolor": INK,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "figure.dpi": 72,
    "figure.facecolor": PAPER,
    "font.family": "DejaVu Sans",  # comes with matplotlib, so the layout is the same on every machine
    "font.size": 9.5,
    "grid.color": GRID,
    "grid.linewidth": 0.6,
    "legend.fontsize": 9,
    "legend.frameon": False,
    "lines.markersize": 4,
    "savefig.dpi": 110,
    "svg.fonttype": "none",
    "svg.hashsalt": "bnn",
    "text.color": INK,
    "text.parse_math": False,  # a dollar sign in the name of a column is a dollar sign
    "xtick.color": MUTED,
    "xtick.labelsize": 9,
    "ytick.color": MUTED,
    "ytick.labelsize": 9,
}


def styled(function: Callable[Arguments, None]) -> Callable[Arguments, None]:
    """Make a function draw under this style alone; the caller's matplotlib settings come back afterwards."""

    @wraps(function)
    def wrapper(*args: Arguments.args, **kwargs: Arguments.kwargs) -> None:
        with matplotlib.rc_context():
            matplotlib.rcdefaults()
            matplotlib.rcParams.update(_STYLE)
            function(*args, **kwargs)

    return wrapper


def new_figure(height: float = HEIGHT) -> tuple[Figure, Axes]:
    """Make a figure of the usual width with one pair of axes; `height` in inches."""
    figure = Figure(figsize=(WIDTH, height), layout="constrained")
    return figure, figure.subplots()


def axis_label(name: str, unit: str) -> str:
    """Label of an axis: `name [unit]`, or the name alone when the unit is unknown (""); both cut to fit."""
    return f"{shortened(name, 24)} [{shortened(unit, 12)}]" if unit else shortened(name, 36)


def shortened(text: str, length: int) -> str:
    """Cut a text of the user to a length, and to characters that can be printed."""
    # A control character would make the file invalid XML.
    printable = "".join(character if character.isprintable() else " " for character in text)
    return printable if len(printable) <= length else printable[: length - 1] + "…"


def points(axes: Axes, x: np.ndarray, y: np.ndarray, **style: Any) -> None:
    """Draw unconnected markers; a dense cloud becomes an embedded picture, of smaller markers."""
    (markers,) = axes.plot(x, y, linestyle="none", markeredgewidth=0.8, **style)
    if len(x) > MAX_MARKERS:
        # Opaque, because a picture of many shades is many times as large.
        markers.set(rasterized=True, markersize=0.6 * markers.get_markersize(), markeredgewidth=0.4)


def reference_line(axes: Axes, bounds: tuple[float, float], label: str) -> None:
    """Draw the diagonal on which a perfect model lies."""
    axes.plot(bounds, bounds, color=MUTED, linewidth=0.8, linestyle=_DASHES, label=label)


def dashed_level(axes: Axes, level: float, start: float, stop: float) -> None:
    """Draw a horizontal dashed line from `start` to `stop`."""
    axes.hlines(level, start, stop, color=INK, linewidth=0.8, linestyle=_DASHES)


def padded(values: np.ndarray, share: float) -> tuple[float, float]:
    """Bounds of the finite values, widened on both sides by a share of their range; (0, 1) without any."""
    finite = values[np.isfinite(values)]
    if finite.size == 0:
        return 0.0, 1.0
    low, high = float(finite.min()), float(finite.max())
    # Values that are all equal still need an axis with a length.
    margin = share * (high - low) or max(1e-3 * abs(high), 1e-3)
    return low - margin, high + margin


def note(axes: Axes, x: float, y: float, text: str, colour: str) -> None:
    """Write a short remark with its upper corner at (x, y), in shares of the axes; at the right, x > 0.5."""
    side = "right" if x > 0.5 else "left"
    # On the ground of the page, or lines beneath would cross the letters.
    ground = {"facecolor": PAPER, "edgecolor": "none", "alpha": 0.75, "pad": 1.0}
    axes.text(x, y, text, transform=axes.transAxes, ha=side, va="top", fontsize=9, color=colour, bbox=ground)


def legend_above(figure: Figure, n_columns: int) -> None:
    """Set one legend for all axes above them, where it hides no data."""
    handles: dict[str, Any] = {}
    for axes in figure.axes:
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True):
            handles.setdefault(label, handle)
    style: dict[str, Any] = {
        "loc": "outside upper left",
        "ncols": n_columns,
        "columnspacing": 1.2,
        "handlelength": 1.6,
    }
    legend = figure.legend(list(handles.values()), list(handles), **style)
    for line in legend.get_lines():
        line.set(linewidth=max(line.get_linewidth(), 1.2), alpha=1)


def save(figure: Figure, path: PathLike, title: str) -> None:
    """Write a figure as SVG, with a title, colours for light and dark readers, and no link to anywhere.

    Raises
    ------
    OSError
        If the file cannot be written.
    """
    buffer = io.StringIO()
    with warnings.catch_warnings():
        # A reader's font may hold what DejaVu Sans lacks: text goes into the file as text.
        warnings.filterwarnings("ignore", message=r"Glyph \d+ .* missing from font")
        # What savefig does, but for a first drawing, thrown away, that takes half of the time.
        canvas = FigureCanvasSVG(figure)
        figure.dpi = matplotlib.rcParams["savefig.dpi"]
        engine = figure.get_layout_engine()
        if engine is not None:
            engine.execute(figure)
            figure.set_layout_engine("none")
        canvas.print_svg(buffer, metadata={"Date": None})
    text = buffer.getvalue()
    # The prologue and the metadata name addresses; no reader needs them.
    body = re.sub(r"\s*<metadata>.*?</metadata>", "", text[text.index("<svg") :], count=1, flags=re.DOTALL)
    head, rest = body.split(">", maxsplit=1)
    text = f'{head} role="img">\n <title>{escape(title)}</title>\n <style>{_scheme()}</style>{rest}'
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def save_message(path: PathLike, title: str, message: str) -> None:
    """Write a figure that says why there is nothing to draw, so that a declared file always exists."""
    figure, axes = new_figure(height=1.2)
    axes.set_axis_off()
    axes.text(0.5, 0.5, message, ha="center", va="center", color=MUTED, transform=axes.transAxes)
    save(figure, path, title)


def _scheme() -> str:
    rules = [
        f'[style*="{what}: {light}"]{{{what}:{dark}!important}}'
        for light, dark in _DARK.items()
        for what in ("fill", "stroke")
    ]
    fonts = 'system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif'
    dark = "".join(rules)
    return f"text{{font-family:{fonts}!important}}@media (prefers-color-scheme:dark){{{dark}}}"
