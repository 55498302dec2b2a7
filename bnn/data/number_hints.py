"""Texts that are numbers but for how they are written: what they may mean, and what to set."""

import re
from collections.abc import Sequence

from bnn.data.words import TextFormat, number_of

_THOUSANDS = re.compile(
    r"[+\-−]?[1-9]\d{0,2}(,\d{3})+(\.\d*)?|[+\-−]?[1-9]\d{0,2}([ '’\u00a0\u2009\u202f]\d{3})+([.,]\d*)?",
    re.ASCII,
)
_GERMAN = re.compile(r"[+\-−]?[1-9]\d{0,2}(\.\d{3})+(,\d*)?", re.ASCII)
_DIGITS = "0123456789"
GROUPED = r"^\s*([+-]?[1-9]\d{0,2}(\.\d{3})*|0|[^\d.]*)\s*$"
"""A number that a point, if it has one, divides into groups of three digits; or no number"""


def hint(
    cell: str, form: TextFormat, *, is_typed: bool = False, units: Sequence[int] = ()
) -> tuple[str, str | None]:
    """Return what to do about a text that is to be a number, to stand behind a message, and the key to set.

    Parameters
    ----------
    cell
        The text.
    form
        How the file is written.
    is_typed
        Whether the file could have held numbers as such, and has no keys for how they are written.
    units
        What `source.skip_lines` is to be if the row holds units; () if it does not look so.
    """
    if units:
        return f"; if the row holds units, set source.skip_lines: {list(units)}", None
    decimal, mark = form.decimal, thousands_mark(cell, form.decimal)
    if is_typed and (mark or has_decimal_comma(cell)):
        return "; write the column as numbers, not as texts", None
    if not form.thousands and mark:
        return f"; if '{mark}' stands between thousands, set source.thousands: '{mark}'", "thousands"
    if decimal == "." and not form.thousands and "," in cell and thousands_mark(cell, ",") == ".":
        text = "; if its comma is a decimal comma, set source.decimal: ',', and source.thousands: '.'"
        return text, "decimal"
    if decimal == "." and form.thousands != "," and has_decimal_comma(cell):
        text = " as long as source.decimal is '.'; if its comma is a decimal comma, set source.decimal: ','"
        return text, "decimal"
    if decimal == "," and number_of(cell, TextFormat()) is not None:
        return " as long as source.decimal is ','", None
    if any(map(str.isdigit, cell)) and not cell.startswith("#"):
        return "; write a number alone, without unit or sign of money", None
    return "", None


def thousands_mark(cell: str, decimal: str) -> str | None:
    """Return what stands between the thousands of a number, if something does."""
    if decimal == "," and _GERMAN.fullmatch(cell):
        return "."
    return next(c for c in cell if c not in "+-\u2212" + _DIGITS) if _THOUSANDS.fullmatch(cell) else None


def has_decimal_comma(cell: str) -> bool:
    """Whether a text is a number with a comma before its fraction."""
    return cell.count(",") == 1 and number_of(cell.replace(",", "."), TextFormat()) is not None


def is_nearly_number(cell: str) -> bool:
    """Whether a text is a number but for its decimal mark, or what stands between its thousands."""
    is_number = number_of(cell.replace(",", "."), TextFormat()) is not None
    return is_number or bool(_GERMAN.fullmatch(cell) or _THOUSANDS.fullmatch(cell))
