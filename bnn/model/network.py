"""A dense feed-forward network, forward and backward, for a batch of parameter sets at once.

The leading axis of every parameter is the chain, and the last axis of every activation is the row of the table, so
that each operation runs over neighbours in memory. With h_0 = x^T, a layer is z_l = W_l^T h_l + b_l and
h_{l+1} = f(z_l); the last layer is linear, and its output is a vector of logits or the mean of the target.
Backpropagation carries delta_l = dL/dz_l down the layers: dL/dW_l = h_l delta_l^T, dL/db_l = sum over rows of
delta_l, delta_{l-1} = (W_l delta_l) * f'(z_{l-1})  (Rumelhart, Hinton & Williams 1986).
"""

import importlib.util
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from bnn.core.settings import NetworkSettings
from bnn.model.activations import ACTIVATIONS
from bnn.model.input_transform import InputTransform
from bnn.model.layout import ParameterLayout
from bnn.model.passes import NoiseOutput, Passes

if TYPE_CHECKING:
    from bnn.model.likelihoods import Likelihood
    from bnn.model.priors import Prior

ENGINES = ("numpy", "numba")
_TILE_BYTES = 2**17
"""Activations that one chain keeps from the forward to the backward pass. It bounds the memory, and depends on nothing
but the architecture: where sums are cut must not depend on how many chains run side by side."""


def resolve_engine(network: NetworkSettings, kept: Mapping[str, Any] | None = None) -> NetworkSettings:
    """Return the settings with the engine and the precision that "auto" stands for on this machine.

    Numba in float32 where it is installed, NumPy in float64 where it is not. What is asked for by name stays, and an
    engine that is left open is then NumPy in float64, where Numba gains little.

    Parameters
    ----------
    network
        As the config has it.
    kept
        `engine` and `precision` of draws that are to be gone on with; they take the place of "auto".

    Raises
    ------
    ModuleNotFoundError
        If Numba made those draws and is not installed here.
    """
    engine, precision = network.engine, network.precision
    has_numba = importlib.util.find_spec("numba") is not None
    if kept is not None:
        engine = kept["engine"] if engine == "auto" else engine
        precision = kept["precision"] if precision == "auto" else precision
        if engine == "numba" and not has_numba:
            raise ModuleNotFoundError(
                "the draws so far were made with Numba, which is not installed here: run pip install numba to go on "
                "with them, or set network.engine to numpy to sample again",
                name="numba",
            )
    elif engine == "auto":
        engine = "numba" if has_numba and precision != "float64" else "numpy"
    if precision == "auto":
        precision = "float32" if engine == "numba" else "float64"
    return replace(network, engine=engine, precision=precision)


