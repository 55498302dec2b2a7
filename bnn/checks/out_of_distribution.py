"""Does the model know what it does not know? Its uncertainty at inputs unlike the training data.

Test rows are set against out-of-distribution inputs, and a model is asked to tell the two apart by how unsure it is:
the area under the ROC curve (AUROC) is the probability that such an input has the larger uncertainty, 1/2 where the
model knows nothing (Hendrycks & Gimpel 2017). How far out they are is fixed here, in standard deviations of the
training rows.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from bnn.core.settings import LikelihoodSettings
from bnn.data.dataset import Dataset
from bnn.evaluation.bootstrap import LEVEL, difference, row_weights
from bnn.evaluation.ranking import auroc
from bnn.evaluation.reference_forecasts import network_mixture, network_theta
from bnn.model.categorical import softmax
from bnn.model.network import Network, outputs
from bnn.posterior.predictive import class_summary, entropy, mixture_log_density, predict_grid, target_summary
from bnn.posterior.predictor import Predictor

NOISE_SD = 2.0
SHIFT = 3.0
MARGIN = 1.0
"""Ranges of the training rows by which uniform inputs reach beyond them on either side."""

MIN_ROWS, MAX_ROWS = 200, 400
N_DIRECTIONS = 40
"""Directions in which rows are shifted: how well a model does depends on the direction more than on the rows."""

N_REPLICATES = 500
_HOLE_POINTS = 41
_HOLE_LEVEL = 0.9


class Inputs(NamedTuple):
    """Inputs of one kind."""

    name: str
    description: str
    x: np.ndarray
    """(obs, input), standardised"""
    y: np.ndarray | None
    """(obs,): class indices or standardised targets of the rows they were made from; None if of none"""
    row: np.ndarray | None = None
    """(obs,): index of the test row each was made from; None if of none"""
    direction: np.ndarray | None = None
    """(obs,): index of the direction in which each was moved; None if each has its own noise"""


class Uncertainty(NamedTuple):
    """What a model says about inputs."""

    score: np.ndarray
    """(obs,): predictive entropy in nats, or predictive standard deviation in the target's unit"""
    nll: float | None
    """Mean negative log density or probability of y in nats; None without y"""


