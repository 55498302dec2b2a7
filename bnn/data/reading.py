"""What the config says of a table beside where it lies, and whether the columns that it names are there."""

import difflib
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from bnn.core.errors import DataError, listing, raise_all, shown
from bnn.data.words import Kind


class Reading(NamedTuple):
    """What the config says of a table beside where it lies."""

    target: str
    is_class: bool
    target_unit: str = ""
    drop: Sequence[str] = ()
    categorical: Sequence[str] = ()
    numeric: Sequence[str] = ()
    features: Sequence[str] = ()
    """Columns that are features though they look like names of rows"""
    fold_case: Sequence[str] = ()
    """Columns of which texts that differ by case or blanks alone are one"""
    has_test_file: bool = False
    """Whether another file belongs to the table, so that a column to drop may be in that one alone"""
    missing_target: str = "error"
    """Of rows without a target: "error", or "drop", which keeps them here for `Table.of` to leave out"""
    exposure: str | None = None
    """The column over which the target was counted"""
    row_id: str | None = None
    aside: Sequence[str] = ()
    """Columns that are kept beside the features"""
    is_series: bool = False
    """Whether a column that only numbers the rows counts time, and is a feature like another"""
    must_vary: bool = True
    """Whether a model is to learn from these rows, so that a target with one value, or with hardly a value twice, is an
    error"""
    known: Mapping[str, Kind] = {}
    """Columns, some of which may not be there, of which another file of the same table says what they hold"""


def check_names(names: Sequence[str], wish: Reading) -> None:
    """Raise DataError if columns that are asked for are not there, or the target is asked for as something else too."""
    target, aside = wish.target, wish.aside
    keys = ("drop", "categorical", "numeric", "features", "fold_case")
    of_source = {key: getattr(wish, key) for key in keys}
    of_source |= {key: [name] for key in ("row_id", "exposure") if (name := getattr(wish, key))}
    asked = [("target", "", target)]
    asked += [(role, f" (source.{role})", name) for role, of in of_source.items() for name in of]
    asked += [("", "", name) for name in aside]
    faults = [
        DataError(
            "target-named-twice",
            f"the target column '{shown(target)}' is named by {key} too; take it out there, or set source.target",
            column=target,
            key=key,
        )
        for key, of in [
            *((f"source.{role}", of) for role, of in of_source.items()),
            ("split or series", aside),
        ]
        if target in of and key != "source.fold_case"
    ]
    for role, key, name in asked:
        if name not in names and not (role == "drop" and wish.has_test_file):
            close = difflib.get_close_matches(name, names, n=1)
            hint = f"; did you mean '{shown(close[0])}'?" if close else ""
            what = "target column" if role == "target" else "column"
            message = f"there is no {what} '{shown(name)}'{key} (the columns are {listing(names)}){hint}"
            where = f"source.{role}" if role else None
            faults.append(DataError("column-missing", message, column=name, key=where))
    raise_all(faults, "names of columns in the config do not fit the table")
