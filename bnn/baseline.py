"""What the Bayesian network is compared with: the same network trained by Adam, and a linear model.

Both see the same training rows and standardisation as the chains, and are judged on the same test rows in the
same units.
"""

import time
from dataclasses import dataclass
from typing import Any

import numpy as np

from bnn.datasets import Dataset
from bnn.layout import ParameterLayout
from bnn.likelihoods import Categorical, Gaussian, Likelihood, softmax
from bnn.network import Network
from bnn.optimize import AdamState, adam_step, start_adam


@dataclass(frozen=True)
class BaselineSettings:
    """How to train the frequentist network. There are no defaults here: they live in the config.

    Parameters
    ----------
    learning_rate
        Step length of Adam.
    weight_decay
        Decoupled decay of the weights; biases are not decayed.
    batch_size
        Rows in a mini-batch.
    max_epochs
        Passes over the data at the most.
    patience
        Epochs without a better validation loss after which training stops.
    validation_size
        Part of the training rows set aside for early stopping and for the noise scale, in (0, 1).
    """

    learning_rate: float
    weight_decay: float
    batch_size: int
    max_epochs: int
    patience: int
    validation_size: float


@dataclass(frozen=True)
class TrainedNetwork:
    """The network, and how training went."""

    theta: np.ndarray
    """(param,): trained on all training rows for as many epochs as the validation rows found best"""
    stopped_theta: np.ndarray
    """(param,): the network that found this number, which has not seen the validation rows"""
    best_epoch: int
    train_loss: np.ndarray
    """(epoch,): mean negative log likelihood, nats a row"""
    validation_loss: np.ndarray
    """(epoch,)"""
    validation_rows: np.ndarray
    """Indices of the training rows that were set aside"""


def validation_rows(y: np.ndarray, *, size: float, stratify: bool, rng: np.random.Generator) -> np.ndarray:
    """Return the indices of the rows set aside for validation, sorted; with `stratify`, a share of every class.

    Raises
    ------
    ValueError
        If that leaves no row to train on, or none to validate on.
    """
    groups = [np.flatnonzero(y == value) for value in np.unique(y)] if stratify else [np.arange(len(y))]
    chosen = [rng.permutation(group)[: round(size * len(group))] for group in groups]
    rows = np.sort(np.concatenate(chosen))
    if not 0 < len(rows) < len(y):
        raise ValueError(
            f"baseline.validation_size {size} sets {len(rows)} of {len(y)} training rows aside: "
            "it must leave some to train on and some to validate on"
        )
    return rows


def _starting_weights(network: Network, layout: ParameterLayout, rng: np.random.Generator) -> np.ndarray:
    """Return weights of variance 1/inputs and zero biases (LeCun et al. 1998), shape (1, param)."""
    blocks = {
        name: rng.standard_normal(shape) / np.sqrt(shape[0]) if len(shape) == 2 else np.zeros(shape)
        for name, shape in network.parameter_shapes.items()
    }
    return layout.pack(blocks)[None]


def train(
    network: Network,
    x: np.ndarray,
    y: np.ndarray,
    *,
    n_classes: int | None,
    settings: BaselineSettings,
    rng: np.random.Generator,
) -> TrainedNetwork:
    """Train by mini-batch Adam with weight decay, stopped early, then again on all training rows.

    A first run finds the epoch of the smallest loss on a validation part of the training rows. A second one
    starts from the same weights and runs for so many epochs on all training rows, so that the network has
    seen as many as the chains (Goodfellow, Bengio & Courville 2016, algorithm 7.2).

    Parameters
    ----------
    network
        The architecture, the same as the chains'.
    x, y
        Training inputs (obs, input) and targets (obs,), standardised.
    n_classes
        Number of classes; None for regression, where the loss is half the squared error.
    settings
        How to train.
    rng
        Used for the validation part, the first weights and the order of the rows.
    """
    likelihood: Likelihood
    if n_classes is None:
        likelihood = Gaussian(noise_scale=1.0, log_noise_mean=0.0, log_noise_sd=1.0)
    else:
        likelihood = Categorical(n_classes)
    held_out = validation_rows(y, size=settings.validation_size, stratify=n_classes is not None, rng=rng)
    rows = np.setdiff1d(np.arange(len(y)), held_out)
    layout = ParameterLayout(network.parameter_shapes)
    theta = _starting_weights(network, layout, rng)
    decay = np.concatenate(
        [np.full(np.prod(s, dtype=int), float(len(s) == 2)) for s in layout.shapes.values()]
    )
    columns, target = network.columns(x), likelihood.encode(y)

    def mean_loss(theta: np.ndarray, part: np.ndarray) -> float:
        parameters = layout.unpack(theta)
        output = network.forward(parameters, x[part])
        return -float(likelihood.pointwise(output, target[..., part], parameters).mean())

    def mean_loss_grad(theta: np.ndarray, part: np.ndarray) -> np.ndarray:
        parameters = layout.unpack(theta)
        outputs = network.forward_layers(parameters, columns[:, part])
        _, output_grad, _ = likelihood.total_and_grad(outputs[-1], target[..., part], parameters)
        grad = np.zeros_like(theta)
        layout.add_to(grad, network.backward(parameters, outputs, output_grad))
        return -grad / len(part)

    def epoch(adam: AdamState, theta: np.ndarray, part: np.ndarray) -> tuple[AdamState, np.ndarray]:
        order = rng.permutation(part)
        for start in range(0, len(order), settings.batch_size):
            grad = mean_loss_grad(theta, order[start : start + settings.batch_size])
            adam, theta = adam_step(
                adam,
                theta,
                grad,
                learning_rate=settings.learning_rate,
                weight_decay=settings.weight_decay * decay,
            )
        return adam, theta

    first = theta
    adam, best, best_epoch = start_adam(theta), theta, 0
    train_loss, validation_loss = [mean_loss(theta, rows)], [mean_loss(theta, held_out)]
    for number in range(1, settings.max_epochs + 1):
        adam, theta = epoch(adam, theta, rows)
        train_loss.append(mean_loss(theta, rows))
        validation_loss.append(mean_loss(theta, held_out))
        if validation_loss[-1] < validation_loss[best_epoch]:
            best, best_epoch = theta, number
        elif number - best_epoch >= settings.patience:
            break
    adam, theta = start_adam(first), first
    for _ in range(best_epoch):
        adam, theta = epoch(adam, theta, np.arange(len(y)))
    return TrainedNetwork(
        theta[0], best[0], best_epoch, np.array(train_loss), np.array(validation_loss), held_out
    )


