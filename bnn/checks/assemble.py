"""checks.json and checks.nc: what every key means is in docs/reference/results.md."""

import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from bnn.checks.effects import effects
from bnn.checks.out_of_distribution import hole, out_of_distribution
from bnn.checks.psis import Loo, k_threshold, leave_one_out
from bnn.checks.sensitivity import prior_sensitivity
from bnn.checks.statistics import Check, posterior_checks, prior_checks, summarise
from bnn.core import formatting
from bnn.core.row_names import ROW_COUNTING, row_name
from bnn.core.seeding import Stream, chain_rng
from bnn.core.settings import ModelSettings
from bnn.core.storage import Variable, write_json, write_netcdf
from bnn.data.dataset import Dataset
from bnn.evaluation.forecasts import check_rows
from bnn.evaluation.naming import row_entries
from bnn.model.likelihoods import n_outputs_without_noise
from bnn.model.posterior import make_network, make_prior
from bnn.posterior.posterior_file import StoredPosterior, stacked_theta
from bnn.posterior.predictive import mixture_log_density
from bnn.posterior.predictor import Predictor, make_predictor

_N_WORST = 10
P_VALUES = (0.01, 0.99)
"""Posterior predictive p-values outside these are raised."""
MAX_SHARE_ABOVE = 0.1
"""Share of training rows with a Pareto k above its limit, beyond which leave-one-out is raised."""
_MAX_REPLICATED = 2000
"""Replicated statistics that are kept for the figures."""


def check(
    idata: StoredPosterior,
    dataset: Dataset,
    references: Mapping[str, np.ndarray],
    settings: ModelSettings,
    *,
    seed: int,
    prior_factors: tuple[float, ...],
) -> tuple[dict[str, Any], dict[str, Variable]]:
    """Make all checks of one dataset.

    Parameters
    ----------
    idata
        What `bnn.posterior.inference_data.combine` wrote, read.
    dataset
        Its table.
    references
        Variables of the file of `bnn.baselines.reference.fit_references`.
    settings
        Of the model that the chains sampled.
    seed
        Seed of the run.
    prior_factors
        Multiples of the prior's scales for which the test scores are asked.

    Returns
    -------
    summary
        What goes into checks.json.
    variables
        What goes into checks.nc, for the figures.
    """
    check_rows(idata, dataset, references)
    theta, layout = stacked_theta(idata)
    predictor = make_predictor(
        dataset,
        network=settings.network.in_numpy(idata["posterior"].attrs["precision"]),
        likelihood=settings.likelihood,
        layout=layout,
    )
    rngs = [chain_rng(seed, Stream.CHECKS, index) for index in range(4)]
    prior = make_prior(predictor.network, predictor.likelihood, settings.prior)
    log_likelihood = idata["log_likelihood"]["y"]  # read some rows at a time
    loo = leave_one_out(log_likelihood)
    threshold = k_threshold(log_likelihood.shape[0] * log_likelihood.shape[1])
    held_out = mixture_log_density(idata["predictions"]["log_density_y"])
    posterior = posterior_checks(idata, dataset)
    before = prior_checks(prior, predictor, dataset, rngs[0])
    baseline = make_network(
        settings.network.in_numpy(),
        dataset.x_train,
        n_outputs=n_outputs_without_noise(predictor.likelihood),
        has_offset=dataset.has_exposure,
    )
    unlike, scores = out_of_distribution(
        dataset, predictor, theta, baseline, references, settings.likelihood, rngs[1]
    )
    loo_summary = _loo_summary(loo, dataset.row_numbers("train"), held_out, threshold)
    after = [summarise(item) | _largest_row(item, dataset) for item in posterior]
    summary = {
        "dataset": dataset.name,
        "task": dataset.task,
        "flags": flags(
            loo_summary, after, first_row=dataset.first_row, is_class=dataset.n_classes is not None
        ),
        "loo": loo_summary,
        "posterior_predictive": after,
        "prior_predictive": [summarise(item) for item in before],
        "sensitivity": prior_sensitivity(
            idata,
            dataset,
            predictor,
            prior=settings.prior,
            factors=prior_factors,
        ),
        "out_of_distribution": unlike,
        "effects": effects(dataset, predictor, theta, rngs[3]),
        "input_powers": _input_powers(dataset, predictor),
        "hole": hole(dataset, predictor, theta, baseline, references, settings.likelihood, rngs[2]),
    }
    return summary, {
        **_check_variables("posterior", posterior),
        **_check_variables("prior", before),
        "loo_k": (("train",), loo.k),
        "row_train": (("train",), dataset.row_numbers("train")),
        **{
            f"out_of_distribution_{model}_{name.replace(' ', '_')}": (
                (f"row_{name.replace(' ', '_')}",),
                values,
            )
            for model, found in scores.items()
            for name, values in found.items()
        },
    }


def _input_powers(dataset: Dataset, predictor: Predictor) -> dict[str, float]:
    """Return feature -> exponent of its power transform before the first layer; none of those that stay."""
    inputs = predictor.network.inputs
    if inputs is None:
        return {}
    return {
        dataset.feature_names[place]: float(power)
        for place, power in zip(inputs.columns, inputs.power, strict=True)
    }


