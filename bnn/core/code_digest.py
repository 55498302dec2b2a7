"""A digest of what source files do: a rule runs again when that changes, not for a comment or another wording."""

import ast
import hashlib
from functools import lru_cache
from pathlib import Path
from typing import Any

_SPEAKERS = {"print", "debug", "info", "warning", "exception", "critical", "log", "warn", "reworded"}
"""Functions and methods whose arguments are for people to read."""
_MATHS = {"np", "math"}


def code_digest(*places: Path) -> str:
    """SHA-256 of what some source files do.

    Of Python files the statements count, without comments, docstrings, layout, and the texts in `raise` statements,
    in exceptions that are made, and in calls that print or log. Of other files (templates, style sheets) every byte.

    Parameters
    ----------
    places
        Files, and folders with all that is in them. Where they lie does not matter.

    Raises
    ------
    FileNotFoundError
        If a place does not exist.
    SyntaxError
        If a file is not valid Python; the error names it.
    """
    digest = hashlib.sha256()
    for place in places:
        files = sorted(path for path in place.rglob("*") if path.is_file()) if place.is_dir() else [place]
        for path in files:
            if "__pycache__" in path.parts or path.name.startswith(".") or path.name.endswith("~"):
                continue  # caches, and what editors leave
            content = path.read_bytes()
            meant = _meaning_of_file(content, str(path)) if path.suffix == ".py" else content
            # The length keeps the end of one file apart from the beginning of the next.
            name = path.relative_to(place.parent).as_posix()
            digest.update(f"{name}\0{len(meant)}\0".encode() + meant)
    return digest.hexdigest()


@lru_cache(maxsize=1024)
def _meaning_of_file(source: bytes, name: str) -> bytes:
    return _meaning(ast.parse(source, filename=name)).encode()


def _meaning(node: Any, wordless: bool = False) -> str:
    """Return a part of a syntax tree as text; in a wordless one every text counts as the same.

    This is shorter than `ast.dump` and, without empty fields, the same in versions of Python that know more of them.
    """
    if isinstance(node, list):
        return "".join(_meaning(item, wordless) for item in node if not _is_docstring(item)) + "."
    if not isinstance(node, ast.AST):
        return repr(node)
    if wordless and (isinstance(node, ast.JoinedStr) or isinstance(getattr(node, "value", None), str)):
        return "text"
    inside = wordless or isinstance(node, ast.Raise) or (isinstance(node, ast.Call) and _speaks(node.func))
    fields = (
        f"{name}={_meaning(value, inside)}"
        for name, value in ast.iter_fields(node)
        if value not in (None, [])
    )
    return f"{type(node).__name__}({' '.join(fields)})"


def _is_docstring(node: Any) -> bool:
    """Return whether this is a text that stands alone: of a module, a class, a function or a field."""
    return isinstance(node, ast.Expr) and isinstance(getattr(node.value, "value", None), str)


def _speaks(function: ast.expr) -> bool:
    name = getattr(function, "attr", getattr(function, "id", ""))
    if getattr(getattr(function, "value", None), "id", "") in _MATHS:
        return False  # a logarithm
    return name in _SPEAKERS or name.lower().endswith(("error", "exception", "warning", "fault"))
