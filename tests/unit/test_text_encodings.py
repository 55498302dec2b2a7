"""Encodings of text files: read right, from training table to new rows, or refused with the line for the config."""

import gzip
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from bnn.__main__ import main
from bnn.data.dataset import Dataset
from bnn.data.new_row_files import read_features
from bnn.data.preparation import prepare
from bnn.data.text_encodings import in_utf_8
from tests.refusals import refused

N = 60
SPLIT = {"method": "random", "test_size": 0.25, "stratify": False, "seed": 1, "repeated_rows": "keep"}
WESTERN = ["Köln", "Zürich", "São Paulo"]


def table(cities: list[str] = WESTERN, n: int = N) -> str:
    body = [f"{cities[i % len(cities)]},{i * 7 % 11 / 4},{i % 9 + i % 64 / 8}" for i in range(n)]
    return "\n".join(["city,a,y", *body, ""])


def read(path: Path, data: bytes, **keys: Any) -> Dataset:
    path.write_bytes(data)
    source = {"kind": "csv", "path": str(path), "target": "y", **keys}
    return prepare("mine", task="regression", source=source, split=SPLIT)


def cities(found: Dataset) -> list[str]:
    """Return the text of each row, in the order of the file."""
    (column,) = (column for column in found.columns or () if column.kind == "text")
    places = [found.feature_names.index(f"{column.name}={level}") for level in column.levels]
    scaled = np.concatenate([found.x_train, found.x_test])[:, places]
    codes = (scaled * found.feature_scale[places] + found.feature_mean[places]).argmax(axis=1)
    order = np.argsort(np.concatenate([found.row_train, found.row_test]))
    return [column.levels[code] for code in codes[order]]


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
@pytest.mark.parametrize(
    ("encoding", "names"),
    [
        *((name, WESTERN) for name in ("cp1252", "latin1", "ISO-8859-15", "mac_roman", "cp850", "cp037")),
        *((name, WESTERN) for name in ("utf-16", "UTF-16-LE", "utf-16-be", "utf-32", "utf-7")),
        ("cp1251", ["Москва", "Рига"]),
        ("gbk", ["北京", "上海", "联通"]),
        ("shift_jis", ["東京", "表\\ソ", "大阪"]),
        ("cp1256", ["القاهرة", "دمشق"]),
    ],
)
def test_an_encoding_that_is_named_is_read(
    tmp_path: Path, encoding: str, names: list[str], newline: str
) -> None:
    text = table(names).replace("\n", newline)
    found = read(tmp_path / "a.csv", text.encode(encoding), encoding=encoding)
    assert cities(found) == [names[i % len(names)] for i in range(N)]
    assert found.doubts == ()


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32"])
@pytest.mark.parametrize("named", ["utf-8", "cp1252"])
def test_a_mark_at_the_beginning_says_the_encoding(tmp_path: Path, encoding: str, named: str) -> None:
    """Excel's "CSV UTF-8" and "Unicode text", and new rows that another program saved than the table."""
    found = read(tmp_path / "a.csv", table().encode(encoding), encoding=named)
    assert cities(found) == [WESTERN[i % 3] for i in range(N)]
    body = table().partition("\n")[2].encode(encoding)
    keys = {"header": False, "names": ["city", "a", "y"]}
    assert cities(read(tmp_path / "b.csv", body, encoding=named, **keys)) == cities(found)


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_bytes_of_wide_characters_are_no_marks(tmp_path: Path, encoding: str) -> None:
    """Of these letters UTF-16 has the bytes of a comma, of quotation marks and of the end of a line."""
    written = {"ਬਊ": "ਬਊ", "∢ਅ": "∢ਅ", 'a "b"': '"a ""b"""', "c, d": '"c, d"'}
    for names in (["ਬਊ", "∢ਅ"], list(written)):
        text = table([written[name] for name in names])
        found = read(tmp_path / "a.csv", text.encode(encoding), encoding=encoding)
        assert cities(found) == [names[i % len(names)] for i in range(N)]


@pytest.mark.parametrize("quoted", [False, True])
def test_a_long_file_is_read_in_pieces(tmp_path: Path, quoted: bool) -> None:
    """Characters of several bytes lie across the pieces; quotation marks late in the file call the strict reader."""
    names = ["北京", "上海"]
    n = 80_000
    text = table(names, n) + '"北京",1,2\n' * quoted
    found = read(tmp_path / "a.csv", gzip.compress(text.encode("gb18030"), 1), encoding="gb18030")
    assert cities(found)[:n] == [names[i % 2] for i in range(n)]
    assert len(cities(found)) == n + quoted


