"""Packages by subject: which may import which, and which third parties only one of them may import."""

import ast
import graphlib
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

MAY_IMPORT = {
    "core": "",
    "config": "core",
    "data": "core",
    "model": "core",
    "mcmc": "core model",
    "baselines": "core data model",
    "posterior": "core data model",
    "diagnostics": "core data model mcmc posterior",
    "evaluation": "core data model posterior",
    "checks": "core data model posterior diagnostics evaluation",
    "plots": "core data model posterior evaluation",
    "report": "core diagnostics",
    "jobs": "core model mcmc diagnostics",
    "selection": "core model mcmc posterior diagnostics",
    "estimators": "core config data diagnostics posterior selection jobs",
}
"""Package -> packages that its modules import. What is not here is an error, and so is what no module uses."""

ONLY = {
    "arviz": {"posterior"},
    "arviz_stats": {"posterior"},
    "matplotlib": {"plots"},
    "jinja2": {"report"},
    "numba": {"model"},
    "pydantic": {"config", "estimators"},
}
"""Third party -> the packages that may import it."""

FORBIDDEN = {
    *("torch", "jax", "jaxlib", "flax", "optax", "equinox", "tensorflow", "tensorflow_probability", "keras"),
    *("theano", "aesara", "pytensor", "autograd", "pymc", "pymc3", "numpyro", "pyro", "blackjax", "emcee"),
    *("stan", "pystan", "cmdstanpy", "nutpie", "edward", "bde", "seaborn"),
}
"""The networks and samplers are written here, on NumPy."""


def imports(path: Path) -> Iterator[str]:
    """Yield the modules that a file imports, at any place; `from bnn.data import tables` is bnn.data.tables."""
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}, line {node.lineno}: imports are absolute"
            for alias in node.names:
                inside = f"{node.module}.{alias.name}"
                yield inside if _is_module(inside) else str(node.module)


def _is_module(name: str) -> bool:
    place = ROOT.joinpath(*name.split("."))
    return name.startswith("bnn.") and (place.is_dir() or place.with_suffix(".py").is_file())


def arrows(package: Path) -> dict[str, set[str]]:
    """Return what each package imports: other packages of bnn, and the tops of everything else."""
    found: dict[str, set[str]] = {folder.parent.name: set() for folder in package.glob("*/__init__.py")}
    for path in package.glob("*/**/*.py"):
        own = path.relative_to(package).parts[0]
        for module in imports(path):
            top, *rest = module.split(".")
            target = rest[0] if top == "bnn" and rest else top
            if target not in (own, "bnn"):
                found[own].add(target)
    return found


def faults(found: Mapping[str, set[str]], allowed: Mapping[str, str]) -> list[str]:
    """Return a sentence for each arrow that the tables do not allow, and for each that they allow in vain."""
    sentences = []
    for own, targets in found.items():
        inside = targets & found.keys()
        known = set(allowed.get(own, "").split())
        sentences += [f"{own} imports {other}" for other in sorted(inside - known)]
        sentences += [f"{own} does not import {other}" for other in sorted(known - inside)]
        sentences += [f"{own} imports {other}" for other in sorted(targets & FORBIDDEN)]
        sentences += [f"{own} imports {top}" for top in sorted(targets & ONLY.keys()) if own not in ONLY[top]]
    return sentences


def test_packages_import_only_what_the_table_allows() -> None:
    found = arrows(ROOT / "bnn")
    assert faults(found, MAY_IMPORT) == []
    assert found.keys() == MAY_IMPORT.keys()


def test_the_table_has_no_circle_and_few_arrows() -> None:
    graphlib.TopologicalSorter({own: others.split() for own, others in MAY_IMPORT.items()}).prepare()
    assert sum(len(others.split()) for others in MAY_IMPORT.values()) <= 60
    assert len(list((ROOT / "bnn").glob("*.py"))) <= 5


def test_modules_import_each_other_in_no_circle() -> None:
    graph: dict[str, set[str]] = {}
    for path in (ROOT / "bnn").rglob("*.py"):
        name = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        graph[name] = {module for module in imports(path) if module.startswith("bnn.")}
    graphlib.TopologicalSorter(graph).prepare()


@pytest.mark.parametrize(
    ("own", "text"),
    [
        ("core", "from bnn.data import tables"),
        ("mcmc", "def f():\n    import bnn.data.dataset"),
        ("model", "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from bnn.mcmc import chain"),
        ("data", "import arviz.stats"),
        ("model", "from torch import nn"),
    ],
)
def test_an_arrow_that_is_not_allowed_is_found(tmp_path: Path, own: str, text: str) -> None:
    for name in MAY_IMPORT:
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("")
    (tmp_path / own / "new.py").write_text(text)
    assert any("does not" not in fault for fault in faults(arrows(tmp_path), MAY_IMPORT))


def test_kernels_know_nothing_of_networks() -> None:
    """Tests give them Gaussians; of their own package they share `base`, and one reuses another's step."""
    for path in (ROOT / "bnn/mcmc/kernels").glob("[a-z]*.py"):
        inside = {module for module in imports(path) if module.startswith("bnn")}
        assert all(module.startswith(("bnn.core", "bnn.mcmc.kernels")) for module in inside), path.name


def test_scripts_import_the_package_and_the_standard_library() -> None:
    for path in (ROOT / "scripts").glob("*.py"):
        tops = {module.split(".")[0] for module in imports(path)}
        assert tops - set(sys.stdlib_module_names) <= {"bnn"}, path.name


def imported(code: str) -> set[str]:
    """Return the heavy packages that a piece of code loads."""
    heavy = [
        "numpy",
        "pandas",
        "sklearn",
        "scipy",
        "matplotlib",
        "arviz",
        "xarray",
        "pydantic",
        "snakemake",
        "numba",
    ]
    run = f"import sys\n{code}\nprint(*sorted(set({heavy}) & set(sys.modules)))"
    answer = subprocess.run([sys.executable, "-c", run], cwd=ROOT, capture_output=True, text=True, check=True)
    return set(answer.stdout.split())


def test_a_chain_needs_numpy_alone() -> None:
    """A job a chain: each starts within a fraction of a second only while the others stay out."""
    assert imported("import bnn.jobs.chain_job, bnn.jobs.locks, bnn.data.dataset") == {"numpy"}


def test_the_package_offers_the_estimators_and_imports_them_late() -> None:
    assert imported("import bnn") == set()
    assert "sklearn" in imported("from bnn import BNNClassifier, BNNRegressor")
