"""The model is complete; its schema and its page are current, closed and true."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]
import pytest
import yaml
from pydantic import BaseModel

from bnn.config import docs as config_docs
from bnn.config.errors import resolve
from bnn.config.loading import Config, ConfigError, check_files, load
from bnn.config.model import DatasetSettings, Settings

ROOT = Path(__file__).parents[2]
IRIS = {"task": "classification", "source": {"kind": "sklearn", "name": "iris"}}


def with_iris(**own: Any) -> dict[str, Any]:
    return {"datasets": {"iris": {**IRIS, **own}}}


def models(model: type[BaseModel]) -> Iterator[type[BaseModel]]:
    yield model
    for field in model.model_fields.values():
        arms = getattr(field.annotation, "__args__", (field.annotation,))
        for arm in arms:
            if isinstance(arm, type) and issubclass(arm, BaseModel):
                yield from models(arm)


def test_every_key_has_a_description_and_all_but_what_defines_a_dataset_a_default() -> None:
    found = list(dict.fromkeys([*models(Config), *models(DatasetSettings)]))
    assert {model.__name__ for model in found} >= {"Langevin", "CsvSource", "ParameterPrior"}
    required = set()
    for model in found:
        assert model.model_config["extra"] == "forbid" and model.model_config["frozen"]
        for name, field in model.model_fields.items():
            assert field.description and field.description.endswith("."), f"{model.__name__}.{name}"
            required |= {f"{model.__name__}.{name}"} if field.is_required() else set()
    assert required == {
        "Config.datasets",
        "DatasetSettings.task",
        "DatasetSettings.source",
        "SklearnSource.kind",
        "SklearnSource.name",
        *(
            f"{kind}Source.{key}"
            for kind in ("Csv", "Parquet", "Feather", "Excel")
            for key in ("kind", "path", "target")
        ),
        *(f"UrlSource.{key}" for key in ("kind", "url", "sha256", "target")),
        "OpenmlSource.kind",
        "SyntheticSource.kind",
        "SyntheticSource.name",
    }


def test_schema_and_page_are_current(tmp_path: Path) -> None:
    """If this fails, run `python -m bnn.config.docs`."""
    for path in (config_docs.SCHEMA_PATH, config_docs.TABLES_PATH):
        (tmp_path / path).parent.mkdir(parents=True)
    config_docs.main(tmp_path)
    for path in (config_docs.SCHEMA_PATH, config_docs.TABLES_PATH):
        assert (ROOT / path).read_text(encoding="utf-8") == (tmp_path / path).read_text(encoding="utf-8"), (
            path
        )


@pytest.fixture(scope="module")
def validator() -> jsonschema.Draft7Validator:
    schema = json.loads((ROOT / config_docs.SCHEMA_PATH).read_text(encoding="utf-8"))
    jsonschema.Draft7Validator.check_schema(schema)
    return jsonschema.Draft7Validator(schema)


def test_the_default_config_suits_schema_and_model(validator: jsonschema.Draft7Validator) -> None:
    text = (ROOT / "config" / "config.yaml").read_text(encoding="utf-8")
    raw = yaml.safe_load(text)
    validator.validate(raw)
    config = load(raw)
    check_files(config)
    assert list(config.datasets) == ["iris", "wine", "breast_cancer", "diabetes", "gap"]
    split: dict[str, Any] = {"method": "random", "column": None, "test_value": "test"}
    split |= {"test_size": 0.2, "stratify": False, "seed": 42, "repeated_rows": "auto"}
    assert config.datasets["iris"].split.model_dump() == split
    reference = re.match(r"# yaml-language-server: \$schema=(\S+)\n", text)
    assert reference and (ROOT / "config" / reference[1]).resolve() == ROOT / config_docs.SCHEMA_PATH


@pytest.mark.parametrize(
    "raw",
    [
        {},
        {"datasets": {}},
        {"sampler": {"chians": 4}, "datasets": {"iris": IRIS}},
        {"smpler": {}, "datasets": {"iris": IRIS}},
        {"datasets": {"bad name": IRIS}},
        {"datasets": {"iris": {"task": "classification"}}},
        with_iris(sampler={"chians": 4}),
        with_iris(sampler={"langevin": {"rate": 4}}),
        with_iris(sampler={"chains": 0}),
        with_iris(network={"hidden": [0]}),
        with_iris(likelihood={"noise": 0}),
        with_iris(sampler={"target_acceptance": 2}),
        with_iris(source={"kind": "csv", "path": "a"}),
        with_iris(source={"kind": "csv", "path": "a", "target": "y", "name": "x"}),
    ],
)
def test_the_schema_rejects_what_the_model_rejects(validator: jsonschema.Draft7Validator, raw: Any) -> None:
    assert not validator.is_valid(raw)
    with pytest.raises(ConfigError):
        load(raw)


def test_the_schema_is_closed_and_described_everywhere(validator: jsonschema.Draft7Validator) -> None:
    def check(node: Any, place: str) -> None:
        if isinstance(node, dict):
            if "properties" in node and node.get("type") == "object":
                assert node["additionalProperties"] is False, place
                for name, inner in node["properties"].items():
                    assert resolve(inner, dict(validator.schema)).get("description"), f"{place}.{name}"
            for key, inner in node.items():
                check(inner, f"{place}.{key}")

    check(validator.schema, "schema")
    assert validator.schema["properties"]["datasets"]["additionalProperties"] is False


def test_the_page_explains_every_key_and_its_examples_load() -> None:
    text = config_docs.tables_text()

    def keys(model: type[BaseModel], prefix: str = "") -> Iterator[str]:
        for name, field in model.model_fields.items():
            inner = field.annotation
            if isinstance(inner, type) and issubclass(inner, BaseModel):
                yield from keys(inner, f"{prefix}{name}.")
            else:
                yield f"| `{prefix}{name}` |"

    expected = [
        *keys(Settings),
        "| `task` |",
        "| `source.path` |",
        "| `source.target_unit` |",
        "| `source.n` |",
    ]
    assert len(expected) > 45
    assert [key for key in expected if key not in text] == []
    examples = re.findall(r"```yaml\n(.*?)```", text, flags=re.DOTALL)
    datasets = [
        dataset for example in examples for dataset in load(yaml.safe_load(example)).datasets.values()
    ]
    kinds = {dataset.source.kind for dataset in datasets}
    assert kinds == {"csv", "openml", "sklearn", "synthetic", "url"}
    assert "| `prior.weights.scale` | text or number | `auto` | auto, or greater than 0 |" in text
    assert '| `source.target_unit` | text | `""` | any |' in text
