"""Minutes of a processor turned, once, into a number of gradients, by a measured pass."""

import time
from dataclasses import dataclass, replace

import numpy as np

from bnn.core.settings import ChainSettings
from bnn.mcmc.chain import ChainRun, quiet_overflow
from bnn.model.network import resolve_engine
from bnn.model.posterior import make_posterior
from bnn.model.targets import Target

_FEWEST_PASSES, _FEWEST_SECONDS = 5, 0.3
"""A measurement takes at least both."""
_LEAST = 1000
"""Gradients that a run gets however slow the machine: it ends late rather than as no run at all."""


@dataclass(frozen=True)
class Budget:
    """What the chains of a dataset may cost.

    Parameters
    ----------
    chains, chains_per_job
        How many there are, and how many of them a job runs side by side.
    budget_minutes
        Core-minutes of all chains together.
    """

    chains: int
    chains_per_job: int
    budget_minutes: float

    def gradients(
        self,
        x: np.ndarray,
        y: np.ndarray,
        *,
        n_classes: int | None,
        settings: ChainSettings,
        target: Target | None = None,
    ) -> int:
        """Return how many gradients each chain may take.

        Parameters
        ----------
        x, y
            Training rows, shapes (obs, input) and (obs,), as a posterior takes them.
        n_classes
            Classes of the target; None for a real one.
        settings
            Of the chains, nothing open.
        target
            How the likelihood describes a real target.
        """
        side_by_side = min(self.chains, self.chains_per_job)
        n_jobs = -(-self.chains // side_by_side)
        posterior = make_posterior(
            x,
            y,
            n_classes=n_classes,
            network=resolve_engine(settings.network),
            prior=settings.prior,
            likelihood=settings.likelihood,
            target=target,
        )
        sampler = replace(settings.sampler, init="optimised", optimise_steps=10**9, explore=0)
        with quiet_overflow():
            run = ChainRun(posterior, range(side_by_side), settings.seed, sampler)
            run.step()  # compiles
            began, n_passes = time.process_time(), 0
            while n_passes < _FEWEST_PASSES or time.process_time() - began < _FEWEST_SECONDS:
                run.step()
                n_passes += 1
            seconds = (time.process_time() - began) / n_passes
        return max(_LEAST, int(60 * self.budget_minutes / n_jobs / seconds))
