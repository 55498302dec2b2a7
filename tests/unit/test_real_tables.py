"""Tables as tools write them: read right, or refused at a place, or doubted before any chain starts.

The tool itself writes the file where it is installed. What is right is written down here, cell by cell.
"""

import gzip
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet
import pytest

from bnn.core.errors import DataError
from bnn.data.dataset import Dataset
from bnn.data.new_row_files import read_features
from bnn.data.preparation import prepare
from bnn.data.sources import read_source
from tests.configured import prepared
from tests.refusals import all_refused, refused

N = 40
CONFIG_SPLIT = {"test_size": 0.25, "stratify": False, "seed": 1, "repeated_rows": "keep"}
SPLIT = {"method": "random", "test_size": 0.25, "stratify": False, "seed": 1, "repeated_rows": "keep"}
SERIES = {"lags": 2, "horizon": 1}


def frame_of(**columns: Any) -> pd.DataFrame:
    """Return a sound table with other columns beside, or in place of, its own."""
    own = {"a": [(i * 7 % 11) / 4 for i in range(N)], "y": [i % 9 + i / 8 for i in range(N)]}
    return pd.DataFrame(own | columns)


def read(path: Path, kind: str = "csv", *, task: Any = "regression", **keys: Any) -> Dataset:
    source = {"kind": kind, "path": str(path), "target": "y", **keys}
    sections = {} if "test" in keys else {"split": CONFIG_SPLIT}
    return prepared(source, task=task, **sections)


def read_parquet(path: Path, table: Any, **keys: Any) -> Dataset:
    table.to_parquet(path) if isinstance(table, pd.DataFrame) else pa.parquet.write_table(table, path)
    return read(path, "parquet", **keys)


def read_text(path: Path, text: str, **keys: Any) -> Dataset:
    path.write_text(text, encoding="utf-8")
    return read(path, **keys)


def csv_of(frame: pd.DataFrame, **options: Any) -> str:
    return str(frame.to_csv(index=False, **options))


def doubts(found: Dataset) -> list[tuple[str, str, int | None]]:
    return [(doubt.code, doubt.column, doubt.row) for doubt in found.doubts]


def feature(found: Dataset, name: str) -> list[float]:
    """Return a feature in units of the file, by rows of the file."""
    place = found.feature_names.index(name)
    x = np.concatenate([found.x_train, found.x_test])[:, place]
    order = np.argsort(np.concatenate([found.row_train, found.row_test]))
    values = (x * found.feature_scale[place] + found.feature_mean[place])[order]
    return [float(value) for value in np.round(values, 9)]


def levels(found: Dataset, name: str) -> tuple[str, ...]:
    (column,) = (column for column in found.columns or () if column.name == name)
    return column.levels


# Names of rows.


@pytest.mark.parametrize("name", [None, "site"])
@pytest.mark.parametrize("kind", ["parquet", "feather"])
def test_labels_of_rows_that_pandas_wrote_are_names_of_rows(
    tmp_path: Path, name: str | None, kind: str
) -> None:
    frame = frame_of().sample(frac=1, random_state=3).rename_axis(name)
    path = tmp_path / "a.file"
    if kind == "parquet":
        frame.to_parquet(path)
    else:
        pyarrow.feather.write_feather(pa.Table.from_pandas(frame), path)
    found = read(path, kind)
    column = name or "__index_level_0__"
    assert found.feature_names == ("a",)
    assert (found.id_name, doubts(found)) == (column, [("row-names", column, None)])
    ids = dict(zip(found.row_train.tolist(), found.id_train.tolist(), strict=True))  # type: ignore[union-attr]
    assert all(ids[row] == str(frame.index[row]) for row in ids)
    assert read(path, kind, features=[column]).feature_names == ("a", column)
    assert read(path, kind, drop=[column]).id_name == ""


def test_several_labels_of_rows_are_no_features(tmp_path: Path) -> None:
    frame = frame_of(site=list("pq") * 20, day=range(N)).set_index(["site", "day"])
    found = read_parquet(tmp_path / "a.parquet", frame)
    assert found.feature_names == ("a",) and found.id_name == ""
    assert [doubt[:2] for doubt in doubts(found)] == [("row-names", "site"), ("row-names", "day")]
    assert read_parquet(tmp_path / "a.parquet", frame, row_id="site").id_name == "site"


def test_a_column_that_pandas_left_nameless_is_refused_by_name(tmp_path: Path) -> None:
    twice = pd.concat([frame_of()[:20], frame_of()[20:].reset_index(drop=True)])
    text = str(twice.to_csv())
    for name in ("", "Unnamed: 0"):
        with refused("name-missing", column="Unnamed: 0", file="a.csv"):
            read_text(tmp_path / "a.csv", text.replace(",", f"{name},", 1))
    found = read(tmp_path / "a.csv", row_id="Unnamed: 0")
    assert found.feature_names == ("a",) and found.id_name == "Unnamed: 0"
    assert read(tmp_path / "a.csv", drop=["Unnamed: 0"]).feature_names == ("a",)
    assert read(tmp_path / "a.csv", features=["Unnamed: 0"]).feature_names == ("Unnamed: 0", "a")


@pytest.mark.parametrize(
    "name",
    ["PassengerId", "Serial No.", "No", "instant", "X", "order_number", "CustomerID", "obs", "#", "id"],
)
@pytest.mark.parametrize("start", [0, 1])
def test_numbers_of_rows_are_refused_under_their_names(tmp_path: Path, name: str, start: int) -> None:
    text = csv_of(frame_of(**{name: range(start, N + start)}))
    with refused("numbers-the-rows", column=name, file="a.csv"):
        read_text(tmp_path / "a.csv", text)
    assert set(read(tmp_path / "a.csv", features=[name]).feature_names) == {"a", name}
    assert read(tmp_path / "a.csv", row_id=name).feature_names == ("a",)


