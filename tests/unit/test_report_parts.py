"""Parts of the report: advice that the config accepts, sentences that say no more than the numbers, the scatter."""

import re
import runpy
from itertools import pairwise, product
from pathlib import Path
from typing import Any

import pytest
import yaml

from bnn.config.loading import load
from bnn.core import formatting
from bnn.core.settings import WARMUP
from bnn.core.storage import write_json
from bnn.diagnostics import remedies as advice
from bnn.diagnostics import verdict
from bnn.report import checks, overview, render_overview, render_tables, rows, sentences
from bnn.report.chosen_model import _scales
from bnn.report.columns import columns
from bnn.report.render import _config
from bnn.report.scatter import HEIGHT, WIDTH, scatter
from bnn.selection.choice import NETWORKS
from tests.unit import report_inputs as inputs
from tests.unit.report_page import dataset_page

CONFIG: dict[str, Any] = {
    "prior": {"weights": {"scale": 1}},
    "sampler": {"chains": 1, "warmup": 300, "draws": 40, "thin": 2},
    "datasets": {
        "iris": {"task": "classification", "source": {"kind": "sklearn", "name": "iris"}},
        "gap": {"task": "regression", "source": {"kind": "synthetic", "name": "gap", "seed": 3}},
    },
}


def settings_of(name: str, config: dict[str, Any] = CONFIG) -> dict[str, Any]:
    return load(config).datasets[name].model_dump(mode="json")


# --- advice


def kinds_of_findings() -> set[str]:
    source = Path(verdict.__file__).read_text(encoding="utf-8")
    return set(re.findall(r'"(\w+)",?\n?\s*\)', source)) - {"reached"}


def test_every_kind_of_finding_is_explained_and_has_a_remedy() -> None:
    kinds = {name for name in kinds_of_findings() if name in advice._MEANINGS or name in advice._CHANGES}
    assert len(kinds) == len(advice._MEANINGS) == len(advice._CHANGES) == 15
    assert set(advice._MEANINGS) == set(advice._CHANGES) == kinds


@pytest.mark.parametrize("kind", sorted(advice._CHANGES))
def test_a_suggested_change_is_a_valid_config_that_changes_something(kind: str) -> None:
    diagnostics = inputs.make_diagnostics("classification", "FAIL")
    diagnostics["findings"] = [{"level": "FAIL", "name": kind, "text": "…"}]
    before = settings_of("iris", CONFIG | {"sampler": CONFIG["sampler"] | {"kernel": "microcanonical"}})
    change = advice.changes(diagnostics, before)
    suggested = yaml.safe_load(advice.as_yaml("iris", change, before))["datasets"]["iris"]
    own = CONFIG["datasets"]["iris"] | suggested
    after = settings_of("iris", CONFIG | {"datasets": {"iris": own}})
    keys = [(section, key) for section, values in suggested.items() for key in values]
    assert keys
    for section, key in keys:
        assert after[section][key] != before[section][key]


def test_findings_of_one_kind_are_grouped_and_changes_merged() -> None:
    diagnostics = inputs.make_diagnostics("regression", "FAIL")
    diagnostics["findings"] += [{"level": "WARN", "name": "rhat", "text": "Again."}]
    found = advice.explain(diagnostics["findings"])
    assert [item.level for item in found] == ["FAIL", "FAIL", "FAIL"]
    assert [len(item.sentences) for item in found] == [2, 1, 1]
    # The smallest ESS of 11.2 needs 36 times as many iterations for 400, more than the doubling that R-hat asks for;
    # of one chain 40 draws are never worth 400, however far apart: 2,000 are kept, and no more is left for thinning.
    assert advice.changes(diagnostics, settings_of("gap")) == {
        "sampler": {"warmup": 1000, "draws": 2000, "target_acceptance": 0.9}
    }
    enough = settings_of("gap", CONFIG | {"sampler": CONFIG["sampler"] | {"chains": 4, "draws": 500}})
    assert advice.changes(diagnostics, enough)["sampler"]["thin"] == 72
    assert advice.explain(inputs.make_diagnostics("regression")["findings"]) == []
    assert advice.as_yaml("gap", {}, {}) == ""


def test_lines_of_a_change_say_what_the_run_had() -> None:
    change = {"network": {"hidden": [50, 50]}, "sampler": {"thin": 8, "warmup": 2000}}
    text = advice.as_yaml("gap", change, settings_of("gap"))
    assert "      warmup: 2000  # this run: 300\n" in text and "    sampler:\n" in text
    assert "hidden: [50, 50]  # this run: auto\n" in text
    assert yaml.safe_load(advice.as_yaml("0123", change, {})) == {"datasets": {"0123": change}}
    assert yaml.safe_load(text) == {"datasets": {"gap": change}}


