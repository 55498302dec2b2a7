"""From a source to arrays ready for a network: split, and standardised with the train part alone."""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np

from bnn.column import Column
from bnn.columns import Encoded, Encoding, fit
from bnn.csv_files import MISSING_WORDS
from bnn.sources import place_of, read_source, read_test_file, text_format
from bnn.splits import Rows, check_size, split_rows
from bnn.storage import Variable, read_netcdf, write_netcdf
from bnn.tables import DataError, Table, join, listing, naming
from bnn.tidy import check
from bnn.timeseries import Forecasts, as_forecasts

if TYPE_CHECKING:
    import pandas as pd

Task = Literal["classification", "regression"]

_ARRAYS = {
    "x_train": ("train", "feature"),
    "y_train": ("train",),
    "row_train": ("train",),
    "x_test": ("test", "feature"),
    "y_test": ("test",),
    "row_test": ("test",),
    "feature_mean": ("feature",),
    "feature_scale": ("feature",),
}
_TEXTS = ("name", "task", "target_name", "target_unit", "separator", "decimal", "time_name", "id_name")
_NUMBERS = ("target_mean", "target_scale", "first_row", "first_row_test")


@dataclass(frozen=True, eq=False)
class Dataset:
    """A table split in two and standardised with the statistics of the train part.

    Parameters
    ----------
    name
        Name in the config.
    task
        "classification" or "regression".
    x_train, x_test
        Features, shape (row, feature), float64, standardised: (original - feature_mean) / feature_scale, where the
        original of a text or a missing value is a zero or a one.
    y_train, y_test
        Target, shape (row,): class index (int64), or float64 standardised like the features.
    row_train, row_test
        Row of the source table each row comes from, int64, counted from 0; those of a test file go on from those of the
        train file. `row_numbers` counts as a person does.
    feature_names
        One per feature.
    feature_mean, feature_scale
        Mean and standard deviation (divisor n) of the train part in original units; the scale of zeros and ones that
        stand for texts, truth or missing values is 1.
    target_name, target_unit
        For labels; the unit is "" where unknown.
    class_names
        Name of each class index; () for regression.
    target_mean, target_scale
        Regression: original = target_mean + target_scale * standardised. Classification: 0 and 1.
    columns
        What became of each column of the table; None: every feature is a column of numbers.
    separator, decimal, missing_words
        How a CSV file of new rows is written.
    time_train, time_test
        Of a time series: time of the target of each row, shape (row,), float64, increasing; None of other tables.
    time_name, time_is_date
        What the times are called, and whether they are seconds since 1970-01-01 or numbers of the table.
    first_row, first_row_test
        Number of the row whose index is 0, in `row_train` and in `row_test`. The two differ where test rows have a file
        of their own.
    id_name, id_train, id_test
        Name of the column that names rows, "" for none, and what it says of each row: (row,) str, or None.

    Raises
    ------
    ValueError
        If shapes or types do not fit together, or a value is not finite.
    """

    name: str
    task: Task
    x_train: np.ndarray
    y_train: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray
    row_train: np.ndarray
    row_test: np.ndarray
    feature_names: tuple[str, ...]
    feature_mean: np.ndarray
    feature_scale: np.ndarray
    target_name: str
    target_unit: str
    class_names: tuple[str, ...]
    target_mean: float
    target_scale: float
    columns: tuple[Column, ...] | None = None
    separator: str = ","
    decimal: str = "."
    missing_words: tuple[str, ...] = MISSING_WORDS
    time_train: np.ndarray | None = None
    time_test: np.ndarray | None = None
    time_name: str = ""
    time_is_date: bool = False
    first_row: int = 0
    first_row_test: int = 0
    id_name: str = ""
    id_train: np.ndarray | None = None
    id_test: np.ndarray | None = None

    def __post_init__(self) -> None:
        if self.columns is None:
            object.__setattr__(self, "columns", tuple(Column(name) for name in self.feature_names))
        sizes = {"train": len(self.x_train), "test": len(self.x_test), "feature": len(self.feature_names)}
        for name, dims in _ARRAYS.items():
            array = getattr(self, name)
            expected = tuple(sizes[dim] for dim in dims)
            if array.shape != expected:
                raise ValueError(
                    f"dataset {self.name!r}: {name} has shape {array.shape}, expected {expected}"
                )
            if not np.isfinite(array).all():
                raise ValueError(f"dataset {self.name!r}: {name} holds a value that is not finite")
        if self.encoding.feature_names != self.feature_names:
            raise ValueError(f"dataset {self.name!r}: its columns do not become its features")
        if not ((self.feature_scale > 0).all() and self.target_scale > 0 and np.isfinite(self.target_scale)):
            raise ValueError(f"dataset {self.name!r}: a scale is not a positive number")
        if self.task == "regression":
            if self.class_names:
                raise ValueError(
                    f"dataset {self.name!r}: regression has no classes, but {self.class_names} are given"
                )
            return
        for y in (self.y_train, self.y_test):
            if y.dtype.kind not in "iu" or (y < 0).any() or (y >= self.n_outputs).any():
                raise ValueError(
                    f"dataset {self.name!r}: y must hold indices of its {self.n_outputs} classes"
                )

    @property
    def n_outputs(self) -> int:
        """Outputs that a network needs: the number of classes, or 1."""
        return len(self.class_names) if self.task == "classification" else 1

    @property
    def content(self) -> dict[str, Any]:
        """All that draws depend on, by name."""
        return {
            name: value
            for name, value in vars(self).items()
            if name not in ("columns", "separator", "decimal", "missing_words")
            and not name.startswith(("time_", "first_row", "id_"))
        }

    def row_numbers(self, split: str) -> np.ndarray:
        """Return the number of each row of a split as its file, and messages about it, count it, (row,) int64.

        The header of a text file is row 1, as in an editor or a spreadsheet.
        """
        if split == "train":
            return self.row_train + self.first_row
        return self.row_test + self.first_row_test

    @property
    def encoding(self) -> Encoding:
        """How columns of the table became features, for new rows."""
        return Encoding(self.columns or (), self.feature_mean, self.feature_scale)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write everything to a NetCDF file."""
        variables: dict[str, Variable] = {name: (dims, getattr(self, name)) for name, dims in _ARRAYS.items()}
        variables["feature_name"] = (("feature",), np.array(self.feature_names, dtype=str))
        columns = [column.to_json() for column in self.columns or ()]
        variables["column"] = (("column",), np.array(columns, dtype=str))
        for part in ("train", "test"):
            for name in (f"time_{part}", f"id_{part}"):
                if (values := getattr(self, name)) is not None:
                    variables[name] = ((part,), values)
        if self.class_names:
            variables["class_name"] = (("class",), np.array(self.class_names, dtype=str))
        attributes = {name: getattr(self, name) for name in (*_TEXTS, *_NUMBERS)}
        attributes |= {
            "time_is_date": int(self.time_is_date),
            "missing_words": json.dumps(self.missing_words),
        }
        write_netcdf(path, variables, attributes)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """Read what `save` wrote.

        Raises
        ------
        DataError
            If the file lacks something: another version of this package wrote it.
        """
        variables, attributes = read_netcdf(path)
        needed = {*_ARRAYS, "column", *_TEXTS, *_NUMBERS, "missing_words", "time_is_date"}
        if lacking := sorted(needed - variables.keys() - attributes.keys()):
            raise DataError(
                f"{path} does not say what this version of bnn needs to know ({listing(lacking)}): another version "
                "wrote it; run the workflow again"
            )
        fields: dict[str, Any] = {name: variables[name] for name in _ARRAYS}
        fields |= {name: attributes[name] for name in (*_TEXTS, *_NUMBERS)}
        for name in ("feature_name", "class_name"):
            fields[f"{name}s"] = tuple(variables[name].tolist()) if name in variables else ()
        fields |= {name: variables.get(name) for name in ("time_train", "time_test", "id_train", "id_test")}
        fields["missing_words"] = tuple(json.loads(attributes["missing_words"]))
        fields["time_is_date"] = bool(attributes["time_is_date"])
        fields["columns"] = tuple(Column.from_json(text) for text in variables["column"].tolist())
        return cls(**fields)


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
        As in the config, see `bnn.splits.split_rows`. A source with a `test` file brings its own split; the
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
    with naming(f"dataset '{name}'"):
        is_series = task == "timeseries"
        aside = [split["column"]] if split.get("column") is not None and not source.get("test") else []
        table = read_source(source, is_class=is_class, aside=aside)
        places = place_of(source)
        with naming(*places):
            if not table.feature_names and not is_series:
                raise DataError(
                    f"there is no column beside the target '{table.target_name}': nothing to predict from"
                )
            check(table.x, first_row=table.first_row, **missing)
        n_rows = len(table.y)
        if source.get("test"):
            with naming(*places):
                check_size(n_rows, "train")
            texts = table.x.select_dtypes("category").columns
            test_table = read_test_file(source, is_class=is_class, texts=texts)
            with naming(source["test"]):
                check_size(len(test_table.y), "test")
                check(test_table.x, first_row=test_table.first_row, is_test=True, **missing)
            table = join(table, test_table)
            row_train, row_test = np.arange(n_rows), np.arange(n_rows, len(table.y))
        with naming(*places):
            forecasts = None
            if is_series:
                assert series is not None, "a time series has lags and a horizon"
                table, forecasts = as_forecasts(table, series, split)
                row_train, row_test = forecasts.train, forecasts.test
            elif not source.get("test"):
                row_train, row_test = split_rows(_rows(table, split), split)
            encoding = fit(table.x, row_train, **settings)
            train, test = (encoding.transform(table.x, rows) for rows in (row_train, row_test))
            for part in (train, test):
                _check_finite(part.x, encoding.feature_names)
            y_train, y_test = table.y[row_train], table.y[row_test]
            target_mean, target_scale = 0.0, 1.0
            if not is_class:
                target_mean, target_scale = _mean_and_scale(y_train)
                with np.errstate(over="ignore"):
                    y_train, y_test = ((y - target_mean) / target_scale for y in (y_train, y_test))
                for y in (y_train, y_test):
                    _check_finite(y[:, None], (table.target_name,))
    beside: dict[str, Any] = text_format(source) | ({} if forecasts is None else _times(forecasts))
    row_train = row_train if forecasts is None else forecasts.target[row_train]
    row_test = row_test if forecasts is None else forecasts.target[row_test]
    if table.ids is not None:
        beside |= {"id_name": source["row_id"]}
        beside |= {"id_train": table.ids[row_train], "id_test": table.ids[row_test]}
    return Dataset(
        name=name,
        task="regression" if task == "timeseries" else task,
        x_train=train.x,
        y_train=y_train,
        x_test=test.x,
        y_test=y_test,
        row_train=row_train,
        row_test=row_test,
        first_row=table.first_row,
        # The rows of a test file have numbers of their own.
        first_row_test=table.first_row - (n_rows if source.get("test") else 0),
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
            for name in ([source["row_id"]] if table.ids is not None else [])
            if name not in table.aside
        ),
        **beside,
    )


def _rows(table: Table, split: Mapping[str, Any]) -> Rows:
    """Return what a split needs to know of a table."""
    column = None
    if (name := split.get("column")) is not None:
        if name not in table.aside:
            raise DataError(f"this source has no column '{name}' to split by; set another split.method")
        column = table.aside[name]
    return Rows(table.y, table.class_names, table.target_name, column, table.first_row, table.decimal)


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
        target_mean, target_scale = _mean_and_scale(y)
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
    return tuple(
        replace(
            column,
            n_missing_test=test.n_missing.get(column.name, 0),
            n_unseen_test=sum(test.unseen.get(column.name, {}).values()),
        )
        for column in encoding.columns
    )


def _check_finite(values: np.ndarray, names: Sequence[str]) -> None:
    """Raise DataError if a standardised value, (row, column), overflowed."""
    far = np.flatnonzero(~np.isfinite(values).all(axis=0))
    if far.size:
        raise DataError(
            f"column '{names[far[0]]}' holds a value that is too far from the others to be standardised; correct or "
            "remove it"
        )


def _mean_and_scale(y: np.ndarray) -> tuple[float, float]:
    """Return mean and standard deviation of a target, 1 where that is too small to be a number."""
    return float(y.mean()), float(y.std()) or 1.0
