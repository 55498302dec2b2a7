"""From a source to arrays ready for a network: split, and standardised with the train part alone."""

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal, Self

import numpy as np

from bnn.splits import Rows, split_rows
from bnn.storage import Variable, read_netcdf, write_netcdf
from bnn.tables import DataError, Table, join, read_csv

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
_TEXTS = ("name", "task", "target_name", "target_unit")
_NUMBERS = ("target_mean", "target_scale")


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
        Features, shape (row, feature), float64, standardised: (original - feature_mean) / feature_scale.
    y_train, y_test
        Target, shape (row,): class index (int64), or float64 standardised like the features.
    row_train, row_test
        Row of the source table each row comes from, int64, counted from 0.
    feature_names
        One per feature.
    feature_mean, feature_scale
        Mean and standard deviation (divisor n) of the train part in original units; the scale is 1 where a
        feature is constant.
    target_name, target_unit
        For labels; the unit is "" where unknown.
    class_names
        Name of each class index; () for regression.
    target_mean, target_scale
        Regression: original = target_mean + target_scale * standardised. Classification: 0 and 1.

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

    def __post_init__(self) -> None:
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

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write everything to a NetCDF file."""
        variables: dict[str, Variable] = {name: (dims, getattr(self, name)) for name, dims in _ARRAYS.items()}
        variables["feature_name"] = (("feature",), np.array(self.feature_names, dtype=str))
        if self.class_names:
            variables["class_name"] = (("class",), np.array(self.class_names, dtype=str))
        write_netcdf(path, variables, {name: getattr(self, name) for name in (*_TEXTS, *_NUMBERS)})

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """Read what `save` wrote."""
        variables, attributes = read_netcdf(path)
        fields: dict[str, Any] = {name: variables[name] for name in _ARRAYS}
        fields |= {name: attributes[name] for name in (*_TEXTS, *_NUMBERS)}
        for name in ("feature_name", "class_name"):
            fields[f"{name}s"] = tuple(variables[name].tolist()) if name in variables else ()
        return cls(**fields)


def prepare(name: str, *, task: Task, source: Mapping[str, Any], split: Mapping[str, Any]) -> Dataset:
    """Read a source, split it and standardise it.

    Parameters
    ----------
    name
        Name of the dataset.
    task
        "classification" or "regression".
    source
        `kind` and the keys of that kind, as in the config.
    split
        As in the config, see `bnn.splits.split_rows`. A CSV source with a `test` file brings its own split; the
        numbers of the test rows go on from those of the train rows.

    Raises
    ------
    DataError
        If the data cannot be used; the message names the dataset, the place and the remedy.
    """
    with _naming(f"dataset '{name}'"):
        table = SOURCES[source["kind"]](source, task)
        n_rows = len(table.y)
        if source.get("test"):
            table = join(table, _read_csv({**source, "path": source["test"]}, task, must_vary=False))
            row_train, row_test = np.arange(n_rows), np.arange(n_rows, len(table.y))
        with _naming(*([source["path"]] if "path" in source else [])):
            if not source.get("test"):
                rows = Rows(table.y, table.class_names, table.target_name, None)
                row_train, row_test = split_rows(rows, split)
            (x_train, x_test), feature_mean, feature_scale = _standardised(
                table, table.x, row_train, row_test
            )
            y_train, y_test = table.y[row_train], table.y[row_test]
            target_mean, target_scale = 0.0, 1.0
            if task == "regression":
                (y_train, y_test), mean, scale = _standardised(table, table.y, row_train, row_test)
                target_mean, target_scale = float(mean), float(scale)
    return Dataset(
        name=name,
        task=task,
        x_train=x_train,
        y_train=y_train,
        x_test=x_test,
        y_test=y_test,
        row_train=row_train,
        row_test=row_test,
        feature_names=table.feature_names,
        feature_mean=feature_mean,
        feature_scale=feature_scale,
        target_name=table.target_name,
        target_unit=table.target_unit,
        class_names=table.class_names,
        target_mean=target_mean,
        target_scale=target_scale,
    )


@contextmanager
def _naming(*places: str) -> Iterator[None]:
    """Put places, such as a file, before the message of a DataError."""
    try:
        yield
    except DataError as error:
        raise DataError(": ".join([*places, str(error)])) from error


def _standardised(
    table: Table, values: np.ndarray, row_train: np.ndarray, row_test: np.ndarray
) -> tuple[tuple[np.ndarray, np.ndarray], np.ndarray, np.ndarray]:
    """Return both parts of features or target, and the mean and scale of the train part that standardise them."""
    mean, scale = _mean_and_scale(values[row_train])
    # A test row may lie so many training scales away that the quotient overflows: that is an error, not a warning.
    with np.errstate(over="ignore"):
        parts = (values[row_train] - mean) / scale, (values[row_test] - mean) / scale
    for part in parts:
        far = np.flatnonzero(~np.isfinite(part.reshape(len(part), -1)).all(axis=0))
        if far.size:
            column = table.target_name if part.ndim == 1 else table.feature_names[far[0]]
            raise DataError(
                f"column '{column}' holds a value that is too far from the others to be standardised; correct or "
                "remove it"
            )
    return parts, mean, scale


def _mean_and_scale(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and standard deviation over rows, a scale of 1 where all rows are equal."""
    # Rounding gives equal rows a tiny standard deviation, so they are told by their range.
    scale = values.std(axis=0)
    constant = (np.ptp(values, axis=0) == 0) | (scale == 0)
    return values.mean(axis=0), np.where(constant, 1.0, scale)


