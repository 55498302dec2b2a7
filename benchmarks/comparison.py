"""What scores of rows say of models: paired differences over rows and splits, who is best, ranks, costs."""

import math
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

MOST_ERRORS = 2.0
"""Standard errors of a paired difference up to which two models are not told apart."""

Result = Mapping[str, Any]
"""What is stored of a model on a split of a table; with `failed` instead of scores if it failed."""
ByMethod = Mapping[str, Sequence[Result]]
"""Model -> results on the splits of one table"""


class Difference(NamedTuple):
    """Mean of paired differences, and its standard error."""

    value: float
    se: float


def paired(first: Sequence[Result], second: Sequence[Result], score: str) -> Difference:
    """Return by how much the first model's score exceeds the second's, over the rows of the splits that both have.

    The standard error is the larger of two: that of means over clusters of rows, where rows of one source row in
    several splits, and neighbours of a time series, are one cluster; and, of several splits, that of Nadeau & Bengio
    (2003), which allows for the training rows that splits share.

    Parameters
    ----------
    first, second
        Results of each on the splits of one table.
    score
        Name of a score of rows.

    Returns
    -------
    Difference
        NaN where they have no split in common.
    """
    others = {result["split"]: result for result in second}
    pairs = [(one, others[one["split"]]) for one in first if one["split"] in others]
    if not pairs:
        return Difference(math.nan, math.nan)
    parts = [values_of(one, score) - values_of(other, score) for one, other in pairs]
    difference = np.concatenate(parts)
    mean = float(difference.mean())
    row = np.concatenate([np.asarray(one["row"]) for one, _ in pairs])
    if pairs[0][0]["is_series"]:
        row = np.argsort(np.argsort(row)) // math.isqrt(len(row))
    _, cluster = np.unique(row, return_inverse=True)
    sums = np.bincount(cluster, weights=difference - mean)
    n_clusters = len(sums)
    if n_clusters < 2:
        return Difference(mean, math.nan)
    se = math.sqrt(np.sum(sums**2) * n_clusters / (n_clusters - 1)) / len(difference)
    if len(parts) > 1:
        share = pairs[0][0]["n_test"] / pairs[0][0]["n_train"]
        deviation = np.std([part.mean() for part in parts], ddof=1)
        se = max(se, float(deviation) * math.sqrt(1 / len(parts) + share))
    return Difference(mean, se)


def values_of(result: Result, score: str) -> np.ndarray:
    """Return a score of all test rows, (obs,); NaN for what was stored as not a number."""
    return np.array(result["rows"][score], dtype=np.float64)


def standing(by_method: Mapping[str, Sequence[Result]], score: str) -> dict[str, Difference]:
    """Return for each model by how much its score exceeds that of the best one, smaller being better.

    The best has the smallest mean of paired differences from a model with the most splits, so that a model which ran on
    fewer is not compared on other rows than they. Its own difference is 0.

    Parameters
    ----------
    by_method
        Model -> its results on the splits of one table, of which none failed.
    score
        Name of a score of rows.
    """
    anchor = max(by_method, key=lambda method: len(by_method[method]))
    level = {method: paired(results, by_method[anchor], score).value for method, results in by_method.items()}
    best = min(level, key=lambda method: (math.isnan(level[method]), level[method]))
    return {method: paired(results, by_method[best], score) for method, results in by_method.items()}


def is_told_apart(behind: Difference) -> bool:
    """Return whether a model is surely behind the best; what is not a number never passes for as good."""
    return not behind.value <= MOST_ERRORS * behind.se


def ranks(values: Mapping[str, float]) -> dict[str, float]:
    """Return the rank of each model's score, 1 for the smallest; equal ones share the mean, NaN comes last."""
    placed = {method: math.inf if math.isnan(value) else value for method, value in values.items()}
    return {
        method: 0.5
        + sum(other < value for other in placed.values())
        + 0.5 * sum(other == value for other in placed.values())
        for method, value in placed.items()
    }


def geometric_mean(ratios: Sequence[float]) -> float:
    """Return the geometric mean of positive numbers; NaN of none."""
    return math.exp(np.mean(np.log(ratios))) if ratios else math.nan


def proper_score(result: Mapping[str, Any]) -> str:
    """Return the name of the score by which models of a table are compared."""
    return "brier" if result["task"] == "classification" else "crps"


def standings(by_method: ByMethod) -> dict[str, Difference]:
    """Return how far each model is behind the best of those that failed on no split, and NaN for the others."""
    whole = {
        method: results
        for method, results in by_method.items()
        if not any("failed" in result for result in results)
    }
    nothing = Difference(np.nan, np.nan)
    found = dict.fromkeys(by_method, nothing)
    if whole:
        found |= standing(whole, proper_score(next(iter(whole.values()))[0]))
    return found


def nll_ranks(by_method: ByMethod) -> dict[str, list[float]]:
    """Return method -> its rank in NLL on each split."""
    by_split: dict[int, dict[str, float]] = defaultdict(dict)
    for method, results in by_method.items():
        for result in results:
            if "failed" in result:
                by_split[result["split"]][method] = np.nan
            elif "nll" in result["scores"]:
                by_split[result["split"]][method] = number(result["scores"]["nll"])
    found: dict[str, list[float]] = defaultdict(list)
    for values in by_split.values():
        for method, rank in ranks(values).items():
            found[method].append(rank)
    return found


def ratios(by_method: ByMethod, method: str, other: str, figure: Callable[[Result], float]) -> list[float]:
    """Return a positive figure of a model over that of another, of each split at which neither failed."""
    first, second = (
        {r["split"]: figure(r) for r in by_method.get(name, ()) if "failed" not in r}
        for name in (method, other)
    )
    return [first[split] / second[split] for split in first if first[split] > 0 and second.get(split, 0) > 0]


def cost(result: Result) -> float:
    """Return the core-seconds of a result."""
    return float(result["core_seconds"])


def loss(result: Result) -> float:
    """Return the CRPS or the Brier score of a result; NaN for what was stored as not a number."""
    return number(result["scores"][proper_score(result)])


def number(value: float | None) -> float:
    """Return a stored number: null stands for one that is not finite."""
    return np.nan if value is None else value
