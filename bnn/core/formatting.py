"""Numbers as a reader wants them: as many digits as their error supports, and words for what is missing."""

import math
import re
from collections.abc import Sequence

NOT_AVAILABLE = "n/a"
_MINUS = "\N{MINUS SIGN}"
_SUPERSCRIPT = str.maketrans("-0123456789", "\N{SUPERSCRIPT MINUS}⁰¹²³⁴⁵⁶⁷⁸⁹")
_MAX_DIGITS = 6
_LARGEST_WHOLE = 2.0**53
"""Above it not every whole number has a float."""
_MORE_PLACES = 3
"""Places beyond those that an error supports, at most, to show on which side of 0 an end lies"""


def number(value: float | None, digits: int = 4) -> str:
    """Format a number to a number of significant digits; digits before the decimal point are never lost.

    `None` and numbers that are not finite become "n/a".
    """
    if value is None or not math.isfinite(value):
        return NOT_AVAILABLE
    exponent = _exponent(value, digits)
    if _needs_power(abs(value)):
        return f"{_fixed(value / 10.0**exponent, digits - 1)}{_power(exponent)}"
    return _fixed(value, 0 if value == 0 else max(digits - 1 - exponent, 0))


def as_given(value: float | None) -> str:
    """Format a value of a column without commas: it may be a year, or a number that names something.

    It has as many decimals as it needs, whatever rounding did to it on its way here: those of the table.
    """
    if value is not None and math.isfinite(value) and abs(value) < _LARGEST_WHOLE:
        for places in range(_MAX_DIGITS):
            if math.isclose(value, round(value, places), rel_tol=1e-7, abs_tol=1e-13):
                return _fixed(value, places).replace(",", "")
    return number(value).replace(",", "")


def end(value: float | None, digits: int = 4) -> str:
    """Format the end of an interval, or an observation: a whole number as one, since it may be a count."""
    if value is not None and math.isfinite(value) and value == round(value) and not _needs_power(abs(value)):
        return _fixed(value, 0)
    return number(value, digits)


def probability(value: float | None, digits: int) -> str:
    """Format a probability; one that is not 1 reads 1 only where six digits do not tell them apart."""
    if value is None or not 0.5 < value < 1:
        return number(value, digits)
    enough = next(
        (more for more in range(digits, _MAX_DIGITS) if float(number(value, more)) < 1), _MAX_DIGITS
    )
    return number(value, enough)


def estimate(value: float | None, mcse: float | None, digits: int = 4) -> str:
    """Format a value with its standard error: `0.967 ± 0.004`.

    The error is rounded to one significant digit, to two when the first is a 1, and the value to the same
    place. An error too small for six significant digits of the value is given as a bound; None is left out.

    Parameters
    ----------
    value, mcse
        In the same unit.
    digits
        Significant digits where the error does not decide: without an error, or with one of exactly 0.
    """
    if value is None or not math.isfinite(value):
        return NOT_AVAILABLE
    if mcse is None or not math.isfinite(mcse):
        return number(value, digits)
    if mcse == 0:
        return f"{number(value, digits)} ± 0"
    largest = max(abs(value), mcse)
    if _needs_power(largest):
        exponent = _exponent(largest, _MAX_DIGITS)
        inner = estimate(value / 10.0**exponent, mcse / 10.0**exponent, digits)
        return f"({inner}){_power(exponent)}"
    places = _places(mcse)
    limit = _MAX_DIGITS - 1 - _exponent(largest, _MAX_DIGITS)
    if places > limit:
        return f"{_fixed(value, limit)} ± < {_fixed(10.0**-limit, limit)}"
    return f"{_fixed(value, places)} ± {_fixed(mcse, places)}"


def column(values: Sequence[float | None], digits: int = 3, places: int | None = None) -> list[str]:
    """Format the numbers of a column to one number of decimal places.

    Parameters
    ----------
    values
        `None` and numbers that are not finite become "n/a".
    digits
        Significant digits of the largest.
    places
        Decimal places instead; None: as many as the digits ask for.
    """
    known = [abs(value) for value in values if value is not None and math.isfinite(value)]
    largest = max(known, default=0.0)
    if _needs_power(largest):
        return [number(value, digits) for value in values]
    if places is None:
        places = max(digits - 1 - _exponent(largest, digits), 0) if largest else 0
    return [
        NOT_AVAILABLE if value is None or not math.isfinite(value) else _fixed(value, places)
        for value in values
    ]


def places_beside(error: float | None) -> int | None:
    """Decimal places of two numbers beside their difference of this standard error, one more than that has."""
    if error is None or not math.isfinite(error) or not 1e-9 < error < 1e7:
        return None
    return max(_places(error) + 1, 0)


def signed(value: float | None, error: float | None = None, digits: int = 3) -> str:
    """Format a difference with its standard error and always with its sign: `+0.021 ± 0.012`; see `estimate`."""
    text = estimate(value, error, digits)
    shown = text.partition(" ±")[0]
    return f"+{text}" if value is not None and value > 0 and re.search("[1-9]", shown) else text


