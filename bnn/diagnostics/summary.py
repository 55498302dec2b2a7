"""Did the chains sample the posterior? The summary of a run in function space, and its verdict.

The verdict is made on the predictions at every training and test row, the log density and the noise. Weights of a
network are not identified (hidden units swap, and flip sign for an odd activation), so their figures are information
only, and so are those of learned scales of their prior.
"""

import math
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from bnn.core.settings import PHASES
from bnn.core.storage import Variable, write_json, write_netcdf
from bnn.data.dataset import Dataset
from bnn.diagnostics.convergence import Convergence, canonical_weights, convergence, stuck_chains
from bnn.diagnostics.each_chain import each_chain
from bnn.diagnostics.verdict import judge
from bnn.mcmc.kernels.base import MAX_STEPS
from bnn.model.layout import ParameterLayout
from bnn.model.priors import LOG_PRIOR_SCALE
from bnn.posterior.posterior_file import PREDICTIONS, SCALES, StoredPosterior

_BLOCK_BYTES = 2**25
"""Rough size of the draws that are read at a time."""
_MOST_WEIGHTS = 200
"""Weights whose figures are shown, evenly spread over the network: they inform, and decide nothing."""


def summarise(
    idata: StoredPosterior, dataset: Dataset, *, thresholds: Mapping[str, float]
) -> tuple[dict[str, Any], dict[str, Variable]]:
    """Judge a posterior.

    Parameters
    ----------
    idata
        What `bnn.posterior.inference_data.combine` wrote, read.
    dataset
        Its table.
    thresholds
        The section `diagnostics` of the config.

    Returns
    -------
    summary
        What goes into diagnostics.json: verdict, reasons and figures.
    pointwise
        What goes into diagnostics.nc: R-hat, ESS and MCSE at every row.
    """
    about = idata["posterior"].attrs
    stats = idata["sample_stats"]
    predictions: dict[str, Any] = {}
    pointwise: dict[str, Variable] = {}
    for split in PREDICTIONS:
        rows = dataset.row_numbers(split)
        if not len(rows):  # all rows were given to train on, as an estimator's are
            continue
        found = _of_predictions(idata, split)
        predictions[split] = _prediction_summary(found, rows, thresholds)
        pointwise |= _pointwise(split, found, rows)
    # A known noise scale is not a result of sampling: there is nothing to judge.
    sampled = ParameterLayout.from_json(about["layout"]).names
    scales = {SCALES[name] for name in sampled if name in SCALES}
    chains = _chain_records(idata)
    summary: dict[str, Any] = {
        "dataset": dataset.name,
        "task": dataset.task,
        "first_row": dataset.first_row,
        "kernel": about["kernel"],
        "adjusted": bool(about["adjusted"]),
        "thresholds": dict(thresholds),
        "n_chains": stats["lp"].shape[0],
        "n_draws": stats["lp"].shape[1],
        "thin": int(about["thin"]),
        "n_warmup": int(about["n_warmup"]),
        "log_density": _scalar_summary(stats["lp"].values),
        **{
            name: _scalar_summary(idata["posterior"][name].values) if name in scales else None
            for name in SCALES.values()
        },
        "predictions": predictions,
        "each_chain": each_chain(idata, "test" if "test" in predictions else "train"),
        "weights": _weight_summary(idata),
        "prior_scales": _prior_scale_summary(idata),
        "n_diverging": sum(record["n_diverging"] for record in chains),
        "stuck_chains": [record["chain"] for record in chains if record["stuck"]],
        "chains": chains,
        "seconds": {phase: float(stats[f"seconds_{phase}"].values.sum()) for phase in PHASES},
        "n_gradients": int(stats["n_gradients"].values.sum()),
    }
    verdict, findings = judge(summary)
    reasons = [finding.text for finding in findings]
    # The verdict comes first for those who open the file.
    head = {name: summary.pop(name) for name in ("dataset", "task", "kernel")}
    head |= {"verdict": verdict, "reasons": reasons}
    return head | {"findings": [finding._asdict() for finding in findings]} | summary, pointwise


def save(
    summary: Mapping[str, Any],
    pointwise: Mapping[str, Variable],
    *,
    json_path: str | os.PathLike[str],
    netcdf_path: str | os.PathLike[str],
) -> None:
    """Write what `summarise` returned; a number that is not finite becomes null in the JSON file."""
    write_netcdf(netcdf_path, pointwise, {"dataset": summary["dataset"], "verdict": summary["verdict"]})
    write_json(json_path, summary)


def _weights(idata: StoredPosterior) -> list[str]:
    """Return the names of the weights and biases: neither noise nor scales of the prior."""
    return _parameters(idata, ("weight_", "bias_"))


