"""What the benchmark scripts share: one core, facts of the machine, fair timing, and tables.

Import this module first: it limits the threads of every library before they are loaded.
"""

import os
import platform
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from importlib.metadata import PackageNotFoundError, distributions, version
from pathlib import Path

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_name] = "1"
os.environ["JAX_PLATFORMS"] = "cpu"
os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
if hasattr(os, "sched_setaffinity"):
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})

RESULTS = Path(__file__).parent / "results"
PACKAGES = ("numpy", "numba", "jax")
PEERS = {
    "numpyro": "numpyro",
    "nutpie": "nutpie",
    "blackjax": "blackjax",
    "sklearn-contrib-bde": "bde",
    "catboost": "boosting",
    "ngboost": "boosting",
    "scikit-learn": "boosting",
}
"""Package of a peer -> its environment"""


def fastest(candidates: Mapping[str, Callable[[], object]], *, seconds: float) -> dict[str, float]:
    """Return the least seconds that a call of each took; candidates take turns, so that all see the same machine.

    A turn is two milliseconds or one call, short enough to fall between the interruptions of a shared machine.
    """
    calls, best = {}, dict.fromkeys(candidates, float("inf"))
    for name, function in candidates.items():
        function()
        start = time.perf_counter()
        function()
        calls[name] = max(1, int(0.002 / (time.perf_counter() - start)))
    end = time.perf_counter() + seconds * len(candidates)
    while time.perf_counter() < end:
        for name, function in candidates.items():
            start = time.perf_counter()
            for _ in range(calls[name]):
                function()
            best[name] = min(best[name], (time.perf_counter() - start) / calls[name])
    return best


def environment(peer: str) -> Path:
    """Return the folder of the virtual environment of a peer."""
    return Path(__file__).parents[1] / ".venv-benchmark" / peer


def facts() -> str:
    """Return machine, versions and date as one line."""
    cpu = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.is_file():
        names = [line.split(":")[1].strip() for line in info.read_text().splitlines() if "model name" in line]
        cpu = names[0] if names else cpu
    found = []
    for package in PACKAGES:
        try:
            found.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            found.append(f"{package} absent")
    for package, peer in PEERS.items():
        libraries = [str(folder) for folder in environment(peer).glob("lib/python*/site-packages")]
        versions = [item.version for item in distributions(name=package, path=libraries)]
        found.append(f"{package} {versions[0] if versions else 'absent'}")
    return f"{cpu}, one core; Python {platform.python_version()}, {', '.join(found)}; {date.today()}"


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table."""
    lines = [f"| {' | '.join(header)} |", f"|{' --- |' * len(header)}"]
    return "\n".join([*lines, *(f"| {' | '.join(row)} |" for row in rows)])


def write_table(
    name: str,
    title: str,
    header: Sequence[str],
    rows: Sequence[Sequence[str]],
    note: str,
    *,
    folder: Path = RESULTS,
) -> None:
    """Print a Markdown table and write it to <folder>/<name>.md."""
    text = "\n".join([f"# {title}", "", facts(), "", table(header, rows), "", note, ""])
    print(text)
    folder.mkdir(exist_ok=True)
    (folder / f"{name}.md").write_text(text, encoding="utf-8")
