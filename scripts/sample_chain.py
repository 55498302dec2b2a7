"""Run one chain, or several side by side."""

import sys

from bnn.chain import SamplerSettings, run_chains, save_draws
from bnn.datasets import Dataset
from bnn.job import job_log
from bnn.posterior import make_posterior
from bnn.progress import Progress


def main(data_path, out_path, chains, settings, terminal):
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
    terminal
        Where a progress bar goes if it is a terminal.
    """
    dataset = Dataset.load(data_path)
    sections = {name: settings[name] for name in ("network", "prior", "likelihood")}
    posterior = make_posterior(dataset, **sections)
    sampler = SamplerSettings(**settings["sampler"])
    label = f"{dataset.name} chain {'-'.join(str(chain) for chain in sorted({chains[0], chains[-1]}))}"
    progress = Progress(label, sampler.n_steps, log=sys.stdout, terminal=terminal)
    draws = run_chains(posterior, chains, settings["seed"], sampler, progress)
    save_draws(
        out_path, draws, posterior=posterior, settings=sampler, dataset=dataset.name, seed=settings["seed"]
    )


if "snakemake" in globals():
    wildcards = snakemake.wildcards
    first, _, last = wildcards.chains.partition("-")
    with job_log(snakemake.log[0], label=f"chain {wildcards.chains} of {wildcards.dataset}") as terminal:
        main(
            snakemake.input.data,
            snakemake.output[0],
            range(int(first), int(last or first) + 1),
            snakemake.params.settings,
            terminal,
        )
