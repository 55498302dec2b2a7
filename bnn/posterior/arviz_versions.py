"""What this package uses of ArviZ, the same with versions 0.23 and 1: the only module that knows which one is there.

Version 1 is a family of packages and gives an xarray DataTree where 0.23 gives an InferenceData. ArviZ is imported when
a function is called, not before, since its import takes longer than all the work of a job on a small table.
"""

import os
import tempfile
import warnings
from importlib.metadata import version
from pathlib import Path
from typing import Any


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
