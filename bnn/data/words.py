"""What texts of cells mean: numbers, true and false, missing values, levels; and how a text file is written."""

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

Kind = Literal["any", "number", "text", "name", "skip"]
"""What a column is to hold: numbers or texts, as its cells tell; numbers; levels, whatever they look like; texts as
they stand; no matter."""
TEXTS = ("text", "name")

# Squares of such values, and sums of them over any table, stay finite.
LARGEST = 1e150
MOST_EXACT = 2.0**53
"""From here on float64 has no longer every whole number."""
MISSING_WORDS = ("NA", "N/A", "#N/A", "<NA>", "NaN", "-NaN", "null", "None")
"""Words, in any case, that stand for a missing value like an empty cell, if nothing else is said."""
LIKE_MISSING = {
    *(word.lower() for word in MISSING_WORDS),
    *(
        "?",
        "??",
        "-",
        "--",
        "---",
        ".",
        "*",
        "n.a.",
        "n.a",
        "n. a.",
        "k.a.",
        "nil",
        "#null!",
        "(null)",
        "\\n",
    ),
    *(
        "unknown",
        "unk",
        "missing",
        "(missing)",
        "not available",
        "not known",
        "no data",
        "nodata",
        "undefined",
    ),
}
"""Words, in lower case, that hardly are a level of their own"""

_PAIRS = (("true", "false"), ("yes", "no"), ("t", "f"), ("y", "n"))
BOOLEAN = {word: word == pair[0] for pair in _PAIRS for word in pair}
"""Words, in lower case, for true and false: of columns that hold one pair of them, and nothing else.

A single letter says so only beside its other half: F alone may be a sex, or a grade.
"""

# A number as a level or a class: no words that float() knows, no leading zeros (007 is a code), and short enough to be
# held and shown exactly.
_NUMBER = re.compile(r"[+-]?((0|[1-9]\d{0,14})(\.\d{0,15})?|\.\d{1,15})([eE][+-]?\d{1,2})?", re.ASCII)
CODE = re.compile(r"0\d+", re.ASCII)
"""Digits that begin with a zero which says nothing to a number: a postcode, a code of a region."""
_THOUSANDS = re.compile(
    r"[+\-−]?[1-9]\d{0,2}(,\d{3})+(\.\d*)?|[+\-−]?[1-9]\d{0,2}([ '’\u00a0\u202f]\d{3})+([.,]\d*)?", re.ASCII
)
_GERMAN = re.compile(r"[+\-−]?[1-9]\d{0,2}(\.\d{3})+(,\d*)?", re.ASCII)
_DIGITS = "0123456789"
_LONGEST_NAME = 500
# Joiners that words of some scripts need; other characters without a shape of their own are faults or tricks.
_JOINERS = "\u200c\u200d"


@dataclass(frozen=True)
class TextFormat:
    """How texts of a table are written; keys of a source of the config.

    Attributes
    ----------
    separator
        What stands between cells; a blank: any number of blanks.
    decimal, thousands
        What stands before the fraction of a number, and between its groups of three digits ("": nothing).
    missing_words
        Words, in any case, that stand for a missing value like an empty cell: for all columns, or by column; None:
        those of `MISSING_WORDS` in a text file, and none in a file that can say itself what is missing.
    skip_lines
        Lines at the top that are no part of the table, or the numbers of such lines anywhere.
    comment
        What begins a line that is no part of the table ("": nothing).
    header
        Whether the first line holds names.
    names
        Names of columns of a file without a header line; (): c1, c2 and so on.
    encoding
        Encoding of a text file, unless a mark at its beginning says another one.
    fold_case
        Columns whose texts are one where they differ by case or blanks alone.
    """

    separator: str = ","
    decimal: str = "."
    thousands: str = ""
    missing_words: Sequence[str] | Mapping[str, Sequence[str]] | None = None
    skip_lines: int | Sequence[int] = 0
    comment: str = ""
    header: bool = True
    names: Sequence[str] = ()
    encoding: str = "utf-8"
    fold_case: Sequence[str] = ()

    def words_of(self, column: str, *, is_typed: bool = False) -> tuple[Sequence[str], bool]:
        """Return the words of a column, and whether the config names them."""
        default: Sequence[str] = () if is_typed else MISSING_WORDS
        if isinstance(self.missing_words, Mapping):
            return self.missing_words.get(column, default), column in self.missing_words
        return (default, False) if self.missing_words is None else (self.missing_words, True)


def folded(text: str) -> str:
    """Return the same for all texts that differ by case, by blanks or by how accents are composed alone."""
    return unicodedata.normalize("NFC", " ".join(text.split()).lower())


