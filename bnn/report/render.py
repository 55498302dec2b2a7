"""Pages of the report: each one self-contained HTML file that opens from a disk without a network."""

import base64
import os
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import quote

import yaml
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from bnn.report import formatting, tables
from bnn.report.captions import figure_texts
from bnn.storage import atomic_path

_TEMPLATES = Path(__file__).parent / "templates"
_COMPARED = ("bnn", "baseline", "linear")
_MEANING = {
    "PASS": "The chains agree and there are enough effective draws: the figures below can be used.",
    "WARN": "A limit is exceeded: read the reasons before you use the figures below.",
    "FAIL": "The chains have not converged: the BNN's figures below are not to be trusted.",
}


def render_dataset(
    *,
    diagnostics: Mapping[str, Any],
    metrics: Mapping[str, Any],
    settings: Mapping[str, Any],
    versions: Mapping[str, str],
    figures: Mapping[str, Path],
    feature_names: Sequence[str],
    overview_href: str,
) -> str:
    """Render the page of a dataset.

    Parameters
    ----------
    diagnostics, metrics
        Contents of diagnostics.json and metrics.json.
    settings
        The config of this dataset as run, defaults filled in: plain numbers, texts, lists and mappings.
    versions
        Program or package -> version.
    figures
        Name of a figure (see `bnn.plots.figure_names`) -> path of its SVG file, in any order.
    feature_names
        Columns that the networks saw.
    overview_href
        Link to the page over all datasets, relative to this page.

    Returns
    -------
    HTML text. Everything that came with the data is escaped.

    Raises
    ------
    ValueError
        If there is no caption for a figure.
    KeyError
        If diagnostics or metrics lack an entry.
    """
    texts = figure_texts(diagnostics, metrics)
    unknown = [name for name in figures if name not in texts]
    if unknown:
        raise ValueError(f"no caption for the figures {unknown}; give them one in bnn/report/captions.py")
    classification = metrics["task"] == "classification"
    if classification:
        detail = [tables.classes(metrics, "test"), tables.classes(metrics, "train")]
    else:
        detail = [tables.intervals(metrics, "test"), tables.intervals(metrics, "train")]
    template = _environment().get_template("dataset.html.j2")
    return template.render(
        title=metrics["dataset"],
        diagnostics=diagnostics,
        metrics=metrics,
        meaning=_MEANING[diagnostics["verdict"]],
        tiles=_tiles(diagnostics, metrics),
        summary=_summary(metrics, settings),
        comparison=[tables.comparison(metrics, "test"), tables.comparison(metrics, "train")],
        detail=detail,
        uncertainty=tables.uncertainty(metrics),
        convergence=tables.convergence(diagnostics),
        chains=tables.chains(diagnostics),
        figures=[(name, texts[name], _data_uri(figures[name])) for name in texts if name in figures],
        timings=_timings(diagnostics, metrics),
        config=yaml.safe_dump(dict(settings), sort_keys=False, allow_unicode=True, width=88),
        versions=versions,
        feature_names=feature_names,
        overview_href=overview_href,
    )


def render_overview(datasets: Sequence[tuple[Mapping[str, Any], Mapping[str, Any]]]) -> str:
    """Render the page over all datasets, to lie beside the folders of the datasets.

    Parameters
    ----------
    datasets
        Contents of diagnostics.json and metrics.json of each dataset, in the order of the rows.
    """
    rows = [_overview_row(diagnostics, metrics) for diagnostics, metrics in datasets]
    verdicts = [diagnostics["verdict"] for diagnostics, _ in datasets]
    template = _environment().get_template("overview.html.j2")
    tally = [(verdict, verdicts.count(verdict)) for verdict in _MEANING if verdict in verdicts]
    return template.render(
        title="Bayesian neural networks", rows=rows, tally=tally, any_failed="FAIL" in verdicts
    )


def write_page(path: str | os.PathLike[str], html: str) -> None:
    """Write a page; a reader never sees half of it."""
    with atomic_path(path) as temporary:
        temporary.write_text(html, encoding="utf-8")


@lru_cache(maxsize=1)
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,  # not by the name of the file: names, classes and columns are the users' own texts
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals["style"] = Markup((_TEMPLATES / "style.css").read_text(encoding="utf-8"))
    environment.filters["count"] = formatting.count
    return environment


def _data_uri(path: Path) -> str:
    # As an image, not inline: its styles and ids stay apart from the page's, and no script in it would run.
    return "data:image/svg+xml;base64," + base64.b64encode(Path(path).read_bytes()).decode("ascii")


def _architecture(metrics: Mapping[str, Any]) -> str:
    return "–".join(str(size) for size in metrics["architecture"])


def _features(metrics: Mapping[str, Any]) -> str:
    return f"{formatting.count(metrics['n_features'])} feature{'' if metrics['n_features'] == 1 else 's'}"


