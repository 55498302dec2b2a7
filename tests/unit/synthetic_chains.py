"""Small tables and chain files whose draws a test chooses, for tests of what comes after sampling."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from bnn.core.settings import BlockPriorSettings, LikelihoodSettings, NetworkSettings, PriorSettings
from bnn.core.storage import write_netcdf
from bnn.data.dataset import Dataset, Task
from bnn.model.layout import ParameterLayout
from bnn.model.priors import learned_scale_shapes
from bnn.posterior import inference_data
from bnn.posterior.posterior_file import PosteriorFile
from bnn.posterior.predictor import make_predictor

NETWORK = NetworkSettings((3,), "tanh", "float64", "numpy")
LIKELIHOOD = LikelihoodSettings("gaussian", "sampled", 4.0, -1.0, 1.0)
SIDE = BlockPriorSettings("normal", 1.0, 4.0)
PRIOR = PriorSettings(SIDE, SIDE, fan_in_scaling=True, learned_scales="none")


def make_dataset(
    task: Task, *, n_train: int = 8, n_test: int = 5, n_classes: int = 3, target_mean: float = 20.0
) -> Dataset:
    """Return a table with two features; the target of a regression has mean `target_mean` and scale 5."""
    rng = np.random.default_rng(99)
    n = n_train + n_test
    rows = rng.permutation(n)
    x = rng.standard_normal((n, 2))
    is_class = task == "classification"
    y: np.ndarray = np.arange(n) % n_classes if is_class else x[:, 0] + 0.3 * rng.standard_normal(n)
    return Dataset(
        name="toy",
        task=task,
        x_train=x[:n_train],
        y_train=y[:n_train],
        x_test=x[n_train:],
        y_test=y[n_train:],
        row_train=rows[:n_train],
        row_test=rows[n_train:],
        feature_names=("length", "width"),
        feature_mean=np.array([3.0, 4.0]),
        feature_scale=np.array([2.0, 1.0]),
        target_name="species" if is_class else "price",
        target_unit="" if is_class else "EUR",
        class_names=tuple(f"kind {index}" for index in range(n_classes)) if is_class else (),
        target_mean=0.0 if is_class else target_mean,
        target_scale=1.0 if is_class else 5.0,
    )


def layout_of(
    dataset: Dataset, likelihood: LikelihoodSettings = LIKELIHOOD, learned_scales: str = "none"
) -> ParameterLayout:
    """Return the layout of theta for the small network."""
    predictor = make_predictor(dataset, network=NETWORK, likelihood=likelihood)
    learned = learned_scale_shapes(predictor.network.parameter_shapes, learned_scales)
    return ParameterLayout(predictor.layout.shapes | learned)


def independent_theta(
    dataset: Dataset, *, n_chains: int, n_draws: int, seed: int = 0, layout: ParameterLayout | None = None
) -> np.ndarray:
    """Return independent standard normal draws, shape (chain, draw, param), scaled so that noise is about 0.3."""
    layout = layout or layout_of(dataset)
    theta = 0.5 * np.random.default_rng(seed).standard_normal((n_chains, n_draws, layout.n_params))
    if "log_noise_scale" in layout.names:
        theta[..., layout.slices["log_noise_scale"]] = (
            -1.2 + 0.2 * theta[..., layout.slices["log_noise_scale"]]
        )
    return theta


def combined(
    dataset: Dataset,
    paths: Sequence[Path],
    *,
    network: NetworkSettings = NETWORK,
    likelihood: LikelihoodSettings = LIKELIHOOD,
    keep: str = "both",
    seed: int = 0,
) -> Any:
    """Combine chain files into a file beside them, and return what is read from it."""
    path = Path(paths[0]).parent / "posterior.nc" if paths else Path("nowhere.nc")
    rng = np.random.default_rng(seed)
    inference_data.combine(path, dataset, paths, network=network, likelihood=likelihood, keep=keep, rng=rng)
    return PosteriorFile(path)


def write_chains(
    folder: Path,
    theta: np.ndarray,
    layout: ParameterLayout,
    *,
    variables: Mapping[str, np.ndarray] | None = None,
    changes: Mapping[int, Mapping[str, Any]] | None = None,
    chain_ids: Sequence[int] | None = None,
    n_records: int = 3,
    n_steps: Sequence[int] | None = None,
    apart: bool = False,
) -> list[Path]:
    """Write the chains of theta as `bnn.jobs.chain_job.run_job` does, all by one job or each by a job of its own.

    One job is the default because a file costs time.

    Parameters
    ----------
    folder
        Where the files go.
    theta
        Shape (chain, draw, param).
    layout
        Its layout.
    variables
        Name -> (chain, draw) array instead of the usual one.
    changes
        Number of a file -> attributes to change in it; every chain then has its own.
    chain_ids
        Numbers of the chains; 0, 1, ... if not given.
    n_records
        Records of the warm-up.
    n_steps
        Steps of the trajectories of each chain; None: they have none.
    apart
        Whether every chain has a file of its own.
    """
    folder.mkdir(exist_ok=True)
    n_chains, n_draws, _ = theta.shape
    shape = (n_chains, n_draws)
    values = {
        "log_density": -0.5 * (theta**2).sum(axis=-1),
        "acceptance_rate": np.full(shape, 0.6),
        "diverging": np.zeros(shape, dtype=np.int64),
    } | dict(variables or {})
    ids = np.array(chain_ids or range(n_chains), dtype=np.int64)
    all_chains = range(n_chains)
    files = [[index] for index in all_chains] if apart or changes else [list(all_chains)]
    paths = []
    for number, indices in enumerate(files):
        size = len(indices)
        own: dict[str, tuple[Sequence[str], np.ndarray]] = {
            name: (("chain", "draw"), array[indices]) for name, array in values.items()
        }
        own["theta"] = (("chain", "draw", "param"), theta[indices])
        own["step_size"] = (("chain",), np.full(size, 0.1))
        own["preconditioner"] = (("chain", "coordinate"), np.ones((size, theta.shape[2])))
        own["trajectory_length"] = (("chain",), np.full(size, 1.57))
        if n_steps is not None:
            own["n_steps"] = (("chain",), np.array(n_steps)[indices])
        own["optimiser_iteration"] = (("optimiser_record",), np.array([0, 10]))
        own["optimiser_log_density"] = (("chain", "optimiser_record"), np.tile([-9.0, -4.0], (size, 1)))
        own["chain_id"] = (("chain",), ids[indices])
        own["warmup_explores"] = (("record",), np.zeros(n_records, dtype=np.int64))
        own["warmup_iteration"] = (("record",), 10 * np.arange(1, n_records + 1))
        for name in ("log_density", "step_size", "acceptance_rate"):
            of_chain = np.repeat(ids[indices, None].astype(float), n_records, axis=1)
            own[f"warmup_{name}"] = (("chain", "record"), of_chain)
        attributes = {
            "dataset": "toy",
            "seed": 1,
            "layout": layout.to_json(),
            "kernel": "mala",
            "n_warmup": 30,
            "n_draws": n_draws,
            "thin": 2,
            "langevin": "{}",
            "adjusted": 1,
            "engine": "numpy",
            "precision": "float64",
            "n_gradients": 100,
            # Of all chains of the file together.
            "seconds_optimise": 0.5 * size,
            "seconds_explore": 0.0,
            "seconds_warmup": float((1.0 + ids[indices]).sum()),
            "seconds_draws": 2.0 * size,
        } | dict((changes or {}).get(number, {}))
        path = folder / f"chain_{ids[indices[0]]}.nc"
        write_netcdf(path, own, attributes)
        paths.append(path)
    return paths
