"""What a run is done with where the config leaves it open: written once for a dataset, read by every job after it."""

import os
from collections.abc import Mapping, Sequence
from typing import Any

from bnn.core.storage import read_json

AGREEING_RHAT = 1.03
"""Largest R-hat of short runs, median over rows left out, of chains that a plan says to agree."""
MARGIN = 1.0
"""Standard errors by which a linear model must beat the best network, and a later family the first of its kind."""
MOST_BEHIND = 0.1
"""Nats a row by which what is preferred may be behind the best, however uncertain the difference: thirty stretches of a
series leave errors of 0.2 nats, and a preference for simplicity is not worth as much."""
LEAST_OF_NOISE = 0.02
"""Nats a row by which noise of more parts must be better at least: its chains mix worse."""


def is_clear(gain: float, error: float, *, least: float = 0.0, most: float = MOST_BEHIND) -> bool:
    """Return whether a gain in log score, nats a row, outweighs what is preferred.

    It does if it exceeds `least`, and either `most` or `MARGIN` times its standard error.
    """
    return gain > max(least, min(MARGIN * error, most))


def planned(settings: Mapping[str, Any], plans: Sequence[str | os.PathLike[str]]) -> dict[str, Any]:
    """Return settings with the values of a plan in place of the config's, in sections that both have.

    Parameters
    ----------
    settings
        Sections of a dataset's config, as plain values.
    plans
        A plan.json; nothing where the config leaves nothing open.

    Raises
    ------
    OSError
        If it cannot be read.
    """
    found = dict(settings)
    for plan in plans:
        found = with_plan(found, read_json(plan)["settings"])
    return found


def kept_plan(path: str | os.PathLike[str], made_with: str) -> dict[str, Any] | None:
    """Return the content of a plan.json that was made with a digest of rows, config and code; None of any other."""
    try:
        plan = read_json(path)
    except (OSError, ValueError):
        return None
    return plan if isinstance(plan, dict) and plan.get("made_with") == made_with else None


def with_plan(settings: Mapping[str, Any], chosen: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Return settings with chosen values over them, in sections that both have."""
    whole = {
        name: {**section, **chosen[name]} if name in chosen else section for name, section in settings.items()
    }
    # A plan from before there was such a factor leaves it open.
    if "prior" in chosen and whole.get("prior", {}).get("output_factor") == "auto":
        whole["prior"] = whole["prior"] | {"output_factor": 1.0}
    return whole


def as_run(settings: Mapping[str, Any], diagnostics: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings of a config that runs the same again, bit for bit, without anything open.

    Parameters
    ----------
    settings
        Those of the run, its plan over them.
    diagnostics
        Content of its diagnostics.json, which knows how long chains of open length became.
    """
    sampler = dict(settings["sampler"])
    if sampler.pop("most_gradients", None) is not None:
        sampler |= {"draws": diagnostics["n_draws"], "thin": diagnostics["thin"]}
    return {**settings, "sampler": sampler}
