"""What a network makes of its inputs before the first layer: columns as they are, or made more nearly normal.

Amounts, counts and concentrations often have a long tail. A standardised column of that kind holds nearly all rows
close together and a few far away, and a layer with one prior for all weights cannot be right for both. A power
transform of each such column (Yeo & Johnson 2000) spreads them evenly.
"""

from dataclasses import dataclass

import numpy as np

from bnn.core.gross_values import mean_and_scale

_POWERS = np.arange(-1.0, 3.01, 0.25)
"""Few and far apart, so that the same is chosen on every machine"""
_MOST_ROWS = 3000
"""Rows from which powers are learned, evenly spread over the table"""
_FEWEST_VALUES = 9
"""Different values below which a column stays as it is: the steps between them are not a shape"""
_CHANCE = 5.0
"""Log likelihood, in nats, by which the likeliest power must exceed 1: of normal columns one in 600 does"""
_NORMAL_IQR = 1.349
"""Interquartile range of a standard normal"""
_FARTHEST = 1e12
"""Largest transformed value, which float32 can still multiply"""


@dataclass(frozen=True, eq=False)
class InputTransform:
    """A power transform of some columns, standardised again.

    Parameters
    ----------
    columns
        Indices of the columns that are transformed, (column,); others stay.
    centre, scale
        Median and robust standard deviation of each before the transform, (column,).
    power
        Exponent of each, (column,): 1 changes nothing, 0 is a logarithm to the right of the centre.
    mean, sd
        Of each after the transform, without gross errors, (column,).
    """

    columns: np.ndarray
    centre: np.ndarray
    scale: np.ndarray
    power: np.ndarray
    mean: np.ndarray
    sd: np.ndarray

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """Return transformed inputs, float64; x (obs, input)."""
        x = np.array(x, dtype=np.float64)
        for place, *of_column in zip(
            self.columns, self.centre, self.scale, self.power, self.mean, self.sd, strict=True
        ):
            x[:, place] = _transformed(x[:, place], *of_column)
        return x


def yeo_johnson(values: np.ndarray, power: np.ndarray | float) -> np.ndarray:
    """Return the power transform of Yeo & Johnson (2000, Biometrika 87, eq. 2.1); power broadcasts over values."""
    power = np.where(values >= 0, power, 2.0 - np.asarray(power))
    with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
        log = np.log1p(np.abs(values))
        found = np.where(power == 0, log, np.expm1(power * log) / power)
    return np.where(values >= 0, found, -found)


def fit_inputs(x: np.ndarray) -> InputTransform:
    """Return the transform of inputs that training rows ask for: each column by the likeliest power.

    Powers maximise the likelihood of a normal whose values were transformed (Yeo & Johnson 2000, sec. 4). Columns of
    few values, and those for which no power is clearly likelier than 1, stay as they are.

    Parameters
    ----------
    x
        Training inputs, shape (obs, input).
    """
    x = np.asarray(x, dtype=np.float64)
    few = x[np.unique(np.linspace(0, len(x) - 1, _MOST_ROWS).astype(np.int64))]
    many = [place for place in range(x.shape[1]) if len(np.unique(few[:, place])) >= _FEWEST_VALUES]
    few = few[:, many]
    low, centre, high = np.quantile(few, [0.25, 0.5, 0.75], axis=0)
    scale = (high - low) / _NORMAL_IQR
    # A quarter of the rows around the median may share one value.
    scale = np.where(scale > 0, scale, few.std(axis=0))
    values = (few - centre) / scale
    # The Jacobian of the transform is (1 + |value|)^(power - 1) to the right of 0 and ^(1 - power) to the left.
    skew = (np.sign(values) * np.log1p(np.abs(values))).mean(axis=0)
    # A power with which a value overflows, or all are one, is no candidate.
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        spread = np.stack([yeo_johnson(values, power).std(axis=0) for power in _POWERS])
        likelihood = np.multiply.outer(_POWERS - 1, skew) - np.log(spread)
    likelihood[~np.isfinite(likelihood)] = -np.inf
    best = np.argmax(likelihood, axis=0) if many else np.empty(0, dtype=np.int64)
    gain = len(few) * (likelihood.max(axis=0) - likelihood[_POWERS == 1][0])
    power, kept = _POWERS[best], gain > _CHANCE
    columns, centre, scale, power = (
        np.array(many, dtype=np.int64)[kept],
        centre[kept],
        scale[kept],
        power[kept],
    )
    moments = [
        # Not of gross errors, which a power may send farther still.
        mean_and_scale(_transformed(x[:, place], *of_column))
        for place, *of_column in zip(columns, centre, scale, power, strict=True)
    ]
    mean, sd = np.array(moments, dtype=np.float64).reshape(-1, 2).T
    return InputTransform(columns, centre, scale, power, mean, sd)


def _transformed(
    values: np.ndarray, centre: float, scale: float, power: float, mean: float = 0.0, sd: float = 1.0
) -> np.ndarray:
    """Return values of a column, (obs,), transformed and standardised."""
    with np.errstate(over="ignore"):
        found = yeo_johnson((values - centre) / scale, power)
    return np.clip((np.clip(found, -_FARTHEST, _FARTHEST) - mean) / sd, -_FARTHEST, _FARTHEST)
