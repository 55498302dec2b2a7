"""Where tables come from: files, datasets of scikit-learn and OpenML, addresses, and artificial data."""

import tempfile
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from bnn.core.errors import DataError
from bnn.core.storage import atomic_path
from bnn.data import synthetic
from bnn.data.csv_files import Choose, Columns, read_columns
from bnn.data.downloads import alone, cache_folder, fetch
from bnn.data.excel_files import read_sheet
from bnn.data.reading import Reading
from bnn.data.tables import Table, naming, read_table
from bnn.data.typed_columns import check_typed_names, read_typed, tidy
from bnn.data.typed_files import read_typed_file
from bnn.data.words import Kind, TextFormat

Source = Mapping[str, Any]
"""`kind` and the keys of that kind, as in the config."""


class Asked(NamedTuple):
    """What a task asks of a table, whatever its source."""

    is_class: bool
    """Whether the target is a class"""
    aside: Sequence[str] = ()
    """Columns to keep beside the features"""
    is_series: bool = False
    """Whether the target is a time series, for which a column that counts time is a feature like another"""


def read_source(
    source: Source, *, is_class: bool, aside: Sequence[str] = (), is_series: bool = False
) -> Table:
    """Read a table.

    Parameters
    ----------
    source
        `kind` and the keys of that kind, as in the config. The file `test` is not read.
    is_class, aside, is_series
        As of `Asked`.

    Raises
    ------
    DataError
        If the table cannot be read or used; the message says where the fault is and what to do.
    """
    return SOURCES[source["kind"]](source, Asked(is_class, aside, is_series))


def read_test_file(
    source: Source, *, is_class: bool, known: Mapping[str, Kind], left_out: Sequence[str]
) -> Table:
    """Read the file of test rows that a source names, like its file of training rows.

    Parameters
    ----------
    source, is_class
        As for `read_source`.
    known
        What columns hold in the file of training rows: the same here, whatever they look like.
    left_out
        What stands there in lines that are no part of the table.
    """
    reading = _reading(source, Asked(is_class), must_vary=False, known=known)
    return _read_file({**source, "path": source["test"], "left_out": left_out}, reading)


def place_of(source: Source) -> list[str]:
    """Return what messages call the file of a source, if it has one."""
    return [str(source[key]) for key in ("path", "url") if key in source]


def text_format(source: Source) -> TextFormat:
    """Return how a file of texts is written that is like the source."""
    names = TextFormat.__dataclass_fields__
    return TextFormat(**{key: value for key, value in source.items() if key in names and value is not None})


def is_typed(source: Source) -> bool:
    """Return whether a source is one whose columns have types of their own."""
    return source["kind"] not in ("csv", "url")


def _reading(source: Source, asked: Asked, **more: Any) -> Reading:
    keys = (
        *("target", "target_unit", "missing_target", "row_id", "exposure"),
        *("drop", "categorical", "numeric", "features", "fold_case"),
    )
    chosen = {key: source[key] for key in keys if key in source}
    return Reading(**chosen, **asked._asdict(), has_test_file=bool(source.get("test")), **more)


def _read_file(source: Source, reading: Reading) -> Table:
    """Read a file that the config names: of texts, or of columns that have types."""
    path, form = source["path"], text_format(source)
    with naming(path):
        if source["kind"] in ("csv", "url"):
            return read_table(lambda choose: read_columns(path, choose, form), reading, decimal=form.decimal)
        if source["kind"] == "excel":
            sheet = source.get("sheet")
            return read_table(lambda choose: read_sheet(Path(path), sheet, choose, form), reading)
        return read_table(lambda choose: read_typed_file(Path(path), source["kind"], choose, form), reading)


def _read_named(source: Source, asked: Asked) -> Table:
    return _read_file(source, _reading(source, asked))


def _read_url(source: Source, asked: Asked) -> Table:
    path = fetch(source["url"], sha256=source["sha256"], max_bytes=source["max_mb"] * 1_000_000)
    try:
        return _read_named({**source, "path": str(path)}, asked)
    except DataError as error:
        raise error.reworded(str(error).replace(str(path), source["url"], 1), file=source["url"]) from error


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


