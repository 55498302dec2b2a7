"""What each figure shows and how to read it: a caption for all, and a text for those who cannot see it.

Snakemake's own report shows the same captions: after a change here, run `python -m bnn.report.rst`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bnn.core import formatting
from bnn.report.table import METRICS, headline, score


@dataclass(frozen=True)
class Caption:
    """Part of the page where a figure belongs, its title, and how to read it."""

    part: str
    title: str
    text: str


@dataclass(frozen=True)
class FigureText:
    """A caption, and the alternative text: what the figure of this dataset shows."""

    part: str
    title: str
    caption: str
    alt: str


CAPTIONS = {
    "along_time": Caption(
        "predictions",
        "How does the forecast go along with what came?",
        "Test rows in the order of time, each forecast from what was known so many steps before. Half of the dots "
        "should lie in the dark band and nine in ten in the light one, at any time: crosses in a row are a stretch of "
        "time that the training rows, whose end is drawn grey, did not prepare the model for.",
    ),
    "band": Caption(
        "predictions",
        "How sure is it between and beyond the data?",
        "Half of new observations should fall into the dark band, nine in ten into the light one. The bands "
        "should widen where there are no training data; the ordinary network gives no such warning.",
    ),
    "prediction_intervals": Caption(
        "predictions",
        "Do the intervals hold what they promise?",
        "Each bar is the 90 % interval for a new observation, each dot what was observed. About one dot in ten "
        "should fall outside (crosses), at either end and anywhere along the axis.",
    ),
    "observed_predicted": Caption(
        "predictions",
        "How close are the predictions?",
        "A perfect prediction lies on the diagonal. A cloud flatter than the diagonal is a model that "
        "exaggerates; points far off are rows to look at.",
    ),
    "reliability": Caption(
        "calibration",
        "Is the confidence right?",
        "Rows to which a model gives a probability of four in five should be right four times in five: points on "
        "the diagonal are calibrated, points below it are too sure, points above it not sure enough. The band "
        "holds what chance alone would do to a calibrated model on so few rows. The lower panel counts the rows "
        "of each point.",
    ),
    "pit": Caption(
        "calibration",
        "Is the spread right?",
        "Where in its predicted distribution did each observation fall? Of a calibrated model the histogram is "
        "level, within the band. A hump in the middle is a model that is too unsure, a valley one that is too "
        "sure, a slope one that predicts too high or too low.",
    ),
    "coverage": Caption(
        "calibration",
        "How many observations does each interval hold?",
        "The share of test rows inside an interval against what the interval promises. Points on the diagonal are "
        "calibrated; below it intervals are too narrow, above it too wide. The band is what chance alone allows.",
    ),
    "uncertainty": Caption(
        "unsure",
        "What makes a row uncertain?",
        "Each point is a test row. Aleatoric uncertainty is noise or overlap in the data; more data would not "
        "remove it. Epistemic uncertainty (upwards) stems from networks that fit the data and still disagree; "
        "more data near the row would reduce it. Wrong predictions should lie where one of them is large.",
    ),
    "out_of_distribution": Caption(
        "unsure",
        "Does it know what it does not know?",
        "How well the uncertainty of each model tells test rows from inputs unlike any that it was trained on: "
        "noised, shifted in many directions, or drawn at random. An AUROC of 1 is perfect, 0.5 is chance; below "
        "that a model is surer of what it has never seen.",
    ),
    "posterior_predictive": Caption(
        "model",
        "Could the model have made these data?",
        "The fitted model makes new targets for the training rows, again and again. What was observed should lie "
        "within the spread of what it makes; where p is near 0 or 1 the model misses that feature of the data.",
    ),
    "prior_predictive": Caption(
        "model",
        "What does the prior believe?",
        "The same before any data: networks drawn from the prior make the targets. The observed value should be "
        "possible, and need not be likely.",
    ),
    "prior_sensitivity": Caption(
        "model",
        "Does the result hang on the prior?",
        "NLL of the test rows with all prior scales of weights and biases multiplied by a factor. If the "
        "differences are small beside the error of the score over rows, the data decide and not the choice of the "
        "prior. Where the draws cannot be reweighted the factor is left open, and only the slope at the prior as it "
        "is says something; a second dataset with other scales in its prior runs the chains under that prior.",
    ),
    "loo_pareto_k": Caption(
        "model",
        "Which rows sway the posterior?",
        "Pareto k of each training row: how much the posterior would change without it. Above the dashed line "
        "leave-one-out is unreliable for that row. If it is a few rows, look whether they are outliers or errors; if "
        "it is a large share of all, the model is so flexible that each row sways it, and leave-one-out cannot be "
        "estimated from these draws.",
    ),
    "log_density_trace": Caption(
        "sampler",
        "Did the chains settle?",
        "Each line is a chain. After the warm-up (shaded, not kept) all lines should mix in one level band; a "
        "line that drifts, jumps or runs apart from the others has not converged.",
    ),
    "log_density_rank": Caption(
        "sampler",
        "Do the chains agree?",
        "The log densities of all chains are ranked together. If the chains sample the same distribution, every "
        "histogram is level, near its dashed line; a slope is a chain that stays too low or too high.",
    ),
    "convergence": Caption(
        "sampler",
        "Do the predictions agree between chains?",
        "R-hat compares chains (1: no difference), the effective sample size (ESS) says how many independent "
        "draws the correlated ones are worth. All of the distribution should lie left of the limit for R-hat and "
        "right of the limit for ESS. A limit far from all values is not drawn.",
    ),
    "worst_points": Caption(
        "sampler",
        "For which rows do the chains disagree most?",
        "R-hat and bulk ESS of the prediction at every row, worst first; crosses are beyond the limit (dashed), "
        "and the worst rows are named by their number in the source. A few rows far from the rest are rows of "
        "which only some chains have learned something.",
    ),
    "acceptance": Caption(
        "sampler",
        "Were the moves of the right size?",
        "Above, the share of moves that each chain accepted along the run; it should stay near its target, and a "
        "fall to 0 is a chain that is stuck. Below, the step size: warm-up tunes it, and then it stays.",
    ),
    "energy": Caption(
        "sampler",
        "Do the moves reach all of the posterior?",
        "How far the log density moves from draw to draw, beside how far it spreads in all. If the first is much "
        "narrower, chains wander slowly between probable and improbable networks. The number of each chain would "
        "be two for independent draws, and near 0 for a chain that hardly moves.",
    ),
    "chain_agreement": Caption(
        "sampler",
        "Does each chain predict the same?",
        "Predictions of each chain by itself against those of all. Points on one line are chains that tell the "
        "same story; a chain off the line has found another one.",
    ),
}
"""Figure of `bnn.plots` -> caption, in the order of reading. No number of a result stands here."""


def figure_texts(diagnostics: Mapping[str, Any], metrics: Mapping[str, Any]) -> dict[str, FigureText]:
    """Texts of every figure, in the order of reading; alternative texts name results."""
    n_test = formatting.count(metrics["n_test"])
    best = headline(metrics)
    entry = metrics["models"]["bnn"]["test"].get(best)
    result = f"{METRICS[best].label} of the BNN: {score(entry, METRICS[best])} on {n_test} test rows"
    log_density, worst = diagnostics["log_density"], diagnostics["predictions"]["test"]
    of_chains = (
        f"{diagnostics['n_chains']} chains; R-hat of the log density {formatting.rhat(log_density['rhat'])}, "
        f"bulk ESS {formatting.count(log_density['ess_bulk'])}"
    )
    of_predictions = (
        f"on test rows the worst R-hat is {formatting.rhat(worst['rhat_max'])}, the smallest ESS "
        f"{formatting.count(worst['ess_bulk_min'])}"
    )
    shows = {
        "along_time": f"Forecasts with their intervals along time, and observed values. {result}.",
        "band": "Predicted mean with bands for half and nine tenths of new observations, over the training data.",
        "prediction_intervals": f"90 % intervals and observed values, sorted by prediction. {result}.",
        "observed_predicted": f"Observed against predicted values of all models. {result}.",
        "reliability": f"Share of right predictions against confidence, for all models. {result}.",
        "pit": f"Histogram of where {n_test} observations fell in their predicted distributions.",
        "coverage": f"Share of {n_test} observations inside intervals, against what the intervals promise.",
        "uncertainty": f"Aleatoric and epistemic uncertainty of {n_test} test rows; right and wrong ones differ.",
        "out_of_distribution": "AUROC of the uncertainty of each model for three kinds of strange inputs.",
        "posterior_predictive": "Statistics of targets that the fitted model makes, beside the observed ones.",
        "prior_predictive": "Statistics of targets that the prior makes, beside the observed ones.",
        "prior_sensitivity": "Test scores of the BNN against the factor on the scales of the prior.",
        "loo_pareto_k": "Pareto k of every training row, with the limit of what is reliable.",
        "log_density_trace": f"Log density against iteration, warm-up included, of {of_chains}.",
        "log_density_rank": f"Histogram of the ranks of the log density for each of {of_chains}.",
        "convergence": f"Distributions of R-hat and bulk ESS over predictions; {of_predictions}.",
        "worst_points": f"Rows with the largest R-hat of their prediction; {of_predictions}.",
        "acceptance": f"Acceptance rate along the run of {of_chains}.",
        "energy": f"Spread of the log density and of its steps, for each of {of_chains}.",
        "chain_agreement": f"Predictions of each chain against those of all; {of_predictions}.",
    }
    return {
        name: FigureText(caption.part, caption.title, caption.text, shows[name])
        for name, caption in CAPTIONS.items()
    }
