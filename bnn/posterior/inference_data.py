"""The posterior as an ArviZ InferenceData: chains and predictions in one NetCDF file with named dimensions.

`az.from_netcdf` opens it, as an InferenceData in ArviZ 0.23 and as a DataTree in 1, and so does anything that reads
NetCDF. Rows carry the number that messages call them by (`obs_id`), targets and densities are in original units, and
every variable says its unit. It is written without ArviZ, whose import takes longer than all of this for a small table.
"""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from bnn import __version__
from bnn.core.errors import ResultError
from bnn.core.settings import LikelihoodSettings, NetworkSettings
from bnn.core.storage import atomic_path, check_space, text_type
from bnn.data.dataset import Dataset
from bnn.model.layout import ParameterLayout
from bnn.model.likelihoods import (
    LOG_DISPERSION,
    LOG_NOISE_SCALE,
    Gaussian,
    HeteroscedasticStudentT,
    RegressionLikelihood,
    StudentT,
)
from bnn.model.priors import LOG_PRIOR_SCALE
from bnn.posterior.chain_files import Chains, read_chains
from bnn.posterior.posterior_file import PREDICTIONS, SCALES
from bnn.posterior.predictor import Predictor, make_predictor

_CHAIN_DRAW = ("chain", "draw")


@dataclass
class _Group:
    """A group of the file: what is in it from the beginning, before numbers of each draw are added."""

    coords: Mapping[str, np.ndarray]
    """Dimension -> its labels"""
    variables: dict[str, tuple[Sequence[str], np.ndarray, Mapping[str, str]]] = field(default_factory=dict)
    """Name -> dimensions, array, attributes"""
    attributes: Mapping[str, Any] = field(default_factory=dict)


def combine(
    path: str | os.PathLike[str],
    dataset: Dataset,
    chain_files: Sequence[str | os.PathLike[str]],
    *,
    network: NetworkSettings,
    likelihood: LikelihoodSettings,
    keep: str,
    rng: np.random.Generator,
) -> None:
    """Put chains together, compute what they predict for every training and test row, and write the file.

    Draws go from file to file a block at a time: memory does not grow with their number.

    Parameters
    ----------
    path
        Where the InferenceData goes; the file appears whole or not at all.
    dataset
        The table that the chains were run on.
    chain_files
        Files of `bnn.jobs.chain_job.run_job`, in any order.
    network, likelihood
        Their settings.
    keep
        "both", "predictions" (no weights and biases), or "weights" (no predictions and densities of rows).
    rng
        Source of the draws of new observations.

    Raises
    ------
    ValueError
        If there is no file, files disagree with each other, with the dataset or with the network, or a chain
        is there twice.
    """
    import h5netcdf

    chains = read_chains([Path(path) for path in chain_files])
    name = chains.attributes["dataset"]
    if name != dataset.name:
        raise ResultError(
            "other-dataset",
            f"the chain files are of dataset {name!r}, the table is {dataset.name!r}",
            value=str(name),
        )
    layout = ParameterLayout.from_json(chains.attributes["layout"])
    # What "auto" stood for when the chains ran.
    network = replace(network, engine=chains.attributes["engine"], precision=chains.attributes["precision"])
    predictor = make_predictor(dataset, network=network, likelihood=likelihood, layout=layout)
    coords = {
        "chain": chains.variables["chain_id"],
        "draw": np.arange(chains.variables["log_density"].shape[1]),
        "class": np.array(dataset.class_names, dtype=str),
        "feature": np.array(dataset.feature_names, dtype=str),
    }
    groups = {"posterior": _posterior(dataset, chains, predictor, network, likelihood, coords)}
    groups["sample_stats"] = _sample_stats(chains, coords)
    if chains.variables["warmup_iteration"].size:
        groups["warmup_sample_stats"] = _warmup_stats(chains, coords)
    if keep != "weights":
        for split, group in PREDICTIONS.items():
            rows = {"chain": coords["chain"], "draw": coords["draw"], "obs_id": _split(dataset, split)[2]}
            classes = {} if predictor.is_regression else {"class": coords["class"]}
            groups[group] = _Group(rows | classes)
            if split == "train":
                groups["log_likelihood"] = _Group(rows)
    groups |= _observed(dataset, coords)
    attributes = {"dataset": dataset.name, "created_by": f"bnn {__version__}"}
    with atomic_path(path) as temporary:
        check_space(temporary, _n_bytes(dataset, chains, predictor, keep))
        # Not compressed: draws hardly shrink, and compressing takes longer than everything else here.
        with h5netcdf.File(temporary, "w") as file:
            for key, value in attributes.items():
                file.attrs[key] = value
            for name_of_group, content in groups.items():
                _store_group(file.create_group(name_of_group), content)
            _store_parameters(file["posterior"], chains, predictor, weights=keep != "predictions")
            if keep != "weights":
                _store_predictions(file, "train", dataset, chains, predictor, rng)
                _store_predictions(file, "test", dataset, chains, predictor, rng)


