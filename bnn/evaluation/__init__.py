"""How good the predictions are: the Bayesian network beside its references, on the same rows and in the same units.

`forecasts` turns every model into one form, `scores` scores it, with Monte Carlo errors, `bootstrap` says how far
scores and their differences depend on the test rows, `calibration` whether probabilities mean what they say, `standout`
lists the rows to look at, and `assemble` puts all into metrics.json and predictions.csv.
"""
