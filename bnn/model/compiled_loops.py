"""The loops of `bnn.model.compiled`: a dense network forward and backward, compiled by Numba.

- Rows come in blocks, and an array holds (block, unit, row): a vector holds neighbouring rows of one unit, so that
  vectors are full whatever the widths of the layers are. A block is filled up to whole vectors with copies of its last
  row, whose gradient is zero.
- Sums are made in tiles that stay in registers from the first term to the last: four units by some vectors of rows on
  the way up and down, four inputs by some outputs in the gradient by the weights (Goto & van de Geijn 2008). The
  compiler does not find this by itself, so the tiles are spelled out in its intermediate language, by `Code` and the
  functions marked `intrinsic`; what is left, which layer and which block, is ordinary Numba.
- Chains share nothing: the arithmetic of a chain depends on the network and the rows only, never on its neighbours.

All in one file, because Numba looks at the file of a function to see whether what it keeps compiled is still good.
"""

from collections.abc import Callable

import numba
import numpy as np
from llvmlite import ir
from numba.core import cgutils, types
from numba.core.codegen import get_host_cpu_features
from numba.extending import intrinsic

ROWS_IN_LINE = 16
"""Rows of a block are a multiple of this: single precision numbers in a cache line, and in the longest vector."""
ACTIVATION_CODES = {"relu": 1, "tanh": 2, "sigmoid": 3}
_LINEAR, _RELU, _TANH, _SIGMOID = range(4)

_CHOSEN = numba.config.CPU_FEATURES
"""What the environment variable NUMBA_CPU_FEATURES says, "" for none at all; None: those of this processor"""
_FEATURES = get_host_cpu_features() if _CHOSEN is None else _CHOSEN
_UNITS = 4
"""Units in a tile of sums, and inputs in a tile of the gradient"""
if "+avx512f" in _FEATURES.split(","):
    # Thirty-two registers of 64 bytes. LLVM holds back from these, lest they slow the clock for the rest of a program:
    # here there is no rest.
    VECTOR_BYTES, _VECTORS, _OUTPUTS = 64, 4, 4
    if _CHOSEN is None:
        numba.config.CPU_FEATURES = f"{_FEATURES},-prefer-256-bit"
else:
    VECTOR_BYTES, _VECTORS, _OUTPUTS = 32 if "+avx" in _FEATURES.split(",") else 16, 3, 2
"""Bytes of a vector, vectors of rows in a tile of sums, and outputs in a tile of the gradient: sixteen running sums in
thirty-two registers, or twelve and eight in sixteen."""

# Products are contracted into sums; nothing else of the arithmetic may be changed. Above all "no NaN" and "no infinity"
# are not promised: a proposal may overflow, and its log density must then show it.
_FLAGS = ("contract",)
jit = numba.njit(cache=True, error_model="numpy")

_BOUND = 7.9
_P = (9.99999994e-01, 1.34506196e-01, 3.57899085e-03, 2.20232253e-05, 1.54279444e-08)
_Q = (1.0, 4.67839476e-01, 2.61922335e-02, 3.42364861e-04, 8.59876870e-07)
"""tanh x = x p(x^2) / q(x^2) in single precision, p and q of degree four.

The coefficients are a least-squares fit of p - q tanh(x)/x on 6,000 points of (0, 7.9], linear in them once q(0) is 1.
Each row is weighted by 1/q of the fit before (Sanathanan & Koerner 1963), which makes the error a relative one, and by
Lawson's (1961) factors, which raise the weight where the error is large and so lead to the smallest maximum: 5.7e-9.
Beyond 7.9 the value there is kept, 2.7e-7 from one; the rest of the 4e-7 is rounding.
"""


