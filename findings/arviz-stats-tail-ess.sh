#!/usr/bin/env bash
# arviz-stats 0.8.0 against ArviZ 0.23.4 (NumPy 2.4.6, SciPy 1.17.1, xarray 2026.9.0, pandas 3.1.1).
# Both summaries name a column ess_tail, yet of the same draws they give different figures: ArviZ 0.23.4 takes the smaller
# ESS of the 5% and 95% quantiles, arviz-stats that of the quantiles stats.ci_prob and 1 - stats.ci_prob. With the default
# of 0.89 these are the 11% and 89% quantiles, not the ends (5.5%, 94.5%) of the 89% interval printed beside them; with
# ci_prob = 0.5 the "tail" is the median. The summary's own argument ci_prob moves the interval and not the column.
# arviz-stats 1.3.3, which needs Python 3.12, gives the same figures. Output seen:
#     ArviZ 0.23.4: ess_tail 4027.7
#     arviz-stats, default: 4014.5; quantiles (0.11, 0.89): 4014.5; (0.055, 0.945): 4042.7
#     arviz-stats, summary(ci_prob=0.5): 4014.5
#     arviz-stats, rcParams["stats.ci_prob"] = 0.5: 3944.4; ESS of the median: 3944.4
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install -qq --disable-pip-version-check arviz==0.23.4 'arviz-stats[xarray]==0.8.0' arviz-base==0.8.2 \
  numpy==2.4.6 scipy==1.17.1 xarray==2026.9.0 pandas==3.1.1

venv/bin/python -I - << 'PYTHON'
import sys
import warnings

import numpy as np

warnings.simplefilter("ignore")
import arviz as az
import arviz_base
import arviz_stats

draws = np.random.default_rng(0).normal(size=(4, 1000))
data = arviz_base.from_dict({"posterior": {"x": draws}})


def quantiles(low, high):
    return float(arviz_stats.ess(draws, method="tail", prob=(low, high)))


def summary(**settings):
    return float(arviz_stats.summary(data, round_to="none", **settings)["ess_tail"].item())


old = float(az.summary({"x": draws}, round_to="none")["ess_tail"].item())
new, by_argument = summary(), summary(ci_prob=0.5)
with arviz_base.rc_context({"stats.ci_prob": 0.5}):
    by_setting = summary()
median = float(arviz_stats.ess(draws, method="median"))
print(f"ArviZ 0.23.4: ess_tail {old:.1f}")
print(
    f"arviz-stats, default: {new:.1f}; quantiles (0.11, 0.89): {quantiles(0.11, 0.89):.1f};"
    f" (0.055, 0.945): {quantiles(0.055, 0.945):.1f}"
)
print(f"arviz-stats, summary(ci_prob=0.5): {by_argument:.1f}")
print(f'arviz-stats, rcParams["stats.ci_prob"] = 0.5: {by_setting:.1f}; ESS of the median: {median:.1f}')

same = np.isclose
if not (
    same(old, quantiles(0.05, 0.95))
    and same(new, quantiles(0.11, 0.89))
    and not same(new, old)
    and not same(new, quantiles(0.055, 0.945))
    and same(by_argument, new)
    and same(by_setting, median)
):
    sys.exit("changed: the tail ESS of arviz-stats is taken at other quantiles")
PYTHON
