"""Chains of open length: rounds that double it until the chains of the job have mixed or their gradients are used up.

A round ends after 1, 2, 4, ... times N = `sampler.draws` iterations. In the first one every iteration is recorded, in
the second every second, in the third every fourth. Of a chain that stops after 2^k N iterations every 2^k-th is among
them, so a file has N draws whatever the length. Where the gradients do not suffice for another round, a last one takes
what is left without doubling the distance of draws, of which there are up to 2 N then. Draws are always those of a run
of that length with that thinning, bit for bit.
"""

from typing import NamedTuple

import numpy as np

from bnn.core import formatting
from bnn.core.settings import SamplerSettings
from bnn.diagnostics import mixing
from bnn.jobs.checkpoint import RecordFile
from bnn.model.posterior import Posterior

_MOST_ROWS = 1000
"""Training rows whose predictions are looked at, spread evenly: of few the worst one is not among them."""
_AT_ONCE = 200
"""Rows whose figures are computed together: bounds the memory."""
_SURE = 0.95
"""Of what is left, that a last round plans with: trajectories of later iterations may be longer."""


class Limits(NamedTuple):
    """A job continues while the worst of its figures misses these."""

    rhat: float
    ess: float


PASS = Limits(1.01, 400.0)
"""The thresholds of the verdict, unless the config has others"""


def iterations_of(n_gradients: np.ndarray, settings: SamplerSettings) -> np.ndarray:
    """Return the iterations that each record stands for, (record,).

    Parameters
    ----------
    n_gradients
        Gradients until each record, (record,).
    settings
        Of the chains; their length is open.
    """
    each, end = np.full(len(n_gradients), settings.thin), settings.draws
    while end < len(each) and can_double(
        settings, at_first_draw=int(n_gradients[0]), so_far=int(n_gradients[end - 1])
    ):
        each[end:] *= 2
        end += settings.draws // 2
    return each


def kept_records(iterations: np.ndarray) -> np.ndarray:
    """Return which records become draws, (draw,), of all that were made: those of the last one's distance.

    Parameters
    ----------
    iterations
        Those that each record stands for, (record,).
    """
    return np.flatnonzero(np.cumsum(iterations) % iterations[-1] == 0)


class Agreement(NamedTuple):
    """How far the chains of a job agree: the worst of their predictions, of the log density and of the noise."""

    rhat: float
    """Largest R-hat; NaN if a draw is not finite"""
    ess: float
    """Smallest bulk effective sample size; NaN if a draw is not finite"""
    limits: Limits = PASS

    @property
    def is_enough(self) -> bool:
        """Whether both pass the thresholds."""
        return self.rhat <= self.limits.rhat and self.ess >= self.limits.ess

    def __str__(self) -> str:
        return (
            f"R-hat {formatting.rhat(self.rhat)} (limit {self.limits.rhat:g}), "
            f"ESS {formatting.count(self.ess)} (limit {self.limits.ess:g})"
        )


def agreement(posterior: Posterior, theta: np.ndarray, log_density: np.ndarray) -> Agreement:
    """Return how far predictions, the log density and the noise of the chains of a job agree.

    Parameters
    ----------
    posterior
        Their target.
    theta
        Draws, shape (chain, draw, param).
    log_density
        Shape (chain, draw).
    """
    layout = posterior.layout
    own = [name for name in posterior.likelihood.parameter_priors if name in layout.names]
    scalars = [log_density[..., None], *(theta[..., layout.slices[name]] for name in own)]
    rhat, ess = _worst(np.concatenate(scalars, axis=2))
    rows = np.unique(np.linspace(0, len(posterior.x) - 1, _MOST_ROWS).astype(np.int64))
    for start in range(0, len(rows), _AT_ONCE):
        x = np.asarray(posterior.x[rows[start : start + _AT_ONCE]], dtype=np.float64)
        outputs = [posterior.network.forward(layout.unpack(draws), x).astype(np.float64) for draws in theta]
        worst = _worst(np.stack(outputs).swapaxes(2, 3).reshape(*log_density.shape, -1))
        # A NaN stays.
        rhat, ess = np.maximum(rhat, worst[0]), np.minimum(ess, worst[1])
    return Agreement(float(rhat), float(ess))