def _parameters(idata: StoredPosterior, prefixes: tuple[str, ...]) -> list[str]:
    group = idata["posterior"]
    names = ParameterLayout.from_json(group.attrs["layout"]).names
    return [name for name in names if name.startswith(prefixes) and name in group]


def _flat(blocks: Mapping[str, np.ndarray]) -> np.ndarray:
    """Return blocks (chain, draw, ...) as one array (chain, draw, quantity)."""
    return np.concatenate([values.reshape(*values.shape[:2], -1) for values in blocks.values()], axis=2)


def _extreme(function: Callable[[np.ndarray], Any], values: np.ndarray) -> float | None:
    """Return the function of the values that could be computed; None if there are none."""
    known = values[~np.isnan(values)]
    return float(function(known)) if known.size else None


def _scalar_summary(draws: np.ndarray) -> dict[str, float]:
    found = convergence(draws)
    with np.errstate(invalid="ignore"):
        mean, sd = float(draws.mean()), float(draws.std())
    return {
        "rhat": float(found.rhat),
        "ess_bulk": float(found.ess_bulk),
        "ess_tail": float(found.ess_tail),
        "mean": mean,
        "sd": sd,
        "mcse_mean": float(found.mcse_mean),
    }


def _weight_summary(idata: StoredPosterior) -> dict[str, dict[str, float | None]]:
    """Return figures of some of the weights as they are and in a canonical order.

    To order the units of a draw takes all its weights, so the draws are read a block at a time.
    """
    posterior, names = idata["posterior"], _weights(idata)
    odd = posterior.attrs["activation"] == "tanh"
    n_chains, n_draws = idata["sample_stats"]["lp"].shape
    n_weights = sum(int(np.prod(posterior[name].shape[2:])) for name in names)
    judged = np.unique(np.linspace(0, n_weights - 1, _MOST_WEIGHTS).astype(np.int64))
    draws_at_once = max(1, _BLOCK_BYTES // (8 * n_weights))
    values = {order: np.empty((n_chains, n_draws, len(judged))) for order in ("raw", "canonical")}
    for chain in range(n_chains):
        for start in range(0, n_draws, draws_at_once):
            some = slice(start, start + draws_at_once)
            raw = {name: np.asarray(posterior[name][chain : chain + 1, some]) for name in names}
            orders = {"raw": raw, "canonical": canonical_weights(raw, odd_activation=odd)}
            for order, blocks in orders.items():
                values[order][chain, some] = _flat(blocks)[0][:, judged]
    found = {order: convergence(draws, brief=True) for order, draws in values.items()}
    return {order: {"n_quantities": len(judged)} | _extremes(figures) for order, figures in found.items()}


def _joined(parts: Sequence[Convergence]) -> Convergence:
    """Return the diagnostics of some quantities after those of others."""
    return Convergence(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def _prior_scale_summary(idata: StoredPosterior) -> dict[str, float | None] | None:
    """Return figures of the log of the learned scales of the prior; None if none is learned."""
    names = _parameters(idata, (LOG_PRIOR_SCALE,))
    if not names:
        return None
    scales = {name: idata["posterior"][name].values for name in names}
    found = convergence(_flat(scales), brief=True)
    return {"n_quantities": found.rhat.size} | _extremes(found)


def _extremes(found: Convergence) -> dict[str, float | None]:
    return {
        "rhat_max": _extreme(np.max, found.rhat),
        "rhat_median": _extreme(np.median, found.rhat),
        "ess_bulk_min": _extreme(np.min, found.ess_bulk),
        "ess_bulk_median": _extreme(np.median, found.ess_bulk),
    }


def _chain_records(idata: StoredPosterior) -> list[dict[str, Any]]:
    stats = idata["sample_stats"]
    # One weight, or a density: one that stays says that all do, and no chain comes back to where it was. Output weights
    # that are integrated out are drawn anew where nothing else moves, and with them the density.
    posterior, weight = idata["posterior"], "weight_0"
    stays = posterior[weight][:, :, :1, :1] if weight in posterior else stats["lp"].values
    stuck = stuck_chains(np.asarray(stays))
    seconds = np.sum([stats[f"seconds_{phase}"].values for phase in PHASES], axis=0)
    n_steps = stats["n_steps"].values.tolist() if "n_steps" in stats else [None] * len(stuck)
    return [
        {
            "chain": int(chain),
            "acceptance_rate": float(stats["acceptance_rate"].values[index].mean()),
            "step_size": float(stats["step_size"].values[index, -1]),
            "n_steps": n_steps[index],
            "cut_short": n_steps[index] == MAX_STEPS,
            "n_diverging": int(stats["n_diverging"].values[index].sum()),
            "stuck": bool(stuck[index]),
            "log_density_mean": float(stats["lp"].values[index].mean()),
            "log_density_sd": float(stats["lp"].values[index].std()),
            "seconds": float(seconds[index]),
        }
        for index, chain in enumerate(stats["chain"].values)
    ]


def _of_predictions(idata: StoredPosterior, split: str) -> Convergence:
    """Return the diagnostics of means (obs,) or class probabilities (obs, class) of a split.

    Where the noise depends on the row it is a prediction too: a row then has the worse figures of both, and the Monte
    Carlo error of the mean.
    """
    group = idata[PREDICTIONS[split]]
    n_chains, n_draws, n_rows, *classes = group["mean" if "mean" in group else "probability"].shape
    step = max(1, _BLOCK_BYTES // (8 * n_chains * n_draws * math.prod(classes)))
    blocks = [slice(start, start + step) for start in range(0, n_rows, step)]
    return _joined([_of_rows(group, rows) for rows in blocks])


def _of_rows(group: Any, rows: slice) -> Convergence:
    if "mean" in group:
        found = convergence(np.asarray(group["mean"][:, :, rows]))
        if group["noise_sd"].ndim == 2:
            return found
        noise = convergence(np.asarray(group["noise_sd"][:, :, rows]))
        return Convergence(
            rhat=np.fmax(found.rhat, noise.rhat),
            ess_bulk=np.fmin(found.ess_bulk, noise.ess_bulk),
            ess_tail=np.fmin(found.ess_tail, noise.ess_tail),
            mcse_mean=found.mcse_mean,
            finite=found.finite & noise.finite,
            constant=found.constant | noise.constant,
        )
    probability = np.asarray(group["probability"][:, :, rows])
    if probability.shape[-1] != 2:
        found = convergence(probability)
        # Too near 0 or 1 for a number in every draw: on that chains agree, and the row is judged by its other classes.
        is_sure = found.constant & np.isin(probability[0, 0], (0, 1))
        return found._replace(
            constant=found.constant & ~(is_sure & ~found.constant.all(axis=-1, keepdims=True))
        )
    # One of two probabilities is 1 minus the other and has the same ranks up to direction, so the same R-hat
    # and ESS. The smaller one is used: near 0 floating-point numbers are dense, near 1 they are not.
    first_is_smaller = probability[..., 0].mean(axis=(0, 1)) <= 0.5
    found = convergence(np.where(first_is_smaller, probability[..., 0], probability[..., 1]))
    return Convergence(*(np.repeat(values[:, None], 2, axis=1) for values in found))


def _prediction_summary(
    found: Convergence, rows: np.ndarray, thresholds: Mapping[str, float]
) -> dict[str, Any]:
    if found.rhat.ndim == 2 and found.rhat.shape[1] == 2:
        # The same quantity twice, see _of_predictions.
        found = Convergence(*(values[:, :1] for values in found))
    rhat = found.rhat.reshape(len(rows), -1)
    ess = found.ess_bulk.reshape(len(rows), -1)
    worst = worst_ess = None
    if not np.isnan(rhat).all():
        worst = int(rows[np.unravel_index(np.nanargmax(rhat), rhat.shape)[0]])
    if not np.isnan(ess).all():
        worst_ess = int(rows[np.unravel_index(np.nanargmin(ess), ess.shape)[0]])
    return {
        "n_quantities": int(rhat.size),
        "n_constant": int(found.constant.sum()),
        "n_not_finite": int((~found.finite).sum()),
        "rhat_max": _extreme(np.max, found.rhat),
        "rhat_median": _extreme(np.median, found.rhat),
        "n_rhat_above": int((found.rhat > thresholds["rhat_warn"]).sum()),
        "ess_bulk_min": _extreme(np.min, found.ess_bulk),
        "ess_bulk_median": _extreme(np.median, found.ess_bulk),
        "n_ess_bulk_below": int((found.ess_bulk < thresholds["ess_warn"]).sum()),
        "ess_tail_min": _extreme(np.min, found.ess_tail),
        "ess_tail_median": _extreme(np.median, found.ess_tail),
        "mcse_mean_max": _extreme(np.max, found.mcse_mean),
        "worst_row": worst,
        "worst_row_ess": worst_ess,
    }


def _pointwise(split: str, found: Convergence, rows: np.ndarray) -> dict[str, Variable]:
    dims = (f"obs_{split}", "class")[: found.rhat.ndim]
    names = ("rhat", "ess_bulk", "ess_tail", "mcse_mean")
    variables: dict[str, Variable] = {f"{name}_{split}": (dims, getattr(found, name)) for name in names}
    return variables | {f"row_{split}": ((f"obs_{split}",), rows)}
