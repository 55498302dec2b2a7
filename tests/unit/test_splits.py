"""Random splits, splits in time, by group and as a column says; each fault is named."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bnn.data.sources import read_source
from bnn.data.splits import Rows, split_rows
from bnn.data.times import read_times
from tests.refusals import refused

SPLIT = {
    "method": "random",
    "column": None,
    "test_value": "test",
    "test_size": 0.2,
    "stratify": False,
    "seed": 3,
}


def rows(column: Any = None, n: int = 20) -> Rows:
    return Rows(np.arange(n) * 1.0, (), "y", None if column is None else np.array(column), first_row=2)


def split(rows: Rows, **keys: Any) -> tuple[list[int], list[int]]:
    train, test = split_rows(rows, SPLIT | keys)
    assert sorted([*train, *test]) == list(range(len(rows.y))), "every row is in one part"
    return train.tolist(), test.tolist()


def test_without_times_the_last_rows_are_the_test_part() -> None:
    assert split(rows(), method="time") == (list(range(16)), [16, 17, 18, 19])


def test_times_decide_and_not_the_order_of_the_rows() -> None:
    _, test = split(rows([f"2026-01-{31 - i:02d}" for i in range(20)]), method="time", column="day")
    assert test == [3, 2, 1, 0]


def test_rows_of_one_time_stay_together() -> None:
    times = [1] * 10 + [2] * 10
    assert split(rows(times), method="time", column="t") == (list(range(10)), list(range(10, 20)))
    with refused("too-few-rows", key="split.test_size"):
        split(rows([1] * 20), method="time", column="t")


def test_a_group_is_never_divided() -> None:
    groups = [f"patient {i % 5}" for i in range(20)]
    parts = set()
    for seed in range(20):
        train, test = split(rows(groups), method="group", column="patient", seed=seed)
        assert {groups[i] for i in train}.isdisjoint({groups[i] for i in test})
        assert len(test) == 4, "one group of five"
        parts.add(groups[test[0]])
    assert len(parts) == 5, "each group gets its turn"


def test_a_column_names_the_test_rows() -> None:
    part = ["fit"] * 15 + ["held out"] * 5
    expected = (list(range(15)), list(range(15, 20)))
    assert split(rows(part), method="column", column="part", test_value="held out") == expected


@pytest.mark.parametrize(
    ("column", "keys", "code", "place"),
    [
        (
            ["a"] * 20,
            {"method": "group"},
            "too-few-groups",
            {"column": "c"},
        ),
        (
            ["train"] * 20,
            {"method": "column"},
            "no-test-rows",
            {"column": "c", "value": "test", "key": "split.test_value"},
        ),
        (["test"] * 18 + ["x"] * 2, {"method": "column"}, "too-few-rows", {"key": "split.test_size"}),
        (
            [*range(19), "soon"],
            {"method": "time"},
            "not-a-time",
            {"column": "c", "row": 21, "value": "soon"},
        ),
        ([*range(19), "nan"], {"method": "time"}, "not-a-time", {"column": "c", "row": 21, "value": "nan"}),
        (
            ["2026-01-31"] * 19 + ["31/01/2026"],
            {"method": "time"},
            "not-a-time",
            {"column": "c", "row": 21, "value": "31/01/2026"},
        ),
    ],
)
def test_each_fault_is_named(column: Any, keys: dict[str, Any], code: str, place: dict[str, Any]) -> None:
    with refused(code, **place):
        split(rows(column), column="c", **keys)


def test_classes_and_targets_that_a_split_leaves_nothing_of() -> None:
    y = np.array([0] * 16 + [1] * 4)
    with refused("class-not-in-train", value="late"):
        split_rows(Rows(y, ("early", "late"), "y", None), SPLIT | {"method": "time"})
    with refused("target-constant", column="y"):
        split_rows(Rows(y * 1.0, (), "y", None), SPLIT | {"method": "time"})


def test_times_are_numbers_or_dates() -> None:
    values, is_date = read_times("t", [3, 2.5, "1e3"])
    assert not is_date
    assert values.tolist() == [3, 2.5, 1000]
    values, is_date = read_times(
        "t", ["1970-01", "1970-01-02", "1970-01-01T00:00:30", "1970-01-01 02:00:00+01:00"]
    )
    assert is_date
    assert values.tolist() == [0, 86400, 30, 3600]


def test_times_and_marks_of_test_rows_may_have_a_decimal_comma(tmp_path: Path) -> None:
    """Also with more digits than a group may have; a point would be a mark of thousands."""
    path = tmp_path / "a.csv"
    options: dict[str, Any] = {
        "kind": "csv",
        "path": str(path),
        "target": "y",
        "separator": ";",
        "decimal": ",",
    }

    def read(times: list[str]) -> Rows:
        path.write_text(
            "t;y\n" + "".join(f"{time};{i},5\n" for i, time in enumerate(times)), encoding="utf-8"
        )
        table = read_source(options, is_class=False, aside=["t"])
        return Rows(table.y, (), "y", table.aside["t"], table.first_row, table.decimal)

    times = [f"{(20 - i) / 10:.1f}".replace(".", ",") for i in range(20)]
    for last in ("0,1", "0,10000000000000001"):
        _, test = split(read([*times[:-1], last]), method="time", column="t")
        assert test == [3, 2, 1, 0]
    _, test = split(read(["0,5", "1,5", "1,5", "2"] * 5), method="column", column="t", test_value="1,5")
    assert test == [i for i in range(20) if i % 4 in (1, 2)]
    with refused("not-a-time", column="t", row=21, value="1.500"):
        split(read([*times[:-1], "1.500"]), method="time", column="t")
