"""Jobs of chains: stopped, killed, damaged, refused or extended, they end with the draws of an undisturbed run."""

import builtins
import errno
import os
import re
import shutil
import sys
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bnn.core import storage
from bnn.core.progress import Progress, Silent
from bnn.core.settings import (
    BlockPriorSettings,
    ChainSettings,
    LangevinSettings,
    PriorSettings,
    SamplerSettings,
)
from bnn.core.storage import read_netcdf
from bnn.jobs import chain_job, checkpoint
from bnn.jobs.chain_job import ChainJob, run_job
from bnn.jobs.checkpoint import CheckpointError, read_checkpoint
from bnn.jobs.identity import sampled_again, state_folder
from bnn.jobs.interruption import Interrupted, Interruption
from bnn.jobs.locks import exclusive_lock
from bnn.mcmc import SAMPLER_VERSION
from bnn.mcmc.chain import run_chains
from bnn.mcmc.chain_state import RunState
from bnn.model.layout import ParameterLayout
from bnn.model.posterior import make_posterior
from tests.refusals import refused
from tests.unit.synthetic_chains import LIKELIHOOD, NETWORK, make_dataset

DATASET = make_dataset("regression")
SIDE = BlockPriorSettings("normal", 1.0, 4.0)
PRIOR = PriorSettings(SIDE, SIDE, fan_in_scaling=True, learned_scales="none")
SAMPLER = SamplerSettings(
    kernel="malt",
    warmup=12,
    draws=6,
    thin=2,
    most_steps=1024,
    most_gradients=None,
    init="optimised",
    optimise_steps=3,
    optimise_learning_rate=0.02,
    explore=4,
    target_acceptance=None,
    trajectory_length=None,
    precondition=True,
    collapse="never",
    langevin=LangevinSettings(0.01, 0.05, 0.5),
    keep_precision="float64",
)
KERNELS = ["malt", "mams", "microcanonical", "sms_ubu", "mala", "random_walk", "langevin_gradient"]


def make_job(
    folder: Path,
    *,
    chains: tuple[int, ...] = (1, 3),
    every: float = 1e9,
    family: str = LIKELIHOOD.family,
    **sampler: Any,
) -> ChainJob:
    likelihood = replace(LIKELIHOOD, family=family)
    settings = ChainSettings(NETWORK, PRIOR, likelihood, seed=5, sampler=replace(SAMPLER, **sampler))
    return ChainJob(
        DATASET.name,
        DATASET.x_train,
        DATASET.y_train,
        DATASET.n_classes,
        chains,
        settings,
        folder / "chain.nc",
        folder / "chain.state",
        every,
    )


def run(job: ChainJob, interruption: Interruption | None = None) -> None:
    run_job(job, lambda total: Silent(), interruption or Interruption())


def draws_of(job: ChainJob) -> dict[str, np.ndarray]:
    """Return all in the file of the chains that must not depend on interruptions."""
    variables, attributes = read_netcdf(job.path)
    plain = {name: np.array(value) for name, value in attributes.items() if not name.startswith("seconds_")}
    return variables | plain


def assert_same_draws(found: ChainJob, expected: ChainJob) -> None:
    one, other = draws_of(found), draws_of(expected)
    assert one.keys() == other.keys()
    for name, values in one.items():
        assert values.dtype == other[name].dtype, name
        assert np.array_equal(values, other[name]), name


class StopAt(Interruption):
    """Asks to stop at one of the evaluations of the density, in the middle of a trajectory too."""

    def __init__(self, evaluation: int) -> None:
        super().__init__()
        self.left = evaluation

    def check_signal(self) -> None:
        self.left -= 1
        if self.left == 0:
            raise Interrupted("it received SIGTERM", 143)

    def check(self) -> None:
        pass


@pytest.fixture
def eager(monkeypatch):
    """A job that could stop after every step."""
    monkeypatch.setattr(chain_job, "_SECONDS_BETWEEN_LOOKS", 0.0)


