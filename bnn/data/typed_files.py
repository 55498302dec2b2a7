"""Files whose columns have types: Parquet and Feather."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bnn.core.errors import DataError
from bnn.data.csv_files import Choose, Columns
from bnn.data.typed_columns import check_typed_names, read_typed
from bnn.data.words import TextFormat

if TYPE_CHECKING:
    import pyarrow as pa

_TITLES = {"parquet": "Parquet", "feather": "Feather or Arrow"}


def read_typed_file(path: Path, kind: str, choose: Choose, form: TextFormat) -> Columns:
    """Read the columns of a file.

    Parameters
    ----------
    path
        The file.
    kind
        "parquet" or "feather".
    choose
        Says what each column is to hold.
    form
        How texts in it are written.

    Raises
    ------
    DataError
        If the file, or a column, cannot be read; rows are counted from 1.
    """
    import pyarrow as pa

    if path.is_dir():
        raise DataError("file-unreadable", "the file cannot be read: it is a folder; check source.path")
    try:
        table: _Parquet | _Feather = _Parquet(path) if kind == "parquet" else _Feather(path)
        if table.n_rows == 0:
            raise DataError("no-rows", "the table has no rows")
        names = list(table.schema.names)
        check_typed_names(names)
        about = _of_pandas(table.schema)
        of_rows = [name for name in names if name in about["index"] or name.startswith("__index_level_")]
        kinds = choose(names, of_rows)
        found = read_typed(names, table.column, kinds, form=form, levels=about["levels"], first_row=1)
    except FileNotFoundError:
        raise DataError(
            "file-missing",
            "there is no such file; check source.path (it starts from the folder of the run)",
        ) from None
    except pa.ArrowException as error:
        first = (str(error).splitlines() or [type(error).__name__])[0]
        raise DataError(
            f"not-{kind}", f"this is no {_TITLES[kind]} file that can be read ({first})"
        ) from error
    except OSError as error:
        raise DataError("file-unreadable", f"the file cannot be read: {error.strerror or error}") from error
    pa.default_memory_pool().release_unused()
    return Columns(*found, 1)


class _Parquet:
    """A Parquet file, of which a column is read when it is wanted: not all of them lie in memory twice."""

    def __init__(self, path: Path) -> None:
        import pyarrow.parquet

        self._file = pyarrow.parquet.ParquetFile(path)
        self.schema = self._file.schema_arrow
        self.n_rows = self._file.metadata.num_rows

    def column(self, place: int) -> Any:
        name = self.schema.names[place]
        # With a point in a name all of it that begins so is read, such as the group a beside a column "a.b".
        return self._file.read(columns=[name]).column(name)


class _Feather:
    """A Feather or Arrow file."""

    def __init__(self, path: Path) -> None:
        import pyarrow.feather

        table = pyarrow.feather.read_table(path)
        self.schema, self.n_rows = table.schema, table.num_rows
        self._columns = table.columns

    def column(self, place: int) -> Any:
        # Handed over, so that what is read already does not stay in memory.
        found, self._columns[place] = self._columns[place], None
        return found


def _of_pandas(schema: "pa.Schema") -> dict[str, Sequence[str]]:
    """Return which columns pandas, if it wrote the file, took for names of rows, and which for categories."""
    try:
        found = json.loads((schema.metadata or {}).get(b"pandas", b"{}"))
        index = [name for name in found.get("index_columns", ()) if isinstance(name, str)]
        levels = [
            column["field_name"]
            for column in found.get("columns", ())
            if column.get("pandas_type") == "categorical"
        ]
    except (ValueError, TypeError, AttributeError, KeyError):
        return {"index": (), "levels": ()}
    return {"index": index, "levels": levels}