def save(
    summary: Mapping[str, Any],
    variables: Mapping[str, Variable],
    *,
    json_path: str | os.PathLike[str],
    netcdf_path: str | os.PathLike[str],
) -> None:
    """Write what `check` returned; a number that is not finite becomes null in the JSON file."""
    write_netcdf(netcdf_path, variables, {"dataset": summary["dataset"]})
    write_json(json_path, summary)


def flags(
    loo: Mapping[str, Any], posterior: Sequence[Mapping[str, Any]], *, first_row: int, is_class: bool
) -> list[dict[str, Any]]:
    """Return what a reader of the checks must not overlook, each `{name, raised, text, value, limit}`.

    Parameters
    ----------
    loo
        That entry of checks.json.
    posterior
        `posterior_predictive` of checks.json.
    first_row
        Number of the first row of the table.
    is_class
        Whether the target is a class.
    """
    low, high = P_VALUES
    found = [check for check in posterior if check["p_value"] is not None]
    p_values = [check["p_value"] for check in found]
    missed = [_with_row(check, first_row) for check in found if not low <= check["p_value"] <= high]
    off = (
        f"The fitted model does not make targets like those of the training rows: {', '.join(missed)} (posterior "
        f"predictive p below {low:g} or above {high:g}). "
    ) + (
        "Its probabilities do not fit these rows; those of another network or prior may."
        if is_class
        else "Do not use it for what depends on this, such as how often a limit is crossed; another "
        "likelihood.family, network or prior may fit."
    )
    share = loo["n_above"] / loo["n_rows"]
    is_unreliable = share > MAX_SHARE_ABOVE
    rows = f"{loo['n_above']} of the {loo['n_rows']} training rows"
    limits = f"Pareto k above {loo['k_threshold']:.2f}; limit {100 * MAX_SHARE_ABOVE:g} % of rows"
    unreliable = (
        f"Do not use the leave-one-out score (elpd_loo): for {rows} it cannot be computed from the draws ({limits}). "
        "So many rows mean a flexible model, not outliers: judge it by the test rows, and leave all rows in the table."
    )
    return [
        {
            "name": "posterior_predictive_off",
            "raised": bool(missed),
            "text": off if missed else f"No posterior predictive p-value is below {low:g} or above {high:g}.",
            "value": min(p_values, key=lambda p: min(p, 1 - p)) if p_values else None,
            "limit": list(P_VALUES),
        },
        {
            "name": "loo_unreliable",
            "raised": is_unreliable,
            "text": unreliable
            if is_unreliable
            else f"The leave-one-out score (elpd_loo) is unreliable for {rows} ({limits}).",
            "value": share,
            "limit": MAX_SHARE_ABOVE,
        },
    ]


def _largest_row(check: Check, dataset: Dataset) -> dict[str, Any]:
    """Name the row that stands for a statistic, {} if none does."""
    if check.of_rows is None:
        return {}
    return row_entries(dataset, "train", [int(check.of_rows.argmax())])[0]


def _with_row(check: Mapping[str, Any], first_row: int) -> str:
    found = formatting.number(check["observed"], 3), formatting.number(check["mean"], 3)
    text = f"{check['name']} {found[0]}, the model's {found[1]} on average"
    return text if "row" not in check else f"{text} (row {row_name(check)}, {ROW_COUNTING[first_row]})"


def _loo_summary(loo: Loo, rows: np.ndarray, held_out: np.ndarray, threshold: float) -> dict[str, Any]:
    n, n_test = len(loo.elpd), len(held_out)
    worst = np.argsort(-loo.k, kind="stable")[:_N_WORST]
    return {
        "elpd_loo": float(loo.elpd.sum()),
        "se": _error_of_sum(loo.elpd),
        "p_loo": float((loo.lppd - loo.elpd).sum()),
        "n_rows": n,
        "nll": -float(loo.elpd.mean()),
        "nll_se": _error_of_sum(loo.elpd) / n,
        "nll_test": -float(held_out.mean()),
        "nll_test_se": _error_of_sum(held_out) / n_test,
        "k_threshold": threshold,
        # A k that is not a number must not pass for a small one.
        "n_above": int((~(loo.k <= threshold)).sum()),
        "k_max": float(loo.k.max()),
        "worst": [{"row": int(rows[index]), "k": float(loo.k[index])} for index in worst],
    }


def _error_of_sum(values: np.ndarray) -> float:
    with np.errstate(invalid="ignore"):
        return float(np.sqrt(len(values)) * values.std(ddof=1))


def _check_variables(kind: str, checks: Sequence[Check]) -> dict[str, Variable]:
    """Return the replicated statistics, and what was observed beside each, in the order of checks.json."""
    variables: dict[str, Variable] = {}
    for index, item in enumerate(checks):
        flat = np.asarray(item.replicated, dtype=np.float64).ravel()
        step = max(1, len(flat) // _MAX_REPLICATED)
        variables[f"{kind}_{index}"] = ((f"draw_{kind}",), flat[::step][:_MAX_REPLICATED])
    return variables
