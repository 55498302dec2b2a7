"""A pilot run: a twelfth of the chains with their own kernel, and from it whether all of them would agree."""

from dataclasses import replace

import numpy as np

from bnn.core.settings import ChainSettings
from bnn.diagnostics import mixing
from bnn.mcmc.chain import ChainRun, quiet_overflow
from bnn.model.network import resolve_engine
from bnn.model.posterior import make_posterior
from bnn.model.targets import Target
from bnn.selection.cheap_fit import median_rhat

_SHARE = 12
"""Gradients that chains may take, to those of their pilot."""
_ITERATIONS = 100
"""Of warm-up; two rounds of as many follow."""
FEWEST_STEPS = 4
"""Steps to which trajectories are limited at the least, however few gradients there are."""
_MOST_ROWS = 200
_MOST_DRAWS = 2000
"""Of a chain, all of which are kept in memory: kernels of few gradients an iteration would make many."""
_ENOUGH = 1.002
"""Median R-hat over rows, foreseen for the end of the chains, up to which their worst row will hardly exceed 1.05. From
33,000 gradients 1.0008 was foreseen on concrete for a network that reached PASS (log-normal noise, 50-50 units, scale
2), and 1.0004 on abalone (noise that varies, 50 units, scale 1: WARN)."""


def will_agree(
    x: np.ndarray, y: np.ndarray, *, n_chains: int, settings: ChainSettings, target: Target | None
) -> bool:
    """Return whether the chains are likely to agree once their gradients are used up.

    The excess of R-hat over 1 falls as the number of effective draws rises, and so with the gradients.

    Parameters
    ----------
    x, y
        Training rows, shapes (obs, input) and (obs,), as a posterior of a real target takes them.
    n_chains
        Chains to run side by side.
    settings
        Of the chains; `sampler.most_gradients` is given.
    target
        How the likelihood describes a real target.
    """
    sampler = settings.sampler
    assert sampler.most_gradients is not None
    n_gradients = sampler.most_gradients // _SHARE
    explore = min(sampler.explore, n_gradients // 5)
    most_steps = max(FEWEST_STEPS, (n_gradients - explore) // (3 * _ITERATIONS))
    posterior = make_posterior(
        x,
        y,
        n_classes=None,
        network=resolve_engine(settings.network),
        prior=settings.prior,
        likelihood=settings.likelihood,
        target=target,
    )
    short = replace(
        sampler,
        warmup=_ITERATIONS,
        thin=1,
        explore=explore,
        most_steps=min(sampler.most_steps, most_steps),
    )
    theta: list[np.ndarray] = []
    try:
        with quiet_overflow():
            run = ChainRun(posterior, range(n_chains), settings.seed, short)
            while len(theta) < mixing.MIN_DRAWS or (
                run.state.n_gradients < n_gradients and len(theta) < _MOST_DRAWS
            ):
                draw = run.step()
                if draw is not None:
                    theta.append(draw.theta)
    except FloatingPointError:
        return False
    rows = np.unique(np.linspace(0, len(x) - 1, _MOST_ROWS).astype(np.int64))
    found = median_rhat(posterior.network, posterior.x[rows], np.stack(theta, axis=1))
    return 1.0 + (found - 1.0) / _SHARE <= _ENOUGH
