"""Predictions for new rows of a file: with their uncertainty, and a flag where a row is far from the training rows."""

import json
import math
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
import pandas as pd

from bnn.core.errors import DataError, listing
from bnn.core.seeding import Stream, chain_rng
from bnn.core.settings import LikelihoodSettings, NetworkSettings, build
from bnn.core.storage import atomic_path, read_json
from bnn.data.dataset import Dataset
from bnn.data.encoding import Encoded
from bnn.data.new_row_files import features_for
from bnn.model.targets import BOUNDS
from bnn.posterior.conformal import label_sets
from bnn.posterior.far_rows import outside_range, relative_distance, why_far
from bnn.posterior.posterior_file import PosteriorFile, stacked_theta
from bnn.posterior.predictive import (
    class_summary,
    new_observations,
    predict_draws,
    predict_grid,
    predicted_class,
    quantiles_of_rows,
)
from bnn.posterior.predictor import Predictor, make_predictor

LEVELS = (0.5, 0.9, 0.95)
"""What the central intervals of a real target hold."""

_MOST_FAR = 3
"""Rows that are far and are named where predictions are made; the file has all."""
_ROWS_AT_ONCE = 1000
_ORIGIN = "of the rows in "

_DOUBTS = {
    "LOCAL": "verdict LOCAL: each chain has a mode of its own: read the predictions as a mixture over modes",
    "FAIL": "verdict FAIL: the chains did not converge: do not use the uncertainties",
    "WARN": "verdict WARN: a figure of the chains misses its threshold: read the reasons in report.html before you use "
    "the uncertainties",
}


class Said(NamedTuple):
    """Sentences for whoever asked for predictions."""

    notes: list[str]
    """How many rows, how many of them far from the training rows, what was ignored, and a good verdict"""
    doubts: list[str]
    """Why the uncertainties should not be used as they are"""


def predict_file(
    results: str | os.PathLike[str],
    path: str | os.PathLike[str],
    out_path: str | os.PathLike[str],
    *,
    quantiles: Sequence[float] = (),
    n_draws: int = 0,
) -> Said:
    """Predict the rows of a CSV file with the network of a finished run, and write the predictions as CSV.

    Parameters
    ----------
    results
        Folder of the dataset, `results/<dataset>`, which holds data.nc, posterior.nc and diagnostics.json.
    path
        A header line with the names of all columns that the network uses, in any order, and a row for each prediction,
        written like the table that it was trained on. Other columns of that table, such as the target, may be there
        and are ignored.
    out_path
        Where the predictions go; the file appears whole or not at all.
    quantiles
        Of a new observation, each more than 0 and less than 1: a column each, beside the others; real targets only.
    n_draws
        New observations of each row, which go into another file beside that one, with `_draws` behind its name; as many
        as there are posterior draws at most.

    Returns
    -------
    Said
        What to tell whoever asked.

    Raises
    ------
    DataError
        If the file cannot be used, the message names file, column and row; if the predictions would replace it; if
        the folder is that of a dataset with repeats; or if quantiles or draws are asked for that there cannot be.
    FileNotFoundError
        If the folder holds no finished run.
    """
    folder = Path(results)
    if (folder / "repeats.json").is_file():
        raise DataError(
            "repeated-dataset",
            f"{folder}: this dataset is repeated on several splits, each with a network of its own: name the folder of "
            f"one, such as {folder}.0",
            file=str(folder),
        )
    for name in ("data.nc", "posterior.nc"):
        if not (folder / name).is_file():
            raise FileNotFoundError(
                f"there is no {folder / name}: name the folder of a dataset whose chains have run, such as "
                "results/iris; if a later run of it was refused or failed, run it again first"
            )
    for place in (Path(out_path), *([draws_path(out_path)] if n_draws else [])):
        if Path(path).exists() and place.exists() and place.samefile(path):
            raise DataError(
                "would-replace-input",
                f"{path}: the predictions would replace the file of the rows; name another place for them",
                file=str(path),
            )
    dataset, idata = Dataset.load(folder / "data.nc"), PosteriorFile(folder / "posterior.nc")
    if idata["posterior"].attrs.get("table", dataset.digest) != dataset.digest:
        raise DataError(
            "other-table",
            f"{folder}: data.nc holds another table than the one that posterior.nc was made of; a later run did not "
            "end: run the workflow again first",
            file=str(folder / "posterior.nc"),
        )
    features, encoded = features_for(dataset, str(path))
    theta, layout = stacked_theta(idata)
    flat = theta.reshape(-1, theta.shape[-1])
    _check_asked(dataset, quantiles, n_draws, len(flat))
    stored = json.loads(idata["posterior"].attrs["settings"])
    predictor = make_predictor(
        dataset,
        network=build(NetworkSettings, stored["network"]),
        likelihood=build(LikelihoodSettings, stored["likelihood"]),
        layout=layout,
    )
    rng = chain_rng(int(idata["posterior"].attrs["seed"]), Stream.NEW_ROWS)
    table = predictions(
        dataset, predictor, theta, encoded.x, rng, first_row=features.first_row, limits=_limits(folder)
    )
    table["filled_in"] = _filled_in(encoded)
    if quantiles:
        parts = [
            quantiles_of_rows(predictor, theta, encoded.x[rows], quantiles, rng)
            for rows in _blocks(len(encoded.x))
        ]
        ends = np.clip(np.concatenate(parts, axis=1), *BOUNDS[predictor.target.form])
        for probability, values in zip(quantiles, ends, strict=True):
            table[f"quantile_{probability:g}"] = values
    tables = {Path(out_path): table}
    if n_draws:
        chosen = flat[np.linspace(0, len(flat) - 1, n_draws).round().astype(np.int64)]
        drawn = np.concatenate(list(new_observations(predictor, chosen, encoded.x, rng)), axis=1)
        if dataset.task == "classification":
            drawn = np.array(dataset.class_names, dtype=object)[drawn]
        columns = {f"draw_{index + 1}": values for index, values in enumerate(drawn)}
        tables[draws_path(out_path)] = pd.DataFrame({"row": table["row"], **columns})
    for place, content in tables.items():
        if features.ids is not None:
            content.insert(1, "id", features.ids)
        with atomic_path(place) as temporary:
            content.to_csv(temporary, index=False)
    n_far = int(table["far"].sum())
    notes = [f"{_rows(len(table))} predicted, {n_far} of them far from the training rows"]
    farthest = table[table["far"] > 0].nlargest(_MOST_FAR, "distance")
    notes += [f"row {line.row} is far: {line.far_because}" for line in farthest.itertuples()]
    if n_far > len(farthest):
        notes.append(f"the column far_because says why of all {n_far}")
    notes += _notes(dataset, encoded, features.ignored)
    verdict, doubts = _verdict(folder)
    return Said(notes + verdict, doubts)


