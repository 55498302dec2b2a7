"""Named random streams, so that what one chain draws never depends on how many chains run beside it.

Every stream is a child of one seed, `SeedSequence(seed, spawn_key=(stream, chain))` (NumPy's parallel scheme): chain 3
alone sees the numbers that chain 3 of four sees, bit for bit, and another purpose sees other numbers.
"""

from collections.abc import Sequence
from enum import IntEnum

import numpy as np


class Stream(IntEnum):
    """What a stream is for; the number is part of every result, so members keep theirs."""

    INITIAL = 1
    WARMUP = 2
    SAMPLE = 3
    BASELINE = 4
    PREDICTIVE = 5


def chain_rng(seed: int, stream: Stream, chain: int = 0) -> np.random.Generator:
    """Return the generator of one purpose and one chain."""
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(seed, spawn_key=(int(stream), chain))))


class ChainRandom:
    """The generators of a batch of chains, drawn from side by side.

    Parameters
    ----------
    generators
        One generator a chain; a draw takes the same amount from each, so chains stay independent of the batch.
    """

    def __init__(self, generators: Sequence[np.random.Generator]) -> None:
        self.generators = tuple(generators)

    @classmethod
    def of_chains(cls, seed: int, stream: Stream, chains: Sequence[int]) -> "ChainRandom":
        """Return the generators of these chains for one purpose."""
        return cls([chain_rng(seed, stream, chain) for chain in chains])

    def standard_normal(self, size: int) -> np.ndarray:
        """Return standard normal numbers of shape (chain, size)."""
        out = np.empty((len(self.generators), size))
        for row, rng in zip(out, self.generators, strict=True):
            rng.standard_normal(out=row)
        return out

    def uniform(self) -> np.ndarray:
        """Return uniform numbers in [0, 1) of shape (chain,)."""
        return np.array([rng.random() for rng in self.generators])
