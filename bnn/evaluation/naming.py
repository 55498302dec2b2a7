"""What names a row in result files: its number, its name and, of a time series, its time."""

from typing import Any

import numpy as np

from bnn.data.dataset import Dataset
from bnn.evaluation.forecasts import times_of

_DAY = 86_400.0


def has_own_times(dataset: Dataset) -> bool:
    """Whether rows have times that are not simply their numbers."""
    return dataset.time_test is not None and not np.array_equal(
        dataset.time_test, dataset.row_numbers("test")
    )


def written_times(dataset: Dataset, split: str) -> np.ndarray | None:
    """Return the time of each row of a split as files write it, (row,); None of what is no time series.

    Dates are texts, without the time of day where that is midnight in all rows; numbers that are all whole are int64.
    """
    values = dataset.time_train if split == "train" else dataset.time_test
    if values is None:
        return None
    times = times_of(values, dataset)
    if dataset.time_is_date:
        return np.datetime_as_string(times, unit="s" if (values % _DAY).any() else "D")
    return times.astype(np.int64) if (times == np.floor(times)).all() else times


def row_entries(dataset: Dataset, split: str, indices: list[int]) -> list[dict[str, Any]]:
    """Return what names rows of a split: `row`, and `id` and `time` (texts) where the table has them."""
    ids = dataset.id_train if split == "train" else dataset.id_test
    times = written_times(dataset, split) if has_own_times(dataset) else None
    numbers = dataset.row_numbers(split)
    return [
        {"row": int(numbers[index])}
        | ({} if ids is None else {"id": str(ids[index])})
        | ({} if times is None else {"time": str(times[index])})
        for index in indices
    ]
