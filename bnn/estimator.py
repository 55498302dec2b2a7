"""Bayesian neural networks as scikit-learn estimators: `from bnn import BNNClassifier, BNNRegressor`.

They are another way into what the workflow runs, not another sampler: the same settings, data and seed give the same
draws, bit for bit. Their parameters are keys of the config under shorter names, with the config's own defaults; all
other keys go into `settings`.
"""

import re
import warnings
from collections.abc import Mapping
from typing import Any, Self, cast

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import Tags, check_random_state
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from bnn import config
from bnn.config_errors import ConfigError
from bnn.config_model import Likelihood, Network, ParameterPrior, Sampler
from bnn.datasets import Dataset, Task
from bnn.fitting import fit
from bnn.metrics import predicted_class
from bnn.predictive import ClassSummary, TargetSummary, predict_grid, predict_rows
from bnn.report.advice import changes
from bnn.report.convergence import worst
from bnn.seeding import Stream, chain_rng

_NETWORK, _PRIOR, _LIKELIHOOD, _SAMPLER = Network(), ParameterPrior(), Likelihood(), Sampler()

_PATHS: Mapping[str, tuple[str, ...]] = {
    "hidden": ("network", "hidden"),
    "activation": ("network", "activation"),
    "prior_scale": ("prior", "weights", "scale"),
    "likelihood": ("likelihood", "family"),
    "kernel": ("sampler", "kernel"),
    "chains": ("sampler", "chains"),
    "warmup": ("sampler", "warmup"),
    "draws": ("sampler", "draws"),
    "thin": ("sampler", "thin"),
    "random_state": ("seed",),
}
"""Parameter -> the key of the config that it sets."""

_SECTIONS = ("network", "prior", "likelihood", "sampler", "diagnostics")
"""Sections of the config that `settings` may hold; the others are about what an estimator does not do."""

_IDLE = {
    ("sampler", "chains_per_job"): "n_jobs says how many processes share the chains",
    ("sampler", "checkpoint_seconds"): "chains in memory write no checkpoints",
}


