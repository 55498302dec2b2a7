# Checks the config before any job starts, and holds what the rules share. No science here.
import json
from pathlib import Path

from snakemake.exceptions import WorkflowError

from bnn.config import ConfigError, check_files, load
from bnn.sourcecode import code_digest

ROOT = Path(workflow.basedir)

try:
    CONFIG = load(config)
    check_files(CONFIG)
except ConfigError as error:
    raise WorkflowError(str(error))

DATASETS = {name: dataset.model_dump(mode="json") for name, dataset in CONFIG.datasets.items()}


wildcard_constraints:
    dataset="|".join(DATASETS),
    chain=r"\d+",


def code(script):
    """Return a digest of a script and the bnn modules that it uses: a rule runs again when, and only when, they change."""
    return code_digest(ROOT / "scripts" / script, ROOT / "bnn")


def settings(*sections):
    """Return a function of the wildcards: those sections of the dataset's settings."""
    return lambda wildcards: {section: DATASETS[wildcards.dataset][section] for section in sections}


def sampler_settings(wildcards):
    """Return what a chain depends on: not how many chains there are, so that more of them can be added later."""
    chosen = settings("seed", "network", "prior", "likelihood", "sampler")(wildcards)
    sampler = dict(chosen["sampler"])
    sampler.pop("chains")
    return chosen | {"sampler": sampler}


def source_files(wildcards):
    """Return the files that a dataset is read from."""
    source = DATASETS[wildcards.dataset]["source"]
    return [source["path"]] if source["kind"] == "csv" else []


def chain_files(wildcards):
    """Return the files of all chains of a dataset."""
    return expand(
        "results/{dataset}/chains/chain_{chain}.nc",
        dataset=wildcards.dataset,
        chain=range(DATASETS[wildcards.dataset]["sampler"]["chains"]),
    )


def print_verdicts():
    """Print the verdict of each dataset, so that a run does not end without one."""
    for name in DATASETS:
        path = Path("results") / name / "diagnostics.json"
        if path.is_file():
            verdict = json.loads(path.read_text(encoding="utf-8"))["verdict"]
            print(f"{verdict}  {name}  (results/{name}/report.html)")
