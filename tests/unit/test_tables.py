"""A CSV file is read right, or refused with file, column, row and remedy."""

import re
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

from bnn.config.sources import CsvSource
from bnn.core.errors import drop_line, listing
from bnn.data.csv_files import read_columns
from bnn.data.dataset import Dataset, Task
from bnn.data.preparation import prepare
from bnn.data.words import MISSING_WORDS, TextFormat
from tests.refusals import refused

SPLIT = {"method": "random", "test_size": 0.2, "stratify": False, "seed": 42}
STRATIFIED = {**SPLIT, "stratify": True}


def read(
    path: Path, *, task: Task = "regression", target: str = "y", split: dict[str, Any] = SPLIT, **keys: Any
) -> Dataset:
    source = {"kind": "csv", "path": str(path), "target": target, "target_unit": "kg"}
    return prepare("mine", task=task, source=source, split=split, **keys)


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


@pytest.fixture
def csv_rows() -> list[list[str]]:
    """A header and ten rows, all sound, for regression."""
    rng = np.random.default_rng(1)
    rows = [["a", "b", "y"]]
    rows += [[f"{a:.3f}", f"{b:.3f}", f"{2 * a - b:.3f}"] for a, b in rng.normal(size=(10, 2))]
    return rows


def text_of(rows: list[list[str]]) -> str:
    return "".join(",".join(row) + "\n" for row in rows)


def test_csv_columns_rows_and_units(tmp_path: Path, csv_rows: list[list[str]]) -> None:
    found = read(write(tmp_path / "a.csv", text_of(csv_rows)), target="a")
    assert found.feature_names == ("b", "y")
    assert (found.target_name, found.target_unit) == ("a", "kg")
    values = np.array(csv_rows[1:], dtype=float)
    np.testing.assert_allclose(found.feature_mean, values[found.row_train, 1:].mean(axis=0))
    target = found.target_mean + found.target_scale * found.y_test
    np.testing.assert_allclose(target, values[found.row_test, 0])


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        (["no", "yes"], ("no", "yes")),
        (["zebra", "Ape", "ape"], ("Ape", "ape", "zebra")),
        (["10", "9", "-1"], ("-1", "9", "10")),
        (["2.0", "1", "1.0", "2"], ("1", "2")),
        (["0.5", "10", "2"], ("0.5", "2", "10")),
        (["1", "2", "x"], ("1", "2", "x")),
        ([" a ", "b"], ("a", "b")),
        # Not numbers, or not the same number: never one class by accident.
        (["1_0", "10"], ("10", "1_0")),
        (["007", "7"], ("007", "7")),
        (["12345678901234567890", "12345678901234567891"], ("12345678901234567890", "12345678901234567891")),
        (["inf", "Infinity"], ("Infinity", "inf")),
        (["0.5", "0.50", ".5", "1e0", "1"], ("0.5", "1")),
    ],
)
def test_class_labels_become_sorted_names(
    tmp_path: Path, labels: list[str], expected: tuple[str, ...]
) -> None:
    column = [labels[i % len(labels)] for i in range(24)]
    text = "x,label\n" + "".join(f"{i},{label}\n" for i, label in enumerate(column))
    found = read(write(tmp_path / "a.csv", text), task="classification", target="label", split=STRATIFIED)
    assert found.class_names == expected
    names = [found.class_names[index] for index in found.y_train]
    for name, row in zip(names, found.row_train, strict=True):
        label = column[row].strip()
        assert name == label or Fraction(name) == Fraction(label)
    assert (found.target_mean, found.target_scale) == (0.0, 1.0)
    assert found.y_train.dtype == np.int64


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_csv_of_spreadsheets_is_read(
    tmp_path: Path, csv_rows: list[list[str]], encoding: str, newline: str
) -> None:
    csv_rows[0] = [' "größe, cm" ', "b", " y"]
    csv_rows[0][0] = '"größe, cm"'
    text = text_of(csv_rows).replace("\n", newline) + f",,{newline}" * 3 + newline
    path = tmp_path / "a.csv"
    path.write_bytes(text.encode(encoding))
    found = read(path)
    assert found.feature_names == ("größe, cm", "b")
    assert len(found.row_train) + len(found.row_test) == 10


