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
- A dataset may override any of them, in part: the keys it gives take the place of the shared ones, the others
  stay. A list (`network.hidden`) is replaced as a whole.
- To run another config *instead of* this one:
  `snakemake --cores 4 --replace-workflow-config --configfile mine.yaml`. Without `--replace-workflow-config`
  Snakemake lays `mine.yaml` over `config.yaml`, and the datasets of both run. Either way results go to `results/` of
  the folder in which it runs, and a dataset takes the place of one of the same name: `--directory elsewhere` keeps
  two configs apart, and relative paths in a config then start from there.
- Editors with the YAML language server complete and check the keys, thanks to the first line of
  `config.yaml`.

## Add a dataset

Put a few lines under `datasets` and run `snakemake --cores 4` again; only the jobs of the new dataset run.
Its name becomes a folder below `results`: letters of a-z and A-Z, digits, `_` and `-`, beginning with a
letter or digit.

A CSV file of your own: text in UTF-8 with a header line that names the columns. (docs/howto/datasets.md says what to write
for files of other tools.) The path starts from the folder in
which you run Snakemake.

```yaml
datasets:
  houses:
    task: regression
    source:
      kind: csv
      path: data/houses.csv
      target: price
      target_unit: EUR
```

A table as spreadsheets of many countries write it, with a column that says nothing about new rows, one whose
numbers are codes, and missing values:

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
      drop: [id]
      categorical: [postcode]
    columns: {missing: impute, min_frequency: 10}
```

What becomes of a column is told by its cells, and the report has a table of it:

- Numbers become one feature, standardised.
- Two words such as yes and no, or true and false, become one feature, 1 or 0; one letter alone, such as F without T, is
  text.
- Texts, and codes that `source.categorical` names, become a feature each, 1 in their rows and 0 elsewhere; those in
  fewer than `columns.min_frequency` training rows share one.
- Missing values get the median or the most frequent text, and one more feature says where; the run and the page tell it
  unless `columns.missing: impute` says that it is meant. `columns.missing: error` refuses them.
- A column with one value in all training rows becomes nothing.
- Dates, texts that are nearly all different, numbers of rows (`id`) and numbers with some texts in between are
  errors that say what to do.

All that is learned about columns (means, medians, levels) is learned on the training rows. A text that only
test rows or new rows have is none of the levels (or one of the rare ones), and is counted.

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

A dataset that comes with scikit-learn, here with settings of its own:

```yaml
datasets:
  wine_wide:
    task: classification
    source: {kind: sklearn, name: wine}
    network: {hidden: [32, 16]}
    sampler: {draws: 2000}
```

Artificial data:

```yaml
datasets:
  gap_noisy:
    task: regression
    source: {kind: synthetic, name: gap, n: 120, noise: 0.3}
```

Five splits of one table by lot, each a run of its own (`results/concrete.0` to `.4`), and their means with standard
errors in `results/report.html` and `results/concrete/repeats.json`:

```yaml
datasets:
  concrete:
    task: regression
    source: {kind: csv, path: data/concrete.csv, target: strength, target_unit: MPa}
    repeats: 5
```

All rows of a patient on one side of the split; the other ways are under `split` below:

```yaml
datasets:
  trial:
    task: classification
    source: {kind: csv, path: data/trial.csv, target: outcome}
    split: {method: group, column: patient}
```

A time series, where the last fifth is forecast a year ahead from the last twelve months:

```yaml
datasets:
  sales:
    task: timeseries
    source: {kind: csv, path: data/sales.csv, target: units}
    series: {lags: 12, horizon: 12, time: month}
```

Each row of it becomes one to learn from: the target at a time, with the values up to `horizon` steps before as
features. All statistics, such as those that standardise, are those of the train part, and the target of no train row
lies after the time at which the first forecast of the test part is made. A file of new rows to predict (`predict`) has
the columns `lag_1` (the latest value) to `lag_12` and those of the other features, a row for each forecast.

A key that cannot change anything for a dataset (the noise of a regression target, where the dataset has
classes) is an error in that dataset's own settings, because it is a misunderstanding; among the shared
settings it is fine.
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
    own = {name: dataset["properties"][name] for name in ("task", "series")}
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