def _store_group(stored: Any, group: _Group) -> None:
    """Write a group as xarray would: text as strings, booleans as small integers that say what they are."""
    stored.dimensions = {name: len(labels) for name, labels in group.coords.items()}
    labels: dict[str, tuple[Sequence[str], np.ndarray, Mapping[str, str]]] = {
        name: ((name,), values, {}) for name, values in group.coords.items()
    }
    for name, (dims, array, attributes) in (labels | group.variables).items():
        if array.dtype.kind == "U":
            _new_variable(stored, name, dims, text_type(), attributes)[...] = array.astype(object)
        elif array.dtype.kind == "b":
            _new_variable(stored, name, dims, np.int8, {**attributes, "dtype": "bool"})[...] = array
        else:
            _new_variable(stored, name, dims, array.dtype, attributes)[...] = array
    for name, value in group.attributes.items():
        stored.attrs[name] = value


def _n_bytes(dataset: Dataset, chains: Chains, predictor: Predictor, keep: str) -> int:
    """Return about how large the arrays are that have a number for each draw and parameter or row."""
    n_draws = chains.variables["log_density"].size
    n_rows = len(dataset.x_train) + len(dataset.x_test)
    per_row = (
        8 + 4 + 4 * (2 if predictor.noise_varies else 1 if predictor.is_regression else dataset.n_outputs)
    )
    of_weights = 8 * predictor.layout.n_params if keep != "predictions" else 0
    return n_draws * (of_weights + (n_rows * per_row if keep != "weights" else 0))


def _posterior(
    dataset: Dataset,
    chains: Chains,
    predictor: Predictor,
    network: NetworkSettings,
    likelihood: LikelihoodSettings,
    coords: Mapping[str, np.ndarray],
) -> _Group:
    names = np.array(dataset.class_names or (dataset.target_name,), dtype=str)
    if dataset.task == "regression" and predictor.likelihood.n_outputs == 2:
        second = "log noise scale" if isinstance(predictor.likelihood, RegressionLikelihood) else "log odds"
        names = np.array([dataset.target_name, second], dtype=str)
    entering = coords["feature"][: len(coords["feature"]) - dataset.has_exposure]
    own = {"chain": coords["chain"], "draw": coords["draw"], "input": entering, "output": names}
    for unit, size in zip(_units(predictor)[1:-1], predictor.network.sizes[1:-1], strict=True):
        own[unit] = np.arange(size)
    kept = ("kernel", "adjusted", "layout", "n_warmup", "n_draws", "thin", "seed")
    attributes = {key: chains.attributes[key] for key in kept}
    attributes |= {
        "dataset": dataset.name,
        "table": dataset.digest,
        "task": dataset.task,
        "architecture": np.array(predictor.network.sizes),
        "activation": network.activation,
        # With these a network can be made again that predicts new rows.
        "settings": json.dumps({"network": asdict(network), "likelihood": asdict(likelihood)}),
        "engine": network.engine,
        "precision": network.precision,
        "n_params": predictor.layout.n_params,
        "inference_library": "bnn",
        "inference_library_version": __version__,
    }
    return _Group(own, attributes=attributes)


def _units(predictor: Predictor) -> list[str]:
    """Return the names of the dimensions of the layers' units, from the inputs to the outputs."""
    return ["input", *(f"hidden_{index}" for index in range(len(predictor.network.layers) - 1)), "output"]


