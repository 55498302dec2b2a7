"""The estimator for real targets."""

from collections.abc import Mapping, Sequence
from typing import Any, Self, cast

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import RegressorMixin

from bnn.core.errors import Fault
from bnn.core.seeding import Stream, chain_rng
from bnn.core.settings import WARMUP
from bnn.estimators.base import BNN
from bnn.estimators.parameters import COLUMNS, LIKELIHOOD, NETWORK, PRIOR, SAMPLER
from bnn.posterior.predictive import TargetSummary, predict_grid


class BNNRegressor(RegressorMixin, BNN):
    """Bayesian neural network for a real target, its posterior sampled by MCMC.

    Parameters
    ----------
    hidden : tuple of int or "auto", default="auto"
        Units of each hidden layer, such as (50, 50); () gives a linear model; "auto" chooses on folds of the rows.
    activation : {"auto", "tanh", "relu", "sigmoid"}, default="auto"
        Activation of the hidden units; "auto" is tanh.
    prior_scale : float or "auto", default="auto"
        Standard deviation of the normal prior of the weights, before it is divided by the square root of the number of
        inputs of a layer; "auto" chooses it together with `hidden`. (`settings` has other families, and
        scales that are learned.)
    likelihood : str, default="auto"
        Family of the target, as `likelihood.family` of the config: "gaussian", noise that is the same for all rows;
        "heteroscedastic", a scale that the network predicts; "student_t", heavy tails, and
        "heteroscedastic_student_t", both; "log_normal" and "logit_normal",
        for positive targets and for shares; "poisson" and "negative_binomial", counts; "hurdle", amounts that are often
        0; "auto" chooses on folds of the rows.
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
    >>> import numpy as np
    >>> from bnn import BNNRegressor
    >>> x = np.linspace(-2, 2, 60)
    >>> y = np.sin(2 * x) + 0.3 * np.random.default_rng(0).standard_normal(60)
    >>> model = BNNRegressor(hidden=(5,), prior_scale=1.0, warmup=500, draws=500, random_state=1).fit(x[:, None], y)
    >>> mean, sd = model.predict([[0.0], [6.0]], return_std=True)
    >>> print(f"surer at 0 than at 6: {sd[0] < sd[1]}")
    surer at 0 than at 6: True
    >>> lower, upper = model.predict_interval([[0.0]], coverage=0.9).T
    """

    _task = "regression"

    def __init__(
        self,
        hidden: tuple[int, ...] | str = NETWORK.hidden,
        *,
        activation: str = NETWORK.activation,
        prior_scale: float | str = PRIOR.scale,
        likelihood: str = LIKELIHOOD.family,
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
        self.likelihood = likelihood
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
            Target, in its own unit.

        Raises
        ------
        ValueError
            If the data or a parameter cannot be used; the message says why.
        """
        settings = self._settings()
        frame, y, target_name = self._data(X, y)
        y = np.asarray(y, dtype=np.float64)
        if np.ptp(y) == 0:
            raise Fault("target-constant", f"the target is {y[0]:g} in every row: there is nothing to learn")
        return self._fit(frame, y, settings, target_name=target_name)

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

    def predict_interval(self, X: ArrayLike, coverage: float | Sequence[float] = 0.9) -> np.ndarray:
        """Return central intervals that hold a new observation with a given probability.

        Parameters
        ----------
        X : array-like of shape (n_rows, n_features)
            Rows.
        coverage : float or sequence of float, default=0.9
            That probability, or several.

        Returns
        -------
        ndarray of shape (n_rows, 2) or (n_coverages, n_rows, 2)
            Lower and upper ends; of several probabilities in their order.

        Raises
        ------
        ValueError
            If a coverage is not between 0 and 1.
        """
        levels = np.asarray(coverage, dtype=np.float64)
        if levels.ndim > 1 or not levels.size or not ((levels > 0) & (levels < 1)).all():
            raise ValueError(
                f"coverage={coverage}: choose a probability between 0 and 1, such as 0.9, or several"
            )
        rng = chain_rng(self.seed_, Stream.NEW_ROWS)
        x = self._x(X)
        grid = predict_grid(self._predictor, self._theta, x, levels=np.atleast_1d(levels).tolist(), rng=rng)
        intervals = np.stack([grid.lower, grid.upper], axis=-1)
        return intervals if levels.ndim else intervals[0]
