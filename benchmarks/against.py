"""Ratio of this checkout's gradient to another's, by two processes that take turns on one core.

`benchmarks/gradient.py --against PATH` uses it. Run as a script, `against.py CHECKOUT` serves timings of that checkout:
it reads lines of JSON (sizes, rows, chains, seconds) and answers each with the least microseconds per chain.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np

_TURNS, _SECONDS = 20, 0.015


def serve(checkout: str) -> None:
    """Answer lines of standard input until it ends."""
    here = str(Path(__file__).parent)
    sys.path[:] = [checkout, f"{checkout}/benchmarks"] + [path for path in sys.path if path != here]
    import gradient

    current, posterior, theta = None, None, np.empty((0, 0))
    for line in sys.stdin:
        sizes, n_rows, n_chains, seconds = json.loads(line)
        if current != (sizes, n_rows, n_chains):
            current = (sizes, n_rows, n_chains)
            rng = np.random.default_rng(0)
            x = rng.standard_normal((n_rows, sizes[0]))
            y = rng.integers(0, sizes[-1], n_rows) if sizes[-1] > 1 else rng.standard_normal(n_rows)
            posterior = gradient.make_posterior(tuple(sizes), x, y, "numba")
            theta = 0.3 * rng.standard_normal((n_chains, posterior.layout.n_params))
            posterior.log_density_and_grad(theta)
        best, end = float("inf"), time.thread_time() + seconds
        while time.thread_time() < end:
            # The processor's time, not the clock's: others may work on the machine.
            start = time.thread_time()
            posterior.log_density_and_grad(theta)
            best = min(best, time.thread_time() - start)
        print(json.dumps(1e6 * best / n_chains), flush=True)


def ratios(other: Path, cases: Mapping[str, tuple]) -> dict[str, tuple[float, float]]:
    """Return for each case this checkout's time divided by the other's: for one chain, and at the best batch of each.

    Parameters
    ----------
    other
        A checkout with its environment in `.venv`.
    cases
        Name -> layers' sizes, rows, numbers of chains.
    """
    here = Path(__file__).resolve().parents[1]
    # Where these are set OpenBLAS takes loops for another processor, and NumPy's products half their speed.
    drop = ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")
    environment = {name: value for name, value in os.environ.items() if name not in drop}
    programs = [sys.executable, str(other.resolve() / ".venv/bin/python")]
    servers = [
        subprocess.Popen(
            [program, __file__, str(root)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
        )
        for program, root in zip(programs, (here, other.resolve()), strict=True)
    ]
    found = {}
    for name, (sizes, n_rows, batches) in cases.items():
        best = np.full((len(batches), 2), np.inf)
        for row, n_chains in enumerate(batches):
            request = json.dumps([sizes, n_rows, n_chains, _SECONDS]) + "\n"
            for _ in range(_TURNS):
                for column, server in enumerate(servers):
                    assert server.stdin is not None
                    assert server.stdout is not None
                    server.stdin.write(request)
                    server.stdin.flush()
                    best[row, column] = min(best[row, column], json.loads(server.stdout.readline()))
        ours, theirs = best.min(axis=0)
        found[name] = (best[0, 0] / best[0, 1], ours / theirs)
    for server in servers:
        server.communicate()
    return found


if __name__ == "__main__":
    serve(sys.argv[1])