def test_a_job_writes_the_draws_of_its_chains_and_all_that_is_needed(tmp_path):
    job = make_job(tmp_path, kernel="auto")
    run(job)
    posterior = make_posterior(
        DATASET.x_train,
        DATASET.y_train,
        n_classes=DATASET.n_classes,
        network=NETWORK,
        prior=PRIOR,
        likelihood=LIKELIHOOD,
    )
    expected = run_chains(posterior, (1, 3), 5, job.sampler, Silent())
    variables, attributes = read_netcdf(job.path)
    for name in ("theta", "log_density", "acceptance_rate"):
        assert np.array_equal(variables[name], getattr(expected, name)), name
    assert np.array_equal(variables["diverging"], expected.n_diverging)
    assert np.array_equal(variables["step_size"], expected.step_size)
    assert np.array_equal(variables["preconditioner"], expected.tuning.variance)
    assert np.array_equal(variables["trajectory_length"], expected.tuning.trajectory)
    n_steps = np.ceil(expected.tuning.trajectory / expected.step_size)
    assert np.array_equal(variables["n_steps"], n_steps)
    assert np.array_equal(variables["optimiser_iteration"], expected.optimiser["iteration"])
    assert np.array_equal(variables["optimiser_log_density"], expected.optimiser["log_density"])
    assert variables["chain_id"].tolist() == [1, 3]
    assert np.array_equal(variables["warmup_log_density"], expected.warmup["log_density"])
    assert variables["warmup_explores"].tolist() == [1] * 4 + [0] * 12
    assert ParameterLayout.from_json(attributes["layout"]) == posterior.layout
    facts = {"dataset": "toy", "kernel": "malt", "n_warmup": 16, "n_draws": 6, "thin": 2, "seed": 5}
    assert {name: attributes[name] for name in facts} == facts
    assert (attributes["n_gradients"], attributes["adjusted"]) == (expected.n_gradients, 1)
    assert attributes["seconds_warmup"] > 0


# With Student-t noise and the output layer integrated out, row precisions are part of the state.
STOPPED: list[dict[str, Any]] = [{"kernel": kernel} for kernel in KERNELS]
STOPPED += [{"kernel": kernel, "collapse": "auto", "family": "student_t"} for kernel in ("malt", "mala")]
# Two rounds, and a last one that is shorter.
STOPPED += [{"kernel": "malt", "thin": 1, "draws": 8, "most_gradients": 700}]


