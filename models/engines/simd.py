"""Vectors of float32 for numba kernels: `Vector`, one register of numbers, and `Tile`, rows of vectors in registers.

LLVM does not tile loops over registers by itself (plain loops are five times slower), so the kernels state it. A vector
has as many neighboring numbers as one register of this CPU (`WIDTH`); a tile is R rows of C vectors. All functions but
`host_features` are for `@njit` code. Arrays are contiguous float32 of one dimension, an index counts numbers, and
nothing is bounds-checked. NaN in gives NaN out (`minimum` and `maximum`: as the second argument).
"""

import operator
import os
from typing import Any

import llvmlite.binding as llvm
from llvmlite import ir
from numba import extending, types
from numba.core import cgutils
from numba.core.typing.templates import AbstractTemplate, infer_global
from numba.core.typing.templates import signature as typed
from numba.extending import lower_builtin, lower_cast, models, register_model

infer: Any = infer_global

intrinsic: Any = extending.intrinsic  # what it returns is called without the argument `typing`


def host_features() -> set[str]:
    """Return the features of the CPU that numba compiles for, by LLVM's names."""
    stated = os.environ.get("NUMBA_CPU_FEATURES")
    if stated is not None:
        return {word[1:] for word in stated.split(",") if word.startswith("+")}
    return {name for name, here in llvm.get_host_cpu_features().items() if here}


CPU_FEATURES = host_features()

WIDTH = 16 if "avx512f" in CPU_FEATURES else 8 if "avx" in CPU_FEATURES else 4  # numbers in a vector

REGISTERS = 32 if CPU_FEATURES & {"avx512f", "neon"} else 16  # vector registers of the CPU


_FLOAT, _INDEX = ir.FloatType(), ir.IntType(32)

_LLVM = ir.VectorType(_FLOAT, WIDTH)

_SUM = ("contract",)  # fast-math flag: a product and a sum may become one FMA

_QUOTIENT = ("arcp", "ninf")  # fast-math flags: division by a refined estimate of the reciprocal


class Vector(types.Type):
    """`WIDTH` numbers in one register."""

    def __init__(self) -> None:
        super().__init__(name=f"float32x{WIDTH}")


class Tile(types.Type):
    """`rows` by `columns` vectors, each in a register."""

    def __init__(self, rows: int, columns: int) -> None:
        self.rows, self.columns = rows, columns
        super().__init__(name=f"float32x{WIDTH}[{rows},{columns}]")


VECTOR = Vector()


@register_model(Vector)
class _VectorModel(models.PrimitiveModel):
    def __init__(self, manager, kind) -> None:
        super().__init__(manager, kind, _LLVM)


@register_model(Tile)
class _TileModel(models.PrimitiveModel):
    def __init__(self, manager, kind) -> None:
        super().__init__(manager, kind, ir.ArrayType(_LLVM, kind.rows * kind.columns))


def _pointer(context, builder, array_type, array, index):
    """Return a pointer to `array[index]`; `array` may be a pointer to its first number."""
    first = (
        array
        if isinstance(array_type, types.CPointer)
        else context.make_array(array_type)(context, builder, array).data
    )
    return builder.gep(first, [index])


def _load(builder, pointer):
    loaded = builder.load(builder.bitcast(pointer, _LLVM.as_pointer()))
    loaded.align = 4
    return loaded


def _store(builder, vector, pointer) -> None:
    builder.store(vector, builder.bitcast(pointer, _LLVM.as_pointer()), align=4)


def _splat(builder, number):
    empty = ir.Constant(_LLVM, ir.Undefined)
    first = builder.insert_element(empty, number, ir.Constant(_INDEX, 0))
    return builder.shuffle_vector(first, empty, ir.Constant(ir.VectorType(_INDEX, WIDTH), [0] * WIDTH))


def _fma(builder, x, y, z):
    kind = ir.FunctionType(_LLVM, [_LLVM] * 3)
    return builder.call(cgutils.get_or_insert_function(builder.module, kind, f"llvm.fmuladd.v{WIDTH}f32"), [x, y, z])


def _advance(builder, pointer, count: int):
    """Return the pointer plus `count` numbers."""
    return builder.gep(pointer, [ir.Constant(ir.IntType(64), count)])


@intrinsic
def data_pointer(typing, array):
    """Return a pointer to the first number, which the functions below take in place of the array: cheaper to pass."""

    def generate(context, builder, signature, args):
        return context.make_array(signature.args[0])(context, builder, args[0]).data

    return types.CPointer(types.float32)(array), generate


@intrinsic
def load_vector(typing, array, index):
    """`array[index : index + WIDTH]`."""

    def generate(context, builder, signature, args):
        return _load(builder, _pointer(context, builder, signature.args[0], *args))

    return VECTOR(array, index), generate


@intrinsic
def store(typing, array, index, vector):
    """`array[index : index + WIDTH] = vector`."""

    def generate(context, builder, signature, args):
        _store(builder, args[2], _pointer(context, builder, signature.args[0], *args[:2]))
        return context.get_dummy_value()

    return types.void(array, index, vector), generate


