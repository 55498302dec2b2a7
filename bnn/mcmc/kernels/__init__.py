"""Transition kernels by name. A kernel sees only a target's log density and gradient, never a network."""

from dataclasses import asdict

from bnn.core.settings import LangevinSettings
from bnn.mcmc.kernels import langevin_gradient, mala, malt, mams, microcanonical, random_walk, sms_ubu
from bnn.mcmc.kernels.base import Kernel

MOST_EXACT_ROWS = 50_000
"""Training rows up to which "auto" is an exact kernel. Beyond, `budget_minutes` as they are by default suffice for some
ten thousand gradients, of which an exact kernel needs hundreds for an iteration."""


def resolve_kernel(name: str, n_rows: int) -> str:
    """Return the kernel's name, where it is "auto" that of a table of so many training rows if it is no exact one."""
    return sms_ubu.KERNEL.name if name == "auto" and n_rows > MOST_EXACT_ROWS else name


def make_kernel(name: str, *, langevin: LangevinSettings) -> Kernel:
    """Return the kernel of that name.

    Parameters
    ----------
    name
        "auto" (malt), "malt", "mams", "mala", "random_walk", "langevin_gradient", "microcanonical" or "sms_ubu".
    langevin
        Settings of `langevin_gradient`; the others take none.

    Raises
    ------
    ValueError
        If there is no such kernel.
    """
    kernels = (
        malt.KERNEL,
        mams.KERNEL,
        mala.KERNEL,
        random_walk.KERNEL,
        microcanonical.KERNEL,
        sms_ubu.KERNEL,
    )
    fixed = {"auto": malt.KERNEL} | {kernel.name: kernel for kernel in kernels}
    if name in fixed:
        return fixed[name]
    if name == "langevin_gradient":
        return langevin_gradient.make_kernel(**asdict(langevin))
    raise ValueError(f"unknown kernel {name!r}: choose one of {', '.join([*fixed, 'langevin_gradient'])}")
