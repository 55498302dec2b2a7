"""Nothing in this project can make a file that it reads run code: no pickle, no eval, no objects from YAML."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PYTHON = sorted(path for name in ("bnn", "scripts") for path in (ROOT / name).rglob("*.py"))
WORKFLOW = [ROOT / "Snakefile", ROOT / "workflow/Snakefile", *sorted((ROOT / "workflow").rglob("*.smk"))]
TEMPLATES = sorted((ROOT / "bnn").rglob("*.j2"))

MODULES = {
    "pickle",
    "cPickle",
    "_pickle",
    "marshal",
    "shelve",
    "dill",
    "cloudpickle",
    "joblib",
    "dbm",
    "code",
    "runpy",
}
"""Modules whose files can hold code, or which run it."""
BUILTINS = {"eval", "exec", "compile", "__import__", "execfile", "input", "breakpoint"}
METHODS = {
    "read_pickle",
    "to_pickle",
    "read_hdf",
    "literal_eval",
    "import_module",
    "system",
    "popen",
    "unsafe_load",
}
METHODS |= {"full_load", "load_all", "from_string"}
"""Methods and functions that read code or run it, whatever object they are of."""


HARMLESS = {"effective_n_jobs"}
"""What may be taken from one of those modules: it only counts."""


def faults(source: str) -> list[str]:
    """Return what in a piece of Python could run code from a file or a name."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found += [f"import {item.name}" for item in node.names if item.name.split(".")[0] in MODULES]
        elif isinstance(node, ast.ImportFrom) and str(node.module).split(".")[0] in MODULES:
            if {item.name for item in node.names} <= HARMLESS:
                continue
            found.append(f"from {node.module} import")
        elif isinstance(node, ast.Call):
            found += list(_faults_of_call(node))
    return found


def _faults_of_call(node: ast.Call) -> list[str]:
    keywords = {item.arg: ast.unparse(item.value) for item in node.keywords}
    name = ast.unparse(node.func)
    last = name.rpartition(".")[2]
    found = []
    if (isinstance(node.func, ast.Name) and name in BUILTINS) or last in METHODS:
        found.append(f"{name}()")
    if keywords.get("shell") == "True":
        found.append(f"{name}(shell=True)")
    if keywords.get("allow_pickle", "False") != "False":
        found.append(f"{name}(allow_pickle={keywords['allow_pickle']})")
    # np.load() and yaml.load() read plain data only if they are told to.
    if name in ("np.load", "numpy.load") and keywords.get("allow_pickle") != "False":
        found.append(f"{name}() without allow_pickle=False")
    if name == "yaml.load" and "Safe" not in keywords.get("Loader", ""):
        found.append("yaml.load() without a safe loader")
    if keywords.get("autoescape", "True") != "True":
        found.append(f"{name}(autoescape={keywords['autoescape']})")
    return found


@pytest.mark.parametrize("path", PYTHON, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_module_runs_what_it_reads(path: Path) -> None:
    assert faults(path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("path", WORKFLOW, ids=lambda path: str(path.relative_to(ROOT)))
def test_the_workflow_runs_scripts_and_nothing_else(path: Path) -> None:
    """A rule with `shell:` or `run:` would put names of files into a command line or a string of code."""
    text = path.read_text(encoding="utf-8")
    assert not re.search(r"^\s*(shell|run|notebook|wrapper)\s*:", text, re.MULTILINE)
    words = "|".join([*BUILTINS, "pickle", r"yaml\.load", "shell", "os.system", "subprocess"])
    assert re.findall(rf"(?<![\w.])({words})\s*\(", text) == []


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: str(path.relative_to(ROOT)))
def test_templates_escape_names(path: Path) -> None:
    """What is not escaped is made here: styles, and figures that Matplotlib wrote."""
    text = path.read_text(encoding="utf-8")
    assert "autoescape" not in text
    unescaped = set(re.findall(r"\{\{-?\s*([^}]*?)\s*\|\s*safe\b", text))
    assert unescaped <= {"style", "figure.svg", "figure", "svg"}, unescaped


@pytest.mark.parametrize(
    "source",
    [
        "import pickle",
        "from marshal import loads",
        "import joblib.numpy_pickle",
        "eval('1')",
        "__import__('os')",
        "np.load(path)",
        "np.load(path, allow_pickle=True)",
        "np.save(path, x, allow_pickle=flag)",
        "yaml.load(text)",
        "yaml.load(text, Loader=yaml.Loader)",
        "yaml.unsafe_load(text)",
        "subprocess.run(command, shell=True)",
        "os.system('ls')",
        "pd.read_pickle(path)",
        "Environment(autoescape=False)",
        "importlib.import_module(name)",
    ],
)
def test_the_search_finds_what_it_looks_for(source: str) -> None:
    assert faults(source)


@pytest.mark.parametrize(
    "source",
    [
        "np.load(path, allow_pickle=False)",
        "yaml.safe_load(text)",
        "yaml.load(t, Loader=yaml.SafeLoader)",
        "re.compile(x)",
    ],
)
def test_the_search_leaves_safe_calls_alone(source: str) -> None:
    assert not faults(source)
