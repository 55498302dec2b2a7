"""The race between candidates: cheap fits, fold by fold, and what their log scores say of the differences.

After every fold, candidates that are told apart from the best are given up (racing; Maron & Moore 1994). What predicts
best often mixes worst, so the chains of the cheap fits are compared as well: among candidates that predict nearly as
well, one whose chains agree is taken.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from bnn.core.identical_rows import divided, first_of_each, stretches
from bnn.core.plan import AGREEING_RHAT, is_clear
from bnn.core.seeding import Stream, chain_rng
from bnn.core.settings import ModelSettings, build, spread_of_noise
from bnn.model.targets import Target, fit_target
from bnn.selection.cheap_fit import CheapFit, cheap_fit

AUTO = "auto"
PLAIN = "none"
MOST_ROWS = 3000
"""Rows that a choice looks at, picked at random where a table has more: the choice is then cheap beside the run."""
N_FOLDS = 3
NEGLIGIBLE = {"classification": 0.005, "regression": 0.02}
"""Nats a row by which a simpler network may be behind the best, by task, where it is not told apart from it either.
Simpler is tanh, which levels off, then a narrower prior, whose posterior mixes better, and then fewer layers, whose
gradients cost less."""
AS_CALM = 2.0
"""Times the excess of R-hat of a narrower prior that a wider one may have which is to predict in its place, where
neither will agree: 1.3 on housing and txhousing, where the wider one was .09 nats a row better, 3.8 on energy, where
its chains stayed apart (R-hat 1.8 after 600,000 gradients)."""
HOPELESS = 3.0
"""Standard errors by which a candidate must be behind the best by more than is tolerable to be given up."""
BIAS_SCALE = 2.0


@dataclass(frozen=True)
class Unit:
    """Of a real target in its table.

    Parameters
    ----------
    mean, scale
        Value in the unit of the column = mean + scale * standardised value.
    beside
        Values of the column, in its unit, beyond the training rows', which a family must be able to have.
    log_exposure
        Of counts: log of what each training row was counted over, (obs,), the last column of its inputs; or None.
    """

    mean: float = 0.0
    scale: float = 1.0
    beside: np.ndarray = field(default_factory=lambda: np.empty(0))
    log_exposure: np.ndarray | None = None

    def original(self, y: np.ndarray) -> np.ndarray:
        """Return standardised values in the unit of the column."""
        return self.mean + self.scale * np.asarray(y, dtype=np.float64)

    def target(self, family: str, y: np.ndarray) -> Target:
        """Return how a family describes the standardised targets of all training rows."""
        return fit_target(family, y, mean=self.mean, scale=self.scale, log_exposure=self.log_exposure)


STANDARDISED = Unit()
"""Of values that are taken as they are."""


class Candidate(NamedTuple):
    """One answer to what is left open."""

    hidden: tuple[int, ...]
    scale: float
    family: str
    inputs: str = PLAIN
    """Transform of the inputs"""
    output_factor: float = 1.0
    """Scale of the output layer's weights, in units of that of the others"""
    activation: str = "tanh"

    @property
    def output_scale(self) -> float:
        """Of the weights of the output layer."""
        return self.scale * self.output_factor


@dataclass(frozen=True)
class Comparison:
    """A candidate beside the one that was chosen.

    Parameters
    ----------
    candidate
        Which.
    log_score
        Mean over the rows that were left out while it was in the race, nats.
    difference, error
        Mean difference of the chosen one's log score from it over the same rows, and its standard error, nats a row.
    n_folds
        Folds it was fitted on; fewer than all where it was given up.
    rhat
        R-hat of its cheap fits, median over rows, mean over folds; None where no chain found a start.
    """

    candidate: Candidate
    log_score: float
    difference: float
    error: float
    n_folds: int
    rhat: float | None


def filled(settings: Mapping[str, Any], chosen: Candidate) -> dict[str, Any]:
    """Return the sections of the model with a candidate's values where they are open."""
    network, prior, likelihood = (dict(settings[name]) for name in ("network", "prior", "likelihood"))
    if network["hidden"] == AUTO:
        network["hidden"] = list(chosen.hidden)
    if network["input_transform"] == AUTO:
        network["input_transform"] = chosen.inputs
    if network["activation"] == AUTO:
        network["activation"] = chosen.activation
    for block, scale in (("weights", chosen.scale), ("biases", BIAS_SCALE)):
        if prior[block]["scale"] == AUTO:
            prior[block] = {**prior[block], "scale": scale}
    if prior["output_factor"] == AUTO:
        prior["output_factor"] = chosen.output_factor
    if likelihood["family"] == AUTO:
        likelihood["family"] = chosen.family
    if likelihood["log_noise_sd"] == AUTO:
        output_scale = prior["weights"]["scale"] * prior["output_factor"]
        likelihood["log_noise_sd"] = spread_of_noise(likelihood["family"], output_scale)
    return {"network": network, "prior": prior, "likelihood": likelihood}


