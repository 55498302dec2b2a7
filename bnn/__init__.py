"""Bayesian neural networks from scratch: NumPy networks, Langevin Metropolis-Hastings, honest diagnostics."""

__version__ = "0.1.0"
