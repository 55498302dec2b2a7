"""Whether rows of one person, plant or firm stand in the training part and in the test part."""

import re
from collections.abc import Collection, Iterator, Mapping
from typing import TYPE_CHECKING

import numpy as np

from bnn.core.errors import Doubt, group_line, in_yaml
from bnn.data.cells import words_of

if TYPE_CHECKING:
    import pandas as pd

_MOST_ROWS, _FEW_ROWS = 100_000, 2000
"""Rows that are looked at, the first ones, and those of them that refute most of what is looked for"""
_MOST_COLUMNS = 50
"""Columns that may tell groups, where another is a time"""
_FEWEST_GROUPS = 10
_LEAST_SHARE = 0.05
"""Of the test rows that share their group with training rows"""
_FILLED = 0.5
"""Share of the pairs of group and time that a table of repeated measurements has at the least"""
_SUBJECTS = {
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
_NUMBER = {"id", "ids", "no", "nr", "nbr", "num", "number", "code", "key", "#", "№"}
_SUBJECT_ID = re.compile(f"({'|'.join(sorted(_SUBJECTS))})id")
_TIMES = {
    *("time", "year", "yr", "quarter", "season", "month", "week", "day", "date", "hour", "minute", "decade"),
    *("visit", "wave", "period", "occasion", "session", "trial", "round", "semester", "term", "age"),
}
"""Words for when they are"""


def group_doubts(
    frame: "pd.DataFrame",
    parts: tuple[np.ndarray, np.ndarray],
    *,
    ids: Mapping[str, np.ndarray],
    features: Collection[str] = (),
) -> Iterator[Doubt]:
    """Yield columns that say on whom or what rows were measured, where both parts have rows of the same.

    They are the names of rows, if these repeat, and features that are called so (`patient_id`). Or, if there is none, a
    feature that with a time (`year`) tells all rows apart, most of its values coming with each of the times, and that
    settles a third column, as a person does a year of birth.

    Parameters
    ----------
    frame
        The features, as `tidy` makes them.
    parts
        Indices of the training and of the test rows, taken at random.
    ids
        Name of the column that names rows -> names, (row,), if there is one.
    features
        Columns of which the config says that they are features as they are.
    """
    called = [name for name in map(str, frame.columns) if name not in features and _is_called_so(name)]
    named = {name: frame[name] for name in called if _is_whole(frame[name])}
    found = [*_in_both(ids, parts, more=""), *_in_both(named, parts)]
    if not found and (name := _repeatedly_measured(frame.iloc[:_MOST_ROWS], features)) is not None:
        found = [*_in_both({name: frame[name]}, parts)]
    yield from found


def _in_both(
    columns: "Mapping[str, pd.Series | np.ndarray]",
    parts: tuple[np.ndarray, np.ndarray],
    more: str = "; source.features: [{}] keeps it without a word",
) -> Iterator[Doubt]:
    """Yield those of the columns whose values both parts have; `more` is what else is said of them."""
    train, test = parts
    for name, values in columns.items():
        codes, n_groups = _codes(values)
        n_known = np.count_nonzero(np.isin(codes[test], codes[train]))
        if n_groups >= _FEWEST_GROUPS and n_known >= _LEAST_SHARE * len(test):
            yield Doubt(
                "group-in-both-parts",
                name,
                f"{n_groups} different values in {len(codes)} rows, and {n_known} of {len(test)} test rows share "
                f"theirs with training rows; to see how well new ones, such as new patients, are predicted, split by "
                f"it ({group_line(name)}){more.format(in_yaml(name))}",
            )


def _repeatedly_measured(frame: "pd.DataFrame", features: Collection[str]) -> str | None:
    """Return the column of those that are measured at times; None if there is none."""
    n = len(frame)
    times = {str(name): _codes(frame[name]) for name in frame if _TIMES & {*words_of(str(name))}}
    if not times:
        return None
    groups: dict[str, tuple[np.ndarray, int]] = {}
    for name, column in frame.items():
        if len(groups) < _MOST_COLUMNS and name not in (*times, *features) and _is_whole(column):
            codes, n_values = _codes(column)
            if _FEWEST_GROUPS <= n_values <= n / 2:
                groups[str(name)] = codes, n_values
    for name in sorted(groups, key=lambda one: -groups[one][1]):
        codes, n_values = groups[name]
        for time, (others, n_times) in times.items():
            if n <= n_values * n_times <= n / _FILLED and _all_differ(codes * n_times + others):
                rest = (column for other, column in frame.items() if other not in (name, time))
                if any(_settles(codes, column) for column in rest):
                    return name
    return None


def _is_called_so(name: str) -> bool:
    words = words_of(name)
    if not words:
        return False
    is_one = bool({*words} & _SUBJECTS) and {*words} <= _SUBJECTS | _NUMBER
    return words[-1] == "id" or is_one or _SUBJECT_ID.fullmatch(words[-1]) is not None


def _is_whole(column: "pd.Series") -> bool:
    """Return whether a column holds whole numbers or texts, all there."""
    if column.dtype != np.float64:
        return column.dtype == "category" and not column.isna().any()
    values = column.to_numpy()
    return all(bool((some == np.round(some)).all()) for some in (values[:100], values))


def _codes(values: "pd.Series | np.ndarray") -> tuple[np.ndarray, int]:
    """Return a number from 0 for each value, (row,), and how many there are; missing values have one of their own."""
    import pandas as pd

    codes, found = pd.factorize(values, use_na_sentinel=False)
    return codes.astype(np.int64), len(found)


def _all_differ(values: np.ndarray) -> bool:
    return all(np.unique(some).size == len(some) for some in (values[:_FEW_ROWS], values))


def _settles(codes: np.ndarray, column: "pd.Series") -> bool:
    """Return whether rows of one code have the same value in another column, which is not the same in all."""
    for n_rows in (_FEW_ROWS, len(codes)):
        values, n_values = _codes(column.iloc[:n_rows])
        some = codes[:n_rows]
        _, first, place = np.unique(some, return_index=True, return_inverse=True)
        if (values != values[first][place]).any():
            return False
    return n_values > 1
