"""An array that grows by blocks."""

import mmap

import numpy as np

_PRIVATE = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS


class Growing:
    """Values that come block by block, in one array from the beginning.

    Many small arrays that are put together in the end leave as many holes in the memory as there were: a table of
    twenty columns would take twice its size. Of an array with room to spare the system gives what is touched alone, if
    it comes from the system itself: what was touched before, and is used again, is there in full.

    Parameters
    ----------
    first
        The first values, (row,).
    """

    def __init__(self, first: np.ndarray) -> None:
        self._array = first
        self._size = len(first)

    def add(self, values: np.ndarray) -> None:
        """Add values, (row,), of the type of the first ones."""
        end = self._size + len(values)
        if end > len(self._array):
            size = max(end, 2 * len(self._array))
            pages = mmap.mmap(-1, size * self._array.itemsize, flags=_PRIVATE)
            larger = np.frombuffer(pages, self._array.dtype)
            larger[: self._size] = self.values
            self._array = larger
        self._array[self._size : end] = values
        self._size = end

    @property
    def values(self) -> np.ndarray:
        """All of them, (row,)."""
        return self._array[: self._size]