@pytest.mark.parametrize(("scale", "rhat"), [(4.0, 1.6), (1.4, 1.6), (1.0, 1.6), (2.0, 1.03)])
def test_after_a_whole_budget_chains_that_are_far_apart_get_a_narrower_prior(
    scale: float, rhat: float
) -> None:
    diagnostics = inputs.make_diagnostics("regression", "FAIL")
    diagnostics["findings"] = [
        {"level": "FAIL", "name": kind, "text": f"No {kind}."} for kind in ("rhat", "ess")
    ]
    diagnostics["log_density"]["rhat"] = rhat
    for entry in diagnostics["predictions"].values():
        entry["rhat_max"] = rhat
    settings = settings_of("gap", {**CONFIG, "sampler": {"draws": "auto"}})
    settings["prior"]["weights"]["scale"] = scale
    settings["sampler"] |= {"most_gradients": 9000, "draws": 100}
    change = advice.changes(diagnostics, settings)
    if scale > 1 and rhat > 1.05:
        assert change == {"prior": {"weights": {"scale": 1.0}}}
        assert min(one.prior_scale for one in NETWORKS["regression"]) == 1.0
    else:
        assert set(change) == {"sampler"}


def test_a_narrower_prior_keeps_the_factor_of_the_output_layer() -> None:
    diagnostics = inputs.make_diagnostics("classification", "FAIL")
    diagnostics["findings"] = [{"level": "FAIL", "name": "not_finite", "text": "…"}]
    settings = settings_of("iris")
    settings["prior"] |= {"output_factor": 16.0}
    settings["prior"]["weights"]["scale"] = 2.0
    change = advice.changes(diagnostics, settings)
    assert change == {"prior": {"weights": {"scale": 1.0}, "output_factor": 16.0}}


def test_steps_of_batches_get_smaller_by_a_longer_warm_up_alone() -> None:
    diagnostics = inputs.make_diagnostics("classification", "FAIL")
    diagnostics["findings"] = [{"level": "WARN", "name": "diverging", "text": "…"}]
    settings = settings_of("iris")
    settings["sampler"]["kernel"] = "sms_ubu"
    assert set(advice.changes(diagnostics, settings)["sampler"]) == {"warmup"}


@pytest.mark.parametrize(
    ("hidden", "factor", "expected"),
    [((50,), 1.0, "2"), ((50,), 16.0, "2 (32 of the output layer)"), ((), 16.0, "32")],
)
def test_the_page_tells_the_scale_of_the_output_layer(
    hidden: tuple[int, ...], factor: float, expected: str
) -> None:
    assert _scales(2.0, factor, hidden) == expected


def test_ess_that_cannot_be_computed_still_gets_advice() -> None:
    diagnostics = inputs.make_diagnostics("regression", "FAIL")
    diagnostics["log_density"]["ess_bulk"] = None
    diagnostics["findings"] = [{"level": "FAIL", "name": "ess", "text": "…"}]
    assert advice.changes(diagnostics, settings_of("gap")) == {"sampler": {"draws": 2000}}


@pytest.mark.parametrize(("warmup", "advised"), [(10, 1000), (40, 1000), (499, 1000), (700, 1400)])
def test_no_warm_up_below_the_default_is_advised(warmup: int, advised: int) -> None:
    settings = settings_of("iris", CONFIG | {"sampler": CONFIG["sampler"] | {"warmup": warmup}})
    for kind in ("rhat", "stuck", "diverging", "cut_short", "acceptance_low", "acceptance_high", "frozen"):
        diagnostics = inputs.make_diagnostics("classification", "FAIL")
        diagnostics["findings"] = [{"level": "FAIL", "name": kind, "text": "…"}]
        assert advice.changes(diagnostics, settings)["sampler"]["warmup"] == advised, kind
    open_one = load(CONFIG | {"sampler": {"draws": 500}}).datasets["iris"].model_dump(mode="json")
    diagnostics["findings"] = [{"level": "FAIL", "name": "frozen", "text": "…"}]
    assert advice.changes(diagnostics, open_one)["sampler"]["warmup"] == 2 * WARMUP


def test_advice_after_a_second_failure_is_no_repetition() -> None:
    settings = settings_of("iris", CONFIG | {"network": {"hidden": [50]}})
    halved = {"prior": {"weights": {"scale": settings["prior"]["weights"]["scale"]}}}
    assert "once more" in advice.again(settings, halved)
    assert "once more" not in advice.again(settings, {"sampler": {"warmup": 2000}})
    assert "as in this run" in advice.as_yaml("iris", halved, settings)


def test_a_warning_is_not_told_as_a_failure() -> None:
    for kind in ("rhat", "ess"):
        meanings = [
            advice.explain([{"level": level, "name": kind, "text": "…"}])[0].meaning
            for level in ("WARN", "FAIL")
        ]
        assert meanings[0] != meanings[1]


# --- how it was made


@pytest.mark.parametrize("name", ["iris", "gap"])
def test_the_config_of_the_page_runs_the_same_again(name: str) -> None:
    settings = settings_of(name)
    again = yaml.safe_load(_config(name, settings))
    assert list(again["datasets"]) == [name]
    assert settings_of(name, again) == settings


# --- marks