def fault(rows: list[list[str]], **cells: str) -> list[list[str]]:
    """Return the rows with cells such as a5 (column a, row 5 of a spreadsheet) replaced."""
    rows = [list(row) for row in rows]
    for place, value in cells.items():
        rows[int(place[1:]) - 1][rows[0].index(place[0])] = value
    return rows


@pytest.mark.parametrize(
    ("cells", "code", "place"),
    [
        ({"a5": "tall"}, "text-among-numbers", {"column": "a", "row": 5, "value": "tall"}),
        ({"b11": "1_000"}, "text-among-numbers", {"column": "b", "row": 11, "value": "1_000"}),
        ({"a2": ""}, "value-missing", {"column": "a", "row": 2}),
        ({"a3": " NA ", "a7": "nan", "a9": ""}, "value-missing", {"column": "a", "row": 3}),
        ({"b4": "-inf"}, "number-too-large", {"column": "b", "row": 4, "value": "-inf"}),
        ({"b4": "1e999"}, "number-too-large", {"column": "b", "row": 4, "value": "1e999"}),
        ({"b4": "1e200"}, "number-too-large", {"column": "b", "row": 4, "value": "1e200"}),
        ({"y6": "high"}, "not-a-number", {"column": "y", "row": 6, "value": "high"}),
        ({"y6": "None"}, "value-missing", {"column": "y", "row": 6}),
    ],
)
def test_a_bad_cell_is_named(
    tmp_path: Path, csv_rows: list[list[str]], cells: dict[str, str], code: str, place: dict[str, Any]
) -> None:
    path = write(tmp_path / "bad.csv", text_of(fault(csv_rows, **cells)))
    with refused(code, file="bad.csv", **place) as error:
        read(path, columns={"missing": "error"})
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("text", "code", "place"),
    [
        ("", "file-empty", {}),
        ("\n\n , \n", "file-empty", {}),
        ("a,b,y\n", "no-rows", {}),
        ("a,b,x\n1,2,3\n", "column-missing", {"column": "y", "key": "source.target"}),
        ("a,Y_,yy\n1,2,3\n", "column-missing", {"column": "y", "key": "source.target"}),
        ("a,b,a,y\n1,2,3,4\n", "name-twice", {"column": "a", "row": 1}),
        (",a,y\n0,1,2\n1,2,3\n", "name-missing", {"column": "Unnamed: 0"}),
        ("y\n1\n2\n", "no-features", {}),
        ("a,b,y\n1,2,3\n\n4,5,6\n", "row-empty", {"row": 3}),
        ("a,b,y\n1,2,3\n4,5\n", "row-length", {"row": 3}),
        ("a,b,y\n1,2,3,4\n", "row-length", {"row": 2}),
        ("a;b;y\n1;2;3\n", "wrong-separator", {"key": "source.separator", "value": ";"}),
        ("a\tb\ty\n1\t2\t3\n", "wrong-separator", {"key": "source.separator", "value": "\t"}),
        ('a,y\n1,2\n"3,4\n', "not-csv", {"row": 3}),
        ("a,y\n1,2.0\n2,2.00\n3,2\n", "target-constant", {"column": "y"}),
        ("\na,y\n1,2\n", "header-empty", {"row": 1}),
        ("a\0,y\n1,2\n", "name-unusable", {"column": "a\x00", "row": 1}),
        ('"a\nb",y\n1,2\n', "name-unusable", {"column": "a\nb", "row": 1}),
        ("a\u202eb,y\n1,2\n", "name-unusable", {"column": "a\u202eb", "row": 1}),
        (
            f"{'a' * 501},y\n1,2\n",
            "name-unusable",
            {
                "column": "a" * 501,
                "row": 1,
            },
        ),
        (
            f"a,y\n{'z' * 1000},2\n1,3\n",
            "text-among-numbers",
            {
                "column": "a",
                "row": 2,
                "value": "z" * 1000,
            },
        ),
        ("a,y\n1\x1b[31m,2\n1,3\n", "text-among-numbers", {"column": "a", "row": 2, "value": "1\x1b[31m"}),
        ("a,y\n1,2\n2,3\n3,4\n", "too-few-rows", {"key": "split.test_size"}),
    ],
)
def test_a_bad_file_is_explained(tmp_path: Path, text: str, code: str, place: dict[str, Any]) -> None:
    path = write(tmp_path / "bad.csv", text)
    with refused(code, file="bad.csv", **place) as error:
        read(path, columns={"missing": "error"})
    assert "\n" not in str(error.value)


