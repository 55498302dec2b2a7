"""The job of a batch of chains: it starts or goes on from a checkpoint, samples, stops when asked, and writes its file.

Beside the file that it makes, the job has a folder with three files: `checkpoint`, where the chains stand; `draws`,
all that was kept so far; and `lock`. They stay when the chains are finished: with more draws asked for, the chains
go on instead of beginning anew, and a job that is run again makes its file from them and samples nothing. Memory does
not grow with the number of draws, which go to the disk as they come.
"""

import itertools
import json
import os
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from bnn.core.errors import with_code
from bnn.core.progress import Progress
from bnn.core.settings import YEO_JOHNSON, ChainSettings, SamplerSettings
from bnn.core.storage import Variable, content_digest, write_netcdf
from bnn.jobs.checkpoint import (
    CheckpointError,
    KeptColumn,
    Mark,
    RecordFile,
    read_checkpoint,
    write_checkpoint,
)
from bnn.jobs.identity import stored_identity
from bnn.jobs.interruption import Interrupted, Interruption
from bnn.jobs.locks import exclusive_lock
from bnn.jobs.rounds import PASS, End, Limits, iterations_of, kept_records
from bnn.mcmc import SAMPLER_VERSION
from bnn.mcmc.chain import ChainRun, quiet_overflow
from bnn.mcmc.chain_state import Draw, RunState, RunSummary
from bnn.mcmc.kernels import resolve_kernel
from bnn.model.network import resolve_engine
from bnn.model.posterior import Posterior, make_posterior
from bnn.model.targets import Target, fit_target

_SECONDS_BETWEEN_LOOKS = 0.1
"""How often the job looks whether it should stop; what was sampled since the last look is sampled again later."""
_NAMES = {"optimise": "warm start", "explore": "exploration", "warmup": "warm-up", "draws": "draws"}
"""Phase of a run -> its name in lines of progress."""
_PATIENCE = 60.0
"""Seconds that a job waits for an earlier one on the same chains, left behind by a killed Snakemake, to notice."""


@dataclass(frozen=True)
class ChainJob:
    """What a job is to do.

    Parameters
    ----------
    name
        Name of the table.
    x
        Training inputs, shape (obs, input), standardised.
    y
        Training targets, shape (obs,): class index, or standardised value.
    n_classes
        Classes of the target; None for a real target.
    target_mean, target_scale
        Real target in the unit of its column = target_mean + target_scale * standardised.
    log_exposure
        Of counts: log of what each was counted over, (obs,), which is the last column of x as well; or None.
    limits
        What chains of open length are to reach, however many gradients are left.
    chains
        Numbers of the chains, run side by side.
    settings
        All else that the draws depend on.
    path
        Where the draws go in the end.
    folder
        Where checkpoints are.
    checkpoint_seconds
        Time between two checkpoints: what a kill can cost.
    """

    name: str
    x: np.ndarray
    y: np.ndarray
    n_classes: int | None
    chains: tuple[int, ...]
    settings: ChainSettings
    path: Path
    folder: Path
    checkpoint_seconds: float
    target_mean: float = 0.0
    target_scale: float = 1.0
    log_exposure: np.ndarray | None = None
    limits: Limits = PASS

    @property
    def target(self) -> Target | None:
        """How the likelihood describes the target; None for classes."""
        if self.n_classes is not None:
            return None
        family = self.settings.likelihood.family
        unit = {"mean": self.target_mean, "scale": self.target_scale}
        return fit_target(family, self.y, **unit, log_exposure=self.log_exposure)

    @property
    def sampler(self) -> SamplerSettings:
        """The settings of the sampler."""
        return self.settings.sampler

    @property
    def identity(self) -> dict[str, str | int]:
        """What the draws depend on. Their number is no part of it, because more can be added, nor is the code itself:
        whether another one draws the same, its version says."""
        settings = asdict(self.settings)
        del settings["sampler"]["draws"]
        settings["sampler"]["kernel"] = resolve_kernel(self.sampler.kernel, len(self.x))
        if settings["network"]["input_transform"] != YEO_JOHNSON:
            del settings["network"]["input_transform"]  # as of draws from before there was one
        if settings["prior"]["output_factor"] == 1:
            del settings["prior"]["output_factor"]  # likewise
        about = {name: str(settings["network"].pop(name)) for name in ("engine", "precision")}
        data: dict[str, Any] = {"x": self.x, "y": self.y, "n_classes": self.n_classes}
        if (target := self.target) is not None and target.form != "standardised":
            data["target"] = asdict(target)
            if not target.has_exposure:
                del data["target"]["has_exposure"]  # likewise
        return {
            "config": content_digest(settings | {"chains": self.chains}),
            "data": content_digest(data),
            "sampler version": SAMPLER_VERSION,
            **about,
        }

    def with_engine(self) -> "ChainJob":
        """Return the job with the engine and the precision that "auto" stands for: once, before anything is sampled.

        Draws that are there, and are of this job but for what is left open, are gone on with as they were made.

        Raises
        ------
        ModuleNotFoundError
            If that needs Numba, which is not installed here.
        """
        asked, kept = self.identity, stored_identity(self.folder / "checkpoint")
        goes_on = kept is not None and all(value in ("auto", kept.get(name)) for name, value in asked.items())
        network = resolve_engine(self.settings.network, kept if goes_on else None)
        return replace(self, settings=replace(self.settings, network=network))


