"""Sections of the config that a chain depends on: network, prior, likelihood, sampler; and what judges it."""

from typing import Annotated, Literal, Self

from pydantic import Field, PlainSerializer, model_validator

from bnn.config.base import Section
from bnn.core.errors import Fault

Units = Annotated[
    tuple[Annotated[int, Field(ge=1, le=10_000)], ...], Field(max_length=10), PlainSerializer(list)
]


class Network(Section):
    """The network, shared by the Bayesian network and the frequentist baseline."""

    hidden: Literal["auto"] | Units = Field(
        "auto",
        description="Units of each hidden layer, such as [50, 50]; [] gives a linear model. auto: chosen on the "
        "training rows, together with the scale of the prior.",
    )
    input_transform: Literal["auto", "none", "yeo_johnson"] = Field(
        "auto",
        description="What is made of standardised inputs before the first layer. yeo_johnson: columns with a long tail "
        "are compressed by a power transform, learned on the training rows; none: nothing. auto: chosen with the "
        "hidden layers or the scale of the prior where one of them is `auto`, else none.",
    )
    activation: Literal["auto", "tanh", "relu", "sigmoid"] = Field(
        "auto",
        description="Activation of the hidden units. auto: chosen together with the hidden layers of a classifier "
        "where those are `auto`, else tanh.",
    )
    precision: Literal["auto", "float64", "float32"] = Field(
        "auto",
        description="Arithmetic of the network; log densities are always summed in float64. `auto` is float32 with "
        "Numba and float64 with NumPy.",
    )
    engine: Literal["auto", "numpy", "numba"] = Field(
        "auto",
        description="What evaluates the log density and its gradient: NumPy, or loops compiled by Numba (the first "
        "chain on a machine waits some seconds for the compiler). `auto` is Numba where it is installed, "
        "else NumPy; it is settled when a chain starts and kept in its checkpoint. Draws of both are of one "
        "posterior, not the same numbers: where those must not depend on the machine, say `numpy`.",
    )


class ParameterPrior(Section):
    """Prior of weights or of biases: independent, centred on zero."""

    family: Literal["normal", "laplace", "student_t"] = Field("normal", description="Shape of the prior.")
    scale: Literal["auto"] | Annotated[float, Field(gt=0)] = Field(
        "auto",
        description="Standard deviation for normal, scale parameter for laplace and student_t. auto: of the weights "
        "chosen on the training rows, together with the hidden layers; 2 for the biases.",
    )
    df: float = Field(4.0, gt=0, description="Degrees of freedom of student_t; the other families ignore it.")


class Prior(Section):
    """What the network may be before it sees data."""

    weights: ParameterPrior = Field(default_factory=ParameterPrior, description="Prior of the weights.")
    biases: ParameterPrior = Field(default_factory=ParameterPrior, description="Prior of the biases.")
    output_factor: Literal["auto"] | Annotated[float, Field(gt=0)] = Field(
        "auto",
        description="The scale of the weights of the output layer, in units of that of the others: large where hidden "
        "units change slowly with the inputs and classes are all but certain. It scales a linear model as a whole. "
        "auto: chosen with the scale of the weights where that is `auto`, else 1.",
    )
    fan_in_scaling: bool = Field(
        True,
        description="Divide the scale of a weight by the square root of the number of inputs of its layer, "
        "so that wide layers do not make wild functions (Neal 1996).",
    )
    learned_scales: Literal["none", "layer", "ard"] = Field(
        "none",
        description="none: the scales are fixed; layer: each layer learns one for its weights and one for its biases, "
        "with a half-normal prior whose scale is `scale`; ard: the first layer learns one for the weights of each "
        "input instead, which switches inputs without effect off (automatic relevance determination).",
    )


