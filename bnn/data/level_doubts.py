"""Levels of a column of texts that hardly are what they seem."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence

from bnn.core.errors import Doubt, in_yaml, shown
from bnn.data.words import LIKE_MISSING, TextFormat, folded, same_number

_MEASURED = re.compile(
    r"([$€£¥₹]?)\s?[+-]?(?:\d{1,3}(?:[,.' \u00a0]\d{3})+|\d+)(?:[.,]\d+)?\s?([^\d\s.,;:/()-][^\d,;:()-]{0,9}|)"
)
"""A number with a sign of money before it or a unit behind it"""
_FEWEST_MEASURED, _LEAST_SHARE = 3, 0.9
"""Levels of one unit, and their share among all but one, that are more than chance: some may say that there is none"""
_PLAIN = r"[+-]?(?:\d+(?:[.,]\d*)?|[.,]\d+)"
_MARKED = re.compile(
    rf"(?:[~≈<>≤≥±'\"=(]|[A-Z]{{3}} )*{_PLAIN}(?:[*†‡)'\"+-]| ?± ?{_PLAIN}|[kKM]|[dD][+-]?\d\d)*"
)
"""A number with signs of less, more, about, a footnote, a code of money, as accountants write what is negative, ..."""
_FEWEST_MARKED = 5
"""Levels such as <20 that are more than the names of a few ranges"""
_MOST_GROUPS = 3
"""Groups of levels that are alike, of which a doubt names the levels"""
_MONTHS = (
    "jan(?:uary|uar|v|vier)?|feb(?:ruary|ruar|rero)?|févr?(?:ier)?|mar(?:ch|s|zo)?|mär(?:z)?|a[pbv]r(?:il)?|may|mai|mayo"
    "|jun(?:e|i|io)?|juin|jul(?:y|i|io)?|juil(?:let)?|aug(?:ust)?|août|ago(?:sto)?|sep(?:t|tember|tembre|tiembre)?"
    "|o[ck]t(?:ober|obre|ubre)?|nov(?:ember|embre|iembre)?|de[cz](?:ember)?|déc(?:embre)?|dic(?:iembre)?|ene(?:ro)?"
)
"""English, German, French and Spanish"""
_PERIOD = re.compile(
    rf"(?:19|20)\d\d[-/.]?(?:0[1-9]|1[0-2]|[QW]\d{{1,2}})|Q[1-4][-/. ](?:19|20)\d\d"
    rf"|(?:0?[1-9]|1[0-2])[-/.](?:19|20)\d\d|(?:19|20)\d\d[-/]\d\d|FY ?(?:19|20)?\d\d"
    rf"|(?:\d{{1,2}}[-. ]{{1,2}})?(?:{_MONTHS})\.?[-/. ]{{1,2}}(?:\d{{1,2}}, ?)?(?:\d\d|\d{{4}})",
    re.IGNORECASE,
)
"""A day, a month, a week, a quarter or a season of a year, with a name or as in 2024-01"""


def level_doubts(
    name: str,
    levels: Sequence[str],
    form: TextFormat,
    *,
    is_typed: bool,
    is_free: bool,
    gone: Mapping[str, int],
) -> Iterator[Doubt]:
    """Yield what the levels of a column may be meant as.

    Parameters
    ----------
    name
        Name of the column.
    levels
        Its texts.
    form, is_typed
        How the texts are written, and whether the file could have held numbers as such.
    is_free
        Whether nobody said that they are levels.
    gone
        Words that were taken for a missing value -> rows.
    """
    _, is_told = form.words_of(name, is_typed=is_typed)
    if not is_told and (nothing := [word for word in gone if word.lower() == "none"]):
        others = [word for word in gone if word not in nothing]
        yield Doubt(
            "none-as-missing",
            name,
            f"'{nothing[0]}' was taken for a missing value, in {sum(gone[word] for word in nothing)} rows; if it is a "
            f"level like others, set {form.missing_line(name, others, keep=False)}",
        )
    like = [level for level in levels if level.lower() in LIKE_MISSING]
    if like and not is_told and len(like) < len(levels):
        named = ", ".join(f"'{word}'" for word in like)
        yield Doubt(
            "like-missing",
            name,
            f"{named} {'is a level' if len(like) == 1 else 'are levels'} like others; if a missing value is meant, "
            f"set {form.missing_line(name, like, keep=bool(gone), is_typed=is_typed)}",
        )
    if same := same_number(levels, form.decimal):
        yield Doubt(
            "levels-merged",
            name,
            f"'{shown(same[0])}' and '{shown(same[1])}' are one number, and so one level; if they are codes, put a "
            "letter before them",
        )
    if not is_free:
        return
    remedy = f"or, if they are levels, set source.categorical: [{in_yaml(name)}]"
    if len(levels) > 1 and all(map(_PERIOD.fullmatch, levels)):
        yield Doubt(
            "dates-as-levels",
            name,
            f"'{shown(levels[0])}' and the others are times, a level each, and say nothing of later ones; make columns "
            f"of what matters of them (year, month, days since a day), {remedy}",
        )
    elif (measured := _measured(levels)) is not None:
        is_percent = "%" in measured
        yield Doubt(
            "percent" if is_percent else "numbers-with-unit",
            name,
            f"'{shown(measured)}' and the others are numbers with "
            f"{'a sign of percent' if is_percent else 'a unit'}, a level each; write them without it, {remedy}",
        )
    elif len(levels) >= _FEWEST_MARKED and _share_of(_MARKED, levels) >= _LEAST_SHARE:
        yield Doubt(
            "numbers-with-marks",
            name,
            f"'{shown(levels[0])}' and the others are numbers with something beside them, a level each; write them "
            f"alone, {remedy}",
        )


def alike_doubts(name: str, texts: Iterable[str], *, is_target: bool) -> Iterator[Doubt]:
    """Yield levels, or classes, that hardly are such of their own: only case or blanks tell them apart."""
    groups: dict[str, list[str]] = {}
    for text in texts:
        groups.setdefault(folded(text).replace(" ", ""), []).append(text)
    alike = [group for group in groups.values() if len(group) > 1]
    if not alike:
        return
    named = [" and ".join(f"'{shown(text)}'" for text in group) for group in alike]
    more = f" and {len(named) - _MOST_GROUPS} more" if len(named) > _MOST_GROUPS else ""
    remedy = f"set source.fold_case: [{in_yaml(name)}]"
    if any(len(set(map(folded, group))) > 1 for group in alike):
        remedy = "write them alike"  # blanks within words stay
    keep = "" if is_target else f"; if each is a level of its own, set source.categorical: [{in_yaml(name)}]"
    yield Doubt(
        "classes-alike" if is_target else "levels-alike",
        name,
        f"{', '.join(named[:_MOST_GROUPS])}{more} differ by case or blanks alone: if they are one, {remedy}{keep}",
    )


def _share_of(pattern: re.Pattern[str], levels: Sequence[str]) -> float:
    return sum(pattern.fullmatch(level) is not None for level in levels) / len(levels)


def _measured(levels: Sequence[str]) -> str | None:
    """Return the first level that is a number with a unit, if nearly all have that unit."""
    signs = [found and (found[1], found[2].strip()) for found in map(_MEASURED.fullmatch, levels)]
    counts = Counter(sign for sign in signs if sign is not None and any(sign))
    if not counts:
        return None
    sign, count = counts.most_common(1)[0]
    fewest = 2 if sign[1] == "%" else _FEWEST_MEASURED
    if count < max(fewest, min(len(levels) - 1, _LEAST_SHARE * len(levels))):
        return None
    return levels[signs.index(sign)]
