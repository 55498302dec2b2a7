"""The command line: `python -m bnn check`, `draft` and `predict`."""

import argparse
import sys
from collections.abc import Sequence

import bnn
from bnn import commands as before_runs
from bnn.core.errors import with_code
from bnn.posterior.new_rows import check_place, default_out_path, draws_path, predict_file, write_log


def make_parser() -> argparse.ArgumentParser:
    """Return the parser of the command line, with a parser for each command."""
    parser = argparse.ArgumentParser(
        prog="python -m bnn",
        description="Check a config before it is run, draft one, and use the network of a finished run.",
    )
    parser.add_argument("--version", action="version", version=f"bnn {bnn.__version__}")
    commands = parser.add_subparsers(dest="command", required=True)
    check = commands.add_parser(
        "check",
        help="check a config, and read every table that it names",
        description="Check a config as a run would before it samples: its keys, its files, and every table in them.",
    )
    check.add_argument("config", help="the config, such as config/config.yaml")
    draft = commands.add_parser(
        "draft",
        help="print a config for a table",
        description="Print a config for a table, with what was seen in each of its columns.",
    )
    draft.add_argument("file", help="the table")
    draft.add_argument("--target", required=True, help="its column to predict")
    predict = commands.add_parser(
        "predict",
        help="predict the rows of a CSV file",
        description="Predict the rows of a CSV file with a header line: the columns that the network was trained on, "
        "written as they were there, in any order.",
    )
    predict.add_argument("results", help="folder of the dataset, such as results/iris")
    predict.add_argument("file", help="the CSV file")
    predict.add_argument(
        "-o", "--out", help="where the predictions go (default: <results>/predictions/<file>)"
    )
    predict.add_argument(
        "--replace", action="store_true", help="replace predictions of another file of this name there"
    )
    predict.add_argument(
        "--quantiles", nargs="+", type=float, default=[], metavar="P", help="a column for each quantile"
    )
    predict.add_argument(
        "--draws", type=int, default=0, metavar="N", help="write N new observations of each row, too"
    )
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; return the status for the shell: 0, or 1 if the data or the files cannot be used."""
    chosen = make_parser().parse_args(arguments)
    if chosen.command == "check":
        return before_runs.check(chosen.config)
    if chosen.command == "draft":
        return before_runs.draft(chosen.file, chosen.target)
    out_path = chosen.out or default_out_path(chosen.results, chosen.file)
    try:
        if chosen.out is None and not chosen.replace:
            check_place(chosen.results, chosen.file)
        said = predict_file(
            chosen.results, chosen.file, out_path, quantiles=chosen.quantiles, n_draws=chosen.draws
        )
        if chosen.out is None:
            write_log(chosen.results, chosen.file, said)
    except (OSError, ValueError) as error:
        print(f"error: {with_code(error)}", file=sys.stderr)
        return 1
    print(f"{out_path}: {'; '.join(said.notes)}")
    if chosen.draws:
        print(f"{draws_path(out_path)}: {chosen.draws} new observations of each row")
    for doubt in said.doubts:
        print(f"warning: {doubt}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
