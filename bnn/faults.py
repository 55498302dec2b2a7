"""Faults of data: one kind of error, and several of them told at once."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

_MOST_FAULTS = 5

Result = TypeVar("Result")


class DataError(ValueError):
    """The data cannot be used; the message says where the fault is and what to do, in one line.

    Where several columns have a fault each, it has a line for each of the first.
    """


@contextmanager
def collected_faults() -> Iterator[Callable[[Callable[[], Result]], Result | None]]:
    """Yield what calls functions, each of which may raise a DataError; at the end all of those are raised as one.

    So that a table with several faults need not be mended, and read, as often as it has columns.
    """
    faults: list[str] = []

    def collect(function: Callable[[], Result]) -> Result | None:
        try:
            return function()
        except DataError as error:
            faults.append(str(error))
            return None

    yield collect
    if len(faults) > 1:
        shown_faults = "".join(f"\n  - {fault}" for fault in faults[:_MOST_FAULTS])
        more = f"\n  (and {len(faults) - _MOST_FAULTS} more)" if len(faults) > _MOST_FAULTS else ""
        raise DataError(f"{len(faults)} columns cannot be used as they are:{shown_faults}{more}")
    if faults:
        raise DataError(faults[0])
