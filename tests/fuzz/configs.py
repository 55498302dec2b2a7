"""Configs made from the published schema, so that a new key is tried without being named here; and damage to them."""

import copy
import datetime
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

ROOT = Path(__file__).parents[2]
SCHEMA: dict[str, Any] = json.loads((ROOT / "workflow" / "schemas" / "config.schema.json").read_text())
SOURCES: list[tuple[str, dict[str, Any]]] = [
    ("classification", {"kind": "sklearn", "name": "iris"}),
    ("classification", {"kind": "sklearn", "name": "wine"}),
    ("regression", {"kind": "sklearn", "name": "diabetes"}),
    ("regression", {"kind": "synthetic", "name": "gap"}),
    ("regression", {"kind": "csv", "path": "mine.csv", "target": "price"}),
    ("timeseries", {"kind": "csv", "path": "mine.csv", "target": "price"}),
]
# Named here and not drawn: they decide what a dataset is, and which file is read.
_CHOSEN = ("datasets", "source", "task")
JUNK: list[Any] = [
    None,
    True,
    False,
    0,
    -1,
    1.5,
    float("nan"),
    float("inf"),
    -float("inf"),
    10**400,
    "",
    "abc",
    "1e3",
    "yes",
]
JUNK += [
    [],
    {},
    [1],
    [[]],
    {"a": 1},
    {1: 2},
    "x" * 10_000,
    "\0",
    "\x1b[2J",
    "a\nb",
    "../..",
    "$HOME",
    "$(id)",
    "ä",
    "{x}",
]
JUNK += [
    datetime.date(2020, 1, 1),
    b"bytes",
    {"a"},
    (1, 2),
    [{"kind": "csv"}],
    "!!python/object/apply:os.system [id]",
]


def values(schema: dict[str, Any]) -> st.SearchStrategy[Any]:
    """Return values that a part of the schema allows, numbers near their smallest."""
    if "$ref" in schema:
        return values(SCHEMA["$defs"][schema["$ref"].rpartition("/")[2]])
    if "anyOf" in schema:
        return st.one_of([values(option) for option in schema["anyOf"]])
    if "const" in schema:
        return st.just(schema["const"])
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    match schema["type"]:
        case "object":
            keys = {name: values(part) for name, part in schema["properties"].items() if name not in _CHOSEN}
            return st.fixed_dictionaries({}, optional=keys)
        case "array":
            return st.lists(values(schema["items"]), max_size=min(3, schema.get("maxItems", 3)))
        case "integer":
            least = schema.get("minimum", schema.get("exclusiveMinimum", -2) + 1)
            return st.integers(least, min(schema.get("maximum", least + 20), least + 20))
        case "number":
            least = schema.get("minimum", schema.get("exclusiveMinimum", -10))
            most = schema.get("maximum", schema.get("exclusiveMaximum", least + 10))
            return st.floats(
                least,
                most,
                exclude_min="exclusiveMinimum" in schema,
                exclude_max="exclusiveMaximum" in schema,
            )
        case "boolean":
            return st.booleans()
        case "string":
            return st.text(min_size=schema.get("minLength", 0), max_size=5)
        case "null":
            return st.none()
    raise NotImplementedError(schema)


@st.composite
def datasets(draw: Callable[..., Any]) -> dict[str, Any]:
    """A dataset with some settings of its own; their parts may contradict one another."""
    task, source = draw(st.sampled_from(SOURCES))
    own = draw(st.one_of(st.just({}), values(SCHEMA)))
    if "repeats" in own:  # each is a run: a graph of many datasets must stay small
        own["repeats"] = 1 + own["repeats"] % 2
    return {**own, "task": task, "source": dict(source)}


@st.composite
def configs(draw: Callable[..., Any]) -> dict[str, Any]:
    """A whole config that the schema allows."""
    names = draw(
        st.lists(st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_-]{0,8}", fullmatch=True), min_size=1, max_size=3)
    )
    shared = draw(values(SCHEMA))
    return {**shared, "datasets": {name: draw(datasets()) for name in names}}


@st.composite
def damaged(draw: Callable[..., Any]) -> Any:
    """A config with one to three faults: a value of another kind, a key that is misspelt, missing or elsewhere."""
    config = copy.deepcopy(draw(configs()))
    for _ in range(draw(st.integers(1, 3))):
        places = list(_places(config))
        if not places:
            return draw(st.sampled_from(JUNK))
        group, key = draw(st.sampled_from(places))
        match draw(st.sampled_from(["replace", "replace", "rename", "drop", "add", "root"])):
            case "replace":
                group[key] = copy.deepcopy(draw(st.sampled_from(JUNK)))
            case "rename":
                group[draw(st.sampled_from([f"{key}s", str(key).upper(), 3, "", None, "x y", "\0"]))] = (
                    group.pop(key)
                )
            case "drop":
                del group[key]
            case "add":
                group[draw(st.sampled_from(["sampler", "chains", "datasets", "path", "kind", 7]))] = draw(
                    st.sampled_from(JUNK)
                )
            case "root" if draw(st.integers(0, 9)) == 0:
                return draw(st.sampled_from(JUNK))
    return config


def _places(group: Any) -> Any:
    """Yield each group with each of its keys."""
    if isinstance(group, dict):
        for key, value in group.items():
            yield group, key
            yield from _places(value)
