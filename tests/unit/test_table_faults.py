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

from bnn.core.errors import DataError
from bnn.data.dataset import Dataset
from bnn.data.preparation import prepare

N = 40


class Fault(NamedTuple):
    """A file, and what becomes of it."""

    name: str
    make: Callable[[Path], Any]
    """Makes the file"""
    message: str = ""
    """What the error says after the path of the file"""
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
    Fault("empty", lambda path: path.touch(), "the file is empty; it needs a header line and rows of data"),
    Fault("header only", text(rows()[:1]), "there is a header line but no row of data"),
    Fault(
        "ragged row",
        lambda path: path.write_text("x,z,y\n1,2,3\n4,5\n"),
        "row 3 has 2 cells, but the header has 3; check its separators and quotation marks",
    ),
    Fault(
        "duplicate column",
        lambda path: path.write_text("x,x,y\n1,2,3\n"),
        "row 1: column 'x' appears more than once; rename or remove one",
    ),
    Fault(
        "wrong encoding",
        lambda path: path.write_bytes("x,z,y\n1,2,3\n1,2,3\n1,größer,3\n".encode("latin-1")),
        "the file is not UTF-8 text (line 4, from byte 5 on); save it again as 'CSV UTF-8'",
    ),
    Fault(
        "byte order mark",
        lambda path: path.write_text("".join(",".join(row) + "\n" for row in rows()), encoding="utf-8-sig"),
        works=is_whole,
    ),
    Fault(
        "target column missing",
        text([["x", "z", "Y_"], *rows()[1:]]),
        "there is no target column 'y' (the columns are x, z, Y_)",
    ),
    Fault(
        "target value missing",
        cell("y5", ""),
        "column 'y', row 5: the value is missing; fill it in, or remove the row",
    ),
    Fault("target constant", text(rows(y=lambda i: 3)), "column 'y': the target is 3.0 in every row"),
    Fault(
        "one class",
        text(rows(y=lambda i: "a")),
        "column 'y': the target is 'a' in every row: there is nothing to tell apart",
        task="classification",
    ),
    Fault(
        "a class with one row",
        text(rows(y=lambda i: "c" if i == 7 else "ab"[i % 2])),
        "class 'c' has fewer than two rows, so it cannot be in both parts; add rows, merge or remove the class",
        task="classification",
    ),
    Fault(
        "all-missing column",
        text(rows(z=lambda i: "")),
        "column 'z' has no value in any row; remove it, or set source.drop: [z]",
        remedy={"drop": ["z"]},
    ),
    Fault(
        "missing value",
        cell("z9", "NA"),
        "column 'z', row 9: the value is missing; fill it in, remove row or column, or",
    ),
    Fault(
        "missing value, imputed",
        cell("z9", "NA"),
        # Row 9 is one to train on; the median of the others stands in, and a feature says where.
        works=lambda found: (
            found.feature_names == ("x", "z", "z is missing")
            and found.columns is not None
            and found.columns[1].fill == 6.0
            and 7 in found.row_train
        ),
        columns={"missing": "impute"},
    ),
    Fault("infinity", cell("x7", "-inf"), "column 'x', row 7: -inf is infinite or too large; correct it"),
    Fault("1e300", cell("x7", "1e300"), "column 'x', row 7: 1e300 is infinite or too large; correct it"),
    Fault(
        "date",
        text(rows(day=lambda i: f"2021-03-{i % 28 + 1:02}")),
        "column 'day', row 2: '2021-03-01' is a date or a time, and features must be numbers or categories; make",
        remedy={"drop": ["day"]},
    ),
    Fault(
        "mixed types: a text among numbers",
        cell("z6", "tall"),
        "column 'z', row 6: 'tall' is not a number, but other cells of the column are; correct it",
        remedy={"drop": ["z"]},
    ),
    Fault(
        "words for a missing value",
        text(rows(z=lambda i: {3: "n.a.", 5: "-", 8: "unknown", 9: "N.A."}.get(i, i % 7))),
        "column 'z', row 5: 'n.a.' is not a number, but other cells of the column are; correct it (a column of numbers "
        "may hold nothing else), or, if 'N.A.', '-', 'unknown' stand for a missing value, set source.missing_words: "
        f"{WORDS}, or drop the column (source.drop: [z])",
        remedy={"missing_words": yaml.safe_load(WORDS)},
        columns={"missing": "impute"},
    ),
    Fault(
        "a word for a missing value in most rows",
        text(rows(z=lambda i: i % 7 if i % 3 == 0 else "?")),
        "column 'z', row 2: '0' is a number, but most cells of the column are texts; correct it, or, if '?' stands for "
        'a missing value, set source.missing_words: [NA, N/A, "#N/A", "<NA>", NaN, "-NaN", "null", None, "?"], or, if',
        remedy={"missing_words": ["?"]},
        columns={"missing": "impute"},
    ),
    Fault(
        "mixed types: a number with its unit",
        cell("z6", "12 kg"),
        "column 'z', row 6: '12 kg' is not a number, but other cells of the column are; correct it (a column of "
        "numbers may hold nothing else), or drop the column",
    ),
    Fault(
        "mixed types: a number among texts",
        text(rows(kind=lambda i: "12" if i == 3 else "ab"[i % 2])),
        "column 'kind', row 5: '12' is a number, but most cells of the column are texts; correct it, or, if",
        remedy={"categorical": ["kind"]},
    ),
    Fault(
        "semicolon separator",
        text(rows(), ";"),
        "the cells seem to be separated by semicolons; save the file with commas, or set source.separator",
        remedy={"separator": ";"},
    ),
    Fault(
        "decimal comma",
        text(rows(x=lambda i: f'"{i},5"')),
        "column 'x', row 2: '0,5' is not a number as long as source.decimal is '.'; if its comma is a decimal "
        "comma, set source.decimal: ','",
    ),
    Fault(
        "decimal comma and semicolon",
        text([[value.replace(".", ",") for value in row] for row in rows()], ";"),
        "the cells seem to be separated by semicolons",
        remedy={"separator": ";", "decimal": ","},
    ),
    Fault(
        "10,000 levels",
        lambda path: path.write_text(
            "x,town,y\n" + "".join(f"{i},t{i % 10_000},{i % 7}\n" for i in range(30_000))
        ),
        "column 'town' holds 9",
        remedy={"drop": ["town"]},
    ),
    Fault(
        "id column of texts",
        text(rows(id=lambda i: f"AB-{i:04}")),
        "column 'id', row 2: 'AB-0000' is not a number, and the column has 40 different texts in 40 rows: a name",
        remedy=DROP_ID,
    ),
    Fault(
        "a text in five rows",
        lambda path: path.write_text("x,town,y\n1,a,2\n3,b,1\n2,c,4\n5,a,2\n4,b,7\n"),
        "column 'town', row 2: 'a' is not a number, and the column has 3 different texts in 5 rows: of categories each "
        "needs several rows to learn from, and a name or an id says nothing about new ones; add rows, drop the column",
    ),
    Fault(
        "id column of numbers",
        text(rows(id=lambda i: 1000 + i)),
        "column 'id' numbers the rows, which says nothing about new ones; drop it (source.drop: [id]), "
        "keep it as the name of rows (source.row_id: id), or rename it",
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
        "split.test_size 0.25 of 3 rows gives 2 to train and 1 to test, but at least 5 and 2 are needed; add rows",
    ),
    Fault(
        "3 rows, and a file of test rows",
        text(rows()[:4]),
        "the file has 3 rows to train, but at least 5 are needed; add rows",
        test=rows(),
    ),
    Fault(
        "a file of 1 test row",
        text(rows()),
        "the file has 1 row to test, but at least 2 are needed; add rows",
        test=rows()[:2],
        where="test.csv",
    ),
    Fault(
        "2 GB of nothing",
        sparse,
        "line 1 has more than 16777216 characters: this is no table of lines and columns",
    ),
    Fault("folder", lambda path: path.mkdir(), "the file cannot be read: Is a directory; check source.path"),
    Fault("unreadable", unreadable, "the file cannot be read: Input/output error; check source.path"),
    Fault(
        "symlink loop", loop, "the file cannot be read: Too many levels of symbolic links; check source.path"
    ),
    Fault("no file", lambda path: None, "there is no such file; check source.path"),
]


