"""Which files a script uses, and when its digest changes."""

import os
from pathlib import Path

import pytest

from bnn.core.sourcecode import code_digest, module_files, read_imports

ROOT = Path(__file__).parents[2]

FILES = {
    "pkg/__init__.py": '"""A package."""\n\n__version__ = "1"\n',
    "pkg/a.py": "from pkg import b\n",
    "pkg/b.py": "def f():\n    from .c import x\n",
    "pkg/c.py": "x = 1\n",
    "pkg/d.py": "import pkg.a\n",
    "pkg/typed.py": (
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from pkg import d\nelse:\n    import pkg.c\n"
    ),
    "pkg/kernels/__init__.py": "from pkg.kernels import mala, walk\n",
    "pkg/kernels/base.py": "from ..c import x\n",
    "pkg/kernels/mala.py": "from .base import step\n",
    "pkg/kernels/walk.py": "from . import base\n",
    "pkg/report/__init__.py": "",
    "pkg/report/page.py": "import json\n",
    "pkg/report/templates/page.html": "<p>",
    "pkg/report/templates/parts/style.css": "p {}",
    "pkg/report/templates/.page.html.swp": "",
    "pkg/report/templates/page.html~": "",
    "pkg/report/__pycache__/page.pyc": "",
    "pkg/report/sub/__init__.py": "",
    "pkg/report/sub/notes.txt": "",
}


@pytest.fixture
def package(tmp_path: Path) -> Path:
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path / "pkg"


def _script(package: Path, text: str) -> Path:
    path = package.parent / "script.py"
    path.write_text(text)
    return path


KERNELS = ["c.py", "kernels/__init__.py", "kernels/base.py", "kernels/mala.py", "kernels/walk.py"]
TEMPLATES = ["report/templates/page.html", "report/templates/parts/style.css"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("import json, numpy\n", []),
        ("import pkg\n", []),
        ("from pkg import __version__\n", []),
        ("import pkg.c as c\n", ["c.py"]),
        ("from pkg.c import x\n", ["c.py"]),
        ("from pkg import d\n", ["a.py", "b.py", "c.py", "d.py"]),
        ("def main():\n    with open('x'):\n        from pkg.b import f\n", ["b.py", "c.py"]),
        ("from pkg import typed\n", ["c.py", "typed.py"]),
        ("from pkg.kernels import mala\n", KERNELS),
        ("import pkg.kernels.mala\n", KERNELS),
        ("from pkg.report.page import render\n", ["report/__init__.py", "report/page.py", *TEMPLATES]),
        ("import package\nimport pkgs.a\n", []),
    ],
)
def test_module_files(package: Path, text: str, expected: list[str]) -> None:
    """Exactly the files that an import statement, wherever it stands, brings in."""
    files = module_files(_script(package, text), package)
    assert [path.relative_to(package).as_posix() for path in files] == sorted(expected)


def test_the_package_itself_counts_when_it_does_something(package: Path) -> None:
    """A version number is left out; an import or a function is not."""
    script = _script(package, "import pkg.c\n")
    for text in ("from pkg import a\n", "def f():\n    pass\n", "limit = 3\n", "__all__ = sorted(['c'])\n"):
        (package / "__init__.py").write_text(text)
        assert package / "__init__.py" in module_files(script, package)


@pytest.mark.parametrize(
    ("changed", "changes_digest"),
    [
        ("pkg/kernels/mala.py", True),
        ("pkg/c.py", True),
        ("script.py", True),
        ("pkg/a.py", False),
        ("pkg/__init__.py", False),
        ("pkg/report/templates/page.html", False),
    ],
)
def test_digest_changes_with_the_code_that_is_used(package: Path, changed: str, changes_digest: bool) -> None:
    """A module that the script does not use, and a new version number, change nothing."""
    script = _script(package, "from pkg.kernels import mala\n")
    before = code_digest(script, package)
    assert before == code_digest(script, package)
    path = package.parent / changed
    path.write_text('__version__ = "2"\n' if changed == "pkg/__init__.py" else path.read_text() + "# more\n")
    assert (code_digest(script, package) != before) is changes_digest


