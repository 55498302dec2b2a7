"""Damaged CSV files: refused in one line that names the file, or read as an independent strict parser reads them."""

import codecs
import csv
import gzip
import io
import re
import time
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
from hypothesis import event, given
from hypothesis import strategies as st

from bnn.core.errors import DataError
from bnn.data.dataset import Dataset, Task
from bnn.data.preparation import prepare
from tests.fuzz.settings import examples, within

Rows = list[list[str]]
Draw = Callable[..., Any]

WORDS = """
inf -inf nan +nan NaN NA None 1e999 1e150 1e151 -1e300 1e-320 0x1F 1_000 1,5 1.5.2 -- +1 .5 5. 1e5 -0 １２ ٣ ½ 007 7 7.0
1e0 TRUE #REF! =1+1 ' "
"""
CELLS = WORDS.split()
CELLS += [
    "",
    " ",
    "  3 ",
    "\t4",
    "1\n2",
    "1\r",
    "\u00a05",
    "\ufeff1",
    "1\x00",
    "\x1b[31m",
    "é",
    "\u202e1",
    "9" * 400,
]
CELLS += [
    "x" * 70_000,
    "<script>",
    "../../up",
    "$(id)",
    "a" * 501,
    "\u2028",
    "12345678901234567890",
    "1.00000000000000001",
]
SNIPPETS = [
    b",",
    b";",
    b"\t",
    b"\n",
    b"\r",
    b"\r\n",
    b"\n\n",
    b'"',
    b'""',
    b'",',
    b"\x00",
    b"\xff",
    b"\xef\xbb\xbf",
]
SNIPPETS += [
    b"\xc3",
    b"\xed\xa0\x80",
    b"\\",
    b"#",
    b" ",
    b",,,,,",
    b"1e400",
    b"nan",
    b"_",
    b"\x1a",
    b"'",
    b"\x85",
    b"," * 5000,
]


@st.composite
def tables(draw: Draw) -> tuple[Rows, str, Task]:
    """A sound table: rows of text with the header first, its target column, and its task."""
    task: Task = draw(st.sampled_from(["regression", "classification"]))
    n_features: int = draw(st.integers(1, 4))
    n_rows: int = draw(st.sampled_from([1, 6, *range(8, 40)]))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    names = [["x", "größe, cm", "a b", "Ω"][i] for i in range(n_features)]
    columns = [[f"{v:.3f}" for v in rng.normal(size=n_rows).tolist()] for _ in names]
    labels = [["no", "yes"], ["0", "1", "2"], ["a,b", "c"]][rng.integers(3)]
    if task == "classification":
        columns.append([labels[i] for i in rng.integers(len(labels), size=n_rows)])
    else:
        columns.append([repr(v) for v in rng.normal(size=n_rows).tolist()])
    place = int(rng.integers(len(columns)))  # the target may be any column
    names.append("y")
    names[place], names[-1] = names[-1], names[place]
    columns[place], columns[-1] = columns[-1], columns[place]
    return [names, *map(list, zip(*columns, strict=True))], "y", task


def text_of(
    rows: Rows, *, newline: str = "\n", quoting: Literal[0, 1, 2, 3] = csv.QUOTE_MINIMAL, delimiter: str = ","
) -> str:
    file = io.StringIO(newline="")
    csv.writer(file, lineterminator=newline, quoting=quoting, delimiter=delimiter).writerows(rows)
    return file.getvalue()


def damage_cells(draw: Draw, rows: Rows) -> Rows:
    """Replace cells, repeat or drop cells and rows, or give two columns one name."""
    rows = [list(row) for row in rows]
    for _ in range(draw(st.sampled_from([0, 1, 1, 2]))):
        row = rows[draw(st.integers(0, len(rows) - 1))]
        if not row:
            continue
        column = draw(st.integers(0, len(row) - 1))
        match draw(st.sampled_from(["replace", "replace", "replace", "insert", "drop", "repeat", "empty"])):
            case "replace":
                row[column] = draw(st.sampled_from(CELLS))
            case "insert":
                row.insert(column, draw(st.sampled_from(CELLS)))
            case "drop":
                del row[column]
            case "repeat":
                row[column] = row[0]
            case "empty":
                row[:] = []
    return rows


