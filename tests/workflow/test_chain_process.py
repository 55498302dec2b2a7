"""The process of a chain, with a real kernel beneath it: signals, orphans, two at a time, full and read-only disks."""

import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bnn.core.storage import read_netcdf
from bnn.data.preparation import prepare

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
SCRIPT = """
import json, sys
from bnn.jobs.interruption import job_log
from scripts.sample_chain import main

folder, settings, every = sys.argv[1], json.loads(sys.argv[2]), float(sys.argv[3])
with job_log(folder + "/chain.log", label="chain 1 of gap") as terminal:
    main(folder + "/data.nc", folder + "/chain.nc", [1], settings, folder + "/chain.state", every, terminal,
         script=sys.argv[0])
"""
SIDE = {"family": "normal", "scale": 1.0, "df": 4.0}
SAMPLER = {
    "kernel": "malt",
    "warmup": 50,
    "draws": 300,
    "thin": 1,
    "init": "optimised",
    "optimise_steps": 20,
    "optimise_learning_rate": 0.02,
    "explore": 0,
    "target_acceptance": None,
    # After so short a warm-up steps are tiny, and trajectories of the usual length have a thousand of them.
    "trajectory_length": 0.2,
    "precondition": True,
    "collapse": "never",
    "most_steps": 1024,
    "most_gradients": None,
    "langevin": {"learning_rate": 0.01, "noise_scale": 0.05, "langevin_probability": 0.5},
    "keep_precision": "float64",
}
SETTINGS: dict[str, Any] = {
    "seed": 3,
    "network": {"hidden": [4], "activation": "tanh", "precision": "float64", "engine": "numpy"},
    "prior": {"weights": SIDE, "biases": SIDE, "fan_in_scaling": True, "learned_scales": "none"},
    "likelihood": {
        "family": "gaussian",
        "noise": "sampled",
        "df": 4.0,
        "log_noise_mean": -1.0,
        "log_noise_sd": 1.0,
    },
    "sampler": SAMPLER,
}
NEVER_DONE = 10_000_000


class Chain:
    """A chain in a folder, run by a process of its own."""

    def __init__(self, folder: Path, **sampler: Any) -> None:
        self.folder = folder
        self.settings = SETTINGS | {"sampler": SAMPLER | sampler}
        folder.mkdir()
        (folder / "chain_script.py").write_text(SCRIPT)
        source = {"kind": "synthetic", "name": "gap", "n": 60, "noise": 0.3, "seed": 0}
        split = {"method": "random", "test_size": 0.2, "seed": 1, "stratify": False}
        prepare("gap", task="regression", source=source, split=split).save(folder / "data.nc")

    def command(self, draws: int, every: float) -> list[str]:
        settings = self.settings | {"sampler": self.settings["sampler"] | {"draws": draws}}
        script = str(self.folder / "chain_script.py")
        return [sys.executable, script, str(self.folder), json.dumps(settings), str(every)]

    def start(
        self,
        draws: int = SAMPLER["draws"],  # type: ignore[assignment]
        *,
        every: float = 30.0,
        prefix: tuple[str, ...] = (),
        prepare: Callable[[], None] | None = None,
        variables: Mapping[str, str] | None = None,
    ) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [*prefix, *self.command(draws, every)],
            stderr=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT), **(variables or {})},
            preexec_fn=prepare,
        )

    def finish(self, draws: int = SAMPLER["draws"]) -> None:  # type: ignore[assignment]
        process = self.start(draws)
        _, said = process.communicate(timeout=600)
        assert process.returncode == 0, said

    @property
    def log(self) -> str:
        return (self.folder / "chain.log").read_text()

    def wait_for(self, name: str, *, n_bytes: int = 1) -> None:
        """Wait until a file of the chain's state has that size: the chain is on its way."""
        path = self.folder / "chain.state" / name
        deadline = time.monotonic() + 300
        while not path.exists() or path.stat().st_size < n_bytes:
            assert time.monotonic() < deadline, f"{name} did not grow"
            time.sleep(0.02)

    def draws(self) -> np.ndarray:
        return read_netcdf(self.folder / "chain.nc")[0]["theta"]


