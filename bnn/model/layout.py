"""The only mapping between the flat vector theta, which samplers move, and named parameter arrays."""

import json
from collections.abc import Iterable, Mapping

import numpy as np


class ParameterLayout:
    """Order, names and shapes of the parameter blocks inside theta.

    Parameters
    ----------
    blocks
        Name -> shape; the order of the mapping is the order in theta, each block in C order.

    Raises
    ------
    ValueError
        If there are no blocks.
    """

    def __init__(self, blocks: Mapping[str, tuple[int, ...]]) -> None:
        if not blocks:
            raise ValueError("a layout needs at least one parameter block")
        self.shapes: dict[str, tuple[int, ...]] = {name: tuple(shape) for name, shape in blocks.items()}
        self.slices: dict[str, slice] = {}
        start = 0
        for name, shape in self.shapes.items():
            stop = start + int(np.prod(shape, dtype=int))
            self.slices[name] = slice(start, stop)
            start = stop
        self.n_params = start

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the blocks in their order."""
        return tuple(self.shapes)

    def unpack(self, theta: np.ndarray, names: Iterable[str] | None = None) -> dict[str, np.ndarray]:
        """Return read-only views of the blocks.

        Parameters
        ----------
        theta
            Shape (..., param).
        names
            Which blocks; None for all.

        Returns
        -------
        dict
            Name -> array of shape (..., block), sharing memory with theta.

        Raises
        ------
        ValueError
            If the last axis of theta has another length than this layout.
        """
        if theta.shape[-1] != self.n_params:
            raise ValueError(f"theta has {theta.shape[-1]} parameters, the layout {self.n_params}")
        frozen = theta.view()
        frozen.flags.writeable = False
        lead = theta.shape[:-1]
        return {
            name: frozen[..., self.slices[name]].reshape(lead + self.shapes[name])
            for name in (self.slices if names is None else names)
        }

    def pack(self, parameters: Mapping[str, np.ndarray]) -> np.ndarray:
        """Return theta, shape (..., param), in float64, from the blocks: the inverse of `unpack`.

        Raises
        ------
        ValueError
            If a block is missing, unknown or of another shape.
        """
        if set(parameters) != set(self.shapes):
            raise ValueError(f"blocks {sorted(parameters)} given, the layout has {sorted(self.shapes)}")
        first = self.names[0]
        lead = np.shape(parameters[first])[: np.ndim(parameters[first]) - len(self.shapes[first])]
        theta = np.empty((*lead, self.n_params))
        for name, part in self.slices.items():
            if np.shape(parameters[name]) != lead + self.shapes[name]:
                raise ValueError(
                    f"block {name!r} has shape {np.shape(parameters[name])}, not {lead + self.shapes[name]}"
                )
            theta[..., part] = np.reshape(parameters[name], (*lead, -1))
        return theta

    def add_to(self, theta: np.ndarray, parameters: Mapping[str, np.ndarray]) -> None:
        """Add blocks to theta in place; `pack` without its copy and checks, for the gradient of every step.

        Parameters
        ----------
        theta
            Shape (chain, param); changed.
        parameters
            Name -> array of shape (chain, block); blocks that are not named stay as they are.
        """
        for name, values in parameters.items():
            theta[:, self.slices[name]] += values.reshape(len(theta), -1)

    def to_json(self) -> str:
        """Return the layout as text, to be stored beside draws."""
        return json.dumps([[name, list(shape)] for name, shape in self.shapes.items()])

    @classmethod
    def from_json(cls, text: str) -> "ParameterLayout":
        """Return the layout that `to_json` wrote."""
        return cls({name: tuple(shape) for name, shape in json.loads(text)})

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ParameterLayout) and list(self.shapes.items()) == list(other.shapes.items())

    def __hash__(self) -> int:
        return hash(tuple(self.shapes.items()))
