#!/usr/bin/env bash
# sklearn-contrib-bde 1.0.2 (JAX 0.10.2, BlackJAX 1.2.2, NumPy 2.4.6, scikit-learn 1.9.1).
# BdeRegressor averages the draws of an ensemble, each member of which has a chain of its own. On 60 rows with ten
# features, chains of some members (one in eight, here) become NaN in the warm-up. One expects fit to raise or to warn, or
# such a member to be left out: fit says nothing, and as predict averages over all members, it returns NaN for every row,
# without a word as well. Sound members are found by predict(x, raw=True), whose first axis is the member. Output seen:
#     members: 100, with NaN: 12; rows: 300, with a prediction: 0; mean over the sound members is finite: True
#     warnings that name a NaN: 0
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install -qq --disable-pip-version-check sklearn-contrib-bde==1.0.2 jax==0.10.2 jaxlib==0.10.2 \
  blackjax==1.2.2 numpy==2.4.6 scikit-learn==1.9.1 scipy==1.17.1

JAX_PLATFORMS=cpu venv/bin/python -I - 2> stderr << 'PYTHON' || { tr '\r' '\n' < stderr | tail -n 3 >&2; exit 1; }
import sys
import warnings

import numpy as np
from bde import BdeRegressor
from bde.loss import GaussianNLL

rng = np.random.default_rng(0)
x = rng.normal(size=(360, 10)).astype(np.float32)
y = (x[:, 0] - 0.5 * x[:, 1] + 0.7 * rng.normal(size=360)).astype(np.float32)
model = BdeRegressor(
    loss=GaussianNLL(),
    n_members=100,
    hidden_layers=[16] * 4,
    epochs=1000,
    validation_split=0.15,
    lr=1e-3,
    weight_decay=1e-4,
    warmup_steps=5000,
    n_samples=10,
    n_thinning=1,
    patience=20,
    seed=0,
)
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    model.fit(x[:60], y[:60])
    predicted = np.asarray(model.predict(x[60:]))
    members = np.asarray(model.predict(x[60:], raw=True))
lost = np.isnan(members).any(axis=(1, 2, 3))
sound = bool(np.isfinite(members[~lost, ..., 0].mean(axis=(0, 1))).all())
told = sum("nan" in str(one.message).lower() for one in caught)
print(
    f"members: {len(lost)}, with NaN: {lost.sum()}; rows: {len(predicted)}, with a prediction: "
    f"{np.isfinite(predicted).sum()}; mean over the sound members is finite: {sound}"
)
print(f"warnings that name a NaN: {told}")
if not (0 < lost.sum() < len(lost) / 2 and np.isnan(predicted).all() and sound and told == 0):
    sys.exit("changed: a member without finite draws is told, left out, or no longer there")
PYTHON
