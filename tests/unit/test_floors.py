"""The floors of the package: a module imports only lower ones. The table below is the design; this test enforces it."""

import ast
import graphlib
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from bnn.sourcecode import Import, read_imports

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Design:
    """What may import what. A unit is a module, or a subpackage as a whole."""

    floors: Mapping[int, set[str]]
    """Floor -> units."""
    same_floor: Mapping[str, set[str]] = field(default_factory=dict)
    """Unit -> units of its own floor that it may import all the same."""
    highest: Mapping[str, int] = field(default_factory=dict)
    """Unit -> the highest floor that it may import, where that is lower than the one beneath it."""
    siblings: Mapping[str, set[str]] = field(default_factory=dict)
    """Subpackage -> its files that its other files may import; a subpackage that is not named has no such limit."""
    reserved: Mapping[str, set[str]] = field(default_factory=dict)
    """Third party -> the only units that may import it."""
    forbidden: frozenset[str] = frozenset()
    """Third parties that nothing may import."""
    late: frozenset[str] = frozenset()
    """Units that the package itself may import when it is asked for a name in them (PEP 562)."""


DESIGN = Design(
    floors={
        0: {"seeding", "layout", "activations", "metrics", "compiled", "compiled_lanes", "compiled_loops"}
        | {"faults", "csv_files", "tidy", "column", "columns", "tables", "new_row_files", "synthetic"}
        | {"sources", "downloads", "storage", "sourcecode", "footprint", "processes", "arviz_versions"}
        | {"mixing", "progress", "ranking", "repeats", "row_names"},
        1: {"datasets", "preparation", "splits", "times", "timeseries", "network", "priors", "likelihoods"}
        | {"checkpoint", "job", "locks", "mixture", "psis", "verdict"},
        2: {"posterior", "posterior_file", "kernels"},
        3: {"adaptation", "coordinates", "optimize"},
        4: {"chain", "chain_state", "training", "linear", "baseline"},
        5: {"chain_job", "predictive", "inference_data", "diagnostics", "plots"},
        6: {"evaluation", "checks", "new_rows", "figures"}
        | {
            "config",
            "config_base",
            "config_model",
            "config_sources",
            "config_errors",
            "config_files",
            "config_docs",
            "report",
            "run_profile",
        },
        7: {"__main__", "estimators"},
    },
    same_floor={
        "compiled": {"compiled_loops"},
        "compiled_lanes": {"compiled", "compiled_loops"},
        # Of a table: its faults, its cells, its columns, itself, and where it comes from.
        "csv_files": {"faults"},
        "tidy": {"faults", "csv_files"},
        "column": {"faults", "csv_files", "tidy"},
        "columns": {"faults", "csv_files", "tidy", "column"},
        "tables": {"faults", "csv_files", "tidy"},
        "new_row_files": {"faults", "csv_files", "tables"},
        "downloads": {"faults"},
        "sources": {"faults", "tidy", "tables", "synthetic", "downloads", "storage"},
        "repeats": {"metrics"},  # which scores rank no models
        "preparation": {"datasets", "splits", "timeseries"},
        "splits": {"times"},
        "timeseries": {"splits", "times"},
        "chain": {"chain_state"},
        "likelihoods": {"priors"},  # the prior of a sampled noise scale
        "baseline": {"training", "linear"},
        "checks": {"evaluation"},  # how forecasts are scored
        "inference_data": {"predictive"},  # predictions are made and stored a batch of draws at a time
        "diagnostics": {"inference_data"},  # names of groups and phases
        "figures": {"evaluation", "checks"},  # figures and tables show the same summaries
        "config_sources": {"config_base"},
        "config_model": {"config_base", "config_sources"},
        "config": {"config_base", "config_errors", "config_model", "config_sources"},
        "config_docs": {"config_errors", "config_model"},
        "config_files": {"config_errors"},
    },
    # A kernel sees a callable log density and gradient; tests give it Gaussians. It knows nothing of networks.
    highest={"kernels": 0},
    siblings={"kernels": {"base", "microcanonical"}},
    reserved={
        "arviz": {"arviz_versions"},
        "arviz_stats": {"arviz_versions"},
        "xarray": set(),
    }
    | {"matplotlib": {"plots"}, "jinja2": {"report"}, "numba": {"compiled_lanes", "compiled_loops"}},
    # The networks and samplers are written here, on NumPy.
    forbidden=frozenset(
        [
            "torch",
            "jax",
            "jaxlib",
            "flax",
            "optax",
            "equinox",
            "tensorflow",
            "tensorflow_probability",
            "keras",
        ]
        + [
            "theano",
            "aesara",
            "pytensor",
            "autograd",
            "pymc",
            "pymc3",
            "numpyro",
            "pyro",
            "blackjax",
            "emcee",
        ]
        + ["stan", "pystan", "cmdstanpy", "nutpie", "edward", "bde", "seaborn"]
    ),
    late=frozenset({"estimators"}),
)


