"""Cost and memory as a table grows: a gradient on 1e3 to 1e6 rows, and a whole run at the size of housing.csv.

Run as `python benchmarks/scale.py`; with `BNN_DATA=path/to/data`, a folder that holds housing.csv (the target is
median_house_value), the whole run is added and takes three minutes. It writes benchmarks/results/scale.md.
"""

import os
import resource
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import common
import numpy as np

from bnn.core.progress import Silent
from bnn.core.settings import BlockPriorSettings, PriorSettings, SamplerSettings
from bnn.mcmc.chain import run_chains
from bnn.model.layout import ParameterLayout
from bnn.model.likelihoods import Gaussian
from bnn.model.network import Network
from bnn.model.posterior import Posterior
from bnn.model.priors import Prior, network_prior

HIDDEN = (50, 25)
N_CHAINS = 4
N_DRAWS = 1000
SIDE = BlockPriorSettings("normal", 1.0, 4.0)


def make_posterior(x: np.ndarray, y: np.ndarray) -> Posterior:
    """Return the posterior of a network of two hidden layers with a sampled noise scale."""
    network = Network((x.shape[1], *HIDDEN, 1), activation="tanh", dtype="float32", engine="numba")
    likelihood = Gaussian(noise_scale=None, log_noise_mean=-1.0, log_noise_sd=1.0)
    own = likelihood.parameter_priors
    blocks = network_prior(network.parameter_shapes, PriorSettings(SIDE, SIDE, True, "none"))
    layout = ParameterLayout({**network.parameter_shapes, **dict.fromkeys(own, ())})
    return Posterior(network, likelihood, Prior(layout, blocks | own), x=x, y=y)


def peak_mb() -> float:
    """Return the largest resident memory of this process so far, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def gradient(n: int) -> list[str]:
    """Return the line of a number of rows."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((n, 8))
    posterior = make_posterior(x, rng.standard_normal(n))
    theta = np.stack([posterior.prior.sample(rng) for _ in range(N_CHAINS)])
    call = {"gradient": lambda: posterior.log_density_and_grad(theta)}
    seconds = common.fastest(call, seconds=3.0)["gradient"] / N_CHAINS
    return [f"{n:,}", f"{seconds * 1e3:.3g}", f"{seconds / n * 1e9:.0f}", f"{peak_mb():.0f}"]


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
        most_steps=1024,
        most_gradients=None,
        collapse="never",
        langevin={},
        keep_precision="float64",
    )
    start = time.process_time()
    theta = run_chains(posterior, range(N_CHAINS), 1, settings, Silent()).theta
    seconds, peak = time.process_time() - start, peak_mb()
    total = np.zeros(len(y_test))
    for chain in theta:
        for few in np.array_split(chain, 20):  # the activations of all draws at once would take gigabytes
            output = posterior.network.forward(posterior.layout.unpack(few), (x_test - mean) / scale)
            total += output[:, 0].sum(axis=0)
    residual = (y_test - y_mean) / y_scale - total / (N_CHAINS * N_DRAWS)
    r2 = 1 - np.mean(residual**2) / np.var((y_test - y_mean) / y_scale)
    return (
        f"housing.csv, {len(y):,} train rows, {N_CHAINS} unadjusted chains side by side, {N_DRAWS:,} draws each: "
        f"test R² {r2:.3f} in {seconds:.0f} core-seconds; peak memory of sampling {peak:.0f} MB, draws included."
    )


def main() -> None:
    """Measure, and write the table; each line comes from a process of its own, so that its peak of memory is too."""
    with ProcessPoolExecutor(1, get_context("spawn"), max_tasks_per_child=1) as pool:
        rows = list(pool.map(gradient, (1_000, 10_000, 100_000, 1_000_000)))
        whole = "The whole run was left out: BNN_DATA is not set."
        if folder := os.environ.get("BNN_DATA"):
            whole = pool.submit(housing, Path(folder)).result()
    header = ["rows", "ms a gradient and chain", "ns a row", "peak memory, MB"]
    note = f"8-50-25-1, float32, numba, {N_CHAINS} chains side by side.\n\n{whole}"
    common.write_table("scale", "Cost and memory as a table grows", header, rows, note)


if __name__ == "__main__":
    main()
