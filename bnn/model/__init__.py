"""The log density of a network's parameters and its gradient: layout, network, likelihoods, priors. Imports core."""