class Network:
    """Architecture of a dense network; it holds no parameters.

    Parameters
    ----------
    sizes
        Units in each layer, inputs first and outputs last: (4, 10, 3) is four inputs, ten hidden units, three outputs.
    activation
        Name of the hidden activation, a key of `ACTIVATIONS`.
    dtype
        "float64" or "float32": the type in which the network computes.
    engine
        What makes the passes of `passes`: "numpy", or "numba", which compiles them.
    linear_output
        Whether the last layer is linear; if not, its units have the activation too.
    inputs
        What is made of the inputs before the first layer; None: nothing.
    has_offset
        Whether inputs have a last column that is no input, but is added to the first output.

    Raises
    ------
    ValueError
        If there are fewer than two layers, a layer has no unit, or the activation or the engine is unknown.
    """

    def __init__(
        self,
        sizes: Sequence[int],
        *,
        activation: str,
        dtype: str,
        engine: str = ENGINES[0],
        linear_output: bool = True,
        inputs: InputTransform | None = None,
        has_offset: bool = False,
    ) -> None:
        if len(sizes) < 2 or min(sizes) < 1:
            raise ValueError(
                f"sizes {tuple(sizes)}: give at least inputs and outputs, each with one unit or more"
            )
        if activation not in ACTIVATIONS:
            raise ValueError(f"unknown activation {activation!r}: choose one of {', '.join(ACTIVATIONS)}")
        if engine not in ENGINES:
            raise ValueError(f"unknown engine {engine!r}: choose one of {', '.join(ENGINES)}")
        self.sizes = tuple(int(size) for size in sizes)
        self.activation = ACTIVATIONS[activation]
        self.activation_name = activation
        self.dtype = np.dtype(dtype)
        self.engine = engine
        self.linear_output = linear_output
        self.inputs = inputs
        self.has_offset = has_offset
        self.layers = tuple((f"weight_{i}", f"bias_{i}") for i in range(len(self.sizes) - 1))

    @property
    def trunk(self) -> "Network | None":
        """The network up to the last hidden layer, whose activations it puts out; None without a hidden layer.

        None as well where the output has an offset, since it belongs to no hidden unit.
        """
        if len(self.sizes) == 2 or self.has_offset:
            return None
        return Network(
            self.sizes[:-1],
            activation=self.activation_name,
            dtype=self.dtype.name,
            engine=self.engine,
            linear_output=False,
            inputs=self.inputs,
        )

    @property
    def parameter_shapes(self) -> dict[str, tuple[int, ...]]:
        """Name -> shape of every weight (inputs, outputs) and bias (outputs,), layer by layer."""
        shapes: dict[str, tuple[int, ...]] = {}
        for (weight, bias), n_in, n_out in zip(self.layers, self.sizes[:-1], self.sizes[1:], strict=True):
            shapes[weight] = (n_in, n_out)
            shapes[bias] = (n_out,)
        return shapes

    def forward(self, parameters: Mapping[str, np.ndarray], x: np.ndarray) -> np.ndarray:
        """Return the output of the last layer.

        Parameters
        ----------
        parameters
            Blocks with a leading chain axis.
        x
            Shape (obs, input).

        Returns
        -------
        ndarray
            Shape (chain, output, obs): logits, or means in standardised target units.
        """
        return with_offset(self.forward_layers(parameters, self.columns(x))[-1], self.offset(x))

    def columns(self, x: np.ndarray) -> np.ndarray:
        """Return the inputs as `forward_layers` takes them, shape (input, obs), contiguous, in the network's type."""
        return np.ascontiguousarray(self.taken(x).T, dtype=self.dtype)

    def taken(self, x: np.ndarray) -> np.ndarray:
        """Return the inputs as the first layer takes them, (obs, input)."""
        x = np.asarray(x)[:, :-1] if self.has_offset else np.asarray(x)
        return x if self.inputs is None else self.inputs(x)

    def offset(self, x: np.ndarray) -> np.ndarray | None:
        """Return what is added to the first output, (obs,), float64; None: nothing."""
        return np.asarray(x[:, -1], dtype=np.float64) if self.has_offset else None

    def forward_layers(self, parameters: Mapping[str, np.ndarray], columns: np.ndarray) -> list[np.ndarray]:
        """Return the inputs and the output of every layer, (chain, unit, obs), as `backward` needs them.

        Parameters
        ----------
        parameters
            Blocks with a leading chain axis.
        columns
            What `columns` returned, shape (input, obs).
        """
        outputs = [columns]
        last = len(self.layers) - 1 if self.linear_output else -1
        for index, (weight, bias) in enumerate(self.layers):
            transposed = parameters[weight].astype(self.dtype, copy=False).swapaxes(-1, -2)
            z = np.matmul(transposed, outputs[-1])
            z += parameters[bias].astype(self.dtype, copy=False)[..., None]
            outputs.append(z if index == last else self.activation.function(z))
        return outputs

    def backward(
        self, parameters: Mapping[str, np.ndarray], outputs: Sequence[np.ndarray], output_grad: np.ndarray
    ) -> dict[str, np.ndarray]:
        """Return the gradient with respect to every weight and bias.

        Parameters
        ----------
        parameters
            The blocks that `forward_layers` was given.
        outputs
            What it returned.
        output_grad
            Gradient of a scalar per chain with respect to the network's output, shape (chain, output, obs).

        Returns
        -------
        dict
            Name -> gradient, of the parameter's shape, chain axis first, in the network's type.
        """
        gradients: dict[str, np.ndarray] = {}
        delta = output_grad
        if not self.linear_output:
            delta = output_grad * self.activation.derivative(outputs[-1])
        for index in range(len(self.layers) - 1, -1, -1):
            weight, bias = self.layers[index]
            gradients[weight] = np.matmul(outputs[index], delta.swapaxes(-1, -2))
            gradients[bias] = np.add.reduce(delta, axis=-1)
            if index:
                delta = np.matmul(parameters[weight].astype(self.dtype, copy=False), delta)
                delta *= self.activation.derivative(outputs[index])
        return gradients

    def passes(self, x: np.ndarray, layout: ParameterLayout) -> Passes:
        """Return forward and backward passes over a table, by the engine of this network.

        Parameters
        ----------
        x
            Inputs, shape (obs, input).
        layout
            Of theta; it holds this network's blocks among others.

        Raises
        ------
        ModuleNotFoundError
            If the engine is "numba" and Numba is not installed.
        ValueError
            If the engine is "numba" and the network's blocks are not neighbours in the layout.
        """
        if self.engine == "numpy":
            return NumpyPasses(self, x, layout)
        try:
            from bnn.model.compiled import CompiledPasses
        except ModuleNotFoundError as error:
            raise ModuleNotFoundError(
                f"no module {error.name!r}, which network.engine: numba in the config needs: "
                "run pip install numba, or set network.engine to numpy",
                name=error.name,
            ) from error
        return CompiledPasses(
            self.sizes,
            activation=self.activation_name,
            x=np.asarray(self.taken(x), dtype=self.dtype),
            part=self._part(layout),
            linear_output=self.linear_output,
        )

    def _part(self, layout: ParameterLayout) -> slice:
        """Return where this network's blocks lie in theta.

        Raises
        ------
        ValueError
            If they are not neighbours.
        """
        parts = [layout.slices[name] for name in self.parameter_shapes]
        if any(part.stop != after.start for part, after in pairwise(parts)):
            raise ValueError(f"the network's parameters are not neighbours in the layout {layout.names}")
        return slice(parts[0].start, parts[-1].stop)


