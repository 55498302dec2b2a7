"""How good the predictions are: the Bayesian network, the baseline network and the linear model side by side.

All three are scored by the same functions, on the same rows, in original target units. Scores of the Bayesian
network carry their Monte Carlo standard error: how far they would move with other draws of the same posterior.
"""

import os
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd

from bnn import metrics
from bnn.datasets import Dataset
from bnn.inference_data import PHASES, PREDICTIONS, InferenceData
from bnn.predictive import (
    ClassSummary,
    TargetSummary,
    central_intervals,
    class_summary,
    intervals_of_sorted,
    target_summary,
)
from bnn.storage import atomic_path, write_json

LEVELS = (0.5, 0.9, 0.95)
"""What the central intervals hold."""

SPLITS = ("train", "test")
REFERENCES = ("baseline", "linear")
_BLOCKS_PER_CHAIN = 5
_ROWS_AT_ONCE = 256

Scores = dict[str, float]


def evaluate(
    idata: InferenceData,
    dataset: Dataset,
    baseline: Mapping[str, np.ndarray],
    baseline_attributes: Mapping[str, Any],
) -> tuple[dict[str, Any], pd.DataFrame]:
    """Score all models.

    Parameters
    ----------
    idata
        What `bnn.inference_data.build` made.
    dataset
        Its table.
    baseline, baseline_attributes
        Variables and attributes of the file of the baseline.

    Returns
    -------
    scores
        What goes into metrics.json.
    predictions
        What goes into predictions.csv, a row for each test row.

    Raises
    ------
    ValueError
        If the rows of the posterior or of the baseline are not those of the table.
    """
    _check_rows(idata, dataset, baseline)
    is_class = dataset.task == "classification"
    models: dict[str, dict[str, Any]] = {model: {} for model in ("bnn", *REFERENCES)}
    summaries: dict[str, ClassSummary | TargetSummary] = {}
    for split in SPLITS:
        y = observed(dataset, split)
        models["bnn"][split] = _class_scores(idata, split, y) if is_class else _target_scores(idata, split, y)
        summaries[split] = posterior_summary(idata, dataset, split)
        for model in REFERENCES:
            scores = _reference_scores(baseline, model, split, y)
            models[model][split] = {name: {"value": value, "mcse": None} for name, value in scores.items()}
    stats, about = idata["sample_stats"], idata["posterior"].attrs
    report: dict[str, Any] = {
        "dataset": dataset.name,
        "task": dataset.task,
        "n_train": len(dataset.y_train),
        "n_test": len(dataset.y_test),
        "n_features": len(dataset.feature_names),
        "target_name": dataset.target_name,
        "target_unit": dataset.target_unit,
        "class_names": list(dataset.class_names),
        "architecture": [int(size) for size in about["architecture"]],
        "n_params": int(about["n_params"]),
        "models": models,
        "uncertainty": {
            split: {
                name: float(getattr(summary, name).mean()) for name in ("total", "aleatoric", "epistemic")
            }
            for split, summary in summaries.items()
        },
        "seconds": {
            "baseline": float(baseline_attributes["seconds"]),
            "bnn": float(sum(stats[f"seconds_{phase}"].values.sum() for phase in PHASES)),
        },
    }
    test = summaries["test"]
    if isinstance(test, ClassSummary):
        probability = {"bnn": test.probability}
        probability |= {model: baseline[f"{model}_test_probability"] for model in REFERENCES}
        report["classification_report"] = _class_reports(dataset, summaries, baseline)
        return report, _class_table(dataset, test, probability)
    return report, _target_table(idata, dataset, test, baseline)


def save(
    scores: Mapping[str, Any],
    predictions: pd.DataFrame,
    *,
    json_path: str | os.PathLike[str],
    csv_path: str | os.PathLike[str],
) -> None:
    """Write what `evaluate` returned; a score that is not finite becomes null in the JSON file."""
    with atomic_path(csv_path) as temporary:
        predictions.to_csv(temporary, index=False)
    write_json(json_path, scores)


