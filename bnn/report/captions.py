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
    "differences": Caption(
        "answer",
        "Is it better than other models?",
        "The BNN minus each other model on the test rows, with the interval of the difference. Blue, right of the "
        "line: the BNN is better. Orange, left: worse. Grey intervals cross the line: not told apart.",
    ),
    "reliability": Caption(
        "answer",
        "Is it as sure as it is right?",
        "How often rows are right against how sure the model is of them. Inside the band: calibrated, as far as so few "
        "rows can tell. Below it: too sure; above: not sure enough.",
    ),
    "coverage": Caption(
        "answer",
        "Is it as sure as it is right?",
        "Share of test rows inside an interval against what it is to hold. Inside the band: calibrated. Below it "
        "intervals are too narrow, above too wide.",
    ),
    "classes": Caption(
        "answer",
        "What does it predict?",
        "Above, test rows by true and predicted class; off the diagonal they are wrong. Below, how probable each "
        "row's true class was to the BNN: far right is sure and right.",
    ),
    "along_time": Caption(
        "answer",
        "What does it predict?",
        "Test rows in the order of time, each forecast from what was known so many steps before. Half of the dots "
        "should lie in the dark band, nine in ten in the light one; crosses lie outside.",
    ),
    "band": Caption(
        "answer",
        "What does it predict?",
        "Half of new observations should fall into the dark band, nine in ten into the light one. The bands should "
        "widen where there are no training data.",
    ),
    "observed_predicted": Caption(
        "answer",
        "What does it predict?",
        "Each dot is a test row, on its 90 % interval; a perfect prediction lies on the diagonal. About one dot in "
        "ten should be a cross, outside of its interval.",
    ),
    "effects": Caption(
        "effects",
        "Which columns matter?",
        "How much worse the prediction of the test rows gets when a column is shuffled, with two standard errors. "
        "Of columns that touch the line these rows do not show that they matter; ten are drawn.",
    ),
    "partial_dependence": Caption(
        "effects",
        "In which direction?",
        "What the BNN predicts on average when the column has that value in every row, with a 90 % band over "
        "posterior draws.",
    ),
    "out_of_distribution": Caption(
        "unsure",
        "Does it know what it does not know?",
        "How well uncertainty tells test rows from out-of-distribution inputs: noised, shifted or random. AUROC "
        "1 is perfect, at the dashed line it is chance.",
    ),
    "density": Caption(
        "model",
        "Could the model have made these data?",
        "The observed training targets (dark) beside those that the fitted model makes (blue). Where dark ones leave "
        "the blue ones, the model misses a feature of the data.",
    ),
    "pit": Caption(
        "model",
        "Is the spread right?",
        "Where each observation fell in its predicted distribution (PIT), minus what a calibrated model would "
        "show. The whole line should lie in the band.",
    ),
    "posterior_predictive": Caption(
        "model",
        "Does the model make data like these?",
        "Statistics of targets that the fitted model makes for the training rows, beside the observed ones (shaded "
        "where they differ by draw, as residuals do). Where p is near 0 or 1 the model misses that feature.",
    ),
    "prior_sensitivity": Caption(
        "model-folded",
        "Does the result hang on the prior?",
        "NLL of the test rows with all prior scales multiplied by a factor; where draws cannot be reweighted the "
        "factor is left open. Differences that are small beside the error of the score: the data decide.",
    ),
    "loo_pareto_k": Caption(
        "model-folded",
        "Which rows sway the posterior?",
        "Pareto k of each training row. Above the dashed line leave-one-out is unreliable for the row: a few may be "
        "outliers or errors, many mean a flexible model.",
    ),
    "log_density_trace": Caption(
        "sampler",
        "Did the chains settle?",
        "After the warm-up (shaded, not kept) all chains should mix in one level band. A line that drifts, jumps or "
        "runs apart has not converged.",
    ),
    "log_density_rank": Caption(
        "sampler",
        "Do the chains agree?",
        "Ranks of each chain's log density among all, minus what equal chains would show. All lines should stay in "
        "the band, if there is one; single predictions may disagree all the same.",
    ),
    "worst_points": Caption(
        "sampler-folded",
        "For which rows do the chains disagree most?",
        "R-hat and bulk ESS of the prediction at every row, worst first; crosses are beyond the limit (dashed).",
    ),
    "acceptance": Caption(
        "sampler-folded",
        "Were the steps of the right size?",
        "Above, the share of proposals that a chain accepted; it should be near the target (dashed). Below, the step "
        "size: warm-up tunes it, and then it stays.",
    ),
    "energy": Caption(
        "sampler-folded",
        "Do the chains reach all of the posterior?",
        "How far the log density moves from draw to draw, beside its spread. The number of each chain would be two "
        "for independent draws, near 0 for a chain that crawls.",
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
        "differences": f"Differences between the BNN and each other model, with intervals. {result}.",
        "reliability": f"Share of right predictions against confidence, BNN and baseline network. {result}.",
        "coverage": f"Share of {n_test} observations inside intervals, against what the intervals promise.",
        "classes": f"Confusion matrix, and probability given to the true class of each row. {result}.",
        "along_time": f"Forecasts with their intervals along time, and observed values. {result}.",
        "band": "Predicted mean with bands for half and nine tenths of new observations, over the training data.",
        "observed_predicted": f"Observed against predicted values, with 90 % intervals. {result}.",
        "effects": "Loss of accuracy of the predictions when each column is shuffled, largest first.",
        "partial_dependence": "Mean prediction against the value of the columns that matter most, with bands.",
        "out_of_distribution": "AUROC of the uncertainty of each model for three kinds of out-of-distribution inputs.",
        "density": "Distribution of the observed targets beside those of targets that the fitted model makes.",
        "pit": f"Distribution of where {n_test} observations fell in their predictions, minus the uniform one.",
        "posterior_predictive": "Statistics of targets that the fitted model makes, beside the observed ones.",
        "prior_sensitivity": "Test scores of the BNN against the factor on the scales of the prior.",
        "loo_pareto_k": "Pareto k of every training row, with the limit of what is reliable.",
        "log_density_trace": f"Log density against iteration, warm-up included, of {of_chains}.",
        "log_density_rank": f"Ranks of the log density, minus what equal chains would show, of {of_chains}.",
        "worst_points": f"Rows with the largest R-hat of their prediction; {of_predictions}.",
        "acceptance": f"Acceptance rate and its target along the run of {of_chains}.",
        "energy": f"Spread of the log density and of its steps, for each of {of_chains}.",
    }
    return {
        name: FigureText(caption.part, caption.title, caption.text, shows[name])
        for name, caption in CAPTIONS.items()
    }
