#!/usr/bin/env bash
# ArviZ 0.23.4 (NumPy 2.4.6, SciPy 1.17.1, xarray 2026.9.0, pandas 3.1.1).
# `import arviz` writes a file: the day of its last announcement of version 1, in the user's cache folder. The first import of
# a day warns and later ones do not, so a run with warnings as errors (python -W error, pytest with filterwarnings = error)
# passes or fails by what else has imported ArviZ that day. Where the warning is made an error the day is not written, and
# every import fails until one without has been made. Where arviz-base, arviz-stats and arviz-plots are all installed there
# is no warning. Output seen:
#     -W error, first: FutureWarning
#     -W error, again: FutureWarning
#     plain: imported
#     -W error, after it: imported
#     -W error, the day after: FutureWarning
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install -qq --disable-pip-version-check arviz==0.23.4 numpy==2.4.6 scipy==1.17.1 xarray==2026.9.0 pandas==3.1.1
export HOME="$folder/home" XDG_CACHE_HOME="$folder/cache"
mkdir -p "$HOME" "$XDG_CACHE_HOME"

import_arviz() {  # the label, options of Python
  local label=$1 said
  shift
  # Other libraries' warnings are not the matter.
  said=$(venv/bin/python "$@" -c 'import arviz; print("imported")' 2>&1 | grep -oE '^FutureWarning|^imported' | tail -1) || true
  echo "$label: $said"
}

{
  import_arviz "-W error, first" -W error::FutureWarning
  import_arviz "-W error, again" -W error::FutureWarning
  import_arviz "plain"
  import_arviz "-W error, after it" -W error::FutureWarning
  venv/bin/python -c "
import datetime, pathlib
stamp, = pathlib.Path('$XDG_CACHE_HOME').rglob('daily_warning')
stamp.write_text(str(datetime.date.today() - datetime.timedelta(days=1)))"
  import_arviz "-W error, the day after" -W error::FutureWarning
} > output
cat output

diff output - << 'TEXT'
-W error, first: FutureWarning
-W error, again: FutureWarning
plain: imported
-W error, after it: imported
-W error, the day after: FutureWarning
TEXT
