"""The part of the config that says where a table comes from."""

import re
from typing import Annotated, Literal, Self
from urllib.parse import quote, urlsplit

from pydantic import BeforeValidator, Field, field_validator, model_validator

from bnn.config import source_keys as keys
from bnn.config.base import MAX_SEED, Group, read_yaml_value
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


_EXCLUDING = (
    ("drop", "target"),
    ("categorical", "target"),
    ("target", "row_id"),
    ("drop", "row_id"),
    ("categorical", "row_id"),
    ("fold_case", "row_id"),
    ("exposure", "target"),
    ("exposure", "row_id"),
    ("drop", "exposure"),
    ("categorical", "exposure"),
    ("fold_case", "exposure"),
    ("drop", "categorical"),
    ("numeric", "categorical"),
    ("numeric", "drop"),
    ("fold_case", "drop"),
    ("fold_case", "numeric"),
)
"""Pairs of keys that must not name one column."""


class _Table(Group):
    """A table whose columns are not known beforehand."""

    @model_validator(mode="after")
    def _check_keys(self) -> Self:
        named = {role: set(getattr(self, role)) for role in ("drop", "categorical", "numeric", "fold_case")}
        for role in ("target", "row_id", "exposure"):
            named[role] = {getattr(self, role)} - {None}
        for one, other in _EXCLUDING:
            if both := ", ".join(sorted(named[one] & named[other])):
                what = f"both name {both}; remove it from one of them"
                must = f"{one} must not name the target '{both}'"
                raise Fault("contradiction", must if other == "target" else f"{one} and {other} {what}")
        if getattr(self, "names", ()) and self.header:  # type: ignore[attr-defined]
            raise Fault("contradiction", "names are those of a file without header line; set `header: false`")
        separator, decimal = getattr(self, "separator", ";"), getattr(self, "decimal", ".")
        if separator == decimal == ".":  # a comma may be both, in numbers between quotation marks
            raise Fault("contradiction", "separator and decimal must not both be '.'")
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
    path: keys.Path
    test: keys.Test
    target: keys.Target
    target_unit: keys.Unit
    drop: keys.Drop
    missing_target: keys.MissingTarget
    row_id: keys.RowId
    categorical: keys.Categorical
    numeric: keys.Numeric
    exposure: keys.Exposure
    features: keys.Features
    fold_case: keys.FoldCase
    separator: keys.Separator
    decimal: keys.Decimal
    thousands: keys.Thousands
    encoding: keys.Encoding
    missing_words: keys.MissingWords
    skip_lines: keys.SkipLines
    comment: keys.Comment
    header: keys.Header
    names: keys.ColumnNames


class ParquetSource(_Table):
    """A Parquet file of your own."""

    kind: Literal["parquet"] = Field(description="A Parquet file.")
    path: keys.Path
    test: keys.Test
    target: keys.Target
    target_unit: keys.Unit
    drop: keys.Drop
    missing_target: keys.MissingTarget
    row_id: keys.RowId
    categorical: keys.Categorical
    numeric: keys.Numeric
    exposure: keys.Exposure
    features: keys.Features
    fold_case: keys.FoldCase
    missing_words: keys.MissingWords


class FeatherSource(_Table):
    """A Feather or Arrow file of your own."""

    kind: Literal["feather"] = Field(description="A Feather or Arrow file.")
    path: keys.Path
    test: keys.Test
    target: keys.Target
    target_unit: keys.Unit
    drop: keys.Drop
    missing_target: keys.MissingTarget
    row_id: keys.RowId
    categorical: keys.Categorical
    numeric: keys.Numeric
    exposure: keys.Exposure
    features: keys.Features
    fold_case: keys.FoldCase
    missing_words: keys.MissingWords


class ExcelSource(_Table):
    """A workbook of your own, as Excel (xlsx, xls, xlsb) or LibreOffice (ods) writes it; needs python-calamine."""

    kind: Literal["excel"] = Field(description="A workbook.")
    path: keys.Path
    sheet: str | None = Field(
        None, min_length=1, description="Name of the sheet; null: the only one of the workbook."
    )
    test: keys.Test
    target: keys.Target
    target_unit: keys.Unit
    drop: keys.Drop
    missing_target: keys.MissingTarget
    row_id: keys.RowId
    categorical: keys.Categorical
    numeric: keys.Numeric
    exposure: keys.Exposure
    features: keys.Features
    fold_case: keys.FoldCase
    missing_words: keys.MissingWords
    skip_lines: keys.SkipLines


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
    target: Annotated[str | None, BeforeValidator(keys.check_target)] = Field(
        None, min_length=1, description="Name of the column to predict; null: the one that OpenML names."
    )
    target_unit: keys.Unit
    drop: keys.Drop
    missing_target: keys.MissingTarget
    row_id: keys.RowId
    categorical: keys.Categorical
    numeric: keys.Numeric
    exposure: keys.Exposure
    features: keys.Features
    fold_case: keys.FoldCase
    missing_words: keys.MissingWords

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
    target: keys.Target
    target_unit: keys.Unit
    drop: keys.Drop
    missing_target: keys.MissingTarget
    row_id: keys.RowId
    categorical: keys.Categorical
    numeric: keys.Numeric
    exposure: keys.Exposure
    features: keys.Features
    fold_case: keys.FoldCase
    separator: keys.Separator
    decimal: keys.Decimal
    thousands: keys.Thousands
    encoding: keys.Encoding
    missing_words: keys.MissingWords
    skip_lines: keys.SkipLines
    comment: keys.Comment
    header: keys.Header
    names: keys.ColumnNames

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
