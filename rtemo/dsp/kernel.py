"""The decorator that every Numba kernel wears, and the record of what it compiled."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, cast

from numba import njit

_Function = TypeVar("_Function", bound=Callable[..., Any])

dispatchers: list[Any] = []
"""Every kernel of the package, in the order of definition; `rtemo.dsp.warmup` counts what they compiled."""

cache_problem = ""
"""Why kernels are compiled anew in every process, or empty when they are cached on disk."""


def kernel(function: _Function) -> _Function:
    """Compile a function with Numba on its first call: no interpreter lock, cached on disk, no fast-math.

    Without fast-math every operation is the IEEE one, so a result depends neither on the caller that a kernel was
    inlined into nor on the machine; fused multiply-adds are written out (`lanes.fma`). `parallel=True` is never used:
    two threads that enter such kernels abort the process.
    """
    global cache_problem
    try:
        dispatcher = njit(nogil=True, error_model="numpy", cache=True)(function)
    except RuntimeError as error:  # neither the package's folder nor the user's cache folder can be written
        cache_problem = str(error)
        dispatcher = njit(nogil=True, error_model="numpy")(function)
    dispatchers.append(dispatcher)
    return cast(_Function, dispatcher)


def _drop_stale_cache(folder: Path) -> None:
    """Remove cached machine code when any source of the package changed.

    Numba compares a kernel with its own file alone, so an edit to a function that it inlines from another file would
    go unnoticed.
    """
    sources = sorted(folder.glob("*.py"))
    stamp = "\n".join(f"{path.name} {path.stat().st_mtime_ns}" for path in sources)
    record = folder / "__pycache__" / "kernels.stamp"
    try:
        if record.exists() and record.read_text() == stamp:
            return
        for index in record.parent.glob("*.nbi"):
            index.unlink(missing_ok=True)
        record.parent.mkdir(exist_ok=True)
        record.write_text(stamp)
    except OSError:
        return  # an installed package that cannot be written is not edited either


_drop_stale_cache(Path(__file__).parent)
