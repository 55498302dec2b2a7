"""Rows of one person in both parts are told; tables that only look so are not."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from bnn.data.dataset import Dataset
from bnn.data.preparation import prepare
from tests.refusals import refused

N_ONES, N_TIMES = 20, 6
ONE, TIME = (part.ravel() for part in np.indices((N_ONES, N_TIMES)))


def panel(**columns: Any) -> pd.DataFrame:
    """Return measurements of each of some at each of a few times, of which nothing else is known."""
    rng = np.random.default_rng(1)
    own = {"one": ONE + 100, "time": TIME, "a": rng.normal(size=ONE.size), "y": rng.normal(size=ONE.size)}
    return pd.DataFrame(own | columns)


def read(path: Path, frame: pd.DataFrame, *, split: dict[str, Any] | None = None, **keys: Any) -> Dataset:
    frame.to_csv(path, index=False)
    source = {"kind": "csv", "path": str(path), "target": "y", **keys}
    how = {"method": "random", "column": None, "test_size": 0.25, "stratify": False, "seed": 1}
    return prepare("mine", task="regression", source=source, split=how | (split or {}))


def groups(found: Dataset) -> list[str]:
    return [doubt.column for doubt in found.doubts if doubt.code == "group-in-both-parts"]


@pytest.mark.parametrize("born", [1950 + ONE % 7, np.where(ONE % 3, "north", "south"), ONE % 5 / 8])
def test_who_is_measured_again_and_again_is_told(tmp_path: Path, born: Any) -> None:
    """Something that is the same in all rows of one, and another at each of the same times, gives it away."""
    assert groups(read(tmp_path / "a.csv", panel(born=born))) == ["one"]
    texts = panel(born=born, one=[f"p{one}" for one in ONE])
    assert groups(read(tmp_path / "a.csv", texts)) == ["one"]
    some = panel(born=born).drop(index=range(0, 110, 3))  # not all came each time
    assert groups(read(tmp_path / "a.csv", some.sample(frac=1, random_state=1))) == ["one"]


@pytest.mark.parametrize(
    "name",
    [
        *("patient", "Subject", "patient_id", "CustomerID", "Household.No", "site id"),
        *("subject#", "patient_nbr", "patientid", "USERID"),
    ],
)
def test_a_name_is_enough(tmp_path: Path, name: str) -> None:
    frame = panel().rename(columns={"one": name}).drop(columns="time")
    found = read(tmp_path / "a.csv", frame)
    (doubt,) = found.doubts
    assert (doubt.code, doubt.column) == ("group-in-both-parts", name)
    shared = np.isin(ONE[found.row_test], ONE[found.row_train]).sum()
    assert f"{N_ONES} different values in 120 rows, and {shared} of 30 test rows" in doubt.text


def test_names_are_found_however_many_columns_and_values_there_are(tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    answers = {f"q{i}": rng.integers(1, 6, ONE.size) for i in range(60)}
    assert groups(read(tmp_path / "a.csv", panel(**answers, patient_id=ONE).drop(columns="one"))) == [
        "patient_id"
    ]
    seldom = np.concatenate([np.arange(85), np.arange(35)])
    assert groups(read(tmp_path / "a.csv", panel(patient_id=seldom))) == ["patient_id"]
    both = panel(store_id=ONE % 11, patient_id=ONE)
    assert groups(read(tmp_path / "a.csv", both)) == ["store_id", "patient_id"]


def test_names_of_rows_that_repeat_are_told(tmp_path: Path) -> None:
    frame = panel(one=[f"p{one}" for one in ONE])
    assert groups(read(tmp_path / "a.csv", frame, row_id="one")) == ["one"]
    split = {"method": "group", "column": "one"}
    assert groups(read(tmp_path / "a.csv", frame, row_id="one", split=split)) == []
    own = panel(row=[f"r{row}" for row in range(ONE.size)])
    assert groups(read(tmp_path / "a.csv", own, row_id="row")) == []
    own["born"] = ONE % 7
    assert groups(read(tmp_path / "a.csv", own, row_id="row")) == ["one"], "whatever names its rows"


def test_what_counts_were_made_over_is_no_name(tmp_path: Path) -> None:
    """A county has a population and years."""
    frame = panel(population=1000 + ONE, county=[f"c{one}" for one in ONE], y=ONE).drop(columns="one")
    assert groups(read(tmp_path / "a.csv", frame, exposure="population")) == []
    named = panel(population=1000 + ONE, county=[f"c{one}" for one in ONE], born=ONE % 7, y=ONE)
    found = groups(read(tmp_path / "a.csv", named.drop(columns="one"), exposure="population"))
    assert found == ["county"]


@pytest.mark.parametrize(
    "frame",
    [
        panel(),  # a grid, and nothing that one has
        panel(b=ONE % 7, time=np.where(ONE, TIME, 0)),  # no time tells rows apart
        panel(b=ONE % 7).assign(one=ONE / 8),  # a quantity
        panel(b=ONE % 7, one=ONE % 9),  # few
        panel(b=7),  # settles what is the same in all rows
        panel().rename(columns={"one": "family_size"}),
        panel().rename(columns={"one": "identity"}),
        panel(quarter=ONE % 12 // 3).rename(columns={"one": "month", "time": "year"}),
        panel(decade=ONE // 10).rename(columns={"one": "year", "time": "month"}),
        panel(is_night=ONE < 6).rename(columns={"one": "hour", "time": "day"}),
        panel(strip=ONE // 5).rename(columns={"one": "px", "time": "py"}),
        panel(is_hot=ONE > 10).rename(columns={"one": "temperature", "time": "dose"}),
    ],
    ids=[
        *("grid", "twice", "quantity", "few", "constant", "size", "word"),
        *("month", "year", "hour", "pixel", "design"),
    ],
)
def test_what_only_looks_so_is_not_told(tmp_path: Path, frame: pd.DataFrame) -> None:
    assert groups(read(tmp_path / "a.csv", frame)) == []


def test_told_no_more_once_the_config_says_so(tmp_path: Path) -> None:
    frame = panel(born=ONE % 7)
    assert groups(read(tmp_path / "a.csv", frame, features=["one"])) == []
    split = {"method": "group", "column": "one"}
    found = read(tmp_path / "a.csv", frame, split=split)
    assert groups(found) == []
    assert not set(ONE[found.row_train]) & set(ONE[found.row_test])


def test_the_name_of_one_that_comes_twice_may_split(tmp_path: Path) -> None:
    """Names are no features; where they repeat, the refusal names the split as well."""
    names = [f"n{row // 2}" if row < 60 else f"n{row}" for row in range(ONE.size)]
    with refused("texts-all-different", column="one", row=2, value="n0", file="a.csv") as error:
        read(tmp_path / "a.csv", panel(one=names))
    assert "split: {method: group, column: one}" in str(error.value)
    with refused("texts-all-different", column="one", row=2, value="n0", file="a.csv") as error:
        read(tmp_path / "a.csv", panel(one=[f"n{row}" for row in range(ONE.size)]))
    assert "split" not in str(error.value)
    found = read(tmp_path / "a.csv", panel(one=names), split={"method": "group", "column": "one"})
    assert "one" not in found.feature_names
