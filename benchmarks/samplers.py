"""Samplers that `benchmarks/convergence.py` compares, each as its documentation uses it, in an environment of its own.

Every function samples a dense tanh network with N(0, 1) on every weight and bias, in the order of this package's
layout, and for a real target normal noise with log standard deviation ~ N(-1, 1), last in theta. It takes training
inputs (obs, feature) and targets (class index, or standardised), test inputs, sizes of all layers, a seed, and how many
draws follow how many iterations of warm-up, and returns draws of what the network predicts for test rows (chain, draw,
quantity), thinned to at most `MOST_DRAWS`, and gradients of all chains. Four chains run one after the other, or side by
side where that is cheaper.
"""

import itertools
import sys
from collections.abc import Callable
from typing import Any

import common  # noqa: F401, limits threads before NumPy is loaded
import numpy as np
import peers

ENVIRONMENTS = {"numpyro_nuts": "numpyro", "nutpie": "nutpie", "mclmc": "blackjax", "mams": "blackjax"}
"""Function of this script -> the environment that it needs; `ours` and `earlier` run in that of this package"""
N_CHAINS = 4
MOST_DRAWS = 1000
NOISE = -1.0, 1.0
"""Mean and standard deviation of the log noise"""

Answer = tuple[np.ndarray, np.ndarray]


def few(theta: np.ndarray) -> np.ndarray:
    """Return at most `MOST_DRAWS` draws of each chain, evenly spaced, of (chain, draw, param)."""
    n_draws = theta.shape[1]
    return theta[:, np.unique(np.linspace(0, n_draws - 1, min(n_draws, MOST_DRAWS)).round().astype(int))]


def n_weights(sizes: np.ndarray) -> int:
    """Return the number of weights and biases."""
    return int(sum((a + 1) * b for a, b in itertools.pairwise(sizes)))


def jax_outputs(sizes: np.ndarray) -> Callable[[Any, Any], Any]:
    """Return a function of theta (param,) and inputs (obs, feature) with the outputs, (obs, output)."""
    import jax.numpy as jnp

    shapes = [(int(a), int(b)) for a, b in itertools.pairwise(sizes)]

    def outputs(theta, inputs):
        place, hidden = 0, inputs
        for layer, (n_in, n_out) in enumerate(shapes):
            weights = theta[place : place + n_in * n_out].reshape(n_in, n_out)
            place += n_in * n_out
            hidden = hidden @ weights + theta[place : place + n_out]
            place += n_out
            hidden = jnp.tanh(hidden) if layer < len(shapes) - 1 else hidden
        return hidden

    return outputs


def jax_log_density(x: np.ndarray, y: np.ndarray, sizes: np.ndarray) -> tuple[int, Callable[[Any], Any]]:
    """Return the number of parameters, and the log density of theta (param,) up to a constant, in float32."""
    import jax
    import jax.numpy as jnp

    outputs, inputs, is_class = jax_outputs(sizes), jnp.asarray(x, jnp.float32), y.dtype.kind == "i"
    target = jnp.asarray(y if is_class else y.astype(np.float32))
    mean, sd = NOISE

    def log_density(theta):
        output = outputs(theta, inputs)
        if is_class:
            log_probability = jax.nn.log_softmax(output)
            likelihood = jnp.take_along_axis(log_probability, target[:, None], axis=1).sum()
            return likelihood - 0.5 * jnp.sum(theta**2)
        weights, log_noise = theta[:-1], theta[-1]
        z = (target - output[:, 0]) * jnp.exp(-log_noise)
        likelihood = -0.5 * jnp.sum(z**2) - len(y) * log_noise
        return likelihood - 0.5 * jnp.sum(weights**2) - 0.5 * ((log_noise - mean) / sd) ** 2

    return n_weights(sizes) + (not is_class), log_density


