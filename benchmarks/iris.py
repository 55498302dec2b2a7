"""Effective draws a second on iris: this package's kernels against other samplers, on one core.

Run as `python benchmarks/iris.py`; it takes some minutes and writes benchmarks/results/iris.md. The target: 4-10-3
tanh, softmax, N(0, 1) on every weight and bias, 120 training rows. ESS is the bulk ESS of class probabilities at 30
test rows; seconds are those of drawing, warm-up and compilation apart.
"""

import common
import numpy as np
import peers
from gradient import SIDE

from bnn.core.progress import Silent
from bnn.core.settings import PriorSettings, SamplerSettings
from bnn.mcmc.chain import run_chains
from bnn.model.categorical import Categorical, softmax
from bnn.model.layout import ParameterLayout
from bnn.model.network import Network
from bnn.model.posterior import Posterior
from bnn.model.priors import Prior, network_prior
from bnn.posterior.arviz_versions import ess_bulk, rhat

SIZES = (4, 10, 3)
# kernel -> chains side by side, warm-up, draws, trajectory length, acceptance that warm-up aims at
RUNS = {
    "malt": (64, 300, 600, 1.3, 0.65),
    "mams": (64, 300, 600, 1.3, 0.65),
    "mala": (64, 3000, 3000, None, None),
}


def data() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return training inputs and classes, and test inputs."""
    from sklearn.datasets import load_iris
    from sklearn.model_selection import train_test_split

    x, y = load_iris(return_X_y=True)
    x, x_test, y, _ = train_test_split(x, y, test_size=0.2, random_state=42, stratify=y)
    mean, scale = x.mean(axis=0), x.std(axis=0)
    return (x - mean) / scale, y, (x_test - mean) / scale


def figures(
    probability: np.ndarray, log_density: np.ndarray, seconds: dict[str, float]
) -> dict[str, np.ndarray]:
    """Return what the table shows; probability (chain, draw, quantity), log density (chain, draw)."""
    ess = ess_bulk(probability)
    return {
        "ess": ess,
        "seconds": np.array([seconds["warmup"], seconds["draws"]]),
        "mean": probability.mean(axis=(0, 1)),
        "mcse": probability.std(axis=(0, 1)) / np.sqrt(ess),
        "log_density": np.array(
            [log_density.mean(), log_density.std() / np.sqrt(ess_bulk(log_density[..., None])[0])]
        ),
        "rhat": rhat(probability),
    }


def ours(kernel: str, x: np.ndarray, y: np.ndarray, x_test: np.ndarray) -> dict[str, np.ndarray]:
    """Sample with a kernel of this package."""
    n_chains, warmup, draws, length, acceptance = RUNS[kernel]
    network = Network(SIZES, activation="tanh", dtype="float32", engine="numba")
    layout = ParameterLayout(network.parameter_shapes)
    prior = Prior(layout, network_prior(layout.shapes, PriorSettings(SIDE, SIDE, False, "none")))
    posterior = Posterior(network, Categorical(3), prior, x=x, y=y)
    posterior.log_density_and_grad(np.zeros((n_chains, layout.n_params)))  # compiles
    settings = SamplerSettings(
        kernel=kernel,
        warmup=warmup,
        draws=draws,
        thin=1,
        init="optimised",
        optimise_steps=300,
        optimise_learning_rate=0.05,
        explore=0,
        target_acceptance=acceptance,
        trajectory_length=length,
        precondition=True,
        most_steps=1024,
        most_gradients=None,
        collapse="never",
        langevin={},
        keep_precision="float64",
    )
    run = run_chains(posterior, range(n_chains), 1, settings, Silent())
    output = network.forward(layout.unpack(run.theta.reshape(-1, layout.n_params)), x_test)
    probability = softmax(output.swapaxes(-1, -2)).reshape(n_chains, draws, -1)
    seconds = {"warmup": run.seconds["optimise"] + run.seconds["warmup"], "draws": run.seconds["draws"]}
    return figures(probability, run.log_density, seconds)


def main() -> None:
    """Run all samplers and write the table."""
    x, y, x_test = data()
    runs = {
        "NumPyro NUTS": figures(*peers.run("numpyro_nuts", x, y, x_test)),
        "BlackJAX MALA": figures(*peers.run("blackjax_mala", x, y, x_test)),
        "the notebooks' algorithm": figures(*peers.notebooks(x, y, x_test)),
    }
    runs |= {kernel: ours(kernel, x, y, x_test) for kernel in RUNS}
    reference = runs["NumPyro NUTS"]
    rows = []
    for name, run in runs.items():
        rate, base = (item["ess"] / item["seconds"][1] for item in (run, reference))
        whole, whole_base = (item["ess"] / item["seconds"].sum() for item in (run, reference))
        z = np.abs(run["mean"] - reference["mean"]) / np.hypot(run["mcse"], reference["mcse"])
        (level, error), (level_0, error_0) = run["log_density"], reference["log_density"]
        rows.append(
            [name, f"{run['seconds'][0]:.1f} + {run['seconds'][1]:.1f}"]
            + [f"{rate.min():.0f} / {np.median(rate):.0f}", f"{rate.min() / base.min():.1f}"]
            + [f"{whole.min() / whole_base.min():.1f}"]
            + [f"{run['rhat'].max():.4f}", f"{level:.2f} ± {error:.2f}"]
            + [f"{abs(level - level_0) / np.hypot(error, error_0):.1f} / {z.max():.1f}"]
        )
    header = [
        "sampler",
        "seconds, warm-up + draws",
        "ESS a second, min / median",
        "ratio of min",
        "with warm-up",
        "R-hat max",
    ]
    header += ["log density", "standard errors from NUTS, log density / largest of 90 probabilities"]
    note = (
        "Bulk ESS of class probabilities per second of drawing on one core, and its ratio to NUTS, without and with "
        "the seconds of warm-up; compilation is left out. Ours: 64 chains side by side, trajectories of length 1.3, "
        "steps for an acceptance of 0.65; NUTS: 4 chains at its defaults. The notebooks' algorithm is that of Chandra "
        "& Simmons (2024), row by row in NumPy, at their settings. Where R-hat is far above 1.01 the ESS means little: "
        "the chains have not met."
    )
    common.write_table("iris", "Iris 4-10-3, N(0, 1) priors", header, rows, note)


if __name__ == "__main__":
    main()