def find_violations(package: Path, scripts: Path | None, design: Design) -> list[str]:
    """Return a sentence for each import that breaks the design, each with the file and line."""
    modules = {_dotted(path, package): path for path in sorted(package.rglob("*.py"))}
    floor_of = {unit: floor for floor, units in design.floors.items() for unit in units}
    found: list[str] = []
    graph: dict[str, set[str]] = {}
    for module, path in modules.items():
        unit = _unit(module)
        if unit and unit not in floor_of:
            found.append(
                f"{path}: {unit!r} is not in the table of floors; add it to DESIGN in tests/unit/test_floors.py, "
                "on the lowest floor that is above everything it imports"
            )
            continue
        graph[module] = set()
        for item in read_imports(path, module, all_of_them=True):
            place = f"{path}, line {item.line}: {module}"
            for target in _targets(item, modules):
                if target.split(".")[0] != package.name:
                    found += _third_party(place, unit, target, design)
                elif target != package.name:
                    graph[module].add(target)
                    found += _inside(place, module, target, floor_of, design)
        found += _hidden_imports(path)
    if scripts is not None:
        for path in sorted(scripts.glob("*.py")):
            for item in read_imports(path, all_of_them=True):
                top = item.module.split(".")[0]
                names = [
                    name
                    for name in item.names
                    if item.module == package.name and f"{top}.{name}" not in modules
                ]
                if names:
                    found.append(
                        f"{path}, line {item.line}: a script imports modules, not {', '.join(names)}"
                    )
                if top != package.name and top not in sys.stdlib_module_names:
                    found.append(
                        f"{path}, line {item.line}: a script imports {package.name} and the standard library, not {top}"
                    )
    for folder in sorted(package.rglob("*")):
        if folder.is_dir() and any(folder.glob("*.py")) and not (folder / "__init__.py").is_file():
            found.append(f"{folder}: has Python files but no __init__.py")
    try:
        graphlib.TopologicalSorter(graph).prepare()
    except graphlib.CycleError as error:
        found.append(f"modules import each other in a circle: {' <- '.join(error.args[1])}")
    return found


def _dotted(path: Path, package: Path) -> str:
    return ".".join(path.relative_to(package.parent).with_suffix("").parts).removesuffix(".__init__")


def _unit(module: str) -> str:
    """Return the part after the package's name; '' for the package itself."""
    return (module.split(".") + [""])[1]


def _targets(item: Import, modules: Mapping[str, Path]) -> set[str]:
    below = {name: f"{item.module}.{name}" for name in item.names}
    targets = {full for full in below.values() if full in modules}
    if not targets or any(full not in modules for full in below.values()):
        targets.add(item.module)
    return targets


def _third_party(place: str, unit: str, target: str, design: Design) -> list[str]:
    top = target.split(".")[0]
    if top in design.forbidden:
        return [f"{place} imports {top}, which this project does without"]
    owners = design.reserved.get(top)
    if owners is not None and unit not in owners:
        return [f"{place} imports {top}; only {', '.join(sorted(owners))} may"]
    return []


