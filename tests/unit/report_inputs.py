"""Contents of diagnostics.json, metrics.json, checks.json and predictions.csv, made up, for the tests of the report."""

from typing import Any

LIMITS = {
    "rhat_warn": 1.01,
    "rhat_fail": 1.05,
    "ess_warn": 400,
    "ess_fail": 100,
    "acceptance_min": 0.1,
    "acceptance_fail": 0.01,
    "acceptance_max": 0.95,
    "diverging_warn": 0.01,
}
SVG = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 9 6"><title>empty</title></svg>'
MODELS = ("bnn", "baseline", "ensemble", "linear", "boosting")
MADE = ("2026-01-31", "bnn 0.1.0", "commit 0a1b2c3", "source houses.csv")
VERSIONS = {"bnn": "0.1.0", "Python": "3.11.2", "NumPy": "2.4.0"}


def make_diagnostics(task: str, verdict: str = "PASS", dataset: str = "iris") -> dict[str, Any]:
    """Build the contents of diagnostics.json."""
    rhat = {"PASS": 1.0034, "WARN": 1.0213, "FAIL": 1.382}[verdict]
    ess = {"PASS": 1312.7, "WARN": 287.4, "FAIL": 11.2}[verdict]
    scalar = {
        "rhat": 1.0012,
        "ess_bulk": 2210.9,
        "ess_tail": 2804.1,
        "mean": -61.27,
        "sd": 2.9,
        "mcse_mean": 0.062,
    }
    split = {
        "n_quantities": 90,
        "rhat_max": rhat,
        "rhat_median": 1.0008,
        "n_rhat_above": 0 if verdict == "PASS" else 13,
        "ess_bulk_min": ess,
        "ess_bulk_median": 2911.0,
        "n_ess_bulk_below": 0 if verdict == "PASS" else 7,
        "ess_tail_min": 1002.3,
        "ess_tail_median": 3001.0,
        "mcse_mean_max": 0.004,
        "worst_row": 77,
        "worst_row_ess": 31,
    }
    weights = {
        "n_quantities": 23,
        "rhat_max": 1.61,
        "rhat_median": 1.2,
        "ess_bulk_min": 7.3,
        "ess_bulk_median": 31.0,
    }
    chain = {
        "acceptance_rate": 0.573,
        "step_size": 0.0123,
        "n_steps": 12,
        "cut_short": False,
        "n_diverging": 0,
        "stuck": False,
    }
    findings = {
        "PASS": [{"level": "PASS", "name": "reached", "text": "R-hat is at most 1.0034."}],
        "WARN": [
            {
                "level": "WARN",
                "name": "rhat",
                "text": "R-hat of the prediction at test row 77 is 1.0213, above 1.01: raise sampler.thin.",
            }
        ],
        "FAIL": [
            {
                "level": "FAIL",
                "name": "rhat",
                "text": "R-hat of the prediction at test row 77 is 1.3820, above 1.05: raise sampler.warmup.",
            },
            {"level": "FAIL", "name": "stuck", "text": "Chain 3 is stuck: raise sampler.target_acceptance."},
            {
                "level": "FAIL",
                "name": "ess",
                "text": "Smallest bulk ESS is 11, below 100: raise sampler.draws.",
            },
        ],
    }[verdict]
    return {
        "dataset": dataset,
        "first_row": 2,
        "task": task,
        "kernel": "mala",
        "adjusted": True,
        "verdict": verdict,
        "reasons": [finding["text"] for finding in findings],
        "findings": findings,
        "thresholds": LIMITS,
        "n_chains": 4,
        "n_draws": 2000,
        "thin": 5,
        "n_warmup": 3000,
        "log_density": scalar,
        "dispersion": None,
        "noise_scale": None
        if task == "classification"
        else scalar | {"mean": 0.7, "sd": 0.03, "mcse_mean": 0.0009},
        "predictions": {"train": dict(split), "test": dict(split)},
        "each_chain": {
            "rhat_max": [1.012, 1.013, 1.014, 1.015],
            "ess_bulk_min": [301.0, 302.0, 303.0, 304.0],
            "between_share": 0.27,
            "nested_rhat_max": 1.03,
            "nested_rhat_median": 1.01,
            "nll": [0.351, 0.362, 0.373, None],
            "nll_all": 0.344,
        },
        "weights": {"raw": weights, "canonical": weights | {"rhat_max": 1.12}},
        "n_diverging": 0,
        "stuck_chains": [3] if verdict == "FAIL" else [],
        "chains": [
            chain
            | {
                "chain": k,
                "log_density_mean": -61.2 - k / 10,
                "log_density_sd": 4.1,
                "seconds": 11.5 + k,
                "stuck": k == 3 and verdict == "FAIL",
            }
            for k in range(4)
        ],
        "seconds": {"optimise": 0.4, "warmup": 21.7, "draws": 72.9},
        "n_gradients": 52_000,
    }


