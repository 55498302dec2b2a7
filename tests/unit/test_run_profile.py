"""Where the time of a run went, told from the files that it left."""

import os
from pathlib import Path

import numpy as np
import pytest

from bnn.core.storage import write_netcdf
from bnn.jobs.run_profile import cores_used, describe, main, read_jobs, share_inside

HEADER = "s\th:m:s\tmax_rss\n"
START = 1_700_000_000.0


def write_job(path: Path, start: float, seconds: float) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"{HEADER}{seconds}\t0:00:00\t1.0\n")
    os.utime(path, (START + start + seconds,) * 2)


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """Two cores: a chain of eight seconds of which six are sampling, a table, a baseline, and the overview."""
    folder = tmp_path / "results"
    write_job(folder / "a" / "benchmarks" / "prepare.tsv", 0, 2)
    write_job(folder / "a" / "benchmarks" / "sample_chain_0-3.tsv", 2, 8)
    write_job(folder / "a" / "benchmarks" / "fit_baseline.tsv", 2, 4)
    write_job(folder / "benchmarks" / "overview.tsv", 10, 1)
    # It went on from a checkpoint: two seconds of its warm-up are those of an earlier process.
    phases = {
        "seconds_optimise": 1.0,
        "seconds_warmup": 4.0,
        "seconds_draws": 3.0,
        "seconds_last_process": 6.0,
    }
    (folder / "a" / "chains").mkdir()
    write_netcdf(folder / "a" / "chains" / "chain_0-3.nc", {"x": (("n",), np.zeros(1))}, phases)
    write_netcdf(folder / "a" / "baseline.nc", {"x": (("n",), np.zeros(1))}, {"seconds_training": 2.0})
    return folder


def test_each_job_is_placed_in_time(results: Path) -> None:
    jobs = read_jobs(results)
    assert [(job.rule, job.dataset) for job in jobs] == [
        ("prepare", "a"),
        ("fit_baseline", "a"),
        ("sample_chain", "a"),
        ("overview", ""),
    ]
    assert [round(job.start - START, 3) for job in jobs] == [0, 2, 2, 10]
    assert [job.inside for job in jobs] == [0, 2, 6, 0]


def test_the_share_is_of_all_core_seconds(results: Path) -> None:
    """Six seconds of sampling and two of training, of eleven on two cores."""
    jobs = read_jobs(results)
    assert cores_used(jobs) == 2
    assert share_inside(jobs, cores=2) == pytest.approx(8 / 22)


def test_the_table_adds_up(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = describe(read_jobs(results), cores=2)
    assert text.startswith("4 jobs of 1 datasets in 11.0 s, on 2 cores: 22.0 core-seconds\n")
    rows = {line.split()[0]: line.split() for line in text.splitlines()[3:8]}
    assert rows["sample_chain"] == ["sample_chain", "1", "8.0", "36.4%", "a", "(8.0", "s)"]
    assert rows["fit_baseline"][1:4] == ["1", "4.0", "18.2%"]
    assert rows["overview"][4] == "all"
    assert "(no job)" in text and "7.0" in text
    assert text.endswith("sampling and optimising: 8.0 core-seconds, 36.4% of all")
    main([str(results)])
    assert capsys.readouterr().out.strip() == text


def test_jobs_of_an_earlier_run_do_not_count(results: Path) -> None:
    write_job(results / "b" / "benchmarks" / "plot.tsv", -1000, 5)
    assert "b" not in {job.dataset for job in read_jobs(results)}
    write_job(results / "b" / "benchmarks" / "plot.tsv", -10, 5)
    assert "b" in {job.dataset for job in read_jobs(results)}


def test_predictions_are_a_line_of_their_own(results: Path) -> None:
    write_job(results / "a" / "benchmarks" / "predict_new_rows.tsv", 9, 1)
    found = {job.rule: job.inside for job in read_jobs(results)}
    assert found["predict"] == 0 and found["sample_chain"] == 6


def test_a_chain_that_was_deleted_counts_as_none(results: Path) -> None:
    (results / "a" / "chains" / "chain_0-3.nc").unlink()
    assert sum(job.inside for job in read_jobs(results)) == 2


def test_a_folder_without_benchmarks_is_explained(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="run the workflow first"):
        read_jobs(tmp_path)
    with pytest.raises(SystemExit, match="holds no benchmark files"):
        main([str(tmp_path)])
