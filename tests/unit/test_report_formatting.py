"""Numbers of the report: as many digits as their error supports."""

import math

import pytest

from bnn.core import formatting
from bnn.report.table import METRICS, score


@pytest.mark.parametrize(
    ("value", "mcse", "text"),
    [
        (0.9667, 0.0021, "0.967 ± 0.002"),
        (0.96667, 0.0126, "0.967 ± 0.013"),
        (0.96667, 0.0199, "0.97 ± 0.02"),
        (0.96667, 0.0996, "0.97 ± 0.10"),
        (5.0, 9.97, "5 ± 10"),
        (53123.4, 213.0, "53,100 ± 200"),
        (53.123, 1e-9, "53.1230 ± < 0.0001"),
        (-1.2346, 0.0123, "\N{MINUS SIGN}1.235 ± 0.012"),
        (-0.00004, 0.001, "0.0000 ± 0.0010"),
        (3e-6, 2e-7, "(3.0 ± 0.2) × 10⁻⁶"),
        (1.0, 0.0, "1.000 ± 0"),
        (1.0, None, "1.000"),
        (1.0, float("nan"), "1.000"),
        (None, None, "n/a"),
        (float("inf"), 0.1, "n/a"),
    ],
)
def test_estimate_shows_the_digits_that_its_error_supports(value: float, mcse: float, text: str) -> None:
    assert formatting.estimate(value, mcse) == text


@pytest.mark.parametrize(
    ("lower", "upper", "error", "text"),
    [
        (-0.0412, 0.0187, 0.0153, "\N{MINUS SIGN}0.041 to 0.019"),
        (-2.81, 1.24, 0.72, "\N{MINUS SIGN}2.8 to 1.2"),
        (-2.81, -0.012, 0.72, "\N{MINUS SIGN}2.81 to \N{MINUS SIGN}0.01"),
        (0.0, 0.2, 0.05, "0.00 to 0.20"),
        (4e-7, 0.00397, 0.0021, "4 × 10⁻⁷ to 0.004"),
        (-0.00397, -4e-7, 0.0021, "\N{MINUS SIGN}0.004 to \N{MINUS SIGN}4 × 10⁻⁷"),
        (-1.0, 2.0, 0.0, "\N{MINUS SIGN}1.00 to 2.00"),
        (-1e-9, 2e-8, 1e-9, "\N{MINUS SIGN}1.00 × 10⁻⁹ to 2.00 × 10⁻⁸"),
        (None, 1.0, 0.1, "n/a"),
    ],
)
def test_an_interval_keeps_to_its_side_of_zero(lower: float, upper: float, error: float, text: str) -> None:
    assert formatting.interval(lower, upper, error) == text


def test_differences_have_a_sign_and_distances_a_unit() -> None:
    shown = [formatting.signed(value, 0.012) for value in (0.0213, -0.0213, 0.0)]
    assert shown == ["+0.021 ± 0.012", "\N{MINUS SIGN}0.021 ± 0.012", "0.000 ± 0.012"]
    assert [formatting.deviation(value) for value in (2.649, -0.04, None)] == ["+2.6 sd", "0.0 sd", "n/a"]
    assert [formatting.level(share) for share in (0.95, 0.9, 0.999)] == ["95 %", "90 %", "99.9 %"]
    assert formatting.is_negligible(1e-17, 1.0) and formatting.is_negligible(0.0, 0.0)
    assert not formatting.is_negligible(1e-3, 1.0) and not formatting.is_negligible(None, 1.0)


