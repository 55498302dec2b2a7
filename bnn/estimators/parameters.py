"""Parameters of an estimator as keys of the config, and back: one home for defaults, checks and advice."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from bnn.config import loading as config
from bnn.config.errors import ConfigError
from bnn.config.model import Columns
from bnn.config.sampling import Likelihood, Network, ParameterPrior, Sampler
from bnn.core import formatting
from bnn.core.errors import Fault
from bnn.diagnostics.remedies import changes
from bnn.diagnostics.verdict import worst

COLUMNS, NETWORK, PRIOR = Columns(), Network(), ParameterPrior()
LIKELIHOOD, SAMPLER = Likelihood(), Sampler()
"""Sections of the config that hold the defaults of parameters."""

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
    "missing": ("columns", "missing"),
    "random_state": ("seed",),
}
"""Parameter -> the key of the config that it sets."""

_SECTIONS = ("columns", "network", "prior", "likelihood", "sampler", "diagnostics")
"""Sections of the config that `settings` may hold; the others are about what an estimator does not do."""

_IDLE = {
    ("sampler", "chains_per_job"): "n_jobs says how many processes share the chains",
    ("sampler", "checkpoint_seconds"): "an estimator writes no checkpoints",
}


class Names:
    """How one estimator calls the keys of the config.

    Parameters
    ----------
    parameters
        Names of the parameters of the estimator.
    """

    def __init__(self, parameters: Sequence[str]) -> None:
        self.paths = {name: path for name, path in _PATHS.items() if name in parameters}
        self._parameters = {".".join(path): name for name, path in self.paths.items()}

    def translated(self, text: str) -> str:
        """Return a text about keys of the config as one about parameters and places in `settings`."""
        text = text.replace("the scale in prior.weights", "prior_scale")
        text = re.sub(r"columns\.missing: (\w+)", r"missing='\1'", text)
        # There is no file with names of rows or times: an index stays with its owner.
        text = re.sub(r", keep it as the name of rows \(source\.row_id: .*?\)(?=, or\b)", "", text)
        text = re.sub(r"; if rows are in time, use it: .*", "", text)
        text = re.sub(r", set source\.features: \[.*?\]", ", rename it", text)
        text = re.sub(r"set source\.categorical: \[(\"(\\.|[^\"\\])*\"|.*?)\]", _as_category, text)
        text = re.sub(r"(set )?source\.drop: \[(\"(\\.|[^\"\\])*\"|.*?)\]", _dropped, text)

        def renamed(match: re.Match[str]) -> str:
            path = match[0]
            return self._parameters.get(path) or 'settings["' + '"]["'.join(path.split(".")) + '"]'

        return re.sub(rf"\bseed\b(?=:)|\b({'|'.join(_SECTIONS)})(\.[a-z_]+)+", renamed, text)


def _as_category(match: re.Match[str]) -> str:
    """Return how a frame says that a column holds levels."""
    name = json.loads(match[1]) if match[1].startswith('"') else match[1]
    return f"use X.astype({{{name!r}: 'category'}})"


def _dropped(match: re.Match[str]) -> str:
    """Return how a frame drops the column that `drop_line` names."""
    name = json.loads(match[2]) if match[2].startswith('"') else match[2]
    return f"X.drop(columns=[{name!r}])"


def resolve(
    name: str, parameters: Mapping[str, Any], extra: Mapping[str, Any] | None, *, task: str
) -> dict[str, Any]:
    """Return all settings of a dataset of the config, resolved, as plain values.

    Parameters
    ----------
    name
        Name of the estimator, which becomes that of the dataset.
    parameters
        Its parameters; a `random_state` must be a number.
    extra
        Other keys of the config, nested as there.
    task
        "classification" or "regression".

    Raises
    ------
    Fault
        If a parameter or a key of `extra` is wrong; the message names every one. It is a ValueError.
    """
    names = Names(list(parameters))
    if not isinstance(extra, Mapping | None):
        raise Fault("not-a-group", f"settings must be a mapping of sections of the config, not {extra!r}")
    keys = {key: _plain(value) for key, value in (extra or {}).items()}
    if faults := list(_faults(names, keys, task)):
        raise _as_one(faults)
    for parameter, path in names.paths.items():
        keys = config.merge(keys, _nested(path, _plain(parameters[parameter])))
    # The source is not read: the table is there already.
    own = {"task": task, "source": {"kind": "csv", "path": "X", "target": "y"}, **keys}
    try:
        loaded = config.load({"datasets": {name: own}})
    except ConfigError as error:
        found = [problem._replace(path=problem.path[2:]) for problem in error.problems]
        raise _as_one(
            [
                Fault(
                    problem.code, names.translated(str(problem)), key=names.translated(f"{problem.key}:")[:-1]
                )
                for problem in found
            ]
        ) from None
    return loaded.datasets[name].model_dump(mode="json")


def _as_one(faults: Sequence[Fault]) -> Fault:
    if len(faults) == 1:
        return faults[0]
    return Fault("several-faults", "; ".join(map(str, faults)), faults=faults)


def _faults(names: Names, extra: Mapping[str, Any], task: str) -> Iterator[Fault]:
    """Yield what `settings` must not hold."""
    for section in extra:
        if section not in _SECTIONS:
            text = f"{section!r} means nothing to an estimator; choose from {', '.join(_SECTIONS)}"
            yield Fault("unknown-key", f"settings: {text}", key=section)
    if task == "classification" and "likelihood" in extra:
        text = "settings: 'likelihood' has no effect, because only regression has noise"
        yield Fault("no-effect", text, key="likelihood")
    for parameter, path in names.paths.items():
        key = ".".join(path)
        if _holds(extra, path):
            yield Fault("is-parameter", f"settings: {key} is the parameter {parameter}: set that", key=key)
    for path, reason in _IDLE.items():
        key = ".".join(path)
        if _holds(extra, path):
            yield Fault("no-effect", f"settings: {key} has no effect, because {reason}", key=key)


def in_own_words(diagnostics: Mapping[str, Any], names: Names) -> dict[str, Any]:
    """Return the content of a diagnostics.json whose sentences name parameters of the estimator."""
    findings = [finding | {"text": names.translated(finding["text"])} for finding in diagnostics["findings"]]
    return {**diagnostics, "findings": findings, "reasons": [finding["text"] for finding in findings]}


def warning(
    name: str, diagnostics: Mapping[str, Any], settings: Mapping[str, Any], names: Names
) -> str | None:
    """Return how far the chains are from convergence and what to change; None if they have converged.

    Parameters
    ----------
    name
        Name of the estimator.
    diagnostics
        What `in_own_words` returned.
    settings
        What `resolve` returned.
    names
        How the estimator calls the keys of the config.
    """
    verdict, reasons, limits = (diagnostics[key] for key in ("verdict", "reasons", "thresholds"))
    if verdict == "PASS":
        return None
    largest, smallest = worst(diagnostics)
    # Rounded as in the reasons, which may name the same figures.
    rhat = "not known" if largest is None else formatting.rhat(largest)
    ess = "not known" if smallest is None else formatting.count(smallest)
    parts = [
        f"{name}: verdict {verdict}: largest R-hat {rhat} (limit {limits['rhat_warn']:g}), smallest bulk ESS {ess} "
        f"(limit {limits['ess_warn']:g})."
    ]
    if verdict == "FAIL":
        parts.append("Do not use the uncertainties yet.")
    remedies = [
        f"{names.translated('.'.join(path))}={value}"
        for path, value in _leaves(changes(diagnostics, settings))
    ]
    if remedies:
        parts.append(f"Try {', '.join(remedies)}.")
    parts.append(reasons[0])
    if len(reasons) > 1:
        parts.append(f"({len(reasons) - 1} more in diagnostics_['reasons'].)")
    return " ".join(parts)


def _plain(value: Any) -> Any:
    """Return a value as YAML would give it: grids of parameters often hold numbers and tuples of NumPy."""
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value


def _nested(path: Sequence[str], value: Any) -> Any:
    for key in reversed(path):
        value = {key: value}
    return value


def _holds(keys: Any, path: Sequence[str]) -> bool:
    for key in path:
        if not isinstance(keys, Mapping) or key not in keys:
            return False
        keys = keys[key]
    return True


def _leaves(keys: Mapping[str, Any], path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    for key, value in keys.items():
        if isinstance(value, Mapping):
            yield from _leaves(value, (*path, key))
        else:
            yield (*path, key), value