class Likelihood(Section):
    """Noise of a regression target, in standardised units (1 is the standard deviation of the train part)."""

    family: Literal[
        "auto",
        "gaussian",
        "student_t",
        "heteroscedastic",
        "heteroscedastic_student_t",
        "log_normal",
        "heteroscedastic_log_normal",
        "logit_normal",
        "heteroscedastic_logit_normal",
        "poisson",
        "negative_binomial",
        "hurdle",
    ] = Field(
        "auto",
        description="auto: chosen on the training rows, among those that can have such a target; gaussian: normal "
        "noise, the same for all rows; student_t: noise with heavy tails, for targets with outliers; heteroscedastic "
        "and heteroscedastic_student_t: normal and Student-t noise whose scale is a second output of the network; "
        "log_normal, for positive targets, and logit_normal, for shares from 0 to 1: one of these on the "
        "log or the logit of the target; poisson and negative_binomial: counts; hurdle: "
        "amounts that are often 0 and else log-normal.",
    )
    noise: Literal["sampled"] | Annotated[float, Field(gt=0)] = Field(
        "sampled",
        description="`sampled`: inferred along with the weights; a number: the known standard deviation (of student_t "
        "the known scale). Families with a second output, and counts, ignore it.",
    )
    df: float = Field(
        4.0, gt=2, description="Degrees of freedom of Student-t noise; other families ignore it."
    )
    log_noise_mean: float = Field(
        -1.0,
        description="Mean of the normal prior of the log of a sampled noise standard deviation (of student_t, scale); "
        "of heteroscedastic noise its log where the second output is 0; of negative_binomial of the log of its "
        "dispersion.",
    )
    log_noise_sd: Literal["auto"] | Annotated[float, Field(gt=0)] = Field(
        "auto",
        description="Standard deviation of that prior; heteroscedastic multiplies its second output by it, so that a "
        "small number says that the noise hardly varies. auto: 1; of heteroscedastic 1 over the scale of the weights' "
        "prior, from 0.5 to 1.",
    )


class Langevin(Section):
    """Proposal of the kernel `langevin_gradient`; other kernels ignore it."""

    learning_rate: float = Field(
        0.01,
        gt=0,
        description="Length of the gradient step of the proposal before warm-up tunes the step size.",
    )
    noise_scale: float = Field(
        0.05,
        gt=0,
        description="Standard deviation of the noise of the proposal before warm-up tunes the step size.",
    )
    langevin_probability: float = Field(
        0.5,
        ge=0,
        le=1,
        description="Probability that a proposal uses the gradient; else it is a random walk.",
    )


