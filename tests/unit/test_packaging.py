"""The lock, the conda environment, the wheel and the papers around the code agree with pyproject.toml."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterator, Mapping
from importlib import metadata
from pathlib import Path

import pytest
import yaml
from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

import bnn

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
DEPENDENCIES = [Requirement(text) for text in PROJECT["dependencies"]]
TEST_TOOLS = [Requirement(text) for text in PROJECT["optional-dependencies"]["test"]]
PYTHONS = ("3.11", "3.12", "3.13")

# conda's name where it is another one than that of the Python package
CONDA_NAMES = {"duckdb": "python-duckdb", "matplotlib": "matplotlib-base", "snakemake": "snakemake-minimal"}
# Not for conda users: they check style in the locked environment of `make lint`.
LINT_TOOLS = {"mypy", "ruff", "snakefmt"}
# Not at conda-forge; the tests that need them are skipped where they are absent.
BROWSER_TOOLS = {"axe-playwright-python", "playwright"}


LOCKS = ("requirements.lock", "docs/requirements.lock")


def _locked(lock: str = LOCKS[0]) -> list[tuple[Requirement, list[str]]]:
    """Return the requirements of a lock, each with its hashes."""
    logical_lines = (ROOT / lock).read_text(encoding="utf-8").replace("\\\n", " ").splitlines()
    pins = []
    for line in logical_lines:
        requirement, *hashes = re.split(r"\s+--hash=", line.strip())
        pins.append((Requirement(requirement), hashes))
    return pins


def _applicable(python: str) -> dict[str, Requirement]:
    """Return what the lock installs on Linux with that Python, by canonical name."""
    environment: dict[str, str] = {
        **{name: str(value) for name, value in default_environment().items()},
        "python_version": python,
        "python_full_version": f"{python}.4",
        "sys_platform": "linux",
        "platform_system": "Linux",
        "platform_machine": "x86_64",
    }
    chosen: dict[str, Requirement] = {}
    for pin, _ in _locked():
        if pin.marker is None or pin.marker.evaluate(environment):
            name = canonicalize_name(pin.name)
            assert name not in chosen, f"two versions of {name} for Python {python}"
            chosen[name] = pin
    return chosen


def _version(pin: Requirement) -> str:
    (specifier,) = pin.specifier
    return specifier.version


@pytest.mark.parametrize("python", PYTHONS)
@pytest.mark.parametrize("requirement", DEPENDENCIES + TEST_TOOLS, ids=lambda item: item.name)
def test_lock_holds_every_requirement_within_its_bounds(requirement: Requirement, python: str) -> None:
    """For each Python that is supported, exactly one version."""
    pin = _applicable(python)[canonicalize_name(requirement.name)]
    assert requirement.specifier.contains(_version(pin))


@pytest.mark.parametrize("lock", LOCKS)
def test_every_pin_is_exact_and_has_a_hash(lock: str) -> None:
    """What is installed is what was tested, or nothing."""
    pins = _locked(lock)
    assert len(pins) > len(DEPENDENCIES)
    for pin, hashes in pins:
        assert [specifier.operator for specifier in pin.specifier] == ["=="], str(pin)
        assert hashes, f"no hash for {pin}"
        assert all(re.fullmatch(r"sha256:[0-9a-f]{64}", item) for item in hashes), str(pin)


def test_pins_name_the_extras_that_packages_ask_for() -> None:
    """pip 23 takes `coverage[toml]` to be another requirement than a pin of `coverage`, and stops without its hash."""
    pins = {canonicalize_name(pin.name): pin for pin, _ in _locked()}
    asked = [
        (requirement.extras, canonicalize_name(requirement.name))
        for name in pins
        for requirement in _requirements_of(name)
        if requirement.marker is None or requirement.marker.evaluate({"extra": ""})
    ]
    with_extras = [(extras, name) for extras, name in asked if extras]
    assert with_extras
    for extras, name in with_extras:
        assert extras <= pins[name].extras, name


def _requirements_of(name: str) -> list[Requirement]:
    """Return what an installed package asks for; nothing where it is not installed."""
    try:
        return [Requirement(text) for text in metadata.requires(name) or ()]
    except metadata.PackageNotFoundError:  # a pin for another Python or another system
        return []


def test_the_site_is_built_with_the_versions_of_the_lock() -> None:
    """`make docs` installs on top of what is there, so it must change nothing of it."""
    pinned = {(canonicalize_name(pin.name), str(pin.marker)): pin.specifier for pin, _ in _locked()}
    names = {name for name, _ in pinned}
    own = {(canonicalize_name(pin.name), str(pin.marker)): pin.specifier for pin, _ in _locked(LOCKS[1])}
    shared = {key: specifier for key, specifier in own.items() if key[0] in names}
    assert len(shared) >= 10
    assert {key: pinned.get(key) for key in shared} == shared
    asked = [Requirement(line) for line in (ROOT / "docs" / "requirements.in").read_text().splitlines()]
    assert {canonicalize_name(requirement.name) for requirement in asked} <= {name for name, _ in own}


@pytest.mark.parametrize("lock", LOCKS)
def test_lock_names_no_package_index(lock: str) -> None:
    """Where packages come from is the affair of the machine, not of the project."""
    text = (ROOT / lock).read_text(encoding="utf-8")
    for word in ("http", "index", "find-links", "file:", "@ ", "trusted-host"):
        assert word not in text.replace("--hash=", "")


def test_lock_holds_the_tools_that_the_makefile_builds_with() -> None:
    """`make setup` builds without isolation, with these from the lock."""
    for python in PYTHONS:
        assert {"flit-core", "setuptools"} <= _applicable(python).keys()


def test_supported_pythons_are_the_same_everywhere() -> None:
    """The bounds in pyproject.toml, its classifiers, environment.yml and the Makefile."""
    supported = SpecifierSet(PROJECT["requires-python"])
    assert tuple(f"3.{minor}" for minor in range(8, 20) if f"3.{minor}" in supported) == PYTHONS
    classifiers = [text.rpartition(" ")[2] for text in PROJECT["classifiers"] if "Python :: 3." in text]
    assert tuple(classifiers) == PYTHONS
    assert _conda()["python"] == supported
    assert "(3, 11) <= sys.version_info[:2] <= (3, 13)" in (ROOT / "Makefile").read_text(encoding="utf-8")


def _conda() -> dict[str, SpecifierSet]:
    environment = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))
    bounds: dict[str, SpecifierSet] = {}
    for text in environment["dependencies"]:
        requirement = Requirement(text)
        assert requirement.name not in bounds, f"{requirement.name} is listed twice"
        bounds[requirement.name] = requirement.specifier
    return bounds


def _conda_channels() -> list[str]:
    channels: list[str] = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))["channels"]
    return channels


def test_conda_environment_has_the_same_bounds() -> None:
    """Nothing missing, nothing more, nothing else."""
    tools = [requirement for requirement in TEST_TOOLS if requirement.name not in LINT_TOOLS | BROWSER_TOOLS]
    expected = {
        CONDA_NAMES.get(requirement.name, canonicalize_name(requirement.name)): requirement.specifier
        for requirement in DEPENDENCIES + tools
    }
    bounds = _conda()
    del bounds["python"]
    assert bounds == expected


def test_conda_channels_need_no_account() -> None:
    """The community's channels only."""
    assert _conda_channels() == ["conda-forge", "bioconda", "nodefaults"]


