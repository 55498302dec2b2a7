"""One column: what was learned about it, and how its values become features.

Kept as plain numbers and texts, which a file can hold without executable code.
"""

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Literal, Self

import numpy as np

from bnn.core.errors import DataError, cell_error, shown
from bnn.core.settings import INDICATES
from bnn.data.cells import as_truth, floats, missing_error
from bnn.data.row_numbers import RowNumbers
from bnn.data.words import CODE, names_of_numbers, truth_of

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Column:
    """What was learned about a column.

    Attributes
    ----------
    name
        Its name in the table.
    kind
        What it holds: "number", "boolean", "text"; "exposure": a number over which the target was counted, whose log is
        a feature; "dropped": not asked, because the config drops it; "aside": it says how rows are split, or their
        time; "id": it names rows.
    has_value
        Whether its numbers, or truth, are a feature (not so where they are constant).
    levels
        Texts that are a feature each, sorted.
    rare
        Texts that share a feature, sorted.
    has_indicator
        Whether it is a feature that the value is missing.
    fill
        What stands for a missing value: a number (1 and 0 for true and false) or a text; None: nothing, it is an error.
    n_missing, n_missing_test
        Missing values in the training and in the test rows.
    n_unseen_test
        Test rows whose text is none of the levels, and not rare.
    """

    name: str
    kind: Literal["number", "boolean", "text", "exposure", "dropped", "aside", "id"] = "number"
    has_value: bool = True
    levels: tuple[str, ...] = ()
    rare: tuple[str, ...] = ()
    has_indicator: bool = False
    fill: float | str | None = None
    n_missing: int = 0
    n_missing_test: int = 0
    n_unseen_test: int = 0

    @property
    def features(self) -> tuple[str, ...]:
        """Names of the features that it becomes; () if it is left out."""
        if self.kind == "text":
            names = [f"{self.name}={level}" for level in self.levels]
            names += [f"{self.name}=(rare)"] * bool(self.rare)
        elif self.kind == "exposure":
            names = [f"log({self.name})"]
        else:
            names = [self.name] * (self.has_value and self.kind != "dropped")
        return (*names, *[self.name + INDICATES] * self.has_indicator)

    def to_json(self) -> str:
        """Return it as text."""
        return json.dumps(asdict(self), ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Return what `to_json` wrote."""
        found = json.loads(text)
        lists = {name: tuple(found[name]) for name in ("levels", "rare")}
        return cls(**{**found, **lists})


def level_features(
    column: Column, series: "pd.Series", rows: np.ndarray | slice, first_row: int
) -> tuple[list[np.ndarray], np.ndarray, dict[str, int]]:
    """Return the features of a column of texts.

    Parameters
    ----------
    column
        What was learned about it.
    series
        All its values, as `tidy` makes them.
    rows
        Which rows to take.
    first_row
        Number of the first row in messages.

    Returns
    -------
    values
        A 0/1 array, (row,), for each feature but that of missing values.
    is_missing
        (row,) bool
    unseen
        Text that no training row has -> rows with it.

    Raises
    ------
    DataError
        If a text is missing that must not be, or the column holds something else.
    """
    import pandas as pd

    if not isinstance(series.dtype, pd.CategoricalDtype):
        if not series.isna().all():
            raise _other_kind(column, series, first_row)
        # A column without any value says nothing of its kind.
        series = pd.Series(pd.Categorical.from_codes(np.full(len(series), -1), categories=[]))
    levels = [str(level) for level in series.cat.categories]
    codes = series.cat.codes.to_numpy()[rows]
    is_missing = codes == -1
    n_own = len(column.levels)
    index = {level: place for place, level in enumerate(column.levels)}
    index |= dict.fromkeys(column.rare, n_own)
    if not any(map(CODE.fullmatch, index)):
        # 1.0 and 1 are one level, whichever table writes which.
        levels = [*names_of_numbers(levels).values()]
    unknown = n_own if column.rare else -1
    # The last entry is that of the code -1, a missing value.
    target = np.array([index.get(level, unknown) for level in levels] + [-1])
    if is_missing.any():
        _check_fill(column, is_missing, rows, first_row)
        target[-1] = index.get(str(column.fill), -1)
    places = target[codes]
    used = np.bincount(codes[~is_missing], minlength=len(levels))
    strange = {
        level: int(used[code]) for code, level in enumerate(levels) if used[code] and level not in index
    }
    if not column.has_value:
        return [], is_missing, {}
    return [places == place for place in range(n_own + bool(column.rare))], is_missing, strange


def number_features(
    column: Column, series: "pd.Series", rows: np.ndarray | slice, first_row: int
) -> tuple[list[np.ndarray], np.ndarray]:
    """Return the feature of a column of numbers, or of true and false as 1 and 0, with missing values filled in.

    Parameters
    ----------
    column, series, rows, first_row
        As for `level_features`.

    Returns
    -------
    values
        One float64 array, (row,); none, if only where values are missing is a feature.
    is_missing
        (row,) bool

    Raises
    ------
    DataError
        If a value is missing that must not be, or the column holds something else.
    """
    import pandas as pd

    if column.kind == "boolean":
        series = as_truth(series)
    wanted = pd.BooleanDtype if column.kind == "boolean" else np.dtype
    if not isinstance(series.dtype, wanted) and not series.isna().all():
        raise _other_kind(column, series, first_row)
    values = floats(series)[rows]
    is_missing = np.isnan(values)
    if is_missing.any():
        _check_fill(column, is_missing, rows, first_row)
        if column.has_value:
            values = np.where(is_missing, float(column.fill or 0.0), values)
    return [values] * column.has_value, is_missing


def log_exposure(
    name: str, series: "pd.Series", rows: np.ndarray | slice = slice(None), first_row: int | RowNumbers = 0
) -> np.ndarray:
    """Return the feature of a column over which the target was counted, (row,).

    Parameters
    ----------
    name
        Of the column.
    series, rows, first_row
        As for `level_features`.

    Raises
    ------
    DataError
        If a value is missing, or not positive, or the column holds something else.
    """
    if not isinstance(series.dtype, np.dtype) and not series.isna().all():
        raise _other_kind(Column(name, "exposure"), series, first_row)
    values = floats(series)[rows]
    if (wrong := ~(values > 0)).any():
        place = int(np.arange(len(series))[rows][wrong].min())
        value = floats(series)[place]
        what = "it is missing here" if np.isnan(value) else f"it is {value:g} here"
        more = int(wrong.sum()) - 1
        too = f" (and in {more} more row{'s' if more > 1 else ''})" if more else ""
        raise cell_error(
            "exposure-not-positive",
            name,
            place + first_row,
            f"an exposure, over which something was counted, must be positive, and {what}{too}; correct it, "
            "or remove the row",
            value=None if np.isnan(value) else f"{value:g}",
        )
    return np.asarray(np.log(values))


def _check_fill(column: Column, is_missing: np.ndarray, rows: np.ndarray | slice, first_row: int) -> None:
    if column.fill is None and not column.has_indicator:
        place = (
            np.arange(len(is_missing))[is_missing]
            if isinstance(rows, slice)
            else np.asarray(rows)[is_missing]
        )
        raise missing_error(column.name, int(place.min()), len(place), first_row)


def _other_kind(column: Column, series: "pd.Series", first_row: int | RowNumbers) -> DataError:
    place = int(np.flatnonzero(series.notna().to_numpy())[0])
    cell = series.iloc[place]
    if column.kind == "boolean" and isinstance(cell, str):
        # The first that is no such word, or not of the pair of the first.
        place = next(
            i
            for i, item in enumerate(series)
            if isinstance(item, str) and truth_of([cell, item], is_known=True) is None
        )
        cell = series.iloc[place]
    expected = {"boolean": "true or false", "text": "a text"}.get(column.kind, "a number")
    return cell_error(
        "other-kind",
        column.name,
        place + first_row,
        f"'{shown(str(cell))}' is not {expected}, which it was in the training table",
        value=str(cell),
    )
