"""From draws of theta to what a network says of rows: means or probabilities, noise, densities, new observations."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from bnn.core.errors import ResultError
from bnn.core.settings import LikelihoodSettings, NetworkSettings
from bnn.data.dataset import Dataset
from bnn.model.categorical import Categorical, softmax
from bnn.model.layout import ParameterLayout
from bnn.model.likelihoods import DirectLikelihood, Gaussian, Likelihood, RegressionLikelihood, StudentT
from bnn.model.network import Network, with_offset
from bnn.model.posterior import make_likelihood, make_network
from bnn.model.priors import LOG_PRIOR_SCALE
from bnn.model.targets import Target, fit_target

BLOCK_BYTES = 2**25
"""Rough size of the largest array of a block."""


def row_blocks(n_rows: int, bytes_per_row: int) -> Iterator[slice]:
    """Yield slices of rows, each of about `BLOCK_BYTES`."""
    step = max(1, BLOCK_BYTES // max(1, bytes_per_row))
    for start in range(0, n_rows, step):
        yield slice(start, min(start + step, n_rows))


class PredictionBlock(NamedTuple):
    """Predictions of some of the draws."""

    draws: slice
    """Which draws, in the order of theta"""
    value: np.ndarray
    """(draw, obs, class) probabilities, or (draw, obs) means in original target units; float64"""
    log_density: np.ndarray | None
    """(draw, obs): log density of y in nats, per original target unit; None where no y was given"""
    noise_sd: np.ndarray | None
    """Standard deviation of a new observation about the mean, in original target units: (draw, obs), or (draw, 1)
    where it is the same for all rows; None for classes"""
    output: np.ndarray
    """(draw, output, obs): of the network, float64"""
    parameters: Mapping[str, np.ndarray]
    """Blocks of theta, draw axis first"""


def sample_classes(probability: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Draw a class from each distribution; (..., class) -> (...) int64, one uniform number each."""
    cumulative = np.cumsum(probability, axis=-1)
    # Scaled by the last entry, which rounding can leave a little below 1.
    u = rng.random(probability.shape[:-1])[..., None] * cumulative[..., -1:]
    return (u >= cumulative[..., :-1]).sum(axis=-1)


