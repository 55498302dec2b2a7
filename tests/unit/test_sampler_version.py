"""Draws that change must carry another version: a run of each kernel against the numbers that are stored beside this.

After a change that is meant to change draws, raise `SAMPLER_VERSION` in `bnn/mcmc/__init__.py` by one and store the new
numbers: `python -m tests.unit.test_sampler_version`. Where the version is that of the file, it refuses to.
"""

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bnn.core.progress import Silent
from bnn.core.settings import (
    BlockPriorSettings,
    LangevinSettings,
    LikelihoodSettings,
    NetworkSettings,
    PriorSettings,
    SamplerSettings,
)
from bnn.mcmc import SAMPLER_VERSION, adaptation, chain, row_precision
from bnn.mcmc.chain import run_chains
from bnn.mcmc.kernels import malt
from bnn.model.posterior import make_posterior

STORED = Path(__file__).with_name("stored_iterations.json")
TOLERANCE = 1e-8
"""Of the largest number of an array: rounding differs between processors, and grows as in all chaotic motion."""
N_CHAINS, N_ITERATIONS = 2, 20

SAMPLER = SamplerSettings(
    kernel="malt",
    warmup=12,
    draws=N_ITERATIONS,
    thin=1,
    most_steps=1024,
    most_gradients=None,
    init="optimised",
    optimise_steps=5,
    optimise_learning_rate=0.02,
    explore=3,
    target_acceptance=None,
    trajectory_length=None,
    precondition=True,
    collapse="never",
    langevin=LangevinSettings(0.01, 0.05, 0.5),
    keep_precision="float64",
)
# Each kernel has another model, so that these runs depend on more of the package than on the kernels.
CASES: dict[str, dict[str, Any]] = {
    "malt": {"prior": ("normal", "none"), "likelihood": "gaussian", "activation": "tanh"},
    "mams": {"prior": ("student_t", "none"), "likelihood": "classes", "activation": "tanh"},
    "microcanonical": {
        "prior": ("normal", "layer"),
        "likelihood": "heteroscedastic",
        "activation": "sigmoid",
    },
    "sms_ubu": {"prior": ("normal", "layer"), "likelihood": "gaussian", "activation": "tanh"},
    "mala": {"prior": ("normal", "ard"), "likelihood": "student_t", "activation": "sigmoid"},
    "random_walk": {"prior": ("laplace", "layer"), "likelihood": "classes", "activation": "relu"},
    "langevin_gradient": {"prior": ("student_t", "none"), "likelihood": "gaussian", "activation": "relu"},
    # The output layer integrated out, as it is by default; rows have precisions under Student-t noise.
    "malt, gaussian": {"prior": ("normal", "layer"), "likelihood": "gaussian", "activation": "tanh"},
    "malt, heteroscedastic": {
        "prior": ("normal", "none"),
        "likelihood": "heteroscedastic",
        "activation": "tanh",
    },
    "malt, student_t": {"prior": ("normal", "none"), "likelihood": "student_t", "activation": "tanh"},
    "mala, student_t": {"prior": ("normal", "none"), "likelihood": "student_t", "activation": "tanh"},
}


def iterations(name: str) -> dict[str, list[Any]]:
    """Return what some chains of a case do from their start on: their last draw, and the log density at each draw."""
    case, (kernel, *collapsed) = CASES[name], name.split(", ")
    family, learned = case["prior"]
    is_regression = case["likelihood"] != "classes"
    # Tables without random numbers: NumPy's streams of normal numbers may change with its version, as ours may not.
    x = np.sin(np.arange(24.0)).reshape(12, 2)
    y = x[:, 0] - 0.5 * x[:, 1] ** 2 if is_regression else np.arange(12) % 3
    side = BlockPriorSettings(family, 1.0, 4.0)
    posterior = make_posterior(
        x,
        y,
        n_classes=None if is_regression else 3,
        network=NetworkSettings((3,), case["activation"], "float64", "numpy"),
        prior=PriorSettings(side, side, fan_in_scaling=True, learned_scales=learned),
        likelihood=LikelihoodSettings(case["likelihood"], "sampled", 4.0, -1.0, 1.0),
    )
    settings = replace(SAMPLER, kernel=kernel, collapse="auto" if collapsed else "never")
    draws = run_chains(posterior, range(N_CHAINS), 1, settings, Silent())
    return {"last_draw": draws.theta[:, -1].tolist(), "log_density": draws.log_density.tolist()}


def differences(found: dict[str, list[Any]], stored: dict[str, list[Any]]) -> dict[str, float]:
    """Return the largest relative difference of each array that is not within the tolerance."""
    sizes = {}
    for name, values in stored.items():
        one, other = np.array(found[name]), np.array(values)
        difference = (
            float(np.abs(one - other).max() / np.abs(other).max()) if one.shape == other.shape else np.inf
        )
        if not difference <= TOLERANCE:
            sizes[name] = difference
    return sizes


@pytest.mark.parametrize("kernel", CASES)
def test_draws_are_those_of_their_version(kernel: str) -> None:
    stored = json.loads(STORED.read_text(encoding="utf-8"))
    assert stored["sampler_version"] == SAMPLER_VERSION, (
        "store the draws of this version: see the top of this file"
    )
    found = differences(iterations(kernel), stored[kernel])
    assert not found, (
        f"draws changed by {found}: raise SAMPLER_VERSION if they are meant to (top of this file)"
    )


@pytest.mark.parametrize(
    ("kernel", "module", "name", "value"),
    [
        ("malt", malt, "FRICTION_LENGTH", 2.0001),
        ("mala", adaptation, "_SHRINKAGE_DRAWS", 5.001),
        ("random_walk", chain, "_FIRST_STEP_SIZE", 1.0001e-3),
        ("malt, gaussian", adaptation, "COLLAPSED_LENGTH", 2.5001),
        ("mala, student_t", row_precision, "_SINGLE_STEPS", 10**9),
    ],
)
def test_a_changed_constant_is_noticed(
    monkeypatch: pytest.MonkeyPatch, kernel: str, module: Any, name: str, value: float
) -> None:
    monkeypatch.setattr(module, name, value)
    stored = json.loads(STORED.read_text(encoding="utf-8"))
    assert differences(iterations(kernel), stored[kernel])


def store() -> None:
    """Write the numbers of this version, unless they differ from stored ones of the same version."""
    runs = {kernel: iterations(kernel) for kernel in CASES}
    if STORED.exists():
        before = json.loads(STORED.read_text(encoding="utf-8"))
        changed = [
            kernel for kernel in CASES if kernel in before and differences(runs[kernel], before[kernel])
        ]
        if changed and before["sampler_version"] == SAMPLER_VERSION:
            sys.exit(
                f"draws of {', '.join(changed)} changed: raise SAMPLER_VERSION in bnn/mcmc/__init__.py first"
            )
    text = json.dumps({"sampler_version": SAMPLER_VERSION} | runs)
    STORED.write_text(text.replace('}, "', '},\n"') + "\n", encoding="utf-8")


if __name__ == "__main__":
    store()