def observed(dataset: Dataset, split: str) -> np.ndarray:
    """Return the targets of a split, shape (obs,): class indices, or values in original target units."""
    y = dataset.y_train if split == "train" else dataset.y_test
    return y if dataset.task == "classification" else dataset.target_mean + dataset.target_scale * y


def posterior_summary(idata: InferenceData, dataset: Dataset, split: str) -> ClassSummary | TargetSummary:
    """Return the predictive distribution of every row of a split, and how its spread splits; original units."""
    group = idata[PREDICTIONS[split]]
    if dataset.task == "classification":
        return class_summary(group["probability"].values)
    return target_summary(group["mean"].values, group["noise_sd"].values)


def jackknife_blocks(n_chains: int, n_draws: int) -> np.ndarray:
    """Return the block of each draw, shape (chain, draw): five runs of successive draws per chain.

    Successive draws resemble each other, so they are left out together; the error then counts their
    autocorrelation as long as that is short beside a block.
    """
    n_blocks = min(_BLOCKS_PER_CHAIN, n_draws)
    return np.arange(n_chains)[:, None] * n_blocks + np.arange(n_draws) * n_blocks // n_draws


def jackknife_mcse(left_out: np.ndarray) -> float | None:
    """Return the standard error of an estimate from its values with one block left out each.

    sqrt((g - 1)/g sum_b (value_b - mean)^2) for g blocks (Efron & Stein 1981). It is 0 where no block matters,
    as for an accuracy that no block changes; None for fewer than two blocks.

    Parameters
    ----------
    left_out
        Shape (block,).
    """
    g = len(left_out)
    if g < 2:
        return None
    if not np.isfinite(left_out).all():
        return float("nan")
    deviation = left_out - left_out[0]  # exactly 0 where no block matters; a mean may be off by rounding
    return float(np.sqrt((g - 1) / g * np.sum((deviation - deviation.mean()) ** 2)))


def _with_mcse(variants: list[Scores]) -> dict[str, dict[str, float | None]]:
    """Return value and error of each score from its variants, see `_variants`."""
    return {
        name: {"value": value, "mcse": jackknife_mcse(np.array([scores[name] for scores in variants[1:]]))}
        for name, value in variants[0].items()
    }


def _variants(blocks: np.ndarray) -> list[np.ndarray]:
    """Return which draws to keep, each (chain, draw) bool: all, then all but one block (if there are two or more)."""
    n_blocks = int(blocks.max()) + 1
    return [blocks >= 0] + [blocks != block for block in range(n_blocks) if n_blocks > 1]


def _means(values: np.ndarray, blocks: np.ndarray) -> np.ndarray:
    """Return means over the draws of each variant; (chain, draw, ...) -> (variant, ...).

    They are sums of sums of blocks: taking a block off the total would lose small means to rounding.
    """
    n_blocks = int(blocks.max()) + 1
    sums = np.stack([values[blocks == block].sum(axis=0, dtype=np.float64) for block in range(n_blocks)])
    holds = np.stack([np.bincount(blocks[kept], minlength=n_blocks) for kept in _variants(blocks)])
    return np.tensordot((holds > 0) / holds.sum(axis=1, keepdims=True), sums, axes=1)


def _sorted_draws(values: np.ndarray, blocks: np.ndarray) -> Iterator[np.ndarray]:
    """Yield the draws of each variant in ascending order; (chain, draw, obs) -> (kept draw, obs). It sorts once."""
    by_row = values.reshape(blocks.size, -1).T.astype(np.float64)
    order = np.argsort(by_row, axis=1)
    ordered, block = np.take_along_axis(by_row, order, axis=1), blocks.ravel()[order]
    yield ordered.T
    for left_out in range(len(_variants(blocks)) - 1):
        yield ordered[block != left_out].reshape(len(by_row), -1).T


