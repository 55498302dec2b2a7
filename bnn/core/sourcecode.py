"""Which files of the package a script uses, and a digest of them: a rule reruns when code that it uses changes.

Snakemake notices that a script changed, but not that a module did which the script imports. The workflow therefore
passes `code_digest` of each script as a parameter of its rule. Imports are read from the syntax tree, never executed,
so reading a workflow stays fast and needs nothing installed.
"""

import ast
import hashlib
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple


class Import(NamedTuple):
    """One import statement."""

    module: str
    """Absolute dotted name."""
    names: tuple[str, ...]
    """What follows `from module import`, each a submodule or a name inside the module; () for `import module`."""
    line: int


class _Source(NamedTuple):
    imports: tuple[Import, ...]
    is_metadata: bool
    """Nothing that runs on import but a docstring, constants such as `__version__`, and imports for type checkers."""


def module_files(script: Path, package: Path) -> tuple[Path, ...]:
    """Files of a package that a script imports, directly or through other modules of the package.

    Imports inside functions count; those under `if TYPE_CHECKING:` do not, because they never run, nor do those of a
    module's `__getattr__`, which run if somebody asks a package for what it imports late (PEP 562). Each `__init__.py`
    on the way to a module counts, because Python runs it. The one of the package itself is left out while it holds
    only a docstring, constants and such late imports: a new version number alone must not rerun every chain. When a
    subpackage is imported, its files that are not Python (templates, style sheets) count as well.

    Parameters
    ----------
    script
        A Python file, outside the package.
    package
        Folder of the package, for example `bnn`.

    Returns
    -------
    tuple of Path
        Sorted, each beginning with `package`.

    Raises
    ------
    ValueError
        If a file is not valid Python, or imports a module that the package does not have. The message names the file
        and the line.
    FileNotFoundError
        If the script does not exist.
    """
    found: dict[str, Path] = {}
    waiting = [(script, item) for item in _read_source(script, None).imports]
    while waiting:
        importer, item = waiting.pop()
        for name, path in _modules_of(item, importer, package).items():
            if name not in found:
                found[name] = path
                waiting += [(path, inner) for inner in _read_source(path, name).imports]
    root = found.get(package.name)
    if root is not None and _read_source(root, package.name).is_metadata:
        del found[package.name]
    folders = [
        path.parent for path in found.values() if path.name == "__init__.py" and path.parent != package
    ]
    data = {path for folder in folders for path in _data_files(folder)}
    return tuple(sorted({*found.values(), *data}))


def code_digest(script: Path, package: Path) -> str:
    """SHA-256 of the names and contents of a script and of the files that `module_files` finds for it.

    Names are relative to the folder that holds the package, so the digest is the same wherever the project lies.
    """
    digest = hashlib.sha256()
    named = [(script.name, script)]
    named += [(path.relative_to(package.parent).as_posix(), path) for path in module_files(script, package)]
    for name, path in named:
        content = path.read_bytes()
        # The length keeps the end of one file apart from the beginning of the next.
        digest.update(f"{name}\0{len(content)}\0".encode())
        digest.update(content)
    return digest.hexdigest()


def read_imports(path: Path, module: str | None = None, *, all_of_them: bool = False) -> tuple[Import, ...]:
    """Import statements of a file, anywhere in it, with relative ones made absolute.

    Parameters
    ----------
    path
        A Python file.
    module
        Dotted name of the file's module, which relative imports need; None for a script.
    all_of_them
        Whether to list those under `if TYPE_CHECKING:`, and those of a module's `__getattr__`, too.

    Raises
    ------
    ValueError
        If the file is not valid Python, or a relative import leads out of the package.
    """
    return tuple(_imports(_parse(path), path, module, all_of_them))


def _read_source(path: Path, module: str | None) -> _Source:
    status = path.stat()
    return _read_cached(path, module, status.st_mtime_ns, status.st_size)


