"""Writes the JSON schema of the config, for editors, and the tables of its keys, for people, from the model.

Run `python -m bnn.config.docs` in the repository after a change of `bnn/config/model.py`; a test fails until
then.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic.json_schema import GenerateJsonSchema, JsonSchemaMode
from pydantic_core import core_schema

from bnn.config.errors import Schema, allowed_values, resolve, value_type
from bnn.config.model import Config, Settings

SCHEMA_PATH = "workflow/schemas/config.schema.json"
TABLES_PATH = "config/README.md"

_INTRODUCTION = """\
# The config

<!-- Written by `python -m bnn.config.docs` from bnn/config/model.py: change that, not this file. -->

`config.yaml` says which datasets to run and how. Every key has a default, so a config needs only what
differs. Mistakes are listed, all of them, before any job starts.

- The settings at the top hold for all datasets.
- A dataset may override any of them, in part: the keys that it gives replace the shared ones, the others
  stay. A list (`network.hidden`) is replaced as a whole.
- Another config runs *instead of* this one with
  `snakemake --cores 4 --replace-workflow-config --configfile mine.yaml`. Without `--replace-workflow-config`
  Snakemake lays `mine.yaml` over `config.yaml`, and the datasets of both run.
- Results go to `results/` of the folder in which it runs, and a dataset replaces one of the same name.
  `--directory elsewhere` keeps two configs apart; relative paths in a config then start from there.
- Editors with the YAML language server complete and check the keys, thanks to the first line of
  `config.yaml`.
- A key that cannot change anything for a dataset (the noise of a regression target, where the dataset has
  classes) is an error in that dataset's own settings. Among the shared settings it is fine.

## Examples

The name of a dataset becomes a folder below `results`: letters of a-z and A-Z, digits, `_` and `-`, beginning with a
letter or digit. [Add a dataset](../docs/howto/datasets.md) says what to write for files of other tools, and what
becomes of the columns.

A CSV file of your own, as spreadsheets of many countries write it. The path starts from the folder in which you run
Snakemake:

```yaml
datasets:
  flats:
    task: regression
    source:
      kind: csv
      path: data/flats.csv
      separator: ";"
      decimal: ","
      target: rent
      target_unit: EUR
      drop: [id]
      categorical: [postcode]
    columns: {missing: impute, min_frequency: 10}
```

A table of OpenML, and a CSV file at an address. Both are fetched once, into `results/.cache` or the folder that
the environment variable `BNN_CACHE` names:

```yaml
datasets:
  credit:
    task: classification
    source: {kind: openml, name: credit-g, version: 1}
  river:
    task: regression
    source:
      kind: url
      url: https://example.org/river.csv
      sha256: 5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef
      target: level
      target_unit: m
```

A dataset that comes with scikit-learn, here with settings of its own, and artificial data:

```yaml
datasets:
  wine_wide:
    task: classification
    source: {kind: sklearn, name: wine}
    network: {hidden: [32, 16]}
    sampler: {draws: 2000}
  gap_noisy:
    task: regression
    source: {kind: synthetic, name: gap, n: 120, noise: 0.3}
```

Five random splits of one table, each a run of its own (`results/concrete.0` to `.4`); all rows of a patient on one side
of the split; and a time series, where the last fifth is forecast a year ahead from the last twelve months:

```yaml
datasets:
  concrete:
    task: regression
    source: {kind: csv, path: data/concrete.csv, target: strength, target_unit: MPa}
    repeats: 5
  trial:
    task: classification
    source: {kind: csv, path: data/trial.csv, target: outcome}
    split: {method: group, column: patient}
  sales:
    task: timeseries
    source: {kind: csv, path: data/sales.csv, target: units}
    series: {lags: 12, horizon: 12, time: month}
```
"""


class _Generator(GenerateJsonSchema):
    """The schema without a title for every key, which would only repeat the key."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        """Return that no key gets a title."""
        return False

    def generate(self, schema: core_schema.CoreSchema, mode: JsonSchemaMode = "validation") -> Schema:
        """Return the schema, in the draft that editors know best."""
        return {"$schema": "http://json-schema.org/draft-07/schema#", **super().generate(schema, mode)}


def schema_text() -> str:
    """Return the JSON schema of the config."""
    return json.dumps(Config.model_json_schema(schema_generator=_Generator), indent=2) + "\n"


def tables_text() -> str:
    """Return the page that explains every key."""
    schema = Config.model_json_schema()
    parts = [_INTRODUCTION, "## Settings\n\nFor all datasets, or within a dataset for that one.\n"]
    sections = {name: resolve(schema["properties"][name], schema) for name in Settings.model_fields}
    single = [name for name, section in sections.items() if "properties" not in section]
    top: Schema = {"properties": {name: schema["properties"][name] for name in single}}
    parts.append(_table(_rows(top, schema, "")))
    for name, section in sections.items():
        if "properties" in section:
            table = _table(_rows(section, schema, f"{name}."))
            parts.append(f"### `{name}`\n\n{section['description']}\n\n{table}")
    dataset = schema["$defs"]["DatasetSettings"]
    parts.append("## Keys of a dataset\n\n`task` and `source`, and any of the settings above.\n")
    own = {name: dataset["properties"][name] for name in ("task", "series", "predict")}
    parts.append(_table(_rows({"properties": own, "required": ["task"]}, schema, "")))
    source = dataset["properties"]["source"]
    for kind, reference in source["discriminator"]["mapping"].items():
        section = resolve({"$ref": reference}, schema)
        table = _table(_rows(section, schema, "source."))
        parts.append(f"### `source` of the kind `{kind}`\n\n{section['description']}\n\n{table}")
    return "\n".join(parts)


def _rows(section: Schema, schema: Schema, prefix: str) -> Iterator[tuple[str, ...]]:
    for name, node in section["properties"].items():
        inner = resolve(node, schema)
        if "properties" in inner:
            yield from _rows(inner, schema, f"{prefix}{name}.")
            continue
        default = "*required*" if name in section.get("required", []) else f"`{_yaml(node['default'])}`"
        yield (
            f"`{prefix}{name}`",
            value_type(node),
            default,
            allowed_values(node) or "any",
            node["description"],
        )


def _yaml(value: Any) -> str:
    if isinstance(value, str) and value:
        return value
    return f"{value:g}" if isinstance(value, float) else json.dumps(value)


def _table(rows: Iterator[tuple[str, ...]]) -> str:
    head = [("Key", "Type", "Default", "Allowed", "What it means"), ("---",) * 5]
    return "".join(f"| {' | '.join(row)} |\n" for row in [*head, *rows])


def main(root: Path) -> None:
    """Write both files below the root of the repository."""
    (root / SCHEMA_PATH).write_text(schema_text(), encoding="utf-8")
    (root / TABLES_PATH).write_text(tables_text(), encoding="utf-8")


if __name__ == "__main__":
    main(Path(__file__).parents[2])
