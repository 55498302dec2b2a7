"""Loading the config: from the shared settings and each dataset's own to one resolved set a dataset.

The Snakefile imports this module, so it must stay light: no NumPy here. `python -m bnn.config_docs` writes
the JSON schema and the tables of keys from the model.
"""

import difflib
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from bnn.config_errors import ConfigError, Problem, find_problems
from bnn.config_model import (
    NAME_PATTERN,
    Config,
    DatasetSettings,
    Langevin,
    Likelihood,
    ParameterPrior,
    Sampler,
    Settings,
)
from bnn.config_sources import SOURCE_TASKS, FileSource, SklearnSource, SyntheticSource

__all__ = ["Config", "ConfigError", "chain_settings", "check_files", "load", "merge"]

RESERVED_NAMES = ("logs", "benchmarks")
"""Folders that the workflow makes beside those of the datasets."""

_ONE_STEP_KERNELS = ("mala", "langevin_gradient", "random_walk")
"""Kernels to which the length of a trajectory means nothing."""
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
        raise ConfigError(["the file must hold keys with values, such as `seed: 1`"])
    shared = {key: value for key, value in raw.items() if key != "datasets"}
    shared_problems = find_problems(Config, {**shared, "datasets": {}})
    errors = [_line(problem.path, problem.message) for problem in shared_problems]
    datasets = raw.get("datasets")
    if not isinstance(datasets, Mapping) or not datasets:
        errors.append(
            "datasets: there is no dataset to run; name at least one, such as "
            "`datasets: {iris: {task: classification, source: {kind: sklearn, name: iris}}}`"
        )
        raise ConfigError(errors)
    inherited = {key: value for key, value in shared.items() if key in Settings.model_fields}
    resolved: dict[str, DatasetSettings] = {}
    for name, own in datasets.items():
        found = _name_problems(name)
        if not isinstance(own, Mapping):
            found.append(Problem((), "must be a group of keys with at least `task` and `source`"))
        else:
            merged = merge(inherited, own)
            problems = find_problems(DatasetSettings, merged)
            found += [p for p in problems if p not in shared_problems or _sets(own, p.path)]
            if not problems:
                resolved[name] = _resolve(DatasetSettings.model_validate(merged))
                found += _contradictions(own, resolved[name])
        errors += [_line(("datasets", str(name), *problem.path), problem.message) for problem in found]
    if errors:
        raise ConfigError(errors)
    return Config.model_validate({**shared, "datasets": resolved})


def chain_settings(dataset: Mapping[str, Any]) -> dict[str, Any]:
    """Return what chains depend on, of the resolved settings of a dataset, as plain values.

    That is not how many there are or run side by side, so that more can be added later, not how often they write down
    where they stand, and not what is kept of them in the end.
    """
    chosen = {name: dataset[name] for name in ("seed", "network", "prior", "likelihood", "sampler")}
    idle = ("chains", "chains_per_job", "checkpoint_seconds", "keep")
    return chosen | {"sampler": {k: v for k, v in dataset["sampler"].items() if k not in idle}}


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
            if path is not None and (fault := _fault_of_file(Path(path))):
                errors.append(_line(("datasets", name, *keys), fault))
        for path in dataset.predict:
            if (
                Path(path).resolve()
                == Path("results", name, "predictions", f"{Path(path).stem}.csv").resolve()
            ):
                fault = f"the predictions of '{path}' would replace it; move the file to another folder"
                errors.append(_line(("datasets", name, "predict"), fault))
    if errors:
        raise ConfigError(errors)


def _fault_of_file(path: Path) -> str | None:
    if path.is_file():
        return None
    if path.is_dir():
        return f"'{path}' is a folder; name a file in it"
    neighbours = [item.name for item in path.parent.iterdir()] if path.parent.is_dir() else []
    close = difflib.get_close_matches(path.name, neighbours, n=1)
    hint = f"; did you mean '{path.parent / close[0]}'?" if close else ""
    return f"there is no file '{path}' (paths start from {Path.cwd()}){hint}"


