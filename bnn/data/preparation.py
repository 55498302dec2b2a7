"""From a source to a dataset: read, split, and made what a network takes by the train rows alone."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from bnn.core.errors import DataError, Doubt, cell_error
from bnn.core.gross_values import mean_and_scale
from bnn.core.identical_rows import are_copies, first_of_each
from bnn.data.cells import check, floats
from bnn.data.column_encoding import Column, log_exposure
from bnn.data.dataset import Dataset, Task
from bnn.data.doubts import (
    class_doubts,
    gross_doubts,
    missing_doubts,
    number_doubts,
    percent_doubts,
    repeated_doubts,
    target_doubts,
)
from bnn.data.encoding import Encoded, Encoding, fit
from bnn.data.group_doubts import group_doubts
from bnn.data.joining import check_dropped, join
from bnn.data.row_numbers import RowNumbers
from bnn.data.sources import is_typed, place_of, read_source, read_test_file, text_format
from bnn.data.splits import MIN_TRAIN_ROWS, Rows, check_size, split_rows
from bnn.data.tables import Table, naming
from bnn.data.time_series import Forecasts, as_forecasts
from bnn.data.words import Kind

if TYPE_CHECKING:
    import pandas as pd


def prepare(
    name: str,
    *,
    task: Task | Literal["timeseries"],
    source: Mapping[str, Any],
    split: Mapping[str, Any],
    columns: Mapping[str, Any] | None = None,
    series: Mapping[str, Any] | None = None,
) -> Dataset:
    """Read a source, split it and make its columns what a network takes.

    Parameters
    ----------
    name
        Name of the dataset.
    task
        "classification", "regression", or "timeseries", which becomes a regression.
    source
        `kind` and the keys of that kind, as in the config.
    split
        As in the config, see `bnn.data.splits.split_rows`. A source with a `test` file brings its own split; the
        numbers of the test rows go on from those of the train rows.
    columns
        `missing` and `min_frequency`, as in the config; None: their defaults.
    series
        `lags` and `horizon` of a time series, as in the config; its column of times is the one that `split` names.

    Raises
    ------
    DataError
        If the data cannot be used; the message names the dataset, the place and the remedy.
    """
    settings = columns or {}
    is_class = task == "classification"
    missing = {key: value for key, value in settings.items() if key == "missing"}
    with naming(f"dataset '{name}'", is_file=False):
        is_series = task == "timeseries"
        aside = [split["column"]] if split.get("column") is not None and not source.get("test") else []
        table = read_source(source, is_class=is_class, aside=aside, is_series=is_series)
        places = place_of(source)
        n_in_file = len(table.y)
        with naming(*places):
            if not table.feature_names and not is_series:
                raise DataError(
                    "no-features",
                    f"there is no column beside the target '{table.target_name}' to predict it from; to forecast it "
                    "from its own past, set `task: timeseries`",
                )
            table, in_file, doubts = _with_target(table)
            first_row = RowNumbers(table.first_row, in_file)
            # What a series is forecast from are its own values.
            features = table.feature_names if is_series else source.get("features", ())
            exposure = source.get("exposure")
            _check_exposure(table, exposure, first_row)
            check(table.x, first_row=first_row, features=features, **missing)
            inputs = table.x if exposure is None else table.x.drop(columns=exposure)
            written: dict[str, Any] = {"form": text_format(source), "is_typed": is_typed(source)}
            of_numbers = number_doubts(inputs, **written, features=features, first_row=first_row)
            doubts = [*table.doubts, *of_numbers, *doubts]
            if not is_class:
                has_gaps = len(table.y) < n_in_file
                written |= {"is_series": is_series, "has_gaps": has_gaps, "first_row": first_row}
                doubts += target_doubts(table.target_name, table.y, **written)
                doubts += percent_doubts(table.target_name, source.get("target_unit", ""), table.y)
        n_rows = len(table.y)
        if source.get("test"):
            with naming(*places):
                check_size(n_rows, "train")
            known = _kinds(table.x)
            test_table = read_test_file(source, is_class=is_class, known=known, left_out=table.left_out)
            with naming(source["test"]):
                test_table, in_test_file, without = _with_target(test_table, "of the test file ")
                doubts += without
                check_size(len(test_table.y), "test")
                in_test = RowNumbers(test_table.first_row, in_test_file)
                _check_exposure(test_table, exposure, in_test)
                check(test_table.x, first_row=in_test, is_test=True, **missing)
            check_dropped(source.get("drop", ()), (table, test_table))
            table = join(table, test_table)
            in_file = np.concatenate([in_file, n_in_file + in_test_file])
            first_row = RowNumbers(table.first_row, in_file)
            row_train, row_test = np.arange(n_rows), np.arange(n_rows, len(table.y))
        with naming(*places):
            forecasts = None
            if is_series:
                assert series is not None, "a time series has lags and a horizon"
                table, forecasts = as_forecasts(table, series, split)
                row_train, row_test = forecasts.train, forecasts.test
            else:
                first, is_repeat = _same_rows(table)
                how = split.get("repeated_rows", "auto")
                by_lot = split["method"] == "random" and not source.get("test")
                copied = how == "auto" and not is_class and are_copies(table.y[:n_rows], is_repeat[:n_rows])
                used = np.flatnonzero(~is_repeat) if how == "drop" or (copied and by_lot) else None
                if not source.get("test"):
                    row_train, row_test = split_rows(_rows(table, split, first, first_row), split, used=used)
                elif used is not None:
                    row_train, row_test = (rows[np.isin(rows, used)] for rows in (row_train, row_test))
                    check_size(len(row_train), "train")
                    check_size(len(row_test), "test")
                if how == "auto":
                    if copied and not by_lot and np.count_nonzero(~is_repeat[row_train]) >= MIN_TRAIN_ROWS:
                        # Test rows that somebody named stay what they are.
                        row_train = row_train[~is_repeat[row_train]]
                    parts = row_train, row_test
                    about = {"by_lot": by_lot, "are_copies": copied}
                    doubts += repeated_doubts(
                        first, is_repeat, parts, **about, n_in_file=n_rows, first_row=first_row
                    )
                del first, is_repeat, used  # of a long table as large as one more column
                if by_lot:
                    ids = {} if table.ids is None else {table.id_name: table.ids}
                    doubts += group_doubts(inputs, (row_train, row_test), ids=ids, features=features)
            doubts += class_doubts(table.target_name, table.class_names, table.y[row_test])
            numbers = table.first_row + (in_file[:n_rows] if forecasts is None else forecasts.target)
            doubts += _gross_doubts(
                table, row_train, numbers, doubts, is_series=is_series, is_class=is_class, exposure=exposure
            )
            encoding = fit(table.x, row_train, exposure=exposure, **settings)
            if not is_series:
                how = settings.get("missing", "auto")
                doubts += missing_doubts(table.x, encoding, missing=how, first_row=first_row)
            train, test = (encoding.transform(table.x, rows) for rows in (row_train, row_test))
            for part in (train, test):
                _check_finite(part.x, encoding.feature_names)
            y_train, y_test = table.y[row_train], table.y[row_test]
            target_mean, target_scale = 0.0, 1.0
            if not is_class:
                target_mean, target_scale = mean_and_scale(y_train)
                with np.errstate(over="ignore"):
                    y_train, y_test = ((y - target_mean) / target_scale for y in (y_train, y_test))
                for y in (y_train, y_test):
                    _check_finite(y[:, None], (table.target_name,))
    form = replace(text_format(source), left_out=table.left_out)
    beside: dict[str, Any] = {"text_format": form} | ({} if forecasts is None else _times(forecasts))
    if not source.get("test"):
        beside["in_order"] = forecasts is not None or split["method"] == "time"
        if split["method"] == "group" and forecasts is None:
            group = np.unique(table.aside[split["column"]], return_inverse=True)[1]
            beside |= {"group_train": group[row_train], "group_test": group[row_test]}
    if forecasts is not None:
        row_train, row_test = forecasts.target[row_train], forecasts.target[row_test]
    if table.ids is not None:
        beside |= {"id_name": table.id_name}
        beside |= {"id_train": table.ids[row_train], "id_test": table.ids[row_test]}
    return Dataset(
        name=name,
        task="regression" if task == "timeseries" else task,
        x_train=train.x,
        y_train=y_train,
        x_test=test.x,
        y_test=y_test,
        row_train=in_file[row_train],
        row_test=in_file[row_test],
        first_row=table.first_row,
        # The rows of a test file have numbers of their own.
        first_row_test=table.first_row - (n_in_file if source.get("test") else 0),
        feature_names=encoding.feature_names,
        feature_mean=encoding.mean,
        feature_scale=encoding.scale,
        target_name=table.target_name,
        target_unit=table.target_unit,
        class_names=table.class_names,
        target_mean=target_mean,
        target_scale=target_scale,
        columns=_with_test_rows(encoding, test)
        + tuple(Column(name, "dropped") for name in table.dropped)
        + tuple(Column(name, "aside", has_value=False) for name in table.aside)
        + tuple(
            Column(name, "id", has_value=False)
            for name in ([table.id_name] if table.ids is not None else [])
            if name not in table.aside
        ),
        doubts=tuple(doubts),
        **beside,
    )


def _kinds(frame: "pd.DataFrame") -> dict[str, Kind]:
    """Return what the columns of another file of the same table hold."""
    kinds: dict[str, Kind] = {"category": "text", "float64": "number", "boolean": "any"}
    return {str(name): kinds[str(column.dtype)] for name, column in frame.items()}


def _with_target(table: Table, what: str = "") -> tuple[Table, np.ndarray, list[Doubt]]:
    """Return the rows that have a target, their indices in the file, and that others are left out."""
    has_target = table.has_target
    in_file = np.flatnonzero(has_target)
    if has_target.all():
        return table, in_file, []
    left_out = np.flatnonzero(~has_target)
    text = f"{left_out.size} of {len(has_target)} rows {what}have no target, and are left out"
    row = int(left_out[0]) + table.first_row
    return table.of(in_file), in_file, [Doubt("target-missing", table.target_name, text, row)]


def _check_exposure(table: Table, name: str | None, first_row: RowNumbers) -> None:
    """Raise DataError where nothing can have been counted over an exposure, or the target is no count."""
    if name is None:
        return
    log_exposure(name, table.x[name], first_row=first_row)
    is_count = (table.y >= 0) & (table.y == np.rint(table.y))
    if not is_count.all():
        place = int(np.flatnonzero(~is_count)[0])
        value = f"{table.y[place]:g}"
        raise cell_error(
            "no-count",
            table.target_name,
            place + first_row,
            f"{value} is no count, and source.exposure ({name}) is what counts were made over; give the counts "
            "themselves, or take source.exposure out",
            value=value,
        )


def _same_rows(table: Table) -> tuple[np.ndarray, np.ndarray]:
    """Return the first row with the same features as each, and whether each has the target of such a one, too."""
    columns = (
        column.cat.codes.to_numpy() if column.dtype == "category" else floats(column)
        for column in (table.x[name] for name in table.feature_names)
    )
    first = first_of_each(columns, len(table.y))
    if (first == np.arange(len(first))).all():
        return first, np.zeros(len(first), dtype=bool)
    return first, first_of_each((first, table.y), len(table.y)) != np.arange(len(table.y))


def _gross_doubts(
    table: Table,
    row_train: np.ndarray,
    numbers: np.ndarray,
    told: Sequence[Doubt],
    *,
    is_series: bool,
    is_class: bool,
    exposure: str | None,
) -> Iterator[Doubt]:
    """Yield gross errors of the file of training rows, which have numbers; of a series of its values, not of lags."""
    # Words for a missing value that were told lie far from the rest, too.
    known = {doubt.column for doubt in told if doubt.code == "far-from-the-rest"}
    if not is_class and table.target_name not in known:
        yield from gross_doubts(
            table.target_name, table.y[: len(numbers)], row_train, numbers, is_target=True
        )
    for name, column in {} if is_series else table.x.items():
        # An exposure is not standardised.
        if column.dtype == np.float64 and name not in (*known, exposure):
            yield from gross_doubts(str(name), column.to_numpy()[: len(numbers)], row_train, numbers)


def _rows(table: Table, split: Mapping[str, Any], first: np.ndarray, first_row: RowNumbers) -> Rows:
    """Return what a split needs to know of a table."""
    column = None
    if (name := split.get("column")) is not None:
        if name not in table.aside:
            raise DataError(
                "column-missing",
                f"this source has no column '{name}' to split by; set another split.method",
                column=name,
                key="split.column",
            )
        column = table.aside[name]
    return Rows(table.y, table.class_names, table.target_name, column, first_row, table.decimal, first)


def _times(forecasts: Forecasts) -> dict[str, Any]:
    """Return what a dataset holds of the times of its rows."""
    return {
        "time_train": forecasts.time[forecasts.train],
        "time_test": forecasts.time[forecasts.test],
        "time_name": forecasts.time_name,
        "time_is_date": forecasts.time_is_date,
    }


def without_test_rows(
    name: str,
    frame: "pd.DataFrame",
    y: np.ndarray,
    *,
    task: Task,
    encoding: Encoding,
    target_name: str,
    class_names: tuple[str, ...],
) -> Dataset:
    """Return a table in memory, all of whose rows are to be trained on: its test part is empty.

    Parameters
    ----------
    name
        Name of the dataset.
    frame
        The columns, as `tidy` makes them.
    y
        Target, shape (row,): class index (int64), or float64 in original units.
    task
        "classification" or "regression".
    encoding
        What `columns.fit` learned from these rows.
    target_name, class_names
        As in `Dataset`.

    Raises
    ------
    DataError
        If a value lies too far from the others to be standardised.
    """
    x = encoding.transform(frame).x
    _check_finite(x, encoding.feature_names)
    target_mean, target_scale = 0.0, 1.0
    if task == "regression":
        target_mean, target_scale = mean_and_scale(y)
        y = (y - target_mean) / target_scale
    return Dataset(
        name=name,
        task=task,
        x_train=x,
        y_train=y,
        row_train=np.arange(len(x)),
        x_test=x[:0],
        y_test=y[:0],
        row_test=np.arange(0),
        feature_names=encoding.feature_names,
        feature_mean=encoding.mean,
        feature_scale=encoding.scale,
        target_name=target_name,
        target_unit="",
        class_names=class_names,
        target_mean=target_mean,
        target_scale=target_scale,
        columns=encoding.columns,
    )


def _with_test_rows(encoding: Encoding, test: Encoded) -> tuple[Column, ...]:
    """Return the columns with what the test rows hold."""
    n_missing = test.n_missing
    return tuple(
        replace(
            column,
            n_missing_test=n_missing.get(column.name, 0),
            n_unseen_test=sum(test.unseen.get(column.name, {}).values()),
        )
        for column in encoding.columns
    )


def _check_finite(values: np.ndarray, names: Sequence[str]) -> None:
    """Raise DataError if a standardised value, (row, column), overflowed."""
    ends = [
        getattr(values, end)(axis=0, initial=0) for end in ("min", "max")
    ]  # less memory than a look at each
    far = np.flatnonzero(~np.isfinite(ends).all(axis=0))
    if far.size:
        raise DataError(
            "value-too-far",
            f"column '{names[far[0]]}' holds a value that is too far from the others to be standardised; correct or "
            "remove it",
            column=names[far[0]],
        )
