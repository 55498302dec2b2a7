"""Networks trained by Adam, several side by side: the frequentist baseline and the members of an ensemble."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bnn.core.identical_rows import first_of_each, gathered
from bnn.core.settings import BaselineSettings
from bnn.model.adam import AdamState, adam_step, start_adam
from bnn.model.categorical import Categorical
from bnn.model.layout import ParameterLayout
from bnn.model.likelihoods import Gaussian, Likelihood
from bnn.model.network import Network, with_offset


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


def validation_rows(
    y: np.ndarray,
    *,
    size: float,
    stratify: bool,
    rng: np.random.Generator,
    first: np.ndarray | None = None,
    in_order: bool = False,
) -> np.ndarray:
    """Return the indices of the rows set aside for validation, sorted; with `stratify`, a share of every class.

    Rows with the same number in `first`, (row,), such as those with the same inputs, stay together, but for one group
    at most (one of each class): networks that are trained side by side have as many validation rows each. Of rows in
    the order of time a stretch is set aside: the neighbours of single ones would tell what they are.

    Raises
    ------
    ValueError
        If that leaves no row to train on, or none to validate on.
    """
    if in_order:
        n_rows = round(size * len(y))
        begin = int(rng.integers(len(y) - n_rows + 1))
        return _checked(np.arange(begin, begin + n_rows), size, len(y))
    groups = [np.flatnonzero(y == value) for value in np.unique(y)] if stratify else [np.arange(len(y))]
    same = np.arange(len(y)) if first is None else first
    chosen = [gathered(rng.permutation(group), same)[: round(size * len(group))] for group in groups]
    return _checked(np.sort(np.concatenate(chosen)), size, len(y))


def _checked(rows: np.ndarray, size: float, n_rows: int) -> np.ndarray:
    if not 0 < len(rows) < n_rows:
        raise ValueError(
            f"baseline.validation_size {size} sets {len(rows)} of {n_rows} training rows aside: "
            "it must leave some to train on and some to validate on"
        )
    return rows


def balanced_weights(y: np.ndarray) -> np.ndarray:
    """Return weights of rows under which all classes weigh the same, their mean 1; class indices (obs,) -> (obs,)."""
    classes, index, count = np.unique(y, return_inverse=True, return_counts=True)
    return np.asarray(len(y) / (len(classes) * count[index]))


def _starting_weights(layout: ParameterLayout, rng: np.random.Generator) -> np.ndarray:
    """Return weights of variance 1/inputs and zero biases (LeCun et al. 1998), shape (param,)."""
    blocks = {
        name: rng.standard_normal(shape) / np.sqrt(shape[0]) if len(shape) == 2 else np.zeros(shape)
        for name, shape in layout.shapes.items()
    }
    return layout.pack(blocks)


class _Training:
    """Losses, gradients and epochs of several networks side by side, each with rows of its own."""

    def __init__(
        self,
        network: Network,
        x: np.ndarray,
        y: np.ndarray,
        n_classes: int | None,
        settings: BaselineSettings,
        likelihood: Likelihood | None,
    ) -> None:
        self._network, self._settings = network, settings
        self._likelihood: Likelihood
        if likelihood is not None:
            self._likelihood = likelihood
        elif n_classes is None:
            self._likelihood = Gaussian(noise_scale=1.0, log_noise_mean=0.0, log_noise_sd=1.0)
        else:
            self._likelihood = Categorical(n_classes)
        self._columns, self._target = network.columns(x), self._likelihood.encode(y)
        self._offset = network.offset(x)
        is_weighted = n_classes is not None and settings.class_weight == "balanced"
        self._weight = balanced_weights(y) if is_weighted else None
        self.layout = ParameterLayout(
            network.parameter_shapes | dict.fromkeys(self._likelihood.parameter_priors, ())
        )
        shapes = self.layout.shapes.values()
        decays = np.concatenate(
            [np.full(np.prod(shape, dtype=int), float(len(shape) == 2)) for shape in shapes]
        )
        self._decay = settings.weight_decay * decays

    def loss(self, theta: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """Return the weighted mean negative log likelihood, (network,); theta (network, param), rows (network, row)."""
        parameters = self.layout.unpack(theta)
        output = self._network.forward_layers(parameters, self._inputs(rows))[-1]
        pointwise = self._likelihood.pointwise(self._shifted(output, rows), self._targets(rows), parameters)
        weight = None if self._weight is None else self._weight[rows]
        return -np.average(pointwise, axis=1, weights=weight)

    def epoch(
        self, adam: AdamState, theta: np.ndarray, rows: np.ndarray, rngs: Sequence[np.random.Generator]
    ) -> tuple[AdamState, np.ndarray]:
        """Pass once over the rows of each network, (network, row), in an order that its own generator draws."""
        order = np.stack([rng.permutation(own) for rng, own in zip(rngs, rows, strict=True)])
        for start in range(0, order.shape[1], self._settings.batch_size):
            grad = self._loss_grad(theta, order[:, start : start + self._settings.batch_size])
            rate = self._settings.learning_rate
            adam, theta = adam_step(adam, theta, grad, learning_rate=rate, weight_decay=self._decay)
        return adam, theta

    def _loss_grad(self, theta: np.ndarray, rows: np.ndarray) -> np.ndarray:
        parameters = self.layout.unpack(theta)
        outputs = self._network.forward_layers(parameters, self._inputs(rows))
        output = self._shifted(outputs[-1], rows)
        _, output_grad, own = self._likelihood.total_and_grad(output, self._targets(rows), parameters)
        if self._weight is not None:
            output_grad *= self._weight[rows][:, None]
        grad = np.zeros_like(theta)
        self.layout.add_to(grad, {**self._network.backward(parameters, outputs, output_grad), **own})
        return -grad / rows.shape[1]

    def _inputs(self, rows: np.ndarray) -> np.ndarray:
        return np.moveaxis(self._columns[:, rows], 0, 1)

    def _shifted(self, output: np.ndarray, rows: np.ndarray) -> np.ndarray:
        return with_offset(output, None if self._offset is None else self._offset[rows])

    def _targets(self, rows: np.ndarray) -> np.ndarray:
        return self._target[rows] if self._target.ndim == 1 else np.moveaxis(self._target[:, rows], 0, 1)


def train(
    network: Network,
    x: np.ndarray,
    y: np.ndarray,
    *,
    n_classes: int | None,
    settings: BaselineSettings,
    rngs: Sequence[np.random.Generator],
    likelihood: Likelihood | None = None,
    in_order: bool = False,
    groups: np.ndarray | None = None,
) -> list[TrainedNetwork]:
    """Train networks by mini-batch Adam with weight decay, stopped early, then again on all training rows.

    A first run finds the epoch of the smallest loss on a validation part of the training rows. A second one
    starts from the same weights and runs for so many epochs on all training rows, so that the network has
    seen as many as the chains (Goodfellow, Bengio & Courville 2016, algorithm 7.2). Networks share nothing but the
    NumPy calls: each is what it would be alone.

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
    rngs
        One for each network: used for its validation part, first weights and order of the rows.
    likelihood
        Of a target that is no real number with noise on it; its own parameters, from 0 on, are trained too, and stand
        behind the network's in theta.
    in_order, groups
        How validation rows are set aside, as those of `bnn.core.identical_rows.divided`.
    """
    run = _Training(network, x, y, n_classes, settings, likelihood)
    size, stratify = settings.validation_size, n_classes is not None
    first = first_of_each(x.T, len(y)) if groups is None else groups
    held_out = np.stack(
        [
            validation_rows(y, size=size, stratify=stratify, rng=rng, first=first, in_order=in_order)
            for rng in rngs
        ]
    )
    rows = np.stack([np.setdiff1d(np.arange(len(y)), own) for own in held_out])
    start = np.stack([_starting_weights(run.layout, rng) for rng in rngs])
    best, best_epoch, losses = _stop_early(run, start, rows, held_out, rngs, settings)
    final = _train_for(run, start, np.tile(np.arange(len(y)), (len(rngs), 1)), best_epoch, rngs)
    return [
        TrainedNetwork(
            theta=final[i],
            stopped_theta=best[i],
            best_epoch=int(best_epoch[i]),
            train_loss=losses[i][:, 0],
            validation_loss=losses[i][:, 1],
            validation_rows=held_out[i],
        )
        for i in range(len(rngs))
    ]


def _stop_early(
    run: _Training,
    theta: np.ndarray,
    rows: np.ndarray,
    held_out: np.ndarray,
    rngs: Sequence[np.random.Generator],
    settings: BaselineSettings,
) -> tuple[np.ndarray, np.ndarray, list[np.ndarray]]:
    """Return of each network the best weights, their epoch, and the losses on train and validation, (epoch, 2)."""
    best, best_epoch = theta.copy(), np.zeros(len(theta), dtype=np.int64)
    losses: list[list[tuple[float, float]]] = [[] for _ in rngs]
    active = np.arange(len(theta))

    def record() -> None:
        for i, *pair in zip(
            active, run.loss(theta, rows[active]), run.loss(theta, held_out[active]), strict=True
        ):
            losses[i].append((float(pair[0]), float(pair[1])))

    record()
    adam = start_adam(theta)
    for number in range(1, settings.max_epochs + 1):
        adam, theta = run.epoch(adam, theta, rows[active], [rngs[int(i)] for i in active])
        record()
        better = np.array([losses[i][number][1] < losses[i][best_epoch[i]][1] for i in active])
        best[active[better]], best_epoch[active[better]] = theta[better], number
        going = number - best_epoch[active] < settings.patience
        if not going.any():
            break
        active, theta, adam = active[going], theta[going], adam.of(going)
    return best, best_epoch, [np.array(own) for own in losses]


def _train_for(
    run: _Training,
    theta: np.ndarray,
    rows: np.ndarray,
    n_epochs: np.ndarray,
    rngs: Sequence[np.random.Generator],
) -> np.ndarray:
    """Return the weights of each network after its number of epochs."""
    final, active, adam = theta.copy(), np.arange(len(theta)), start_adam(theta)
    for number in range(int(n_epochs.max()) + 1):
        done = n_epochs[active] == number
        final[active[done]] = theta[done]
        active, theta, adam = active[~done], theta[~done], adam.of(~done)
        if len(active):
            adam, theta = run.epoch(adam, theta, rows[active], [rngs[i] for i in active])
    return final