def test_rows_in_order_are_doubted_and_a_curve_is_not(tmp_path: Path) -> None:
    found = read_text(tmp_path / "a.csv", csv_of(frame_of(week=range(1, N + 1))))
    assert doubts(found) == [("counts-the-rows", "week", None)]
    assert read(tmp_path / "a.csv", features=["week"]).doubts == ()
    alone = frame_of(number=range(N)).drop(columns="a")
    assert read_text(tmp_path / "b.csv", csv_of(alone)).doubts == ()


# Types of columns.


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([[1, 2]] * N, "list"),
        ([{"p": 1}] * N, "struct"),
        ([b"\x01"] * N, "binary"),
    ],
)
def test_columns_of_things_are_refused(tmp_path: Path, values: list[Any], kind: str) -> None:
    table = pa.table({"a": range(N), "thing": [None, *values[1:]], "y": [i / 3 for i in range(N)]})
    with refused("type-unusable", column="thing", row=2, file="a.parquet") as error:
        read_parquet(tmp_path / "a.parquet", table)
    assert kind in str(error.value)
    assert read(tmp_path / "a.parquet", "parquet", drop=["thing"]).feature_names == ("a",)


def test_categories_of_pandas_are_levels(tmp_path: Path) -> None:
    frame = frame_of(
        zone=pd.Categorical([(3, 1, 20)[i % 3] for i in range(N)]),
        size=pd.Categorical(
            [("low", "high")[i % 2] for i in range(N)], categories=["low", "high"], ordered=True
        ),
        tenth=pd.Categorical(np.array([0.1, 1, 1e5] * N, dtype=np.float32)[:N]),
    )
    found = read_parquet(tmp_path / "a.parquet", frame)
    assert levels(found, "zone") == ("1", "20", "3") and levels(found, "size") == ("high", "low")
    assert levels(found, "tenth") == ("0.1", "1", "100000")
    assert feature(found, "zone=20") == [float(i % 3 == 2) for i in range(N)]


def test_numbers_stored_as_text_are_numbers(tmp_path: Path) -> None:
    found = read_parquet(tmp_path / "a.parquet", frame_of(b=[f" {i % 7}.5" for i in range(N)]))
    assert feature(found, "b") == [i % 7 + 0.5 for i in range(N)]
    assert doubts(found) == [("numbers-as-text", "b", None)]
    with refused("text-among-numbers", column="b", row=4, value="wet", file="a.parquet"):
        read_parquet(tmp_path / "a.parquet", frame_of(b=["wet" if i == 3 else str(i) for i in range(N)]))


def test_whole_numbers_stay_exact(tmp_path: Path) -> None:
    ids = pa.array([None if i == 2 else 2**53 + i for i in range(N)], pa.int64())
    part = pa.array([None if i == 4 else i % 5 for i in range(N)], pa.int32())
    table = pa.table({"id": ids, "part": part, "y": [i / 3 for i in range(N)]})
    found = read_parquet(tmp_path / "a.parquet", table, row_id="id")
    names = [*found.id_train.tolist(), *found.id_test.tolist()]  # type: ignore[union-attr]
    rows = [*found.row_train.tolist(), *found.row_test.tolist()]
    assert dict(zip(rows, names, strict=True)) == {i: "" if i == 2 else str(2**53 + i) for i in range(N)}
    assert feature(found, "part is missing").index(1.0) == 4
    found = read_parquet(tmp_path / "a.parquet", table, features=["id"])
    assert ("digits-lost", "id", 2) in doubts(found)
    text = csv_of(frame_of(n=[2**53 + i for i in range(N)]))
    assert ("digits-lost", "n", 3) in doubts(read_text(tmp_path / "a.csv", text))


def test_a_uuid_is_its_text(tmp_path: Path) -> None:
    import uuid

    texts = [str(uuid.UUID(int=i)) for i in range(N)]
    table = pa.table({**frame_of(), "id": pa.array([uuid.UUID(t).bytes for t in texts], pa.uuid())})
    found = read_parquet(tmp_path / "a.parquet", table, row_id="id")
    assert found.id_test.tolist() == [texts[row] for row in found.row_test]  # type: ignore[union-attr]


def test_what_duckdb_writes_is_read(tmp_path: Path) -> None:
    duckdb = pytest.importorskip("duckdb")
    path = tmp_path / "a.parquet"
    duckdb.sql(
        "copy (select gen_random_uuid() as id, (i % 7)::utinyint as small, (i % 3)::decimal(9,2) as money, "
        "('level ' || (i % 4))::varchar as kind, i % 2 = 0 as even, (i % 5)::hugeint as big, sqrt(i) as y "
        f"from range({N}) t(i)) to '{path}' (format parquet)"
    )
    found = read(path, "parquet", row_id="id")
    assert feature(found, "small") == [i % 7 for i in range(N)] and feature(found, "money") == [
        i % 3 for i in range(N)
    ]
    assert levels(found, "kind") == tuple(f"level {k}" for k in range(4))
    assert feature(found, "even") == [float(i % 2 == 0) for i in range(N)]
    assert len(found.id_test[0]) == 36  # type: ignore[index]


def test_what_polars_writes_is_read(tmp_path: Path) -> None:
    polars = pytest.importorskip("polars")
    frame = polars.DataFrame(
        {
            "kind": polars.Series(
                [None if i % 10 == 3 else "pqr"[i % 3] for i in range(N)], dtype=polars.Categorical
            ),
            "grade": polars.Series(["ab"[i % 2] for i in range(N)], dtype=polars.Enum(["b", "a"])),
            "n": polars.Series([None if i % 10 == 5 else i % 7 for i in range(N)], dtype=polars.Int64),
            "y": [i / 3 for i in range(N)],
        }
    )
    frame.write_parquet(tmp_path / "a.parquet")
    frame.write_ipc(tmp_path / "a.arrow")
    for path, kind in ((tmp_path / "a.parquet", "parquet"), (tmp_path / "a.arrow", "feather")):
        found = read(path, kind)
        assert levels(found, "kind") == ("p", "q", "r") and levels(found, "grade") == ("a", "b")
        assert feature(found, "n is missing") == [float(i % 10 == 5) for i in range(N)]
        assert feature(found, "kind is missing") == [float(i % 10 == 3) for i in range(N)]


# Texts.


