"""Where tables come from: files, datasets of scikit-learn and OpenML, addresses, and artificial data."""

import os
import tempfile
import warnings
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from bnn.core.errors import DataError
from bnn.core.storage import atomic_path
from bnn.data import synthetic
from bnn.data.cells import as_texts, tidy
from bnn.data.downloads import alone, cache_folder, fetch
from bnn.data.tables import Table, check_names, make_table, naming, read_csv

if TYPE_CHECKING:
    import pandas as pd

Source = Mapping[str, Any]
"""`kind` and the keys of that kind, as in the config."""


def read_source(source: Source, *, is_class: bool, aside: Sequence[str] = ()) -> Table:
    """Read a table.

    Parameters
    ----------
    source
        `kind` and the keys of that kind, as in the config. The file `test` is not read.
    is_class
        Whether the target is a class.
    aside
        Columns to keep beside the features.

    Raises
    ------
    DataError
        If the table cannot be had or used; the message says where the fault is and what to do.
    """
    return SOURCES[source["kind"]](source, is_class, aside)


def read_test_file(source: Source, *, is_class: bool, texts: Collection[str] = ()) -> Table:
    """Read the file of test rows that a source names, like its file of training rows.

    Parameters
    ----------
    source, is_class
        As for `read_source`.
    texts
        Columns that hold texts in the file of training rows: they are texts here too, whatever they look like.
    """
    read = _read_parquet if source["kind"] == "parquet" else _read_csv
    return read({**source, "path": source["test"]}, is_class, (), must_vary=False, known_texts=texts)


def place_of(source: Source) -> list[str]:
    """Return what messages call the file of a source, if it has one."""
    return [str(source[key]) for key in ("path", "url") if key in source]


def text_format(source: Source) -> dict[str, Any]:
    """Return `separator`, `decimal` and `missing_words` of a CSV file that is written like the source."""
    found = {key: source[key] for key in ("separator", "decimal") if key in source}
    if (words := source.get("missing_words")) is not None:
        found["missing_words"] = tuple(words)
    return found


def _read_csv(
    source: Source,
    is_class: bool,
    aside: Sequence[str],
    *,
    must_vary: bool = True,
    known_texts: Collection[str] = (),
) -> Table:
    options = ("target", "target_unit", "drop", "categorical", "row_id")
    chosen = {name: source[name] for name in options if name in source} | text_format(source)
    return read_csv(
        source["path"],
        is_class=is_class,
        must_vary=must_vary,
        aside=aside,
        known_texts=known_texts,
        **chosen,
    )


def _read_url(source: Source, is_class: bool, aside: Sequence[str]) -> Table:
    path = fetch(source["url"], sha256=source["sha256"], max_bytes=source["max_mb"] * 1_000_000)
    try:
        return _read_csv({**source, "path": str(path)}, is_class, aside)
    except DataError as error:
        raise error.reworded(str(error).replace(str(path), source["url"], 1), file=source["url"]) from error


def _read_parquet(
    source: Source,
    is_class: bool,
    aside: Sequence[str],
    *,
    must_vary: bool = True,
    known_texts: Collection[str] = (),
) -> Table:
    path = source["path"]
    with naming(path):
        import pyarrow.lib
        import pyarrow.parquet

        if os.path.isdir(path):
            raise DataError("file-unreadable", "the file cannot be read: it is a folder; check source.path")
        try:
            frame = pyarrow.parquet.read_table(path).to_pandas(ignore_metadata=True)
        except FileNotFoundError:
            raise DataError(
                "file-missing",
                "there is no such file; check source.path (it starts from the folder of the run)",
            ) from None
        except OSError as error:
            raise DataError(
                "file-unreadable", f"the file cannot be read: {error.strerror or error}"
            ) from error
        except pyarrow.lib.ArrowException as error:
            raise DataError(
                "not-parquet", f"this is no Parquet file that can be read ({_first_line(error)})"
            ) from error
        return _of_frame(frame, source, is_class, aside, must_vary=must_vary, known_texts=known_texts)


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


