"""Sources are split as scikit-learn splits, and standardised by the train part alone."""

import dataclasses
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

from bnn.data import sources, synthetic
from bnn.data.dataset import Dataset, Task
from bnn.data.preparation import prepare
from bnn.data.synthetic import GENERATORS, Generator, gap
from bnn.data.tables import Table
from tests.refusals import refused

IRIS = {"kind": "sklearn", "name": "iris"}
GAP = {"kind": "synthetic", "name": "gap", "n": 80, "noise": 0.1, "seed": 0}
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


def test_iris_is_split_as_in_the_notebooks() -> None:
    x, y = load_iris(return_X_y=True)
    x_train, x_test, y_train, y_test = train_test_split(x, y, test_size=0.2, random_state=42)
    found = prepare("iris", task="classification", source=IRIS, split=SPLIT)
    np.testing.assert_array_equal(found.y_train, y_train)
    np.testing.assert_array_equal(found.y_test, y_test)
    np.testing.assert_array_equal(x[found.row_train], x_train)
    np.testing.assert_array_equal(x[found.row_test], x_test)
    scaler = StandardScaler().fit(x_train)
    np.testing.assert_allclose(found.x_train, scaler.transform(x_train), rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(found.x_test, scaler.transform(x_test), rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(found.feature_scale, scaler.scale_, rtol=1e-12)


def test_stratified_split_is_scikit_learns_too() -> None:
    """Holds only while class indices are those of scikit-learn: the order of the classes decides who is drawn."""
    y = load_breast_cancer().target
    rows = np.arange(len(y))
    row_train, row_test = train_test_split(rows, test_size=0.25, random_state=7, stratify=y)
    source = {"kind": "sklearn", "name": "breast_cancer"}
    split = {"method": "random", "test_size": 0.25, "stratify": True, "seed": 7}
    found = prepare("cancer", task="classification", source=source, split=split)
    np.testing.assert_array_equal(found.row_train, row_train)
    np.testing.assert_array_equal(found.row_test, row_test)
    np.testing.assert_array_equal(found.y_train, y[row_train])
    assert found.class_names == ("malignant", "benign")


@pytest.mark.parametrize("split", [SPLIT, STRATIFIED])
def test_every_row_is_in_one_part(split: dict[str, Any]) -> None:
    found = prepare("iris", task="classification", source=IRIS, split=split)
    np.testing.assert_array_equal(np.sort(np.r_[found.row_train, found.row_test]), np.arange(150))
    assert found.row_train.dtype == np.int64


def test_stratify_and_seed_matter() -> None:
    parts = [
        prepare("iris", task="classification", source=IRIS, split=split).row_test
        for split in (SPLIT, STRATIFIED, {**SPLIT, "seed": 43})
    ]
    assert not np.array_equal(parts[0], parts[1])
    assert not np.array_equal(parts[0], parts[2])
    assert np.bincount(load_iris().target[parts[1]]).tolist() == [10, 10, 10]


def test_test_rows_leave_no_trace_in_train(tmp_path: Path, csv_rows: list[list[str]]) -> None:
    before = read(write(tmp_path / "a.csv", text_of(csv_rows)))
    for row in before.row_test:
        csv_rows[1 + row] = ["1e6", "-1e6", "12345"]
    after = read(write(tmp_path / "a.csv", text_of(csv_rows)))
    for name in (
        "x_train",
        "y_train",
        "row_train",
        "row_test",
        "feature_mean",
        "feature_scale",
        "target_mean",
    ):
        np.testing.assert_array_equal(getattr(after, name), getattr(before, name), err_msg=name)
    assert after.target_scale == before.target_scale
    assert (np.abs(after.x_test) > 1e5).all()
    assert (after.y_test > 100).all()


def test_standardised_values_go_back_to_the_source() -> None:
    source = {"kind": "sklearn", "name": "diabetes"}
    found = prepare("diabetes", task="regression", source=source, split=SPLIT)
    x, y = load_diabetes(return_X_y=True, scaled=False)
    for part in ("train", "test"):
        rows = getattr(found, f"row_{part}")
        features = found.feature_mean + found.feature_scale * getattr(found, f"x_{part}")
        np.testing.assert_allclose(features, x[rows], rtol=1e-12)
        target = found.target_mean + found.target_scale * getattr(found, f"y_{part}")
        np.testing.assert_allclose(target, y[rows], rtol=1e-12)
    np.testing.assert_allclose(found.x_train.mean(axis=0), 0, atol=1e-12)
    np.testing.assert_allclose(found.x_train.std(axis=0), 1)
    np.testing.assert_allclose([found.y_train.mean(), found.y_train.std()], [0, 1], atol=1e-12)
    assert found.feature_names[:3] == ("age", "sex", "bmi")
    assert (found.target_name, found.n_outputs, found.class_names) == ("disease progression", 1, ())


@pytest.mark.parametrize("value", ["0.1", "0", "1e9", "-3.3"])
def test_a_constant_feature_is_left_out(tmp_path: Path, csv_rows: list[list[str]], value: str) -> None:
    for row in csv_rows[1:]:
        row[0] = value
    found = read(write(tmp_path / "a.csv", text_of(csv_rows)))
    assert found.feature_names == ("b",) and found.x_train.shape[1] == found.x_test.shape[1] == 1
    assert found.columns is not None
    assert [(column.name, column.features) for column in found.columns] == [("a", ()), ("b", ("b",))]


def test_a_scale_that_underflows_is_1(tmp_path: Path, csv_rows: list[list[str]]) -> None:
    for number, row in enumerate(csv_rows[1:]):
        row[0] = f"{number}e-200"
    assert read(write(tmp_path / "a.csv", text_of(csv_rows))).feature_scale[0] == 1


@pytest.mark.parametrize("task", ["classification", "regression"])
def test_save_and_load_give_everything_back(tmp_path: Path, task: Task) -> None:
    if task == "classification":
        found = prepare("iris", task=task, source=IRIS, split=SPLIT)
    else:
        text = "ä ö,y\n" + "".join(f"{i},{i * i}\n" for i in range(12))
        found = read(write(tmp_path / "a.csv", text))
        assert found.target_unit == "kg"
    path = tmp_path / "deep" / "data.nc"
    found.save(path)
    again = Dataset.load(path)
    for field in dataclasses.fields(Dataset):
        expected, value = getattr(found, field.name), getattr(again, field.name)
        assert type(value) is type(expected), field.name
        np.testing.assert_array_equal(value, expected, err_msg=field.name)
        if isinstance(expected, np.ndarray):
            assert value.dtype == expected.dtype, field.name
    assert {type(name) for name in again.feature_names} == {str}


def test_outputs_are_classes_or_one() -> None:
    assert prepare("iris", task="classification", source=IRIS, split=SPLIT).n_outputs == 3
    assert prepare("gap", task="regression", source=GAP, split=SPLIT).n_outputs == 1


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"x_test": np.zeros((30, 3))}, "x_test"),
        ({"y_train": np.zeros(5, dtype=int)}, "y_train"),
        ({"x_train": np.full((120, 4), np.nan)}, "x_train"),
        ({"feature_mean": np.full(4, np.inf)}, "feature_mean"),
        ({"feature_scale": np.array([1.0, 0.0, 1.0, 1.0])}, "scale"),
        ({"target_scale": float("nan")}, "scale"),
        ({"y_test": np.full(30, 3)}, "classes"),
        ({"y_test": np.full(30, -1)}, "classes"),
        ({"y_train": np.zeros(120)}, "classes"),
        ({"task": "regression"}, "classes"),
    ],
)
def test_a_dataset_that_does_not_fit_together_is_refused(change: dict[str, Any], field: str) -> None:
    found = prepare("iris", task="classification", source=IRIS, split=SPLIT)
    with pytest.raises(ValueError, match=f"'iris'.*{field}"):
        dataclasses.replace(found, **change)


