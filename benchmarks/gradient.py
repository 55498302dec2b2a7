"""Microseconds for a log density and its gradient per chain: this package's engines and JAX, on one core.

Run as `python benchmarks/gradient.py`; it takes a few minutes and writes benchmarks/results/gradient.md. JAX evaluates
the same density (Gaussian noise of unit scale, or softmax, and standard normal weights) by jit and vmap inside a scan,
as samplers call it. Every engine is timed at several batch sizes and its best is taken. With `--against CHECKOUT`, a
checkout with its environment in `.venv`, two columns compare its compiled engine, timed in turns with this one's.
"""

import argparse
from itertools import pairwise
from pathlib import Path

import against
import common
import numpy as np

from bnn.core.settings import BlockPriorSettings, PriorSettings
from bnn.model.categorical import Categorical
from bnn.model.layout import ParameterLayout
from bnn.model.likelihoods import Gaussian, Likelihood
from bnn.model.network import Network
from bnn.model.posterior import Posterior
from bnn.model.priors import Prior, network_prior

CASES = {
    "iris 4-10-3, N = 120": ((4, 10, 3), 120, (1, 4, 16, 64, 128)),
    "airfoil 5-16-16-1, N = 1,202": ((5, 16, 16, 1), 1202, (1, 4, 10)),
    "airfoil 5-16-16-16-16-1, N = 1,202": ((5, 16, 16, 16, 16, 1), 1202, (1, 4, 10)),
    "concrete 8-50-1, N = 824": ((8, 50, 1), 824, (1, 4, 10)),
    "8-50-25-1, N = 16,512": ((8, 50, 25, 1), 16512, (1, 4)),
}
SIDE = BlockPriorSettings("normal", 1.0, 4.0)


def make_posterior(sizes: tuple[int, ...], x: np.ndarray, y: np.ndarray, engine: str) -> Posterior:
    """Return the posterior in float32 with standard normal weights."""
    network = Network(sizes, activation="tanh", dtype="float32", engine=engine)
    layout = ParameterLayout(network.parameter_shapes)
    blocks = network_prior(layout.shapes, PriorSettings(SIDE, SIDE, False, "none"))
    likelihood: Likelihood = Gaussian(noise_scale=1.0, log_noise_mean=0.0, log_noise_sd=1.0)
    if sizes[-1] > 1:
        likelihood = Categorical(sizes[-1])
    return Posterior(network, likelihood, Prior(layout, blocks), x=x, y=y)


def make_jax(sizes: tuple[int, ...], x: np.ndarray, y: np.ndarray, theta: np.ndarray, repeats: int):
    """Return a call that evaluates JAX's gradient `repeats` times for every row of theta."""
    import jax
    import jax.numpy as jnp

    inputs, target = jnp.asarray(x, jnp.float32), jnp.asarray(y)

    def log_density(weights):
        start, values = 0, inputs
        for layer, (n_in, n_out) in enumerate(pairwise(sizes)):
            stop = start + n_in * n_out
            values = values @ weights[start:stop].reshape(n_in, n_out) + weights[stop : stop + n_out]
            start = stop + n_out
            if layer < len(sizes) - 2:
                values = jnp.tanh(values)
        prior = -0.5 * jnp.sum(weights**2)
        if sizes[-1] > 1:
            return prior + jnp.take_along_axis(jax.nn.log_softmax(values), target[:, None], axis=1).sum()
        return prior - 0.5 * jnp.sum((target.astype(jnp.float32) - values[:, 0]) ** 2)

    evaluate = jax.vmap(jax.value_and_grad(log_density))

    @jax.jit
    def run(start):
        def body(weights, _):
            value, grad = evaluate(weights)
            return weights + 1e-6 * grad, value

        return jax.lax.scan(body, start, None, length=repeats)

    begin = jnp.asarray(theta, jnp.float32)
    return lambda: run(begin)[0].block_until_ready()


