"""New rows: predictions that agree with those of the test rows, a flag for extrapolation, errors with their place."""

import contextlib
import dataclasses
import hashlib
import json
import os
import pickle
import shutil
import tempfile
from dataclasses import replace
from pathlib import Path

import h5netcdf
import numpy as np
import pandas as pd
import pytest

from bnn.__main__ import main
from bnn.core.errors import ResultError
from bnn.core.formatting import as_given
from bnn.core.storage import read_netcdf, write_netcdf
from bnn.data.encoding import Encoded
from bnn.data.new_row_files import read_features
from bnn.data.preparation import prepare
from bnn.posterior.far_rows import relative_distance, why_far
from bnn.posterior.new_rows import (
    Said,
    _filled_in,
    check_place,
    default_out_path,
    origin,
    predict_file,
    write_log,
)
from bnn.posterior.posterior_file import PosteriorFile
from scripts import predict
from tests.refusals import refused
from tests.unit.synthetic_chains import (
    LIKELIHOOD,
    combined,
    independent_theta,
    layout_of,
    make_dataset,
    write_chains,
)

_MADE = tempfile.TemporaryDirectory()


def finished_run(folder, dataset, likelihood=LIKELIHOOD):
    """Return a folder of results, and what its posterior holds; it is made once for each table, and copied."""
    made = Path(_MADE.name) / hashlib.sha256(pickle.dumps((dataset, likelihood))).hexdigest()
    if not made.exists():
        layout = layout_of(dataset, likelihood)
        theta = independent_theta(dataset, n_chains=2, n_draws=200, layout=layout)
        combined(dataset, write_chains(made, theta, layout), likelihood=likelihood)
        dataset.save(made / "data.nc")
        write_verdict(made, "PASS")
    results = folder / "results"
    shutil.copytree(made, results)
    return results, PosteriorFile(results / "posterior.nc")


def write_verdict(results, verdict):
    (results / "diagnostics.json").write_text(f'{{"verdict": "{verdict}"}}', encoding="utf-8")


def write_rows(path, dataset, x, **more):
    original = dataset.feature_mean + dataset.feature_scale * x
    columns = dict(zip(dataset.feature_names, original.T, strict=True))
    # Another order than that of the training table, and full precision.
    table = pd.DataFrame({**more, **dict(reversed(columns.items()))})
    table.to_csv(path, index=False, float_format="%.17g")
    return path


@pytest.fixture(scope="module")
def plain_results(tmp_path_factory):
    """A finished run that tests only read."""
    return finished_run(tmp_path_factory.mktemp("plain"), make_dataset("regression"))[0]


@pytest.fixture(scope="module")
def mixed_results(tmp_path_factory):
    return mixed_run(tmp_path_factory.mktemp("mixed"))[1]


@pytest.fixture(params=["classification", "regression", "heteroscedastic"])
def run(request, tmp_path):
    if request.param == "heteroscedastic":
        dataset, likelihood = make_dataset("regression"), replace(LIKELIHOOD, family="heteroscedastic")
    else:
        dataset, likelihood = make_dataset(request.param), LIKELIHOOD
    return dataset, *finished_run(tmp_path, dataset, likelihood)


