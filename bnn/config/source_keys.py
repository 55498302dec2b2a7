"""Keys that several kinds of sources have, each with its type and description."""

import codecs
import difflib
from encodings.aliases import aliases
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, PlainSerializer

from bnn.config.base import expanded
from bnn.core.errors import Fault


def check_target(value: Any) -> Any:
    """Say what to do with several targets."""
    if isinstance(value, list | tuple) and len(value) > 1:
        one, *others = map(str, value)
        raise Fault(
            "several-targets",
            f"must be one column, not {len(value)}: make a dataset for each, here with `target: {one}` and "
            f"`drop: [{', '.join(others)}]`",
        )
    return value


_NOT_OF_FILES = {"idna", "punycode", "undefined", "unicode_escape", "raw_unicode_escape"}


def _is_encoding(name: str) -> bool:
    """Whether Python knows an encoding, and text files are written in it."""
    try:
        "".encode(name)  # a LookupError also for what encodes no text, such as base64
        return codecs.lookup(name).name.replace("-", "_") not in _NOT_OF_FILES
    except (LookupError, ValueError):
        return False


def _check_encoding(name: str) -> str:
    if _is_encoding(name):
        return name
    known = {alias.replace("_", "-") for names in aliases.items() for alias in names if _is_encoding(alias)}
    close = difflib.get_close_matches(name.lower().replace("_", "-"), sorted(known), n=1)
    hint = f"did you mean {close[0]}?" if close else "name one such as utf-8, utf-16, cp1252, cp1251 or gbk"
    raise Fault("wrong-value", f"'{name}' is no encoding that Python knows; {hint}")


_FILE = "relative to the folder in which Snakemake runs; $NAME stands for an environment variable."
_File = Annotated[str, Field(min_length=1), AfterValidator(expanded)]
Path = Annotated[_File, Field(description=f"The file, {_FILE}")]
Test = Annotated[
    _File | None,
    Field(
        default=None,
        description="A file of test rows; `split` is then not used, and `path` has train rows only.",
    ),
]
Target = Annotated[
    str, Field(min_length=1, description="Name of the column to predict."), BeforeValidator(check_target)
]
Unit = Annotated[str, Field(default="", description="Unit of a regression target, for tables and figures.")]
_Names = Annotated[tuple[Annotated[str, Field(min_length=1)], ...], PlainSerializer(list)]
Drop = Annotated[_Names, Field(default=(), description="Columns to leave out, such as an id or a date.")]
Categorical = Annotated[
    _Names,
    Field(
        default=(),
        description="Columns whose numbers are codes, such as postcodes: each value gets a feature of its own, as if "
        "it were text.",
    ),
]
Numeric = Annotated[
    _Names,
    Field(
        default=(),
        description="Columns that are numbers though they look like codes, such as 0170: zeros at the beginning mean "
        "nothing.",
    ),
]
Features = Annotated[
    _Names,
    Field(
        default=(),
        description="Columns that are features though they look like names or numbers of rows.",
    ),
]
Exposure = Annotated[
    str | None,
    Field(
        default=None,
        min_length=1,
        description="Of counts: the column of what each was counted over, such as person-years, hours or an area; the "
        "expected count is in proportion to it. New rows need it too.",
    ),
]
FoldCase = Annotated[
    _Names,
    Field(
        default=(),
        description="Columns, the target among them, whose texts are one where they differ by case or blanks alone: "
        "Yes, `yes ` and YES become yes, in new rows too.",
    ),
]


def _plain(words: Any) -> Any:
    """Return a list, or lists by the names of columns: a union would try each type's own form, and `list` of both."""
    if isinstance(words, dict):
        return {column: list(own) for column, own in words.items()}
    return None if words is None else list(words)


_Word = Annotated[str, Field(min_length=1)]
MissingWords = Annotated[
    tuple[_Word, ...] | dict[_Word, tuple[_Word, ...]] | None,
    PlainSerializer(_plain),
    Field(
        default=None,
        # csv_files has the list itself; it imports NumPy, for which Snakemake would wait at every start.
        description='Words, in any case, or numbers in quotes, such as "-999", that stand for a missing value, as an '
        "empty cell always does: a list for all columns, or lists by the names of columns; without NA in the "
        "list, a text NA is a level like others. In a file whose columns have types null means none, else "
        "null: NA, N/A, #N/A, `<NA>`, NaN, -NaN, null and None.",
    ),
]
MissingTarget = Annotated[
    Literal["error", "drop"],
    Field(
        default="error",
        description="Rows whose target is missing. error: they are refused; drop: they are in neither part, and the "
        "run and the page say how many they are.",
    ),
]
RowId = Annotated[
    str | None,
    Field(
        default=None,
        min_length=1,
        description="The column that names rows, such as an id: no feature, it stands beside the rows in "
        "predictions.csv and in the report.",
    ),
]
Separator = Annotated[
    str,
    Field(
        default=",",
        min_length=1,
        max_length=1,
        description='What stands between cells, such as ";", or "\\t" for a tab.',
    ),
]
Decimal = Annotated[
    Literal[".", ","],
    Field(default=".", description="What stands before the fraction of a number: a point, or a comma."),
]
Thousands = Annotated[
    Literal["", ",", ".", " ", "'", "’", "\u00a0", "\u2009", "\u202f"],
    Field(
        default="",
        description='What stands between the groups of three digits of a number, such as "," in 41,867.',
    ),
]
Encoding = Annotated[
    str,
    Field(
        default="utf-8",
        description="Encoding of the text, by a name that Python knows, such as cp1252 (Windows in Western Europe and "
        "America), cp1251, latin-1 or gbk; a mark of UTF-8 or UTF-16 at the beginning of the file overrules it.",
    ),
    AfterValidator(_check_encoding),
]
SkipLines = Annotated[
    Annotated[int, Field(ge=0)] | Annotated[tuple[Annotated[int, Field(ge=1)], ...], PlainSerializer(list)],
    Field(
        default=0,
        description="Lines at the top that are no part of the table, such as a title; or a list of the numbers of such "
        "lines, such as [2] for units below the header, which is a row in a file where it is another. Rows are counted "
        "without them.",
    ),
]
Comment = Annotated[
    str, Field(default="", description='What begins lines that are no part of the table, such as "#".')
]
Header = Annotated[
    bool, Field(default=True, description="Whether the first line holds the names of the columns.")
]
ColumnNames = Annotated[
    _Names,
    Field(
        default=(), description="Names of the columns of a file without header line; []: c1, c2 and so on."
    ),
]