class Code:
    """Makes instructions on vectors of neighbouring rows.

    Parameters
    ----------
    context, builder
        Numba's.
    dtype
        Numba's type of a number.
    """

    def __init__(self, context, builder, dtype):
        self.context, self.builder = context, builder
        self.scalar = context.get_data_type(dtype)
        self.width = VECTOR_BYTES // (dtype.bitwidth // 8)
        self.vector = ir.VectorType(self.scalar, self.width)
        self.single = dtype == types.float32

    def constant(self, value: float):
        return ir.Constant(self.vector, [value] * self.width)

    def integer(self, value: int):
        return ir.Constant(ir.IntType(64), value)

    def index(self, start, *terms):
        """Return start plus the products of the terms."""
        for a, b in terms:
            start = self.builder.add(start, self.builder.mul(a, b))
        return start

    def add(self, a, b):
        return self.builder.fadd(a, b, flags=_FLAGS)

    def sub(self, a, b):
        return self.builder.fsub(a, b, flags=_FLAGS)

    def mul(self, a, b):
        return self.builder.fmul(a, b, flags=_FLAGS)

    def multiply_add(self, a, b, c):
        return self.add(self.mul(a, b), c)

    def polynomial(self, coefficients, u):
        value = self.constant(coefficients[-1])
        for coefficient in coefficients[-2::-1]:
            value = self.multiply_add(value, u, self.constant(coefficient))
        return value

    def _address(self, pointer, index, vector):
        address = self.builder.gep(pointer, [index])
        return self.builder.bitcast(address, vector.as_pointer())

    def load(self, pointer, index, vector=None):
        loaded = self.builder.load(self._address(pointer, index, vector or self.vector))
        loaded.align = 4 if self.single else 8
        return loaded

    def store(self, value, pointer, index):
        stored = self.builder.store(value, self._address(pointer, index, value.type))
        stored.align = 4 if self.single else 8

    def splat(self, pointer, index):
        """Return a vector of one number."""
        value = self.builder.load(self.builder.gep(pointer, [index]))
        first = self.builder.insert_element(ir.Constant(self.vector, ir.Undefined), value, self.integer(0))
        lanes = ir.Constant(ir.VectorType(ir.IntType(32), self.width), [0] * self.width)
        return self.builder.shuffle_vector(first, ir.Constant(self.vector, ir.Undefined), lanes)

    def variable(self, value):
        """Return a variable, which the compiler puts into a register."""
        place = cgutils.alloca_once(self.builder, value.type)
        self.builder.store(value, place)
        return place

    def tiles(self, n, width: int, body: Callable) -> None:
        """Emit body(start, width) over whole tiles of n, and body(start, 1) over what is left."""
        whole = self.builder.sub(n, self.builder.urem(n, self.integer(width)))
        with cgutils.for_range_slice(self.builder, self.integer(0), whole, self.integer(width)) as (start, _):
            body(start, width)
        if width > 1:
            with cgutils.for_range_slice(self.builder, whole, n, self.integer(1)) as (start, _):
                body(start, 1)

    def totals(self, vectors: list):
        """Return the sum over each of some vectors, as vectors of sums.

        A step adds neighbours of two vectors and leaves one, in which the sums of both take turns.
        """
        totals = []
        for first in range(0, len(vectors), self.width):
            group = vectors[first : first + self.width]
            group += [self.constant(0.0)] * (self.width - len(group))
            span = 1
            while len(group) > 1:
                lanes = [
                    lane + (self.width if turn else 0)
                    for start in range(0, self.width, 2 * span)
                    for turn in range(2)
                    for lane in range(start, start + span)
                ]
                group = [self._fold(a, b, lanes, span) for a, b in zip(group[::2], group[1::2], strict=True)]
                span *= 2
            totals += group
        return totals

    def _fold(self, a, b, lanes: list[int], span: int):
        kind = ir.VectorType(ir.IntType(32), self.width)
        low, high = (
            self.builder.shuffle_vector(a, b, ir.Constant(kind, [lane + offset for lane in lanes]))
            for offset in (0, span)
        )
        return self.add(low, high)

    def tanh(self, values: list):
        """Return tanh of vectors within 4e-7; two share a division, which takes as long as all else."""
        fractions = []
        for x in values:
            for bound, sign in ((_BOUND, ">"), (-_BOUND, "<")):
                beyond = self.builder.fcmp_ordered(sign, x, self.constant(bound))
                x = self.builder.select(beyond, self.constant(bound), x)
            u = self.mul(x, x)
            fractions.append((self.mul(self.polynomial(_P, u), x), self.polynomial(_Q, u)))
        done = []
        for pair in (fractions[i : i + 2] for i in range(0, len(fractions), 2)):
            if len(pair) == 1:
                done.append(self.builder.fdiv(*pair[0]))
                continue
            (p0, q0), (p1, q1) = pair
            inverse = self.builder.fdiv(self.constant(1.0), self.mul(q0, q1))
            done += [self.mul(p0, self.mul(q1, inverse)), self.mul(p1, self.mul(q0, inverse))]
        return done

    def activation(self, code: int, values: list):
        """Return the activation of vectors; of tanh and sigmoid in double precision the caller takes care."""
        if code == _RELU:
            zero = self.constant(0.0)
            # NaN stays.
            return [self.builder.select(self.builder.fcmp_ordered("<", v, zero), zero, v) for v in values]
        if not self.single:
            return values
        if code == _TANH:
            return self.tanh(values)
        half = self.constant(0.5)
        return [self.multiply_add(half, t, half) for t in self.tanh([self.mul(half, v) for v in values])]

    def times_derivative(self, code: int, value, h):
        """Return a vector times the derivative of the activation whose output is h."""
        one = self.constant(1.0)
        if code == _RELU:
            up = self.builder.fcmp_ordered(">", h, self.constant(0.0))
            return self.builder.select(up, value, self.constant(0.0))
        slope = self.mul(h, self.sub(one, h)) if code == _SIGMOID else self.sub(one, self.mul(h, h))
        return self.mul(value, slope)