def test_a_missing_file_a_folder_and_a_wrong_encoding_are_explained(tmp_path: Path) -> None:
    with refused("file-missing", file="none.csv"):
        read(tmp_path / "none.csv")
    with refused("file-unreadable", file=tmp_path.name):
        read(tmp_path)
    latin = tmp_path / "latin.csv"
    latin.write_bytes("größe,y\n1,2\n".encode("latin-1"))
    with refused("not-utf-8", key="source.encoding", value="cp1252", file="latin.csv"):
        read(latin)


@pytest.mark.parametrize(
    ("labels", "split", "code", "place"),
    [
        (["a"] * 12, SPLIT, "target-constant", {"column": "y"}),
        ([f"{i / 7:.3f}" for i in range(12)], SPLIT, "hardly-classes", {"column": "y"}),
        (["a", "b\0"] * 6, SPLIT, "name-unusable", {"column": "y", "row": 3, "value": "b\x00"}),
        (["a", "b", "", "b"] * 3, SPLIT, "value-missing", {"column": "y", "row": 4}),
        (["a", "b"] * 6 + ["c"], STRATIFIED, "class-too-rare", {"value": "c"}),
        (
            ["a", "b", "c", "d"] * 3,
            {**STRATIFIED, "test_size": 0.25},
            "too-few-rows",
            {"key": "split.test_size"},
        ),
    ],
)
def test_bad_classes_are_explained(
    tmp_path: Path, labels: list[str], split: dict[str, Any], code: str, place: dict[str, Any]
) -> None:
    text = "x,y\n" + "".join(f"{i},{label}\n" for i, label in enumerate(labels))
    with refused(code, file="a.csv", **place):
        read(write(tmp_path / "a.csv", text), task="classification", split=split)


def test_a_class_or_target_that_train_lacks_is_explained(tmp_path: Path) -> None:
    row_test = read(write(tmp_path / "a.csv", "x,y\n" + "".join(f"{i},{i}\n" for i in range(20)))).row_test
    labels = ["rare" if i == row_test[0] else "ab"[i % 2] for i in range(20)]
    text = "x,y\n" + "".join(f"{i},{label}\n" for i, label in enumerate(labels))
    with refused("class-not-in-train", file="a.csv", value="rare"):
        read(write(tmp_path / "a.csv", text), task="classification")
    text = "x,y\n" + "".join(f"{i},{int(i == row_test[0])}\n" for i in range(20))
    with refused("target-constant", file="a.csv", column="y"):
        read(write(tmp_path / "a.csv", text))


def test_a_test_row_too_far_away_is_explained(tmp_path: Path) -> None:
    """Its distance in training scales overflows: no infinite feature gets into a network."""
    train = write(tmp_path / "train.csv", "a,y\n" + "".join(f"{i}e-159,{i}\n" for i in range(8)))
    test = write(tmp_path / "test.csv", "a,y\n1,2\n1e150,3\n")
    source = {"kind": "csv", "path": str(train), "test": str(test), "target": "y", "target_unit": ""}
    with refused("value-too-far", file="train.csv", column="a"):
        prepare("mine", task="regression", source=source, split=SPLIT)


def test_long_lists_are_cut() -> None:
    assert listing([str(i) for i in range(10)]) == "0, 1, 2, 3, 4, 5, 6, 7, 8, 9"
    assert listing([str(i) for i in range(12)]).endswith("9 and 2 more")


