"""The posterior as an ArviZ InferenceData: chains and predictions in one NetCDF file with named dimensions.

`az.from_netcdf` opens it, and so does anything that reads NetCDF. Rows carry their number in the source table
(`obs_id`), targets and densities are in original units, and every variable says its unit.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bnn import __version__
from bnn.arviz_import import quiet_import
from bnn.datasets import Dataset
from bnn.layout import ParameterLayout
from bnn.likelihoods import LOG_NOISE_SCALE, StudentT
from bnn.predictive import Predictor, make_predictor
from bnn.priors import LOG_PRIOR_SCALE
from bnn.storage import atomic_path, read_netcdf

with quiet_import():
    import arviz as az
    import xarray as xr

InferenceData = az.InferenceData

PHASES = ("optimise", "explore", "warmup", "draws")
"""Parts of a chain's run that are timed, each in `seconds_<phase>` of the group sample_stats."""

PREDICTIONS = {"train": "posterior_predictive", "test": "predictions"}
"""Split -> group that holds its predictions."""

_SHARED_ATTRIBUTES = (
    "dataset",
    "kernel",
    "layout",
    "n_warmup",
    "n_draws",
    "thin",
    "seed",
    "langevin",
    "adjusted",
)
_PER_DRAW = ("theta", "log_density", "acceptance_rate", "diverging")
_CHAIN_DRAW = ("chain", "draw")


@dataclass(frozen=True)
class _Chains:
    """All chains of a run, in the order of their numbers; arrays have the chain axis first."""

    variables: dict[str, np.ndarray]
    seconds: dict[str, np.ndarray]
    n_gradients: np.ndarray
    attributes: dict[str, Any]


def build(
    dataset: Dataset,
    chain_files: Sequence[str | os.PathLike[str]],
    *,
    network: Mapping[str, Any],
    likelihood: Mapping[str, Any],
    rng: np.random.Generator,
) -> az.InferenceData:
    """Put chains together and compute what they predict for every training and test row.

    Parameters
    ----------
    dataset
        The table that the chains were run on.
    chain_files
        Files of `bnn.chain_job.run_job`, in any order.
    network, likelihood
        Those sections of the config.
    rng
        Source of the draws of new observations.

    Raises
    ------
    ValueError
        If there is no file, files disagree with each other, with the dataset or with the network, or a chain
        is there twice.
    """
    chains = _read_chains([Path(path) for path in chain_files])
    name = chains.attributes["dataset"]
    if name != dataset.name:
        raise ValueError(f"the chain files are of dataset {name!r}, the table is {dataset.name!r}")
    layout = ParameterLayout.from_json(chains.attributes["layout"])
    predictor = make_predictor(dataset, network=network, likelihood=likelihood, layout=layout)
    coords = {
        "chain": chains.variables["chain_id"],
        "draw": np.arange(chains.variables["theta"].shape[1]),
        "class": np.array(dataset.class_names, dtype=str),
        "feature": np.array(dataset.feature_names, dtype=str),
    }
    groups: dict[str, xr.Dataset] = {"posterior": _posterior(dataset, chains, predictor, network, coords)}
    groups["sample_stats"] = _sample_stats(chains, coords)
    if chains.variables["warmup_iteration"].size:
        groups["warmup_sample_stats"] = _warmup_stats(chains, coords)
    train, train_density = _predict(dataset, "train", chains, predictor, coords, rng)
    test, test_density = _predict(dataset, "test", chains, predictor, coords, rng)
    groups["posterior_predictive"] = train
    groups["log_likelihood"] = xr.Dataset({"y": train_density})
    groups["predictions"] = test.assign(log_density_y=test_density)
    for split, observed, constant in (
        ("train", "observed_data", "constant_data"),
        ("test", "predictions_constant_data", "predictions_constant_data"),
    ):
        x, y = _observed(dataset, split, coords)
        groups[observed] = xr.Dataset({"y": y})
        groups[constant] = groups.get(constant, xr.Dataset()).assign(x=x)
    attributes = {"dataset": dataset.name, "created_by": f"bnn {__version__}"}
    return az.InferenceData(attributes, False, **groups)


def save(idata: az.InferenceData, path: str | os.PathLike[str]) -> None:
    """Write an InferenceData to a NetCDF file that appears whole or not at all."""
    with atomic_path(path) as temporary:
        # Not compressed: draws hardly shrink, and compressing takes longer than everything else here.
        idata.to_netcdf(str(temporary), engine="h5netcdf", compress=False)


def load(path: str | os.PathLike[str]) -> az.InferenceData:
    """Read an InferenceData from a NetCDF file; arrays are read when they are used."""
    return az.from_netcdf(str(path), engine="h5netcdf")


def stacked_theta(idata: az.InferenceData) -> tuple[np.ndarray, ParameterLayout]:
    """Return the draws as theta, shape (chain, draw, param), and their layout.

    Parameters
    ----------
    idata
        What `build` made.
    """
    layout = ParameterLayout.from_json(idata["posterior"].attrs["layout"])
    blocks = {name: idata["posterior"][name].values for name in layout.names if name != LOG_NOISE_SCALE}
    if LOG_NOISE_SCALE in layout.names:
        blocks[LOG_NOISE_SCALE] = np.log(idata["posterior"]["noise_scale"].values)
    return layout.pack(blocks), layout


