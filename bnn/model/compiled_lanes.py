"""Log density and gradient of a small network for classes, compiled by Numba: neighbours in a vector are chains.

A table of a hundred rows and a network of a few units leave `compiled` little to do: most of the time goes into
NumPy's softmax and prior, and into starting loops. Here all of it is one loop. An array holds (..., chain), as many
chains as a vector has numbers, so that each operation is that of one chain written once: no row is filled up, nothing
is summed across a vector, and weights are read as they come. A block of fewer chains is filled up with its last one.
What a chain gets depends on the network, the rows and its own theta only, never on its neighbours or their number.

A layer's inputs have a one behind them, whose weight is the bias: the three products of a layer are then alike.
"""

import hashlib
import math
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

from bnn.model import compiled_loops
from bnn.model.compiled import aligned
from bnn.model.compiled_loops import ACTIVATION_CODES, Code, data_of

LANES = compiled_loops.VECTOR_BYTES // 4
"""Chains in a vector"""
_ROWS, _COLUMNS = 4, 3
"""Sums that stay in registers: twelve in sixteen"""
_BLOCK_BYTES = 3 * 2**13
"""What rows that go through the network together leave behind: it stays in the first-level cache."""
_MOST_WORK = 2**14
"""Rows times parameters up to which a block of lanes takes no longer than one chain does in `bnn.model.compiled`"""
_MOST_NATS = 700.0
"""The largest number in double precision is e^709."""
_LINEAR = 0
_DOUBLE = ir.VectorType(ir.DoubleType(), LANES)


class _Lanes(Code):
    """Makes instructions on vectors of chains; positions count vectors, not numbers."""

    def lane(self, position):
        return self.builder.mul(position, self.integer(LANES))

    def get(self, pointer, position, vector=None):
        return self.load(pointer, self.lane(position), vector)

    def put(self, value, pointer, position):
        self.store(value, pointer, self.lane(position))

    def double(self, pointer, position):
        """Return a vector of one number in double precision."""
        value = self.builder.load(self.builder.gep(pointer, [position]))
        undefined = ir.Constant(_DOUBLE, ir.Undefined)
        first = self.builder.insert_element(undefined, value, self.integer(0))
        return self.builder.shuffle_vector(
            first, undefined, ir.Constant(ir.VectorType(ir.IntType(32), LANES), None)
        )

    def exp(self, x):
        """Return the exponential of vectors that are not positive, 2^n 2^r: a relative error of 1e-7 (1 + |x|)."""
        builder, kind = self.builder, ir.VectorType(ir.IntType(32), LANES)
        lowest, half = self.constant(-87.0), self.constant(1.5 * 2**23)
        # NaN stays.
        x = builder.select(builder.fcmp_ordered("<", x, lowest), lowest, x)
        x = self.mul(x, self.constant(1 / math.log(2)))
        # Numbers of this size have no digits after the point, and the last ones before it are n.
        rounded = self.add(x, half)
        rest = self.sub(x, self.sub(rounded, half))
        power = self.polynomial([math.log(2) ** k / math.factorial(k) for k in range(8)], rest)
        n = builder.shl(builder.bitcast(rounded, kind), ir.Constant(kind, [23] * LANES))
        scale = builder.bitcast(builder.add(n, ir.Constant(kind, [127 << 23] * LANES)), self.vector)
        return self.mul(power, scale)