def draws_path(out_path: str | os.PathLike[str]) -> Path:
    """Return where new observations go, beside the predictions."""
    path = Path(out_path)
    return path.with_name(f"{path.stem}_draws{path.suffix}")


def _check_asked(dataset: Dataset, quantiles: Sequence[float], n_draws: int, most_draws: int) -> None:
    if quantiles and dataset.task == "classification":
        raise DataError(
            "no-quantiles",
            f"'{dataset.target_name}' has classes, and quantiles are of numbers: leave --quantiles out; the columns "
            "probability_... say how sure each class is",
        )
    for probability in quantiles:
        if not 0 < probability < 1:
            raise DataError(
                "wrong-quantile",
                f"--quantiles {probability:g}: give numbers between 0 and 1, such as 0.05 0.5 0.95",
                value=str(probability),
            )
    if not 0 <= n_draws <= most_draws:
        raise DataError(
            "wrong-draws",
            f"--draws {n_draws}: give 1 to {most_draws}, the draws of the posterior that there are",
            value=str(n_draws),
        )


def _filled_in(encoded: Encoded) -> np.ndarray:
    """Return the columns, separated by semicolons, in which a row had no value, (row,) texts."""
    names: list[list[str]] = [[] for _ in encoded.x]
    for name, is_missing in encoded.missing.items():
        for row in np.flatnonzero(is_missing):
            names[row].append(name)
    return np.array([";".join(row) for row in names], dtype=object)


def _notes(dataset: Dataset, encoded: Encoded, ignored: Sequence[str]) -> list[str]:
    """Say what of the file was ignored, filled in, or never seen before."""
    notes = []
    if dataset.target_name in ignored:
        notes.append(f"the column '{dataset.target_name}' is the target: it was ignored")
    if unused := [name for name in ignored if name != dataset.target_name]:
        notes.append(f"columns that the network does not use were ignored: {listing(unused)}")
    for name, count in encoded.n_missing.items():
        notes.append(f"column '{name}': {_rows(count)} without a value, filled in as in training")
    for name, counts in encoded.unseen.items():
        texts = listing([f"'{text}'" for text in counts])
        notes.append(
            f"column '{name}': {_rows(sum(counts.values()))} with a text that no training row has ({texts})"
        )
    return notes


def _rows(count: int) -> str:
    return "1 row" if count == 1 else f"{count} rows"


def _verdict(folder: Path) -> Said:
    """Say what diagnostics.json of the run says of its chains."""
    path = folder / "diagnostics.json"
    if not path.is_file():
        return Said([], [f"there is no {path}: whether the chains converged is not known"])
    verdict = read_json(path)["verdict"]
    doubt = _DOUBTS.get(verdict)
    return Said([], [doubt]) if doubt else Said([f"verdict {verdict}"], [])


def _limits(folder: Path) -> dict[float, float]:
    """Return level -> limit of conformity scores, of a run with conformal calibration; else nothing."""
    path = folder / "metrics.json"
    found = read_json(path).get("conformal") if path.is_file() else None
    levels = found["levels"] if found else []
    return {one["level"]: math.inf if one["limit"] is None else one["limit"] for one in levels}