@intrinsic
def broadcast(typing, array, index):
    """`array[index]` in every lane."""

    def generate(context, builder, signature, args):
        return _splat(builder, builder.load(_pointer(context, builder, signature.args[0], *args)))

    return VECTOR(array, index), generate


@intrinsic
def splat(typing, number):
    """One number in every lane."""

    def generate(context, builder, signature, args):
        return _splat(builder, context.cast(builder, args[0], signature.args[0], types.float32))

    return VECTOR(number), generate


@intrinsic
def fma(typing, x, y, z):
    """`x * y + z`."""
    return VECTOR(VECTOR, VECTOR, VECTOR), lambda context, builder, signature, args: _fma(builder, *args)


def _select_by(relation: str):
    @intrinsic
    def choose(typing, x, y):
        def generate(context, builder, signature, args):
            return builder.select(builder.fcmp_ordered(relation, *args), *args)

        return VECTOR(VECTOR, VECTOR), generate

    return choose


minimum, maximum = _select_by("<"), _select_by(">")


@intrinsic
def where_negative(typing, x, yes, no):
    """`yes` where `x < 0`, else `no`."""

    def generate(context, builder, signature, args):
        return builder.select(builder.fcmp_ordered("<", args[0], ir.Constant(_LLVM, [0.0] * WIDTH)), args[1], args[2])

    return VECTOR(VECTOR, VECTOR, VECTOR), generate


@intrinsic
def absolute(typing, x):
    """`|x|`."""

    def generate(context, builder, signature, args):
        bits = ir.VectorType(_INDEX, WIDTH)
        mask = ir.Constant(bits, [0x7FFFFFFF] * WIDTH)
        return builder.bitcast(builder.and_(builder.bitcast(args[0], bits), mask), _LLVM)

    return VECTOR(VECTOR), generate


@intrinsic
def reduce_sum(typing, x):
    """Return the sum of the vector's numbers, one float32."""

    def generate(context, builder, signature, args):
        kind = ir.FunctionType(_FLOAT, [_FLOAT, _LLVM])
        add = cgutils.get_or_insert_function(builder.module, kind, f"llvm.vector.reduce.fadd.v{WIDTH}f32")
        return builder.call(add, [ir.Constant(_FLOAT, -0.0), args[0]], fastmath=("reassoc",))

    return types.float32(VECTOR), generate


@lower_cast(types.Float, Vector)
@lower_cast(types.Integer, Vector)
def _number_to_vector(context, builder, source, target, value):
    return _splat(builder, context.cast(builder, value, source, types.float32))


def _arithmetic(build, *operations) -> None:
    """Define operators (`+` and `+=`, ...) between two vectors, or a vector and a number."""

    class Arithmetic(AbstractTemplate):
        def generic(self, args, kws):
            if VECTOR in args and all(isinstance(a, Vector | types.Number) for a in args):
                return typed(VECTOR, VECTOR, VECTOR)
            return None

    for operation in operations:
        infer(operation)(type(operation.__name__, (Arithmetic,), {}))
        lower_builtin(operation, Vector, Vector)(lambda context, builder, signature, args: build(builder, *args))


_arithmetic(lambda builder, x, y: builder.fadd(x, y, flags=_SUM), operator.add, operator.iadd)

_arithmetic(lambda builder, x, y: builder.fsub(x, y, flags=_SUM), operator.sub, operator.isub)

_arithmetic(lambda builder, x, y: builder.fmul(x, y, flags=_SUM), operator.mul, operator.imul)

_arithmetic(lambda builder, x, y: builder.fdiv(x, y, flags=_QUOTIENT), operator.truediv, operator.itruediv)


def _tile_type(rows, columns) -> Tile | None:
    """Return the tile type of two literal counts."""
    if isinstance(rows, types.IntegerLiteral) and isinstance(columns, types.IntegerLiteral):
        return Tile(rows.literal_value, columns.literal_value)
    return None


def _tile(builder, kind: Tile, vector_at):
    """Build a tile whose vector in row r, column c is `vector_at(r, c)`."""
    value = ir.Constant(ir.ArrayType(_LLVM, kind.rows * kind.columns), ir.Undefined)
    for place in range(kind.rows * kind.columns):
        value = builder.insert_value(value, vector_at(*divmod(place, kind.columns)), place)
    return value


@intrinsic(prefer_literal=True)
def broadcast_tile(typing, array, index, rows, columns):
    """Row r is `array[index + r]` in every lane; `rows` and `columns` are literal."""
    kind = _tile_type(rows, columns)

    def generate(context, builder, signature, args):
        kind = signature.return_type
        first = _pointer(context, builder, signature.args[0], *args[:2])
        numbers = [_splat(builder, builder.load(_advance(builder, first, row))) for row in range(kind.rows)]
        return _tile(builder, kind, lambda row, column: numbers[row])

    return None if kind is None else (kind(array, index, rows, columns), generate)


