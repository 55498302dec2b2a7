"""What ArviZ says of draws, and what it makes of this package's files: run by the Python of each version.

Needs NumPy, xarray, h5netcdf and ArviZ alone. Run as `python arviz_figures.py FOLDER`; the folder holds draws.npz, each
of whose arrays is (chain, draw, quantity), posterior.nc, and predictions.nc, which has no weights. Prints JSON.
"""

import json
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from bnn.posterior import arviz_versions

TAILS = (0.05, 0.95)


def figure_of_arviz(figure: str, draws: np.ndarray) -> np.ndarray:
    """Return `rhat`, `ess_bulk`, `ess_tail` or `mcse_mean` of each quantity of draws (chain, draw, quantity).

    The quantiles of tail ESS are computed here: where one falls on a draw, as with 2,001 draws, ArviZ 0.23 puts it
    below or above that draw as rounding falls, and the effective sample size of its tail is another than in version 1.
    """
    if figure == "ess_tail":
        limits = np.quantile(draws, TAILS, axis=(0, 1), method="linear")
        return np.min([_said("ess", draws <= limit, method="mean") for limit in limits], axis=0)
    name, method = {
        "rhat": ("rhat", "rank"),
        "ess_bulk": ("ess", "bulk"),
        "mcse_mean": ("mcse", "mean"),
    }[figure]
    return _said(name, draws, method=method)


def _said(name: str, draws: np.ndarray, *, method: str) -> np.ndarray:
    import arviz

    relative = {"relative": False} if name == "ess" else {}
    if not arviz.__version__.startswith("0."):
        from arviz_stats.base import array_stats

        found = getattr(array_stats, name)(draws, chain_axis=0, draw_axis=1, method=method, **relative)
        return np.asarray(found, dtype=np.float64)
    # Its variance in Numba, the difference of two means of squares, loses all digits of draws far from 0.
    used = arviz.Numba.numba_flag
    arviz.Numba.disable_numba()
    try:
        function = getattr(arviz, name)
        return np.array([function(each, method=method, **relative) for each in np.moveaxis(draws, 2, 0)])
    finally:
        arviz.Numba.numba_flag = used


def figures(folder: Path) -> dict[str, Any]:
    """Return the figures of each array, and what ArviZ itself says of the file."""
    result: dict[str, Any] = {}
    for name, draws in np.load(folder / "draws.npz").items():
        for figure in ("rhat", "ess_bulk", "ess_tail", "mcse_mean"):
            result[f"{figure} of {name}"] = figure_of_arviz(figure, draws).tolist()
    posterior = arviz_versions.open_posterior(folder / "posterior.nc")
    import arviz

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        loo = arviz.loo(posterior)
        summary = arviz.summary(posterior, round_to="none")
        without = arviz_versions.open_posterior(folder / "predictions.nc")
        result["loo without weights"] = elpd_of(arviz.loo(without))
        means = arviz.summary(without, round_to="none")["mean"]
        result["summary without weights"] = float(means["log_density"])
    result["loo"] = elpd_of(loo)
    result["summary"] = dict(zip(summary.index, map(float, summary["mean"]), strict=True))
    result["groups"] = sorted(posterior)
    kept = arviz_versions.in_memory(posterior)
    result["in memory"] = {
        group: {name: float(np.sum(values.values)) for name, values in kept[group].data_vars.items()}
        for group in ("sample_stats", "predictions", "log_likelihood")
    }
    return {"version": arviz.__version__, "kind": type(posterior).__name__, "said": result}


def elpd_of(loo: Any) -> float:
    """Return the expected log density, by the name that the version has for it."""
    return float(loo["elpd_loo"] if "elpd_loo" in dir(loo) else loo["elpd"])


if __name__ == "__main__":
    print(json.dumps(figures(Path(sys.argv[1]))))
