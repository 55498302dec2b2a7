"""Folders in which the workflow runs, and the one tiny run whose results many tests read."""

import csv
import json
import math
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
CODE = ("Snakefile", "bnn", "scripts", "workflow", "profiles", "environment.yml")
CSV = "width,depth,price\n" + "".join(
    f"{i % 7},{i % 5}.5,{2 * (i % 7) - i % 5 + 0.1 * (i % 3)}\n" for i in range(40)
)
# After so short a warm-up steps are tiny, and trajectories of the usual length have a thousand of them.
TRAJECTORY_LENGTH = 0.2
FIXED: dict[str, Any] = {
    "prior": {"weights": {"scale": 1.0}, "biases": {"scale": 1.0}},
    "likelihood": {"family": "gaussian"},
}
"""What leaves nothing to be chosen, together with hidden units and a number of draws."""
TINY: dict[str, Any] = FIXED | {
    "network": {"hidden": [3], "engine": "numpy"},
    "baseline": {"max_epochs": 20},
    "sampler": {
        "chains": 2,
        "chains_per_job": 1,
        "warmup": 60,
        "draws": 20,
        "thin": 1,
        "optimise_steps": 20,
        "trajectory_length": TRAJECTORY_LENGTH,
    },
    "datasets": {
        "iris": {"task": "classification", "source": {"kind": "sklearn", "name": "iris"}},
        "gap": {"task": "regression", "source": {"kind": "synthetic", "name": "gap"}},
        "mine": {"task": "regression", "source": {"kind": "csv", "path": "mine.csv", "target": "price"}},
    },
}

MONTHS = [f"{1950 + i // 12}-{1 + i % 12:02d}" for i in range(120)]
SERIES = "month,level\n" + "".join(f"{month},{math.sin(i / 6):.4f}\n" for i, month in enumerate(MONTHS))

PAIRS = "a,b,kind\n" + "".join(f"{i % 7},{i % 5}.5,{'xy'[i * i % 7 > 2]}\n" for i in range(40))

TARGET = "../../../up"
FEATURES = [
    "<script>alert(1)</script>",
    "/etc/passwd",
    "$(touch pwned)",
    "`touch pwned`; touch pwned",
    "{dataset}",
    "{{ 7 * 7 }}",
]
FEATURES += ['" onload="alert(1)', "größe % μ", "a" * 500, "%s %d \\n", "-rf *", "名前"]
CLASSES = ["<img src=x onerror=alert(1)>", "../..", "$HOME", "'; DROP TABLE draws; --"]
HOSTILE = "da ta $(touch pwned) 'q' ;& %s.csv"

_SHORT = {"chains": 2, "chains_per_job": 2, "warmup": 20, "draws": 20, "optimise_steps": 5}
SHARED: dict[str, Any] = TINY | {
    "datasets": TINY["datasets"]
    | {
        "names": {
            "task": "classification",
            "source": {"kind": "csv", "path": HOSTILE, "target": TARGET, "target_unit": "<b>kg</b>"},
            "network": {"hidden": [2]},
            "prior": {"weights": {"scale": "auto"}},
            "conformal": True,
            "sampler": _SHORT | {"draws": "auto", "budget_minutes": 1e-3},
        },
    }
}
"""The config of the run that is made once: beside the datasets of TINY, one of hostile names that leaves much open."""

SPLITS: dict[str, Any] = TINY | {
    "datasets": {
        "twice": {
            "task": "classification",
            "source": {"kind": "csv", "path": "pairs.csv", "target": "kind"},
            "repeats": 2,
            "sampler": _SHORT,
        },
        "wave": {
            "task": "timeseries",
            "source": {"kind": "csv", "path": "wave.csv", "target": "level"},
            "series": {"lags": 4, "horizon": 3, "time": "month"},
            "conformal": True,
            "sampler": _SHORT,
        },
        "amounts": {
            "task": "regression",
            "source": {"kind": "csv", "path": "amounts.csv", "target": "amount"},
            "likelihood": {"family": "hurdle"},
            "sampler": _SHORT,
        },
        "claims": {
            "task": "regression",
            "source": {"kind": "csv", "path": "claims.csv", "target": "claims", "exposure": "years"},
            "likelihood": {"family": "poisson"},
            "conformal": True,
            "predict": ["new.csv"],
            "sampler": _SHORT,
        },
    }
}
"""A dataset on two splits, a time series, amounts that are often 0, and counts over years."""

