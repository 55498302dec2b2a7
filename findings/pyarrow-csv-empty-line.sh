#!/usr/bin/env bash
# pyarrow 26.0.1.
# In a CSV file of two columns, a line with one field is invalid and is handed to invalid_row_handler. An empty line, which
# has no separator either, is not: with ignore_empty_lines=False it becomes a row whose every column is missing (or an empty
# text), without a call of the handler. A count of refused lines thus misses it, and a row of the table comes from nowhere.
# Output seen:
#     line '7': {'a': [1, 3], 'b': [2, 4]}, handed over: ['7']
#     line '': {'a': [1, None, 3], 'b': [2, None, 4]}, handed over: []
#     line '', as text: {'a': ['1', '', '3'], 'b': ['2', '', '4']}, handed over: []
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install -qq --disable-pip-version-check pyarrow==26.0.1

venv/bin/python -I - << 'PYTHON'
import io
import sys

import pyarrow as pa
from pyarrow import csv


def read(name, text, **options):
    handed = []

    def handler(row):
        handed.append(row.text)
        return "skip"

    parse = csv.ParseOptions(ignore_empty_lines=False, invalid_row_handler=handler)
    table = csv.read_csv(io.BytesIO(text), parse_options=parse, **options).to_pydict()
    print(f"{name}: {table}, handed over: {handed}")
    return table, handed


texts = csv.ConvertOptions(column_types={"a": pa.string(), "b": pa.string()})
short = read("line '7'", b"a,b\n1,2\n7\n3,4\n")
empty = read("line ''", b"a,b\n1,2\n\n3,4\n")
as_text = read("line '', as text", b"a,b\n1,2\n\n3,4\n", convert_options=texts)
if short != ({"a": [1, 3], "b": [2, 4]}, ["7"]):
    sys.exit(f"changed: the line of one field gives {short}")
if empty != ({"a": [1, None, 3], "b": [2, None, 4]}, []):
    sys.exit(f"changed: the empty line gives {empty}")
if as_text != ({"a": ["1", "", "3"], "b": ["2", "", "4"]}, []):
    sys.exit(f"changed: the empty line read as text gives {as_text}")
PYTHON
