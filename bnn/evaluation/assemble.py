"""metrics.json and predictions.csv: what every key means is in docs/reference/results.md."""

import os
from collections.abc import Mapping
from typing import Any

import numpy as np

from bnn.core.identical_rows import stretches
from bnn.core.settings import FALSE_ALARMS, PHASES
from bnn.core.storage import write_csv, write_json
from bnn.data.dataset import Dataset
from bnn.evaluation import bootstrap, calibration, metrics, scores
from bnn.evaluation.columns import about_columns, other_doubts
from bnn.evaluation.conformal import calibrated as calibrated_by_rows
from bnn.evaluation.forecasts import (
    REFERENCES,
    TargetForecast,
    check_rows,
    mixture_forecast,
    models_in,
    observed,
    positive_class,
    posterior_forecast,
    posterior_summary,
)
from bnn.evaluation.naming import has_own_times, written_times
from bnn.evaluation.reference_forecasts import reference_mixture
from bnn.evaluation.standout import standout_rows
from bnn.posterior.posterior_file import StoredPosterior, likelihood_of
from bnn.posterior.predictive import ClassSummary, TargetSummary

SPLITS = ("train", "test")

MAX_ERRORS = 2.0
"""Standard errors by which the BNN's NLL may exceed the baseline network's without a flag."""

Forecasts = Mapping[str, np.ndarray | TargetForecast]
"""Model -> class probabilities (obs, class), or forecast of a real target."""