def test_predictions_of_test_rows_are_those_of_the_run(run, tmp_path):
    dataset, results, idata = run
    path = write_rows(tmp_path / "new.csv", dataset, dataset.x_test)
    notes, doubts = predict_file(results, path, tmp_path / "out.csv")
    table = pd.read_csv(tmp_path / "out.csv")
    assert table["row"].tolist() == [2, 3, 4, 5, 6]
    group = idata["predictions"]
    if dataset.task == "classification":
        probability = group["probability"].values.mean(axis=(0, 1), dtype=float)
        found = table[[f"probability_{name}" for name in dataset.class_names]].to_numpy()
        assert np.allclose(found, probability, rtol=1e-5)
        assert table["predicted"].tolist() == [dataset.class_names[i] for i in probability.argmax(axis=1)]
        parts = table["entropy_aleatoric"] + table["mutual_information"]
        assert np.allclose(table["entropy_total"], parts)
    else:
        assert np.allclose(table["mean"], group["mean"].values.mean(axis=(0, 1), dtype=float), rtol=1e-5)
        assert np.allclose(table["sd"] ** 2, table["sd_epistemic"] ** 2 + table["sd_aleatoric"] ** 2)
        noise = np.mean(np.square(group["noise_sd"].values, dtype=float), axis=(0, 1))
        assert np.allclose(table["sd_aleatoric"] ** 2, noise, rtol=1e-5)
        ends = ["lower_95", "lower_90", "lower_50", "upper_50", "upper_90", "upper_95"]
        assert (np.diff(table[ends].to_numpy(), axis=1) > 0).all()
        # Quantiles of 400 draws: an end of the 50 % interval is known to about 7 % of a standard deviation.
        drawn = np.quantile(group["y"].values.reshape(-1, 5), 0.75, axis=0)
        assert np.abs(table["upper_50"] - drawn).max() < 0.4 * table["sd"].max()
    far = f"5 rows predicted, {table['far'].sum()} of them far from the training rows"
    assert (notes[0], notes[-1], doubts) == (far, "verdict PASS", [])
    assert (table["far_because"].notna() == (table["far"] == 1)).all()
    first = (tmp_path / "out.csv").read_bytes()
    predict_file(results, path, tmp_path / "out.csv")
    assert (tmp_path / "out.csv").read_bytes() == first


def test_rows_far_out_are_flagged_and_features_out_of_range_named(tmp_path):
    dataset = make_dataset("regression", n_train=200)
    results, _ = finished_run(tmp_path, dataset)
    near, out = np.median(dataset.x_train, axis=0), np.array([0.0, 30.0])
    path = write_rows(tmp_path / "new.csv", dataset, np.stack([near, out, -out]))
    notes, _ = predict_file(results, path, tmp_path / "out.csv")
    table = pd.read_csv(tmp_path / "out.csv", keep_default_na=False)
    assert table["far"].tolist() == [0, 1, 1]
    assert table["outside_range"].tolist() == ["", "width", "width"]
    assert table["distance"][0] < 1 < 10 < table["distance"][1]
    # Each says which value, and between which the training rows lie.
    mean, scale = dataset.feature_mean[1], dataset.feature_scale[1]
    assert table["far_because"][0] == ""
    for row, value in ((1, mean + 30 * scale), (2, mean - 30 * scale)):
        assert table["far_because"][row].startswith(f"width {as_given(value)} is beyond all training rows (")
    assert sorted(note[:12] for note in notes[1:3]) == ["row 3 is far", "row 4 is far"]


def test_a_row_in_a_hole_is_far_though_each_of_its_values_is_usual():
    dataset = make_dataset("regression", n_train=200)
    ring = dataset.x_train / np.linalg.norm(dataset.x_train, axis=1, keepdims=True) * 3
    hollow = replace(dataset, x_train=ring)
    x = np.array([[0.0, 0.0], ring[0]])
    distance = relative_distance(ring, x)
    inside, on = why_far(hollow, x, distance)
    assert distance[0] > 1 > distance[1] and on == ""
    assert "where the nearest training rows have" in inside and "beyond" not in inside


def test_a_value_beyond_all_training_rows_is_named_beside_one_that_is_farther():
    dataset = make_dataset("regression", n_train=200)
    (said,) = why_far(dataset, np.array([[30.0, 3000.0]]), np.array([9.0]))
    assert [part.split()[0] for part in said.split("; ")] == [*dataset.feature_names[::-1]]
    assert said.count("is beyond all training rows") == 2


@pytest.mark.parametrize(("value", "expected"), [(1.0, "width is missing"), (0.0, "width is there")])
def test_a_missing_value_that_makes_a_row_far_is_told_in_words(value, expected):
    dataset = make_dataset("regression", n_train=200)
    rng = np.random.default_rng(0)
    x_train = np.column_stack([rng.normal(size=200), rng.random(200) < 0.1]).astype(float)
    names = (dataset.feature_names[0], "width is missing")
    mean, scale = np.array([5.0, 0.0]), np.array([2.0, 1.0])
    given = replace(
        dataset, x_train=x_train, feature_names=names, feature_mean=mean, feature_scale=scale, columns=None
    )
    # One of the five nearest training rows alone is like it.
    given.x_train[:, 1] = 1.0 - value
    given.x_train[0, 1] = value
    (said,) = why_far(given, np.array([[0.0, value]]), np.array([2.0]))
    share = "20.0" if value else "80.0"
    assert said.startswith(f"{expected}; of the nearest training rows {share} % miss it"), said


