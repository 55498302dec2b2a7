"""Scores of one table on several random splits: means, and how far they would move with other splits."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from scipy.special import stdtrit

from bnn.evaluation.metrics import BIASED

LEVEL = 0.95
"""What the intervals of differences hold."""

_NO_INTERVAL = {"lower": math.nan, "upper": math.nan}


def summarise(
    name: str, metrics: Sequence[Mapping[str, Any]], diagnostics: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    """Return means over splits of every score on test rows, and of the BNN's paired differences from other models.

    Parameters
    ----------
    name
        Name of the dataset in the config.
    metrics, diagnostics
        Contents of metrics.json and diagnostics.json of each split, two or more.

    Returns
    -------
    dict
        What goes into repeats.json; docs/reference/results.md says what each key holds.
    """
    first = metrics[0]
    shares = [found["n_test"] / found["n_train"] for found in metrics]
    return {
        "dataset": name,
        "task": first["task"],
        "target_unit": first["target_unit"],
        "n_repeats": len(metrics),
        "runs": [found["dataset"] for found in metrics],
        "verdicts": dict(Counter(found["verdict"] for found in diagnostics)),
        "models": {
            model: {
                score: mean_over_splits([found["models"][model]["test"][score]["value"] for found in metrics])
                for score in scores["test"]
            }
            for model, scores in first["models"].items()
        },
        "without_density": first["without_density"],
        "differences": {
            other: {
                score: paired_difference(
                    [found["differences"][other][score]["value"] for found in metrics], float(np.mean(shares))
                )
                | (_NO_INTERVAL if score in BIASED else {})
                for score in scores
            }
            for other, scores in first["differences"].items()
        },
        "level": LEVEL,
    }


def mean_over_splits(values: Sequence[float | None]) -> dict[str, float]:
    """Return as `value` the mean of a score over splits, and its standard error `se`; NaN if one is missing."""
    found = np.array([math.nan if value is None else value for value in values])
    return {"value": float(found.mean()), "se": float(found.std(ddof=1) / math.sqrt(len(found)))}


def paired_difference(values: Sequence[float | None], test_over_train: float) -> dict[str, float]:
    """Return `value` and `se` as above, and the ends `lower` and `upper` of an interval that allows for the overlap.

    Any two splits share most of their train rows, so that scores on them are not independent and their standard error
    is too small to judge a difference by. The interval is Student's with the variance of the mean corrected for that:
    (1 / splits + test rows / train rows) times the variance over splits (Nadeau & Bengio 2003).

    Parameters
    ----------
    values
        The difference on each split.
    test_over_train
        Number of test rows over number of train rows.
    """
    entry = mean_over_splits(values)
    n = len(values)
    half = float(stdtrit(n - 1, 0.5 + LEVEL / 2)) * entry["se"] * math.sqrt(1 + n * test_over_train)
    return entry | {"lower": entry["value"] - half, "upper": entry["value"] + half}