def make_column(name: str, kind: str = "number", **changes: Any) -> dict[str, Any]:
    """Build what metrics.json says of a column."""
    counts = dict.fromkeys(("n_missing", "n_missing_test", "n_unseen_test", "n_levels", "n_rare"), 0)
    about = {"fill": None, "has_indicator": False, "features": [name], "levels": [], "rare": [], "doubts": []}
    return {"name": name, "kind": kind, **counts, **about, **changes}


def make_metrics(task: str, dataset: str = "iris") -> dict[str, Any]:
    """Build the contents of metrics.json."""
    if task == "classification":
        values = {"accuracy": 0.96667, "nll": 0.10312, "brier": 0.05812, "ece": 0.03213}
        values |= {"balanced_accuracy": 0.94321, "auroc": 0.97531, "average_precision": 0.91357}
    else:
        values = {"rmse": 53.1277, "mae": 43.02, "r2": 0.4811, "nll": 5.4012, "crps": 30.0321}
        values |= {f"coverage_{level}": level / 100 - 0.011 for level in (50, 90, 95)}
        values |= {f"width_{level}": 1.9 * level for level in (50, 90, 95)}
    models: dict[str, Any] = {}
    for index, model in enumerate(MODELS):
        models[model] = {
            split: {
                name: {
                    "value": value * (1 - 0.01 * index),
                    "mcse": abs(value) * 0.0042 if model == "bnn" else None,
                    "se": abs(value) * 0.0317 if split == "test" else None,
                }
                for name, value in values.items()
            }
            for split in ("train", "test")
        }
    metrics: dict[str, Any] = {
        "dataset": dataset,
        "first_row": 2,
        "id_name": "",
        "time_name": "",
        "is_series": False,
        "task": task,
        "n_train": 120,
        "n_test": 30,
        "n_features": 4,
        "feature_names": list("abcd"),
        "columns": [make_column(name) for name in "abcd"],
        "doubts": [],
        "target_name": "species" if task == "classification" else "disease_progression",
        "target_width_90": None if task == "classification" else 252.3,
        "target_unit": "" if task == "classification" else "points",
        "class_names": ["setosa", "versicolor", "virginica"] if task == "classification" else [],
        "positive_class": None,
        "architecture": [4, 16, 3],
        "n_params": 131,
        "models": models,
        "without_density": [] if task == "classification" else ["boosting"],
        "uncertainty": {
            split: {"total": 0.1312, "aleatoric": 0.1011, "epistemic": 0.0301} for split in ("train", "test")
        },
        "seconds": {"baseline": 0.31, "ensemble": 1.27, "boosting": 1.93, "bnn": 95.0},
        "bootstrap": {"n_replicates": 1000, "level": 0.95},
        "differences": {
            other: {
                name: {
                    "value": 0.0123 * (index + 1) * value,
                    "se": 0.0181 * value,
                    "lower": (0.0123 * (index + 1) - 0.0355) * value,
                    "upper": (0.0123 * (index + 1) + 0.0355) * value,
                }
                for name, value in values.items()
            }
            for index, other in enumerate(MODELS[1:])
        },
        "flags": [
            {
                "name": "nll_worse_than_baseline",
                "raised": False,
                "text": "The NLL of the BNN is 0.4 standard errors above that of the baseline.",
                "value": 0.4,
                "limit": 2,
            }
        ],
        "calibration": {model: _calibration(task, index) for index, model in enumerate(MODELS)},
        "rows": {which: _rows(task, shift) for shift, which in enumerate(("most_uncertain", "most_wrong"))},
    }
    for model in metrics["without_density"]:
        for scores in (*models[model].values(), metrics["differences"][model]):
            scores["nll"] = dict.fromkeys(scores["nll"])
    if task == "classification":
        entry = {"precision": 1.0, "recall": 0.9, "f1": 0.947368, "support": 10}
        report = [{"class": name} | entry for name in ("setosa", "versicolor", "virginica")]
        metrics["classification_report"] = {
            split: {model: list(report) for model in models} for split in ("train", "test")
        }
    return metrics


def make_conformal(task: str) -> dict[str, Any]:
    """Build the entry `conformal` of metrics.json."""
    of_sets = {"size": 1.317, "share_of_one": 0.741}
    parts = [
        {"coverage": coverage} | (of_sets if task == "classification" else {"width": 171.3 + 10 * coverage})
        for coverage in (0.8611, 0.9044)
    ]
    levels = [
        {"level": level, "limit": level + 0.0123, "before": parts[0], "after": parts[1]}
        for level in (0.5, 0.9, 0.95)
    ]
    return {"n_rows": 120, "n_folds": 5, "levels": levels}