def test_the_answer_is_three_marks_with_a_number_each() -> None:
    signs = {"PASS": "✓", "WARN": "!", "LOCAL": "!", "FAIL": "✕"}
    for task, (level, sign) in product(("classification", "regression"), signs.items()):
        diagnostics = inputs.make_diagnostics(task, "WARN" if level == "LOCAL" else level)
        found = sentences.marks(diagnostics | {"verdict": level}, inputs.make_metrics(task))
        assert (found[0].sign, found[0].word) == (sign, level)
        for mark in found:
            assert mark.text.endswith(".") and re.search(r"\d", mark.text)
            assert not re.search(r"\b(good|bad|excellent|poor|great|very|well)\b", mark.text)
            assert len(mark.text.split()) < 50
        assert [mark.word == "not to be trusted" for mark in found[1:]] == [level == "FAIL"] * 2


def test_the_comparison_says_what_always_naming_the_largest_class_would_get_right() -> None:
    metrics = inputs.make_metrics("classification")
    report = metrics["classification_report"]["test"]["bnn"]
    report[:] = [entry | {"support": size} for entry, size in zip(report, (2, 16, 2), strict=True)]
    assert "(always naming versicolor: 80.0 %)" in sentences.comparison(metrics).text
    assert "always" not in sentences.comparison(inputs.make_metrics("regression")).text


@pytest.mark.parametrize(
    ("lower", "upper", "level", "word"),
    [
        (-0.08, -0.02, "good", "better"),
        (0.02, 0.08, "bad", "worse"),
        (-0.02, 0.08, "open", "not told apart"),
        (None, None, "open", "not told apart"),
    ],
)
def test_the_mark_of_the_comparison_says_what_the_interval_of_the_nll_says(
    lower: float | None, upper: float | None, level: str, word: str
) -> None:
    metrics = inputs.make_metrics("classification")
    metrics["differences"]["baseline"]["nll"] |= {"lower": lower, "upper": upper}
    mark = sentences.comparison(metrics)
    assert (mark.level, mark.word) == (level, word)
    assert (sentences.comparison(metrics, trusted=False).level, mark.subject) == ("bad", mark.subject)


@pytest.mark.parametrize("task", ["classification", "regression"])
def test_a_difference_follows_from_the_scores_beside_it(task: str) -> None:
    """To half a unit of its last place, and what rounding of the two scores adds."""
    for step in range(40):
        metrics = inputs.distinct_metrics(task)
        for name in ("accuracy" if task == "classification" else "rmse", "nll"):
            models = metrics["models"]
            models["bnn"]["test"][name]["value"] *= 1 - 0.0017 * step
            gap = models["bnn"]["test"][name]["value"] - models["baseline"]["test"][name]["value"]
            metrics["differences"]["baseline"][name] |= {
                "value": gap,
                "se": 0.011 * (step + 1) ** 1.5 * abs(gap),
            }
            text = sentences._compared(metrics, name)
            if "×" in text:  # a difference far below its error
                continue
            own, other, said = (
                re.search(pattern, text.replace("\N{MINUS SIGN}", "-")).group(1)  # type: ignore[union-attr]
                for pattern in (r"^[^\d]+ ([\d.]+)", r"against ([\d.]+)", r"difference ([-+]?[\d.]+)")
            )
            place = 10.0 ** -len(said.partition(".")[2])
            assert abs(float(own) - float(other) - float(said)) <= 0.61 * place, text


@pytest.mark.parametrize(
    ("coverage", "raised", "expected"),
    [(0.9, False, "as it should be"), (0.7, True, "too sure"), (0.99, True, "not sure enough")],
)
def test_intervals_that_are_too_narrow_are_worse_than_too_wide_ones(
    coverage: float, raised: bool, expected: str
) -> None:
    metrics = inputs.make_metrics("regression")
    metrics["models"]["bnn"]["test"]["coverage_90"]["value"] = coverage
    metrics["flags"].append(
        {"name": "coverage_90_off", "raised": raised, "text": "…", "value": 0, "limit": [0.767, 0.99]}
    )
    mark = sentences.certainty(metrics)
    level = {"as it should be": "good", "too sure": "bad", "not sure enough": "open"}[expected]
    assert (mark.word, mark.level) == (expected, level)
    assert (
        f"hold {100 * coverage:.1f} % of 30 test rows (a calibrated model's, 99 times in 100: 76.7 % to 99.0 %)."
        in mark.text
    )
    assert mark.text.endswith("90 % of the training values span 252 points.")


@pytest.mark.parametrize(
    ("accuracy", "p_value", "expected"),
    [
        (0.7, 0.4, "as it should be"),
        (0.7, 0.002, "too sure"),
        (0.95, 0.002, "not sure enough"),
        (0.6, 0.4, "too sure"),
        (1.0, 0.4, "not sure enough"),
    ],
)
def test_confidence_is_judged_by_how_many_rows_are_right(
    accuracy: float, p_value: float, expected: str
) -> None:
    metrics = inputs.make_metrics("classification")
    metrics["calibration"]["bnn"] |= {"accuracy": accuracy, "ece_p_value": p_value}
    mark = sentences.certainty(metrics)
    assert mark.word == expected
    assert (
        "82.7 % sure" in mark.text
        and "(a calibrated model's, 99 times in 100: 63.5 % to 96.8 %)" in mark.text
    )


