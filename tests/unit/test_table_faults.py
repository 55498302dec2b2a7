"""What a new user's file may be like: each of these is refused in one line that says where and what to do, or works.

The checks run before any chain starts: `prepare` is the first job of a dataset, and all others need what it makes.
"""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import yaml

from bnn.config.loading import load
from bnn.data.dataset import Dataset
from bnn.data.preparation import prepare
from tests.refusals import all_refused, config_refused, refused

N = 40


class Fault(NamedTuple):
    """A file, and what becomes of it."""

    name: str
    make: Callable[[Path], Any]
    """Makes the file"""
    code: str = ""
    place: dict[str, Any] = {}  # noqa: RUF012 (read only)
    """Code and place of the error"""
    works: Callable[[Dataset], bool] | None = None
    """If it works: whether it did"""
    remedy: dict[str, Any] | None = None
    """Keys of the source with which the file works, where the message offers them"""
    task: Any = "regression"
    columns: dict[str, Any] | None = None
    test: list[list[str]] | None = None
    """Header and rows of a file of test rows, `test.csv`"""
    where: str = "mine.csv"
    """The file that the error names"""


def rows(**changes: Callable[[int], Any]) -> list[list[str]]:
    """Return a header and rows of a sound table whose columns are replaced, or added, by functions of the row."""
    columns: dict[str, Callable[[int], Any]] = {
        "x": lambda i: i / 4,
        "z": lambda i: (i * 7) % 11,
        "y": lambda i: i % 9 + i / 8,
    }
    columns |= changes
    return [list(columns), *[[str(make(i)) for make in columns.values()] for i in range(N)]]


def text(table: list[list[str]], separator: str = ",") -> Callable[[Path], Any]:
    return lambda path: path.write_text(
        "".join(separator.join(row) + "\n" for row in table), encoding="utf-8"
    )


def cell(place: str, value: str) -> Callable[[Path], Any]:
    """Return what makes a sound file with one cell replaced, such as x5 (column x, row 5 of a spreadsheet)."""
    table = rows()
    table[int(place[1:]) - 1][table[0].index(place[0])] = value
    return text(table)


def is_whole(found: Dataset) -> bool:
    return found.feature_names == ("x", "z") and len(found.y_train) + len(found.y_test) == N


