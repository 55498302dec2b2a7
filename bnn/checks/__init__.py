"""Can the model be right, and does it know what it does not know? docs/reference/results.md has all figures.

`statistics` compares the data with data that the model makes, before and after it has seen any; `sensitivity` says how
much the prior matters; `out_of_distribution` whether predictions grow unsure away from the data; `assemble`
puts all, with leave-one-out cross-validation, into checks.json and checks.nc.
"""