def _worst(quantities: np.ndarray) -> tuple[float, float]:
    """Return the largest R-hat and the smallest bulk ESS of (chain, draw, quantity); NaN if a draw is not finite."""
    if not np.isfinite(quantities).all():
        return np.nan, np.nan
    with np.errstate(divide="ignore", invalid="ignore"):
        rhat, ess = mixing.rhat_and_ess_bulk(quantities)
    return float(rhat.max()), float(ess.min())


def can_double(settings: SamplerSettings, *, at_first_draw: int, so_far: int) -> bool:
    """Return whether another round, as long as all draws so far, fits into what the chains may spend.

    Parameters
    ----------
    settings
        They hold the most gradients.
    at_first_draw, so_far
        Gradients when drawing began, and now.
    """
    assert settings.most_gradients is not None
    return 2 * so_far - at_first_draw <= settings.most_gradients


class End:
    """Knows whether the records are all that are needed, and how far from it they are.

    Parameters
    ----------
    settings
        Of the chains.
    posterior
        Their target.
    records
        What has been drawn so far.
    limits
        What the figures of the chains are to reach.
    """

    def __init__(
        self, settings: SamplerSettings, posterior: Posterior, records: RecordFile, limits: Limits
    ) -> None:
        self._settings, self._posterior, self._records = settings, posterior, records
        self._limits = limits
        self._found: Agreement | None = None
        self._round, self._is_last = 1, False
        self._until, self.thin = settings.draws, settings.thin
        self.n_iterations = settings.draws * settings.thin
        n_records = records.mark.n_records
        if settings.most_gradients is not None and n_records > self._until:
            n_gradients = records.read(slice(0, n_records))["n_gradients"]
            while n_records > self._until and not self._is_last:
                self._continue(int(n_gradients[0]), int(n_gradients[self._until - 1]))

    def is_reached(self) -> bool:
        """Return whether nothing is left to be sampled; at the end of a round say how far the chains agree.

        The next record stands for `thin` iterations then, and the round ends after `n_iterations` of drawing.
        """
        settings, n_records = self._settings, self._records.mark.n_records
        if settings.most_gradients is None:
            return n_records >= settings.draws
        if n_records < self._until:
            return False
        found = self._records.read(slice(0, n_records))
        kept = kept_records(iterations_of(found["n_gradients"], settings))
        theta, log_density = (np.moveaxis(found[name][kept], 0, 1) for name in ("theta", "log_density"))
        self._found = agreement(self._posterior, theta, log_density)._replace(limits=self._limits)
        print(f"round {self._round}: {self._found}")
        if self._found.is_enough:
            return True
        if not self._is_last:
            self._continue(int(found["n_gradients"][0]), int(found["n_gradients"][-1]))
        if n_records == self._until:
            print(f"the {settings.most_gradients} gradients that each chain may take are used up")
            return True
        return False

    def so_far(self) -> str:
        """Return which round it is and how far the one before came, for a display; "" where no rounds are run yet."""
        n_records = self._records.mark.n_records
        if self._settings.most_gradients is None or not n_records:
            return ""
        before = "" if self._found is None else f"{self._found} after the last, "
        return f"round {self._round}, {before}"

    def _continue(self, at_first_draw: int, so_far: int) -> None:
        """Begin another round: one that doubles the length, or, if that cannot be paid, the last, as long as can be."""
        settings = self._settings
        assert settings.most_gradients is not None
        if can_double(settings, at_first_draw=at_first_draw, so_far=so_far):
            self.thin *= 2
            more = settings.draws // 2
        else:
            self._is_last = True
            left = (settings.most_gradients - so_far) / max(1, so_far - at_first_draw)
            more = max(0, int(_SURE * left * settings.draws)) // 2 * 2  # halves are compared
        self._round += more > 0
        self._until += more
        self.n_iterations += more * self.thin
