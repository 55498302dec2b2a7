"""Posteriors built from config sections: every key that concerns the density changes it."""

from dataclasses import replace

import numpy as np
import pytest

from bnn.core.settings import BlockPriorSettings, ModelSettings
from bnn.model.posterior import make_posterior
from tests.unit.synthetic_chains import LIKELIHOOD, NETWORK, PRIOR, make_dataset

SETTINGS = ModelSettings(NETWORK, PRIOR, LIKELIHOOD)
STUDENT = BlockPriorSettings("student_t", 1.0, 4.0)


def posterior_of(dataset, settings):
    return make_posterior(dataset.x_train, dataset.y_train, n_classes=dataset.n_classes, **vars(settings))


def changed(settings, path, value):
    """Return settings with a field changed, which a dotted path names."""
    name, _, rest = path.partition(".")
    return replace(settings, **{name: changed(getattr(settings, name), rest, value) if rest else value})


def log_density(task, *path_and_value):
    settings = SETTINGS
    for path, value in path_and_value:
        settings = changed(settings, path, value)
    posterior = posterior_of(make_dataset(task), settings)
    theta = np.linspace(-1, 1, posterior.layout.n_params)[None]
    return posterior.log_density(theta)[0]


@pytest.mark.parametrize(
    "change",
    [
        [("network.hidden", (3, 2))],
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
    compiled = changed(changed(SETTINGS, "network.engine", "numba"), "network.precision", "float32")
    posterior = posterior_of(make_dataset("regression"), compiled)
    assert posterior.network.engine == "numba"
    theta = np.linspace(-1, 1, posterior.layout.n_params)[None]
    assert posterior.log_density(theta)[0] == pytest.approx(log_density("regression"), rel=1e-5)
    with pytest.raises(ValueError, match="engine"):
        posterior_of(make_dataset("regression"), changed(SETTINGS, "network.engine", "fast"))


def test_degrees_of_freedom_matter_to_student_t_only():
    for part in ("weights", "biases"):
        student = (f"prior.{part}", STUDENT)
        assert log_density("regression", student) != log_density(
            "regression", student, (f"prior.{part}.df", 9.0)
        )
        assert log_density("regression", (f"prior.{part}.df", 9.0)) == log_density("regression")


def test_degrees_of_freedom_and_learned_scales_tell_models_apart():
    for family in ("student_t", "heteroscedastic_student_t"):
        student = ("likelihood.family", family)
        assert log_density("regression", student) != log_density(
            "regression", student, ("likelihood.df", 9.0)
        )
    assert log_density("regression", ("likelihood.df", 9.0)) == log_density("regression")
    layer, ard = ("prior.learned_scales", "layer"), ("prior.learned_scales", "ard")
    assert log_density("regression", layer) != log_density("regression", ard)
    for scale in ("prior.weights.scale", "prior.biases.scale", "prior.fan_in_scaling"):
        assert log_density("regression", ard) != log_density(
            "regression", ard, (scale, 0.0 if "fan" in scale else 2.0)
        )


def test_known_noise_is_no_parameter():
    sampled = posterior_of(make_dataset("regression"), SETTINGS)
    known = posterior_of(make_dataset("regression"), changed(SETTINGS, "likelihood.noise", 0.4))
    assert sampled.layout.names == (*known.layout.names, "log_noise_scale")
    assert posterior_of(make_dataset("classification"), SETTINGS).layout.names == known.layout.names
