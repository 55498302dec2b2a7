"""How far scores, and differences between models, depend on the test rows: a paired bootstrap.

Rows are drawn with replacement, the same ones for every model, so that a row which is hard for all models does not
count as a difference between them (Efron & Tibshirani 1993). Every score is a function of weighted means over rows: a
replicate is a set of weights.

Rows of one group, and neighbours in time, are alike: whole groups, or stretches of time, are drawn then.

Scores in which classes count alike are not defined where a class has no row, as happens to some of so many replicates
once a class is rare. Their rows are drawn within each class, as many as it has: a stratified bootstrap, which takes
the shares of classes as given. It sees no variation in a class of one row.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping

import numpy as np

from bnn.evaluation import metrics
from bnn.evaluation.forecasts import TargetForecast
from bnn.evaluation.scores import LEVELS

N_REPLICATES = 2000
LEVEL = 0.95
"""What the percentile intervals of differences hold, and the binomial ones of shares."""

_WEIGHTS_AT_ONCE = 2**22

Replicates = dict[str, np.ndarray]
"""Score -> (replicate,)"""

Replicate = Callable[[str, np.ndarray], Replicates]
"""(model, weights (replicate, obs)) -> its scores under them"""


def row_weights(
    n_rows: int,
    n_replicates: int,
    rng: np.random.Generator,
    *,
    strata: np.ndarray | None = None,
    clusters: np.ndarray | None = None,
) -> Iterator[np.ndarray]:
    """Yield the weights of rows in replicates, some replicates at a time: each (replicate, obs), rows sum to 1.

    Parameters
    ----------
    n_rows, n_replicates
        How many rows there are, and how many replicates.
    rng
        Draws them.
    strata
        The class of each row, (obs,): every class keeps its share.
    clusters
        What each row belongs to, (obs,), as a person or a stretch of time: it is drawn with all its rows, of a class if
        there are strata. None: each row is one of its own.
    """
    own = np.zeros(n_rows, dtype=np.int64) if strata is None else strata
    groups = [np.flatnonzero(own == k) for k in np.unique(own)]
    step = max(1, _WEIGHTS_AT_ONCE // n_rows)
    for start in range(0, n_replicates, step):
        size = min(step, n_replicates - start)
        weights = np.empty((size, n_rows))
        for rows in groups:
            of_row = np.arange(len(rows)) if clusters is None else _numbered(clusters[rows])
            n = int(of_row.max()) + 1
            chosen = rng.integers(0, n, size=(size, n))
            times = np.stack([np.bincount(one, minlength=n) for one in chosen])[:, of_row]
            weights[:, rows] = times * (len(rows) / n_rows / times.sum(axis=1, keepdims=True))
        yield weights


def _numbered(clusters: np.ndarray) -> np.ndarray:
    return np.unique(clusters, return_inverse=True)[1]


def class_replicates(probability: np.ndarray, y: np.ndarray, weights: np.ndarray) -> Replicates:
    """Return the scores of classes under each set of weights, but for those of `scores.prevalence_scores`.

    Parameters
    ----------
    probability
        Shape (obs, class).
    y
        Class indices, (obs,).
    weights
        Shape (replicate, obs).
    """
    own = probability[np.arange(len(y)), y]
    correct = metrics.predicted_class(probability) == y
    bins = metrics.confidence_bins(probability)
    gaps = np.eye(metrics.ECE_BINS)[bins] * (probability.max(axis=1) - correct)[:, None]
    with np.errstate(divide="ignore"):
        nll = -np.log(own.astype(np.float64))
    one_hot = np.eye(probability.shape[1])[y]
    return {
        "accuracy": weights @ correct,
        "nll": _weighted(weights, nll),
        "brier": weights @ ((probability - one_hot) ** 2).sum(axis=1),
        "ece": np.abs(weights @ gaps).sum(axis=1),
    }


def target_replicates(forecast: TargetForecast, y: np.ndarray, weights: np.ndarray) -> Replicates:
    """Return the scores of a real target, observed values (obs,), under each set of weights (replicate, obs)."""
    residual = y - forecast.mean
    squared = weights @ residual**2
    centred = y - y.mean()  # squares of the values themselves would cost digits
    total = weights @ centred**2 - (weights @ centred) ** 2
    with np.errstate(divide="ignore", invalid="ignore"):
        r2 = np.where(total > 0, 1 - squared / total, np.nan)
    gaussian = -metrics.gaussian_log_density(forecast.mean, forecast.sd, y)
    found = {
        "rmse": np.sqrt(squared),
        "mae": weights @ np.abs(residual),
        "r2": r2,
        "nll": _weighted(weights, forecast.nll),
        "nll_gaussian": weights @ gaussian,
        "crps": weights @ forecast.crps,
    }
    for level in LEVELS:
        lower, upper = forecast.interval(level)
        found[f"coverage_{100 * level:.0f}"] = weights @ metrics.is_inside(
            lower, upper, y, pit=forecast.pit, level=level
        ).astype(float)
        found[f"width_{100 * level:.0f}"] = weights @ (upper - lower)
    return found


def compare(
    values: Mapping[str, Mapping[str, float]],
    replicate: Replicate,
    *,
    n_rows: int,
    rng: np.random.Generator,
    n_replicates: int = N_REPLICATES,
    within: tuple[np.ndarray, Replicate] | None = None,
    clusters: np.ndarray | None = None,
) -> tuple[dict[str, dict[str, float]], dict[str, dict[str, dict[str, float]]]]:
    """Return standard errors over rows, and the differences between the first model and each other one.

    Parameters
    ----------
    values
        Model -> score -> value on the rows themselves; the first model is compared with the others.
    replicate
        Gives the scores of a model under weights.
    n_rows
        Number of rows.
    rng
        Draws the rows.
    n_replicates
        How often.
    within
        The class of each row, (obs,), and what gives the scores whose rows are drawn within each class.
    clusters
        As of `row_weights`.

    Returns
    -------
    errors
        Model -> score -> standard error.
    differences
        Other model -> score -> `value` (first minus other), `se`, and the ends `lower` and `upper` of a percentile
        interval of `LEVEL`, NaN for the scores of `bnn.evaluation.metrics.BIASED`.
    """
    drawn = _drawn(values, replicate, row_weights(n_rows, n_replicates, rng, clusters=clusters))
    if within is not None:
        strata, replicate_within = within
        # A stream of its own: what is drawn after this does not hang on whether there are classes.
        own = rng.spawn(1)[0]
        weights = row_weights(n_rows, n_replicates, own, strata=strata, clusters=clusters)
        more = _drawn(values, replicate_within, weights)
        drawn = {model: found | more[model] for model, found in drawn.items()}
    errors = {model: {name: standard_error(x) for name, x in found.items()} for model, found in drawn.items()}
    first, *others = values
    differences = {
        other: {
            name: difference(
                values[first][name] - values[other][name], drawn[first][name] - drawn[other][name]
            )
            for name in drawn[first]
        }
        for other in others
    }
    for found in differences.values():
        for name in found.keys() & set(metrics.BIASED):
            found[name] |= {"lower": float("nan"), "upper": float("nan")}
    return errors, differences


def _drawn(
    models: Iterable[str], replicate: Replicate, weights: Iterable[np.ndarray]
) -> dict[str, Replicates]:
    """Return the scores of every model in all replicates, whose weights come some at a time."""
    parts = [{model: replicate(model, part) for model in models} for part in weights]
    return {
        model: {name: np.concatenate([part[model][name] for part in parts]) for name in found}
        for model, found in parts[0].items()
    }


ROUNDING = 1e-9
"""Standard errors within which the end of an interval is 0."""


def difference(value: float, replicates: np.ndarray) -> dict[str, float]:
    """Return a value with the standard error and the percentile interval of its replicates (replicate,)."""
    if not np.isfinite(replicates).all():
        return {"value": float(value), "se": float("nan"), "lower": float("nan"), "upper": float("nan")}
    error = standard_error(replicates)
    # Scores that are equal but for rounding are equal: an end of 1e-16 would lie on one side of 0.
    lower, upper = (
        0.0 if abs(end) <= ROUNDING * error else end
        for end in np.quantile(replicates, [0.5 - LEVEL / 2, 0.5 + LEVEL / 2]).tolist()
    )
    return {"value": float(value), "se": error, "lower": lower, "upper": upper}


def standard_error(replicates: np.ndarray) -> float:
    """Return the standard deviation of replicates; NaN if one of them is not finite."""
    return float(replicates.std(ddof=1)) if np.isfinite(replicates).all() else float("nan")


def _weighted(weights: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Return weighted sums; a row whose value is infinite, or none, counts only where its weight is not 0."""
    missing, finite = np.isnan(values), np.isfinite(values)
    total = weights @ np.where(finite, values, 0.0)
    total = np.where((weights @ ~finite) > 0, np.inf, total)
    return np.where((weights @ missing) > 0, np.nan, total)
