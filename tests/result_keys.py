"""Which keys of a file of the results docs/reference/results.yaml describes."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

_DESCRIBED = Path(__file__).parents[1] / "docs" / "reference" / "results.yaml"


def described(file: str) -> list[str]:
    """Return the keys that are described for a file, as they stand there."""
    return list(yaml.safe_load(_DESCRIBED.read_text(encoding="utf-8"))["files"][file]["keys"])


def undescribed(found: Any, file: str) -> list[str]:
    """Return the paths to values that no key covers; what is empty may be described by what it could hold."""
    keys = described(file)
    patterns = [re.compile(pattern_of(key)) for key in keys]
    return sorted(
        path
        for path, value in _leaves(found)
        if not any(pattern.fullmatch(path) for pattern in patterns)
        and not (value in (None, [], {}) and any(_starts(key, path) for key in keys))
    )


def pattern_of(key: str) -> str:
    """Return the regular expression of a key: <x> is any name, {a,b} one of these, .* at the end all keys below."""
    pattern = re.escape(key.removesuffix(".*")) + (r"(\..*)?" if key.endswith(".*") else "")
    pattern = re.sub(r"<\w+>", r"[^.\\[\\]]+", pattern)
    return re.sub(r"\\\{(.*?)\\\}", lambda match: f"({match[1].replace(',', '|')})", pattern)


def _starts(key: str, path: str) -> bool:
    return any(re.fullmatch(pattern_of(key[: match.start()]), path) for match in re.finditer(r"\.|\[\]", key))


def _leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict) and value:
        for name, inner in value.items():
            yield from _leaves(inner, f"{path}.{name}" if path else name)
    elif isinstance(value, list) and value and isinstance(value[0], dict):
        for inner in value:
            yield from _leaves(inner, f"{path}[]")
    else:
        yield path, value
