"""What `auto` stands for: candidates compared by their log score on training rows left out, fold by fold.

K folds of the training rows, a cheap fit of each candidate on each; after every fold, candidates that are told apart
from the best are given up (racing; Maron & Moore 1994). Leave-one-out by importance sampling would need one fit only,
but its estimates fail for flexible networks. First the kind of target, then the network and the width of its prior,
then the noise.

What predicts best often mixes worst, so the chains of the cheap fits are compared as well: among networks that predict
nearly as well, one whose chains agree is taken.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from bnn.core.gross_values import gross_errors
from bnn.core.identical_rows import divided, first_of_each
from bnn.core.plan import AGREEING_RHAT
from bnn.core.seeding import Stream, chain_rng
from bnn.core.settings import ModelSettings, build
from bnn.model.targets import Target, fit_target
from bnn.selection.cheap_fit import CheapFit, cheap_fit
from bnn.selection.families import NOISES, VARYING, families_of, kind_of

AUTO = "auto"
MOST_ROWS = 1500
"""Rows that a choice looks at, picked at random where a table has more: the choice is then cheap beside the run."""
N_FOLDS = 3
N_STRETCHES = 30
"""Of a table in the order of time, between which differences of scores are taken to be independent."""
MARGIN = 1.0
"""Standard errors by which a linear model must beat the best network, and a later family the first of its kind."""
NEGLIGIBLE = 0.02
"""Nats a row by which a simpler network may be behind the best, where it is not told apart from it either. Simpler is a
narrower prior, whose posterior mixes better, and then fewer layers, whose gradients cost less."""
TOLERABLE = {"classification": NEGLIGIBLE, "regression": 0.1}
"""Nats a row by which a network whose chains agree, or whose prior is narrower, may be behind one whose chains do not,
by task. On energy (50-50 units, noise that varies, four chains of 100,000 gradients) the worst R-hat is 1.03 with scale
1 and 1.6 with 1.4, which cheap fits do not tell apart: theirs are 1.04 and 1.05."""
HOPELESS = 3.0
"""Standard errors by which a candidate must be behind the best by more than is tolerable to be given up."""

NETWORKS: Mapping[str, Sequence[tuple[tuple[int, ...], float]]] = {
    "classification": (
        ((), 4.0),
        ((), 16.0),
        ((50,), 1.0),
        ((50,), 2.0),
        ((50,), 4.0),
        ((50,), 8.0),
        ((50, 50), 4.0),
    ),
    "regression": (
        ((), 4.0),
        ((50,), 1.0),
        ((50,), 2.0),
        ((50,), 4.0),
        ((50, 50), 1.0),
        ((50, 50), 1.4),
        ((50, 50), 2.0),
        ((50, 50), 4.0),
    ),
}
"""Hidden units and scale of the weights' prior, by task. Wide layers mix where narrow ones get stuck."""
BIAS_SCALE = 2.0
TRIAL = ((50,), 2.0)
"""Network and scale with which kinds of targets are compared."""


@dataclass(frozen=True)
class Unit:
    """Of a real target in its table.

    Parameters
    ----------
    mean, scale
        Value in the unit of the column = mean + scale * standardised value.
    beside
        Values of the column, in its unit, beyond the training rows', which a family must be able to have.
    """

    mean: float = 0.0
    scale: float = 1.0
    beside: np.ndarray = field(default_factory=lambda: np.empty(0))

    def original(self, y: np.ndarray) -> np.ndarray:
        """Return standardised values in the unit of the column."""
        return self.mean + self.scale * np.asarray(y, dtype=np.float64)

    def target(self, family: str, y: np.ndarray) -> Target:
        """Return how a family describes the standardised training targets."""
        return fit_target(family, y, mean=self.mean, scale=self.scale)


STANDARDISED = Unit()
"""Of values that are taken as they are."""


class Candidate(NamedTuple):
    """One answer to what is left open."""

    hidden: tuple[int, ...]
    scale: float
    family: str


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


def choose(
    x: np.ndarray,
    y: np.ndarray,
    *,
    n_classes: int | None,
    settings: Mapping[str, Any],
    unit: Unit = STANDARDISED,
    in_order: bool = False,
    groups: np.ndarray | None = None,
) -> tuple[dict[str, Any], list[Comparison]]:
    """Choose what the settings leave open.

    Parameters
    ----------
    x
        Training inputs, shape (obs, input), standardised.
    y
        Training targets, shape (obs,): class index, or standardised value.
    n_classes
        Classes of the target; None for a real target.
    settings
        Sections `seed`, `network`, `prior` and `likelihood` of the dataset's config.
    unit
        Of a real target.
    in_order, groups
        How rows are left out, see `bnn.core.identical_rows.divided`.

    Returns
    -------
    chosen
        Those sections without anything open.
    comparisons
        All candidates that were tried, the chosen one first in each step; empty if there was no choice.
    """
    task = "regression" if n_classes is None else "classification"
    race = _Race(x, y, n_classes, settings, unit, in_order=in_order, groups=groups)
    comparisons: list[Comparison] = []
    family = "gaussian" if n_classes is not None else settings["likelihood"]["family"]  # which classes ignore
    families: Sequence[str] = ()
    if family == AUTO:
        # Normal noise as wide as gross errors would tell no candidates apart; one decides every comparison of families
        # by itself, and most of all on a log scale.
        has_errors = bool(gross_errors(unit.original(y)).any())
        families = ("student_t",) if has_errors else _families(unit.original(y), unit.beside)
        hidden, scale = _asked(settings)
        trial = Candidate(
            TRIAL[0] if hidden == AUTO else tuple(hidden), TRIAL[1] if scale == AUTO else float(scale), ""
        )
        best, more = race.run(
            [trial._replace(family=name) for name in families], prefer=lambda one: _rank(one.family, families)
        )
        family, comparisons = best.family, [*more]
    networks = [Candidate(hidden, scale, family) for hidden, scale in _networks(settings, task)]
    best, more = race.run(
        networks,
        prefer=lambda one: 0 if one.hidden else None,
        simplicity=lambda one: (one.scale, len(one.hidden)),
        tolerable=TOLERABLE[task],
    )
    comparisons += more
    # What varies for a poor network may not for a good one. That noise varies slows chains far less than a wider prior
    # does: on abalone, 0.06 nats better, four of 100,000 gradients have an R-hat of 1.01 where cheap fits disagree.
    noises = [name for name in families if kind_of(name) == kind_of(family)]
    best, more = race.run(
        [best._replace(family=name) for name in noises] or [best],
        prefer=lambda one: _rank(one.family, families),
        tolerable=NEGLIGIBLE,
    )
    return filled(settings, best), comparisons + more


