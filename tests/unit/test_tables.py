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
from bnn.core.errors import DataError, drop_line, listing
from bnn.data.csv_files import MISSING_WORDS, read_columns
from bnn.data.dataset import Dataset, Task
from bnn.data.preparation import prepare

SPLIT = {"method": "random", "test_size": 0.2, "stratify": False, "seed": 42}
STRATIFIED = {**SPLIT, "stratify": True}


def read(
    path: Path, *, task: Task = "regression", target: str = "y", split: dict[str, Any] = SPLIT
) -> Dataset:
    source = {"kind": "csv", "path": str(path), "target": target, "target_unit": "kg"}
    return prepare("mine", task=task, source=source, split=split)


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
        (["0.5", "0.50", ".5", "1e0", "1"], (".5", "1")),
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
    ("cells", "message"),
    [
        ({"a5": "tall"}, "column 'a', row 5: 'tall' is not a number, but other cells of the column are"),
        ({"b11": "1_000"}, "column 'b', row 11: '1_000' is not a number"),
        ({"a2": ""}, "column 'a', row 2: the value is missing; fill it in"),
        (
            {"a3": " NA ", "a7": "nan", "a9": ""},
            "column 'a', row 3: the value is missing (and in 2 more rows",
        ),
        ({"b4": "-inf"}, "column 'b', row 4: -inf is infinite or too large"),
        ({"b4": "1e999"}, "column 'b', row 4: 1e999 is infinite or too large"),
        ({"b4": "1e200"}, "column 'b', row 4: 1e200 is infinite or too large"),
        (
            {"y6": "high"},
            "column 'y', row 6: 'high' is not a number; the target of a regression must be a number",
        ),
        ({"y6": "None"}, "column 'y', row 6: the value is missing"),
    ],
)
def test_a_bad_cell_is_named(
    tmp_path: Path, csv_rows: list[list[str]], cells: dict[str, str], message: str
) -> None:
    path = write(tmp_path / "bad.csv", text_of(fault(csv_rows, **cells)))
    with pytest.raises(DataError) as error:
        read(path)
    assert str(error.value).startswith(f"dataset 'mine': {path}: {message}")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the file is empty"),
        ("\n\n , \n", "the file is empty"),
        ("a,b,y\n", "there is a header line but no row of data"),
        ("a,b,x\n1,2,3\n", "there is no target column 'y' (the columns are a, b, x)"),
        ("a,Y_,yy\n1,2,3\n", "did you mean 'yy'?"),
        ("a,b,a,y\n1,2,3,4\n", "row 1: column 'a' appears more than once"),
        (",a,y\n0,1,2\n", "column 1 has no name; name or remove it (pandas"),
        ("y\n1\n2\n", "there is no column beside the target 'y'"),
        ("a,b,y\n1,2,3\n\n4,5,6\n", "row 3 is empty; remove it"),
        ("a,b,y\n1,2,3\n4,5\n", "row 3 has 2 cells, but the header has 3"),
        ("a,b,y\n1,2,3,4\n", "row 2 has 4 cells, but the header has 3"),
        ("a;b;y\n1;2;3\n", "separated by semicolons"),
        ("a\tb\ty\n1\t2\t3\n", "separated by tabs"),
        ('a,y\n1,2\n"3,4\n', "row 3 cannot be read as CSV"),
        ("a,y\n1,2.0\n2,2.00\n3,2\n", "column 'y': the target is 2.0 in every row"),
        ("\na,y\n1,2\n", "row 1 is empty; the header line must come first"),
        (
            "a\0,y\n1,2\n",
            "row 1: the name of column 1 holds a character that cannot be seen (U+0000); rename",
        ),
        (
            '"a\nb",y\n1,2\n',
            "row 1: the name of column 1 holds a character that cannot be seen (U+000A); rename",
        ),
        ("a\u202eb,y\n1,2\n", "holds a character that cannot be seen (U+202E)"),
        (f"{'a' * 501},y\n1,2\n", "row 1: the name of column 1 has 501 characters, more than 500"),
        (f"a,y\n{'z' * 1000},2\n1,3\n", f"'{'z' * 57}...' is not a number"),
        ("a,y\n1\x1b[31m,2\n1,3\n", "row 2: '1\\x1b[31m' is not a number"),
        ("a,y\n1,2\n2,3\n3,4\n", "gives 2 to train and 1 to test, but at least 5 and 2 are needed"),
    ],
)
def test_a_bad_file_is_explained(tmp_path: Path, text: str, message: str) -> None:
    path = write(tmp_path / "bad.csv", text)
    with pytest.raises(DataError) as error:
        read(path)
    assert message in str(error.value)
    assert str(error.value).startswith("dataset 'mine': ")
    assert "\n" not in str(error.value)


