"""The log density of theta given the training rows, and its gradient: all that a kernel sees."""

import numpy as np

from bnn.core.settings import FAMILIES, YEO_JOHNSON, LikelihoodSettings, NetworkSettings, PriorSettings
from bnn.model.categorical import Categorical
from bnn.model.input_transform import fit_inputs
from bnn.model.layout import ParameterLayout
from bnn.model.likelihoods import (
    Gaussian,
    HeteroscedasticGaussian,
    HeteroscedasticStudentT,
    Likelihood,
    StudentT,
)
from bnn.model.network import Network, with_offset
from bnn.model.passes import Passes
from bnn.model.priors import Prior, learned_scale_shapes, network_prior
from bnn.model.targets import Target


class Posterior:
    """Unnormalised posterior of a network's parameters and of the noise parameters.

    Parameters
    ----------
    network
        The architecture.
    likelihood
        How outputs make targets.
    prior
        Prior of every parameter block, in the order of the layout that it carries.
    x
        Training inputs, shape (obs, input), standardised.
    y
        Training targets, shape (obs,): class index, or standardised value.
    """

    def __init__(
        self, network: Network, likelihood: Likelihood, prior: Prior, *, x: np.ndarray, y: np.ndarray
    ) -> None:
        self.network = network
        self.likelihood = likelihood
        self.prior = prior
        self.layout: ParameterLayout = prior.layout
        # A transform of inputs would turn what a cast to float32 loses into more.
        self.x = np.asarray(x, dtype=network.dtype if network.inputs is None else np.float64)
        self._y = y
        self.target = likelihood.encode(y)
        self._target_axes = self.target.ndim
        self._passes: Passes = network.passes(self.x, self.layout)
        self._offset = network.offset(self.x)
        self._fused = self._passes.fuse(likelihood, prior, self.target)
        self._own = tuple(likelihood.parameter_priors)

    def of_rows(self, rows: np.ndarray) -> "Posterior":
        """Return the posterior given some of the training rows, by their positions, (obs,)."""
        return Posterior(self.network, self.likelihood, self.prior, x=self.x[rows], y=self._y[rows])

    def log_prior(self, theta: np.ndarray) -> np.ndarray:
        """Return the log prior in nats, with its normalising constants; theta (chain, param) -> (chain,)."""
        return self.prior.log_density_and_grad(theta)[0]

    def pointwise(self, theta: np.ndarray) -> np.ndarray:
        """Return the log likelihood of every row in nats, float64; theta (chain, param) -> (chain, obs)."""
        parameters = self.layout.unpack(theta, self._own)
        found = np.empty((len(theta), len(self.x)))
        self._passes.load(theta)
        for tile, rows in enumerate(self._passes.tiles):
            output = self._output(tile)
            found[:, rows] = self.likelihood.pointwise(output, self.target[..., rows], parameters)
        return found

    def log_likelihood(self, theta: np.ndarray) -> np.ndarray:
        """Return the log likelihood of all rows in nats; theta (chain, param) -> (chain,)."""
        return np.add.reduce(self.pointwise(theta), axis=-1)

    def log_density(self, theta: np.ndarray) -> np.ndarray:
        """Return log prior + log likelihood in nats; theta (chain, param) -> (chain,)."""
        return self.log_prior(theta) + self.log_likelihood(theta)

    def log_density_and_grad(self, theta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the log density (chain,) and its gradient (chain, param), both float64, for theta (chain, param).

        One pass over the rows, a tile at a time, so that activations stay in cache and the memory does not grow with
        the table. Sums over tiles are in float64 whatever the network computes in.
        """
        # Targets that differ between chains have an axis more.
        if self._fused is not None and self.target.ndim == self._target_axes:
            return self._fused(theta, self.target)
        parameters = self.layout.unpack(theta, self._own)
        total, grad = self.prior.log_density_and_grad(theta)
        self._passes.load(theta)
        for tile, rows in enumerate(self._passes.tiles):
            output = self._output(tile)
            part, output_grad, own_grad = self.likelihood.total_and_grad(
                output, self.target[..., rows], parameters
            )
            self._passes.backward(tile, output_grad)
            self.layout.add_to(grad, own_grad)
            total = total + part
        self._passes.add_gradient(grad)
        return total, grad

    def _output(self, tile: int) -> np.ndarray:
        offset = None if self._offset is None else self._offset[self._passes.tiles[tile]]
        return with_offset(self._passes.forward(tile), offset)


def make_network(
    network: NetworkSettings, x: np.ndarray, *, n_outputs: int, has_offset: bool = False
) -> Network:
    """Return the network that the settings ask for.

    Parameters
    ----------
    network
        The settings.
    x
        Training inputs, shape (obs, input), standardised, of which the transform of inputs is learned.
    n_outputs
        Units of the last layer.
    has_offset
        As of `Network`.
    """
    inputs = x[:, :-1] if has_offset else x
    return Network(
        (inputs.shape[1], *network.hidden, n_outputs),
        activation=network.activation,
        dtype=network.precision,
        engine=network.engine,
        inputs=fit_inputs(inputs) if network.input_transform == YEO_JOHNSON else None,
        has_offset=has_offset,
    )


def make_likelihood(
    likelihood: LikelihoodSettings, *, n_classes: int | None, target: Target | None = None
) -> Likelihood:
    """Return the likelihood of a target that the settings ask for.

    Parameters
    ----------
    likelihood
        The settings.
    n_classes
        Classes of the target; None for a real target.
    target
        What `fit_target` made of the training rows; counts and amounts with zeros need it.

    Raises
    ------
    ValueError
        If there is no such family.
    """
    if n_classes is not None:
        return Categorical(n_classes)
    if likelihood.family not in FAMILIES:
        raise ValueError(
            f"unknown likelihood family {likelihood.family!r}: choose one of {', '.join(sorted(FAMILIES))}"
        )
    kind, noise = FAMILIES[likelihood.family].noise, likelihood.noise
    known = None if noise == "sampled" else float(noise)
    mean, sd = likelihood.log_noise_mean, likelihood.log_noise_sd
    if kind == "gaussian":
        return Gaussian(noise_scale=known, log_noise_mean=mean, log_noise_sd=sd)
    if kind == "student_t":
        return StudentT(df=likelihood.df, noise_scale=known, log_noise_mean=mean, log_noise_sd=sd)
    if kind == "heteroscedastic":
        return HeteroscedasticGaussian(log_noise_mean=mean, log_noise_sd=sd)
    if kind == "heteroscedastic_student_t":
        return HeteroscedasticStudentT(df=likelihood.df, log_noise_mean=mean, log_noise_sd=sd)
    # Special functions are slow to import, and the chains of other families do without them.
    from bnn.model import counts

    target = target or Target()
    if kind == "poisson":
        return counts.Poisson(target)
    if kind == "negative_binomial":
        return counts.NegativeBinomial(target, log_dispersion_mean=mean, log_dispersion_sd=sd)
    return counts.Hurdle(target, log_noise_mean=mean, log_noise_sd=sd)


def make_prior(network: Network, likelihood: Likelihood, prior: PriorSettings) -> Prior:
    """Return the prior of all of theta that the settings ask for; it carries the layout."""
    own_priors = likelihood.parameter_priors
    shapes = network.parameter_shapes
    learned = learned_scale_shapes(shapes, prior.learned_scales)
    layout = ParameterLayout(shapes | dict.fromkeys(own_priors, ()) | learned)
    return Prior(layout, network_prior(shapes, prior) | own_priors)


def make_posterior(
    x: np.ndarray,
    y: np.ndarray,
    *,
    n_classes: int | None,
    network: NetworkSettings,
    prior: PriorSettings,
    likelihood: LikelihoodSettings,
    target: Target | None = None,
    inputs: np.ndarray | None = None,
) -> Posterior:
    """Return the posterior given training rows.

    Parameters
    ----------
    x
        Training inputs, shape (obs, input), standardised.
    y
        Training targets, shape (obs,): class index, or standardised value.
    n_classes
        Classes of the target; None for a real target.
    network, prior, likelihood
        The settings.
    target
        What `fit_target` made of all training rows: how the likelihood describes the values of y; None where it
        takes them as they are.
    inputs
        Rows of which the transform of inputs is learned, shape (obs, input); None: x.
    """
    like = make_likelihood(likelihood, n_classes=n_classes, target=target)
    net = make_network(
        network,
        x if inputs is None else inputs,
        n_outputs=like.n_outputs,
        has_offset=target is not None and target.has_exposure,
    )
    encoded = y if target is None else target.encode(y)
    return Posterior(net, like, make_prior(net, like, prior), x=x, y=encoded)
