"""Loading the config: from the shared settings and each dataset's own to one resolved set a dataset.

The Snakefile imports this module, so it must stay light: no NumPy here. `python -m bnn.config.docs` writes
the JSON schema and the tables of keys from the model.
"""

import difflib
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from bnn.config.base import MAX_SEED, without_dates
from bnn.config.errors import ConfigError, Problem, find_problems
from bnn.config.model import (
    NAME_PATTERN,
    Config,
    DatasetSettings,
    Langevin,
    Likelihood,
    ParameterPrior,
    Sampler,
    Settings,
    Split,
)
from bnn.config.sources import SOURCE_TASKS, FileSource, SklearnSource, SyntheticSource

__all__ = ["Config", "ConfigError", "chain_settings", "check_files", "leaves_open", "load", "merge", "runs"]

RESERVED_NAMES = ("logs", "benchmarks")
"""Folders that the workflow makes beside those of the datasets."""

_ONE_STEP_KERNELS = ("mala", "langevin_gradient", "random_walk")
"""Kernels to which the length of a trajectory means nothing."""
_BY_LOT = ("random", "group")
"""Methods of splitting that a seed decides."""
_OPTIMISER_KEYS = ("optimise_steps", "optimise_learning_rate")


def load(raw: Any) -> Config:
    """Check a config as YAML gives it, and resolve the settings of every dataset.

    Parameters
    ----------
    raw
        Mapping of keys to plain values; it is not changed.

    Returns
    -------
    Config
        Each of its datasets has all settings: its own keys over the shared ones over the defaults.

    Raises
    ------
    ConfigError
        If anything is wrong; the message lists every error.
    """
    if not isinstance(raw, Mapping):
        raise ConfigError(
            [Problem("not-a-group", (), "the file must hold keys with values, such as `seed: 1`")]
        )
    raw = without_dates(raw)
    shared = {key: value for key, value in raw.items() if key != "datasets"}
    shared_problems = find_problems(Config, {**shared, "datasets": {}})
    errors = list(shared_problems)
    datasets = raw.get("datasets")
    if not isinstance(datasets, Mapping) or not datasets:
        fault = (
            "there is no dataset to run (--replace-workflow-config leaves config.yaml out); name at least one"
        )
        if datasets and isinstance(datasets, list):
            fault = "must be names with keys below each, not a list: write the name in place of the dash"
        elif datasets:
            fault = "must be names with keys below each"
        example = "`datasets: {iris: {task: classification, source: {kind: sklearn, name: iris}}}`"
        code = "not-a-group" if datasets else "no-dataset"
        errors.append(Problem(code, ("datasets",), f"{fault}, such as {example}"))
        raise ConfigError(errors)
    inherited = {key: value for key, value in shared.items() if key in Settings.model_fields}
    resolved: dict[str, DatasetSettings] = {}
    for name, own in datasets.items():
        found = _name_problems(name)
        if not isinstance(own, Mapping):
            found.append(
                Problem("not-a-group", (), "must be a group of keys with at least `task` and `source`")
            )
        else:
            merged = merge(inherited, own)
            problems = find_problems(DatasetSettings, merged)
            found += [p for p in problems if not _is_among(p, shared_problems) or _sets(own, p.path)]
            if not problems:
                resolved[name] = _resolve(DatasetSettings.model_validate(merged))
                found += _contradictions(own, resolved[name])
        errors += [problem._replace(path=("datasets", str(name), *problem.path)) for problem in found]
    if errors:
        raise ConfigError(errors)
    return Config.model_validate({**shared, "datasets": resolved})


def chain_settings(dataset: Mapping[str, Any]) -> dict[str, Any]:
    """Return what chains depend on, of the resolved settings of a dataset, as plain values; a plan goes over them.

    That is not how many there are or run side by side, so that more can be added later, not how often they write down
    where they stand, and not what is kept of them in the end.
    """
    chosen = {name: dataset[name] for name in ("seed", "network", "prior", "likelihood", "sampler")}
    idle = ("chains", "chains_per_job", "checkpoint_seconds", "keep", "budget_minutes")
    sampler = {k: v for k, v in dataset["sampler"].items() if k not in idle}
    if sampler["explore"] == "auto":
        sampler["explore"] = 0
    return chosen | {"sampler": sampler | {"most_gradients": None}}


