"""Count lines of code of the package, and the share of its public names that have a docstring.

`python -m tests.code_lines [FOLDER]` counts `bnn/` of this checkout, or of another one.
"""

import ast
import io
import sys
import tokenize
from collections.abc import Iterator
from pathlib import Path

_SILENT = {
    tokenize.COMMENT,
    tokenize.NL,
    tokenize.NEWLINE,
    tokenize.INDENT,
    tokenize.DEDENT,
    tokenize.ENDMARKER,
}


def code_lines(source: str) -> int:
    """Return how many lines hold code: blanks, comments and texts that stand alone (docstrings) do not count."""
    alone = {
        line
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Expr) and isinstance(getattr(node.value, "value", None), str)
        for line in range(node.lineno, (node.end_lineno or node.lineno) + 1)
    }
    lines: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type not in _SILENT:
            lines.update(range(token.start[0], token.end[0] + 1))
    return len(lines - alone)


def public_definitions(tree: ast.Module) -> Iterator[ast.FunctionDef | ast.ClassDef]:
    """Yield public functions and classes of a module, and public methods of public classes."""
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_"):
            yield node
            if isinstance(node, ast.ClassDef):
                yield from (
                    part
                    for part in node.body
                    if isinstance(part, ast.FunctionDef) and not part.name.startswith("_")
                )


def main(folder: Path) -> None:
    """Print the figures of the package in a folder."""
    sources = {path: path.read_text(encoding="utf-8") for path in sorted((folder / "bnn").rglob("*.py"))}
    names = [node for source in sources.values() for node in public_definitions(ast.parse(source))]
    documented = sum(ast.get_docstring(node) is not None for node in names)
    longest = max(sources, key=lambda path: sources[path].count("\n"))
    print(f"{sum(map(code_lines, sources.values()))} lines of code in {len(sources)} files")
    print(f"{documented} of {len(names)} public names documented ({documented / len(names):.1%})")
    print(f"longest file: {longest.relative_to(folder)}, {sources[longest].count(chr(10))} lines")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "."))
