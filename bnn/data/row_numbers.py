"""What messages call the rows of a table of which some rows of the file were left out."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class RowNumbers:
    """Stands for the number of the first row: index + numbers is what messages call a row.

    Parameters
    ----------
    first
        Number of the first row of the file.
    in_file
        Index of each row in the file, (row,).
    """

    first: int
    in_file: np.ndarray

    def __radd__(self, index: int) -> int:
        return self.first + int(self.in_file[index])
