"""What a run wrote is described in the reference, key by key and column by column."""

import csv
import json
import re

import pytest
import yaml

from tests.result_keys import described, pattern_of, undescribed
from tests.unit.docs_blocks import DOCS
from tests.workflow.project import TINY

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("dataset", TINY["datasets"])
@pytest.mark.parametrize("file", ["metrics.json", "checks.json", "diagnostics.json"])
def test_every_key_is_described(finished, dataset, file):
    found = json.loads(finished.result(dataset, file).read_text(encoding="utf-8"))
    assert undescribed(found, file) == []
    heads = {re.split(r"\.|\[", key)[0] for key in described(file)}
    optional = {"conformal", *(["classification_report"] if found["task"] == "regression" else [])}
    assert {head for head in heads - optional if "{" not in head} <= found.keys()


@pytest.mark.parametrize("dataset", TINY["datasets"])
def test_every_column_is_described(finished, dataset):
    keys = yaml.safe_load((DOCS / "reference" / "results.yaml").read_text(encoding="utf-8"))["columns"]
    patterns = [re.compile(pattern_of(key)) for key in keys["predictions.csv"]]
    with finished.result(dataset, "predictions.csv").open(newline="", encoding="utf-8") as file:
        columns = next(csv.reader(file))
    assert [column for column in columns if not any(p.fullmatch(column) for p in patterns)] == []
