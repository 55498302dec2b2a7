"""Predictions for rows of a file that nobody has seen: with their uncertainty, and a flag where it is extrapolated.

A row is far from the training rows if its mean distance to the five nearest of them, in standardised features, is
larger than that of 99 % of the training rows to each other. Unlike a box or an ellipse around all rows this also sees a
hole in their midst (k nearest neighbours, Loftsgaarden & Quesenberry 1965).
"""

import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.spatial import cKDTree

from bnn.core.errors import DataError, listing
from bnn.core.seeding import Stream, chain_rng
from bnn.core.settings import LikelihoodSettings, NetworkSettings, build
from bnn.core.storage import atomic_path, read_json
from bnn.data.dataset import Dataset
from bnn.data.encoding import Encoded
from bnn.data.new_row_files import read_features
from bnn.data.tables import naming
from bnn.posterior.posterior_file import PosteriorFile, stacked_theta
from bnn.posterior.predictive import class_summary, predict_draws, predict_grid, predicted_class
from bnn.posterior.predictor import Predictor, make_predictor

LEVELS = (0.5, 0.9, 0.95)
"""What the central intervals of a real target hold."""

N_NEIGHBOURS = 5
QUANTILE = 0.99
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
    results: str | os.PathLike[str], path: str | os.PathLike[str], out_path: str | os.PathLike[str]
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

    Returns
    -------
    Said
        What to tell whoever asked.

    Raises
    ------
    DataError
        If the file cannot be used, the message names file, column and row; if the predictions would replace it; or if
        the folder is that of a dataset with repeats.
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
                f"there is no {folder / name}: name the folder of a dataset whose chains have run, such as results/iris"
            )
    if Path(path).exists() and Path(out_path).exists() and Path(path).samefile(out_path):
        raise DataError(
            "would-replace-input",
            f"{path}: the predictions would replace the file of the rows; name another place for them",
            file=str(path),
        )
    dataset, idata = Dataset.load(folder / "data.nc"), PosteriorFile(folder / "posterior.nc")
    encoding = dataset.encoding
    features = read_features(
        str(path),
        encoding.kinds,
        ignored=(dataset.target_name, *encoding.unused),
        row_id=dataset.id_name,
        form=dataset.text_format,
    )
    with naming(str(path)):
        encoded = encoding.transform(features.x, first_row=features.first_row)
    theta, layout = stacked_theta(idata)
    stored = json.loads(idata["posterior"].attrs["settings"])
    predictor = make_predictor(
        dataset,
        network=build(NetworkSettings, stored["network"]),
        likelihood=build(LikelihoodSettings, stored["likelihood"]),
        layout=layout,
    )
    rng = chain_rng(int(idata["posterior"].attrs["seed"]), Stream.NEW_ROWS)
    table = predictions(dataset, predictor, theta, encoded.x, rng, first_row=features.first_row)
    if features.ids is not None:
        table.insert(1, "id", features.ids)
    with atomic_path(out_path) as temporary:
        table.to_csv(temporary, index=False)
    n_far = int(table["far"].sum())
    notes = [f"{_rows(len(table))} predicted, {n_far} of them far from the training rows"]
    notes += _notes(dataset, encoded, features.ignored)
    verdict, doubts = _verdict(folder)
    return Said(notes + verdict, doubts)


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


def predictions(
    dataset: Dataset,
    predictor: Predictor,
    theta: np.ndarray,
    x: np.ndarray,
    rng: np.random.Generator,
    *,
    first_row: int = 2,
) -> pd.DataFrame:
    """Return a line for each row, with the columns that docs/results.md describes.

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
    """
    # As every message about the file counts.
    columns: dict[str, np.ndarray] = {"row": np.arange(first_row, len(x) + first_row)}
    parts = [_block(dataset, predictor, theta, x[rows], rng) for rows in _blocks(len(x))]
    columns |= {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    distance = relative_distance(dataset.x_train, x)
    low, high = dataset.x_train.min(axis=0), dataset.x_train.max(axis=0)
    names = np.array(dataset.feature_names, dtype=object)
    # Rounding in the standardisation must not push the largest training value itself out of its range.
    slack = 1e-9 * np.maximum(1.0, high - low)
    outside = (x < low - slack) | (x > high + slack)
    columns["distance"] = distance
    columns["far"] = (distance > 1).astype(np.int64)
    columns["outside_range"] = np.array([";".join(names[row]) for row in outside], dtype=object)
    return pd.DataFrame(columns)


def relative_distance(x_train: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Return the mean distance of each row to its nearest training rows, over what is usual among those, (obs,).

    Parameters
    ----------
    x_train, x
        Standardised features, (row, feature) and (obs, feature).
    """
    tree = cKDTree(x_train)
    n_neighbours = min(N_NEIGHBOURS, len(x_train) - 1)
    # A training row is its own nearest neighbour, at distance 0: one more is asked for, and that one left out.
    own = tree.query(x_train, k=range(2, n_neighbours + 2))[0].mean(axis=1)
    usual = np.quantile(own, QUANTILE)
    if usual == 0:
        usual = own.max() or 1.0
    return np.asarray(tree.query(x, k=range(1, n_neighbours + 1))[0].mean(axis=1) / usual)


def _blocks(n_rows: int) -> Iterator[slice]:
    for start in range(0, n_rows, _ROWS_AT_ONCE):
        yield slice(start, start + _ROWS_AT_ONCE)


def _block(
    dataset: Dataset, predictor: Predictor, theta: np.ndarray, x: np.ndarray, rng: np.random.Generator
) -> dict[str, np.ndarray]:
    if dataset.task == "classification":
        summary = class_summary(predict_draws(predictor, theta, x))
        names = np.array(dataset.class_names, dtype=object)
        columns = {"predicted": names[predicted_class(summary.probability)]}
        columns |= {f"probability_{name}": summary.probability[:, i] for i, name in enumerate(names)}
        columns["entropy_total"] = summary.total
        columns["entropy_aleatoric"] = summary.aleatoric
        columns["mutual_information"] = summary.epistemic
        return columns
    grid = predict_grid(predictor, theta, x, levels=LEVELS, rng=rng)
    columns = {"mean": grid.summary.mean}
    for name, variance in (("sd", "total"), ("sd_epistemic", "epistemic"), ("sd_aleatoric", "aleatoric")):
        columns[name] = np.sqrt(getattr(grid.summary, variance))
    for level, lower, upper in zip(LEVELS, grid.lower, grid.upper, strict=True):
        columns |= {f"lower_{100 * level:.0f}": lower, f"upper_{100 * level:.0f}": upper}
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
