"""Lanes: eight streams in one SIMD register, so that a kernel written for one row works on eight.

A tile of `LANES` rows is transposed once; from then on each variable of a kernel holds the same quantity of eight
streams and each operation is one vector instruction. A lane never sees its neighbours and every tile is full (spare
lanes hold zeros), so the result of a row depends neither on its place nor on the number of rows, and n = 1 takes the
same path as n = 1000. Eight float32 fill an AVX register; wider was measured to be no faster per row and twice as dear
for one stream.

Kernels use the functions of this module and the operators + - * / on registers. Arrays are [k, LANES] or their flat
form, float32 or float64, C-contiguous; index k addresses one register.
"""

import operator
from collections.abc import Callable
from typing import Any, cast

import numpy as np
from llvmlite import ir  # type: ignore[import-untyped, unused-ignore]
from numba import types
from numba.core.typing.templates import ConcreteTemplate, infer_global, signature
from numba.extending import intrinsic, lower_builtin, models, register_model

from rtemo.dsp.kernel import kernel

LANES = 8

_INT32 = ir.IntType(32)
_operation = cast(Callable[[Callable[..., Any]], Callable[..., Any]], intrinsic)  # its hints hide the lanes' types


class LaneType(types.Type):
    """Numba type of one register: `LANES` values of one floating-point type."""

    def __init__(self, scalar: Any, llvm_scalar: Any) -> None:
        self.scalar = scalar
        self.vector = ir.VectorType(llvm_scalar, LANES)
        super().__init__(name=f"{scalar}x{LANES}")


F32 = LaneType(types.float32, ir.FloatType())
F64 = LaneType(types.float64, ir.DoubleType())
_LANE_OF = {types.float32: F32, types.float64: F64}


@register_model(LaneType)
class _LaneModel(models.PrimitiveModel):
    def __init__(self, manager: Any, lane: LaneType) -> None:
        super().__init__(manager, lane, lane.vector)


def _define_operator(symbol: Callable[..., Any], instruction: str) -> None:
    @infer_global(symbol)
    class _Template(ConcreteTemplate):
        cases = (signature(F32, F32, F32), signature(F64, F64, F64))

    for lane in (F32, F64):

        @lower_builtin(symbol, lane, lane)
        def _lower(context: Any, builder: Any, sig: Any, args: Any) -> Any:
            return getattr(builder, instruction)(*args)


_define_operator(operator.add, "fadd")
_define_operator(operator.sub, "fsub")
_define_operator(operator.mul, "fmul")
_define_operator(operator.truediv, "fdiv")


def _register_pointer(context: Any, builder: Any, array_type: Any, array: Any, index: Any) -> Any:
    data = context.make_array(array_type)(context, builder, array).data
    element = builder.gep(data, [builder.mul(index, ir.Constant(index.type, LANES))])
    return builder.bitcast(element, _LANE_OF[array_type.dtype].vector.as_pointer())


def _call(builder: Any, name: str, args: Any) -> Any:
    vector = args[0].type
    suffix = f"v{LANES}f{32 if vector.element == ir.FloatType() else 64}"
    function_type = ir.FunctionType(vector, [vector] * len(args))
    full_name = f"llvm.{name}.{suffix}"
    function = builder.module.globals.get(full_name) or ir.Function(builder.module, function_type, full_name)
    return builder.call(function, args)


