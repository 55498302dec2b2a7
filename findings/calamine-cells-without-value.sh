#!/usr/bin/env bash
# python-calamine 0.9.1, with a workbook that openpyxl 3.1.5 wrote.
# A cell that holds an error (#N/A, #DIV/0!), a formula whose result was never stored (a file made by a program and not yet
# opened in a spreadsheet) and an empty cell all come back as the same empty string, so a reader cannot tell "failed" and
# "not yet calculated" from "missing". openpyxl, with data_only=True, gives the error as text. Output seen:
#     python-calamine: ['', '', '', '', 7.0]
#     openpyxl: ['#N/A', '#DIV/0!', None, None, 7]
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install -qq --disable-pip-version-check python-calamine==0.9.1 openpyxl==3.1.5 et-xmlfile==2.0.0

venv/bin/python -I - << 'PYTHON'
import sys

import openpyxl
from python_calamine import CalamineWorkbook

book = openpyxl.Workbook()
for row, value in enumerate(["#N/A", "#DIV/0!", "=A3*2", None, 7], start=1):
    book.active.append([row, value])
kinds = [cell.data_type for cell in book.active["B"]]
book.save("cells.xlsx")

calamine = [row[1] for row in CalamineWorkbook.from_path("cells.xlsx").get_sheet_by_index(0).to_python()]
values = [row[1] for row in openpyxl.load_workbook("cells.xlsx", data_only=True).active.values]
print("python-calamine:", calamine)
print("openpyxl:", values)
if kinds[:3] != ["e", "e", "f"]:
    sys.exit("changed: openpyxl no longer writes these cells as errors and a formula")
if calamine != ["", "", "", "", 7.0] or values != ["#N/A", "#DIV/0!", None, None, 7]:
    sys.exit(f"changed: python-calamine gives {calamine}, openpyxl {values}")
PYTHON
