"""Lines of progress: how often they come, and what they say."""

import io
import re
from itertools import pairwise
from typing import Any

import pytest

from bnn.core import progress
from bnn.core.progress import Progress


class Terminal(io.StringIO):
    """A terminal that somebody watches."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Seconds that have passed: the first item, which a test sets."""
    now = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    return now


def beats(clock: list[float], seconds_each: float, n_steps: int, **places: Any) -> list[tuple[float, str]]:
    """Run a job and return its lines where no terminal is, each with the time at which it came."""
    shown, found = io.StringIO(), []
    display = Progress("iris chains 0-3", n_steps, log=None, **({"terminal": shown} | places))
    for _ in range(n_steps):
        clock[0] += seconds_each
        display.advance("draws", lambda: "round 2")
        if shown.getvalue():
            found.append((clock[0], shown.getvalue().rstrip("\n")))
            shown.truncate(shown.seek(0))
    return found


def test_without_a_terminal_a_line_comes_now_and_then(clock: list[float]) -> None:
    found = beats(clock, seconds_each=0.25, n_steps=800)
    assert len(found) == 6
    time, line = found[0]
    assert 30 <= time < 40
    pattern = r"iris chains 0-3: draws, (\d+) of 800 iterations, round 2, 2 min 48 s left"
    match = re.fullmatch(pattern, line)
    assert match is not None and int(match[1]) == 4 * time


def test_a_long_job_says_less_often_where_it_is(clock: list[float]) -> None:
    times = [time for time, _ in beats(clock, seconds_each=1.0, n_steps=40_000)]
    assert all(late - early >= 0.05 * late for early, late in pairwise(times))
    assert len(times) < 120


def test_a_terminal_and_a_silent_caller_get_no_lines(clock: list[float]) -> None:
    assert beats(clock, 1.0, 100, terminal=None) == []
    watched = Terminal()
    assert beats(clock, 1.0, 100, terminal=watched) == []
    assert "iterations" not in watched.getvalue()


def test_the_time_left_is_judged_by_the_phase(clock: list[float]) -> None:
    shown = io.StringIO()
    display = Progress("iris chain 0", 4128, log=None, terminal=shown)
    for phase, seconds, n_steps in (("exploration", 0.001, 4000), ("warm-up", 1.0, 64)):
        for _ in range(n_steps):
            clock[0] += seconds
            display.advance(phase, lambda: "")
    line = shown.getvalue().splitlines()[-1]
    shown_at = re.search(r"warm-up, ([\d,]+) of 4,128", line)
    assert shown_at is not None
    done = int(shown_at[1].replace(",", ""))
    left = re.search(r"(?:(\d+) min )?(\d+)(?:\.0)? s left", line)
    assert left is not None and 60 * int(left[1] or 0) + int(left[2]) == 4128 - done