def _families(train: np.ndarray, beside: np.ndarray) -> list[str]:
    """Return the families to compare, and those that differ from one by their noise."""
    return [name for kind in families_of(train, beside) for name in NOISES.get(kind, (kind,))]


def _rank(family: str, families: Sequence[str]) -> int:
    """Return a rank by kind, and within a kind the noise that varies last.

    Normal noise is a special case of one that varies, which is then hardly worse; heavy tails cost something where
    there are none, and a margin for them missed four of ten tables of 300 rows.
    """
    kinds = list(dict.fromkeys(map(kind_of, families)))
    return 2 * kinds.index(kind_of(family)) + (family in VARYING)


def _asked(settings: Mapping[str, Any]) -> tuple[Any, Any]:
    return settings["network"]["hidden"], settings["prior"]["weights"]["scale"]


def _networks(settings: Mapping[str, Any], task: str) -> Iterator[tuple[tuple[int, ...], float]]:
    """Yield the networks and scales to compare: the portfolio with what the config fixes put in its place."""
    hidden, scale = _asked(settings)
    seen = set()
    for units, width in NETWORKS[task]:
        pair = (units if hidden == AUTO else tuple(hidden), width if scale == AUTO else float(scale))
        if pair not in seen:
            seen.add(pair)
            yield pair


def filled(settings: Mapping[str, Any], chosen: Candidate) -> dict[str, Any]:
    """Return the sections of the model with a candidate's values where they are open."""
    network, prior, likelihood = (dict(settings[name]) for name in ("network", "prior", "likelihood"))
    if network["hidden"] == AUTO:
        network["hidden"] = list(chosen.hidden)
    for block, scale in (("weights", chosen.scale), ("biases", BIAS_SCALE)):
        if prior[block]["scale"] == AUTO:
            prior[block] = {**prior[block], "scale": scale}
    if likelihood["family"] == AUTO:
        likelihood["family"] = chosen.family
    return {"network": network, "prior": prior, "likelihood": likelihood}


class _Race:
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
            self._cluster = np.arange(len(y)) * N_STRETCHES // len(y)
        self._fits: dict[Candidate, list[CheapFit]] = {}

    def run(
        self,
        candidates: Sequence[Candidate],
        *,
        prefer: Callable[[Candidate], int | None],
        simplicity: Callable[[Candidate], tuple[float, ...]] | None = None,
        tolerable: float = 0.0,
    ) -> tuple[Candidate, list[Comparison]]:
        """Return the best candidate and how the others compare.

        Candidates that are preferred have a rank, the lowest first: the first one is taken that the best is not better
        than by more than `MARGIN` standard errors; of one rank, that of the best score. Where chains of that one
        disagree, the best one with a rank whose chains agree takes its place, if it is behind by no more than
        `tolerable`, nats a row; if there is none, the one whose chains disagree least. At last the first by
        `simplicity` is taken that is behind by neither `MARGIN` standard errors nor `NEGLIGIBLE`.
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
            left = [one for one in left if one == best or not self._is_hopeless(best, one, tolerable)]
        best = max(left, key=lambda one: self._mean(one, len(self._folds)))
        for rank in sorted({rank for one in left if (rank := prefer(one)) is not None}):
            alike = [one for one in left if prefer(one) == rank]
            preferred = max(alike, key=lambda one: self._mean(one, len(self._folds)))
            gain, error = self._difference(best, preferred)
            if gain <= MARGIN * error:
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
                else min(near, key=lambda one: (one.scale, self._rhat(one)))
            )
        if simplicity is not None:
            # Not one that has just been passed over.
            most = max(AGREEING_RHAT, self._rhat(best))
            as_good = [one for one in alike if self._rhat(one) <= most and self._is_as_good(best, one)]
            best = min([best, *as_good], key=simplicity)
        order = sorted(candidates, key=lambda one: (one != best, one not in left, -self._mean(one, 1)))
        return best, [self._compared(best, one) for one in order]

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
        return difference <= min(MARGIN * error, NEGLIGIBLE)

    def _is_hopeless(self, best: Candidate, other: Candidate, tolerable: float) -> bool:
        difference, error = self._difference(best, other)
        return difference > tolerable + HOPELESS * error

    def _compared(self, best: Candidate, other: Candidate) -> Comparison:
        n_folds, rhat = len(self._fits[other]), self._rhat(other)
        return Comparison(
            other,
            self._mean(other, n_folds),
            *self._difference(best, other),
            n_folds,
            rhat if math.isfinite(rhat) else None,
        )