def test_a_value_of_a_column_may_be_a_name_and_a_probability_below_1_does_not_read_1() -> None:
    assert [formatting.as_given(value) for value in (2015.0, 20150131.0, 0.2, None)] == [
        "2015",
        "20150131",
        "0.2",
        "n/a",
    ]
    rounded = [
        formatting.as_given(value) for value in (1 - 1e-15, 20 + 4e-15, -3.0, 0.0, 1e-12, math.nan, math.inf)
    ]
    assert rounded == ["1", "20", "\N{MINUS SIGN}3", "0", "1.000 × 10⁻¹²", "n/a", "n/a"]
    shown = [formatting.probability(value, 2) for value in (0.534, 0.998, 0.99997, 1.0, 0.0, 1e-7, None)]
    assert shown == ["0.53", "0.998", "0.99997", "1.0", "0", "1.0 × 10⁻⁷", "n/a"]


def test_a_number_stays_on_the_line_of_its_error_and_its_sign_of_percent() -> None:
    assert formatting.unbroken("is 94.6 ± 1.5 % here").split(" ") == ["is", "94.6\xa0±\xa01.5\xa0%", "here"]


def test_numbers_are_formatted_for_people() -> None:
    values = (0.99996, 123456.7, 1.5e8, -2.5e-7, 0.0, None, float("nan"))
    shown = ["1.000", "123,457", "1.500 × 10⁸", "\N{MINUS SIGN}2.500 × 10⁻⁷", "0", "n/a", "n/a"]
    assert [formatting.number(value) for value in values] == shown
    assert [
        formatting.percent(*pair) for pair in ((0.5, 0.01), (1.0, None), (0.9998, None), (None, None))
    ] == [
        "50.0 ± 1.0 %",
        "100 %",
        "99.980 %",
        "n/a",
    ]
    assert [formatting.count(value) for value in (399.7, 1234567, -1234, None)] == [
        "399",
        "1,234,567",
        "\N{MINUS SIGN}1,234",
        "n/a",
    ]
    # A limit of 1.01 is exceeded by what reads above 1.0100, and by nothing else.
    assert [formatting.rhat(value) for value in (1.01, 1.01001, 1.0, None)] == [
        "1.0100",
        "1.0101",
        "1.0000",
        "n/a",
    ]
    spans = (0.0042, 0.42, 12.34, 59.97, 200, 3599.7, 7500, None)
    assert [formatting.duration(seconds) for seconds in spans] == [
        "0.0042 s",
        "0.42 s",
        "12.3 s",
        "1 min 00 s",
        "3 min 20 s",
        "1 h 00 min",
        "2 h 05 min",
        "n/a",
    ]


def test_numbers_of_a_column_have_one_number_of_places_and_scores_one_more_than_their_difference() -> None:
    assert formatting.column([120.4, 3.21, None, -0.5]) == ["120", "3", "n/a", "\N{MINUS SIGN}0"][:3] + ["0"]
    assert formatting.column([1.204, 0.0321, 0.5]) == ["1.20", "0.03", "0.50"]
    assert formatting.column([40.0, 38.0], places=0) == ["40", "38"]
    assert formatting.column([3e8, 1.0]) == [formatting.number(3e8, 3), "1.00"]
    assert [formatting.places_beside(error) for error in (2.0, 0.15, 6e-5, 40.0, 0.0, None)] == [
        1,
        3,
        6,
        0,
        None,
        None,
    ]


@pytest.mark.parametrize(
    ("value", "text"), [(7.9, "7.9"), (5.7236, "5.7236"), (75.0, "75"), (0.1 + 0.2, "0.3")]
)
def test_values_of_features_have_the_decimals_of_the_table(value: float, text: str) -> None:
    assert formatting.as_given(value * (1 + 1e-9)) == text


def test_a_share_and_its_error_are_no_impossible_range() -> None:
    metric = METRICS["accuracy"]
    entry = {"value": 0.99, "mcse": 0.0, "se": 0.04, "lower": 0.91, "upper": 0.999}
    assert score(entry, metric) == "99.0 % (91 to 100 %)"
    assert score(entry | {"value": 0.9}, metric) == "90 ± 4 %"
    assert score({"value": 0.02, "mcse": 0.0, "se": 0.04}, metric) == "2.00 %"
