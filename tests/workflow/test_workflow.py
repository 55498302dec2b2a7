"""The real workflow on a tiny config in a temporary folder: what it writes, and what it says of a mistake."""

import json
import re
import shutil
import warnings

import arviz
import numpy as np
import pytest

from bnn.core.storage import read_netcdf
from bnn.posterior.arviz_versions import open_posterior
from tests.effort import FULL
from tests.workflow.project import CSV, SHARED, TINY, Project, copy_of_the_config


@pytest.mark.slow
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


@pytest.mark.slow
def test_metrics_and_verdict_are_plain_numbers(finished):
    for dataset, settings in TINY["datasets"].items():
        metrics = json.loads(finished.result(dataset, "metrics.json").read_text())
        verdict = json.loads(finished.result(dataset, "diagnostics.json").read_text())
        assert set(metrics["models"]) == {"bnn", "baseline", "ensemble", "linear", "boosting"}
        headline = "accuracy" if settings["task"] == "classification" else "rmse"
        for model in metrics["models"].values():
            assert np.isfinite(model["test"][headline]["value"])
        assert verdict["verdict"] in ("WARN", "FAIL"), "twenty draws cannot pass"
        assert verdict["reasons"]


@pytest.mark.slow
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


@pytest.mark.slow
def test_pages_link_to_each_other_and_say_that_the_run_failed(finished):
    overview = finished.result("report.html").read_text(encoding="utf-8")
    for dataset in TINY["datasets"]:
        assert f'href="{dataset}/report.html"' in overview
        assert "not to be trusted" in finished.result(dataset, "report.html").read_text(encoding="utf-8")


@pytest.mark.slow
def test_the_verdicts_are_in_the_log_of_the_overview(finished):
    lines = finished.result("logs", "overview.log").read_text(encoding="utf-8").splitlines()
    said = {line.split()[0]: line.split()[1] for line in lines if line}
    assert said.pop("Dataset") == "Verdict"
    assert said == dict.fromkeys(SHARED["datasets"], "FAIL")


@pytest.mark.slow
def test_a_run_whose_results_go_to_a_storage_says_its_verdicts_too(tmp_path):
    if shutil.which("rsync") is None:
        pytest.skip("the plugin copies with rsync")
    config = TINY | {"datasets": {"gap": TINY["datasets"]["gap"]}}
    storage = ("--default-storage-provider", "fs", "--default-storage-prefix", str(tmp_path / "store"))
    said = Project.new(tmp_path / "run", config).finish(*storage, "--workflow-profile", "none")
    assert re.search(r"^gap +FAIL +RMSE .* results/gap/report.html$", said, flags=re.MULTILINE)
    assert not (tmp_path / "run/results").exists()
    assert (tmp_path / "store/results/gap/report.html").is_file()


@pytest.mark.slow
def test_logs_hold_what_the_scripts_said(finished):
    log = finished.result("iris", "logs", "sample_chain_1.log").read_text()
    assert re.search(
        r"iris chain 1: draws, 100 of 100 iterations, acceptance 0\.\d\d, step size \S+, 0 s left", log
    )
    assert len(log.splitlines()) < 10, "a line a draw"
    assert "120 training and 30 test rows" in finished.result("iris", "logs", "prepare.log").read_text()


@pytest.mark.slow
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


@pytest.mark.slow
@pytest.mark.parametrize("cores", [1, 4] if FULL else [1])
def test_chains_and_cores_do_not_change_the_draws(finished, tmp_path, cores):
    """The same config gives the draws of two cores on one (or four), asked for by themselves and in another order."""
    other = Project.new(tmp_path)
    done = other.snakemake(
        "--cores",
        str(cores),
        "results/iris/chains/chain_1.nc",
        "results/iris/chains/chain_0.nc",
        "results/gap/chains/chain_1.nc",
    )
    assert done.returncode == 0, done.stdout + done.stderr
    for dataset, chain in (("iris", 0), ("iris", 1), ("gap", 1)):
        first, _ = read_netcdf(finished.result(dataset, "chains", f"chain_{chain}.nc"))
        second, _ = read_netcdf(other.result(dataset, "chains", f"chain_{chain}.nc"))
        assert np.array_equal(first["theta"], second["theta"])
    zero, _ = read_netcdf(finished.result("iris", "chains", "chain_0.nc"))
    one, _ = read_netcdf(finished.result("iris", "chains", "chain_1.nc"))
    assert not np.any(zero["theta"] == one["theta"])


def test_a_wrong_config_is_one_message_with_every_error_before_any_job(tmp_path):
    project = Project.new(tmp_path)
    config = copy_of_the_config()
    config["sampler"]["chians"] = 2
    config["datasets"]["iris"]["network"] = {"activation": "selu"}
    config["datasets"]["mine"]["colour"] = "red"
    project.configure(config)
    done = project.snakemake()
    said = done.stdout + done.stderr
    assert done.returncode == 1
    assert "Traceback" not in said
    found = re.findall(r"^  - ([\w.]+): .* \[([a-z-]+)\]$", said, re.MULTILINE)
    assert sorted(found) == [
        ("datasets.iris.network.activation", "wrong-value"),
        ("datasets.mine.colour", "unknown-key"),
        ("sampler.chians", "unknown-key"),
    ]
    assert not project.result().exists()


@pytest.mark.slow
def test_a_missing_table_is_named_before_any_job(tmp_path):
    project = Project.new(tmp_path)
    (project.run_folder / "mine.csv").unlink()
    done = project.snakemake()
    assert done.returncode == 1
    assert re.search(
        r"datasets\.mine\.source\.path: .*'mine\.csv'.* \[file-missing\]", done.stdout + done.stderr
    )
    assert not project.result().exists()


@pytest.mark.slow
def test_a_bad_table_fails_with_one_line_and_leaves_no_file(tmp_path):
    project = Project.new(tmp_path)
    (project.run_folder / "mine.csv").write_text(CSV.replace("1,1.5", "1,deep", 1), encoding="utf-8")
    done = project.snakemake("results/mine/data.nc")
    said = done.stdout + done.stderr
    assert done.returncode == 1
    line = next(line for line in said.splitlines() if "prepare mine failed" in line)
    assert all(word in line for word in ("mine.csv", "'depth'", "'deep'", "[text-among-numbers]"))
    assert not project.result("mine", "data.nc").exists()


@pytest.mark.slow
def test_a_table_that_is_refused_leaves_the_one_that_was_read_before(tmp_path):
    project = Project.new(tmp_path)
    assert project.snakemake("results/mine/data.nc").returncode == 0
    before = project.result("mine", "data.nc").read_bytes()
    (project.run_folder / "mine.csv").write_text(CSV.replace("1,1.5", "1,deep", 1), encoding="utf-8")
    assert project.snakemake("results/mine/data.nc").returncode == 1
    assert project.result("mine", "data.nc").read_bytes() == before
