"""Kernels, adaptation and chains; they take arrays and know nothing of tables. Imports core and model."""

SAMPLER_VERSION = 8
"""To be raised by one, by hand, when the same config and data give other draws than before: kept draws and checkpoints
of another version are not used. Nothing else about the code decides that. `tests/unit/test_sampler_version.py` fails
where draws changed and this did not.
"""
