"""Lines that a message or a doubt gives to paste do what they say, through the config and back."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

from bnn.__main__ import main
from bnn.config.loading import load
from bnn.core.errors import DataError
from bnn.data.dataset import Dataset
from bnn.data.file_kinds import opened
from bnn.data.new_row_files import read_features
from tests.configured import prepared
from tests.refusals import refused

N = 40


def csv(path: Path, text: str) -> dict[str, Any]:
    path.write_text(text, encoding="utf-8")
    return {"kind": "csv", "path": str(path), "target": "y"}


def table(b: Any, *, y: Any = lambda i: i * 1.5) -> str:
    return "y,b\n" + "".join(f"{y(i)},{b(i)}\n" for i in range(N))


def codes(found: Dataset) -> dict[str, str]:
    return {doubt.code: doubt.text for doubt in found.doubts}


def pasted(text: str) -> dict[str, Any]:
    """Return the keys of a source that a message names with their values."""
    keys = re.findall(r"source\.(\w+): (\{[^}]*\}|\[[^\]]*\]|'[^']*'|[^\s;,()]+)", text)
    return {key: yaml.safe_load(value) for key, value in keys}


def values(found: Dataset, name: str) -> np.ndarray:
    """Return a feature in units of the file, by rows of the file, standardised away."""
    place = found.feature_names.index(name)
    x = np.concatenate([found.x_train, found.x_test])[:, place]
    order = np.argsort(np.concatenate([found.row_train, found.row_test]))
    return np.asarray((x * found.feature_scale[place] + found.feature_mean[place])[order])


@pytest.mark.parametrize("words", [["-999"], {"b": ["-999"], "c": []}, [], {}])
def test_words_for_a_missing_value_come_through_the_config_as_they_are(words: Any) -> None:
    source = {"kind": "csv", "path": "a.csv", "target": "y", "missing_words": words}
    raw = {"task": "regression", "source": source}
    settings = load({"datasets": {"mine": raw}}).datasets["mine"].model_dump(mode="json")
    assert settings["source"]["missing_words"] == words


@pytest.mark.parametrize("beside", ["", "NA"])
@pytest.mark.parametrize("kind", ["csv", "parquet", "feather", "excel"])
def test_a_number_that_stands_for_a_missing_value_is_none_once_the_line_is_pasted(
    tmp_path: Path, kind: str, beside: str
) -> None:
    def cell(i: int) -> Any:
        return -999 if i % 7 == 0 else beside if i % 7 == 1 else 10 + (i * 13) % 17

    if kind == "csv":
        source = csv(tmp_path / "a.csv", table(cell))
    else:
        frame = pd.DataFrame({"y": np.arange(N) * 1.5, "b": [cell(i) for i in range(N)]})
        frame["b"] = pd.to_numeric(frame["b"], errors="coerce")
        path = tmp_path / "a"
        {"parquet": frame.to_parquet, "feather": frame.to_feather}.get(
            kind, lambda path: frame.to_excel(f"{path}.xlsx", index=False)
        )(path)
        source = {"kind": kind, "path": f"{path}.xlsx" if kind == "excel" else str(path), "target": "y"}
    found = prepared(source)
    line = pasted(codes(found)["far-from-the-rest"])
    again = prepared(source | {"missing_words": line["missing_words"]})
    assert "far-from-the-rest" not in codes(again)
    (column,) = [one for one in again.columns or () if one.name == "b"]
    assert column.n_missing + column.n_missing_test == 12
    assert values(again, "b").min() >= 10


def test_a_line_to_paste_keeps_the_words_that_the_config_has(tmp_path: Path) -> None:
    text = "y,a,b\n" + "".join(
        f"{i},{'?' if i % 5 == 0 else i % 11},{-999 if i % 7 == 0 else 10 + i % 13}\n" for i in range(N)
    )
    source = csv(tmp_path / "a.csv", text)
    for words in (["?"], {"a": ["?"]}):
        told = codes(prepared(source | {"missing_words": words}))["far-from-the-rest"]
        again = prepared(source | pasted(told))
        assert {"far-from-the-rest", "text-among-numbers"}.isdisjoint(codes(again))
        assert values(again, "b").min() >= 10


def test_targets_without_a_value_are_left_out_in_typed_files_too(tmp_path: Path) -> None:
    y = [-999.0 if i % 10 == 0 else i * 1.5 for i in range(N)]
    pd.DataFrame({"y": y, "b": np.arange(N) % 11}).to_parquet(tmp_path / "a.parquet")
    source = {"kind": "parquet", "path": str(tmp_path / "a.parquet"), "target": "y"}
    found = prepared(source | pasted(codes(prepared(source))["far-from-the-rest"]))
    assert len(found.y_train) + len(found.y_test) == N - 4


def test_levels_of_a_categorical_column_may_stand_for_a_missing_value(tmp_path: Path) -> None:
    g = pd.Categorical([["a", "?", "b"][i % 3] for i in range(N)])
    pd.DataFrame({"y": np.arange(N) * 1.5, "g": g}).to_parquet(tmp_path / "a.parquet")
    source = {"kind": "parquet", "path": str(tmp_path / "a.parquet"), "target": "y", "missing_words": ["?"]}
    (column,) = [one for one in prepared(source).columns or () if one.name == "g"]
    assert column.levels == ("a", "b")


@pytest.mark.parametrize("word", ["NA", "-"])
def test_texts_among_the_numbers_of_a_workbook_have_a_remedy(tmp_path: Path, word: str) -> None:
    b = [word if i % 8 == 0 else i % 13 for i in range(N)]
    pd.DataFrame({"y": np.arange(N) * 1.5, "b": b}).to_excel(tmp_path / "a.xlsx", index=False)
    source = {"kind": "excel", "path": str(tmp_path / "a.xlsx"), "target": "y"}
    with refused("mixed-kinds", file="a.xlsx", column="b", row=2, value=word) as caught:
        prepared(source)
    line = {"missing_words": pasted(str(caught.value))["missing_words"]}
    assert values(prepared(source | line), "b").max() == 12


def test_numbers_stored_as_text_in_some_cells_of_a_workbook_are_numbers(tmp_path: Path) -> None:
    b = [str(i % 13) if i % 8 == 0 else i % 13 for i in range(N)]
    pd.DataFrame({"y": np.arange(N) * 1.5, "b": b}).to_excel(tmp_path / "a.xlsx", index=False)
    found = prepared({"kind": "excel", "path": str(tmp_path / "a.xlsx"), "target": "y"})
    assert "5 of its numbers" in codes(found)["numbers-as-text"]
    np.testing.assert_allclose(values(found, "b"), [i % 13 for i in range(N)])


@pytest.mark.parametrize("kind", ["csv", "excel"])
@pytest.mark.parametrize("below", [True, False])
def test_a_line_that_is_left_out_is_a_row_of_a_file_where_it_is_another(
    tmp_path: Path, kind: str, below: bool
) -> None:
    """Units below the header, or a source below the table, stand in the training file alone."""
    extra, line = (["m", "s"], 2) if below else (["Source: me", ""], N + 2)
    body = [[str(i * 1.5), str(10 + i % 7)] for i in range(N)]
    rows = [["y", "b"], extra, *body] if below else [["y", "b"], *body, extra]
    new = [["b"], *[[str(i)] for i in range(10, 10 + N + 3)]]

    def write(name: str, lines: list[list[str]]) -> Path:
        if kind == "csv":
            (tmp_path / f"{name}.csv").write_text("".join(",".join(row) + "\n" for row in lines))
            return tmp_path / f"{name}.csv"
        cells = [[float(cell) if cell.replace(".", "").isdigit() else cell for cell in row] for row in lines]
        pd.DataFrame(cells).to_excel(tmp_path / f"{name}.xlsx", index=False, header=False)
        return tmp_path / f"{name}.xlsx"

    source = {"kind": kind, "path": str(write("train", rows)), "target": "y", "skip_lines": [line]}
    found = prepared(source)
    assert len(found.y_train) + len(found.y_test) == N
    found.save(tmp_path / "data.nc")
    form = Dataset.load(tmp_path / "data.nc").text_format
    x = read_features(str(write("new", new)), {"b": "number"}, ignored=["y"], form=form).x
    assert x["b"].tolist() == list(range(10, 10 + N + 3))
    if below:  # the same line is left out there, too
        same = write("same", [["y", "b"], extra, *body])
        assert len(read_features(str(same), {"b": "number"}, ignored=["y"], form=form).x) == N
    test = prepared(source | {"test": str(write("test", [["y", "b"], *body[:12]]))})
    assert len(test.y_test) == 12


def test_the_line_of_units_is_counted_in_the_file(tmp_path: Path) -> None:
    for start, keys, line in (
        ("# Station 12\n# made by logger\ny,b\ndegC,m\n", {"comment": "#"}, [4]),
        ("sep=;\ny;b\nm3/s;m\n", {"separator": ";"}, [3]),
        ("a title\ny,b\n5s,14n\n", {"skip_lines": 1}, [1, 3]),
    ):
        mark = keys.get("separator", ",")
        body = "".join(f"{i}{mark}{i % 7}\n" for i in range(N))
        source = csv(tmp_path / "a.csv", start + body) | keys
        with pytest.raises(DataError) as caught:
            prepared(source)
        assert pasted(str(caught.value))["skip_lines"] == line
        found = prepared(source | {"skip_lines": line})
        assert len(found.y_train) + len(found.y_test) == N


def test_points_in_thousands_are_doubted_where_semicolons_separate(tmp_path: Path) -> None:
    pops = [1000 + 37 * i for i in range(N)]
    text = "y;pop;d\n" + "".join(f"{i};{p // 1000}.{p % 1000:03};{i / 8:.3f}\n" for i, p in enumerate(pops))
    source = csv(tmp_path / "a.csv", text) | {"separator": ";"}
    found = prepared(source)
    assert [one.column for one in found.doubts if one.code == "points-in-thousands"] == ["pop"]
    without = source | {"drop": ["d"]} | pasted(codes(found)["points-in-thousands"])
    np.testing.assert_allclose(values(prepared(without), "pop"), pops)


@pytest.mark.parametrize("row", ['22,9,"storm on day 7\n12, 5, see log"', '22,9,"0 Main St\n94110, CA, USA"'])
def test_the_end_of_a_line_in_a_text_that_is_left_out_begins_no_row(tmp_path: Path, row: str) -> None:
    lines = [f'{i},{i % 9},"note {i}"' for i in range(N)]
    source = csv(tmp_path / "a.csv", "\n".join(["y,b,notes", *lines[:7], row, *lines[7:]]) + "\n")
    found = prepared(source | {"drop": ["notes"]})
    assert len(found.y_train) + len(found.y_test) == N + 1


def test_a_row_with_values_in_columns_that_are_left_out_is_no_end_of_the_table(tmp_path: Path) -> None:
    text = "y,b,c\n" + "".join(f"{i},{i % 9},{i}\n" for i in range(N)) + ",,5\n1,2,3\n"
    with refused("value-missing", file="a.csv", column="y", row=N + 2):
        prepared(csv(tmp_path / "a.csv", text) | {"drop": ["c"]})


def test_codes_that_are_one_number_are_told(tmp_path: Path) -> None:
    source = csv(tmp_path / "a.csv", table(lambda i: ["3.1", "3.10", "3.11", "3.9"][i % 4]))
    found = prepared(source | {"categorical": ["b"]})
    assert "'3.1' and '3.10'" in codes(found)["levels-merged"]
    same = csv(tmp_path / "a.csv", table(lambda i: ["1.0", "2.0", "1"][i % 3]))
    assert "levels-merged" not in codes(prepared(same | {"categorical": ["b"]}))


@pytest.mark.parametrize(
    ("cell", "code"),
    [
        (lambda i: f"({10 + i % 15})", "numbers-with-marks"),
        (lambda i: f"{10 + i % 15}.3*", "numbers-with-unit"),
        (lambda i: f"~{10 + i % 15}", "numbers-with-marks"),
        (lambda i: f"{10 + i % 15} ± 3", "numbers-with-marks"),
        (lambda i: f"{1 + i % 9}.0D+00", "numbers-with-marks"),
        (lambda i: f"USD {10 + i % 15}", "numbers-with-marks"),
        (lambda i: ["<20", "20-40", "40-60", "60-80", ">80"][i % 5], None),
        (lambda i: f"grade {i % 9}", None),
        (lambda i: f"A{i % 9}", None),
        (lambda i: f"{1 + i % 12:02}/2020", "dates-as-levels"),
        (lambda i: f"20{10 + i % 9}/{11 + i % 9}", "dates-as-levels"),
        (lambda i: f"FY20{10 + i % 9}", "dates-as-levels"),
        (lambda i: ["a", "<undefined>"][i % 2], "like-missing"),
    ],
)
def test_texts_that_hold_numbers_or_times_are_doubted(tmp_path: Path, cell: Any, code: str | None) -> None:
    found = prepared(csv(tmp_path / "a.csv", table(cell)))
    assert set(codes(found)) - {"rows-repeated"} == ({code} if code else set())


@pytest.mark.parametrize(
    "cell",
    [
        lambda i: f"{1 + i % 9:02}JAN2020",
        lambda i: f"{1 + i % 9}:30 AM",
        lambda i: f"{i % 3} days 00:30:00",
        lambda i: f"1:2{i % 9}.3",
    ],
)
def test_dates_and_times_of_other_programs_are_refused(tmp_path: Path, cell: Any) -> None:
    with refused("date-among-features", file="a.csv", column="b", row=2, value=cell(0)):
        prepared(csv(tmp_path / "a.csv", table(cell)))


def test_thin_spaces_stand_between_thousands(tmp_path: Path) -> None:
    source = csv(tmp_path / "a.csv", table(lambda i: f"{1 + i % 9}\u2009{100 + i}"))
    with pytest.raises(DataError) as caught:
        prepared(source)
    line = {"thousands": "\u2009"}
    assert f"source.thousands: '{line['thousands']}'" in str(caught.value)
    assert values(prepared(source | line), "b").max() > 1000


def test_a_column_of_one_file_alone_can_be_left_out(tmp_path: Path) -> None:
    train = csv(tmp_path / "a.csv", "y,b,casual\n" + "".join(f"{i},{i % 9},{i * i}\n" for i in range(N)))
    csv(tmp_path / "t.csv", "b,y,id2\n" + "".join(f"{i % 9},{i},{i + 7}\n" for i in range(12)))
    source = train | {"test": str(tmp_path / "t.csv")}
    with refused("column-missing", column="casual") as caught:
        prepared(source)
    assert pasted(str(caught.value)) == {"drop": ["casual"]}
    found = prepared(source | {"drop": ["casual", "id2"]})
    assert (found.feature_names, len(found.y_test)) == (("b",), 12)
    with refused("column-missing", column="casul", key="source.drop"):
        prepared(source | {"drop": ["casul", "casual", "id2"]})


def test_a_class_called_none_is_offered_as_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    names = ["None", "None", "Insomnia", "Apnea"]
    text = "hours,y\n" + "".join(f"{i % 11 + i / 8},{names[i % 4]}\n" for i in range(N))
    source = csv(tmp_path / "a.csv", text)
    with refused(
        "value-missing", file="a.csv", column="y", row=2, key="source.missing_words", value="None"
    ) as caught:
        prepared(source, task="classification")
    line = {"missing_words": pasted(str(caught.value))["missing_words"]}
    assert prepared(source | line, task="classification").class_names == ("Apnea", "Insomnia", "None")
    monkeypatch.chdir(tmp_path)
    assert main(["draft", "a.csv", "--target", "y"]) == 0
    drafted = yaml.safe_load(capsys.readouterr().out)["datasets"]["a"]
    assert drafted["source"]["missing_words"] == {"y": []}


@pytest.mark.parametrize("name", ["größe", "_x", "2020", "no", "null", "a b"])
def test_a_draft_of_any_file_can_be_checked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    csv(tmp_path / f"{name}.csv", table(lambda i: i % 9))
    monkeypatch.chdir(tmp_path)
    assert main(["draft", f"{name}.csv", "--target", "y"]) == 0
    (tmp_path / "c.yaml").write_text(capsys.readouterr().out, encoding="utf-8")
    assert main(["check", "c.yaml"]) == 0


def test_texts_with_a_decimal_comma_in_a_typed_file_have_a_remedy_that_it_knows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pd.DataFrame({"y": np.arange(N) * 1.5, "b": [f"{i},5" for i in range(N)]}).to_parquet(
        tmp_path / "a.parquet"
    )
    with refused("not-a-number", file="a.parquet", column="b", row=1, value="0,5"):
        prepared({"kind": "parquet", "path": str(tmp_path / "a.parquet"), "target": "y"})
    monkeypatch.chdir(tmp_path)
    main(["draft", "a.parquet", "--target", "y"])
    assert "source.decimal" not in capsys.readouterr().err


@pytest.mark.parametrize(
    ("start", "what"),
    [
        (b"\x28\xb5\x2f\xfd", "an archive"),
        (b"7z\xbc\xaf\x27\x1c", "an archive"),
        (b"Rar!\x1a\x07\x01\x00", "an archive"),
        (b"\x1f\x9d\x90", "an archive"),
        (b"a.csv".ljust(257, b"\0") + b"ustar\x0000", "a tar archive"),
        (b"MATLAB 5.0 MAT-file, Platform: GLNXA64", "a file of MATLAB"),
        (b"% 1. Title: Iris\n%\n%   (a) Creator\n@RELATION iris\n", "an ARFF file"),
    ],
)
def test_files_that_are_no_table_are_called_what_they_are(tmp_path: Path, start: bytes, what: str) -> None:
    (tmp_path / "a.csv").write_bytes(start + b"\n" * 300)
    with refused("no-table") as caught:
        opened(tmp_path / "a.csv")
    assert what in str(caught.value)


def test_months_as_numbers_are_no_times_with_gaps(tmp_path: Path) -> None:
    months = [f"{1990 + i // 12}{1 + i % 12:02}" for i in range(80)]
    source = csv(tmp_path / "a.csv", "t,y\n" + "".join(f"{m},{i % 12}\n" for i, m in enumerate(months)))
    series = {"lags": 3, "time": "t"}
    with refused("time-step-too-long", file="a.csv", column="t", row=14) as caught:
        prepared(source, task="timeseries", series=series)
    assert "199012 to 199101" in str(caught.value)
    assert "1990-12" in str(caught.value)
    dashed = "t,y\n" + "".join(f"{m[:4]}-{m[4:]},{i % 12}\n" for i, m in enumerate(months))
    assert prepared(csv(tmp_path / "a.csv", dashed), task="timeseries", series=series).time_is_date


def test_the_merged_title_of_a_sheet_can_be_skipped(tmp_path: Path) -> None:
    openpyxl = pytest.importorskip("openpyxl")
    book = openpyxl.Workbook()
    for row in [["Report of 2020", None], [None, None], ["y", "b"], *[[i * 1.5, i % 9] for i in range(N)]]:
        book.active.append(row)
    book.active.merge_cells("A1:B1")
    book.save(tmp_path / "a.xlsx")
    source = {"kind": "excel", "path": str(tmp_path / "a.xlsx"), "target": "y"}
    with refused("cells-merged", file="a.xlsx", row=1) as caught:
        prepared(source)
    assert len(prepared(source | pasted(str(caught.value))).y_train) == 32


def test_times_of_day_as_digits_may_be_numbers(tmp_path: Path) -> None:
    source = csv(tmp_path / "a.csv", table(lambda i: f"{i % 24:02}{i % 60:02}"))
    with refused("texts-all-different", file="a.csv", column="b", row=2, value="0000") as caught:
        prepared(source)
    assert prepared(source | {"numeric": pasted(str(caught.value))["numeric"]}).feature_names == ("b",)


@pytest.mark.parametrize(
    ("name", "unit", "top", "is_told"),
    [
        ("humidity", "%", 1, True),
        ("pct_sold", "", 1, True),
        ("humidity", "", 1, False),
        ("percent", "", 1.1, False),
    ],
)
def test_percentages_of_a_target_are_doubted(
    tmp_path: Path, name: str, unit: str, top: float, is_told: bool
) -> None:
    text = f"x,{name}\n" + "".join(f"{i % 7},{top * 100 * i / N}\n" for i in range(1, N + 1))
    source = csv(tmp_path / "a.csv", text) | {"target": name} | ({"target_unit": unit} if unit else {})
    assert ("percent-as-number" in codes(prepared(source))) == is_told


def test_a_class_without_a_test_row_is_told(tmp_path: Path) -> None:
    text = "x,y\n" + "".join(f"{i % 11 + i / 8},{'rare' if i < 2 else 'ab'[i % 2]}\n" for i in range(N))
    source = csv(tmp_path / "a.csv", text)
    found = prepared(source, task="classification", split={"stratify": False, "seed": 3, "test_size": 0.2})
    is_there = (found.y_test == found.class_names.index("rare")).any()
    assert ("class-not-in-test" in codes(found)) != is_there
    assert not is_there, "this seed leaves both in the training part"
