#!/bin/bash
# snakemake 9.27.1 (Python 3.11)
#
# `update(...)` restores an output file where the job that updates it fails. What is not restored is the record of what
# made it: the next plan with the parameters of the good run says that "params have changed since last execution", and
# runs the rule and all that depends on it again, though file and parameters are those of before.
#
# A rule writes its parameter to a file flagged `update`, and fails for the parameter "bad". Run with "good", then with
# "bad", then planned with "good":
#
#     after the failure the file holds: good
#     plan with "good": params have changed since last execution
#
# It would be expected that a file restored with its content is up to date for the parameters that made it.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check snakemake==9.27.1
cd "$folder"
cat > Snakefile <<'SNAKE'
rule one:
    output:
        update("out.txt"),
    params:
        word=config["word"],
    shell:
        "test {params.word} != bad; echo {params.word} > {output}"
SNAKE
run() { "$folder/venv/bin/snakemake" --cores 1 --config word="$1" "${@:2}" 2>&1; }
run good > first.log
run good --dry-run > same.log
grep -q "Nothing to be done" same.log  # a second plan with the same parameter is empty
if run bad > failed.log; then
    echo "the job that must fail did not" >&2
    exit 1
fi
echo "after the failure the file holds: $(cat out.txt)"
run good --dry-run > plan.log
found=$(grep -o "params have changed since last execution" plan.log | head -1 || true)
echo "plan with \"good\": ${found:-nothing to be done}"
expected="params have changed since last execution"
[ "$(cat out.txt)" = good ] && [ "$found" = "$expected" ]
