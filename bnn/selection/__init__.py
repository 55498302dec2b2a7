"""The automatic choice of network, prior and likelihood, from training rows alone; imports core, model and mcmc."""
