"""The worked example of the docs, from a table to a decision, as a reader would run it."""

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests.unit.docs_blocks import DOCS, ROOT, run

pytestmark = pytest.mark.slow


def test_the_example_runs_from_table_to_decision(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every block in its order; what it prints is what the page says."""
    monkeypatch.chdir(tmp_path)
    commands = []

    def configure(text: str) -> None:
        Path("config").mkdir()
        Path("config/config.yaml").write_text(text, encoding="utf-8")

    def shell(text: str) -> None:
        for line in text.splitlines():
            program, *options = shlex.split(line)
            assert program == "snakemake"
            command = [sys.executable, "-m", program, "--snakefile", str(ROOT / "Snakefile"), *options]
            done = subprocess.run(
                command,
                capture_output=True,
                text=True,
                timeout=600,
                env={**os.environ, "PYTHONPATH": str(ROOT)},
            )
            assert done.returncode == 0, done.stdout + done.stderr
            commands.append(line)

    assert run(DOCS / "tutorial" / "decision.md", {"yaml": configure, "bash": shell}) == 3
    assert commands