AMOUNTS = "x,amount\n" + "".join(
    f"{0.1 * row:.1f},{0 if row % 3 == 0 else 2 + 0.2 * row + 0.7 * (row % 5):.1f}\n" for row in range(40)
)

CLAIMS = "years,a,b,claims\n" + "".join(
    f"{0.5 + row % 9},{row % 7 - 3},{row % 4},{(row % 9 + 1) * (row % 7) // 4}\n" for row in range(60)
)
NEW_CLAIMS = "a,b,years\n" + "".join(f"1,2,{years}\n" for years in (1, 2, 50))


def copy_of_the_config(config: dict[str, Any] = TINY) -> dict[str, Any]:
    """Return a copy that a test may edit."""
    copied: dict[str, Any] = json.loads(json.dumps(config))
    return copied


class Project:
    """A folder in which the workflow runs, and the code that runs.

    Parameters
    ----------
    run_folder
        Where the config, the tables and the results are.
    code
        The folder of the code.
    """

    def __init__(self, run_folder: Path, code: Path = ROOT) -> None:
        self.run_folder = run_folder
        self.code = code

    @classmethod
    def new(cls, run_folder: Path, config: dict[str, Any] = TINY) -> "Project":
        """Make a folder with tables and a config."""
        run_folder.mkdir(parents=True, exist_ok=True)
        (run_folder / "mine.csv").write_text(CSV, encoding="utf-8")
        project = cls(run_folder)
        project.configure(config)
        return project

    @classmethod
    def copied(cls, other: "Project", folder: Path) -> "Project":
        """Make a copy of a finished run and of its code, both of which a test may edit."""
        project = cls(folder / "run", folder / "code")
        shutil.copytree(other.run_folder, project.run_folder)
        copy_code(other.code, project.code)
        project.configure(TINY)
        return project

    def configure(self, config: dict[str, Any]) -> None:
        (self.run_folder / "config").mkdir(exist_ok=True)
        (self.run_folder / "config" / "config.yaml").write_text(
            yaml.safe_dump(config, allow_unicode=True), encoding="utf-8"
        )

    def snakemake(self, *options: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "snakemake", "--snakefile", str(self.code / "Snakefile")]
        return subprocess.run(
            [*command, "--cores", "2", "--directory", str(self.run_folder), *options],
            capture_output=True,
            text=True,
            timeout=1100,
            env={**os.environ, "PYTHONPATH": str(self.code)},
        )

    def finish(self, *options: str) -> str:
        """Run to the end; return what was said."""
        done = self.snakemake(*options)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    def jobs_to_run(self) -> set[str]:
        """Return the message of each job that a run would start now, but for the overview."""
        said = self.finish("--dry-run")
        messages = re.findall(r"^Job \d+: (.*)", said, flags=re.MULTILINE)
        assert messages or "Nothing to be done" in said
        return {message for message in messages if message != "Writing the overview of all datasets"}

    def result(self, *parts: str) -> Path:
        return self.run_folder.joinpath("results", *parts)


def copy_code(source: Path, target: Path) -> None:
    """Copy all that the workflow runs, bytecode included: or each job compiles it, where none may be written."""
    target.mkdir(parents=True)
    for name in CODE:
        if (source / name).is_dir():
            shutil.copytree(source / name, target / name, ignore=shutil.ignore_patterns("*.pyc.*"))
        else:
            shutil.copy(source / name, target / name)


def shared_run(folder: Path) -> Project:
    """Return the run that `make_shared_run` made."""
    return Project(folder / "outer" / "inner" / "run", folder / "code")


def make_shared_run(folder: Path) -> None:
    """Run the whole workflow on the shared config, two folders deep in a folder that holds nothing else.

    The code is copied first: who edits it while the tests run does not change what has to be run again.
    """
    project = Project.new(shared_run(folder).run_folder, SHARED)
    project.code = shared_run(folder).code
    copy_code(ROOT, project.code)
    with (project.run_folder / HOSTILE).open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow([*FEATURES, TARGET])
        for row in range(48):
            numbers = [(row * (column + 3)) % 17 + column for column in range(len(FEATURES))]
            writer.writerow([*numbers, CLASSES[row % len(CLASSES)]])
    project.finish()