def test_separators_at_the_end_of_lines_are_no_column(tmp_path: Path) -> None:
    text = csv_of(frame_of())
    for changed in (text.replace("\n", ",\n"), text.replace("\n", ",\n").replace(",\n", "\n", 1)):
        found = read_text(tmp_path / "a.csv", changed)
        assert found.feature_names == ("a",)
        assert doubts(found) == [("nameless", "Unnamed: 2", None)]
    with refused("name-missing", column="Unnamed: 2", file="a.csv"):
        read_text(tmp_path / "a.csv", text.replace("\n", ",\n")[:-1] + "7\n")


def test_the_first_name_less_of_r_is_told(tmp_path: Path) -> None:
    """write.table of R: a name of each row, but none above it."""
    lines = csv_of(frame_of(), sep=" ").splitlines()
    text = "\n".join([lines[0], *(f'"r{i}" {line}' for i, line in enumerate(lines[1:]))]) + "\n"
    with refused("column-missing", column="y", key="source.target", file="a.csv") as error:
        read_text(tmp_path / "a.csv", text)
    assert "source.separator: ' '" in str(error.value)
    with refused("row-length", row=2, file="a.csv") as error:
        read(tmp_path / "a.csv", separator=" ")
    assert 'source.row_id: "Unnamed: 0"' in str(error.value)
    found = read(tmp_path / "a.csv", separator=" ", row_id="Unnamed: 0")
    assert found.id_test.tolist() == [f"r{row}" for row in found.row_test]  # type: ignore[union-attr]
    assert feature(found, "a") == frame_of()["a"].tolist()


def test_blanks_that_align_columns_are_one_separator(tmp_path: Path) -> None:
    text = csv_of(frame_of(b=range(5, 45)), sep=" ").replace(" ", "   ").replace("\n", "  \n  ")
    assert feature(read_text(tmp_path / "a.csv", text, separator=" ", features=["b"]), "b") == list(
        range(5, 45)
    )


@pytest.mark.parametrize("mark", [",", " ", "'", "\u00a0"])
def test_thousands_are_told_and_read(tmp_path: Path, mark: str) -> None:
    numbers = [f"{1000 + i * 41:,}".replace(",", mark) for i in range(N)]
    text = csv_of(frame_of(b=numbers), sep=";")
    with refused(
        "not-a-number", column="b", row=2, key="source.thousands", value=f"1{mark}000", file="a.csv"
    ) as error:
        read_text(tmp_path / "a.csv", text, separator=";")
    assert f"source.thousands: '{mark}'" in str(error.value) and "source.decimal" not in str(error.value)
    found = read(tmp_path / "a.csv", separator=";", thousands=mark)
    assert feature(found, "b") == [1000 + i * 41 for i in range(N)]
    with refused("text-among-numbers", column="b", row=3, value=f"1{mark}04", file="a.csv"):
        read_text(
            tmp_path / "a.csv", text.replace(f"1{mark}041", f"1{mark}04"), separator=";", thousands=mark
        )
    if mark != ",":
        german = text.replace(".", ",").replace(f"1{mark}041", f"1{mark}041,5")
        found = read_text(tmp_path / "a.csv", german, separator=";", decimal=",", thousands=mark)
        assert feature(found, "b")[1] == 1041.5


@pytest.mark.parametrize(
    ("values", "name", "code", "row"),
    [
        (lambda i: 20240100 + i % 28 + 1, "when", "dates-as-numbers", None),
        (lambda i: 45000 + i * 3 % 17, "start_date", "dates-as-numbers", None),
        (lambda i: f"{i % 3}0%", "share", "percent", None),
        (lambda i: f"{i % 5 * 249} CC", "engine", "numbers-with-unit", None),
        (lambda i: "null bhp" if i == 7 else f"{i % 11}.5 bhp", "power", "numbers-with-unit", None),
        (lambda i: f"${i % 4},000.00", "fee", "numbers-with-unit", None),
        (lambda i: f"2024-{i % 12 + 1:02d}", "month", "dates-as-levels", None),
        (lambda i: ["Jan-10", "Feb-10", "Mär-11"][i % 3], "month", "dates-as-levels", None),
        (lambda i: f"20{i % 3 + 10}Q{i % 4 + 1}", "quarter", "dates-as-levels", None),
        (lambda i: 1.5e9 + i * 7 % 11 * 3600, "ts", "dates-as-numbers", None),
        (lambda i: -9 if i % 6 == 2 else [3, 6, 7][i % 3], "thal", "far-from-the-rest", 4),
        (lambda i: -9 if i % 6 == 2 else 120 + i * 37 % 400, "chol", "far-from-the-rest", 4),
        (lambda i: 99 if i % 6 == 2 else i % 3, "answer", "far-from-the-rest", 4),
        (lambda i: -99.9 if i % 6 == 2 else i % 11 / 2, "rain", "far-from-the-rest", 4),
        (lambda i: -200 if i % 6 == 2 else i % 11 / 2, "co", "far-from-the-rest", 4),
        (lambda i: 999 if i % 7 == 1 else i % 13, "days", "far-from-the-rest", 3),
        (lambda i: -1 if i % 3 == 0 else i * 17 % 40, "age", "far-from-the-rest", 2),
        (lambda i: f"{i % 7:02d}", "hour", "leading-zeros", None),
        (lambda i: ["oak", "elm", "?"][i % 3], "tree", "like-missing", None),
        (lambda i: ["oak", "elm", "Unknown"][i % 3], "tree", "like-missing", None),
    ],
)
def test_what_may_be_meant_otherwise_is_doubted(
    tmp_path: Path, values: Callable[[int], Any], name: str, code: str, row: int | None
) -> None:
    found = read_text(tmp_path / "a.csv", csv_of(frame_of(**{name: map(values, range(N))})))
    assert doubts(found) == [(code, name, row)]
    assert Dataset.load(saved(found, tmp_path)).doubts == found.doubts


def saved(found: Dataset, folder: Path) -> Path:
    found.save(folder / "data.nc")
    return folder / "data.nc"


