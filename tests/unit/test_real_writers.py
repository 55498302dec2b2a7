"""Tables as R and LibreOffice themselves write them, where they are installed: read right, or refused at a place."""

import shutil
import subprocess
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape, quoteattr

import numpy as np
import pytest
import yaml

from bnn.__main__ import main
from bnn.data.dataset import Dataset
from bnn.data.preparation import prepare
from tests.refusals import refused

N = 60
SPLIT = {"method": "random", "test_size": 0.25, "stratify": False, "seed": 1, "repeated_rows": "keep"}
CITIES = ["Köln", "Zürich", 'a "b"; c, d']

pytestmark = pytest.mark.slow


def read(path: Path, kind: str = "csv", **keys: Any) -> Dataset:
    source = {"kind": kind, "path": str(path), "target": "y", **keys}
    return prepare("mine", task="regression", source=source, split=SPLIT)


def values(found: Dataset, name: str) -> list[float | None]:
    """Return a feature in units of the file, by rows of the file."""
    x = np.concatenate([found.x_train, found.x_test])[np.argsort([*found.row_train, *found.row_test])]
    own = x * found.feature_scale + found.feature_mean
    column = own[:, found.feature_names.index(name)].round(9).tolist()
    if f"{name} is missing" in found.feature_names:
        gone = own[:, found.feature_names.index(f"{name} is missing")] > 0.5
        return [None if missing else value for value, missing in zip(column, gone, strict=True)]
    return column


def target(found: Dataset) -> list[float]:
    y = np.concatenate([found.y_train, found.y_test])[np.argsort([*found.row_train, *found.row_test])]
    return (y * found.target_scale + found.target_mean).round(9).tolist()


def texts(found: Dataset, name: str) -> list[str]:
    (column,) = (column for column in found.columns or () if column.name == name)
    ones = [values(found, f"{name}={level}") for level in column.levels]
    return [column.levels[int(np.argmax(row))] for row in zip(*ones, strict=True)]


def as_expected(found: Dataset) -> None:
    """Compare with what every writer below was given."""
    assert values(found, "size") == [None if i % 10 == 3 else 1234.5 + i * i for i in range(N)]
    assert values(found, "small") == [round(1e-7 * (i % 5), 9) for i in range(N)]
    assert values(found, "wet") == [float(i % 4 == 0) for i in range(N)]
    assert texts(found, "city") == [CITIES[i % 3] for i in range(N)]
    assert target(found) == [i % 9 + i / 8 for i in range(N)]


# R.

R = f"""
i <- 0:{N - 1}
d <- data.frame(size = 1234.5 + i * i, small = 1e-7 * (i %% 5), wet = i %% 4 == 0,
                city = factor(c("K\\u00f6ln", "Z\\u00fcrich", 'a "b"; c, d')[i %% 3 + 1]), y = i %% 9 + i / 8)
d$size[i %% 10 == 3] <- NA
plain <- d
levels(plain$city)[levels(plain$city) == 'a "b"; c, d'] <- "a b"
"""

OF_R: list[tuple[str, dict[str, Any]]] = [
    ("write.csv(d, path)", {"row_id": "Unnamed: 0"}),
    ("write.csv(d, path, row.names = FALSE)", {}),
    ("write.csv(d, path, row.names = FALSE, na = '')", {}),
    ("write.csv(d, gzfile(path), row.names = FALSE)", {}),
    ("write.csv(d, path, row.names = FALSE, fileEncoding = 'CP1252')", {"encoding": "cp1252"}),
    ("write.csv(d, path, row.names = FALSE, fileEncoding = 'latin1')", {"encoding": "latin1"}),
    ("write.csv(d, path, row.names = FALSE, fileEncoding = 'UTF-16')", {}),
    ("write.csv(d, path, row.names = FALSE, fileEncoding = 'UTF-16LE')", {"encoding": "utf-16-le"}),
    ("write.csv2(d, path, row.names = FALSE)", {"separator": ";", "decimal": ","}),
    (
        "write.csv2(d, path, fileEncoding = 'CP1252')",
        {"separator": ";", "decimal": ",", "encoding": "cp1252", "row_id": "Unnamed: 0"},
    ),
    ("write.table(d, path, qmethod = 'double')", {"separator": " ", "row_id": "Unnamed: 0"}),
    ("write.table(d, path, qmethod = 'double', row.names = FALSE)", {"separator": " "}),
    (
        "write.table(d, path, qmethod = 'double', sep = ',', row.names = FALSE, col.names = FALSE)",
        {"header": False, "names": ["size", "small", "wet", "city", "y"]},
    ),
    (
        "write.table(d, path, qmethod = 'double', sep = '\\t', dec = ',', row.names = FALSE)",
        {"separator": "\t", "decimal": ","},
    ),
]