def test_the_largest_and_smallest_training_values_are_not_out_of_range(tmp_path):
    dataset = make_dataset("regression", n_train=50)
    results, _ = finished_run(tmp_path, dataset)
    predict_file(results, write_rows(tmp_path / "new.csv", dataset, dataset.x_train), tmp_path / "out.csv")
    table = pd.read_csv(tmp_path / "out.csv", keep_default_na=False)
    assert (table["outside_range"] == "").all()


def test_a_hole_between_the_data_is_far_though_it_is_in_their_midst():
    rng = np.random.default_rng(0)
    x_train = (rng.choice([-1, 1], size=100) * rng.uniform(3, 5, size=100))[:, None]
    distance = relative_distance(x_train, np.array([[0.0], [4.0], [-4.0], [9.0]]))
    assert (distance[[0, 3]] > 1).all() and (distance[[1, 2]] < 1).all()


def test_one_training_row_in_a_hundred_would_be_flagged_by_the_others():
    """The threshold is the 99 % quantile of training rows: of new rows like them about 1 % are beyond."""
    rng = np.random.default_rng(1)
    x_train, x = rng.standard_normal((2000, 3)), rng.standard_normal((4000, 3))
    assert 0.004 < np.mean(relative_distance(x_train, x) > 1) < 0.02


def test_equal_rows_and_few_rows_have_a_distance():
    assert relative_distance(np.zeros((5, 2)), np.array([[0.0, 0.0], [3.0, 4.0]])).tolist() == [0.0, 5.0]
    few = relative_distance(np.array([[0.0], [1.0], [2.0]]), np.array([[1.0], [50.0]]))
    assert few[0] < 1 < few[1]


def test_a_target_in_the_file_is_ignored_and_said_to_be(run, tmp_path, capsys):
    dataset, results, _ = run
    without = write_rows(tmp_path / "without.csv", dataset, dataset.x_test)
    own = {dataset.target_name: ["any", "thing", "", "at", "all"]}
    with_target = write_rows(tmp_path / "with.csv", dataset, dataset.x_test, **own)
    assert main(["predict", str(results), str(without), "-o", str(tmp_path / "a.csv")]) == 0
    assert "ignored" not in capsys.readouterr().out
    assert main(["predict", str(results), str(with_target), "--out", str(tmp_path / "b.csv")]) == 0
    assert f"the column '{dataset.target_name}' is the target: it was ignored" in capsys.readouterr().out
    assert (tmp_path / "a.csv").read_bytes() == (tmp_path / "b.csv").read_bytes()


def test_without_a_place_predictions_lie_beside_the_results(tmp_path, capsys):
    dataset = make_dataset("regression")
    results, _ = finished_run(tmp_path, dataset)
    path = write_rows(tmp_path / "tomorrow.csv", dataset, dataset.x_test)
    assert main(["predict", str(results), str(path)]) == 0
    out = default_out_path(results, path)
    assert out == results / "predictions" / "tomorrow.csv" and out.is_file()
    assert str(out) in capsys.readouterr().out


def test_predictions_of_another_file_of_the_same_name_are_not_replaced(tmp_path, capsys):
    dataset = make_dataset("regression")
    results, _ = finished_run(tmp_path, dataset)
    paths = [tmp_path / name / "rows.csv" for name in "ab"]
    for path, x in zip(paths, (dataset.x_test, dataset.x_test[:2]), strict=True):
        path.parent.mkdir()
        write_rows(path, dataset, x)
    first, second = ["predict", str(results), str(paths[0])], ["predict", str(results), str(paths[1])]
    assert main(first) == 0
    out = default_out_path(results, paths[0])
    before = out.read_bytes()
    assert main(second) == 1
    said = capsys.readouterr().err
    assert said.startswith(f'error: {out} holds predictions (of the rows in "{paths[0]}"): say --replace if')
    assert said.count("\n") == 1 and out.read_bytes() == before
    assert main(first) == 0, "those of the same file may be made again"
    assert main([*second, "--out", str(tmp_path / "other.csv")]) == 0
    assert out.read_bytes() == before
    assert main([*second, "--replace"]) == 0
    assert out.read_bytes() == (tmp_path / "other.csv").read_bytes() != before
    assert main(second) == 0
    assert main(first) == 1
    (results / "logs" / "predict_rows.log").unlink()
    assert main(second) == 1, "nobody knows whose they are"
    assert "which may be those of another file" in capsys.readouterr().err