def test_a_missed_limit_is_named_with_its_place() -> None:
    diagnostics = inputs.make_diagnostics("regression", "FAIL")
    for split, rhat in (("train", 1.062), ("test", 1.0577)):
        diagnostics["predictions"][split] |= {"rhat_max": rhat, "ess_bulk_min": 140.0}
    diagnostics["log_density"] |= {"rhat": 1.002, "ess_bulk": 96.4}
    diagnostics["noise_scale"] |= {"rhat": 1.003, "ess_bulk": 300.0}
    assert sentences.sampling(diagnostics).text.startswith(
        "R-hat of the prediction for training row 77 of the table is 1.0620 (FAIL: above 1.05); the effective sample "
        "size of the log density is 96 (FAIL: below 100). The 4 chains did not converge"
    )
    for entry in diagnostics["predictions"].values():
        entry |= {"rhat_max": 1.001, "ess_bulk_min": 900.0}
    diagnostics["log_density"]["ess_bulk"] = 900.0
    # What is neither R-hat nor ESS is said in the words of its finding.
    diagnostics["findings"] = [{"level": "FAIL", "name": "stuck", "text": "Chain 3 is stuck."}]
    assert sentences.sampling(diagnostics).text.startswith("Chain 3 is stuck. The 4 chains")
    diagnostics |= {"verdict": "WARN"}
    diagnostics["predictions"]["test"] |= {"ess_bulk_min": 399.7}
    said = sentences.sampling(diagnostics).text
    assert said == "The effective sample size of the noise scale is 300 (PASS: at least 400)."


def test_the_inputs_that_are_told_worst_are_named() -> None:
    given = inputs.make_checks("regression")["out_of_distribution"]
    kinds = given["kinds"]
    kinds[2]["models"]["bnn"] |= {"auroc": None, "se": None}
    kinds[1]["models"]["bnn"] |= {"auroc": 0.21, "se": 0.02}
    said = sentences.least_told(given)
    assert said.startswith(
        "Do out-of-distribution inputs have more uncertainty than test rows? "
        "Of shifted ones, the hardest, the AUROC is 0.21"
    )
    assert "; below 0.5 the model is surer" in said
    kinds[1]["models"]["bnn"]["auroc"] = kinds[0]["models"]["bnn"]["auroc"] = None
    assert sentences.least_told(given) == ""


def test_the_columns_that_matter_are_named_with_their_errors() -> None:
    found = inputs.make_checks("regression")["effects"]
    said = sentences.drivers(found)
    assert said.startswith("2 of 4 columns clearly matter on the test rows (beyond two standard errors).")
    assert said.endswith("rises most for a by 0.31 ± 0.04, then c by 0.10 ± 0.02.")
    found["importance"] = found["importance"][2:]
    assert sentences.drivers(found).startswith("These test rows show of no column that it matters")


def test_what_the_least_sure_rows_have_in_common_is_said() -> None:
    metrics = inputs.make_metrics("classification")
    rows = metrics["rows"]["most_uncertain"]
    for row, name in zip(rows, ("setosa", "virginica", "virginica"), strict=True):
        row["y"] = name
    said = sentences.kind_of_rows(metrics)
    assert said.startswith(
        "Of the 3 least sure rows 2 of virginica, 1 of setosa, their a is on average +1.9 sd"
    )
    for row in rows:
        row["standardised"] = [0.4 if place == 0 else 0.0 for place in range(len(row["standardised"]))]
    assert sentences.kind_of_rows(metrics) == "Of the 3 least sure rows 2 of virginica, 1 of setosa."
    metrics["feature_names"] = [f"{name} is missing" for name in metrics["feature_names"]]
    for row in metrics["rows"]["most_uncertain"]:
        row["standardised"] = [2.0, *[0.0] * (len(metrics["feature_names"]) - 1)]
    first = metrics["feature_names"][0]
    assert f"{first} more often than in the training rows (+2.0 sd)" in sentences.kind_of_rows(metrics)
    metrics["rows"]["most_uncertain"] = rows[:2]
    assert sentences.kind_of_rows(metrics) == ""


def test_what_is_not_drawn_says_why() -> None:
    entry = (inputs.make_diagnostics("regression", "FAIL"), inputs.make_metrics("regression"))
    assert 'n/a <span class="remark">the chains did not converge</span>' in render_overview([entry])
    metrics = inputs.make_metrics("regression")
    metrics["differences"]["baseline"]["nll"]["lower"] = None
    page = render_overview([(inputs.make_diagnostics("regression", "PASS"), metrics)])
    assert 'n/a <span class="remark">it could not be computed</span>' in page


def test_a_series_is_called_one_and_has_its_last_value_beside_it() -> None:
    metrics = inputs.make_metrics("regression")
    metrics["is_series"] = True
    for key in ("models", "differences", "calibration"):
        metrics[key]["naive"] = metrics[key]["linear"]
    found = inputs.make_diagnostics("regression", "PASS"), metrics
    assert overview.overview_rows([found])[0].facts.startswith("time series, ")
    page = render_tables(*found, inputs.make_checks("regression"))
    assert page["scores_test"].count("Last value") == page["differences"].count("Last value") == 1