def damage_bytes(draw: Draw, data: bytes) -> bytes:
    for _ in range(draw(st.sampled_from([0, 0, 1, 2]))):
        start = draw(st.integers(0, len(data)))
        end = min(len(data), start + draw(st.integers(0, 12)))
        match draw(st.sampled_from(["insert", "insert", "delete", "repeat", "flip", "cut", "swap"])):
            case "insert":
                data = data[:start] + draw(st.sampled_from(SNIPPETS)) + data[start:]
            case "delete":
                data = data[:start] + data[end:]
            case "repeat":
                data = data[:end] + data[start:end] + data[end:]
            case "flip" if start < len(data):
                data = (
                    data[:start] + bytes([data[start] ^ (1 << draw(st.integers(0, 7)))]) + data[start + 1 :]
                )
            case "cut":
                data = data[:start]
            case "swap":
                old, new = draw(st.sampled_from([(b",", b";"), (b".", b","), (b",", b"\t"), (b"\n", b"\r")]))
                data = data.replace(old, new)
    return data


@st.composite
def files(draw: Draw) -> tuple[bytes, str, Task]:
    """Bytes of a file, sound or damaged, and what is asked of it."""
    rows, target, task = draw(tables())
    rows = damage_cells(draw, rows)
    text = text_of(
        rows,
        newline=draw(st.sampled_from(["\n", "\n", "\r\n", "\r"])),
        quoting=draw(st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL])),
        delimiter=draw(st.sampled_from([","] * 10 + [";", "\t"])),
    )
    encoding = draw(
        st.sampled_from(["utf-8"] * 20 + ["utf-8-sig", "utf-16", "utf-16-le", "latin-1", "utf-32"])
    )
    return damage_bytes(draw, text.encode(encoding, errors="replace")), target, task


def strict_parse(data: bytes) -> Rows:
    """Read a file with nothing but the standard library: header and rows, without rows of blanks at the end."""
    marks = {codecs.BOM_UTF32_LE: "utf-32", codecs.BOM_UTF32_BE: "utf-32"}
    marks |= {codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}
    encoding = next((marks[mark] for mark in marks if data.startswith(mark)), "utf-8")
    text = data.decode(encoding).removeprefix("\ufeff")
    rows = [[cell.strip() for cell in row] for row in csv.reader(io.StringIO(text, newline=""), strict=True)]
    while rows and set(rows[-1]) <= {""}:
        rows.pop()
    return rows


def assert_same(found: Dataset, rows: Rows, target: str) -> None:
    """Compare what was accepted with the strict parse, in the units of the file."""
    header, *body = rows
    assert len(set(header)) == len(header)
    assert {len(row) for row in body} == {len(header)}
    order = np.concatenate([found.row_train, found.row_test])
    assert sorted(order.tolist()) == list(range(len(body))), "every row once, and no other"
    features = dict(zip(found.feature_names, feature_values(found), strict=True))
    assert found.columns is not None
    for column in found.columns:
        cells = [body[row][header.index(column.name)] for row in order]
        if column.kind == "number" and column.features:
            assert_numbers(features[column.name], cells)
        elif column.kind == "text":
            for level in column.levels:
                assert_zeros_and_ones(features[f"{column.name}={level}"], [cell == level for cell in cells])
        elif column.kind == "boolean" and column.features:
            truth = [cell.lower() in ("true", "t", "yes", "y") for cell in cells]
            assert_zeros_and_ones(features[column.name], truth)
        if not column.features:
            # Numbers are constant by their value, however they are written.
            train = cells[: len(found.row_train)]
            assert len({float(cell) if column.kind == "number" else cell.lower() for cell in train}) == 1
    assert sorted([*(column.name for column in found.columns), target]) == sorted(header)
    cells = [body[row][header.index(target)] for row in order]
    y = np.concatenate([found.y_train, found.y_test])
    if found.task == "regression":
        assert_numbers(found.target_mean + found.target_scale * y, cells)
    else:
        assert_classes([found.class_names[index] for index in y], cells)


def feature_values(found: Dataset) -> np.ndarray:
    """Return the features in units of the file, (feature, row), train rows first."""
    x = np.concatenate([found.x_train, found.x_test])
    return (found.feature_mean + found.feature_scale * x).T


def assert_zeros_and_ones(values: np.ndarray, expected: list[bool]) -> None:
    np.testing.assert_allclose(values, np.array(expected, dtype=float), rtol=0, atol=1e-12)


def assert_numbers(values: np.ndarray, cells: list[str]) -> None:
    expected = np.array([float(cell) for cell in cells])
    assert "_" not in "".join(cells)
    assert np.isfinite(expected).all()
    # Standardising and back costs a rounding or two of the largest number of the column.
    np.testing.assert_allclose(values, expected, rtol=0, atol=1e-12 * max(float(abs(expected).max()), 1e-300))


def assert_classes(names: list[str], cells: list[str]) -> None:
    """Rows share a class when, and only when, their cells are one text, or one number where no cell is a code."""
    number = re.compile(r"[+-]?(0|[1-9][0-9]*)?(\.[0-9]*)?([eE][+-]?[0-9]+)?")
    has_codes = any(re.fullmatch("0[0-9]+", cell) for cell in cells)
    keys = [
        Fraction(cell) if number.fullmatch(cell) and len(cell) < 16 and not has_codes else cell
        for cell in cells
    ]
    assert len(set(zip(names, keys, strict=True))) == len(set(names)) == len(set(keys))
    for name, key in zip(names, keys, strict=True):
        assert name == key or (isinstance(key, Fraction) and Fraction(name) == key)