def interval(lower: float | None, upper: float | None, error: float | None) -> str:
    """Format the ends of an interval to the places that the standard error supports: `−0.04 to 0.02`.

    An end that is not 0 does not read 0: on which side of it an interval lies matters more than its length. One that
    needs many more places for that is shown to one digit by itself.
    """
    ends = (lower, upper)
    if any(end is None or not math.isfinite(end) for end in ends):
        return NOT_AVAILABLE
    largest = max(abs(end) for end in ends if end is not None)
    if not error or not math.isfinite(error) or _needs_power(largest) or _needs_power(error):
        return " to ".join(number(end, 3) for end in ends)
    places = _places(error)
    nearest = min((abs(end) for end in ends if end), default=0.0)
    if nearest and not re.search("[1-9]", _fixed(nearest, places)):
        needed = -_exponent(nearest, 1)
        if needed > places + _MORE_PLACES:
            return " to ".join(
                number(end, 1) if end and abs(end) == nearest else _fixed(end, places)
                for end in ends
                if end is not None
            )
        places = needed
    return " to ".join(_fixed(end, places) for end in ends if end is not None)


def percent(value: float | None, mcse: float | None = None) -> str:
    """Format a share as a percentage, with its Monte Carlo standard error if there is one: `96.7 ± 0.3 %`."""
    if value is None or not math.isfinite(value):
        return NOT_AVAILABLE
    scaled = None if mcse is None else 100 * mcse
    digits = 5 if 0.9995 <= value < 1 else 3  # one wrong row in many must not read 100 %
    return f"{estimate(100 * value, scaled, digits)} %"


def level(share: float) -> str:
    """Format a round share, such as what an interval promises: `95 %`."""
    return f"{100 * share:g} %"


def unbroken(text: str) -> str:
    """Keep a number, its error and its sign of percent on one line."""
    return text.replace(" ± ", "\N{NO-BREAK SPACE}±\N{NO-BREAK SPACE}").replace(" %", "\N{NO-BREAK SPACE}%")


def deviation(value: float | None) -> str:
    """Format a distance in standard deviations (sd) with its sign and one decimal: `+2.6 sd`."""
    return NOT_AVAILABLE if value is None else f"{signed_fixed(value, 1)} sd"


def signed_fixed(value: float, places: int) -> str:
    """Format a number with its sign and a number of decimal places."""
    text = _fixed(value, places)
    return f"+{text}" if value > 0 and re.search("[1-9]", text) else text


def count(value: float | None) -> str:
    """Format a whole number with commas between thousands; a fraction is cut off: 399.7 is not 400."""
    if value is None or not math.isfinite(value):
        return NOT_AVAILABLE
    return f"{math.floor(value):,}".replace("-", _MINUS)


def rhat(value: float | None) -> str:
    """Format an R-hat with four decimals, rounded up: a value above a limit of 1.01 does not read 1.01."""
    if value is None or not math.isfinite(value):
        return NOT_AVAILABLE
    # The tiny reduction keeps a number that already has four decimals as it is, whatever its binary fraction.
    return _fixed(math.ceil(value * 1e4 - 1e-6) / 1e4, 4)


def duration(seconds: float | None) -> str:
    """Format a time span in seconds for people: `0.42 s`, `12.3 s`, `3 min 20 s`, `2 h 05 min`."""
    if seconds is None or not math.isfinite(seconds):
        return NOT_AVAILABLE
    if seconds < 59.95:
        return f"{number(seconds, 3 if seconds >= 1 else 2)} s"
    whole = round(seconds)
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def _exponent(value: float, digits: int) -> int:
    """Power of ten of the first digit once the value is rounded to `digits` digits; 0 for 0."""
    # Not math.log10: 0.99996 reads 1.000 with four digits, and 1000 must not count as 999.99...
    return int(f"{value:.{digits - 1}e}".split("e")[1])


def is_negligible(error: float | None, value: float | None) -> bool:
    """Whether an error is 0 but for rounding, which says that nothing varied, not that all is known."""
    return error is not None and value is not None and error <= 1e-9 * max(abs(value), 1e-3)


def _places(error: float) -> int:
    """Decimal places that a standard error supports: one significant digit of it, two when the first is a 1."""
    rounded = f"{error:.1e}"
    return (1 if rounded.startswith("1") else 0) - int(rounded.split("e")[1])


def _needs_power(size: float) -> bool:
    return size != 0 and not 1e-4 <= size < 1e7


def _power(exponent: int) -> str:
    return f" × 10{str(exponent).translate(_SUPERSCRIPT)}"


def _fixed(value: float, places: int) -> str:
    rounded = round(value, places)
    text = f"{rounded:,.{max(places, 0)}f}"
    if not any(character in "123456789" for character in text):
        text = text.lstrip("-")
    return text.replace("-", _MINUS)
