"""What a test says of an error: its code and its place, never its words (`tests/unit/test_messages.py` tests those)."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from bnn.config.errors import ConfigError
from bnn.core.errors import DataError, Fault


def place(fault: Fault) -> dict[str, Any]:
    """Return where a fault is, as far as it says so; of a file the name alone, for its folder is the test's."""
    names = ("column", "row", "key", "value")
    found = {name: getattr(fault, name) for name in names if getattr(fault, name) is not None}
    return found if fault.file is None else found | {"file": Path(fault.file).name}


@contextmanager
def refused(
    code: str, *, kind: type[Fault] = DataError, **expected: Any
) -> Iterator[pytest.ExceptionInfo[Fault]]:
    """Expect one fault of this code and at this place; what is not named must be as it is where nothing is."""
    with pytest.raises(kind) as caught:
        yield caught
    assert caught.value.faults == (caught.value,), "several faults"
    assert (caught.value.code, place(caught.value)) == (code, expected)


@contextmanager
def all_refused(*expected: tuple[str, dict[str, Any]]) -> Iterator[pytest.ExceptionInfo[Fault]]:
    """Expect several faults at once: the code and the place of each, in their order."""
    with pytest.raises(DataError) as caught:
        yield caught
    assert [(fault.code, place(fault)) for fault in caught.value.faults] == list(expected)


@contextmanager
def config_refused(*expected: str) -> Iterator[pytest.ExceptionInfo[ConfigError]]:
    """Expect problems of a config, each as its code, a blank and its dotted key."""
    with pytest.raises(ConfigError) as caught:
        yield caught
    assert [f"{problem.code} {problem.key}" for problem in caught.value.problems] == list(expected)