def make_inputs(dataset: Dataset, rng: np.random.Generator) -> list[Inputs]:
    """Return the test rows, at most `MAX_ROWS` of them, and then out-of-distribution inputs of each kind.

    Parameters
    ----------
    dataset
        The table.
    rng
        Draws them.
    """
    rows = np.arange(len(dataset.x_test))
    if len(rows) > MAX_ROWS:
        rows = np.sort(rng.permutation(len(rows))[:MAX_ROWS])
    x, y = dataset.x_test[rows], dataset.y_test[rows]
    # Few test rows are used several times, each time with other noise.
    copies = np.tile(np.arange(len(rows)), max(1, -(-MIN_ROWS // len(rows))))
    noised = x[copies] + NOISE_SD * rng.standard_normal((len(copies), x.shape[1]))
    # A direction moves few rows, so that many directions cost no more than the other kinds.
    n_moved = min(len(rows), MAX_ROWS // N_DIRECTIONS)
    moved = np.concatenate([rng.permutation(len(rows))[:n_moved] for _ in range(N_DIRECTIONS)])
    direction = np.repeat(np.arange(N_DIRECTIONS), n_moved)
    sides = rng.choice([-SHIFT, SHIFT], size=(N_DIRECTIONS, x.shape[1]))
    low, high = dataset.x_train.min(axis=0), dataset.x_train.max(axis=0)
    reach = MARGIN * (high - low)
    uniform = rng.uniform(low - reach, high + reach, size=(len(copies), x.shape[1]))
    shifted = x[moved] + sides[direction]
    if dataset.has_exposure:
        # No input of the network: rows keep theirs, or it would say how uncertain they are, whatever the inputs.
        for others, of in ((noised, copies), (shifted, moved), (uniform, copies)):
            others[:, -1] = x[of, -1]
    return [
        Inputs("test rows", "test rows as they are", x, y),
        Inputs(
            "noised",
            f"test rows with normal noise of {NOISE_SD:g} standard deviations added to every feature",
            noised,
            y[copies],
            copies,
        ),
        Inputs(
            "shifted",
            f"test rows with every feature moved by {SHIFT:g} standard deviations, up or down, in "
            f"{N_DIRECTIONS} random directions of {n_moved} random rows each",
            shifted,
            y[moved],
            moved,
            direction,
        ),
        Inputs(
            "uniform",
            "uniform in a box three times as wide as the training rows' range of every feature",
            uniform,
            None,
        ),
    ]


def out_of_distribution(
    dataset: Dataset,
    predictor: Predictor,
    theta: np.ndarray,
    network: Network,
    references: Mapping[str, np.ndarray],
    likelihood: LikelihoodSettings,
    rng: np.random.Generator,
) -> tuple[dict[str, Any], dict[str, dict[str, np.ndarray]]]:
    """Score how well each model tells out-of-distribution inputs from test rows.

    Parameters
    ----------
    dataset
        The table.
    predictor, theta
        Of the Bayesian network; theta (chain, draw, param).
    network
        Of the baseline networks.
    references
        Variables of the file of `bnn.baselines.reference.fit_references`.
    likelihood
        Settings of the run.
    rng
        Draws inputs, and rows of the bootstrap.

    Returns
    -------
    summary
        What goes into checks.json.
    scores
        Model -> kind of inputs -> uncertainty of each, (obs,).
    """
    inside, *outside = make_inputs(dataset, rng)
    found = {
        kind.name: {
            "bnn": _posterior_uncertainty(dataset, predictor, theta, kind),
            **{
                model: _network_uncertainty(dataset, network, references, model, likelihood, kind)
                for model in ("baseline", "ensemble")
            },
        }
        for kind in (inside, *outside)
    }
    n_rows = len(inside.x)
    weights = np.concatenate(list(row_weights(n_rows, N_REPLICATES, rng)))
    kinds = []
    for kind in outside:
        there_weights = input_weights(kind, weights, rng)
        models: dict[str, dict[str, Any]] = {}
        drawn = {}
        for model, there in found[kind.name].items():
            here = found[inside.name][model]
            value, drawn[model] = told_apart(here.score, there.score, weights, there_weights)
            models[model] = {
                "auroc": value,
                **{
                    name: number
                    for name, number in difference(value, drawn[model]).items()
                    if name != "value"
                },
                "nll": there.nll,
                "score_inside": float(here.score.mean()),
                "score_outside": float(there.score.mean()),
            }
        differences = {
            other: difference(models["bnn"]["auroc"] - models[other]["auroc"], drawn["bnn"] - drawn[other])
            for other in ("baseline", "ensemble")
        }
        entry = {"name": kind.name, "description": kind.description, "n_rows": len(kind.x)}
        kinds.append({**entry, "models": models, "differences": differences})
    is_class = dataset.task == "classification"
    summary = {
        "score": "predictive entropy" if is_class else "predictive standard deviation",
        "n_rows": n_rows,
        "level": LEVEL,
        "n_replicates": N_REPLICATES,
        "kinds": kinds,
    }
    models_of = {
        model: {name: each[model].score for name, each in found.items()} for model in found["noised"]
    }
    return summary, models_of


def input_weights(kind: Inputs, weights: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return the weights of out-of-distribution inputs in replicates, (replicate, obs); they sum to 1.

    What was made from a test row is drawn together with it; directions are drawn as well, and the weight of an input
    is the product of both (Owen 2007).

    Parameters
    ----------
    kind
        The inputs.
    weights
        Weights of the test rows in the same replicates, (replicate, row).
    rng
        Draws the directions, and inputs that were made from no row.
    """
    if kind.row is None:
        return np.concatenate(list(row_weights(len(kind.x), len(weights), rng)))
    found = weights[:, kind.row]
    if kind.direction is not None:
        n_directions = int(kind.direction.max()) + 1
        drawn = np.concatenate(list(row_weights(n_directions, len(weights), rng)))
        found = found * drawn[:, kind.direction]
    return found / found.sum(axis=1, keepdims=True)


def told_apart(
    inside: np.ndarray, outside: np.ndarray, weights_inside: np.ndarray, weights_outside: np.ndarray
) -> tuple[float, np.ndarray]:
    """Return the AUROC with which scores tell outside inputs from inside ones, and its replicates (replicate,).

    Parameters
    ----------
    inside, outside
        Scores, (n,) and (m,).
    weights_inside, weights_outside
        Weights of replicates, (replicate, n) and (replicate, m).
    """
    is_outside = np.repeat([False, True], [len(inside), len(outside)])
    weights = np.hstack([weights_inside, weights_outside])
    as_they_are = np.ones((1, len(is_outside)))
    found = auroc(np.concatenate([inside, outside]), is_outside, np.vstack([as_they_are, weights]))
    return float(found[0]), found[1:]


def _posterior_uncertainty(
    dataset: Dataset, predictor: Predictor, theta: np.ndarray, kind: Inputs
) -> Uncertainty:
    shape = theta.shape[:2]
    blocks = list(predictor.stream(theta.reshape(-1, theta.shape[-1]), kind.x, kind.y))
    nll = None
    if kind.y is not None:
        density = np.concatenate([np.asarray(block.log_density) for block in blocks])
        nll = -float(mixture_log_density(density.reshape(*shape, -1)).mean())
    value = np.concatenate([block.value for block in blocks])
    value = value.reshape(shape + value.shape[1:])
    if dataset.task == "classification":
        return Uncertainty(class_summary(value).total, nll)
    noise = np.concatenate([np.asarray(block.noise_sd) for block in blocks]).reshape(*shape, -1)
    summary = target_summary(value, noise if predictor.noise_varies else noise[..., 0])
    return Uncertainty(np.sqrt(summary.total), nll)


def _network_uncertainty(
    dataset: Dataset,
    network: Network,
    references: Mapping[str, np.ndarray],
    model: str,
    likelihood: LikelihoodSettings,
    kind: Inputs,
) -> Uncertainty:
    if dataset.task == "classification":
        found = outputs(network, network_theta(references, model), kind.x)
        probability = softmax(found.swapaxes(1, 2)).mean(axis=0)
        nll = None
        if kind.y is not None:
            with np.errstate(divide="ignore"):
                nll = -float(np.log(probability[np.arange(len(kind.y)), kind.y]).mean())
        return Uncertainty(entropy(probability), nll)
    mixture = network_mixture(references, model, network, kind.x, dataset, likelihood)
    nll = None
    if kind.y is not None:
        nll = -float(mixture.log_density(dataset.target_mean + dataset.target_scale * kind.y).mean())
    return Uncertainty(mixture.sd, nll)


def hole(
    dataset: Dataset,
    predictor: Predictor,
    theta: np.ndarray,
    network: Network,
    references: Mapping[str, np.ndarray],
    likelihood: LikelihoodSettings,
    rng: np.random.Generator,
) -> dict[str, Any] | None:
    """Return how wide the 90 % intervals are in the widest gap of the only feature, and at the training rows.

    None unless it is a regression on one feature. Parameters as of `out_of_distribution`.
    """
    if dataset.task != "regression" or len(dataset.feature_names) != 1:
        return None
    place = np.sort(dataset.x_train[:, 0])
    widest = int(np.argmax(np.diff(place)))
    quarter = (place[widest + 1] - place[widest]) / 4
    ends = place[widest] + quarter, place[widest + 1] - quarter
    inside = np.linspace(*ends, _HOLE_POINTS)[:, None]

    def widths(x: np.ndarray) -> dict[str, float]:
        grid = predict_grid(predictor, theta, x, levels=(_HOLE_LEVEL,), rng=rng)
        found = {"bnn": float((grid.upper - grid.lower).mean())}
        for model in ("baseline", "ensemble"):
            mixture = network_mixture(references, model, network, x, dataset, likelihood)
            lower, upper = mixture.intervals((_HOLE_LEVEL,))
            found[model] = float((upper - lower).mean())
        return found

    in_hole, at_data = widths(inside), widths(dataset.x_train)
    mean, scale = dataset.feature_mean[0], dataset.feature_scale[0]
    return {
        "lower": float(mean + scale * ends[0]),
        "upper": float(mean + scale * ends[1]),
        "models": {
            model: {
                "width_inside": in_hole[model],
                "width_data": at_data[model],
                "ratio": in_hole[model] / at_data[model],
            }
            for model in in_hole
        },
    }
