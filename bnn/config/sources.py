"""The part of the config that says where a table comes from."""

import re
from typing import Annotated, Any, Literal, Self
from urllib.parse import quote, urlsplit

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    PlainSerializer,
    field_validator,
    model_validator,
)

from bnn.config.base import MAX_SEED, Group, expanded, read_yaml_value
from bnn.core.errors import Fault

SOURCE_TASKS = {
    "iris": "classification",
    "wine": "classification",
    "breast_cancer": "classification",
    "diabetes": "regression",
    "california_housing": "regression",
    "gap": "regression",
    "sine": "regression",
    "friedman1": "regression",
    "two_moons": "classification",
}
"""Task of each source that has a name."""


def _check_target(value: Any) -> Any:
    """Say what to do with several targets."""
    if isinstance(value, list | tuple) and len(value) > 1:
        one, *others = map(str, value)
        raise Fault(
            "several-targets",
            f"must be one column, not {len(value)}: make a dataset for each, here with `target: {one}` and "
            f"`drop: [{', '.join(others)}]`",
        )
    return value


_FILE = "relative to the folder in which Snakemake runs; $NAME stands for an environment variable."
_File = Annotated[str, Field(min_length=1), AfterValidator(expanded)]
_Path = Annotated[_File, Field(description=f"The file, {_FILE}")]
_Test = Annotated[
    _File | None,
    Field(
        default=None,
        description="A file of test rows; `split` is then not used, and `path` has train rows only.",
    ),
]
_Target = Annotated[
    str, Field(min_length=1, description="Name of the column to predict."), BeforeValidator(_check_target)
]
_Unit = Annotated[str, Field(default="", description="Unit of a regression target, for tables and figures.")]
_Names = Annotated[tuple[Annotated[str, Field(min_length=1)], ...], PlainSerializer(list)]
_Drop = Annotated[_Names, Field(default=(), description="Columns to leave out, such as an id or a date.")]
_Categorical = Annotated[
    _Names,
    Field(
        default=(),
        description="Columns whose numbers are codes, such as postcodes: each value gets a feature of its own, as if "
        "it were text.",
    ),
]
_Numeric = Annotated[
    _Names,
    Field(
        default=(),
        description="Columns that are numbers though they look like codes, such as 0170: zeros at the beginning mean "
        "nothing.",
    ),
]
_Features = Annotated[
    _Names,
    Field(
        default=(),
        description="Columns that are features though they look like names or numbers of rows.",
    ),
]
_MissingWords = Annotated[
    _Names | dict[Annotated[str, Field(min_length=1)], _Names] | None,
    Field(
        default=None,
        # csv_files has the list itself; it imports NumPy, for which Snakemake would wait at every start.
        description='Words, in any case, or numbers in quotes, such as "-999", that stand for a missing value, as an '
        "empty cell always does: a list for all columns, or lists by the names of columns; without NA in the "
        "list, a text NA is a level like others. In a file whose columns have types null means none, else "
        "null: NA, N/A, #N/A, `<NA>`, NaN, -NaN, null and None.",
    ),
]
_RowId = Annotated[
    str | None,
    Field(
        default=None,
        min_length=1,
        description="The column that names rows, such as an id: no feature, it stands beside the rows in "
        "predictions.csv and in the report.",
    ),
]
_Separator = Annotated[
    str,
    Field(
        default=",",
        min_length=1,
        max_length=1,
        description='What stands between cells, such as ";", or "\\t" for a tab.',
    ),
]
_Decimal = Annotated[
    Literal[".", ","],
    Field(default=".", description="What stands before the fraction of a number: a point, or a comma."),
]


_Thousands = Annotated[
    Literal["", ",", ".", " ", "'", "’", "\u00a0", "\u202f"],
    Field(
        default="",
        description='What stands between the groups of three digits of a number, such as "," in 41,867.',
    ),
]
_SkipLines = Annotated[
    Annotated[int, Field(ge=0)] | Annotated[tuple[Annotated[int, Field(ge=1)], ...], PlainSerializer(list)],
    Field(
        default=0,
        description="Lines at the top that are no part of the table, such as a title; or a list of the numbers of such "
        "lines, such as [2] for units below the header. Rows are counted without them.",
    ),
]
_Comment = Annotated[
    str, Field(default="", description='What begins lines that are no part of the table, such as "#".')
]
_Header = Annotated[
    bool, Field(default=True, description="Whether the first line holds the names of the columns.")
]
_ColumnNames = Annotated[
    _Names,
    Field(
        default=(), description="Names of the columns of a file without header line; []: c1, c2 and so on."
    ),
]


