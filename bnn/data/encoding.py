"""From the columns of a table to the inputs of a network: what is learned about each column, on training rows alone.

Numbers are standardised, by what they are without gross errors. True and false become 1 and 0. Texts become a 1 in the
column of their level and 0 elsewhere, rare levels sharing one. Missing values take the median or the most frequent
value, with a 1 in a column that says so, or are an error. Zeros and ones are centred but not scaled: a level of five
rows among ten thousand would otherwise be forty standard deviations away from all others, and no prior on weights could
be right for it and for a number.

What is learned is kept as plain numbers and texts, which a file can hold without executable code.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from bnn.core.errors import DataError, drop_line, shown
from bnn.core.gross_values import gross_errors, mean_and_scale
from bnn.data.cells import Missing, floats, where_missing
from bnn.data.column_encoding import Column, level_features, log_exposure, number_features
from bnn.data.words import Kind

if TYPE_CHECKING:
    import pandas as pd

MAX_LEVELS = 250
"""Levels of a text column that become a feature each, at most."""


class Encoded(NamedTuple):
    """Rows as a network takes them."""

    x: np.ndarray
    """(row, feature) float64"""
    missing: Mapping[str, np.ndarray]
    """Column -> whether the value of a row was missing, (row,), where there are such rows"""
    unseen: Mapping[str, Mapping[str, int]]
    """Column -> text that no training row has -> rows with it"""

    @property
    def n_missing(self) -> dict[str, int]:
        """Column -> rows whose value was missing, where there are any."""
        return {name: int(rows.sum()) for name, rows in self.missing.items()}


@dataclass(frozen=True, eq=False)
class Encoding:
    """How a table becomes the inputs of a network.

    Parameters
    ----------
    columns
        All columns of the table.
    mean, scale
        Of each feature on the training rows, (feature,): a network takes (feature - mean) / scale. The scale is the
        standard deviation (divisor n) of a number, 1 of zeros and ones and of the log of an exposure; gross errors
        count in neither, see `bnn.core.gross_values`.
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
        kinds: dict[str, Kind] = {"number": "number", "exposure": "number", "boolean": "any", "text": "text"}
        return {column.name: kinds[column.kind] for column in self.columns if column.features}

    @property
    def has_exposure(self) -> bool:
        """Whether the last feature is the log of what the target was counted over."""
        return any(column.kind == "exposure" for column in self.columns)

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
        x, centred = np.empty((n_rows, len(self.mean))), np.empty(n_rows)
        missing: dict[str, np.ndarray] = {}
        unseen: dict[str, dict[str, int]] = {}
        place = 0
        series = dict(frame.items())  # far faster than a look at the frame for each
        for column in self.columns:
            if not column.features:
                # Constant in training: nothing is made of it, but a gap in these rows is still told.
                if column.name in series and (is_missing := where_missing(series[column.name])[rows]).any():
                    missing[column.name] = is_missing
                continue
            if column.kind == "text":
                values, is_missing, strange = level_features(column, series[column.name], rows, first_row)
                if strange:
                    unseen[column.name] = strange
            elif column.kind == "exposure":
                values = [log_exposure(column.name, series[column.name], rows, first_row)]
                is_missing = np.zeros(n_rows, dtype=bool)
            else:
                values, is_missing = number_features(column, series[column.name], rows, first_row)
            if is_missing.any():
                missing[column.name] = is_missing
            for feature in (*values, *[is_missing] * column.has_indicator):
                # A row may lie so many scales away that the quotient overflows: the caller sees it.
                with np.errstate(over="ignore"):
                    np.subtract(feature, self.mean[place], out=centred)
                    np.divide(centred, self.scale[place], out=x[:, place])
                place += 1
        return Encoded(x, missing, unseen)


