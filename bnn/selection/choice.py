"""What `auto` stands for: candidates compared by their log score on training rows left out, fold by fold.

K folds of the training rows, a cheap fit of each candidate on each: see `bnn.selection.race`. Leave-one-out by
importance sampling would need one fit only, but its estimates fail for flexible networks. First the kind of target,
then the transform of inputs, the network and the width of its prior, and the noise.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from bnn.core.gross_values import gross_errors
from bnn.core.plan import LEAST_OF_NOISE
from bnn.core.settings import FAMILIES, YEO_JOHNSON
from bnn.model.input_transform import fit_inputs
from bnn.selection.families import COUNTS, NOISES, families_of, kind_of
from bnn.selection.race import (
    AUTO,
    NEGLIGIBLE,
    PLAIN,
    STANDARDISED,
    Candidate,
    Comparison,
    Race,
    Unit,
    filled,
)

TOLERABLE = {"classification": 0.02, "regression": 0.1}
"""Nats a row by which a network whose chains agree, or whose prior is narrower, may be behind one whose chains do not,
by task. On energy (50-50 units, noise that varies, four chains of 100,000 gradients) the worst R-hat is 1.03 with scale
1 and 1.6 with 1.4, which cheap fits do not tell apart: theirs are 1.04 and 1.05."""
FOR_AGREEMENT = 0.3
"""Nats a row by which noise whose chains will agree may be behind noise whose chains will not: uncertainties that are a
third wider and can be trusted are worth more than such that cannot."""


class NetworkPrior(NamedTuple):
    """A network and what is thought of its weights before any row is seen."""

    hidden: tuple[int, ...]
    prior_scale: float
    """Of the weights"""
    output_factor: float = 1.0
    activation: str = "tanh"


NETWORKS: Mapping[str, Sequence[NetworkPrior]] = {
    "classification": (
        NetworkPrior((), 4.0),
        NetworkPrior((), 16.0),
        NetworkPrior((50,), 1.0),
        NetworkPrior((50,), 2.0),
        NetworkPrior((50,), 4.0),
        NetworkPrior((50,), 8.0),
        NetworkPrior((50,), 1.0, 16.0),
        NetworkPrior((50,), 2.0, 4.0),
        NetworkPrior((50,), 2.0, 16.0),
        NetworkPrior((50, 50), 4.0),
        NetworkPrior((50,), 4.0, activation="relu"),
        NetworkPrior((50,), 2.0, 4.0, "relu"),
        NetworkPrior((50,), 2.0, 16.0, "relu"),
    ),
    "regression": (
        NetworkPrior((), 4.0),
        NetworkPrior((50,), 1.0),
        NetworkPrior((50,), 2.0),
        NetworkPrior((50,), 4.0),
        NetworkPrior((50, 50), 1.0),
        NetworkPrior((50, 50), 1.4),
        NetworkPrior((50, 50), 2.0),
        NetworkPrior((50, 50), 4.0),
    ),
}
"""What is compared, by task. Wide layers mix where narrow ones get stuck.

Classes that inputs tell apart need large outputs: with hidden weights as large as that, functions turn so often that
their average is sure of nothing. The best of three with a factor, instead of the best without, gained 0.14 nats a row
left out on vowel, 0.05 on soybean, 0.03 to 0.04 on sonar, zoo and iris, 0.02 on wine and vehicle, less on
breast_cancer, ionosphere and spam, and lost 0.01 on glass and CreditCard, where it is then not taken.

