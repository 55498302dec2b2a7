"""Files of configs: where they are no YAML, or say one thing twice, file, line and column are told."""

from pathlib import Path

import pytest
import yaml

from bnn.config.errors import ConfigError
from bnn.config.files import check_syntax

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
FAULTY = {
    "a bracket": (b"a:\n  b: [1, 2\nc: 1\n", ", line 3, column 2: this is not YAML: expected ',' or ']'"),
    "a tab": (b"datasets:\n\tiris: 1\n", ", line 2, column 1: this is not YAML: found character"),
    "a quotation mark": (
        b"a: 'b\nc: 1\n",
        ", line 3, column 1: this is not YAML: found unexpected end of stream, while scanning a quoted scalar that "
        "begins in line 1",
    ),
    "two documents": (
        b"a: 1\n---\nb: 2\n",
        ", line 2, column 1: this is not YAML: expected a single document in the stream (line 1), but found another",
    ),
    "an anchor that is not there": (
        b"a: *b\n",
        ", line 1, column 4: this is not YAML: found undefined alias 'b'; ",
    ),
    "brackets beyond all measure": (
        b"a: " + b"[" * 5000,
        ": its groups or lists are nested too deeply to be read",
    ),
    "two of a name, in JSON with tabs": (
        b'{\n\t"a": 1,\n\t"a": 2\n}\n',
        ", line 3, column 2: the key 'a' stands in line 2 already",
    ),
    "a bell": (b"a: \a\n", ": this is not YAML (unacceptable character #x0007"),
    "another encoding": ("größe: 1".encode("latin-1"), ": this is not UTF-8 text (from byte 3 on)"),
    "two of a name": (
        b"datasets:\n  iris: {seed: 1}\n  wine: {}\n  iris: {seed: 2}\n",
        ", line 4, column 3: the key 'iris' stands in line 2 already",
    ),
    "two in a list": (
        b"- {a: 1}\n- {b: 1, b: 2}\n",
        ", line 2, column 10: the key 'b' stands in line 2 already",
    ),
}


@pytest.mark.parametrize("content", SOUND.values(), ids=SOUND.keys())
def test_sound_files_pass(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_bytes(content)
    check_syntax([path, tmp_path / "none.yaml", tmp_path])


def test_the_configs_of_this_project_pass() -> None:
    paths = list((ROOT / "config").glob("*.yaml"))
    assert len(paths) >= 3
    check_syntax(paths)


@pytest.mark.parametrize(("content", "message"), FAULTY.values(), ids=FAULTY.keys())
def test_a_fault_has_file_line_and_column(
    content: bytes, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "config.yaml"
    path.write_bytes(content)
    with pytest.raises(ConfigError) as error:
        check_syntax(["config.yaml", path])
    (line,) = error.value.errors
    assert line.startswith(f"config.yaml{message}")
    assert any(
        word in line for word in ("check the ", "take that ", "save it ", "rename or remove ", "too deeply")
    )


def test_all_repeated_keys_are_told_in_order(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text("a: {x: 1, x: 2}\nb: 1\na: 2\nb: 3\n")
    with pytest.raises(ConfigError) as error:
        check_syntax([path])
    assert [line.split(": ")[0] for line in error.value.errors] == [
        f"{path}, line {line}, column {column}" for line, column in ((1, 11), (3, 1), (4, 1))
    ]


def test_nothing_is_made_of_what_a_file_holds(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    target = tmp_path / "made"
    path.write_text(f"datasets: !!python/object/apply:os.mkdir ['{target}']\n")
    check_syntax([path])
    assert not target.exists()
    assert yaml.compose(path.read_text()) is not None
