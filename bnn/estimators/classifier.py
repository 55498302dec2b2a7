"""The estimator for classes."""

from collections.abc import Mapping
from typing import Any, Self, cast

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import ClassifierMixin
from sklearn.utils.multiclass import check_classification_targets

from bnn.core.errors import Fault
from bnn.core.settings import WARMUP
from bnn.estimators.base import BNN
from bnn.estimators.parameters import COLUMNS, NETWORK, PRIOR, SAMPLER
from bnn.posterior.predictive import ClassSummary, predicted_class


class BNNClassifier(ClassifierMixin, BNN):
    """Bayesian neural network for classes, its posterior sampled by MCMC.

    Parameters
    ----------
    hidden : tuple of int or "auto", default="auto"
        Units of each hidden layer, such as (50, 50); () gives a linear model; "auto" chooses on folds of the rows.
    activation : {"auto", "tanh", "relu", "sigmoid"}, default="auto"
        Activation of the hidden units; "auto" chooses it together with `hidden`, and is tanh where that is given.
    prior_scale : float or "auto", default="auto"
        Standard deviation of the normal prior of the weights, before it is divided by the square root of the number of
        inputs of a layer; "auto" chooses it together with `hidden`. (`settings` has other families, and
        scales that are learned.)
    kernel : str, default="auto"
        How an iteration proposes; see `sampler.kernel` of the config.
    chains : int, default=4
        Independent chains, which R-hat compares.
    warmup : int, default=1000
        Iterations per chain that tune the sampler, and are not kept.
    draws : int, default=1000
        Draws kept per chain.
    thin : int, default=1
        Iterations per kept draw.
    missing : {"auto", "error", "impute"}, default="auto"
        What to do with missing values: fill in the median or the most frequent value, with a feature that says so, and
        warn; refuse them; or fill them in without a warning.
    settings : dict, default=None
        Other keys of the sections columns, network, prior, likelihood, sampler and diagnostics of the config, nested
        as there: `{"sampler": {"explore": 2000}, "network": {"engine": "numpy", "precision": "float64"}}`. For large
        tables, `{"sampler": {"keep": "weights"}}` leaves the predictions of all draws for all rows out of
        `inference_data_`.
    random_state : int, Generator, RandomState or None, default=None
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
    feature_names_in_ : ndarray of shape (n_features,)
        Names of the features, if `X` had some.
    inference_data_ : arviz.InferenceData (ArviZ 0.23) or xarray.DataTree (ArviZ 1)
        All draws, what they predict for the rows of the fit, and how the sampler went.
    diagnostics_ : dict
        `verdict` (PASS, WARN, LOCAL or FAIL), `reasons`, and the figures behind them: R-hat and effective sample sizes
        of the predictions and of the log density, and how each chain went.
    seed_ : int
        The seed of the fit.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from bnn import BNNClassifier
    >>> X, y = load_iris(return_X_y=True, as_frame=True)
    >>> model = BNNClassifier(hidden=(20,), prior_scale=1.0, random_state=1).fit(X, y)
    >>> print(model.diagnostics_["verdict"])
    PASS
    >>> model.predict_proba(X[:2]).argmax(axis=1)
    array([0, 0])
    """

    _task = "classification"

    def __init__(
        self,
        hidden: tuple[int, ...] | str = NETWORK.hidden,
        *,
        activation: str = NETWORK.activation,
        prior_scale: float | str = PRIOR.scale,
        kernel: str = SAMPLER.kernel,
        chains: int = 4,
        warmup: int = WARMUP,
        draws: int = 1000,
        thin: int = SAMPLER.thin,
        missing: str = COLUMNS.missing,
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
        self.missing = missing
        self.settings = settings
        self.random_state = random_state
        self.n_jobs = n_jobs
        self.verbose = verbose

    def fit(self, X: ArrayLike, y: ArrayLike) -> Self:
        """Sample the posterior.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Features. Numbers are standardised here; a pandas frame may hold texts, categories and truth values too,
            which become features of zeros and ones.
        y : array-like of shape (n_samples,)
            Classes.

        Raises
        ------
        ValueError
            If the data or a parameter cannot be used; the message says why.
        """
        settings = self._settings()
        frame, y, target_name = self._data(X, y)
        if y.dtype == object and any(label is None for label in y):
            raise Fault("value-missing", "y holds None: give those rows a class, or leave them out")
        check_classification_targets(y)
        self.classes_, index = np.unique(y, return_inverse=True)
        if len(self.classes_) < 2:
            raise Fault(
                "target-constant",
                f"{type(self).__name__} needs rows of two classes at least; all are of the class '{self.classes_[0]}'",
            )
        names = tuple(str(name) for name in self.classes_.tolist())
        index = index.astype(np.int64)
        return self._fit(frame, index, settings, target_name=target_name, class_names=names)

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

    def _as_observed(self, drawn: np.ndarray) -> np.ndarray:
        """Return classes of class indices."""
        return np.asarray(self.classes_[drawn])
