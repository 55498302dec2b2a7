"""What the Bayesian network is compared with: networks trained by Adam, linear models. Imports core, data and model."""