@pytest.mark.slow
@pytest.mark.parametrize("how", STOPPED, ids=str)
def test_stopped_anywhere_and_started_again_a_job_ends_with_the_same_draws(tmp_path, how, eager):
    undisturbed = make_job(tmp_path / "once", **how)
    run(undisturbed)
    n_evaluations = int(draws_of(undisturbed)["n_gradients"])
    if "most_gradients" in how:
        assert draws_of(undisturbed)["thin"] > 1 and draws_of(undisturbed)["n_draws"] > 8
    rng = np.random.default_rng(0)
    for series in range(2):
        job = make_job(tmp_path / str(series), **how)
        n_stops = 0
        while not job.path.exists():
            try:
                run(job, StopAt(int(rng.integers(1, n_evaluations // 2))))
            except Interrupted as stop:
                n_stops += 1
                assert "run the same command again" in str(stop)
        assert n_stops > 0
        assert_same_draws(job, undisturbed)


@pytest.mark.slow
def test_stopped_in_every_phase(tmp_path, eager, capsys):
    undisturbed = make_job(tmp_path / "once")
    run(undisturbed)
    phases = set()
    for evaluation in (3, 7, *range(20, int(draws_of(undisturbed)["n_gradients"]), 40)):
        job = make_job(tmp_path / str(evaluation))
        with pytest.raises(Interrupted):
            run(job, StopAt(evaluation))
        run(job)
        assert_same_draws(job, undisturbed)
        phases |= set(re.findall(r"going on from \S+: (\w+)", capsys.readouterr().out))
    assert phases == {"optimise", "explore", "warmup", "draws"}


@pytest.mark.parametrize("how", [{}, {"collapse": "auto", "family": "student_t"}], ids=["plain", "collapsed"])
def test_chains_alone_and_stopped_equal_those_of_a_batch(tmp_path, eager, how):
    together, alone = make_job(tmp_path / "a", **how), make_job(tmp_path / "b", chains=(3,), **how)
    run(together)
    with pytest.raises(Interrupted):
        run(alone, StopAt(60))
    run(alone)
    assert np.array_equal(draws_of(alone)["theta"][0], draws_of(together)["theta"][1])


def test_more_draws_go_on_from_a_finished_chain(tmp_path, capsys):
    long = make_job(tmp_path / "long", draws=11)
    run(long)
    job = make_job(tmp_path / "short", draws=6)
    run(job)
    capsys.readouterr()
    longer = make_job(tmp_path / "short", draws=11)
    longer.path.unlink()  # as Snakemake does before it runs a job
    run(longer)
    assert "draws, 6 draws so far" in capsys.readouterr().out
    assert_same_draws(longer, long)
    again = make_job(tmp_path / "short", draws=6)
    run(again)
    expected = make_job(tmp_path / "other", draws=6)
    run(expected)
    assert_same_draws(again, expected)


def test_draws_in_single_precision_are_the_draws_rounded(tmp_path):
    double, single = make_job(tmp_path / "a"), make_job(tmp_path / "b", keep_precision="float32")
    run(double)
    run(single)
    stored = draws_of(single)["theta"]
    assert stored.dtype == np.float32
    assert np.array_equal(stored, draws_of(double)["theta"].astype(np.float32))
    assert np.array_equal(draws_of(single)["log_density"], draws_of(double)["log_density"])


@lru_cache
def n_evaluations() -> int:
    """Return how often an undisturbed run evaluates the density."""
    posterior = make_posterior(
        DATASET.x_train,
        DATASET.y_train,
        n_classes=DATASET.n_classes,
        network=NETWORK,
        prior=PRIOR,
        likelihood=LIKELIHOOD,
    )
    return run_chains(posterior, (1, 3), 5, make_job(Path()).sampler, Silent()).n_gradients


def half_done(folder: Path) -> ChainJob:
    """Return a job that was stopped after some of its draws."""
    job = make_job(folder)
    with pytest.raises(Interrupted):
        run(job, StopAt(n_evaluations() - 20))
    state, mark = read_checkpoint(job.folder / "checkpoint", RunState, job.identity)
    assert state.phase == "draws" and 0 < mark.n_records < 6
    return job


def other_data(job: ChainJob) -> ChainJob:
    x = job.x.copy()
    x[0, 0] += 1e-9
    return replace(job, x=x)


@pytest.mark.parametrize(
    ("change", "version", "parts"),
    [
        (lambda job: job, SAMPLER_VERSION + 1, ["sampler version"]),
        (other_data, SAMPLER_VERSION, ["data"]),
        (lambda job: replace(job, settings=replace(job.settings, seed=6)), SAMPLER_VERSION, ["config"]),
        (
            lambda job: make_job(job.path.parent, thin=3),
            SAMPLER_VERSION + 1,
            ["config", "sampler version"],
        ),
    ],
)
def test_a_checkpoint_of_something_else_is_refused_and_set_aside(
    tmp_path, eager, capsys, monkeypatch, change, version, parts
):
    other = change(half_done(tmp_path / "job"))
    monkeypatch.setattr(chain_job, "SAMPLER_VERSION", version)
    run(other)
    said = capsys.readouterr().out
    assert "[other-identity]" in said and all(part in said for part in parts)
    assert {path.name for path in other.folder.iterdir()} == {
        "checkpoint",
        "checkpoint.refused",
        "draws",
        "draws.refused",
        "lock",
    }
    fresh = replace(other, path=tmp_path / "fresh.nc", folder=tmp_path / "fresh")
    run(fresh)
    assert_same_draws(other, fresh)


def test_what_was_set_aside_before_stays(tmp_path, eager, capsys, monkeypatch):
    job = half_done(tmp_path / "job")
    (job.folder / "checkpoint.refused").write_text("an earlier one")
    monkeypatch.setattr(chain_job, "SAMPLER_VERSION", SAMPLER_VERSION + 1)
    run(job)
    assert "it now ends in .refused-2" in capsys.readouterr().out
    assert (job.folder / "checkpoint.refused").read_text() == "an earlier one"
    assert {"checkpoint.refused-2", "draws.refused-2"} <= {path.name for path in job.folder.iterdir()}


def test_a_finished_job_that_is_run_again_samples_nothing(tmp_path, monkeypatch):
    job = make_job(tmp_path)
    run(job)
    once = job.path.rename(tmp_path / "once.nc")  # Snakemake deletes what it makes again

    def step(self):
        raise AssertionError("a step is made")

    monkeypatch.setattr(chain_job.ChainRun, "step", step)
    run(job)
    assert_same_draws(job, replace(job, path=once))


def test_the_run_says_which_chains_are_sampled_again(tmp_path, eager, monkeypatch):
    """Those that another version of the sampler drew, and those of the time before there were versions."""
    files = []
    for chain in (0, 1, 2):
        path = tmp_path / f"chain_{chain}.nc"
        job = replace(make_job(tmp_path, chains=(chain,)), path=path, folder=state_folder(path))
        monkeypatch.setattr(chain_job, "SAMPLER_VERSION", SAMPLER_VERSION + (chain == 1))
        run(job)
        files.append(path)
    assert sampled_again("toy", [files[0], tmp_path / "chain_9.nc"]) == ""
    old = state_folder(files[2]) / "checkpoint"
    old.write_bytes(old.read_bytes().replace(b"bnn checkpoint 2", b"bnn checkpoint 1", 1))
    said = sampled_again("toy", files)
    assert said.startswith("toy: ") and "\n" not in said
    assert f"1 (drawn by version {SAMPLER_VERSION + 1}); 2 (drawn before" in said and " 0 (" not in said
    with refused("earlier-version", kind=CheckpointError):
        read_checkpoint(old, RunState, job.identity)


def truncate(path: Path, n_bytes: int) -> None:
    os.truncate(path, path.stat().st_size - n_bytes)


def flip(path: Path, place: float) -> None:
    data = bytearray(path.read_bytes())
    data[int(place * (len(data) - 1))] ^= 0x10
    path.write_bytes(data)


@pytest.mark.parametrize(
    ("damage", "code"),
    [
        (lambda folder: truncate(folder / "checkpoint", 1), "damaged"),
        (lambda folder: (folder / "checkpoint").write_bytes(b""), "damaged"),
        (lambda folder: flip(folder / "checkpoint", 0.0), "damaged"),
        (lambda folder: flip(folder / "checkpoint", 0.5), "damaged"),
        (lambda folder: flip(folder / "checkpoint", 1.0), "damaged"),
        (lambda folder: truncate(folder / "draws", 1), "draws-too-short"),
        (lambda folder: flip(folder / "draws", 0.0), "draws-damaged"),
        (lambda folder: (folder / "draws").unlink(), "draws-missing"),
    ],
)
def test_a_damaged_checkpoint_is_refused_and_the_draws_are_right_all_the_same(
    tmp_path, eager, capsys, damage, code
):
    job = half_done(tmp_path / "job")
    damage(job.folder)
    run(job)
    assert f"[{code}]" in capsys.readouterr().out
    fresh = make_job(tmp_path / "fresh")
    run(fresh)
    assert_same_draws(job, fresh)


def test_a_checkpoint_of_other_fields_is_refused(tmp_path, eager):
    job = half_done(tmp_path)
    with refused("other-format", kind=CheckpointError):
        read_checkpoint(job.folder / "checkpoint", checkpoint.Mark, job.identity)


def test_what_lies_behind_the_mark_is_cut_off(tmp_path, eager):
    job = half_done(tmp_path / "job")
    with open(job.folder / "draws", "ab") as file:
        file.write(b"half a record that a kill left")
    run(job)
    fresh = make_job(tmp_path / "fresh")
    run(fresh)
    assert_same_draws(job, fresh)
    assert (job.folder / "draws").stat().st_size == (fresh.folder / "draws").stat().st_size


def test_two_processes_never_write_one_chain(tmp_path, monkeypatch):
    monkeypatch.setattr(chain_job, "_PATIENCE", 0.2)
    job = make_job(tmp_path)
    holds = exclusive_lock(job.folder / "lock", patience=0, check=lambda: None)
    with holds, pytest.raises(TimeoutError, match=str(os.getpid())):
        run(job)
    assert not job.path.exists()
    run(job)


def test_a_job_says_that_the_one_before_was_killed(tmp_path, capsys):
    job = make_job(tmp_path)
    job.folder.mkdir()
    (job.folder / "lock").write_text("process 12 on there")
    run(job)
    assert "process 12 on there was here before and ended without a word" in capsys.readouterr().out
    assert (job.folder / "lock").read_text() == ""


def test_the_display_goes_on_where_the_chains_do(tmp_path, eager, capsys):
    job = half_done(tmp_path)
    shown = []

    def display(total):
        shown.append(Progress("toy", total, log=sys.stdout))
        return shown[-1]

    run_job(job, display, Interruption())
    assert shown[0].done == shown[0].total == job.sampler.n_steps


class Faults:
    """Counts the calls by which the checkpoint writer reaches the system, and makes one of them fail.

    Parameters
    ----------
    kind
        "before" and "after": the process is killed there; else the error that the call gives.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.armed, self.count, self.fail_at, self.kind = False, 0, 0, ""
        self.names: list[str] = []
        for name in ("fsync", "replace", "open", "mkdir", "listdir", "close"):
            monkeypatch.setattr(os, name, self.wrap(name, getattr(os, name)))
        for module in (checkpoint, storage):
            monkeypatch.setattr(module, "open", self.open, raising=False)

    def wrap(self, name, function):
        def call(*arguments, **options):
            if not self.armed:
                return function(*arguments, **options)
            self.count += 1
            self.names.append(name)
            if self.count != self.fail_at:
                return function(*arguments, **options)
            if self.kind == "before":
                os._exit(137)
            if self.kind == "after":
                try:
                    function(*arguments, **options)
                finally:
                    os._exit(137)
            if name == "write":
                function(arguments[0][: len(arguments[0]) // 2])
            number = getattr(errno, self.kind)
            raise OSError(number, os.strerror(number))

        return call

    def open(self, *arguments, **options):
        opened = self.wrap("open file", builtins.open)(*arguments, **options)
        return _Watched(opened, self)


class _Watched:
    """A file whose calls can fail."""

    def __init__(self, file, faults):
        self._file, self._faults = file, faults

    def __getattr__(self, name):
        value = getattr(self._file, name)
        return self._faults.wrap(name, value) if name in ("write", "flush", "truncate") else value

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self._file.close()


def faulty_run(job: ChainJob, faults: Faults) -> None:
    """Run the job with the faults armed while it writes its checkpoint."""
    save = chain_job._save

    def armed_save(*arguments):
        faults.armed = True
        try:
            save(*arguments)
        finally:
            faults.armed = False

    chain_job._save = armed_save
    try:
        run(job)
    finally:
        chain_job._save = save


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "first"),
    [
        ("ENOSPC", True),
        ("EIO", False),
        *((kind, first) for kind in ("before", "after") for first in (True, False)),
    ],
)
def test_whatever_call_of_the_writer_fails_the_next_run_ends_with_the_same_draws(
    tmp_path, monkeypatch, eager, kind, first
):
    """Before each fault stands no checkpoint, or one of half of the run."""
    undisturbed = make_job(tmp_path / "once")
    faults = Faults(monkeypatch)
    faulty_run(undisturbed, faults)
    names = list(faults.names)
    assert {"open file", "write", "flush", "fsync", "replace", "open", "close"} <= set(names)
    half = half_done(tmp_path / "half")
    for number, name in enumerate(names, start=1):
        job = make_job(tmp_path / f"{number}")
        if not first:
            shutil.copytree(half.folder, job.folder)
        faults.count, faults.fail_at, faults.kind = 0, number, kind
        if kind in ("before", "after"):
            child = os.fork()
            if child == 0:
                try:
                    faulty_run(job, faults)
                finally:
                    os._exit(1)  # not reached: the call kills
            assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 137, name
            assert not job.path.exists()
        elif name == "mkdir":  # the folder is there, which is all that matters
            faulty_run(job, faults)
        else:
            with pytest.raises(OSError, match=re.escape(os.strerror(getattr(errno, kind)))) as caught:
                faulty_run(job, faults)
                pytest.fail(f"a failing {name} went unnoticed")
            assert str(job.folder) in str(caught.value), f"{name} names no path"
            assert not job.path.exists()
        faults.fail_at = 0
        run(job)
        assert_same_draws(job, undisturbed)
        assert {path.name for path in job.folder.iterdir()} == {"checkpoint", "draws", "lock"}, name
