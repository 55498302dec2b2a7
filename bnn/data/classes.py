"""The target as classes: an index for each row, and the names of the classes."""

from decimal import Decimal
from typing import TYPE_CHECKING

import numpy as np

from bnn.core.errors import DataError, cell_error, shown
from bnn.data.words import are_numbers, fault_of_name

if TYPE_CHECKING:
    import pandas as pd


def read_classes(
    name: str, column: "pd.Series", *, must_vary: bool, first_row: int
) -> tuple[np.ndarray, tuple[str, ...]]:
    """Return class indices, (row,) int64 and -1 where missing, and the sorted names of the classes.

    Parameters
    ----------
    name
        Name of the target.
    column
        Its categories.
    must_vary
        Whether a model is to learn from these rows.
    first_row
        Number of the first row in messages.

    Raises
    ------
    DataError
        If the name of a class cannot be shown, or there are too few or too many classes to learn from.
    """
    codes = column.cat.codes.to_numpy()
    cells = [str(cell) for cell in column.cat.categories]
    for code, cell in enumerate(cells):
        if fault := fault_of_name(cell):
            row = int(np.flatnonzero(codes == code)[0]) + first_row
            raise cell_error(
                "name-unusable", name, row, f"the name of the class {fault}; rename it", value=cell
            )
    # Of classes that are numbers all are written alike by now, see `words.categories`.
    names = tuple(sorted(cells, key=Decimal) if are_numbers(cells) else sorted(cells))
    if must_vary and len(names) == 1:
        raise DataError(
            "target-constant",
            f"column '{name}': the target is '{shown(names[0])}' in every row: there is nothing to tell apart",
            column=name,
        )
    n_rows = int(np.count_nonzero(codes >= 0))
    if must_vary and len(names) > n_rows / 2:
        raise DataError(
            "hardly-classes",
            f"column '{name}': the target has {len(names)} different values in {n_rows} rows: these are "
            "hardly classes; for a quantity set `task: regression`",
            column=name,
        )
    index = {class_name: number for number, class_name in enumerate(names)}
    return np.array([*(index[cell] for cell in cells), -1], dtype=np.int64)[codes], names