def _inside(place: str, module: str, target: str, floor_of: Mapping[str, int], design: Design) -> list[str]:
    unit, other = _unit(module), _unit(target)
    if other not in floor_of:
        return []  # reported as a module that is missing in the table
    if unit == other:
        allowed = design.siblings.get(unit)
        is_registry = module.count(".") == 1
        if allowed is None or is_registry or target.rsplit(".", 1)[1] in allowed:
            return []
        return [f"{place} imports {target}; within {unit} only {', '.join(sorted(allowed))} may be imported"]
    if not unit and other in design.late:
        return []
    if not unit:
        return [
            f"{place} imports {target}; the package itself imports nothing, so that each job loads only what it needs"
        ]
    if other in design.same_floor.get(unit, ()):
        return []
    highest = design.highest.get(unit, floor_of[unit] - 1)
    if floor_of[other] <= highest:
        return []
    return [
        f"{place} (floor {floor_of[unit]}) imports {target} (floor {floor_of[other]}); "
        f"at most floor {highest} is allowed"
    ]


def _hidden_imports(path: Path) -> list[str]:
    calls = [node for node in ast.walk(ast.parse(path.read_bytes())) if isinstance(node, ast.Call)]
    names = {
        (
            call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
        ): call.lineno
        for call in calls
    }
    return [
        f"{path}, line {names[name]}: {name}() hides an import from this test and from the workflow's digests"
        for name in ("import_module", "__import__")
        if name in names
    ]


def test_every_import_of_the_package_keeps_to_its_floor() -> None:
    """The real package, its kernels and its scripts."""
    assert find_violations(ROOT / "bnn", ROOT / "scripts", DESIGN) == []


def test_the_package_offers_the_estimators_and_imports_them_late() -> None:
    """`from bnn import BNNClassifier` works, and `import bnn` alone imports nothing heavy."""
    code = (
        "import sys, bnn\n"
        "assert not {'numpy', 'sklearn', 'arviz', 'pydantic'} & set(sys.modules)\n"
        "from bnn import BNNClassifier, BNNRegressor\n"
        "assert all(name.__module__.startswith('bnn.estimators.') for name in (BNNClassifier, BNNRegressor))\n"
        "try:\n    bnn.nothing\n"
        "except AttributeError as error:\n    print(error)"
    )
    answer = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert answer.stdout.strip() == "module 'bnn' has no attribute 'nothing'"


def test_the_table_names_nothing_that_is_gone() -> None:
    """A unit that was removed leaves the table, too."""
    there = {_unit(_dotted(path, ROOT / "bnn")) for path in (ROOT / "bnn").rglob("*.py")}
    assert set().union(*DESIGN.floors.values()) - there == set()


