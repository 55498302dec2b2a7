"""Predictive distributions of the references: mixtures of normals, or of what the target's family makes; quantiles."""

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Protocol

import numpy as np

from bnn.core.settings import LikelihoodSettings
from bnn.data.dataset import Dataset
from bnn.evaluation.metrics import crps_of_sorted, pit_of_rows
from bnn.evaluation.quantile_forecasts import QuantileForecast
from bnn.model.layout import ParameterLayout
from bnn.model.likelihoods import Gaussian, Likelihood, RegressionLikelihood
from bnn.model.network import Network, outputs
from bnn.model.posterior import make_likelihood
from bnn.model.targets import Target
from bnn.posterior.mixture import GaussianMixture, log_mean_exp
from bnn.posterior.predictive import central_intervals
from bnn.posterior.predictor import PredictionBlock, Predictor, target_of

_N_DRAWS = 2000
"""New observations of all networks together, by which quantiles and CRPS of a mixture are computed."""


class Mixture(Protocol):
    """What scores and figures ask of the predictive distribution of a reference."""

    @property
    def mean(self) -> np.ndarray:
        """(obs,)"""

    @property
    def sd(self) -> np.ndarray:
        """(obs,)"""

    def log_density(self, y: np.ndarray) -> np.ndarray:
        """Return the log density of values in the unit of the target, (obs,), nats."""

    def cdf(self, x: np.ndarray) -> np.ndarray:
        """Return the probability of a value below, of the same value a part; (obs,) -> (obs,)."""

    def intervals(self, levels: Sequence[float]) -> tuple[np.ndarray, np.ndarray]:
        """Return lower and upper ends of central intervals, each (level, obs)."""

    def crps(self, y: np.ndarray) -> np.ndarray:
        """Return the continuous ranked probability score of each row, (obs,)."""


class FamilyMixture:
    """For each row, distributions of one family with equal weight, as networks put out.

    Parameters
    ----------
    likelihood, target
        The family, and how it describes the target.
    output
        Of each network, shape (network, output, obs).
    parameters
        The likelihood's own, shape (network,) each.
    """

    def __init__(
        self,
        likelihood: Likelihood,
        target: Target,
        output: np.ndarray,
        parameters: Mapping[str, np.ndarray],
    ) -> None:
        # Outputs are there already: no network makes them.
        network = Network((1, 1), activation="tanh", dtype="float64")
        self._predictor = Predictor(network, likelihood, ParameterLayout(network.parameter_shapes), target)
        self._output, self._parameters = output, parameters

    @cached_property
    def _block(self) -> PredictionBlock:
        return self._predictor.block(self._output, self._parameters)

    @property
    def mean(self) -> np.ndarray:
        """(obs,)"""
        return np.asarray(self._block.value.mean(axis=0))

    @property
    def sd(self) -> np.ndarray:
        """Standard deviation by the law of total variance, (obs,)."""
        return np.sqrt(
            self._block.value.var(axis=0) + np.square(np.asarray(self._block.noise_sd)).mean(axis=0)
        )

    def log_density(self, y: np.ndarray) -> np.ndarray:
        """Return the log density, or of counts and zeros the log probability, (obs,), nats."""
        target = self._predictor.target
        standardised = (y - target.mean) / target.scale
        found = self._predictor.block(self._output, self._parameters, standardised).log_density
        return log_mean_exp(np.asarray(found), 0)

    def cdf(self, x: np.ndarray) -> np.ndarray:
        """Return the randomised probability of a value below, as `pit_of_rows` has it; (obs,) -> (obs,)."""
        return pit_of_rows(self._draws, x, 0)

    def intervals(self, levels: Sequence[float]) -> tuple[np.ndarray, np.ndarray]:
        """Return lower and upper ends of central intervals, each (level, obs)."""
        return central_intervals(self._draws[None], levels)

    def crps(self, y: np.ndarray) -> np.ndarray:
        """Return the continuous ranked probability score of each row, (obs,)."""
        return crps_of_sorted(self._draws, y)

    @cached_property
    def _draws(self) -> np.ndarray:
        """New observations in ascending order, (draw, obs): always the same ones."""
        rng = np.random.default_rng(0)
        n_each = -(-_N_DRAWS // len(self._output))
        return np.sort(
            np.concatenate([self._predictor.sample(self._block, rng) for _ in range(n_each)]), axis=0
        )


def reference_mixture(
    references: Mapping[str, np.ndarray],
    model: str,
    split: str,
    dataset: Dataset,
    likelihood: LikelihoodSettings,
) -> Mixture:
    """Return what a reference predicts for a real target; one component unless it is the ensemble.

    Parameters
    ----------
    references
        Variables of the file that `bnn.baselines.reference.fit_references` made.
    model
        One of `bnn.evaluation.forecasts.models_in` it.
    split
        "train" or "test".
    dataset, likelihood
        The table, and the settings of the run.
    """
    if f"{model}_{split}_quantile" in references:
        target = target_of(dataset, likelihood)
        assert target is not None, "classes have probabilities"
        quantile, mean = (references[f"{model}_{split}_{name}"] for name in ("quantile", "mean"))
        return QuantileForecast(references[f"{model}_level"], quantile, mean, target)
    if f"{model}_{split}_mean" in references:
        means, scales = references[f"{model}_{split}_mean"], references[f"{model}_noise_scale"]
        return GaussianMixture(np.atleast_2d(means), np.atleast_1d(scales))
    found = references[f"{model}_{split}_output"]
    return _of_family(references, model, found[None] if found.ndim == 2 else found, dataset, likelihood)


def network_mixture(
    references: Mapping[str, np.ndarray],
    model: str,
    network: Network,
    x: np.ndarray,
    dataset: Dataset,
    likelihood: LikelihoodSettings,
) -> Mixture:
    """Return what the networks of a reference predict for other rows, of a real target.

    Parameters
    ----------
    references, model, dataset, likelihood
        As of `reference_mixture`; the model is "baseline" or "ensemble".
    network
        Their architecture.
    x
        Standardised inputs, shape (obs, input).
    """
    found = outputs(network, network_theta(references, model), x)
    if f"{model}_noise_scale" in references:
        scales = np.atleast_1d(references[f"{model}_noise_scale"])
        return GaussianMixture(dataset.target_mean + dataset.target_scale * found[:, 0], scales)
    return _of_family(references, model, found, dataset, likelihood)


def network_theta(references: Mapping[str, np.ndarray], model: str) -> np.ndarray:
    """Return the weights of the networks of a reference, (network, param)."""
    return np.atleast_2d(references["theta" if model == "baseline" else "ensemble_theta"])


def _of_family(
    references: Mapping[str, np.ndarray],
    model: str,
    output: np.ndarray,
    dataset: Dataset,
    likelihood: LikelihoodSettings,
) -> FamilyMixture:
    target = target_of(dataset, likelihood)
    assert target is not None, "classes have probabilities"
    family = make_likelihood(likelihood, n_classes=None, target=target)
    if isinstance(family, RegressionLikelihood):
        # Baseline networks have one noise for all rows, whatever the posterior's.
        family = Gaussian(noise_scale=None, log_noise_mean=0.0, log_noise_sd=1.0)
    own = {name: np.atleast_1d(references[f"{model}_{name}"]) for name in family.parameter_priors}
    return FamilyMixture(family, target, output, own)
