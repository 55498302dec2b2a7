"""What the results of the default config must show; opt-in: BNN_RESULTS names their folder (`make accept`)."""

import os
from pathlib import Path
from typing import Any

import pytest

from bnn.core.formatting import unbroken
from bnn.core.storage import read_json
from bnn.report.table import METRICS

DATASETS = ("iris", "wine", "breast_cancer", "diabetes", "gap")
CLASSES = DATASETS[:3]
NUMBERS = DATASETS[3:]
MAX_BYTES = 3 * 2**20

_FOLDER = os.environ.get("BNN_RESULTS")
pytestmark = pytest.mark.skipif(
    not _FOLDER, reason="BNN_RESULTS does not name the results of the default config (run `make accept`)"
)


def content(dataset: str, name: str) -> dict[str, Any]:
    """Return a JSON file of a dataset; one that is missing is a failure, not a reason to skip."""
    assert _FOLDER
    found: dict[str, Any] = read_json(Path(_FOLDER) / dataset / f"{name}.json")
    return found


@pytest.mark.parametrize("dataset", DATASETS)
def test_the_chains_converged(dataset: str) -> None:
    found = content(dataset, "diagnostics")
    assert found["verdict"] == "PASS", found["reasons"]


def test_the_band_widens_in_the_hole() -> None:
    models = content("gap", "checks")["hole"]["models"]
    assert models["bnn"]["ratio"] >= 2


@pytest.mark.parametrize("dataset", CLASSES)
def test_unseen_inputs_are_told_apart_at_least_as_well_as_by_the_baseline(dataset: str) -> None:
    kinds = content(dataset, "checks")["out_of_distribution"]["kinds"]
    assert {kind["name"] for kind in kinds} == {"noised", "shifted", "uniform"}
    for kind in kinds:
        assert kind["models"]["bnn"]["auroc"] >= kind["models"]["baseline"]["auroc"], kind["name"]


@pytest.mark.parametrize("dataset", NUMBERS)
def test_ninety_percent_intervals_hold_about_that(dataset: str) -> None:
    share = content(dataset, "metrics")["models"]["bnn"]["test"]["coverage_90"]["value"]
    assert 0.80 <= share <= 0.97


@pytest.mark.parametrize("dataset", DATASETS)
def test_a_worse_nll_is_flagged_and_nothing_else(dataset: str) -> None:
    """Recomputed from the scores, not from what the flag itself says."""
    found = content(dataset, "metrics")
    own, other = (found["models"][model]["test"]["nll"]["value"] for model in ("bnn", "baseline"))
    flag = next(flag for flag in found["flags"] if flag["name"] == "nll_worse_than_baseline")
    assert flag["raised"] == (own - other > 2 * found["differences"]["baseline"]["nll"]["se"])
    assert _FOLDER
    page = (Path(_FOLDER) / dataset / "report.html").read_text(encoding="utf-8")
    said = unbroken(flag["text"]).replace("'", "&#39;")
    assert (f"<li>{said}</li>" in page) == flag["raised"]


@pytest.mark.parametrize("dataset", CLASSES)
def test_no_model_is_ranked_by_its_calibration_error(dataset: str) -> None:
    assert METRICS["ece"].sign == 0
    for differences in content(dataset, "metrics")["differences"].values():
        assert differences["ece"]["lower"] is None and differences["ece"]["upper"] is None


@pytest.mark.parametrize("page", ["report.html", *(f"{dataset}/report.html" for dataset in DATASETS)])
def test_a_page_is_small_enough_to_be_mailed(page: str) -> None:
    assert _FOLDER
    assert 0 < (Path(_FOLDER) / page).stat().st_size <= MAX_BYTES
