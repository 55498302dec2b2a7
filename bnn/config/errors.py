"""What the config allows and what is wrong with a value, in words, both read from the model's JSON schema."""

import difflib
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from pydantic import BaseModel, ValidationError

Schema = dict[str, Any]


class Problem(NamedTuple):
    """One error: what kind, where, and what to do."""

    code: str
    """A short name of the kind of error, which stays when the message is reworded"""
    path: tuple[str, ...]
    """Where: the keys from the outermost on, or the name of a file"""
    message: str
    line: int | None = None
    """Line of the file, if `path` names one"""
    column: int | None = None

    @property
    def key(self) -> str:
        """The dotted key."""
        return ".".join(self.path)

    def __str__(self) -> str:
        place = self.key if self.line is None else f"{self.key}, line {self.line}, column {self.column}"
        return _on_one_line(f"{place}: {self.message}" if place else self.message)


REMOVED = {
    "evaluation.sensitivity_rerun": (
        "is no longer a key: write a second dataset with the same lines and "
        "`prior: {weights: {scale: ...}, biases: {scale: ...}}`, each scale times a factor"
    ),
    "source.kind: tsv": 'is no longer tsv: write `kind: csv` and `separator: "\\t"`',
}
"""What there was, a key or a key with a value, each below the dataset -> what to write instead."""


class ConfigError(ValueError):
    """The config is wrong; the message lists every error, with its code in brackets.

    Parameters
    ----------
    problems
        The errors.
    """

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__(problems)
        self.problems = tuple(problems)

    def __str__(self) -> str:
        count = "1 error" if len(self.problems) == 1 else f"{len(self.problems)} errors"
        lines = [f"  - {problem} [{problem.code}]" for problem in self.problems]
        return "\n".join([f"{count} in the configuration:", *lines])


def _on_one_line(text: str) -> str:
    """Show what cannot be seen, or would make a terminal do something, as an escape sequence; cut what is endless."""
    visible = "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)
    return visible if len(visible) <= 1000 else f"{visible[:997]}..."


def find_problems(model: type[BaseModel], raw: Mapping[str, Any]) -> list[Problem]:
    """Return what is wrong with `raw` as an instance of the model, in plain words; empty if nothing is."""
    try:
        model.model_validate(raw)
    except ValidationError as error:
        schema = model.model_json_schema()
        problems = [_explain(dict(detail), schema) for detail in error.errors(include_url=False)]
        # Each arm of a union (`auto`, or a list) reports an error: the last one looked furthest into the value.
        return list({(problem.code, problem.path): problem for problem in problems}.values())
    return []


def resolve(node: Schema, schema: Schema) -> Schema:
    """Return the definition that a node of the schema refers to, or the node itself."""
    return schema["$defs"][node["$ref"].rsplit("/", 1)[1]] if "$ref" in node else node


def value_type(node: Schema) -> str:
    """Return the type of a value in one or two words, for a table."""
    if "anyOf" in node:
        return " or ".join(value_type(arm) for arm in node["anyOf"])
    if "enum" in node or "const" in node:
        return "text"
    if node["type"] == "array":
        return f"list of {value_type(node['items'])}s"
    names = {"integer": "whole number", "string": "text", "boolean": "true or false"}
    return str(names.get(node["type"], node["type"]))


def allowed_values(node: Schema) -> str:
    """Return which values are allowed, beyond the type; empty where each value of the type is."""
    if "anyOf" in node:
        return ", or ".join(text for text in map(allowed_values, node["anyOf"]) if text)
    if "enum" in node:
        return "one of " + ", ".join(node["enum"])
    if "const" in node:
        return str(node["const"])
    if node["type"] == "array":
        limit = f"at most {node['maxItems']}, " if "maxItems" in node else ""
        example = ", such as [16] or [32, 16]" if node["items"].get("type") == "integer" else ""
        return f"{limit}each {allowed_values(node['items'])}{example}"
    least, most = node.get("minimum"), node.get("maximum")
    if least is not None:
        return f"{least:.12g} or more" if most is None else f"from {least:.12g} to {most:.12g}"
    above, below = node.get("exclusiveMinimum"), node.get("exclusiveMaximum")
    if above is not None:
        return f"greater than {above:.12g}" + ("" if below is None else f" and less than {below:.12g}")
    if node.get("maxLength") == 1:
        return "one character"
    if "pattern" in node and node.get("pattern", "").endswith("{64}$"):
        return "64 hexadecimal digits"
    return "not empty" if node.get("minLength") else ""


