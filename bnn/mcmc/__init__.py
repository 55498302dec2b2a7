"""Kernels, adaptation and chains; they take arrays and know nothing of tables. Imports core and model."""
