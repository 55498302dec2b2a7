"""Columns become features as scikit-learn's ColumnTransformer would make them, by what training rows say alone."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import ColumnTransformer
from sklearn.impute import MissingIndicator, SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from bnn.data.cells import check
from bnn.data.column_encoding import Column
from bnn.data.csv_files import read_columns
from bnn.data.dataset import Dataset
from bnn.data.encoding import Encoding, fit
from bnn.data.preparation import prepare
from bnn.data.typed_columns import tidy
from bnn.data.words import TextFormat
from tests.refusals import refused

N = 400


def mixed(n: int = N, seed: int = 0, *, gaps: bool = True) -> pd.DataFrame:
    """Columns of every kind, with missing values, a rare level and a constant."""
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {
            "size": rng.normal(5, 3, n),
            "count": rng.integers(0, 9, n),
            "colour": rng.choice(["red", "green", "blue", "mauve"], n, p=[0.5, 0.3, 0.19, 0.01]),
            "member": rng.choice(["yes", "no"], n),
            "flag": rng.random(n) < 0.3,
            "town": rng.choice(list("abcdefgh"), n),
            "same": 7.5,
        }
    )
    if gaps:
        for name in ("size", "colour", "member", "count"):
            frame[name] = frame[name].astype(object).where(rng.random(n) > 0.1, None)
    return tidy(frame)


def read_csv(path: Path, kinds: dict[str, Any]) -> pd.DataFrame:
    return read_columns(str(path), lambda *_: kinds, TextFormat()).checked()


def column_transformer(frame: pd.DataFrame, *, min_frequency: int) -> Any:
    """Return what scikit-learn learns of tidy columns, none of them constant, and the names of its features."""
    number, text = (frame.select_dtypes(kind).columns for kind in ("float64", "category"))
    boolean = frame.select_dtypes("boolean").columns
    gaps = [name for name in frame if frame[name].isna().any()]
    encode = OneHotEncoder(
        min_frequency=min_frequency, handle_unknown="infrequent_if_exist", sparse_output=False
    )
    most_frequent, centre = SimpleImputer(strategy="most_frequent"), StandardScaler(with_std=False)
    return ColumnTransformer(
        [
            ("n", make_pipeline(SimpleImputer(strategy="median"), StandardScaler()), list(number)),
            ("b", make_pipeline(most_frequent, centre), list(boolean)),
            ("t", make_pipeline(most_frequent, encode, centre), list(text)),
            ("i", make_pipeline(MissingIndicator(features="all"), centre), gaps),
        ]
    ).fit(plain(frame))


def plain(frame: pd.DataFrame) -> pd.DataFrame:
    """Return tidy columns as scikit-learn takes them."""
    return pd.DataFrame(
        {
            name: column.astype(object).to_numpy()
            if isinstance(column.dtype, pd.CategoricalDtype)
            else column.to_numpy(dtype=float, na_value=np.nan)
            for name, column in frame.items()
        }
    )


@pytest.mark.parametrize("min_frequency", [1, 10, 60])
@pytest.mark.parametrize("missing", ["auto", "impute", "error"])
def test_features_are_those_of_a_column_transformer(missing: Any, min_frequency: int) -> None:
    frame, new = (mixed(seed=seed, gaps=missing != "error").drop(columns="same") for seed in (0, 1))
    new["colour"] = pd.Categorical(new["colour"].astype(object).where(np.arange(N) > 20, "pink"))
    encoding = fit(frame, missing=missing, min_frequency=min_frequency)
    transformer = column_transformer(frame, min_frequency=min_frequency)
    names = [
        name
        for kind in ("number", "boolean", "text")
        for column in encoding.columns
        if column.kind == kind
        for name in column.features[: len(column.features) - column.has_indicator]
    ]
    names += [column.features[-1] for column in encoding.columns if column.has_indicator]
    place = [names.index(name) for name in encoding.feature_names]
    for rows in (frame, new):
        found, expected = encoding.transform(rows).x, transformer.transform(plain(rows))[:, place]
        np.testing.assert_allclose(found, expected, rtol=1e-13, atol=1e-13)


def test_zeros_and_ones_are_centred_and_numbers_standardised() -> None:
    frame = mixed()
    encoding = fit(frame, missing="impute", min_frequency=10)
    x = encoding.transform(frame).x
    np.testing.assert_allclose(x.mean(axis=0), 0, atol=1e-12)
    by_name = dict(zip(encoding.feature_names, x.T, strict=True))
    assert list(by_name) == [
        *("size", "size is missing", "count", "count is missing"),
        *("colour=blue", "colour=green", "colour=red", "colour=(rare)", "colour is missing"),
        *("member", "member is missing", "flag", *(f"town={town}" for town in "abcdefgh")),
    ]
    for name in ("size", "count"):
        assert by_name[name].std() == pytest.approx(1)
    assert (
        np.ptp(by_name["colour=(rare)"]) == np.ptp(by_name["flag"]) == np.ptp(by_name["size is missing"]) == 1
    )
    of = {column.name: column for column in encoding.columns}
    assert of["size"].fill == np.nanmedian(frame["size"])
    assert of["colour"].fill == "red" and of["colour"].rare == ("mauve",)
    assert of["same"].features == () and encoding.unused == ("same",)


def test_what_is_learned_comes_from_the_rows_named() -> None:
    """Other rows may hold anything: nothing changes, down to the last bit."""
    frame, rows = mixed(), np.arange(0, N, 2)
    before = fit(frame, rows, missing="impute", min_frequency=5)
    changed = frame.copy()
    others = np.arange(1, N, 2)
    changed.loc[others, "size"] = 1e9
    changed["colour"] = pd.Categorical(
        changed["colour"].astype(object).where(np.isin(np.arange(N), rows), "pink")
    )
    after = fit(changed, rows, missing="impute", min_frequency=5)
    assert after.columns == before.columns
    assert np.array_equal(after.mean, before.mean) and np.array_equal(after.scale, before.scale)


def test_texts_that_no_training_row_has_are_counted_and_get_no_level() -> None:
    frame = tidy(pd.DataFrame({"a": list("xyxyxy"), "b": list("pppqqr")}))
    new = tidy(pd.DataFrame({"b": list("zqrp"), "a": ["new", "x", "old", "new"]}))
    encoding = fit(frame)
    found = encoding.transform(new)
    assert found.unseen == {"a": {"new": 2, "old": 1}, "b": {"z": 1}}
    raw = found.x + encoding.mean
    np.testing.assert_allclose(
        raw, [[0, 0, 0, 0, 0], [1, 0, 0, 1, 0], [0, 0, 0, 0, 1], [0, 0, 1, 0, 0]], atol=1e-12
    )
    # With a feature of rare texts, the unseen one is as rare as can be.
    rare = fit(frame, min_frequency=2)
    raw = rare.transform(new).x + rare.mean
    assert rare.feature_names == ("a=x", "a=y", "b=p", "b=q", "b=(rare)")
    np.testing.assert_allclose(raw[:, 2:], [[0, 0, 1], [0, 1, 0], [0, 0, 1], [1, 0, 0]], atol=1e-12)


def test_missing_values_of_new_rows_are_filled_in_or_refused() -> None:
    frame = mixed(gaps=False)
    new = mixed(5, seed=3, gaps=False).copy()
    new.loc[3, "size"] = np.nan
    with refused("value-missing", column="size", row=5):
        fit(frame, missing="error").transform(new, first_row=2)
    encoding = fit(frame)
    found = encoding.transform(new)
    assert found.n_missing == {"size": 1} and "size is missing" not in encoding.feature_names
    assert found.x[3, 0] == (np.median(frame["size"]) - encoding.mean[0]) / encoding.scale[0]


def test_a_column_that_is_constant_but_for_missing_values_says_where_they_are() -> None:
    frame = tidy(pd.DataFrame({"a": [1.0, np.nan, 1.0, np.nan, 1.0], "b": np.arange(5.0)}))
    encoding = fit(frame, missing="impute")
    assert encoding.feature_names == ("a is missing", "b")
    np.testing.assert_allclose(encoding.transform(frame).x[:, 0] + 0.4, [0, 1, 0, 1, 0])
    with refused("no-features"):
        fit(tidy(pd.DataFrame({"a": [1.0] * 5, "b": list("zzzzz")})))


@pytest.mark.parametrize(
    ("column", "row", "value"),
    [
        (Column("a", "number"), 2, "yes"),
        (Column("a", "boolean"), 3, "x"),
    ],
)
def test_another_kind_of_thing_than_in_training_is_refused(column: Column, row: int, value: str) -> None:
    encoding = Encoding((column,), np.zeros(1), np.ones(1))
    with refused("other-kind", column="a", row=row, value=value):
        encoding.transform(tidy(pd.DataFrame({"a": ["yes", "x"]})), first_row=2)
    text = Encoding((Column("a", "text", levels=("x", "y")),), np.zeros(2), np.ones(2))
    with refused("other-kind", column="a", row=0, value="1.0"):
        text.transform(tidy(pd.DataFrame({"a": [1.0, 2.0]})))


@pytest.mark.parametrize(
    ("values", "code", "row", "value"),
    [
        ([1, 2, "three", 4], "mixed-kinds", 2, "three"),
        ([True, 2, 3, 4], "mixed-kinds", 0, "True"),
        ([1, 2, {}, 4], "mixed-kinds", 2, "{}"),
        ([1.0, np.inf], "number-too-large", 1, None),
        ([1, -(10**200)], "number-too-large", 1, None),
        (pd.to_datetime(["2020-01-01", "2021-01-01"]), "date-among-features", 0, "2020-01-01 00:00:00"),
        (pd.to_timedelta([1, 2], unit="h"), "date-among-features", 0, "0 days 01:00:00"),
    ],
)
def test_columns_of_several_kinds_and_dates_are_refused(
    values: Any, code: str, row: int, value: str | None
) -> None:
    beside: dict[str, Any] = {} if value is None else {"value": value}
    with refused(code, column="a", row=row, **beside):
        tidy(pd.DataFrame({"a": values}))


def test_columns_of_any_library_become_one_of_three_kinds() -> None:
    frame = pd.DataFrame(
        {
            0: pd.array([1, None, 3], dtype="Int64"),
            "f": np.array([1, 2, 3], dtype=np.float32),
            "o": np.array([1, 2.5, None], dtype=object),
            "b": [True, False, True],
            "w": ["Yes", "no", None],
            "c": pd.Categorical([3, 1, 3]),
            "s": pd.array(["b", "a", None], dtype="string"),
            "none": [None, None, None],
        }
    )
    found = tidy(frame)
    kinds = {name: str(found[name].dtype) for name in found}
    assert kinds == {
        **dict.fromkeys(("0", "f", "o", "none"), "float64"),
        **dict.fromkeys(("b", "w"), "boolean"),
        **dict.fromkeys(("c", "s"), "category"),
    }
    assert found["c"].tolist() == ["3", "1", "3"] and found["s"].cat.categories.tolist() == ["a", "b"]
    assert found["w"].tolist()[:2] == [True, False] and found["w"].isna().tolist() == [False, False, True]
    pd.testing.assert_frame_equal(tidy(found), found)
    with refused("name-twice", column="0"):
        tidy(frame.rename(columns={"f": "0"}))
    with refused("name-unusable", column="a\u0000"):
        tidy(frame.rename(columns={0: "a\0"}))


@pytest.mark.parametrize("levels", [["N", "F"], ["N", "F", "Y"], ["yes", "f"], ["true", "no"]])
def test_words_of_several_pairs_are_texts(levels: list[str], tmp_path: Path) -> None:
    """N and F of one column, never and former say, must not both become false."""
    frame = pd.DataFrame({"a": levels * 5})
    frame.to_csv(tmp_path / "a.csv", index=False)
    for found in (tidy(frame), read_csv(tmp_path / "a.csv", {"a": "any"})):
        assert found["a"].tolist() == levels * 5
        assert fit(found).feature_names == tuple(f"a={level}" for level in sorted(levels))


@pytest.mark.parametrize(
    "levels", [["N", "y"], ["True", "false"], ["NO", "no", "yes"], ["t", "F"], ["false"], ["Yes"]]
)
def test_words_of_one_pair_are_true_and_false(levels: list[str], tmp_path: Path) -> None:
    frame = pd.DataFrame({"a": [*levels, None], "b": 1.0})
    frame.to_csv(tmp_path / "a.csv", index=False)
    for found in (tidy(frame), read_csv(tmp_path / "a.csv", {"a": "any", "b": "number"})):
        assert found["a"].dtype == "boolean"
        assert found["a"][:-1].tolist() == [level.lower() in ("yes", "y", "true", "t") for level in levels]


def test_a_column_of_true_and_false_refuses_words_of_two_pairs() -> None:
    encoding = fit(tidy(pd.DataFrame({"a": ["yes", "no"] * 3})))
    with refused("other-kind", column="a", row=1, value="F"):
        encoding.transform(tidy(pd.DataFrame({"a": ["N", "F"]})))


def test_a_column_known_to_hold_texts_stays_one() -> None:
    encoding = fit(tidy(pd.DataFrame({"sex": list("MFI") * 3})))
    for column in (["F", "F"], pd.Categorical(["F", "F"])):
        found = encoding.transform(tidy(pd.DataFrame({"sex": column}), texts=["sex"]))
        assert found.unseen == {}
        np.testing.assert_allclose(found.x + encoding.mean, [[1, 0, 0]] * 2)


def test_new_rows_without_any_text_are_filled_in() -> None:
    encoding = fit(tidy(pd.DataFrame({"a": ["x", "y", "y", None]})), missing="impute")
    found = encoding.transform(tidy(pd.DataFrame({"a": [None, None]})))
    assert encoding.feature_names == ("a=x", "a=y", "a is missing")
    np.testing.assert_allclose(found.x + encoding.mean, [[0, 1, 1]] * 2)
    assert found.n_missing == {"a": 2} and found.unseen == {}
    with refused("value-missing", column="a", row=0):
        fit(tidy(pd.DataFrame({"a": list("xyy")})), missing="error").transform(
            tidy(pd.DataFrame({"a": [None, None]}))
        )


def test_gaps_are_counted_in_columns_that_are_left_out() -> None:
    frame = tidy(pd.DataFrame({"a": np.arange(6.0), "same": [7.0] * 4 + [np.nan] * 2}))
    encoding = fit(frame, slice(0, 4), missing="impute")
    assert encoding.feature_names == ("a",)
    assert encoding.transform(frame, np.arange(3, 6)).n_missing == {"same": 2}
    assert encoding.transform(frame[["a"]]).n_missing == {}


def test_two_features_of_one_name_are_refused() -> None:
    frame = tidy(pd.DataFrame({"a": list("xyxy"), "a=x": [1.0, 2.0, 3.0, 4.0]}))
    with refused("feature-name-twice", value="a=x"):
        fit(frame)


def test_all_levels_rare_is_no_feature() -> None:
    frame = tidy(pd.DataFrame({"a": list("xxyyzz"), "b": np.arange(6.0)}))
    assert fit(frame, min_frequency=3).feature_names == ("b",)


def test_a_row_number_is_refused_by_its_name() -> None:
    values = pd.DataFrame({"customer_id": np.arange(10.0), "x": np.arange(10.0)})
    with refused("numbers-the-rows", column="customer_id"):
        check(tidy(values))
    check(tidy(values.rename(columns={"customer_id": "age"})))
    check(tidy(values.assign(customer_id=[1.0, 1.0] * 5)))


def test_a_file_gives_the_encoding_back(tmp_path: Path) -> None:
    frame = mixed()
    frame["y"] = np.arange(float(N))
    frame.to_csv(tmp_path / "a.csv", index=False)
    source = {"kind": "csv", "path": str(tmp_path / "a.csv"), "target": "y", "drop": ["flag"]}
    found = prepare(
        "a",
        task="regression",
        source=source,
        split={"method": "random", "test_size": 0.2, "stratify": False, "seed": 1},
        columns={"missing": "impute", "min_frequency": 10},
    )
    found.save(tmp_path / "data.nc")
    again = Dataset.load(tmp_path / "data.nc")
    assert found.columns is not None and again.columns == found.columns
    assert found.columns[-1] == Column("flag", "dropped")
    new = mixed(seed=9)
    assert np.array_equal(again.encoding.transform(new).x, found.encoding.transform(new).x)
    assert np.array_equal(again.encoding.transform(frame, again.row_test).x, again.x_test)
    assert b"\x80\x04" not in (tmp_path / "data.nc").read_bytes(), "no pickle"
    with pytest.raises(ValueError, match="columns"):
        dataclasses.replace(found, columns=found.columns[1:])
