"""The plan of a run: everything that a config leaves open, settled once, before anything is sampled."""

import math
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np

from bnn.core.settings import OPEN_DRAWS, WARMUP, ChainSettings, build
from bnn.mcmc.kernels import resolve_kernel, sms_ubu
from bnn.model.targets import Target
from bnn.selection import cheap_fit, pilot
from bnn.selection.budget import Budget
from bnn.selection.choice import choose, log_score
from bnn.selection.race import STANDARDISED, Unit

_MOST_EXPLORING = 4000
"""Unadjusted steps before warm-up, in runs of open length; a fifth of the gradients at most."""
_PER_MOVE = 600
"""Gradients for each draw where they are few: a third for its trajectory and one in a second round each, a third for an
iteration of warm-up. Few long trajectories go farther than many short ones: on concrete (50 units, scale 4) those of at
most 44, 100 and 200 steps, with 340, 200 and 80 iterations of warm-up and as many draws as fitted in, gave median ESS
of 154, 162 and 221 after the same 30,000 gradients; on energy (50-50, scale 1, noise that varies), tuned alike, those
of some 120, 240, 480 and 940 steps 87, 187, 105 and 76 after 60,000."""
_PER_SWEEP = 9
"""The same where an iteration goes through batches of rows and back, which costs two gradients and a log density."""
_NOISY, _WIDE = 0.9, 50
"""Explained share of the variance below which layers of so many units and more are all sampled alike: integrating out
the output layer then costs more than it gives. On made tables of 600 rows (50 units, normal noise), after as
many core-seconds, the smallest bulk ESS was 5 to 10 times as large without it where 30 to 90 % of the variance is
explained, 0.7 times at 97 %, half at 99.5 %; with two layers twice as large at 90 %, a third at 97 %. Of narrow layers
it was smaller whatever the noise: with 10 units half at 50 % and a fifth at 80 %, with two of 16 a ninth at 90 %."""
_FEWEST_DRAWS = 100
_LEFT = 0.001
"""Excess of R-hat over 1, which falls as gradients rise, that may be left in the end. On vowel short runs of 1,200
gradients had 1.21, and chains that may take 1.6 million PASS. Regressions may keep theirs (airfoil): they are not
asked."""


def make_plan(
    x: np.ndarray,
    y: np.ndarray,
    *,
    n_classes: int | None,
    settings: Mapping[str, Any],
    budget: Budget | None,
    unit: Unit = STANDARDISED,
    in_order: bool = False,
    groups: np.ndarray | None = None,
) -> dict[str, Any]:
    """Return the content of a plan.json.

    Parameters
    ----------
    x
        Training inputs, shape (obs, input), standardised.
    y
        Training targets, shape (obs,): class index, or standardised value.
    n_classes
        Classes of the target; None for a real target.
    settings
        Sections `seed`, `network`, `prior`, `likelihood` and `sampler` of the dataset's config; `explore` and `warmup`
        may be open.
    budget
        What the chains may cost, where their length is open; None where it is given.
    unit
        Of a real target.
    in_order, groups
        How rows are left out, see `bnn.core.identical_rows.divided`.

    Returns
    -------
    dict
        "settings": sections that go over those of the config; "tried": the candidates, as `Comparison` has them.
    """
    how: dict[str, Any] = {"unit": unit, "in_order": in_order, "groups": groups}
    if budget is None:
        chosen, comparisons = choose(x, y, n_classes=n_classes, settings=settings, **how)
    else:
        length = _Length(x, y, n_classes, settings, budget, unit)
        asks: dict[str, Any] = (
            {"agrees": length.is_enough} if n_classes is None else {"is_ample": length.is_ample}
        )
        chosen, comparisons = choose(x, y, n_classes=n_classes, settings=settings, **asks, **how)
        # Of each step of the choice the one that was taken differs by nothing from itself.
        taken = [one.log_score for one in comparisons if one.difference == 0 and one.error == 0]
        if n_classes is not None:
            score = math.nan
        else:
            score = taken[-1] if taken else log_score(x, y, settings={**settings, **chosen}, **how)
        chosen["sampler"] = length.of(chosen, score)
    tried = [
        {**asdict(one), "candidate": {**one.candidate._asdict(), "hidden": list(one.candidate.hidden)}}
        for one in comparisons
    ]
    return {"settings": chosen, "tried": tried}