A rectified unit stays as steep however large its input, where tanh levels off. The best of the three with relu, instead
of the best with tanh, gained 0.02 to 0.04 nats on vowel, musk and ionosphere, 0.01 on sonar and vehicle (each in both
of two seeds), and lost 0.03 to 0.16 on BankWages, Affairs and PimaIndiansDiabetes2, where it is then not taken. Two
layers with relu gained 0.01 more on some, but their chains took ten minutes on vowel and had R-hat 1.03 then. Of real
targets relu gained on energy alone, and chains agreed less (R-hat of short runs on concrete 1.15, with tanh 1.04)."""
NO_TAIL_IN_LOGS = 8.0
"""Scales in logs beyond which a target is no tail of log-normal noise that varies, but an error: of thirty made tables
with such noise, 1,000 rows each, eleven have a value beyond five scales that would pass for one, two beyond eight. An
error of a thousand times the others is 14 scales from them where their logs have a standard deviation of 0.5."""
TRIAL = ((50,), 2.0)
"""Network and scale with which kinds of targets, and transforms of inputs, are compared."""


def choose(
    x: np.ndarray,
    y: np.ndarray,
    *,
    n_classes: int | None,
    settings: Mapping[str, Any],
    unit: Unit = STANDARDISED,
    in_order: bool = False,
    groups: np.ndarray | None = None,
    agrees: Callable[[Mapping[str, Any], float], bool] | None = None,
    is_ample: Callable[[Mapping[str, Any], float], bool] | None = None,
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
    agrees
        Says whether chains of a model, sections as those that are returned, and its log score, will agree. It is asked
        where those of cheap fits disagree; None: they are not looked at closer.
    is_ample
        Says of classes whether there is so much time for a model, sections as those that are returned, with such an
        R-hat of cheap fits, that it does not matter; None: it always does.

    Returns
    -------
    chosen
        Those sections without anything open.
    comparisons
        All candidates that were tried, the chosen one first in each step; empty if there was no choice.
    """
    task = "regression" if n_classes is None else "classification"
    race = Race(x, y, n_classes, settings, unit, in_order=in_order, groups=groups)
    comparisons: list[Comparison] = []
    family = "gaussian" if n_classes is not None else settings["likelihood"]["family"]  # which classes ignore
    families: Sequence[str] = ()
    if family == AUTO:
        # Normal noise as wide as gross errors would tell no candidates apart; one decides every comparison of families
        # by itself, most of all on a log scale, and an output that makes the noise would be wide about it.
        values = unit.original(y)
        if unit.log_exposure is not None:
            families = COUNTS
        elif gross_errors(values, far_in_logs=NO_TAIL_IN_LOGS).any():
            families = ("student_t",)
        else:
            families = _families(values, unit.beside)
        trial = _trial(settings)
        best, more = race.run(
            [trial._replace(family=name) for name in families], prefer=lambda one: _rank(one.family, families)
        )
        family, comparisons = best.family, [*more]
    inputs = settings["network"]["input_transform"]
    if inputs == AUTO:
        entering = x if unit.log_exposure is None else x[:, :-1]
        transforms = [PLAIN, YEO_JOHNSON] if fit_inputs(entering).columns.size else [PLAIN]
        trial = _trial(settings)._replace(family=family)
        best, more = race.run(
            [trial._replace(inputs=name) for name in transforms],
            prefer=lambda one: transforms.index(one.inputs),
        )
        inputs = best.inputs
        comparisons += more
    networks = [
        Candidate(one.hidden, one.prior_scale, family, inputs, one.output_factor, one.activation)
        for one in _networks(settings, task)
    ]
    order: dict[str, Any] = {
        "prefer": lambda one: 0 if one.hidden else None,
        # A scale means more with relu, whose units do not level off.
        "simplicity": lambda one: (one.activation != "tanh", one.output_scale, one.scale, len(one.hidden)),
    }
    best, more = race.run(networks, **order, tolerable=TOLERABLE[task])
    if agrees is not None and len(networks) > 1 and race.disagree(best):
        # A narrower prior is no gain where its chains will not agree, either, and hardly better than the others.
        top, compared = race.run(networks, **order)
        is_alike = top != best and race.is_as_calm(top, best)
        if is_alike and not agrees(filled(settings, best), race.score(best)):
            best, more = top, compared
    if is_ample is not None:
        top, compared = race.run(networks, **order)
        if top != best and is_ample(filled(settings, top), race.cheap_rhat(top)):
            best, more = top, compared
    comparisons += more
    # What varies for a poor network may not for a good one. Cheap fits do not tell whether chains will agree under
    # noise that varies: theirs disagree alike on abalone, where long ones agree, and on concrete, where they do not.
    noises = [best._replace(family=name) for name in families if kind_of(name) == kind_of(family)] or [best]
    best, more = race.run(
        noises,
        prefer=lambda one: _rank(one.family, families),
        tolerable=NEGLIGIBLE[task],
        patience=0.0 if agrees is None else FOR_AGREEMENT,
        least=LEAST_OF_NOISE,
    )
    if agrees is not None and (calmer := race.calmer(best, noises, FOR_AGREEMENT)) is not None:
        now, instead = ((filled(settings, one), race.score(one)) for one in (best, calmer))
        if not agrees(*now) and agrees(*instead):
            best, more = calmer, race.compared(calmer, noises)
    return filled(settings, best), comparisons + more


