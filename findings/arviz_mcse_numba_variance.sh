#!/usr/bin/env bash
# arviz 0.23.4, numba 0.68.1, numpy 2.4.6, Python 3.11 or newer.
#
# With Numba installed, ArviZ 0.23.4 takes the variance of draws as the mean of their squares less the square of their
# mean. Draws whose mean is large beside their spread lose all digits that way, so the Monte Carlo standard error of the
# mean is wrong by a factor of thousands, without a warning; after `az.Numba.disable_numba()` it is right. One would guess
# that an optional compiler changes how fast a figure is computed, not the figure.
#
# Seen, for 4 x 1,000 normal draws of standard deviation 1 about 1e9, whose true error is about 1 / sqrt(4,000) = 0.016:
#   with numba: wrong by more than a factor of 100
#   without numba: within a factor of 2
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check \
  arviz==0.23.4 numba==0.68.1 numpy==2.4.6
export HOME="$folder" MPLCONFIGDIR="$folder"
seen=$("$folder/venv/bin/python" -W ignore - <<'PYTHON'
import math

import arviz as az
import numpy as np

draws = 1e9 + np.random.default_rng(0).standard_normal((4, 1000))
truth = 1 / math.sqrt(draws.size)


def factor() -> float:
    ratio = float(az.mcse(draws, method="mean")) / truth
    return max(ratio, 1 / ratio) if ratio > 0 else math.inf


az.Numba.enable_numba()
print("with numba:", "wrong by more than a factor of 100" if factor() > 100 else "right")
az.Numba.disable_numba()
print("without numba:", "within a factor of 2" if factor() < 2 else "wrong")
PYTHON
)
expected='with numba: wrong by more than a factor of 100
without numba: within a factor of 2'
printf '%s\n' "$seen"
[ "$seen" = "$expected" ] || { printf 'expected:\n%s\n' "$expected" >&2; exit 1; }
