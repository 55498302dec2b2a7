"""Bayesian neural networks as scikit-learn estimators: `from bnn import BNNClassifier, BNNRegressor`.

Their parameters are keys of the config under short names, with the config's own defaults; `settings` takes all others.
"""
