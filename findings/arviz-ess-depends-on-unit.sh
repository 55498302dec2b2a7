#!/usr/bin/env bash
# ArviZ 0.23.4 (NumPy 2.4.6, SciPy 1.17.1, xarray 2026.9.0, pandas 3.1.1).
# The ESS of a chain should not depend on the unit of its draws. Here it does: a sequence whose range is below 1e-15 counts
# as constant, and a constant sequence is said to be worth as many independent draws as it has values. For
# method="sd" it is the squared deviations that are held against that bound, so draws of a size of 1e-9 (a variance in small
# units, a rate in SI units) already get a perfect ESS, however slowly they mix; so does a chain that never moved. Seen for
# an autoregression of coefficient 0.95 in four chains of 1000 draws:
#     unit 1: ESS of the mean 115, of the standard deviation 304
#     unit 1e-9: ESS of the mean 115, of the standard deviation 4000
#     unit 1e-17: ESS of the mean 4000, of the standard deviation 4000
#     never moved: ESS of the mean 4000, of the standard deviation 4000
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install -qq --disable-pip-version-check arviz==0.23.4 numpy==2.4.6 scipy==1.17.1 \
  xarray==2026.9.0 pandas==3.1.1

venv/bin/python -I - << 'PYTHON'
import sys
import warnings

import numpy as np

warnings.simplefilter("ignore")
import arviz as az

rng = np.random.default_rng(0)
draws = np.zeros((4, 1000))
for i in range(1, 1000):
    draws[:, i] = 0.95 * draws[:, i - 1] + rng.normal(size=4)


def show(name, values):
    found = [round(float(np.asarray(az.ess(values, method=method)).squeeze())) for method in ("mean", "sd")]
    print(f"{name}: ESS of the mean {found[0]}, of the standard deviation {found[1]}")
    return found


one = show("unit 1", draws)
small = show("unit 1e-9", draws * 1e-9)
tiny = show("unit 1e-17", draws * 1e-17)
still = show("never moved", np.full((4, 1000), 2.5))
if not (max(one) < 400 and small == [one[0], 4000] and tiny == [4000, 4000] and still == [4000, 4000]):
    sys.exit("changed: the ESS no longer depends on the unit in this way")
PYTHON