class Sampler(Section):
    """How the posterior is sampled."""

    kernel: Literal[
        "auto", "malt", "mams", "mala", "langevin_gradient", "random_walk", "microcanonical", "sms_ubu"
    ] = Field(
        "auto",
        description="How iterations propose; auto is malt, and sms_ubu above 50,000 training rows. Each samples the "
        "exact posterior, some with many more iterations, but for microcanonical, which takes long steps without "
        "correction, and sms_ubu, which takes gradients of 2,000 rows at a time (a hundredth of larger tables): their "
        "draws are biased, and the report says so (WARN at best).",
    )
    chains: int = Field(
        4,
        ge=1,
        le=1000,
        description="Independent chains; R-hat compares them. Few long ones agree sooner than many short ones of the "
        "same cost. With eight or more a run whose chains stay in different modes can be judged by each chain alone "
        "(verdict LOCAL).",
    )
    chains_per_job: int = Field(
        4,
        ge=1,
        le=1000,
        description="Chains that one job runs side by side on one core. Several cost little more than one where "
        "network and table are small; chains are the same whatever the number.",
    )
    warmup: Literal["auto"] | Annotated[int, Field(ge=10)] = Field(
        "auto",
        description="Iterations per chain that tune step size and preconditioner, not kept. auto: 1000, or as many as "
        "draws where those are fewer because `budget_minutes` are few.",
    )
    draws: Literal["auto"] | Annotated[int, Field(ge=4)] = Field(
        "auto",
        description="Draws kept per chain. auto: up to 1000, of twice as many iterations again and again until chains "
        "of a job agree (R-hat, effective sample size) or `budget_minutes` are used up, the rest of which a last round "
        "takes (up to 2000 draws).",
    )
    budget_minutes: float = Field(
        10.0,
        gt=0,
        description="Core-minutes that the chains of a dataset may take, for `draws: auto`, without the choice before "
        "them. They are turned into a number of gradients once, by a measured pass, and kept in plan.json: draws never "
        "depend on the clock.",
    )
    thin: int = Field(
        1, ge=1, description="Iterations per kept draw; raise it when the effective sample size is too small."
    )
    init: Literal["optimised", "prior"] = Field(
        "optimised",
        description="Start of each chain: a draw from the prior, which Adam improves if optimised.",
    )
    optimise_steps: int = Field(500, ge=1, description="Steps of that Adam run.")
    optimise_learning_rate: float = Field(0.01, gt=0, description="Step length of that Adam run.")
    explore: Literal["auto"] | Annotated[int, Field(ge=0)] = Field(
        "auto",
        description="Steps of unadjusted microcanonical dynamics between the optimiser and warm-up, a gradient each: "
        "they are long and leave poor modes, which stiff posteriors of larger networks need. auto: a fifth of the "
        "gradients, 4000 at most, for `draws: auto`, else none, nor with sms_ubu.",
    )
    target_acceptance: float | None = Field(
        None,
        gt=0,
        lt=1,
        description="Acceptance rate that warm-up tunes the step size to; null: what suits the kernel (0.8 for malt "
        "and mams, 0.574 for mala and langevin_gradient, 0.234 for random_walk; microcanonical reads it as "
        "1 / (1 + 20 times the squared energy error per parameter), 0.9; sms_ubu ignores it).",
    )
    trajectory_length: float | None = Field(
        None,
        gt=0,
        description="Length of a trajectory of malt and mams, in standard deviations of the preconditioned posterior; "
        "microcanonical, which moves step by step, forgets its direction over twice as much; sms_ubu ignores it; "
        "null: a quarter period, 1.57.",
    )
    most_steps: int = Field(
        1024,
        ge=1,
        le=1024,
        description="Most steps of a trajectory, for kernels that have them. For `draws: auto` as many as the budget "
        "allows.",
    )
    precondition: bool = Field(
        True,
        description="Sample along the principal axes of the inputs, and learn the scale of each parameter in warm-up "
        "(microcanonical and sms_ubu learn no scales: they travel while they are tuned, and what they see is the way).",
    )
    collapse: Literal["auto", "never"] = Field(
        "auto",
        description="auto: where the target is a number with normal or Student-t noise and priors of the output layer "
        "are normal, the layer is integrated out, exactly, and its weights are drawn for each kept draw; chains then "
        "mix several times as fast. It is not done with sms_ubu, nor with `draws: auto` where layers are wide and "
        "there is much noise. "
        "never: the layer is sampled like the others.",
    )
    langevin: Langevin = Field(
        default_factory=Langevin, description="Proposal of the kernel langevin_gradient."
    )
    keep: Literal["both", "predictions", "weights"] = Field(
        "both",
        description="What posterior.nc keeps: weights of every draw, what each predicts for every row, or both. The "
        "report is the same; a whole file exists while it is made.",
    )
    keep_precision: Literal["float64", "float32"] = Field(
        "float64", description="How draws are stored; float32 halves their files and keeps seven digits."
    )
    checkpoint_seconds: float = Field(
        30.0,
        gt=0,
        description="Time between two checkpoints of a running chain, which is what a kill or a power failure costs. "
        "A change of it runs nothing again.",
    )


class Diagnostics(Section):
    """Thresholds of the verdict PASS, WARN, LOCAL or FAIL."""

    rhat_warn: float = Field(1.01, ge=1, description="An R-hat above this is a warning.")
    rhat_fail: float = Field(1.05, ge=1, description="An R-hat above this is a failure.")
    ess_warn: float = Field(400.0, ge=0, description="A bulk effective sample size below this is a warning.")
    ess_fail: float = Field(100.0, ge=0, description="A bulk effective sample size below this is a failure.")
    acceptance_min: float = Field(
        0.1, ge=0, le=1, description="A chain that accepts less often is a warning."
    )
    acceptance_max: float = Field(
        0.95, ge=0, le=1, description="A chain that accepts more often is a warning."
    )
    acceptance_fail: float = Field(
        0.01, ge=0, le=1, description="A chain that accepts less often is a failure: it hardly moves."
    )
    diverging_warn: float = Field(
        0.01, ge=0, le=1, description="A larger fraction of diverging iterations is a warning."
    )

    @model_validator(mode="after")
    def _check_order(self) -> Self:
        pairs = [("rhat_warn", "rhat_fail"), ("ess_fail", "ess_warn"), ("acceptance_min", "acceptance_max")]
        pairs.append(("acceptance_fail", "acceptance_min"))
        for low, high in pairs:
            least, most = getattr(self, low), getattr(self, high)
            if least > most:
                raise Fault("wrong-order", f"{low} ({least:g}) must not be greater than {high} ({most:g})")
        return self
