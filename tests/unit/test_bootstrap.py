"""The paired bootstrap: replicates are scores, and standard errors are those of the formula."""

import dataclasses
import math

import numpy as np
import pytest
from scipy import stats

from bnn.core.identical_rows import stretches
from bnn.evaluation import assemble, bootstrap, scores
from bnn.evaluation.forecasts import mixture_forecast
from bnn.posterior.mixture import GaussianMixture
from tests.unit.synthetic_chains import make_dataset


@pytest.fixture
def rng():
    return np.random.default_rng(12)


def some_classes(rng, n):
    return rng.dirichlet(np.ones(3), size=n), rng.integers(0, 3, size=n)


def some_targets(rng, n, offset=0.0):
    y = 1e4 + rng.standard_normal(n)
    mixture = GaussianMixture(y + offset + rng.standard_normal((2, n)), np.array([1.0, 1.5]))
    return mixture_forecast(mixture, y), y


def test_a_replicate_is_the_score_of_the_rows_it_drew(rng):
    """Weights say how often a row was drawn: the scores are those of the table with its rows repeated."""
    n = 40
    counts = np.bincount(rng.integers(0, n, size=n), minlength=n)
    rows, weights = np.repeat(np.arange(n), counts), counts[None] / n
    probability, y = some_classes(rng, n)
    found = bootstrap.class_replicates(probability, y, weights)
    found |= scores.prevalence_scores(probability, y, weights, 1)
    for name, value in scores.class_scores(probability[rows], y[rows], positive=1).items():
        assert found[name][0] == pytest.approx(value, rel=1e-9), name
    forecast, y = some_targets(rng, n)
    found = bootstrap.target_replicates(forecast, y, weights)
    arrays = {name: part for name, part in forecast._asdict().items() if isinstance(part, np.ndarray)}
    repeated = forecast._replace(**{name: part[..., rows] for name, part in arrays.items()})
    for name, value in scores.forecast_scores(repeated, y[rows]).items():
        assert found[name][0] == pytest.approx(value, rel=1e-6), name


def test_weights_are_whole_tables_whatever_their_number_at_once(rng, monkeypatch):
    monkeypatch.setattr(bootstrap, "_WEIGHTS_AT_ONCE", 70)
    parts = list(bootstrap.row_weights(20, 10, rng))
    assert [part.shape for part in parts] == [(3, 20)] * 3 + [(1, 20)]
    drawn = np.concatenate(parts) * 20
    assert np.allclose(drawn, np.round(drawn)) and np.allclose(drawn.sum(axis=1), 20)


def test_standard_errors_are_the_analytic_ones_and_rows_are_paired(rng):
    """Of a mean they are sd/sqrt(n); 2,000 replicates know that to 1.6 %. Shared difficulty of rows cancels."""
    n = 400
    hard = 10 * rng.random(n)
    own = {"first": hard + 0.1 * rng.standard_normal(n), "other": hard + 0.3 + 0.1 * rng.standard_normal(n)}
    values = {model: {"nll": x.mean()} for model, x in own.items()}
    errors, differences = bootstrap.compare(
        values, lambda model, weights: {"nll": weights @ own[model]}, n_rows=n, rng=rng
    )
    for model, x in own.items():
        assert errors[model]["nll"] == pytest.approx(x.std() / math.sqrt(n), rel=0.08)
    found = differences["other"]["nll"]
    gap = own["first"] - own["other"]
    assert found["value"] == pytest.approx(gap.mean())
    assert found["se"] == pytest.approx(gap.std() / math.sqrt(n), rel=0.08)
    assert found["se"] < 0.1 * errors["first"]["nll"]
    assert found["lower"] == pytest.approx(found["value"] - 1.96 * found["se"], abs=0.3 * found["se"])
    assert found["upper"] == pytest.approx(found["value"] + 1.96 * found["se"], abs=0.3 * found["se"])


def test_error_of_an_accuracy_is_binomial(rng):
    n = 300
    probability = np.tile([0.7, 0.3], (n, 1))
    y = (rng.random(n) < 0.25).astype(int)
    value = {"bnn": scores.class_scores(probability, y, positive=1)}
    errors, _ = bootstrap.compare(
        value,
        lambda _, weights: bootstrap.class_replicates(probability, y, weights),
        n_rows=n,
        rng=rng,
    )
    share = value["bnn"]["accuracy"]
    assert errors["bnn"]["accuracy"] == pytest.approx(math.sqrt(share * (1 - share) / n), rel=0.08)


