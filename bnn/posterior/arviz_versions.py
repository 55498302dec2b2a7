"""What this package uses of ArviZ, the same with versions 0.23 and 1: the only module that knows which one is there.

Version 1 is a family of packages and gives an xarray DataTree where 0.23 gives an InferenceData. One of the family,
arviz-stats, has the figures of either, and is imported in a third of the time. Both are imported when a function is
called, not before, since their import takes longer than all the work of a job on a small table.
"""

import os
import tempfile
import warnings
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

_TAILS = (0.05, 0.95)
"""The quantiles of tail ESS, those of Vehtari et al. (2021)."""


def rhat(draws: np.ndarray) -> np.ndarray:
    """Return the rank-normalised split R-hat of Vehtari et al. (2021), (quantity,).

    Parameters
    ----------
    draws
        Finite, shape (chain, draw, quantity); at least two chains, of four draws.
    """
    return _figure("rhat", draws, method="rank")


def ess_bulk(draws: np.ndarray) -> np.ndarray:
    """Return the effective sample size in the bulk of the distribution, (quantity,); draws as for `rhat`."""
    return _figure("ess", draws, method="bulk", relative=False)


def ess_tail(draws: np.ndarray) -> np.ndarray:
    """Return the smaller one of the effective sample sizes of the 5 % and the 95 % quantile, (quantity,).

    The quantiles are computed here: where one falls on a draw, as with 2,001 draws, versions of ArviZ put it below or
    above that draw as rounding falls, and the effective sample size of the tail is another one.
    """
    limits = np.quantile(draws, _TAILS, axis=(0, 1), method="linear")
    low, high = (_figure("ess", draws <= limit, method="mean", relative=False) for limit in limits)
    return np.minimum(low, high)


def mcse_mean(draws: np.ndarray) -> np.ndarray:
    """Return the Monte Carlo standard error of the mean, (quantity,), in the unit of the draws."""
    return _figure("mcse", draws, method="mean")


def _figure(name: str, draws: np.ndarray, **arguments: Any) -> np.ndarray:
    """Return what the function of that name says of each quantity of draws (chain, draw, quantity)."""
    from arviz_stats.base import array_stats

    return np.asarray(
        getattr(array_stats, name)(draws, chain_axis=0, draw_axis=1, **arguments), dtype=np.float64
    )


def open_posterior(path: str | os.PathLike[str]) -> Any:
    """Return what ArviZ reads from a NetCDF file: an InferenceData, or a DataTree; arrays are read when they are used.

    Of both, `posterior[group][variable].values` is an array, and iterating gives the names of the groups.
    """
    return _import_arviz().from_netcdf(os.fspath(path), engine="h5netcdf")


def from_bytes(content: bytes) -> Any:
    """Return what `in_memory` does, of a file's content."""
    with tempfile.TemporaryDirectory(prefix="bnn-") as folder:
        path = Path(folder) / "posterior.nc"
        path.write_bytes(content)
        return in_memory(open_posterior(path))


def in_memory(posterior: Any) -> Any:
    """Return an InferenceData or a DataTree with all its arrays in memory, which needs its file no more.

    It can be pickled. Groups without rows, such as the predictions of a test part that there is not, are left out.
    """
    names = [name for name in posterior if posterior[name].sizes.get("obs_id") != 0]
    if not _is_family():
        groups = {name: posterior[name].load() for name in names}
        for name in posterior:
            posterior[name].close()
        return type(posterior)(attrs=posterior.attrs, **groups)
    datasets = {name: posterior[name].to_dataset().load() for name in names}
    posterior.close()
    whole = type(posterior).from_dict(datasets)
    whole.attrs = dict(posterior.attrs)
    return whole


def _is_family() -> bool:
    """Return whether ArviZ is of version 1."""
    return int(version("arviz").split(".")[0]) >= 1


def _import_arviz() -> Any:
    """Import ArviZ without its announcements and without a trace in the user's cache folder.

    On import 0.23 notes the date in a file there, so as to announce version 1 once a day. Two jobs that start together
    can take the note's temporary file from each other, and a home folder that cannot be written to is an error:
    either way the import, and the job, would fail. The note goes to a folder of its own.
    """
    import platformdirs

    original = platformdirs.user_cache_dir
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        platformdirs.user_cache_dir = lambda *_, **__: folder
        try:
            import arviz
        finally:
            platformdirs.user_cache_dir = original
    return arviz
