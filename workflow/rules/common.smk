# Checks the config before any job starts, and holds what the rules share. No science here.
import os
import re
import shlex
import sys
import time
from pathlib import Path

from snakemake_interface_executor_plugins.settings import ExecMode

import bnn
from bnn.config import loading
from bnn.config.loading import chain_settings, check_files, leaves_open, load, runs
from bnn.core.code_digest import code_digest
from bnn.jobs.identity import sampled_again, state_folder
from bnn.jobs.processes import left_locked

# Snakemake's own error says in many lines what the one line here says. A job's own Snakemake (on a cluster, in a
# container) makes no locks, and neither does a dry run.
if (
    workflow.exec_mode == ExecMode.DEFAULT
    and not workflow.output_settings.dryrun
    and not {"--unlock", "--nolock"} & set(sys.argv)
    and left_locked(".")
):
    raise WorkflowError(
        f"A Snakemake that was killed left this folder locked. Type this, then the same command again:\n"
        f"{shlex.join(['snakemake', '--unlock', *sys.argv[1:]])}"
    )


try:
    CONFIG = load(config)
    check_files(CONFIG)
except ConfigError as error:
    raise WorkflowError(str(error))

# A dataset that is repeated is several of these: <name>.0, <name>.1 and so on.
STARTED = time.time()
DATASETS = {name: run.model_dump(mode="json") for name, run in runs(CONFIG).items()}
REPEATS = {
    name: [f"{name}.{repeat}" for repeat in range(dataset.repeats)]
    for name, dataset in CONFIG.datasets.items()
    if dataset.repeats > 1
}


def any_of(names):
    """Return a pattern of exactly these names; it matches nothing if there is none."""
    return "|".join(re.escape(name) for name in names) or "(?!)"


wildcard_constraints:
    dataset=any_of(DATASETS),
    repeated=any_of(REPEATS),
    chains=r"\d+(-\d+)?",


# Random streams, settings, and how files are stored: every result depends on them.
SHARED_CODE = (
    "core/gross_values.py",
    "core/identical_rows.py",
    "core/plan.py",
    "core/seeding.py",
    "core/settings.py",
    "core/storage.py",
)


def code(script, *places):
    """Return a digest of what a script and some packages of bnn do: a rule runs again when, and only when, it changes.

    A rule names the packages, or files, that its script imports and that those import. What says how a job goes and
    never what it writes (its log, its locks, the words of its errors) is named nowhere.
    """
    package = Path(bnn.__file__).parent
    path = Path(workflow.source_path(f"../../scripts/{script}"))
    return code_digest(path, *(package / place for place in (*SHARED_CODE, *places)))


def settings(*sections):
    """Return a function of the wildcards: those sections of the dataset's settings."""
    return lambda wildcards: {section: DATASETS[wildcards.dataset][section] for section in sections}


# MiB that a job needs on the smallest of tables, with the Snakemake that starts it on a cluster and a tenth to spare for
# other versions of Python and its libraries, and MiB more for each MB of its inputs.
MEMORY = {
    "prepare": (520, 4),
    "choose": (560, 4),
    "conformal": (560, 4),
    "fit_baseline": (520, 4),
    "sample_chain": (520, 4),
    "combine": (380, 1.5),
    "diagnose": (600, 0.6),
    "evaluate": (400, 0.2),
    "check": (460, 1.2),
    "predict": (520, 1.5),
    "plot": (440, 0.5),
    "report": (300, 2),
    "repeats": (300, 2),
    "overview": (300, 2),
}


def memory(name):
    """Return a function: MiB that a job of a rule asks for; one that is tried again may have run out of them, and gets more."""
    base, each = MEMORY[name]
    # Not input.size_mb, which takes a fifth longer to plan thousands of jobs.
    return lambda wildcards, input, attempt: attempt * round(
        base + each * sum(map(os.path.getsize, input)) / 1e6
    )


def minutes(first):
    """Return a function: minutes that a job may take; one that is tried again may have run out of them."""
    return lambda wildcards, attempt: attempt * first


def sampler_settings(wildcards):
    """Return what the chains of a dataset depend on."""
    return chain_settings(DATASETS[wildcards.dataset])


def plan_file(wildcards):
    """Return the file with what was chosen for a dataset; nothing if its config leaves nothing open."""
    return [f"results/{wildcards.dataset}/plan.json"] if leaves_open(DATASETS[wildcards.dataset]) else []


def conformal_file(wildcards):
    """Return the file with conformity scores of a dataset; nothing if its config does not ask for them."""
    return [f"results/{wildcards.dataset}/conformal.json"] if DATASETS[wildcards.dataset]["conformal"] else []


def metrics_of_conformal(wildcards):
    """Return the file with the limits of calibrated intervals, by which new rows are predicted too; nothing if none."""
    return [f"results/{wildcards.dataset}/metrics.json"] if DATASETS[wildcards.dataset]["conformal"] else []


def choice_settings(wildcards):
    """Return what a choice depends on; how to sample only where its length is open."""
    if not budget(wildcards):
        return sampler_settings(wildcards) | {"sampler": None}
    return loading.choice_settings(DATASETS[wildcards.dataset])


def limits(wildcards):
    """Return R-hat and ESS that end chains of open length; None where their length is given."""
    if not budget(wildcards):
        return None
    thresholds = DATASETS[wildcards.dataset]["diagnostics"]
    return [thresholds["rhat_warn"], thresholds["ess_warn"]]


