"""Tables of training and of test rows as one."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from bnn.core.errors import DataError, drop_line, listing
from bnn.data.cells import as_truth
from bnn.data.tables import Table

if TYPE_CHECKING:
    import pandas as pd


def join(train: Table, test: Table) -> Table:
    """Return the rows of both tables, train first.

    Raises
    ------
    DataError
        If the test table lacks a feature, has another one or one of another kind, or has a class that the train table
        has not.
    """
    import pandas as pd

    of_train, of_test = set(train.feature_names), set(test.feature_names)
    missing = [name for name in train.feature_names if name not in of_test]
    unknown = [name for name in test.feature_names if name not in of_train]
    for names, fault in ((missing, "lacks"), (unknown, "has, and the train file has not,")):
        if names:
            raise DataError(
                "column-missing" if fault == "lacks" else "column-unknown",
                f"the test file {fault} column {listing(names)}: both must have the same columns; leave it out of both "
                f"({drop_line(*names)})",
                column=names[0],
            )
    y = test.y
    if train.class_names:
        index = {name: k for k, name in enumerate(train.class_names)}
        strange = [f"'{name}'" for name in test.class_names if name not in index]
        if strange:
            raise DataError(
                "class-unknown",
                f"the test file has class {listing(strange)}, which the train file has not",
                value=strange[0][1:-1],
            )
        y = np.array([index[name] for name in test.class_names], dtype=np.int64)[test.y]
    columns = {name: _joined(name, train.x[name], test.x[name]) for name in train.feature_names}
    n_rows = len(train.y) + len(y)
    return train._replace(
        x=pd.DataFrame(columns, index=pd.RangeIndex(n_rows), copy=False),
        y=np.concatenate([train.y, y]),
        aside={name: np.concatenate([train.aside[name], test.aside[name]]) for name in train.aside},
        ids=None if train.ids is None or test.ids is None else np.concatenate([train.ids, test.ids]),
    )


def check_dropped(names: Sequence[str], tables: Sequence[Table]) -> None:
    """Raise DataError if a column to drop is in neither file."""
    if lacking := set(names).difference(*(table.dropped for table in tables)):
        name = min(lacking)
        raise DataError(
            "column-missing",
            f"there is no column '{name}' (source.drop) in either file",
            column=name,
            key="source.drop",
        )


def _joined(name: str, train: "pd.Series", test: "pd.Series") -> "pd.Series":
    import pandas as pd
    from pandas.api.types import union_categoricals

    if isinstance(train.dtype, pd.CategoricalDtype) and isinstance(test.dtype, pd.CategoricalDtype):
        return pd.Series(union_categoricals([train, test], sort_categories=True))
    if isinstance(train.dtype, pd.BooleanDtype):
        test = as_truth(test)
    kinds = [_kind(column) for column in (train, test)]
    if kinds[0] != kinds[1]:
        # A column without any value says nothing of its kind.
        if test.isna().all():
            test = pd.Series(np.full(len(test), None, dtype=object)).astype(train.dtype)
        else:
            raise DataError(
                "other-kind",
                f"column '{name}' holds {kinds[0]} in the train file and {kinds[1]} in the test file; make them the "
                "same",
                column=name,
            )
    return pd.concat([train, test], ignore_index=True)


def _kind(column: "pd.Series") -> str:
    import pandas as pd

    if isinstance(column.dtype, pd.CategoricalDtype):
        return "texts"
    return "true or false" if isinstance(column.dtype, pd.BooleanDtype) else "numbers"
