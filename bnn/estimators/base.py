"""What the estimators share: data in, a sampled posterior, and what its draws predict."""

import warnings
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import Tags, check_random_state
from sklearn.utils.validation import check_array, check_is_fitted, check_X_y, validate_data

from bnn.core.errors import DataError
from bnn.core.seeding import Stream, chain_rng
from bnn.data import encoding as columns
from bnn.data.cells import check
from bnn.data.dataset import Task
from bnn.data.doubts import missing_doubts
from bnn.data.preparation import without_test_rows
from bnn.data.typed_columns import tidy
from bnn.estimators.fitting import fit
from bnn.estimators.parameters import Names, in_own_words, resolve, warning
from bnn.posterior import arviz_versions
from bnn.posterior.predictive import ClassSummary, TargetSummary, predict_rows


class BNN(BaseEstimator):
    """A Bayesian neural network behind the interface of scikit-learn.

    It is another way into what the workflow runs, not another sampler: the same settings, data and seed give the same
    draws, bit for bit.
    """

    _task: Task

    # What the parameters mean is said where they are listed, in the classes of the two tasks.
    missing: Any
    settings: Mapping[str, Any] | None
    random_state: Any
    n_jobs: int | None
    verbose: bool

    def _settings(self) -> dict[str, Any]:
        """Return all settings, resolved; `random_state` becomes a seed, drawn from it if it is not a number."""
        parameters = self.get_params(deep=False)
        if self.random_state is None or isinstance(self.random_state, np.random.RandomState):
            generator = check_random_state(self.random_state)
            parameters["random_state"] = int(generator.randint(np.iinfo(np.int32).max))
        elif isinstance(self.random_state, np.random.Generator):
            parameters["random_state"] = int(self.random_state.integers(np.iinfo(np.int32).max))
        return resolve(type(self).__name__, parameters, self.settings, task=self._task)

    @property
    def _names(self) -> Names:
        return Names(list(self.get_params(deep=False)))

    def _fit(
        self,
        frame: pd.DataFrame,
        y: np.ndarray,
        settings: dict[str, Any],
        *,
        target_name: str,
        class_names: tuple[str, ...] = (),
    ) -> Self:
        name = type(self).__name__
        self.__dict__.pop("_predictor", None)  # of an earlier fit, should this one fail
        with self._own_words():
            check(frame, missing=settings["columns"]["missing"])
            self._encoding = columns.fit(frame, **settings["columns"])
            dataset = without_test_rows(
                name,
                frame,
                y,
                task=self._task,
                encoding=self._encoding,
                target_name=target_name,
                class_names=class_names,
            )
            doubts = missing_doubts(frame, self._encoding, missing=settings["columns"]["missing"])
            for doubt in doubts:
                warnings.warn(self._names.translated(str(doubt)), stacklevel=3)
        found = fit(dataset, settings, n_jobs=self.n_jobs, verbose=bool(self.verbose))
        self._posterior: Any = found.posterior
        self.diagnostics_ = in_own_words(found.diagnostics, self._names)
        self.seed_ = settings["seed"]
        self._theta, self._predictor = found.theta, found.predictor
        if text := warning(name, self.diagnostics_, found.settings, self._names):
            warnings.warn(text, ConvergenceWarning, stacklevel=3)
        return self

    def __sklearn_is_fitted__(self) -> bool:
        """Return whether a fit has come to its end."""
        return hasattr(self, "_predictor")

    @property
    def inference_data_(self) -> Any:
        """All draws, as ArviZ has them: made when it is first asked for, since that takes longer than a small fit."""
        check_is_fitted(self)
        if isinstance(self._posterior, bytes):
            self._posterior = arviz_versions.from_bytes(self._posterior)
        return self._posterior

    def _data(self, X: Any, y: Any) -> tuple[pd.DataFrame, np.ndarray, str]:
        """Return features as `tidy` makes them, the target as it is, and its name."""
        target_name = str(getattr(y, "name", None) or "y")
        X = _in_pandas(X)
        is_number = self._task == "regression"
        if isinstance(X, pd.DataFrame):
            # scikit-learn's own check would refuse columns of texts; of the target it knows more than this module.
            validate_data(self, X, y, skip_check_array=True)
            _, y = check_X_y(np.zeros((len(X), 1)), y, y_numeric=is_number, ensure_min_samples=2)
            return self._tidy(X), y, target_name
        finite = "allow-nan" if self._imputes else True
        x, y = validate_data(
            self, X, y, dtype=np.float64, y_numeric=is_number, ensure_all_finite=finite, ensure_min_samples=2
        )
        return self._tidy(x), y, target_name

    def _tidy(self, X: pd.DataFrame | np.ndarray, texts: Collection[str] = ()) -> pd.DataFrame:
        """Return columns that are called as in the fit: by position where that saw no names."""
        names = getattr(self, "feature_names_in_", None)
        if names is None:
            names = [f"x{index}" for index in range(self.n_features_in_)]
        if isinstance(X, pd.DataFrame):
            X = X.set_axis(list(names), axis=1)
        else:
            X = pd.DataFrame(X, columns=list(names), copy=False)
        with self._own_words():
            return tidy(X, texts=texts)

    @property
    def _imputes(self) -> bool:
        return bool(self.missing != "error")

    @contextmanager
    def _own_words(self) -> Iterator[None]:
        """Say in terms of this estimator what the code of the workflow says in terms of the config."""
        try:
            yield
        except DataError as error:
            raise error.reworded(self._names.translated(str(error))) from None

    def _x(self, X: Any) -> np.ndarray:
        """Return new rows as the network takes them, shape (obs, input)."""
        check_is_fitted(self)
        X = _in_pandas(X)
        if isinstance(X, pd.DataFrame):
            validate_data(self, X, skip_check_array=True, reset=False)
            check_array(np.zeros((len(X), 1)))  # which has a message for a table without rows
        else:
            finite = "allow-nan" if self._imputes else True
            X = validate_data(self, X, dtype=np.float64, ensure_all_finite=finite, reset=False)
        # The fit knows which columns hold texts; rows that happen to hold "F" alone do not make them truth values.
        frame = self._tidy(X, [name for name, kind in self._encoding.kinds.items() if kind == "text"])
        with self._own_words():
            encoded = self._encoding.transform(frame)
        of_fit = {column.name: column.n_missing for column in self._encoding.columns}
        for name, count in encoded.n_missing.items():
            if not of_fit[name]:
                warnings.warn(
                    f"column '{name}': no row of the fit lacks a value, and {count} of these do; they are filled in",
                    stacklevel=4,
                )
        for name, levels in encoded.unseen.items():
            shown = ", ".join(repr(level) for level in list(levels)[:5])
            warnings.warn(
                f"column '{name}': texts that no row of the fit has, in {sum(levels.values())} of the rows, such as "
                f"{shown}; they are taken for none of the known ones",
                stacklevel=4,
            )
        return encoded.x

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
        return self._as_observed(np.concatenate(values)) if observations else np.concatenate(values)

    def _as_observed(self, drawn: np.ndarray) -> np.ndarray:
        """Return draws of the target as `y` of the fit has it."""
        return drawn

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        tags.input_tags.allow_nan = self._imputes
        return tags


def _in_pandas(X: Any) -> Any:
    """Return a frame of another library, such as polars, as one of pandas; anything else as it is."""
    is_other = not isinstance(X, pd.DataFrame) and hasattr(X, "to_pandas") and hasattr(X, "columns")
    return X.to_pandas() if is_other else X
