"""The typed model of the config: every key, its default, what it allows and what it means."""

import re
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, PlainSerializer, field_validator, model_validator

from bnn.config.base import MAX_SEED, Section, expanded
from bnn.config.sampling import Diagnostics, Likelihood, Network, Prior, Sampler
from bnn.config.sources import AnySource
from bnn.core.errors import Fault

NAME_PATTERN = "^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$"


class Split(Section):
    """Which rows are held out as the test part."""

    method: Literal["random", "time", "group", "column"] = Field(
        "random",
        description="random: rows at random; time: the last ones; group: whole groups at random, such as all rows of "
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
        0.2,
        gt=0,
        lt=1,
        description="Fraction of the train part that only decides when to stop; so it does for gradient boosting.",
    )
    class_weight: Literal["none", "balanced"] = Field(
        "none",
        description="balanced: rare classes weigh as much as common ones in the training of the baseline networks and "
        "of the linear model and gradient boosting, which then find more of their rows, and give probabilities that "
        "are too high for them. The Bayesian network has no such weights, because its posterior is that of the rows as "
        "they are. Regression ignores it.",
    )


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
        description="Random splits to run the dataset on, with the seeds `split.seed`, `split.seed` + 1 and so on: "
        "each is a run of its own, results/<dataset>.0, .1 and so on, and results/report.html shows the means over "
        "splits with their standard errors.",
    )
    conformal: bool = Field(
        False,
        description="Conformal calibration of intervals and label sets, by five folds of the training rows: each is "
        "left out of a short fit in turn, and how far out its rows lie says what level holds 90 % of them. The report "
        "shows coverage before and after.",
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
