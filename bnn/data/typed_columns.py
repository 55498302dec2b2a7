"""Columns with types of their own, from Arrow or pandas, as one of three kinds: numbers, truth values, texts."""

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from bnn.core.errors import DataError, Doubt, cell_error, drop_line, in_yaml, or_missing, raise_all, shown
from bnn.data.text_columns import TextColumn
from bnn.data.words import (
    CODE,
    LARGEST,
    MOST_EXACT,
    TEXTS,
    Kind,
    TextFormat,
    categories,
    fault_of_name,
    level_text,
    number_of,
    truth_of,
)

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa


class Found(NamedTuple):
    """A column: float64 with NaN, `boolean`, or categories of sorted texts."""

    values: Any
    doubts: Sequence[Doubt] = ()


def tidy(frame: "pd.DataFrame", *, texts: Collection[str] = (), first_row: int = 0) -> "pd.DataFrame":
    """Return any columns as the kinds that `check`, `fit` and `transform` take.

    Parameters
    ----------
    frame
        Columns of numbers, truth values, texts, or categories; missing values as NaN or None. It is not changed.
    texts
        Columns known to hold texts, which stay texts though these rows hold no others than yes and no, say.
    first_row
        Number of the first row in messages.

    Returns
    -------
    DataFrame
        Columns of float64 with NaN, `boolean`, or categories of sorted texts (the words of a pair such as yes and no
        are truth values); names are texts.

    Raises
    ------
    DataError
        If a column holds several kinds of things, dates, or something else; numbers that are infinite or too large; or
        if two columns have one name.
    """
    names = [str(label) for label in frame.columns]
    kinds: dict[str, Kind] = {name: "text" if name in texts else "any" for name in names}
    check_typed_names(names)
    found, _, faults = read_typed(names, lambda place: frame.iloc[:, place], kinds, first_row=first_row)
    raise_all(faults, "columns cannot be used as they are")
    return found


def check_typed_names(names: Sequence[str]) -> None:
    """Raise DataError if a name cannot be shown, or stands twice."""
    for place, name in enumerate(names):
        if fault := fault_of_name(name):
            raise DataError(
                "name-unusable", f"the name of column {place + 1} {fault}; rename it", column=name
            )
    if twice := [name for name, count in Counter(names).items() if count > 1]:
        raise DataError(
            "name-twice",
            f"column '{shown(twice[0])}' appears more than once; rename or remove one",
            column=twice[0],
        )


def read_typed(
    names: Sequence[str],
    column: Callable[[int], Any],
    kinds: Mapping[str, Kind],
    *,
    form: TextFormat | None = None,
    levels: Collection[str] = (),
    first_row: int = 0,
) -> tuple["pd.DataFrame", tuple[Doubt, ...], tuple[DataError, ...]]:
    """Return columns as what they are to hold, what is doubtful about them, and why some of them are not there.

    Parameters
    ----------
    names
        Names of the columns, all different.
    column
        Returns the column at a place: a chunked array of Arrow, or a series of pandas.
    kinds
        What each is to hold.
    form
        How texts are written; None: as if nothing was said.
    levels
        Columns of numbers that stand for levels.
    first_row
        Number of the first row in messages.
    """
    import pandas as pd

    columns: dict[str, Any] = {}
    doubts: list[Doubt] = []
    faults: list[DataError] = []
    n_rows = 0
    for place, name in enumerate(names):
        if kinds[name] == "skip":
            continue
        values = column(place)
        n_rows = len(values)
        try:
            found = _read(name, values, kinds[name], form or TextFormat(), name in levels, first_row)
        except DataError as error:
            faults.append(error)
            continue
        del values
        columns[name] = found.values
        doubts += found.doubts
    frame = pd.DataFrame(columns, index=pd.RangeIndex(n_rows), copy=False)
    frame.columns = pd.Index(list(columns), dtype=object)
    return frame, tuple(doubts), tuple(faults)


def _read(name: str, values: Any, kind: Kind, form: TextFormat, has_levels: bool, row: int) -> Found:
    import pandas as pd
    import pyarrow as pa

    if isinstance(values, pd.Series):
        dtype = values.dtype
        if isinstance(dtype, pd.CategoricalDtype):
            return _levels(name, list(dtype.categories), values.cat.codes.to_numpy(), kind, form)
        if isinstance(dtype, np.dtype) and dtype.kind == "f" and dtype.itemsize >= 4 and kind == "any":
            return Found(_checked(name, values.to_numpy(np.float64), form, row))
        try:
            values = pa.chunked_array(pa.array(values, from_pandas=True))
        except (pa.ArrowException, OverflowError, TypeError, ValueError):
            return _read_things(name, values, kind, form, row)
    return _read_arrow(name, values, kind, form, has_levels, row)