def leaves_open(dataset: Mapping[str, Any]) -> bool:
    """Return whether resolved settings of a dataset, as plain values, leave something to be chosen: say `auto`."""
    prior = dataset["prior"]
    asked = [dataset["network"]["hidden"], prior["weights"]["scale"], prior["biases"]["scale"]]
    return "auto" in (*asked, dataset["likelihood"]["family"], dataset["sampler"]["draws"])


def check_files(config: Config) -> None:
    """Check that every file which the datasets name is there, and that none would be replaced by its predictions.

    Raises
    ------
    ConfigError
        If one is not, or would be; the message lists every one.
    """
    errors = []
    for name, dataset in config.datasets.items():
        files: list[tuple[tuple[str, ...], str | None]] = [(("predict",), path) for path in dataset.predict]
        if isinstance(dataset.source, FileSource):
            files += [(("source", key), getattr(dataset.source, key)) for key in ("path", "test")]
        for keys, path in files:
            if path is not None and not Path(path).is_file():
                code, fault = _fault_of_file(Path(path))
                errors.append(Problem(code, ("datasets", name, *keys), fault))
        for path in dataset.predict:
            if (
                Path(path).resolve()
                == Path("results", name, "predictions", f"{Path(path).stem}.csv").resolve()
            ):
                fault = f"the predictions of '{path}' would replace it; move the file to another folder"
                errors.append(Problem("would-replace-input", ("datasets", name, "predict"), fault))
    if errors:
        raise ConfigError(errors)


def _fault_of_file(path: Path) -> tuple[str, str]:
    if path.is_dir():
        return "file-is-folder", f"'{path}' is a folder; name a file in it"
    neighbours = [item.name for item in path.parent.iterdir()] if path.parent.is_dir() else []
    close = difflib.get_close_matches(path.name, neighbours, n=1)
    hint = f"; did you mean '{path.parent / close[0]}'?" if close else ""
    return "file-missing", f"there is no file '{path}' (paths start from {Path.cwd()}){hint}"


def merge(base: Any, override: Any) -> Any:
    """Return `base` with the keys of `override` put over it; only groups merge, anything else is replaced."""
    if isinstance(base, Mapping) and override is None:  # `sampler:` with nothing below it overrides nothing
        return base
    if not (isinstance(base, Mapping) and isinstance(override, Mapping)):
        return override
    merged = {key: merge(base[key], value) if key in base else value for key, value in override.items()}
    return {**base, **merged}


def _name_problems(name: Any) -> list[Problem]:
    if not isinstance(name, str):
        return [Problem("name-not-text", (), f'a dataset name must be text: write "{name}" in quotes')]
    if not re.fullmatch(NAME_PATTERN, name):
        allowed = "at most 64 letters of a-z and A-Z, digits, _ and -, beginning with a letter or digit"
        return [Problem("name-unusable", (), f"this name cannot become a folder name; use {allowed}")]
    if name in RESERVED_NAMES:
        return [
            Problem("name-reserved", (), "results/ has a folder of this name of its own; choose another name")
        ]
    return []


def _is_among(problem: Problem, shared: Sequence[Problem]) -> bool:
    """Return whether a problem is one of the shared settings, whose hints may name other places for an unknown key."""
    return problem in shared or any(
        problem.path == other.path and problem.code == other.code == "unknown-key" for other in shared
    )


def _sets(own: Any, path: tuple[str, ...]) -> bool:
    """Return whether a dataset itself holds a value (not a group) at the path: its error is its own then."""
    for part in path:
        if not isinstance(own, Mapping) or part not in own:
            return False
        own = own[part]
    return not isinstance(own, Mapping)


