#!/usr/bin/env bash
# scikit-learn 1.9.1 (SciPy 1.17.1, NumPy 2.4.6).
# PowerTransformer, with its defaults (Yeo-Johnson, then standardised), wipes out a skewed column that lies far from zero for
# its spread, such as temperatures in kelvin: the likeliest power, some -5.7, sends all values to one number but for the last
# bits, so that "unit variance" comes out as 1e-16, without a warning. A model then learns nothing from it. The same column
# with its median subtracted first has standard deviation 1 and predicts. Output seen:
#     kelvin: power -5.73, standard deviation 9e-17, R2 of a ridge regression 0.00
#     above the median: power 0.43, standard deviation 1, R2 of a ridge regression 1.00
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install -qq --disable-pip-version-check scikit-learn==1.9.1 scipy==1.17.1 numpy==2.4.6

venv/bin/python -I - << 'PYTHON'
import sys
import warnings

import numpy as np
from sklearn.linear_model import Ridge
from sklearn.preprocessing import PowerTransformer

warnings.simplefilter("error")
share = (np.arange(2000) + 0.5) / 2000
kelvin = (288 - 4 * np.log(1 - share))[:, None]
target = np.log(kelvin[:, 0] - 287)


def told(name, column):
    transformer = PowerTransformer().fit(column)
    x = transformer.transform(column)
    power, sd, r2 = transformer.lambdas_[0], x.std(), Ridge(1.0).fit(x, target).score(x, target)
    print(f"{name}: power {power:.2f}, standard deviation {sd:.1g}, R2 of a ridge regression {r2:.2f}")
    return sd, r2


wiped = told("kelvin", kelvin)
centred = told("above the median", kelvin - np.median(kelvin))
if not (wiped[0] < 1e-12 and abs(wiped[1]) < 0.01 and abs(centred[0] - 1) < 1e-6 and centred[1] > 0.8):
    sys.exit(f"changed: standard deviation and R2 {wiped} in kelvin, {centred} above the median")
PYTHON