@pytest.mark.parametrize(
    "values",
    [
        lambda i: [0, 1, 10, 10][i % 4],
        lambda i: i % 11 - 1,
        lambda i: 0 if i % 2 else 1000 + i,
        lambda i: 20240000 + i * 37,
        lambda i: 45000 + i * 3,
        lambda i: -1 if i % 2 else 1,
        lambda i: i * 7 % 100,
        lambda i: [9, 5, 7][i % 3],
        lambda i: ["4WD", "2WD"][i % 2],
        lambda i: f"A{i % 5}",
        lambda i: f"type-{i % 4 + 10}",
        lambda i: ["may be", "march", "1 apr"][i % 3],
        lambda i: ["0-10", "11-20", ">20"][i % 3],
    ],
)
def test_ordinary_columns_are_not_doubted(tmp_path: Path, values: Callable[[int], Any]) -> None:
    assert read_text(tmp_path / "a.csv", csv_of(frame_of(b=map(values, range(N))))).doubts == ()


def test_a_target_that_stands_for_nothing_is_doubted(tmp_path: Path) -> None:
    frame = frame_of(y=[-999 if i % 6 == 2 else i % 9 + i / 8 for i in range(N)])
    assert ("far-from-the-rest", "y", 4) in doubts(read_text(tmp_path / "a.csv", csv_of(frame)))


@pytest.mark.parametrize("is_class", [False, True])
@pytest.mark.parametrize("method", ["random", "time", "column"])
def test_rows_without_target_are_left_out_on_request(tmp_path: Path, method: str, is_class: bool) -> None:
    """The others are split and encoded as if the file held them alone, and keep the numbers that they have in it."""
    values = [None if i % 5 == 3 else ("no", "yes")[i % 2] if is_class else i % 9 + i / 8 for i in range(N)]
    frame = frame_of(
        b=[None if i % 7 == 2 else i % 4 for i in range(N)], y=values, t=[N - i for i in range(N)]
    )
    frame["part"] = ["new" if i % 4 == 1 else "old" for i in range(N)]
    split: dict[str, Any] = {**SPLIT, "method": method, "repeated_rows": "auto"}
    split |= {"column": {"time": "t", "column": "part"}.get(method), "test_value": "new", "test_size": 0.25}
    frame = frame.drop(columns={"time": "part", "column": "t"}.get(method, ["part", "t"]))
    source = {"kind": "csv", "target": "y"}
    kept = np.flatnonzero(frame["y"].notna())
    frame.to_csv(tmp_path / "all.csv", index=False)
    frame.iloc[kept].to_csv(tmp_path / "kept.csv", index=False)
    task: Any = "classification" if is_class else "regression"

    def read_rows(name: str, **keys: Any) -> Dataset:
        return prepare("mine", task=task, source=source | {"path": str(tmp_path / name)} | keys, split=split)

    with refused("value-missing", column="y", row=5, file="all.csv"):
        read_rows("all.csv")
    found, alone = read_rows("all.csv", missing_target="drop"), read_rows("kept.csv")
    for part in ("train", "test"):
        for of in ("x", "y"):
            np.testing.assert_array_equal(getattr(found, f"{of}_{part}"), getattr(alone, f"{of}_{part}"))
        np.testing.assert_array_equal(getattr(found, f"row_{part}"), kept[getattr(alone, f"row_{part}")])
    assert ("target-missing", "y", 5) in doubts(found) and ("value-missing", "b", 4) in doubts(found)
    assert "8 of 40 rows have no target" in next(doubt.text for doubt in found.doubts)


def test_rows_of_a_test_file_without_target_are_left_out_on_request(tmp_path: Path) -> None:
    frame_of().to_csv(tmp_path / "train.csv", index=False)
    frame = frame_of(y=[None if i < 3 else i for i in range(N)])
    frame.to_csv(tmp_path / "test.csv", index=False)
    found = read(tmp_path / "train.csv", test=str(tmp_path / "test.csv"), missing_target="drop")
    assert [int(row) + found.first_row_test for row in found.row_test] == list(range(5, N + 2))
    assert ("target-missing", "y", 2) in doubts(found)


def test_rows_without_target_do_not_count(tmp_path: Path) -> None:
    """What only they hold is not learned from, and what only they lack is not asked for."""
    values = [None if i % 5 == 3 else i % 9 + i / 8 for i in range(N)]
    for held in ("p", 1):
        text = csv_of(frame_of(y=values, b=[held if i % 5 == 3 else None for i in range(N)]))
        with refused("column-empty", column="b", file="a.csv"):
            read_text(tmp_path / "a.csv", text, missing_target="drop")
    gaps = frame_of(y=values, b=[None if i % 5 == 3 else i % 4 for i in range(N)])
    gaps["g"] = [None if i % 5 == 3 else f"g{i % 8}" for i in range(N)]
    gaps["t"] = ["soon" if i % 5 == 3 else N - i for i in range(N)]
    gaps.to_csv(tmp_path / "a.csv", index=False)
    source = {"kind": "csv", "path": str(tmp_path / "a.csv"), "target": "y", "missing_target": "drop"}
    for method, column, other in (("group", "g", "t"), ("time", "t", "g")):
        found = prepare(
            "mine",
            task="regression",
            source=source | {"drop": [other]},
            split={**SPLIT, "method": method, "column": column},
            columns={"missing": "error"},
        )
        assert len(found.y_train) + len(found.y_test) == 32


def test_classes_are_counted_among_rows_that_have_one(tmp_path: Path) -> None:
    frame = frame_of(y=[f"c{i}" if i < 15 else None for i in range(N)])
    with refused("hardly-classes", column="y", file="a.csv"):
        read_text(tmp_path / "a.csv", csv_of(frame), task="classification", missing_target="drop")


@pytest.mark.parametrize("word", ["?", "-999", ""])
def test_what_is_missing_in_a_series_is_to_be_filled_in(tmp_path: Path, word: str) -> None:
    """No row of a series can be left out, so no message says that one could."""
    source = {"kind": "csv", "path": str(tmp_path / "a.csv"), "target": "y"}
    frame = frame_of(y=[word if i % 6 == 2 else i % 9 + i / 8 for i in range(N)])
    frame.to_csv(tmp_path / "a.csv", index=False)
    try:
        found = prepare(
            "mine", task="timeseries", source=source, split={**SPLIT, "column": None}, series=SERIES
        )
    except DataError as error:
        told = str(error)
    else:
        told = " ".join(doubt.text for doubt in found.doubts)
    assert "fill" in told and "missing_target" not in told


