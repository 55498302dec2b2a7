"""How messages and pages name a row: by its number and, in brackets, by what else the table calls it."""

from collections.abc import Mapping
from typing import Any

ROW_COUNTING = {0: "counted from 0", 1: "counted from 1", 2: "the header is row 1"}
"""Number of the first row of data -> how rows are counted, in messages and in results alike."""

_MOST_LETTERS = 40
"""Letters of a name that are shown: a UUID has 36, and predictions.csv has all of a longer one."""


def shortened(text: str, length: int = 30) -> str:
    """Return a text of the data, cut off with dots if it is longer than a cell should be."""
    return text if len(text) <= length else f"{text[: length - 1]}…"


def other_names(row: Mapping[str, Any]) -> str:
    """Return what a row is called beside its number: `site 12, 2026-01-31`; "" if nothing.

    Parameters
    ----------
    row
        `row`, and where the table has them `id` and `time`: an entry of a result file, or a line of predictions.csv.
    """
    names = [shortened(str(row.get(key) or ""), _MOST_LETTERS) for key in ("id", "time")]
    # Without a column of times the rows of a series are its times, and named already.
    return ", ".join(name for name in names if name and name != str(row["row"]))


def row_name(row: Mapping[str, Any]) -> str:
    """Return the number of a row with its other names: `7 (site 12, 2026-01-31)`; see `other_names`."""
    names = other_names(row)
    return f"{row['row']} ({names})" if names else str(row["row"])
