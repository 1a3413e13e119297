"""The decorators that every Numba kernel wears, and the record of all kernels."""

from collections.abc import Callable
from types import FunctionType
from typing import Any, TypeVar, cast

from numba import njit
from numba.core.ccallback import CFunc
from numba.core.dispatcher import Dispatcher
from numba.core.sigutils import normalize_signature

from rtemo.dsp.kernel_cache import KernelCache

_Function = TypeVar("_Function", bound=Callable[..., Any])

_OPTIONS: dict[str, Any] = {"nogil": True, "error_model": "numpy", "no_cfunc_wrapper": True}

dispatchers: list[Any] = []
"""Every kernel of the process, in the order of definition; `rtemo.dsp.warmup` counts what they compiled."""


def kernel(function: _Function) -> _Function:
    """Compile a function with Numba on its first call: no interpreter lock, cached on disk, no fast-math.

    Without fast-math every operation is the IEEE one, so a result depends neither on the caller that a kernel was
    inlined into nor on the machine; fused multiply-adds are written out (`lanes.fma`). `parallel=True` is never used:
    two threads that enter such kernels abort the process.
    """
    return cached(cast(_Function, njit(**_OPTIONS)(function)))


def cached(dispatcher: _Function) -> _Function:
    """Keep what a function decorated with `numba.njit` compiles on disk (`rtemo.dsp.kernel_cache`).

    For functions that need other options of Numba than `kernel` gives; leave Numba's own `cache=True` out, which does
    not see a change in another file. A changed kernel or constant that the function uses, in any package, is compiled
    anew; a cache that cannot be written is noted in `kernel_cache.problem`.
    """
    if isinstance(dispatcher, Dispatcher):  # not with NUMBA_DISABLE_JIT
        untyped: Any = dispatcher
        untyped._cache = KernelCache(untyped.py_func, untyped.targetoptions)
        dispatchers.append(dispatcher)
    return dispatcher


def callback(function: Callable[..., Any], signature: Any) -> Any:
    """Compile a function that C code is to call, or read it from the cache; like `numba.cfunc`.

    Args:
        function: What to call.
        signature: Its Numba signature.

    Returns:
        A `numba.core.ccallback.CFunc`; its `address` is what C code is given.
    """
    compiled: Any = CFunc(function, cast(Any, normalize_signature)(signature), locals={}, options={})
    compiled._cache = KernelCache(cast(FunctionType, function), {})
    compiled.compile()
    return compiled
