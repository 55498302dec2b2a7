"""What a change makes run again: each test edits the config, a table or the code, asks for a plan, and puts it back."""

import csv
import json
import re

import numpy as np
import pytest

from bnn.core.storage import read_netcdf
from tests.workflow.project import CSV, TINY, Project, copy_of_the_config

pytestmark = pytest.mark.slow


def test_a_second_run_does_nothing(own):
    own.finish()  # the overview, of which there were more datasets
    assert "Nothing to be done" in own.finish()


AFTER_CHAINS = (
    "Putting the chains of {} together and predicting with every draw",
    "Diagnosing the chains of {}",
    "Evaluating {}: BNN and the other models",
    "Drawing the figures of {}",
    "Writing the report of {}",
    "Checking the model of {}",
)
BASELINE = "Training the baseline networks, the linear model and gradient boosting on {}"
CHAINS = ("Sampling chain 0 of {}", "Sampling chain 1 of {}")


def messages(templates, datasets=tuple(TINY["datasets"])):
    return {template.format(dataset) for template in templates for dataset in datasets}


def test_what_was_deleted_is_made_again(own):
    path = own.result("iris", "predictions.csv")
    text = path.read_bytes()
    path.unlink()
    jobs = own.jobs_to_run()
    path.write_bytes(text)
    assert "Evaluating iris: BNN and the other models" in jobs
    assert not any("gap" in job or "Sampling" in job for job in jobs)


def test_the_run_ends_with_the_verdicts(own):
    own.result("report.html").unlink()
    done = own.snakemake()
    assert re.search(
        r"^iris +(WARN|FAIL) +Accuracy .* results/iris/report.html$", done.stdout + done.stderr, re.MULTILINE
    )


def test_a_change_of_one_dataset_runs_that_dataset_only(own):
    config = copy_of_the_config()
    config["datasets"]["gap"]["network"] = {"hidden": [4]}
    own.configure(config)
    jobs = own.jobs_to_run()
    assert jobs == messages([BASELINE, *CHAINS, *AFTER_CHAINS], ["gap"])


@pytest.mark.parametrize("keep", ["predictions", "weights"])
def test_what_is_kept_does_not_sample_again(own, keep):
    config = copy_of_the_config()
    config["datasets"]["gap"]["sampler"] = {"keep": keep}
    own.configure(config)
    jobs = own.jobs_to_run()
    assert jobs == messages(AFTER_CHAINS, ["gap"])


def test_a_new_dataset_runs_alone(own):
    config = copy_of_the_config()
    config["datasets"]["wine"] = {"task": "classification", "source": {"kind": "sklearn", "name": "wine"}}
    own.configure(config)
    jobs = own.jobs_to_run()
    assert jobs == messages(["Reading and splitting {}", BASELINE, *CHAINS, *AFTER_CHAINS], ["wine"])


def test_thresholds_do_not_sample_again_and_more_chains_keep_the_old_ones(own):
    config = copy_of_the_config()
    config["diagnostics"] = {"rhat_warn": 1.02}
    own.configure(config)
    jobs = own.jobs_to_run()
    assert jobs == messages([AFTER_CHAINS[1], AFTER_CHAINS[3], AFTER_CHAINS[4]])
    config = copy_of_the_config()
    config["sampler"]["chains"] = 3
    own.configure(config)
    jobs = own.jobs_to_run()
    # The ensemble has as many members as there are chains, so the references are trained anew.
    assert jobs == messages(["Sampling chain 2 of {}", BASELINE, *AFTER_CHAINS])