def test_loading_needs_neither_pandas_nor_scikit_learn() -> None:
    code = (
        "import sys, bnn.data.dataset\n"
        "print(sorted({'pandas', 'sklearn', 'scipy', 'pydantic', 'xarray'} & set(sys.modules)))\n"
    )
    root = Path(__file__).parents[2]
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=root)
    assert run.stdout.strip() == "[]"


def test_gap_has_no_data_in_the_middle() -> None:
    x, y = gap(2000, 0.1, np.random.default_rng(3))
    assert x.shape == (2000, 1) and y.shape == (2000,)
    assert np.abs(x).min() >= 3 and np.abs(x).max() <= 5
    assert 0.45 < (x > 0).mean() < 0.55
    residual = y - np.sin(x[:, 0]) - 0.3 * x[:, 0]
    # The standard error of a standard deviation is sd / sqrt(2 n).
    assert abs(residual.std() - 0.1) < 4 * 0.1 / np.sqrt(4000)


def test_synthetic_data_follow_their_own_settings() -> None:
    def x_of(**change: Any) -> np.ndarray:
        found = prepare("gap", task="regression", source={**GAP, **change}, split=SPLIT)
        order = np.argsort(np.r_[found.row_train, found.row_test])
        x = found.feature_mean + found.feature_scale * np.r_[found.x_train, found.x_test]
        return x[order, 0]

    np.testing.assert_array_equal(x_of(), x_of())
    np.testing.assert_allclose(x_of(noise=3.0), x_of(), rtol=1e-12)
    assert not np.allclose(x_of(seed=1), x_of())
    assert len(x_of(n=33)) == 33


