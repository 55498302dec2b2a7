"""The typed model of the config: every key, its default, what it allows and what it means."""

import re
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, PlainSerializer, field_validator, model_validator

from bnn.config.base import MAX_SEED, Section, expanded
from bnn.config.sources import AnySource
from bnn.core.errors import Fault

NAME_PATTERN = "^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$"


class Split(Section):
    """Which rows are held out as the test part."""

    method: Literal["random", "time", "group", "column"] = Field(
        "random",
        description="random: rows by lot; time: the last ones; group: whole groups of rows by lot, such as all rows of "
        "a patient; column: those that a column of the table names. `task: timeseries` splits by time in any case.",
    )
    column: str | None = Field(
        None,
        min_length=1,
        description="The column of that method, which is then no feature: the time of each row (numbers, or dates such "
        "as 2026-01-31; null: rows stand in order of time), its group, or its part.",
    )
    test_value: str = Field("test", description="What marks a test row in that column, for `method: column`.")
    test_size: float = Field(
        0.2,
        gt=0,
        lt=1,
        description="Fraction of the rows that is held out for testing, of the groups for `method: group`; rows of the "
        "same time as the first test row are test rows as well. `method: column` ignores it.",
    )
    stratify: bool = Field(
        True,
        description="Keep the proportions of the classes in both parts, for `method: random`; regression ignores it.",
    )
    seed: int | None = Field(
        None,
        ge=0,
        le=MAX_SEED,
        description="Seed of the lot (`random_state` of scikit-learn's `train_test_split` and `GroupShuffleSplit`); "
        "null: `seed`.",
    )
    repeated_rows: Literal["auto", "keep", "drop"] = Field(
        "auto",
        description="Rows whose features are all the same. keep: `method: random` puts them into one part where that "
        "can be done; drop: of rows whose target is the same, too, the first alone is used; auto: keep, or drop where "
        "more than a tenth of the rows repeat a real target that other rows do not share, and the run and the page "
        "tell it. `task: timeseries` ignores it.",
    )