def merge(base: Any, override: Any) -> Any:
    """Return `base` with the keys of `override` put over it; only groups merge, anything else is replaced."""
    if isinstance(base, Mapping) and override is None:  # `sampler:` with nothing below it overrides nothing
        return base
    if not (isinstance(base, Mapping) and isinstance(override, Mapping)):
        return override
    merged = {key: merge(base[key], value) if key in base else value for key, value in override.items()}
    return {**base, **merged}


def _line(path: tuple[str, ...], message: str) -> str:
    return f"{'.'.join(path)}: {message}"


def _name_problems(name: Any) -> list[Problem]:
    if not isinstance(name, str):
        return [Problem((), f'a dataset name must be text: write "{name}" in quotes')]
    if not re.fullmatch(NAME_PATTERN, name):
        allowed = "at most 64 letters of a-z and A-Z, digits, _ and -, beginning with a letter or digit"
        return [Problem((), f"this name cannot become a folder name; use {allowed}")]
    if name in RESERVED_NAMES:
        return [Problem((), "results/ has a folder of this name of its own; choose another name")]
    return []


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
    split, sampler, prior = dataset.split, dataset.sampler, dataset.prior
    seed = dataset.seed if split.seed is None else split.seed
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
    return dataset.model_copy(
        update={
            "split": split.model_copy(update={"seed": seed, "stratify": split.stratify and is_class}),
            "sampler": sampler,
            "prior": prior.model_copy(update=idle_df),
            "likelihood": Likelihood() if is_class else _without_idle_keys(dataset.likelihood),
        }
    )


def _without_idle_keys(likelihood: Likelihood) -> Likelihood:
    idle = {name: Likelihood.model_fields[name].default for name, *_ in _idle_noise_keys(likelihood)}
    return likelihood.model_copy(update=idle)


def _idle_noise_keys(likelihood: Likelihood) -> Iterator[tuple[str, str, str]]:
    """Yield each key of `likelihood` that has no effect, on what, and what to do for it to have one."""
    family = likelihood.family
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
        yield Problem(("task",), f"must be {needed} for the {source.kind} dataset '{source.name}'")
    if dataset.task == "classification" and _keys(own, "likelihood"):
        reason = "has no effect, because only regression has noise; remove it, or set `task: regression`"
        yield Problem(("likelihood",), reason)
    for name, what, remedy in _idle_noise_keys(dataset.likelihood) if dataset.task == "regression" else ():
        if name in _keys(own, "likelihood"):
            reason = f"has no effect on {what}; remove it, or {remedy}"
            yield Problem(("likelihood", name), reason)
    if isinstance(source, FileSource) and source.test is not None:
        for name in _keys(own, "split"):
            reason = "has no effect, because source.test names the test rows; remove one of the two"
            yield Problem(("split", name), reason)
    if dataset.task == "regression" and _keys(own, "split").get("stratify") is True:
        reason = "has no effect, because only classes have proportions to keep; remove it"
        yield Problem(("split", "stratify"), reason)
    for part in ("weights", "biases"):
        family = getattr(dataset.prior, part).family
        if "df" in _keys(own, "prior", part) and family != "student_t":
            reason = f"has no effect on the family {family}; remove it, or set `family: student_t`"
            yield Problem(("prior", part, "df"), reason)
    if dataset.sampler.init == "prior":
        for name in _keys(own, "sampler").keys() & set(_OPTIMISER_KEYS):
            reason = "has no effect, because chains start from the prior; remove it, or set `init: optimised`"
            yield Problem(("sampler", name), reason)
    kernel = dataset.sampler.kernel
    if _keys(own, "sampler", "langevin") and kernel != "langevin_gradient":
        reason = f"has no effect on the kernel {kernel}; remove it, or set `kernel: langevin_gradient`"
        yield Problem(("sampler", "langevin"), reason)

    if _keys(own, "sampler").get("trajectory_length") is not None and kernel in _ONE_STEP_KERNELS:
        reason = f"has no effect on the kernel {kernel}, which takes one step a move; remove it, or set `kernel: malt`"
        yield Problem(("sampler", "trajectory_length"), reason)


def _keys(own: Mapping[str, Any], *path: str) -> Mapping[str, Any]:
    """Return the group of keys at the path, empty if the dataset does not set it."""
    for part in path:
        own = own.get(part) or {}
    return own
