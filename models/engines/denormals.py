"""Numbers near zero (denormals), which many processors compute with far slower: kernels take them as zero.

A fading note or a muted input gives such numbers, and its samples would cost several times as much as others. The mode
belongs to a thread, so kernels set it when they begin and restore it when they end.
"""

import platform

from llvmlite import ir
from numba import types
from numba.core import cgutils

from models.engines.simd import intrinsic

X86 = platform.machine().lower() in ("x86_64", "amd64")

ARM = platform.machine().lower() in ("aarch64", "arm64")

FLUSH_X86 = 0x8040  # MXCSR: results (FTZ) and inputs (DAZ)

FLUSH_ARM = 1 << 24  # FPCR: both (FZ)

_INT32, _INT64 = ir.IntType(32), ir.IntType(64)


def _access_mxcsr(builder, name: str, slot) -> None:
    kind = ir.FunctionType(ir.VoidType(), [cgutils.voidptr_t])
    function = cgutils.get_or_insert_function(builder.module, kind, f"llvm.x86.sse.{name}")
    builder.call(function, [builder.bitcast(slot, cgutils.voidptr_t)])


@intrinsic
def flush_denormals(typing):
    """Take denormals as zero from now on; returns the mode before, for `restore_mode`."""

    def generate(context, builder, signature, args):
        if X86:
            slot = cgutils.alloca_once(builder, _INT32)
            _access_mxcsr(builder, "stmxcsr", slot)
            before = builder.load(slot)
            builder.store(builder.or_(before, ir.Constant(_INT32, FLUSH_X86)), slot)
            _access_mxcsr(builder, "ldmxcsr", slot)
            return builder.zext(before, _INT64)
        if ARM:
            before = builder.asm(ir.FunctionType(_INT64, []), "mrs $0, fpcr", "=r", [], side_effect=True)
            wanted = builder.or_(before, ir.Constant(_INT64, FLUSH_ARM))
            builder.asm(ir.FunctionType(ir.VoidType(), [_INT64]), "msr fpcr, $0", "r", [wanted], side_effect=True)
            return before
        return ir.Constant(_INT64, 0)

    return types.int64(), generate


@intrinsic
def restore_mode(typing, mode):
    """Set the mode that `flush_denormals` returned."""

    def generate(context, builder, signature, args):
        if X86:
            slot = cgutils.alloca_once(builder, _INT32)
            builder.store(builder.trunc(args[0], _INT32), slot)
            _access_mxcsr(builder, "ldmxcsr", slot)
        elif ARM:
            kind = ir.FunctionType(ir.VoidType(), [_INT64])
            builder.asm(kind, "msr fpcr, $0", "r", [args[0]], side_effect=True)
        return context.get_dummy_value()

    return types.void(types.int64), generate