def data_of(context, builder, kinds, args, which):
    """Return where the data of an argument begin, an array."""
    return context.make_array(kinds[which])(context, builder, args[which]).data


def _emit_sums(emit: Code, z, h, w, n_out, n_in, rows, size, strides, begin, finish) -> None:
    """Emit z[j, r] = finish(begin(j) + sum over i of w[i, j] h[i, r]).

    z, h and w are pairs of pointer and index; strides are those of w; rows, the number of rows, is a multiple of the
    vectors' width, and rows of one unit are `size` apart from those of the next.
    """
    builder, width = emit.builder, emit.integer(emit.width)
    (z, z_at), (h, h_at), (w, w_at) = z, h, w
    step, across = strides
    n_vectors = builder.udiv(rows, width)

    def tile_of_units(j, n_units):
        def tile_of_rows(vector, n_vectors):
            row = builder.mul(vector, width)
            units = [builder.add(j, emit.integer(q)) for q in range(n_units)]
            offsets = [builder.add(row, emit.integer(v * emit.width)) for v in range(n_vectors)]
            sums = []
            for unit in units:
                value = begin(unit)
                sums.append([emit.variable(value) for _ in offsets])
            with cgutils.for_range(builder, n_in) as loop:
                at = emit.index(h_at, (loop.index, size))
                xs = [emit.load(h, builder.add(at, offset)) for offset in offsets]
                for unit, row_sums in zip(units, sums, strict=True):
                    weight = emit.splat(w, emit.index(w_at, (loop.index, step), (unit, across)))
                    for x, place in zip(xs, row_sums, strict=True):
                        builder.store(emit.multiply_add(weight, x, builder.load(place)), place)
            places = [
                (place, emit.index(offset, (unit, size)))
                for unit, row_sums in zip(units, sums, strict=True)
                for offset, place in zip(offsets, row_sums, strict=True)
            ]
            finish(places)
            for place, index in places:
                emit.store(builder.load(place), z, builder.add(z_at, index))

        # With one unit alone, as many sums run side by side as a multiply-add takes to come out.
        emit.tiles(n_vectors, _VECTORS if n_units > 1 else 2 * _VECTORS, tile_of_rows)

    emit.tiles(n_out, _UNITS, tile_of_units)


@intrinsic
def _layer(typingctx, z, z_at, h, h_at, w, w_at, n_in, n_out, rows, size, code):
    """Set rows of z to a layer's output, given what it takes in; its weights, then biases, begin at w_at."""

    def generate(context, builder, signature, args):
        z, z_at, h, h_at, w, w_at, n_in, n_out, rows, size, code = args
        kinds = signature.args
        emit = Code(context, builder, kinds[4].dtype)
        z, h, w = (data_of(context, builder, kinds, args, i) for i in (0, 2, 4))
        bias = emit.index(w_at, (n_in, n_out))

        def finish(places):
            for which in (_RELU, _TANH, _SIGMOID):
                with builder.if_then(builder.icmp_signed("==", code, emit.integer(which))):
                    values = [builder.load(place) for place, _ in places]
                    for value, (place, _) in zip(emit.activation(which, values), places, strict=True):
                        builder.store(value, place)

        def begin(unit):
            return emit.splat(w, builder.add(bias, unit))

        strides = (n_out, emit.integer(1))
        _emit_sums(emit, (z, z_at), (h, h_at), (w, w_at), n_out, n_in, rows, size, strides, begin, finish)
        return context.get_dummy_value()

    return types.void(z, z_at, h, h_at, w, w_at, n_in, n_out, rows, size, code), generate


