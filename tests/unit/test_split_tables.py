"""Tables from files, split in time, by group and by a column, and series made into tables."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bnn.data.dataset import Dataset
from bnn.data.new_row_files import read_features
from bnn.data.preparation import prepare
from bnn.evaluation.columns import about_columns
from tests.refusals import refused

SPLIT = {
    "method": "random",
    "column": None,
    "test_value": "test",
    "test_size": 0.2,
    "stratify": False,
    "seed": 1,
    "repeated_rows": "auto",
}


def made(
    path: Path, text: str, *, task: Any = "regression", series: Any = None, target: str = "y", **more: Any
) -> Dataset:
    """Read a text as a CSV file; what else is given goes to the split if it is a key of it, else to the source."""
    path.write_text(text, encoding="utf-8")
    split = {key: more.pop(key) for key in SPLIT if key in more}
    source = {"kind": "csv", "path": str(path), "target": target, **more}
    return prepare("mine", task=task, source=source, split=SPLIT | split, series=series)


def lines(header: str, rows: list[str]) -> str:
    return "\n".join([header, *rows]) + "\n"


def test_a_column_that_splits_is_no_feature(tmp_path: Path) -> None:
    text = lines("a,part,y", [f"{i * i},{'test' if i % 4 == 0 else 'fit'},{i}" for i in range(20)])
    found = made(tmp_path / "a.csv", text, method="column", column="part")
    assert found.feature_names == ("a",)
    assert found.encoding.unused == ("part",), "a file of new rows may have it"
    assert found.row_test.tolist() == [0, 4, 8, 12, 16]


def test_a_part_that_is_a_number_is_named_as_it_is_written(tmp_path: Path) -> None:
    text = lines("a,fold,y", [f"{i * i},{i % 4},{i}" for i in range(20)])
    found = made(tmp_path / "a.csv", text, method="column", column="fold", test_value="2")
    assert found.row_test.tolist() == [2, 6, 10, 14, 18]


def test_groups_and_dates_are_read_from_the_file(tmp_path: Path) -> None:
    text = lines("a,who,y", [f"{i * i},p{i % 5},{i}" for i in range(20)])
    found = made(tmp_path / "a.csv", text, method="group", column="who")
    assert len({row % 5 for row in found.row_test}) == 1
    text = lines("a,day,y", [f"{i * i},2026-01-{20 - i:02d},{i}" for i in range(20)])
    found = made(tmp_path / "b.csv", text, method="time", column="day")
    assert found.row_test.tolist() == [3, 2, 1, 0]


def test_a_column_that_is_not_there_is_named(tmp_path: Path) -> None:
    text = lines("a,part,y", [f"{i * i},x,{i}" for i in range(20)])
    with refused("column-missing", file="a.csv", column="prt"):
        made(tmp_path / "a.csv", text, method="group", column="prt")
    with refused("column-missing", column="part", key="split.column"):
        prepare(
            "gap",
            task="regression",
            split=SPLIT | {"method": "group", "column": "part"},
            source={"kind": "synthetic", "name": "gap", "n": 30, "noise": 0.1, "seed": 0},
        )


def test_rows_are_found_in_the_file_by_their_number(tmp_path: Path) -> None:
    """As an editor counts lines: the header is line 1. The first one is the one that messages name."""
    text = lines("a,name,y", [f"{i * i},n{i:03d},{i}" for i in range(20)])
    found = made(tmp_path / "a.csv", text, row_id="name")
    written = (tmp_path / "a.csv").read_text(encoding="utf-8").splitlines()
    assert found.feature_names == ("a",) and found.id_name == "name"
    for split in ("train", "test"):
        ids = getattr(found, f"id_{split}")
        assert [written[number - 1].split(",")[1] for number in found.row_numbers(split)] == ids.tolist()
    found.save(tmp_path / "data.nc")
    again = Dataset.load(tmp_path / "data.nc")
    assert again.row_numbers("test").tolist() == found.row_numbers("test").tolist()
    assert again.id_test is not None and found.id_test is not None
    assert again.id_test.tolist() == found.id_test.tolist()
    with refused("text-among-numbers", file="b.csv", column="a", row=4, value="x"):
        made(tmp_path / "b.csv", text.replace("\n4,", "\nx,"), row_id="name")


@pytest.mark.parametrize("role", ["row_id", "column"])
def test_a_long_text_beside_the_features_is_refused(tmp_path: Path, role: str) -> None:
    """An array of texts has one width: a hundred thousand characters in one row would be as many in all."""
    keys = {"row_id": {"row_id": "who"}, "column": {"method": "group", "column": "who"}}[role]
    for length in (200, 201, 100_000):
        text = lines("a,who,y", [f"{i * i},{'x' * length if i == 3 else f'p{i % 5}'},{i}" for i in range(20)])
        if length == 200:
            made(tmp_path / "a.csv", text, **keys)
            continue
        with refused("text-unusable", file="a.csv", column="who", row=5):
            made(tmp_path / "a.csv", text, **keys)


def test_a_name_of_several_rows_and_levels_that_are_alike_are_said(tmp_path: Path) -> None:
    """Neither is an error: a patient may come twice, and m and M may be two things."""
    kinds = ["Red", "red ", "RED", "blue", "green"]
    text = lines("a,colour,name,y", [f"{i * i},{kinds[i % 5]},n{i % 18},{i}" for i in range(20)])
    found = made(tmp_path / "a.csv", text, row_id="name")
    of = {
        name: f"{number} ({split})"
        for split in ("train", "test")
        for name, number in zip(getattr(found, f"id_{split}"), found.row_numbers(split), strict=True)
    }
    about = {column["name"]: column["doubts"] for column in about_columns(found)}
    assert about["a"] == []
    (said,) = about["colour"]
    assert "'RED' and 'Red' and 'red'" in said and "source.fold_case: [colour]" in said
    (said,) = about["name"]
    assert said.endswith(", and 1 more does so")
    name = said.partition("'")[2].partition("'")[0]
    assert name in ("n0", "n1") and of[name] in said and said.count("(t") == 2
    # Rows of a split come in the order of the file, whatever the lot.
    numbers = {split: np.sort(found.row_numbers(split)) for split in ("train", "test")}
    same = dataclasses.replace(
        found,
        id_train=np.full(len(found.row_train), "n"),
        id_test=np.array(["n", *[""] * (len(found.row_test) - 1)]),
    )
    (said,) = next(column["doubts"] for column in about_columns(same) if column["name"] == "name")
    assert said.startswith(
        f"'n' stands in rows {numbers['train'][0]} (train), {numbers['train'][1]} (train), "
    )
    assert said.endswith(f"and {len(found.row_train) + 1 - 10} more")
    grouped = made(tmp_path / "a.csv", text, row_id="name", method="group", column="name")
    assert [(c["kind"], c["doubts"]) for c in about_columns(grouped) if c["name"] == "name"] == [
        ("aside", [])
    ]


def test_rows_of_a_test_file_have_its_numbers(tmp_path: Path) -> None:
    (tmp_path / "test.csv").write_text(lines("a,name,y", ["1,t0,2", "5,,3"]), encoding="utf-8")
    text = lines("a,name,y", [f"{i * i},n{i},{i}" for i in range(20)])
    found = made(tmp_path / "a.csv", text, row_id="name", test=str(tmp_path / "test.csv"))
    assert found.row_numbers("train").tolist() == list(range(2, 22))
    assert found.row_numbers("test").tolist() == [2, 3]
    assert found.id_test is not None and found.id_test.tolist() == ["t0", ""], "a name may be missing"


def test_a_single_letter_is_no_truth_value(tmp_path: Path) -> None:
    """F alone in the train file is a sex, as the M in the test file says; it is constant, and so no feature."""
    (tmp_path / "test.csv").write_text(lines("a,sex,y", ["1,M,2", "5,F,3"]), encoding="utf-8")
    text = lines("a,sex,y", [f"{i * i},F,{i}" for i in range(20)])
    found = made(tmp_path / "a.csv", text, test=str(tmp_path / "test.csv"))
    assert found.feature_names == ("a",) and found.columns is not None
    assert [column.kind for column in found.columns] == ["number", "text"]
    words = made(tmp_path / "b.csv", text.replace("F", "false"))
    assert words.columns is not None and words.columns[1].kind == "boolean", "a word says what it is"


@pytest.mark.parametrize("letter", ["t", "F"])
def test_a_known_truth_value_is_read_from_a_letter_alone(tmp_path: Path, letter: str) -> None:
    (tmp_path / "test.csv").write_text(lines("a,own,y", [f"1,{letter},2", f"5,{letter},3"]), encoding="utf-8")
    text = lines("a,own,y", [f"{i * i},{'tf'[i % 3 == 0]},{i}" for i in range(20)])
    found = made(tmp_path / "a.csv", text, test=str(tmp_path / "test.csv"))
    assert found.feature_names == ("a", "own")
    is_true = float(letter == "t")
    assert (found.x_test[:, 1] + found.feature_mean[1]).tolist() == pytest.approx([is_true] * 2)
    (tmp_path / "new.csv").write_text(lines("own,a", [f"{letter},4"]), encoding="utf-8")
    new = read_features(str(tmp_path / "new.csv"), found.encoding.kinds, ignored=())
    assert found.encoding.transform(new.x).x[0, 1] + found.feature_mean[1] == pytest.approx(is_true)
    (tmp_path / "new.csv").write_text(lines("own,a", [f"{letter},4", "maybe,5"]), encoding="utf-8")
    new = read_features(str(tmp_path / "new.csv"), found.encoding.kinds, ignored=())
    with refused("other-kind", column="own", row=3, value="maybe"):
        found.encoding.transform(new.x, first_row=2)


def test_a_series_keeps_the_name_of_the_row_that_is_forecast(tmp_path: Path) -> None:
    text = lines("name,y", [f"n{i},{(7 * i) % 11}" for i in range(60)])
    found = made(tmp_path / "a.csv", text, task="timeseries", series=SERIES, row_id="name", **IN_TIME)
    assert found.id_test is not None
    assert found.id_test.tolist() == [f"n{number - 2}" for number in found.row_numbers("test")]
    assert found.row_numbers("test")[-1] == 61, "the last line of the file"


def test_a_name_that_cannot_be_shown_is_refused(tmp_path: Path) -> None:
    text = lines("a,name,y", [f"{i * i},n{i},{i}" for i in range(20)]).replace("n3,", "n\u200e3,")
    with refused("text-unusable", file="a.csv", column="name", row=5):
        made(tmp_path / "a.csv", text, row_id="name")
    with refused("column-missing", file="a.csv", column="nme", key="source.row_id"):
        made(tmp_path / "a.csv", text, row_id="nme")


SERIES = {"lags": 3, "horizon": 2, "time": None}
IN_TIME: dict[str, Any] = {"method": "time", "stratify": False, "seed": None}


def test_a_series_becomes_a_regression_on_its_own_past(tmp_path: Path) -> None:
    values = 10 * np.sin(np.arange(60)) + np.arange(60)
    text = lines("y", [repr(float(value)) for value in values])
    found = made(tmp_path / "a.csv", text, task="timeseries", series=SERIES, **IN_TIME)
    assert (found.task, found.feature_names) == ("regression", ("lag_1", "lag_2", "lag_3"))
    assert found.time_test is not None
    assert found.row_test.tolist() == list(range(48, 60))
    assert found.time_test.tolist() == found.row_numbers("test").tolist(), "numbered as in the file"
    original = found.feature_mean + found.feature_scale * found.x_test
    for features, row in zip(original, found.row_test, strict=True):
        assert features == pytest.approx(values[[row - 2, row - 3, row - 4]])
    assert found.target_mean + found.target_scale * found.y_test == pytest.approx(values[found.row_test])


def test_nothing_of_the_test_part_reaches_the_train_part(tmp_path: Path) -> None:
    """Another end of the series changes no train row, no statistic and no feature of the train part."""
    values = np.sin(np.arange(60.0))
    found = []
    for end in (0.0, 1e6):
        changed = values.copy()
        changed[48:] += end
        text = lines("y", [repr(float(value)) for value in changed])
        found.append(made(tmp_path / "a.csv", text, task="timeseries", series=SERIES, **IN_TIME))
    first, second = found
    for name in ("x_train", "y_train", "row_train", "feature_mean", "feature_scale"):
        assert np.array_equal(getattr(first, name), getattr(second, name)), name
    assert (first.target_mean, first.target_scale) == (second.target_mean, second.target_scale)
    assert first.row_train.max() == first.row_test.min() - SERIES["horizon"], (
        "known when the first forecast is made"
    )


def test_other_columns_enter_with_what_is_known_at_the_time(tmp_path: Path) -> None:
    days = np.arange("2026-01-01", "2026-03-02", dtype="datetime64[D]")
    rows = [f"{day},{100 + i},{(i * 7) % 5},{'ab'[i % 2]}" for i, day in enumerate(days)]
    series = SERIES | {"time": "day"}
    found = made(
        tmp_path / "a.csv",
        lines("day,load,y,kind", rows),
        task="timeseries",
        series=series,
        **IN_TIME,
        column="day",
    )
    assert found.feature_names == ("lag_1", "lag_2", "lag_3", "load", "kind=a", "kind=b")
    load = found.feature_mean[3] + found.feature_scale[3] * found.x_test[:, 3]
    assert load == pytest.approx(100 + found.row_test - 2), "at the origin, two steps before"
    assert (found.time_name, found.time_is_date) == ("day", True)
    path = tmp_path / "data.nc"
    found.save(path)
    again = Dataset.load(path)
    assert again.time_test is not None and found.time_test is not None
    assert np.array_equal(again.time_test, found.time_test)
    assert (again.time_name, again.time_is_date) == ("day", True)


@pytest.mark.parametrize(
    ("text", "code", "place"),
    [
        (
            lines("y", ["1", "2", "3"]),
            "too-few-rows",
            {"key": "series.lags"},
        ),
        (
            lines("lag_1,y", [f"{i},{i % 7}" for i in range(40)]),
            "column-name-taken",
            {"column": "lag_1"},
        ),
        (lines("y", ["1", "x", "3"]), "not-a-number", {"column": "y", "row": 3, "value": "x"}),
        (lines("y", ["1"] * 35 + ["2"] * 4), "target-constant", {"column": "y"}),
    ],
)
def test_what_is_wrong_with_a_series_is_named(
    tmp_path: Path, text: str, code: str, place: dict[str, Any]
) -> None:
    with refused(code, file="a.csv", **place):
        made(tmp_path / "a.csv", text, task="timeseries", series=SERIES, **IN_TIME)
