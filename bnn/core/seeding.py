"""Named random streams, so that what one chain draws never depends on how many chains run beside it.

Every stream is a child of one seed, `SeedSequence(seed, spawn_key=(stream, chain))` (NumPy's parallel scheme): chain 3
alone sees the numbers that chain 3 of four sees, bit for bit, and another purpose sees other numbers.
"""

from collections.abc import Sequence
from enum import IntEnum
from typing import Any

import numpy as np


class Stream(IntEnum):
    """What a stream is for; the number is part of every result, so members keep theirs."""

    INITIAL = 1
    WARMUP = 2
    SAMPLE = 3
    BASELINE = 4
    PREDICTIVE = 5
    EXPLORE = 6
    ENSEMBLE = 7
    EVALUATION = 8
    CHECKS = 9
    NEW_ROWS = 10
    SENSITIVITY = 11
    SELECTION = 12
    OUTPUT = 13
    CONFORMAL = 14
    BOOSTING = 15
    ROW_PRECISION = 16


def chain_rng(seed: int, stream: Stream, chain: int = 0, *places: int) -> np.random.Generator:
    """Return the generator of one purpose and one chain, and of a place within it where there are many."""
    key = (int(stream), chain, *places)
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(seed, spawn_key=key)))


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
    def of_chains(cls, seed: int, stream: Stream, chains: Sequence[int], *places: int) -> "ChainRandom":
        """Return the generators of these chains for one purpose, and of a place within it where there are many."""
        return cls([chain_rng(seed, stream, chain, *places) for chain in chains])

    def state(self) -> list[dict[str, Any]]:
        """Return where each generator is: plain numbers and text, from which `set_state` continues."""
        return [dict(rng.bit_generator.state) for rng in self.generators]

    def set_state(self, state: Sequence[dict[str, Any]]) -> None:
        """Put each generator where it was when `state` was called."""
        for rng, own in zip(self.generators, state, strict=True):
            rng.bit_generator.state = own

    def standard_normal(self, size: int, *, chains: np.ndarray | None = None) -> np.ndarray:
        """Return standard normal numbers of shape (chain, size).

        Parameters
        ----------
        size
            How many for each chain.
        chains
            Which chains draw, (chain,) bool; the others get zeros and their generators stay as they are. None: all.
        """
        out = np.zeros((len(self.generators), size))
        for index, rng in enumerate(self.generators):
            if chains is None or chains[index]:
                rng.standard_normal(out=out[index])
        return out

    def standard_gamma(self, shape: float, size: int) -> np.ndarray:
        """Return gamma numbers of a shape parameter and rate 1, (chain, size)."""
        return np.array([rng.standard_gamma(shape, size) for rng in self.generators])

    def permutation(self, size: int) -> np.ndarray:
        """Return the numbers from 0 to size - 1 in a random order for each chain, (chain, size)."""
        return np.array([rng.permutation(size) for rng in self.generators])

    def uniform(self) -> np.ndarray:
        """Return uniform numbers in [0, 1) of shape (chain,)."""
        return np.array([rng.random() for rng in self.generators])
