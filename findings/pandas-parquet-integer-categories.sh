#!/usr/bin/env bash
# pandas 3.1.1 with pyarrow 26.0.1.
# A categorical column of strings survives DataFrame.to_parquet and back. One of integers (class labels, codes of a
# questionnaire) does not: pyarrow writes it as a plain integer column, and not only pyarrow's reader but pandas.read_parquet
# too gives int64, though pyarrow's table before writing is a dictionary for both. A label silently becomes a quantity.
# Output seen:
#     before writing: codes dictionary, words dictionary
#     pyarrow reads: codes int64, words dictionary
#     pandas reads: codes int64, words category
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install -qq --disable-pip-version-check pandas==3.1.1 pyarrow==26.0.1

venv/bin/python -I - << 'PYTHON'
import sys

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

frame = pd.DataFrame({"codes": pd.Categorical([3, 1, 3]), "words": pd.Categorical(["c", "a", "c"])})
frame.to_parquet("table.parquet")


def arrow(table):
    types = [table.schema.field(name).type for name in ("codes", "words")]
    return ["dictionary" if pa.types.is_dictionary(kind) else str(kind) for kind in types]


before = arrow(pa.Table.from_pandas(frame))
after = arrow(pq.read_table("table.parquet"))
back = [str(kind) for kind in pd.read_parquet("table.parquet").dtypes]
print("before writing: codes {}, words {}".format(*before))
print("pyarrow reads: codes {}, words {}".format(*after))
print("pandas reads: codes {}, words {}".format(*back))
if (before, after, back) != (["dictionary"] * 2, ["int64", "dictionary"], ["int64", "category"]):
    sys.exit(f"changed: {before} is read back as {after} and {back}")
PYTHON
