"""Whether rows of one person, plant or firm stand in the training part and in the test part."""

from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING

import numpy as np

from bnn.core.errors import Doubt, in_yaml
from bnn.data.cells import group_split, words_of

if TYPE_CHECKING:
    import pandas as pd

_MOST_ROWS = 100_000
"""Rows that are looked at, the first ones"""
_MOST_COLUMNS = 50
"""Columns that may tell groups, or times, which are compared by pairs"""
_FEWEST_GROUPS = 10
_FILLED = 0.5
"""Share of the pairs of group and time that a table of repeated measurements has at the least"""
_ONE = {
    *(
        "subject",
        "patient",
        "person",
        "participant",
        "individual",
        "respondent",
        "customer",
        "client",
        "user",
    ),
    *("member", "household", "family", "child", "pupil", "student", "worker", "employee", "player", "animal"),
    *("plant", "firm", "company"),
}
"""Words for what rows may be measured on more than once"""
_NUMBER = {"id", "ids", "no", "nr", "number", "code", "key"}


def group_doubts(
    frame: "pd.DataFrame", parts: tuple[np.ndarray, np.ndarray], *, features: Collection[str] = ()
) -> Iterator[Doubt]:
    """Yield a feature that says on whom or what rows were measured, where both parts have rows of the same.

    It is one that is called so (`patient_id`), and whose values repeat; or one that with another, such as a year, tells
    all rows apart, most of its values coming with each of the other's, and that settles a third column, as a person
    does a year of birth.

    Parameters
    ----------
    frame
        The columns, as `tidy` makes them.
    parts
        Indices of the training and of the test rows, taken at random.
    features
        Columns of which the config says that they are features as they are.
    """
    name = _group(frame.iloc[:_MOST_ROWS], features)
    if name is None:
        return
    codes, n_groups = _codes(frame[name])
    train, test = parts
    n_known = np.count_nonzero(np.isin(codes[test], codes[train]))
    if n_known:
        yield Doubt(
            "group-in-both-parts",
            name,
            f"{n_groups} different values in {len(frame)} rows, and {n_known} of {len(test)} test rows share theirs "
            f"with training rows; if new rows will have new ones, as of new patients, split by it {group_split(name)}; "
            f"source.features: [{in_yaml(name)}] keeps it without a word",
        )


def _group(frame: "pd.DataFrame", features: Collection[str]) -> str | None:
    """Return the column that tells groups of rows; None if there is none."""
    n = len(frame)
    found: dict[str, tuple[np.ndarray, int]] = {}
    for name, column in frame.items():
        if len(found) < _MOST_COLUMNS and _is_whole(column):
            codes, n_values = _codes(column)
            if 2 <= n_values <= n / 2:
                found[str(name)] = codes, n_values
    groups = [name for name, (_, count) in found.items() if count >= _FEWEST_GROUPS and name not in features]
    for name in groups:
        if _is_called_so(name):
            return name
    for name in sorted(groups, key=lambda one: -found[one][1]):
        codes, n_values = found[name]
        for time, (others, n_times) in found.items():
            if time == name or not n <= n_values * n_times <= n / _FILLED:
                continue
            if np.unique(codes * n_times + others).size == n and _settles(
                codes, frame.drop(columns=[name, time])
            ):
                return name
    return None


def _is_called_so(name: str) -> bool:
    words = words_of(name)
    return bool(words) and (words[-1] == "id" or (bool(set(words) & _ONE) and set(words) <= _ONE | _NUMBER))


def _is_whole(column: "pd.Series") -> bool:
    """Return whether a column holds whole numbers or texts, all there."""
    if column.dtype != np.float64:
        return column.dtype == "category" and not column.isna().any()
    values = column.to_numpy()
    return all(bool((some == np.round(some)).all()) for some in (values[:100], values))


def _codes(column: "pd.Series") -> tuple[np.ndarray, int]:
    """Return a number from 0 for each value, (row,), and how many there are; missing values have one of their own."""
    import pandas as pd

    codes, values = pd.factorize(column, use_na_sentinel=False)
    return codes.astype(np.int64), len(values)


def _settles(codes: np.ndarray, others: "pd.DataFrame") -> bool:
    """Return whether rows of one code have the same value in one of the other columns, which is not the same in all."""
    first = np.unique(codes, return_index=True)[1]
    for _, column in others.items():
        values, n_values = _codes(column)
        if n_values > 1 and (values == values[first][codes]).all():
            return True
    return False