def _calibration(task: str, index: int) -> dict[str, Any]:
    if task == "classification":
        return {
            "level": 0.9,
            "ece": 0.03213 + 0.004 * index,
            "ece_if_calibrated": 0.04127 + 0.004 * index,
            "ece_p_value": 0.617 - 0.05 * index,
            "confidence": 0.8265,
            "accuracy": 26 / 30,
            "accuracy_if_calibrated": [0.6351, 0.9683],
            "bins": [
                {"n_rows": 10, "confidence": 0.6113, "accuracy": 0.7},
                {"n_rows": 20, "confidence": 0.9341, "accuracy": 0.95},
            ],
        }
    levels = [round(0.05 * step, 2) for step in range(1, 20)]
    return {
        "level": 0.9,
        "pit": {
            "edges": [0, 0.5, 1],
            "n_rows": [14, 16],
            "band_lower": 9,
            "band_upper": 21,
            "p_value": 0.437,
        },
        "coverage": [
            {
                "level": level,
                "coverage": level - 0.02 * index,
                "band_lower": level - 0.05,
                "band_upper": level + 0.05,
                "width": 190 * level,
            }
            for level in levels
        ],
    }


def _rows(task: str, shift: int) -> list[dict[str, Any]]:
    rows = []
    for index in range(3):
        row: dict[str, Any] = {
            "row": 40 + 7 * index + shift,
            "nll": 2.345 - 0.31 * index,
            "total": 0.913 - 0.07 * index,
            "aleatoric": 0.612 - 0.05 * index,
            "epistemic": 0.301 - 0.02 * index,
            "features": [5.1 + index, 3.5, 1.4, 0.2],
            "standardised": [2.871 - index, -0.443, 0.012, -1.5],
            "far_because": "",
        }
        if task == "classification":
            row |= {"y": "setosa", "predicted": ("virginica", "setosa", "versicolor")[index]}
            row |= {"probability": 0.534 - 0.01 * index, "probability_of_y": 0.311 + 0.01 * index}
        else:
            row |= {"y": 317.0 - index, "predicted": 151.3 + index, "lower_90": 61.7, "upper_90": 240.9}
        rows.append(row)
    return rows