def test_a_name_of_a_file_that_is_not_utf_8_can_be_written_down(tmp_path):
    path = tmp_path / os.fsdecode(b"gr\xf6\xc3\x9fe.csv")
    said = origin(path)
    assert said == f'of the rows in "{tmp_path}/gr\\\\xf6ße.csv"'
    write_log(tmp_path, path, Said(["5 rows"], []))
    default_out_path(tmp_path, path).parent.mkdir()
    default_out_path(tmp_path, path).touch()
    check_place(tmp_path, path)


def test_the_workflow_says_whose_predictions_are_there(tmp_path, capsys):
    dataset = make_dataset("regression")
    results, _ = finished_run(tmp_path, dataset)
    path = write_rows(tmp_path / "rows.csv", dataset, dataset.x_test)
    (results / "logs").mkdir(exist_ok=True)
    log = results / "logs" / "predict_rows.log"
    with log.open("w") as file, contextlib.redirect_stdout(file):
        predict.main(results / "posterior.nc", path, default_out_path(results, path))
    assert main(["predict", str(results), str(path)]) == 0
    (tmp_path / "b").mkdir()
    other = write_rows(tmp_path / "b" / "rows.csv", dataset, dataset.x_test)
    assert main(["predict", str(results), str(other)]) == 1
    assert f'of the rows in "{path}"' in capsys.readouterr().err


GOOD = "length,width\n1,2\n3,4\n"


@pytest.mark.parametrize(
    ("text", "code", "place"),
    [
        ("", "file-empty", []),
        ("length,width\n", "no-rows", []),
        ("length\n1\n", "column-missing", ["row 1", "width"]),
        ("depth\n1\n", "column-missing", ["row 1", "length", "width"]),
        ("length,width,colour,size\n1,2,3,4\n", "column-unknown", ["row 1", "colour", "size"]),
        ("length,widht\n1,2\n", "column-missing", ["width", "'widht'"]),
        (
            GOOD.replace("width", "width,colour").replace(",2", ",2,5").replace(",4", ",4,5"),
            "column-unknown",
            ["row 1", "colour"],
        ),
        (GOOD.replace("4", "four"), "not-a-number", ["'width'", "row 3", "'four'"]),
        (GOOD.replace("4", ""), "value-missing", ["'width'", "row 3"]),
        (GOOD.replace("4", "nan"), "value-missing", ["'width'", "row 3"]),
        (GOOD.replace("4", "inf"), "number-too-large", ["'width'", "row 3", "inf"]),
        (GOOD.replace("3,4", "3"), "row-length", ["row 3"]),
        (GOOD.replace(",", ";"), "wrong-separator", []),
        ("length,width,length\n1,2,3\n", "name-twice", ["row 1", "'length'"]),
    ],
)
def test_a_fault_of_the_file_is_one_line_with_its_place_and_nothing_is_written(
    plain_results, tmp_path, capsys, text, code, place
):
    path, out = tmp_path / "new.csv", tmp_path / "out" / "out.csv"
    path.write_text(text, encoding="utf-8")
    assert main(["predict", str(plain_results), str(path), "-o", str(out)]) == 1
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith(f"error: {path}: ") and said.err.endswith(f" [{code}]\n")
    assert said.err.count("\n") == 1 and all(part in said.err for part in place)
    assert not out.parent.exists()


def test_an_old_file_of_predictions_survives_a_fault(tmp_path):
    dataset = make_dataset("regression")
    results, _ = finished_run(tmp_path, dataset)
    path, out = tmp_path / "new.csv", tmp_path / "out.csv"
    path.write_text(GOOD.replace("4", "four"), encoding="utf-8")
    out.write_text("old", encoding="utf-8")
    with refused("not-a-number", file="new.csv", column="width", row=3, value="four"):
        predict_file(results, path, out)
    assert out.read_text(encoding="utf-8") == "old"