def _read_arrow(
    name: str, values: "pa.ChunkedArray", kind: Kind, form: TextFormat, has_levels: bool, row: int
) -> Found:
    import pandas as pd
    import pyarrow as pa
    import pyarrow.compute as pc
    from pyarrow import types

    if isinstance(values.type, pa.BaseExtensionType):
        if values.type.extension_name == "arrow.uuid":
            values = pa.chunked_array(
                [[None if uuid is None else str(uuid) for uuid in values.to_pylist()]], pa.string()
            )
        else:
            values = pa.chunked_array([chunk.storage for chunk in values.chunks], values.type.storage_type)
    kind_of = values.type
    if types.is_null(kind_of):
        values = values.cast(pa.float64())
    is_number = types.is_integer(kind_of) or types.is_floating(kind_of) or types.is_decimal(kind_of)
    if types.is_dictionary(kind_of) and kind == "number":
        return _read_arrow(name, values.cast(kind_of.value_type), kind, form, has_levels, row)
    if types.is_dictionary(kind_of) or (has_levels and is_number and kind != "number"):
        coded = values.unify_dictionaries() if types.is_dictionary(kind_of) else values.dictionary_encode()
        chunks = [chunk.indices.cast(pa.int64()).fill_null(-1).to_numpy() for chunk in coded.chunks]
        own = coded.chunk(0).dictionary if coded.num_chunks else pa.array([])
        texts = own.cast(pa.string()) if types.is_floating(own.type) else own
        codes = np.concatenate([np.empty(0, np.int64), *chunks])
        return _levels(name, texts.to_pylist(), codes, kind, form)
    if types.is_string(kind_of) or types.is_large_string(kind_of) or types.is_string_view(kind_of):
        column = TextColumn(name, kind, form, is_typed=True)
        start = row
        for chunk in values.chunks:
            column.add(chunk.cast(pa.string()), start)
            start += len(chunk)
        return Found(column.values(), column.doubts)
    if types.is_temporal(kind_of):
        if kind not in TEXTS:
            things = values.to_pandas(date_as_object=True)
            place = (
                int(np.flatnonzero(things.notna().to_numpy())[0]) if values.null_count < len(values) else 0
            )
            raise date_error(name, place + row, str(things.iloc[place]))
        return _read_things(name, values.to_pandas(date_as_object=True), kind, form, row)
    if types.is_boolean(kind_of) and kind not in TEXTS:
        is_missing = values.is_null().to_numpy()
        return Found(pd.arrays.BooleanArray(pc.fill_null(values, False).to_numpy(), is_missing))
    if not is_number and not types.is_boolean(kind_of) and not types.is_null(kind_of):
        place = int(np.flatnonzero(values.is_valid().to_numpy())[0]) if values.null_count < len(values) else 0
        things = (
            "bytes"
            if types.is_binary(kind_of) or types.is_fixed_size_binary(kind_of)
            else "a list or a group"
        )
        raise cell_error(
            "type-unusable",
            name,
            place + row,
            f"the column is of the type {str(kind_of)[:60]}, and a cell holds {things}; make a column of each part "
            f"that matters, or drop it ({drop_line(name)})",
        )
    if kind in TEXTS:
        if types.is_boolean(kind_of):
            values = pc.if_else(values, "True", "False")
        coded = pc.dictionary_encode(values.combine_chunks() if values.num_chunks != 1 else values.chunk(0))
        texts = coded.dictionary.cast(pa.string()).to_pylist()
        return _levels(name, texts, coded.indices.fill_null(-1).to_numpy(), kind, form)
    return _numbers(name, values, form, row)


def _numbers(name: str, values: "pa.ChunkedArray", form: TextFormat, row: int) -> Found:
    import pyarrow as pa
    import pyarrow.compute as pc

    # A copy: the memory that a file was read into has room to spare.
    numbers = np.array(pc.cast(values, pa.float64(), safe=False).to_numpy())
    doubts = []
    if not pa.types.is_floating(values.type) and (np.abs(numbers) >= MOST_EXACT).any():
        back = pc.cast(pa.chunked_array([numbers], pa.float64()), values.type, safe=False)
        lost = np.flatnonzero(pc.fill_null(pc.not_equal(values, back), False).to_numpy())
        if lost.size:
            place = int(lost[0])
            doubts = [
                Doubt(
                    "digits-lost",
                    name,
                    f"{values[place].as_py()} has more digits than a number can hold, and the last ones are lost; if "
                    f"it is a name, set source.row_id: {in_yaml(name)} or {drop_line(name)}",
                    place + row,
                )
            ]
    return Found(_checked(name, numbers, form, row), doubts)