class _BNN(BaseEstimator):
    """What both estimators share."""

    _task: Task

    # What the parameters mean is said where they are listed, in the classes below.
    hidden: Any
    activation: Any
    prior_scale: Any
    kernel: Any
    chains: Any
    warmup: Any
    draws: Any
    thin: Any
    settings: Mapping[str, Any] | None
    random_state: Any
    n_jobs: int | None
    verbose: bool

    def _fit(self, dataset: Dataset, settings: dict[str, Any]) -> Self:
        found = fit(dataset, settings, n_jobs=self.n_jobs, verbose=bool(self.verbose))
        self.inference_data_ = found.idata
        self.diagnostics_ = self._in_own_words(found.diagnostics)
        self.seed_ = settings["seed"]
        self._dataset_mean, self._dataset_scale = dataset.feature_mean, dataset.feature_scale
        self._theta, self._predictor = found.theta, found.predictor
        self._warn(found.diagnostics, settings)
        return self

    def _settings(self) -> dict[str, Any]:
        """Return all settings of a dataset of the config, resolved, as plain values.

        Raises
        ------
        ValueError
            If a parameter or a key of `settings` is wrong; the message names every one.
        """
        extra = {} if self.settings is None else self.settings
        if not isinstance(extra, Mapping):
            raise ValueError(f"settings must be a mapping of sections of the config, not {extra!r}")
        own = {name: path for name, path in _PATHS.items() if hasattr(self, name)}
        faults = [
            f"settings: '{name}' means nothing to an estimator; choose from {', '.join(_SECTIONS)}"
            for name in extra
            if name not in _SECTIONS
        ]
        faults += [
            f"settings: {'.'.join(path)} is the parameter {name}: set that"
            for name, path in own.items()
            if _holds(extra, path)
        ]
        faults += [
            f"settings: {'.'.join(path)} has no effect here: {reason}"
            for path, reason in _IDLE.items()
            if _holds(extra, path)
        ]
        if self._task == "classification" and "likelihood" in extra:
            faults.append("settings: 'likelihood' has no effect, because only regression has noise")
        if faults:
            raise ValueError("; ".join(faults))
        keys: dict[str, Any] = {}
        for name, path in own.items():
            value = self._seed() if name == "random_state" else _plain(getattr(self, name))
            keys = config.merge(keys, _nested(path, value))
        merged = config.merge(keys, {name: _plain(value) for name, value in extra.items()})
        # The source is not read: the table is there already.
        source = {"kind": "csv", "path": "X", "target": "y"}
        name = type(self).__name__
        try:
            loaded = config.load({"datasets": {name: {**merged, "task": self._task, "source": source}}})
        except ConfigError as error:
            lines = [line.removeprefix(f"datasets.{name}.") for line in error.errors]
            raise ValueError("; ".join(self._own_name(line) for line in lines)) from None
        return loaded.datasets[name].model_dump(mode="json")

    def _seed(self) -> Any:
        """Return the seed of the run: `random_state` if it is a number, else one drawn from it."""
        if self.random_state is None or isinstance(self.random_state, np.random.RandomState):
            return int(check_random_state(self.random_state).randint(np.iinfo(np.int32).max))
        return _plain(self.random_state)

    def _own_name(self, text: str) -> str:
        """Return a text about keys of the config as one about the parameters of this estimator."""
        names = {".".join(path): name for name, path in _PATHS.items() if hasattr(self, name)}
        text = text.replace("the scale in prior.weights", names["prior.weights.scale"])

        def renamed(match: re.Match[str]) -> str:
            path = match[0]
            return names.get(path) or 'settings["' + '"]["'.join(path.split(".")) + '"]'

        return re.sub(rf"\bseed\b(?=:)|\b({'|'.join(_SECTIONS)})(\.[a-z_]+)+", renamed, text)

    def _in_own_words(self, diagnostics: dict[str, Any]) -> dict[str, Any]:
        findings = [
            finding | {"text": self._own_name(finding["text"])} for finding in diagnostics["findings"]
        ]
        reasons = [finding["text"] for finding in findings]
        return diagnostics | {"reasons": reasons, "findings": findings}

    def _warn(self, diagnostics: Mapping[str, Any], settings: Mapping[str, Any]) -> None:
        """Say so if the chains have not converged: how far they are from it, and what to change."""
        verdict = diagnostics["verdict"]
        if verdict == "PASS":
            return
        largest, smallest = worst(diagnostics)
        rhat = "not known" if largest is None else f"{largest:.3f}"
        ess = "not known" if smallest is None else f"{smallest:.0f}"
        limits = diagnostics["thresholds"]
        remedy = ", ".join(f"{name}={value}" for name, value in self._remedies(diagnostics, settings))
        warnings.warn(
            f"{type(self).__name__}: verdict {verdict} on {len(diagnostics['chains'])} chains. Largest R-hat {rhat} "
            f"(limit {limits['rhat_warn']:g}), smallest bulk ESS {ess} (limit {limits['ess_warn']:g}). "
            f"{'Do not use the uncertainties yet. ' if verdict == 'FAIL' else ''}"
            f"{f'Try {remedy}. ' if remedy else ''}The reasons: {' '.join(self.diagnostics_['reasons'])}",
            ConvergenceWarning,
            stacklevel=4,
        )

    def _remedies(self, diagnostics: Mapping[str, Any], settings: Mapping[str, Any]) -> list[tuple[str, Any]]:
        """Return what to change, each as the name of a parameter, or a place in `settings`, and a value."""
        return [
            (self._own_name(".".join(path)), value) for path, value in _leaves(changes(diagnostics, settings))
        ]

    def _dataset(
        self, x: np.ndarray, y: np.ndarray, class_names: tuple[str, ...], target_name: str
    ) -> Dataset:
        """Return the table, standardised like the training rows of the workflow; there are no others."""
        from bnn.datasets import _mean_and_scale

        mean, scale = _mean_and_scale(x)
        target_mean, target_scale = 0.0, 1.0
        if not class_names:
            target_mean, target_scale = (float(value) for value in _mean_and_scale(y))
            y = (y - target_mean) / target_scale
        names = getattr(self, "feature_names_in_", [f"x{index}" for index in range(x.shape[1])])
        return Dataset(
            name=type(self).__name__,
            task=self._task,
            x_train=(x - mean) / scale,
            y_train=y,
            x_test=np.empty((0, x.shape[1])),
            y_test=np.empty(0, dtype=y.dtype),
            row_train=np.arange(len(x)),
            row_test=np.arange(0),
            feature_names=tuple(str(name) for name in names),
            feature_mean=mean,
            feature_scale=scale,
            target_name=target_name,
            target_unit="",
            class_names=class_names,
            target_mean=target_mean,
            target_scale=target_scale,
        )

    def _x(self, X: ArrayLike) -> np.ndarray:
        """Return new rows as the network takes them, shape (obs, input)."""
        check_is_fitted(self)
        x = validate_data(self, X, dtype=np.float64, reset=False)
        return np.asarray((x - self._dataset_mean) / self._dataset_scale)

    def _predictive(self, X: ArrayLike) -> ClassSummary | TargetSummary:
        x = self._x(X)
        return predict_rows(self._predictor, self._theta, x)

    def sample_posterior(
        self,
        X: ArrayLike,
        n_samples: int | None = None,
        *,
        observations: bool = False,
        random_state: int | None = None,
    ) -> np.ndarray:
        """Return what draws of the posterior predict, each a network of its own.

        Parameters
        ----------
        X : array-like of shape (n_rows, n_features)
            Rows.
        n_samples : int, default=None
            How many draws, spread evenly over all chains; None for all.
        observations : bool, default=False
            Whether to draw a new observation from each prediction: a target with its noise, or a class.
        random_state : int, default=None
            Seed of those observations; None for that of the fit.

        Returns
        -------
        ndarray of shape (n_samples, n_rows) or (n_samples, n_rows, n_classes)
            The mean of the target in its own unit, or the probabilities of the classes in the order of `classes_`;
            observations have the first shape.

        Raises
        ------
        ValueError
            If there are fewer draws than are asked for.
        """
        x = self._x(X)
        theta = self._theta.reshape(-1, self._theta.shape[-1])
        if n_samples is not None:
            if not 1 <= n_samples <= len(theta):
                raise ValueError(f"n_samples={n_samples}: choose from 1 to {len(theta)}, the draws there are")
            theta = theta[np.linspace(0, len(theta) - 1, n_samples).round().astype(np.int64)]
        rng = chain_rng(self.seed_ if random_state is None else random_state, Stream.NEW_ROWS)
        blocks = self._predictor.stream(theta, x)
        values = [self._predictor.sample(block, rng) if observations else block.value for block in blocks]
        return np.concatenate(values)

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        return tags


