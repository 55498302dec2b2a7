"""Progress of a long job: a line now and then in its log; a bar on a terminal, or a line where there is none."""

import time
from collections.abc import Callable
from typing import TextIO

from bnn.core.formatting import duration

_SECONDS_BETWEEN_LINES = 10.0
_SECONDS_BETWEEN_BEATS, _SHARE_BETWEEN_BEATS = 30.0, 0.05
"""Least time between lines where there is no terminal, and share of the time so far: a long job says less often."""
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
        Where a bar goes if it is a terminal, and else a line now and then: what a file, or the log of a batch system,
        is to say of a job that runs. None for neither.
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
        self._began = self._start = self._last_line = self._last_look = self._last_beat = time.monotonic()
        self._phase = self._of = ""
        self._bar = None
        self._heartbeat = terminal
        if terminal is not None and (always or terminal.isatty()):
            self._heartbeat = None
            from tqdm import tqdm

            # As wide as the terminal, and on one line for all jobs: bars that move the cursor garble the rest.
            self._bar = tqdm(
                total=total, desc=label, file=terminal, leave=False, unit="step", dynamic_ncols=True
            )

    def begin_at(self, done: int) -> None:
        """Continue as if so many steps had been made before; the time that is left is judged from now on."""
        self.done = self._first = done
        self._start = time.monotonic()

    def expect(self, total: int, of: str = "") -> None:
        """Take the job to be so many steps long; `of` names what ends then, if not all of it: "this round"."""
        self.total, self._of = total, f" of {of}" if of else ""
        if self._bar is not None:
            self._bar.total = total

    def advance(self, phase: str, details: Callable[[], str]) -> None:
        """Count one step; `details` is asked for its text only when something is shown.

        The time that is left is judged by the steps of this phase alone: a trajectory takes a hundred times as long as
        a step of exploration.
        """
        if phase != self._phase:
            self._phase, self._first = phase, self.done
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
        if self.log is not None and (
            now - self._last_line >= _SECONDS_BETWEEN_LINES or self.done == self.total
        ):
            print(self._line(phase, details(), now), file=self.log, flush=True)
            self._last_line = now
        quiet = max(_SECONDS_BETWEEN_BEATS, _SHARE_BETWEEN_BEATS * (now - self._began))
        if self._heartbeat is not None and now - self._last_beat >= quiet:
            print(self._line(phase, details(), now), file=self._heartbeat, flush=True)
            self._last_beat = now

    def _line(self, phase: str, details: str, now: float) -> str:
        n_timed = max(self.done - self._first - 1, 1)
        left = duration(round((now - self._start) / n_timed * (self.total - self.done)))
        done = f"{self.done:,} of {self.total:,} iterations"
        return f"{self.label}: {phase}, {done}, {details}, {left} left{self._of}"

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
