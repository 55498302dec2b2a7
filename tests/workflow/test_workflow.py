"""The real workflow on a tiny config in a temporary folder: what it writes, and what a change makes run again."""

import csv
import json
import os
import re
import shutil
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import arviz
import numpy as np
import pytest
import yaml

from bnn.posterior.arviz_versions import open_posterior

ROOT = Path(__file__).parents[2]
CODE = ("Snakefile", "bnn", "scripts", "workflow", "profiles", "environment.yml")
CSV = "width,depth,price\n" + "".join(
    f"{i % 7},{i % 5}.5,{2 * (i % 7) - i % 5 + 0.1 * (i % 3)}\n" for i in range(40)
)

TINY: dict[str, Any] = {
    "network": {"hidden": [3], "engine": "numpy"},
    "baseline": {"max_epochs": 20},
    "sampler": {"chains": 2, "warmup": 60, "draws": 20, "thin": 1, "optimise_steps": 20},
    "datasets": {
        "iris": {"task": "classification", "source": {"kind": "sklearn", "name": "iris"}},
        "gap": {"task": "regression", "source": {"kind": "synthetic", "name": "gap"}},
        "mine": {"task": "regression", "source": {"kind": "csv", "path": "mine.csv", "target": "price"}},
    },
}


class Project:
    """A folder with a copy of the code, which tests may edit, and a config."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.code = folder / "code"
        self.run_folder = folder / "run"
        self.run_folder.mkdir(parents=True)
        self.code.mkdir()
        for name in CODE:
            source = ROOT / name
            if source.is_dir():
                shutil.copytree(source, self.code / name, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(source, self.code / name)
        (self.run_folder / "mine.csv").write_text(CSV, encoding="utf-8")
        self.configure(TINY)

    def configure(self, config: dict[str, Any]) -> None:
        (self.run_folder / "config").mkdir(exist_ok=True)
        (self.run_folder / "config" / "config.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")

    def snakemake(self, *options: str) -> subprocess.CompletedProcess[str]:
        command = [
            sys.executable,
            "-m",
            "snakemake",
            "--snakefile",
            str(self.code / "Snakefile"),
            "--cores",
            "2",
        ]
        return subprocess.run(
            [*command, "--directory", str(self.run_folder), *options],
            capture_output=True,
            text=True,
            timeout=240,
            env={**os.environ, "PYTHONPATH": str(self.code)},
        )

    def jobs_to_run(self) -> set[str]:
        """Return the message of each job that a run would start now, but for the overview."""
        done = self.snakemake("--dry-run")
        assert done.returncode == 0, done.stdout + done.stderr
        messages = re.findall(r"^Job \d+: (.*)", done.stdout, flags=re.MULTILINE)
        assert messages or "Nothing to be done" in done.stdout
        return {message for message in messages if message != "Writing the overview of all datasets"}

    def result(self, *parts: str) -> Path:
        return self.run_folder.joinpath("results", *parts)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    project = Project(tmp_path_factory.mktemp("workflow"))
    done = project.snakemake()
    assert done.returncode == 0, done.stdout + done.stderr
    return project


def test_every_dataset_has_its_results(finished):
    for dataset in TINY["datasets"]:
        for name in (
            "data.nc",
            "baseline.nc",
            "posterior.nc",
            "diagnostics.nc",
            "predictions.csv",
            "report.html",
        ):
            assert finished.result(dataset, name).stat().st_size > 0
        assert len(list(finished.result(dataset, "chains").glob("chain_*.nc"))) == 2
        assert {path.stem for path in finished.result(dataset, "figures").glob("*.svg")} >= {
            "log_density_trace"
        }
        benchmarks = {path.stem for path in finished.result(dataset, "benchmarks").glob("*.tsv")}
        assert benchmarks >= {
            "prepare",
            "fit_baseline",
            "sample_chain_0",
            "combine",
            "diagnose",
            "evaluate",
            "plot",
        }
    assert finished.result("gap", "figures", "band.svg").is_file()
    assert not finished.result("mine", "figures", "band.svg").exists()


def test_metrics_and_verdict_are_plain_numbers(finished):
    for dataset, settings in TINY["datasets"].items():
        metrics = json.loads(finished.result(dataset, "metrics.json").read_text())
        verdict = json.loads(finished.result(dataset, "diagnostics.json").read_text())
        assert set(metrics["models"]) == {"bnn", "baseline", "ensemble", "linear"}
        headline = "accuracy" if settings["task"] == "classification" else "rmse"
        for model in metrics["models"].values():
            assert np.isfinite(model["test"][headline]["value"])
        assert verdict["verdict"] in ("WARN", "FAIL"), "twenty draws cannot pass"
        assert verdict["reasons"]


def test_posterior_opens_in_arviz(finished):
    idata = open_posterior(finished.result("iris", "posterior.nc"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        summary = arviz.summary(idata, var_names=["weight_0"])
    expected = {"posterior", "sample_stats", "posterior_predictive", "predictions", "log_likelihood"}
    assert set(idata) >= expected | {"observed_data", "constant_data"}
    assert idata["posterior"]["weight_0"].shape == (2, 20, 4, 3)
    assert len(summary) == 4 * 3
    assert np.allclose(idata["predictions"]["probability"].sum("class"), 1, atol=1e-5)


def test_pages_link_to_each_other_and_say_that_the_run_failed(finished):
    overview = finished.result("report.html").read_text(encoding="utf-8")
    for dataset in TINY["datasets"]:
        assert f'href="{dataset}/report.html"' in overview
        assert "not to be trusted" in finished.result(dataset, "report.html").read_text(encoding="utf-8")


def test_logs_hold_what_the_scripts_said(finished):
    log = finished.result("iris", "logs", "sample_chain_1.log").read_text()
    assert re.search(r"iris chain 1: draws, step 100/100, acceptance 0\.\d\d, step size \S+, 0 s left", log)
    assert len(log.splitlines()) < 10, "a line a draw"
    assert "120 training and 30 test rows" in finished.result("iris", "logs", "prepare.log").read_text()


def test_a_second_run_does_nothing(finished):
    done = finished.snakemake()
    assert done.returncode == 0
    assert "Nothing to be done" in done.stdout + done.stderr


AFTER_CHAINS = (
    "Putting the chains of {} together and predicting with every draw",
    "Diagnosing the chains of {}",
    "Evaluating {}: Bayesian network, ordinary networks, linear model",
    "Drawing the figures of {}",
    "Writing the report of {}",
    "Checking the model of {}",
)
BASELINE = "Training the ordinary networks and the linear model on {}"
CHAINS = ("Sampling chain 0 of {}", "Sampling chain 1 of {}")


def messages(templates, datasets=tuple(TINY["datasets"])):
    return {template.format(dataset) for template in templates for dataset in datasets}


def test_what_was_deleted_is_made_again(finished):
    path = finished.result("iris", "predictions.csv")
    text = path.read_bytes()
    path.unlink()
    jobs = finished.jobs_to_run()
    path.write_bytes(text)
    assert "Evaluating iris: Bayesian network, ordinary networks, linear model" in jobs
    assert not any("gap" in job or "Sampling" in job for job in jobs)


def test_the_run_ends_with_the_verdicts(finished):
    finished.result("report.html").unlink()
    done = finished.snakemake()
    assert re.search(
        r"^(WARN|FAIL)  iris  \(results/iris/report.html\)$", done.stdout + done.stderr, re.MULTILINE
    )


def test_a_change_of_one_dataset_runs_that_dataset_only(finished):
    config = json.loads(json.dumps(TINY))
    config["datasets"]["gap"]["network"] = {"hidden": [4]}
    finished.configure(config)
    jobs = finished.jobs_to_run()
    finished.configure(TINY)
    assert jobs == messages([BASELINE, *CHAINS, *AFTER_CHAINS], ["gap"])


@pytest.mark.parametrize("keep", ["predictions", "weights"])
def test_what_is_kept_does_not_sample_again(finished, keep):
    config = json.loads(json.dumps(TINY))
    config["datasets"]["gap"]["sampler"] = {"keep": keep}
    finished.configure(config)
    jobs = finished.jobs_to_run()
    finished.configure(TINY)
    assert jobs == messages(AFTER_CHAINS, ["gap"])


def test_a_new_dataset_runs_alone(finished):
    config = json.loads(json.dumps(TINY))
    config["datasets"]["wine"] = {"task": "classification", "source": {"kind": "sklearn", "name": "wine"}}
    finished.configure(config)
    jobs = finished.jobs_to_run()
    finished.configure(TINY)
    assert jobs == messages(["Reading and splitting {}", BASELINE, *CHAINS, *AFTER_CHAINS], ["wine"])


def test_thresholds_do_not_sample_again_and_more_chains_keep_the_old_ones(finished):
    config = json.loads(json.dumps(TINY))
    config["diagnostics"] = {"rhat_warn": 1.02}
    finished.configure(config)
    jobs = finished.jobs_to_run()
    assert jobs == messages([AFTER_CHAINS[1], AFTER_CHAINS[3], AFTER_CHAINS[4]])
    config = json.loads(json.dumps(TINY))
    config["sampler"]["chains"] = 3
    finished.configure(config)
    jobs = finished.jobs_to_run()
    finished.configure(TINY)
    # The ensemble has as many members as there are chains, so the references are trained anew.
    assert jobs == messages(["Sampling chain 2 of {}", BASELINE, *AFTER_CHAINS])


WORDING = {
    "scripts/sample_chain.py": ('"""Write', '"""Make'),
    "bnn/core/errors.py": ("class DataError", "# edited\nclass DataError"),
    "bnn/core/progress.py": ("class ", "# edited\nclass "),
    "bnn/data/csv_files.py": ("is not a number", "is no number"),
    "bnn/mcmc/kernels/__init__.py": ("unknown kernel", "no such kernel"),
    "bnn/jobs/chain_job.py": ("going on from", "continuing from"),
}


@pytest.mark.parametrize(
    ("edits", "expected"),
    [
        (WORDING, ()),
        ({"bnn/mcmc/kernels/mala.py": ("0.574", "0.6")}, [*CHAINS, *AFTER_CHAINS]),
        ({"bnn/plots/sampler.py": ("alpha=", "alpha=0.9 *")}, AFTER_CHAINS[3:5]),
        ({"bnn/report/templates/style.css": ("{", "{ /* edited */")}, AFTER_CHAINS[4:5]),
    ],
    ids=["comments and sentences", "a kernel", "a plot", "a style sheet"],
)
def test_an_edit_of_the_code_runs_what_uses_it(finished, edits, expected):
    """More edits, of more files, are in `tests/unit/test_rerun_rule.py`."""
    before = {name: (finished.code / name).read_text(encoding="utf-8") for name in edits}
    try:
        for name, (old, new) in edits.items():
            assert old in before[name]
            (finished.code / name).write_text(before[name].replace(old, new, 1), encoding="utf-8")
        jobs = finished.jobs_to_run()
    finally:
        for name, text in before.items():
            (finished.code / name).write_text(text, encoding="utf-8")
    assert jobs == messages(expected)
    assert finished.jobs_to_run() == set(), "the old text is the old code, whatever its time stamp"


def test_chains_whose_draws_are_valid_are_not_sampled_again(tmp_path):
    """Another code plans them; they make their files from the draws that they kept."""
    from bnn.core.storage import read_netcdf

    project = Project(tmp_path)
    target = "results/gap/chains/chain_0.nc"
    done = project.snakemake(target)
    assert done.returncode == 0, done.stdout + done.stderr
    draws = read_netcdf(project.run_folder / target)[0]
    path = project.code / "bnn/mcmc/kernels/mala.py"
    path.write_text(path.read_text(encoding="utf-8").replace("0.574", "0.6", 1), encoding="utf-8")
    done = project.snakemake(target)
    assert done.returncode == 0 and "Sampling chain 0 of gap" in done.stdout + done.stderr
    assert "nothing is sampled" in project.result("gap", "logs", "sample_chain_0.log").read_text()
    for name, values in read_netcdf(project.run_folder / target)[0].items():
        assert np.array_equal(values, draws[name]), name


def test_the_run_says_first_which_chains_another_version_has_drawn(finished):
    path = finished.code / "bnn/mcmc/__init__.py"
    text = path.read_text(encoding="utf-8")
    path.write_text(re.sub(r"VERSION = \d+", "VERSION = 99", text), encoding="utf-8")
    try:
        done = finished.snakemake("--dry-run")
    finally:
        path.write_text(text, encoding="utf-8")
    said = done.stderr.splitlines()
    for dataset in TINY["datasets"]:
        line = next(line for line in said if line.startswith(f"{dataset}: "))
        assert re.search(r"sampled again.* 99: 0, 1 \(drawn by version \d+\)$", line)
    assert "Sampling chain 1 of iris" in done.stdout


def test_an_edit_of_a_table_runs_its_dataset_only(finished):
    table = finished.run_folder / "mine.csv"
    table.write_text(CSV.replace("0,0.5,", "0,0.25,", 1), encoding="utf-8")
    jobs = finished.jobs_to_run()
    table.write_text(CSV, encoding="utf-8")
    assert jobs == messages(["Reading and splitting {}", BASELINE, *CHAINS, *AFTER_CHAINS], ["mine"])


def test_checks_are_plain_numbers(finished):
    for dataset, settings in TINY["datasets"].items():
        checks = json.loads(finished.result(dataset, "checks.json").read_text())
        assert np.isfinite(checks["loo"]["elpd_loo"])
        methods = {entry["factor"]: entry["method"] for entry in checks["sensitivity"]["factors"]}
        assert methods[1.0] == "as run" and len(methods) == 7
        assert set(methods.values()) <= {"as run", "reweighted", "needs a rerun"}
        kinds = {kind["name"]: kind["models"]["bnn"] for kind in checks["out_of_distribution"]["kinds"]}
        assert all(0 <= entry["auroc"] <= 1 for entry in kinds.values()) and len(kinds) == 3
        assert (checks["hole"] is not None) == (dataset == "gap")
        assert all(entry["description"] for entry in checks["posterior_predictive"])
        assert settings["task"] == checks["task"]


def test_files_of_new_rows_are_predicted_and_nothing_else_runs(finished):
    new = finished.run_folder / "new rows.csv"
    new.write_text("depth,width\n1.5,3\n0.5,300\n", encoding="utf-8")
    config = json.loads(json.dumps(TINY))
    config["datasets"]["mine"]["predict"] = [new.name]
    finished.configure(config)
    try:
        assert finished.jobs_to_run() <= {
            "Predicting the rows of new rows.csv with mine",
            "Writing the report of mine",
        }
        done = finished.snakemake("results/mine/predictions/new rows.csv")
        assert done.returncode == 0, done.stdout + done.stderr
        path = finished.result("mine", "predictions", "new rows.csv")
        with path.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        assert [row["row"] for row in rows] == ["2", "3"]
        assert [row["far"] for row in rows] == ["0", "1"]
        assert rows[1]["outside_range"] == "width"
        log = finished.result("mine", "logs", "predict_new rows.log").read_text()
        assert "2 rows predicted, 1 of them far from the training rows" in log
        verdict = json.loads(finished.result("mine", "diagnostics.json").read_text())["verdict"]
        assert f"verdict {verdict}" in log
        new.write_text("depth,width\n1.5,3\n0.5,wide\n", encoding="utf-8")
        done = finished.snakemake("results/mine/predictions/new rows.csv")
        said = done.stdout + done.stderr
        assert done.returncode == 1
        line = next(line for line in said.splitlines() if "predict new rows.csv with mine failed" in line)
        assert "column 'width', row 3: 'wide' is not a number" in line
        assert not path.exists() and not list(path.parent.glob(".*"))
    finally:
        finished.configure(TINY)
        new.unlink()


@pytest.mark.parametrize("cores", [1, 4])
def test_chains_and_cores_do_not_change_the_draws(finished, tmp_path, cores):
    """The same config gives the draws of two cores on one and on four, asked for by themselves and in another order."""
    other = Project(tmp_path)
    done = other.snakemake(
        "--cores",
        str(cores),
        "results/iris/chains/chain_1.nc",
        "results/iris/chains/chain_0.nc",
        "results/gap/chains/chain_1.nc",
    )
    assert done.returncode == 0, done.stdout + done.stderr
    from bnn.core.storage import read_netcdf

    for dataset, chain in (("iris", 0), ("iris", 1), ("gap", 1)):
        first, _ = read_netcdf(finished.result(dataset, "chains", f"chain_{chain}.nc"))
        second, _ = read_netcdf(other.result(dataset, "chains", f"chain_{chain}.nc"))
        assert np.array_equal(first["theta"], second["theta"])
    zero, _ = read_netcdf(finished.result("iris", "chains", "chain_0.nc"))
    one, _ = read_netcdf(finished.result("iris", "chains", "chain_1.nc"))
    assert not np.any(zero["theta"] == one["theta"])


def test_a_wrong_config_is_one_message_with_every_error_before_any_job(tmp_path):
    project = Project(tmp_path)
    config = json.loads(json.dumps(TINY))
    config["sampler"]["chians"] = 2
    config["datasets"]["iris"]["network"] = {"activation": "selu"}
    config["datasets"]["mine"]["colour"] = "red"
    project.configure(config)
    done = project.snakemake()
    said = done.stdout + done.stderr
    assert done.returncode == 1
    assert "Traceback" not in said
    assert "sampler.chians" in said and "chains" in said
    assert "datasets.iris.network.activation" in said and "tanh" in said
    assert "datasets.mine.colour" in said
    assert not project.result().exists()


def test_a_missing_table_is_named_before_any_job(tmp_path):
    project = Project(tmp_path)
    (project.run_folder / "mine.csv").unlink()
    done = project.snakemake()
    assert done.returncode == 1
    assert "datasets.mine.source.path: there is no file 'mine.csv'" in done.stdout + done.stderr
    assert not project.result().exists()


def test_a_bad_table_fails_with_one_line_and_leaves_no_file(tmp_path):
    project = Project(tmp_path)
    (project.run_folder / "mine.csv").write_text(CSV.replace("1,1.5", "1,deep", 1), encoding="utf-8")
    done = project.snakemake("results/mine/data.nc")
    said = done.stdout + done.stderr
    assert done.returncode == 1
    line = next(line for line in said.splitlines() if "prepare mine failed" in line)
    assert all(word in line for word in ("mine.csv", "depth", "'deep'"))
    assert not project.result("mine", "data.nc").exists()