@pytest.mark.parametrize(
    ("verdict", "said"),
    [
        ("FAIL", "warning: verdict FAIL: the chains did not converge: do not use the uncertainties\n"),
        ("WARN", "warning: verdict WARN: a figure of the chains misses its threshold: "),
        ("PASS", ""),
        (None, "whether the chains converged is not known"),
    ],
)
def test_doubt_in_the_chains_is_said_beside_the_predictions(tmp_path, capsys, verdict, said):
    dataset = make_dataset("regression")
    results, _ = finished_run(tmp_path, dataset)
    if verdict:
        write_verdict(results, verdict)
    else:
        (results / "diagnostics.json").unlink()
    path, out = tmp_path / "new.csv", tmp_path / "out.csv"
    path.write_text(GOOD, encoding="utf-8")
    assert main(["predict", str(results), str(path), "-o", str(out)]) == 0
    found = capsys.readouterr()
    assert out.is_file() and "2 rows predicted" in found.out
    assert ("verdict PASS" in found.out) == (verdict == "PASS")
    assert found.err.count("\n") == (verdict != "PASS") and said in found.err
    log = tmp_path / "log"
    with log.open("w") as file, contextlib.redirect_stdout(file):
        predict.main(results / "posterior.nc", path, out)
    assert said.rstrip("\n") in log.read_text()


@pytest.mark.parametrize("how", ["same", "roundabout", "link"])
def test_predictions_do_not_replace_the_rows(tmp_path, capsys, how):
    dataset = make_dataset("regression")
    results, _ = finished_run(tmp_path, dataset)
    path = tmp_path / "new.csv"
    path.write_text(GOOD, encoding="utf-8")
    out = {"same": path, "roundabout": tmp_path / "results" / ".." / "new.csv", "link": tmp_path / "l.csv"}[
        how
    ]
    if how == "link":
        out.symlink_to(path)
    assert main(["predict", str(results), str(path), "-o", str(out)]) == 1
    assert "new.csv: the predictions would replace the file of the rows" in capsys.readouterr().err
    assert path.read_text(encoding="utf-8") == GOOD


def mixed_run(tmp_path):
    """A run on a table with a text, a truth value, missing values, a constant and a column that the config drops."""
    rng = np.random.default_rng(0)
    n = 60
    frame = pd.DataFrame(
        {
            "size": rng.normal(size=n).round(3),
            "town": rng.choice(["Delft", "Leiden"], n),
            "garden": rng.choice(["yes", "no"], n),
            "same": 3,
            "id": [f"k{i}" for i in range(n)],
            "y": rng.normal(size=n),
        }
    )
    frame.loc[3, "size"] = np.nan
    frame.to_csv(tmp_path / "a.csv", index=False, sep=";", decimal=",")
    source = {"kind": "csv", "path": str(tmp_path / "a.csv"), "target": "y", "drop": ["id"]}
    dataset = prepare(
        "toy",
        task="regression",
        source={**source, "separator": ";", "decimal": ","},
        split={"method": "random", "test_size": 0.2, "stratify": False, "seed": 1},
        columns={"missing": "impute"},
    )
    return dataset, finished_run(tmp_path, dataset)[0], frame


def test_new_rows_are_treated_like_the_training_table(tmp_path, capsys):
    dataset, results, frame = mixed_run(tmp_path)
    path = tmp_path / "new.csv"
    frame.loc[dataset.row_test].to_csv(path, index=False, sep=";", decimal=",")
    assert main(["predict", str(results), str(path), "-o", str(tmp_path / "whole.csv")]) == 0
    said = capsys.readouterr().out
    assert "the column 'y' is the target: it was ignored" in said
    assert "columns that the network does not use were ignored: same, id" in said
    # As the table says what the columns are, the rest may be left out, in any order.
    chosen = frame.loc[dataset.row_test, ["garden", "town", "size"]]
    chosen.to_csv(path, index=False, sep=";", decimal=",")
    assert main(["predict", str(results), str(path), "-o", str(tmp_path / "few.csv")]) == 0
    assert "ignored" not in capsys.readouterr().out
    assert (tmp_path / "few.csv").read_bytes() == (tmp_path / "whole.csv").read_bytes()