def test_an_ece_has_a_difference_but_no_interval_that_ranks_models(rng):
    """Both are calibrated, one is less sure: replicates of its ECE lie above the ECE itself, and prove nothing."""
    n = 60
    y = (rng.random(n) < 0.5).astype(int)
    probability = {"bnn": np.full((n, 2), 0.5), "baseline": np.eye(2)[y]}
    values = {model: scores.class_scores(p, y, positive=1) for model, p in probability.items()}
    _, found = bootstrap.compare(
        values,
        lambda m, weights: bootstrap.class_replicates(probability[m], y, weights),
        n_rows=n,
        rng=rng,
    )
    ece = found["baseline"]["ece"]
    assert ece["value"] == values["bnn"]["ece"] - values["baseline"]["ece"] and ece["se"] > 0
    assert math.isnan(ece["lower"]) and math.isnan(ece["upper"])
    assert found["baseline"]["accuracy"]["upper"] < 0


def compare_within(rng, probability, y, *, plain=False):
    """Return errors and differences of the scores in which classes count alike."""

    def replicate(model, weights):
        return scores.prevalence_scores(probability[model], y, weights, 1)

    values = {model: scores.class_scores(p, y, positive=1) for model, p in probability.items()}
    return bootstrap.compare(
        values,
        replicate if plain else lambda *_: {},
        n_rows=len(y),
        rng=rng,
        within=None if plain else (y, replicate),
    )


def two_models(rng, y):
    """Return probabilities of two classes, of the second model hardly better than chance."""
    rise = {"bnn": 1.0, "baseline": 0.3}
    p = {model: 1 / (1 + np.exp(-rng.normal(slope * (2 * y - 1)))) for model, slope in rise.items()}
    return {model: np.column_stack([1 - found, found]) for model, found in p.items()}


def test_drawing_within_classes_keeps_their_numbers(rng):
    y = np.array([0] * 12 + [1] * 5 + [2])
    rng.shuffle(y)
    (weights,) = bootstrap.row_weights(18, 50, rng, strata=y)
    assert np.allclose(18 * weights @ np.eye(3)[y], [12, 5, 1])
    assert len(np.unique(weights, axis=0)) > 40


def test_scores_of_a_rare_class_have_errors_and_intervals(rng):
    """Five of 200 rows: one plain replicate in 150 has none of them."""
    y = np.repeat([0, 1], [195, 5])
    probability = two_models(rng, y)
    errors, differences = compare_within(rng, probability, y)
    for name in ("balanced_accuracy", "auroc", "average_precision"):
        assert 0 < errors["bnn"][name] < 0.5, name
        found = differences["baseline"][name]
        assert found["lower"] < found["value"] < found["upper"] and found["se"] > 0, name
    plain, _ = compare_within(rng, probability, y, plain=True)
    assert math.isnan(plain["bnn"]["auroc"]), "or there is no reason to draw within classes"
    # A mean of two shares of independent rows has a binomial error in each.
    right = probability["bnn"].argmax(axis=1) == y
    variance = sum(right[y == k].var() / (y == k).sum() for k in (0, 1)) / 4
    assert errors["bnn"]["balanced_accuracy"] == pytest.approx(math.sqrt(variance), rel=0.08)


def test_of_common_classes_both_ways_of_drawing_agree(rng):
    """Ratios of means to first order do not depend on how many rows of each class were drawn."""
    y = rng.integers(0, 2, size=600)
    probability = two_models(rng, y)
    errors, differences = compare_within(rng, probability, y)
    plain, plain_differences = compare_within(rng, probability, y, plain=True)
    for name in ("balanced_accuracy", "auroc"):
        assert errors["bnn"][name] == pytest.approx(plain["bnn"][name], rel=0.1), name
        found, other = differences["baseline"][name], plain_differences["baseline"][name]
        assert found["se"] == pytest.approx(other["se"], rel=0.1), name
    # How precise a model is hangs on the shares of classes: taken as given they add nothing.
    assert 0.6 * plain["bnn"]["average_precision"] < errors["bnn"]["average_precision"]
    assert errors["bnn"]["average_precision"] < 1.1 * plain["bnn"]["average_precision"]