@intrinsic(prefer_literal=True)
def load_tile(typing, array, index, stride, rows, columns):
    """Row r is read from `array[index + r * stride :]`; `rows` and `columns` are literal."""
    kind = _tile_type(rows, columns)

    def generate(context, builder, signature, args):
        kind = signature.return_type
        _, index, stride = args[:3]
        starts = []
        for row in range(kind.rows):
            shift = builder.mul(stride, ir.Constant(stride.type, row))
            starts.append(_pointer(context, builder, signature.args[0], args[0], builder.add(index, shift)))
        return _tile(builder, kind, lambda row, column: _load(builder, _advance(builder, starts[row], column * WIDTH)))

    return None if kind is None else (kind(array, types.int64, types.int64, rows, columns), generate)


@intrinsic
def store_tile(typing, array, index, stride, tile):
    """Row r is written to `array[index + r * stride :]`."""

    def generate(context, builder, signature, args):
        _, index, stride, value = args
        for row in range(tile.rows):
            shift = builder.mul(stride, ir.Constant(stride.type, row))
            start = _pointer(context, builder, signature.args[0], args[0], builder.add(index, shift))
            for column in range(tile.columns):
                vector = builder.extract_value(value, row * tile.columns + column)
                _store(builder, vector, _advance(builder, start, column * WIDTH))
        return context.get_dummy_value()

    return types.void(array, types.int64, types.int64, tile), generate


def _fma_each(builder, kind: Tile, value, rows, columns):
    """Build the tile `value[r, c] + rows[r] * columns[c]` from one vector per row and one per column."""

    def vector_at(row, column):
        return _fma(builder, rows[row], columns[column], builder.extract_value(value, row * kind.columns + column))

    return _tile(builder, kind, vector_at)


@intrinsic
def fma_broadcast(typing, tile, weights, w, array, x):
    """The inner step of a convolution: `tile[r, c] += weights[w + r] * array[x + c * WIDTH :]`."""

    def generate(context, builder, signature, args):
        value, _, w, _, x = args
        first = _pointer(context, builder, signature.args[1], args[1], w)
        start = _pointer(context, builder, signature.args[3], args[3], x)
        vectors = [_load(builder, _advance(builder, start, column * WIDTH)) for column in range(tile.columns)]
        numbers = [_splat(builder, builder.load(_advance(builder, first, row))) for row in range(tile.rows)]
        return _fma_each(builder, tile, value, numbers, vectors)

    return tile(tile, weights, w, array, x), generate


@intrinsic
def add_tiles(typing, x, y):
    """`x + y` of two tiles of one shape."""

    def generate(context, builder, signature, args):
        return _by_vector(builder, x, args, lambda x, y: builder.fadd(x, y, flags=_SUM))

    return (x(x, y), generate) if x == y else None


@intrinsic
def fma_tiles(typing, x, y, z):
    """`x * y + z`, vector by vector, of three tiles of one shape."""

    def generate(context, builder, signature, args):
        return _by_vector(builder, x, args, lambda x, y, z: _fma(builder, x, y, z))

    return (x(x, y, z), generate) if x == y == z else None


def _by_vector(builder, kind: Tile, tiles, build):
    """Build a tile vector by vector from the vectors in the same place of other tiles."""

    def vector_at(row, column):
        place = row * kind.columns + column
        return build(*(builder.extract_value(tile, place) for tile in tiles))

    return _tile(builder, kind, vector_at)


@intrinsic
def fma_strided(typing, tile, weights, w, stride, array, x):
    """`tile[r, c] += weights[w + r * stride] * array[x + c * WIDTH :]`."""

    def generate(context, builder, signature, args):
        value, _, w, stride, _, x = args
        first = _pointer(context, builder, signature.args[1], args[1], w)
        start = _pointer(context, builder, signature.args[4], args[4], x)
        vectors = [_load(builder, _advance(builder, start, column * WIDTH)) for column in range(tile.columns)]
        places = [builder.gep(first, [builder.mul(stride, ir.Constant(stride.type, row))]) for row in range(tile.rows)]
        numbers = [_splat(builder, builder.load(place)) for place in places]
        return _fma_each(builder, tile, value, numbers, vectors)

    return tile(tile, weights, types.int64, types.int64, array, types.int64), generate


@intrinsic
def fma_outer(typing, tile, array, offsets, r, t, x, stride):
    """`tile[i, j] += array[offsets[r + i] + t :] * array[x + j * stride :]`: every row times every column."""

    def generate(context, builder, signature, args):
        value, _, _, r, t, x, stride = args

        def vector(index):
            return _load(builder, _pointer(context, builder, signature.args[1], args[1], index))

        first = _pointer(context, builder, signature.args[2], args[2], r)
        rows = [vector(builder.add(builder.load(_advance(builder, first, row)), t)) for row in range(tile.rows)]
        shifts = [builder.mul(stride, ir.Constant(stride.type, column)) for column in range(tile.columns)]
        columns = [vector(builder.add(x, shift)) for shift in shifts]
        return _fma_each(builder, tile, value, rows, columns)

    return tile(tile, array, offsets, types.int64, types.int64, types.int64, types.int64), generate
