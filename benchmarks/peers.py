"""Other samplers, each as its own documentation uses it and in an environment of its own, which `make benchmark` makes.

`run` is called by the other scripts and starts this one there. On iris the target is a 4-10-3 tanh network, softmax,
N(0, 1) on every weight and bias, in the order of the package's layout; those functions return what `iris.figures`
needs.
"""

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import common
import numpy as np

PEERS = {"numpyro_nuts": "numpyro", "blackjax_mala": "blackjax", "bde": "bde"}
"""Function of this script -> the environment that it needs"""
N_CHAINS = 4
N_PARAMS = 83
BDE: dict[str, Any] = {
    "n_members": 10,
    "hidden_layers": [16] * 4,
    "epochs": 1000,
    "validation_split": 0.15,
    "lr": 1e-3,
    "weight_decay": 1e-4,
    "warmup_steps": 50_000,
    "n_samples": 1000,
    "n_thinning": 10,
    "patience": 20,
    "seed": 0,
}
"""The setting of bde's paper"""
Run = tuple[np.ndarray, np.ndarray, dict[str, float]]
"""Class probabilities (chain, draw, quantity), log densities (chain, draw), and seconds of "warmup" and "draws" """


def run(name: str, *arrays: np.ndarray | int) -> Any:
    """Return what the function of that name of this script says of the arrays, computed in its peer's environment."""
    return run_in(PEERS[name], __file__, name, *arrays)


def run_in(environment: str | Path, script: str | Path, name: str, *arrays: np.ndarray | int | str) -> Any:
    """Return what a function of a script, which ends as this one does, says of arrays.

    It is computed by the Python of an environment that is named, or by the Python at a path.
    """
    python = (
        environment if isinstance(environment, Path) else common.environment(environment) / "bin" / "python"
    )
    if not python.exists():
        raise FileNotFoundError(f"there is no {python}: make benchmark makes it")
    with tempfile.TemporaryDirectory() as folder:
        given, found = Path(folder, "given.npz"), Path(folder, "found.npz")
        np.savez(given, *arrays)
        subprocess.run([python, script, name, given, found], check=True)
        with np.load(found) as answer:
            return tuple(
                json.loads(value.item()) if value.dtype.kind == "U" else value for value in answer.values()
            )


def jax_network(weights, inputs):
    """Return the logits, (obs, class), of one parameter vector."""
    import jax.numpy as jnp

    hidden = jnp.tanh(inputs @ weights[:40].reshape(4, 10) + weights[40:50])
    return hidden @ weights[50:80].reshape(10, 3) + weights[80:]


def jax_probability(weights, x_test: np.ndarray) -> np.ndarray:
    """Return class probabilities, (chain, draw, quantity), of draws (chain, draw, param)."""
    import jax
    import jax.numpy as jnp

    logits = jax.jit(jax.vmap(jax.vmap(lambda w: jax_network(w, jnp.asarray(x_test)))))(weights)
    probability = np.asarray(jax.nn.softmax(logits), dtype=np.float64)
    return probability.reshape(*probability.shape[:2], -1)


def numpyro_nuts(x: np.ndarray, y: np.ndarray, x_test: np.ndarray, draws: int = 1000) -> Run:
    """Sample with NumPyro's NUTS, four chains one after the other, in float32."""
    import jax
    import jax.numpy as jnp
    import numpyro
    import numpyro.distributions as dist
    from numpyro.infer import MCMC, NUTS

    def model():
        weights = numpyro.sample("weights", dist.Normal(0, 1).expand([N_PARAMS]).to_event(1))
        logits = jax_network(weights, jnp.asarray(x))
        numpyro.sample("y", dist.Categorical(logits=logits), obs=jnp.asarray(y))

    sampler = MCMC(
        NUTS(model),
        num_warmup=500,
        num_samples=draws,
        num_chains=N_CHAINS,
        chain_method="sequential",
        progress_bar=False,
    )
    fields = ("potential_energy",)
    sampler.warmup(jax.random.PRNGKey(4), extra_fields=fields)  # compiles warm-up
    start = time.perf_counter()
    sampler.warmup(jax.random.PRNGKey(0), extra_fields=fields)
    warmed = time.perf_counter()
    sampler.run(jax.random.PRNGKey(1), extra_fields=fields)  # compiles drawing
    begin = time.perf_counter()
    sampler.run(jax.random.PRNGKey(2), extra_fields=fields)
    seconds = {"warmup": warmed - start, "draws": time.perf_counter() - begin}
    weights = sampler.get_samples(group_by_chain=True)["weights"]
    energy = np.asarray(sampler.get_extra_fields(group_by_chain=True)["potential_energy"], dtype=np.float64)
    return jax_probability(weights, x_test), -energy, seconds