def jax_predictions(theta: Any, x_test: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """Return probabilities of classes, or means, (chain, draw, quantity), of draws (chain, draw, param)."""
    import jax
    import jax.numpy as jnp

    outputs, inputs = jax_outputs(sizes), jnp.asarray(x_test, jnp.float32)
    found = jax.lax.map(jax.jit(jax.vmap(lambda one: outputs(one, inputs))), jnp.asarray(few(theta)))
    found = jax.nn.softmax(found) if sizes[-1] > 1 else found
    return np.asarray(found, dtype=np.float64).reshape(*found.shape[:2], -1)


def numpyro_nuts(x, y, x_test, sizes, seed, warmup, draws) -> Answer:
    """Sample with NumPyro's NUTS."""
    import jax
    from numpyro.infer import MCMC, NUTS

    n_params, log_density = jax_log_density(x, y, sizes)
    sampler = MCMC(
        NUTS(potential_fn=lambda theta: -log_density(theta)),
        num_warmup=warmup,
        num_samples=draws,
        num_chains=N_CHAINS,
        chain_method="sequential",
        progress_bar=False,
    )
    start, warming, drawing = jax.random.split(jax.random.PRNGKey(seed), 3)
    initial = jax.random.normal(start, (N_CHAINS, n_params))
    sampler.warmup(warming, init_params=initial, extra_fields=("num_steps",), collect_warmup=True)
    steps = sampler.get_extra_fields(group_by_chain=True)["num_steps"].sum()
    sampler.run(drawing, init_params=initial, extra_fields=("num_steps",))
    steps += sampler.get_extra_fields(group_by_chain=True)["num_steps"].sum()
    theta = sampler.get_samples(group_by_chain=True)
    return jax_predictions(theta, x_test, sizes), np.array(int(steps))


def nutpie(x, y, x_test, sizes, seed, warmup, draws) -> Answer:
    """Sample with nutpie's NUTS and its low-rank mass matrix."""
    import jax
    import nutpie
    from nutpie.compiled_pyfunc import from_pyfunc

    n_params, log_density = jax_log_density(x, y, sizes)
    value_and_grad = jax.jit(jax.value_and_grad(log_density))

    def make_logp():
        def logp(theta):
            value, grad = value_and_grad(theta.astype(np.float32))
            return float(value), np.asarray(grad, dtype=np.float64)

        return logp

    def make_expand(*_):
        return lambda theta: {"theta": theta}

    model = from_pyfunc(
        n_params,
        make_logp,
        make_expand,
        [np.dtype(np.float64)],
        [(n_params,)],
        ["theta"],
        make_initial_point_fn=lambda seed: np.random.default_rng(seed).standard_normal(n_params),
    )
    trace = nutpie.sample(
        model,
        draws=draws,
        tune=warmup,
        chains=N_CHAINS,
        cores=1,
        seed=seed,
        adaptation="low_rank",
        progress_bar=False,
    )
    steps = sum(int(trace[group]["n_steps"].sum()) for group in ("sample_stats", "warmup_sample_stats"))
    return jax_predictions(trace["posterior"]["theta"].to_numpy(), x_test, sizes), np.array(steps)


_FEWEST = 10
"""Draws below which a run is there to measure imports alone."""
_GRADIENTS_PER_STEP = 2
"""Of the integrator that both kernels of BlackJAX take by default, McLachlan's"""


def _blackjax(x, y, x_test, sizes, seed, n_moves: int, n_kept: int, tuned: Callable[..., Any]) -> Answer:
    """Sample with a kernel of BlackJAX, four chains side by side, tuned each by itself."""
    import jax
    import jax.numpy as jnp

    n_params, log_density = jax_log_density(x, y, sizes)
    thin = max(1, n_moves // n_kept)

    def chain(key):
        start, tuning, drawing = jax.random.split(key, 3)
        state, move, n_tuning = tuned(log_density, jax.random.normal(start, (n_params,)), tuning, n_moves)

        def kept(state, key):
            def body(carry, key):
                state, n_steps = carry
                state, n_new = move(key, state)
                return (state, n_steps + n_new), None

            (state, n_steps), _ = jax.lax.scan(body, (state, jnp.int32(0)), jax.random.split(key, thin))
            return state, (state.position, n_steps)

        _, (theta, n_steps) = jax.lax.scan(kept, state, jax.random.split(drawing, n_kept))
        return theta, n_tuning + n_steps.sum()

    theta, n_steps = jax.jit(jax.vmap(chain))(jax.random.split(jax.random.PRNGKey(seed), N_CHAINS))
    n_gradients = _GRADIENTS_PER_STEP * float(np.sum(n_steps))
    return jax_predictions(np.asarray(theta), x_test, sizes), np.array(n_gradients)


def mclmc(x, y, x_test, sizes, seed, warmup, draws) -> Answer:
    """Sample with BlackJAX's unadjusted microcanonical Langevin kernel: 40 steps a draw, three tenths more to tune."""
    import blackjax

    kernel = blackjax.mclmc.build_kernel()

    def tuned(log_density, position, key, n_moves):
        state = blackjax.mclmc.init(position, log_density, key)
        state, params, n_steps = blackjax.mclmc_find_L_and_step_size(
            kernel, n_moves, state, key, logdensity_fn=log_density, diagonal_preconditioning=True
        )

        def move(key, state):
            args = log_density, params.inverse_mass_matrix, params.L, params.step_size
            return kernel(key, state, *args)[0], 1

        return state, move, n_steps

    return _blackjax(x, y, x_test, sizes, seed, 40 * (warmup + draws) // 2, draws, tuned)


def mams(x, y, x_test, sizes, seed, warmup, draws) -> Answer:
    """Sample with BlackJAX's Metropolis-adjusted microcanonical kernel: ten moves a draw, two tenths more to tune."""
    import blackjax
    import jax
    import jax.numpy as jnp

    def n_steps_of(key, mean):
        # Uniform from 1, of that mean
        return jnp.ceil(jax.random.uniform(key) * (2.0 * mean - 1.0)).astype(jnp.int32)

    kernel = blackjax.adjusted_mclmc_dynamic.build_kernel(integration_steps_fn=n_steps_of)

    def tuned(log_density, position, key, n_moves):
        def step(rng_key, state, logdensity_fn, step_size, inverse_mass_matrix, integration_steps_params):
            return kernel(
                rng_key,
                state,
                logdensity_fn,
                step_size,
                inverse_mass_matrix=inverse_mass_matrix,
                integration_steps_params=integration_steps_params,
            )

        state = blackjax.adjusted_mclmc_dynamic.init(position, log_density, key)
        state, params, n_steps = blackjax.adjusted_mclmc_find_L_and_step_size(
            step, log_density, n_moves, state, key, target=0.9
        )
        mean = params.L / params.step_size

        def move(key, state):
            state, info = step(key, state, log_density, params.step_size, params.inverse_mass_matrix, (mean,))
            return state, info.num_integration_steps

        return state, move, n_steps

    return _blackjax(x, y, x_test, sizes, seed, 10 * (warmup + draws) // 2, draws, tuned)


def ours(x, y, x_test, sizes, seed, warmup, draws) -> Answer:
    """Sample with this package's default kernel, the output layer integrated out where a plan would."""
    from dataclasses import asdict, replace

    from bnn.core.progress import Silent
    from bnn.core.settings import (
        BlockPriorSettings,
        LikelihoodSettings,
        NetworkSettings,
        PriorSettings,
    )
    from bnn.mcmc.chain import run_chains
    from bnn.model.network import outputs, resolve_engine
    from bnn.model.posterior import make_posterior
    from bnn.model.targets import fit_target
    from bnn.selection.budget import Budget
    from bnn.selection.plan import make_plan

    side = BlockPriorSettings("normal", 1.0, 4.0)
    is_class = y.dtype.kind == "i"
    network = NetworkSettings(tuple(int(one) for one in sizes[1:-1]), "tanh", "auto", "auto")
    prior = PriorSettings(side, side, False, "none")
    likelihood = LikelihoodSettings("gaussian", "sampled", 4.0, *NOISE)
    posterior = make_posterior(
        x,
        y,
        n_classes=int(sizes[-1]) if is_class else None,
        network=resolve_engine(network),
        prior=prior,
        likelihood=likelihood,
        target=None if is_class else fit_target("gaussian", y, mean=0.0, scale=1.0),
    )
    settings = _settings(warmup, draws)
    if not is_class and draws >= _FEWEST:
        model = {"network": network, "prior": prior, "likelihood": likelihood, "sampler": settings}
        plain = {"seed": seed} | {name: asdict(one) for name, one in model.items()}
        plan = make_plan(x, y, n_classes=None, settings=plain, budget=Budget(N_CHAINS, N_CHAINS, 1.0))
        settings = replace(settings, collapse=plan["settings"]["sampler"]["collapse"])
    run = run_chains(posterior, range(N_CHAINS), seed, settings, Silent())
    found = outputs(posterior.network, few(run.theta).reshape(-1, run.theta.shape[-1]), x_test)
    return _predictions(found, is_class), np.array(N_CHAINS * run.n_gradients)


def earlier(x, y, x_test, sizes, seed, warmup, draws, checkout) -> Answer:
    """Sample with build d22f40b of this package, with its default kernel compiled in float32.

    Parameters
    ----------
    checkout
        Folder of that build.
    """
    sys.path.insert(0, checkout)
    from types import SimpleNamespace

    from bnn.chain import run_chains
    from bnn.chain_state import SamplerSettings
    from bnn.posterior import make_posterior
    from bnn.progress import Silent

    is_class = y.dtype.kind == "i"
    task = "classification" if is_class else "regression"
    mean, sd = NOISE
    side = {"family": "normal", "scale": 1.0, "df": 4.0}
    posterior = make_posterior(
        SimpleNamespace(task=task, n_outputs=int(sizes[-1]), x_train=x, y_train=y),
        network={
            "hidden": [int(one) for one in sizes[1:-1]],
            "activation": "tanh",
            "precision": "float32",
            "engine": "numba",
        },
        prior={"weights": side, "biases": side, "fan_in_scaling": False, "learned_scales": "none"},
        likelihood={
            "family": "gaussian",
            "noise": "sampled",
            "df": 4.0,
            "log_noise_mean": mean,
            "log_noise_sd": sd,
        },
    )
    settings = SamplerSettings(
        kernel="malt",
        warmup=warmup,
        draws=draws,
        thin=1,
        init="optimised",
        optimise_steps=500,
        optimise_learning_rate=0.01,
        explore=0,
        target_acceptance=None,
        trajectory_length=None,
        precondition=True,
        langevin={},
    )
    run = run_chains(posterior, range(N_CHAINS), seed, settings, Silent())
    theta = few(run.theta).reshape(-1, run.theta.shape[-1])
    network = posterior.network
    weights = theta[:, : n_weights(sizes)]
    layout = type(posterior.layout)(network.parameter_shapes)
    return _predictions(network.forward(layout.unpack(weights), x_test), is_class), np.array(np.nan)


def _settings(warmup: int, draws: int) -> Any:
    """Return settings of chains of this package, those of a run that a plan leaves to them."""
    from dataclasses import replace

    from bnn.selection.cheap_fit import SAMPLER

    own = {"warmup": warmup, "draws": draws, "thin": 1, "optimise_steps": 500}
    return replace(SAMPLER, kernel="auto", explore=4 * min(warmup, 1000), **own)


def _predictions(outputs: np.ndarray, is_class: bool) -> np.ndarray:
    """Return (chain, draw, quantity) of outputs (chain x draw, output, obs)."""
    found = np.asarray(outputs, dtype=np.float64).swapaxes(1, 2)
    if is_class:
        found = np.exp(found - found.max(axis=-1, keepdims=True))
        found /= found.sum(axis=-1, keepdims=True)
    return found.reshape(N_CHAINS, len(outputs) // N_CHAINS, -1)


if __name__ == "__main__":
    peers.main(globals(), *sys.argv[1:])