@pytest.mark.parametrize("hits", [0, 1, 15, 29, 30])
def test_interval_of_a_share_is_the_exact_binomial_one(hits):
    found = scores.share_interval(hits / 30, 30, 0.95)
    expected = stats.binomtest(hits, 30).proportion_ci(0.95, method="exact")
    assert (found["lower"], found["upper"]) == pytest.approx((expected.low, expected.high), rel=1e-9)


def test_an_impossible_row_is_not_hidden(rng):
    probability, y = np.array([[1.0, 0.0], [0.5, 0.5], [0.5, 0.5]]), np.array([1, 0, 1])
    found = bootstrap.class_replicates(probability, y, np.array([[1 / 3] * 3, [0.0, 0.5, 0.5]]))
    assert found["nll"][0] == math.inf
    assert found["nll"][1] == pytest.approx(math.log(2))
    assert math.isnan(bootstrap.standard_error(found["nll"]))


def test_a_model_without_a_density_has_no_nll_and_no_difference_in_it(rng):
    """The other model's is infinite on a row: the difference is no number, and nothing warns."""
    y = rng.normal(size=6)
    forecast = mixture_forecast(GaussianMixture(np.zeros((1, 6)), np.ones(1)), y)
    none = forecast._replace(nll=np.full(6, np.nan), sd=np.full(6, np.nan), has_density=False)
    impossible = forecast._replace(nll=np.where(np.arange(6) == 2, np.inf, forecast.nll))
    models = {"first": impossible, "other": none}
    errors, differences = bootstrap.compare(
        {model: scores.forecast_scores(found, y) for model, found in models.items()},
        lambda model, weights: bootstrap.target_replicates(models[model], y, weights),
        n_rows=6,
        rng=rng,
        n_replicates=50,
    )
    for name in ("nll", "nll_gaussian"):
        assert math.isnan(errors["other"][name])
        assert all(math.isnan(value) for value in differences["other"][name].values())
    assert all(math.isfinite(value) for value in differences["other"]["crps"].values())


@pytest.mark.parametrize(
    ("value", "error", "raised"),
    [(0.3, 0.1, True), (0.1, 0.1, False), (-0.3, 0.1, False), (0.0, 0.0, False), (math.inf, math.nan, True)],
)
def test_flag_of_a_worse_nll(value, error, raised):
    differences = {"baseline": {"nll": {"value": value, "se": error}}}
    models = {"bnn": {"test": {"nll": {"value": 1.0}}}}
    (found,) = assemble.flags(differences, models, {}, n_test=30)
    assert (found["name"], found["raised"]) == ("nll_worse_than_baseline", raised)


@pytest.mark.parametrize(
    ("n_test", "hits", "raised"),
    [(18, 12, True), (18, 13, False), (18, 18, False), (100, 81, True), (100, 97, False), (100, 98, True)],
)
def test_flag_of_coverage(n_test, hits, raised):
    differences = {"baseline": {"nll": {"value": 0.0, "se": 1.0}}}
    models = {"bnn": {"test": {"coverage_90": {"value": hits / n_test}}}}
    found = assemble.flags(differences, models, {}, n_test=n_test)[1]
    assert (found["name"], found["raised"]) == ("coverage_90_off", raised)
    assert f"hold {100 * hits / n_test:.1f} % of the {n_test} test rows" in found["text"]
    assert "false alarms: about 1 % of tables with independent rows" in found["text"]


@pytest.mark.parametrize(
    ("p_value", "observed", "raised", "shown"),
    [
        (0.011, 0.9, False, "p = 0.011"),
        (0.009, 0.9, True, "p = 0.009"),
        (1e-9, 0.45, True, "p < 0.0001"),
        (1e-9, 0.319, False, "p < 0.0001"),  # of very many rows: the fault is small
        (math.nan, math.nan, True, "p = nan"),
    ],
)
def test_flag_of_the_pit(p_value, observed, raised, shown):
    differences = {"baseline": {"nll": {"value": 0.0, "se": 1.0}}}
    models = {"bnn": {"test": {"nll": {"value": 1.0}}}}
    pit = {"p_value": p_value, "expected": 0.3, "observed": observed}
    found = assemble.flags(differences, models, {"pit": pit}, n_test=1200)[1]
    assert (found["name"], found["raised"]) == ("pit_off", raised)
    assert (
        f"Of the 1,200 test rows {100 * observed:.1f} % fall into the lower 30.0 % of what" in found["text"]
    )
    assert f"{shown}; false alarms: about 1 % of tables with independent rows" in found["text"]


