"""What the Bayesian network is compared with: the same network trained by Adam, an ensemble of such, other models.

These are a linear model and gradient boosting. Of a time series the last known value, as the forecast of what comes,
stands beside them: what a model must beat. All see the same training rows and standardisation as the chains, and are
judged on the same test rows in the same units. A deep ensemble (Lakshminarayanan, Pritzel & Blundell 2017) is several
networks, each from its own start on its own order of the rows; what it predicts is the mean of their predictive
distributions.
"""

import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from bnn.baselines.boosting import boosting_predictions
from bnn.baselines.training import BaselineSettings, TrainedNetwork, train
from bnn.core.seeding import Stream, chain_rng
from bnn.data.dataset import Dataset
from bnn.model.categorical import softmax
from bnn.model.layout import ParameterLayout
from bnn.model.likelihoods import LOG_NOISE_SCALE, Likelihood
from bnn.model.network import Network, outputs
from bnn.model.targets import Target

RIDGE_PENALTIES = np.logspace(-3, 4, 29)
LOGISTIC_PENALTIES = np.logspace(-3, 3, 13)
MAX_FOLDS = 5


def network_predictions(
    dataset: Dataset,
    network: Network,
    settings: BaselineSettings,
    rngs: Sequence[np.random.Generator],
    target: Target | None = None,
    likelihood: Likelihood | None = None,
) -> tuple[dict[str, np.ndarray], list[TrainedNetwork]]:
    """Train networks and return the predictive distribution of each on train and test.

    In regression the noise scale is the root mean square of the residuals that the first, stopped network leaves on the
    validation rows: on rows that weights were fitted to, residuals are too small.

    Parameters
    ----------
    dataset
        The table.
    network
        The architecture.
    settings
        How to train.
    rngs
        One for each network.
    target
        How the likelihood describes a real target; None: as it is standardised in the table.
    likelihood
        Of a target that is no real number with noise on it, which is then trained with it.

    Returns
    -------
    predictions
        `train_probability` and `test_probability` (network, obs, class); or `train_mean` and `test_mean` (network, obs)
        and `noise_scale` (network,), in original target units. Of a target that is encoded in another way than by
        standardising: `train_output` and `test_output` (network, output, obs), and the likelihood's own parameters
        (network,).
    fits
        The networks.
    """
    n_classes = dataset.n_outputs if dataset.task == "classification" else None
    encoded = dataset.y_train if target is None else target.encode(dataset.y_train)
    fits = train(
        network,
        dataset.x_train,
        encoded,
        n_classes=n_classes,
        settings=settings,
        rngs=rngs,
        likelihood=likelihood,
        in_order=dataset.in_order,
        groups=dataset.group_train,
    )
    theta = np.stack([fit.theta for fit in fits])
    inputs = {"train": dataset.x_train, "test": dataset.x_test}
    if n_classes is not None:
        return {
            f"{split}_probability": softmax(outputs(network, theta, x).swapaxes(1, 2))
            for split, x in inputs.items()
        }, fits
    found = {split: outputs(network, theta, x) for split, x in inputs.items()}
    own = {} if likelihood is None else _own_parameters(network, likelihood, theta)
    if likelihood is None:
        noise = np.empty(len(fits))
        for index, fit in enumerate(fits):
            left_out = outputs(network, fit.stopped_theta[None], dataset.x_train[fit.validation_rows])[0, 0]
            noise[index] = np.sqrt(np.mean((left_out - encoded[fit.validation_rows]) ** 2))
        own = {LOG_NOISE_SCALE: np.log(noise)}
    return _in_units(found, own, target or _as_in(dataset)), fits


def _own_parameters(network: Network, likelihood: Likelihood, theta: np.ndarray) -> dict[str, np.ndarray]:
    """Return the likelihood's own parameters, (network,) each: they stand behind the network's."""
    start = ParameterLayout(network.parameter_shapes).n_params
    return {name: theta[:, start + index] for index, name in enumerate(likelihood.parameter_priors)}


def _as_in(dataset: Dataset) -> Target:
    return Target(dataset.target_mean, dataset.target_scale)