def test_none_that_is_taken_for_a_missing_value_is_told(tmp_path: Path) -> None:
    for other in ("yes", "brick"):
        text = csv_of(frame_of(b=[("none", other, "a")[i % (2 + (other != "yes"))] for i in range(N)]))
        found = read_text(tmp_path / "a.csv", text)
        assert ("none-as-missing", "b", None) in doubts(found)
        found = read(tmp_path / "a.csv", missing_words={"b": []})
        assert "none" in levels(found, "b") and doubts(found) == []


def test_faults_of_reading_and_of_what_was_read_are_told_at_once(tmp_path: Path) -> None:
    """What cannot be read, what must not be a feature, and a target with gaps."""
    frame = frame_of(
        id=range(N), mixed=["12" if i < 30 else "a" for i in range(N)], name=[f"n{i}" for i in range(N)]
    )
    frame["y"] = frame["y"].where(frame.index != 5)
    text = csv_of(frame)
    faults: list[tuple[str, dict[str, Any]]] = [
        ("value-missing", {"column": "y", "row": 7, "file": "a.csv"}),
        ("numbers-the-rows", {"column": "id", "file": "a.csv"}),
        ("text-among-numbers", {"column": "mixed", "row": 32, "value": "a", "file": "a.csv"}),
        ("texts-all-different", {"column": "name", "row": 2, "value": "n0", "file": "a.csv"}),
    ]
    with all_refused(*faults[1:]):
        read_text(tmp_path / "a.csv", text.replace(",,", ",0.5,"))
    with all_refused(faults[0], faults[1], faults[3]):
        read_text(tmp_path / "a.csv", text, drop=["mixed"])


def test_the_minus_of_typesetters_is_one(tmp_path: Path) -> None:
    text = csv_of(frame_of(b=[f"\u2212{i % 7}.5" if i % 3 else i % 7 for i in range(N)]))
    expected = [-(i % 7) - 0.5 if i % 3 else i % 7 for i in range(N)]
    assert feature(read_text(tmp_path / "a.csv", text), "b") == expected
    text = csv_of(frame_of(b=[f"\u2212{i % 7 + 1},{i % 9}00" for i in range(N)]))
    thousands = [-1000 * (i % 7 + 1) - 100 * (i % 9) for i in range(N)]
    assert feature(read_text(tmp_path / "a.csv", text, thousands=","), "b") == thousands


def test_a_series_is_not_told_to_drop_what_counts_time(tmp_path: Path) -> None:
    text = csv_of(frame_of(index=range(1, N + 1), b=["cold" if i == 3 else i % 5 for i in range(N)]))
    (tmp_path / "a.csv").write_text(text, encoding="utf-8")
    source = {"kind": "csv", "path": str(tmp_path / "a.csv"), "target": "y"}
    bad = ("text-among-numbers", {"column": "b", "row": 5, "value": "cold", "file": "a.csv"})
    with refused("text-among-numbers", column="b", row=5, value="cold", file="a.csv"):
        read_source(source, is_class=False, is_series=True)
    with all_refused(("numbers-the-rows", {"column": "index", "file": "a.csv"}), bad):
        read_source(source, is_class=False)


def test_what_begins_a_file_does_not_matter_where_it_is_skipped(tmp_path: Path) -> None:
    text = "@RELATION a\n@DATA\n" + csv_of(frame_of())
    with refused("no-table", file="a.csv"):
        read_text(tmp_path / "a.csv", text)
    assert feature(read(tmp_path / "a.csv", skip_lines=2), "a") == frame_of()["a"].tolist()


def test_words_that_begin_like_a_month_are_none(tmp_path: Path) -> None:
    text = csv_of(frame_of(group=[f"{('Decile', 'Market')[i % 2]} {i % 5 + 10}" for i in range(N)]))
    assert [
        code for code, column, _ in doubts(read_text(tmp_path / "a.csv", text)) if column == "group"
    ] == []


def test_a_quotation_mark_behind_a_backslash_is_told(tmp_path: Path) -> None:
    """As write.table of R, MySQL and Spark have it."""
    frame = frame_of(b=['a "b"' if i == 3 else "cd"[i % 2] for i in range(N)])
    text = csv_of(frame, doublequote=False, escapechar="\\", quoting=2)
    with refused("not-csv", row=5, file="a.csv") as error:
        read_text(tmp_path / "a.csv", text)
    assert "behind a backslash" in str(error.value)


@pytest.mark.parametrize(
    "write", [lambda i: f"{i % 7}" if i % 3 else f"{i},5", lambda i: f"{i},5" if i % 3 else f"{i % 7}"]
)
def test_a_decimal_comma_is_told_however_many_numbers_have_one(
    tmp_path: Path, write: Callable[[int], str]
) -> None:
    text = csv_of(frame_of(b=map(write, range(N)), y=[f"{i % 9},{i}" for i in range(N)]), sep=";", quoting=0)
    with pytest.raises(DataError) as error:
        read_text(tmp_path / "a.csv", text, separator=";")
    assert {fault.column: fault.key for fault in error.value.faults} == dict.fromkeys("by", "source.decimal")


def test_what_separates_cells_is_told_whatever_row_1_is(tmp_path: Path) -> None:
    own = csv_of(frame_of(a="A1", b=range(3, N + 3)), header=False)
    quoted = csv_of(frame_of(), sep=";", quoting=2)
    for text, keys, mark in (
        (quoted, {}, ";"),
        (csv_of(frame_of(), sep=" ", quoting=2), {}, " "),
        (own.replace(",", " "), {"header": False}, " "),
        (own.replace(",", "   ").replace("\n", '\t"a name"\n'), {"header": False}, " "),
        (own.replace(",", "\t"), {"header": False}, "\t"),
    ):
        with refused("wrong-separator", key="source.separator", value=mark, file="a.csv"):
            read_text(tmp_path / "a.csv", text, **keys)


