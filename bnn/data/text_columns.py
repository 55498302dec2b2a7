"""A column of texts as it comes, block by block, and what it turns out to hold: numbers, true and false, levels.

Cells become numbers, or codes of texts, a block of rows at a time, so that a file never lies in memory as text. Arrow
does what is plain; what is not is looked at text by text.
"""

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from bnn.core.errors import DataError, Doubt, cell_error, drop_line, in_yaml, or_missing, shown
from bnn.data.arrow_texts import bytes_of, has_leading_zero
from bnn.data.growing import Growing
from bnn.data.level_doubts import level_doubts
from bnn.data.number_hints import GROUPED, hint, is_nearly_number
from bnn.data.words import (
    CODE,
    LARGEST,
    LIKE_MISSING,
    MOST_EXACT,
    TEXTS,
    Kind,
    TextFormat,
    categories,
    number_of,
    truth_of,
)

if TYPE_CHECKING:
    import pyarrow as pa

_FEW = 200
"""Cells of a block that Python reads before Arrow has begun"""
_DIGITS, _BESIDE_DIGITS = b"0123456789", b"+-.eE"
_IN_NUMBERS = frozenset((_DIGITS + _BESIDE_DIGITS).decode())
_BUT = ", but other cells of the column are; correct it (a column of numbers may hold nothing else)"


