"""A real target between its table, where it is standardised, and the form in which a likelihood describes it."""

import math
from dataclasses import dataclass

import numpy as np

from bnn.core.errors import DataError, cell_error
from bnn.core.settings import FAMILIES

_QUADRATURE = np.polynomial.hermite_e.hermegauss(20)
_LARGEST_LOG = 300.0
"""Logs above are cut: their squared exponential would be no number."""


@dataclass(frozen=True)
class Target:
    """The unit of a table's target, and what its training rows say of its transform.

    Parameters
    ----------
    mean, scale
        Value in the unit of its column = mean + scale * standardised value.
    form
        As of `Family`.
    location, spread
        Mean and standard deviation of the transformed training values: of logs or logits, of logs of positive values
        (hurdle); of counts the log of the mean, for an exposure of 1, and 1.
    n_squeezed
        Training rows, where a share is exactly 0 or 1 in some of them: all are then drawn towards 1/2 by half a row
        (Smithson & Verkuilen 2006); else 0.
    has_exposure
        Of counts: whether the last input is the log of what they were counted over, to which the mean is in proportion.
    """

    mean: float = 0.0
    scale: float = 1.0
    form: str = "standardised"
    location: float = 0.0
    spread: float = 1.0
    n_squeezed: int = 0
    has_exposure: bool = False

    def original(self, y: np.ndarray) -> np.ndarray:
        """Return standardised values in the unit of the column: counts are whole, and zeros of a hurdle exact."""
        found = self.mean + self.scale * np.asarray(y, dtype=np.float64)
        if self.form == "count":
            return np.asarray(np.rint(found))
        # Standardising rounds: what was 0 comes back a little off.
        rounding = 8 * np.finfo(np.float64).eps * (abs(self.mean) + self.scale)
        return np.where(np.abs(found) <= rounding, 0.0, found) if self.form != "standardised" else found

    def encode(self, y: np.ndarray) -> np.ndarray:
        """Return standardised values as the likelihood takes them, shape (obs,).

        Returns
        -------
        ndarray
            Transformed and standardised values; counts; or, for a hurdle, minus infinity where the target is 0.
        """
        if self.form == "standardised":
            return np.asarray(y, dtype=np.float64)
        if self.form == "count":
            return self.original(y)
        with np.errstate(divide="ignore", invalid="ignore"):
            return (self._transformed(self.original(y)) - self.location) / self.spread

    def within(self, value: np.ndarray) -> np.ndarray:
        """Return values in the unit of the column, those beyond the possible moved to its end."""
        return np.clip(value, *BOUNDS[self.form])

    def nearest(self, value: np.ndarray) -> np.ndarray:
        """Return for values in the unit of the column the nearest ones that the target can have; counts are whole."""
        found = self.within(value)
        return np.asarray(np.rint(found)) if self.form == "count" else found

    def log_jacobian(self, y: np.ndarray) -> np.ndarray:
        """Return, for standardised values (obs,), ``log |d encoded / d original|``: nats to add to a log likelihood.

        The sum is per unit of the column, whatever the transform, so that log scores of families compare. Counts, and
        zeros of a hurdle, have probabilities: nothing is added.
        """
        if self.form == "standardised":
            return np.full(np.shape(y), -math.log(self.scale))
        if self.form == "count":
            return np.zeros(np.shape(y))
        value = self._inside(self.original(y))
        with np.errstate(divide="ignore"):
            slope = -np.log(value) - (np.log1p(-value) if self.form == "logit" else 0.0)
        slope = slope - math.log(self.spread)
        if self.n_squeezed:
            slope = slope + math.log((self.n_squeezed - 1) / self.n_squeezed)
        return np.where(value > 0, slope, 0.0) if self.form == "hurdle" else slope

    def decode(self, encoded: np.ndarray) -> np.ndarray:
        """Return transformed and standardised values in the unit of the column."""
        value = self.location + self.spread * encoded
        if self.form == "standardised":
            return self.mean + self.scale * encoded
        if self.form == "logit":
            return self._outside(_expit(value))
        return np.exp(np.minimum(value, _LARGEST_LOG))

    def moments(self, mean: np.ndarray, sd: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return mean and standard deviation, in the unit of the column, of what is normal once encoded.

        Parameters
        ----------
        mean, sd
            Of the encoded target; shapes that broadcast.

        Returns
        -------
        mean, sd
            Exact, but for a log, see `log_moments`, and for a logit: by Gauss-Hermite quadrature at 20 points. They
            have the broadcast shape.
        """
        if self.form == "standardised":
            return self.mean + self.scale * mean, self.scale * sd
        if self.form == "log":
            return self.log_moments(mean, sd)
        nodes, weights = _QUADRATURE
        first = second = np.zeros(np.broadcast_shapes(np.shape(mean), np.shape(sd)))
        for node, weight in zip(nodes, weights / weights.sum(), strict=True):
            value = self.decode(mean + sd * node)
            first, second = first + weight * value, second + weight * value * value
        return first, np.sqrt(np.maximum(second - first * first, 0.0))

    def log_moments(self, mean: np.ndarray, sd: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return mean and standard deviation of a log-normal amount; parameters as of `moments`.

        Noise wider than the logs of the training targets themselves (encoded, their standard deviation is 1) counts as
        that wide: the mean grows with the exponential of half its variance, and a draw that extrapolates the noise
        would decide it alone.
        """
        variance = np.square(self.spread * np.minimum(sd, 1.0))
        centre = np.exp(np.minimum(self.location + self.spread * mean + 0.5 * variance, _LARGEST_LOG / 2))
        return centre, centre * np.sqrt(np.expm1(np.minimum(variance, _LARGEST_LOG / 2)))

    def _transformed(self, value: np.ndarray) -> np.ndarray:
        value = self._inside(value)
        return np.asarray(np.log(value) - (np.log1p(-value) if self.form == "logit" else 0.0))

    def _inside(self, value: np.ndarray) -> np.ndarray:
        n = self.n_squeezed
        return (value * (n - 1) + 0.5) / n if n else value

    def _outside(self, value: np.ndarray) -> np.ndarray:
        n = self.n_squeezed
        return np.clip((value * n - 0.5) / (n - 1), 0.0, 1.0) if n else value


def fit_target(
    family: str, y: np.ndarray, *, mean: float, scale: float, log_exposure: np.ndarray | None = None
) -> Target:
    """Return how a family describes a target, as its training rows say.

    Parameters
    ----------
    family
        One of `FAMILIES`.
    y
        Standardised training targets, shape (obs,).
    mean, scale
        Value in the unit of the column = mean + scale * standardised value.
    log_exposure
        Log of what each row was counted over, (obs,), in any unit; None: all over the same.

    Raises
    ------
    ValueError
        If there is no such family, or it has no exposure.
    DataError
        If it cannot have such targets.
    """
    if family not in FAMILIES:
        raise ValueError(f"unknown likelihood family {family!r}: choose one of {', '.join(sorted(FAMILIES))}")
    target = Target(mean, scale, FAMILIES[family].form)
    if log_exposure is not None and target.form != "count":
        raise ValueError(f"likelihood.family {family!r} is not for counts, and source.exposure is")
    if target.form == "standardised":
        return target
    value = target.original(y)
    if (wrong := wrong_values(family, mean + scale * np.asarray(y))).any():
        raise DataError(
            "wrong-family",
            f"likelihood.family: {family} is for {SUPPORT[target.form]}, and the target of a training row is "
            f"{(mean + scale * y[wrong][0]):g}. Set another family, or leave it auto",
            key="likelihood.family",
            value=family,
        )
    if target.form == "count":
        location = math.log(max(float(value.mean()), 0.5 / len(value)))
        if log_exposure is not None:
            location -= math.log(float(np.exp(log_exposure).mean()))
        return Target(mean, scale, target.form, location, has_exposure=log_exposure is not None)
    if target.form == "logit" and ((value == 0) | (value == 1)).any():
        target = Target(mean, scale, target.form, n_squeezed=max(2, len(value)))
    found = target._transformed(value[value > 0] if target.form == "hurdle" else value)
    location, spread = (float(found.mean()), float(found.std())) if len(found) else (0.0, 1.0)
    return Target(mean, scale, target.form, location, spread or 1.0, target.n_squeezed)


SUPPORT = {
    "standardised": "real numbers",
    "log": "positive numbers",
    "logit": "shares from 0 to 1",
    "count": "whole numbers from 0",
    "hurdle": "numbers from 0",
}
"""What values a form can have, in words."""

BOUNDS = {
    "standardised": (-math.inf, math.inf),
    "log": (0.0, math.inf),
    "logit": (0.0, 1.0),
    "count": (0.0, math.inf),
    "hurdle": (0.0, math.inf),
}
"""Smallest and largest value that a form can have."""


def check_support(family: str, value: np.ndarray, *, column: str, rows: np.ndarray) -> None:
    """Raise DataError if a family cannot have some values, in the unit of the column, of rows of these numbers."""
    for place in np.flatnonzero(wrong_values(family, value))[:1]:
        raise cell_error(
            "wrong-family",
            column,
            int(rows[place]),
            f"likelihood.family: {family} is for {SUPPORT[FAMILIES[family].form]}, and the target is "
            f"{value[place]:g}. Correct it, set another family, or leave it auto",
            key="likelihood.family",
            value=family,
        )


def wrong_values(family: str, value: np.ndarray) -> np.ndarray:
    """Return which values, in the unit of the column, a family cannot have; (obs,) -> (obs,) bool."""
    form = FAMILIES[family].form
    slack = 1e-9 * max(1.0, float(np.abs(value).max(initial=0.0)))
    if form == "log":
        return ~(value > 0)
    if form == "logit":
        return ~((value >= -1e-12) & (value <= 1 + 1e-12))
    if form == "hurdle":
        return ~(value >= -slack)
    if form == "count":
        return ~((value >= -slack) & (np.abs(value - np.rint(value)) <= slack))
    return np.zeros(np.shape(value), dtype=bool)


def _expit(value: np.ndarray) -> np.ndarray:
    return np.asarray(0.5 * (1.0 + np.tanh(0.5 * value)))