@intrinsic
def _layer_below(typingctx, below, below_at, d, d_at, w, w_at, h, h_at, n_in, n_out, rows, size, code):
    """Set rows of `below` to the gradient before the activation below, given d, that by what the layer puts out."""

    def generate(context, builder, signature, args):
        below, below_at, d, d_at, w, w_at, h, h_at, n_in, n_out, rows, size, code = args
        kinds = signature.args
        emit = Code(context, builder, kinds[4].dtype)
        below, d, w, h = (data_of(context, builder, kinds, args, i) for i in (0, 2, 4, 6))

        def finish(places):
            for which in (_RELU, _TANH, _SIGMOID):
                with builder.if_then(builder.icmp_signed("==", code, emit.integer(which))):
                    for place, index in places:
                        output = emit.load(h, builder.add(h_at, index))
                        builder.store(emit.times_derivative(which, builder.load(place), output), place)

        def begin(unit):
            return emit.constant(0.0)

        strides = (emit.integer(1), n_out)
        _emit_sums(
            emit, (below, below_at), (d, d_at), (w, w_at), n_in, n_out, rows, size, strides, begin, finish
        )
        return context.get_dummy_value()

    return types.void(below, below_at, d, d_at, w, w_at, h, h_at, n_in, n_out, rows, size, code), generate