def test_a_missing_file_a_folder_and_a_wrong_encoding_are_explained(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"none\.csv: there is no such file; check source\.path"):
        read(tmp_path / "none.csv")
    with pytest.raises(DataError, match="cannot be read: Is a directory"):
        read(tmp_path)
    latin = tmp_path / "latin.csv"
    latin.write_bytes("größe,y\n1,2\n".encode("latin-1"))
    with pytest.raises(
        DataError, match=r"not UTF-8 text \(line 1, from byte 3 on\); save it again as 'CSV UTF-8'"
    ):
        read(latin)
    wide = tmp_path / "wide.csv"
    wide.write_bytes("a,y\n1,2\n".encode("utf-16"))
    with pytest.raises(DataError, match="not UTF-8 text but UTF-16"):
        read(wide)


@pytest.mark.parametrize(
    ("labels", "split", "message"),
    [
        (["a"] * 12, SPLIT, "column 'y': the target is 'a' in every row"),
        ([f"{i / 7:.3f}" for i in range(12)], SPLIT, "12 different values in 12 rows.*task: regression"),
        (
            ["a", "b\0"] * 6,
            SPLIT,
            r"row 3: the name of the class holds a character that cannot be seen \(U\+0000\)",
        ),
        (["a", "b", "", "b"] * 3, SPLIT, r"row 4: the value is missing \(and in 2 more rows"),
        (["a", "b"] * 6 + ["c"], STRATIFIED, "class 'c' has fewer than two rows.*split.stratify: false"),
        (
            ["a", "b", "c", "d"] * 3,
            {**STRATIFIED, "test_size": 0.25},
            "too few to have 4 classes in both parts",
        ),
    ],
)
def test_bad_classes_are_explained(
    tmp_path: Path, labels: list[str], split: dict[str, Any], message: str
) -> None:
    text = "x,y\n" + "".join(f"{i},{label}\n" for i, label in enumerate(labels))
    with pytest.raises(DataError, match=message):
        read(write(tmp_path / "a.csv", text), task="classification", split=split)


def test_a_class_or_target_that_train_lacks_is_explained(tmp_path: Path) -> None:
    row_test = read(write(tmp_path / "a.csv", "x,y\n" + "".join(f"{i},{i}\n" for i in range(20)))).row_test
    labels = ["rare" if i == row_test[0] else "ab"[i % 2] for i in range(20)]
    text = "x,y\n" + "".join(f"{i},{label}\n" for i, label in enumerate(labels))
    with pytest.raises(
        DataError, match=r"class 'rare' has no row in the train part; set split\.stratify: true"
    ):
        read(write(tmp_path / "a.csv", text), task="classification")
    text = "x,y\n" + "".join(f"{i},{int(i == row_test[0])}\n" for i in range(20))
    with pytest.raises(DataError, match="the target 'y' is constant on the train part"):
        read(write(tmp_path / "a.csv", text))


def test_a_test_row_too_far_away_is_explained(tmp_path: Path) -> None:
    """Its distance in training scales overflows: no infinite feature gets into a network."""
    train = write(tmp_path / "train.csv", "a,y\n" + "".join(f"{i}e-159,{i}\n" for i in range(8)))
    test = write(tmp_path / "test.csv", "a,y\n1,2\n1e150,3\n")
    source = {"kind": "csv", "path": str(train), "test": str(test), "target": "y", "target_unit": ""}
    with pytest.raises(DataError) as error:
        prepare("mine", task="regression", source=source, split=SPLIT)
    expected = f"dataset 'mine': {train}: column 'a' holds a value that is too far from the others"
    assert str(error.value).startswith(expected)


def test_long_lists_are_cut() -> None:
    assert listing([str(i) for i in range(10)]) == "0, 1, 2, 3, 4, 5, 6, 7, 8, 9"
    assert listing([str(i) for i in range(12)]).endswith("9 and 2 more")


def read_words(path: Path, text: str, **options: Any) -> pd.DataFrame:
    path.write_text(text, encoding="utf-8")
    return read_columns(str(path), lambda header: dict.fromkeys(header, "any"), **options)


def test_the_words_for_a_missing_value_are_those_of_the_guide(tmp_path: Path) -> None:
    text = (Path(__file__).parents[2] / "docs" / "datasets.md").read_text(encoding="utf-8").replace("`", "")
    sentence = re.search(r"in any case, the words (.*?) and (\S+), are an", text, re.DOTALL)
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
    with pytest.raises(DataError, match="column 'a', row 3: 'nan' is not a number, but other"):
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
    assert found.missing_words == ("?",)


@pytest.mark.parametrize(
    "name",
    ["id", "a, b", "[x]", "no", "12", "a: b", "#1", "Größe (m²)", "'", '"', "-", "null", "a b", "x ", "1e3"],
)
def test_names_in_advice_are_yaml(name: str) -> None:
    key, _, value = drop_line(name).partition(": ")
    assert (key, yaml.safe_load(value)) == ("source.drop", [name])
