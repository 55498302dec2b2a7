"""Tables from files of other kinds, from addresses and from OpenML; servers are this machine's own."""

import gzip
import hashlib
import http.client
import http.server
import json
import ssl
import threading
import time
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import pytest

from bnn.data import downloads, sources
from bnn.data.preparation import prepare
from bnn.data.sources import read_source
from tests.refusals import refused

SPLIT = {"method": "random", "test_size": 0.2, "stratify": False, "seed": 1}
CSV = ("x,colour,y\n" + "".join(f"{i},{'rg'[i % 2]},{i * i}\n" for i in range(40))).encode()


class Server(http.server.BaseHTTPRequestHandler):
    """Answers from `files`; breaks connections off, or refuses, as `faults` says, one a request."""

    files: ClassVar[dict[str, bytes]] = {}
    faults: ClassVar[list[str]] = []
    seen: ClassVar[list[tuple[str, str | None]]] = []
    ranges = True

    def do_GET(self) -> None:
        part = self.headers.get("Range")
        self.seen.append((self.path, part))
        fault = self.faults.pop(0) if self.faults else ""
        if fault.isdigit():
            return self.send_error(int(fault))
        if fault.startswith("http") or fault.startswith("ftp") or fault.startswith("file"):
            self.send_response(302)
            self.send_header("Location", fault)
            return self.end_headers()
        body = self.files.get(self.path)
        if body is None:
            return self.send_error(404)
        start = 0
        if part and self.ranges:
            start = int(part.removeprefix("bytes=").removesuffix("-"))
            if start >= len(body):
                return self.send_error(416)
        self.send_response(206 if start else 200)
        if fault != "no length":
            self.send_header("Content-Length", str(len(body) - start))
        self.end_headers()
        sent = body[start:]
        self.wfile.write(sent[: len(sent) // 2] if fault == "break" else sent)
        return None

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setenv("BNN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(downloads, "WAIT_SECONDS", 0.0)
    monkeypatch.setattr(sources, "RETRY_SECONDS", 0.001)
    Server.files, Server.faults, Server.seen, Server.ranges = {"/a.csv": CSV}, [], [], True
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Server) as found:
        thread = threading.Thread(target=found.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{found.server_address[1]}"
        found.shutdown()
        thread.join()


def url_source(url: str, **changes: Any) -> dict[str, Any]:
    digest = hashlib.sha256(CSV).hexdigest()
    return {"kind": "url", "url": url, "sha256": digest, "max_mb": 1, "target": "y", **changes}


def read(source: dict[str, Any]) -> Any:
    return prepare("far", task="regression", source=source, split=SPLIT)


def test_an_address_is_fetched_once(server: str, tmp_path: Path) -> None:
    found = read(url_source(f"{server}/a.csv", sha256=hashlib.sha256(CSV).hexdigest().upper()))
    assert found.feature_names == ("x", "colour=g", "colour=r")
    again = read(url_source(f"{server}/a.csv"))
    assert np.array_equal(again.x_train, found.x_train)
    assert Server.seen == [("/a.csv", None)]
    # A damaged file in the cache is not read but fetched anew.
    (kept,) = (tmp_path / "cache").glob("*.csv")
    kept.write_bytes(CSV[:-3])
    assert np.array_equal(read(url_source(f"{server}/a.csv")).x_train, found.x_train)
    assert len(Server.seen) == 2


def test_a_transfer_goes_on_where_it_broke_off(server: str) -> None:
    Server.faults = ["break", "break"]
    assert len(read(url_source(f"{server}/a.csv")).y_train) == 32
    halves = [len(CSV) // 2, len(CSV) // 2 + (len(CSV) - len(CSV) // 2) // 2]
    assert Server.seen == [("/a.csv", None), *[("/a.csv", f"bytes={half}-") for half in halves]]


def test_a_later_run_goes_on_where_the_first_gave_up(server: str, tmp_path: Path) -> None:
    Server.faults = ["break", "503", "503"]
    with refused("unreachable", file="a.csv"):
        read(url_source(f"{server}/a.csv"))
    assert (tmp_path / "cache").glob("*.part")
    assert len(read(url_source(f"{server}/a.csv")).y_train) == 32
    assert Server.seen[-1] == ("/a.csv", f"bytes={len(CSV) // 2}-")
    assert not list((tmp_path / "cache").glob("*.part"))


def test_a_fault_of_encryption_in_mid_transfer_is_tried_again(
    server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    read_on = http.client.HTTPResponse.read
    faults = [True]

    def broken(answer: http.client.HTTPResponse, n: int | None = None) -> bytes:
        if faults and (len(faults) > 1 or faults.pop()):
            raise ssl.SSLError(1, "bad record mac")
        return read_on(answer, n)

    monkeypatch.setattr(http.client.HTTPResponse, "read", broken)
    assert len(read(url_source(f"{server}/a.csv")).y_train) == 32
    faults += [True, True]
    with refused("unreachable", file="a.csv"):
        read(url_source(f"{server}/a.csv", sha256="0" * 64))


@pytest.mark.parametrize("case", ["no ranges", "another file", "already whole"])
def test_whatever_an_earlier_run_left_the_digest_decides(server: str, tmp_path: Path, case: str) -> None:
    left = {"no ranges": CSV[:50], "another file": b"#" * 50, "already whole": CSV}[case]
    Server.ranges = case != "no ranges"
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / f"{hashlib.sha256(CSV).hexdigest()}.part").write_bytes(left)
    assert len(read(url_source(f"{server}/a.csv")).y_train) == 32


def test_another_file_than_asked_for_is_never_read(server: str, tmp_path: Path) -> None:
    found, asked = hashlib.sha256(CSV).hexdigest(), "0" * 64
    with refused("wrong-digest", file="a.csv", key="source.sha256", value=found):
        read(url_source(f"{server}/a.csv", sha256=asked))
    assert [path.suffix for path in (tmp_path / "cache").iterdir()] == [".lock"]


@pytest.mark.parametrize("fault", ["", "no length"])
def test_a_file_that_is_too_large_is_refused(server: str, tmp_path: Path, fault: str) -> None:
    Server.files = {"/a.csv": b"x" * 1_000_001}
    Server.faults = [fault]
    with refused("file-too-large", file="a.csv", key="source.max_mb"):
        read(url_source(f"{server}/a.csv"))
    assert [path.suffix for path in (tmp_path / "cache").iterdir()] == [".lock"]


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        ("404", "refused-by-server"),
        ("403", "refused-by-server"),
        ("file:///etc/passwd", "refused-by-server"),
        ("ftp://127.0.0.1/a.csv", "unreachable"),
    ],
)
def test_what_a_server_refuses_or_sends_elsewhere_is_told(server: str, fault: str, code: str) -> None:
    Server.faults = [fault] * 3
    with refused(code, file="a.csv") as error:
        read(url_source(f"{server}/a.csv"))
    assert error.value.file == f"{server}/a.csv" and "\n" not in str(error.value)


def test_a_redirection_within_the_web_is_followed(server: str) -> None:
    Server.faults = [f"{server}/a.csv"]
    assert len(read(url_source(f"{server}/old.csv")).y_train) == 32


def test_an_archive_is_refused_once_it_is_the_right_one(server: str) -> None:
    body = gzip.compress(CSV)
    Server.files = {"/a.csv": body}
    with refused("archive", file="a.csv"):
        read(url_source(f"{server}/a.csv", sha256=hashlib.sha256(body).hexdigest()))


def test_faults_of_the_file_name_its_address(server: str) -> None:
    body = CSV.replace(b"5,", b"five,", 1)
    Server.files = {"/a.csv": body}
    with refused("text-among-numbers", file="a.csv", column="x", row=7, value="five") as error:
        read(url_source(f"{server}/a.csv", sha256=hashlib.sha256(body).hexdigest()))
    assert error.value.file == f"{server}/a.csv"


def test_without_a_network_the_error_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing listens on this port, which is as good as no network."""
    monkeypatch.setenv("BNN_CACHE", str(tmp_path))
    monkeypatch.setattr(downloads, "WAIT_SECONDS", 0.0)
    monkeypatch.setattr(sources, "RETRY_SECONDS", 0.001)
    with refused("unreachable", file="a.csv"):
        read(url_source("http://127.0.0.1:9/a.csv"))

    def no_network(*_: Any, **__: Any) -> Any:
        raise urllib.error.URLError("Name or service not known")

    monkeypatch.setattr("sklearn.datasets._openml.urlopen", no_network)
    monkeypatch.setattr("sklearn.datasets._base.urlretrieve", no_network)
    with refused("unreachable", file="OpenML 61"):
        read({"kind": "openml", "id": 61})
    with refused("unreachable"):
        read({"kind": "sklearn", "name": "california_housing"})


ARFF = "@RELATION toy\n@ATTRIBUTE row INTEGER\n@ATTRIBUTE size REAL\n"
ARFF += "@ATTRIBUTE colour {red,green}\n@ATTRIBUTE class {a,b}\n@DATA\n"
ARFF += "".join(
    f"{i},{i % 7 if i != 3 else '?'},{('red', 'green')[i % 2]},{'ab'[i % 3 == 0]}\n" for i in range(30)
)


@pytest.fixture
def openml(server: str, monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str | None]]:
    """OpenML on this machine, with one table; its requests."""

    def feature(index: int, name: str, kind: str, **flags: str) -> dict[str, str]:
        about = {"index": str(index), "name": name, "data_type": kind, "number_of_missing_values": "0"}
        return about | {"is_target": "false", "is_ignore": "false", "is_row_identifier": "false"} | flags

    features = [
        feature(0, "row", "numeric", is_row_identifier="true"),
        feature(1, "size", "numeric"),
        feature(2, "colour", "nominal") | {"nominal_value": ["red", "green"]},
        feature(3, "class", "nominal", is_target="true") | {"nominal_value": ["a", "b"]},
    ]
    description = {
        "id": "7",
        "name": "toy",
        "version": "1",
        "description": "Made up.",
        "format": "ARFF",
        "status": "active",
        "file_id": "70",
        "url": "https://www.openml.org/data/v1/download/70/toy.arff",
        "md5_checksum": hashlib.md5(ARFF.encode()).hexdigest(),
    }
    qualities = {"quality": [{"name": "NumberOfInstances", "value": "30"}]}
    prefix = "/api/v1/json/data"
    Server.files = {
        f"{prefix}/7": json.dumps({"data_set_description": description}).encode(),
        f"{prefix}/features/7": json.dumps({"data_features": {"feature": features}}).encode(),
        f"{prefix}/qualities/7": json.dumps({"data_qualities": qualities}).encode(),
        f"{prefix}/list/data_name/toy/limit/2/data_version/1": json.dumps(
            {"data": {"dataset": [{"did": 7, "name": "toy", "version": 1, "status": "active"}]}}
        ).encode(),
        "/data/v1/download/70/toy.arff": ARFF.encode(),
    }

    def local(request: urllib.request.Request, *arguments: Any, **options: Any) -> Any:
        path = request.full_url.split("/", 3)[3]
        headers = dict(request.header_items())
        return urllib.request.urlopen(
            urllib.request.Request(f"{server}/{path}", headers=headers), *arguments, **options
        )

    monkeypatch.setattr("sklearn.datasets._openml.urlopen", local)
    return Server.seen


@pytest.mark.parametrize("which", [{"id": 7}, {"name": "toy", "version": 1}])
def test_a_table_of_openml_is_fetched_once(openml: list[Any], which: dict[str, Any]) -> None:
    table = read_source({"kind": "openml", **which}, is_class=True)
    assert table.feature_names == ("size", "colour"), "a row number is no feature"
    assert (table.target_name, table.class_names) == ("class", ("a", "b"))
    assert table.y.tolist() == [int(i % 3 == 0) for i in range(30)]
    assert (
        table.x["colour"].tolist()[:2] == ["red", "green"]
        and table.x["size"].isna().tolist().index(True) == 3
    )
    n_requests = len(openml)
    read_source({"kind": "openml", **which}, is_class=True)
    assert len(openml) == n_requests
    found = prepare(
        "far",
        task="classification",
        source={"kind": "openml", **which},
        split=SPLIT,
        columns={"missing": "impute"},
    )
    assert set(found.feature_names) >= {"size", "colour=green", "colour=red"}
    file = "OpenML 7" if "id" in which else "OpenML toy version 1"
    with refused("target-not-numbers", file=file, column="colour"):
        read_source({"kind": "openml", "target": "colour", **which}, is_class=False)


def test_faults_of_openml_are_told(openml: list[Any], server: str) -> None:
    with refused("refused-by-server", file="OpenML 8"):
        read_source({"kind": "openml", "id": 8}, is_class=True)
    with refused("column-missing", file="OpenML 7", column="classs", key="source.target"):
        read_source({"kind": "openml", "id": 7, "target": "classs"}, is_class=True)
    with refused("target-named-twice", file="OpenML 7", column="class", key="source.row_id"):
        read_source({"kind": "openml", "id": 7, "target": None, "row_id": "class"}, is_class=True)
    path = "/api/v1/json/data/features/7"
    described = json.loads(Server.files[path])
    described["data_features"]["feature"][2]["is_target"] = "true"
    Server.files[path] = json.dumps(described).encode()
    (kept,) = downloads.cache_folder().rglob("features/7.gz")
    kept.unlink()
    with refused("target-unclear", file="OpenML 7", key="source.target"):
        read_source({"kind": "openml", "id": 7}, is_class=True)


def test_the_target_that_openml_names_has_no_other_role(openml: list[Any]) -> None:
    source = {"kind": "openml", "id": 7}
    for keys, aside, named in (
        ({}, ["class"], "split or series"),
        ({"categorical": ["class"]}, [], "source.categorical"),
        ({"drop": ["class"]}, [], "source.drop"),
    ):
        with refused("target-named-twice", file="OpenML 7", column="class", key=named):
            read_source({**source, **keys}, is_class=True, aside=aside)


def test_a_changed_file_of_openml_is_refused(openml: list[Any]) -> None:
    Server.files["/data/v1/download/70/toy.arff"] += b"1,2,red,a\n"
    with refused("table-unavailable", file="OpenML 7"):
        read_source({"kind": "openml", "id": 7}, is_class=True)


def test_california_housing_is_kept_as_a_table_and_not_as_a_pickle(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BNN_CACHE", str(tmp_path))
    rng = np.random.default_rng(0)
    calls = []

    def fetch(**options: Any) -> Any:
        calls.append(options)
        data = rng.normal(size=(30, 2))
        return type("Bunch", (), {"data": data, "feature_names": ["a", "b"], "target": data[:, 0]})

    monkeypatch.setattr("sklearn.datasets.fetch_california_housing", fetch)
    source = {"kind": "sklearn", "name": "california_housing"}
    tables = [read_source(source, is_class=False) for _ in range(2)]
    assert len(calls) == 1 and tables[0].target_name == "MedHouseVal"
    assert tables[0].first_row == 1, (
        "rows of what is no file of the reader's are counted from 1, without a header"
    )
    assert np.array_equal(tables[0].x.to_numpy(), tables[1].x.to_numpy())
    assert {path.name for path in tmp_path.iterdir()} == {"california_housing.csv", "california_housing.lock"}


@pytest.mark.parametrize("kind", ["openml", "sklearn"])
def test_jobs_that_want_the_same_table_do_not_fetch_at_once(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Locks of two threads keep each other out as those of two processes do."""
    monkeypatch.setenv("BNN_CACHE", str(tmp_path / "cache"))
    calls: list[int] = []
    running: list[int] = []

    def fetch(**_: Any) -> Any:
        running.append(1)
        calls.append(len(running))
        time.sleep(0.2)
        running.pop()
        frame = pd.DataFrame({"a": np.arange(30.0) % 7, "y": np.arange(30.0)})
        columns = {"data": frame[["a"]].to_numpy(), "feature_names": ["a"], "target": frame["y"].to_numpy()}
        return type("Bunch", (), {**columns, "frame": frame, "target_names": ["y"]})

    monkeypatch.setattr("sklearn.datasets.fetch_california_housing", fetch)
    monkeypatch.setattr("sklearn.datasets.fetch_openml", fetch)
    which: dict[str, dict[str, Any]] = {"openml": {"id": 7}, "sklearn": {"name": "california_housing"}}
    source = {"kind": kind, **which[kind]}
    with ThreadPoolExecutor(3) as pool:
        tables = list(pool.map(lambda _: read_source(source, is_class=False), range(3)))
    assert [len(table.y) for table in tables] == [30] * 3
    assert calls == {"openml": [1, 1, 1], "sklearn": [1]}[kind]


def test_a_cache_that_cannot_be_written_to_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder stands where the lock would, which stops an administrator as well."""
    monkeypatch.setenv("BNN_CACHE", str(tmp_path))
    (tmp_path / f"{hashlib.sha256(CSV).hexdigest()}.csv").write_bytes(CSV)
    (tmp_path / f"{hashlib.sha256(CSV).hexdigest()}.lock").mkdir()
    assert len(read(url_source("http://127.0.0.1:9/a.csv")).y_train) == 32


def frame_of(n: int = 40) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    return pd.DataFrame(
        {
            "size": rng.normal(size=n),
            "count": pd.array(rng.integers(0, 5, n), dtype="Int64"),
            "colour": rng.choice(["red", "green"], n),
            "ok": rng.random(n) < 0.5,
            "code": rng.integers(1, 4, n),
            "day": pd.date_range("2020-01-01", periods=n),
            "y": rng.normal(size=n),
        }
    )


def test_csv_and_parquet_of_one_table_are_one_table(tmp_path: Path) -> None:
    frame = frame_of()
    frame.to_csv(tmp_path / "a.csv", index=False)
    frame.to_csv(tmp_path / "a.tsv", index=False, sep="\t")
    frame.to_csv(tmp_path / "european.csv", index=False, sep=";", decimal=",")
    frame.to_parquet(tmp_path / "a.parquet", index=False)
    keys = {"target": "y", "target_unit": "kg", "drop": ["day"], "categorical": ["code"]}
    found = [
        read({"kind": kind, "path": str(tmp_path / name), **keys, **more})
        for kind, name, more in (
            ("csv", "a.csv", {}),
            ("csv", "a.tsv", {"separator": "\t"}),
            ("parquet", "a.parquet", {}),
            ("csv", "european.csv", {"separator": ";", "decimal": ","}),
        )
    ]
    names = ("size", "count", "colour=green", "colour=red", "ok", "code=1", "code=2", "code=3")
    for dataset in found:
        assert dataset.feature_names == names and dataset.target_unit == "kg"
        assert np.array_equal(dataset.x_train, found[0].x_train)
        assert np.array_equal(dataset.y_test, found[0].y_test)
        assert dataset.columns == found[0].columns
    assert (found[1].text_format.separator, found[3].text_format.separator, found[3].text_format.decimal) == (
        "\t",
        ";",
        ",",
    )


def test_a_class_is_a_class_in_parquet_as_in_csv(tmp_path: Path) -> None:
    frame = frame_of().drop(columns="day")
    frame.iloc[:30].to_parquet(tmp_path / "a.parquet")
    frame.iloc[30:].to_parquet(tmp_path / "test.parquet")
    frame.to_csv(tmp_path / "a.csv", index=False)
    for target in ("colour", "code", "ok"):
        keys = {"kind": "parquet", "path": str(tmp_path / "a.parquet"), "target": target}
        parquet = read_source(keys, is_class=True)
        csv = read_source({**keys, "kind": "csv", "path": str(tmp_path / "a.csv")}, is_class=True)
        assert parquet.class_names == csv.class_names and parquet.y.tolist() == csv.y.tolist()[:30]
        split = prepare(
            "a", task="classification", source={**keys, "test": str(tmp_path / "test.parquet")}, split=SPLIT
        )
        assert len(split.y_test) == 10


@pytest.mark.parametrize(
    ("make", "code", "place"),
    [
        (lambda path: path.write_text("a,y\n1,2\n"), "not-parquet", {}),
        (lambda path: path.mkdir(), "file-unreadable", {}),
        (lambda path: None, "file-missing", {}),
        (
            lambda path: frame_of().to_parquet(path),
            "date-among-features",
            {"column": "day", "row": 1, "value": "2020-01-01 00:00:00"},
        ),
        (lambda path: frame_of(0).to_parquet(path), "no-rows", {}),
        (
            lambda path: frame_of().drop(columns="y").to_parquet(path),
            "column-missing",
            {"column": "y", "key": "source.target"},
        ),
        (
            lambda path: frame_of().drop(columns="day").assign(y="high").to_parquet(path),
            "not-a-number",
            {"column": "y", "row": 1, "value": "high"},
        ),
    ],
)
def test_faults_of_parquet_are_one_line(tmp_path: Path, make: Any, code: str, place: dict[str, Any]) -> None:
    path = tmp_path / "a.parquet"
    make(path)
    with refused(code, file="a.parquet", **place) as error:
        read({"kind": "parquet", "path": str(path), "target": "y"})
    assert error.value.file == str(path) and "\n" not in str(error.value)


def test_columns_that_are_set_aside_are_no_features(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("x,group,part,y\n" + "".join(f"{i},{i % 3},{'ab'[i % 2]},{i}\n" for i in range(9)))
    table = read_source(
        {"kind": "csv", "path": str(path), "target": "y"}, is_class=False, aside=("group", "part")
    )
    assert table.feature_names == ("x",) and table.aside["part"].tolist() == ["a", "b"] * 4 + ["a"]
    assert table.aside["group"].tolist() == [0.0, 1.0, 2.0] * 3
    with refused("column-missing", file="a.csv", column="grop"):
        read_source({"kind": "csv", "path": str(path), "target": "y"}, is_class=False, aside=("grop",))
    path.write_text("x,group,y\n1,,2\n2,a,3\n")
    with refused("value-missing", file="a.csv", column="group", row=2):
        read_source({"kind": "csv", "path": str(path), "target": "y"}, is_class=False, aside=("group",))
