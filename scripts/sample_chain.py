"""Run one chain, or several side by side: start, or go on from a checkpoint."""

import sys
from pathlib import Path

from bnn.core.plan import planned
from bnn.core.progress import Progress
from bnn.core.settings import ChainSettings, build
from bnn.data.dataset import Dataset
from bnn.jobs.chain_job import ChainJob, run_job
from bnn.jobs.interruption import Interruption, job_log
from bnn.jobs.rounds import PASS, Limits


def main(
    data_path,
    out_path,
    chains,
    settings,
    checkpoint_path,
    checkpoint_seconds,
    terminal,
    limits=None,
    script=None,
):
    """Write chain_<k>.nc, or chain_<k>-<l>.nc, of one dataset.

    Parameters
    ----------
    data_path
        The prepared table.
    out_path
        Where the draws go.
    chains
        Numbers of the chains.
    settings
        Sections `seed`, `network`, `prior`, `likelihood` and `sampler` of the dataset's config.
    checkpoint_path
        Folder of the checkpoint.
    checkpoint_seconds
        Time between two checkpoints.
    terminal
        Where a progress bar goes if it is a terminal, and else a line now and then.
    limits
        R-hat and ESS that chains of open length are to reach; None: as usual.
    script
        How the command line of this job names it, if it is to stop when whoever started it is gone.
    """
    with Interruption(script) as interruption:
        dataset = Dataset.load(data_path)
        job = ChainJob(
            name=dataset.name,
            x=dataset.x_train,
            y=dataset.y_train,
            n_classes=dataset.n_classes,
            target_mean=dataset.target_mean,
            target_scale=dataset.target_scale,
            log_exposure=dataset.log_exposure_train,
            chains=tuple(chains),
            settings=build(ChainSettings, settings),
            path=Path(out_path),
            folder=Path(checkpoint_path),
            checkpoint_seconds=checkpoint_seconds,
            limits=Limits(*limits) if limits else PASS,
        )
        numbers = "-".join(str(chain) for chain in sorted({chains[0], chains[-1]}))
        label = f"{job.name} chain{'s' if len(chains) > 1 else ''} {numbers}"
        done = run_job(
            job, lambda total: Progress(label, total, log=sys.stdout, terminal=terminal), interruption
        )
        print(f"engine {done.settings.network.engine}, {done.settings.network.precision}")


if "snakemake" in globals():
    wildcards, params = snakemake.wildcards, snakemake.params
    first, _, last = wildcards.chains.partition("-")
    with job_log(snakemake.log[0], label=f"chain {wildcards.chains} of {wildcards.dataset}") as terminal:
        main(
            snakemake.input.data,
            snakemake.output[0],
            range(int(first), int(last or first) + 1),
            planned(params.settings, snakemake.input.plan),
            params.checkpoint,
            float(snakemake.resources.checkpoint_seconds),
            terminal,
            limits=params.limits,
            script=sys.argv[0],
        )