def test_new_rows_keep_their_names_where_the_file_has_them(tmp_path):
    source = {"kind": "csv", "path": str(tmp_path / "a.csv"), "target": "y", "row_id": "id"}
    split = {"method": "random", "test_size": 0.2, "stratify": False, "seed": 1}
    frame = pd.DataFrame(
        {"id": [f"k{i}" for i in range(30)], "a": np.arange(30.0) ** 2, "y": np.arange(30.0)}
    )
    frame["b"] = np.sin(frame["a"])
    frame.to_csv(tmp_path / "a.csv", index=False)
    dataset = prepare("toy", task="regression", source=source, split=split)
    results, _ = finished_run(tmp_path, dataset)
    for name, columns in (("with", ["id", "b", "a"]), ("without", ["a", "b"])):
        frame[columns].to_csv(tmp_path / "new.csv", index=False)
        said = predict_file(results, tmp_path / "new.csv", tmp_path / f"{name}.csv")
        assert not any("ignored" in note for note in said.notes)
    named, plain = (pd.read_csv(tmp_path / f"{name}.csv") for name in ("with", "without"))
    assert named["id"].tolist() == frame["id"].tolist()
    pd.testing.assert_frame_equal(named.drop(columns="id"), plain)


@pytest.mark.parametrize("lost", ["first_row", "text_format", "row_test"])
def test_a_run_of_another_version_is_to_be_run_again(tmp_path, capsys, lost):
    dataset = make_dataset("regression")
    results, _ = finished_run(tmp_path, dataset)
    variables, attributes = read_netcdf(results / "data.nc")
    kept = {
        name: (tuple(f"{name}_{axis}" for axis in range(array.ndim)), array)
        for name, array in variables.items()
        if name != lost
    }
    attributes.pop(lost, None)
    write_netcdf(results / "data.nc", kept, attributes)
    path = write_rows(tmp_path / "new.csv", dataset, dataset.x_test)
    assert main(["predict", str(results), str(path)]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"error: {results / 'data.nc'} ")
    assert f"({lost})" in line and line.endswith("[written-by-another-version]")


def test_all_columns_that_were_filled_in_are_named_in_a_row() -> None:
    missing = {"size": np.array([True, False, False]), "town": np.array([True, True, False])}
    assert _filled_in(Encoded(np.zeros((3, 2)), missing, {})).tolist() == ["size;town", "town", ""]
    assert _filled_in(Encoded(np.zeros((2, 2)), {}, {})).tolist() == ["", ""]


def test_texts_never_seen_and_missing_values_are_told(tmp_path, capsys):
    _, results, _ = mixed_run(tmp_path)
    path = tmp_path / "new.csv"
    path.write_text("size;town;garden\n;Delft;no\n1,5;Paris;yes\n2;Rome;yes\n2;Rome;yes\n", encoding="utf-8")
    assert main(["predict", str(results), str(path), "-o", str(tmp_path / "out.csv")]) == 0
    said = capsys.readouterr().out
    assert "column 'size': 1 row without a value, filled in as in training" in said
    assert "column 'town': 3 rows with a text that no training row has ('Paris', 'Rome')" in said
    table = pd.read_csv(tmp_path / "out.csv", keep_default_na=False)
    assert table["filled_in"].tolist() == ["size", "", "", ""]


@pytest.mark.parametrize(
    ("text", "code", "place"),
    [
        ("size;town;garden\nbig;Delft;no\n", "not-a-number", ["'size'", "row 2", "'big'"]),
        (
            "size;town;garden\n1;Delft;no\n1;Delft;maybe\n",
            "other-kind",
            ["'garden'", "row 3", "'maybe'"],
        ),
        ("size;town;garden\n1.5;Delft;no\n", "not-a-number", ["'size'", "'1.5'", "source.decimal"]),
        ("size,town,garden\n1,Delft,no\n", "wrong-separator", []),
        ("size;garden\n1;no\n", "column-missing", ["row 1", "town"]),
        ("size;town;garden;colour\n1;Delft;no;red\n", "column-unknown", ["row 1", "colour"]),
    ],
)
def test_faults_of_new_rows_of_such_a_table(mixed_results, tmp_path, capsys, text, code, place):
    path = tmp_path / "new.csv"
    path.write_text(text, encoding="utf-8")
    assert main(["predict", str(mixed_results), str(path), "-o", str(tmp_path / "out.csv")]) == 1
    error = capsys.readouterr().err
    assert error.startswith(f"error: {path}: ") and error.endswith(f" [{code}]\n")
    assert all(part in error for part in place)
    assert not (tmp_path / "out.csv").exists()


