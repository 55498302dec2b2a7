"""Rows with the same inputs: found, told, and kept together in splits, folds and validation rows."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.model_selection import train_test_split

from bnn.baselines.training import validation_rows
from bnn.core.identical_rows import first_of_each, folds, gathered, taken_together
from bnn.data.splits import Rows, is_parted, split_rows
from bnn.selection import choice, race
from bnn.selection.cheap_fit import CheapFit
from tests.unit.test_selection import settings_of
from tests.unit.test_split_tables import lines, made

SPLIT = {
    "method": "random",
    "column": None,
    "test_value": "test",
    "test_size": 0.2,
    "stratify": False,
    "seed": 3,
}


def firsts(group: np.ndarray) -> np.ndarray:
    """Return the first row of each group; slow and plain."""
    return np.array([group.tolist().index(value) for value in group])


def dealt(group: Any, y: np.ndarray | None = None, **split: Any) -> tuple[np.ndarray, np.ndarray]:
    group = np.asarray(group)
    names = () if y is None else tuple(map(str, np.unique(y)))
    target = np.random.default_rng(1).normal(size=len(group)) if y is None else y
    rows = Rows(target, names, "y", None, first=firsts(group))
    train, test = split_rows(rows, SPLIT | split)
    assert sorted([*train, *test]) == list(range(len(group)))
    return train, test


def test_the_first_of_rows_that_are_the_same() -> None:
    x = np.array([[1, 2], [3, np.nan], [1, 2], [1, np.nan], [3, np.nan], [0.0, 2], [-0.0, 2], [1, 2]])
    assert first_of_each(x.T, 8).tolist() == [0, 1, 0, 3, 1, 5, 5, 0]
    assert first_of_each(iter([]), 3).tolist() == [0, 0, 0], "without columns nothing tells rows apart"
    rng = np.random.default_rng(0)
    x = rng.integers(3, size=(500, 5)) * 1.0
    assert np.array_equal(first_of_each(x.T, 500), firsts(np.array([str(row) for row in x])))


def test_columns_are_looked_at_only_until_all_rows_differ() -> None:
    def columns() -> Any:
        yield np.arange(5.0)
        raise AssertionError("nothing is left to tell apart")

    assert first_of_each(columns(), 5).tolist() == list(range(5))


def test_whole_groups_are_taken_and_as_many_rows_as_can_be() -> None:
    order, first = np.array([5, 0, 3, 1, 4, 2]), np.array([0, 1, 0, 3, 3, 3])
    assert order[taken_together(order, first, 1)].tolist() == [1], (
        "two or three would be as far from one as none"
    )
    assert order[taken_together(order, first, 2)].tolist() == [5, 3, 4]
    assert order[taken_together(order, np.arange(6), 4)].tolist() == [5, 0, 3, 1]
    assert gathered(order, first).tolist() == [5, 3, 4, 0, 2, 1]


def test_folds_have_whole_groups_and_are_plain_ones_without_groups() -> None:
    order = np.random.default_rng(0).permutation(320)
    parts = folds(order, np.repeat(np.arange(40) * 8, 8), 3)
    assert [len(part) for part in parts] == [104, 104, 112]
    assert sorted(np.concatenate(parts)) == list(range(320))
    groups = [set(part // 8) for part in parts]
    assert sum(map(len, groups)) == 40
    for n_rows in (10, 11, 12):
        order = np.random.default_rng(0).permutation(n_rows)
        for found, plain in zip(folds(order, np.arange(n_rows), 3), np.array_split(order, 3), strict=True):
            assert np.array_equal(found, plain)
    few = folds(order, np.repeat([0, 6], 6), 3)
    assert [len(part) for part in few] == [4, 4, 4], "two groups make no three folds"


@pytest.mark.parametrize("stratify", [False, True])
def test_a_split_of_different_rows_is_that_of_scikit_learn(stratify: bool) -> None:
    y = np.arange(50) % 3
    train, test = dealt(np.arange(50), y, stratify=stratify)
    expected = train_test_split(
        np.arange(50), test_size=0.2, random_state=3, stratify=y if stratify else None
    )
    assert train.tolist() == expected[0].tolist() and test.tolist() == expected[1].tolist()


@pytest.mark.parametrize("seed", range(8))
def test_rows_that_are_the_same_are_in_one_part(seed: int) -> None:
    """Also where classes keep their proportions, and where rows that are the same have several classes."""
    group = np.repeat(np.arange(40), 8)
    rng = np.random.default_rng(seed)
    for y in (None, rng.integers(3, size=40)[group], rng.integers(3, size=320)):
        train, test = dealt(group, y, seed=seed, stratify=y is not None)
        assert not is_parted(firsts(group), train, test)
        assert abs(len(test) - 64) <= 6
        if y is not None:
            assert set(y[test]) == set(y[train]) == {0, 1, 2}


@pytest.mark.parametrize("seed", range(8))
def test_a_few_rows_that_are_the_same_move_as_few_others(seed: int) -> None:
    group = np.arange(60)
    group[[7, 9, 21]] = group[[30, 31, 32]]
    plain, found = (set(dealt(of, seed=seed)[1]) for of in (np.arange(60), group))
    assert len(plain) == len(found) == 12
    assert len(plain - found) <= 3
    for one, other in ((7, 30), (9, 31), (21, 32)):
        assert (one in found) == (other in found)


def test_groups_too_large_for_a_test_part_are_parted_as_before() -> None:
    for group in (np.arange(60) % 3, np.arange(60) % 2, np.where(np.arange(60) < 50, 0, np.arange(60) % 2)):
        train, test = dealt(group)
        expected = train_test_split(np.arange(60), test_size=0.2, random_state=3)
        assert test.tolist() == expected[1].tolist() and train.tolist() == expected[0].tolist()
    # One group is all that there is of a class: it cannot be in both parts.
    group = np.where(np.arange(60) < 4, 0, np.arange(60))
    y = (np.arange(60) < 4) * 1
    train, test = dealt(group, y, stratify=True)
    assert set(y[test]) == set(y[train]) == {0, 1}


def table(n_same: int) -> str:
    return lines(
        "a,b,y", [f"{i // n_same * 0.5},{i // n_same % 7},{i // n_same % 9}" for i in range(40 * n_same)]
    )


def test_rows_that_are_the_same_are_told_and_may_be_dropped(tmp_path: Path) -> None:
    """Whether a target repeats alone tells copies of a measurement from measurements that agree."""
    path = tmp_path / "a.csv"
    copies = lines("a,b,y", [f"{i // 8 * 0.5},{i // 8 % 7},{i // 8}" for i in range(320)])
    counts = lines("a,b,y", [f"{i // 8 * 0.5},{i // 8 % 7},{i // 8 % 5}" for i in range(320)])
    for text, n_test in ((copies, 8), (counts, 64)):
        found = made(path, text)
        assert [(doubt.code, doubt.column, doubt.row) for doubt in found.doubts] == [("rows-repeated", "", 3)]
        kept = made(path, text, repeated_rows="keep")
        assert kept.doubts == () and not set(kept.row_train // 8) & set(kept.row_test // 8)
        assert (len(found.y_test), len(kept.y_test)) == (n_test, 64)
        dropped = made(path, text, repeated_rows="drop")
        assert dropped.doubts == () and len(dropped.y_test) == 8
        assert sorted([*dropped.row_train, *dropped.row_test]) == list(range(0, 320, 8))
    assert len(made(path, copies, task="classification").y_test) == 64, "classes agree anyhow"
    in_order = made(path, copies, method="time")
    assert (len(in_order.y_train), len(in_order.y_test)) == (32, 64), "named test rows stay what they are"
    assert len(made(path, copies.partition("\n9.5,")[0] + "\n").y_train) >= 100, "too few different rows"
    few = lines("a,y", [f"{max(i, 3) * 0.5},{max(i, 3)}" for i in range(60)])
    assert len(made(path, few).y_test) == 12, "a few copies do no harm"
    assert made(path, lines("a,y", [f"{i * 0.5},{i}" for i in range(60)])).doubts == ()


def test_rows_with_another_target_are_no_repetition(tmp_path: Path) -> None:
    text = lines("a,y", [f"{i // 2 * 1.5},{i}" for i in range(60)])
    found = made(tmp_path / "a.csv", text)
    assert (
        "30 (50 %) of 60 rows have the features of an earlier one, but not its target" in found.doubts[0].text
    )
    assert not {row // 2 for row in found.row_train} & {row // 2 for row in found.row_test}
    dropped = made(tmp_path / "a.csv", text, repeated_rows="drop")
    assert len(dropped.y_train) + len(dropped.y_test) == 60
    assert not {row // 2 for row in dropped.row_train} & {row // 2 for row in dropped.row_test}


def test_a_test_file_and_other_splits_are_taken_as_they_are(tmp_path: Path) -> None:
    (tmp_path / "test.csv").write_text(lines("a,b,y", ["0.5,1,1", "9,9,3", "9,9,3", "8,9,4"]))
    found = made(tmp_path / "a.csv", table(1), test=str(tmp_path / "test.csv"))
    assert len(found.y_test) == 4 and "1 (25 %) of 4 test rows" in found.doubts[0].text
    dropped = made(tmp_path / "a.csv", table(1), test=str(tmp_path / "test.csv"), repeated_rows="drop")
    assert dropped.row_numbers("test").tolist() == [3, 5], (
        "not what the training file has, nor the second of two"
    )
    in_order = made(tmp_path / "a.csv", table(3), method="time")
    assert in_order.row_test.tolist() == list(range(96, 120))
    assert "test rows" not in in_order.doubts[0].text


def test_folds_of_a_choice_have_whole_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []

    def fit(x: Any, y: Any, left_out: Any, **_: Any) -> CheapFit:
        seen.append((set(x[:, 0]), set(left_out[0][:, 0])))
        return CheapFit(np.zeros(len(left_out[1])), 1.0)

    monkeypatch.setattr(race, "cheap_fit", fit)
    x = np.repeat(np.random.default_rng(0).normal(size=(40, 2)), 8, axis=0)
    choice.choose(x, x[:, 0], n_classes=None, settings=settings_of())
    assert seen and not any(used & out for used, out in seen)


def test_validation_rows_part_one_group_at_most() -> None:
    first = np.repeat(np.arange(40) * 8, 8)
    y = np.zeros(320)
    for seed in range(5):
        rng = np.random.default_rng(seed)
        rows = validation_rows(y, size=0.2, stratify=False, rng=rng, first=first)
        assert len(rows) == 64
        own, others = first[rows], np.delete(first, rows)
        assert len(set(own) & set(others)) <= 1
    plain = validation_rows(y, size=0.2, stratify=False, rng=np.random.default_rng(0))
    different = validation_rows(
        y, size=0.2, stratify=False, rng=np.random.default_rng(0), first=np.arange(320)
    )
    assert plain.tolist() == different.tolist()