def read(fault: Fault, path: Path, **keys: Any) -> Dataset:
    source = {"kind": "csv", "path": str(path), "target": "y", **keys}
    if fault.test is not None:
        source["test"] = str(path.with_name("test.csv"))
        text(fault.test)(path.with_name("test.csv"))
    split = {"method": "random", "test_size": 0.25, "stratify": True, "seed": 1}
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
    with pytest.raises(DataError) as error:
        read(fault, path)
    assert time.monotonic() - start < 30, "an answer must not take as long as reading whatever was named"
    assert str(error.value).startswith(f"dataset 'mine': {tmp_path / fault.where}: {fault.message}")
    assert str(error.value).isprintable() and len(str(error.value)) < 600 + len(str(path))
    if fault.remedy is not None:
        found = read(fault, path, **fault.remedy)
        assert len(found.y_train) + len(found.y_test) >= N


def test_the_config_is_checked_before_any_job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder, a loop and a file that is not there are told when the workflow is read."""
    from bnn.config.loading import ConfigError, check_files, load

    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    loop(tmp_path / "loop.csv")
    for name, message in (
        ("folder", "is a folder"),
        ("loop.csv", "there is no file"),
        ("none", "there is no file"),
    ):
        for kind in ("csv", "parquet"):
            source = {"kind": kind, "path": name, "target": "y"}
            config = load({"datasets": {"d": {"task": "regression", "source": source}}})
            with pytest.raises(ConfigError, match=message):
                check_files(config)


def test_columns_that_train_rows_hold_constant_are_told(tmp_path: Path) -> None:
    path = tmp_path / "mine.csv"
    text(rows(same=lambda i: "blue", zero=lambda i: 0))(path)
    found = read(FAULTS[0], path)
    assert found.feature_names == ("x", "z")
    assert [column.name for column in found.columns or () if not column.features] == ["same", "zero"]


def test_all_faults_of_columns_are_told_at_once(tmp_path: Path) -> None:
    """So that a table is not mended, and read, as often as it has columns."""
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
    with pytest.raises(DataError) as error:
        prepare("mine", task="regression", source=source, split=split)
    first, *lines = str(error.value).split("\n")
    assert first == f"dataset 'mine': {path}: 6 columns cannot be used as they are:"
    assert [line.partition("'")[2].partition("'")[0] for line in lines[:5]] == list(bad)[:5]
    assert "source.drop: [day]" in lines[0] and "numbers the rows" in lines[1] and "row 5" in lines[3]
    assert lines[5:] == ["  (and 1 more)"]
    mixed = {name: (lambda i, j=j: "x" if i == j else i % 7) for j, name in enumerate(("a1", "b1"), 3)}
    text(rows(**mixed))(path)
    with pytest.raises(
        DataError, match=r"2 columns cannot be used as they are:\n.*'a1', row 5.*\n.*'b1', row 6"
    ):
        prepare("mine", task="regression", source=source, split=split)
    with pytest.raises(DataError, match=r"mine.csv: column 'b1', row 6: 'x' is not a number"):
        prepare("mine", task="regression", source=source | {"drop": ["a1"]}, split=split)


def test_all_names_that_are_no_columns_are_told_at_once(tmp_path: Path) -> None:
    path = tmp_path / "mine.csv"
    text(rows())(path)
    split = {"method": "random", "test_size": 0.2, "stratify": False, "seed": 1}
    source = {"kind": "csv", "path": str(path), "target": "yy", "drop": ["zz", "x"], "row_id": "name"}
    with pytest.raises(DataError) as error:
        prepare("mine", task="regression", source=source, split=split)
    first, *lines = str(error.value).split("\n")
    assert first == f"dataset 'mine': {path}: 3 names of columns in the config do not fit the table:"
    assert lines == [
        "  - there is no target column 'yy' (the columns are x, z, y); did you mean 'y'?",
        "  - there is no column 'zz' (source.drop) (the columns are x, z, y); did you mean 'z'?",
        "  - there is no column 'name' (source.row_id) (the columns are x, z, y)",
    ]