def _check_rows(idata: InferenceData, dataset: Dataset, baseline: Mapping[str, np.ndarray]) -> None:
    for split, rows in (("train", dataset.row_train), ("test", dataset.row_test)):
        if not np.array_equal(idata[PREDICTIONS[split]]["obs_id"].values, rows):
            raise ValueError(
                f"{dataset.name}: the posterior was computed on other {split} rows than the table has"
            )
        kind = "probability" if dataset.task == "classification" else "mean"
        for model in REFERENCES:
            found = len(baseline[f"{model}_{split}_{kind}"])
            if found != len(rows):
                raise ValueError(
                    f"{dataset.name}: {model} predicts {found} {split} rows, the table has {len(rows)}"
                )


def _scores_of_classes(probability: np.ndarray, y: np.ndarray) -> Scores:
    return {
        "accuracy": metrics.accuracy(probability, y),
        "nll": metrics.nll(probability, y),
        "brier": metrics.brier(probability, y),
        "ece": metrics.ece(probability, y),
    }


def _scores_of_targets(
    y: np.ndarray,
    *,
    mean: np.ndarray,
    sd: np.ndarray | float,
    nll: float,
    crps: float,
    lower: np.ndarray,
    upper: np.ndarray,
) -> Scores:
    """Return all scores of a regression.

    `nll_gaussian` is that of the normal distribution of the predictive mean and standard deviation, by which papers
    compare; `nll` that of the predictive distribution itself.

    Parameters
    ----------
    y
        Shape (obs,).
    mean, sd
        Of the predictive distribution, (obs,).
    nll, crps
        Of the predictive distribution, means over the rows.
    lower, upper
        Ends of intervals, (level, obs).
    """
    scores = {
        "rmse": metrics.rmse(mean, y),
        "mae": metrics.mae(mean, y),
        "r2": metrics.r2(mean, y),
        "nll": nll,
        "nll_gaussian": metrics.gaussian_nll(mean, sd, y),
        "crps": crps,
    }
    for level, low, high in zip(LEVELS, lower, upper, strict=True):
        scores[f"coverage_{100 * level:.0f}"] = metrics.coverage(low, high, y)
        scores[f"width_{100 * level:.0f}"] = metrics.mean_width(low, high)
    return scores


def _reference_scores(baseline: Mapping[str, np.ndarray], model: str, split: str, y: np.ndarray) -> Scores:
    """Return the scores of a model that predicts one distribution: class probabilities, or a normal one."""
    if f"{model}_{split}_probability" in baseline:
        return _scores_of_classes(baseline[f"{model}_{split}_probability"], y)
    mean, scale = baseline[f"{model}_{split}_mean"], float(baseline[f"{model}_noise_scale"])
    ends = [metrics.gaussian_interval(mean, scale, level) for level in LEVELS]
    return _scores_of_targets(
        y,
        mean=mean,
        sd=scale,
        nll=metrics.gaussian_nll(mean, scale, y),
        crps=metrics.gaussian_crps(mean, scale, y),
        lower=np.stack([lower for lower, _ in ends]),
        upper=np.stack([upper for _, upper in ends]),
    )


def _class_scores(idata: InferenceData, split: str, y: np.ndarray) -> dict[str, Any]:
    probability = idata[PREDICTIONS[split]]["probability"].values
    blocks = jackknife_blocks(*probability.shape[:2])
    return _with_mcse([_scores_of_classes(mean, y) for mean in _means(probability, blocks)])


def _class_reports(
    dataset: Dataset,
    summaries: Mapping[str, ClassSummary | TargetSummary],
    baseline: Mapping[str, np.ndarray],
) -> dict[str, dict[str, list[dict[str, Any]]]]:
    """Return split -> model -> a row a class."""
    reports: dict[str, dict[str, list[dict[str, Any]]]] = {}
    for split, summary in summaries.items():
        assert isinstance(summary, ClassSummary)
        probability = {"bnn": summary.probability}
        probability |= {model: baseline[f"{model}_{split}_probability"] for model in REFERENCES}
        reports[split] = {
            model: metrics.classification_report(
                observed(dataset, split), metrics.predicted_class(values), dataset.class_names
            )
            for model, values in probability.items()
        }
    return reports