def log_score(
    x: np.ndarray,
    y: np.ndarray,
    *,
    settings: Mapping[str, Any],
    unit: Unit,
    in_order: bool,
    groups: np.ndarray | None,
) -> float:
    """Return the mean log score, nats a row left out, of a model of a real target of which nothing is open.

    Parameters are as of `choose`.
    """
    race = Race(x, y, None, settings, unit, in_order=in_order, groups=groups)
    hidden, scale = _asked(settings)
    factor = settings["prior"]["output_factor"]
    return race.score(
        Candidate(tuple(hidden), float(scale), settings["likelihood"]["family"], output_factor=factor)
    )


def _families(train: np.ndarray, beside: np.ndarray) -> list[str]:
    """Return the families to compare, and those that differ from one by their noise."""
    return [name for kind in families_of(train, beside) for name in NOISES.get(kind, (kind,))]


def _rank(family: str, families: Sequence[str]) -> int:
    """Return a rank by kind, and within a kind the noise that varies last, with heavy tails at the very last.

    Normal noise is a special case of one that varies, which is then hardly worse; heavy tails cost something where
    there are none, and a margin for them missed four of ten tables of 300 rows. Where the noise varies there is one,
    for what varies looks like heavy tails: with it the family was right in nine of ten tables of each of four.
    """
    kinds = list(dict.fromkeys(map(kind_of, families)))
    of_noise = {"heteroscedastic": 1, "heteroscedastic_student_t": 2}
    return 3 * kinds.index(kind_of(family)) + of_noise.get(FAMILIES[family].noise, 0)


def _trial(settings: Mapping[str, Any]) -> Candidate:
    """Return the network with which kinds of targets, and transforms of inputs, are compared."""
    hidden, scale = _asked(settings)
    network, factor = settings["network"], settings["prior"]["output_factor"]
    return Candidate(
        TRIAL[0] if hidden == AUTO else tuple(hidden),
        TRIAL[1] if scale == AUTO else float(scale),
        "",
        PLAIN if network["input_transform"] == AUTO else network["input_transform"],
        1.0 if factor == AUTO else float(factor),
        "tanh" if network["activation"] == AUTO else network["activation"],
    )


def _asked(settings: Mapping[str, Any]) -> tuple[Any, Any]:
    return settings["network"]["hidden"], settings["prior"]["weights"]["scale"]


def _networks(settings: Mapping[str, Any], task: str) -> list[NetworkPrior]:
    """Return the networks to compare: the portfolio with what the config fixes put in its place."""
    hidden, scale = _asked(settings)
    factor, activation = settings["prior"]["output_factor"], settings["network"]["activation"]
    found = (
        NetworkPrior(
            one.hidden if hidden == AUTO else tuple(hidden),
            one.prior_scale if scale == AUTO else float(scale),
            one.output_factor if factor == AUTO else float(factor),
            one.activation if activation == AUTO else activation,
        )
        for one in NETWORKS[task]
    )
    return list(dict.fromkeys(found))
