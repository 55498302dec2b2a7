"""Pages of the report: each one self-contained HTML file that opens from a disk without a network."""

import base64
import os
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from bnn.core import formatting
from bnn.core.plan import as_run
from bnn.core.row_names import ROW_COUNTING
from bnn.core.storage import atomic_path
from bnn.diagnostics import remedies as advice
from bnn.report import checks as check_tables
from bnn.report import columns as column_tables
from bnn.report import comparison, convergence, rows, sentences
from bnn.report.captions import figure_texts
from bnn.report.chosen_model import model_line
from bnn.report.overview import Entry, cautions, overview_rows, tally, verdict_counts
from bnn.report.repeats import over_splits
from bnn.report.scatter import HEIGHT, WIDTH, scatter
from bnn.report.table import MODELS, Table

_TEMPLATES = Path(__file__).parent / "templates"
_RAN = 1e-4
"""Seconds below which a phase of the sampler had no step to take."""
FILES = {
    "metrics.json": "scores, differences, calibration, rows",
    "checks.json": "leave-one-out, predictive checks, out-of-distribution inputs, other priors",
    "diagnostics.json": "verdict, R-hat, ESS",
    "predictions.csv": "a line for each test row",
    "posterior.nc": "every draw, for ArviZ",
    "figures": "the figures as SVG",
}
"""What lies beside the page, with what it holds."""


def render_dataset(
    *,
    diagnostics: Mapping[str, Any],
    metrics: Mapping[str, Any],
    checks: Mapping[str, Any],
    predictions: Sequence[Mapping[str, str]],
    settings: Mapping[str, Any],
    tried: Sequence[Mapping[str, Any]] = (),
    versions: Mapping[str, str],
    made: Sequence[str],
    programs: str,
    figures: Mapping[str, Path],
    overview_href: str,
) -> str:
    """Render the page of a dataset.

    Parameters
    ----------
    diagnostics, metrics, checks
        Contents of diagnostics.json, metrics.json and checks.json.
    predictions
        Lines of predictions.csv, column -> text.
    settings
        The config of this dataset as run, defaults and what was chosen filled in: plain numbers, texts, lists and
        mappings.
    tried
        Candidates that were compared, as plan.json has them.
    versions
        Program or package -> version.
    made
        When, from which commit and from which source the results were made, in words.
    programs
        What stands before `python` and `snakemake` in commands of this folder.
    figures
        Name of a figure (see `bnn.plots.figure_names`) -> path of its SVG file, in any order.
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
        If a file lacks an entry.
    """
    texts = figure_texts(diagnostics, metrics)
    unknown = [name for name in figures if name not in texts]
    if unknown:
        raise ValueError(f"no caption for the figures {unknown}; give them one in bnn/report/captions.py")
    change = advice.changes(diagnostics, settings)
    return (
        _environment()
        .get_template("dataset.html.j2")
        .render(
            title=metrics["dataset"],
            diagnostics=diagnostics,
            metrics=metrics,
            row_counting=ROW_COUNTING[metrics["first_row"]],
            checks=checks,
            summary=_summary(metrics, settings),
            made=made,
            programs=programs,
            marks=sentences.marks(diagnostics, metrics),
            model=model_line(settings, tried),
            flags=[flag for flag in (*metrics["flags"], *checks["flags"]) if flag["raised"]],
            advice=advice.explain(diagnostics["findings"]),
            again=advice.again(settings, change),
            change=advice.as_yaml(
                metrics["dataset"].partition(".")[0], change, as_run(settings, diagnostics)
            ),
            keeps_weights=settings["sampler"].get("keep") != "predictions",
            kind_of_rows=sentences.kind_of_rows(metrics),
            drivers=sentences.drivers(checks["effects"]),
            least_told=sentences.least_told(checks["out_of_distribution"]),
            tables=_tables(diagnostics, metrics, checks),
            scatter=scatter(predictions, metrics, settings["likelihood"]["family"]),
            size=(WIDTH, HEIGHT),
            figures=[(name, texts[name], _data_uri(figures[name])) for name in texts if name in figures],
            timings=_timings(diagnostics, metrics),
            config=_config(metrics["dataset"], as_run(settings, diagnostics)),
            versions=versions,
            predicted=[Path(path) for path in settings.get("predict", ())],
            files=FILES,
            overview_href=overview_href,
        )
    )


def render_tables(
    diagnostics: Mapping[str, Any], metrics: Mapping[str, Any], checks: Mapping[str, Any]
) -> dict[str, str]:
    """Render the main tables of a dataset as pages of their own, for Snakemake's report: name -> HTML text."""
    template = _environment().get_template("table.html.j2")
    return {
        name: template.render(
            title=f"{metrics['dataset']}: {table.caption}", table=table, verdict=diagnostics["verdict"]
        )
        for name, table in _tables(diagnostics, metrics, checks).items()
        if table is not None and name in _ALONE
    }


