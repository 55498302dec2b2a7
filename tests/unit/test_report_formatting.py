"""Numbers of the report: as many digits as their error supports."""

import pytest

from bnn.report import formatting


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
