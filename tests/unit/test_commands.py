"""The command line before a run: a config is checked with its tables, and drafted for one."""

import time
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

import bnn
from bnn.__main__ import main
from bnn.config.loading import load
from bnn.core.storage import write_json
from bnn.report.ending import failures, in_rst, summary, verdicts
from tests.unit import report_inputs as inputs

TABLE = "\n".join(
    ["city,rooms,price,kind", *(f"c{i % 3},{i % 5},{(i * 7) % 31}.5,{i % 2}" for i in range(60)), ""]
)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "houses.csv").write_text(TABLE, encoding="utf-8")
    (tmp_path / "semicolons.csv").write_text(TABLE.replace(",", ";"), encoding="utf-8")
    (tmp_path / "words.csv").write_text(TABLE.replace("c1,1", "c1,many"), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def config(folder: Path, **sources: tuple[str, str]) -> str:
    datasets = {
        name: {"task": "regression", "source": {"kind": "csv", "path": path, "target": target}}
        for name, (path, target) in sources.items()
    }
    (folder / "c.yaml").write_text(yaml.safe_dump({"datasets": datasets}), encoding="utf-8")
    return "c.yaml"


def test_a_config_that_can_be_run_has_a_line_a_dataset(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["check", config(folder, a=("houses.csv", "price"), b=("houses.csv", "rooms"))]) == 0
    said = capsys.readouterr()
    told = [line.split(": ")[:2] for line in said.out.splitlines()]
    assert [name for name, word in told if word != "WARN"] == ["a", "b"] and said.err == ""
    assert ["a", "WARN"] in told, "a doubt about the table"
    assert "48 training and 12 test rows, 5 features, target price (a number)" in said.out


def test_a_family_that_cannot_have_the_target_is_told_before_a_run(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = folder / config(folder, a=("houses.csv", "price"))
    written = yaml.safe_load(path.read_text(encoding="utf-8"))
    for family, status in (("log_normal", 0), ("poisson", 1)):
        written["datasets"]["a"]["likelihood"] = {"family": family}
        path.write_text(yaml.safe_dump(written), encoding="utf-8")
        assert main(["check", str(path)]) == status
        said = capsys.readouterr().err
        assert ("[wrong-family]" in said) == ("dataset 'a'" in said) == bool(status)


def test_a_family_that_cannot_have_the_target_of_a_test_row_is_told_with_the_row(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, counts in (("train", range(40)), ("test", [*range(11), 2.5])):
        rows = "".join(f"{i % 7},{count}\n" for i, count in enumerate(counts))
        (folder / f"{name}.csv").write_text(f"x,y\n{rows}", encoding="utf-8")
    path = folder / config(folder, a=("train.csv", "y"))
    written = yaml.safe_load(path.read_text(encoding="utf-8"))
    written["datasets"]["a"]["source"]["test"] = str(folder / "test.csv")
    written["datasets"]["a"]["likelihood"] = {"family": "poisson"}
    path.write_text(yaml.safe_dump(written), encoding="utf-8")
    assert main(["check", str(path)]) == 1
    said = capsys.readouterr().err
    assert "row 13" in said and "2.5" in said and "[wrong-family]" in said


@pytest.mark.parametrize(
    ("path", "target", "code"),
    [
        ("houses.csv", "nope", "column-missing"),
        ("semicolons.csv", "price", "wrong-separator"),
        ("nowhere.csv", "price", "file-missing"),
    ],
)
def test_what_would_stop_a_run_is_said_before_it(
    folder: Path, capsys: pytest.CaptureFixture[str], path: str, target: str, code: str
) -> None:
    assert main(["check", config(folder, good=("houses.csv", "price"), bad=(path, target))]) == 1
    assert f"[{code}]" in capsys.readouterr().err


def test_a_config_that_is_not_there_or_no_yaml_is_said(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "bad.yaml").write_text("a: [", encoding="utf-8")
    for name in ("bad.yaml", "nowhere.yaml"):
        assert main(["check", name]) == 1
        assert name in capsys.readouterr().err


@pytest.mark.parametrize(
    ("target", "task"), [("price", "regression"), ("kind", "classification"), ("city", "classification")]
)
def test_a_draft_is_a_config_of_the_right_task(
    folder: Path, capsys: pytest.CaptureFixture[str], target: str, task: str
) -> None:
    assert main(["draft", "houses.csv", "--target", target]) == 0
    said = capsys.readouterr().out
    dataset = load(yaml.safe_load(said)).datasets["houses"]
    assert (dataset.task, dataset.source.path) == (task, "houses.csv")  # type: ignore[union-attr]
    assert f"#   {'rooms'}: numbers" in said
    (folder / "draft.yaml").write_text(said, encoding="utf-8")
    assert main(["check", "draft.yaml"]) == 0


@pytest.mark.parametrize(
    ("numbers", "expected"),
    [
        (lambda i: f"{i + 1}.{100 + i},5", {"decimal": ",", "thousands": "."}),
        (lambda i: f"{i + 1},{100 + i}.5", {"thousands": ","}),
        (lambda i: f"{i + 1},{100 + i},007", {"thousands": ","}),
        (lambda i: f"0,{100 + i}", {"decimal": ","}),
        (lambda i: f"{i},5" if i % 2 else f"{i}", {"decimal": ","}),
    ],
)
@pytest.mark.parametrize("separator", [";", ","])
def test_a_draft_finds_out_how_numbers_are_written(
    folder: Path,
    capsys: pytest.CaptureFixture[str],
    numbers: Callable[[int], str],
    expected: dict[str, str],
    separator: str,
) -> None:
    lines = [f'{"abc"[i % 3]}{separator}"{numbers(i)}"' for i in range(60)]
    (folder / "a.csv").write_text("\n".join([f"kind{separator}y", *lines, ""]), encoding="utf-8")
    assert main(["draft", "a.csv", "--target", "y"]) == 0
    source = yaml.safe_load(capsys.readouterr().out)["datasets"]["a"]["source"]
    found = {key: source[key] for key in source if key not in ("kind", "path", "target", "separator")}
    assert found == expected


def test_what_a_draft_cannot_be_sure_of_is_told(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """41,867 may be some forty, or forty thousand; other keys that were found out are told beside it."""
    lines = [f"{'äbc'[i % 3]};{i + 1},{100 + i}" for i in range(60)]
    (folder / "a.csv").write_text("\n".join(["kind;y", *lines, ""]), encoding="cp1252")
    assert main(["draft", "a.csv", "--target", "y"]) == 1
    told = capsys.readouterr().err
    assert "source.thousands" in told and "{encoding: cp1252, separator: ;}" in told


def test_a_draft_leaves_out_columns_that_no_feature_can_hold(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = [f"2024-{i % 12 + 1:02d}-07,{i % 7},K{i:04d}-{i * 7919 % 997},{i * 37 % 11}.5" for i in range(60)]
    (folder / "a.csv").write_text("\n".join(["day,rooms,key,y", *lines, ""]), encoding="utf-8")
    assert main(["draft", "a.csv", "--target", "y"]) == 0
    said = capsys.readouterr().out
    (folder / "draft.yaml").write_text(said, encoding="utf-8")
    assert yaml.safe_load(said)["datasets"]["a"]["source"]["drop"] == ["day", "key"]
    assert main(["check", "draft.yaml"]) == 0
    assert (
        "    # Left out, since no feature can hold it as it is:\n    #   column 'day', row 2: '2024-01-07' is"
        in said
    )
    assert "\n    #   column 'key', row 2: 'K0000-0' is not a number, and" in said
    assert "#   day: no feature\n" in said


def test_a_draft_keeps_texts_with_a_number_among_them_and_leaves_rows_without_target_out(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    drives = ["f", "r", "4", "f"]
    lines = [
        f"{drives[i % 4]},K{i:04d} or {i if i % 9 else '90'},{i * 37 % 11}" + ".5" * (i % 8 > 0)
        for i in range(60)
    ]
    lines = [line if i % 8 else line.rpartition(",")[0] + "," for i, line in enumerate(lines)]
    (folder / "a.csv").write_text("\n".join(["drive,model,y", *lines, ""]), encoding="utf-8")
    assert main(["draft", "a.csv", "--target", "y"]) == 0
    said = capsys.readouterr().out
    source = yaml.safe_load(said)["datasets"]["a"]["source"]
    assert (source["categorical"], source["drop"], source["missing_target"]) == (["drive"], ["model"], "drop")
    assert "# Taken for texts, since most of their cells are: drive" in said
    (folder / "draft.yaml").write_text(said, encoding="utf-8")
    assert main(["check", "draft.yaml"]) == 0


def test_a_draft_of_few_whole_numbers_that_are_no_classes_is_a_regression(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Visits to a doctor, of which there were nine once: a class with one row cannot be in both parts."""
    lines = [f"{i * 7 % 11},{9 if i == 50 else i % 4}" for i in range(60)]
    (folder / "a.csv").write_text("\n".join(["age,visits", *lines, ""]), encoding="utf-8")
    assert main(["draft", "a.csv", "--target", "visits"]) == 0
    assert yaml.safe_load(capsys.readouterr().out)["datasets"]["a"]["task"] == "regression"


def test_a_draft_says_what_of_a_target_is_no_number(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Prices with a sign of money are no classes, and names of classes no numbers."""
    lines = [f"{i % 5},${i * 37 + 9}" for i in range(60)]
    (folder / "a.csv").write_text("\n".join(["rooms,y", *lines, ""]), encoding="utf-8")
    assert main(["draft", "a.csv", "--target", "y"]) == 1
    assert "[not-a-number]" in capsys.readouterr().err


def test_a_draft_says_what_is_missing_or_why_there_is_none(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "gaps.csv").write_text(TABLE.replace("c2,2,", ",2,"), encoding="utf-8")
    assert main(["draft", "gaps.csv", "--target", "price"]) == 0
    said = capsys.readouterr().out
    assert "missing" in said.partition("#   city:")[2].splitlines()[0]
    assert "[value-missing]" in said.partition("otherwise:")[2]
    assert main(["draft", "semicolons.csv", "--target", "price"]) == 0
    assert yaml.safe_load(capsys.readouterr().out)["datasets"]["semicolons"]["source"]["separator"] == ";"
    (folder / "said.csv").write_text("sep=;\n" + TABLE.replace(",", ";"), encoding="utf-8")
    assert main(["draft", "said.csv", "--target", "price"]) == 0
    assert yaml.safe_load(capsys.readouterr().out)["datasets"]["said"]["source"]["separator"] == ";"
    (folder / "damaged.xlsx").write_bytes(b"PK\x03\x04 cut short")
    for path, code in (("nowhere.csv", "file-missing"), ("damaged.xlsx", "archive-unreadable")):
        assert main(["draft", path, "--target", "price"]) == 1
        assert f"[{code}]" in capsys.readouterr().err
    numbered = "\n".join(f"{i},{line}" for i, line in enumerate(TABLE.splitlines())).replace("0,", "id,", 1)
    (folder / "numbered.csv").write_text(numbered, encoding="utf-8")
    for target in ("price", "kind"):
        assert main(["draft", "numbered.csv", "--target", target]) == 0
        assert yaml.safe_load(capsys.readouterr().out)["datasets"]["numbered"]["source"]["drop"] == ["id"]


def test_the_version_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        main(["--version"])
    assert capsys.readouterr().out == f"bnn {bnn.__version__}\n"


def test_a_run_ends_with_a_line_a_dataset(tmp_path: Path) -> None:
    for name, verdict in (("iris", "PASS"), ("wine", "FAIL")):
        write_json(
            tmp_path / name / "diagnostics.json", inputs.make_diagnostics("classification", verdict, name)
        )
        write_json(tmp_path / name / "metrics.json", inputs.make_metrics("classification", name))
    lines = summary(tmp_path, ["wine", "iris", "none"]).splitlines()
    assert [line.split()[:2] for line in lines[1:]] == [["wine", "FAIL"], ["iris", "PASS"]]
    assert "not to be trusted" in lines[1] and "not told apart" in lines[2]
    assert all(line.endswith("report.html") for line in lines[1:])


def test_a_run_that_failed_ends_with_the_sentences_of_its_jobs(tmp_path: Path) -> None:
    logs = tmp_path / "houses" / "logs"
    logs.mkdir(parents=True)
    start = time.time() - 10
    fault = "bnn.core.errors.DataError: houses.csv: column 'a' is empty\n  - and so is b\n"
    (logs / "prepare.log").write_text(
        f"Traceback (most recent call last):\n  File x\n{fault}", encoding="utf-8"
    )
    (logs / "fit_baseline.log").write_text("all is well\n", encoding="utf-8")
    said = failures(tmp_path, start)
    assert said.splitlines()[:2] == ["houses, prepare: houses.csv: column 'a' is empty", "  - and so is b"]
    assert "fit_baseline" not in said
    assert failures(tmp_path, time.time() + 10) == ""


def test_without_results_the_first_page_of_a_report_has_no_table(tmp_path: Path) -> None:
    assert in_rst(verdicts(tmp_path, ["a"])) == ""


def test_rows_to_predict_are_read_before_a_run(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = folder / config(folder, a=("houses.csv", "price"))
    written = yaml.safe_load(path.read_text(encoding="utf-8"))
    (folder / "new.csv").write_text("size\n3\n", encoding="utf-8")
    written["datasets"]["a"]["predict"] = [str(folder / "new.csv")]
    path.write_text(yaml.safe_dump(written), encoding="utf-8")
    assert main(["check", str(path)]) == 1
    assert "[column-missing]" in capsys.readouterr().err
    header, *rows = (folder / "houses.csv").read_text(encoding="utf-8").splitlines()
    (folder / "new.csv").write_text("\n".join([header, *rows[:3], ""]), encoding="utf-8")
    assert main(["check", str(path)]) == 0
