"""The output layer integrated out: the density, its gradient, and the weights that are drawn afterwards."""

import hashlib
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from bnn.core.seeding import ChainRandom, Stream
from bnn.core.settings import BlockPriorSettings, LikelihoodSettings, NetworkSettings, PriorSettings
from bnn.mcmc.coordinates import Coordinates
from bnn.mcmc.kernels.base import start_with_grad
from bnn.mcmc.target import CountedTarget
from bnn.model.collapsed import CollapsedPosterior
from bnn.model.likelihoods import LOG_NOISE_SCALE
from bnn.model.posterior import Posterior, make_posterior
from bnn.model.priors import LOG_PRIOR_SCALE
from bnn.model.regression_rows import MatrixRows

N_ROWS = 24
LOG_NOISE_MEAN, LOG_NOISE_SD = -1.0, 0.8


def make_whole(
    hidden=(5, 4),
    *,
    activation="tanh",
    learned="none",
    noise="sampled",
    precision="float64",
    engine="numpy",
    family="gaussian",
    prior="normal",
    n_rows=N_ROWS,
) -> Posterior:
    rng = np.random.default_rng(7)
    x = rng.standard_normal((n_rows, 3))
    weights = BlockPriorSettings(prior, 1.3, 4.0)
    return make_posterior(
        x,
        np.sin(x[:, 0]) + 0.3 * rng.standard_normal(n_rows),
        n_classes=None,
        network=NetworkSettings(hidden, activation, precision, engine),
        prior=PriorSettings(weights, BlockPriorSettings("normal", 0.7, 4.0), True, learned),
        likelihood=LikelihoodSettings(family, noise, 4.0, LOG_NOISE_MEAN, LOG_NOISE_SD),
    )


def collapse(n_chains=3, **settings) -> CollapsedPosterior:
    """Return a posterior for so many chains at a time; with Student-t noise precisions differ by row and by chain."""
    found = CollapsedPosterior.of(make_whole(**settings))
    assert found is not None
    found.row_precision = np.random.default_rng(5).gamma(2.0, 0.5, (3, found.n_mixing))[:n_chains]
    return found


def draws(posterior: CollapsedPosterior, n: int = 3) -> np.ndarray:
    return 0.6 * np.random.default_rng(3).standard_normal((n, posterior.layout.n_params))


