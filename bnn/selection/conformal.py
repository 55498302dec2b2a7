"""Conformity scores of the training rows: each fold is left out of a cheap fit of the model, which then scores it."""

import numpy as np

from bnn.core.identical_rows import divided, first_of_each
from bnn.core.seeding import Stream, chain_rng
from bnn.core.settings import ModelSettings
from bnn.model.posterior import make_likelihood, make_network, make_prior
from bnn.model.targets import Target
from bnn.posterior.conformal import interval_scores, set_scores
from bnn.posterior.predictor import Predictor
from bnn.selection.cheap_fit import few_of, fitted

N_FOLDS = 5
_PER_DRAW = 40
"""New observations of a row for each draw of theta, of which there are few: their range must reach far."""
_ROWS_AT_ONCE = 200


def conformity_scores(
    x: np.ndarray,
    y: np.ndarray,
    *,
    n_classes: int | None,
    settings: ModelSettings,
    seed: int,
    target: Target | None = None,
    in_order: bool = False,
    groups: np.ndarray | None = None,
) -> np.ndarray:
    """Return how far out each training row lies in what a fit without its fold predicts for it, (obs,).

    Parameters
    ----------
    x
        Training inputs, shape (obs, input), standardised.
    y
        Training targets, shape (obs,): class index, or standardised value.
    n_classes
        Classes of the target; None for a real target.
    settings
        The model, with nothing open.
    seed
        Seed of folds, chains and new observations.
    target
        How the likelihood describes a real target, from all training rows.
    in_order, groups
        How rows are left out, see `bnn.core.identical_rows.divided`.

    Returns
    -------
    ndarray
        As of `bnn.posterior.conformal.interval_scores` or `set_scores`; infinite where a fit found no start.
    """
    rng = chain_rng(seed, Stream.CONFORMAL)
    scores = np.full(len(y), np.inf)
    n_folds = min(N_FOLDS, len(y))
    order = np.arange(len(y)) if in_order else rng.permutation(len(y))
    parts = divided(order, first_of_each(x.T, len(y)), n_folds, in_order=in_order, groups=groups)
    for fold, out in enumerate(parts):
        used = np.setdiff1d(np.arange(len(y)), out)
        theta = fitted(
            x[used],
            y[used],
            n_classes=n_classes,
            settings=settings,
            seed=seed + fold,
            target=target,
        )
        if theta is None:
            continue
        theta = few_of(theta)
        predictor = _predictor(x[used], n_classes, settings, target)
        for rows in np.array_split(out, -(-len(out) // _ROWS_AT_ONCE)):
            scores[rows] = _scores(predictor, theta, x[rows], y[rows], rng)
    return scores


def _predictor(
    x: np.ndarray, n_classes: int | None, settings: ModelSettings, target: Target | None
) -> Predictor:
    likelihood = make_likelihood(settings.likelihood, n_classes=n_classes, target=target)
    network = make_network(
        settings.network.in_numpy("float64"),
        x,
        n_outputs=likelihood.n_outputs,
        has_offset=target is not None and target.has_exposure,
    )
    return Predictor(
        network, likelihood, make_prior(network, likelihood, settings.prior).layout, target or Target()
    )


def _scores(
    predictor: Predictor, theta: np.ndarray, x: np.ndarray, y: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    blocks = predictor.stream(theta, x)
    if not predictor.is_regression:
        return set_scores(np.concatenate([block.value for block in blocks]).mean(axis=0), y)
    draws = [predictor.sample(block, rng) for block in blocks for _ in range(_PER_DRAW)]
    return interval_scores(np.concatenate(draws), predictor.target.original(y), rng.random(len(y)))