@lru_cache(maxsize=1024)
def _read_cached(path: Path, module: str | None, mtime_ns: int, size: int) -> _Source:
    # The time and the size are keys only: a changed file is read again.
    tree = _parse(path)
    return _Source(tuple(_imports(tree, path, module, False)), _is_metadata(tree))


def _parse(path: Path) -> ast.Module:
    try:
        return ast.parse(path.read_bytes(), filename=str(path))
    except SyntaxError as error:
        raise ValueError(f"{path}, line {error.lineno}: not valid Python: {error.msg}") from error


def _imports(tree: ast.Module, path: Path, module: str | None, all_of_them: bool) -> Iterator[Import]:
    waiting: list[ast.AST] = [node for node in tree.body if all_of_them or not _is_late(node)]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(alias.name, (), node.lineno)
        elif isinstance(node, ast.ImportFrom):
            base = _absolute(node, path, module) if node.level else str(node.module)
            yield Import(base, tuple(alias.name for alias in node.names), node.lineno)
        elif isinstance(node, ast.If) and _is_type_checking(node.test) and not all_of_them:
            waiting += node.orelse
        else:
            waiting += ast.iter_child_nodes(node)


def _absolute(node: ast.ImportFrom, path: Path, module: str | None) -> str:
    parts = [] if module is None else module.split(".")
    # Level 1 is the package of the module; an __init__.py is itself that package.
    n_kept = len(parts) - node.level + (path.name == "__init__.py")
    parts = parts[: max(n_kept, 0)]
    if not parts:
        raise ValueError(f"{path}, line {node.lineno}: the relative import leads out of the package")
    return ".".join([*parts, node.module] if node.module else parts)


def _is_type_checking(test: ast.expr) -> bool:
    name = test.attr if isinstance(test, ast.Attribute) else test.id if isinstance(test, ast.Name) else ""
    return name == "TYPE_CHECKING"


def _is_late(node: ast.stmt) -> bool:
    """Return whether this is the function of a module that is called for names which it does not hold."""
    return isinstance(node, ast.FunctionDef) and node.name == "__getattr__"


def _is_metadata(tree: ast.Module) -> bool:
    def holds_nothing(node: ast.stmt) -> bool:
        if isinstance(node, ast.ImportFrom):
            return node.module == "typing"
        if isinstance(node, ast.If):
            return _is_type_checking(node.test) and not node.orelse
        if isinstance(node, ast.Assign):
            names = [target.id for target in node.targets if isinstance(target, ast.Name)]
            named = len(names) == len(node.targets) and all(name.startswith("__") for name in names)
            values = node.value.elts if isinstance(node.value, ast.List) else [node.value]
            return named and all(isinstance(value, ast.Constant) for value in values)
        return _is_late(node) or (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant))

    return all(holds_nothing(node) for node in tree.body)


def _modules_of(item: Import, importer: Path, package: Path) -> dict[str, Path]:
    """Modules of the package that an import runs: packages on the way, the module, submodules named after it."""
    parts = item.module.split(".")
    if parts[0] != package.name:
        return {}
    modules = {}
    for end in range(1, len(parts) + 1):
        name = ".".join(parts[:end])
        path = _module_path(name, package)
        if path is None:
            raise ValueError(
                f"{importer}, line {item.line}: imports {name}, which does not exist in {package}"
            )
        modules[name] = path
    for name in (f"{item.module}.{below}" for below in item.names):
        path = _module_path(name, package)
        if path is not None:
            modules[name] = path
    return modules


def _module_path(name: str, package: Path) -> Path | None:
    inside = package.joinpath(*name.split(".")[1:])
    for path in (inside / "__init__.py", inside.with_name(f"{inside.name}.py")):
        if path.is_file():
            return path
    return None


def _data_files(folder: Path) -> Iterator[Path]:
    for path in folder.iterdir():
        if path.name.startswith((".", "__pycache__")) or path.name.endswith("~"):
            continue  # caches, and what editors leave
        if path.is_dir() and not (path / "__init__.py").is_file():
            yield from _data_files(path)
        elif path.is_file() and path.suffix != ".py":
            yield path