class BNNClassifier(ClassifierMixin, _BNN):
    """Bayesian neural network for classes, its posterior sampled by MCMC.

    Parameters
    ----------
    hidden : tuple of int, default=(10,)
        Units of each hidden layer; () gives a linear model.
    activation : {"tanh", "relu", "sigmoid"}, default="tanh"
        Activation of the hidden units.
    prior_scale : float, default=1.0
        Standard deviation of the normal prior of the weights, before it is divided by the square root of the number of
        inputs of a layer. (`settings` has other families, and scales that are learned.)
    kernel : str, default="auto"
        How the sampler moves; see `sampler.kernel` of the config.
    chains : int, default=4
        Independent chains, which R-hat compares.
    warmup : int, default=1000
        Moves per chain that tune the sampler, and are not kept.
    draws : int, default=1000
        Draws kept per chain.
    thin : int, default=1
        Moves per kept draw.
    settings : dict, default=None
        Other keys of the sections network, prior, likelihood, sampler and diagnostics of the config, nested as there:
        `{"sampler": {"explore": 2000}, "network": {"engine": "numba", "precision": "float32"}}`. For large tables,
        `{"sampler": {"keep": "weights"}}` leaves the predictions of all draws for all rows out of `inference_data_`.
    random_state : int, RandomState instance or None, default=None
        Seed of everything random; the same number gives the same draws as `seed` of a workflow's config.
    n_jobs : int, default=None
        Processes that share the chains, as joblib counts them. The draws do not depend on it.
    verbose : bool, default=False
        Whether to show a progress bar.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The classes, sorted.
    n_features_in_ : int
        Number of features.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the features, if `X` had some.
    inference_data_ : arviz.InferenceData
        All draws, what they predict for the rows of the fit, and how the sampler went.
    diagnostics_ : dict
        `verdict` (PASS, WARN or FAIL), `reasons`, and the figures behind them: R-hat and effective sample sizes of the
        predictions and of the log density, and how each chain went.
    seed_ : int
        The seed of the fit.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from bnn import BNNClassifier
    >>> X, y = load_iris(return_X_y=True, as_frame=True)
    >>> model = BNNClassifier(warmup=300, draws=200, thin=2, random_state=1).fit(X, y)
    >>> print(model.diagnostics_["verdict"])
    PASS
    >>> model.predict_proba(X[:2]).round(1)
    array([[1., 0., 0.],
           [1., 0., 0.]])
    """

    _task = "classification"

    def __init__(
        self,
        hidden: tuple[int, ...] = _NETWORK.hidden,
        *,
        activation: str = _NETWORK.activation,
        prior_scale: float = _PRIOR.scale,
        kernel: str = _SAMPLER.kernel,
        chains: int = _SAMPLER.chains,
        warmup: int = _SAMPLER.warmup,
        draws: int = _SAMPLER.draws,
        thin: int = _SAMPLER.thin,
        settings: Mapping[str, Any] | None = None,
        random_state: Any = None,
        n_jobs: int | None = None,
        verbose: bool = False,
    ) -> None:
        self.hidden = hidden
        self.activation = activation
        self.prior_scale = prior_scale
        self.kernel = kernel
        self.chains = chains
        self.warmup = warmup
        self.draws = draws
        self.thin = thin
        self.settings = settings
        self.random_state = random_state
        self.n_jobs = n_jobs
        self.verbose = verbose

    def fit(self, X: ArrayLike, y: ArrayLike) -> Self:
        """Sample the posterior.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Features; they are standardised here.
        y : array-like of shape (n_samples,)
            Classes.

        Raises
        ------
        ValueError
            If the data or a parameter cannot be used; the message says why.
        """
        settings = self._settings()
        target_name = str(getattr(y, "name", None) or "y")
        x, y = validate_data(self, X, y, dtype=np.float64, ensure_min_samples=2)
        check_classification_targets(y)
        self.classes_, index = np.unique(y, return_inverse=True)
        if len(self.classes_) < 2:
            raise ValueError(
                f"{type(self).__name__} needs rows of two classes at least; all are of the class {self.classes_[0]!r}"
            )
        names = tuple(str(name) for name in self.classes_.tolist())
        return self._fit(self._dataset(x, index.astype(np.int64), names, target_name), settings)

    def predict_proba(self, X: ArrayLike) -> np.ndarray:
        """Return the probability of each class, averaged over all draws.

        Parameters
        ----------
        X : array-like of shape (n_rows, n_features)
            Rows.

        Returns
        -------
        ndarray of shape (n_rows, n_classes)
            In the order of `classes_`.
        """
        return cast(ClassSummary, self._predictive(X)).probability

    def predict(self, X: ArrayLike) -> np.ndarray:
        """Return the most probable class of each row.

        Parameters
        ----------
        X : array-like of shape (n_rows, n_features)
            Rows.

        Returns
        -------
        ndarray of shape (n_rows,)
        """
        probability = self.predict_proba(X)
        return np.asarray(self.classes_[predicted_class(probability)])

    def sample_posterior(
        self,
        X: ArrayLike,
        n_samples: int | None = None,
        *,
        observations: bool = False,
        random_state: int | None = None,
    ) -> np.ndarray:
        drawn = super().sample_posterior(X, n_samples, observations=observations, random_state=random_state)
        return np.asarray(self.classes_[drawn]) if observations else drawn

    sample_posterior.__doc__ = _BNN.sample_posterior.__doc__