def _read_sklearn(source: Mapping[str, Any], task: Task) -> Table:
    """Read a dataset of scikit-learn; its class indices stay, so that stratified splits reproduce."""
    import sklearn.datasets

    name = source["name"]
    # Diabetes comes scaled over all rows, which would leak the test part; the original units are an option.
    options = {"scaled": False} if name == "diabetes" else {}
    bunch = getattr(sklearn.datasets, f"load_{name}")(**options)
    is_class = task == "classification"
    return Table(
        x=np.asarray(bunch.data, dtype=np.float64),
        y=bunch.target.astype(np.int64 if is_class else np.float64),
        feature_names=tuple(str(item) for item in bunch.feature_names),
        target_name=SKLEARN_TARGETS[name],
        target_unit="",
        class_names=tuple(str(item) for item in bunch.target_names) if is_class else (),
    )


SKLEARN_TARGETS = {
    "iris": "species",
    "wine": "cultivar",
    "breast_cancer": "diagnosis",
    "diabetes": "disease progression",
}
"""Name of the target of each dataset that comes with scikit-learn."""


def gap(n: int, noise: float, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Draw y = sin(x) + 0.3 x + noise with x uniform on [-5, -3] and [3, 5]: no data between.

    Parameters
    ----------
    n
        Number of rows.
    noise
        Standard deviation of the Gaussian noise.
    rng
        Source of randomness.

    Returns
    -------
    x
        Shape (n, 1).
    y
        Shape (n,).
    """
    x = rng.choice([-1.0, 1.0], size=n) * rng.uniform(3.0, 5.0, size=n)
    return x[:, None], np.sin(x) + 0.3 * x + noise * rng.standard_normal(n)


SYNTHETIC: dict[str, Callable[[int, float, np.random.Generator], tuple[np.ndarray, np.ndarray]]] = {
    "gap": gap
}
"""Generators of artificial regression data: (rows, noise, rng) -> x (row, feature), y (row,)."""


def _read_synthetic(source: Mapping[str, Any], task: Task) -> Table:
    x, y = SYNTHETIC[source["name"]](source["n"], source["noise"], np.random.default_rng(source["seed"]))
    names = ("x",) if x.shape[1] == 1 else tuple(f"x{index + 1}" for index in range(x.shape[1]))
    return Table(x, y, names, target_name="y", target_unit="", class_names=())


def _read_csv(source: Mapping[str, Any], task: Task, *, must_vary: bool = True) -> Table:
    target, unit, is_class = source["target"], source["target_unit"], task == "classification"
    return read_csv(source["path"], target=target, target_unit=unit, is_class=is_class, must_vary=must_vary)


SOURCES: dict[str, Callable[[Mapping[str, Any], Task], Table]] = {
    "sklearn": _read_sklearn,
    "csv": _read_csv,
    "synthetic": _read_synthetic,
}
"""Readers by kind of source: (keys of the source, task) -> table."""