class TextColumn:
    """A column of texts.

    Parameters
    ----------
    name
        Its name, for messages.
    kind
        What it is to hold.
    form
        How its texts are written.
    is_typed
        Whether the file could have held numbers as such, and does not.
    units
        What `source.skip_lines` is to be if the first row holds units; () if it does not look so.
    """

    def __init__(
        self, name: str, kind: Kind, form: TextFormat, *, is_typed: bool = False, units: Sequence[int] = ()
    ) -> None:
        self.name = name
        self.doubts: list[Doubt] = []
        self._kind = kind
        self._form = form
        self._is_typed, self._units = is_typed, units
        self._missing, self._missing_numbers = form.missing(name, is_typed=is_typed)
        # float64 without any text; codes (int32) of texts, -1 for none; or, while all are digits, codes of own texts
        self._blocks: list[Growing | tuple[np.ndarray, list[str]]] = []
        self._levels: dict[str, int] = {}
        self._n_numbers = self._n_texts = self._n_large = 0
        self._too_large: DataError | None = None
        self._first: dict[str, tuple[int, str]] = {}
        self._is_digits = kind == "any"
        self._gone: Counter[str] = Counter()
        self._fault: DataError | None = None
        self._row: int | None = None
        """Where the first block begins"""
        # Where semicolons separate cells, a point rather stands between thousands.
        self._may_be_grouped = form.separator == ";" and form.decimal == "." and not form.thousands
        self._grouped: tuple[int, str] | None = None
        """The first cell with a point, while all may be such"""

    def add(self, cells: "pa.Array", row: int) -> None:
        """Take the cells of a block, texts or null, whose first one stands in the row."""
        if self._fault is not None:
            return
        self._row = row if self._row is None else self._row
        if self._may_be_grouped and self._kind not in TEXTS and not self._is_typed:
            self._look_for_groups(cells, row)
        try:
            values = None if self._kind in TEXTS else self._fast(cells)
            if values is None:
                self._slow(cells, row)
                return
        except DataError as error:
            self._fault = error  # told with those of other columns
            return
        present = np.flatnonzero(~np.isnan(values))
        self._n_numbers += present.size
        if present.size:
            place = int(present[0])
            self._first.setdefault("number", (row + place, str(cells[place]).strip()))
        self._append(values)

    def _look_for_groups(self, cells: "pa.Array", row: int) -> None:
        """Note whether all numbers so far may have points between thousands."""
        import pyarrow.compute as pc

        self._may_be_grouped = bool(pc.all(pc.match_substring_regex(cells, GROUPED)).as_py())
        if self._may_be_grouped and self._grouped is None:
            where = pc.index(pc.match_substring(cells, "."), True).as_py()
            self._grouped = (row + where, str(cells[where]).strip()) if where >= 0 else None

    def _append(self, values: np.ndarray) -> None:
        last = self._blocks[-1] if self._blocks else None
        if isinstance(last, Growing) and last.values.dtype == values.dtype:
            last.add(values)
        else:
            self._blocks.append(Growing(values))

    def _fast(self, cells: "pa.Array") -> np.ndarray | None:
        """Return the numbers if there is nothing else, and none that needs a closer look."""
        if self._form.thousands:
            return None
        found = self._few(cells) if len(cells) < _FEW else self._many(cells)
        if found is None:
            return None
        values, is_digits, has_zero = found
        if (np.abs(values) >= MOST_EXACT).any() or (self._is_digits and is_digits and has_zero):
            return None
        if not is_digits:
            self._not_digits()
        if self._missing_numbers:
            values = np.where(np.isin(values, self._missing_numbers), np.nan, values)
        return values

    def _few(self, cells: "pa.Array") -> tuple[np.ndarray, bool, bool] | None:
        """Return numbers, whether all are digits alone, and whether one begins with a zero; None: look closer."""
        texts = cells.to_pylist()
        if None in texts or self._form.decimal == ",":
            return None
        text = "".join(texts)
        if "" in texts or not _IN_NUMBERS.issuperset(text):
            return None
        try:
            values = np.array([float(cell) for cell in texts])
        except ValueError:
            return None
        is_digits = text.isdigit()
        return values, is_digits, is_digits and any(cell[0] == "0" and len(cell) > 1 for cell in texts)

    def _many(self, cells: "pa.Array") -> tuple[np.ndarray, bool, bool] | None:
        """Do the same as `_few` by Arrow, with missing values among the numbers."""
        import pyarrow as pa
        import pyarrow.compute as pc

        starts, text = bytes_of(cells)
        if self._form.decimal == ",":
            if b"." in text:
                return None
            cells = pc.replace_substring(cells, ",", ".")
            starts, text = bytes_of(cells)
        others = text.translate(None, _DIGITS)
        if (starts[1:] == starts[:-1]).any() or others.translate(None, _BESIDE_DIGITS):
            cells = pc.utf8_trim_whitespace(cells)
            words = pa.array(sorted(self._missing))
            cells = pc.if_else(pc.is_in(pc.utf8_lower(cells), value_set=words), None, cells)
            starts, text = bytes_of(cells)
            others = text.translate(None, _DIGITS)
            if others.translate(None, _BESIDE_DIGITS):
                return None
        try:
            values = pc.cast(cells, pa.float64()).to_numpy(zero_copy_only=False)
        except pa.lib.ArrowInvalid:
            return None
        return values, not others, not others and bool(text) and has_leading_zero(starts, text)

    def _slow(self, cells: "pa.Array", row: int) -> None:
        import pyarrow.compute as pc

        encoded = pc.dictionary_encode(cells)
        index = encoded.indices.fill_null(-1).to_numpy().astype(np.int32)
        texts = [text.strip() for text in encoded.dictionary.to_pylist()]
        is_missing = [text.lower() in self._missing for text in texts]
        if self._is_digits and all(
            missing or (text.isascii() and text.isdigit())
            for text, missing in zip(texts, is_missing, strict=True)
        ):
            self._blocks.append(
                (index, [("" if gone else text) for text, gone in zip(texts, is_missing, strict=True)])
            )
            return
        self._not_digits()
        self._append(self._looked_at(index, texts, is_missing, row))

    def _looked_at(self, index: np.ndarray, texts: list[str], is_missing: list[bool], row: int) -> np.ndarray:
        """Return numbers, or codes once a text was among them."""
        values = np.full(len(texts) + 1, np.nan)  # the last entry is that of -1
        codes = np.full(len(texts) + 1, -1, dtype=np.int32)
        is_large = np.zeros(len(texts) + 1, dtype=bool)
        for place, cell in enumerate(texts):
            if is_missing[place]:
                self._gone[cell] += int(np.count_nonzero(index == place)) if cell else 0
                continue

            def where(place: int = place) -> int:
                return row + int(np.argmax(index == place))

            number = None if self._kind in TEXTS else number_of(cell, self._form)
            if number is None and self._kind == "number":
                raise self._not_a_number(where(), cell)
            if number is None:
                codes[place] = self._levels.setdefault(cell, len(self._levels))
                self._first.setdefault("text", (where(), cell))
            elif number not in self._missing_numbers:
                if abs(number) > LARGEST:
                    text = f"{shown(cell)} is infinite or too large; correct it"
                    fault = cell_error("number-too-large", self.name, where(), text, value=cell)
                    if self._kind == "number":
                        raise fault
                    self._too_large = self._too_large or fault
                    is_large[place] = True  # or a text such as 42e62205, if others are
                    codes[place] = self._levels.setdefault(cell, len(self._levels))
                    continue
                if abs(number) >= MOST_EXACT and _loses_digits(cell, number):
                    self._first.setdefault("inexact", (where(), cell))
                values[place] = number
                self._first.setdefault("number", (where(), cell))
        found, levels = values[index], codes[index]
        self._n_numbers += int(np.count_nonzero(~np.isnan(found)))
        self._n_texts += int(np.count_nonzero(levels >= 0))
        self._n_large += int(np.count_nonzero(is_large[index]))
        return levels if self._n_texts or self._kind in TEXTS else found

    def _not_digits(self) -> None:
        """Forget the texts of digits: they are numbers like others."""
        if not self._is_digits:
            return
        self._is_digits = False
        row, blocks, self._blocks = self._row or 0, self._blocks, []
        for block in blocks:
            if isinstance(block, tuple):
                index, texts = block
                values = self._looked_at(index, texts, [not text for text in texts], row)
            else:
                values = block.values
            self._append(values)
            row += len(values)

    def values(self) -> Any:
        """Return the whole column: float64 with NaN, `boolean`, or categories; `doubts` then has what is to be told.

        Raises
        ------
        DataError
            If it holds numbers and texts, or something that cannot be read as what it is to hold.
        """
        import pandas as pd

        if self._fault is not None:
            raise self._fault
        if self._is_digits and any(isinstance(block, tuple) for block in self._blocks):
            if (found := self._codes()) is not None:
                return found
            self._not_digits()
            if self._fault is not None:
                raise self._fault
        if self._too_large is not None and self._n_texts - self._n_large <= self._n_numbers + self._n_large:
            raise self._too_large
        blocks = [block.values for block in self._blocks if isinstance(block, Growing)]
        self._blocks = []
        if "text" not in self._first and self._kind not in TEXTS:
            if "inexact" in self._first:
                row, cell = self._first["inexact"]
                text = f"'{shown(cell)}' has more digits than a number can hold, and the last ones are lost"
                remedy = f"source.row_id: {in_yaml(self.name)} or {drop_line(self.name)}"
                self._doubt("digits-lost", row, f"{text}; if it is a name, set {remedy}")
            if self._may_be_grouped and self._grouped is not None:
                row, cell = self._grouped
                self._doubt(
                    "points-in-thousands",
                    row,
                    f"'{cell}' and all others with a point have three digits after it; if it stands between thousands, "
                    "set source.decimal: ',' and source.thousands: '.'",
                )
            if self._is_typed and self._n_numbers:
                self._doubt(
                    "numbers-as-text", None, "the file holds numbers stored as text; they are read as numbers"
                )
            return blocks[0] if len(blocks) == 1 else np.concatenate([np.empty(0), *blocks])
        if self._kind not in TEXTS:
            self._check_texts()
        codes = np.concatenate(
            [block if block.dtype == np.int32 else np.full(len(block), -1, np.int32) for block in blocks]
        )
        levels = list(self._levels)
        truth = None if self._kind in TEXTS else truth_of(levels)
        if self._kind != "name":
            seen = levels if truth is None else ()
            is_free = self._kind == "any"
            self.doubts += level_doubts(
                self.name, seen, self._form, is_typed=self._is_typed, is_free=is_free, gone=self._gone
            )
        if truth is not None:
            return pd.arrays.BooleanArray(truth[codes], codes == -1)
        # The names of parts of a split stand in the config as they are written in the table.
        fold = self.name in self._form.fold_case and self._kind != "name"
        return categories(levels, codes, kind=self._kind, decimal=self._form.decimal, fold=fold)

    def _codes(self) -> Any:
        """Return digits as levels, if one of them begins with a zero as no number does; else None."""
        levels: dict[str, int] = {}
        parts, row, first = [], self._row or 0, None
        for block in self._blocks:
            if isinstance(block, tuple):
                index, texts = block
                for place, text in enumerate(texts):
                    if first is None and CODE.fullmatch(text):
                        first = (row + int(np.argmax(index == place)), text)
            else:
                numbers, index = np.unique(block.values, return_inverse=True, equal_nan=True)
                texts = ["" if number != number else str(int(number)) for number in numbers.tolist()]
            own = [levels.setdefault(text, len(levels)) if text else -1 for text in texts]
            parts.append(np.array([*own, -1], dtype=np.int32)[index])
            row += len(index)
        if first is None:
            return None
        self._doubt(
            "leading-zeros",
            None,
            f"'{shown(first[1])}' begins with a zero, so all are taken for codes, a level each; if they are, set "
            f"source.categorical: [{in_yaml(self.name)}]; if they are numbers, source.numeric: [{in_yaml(self.name)}]",
        )
        return categories(list(levels), np.concatenate(parts))

    def _doubt(self, code: str, row: int | None, text: str) -> None:
        self.doubts.append(Doubt(code, self.name, text, row))

    def _not_a_number(self, row: int, cell: str, but: str = "") -> DataError:
        units = self._units if row == self._row and cell.lower() not in LIKE_MISSING else ()
        text, key = hint(cell, self._form, is_typed=self._is_typed, units=units)
        return cell_error(
            "not-a-number",
            self.name,
            row,
            f"'{shown(cell)}' is not a number{but}{text}",
            value=cell,
            key=key and f"source.{key}",
        )

    def _or_missing(self, most: int = 5) -> str:
        return or_missing(
            self._levels,
            lambda words: self._form.missing_line(self.name, words, for_all=True, is_typed=self._is_typed),
            most=most,
        )

    def _check_texts(self) -> None:
        """Raise DataError if there are numbers among the texts, or numbers that only look like texts."""
        row, cell = self._first["text"]
        is_mostly_text = "number" not in self._first or self._n_texts > self._n_numbers
        if is_mostly_text and all(map(is_nearly_number, self._levels)):
            fault = self._not_a_number(row, cell)
            raise fault.reworded(f"{fault}; if it is a text, set source.categorical: [{in_yaml(self.name)}]")
        if "number" not in self._first:
            return
        if self._n_texts <= self._n_numbers:
            fault = self._not_a_number(row, cell, _BUT)
            raise DataError(
                "text-among-numbers",
                f"{fault}, {self._or_missing()}or, if all are levels, set "
                f"source.categorical: [{in_yaml(self.name)}], or drop the column ({drop_line(self.name)})",
                column=self.name,
                row=row,
                key=fault.key,
                value=cell,
            )
        row, cell = self._first["number"]
        raise cell_error(
            "number-among-texts",
            self.name,
            row,
            f"'{shown(cell)}' is a number, but most cells of the column are "
            f"texts; correct it, {self._or_missing(most=1)}or, if it is a text as well, set "
            f"source.categorical: [{in_yaml(self.name)}], or drop the column ({drop_line(self.name)})",
            value=cell,
        )


def _loses_digits(cell: str, number: float) -> bool:
    """Return whether a whole number is another one as float64."""
    digits = cell.lstrip("+-\u2212")
    return digits.isdigit() and int(digits) != abs(int(number))
