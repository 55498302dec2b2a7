"""Where tables come from: files, datasets of scikit-learn and OpenML, addresses, and artificial data."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from bnn import synthetic
from bnn.tables import Table, read_csv
from bnn.tidy import tidy

Source = Mapping[str, Any]
"""`kind` and the keys of that kind, as in the config."""


def read_source(source: Source, *, is_class: bool, aside: Sequence[str] = ()) -> Table:
    """Read a table.

    Parameters
    ----------
    source
        `kind` and the keys of that kind, as in the config. The file `test` is not read.
    is_class
        Whether the target is a class.
    aside
        Columns to keep beside the features.

    Raises
    ------
    DataError
        If the table cannot be had or used; the message says where the fault is and what to do.
    """
    return SOURCES[source["kind"]](source, is_class, aside)


def read_test_file(source: Source, *, is_class: bool, aside: Sequence[str] = ()) -> Table:
    """Read the file of test rows that a source names, like its file of training rows."""
    return _read_csv({**source, "path": source["test"]}, is_class, aside, must_vary=False)


def _read_csv(source: Source, is_class: bool, aside: Sequence[str], *, must_vary: bool = True) -> Table:
    options = ("target", "target_unit", "separator", "decimal", "drop", "categorical")
    chosen = {name: source[name] for name in options if name in source}
    return read_csv(source["path"], is_class=is_class, must_vary=must_vary, aside=aside, **chosen)


def _read_sklearn(source: Source, is_class: bool, aside: Sequence[str]) -> Table:
    """Read a dataset of scikit-learn; its class indices stay, so that stratified splits reproduce."""
    import pandas as pd
    import sklearn.datasets

    name = source["name"]
    # Diabetes comes scaled over all rows, which would leak the test part; the original units are an option.
    options = {"scaled": False} if name == "diabetes" else {}
    bunch = getattr(sklearn.datasets, f"load_{name}")(**options)
    x = pd.DataFrame(np.asarray(bunch.data, dtype=np.float64), columns=map(str, bunch.feature_names))
    return Table(
        x=tidy(x),
        y=bunch.target.astype(np.int64 if is_class else np.float64),
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


def _read_synthetic(source: Source, is_class: bool, aside: Sequence[str]) -> Table:
    import pandas as pd

    generator = synthetic.GENERATORS[source["name"]]
    x, y = generator.draw(source["n"], source["noise"], np.random.default_rng(source["seed"]))
    names = ("x",) if x.shape[1] == 1 else tuple(f"x{index + 1}" for index in range(x.shape[1]))
    return Table(tidy(pd.DataFrame(x, columns=names)), y, "y", "", generator.class_names)


SOURCES: dict[str, Callable[[Source, bool, Sequence[str]], Table]] = {
    "csv": _read_csv,
    "sklearn": _read_sklearn,
    "synthetic": _read_synthetic,
}
"""Readers by kind of source: (source, whether the target is a class, columns set aside) -> table."""