@intrinsic
def _enter(typingctx, theta, start, first, n, location, inverse, w, g, sums):
    """Set w to the parameters from `start` on of n chains, g to the gradient of a normal prior, sums[2] to z^2."""

    def generate(context, builder, signature, args):
        kinds = signature.args
        emit = _Lanes(context, builder, kinds[6].dtype)
        width, n_params = (
            builder.extract_value(context.make_array(kinds[i])(context, builder, args[i]).shape, axis)
            for i, axis in ((0, 1), (6, 0))
        )
        theta, location, inverse, w, g, sums = (
            data_of(context, builder, kinds, args, i) for i in (0, 4, 5, 6, 7, 8)
        )
        start, first, last = args[1], args[2], builder.sub(args[3], emit.integer(1))
        chains = []
        for lane in range(LANES):
            which = builder.select(
                builder.icmp_signed("<", emit.integer(lane), last), emit.integer(lane), last
            )
            chains.append(builder.gep(theta, [emit.index(start, (builder.add(first, which), width))]))
        squares = emit.variable(ir.Constant(_DOUBLE, [0.0] * LANES))
        with cgutils.for_range(builder, n_params) as loop:
            values = ir.Constant(_DOUBLE, ir.Undefined)
            for lane, chain in enumerate(chains):
                value = builder.load(builder.gep(chain, [loop.index]))
                values = builder.insert_element(values, value, emit.integer(lane))
            emit.put(builder.fptrunc(values, emit.vector), w, loop.index)
            factor = emit.double(inverse, loop.index)
            z = emit.mul(emit.sub(values, emit.double(location, loop.index)), factor)
            builder.store(emit.multiply_add(z, z, builder.load(squares)), squares)
            emit.put(emit.mul(builder.fneg(z), factor), g, loop.index)
        emit.put(builder.load(squares), sums, emit.integer(2))
        return context.get_dummy_value()

    return types.void(theta, start, first, n, location, inverse, w, g, sums), generate


@intrinsic
def _product(typingctx, c, a, b, starts, strides, counts, code):
    """Make c[p, q] from the sum over k of a[p, k] b[k, q].

    Into double precision the sum is added; else it is passed through the activation `code`, or, where that is
    negative, multiplied by the derivative of the activation whose output was in c. The strides are those of p in c,
    p and k in a, and k and q in b. An array `a` of two axes is the table, whose numbers are those of all chains.
    """

    def generate(context, builder, signature, args):
        kinds = signature.args
        emit = _Lanes(context, builder, kinds[2].dtype)
        c, a, b = (data_of(context, builder, kinds, args, i) for i in range(3))
        (c_at, a_at, b_at), (c_p, a_p, a_k, b_k, b_q), (n_p, n_q, n_k) = (
            cgutils.unpack_tuple(builder, args[i]) for i in (3, 4, 5)
        )
        read = emit.splat if kinds[1].ndim == 2 else emit.get

        def finish(places):
            if kinds[0].dtype == types.float64:
                for place, at in places:
                    total = builder.fpext(builder.load(place), _DOUBLE)
                    emit.put(builder.fadd(emit.get(c, at, _DOUBLE), total), c, at)
                return
            for which in ACTIVATION_CODES.values():
                with builder.if_then(builder.icmp_signed("==", args[6], emit.integer(which))):
                    values = emit.activation(which, [builder.load(place) for place, _ in places])
                    for value, (place, _) in zip(values, places, strict=True):
                        builder.store(value, place)
                with builder.if_then(builder.icmp_signed("==", args[6], emit.integer(-which))):
                    for place, at in places:
                        value = emit.times_derivative(which, builder.load(place), emit.get(c, at))
                        builder.store(value, place)
            for place, at in places:
                emit.put(builder.load(place), c, at)

        def rows(p, n_rows):
            def columns(q, n_columns):
                ps = [builder.add(p, emit.integer(i)) for i in range(n_rows)]
                qs = [builder.add(q, emit.integer(j)) for j in range(n_columns)]
                places = [
                    (emit.variable(emit.constant(0.0)), builder.add(emit.index(c_at, (i, c_p)), j))
                    for i in ps
                    for j in qs
                ]
                with cgutils.for_range(builder, n_k) as loop:
                    lefts = [read(a, emit.index(a_at, (i, a_p), (loop.index, a_k))) for i in ps]
                    rights = [emit.get(b, emit.index(b_at, (loop.index, b_k), (j, b_q))) for j in qs]
                    pairs = [(x, y) for x in lefts for y in rights]
                    for (x, y), (place, _) in zip(pairs, places, strict=True):
                        builder.store(emit.multiply_add(x, y, builder.load(place)), place)
                finish(places)

            emit.tiles(n_q, _COLUMNS, columns)

        emit.tiles(n_p, _ROWS, rows)
        return context.get_dummy_value()

    return types.void(c, a, b, starts, strides, counts, code), generate