def network_predictions(
    dataset: Dataset, network: Network, settings: BaselineSettings, rng: np.random.Generator
) -> tuple[dict[str, np.ndarray], TrainedNetwork]:
    """Train the network and return its predictive distribution on train and test in original target units.

    In regression the noise scale is the root mean square of the residuals that the first, stopped network leaves on the
    validation rows: on rows that weights were fitted to, residuals are too small.
    """
    is_class = dataset.task == "classification"
    n_classes = dataset.n_outputs if is_class else None
    fit = train(network, dataset.x_train, dataset.y_train, n_classes=n_classes, settings=settings, rng=rng)
    layout = ParameterLayout(network.parameter_shapes)
    parameters = layout.unpack(fit.theta[None])
    inputs = {"train": dataset.x_train, "test": dataset.x_test}
    outputs = {split: network.forward(parameters, x)[0].astype(np.float64) for split, x in inputs.items()}
    if is_class:
        return {f"{split}_probability": softmax(output.T) for split, output in outputs.items()}, fit
    means = {
        f"{split}_mean": dataset.target_mean + dataset.target_scale * out[0] for split, out in outputs.items()
    }
    held_out = dataset.x_train[fit.validation_rows]
    unseen = network.forward(layout.unpack(fit.stopped_theta[None]), held_out)[0, 0]
    residual = unseen - dataset.y_train[fit.validation_rows]
    return means | {"noise_scale": np.asarray(dataset.target_scale * np.sqrt(np.mean(residual**2)))}, fit


def linear_predictions(dataset: Dataset) -> dict[str, np.ndarray]:
    """Fit scikit-learn's logistic or ridge regression, its penalty chosen by cross-validation, and predict
    like the network.

    The noise scale of ridge regression is the residual standard deviation on train with as many degrees of
    freedom taken off as there are coefficients.
    """
    if dataset.task == "classification":
        from sklearn.linear_model import LogisticRegression
        from sklearn.model_selection import GridSearchCV, StratifiedKFold

        folds = int(min(5, np.bincount(dataset.y_train).min()))
        model = LogisticRegression(max_iter=5000)
        if folds >= 2:
            grid = {"C": np.logspace(-3, 3, 13)}
            model = GridSearchCV(model, grid, cv=StratifiedKFold(folds), scoring="neg_log_loss")
        model.fit(dataset.x_train, dataset.y_train)
        return {
            "train_probability": model.predict_proba(dataset.x_train),
            "test_probability": model.predict_proba(dataset.x_test),
        }
    from sklearn.linear_model import RidgeCV

    ridge = RidgeCV(alphas=np.logspace(-3, 4, 29)).fit(dataset.x_train, dataset.y_train)
    fitted = ridge.predict(dataset.x_train)
    freedom = max(1, len(fitted) - dataset.x_train.shape[1] - 1)
    noise = np.sqrt(np.sum((fitted - dataset.y_train) ** 2) / freedom)
    return {
        "train_mean": dataset.target_mean + dataset.target_scale * fitted,
        "test_mean": dataset.target_mean + dataset.target_scale * ridge.predict(dataset.x_test),
        "noise_scale": np.asarray(dataset.target_scale * noise),
    }


def fit_baseline(
    dataset: Dataset, network: Network, settings: BaselineSettings, rng: np.random.Generator
) -> tuple[dict[str, tuple[tuple[str, ...], np.ndarray]], dict[str, Any]]:
    """Fit both references; return the variables and attributes of their file."""
    start = time.perf_counter()
    trained, fit = network_predictions(dataset, network, settings, rng)
    seconds = time.perf_counter() - start
    variables: dict[str, tuple[tuple[str, ...], np.ndarray]] = {
        "theta": (("param",), fit.theta),
        "history_train_loss": (("epoch",), fit.train_loss),
        "history_validation_loss": (("epoch",), fit.validation_loss),
    }
    for model, predictions in (("baseline", trained), ("linear", linear_predictions(dataset))):
        for name, values in predictions.items():
            dims: tuple[str, ...] = () if name == "noise_scale" else (f"obs_{name.split('_')[0]}",)
            variables[f"{model}_{name}"] = (
                dims + ("class",) if name.endswith("probability") else dims,
                values,
            )
    attributes = {
        "dataset": dataset.name,
        "best_epoch": fit.best_epoch,
        "epochs": len(fit.train_loss) - 1,
        "seconds": seconds,
        "n_params": len(fit.theta),
        "layout": ParameterLayout(network.parameter_shapes).to_json(),
    }
    return variables, attributes