@pytest.mark.parametrize(
    "start",
    [
        *(
            "@RELATION iris\n",
            '[\n{"a": 1,',
            '{"a": [1',
            "<!doctype html>",
            "<?xml ",
            "version https://git-lfs",
        ),
        *("RDX3\nX\n", "X\n\0\0\0\3", "structure(list(a = c(", "$FL2@(#) SPSS", "<stata_dta>", "s\1\1\0"),
        *("SQLite format 3\0", "HEADER RECORD*******LIBRARY HEADER"),
    ],
)
def test_what_is_no_table_is_told(tmp_path: Path, start: str) -> None:
    with refused("no-table", file="a.csv"):
        read_text(tmp_path / "a.csv", start + csv_of(frame_of()))
    (tmp_path / "a.gz").write_bytes(gzip.compress(start.encode()))
    with refused("no-table", file="a.gz"):
        read(tmp_path / "a.gz")


@pytest.mark.parametrize("first", ["orchard", "ORC", "Obj", "structure(a)", "rdx3"])
def test_a_first_name_that_begins_like_another_file_is_a_name(tmp_path: Path, first: str) -> None:
    found = read_text(tmp_path / "a.csv", csv_of(frame_of().rename(columns={"a": first})))
    assert first in found.feature_names


def test_names_that_look_like_numbers_with_exponents_are_texts(tmp_path: Path) -> None:
    ids = ["1f3a", "42e62205", "7e999", "beef", "c0de"]
    found = read_text(tmp_path / "a.csv", csv_of(frame_of(sha=[ids[i % 5] for i in range(N)])))
    assert levels(found, "sha") == tuple(ids)
    with refused("number-too-large", column="b", row=4, value="7e999", file="a.csv"):
        read_text(tmp_path / "a.csv", csv_of(frame_of(b=["7e999" if i == 2 else i for i in range(N)])))


def test_points_between_thousands_are_told(tmp_path: Path) -> None:
    text = csv_of(frame_of(b=[f"{1 + i % 9}.{100 + i},5" for i in range(N)]), sep=";", decimal=",")
    with refused(
        "not-a-number", column="b", row=2, key="source.thousands", value="1.100,5", file="a.csv"
    ) as error:
        read_text(tmp_path / "a.csv", text, separator=";", decimal=",")
    assert "source.thousands: '.'" in str(error.value)
    found = read(tmp_path / "a.csv", separator=";", decimal=",", thousands=".")
    assert feature(found, "b")[:2] == [1100.5, 2101.5]


def test_a_word_for_a_missing_value_may_be_that_of_one_column(tmp_path: Path) -> None:
    frame = frame_of(
        co=[-200 if i % 6 == 2 else i % 11 for i in range(N)], t=[i * 7 % 10 - 200 for i in range(N)]
    )
    found = read_text(tmp_path / "a.csv", csv_of(frame), missing_words={"co": ["-200"]})
    assert feature(found, "co is missing") == [float(i % 6 == 2) for i in range(N)]
    assert "t is missing" not in found.feature_names
    found = read_parquet(tmp_path / "a.parquet", frame.astype(str), missing_words={"co": ["-200"]})
    assert feature(found, "co is missing") == [float(i % 6 == 2) for i in range(N)]
    trees = csv_of(frame_of(tree=[["oak", "elm", "?"][i % 3] for i in range(N)]))
    found = read_text(tmp_path / "a.csv", trees, missing_words={"tree": ["?"]})
    assert levels(found, "tree") == ("elm", "oak") and doubts(found)[0][:2] == ("value-missing", "tree")


def test_classes_that_differ_by_case_or_blanks_are_doubted(tmp_path: Path) -> None:
    labels = [["Yes", "yes ", "YES", "no"][i % 4] for i in range(N)]
    for found in (
        read_text(tmp_path / "a.csv", csv_of(frame_of(y=labels)), task="classification"),
        read_parquet(tmp_path / "a.parquet", frame_of(y=labels), task="classification"),
    ):
        assert found.class_names == ("YES", "Yes", "no", "yes")
        assert doubts(found) == [("classes-alike", "y", None)]


@pytest.mark.parametrize("quote", ["", '"'])
def test_codes_that_begin_with_zero_are_texts(tmp_path: Path, quote: str) -> None:
    codes = [f"{quote}{['01067', '80331', '20095'][i % 3]}{quote}" for i in range(N)]
    lines = csv_of(frame_of()).splitlines()
    text = "\n".join(f"{code},{line}" for code, line in zip(["plz", *codes], lines, strict=True)) + "\n"
    found = read_text(tmp_path / "a.csv", text)
    assert levels(found, "plz") == ("01067", "20095", "80331")
    assert doubts(found) == [("leading-zeros", "plz", None)]
    assert read(tmp_path / "a.csv", categorical=["plz"]).doubts == ()
    numbers = read(tmp_path / "a.csv", numeric=["plz"])
    assert feature(numbers, "plz") == [[1067, 80331, 20095][i % 3] for i in range(N)] and numbers.doubts == ()
    # Of training rows without such a code the column is one of numbers, in a test file as well.
    found = read_text(tmp_path / "b.csv", text.replace("01067", "11067"), test=str(tmp_path / "a.csv"))
    assert min(feature(found, "plz")) == 1067


def test_codes_late_in_a_long_column_are_texts(tmp_path: Path) -> None:
    n = 400_000
    codes = np.array(["10", "20", "30"], dtype=object)[np.arange(n) % 3]
    codes[-30:] = "07"
    pd.DataFrame({"code": codes, "y": np.arange(n) % 7}).to_csv(tmp_path / "a.csv", index=False)
    found = read(tmp_path / "a.csv")
    assert levels(found, "code") == ("07", "10", "20", "30")
    codes[-2] = "1.5"
    pd.DataFrame({"code": codes, "y": np.arange(n) % 7}).to_csv(tmp_path / "a.csv", index=False)
    assert feature(read(tmp_path / "a.csv"), "code")[-3:] == [7, 1.5, 7]