def machine_rates() -> tuple[float, float]:
    """Return float32 products a second and the least seconds for a tanh, of NumPy's and a compiled rational one."""
    import numba

    @numba.njit(fastmath={"reassoc", "contract", "arcp", "nsz"}, error_model="numpy")
    def rational(values):
        # As many operations as a tanh in single precision needs: the speed is measured here, not the accuracy.
        for index in range(values.size):
            u = values[index] * values[index]
            p = (((u * np.float32(1e-8) + np.float32(2e-5)) * u + np.float32(4e-3)) * u) + np.float32(1.0)
            q = (((u * np.float32(9e-7) + np.float32(3e-4)) * u + np.float32(3e-2)) * u) + np.float32(1.0)
            values[index] = values[index] * p / q

    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((2, 768, 768)).astype(np.float32)
    z, out = rng.standard_normal(4096).astype(np.float32), np.empty(4096, np.float32)
    found = common.fastest(
        {"gemm": lambda: a @ b, "tanh": lambda: np.tanh(z, out=out), "compiled": lambda: rational(z)},
        seconds=1.0,
    )
    return 2 * 768**3 / found["gemm"], min(found["tanh"], found["compiled"]) / 4096


def measure(sizes: tuple[int, ...], n_rows: int, batches: tuple[int, ...]) -> dict[str, float]:
    """Return the best seconds per chain of each engine."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((n_rows, sizes[0]))
    y = rng.integers(0, sizes[-1], n_rows) if sizes[-1] > 1 else rng.standard_normal(n_rows)
    best: dict[str, float] = {}
    for n_chains in batches:
        # A few milliseconds a call: long enough for what starting one costs, no longer than a turn of the others.
        repeats = max(3, int(4e4 / (n_rows * n_chains)))
        posteriors = {engine: make_posterior(sizes, x, y, engine) for engine in ("numba", "numpy")}
        theta = 0.3 * rng.standard_normal((n_chains, posteriors["numpy"].layout.n_params))
        calls = {
            engine: lambda target=target, theta=theta: target.log_density_and_grad(theta)
            for engine, target in posteriors.items()
        }
        found = common.fastest(calls | {"JAX": make_jax(sizes, x, y, theta, repeats)}, seconds=1.5)
        found["JAX"] /= repeats
        for engine, seconds in found.items():
            best[engine] = min(best.get(engine, np.inf), seconds / n_chains)
    return best


def main() -> None:
    """Measure all cases and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--against", type=Path, help="another checkout of this project")
    other = parser.parse_args().against
    compared = against.ratios(other, CASES) if other else {}
    rate, tanh = machine_rates()
    measured = {}
    for name, (sizes, n_rows, batches) in CASES.items():
        measured[name] = measure(sizes, n_rows, batches)
        # Again after every case: a limit is the best that the machine was ever seen to do.
        again = machine_rates()
        rate, tanh = max(rate, again[0]), min(tanh, again[1])
    rows = []
    for name, (sizes, n_rows, _) in CASES.items():
        best = measured[name]
        layers = [n_in * n_out for n_in, n_out in pairwise(sizes)]
        # Three products a layer, of which the first needs no gradient by its inputs.
        flops = 2 * n_rows * (3 * sum(layers) - layers[0])
        roofline = flops / rate + n_rows * sum(sizes[1:-1]) * tanh
        rows.append(
            [name]
            + [f"{1e6 * best[engine]:.1f}" for engine in ("numba", "numpy", "JAX")]
            + [f"{best['numba'] / best['JAX']:.2f}", f"{best['numpy'] / best['JAX']:.2f}"]
            + [f"{1e6 * roofline:.1f}", f"{roofline / best['numba']:.2f}"]
            + [f"{ratio:.2f}" for ratio in compared.get(name, ())]
        )
    note = (
        f"Microseconds per chain in float32, each at its best batch size. The roofline is the time of the products "
        f"at {rate / 1e9:.0f} GFLOP/s and of the hyperbolic tangents at {1e9 * tanh:.2f} ns, both measured in this run."
    )
    header = ["case", "numba", "numpy", "JAX", "numba / JAX", "numpy / JAX", "roofline", "of it reached"]
    header += ["numba / other, one chain", "numba / other, best batch"] if other else []
    common.write_table("gradient", "Log density and gradient", header, rows, note)


if __name__ == "__main__":
    main()
