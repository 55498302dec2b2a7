"""What an edit of the code makes run again: read from the rules' own lines, and from what their scripts import."""

import ast
import re
import shutil
from pathlib import Path

import pytest

from bnn.core.code_digest import code_digest
from bnn.mcmc import SAMPLER_VERSION
from tests.unit.test_packages import ROOT, imports

PACKAGE = ROOT / "bnn"
_RULES = "".join(path.read_text(encoding="utf-8") for path in sorted((ROOT / "workflow/rules").glob("*.smk")))
PLACES: dict[str, tuple[str, ...]] = {
    script: tuple(places)
    for arguments in re.findall(r"\bcode=code\(([^)]*)\)", _RULES)
    for script, *places in [ast.literal_eval(f"[{arguments}]")]
}
"""Script of a rule -> what the rule names of the package"""
SHARED: tuple[str, ...] = ast.literal_eval(
    re.findall(r"^SHARED_CODE = (\(.*?\))$", _RULES, re.MULTILINE | re.DOTALL)[0]
)
IN_NO_RESULT = (
    *("core/errors.py", "core/progress.py"),
    *("jobs/identity.py", "jobs/interruption.py", "jobs/locks.py", "jobs/processes.py"),
)
"""How a job goes and what it says, never what it writes"""
GIVEN = {
    # A chain takes the arrays of the table, which `prepare` writes: its rule names what makes them, and comes first.
    "sample_chain.py": ("data", "core/formatting.py"),
    **dict.fromkeys(("choose.py", "conformal.py"), ("core/formatting.py",)),
}
"""What does not change what a script writes: of numbers in words these only print some, of how far a job is."""


def digests(root: Path) -> dict[str, str]:
    """Return the digest of each rule, by its script, of a copy of the project."""
    return {
        script: code_digest(
            root / "scripts" / script, *(root / "bnn" / place for place in (*SHARED, *places))
        )
        for script, places in PLACES.items()
    }


def modules_of(script: Path) -> set[str]:
    """Return the files below bnn that a script imports, through others too, such as core/storage.py."""
    found: set[Path] = set()
    waiting = [script]
    while waiting:
        for module in imports(waiting.pop()):
            parts = module.split(".")[1:] if module.startswith("bnn.") else []
            for end in range(1, len(parts) + 1):
                inside = PACKAGE.joinpath(*parts[:end])
                for path in (inside / "__init__.py", inside.with_suffix(".py")):
                    if path.is_file() and path not in found:
                        found.add(path)
                        waiting.append(path)
    return {path.relative_to(PACKAGE).as_posix() for path in found}


def test_every_rule_names_its_code() -> None:
    assert PLACES.keys() == {path.name for path in (ROOT / "scripts").glob("*.py")}


@pytest.mark.parametrize("script", PLACES)
def test_a_rule_names_what_its_script_imports(script: str) -> None:
    named = (*SHARED, *PLACES[script], *IN_NO_RESULT, *GIVEN.get(script, ()))
    used = modules_of(ROOT / "scripts" / script)
    covered = {file for file in used for place in named if file == place or file.startswith(f"{place}/")}
    assert used - covered <= {f"{package}/__init__.py" for package in ("core", "jobs", "data")}
    for place in PLACES[script]:
        assert any(file == place or file.startswith(f"{place}/") for file in used), (
            f"{place} is named in vain"
        )


