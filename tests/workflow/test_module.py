"""The ways into the workflow: the root Snakefile, workflow/Snakefile, and `module` from a workflow of somebody else."""

import csv
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.workflow.project import FIXED, TRAJECTORY_LENGTH

ROOT = Path(__file__).parents[2]
ENTRIES = ("Snakefile", "workflow/Snakefile")
ROWS = "width,depth,price\n" + "".join(
    f"{i % 7},{i % 5}.5,{2 * (i % 7) - i % 5 + 0.1 * (i % 3)}\n" for i in range(40)
)
CONFIG: dict[str, Any] = FIXED | {
    "network": {"hidden": [3], "engine": "numpy"},
    "baseline": {"max_epochs": 20},
    "sampler": {"chains": 2, "chains_per_job": 2, "warmup": 60, "draws": 20, "optimise_steps": 20}
    | {"trajectory_length": TRAJECTORY_LENGTH},
    "datasets": {
        "houses": {
            "task": "regression",
            "source": {"kind": "csv", "path": "data/houses.csv", "target": "price"},
            "predict": ["data/new.csv"],
        }
    },
}
WORKFLOW = """
configfile: "config.yaml"


module bnn:
    snakefile:
        config["snakefile"]
    config:
        config["bnn"]
    prefix:
        "forecast"


use rule * from bnn as bnn_*


rule decide:
    default_target: True
    input:
        verdict="forecast/results/houses/diagnostics.json",
        rows="forecast/results/houses/predictions/new.csv",
        page="forecast/results/report.html",
    output:
        "decisions/houses.csv",
    shell:
        "cp {input.rows} {output}"

"""


def snakemake(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Run Snakemake where the package is not installed: the Snakefile finds it beside itself, and scripts do then."""
    (folder / "site").mkdir(exist_ok=True)
    (folder / "site/sitecustomize.py").write_text(
        f"import sys\nsys.path[:] = [path for path in sys.path if path != {str(ROOT)!r}]\n"
    )
    command = [sys.executable, "-m", "snakemake", "--cores", "2", "--workflow-profile", "none", *options]
    environment = {**os.environ, "PYTHONPATH": str(folder / "site")}
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=600, env=environment)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "data").mkdir()
    (tmp_path / "data/houses.csv").write_text(ROWS)
    (tmp_path / "data/new.csv").write_text("width,depth\n1,2.5\n3,0.5\n")
    return tmp_path


@pytest.mark.slow
@pytest.mark.parametrize("entry", ENTRIES)
def test_both_snakefiles_run_everything(project: Path, entry: str) -> None:
    """The same jobs by default, and one that gathers all results."""
    (project / "config.yaml").write_text(yaml.safe_dump(CONFIG))
    options = ("--snakefile", str(ROOT / entry), "--replace-workflow-config", "--configfile", "config.yaml")
    done = snakemake(project, *options, "--dry-run")
    assert done.returncode == 0, done.stdout + done.stderr
    counts = dict(re.findall(r"^(\w+) +(\d+)$", done.stdout, flags=re.MULTILINE))
    assert counts.pop("all" if entry == "workflow/Snakefile" else "everything") == "1"
    assert counts == dict.fromkeys(
        ["prepare", "fit_baseline", "sample_chain", "combine", "diagnose", "evaluate", "check"], "1"
    ) | dict.fromkeys(["plot", "check_rows", "predict", "report", "overview"], "1") | {"total": "13"}


@pytest.mark.slow
def test_another_workflow_uses_it_as_a_module(project: Path) -> None:
    """With its own config and a prefix for all that is written; the user's data stay where they are."""
    (project / "Snakefile").write_text(WORKFLOW)
    (project / "config.yaml").write_text(
        yaml.safe_dump({"snakefile": str(ROOT / "workflow/Snakefile"), "bnn": CONFIG})
    )
    done = snakemake(project)
    assert done.returncode == 0, done.stdout + done.stderr
    with open(project / "decisions/houses.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["row"] for row in rows] == ["2", "3"]
    assert all(float(row["sd"]) > 0 for row in rows)
    verdict = json.loads((project / "forecast/results/houses/diagnostics.json").read_text())["verdict"]
    assert verdict in ("WARN", "FAIL"), "twenty draws cannot pass"
    assert not (project / "results").exists()
    again = snakemake(project)
    assert "Nothing to be done" in again.stderr + again.stdout
    # What the module depends on is noticed: a new row of its table, not only its config.
    (project / "data/houses.csv").write_text(ROWS + "9,9.5,9\n")
    changed = snakemake(project, "--dry-run")
    assert "Sampling chain 0-1 of houses" in changed.stdout


@pytest.mark.slow
@pytest.mark.parametrize("entry", ENTRIES)
def test_a_mistake_in_the_config_of_a_module_is_explained(project: Path, entry: str) -> None:
    (project / "Snakefile").write_text(WORKFLOW)
    config = {"snakefile": str(ROOT / entry), "bnn": CONFIG | {"sampler": {"chians": 2}}}
    (project / "config.yaml").write_text(yaml.safe_dump(config))
    done = snakemake(project, "--dry-run")
    assert done.returncode != 0
    assert re.search(r"- sampler\.chians: .* \[unknown-key\]", done.stdout + done.stderr)


@pytest.mark.slow
@pytest.mark.parametrize("entry", [*ENTRIES, "module"])
def test_a_dataset_that_is_named_twice_is_refused(project: Path, entry: str) -> None:
    """Snakemake would take the last one, whichever way the file comes to it."""
    houses = yaml.safe_dump(CONFIG["datasets"]).replace("\n", "\n  ").rstrip()
    text = f"datasets:\n  {houses}\n  {houses}\n"
    options = ["--replace-workflow-config", "--configfile", "config.yaml", "--snakefile", str(ROOT / entry)]
    if entry == "module":
        (project / "Snakefile").write_text(WORKFLOW)
        text = f"snakefile: {ROOT / 'workflow/Snakefile'}\nbnn:\n  " + text.replace("\n", "\n  ")
        options = []
    (project / "config.yaml").write_text(text.rstrip() + "\n")
    done = snakemake(project, "--dry-run", *options)
    first, again = (n for n, line in enumerate(text.split("\n"), start=1) if line.strip() == "houses:")
    assert done.returncode == 1
    assert re.search(
        rf"config\.yaml, line {again}, column \d+: .*'houses'.* line {first} .*\[key-twice\]",
        done.stdout + done.stderr,
    )


def test_what_the_catalog_of_workflows_looks_for_is_there() -> None:
    """The files, keys and words of its standardised usage."""
    for name in ("workflow/Snakefile", "config/README.md", "config/config.yaml", "LICENSE"):
        assert (ROOT / name).is_file()
    assert list((ROOT / "workflow/rules").glob("*.smk"))
    readme = (ROOT / "README.md").read_text(encoding="utf-8").lower()
    assert "snakemake" in readme and "workflow" in readme
    usage = yaml.safe_load((ROOT / ".snakemake-workflow-catalog.yml").read_text(encoding="utf-8"))["usage"]
    # Flags would stand in `mandatory-flags`, which may be left out: none is needed.
    assert set(usage) == {"software-stack-deployment", "report"}
    assert set(usage["software-stack-deployment"]) == {"conda", "apptainer", "apptainer+conda", "report"}
    assert usage["software-stack-deployment"]["conda"] is True and usage["report"] is True
