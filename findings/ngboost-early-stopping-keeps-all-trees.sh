#!/usr/bin/env bash
# NGBoost 0.6.0 (scikit-learn 1.6.1, NumPy 2.4.6, SciPy 1.17.1).
# With validation rows in fit, an NGBRegressor records the iteration of the smallest validation loss in best_val_loss_itr,
# and with early_stopping_rounds it stops some iterations after it. One expects predict and pred_dist to use the best
# iteration, as XGBoost, LightGBM and CatBoost do; they use every stage that was fitted, those of the patience included.
# Without early_stopping_rounds validation rows change nothing, and the density of new rows goes to ruin: the mean NLL
# of 50 rows is 5.4 nats with all 2,000 stages, 0.84 with the best 225. pred_dist(x, max_iter=...) has to be told, and as
# best_val_loss_itr counts from 0, max_iter=best_val_loss_itr leaves out the best stage itself. Output seen:
#     patience of 20: 245 stages, the best has the index 224; NLL with all 0.868, up to the best 0.839
#     no patience: 2000 stages, the best has the index 224; NLL with all 5.438, up to the best 0.839
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install -qq --disable-pip-version-check ngboost==0.6.0 scikit-learn==1.6.1 numpy==2.4.6 scipy==1.17.1

venv/bin/python -I - << 'PYTHON'
import sys
import warnings

import numpy as np

warnings.simplefilter("ignore")
from ngboost import NGBRegressor

rng = np.random.default_rng(0)
x = rng.normal(size=(400, 3))
y = x[:, 0] + 0.5 * rng.normal(size=400)
train, valid, new = slice(0, 300), slice(300, 350), slice(350, 400)

fine = True
for name, patience in (("patience of 20", 20), ("no patience", None)):
    model = NGBRegressor(n_estimators=2000, early_stopping_rounds=patience, verbose=False, random_state=1)
    model.fit(x[train], y[train], X_val=x[valid], Y_val=y[valid])
    n_stages, best = len(model.base_models), model.best_val_loss_itr
    by_default = model.pred_dist(x[new])
    of_all = model.pred_dist(x[new], max_iter=n_stages)
    of_best = model.pred_dist(x[new], max_iter=best + 1)
    nll = [-float(found.logpdf(y[new]).mean()) for found in (by_default, of_best)]
    print(
        f"{name}: {n_stages} stages, the best has the index {best}; NLL with all {nll[0]:.3f}, up to the best {nll[1]:.3f}"
    )
    staged = model.staged_pred_dist(x[new])[best].loc
    fine &= n_stages > best + 1 and np.array_equal(by_default.loc, of_all.loc)
    fine &= np.array_equal(of_best.loc, staged) and nll[0] > nll[1] + (4 if patience is None else 0.01)
if not fine:
    sys.exit("changed: predictions of NGBoost stop at the best iteration")
PYTHON
