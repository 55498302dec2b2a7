"""Pages that are generated from the code, links to files of the repository, and formulas as MathML."""

import argparse
import os
import posixpath
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from docutils import nodes
from docutils.utils.math import latex2mathml
from pygments.lexers.python import PythonLexer
from sphinx.application import Sphinx
from sphinx.errors import ExtensionError

from bnn.__main__ import make_parser

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
OUTSIDE = {
    "config/README.md": "docs/reference/config.md",
    "benchmarks/README.md": "docs/reference/benchmarks.md",
    "CHANGELOG.md": "docs/reference/changes.md",
    "CONTRIBUTING.md": "docs/howto/contributing.md",
}
"""Pages of the repository that are pages of the site as well, and where they are put."""
FOR_READERS = {
    "baselines",
    "checks",
    "diagnostics",
    "estimators",
    "evaluation",
    "mcmc",
    "model",
    "posterior",
    "selection",
}
"""Packages whose functions and classes are listed; of the others, each module says what it holds."""
_LINK = re.compile(r"(!?)\[((?:[^\]\\]|\\.)*)\]\(([^)\s]+)\)")

_REMOTE = re.compile(r"<(?:script|link|img|iframe)\b[^>]*\b(?:src|href)=[\"'](?:https?:)?//[^>]*>")


def write_pages(app: Sphinx) -> None:
    """Write the pages that git ignores; one that has not changed is left alone, so that it is not read again."""
    for source, place in OUTSIDE.items():
        _write(ROOT / place, (ROOT / source).read_text(encoding="utf-8"))
    _write(DOCS / "reference" / "commands.md", command_page(make_parser()))
    packages = list(api_pages())
    for name, text in packages:
        _write(DOCS / "reference" / "api" / f"{name}.rst", text)
    listed = "".join(f"   {name}\n" for name, _ in packages)
    _write(DOCS / "reference" / "api" / "index.rst", f"API\n===\n\n.. toctree::\n\n{listed}")


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        path.write_text(text, encoding="utf-8")


def command_page(parser: argparse.ArgumentParser) -> str:
    """Return the page of the command line: what each command prints with --help."""
    (commands,) = (action for action in parser._actions if isinstance(action, argparse._SubParsersAction))
    parts = ["# The command line", "", _help(parser)]
    for name, command in commands.choices.items():
        parts += [f"## `{name}`", "", _help(command)]
    return "\n".join(parts)


def _help(parser: argparse.ArgumentParser) -> str:
    parser.formatter_class = lambda prog: argparse.HelpFormatter(prog, width=100)  # that of no terminal
    return f"```text\n{parser.format_help()}```\n"


def api_pages() -> Iterator[tuple[str, str]]:
    """Yield the name and the text of the page of each package, with a section for each module that says something."""
    for folder in sorted(path.parent for path in (ROOT / "bnn").rglob("__init__.py")):
        package = ".".join(folder.relative_to(ROOT).parts)
        modules = sorted(path.stem for path in folder.glob("*.py") if not path.stem.startswith("__"))
        names = [package, *(f"{package}.{module}" for module in modules)]
        yield package, _title(package, "=") + "".join(_module(name, package) for name in names)


def _title(text: str, line: str) -> str:
    return f"{text}\n{line * len(text)}\n\n"


def _module(name: str, package: str) -> str:
    title = "" if name == package else _title(name.rpartition(".")[2], "-")
    # What a package passes on is documented in the module that defines it.
    listed = name != package and not FOR_READERS.isdisjoint(name.split("."))
    members = "" if listed else "   :no-members:\n"
    return f"{title}.. automodule:: {name}\n{members}\n"


def turn_links(app: Sphinx, docname: str, content: list[str]) -> None:
    """Turn links to files of the repository into links of the site, in place."""
    path = f"docs/{docname}.md"
    if not (ROOT / path).exists():
        return
    origin = next((source for source, place in OUTSIDE.items() if place == path), path)

    def turned(match: re.Match[str]) -> str:
        picture, text, link = match.groups()
        target, _, anchor = link.partition("#")
        if picture or not target or re.match(r"\w+:", target):
            return match[0]
        return _link(
            text, posixpath.normpath(posixpath.join(posixpath.dirname(origin), target)), anchor, path
        )

    content[0] = _LINK.sub(turned, content[0])


def _link(text: str, target: str, anchor: str, page: str) -> str:
    target = OUTSIDE.get(target, target)
    if target.startswith("docs/") and target.endswith(".md"):
        place = os.path.relpath(target, posixpath.dirname(page))
        return f"[{text}]({place}{'#' if anchor else ''}{anchor})"
    if re.match(r"bnn(/|$)", target):
        module = target.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
        return f"{{py:mod}}`{text} <{module}>`"
    if (ROOT / target).is_file():
        return f"{{download}}`{text} <{os.path.relpath(target, posixpath.dirname(page))}>`"
    return f"`{target}`"


def keep_whole(app: Sphinx, what: str, name: str, obj: object, options: object, lines: list[str]) -> None:
    """Keep Napoleon from taking what stands before a colon in the docstring of a constant for its type."""
    if what in ("attribute", "data", "property"):
        lines.insert(0, "")


def visit_math(self: Any, node: nodes.Element) -> None:
    """Write a formula as MathML, which browsers show by themselves."""
    block = isinstance(node, nodes.math_block)
    self.body.append(_mathml(node.astext(), block))
    raise nodes.SkipNode


def _mathml(text: str, block: bool) -> str:
    tree = latex2mathml.tex2mathml(text, as_block=block)
    return f"<div class='math'>{tree}</div>" if block else str(tree)


def refuse_remote_files(app: Sphinx, exception: Exception | None) -> None:
    """Fail if a page would load something from elsewhere: the site must work from disk, without a network."""
    if exception is None and app.builder.name == "html":
        remote = {
            f"{page.relative_to(app.outdir)}: {match[0]}"
            for page in Path(app.outdir).rglob("*.html")
            for match in _REMOTE.finditer(page.read_text(encoding="utf-8"))
        }
        if remote:
            raise ExtensionError("loaded from elsewhere: " + "; ".join(sorted(remote)))


def setup(app: Sphinx) -> dict[str, Any]:
    """Register what this file adds to Sphinx."""
    app.connect("builder-inited", write_pages)
    app.connect("source-read", turn_links)
    app.connect("autodoc-process-docstring", keep_whole, priority=100)  # before Napoleon
    app.connect("build-finished", refuse_remote_files)
    app.add_lexer("snakemake", PythonLexer)  # near enough
    app.add_html_math_renderer("mathml", (visit_math, None), (visit_math, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