def test_the_page_explains_the_last_value_only_where_it_has_its_column(tmp_path: Path) -> None:
    """A series whose last values are all the same on the training rows has no column lag_1 to forecast by."""
    svg = tmp_path / "figure.svg"
    svg.write_text(inputs.SVG, encoding="utf-8")
    diagnostics, metrics = inputs.make_diagnostics("regression"), inputs.make_metrics("regression")
    metrics["is_series"] = True
    given: dict[str, Any] = {"diagnostics": diagnostics, "checks": inputs.make_checks("regression")}
    assert "the last value is the forecast" not in dataset_page(svg, "regression", metrics=metrics, **given)
    for key in ("models", "differences", "calibration"):
        metrics[key]["naive"] = metrics[key]["linear"]
    assert "the last value is the forecast" in dataset_page(svg, "regression", metrics=metrics, **given)


def test_raised_flags_stand_at_the_top_and_only_there(tmp_path: Path) -> None:
    svg = tmp_path / "figure.svg"
    svg.write_text(inputs.SVG, encoding="utf-8")
    metrics, given = inputs.make_metrics("regression"), inputs.make_checks("regression")
    assert 'id="watch-out"' not in dataset_page(svg, "regression", metrics=metrics, checks=given)
    metrics["flags"][0]["raised"] = True
    metrics["flags"].append(
        metrics["flags"][0] | {"name": "pit_off", "text": "Rows fall into the lower part."}
    )
    given["flags"][1] |= {"raised": True, "text": "Leave-one-out is not to be trusted here."}
    page = dataset_page(svg, "regression", metrics=metrics, checks=given)
    parts = re.split(r'<section [^>]*id="([\w-]+)"', page)
    where = dict(zip(parts[1::2], parts[2::2], strict=True))
    for text in ("Rows fall into", "0.4 standard errors", "Leave-one-out is not to be"):
        assert [name for name, part in where.items() if text in part] == ["answer"]


def test_marks_without_figures_say_so() -> None:
    diagnostics, metrics = inputs.make_diagnostics("regression", "FAIL"), inputs.make_metrics("regression")
    diagnostics["log_density"]["rhat"] = None
    assert "R-hat or the effective sample size cannot be computed" in sentences.sampling(diagnostics).text
    metrics["differences"]["baseline"]["nll"]["value"] = None
    assert "n/a (it could not be computed)" in sentences.comparison(metrics).text
    del metrics["models"]["bnn"]["test"]["coverage_90"]
    assert "hold n/a of 30 test rows" in sentences.certainty(metrics).text


# --- rows, checks, overview


def test_rows_to_look_at_show_observed_predicted_and_unusual_features() -> None:
    table = rows.worst_rows(inputs.make_metrics("classification"), "most_wrong")
    first = table.rows[0]
    assert (first.label, first.key) == ("41", "41")
    assert [cell.text for cell in first.cells[:4]] == ["setosa", "virginica", "0.913", "2.35"]
    assert (first.cells[1].flag, first.cells[1].remark) == ("bad", "p = 0.53; wrong")
    assert (
        first.cells[-1].text == "classes overlap (epistemic: 33.0 % of the entropy); unusual a 5.1 (+2.9 sd)"
    )
    metrics = inputs.make_metrics("classification")
    name = metrics["feature_names"][0]
    metrics["columns"] = [{"kind": "text", "name": "city", "features": [name]}]
    assert "unusual a" not in rows.worst_rows(metrics, "most_wrong").rows[0].cells[-1].text, (
        "a level is far always"
    )
    offset = inputs.make_metrics("regression")
    for entry in offset["rows"]["most_uncertain"]:
        low = entry["lower_90"] - entry["predicted"]
        entry |= {"total": 0.197, "predicted": -1e6, "lower_90": -1e6 - 0.4, "upper_90": -1e6 + 0.4}
        assert low < 0
    cell = rows.worst_rows(offset, "most_uncertain").rows[0].cells[1]
    assert (cell.text, cell.remark) == ("−1,000,000.0", "−1,000,000.4 to −999,999.6")
    outside = rows.worst_rows(inputs.make_metrics("regression"), "most_uncertain").rows[0].cells
    assert (outside[0].text, outside[0].remark, outside[1].remark) == ("317", "outside", "61.7 to 240.9")


@pytest.mark.parametrize(
    ("task", "epistemic", "cause"),
    [
        ("classification", 0.3, "classes overlap (epistemic: 30.0 % of the entropy)"),
        ("classification", 0.6, "draws disagree (epistemic: 60.0 % of the entropy)"),
        ("regression", 0.6, "mostly noise (epistemic: 36.0 % of the variance)"),
        ("regression", 0.8, "draws disagree (epistemic: 64.0 % of the variance)"),
    ],
)
def test_why_a_row_is_uncertain_is_said(task: str, epistemic: float, cause: str) -> None:
    metrics = inputs.make_metrics(task)
    entry = metrics["rows"]["most_uncertain"][0]
    entry |= {"total": 1.0, "epistemic": epistemic, "standardised": [0.3, -1.9, 1.2, 0.0]}
    said = rows.worst_rows(metrics, "most_uncertain").rows[0].cells[-1].text
    assert said == f"{cause}; no value is unusual by itself"


