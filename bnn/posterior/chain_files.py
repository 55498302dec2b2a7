"""Files of chains, put side by side: what `bnn.posterior.inference_data` combines."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bnn.core.errors import ResultError
from bnn.core.settings import PHASES
from bnn.core.storage import read_netcdf, stored_array
from bnn.posterior.predictor import BLOCK_BYTES

_SHARED_ATTRIBUTES = (
    "dataset",
    "kernel",
    "layout",
    "n_warmup",
    "seed",
    "langevin",
    "adjusted",
    "sampler_version",
    "data_digest",
    "engine",
    "precision",
)
PER_DRAW = ("log_density", "acceptance_rate", "diverging")
_LENGTH = ("n_draws", "thin")
"""In which files may differ where the length of chains was open."""


@dataclass(frozen=True)
class Chains:
    """All chains of a run, in the order of their numbers; arrays have the chain axis first. theta stays on the disk."""

    variables: dict[str, np.ndarray]
    seconds: dict[str, np.ndarray]
    n_gradients: np.ndarray
    attributes: dict[str, Any]
    places: list[tuple[Path, int, int]]
    """File of each chain, its number within it, and how many of its draws make one here"""

    def theta(self) -> Iterator[tuple[int, slice, np.ndarray]]:
        """Yield the draws, (draw, param) float64, a block at a time, each with its chain and its place there."""
        n_draws = self.variables["log_density"].shape[1]
        for chain, (path, index, apart) in enumerate(self.places):
            with stored_array(path, "theta") as stored:
                step = max(1, BLOCK_BYTES // (8 * stored.shape[2] * apart))
                for start in range(0, n_draws, step):
                    draws = slice(start, min(start + step, n_draws))
                    own = slice(apart * draws.start, apart * draws.stop)
                    block = np.asarray(stored[index, own])[apart - 1 :: apart]
                    yield chain, draws, block.astype(np.float64, copy=False)


def read_chains(paths: Sequence[Path]) -> Chains:
    """Read all files of the chains of a run.

    Where their length was open, jobs may have ended after different rounds: of each chain those iterations are taken
    that all have, as far apart as in the longest.

    Parameters
    ----------
    paths
        The files, in any order.

    Raises
    ------
    ResultError
        If there is none, they disagree with each other, or a chain is there twice.
    """
    if not paths:
        raise ResultError("no-chain", "there is no chain file: combine needs one at least")
    files = [(path, *read_netcdf(path, without=("theta",))) for path in paths]
    first_path, _, first = files[0]
    keys = _SHARED_ATTRIBUTES if first.get("open_length") else (*_SHARED_ATTRIBUTES, *_LENGTH)
    for path, variables, attributes in files:
        for key in keys:
            if attributes.get(key) != first.get(key):
                raise ResultError(
                    "chains-disagree",
                    f"chain files disagree on {key}: {attributes.get(key)!r} in {path}, "
                    f"{first.get(key)!r} in {first_path}; they come from different runs: delete them "
                    "and the folders .state beside them, and sample again",
                    file=str(path),
                    key=key,
                )
        found = variables["log_density"].shape[1]
        if found != attributes["n_draws"]:
            claimed = attributes["n_draws"]
            raise ResultError(
                "wrong-length",
                f"{path} holds {found} draws, its attribute n_draws says {claimed}",
                file=str(path),
            )
    ids = np.concatenate([variables["chain_id"] for _, variables, _ in files])
    if len(np.unique(ids)) != len(ids):
        names_of_files = ", ".join(str(path) for path in paths)
        raise ResultError("chain-twice", f"a chain is there twice: chains {ids.tolist()} in {names_of_files}")
    order = np.argsort(ids)
    apart = max(int(attributes["thin"]) for *_, attributes in files)
    n_draws = min(int(attributes["n_draws"] * attributes["thin"]) for *_, attributes in files) // apart
    steps = [apart // int(attributes["thin"]) for *_, attributes in files]
    for step, (_, variables, _) in zip(steps, files, strict=True):
        for name in PER_DRAW:
            variables[name] = _together(name, variables[name], step, n_draws)
    names = (
        *PER_DRAW,
        "chain_id",
        "step_size",
        "preconditioner",
        "trajectory_length",
        "warmup_log_density",
        "warmup_step_size",
        "warmup_acceptance_rate",
        # Only kernels with trajectories have steps, and only optimised chains an optimiser.
        *(name for name in ("n_steps", "optimiser_log_density") if name in files[0][1]),
    )
    merged = {name: np.concatenate([variables[name] for _, variables, _ in files])[order] for name in names}
    for name in ("warmup_iteration", "warmup_explores", "optimiser_iteration"):
        if name in files[0][1]:
            merged[name] = files[0][1][name]
    sizes = [len(variables["chain_id"]) for _, variables, _ in files]
    # Chains that ran side by side share their seconds equally, so that sums over chains are right.
    shares = [attributes | {"size": size} for (_, _, attributes), size in zip(files, sizes, strict=True)]
    seconds = {
        phase: np.repeat([share[f"seconds_{phase}"] / share["size"] for share in shares], sizes)[order]
        for phase in PHASES
    }
    gradients = np.repeat([attributes["n_gradients"] for _, _, attributes in files], sizes)
    places = [
        (path, index, step)
        for path, size, step in zip(paths, sizes, steps, strict=True)
        for index in range(size)
    ]
    about = first | {"thin": apart, "n_draws": n_draws}
    return Chains(merged, seconds, gradients[order], about, [places[index] for index in order])


def _together(name: str, values: np.ndarray, step: int, n_draws: int) -> np.ndarray:
    """Return what `step` draws, one after the other, say as one: (chain, draw) -> (chain, n_draws)."""
    groups = values[:, : step * n_draws].reshape(len(values), n_draws, step)
    if name == "log_density":
        return groups[..., -1]
    return groups.mean(axis=-1) if name == "acceptance_rate" else groups.sum(axis=-1)