def design(
    posterior: CollapsedPosterior, rest: np.ndarray, chain: int = 0
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the features with a column of ones, the prior scales of the output weights, and each row's noise scale."""
    whole = posterior.whole
    blocks = posterior.layout.unpack(rest[None])
    features = whole.x
    for weight, bias in whole.network.layers[:-1]:
        z = features @ blocks[weight][0] + blocks[bias][0]
        features = np.tanh(z) if whole.network.activation_name == "tanh" else np.maximum(z, 0.0)
    scales = []
    for name, size in zip(whole.network.layers[-1], (features.shape[1], 1), strict=True):
        factor = blocks.get(LOG_PRIOR_SCALE + name)
        scales += [whole.prior.blocks[name].scale * (1.0 if factor is None else np.exp(factor.item()))] * size
    log_noise = blocks[LOG_NOISE_SCALE].item() if LOG_NOISE_SCALE in blocks else np.log(0.4)
    noise = np.full(N_ROWS, np.exp(log_noise))
    if whole.network.sizes[-1] == 2:
        weight, bias = (blocks[name + ".noise"][0] for name in whole.network.layers[-1])
        noise = np.exp(LOG_NOISE_MEAN + LOG_NOISE_SD * (features @ weight + bias))
    if posterior.n_mixing:
        noise = noise / np.sqrt(posterior.row_precision[chain])
    return np.column_stack([features, np.ones(N_ROWS)]), np.array(scales), noise


FAMILIES = ["gaussian", "student_t", "heteroscedastic", "heteroscedastic_student_t"]
CASES = [
    {},
    {"hidden": (6,)},
    {"hidden": ()},
    {"activation": "relu"},
    {"learned": "layer"},
    {"learned": "ard"},
    {"noise": 0.4},
    {"family": "student_t"},
    {"family": "student_t", "noise": 0.4, "learned": "layer"},
    {"family": "heteroscedastic"},
    {"family": "heteroscedastic", "hidden": ()},
    {"family": "heteroscedastic", "learned": "layer"},
    {"family": "heteroscedastic_student_t"},
    {"family": "heteroscedastic_student_t", "hidden": (), "learned": "layer"},
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_the_density_is_that_of_the_targets_without_the_weights(case):
    """Given the rest, targets are jointly normal with covariance diag(s^2) + Phi L^-1 Phi'."""
    posterior = collapse(**case)
    found = posterior.log_density(draws(posterior))
    for chain, rest in enumerate(draws(posterior)):
        features, scales, noise = design(posterior, rest, chain)
        covariance = np.diag(noise**2) + (features * scales**2) @ features.T
        expected = stats.multivariate_normal(np.zeros(N_ROWS), covariance).logpdf(posterior.whole.target)
        expected += posterior.prior.log_density_and_grad(rest[None])[0][0]
        assert found[chain] == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("engine", ["numpy", "numba"])
@pytest.mark.parametrize("case", CASES, ids=str)
def test_the_gradient_is_that_of_central_differences(case, engine):
    if engine == "numba":
        pytest.importorskip("numba", reason="Numba is not installed")
    posterior = collapse(**case, engine=engine)
    rest, step = draws(posterior), 1e-5
    total, grad = posterior.log_density_and_grad(rest)
    assert np.allclose(total, posterior.log_density(rest), rtol=1e-12)
    for index in range(rest.shape[1]):
        shift = np.zeros(rest.shape[1])
        shift[index] = step
        numeric = (posterior.log_density(rest + shift) - posterior.log_density(rest - shift)) / (2 * step)
        assert np.abs(numeric - grad[:, index]).max() < 1e-6 * np.abs(grad).max()


@pytest.mark.parametrize(
    "case", [{}, {"learned": "layer"}, *({"family": one} for one in FAMILIES[1:])], ids=str
)
def test_weights_are_drawn_from_their_conditional_distribution(case):
    """Mean and covariance from the textbook's formulas, within 4.5 standard errors (90 of them: 6e-4 false alarms)."""
    posterior = collapse(**case)
    rest = draws(posterior, 1)[0]
    features, scales, noise = design(posterior, rest)
    weighted = features / noise[:, None] ** 2
    covariance = np.linalg.inv(np.diag(scales**-2.0) + features.T @ weighted)
    mean = covariance @ weighted.T @ posterior.whole.target
    n = 20_000
    posterior.row_precision = np.tile(posterior.row_precision[:1], (n, 1))
    theta = posterior.complete(
        np.tile(rest, (n, 1)), ChainRandom([np.random.default_rng(i) for i in range(n)])
    )
    assert np.array_equal(posterior.reduce(theta), np.tile(rest, (n, 1)))
    blocks = posterior.whole.layout.unpack(theta)
    weight, bias = posterior.whole.network.layers[-1]
    drawn = np.column_stack([blocks[weight][..., 0], blocks[bias][..., 0]])
    deviation = np.sqrt(np.diag(covariance))
    assert np.abs(drawn.mean(axis=0) - mean).max() < 4.5 * (deviation / np.sqrt(n)).max()
    error = np.sqrt((covariance**2 + np.outer(deviation, deviation) ** 2) / n)
    assert (np.abs(np.cov(drawn.T) - covariance) < 4.5 * error).all()


@pytest.mark.parametrize("family", ["gaussian", "heteroscedastic"])
def test_the_joint_density_is_the_marginal_times_the_conditional(family):
    """log p(theta, y) = log p(rest, y) + log p(weights | rest, y), for weights drawn or not."""
    posterior = collapse(learned="layer", family=family)
    rest = draws(posterior)
    theta = posterior.complete(rest, ChainRandom([np.random.default_rng(i) for i in range(len(rest))]))
    weight, bias = posterior.whole.network.layers[-1]
    for own, all_of_it in zip(rest, theta, strict=True):
        features, scales, noise = design(posterior, own)
        weighted = features / noise[:, None] ** 2
        covariance = np.linalg.inv(np.diag(scales**-2.0) + features.T @ weighted)
        mean = covariance @ weighted.T @ posterior.whole.target
        blocks = posterior.whole.layout.unpack(all_of_it[None])
        weights = np.append(blocks[weight][0, :, 0], blocks[bias][0, 0])
        conditional = stats.multivariate_normal(mean, covariance).logpdf(weights)
        joint = posterior.whole.log_density(all_of_it[None])[0]
        assert joint == pytest.approx(posterior.log_density(own[None])[0] + conditional, rel=1e-9)


@pytest.mark.parametrize("family", ["student_t", "heteroscedastic_student_t"])
def test_row_precisions_are_drawn_from_their_conditional_distribution(family):
    """Means over many draws, with output weights drawn too, within 4.5 standard errors (24: 2e-4 false alarms).

    Given weights w a row's precision has the mean (df + 1)/(df + r^2/s^2), r = y - Phi w, and w is normal: its mean
    over w is taken by quadrature.
    """
    posterior = collapse(family=family, hidden=(6,))
    rest = draws(posterior, 1)[0]
    features, scales, noise = design(posterior, rest)
    weighted = features / noise[:, None] ** 2
    covariance = np.linalg.inv(np.diag(scales**-2.0) + features.T @ weighted)
    residual = posterior.whole.target - features @ covariance @ weighted.T @ posterior.whole.target
    spread = np.sqrt(np.einsum("nk,kl,nl->n", features, covariance, features))
    scale = (noise * np.sqrt(posterior.row_precision[0]))[:, None]
    nodes, quadrature = np.polynomial.hermite_e.hermegauss(60)
    squares = ((residual[:, None] + spread[:, None] * nodes) / scale) ** 2
    expected = (5.0 / (4.0 + squares)) @ quadrature / quadrature.sum()
    n = 20_000
    posterior.row_precision = np.tile(posterior.row_precision[:1], (n, 1))
    random = ChainRandom([np.random.default_rng(i) for i in range(n)])
    drawn = posterior.sample_row_precision(np.tile(rest, (n, 1)), random)
    error = drawn.std(axis=0) / np.sqrt(n)
    assert (np.abs(drawn.mean(axis=0) - expected) < 4.5 * error).all()
    wrong = (4.0 / (4.0 + squares)) @ quadrature / quadrature.sum()
    assert not (np.abs(drawn.mean(axis=0) - wrong) < 4.5 * error).all(), "the mutant of one degree less"


@pytest.mark.slow
@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("engine", ["numpy", "numba"])
def test_single_precision_and_both_engines_agree(engine, family):
    if engine == "numba":
        pytest.importorskip("numba", reason="Numba is not installed")
    exact = collapse(family=family)
    single = collapse(precision="float32", engine=engine, family=family)
    rest = draws(exact)
    total, grad = exact.log_density_and_grad(rest)
    rough_total, rough_grad = single.log_density_and_grad(rest)
    assert np.allclose(rough_total, total, rtol=1e-5)
    assert np.abs(rough_grad - grad).max() < 1e-4 * np.abs(grad).max()


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("engine", ["numpy", "numba"])
def test_a_chain_is_the_same_alone_and_among_others(family, engine):
    if engine == "numba":
        pytest.importorskip("numba", reason="Numba is not installed")
    posterior, alone = collapse(family=family, engine=engine), collapse(family=family, engine=engine)
    rest = draws(posterior)
    together = posterior.log_density_and_grad(rest)
    for index in range(3):
        alone.row_precision = posterior.row_precision[index : index + 1]
        one = alone.log_density_and_grad(rest[index : index + 1])
        assert np.array_equal(one[0], together[0][index : index + 1])
        assert np.array_equal(one[1], together[1][index : index + 1])


@pytest.mark.parametrize("family", ["gaussian", "student_t"])
def test_the_density_that_is_kept_is_one_of_the_parameters_alone(family):
    """Row precisions, drawn anew after each iteration, would make it another one at the same place."""
    posterior = collapse(family=family)
    target = CountedTarget(Coordinates(posterior, principal_axes=False), None, None)
    rest = draws(posterior)
    theta = posterior.complete(rest, ChainRandom.of_chains(1, Stream.OUTPUT, range(3)))
    found = []
    for scale in (1.0, 3.0):
        posterior.row_precision = posterior.row_precision * scale
        found.append(target.log_density_of_draw(theta, start_with_grad(rest, target)))
    assert np.array_equal(found[0], found[1])
    if family == "student_t":
        np.testing.assert_allclose(found[0], posterior.whole.log_density(theta), rtol=1e-12)


@pytest.mark.parametrize("engine", ["numpy", "numba"])
@pytest.mark.parametrize("family", FAMILIES)
def test_many_rows_are_taken_in_parts(monkeypatch, family, engine):
    """Of NumPy in tiles, of Numba in blocks whose hidden units are kept for the gradient or made again."""
    from bnn.model import network

    settings = {"hidden": (6, 5), "family": family, "n_rows": 101}
    whole = collapse(**settings)
    if engine == "numpy":
        monkeypatch.setattr(network, "_TILE_BYTES", 11 * 8 * 5)
        parts = [collapse(**settings)]
        rows = parts[0]._rows
        assert isinstance(rows, MatrixRows)
        assert len(rows._tiles) > 1
    else:
        compiled = pytest.importorskip("bnn.model.compiled", reason="Numba is not installed")
        monkeypatch.setattr(compiled, "_ROWS_IN_BLOCK", 32)
        parts = [collapse(**settings, engine=engine)]
        monkeypatch.setattr(compiled, "_KEPT_BYTES", 0)
        parts.append(collapse(**settings, engine=engine))
        assert [getattr(part._rows, "_n_kept", 0) for part in parts] == [4, 1]
    rest = draws(whole)
    expected = whole.log_density_and_grad(rest)
    for part in parts:
        for one, other in zip(expected, part.log_density_and_grad(rest), strict=True):
            assert np.allclose(one, other, rtol=1e-10)


def test_numba_sees_when_loops_change_that_others_call():
    pytest.importorskip("numba", reason="Numba is not installed")
    from bnn.model import compiled_loops, compiled_rows

    source = Path(compiled_loops.__file__).read_bytes()
    assert hashlib.sha256(source).hexdigest().startswith(compiled_rows.LOOPS), "write the new digest there"


def test_a_density_that_overflows_is_minus_infinity_for_that_chain_alone():
    posterior = collapse()
    rest = draws(posterior)
    rest[1, posterior.layout.slices[LOG_NOISE_SCALE]] = -1000.0
    with np.errstate(all="ignore"):
        total, _ = posterior.log_density_and_grad(rest)
    assert total[1] == -np.inf or np.isnan(total[1])
    assert np.isfinite(total[[0, 2]]).all()


@pytest.mark.parametrize(
    "case", [{"prior": "laplace"}, {"prior": "student_t"}, {"hidden": (), "learned": "ard"}], ids=str
)
def test_other_models_are_left_as_they_are(case):
    assert CollapsedPosterior.of(make_whole(**case)) is None


@pytest.mark.parametrize("engine", ["numpy", "numba"])
def test_a_density_of_little_noise_is_not_lost_to_rounding(engine, monkeypatch):
    """Sums that are 1/variance times the residuals' cancel: in float32 nothing of the density would be left."""
    exact = collapse(hidden=(6,))
    single = collapse(hidden=(6,), precision="float32", engine=engine)
    rest = draws(exact)
    rest[:, exact.layout.slices[LOG_NOISE_SCALE]] = np.log(2e-3)
    rest[1, exact.layout.slices[LOG_NOISE_SCALE]] = np.log(0.3)
    near = rest[None] + 1e-5 * np.random.default_rng(5).standard_normal((20, *rest.shape))

    def rough(posterior: CollapsedPosterior) -> np.ndarray:
        """Return how far changes of the density along small steps are from those in float64, (chain,)."""
        found = np.array([posterior.log_density(step) for step in near])
        right = np.array([exact.log_density(step) for step in near])
        return np.abs((found - found[0]) - (right - right[0])).max(axis=0)

    own = rough(single)
    assert own.max() < 0.2
    alone = single.log_density(rest[1:2])
    assert alone == single.log_density(rest)[1:2], "a chain is the same beside others"
    if engine == "numba":
        monkeypatch.setattr(single._rows, "_most", np.inf)
    monkeypatch.setattr("bnn.model.regression_rows.MOST_ROUNDING", np.inf)
    assert rough(single).max() > 10 * own.max(), "the mutant that sums in float32"
