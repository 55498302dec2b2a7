"""Reading posterior.nc without ArviZ, whose import takes longer than most of what is done with the file.

`bnn.inference_data` writes the file, and ArviZ reads it as well; an InferenceData in memory can be used wherever a
`StoredPosterior` can.
"""

import os
from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np

from bnn.layout import ParameterLayout
from bnn.likelihoods import LOG_NOISE_SCALE

PHASES = ("optimise", "explore", "warmup", "draws")
"""Parts of a chain's run that are timed, each in `seconds_<phase>` of the group sample_stats."""

PREDICTIONS = {"train": "posterior_predictive", "test": "predictions"}
"""Split -> group that holds its predictions."""


class StoredPosterior(Protocol):
    """Groups of variables; `posterior[group][variable].values` is an array, `posterior[group].attrs` a mapping."""

    def __getitem__(self, key: str) -> Any:
        """Return a group."""

    def groups(self) -> Sequence[str]:
        """Return the names of the groups."""


class _Variable(NamedTuple):
    """An array, with the attributes of an array that callers use."""

    values: np.ndarray

    @property
    def shape(self) -> tuple[int, ...]:
        return self.values.shape

    @property
    def ndim(self) -> int:
        return self.values.ndim


class _Group:
    """Variables of a group, each read when it is first asked for."""

    def __init__(self, path: str, name: str, variables: Sequence[str], attributes: dict[str, Any]) -> None:
        self._path, self._name, self._names = path, name, frozenset(variables)
        self._read: dict[str, _Variable] = {}
        self.attrs = attributes

    def __contains__(self, name: str) -> bool:
        return name in self._names

    def __getitem__(self, name: str) -> _Variable:
        if name not in self._read:
            import h5netcdf

            with h5netcdf.File(self._path, "r") as file:
                self._read[name] = _Variable(np.asarray(file[self._name].variables[name][...]))
        return self._read[name]


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
                key: _Group(name, key, list(group.variables), {k: _plain(v) for k, v in group.attrs.items()})
                for key, group in file.groups.items()
            }

    def __getitem__(self, key: str) -> _Group:
        """Return a group."""
        return self._groups[key]

    def groups(self) -> list[str]:
        """Return the names of the groups."""
        return list(self._groups)


def stacked_theta(posterior: StoredPosterior) -> tuple[np.ndarray, ParameterLayout]:
    """Return the draws as theta, shape (chain, draw, param), and their layout."""
    group = posterior["posterior"]
    layout = ParameterLayout.from_json(group.attrs["layout"])
    blocks = {name: group[name].values for name in layout.names if name != LOG_NOISE_SCALE}
    if LOG_NOISE_SCALE in layout.names:
        blocks[LOG_NOISE_SCALE] = np.log(group["noise_scale"].values)
    return layout.pack(blocks), layout


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value