class _Length:
    """How long chains of a model are to be, and whether that is long enough.

    Parameters are as of `make_plan`.
    """

    def __init__(
        self,
        x: np.ndarray,
        y: np.ndarray,
        n_classes: int | None,
        settings: Mapping[str, Any],
        budget: Budget,
        unit: Unit,
    ) -> None:
        self._x, self._y, self._n_classes = x, y, n_classes
        self._settings, self._budget, self._unit = settings, budget, unit

    def of(self, chosen: Mapping[str, Any], score: float) -> dict[str, Any]:
        """Return the keys of `sampler` that a plan sets.

        Parameters
        ----------
        chosen
            Sections `network`, `prior` and `likelihood`.
        score
            Log score of that model of a real target, nats a row left out.
        """
        asked, warmup = (self._settings["sampler"][name] for name in ("explore", "warmup"))
        kernel = resolve_kernel(self._settings["sampler"]["kernel"], len(self._x))
        sampler = {**self._settings["sampler"], "kernel": kernel, "draws": OPEN_DRAWS}
        sampler |= {"explore": 0, "warmup": WARMUP if warmup == "auto" else warmup}
        whole = self._built(chosen, sampler)
        target = self._target(whole)
        is_normal = target is not None and target.form not in ("count", "hurdle")
        is_wide = min(whole.network.hidden, default=0) >= _WIDE
        if target is not None and is_normal and is_wide and sampler["collapse"] == "auto":
            sampler["collapse"] = "never" if _explained(score, target, self._y) < _NOISY else "auto"
            whole = self._built(chosen, sampler)
        most = self._budget.gradients(
            self._x, self._y, n_classes=self._n_classes, settings=whole, target=target
        )
        by_batches = sampler["kernel"] == sms_ubu.KERNEL.name
        # Halves are compared, and rounds halve it: an even number.
        per_draw = _PER_SWEEP if by_batches else _PER_MOVE
        draws = min(OPEN_DRAWS, max(_FEWEST_DRAWS, most // per_draw // 2 * 2))
        warmup = min(WARMUP, draws) if warmup == "auto" else warmup
        # What goes by batches moves faster than the unadjusted steps of all rows with which others explore.
        explore = (0 if by_batches else min(_MOST_EXPLORING, most // 5)) if asked == "auto" else asked
        # Warm-up and two rounds, the second as long as the first, take what exploring leaves.
        left = most - explore - (sampler["optimise_steps"] if sampler["init"] == "optimised" else 0)
        most_steps = max(pilot.FEWEST_STEPS, left // (warmup + 2 * draws * sampler["thin"]))
        return {
            "kernel": sampler["kernel"],
            "draws": draws,
            "warmup": warmup,
            "most_steps": min(sampler["most_steps"], most_steps),
            "most_gradients": most,
            "explore": explore,
            "collapse": sampler["collapse"],
        }

    def is_enough(self, chosen: Mapping[str, Any], score: float) -> bool:
        """Return whether chains of a model are likely to agree in that length; parameters are as of `of`."""
        whole = self._built(chosen, {**self._settings["sampler"], **self.of(chosen, score)})
        n_chains = min(self._budget.chains, self._budget.chains_per_job)
        return pilot.will_agree(
            self._x, self._y, n_chains=n_chains, settings=whole, target=self._target(whole)
        )

    def is_ample(self, chosen: Mapping[str, Any], rhat: float) -> bool:
        """Return whether chains of a model of classes have so many gradients that R-hat of short runs will vanish.

        Parameters
        ----------
        chosen
            Sections `network`, `prior` and `likelihood`.
        rhat
            Of the short runs of its cheap fits.
        """
        most = self.of(chosen, math.nan)["most_gradients"]
        return (rhat - 1.0) * cheap_fit.SAMPLER.n_steps / most <= _LEFT

    def _built(self, chosen: Mapping[str, Any], sampler: Mapping[str, Any]) -> ChainSettings:
        return build(ChainSettings, {**self._settings, **chosen, "sampler": sampler})

    def _target(self, settings: ChainSettings) -> Target | None:
        if self._n_classes is not None:
            return None
        return self._unit.target(settings.likelihood.family, self._y)


def _explained(log_score: float, target: Target, y: np.ndarray) -> float:
    """Return the share of the variance that a model of such a log score explains on rows left out.

    It is that of a normal model whose log score is as far above that of a normal with the mean and standard deviation
    of the targets, both on the scale on which the family is normal: 1 - exp(-2 * difference).
    """
    z = target.encode(y)
    constant = np.mean(target.log_jacobian(y) - 0.5 * (z**2 + math.log(2 * math.pi)))
    return 1.0 - math.exp(-2.0 * max(0.0, log_score - float(constant)))
