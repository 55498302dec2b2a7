"""What texts of cells mean: numbers, true and false, missing values, levels; and how a text file is written."""

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from bnn.core.errors import in_yaml

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
        "n.d.",
        "<undefined>",
        "fehlt",
        "fehlend",
        "keine angabe",
        "manquant",
        "sin dato",
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
    left_out
        What stands in lines of the table that `skip_lines` names, in the file that it was written for: in another file
        such a line may be a row. None: this is that file.
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
    left_out: Sequence[str] | None = None

    def words_of(self, column: str, *, is_typed: bool = False) -> tuple[Sequence[str], bool]:
        """Return the words of a column, and whether the config names them."""
        default: Sequence[str] = () if is_typed else MISSING_WORDS
        if isinstance(self.missing_words, Mapping):
            return self.missing_words.get(column, default), column in self.missing_words
        return (default, False) if self.missing_words is None else (self.missing_words, True)

    def missing(self, column: str, *, is_typed: bool = False) -> tuple[frozenset[str], tuple[float, ...]]:
        """Return the words of a column, and the empty text, in small letters, and those that are numbers as such."""
        words, _ = self.words_of(column, is_typed=is_typed)
        return _meaning(tuple(words), self.decimal, self.thousands)

    def missing_line(
        self,
        column: str,
        more: Sequence[str],
        *,
        keep: bool = True,
        for_all: bool = False,
        is_typed: bool = False,
    ) -> str:
        """Return what the config says if more words of a column stand for a missing value, too.

        Parameters
        ----------
        column
            Its name.
        more
            The words; () where a word of the default is none.
        keep
            Whether words that the config does not name stand for one in this column.
        for_all
            Whether a config that names none is to name them for all columns.
        is_typed
            As of `words_of`.
        """
        told = self.missing_words
        words, is_told = self.words_of(column, is_typed=is_typed)
        if not isinstance(told, Mapping) and (for_all or told is not None):
            return f"source.missing_words: {_in_list([*words, *more])}"
        by_column = {**(told or {}), column: [*(words if is_told or keep else ()), *more]}
        lists = ", ".join(f"{in_yaml(name)}: {_in_list(own)}" for name, own in by_column.items())
        return f"source.missing_words: {{{lists}}}"


def _in_list(words: Sequence[str]) -> str:
    return f"[{', '.join(map(in_yaml, words))}]"


@lru_cache
def _meaning(
    words: tuple[str, ...], decimal: str, thousands: str
) -> tuple[frozenset[str], tuple[float, ...]]:
    """Return words for a missing value as texts to compare, and as numbers, written as in the file or with a point."""
    texts = frozenset(["", *(word.strip().lower() for word in words)])
    forms = (TextFormat(decimal=decimal, thousands=thousands), TextFormat())
    numbers = (number_of(text, form) for form in forms for text in texts)
    return texts, tuple(number for number in numbers if number is not None)


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


def same_number(texts: Iterable[str], decimal: str) -> tuple[str, str] | None:
    """Return two texts that are one number but for zeros at the end of their fractions, as codes 3.1 and 3.10 are."""
    fractions = [text for text in texts if decimal in text]
    found: dict[str, str] = {}
    for text, name in names_of_numbers(fractions, decimal=decimal).items():
        if text != found.setdefault(name, text):
            return found[name], text
    return None


def _shortest(value: Decimal) -> str:
    if value == 0:
        return "0"
    normal = value.normalize()
    plain = format(normal, "f")
    return plain if len(plain) <= 22 else str(normal)


def are_digits(texts: Iterable[str]) -> bool:
    """Return whether all texts are digits alone, as codes may be."""
    return all(text.isascii() and text.isdigit() for text in texts)


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