def fit(
    frame: "pd.DataFrame",
    rows: np.ndarray | slice = slice(None),
    *,
    missing: Missing = "auto",
    min_frequency: int = 1,
    exposure: str | None = None,
) -> Encoding:
    """Learn from training rows how to turn a table into inputs.

    Parameters
    ----------
    frame
        The columns, as `tidy` makes them.
    rows
        The training rows.
    missing
        "auto", "impute": missing values are filled in, and have a feature that says so; "error": `check` has refused
        them.
    min_frequency
        Levels of texts in fewer training rows share one feature.
    exposure
        The column over which the target was counted, if one is; its feature comes last.

    Raises
    ------
    DataError
        If a column has too many levels, nothing is left to predict from, or two features get one name.
    """
    import pandas as pd

    columns: list[Column] = []
    scaling: list[tuple[float, float]] = []
    imputes = missing != "error"
    for name, series in frame.items():
        if name == exposure:
            continue
        is_text = isinstance(series.dtype, pd.CategoricalDtype)
        column, stats = (
            _fit_texts(str(name), series, rows, imputes, min_frequency)
            if is_text
            else _fit_numbers(str(name), series, rows, imputes)
        )
        columns.append(column)
        scaling += stats
    is_known = any(column.features for column in columns)
    if exposure is not None:
        columns.append(Column(exposure, "exposure"))
        # Centred alone: as it stands it is added to the log of the mean.
        scaling.append((float(log_exposure(exposure, frame[exposure], rows).mean()), 1.0))
    mean, scale = np.array(scaling, dtype=np.float64).reshape(-1, 2).T
    found = Encoding(tuple(columns), mean.copy(), scale.copy())
    features = found.feature_names
    if not is_known:
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


Scaling = list[tuple[float, float]]
"""Mean and scale of each feature of a column"""


def _indicator(is_missing: np.ndarray, imputes: bool) -> Scaling:
    """Return mean and scale of the feature that says where a value is missing; () if there is none."""
    count = int(is_missing.sum())
    return [(count / len(is_missing), 1.0)] if imputes and 0 < count < len(is_missing) else []


def _fit_numbers(
    name: str, series: "pd.Series", rows: np.ndarray | slice, imputes: bool
) -> tuple[Column, Scaling]:
    """Learn about numbers, or about true and false as 1 and 0."""
    import pandas as pd

    is_boolean = isinstance(series.dtype, pd.BooleanDtype)
    values = floats(series)[rows]
    is_missing = np.isnan(values)
    n_missing = int(is_missing.sum())
    present = values[~is_missing] if n_missing else values
    varies = present.size > 0 and float(np.ptp(present)) > 0
    fill: float | None = None
    stats: Scaling = []
    if varies:
        if imputes:
            fill = float(present.mean() > 0.5) if is_boolean else float(np.median(present))
        filled = present if fill is None or not n_missing else np.where(is_missing, fill, values)
        if is_boolean:
            stats = [(float(filled.mean()), 1.0)]
        elif fill is None or not n_missing:
            stats = [mean_and_scale(filled)]
        else:
            # What stands for missing values must not make the others look far away.
            is_gross = np.zeros(len(values), dtype=bool)
            is_gross[~is_missing] = gross_errors(present)
            kept = filled[~is_gross]
            stats = [(float(kept.mean()), float(kept.std()) or 1.0)]
    indicator = _indicator(is_missing, imputes)
    column = Column(
        name,
        "boolean" if is_boolean else "number",
        has_value=varies,
        has_indicator=bool(indicator),
        fill=fill,
        n_missing=n_missing,
    )
    return column, stats + indicator


def _fit_texts(
    name: str, series: "pd.Series", rows: np.ndarray | slice, imputes: bool, min_frequency: int
) -> tuple[Column, Scaling]:
    """Learn about texts.

    Raises
    ------
    DataError
        If they would become too many features.
    """
    codes = series.cat.codes.to_numpy()[rows]
    is_missing = codes == -1
    n_missing = int(is_missing.sum())
    counts = np.bincount(codes[~is_missing], minlength=len(series.cat.categories) or 1)
    most = int(counts.argmax())
    counts[most] += n_missing  # where they are filled in, it is with the most frequent text
    is_rare = (counts > 0) & (counts < min_frequency)
    is_own = (counts > 0) & ~is_rare
    n_levels = int(is_own.sum()) + bool(is_rare.any())
    if n_levels > MAX_LEVELS:
        raise DataError(
            "too-many-levels",
            f"column '{name}' holds {n_levels} different texts, and at most {MAX_LEVELS} can become a feature each; "
            f"merge rare ones (columns.min_frequency), or drop the column ({drop_line(name)})",
            column=name,
        )
    indicator = _indicator(is_missing, imputes)
    column = Column(name, "text", has_value=n_levels > 1, has_indicator=bool(indicator), n_missing=n_missing)
    if not column.has_value:
        return column, indicator
    levels = [str(level) for level in series.cat.categories]
    column = replace(
        column,
        levels=tuple(level for level, own in zip(levels, is_own, strict=True) if own),
        rare=tuple(level for level, rare in zip(levels, is_rare, strict=True) if rare),
        fill=levels[most] if imputes else None,
    )
    shares = [*counts[is_own], *[counts[is_rare].sum()] * bool(is_rare.any())]
    return column, [(float(count) / len(codes), 1.0) for count in shares] + indicator