def _in_units(
    found: Mapping[str, np.ndarray], own: Mapping[str, np.ndarray], target: Target
) -> dict[str, np.ndarray]:
    """Return means and noise in the unit of the target, or outputs and parameters where the target is transformed."""
    if target.form != "standardised":
        return {f"{split}_output": output for split, output in found.items()} | dict(own)
    means = {
        f"{split}_mean": target.mean + target.scale * output[..., 0, :] for split, output in found.items()
    }
    return means | {"noise_scale": np.asarray(target.scale * np.exp(own[LOG_NOISE_SCALE]))}


def linear_predictions(
    dataset: Dataset,
    *,
    class_weight: str,
    target: Target | None = None,
) -> dict[str, np.ndarray]:
    """Fit scikit-learn's logistic or ridge regression, its penalty chosen by cross-validation, and predict.

    `class_weight` is that of `BaselineSettings`, for logistic regression. The noise scale of ridge regression is the
    root of its leave-one-out error: residuals are too small where coefficients are many, and how many degrees of
    freedom they take depends on the penalty. Returns what `network_predictions` does, without its first axis.
    """
    x, y = dataset.x_train, dataset.y_train
    if dataset.task == "classification":
        logistic = _fit_logistic(x, y, class_weight=class_weight)
        return {
            "train_probability": logistic.predict_proba(x),
            "test_probability": logistic.predict_proba(dataset.x_test),
        }
    from sklearn.linear_model import RidgeCV

    target = target or _as_in(dataset)
    encoded = target.encode(y)
    ridge = RidgeCV(alphas=RIDGE_PENALTIES).fit(x, encoded)
    noise = np.sqrt(-ridge.best_score_)
    found = {"train": ridge.predict(x)[None], "test": ridge.predict(dataset.x_test)[None]}
    return _in_units(found, {LOG_NOISE_SCALE: np.log(noise)}, target)