class BNNRegressor(RegressorMixin, _BNN):
    """Bayesian neural network for a real target, its posterior sampled by MCMC.

    Parameters
    ----------
    hidden : tuple of int, default=(10,)
        Units of each hidden layer; () gives a linear model.
    activation : {"tanh", "relu", "sigmoid"}, default="tanh"
        Activation of the hidden units.
    prior_scale : float, default=1.0
        Standard deviation of the normal prior of the weights, before it is divided by the square root of the number of
        inputs of a layer. (`settings` has other families, and scales that are learned.)
    likelihood : {"gaussian", "heteroscedastic", "student_t"}, default="gaussian"
        Noise of the target: normal and the same for all rows; normal with a scale that the network predicts; or with
        heavy tails.
    kernel : str, default="auto"
        How the sampler moves; see `sampler.kernel` of the config.
    chains : int, default=4
        Independent chains, which R-hat compares.
    warmup : int, default=1000
        Moves per chain that tune the sampler, and are not kept.
    draws : int, default=1000
        Draws kept per chain.
    thin : int, default=1
        Moves per kept draw.
    settings : dict, default=None
        Other keys of the sections network, prior, likelihood, sampler and diagnostics of the config, nested as there:
        `{"sampler": {"explore": 2000}, "network": {"engine": "numba", "precision": "float32"}}`. For large tables,
        `{"sampler": {"keep": "weights"}}` leaves the predictions of all draws for all rows out of `inference_data_`.
    random_state : int, RandomState instance or None, default=None
        Seed of everything random; the same number gives the same draws as `seed` of a workflow's config.
    n_jobs : int, default=None
        Processes that share the chains, as joblib counts them. The draws do not depend on it.
    verbose : bool, default=False
        Whether to show a progress bar.

    Attributes
    ----------
    n_features_in_ : int
        Number of features.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the features, if `X` had some.
    inference_data_ : arviz.InferenceData
        All draws, what they predict for the rows of the fit, and how the sampler went.
    diagnostics_ : dict
        `verdict` (PASS, WARN or FAIL), `reasons`, and the figures behind them: R-hat and effective sample sizes of the
        predictions and of the log density, and how each chain went.
    seed_ : int
        The seed of the fit.

    Examples
    --------
    >>> import numpy as np
    >>> from bnn import BNNRegressor
    >>> x = np.linspace(-2, 2, 60)
    >>> y = np.sin(2 * x) + 0.1 * np.random.default_rng(0).standard_normal(60)
    >>> model = BNNRegressor(hidden=(5,), warmup=300, draws=300, thin=3, random_state=1).fit(x[:, None], y)
    >>> mean, sd = model.predict([[0.0], [6.0]], return_std=True)
    >>> print(f"{mean[0]:.1f}; surer at 0 than at 6: {sd[0] < sd[1]}")
    0.0; surer at 0 than at 6: True
    >>> lower, upper = model.predict_interval([[0.0]], coverage=0.9).T
    """

    _task = "regression"

    def __init__(
        self,
        hidden: tuple[int, ...] = _NETWORK.hidden,
        *,
        activation: str = _NETWORK.activation,
        prior_scale: float = _PRIOR.scale,
        likelihood: str = _LIKELIHOOD.family,
        kernel: str = _SAMPLER.kernel,
        chains: int = _SAMPLER.chains,
        warmup: int = _SAMPLER.warmup,
        draws: int = _SAMPLER.draws,
        thin: int = _SAMPLER.thin,
        settings: Mapping[str, Any] | None = None,
        random_state: Any = None,
        n_jobs: int | None = None,
        verbose: bool = False,
    ) -> None:
        self.hidden = hidden
        self.activation = activation
        self.prior_scale = prior_scale
        self.likelihood = likelihood
        self.kernel = kernel
        self.chains = chains
        self.warmup = warmup
        self.draws = draws
        self.thin = thin
        self.settings = settings
        self.random_state = random_state
        self.n_jobs = n_jobs
        self.verbose = verbose

    def fit(self, X: ArrayLike, y: ArrayLike) -> Self:
        """Sample the posterior.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Features; they are standardised here.
        y : array-like of shape (n_samples,)
            Target, in its own unit.

        Raises
        ------
        ValueError
            If the data or a parameter cannot be used; the message says why.
        """
        settings = self._settings()
        target_name = str(getattr(y, "name", None) or "y")
        x, y = validate_data(self, X, y, dtype=np.float64, y_numeric=True, ensure_min_samples=2)
        y = np.asarray(y, dtype=np.float64)
        if np.ptp(y) == 0:
            raise ValueError(f"the target is {y[0]:g} in every row: there is nothing to learn")
        return self._fit(self._dataset(x, y, (), target_name), settings)

    def predict(self, X: ArrayLike, return_std: bool = False) -> np.ndarray | tuple[np.ndarray, np.ndarray]:
        """Return the mean of the target, averaged over all draws.

        Parameters
        ----------
        X : array-like of shape (n_rows, n_features)
            Rows.
        return_std : bool, default=False
            Whether to return the standard deviation of a new observation as well: noise, and doubt about the network.

        Returns
        -------
        mean : ndarray of shape (n_rows,)
        std : ndarray of shape (n_rows,)
            If `return_std`.
        """
        summary = cast(TargetSummary, self._predictive(X))
        return (summary.mean, np.sqrt(summary.total)) if return_std else summary.mean

    def predict_interval(self, X: ArrayLike, coverage: float = 0.9) -> np.ndarray:
        """Return central intervals that hold a new observation with a given probability.

        Parameters
        ----------
        X : array-like of shape (n_rows, n_features)
            Rows.
        coverage : float, default=0.9
            That probability.

        Returns
        -------
        ndarray of shape (n_rows, 2)
            Lower and upper ends.

        Raises
        ------
        ValueError
            If the coverage is not between 0 and 1.
        """
        if not 0 < coverage < 1:
            raise ValueError(f"coverage={coverage}: choose a probability between 0 and 1, such as 0.9")
        rng = chain_rng(self.seed_, Stream.NEW_ROWS)
        x = self._x(X)
        grid = predict_grid(self._predictor, self._theta, x, levels=[coverage], rng=rng)
        return np.stack([grid.lower[0], grid.upper[0]], axis=1)


def _plain(value: Any) -> Any:
    """Return a value as YAML would give it: grids of parameters often hold numbers and tuples of NumPy."""
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value


def _nested(path: tuple[str, ...], value: Any) -> Any:
    for key in reversed(path):
        value = {key: value}
    return value


def _holds(keys: Any, path: tuple[str, ...]) -> bool:
    for key in path:
        if not isinstance(keys, Mapping) or key not in keys:
            return False
        keys = keys[key]
    return True


def _leaves(keys: Mapping[str, Any], path: tuple[str, ...] = ()) -> list[tuple[tuple[str, ...], Any]]:
    found = []
    for key, value in keys.items():
        found += _leaves(value, (*path, key)) if isinstance(value, Mapping) else [((*path, key), value)]
    return found