def render_overview(entries: Sequence[Entry], repeats: Sequence[Mapping[str, Any]] = ()) -> str:
    """Render the page over all datasets, to lie beside the folders of the datasets.

    Parameters
    ----------
    entries
        Contents of diagnostics.json and metrics.json of each dataset, in the order of the rows.
    repeats
        Contents of repeats.json of each dataset that was run on several splits.
    """
    found = overview_rows(entries)
    template = _environment().get_template("overview.html.j2")
    return template.render(
        title="Bayesian neural networks",
        rows=found,
        repeats=over_splits(repeats),
        verdicts=verdict_counts(found),
        counts=tally(found),
        cautions=cautions(entries),
        any_failed=any(row.verdict == "FAIL" for row in found),
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
    for name, file in (("style", "style.css"), ("script", "script.js")):
        environment.globals[name] = Markup((_TEMPLATES / file).read_text(encoding="utf-8"))
    environment.filters["count"] = formatting.count
    environment.filters["level"] = formatting.level
    environment.globals["signs"] = {
        verdict: sentences.SIGNS[mark] for verdict, mark in sentences.VERDICTS.items()
    }
    environment.filters["unbroken"] = formatting.unbroken
    return environment


def _data_uri(path: Path) -> str:
    # As an image, not inline: its styles and ids stay apart from the page's, and no script in it would run.
    return "data:image/svg+xml;base64," + base64.b64encode(Path(path).read_bytes()).decode("ascii")


_ALONE = (
    "scores_test",
    "differences",
    "convergence",
    "chains",
    "most_uncertain",
    "most_wrong",
    "out_of_distribution",
)


def _tables(
    diagnostics: Mapping[str, Any], metrics: Mapping[str, Any], checks: Mapping[str, Any]
) -> dict[str, Table | None]:
    """Every table of the page by name, in the order of the appendix."""
    trusted = diagnostics["verdict"] != "FAIL"
    detail = comparison.classes if metrics["task"] == "classification" else comparison.intervals
    return {
        "most_uncertain": rows.worst_rows(metrics, "most_uncertain"),
        "most_wrong": rows.worst_rows(metrics, "most_wrong"),
        "scores_test": comparison.scores(metrics, "test", trusted=trusted),
        "differences": comparison.differences(metrics, trusted=trusted),
        "detail_test": detail(metrics),
        "scores_train": comparison.scores(metrics, "train", trusted=trusted),
        "calibration": comparison.calibration(metrics),
        "uncertainty": comparison.uncertainty(metrics),
        "out_of_distribution": check_tables.out_of_distribution(checks, trusted=trusted),
        "hole": check_tables.hole(checks, metrics),
        "leave_one_out": check_tables.leave_one_out(checks),
        "posterior_predictive": check_tables.predictive_checks(checks, "posterior_predictive"),
        "prior_predictive": check_tables.predictive_checks(checks, "prior_predictive"),
        "sensitivity": check_tables.sensitivity(checks, metrics),
        "convergence": convergence.convergence(diagnostics),
        "chains": convergence.chains(diagnostics),
        "columns": column_tables.columns(metrics, checks.get("input_powers", {})),
    }


def _summary(metrics: Mapping[str, Any], settings: Mapping[str, Any]) -> str:
    target = metrics["target_name"]
    if metrics["task"] == "classification":
        goal = f"Predicts the class of {target} ({len(metrics['class_names'])} classes)"
    else:
        unit = f" in {metrics['target_unit']}" if metrics["target_unit"] else ""
        goal = f"Predicts {target}{unit}"
    if settings["task"] == "timeseries":
        horizon = settings["series"]["horizon"]
        steps = f"{formatting.count(horizon)} step{'' if horizon == 1 else 's'}"
        goal += f", {steps} ahead of the last value that is known,"
    n_train, n_test = formatting.count(metrics["n_train"]), formatting.count(metrics["n_test"])
    features = f"{formatting.count(metrics['n_features'])} feature{'' if metrics['n_features'] == 1 else 's'}"
    architecture = "–".join(str(size) for size in metrics["architecture"])
    kind = f"Network {architecture}, {settings['network']['activation']}"
    kind = kind if len(metrics["architecture"]) > 2 else f"Linear model {architecture}"
    return (
        f"{goal} from {features}, with {n_train} training and {n_test} test rows{_division(settings)}. "
        f"{kind}, {formatting.count(metrics['n_params'])} parameters."
    )


def _division(settings: Mapping[str, Any]) -> str:
    """Say how rows were divided, where that was not at random."""
    split = settings["split"]
    return {
        "random": "",
        "time": ", the test rows after the training rows in time",
        "group": f", with no {split['column']} in both",
        "column": f", as the column {split['column']} says",
    }[split["method"]]


def _timings(diagnostics: Mapping[str, Any], metrics: Mapping[str, Any]) -> list[tuple[str, str]]:
    labels = {"optimise": "Warm starts", "explore": "Exploration", "warmup": "Warm-up", "draws": "Draws"}
    rows = [
        (f"{labels.get(name, name)}, all chains", formatting.duration(seconds))
        for name, seconds in diagnostics["seconds"].items()
        if seconds is None or seconds >= _RAN
    ]
    rows.append(("Gradients, all chains", formatting.count(diagnostics["n_gradients"])))
    seconds = metrics["seconds"]
    rows.append(("BNN", formatting.duration(seconds["bnn"])))
    for model in ("baseline", "ensemble", "boosting"):
        text = formatting.duration(seconds[model])
        if seconds["bnn"] and seconds[model]:
            text += f" (the BNN took {formatting.number(seconds['bnn'] / seconds[model], 2)} times as long)"
        rows.append((MODELS[model], text))
    return rows


def _config(dataset: str, settings: Mapping[str, Any]) -> str:
    """Write a config file of this dataset alone, every key given, that runs it again.

    What a dataset may not override for its task may stand among the shared settings: all go there but what can
    stand with a dataset only.
    """
    own = ("task", "source", "series", "predict")
    shared = {key: value for key, value in settings.items() if key not in own}
    of_dataset = {key: settings[key] for key in own if key in settings}
    if settings["task"] != "timeseries":
        of_dataset.pop("series", None)
    # A split of several is run again alone, and so needs no number behind its name.
    whole = shared | {"datasets": {dataset.partition(".")[0]: of_dataset}}
    return yaml.safe_dump(whole, sort_keys=False, allow_unicode=True, width=88)