def test_digest_follows_templates_names_and_new_imports(package: Path) -> None:
    """Content moved from one file to another, a renamed template and an import that was added are all changes."""
    script = _script(package, "from pkg.report import page\nimport pkg.c\n")
    digests = [code_digest(script, package)]
    (package / "report/templates/page.html").write_text("<p>more")
    digests.append(code_digest(script, package))
    (package / "report/templates/page.html").rename(package / "report/templates/other.html")
    digests.append(code_digest(script, package))
    (package / "c.py").write_text("from pkg import typed\n")
    digests.append(code_digest(script, package))
    assert len(set(digests)) == len(digests)


def test_digest_is_the_same_in_another_place(package: Path, tmp_path: Path) -> None:
    """A clone elsewhere, or a moved project, reruns nothing."""
    digest = code_digest(_script(package, "import pkg.kernels\n"), package)
    clone = tmp_path / "clone"
    for path in [*package.rglob("*.*"), package.parent / "script.py"]:
        if path.is_file():
            target = clone / path.relative_to(package.parent)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(path.read_bytes())
    assert code_digest(clone / "script.py", clone / "pkg") == digest


def test_a_change_of_the_same_length_is_seen(package: Path) -> None:
    """Imports are cached by time and size, contents are not."""
    script = _script(package, "import pkg.c\n")
    before = code_digest(script, package)
    status = (package / "c.py").stat()
    (package / "c.py").write_text("x = 2\n")
    os.utime(package / "c.py", ns=(status.st_atime_ns, status.st_mtime_ns))
    assert code_digest(script, package) != before


@pytest.mark.parametrize(
    ("file", "text", "expected"),
    [
        ("pkg/c.py", "x = 1\ndef f(:\n", r"c\.py, line 2: not valid Python"),
        ("pkg/c.py", "\nimport pkg.gone\n", r"c\.py, line 2: imports pkg\.gone, which does not exist"),
        (
            "pkg/c.py",
            "from ...far import x\n",
            r"c\.py, line 1: the relative import leads out of the package",
        ),
        ("script.py", "from . import c\n", r"script\.py, line 1: the relative import leads out"),
        ("script.py", "print 1\n", r"script\.py, line 1: not valid Python"),
    ],
)
def test_errors_name_the_file_and_the_line(package: Path, file: str, text: str, expected: str) -> None:
    """A fault in the code is told before any job starts, in words."""
    script = _script(package, "import pkg.c\n")
    (package.parent / file).write_text(text)
    with pytest.raises(ValueError, match=expected):
        code_digest(script, package)


def test_a_script_that_is_missing(package: Path) -> None:
    """The message is the system's own; it names the file."""
    with pytest.raises(FileNotFoundError, match=r"gone\.py"):
        code_digest(package.parent / "gone.py", package)


LATE = """
from typing import TYPE_CHECKING
if TYPE_CHECKING:
    from pkg.d import name
__version__ = "1"
__all__ = ["name"]
def __getattr__(key):
    from pkg import d
    return getattr(d, key)
"""


def test_what_the_package_imports_late_does_not_count(package: Path) -> None:
    """A name that is imported when somebody asks the package for it changes no job that asks for a module."""
    script = _script(package, "import pkg.c\n")
    before = code_digest(script, package)
    (package / "__init__.py").write_text(LATE)
    assert module_files(script, package) == (package / "c.py",)
    assert code_digest(script, package) == before
    listed = read_imports(package / "__init__.py", "pkg", all_of_them=True)
    assert {item.module for item in listed} == {"typing", "pkg.d", "pkg"}


def test_read_imports_lists_type_checking_on_request(package: Path) -> None:
    """The test of the floors wants them; a digest does not."""
    path = package / "typed.py"
    assert {item.module for item in read_imports(path, "pkg.typed")} == {"typing", "pkg.c"}
    everything = read_imports(path, "pkg.typed", all_of_them=True)
    assert ("pkg", ("d",), 3) in everything


def test_chains_depend_on_kernels_and_not_on_figures() -> None:
    """The promise to users: editing a kernel reruns chains, editing figures does not."""
    names = {
        path.relative_to(ROOT / "bnn").as_posix()
        for path in module_files(ROOT / "scripts/sample_chain.py", ROOT / "bnn")
    }
    assert {"chain.py", "kernels/mala.py", "network.py", "priors.py"} <= names
    assert not {"metrics.py", "diagnostics.py", "predictive.py"} & names
    assert not [name for name in names if name.startswith(("plots", "report"))]
