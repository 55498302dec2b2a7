"""Files of rows to predict: the columns that a network was trained on, in any order."""

import difflib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from bnn.core.errors import DataError, listing, shown
from bnn.data.csv_files import NAMELESS, read_columns
from bnn.data.dataset import Dataset
from bnn.data.encoding import Encoded
from bnn.data.excel_files import read_sheet
from bnn.data.file_kinds import kind_of
from bnn.data.tables import names_of_rows, naming
from bnn.data.typed_files import read_typed_file
from bnn.data.words import Kind, TextFormat

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
    first_row: int = 2
    """Number of the first row in messages"""


def read_features(
    path: str,
    kinds: Mapping[str, Kind],
    *,
    ignored: Sequence[str],
    row_id: str = "",
    form: TextFormat | None = None,
) -> Features:
    """Read the features of new rows from a file of any kind that may be a source.

    Parameters
    ----------
    path
        The file; its first bytes tell its kind.
    kinds
        Columns that must be there, in the order in which they are returned, and what each holds; in the file any
        order will do.
    ignored
        Names of columns, such as the target, that may be there.
    row_id
        Name of the column that names rows, which may be there and is returned then.
    form
        How texts are written; None: as usual.

    Raises
    ------
    DataError
        If the file cannot be used, lacks a column or has another one; the message names file, column and row (the
        header is row 1).
    """

    def choose(header: Sequence[str], of_rows: Sequence[str]) -> Mapping[str, Kind]:
        there = set(header)
        missing = [name for name in kinds if name not in there]
        extra = [
            name
            for name in header
            if name not in kinds and name not in (*ignored, row_id, *of_rows) and not NAMELESS.fullmatch(name)
        ]
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
        return {name: kinds.get(name, "name" if name == row_id else "skip") for name in header}

    found: list[str] = []
    form = form or TextFormat()
    with naming(path):
        file = Path(path)
        kind = kind_of(file) if file.is_file() else "csv"
        if kind == "csv":
            read = read_columns(path, choose, form, is_source=False)
        elif kind == "excel":
            read = read_sheet(file, None, choose, form)
        else:
            read = read_typed_file(file, kind, choose, form)
        frame = read.checked()
        ids = names_of_rows(row_id, frame[row_id], read.first_row) if row_id in frame else None
    return Features(frame[list(kinds)], tuple(found), ids, read.first_row)


def features_for(dataset: Dataset, path: str) -> tuple[Features, Encoded]:
    """Return the features of new rows of a table, in original units and as its network takes them.

    Raises
    ------
    DataError
        As `read_features` does, and if a row cannot be encoded.
    """
    encoding = dataset.encoding
    features = read_features(
        path,
        encoding.kinds,
        ignored=(dataset.target_name, *encoding.unused),
        row_id=dataset.id_name,
        form=dataset.text_format,
    )
    with naming(path):
        return features, encoding.transform(features.x, first_row=features.first_row)