def test_pixi_has_the_conda_environment() -> None:
    """The same channels and packages, those of the tests apart."""
    manifest = tomllib.loads((ROOT / "pixi.toml").read_text(encoding="utf-8"))
    parts = [manifest["dependencies"], manifest["feature"]["test"]["dependencies"]]
    bounds = [{name: SpecifierSet(text) for name, text in part.items()} for part in parts]
    assert not bounds[0].keys() & bounds[1].keys()
    assert bounds[0] | bounds[1] == _conda()
    needed = {CONDA_NAMES.get(one.name, canonicalize_name(one.name)) for one in DEPENDENCIES}
    assert bounds[0].keys() == needed | {"python"}
    assert [*manifest["workspace"]["channels"], "nodefaults"] == _conda_channels()


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[zipfile.ZipFile]:
    pytest.importorskip("flit_core", reason="flit_core builds the wheel")
    folder = tmp_path_factory.mktemp("wheel")
    code = "import sys; from flit_core.buildapi import build_wheel; print(build_wheel(sys.argv[1]))"
    command = [sys.executable, "-c", code, str(folder)]
    answer = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    with zipfile.ZipFile(folder / answer.stdout.split()[-1]) as archive:
        yield archive


def test_wheel_holds_the_package_and_nothing_else(wheel: zipfile.ZipFile) -> None:
    """Modules, and the templates of the report, which are not Python."""
    files = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "bnn").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    names = set(wheel.namelist())
    assert {name for name in names if ".dist-info/" not in name} == files
    assert any(name.startswith("bnn/report/templates/") for name in names)
    assert any(name.endswith("/licenses/LICENSE") for name in names)


def test_wheel_metadata(wheel: zipfile.ZipFile) -> None:
    """The version is the one of the package, and no requirement was lost."""
    (name,) = (name for name in wheel.namelist() if name.endswith("/METADATA"))
    text = wheel.read(name).decode()
    assert f"\nVersion: {bnn.__version__}\n" in text
    for requirement in DEPENDENCIES:
        assert f"Requires-Dist: {requirement.name}" in text


