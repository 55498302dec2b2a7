"""A real browser without a network, and a run of the workflow whose pages it opens.

Chromium comes from the system (Debian: `apt-get install chromium`), or from $BNN_CHROMIUM. Where it or Playwright is
absent these tests are skipped, unless $BNN_REQUIRE_BROWSER is set: continuous integration must not skip them unseen.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import yaml

from tests.made_once import made_once
from tests.workflow.project import FIXED, TRAJECTORY_LENGTH

ROOT = Path(__file__).parents[2]
SCREENSHOTS = Path(__file__).parent / "screenshots"
FLAGS = (
    "--no-sandbox",  # its sandbox needs rights that a container lacks; it opens our own files only
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
EVIL = "<script>alert(1)</script>"
# Far too few draws for chains to agree.
CONFIG: dict[str, Any] = FIXED | {
    "network": {"hidden": [3], "engine": "numpy"},
    "baseline": {"max_epochs": 20},
    "sampler": {"chains": 3, "chains_per_job": 1, "warmup": 30, "draws": 24, "optimise_steps": 20}
    | {"trajectory_length": TRAJECTORY_LENGTH},
    "datasets": {
        "iris": {"task": "classification", "source": {"kind": "sklearn", "name": "iris"}},
        "mine": {
            "task": "regression",
            "source": {"kind": "csv", "path": "mine.csv", "target": "price", "target_unit": "EUR"},
        },
    },
}


def missing(reason: str) -> None:
    """Skip the test, or fail it where the browser must be there."""
    if os.environ.get("BNN_REQUIRE_BROWSER"):
        pytest.fail(f"{reason}, and BNN_REQUIRE_BROWSER is set")
    pytest.skip(reason)


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """Chromium, headless."""
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        missing("Playwright is not installed (pip install playwright)")
    path = os.environ.get("BNN_CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
    if path is None:
        missing("there is no Chromium (Debian: apt-get install chromium; or set BNN_CHROMIUM)")
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=path, headless=True, args=list(FLAGS))
        yield started
        started.close()


class Visit:
    """A page that is open, and what went wrong on the way."""

    def __init__(self, page: Any) -> None:
        self.page = page
        self.complaints: list[str] = []
        self.requests: list[str] = []
        page.on("console", lambda message: self.complaints.append(f"{message.type}: {message.text}"))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("dialog", self._dismiss)
        page.on("request", lambda request: self.requests.append(request.url))

    def _dismiss(self, dialog: Any) -> None:
        self.complaints.append(f"a dialog: {dialog.message}")
        dialog.dismiss()


@pytest.fixture
def visit(browser: Any) -> Iterator[Callable[..., Visit]]:
    """Open a file from the disk, the network off."""
    contexts = []

    def open_file(path: Path, *, width: int = 1280, scheme: str = "light", **options: Any) -> Visit:
        viewport = {"width": width, "height": 900}
        context = browser.new_context(viewport=viewport, color_scheme=scheme, offline=True, **options)
        contexts.append(context)
        visited = Visit(context.new_page())
        visited.page.goto(path.as_uri())
        return visited

    yield open_file
    for context in contexts:
        context.close()


@pytest.fixture(scope="session")
def run_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of the workflow that failed to converge; one chain of mine is stuck."""
    return made_once(tmp_path_factory, "browser_run", _make_run)


def _make_run(folder: Path) -> None:
    rng = np.random.default_rng(0)
    lines = [f"{a:.4f},{b:.4f},{3 * a - b + 0.1 * c:.4f}" for a, b, c in rng.normal(size=(60, 3))]
    (folder / "mine.csv").write_text("\n".join([f"{EVIL},width,price", *lines, ""]), encoding="utf-8")
    (folder / "config").mkdir()
    (folder / "config" / "config.yaml").write_text(yaml.safe_dump(CONFIG), encoding="utf-8")
    snakemake(folder, "results/mine/chains/chain_1.nc")
    stuck = folder / "results" / "mine" / "chains" / "chain_1.nc"
    _hold_still(stuck)
    snakemake(folder)


def snakemake(folder: Path, *arguments: str) -> None:
    """Run the workflow in a folder; an error is the test's."""
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile"), "--cores", "2"]
    done = subprocess.run(
        [*command, "--directory", str(folder), *arguments],
        capture_output=True,
        text=True,
        timeout=900,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert done.returncode == 0, done.stdout + done.stderr


def _hold_still(path: Path) -> None:
    """Make every draw of a chain its first one."""
    with h5py.File(path, "r+") as file:
        for name in ("theta", "log_density"):
            values = file[name][...]
            file[name][...] = np.repeat(values[:, :1], values.shape[1], axis=1)
