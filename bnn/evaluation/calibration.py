"""Do probabilities mean what they say? Reliability of classes, PIT and coverage of real targets, each with bands.

A band tells how far a perfectly calibrated model may be off by the chance of few rows alone.
"""

from typing import Any

import numpy as np

from bnn.core.settings import FALSE_ALARMS
from bnn.evaluation.forecasts import CURVE_LEVELS, TargetForecast
from bnn.evaluation.metrics import ECE_BINS, confidence_bins, coverage, mean_width
from bnn.posterior.predictive import predicted_class

LEVEL = 0.99
"""What the bands hold, each by itself."""

MARGIN = 0.02
"""Difference of shares that is never flagged: no model is exactly right, and many rows show the least fault."""

N_SIMULATED = 1000
_CELLS_AT_ONCE = 2**22
_MANY_ROWS = 100


def class_calibration(probability: np.ndarray, y: np.ndarray, rng: np.random.Generator) -> dict[str, Any]:
    """Return the reliability diagram and the expected calibration error (ECE), with what chance alone would give.

    If probabilities are right, the predicted class of a row is the true one with the probability that it was given.
    Tables drawn like this give the bands (consistency bars, Bröcker & Smith 2007) and the distribution of the ECE,
    which is positive even for a perfect model.

    Parameters
    ----------
    probability
        Shape (obs, class).
    y
        Class indices, (obs,).
    rng
        Draws the tables.
    """
    n_rows = len(y)
    confidence = probability.max(axis=1).astype(np.float64)
    member = np.eye(ECE_BINS)[confidence_bins(probability)]
    expected = confidence @ member
    right = (predicted_class(probability) == y).astype(float) @ member
    step = max(1, _CELLS_AT_ONCE // n_rows)
    sizes = [min(step, N_SIMULATED - start) for start in range(0, N_SIMULATED, step)]
    drawn = np.concatenate(
        [(rng.random((size, n_rows)) < confidence).astype(float) @ member for size in sizes]
    )
    ece, simulated = np.abs(right - expected).sum() / n_rows, np.abs(drawn - expected).sum(axis=1) / n_rows
    low, high = np.quantile(drawn, [0.5 - LEVEL / 2, 0.5 + LEVEL / 2], axis=0)
    usual = np.quantile(drawn.sum(axis=1), [FALSE_ALARMS / 2, 1 - FALSE_ALARMS / 2]) / n_rows
    mean = float(confidence.mean())
    count = member.sum(axis=0)
    edges = np.linspace(0.0, 1.0, ECE_BINS + 1)
    return {
        "level": LEVEL,
        "ece": float(ece),
        "ece_if_calibrated": float(simulated.mean()),
        # One more on either side: the table itself is one of those that a calibrated model may have made. Rounding must
        # not tell equal sums apart.
        "ece_p_value": float((1 + (simulated >= ece - 1e-12).sum()) / (1 + N_SIMULATED)),
        "confidence": mean,
        "accuracy": float(right.sum() / n_rows),
        "accuracy_if_calibrated": [
            max(min(float(usual[0]), mean - MARGIN), 0.0),
            min(max(float(usual[1]), mean + MARGIN), 1.0),
        ],
        "bins": [
            {
                "lower": float(edges[index]),
                "upper": float(edges[index + 1]),
                "n_rows": int(count[index]),
                "confidence": float(expected[index] / count[index]),
                "accuracy": float(right[index] / count[index]),
                "band_lower": float(low[index] / count[index]),
                "band_upper": float(high[index] / count[index]),
            }
            for index in np.flatnonzero(count)
        ],
    }


def target_calibration(forecast: TargetForecast, y: np.ndarray) -> dict[str, Any]:
    """Return the histogram of the probability integral transform (PIT) and the coverage of central intervals.

    If forecasts are right, the PIT is uniform (Dawid 1984) and the number of rows in a bin, or inside an interval,
    binomial.

    Parameters
    ----------
    forecast
        Predictive distributions.
    y
        Observed values, (obs,).
    """
    from scipy import stats  # slow to import, and classes do without it

    n_rows = len(y)
    n_bins = 10 if n_rows >= _MANY_ROWS else 5
    edges = np.linspace(0.0, 1.0, n_bins + 1)
    tail = 0.5 - LEVEL / 2
    levels = np.array(CURVE_LEVELS)
    low, high = (stats.binom.ppf(share, n_rows, levels) / n_rows for share in (tail, 1 - tail))
    test = stats.kstest(forecast.pit, "uniform")
    return {
        "level": LEVEL,
        "pit": {
            "edges": edges.tolist(),
            "n_rows": np.histogram(forecast.pit, edges)[0].tolist(),
            "band_lower": int(stats.binom.ppf(tail, n_rows, 1 / n_bins)),
            "band_upper": int(stats.binom.ppf(1 - tail, n_rows, 1 / n_bins)),
            "p_value": float(test.pvalue),
            # Where the test finds the largest gap: this share was expected below, and that one was observed.
            "expected": float(test.statistic_location),
            "observed": float(test.statistic_location + test.statistic_sign * test.statistic),
        },
        "coverage": [
            {
                "level": level,
                "coverage": coverage(
                    forecast.lower[index], forecast.upper[index], y, pit=forecast.pit, level=level
                ),
                "band_lower": float(low[index]),
                "band_upper": float(high[index]),
                "width": mean_width(forecast.lower[index], forecast.upper[index]),
            }
            for index, level in enumerate(CURVE_LEVELS)
        ],
    }


def usual_coverage(level: float, n_rows: int) -> tuple[float, float]:
    """Return between which shares of rows the intervals of a calibrated model hold.

    These are the shares that the exact two-sided binomial test does not reject at `FALSE_ALARMS` (a share is as extreme
    as all that are no more probable), and those within `MARGIN` of the level. The test takes rows for independent.

    Parameters
    ----------
    level
        What the intervals promise.
    n_rows
        Of how many rows.
    """
    from scipy import stats

    hits = np.arange(n_rows + 1)
    probability = stats.binom.pmf(hits, n_rows, level)
    order = np.argsort(probability, kind="stable")
    ordered = probability[order]
    # Of equal probabilities each counts the other: rounding must not tell them apart.
    last = np.searchsorted(ordered, ordered * (1 + 1e-7), side="right") - 1
    p_value = np.empty(n_rows + 1)
    p_value[order] = np.cumsum(ordered)[last]
    share = hits / n_rows
    usual = share[(p_value >= FALSE_ALARMS) | (np.abs(share - level) <= MARGIN)]
    return float(usual.min()), float(usual.max())