class Columns(Section):
    """How columns become features; what is learned about them is learned on the training rows alone."""

    missing: Literal["auto", "error", "impute"] = Field(
        "auto",
        description="Missing values of features. impute: numbers get the median and texts the most frequent one, and a "
        "feature says where that was done; auto: the same, and the run and the page say so; error: they are refused.",
    )
    min_frequency: int = Field(
        1,
        ge=1,
        description="Texts that stand in fewer training rows share one feature; each other text gets one of its own, "
        "which is 1 in its rows and 0 elsewhere.",
    )


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
    activation: Literal["tanh", "relu", "sigmoid"] = Field(
        "tanh",
        description="Activation of the hidden units.",
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

    family: Literal["auto", "gaussian", "heteroscedastic", "student_t"] = Field(
        "auto",
        description="auto: chosen on the training rows; gaussian: normal noise, the same for all rows; "
        "heteroscedastic: normal noise whose scale is a second output of the network; student_t: noise with heavy "
        "tails, for targets with outliers.",
    )
    noise: Literal["sampled"] | Annotated[float, Field(gt=0)] = Field(
        "sampled",
        description="`sampled`: inferred along with the weights; a number: the known standard deviation (of student_t "
        "the known scale). heteroscedastic ignores it.",
    )
    df: float = Field(4.0, gt=2, description="Degrees of freedom of student_t; the other families ignore it.")
    log_noise_mean: float = Field(
        -1.0,
        description="Mean of the normal prior of the log of a sampled noise standard deviation (of student_t, scale); "
        "of heteroscedastic noise its log where the second output is 0.",
    )
    log_noise_sd: float = Field(
        1.0,
        gt=0,
        description="Standard deviation of that prior; heteroscedastic multiplies its second output by it, so that a "
        "small number says that the noise hardly varies.",
    )


class Baseline(Section):
    """Training of the frequentist network (Adam, early stopping)."""

    learning_rate: float = Field(0.003, gt=0, description="Step length of Adam.")
    weight_decay: float = Field(1e-4, ge=0, description="Rate at which the weights shrink towards zero.")
    batch_size: int = Field(16, ge=1, description="Rows per step.")
    max_epochs: int = Field(2000, ge=1, description="Passes over the train part at most.")
    patience: int = Field(
        100, ge=1, description="Epochs without a better validation loss after which training stops."
    )
    validation_size: float = Field(
        0.2, gt=0, lt=1, description="Fraction of the train part that only decides when to stop."
    )
    class_weight: Literal["none", "balanced"] = Field(
        "none",
        description="balanced: rare classes weigh as much as common ones in the training of the ordinary networks and "
        "of the linear model, which then find more of their rows, and give probabilities that are too high for them. "
        "The Bayesian network has no such weights, because its posterior is that of the rows as they are. Regression "
        "ignores it.",
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

    kernel: Literal["auto", "malt", "mams", "mala", "langevin_gradient", "random_walk", "microcanonical"] = (
        Field(
            "auto",
            description="How moves are proposed; auto is malt. Each samples the exact posterior, some with many more "
            "moves, but for microcanonical, which takes long steps without correction: its draws are biased, and the "
            "report says so.",
        )
    )
    chains: int = Field(
        8,
        ge=1,
        le=1000,
        description="Independent chains; R-hat compares them. With eight or more a run whose chains stay in different "
        "modes can be judged by each chain alone (verdict LOCAL).",
    )
    chains_per_job: int = Field(
        4,
        ge=1,
        le=1000,
        description="Chains that one job runs side by side on one core. Several cost little more than one where "
        "network and table are small; chains are the same whatever the number.",
    )
    warmup: int = Field(
        1000, ge=10, description="Moves per chain that tune step size and preconditioner, not kept."
    )
    draws: Literal["auto"] | Annotated[int, Field(ge=4)] = Field(
        "auto",
        description="Draws kept per chain. auto: 1000, of twice as many moves again and again until the chains of a "
        "job agree (R-hat, effective sample size) or `budget_minutes` are used up.",
    )
    budget_minutes: float = Field(
        10.0,
        gt=0,
        description="Core-minutes that the chains of a dataset may take, for `draws: auto`. They are turned into a "
        "number of gradients once, by a measured pass, and kept in plan.json: draws never depend on the clock.",
    )
    thin: int = Field(
        1, ge=1, description="Moves per kept draw; raise it when the effective sample size is too small."
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
        "gradients, 4000 at most, for `draws: auto`, else none.",
    )
    target_acceptance: float | None = Field(
        None,
        gt=0,
        lt=1,
        description="Acceptance rate that warm-up tunes the step size to; null: what suits the kernel (0.8 for malt "
        "and mams, 0.574 for mala and langevin_gradient, 0.234 for random_walk; microcanonical reads it as "
        "1 / (1 + 20 times the squared energy error per parameter), 0.9).",
    )
    trajectory_length: float | None = Field(
        None,
        gt=0,
        description="Length of a trajectory of malt and mams, in standard deviations of the preconditioned posterior; "
        "microcanonical, which moves step by step, forgets its direction over twice as much; null: a quarter "
        "period, 1.57.",
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
        "(microcanonical learns no scales: it travels while it is tuned, and what it sees is the way).",
    )
    collapse: Literal["auto", "never"] = Field(
        "auto",
        description="auto: where the noise and the priors of the output layer are normal, the layer is integrated out, "
        "exactly, and its weights are drawn for each kept draw; chains then mix several times as fast. never: it is "
        "sampled like the other layers.",
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
        0.01, ge=0, le=1, description="A larger fraction of diverging moves is a warning."
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


class Evaluation(Section):
    """What is asked of the model beyond its scores."""

    prior_factors: Annotated[tuple[Annotated[float, Field(gt=0)], ...], PlainSerializer(list)] = Field(
        (0.5, 0.8, 0.9, 1.1, 1.25, 2.0),
        max_length=20,
        description="Multiples of the prior's scales for which the test scores are asked: by weighting the draws where "
        "that can be trusted (Pareto k within its limit). The others are left open, but for the slope: a second "
        "dataset with other scales in its `prior` runs the chains under that prior.",
    )

    @model_validator(mode="after")
    def _check_factors(self) -> Self:
        if 1.0 in self.prior_factors or len(set(self.prior_factors)) != len(self.prior_factors):
            raise Fault(
                "not-different",
                f"prior_factors {list(self.prior_factors)} must be different numbers other than 1, the prior as it is",
            )
        return self


class Settings(Section):
    """Settings that hold for all datasets, and that a dataset may override in part."""

    seed: int = Field(42, ge=0, le=MAX_SEED, description="Seed of everything random.")
    repeats: int = Field(
        1,
        ge=1,
        le=1000,
        description="Splits to run the dataset on, by lot with the seeds `split.seed`, `split.seed` + 1 and so on: "
        "each is a run of its own, results/<dataset>.0, .1 and so on, and results/report.html shows the means over "
        "splits with their standard errors.",
    )
    split: Split = Field(default_factory=Split, description="Which rows are held out.")
    columns: Columns = Field(default_factory=Columns, description="How columns become features.")
    network: Network = Field(default_factory=Network, description="The network.")
    prior: Prior = Field(default_factory=Prior, description="Priors of weights and biases.")
    likelihood: Likelihood = Field(default_factory=Likelihood, description="Noise of a regression target.")
    baseline: Baseline = Field(default_factory=Baseline, description="Training of the frequentist network.")
    sampler: Sampler = Field(default_factory=Sampler, description="How the posterior is sampled.")
    diagnostics: Diagnostics = Field(default_factory=Diagnostics, description="Thresholds of the verdict.")
    evaluation: Evaluation = Field(
        default_factory=Evaluation, description="What is asked of the model beyond its scores."
    )


class Series(Section):
    """How a time series becomes a table, for `task: timeseries`."""

    lags: int = Field(
        12,
        ge=1,
        le=10_000,
        description="Last values of the target that a prediction is made from: features lag_1 (the latest known) to "
        "lag_<lags>. Other columns are features with their value at the time of lag_1.",
    )
    horizon: int = Field(
        1, ge=1, le=10_000, description="Steps from lag_1 to the value that is predicted (direct forecast)."
    )
    time: str | None = Field(
        None,
        min_length=1,
        description="Column with the time of each row, increasing: numbers, or dates such as 2026-01-31. It is no "
        "feature. null: rows are numbered. Rows are steps of one length, whatever their times.",
    )


class DatasetSettings(Settings):
    """A dataset; its settings take the place of the shared ones, key by key."""

    task: Literal["classification", "regression", "timeseries"] = Field(
        description="classification: the target is a class; regression: it is a number; timeseries: it is a number, to "
        "be predicted from its own past, and the last rows are the test part."
    )
    series: Series = Field(default_factory=Series, description="Past and horizon of a time series.")
    source: AnySource = Field(discriminator="kind", description="Where the data come from.")
    predict: Annotated[tuple[Annotated[str, Field(min_length=1)], ...], PlainSerializer(list)] = Field(
        (),
        description="CSV files of new rows to predict, relative to the folder in which Snakemake runs: a header line "
        "and all features, in any order. Predictions go to results/<dataset>/predictions/ under the name of the file.",
    )

    @field_validator("predict")
    @classmethod
    def _check_files(cls, paths: tuple[str, ...]) -> tuple[str, ...]:
        files = tuple(expanded(path) for path in paths)
        names = [Path(path).stem for path in files]
        if len(set(names)) != len(names):
            raise Fault(
                "not-different",
                f"the names of the files {names} must differ: predictions are named after them",
            )
        if bad := [name for name in names if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_. -]*", name)]:
            raise Fault(
                "name-unusable",
                f"the name of the file '{bad[0]}' cannot become that of its predictions: use letters of a-z and A-Z, "
                "digits, spaces and _ . -",
            )
        return files


class Config(Settings):
    """The whole config: settings for all datasets, and the datasets."""

    datasets: dict[Annotated[str, Field(pattern=NAME_PATTERN)], DatasetSettings] = Field(
        description="The datasets to run, by name. A name becomes a folder below `results`.",
        json_schema_extra={"minProperties": 1, "additionalProperties": False},
    )