def predictions(
    dataset: Dataset,
    predictor: Predictor,
    theta: np.ndarray,
    x: np.ndarray,
    rng: np.random.Generator,
    *,
    first_row: int = 2,
    limits: Mapping[float, float] = MappingProxyType({}),
) -> pd.DataFrame:
    """Return a line for each row, with the columns that docs/reference/results.md describes.

    Parameters
    ----------
    dataset
        The table that the network was trained on.
    predictor, theta
        Of its posterior; theta (chain, draw, param).
    x
        Inputs, standardised like the table's, (obs, input).
    rng
        Draws the noise of new observations, on which the ends of intervals depend.
    first_row
        Number of the first row.
    limits
        Level -> limit of conformity scores; nothing without conformal calibration.
    """
    # As every message about the file counts.
    columns: dict[str, np.ndarray] = {"row": np.arange(first_row, len(x) + first_row)}
    parts = [_block(dataset, predictor, theta, x[rows], rng, limits) for rows in _blocks(len(x))]
    columns |= {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    x_train, x = dataset.entering(dataset.x_train), dataset.entering(x)
    distance = relative_distance(x_train, x)
    names = np.array(dataset.feature_names[: dataset.n_inputs], dtype=object)
    outside = outside_range(x_train, x)
    columns["distance"] = distance
    columns["far"] = (distance > 1).astype(np.int64)
    columns["outside_range"] = np.array([";".join(names[row]) for row in outside], dtype=object)
    columns["far_because"] = np.array(why_far(dataset, x, distance), dtype=object)
    return pd.DataFrame(columns)


def _blocks(n_rows: int) -> Iterator[slice]:
    for start in range(0, n_rows, _ROWS_AT_ONCE):
        yield slice(start, start + _ROWS_AT_ONCE)


def _block(
    dataset: Dataset,
    predictor: Predictor,
    theta: np.ndarray,
    x: np.ndarray,
    rng: np.random.Generator,
    limits: Mapping[float, float],
) -> dict[str, np.ndarray]:
    if dataset.task == "classification":
        summary = class_summary(predict_draws(predictor, theta, x))
        names = np.array(dataset.class_names, dtype=object)
        columns = {"predicted": names[predicted_class(summary.probability)]}
        columns |= {f"probability_{name}": summary.probability[:, i] for i, name in enumerate(names)}
        columns["entropy_total"] = summary.total
        columns["entropy_aleatoric"] = summary.aleatoric
        columns["mutual_information"] = summary.epistemic
        for level, limit in limits.items():
            sets = label_sets(summary.probability, limit).astype(np.int64)
            columns |= {f"set_{100 * level:.0f}_{name}": sets[:, i] for i, name in enumerate(names)}
        return columns
    grid = predict_grid(predictor, theta, x, levels=(*LEVELS, *limits.values()), rng=rng)
    columns = {"mean": grid.summary.mean}
    for name, variance in (("sd", "total"), ("sd_epistemic", "epistemic"), ("sd_aleatoric", "aleatoric")):
        columns[name] = np.sqrt(getattr(grid.summary, variance))
    names_of_levels = [f"{100 * level:.0f}" for level in LEVELS]
    names_of_levels += [f"{100 * level:.0f}_conformal" for level in limits]
    for name, *ends in zip(names_of_levels, grid.lower, grid.upper, strict=True):
        # What lies beyond all draws may lie beyond what there can be.
        lower, upper = np.clip(ends, *BOUNDS[predictor.target.form])
        columns |= {f"lower_{name}": lower, f"upper_{name}": upper}
    return columns


def check_place(results: str | os.PathLike[str], path: str | os.PathLike[str]) -> None:
    """Raise DataError if predictions of another file lie where those of this one would go if nobody says."""
    out_path, log = default_out_path(results, path), _log_path(results, path)
    if not out_path.exists():
        return
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines() if log.is_file() else []
    if origin(path) not in lines:
        of = next((line for line in lines if line.startswith(_ORIGIN)), "which may be those of another file")
        raise DataError(
            "would-replace-predictions",
            f"{out_path} holds predictions ({of}): say --replace if they may go, or name another place with --out",
            file=str(out_path),
        )


def write_log(results: str | os.PathLike[str], path: str | os.PathLike[str], said: Said) -> None:
    """Write down, where the workflow does too, of which file the predictions are."""
    with atomic_path(_log_path(results, path)) as temporary:
        temporary.write_text("\n".join([origin(path), *said.notes, *said.doubts, ""]), encoding="utf-8")


def origin(path: str | os.PathLike[str]) -> str:
    """Return the line of a log that says which file was predicted."""
    # A name of a file need not be UTF-8, as the log is.
    name = os.fsencode(Path(path).resolve()).decode("utf-8", "backslashreplace")
    return _ORIGIN + json.dumps(name, ensure_ascii=False)


def _log_path(results: str | os.PathLike[str], path: str | os.PathLike[str]) -> Path:
    return Path(results) / "logs" / f"predict_{Path(path).stem}.log"


def default_out_path(results: str | os.PathLike[str], path: str | os.PathLike[str]) -> Path:
    """Return where predictions go if nobody says: `<results>/predictions/<name of the file>.csv`."""
    return Path(results) / "predictions" / f"{Path(path).stem}.csv"