@dataclass(frozen=True)
class Predictor:
    """Turns draws of theta into predictions in the original unit of the target.

    Parameters
    ----------
    network
        Architecture.
    likelihood
        What the output of the network means.
    layout
        Where the parameters are in theta.
    target
        How the likelihood describes the target; unused for classes.
    """

    network: Network
    likelihood: Likelihood
    layout: ParameterLayout
    target: Target

    @property
    def is_regression(self) -> bool:
        """Whether the target is a number."""
        return not isinstance(self.likelihood, Categorical)

    @property
    def noise_varies(self) -> bool:
        """Whether there is noise that depends on the row, once it is in the unit of the target."""
        if isinstance(self.likelihood, RegressionLikelihood):
            return self.likelihood.noise_varies or self.target.form != "standardised"
        return self.is_regression

    def noise_scale(self, theta: np.ndarray) -> np.ndarray:
        """Return the scale parameter of the noise of the encoded target, *standardised*; (..., param) -> (...).

        It is the standard deviation of normal noise. Where it is known it is that constant for every draw.

        Raises
        ------
        ValueError
            If the target is a class, or the noise depends on the row.
        """
        if isinstance(self.likelihood, Gaussian | StudentT):
            scale = np.exp(self.likelihood.log_scale(self.layout.unpack(theta)))
            return np.broadcast_to(scale, theta.shape[:-1]).copy()
        if self.is_regression:
            raise ValueError("noise that depends on the row has no single scale")
        raise ValueError("a class has no noise scale")

    def stream(
        self, theta: np.ndarray, x: np.ndarray, y: np.ndarray | None = None
    ) -> Iterator[PredictionBlock]:
        """Yield predictions, a block of draws at a time.

        Parameters
        ----------
        theta
            Shape (draw, param).
        x
            Standardised inputs, shape (obs, input).
        y
            Class index or *standardised* target, shape (obs,), or None.
        """
        encoded = None if y is None else self._encoded(y)
        columns, offset = self.network.columns(x), self.network.offset(x)
        for draws in row_blocks(len(theta), 8 * max(1, len(x)) * max(self.network.sizes)):
            parameters = self.layout.unpack(theta[draws])
            output = self.network.forward_layers(parameters, columns)[-1].astype(np.float64, copy=False)
            yield self._block(draws, with_offset(output, offset), parameters, encoded)

    def block(
        self, output: np.ndarray, parameters: Mapping[str, np.ndarray], y: np.ndarray | None = None
    ) -> PredictionBlock:
        """Return what `stream` would yield of a network that puts this out.

        Parameters
        ----------
        output
            Shape (draw, output, obs), float64.
        parameters
            The likelihood's own, draw axis first.
        y
            As of `stream`.
        """
        return self._block(slice(0, len(output)), output, parameters, None if y is None else self._encoded(y))

    def _encoded(self, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return targets as the likelihood takes them, and what is added to its pointwise values, (obs,)."""
        if not self.is_regression:
            return self.likelihood.encode(y), np.zeros(len(y))
        return self.likelihood.encode(self.target.encode(y)), self.target.log_jacobian(y)

    def _block(
        self,
        draws: slice,
        output: np.ndarray,
        parameters: Mapping[str, np.ndarray],
        encoded: tuple[np.ndarray, np.ndarray] | None,
    ) -> PredictionBlock:
        log_density = None
        if encoded is not None:
            log_density = self.likelihood.pointwise(output, encoded[0], parameters) + encoded[1]
        value, noise_sd = self._described(output, parameters)
        return PredictionBlock(draws, value, log_density, noise_sd, output, parameters)

    def _described(
        self, output: np.ndarray, parameters: Mapping[str, np.ndarray]
    ) -> tuple[np.ndarray, np.ndarray | None]:
        if isinstance(self.likelihood, RegressionLikelihood):
            return self.target.moments(output[:, 0], self.likelihood.noise_sd(output, parameters))
        if isinstance(self.likelihood, DirectLikelihood):
            return self.likelihood.moments(output, parameters)
        return softmax(output.swapaxes(-1, -2)), None

    def sample(self, block: PredictionBlock, rng: np.random.Generator, *, alike: bool = False) -> np.ndarray:
        """Draw a new observation for every draw and row of a block, shape (draw, obs): class index or original unit.

        Parameters
        ----------
        block
            What `stream` yielded.
        rng
            Source of randomness; where noise is added to a mean, the result does not depend on how draws were cut into
            blocks.
        alike
            Whether all rows of a draw get the same noise, where it is added to a mean.
        """
        if isinstance(self.likelihood, RegressionLikelihood):
            n_draws, n_rows = block.value.shape
            noise = self.likelihood.sample_noise((n_draws, 1 if alike else n_rows), rng)
            if self.target.form == "standardised":
                return block.value + np.asarray(block.noise_sd) * noise
            noise_sd = self.likelihood.noise_sd(block.output, block.parameters)
            return self.target.decode(block.output[:, 0] + noise_sd * noise)
        if isinstance(self.likelihood, DirectLikelihood):
            return self.likelihood.sample(block.output, block.parameters, rng)
        return sample_classes(block.value, rng)


def target_of(dataset: Dataset, likelihood: LikelihoodSettings) -> Target | None:
    """Return how a family describes the target of a table; None for classes.

    Raises
    ------
    ValueError
        If the training rows have a value that the family cannot have.
    """
    if dataset.task == "classification":
        return None
    return fit_target(
        likelihood.family,
        dataset.y_train,
        mean=dataset.target_mean,
        scale=dataset.target_scale,
        log_exposure=dataset.log_exposure_train,
    )


def make_predictor(
    dataset: Dataset,
    *,
    network: NetworkSettings,
    likelihood: LikelihoodSettings,
    layout: ParameterLayout | None = None,
) -> Predictor:
    """Return the predictor of a dataset.

    Parameters
    ----------
    dataset
        The table.
    network, likelihood
        Their settings.
    layout
        Of the draws, if they hold more than what these sections ask for: scales of the prior, which predictions do
        not depend on, follow the rest.

    Raises
    ------
    ValueError
        If the layout is of another network or likelihood.
    """
    target = target_of(dataset, likelihood)
    like = make_likelihood(likelihood, n_classes=dataset.n_classes, target=target)
    net = make_network(network, dataset.x_train, n_outputs=like.n_outputs, has_offset=dataset.has_exposure)
    needed = ParameterLayout(net.parameter_shapes | dict.fromkeys(like.parameter_priors, ()))
    if layout is None:
        layout = needed
    known = {name: shape for name, shape in layout.shapes.items() if not name.startswith(LOG_PRIOR_SCALE)}
    if ParameterLayout(known) != needed:
        raise ResultError(
            "other-parameters",
            f"the draws of {dataset.name!r} hold parameters {layout.to_json()}, "
            f"the config asks for {needed.to_json()}: sample again",
        )
    return Predictor(net, like, layout, target or Target())