@intrinsic
def _softmax(typingctx, h, at, stride, target, target_at, n_classes, n_rows, sums):
    """Replace logits by target minus probability, and take rows into sums: log p is what sums[0] grows by, less log s.

    sums[1] is multiplied by s, the sum of a row's exponentials: one logarithm for all rows is taken in the end.
    """

    def generate(context, builder, signature, args):
        _, at, stride, _, target_at, n_classes, n_rows, _ = args
        kinds = signature.args
        emit = _Lanes(context, builder, kinds[0].dtype)
        h, target, sums = (data_of(context, builder, kinds, args, i) for i in (0, 3, 7))
        picked, spread = (emit.variable(emit.get(sums, emit.integer(i), _DOUBLE)) for i in (0, 1))
        with cgutils.for_range(builder, n_rows) as row:
            logits = emit.index(at, (row.index, stride))
            chosen = emit.index(target_at, (row.index, n_classes))
            top = emit.variable(emit.get(h, logits))
            with cgutils.for_range_slice(builder, emit.integer(1), n_classes, emit.integer(1)) as (k, _):
                value, most = emit.get(h, builder.add(logits, k)), builder.load(top)
                builder.store(builder.select(builder.fcmp_ordered(">", value, most), value, most), top)
            own, total = (emit.variable(emit.constant(0.0)) for _ in range(2))
            with cgutils.for_range(builder, n_classes) as each:
                place = builder.add(logits, each.index)
                value = emit.sub(emit.get(h, place), builder.load(top))
                is_own = emit.splat(target, builder.add(chosen, each.index))
                builder.store(emit.multiply_add(is_own, value, builder.load(own)), own)
                weight = emit.exp(value)
                builder.store(emit.add(weight, builder.load(total)), total)
                emit.put(weight, h, place)
            value = builder.fpext(builder.load(own), _DOUBLE)
            builder.store(builder.fadd(builder.load(picked), value), picked)
            value = builder.fpext(builder.load(total), _DOUBLE)
            builder.store(builder.fmul(builder.load(spread), value), spread)
            inverse = builder.fdiv(emit.constant(1.0), builder.load(total))
            with cgutils.for_range(builder, n_classes) as each:
                place = builder.add(logits, each.index)
                is_own = emit.splat(target, builder.add(chosen, each.index))
                emit.put(emit.sub(is_own, emit.mul(emit.get(h, place), inverse)), h, place)
        for i, variable in enumerate((picked, spread)):
            emit.put(builder.load(variable), sums, emit.integer(i))
        return context.get_dummy_value()

    return types.void(h, at, stride, target, target_at, n_classes, n_rows, sums), generate


def _compile(loops: str) -> Callable[..., None]:
    """Return the loop over blocks of chains.

    Numba looks at this file, and at what a function encloses, to see whether what it keeps compiled is still good:
    `loops` stands for the other file that makes the code.
    """

    @compiled_loops.jit
    def evaluate(
        theta, start, location, inverse, constant, x, target, chosen, sizes, code, w, g, h, sums, total, grad
    ):
        loops  # noqa: B018
        n_layers, n_rows, n_x, n_classes, units = len(sizes) - 1, len(x), sizes[0] + 1, sizes[-1], h.shape[1]
        for row in range(n_rows):
            for k in range(n_classes):
                chosen[row, k] = target[k, row]
        for chain in range(0, len(theta), LANES):
            n_chains = min(LANES, len(theta) - chain)
            sums[0] = 0.0
            sums[1] = 1.0
            _enter(theta, start, chain, n_chains, location, inverse, w, g, sums)
            for row in range(0, n_rows, len(h)):
                rows, unit, at = min(len(h), n_rows - row), 0, n_x * sizes[1]
                kind = code if n_layers > 1 else _LINEAR
                _product(
                    h, x, w, (0, row * n_x, 0), (units, n_x, 1, sizes[1], 1), (rows, sizes[1], n_x), kind
                )
                for layer in range(1, n_layers):
                    n_in, n_out = sizes[layer] + 1, sizes[layer + 1]
                    kind = code if layer < n_layers - 1 else _LINEAR
                    starts, strides = (unit + n_in, unit, at), (units, units, 1, n_out, 1)
                    _product(h, h, w, starts, strides, (rows, n_out, n_in), kind)
                    unit, at = unit + n_in, at + n_in * n_out
                _softmax(h, unit, units, chosen, row * n_classes, n_classes, rows, sums)
                for layer in range(n_layers - 1, 0, -1):
                    n_in, n_out = sizes[layer] + 1, sizes[layer + 1]
                    unit, at = unit - n_in, at - n_in * n_out
                    d = unit + n_in
                    _product(
                        g, h, h, (at, unit, d), (n_out, 1, units, units, 1), (n_in, n_out, rows), _LINEAR
                    )
                    # What a layer put out is not needed any more: the gradient by it takes its place, save the one.
                    _product(
                        h, h, w, (unit, d, at), (units, units, 1, 1, n_out), (rows, n_in - 1, n_out), -code
                    )
                _product(
                    g, x, h, (0, row * n_x, 0), (sizes[1], 1, n_x, units, 1), (n_x, sizes[1], rows), _LINEAR
                )
            for lane in range(n_chains):
                total[chain + lane] = constant + sums[0, lane] - math.log(sums[1, lane]) - 0.5 * sums[2, lane]
                for p in range(len(g)):
                    grad[chain + lane, p] = g[p, lane]

    return evaluate


