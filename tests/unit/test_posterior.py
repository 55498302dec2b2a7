"""Posteriors built from config sections: every key that concerns the density changes it."""

import copy
from typing import Any

import numpy as np
import pytest

from bnn.model.posterior import make_posterior
from tests.unit.synthetic_chains import LIKELIHOOD, make_dataset

SECTIONS: dict[str, Any] = {
    "network": {"hidden": [3], "activation": "tanh", "precision": "float64", "engine": "numpy"},
    "prior": {
        "weights": {"family": "normal", "scale": 1.0, "df": 4.0},
        "biases": {"family": "normal", "scale": 1.0, "df": 4.0},
        "fan_in_scaling": True,
        "learned_scales": "none",
    },
    "likelihood": LIKELIHOOD,
}
STUDENT = {"family": "student_t", "scale": 1.0, "df": 4.0}


def posterior_of(dataset, **sections):
    return make_posterior(dataset.x_train, dataset.y_train, n_classes=dataset.n_classes, **sections)


def log_density(task, *path_and_value):
    sections = copy.deepcopy(SECTIONS)
    for path, value in path_and_value:
        *groups, key = path.split(".")
        place = sections
        for group in groups:
            place = place[group]
        place[key] = copy.deepcopy(value)
    posterior = posterior_of(make_dataset(task), **sections)
    theta = np.linspace(-1, 1, posterior.layout.n_params)[None]
    return posterior.log_density(theta)[0]


@pytest.mark.parametrize(
    "change",
    [
        [("network.hidden", [3, 2])],
        [("network.activation", "relu")],
        [("network.precision", "float32")],
        [("prior.weights.family", "laplace")],
        [("prior.biases.family", "student_t")],
        [("prior.weights.scale", 2.0)],
        [("prior.biases.scale", 2.0)],
        [("prior.fan_in_scaling", False)],
        [("likelihood.noise", 0.4)],
        [("likelihood.log_noise_mean", 0.0)],
        [("likelihood.log_noise_sd", 2.0)],
        [("prior.learned_scales", "layer")],
        [("prior.learned_scales", "ard")],
        [("likelihood.family", "student_t")],
        [("likelihood.family", "heteroscedastic")],
    ],
    ids=lambda change: change[0][0],
)
def test_every_key_changes_the_density(change):
    assert log_density("regression", *change) != log_density("regression")
    if not change[0][0].startswith("likelihood"):
        assert log_density("classification", *change) != log_density("classification")


def test_the_engine_of_the_config_evaluates_the_density():
    pytest.importorskip("numba", reason="Numba is not installed")
    network = {**SECTIONS["network"], "engine": "numba", "precision": "float32"}
    posterior = posterior_of(make_dataset("regression"), **(SECTIONS | {"network": network}))
    assert posterior.network.engine == "numba"
    theta = np.linspace(-1, 1, posterior.layout.n_params)[None]
    assert posterior.log_density(theta)[0] == pytest.approx(log_density("regression"), rel=1e-5)
    with pytest.raises(ValueError, match="unknown engine"):
        posterior_of(make_dataset("regression"), **(SECTIONS | {"network": {**network, "engine": "fast"}}))


def test_degrees_of_freedom_matter_to_student_t_only():
    for part in ("weights", "biases"):
        student = (f"prior.{part}", STUDENT)
        assert log_density("regression", student) != log_density(
            "regression", student, (f"prior.{part}.df", 9.0)
        )
        assert log_density("regression", (f"prior.{part}.df", 9.0)) == log_density("regression")


def test_degrees_of_freedom_and_learned_scales_tell_models_apart():
    student = ("likelihood.family", "student_t")
    assert log_density("regression", student) != log_density("regression", student, ("likelihood.df", 9.0))
    assert log_density("regression", ("likelihood.df", 9.0)) == log_density("regression")
    layer, ard = ("prior.learned_scales", "layer"), ("prior.learned_scales", "ard")
    assert log_density("regression", layer) != log_density("regression", ard)
    for scale in ("prior.weights.scale", "prior.biases.scale", "prior.fan_in_scaling"):
        assert log_density("regression", ard) != log_density(
            "regression", ard, (scale, 0.0 if "fan" in scale else 2.0)
        )


def test_known_noise_is_no_parameter():
    sampled = posterior_of(make_dataset("regression"), **SECTIONS)
    sections = copy.deepcopy(SECTIONS)
    sections["likelihood"]["noise"] = 0.4
    known = posterior_of(make_dataset("regression"), **sections)
    assert sampled.layout.names == (*known.layout.names, "log_noise_scale")
    assert posterior_of(make_dataset("classification"), **SECTIONS).layout.names == known.layout.names
