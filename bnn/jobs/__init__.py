"""What a job of the workflow does round a chain: checkpoint, signals, locks. Imports core, model and mcmc."""