class Race:
    """Folds of the training rows, and the scores of every candidate on them so far."""

    def __init__(
        self,
        x: np.ndarray,
        y: np.ndarray,
        n_classes: int | None,
        settings: Mapping[str, Any],
        unit: Unit,
        *,
        in_order: bool,
        groups: np.ndarray | None,
    ) -> None:
        self._x, self._y, self._n_classes, self._settings, self._unit = x, y, n_classes, settings, unit
        rng = chain_rng(settings["seed"], Stream.SELECTION)
        rows = rng.permutation(len(y))[:MOST_ROWS]
        same = first_of_each(x.T, len(y))
        self._folds = divided(rows, same, min(N_FOLDS, len(rows)), in_order=in_order, groups=groups)
        self._in_order = in_order
        # Scores of neighbours in time, or of a group, tell less than as many of others.
        self._cluster = groups if groups is not None else np.arange(len(y))
        if in_order:
            self._cluster = stretches(len(y))
        self._negligible = NEGLIGIBLE["regression" if n_classes is None else "classification"]
        self._fits: dict[Candidate, list[CheapFit]] = {}

    def run(
        self,
        candidates: Sequence[Candidate],
        *,
        prefer: Callable[[Candidate], int | None],
        simplicity: Callable[[Candidate], tuple[float, ...]] | None = None,
        tolerable: float = 0.0,
        patience: float = 0.0,
        least: float = 0.0,
    ) -> tuple[Candidate, list[Comparison]]:
        """Return the best candidate and how the others compare.

        Candidates that are preferred have a rank, the lowest first: the first one is taken that the best is not clearly
        better than (`bnn.core.plan.is_clear`, with that `least`); of one rank, that of the best score. Where chains of
        that one disagree, the best one with a rank whose chains agree takes its place, if it is behind by no more than
        `tolerable`, nats a row; if there is none, the one of the narrowest prior. At last the first by `simplicity` is
        taken that is behind by neither a standard error nor what is `NEGLIGIBLE`. None is given up that may be behind
        by no more than `patience`.
        """
        if len(candidates) == 1:
            return candidates[0], []
        left = list(candidates)
        for fold in range(len(self._folds)):
            for candidate in left:
                self._fit(candidate, fold)
            if self._in_order and fold < len(self._folds) - 1:
                continue  # times differ, and one of them is a third of what there is
            best = max(left, key=lambda one: self._mean(one, fold + 1))
            most = max(tolerable, patience)
            left = [one for one in left if one == best or not self._is_hopeless(best, one, most)]
        best = max(left, key=lambda one: self._mean(one, len(self._folds)))
        for rank in sorted({rank for one in left if (rank := prefer(one)) is not None}):
            alike = [one for one in left if prefer(one) == rank]
            preferred = max(alike, key=lambda one: self._mean(one, len(self._folds)))
            gain, error = self._difference(best, preferred)
            if not is_clear(gain, error, least=least):
                best = preferred
                break
        rank = prefer(best)
        alike = [one for one in left if prefer(one) == rank]
        if tolerable and self._rhat(best) > AGREEING_RHAT:
            ranked = alike if rank is None else [one for one in left if prefer(one) is not None]
            calmer = [one for one in ranked if self._rhat(one) <= self._rhat(best)]
            near = [best, *(one for one in calmer if self._difference(best, one)[0] <= tolerable)]
            agreeing = [one for one in near if self._rhat(one) <= AGREEING_RHAT]
            best = (
                max(agreeing, key=lambda one: self._mean(one, len(self._folds)))
                if agreeing
                else min(near, key=lambda one: (one.output_scale, -self._mean(one, len(self._folds))))
            )
        if simplicity is not None:
            # Not one that has just been passed over.
            most = max(AGREEING_RHAT, self._rhat(best))
            as_good = [one for one in alike if self._rhat(one) <= most and self._is_as_good(best, one)]
            best = min([best, *as_good], key=simplicity)
        return best, self.compared(best, candidates)

    def compared(self, best: Candidate, candidates: Sequence[Candidate]) -> list[Comparison]:
        """Return how fitted candidates compare with one of them, that one first, then by folds and scores."""
        order = sorted(candidates, key=lambda one: (one != best, -len(self._fits[one]), -self._mean(one, 1)))
        return [self._compared(best, one) for one in order]

    def calmer(self, best: Candidate, candidates: Sequence[Candidate], behind: float) -> Candidate | None:
        """Return the best candidate whose chains agree where those of the best do not; None if there is none.

        Parameters
        ----------
        best, candidates
            Fitted ones.
        behind
            Nats a row by which it may be behind.
        """
        if len(candidates) == 1 or self._rhat(best) <= AGREEING_RHAT:
            return None
        found = [
            one
            for one in candidates
            if self._rhat(one) <= AGREEING_RHAT and self._difference(best, one)[0] <= behind
        ]
        return max(found, key=lambda one: self._mean(one, len(self._fits[one])), default=None)

    def disagree(self, candidate: Candidate) -> bool:
        """Return whether the chains of cheap fits of a candidate disagree."""
        return self._rhat(candidate) > AGREEING_RHAT

    def is_as_calm(self, candidate: Candidate, other: Candidate) -> bool:
        """Return whether R-hat of the cheap fits of a candidate exceeds 1 by no more than `AS_CALM` times another's."""
        return self._rhat(candidate) - 1.0 <= AS_CALM * (self._rhat(other) - 1.0)

    def score(self, candidate: Candidate) -> float:
        """Return the mean log score of a candidate over all folds."""
        for fold in range(len(self._folds)):
            self._fit(candidate, fold)
        return self._mean(candidate, len(self._folds))

    def _fit(self, candidate: Candidate, fold: int) -> None:
        fits = self._fits.setdefault(candidate, [])
        if len(fits) > fold:
            return
        used = np.concatenate([rows for index, rows in enumerate(self._folds) if index != fold])
        out = self._folds[fold]
        fits.append(
            cheap_fit(
                self._x[used],
                self._y[used],
                (self._x[out], self._y[out]),
                n_classes=self._n_classes,
                settings=build(ModelSettings, filled(self._settings, candidate)),
                seed=self._settings["seed"] + fold,
                target=None if self._n_classes is not None else self._unit.target(candidate.family, self._y),
            )
        )

    def _scores(self, candidate: Candidate, n_folds: int) -> np.ndarray:
        return np.concatenate([fit.log_scores for fit in self._fits[candidate][:n_folds]])

    def _mean(self, candidate: Candidate, n_folds: int) -> float:
        return float(np.mean(self._scores(candidate, n_folds)))

    def _rhat(self, candidate: Candidate) -> float:
        """Return the R-hat by which candidates are compared: 1 of linear models of classes, which have one mode."""
        if not candidate.hidden and self._n_classes is not None:
            return 1.0
        return self.cheap_rhat(candidate)

    def cheap_rhat(self, candidate: Candidate) -> float:
        """Return the R-hat of the cheap fits of a candidate, median over rows, mean over folds."""
        return float(np.mean([fit.rhat for fit in self._fits[candidate]]))

    def _difference(self, best: Candidate, other: Candidate) -> tuple[float, float]:
        """Return the mean of the best one's log scores minus the other's, and its standard error."""
        n_folds = min(len(self._fits[best]), len(self._fits[other]))
        mine, theirs = (self._scores(one, n_folds) for one in (best, other))
        if not np.isfinite(theirs).all():
            return math.inf, 0.0
        difference = mine - theirs
        mean = float(difference.mean())
        cluster = self._cluster[np.concatenate(self._folds[:n_folds])]
        sums = np.bincount(cluster, weights=difference - mean)
        return mean, float(np.linalg.norm(sums) / len(difference))

    def _is_as_good(self, best: Candidate, other: Candidate) -> bool:
        difference, error = self._difference(best, other)
        return not is_clear(difference, error, most=self._negligible)

    def _is_hopeless(self, best: Candidate, other: Candidate, tolerable: float) -> bool:
        difference, error = self._difference(best, other)
        return difference > tolerable + HOPELESS * error

    def _compared(self, best: Candidate, other: Candidate) -> Comparison:
        n_folds, rhat = len(self._fits[other]), self.cheap_rhat(other)
        return Comparison(
            other,
            self._mean(other, n_folds),
            *self._difference(best, other),
            n_folds,
            rhat if math.isfinite(rhat) else None,
        )
