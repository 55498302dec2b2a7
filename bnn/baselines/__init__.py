"""What the Bayesian network is compared with: networks by Adam, linear models, boosting. Imports core, data, model."""
