"""Reading posterior.nc without ArviZ, whose import takes longer than most of what is done with the file.

`bnn.inference_data` writes the file, and ArviZ reads it as well; an InferenceData in memory can be used wherever a
`Posterior` of this module can.
"""

import os
from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np

from bnn.layout import ParameterLayout
from bnn.likelihoods import LOG_NOISE_SCALE

PHASES = ("optimise", "explore", "warmup", "draws")
"""Parts of a chain's run that are timed, each in `seconds_<phase>` of the group sample_stats."""

PREDICTIONS = {"train": "posterior_predictive", "test": "predictions"}
"""Split -> group that holds its predictions."""


class Posterior(Protocol):
    """Groups of variables; `posterior[group][variable].values` is an array, `posterior[group].attrs` a mapping.

    A slice of a variable, as of an array, reads no more than the slice from the file.
    """

    def __getitem__(self, key: str) -> Any:
        """Return a group."""

    def groups(self) -> Sequence[str]:
        """Return the names of the groups."""


class _Variable:
    """A variable of the file: a slice of it reads that slice alone, `values` reads all of it, once."""

    def __init__(self, path: str, group: str, name: str, shape: tuple[int, ...]) -> None:
        self._path, self._group, self._name = path, group, name
        self._values: np.ndarray | None = None
        self.shape = shape

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def values(self) -> np.ndarray:
        if self._values is None:
            self._values = self[...]
        return self._values

    def __getitem__(self, place: Any) -> np.ndarray:
        import h5netcdf

        with h5netcdf.File(self._path, "r") as file:
            return np.asarray(file[self._group].variables[self._name][place])

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.array(self.values, dtype=dtype)


class _Group:
    """Variables of a group, by name."""

    def __init__(self, variables: dict[str, _Variable], attributes: dict[str, Any]) -> None:
        self._variables = variables
        self.attrs = attributes

    def __contains__(self, name: str) -> bool:
        return name in self._variables

    def __getitem__(self, name: str) -> _Variable:
        return self._variables[name]


class PosteriorFile:
    """What is in a posterior.nc.

    Parameters
    ----------
    path
        The file.

    Raises
    ------
    FileNotFoundError
        If there is none.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        import h5netcdf

        name = os.fspath(path)
        if not os.path.isfile(name):
            raise FileNotFoundError(f"there is no {name}")
        with h5netcdf.File(name, "r") as file:
            self._groups = {
                key: _Group(
                    {k: _Variable(name, key, k, tuple(v.shape)) for k, v in group.variables.items()},
                    {k: _plain(v) for k, v in group.attrs.items()},
                )
                for key, group in file.groups.items()
            }

    def __getitem__(self, key: str) -> _Group:
        """Return a group."""
        return self._groups[key]

    def groups(self) -> list[str]:
        """Return the names of the groups."""
        return list(self._groups)


def stacked_theta(posterior: Posterior) -> tuple[np.ndarray, ParameterLayout]:
    """Return the draws as theta, shape (chain, draw, param), and their layout.

    Raises
    ------
    ValueError
        If the file holds no weights.
    """
    if "posterior" not in posterior.groups() or "weight_0" not in posterior["posterior"]:
        raise ValueError("the file of the posterior holds no weights: set sampler.keep to both or weights")
    group = posterior["posterior"]
    layout = ParameterLayout.from_json(group.attrs["layout"])
    blocks = {name: group[name].values for name in layout.names if name != LOG_NOISE_SCALE}
    if LOG_NOISE_SCALE in layout.names:
        blocks[LOG_NOISE_SCALE] = np.log(group["noise_scale"].values)
    return layout.pack(blocks), layout


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value