@pytest.fixture(scope="module")
def of_r(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with what each call writes, by its place in the list, and what R cannot do without others."""
    if shutil.which("Rscript") is None:
        pytest.skip("R is not installed")
    folder = tmp_path_factory.mktemp("r")
    calls = [f'path <- "{place}.csv"; {call}' for place, (call, _) in enumerate(OF_R)]
    calls += [
        "write.table(d, 'escaped.txt')",
        "saveRDS(d, 'd.rds')",
        "saveRDS(d, 'plain.rds', compress = FALSE)",
    ]
    calls += [
        "save(d, file = 'd.RData')",
        "dput(d, 'd.R')",
        "write.table(plain, 'bare.txt', sep = '\\t', quote = FALSE)",
    ]
    (folder / "write.R").write_text("\n".join([R, *calls]), encoding="utf-8")
    subprocess.run(["Rscript", "--vanilla", "write.R"], cwd=folder, check=True, timeout=300)
    return folder


@pytest.mark.parametrize("place", range(len(OF_R)), ids=[call for call, _ in OF_R])
def test_what_r_writes_is_read(of_r: Path, place: int, capsys: pytest.CaptureFixture[str]) -> None:
    path, keys = of_r / f"{place}.csv", OF_R[place][1]
    found = read(path, **keys)
    as_expected(found)
    if "row_id" in keys:
        assert found.id_test is not None
        assert found.id_test.tolist() == [str(row + 1) for row in found.row_test]
    elif "header" not in keys:
        assert main(["draft", str(path), "--target", "y"]) == 0
        (drafted,) = yaml.safe_load(capsys.readouterr().out)["datasets"].values()
        same = {"latin1": "cp1252"}  # which is latin1 and more
        expected = {key: same.get(value, value) for key, value in keys.items()}
        assert drafted["source"] == {"kind": "csv", "path": str(path), "target": "y", **expected}


def test_what_of_r_is_no_table_is_told(of_r: Path) -> None:
    for name in ("d.rds", "plain.rds", "d.RData", "d.R"):
        with refused("no-table", file=name):
            read(of_r / name)
    with refused("not-csv", row=4, file="escaped.txt") as error:
        read(of_r / "escaped.txt", separator=" ", row_id="Unnamed: 0")
    assert "qmethod" in str(error.value)
    with refused("wrong-separator", key="source.separator", value=" ", file="escaped.txt"):
        read(of_r / "escaped.txt")
    assert values(read(of_r / "bare.txt", separator="\t", row_id="Unnamed: 0"), "wet")[:2] == [1.0, 0.0]


# LibreOffice.

STYLES = """
<number:number-style style:name="N1" number:language="de" number:country="DE"><number:number number:decimal-places="3"
 number:min-integer-digits="1" number:grouping="true"/></number:number-style>
<number:number-style style:name="N2" number:language="de" number:country="DE"><number:number number:decimal-places="7"
 number:min-integer-digits="1"/></number:number-style>
<number:boolean-style style:name="N3"><number:boolean/></number:boolean-style>
<number:date-style style:name="N4"><number:year number:style="long"/><number:text>-</number:text><number:month
 number:style="long"/><number:text>-</number:text><number:day number:style="long"/></number:date-style>
""" + "".join(
    f'<style:style style:name="s{k}" style:family="table-cell" style:data-style-name="N{k}"/>'
    for k in range(1, 5)
)
KEYS = {"float": "value", "boolean": "boolean-value", "date": "date-value", "string": "string-value"}


def cell(value: Any, kind: str, style: int = 0, formula: str = "") -> str:
    """Return a cell of a flat document, which is empty if there is no value."""
    if value is None:
        return "<table:table-cell/>"
    value = str(value).lower() if kind == "boolean" else str(value)
    about = f' table:style-name="s{style}"' if style else ""
    if formula:  # whose value LibreOffice is to find
        return f'<table:table-cell{about} table:formula="of:={formula}"/>'
    return (
        f'<table:table-cell{about} office:value-type="{kind}" office:{KEYS[kind]}={quoteattr(value)}>'
        f"<text:p>{escape(value)}</text:p></table:table-cell>"
    )


def document(**more: Any) -> str:
    """Return a flat OpenDocument sheet, with other columns: each a function from the row to a cell."""
    columns = {
        "size": lambda i: cell(None if i % 10 == 3 else 1234.5 + i * i, "float", 1),
        "small": lambda i: cell(1e-7 * (i % 5), "float", 2),
        "wet": lambda i: cell(i % 4 == 0, "boolean", 3),
        "city": lambda i: cell(CITIES[i % 3], "string"),
        "y": lambda i: cell(i % 9 + i / 8, "float", 2),
        "double": lambda i: cell(0, "float", 2, f"[.E{i + 2}]*2"),
        **more,
    }
    rows = [[cell(name, "string") for name in columns]]
    rows += [[make(i) for make in columns.values()] for i in range(N)]
    body = "".join(f"<table:table-row>{''.join(row)}</table:table-row>" for row in rows)
    spaces = {"office": "office", "table": "table", "text": "text", "style": "style", "number": "datastyle"}
    names = " ".join(
        f'xmlns:{short}="urn:oasis:names:tc:opendocument:xmlns:{name}:1.0"' for short, name in spaces.items()
    )
    return (
        '<?xml version="1.0" encoding="UTF-8"?>'
        f'<office:document {names} xmlns:of="urn:oasis:names:tc:opendocument:xmlns:of:1.2" office:version="1.3" '
        'office:mimetype="application/vnd.oasis.opendocument.spreadsheet">'
        f"<office:automatic-styles>{STYLES}</office:automatic-styles><office:body><office:spreadsheet>"
        f'<table:table table:name="A &amp; B">{body}</table:table></office:spreadsheet></office:body></office:document>'
    )


TEXT = "csv:Text - txt - csv (StarCalc):"
"""Then what separates cells, what quotes them, encoding, first line, types, language, quote all, as it is shown"""
OF_CALC: dict[str, tuple[str, str, dict[str, Any]]] = {
    "xlsx": ("xlsx", "excel", {}),
    "ods": ("ods", "excel", {}),
    "xls": ("xls", "excel", {}),
    "german": (f"{TEXT}59,34,1,1,,1031,false,true", "csv", {"separator": ";", "encoding": "cp1252"}),
    "quoted": (f"{TEXT}44,34,76,1,,1031,true,true", "csv", {}),
    "wide": (f"{TEXT}9,34,65535,1,,1031,false,true", "csv", {"separator": "\t"}),
}


@pytest.fixture(scope="module")
def of_calc(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a file by each name of the list, and workbooks with cells that are in the way."""
    if shutil.which("soffice") is None:
        pytest.skip("LibreOffice is not installed")
    folder = tmp_path_factory.mktemp("calc")
    bad = {
        "wrong": lambda i: cell(0, "float", 0, "1/0") if i == 4 else cell(i % 7, "float"),
        "day": lambda i: cell(f"2024-01-{i % 28 + 1:02d}", "date", 4),
    }

    def convert(name: str, text: str, how: str) -> None:
        (folder / f"{name}.fods").write_text(text, encoding="utf-8")
        command = ["soffice", "--headless", f"-env:UserInstallation={(folder / 'user').as_uri()}"]
        command += ["--convert-to", how, f"{name}.fods"]
        subprocess.run(command, cwd=folder, check=True, timeout=300, capture_output=True)

    for name, (how, _, _) in OF_CALC.items():
        convert(name, document(), how)
    for how in ("xlsx", "ods", "xls"):
        convert(f"bad_{how}", document(**bad), how)
    return folder


@pytest.mark.parametrize("name", OF_CALC)
def test_what_libreoffice_writes_is_read(
    of_calc: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    how, kind, keys = OF_CALC[name]
    if kind == "excel":
        pytest.importorskip("python_calamine")
    else:
        keys = keys | {"decimal": ",", "thousands": "."}
    path = of_calc / f"{name}.{how[:4].rstrip(':')}"
    found = read(path, kind, **keys)
    as_expected(found)
    assert values(found, "double") == [2 * y for y in target(found)], "as LibreOffice calculated"
    assert main(["draft", str(path), "--target", "y"]) == 0
    (drafted,) = yaml.safe_load(capsys.readouterr().out)["datasets"].values()
    assert drafted["source"] == {"kind": kind, "path": str(path), "target": "y", **keys}


def test_cells_of_workbooks_that_are_in_the_way_are_told(of_calc: Path) -> None:
    pytest.importorskip("python_calamine")
    with refused("formula-error", column="wrong", row=6, file="bad_xlsx.xlsx"):
        read(of_calc / "bad_xlsx.xlsx", "excel")
    for name in ("bad_xlsx.xlsx", "bad_ods.ods"):
        with refused("date-among-features", column="day", row=2, value="2024-01-01", file=name):
            read(of_calc / name, "excel", drop=["wrong"] * name.endswith("xlsx"))
    found = read(of_calc / "bad_ods.ods", "excel", drop=["day"])
    told = [(doubt.code, doubt.column, doubt.row) for doubt in found.doubts if doubt.column in ("", "wrong")]
    assert told == [("formula-error", "", None), ("value-missing", "wrong", 6)]
    found = read(of_calc / "bad_xls.xls", "excel", drop=["day"])
    told = [(doubt.code, doubt.column, doubt.row) for doubt in found.doubts if doubt.column in ("", "wrong")]
    assert told == [("errors-unseen", "", 6), ("value-missing", "wrong", 6)]