def blackjax_mala(x: np.ndarray, y: np.ndarray, x_test: np.ndarray, draws: int = 20_000) -> Run:
    """Sample with BlackJAX's MALA, four chains side by side, its step size by BlackJAX's dual averaging to 0.574."""
    import blackjax
    import jax
    import jax.numpy as jnp
    from blackjax.adaptation.step_size import dual_averaging_adaptation

    inputs, target = jnp.asarray(x, jnp.float32), jnp.asarray(y)
    constant = -0.5 * N_PARAMS * np.log(2 * np.pi)

    def log_density(weights):
        log_probability = jax.nn.log_softmax(jax_network(weights, inputs))
        likelihood = jnp.take_along_axis(log_probability, target[:, None], axis=1).sum()
        return likelihood - 0.5 * jnp.sum(weights**2) + constant

    kernel = blackjax.mala.build_kernel()
    begin, update, final = dual_averaging_adaptation(0.574)

    @jax.jit
    def warm_up(key, position):
        def body(carry, key):
            state, search = carry
            keys = jax.random.split(key, N_CHAINS)
            step = jnp.exp(search.log_step_size)
            state, info = jax.vmap(lambda k, s: kernel(k, s, log_density, step))(keys, state)
            return (state, update(search, info.acceptance_rate.mean())), None

        start = (jax.vmap(lambda p: blackjax.mala.init(p, log_density))(position), begin(1e-3))
        (state, search), _ = jax.lax.scan(body, start, jax.random.split(key, draws // 2))
        return state, final(search)

    @jax.jit
    def draw(key, state, step):
        def body(state, key):
            keys = jax.random.split(key, N_CHAINS)
            state, _ = jax.vmap(lambda k, s: kernel(k, s, log_density, step))(keys, state)
            return state, (state.position, state.logdensity)

        return jax.lax.scan(body, state, jax.random.split(key, draws))

    key = jax.random.PRNGKey(0)
    position = jax.random.normal(key, (N_CHAINS, N_PARAMS))
    jax.block_until_ready(warm_up(jax.random.PRNGKey(4), position))  # compiles warm-up
    start = time.perf_counter()
    state, step = jax.block_until_ready(warm_up(jax.random.PRNGKey(1), position))
    warmed = time.perf_counter()
    jax.block_until_ready(draw(jax.random.PRNGKey(2), state, step))  # compiles drawing
    drawing = time.perf_counter()
    _, (weights, density) = jax.block_until_ready(draw(jax.random.PRNGKey(3), state, step))
    seconds = {"warmup": warmed - start, "draws": time.perf_counter() - drawing}
    probability = jax_probability(weights.swapaxes(0, 1), x_test)
    return probability, np.asarray(density.T, dtype=np.float64), seconds


def notebooks(x: np.ndarray, y: np.ndarray, x_test: np.ndarray, draws: int = 2000) -> Run:
    """Sample by the algorithm of Chandra & Simmons (2024) as their notebooks run it, row by row in NumPy.

    Every other proposal is an epoch of stochastic gradient descent over the training rows, one at a time, plus
    noise, and needs the same epoch back; the others are a random walk. The settings are theirs: learning rate 0.01,
    noise of standard deviation 0.025, the first half of the iterations thrown away.
    """
    from bnn.model.categorical import softmax

    learning_rate, noise = 0.01, 0.025
    one_hot = np.eye(3)[y]

    def unpack(theta):
        return theta[:40].reshape(4, 10), theta[40:50], theta[50:80].reshape(10, 3), theta[80:]

    def logits(theta, inputs):
        first, first_bias, second, second_bias = unpack(theta)
        return np.tanh(inputs @ first + first_bias) @ second + second_bias

    def log_density(theta):
        output = logits(theta, x)
        top = output.max(axis=1)
        log_total = top + np.log(np.exp(output - top[:, None]).sum(axis=1))
        prior = -0.5 * theta @ theta - 0.5 * N_PARAMS * np.log(2 * np.pi)
        return float((output[np.arange(len(y)), y] - log_total).sum() + prior)

    def epoch(theta):
        theta = theta.copy()
        first, first_bias, second, second_bias = unpack(theta)
        for row, target in zip(x, one_hot, strict=True):
            hidden = np.tanh(row @ first + first_bias)
            delta = target - softmax(hidden @ second + second_bias)
            below = (second @ delta) * (1.0 - hidden * hidden)
            second += learning_rate * np.outer(hidden, delta)
            second_bias += learning_rate * delta
            first += learning_rate * np.outer(row, below)
            first_bias += learning_rate * below
        return theta

    kept, densities, seconds = [], [], {"warmup": 0.0, "draws": 0.0}
    for chain in range(N_CHAINS):
        rng = np.random.default_rng(chain)
        theta = rng.standard_normal(N_PARAMS)
        current = log_density(theta)
        path, levels = np.empty((draws, N_PARAMS)), np.empty(draws)
        start = time.perf_counter()
        for move in range(2 * draws):
            if move == draws:
                seconds["warmup"] += time.perf_counter() - start
                start = time.perf_counter()
            uses_gradient = rng.random() < 0.5
            centre = epoch(theta) if uses_gradient else theta
            proposal = centre + noise * rng.standard_normal(N_PARAMS)
            log_ratio = 0.0
            if uses_gradient:
                back = theta - epoch(proposal)
                forth = proposal - centre
                log_ratio = 0.5 * (forth @ forth - back @ back) / noise**2
            proposed = log_density(proposal)
            if np.log(rng.random()) < proposed - current + log_ratio:
                theta, current = proposal, proposed
            if move >= draws:
                path[move - draws], levels[move - draws] = theta, current
        seconds["draws"] += time.perf_counter() - start
        kept.append(np.stack([softmax(logits(theta, x_test)).ravel() for theta in path]))
        densities.append(levels)
    return np.stack(kept), np.stack(densities), seconds


def bde(x: np.ndarray, y: np.ndarray, x_test: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return CPU seconds of bde's regressor, and its means and noise scales at the test rows, (draw, row)."""
    from bde import BdeRegressor
    from bde.loss import GaussianNLL

    model = BdeRegressor(loss=GaussianNLL(), **BDE)
    start = time.process_time()
    model.fit(x.astype(np.float32), y.astype(np.float32)[:, None])
    seconds = time.process_time() - start
    raw = np.asarray(model.predict(x_test.astype(np.float32), raw=True), dtype=np.float64)
    raw = raw.reshape(-1, *raw.shape[2:])
    return np.array(seconds), raw[..., 0], np.logaddexp(0.0, raw[..., 1]) + 1e-6


def main(functions: Mapping[str, Any], name: str, given: str, found: str) -> None:
    """Run a peer on the arrays of one file, and write what it returns to another."""
    with np.load(given) as arrays:
        answer = functions[name](*(array if array.ndim else array.item() for array in arrays.values()))
    np.savez(found, *(np.array(json.dumps(part)) if isinstance(part, dict) else part for part in answer))


if __name__ == "__main__":
    main(globals(), *sys.argv[1:])
