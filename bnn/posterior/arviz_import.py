"""Importing ArviZ 0.23 in jobs that run side by side.

On import it notes the date in a file in the user's cache folder, so as to announce its version 1 once a day. Two jobs
that start together can take the note's temporary file from each other, and a home folder that cannot be written to
is an error: either way the import, and the job, would fail. Inside `quiet_import` the note goes to a folder of its own.
"""

import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import platformdirs


@contextmanager
def quiet_import() -> Iterator[None]:
    """Let the body import ArviZ without its announcement and without a trace in the user's cache folder."""
    original = platformdirs.user_cache_dir
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        platformdirs.user_cache_dir = lambda *_, **__: folder
        try:
            yield
        finally:
            platformdirs.user_cache_dir = original