def _store_parameters(group: Any, chains: Chains, predictor: Predictor, *, weights: bool) -> None:
    """Store weights and biases if asked, the noise, and learned scales of the prior; a block of draws at a time.

    Without weights the log density stands for them: ArviZ sums up no group that is empty, as that of classes would be.
    """
    units, layout = _units(predictor), predictor.layout
    stored: dict[str, Any] = {}
    if weights:
        for index, (weight, bias) in enumerate(predictor.network.layers):
            stored[weight] = _new_variable(
                group, weight, (*_CHAIN_DRAW, units[index], units[index + 1]), np.float64
            )
            stored[bias] = _new_variable(group, bias, (*_CHAIN_DRAW, units[index + 1]), np.float64)
    else:
        about = {"long_name": "log density", "units": "nats"}
        density = _new_variable(group, "log_density", _CHAIN_DRAW, np.float64, about)
        density[...] = chains.variables["log_density"]
    scales: dict[str, Any] = {}
    if LOG_NOISE_SCALE in layout.names or isinstance(predictor.likelihood, Gaussian | StudentT):
        about = {"long_name": "standard deviation of the noise"}
        if isinstance(predictor.likelihood, StudentT):
            about["long_name"] = (
                f"scale of the noise, Student-t with {predictor.likelihood.df:g} degrees of freedom"
            )
        about["units"] = "standardised target units"
        scales[LOG_NOISE_SCALE] = _new_variable(group, "noise_scale", _CHAIN_DRAW, np.float64, about)
    if LOG_DISPERSION in layout.names:
        about = {"long_name": "dispersion: variance = mean + dispersion * mean^2"}
        scales[LOG_DISPERSION] = _new_variable(group, SCALES[LOG_DISPERSION], _CHAIN_DRAW, np.float64, about)
    for name in layout.names:
        if name.startswith(LOG_PRIOR_SCALE):
            about = {"long_name": f"log of the scale of the prior of {name.removeprefix(LOG_PRIOR_SCALE)}"}
            dims = (*_CHAIN_DRAW, "input") if layout.shapes[name] else _CHAIN_DRAW
            stored[name] = _new_variable(group, name, dims, np.float64, about)
    for chain, draws, theta in chains.theta():
        blocks = layout.unpack(theta)
        for name, variable in stored.items():
            variable[chain, draws] = blocks[name]
        for name, variable in scales.items():
            # A known scale of the noise is no parameter.
            variable[chain, draws] = np.exp(blocks[name]) if name in blocks else predictor.noise_scale(theta)


def _new_variable(
    group: Any, name: str, dims: Sequence[str], dtype: Any, attributes: Mapping[str, str] | None = None
) -> Any:
    """Return an empty variable of a group of the file, which can be written in slices."""
    variable = group.create_variable(name, tuple(dims), dtype=dtype)
    for key, value in (attributes or {}).items():
        variable.attrs[key] = value
    return variable


def _sample_stats(chains: Chains, coords: Mapping[str, np.ndarray]) -> _Group:
    n_diverging = chains.variables["diverging"].astype(np.int64)
    step_size = np.broadcast_to(chains.variables["step_size"][:, None], n_diverging.shape)
    about = {"lp": {"long_name": "log density", "units": "nats"}}
    about["n_diverging"] = {"long_name": "divergent iterations since the draw before"}
    per_draw = {
        "lp": chains.variables["log_density"],
        "acceptance_rate": chains.variables["acceptance_rate"],
        "step_size": step_size,
        "diverging": n_diverging > 0,
        "n_diverging": n_diverging,
    }
    preconditioner = chains.variables["preconditioner"]
    coordinates = np.arange(preconditioner.shape[1])
    group = _Group({"chain": coords["chain"], "draw": coords["draw"], "coordinate": coordinates})
    for name, array in per_draw.items():
        group.variables[name] = (_CHAIN_DRAW, array, about.get(name, {}))
    frozen = {"long_name": "frozen squared scale of proposals, in the coordinates that are sampled"}
    group.variables["preconditioner"] = (("chain", "coordinate"), preconditioner, frozen)
    for name in ("trajectory_length", "n_steps"):
        if name in chains.variables:
            group.variables[name] = (("chain",), chains.variables[name], {})
    group.variables["n_gradients"] = (("chain",), chains.n_gradients, {})
    for phase, seconds in chains.seconds.items():
        group.variables[f"seconds_{phase}"] = (("chain",), seconds, {"units": "s"})
    return group


