"""Reading posterior.nc without ArviZ, whose import takes longer than most of what is done with the file.

`bnn.posterior.inference_data` writes the file, and ArviZ reads it as well; its InferenceData or DataTree can be
used wherever a `StoredPosterior` can.
"""

import json
import os
from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np

from bnn.core.errors import ResultError
from bnn.core.settings import LikelihoodSettings, build
from bnn.model.layout import ParameterLayout
from bnn.model.likelihoods import LOG_DISPERSION, LOG_NOISE_SCALE

PREDICTIONS = {"train": "posterior_predictive", "test": "predictions"}
"""Split -> group that holds its predictions."""

SCALES = {LOG_NOISE_SCALE: "noise_scale", LOG_DISPERSION: "dispersion"}
"""Parameter of a likelihood -> variable of the file that holds its exponential."""


StoredPosterior: TypeAlias = Mapping[str, Any]
"""Groups of variables, by name; `posterior[group][variable].values` is an array, `posterior[group].attrs` a mapping.

A slice of a variable, as of an array, reads no more than the slice from the file.
"""


class _Variable:
    """A variable of the file: a slice of it reads that slice alone, `values` reads all of it, once."""

    def __init__(self, stored: Any) -> None:
        self._stored = stored

    @cached_property
    def shape(self) -> tuple[int, ...]:
        return tuple(self._stored.shape)

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @cached_property
    def values(self) -> np.ndarray:
        return self[...]

    def __getitem__(self, place: Any) -> np.ndarray:
        return np.asarray(self._stored[place])

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


class PosteriorFile(Mapping[str, Any]):
    """What is in a posterior.nc, which stays open: to open it anew for each variable takes longer than to read one.

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
        self._file = h5netcdf.File(name, "r")
        self._groups = {
            key: _Group(
                {k: _Variable(v) for k, v in group.variables.items()},
                {k: _plain(v) for k, v in group.attrs.items()},
            )
            for key, group in self._file.groups.items()
        }

    def __getitem__(self, key: str) -> _Group:
        """Return a group."""
        return self._groups[key]

    def __iter__(self) -> Iterator[str]:
        """Iterate over the names of the groups."""
        return iter(self._groups)

    def __len__(self) -> int:
        """Return the number of groups."""
        return len(self._groups)

    def close(self) -> None:
        """Close the file; arrays that were read remain."""
        self._file.close()


def log_density_of_rows(posterior: StoredPosterior, split: str) -> _Variable:
    """Return the log density of what was observed, (chain, draw, obs), nats, at the rows of a split."""
    if split == "train":
        return posterior["log_likelihood"]["y"]
    return posterior[PREDICTIONS[split]]["log_density_y"]


def stacked_theta(posterior: StoredPosterior) -> tuple[np.ndarray, ParameterLayout]:
    """Return the draws as theta, shape (chain, draw, param), and their layout.

    Raises
    ------
    ValueError
        If the file holds no weights.
    """
    if "posterior" not in posterior or "weight_0" not in posterior["posterior"]:
        raise ResultError(
            "no-weights",
            "the file of the posterior holds no weights: set sampler.keep to both or weights",
            key="sampler.keep",
        )
    group = posterior["posterior"]
    layout = ParameterLayout.from_json(group.attrs["layout"])
    # Scales of the likelihood are stored as such, theta holds their logs.
    blocks = {
        name: np.log(group[SCALES[name]].values) if name in SCALES else group[name].values
        for name in layout.names
    }
    return layout.pack(blocks), layout


def likelihood_of(posterior: StoredPosterior) -> LikelihoodSettings:
    """Return the settings of the likelihood that the draws were made with."""
    return build(LikelihoodSettings, json.loads(posterior["posterior"].attrs["settings"])["likelihood"])


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value