def test_one_row_is_one_row(tmp_path):
    dataset = make_dataset("regression")
    results, _ = finished_run(tmp_path, dataset)
    path = tmp_path / "new.csv"
    path.write_text("length,width\n1,2\n", encoding="utf-8")
    assert predict_file(results, path, tmp_path / "out.csv").notes[0].startswith("1 row predicted, ")


def test_a_repeated_dataset_has_no_network_of_its_own(tmp_path, capsys):
    """Files of a run before repeats were asked for may still lie in its folder."""
    dataset = make_dataset("regression")
    results, _ = finished_run(tmp_path, dataset)
    path = write_rows(tmp_path / "new.csv", dataset, dataset.x_test)
    (results / "repeats.json").write_text("{}", encoding="utf-8")
    assert main(["predict", str(results), str(path)]) == 1
    assert f"name the folder of one, such as {results}.0" in capsys.readouterr().err
    assert not default_out_path(results, path).exists()


def test_missing_files_are_named(tmp_path, capsys):
    dataset = make_dataset("regression")
    results, _ = finished_run(tmp_path, dataset)
    assert main(["predict", str(results), str(tmp_path / "none.csv")]) == 1
    assert "none.csv: there is no such file; check its name" in capsys.readouterr().err
    assert main(["predict", str(tmp_path / "nowhere"), str(tmp_path / "none.csv")]) == 1
    assert "name the folder of a dataset whose chains have run" in capsys.readouterr().err


