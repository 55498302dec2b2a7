"""What kept draws were made with: the first lines of a checkpoint, read without NumPy while a workflow starts."""

import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from bnn.mcmc import SAMPLER_VERSION

MAGIC = b"bnn checkpoint 2 sha256 "
"""Begins the first line, which ends with the checksum of the rest; the second is what it was made with, as JSON."""
EARLIER = "it was made before checkpoints carried a sampler version"

Identity = Mapping[str, str | int]


def stored_identity(path: str | os.PathLike[str]) -> dict[str, Any] | None:
    """Return what a checkpoint was made with; None if there is none, or none of today's form."""
    try:
        with open(path, "rb") as file:
            head, made_with = file.readline(), file.readline()
        return dict(json.loads(made_with)) if head.startswith(MAGIC) else None
    except (OSError, ValueError):
        return None


def sampled_again(dataset: str, chain_files: Iterable[str | os.PathLike[str]]) -> str:
    """Return one line that says which chains of a dataset are sampled again though there are draws; "" if none is.

    Parameters
    ----------
    dataset
        Its name.
    chain_files
        Where the draws of its chains go, each with the folder of its checkpoint beside it.
    """
    chains: dict[str, list[str]] = {}
    for path in map(Path, chain_files):
        checkpoint = state_folder(path) / "checkpoint"
        if not checkpoint.is_file():
            continue
        found = stored_identity(checkpoint)
        version = None if found is None else found.get("sampler version")
        if version != SAMPLER_VERSION:
            made = "before they carried a sampler version" if version is None else f"by version {version}"
            chains.setdefault(made, []).append(path.stem.removeprefix("chain_"))
    if not chains:
        return ""
    reasons = "; ".join(f"{', '.join(names)} (drawn {made})" for made, names in chains.items())
    return f"{dataset}: chains that are sampled again, because the sampler is of version {SAMPLER_VERSION}: {reasons}"


def state_folder(chain_file: str | os.PathLike[str]) -> Path:
    """Return the folder of the checkpoint of a file of chains."""
    return Path(chain_file).with_suffix(".state")
