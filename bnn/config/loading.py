"""Loading the config: from the shared settings and each dataset's own to one resolved set a dataset.

The Snakefile imports this module, so it must stay light: no NumPy here. `python -m bnn.config.docs` writes
the JSON schema and the tables of keys from the model.
"""

import difflib
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bnn.config.base import without_dates
from bnn.config.errors import ConfigError, Problem, find_problems
from bnn.config.meaning import contradictions, resolve
from bnn.config.model import NAME_PATTERN, Config, DatasetSettings, Settings
from bnn.config.sources import FileSource
from bnn.core.settings import WARMUP

__all__ = [
    *(
        "Config",
        "ConfigError",
        "chain_settings",
        "check_files",
        "choice_settings",
        "leaves_open",
        "load",
        "merge",
    ),
    "runs",
]

RESERVED_NAMES = ("logs", "benchmarks")
"""Folders that the workflow makes beside those of the datasets."""


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
                resolved[name] = resolve(DatasetSettings.model_validate(merged))
                found += contradictions(own, resolved[name])
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
    if sampler["warmup"] == "auto":
        sampler["warmup"] = WARMUP
    return chosen | {"sampler": sampler | {"most_gradients": None}}


def choice_settings(dataset: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a choice depends on where the length of chains is open: as `chain_settings`, with what it settles."""
    chosen, written = chain_settings(dataset), dataset["sampler"]
    return chosen | {"sampler": chosen["sampler"] | {name: written[name] for name in ("explore", "warmup")}}


def leaves_open(dataset: Mapping[str, Any]) -> bool:
    """Return whether resolved settings of a dataset, as plain values, leave something to be chosen: say `auto`."""
    prior = dataset["prior"]
    network = dataset["network"]
    asked = [
        network["hidden"],
        network["input_transform"],
        network["activation"],
        prior["weights"]["scale"],
        prior["biases"]["scale"],
        prior["output_factor"],
    ]
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
            assert dataset.split.seed is not None, "of a random split, and resolved"
            split = dataset.split.model_copy(update={"seed": dataset.split.seed + repeat})
            found[f"{name}.{repeat}"] = dataset.model_copy(update={"split": split, "repeats": 1})
    return found