def run_job(job: ChainJob, progress: Callable[[int], Progress], interruption: Interruption) -> ChainJob:
    """Sample until all draws are there, from the checkpoint if there is one, and write them to a NetCDF file.

    Parameters
    ----------
    job
        What to do.
    progress
        Makes the display of a run of that many steps.
    interruption
        Says when to stop.

    Returns
    -------
    ChainJob
        The job with the engine and the precision that it took.

    Raises
    ------
    Interrupted
        If the job was asked to stop; where it stood is in the checkpoint.
    FloatingPointError
        If a chain finds no start point where the log density is finite.
    ModuleNotFoundError
        If the engine is Numba, by its name or because it made the draws so far, and is not installed.
    TimeoutError
        If another process is at work on these chains and goes on.
    OSError
        If a file cannot be written; the message names it.
    """
    with exclusive_lock(job.folder / "lock", patience=_PATIENCE, check=interruption.check) as before:
        if before is not None:
            print(
                f"{before} was here before and ended without a word: killed, out of memory, or a power failure"
            )
        job = job.with_engine()
        posterior = make_posterior(
            job.x,
            job.y,
            n_classes=job.n_classes,
            network=job.settings.network,
            prior=job.settings.prior,
            likelihood=job.settings.likelihood,
            target=job.target,
        )
        with quiet_overflow():
            run, records = _start_or_go_on(job, posterior, interruption)
            seconds_before = sum(run.state.seconds)
            try:
                _sample(job, run, records, progress, interruption)
                _write_draws(job, posterior, run.summary(), records, interruption, seconds_before)
            finally:
                records.close()
    return job


def _record_type(job: ChainJob, posterior: Posterior) -> np.dtype:
    n_chains = len(job.chains)
    theta = {"float64": "<f8", "float32": "<f4"}[job.sampler.keep_precision]
    return np.dtype(
        [
            ("theta", theta, (n_chains, posterior.layout.n_params)),
            ("log_density", "<f8", (n_chains,)),
            ("acceptance_rate", "<f8", (n_chains,)),
            ("n_diverging", "<i8", (n_chains,)),
            ("n_gradients", "<i8"),
        ]
    )


def _start_or_go_on(
    job: ChainJob, posterior: Posterior, interruption: Interruption
) -> tuple[ChainRun, RecordFile]:
    checkpoint, draws = job.folder / "checkpoint", job.folder / "draws"
    dtype = _record_type(job, posterior)
    state: RunState | None = None
    records: RecordFile | None = None
    try:
        stored, mark = read_checkpoint(checkpoint, RunState, job.identity)
        records = RecordFile(draws, dtype, mark)
        state = stored
        print(f"going on from {checkpoint}: {stored.phase}, {mark.n_records} draws so far")
    except FileNotFoundError:
        pass  # never started, or killed before the first checkpoint
    except CheckpointError as error:
        ending = _free_ending(checkpoint, draws)
        for path in (checkpoint, draws):
            if path.exists():
                os.replace(path, f"{path}{ending}")
        print(
            f"starting anew: the checkpoint {checkpoint} is refused, because {with_code(error)}; "
            f"it now ends in {ending}"
        )
        state = None
    run = ChainRun(
        posterior,
        job.chains,
        job.settings.seed,
        job.sampler,
        state=state,
        on_evaluation=interruption.check_signal,
    )
    return run, records or RecordFile(draws, dtype)


def _free_ending(*paths: Path) -> str:
    """Return .refused, or .refused-2 and so on if files were set aside before: none is lost."""
    for number in itertools.count(1):
        ending = ".refused" + (f"-{number}" if number > 1 else "")
        if not any(Path(f"{path}{ending}").exists() for path in paths):
            return ending
    raise AssertionError("there is a free number")


