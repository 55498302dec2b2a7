"""Errors and doubts with a code and a place, several told at once, and names of columns as a message holds them."""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Self, TypeVar

_MOST_FAULTS = 5
_PLAIN = re.compile(
    r"(?!(true|false|yes|no|on|off|null|y|n)$)[^\W\d]([\w.()/%°²³ -]*[\w.()/%°²³])?", re.IGNORECASE
)
"""Names that YAML reads as they are"""

Result = TypeVar("Result")


class Fault(ValueError):
    """Something that a user gave cannot be used; the message says where the fault is and what to do.

    Parameters
    ----------
    code
        A short name of the kind of fault, such as "column-missing": it stays when the message is reworded, so programs
        and tests go by it.
    message
        For people: what is wrong, where, and what to do, in one line.
    file, column, row, key, value
        The place, as far as there is one: a file or an address, the name of a column, the number of a row as messages
        count rows, a dotted key of the config, the text at fault.
    faults
        The faults that this one stands for, if there are several.
    """

    def __init__(
        self,
        code: str,
        message: str,
        *,
        file: str | None = None,
        column: str | None = None,
        row: int | None = None,
        key: str | None = None,
        value: str | None = None,
        faults: Sequence["Fault"] = (),
    ) -> None:
        super().__init__(code, message)  # all that pickle needs; the rest are attributes
        self.code = code
        self.message = message
        self.file = file
        self.column = column
        self.row = None if row is None else int(row)
        self.key = key
        self.value = value
        self.faults: tuple[Fault, ...] = tuple(faults) or (self,)

    def __str__(self) -> str:
        return self.message

    def reworded(self, message: str, *, file: str | None = None) -> Self:
        """Return the same fault at the same place, in other words, and of another file if one is given."""
        several = [fault.reworded(fault.message, file=file) for fault in self.faults if fault is not self]
        return type(self)(
            self.code,
            message,
            file=file or self.file,
            column=self.column,
            row=self.row,
            key=self.key,
            value=self.value,
            faults=several,
        )


class DataError(Fault):
    """The data cannot be used.

    Where several columns have a fault each, the message has a line for each of the first.
    """


def cell_error(
    code: str, column: str, row: int, text: str, *, key: str | None = None, value: str | None = None
) -> DataError:
    """Return the error for a cell, of which `text` says what is wrong and what to do."""
    return DataError(
        code, f"column '{column}', row {row}: {text}", column=column, row=row, key=key, value=value
    )


class ResultError(Fault):
    """Files of results do not fit together, or not to what is asked of them."""


@dataclass(frozen=True)
class Doubt:
    """Something that may be meant otherwise than it was read.

    Attributes
    ----------
    code
        Kind of the doubt, such as "value-missing": programs and tests go by it.
    column
        Name of the column; "" if whole rows are meant.
    text
        For people: what was seen, and the line of the config that says what is meant.
    row
        Number of the first row, as messages count rows; None: all rows are meant.
    """

    code: str
    column: str
    text: str
    row: int | None = None

    @property
    def with_place(self) -> str:
        """The text with the place before it."""
        places = [f"column '{self.column}'"] if self.column else []
        places += [] if self.row is None else [f"row {self.row}"]
        return f"{', '.join(places)}: {self.text}" if places else self.text

    def __str__(self) -> str:
        return f"{self.with_place} [{self.code}]"


def with_code(error: BaseException) -> str:
    """Return the message of an error for a terminal, with the codes of its faults in brackets."""
    text = str(error) or type(error).__name__
    several = isinstance(error, Fault) and error.faults != (error,)  # these have their codes in the message
    return f"{text} [{error.code}]" if isinstance(error, Fault) and not several else text


@contextmanager
def collected_faults() -> Iterator[Callable[[Callable[[], Result]], Result | None]]:
    """Yield what calls functions, each of which may raise a DataError; at the end all of those are raised as one.

    So that a table with several faults need not be corrected, and read, as often as it has columns.
    """
    faults: list[DataError] = []

    def collect(function: Callable[[], Result]) -> Result | None:
        try:
            return function()
        except DataError as error:
            faults.append(error)
            return None

    yield collect
    raise_all(faults, "columns cannot be used as they are")


def raise_all(faults: Sequence[DataError], what: str) -> None:
    """Raise the faults, if there are any, as one DataError; `what` says what all of them are, such as "columns"."""
    if len(faults) > 1:
        shown_faults = "".join(f"\n  - {with_code(fault)}" for fault in faults[:_MOST_FAULTS])
        more = f"\n  (and {len(faults) - _MOST_FAULTS} more)" if len(faults) > _MOST_FAULTS else ""
        raise DataError("several-faults", f"{len(faults)} {what}:{shown_faults}{more}", faults=faults)
    if faults:
        raise faults[0]


def shown(text: str) -> str:
    """Return a text as a message can hold it: on one line, all of it visible, and not endless."""
    visible = "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)
    return visible if len(visible) <= 60 else f"{visible[:57]}..."


def listing(names: Sequence[str]) -> str:
    """Return names separated by commas, the first ten of many."""
    text = ", ".join(shown(name) for name in names[:10])
    return text if len(names) <= 10 else f"{text} and {len(names) - 10} more"


def in_yaml(name: str) -> str:
    """Return a name as the config holds it, with quotes where YAML would read something else."""
    return name if _PLAIN.fullmatch(name) else json.dumps(name, ensure_ascii=False)


def drop_line(*names: str) -> str:
    """Return what the config says to drop columns."""
    return f"source.drop: [{', '.join(map(in_yaml, names))}]"


def group_line(name: str) -> str:
    """Return what the config says to split by a column, whose rows of one value stay together."""
    return f"split: {{method: group, column: {in_yaml(name)}}}"


def or_missing(texts: Iterable[str], line: Callable[[Sequence[str]], str], *, most: int = 5) -> str:
    """Return what the config says if texts among numbers stand for a missing value, as part of advice.

    Parameters
    ----------
    texts
        The texts; those with digits (but #DIV/0!), very long, or not to be shown, are taken for mistakes.
    line
        Returns what the config then says.
    most
        More texts than these are no such words: the advice is then "".
    """
    plain = [
        text
        for text in texts
        if len(text) <= 20 and text.isprintable() and not re.search(r"^[^#].*\d|^\d", text)
    ]
    found = list({text.lower(): text for text in plain}.values())
    if not 0 < len(found) <= most:
        return ""
    stand = "stands" if len(found) == 1 else "stand"
    quoted = [f"'{word}'" for word in found]
    return f"or, if {listing(quoted)} {stand} for a missing value, set {line(found)}, "
