"""Files of rows to predict: the columns that a network was trained on, in any order."""

import difflib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from bnn.core.errors import DataError, listing, shown
from bnn.data.csv_files import MISSING_WORDS, Kind, read_columns
from bnn.data.tables import CSV_FIRST_ROW, names_of_rows, naming

if TYPE_CHECKING:
    import pandas as pd


class Features(NamedTuple):
    """Features of new rows, in original units."""

    x: "pd.DataFrame"
    """(row, feature), features in the order asked for; see `bnn.data.tables.Table.x`"""
    ignored: tuple[str, ...]
    """Columns that were there and are not asked for"""
    ids: np.ndarray | None = None
    """(row,) str: what names each row; None if the file has no such column"""
    first_row: int = CSV_FIRST_ROW
    """Number of the first row in messages"""


def read_features(
    path: str,
    kinds: Mapping[str, Kind],
    *,
    ignored: Sequence[str],
    row_id: str = "",
    separator: str = ",",
    decimal: str = ".",
    missing_words: Sequence[str] = MISSING_WORDS,
) -> Features:
    """Read the features of new rows from a CSV file.

    Parameters
    ----------
    path
        The file, as for `bnn.data.tables.read_csv`.
    kinds
        Columns that must be there, in the order in which they are returned, and what each holds; in the file any
        order will do.
    ignored
        Names of columns, such as the target, that may be there.
    row_id
        Name of the column that names rows, which may be there and is returned then.
    separator, decimal, missing_words
        As for `bnn.data.tables.read_csv`.

    Raises
    ------
    DataError
        If the file cannot be used, lacks a column or has another one; the message names file, column and row (the
        header is row 1).
    """

    def choose(header: Sequence[str]) -> Mapping[str, Kind]:
        there = set(header)
        missing = [name for name in kinds if name not in there]
        extra = [name for name in header if name not in kinds and name not in (*ignored, row_id)]
        if missing:
            close = difflib.get_close_matches(missing[0], extra, n=1)
            hint = f"; is it '{shown(close[0])}'? Then rename that" if close else ""
            columns_are = "column {} is" if len(missing) == 1 else "columns {} are"
            raise DataError(
                "column-missing",
                f"row 1: {columns_are.format(listing(missing))} missing, which the network was trained on{hint}",
                column=missing[0],
                row=1,
            )
        if extra:
            one = f"column {listing(extra)} is not one that the network was trained on; remove it"
            several = (
                f"columns {listing(extra)} are not among those that the network was trained on; remove them"
            )
            raise DataError(
                "column-unknown", f"row 1: {one if len(extra) == 1 else several}", column=extra[0], row=1
            )
        found.extend(name for name in header if name not in kinds and name != row_id)
        return {name: kinds.get(name, "text" if name == row_id else "skip") for name in header}

    found: list[str] = []
    with naming(path):
        frame = read_columns(
            path,
            choose,
            separator=separator,
            decimal=decimal,
            missing_words=missing_words,
            is_source=False,
        )
        ids = names_of_rows(row_id, frame[row_id], CSV_FIRST_ROW) if row_id in frame else None
    return Features(frame[list(kinds)], tuple(found), ids)