def _fit_logistic(x: np.ndarray, y: np.ndarray, *, class_weight: str) -> Any:
    """Return logistic regression whose penalty has the best cross-validated likelihood.

    There are as many folds, each with rows of every class, as the rarest class has rows, at most `MAX_FOLDS`. With one
    row of a class there can be none: the penalty is then scikit-learn's own, 1.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import GridSearchCV, PredefinedSplit

    # At the default tolerance, probabilities of classes that can nearly be told apart are off by some hundredths.
    model = LogisticRegression(
        tol=1e-6, max_iter=5000, class_weight="balanced" if class_weight == "balanced" else None
    )
    n_folds = min(MAX_FOLDS, int(np.bincount(y).min()))
    if n_folds >= 2:
        folds = PredefinedSplit(stratified_folds(y, n_folds))
        model = GridSearchCV(model, {"C": 1 / LOGISTIC_PENALTIES}, cv=folds, scoring="neg_log_loss")
    return model.fit(x, y)


def stratified_folds(y: np.ndarray, n_folds: int) -> np.ndarray:
    """Return the fold of each row, (obs,): the rows of each class are dealt out in turn; y are class indices.

    Neighbours in the table come into different folds, which the blocks of scikit-learn's StratifiedKFold do not do.
    """
    folds = np.empty(len(y), dtype=np.int64)
    # The next class continues where the one before ended, so that folds are of one size.
    folds[np.argsort(y, kind="stable")] = np.arange(len(y)) % n_folds
    return folds


def naive_predictions(dataset: Dataset) -> dict[str, np.ndarray]:
    """Forecast each value of a time series by the last one that is known; {} for any other table.

    The noise scale is the root mean square of the errors of that on the training rows.
    """
    if dataset.time_train is None or "lag_1" not in dataset.feature_names:
        return {}
    lag = dataset.feature_names.index("lag_1")
    mean, scale = dataset.feature_mean[lag], dataset.feature_scale[lag]
    found = {
        f"{split}_mean": mean + scale * getattr(dataset, f"x_{split}")[:, lag] for split in ("train", "test")
    }
    observed = dataset.target_mean + dataset.target_scale * dataset.y_train
    noise = np.sqrt(np.mean((found["train_mean"] - observed) ** 2))
    # A series that repeats itself leaves no error, and no density to compute.
    return found | {"noise_scale": np.maximum(noise, 1e-6 * dataset.target_scale)}


def fit_references(
    dataset: Dataset,
    network: Network,
    settings: BaselineSettings,
    *,
    seed: int,
    n_members: int,
    target: Target | None = None,
    likelihood: Likelihood | None = None,
) -> tuple[dict[str, tuple[tuple[str, ...], np.ndarray]], dict[str, Any]]:
    """Fit all references; return the variables and attributes of their file.

    Parameters
    ----------
    dataset
        The table.
    network
        The architecture.
    settings
        How to train.
    seed
        Seed of the run.
    n_members
        Networks of the ensemble, none of which is the baseline.
    target, likelihood
        As of `network_predictions`. Where there is such a likelihood, the linear model is a network without hidden
        layers, trained with it.
    """
    # First, because its import is no training.
    import sklearn.ensemble  # noqa: F401

    if likelihood is None:
        linear = linear_predictions(dataset, class_weight=settings.class_weight, target=target)
    else:
        plain = Network(
            (network.sizes[0], network.sizes[-1]),
            activation=network.activation_name,
            dtype="float64",
            has_offset=network.has_offset,
        )
        rng = chain_rng(seed, Stream.BASELINE)
        found, _ = network_predictions(dataset, plain, settings, [rng], target, likelihood)
        linear = {name: values[0] for name, values in found.items()}
    times = [time.perf_counter()]
    rngs = [chain_rng(seed, Stream.BASELINE)]
    single, (fit,) = network_predictions(dataset, network, settings, rngs, target, likelihood)
    times.append(time.perf_counter())
    rngs = [chain_rng(seed, Stream.ENSEMBLE, member) for member in range(n_members)]
    members, fits = network_predictions(dataset, network, settings, rngs, target, likelihood)
    times.append(time.perf_counter())
    boosting = boosting_predictions(
        dataset,
        validation_size=settings.validation_size,
        class_weight=settings.class_weight,
        rng=chain_rng(seed, Stream.BOOSTING),
        target=target,
    )
    times.append(time.perf_counter())
    predictions = {f"baseline_{name}": values[0] for name, values in single.items()}
    predictions |= {f"linear_{name}": values for name, values in linear.items()}
    predictions |= {f"boosting_{name}": values for name, values in boosting.items()}
    predictions |= {f"naive_{name}": values for name, values in naive_predictions(dataset).items()}
    # An average of probabilities is all that scores need; the mixture of normals needs its components.
    predictions |= {
        f"ensemble_{name}": values.mean(axis=0) if name.endswith("probability") else values
        for name, values in members.items()
    }
    variables: dict[str, tuple[tuple[str, ...], np.ndarray]] = {
        "theta": (("param",), fit.theta),
        "ensemble_theta": (("member", "param"), np.stack([member.theta for member in fits])),
        "history_train_loss": (("epoch",), fit.train_loss),
        "history_validation_loss": (("epoch",), fit.validation_loss),
    }
    for name, values in predictions.items():
        _, split, *_ = name.split("_")
        dims: tuple[str, ...] = (f"obs_{split}",) if split in ("train", "test") else ()
        if name.endswith("probability"):
            dims = (*dims, "class")
        elif name.endswith("output"):
            dims = ("output", *dims)
        elif name.endswith(("quantile", "level")):
            dims = ("level", *dims)
        if name.startswith("ensemble") and not name.endswith("probability"):
            dims = ("member", *dims)
        variables[name] = (dims, values)
    attributes = {
        "dataset": dataset.name,
        "best_epoch": fit.best_epoch,
        "epochs": len(fit.train_loss) - 1,
        "seconds": times[1] - times[0],
        "seconds_ensemble": times[2] - times[1],
        "seconds_boosting": times[3] - times[2],
        "seconds_training": times[3] - times[0],
        "n_params": len(fit.theta),
        "layout": ParameterLayout(network.parameter_shapes).to_json(),
    }
    return variables, attributes
