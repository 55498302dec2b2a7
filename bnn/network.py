"""A dense feed-forward network, forward and backward, for a batch of parameter sets at once.

The leading axis of every parameter is the chain. With h_0 = x, a layer is z_l = h_l W_l + b_l and
h_{l+1} = f(z_l); the last layer is linear, and its output is a vector of logits or the mean of the target.
Backpropagation carries delta_l = dL/dz_l down the layers: dL/dW_l = h_l^T delta_l, dL/db_l = sum over rows of
delta_l, delta_{l-1} = (delta_l W_l^T) * f'(z_{l-1})  (Rumelhart, Hinton & Williams 1986).
"""

from collections.abc import Mapping, Sequence

import numpy as np

from bnn.activations import ACTIVATIONS


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

    Raises
    ------
    ValueError
        If there are fewer than two layers, a layer has no unit, or the activation is unknown.
    """

    def __init__(self, sizes: Sequence[int], *, activation: str, dtype: str) -> None:
        if len(sizes) < 2 or min(sizes) < 1:
            raise ValueError(
                f"sizes {tuple(sizes)}: give at least inputs and outputs, each with one unit or more"
            )
        if activation not in ACTIVATIONS:
            raise ValueError(f"unknown activation {activation!r}: choose one of {', '.join(ACTIVATIONS)}")
        self.sizes = tuple(int(size) for size in sizes)
        self.activation = ACTIVATIONS[activation]
        self.dtype = np.dtype(dtype)
        self.layers = tuple((f"weight_{i}", f"bias_{i}") for i in range(len(self.sizes) - 1))

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
            Shape (chain, obs, output): logits, or means in standardised target units.
        """
        return self.forward_layers(parameters, x)[-1]

    def forward_layers(self, parameters: Mapping[str, np.ndarray], x: np.ndarray) -> list[np.ndarray]:
        """Return x and the output of every layer, as `backward` needs them."""
        outputs = [np.asarray(x, dtype=self.dtype)]
        last = len(self.layers) - 1
        for index, (weight, bias) in enumerate(self.layers):
            z = np.matmul(outputs[-1], parameters[weight].astype(self.dtype, copy=False))
            z += parameters[bias][:, None, :]
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
            Gradient of a scalar per chain with respect to the network's output, shape (chain, obs, output).

        Returns
        -------
        dict
            Name -> gradient, of the parameter's shape, chain axis first.
        """
        gradients: dict[str, np.ndarray] = {}
        delta = output_grad
        # Sums over rows as products with a row of ones: a matrix product is the faster reduction for small arrays.
        ones = np.ones((1, delta.shape[-2]), dtype=delta.dtype)
        for index in range(len(self.layers) - 1, -1, -1):
            weight, bias = self.layers[index]
            gradients[weight] = np.matmul(outputs[index].swapaxes(-1, -2), delta)
            gradients[bias] = np.matmul(ones, delta)[..., 0, :]
            if index:
                delta = np.matmul(
                    delta, np.swapaxes(parameters[weight], -1, -2).astype(self.dtype, copy=False)
                )
                delta *= self.activation.derivative(outputs[index])
        return gradients
