"""What each figure shows and how to read it: a caption for all, and a text for those who cannot see it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bnn.report import formatting
from bnn.report.tables import METRICS, headline, score


@dataclass(frozen=True)
class FigureText:
    """Title, caption (how to read it) and alternative text (what it shows) of a figure; and where it belongs.

    `part` is "predictions" or "sampler".
    """

    title: str
    caption: str
    alt: str
    part: str


def figure_texts(diagnostics: Mapping[str, Any], metrics: Mapping[str, Any]) -> dict[str, FigureText]:
    """Texts of every figure of `bnn.plots`, in the order of reading; alternative texts name results."""
    n_test = formatting.count(metrics["n_test"])
    n_warmup = formatting.count(diagnostics["n_warmup"])
    best = headline(metrics)
    entry = metrics["models"]["bnn"]["test"].get(best)
    result = f"BNN, {METRICS[best].label} {score(entry, METRICS[best])} on {n_test} test rows"
    log_density = diagnostics["log_density"]
    agreement = (
        f"{diagnostics['n_chains']} chains, R-hat {formatting.rhat(log_density['rhat'])}, "
        f"bulk ESS {formatting.count(log_density['ess_bulk'])}"
    )
    worst = diagnostics["predictions"]["test"]
    smallest = formatting.count(worst["ess_bulk_min"])
    extremes = f"worst R-hat is {formatting.rhat(worst['rhat_max'])}, the smallest ESS {smallest}"
    return {
        "reliability": FigureText(
            "Is the confidence right?",
            "When a model is 80 % sure, it should be right 80 % of the time: points on the diagonal are "
            "calibrated, points below it are too sure, points above it not sure enough. Bars are 90 % "
            "intervals of the BNN for the chance of few rows; a bar that meets the diagonal is no evidence "
            "against calibration. The lower panel counts the rows behind each point.",
            f"Reliability diagram: share of right predictions against confidence, for the {result}.",
            "predictions",
        ),
        "uncertainty": FigureText(
            "What makes a row uncertain?",
            "Each point is a test row. Aleatoric uncertainty (to the right) stems from classes that "
            "overlap; more data would not remove it. Epistemic uncertainty (upwards) stems from networks "
            "that fit the data and still disagree; more data near the row would reduce it. Wrong "
            "predictions should lie where one of them is large.",
            f"Aleatoric against epistemic uncertainty of {n_test} test rows; right and wrong ones differ.",
            "predictions",
        ),
        "band": FigureText(
            "How sure is it between and beyond the data?",
            "Half of new observations should fall into the dark band, nine in ten into the light one. The "
            "bands should widen where there are no training data; the baseline gives no such warning.",
            "Predicted mean with 50 % and 90 % bands along the feature, over the training data.",
            "predictions",
        ),
        "prediction_intervals": FigureText(
            "Do the intervals hold what they promise?",
            "Each bar is the 90 % interval for a new observation, each dot what was observed. About one dot "
            "in ten should fall outside (crosses), at either end and anywhere along the axis.",
            f"90 % prediction intervals and observed values, sorted by predicted mean, for the {result}.",
            "predictions",
        ),
        "observed_predicted": FigureText(
            "How close are the predictions?",
            "A perfect prediction lies on the diagonal. A cloud flatter than the diagonal is a model that "
            "exaggerates; points far off are rows to look at.",
            f"Observed against predicted values of the models, for the {result}.",
            "predictions",
        ),
        "log_density_trace": FigureText(
            "Did the chains settle?",
            "Each line is a chain. After the warm-up (shaded, not kept) all lines should mix in one level "
            "band; a line that drifts, jumps or runs apart from the others has not converged.",
            f"Log density against iteration, after {n_warmup} iterations of warm-up: {agreement}.",
            "sampler",
        ),
        "log_density_rank": FigureText(
            "Do the chains agree?",
            "The log densities of all chains are ranked together. If the chains sample the same "
            "distribution, every histogram is level, near its dashed line; a slope is a chain that stays "
            "too low or too high.",
            f"Histogram of the ranks of the log density for each chain: {agreement}.",
            "sampler",
        ),
        "convergence": FigureText(
            "Do the predictions agree between chains?",
            "R-hat compares chains (1: no difference), the effective sample size (ESS) says how many "
            "independent draws the correlated ones are worth. All of the distribution should lie left of "
            "the limit for R-hat and right of the limit for ESS. A limit far from all values is not drawn.",
            f"Distributions of R-hat and bulk ESS over predictions; on test rows the {extremes}.",
            "sampler",
        ),
    }
