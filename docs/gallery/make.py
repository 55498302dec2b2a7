"""Runs the four datasets of config.yaml and takes a picture of the head of each page: `make gallery`.

A larger one of the first is the picture of the README.

Chromium must be installed, or $BNN_CHROMIUM name it. An argument names a folder to run in, whose results are then kept.
"""

import io
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import yaml
from PIL import Image
from playwright.sync_api import sync_playwright

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
WIDTH, HEIGHT, COLOURS = 1100, 800, 64
README = HERE.parent / "report.png", 1280, 1112
"""Its file, width and height."""


def write_table(folder: Path) -> None:
    """Write two bumps: two hidden units can follow one of them, whichever they find first."""
    rng = np.random.default_rng(1)
    x = np.sort(rng.uniform(-3, 3, 150))
    y = np.exp(-8 * (x - 2) ** 2) + np.exp(-8 * (x + 2) ** 2) + 0.05 * rng.standard_normal(len(x))
    lines = [f"{a:.4f},{b:.4f}" for a, b in zip(x, y, strict=True)]
    (folder / "bumps.csv").write_text("\n".join(["x,y", *lines, ""]), encoding="utf-8")


def run(folder: Path) -> None:
    """Run the workflow in a folder."""
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile"), "--cores", "2"]
    config = ["--replace-workflow-config", "--configfile", str(HERE / "config.yaml")]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    subprocess.run([*command, "--directory", str(folder), *config], check=True, env=environment)


def take_pictures(results: Path, names: list[str]) -> None:
    """Write the head of each page as a small PNG beside this file, and the first one for the README."""
    chromium = os.environ.get("BNN_CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
    pictures = [(name, HERE / f"{name}.png", WIDTH, HEIGHT) for name in names] + [(names[0], *README)]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        for name, path, width, height in pictures:
            page = browser.new_page(viewport={"width": width, "height": height})
            page.goto((results / name / "report.html").as_uri())
            picture = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
            picture.quantize(COLOURS).save(path, optimize=True)
            page.close()
        browser.close()


def main(folder: Path) -> None:
    """Run the datasets in a folder and take the pictures."""
    folder.mkdir(parents=True, exist_ok=True)
    write_table(folder)
    run(folder)
    config = yaml.safe_load((HERE / "config.yaml").read_text(encoding="utf-8"))
    take_pictures(folder / "results", list(config["datasets"]))


if __name__ == "__main__":
    if len(sys.argv) > 1:
        main(Path(sys.argv[1]).resolve())
    else:
        with tempfile.TemporaryDirectory() as folder:
            main(Path(folder))
