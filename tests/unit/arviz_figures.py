"""What this package takes from ArviZ, and what ArviZ makes of its files: run by the Python of each version.

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


def figures(folder: Path) -> dict[str, Any]:
    """Return the figures of each array, and what ArviZ itself says of the file."""
    result: dict[str, Any] = {}
    for name, draws in np.load(folder / "draws.npz").items():
        for figure in ("rhat", "ess_bulk", "ess_tail", "mcse_mean"):
            result[f"{figure} of {name}"] = getattr(arviz_versions, figure)(draws).tolist()
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
