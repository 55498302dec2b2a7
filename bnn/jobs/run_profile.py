"""Where the time of a run went, from the benchmark files that it left: `python -m bnn.jobs.run_profile results`.

A job began as many seconds before its benchmark file was written as that file says it took. Chains say themselves how
long their last process optimised and sampled (what was done before an interruption is no part of the run); what is
left of their jobs is starting Python, reading and writing.
"""

import argparse
import csv
import re
import sys
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from bnn.core.storage import read_attributes

PAUSE = 60.0
"""Seconds without any job that part one run from the next."""

_CHAINS = re.compile(r"sample_chain_(?P<chains>\d+(-\d+)?)")
"""Name of the benchmark file of chains"""


class Job(NamedTuple):
    """A job that is done."""

    rule: str
    dataset: str
    """"" for the overview"""
    start: float
    """Seconds since the epoch"""
    seconds: float
    inside: float
    """Seconds of sampling and optimising"""


def read_jobs(results: Path) -> list[Job]:
    """Return the jobs of the last run below a results folder, by start.

    Raises
    ------
    FileNotFoundError
        If there is no benchmark file.
    """
    paths = [*results.glob("benchmarks/*.tsv"), *results.glob("*/benchmarks/*.tsv")]
    if not paths:
        raise FileNotFoundError(
            f"{results} holds no benchmark files (*/benchmarks/*.tsv): run the workflow first"
        )
    jobs = sorted((_read_job(path, results) for path in paths), key=lambda job: (job.start, job.rule))
    first, end = 0, jobs[0].start
    for index, job in enumerate(jobs):
        if job.start - end > PAUSE:
            first = index
        end = max(end, job.start + job.seconds)
    return jobs[first:]


def _read_job(path: Path, results: Path) -> Job:
    with path.open(encoding="utf-8", newline="") as file:
        row = next(csv.DictReader(file, delimiter="\t"))
    seconds = float(row["s"])
    folder = path.parents[1]
    rule = path.stem
    inside = 0.0
    if chains := _CHAINS.fullmatch(rule):
        rule = "sample_chain"
        inside = _seconds_inside(folder / "chains" / f"chain_{chains['chains']}.nc", "seconds_last_process")
    elif rule == "fit_baseline":
        inside = _seconds_inside(folder / "baseline.nc", "seconds_training")
    elif rule.startswith("predict_"):
        rule = "predict"
    dataset = "" if folder == results else folder.name
    return Job(rule, dataset, path.stat().st_mtime - seconds, seconds, min(inside, seconds))


def _seconds_inside(path: Path, name: str) -> float:
    return float(read_attributes(path).get(name, 0.0)) if path.is_file() else 0.0


def cores_used(jobs: Sequence[Job]) -> int:
    """Return how many jobs ran at once at most: each has one core."""
    # Times are known to some hundredths of a second, so an end counts before a start that is as close as that.
    events = [(job.start + 0.1, 1) for job in jobs] + [
        (job.start + max(job.seconds, 0.1), -1) for job in jobs
    ]
    running = most = 0
    for _, change in sorted(events):
        running += change
        most = max(most, running)
    return max(most, 1)


def share_inside(jobs: Sequence[Job], cores: int) -> float:
    """Return the fraction of the core-seconds from the first job's start to the last one's end spent inside."""
    return sum(job.inside for job in jobs) / (cores * _wall(jobs))


def _wall(jobs: Sequence[Job]) -> float:
    return max(job.start + job.seconds for job in jobs) - jobs[0].start


def describe(jobs: Sequence[Job], cores: int) -> str:
    """Return a table: a line for each rule, and where the rest went."""
    wall = _wall(jobs)
    total = cores * wall
    by_rule: dict[str, list[Job]] = defaultdict(list)
    for job in jobs:
        by_rule[job.rule].append(job)
    datasets = {job.dataset for job in jobs} - {""}
    lines = [
        f"{len(jobs)} jobs of {len(datasets)} datasets in {wall:.1f} s, on {cores} cores: {total:.1f} core-seconds",
        "",
        f"{'rule':<14}{'jobs':>6}{'core-seconds':>14}{'share':>8}   slowest",
    ]
    used = 0.0
    for rule, group in sorted(by_rule.items(), key=lambda item: -sum(job.seconds for job in item[1])):
        seconds = sum(job.seconds for job in group)
        used += seconds
        slowest = max(group, key=lambda job: job.seconds)
        where = f"{slowest.dataset or 'all'} ({slowest.seconds:.1f} s)"
        lines.append(f"{rule:<14}{len(group):>6}{seconds:>14.1f}{seconds / total:>8.1%}   {where}")
    lines.append(f"{'(no job)':<14}{'':>6}{max(0.0, total - used):>14.1f}{max(0.0, 1 - used / total):>8.1%}")
    inside = share_inside(jobs, cores)
    lines += ["", f"sampling and optimising: {inside * total:.1f} core-seconds, {inside:.1%} of all"]
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the table for a results folder."""
    parser = argparse.ArgumentParser(
        prog="python -m bnn.jobs.run_profile", description="Where the time of a run went."
    )
    parser.add_argument("results", type=Path, nargs="?", default=Path("results"), help="the folder (results)")
    parser.add_argument("--cores", type=int, help="cores of the run (as many as jobs ran at once)")
    options = parser.parse_args(arguments)
    try:
        jobs = read_jobs(options.results)
    except FileNotFoundError as error:
        sys.exit(str(error))
    print(describe(jobs, options.cores or cores_used(jobs)))


if __name__ == "__main__":
    main()
