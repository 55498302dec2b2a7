"""Posterior and prior predictive checks: statistics of the training targets beside those of targets the model makes.

The share of replicated statistics that are at least as large as the observed one is a posterior predictive p-value
(Gelman, Meng & Stern 1996): near 0 or 1 the model does not make data like these. It is no measure of evidence, and for
statistics that the model fits directly, such as the mean, it is near 1/2 whatever the model.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from bnn.data.dataset import Dataset
from bnn.evaluation.forecasts import observed
from bnn.evaluation.scores import block_means, jackknife_blocks, jackknife_mcse
from bnn.model.counts import has_zeros
from bnn.model.priors import Prior
from bnn.posterior.posterior_file import StoredPosterior
from bnn.posterior.predictor import Predictor

LEVEL = 0.9
"""What the intervals of replicated statistics hold."""

N_PRIOR_DRAWS = 1000
_CELLS = 2**24
"""Replicated values at the most; beyond, draws are thinned."""
_BLOCK_BYTES = 2**25
"""Rough size of the draws that are read at a time."""
_MAX_CLASSES = 10
_SURE = 0.9


class Check(NamedTuple):
    """A statistic of replicated and of observed targets."""

    name: str
    description: str
    replicated: np.ndarray
    """(chain, draw), or (draw,) of the prior"""
    observed: np.ndarray | float | None
    """A number; of the shape of `replicated` if it depends on the draw; None if nothing was observed"""
    of_rows: np.ndarray | None = None
    """(obs,): sums over draws of what the observed value is the largest of; None if no row stands for it"""


def posterior_checks(idata: StoredPosterior, dataset: Dataset) -> list[Check]:
    """Return the checks of the posterior on the training rows, in original target units."""
    group = idata["posterior_predictive"]
    n_chains, n_draws, n_rows = group["y"].shape
    step = max(1, -(-n_chains * n_draws * n_rows // _CELLS))
    # Each statistic is one of a draw: some draws are read at a time.
    n_numbers = n_rows * (group["probability"].shape[3] if dataset.task == "classification" else 1)
    at_once = step * max(1, _BLOCK_BYTES // (8 * n_chains * n_numbers))
    blocks = [slice(start, min(start + at_once, n_draws), step) for start in range(0, n_draws, at_once)]
    parts = [_checks_of_draws(group, dataset, draws) for draws in blocks]
    return [_joined(found) for found in zip(*parts, strict=True)]


def _checks_of_draws(group: Any, dataset: Dataset, draws: slice) -> list[Check]:
    y, replicated = observed(dataset, "train"), np.asarray(group["y"][:, draws])
    if dataset.task == "classification":
        probability = np.asarray(group["probability"][:, draws], dtype=np.float64)
        return [*_class_counts(dataset, y, replicated), *_class_discrepancies(probability, y, replicated)]
    mean = np.asarray(group["mean"][:, draws], dtype=np.float64)
    noise = np.asarray(group["noise_sd"][:, draws])
    noise = noise if noise.ndim == 3 else noise[..., None]
    replicated = replicated.astype(np.float64)
    return [*_target_statistics(y, replicated), *_target_discrepancies(mean, noise, y, replicated)]


def _joined(parts: Sequence[Check]) -> Check:
    """Return a check of all draws from those of some draws each."""
    first = parts[0]
    observed = first.observed
    if isinstance(observed, np.ndarray):
        observed = np.concatenate([np.asarray(part.observed) for part in parts], axis=1)
    replicated = np.concatenate([part.replicated for part in parts], axis=1)
    sums = [part.of_rows for part in parts if part.of_rows is not None]
    of_rows = np.sum(sums, axis=0) if sums else None
    return first._replace(replicated=replicated, observed=observed, of_rows=of_rows)


def prior_checks(
    prior: Prior, predictor: Predictor, dataset: Dataset, rng: np.random.Generator
) -> list[Check]:
    """Return the checks of the prior: what targets, and what networks, it makes at the training inputs.

    Parameters
    ----------
    prior
        Of theta, in the predictor's layout.
    predictor
        Network, likelihood and units.
    dataset
        The table.
    rng
        Draws theta and targets.
    """
    theta = np.stack([prior.sample(rng) for _ in range(N_PRIOR_DRAWS)])
    step = max(1, -(-N_PRIOR_DRAWS * len(dataset.x_train) * dataset.n_outputs // _CELLS))
    x, y = dataset.x_train[::step], observed(dataset, "train")[::step]
    value, replicated = [], []
    for block in predictor.stream(theta, x):
        value.append(block.value)
        replicated.append(predictor.sample(block, rng))
    values, targets = np.concatenate(value), np.concatenate(replicated)
    if dataset.task == "classification":
        return _prior_class_checks(dataset, y, values, targets)
    spread = Check(
        "sd of the network",
        "standard deviation over rows of a network's predicted mean; observed: that of the targets, noise included",
        values.std(axis=-1),
        float(y.std()),
    )
    return [spread, *_target_statistics(y, targets)]


def summarise(check: Check) -> dict[str, Any]:
    """Return the entry of a check in checks.json."""
    drawn = check.replicated
    finite = drawn[np.isfinite(drawn)]
    lower, upper = (
        np.quantile(finite, [0.5 - LEVEL / 2, 0.5 + LEVEL / 2]).tolist() if finite.size else (None, None)
    )
    entry: dict[str, Any] = {
        "name": check.name,
        "description": check.description,
        "observed": None if check.observed is None else float(np.mean(check.observed)),
        "observed_lower": None,
        "observed_upper": None,
        "mean": float(finite.mean()) if finite.size else None,
        "lower": lower,
        "upper": upper,
        "p_value": None,
        "mcse": None,
        "n_replicates": int(drawn.size),
    }
    if isinstance(check.observed, np.ndarray):
        # Of draws themselves: between a number and minus infinity nothing lies.
        tails = np.quantile(check.observed, [0.5 - LEVEL / 2, 0.5 + LEVEL / 2], method="inverted_cdf")
        entry["observed_lower"], entry["observed_upper"] = tails.tolist()
    if check.observed is not None:
        exceeds = 0.5 * (drawn > check.observed) + 0.5 * (drawn >= check.observed)
        entry["p_value"] = float(exceeds.mean())
        if drawn.ndim == 2:
            entry["mcse"] = jackknife_mcse(block_means(exceeds, jackknife_blocks(*drawn.shape))[1:])
        else:  # draws of the prior are independent
            entry["mcse"] = float(exceeds.std(ddof=1) / np.sqrt(len(drawn)))
    return entry


def _target_statistics(y: np.ndarray, replicated: np.ndarray) -> Iterator[Check]:
    """Yield statistics of targets (obs,) and replicated ones (..., obs)."""
    statistics: dict[str, tuple[str, Callable[..., Any]]] = {
        "mean": ("mean of the targets", np.mean),
        "sd": ("standard deviation of the targets", np.std),
        "smallest": ("smallest of the targets", np.min),
        "largest": ("largest of the targets", np.max),
    }
    if y.min() >= 0 and has_zeros(y == 0):
        # The smallest is 0 then; how many are is what counts and amounts are often wrong in.
        del statistics["smallest"]
        statistics["zeros"] = ("share of the targets that are 0", _zeros)
    for name, (text, function) in statistics.items():
        yield Check(name, text, function(replicated, axis=-1), float(function(y, axis=-1)))


def _zeros(values: np.ndarray, axis: int) -> np.ndarray:
    return np.asarray((values == 0).mean(axis=axis))


def _target_discrepancies(
    mean: np.ndarray, noise: np.ndarray, y: np.ndarray, replicated: np.ndarray
) -> Iterator[Check]:
    """Yield discrepancies that depend on the draw: of residuals in standard deviations, (chain, draw, obs)."""
    own, made = (y - mean) / noise, (replicated - mean) / noise
    yield Check(
        "largest residual",
        "largest absolute residual of a row, in standard deviations that the draw predicts for it: outliers",
        np.abs(made).max(axis=-1),
        np.abs(own).max(axis=-1),
        np.abs(own).sum(axis=(0, 1)),
    )
    yield Check(
        "skewness of residuals",
        "mean cube of the residuals, in standard deviations that the draw predicts: a distribution of another shape",
        (made**3).mean(axis=-1),
        (own**3).mean(axis=-1),
    )
    yield Check(
        "spread along the mean",
        "correlation of the size of residuals with the predicted mean: a spread that depends on the inputs otherwise",
        _correlation(np.abs(made), mean),
        _correlation(np.abs(own), mean),
    )


def _correlation(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    a = first - first.mean(axis=-1, keepdims=True)
    b = second - second.mean(axis=-1, keepdims=True)
    scale = np.sqrt((a * a).sum(axis=-1) * (b * b).sum(axis=-1))
    # A predicted mean that is the same for all rows goes along with nothing.
    return np.asarray((a * b).sum(axis=-1) / np.where(scale > 0, scale, 1.0))


def _class_counts(dataset: Dataset, y: np.ndarray, replicated: np.ndarray) -> Iterator[Check]:
    for index, name in enumerate(dataset.class_names[:_MAX_CLASSES]):
        count = (replicated == index).sum(axis=-1)
        yield Check(
            f"rows of {name}", f"number of rows of the class {name}", count, float((y == index).sum())
        )


def _class_discrepancies(probability: np.ndarray, y: np.ndarray, replicated: np.ndarray) -> Iterator[Check]:
    best = probability.argmax(axis=-1)
    yield Check(
        "right predictions",
        "share of rows that are of the class which the draw finds most probable",
        (replicated == best).mean(axis=-1),
        (y == best).mean(axis=-1),
    )
    with np.errstate(divide="ignore"):
        log_probability = np.log(probability)
    made = np.take_along_axis(log_probability, replicated[..., None], axis=-1)[..., 0]
    own = log_probability[..., np.arange(len(y)), y]
    yield Check(
        "log likelihood",
        "mean log probability of the classes of the rows: too low if classes come that the model finds improbable, "
        "too high if it is less sure than it could be",
        made.mean(axis=-1),
        own.mean(axis=-1),
    )


def _prior_class_checks(
    dataset: Dataset, y: np.ndarray, probability: np.ndarray, replicated: np.ndarray
) -> list[Check]:
    confidence = probability.max(axis=-1)
    n_classes = len(dataset.class_names)
    counts = np.stack([(replicated == index).mean(axis=-1) for index in range(n_classes)])
    return [
        Check(
            "mean confidence",
            "mean over rows of a network's largest class probability: how sure a network is before any data",
            confidence.mean(axis=-1),
            None,
        ),
        Check(
            "share of sure rows",
            f"share of rows whose class a network gives a probability above {_SURE:g}",
            (confidence > _SURE).mean(axis=-1),
            None,
        ),
        Check(
            "share of the largest class",
            "share of rows in the largest class",
            counts.max(axis=0),
            float(np.bincount(y, minlength=n_classes).max() / len(y)),
        ),
    ]