class _Table(Group):
    """A table whose columns are not known beforehand."""

    @model_validator(mode="after")
    def _check_keys(self) -> Self:
        target, drop, categorical = (getattr(self, name) for name in ("target", "drop", "categorical"))
        for role, names in (("drop", drop), ("categorical", categorical)):
            if target in names:
                raise Fault("contradiction", f"{role} must not name the target '{target}'")
        if getattr(self, "names", ()) and self.header:  # type: ignore[attr-defined]
            raise Fault("contradiction", "names are those of a file without header line; set `header: false`")
        if both := sorted(set(self.numeric) & {*categorical, *drop}):  # type: ignore[attr-defined]
            raise Fault(
                "contradiction",
                f"numeric names {', '.join(both)}, and categorical or drop does too; remove it from one of them",
            )
        row_id = getattr(self, "row_id", None)
        for role, names in (("target", [target]), ("drop", drop), ("categorical", categorical)):
            if row_id in names and row_id is not None:
                raise Fault(
                    "contradiction", f"{role} and row_id both name {row_id}; remove it from one of them"
                )
        if both := sorted(set(drop) & set(categorical)):
            raise Fault(
                "contradiction",
                f"drop and categorical both name {', '.join(both)}; remove it from one of them",
            )
        separator, decimal = getattr(self, "separator", ";"), getattr(self, "decimal", ".")
        if separator == decimal:
            raise Fault("contradiction", f"separator and decimal must not both be '{decimal}'")
        if getattr(self, "thousands", "") == decimal:
            raise Fault("contradiction", f"thousands and decimal must not both be '{decimal}'")
        if separator in '"\r\n' or separator.isalnum():
            raise Fault(
                "wrong-value", f"separator cannot be {separator!r}; use one such as ',', ';', '|' or \"\\t\""
            )
        return self


class CsvSource(_Table):
    """A CSV file of your own with a header line."""

    kind: Literal["csv"] = Field(description="A CSV file.")
    path: _Path
    test: _Test
    target: _Target
    target_unit: _Unit
    drop: _Drop
    row_id: _RowId
    categorical: _Categorical
    numeric: _Numeric
    features: _Features
    separator: _Separator
    decimal: _Decimal
    thousands: _Thousands
    missing_words: _MissingWords
    skip_lines: _SkipLines
    comment: _Comment
    header: _Header
    names: _ColumnNames


class ParquetSource(_Table):
    """A Parquet file of your own."""

    kind: Literal["parquet"] = Field(description="A Parquet file.")
    path: _Path
    test: _Test
    target: _Target
    target_unit: _Unit
    drop: _Drop
    row_id: _RowId
    categorical: _Categorical
    numeric: _Numeric
    features: _Features
    missing_words: _MissingWords


class FeatherSource(_Table):
    """A Feather or Arrow file of your own."""

    kind: Literal["feather"] = Field(description="A Feather or Arrow file.")
    path: _Path
    test: _Test
    target: _Target
    target_unit: _Unit
    drop: _Drop
    row_id: _RowId
    categorical: _Categorical
    numeric: _Numeric
    features: _Features
    missing_words: _MissingWords


class ExcelSource(_Table):
    """A workbook of your own, as Excel (xlsx, xls, xlsb) or LibreOffice (ods) writes it; needs python-calamine."""

    kind: Literal["excel"] = Field(description="A workbook.")
    path: _Path
    sheet: str | None = Field(
        None, min_length=1, description="Name of the sheet; null: the only one of the workbook."
    )
    test: _Test
    target: _Target
    target_unit: _Unit
    drop: _Drop
    row_id: _RowId
    categorical: _Categorical
    numeric: _Numeric
    features: _Features
    missing_words: _MissingWords
    skip_lines: _SkipLines


class SklearnSource(Group):
    """A dataset of scikit-learn; all but california_housing come with it, that one is downloaded once."""

    kind: Literal["sklearn"] = Field(description="A dataset of scikit-learn.")
    name: Literal["iris", "wine", "breast_cancer", "diabetes", "california_housing"] = Field(
        description="Which one: iris, wine and breast_cancer are classification, diabetes and california_housing are "
        "regression."
    )