def test_recoding_takes_no_memory_of_the_size_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes("größe,".encode("cp1252") * 3_000_000)
    tracemalloc.start()
    try:
        with path.open("rb") as file, in_utf_8(file, "cp1252") as recoded:
            n_bytes = sum(len(piece) for piece in iter(lambda: recoded.read(2**16), b""))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert n_bytes == len("größe,".encode()) * 3_000_000
    assert peak < 2e6


@pytest.mark.parametrize(
    ("data", "keys", "code", "value"),
    [
        (table().encode("cp1252"), {}, "not-utf-8", "cp1252"),
        (table().encode("cp1252"), {"encoding": "ascii"}, "wrong-encoding", None),
        (table(["東、京"]).encode("shift_jis"), {}, "not-utf-8", None),
        (table().encode("utf-16-le"), {}, "not-utf-8", "utf-16-le"),
        (table().encode("utf-16-be"), {}, "not-utf-8", "utf-16-be"),
        (table().encode("utf-8"), {"encoding": "cp1252"}, "wrong-encoding", None),
        (table(["\u0081"]).encode("latin-1"), {"encoding": "cp1252"}, "wrong-encoding", None),
        (table().encode("utf-16")[:-1], {}, "wrong-encoding", None),
    ],
)
def test_another_encoding_is_refused(
    tmp_path: Path, data: bytes, keys: dict[str, str], code: str, value: str | None
) -> None:
    of_value: dict[str, Any] = {"value": value} if value else {}
    with refused(code, key="source.encoding", file="a.csv", **of_value):
        read(tmp_path / "a.csv", data, **keys)


def test_bytes_late_in_a_long_file_are_refused(tmp_path: Path) -> None:
    data = table(["Koeln"], 80_000).encode() + b"K\xf6ln,1,2\n"
    with refused("not-utf-8", key="source.encoding", value="cp1252", file="a.csv") as error:
        read(tmp_path / "a.csv", data)
    assert "line 80002, from byte 2 on" in str(error.value) and "'Köln'" in str(error.value)


def test_a_character_that_cannot_be_seen_tells_of_a_wrong_name(tmp_path: Path) -> None:
    """Of Windows' quotation marks and signs of money latin-1 makes control characters."""
    with refused("text-unusable", column="city", row=2, file="a.csv"):
        read(tmp_path / "a.csv", table(["5 €"]).encode("cp1252"), encoding="latin-1")


def test_new_rows_have_the_encoding_of_the_table_or_a_mark(tmp_path: Path) -> None:
    text = table().replace("city", "straße")
    found = read(tmp_path / "a.csv", text.encode("cp1252"), encoding="cp1252")
    found.save(tmp_path / "data.nc")
    stored = Dataset.load(tmp_path / "data.nc")
    assert stored.text_format.encoding == "cp1252"
    path = tmp_path / "new.csv"
    for encoding in ("cp1252", "utf-8-sig", "utf-16"):
        path.write_bytes(text.encode(encoding))
        new = read_features(str(path), found.encoding.kinds, ignored=("y",), form=stored.text_format)
        assert new.x["straße"].tolist() == [WESTERN[i % 3] for i in range(N)]
    path.write_bytes(text.encode())
    with refused("wrong-encoding", key="source.encoding", file="new.csv"):
        read_features(str(path), found.encoding.kinds, ignored=("y",), form=stored.text_format)


def test_a_test_file_may_say_another_encoding(tmp_path: Path) -> None:
    (tmp_path / "b.csv").write_bytes(table().encode("utf-16"))
    keys = {"encoding": "cp1252", "test": str(tmp_path / "b.csv")}
    found = read(tmp_path / "a.csv", table().encode("cp1252"), **keys)
    assert cities(found) == [WESTERN[i % 3] for i in range(N)] * 2


@pytest.mark.parametrize(
    ("encoding", "text", "expected"),
    [
        ("cp1252", table(), {"encoding": "cp1252"}),
        (
            "cp1252",
            table().replace(",", ";").replace(".", ","),
            {"encoding": "cp1252", "separator": ";", "decimal": ","},
        ),
        ("utf-16", table().replace(",", "\t"), {"separator": "\t"}),
        ("utf-16-le", table(), {"encoding": "utf-16-le"}),
        ("utf-8", table(), {}),
    ],
)
def test_a_draft_finds_the_encoding_out_and_doubts_it(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    encoding: str,
    text: str,
    expected: dict[str, str],
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.csv").write_bytes(text.encode(encoding))
    assert main(["draft", "a.csv", "--target", "y"]) == 0
    said = capsys.readouterr().out
    source = yaml.safe_load(said)["datasets"]["a"]["source"]
    assert source == {"kind": "csv", "path": "a.csv", "target": "y", **expected}
    assert ("[encoding]" in said and "'São Paulo'" in said) == ("encoding" in expected)
    (tmp_path / "c.yaml").write_text(said, encoding="utf-8")
    assert main(["check", "c.yaml"]) == 0
