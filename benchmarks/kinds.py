"""Targets of every kind, made from known distributions: does the choice find the family, and what does a miss cost?

Run as `python benchmarks/kinds.py --results folder`; it takes an hour or two, goes on where it was stopped, and writes
folder/kinds.md. Of each kind, number of rows and seed a table of four features is made, everything is chosen as for
`task` and `source` alone, and the network of that choice is fitted by the short runs of the choice, once with the
chosen family and once with the true one. CRPS is of new rows.
"""

import argparse
import json
from pathlib import Path

import common
import numpy as np
from made_targets import KINDS, table

from bnn.config.loading import chain_settings, load
from bnn.core.settings import ModelSettings, build, spread_of_noise
from bnn.core.storage import write_json
from bnn.evaluation.metrics import sample_crps
from bnn.model.posterior import make_likelihood, make_network, make_prior
from bnn.posterior.predictor import Predictor
from bnn.selection.cheap_fit import few_of, fitted
from bnn.selection.choice import choose
from bnn.selection.race import Unit

N_NEW = 1000
SIZES = (300, 1000)
N_SEEDS = 10
PER_DRAW = 5
"""New observations of a row for each draw of theta."""


def crps(
    x: np.ndarray, y: np.ndarray, new: tuple[np.ndarray, np.ndarray], model: dict, unit: Unit, seed: int
) -> float | None:
    """Return the mean CRPS of new rows, in the unit of the target, after a short run; None without a start."""
    settings = build(ModelSettings, model)
    target = unit.target(settings.likelihood.family, y)
    theta = fitted(x, y, n_classes=None, settings=settings, seed=seed, target=target)
    if theta is None:
        return None
    likelihood = make_likelihood(settings.likelihood, n_classes=None, target=target)
    network = make_network(settings.network.in_numpy("float64"), x, n_outputs=likelihood.n_outputs)
    layout = make_prior(network, likelihood, settings.prior).layout
    predictor, rng = Predictor(network, likelihood, layout, target), np.random.default_rng(seed)
    blocks = list(predictor.stream(few_of(theta), new[0]))
    drawn = np.concatenate([predictor.sample(block, rng) for block in blocks for _ in range(PER_DRAW)])
    return sample_crps(drawn, new[1])


def measured(kind: str, n_rows: int, seed: int) -> dict:
    """Return what is chosen for a table, and CRPS with the chosen and with the true family."""
    x, y = table(kind, n_rows + N_NEW, seed)
    unit = Unit(float(y[:n_rows].mean()), float(y[:n_rows].std()))
    x = (x - x[:n_rows].mean(axis=0)) / x[:n_rows].std(axis=0)
    x_train, y_train = x[:n_rows], (y[:n_rows] - unit.mean) / unit.scale
    config = {
        "task": "regression",
        "source": {"kind": "csv", "path": "made.csv", "target": "y"},
        "seed": seed,
    }
    settings = chain_settings(load({"datasets": {"made": config}}).datasets["made"].model_dump(mode="json"))
    chosen, _ = choose(x_train, y_train, n_classes=None, settings=settings, unit=unit)
    output_scale = chosen["prior"]["weights"]["scale"] * chosen["prior"]["output_factor"]
    of_family = {"family": kind, "log_noise_sd": spread_of_noise(kind, output_scale)}
    true = chosen | {"likelihood": chosen["likelihood"] | of_family}
    scores = [crps(x_train, y_train, (x[n_rows:], y[n_rows:]), model, unit, seed) for model in (chosen, true)]
    return {
        "family": chosen["likelihood"]["family"],
        "hidden": chosen["network"]["hidden"],
        "scale": chosen["prior"]["weights"]["scale"],
        "crps": scores[0],
        "crps_of_true_family": scores[1],
    }


def write(folder: Path) -> None:
    """Write the table of what there is so far."""
    rows = []
    for kind in KINDS:
        for n_rows in SIZES:
            found = [
                json.loads(path.read_text()) for path in sorted((folder / kind).glob(f"{n_rows}.*.json"))
            ]
            if not found:
                continue
            both = [(one["crps"], one["crps_of_true_family"]) for one in found]
            ratios = np.array([own / true for own, true in both if None not in (own, true)] or [np.nan])
            others = sorted({one["family"] for one in found} - {kind})
            right = sum(one["family"] == kind for one in found)
            cost = f"{np.median(ratios):.3f} ({ratios.max():.3f})"
            rows.append([kind, f"{n_rows:,}", f"{right} of {len(found)}", ", ".join(others) or "–", cost])
    common.write_table(
        "kinds",
        "Targets of every kind",
        [
            "true family",
            "rows",
            "found",
            "taken instead",
            "times the CRPS with the true family: median (largest)",
        ],
        rows,
        "Four features, one of them without meaning; CRPS of 1,000 new rows, after short runs, as the choice makes "
        "them, of the network that was chosen.",
        folder=folder,
    )


def main() -> None:
    """Measure every kind, number of rows and seed that has no result yet."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--results", type=Path, help="where results are kept", required=True)
    parser.add_argument("--only", nargs="+", choices=KINDS, default=list(KINDS), help="kinds to measure")
    parser.add_argument("--seeds", type=int, default=N_SEEDS)
    asked = parser.parse_args()
    for seed in range(asked.seeds):
        for kind in asked.only:
            for n_rows in SIZES:
                path = asked.results / kind / f"{n_rows}.{seed}.json"
                if not path.exists():
                    path.parent.mkdir(parents=True, exist_ok=True)
                    write_json(path, measured(kind, n_rows, seed))
                    print(path, path.read_text().replace("\n", " "), flush=True)
    write(asked.results)


if __name__ == "__main__":
    main()