def test_cells_that_are_the_same_number_are_one_level(tmp_path: Path) -> None:
    ways = [["1", "100000", "2", "0.5"], ["1.0", "1e+05", "2.", "0.50"]]
    for name, own in zip("ab", ways, strict=True):
        frame = frame_of(size=[own[i % 4] for i in range(N)])
        (tmp_path / f"{name}.csv").write_text(csv_of(frame), encoding="utf-8")
    found = read(tmp_path / "a.csv", categorical=["size"], test=str(tmp_path / "b.csv"))
    assert levels(found, "size") == ("0.5", "1", "100000", "2")
    assert feature(found, "size=100000") == [float(i % 4 == 1) for i in range(2 * N)]
    for place, kind in ((tmp_path / "b.csv", "csv"), (tmp_path / "b.parquet", "parquet")):
        pd.read_csv(tmp_path / "b.csv").astype({"size": np.float32}).to_parquet(tmp_path / "b.parquet")
        new = read_features(str(place), found.encoding.kinds, ignored=("y",))
        assert found.encoding.transform(new.x).unseen == {}, kind
    codes = frame_of(code=[["010", "10", "1.0"][i % 3] for i in range(N)])
    found = read_text(tmp_path / "c.csv", csv_of(codes), categorical=["code"])
    assert levels(found, "code") == ("010", "1.0", "10")


# Around the table.


def pack_zip(path: Path, text: str) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("table.csv", text)


@pytest.mark.parametrize(
    "pack", [lambda path, text: path.write_bytes(gzip.compress(text.encode())), pack_zip]
)
def test_packed_files_are_read(tmp_path: Path, pack: Callable[[Path, str], Any]) -> None:
    path = tmp_path / "a.csv.packed"
    pack(path, csv_of(frame_of()))
    assert feature(read(path), "a") == frame_of()["a"].tolist()
    path.write_bytes(path.read_bytes()[:60])
    with refused("archive-unreadable", file="a.csv.packed"):
        read(path)


@pytest.mark.parametrize(
    ("line", "keys", "hints"),
    [
        ('18.0   8   307.0   130\t"chevrolet"', {}, ["source.separator"]),
        (" 0.006  18.00   2.310  0  0.538", {}, ["source.separator"]),
        ("5,x,s,5", {}, ["source.header: false"]),
        ("p,x,s,p", {}, ["source.header: false"]),
    ],
)
def test_a_first_row_of_data_is_told(
    tmp_path: Path, line: str, keys: dict[str, Any], hints: list[str]
) -> None:
    """Tables of UCI: cells between blanks, one tab among them, and no names."""
    (tmp_path / "a.csv").write_text(f"{line}\n" * 20, encoding="utf-8")
    with pytest.raises(DataError) as error:
        read(tmp_path / "a.csv", **keys)
    assert all(hint in str(error.value) for hint in hints)


def test_levels_some_of_which_are_numbers_are_told(tmp_path: Path) -> None:
    """As 2, 4, more persons; what stands for a missing value in row 2 is no unit."""
    text = csv_of(frame_of(persons=["?", *(["2", "4", "more"][i % 3] for i in range(1, N))]))
    with refused("text-among-numbers", column="persons", row=2, value="?", file="a.csv") as error:
        read_text(tmp_path / "a.csv", text)
    assert "source.categorical: [persons]" in str(error.value) and "skip_lines" not in str(error.value)
    assert levels(read(tmp_path / "a.csv", categorical=["persons"]), "persons") == ("2", "4", "?", "more")