def _warmup_stats(chains: Chains, coords: Mapping[str, np.ndarray]) -> _Group:
    """Return the records of the warm-up; `draw` is the iteration of a record."""
    group = _Group({"chain": coords["chain"], "draw": chains.variables["warmup_iteration"]})
    names = {"lp": "log_density", "step_size": "step_size", "acceptance_rate": "acceptance_rate"}
    for name, stored in names.items():
        group.variables[name] = (_CHAIN_DRAW, chains.variables[f"warmup_{stored}"], {})
    about = {"long_name": "1 in exploration, before the warm-up proper"}
    group.variables["explores"] = (("draw",), chains.variables["warmup_explores"], about)
    if "optimiser_iteration" in chains.variables:
        group.coords = {**group.coords, "optimiser_step": chains.variables["optimiser_iteration"]}
        about = {
            "long_name": "log density while the start point is optimised, before all else",
            "units": "nats",
        }
        climb = chains.variables["optimiser_log_density"]
        group.variables["optimiser_lp"] = (("chain", "optimiser_step"), climb, about)
    return group


def _split(dataset: Dataset, split: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return x (standardised), y (class index or standardised) and the numbers of the rows of a split."""
    if split == "train":
        return dataset.x_train, dataset.y_train, dataset.row_numbers("train")
    return dataset.x_test, dataset.y_test, dataset.row_numbers("test")


def _observed(dataset: Dataset, coords: Mapping[str, np.ndarray]) -> dict[str, _Group]:
    """Return the groups of inputs, standardised, and of targets, in original units."""
    units = {"units": "standardised with mean and scale of the training rows"}
    groups: dict[str, _Group] = {}
    for split, observed, constant in (
        ("train", "observed_data", "constant_data"),
        ("test", "predictions_constant_data", "predictions_constant_data"),
    ):
        x, y, rows = _split(dataset, split)
        if dataset.task == "regression":
            y = dataset.target_mean + dataset.target_scale * y
        labels = {"obs_id": rows, "input": coords["feature"]}
        groups[observed] = _Group({"obs_id": rows} if observed != constant else labels)
        groups[observed].variables["y"] = (("obs_id",), y, _target_attributes(dataset))
        groups.setdefault(constant, _Group(labels)).variables["x"] = (("obs_id", "input"), x, units)
    return groups


def _target_attributes(dataset: Dataset) -> dict[str, str]:
    if dataset.task == "classification":
        return {"long_name": dataset.target_name, "units": "class index"}
    return {"long_name": dataset.target_name, "units": dataset.target_unit or "original target units"}


def _store_predictions(
    file: Any,
    split: str,
    dataset: Dataset,
    chains: Chains,
    predictor: Predictor,
    rng: np.random.Generator,
) -> None:
    """Store predictions for a split, and the log density of its targets, a block of draws at a time."""
    x, y, _ = _split(dataset, split)
    group = file[PREDICTIONS[split]]
    # float32 has seven digits: enough unless the target's mean dwarfs its spread (years, timestamps).
    compact = abs(dataset.target_mean) < 1e3 * dataset.target_scale
    dtype = np.float32 if compact else np.float64
    dims = (*_CHAIN_DRAW, "obs_id")
    target = _target_attributes(dataset)
    noise_sd = None
    if predictor.is_regression:
        drawn = _new_variable(group, "y", dims, dtype, target)
        value = _new_variable(group, "mean", dims, dtype, target)
        about = {"long_name": "standard deviation of the noise", "units": target["units"]}
        if isinstance(predictor.likelihood, StudentT | HeteroscedasticStudentT):
            about["long_name"] += f", Student-t with {predictor.likelihood.df:g} degrees of freedom"
        # One number a draw unless the noise depends on the row: then it takes as much space as the mean.
        varies = predictor.noise_varies
        noise_sd = _new_variable(
            group, "noise_sd", dims if varies else _CHAIN_DRAW, dtype if varies else np.float64, about
        )
    else:
        drawn = _new_variable(group, "y", dims, np.int32, target)
        value = _new_variable(group, "probability", (*dims, "class"), dtype)
    about = {
        "long_name": "log density of y",
        "units": f"nats, per {target['units']}" if predictor.is_regression else "nats",
    }
    holder, name = (file["log_likelihood"], "y") if split == "train" else (group, "log_density_y")
    density = _new_variable(holder, name, dims, np.float64, about)
    for chain, of_theta, theta in chains.theta():
        for block in predictor.stream(theta, x, y):
            draws = slice(of_theta.start + block.draws.start, of_theta.start + block.draws.stop)
            value[chain, draws] = block.value
            drawn[chain, draws] = predictor.sample(block, rng)
            density[chain, draws] = block.log_density
            if noise_sd is not None and block.noise_sd is not None:
                noise_sd[chain, draws] = block.noise_sd if predictor.noise_varies else block.noise_sd[:, 0]
