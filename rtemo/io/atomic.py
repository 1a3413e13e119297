"""Atomic loads and stores of words in memory that compiled threads share without a lock.

`store_release(words, index, value)` and `load_acquire(words, index)` work on int64 arrays, within Numba kernels.
"""

from typing import Any

from numba import types
from numba.core import cgutils
from numba.extending import intrinsic


@intrinsic
def _store_release_item(typing_context: Any, words: Any, index: Any, value: Any) -> Any:
    """Store so that everything written before is seen before it, on any processor."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        pointer = _item(context, builder, signature.args[0], arguments)
        builder.store_atomic(arguments[2], pointer, ordering="release", align=8)
        return context.get_dummy_value()

    return types.void(words, types.int64, types.int64), generate


@intrinsic
def _load_acquire_item(typing_context: Any, words: Any, index: Any) -> Any:
    """Load so that everything read after is read after it, on any processor."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        pointer = _item(context, builder, signature.args[0], arguments)
        return builder.load_atomic(pointer, ordering="acquire", align=8)

    return types.int64(words, types.int64), generate


store_release: Any = _store_release_item  # numba replaces the typing context by what it knows; mypy cannot see it
load_acquire: Any = _load_acquire_item


def _item(context: Any, builder: Any, array_type: Any, arguments: Any) -> Any:
    array = context.make_array(array_type)(context, builder, arguments[0])
    get_item_pointer: Any = cgutils.get_item_pointer
    return get_item_pointer(context, builder, array_type, array, [arguments[1]])