def make_checks(task: str) -> dict[str, Any]:
    """Build the contents of checks.json."""
    headline, value = ("accuracy", 0.9581) if task == "classification" else ("rmse", 53.91)
    statistic = {
        "name": "largest share",
        "description": "share of the commonest class",
        "observed": 0.3512,
        "observed_lower": None,
        "observed_upper": None,
        "mean": 0.3419,
        "lower": 0.3107,
        "upper": 0.3777,
        "p_value": 0.371,
        "mcse": 0.011,
        "n_replicates": 2400,
    }
    kinds = []
    for index, name in enumerate(("noised", "shifted", "uniform")):
        models = {
            model: {
                "auroc": 0.8123 + 0.03 * index - 0.02 * place,
                "se": 0.0214,
                "lower": 0.7707,
                "upper": 0.8541,
                "nll": None if name == "uniform" else 0.7719 + 0.1 * place,
                "score_inside": 0.2,
                "score_outside": 0.6,
            }
            for place, model in enumerate(("bnn", "baseline", "ensemble"))
        }
        gap = {"value": 0.0463, "se": 0.0172, "lower": 0.0126, "upper": 0.0801}
        kinds.append(
            {
                "name": name,
                "description": f"inputs {name}",
                "n_rows": 210 + 10 * index,
                "models": models,
                "differences": {"baseline": gap, "ensemble": gap | {"lower": -0.0126}},
            }
        )
    factors = [
        {"factor": 0.5, "method": "needs a rerun", "pareto_k": 0.813, "ess": 17.3}
        | dict.fromkeys(("nll", "nll_mcse", "headline", "headline_mcse")),
        {"factor": 1, "method": "as run", "pareto_k": None, "ess": 1311.2, "nll": 0.1047, "nll_mcse": 0.0021}
        | {"headline": value, "headline_mcse": 0.0031 * value},
        {
            "factor": 2,
            "method": "reweighted",
            "pareto_k": 0.441,
            "ess": 612.9,
            "nll": 0.1099,
            "nll_mcse": 0.0043,
        }
        | {"headline": 0.99 * value, "headline_mcse": 0.0047 * value},
    ]
    return {
        "flags": [
            {
                "name": "posterior_predictive_off",
                "raised": False,
                "text": "No posterior predictive p-value is below 0.01 or above 0.99.",
                "value": 0.371,
                "limit": [0.01, 0.99],
            },
            {
                "name": "loo_unreliable",
                "raised": False,
                "text": "Pareto k is above 0.70 for 2 of 120 training rows (limit 10 %).",
                "value": 0.0167,
                "limit": 0.1,
            },
        ],
        "loo": {
            "elpd_loo": -13.271,
            "se": 3.119,
            "p_loo": 7.733,
            "n_rows": 120,
            "nll": 0.11059,
            "nll_se": 0.02599,
            "nll_test": 0.10312,
            "nll_test_se": 0.0327,
            "k_threshold": 0.7,
            "n_above": 2,
            "k_max": 0.8437,
            "worst": [{"row": 57, "k": 0.8437}],
        },
        "posterior_predictive": [statistic],
        "prior_predictive": [
            statistic | {"observed": 0.9, "lower": 0.3},
            statistic | {"name": "mean confidence", "observed": None, "p_value": None},
        ],
        "sensitivity": {
            "k_threshold": 0.7,
            "slope_nll": 0.0131,
            "slope_nll_mcse": 0.0042,
            "slope_headline": None if task == "classification" else -0.0219,
            "slope_headline_mcse": None if task == "classification" else 0.0071,
            "headline": headline,
            "factors": factors,
        },
        "out_of_distribution": {
            "score": "predictive entropy",
            "n_rows": 30,
            "n_replicates": 500,
            "kinds": kinds,
        },
        "effects": {
            "level": 0.9,
            "n_rows": 30,
            "n_columns": 4,
            "importance": [
                {"name": "a", "value": 0.3107, "se": 0.0411},
                {"name": "c", "value": 0.1033, "se": 0.0217},
                {"name": "b", "value": 0.0011, "se": 0.0109},
                {"name": "d", "value": -0.0007, "se": 0.0103},
            ],
            "dependence": [],
        },
        "hole": None
        if task == "classification"
        else {
            "lower": -1.031,
            "upper": 1.127,
            "models": {"bnn": {"width_inside": 2.7182, "width_data": 1.1412, "ratio": 2.3819}},
        },
    }


def make_predictions(task: str, n_rows: int = 5) -> list[dict[str, str]]:
    """Build the lines of predictions.csv."""
    lines = []
    for index in range(n_rows):
        if task == "classification":
            line: dict[str, Any] = {
                "row": 40 + index,
                "y": "setosa",
                "bnn_predicted": "setosa" if index % 2 else "virginica",
                "bnn_probability_setosa": 0.41,
                "bnn_probability_virginica": 0.59,
                "bnn_entropy_total": 0.6 + 0.01 * index,
                "bnn_entropy_aleatoric": 0.5,
                "bnn_mutual_information": 0.1 + 0.01 * index,
            }
        else:
            line = {
                "row": 40 + index,
                "y": 150 + 60 * index,
                "bnn_mean": 151.0 + index,
                "bnn_sd": 54.0 + index,
                "bnn_sd_aleatoric": 53.0,
                "bnn_sd_epistemic": 10.0 + index,
                "bnn_lower_90": 61.0,
                "bnn_upper_90": 241.0,
            }
        lines.append({name: str(value) for name, value in line.items()})
    return lines


def make_settings() -> dict[str, Any]:
    """Build a resolved config of a dataset."""
    return {
        "task": "classification",
        "source": {"kind": "sklearn", "name": "iris"},
        "seed": 1,
        "split": {"method": "random", "column": None, "test_size": 0.2, "stratify": True, "seed": 42},
        "network": {"hidden": [16], "activation": "tanh", "precision": "float64"},
        "prior": {"weights": {"scale": 2.0}},
        "likelihood": {"family": "gaussian"},
        "sampler": {"kernel": "mala", "chains": 4, "warmup": 3000, "draws": 2000, "thin": 5}
        | {"optimise_steps": 500, "explore": 0, "target_acceptance": None},
        "diagnostics": LIMITS,
    }


def distinct_metrics(task: str) -> dict[str, Any]:
    """Build metrics of which no two values are equal, so that no cell can pass for another."""
    metrics = make_metrics(task)
    step = 0
    for splits in metrics["models"].values():
        for scores in splits.values():
            for entry in scores.values():
                step += 1
                if entry["value"] is not None:
                    entry["value"] *= 1 - 0.0031 * step
    for scores in metrics["differences"].values():
        for entry in scores.values():
            step += 1
            for name, value in entry.items():
                entry[name] = None if value is None else value * (1 - 0.0031 * step)
    return metrics
