"""Captions of the figures in Snakemake's own report: `python -m bnn.report.rst` writes workflow/report/figure.rst."""

from pathlib import Path

from bnn.report.captions import CAPTIONS

PATH = Path(__file__).parents[2] / "workflow" / "report" / "figure.rst"


def figure_captions() -> str:
    """Return the captions as the template that Snakemake fills in for each figure."""
    lines = [
        "{# Written by `python -m bnn.report.rst` from bnn/report/captions.py: change that, not this file. #}"
    ]
    for name, caption in CAPTIONS.items():
        start = "if" if len(lines) == 1 else "elif"
        lines += [
            f'{{% {start} snakemake.wildcards.figure == "{name}" %}}',
            f"**{caption.title}** {caption.text}",
        ]
    return "\n".join([*lines, "{% endif %}", ""])


if __name__ == "__main__":
    PATH.write_text(figure_captions(), encoding="utf-8")