def truth_of(levels: Sequence[str], *, is_known: bool = False) -> np.ndarray | None:
    """Return which of the texts of a column are true, (level,) bool; None if they are not the words of one pair.

    N and F in one column, say, are not two ways to write false. One letter without the other half of its pair is no
    truth value, unless the column is known to hold such (`is_known`).
    """
    words = {level.lower() for level in levels}
    if not words or not any(words <= set(pair) for pair in _PAIRS):
        return None
    if not is_known and len(words) == 1 and len(min(words)) == 1:
        return None
    return np.array([BOOLEAN[level.lower()] for level in levels])


def fault_of_name(name: str, *, longest: int = _LONGEST_NAME) -> str | None:
    """Say what makes a name of a column or class unfit to be stored and shown; None if nothing does."""
    if len(name) > longest:
        return f"has {len(name)} characters, more than {longest}"
    for character in name:
        # Control, format, private and unassigned characters, and separators of lines: NetCDF ends a text at a NUL, and
        # a page or a terminal may show something else than what is there.
        if (
            unicodedata.category(character) in ("Cc", "Cf", "Co", "Cn", "Zl", "Zp")
            and character not in _JOINERS
        ):
            return f"holds a character that cannot be seen (U+{ord(character):04X})"
    return None


def with_point(text: str, decimal: str) -> str:
    """Return a number as Python writes it; no number, if it has a point where the decimal mark is a comma."""
    return text.replace(".", "?").replace(",", ".") if decimal == "," else text


def number_of(text: str, form: TextFormat) -> float | None:
    """Return the number that a text says, as a file of this format writes it; None if it says none, or NaN."""
    # The sign of minus that typesetters use stands in tables of the web.
    text = text.replace("\u2212", "-")
    if form.thousands and form.thousands in text:
        mark, point = re.escape(form.thousands), re.escape(form.decimal)
        if not re.fullmatch(rf"[+-]?\d{{1,3}}({mark}\d{{3}})+({point}\d*)?", text, re.ASCII):
            return None
        text = text.replace(form.thousands, "")
    try:
        value = float(with_point(text, form.decimal).replace("_", "?"))
    except ValueError:
        return None
    return value if value == value else None


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


def level_text(value: Any) -> str:
    """Return a value as the text of its level: numbers by their shortest text, whole ones without a fraction."""
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, float | np.floating):
        number = float(value)
        if number.is_integer() and abs(number) < MOST_EXACT:
            return str(int(number))
        return str(value)
    return str(value).strip()


def names_of_numbers(texts: Iterable[str], *, decimal: str = ".") -> dict[str, str]:
    """Return one name for all ways in which a number is written: 1, 1.0 and 1e0 are one level.

    Texts that are no number keep their own name, and so do all where one begins with a zero, as codes do.
    """
    texts = list(texts)
    if any(map(CODE.fullmatch, texts)):
        return {text: text for text in texts}
    # Decimal compares exactly; float() would make one level of long numbers that differ in their last digit.
    numbers = {text: with_point(text, decimal) for text in texts}
    return {
        text: _shortest(Decimal(number)).replace(".", decimal) if _NUMBER.fullmatch(number) else text
        for text, number in numbers.items()
    }


def _shortest(value: Decimal) -> str:
    if value == 0:
        return "0"
    normal = value.normalize()
    plain = format(normal, "f")
    return plain if len(plain) <= 22 else str(normal)


def are_numbers(texts: Iterable[str]) -> bool:
    """Return whether all texts are numbers as a level or a class may be."""
    return all(map(_NUMBER.fullmatch, texts))


def categories(
    levels: Sequence[str],
    codes: np.ndarray,
    *,
    kind: Kind = "text",
    decimal: str = ".",
    fold: bool = False,
) -> "pd.Categorical":
    """Return texts as categories, sorted; levels that are the same number are one, levels without a row are left out.

    Parameters
    ----------
    levels
        Texts, which may be equal.
    codes
        Index of the text of each row, -1 where it is missing; (row,).
    kind
        "name": all texts stay as they are.
    decimal
        What stands before the fraction of a number.
    fold
        Whether texts that differ by case or blanks alone are one.
    """
    import pandas as pd

    levels = [*map(folded, levels)] if fold else levels
    own = dict.fromkeys(levels)
    name = {text: text for text in own} if kind == "name" else names_of_numbers(own, decimal=decimal)
    used = np.unique(codes[codes >= 0])
    names = sorted({name[levels[code]] for code in used})
    place = {text: index for index, text in enumerate(names)}
    rank = np.full(len(levels) + 1, -1, dtype=np.int32)
    rank[used] = [place[name[levels[code]]] for code in used]
    return pd.Categorical.from_codes(rank[codes], categories=pd.Index(names, dtype=object))
