"""One tiny run of the workflow for all tests that read what it wrote."""

from collections.abc import Iterator

import pytest

from tests.made_once import made_once
from tests.workflow.project import TINY, Project, make_shared_run, shared_run


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The finished run that all test processes share: to be read, not changed."""
    return shared_run(made_once(tmp_path_factory, "shared_run", make_shared_run))


@pytest.fixture(scope="session")
def copied(finished: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    return Project.copied(finished, tmp_path_factory.mktemp("own"))


@pytest.fixture
def own(copied: Project) -> Iterator[Project]:
    """A copy of the finished run and of the code, one for each test process; the config is put back."""
    yield copied
    copied.configure(TINY)
