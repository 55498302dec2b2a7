"""What metrics.json says of each column of the table."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from bnn.core.errors import listing, shown
from bnn.data.column_encoding import Column
from bnn.data.dataset import Dataset

FIRST_LEVELS = 10
"""Levels of a column of texts that metrics.json names; data.nc has all."""


def about_columns(dataset: Dataset) -> list[dict[str, Any]]:
    """Return an entry for each column of the table."""
    repeated = _repeated(dataset)
    return [
        _about(
            column,
            [
                *(repeated if (column.name, column.kind) == (dataset.id_name, "id") else []),
                *(doubt.text for doubt in dataset.doubts if doubt.column == column.name),
            ],
        )
        for column in dataset.columns or ()
    ]


def other_doubts(dataset: Dataset) -> list[str]:
    """Return the doubts about whole rows, and about the target, which is none of the columns."""
    names = {column.name for column in dataset.columns or ()}
    return [doubt.with_place for doubt in dataset.doubts if doubt.column not in names]


def _about(column: Column, doubts: Sequence[str]) -> dict[str, Any]:
    about = ("name", "kind", "fill", "n_missing", "n_missing_test", "n_unseen_test")
    return {
        **{name: getattr(column, name) for name in about},
        "levels": list(column.levels[:FIRST_LEVELS]),
        "rare": list(column.rare[:FIRST_LEVELS]),
        "n_levels": len(column.levels) + len(column.rare),
        "n_rare": len(column.rare),
        "has_indicator": column.has_indicator,
        "features": list(column.features),
        "doubts": list(doubts),
    }


def _repeated(dataset: Dataset) -> list[str]:
    """Say that a name of rows stands in several; where rows are split by that column, it is meant to."""
    if dataset.id_train is None or dataset.id_test is None:
        return []
    # Sorted, not counted one by one: there may be a million.
    names, first, counts = np.unique(
        np.concatenate([dataset.id_train, dataset.id_test]), return_index=True, return_counts=True
    )
    several = np.flatnonzero((counts > 1) & (names != ""))
    if not several.size:
        return []
    name = names[several[first[several].argmin()]]
    rows = [
        f"{row} ({split})"
        for split, ids in (("train", dataset.id_train), ("test", dataset.id_test))
        for row in np.sort(dataset.row_numbers(split)[ids == name])
    ]
    more = ""
    if several.size > 1:
        more = ", and 1 more does so" if several.size == 2 else f", and {several.size - 1} more do so"
    return [f"'{shown(str(name))}' stands in rows {listing(rows)}{more}"]
