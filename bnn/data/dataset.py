"""A table ready for a network, split and standardised, and its file data.nc; `bnn.data.preparation` makes it."""

import json
import os
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, Self

import numpy as np

from bnn.core.errors import DataError, Doubt, listing
from bnn.core.storage import Variable, content_digest, read_netcdf, write_netcdf
from bnn.data.column_encoding import Column
from bnn.data.encoding import Encoding
from bnn.data.words import TextFormat

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
_TEXTS = ("name", "task", "target_name", "target_unit", "time_name", "id_name")
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
        Mean and standard deviation (divisor n) of the train part in original units, without gross errors
        (`bnn.core.gross_values`); the scale of zeros and ones that stand for texts, truth or missing values is 1.
    target_name, target_unit
        For labels; the unit is "" where unknown.
    class_names
        Name of each class index; () for regression.
    target_mean, target_scale
        Regression: original = target_mean + target_scale * standardised, likewise. Classification: 0 and 1.
    columns
        What became of each column of the table; None: every feature is a column of numbers.
    text_format
        How a text file of new rows is written.
    time_train, time_test
        Of a time series: time of the target of each row, shape (row,), float64, increasing; None of other tables.
    time_name, time_is_date
        What the times are called, and whether they are seconds since 1970-01-01 or numbers of the table.
    in_order, group_train, group_test
        How parts of the training rows are left out, as the test rows were: whether rows follow each other in time, so
        that a part is a stretch of them; and the number of each row's group, (row,) int64, whose rows stay together,
        or None.
    first_row, first_row_test
        Number of the row whose index is 0, in `row_train` and in `row_test`. The two differ where test rows have a file
        of their own.
    id_name, id_train, id_test
        Name of the column that names rows, "" for none, and what it says of each row: (row,) str, or None.
    doubts
        What of the table may be meant otherwise than it was read.

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
    text_format: TextFormat = field(default_factory=TextFormat)
    time_train: np.ndarray | None = None
    time_test: np.ndarray | None = None
    time_name: str = ""
    time_is_date: bool = False
    in_order: bool = False
    group_train: np.ndarray | None = None
    group_test: np.ndarray | None = None
    first_row: int = 0
    first_row_test: int = 0
    id_name: str = ""
    id_train: np.ndarray | None = None
    id_test: np.ndarray | None = None
    doubts: tuple[Doubt, ...] = ()

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
            # The ends tell it, in less memory than a look at each.
            if not np.isfinite([array.min(initial=0), array.max(initial=0)]).all():
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
    def n_inputs(self) -> int:
        """Inputs of a network: the number of features, but for the log of an exposure."""
        return len(self.feature_names) - self.has_exposure

    def entering(self, x: np.ndarray) -> np.ndarray:
        """Return the features that enter a network, (row, input), of all of them, (row, feature): not an exposure."""
        return x[:, : self.n_inputs]

    @property
    def n_classes(self) -> int | None:
        """Classes of the target; None for a real target."""
        return len(self.class_names) if self.task == "classification" else None

    @property
    def n_outputs(self) -> int:
        """Outputs that a network needs: the number of classes, or 1."""
        return len(self.class_names) if self.task == "classification" else 1

    @property
    def has_exposure(self) -> bool:
        """Whether the target was counted over something, whose log is the last feature: see `log_exposure_train`."""
        return self.encoding.has_exposure

    @property
    def log_exposure_train(self) -> np.ndarray | None:
        """Log of what each training row was counted over, (row,), in units of their geometric mean; or None."""
        return self.x_train[:, -1] if self.has_exposure else None

    def row_numbers(self, split: str) -> np.ndarray:
        """Return the number of each row of a split as its file, and messages about it, count it, (row,) int64.

        The header of a text file is row 1, as in an editor or a spreadsheet.
        """
        if split == "train":
            return self.row_train + self.first_row
        return self.row_test + self.first_row_test

    def original_target(self, split: str) -> np.ndarray:
        """Return the targets of a split in the unit of their column, (row,); of classes their indices."""
        y = self.y_train if split == "train" else self.y_test
        return y if self.class_names else self.target_mean + self.target_scale * y

    @property
    def digest(self) -> str:
        """Of what draws and their predictions depend on: another table than that of the draws must not meet them."""
        content: dict[str, Any] = {
            name: getattr(self, name) for name in ("x_train", "y_train", "feature_names")
        }
        content |= {"columns": [column.to_json() for column in self.columns or ()]}
        content |= {"class_names": self.class_names, "target_name": self.target_name}
        return content_digest(content | {"unit": [float(self.target_mean), float(self.target_scale)]})

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
            if (group := getattr(self, f"group_{part}")) is not None:
                variables[f"group_{part}"] = ((part,), group)
        if self.class_names:
            variables["class_name"] = (("class",), np.array(self.class_names, dtype=str))
        attributes = {name: getattr(self, name) for name in (*_TEXTS, *_NUMBERS)}
        attributes |= {
            "time_is_date": int(self.time_is_date),
            "in_order": int(self.in_order),
            "text_format": json.dumps(asdict(self.text_format)),
            "doubts": json.dumps([asdict(doubt) for doubt in self.doubts]),
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
        needed = {*_ARRAYS, "column", *_TEXTS, *_NUMBERS, "text_format", "doubts", "time_is_date"}
        if lacking := sorted(needed - variables.keys() - attributes.keys()):
            raise DataError(
                "written-by-another-version",
                f"{path} does not say what this version of bnn needs to know ({listing(lacking)}): another version "
                "wrote it; run the workflow again",
                file=str(path),
            )
        fields: dict[str, Any] = {name: variables[name] for name in _ARRAYS}
        fields |= {name: attributes[name] for name in (*_TEXTS, *_NUMBERS)}
        for name in ("feature_name", "class_name"):
            fields[f"{name}s"] = tuple(variables[name].tolist()) if name in variables else ()
        optional = ("time_train", "time_test", "id_train", "id_test", "group_train", "group_test")
        fields |= {name: variables.get(name) for name in optional}
        form: dict[str, Any] = json.loads(attributes["text_format"])
        form |= {key: tuple(value) for key, value in form.items() if isinstance(value, list)}
        fields["text_format"] = TextFormat(**form)
        fields["doubts"] = tuple(Doubt(**doubt) for doubt in json.loads(attributes["doubts"]))
        fields["time_is_date"] = bool(attributes["time_is_date"])
        # Files of before do not say it, and predict new rows all the same.
        fields["in_order"] = bool(attributes.get("in_order", False))
        fields["columns"] = tuple(Column.from_json(text) for text in variables["column"].tolist())
        return cls(**fields)