def test_files_of_another_kind_are_told(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("a.csv", "a")
        archive.writestr("b.csv", "b")
    with refused("archive-of-several", file="a.zip"):
        read(tmp_path / "a.zip")
    frame_of().to_parquet(tmp_path / "a.csv")
    with refused("other-kind-of-file", file="a.csv", key="source.kind"):
        read(tmp_path / "a.csv")


def test_a_file_without_header_is_told_and_read(tmp_path: Path) -> None:
    text = csv_of(frame_of()[1:], header=False)
    with refused("column-missing", column="y", key="source.target", file="a.csv") as error:
        read_text(tmp_path / "a.csv", text)
    assert "source.header: false" in str(error.value)
    found = read(tmp_path / "a.csv", header=False, names=["a", "y"])
    assert feature(found, "a") == frame_of()["a"].tolist()[1:] and found.first_row == 1
    assert read(tmp_path / "a.csv", header=False, target="c2").feature_names == ("c1",)
    with refused("row-length", row=1, key="source.names", file="a.csv"):
        read(tmp_path / "a.csv", header=False, names=["a", "b", "y"])


def test_lines_that_are_no_part_of_the_table_are_left_out(tmp_path: Path) -> None:
    text = csv_of(frame_of())
    units = text.replace("\n", "\nm/s,kg\n", 1)
    with all_refused(
        ("text-among-numbers", {"column": "a", "row": 2, "value": "m/s", "file": "a.csv"}),
        ("not-a-number", {"column": "y", "row": 2, "value": "kg", "file": "a.csv"}),
    ) as error:
        read_text(tmp_path / "a.csv", units)
    assert "source.skip_lines: [2]" in str(error.value)
    assert feature(read(tmp_path / "a.csv", skip_lines=[2]), "a") == frame_of()["a"].tolist()
    titled = "A title\n\n" + text
    with refused("column-missing", column="y", key="source.target", file="a.csv") as error:
        read_text(tmp_path / "a.csv", titled)
    assert "source.skip_lines" in str(error.value)
    assert feature(read(tmp_path / "a.csv", skip_lines=2), "a") == frame_of()["a"].tolist()
    commented = "# made by a logger\n" + text.replace("\n0.75", "\n# a break\n0.75")
    with refused("column-missing", column="y", key="source.target", file="a.csv") as error:
        read_text(tmp_path / "a.csv", commented)
    assert "source.comment" in str(error.value)
    assert feature(read(tmp_path / "a.csv", comment="#"), "a") == frame_of()["a"].tolist()


def test_the_line_of_excel_that_names_the_separator(tmp_path: Path) -> None:
    text = "sep=;\n" + csv_of(frame_of(), sep=";")
    with refused("wrong-separator", key="source.separator", value=";", file="a.csv"):
        read_text(tmp_path / "a.csv", text)
    assert feature(read(tmp_path / "a.csv", separator=";"), "a") == frame_of()["a"].tolist()


def test_faults_of_different_kinds_are_told_at_once(tmp_path: Path) -> None:
    frame = frame_of(
        b=["x" if i == 4 else i for i in range(N)], big=["1e300" if i == 2 else i % 9 for i in range(N)]
    )
    with all_refused(
        ("text-among-numbers", {"column": "b", "row": 6, "value": "x", "file": "a.csv"}),
        ("number-too-large", {"column": "big", "row": 4, "value": "1e300", "file": "a.csv"}),
    ):
        read_text(tmp_path / "a.csv", csv_of(frame))


@pytest.mark.parametrize(
    ("text", "code", "place"),
    [
        ("a,y\n1,2\n\n3,4\n", "row-empty", {"row": 3}),
        ("a,y\n1,2\n , \n3,4\n", "row-empty", {"row": 3}),
        ("a,y\n1,2\n3\n", "row-length", {"row": 3}),
        ('a,y\n1,2\n3,"4\n', "not-csv", {"row": 3}),
        ('a,y\n1,2\n3,"4"5\n', "not-csv", {"row": 3}),
    ],
)
@pytest.mark.parametrize("n", [0, 300_000])
def test_faults_of_lines_name_their_row_however_late(
    tmp_path: Path, text: str, code: str, place: dict[str, Any], n: int
) -> None:
    """The quick reader has read most of the long file when the strict one begins anew."""
    head, rest = text.split("\n", 1)
    with refused(code, file="a.csv", row=place["row"] + n):
        read_text(tmp_path / "a.csv", head + "\n" + "5,6\n" * n + rest)


def test_quotation_marks_late_in_a_file_change_nothing(tmp_path: Path) -> None:
    n = 300_000
    text = "a,y\n" + "".join(f"{i % 97},{i % 89}\n" for i in range(n)) + '"1,5",7\n' * 3
    with refused(
        "text-among-numbers", column="a", row=n + 2, key="source.decimal", value="1,5", file="a.csv"
    ):
        read_text(tmp_path / "a.csv", text)
    found = read_text(tmp_path / "a.csv", text.replace('"1,5"', '"15"') + "\n\n \n")
    assert len(found.y_train) + len(found.y_test) == n + 3
    assert feature(found, "a")[-4:] == [(n - 1) % 97, 15, 15, 15]


# Workbooks.


def workbook(path: Path, frame: pd.DataFrame, **options: Any) -> Path:
    pytest.importorskip("openpyxl")
    pytest.importorskip("python_calamine")
    frame.to_excel(path, index=False, **options)
    return path


def test_a_sheet_is_read(tmp_path: Path) -> None:
    frame = frame_of(
        plz=[["01067", "80331"][i % 2] for i in range(N)],
        tree=[None if i == 3 else ["oak", "elm", "ash"][i % 3] for i in range(N)],
        wet=[i % 3 == 0 for i in range(N)],
    )
    path = workbook(tmp_path / "a.xlsx", frame)
    found = read(path, "excel")
    assert levels(found, "plz") == ("01067", "80331") and levels(found, "tree") == ("ash", "elm", "oak")
    assert feature(found, "wet") == [float(i % 3 == 0) for i in range(N)]
    assert feature(found, "a") == frame["a"].tolist() and found.first_row == 2
    assert doubts(found) == [("leading-zeros", "plz", None), ("value-missing", "tree", 5)]
    new = read_features(str(path), found.encoding.kinds, ignored=("y",))
    assert new.x["plz"].tolist() == frame["plz"].tolist()
    with refused("other-kind-of-file", file="a.xlsx", key="source.kind"):
        read(path)


def test_faults_of_a_workbook_are_told(tmp_path: Path) -> None:
    path = workbook(tmp_path / "a.xlsx", frame_of(day=pd.date_range("2024-01-31", periods=N)))
    with refused("date-among-features", column="day", row=2, value="2024-01-31", file="a.xlsx"):
        read(path, "excel")
    with refused("sheet-missing", key="source.sheet", file="a.xlsx"):
        read(path, "excel", sheet="Data")
    openpyxl = pytest.importorskip("openpyxl")
    book = openpyxl.load_workbook(path)
    book["Sheet1"]["C7"] = "=A7*2"
    book.save(path)
    with refused("never-calculated", column="day", row=7, file="a.xlsx"):
        read(path, "excel")
    assert read(path, "excel", drop=["day"]).feature_names == ("a",)
    book["Sheet1"]["A9"], book["Sheet1"]["A11"], book["Sheet1"]["A12"] = "#N/A", "#DIV/0!", "#REF!"
    book.save(path)
    with refused("formula-error", column="a", row=11, file="a.xlsx"):
        read(path, "excel", drop=["day"])
    book["Sheet1"].merge_cells("A9:B10")
    book.create_sheet("Notes")
    book.save(path)
    with refused("sheet-unclear", key="source.sheet", file="a.xlsx"):
        read(path, "excel")
    with refused("cells-merged", row=9, file="a.xlsx"):
        read(path, "excel", sheet="Sheet1")
    path.write_bytes(b"PK\x03\x04")
    with refused("not-excel", file="a.xlsx"):
        read(path, "excel")


@pytest.mark.parametrize("gap", [5, None])
def test_empty_cells_that_may_hold_errors_are_doubted(
    gap: int | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    numbers = [None if i == gap else i % 9 / 4 for i in range(N)]
    path = workbook(tmp_path / "a.xlsx", frame_of(a=numbers))
    missing = [("value-missing", "a", 7)] if gap else []
    assert doubts(read(path, "excel")) == missing
    # As xls and xlsb are: nothing beside the cells says which of them hold errors.
    monkeypatch.setattr("bnn.data.excel_files._xml_of", lambda path, sheet: b"")
    assert doubts(read(path, "excel")) == [("errors-unseen", "", 7)] * bool(gap) + missing
