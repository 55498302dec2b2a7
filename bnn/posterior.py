"""The log density of theta given the training rows, and its gradient: all that a kernel sees."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from bnn.datasets import Dataset
from bnn.layout import ParameterLayout
from bnn.likelihoods import Categorical, Gaussian, Likelihood
from bnn.network import Network
from bnn.priors import Prior, network_prior


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
        self.x = np.asarray(x, dtype=network.dtype)
        self.target = likelihood.encode(y)

    def log_prior(self, theta: np.ndarray) -> np.ndarray:
        """Return the log prior in nats, with its normalising constants; theta (chain, param) -> (chain,)."""
        return self.prior.log_density_and_grad(theta)[0]

    def log_likelihood(self, theta: np.ndarray) -> np.ndarray:
        """Return the log likelihood in nats; theta (chain, param) -> (chain,)."""
        parameters = self.layout.unpack(theta)
        output = self.network.forward(parameters, self.x)
        return self.likelihood.pointwise(output, self.target, parameters).sum(axis=-1, dtype=np.float64)

    def log_density(self, theta: np.ndarray) -> np.ndarray:
        """Return log prior + log likelihood in nats; theta (chain, param) -> (chain,)."""
        return self.log_prior(theta) + self.log_likelihood(theta)

    def log_density_and_grad(self, theta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the log density (chain,) and its gradient (chain, param), both float64, for theta (chain, param)."""
        parameters = self.layout.unpack(theta)
        outputs = self.network.forward_layers(parameters, self.x)
        pointwise, output_grad, own_grad = self.likelihood.pointwise_and_grad(
            outputs[-1], self.target, parameters
        )
        log_prior, grad = self.prior.log_density_and_grad(theta)
        self.layout.add_to(grad, self.network.backward(parameters, outputs, output_grad))
        self.layout.add_to(grad, own_grad)
        return log_prior + np.add.reduce(pointwise, axis=-1, dtype=np.float64), grad


def make_network(dataset: Dataset, network: Mapping[str, Any]) -> Network:
    """Return the network that the `network` section of the config asks for, with the table's inputs and outputs."""
    sizes = (dataset.x_train.shape[1], *network["hidden"], dataset.n_outputs)
    return Network(sizes, activation=network["activation"], dtype=network["precision"])


def make_likelihood(dataset: Dataset, likelihood: Mapping[str, Any]) -> Likelihood:
    """Return the likelihood of the table's task, as the `likelihood` section of the config sets it."""
    if dataset.task == "classification":
        return Categorical(dataset.n_outputs)
    noise = likelihood["noise"]
    return Gaussian(
        noise_scale=None if noise == "sampled" else float(noise),
        log_noise_mean=likelihood["log_noise_mean"],
        log_noise_sd=likelihood["log_noise_sd"],
    )


def make_posterior(
    dataset: Dataset, *, network: Mapping[str, Any], prior: Mapping[str, Any], likelihood: Mapping[str, Any]
) -> Posterior:
    """Return the posterior of a dataset under three sections of its config."""
    net = make_network(dataset, network)
    like = make_likelihood(dataset, likelihood)
    own_priors = like.parameter_priors
    layout = ParameterLayout(net.parameter_shapes | dict.fromkeys(own_priors, ()))
    blocks = network_prior(net.parameter_shapes, **prior) | own_priors
    return Posterior(net, like, Prior(layout, blocks), x=dataset.x_train, y=dataset.y_train)
