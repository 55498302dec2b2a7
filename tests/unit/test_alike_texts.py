"""Texts that differ by case or blanks alone: doubted, and one level or class where the config says so."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet
import pytest

from bnn.data.dataset import Dataset
from bnn.data.new_row_files import read_features
from bnn.data.preparation import prepare
from tests.refusals import refused

N = 48
SPLIT = {"method": "random", "test_size": 0.25, "stratify": False, "seed": 1, "repeated_rows": "keep"}
LABELS = ["Yes", "yes ", "YES", "no"]
TREES = ["Red Oak", "red  oak", "elm", "Caf\u00e9", "cafe\u0301"]
"""The last two are one on a screen"""


def frame(labels: list[str] = LABELS, trees: list[str] = TREES) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "a": [i * 7 % 11 / 4 for i in range(N)],
            "tree": [trees[i % len(trees)] for i in range(N)],
            "y": [labels[i % len(labels)] for i in range(N)],
        }
    )


def write(path: Path, table: pd.DataFrame, how: str) -> str:
    """Write a table, and return the kind of source that reads it."""
    if how == "csv":
        table.to_csv(path, index=False)
    elif how == "excel":
        pytest.importorskip("openpyxl")
        pytest.importorskip("python_calamine")
        table.to_excel(path, index=False, engine="openpyxl")
    elif how == "categories":
        table.astype({"tree": "category", "y": "category"}).to_parquet(path)
    else:
        arrow = pa.Table.from_pandas(table)
        pa.parquet.write_table(arrow, path)
    return {"csv": "csv", "excel": "excel"}.get(how, "parquet")


def read(path: Path, kind: str, **keys: Any) -> Dataset:
    source = {"kind": kind, "path": str(path), "target": "y", **keys}
    return prepare("mine", task="classification", source=source, split=SPLIT)


def levels(found: Dataset) -> tuple[str, ...]:
    (column,) = (column for column in found.columns or () if column.name == "tree")
    return column.levels


@pytest.mark.parametrize("how", ["csv", "texts", "categories", "excel"])
def test_they_are_doubted_and_one_on_request(tmp_path: Path, how: str) -> None:
    path = tmp_path / "a.xlsx"
    kind = write(path, frame(), how)
    found = read(path, kind)
    assert found.n_classes == 4 and len(levels(found)) == 5
    doubts = {doubt.code: doubt for doubt in found.doubts}
    assert {code: doubt.column for code, doubt in doubts.items()} == {
        "classes-alike": "y",
        "levels-alike": "tree",
    }
    assert 'source.fold_case: ["y"]' in doubts["classes-alike"].text
    assert "source.fold_case: [tree]" in doubts["levels-alike"].text
    found = read(path, kind, fold_case=["y", "tree"])
    assert found.class_names == ("no", "yes") and found.doubts == ()
    order = np.argsort(np.concatenate([found.row_train, found.row_test]))
    y = np.concatenate([found.y_train, found.y_test])[order]
    assert y.tolist() == [int(i % 4 != 3) for i in range(N)]
    assert levels(found) == ("caf\u00e9", "elm", "red oak")
    place = found.feature_names.index("tree=red oak")
    x = np.concatenate([found.x_train, found.x_test])[order, place]
    assert (x > 0).tolist() == [i % 5 < 2 for i in range(N)]


def test_levels_that_are_meant_are_not_doubted(tmp_path: Path) -> None:
    """Co is cobalt, and CO is not."""
    kind = write(tmp_path / "a.csv", frame(["p", "q"], ["Co", "CO", "He"]), "csv")
    assert [doubt.code for doubt in read(tmp_path / "a.csv", kind).doubts] == ["levels-alike"]
    assert read(tmp_path / "a.csv", kind, categorical=["tree"]).doubts == ()
    found = read(tmp_path / "a.csv", kind, fold_case=["y"])
    assert levels(found) == ("CO", "Co", "He"), "of other columns nothing is put together"


def test_blanks_within_words_are_to_be_written_alike(tmp_path: Path) -> None:
    kind = write(tmp_path / "a.csv", frame(["p", "q"], ["New York", "NewYork", "Rome"]), "csv")
    (doubt,) = read(tmp_path / "a.csv", kind).doubts
    assert doubt.code == "levels-alike" and "fold_case" not in doubt.text


@pytest.mark.parametrize("how", ["csv", "categories"])
def test_new_rows_and_test_rows_are_put_together_as_well(tmp_path: Path, how: str) -> None:
    kind = write(tmp_path / "a.csv", frame(), how)
    write(tmp_path / "b.csv", frame(["NO", "Yes"], ["RED OAK", "ELM ", "CAF\u00c9"]), how)
    found = read(tmp_path / "a.csv", kind, fold_case=["tree", "y"], test=str(tmp_path / "b.csv"))
    assert found.class_names == ("no", "yes") and levels(found) == ("caf\u00e9", "elm", "red oak")
    assert found.y_test.tolist() == [i % 2 for i in range(N)]
    found.save(tmp_path / "data.nc")
    stored = Dataset.load(tmp_path / "data.nc")
    assert stored.text_format.fold_case == ("tree", "y")
    path = str(tmp_path / "b.csv")
    new = read_features(path, stored.encoding.kinds, ignored=("y",), form=stored.text_format)
    assert stored.encoding.transform(new.x).unseen == {}


def test_a_column_that_is_not_there_is_told(tmp_path: Path) -> None:
    kind = write(tmp_path / "a.csv", frame(), "csv")
    with refused("column-missing", column="Tree", key="source.fold_case", file="a.csv"):
        read(tmp_path / "a.csv", kind, fold_case=["Tree"])


@pytest.mark.parametrize("how", ["csv", "texts"])
def test_a_column_of_numbers_has_nothing_to_put_together_and_says_so(tmp_path: Path, how: str) -> None:
    kind = write(tmp_path / "a.csv", frame(["p", "q"], ["elm", "oak"]), how)
    (doubt,) = read(tmp_path / "a.csv", kind, fold_case=["a", "tree", "y"]).doubts
    assert (doubt.code, doubt.column) == ("nothing-to-fold", "a")
    assert "source.fold_case" in doubt.text


def test_groups_of_rows_are_put_together_where_the_config_says_so(tmp_path: Path) -> None:
    table = frame(["p", "q"], ["oak", "elm"]).assign(
        site=[["Ulm", "ULM", "Bonn", "Kiel"][i % 4] for i in range(N)]
    )
    write(tmp_path / "a.csv", table, "csv")
    source = {"kind": "csv", "path": str(tmp_path / "a.csv"), "target": "y", "fold_case": ["site"]}
    split = {"method": "group", "column": "site", "test_size": 0.3, "seed": 1}
    found = prepare("mine", task="classification", source=source, split=split)
    rows = [set(table["site"].iloc[part].str.lower()) for part in (found.row_train, found.row_test)]
    assert not rows[0] & rows[1] and rows[0] | rows[1] == {"ulm", "bonn", "kiel"}