def test_numbers_of_a_column_have_as_many_decimals() -> None:
    for task in ("classification", "regression"):
        table = rows.worst_rows(inputs.make_metrics(task), "most_uncertain")
        for place in (2, 3):
            assert len({len(row.cells[place].text.partition(".")[2]) for row in table.rows}) == 1


def test_a_row_is_named_by_its_number_and_its_name() -> None:
    metrics = inputs.make_metrics("regression")
    metrics["id_name"] = "site"
    for entry in metrics["rows"]["most_uncertain"]:
        entry["id"] = f"site {entry['row']}"
    first = rows.worst_rows(metrics, "most_uncertain").rows[0]
    assert (first.label, first.remark) == ("40", "site 40")
    for entry in metrics["rows"]["most_uncertain"]:
        entry["time"] = "2026-01-31"
    assert rows.worst_rows(metrics, "most_uncertain").rows[0].remark == "site 40, 2026-01-31"
    metrics["rows"]["most_uncertain"][0] |= {"time": "40", "id": ""}
    assert rows.worst_rows(metrics, "most_uncertain").rows[0].remark == "", "its number says it"
    metrics["rows"]["most_uncertain"][0] |= {"time": "", "id": "x" * 500}
    assert rows.worst_rows(metrics, "most_uncertain").rows[0].remark == "x" * 39 + "…"


def test_checks_say_what_is_missing_and_who_is_better() -> None:
    given = inputs.make_checks("classification")
    table = checks.out_of_distribution(given)
    assert [row.label for row in table.rows[:3]] == [
        "noised, BNN",
        "noised, Baseline network",
        "noised, Deep ensemble",
    ]
    assert table.rows[0].cells[1].text == "–"
    assert table.rows[1].cells[1].remark.splitlines()[-1] == "BNN better"
    assert table.rows[2].cells[1].remark.splitlines()[-1] == "not told apart"
    assert [row.cells[-1].text for row in table.rows[-3:]] == ["n/a"] * 3
    given["out_of_distribution"]["kinds"][0]["models"]["bnn"] |= {"auroc": 1.0, "se": 0.0}
    given["out_of_distribution"]["kinds"][0]["differences"]["baseline"] |= {"value": 0.5, "se": 1e-18}
    certain = checks.out_of_distribution(given).rows
    assert (certain[0].cells[0].text, certain[1].cells[1].text) == ("1.00", "+0.500")
    assert certain[0].cells[0].remark == certain[1].cells[1].remark == "no error seen in 500 resamples"
    assert checks.hole(given, inputs.make_metrics("classification")) is None
    prior = checks.predictive_checks(given, "prior_predictive")
    assert prior.rows[1].cells[0].text == "–" and prior.rows[0].cells[0].flag == ""
    tried = checks.sensitivity(given, inputs.make_metrics("classification"))
    assert [cell.text for cell in tried.rows[0].cells] == ["needs a rerun", "0.81", "17", "–", "–"]
    assert tried.columns[3] == "ESS of the weights"
    assert [cell.text for cell in tried.rows[-1].cells[-2:]] == ["–", "0.013 ± 0.004"]


def test_out_of_distribution_inputs_are_counted_and_a_constant_noise_is_explained() -> None:
    given = inputs.make_checks("regression")
    table = checks.out_of_distribution(given)
    assert "(30 test rows against 210 noised, 220 shifted, 230 uniform inputs)" in table.caption
    assert not any("by construction" in note for note in table.notes)
    given["out_of_distribution"]["kinds"][1]["models"]["baseline"] |= {"auroc": 0.5, "se": 0.0}
    assert any("by construction" in note for note in checks.out_of_distribution(given).notes)


@pytest.mark.parametrize("task", ["classification", "regression"])
def test_nothing_is_called_better_or_worse_where_the_chains_have_not_converged(
    tmp_path: Path, task: str
) -> None:
    svg = tmp_path / "figure.svg"
    svg.write_text(inputs.SVG, encoding="utf-8")
    called = re.compile("BNN (better|worse)")
    for verdict_, expected in (("PASS", True), ("FAIL", False)):
        found = inputs.make_diagnostics(task, verdict_), inputs.make_metrics(task), inputs.make_checks(task)
        found[2]["out_of_distribution"]["kinds"][1]["differences"]["baseline"] |= {
            "lower": -0.2,
            "upper": -0.1,
        }
        diagnostics, metrics, given = found
        page = dataset_page(svg, task, diagnostics=diagnostics, metrics=metrics, checks=given)
        assert bool(called.search(page)) == expected
        tables = render_tables(*found)
        assert bool(called.search(tables["out_of_distribution"])) == expected
        assert not (called.search("".join(tables.values())) and verdict_ == "FAIL")


