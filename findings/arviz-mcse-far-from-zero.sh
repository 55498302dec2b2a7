#!/usr/bin/env bash
# ArviZ 0.23.4 with Numba 0.68.1 (NumPy 2.4.6, SciPy 1.17.1, xarray 2026.9.0, pandas 3.1.1).
# Where Numba is installed, ArviZ uses it without being asked, and takes the variance from the sum and the sum of squares,
# which leaves no correct digit when the mean is far larger than the spread. The standard error of the mean of 4000
# independent draws of N(1e9, 1), which is 1/sqrt(4000) = 0.0158, then comes out 2000 times too large, while the bulk ESS,
# taken of ranks, stays right. Output seen:
#     Numba on: MCSE 36.5, ESS 3926
#     Numba off: MCSE 0.0159, ESS 3926
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install -qq --disable-pip-version-check arviz==0.23.4 numba==0.68.1 numpy==2.4.6 scipy==1.17.1 \
  xarray==2026.9.0 pandas==3.1.1

venv/bin/python -I - << 'PYTHON'
import sys
import warnings

import numpy as np

warnings.simplefilter("ignore")
import arviz as az

draws = np.random.default_rng(0).normal(size=(4, 1000)) + 1e9


def number(result):
    return float(np.asarray(result).squeeze())


if not az.Numba.numba_flag:
    sys.exit("changed: ArviZ no longer uses Numba by itself")
fast, ess = number(az.mcse(draws, method="mean")), number(az.ess(draws))
print(f"Numba on: MCSE {fast:.3g}, ESS {ess:.0f}")
az.Numba.disable_numba()
plain, plain_ess = number(az.mcse(draws, method="mean")), number(az.ess(draws))
print(f"Numba off: MCSE {plain:.3g}, ESS {plain_ess:.0f}")
if not (fast > 100 * plain and 0.0150 < plain < 0.0166 and abs(ess - plain_ess) < 1):
    sys.exit(f"changed: MCSE {fast:.3g} with Numba, {plain:.3g} without")
PYTHON