def _checked(name: str, values: np.ndarray, form: TextFormat, row: int) -> np.ndarray:
    """Return numbers without those that stand for a missing value; none may be too large."""
    if words := form.missing(name, is_typed=True)[1]:
        values = np.where(np.isin(values, words), np.nan, values)
    # Both ignore NaN, and cost a tenth of a look at each value.
    if max(np.fmax.reduce(values), -np.fmin.reduce(values)) > LARGEST:
        place = int(np.flatnonzero(np.abs(values) > LARGEST)[0])
        raise cell_error(
            "number-too-large", name, place + row, f"{values[place]} is infinite or too large; correct it"
        )
    return values


def _levels(name: str, levels: Sequence[Any], codes: np.ndarray, kind: Kind, form: TextFormat) -> Found:
    """Return levels of any type as texts, or as truth if they are the words of one pair."""
    import pandas as pd

    texts = [level_text(level) for level in levels]
    missing, _ = form.missing(name, is_typed=True)
    gone = [place for place, text in enumerate(texts) if text.lower() in missing]
    codes = np.where(np.isin(codes, gone), -1, codes)
    used = {texts[code] for code in np.unique(codes[codes >= 0])}
    truth = (
        None
        if kind in TEXTS
        else truth_of([text if text in used else min(used) for text in texts] if used else [])
    )
    if truth is not None:
        return Found(pd.arrays.BooleanArray(np.append(truth, False)[codes], codes == -1))
    fold = name in form.fold_case and kind != "name"
    return Found(categories(texts, codes, kind=kind, fold=fold))


def _read_things(name: str, column: "pd.Series", kind: Kind, form: TextFormat, row: int) -> Found:
    """Return a column of Python's own things as texts, or say which of them is in the way."""
    import pandas as pd

    if (
        kind in TEXTS
        and not column.map(lambda value: isinstance(value, list | dict | set | np.ndarray)).any()
    ):
        things = column.astype(object)
        codes, levels = pd.factorize(things.map(level_text, na_action="ignore"))
        return _levels(name, list(levels), codes, kind, form)
    missing, _ = form.missing(name, is_typed=True)
    column = column.mask(
        column.map(lambda value: isinstance(value, str) and value.strip().lower() in missing)
    )
    present = column[column.notna().to_numpy()]
    kinds = [_kind_of(value) for value in present]
    counts = Counter(kinds)
    places = np.flatnonzero(column.notna().to_numpy())
    if "date" in counts:
        raise date_error(name, int(places[0]) + row, str(present.iloc[0]))
    texts = list(dict.fromkeys(value.strip() for value in present if isinstance(value, str)))
    are_texts_numbers = all(number_of(text, form) is not None and not CODE.fullmatch(text) for text in texts)
    if set(counts) <= {"number", "text"} and are_texts_numbers:
        if texts:
            column = column.map(lambda value: number_of(value, form) if isinstance(value, str) else value)
        told = f"{counts['text']} of its numbers are stored as text; they are read as numbers"
        doubts = [Doubt("numbers-as-text", name, told)] if texts else []
        return Found(_checked(name, column.astype(float).to_numpy(), form, row), doubts)
    least = min(sorted(counts), key=counts.__getitem__)
    first = kinds.index(least)
    cell = str(present.iloc[first])
    if len(counts) == 1:
        what = f"'{shown(cell)}' is a {type(present.iloc[first]).__name__}; make a column of each part that matters"
        raise cell_error("type-unusable", name, int(places[first]) + row, f"{what}, or {drop_line(name)}")
    or_words = ""
    if set(counts) == {"number", "text"}:
        or_words = or_missing(texts, lambda words: form.missing_line(name, words, is_typed=True))
    raise cell_error(
        "mixed-kinds",
        name,
        int(places[first]) + row,
        f"'{shown(cell)}' is a {least} in a column of {' and '.join(sorted(f'{kind}s' for kind in counts))}; a column "
        f"must hold one kind of thing: correct it, {or_words}or, if all are levels, set source.categorical: "
        f"[{in_yaml(name)}], or drop the column ({drop_line(name)})",
        value=cell,
    )


def _kind_of(value: Any) -> str:
    if isinstance(value, str):
        return "text"
    if isinstance(value, bool | np.bool_):
        return "boolean"
    if isinstance(value, int | float | np.integer | np.floating) or type(value).__name__ == "Decimal":
        return "number"
    if (
        hasattr(value, "isoformat")
        or isinstance(value, np.datetime64 | np.timedelta64)
        or hasattr(value, "total_seconds")
    ):
        return "date"
    return "thing"


def date_error(name: str, row: int, cell: str) -> DataError:
    """Return the error for a date or a time among the features."""
    return cell_error(
        "date-among-features",
        name,
        row,
        f"'{shown(cell)}' is a date or a time, and features must be numbers or categories; "
        f"make columns of what matters of it (year, month, days since a day), or drop it ({drop_line(name)}); if "
        f"rows are in time, use it: `task: timeseries` with series.time: {in_yaml(name)}, or split.method: time with "
        f"split.column: {in_yaml(name)}",
        value=cell,
    )