def _resolve(dataset: DatasetSettings) -> DatasetSettings:
    """Return the settings with derived values filled in, and idle ones at their defaults.

    A rule runs again when its settings change: a shared key that has no effect on a dataset must not change them.
    """
    sampler, prior = dataset.sampler, dataset.prior
    is_class = dataset.task == "classification"
    if sampler.kernel != "langevin_gradient":
        sampler = sampler.model_copy(update={"langevin": Langevin()})
    if sampler.kernel in _ONE_STEP_KERNELS:
        sampler = sampler.model_copy(update={"trajectory_length": None})
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
            "prior": prior.model_copy(update=idle_df),
            "likelihood": Likelihood(family="gaussian")
            if is_class
            else _without_idle_keys(dataset.likelihood),
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
    by_lot = split.method in _BY_LOT
    seed = dataset.seed if split.seed is None else split.seed
    idle = {name: Split.model_fields[name].default for name in _idle_split_keys(split) if name != "column"}
    stratify = split.method == "random" and split.stratify and dataset.task == "classification"
    return split.model_copy(update=idle | {"seed": seed if by_lot else None, "stratify": stratify})


def _idle_split_keys(split: Split) -> Iterator[str]:
    """Yield the keys that have no effect on a method of splitting, but for the seed, which is null then."""
    if split.method != "random":
        yield "stratify"
    if split.method not in _BY_LOT:
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
    if dataset.split.method not in _BY_LOT:
        return f"split.method {dataset.split.method} deals out no rows by lot"
    return ""


def _without_idle_keys(likelihood: Likelihood) -> Likelihood:
    if likelihood.family == "auto" and likelihood.noise != "sampled":
        # Known noise is the same for all rows.
        likelihood = likelihood.model_copy(update={"family": "gaussian"})
    idle = {name: Likelihood.model_fields[name].default for name, *_ in _idle_noise_keys(likelihood)}
    return likelihood.model_copy(update=idle)


def _idle_noise_keys(likelihood: Likelihood) -> Iterator[tuple[str, str, str]]:
    """Yield each key of `likelihood` that has no effect, on what, and what to do for it to have one."""
    family = likelihood.family
    if family == "auto":
        return
    if family != "student_t":
        yield "df", f"the family {family}", "set `family: student_t`"
    if family == "heteroscedastic":
        yield "noise", f"the family {family}", "set another family"
    elif likelihood.noise != "sampled":
        for name in ("log_noise_mean", "log_noise_sd"):
            yield name, "known noise", "set `noise: sampled`"


def _contradictions(own: Mapping[str, Any], dataset: DatasetSettings) -> Iterator[Problem]:
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
    kernel = dataset.sampler.kernel
    if _keys(own, "sampler", "langevin") and kernel != "langevin_gradient":
        reason = f"has no effect on the kernel {kernel}; remove it, or set `kernel: langevin_gradient`"
        yield Problem("no-effect", ("sampler", "langevin"), reason)

    if _keys(own, "sampler").get("trajectory_length") is not None and kernel in _ONE_STEP_KERNELS:
        reason = f"has no effect on the kernel {kernel}, which takes one step a move; remove it, or set `kernel: malt`"
        yield Problem("no-effect", ("sampler", "trajectory_length"), reason)


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


def runs(config: Config) -> dict[str, DatasetSettings]:
    """Return the settings of everything that is run, by the name of its folder.

    A dataset is one run, or one for each of its `repeats`: `<dataset>.0`, `<dataset>.1` and so on, each with its own
    seed of the split. No name of a dataset has a point.
    """
    found: dict[str, DatasetSettings] = {}
    for name, dataset in config.datasets.items():
        if dataset.repeats == 1:
            found[name] = dataset
            continue
        for repeat in range(dataset.repeats):
            assert dataset.split.seed is not None, "resolved, and by lot"
            split = dataset.split.model_copy(update={"seed": dataset.split.seed + repeat})
            found[f"{name}.{repeat}"] = dataset.model_copy(update={"split": split, "repeats": 1})
    return found


def _keys(own: Mapping[str, Any], *path: str) -> Mapping[str, Any]:
    """Return the group of keys at the path, empty if the dataset does not set it."""
    for part in path:
        own = own.get(part) or {}
    return own
