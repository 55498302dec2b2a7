"""scikit-learn's histogram gradient boosting: probabilities of classes, or quantiles and the mean of a real target.

Trees are grown until a part of the training rows is no longer predicted better, and then once more, as many, on all of
them: what the baseline network does with its epochs, but scikit-learn may part rows with the same inputs.

A real target gets a model for each of `LEVELS`, by the quantile loss (Koenker & Bassett 1978), and one for its mean, by
the squared error. Quantiles that cross are sorted (Chernozhukov, Fernández-Val & Galichon 2010). They say nothing of a
density.

Values that many rows share are spread out before, because their quantiles would not say how probable each is: counts
evenly over the unit about each, so that rounding gives them back (Machado & Santos Silva 2005), and zeros of amounts
below 0, so that cutting off does. The log of an exposure is a feature like another here.
"""

from typing import Any

import numpy as np

from bnn.data.dataset import Dataset
from bnn.model.targets import Target

LEVELS = (0.025, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.975)
"""Levels of the quantiles: the ends of the intervals that hold 50, 90 and 95 %, and two more in between."""
MAX_TREES = 200
"""Trees at most, of each class where there are more than two."""
PLAIN_TREES = 100
"""Trees where no rows can be set aside: scikit-learn's own number."""

_QUANTILES_SURVIVE = ("standardised", "log", "logit")
"""Forms of a target that are increasing functions of it, and finite: quantiles of one are quantiles of the other."""


def boosting_predictions(
    dataset: Dataset,
    *,
    validation_size: float,
    class_weight: str,
    rng: np.random.Generator,
    target: Target | None = None,
) -> dict[str, np.ndarray]:
    """Boost trees on the training rows and predict.

    Parameters
    ----------
    dataset
        The table.
    validation_size, class_weight
        Those of `BaselineSettings`.
    rng
        Draws the rows that are set aside, the same ones for every model.
    target
        How the likelihood describes a real target; None: as it is standardised in the table. Quantiles are those of its
        logs or logits, where it has such, turned back; and of counts, and amounts with zeros, those of spread ones.

    Returns
    -------
    dict
        `train_probability` and `test_probability` (obs, class); or `train_mean` and `test_mean` (obs,), the quantiles
        `train_quantile` and `test_quantile` (level, obs), in the unit of the target, and their `level` (level,).
    """
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

    x, inputs = dataset.x_train, {"train": dataset.x_train, "test": dataset.x_test}
    shared: dict[str, Any] = {
        "random_state": int(rng.integers(2**31)),
        "validation_fraction": validation_size,
    }
    if dataset.task == "classification":
        shared["class_weight"] = "balanced" if class_weight == "balanced" else None
        can_stop = _has_rows_to_spare(dataset.y_train, validation_size)
        model = _fitted(HistGradientBoostingClassifier, x, dataset.y_train, shared, can_stop=can_stop)
        return {f"{split}_probability": model.predict_proba(rows) for split, rows in inputs.items()}
    as_given = Target(dataset.target_mean, dataset.target_scale)
    described = target if target is not None and target.form in _QUANTILES_SURVIVE else as_given
    found: dict[str, np.ndarray] = {"level": np.array(LEVELS)}
    can_stop = np.ceil(validation_size * len(x)) < len(x) - 1
    mean = _fitted(HistGradientBoostingRegressor, x, dataset.y_train, shared, can_stop=can_stop)
    encoded = described.encode(dataset.y_train)
    if target is not None and target.form in ("count", "hurdle"):
        encoded = _spread_out(dataset.y_train, target, rng)
    quantiles = [
        _fitted(
            HistGradientBoostingRegressor,
            x,
            encoded,
            shared | {"loss": "quantile", "quantile": level},
            can_stop=can_stop,
        )
        for level in LEVELS
    ]
    for split, rows in inputs.items():
        found[f"{split}_mean"] = as_given.decode(mean.predict(rows))
        predicted = np.stack([model.predict(rows) for model in quantiles])
        found[f"{split}_quantile"] = np.sort(described.decode(predicted), axis=0)
    return found


def _spread_out(y: np.ndarray, target: Target, rng: np.random.Generator) -> np.ndarray:
    """Return standardised counts, or amounts with zeros, none of which many rows share; (obs,) -> (obs,)."""
    value = target.original(y)
    if target.form == "count":
        value = value + rng.uniform(-0.5, 0.5, size=len(y))
    elif (is_zero := value == 0).any() and not is_zero.all():
        # As dense as what lies on the other side of 0.
        value = np.where(is_zero, -np.median(value[~is_zero]) * rng.random(len(y)), value)
    return np.asarray((value - target.mean) / target.scale)


def _fitted(kind: Any, x: np.ndarray, y: np.ndarray, own: dict[str, Any], *, can_stop: bool = True) -> Any:
    """Return a model of as many trees as the rows set aside found best, fitted to all rows."""
    n_trees = PLAIN_TREES
    if can_stop:
        stopped = kind(early_stopping=True, max_iter=MAX_TREES, **own).fit(x, y)
        # The first of its scores is that of no tree at all.
        n_trees = max(1, int(np.argmax(stopped.validation_score_)))
    return kind(early_stopping=False, max_iter=n_trees, **own).fit(x, y)


def _has_rows_to_spare(y: np.ndarray, validation_size: float) -> bool:
    """Whether rows of every class can be set aside, and be left; class indices (obs,)."""
    count = np.bincount(y)
    n_held = int(np.ceil(validation_size * len(y)))
    return bool(count.min() > 1 and n_held >= len(count) and len(y) - n_held >= len(count))