def test_what_a_chain_imports_is_light() -> None:
    """A job a chain: each starts within a fraction of a second only while these stay out."""
    code = (
        "import sys, bnn.chain_job, bnn.locks\n"
        "heavy = {'pandas', 'sklearn', 'scipy', 'matplotlib', 'arviz', 'xarray', 'pydantic', 'snakemake', 'numba'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    answer = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert answer.stdout.strip() == "[]"


TOY = Design(
    floors={0: {"low", "other"}, 1: {"middle"}, 2: {"kernels"}, 3: {"high", "beside"}},
    same_floor={"beside": {"high"}},
    highest={"kernels": 0},
    siblings={"kernels": {"base"}},
    reserved={"arviz": {"high"}},
    forbidden=frozenset({"torch"}),
    late=frozenset({"beside"}),
)
TOY_FILES = {
    "__init__.py": '__version__ = "1"\ndef __getattr__(name):\n    from toy import beside\n',
    "low.py": "import math\n",
    "other.py": "",
    "middle.py": "from toy import low\nfrom . import __version__\n",
    "kernels/__init__.py": "from toy.kernels import mala\n",
    "kernels/base.py": "import toy.low\n",
    "kernels/mala.py": "from .base import something\n",
    "high.py": "import arviz\nfrom toy.kernels.base import x\nfrom toy import middle\n",
    "beside.py": "from toy.high import y\n",
}


def _toy(folder: Path, changes: Mapping[str, str]) -> Path:
    package = folder / "toy"
    for name, text in (TOY_FILES | dict(changes)).items():
        path = package / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return package


def test_checker_accepts_a_package_that_keeps_to_its_floors(tmp_path: Path) -> None:
    """Imports downwards, a named one on the same floor, and a registry of kernels are all right."""
    scripts = tmp_path / "scripts"
    scripts.mkdir()
    (scripts / "run.py").write_text("import sys\nfrom toy.high import y\n")
    assert find_violations(_toy(tmp_path, {}), scripts, TOY) == []


@pytest.mark.parametrize(
    ("file", "text", "expected"),
    [
        ("low.py", "from toy import middle\n", "toy.low (floor 0) imports toy.middle (floor 1)"),
        ("low.py", "from toy.other import x\n", "toy.low (floor 0) imports toy.other (floor 0)"),
        (
            "middle.py",
            "def f():\n    import toy.high\n",
            "line 2: toy.middle (floor 1) imports toy.high (floor 3)",
        ),
        ("middle.py", "from . import high\n", "imports toy.high"),
        (
            "middle.py",
            "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import toy.high\n",
            "imports toy.high",
        ),
        ("high.py", "import toy.beside\n", "(floor 3) imports toy.beside (floor 3)"),
        ("kernels/mala.py", "from toy.middle import x\n", "at most floor 0 is allowed"),
        ("kernels/walk.py", "from . import mala\n", "within kernels only base may be imported"),
        ("kernels/base.py", "from toy.kernels.mala import x\n", "within kernels only base"),
        ("__init__.py", "from toy import low\n", "the package itself imports nothing"),
        ("low.py", "import arviz.stats\n", "toy.low imports arviz; only high may"),
        ("high.py", "def f():\n    from torch import nn\n", "imports torch, which this project does without"),
        ("new.py", "", "'new' is not in the table of floors; add it"),
        (
            "high.py",
            "import importlib\nimportlib.import_module('toy.' + 'beside')\n",
            "import_module() hides an import",
        ),
        ("kernels/extra/one.py", "", "has Python files but no __init__.py"),
    ],
)
def test_checker_finds(tmp_path: Path, file: str, text: str, expected: str) -> None:
    """Each kind of fault, in a package that is right but for one file."""
    found = find_violations(_toy(tmp_path, {file: text}), None, TOY)
    assert any(expected in sentence for sentence in found), found


def test_checker_finds_a_circle(tmp_path: Path) -> None:
    """Two modules of one subpackage, which has no rule about its files."""
    design = Design(floors={0: {"parts"}})
    files = {"__init__.py": "", "parts/__init__.py": ""}
    package = tmp_path / "toy"
    for name, text in (
        files | {"parts/a.py": "from toy.parts import b\n", "parts/b.py": "from .a import x\n"}
    ).items():
        (package / name).parent.mkdir(parents=True, exist_ok=True)
        (package / name).write_text(text)
    found = find_violations(package, None, design)
    assert len(found) == 1
    assert "in a circle: toy.parts.a" in found[0] or "in a circle: toy.parts.b" in found[0]


def test_checker_finds_a_script_that_imports_what_the_package_imports_late(tmp_path: Path) -> None:
    """The digest of its code would not see it."""
    scripts = tmp_path / "scripts"
    scripts.mkdir()
    (scripts / "run.py").write_text("from toy import low, y\n")
    found = find_violations(_toy(tmp_path, {}), scripts, TOY)
    assert len(found) == 1
    assert "a script imports modules, not y" in found[0]


def test_checker_finds_a_script_that_does_more_than_call_the_package(tmp_path: Path) -> None:
    """Science lives in the package, so a script has no use for NumPy."""
    scripts = tmp_path / "scripts"
    scripts.mkdir()
    (scripts / "run.py").write_text("import json\nimport numpy as np\n")
    found = find_violations(_toy(tmp_path, {}), scripts, TOY)
    assert len(found) == 1
    assert "run.py, line 2" in found[0]
    assert "not numpy" in found[0]