class NumpyPasses:
    """Passes by `forward_layers` and `backward` of a network; see `Passes`."""

    def __init__(self, network: Network, x: np.ndarray, layout: ParameterLayout) -> None:
        self._network = network
        self._layout = layout
        rows = max(1, _TILE_BYTES // (sum(network.sizes[1:]) * network.dtype.itemsize))
        self.tiles = tuple(slice(start, min(start + rows, len(x))) for start in range(0, len(x), rows))
        self._columns = [network.columns(x[part]) for part in self.tiles]
        self._parameters: dict[str, np.ndarray] = {}
        self._outputs: list[np.ndarray] = []
        self._gradients: dict[str, np.ndarray] = {}

    def load(self, theta: np.ndarray) -> None:
        """Take theta; the cast to the network's type is made once for all tiles."""
        blocks = self._layout.unpack(theta)
        dtype = self._network.dtype
        self._parameters = {
            name: blocks[name].astype(dtype, copy=False) for name in self._network.parameter_shapes
        }
        self._gradients = {}

    def forward(self, tile: int) -> np.ndarray:
        """Return the output of a tile."""
        self._outputs = self._network.forward_layers(self._parameters, self._columns[tile])
        return self._outputs[-1]

    def backward(self, tile: int, output_grad: np.ndarray) -> None:
        """Add up the gradient over a tile, in float64."""
        for name, gradient in self._network.backward(self._parameters, self._outputs, output_grad).items():
            if tile:
                self._gradients[name] += gradient
            else:
                self._gradients[name] = gradient.astype(np.float64)

    def add_gradient(self, grad: np.ndarray) -> None:
        """Add the gradient over all tiles to grad."""
        self._layout.add_to(grad, self._gradients)

    def fuse(self, likelihood: "Likelihood", prior: "Prior", target: np.ndarray) -> None:
        """Return None: the likelihood and the prior are evaluated beside the passes."""

    def regression(self, y: np.ndarray, noise: NoiseOutput | None, *, is_mixed: bool) -> None:
        """Return None: `MatrixRows` makes the rows of these passes."""


def with_offset(output: np.ndarray, offset: np.ndarray | None) -> np.ndarray:
    """Return an output, (chain, output, obs), with what `Network.offset` returned; of its type, and itself for None."""
    if offset is None:
        return output
    output = output.copy()
    output[:, 0] += offset.astype(output.dtype)
    return output


def outputs(network: Network, theta: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Return what trained networks put out, (network, output, obs), float64.

    Parameters
    ----------
    network
        The architecture.
    theta
        Shape (network, param), the network's parameters first.
    x
        Standardised inputs, shape (obs, input).
    """
    layout = ParameterLayout(network.parameter_shapes)
    return np.asarray(network.forward(layout.unpack(theta[:, : layout.n_params]), x), dtype=np.float64)
