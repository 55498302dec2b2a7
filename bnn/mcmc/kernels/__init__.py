"""Transition kernels by name. A kernel sees only a target's log density and gradient, never a network."""

from dataclasses import asdict

from bnn.core.settings import LangevinSettings
from bnn.mcmc.kernels import langevin_gradient, mala, malt, mams, microcanonical, random_walk
from bnn.mcmc.kernels.base import Kernel


def make_kernel(name: str, *, langevin: LangevinSettings) -> Kernel:
    """Return the kernel of that name.

    Parameters
    ----------
    name
        "auto" (malt), "malt", "mams", "mala", "random_walk", "langevin_gradient" or "microcanonical".
    langevin
        Settings of `langevin_gradient`; the others take none.

    Raises
    ------
    ValueError
        If there is no such kernel.
    """
    kernels = (malt.KERNEL, mams.KERNEL, mala.KERNEL, random_walk.KERNEL, microcanonical.KERNEL)
    fixed = {"auto": malt.KERNEL} | {kernel.name: kernel for kernel in kernels}
    if name in fixed:
        return fixed[name]
    if name == "langevin_gradient":
        return langevin_gradient.make_kernel(**asdict(langevin))
    raise ValueError(f"unknown kernel {name!r}: choose one of {', '.join([*fixed, 'langevin_gradient'])}")