WORDING = {
    "scripts/sample_chain.py": ('"""Write', '"""Make'),
    "bnn/core/errors.py": ("class DataError", "# edited\nclass DataError"),
    "bnn/core/progress.py": ("class ", "# edited\nclass "),
    "bnn/data/text_columns.py": ("is not a number", "is no number"),
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
def test_an_edit_of_the_code_runs_what_uses_it(own, edits, expected):
    """More edits, of more files, are in `tests/unit/test_rerun_rule.py`."""
    before = {name: (own.code / name).read_text(encoding="utf-8") for name in edits}
    try:
        for name, (old, new) in edits.items():
            assert old in before[name]
            (own.code / name).write_text(before[name].replace(old, new, 1), encoding="utf-8")
        jobs = own.jobs_to_run()
    finally:
        for name, text in before.items():
            (own.code / name).write_text(text, encoding="utf-8")
    assert jobs == messages(expected)
    if edits is WORDING:
        assert own.jobs_to_run() == set(), "the old text is the old code, whatever its time stamp"


def test_chains_whose_draws_are_valid_are_not_sampled_again(finished, tmp_path):
    """Another code plans them; they make their files from the draws that they kept."""
    project = Project.copied(finished, tmp_path)
    target = "results/gap/chains/chain_0.nc"
    draws = read_netcdf(project.run_folder / target)[0]
    path = project.code / "bnn/mcmc/kernels/mala.py"
    path.write_text(path.read_text(encoding="utf-8").replace("0.574", "0.6", 1), encoding="utf-8")
    assert "Sampling chain 0 of gap" in project.finish(target)
    assert "nothing is sampled" in project.result("gap", "logs", "sample_chain_0.log").read_text()
    for name, values in read_netcdf(project.run_folder / target)[0].items():
        assert np.array_equal(values, draws[name]), name


def test_the_run_says_first_which_chains_another_version_has_drawn(own):
    path = own.code / "bnn/mcmc/__init__.py"
    text = path.read_text(encoding="utf-8")
    path.write_text(re.sub(r"VERSION = \d+", "VERSION = 99", text), encoding="utf-8")
    try:
        done = own.snakemake("--dry-run")
    finally:
        path.write_text(text, encoding="utf-8")
    said = done.stderr.splitlines()
    for dataset in TINY["datasets"]:
        line = next(line for line in said if line.startswith(f"{dataset}: "))
        assert re.search(r"sampled again.* 99: 0, 1 \(drawn by version \d+\)$", line)
    assert "Sampling chain 1 of iris" in done.stdout


def test_an_edit_of_a_table_runs_its_dataset_only(own):
    table = own.run_folder / "mine.csv"
    table.write_text(CSV.replace("0,0.5,", "0,0.25,", 1), encoding="utf-8")
    jobs = own.jobs_to_run()
    table.write_text(CSV, encoding="utf-8")
    assert jobs == messages(["Reading and splitting {}", BASELINE, *CHAINS, *AFTER_CHAINS], ["mine"])


def test_files_of_new_rows_are_predicted_and_nothing_else_runs(own):
    new = own.run_folder / "new rows.csv"
    new.write_text("depth,width\n1.5,3\n0.5,300\n", encoding="utf-8")
    config = copy_of_the_config()
    config["datasets"]["mine"]["predict"] = [new.name]
    own.configure(config)
    try:
        assert own.jobs_to_run() <= {
            "Reading the rows of new rows.csv for mine",
            "Predicting the rows of new rows.csv with mine",
            "Writing the report of mine",
        }
        done = own.snakemake("results/mine/predictions/new rows.csv")
        assert done.returncode == 0, done.stdout + done.stderr
        path = own.result("mine", "predictions", "new rows.csv")
        with path.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        assert [row["row"] for row in rows] == ["2", "3"]
        assert [row["far"] for row in rows] == ["0", "1"]
        assert rows[1]["outside_range"] == "width"
        log = own.result("mine", "logs", "predict_new rows.log").read_text()
        assert "2 rows predicted, 1 of them far from the training rows" in log
        verdict = json.loads(own.result("mine", "diagnostics.json").read_text())["verdict"]
        assert f"verdict {verdict}" in log
        new.write_text("depth,width\n1.5,3\n0.5,wide\n", encoding="utf-8")
        done = own.snakemake("results/mine/predictions/new rows.csv")
        said = done.stdout + done.stderr
        assert done.returncode == 1
        line = next(line for line in said.splitlines() if "check_rows new rows.csv for mine failed" in line)
        assert all(word in line for word in ("'width'", "row 3", "'wide'", "[not-a-number]"))
        assert path.exists() and not list(path.parent.glob(".*")), "those of before, and nothing half-written"
    finally:
        new.unlink()
