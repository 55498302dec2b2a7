#!/usr/bin/env bash
# pyarrow 26.0.1.
# A cast of a UUID column to text gives its 16 raw bytes in place of the 36 characters that everyone writes for it, also
# after a trip through Parquet, where the type is kept. Most UUIDs are not valid UTF-8 and the cast refuses them; one whose
# bytes happen to be valid passes as unreadable text and no longer matches its key elsewhere. to_pylist() gives uuid.UUID,
# whose text is right. Output seen:
#     cast of 61626364-6566-47c3-a968-696a6b6c6d6e: 'abcdefG\xe9hijklmn'
#     cast of 0f5b3c1e-8a2d-4e6f-9b7c-d1e2f3a4b5c6: 'ArrowInvalid'
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install -qq --disable-pip-version-check pyarrow==26.0.1

venv/bin/python -I - << 'PYTHON'
import sys
import uuid

import pyarrow as pa
import pyarrow.parquet as pq


def cast(key):
    pq.write_table(pa.table({"key": pa.array([key.bytes], pa.uuid())}), "keys.parquet")
    column = pq.read_table("keys.parquet")["key"]
    if column.type != pa.uuid() or column.to_pylist() != [key]:
        sys.exit(f"changed: Parquet gives back {column.to_pylist()} of type {column.type}")
    try:
        text = column.cast(pa.string()).to_pylist()[0]
    except pa.ArrowInvalid as error:
        text = type(error).__name__
    print(f"cast of {key}: {ascii(text)}")
    return text


readable = cast(uuid.UUID("61626364-6566-47c3-a968-696a6b6c6d6e"))
other = cast(uuid.UUID("0f5b3c1e-8a2d-4e6f-9b7c-d1e2f3a4b5c6"))
if (readable, other) != ("abcdefG\u00e9hijklmn", "ArrowInvalid"):
    sys.exit(f"changed: the casts give {readable!r} and {other!r}")
PYTHON