WORDS = {"check.py", "evaluate.py", "predict.py", "report.py", "overview.py"}
"""Scripts that write numbers in sentences"""
CHAIN = {"sample_chain.py"}
NOTHING: set[str] = set()
EDITS: dict[str, tuple[str, str, str, set[str]]] = {
    "a comment": ("mcmc/kernels/mala.py", "    noise =", "    # edited\n    noise =", NOTHING),
    "a docstring": ("model/network.py", '"""', '"""Edited. ', NOTHING),
    "the docstring of a field": ("mcmc/kernels/base.py", '"""(chain, param)"""', '"""(chain, p)"""', NOTHING),
    "layout": ("mcmc/kernels/mala.py", "0.574, start_with_grad", "0.574,\n    start_with_grad", NOTHING),
    "an error's text": (
        "mcmc/kernels/__init__.py",
        "unknown kernel {name!r}: choose",
        "no {name}: take",
        NOTHING,
    ),
    "an error's text in a table's reader": (
        "data/text_columns.py",
        "is not a number",
        "is no number",
        NOTHING,
    ),
    "a text of the log": ("jobs/chain_job.py", "going on from", "continuing from", NOTHING),
    "the sentences of faults": ("core/errors.py", "and {len(faults)", "plus {len(faults)", NOTHING),
    "the display": ("core/progress.py", "self.done += 1", "self.done += 2", NOTHING),
    "a constant of a kernel": (
        "mcmc/kernels/malt.py",
        "FRICTION_LENGTH = 2.0",
        "FRICTION_LENGTH = 1.9",
        CHAIN,
    ),
    "a constant of adaptation": ("mcmc/adaptation.py", "DRAWS = 5.0", "DRAWS = 6.0", CHAIN),
    "the sampler version": (
        "mcmc/__init__.py",
        f"SAMPLER_VERSION = {SAMPLER_VERSION}",
        f"SAMPLER_VERSION = {SAMPLER_VERSION + 1}",
        CHAIN,
    ),
    "a random stream": ("core/seeding.py", "SAMPLE = 3", "SAMPLE = 33", set(PLACES)),
    "a prior": ("model/priors.py", "-0.5 *", "-0.6 *", CHAIN),
    "a plot": ("plots/sampler.py", "alpha=", "alpha=0.9 *", {"plot.py"}),
    "a style sheet": ("report/templates/style.css", "{", "{ /* edited */", {"report.py", "overview.py"}),
    "a number's format": ("core/formatting.py", "return", "x = 1\n    return", WORDS),
    "a score": ("evaluation/scores.py", "0.5", "0.51", {"evaluate.py", "check.py", "plot.py", "repeats.py"}),
}
"""What is edited: file, old and new text, and scripts of the rules whose digest changes (others may follow)"""


@pytest.fixture(scope="module")
def copied(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str]]:
    """A copy of the code in another place, and its digests."""
    root = tmp_path_factory.mktemp("copied")
    for folder in ("bnn", "scripts"):
        shutil.copytree(ROOT / folder, root / folder, ignore=shutil.ignore_patterns("__pycache__"))
    return root, digests(root)


def test_where_the_project_lies_does_not_matter(copied: tuple[Path, dict[str, str]]) -> None:
    assert digests(ROOT) == copied[1]


@pytest.mark.parametrize("edit", EDITS)
def test_an_edit_runs_what_it_changes_and_no_more(copied: tuple[Path, dict[str, str]], edit: str) -> None:
    name, old, new, expected = EDITS[edit]
    root, before = copied
    path = root / "bnn" / name
    text = path.read_text(encoding="utf-8")
    assert old in text
    try:
        path.write_text(text.replace(old, new, 1), encoding="utf-8")
        after = digests(root)
    finally:
        path.write_text(text, encoding="utf-8")
    changed = {script for script, digest in after.items() if digest != before[script]}
    if expected == CHAIN and name.startswith(("model", "mcmc")):
        assert changed >= CHAIN and "prepare.py" not in changed and "report.py" not in changed
    else:
        assert changed == expected


@pytest.mark.parametrize(("call", "is_told"), [("np.log", False), ("math.log", False), ("job.log", True)])
def test_a_logarithm_is_no_message(tmp_path: Path, call: str, is_told: bool) -> None:
    digests = set()
    for key in ("sd", "variance"):
        (tmp_path / "a.py").write_text(f"{call}(v['{key}'])\n", encoding="utf-8")
        digests.add(code_digest(tmp_path / "a.py"))
    assert len(digests) == (1 if is_told else 2)


def test_a_place_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"gone\.py"):
        code_digest(tmp_path / "gone.py")
    (tmp_path / "bad.py").write_text("print 1\n")
    with pytest.raises(SyntaxError) as caught:
        code_digest(tmp_path / "bad.py")
    assert str(caught.value.filename).endswith("bad.py")