def test_a_p_value_decides_what_is_flagged_and_a_share_of_no_draws_is_a_bound() -> None:
    given = inputs.make_checks("classification")

    def cells(p_value: float, **more: float) -> tuple[str, str, str]:
        given["posterior_predictive"][0] |= {"p_value": p_value, "mcse": 0.0} | more
        found = checks.predictive_checks(given, "posterior_predictive").rows[0].cells
        assert found[0].flag == found[3].flag
        return found[0].flag, found[3].text, found[3].remark

    # Outside the interval of 90 % and still likely enough.
    assert cells(0.03, observed=0.9, mcse=0.004) == ("", "0.030 ± 0.004", "")
    assert cells(0.002, mcse=0.001)[0] == cells(0.998, mcse=0.001)[0] == "warn"
    assert cells(0.0)[:2] == ("warn", "< 0.00042")
    assert cells(1.0)[:2] == ("warn", "> 1 − 0.00042")
    assert cells(0.5)[:2] == ("", "0.50")


def test_leave_one_out_is_marked_where_rows_lie_above_the_limit() -> None:
    given = inputs.make_checks("classification")
    table = checks.leave_one_out(given)
    marked = {row.label for row in table.rows if row.cells[0].remark == "not reliable"}
    assert marked == {"NLL by leave-one-out", "elpd", "Effective number of parameters"}
    assert "2 of 120 rows" in table.notes[0] and "too good" in table.notes[0]
    given["loo"]["n_above"] = 0
    table = checks.leave_one_out(given)
    assert not table.notes and not any(cell.flag for row in table.rows for cell in row.cells)


def test_raised_flags_reach_the_overview() -> None:
    metrics = inputs.make_metrics("classification")
    metrics["flags"][0] |= {"raised": True, "text": "The NLL of the BNN is 3.1 standard errors worse."}
    (row,) = overview.overview_rows([(inputs.make_diagnostics("classification"), metrics)])
    assert row.remarks == ("The NLL of the BNN is 3.1 standard errors worse.",)


def test_a_local_run_shows_what_each_chain_reached_beside_their_disagreement() -> None:
    diagnostics = inputs.make_diagnostics("regression", "WARN") | {"verdict": "LOCAL"}
    diagnostics["findings"] = [
        {"level": "LOCAL", "text": "Each chain has converged by itself.", "name": "local"}
    ]
    diagnostics["each_chain"]["rhat_max"] = [1.012, 1.034]
    (row,) = overview.overview_rows([(diagnostics, inputs.make_metrics("regression"))])
    alone, across = row.convergence.splitlines()
    assert alone == f"R-hat {formatting.rhat(1.034)} in each chain"
    rhat, _ = verdict.worst(diagnostics)
    assert across == f"{formatting.rhat(rhat)} across chains"