def test_version_is_the_same_in_citation_and_changelog() -> None:
    """Its one home is bnn/__init__.py."""
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert str(citation["version"]) == bnn.__version__
    newest = re.search(r"^## \[([^]]+)\]", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert newest is not None
    assert newest.group(1) in (bnn.__version__, "Unreleased")


def test_readme_names_make_targets_and_files_that_exist() -> None:
    """The first thing a user reads is true."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    assert set(re.findall(r"^make ([a-z]+)|`make ([a-z]+)", readme, re.MULTILINE)) - {("", "")}
    named = {
        first or second
        for first, second in re.findall(r"^make ([a-z]+)|`make ([a-z]+)", readme, re.MULTILINE)
    }
    assert named - targets == set()
    assert {"results", "test"} <= named
    for link in re.findall(r"\]\(([^)#]+)\)", readme):
        assert link.startswith("https://") or (ROOT / link).exists(), link


def test_hooks_before_a_commit_are_local() -> None:
    """They run the locked tools and fetch nothing."""
    config = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))
    assert [repository["repo"] for repository in config["repos"]] == ["local"]
    for hook in config["repos"][0]["hooks"]:
        assert hook["language"] == "system"
        assert hook["entry"].startswith(".venv/bin/")


needs_make = pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")


def _make(
    folder: Path, *arguments: str, environment: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    folder.mkdir(exist_ok=True)
    for name in ("Makefile", "pyproject.toml", "requirements.lock"):
        shutil.copy(ROOT / name, folder)
    # Without what an outer make would pass on.
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("MAKE") and name not in ("PYTHON", "COVERAGE")
    }
    command = ["make", "--no-print-directory", *arguments]
    return subprocess.run(
        command, cwd=folder, capture_output=True, text=True, env=kept | dict(environment or {})
    )


@needs_make
def test_make_alone_lists_what_it_can_do(tmp_path: Path) -> None:
    """Each target that a user may want has its line of help."""
    answer = _make(tmp_path / "clone")
    assert answer.returncode == 0, answer.stderr
    listed = re.findall(r"^make (\S+) +\S", answer.stdout, re.MULTILINE)
    assert listed == [
        "help",
        "results",
        "profile",
        "test",
        "test-rest",
        "test-all",
        "test-arviz",
        "calibrate",
        "kills",
        "fuzz",
        "accept",
        "benchmark",
        "lint",
        "format",
        "docs",
        "links",
        "gallery",
        "tiny",
        "setup",
        "lock",
        "clean",
    ]


@needs_make
def test_results_and_test_run_what_the_readme_says(tmp_path: Path) -> None:
    """In the order set up, then run; shown, not run."""
    results = _make(tmp_path / "clone", "--dry-run", "results").stdout
    cores = f"--cores {min(4, os.cpu_count() or 1)}"
    assert 0 < results.index("--require-hashes") < results.index("--editable .") < results.index(cores)
    tests = _make(tmp_path / "clone", "--dry-run", "test").stdout
    assert '-m "not (slow or cluster or browser)"' in tests and "--cov" not in tests
    judged = _make(tmp_path / "clone", "--dry-run", "test", "COVERAGE=1").stdout
    assert "--cov=bnn --cov-fail-under=95" in judged
    rest = _make(tmp_path / "clone", "--dry-run", "test-rest", "COVERAGE=1").stdout
    assert '-m "slow or cluster or browser"' in rest and "--cov" not in rest
    everything = _make(tmp_path / "clone", "--dry-run", "test-all").stdout
    assert everything.index("--cov-fail-under=95") < everything.index('-m "slow or cluster or browser"')


@needs_make
@pytest.mark.parametrize(
    ("body", "told"),
    [
        ('echo "Python 3.9.2"; exit 1', "Python 3.9.2"),
        (
            'echo "No module named ensurepip" >&2; [ "$1" = --version ] && echo "Python 3.12.1"; exit 1',
            "Python 3.12.1",
        ),
    ],
    ids=["too old", "without venv"],
)
def test_a_python_that_will_not_do_gets_one_clear_message(tmp_path: Path, body: str, told: str) -> None:
    """What is needed, what was found, and what to do; nothing is made."""
    python = tmp_path / "python3"
    python.write_text(f"#!/bin/sh\n{body}\n")
    python.chmod(0o755)
    answer = _make(tmp_path / "clone", "results", f"PYTHON={python}")
    assert answer.returncode != 0
    assert "Python 3.11, 3.12 or 3.13 with venv is needed" in answer.stderr
    assert told in answer.stderr
    assert "apt install python3 python3-venv" in answer.stderr
    assert "make PYTHON=/path/to/python3.12 results" in answer.stderr
    assert not (tmp_path / "clone/.venv").exists()


@needs_make
def test_a_folder_with_a_space_in_its_path_is_refused(tmp_path: Path) -> None:
    """Snakemake runs a script by an unquoted path, and fails much later and less clearly."""
    answer = _make(tmp_path / "my clone", "results")
    assert answer.returncode != 0
    assert "contains a space" in answer.stderr