def evaluate(
    idata: StoredPosterior,
    dataset: Dataset,
    references: Mapping[str, np.ndarray],
    reference_attributes: Mapping[str, Any],
    *,
    rng: np.random.Generator,
    conformal: Mapping[str, Any] | None = None,
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Score all models.

    Parameters
    ----------
    idata
        What `bnn.posterior.inference_data.combine` wrote, read.
    dataset
        Its table.
    references, reference_attributes
        Variables and attributes of the file of `bnn.baselines.reference.fit_references`.
    rng
        Draws the rows of the bootstrap and the tables of bands.
    conformal
        Content of conformal.json; None where it is not asked for.

    Returns
    -------
    scores
        What goes into metrics.json.
    predictions
        What goes into predictions.csv: columns with a number or text for each test row.

    Raises
    ------
    ValueError
        If the rows of the posterior or of the references are not those of the table.
    """
    check_rows(idata, dataset, references)
    summaries = {split: posterior_summary(idata, dataset, split) for split in SPLITS}
    forecasts = {split: _forecasts(idata, dataset, references, split, summaries[split]) for split in SPLITS}
    models = _models(idata, dataset, forecasts)
    clusters = _clusters(dataset)
    errors, differences = _compare(models, forecasts["test"], dataset, clusters, rng)
    for model, found in models.items():
        for split, entries in found.items():
            for name, entry in entries.items():
                entry["se"] = errors[model][name] if split == "test" else None
                if name in scores.SHARES and split == "test":
                    n_rows = scores.rows_that_count(
                        entry["value"], entry["se"], clusters, len(dataset.y_test)
                    )
                    entry |= scores.share_interval(entry["value"], n_rows, bootstrap.LEVEL)
    stats, about = idata["sample_stats"], idata["posterior"].attrs
    calibrated = _calibration(forecasts["test"], observed(dataset, "test"), rng)
    if isinstance(own := forecasts["test"]["bnn"], TargetForecast):
        # Ends included: what a reader of predictions.csv would count.
        calibrated["bnn"]["held_90"] = metrics.coverage(*own.interval(0.9), observed(dataset, "test"))
    report: dict[str, Any] = {
        "dataset": dataset.name,
        "task": dataset.task,
        "is_series": dataset.time_test is not None,
        "n_train": len(dataset.y_train),
        "n_test": len(dataset.y_test),
        "n_features": dataset.n_inputs,
        "feature_names": list(dataset.feature_names),
        "first_row": dataset.first_row,
        "id_name": dataset.id_name,
        "time_name": dataset.time_name if has_own_times(dataset) else "",
        "columns": about_columns(dataset),
        "doubts": other_doubts(dataset),
        "target_name": dataset.target_name,
        "target_unit": dataset.target_unit,
        "target_width_90": None if dataset.n_classes is not None else _width(observed(dataset, "train")),
        "class_names": list(dataset.class_names),
        "positive_class": dataset.class_names[positive_class(dataset)]
        if len(dataset.class_names) == 2
        else None,
        "architecture": [int(size) for size in about["architecture"]],
        "n_params": int(about["n_params"]),
        "flags": flags(differences, models, calibrated["bnn"], n_test=len(dataset.y_test)),
        "models": models,
        "without_density": [
            model
            for model, forecast in forecasts["test"].items()
            if isinstance(forecast, TargetForecast) and not forecast.has_density
        ],
        "differences": differences,
        "bootstrap": {"n_replicates": bootstrap.N_REPLICATES, "level": bootstrap.LEVEL},
        "calibration": calibrated,
        "uncertainty": {
            split: {
                name: float(getattr(summary, name).mean()) for name in ("total", "aleatoric", "epistemic")
            }
            for split, summary in summaries.items()
        },
        "rows": standout_rows(dataset, summaries["test"], _target_forecast(forecasts["test"]["bnn"])),
        "seconds": {
            "baseline": float(reference_attributes["seconds"]),
            "ensemble": float(reference_attributes["seconds_ensemble"]),
            "boosting": float(reference_attributes["seconds_boosting"]),
            "bnn": float(sum(stats[f"seconds_{phase}"].values.sum() for phase in PHASES)),
        },
    }
    if dataset.task == "classification":
        report["classification_report"] = {
            split: {
                model: metrics.classification_report(
                    observed(dataset, split), metrics.predicted_class(probability), dataset.class_names
                )
                for model, probability in found.items()
                if isinstance(probability, np.ndarray)
            }
            for split, found in forecasts.items()
        }
    table = predictions_table(dataset, summaries["test"], forecasts["test"])
    if conformal is not None:
        report["conformal"], more = calibrated_by_rows(idata, dataset, summaries["test"], conformal, rng)
        table |= more
    return report, table


def save(
    report: Mapping[str, Any],
    predictions: Mapping[str, np.ndarray],
    *,
    json_path: str | os.PathLike[str],
    csv_path: str | os.PathLike[str],
) -> None:
    """Write what `evaluate` returned; a score that is not finite becomes null in the JSON file."""
    write_csv(csv_path, predictions)
    write_json(json_path, report)


def _width(values: np.ndarray, level: float = 0.9) -> float:
    """Return the width of the central part of values, (row,)."""
    low, high = np.quantile(values, (0.5 - level / 2, 0.5 + level / 2))
    return float(high - low)


def flags(
    differences: Mapping[str, Mapping[str, Mapping[str, float]]],
    models: Mapping[str, Any],
    calibrated: Mapping[str, Any],
    *,
    n_test: int,
) -> list[dict[str, Any]]:
    """Return what a reader of the scores must not overlook, each `{name, raised, text, value, limit}`.

    Parameters
    ----------
    differences
        Of `bnn.evaluation.bootstrap.compare`.
    models
        Model -> split -> score -> {"value": ...}.
    calibrated
        Of the BNN: what `bnn.evaluation.calibration` returns.
    n_test
        Number of test rows.
    """
    found = differences["baseline"]["nll"]
    gap, error = found["value"], found["se"]
    # Equal predictions have an error of 0, and are not worse.
    ratio = gap / error if error else float(np.copysign(np.inf, gap)) if gap else 0.0
    side = "worse" if gap > 0 else "better"
    result: list[dict[str, Any]] = [
        {
            "name": "nll_worse_than_baseline",
            # A difference that is not a number must not pass for a small one.
            "raised": not ratio <= MAX_ERRORS,
            "text": f"On the test rows the BNN's NLL is {abs(gap):.3g} nats a row {side} than the baseline network's: "
            f"{abs(ratio):.1f} standard errors of that difference ({error:.2g}).",
            "value": ratio,
            "limit": MAX_ERRORS,
        }
    ]
    if "coverage_90" in models["bnn"]["test"]:
        share = models["bnn"]["test"]["coverage_90"]["value"]
        low, high = calibration.usual_coverage(0.9, n_test)
        result.append(
            {
                "name": "coverage_90_off",
                "raised": not low <= share <= high,
                "text": f"The BNN's 90 % intervals hold {100 * share:.1f} % of the {n_test:,} test rows"
                f"{', those at an end counted by chance' * (calibrated.get('held_90', share) != share)}; a calibrated "
                f"model's would hold {100 * low:.1f} to {100 * high:.1f} % of so many (false alarms: about "
                f"{100 * FALSE_ALARMS:g} % of tables with independent rows).",
                "value": share,
                "limit": [low, high],
            }
        )
    if "pit" in calibrated:
        result.append(_pit_flag(calibrated["pit"], n_test))
    return result


def _pit_flag(pit: Mapping[str, Any], n_test: int) -> dict[str, Any]:
    expected, share, p_value = (pit[name] for name in ("expected", "observed", "p_value"))
    return {
        "name": "pit_off",
        # What is not a number must not pass for calibrated.
        "raised": not (p_value >= FALSE_ALARMS or abs(share - expected) <= calibration.MARGIN),
        "text": f"Of the {n_test:,} test rows {100 * share:.1f} % fall into the lower {100 * expected:.1f} % of what "
        f"the BNN predicts for them (PIT, p {'< 0.0001' if p_value < 1e-4 else f'= {p_value:.2g}'}; false alarms: "
        f"about {100 * FALSE_ALARMS:g} % of tables with independent rows). The figure “Is the spread "
        "right?” shows whether its predictions are too narrow, too wide, too low or too high.",
        "value": p_value,
        "limit": FALSE_ALARMS,
    }


def _forecasts(
    idata: StoredPosterior,
    dataset: Dataset,
    references: Mapping[str, np.ndarray],
    split: str,
    summary: ClassSummary | TargetSummary,
) -> Forecasts:
    if isinstance(summary, ClassSummary):
        probability = {model: references[f"{model}_{split}_probability"] for model in REFERENCES}
        return {"bnn": summary.probability} | probability
    y = observed(dataset, split)
    own = {"bnn": posterior_forecast(idata, dataset, split)}
    likelihood = likelihood_of(idata)
    return own | {
        model: mixture_forecast(reference_mixture(references, model, split, dataset, likelihood), y)
        for model in models_in(references)
    }


def _target_forecast(forecast: np.ndarray | TargetForecast) -> TargetForecast | None:
    return forecast if isinstance(forecast, TargetForecast) else None


def _models(
    idata: StoredPosterior, dataset: Dataset, forecasts: Mapping[str, Forecasts]
) -> dict[str, dict[str, dict[str, Any]]]:
    """Return model -> split -> score -> {"value", "mcse"}."""
    models: dict[str, dict[str, dict[str, Any]]] = {}
    positive = positive_class(dataset) if dataset.task == "classification" else 0
    for split, found in forecasts.items():
        y = observed(dataset, split)
        for model, forecast in found.items():
            entries: dict[str, Any]
            if model != "bnn":
                entries = {
                    n: {"value": value, "mcse": None} for n, value in _score(forecast, y, positive).items()
                }
            elif isinstance(forecast, TargetForecast):
                entries = scores.posterior_target_scores(idata, split, y)
            else:
                entries = scores.posterior_class_scores(idata, split, y, positive=positive)
            models.setdefault(model, {})[split] = entries
    return models


def _score(forecast: np.ndarray | TargetForecast, y: np.ndarray, positive: int) -> scores.Scores:
    if isinstance(forecast, TargetForecast):
        return scores.forecast_scores(forecast, y)
    return scores.class_scores(forecast, y, positive=positive)


def _compare(
    models: Mapping[str, Any],
    forecasts: Forecasts,
    dataset: Dataset,
    clusters: np.ndarray | None,
    rng: np.random.Generator,
) -> tuple[dict[str, dict[str, float]], dict[str, dict[str, dict[str, float]]]]:
    y = observed(dataset, "test")

    def replicate(model: str, weights: np.ndarray) -> bootstrap.Replicates:
        forecast = forecasts[model]
        if isinstance(forecast, TargetForecast):
            return bootstrap.target_replicates(forecast, y, weights)
        return bootstrap.class_replicates(forecast, y, weights)

    def replicate_within(model: str, weights: np.ndarray) -> bootstrap.Replicates:
        probability = forecasts[model]
        assert isinstance(probability, np.ndarray)
        return scores.prevalence_scores(probability, y, weights, positive_class(dataset))

    values = {
        model: {name: entry["value"] for name, entry in found["test"].items()}
        for model, found in models.items()
    }
    within = (y, replicate_within) if dataset.task == "classification" else None
    return bootstrap.compare(values, replicate, n_rows=len(y), rng=rng, within=within, clusters=clusters)


def _clusters(dataset: Dataset) -> np.ndarray | None:
    """Return what test rows that are alike have in common, (obs,): their group, or their stretch of time; or None."""
    if dataset.group_test is not None:
        # Of a single group nothing says how groups differ: its rows are all that there is.
        return dataset.group_test if np.ptp(dataset.group_test) else None
    return stretches(len(dataset.y_test)) if dataset.in_order else None


def _calibration(forecasts: Forecasts, y: np.ndarray, rng: np.random.Generator) -> dict[str, dict[str, Any]]:
    return {
        model: calibration.target_calibration(forecast, y)
        if isinstance(forecast, TargetForecast)
        else calibration.class_calibration(forecast, y, rng)
        for model, forecast in forecasts.items()
    }


def predictions_table(
    dataset: Dataset, bnn: ClassSummary | TargetSummary, forecasts: Forecasts
) -> dict[str, np.ndarray]:
    """Return columns that say what every model predicts for each test row."""
    columns: dict[str, np.ndarray] = {"row": dataset.row_numbers("test")}
    if dataset.id_test is not None:
        columns["id"] = dataset.id_test
    if isinstance(bnn, ClassSummary):
        names, y = np.array(dataset.class_names, dtype=str), dataset.y_test
        columns["y"] = names[y]
        for model, probability in forecasts.items():
            assert isinstance(probability, np.ndarray)
            columns |= {f"{model}_probability_{name}": probability[:, i] for i, name in enumerate(names)}
            columns[f"{model}_predicted"] = names[metrics.predicted_class(probability)]
            with np.errstate(divide="ignore"):
                columns[f"{model}_nll"] = -np.log(probability[np.arange(len(y)), y])
        columns["bnn_entropy_total"] = bnn.total
        columns["bnn_entropy_aleatoric"] = bnn.aleatoric
        columns["bnn_mutual_information"] = bnn.epistemic
        return columns
    if (times := written_times(dataset, "test")) is not None:
        columns["time"] = times
    columns["y"] = observed(dataset, "test")
    for model, forecast in forecasts.items():
        assert isinstance(forecast, TargetForecast)
        columns[f"{model}_mean"] = forecast.mean
        if forecast.has_density:
            columns[f"{model}_sd"] = forecast.sd
        if model == "bnn":
            columns["bnn_sd_aleatoric"] = np.sqrt(bnn.aleatoric)
            columns["bnn_sd_epistemic"] = np.sqrt(bnn.epistemic)
        for level in scores.LEVELS:
            lower, upper = forecast.interval(level)
            columns |= {f"{model}_lower_{100 * level:.0f}": lower, f"{model}_upper_{100 * level:.0f}": upper}
        columns[f"{model}_pit"] = forecast.pit
        if forecast.has_density:
            columns[f"{model}_nll"] = forecast.nll
    return columns