def test_features_come_in_the_order_asked_for(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text("b,target,a\n1,x,2\n3,,4\n", encoding="utf-8")
    found = read_features(str(path), {"a": "number", "b": "number"}, ignored=["target"])
    assert found.x.to_numpy().tolist() == [[2.0, 1.0], [4.0, 3.0]] and found.ignored == ("target",)
    assert found.x.columns.tolist() == ["a", "b"]


def test_a_table_of_many_rows_is_predicted_in_parts(tmp_path, monkeypatch):
    dataset = make_dataset("classification")
    results, _ = finished_run(tmp_path, dataset)
    path = write_rows(tmp_path / "new.csv", dataset, dataset.x_test)
    predict_file(results, path, tmp_path / "whole.csv")
    monkeypatch.setattr("bnn.posterior.new_rows._ROWS_AT_ONCE", 2)
    predict_file(results, path, tmp_path / "parts.csv")
    whole, parts = (pd.read_csv(tmp_path / f"{name}.csv") for name in ("whole", "parts"))
    pd.testing.assert_frame_equal(whole, parts)


def test_draws_of_another_network_than_the_settings_say_are_refused(tmp_path):
    dataset = make_dataset("regression")
    results, _ = finished_run(tmp_path, dataset)
    other = dataclasses.replace(
        dataset,
        x_train=dataset.x_train[:, :1],
        x_test=dataset.x_test[:, :1],
        feature_names=("length",),
        columns=None,
        feature_mean=dataset.feature_mean[:1],
        feature_scale=dataset.feature_scale[:1],
    )
    other.save(results / "data.nc")
    path = tmp_path / "new.csv"
    path.write_text("length\n1\n", encoding="utf-8")
    before = shutil.copytree(results, tmp_path / "before")
    with refused("other-table", file="posterior.nc"):
        predict_file(results, path, tmp_path / "out.csv")
    with h5netcdf.File(before / "posterior.nc", "a") as file:  # as earlier versions wrote it
        del file["posterior"].attrs["table"]
    with refused("other-parameters", kind=ResultError):
        predict_file(before, path, tmp_path / "out.csv")


def test_draws_do_not_replace_the_rows_that_are_predicted(run, tmp_path):
    dataset, results, _ = run
    path = write_rows(tmp_path / "rows_draws.csv", dataset, dataset.x_test)
    before = path.read_bytes()
    with refused("would-replace-input", file="rows_draws.csv"):
        predict_file(results, path, tmp_path / "rows.csv", n_draws=3)
    assert (path.read_bytes(), (tmp_path / "rows.csv").exists()) == (before, False)


def test_quantiles_and_draws_are_written_on_request(run, tmp_path, capsys):
    dataset, results, _ = run
    path, out = write_rows(tmp_path / "new.csv", dataset, dataset.x_test), tmp_path / "out.csv"
    asked = ["predict", str(results), str(path), "-o", str(out), "--draws", "300"]
    if dataset.task == "classification":
        assert main([*asked, "--quantiles", "0.5"]) == 1
        assert capsys.readouterr().err.endswith("[no-quantiles]\n") and not out.exists()
        assert main(asked) == 0
    else:
        assert main([*asked, "--quantiles", "0.05", "0.5", "0.95"]) == 0
    table, drawn = pd.read_csv(out), pd.read_csv(tmp_path / "out_draws.csv")
    assert drawn["row"].tolist() == table["row"].tolist() and drawn.shape == (5, 301)
    values = drawn.drop(columns="row").to_numpy()
    if dataset.task == "classification":
        share = (values == dataset.class_names[0]).mean(axis=1)
        error = np.sqrt(0.25 / 300)
        assert np.abs(share - table[f"probability_{dataset.class_names[0]}"]).max() < 5 * error
    else:
        ends = table[["quantile_0.05", "quantile_0.5", "quantile_0.95"]].to_numpy()
        assert np.array_equal(ends[:, [0, 2]], table[["lower_90", "upper_90"]]), "they are the same quantiles"
        assert (np.diff(ends, axis=1) > 0).all()
        inside = ((values > ends[:, :1]) & (values < ends[:, 2:])).mean()
        assert abs(inside - 0.9) < 5 * np.sqrt(0.9 * 0.1 / 300), "a false alarm in a million at most"


@pytest.mark.parametrize(
    ("asked", "code", "value"),
    [
        ({"quantiles": [0.0]}, "wrong-quantile", "0.0"),
        ({"quantiles": [5.0]}, "wrong-quantile", "5.0"),
        ({"n_draws": -1}, "wrong-draws", "-1"),
        ({"n_draws": 10**6}, "wrong-draws", "1000000"),
    ],
)
def test_quantiles_and_draws_that_there_cannot_be_are_refused(plain_results, tmp_path, asked, code, value):
    path = tmp_path / "new.csv"
    path.write_text(GOOD, encoding="utf-8")
    with refused(code, value=value):
        predict_file(plain_results, path, tmp_path / "out.csv", **asked)
    assert not (tmp_path / "out.csv").exists()


def test_calibrated_intervals_and_label_sets_follow_the_limits_of_the_run(run, tmp_path):
    dataset, results, _ = run
    path = write_rows(tmp_path / "new.csv", dataset, dataset.x_test)
    predict_file(results, path, tmp_path / "plain.csv")
    first = 0.0 if dataset.task == "classification" else 0.9
    levels = [{"level": 0.5, "limit": first}, {"level": 0.9, "limit": 1.25}, {"level": 0.95, "limit": None}]
    (results / "metrics.json").write_text(json.dumps({"conformal": {"levels": levels}}), encoding="utf-8")
    predict_file(results, path, tmp_path / "out.csv")
    plain, table = pd.read_csv(tmp_path / "plain.csv"), pd.read_csv(tmp_path / "out.csv")
    pd.testing.assert_frame_equal(table[plain.columns], plain)
    if dataset.task == "classification":
        held = [
            table[[f"set_{level}_{name}" for name in dataset.class_names]].to_numpy() for level in (50, 95)
        ]
        probability = table[[f"probability_{name}" for name in dataset.class_names]].to_numpy()
        assert np.array_equal(held[0].argmax(axis=1), probability.argmax(axis=1))
        assert held[0].sum() == len(table) and held[1].all()
        return
    assert np.array_equal(table["lower_50_conformal"], table["lower_90"])
    assert np.array_equal(table["upper_50_conformal"], table["upper_90"])
    assert (table["upper_90_conformal"] > table["upper_95"]).all()
    assert np.isinf(table["lower_95_conformal"]).all()


def test_metrics_without_calibration_change_nothing(plain_results, tmp_path):
    dataset = make_dataset("regression")
    path = write_rows(tmp_path / "new.csv", dataset, dataset.x_test)
    predict_file(plain_results, path, tmp_path / "out.csv")
    results = shutil.copytree(plain_results, tmp_path / "copied")
    (results / "metrics.json").write_text("{}", encoding="utf-8")
    predict_file(results, path, tmp_path / "again.csv")
    assert (tmp_path / "again.csv").read_bytes() == (tmp_path / "out.csv").read_bytes()