def sparse(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(2 * 10**9)


def loop(path: Path) -> None:
    path.symlink_to(path)


def unreadable(path: Path) -> None:
    """Reading this one fails even for an administrator, whom permissions do not keep out."""
    path.symlink_to("/proc/self/mem")


WORDS = '[NA, N/A, "#N/A", "<NA>", NaN, "-NaN", "null", None, N.A., "-", unknown]'
DROP_ID = {"drop": ["id"]}
FAULTS = [
    Fault("empty", lambda path: path.touch(), "file-empty", {}),
    Fault("header only", text(rows()[:1]), "no-rows", {}),
    Fault(
        "ragged row",
        lambda path: path.write_text("x,z,y\n1,2,3\n4,5\n"),
        "row-length",
        {"row": 3},
    ),
    Fault(
        "duplicate column",
        lambda path: path.write_text("x,x,y\n1,2,3\n"),
        "name-twice",
        {"column": "x", "row": 1},
    ),
    Fault(
        "wrong encoding",
        lambda path: path.write_bytes("x,z,y\n1,2,3\n1,2,3\n1,größer,3\n".encode("latin-1")),
        "not-utf-8",
        {"key": "source.encoding", "value": "cp1252"},
    ),
    Fault(
        "byte order mark",
        lambda path: path.write_text("".join(",".join(row) + "\n" for row in rows()), encoding="utf-8-sig"),
        works=is_whole,
    ),
    Fault(
        "target column missing",
        text([["x", "z", "Y_"], *rows()[1:]]),
        "column-missing",
        {"column": "y", "key": "source.target"},
    ),
    Fault(
        "target value missing",
        cell("y5", ""),
        "value-missing",
        {"column": "y", "row": 5},
    ),
    Fault("target constant", text(rows(y=lambda i: 3)), "target-constant", {"column": "y"}),
    Fault(
        "one class",
        text(rows(y=lambda i: "a")),
        "target-constant",
        {"column": "y"},
        task="classification",
    ),
    Fault(
        "a class with one row",
        text(rows(y=lambda i: "c" if i == 7 else "ab"[i % 2])),
        "class-too-rare",
        {"value": "c"},
        task="classification",
    ),
    Fault(
        "all-missing column",
        text(rows(z=lambda i: "")),
        "column-empty",
        {"column": "z"},
        remedy={"drop": ["z"]},
    ),
    Fault(
        "missing value",
        cell("z9", "NA"),
        "value-missing",
        {"column": "z", "row": 9},
        columns={"missing": "error"},
    ),
    Fault(
        "missing value, imputed",
        cell("z9", "NA"),
        # Row 9 is one to train on; the median of the others stands in, a feature says where, and a doubt says so.
        works=lambda found: (
            [(doubt.code, doubt.column, doubt.row) for doubt in found.doubts] == [("value-missing", "z", 9)]
            and found.feature_names == ("x", "z", "z is missing")
            and found.columns is not None
            and found.columns[1].fill == 6.0
            and 7 in found.row_train
        ),
    ),
    Fault("infinity", cell("x7", "-inf"), "number-too-large", {"column": "x", "row": 7, "value": "-inf"}),
    Fault("1e300", cell("x7", "1e300"), "number-too-large", {"column": "x", "row": 7, "value": "1e300"}),
    Fault(
        "date",
        text(rows(day=lambda i: f"2021-03-{i % 28 + 1:02}")),
        "date-among-features",
        {"column": "day", "row": 2, "value": "2021-03-01"},
        remedy={"drop": ["day"]},
    ),
    Fault(
        "mixed types: a text among numbers",
        cell("z6", "tall"),
        "text-among-numbers",
        {"column": "z", "row": 6, "value": "tall"},
        remedy={"drop": ["z"]},
    ),
    Fault(
        "words for a missing value",
        text(rows(z=lambda i: {3: "n.a.", 5: "-", 8: "unknown", 9: "N.A."}.get(i, i % 7))),
        "text-among-numbers",
        {"column": "z", "row": 5, "value": "n.a."},
        remedy={"missing_words": yaml.safe_load(WORDS)},
        columns={"missing": "impute"},
    ),
    Fault(
        "a word for a missing value in most rows",
        text(rows(z=lambda i: i % 7 if i % 3 == 0 else "?")),
        "number-among-texts",
        {"column": "z", "row": 2, "value": "0"},
        remedy={"missing_words": ["?"]},
        columns={"missing": "impute"},
    ),
    Fault(
        "mixed types: a number with its unit",
        cell("z6", "12 kg"),
        "text-among-numbers",
        {"column": "z", "row": 6, "value": "12 kg"},
    ),
    Fault(
        "mixed types: a number among texts",
        text(rows(kind=lambda i: "12" if i == 3 else "ab"[i % 2])),
        "number-among-texts",
        {"column": "kind", "row": 5, "value": "12"},
        remedy={"categorical": ["kind"]},
    ),
    Fault(
        "semicolon separator",
        text(rows(), ";"),
        "wrong-separator",
        {"key": "source.separator", "value": ";"},
        remedy={"separator": ";"},
    ),
    Fault(
        "decimal comma",
        text(rows(x=lambda i: f'"{i},5"')),
        "not-a-number",
        {"column": "x", "row": 2, "key": "source.decimal", "value": "0,5"},
    ),
    Fault(
        "decimal comma and semicolon",
        text([[value.replace(".", ",") for value in row] for row in rows()], ";"),
        "wrong-separator",
        {"key": "source.separator", "value": ";"},
        remedy={"separator": ";", "decimal": ","},
    ),
    Fault(
        "10,000 levels",
        lambda path: path.write_text(
            "x,town,y\n" + "".join(f"{i},t{i % 10_000},{i % 7}\n" for i in range(30_000))
        ),
        "too-many-levels",
        {"column": "town"},
        remedy={"drop": ["town"]},
    ),
    Fault(
        "id column of texts",
        text(rows(id=lambda i: f"AB-{i:04}")),
        "texts-all-different",
        {"column": "id", "row": 2, "value": "AB-0000"},
        remedy=DROP_ID,
    ),
    Fault(
        "a text in five rows",
        lambda path: path.write_text("x,town,y\n1,a,2\n3,b,1\n2,c,4\n5,a,2\n4,b,7\n"),
        "texts-all-different",
        {"column": "town", "row": 2, "value": "a"},
    ),
    Fault(
        "id column of numbers",
        text(rows(id=lambda i: 1000 + i)),
        "numbers-the-rows",
        {"column": "id"},
        remedy=DROP_ID,
    ),
    Fault(
        "more columns than rows",
        text(rows(**{f"x{j}": (lambda i, j=j: (i * j) % 13) for j in range(1, 60) if j % 13})),
        works=lambda found: len(found.feature_names) > len(found.y_train),
    ),
    Fault(
        "3 rows",
        text(rows()[:4]),
        "too-few-rows",
        {"key": "split.test_size"},
    ),
    Fault(
        "3 rows, and a file of test rows",
        text(rows()[:4]),
        "too-few-rows",
        {},
        test=rows(),
    ),
    Fault(
        "a file of 1 test row",
        text(rows()),
        "too-few-rows",
        {},
        test=rows()[:2],
        where="test.csv",
    ),
    Fault(
        "2 GB of nothing",
        sparse,
        "line-too-long",
        {"row": 1},
    ),
    Fault("folder", lambda path: path.mkdir(), "file-unreadable", {}),
    Fault("unreadable", unreadable, "file-unreadable", {}),
    Fault("symlink loop", loop, "file-unreadable", {}),
    Fault("no file", lambda path: None, "file-missing", {}),
]


def read(fault: Fault, path: Path, **keys: Any) -> Dataset:
    source = {"kind": "csv", "path": str(path), "target": "y", **keys}
    if fault.test is not None:
        source["test"] = str(path.with_name("test.csv"))
        text(fault.test)(path.with_name("test.csv"))
    split = {"method": "random", "test_size": 0.25, "stratify": True, "seed": 1}
    as_run = load({"datasets": {"mine": {"task": fault.task, "source": source}}}).datasets["mine"].source
    source = as_run.model_dump(mode="json")
    return prepare("mine", task=fault.task, source=source, split=split, columns=fault.columns)


@pytest.mark.parametrize("fault", FAULTS, ids=[fault.name for fault in FAULTS])
def test_a_fault_is_one_line_that_says_where_and_what_to_do(fault: Fault, tmp_path: Path) -> None:
    path = tmp_path / "mine.csv"
    fault.make(path)
    start = time.monotonic()
    if fault.works is not None:
        found = read(fault, path)
        assert fault.works(found)
        assert all(np.isfinite(part).all() for part in (found.x_train, found.x_test, found.y_train))
        return
    with refused(fault.code, file=fault.where, **fault.place) as error:
        read(fault, path)
    assert time.monotonic() - start < 30, "an answer must not take as long as reading whatever was named"
    assert error.value.file == str(tmp_path / fault.where)
    assert str(error.value).isprintable() and len(str(error.value)) < 600 + len(str(path))
    if fault.remedy is not None:
        found = read(fault, path, **fault.remedy)
        assert len(found.y_train) + len(found.y_test) >= N


def test_the_config_is_checked_before_any_job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder, a loop and a file that is not there are told when the workflow is read."""
    from bnn.config.loading import check_files, load

    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    loop(tmp_path / "loop.csv")
    for name, code in (("folder", "file-is-folder"), ("loop.csv", "file-missing"), ("none", "file-missing")):
        for kind in ("csv", "parquet"):
            source = {"kind": kind, "path": name, "target": "y"}
            config = load({"datasets": {"d": {"task": "regression", "source": source}}})
            with config_refused(f"{code} datasets.d.source.path"):
                check_files(config)


def test_columns_that_train_rows_hold_constant_are_told(tmp_path: Path) -> None:
    path = tmp_path / "mine.csv"
    text(rows(same=lambda i: "blue", zero=lambda i: 0))(path)
    found = read(FAULTS[0], path)
    assert found.feature_names == ("x", "z")
    assert [column.name for column in found.columns or () if not column.features] == ["same", "zero"]


def test_all_faults_of_columns_are_told_at_once(tmp_path: Path) -> None:
    """So that a table is not corrected, and read, as often as it has columns."""
    bad = {
        "day": lambda i: f"2026-01-{i % 28 + 1:02d}",
        "id": lambda i: 1000 + i,
        "name": lambda i: f"n{i}",
        "gap": lambda i: "" if i == 3 else i % 7,
        "empty": lambda i: "",
        "gap2": lambda i: "" if i == 4 else i % 5,
    }
    path = tmp_path / "mine.csv"
    text(rows(**bad))(path)
    split = {"method": "random", "test_size": 0.2, "stratify": False, "seed": 1}
    source: dict[str, Any] = {"kind": "csv", "path": str(path), "target": "y"}
    with all_refused(
        ("date-among-features", {"column": "day", "row": 2, "value": "2026-01-01", "file": "mine.csv"}),
        ("numbers-the-rows", {"column": "id", "file": "mine.csv"}),
        ("texts-all-different", {"column": "name", "row": 2, "value": "n0", "file": "mine.csv"}),
        ("value-missing", {"column": "gap", "row": 5, "file": "mine.csv"}),
        ("column-empty", {"column": "empty", "file": "mine.csv"}),
        ("value-missing", {"column": "gap2", "row": 6, "file": "mine.csv"}),
    ) as error:
        prepare("mine", task="regression", source=source, split=split, columns={"missing": "error"})
    assert len(str(error.value).split("\n")) == 7, "a head, five faults, and how many more there are"
    mixed = {name: (lambda i, j=j: "x" if i == j else i % 7) for j, name in enumerate(("a1", "b1"), 3)}
    text(rows(**mixed))(path)
    one, other = (
        ("text-among-numbers", {"column": name, "row": row, "value": "x", "file": "mine.csv"})
        for name, row in (("a1", 5), ("b1", 6))
    )
    with all_refused(one, other):
        prepare("mine", task="regression", source=source, split=split)
    with all_refused(other):
        prepare("mine", task="regression", source=source | {"drop": ["a1"]}, split=split)


def test_all_names_that_are_no_columns_are_told_at_once(tmp_path: Path) -> None:
    path = tmp_path / "mine.csv"
    text(rows())(path)
    split = {"method": "random", "test_size": 0.2, "stratify": False, "seed": 1}
    source = {"kind": "csv", "path": str(path), "target": "yy", "drop": ["zz", "x"], "row_id": "name"}
    with all_refused(
        ("column-missing", {"column": "yy", "key": "source.target", "file": "mine.csv"}),
        ("column-missing", {"column": "zz", "key": "source.drop", "file": "mine.csv"}),
        ("column-missing", {"column": "name", "key": "source.row_id", "file": "mine.csv"}),
    ):
        prepare("mine", task="regression", source=source, split=split)