def test_a_generator_of_two_features_names_both(monkeypatch: pytest.MonkeyPatch) -> None:
    def plane(n: int, noise: float, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        x = rng.normal(size=(n, 2))
        return x, x.sum(axis=1)

    monkeypatch.setitem(synthetic.GENERATORS, "plane", Generator(plane))
    found = prepare("plane", task="regression", source={**GAP, "name": "plane"}, split=SPLIT)
    assert found.feature_names == ("x1", "x2")


def test_every_named_source_of_the_config_can_be_read() -> None:
    from bnn.config.sources import SOURCE_TASKS

    assert set(SOURCE_TASKS) == set(sources.SKLEARN_TARGETS) | set(GENERATORS)
    # That one comes from the network; tests/unit/test_sources.py has it.
    for name, task in (item for item in SOURCE_TASKS.items() if item[0] != "california_housing"):
        kind = "synthetic" if name in GENERATORS else "sklearn"
        source = {**GAP, "kind": kind, "name": name}
        table: Table = sources.read_source(source, is_class=task == "classification")
        assert bool(table.class_names) == (task == "classification")
        assert table.x.shape == (len(table.y), len(table.feature_names))


def read_two(tmp_path: Path, train: str, test: str, *, task: Task) -> Dataset:
    source = {
        "kind": "csv",
        "path": str(write(tmp_path / "train.csv", train)),
        "test": str(write(tmp_path / "test.csv", test)),
        "target": "y",
        "target_unit": "",
    }
    return prepare("mine", task=task, source=source, split=SPLIT)


TWO_CLASSES = "a,b,y\n" + "".join(f"{i},{-i},{'dog' if i % 2 else 'cat'}\n" for i in range(6))


def test_a_test_file_is_the_test_part_and_columns_go_by_name(tmp_path: Path) -> None:
    found = read_two(tmp_path, TWO_CLASSES, "y,b,a\ndog,5,1\ncat,7,3\ndog,0,0\n", task="classification")
    assert found.class_names == ("cat", "dog")
    assert found.row_train.tolist() == list(range(6)) and found.row_test.tolist() == [6, 7, 8]
    assert found.y_test.tolist() == [1, 0, 1]
    original = found.x_test * found.feature_scale + found.feature_mean
    np.testing.assert_allclose(original, [[1, 5], [3, 7], [0, 0]], atol=1e-12)
    np.testing.assert_allclose(found.x_train.mean(axis=0), 0.0, atol=1e-12)


def test_a_class_is_its_number_however_each_file_writes_it(tmp_path: Path) -> None:
    train = "a,y\n" + "".join(f"{i},{'0.5' if i % 2 else '1.5'}\n" for i in range(6))
    found = read_two(tmp_path, train, "a,y\n1,0.50\n2,1.50\n3,15e-1\n", task="classification")
    assert found.class_names == ("0.5", "1.5") and found.y_test.tolist() == [0, 1, 1]
    with refused("class-unknown", value="0.51"):
        read_two(tmp_path, train, "a,y\n1,0.51\n2,1.50\n", task="classification")


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_a_column_of_texts_is_one_in_the_test_file_too(tmp_path: Path, kind: str) -> None:
    """There F alone would look like false."""
    train = pd.DataFrame({"sex": list("MFI") * 4, "a": np.arange(12.0), "y": np.arange(12.0)})
    source = {"kind": kind, "target": "y", "target_unit": ""}
    for key, frame in (("path", train), ("test", train[train["sex"] == "F"])):
        source[key] = str(tmp_path / f"{key}.{kind}")
        frame.to_csv(source[key], index=False) if kind == "csv" else frame.to_parquet(
            source[key], index=False
        )
    found = prepare("mine", task="regression", source=source, split=SPLIT | {"column": "nowhere"})
    assert found.feature_names == ("sex=F", "sex=I", "sex=M", "a")
    np.testing.assert_allclose((found.x_test + found.feature_mean)[:, :3], [[1, 0, 0]] * 4)


@pytest.mark.parametrize(
    ("n_train", "n_test", "file"),
    [
        (4, 2, "train.csv"),
        (5, 1, "test.csv"),
        (5, 2, None),
    ],
)
def test_each_of_two_files_needs_rows(tmp_path: Path, n_train: int, n_test: int, file: str | None) -> None:
    train, test = ("a,y\n" + "".join(f"{i},{i}\n" for i in range(n)) for n in (n_train, n_test))
    if file is None:
        assert len(read_two(tmp_path, train, test, task="regression").y_test) == n_test
        return
    with refused("too-few-rows", file=file):
        read_two(tmp_path, train, test, task="regression")


@pytest.mark.parametrize(
    ("test", "code", "place"),
    [
        ("a,y\n1,dog\n2,cat\n3,cat\n", "column-missing", {"column": "b"}),
        ("a,b,c,y\n1,1,1,dog\n2,1,1,cat\n3,1,1,cat\n", "column-unknown", {"column": "c"}),
        ("a,b,y\n1,1,dog\n2,1,fox\n3,1,dog\n", "class-unknown", {"value": "fox"}),
    ],
)
def test_a_test_file_that_does_not_fit_is_refused(
    tmp_path: Path, test: str, code: str, place: dict[str, Any]
) -> None:
    with refused(code, **place):
        read_two(tmp_path, TWO_CLASSES, test, task="classification")
