"""Configs of every shape: good ones build the graph of jobs, bad ones get clear errors and never a traceback."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import event, given
from hypothesis import strategies as st

from bnn.config.files import check_syntax
from bnn.config.loading import Config, ConfigError, load, runs
from tests.fuzz.configs import configs, damaged, datasets
from tests.fuzz.settings import examples, within

ROOT = Path(__file__).parents[2]
TOGETHER = {
    "missing",  # a column, where the method of splitting needs one
    "name-reserved",
    "no-effect",
    "not-different",
    "not-with-repeats",
    "seed-too-large",
    "target-known-late",
    "variable-not-set",
    "wrong-order",
}
"""Codes of problems of values each of which the schema allows."""
# Words of libraries and of Python that a scientist should not have to know.
INTERNALS = ("pydantic", "Input should", "Traceback", "NoneType", "dict_type", "<class", "object at 0x")


def assert_clear(error: ConfigError) -> None:
    assert error.problems
    for line in map(str, error.problems):
        assert line.isprintable(), "on one line, with nothing in it that a terminal would obey"
        assert len(line) < 1500
        assert not any(word in line for word in INTERNALS), line


@pytest.mark.slow
@examples(40)
@given(raw=configs())
def test_what_the_schema_allows_loads_or_contradicts_itself(raw: dict[str, Any]) -> None:
    try:
        with within():
            config = load(raw)
    except ConfigError as error:
        event("refused")
        assert_clear(error)
        # Each value alone is right: only what they say together may be wrong.
        assert {problem.code for problem in error.problems} <= TOGETHER, str(error)
    else:
        event("accepted")
        assert isinstance(config, Config)
        assert list(config.datasets) == list(raw["datasets"])
        # What was resolved is itself a config that says the same.
        again = {name: dataset.model_dump(mode="json") for name, dataset in config.datasets.items()}
        assert Config.model_validate({"datasets": again}).datasets == config.datasets


@pytest.mark.slow
@examples(60)
@given(raw=damaged())
def test_a_damaged_config_is_refused_clearly_or_is_none_the_worse(raw: Any) -> None:
    try:
        with within():
            config = load(raw)
    except ConfigError as error:
        event("refused")
        assert_clear(error)
    else:
        event("accepted")
        assert list(config.datasets) == list(raw["datasets"])


def test_a_config_that_holds_itself_is_refused() -> None:
    """YAML can say so with an anchor."""
    raw = yaml.safe_load("datasets: {iris: &a {task: classification, sampler: *a}}")
    with within(), pytest.raises(ConfigError) as error:
        load(raw)
    assert_clear(error.value)


def dry_run(folder: Path, config: bytes) -> subprocess.CompletedProcess[str]:
    (folder / "config").mkdir(parents=True, exist_ok=True)
    (folder / "config" / "config.yaml").write_bytes(config)
    (folder / "mine.csv").write_text("width,price\n" + "".join(f"{i},{i * i % 7}\n" for i in range(30)))
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile"), "--cores", "1"]
    return subprocess.run(
        [*command, "--directory", str(folder), "--dry-run", "--quiet", "rules"],
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )


def is_valid(dataset: dict[str, Any]) -> bool:
    try:
        load({"datasets": {"x": dataset}})
    except ConfigError:
        return False
    return True


@pytest.mark.slow
@examples(2)
@given(drawn=st.lists(datasets().filter(is_valid), min_size=20, max_size=20))
def test_valid_configs_build_a_graph_of_jobs(
    drawn: list[dict[str, Any]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Datasets stand for configs, because each may have all settings of its own: forty of them in two graphs."""
    config = {"datasets": {f"d{index}": dataset for index, dataset in enumerate(drawn)}}
    done = dry_run(tmp_path_factory.mktemp("valid"), yaml.safe_dump(config, allow_unicode=True).encode())
    assert done.returncode == 0, done.stdout + done.stderr
    found = runs(load(config))
    chains = sum(-(-run.sampler.chains // run.sampler.chains_per_job) for run in found.values())
    words = [line.split() for line in done.stdout.splitlines()]
    assert ["sample_chain", str(chains)] in words
    assert ["report", str(len(found))] in words


BAD_FILES = {
    "a value": b"sampler: {chains: -1}\ndatasets: {gap: {task: regression, source: {kind: synthetic, name: gap}}}",
    "a name that leaves results": b"datasets: {../../up: {task: regression, source: {kind: synthetic, name: gap}}}",
    "an absolute name": b"datasets: {/tmp/x: {task: regression, source: {kind: synthetic, name: gap}}}",
    "a name for the shell": b"datasets: {$(touch pwned): {task: regression, source: {kind: synthetic, name: gap}}}",
    "a long name": b"datasets: {"
    + b"x" * 300
    + b": {task: regression, source: {kind: synthetic, name: gap}}}",
    "a foreign name": "datasets: {größe: {task: regression, source: {kind: synthetic, name: gap}}}".encode(),
    "an object of Python": b"datasets: !!python/object/apply:os.system ['touch pwned']",
    "broken YAML": b"datasets: {iris: [",
    "a dataset twice": b"datasets: {d: {task: regression, source: {kind: synthetic, name: gap}}, "
    b"d: {task: regression, source: {kind: synthetic, name: sine}}}",
    "tabs": b"datasets:\n\tiris: 1",
    "another encoding": "datasets: {größe: 1}".encode("latin-1"),
    "nothing": b"",
    "a list": b"[1, 2]",
    "itself": b"datasets: {iris: &a {task: classification, sampler: *a}}",
}


OF_SNAKEMAKE = ("a name for the shell", "an object of Python", "nothing", "a list", "itself")
"""What Snakemake itself reads before our code does, or might execute"""


@pytest.mark.slow
@pytest.mark.parametrize("name", OF_SNAKEMAKE)
def test_a_bad_file_is_refused_before_any_job(name: str, tmp_path: Path) -> None:
    """The command as users type it: no traceback, nothing written, nothing executed."""
    done = dry_run(tmp_path, BAD_FILES[name])
    said = done.stdout + done.stderr
    assert done.returncode == 1
    assert "Traceback" not in said, said
    assert len(said.strip()) > 20
    assert {path.name for path in tmp_path.iterdir()} <= {"config", "mine.csv", ".snakemake"}


@pytest.mark.parametrize("name", [name for name in BAD_FILES if name not in OF_SNAKEMAKE])
def test_a_bad_file_is_refused_clearly(name: str, tmp_path: Path) -> None:
    """As the workflow does: first the file, then what it says."""
    path = tmp_path / "config.yaml"
    path.write_bytes(BAD_FILES[name])
    with within(), pytest.raises(ConfigError) as error:
        check_syntax([path])
        load(yaml.safe_load(path.read_text(encoding="utf-8")))
    assert_clear(error.value)
