"""Sampling a posterior within one process: the steps of the workflow one after the other, for a table in memory.

Chains, predictions and figures of convergence come from what the jobs of the workflow call. Like those they hand over
draws as files, here in a temporary folder: memory does not grow with the draws until the end.
"""

import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from joblib import effective_n_jobs
from sklearn.utils.parallel import Parallel, delayed
from threadpoolctl import threadpool_limits

from bnn.config.loading import chain_settings, choice_settings, leaves_open
from bnn.core.plan import with_plan
from bnn.core.progress import Progress, Silent
from bnn.core.seeding import Stream, chain_rng
from bnn.core.settings import ChainSettings, ModelSettings, build
from bnn.core.storage import read_json, write_json
from bnn.data.dataset import Dataset
from bnn.diagnostics import summary as diagnostics
from bnn.jobs.chain_job import ChainJob, run_job
from bnn.jobs.interruption import Interruption
from bnn.posterior import inference_data
from bnn.posterior.posterior_file import PosteriorFile, stacked_theta
from bnn.posterior.predictor import Predictor, make_predictor
from bnn.selection.budget import Budget
from bnn.selection.plan import make_plan
from bnn.selection.race import Unit

_NEVER = 1e9
"""Seconds between checkpoints: there is nothing to go on from in a folder that goes away."""


class Fit(NamedTuple):
    """A sampled posterior."""

    posterior: bytes
    """A posterior.nc, which holds what `sampler.keep` says"""
    theta: np.ndarray
    """(chain, draw, param)"""
    predictor: Predictor
    diagnostics: dict[str, Any]
    """Content of a diagnostics.json"""
    settings: dict[str, Any]
    """Those of the fit, with what was chosen"""


def fit(dataset: Dataset, settings: Mapping[str, Any], *, n_jobs: int | None, verbose: bool) -> Fit:
    """Sample the posterior of a table and judge its chains.

    Parameters
    ----------
    dataset
        The table; its test part may be empty.
    settings
        All settings of a dataset, resolved, as plain values.
    n_jobs
        Processes, as joblib counts them; chains that share one run side by side. The draws do not depend on it.
    verbose
        Whether to show how far the chains are.

    Raises
    ------
    FloatingPointError
        If a chain finds no start point where the log density is finite.
    OSError
        If the temporary folder is full or cannot be written.
    """
    n_chains = settings["sampler"]["chains"]
    batches = np.array_split(np.arange(n_chains), min(n_chains, effective_n_jobs(n_jobs)))
    for_chains = chain_settings(settings)
    if leaves_open(settings):
        is_open = settings["sampler"]["draws"] == "auto"
        minutes = settings["sampler"]["budget_minutes"]
        with threadpool_limits(limits=1):
            plan = make_plan(
                dataset.x_train,
                dataset.y_train,
                n_classes=dataset.n_classes,
                settings=choice_settings(settings),
                budget=Budget(n_chains, len(batches[0]), minutes) if is_open else None,
                unit=Unit(dataset.target_mean, dataset.target_scale),
            )["settings"]
        settings, for_chains = with_plan(settings, plan), with_plan(for_chains, plan)
    with tempfile.TemporaryDirectory(prefix="bnn-") as name:
        folder = Path(name)
        jobs = [
            ChainJob(
                name=dataset.name,
                x=dataset.x_train,
                y=dataset.y_train,
                n_classes=dataset.n_classes,
                target_mean=dataset.target_mean,
                target_scale=dataset.target_scale,
                chains=tuple(batch.tolist()),
                settings=build(ChainSettings, for_chains),
                path=folder / f"chain_{batch[0]}.nc",
                folder=folder / f"chain_{batch[0]}.state",
                checkpoint_seconds=_NEVER,
            )
            for batch in batches
        ]
        Parallel(n_jobs=len(jobs))(delayed(_sample)(job, verbose) for job in jobs)
        whole, part, judged = folder / "posterior.nc", folder / "part.nc", folder / "diagnostics.json"
        files = [job.path for job in jobs]
        _combine(whole, dataset, files, settings, keep="both")
        with closing(PosteriorFile(whole)) as stored:
            summary, _ = diagnostics.summarise(stored, dataset, thresholds=settings["diagnostics"])
            write_json(judged, summary)
            theta, layout = stacked_theta(stored)
            precision = stored["posterior"].attrs["precision"]
        kept = whole
        if settings["sampler"]["keep"] != "both":
            kept = part
            _combine(part, dataset, files, settings, keep=settings["sampler"]["keep"])
        model = build(ModelSettings, settings)
        predictor = make_predictor(
            dataset,
            network=model.network.in_numpy(precision),
            likelihood=model.likelihood,
            layout=layout,
        )
        return Fit(kept.read_bytes(), theta, predictor, read_json(judged), dict(settings))


def _sample(job: ChainJob, verbose: bool) -> None:
    """Run the chains of a job in this process, which stops early by an exception alone."""
    numbers = "-".join(str(chain) for chain in sorted({job.chains[0], job.chains[-1]}))
    label = f"{job.name} chain {numbers}"

    def progress(total: int) -> Progress:
        return Progress(label, total, log=None, terminal=sys.stderr, always=True) if verbose else Silent()

    # One thread, as the workflow gives a chain: matrices are small, and sums do not depend on the machine's cores.
    with threadpool_limits(limits=1):
        run_job(job, progress, Interruption())


def _combine(
    path: Path, dataset: Dataset, files: Sequence[Path], settings: Mapping[str, Any], *, keep: str
) -> None:
    chosen = build(ModelSettings, settings)
    inference_data.combine(
        path,
        dataset,
        files,
        network=chosen.network,
        likelihood=chosen.likelihood,
        keep=keep,
        rng=chain_rng(settings["seed"], Stream.PREDICTIVE),
    )