def test_an_end_that_differs_from_0_by_rounding_alone_is_0():
    replicates = np.array([-0.01, -0.02, 4e-16, 4e-16, 4e-16])
    found = bootstrap.difference(-0.002, replicates)
    assert found["lower"] < -0.01 and found["upper"] == 0.0
    tiny = bootstrap.difference(-2e-13, 1e-10 * replicates[:2])
    assert tiny["upper"] < 0.0, "scores may be small themselves"


@pytest.mark.parametrize("kind", ["groups", "series", "rows"])
def test_intervals_hold_the_truth_where_rows_are_alike(kind):
    """Of 200 tables a 95 % interval of a mean misses 10; 31 or more do by chance less than once in a million.

    Twenty groups, as thirty stretches, give intervals that are a little short: they miss 8 % of such tables. Rows drawn
    one by one miss far more.
    """
    n_tables, n_groups, n_each = 200, 20, 25
    missed = dict.fromkeys(("clusters", "rows"), 0)
    for table in range(n_tables):
        rng = np.random.default_rng(table)
        values = rng.normal(size=n_groups * n_each)
        clusters = None
        if kind == "groups":
            clusters = np.repeat(np.arange(n_groups), n_each)
            values = values + rng.normal(size=n_groups)[clusters]
        elif kind == "series":
            for place in range(1, len(values)):
                values[place] += 0.7 * values[place - 1]
            clusters = stretches(len(values))
        for name, given in (("clusters", clusters), ("rows", None)):
            weights = np.concatenate(list(bootstrap.row_weights(len(values), 400, rng, clusters=given)))
            assert np.allclose(weights.sum(axis=1), 1.0)
            low, high = np.quantile(weights @ values, [0.025, 0.975])
            missed[name] += not low <= 0.0 <= high
    assert missed["clusters"] <= 30, missed
    assert (missed["rows"] > 50) == (kind != "rows"), missed


def test_clusters_are_drawn_within_classes_too(rng):
    y = np.repeat([0, 1], [30, 10])
    clusters = np.arange(40) // 5
    (weights,) = bootstrap.row_weights(40, 200, rng, strata=y, clusters=clusters)
    np.testing.assert_allclose(weights[:, y == 0].sum(axis=1), 0.75)
    by_cluster = weights.reshape(200, 8, 5)
    np.testing.assert_allclose(by_cluster, by_cluster[:, :, :1].repeat(5, axis=2))


def test_a_share_of_rows_that_are_alike_counts_for_fewer():
    clusters = np.repeat(np.arange(10), 20)
    assert scores.rows_that_count(0.5, 0.1, None, 200) == 200
    assert scores.rows_that_count(0.5, 0.1, clusters, 200) == pytest.approx(25)
    assert scores.rows_that_count(0.5, 0.01, clusters, 200) == 200
    assert scores.rows_that_count(1.0, 0.0, clusters, 200) == 10
    ends = scores.share_interval(0.5, 25.0, 0.95)
    wide, narrow = scores.share_interval(0.5, 24, 0.95), scores.share_interval(0.5, 26, 0.95)
    assert wide["lower"] < ends["lower"] < narrow["lower"]


@pytest.mark.parametrize("n_rows", [2, 3, 7, 9, 200])
def test_there_are_two_stretches_at_least(n_rows):
    found = stretches(n_rows)
    assert found[0] == 0 and found[-1] >= 1 and np.all(np.diff(found) >= 0)
    sizes = np.bincount(found)
    assert sizes.max() - sizes.min() <= 1 and len(sizes) == min(30, max(2, n_rows // 4))


def test_a_single_group_of_test_rows_is_drawn_row_by_row():
    dataset = make_dataset("regression")
    one = dataclasses.replace(dataset, group_test=np.zeros(5, dtype=np.int64))
    assert assemble._clusters(one) is None
    two = dataclasses.replace(dataset, group_test=np.array([0, 0, 1, 1, 1]))
    found = [assemble._clusters(one) for one in (two, dataclasses.replace(dataset, in_order=True))]
    assert [None if own is None else own.tolist() for own in found] == [[0, 0, 1, 1, 1], [0, 0, 0, 1, 1]]
    assert assemble._clusters(dataset) is None


def test_a_share_that_is_no_number_has_no_interval():
    assert all(math.isnan(end) for end in scores.share_interval(math.nan, 10, 0.95).values())
