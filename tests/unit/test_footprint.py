"""The extent of a table is told from its first part; what jobs ask for grows with it."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn import datasets

from bnn.config.loading import load
from bnn.jobs.footprint import Table, n_parameters, peak_mb, request_mb, summary, table_of

RULES = ("prepare", "fit_baseline", "sample_chain", "combine", "diagnose", "evaluate", "plot", "report")


def settings_of(task: str = "regression", **own: Any) -> dict[str, Any]:
    source = {"kind": "csv", "path": "a.csv", "target": "y"}
    raw = {"datasets": {"d": {"task": task, "source": source, **own}}}
    return load(raw).datasets["d"].model_dump(mode="json")


def csv_source(path: Path, test: Path | None = None) -> dict[str, Any]:
    return {"kind": "csv", "path": str(path), "test": None if test is None else str(test), "target": "y"}


@pytest.mark.parametrize("name", ["iris", "wine", "breast_cancer", "diabetes"])
def test_tables_that_come_with_scikit_learn(name: str) -> None:
    bunch = getattr(datasets, f"load_{name}")()
    classes = 1 if name == "diabetes" else len(bunch.target_names)
    task = "regression" if name == "diabetes" else "classification"
    n_rows, n_features = bunch.data.shape
    assert table_of({"kind": "sklearn", "name": name}, task) == Table(n_rows, n_features, classes)


def test_artificial_tables() -> None:
    assert table_of({"kind": "synthetic", "name": "gap", "n": 77}, "regression") == Table(77, 1, 1)


def test_a_short_file_is_counted(tmp_path: Path) -> None:
    train, test = tmp_path / "train.csv", tmp_path / "test.csv"
    train.write_text('"a, b",y\n' + "".join(f"{i},c{i % 3}\n" for i in range(30)), encoding="utf-8-sig")
    test.write_text("y,a\nc1,2\n")
    assert table_of(csv_source(train), "classification") == Table(30, 1, 3)
    assert table_of(csv_source(train), "regression") == Table(30, 1, 1)
    assert table_of(csv_source(train, test), "classification") == Table(31, 1, 3)


def test_a_column_that_splits_rows_is_no_feature(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("patient,a,y\n" + "".join(f"p{i},{i},{i}\n" for i in range(90)))
    assert table_of(csv_source(path), "regression").features == 91
    assert table_of(csv_source(path), "regression", aside="patient") == Table(90, 1, 1)
    split = {"method": "group", "column": "patient"}
    assert settings_of(split=split)["split"]["column"] == "patient"
    source = {"kind": "csv", "path": "a.csv", "target": "y"}
    series = load({"datasets": {"d": {"task": "timeseries", "source": source, "series": {"time": "day"}}}})
    assert series.datasets["d"].split.column == "day"


def test_a_long_file_is_estimated(tmp_path: Path) -> None:
    path = tmp_path / "long.csv"
    values = np.random.default_rng(0).normal(size=(40_000, 5))
    np.savetxt(path, values, delimiter=",", header="a,b,c,d,y", comments="")
    found = table_of(csv_source(path), "regression")
    assert found.features == 4
    assert found.rows == pytest.approx(40_000, rel=0.02)


@pytest.mark.parametrize("data", [b"", b"\xff\xfe\x00", b'"', b'a,"y\n1,2', b"\n\n", b"a" * 200_000, b"y\n"])
def test_a_faulty_file_is_left_to_its_reader(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "faulty.csv"
    path.write_bytes(data)
    for task in ("classification", "regression"):
        found = table_of(csv_source(path), task)
        assert found.rows >= 0 and found.features >= 0 and found.outputs >= 1
    assert table_of(csv_source(tmp_path / "none.csv"), "regression").rows == 0


def test_parameters_are_those_of_the_posterior() -> None:
    """Within two: noise and rounding up cost nothing."""
    from bnn.data.preparation import prepare
    from bnn.model.posterior import make_posterior

    for own in ({}, {"likelihood": {"family": "heteroscedastic"}}, {"prior": {"learned_scales": "ard"}}):
        raw = {"network": {"hidden": [7, 3]}, **own}
        source = {"kind": "synthetic", "name": "gap"}
        dataset = load({**raw, "datasets": {"d": {"task": "regression", "source": source}}}).datasets["d"]
        settings = dataset.model_dump(mode="json")
        data = prepare("d", task="regression", source=settings["source"], split=settings["split"])
        sections = {name: settings[name] for name in ("network", "prior", "likelihood")}
        exact = make_posterior(
            data.x_train, data.y_train, n_classes=data.n_classes, **sections
        ).layout.n_params
        assert exact <= n_parameters(table_of(settings["source"], "regression"), settings) <= exact + 2


@pytest.mark.parametrize("rule", RULES)
def test_requests_never_shrink(rule: str) -> None:
    settings = settings_of()
    small, large = Table(100, 5, 1), Table(1_000_000, 50, 1)
    assert request_mb(rule, small, settings) <= request_mb(rule, large, settings)
    assert request_mb(rule, small, settings) >= peak_mb(rule, small, settings)
    if rule not in ("report",):
        assert peak_mb(rule, large, settings) > peak_mb(rule, small, settings)


def test_more_draws_ask_for_more_where_all_are_read() -> None:
    few, many = (settings_of(sampler={"draws": draws}) for draws in (100, 10_000))
    table = Table(5000, 10, 1)
    for rule in ("combine", "check", "predict"):
        assert peak_mb(rule, table, few) < peak_mb(rule, table, many)
    for rule in ("prepare", "sample_chain"):
        assert peak_mb(rule, table, few) == peak_mb(rule, table, many)


def test_the_summary_adds_up() -> None:
    datasets = {
        "a": settings_of(sampler={"chains": 5, "chains_per_job": 2, "draws": 300}),
        "b": settings_of(),
    }
    tables = {"a": Table(1000, 3, 1), "b": Table(200_000, 3, 1)}
    text = summary(datasets, tables)
    assert text.startswith("2 datasets with 201,000 rows: 9 chains in 7 jobs keep 5,500 draws.\n")
    assert " of b: " in text


def test_the_summary_counts_only_what_the_run_has() -> None:
    few = {"chains": 1, "draws": 5000}
    tables = {"a": Table(100, 3, 1)}
    without, with_rows = settings_of(sampler=few), settings_of(sampler=few, predict=["new.csv"])
    assert request_mb("predict", tables["a"], without) > max(
        request_mb(rule, tables["a"], without)
        for rule in ("check", "combine", "diagnose", "evaluate", "plot")
    )
    assert "memory is predict of a" in summary({"a": with_rows}, tables)
    assert "predict" not in summary({"a": without}, tables)
    assert summary({"a": without}, tables).startswith(
        "1 dataset with 100 rows: 1 chain in 1 job keeps 5,000 draws.\n"
    )


def test_the_summary_says_where_the_compiled_engine_does_not_pay() -> None:
    tables = dict.fromkeys("ab", Table(1000, 3, 1))
    slow, fast = ({"engine": "numba", "precision": precision} for precision in ("float64", "float32"))
    assert "numba" not in summary({"a": settings_of(network=fast), "b": settings_of()}, tables)
    said = summary({"a": settings_of(network=slow), "b": settings_of(network=fast)}, tables)
    assert "gains little or nothing in float64 (a): set network.precision: float32" in said.splitlines()[2]
    assert "(a and 1 more)" in summary(dict.fromkeys("ab", settings_of(network=slow)), tables)