@intrinsic
def _layer_gradient(typingctx, g, g_at, d, d_at, h, h_at, n_in, n_out, rows, size):
    """Add to g the gradient by a layer's weights and biases, given d, that by what it puts out."""

    def generate(context, builder, signature, args):
        g, g_at, d, d_at, h, h_at, n_in, n_out, rows, size = args
        kinds = signature.args
        emit = Code(context, builder, kinds[2].dtype)
        g, d, h = (data_of(context, builder, kinds, args, i) for i in (0, 2, 4))
        zero, step = emit.constant(0.0), emit.integer(emit.width)

        def sums_over_rows(n_sums, terms):
            """Return sums; terms(row, sums) is what each is at a vector of rows."""
            places = [emit.variable(zero) for _ in range(n_sums)]
            with cgutils.for_range_slice(builder, emit.integer(0), rows, step) as (row, _):
                for place, value in zip(places, terms(row, [builder.load(p) for p in places]), strict=True):
                    builder.store(value, place)
            return emit.totals([builder.load(place) for place in places])

        def add_to_gradient(index, totals, first, n):
            """Add n neighbouring totals, from the first on, to g from index on."""
            lanes = ir.Constant(ir.VectorType(ir.IntType(32), n), [first % emit.width + q for q in range(n)])
            found = totals[first // emit.width]
            found = builder.shuffle_vector(found, ir.Constant(found.type, ir.Undefined), lanes)
            double = ir.VectorType(ir.DoubleType(), n)
            if emit.single:
                found = builder.fpext(found, double)
            emit.store(builder.fadd(emit.load(g, index, double), found), g, index)

        def tile_of_outputs(j, n_outputs):
            deltas = [emit.index(d_at, (builder.add(j, emit.integer(q)), size)) for q in range(n_outputs)]

            def tile_of_inputs(i, n_inputs):
                inputs = [emit.index(h_at, (builder.add(i, emit.integer(p)), size)) for p in range(n_inputs)]

                def terms(row, sums):
                    ys = [emit.load(d, builder.add(at, row)) for at in deltas]
                    xs = [emit.load(h, builder.add(at, row)) for at in inputs]
                    pairs = [(x, y) for x in xs for y in ys]
                    return [emit.multiply_add(x, y, s) for (x, y), s in zip(pairs, sums, strict=True)]

                totals = sums_over_rows(n_inputs * n_outputs, terms)
                for p in range(n_inputs):
                    unit = builder.add(i, emit.integer(p))
                    index = builder.add(emit.index(g_at, (unit, n_out)), j)
                    add_to_gradient(index, totals, p * n_outputs, n_outputs)

            emit.tiles(n_in, _UNITS, tile_of_inputs)
            totals = sums_over_rows(
                n_outputs,
                lambda row, sums: [
                    emit.add(s, emit.load(d, builder.add(at, row)))
                    for s, at in zip(sums, deltas, strict=True)
                ],
            )
            add_to_gradient(builder.add(emit.index(g_at, (n_in, n_out)), j), totals, 0, n_outputs)

        emit.tiles(n_out, _OUTPUTS, tile_of_outputs)
        return context.get_dummy_value()

    return types.void(g, g_at, d, d_at, h, h_at, n_in, n_out, rows, size), generate


@jit
def _library_activation(hidden, b, first, n, rows, code):
    """Replace rows by their activation, in double precision."""
    for j in range(first, first + n):
        for r in range(rows):
            if code == _TANH:
                hidden[b, j, r] = np.tanh(hidden[b, j, r])
            else:
                hidden[b, j, r] = 0.5 + 0.5 * np.tanh(0.5 * hidden[b, j, r])


@jit
def forward(w, x, hidden, output, first, n_rows, sizes, code):
    """Run `n_rows` rows, from block `first` of x, through every chain's network.

    Parameters
    ----------
    w
        Weights and biases, (chain, param).
    x
        Inputs, (block, input, row).
    hidden
        Receives what every layer puts out, (block * chain, unit, row).
    output
        Receives the output of the last layer, (chain, output, row of the tile).
    sizes
        Units of each layer.
    code
        Which activation.
    """
    n_chains, size, n_layers = w.shape[0], x.shape[2], len(sizes) - 1
    library = w.itemsize == 8 and code != _RELU
    for block in range((n_rows + size - 1) // size):
        start = block * size
        m = min(size, n_rows - start)
        rows = (m + ROWS_IN_LINE - 1) // ROWS_IN_LINE * ROWS_IN_LINE
        for c in range(n_chains):
            b = block * n_chains + c
            at, unit, h_at, h = c * w.shape[1], 0, (first + block) * sizes[0] * size, x
            for layer in range(n_layers):
                n_in, n_out = sizes[layer], sizes[layer + 1]
                z_at = (b * hidden.shape[1] + unit) * size
                last = layer == n_layers - 1
                _layer(hidden, z_at, h, h_at, w, at, n_in, n_out, rows, size, _LINEAR if last else code)
                if library and not last:
                    _library_activation(hidden, b, unit, n_out, rows, code)
                h, h_at = hidden, z_at
                at, unit = at + (n_in + 1) * n_out, unit + n_out
            for j in range(sizes[n_layers]):
                for r in range(m):
                    output[c, j, start + r] = hidden[b, unit - sizes[n_layers] + j, r]


@jit
def backward(w, x, hidden, output_grad, g, delta, first, n_rows, sizes, code):
    """Add to g, (chain, param) in float64, the gradient over the rows that `forward` was given last.

    `delta`, (2, unit, row), is where the gradients by two neighbouring layers are kept.
    """
    n_chains, size, n_layers = w.shape[0], x.shape[2], len(sizes) - 1
    for block in range((n_rows + size - 1) // size):
        start = block * size
        m = min(size, n_rows - start)
        rows = (m + ROWS_IN_LINE - 1) // ROWS_IN_LINE * ROWS_IN_LINE
        for c in range(n_chains):
            b = block * n_chains + c
            now, at, unit = 0, (c + 1) * w.shape[1], hidden.shape[1] - sizes[n_layers]
            for j in range(sizes[n_layers]):
                for r in range(m):
                    delta[0, j, r] = output_grad[c, j, start + r]
                for r in range(m, rows):
                    delta[0, j, r] = 0.0
            for layer in range(n_layers - 1, -1, -1):
                n_in, n_out = sizes[layer], sizes[layer + 1]
                at -= (n_in + 1) * n_out
                unit -= n_in
                d_at, below_at = now * delta.shape[1] * size, (1 - now) * delta.shape[1] * size
                if layer == 0:
                    _layer_gradient(
                        g, at, delta, d_at, x, (first + block) * n_in * size, n_in, n_out, rows, size
                    )
                else:
                    h_at = (b * hidden.shape[1] + unit) * size
                    _layer_gradient(g, at, delta, d_at, hidden, h_at, n_in, n_out, rows, size)
                    _layer_below(
                        delta, below_at, delta, d_at, w, at, hidden, h_at, n_in, n_out, rows, size, code
                    )
                    now = 1 - now