def _summary(metrics: Mapping[str, Any], settings: Mapping[str, Any]) -> str:
    target = metrics["target_name"]
    if metrics["task"] == "classification":
        goal = f"Predicts the class of {target} ({len(metrics['class_names'])} classes)"
    else:
        unit = f", in {metrics['target_unit']}" if metrics["target_unit"] else ""
        goal = f"Predicts {target}{unit}"
    n_train, n_test = formatting.count(metrics["n_train"]), formatting.count(metrics["n_test"])
    network = f"Network {_architecture(metrics)}, {settings['network']['activation']}"
    return (
        f"{goal} from {_features(metrics)}, with {n_train} training and {n_test} test rows. "
        f"{network}, {formatting.count(metrics['n_params'])} parameters."
    )


def _tiles(diagnostics: Mapping[str, Any], metrics: Mapping[str, Any]) -> list[dict[str, str]]:
    """Label, value, remark and flag of the figures that a reader looks for first."""
    name = tables.headline(metrics)
    scores = metrics["models"]["bnn"]["test"]
    metric, nll = tables.METRICS[name], tables.METRICS["nll"]
    unit = f", {metrics['target_unit']}" if metric.has_unit and metrics["target_unit"] else ""
    trust = "; not to be trusted" if diagnostics["verdict"] == "FAIL" else ""
    rhat, ess = worst(diagnostics)
    limits = diagnostics["thresholds"]
    tiles = (
        (f"{metric.label}, BNN", tables.score(scores.get(name), metric), f"test rows{unit}{trust}", ""),
        ("NLL, BNN", tables.score(scores.get("nll"), nll), f"test rows, nats a row{trust}", ""),
        ("Worst R-hat", formatting.rhat(rhat), _limit_text(limits, "rhat"), tables.rhat_flag(rhat, limits)),
        (
            "Smallest bulk ESS",
            formatting.count(ess),
            _limit_text(limits, "ess"),
            tables.ess_flag(ess, limits),
        ),
    )
    return [dict(zip(("label", "value", "remark", "flag"), tile, strict=True)) for tile in tiles]


def _limit_text(limits: Mapping[str, float], quantity: str) -> str:
    side = "above" if quantity == "rhat" else "below"
    return f"WARN {side} {limits[f'{quantity}_warn']:g}, FAIL {side} {limits[f'{quantity}_fail']:g}"


def worst(diagnostics: Mapping[str, Any]) -> tuple[float | None, float | None]:
    """Largest R-hat and smallest bulk ESS of all that the verdict looks at; None when one is missing."""
    scalars = [diagnostics["log_density"]]
    if diagnostics["noise_scale"] is not None:
        scalars.append(diagnostics["noise_scale"])
    splits = diagnostics["predictions"].values()
    rhats = [entry["rhat"] for entry in scalars] + [entry["rhat_max"] for entry in splits]
    sizes = [entry["ess_bulk"] for entry in scalars] + [entry["ess_bulk_min"] for entry in splits]
    return (None if None in rhats else max(rhats)), (None if None in sizes else min(sizes))


def _timings(diagnostics: Mapping[str, Any], metrics: Mapping[str, Any]) -> list[tuple[str, str]]:
    seconds = diagnostics["seconds"]
    labels = {"optimise": "Warm starts", "explore": "Exploration", "warmup": "Warm-up", "draws": "Draws"}
    rows = [(f"{labels.get(name, name)}, all chains", formatting.duration(seconds[name])) for name in seconds]
    rows.append(("Gradients, all chains", formatting.count(diagnostics["n_gradients"])))
    baseline, bnn = metrics["seconds"]["baseline"], metrics["seconds"]["bnn"]
    rows.append(("Baseline network", formatting.duration(baseline)))
    rows.append(("BNN", formatting.duration(bnn)))
    if baseline and bnn:
        rows.append(("BNN to baseline", f"{formatting.number(bnn / baseline, 2)} times as long"))
    return rows


def _overview_row(diagnostics: Mapping[str, Any], metrics: Mapping[str, Any]) -> dict[str, Any]:
    name = tables.headline(metrics)
    metric, nll = tables.METRICS[name], tables.METRICS["nll"]
    scores = [metrics["models"].get(model, {}).get("test", {}) for model in _COMPARED]
    worst_rhat, smallest_ess = worst(diagnostics)
    limits = diagnostics["thresholds"]
    n_rows = f"{formatting.count(metrics['n_train'])} + {formatting.count(metrics['n_test'])} rows"
    return {
        "dataset": metrics["dataset"],
        "href": f"{quote(metrics['dataset'], safe='')}/report.html",
        "verdict": diagnostics["verdict"],
        "facts": f"{metrics['task']} · {n_rows} · {_features(metrics)} · {_architecture(metrics)}",
        "metric": metric.label,
        "unit": metrics["target_unit"] if metric.has_unit else "",
        "headline": [tables.score(entry.get(name), metric) for entry in scores],
        "nll": [tables.score(entry.get("nll"), nll) for entry in scores],
        "rhat": tables.Cell(formatting.rhat(worst_rhat), tables.rhat_flag(worst_rhat, limits)),
        "ess": tables.Cell(formatting.count(smallest_ess), tables.ess_flag(smallest_ess, limits)),
    }