def _target_scores(idata: InferenceData, split: str, y: np.ndarray) -> dict[str, Any]:
    group = idata[PREDICTIONS[split]]
    mean, drawn, noise_sd = group["mean"].values, group["y"].values, group["noise_sd"].values
    log_density = (group["log_density_y"] if split == "test" else idata["log_likelihood"]["y"]).values
    blocks = jackknife_blocks(*drawn.shape[:2])
    n_variants = len(_variants(blocks))
    centre, variance, density, crps = (np.empty((n_variants, len(y))) for _ in range(4))
    if noise_sd.ndim == 2:
        noise_sd = np.broadcast_to(noise_sd[..., None], (*noise_sd.shape, len(y)))
    ends = np.empty((n_variants, 2, len(LEVELS), len(y)))
    for start in range(0, len(y), _ROWS_AT_ONCE):
        rows = slice(start, start + _ROWS_AT_ONCE)
        centre[:, rows] = _means(mean[..., rows], blocks)
        # Deviations from the mean of all draws: squares of the means themselves would cost digits.
        deviation = mean[..., rows] - centre[0, rows]
        noise = np.square(noise_sd[..., rows], dtype=np.float64)
        variance[:, rows] = _means(deviation**2 + noise, blocks) - _means(deviation, blocks) ** 2
        # Densities are divided by the largest of their row: they would underflow far out in the tails.
        highest = log_density[..., rows].max(axis=(0, 1))
        highest = np.where(np.isneginf(highest), 0.0, highest)
        with np.errstate(divide="ignore"):
            density[:, rows] = highest + np.log(_means(np.exp(log_density[..., rows] - highest), blocks))
        for variant, ordered in enumerate(_sorted_draws(drawn[..., rows], blocks)):
            crps[variant, rows] = metrics.crps_of_sorted(ordered, y[rows])
            ends[variant, :, :, rows] = intervals_of_sorted(ordered, LEVELS)
    return _with_mcse(
        [
            _scores_of_targets(
                y,
                mean=centre[variant],
                sd=np.sqrt(variance[variant]),
                nll=float(-density[variant].mean()),
                crps=float(crps[variant].mean()),
                lower=ends[variant, 0],
                upper=ends[variant, 1],
            )
            for variant in range(n_variants)
        ]
    )


def _class_table(dataset: Dataset, bnn: ClassSummary, probability: Mapping[str, np.ndarray]) -> pd.DataFrame:
    names = np.array(dataset.class_names, dtype=str)
    columns: dict[str, np.ndarray] = {"row": dataset.row_test, "y": names[dataset.y_test]}
    for model, values in probability.items():
        columns |= {f"{model}_probability_{name}": values[:, index] for index, name in enumerate(names)}
        columns[f"{model}_predicted"] = names[metrics.predicted_class(values)]
        if model == "bnn":
            columns["bnn_entropy_total"] = bnn.total
            columns["bnn_entropy_aleatoric"] = bnn.aleatoric
            columns["bnn_mutual_information"] = bnn.epistemic
    return pd.DataFrame(columns)


def _target_table(
    idata: InferenceData, dataset: Dataset, bnn: TargetSummary, baseline: Mapping[str, np.ndarray]
) -> pd.DataFrame:
    columns: dict[str, np.ndarray] = {
        "row": dataset.row_test,
        "y": observed(dataset, "test"),
        "bnn_mean": bnn.mean,
        "bnn_sd": np.sqrt(bnn.total),
        "bnn_sd_aleatoric": np.sqrt(bnn.aleatoric),
        "bnn_sd_epistemic": np.sqrt(bnn.epistemic),
    }
    ends = central_intervals(idata["predictions"]["y"].values, LEVELS)
    for level, lower, upper in zip(LEVELS, *ends, strict=True):
        columns |= {f"bnn_lower_{100 * level:.0f}": lower, f"bnn_upper_{100 * level:.0f}": upper}
    return pd.DataFrame(columns | {f"{model}_mean": baseline[f"{model}_test_mean"] for model in REFERENCES})