def _read_chains(paths: Sequence[Path]) -> _Chains:
    if not paths:
        raise ValueError("there is no chain file: combine needs one at least")
    files = [(path, *read_netcdf(path)) for path in paths]
    first_path, _, first = files[0]
    keys = _SHARED_ATTRIBUTES
    for path, variables, attributes in files:
        for key in keys:
            if attributes.get(key) != first.get(key):
                raise ValueError(
                    f"chain files disagree on {key}: {attributes.get(key)!r} in {path}, "
                    f"{first.get(key)!r} in {first_path}; they come from different runs: delete them and sample again"
                )
        found = variables["theta"].shape[1]
        if found != attributes["n_draws"]:
            claimed = attributes["n_draws"]
            raise ValueError(f"{path} holds {found} draws, its attribute n_draws says {claimed}")
    ids = np.concatenate([variables["chain_id"] for _, variables, _ in files])
    if len(np.unique(ids)) != len(ids):
        names_of_files = ", ".join(str(path) for path in paths)
        raise ValueError(f"a chain is there twice: chains {ids.tolist()} in {names_of_files}")
    order = np.argsort(ids)
    names = (
        *_PER_DRAW,
        "chain_id",
        "step_size",
        "warmup_log_density",
        "warmup_step_size",
        "warmup_acceptance_rate",
    )
    merged = {name: np.concatenate([variables[name] for _, variables, _ in files])[order] for name in names}
    merged["warmup_iteration"] = files[0][1]["warmup_iteration"]
    sizes = [len(variables["chain_id"]) for _, variables, _ in files]
    # Chains that ran side by side share their seconds equally, so that sums over chains are right.
    shares = [attributes | {"size": size} for (_, _, attributes), size in zip(files, sizes, strict=True)]
    seconds = {
        phase: np.repeat([share[f"seconds_{phase}"] / share["size"] for share in shares], sizes)[order]
        for phase in PHASES
    }
    gradients = np.repeat([attributes["n_gradients"] for _, _, attributes in files], sizes)
    return _Chains(merged, seconds, gradients[order], first)


def _posterior(
    dataset: Dataset,
    chains: _Chains,
    predictor: Predictor,
    network: Mapping[str, Any],
    coords: Mapping[str, np.ndarray],
) -> xr.Dataset:
    theta = chains.variables["theta"]
    blocks = predictor.layout.unpack(theta)
    layers = predictor.network.layers
    units = ["input", *(f"hidden_{index}" for index in range(len(layers) - 1)), "output"]
    names = np.array(dataset.class_names or (dataset.target_name,), dtype=str)
    if predictor.noise_varies:
        names = np.array([dataset.target_name, "log noise scale"], dtype=str)
    own = {"chain": coords["chain"], "draw": coords["draw"], "input": coords["feature"], "output": names}
    for unit, size in zip(units[1:-1], predictor.network.sizes[1:-1], strict=True):
        own[unit] = np.arange(size)
    variables: dict[str, Any] = {}
    for index, (weight, bias) in enumerate(layers):
        variables[weight] = ((*_CHAIN_DRAW, units[index], units[index + 1]), blocks[weight])
        variables[bias] = ((*_CHAIN_DRAW, units[index + 1]), blocks[bias])
    if predictor.is_regression and not predictor.noise_varies:
        about = {"long_name": "standard deviation of the noise"}
        if isinstance(predictor.likelihood, StudentT):
            about["long_name"] = (
                f"scale of the noise, Student-t with {predictor.likelihood.df:g} degrees of freedom"
            )
        about["units"] = "standardised target units"
        variables["noise_scale"] = (_CHAIN_DRAW, predictor.noise_scale(theta), about)
    for name in predictor.layout.names:
        if name.startswith(LOG_PRIOR_SCALE):
            about = {"long_name": f"log of the scale of the prior of {name.removeprefix(LOG_PRIOR_SCALE)}"}
            dims = (*_CHAIN_DRAW, "input") if predictor.layout.shapes[name] else _CHAIN_DRAW
            variables[name] = (dims, blocks[name], about)
    kept = ("kernel", "adjusted", "layout", "n_warmup", "n_draws", "thin", "seed")
    attributes = {key: chains.attributes[key] for key in kept}
    attributes |= {
        "dataset": dataset.name,
        "task": dataset.task,
        "architecture": np.array(predictor.network.sizes),
        "activation": network["activation"],
        "precision": network["precision"],
        "n_params": predictor.layout.n_params,
        "inference_library": "bnn",
        "inference_library_version": __version__,
    }
    return xr.Dataset(variables, coords=own, attrs=attributes)