@_operation
def load(typing_context: Any, array: Any, index: Any) -> Any:
    """Read register `index` of a C-contiguous array [k, LANES] (or its flat form)."""

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        pointer = _register_pointer(context, builder, sig.args[0], *args)
        return builder.load(pointer, align=array.dtype.bitwidth // 8)

    return _LANE_OF[array.dtype](array, types.intp), generate


@_operation
def load_unaligned(typing_context: Any, array: Any, offset: Any) -> Any:
    """Read the `LANES` neighbouring values of a flat C-contiguous array that begin at element `offset`."""

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        data = context.make_array(sig.args[0])(context, builder, args[0]).data
        pointer = builder.bitcast(builder.gep(data, [args[1]]), sig.return_type.vector.as_pointer())
        return builder.load(pointer, align=array.dtype.bitwidth // 8)

    return _LANE_OF[array.dtype](array, types.intp), generate


@_operation
def store_unaligned(typing_context: Any, array: Any, offset: Any, value: Any) -> Any:
    """Write the lanes to `LANES` neighbouring values of a flat C-contiguous array from element `offset` on."""

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        data = context.make_array(sig.args[0])(context, builder, args[0]).data
        pointer = builder.bitcast(builder.gep(data, [args[1]]), args[2].type.as_pointer())
        builder.store(args[2], pointer, align=array.dtype.bitwidth // 8)
        return context.get_dummy_value()

    return types.void(array, types.intp, value), generate


@_operation
def transpose(
    typing_context: Any, a: Any, b: Any, c: Any, d: Any, e: Any, f: Any, g: Any, h: Any
) -> Any:  # one for each of the LANES
    """Give `LANES` registers such that lane i of register j is lane j of argument i."""

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        registers = list(args)
        distance = 1
        while distance < LANES:  # swap the off-diagonal blocks of ever larger squares
            upper = [lane if not lane & distance else LANES + lane - distance for lane in range(LANES)]
            lower = [lane + distance if not lane & distance else LANES + lane for lane in range(LANES)]
            for i in range(LANES):
                if not i & distance:
                    pair = registers[i], registers[i + distance]
                    for k, mask in ((i, upper), (i + distance, lower)):
                        lanes = ir.Constant(ir.VectorType(_INT32, LANES), mask)
                        registers[k] = builder.shuffle_vector(*pair, lanes)
            distance *= 2
        return context.make_tuple(builder, sig.return_type, registers)

    return types.UniTuple(a, LANES)(*[a] * LANES), generate


@_operation
def as_element(typing_context: Any, a: Any, array: Any) -> Any:
    """Convert lanes to the element type of `array`."""
    lane = _LANE_OF[array.dtype]

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        if lane is a:
            return args[0]
        return builder.fpext(args[0], lane.vector) if lane is F64 else builder.fptrunc(args[0], lane.vector)

    return lane(a, array), generate


@_operation
def total(typing_context: Any, a: Any) -> Any:
    """Add the lanes up, neighbours first: ((0 + 1) + (2 + 3)) + ((4 + 5) + (6 + 7))."""

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        parts = [builder.extract_element(args[0], ir.Constant(_INT32, lane)) for lane in range(LANES)]
        while len(parts) > 1:
            parts = [builder.fadd(parts[i], parts[i + 1]) for i in range(0, len(parts), 2)]
        return parts[0]

    return a.scalar(a), generate


@_operation
def store(typing_context: Any, array: Any, index: Any, value: Any) -> Any:
    """Write `value` to register `index` of a C-contiguous array [k, LANES] (or its flat form)."""

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        pointer = _register_pointer(context, builder, sig.args[0], args[0], args[1])
        builder.store(args[2], pointer, align=array.dtype.bitwidth // 8)
        return context.get_dummy_value()

    return types.void(array, types.intp, _LANE_OF[array.dtype]), generate


@_operation
def splat(typing_context: Any, scalar: Any) -> Any:
    """Put one float32 or float64 scalar into every lane."""
    lane = _LANE_OF[scalar]

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        undefined = ir.Constant(lane.vector, ir.Undefined)
        first = builder.insert_element(undefined, args[0], ir.Constant(_INT32, 0))
        zeros = ir.Constant(ir.VectorType(_INT32, LANES), [0] * LANES)
        return builder.shuffle_vector(first, undefined, zeros)

    return lane(scalar), generate


@_operation
def fma(typing_context: Any, a: Any, b: Any, c: Any) -> Any:
    """Give a * b + c with a single rounding."""
    return a(a, a, a), lambda context, builder, sig, args: _call(builder, "fma", args)


@_operation
def fms(typing_context: Any, a: Any, b: Any, c: Any) -> Any:
    """Give a * b - c with a single rounding."""

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return _call(builder, "fma", [args[0], args[1], builder.fneg(args[2])])

    return a(a, a, a), generate


@_operation
def root(typing_context: Any, a: Any) -> Any:
    """Give the square root."""
    return a(a), lambda context, builder, sig, args: _call(builder, "sqrt", args)


@_operation
def magnitude(typing_context: Any, a: Any) -> Any:
    """Give the absolute value."""
    return a(a), lambda context, builder, sig, args: _call(builder, "fabs", args)


@_operation
def where_less(typing_context: Any, a: Any, b: Any, when_less: Any, otherwise: Any) -> Any:
    """Give `when_less` in the lanes where a < b, else `otherwise` (also where either is NaN)."""

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return builder.select(builder.fcmp_ordered("<", args[0], args[1]), args[2], args[3])

    return when_less(a, a, when_less, when_less), generate


@_operation
def _binary_exponent(typing_context: Any, a: Any) -> Any:
    """Give the exponent of positive normal float32 lanes such that `_mantissa` lies in [sqrt(1/2), sqrt(2))."""

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return builder.sitofp(_shifted_exponent(builder, args[0]), F32.vector)

    return F32(F32), generate


@_operation
def _mantissa(typing_context: Any, a: Any) -> Any:
    """Give a / 2 ** `_binary_exponent`(a)."""

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        bits = builder.bitcast(args[0], ir.VectorType(_INT32, LANES))
        exponent = builder.shl(_shifted_exponent(builder, args[0]), _every(23))
        return builder.bitcast(builder.sub(bits, exponent), F32.vector)

    return F32(F32), generate


def _every(value: int) -> Any:
    return ir.Constant(ir.VectorType(_INT32, LANES), [value] * LANES)


def _shifted_exponent(builder: Any, a: Any) -> Any:
    bits = builder.bitcast(a, ir.VectorType(_INT32, LANES))
    root_half_bits = int(np.float32(np.sqrt(0.5)).view(np.int32))
    return builder.ashr(builder.sub(bits, _every(root_half_bits)), _every(23))


@kernel
def largest(a: Any, b: Any) -> Any:
    """Give the larger of a and b per lane."""
    return where_less(a, b, b, a)


@kernel
def smallest(a: Any, b: Any) -> Any:
    """Give the smaller of a and b per lane."""
    return where_less(b, a, b, a)


@kernel
def natural_log(a: Any) -> Any:
    """Give ln(a) of positive normal float32 lanes to 1 unit in the last place or so.

    The polynomial is that of Cephes' `logf` (Moshier). The C library's own may differ from machine to machine; this
    one does not.
    """
    exponent = _binary_exponent(a)
    x = _mantissa(a) - splat(np.float32(1.0))
    z = x * x
    y = splat(np.float32(7.0376836292e-2))
    y = fma(y, x, splat(np.float32(-1.1514610310e-1)))
    y = fma(y, x, splat(np.float32(1.1676998740e-1)))
    y = fma(y, x, splat(np.float32(-1.2420140846e-1)))
    y = fma(y, x, splat(np.float32(1.4249322787e-1)))
    y = fma(y, x, splat(np.float32(-1.6668057665e-1)))
    y = fma(y, x, splat(np.float32(2.0000714765e-1)))
    y = fma(y, x, splat(np.float32(-2.4999993993e-1)))
    y = fma(y, x, splat(np.float32(3.3333331174e-1)))
    y = y * x * z
    y = fma(exponent, splat(np.float32(-2.12194440e-4)), y)
    y = fma(z, splat(np.float32(-0.5)), y)
    return fma(exponent, splat(np.float32(0.693359375)), x + y)


@kernel
def _load_square(flat: Any, at: int, stride: int) -> Any:
    return transpose(
        load_unaligned(flat, at),
        load_unaligned(flat, at + stride),
        load_unaligned(flat, at + 2 * stride),
        load_unaligned(flat, at + 3 * stride),
        load_unaligned(flat, at + 4 * stride),
        load_unaligned(flat, at + 5 * stride),
        load_unaligned(flat, at + 6 * stride),
        load_unaligned(flat, at + 7 * stride),
    )


@kernel
def gather_rows(rows: Any, tile: int, live: int, registers: Any, at: int) -> None:
    """Transpose `live` rows of `rows` [n, k] from `tile` on into `registers` from `at` on; spare lanes are zero."""
    k = rows.shape[1]
    done = 0
    if live == LANES:
        flat = rows.reshape(-1)
        done = k - k % LANES
        for i in range(0, done, LANES):
            for j, x in enumerate(_load_square(flat, tile * k + i, k)):
                store(registers, at + i + j, as_element(x, registers))
    else:
        registers[at : at + k] = 0.0
    for lane in range(live):
        for i in range(done, k):
            registers[at + i, lane] = rows[tile + lane, i]


@kernel
def gather_tile(rows: Any, tile: int, registers: Any) -> Any:
    """Transpose rows tile..tile + LANES - 1 of `rows` [n, k] into `registers` [k or more, LANES].

    Spare lanes and spare registers are filled with zeros.

    Returns:
        How many lanes hold a row.
    """
    n, k = rows.shape
    live = min(LANES, n - tile)
    gather_rows(rows, tile, live, registers, 0)
    registers[k:] = 0.0
    return live


@kernel
def scatter_tile(registers: Any, tile: int, rows: Any) -> None:
    """Transpose `registers` [k or more, LANES] back into rows tile..tile + LANES - 1 of `rows` [n, k]."""
    n, k = rows.shape
    live = min(LANES, n - tile)
    done = 0
    if live == LANES:
        flat = rows.reshape(-1)
        done = k - k % LANES
        for i in range(0, done, LANES):
            for j, x in enumerate(_load_square(registers.reshape(-1), i * LANES, LANES)):
                store_unaligned(flat, (tile + j) * k + i, as_element(x, flat))
    for lane in range(live):
        for i in range(done, k):
            rows[tile + lane, i] = registers[i, lane]
