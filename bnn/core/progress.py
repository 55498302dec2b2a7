"""Progress of a long job: a line now and then in its log, and a bar where a person watches a terminal."""

import time
from collections.abc import Callable
from typing import TextIO

_SECONDS_BETWEEN_LINES = 10.0
_SECONDS_BETWEEN_LOOKS = 0.25


class Progress:
    """Report how far a job is, at a bounded rate however fast it steps.

    Parameters
    ----------
    label
        What runs, for example "iris chain 2".
    total
        Steps of the whole job.
    log
        Where lines go; None for no lines.
    terminal
        Where a bar goes if it is a terminal; None for no bar.
    always
        Whether the bar goes there even if it is no terminal: a notebook shows one as well.
    """

    def __init__(
        self,
        label: str,
        total: int,
        *,
        log: TextIO | None,
        terminal: TextIO | None = None,
        always: bool = False,
    ) -> None:
        self.label = label
        self.total = total
        self.log = log
        self.done = self._first = 0
        self._start = self._last_line = self._last_look = time.monotonic()
        self._bar = None
        if terminal is not None and (always or terminal.isatty()):
            from tqdm import tqdm

            # As wide as the terminal, and on one line for all jobs: bars that move the cursor garble the rest.
            self._bar = tqdm(
                total=total, desc=label, file=terminal, leave=False, unit="step", dynamic_ncols=True
            )

    def begin_at(self, done: int) -> None:
        """Continue as if so many steps had been made before; the time that is left is judged from now on."""
        self.done = self._first = done
        self._start = time.monotonic()

    def expect(self, total: int) -> None:
        """Take the job to be so many steps long."""
        self.total = total
        if self._bar is not None:
            self._bar.total = total

    def advance(self, phase: str, details: Callable[[], str]) -> None:
        """Count one step; `details` is asked for its text only when something is shown."""
        self.done += 1
        if self.done == self._first + 1:
            # In the first step compilers run and caches fill: it says nothing about the others.
            self._start = time.monotonic()
        # Looking at the clock costs as much as a small NumPy call, so only every 16th step does.
        if self.done % 16 and self.done != self.total:
            return
        now = time.monotonic()
        if self._bar is not None and now - self._last_look >= _SECONDS_BETWEEN_LOOKS:
            self._bar.set_postfix_str(f"{phase} {details()}", refresh=False)
            self._bar.update(self.done - self._bar.n)
            self._last_look = now
        is_time = now - self._last_line >= _SECONDS_BETWEEN_LINES or self.done == self.total
        if self.log is not None and is_time:
            n_timed = max(self.done - self._first - 1, 1)
            seconds_left = (now - self._start) / n_timed * (self.total - self.done)
            share = f"{self.done}/{self.total}"
            print(
                f"{self.label}: {phase}, step {share}, {details()}, {seconds_left:.0f} s left",
                file=self.log,
                flush=True,
            )
            self._last_line = now

    def close(self) -> None:
        """Take the bar off the terminal."""
        if self._bar is not None:
            self._bar.close()


class Silent(Progress):
    """A progress that shows nothing, for callers with a display of their own."""

    def __init__(self) -> None:
        super().__init__("", 0, log=None)

    def advance(self, phase: str, details: Callable[[], str]) -> None:
        """Count one step."""
        self.done += 1