def budget(wildcards):
    """Return what the chains of a dataset may cost if their length is open, else None."""
    sampler = DATASETS[wildcards.dataset]["sampler"]
    if sampler["draws"] != "auto":
        return None
    return {name: sampler[name] for name in ("chains", "chains_per_job", "budget_minutes")}


def baseline_settings(wildcards):
    """Return what the references depend on; the ensemble has as many members as there are chains."""
    n_members = DATASETS[wildcards.dataset]["sampler"]["chains"]
    return settings("seed", "network", "likelihood", "baseline")(wildcards) | {"n_members": n_members}


def plot_settings(wildcards):
    """Return what the figures depend on beside files; of the sampler, what its acceptance aims at."""
    sampler = DATASETS[wildcards.dataset]["sampler"]
    chosen = {name: sampler[name] for name in ("kernel", "langevin", "target_acceptance")}
    return settings("seed", "network", "likelihood")(wildcards) | {"sampler": chosen}


def shown_settings(wildcards):
    """Return the settings that a report shows: all on which its results depend."""
    chosen = DATASETS[wildcards.dataset]
    sampler = {name: value for name, value in chosen["sampler"].items() if name != "checkpoint_seconds"}
    return chosen | {"sampler": sampler}


def report_labels(kind):
    """Return a function of the wildcards: how Snakemake's report labels a file of this kind, a figure or a table."""
    return lambda wildcards: {
        "Dataset": wildcards.dataset,
        kind: wildcards.get(kind.lower()).replace("_", " "),
    }


def source_files(wildcards):
    """Return the files that a dataset is read from: the user's, so a module's prefix does not apply to them."""
    source = DATASETS[wildcards.dataset]["source"]
    return [local(source[key]) for key in ("path", "test") if source.get(key)]


def files_of_chains(dataset):
    """Return the files of all chains of a dataset: one a job, named after its chains, such as 2 or 0-3."""
    sampler = DATASETS[dataset]["sampler"]
    first = range(0, sampler["chains"], sampler["chains_per_job"])
    last = [min(start + sampler["chains_per_job"], sampler["chains"]) - 1 for start in first]
    names = [str(a) if a == b else f"{a}-{b}" for a, b in zip(first, last)]
    return [f"results/{dataset}/chains/chain_{name}.nc" for name in names]


def chain_files(wildcards):
    """Return the files of all chains of the dataset of a job."""
    return files_of_chains(wildcards.dataset)


if workflow.exec_mode == ExecMode.DEFAULT:
    for name in DATASETS:
        if line := sampled_again(name, files_of_chains(name)):
            print(line, file=sys.stderr)


def names_that_keep(*parts):
    """Return a pattern of the datasets whose posterior.nc keeps these parts."""
    return any_of(name for name, dataset in DATASETS.items() if dataset["sampler"]["keep"] in parts)


def whole_posterior(wildcards):
    """Return the file with all draws and predictions, with which the report is made."""
    keep = DATASETS[wildcards.dataset]["sampler"]["keep"]
    return f"results/{wildcards.dataset}/" + ("posterior.nc" if keep == "both" else "working.nc")


def posterior_with_weights(wildcards):
    """Return the file from which new rows are predicted."""
    keep = DATASETS[wildcards.dataset]["sampler"]["keep"]
    return f"results/{wildcards.dataset}/" + ("working.nc" if keep == "predictions" else "posterior.nc")


def files_of_repeats(name):
    """Return a function of the wildcards: the files of this name of all splits of a dataset that is repeated."""
    return lambda wildcards: [f"results/{run}/{name}" for run in REPEATS[wildcards.repeated]]


def file_to_predict(wildcards):
    """Return the file whose predictions are asked for."""
    known = {Path(path).stem: path for path in DATASETS[wildcards.dataset]["predict"]}
    if wildcards.file not in known:
        raise WorkflowError(
            f"datasets.{wildcards.dataset}.predict names no file {wildcards.file}.csv: add it there, or run "
            f"`python -m bnn predict results/{wildcards.dataset} {wildcards.file}.csv`"
        )
    return local(known[wildcards.file])


def prediction_files():
    """Return the predictions of all files that the config names."""
    return [
        f"results/{name}/predictions/{Path(path).stem}.csv"
        for name, dataset in DATASETS.items()
        for path in dataset["predict"]
    ]


def verdicts_in_rst():
    """Return the table of all datasets for the first page of Snakemake's report; "" where results are in a storage."""
    if workflow.storage_settings.default_storage_provider is not None:
        return ""
    from bnn.report.ending import in_rst, verdicts

    return in_rst(verdicts(Path("results"), DATASETS))


def print_ending(ok):
    """Print a line a dataset, or what the failed jobs said, so that a run does not end without it."""
    # Here and not above: no job needs it, and it takes a fifth of a second.
    from bnn.report.ending import failures, summary

    if workflow.storage_settings.default_storage_provider is None:
        print(summary(Path("results"), DATASETS) if ok else failures(Path("results"), STARTED))
        return
    # Results are in a storage by now. Of their copies here only logs stay, and that of the overview holds the lines.
    copies = workflow.storage_settings.local_storage_prefix
    logs = [
        path.read_text(encoding="utf-8")
        for path in copies.glob("**/results/logs/overview.log")
        if path.stat().st_mtime >= STARTED
    ]
    print("\n".join(logs) if ok else failures(copies, STARTED))
