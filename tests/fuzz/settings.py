"""How much is tried: the same cases on every run, unless BNN_FUZZ asks for so many times as many random ones."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from hypothesis import HealthCheck, settings

SECONDS = 5


def examples(count: int) -> settings:
    """Return settings for so many cases; BNN_FUZZ=100 (`make fuzz`) tries a hundred times as many others instead."""
    asked = os.environ.get("BNN_FUZZ")
    return settings(
        max_examples=count * int(asked or 1),
        derandomize=not asked,
        database=None,
        deadline=None,  # `within` bounds each case, and ends one that hangs
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
    )


@contextmanager
def within(seconds: int = SECONDS) -> Iterator[None]:
    """Fail what takes longer, even where it would never end."""

    def give_up(signum: int, frame: FrameType | None) -> None:
        raise AssertionError(f"not done after {seconds} s")

    before = signal.signal(signal.SIGALRM, give_up)
    # Of the processor, which other tests may keep busy; and of the clock, for what waits.
    signal.signal(signal.SIGPROF, give_up)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    signal.setitimer(signal.ITIMER_REAL, 6 * seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGPROF, signal.SIG_DFL)
        signal.signal(signal.SIGALRM, before)