def slowness(pid: int) -> float:
    """Return how many seconds a process that always has work waits for one of the processor: 1 on an idle machine."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    ticks = os.sysconf("SC_CLK_TCK")
    used, began = (int(fields[11]) + int(fields[12])) / ticks, int(fields[19]) / ticks
    age = float(Path("/proc/uptime").read_text().split()[0]) - began
    return max(1.0, age / max(used, 1 / ticks))


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    chain = Chain(tmp_path_factory.mktemp("undisturbed") / "chain")
    chain.finish()
    return chain.draws()


def ends_as_undisturbed(chain: Chain, undisturbed: np.ndarray) -> bool:
    chain.finish()
    return np.array_equal(chain.draws(), undisturbed)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP], ids=lambda s: s.name)
def test_a_signal_makes_a_checkpoint_and_an_end_within_two_seconds(tmp_path, undisturbed, number):
    chain = Chain(tmp_path / "chain")
    process = chain.start(NEVER_DONE)
    chain.wait_for("draws")
    slower, asked = slowness(process.pid), time.monotonic()
    process.send_signal(number)
    _, said = process.communicate(timeout=300)
    assert time.monotonic() - asked < 2 * slower
    assert process.returncode == 128 + number, "a status for which Snakemake runs the job again"
    assert f"chain 1 of gap stopped: it received {number.name}; what was done is kept in " in said
    assert "Traceback" not in said + chain.log
    assert not (chain.folder / "chain.nc").exists()
    assert ends_as_undisturbed(chain, undisturbed)
    assert "going on from" in chain.log


def test_a_kill_costs_what_came_after_the_last_checkpoint(tmp_path, undisturbed):
    chain = Chain(tmp_path / "chain")
    process = chain.start(NEVER_DONE, every=0.3)
    chain.wait_for("checkpoint")
    time.sleep(1.0)
    age = time.time() - (chain.folder / "chain.state" / "checkpoint").stat().st_mtime
    slower = slowness(process.pid)
    process.kill()
    process.communicate(timeout=300)
    assert age < 0.3 + 1.0 * slower, "a second for a disk that is slow"
    assert ends_as_undisturbed(chain, undisturbed)
    assert f"process {process.pid} on " in chain.log and "ended without a word" in chain.log


def test_memory_does_not_grow_with_the_number_of_draws(tmp_path):
    """Twenty thousand draws of 301 parameters take 48 MB on the disk."""
    chain = Chain(tmp_path / "chain", kernel="random_walk", warmup=10)
    chain.settings["network"] = SETTINGS["network"] | {"hidden": [100]}
    peaks = []
    for draws in (100, 20_000):
        process = chain.start(draws)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        assert process.returncode == 0, process.stderr
        peaks.append(usage.ru_maxrss / 1024)
    assert (chain.folder / "chain.nc").stat().st_size > 45e6
    assert peaks[1] < peaks[0] + 10


STARTER = """
import subprocess, sys
subprocess.Popen(["bash", "-c", 'set -e; "$0" "$@"; true', *sys.argv[1:]]).wait()
"""


def test_an_orphan_notices_that_its_snakemake_is_gone(tmp_path, undisturbed):
    """As under Snakemake, a shell stands between the job and the process that started it, and lives on."""
    chain = Chain(tmp_path / "chain")
    starter = chain.start(NEVER_DONE, prefix=(sys.executable, "-c", STARTER))
    chain.wait_for("draws")
    starter.kill()
    # Started at once, the next process waits until the orphan has gone, and then goes on.
    assert ends_as_undisturbed(chain, undisturbed)
    assert "going on from" in chain.log
    _, said = starter.communicate(timeout=300)
    assert "stopped: the Snakemake that started it is gone" in said


def test_signals_that_were_ignored_from_the_start_stay_ignored(tmp_path):
    """`nohup` and shells in the background start processes so."""
    chain = Chain(tmp_path / "chain")

    def ignore() -> None:
        signal.signal(signal.SIGHUP, signal.SIG_IGN)

    process = chain.start(prepare=ignore)
    chain.wait_for("lock")
    process.send_signal(signal.SIGHUP)
    _, said = process.communicate(timeout=600)
    assert process.returncode == 0, said


@pytest.mark.parametrize("limit", [20_000, 50_000], ids=["draws", "results"])
def test_a_file_that_cannot_grow_is_named_and_nothing_is_half_written(tmp_path, undisturbed, limit):
    """A limit on the size of files stands in for a full disk: the kernel refuses to write."""
    chain = Chain(tmp_path / "chain")
    process = chain.start(prepare=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)))
    _, said = process.communicate(timeout=600)
    assert process.returncode == 1
    name = "chain.state/draws" if limit == 20_000 else "chain.nc"
    assert f"chain 1 of gap failed: cannot write {chain.folder}/{name}: " in said
    assert "File too large" in said
    assert len(said.splitlines()) == 1
    assert not (chain.folder / "chain.nc").exists()
    assert ends_as_undisturbed(chain, undisturbed)
    assert not list(chain.folder.glob(".*"))


def test_a_read_only_folder_is_named(tmp_path, undisturbed):
    chain = Chain(tmp_path / "chain")
    prefix: tuple[str, ...] = ()
    if os.geteuid() == 0:  # root writes everywhere, unless that right is taken from it
        if shutil.which("setpriv") is None:
            pytest.skip("root writes everywhere, and there is no setpriv to take that right from it")
        prefix = ("setpriv", "--bounding-set=-dac_override", "--inh-caps=-dac_override")
    (chain.folder / "chain.log").touch()
    chain.folder.chmod(0o555)
    process = chain.start(prefix=prefix)
    _, said = process.communicate(timeout=600)
    chain.folder.chmod(0o755)
    assert process.returncode == 1
    assert "Permission denied" in said and f"{chain.folder}/chain.state" in said
    assert len(said.splitlines()) == 1
    assert ends_as_undisturbed(chain, undisturbed)


def test_another_processor_changes_the_last_digits_and_nothing_that_is_concluded(tmp_path):
    """Vector units of another width add in another order. Chaos makes other draws of it, of the same posterior."""
    own, other = (Chain(tmp_path / name, draws=1500, trajectory_length=None) for name in ("own", "other"))
    own.finish(1500)
    umath = np._core._multiarray_umath  # type: ignore[attr-defined]
    dispatched = [name for name in umath.__cpu_dispatch__ if umath.__cpu_features__[name]]
    plain = {"NPY_DISABLE_CPU_FEATURES": " ".join(dispatched), "OPENBLAS_CORETYPE": "Nehalem"}
    process = other.start(1500, variables=plain)
    _, said = process.communicate(timeout=600)
    assert process.returncode == 0, said
    one, two = (read_netcdf(chain.folder / "chain.nc")[0] for chain in (own, other))
    # The first record of warm-up comes after 20 steps of the optimiser and one iteration.
    assert np.allclose(one["warmup_log_density"][:, 0], two["warmup_log_density"][:, 0], rtol=1e-9)
    # Means of a hundred batches, each taken as independent; over seeds five standard errors are once in a million.
    batches = [values["log_density"][0].reshape(100, -1).mean(axis=1) for values in (one, two)]
    error = np.sqrt(
        sum(batch.var(ddof=1) / 10 for batch in batches)
    )  # as if ten of the batches were independent
    assert abs(batches[0].mean() - batches[1].mean()) < 5 * error