@pytest.mark.slow
@examples(200)
@given(file=files())
def test_a_file_is_read_right_or_refused(
    file: tuple[bytes, str, Task], tmp_path_factory: pytest.TempPathFactory
) -> None:
    data, target, task = file
    path = tmp_path_factory.getbasetemp() / "fuzz.csv"
    path.write_bytes(data)
    source = {"kind": "csv", "path": str(path), "target": target, "target_unit": ""}
    split = {"method": "random", "test_size": 0.25, "stratify": False, "seed": 1, "repeated_rows": "keep"}
    try:
        with within():
            found = prepare("mine", task=task, source=source, split=split, columns={"missing": "error"})
    except DataError as error:
        event("refused")
        message = str(error)
        assert message.startswith(f"dataset 'mine': {path}: ")
        for line in re.split(r"\n  (?:- )?", message):
            assert line.isprintable(), "a line a fault, with nothing in it that a terminal would obey"
        assert len(message) < 2000 + len(str(path))
        return
    event("accepted")
    assert_same(found, strict_parse(data), target)
    stored = path.with_suffix(".nc")
    found.save(stored)
    again = Dataset.load(stored)
    assert (again.feature_names, again.class_names) == (found.feature_names, found.class_names)
    assert np.array_equal(again.x_train, found.x_train)