def _read_openml(source: Source, asked: Asked) -> Table:
    from sklearn.datasets import fetch_openml

    which = (
        {"data_id": source["id"]}
        if source.get("id")
        else {"name": source["name"], "version": source["version"]}
    )
    label = f"OpenML {source.get('id') or '{name} version {version}'.format(**source)}"
    with naming(label):
        try:
            with alone(cache_folder() / "openml.lock"), warnings.catch_warnings():
                # That it tries again, and that a dataset has newer versions: this one was asked for.
                warnings.simplefilter("ignore")
                bunch = fetch_openml(
                    **which,
                    data_home=cache_folder(),
                    as_frame=True,
                    # The one on pandas takes a % within a value for the beginning of a comment.
                    parser="liac-arff",
                    n_retries=RETRIES,
                    delay=RETRY_SECONDS,
                )
        except OSError as error:
            raise _unreachable("openml.org", error) from error
        except ValueError as error:
            if "Sparse ARFF" in str(error):
                raise DataError(
                    "table-sparse",
                    "OpenML stores this table without its zeros, and a network needs all columns; make a CSV or "
                    "Parquet file of those that matter, and set `kind: csv` or `kind: parquet`",
                ) from error
            raise DataError(
                "table-unavailable", f"the table cannot be loaded: {_first_line(error)}"
            ) from error
        targets = list(bunch.target_names)
        if not source.get("target") and len(targets) != 1:
            raise DataError(
                "target-unclear",
                f"OpenML names {len(targets)} target columns ({', '.join(map(str, targets))}), and a network predicts "
                "one: set source.target, and source.drop for the others"
                if targets
                else "OpenML names no target column; set source.target",
                key="source.target",
            )
        chosen = {**source, "target": source.get("target") or str(targets[0])}
        frame = bunch.frame

        def read(choose: Choose) -> Columns:
            names = [str(name) for name in frame.columns]
            check_typed_names(names)
            kinds = choose(names, ())
            found = read_typed(
                names, lambda place: frame.iloc[:, place], kinds, form=text_format(source), first_row=1
            )
            return Columns(*found, 1)

        return read_table(read, _reading(chosen, asked))


RETRIES = 3
RETRY_SECONDS = 1.0
"""How often, and after what time, scikit-learn tries to fetch something again."""


def _unreachable(server: str, error: OSError) -> DataError:
    code = getattr(error, "code", None)
    if code and code < 500:
        return DataError(
            "refused-by-server",
            f"{server} answers {code} {getattr(error, 'reason', '')}; check the name or number of the table",
        )
    reason = getattr(error, "reason", None) or error
    return DataError(
        "unreachable",
        f"{server} cannot be reached ({reason}): is there a network here? Run this where there is one: the table is "
        "then kept for later runs",
    )


def _read_sklearn(source: Source, asked: Asked) -> Table:
    """Read a dataset of scikit-learn; its class indices stay, so that stratified splits reproduce."""
    import pandas as pd
    import sklearn.datasets

    name = source["name"]
    if name == "california_housing":
        return _read_california_housing()
    # Diabetes comes scaled over all rows, which would leak the test part; the original units are an option.
    options = {"scaled": False} if name == "diabetes" else {}
    bunch = getattr(sklearn.datasets, f"load_{name}")(**options)
    x = pd.DataFrame(np.asarray(bunch.data, dtype=np.float64), columns=map(str, bunch.feature_names))
    return Table(
        x=tidy(x),
        y=bunch.target.astype(np.int64 if asked.is_class else np.float64),
        target_name=SKLEARN_TARGETS[name],
        target_unit="",
        class_names=tuple(str(item) for item in bunch.target_names) if asked.is_class else (),
        first_row=1,
    )


def _read_california_housing() -> Table:
    """Read what scikit-learn downloads from a CSV file in the cache: its own cache is a pickle, which is not kept."""
    import pandas as pd
    from sklearn.datasets import fetch_california_housing

    path = cache_folder() / "california_housing.csv"
    target = SKLEARN_TARGETS["california_housing"]
    with alone(path.with_suffix(".lock")):
        if not path.is_file():
            with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
                warnings.simplefilter("ignore")
                try:
                    bunch = fetch_california_housing(data_home=folder, n_retries=RETRIES, delay=RETRY_SECONDS)
                except OSError as error:
                    raise _unreachable("the server of california_housing", error) from error
            frame = pd.DataFrame(bunch.data, columns=bunch.feature_names)
            frame[target] = bunch.target
            with atomic_path(path) as temporary:
                frame.to_csv(temporary, index=False)
    keys = {"kind": "csv", "path": str(path), "target": target, "target_unit": "100,000 USD"}
    table = _read_named(keys, Asked(is_class=False))
    return table._replace(first_row=1)  # nobody sees that file: its header is no row to count


SKLEARN_TARGETS = {
    "iris": "species",
    "wine": "cultivar",
    "breast_cancer": "diagnosis",
    "diabetes": "disease progression",
    "california_housing": "MedHouseVal",
}
"""Name of the target of each dataset of scikit-learn."""


def _read_synthetic(source: Source, asked: Asked) -> Table:
    import pandas as pd

    generator = synthetic.GENERATORS[source["name"]]
    x, y = generator.draw(source["n"], source["noise"], np.random.default_rng(source["seed"]))
    names = ("x",) if x.shape[1] == 1 else tuple(f"x{index + 1}" for index in range(x.shape[1]))
    return Table(tidy(pd.DataFrame(x, columns=names)), y, "y", "", generator.class_names, first_row=1)


SOURCES: dict[str, Callable[[Source, Asked], Table]] = {
    "csv": _read_named,
    "parquet": _read_named,
    "feather": _read_named,
    "excel": _read_named,
    "url": _read_url,
    "openml": _read_openml,
    "sklearn": _read_sklearn,
    "synthetic": _read_synthetic,
}
"""Readers by kind of source."""
