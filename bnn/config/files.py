"""Files of configs, before Snakemake reads them.

Its error names no line, and of two keys of one name it takes the last. Nothing is made of a file here: its nodes are
looked at, whatever their tags say.
"""

import json
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

import yaml

from bnn.config.errors import ConfigError, Problem


def check_syntax(paths: Iterable[str | Path]) -> None:
    """Check that files, if they are there, are YAML or JSON, and that no group in them has two keys of one name.

    Raises
    ------
    ConfigError
        If one is not; the message says for each fault file, line and column.
    """
    errors = [
        fault for path in dict.fromkeys(Path(path).absolute() for path in paths) for fault in _faults(path)
    ]
    if errors:
        raise ConfigError(errors)


def _faults(path: Path) -> Iterator[Problem]:
    name = str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)
    try:
        text = path.read_text(encoding="utf-8")
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except OSError:
        return  # Snakemake says so
    except UnicodeDecodeError as error:
        message = f"this is not UTF-8 text (from byte {error.start + 1} on); save it again as UTF-8"
        yield Problem("not-utf-8", (name,), message)
    except yaml.MarkedYAMLError as error:
        if not _is_json(text):
            yield _syntax_fault(name, error)
            return
        # JSON has tabs only between its words.
        with suppress(yaml.YAMLError):
            yield from _repeated_keys(name, yaml.compose(text.replace("\t", " "), Loader=yaml.SafeLoader))
    except RecursionError:
        yield Problem("nested-too-deeply", (name,), "its groups or lists are nested too deeply to be read")
    except yaml.YAMLError as error:
        message = f"this is not YAML ({' '.join(str(error).split())}); take that character out"
        yield Problem("not-yaml", (name,), message)
    else:
        yield from _repeated_keys(name, root)


def _is_json(text: str) -> bool:
    """Return whether it is JSON, which may be indented by tabs, as YAML may not."""
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


def _syntax_fault(name: str, error: yaml.MarkedYAMLError) -> Problem:
    begin, said = error.context_mark, error.problem
    if begin and isinstance(error, yaml.composer.ComposerError):
        said = f"{error.context} (line {begin.line + 1}), {error.problem}"
    elif begin and error.context:
        said = f"{error.problem}, {error.context} that begins in line {begin.line + 1}"
    message = (
        f"this is not YAML: {said}; check the brackets, quotation "
        "marks, colons and indentation (by blanks, not tabs) there and in the line before"
    )
    return _at("not-yaml", name, error.problem_mark, message)


def _at(code: str, name: str, mark: yaml.Mark, message: str) -> Problem:
    return Problem(code, (name,), message, line=mark.line + 1, column=mark.column + 1)


def _repeated_keys(name: str, root: yaml.Node | None) -> Iterator[Problem]:
    found: list[tuple[int, Problem]] = []
    nodes, seen = [root], set()
    while nodes:
        node = nodes.pop()
        if node is None or id(node) in seen:  # an anchor may stand for a node anywhere, even within itself
            continue
        seen.add(id(node))
        if isinstance(node, yaml.SequenceNode):
            nodes += node.value
        if not isinstance(node, yaml.MappingNode):
            continue
        first: dict[tuple[str, str], yaml.Mark] = {}
        for key, value in node.value:
            nodes += [key, value]
            if not isinstance(key, yaml.ScalarNode) or key.value == "<<":
                continue
            before = first.setdefault((key.tag, key.value), key.start_mark)
            if before is not key.start_mark:
                text = (
                    f"the key '{key.value}' stands in line {before.line + 1} already, "
                    "and only one of the two would count; rename or remove one"
                )
                found.append((key.start_mark.index, _at("key-twice", name, key.start_mark, text)))
    yield from (problem for _, problem in sorted(found))