def _sample_stats(chains: _Chains, coords: Mapping[str, np.ndarray]) -> xr.Dataset:
    n_diverging = chains.variables["diverging"].astype(np.int64)
    step_size = np.broadcast_to(chains.variables["step_size"][:, None], n_diverging.shape)
    variables: dict[str, Any] = {
        "lp": (_CHAIN_DRAW, chains.variables["log_density"], {"long_name": "log density", "units": "nats"}),
        "acceptance_rate": (_CHAIN_DRAW, chains.variables["acceptance_rate"]),
        "step_size": (_CHAIN_DRAW, step_size),
        "diverging": (_CHAIN_DRAW, n_diverging > 0),
        "n_diverging": (
            _CHAIN_DRAW,
            n_diverging,
            {"long_name": "divergent transitions since the draw before"},
        ),
        "n_gradients": (("chain",), chains.n_gradients),
    }
    for phase, seconds in chains.seconds.items():
        variables[f"seconds_{phase}"] = (("chain",), seconds, {"units": "s"})
    return xr.Dataset(variables, coords={"chain": coords["chain"], "draw": coords["draw"]})


def _warmup_stats(chains: _Chains, coords: Mapping[str, np.ndarray]) -> xr.Dataset:
    """Return the records of the warm-up; `draw` is the iteration of a record."""
    names = {"lp": "log_density", "step_size": "step_size", "acceptance_rate": "acceptance_rate"}
    variables = {name: (_CHAIN_DRAW, chains.variables[f"warmup_{stored}"]) for name, stored in names.items()}
    return xr.Dataset(
        variables, coords={"chain": coords["chain"], "draw": chains.variables["warmup_iteration"]}
    )


def _split(dataset: Dataset, split: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return x (standardised), y (class index or standardised) and source rows of a split."""
    if split == "train":
        return dataset.x_train, dataset.y_train, dataset.row_train
    return dataset.x_test, dataset.y_test, dataset.row_test


def _observed(
    dataset: Dataset, split: str, coords: Mapping[str, np.ndarray]
) -> tuple[xr.DataArray, xr.DataArray]:
    x, y, rows = _split(dataset, split)
    obs = {"obs_id": rows}
    if dataset.task == "regression":
        y = dataset.target_mean + dataset.target_scale * y
    units = {"units": "standardised with mean and scale of the training rows"}
    x_array = xr.DataArray(
        x, dims=("obs_id", "input"), coords=obs | {"input": coords["feature"]}, attrs=units
    )
    return x_array, xr.DataArray(y, dims=("obs_id",), coords=obs, attrs=_target_attributes(dataset))


def _target_attributes(dataset: Dataset) -> dict[str, str]:
    if dataset.task == "classification":
        return {"long_name": dataset.target_name, "units": "class index"}
    return {"long_name": dataset.target_name, "units": dataset.target_unit or "original target units"}


def _predict(
    dataset: Dataset,
    split: str,
    chains: _Chains,
    predictor: Predictor,
    coords: Mapping[str, np.ndarray],
    rng: np.random.Generator,
) -> tuple[xr.Dataset, xr.DataArray]:
    """Return predictions for a split, and the log density of its targets; made a block of draws at a time."""
    x, y, rows = _split(dataset, split)
    theta = chains.variables["theta"]
    shape = (*theta.shape[:2], len(x))
    # float32 has seven digits: enough unless the target's mean dwarfs its spread (years, timestamps).
    compact = abs(dataset.target_mean) < 1e3 * dataset.target_scale
    dtype = np.float32 if compact else np.float64
    value = np.empty(shape if predictor.is_regression else (*shape, len(coords["class"])), dtype=dtype)
    drawn = np.empty(shape, dtype=dtype if predictor.is_regression else np.int32)
    log_density = np.empty(shape)
    # One number a draw unless the noise depends on the row: then it takes as much space as the mean.
    varies = predictor.noise_varies
    noise_sd = np.empty(shape if varies else (*shape[:2], 1), dtype=dtype if varies else np.float64)
    for chain, of_chain in enumerate(theta):
        for block in predictor.stream(of_chain, x, y):
            value[chain, block.draws] = block.value
            drawn[chain, block.draws] = predictor.sample(block, rng)
            log_density[chain, block.draws] = block.log_density
            if block.noise_sd is not None:
                noise_sd[chain, block.draws] = block.noise_sd
    obs = {"chain": coords["chain"], "draw": coords["draw"], "obs_id": rows}
    dims = (*_CHAIN_DRAW, "obs_id")
    target = _target_attributes(dataset)
    variables: dict[str, Any] = {"y": (dims, drawn, target)}
    if predictor.is_regression:
        variables["mean"] = (dims, value, target)
        about = {"long_name": "standard deviation of the noise", "units": target["units"]}
        variables["noise_sd"] = (
            dims if varies else dims[:2],
            noise_sd if varies else noise_sd[..., 0],
            about,
        )
        units = f"nats, per {target['units']}"
        predictions = xr.Dataset(variables, coords=obs)
    else:
        variables["probability"] = ((*dims, "class"), value)
        units = "nats"
        predictions = xr.Dataset(variables, coords=obs | {"class": coords["class"]})
    density = xr.DataArray(
        log_density, dims=dims, coords=obs, attrs={"long_name": "log density of y", "units": units}
    )
    return predictions, density