_evaluate = _compile(hashlib.sha256(Path(compiled_loops.__file__).read_bytes()).hexdigest())


class CompiledLanes:
    """Log density of one table of classes, and its gradient, in float32 with sums over rows in float64.

    Parameters
    ----------
    sizes
        Units of each layer, inputs first.
    activation
        Name of the hidden activation.
    x
        Inputs, shape (obs, input), float32.
    part
        Where the network's parameters lie in theta: weight_0 (input, unit), bias_0, weight_1, ... without gaps.
    normal
        Location and inverse scale of theta's coordinates, shape (param,), and log density at the location, if they are
        independent and normal: that prior is part of the log density then, unless theta holds more than the network.
    """

    def __init__(
        self,
        sizes: Sequence[int],
        *,
        activation: str,
        x: np.ndarray,
        part: slice,
        normal: tuple[np.ndarray, np.ndarray, float] | None,
    ) -> None:
        n_params, single, double = part.stop - part.start, np.dtype(np.float32), np.dtype(np.float64)
        self.part = part
        if normal is not None and len(normal[0]) != n_params:
            normal = None
        self.has_prior = normal is not None
        self._shape = (n_params, len(x), sizes[-1])
        prior = normal or (np.zeros(n_params), np.zeros(n_params), 0.0)
        columns = np.column_stack([x, np.ones(len(x), single)])
        self._before = (part.start, *prior, columns)
        units = sum(sizes[1:]) + len(sizes) - 2
        rows = max(_ROWS, _BLOCK_BYTES // (4 * LANES * units) // _ROWS * _ROWS)
        hidden = aligned((max(1, min(rows, len(x))), units, LANES), single)
        hidden[...] = 1.0
        self._after = (
            np.empty((len(x), sizes[-1]), single),
            np.array(sizes, dtype=np.int64),
            ACTIVATION_CODES[activation],
            aligned((n_params, LANES), single),
            aligned((n_params, LANES), double),
            hidden,
            aligned((3, LANES), double),
        )

    @staticmethod
    def suit(sizes: Sequence[int], n_rows: int) -> bool:
        """Return whether network and table are so small that this is faster, for one chain already."""
        n_params = sum((n_in + 1) * n_out for n_in, n_out in pairwise(sizes))
        return n_rows * n_params <= _MOST_WORK and n_rows * math.log(sizes[-1]) < _MOST_NATS

    def log_density_and_grad(self, theta: np.ndarray, target: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the log density, (chain,), and its gradient by the network's parameters, (chain, param).

        Parameters
        ----------
        theta
            (chain, param).
        target
            One-hot columns, (class, obs), float64.

        Raises
        ------
        ValueError
            If a shape does not fit: the loops look at no bounds.
        """
        theta = np.ascontiguousarray(theta, dtype=np.float64)
        n_params, n_rows, n_classes = self._shape
        if theta.shape[1] < self.part.stop or target.shape != (n_classes, n_rows):
            raise ValueError(f"theta {theta.shape} or target {target.shape} do not fit network and table")
        total, grad = np.empty(len(theta)), np.empty((len(theta), n_params))
        _evaluate(theta, *self._before, target, *self._after, total, grad)
        return total, grad