def read_words(path: Path, text: str, **options: Any) -> pd.DataFrame:
    path.write_text(text, encoding="utf-8")
    return read_columns(
        str(path), lambda names, _: dict.fromkeys(names, "any"), TextFormat(**options)
    ).checked()


def test_the_words_for_a_missing_value_are_those_of_the_guide(tmp_path: Path) -> None:
    text = (
        (Path(__file__).parents[2] / "docs" / "howto" / "datasets.md")
        .read_text(encoding="utf-8")
        .replace("`", "")
    )
    sentence = re.search(r"in any case, the words (.*?) and (\S+), become", text, re.DOTALL)
    assert sentence is not None
    assert [*sentence[1].split(", "), sentence[2]] == list(MISSING_WORDS)
    of_config = CsvSource.model_fields["missing_words"].description or ""
    of_config = of_config.replace("`", "")
    assert f"null: {', '.join(MISSING_WORDS[:-1])} and {MISSING_WORDS[-1]}." in of_config
    for word in MISSING_WORDS:
        found = read_words(tmp_path / "a.csv", f"a,b\n1,x\n{word.upper()},{word.lower()}\n2,y\n")
        assert found.isna().sum().tolist() == [1, 1], word


def test_other_words_may_stand_for_a_missing_value(tmp_path: Path) -> None:
    text = "a,b\n1,NA\n-999,unknown\n-999.0,EU\n,Unknown\n3,None\n"
    found = read_words(tmp_path / "a.csv", text, missing_words=["unknown", "-999"])
    np.testing.assert_array_equal(found["a"], [1, np.nan, np.nan, np.nan, 3])
    assert found["b"].astype(object).where(found["b"].notna(), "").tolist() == ["NA", "", "EU", "", "None"]
    with refused("text-among-numbers", column="a", row=3, value="nan"):
        read_words(tmp_path / "a.csv", "a\n1\nnan\n2\n3\n", missing_words=[])


@pytest.mark.parametrize("word", ["-9,99", "-9.99"])
def test_a_number_for_a_missing_value_may_be_written_as_in_the_file(tmp_path: Path, word: str) -> None:
    text = "a;b\n1,5;1\n-9,99;2\n-9,990;3\n"
    found = read_words(tmp_path / "a.csv", text, missing_words=[word], separator=";", decimal=",")
    np.testing.assert_array_equal(found["a"], [1.5, np.nan, np.nan])
    found = read_words(tmp_path / "a.csv", "a\n9\n10\n", missing_words=["1_0"])
    np.testing.assert_array_equal(found["a"], [9, 10], "no cell may be 1_0, so no number is it")


def test_words_for_missing_values_are_kept_for_new_rows(tmp_path: Path) -> None:
    rows = "".join(f"{i},{['NA', 'EU', '?'][i % 3]},{i % 7}\n" for i in range(30))
    (tmp_path / "a.csv").write_text("a,region,y\n" + rows, encoding="utf-8")
    source = {"kind": "csv", "path": str(tmp_path / "a.csv"), "target": "y", "missing_words": ["?"]}
    split = {"method": "random", "test_size": 0.2, "stratify": False, "seed": 1}
    prepare("mine", task="regression", source=source, split=split, columns={"missing": "impute"}).save(
        tmp_path / "data.nc"
    )
    found = Dataset.load(tmp_path / "data.nc")
    assert found.feature_names == ("a", "region=EU", "region=NA", "region is missing")
    assert found.text_format.missing_words == ("?",)


@pytest.mark.parametrize(
    "name",
    ["id", "a, b", "[x]", "no", "12", "a: b", "#1", "Größe (m²)", "'", '"', "-", "null", "a b", "x ", "1e3"],
)
def test_names_in_advice_are_yaml(name: str) -> None:
    key, _, value = drop_line(name).partition(": ")
    assert (key, yaml.safe_load(value)) == ("source.drop", [name])
