"""From the columns of a table to the inputs of a network: what is learned about each column, on training rows alone.

Numbers are standardised. True and false become 1 and 0. Texts become a 1 in the column of their level and 0
elsewhere, rare levels sharing one. Missing values are an error, or take the median or the most frequent value, with a 1
in a column that says so. Zeros and ones are centred but not scaled: a level of five rows among ten thousand would
otherwise be forty standard deviations away from all others, and no prior on weights could be right for it and for a
number.

scikit-learn's ColumnTransformer learns all that; what it has learned is kept as plain numbers and texts, which a file
can hold without executable code and which transform new rows exactly as it would.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np

from bnn.core.errors import DataError, drop_line, shown
from bnn.data.cells import Missing, floats, where_missing
from bnn.data.column_encoding import Column, level_features, number_features
from bnn.data.csv_files import Kind

if TYPE_CHECKING:
    import pandas as pd
    from sklearn.compose import ColumnTransformer

MAX_LEVELS = 250
"""Levels of a text column that become a feature each, at most."""

_BLOCK_CELLS = 250_000
_BLOCK_COLUMNS = 1000
"""At most so many at a time: ColumnTransformer looks each name up in a list of all."""


class Encoded(NamedTuple):
    """Rows as a network takes them."""

    x: np.ndarray
    """(row, feature) float64"""
    n_missing: Mapping[str, int]
    """Column -> rows whose value was missing, where there are any"""
    unseen: Mapping[str, Mapping[str, int]]
    """Column -> text that no training row has -> rows with it"""


@dataclass(frozen=True, eq=False)
class Encoding:
    """How a table becomes the inputs of a network.

    Parameters
    ----------
    columns
        All columns of the table.
    mean, scale
        Of each feature on the training rows, (feature,): a network takes (feature - mean) / scale. The scale is the
        standard deviation (divisor n) of a number, 1 of zeros and ones.
    """

    columns: tuple[Column, ...]
    mean: np.ndarray
    scale: np.ndarray

    @property
    def feature_names(self) -> tuple[str, ...]:
        """A name for each feature."""
        return tuple(name for column in self.columns for name in column.features)

    @property
    def kinds(self) -> dict[str, Kind]:
        """Columns that new rows must have, and what a CSV file of them may hold there."""
        kinds: dict[str, Kind] = {"number": "number", "boolean": "any", "text": "text"}
        return {column.name: kinds[column.kind] for column in self.columns if column.features}

    @property
    def unused(self) -> tuple[str, ...]:
        """Columns of the table that are no features, which new rows need not have."""
        return tuple(column.name for column in self.columns if not column.features)

    def transform(
        self, frame: "pd.DataFrame", rows: np.ndarray | slice = slice(None), *, first_row: int = 0
    ) -> Encoded:
        """Turn tidy columns into standardised features.

        Parameters
        ----------
        frame
            The columns, as `tidy` makes them; any order, and others may be there.
        rows
            Which rows to take.
        first_row
            Number of the first row in messages.

        Raises
        ------
        DataError
            If a value is missing where the training rows had none, or a column holds another kind of thing; the message
            names column and row.
        """
        n_rows = len(np.arange(len(frame))[rows])
        x = np.empty((n_rows, len(self.mean)))
        n_missing: dict[str, int] = {}
        unseen: dict[str, dict[str, int]] = {}
        place = 0
        for column in self.columns:
            if not column.features:
                # Constant in training: nothing is made of it, but a gap in these rows is still told.
                if column.name in frame and (count := int(where_missing(frame[column.name])[rows].sum())):
                    n_missing[column.name] = count
                continue
            if column.kind == "text":
                values, is_missing, strange = level_features(column, frame[column.name], rows, first_row)
                if strange:
                    unseen[column.name] = strange
            else:
                values, is_missing = number_features(column, frame[column.name], rows, first_row)
            if count := int(is_missing.sum()):
                n_missing[column.name] = count
            for feature in (*values, *[is_missing] * column.has_indicator):
                # A row may lie so many scales away that the quotient overflows: the caller sees it.
                with np.errstate(over="ignore"):
                    x[:, place] = (feature - self.mean[place]) / self.scale[place]
                place += 1
        return Encoded(x, n_missing, unseen)


def fit(
    frame: "pd.DataFrame",
    rows: np.ndarray | slice = slice(None),
    *,
    missing: Missing = "error",
    min_frequency: int = 1,
) -> Encoding:
    """Learn from training rows how to turn a table into inputs.

    Parameters
    ----------
    frame
        The columns, as `tidy` makes them.
    rows
        The training rows.
    missing
        "impute": missing values are filled in, and have a feature that says so; "error": `check` has refused them.
    min_frequency
        Levels of texts in fewer training rows share one feature.

    Raises
    ------
    DataError
        If a column has too many levels, nothing is left to predict from, or two features get one name.
    """
    columns: list[Column] = []
    scaling: list[tuple[float, float]] = []
    for names in _blocks(list(frame.columns), len(frame)):
        # Each block alone, so that the copies that are made on the way stay small.
        for column, stats in _fit_block(frame[names].iloc[rows], missing, min_frequency):
            columns.append(column)
            scaling += stats
    mean, scale = np.array(scaling, dtype=np.float64).reshape(-1, 2).T
    found = Encoding(tuple(columns), mean.copy(), scale.copy())
    features = found.feature_names
    if not features:
        raise DataError(
            "no-features",
            "no column is left to predict from: each is constant on the training rows; add columns or rows",
        )
    if len(set(features)) < len(features):
        twice = next(name for index, name in enumerate(features) if name in features[:index])
        raise DataError(
            "feature-name-twice",
            f"two features would get the name '{shown(twice)}'; rename a column",
            value=twice,
        )
    return found


def _blocks(names: list[str], n_rows: int) -> Iterator[list[str]]:
    size = min(max(1, _BLOCK_CELLS // max(n_rows, 1)), _BLOCK_COLUMNS)
    for start in range(0, len(names), size):
        yield names[start : start + size]


def _fit_block(
    frame: "pd.DataFrame", missing: Missing, min_frequency: int
) -> Iterator[tuple[Column, list[tuple[float, float]]]]:
    """Yield each column, and mean and scale of its features."""
    found = {name: _look(name, frame[name], missing, min_frequency) for name in frame.columns}
    transformer = make_transformer(found.values(), missing=missing, min_frequency=min_frequency)
    if transformer is None:
        yield from ((column, []) for column in found.values())
        return
    transformer.fit(plain(frame))
    fitted = {name: (part, list(of)) for name, part, of in transformer.transformers_ if name != "remainder"}
    places = {
        name: place
        for kind, (_, names) in fitted.items()
        if kind != "indicators"
        for place, name in enumerate(names)
    }
    scaling = {kind: _scaling(*part) for kind, part in fitted.items() if kind != "texts"}
    for name, column in found.items():
        stats: list[tuple[float, float]] = []
        if column.has_value:
            part, place = fitted[f"{column.kind}s"][0], places[name]
            if missing == "impute":
                value = part["impute"].statistics_[place]
                column = replace(column, fill=str(value) if column.kind == "text" else float(value))
            if column.kind == "text":
                column, stats = _with_levels(column, part, place)
            else:
                stats = [scaling[f"{column.kind}s"][name]]
        if column.has_indicator:
            stats.append(scaling["indicators"][name])
        yield column, stats


def _look(name: str, column: "pd.Series", missing: Missing, min_frequency: int) -> Column:
    """Return what can be told of a column before anything is learned: what it holds, and whether that varies.

    Raises
    ------
    DataError
        If it would become too many features: better now than when they are all in memory.
    """
    import pandas as pd

    is_missing = where_missing(column)
    n_missing = int(is_missing.sum())
    kind: Literal["number", "boolean", "text"] = "number"
    if isinstance(column.dtype, pd.CategoricalDtype):
        kind = "text"
        codes = column.cat.codes.to_numpy()
        varies = _n_levels(name, codes, n_missing, min_frequency) > 1
    else:
        if isinstance(column.dtype, pd.BooleanDtype):
            kind = "boolean"
        values = floats(column)
        present = values[~is_missing] if n_missing else values
        varies = present.size > 0 and np.ptp(present) > 0
    has_indicator = missing == "impute" and 0 < n_missing < len(column)
    return Column(name, kind, has_value=bool(varies), has_indicator=has_indicator, n_missing=n_missing)


def _n_levels(name: str, codes: np.ndarray, n_missing: int, min_frequency: int) -> int:
    """Return how many features the levels of a text become."""
    counts = np.bincount(codes[codes >= 0], minlength=1)
    counts[counts.argmax()] += n_missing  # where they are filled in, it is with the most frequent text
    n_rare = np.count_nonzero((counts > 0) & (counts < min_frequency))
    n_levels = int(np.count_nonzero(counts >= min_frequency) + (n_rare > 0))
    if n_levels > MAX_LEVELS:
        raise DataError(
            "too-many-levels",
            f"column '{name}' holds {n_levels} different texts, and at most {MAX_LEVELS} can become a feature each; "
            f"merge rare ones (columns.min_frequency), or drop the column ({drop_line(name)})",
            column=name,
        )
    return n_levels


def make_transformer(
    columns: Iterable[Column], *, missing: Missing, min_frequency: int
) -> "ColumnTransformer | None":
    """Return the transformer, not yet fitted, of columns of which is known what they hold; None if none varies.

    Parameters
    ----------
    columns
        Columns of which `kind`, `has_value` and `has_indicator` are set.
    missing, min_frequency
        As for `fit`.
    """
    from sklearn.compose import ColumnTransformer
    from sklearn.impute import MissingIndicator, SimpleImputer
    from sklearn.pipeline import Pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    centre = ("scale", StandardScaler(with_std=False))
    encode = OneHotEncoder(
        min_frequency=min_frequency, handle_unknown="infrequent_if_exist", sparse_output=False
    )
    of_kind: dict[str, tuple[str, list[tuple[str, Any]]]] = {
        "number": ("median", [("scale", StandardScaler())]),
        "boolean": ("most_frequent", [centre]),
        "text": ("most_frequent", [("encode", encode), centre]),
    }
    columns = list(columns)
    parts = []
    for kind, (strategy, steps) in of_kind.items():
        names = [column.name for column in columns if column.kind == kind and column.has_value]
        impute = [("impute", SimpleImputer(strategy=strategy))] if missing == "impute" else []
        if names:
            parts.append((f"{kind}s", Pipeline([*impute, *steps]), names))
    names = [column.name for column in columns if column.has_indicator]
    if names:
        parts.append(("indicators", Pipeline([("find", MissingIndicator(features="all")), centre]), names))
    return ColumnTransformer(parts) if parts else None


def plain(frame: "pd.DataFrame") -> "pd.DataFrame":
    """Return tidy columns as scikit-learn takes them: float64, and texts as objects, both with NaN where missing."""
    import pandas as pd

    columns = {}
    for name in frame.columns:
        column = frame[name]
        is_text = isinstance(column.dtype, pd.CategoricalDtype)
        columns[name] = column.astype(object).to_numpy() if is_text else floats(column)
    return pd.DataFrame(columns)


def _scaling(part: Any, names: Sequence[str]) -> dict[str, tuple[float, float]]:
    scaler = part["scale"]
    scale = np.ones(len(names)) if scaler.scale_ is None else scaler.scale_
    return {name: (float(a), float(b)) for name, a, b in zip(names, scaler.mean_, scale, strict=True)}


def _with_levels(column: Column, part: Any, place: int) -> tuple[Column, list[tuple[float, float]]]:
    """Return the column with its levels, and mean and scale of each."""
    encoder, scaler = part["encode"], part["scale"]
    counts = []
    for index, categories in enumerate(encoder.categories_):
        infrequent = encoder.infrequent_categories_[index]
        rare = set() if infrequent is None else set(infrequent)
        levels = tuple(str(level) for level in categories if level not in rare)
        counts.append(len(levels) + bool(rare))
        if index == place:
            column = replace(column, levels=levels, rare=tuple(sorted(map(str, rare))))
    first = sum(counts[:place])
    return column, [(float(mean), 1.0) for mean in scaler.mean_[first : first + counts[place]]]
