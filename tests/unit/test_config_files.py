"""Files of configs: where they are no YAML, or say one thing twice, file, line and column are told."""

from pathlib import Path

import pytest
import yaml

from bnn.config.files import check_syntax
from tests.refusals import config_refused

ROOT = Path(__file__).parents[2]
SOUND = {
    "nothing": b"",
    "a byte order mark": b"\xef\xbb\xbfseed: 1\n",
    "one name in two groups": b"datasets:\n  iris: {seed: 1}\n  wine: {seed: 1}\n",
    "a number and its text": b"1: a\n'1': b\n",
    "merged groups": b"a: &a {x: 1}\nb: &b {y: 2}\nc:\n  <<: *a\n  <<: *b\n  x: 3\n",
    "itself": b"datasets: {iris: &a {task: classification, sampler: *a}}\n",
    "JSON with tabs": b'{\n\t"seed": 1\n}\n',
}
FAULTY: dict[str, tuple[bytes, str, int | None, int | None]] = {
    "a bracket": (b"a:\n  b: [1, 2\nc: 1\n", "not-yaml", 3, 2),
    "a tab": (b"datasets:\n\tiris: 1\n", "not-yaml", 2, 1),
    "a quotation mark": (b"a: 'b\nc: 1\n", "not-yaml", 3, 1),
    "two documents": (b"a: 1\n---\nb: 2\n", "not-yaml", 2, 1),
    "an anchor that is not there": (b"a: *b\n", "not-yaml", 1, 4),
    "brackets beyond all measure": (b"a: " + b"[" * 2000, "nested-too-deeply", None, None),
    "two of a name, in JSON with tabs": (b'{\n\t"a": 1,\n\t"a": 2\n}\n', "key-twice", 3, 2),
    "a bell": (b"a: \a\n", "not-yaml", None, None),
    "another encoding": ("größe: 1".encode("latin-1"), "not-utf-8", None, None),
    "two of a name": (b"datasets:\n  iris: {seed: 1}\n  wine: {}\n  iris: {seed: 2}\n", "key-twice", 4, 3),
    "two in a list": (b"- {a: 1}\n- {b: 1, b: 2}\n", "key-twice", 2, 10),
}
"""Content -> code, line and column"""


@pytest.mark.parametrize("content", SOUND.values(), ids=SOUND.keys())
def test_sound_files_pass(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_bytes(content)
    check_syntax([path, tmp_path / "none.yaml", tmp_path])


def test_the_configs_of_this_project_pass() -> None:
    paths = list((ROOT / "config").glob("*.yaml"))
    assert len(paths) >= 3
    check_syntax(paths)


@pytest.mark.parametrize(("content", "code", "line", "column"), FAULTY.values(), ids=FAULTY.keys())
def test_a_fault_has_file_line_and_column(
    content: bytes,
    code: str,
    line: int | None,
    column: int | None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "config.yaml"
    path.write_bytes(content)
    with config_refused(f"{code} config.yaml") as error:
        check_syntax(["config.yaml", path])
    (problem,) = error.value.problems
    assert (problem.line, problem.column) == (line, column)


def test_all_repeated_keys_are_told_in_order(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text("a: {x: 1, x: 2}\nb: 1\na: 2\nb: 3\n")
    with config_refused(*[f"key-twice {path}"] * 3) as error:
        check_syntax([path])
    assert [(problem.line, problem.column) for problem in error.value.problems] == [(1, 11), (3, 1), (4, 1)]


def test_nothing_is_made_of_what_a_file_holds(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    target = tmp_path / "made"
    path.write_text(f"datasets: !!python/object/apply:os.mkdir ['{target}']\n")
    check_syntax([path])
    assert not target.exists()
    assert yaml.compose(path.read_text()) is not None
