"""Contents of diagnostics.json and metrics.json, made up, and a reader of pages, for the tests of the report."""

from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from bnn import plots
from bnn.report import render_dataset

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
    }
    weights = {"rhat_max": 1.61, "rhat_median": 1.2, "ess_bulk_min": 7.3, "ess_bulk_median": 31.0}
    chain = {"acceptance_rate": 0.573, "step_size": 0.0123, "n_diverging": 0, "stuck": False}
    reasons = {
        "PASS": [],
        "WARN": [
            "R-hat of the prediction at test row 77 is 1.0213, above 1.01: raise sampler.thin or sampler.draws."
        ],
        "FAIL": [
            "R-hat of the prediction at test row 77 is 1.382, above 1.05: raise sampler.warmup and sampler.draws.",
            "Chain 3 is stuck: lower sampler.target_acceptance, or set sampler.init to optimised.",
        ],
    }
    return {
        "dataset": dataset,
        "task": task,
        "kernel": "mala",
        "adjusted": True,
        "verdict": verdict,
        "reasons": reasons[verdict],
        "thresholds": LIMITS,
        "n_chains": 4,
        "n_draws": 2000,
        "thin": 5,
        "n_warmup": 3000,
        "log_density": scalar,
        "noise_scale": None
        if task == "classification"
        else scalar | {"mean": 0.7, "sd": 0.03, "mcse_mean": 0.0009},
        "predictions": {"train": dict(split), "test": dict(split)},
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


def make_metrics(task: str, dataset: str = "iris") -> dict[str, Any]:
    """Build the contents of metrics.json."""
    if task == "classification":
        values = {"accuracy": 0.96667, "nll": 0.10312, "brier": 0.05812, "ece": 0.03213}
    else:
        values = {"rmse": 53.1277, "mae": 43.02, "r2": 0.4811, "nll": 5.4012, "crps": 30.0321}
        values |= {f"coverage_{level}": level / 100 - 0.011 for level in (50, 90, 95)}
        values |= {f"width_{level}": 1.9 * level for level in (50, 90, 95)}
    models: dict[str, Any] = {}
    for index, model in enumerate(("bnn", "baseline", "linear")):
        models[model] = {
            split: {
                name: {
                    "value": value * (1 - 0.01 * index),
                    "mcse": abs(value) * 0.0042 if model == "bnn" else None,
                }
                for name, value in values.items()
            }
            for split in ("train", "test")
        }
    metrics = {
        "dataset": dataset,
        "task": task,
        "n_train": 120,
        "n_test": 30,
        "n_features": 4,
        "target_name": "species" if task == "classification" else "disease_progression",
        "target_unit": "" if task == "classification" else "points",
        "class_names": ["setosa", "versicolor", "virginica"] if task == "classification" else [],
        "architecture": [4, 16, 3],
        "n_params": 131,
        "models": models,
        "uncertainty": {
            split: {"total": 0.1312, "aleatoric": 0.1011, "epistemic": 0.0301} for split in ("train", "test")
        },
        "seconds": {"baseline": 0.31, "bnn": 95.0},
    }
    if task == "classification":
        entry = {"precision": 1.0, "recall": 0.9, "f1": 0.947368, "support": 10}
        report = [{"class": name} | entry for name in ("setosa", "versicolor", "virginica")]
        metrics["classification_report"] = {
            split: {model: list(report) for model in models} for split in ("train", "test")
        }
    return metrics


def make_settings() -> dict[str, Any]:
    """Build a resolved config of a dataset."""
    return {
        "task": "classification",
        "source": {"kind": "sklearn", "name": "iris"},
        "seed": 1,
        "split": {"test_size": 0.2, "stratify": True, "seed": 42},
        "network": {"hidden": [16], "activation": "tanh", "precision": "float64"},
        "sampler": {"kernel": "mala", "chains": 4, "warmup": 3000, "draws": 2000, "thin": 5},
        "diagnostics": LIMITS,
    }


@dataclass
class Page(HTMLParser):
    """What the tests ask of a page: its elements, its text, and its tables by id."""

    elements: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    text: str = ""
    tables: dict[str, list[list[str]]] = field(default_factory=dict)
    unclosed: list[str] = field(default_factory=list)
    in_remark: bool = False

    @classmethod
    def of(cls, html: str) -> "Page":
        page = cls()
        HTMLParser.__init__(page)
        page.feed(html)
        page.close()
        return page

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in {"meta", "link", "img"}:
            self.unclosed.append(tag)
        if tag == "span":
            self.in_remark = ("class", "remark") in attrs
        if tag == "table":
            self.tables[self.elements[-1][1]["id"]] = []
        if tag == "tr":
            self.rows.append([])
        if tag in {"td", "th"}:
            self.rows[-1].append("")

    @property
    def rows(self) -> list[list[str]]:
        return self.tables[list(self.tables)[-1]]

    def handle_endtag(self, tag: str) -> None:
        assert self.unclosed.pop() == tag
        if tag == "span":
            self.in_remark = False

    def handle_data(self, data: str) -> None:
        if "style" in self.unclosed:
            return
        self.text += data
        if {"td", "th"} & set(self.unclosed) and not self.in_remark:
            self.rows[-1][-1] += data

    def attributes(self, tag: str) -> list[dict[str, str]]:
        """Attributes of every element with this tag."""
        return [attributes for name, attributes in self.elements if name == tag]

    def cells(self, table: str) -> dict[str, list[str]]:
        """Cells of a table's rows by the heading of the row, without remarks."""
        return {row[0].strip(): [cell.strip() for cell in row[1:]] for row in self.tables[table]}


def dataset_page(svg: Path, task: str, verdict: str = "PASS", **changes: Any) -> str:
    """Render the page of a dataset with every figure of its task."""
    metrics = changes.pop("metrics", make_metrics(task))
    arguments = {
        "diagnostics": make_diagnostics(task, verdict),
        "metrics": metrics,
        "settings": make_settings(),
        "versions": VERSIONS,
        "figures": dict.fromkeys(plots.figure_names(task, metrics["n_features"]), svg),
        "feature_names": ["a", "b", "c", "d"],
        "overview_href": "../report.html",
    }
    return render_dataset(**(arguments | changes))


def to_number(text: str) -> float:
    """Read a number as the report writes it."""
    plain = text.replace(",", "").replace("\N{MINUS SIGN}", "-").removesuffix(" %")
    return float(plain) / (100 if text.endswith("%") else 1)


def resolution(text: str) -> float:
    """Half a unit of the last digit of a number as the report writes it."""
    digits = text.removesuffix(" %").partition(".")[2]
    return 0.5000001 * 10.0 ** -len(digits) / (100 if text.endswith("%") else 1)


def assert_shows(text: str, entry: dict[str, Any]) -> None:
    """Check that a cell shows an entry {"value", "mcse"} to the precision that it displays."""
    unit = " %" if text.endswith(" %") else ""
    value, sign, mcse = text.removesuffix(unit).partition(" ± ")
    assert to_number(value + unit) == pytest.approx(entry["value"], abs=resolution(value + unit), rel=0)
    if entry["mcse"] is None:
        assert not sign
    else:
        assert to_number(mcse + unit) == pytest.approx(entry["mcse"], abs=resolution(mcse + unit), rel=0)


def distinct_metrics(task: str) -> dict[str, Any]:
    """Build metrics of which no two values are equal, so that no cell can pass for another."""
    metrics = make_metrics(task)
    step = 0
    for splits in metrics["models"].values():
        for scores in splits.values():
            for entry in scores.values():
                step += 1
                entry["value"] *= 1 - 0.0031 * step
    return metrics
