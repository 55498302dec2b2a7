"""Texts as Arrow holds them: one behind the other, and where each begins."""

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pyarrow as pa


def bytes_of(cells: "pa.Array") -> tuple[np.ndarray, bytes]:
    """Return where each text starts, (row + 1,), and all of them."""
    _, offsets, data = cells.buffers()
    starts = np.frombuffer(offsets, dtype=np.int32)[cells.offset : cells.offset + len(cells) + 1]
    return starts - starts[0], b"" if data is None else data[int(starts[0]) : int(starts[-1])].to_pybytes()


def has_leading_zero(starts: np.ndarray, text: bytes) -> bool:
    """Return whether one of the texts, all of digits, has several of which the first is a zero."""
    long = starts[:-1][np.diff(starts) > 1]
    return bool((np.frombuffer(text, dtype=np.uint8)[long] == ord("0")).any())