def test_what_the_checks_raise_reaches_the_overview(tmp_path: Path) -> None:
    given = inputs.make_checks("classification")
    given["flags"][1] |= {"raised": True, "text": "Leave-one-out is not to be trusted here."}
    contents = (inputs.make_diagnostics("classification"), inputs.make_metrics("classification"), given)
    paths = [tmp_path / f"{index}.json" for index in range(3)]
    for path, content in zip(paths, contents, strict=True):
        write_json(path, content)
    script = runpy.run_path(str(Path(__file__).parents[2] / "scripts" / "overview.py"))
    script["main"](*([path] for path in paths), [], tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert page.count("Leave-one-out is not to be trusted here.") == 1
    assert given["flags"][0]["text"] not in page


def test_intervals_of_the_overview_are_drawn_on_one_scale() -> None:
    entries = []
    for lower, value, upper in ((-0.4, -0.2, 0.0), (0.1, 0.15, 0.2)):
        metrics = inputs.make_metrics("classification")
        metrics["differences"]["baseline"]["nll"] |= {"lower": lower, "value": value, "upper": upper}
        entries.append((inputs.make_diagnostics("classification"), metrics))
    missing = inputs.make_metrics("classification")
    missing["differences"]["baseline"]["nll"] = dict.fromkeys(("value", "se", "lower", "upper"))
    found = overview.overview_rows([*entries, (inputs.make_diagnostics("classification"), missing)])
    first, second = found[0].whisker, found[1].whisker
    assert first is not None and second is not None and found[2].whisker is None
    assert first.lower < first.middle < first.upper == first.zero == second.zero < second.lower
    assert second.upper - second.lower == pytest.approx((first.upper - first.lower) / 4, abs=0.2)


# --- scatter


@pytest.mark.parametrize("task", ["classification", "regression"])
def test_points_lie_inside_the_axes_in_proportion(task: str) -> None:
    drawn = scatter(inputs.make_predictions(task, 6), inputs.make_metrics(task))
    assert drawn is not None and len(drawn.points) == drawn.n_rows == 6
    for point in drawn.points:
        assert drawn.x_ticks[0][0] <= point.x <= drawn.x_ticks[-1][0] <= WIDTH
        assert 0 < drawn.y_ticks[-1][0] <= point.y <= drawn.y_ticks[0][0] < HEIGHT
    by_row = sorted(drawn.points, key=lambda point: int(point.row))
    heights = [point.y for point in by_row]
    assert heights == sorted(heights, reverse=True), "each is less certain than the one before"
    steps = {
        round(a - b, 0) for a, b in pairwise(heights[1:])
    }  # the first one lies on the other side of its prediction
    assert max(steps) - min(steps) <= 1
    kinds = [point.good for point in drawn.points]
    assert kinds == sorted(kinds, reverse=True) and 0 < sum(kinds) < 6, "the wrong ones on top"


def test_lines_of_one_and_two_standard_deviations_part_the_points() -> None:
    metrics, lines = inputs.make_metrics("regression"), inputs.make_predictions("regression", 40)
    for index, line in enumerate(lines):
        line |= {
            "bnn_mean": "0",
            "bnn_sd": str(1 + 0.1 * index),
            "y": str((0.5, 1.5, 2.5)[index % 3] * (1 + 0.1 * index)),
        }
    found = scatter(lines, metrics)
    assert found is not None and found.x_label == "Standard deviation of the prediction [points]"
    for point in found.points:
        index = int(point.row) - 40
        below = []
        for x1, y1, x2, y2, _ in found.lines:
            if point.x <= x2:  # the steeper line leaves the drawing at its top
                below.append(point.y > y1 + (y2 - y1) * (point.x - x1) / (x2 - x1))
        expected = [(True, True), (False, True), (False, False)][index % 3]
        assert below == list(expected[: len(below)])
    classes = scatter(inputs.make_predictions("classification"), inputs.make_metrics("classification"))
    assert classes is not None and classes.lines == ()


def test_a_large_table_is_thinned_to_its_uncertain_rows_and_says_so(tmp_path: Path) -> None:
    svg = tmp_path / "figure.svg"
    svg.write_text(inputs.SVG, encoding="utf-8")
    lines = inputs.make_predictions("classification", 5000)
    drawn = scatter(lines, inputs.make_metrics("classification"))
    assert drawn is not None and len(drawn.points) == 1000 and drawn.n_rows == 5000
    shown = {int(point.row) - 40 for point in drawn.points}
    assert set(range(4500, 5000)) <= shown and min(shown) < 20
    page = dataset_page(svg, "classification", predictions=lines)
    assert "1,000 of 5,000 rows are drawn" in page
    assert len(page) < 1_000_000
    assert scatter([], inputs.make_metrics("regression")) is None


def test_what_became_of_each_column_is_said() -> None:
    metrics = inputs.make_metrics("regression")
    metrics["columns"] = [
        inputs.make_column("plain"),
        inputs.make_column(
            "gaps",
            n_missing=3,
            n_missing_test=1,
            fill=2.5,
            has_indicator=True,
            features=["gaps", "gaps is missing"],
        ),
        inputs.make_column(
            "town",
            "text",
            n_levels=9,
            n_rare=2,
            levels=["a", "b", "c", "d" * 50, "e", "f", "g"],
            rare=["x", "y"],
            n_unseen_test=1,
            features=["town=a", "town=b", "town=(rare)"],
        ),
        inputs.make_column("garden", "boolean", n_missing_test=2, fill=1.0),
        inputs.make_column("same", features=[]),
        inputs.make_column("all rare", "text", n_levels=3, n_rare=3, features=[]),
        inputs.make_column("id", "dropped", features=[]),
        inputs.make_column("name", "id", features=[], doubts=["'n1' stands in rows 2 (train), 5 (test)"]),
    ]
    table = columns(metrics, {"plain": -0.25})
    outcome = {row.label: row.cells[-1].text for row in table.rows}
    assert outcome == {
        "gaps": "standardised; missing values become 2.5; a feature says where it is missing",
        "town": "1 in the feature of its level, 0 in those of others; 2 rare levels share one (x, y)",
        "garden": "1 if true, else 0; missing values become true",
        "same": "left out: constant on the training rows",
        "all rare": "left out: every text is rare",
        "id": "left out: source.drop names it",
        "name": "left out: source.row_id names it; it stands beside the rows; 'n1' stands in rows 2 (train), 5 (test)",
        "plain": "standardised; long tail compressed for the networks (Yeo–Johnson, power −0.25)",
    }
    (town,) = (row for row in table.rows if row.label == "town")
    assert [cell.text for cell in town.cells[:5]] == ["text", "0", "0", "9", "1"]
    assert town.cells[3].remark == f"a, b, c, {'d' * 29}…, e, …"
    assert "no training row has" in table.notes[0]
    metrics["doubts"] = ["row 3: two are the same"]
    assert columns(metrics, {}).notes[0] == "row 3: two are the same"
    metrics["doubts"] = []
    metrics["columns"] = [inputs.make_column(f"gene {i}") for i in range(300)] + [
        inputs.make_column("same", features=[])
    ]
    wide = columns(metrics, {})
    assert len(wide.rows) == 200 and wide.rows[0].label == "same" and "left out" in wide.notes[0]
