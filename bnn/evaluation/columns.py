"""What metrics.json says of each column of the table."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from bnn.column import Column
from bnn.datasets import Dataset
from bnn.faults import listing, shown

FIRST_LEVELS = 10
"""Levels of a column of texts that metrics.json names; data.nc has all."""

_MOST_GROUPS = 3
"""Levels that are alike, of which so many examples are named."""


def about_columns(dataset: Dataset) -> list[dict[str, Any]]:
    """Return an entry for each column of the table."""
    ids: dict[str, list[str]] = {}
    for split in ("train", "test"):
        names = getattr(dataset, f"id_{split}")
        for name, row in zip(() if names is None else names, dataset.row_numbers(split), strict=False):
            if name:
                ids.setdefault(str(name), []).append(f"{row} ({split})")
    return [_about(column, ids if column.name == dataset.id_name else {}) for column in dataset.columns or ()]


def _about(column: Column, ids: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    about = ("name", "kind", "fill", "n_missing", "n_missing_test", "n_unseen_test")
    return {
        **{name: getattr(column, name) for name in about},
        "levels": list(column.levels[:FIRST_LEVELS]),
        "rare": list(column.rare[:FIRST_LEVELS]),
        "n_levels": len(column.levels) + len(column.rare),
        "n_rare": len(column.rare),
        "has_indicator": column.has_indicator,
        "features": list(column.features),
        "doubts": [*_repeated(column, ids), *_alike(column)],
    }


def _repeated(column: Column, ids: Mapping[str, Sequence[str]]) -> Iterator[str]:
    """Say that a name of rows stands in several; where rows are split by that column, it is meant to."""
    several = [name for name, rows in ids.items() if len(rows) > 1]
    if several and column.kind == "id":
        more = ""
        if len(several) > 1:
            more = ", and 1 more does so" if len(several) == 2 else f", and {len(several) - 1} more do so"
        yield f"'{shown(several[0])}' stands in rows {listing(ids[several[0]])}{more}"


def _alike(column: Column) -> Iterator[str]:
    """Say which levels differ only by case or blanks, as those of one meaning do that several people wrote."""
    groups: dict[str, list[str]] = {}
    for level in (*column.levels, *column.rare):
        groups.setdefault("".join(level.split()).casefold(), []).append(f"'{shown(level)}'")
    alike = [" and ".join(levels) for levels in groups.values() if len(levels) > 1]
    if alike:
        more = f" and {len(alike) - _MOST_GROUPS} more" if len(alike) > _MOST_GROUPS else ""
        named = ", ".join(alike[:_MOST_GROUPS])
        yield f"{named}{more} differ by case or blanks alone: write them alike if they are one"