@examples(60)
@given(
    table=tables(),
    newline=st.sampled_from(["\n", "\r\n"]),
    quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC]),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-32"]),
    padding=st.integers(0, 3),
    fold=st.booleans(),
)
def test_a_sound_file_is_accepted_however_it_is_written(
    table: tuple[Rows, str, Task],
    newline: str,
    quoting: Literal[0, 1, 2, 3],
    encoding: str,
    padding: int,
    fold: bool,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """The values are known before the file is written: this needs no second reader."""
    rows, target, task = table
    column = rows[0].index(target)
    # Enough rows, and all classes in both parts, so that nothing else can be at fault.
    rows = [rows[0], *(rows[1:] * 12)]
    if len({row[column] for row in rows[1:]}) == 1:
        # A table of one row becomes one of two, so that features vary as well.
        other = ["17.25"] * len(rows[0])
        other[column] = "other" if task == "classification" else "17.25"
        rows = [rows[0], *[other if i % 2 else row for i, row in enumerate(rows[1:])]]
    path = tmp_path_factory.getbasetemp() / "sound.csv"
    blank = ("," * (len(rows[0]) - 1) + newline) * padding
    written = [list(row) for row in rows]
    for row in written[1:None:3] if fold and task == "classification" else ():
        row[column] = f" {row[column].upper()}"
    path.write_bytes((text_of(written, newline=newline, quoting=quoting) + blank).encode(encoding))
    source = {
        "kind": "csv",
        "path": str(path),
        "target": target,
        "target_unit": "",
        "fold_case": [target] * fold,
    }
    split = {
        "method": "random",
        "test_size": 0.3,
        "stratify": task == "classification",
        "seed": 1,
        "repeated_rows": "keep",
    }
    with within():
        found = prepare("mine", task=task, source=source, split=split)
    assert_same(found, rows, target)


@st.composite
def dialects(draw: Draw) -> dict[str, Any]:
    """Keys of a source, and how to write a file that they describe."""
    keys: dict[str, Any] = {"separator": draw(st.sampled_from([",", ";", "\t", "|"]))}
    keys["decimal"] = draw(st.sampled_from([".", ","]))
    keys["encoding"] = draw(st.sampled_from(["utf-8", "cp1252", "cp850", "gb18030", "utf-16", "utf-16-be"]))
    marks = ["", "'", "\u00a0", *[mark for mark in ",." if mark not in (keys["separator"], keys["decimal"])]]
    keys["thousands"] = draw(st.sampled_from(marks))
    keys["comment"] = draw(st.sampled_from(["", "#", "//"]))
    keys["skip_lines"] = draw(st.sampled_from([0, 1, 3, [2]]))
    keys["header"] = draw(st.booleans())
    return keys


@examples(50)
@given(
    table=tables(),
    keys=dialects(),
    quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
    says=st.booleans(),
    trailing=st.booleans(),
    packed=st.booleans(),
    scale=st.sampled_from([1.0, 1e3, 1e7]),
)
def test_a_sound_file_of_any_dialect_is_read_right(
    table: tuple[Rows, str, Task],
    keys: dict[str, Any],
    quoting: Literal[0, 1],
    says: bool,
    trailing: bool,
    packed: bool,
    scale: float,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """The values are known before the file is written: this needs no second reader."""
    rows, target, _ = table
    place, n_features = rows[0].index(target), len(rows[0]) - 1
    names = [*(f"größe {i}" for i in range(n_features)), "y"]
    if keys["separator"] in (keys["decimal"], keys["thousands"]):
        quoting = csv.QUOTE_ALL
    rng = np.random.default_rng(len(rows))
    body = np.round(rng.normal(size=(12 * len(rows), n_features + 1)) * scale, 3)
    names[place], names[-1] = names[-1], names[place]
    written = [[in_dialect(value, keys) for value in row] for row in body.tolist()]
    text = text_of(
        [names, *written] if keys["header"] else written, quoting=quoting, delimiter=keys["separator"]
    )
    lines = text.splitlines()
    if trailing:
        lines = [line + keys["separator"] for line in lines]
    if keys["comment"]:
        lines[5:5] = [f"{keys['comment']} a break", f"  {keys['comment']}"]
    skip = keys["skip_lines"]
    if isinstance(skip, int):
        lines[:0] = ["A title; of, a\ttable"] * skip
    else:
        lines[1:1] = ["m/s"]
    if says and skip == 0:
        lines[:0] = [f"sep={keys['separator']}"]
    data = ("\n".join(lines) + "\n").encode(keys["encoding"])
    path = tmp_path_factory.getbasetemp() / "dialect.csv"
    path.write_bytes(gzip.compress(data) if packed else data)
    chosen = {**keys, "names": () if keys["header"] else [*names, "Unnamed: 9"][: len(names) + trailing]}
    source = {"kind": "csv", "path": str(path), "target": "y", **chosen}
    split = {"method": "random", "test_size": 0.3, "stratify": False, "seed": 1, "repeated_rows": "keep"}
    with within():
        found = prepare("mine", task="regression", source=source, split=split)
    order = np.concatenate([found.row_train, found.row_test])
    assert sorted(order.tolist()) == list(range(len(body)))
    for name, values in zip(found.feature_names, feature_values(found), strict=True):
        expected = body[order, names.index(name)]
        np.testing.assert_allclose(values, expected, rtol=0, atol=1e-12 * float(abs(expected).max()))
    assert set(found.feature_names) == {name for name in names if name != "y"}


def in_dialect(value: float, keys: dict[str, Any]) -> str:
    text = f"{value:,.3f}" if keys["thousands"] else f"{value:.3f}"
    return text.translate({ord(","): keys["thousands"], ord("."): keys["decimal"]})


@examples(100)
@given(data=st.binary(max_size=400))
def test_bytes_that_are_no_table_are_refused(data: bytes, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.getbasetemp() / "noise.csv"
    path.write_bytes(data)
    source = {"kind": "csv", "path": str(path), "target": "y", "target_unit": ""}
    with within(), pytest.raises(DataError, match=re.escape(str(path))):
        prepare(
            "mine",
            task="regression",
            source=source,
            split={"method": "random", "test_size": 0.2, "stratify": False, "seed": 1},
        )


@pytest.mark.slow
@pytest.mark.parametrize(
    ("n_rows", "n_features", "longer"), [(40, 400, (1, 4)), (8000, 8, (4, 1))], ids=["wide", "long"]
)
def test_the_time_of_reading_grows_no_faster_than_the_file(
    n_rows: int, n_features: int, longer: tuple[int, int], tmp_path: Path
) -> None:
    """Four times the columns, or the rows, take about four times as long; what is quadratic takes sixteen times."""

    def seconds(n_rows: int, n_features: int) -> float:
        """Return processor time, which other processes hardly change: the lesser of two."""
        path = tmp_path / "large.csv"
        values = np.random.default_rng(0).normal(size=(n_rows, n_features + 1))
        header = ",".join([*(f"x{i}" for i in range(n_features)), "y"])
        np.savetxt(path, values, fmt="%.3f", delimiter=",", header=header, comments="")
        source = {"kind": "csv", "path": str(path), "target": "y", "target_unit": ""}
        split = {"method": "random", "test_size": 0.2, "stratify": False, "seed": 1}
        taken = []
        for _ in range(2):
            start = time.process_time()
            found = prepare("mine", task="regression", source=source, split=split)
            taken.append(time.process_time() - start)
        assert found.x_train.shape == (n_rows * 4 // 5, n_features)
        return min(taken)

    once, more = seconds(n_rows, n_features), seconds(n_rows * longer[0], n_features * longer[1])
    print(f"{once:.2f} s, {more:.2f} s")
    assert more < 8 * once
