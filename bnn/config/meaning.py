"""What the keys of one dataset mean together: derived values, keys without effect, contradictions.

A key without effect goes back to its default, so that its change makes nothing run again; where somebody wrote it for
this very dataset, it is a misunderstanding, and an error.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from bnn.config.base import MAX_SEED
from bnn.config.errors import Problem
from bnn.config.model import DatasetSettings, Split
from bnn.config.sampling import Langevin, Likelihood, Network, ParameterPrior, Prior, Sampler
from bnn.config.sources import SOURCE_TASKS, FileSource, SklearnSource, SyntheticSource
from bnn.core.settings import FAMILIES, spread_of_noise

_WITHOUT_TRAJECTORIES = ("mala", "langevin_gradient", "random_walk", "sms_ubu")
"""Kernels to which the length of a trajectory means nothing."""
_BY_BATCHES = "sms_ubu"
"""The kernel that is tuned by heat, and to which a rate of acceptance means nothing."""
_AT_RANDOM = ("random", "group")
"""Methods of splitting that a seed decides."""
_OPTIMISER_KEYS = ("optimise_steps", "optimise_learning_rate")


def resolve(dataset: DatasetSettings) -> DatasetSettings:
    """Return the settings with derived values filled in, and idle ones at their defaults.

    A rule runs again when its settings change: a shared key that has no effect on a dataset must not change them.
    """
    sampler, prior = dataset.sampler, _with_factor(dataset.prior)
    is_class = dataset.task == "classification"
    if sampler.kernel != "langevin_gradient":
        sampler = sampler.model_copy(update={"langevin": Langevin()})
    if sampler.kernel in _WITHOUT_TRAJECTORIES:
        sampler = sampler.model_copy(update={"trajectory_length": None})
    if sampler.kernel == _BY_BATCHES:
        sampler = sampler.model_copy(update={"target_acceptance": None})
    if sampler.init == "prior":
        idle = {name: Sampler.model_fields[name].default for name in _OPTIMISER_KEYS}
        sampler = sampler.model_copy(update=idle)
    idle_df = {
        part: getattr(prior, part).model_copy(update={"df": ParameterPrior.model_fields["df"].default})
        for part in ("weights", "biases")
        if getattr(prior, part).family != "student_t"
    }
    baseline = dataset.baseline if is_class else dataset.baseline.model_copy(update={"class_weight": "none"})
    return dataset.model_copy(
        update={
            "baseline": baseline,
            "split": _resolve_split(dataset),
            "repeats": dataset.repeats if not _unrepeatable(dataset) else 1,
            "sampler": sampler,
            "network": _without_idle_auto(dataset.network, prior.weights.scale, is_class=is_class),
            "prior": prior.model_copy(update=idle_df),
            "likelihood": _with_spread(
                Likelihood(family="gaussian") if is_class else _without_idle_keys(dataset.likelihood),
                prior,
            ),
        }
    )


def _resolve_split(dataset: DatasetSettings) -> Split:
    split = dataset.split
    if isinstance(dataset.source, FileSource) and dataset.source.test is not None:
        return Split(repeated_rows=split.repeated_rows)
    if dataset.task == "timeseries":
        of_series = {"method": "time", "column": dataset.series.time, "repeated_rows": "auto"}
        split = split.model_copy(update=of_series)
    elif split.method == "random":
        split = split.model_copy(update={"column": None})
    is_random = split.method in _AT_RANDOM
    seed = dataset.seed if split.seed is None else split.seed
    idle = {name: Split.model_fields[name].default for name in _idle_split_keys(split) if name != "column"}
    stratify = split.method == "random" and split.stratify and dataset.task == "classification"
    return split.model_copy(update=idle | {"seed": seed if is_random else None, "stratify": stratify})


def _idle_split_keys(split: Split) -> Iterator[str]:
    """Yield the keys that have no effect on a method of splitting, but for the seed, which is null then."""
    if split.method != "random":
        yield "stratify"
    if split.method not in _AT_RANDOM:
        yield "seed"
    if split.method == "column":
        yield "test_size"
    else:
        yield "test_value"
    if split.method == "random":
        yield "column"


def _unrepeatable(dataset: DatasetSettings) -> str:
    """Say why there is but one split of a dataset; "" if there are many."""
    if isinstance(dataset.source, FileSource) and dataset.source.test is not None:
        return "source.test names the test rows"
    if dataset.task == "timeseries":
        return "a time series is split by time"
    if dataset.split.method not in _AT_RANDOM:
        return f"split.method {dataset.split.method} deals out no rows at random"
    return ""


def _without_idle_keys(likelihood: Likelihood) -> Likelihood:
    if likelihood.family == "auto" and likelihood.noise != "sampled":
        # Known noise is the same for all rows.
        likelihood = likelihood.model_copy(update={"family": "gaussian"})
    idle = {name: Likelihood.model_fields[name].default for name, *_ in _idle_noise_keys(likelihood)}
    return likelihood.model_copy(update=idle)


def _without_idle_auto(network: Network, scale: float | str, *, is_class: bool) -> Network:
    """Return it with the transform and the activation that auto stands for, unless a plan will choose them."""
    update = {}
    if network.input_transform == "auto" and "auto" not in (network.hidden, scale):
        update["input_transform"] = "none"
    if network.activation == "auto" and not (is_class and network.hidden == "auto"):
        update["activation"] = "tanh"
    return network.model_copy(update=update)


def _with_factor(prior: Prior) -> Prior:
    """Return it with the `output_factor` that auto stands for, unless a plan will choose it with the scale."""
    if prior.output_factor != "auto" or prior.weights.scale == "auto":
        return prior
    return prior.model_copy(update={"output_factor": 1.0})


def _with_spread(likelihood: Likelihood, prior: Prior) -> Likelihood:
    """Return it with the `log_noise_sd` that auto stands for, unless that depends on what a plan will choose."""
    if likelihood.log_noise_sd != "auto" or likelihood.family == "auto":
        return likelihood
    scale, factor = prior.weights.scale, prior.output_factor
    if not isinstance(scale, str) and not isinstance(factor, str):
        spread = spread_of_noise(likelihood.family, scale * factor)
    elif FAMILIES[likelihood.family].noise_varies:
        return likelihood
    else:
        spread = spread_of_noise(likelihood.family, 1.0)  # whatever the scale
    return likelihood.model_copy(update={"log_noise_sd": spread})


def _idle_noise_keys(likelihood: Likelihood) -> Iterator[tuple[str, str, str]]:
    """Yield each key of `likelihood` that has no effect, on what, and what to do for it to have one."""
    family = likelihood.family
    if family == "auto":
        return
    kind = FAMILIES[family].noise
    if not kind.endswith("student_t"):
        yield "df", f"the family {family}", "set `family: student_t`"
    if kind not in ("gaussian", "student_t"):
        yield "noise", f"the family {family}", "set another family"
    if kind == "poisson":
        for name in ("log_noise_mean", "log_noise_sd"):
            yield name, f"the family {family}", "set another family"
    elif kind in ("gaussian", "student_t") and likelihood.noise != "sampled":
        for name in ("log_noise_mean", "log_noise_sd"):
            yield name, "known noise", "set `noise: sampled`"


def contradictions(own: Mapping[str, Any], dataset: DatasetSettings) -> Iterator[Problem]:
    """Yield what contradicts itself: a task that the source cannot have, and keys without effect.

    Shared settings may well be idle for a dataset (noise, where it has classes); an idle key that somebody
    wrote for this very dataset is a misunderstanding.
    """
    source = dataset.source
    if isinstance(source, SklearnSource | SyntheticSource) and SOURCE_TASKS[source.name] != dataset.task:
        needed = SOURCE_TASKS[source.name]
        yield Problem(
            "wrong-task", ("task",), f"must be {needed} for the {source.kind} dataset '{source.name}'"
        )
    if dataset.task == "classification" and _keys(own, "likelihood"):
        reason = "has no effect, because only regression has noise; remove it, or set `task: regression`"
        yield Problem("no-effect", ("likelihood",), reason)
    for name, what, remedy in (
        _idle_noise_keys(dataset.likelihood) if dataset.task != "classification" else ()
    ):
        if name in _keys(own, "likelihood"):
            reason = f"has no effect on {what}; remove it, or {remedy}"
            yield Problem("no-effect", ("likelihood", name), reason)
    yield from _split_contradictions(own, dataset)
    yield from _exposure_contradictions(dataset)
    if dataset.task != "classification" and "class_weight" in _keys(own, "baseline"):
        reason = "has no effect, because there are no classes; remove it"
        yield Problem("no-effect", ("baseline", "class_weight"), reason)
    for part in ("weights", "biases"):
        family = getattr(dataset.prior, part).family
        if "df" in _keys(own, "prior", part) and family != "student_t":
            reason = f"has no effect on the family {family}; remove it, or set `family: student_t`"
            yield Problem("no-effect", ("prior", part, "df"), reason)
    if dataset.sampler.init == "prior":
        for name in _keys(own, "sampler").keys() & set(_OPTIMISER_KEYS):
            reason = "has no effect, because chains start from the prior; remove it, or set `init: optimised`"
            yield Problem("no-effect", ("sampler", name), reason)
    if dataset.sampler.draws != "auto" and "budget_minutes" in _keys(own, "sampler"):
        reason = "has no effect, because the number of draws is given; remove it, or set `draws: auto`"
        yield Problem("no-effect", ("sampler", "budget_minutes"), reason)
    kernel = dataset.sampler.kernel
    if _keys(own, "sampler", "langevin") and kernel != "langevin_gradient":
        reason = f"has no effect on the kernel {kernel}; remove it, or set `kernel: langevin_gradient`"
        yield Problem("no-effect", ("sampler", "langevin"), reason)

    if _keys(own, "sampler").get("trajectory_length") is not None and kernel in _WITHOUT_TRAJECTORIES:
        why = f"has no effect on the kernel {kernel}, which has no trajectories"
        reason = f"{why}; remove it, or set `kernel: malt`"
        yield Problem("no-effect", ("sampler", "trajectory_length"), reason)

    if kernel == _BY_BATCHES and _keys(own, "sampler").get("target_acceptance") is not None:
        reason = (
            f"has no effect on the kernel {kernel}, which rejects nothing; remove it, or set `kernel: malt`"
        )
        yield Problem("no-effect", ("sampler", "target_acceptance"), reason)


def _exposure_contradictions(dataset: DatasetSettings) -> Iterator[Problem]:
    """Yield what is wrong with the column over which a target is counted."""
    exposure = getattr(dataset.source, "exposure", None)
    if exposure is None:
        return
    place = ("source", "exposure")
    if dataset.task != "regression":
        reason = f"has no effect on the task {dataset.task}; remove it, or set `task: regression`"
        yield Problem("no-effect", place, reason)
        return
    family = dataset.likelihood.family
    if family != "auto" and FAMILIES[family].form != "count":
        reason = (
            f"has no effect on the family {family}, which is not for counts; remove it, or set likelihood.family to "
            "auto, poisson or negative_binomial"
        )
        yield Problem("no-effect", place, reason)
    if exposure == dataset.split.column:
        reason = f"'{exposure}' is split.column, which becomes no feature; name another column in one of them"
        yield Problem("contradiction", place, reason)


def _split_contradictions(own: Mapping[str, Any], dataset: DatasetSettings) -> Iterator[Problem]:
    """Yield what is wrong with the splits that are asked for."""
    source, split, written = dataset.source, dataset.split, _keys(own, "split")
    is_series = dataset.task == "timeseries"
    if isinstance(source, FileSource) and source.test is not None:
        if is_series:
            reason = "cannot be read as the end of a series; put all rows into source.path, and set split.test_size"
            yield Problem("not-for-series", ("source", "test"), reason)
        for name in written.keys() - {"repeated_rows"}:
            reason = "has no effect, because source.test names the test rows; remove one of the two"
            yield Problem("no-effect", ("split", name), reason)
    elif is_series:
        for name in written.keys() - {"test_size"}:
            reason = "has no effect, because a time series is split by time; remove it"
            reason += ", and name the column of times as series.time" if name == "column" else ""
            if (name, written[name]) != ("method", "time"):
                yield Problem("no-effect", ("split", name), reason)
    else:
        yield from _method_contradictions(written, split, dataset.task)
    if is_series and getattr(source, "missing_target", "error") == "drop":
        reason = "cannot be done in a series, whose forecasts need each value; fill them in"
        yield Problem("not-for-series", ("source", "missing_target"), reason)
    if not is_series and _keys(own, "series"):
        reason = f"has no effect on the task {dataset.task}; remove it, or set `task: timeseries`"
        yield Problem("no-effect", ("series",), reason)
    place = ("series", "time") if is_series else ("split", "column")
    if split.column is not None and split.column == getattr(source, "target", None):
        reason = f"'{split.column}' is the target, which cannot be known before; name another column"
        yield Problem("target-known-late", place, reason)
    if split.column is not None and split.column in getattr(source, "drop", ()):
        reason = f"names '{split.column}', which {'.'.join(place)} needs; take it out (it becomes no feature anyway)"
        yield Problem("contradiction", ("source", "drop"), reason)
    if (why := _unrepeatable(dataset)) and own.get("repeats", 1) != 1:
        yield Problem("no-effect", ("repeats",), f"has no effect, because {why}; remove it")
    if dataset.repeats > 1:
        if dataset.predict:
            reason = (
                "cannot be done together with repeats, because each split has a network of its own; remove it, or give "
                "the table a second dataset without repeats, and the files to predict to that one"
            )
            yield Problem("not-with-repeats", ("predict",), reason)
        first = dataset.seed if split.seed is None else split.seed
        if first + dataset.repeats - 1 > MAX_SEED:
            yield Problem(
                "seed-too-large",
                ("repeats",),
                f"the seeds of the splits would exceed {MAX_SEED}; choose a smaller split.seed",
            )


def _method_contradictions(written: Mapping[str, Any], split: Split, task: str) -> Iterator[Problem]:
    method = split.method
    if method in ("group", "column") and split.column is None:
        yield Problem(
            "missing", ("split", "column"), f"is needed for `method: {method}`: name a column of the table"
        )
    for name in _idle_split_keys(split):
        if name in written and not (name == "stratify" and written[name] is False):
            yield Problem(
                "no-effect",
                ("split", name),
                f"has no effect on `method: {method}`; remove it, or set another method",
            )
    if method == "random" and task == "regression" and written.get("stratify") is True:
        reason = "has no effect, because only classes have proportions to keep; remove it"
        yield Problem("no-effect", ("split", "stratify"), reason)


def _keys(own: Mapping[str, Any], *path: str) -> Mapping[str, Any]:
    """Return the group of keys at the path, empty if the dataset does not set it."""
    for part in path:
        own = own.get(part) or {}
    return own