class OpenmlSource(_Table):
    """A dataset of openml.org, downloaded once into `results/.cache` (or $BNN_CACHE)."""

    kind: Literal["openml"] = Field(description="A dataset of openml.org.")
    id: int | None = Field(None, ge=1, description="Its number; or give `name` and `version`.")
    name: str | None = Field(None, min_length=1, description="Its name.")
    version: int | None = Field(None, ge=1, description="Version of that name.")
    target: Annotated[str | None, BeforeValidator(_check_target)] = Field(
        None, min_length=1, description="Name of the column to predict; null: the one that OpenML names."
    )
    target_unit: _Unit
    drop: _Drop
    row_id: _RowId
    categorical: _Categorical
    numeric: _Numeric
    features: _Features
    missing_words: _MissingWords

    _numbers = field_validator("id", "version", mode="before")(read_yaml_value)

    @model_validator(mode="after")
    def _check_which(self) -> Self:
        named = self.name is not None and self.version is not None
        if (self.id is not None) == named or (self.name is None) != (self.version is None):
            raise Fault(
                "which-table",
                "give either id, or name and version: a name alone may mean another table tomorrow",
            )
        return self


class UrlSource(_Table):
    """A CSV file at an address, downloaded once into `results/.cache` (or $BNN_CACHE) and checked before it is read."""

    kind: Literal["url"] = Field(description="A CSV file at an address.")
    url: str = Field(
        min_length=1, description="The address, http or https, of the CSV file itself, no archive."
    )
    sha256: str = Field(
        pattern="^[0-9a-fA-F]{64}$",
        description="Its SHA-256 digest, as `sha256sum` prints it: a file that has changed is refused.",
    )
    max_mb: int = Field(500, ge=1, le=100_000, description="Megabytes that the file may have at most.")
    target: _Target
    target_unit: _Unit
    drop: _Drop
    row_id: _RowId
    categorical: _Categorical
    numeric: _Numeric
    features: _Features
    separator: _Separator
    decimal: _Decimal
    thousands: _Thousands
    missing_words: _MissingWords
    skip_lines: _SkipLines
    comment: _Comment
    header: _Header
    names: _ColumnNames

    _numbers = field_validator("max_mb", mode="before")(read_yaml_value)

    @field_validator("url")
    @classmethod
    def _check_address(cls, value: str) -> str:
        try:
            parts = urlsplit(value)
            _ = parts.port  # which is read, and refused, only here
        except ValueError:
            raise Fault(
                "wrong-address", f"must be an address with a host and a port that exist, not '{value}'"
            ) from None
        if (
            parts.scheme not in ("http", "https")
            or not parts.hostname
            or not value.isprintable()
            or " " in value
        ):
            raise Fault(
                "wrong-address", f"must be an address that begins with https:// or http://, not '{value}'"
            )
        if strange := re.search(r"[^\x00-\x7f]", value):
            name = strange[0]
            remedy = (
                "write the host in its form that begins with xn--"
                if name in parts.netloc
                else f"write it as {quote(name)} (percent-encoded)"
            )
            raise Fault("wrong-address", f"must hold no '{name}', which is not ASCII; {remedy}")
        if parts.username or parts.password:
            raise Fault(
                "address-with-password",
                "must hold no user name and no password: the config is copied into the report",
            )
        if end := re.search(r"\.(tgz|tar(\.[a-z0-9]+)?|zst|7z|rar)$", parts.path.lower()):
            raise Fault(
                "archive",
                f"names an archive ({end[0]}), and only a CSV file can be read, as it is or in gz, bz2, xz or zip; "
                "unpack it and use `kind: csv`",
            )
        return value


class SyntheticSource(Group):
    """Artificial data whose truth is known."""

    kind: Literal["synthetic"] = Field(description="Artificial data.")
    name: Literal["gap", "sine", "friedman1", "two_moons"] = Field(
        description="Which one. gap: regression on one feature, with a hole in the data; sine: regression on one "
        "feature, whose noise grows along it; friedman1: regression on ten features, of which five matter; two_moons: "
        "two classes that no line parts."
    )
    n: int = Field(60, ge=10, le=1_000_000, description="Number of rows.")
    noise: float = Field(
        0.3,
        gt=0,
        description="Standard deviation of the noise, in units of the target (of sine the largest); of two_moons in "
        "units of the features.",
    )
    seed: int = Field(0, ge=0, le=MAX_SEED, description="Seed of the data.")

    # By name, because a field that tells the kinds apart must have no validator.
    _numbers = field_validator("n", "noise", "seed", mode="before")(read_yaml_value)


FileSource = CsvSource | ParquetSource | FeatherSource | ExcelSource
AnySource = FileSource | SklearnSource | OpenmlSource | UrlSource | SyntheticSource