def _sample(
    job: ChainJob,
    run: ChainRun,
    records: RecordFile,
    progress: Callable[[int], Progress],
    interruption: Interruption,
) -> None:
    """Make the steps that are missing, with a checkpoint now and then and one at the end."""
    settings, end = job.sampler, End(job.sampler, run.posterior, records, job.limits)
    if end.is_reached():
        print("nothing is sampled: the draws are there, of the same config, data and sampler version")
        return
    display = progress(settings.n_steps)
    display.begin_at(run.n_done)
    safe = run.stored_state(), records.mark
    looked = saved = time.monotonic()
    draw: Draw | None = None
    try:
        while draw is None or not end.is_reached():
            n_starts = run.state.n_starts
            if settings.most_gradients is not None:
                run.thin = end.thin
                n_steps = settings.n_steps - settings.draws * settings.thin + end.n_iterations
                display.expect(n_steps, of="this round")
            draw = run.step()
            if draw is not None:
                records.append(**draw._asdict())
            if run.state.n_starts > n_starts:
                display.begin_at(run.n_done)
            display.advance(_NAMES[run.state.phase], lambda: f"{end.so_far()}{run.details()}")
            now = time.monotonic()
            if now - looked < _SECONDS_BETWEEN_LOOKS:
                continue
            safe, looked = (run.stored_state(), records.mark), now
            interruption.check()
            if now - saved >= job.checkpoint_seconds:
                _save(job, records, *safe)
                saved = time.monotonic()
    except Interrupted as stop:
        _save(job, records, *safe)
        reason = f"{stop}; what was done is kept in {job.folder}, run the same command again to go on"
        raise Interrupted(reason, stop.status) from stop
    finally:
        display.close()
    _save(job, records, run.stored_state(), records.mark)


def _save(job: ChainJob, records: RecordFile, state: RunState, mark: Mark) -> None:
    records.sync()
    write_checkpoint(job.folder / "checkpoint", state, mark, job.identity)


def _between(records: RecordFile, field: str, kept: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Return sums of a field, times weights, over the records from one kept one to the next, (chain, draw)."""
    parts = [block[field] for _, block in records.blocks(int(kept[-1]) + 1)]
    values = np.concatenate(parts) * weight[: int(kept[-1]) + 1, None]
    return np.add.reduceat(values, np.append(0, kept[:-1] + 1), axis=0).T


def _write_draws(
    job: ChainJob,
    posterior: Posterior,
    run: RunSummary,
    records: RecordFile,
    interruption: Interruption,
    seconds_before: float,
) -> None:
    """Write the file of the chains, with all that is needed to read it alone.

    `seconds_before` are those of the processes that were at work on these chains before this one.
    """
    settings = job.sampler
    if settings.most_gradients is None:
        kept, iterations = np.arange(settings.draws), np.full(settings.draws, settings.thin)
    else:
        blocks = records.blocks(records.mark.n_records)
        iterations = iterations_of(np.concatenate([block["n_gradients"] for _, block in blocks]), settings)
        kept = kept_records(iterations)
    last = int(kept[-1])
    shared = ("chain", "draw")
    variables: dict[str, Variable] = {
        "theta": ((*shared, "param"), KeptColumn(records, "theta", kept, interruption.check)),
        "log_density": (shared, KeptColumn(records, "log_density", kept, interruption.check)),
        # Of all iterations from one draw to the next, whatever records lie between.
        "acceptance_rate": (
            shared,
            _between(records, "acceptance_rate", kept, iterations) / iterations[kept].max(),
        ),
        "diverging": (shared, _between(records, "n_diverging", kept, np.ones_like(iterations))),
        "step_size": (("chain",), run.tuning.step_size),
        "preconditioner": (("chain", "coordinate"), run.tuning.variance),
        "trajectory_length": (("chain",), run.tuning.trajectory),
        "chain_id": (("chain",), np.array(job.chains, dtype=np.int64)),
        "warmup_iteration": (("record",), run.warmup["iteration"]),
        "warmup_explores": (("record",), run.warmup["explores"].astype(np.int64)),
    }
    if run.n_steps is not None:
        variables["n_steps"] = (("chain",), run.n_steps)
    if run.optimiser["iteration"].size:
        variables["optimiser_iteration"] = (("optimiser_record",), run.optimiser["iteration"])
        variables["optimiser_log_density"] = (("chain", "optimiser_record"), run.optimiser["log_density"])
    for name in ("log_density", "step_size", "acceptance_rate"):
        variables[f"warmup_{name}"] = (("chain", "record"), run.warmup[name])
    attributes: dict[str, Any] = {
        "dataset": job.name,
        "seed": job.settings.seed,
        "sampler_version": SAMPLER_VERSION,
        "data_digest": job.identity["data"],
        "engine": job.settings.network.engine,
        "precision": job.settings.network.precision,
        "layout": posterior.layout.to_json(),
        # By its own name: nobody should have to look up what auto is.
        "kernel": run.kernel,
        "n_warmup": settings.explore + settings.warmup,
        "n_draws": len(kept),
        "thin": int(iterations[last]),
        "open_length": int(settings.most_gradients is not None),
        "langevin": json.dumps(asdict(settings.langevin)),
        "n_gradients": int(records.read(slice(last, last + 1))["n_gradients"][0]),
        "adjusted": int(run.adjusted),
    }
    attributes |= {f"seconds_{phase}": seconds for phase, seconds in run.seconds.items()}
    attributes["seconds_last_process"] = sum(run.seconds.values()) - seconds_before
    write_netcdf(job.path, variables, attributes)
