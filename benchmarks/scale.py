"""Cost and memory as a table grows: a gradient on 1e3 to 1e6 rows, and a whole run at the size of housing.csv.

Run as `python benchmarks/scale.py`; with `BNN_DATA=path/to/data`, a folder that holds housing.csv (the target is
median_house_value), the whole run is added and takes three minutes. It writes benchmarks/results/scale.md.
"""

import os
import resource
import time
from pathlib import Path

import common
import numpy as np

from bnn.chain import SamplerSettings, run_chains
from bnn.layout import ParameterLayout
from bnn.likelihoods import Gaussian
from bnn.network import Network
from bnn.posterior import Posterior
from bnn.priors import Prior, network_prior
from bnn.progress import Silent

HIDDEN = (50, 25)
N_CHAINS = 4
N_DRAWS = 1000
SIDE = {"family": "normal", "scale": 1.0, "df": 4.0}


def make_posterior(x: np.ndarray, y: np.ndarray) -> Posterior:
    """Return the posterior of a network of two hidden layers with a sampled noise scale."""
    network = Network((x.shape[1], *HIDDEN, 1), activation="tanh", dtype="float32", engine="numba")
    likelihood = Gaussian(noise_scale=None, log_noise_mean=-1.0, log_noise_sd=1.0)
    own = likelihood.parameter_priors
    blocks = network_prior(network.parameter_shapes, weights=SIDE, biases=SIDE, fan_in_scaling=True)
    layout = ParameterLayout({**network.parameter_shapes, **dict.fromkeys(own, ())})
    return Posterior(network, likelihood, Prior(layout, blocks | own), x=x, y=y)


def peak_mb() -> float:
    """Return the largest resident memory of this process so far, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def gradients() -> list[list[str]]:
    """Return a line for each number of rows; memory grows from line to line, so its peak is that line's."""
    rng = np.random.default_rng(0)
    rows = []
    for n in (1_000, 10_000, 100_000, 1_000_000):
        x = rng.standard_normal((n, 8))
        posterior = make_posterior(x, rng.standard_normal(n))
        theta = np.stack([posterior.prior.sample(rng) for _ in range(N_CHAINS)])
        call = {"gradient": lambda p=posterior, t=theta: p.log_density_and_grad(t)}
        seconds = common.fastest(call, rounds=5, seconds=0.5)["gradient"] / N_CHAINS
        rows.append([f"{n:,}", f"{seconds * 1e3:.3g}", f"{seconds / n * 1e9:.0f}", f"{peak_mb():.0f}"])
    return rows


def housing(folder: Path) -> str:
    """Return a sentence on a run over the numeric columns of housing.csv, missing values filled by the median."""
    import pandas as pd
    from sklearn.model_selection import train_test_split

    table = pd.read_csv(folder / "housing.csv").select_dtypes("number")
    table = table.fillna(table.median())
    y = table.pop("median_house_value").to_numpy(float)
    x, x_test, y, y_test = train_test_split(table.to_numpy(float), y, test_size=0.2, random_state=0)
    mean, scale = x.mean(axis=0), x.std(axis=0)
    y_mean, y_scale = y.mean(), y.std()
    posterior = make_posterior((x - mean) / scale, (y - y_mean) / y_scale)
    settings = SamplerSettings(
        kernel="microcanonical",
        warmup=5000,
        draws=N_DRAWS,
        thin=8,
        init="optimised",
        optimise_steps=1000,
        optimise_learning_rate=0.01,
        explore=3000,
        target_acceptance=None,
        trajectory_length=None,
        precondition=True,
        langevin={},
    )
    start = time.process_time()
    theta = run_chains(posterior, range(N_CHAINS), 1, settings, Silent()).theta
    seconds = time.process_time() - start
    output = [
        posterior.network.forward(posterior.layout.unpack(chain), (x_test - mean) / scale)[:, 0].mean(axis=0)
        for chain in theta
    ]
    residual = (y_test - y_mean) / y_scale - np.mean(output, axis=0)
    r2 = 1 - np.mean(residual**2) / np.var((y_test - y_mean) / y_scale)
    return (
        f"housing.csv, {len(y):,} train rows, {N_CHAINS} unadjusted chains side by side, {N_DRAWS:,} draws each: "
        f"test R² {r2:.3f} in {seconds:.0f} core-seconds; peak memory {peak_mb():.0f} MB, draws included."
    )


def main() -> None:
    """Measure, and write the table."""
    # The whole run comes first, so that its peak of memory is its own.
    folder = os.environ.get("BNN_DATA")
    whole = housing(Path(folder)) if folder else "The whole run was left out: BNN_DATA is not set."
    if folder:
        print(whole, flush=True)
    header = ["rows", "ms a gradient and chain", "ns a row", "peak memory so far, MB"]
    note = f"8-50-25-1, float32, numba, {N_CHAINS} chains side by side.\n\n{whole}"
    common.write_table("scale", "Cost and memory as a table grows", header, gradients(), note)


if __name__ == "__main__":
    main()
