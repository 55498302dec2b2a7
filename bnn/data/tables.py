"""Tables as their source gives them, in original units: features by name, a target, and columns that are set aside."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple, Self, cast

import numpy as np

from bnn.core.errors import DataError, Doubt, cell_error, in_yaml, raise_all
from bnn.data.cells import check
from bnn.data.classes import read_classes
from bnn.data.csv_files import NAMELESS, Choose, Columns
from bnn.data.level_doubts import alike_doubts
from bnn.data.reading import Reading, check_names
from bnn.data.words import LIKE_MISSING, Kind, are_numbers, fault_of_name, with_point

if TYPE_CHECKING:
    import pandas as pd

_MISSING_TARGET = "fill it in, remove the row, or leave such rows out (source.missing_target: drop)"
_LONGEST_TEXT = 200
"""Characters of a text that names a row or says how to split; every row takes as much memory as the longest."""


class Table(NamedTuple):
    """What a source holds, in original units."""

    x: "pd.DataFrame"
    """Features by name, (row, feature), with a plain index: float64 with NaN where missing, `boolean`, or categories
    of texts; see `bnn.data.typed_columns.tidy`"""
    y: np.ndarray
    """(row,): class index (int64), or the target (float64); -1 or NaN where rows without it are to be left out"""
    target_name: str
    target_unit: str
    class_names: tuple[str, ...]
    """() for regression"""
    aside: Mapping[str, np.ndarray] = {}
    """Columns that are no features, such as one that says how to split: (row,), float64 if all cells are numbers, else
    str"""
    dropped: tuple[str, ...] = ()
    """Columns that the source has and the config does not want"""
    ids: np.ndarray | None = None
    """(row,) str: what each row is called by the column that `source.row_id` names, or that the file itself says holds
    names of rows; None if there is none"""
    first_row: int = 0
    """Number of the first row of data in messages; a key of `ROW_COUNTING`"""
    decimal: str = "."
    """What stands before the fraction of a number in texts of columns set aside"""
    doubts: tuple[Doubt, ...] = ()
    id_name: str = ""
    """Name of the column that names rows"""
    left_out: tuple[str, ...] = ()
    """What stands in lines of the file that the config leaves out"""

    @property
    def feature_names(self) -> tuple[str, ...]:
        """Names of the columns of x."""
        return tuple(self.x.columns)

    @property
    def has_target(self) -> np.ndarray:
        """(row,) bool: whether a row has a target."""
        return ~np.isnan(self.y) if self.y.dtype == np.float64 else self.y >= 0

    def of(self, rows: np.ndarray) -> Self:
        """Return some rows, by their indices."""
        return self._replace(
            x=self.x.iloc[rows].reset_index(drop=True),
            y=self.y[rows],
            aside={name: values[rows] for name, values in self.aside.items()},
            ids=None if self.ids is None else self.ids[rows],
        )


@contextmanager
def naming(*places: str, is_file: bool = True) -> Iterator[None]:
    """Put places before the message of a DataError; the last one is its file, unless it has one or this is none."""
    try:
        yield
    except DataError as error:
        file = places[-1] if places and is_file and error.file is None else None
        raise error.reworded(": ".join([*places, str(error)]), file=file) from error


def read_table(read: Callable[[Choose], Columns], wish: Reading, *, decimal: str = ".") -> Table:
    """Read a table: a target column, and features in all others that have no other role.

    Parameters
    ----------
    read
        Returns the columns as they are chosen.
    wish
        What the config says of them.
    decimal
        What stands before the fraction of a number in texts.

    Raises
    ------
    DataError
        If the table cannot be used; the message names column and row.
    """
    import pandas as pd

    numbers = wish.numeric if wish.exposure is None else [*wish.numeric, wish.exposure]
    roles = (wish.target, *wish.drop, *wish.categorical, *numbers, *wish.features, *wish.aside)
    row_id = wish.row_id
    row_names: list[str] = []
    order: list[str] = []

    def choose(names: Sequence[str], of_rows: Sequence[str]) -> Mapping[str, Kind]:
        nonlocal row_id
        check_names(names, wish)
        order.extend(names)
        kinds: dict[str, Kind] = {name: wish.known.get(name, "any") for name in names}
        row_names.extend(name for name in of_rows if name not in (*roles, row_id))
        if row_id is None and len(row_names) == 1:
            row_id = row_names[0]
        for names_of, kind in (
            (numbers, "number"),
            (wish.categorical, "text"),
            (wish.aside, "name"),
            ([*row_names, *wish.drop], "skip"),
        ):
            kinds.update(dict.fromkeys(names_of, cast(Kind, kind)))
        if row_id is not None:
            kinds[row_id] = "name"
        return {**kinds, wish.target: "text" if wish.is_class else "number"}

    found = read(choose)
    frame, doubts = found.frame, list(found.doubts)
    nameless = [name for name in frame if NAMELESS.fullmatch(str(name)) and frame[name].isna().all()]
    frame = frame.drop(columns=nameless)
    doubts += [
        Doubt("nameless", name, "it has neither a name nor a value, and is left out") for name in nameless
    ]
    if found.faults:
        _raise_with_others(found, frame, wish, row_id, order)
    if row_names:
        told = "are the names of rows" if row_id in row_names else "are names of rows, and left out"
        doubts += [
            Doubt(
                "row-names",
                name,
                f"the file says that these {told}, no feature (source.features: [{in_yaml(name)}] "
                "makes one of them)",
            )
            for name in row_names
        ]
    try:
        table = make_table(
            frame,
            target=wish.target,
            is_class=wish.is_class,
            must_vary=wish.must_vary,
            missing_target="needed" if wish.is_series else wish.missing_target,
            aside=wish.aside,
            row_id=row_id,
            first_row=found.first_row,
            decimal=decimal,
        )
    except DataError as error:
        fault = _with_word(error, doubts, wish.target)
        _raise_with_others(found._replace(faults=(fault,)), frame, wish, row_id, order)
        raise
    for name in (wish.target, *table.feature_names):
        if not isinstance(frame[name].dtype, pd.CategoricalDtype):
            if name in wish.fold_case:
                told = "it holds no texts, and source.fold_case does nothing: take it out there"
                doubts.append(Doubt("nothing-to-fold", name, told))
        elif name not in wish.categorical:
            doubts += alike_doubts(name, frame[name].cat.categories, is_target=name == wish.target)
    return table._replace(
        target_unit=wish.target_unit,
        dropped=tuple(name for name in dict.fromkeys(wish.drop) if name in order),
        decimal=decimal,
        doubts=tuple(doubts),
        id_name=row_id or "",
        left_out=found.left_out,
    )


def _with_word(error: DataError, doubts: Sequence[Doubt], target: str) -> DataError:
    """Say of a target without a value if the text None stands there, which may be a class."""
    word = next((one for one in doubts if (one.code, one.column) == ("none-as-missing", target)), None)
    if error.code != "value-missing" or word is None:
        return error
    text = f"{error}; {word.text}"
    return DataError(error.code, text, column=target, row=error.row, key="source.missing_words", value="None")


def _raise_with_others(
    found: Columns, frame: "pd.DataFrame", wish: Reading, row_id: str | None, order: Sequence[str]
) -> None:
    """Raise the faults of columns that could not be read, and those of others, so that all can be corrected at once."""
    faults = [error if wish.is_class else _with_task(error, wish) for error in found.faults]
    features = frame.drop(columns=[wish.target, *wish.aside, row_id], errors="ignore")
    # As `prepare` has it of a table that can be read.
    meant = tuple(features.columns) if wish.is_series else wish.features
    try:
        check(features, features=meant, first_row=found.first_row, is_test=not wish.must_vary)
    except DataError as error:
        faults += [fault for fault in error.faults if isinstance(fault, DataError)]
    faults.sort(key=lambda fault: order.index(fault.column) if fault.column in order else -1)
    raise_all(faults, "columns cannot be used as they are")


def _with_task(error: DataError, wish: Reading) -> DataError:
    """Say what to do if the target of a regression is no number."""
    if error.code != "not-a-number" or error.column != wish.target:
        return error
    if (error.value or "").lower() in LIKE_MISSING:
        if wish.is_series:
            return error.reworded(f"{error}; fill in what is missing")
        return error.reworded(
            f"{error}; if it stands for a missing value, set source.missing_words and source.missing_target: drop"
        )
    return error.reworded(
        f"{error}; the target of a regression must be a number; for classes set `task: classification`"
    )


def make_table(
    frame: "pd.DataFrame",
    *,
    target: str,
    is_class: bool,
    must_vary: bool = True,
    missing_target: str = "error",
    aside: Sequence[str] = (),
    row_id: str | None = None,
    first_row: int = 0,
    decimal: str = ".",
) -> Table:
    """Make a table from tidy columns: the target, features in all others but those set aside.

    Parameters
    ----------
    frame
        Columns as `read_columns` returns them: the target as texts if it is a class, else as float64; those set aside
        as texts.
    target, is_class, must_vary, aside, row_id, decimal
        As in `Reading`.
    missing_target
        As in `Reading`; "needed" if rows without a target cannot be left out, either.
    first_row
        Number of the first row in messages.

    Raises
    ------
    DataError
        If the target has missing values that it must not have, or none that a model can learn from.
    """
    is_missing = frame[target].isna().to_numpy()
    if not is_class and frame[target].dtype != np.float64:
        raise DataError(
            "target-not-numbers",
            f"column '{target}' holds no numbers: the target of a regression must be a number; for classes set "
            "`task: classification`",
            column=target,
        )
    if missing_target != "drop":
        remedy = "fill it in" if missing_target == "needed" else _MISSING_TARGET
        _check_missing(target, is_missing, first_row, remedy=remedy)
    elif is_missing.all():
        raise DataError(
            "column-empty",
            f"column '{target}': the target has no value in any row; set source.target to another column",
            column=target,
        )
    if is_class:
        y, class_names = read_classes(target, frame[target], must_vary=must_vary, first_row=first_row)
    else:
        y, class_names = frame[target].to_numpy(dtype=np.float64), ()
        if must_vary and np.ptp(y[~is_missing]) == 0:
            raise DataError(
                "target-constant",
                f"column '{target}': the target is {y[~is_missing][0]} in every row: there is nothing to learn",
                column=target,
            )
    is_left_out = is_missing if missing_target == "drop" else np.zeros(len(frame), dtype=bool)
    kept = {name: _aside(name, frame[name], is_left_out, first_row, decimal) for name in aside}
    ids = None if row_id is None else names_of_rows(row_id, frame[row_id], first_row)
    x = frame.drop(columns=list(dict.fromkeys([target, *aside, *([] if row_id is None else [row_id])])))
    return Table(x, y, target, "", class_names, kept, ids=ids, first_row=first_row)


def names_of_rows(name: str, column: "pd.Series", first_row: int) -> np.ndarray:
    """Return what names each row, (row,) str; "" where nothing does."""
    codes = column.cat.codes.to_numpy()
    texts = [str(text) for text in column.cat.categories]
    _check_shown(name, texts, codes, first_row)
    return np.array([*texts, ""], dtype=str)[codes]


def _check_shown(name: str, texts: Sequence[str], codes: np.ndarray, first_row: int) -> None:
    """Raise DataError if a text cannot be shown, or is so long that an array of one width would be too large."""
    for code, text in enumerate(texts):
        if fault := fault_of_name(text, longest=_LONGEST_TEXT):
            row = int(np.flatnonzero(codes == code)[0]) + first_row
            raise cell_error("text-unusable", name, row, f"the text {fault}; shorten or correct it")


def _check_missing(
    name: str,
    is_missing: np.ndarray,
    first_row: int,
    why: str = "",
    *,
    remedy: str = "fill it in, or remove the row",
) -> None:
    rows = np.flatnonzero(is_missing)
    if rows.size:
        more = (
            f" (and in {rows.size - 1} more row{'s' * (rows.size > 2)} of the column)"
            if rows.size > 1
            else ""
        )
        raise cell_error(
            "value-missing",
            name,
            rows[0] + first_row,
            f"the value is missing{more}{why}; {remedy}",
        )


def _aside(
    name: str, column: "pd.Series", is_left_out: np.ndarray, first_row: int, decimal: str
) -> np.ndarray:
    codes = column.cat.codes.to_numpy()
    _check_missing(
        name,
        (codes == -1) & ~is_left_out,
        first_row,
        ", and the config asks for it (split.column or series.time)",
    )
    levels = [str(level) for level in column.cat.categories]
    _check_shown(name, levels, codes, first_row)
    numbers = [with_point(level, decimal) for level in levels]
    if are_numbers(numbers):
        return np.array([float(number) for number in numbers])[codes]
    return np.array(levels, dtype=str)[codes]