def _phrase(node: Schema) -> str:
    """Return type and allowed values as a clause that follows "must be"."""
    if "anyOf" in node:
        return ", or ".join(_phrase(arm) for arm in node["anyOf"])
    if "enum" in node:
        return allowed_values(node)
    if "const" in node:
        return f"the word {node['const']}"
    if node["type"] == "null":
        return "null"
    kind, allowed = value_type(node), allowed_values(node)
    if node["type"] == "string":
        return f"text that is {allowed}" if allowed else "text"
    if node["type"] == "boolean":
        return kind
    comma = ", " if allowed[:1].isdigit() or node["type"] == "array" else " "
    return f"a {kind}{comma}{allowed}".rstrip()


def _show(value: Any) -> str:
    if isinstance(value, Mapping):
        return "a group of keys"
    if isinstance(value, str):
        return f"'{value}'" if len(value) <= 60 else f"'{value[:57]}...'"
    text = json.dumps(value, default=str)
    return text if len(text) <= 60 else text[:57] + "..."


def _key_paths(node: Schema, schema: Schema, prefix: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    node = resolve(node, schema)
    children = dict(node.get("properties", {}))
    for arm in node.get("oneOf", []):
        children |= resolve(arm, schema)["properties"]
    for child in node.get("patternProperties", {}).values():
        children["<name>"] = child
    for name, child in children.items():
        yield (*prefix, name)
        yield from _key_paths(child, schema, (*prefix, name))


def _unknown_key(key: Any, path: tuple[str, ...], node: Schema, schema: Schema) -> str:
    allowed = list(node["properties"])
    close = difflib.get_close_matches(str(key).lower(), allowed, n=1)
    elsewhere = [other for other in _key_paths(schema, schema) if other[-1] == key and other != path]
    if (key,) in elsewhere:
        hint = "It belongs beside the sections, not in one. "
    elif close:
        hint = f"Did you mean {close[0]}? "
    elif elsewhere:
        hint = f"It belongs in {' or '.join(map('.'.join, elsewhere[:3]))}. "
    else:
        hint = ""
    return f"unknown key. {hint}Allowed here: {', '.join(allowed)}"


def _explain(detail: dict[str, Any], schema: Schema) -> Problem:
    """Turn an error of pydantic into words."""
    node = schema
    path: list[str] = []
    entry: int | None = None
    for place, part in enumerate(detail["loc"]):
        node = resolve(node, schema)
        if "discriminator" in node:
            node = resolve({"$ref": node["discriminator"]["mapping"][part]}, schema)
        elif "properties" not in node:
            # Before the number of an item stands the arm of a union, if it is in one.
            entry = next((item for item in detail["loc"][place:] if isinstance(item, int)), None)
            break
        else:
            path.append(str(part))
            if part not in node["properties"]:
                if (removed := REMOVED.get(".".join(path))) is not None:
                    return Problem("removed-key", tuple(path), removed)
                return Problem("unknown-key", tuple(path), _unknown_key(part, tuple(path), node, schema))
            node = node["properties"][part]
    node = resolve(node, schema)
    if detail["type"] in ("union_tag_invalid", "union_tag_not_found"):
        key = node["discriminator"]["propertyName"]
        choices = "one of " + ", ".join(node["discriminator"]["mapping"])
        found = detail["input"].get(key) if isinstance(detail["input"], Mapping) else None
        if found is None:
            return Problem("missing", (*path, key), f"is missing; it must be {choices}")
        if (remedy := REMOVED.get(f"{'.'.join((*path, key))}: {found}")) is not None:
            return Problem("removed-value", (*path, key), remedy)
        return Problem("wrong-value", (*path, key), f"must be {choices}, not {_show(found)}")
    if detail["type"] == "value_error":
        return Problem(
            getattr(detail["ctx"]["error"], "code", "wrong-value"), tuple(path), str(detail["ctx"]["error"])
        )
    if "discriminator" in node or "properties" in node:
        expected = "a group of keys (lines indented below it)"
    else:
        expected = _phrase(node)
    if detail["type"] == "missing":
        return Problem("missing", tuple(path), f"is missing; it must be {expected}")
    if entry is not None:
        return Problem(
            "wrong-value",
            tuple(path),
            f"must be {expected}, but entry {entry + 1} is {_show(detail['input'])}"
            f"{_quotes(expected, detail['input'])}",
        )
    quotes = _quotes(expected, detail["input"])
    return Problem("wrong-value", tuple(path), f"must be {expected}, not {_show(detail['input'])}{quotes}")


def _quotes(expected: str, value: Any) -> str:
    """Say how YAML takes something for text that it has read as something else."""
    if not expected.startswith(("text", "a list of texts")) or isinstance(value, str | Mapping | list | None):
        return ""
    what = ": YAML takes words such as no and off for false" if isinstance(value, bool) else ""
    return f" (put it in quotes if it is meant as text{what})"