def _of_frame(
    frame: "pd.DataFrame",
    source: Source,
    is_class: bool,
    aside: Sequence[str],
    *,
    must_vary: bool = True,
    known_texts: Collection[str] = (),
) -> Table:
    """Make a table of columns that came with types of their own; rows are counted from 1."""
    import pandas as pd

    target, drop, categorical = source["target"], source.get("drop", ()), source.get("categorical", ())
    row_id = source.get("row_id")
    frame = frame.set_axis([str(name) for name in frame.columns], axis=1)
    if len(frame) == 0:
        raise DataError("no-rows", "the table has no rows")
    check_names(list(frame.columns), target, drop=drop, categorical=categorical, aside=aside, row_id=row_id)
    texts = {*categorical, *aside, row_id} | ({target} if is_class else set())
    frame = frame.drop(columns=list(dict.fromkeys(drop)))
    others = frame.drop(columns=[name for name in frame.columns if name in texts])
    found = tidy(others, texts=known_texts, first_row=1)
    columns = {
        name: as_texts(frame[name]) if name in texts else found[name] for name in dict.fromkeys(frame.columns)
    }
    if not is_class and found[target].dtype != np.float64:
        raise DataError(
            "target-not-numbers",
            f"column '{target}' holds no numbers: the target of a regression must be a number; for classes set "
            "`task: classification`",
            column=target,
        )
    table = make_table(
        pd.DataFrame(columns, index=pd.RangeIndex(len(frame)), copy=False),
        target=target,
        is_class=is_class,
        must_vary=must_vary,
        aside=aside,
        row_id=row_id,
        first_row=1,
    )
    return table._replace(target_unit=source.get("target_unit", ""), dropped=tuple(drop))


def _read_openml(source: Source, is_class: bool, aside: Sequence[str]) -> Table:
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
                    parser="pandas",
                    n_retries=RETRIES,
                    delay=RETRY_SECONDS,
                )
        except OSError as error:
            raise _unreachable("openml.org", error) from error
        except ValueError as error:
            raise DataError("table-unavailable", f"the table cannot be had: {_first_line(error)}") from error
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
        return _of_frame(bunch.frame, chosen, is_class, aside)


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


def _read_sklearn(source: Source, is_class: bool, aside: Sequence[str]) -> Table:
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
        y=bunch.target.astype(np.int64 if is_class else np.float64),
        target_name=SKLEARN_TARGETS[name],
        target_unit="",
        class_names=tuple(str(item) for item in bunch.target_names) if is_class else (),
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
    table = read_csv(str(path), target=target, target_unit="100,000 USD", is_class=False)
    return table._replace(first_row=1)  # nobody sees that file: its header is no row to count


SKLEARN_TARGETS = {
    "iris": "species",
    "wine": "cultivar",
    "breast_cancer": "diagnosis",
    "diabetes": "disease progression",
    "california_housing": "MedHouseVal",
}
"""Name of the target of each dataset of scikit-learn."""


def _read_synthetic(source: Source, is_class: bool, aside: Sequence[str]) -> Table:
    import pandas as pd

    generator = synthetic.GENERATORS[source["name"]]
    x, y = generator.draw(source["n"], source["noise"], np.random.default_rng(source["seed"]))
    names = ("x",) if x.shape[1] == 1 else tuple(f"x{index + 1}" for index in range(x.shape[1]))
    return Table(tidy(pd.DataFrame(x, columns=names)), y, "y", "", generator.class_names, first_row=1)


SOURCES: dict[str, Callable[[Source, bool, Sequence[str]], Table]] = {
    "csv": _read_csv,
    "parquet": _read_parquet,
    "url": _read_url,
    "openml": _read_openml,
    "sklearn": _read_sklearn,
    "synthetic": _read_synthetic,
}
"""Readers by kind of source: (source, whether the target is a class, columns set aside) -> table."""
