"""Settings as frozen dataclasses: what each part of the package is told, checked by the models of `bnn.config`.

They have no defaults, which live in the config alone, and a job needs nothing but the standard library to read them.
What each field means, and which values it may have, stands in `bnn/config/` and config/README.md.
"""

from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields, replace
from typing import Any, NamedTuple, TypeVar, get_args, get_origin, get_type_hints

Settings = TypeVar("Settings")


FALSE_ALARMS = 0.01
"""Share of tables, at most, on which the coverage of right probabilities, or their PIT, is flagged.

Test rows share what the training rows left in doubt, of which these tests do not know:
docs/explanation/diagnostics.md has rates.
"""

INDICATES = " is missing"
"""Ends the name of the feature that says so of a column."""
YEO_JOHNSON = "yeo_johnson"
"""Value of `NetworkSettings.input_transform`: a power transform of inputs; others leave them as they are."""


@dataclass(frozen=True)
class NetworkSettings:
    """Architecture and arithmetic of the network."""

    hidden: tuple[int, ...]
    activation: str
    precision: str
    engine: str
    input_transform: str = "none"

    def in_numpy(self, precision: str | None = None) -> "NetworkSettings":
        """Return the settings with which NumPy computes what is not sampled: predictions, and baseline networks.

        Parameters
        ----------
        precision
            That of the draws which predict; None for the one that is asked for, and float64 where that is "auto".
        """
        asked = "float64" if self.precision == "auto" else self.precision
        return replace(self, engine="numpy", precision=precision or asked)


@dataclass(frozen=True)
class BlockPriorSettings:
    """Prior of all weights, or of all biases."""

    family: str
    scale: float
    df: float


@dataclass(frozen=True)
class PriorSettings:
    """Prior of the network's parameters."""

    weights: BlockPriorSettings
    biases: BlockPriorSettings
    fan_in_scaling: bool
    learned_scales: str
    output_factor: float = 1.0

    def scaled(self, factor: float) -> "PriorSettings":
        """Return the prior with the scales of weights and biases multiplied by a factor."""
        weights, biases = (
            replace(block, scale=factor * block.scale) for block in (self.weights, self.biases)
        )
        return replace(self, weights=weights, biases=biases)


class Family(NamedTuple):
    """What a name of `likelihood.family` stands for."""

    noise: str
    """gaussian, student_t, heteroscedastic, heteroscedastic_student_t, poisson, negative_binomial or hurdle"""
    form: str
    """standardised; log or logit, standardised in their turn; count; or hurdle, the log where it is positive"""

    @property
    def noise_varies(self) -> bool:
        """Whether the noise is an output of the network."""
        return self.noise.startswith("heteroscedastic")


FAMILIES = {
    "gaussian": Family("gaussian", "standardised"),
    "student_t": Family("student_t", "standardised"),
    "heteroscedastic": Family("heteroscedastic", "standardised"),
    "heteroscedastic_student_t": Family("heteroscedastic_student_t", "standardised"),
    "log_normal": Family("gaussian", "log"),
    "heteroscedastic_log_normal": Family("heteroscedastic", "log"),
    "logit_normal": Family("gaussian", "logit"),
    "heteroscedastic_logit_normal": Family("heteroscedastic", "logit"),
    "poisson": Family("poisson", "count"),
    "negative_binomial": Family("negative_binomial", "count"),
    "hurdle": Family("hurdle", "hurdle"),
}
"""Names of `likelihood.family`."""


def spread_of_noise(family: str, scale: float) -> float:
    """Return the `log_noise_sd` that "auto" stands for: 1, and less where a wide prior would let noise vary wildly.

    The output that makes heteroscedastic noise has weights of the prior's scale as that of the mean has, which is wide
    where the mean has many turns. Divided by it, noise varies as much whatever the mean does: else networks of scale 2
    had modes in which some rows are fitted with almost no noise, which no chain leaves. The half is for the level of
    the noise, whose prior narrows too.

    Parameters
    ----------
    family
        One of `FAMILIES`.
    scale
        Of the prior of the weights of the output layer.
    """
    return min(1.0, max(0.5, 1.0 / scale)) if FAMILIES[family].noise_varies else 1.0


@dataclass(frozen=True)
class LikelihoodSettings:
    """Noise of a regression target, in standardised units."""

    family: str
    noise: str | float
    df: float
    log_noise_mean: float
    log_noise_sd: float


@dataclass(frozen=True)
class LangevinSettings:
    """Proposal of the kernel `langevin_gradient`."""

    learning_rate: float
    noise_scale: float
    langevin_probability: float


PHASES = ("optimise", "explore", "warmup", "draws")
"""Parts of a chain's run, in order; their seconds are counted apart."""


WARMUP = 1000
"""Iterations of `warmup: auto`, at most"""
OPEN_DRAWS = 1000
"""Draws that a chain of open length keeps after whole rounds; twice as many at most with a last one."""


@dataclass(frozen=True)
class SamplerSettings:
    """How one chain samples the posterior.

    `most_gradients` is None for a fixed length; else a chain continues, kept draws ever further apart, until it has
    mixed or that many gradients are used up.
    """

    kernel: str
    warmup: int
    draws: int
    thin: int
    most_steps: int
    most_gradients: int | None
    init: str
    optimise_steps: int
    optimise_learning_rate: float
    explore: int
    target_acceptance: float | None
    trajectory_length: float | None
    precondition: bool
    collapse: str
    langevin: LangevinSettings
    keep_precision: str

    @property
    def lengths(self) -> dict[str, int]:
        """Steps of each phase, optimiser and iterations alike."""
        optimise = self.optimise_steps if self.init == "optimised" else 0
        return dict(zip(PHASES, (optimise, self.explore, self.warmup, self.draws * self.thin), strict=True))

    @property
    def n_steps(self) -> int:
        """Steps of a whole run."""
        return sum(self.lengths.values())


@dataclass(frozen=True)
class ModelSettings:
    """What a log density depends on beside the rows."""

    network: NetworkSettings
    prior: PriorSettings
    likelihood: LikelihoodSettings


@dataclass(frozen=True)
class ChainSettings(ModelSettings):
    """All that the draws of a chain depend on beside the rows."""

    seed: int
    sampler: SamplerSettings


@dataclass(frozen=True)
class BaselineSettings:
    """Training of the baseline network."""

    learning_rate: float
    weight_decay: float
    batch_size: int
    max_epochs: int
    patience: int
    validation_size: float
    class_weight: str


def build(kind: type[Settings], values: Mapping[str, Any]) -> Settings:
    """Return settings from plain values, as the config's models write them and JSON holds them.

    Keys that are no field are ignored: a section of the config may hold more than one part needs.

    Parameters
    ----------
    kind
        One of the classes above.
    values
        Field -> number, text, list, None, or the values of the settings inside.

    Raises
    ------
    KeyError
        If a field has no value.
    """
    return _value(kind, dict(values))


def _value(kind: Any, value: Any) -> Any:
    if isinstance(value, Mapping):
        hints = get_type_hints(kind)
        given = [field.name for field in fields(kind) if field.name in value or field.default is MISSING]
        return kind(**{name: _value(hints[name], value[name]) for name in given})
    if get_origin(kind) is tuple:
        return tuple(_value(get_args(kind)[0], item) for item in value)
    return float(value) if kind is float else value
