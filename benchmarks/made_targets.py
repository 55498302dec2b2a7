"""Tables of every kind of target, from distributions that are known."""

from collections.abc import Callable, Mapping

import numpy as np


def _gamma_poisson(mean: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return rng.poisson(mean * rng.gamma(1.5, 1 / 1.5, len(mean))).astype(float)


Noisy = Callable[[np.ndarray, np.ndarray, np.random.Generator], np.ndarray]
KINDS: Mapping[str, Noisy] = {
    "gaussian": lambda f, s, rng: 5 * (f + 0.3 * rng.normal(size=len(f))) + 20,
    "student_t": lambda f, s, rng: 5 * (f + 0.15 * rng.standard_t(2.5, len(f))) + 20,
    "heteroscedastic": lambda f, s, rng: 5 * (f + np.exp(s - 1.5) * rng.normal(size=len(f))) + 20,
    "heteroscedastic_student_t": lambda f, s, rng: (
        5 * (f + np.exp(s - 2.2) * rng.standard_t(2.5, len(f))) + 20
    ),
    "poisson": lambda f, s, rng: rng.poisson(np.exp(0.8 + f)).astype(float),
    "negative_binomial": lambda f, s, rng: _gamma_poisson(np.exp(1.2 + f), rng),
    "log_normal": lambda f, s, rng: np.exp(2.0 * f + 0.6 * rng.normal(size=len(f))),
    "heteroscedastic_log_normal": lambda f, s, rng: np.exp(
        2.0 * f + np.exp(s - 0.7) * rng.normal(size=len(f))
    ),
    "hurdle": lambda f, s, rng: np.where(
        rng.random(len(f)) < 1 / (1 + np.exp(1 - 2 * s)), 0.0, np.exp(1 + f + 0.5 * rng.normal(size=len(f)))
    ),
    "logit_normal": lambda f, s, rng: 1 / (1 + np.exp(-(1.5 * f + 0.5 * rng.normal(size=len(f))))),
    "heteroscedastic_logit_normal": lambda f, s, rng: (
        1 / (1 + np.exp(-(1.5 * f + np.exp(s - 0.7) * rng.normal(size=len(f)))))
    ),
}
"""Family -> a target of it: of a smooth function of the features, of another by which noise varies, and random."""


def table(kind: str, n_rows: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return features, (obs, 4), of which the last means nothing, and the target, (obs,)."""
    rng = np.random.default_rng([list(KINDS).index(kind), n_rows, seed])
    x = rng.normal(size=(n_rows, 4))
    smooth = np.sin(1.5 * x[:, 0]) + 0.5 * x[:, 1] * np.tanh(x[:, 2])
    return x, KINDS[kind](smooth, 0.8 * x[:, 1], rng)
