"""What of a table may be meant otherwise than it was read: told before any chain starts, and the run goes on."""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from bnn.core.errors import Doubt, drop_line

if TYPE_CHECKING:
    import pandas as pd

    from bnn.data.cells import Missing
    from bnn.data.encoding import Encoding


_MOST_LINES = 5
"""Doubts of one kind that a terminal shows; the page of the dataset has all."""


def lines(doubts: Sequence[Doubt]) -> Iterator[str]:
    """Yield a line for each doubt, of many of one kind for the first ones."""
    counts: Counter[str] = Counter()
    for doubt in doubts:
        counts[doubt.code] += 1
        if counts[doubt.code] <= _MOST_LINES:
            yield str(doubt)
    for code, count in counts.items():
        if count > _MOST_LINES:
            yield f"{count - _MOST_LINES} more columns like these [{code}]"


def missing_doubts(
    frame: "pd.DataFrame", encoding: "Encoding", *, missing: "Missing", first_row: int = 0
) -> Iterator[Doubt]:
    """Yield what was filled in without being asked for."""
    if missing != "auto":
        return
    for column in encoding.columns:
        is_missing = frame[column.name].isna().to_numpy()
        if count := int(is_missing.sum()):
            stands = "the most frequent value stands" if column.kind != "number" else "the median stands"
            told = ", and a feature says where" if column.has_indicator else ""
            yield Doubt(
                "value-missing",
                column.name,
                f"{count} of {len(frame)} values are missing: {stands} in for them{told} (columns.missing: impute says "
                f"that it is meant; or {drop_line(column.name)})",
                int(np.flatnonzero(is_missing)[0]) + first_row,
            )
