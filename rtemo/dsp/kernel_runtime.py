"""What of Numba a kernel needs that was compiled before: a small part of what compiling one needs.

Numba loads all that it can compile before it reads the first kernel from disk: 60 MB of modules, a quarter of SciPy
among them. Reading takes the helper functions that kernels call; where one must be compiled, Numba loads the rest.
"""

import hashlib
import pickle
from collections.abc import Callable, Iterable
from typing import Any, cast

import llvmlite
import numba
from llvmlite import binding
from numba.core import runtime

_runtime, _binding = cast(Any, runtime), cast(Any, binding)  # how much of them is typed differs by release

_NAME = "numba.runtime"


def prepare(target_context: Any, kept: Callable[[str], Iterable[bytes]], keep: Callable[[str, bytes], str]) -> None:
    """Make a target context fit for kernels that were compiled before; does nothing the second time.

    Numba's own helper functions are compiled at every start, which brings 20 MB of its compiler into memory; they are
    kept on disk, too. In a release of Numba that is built otherwise, everything is loaded as Numba does it.

    Args:
        target_context: Of Numba's CPU target; its compiler lock is held.
        kept: Gives what was kept under a name.
        keep: Keeps something under a name; gives what went wrong.
    """
    system = _runtime.rtsys
    if getattr(system, "_init", False):
        return
    try:
        _lend(target_context, system, kept, keep)
    except (AttributeError, ImportError, TypeError, ValueError, RuntimeError, pickle.UnpicklingError):
        target_context.refresh()


def _lend(
    target_context: Any, system: Any, kept: Callable[[str], Iterable[bytes]], keep: Callable[[str, bytes], str]
) -> None:
    from numba.core.runtime import nrt, nrtdynmod

    helpers = cast(Any, nrt)._nrt.c_helpers
    for name in helpers:
        _binding.add_symbol(name if name.startswith("_") else f"NRT_{name}", helpers[name])
    codegen = target_context.codegen()
    facts = repr((numba.__version__, llvmlite.__version__, codegen.magic_tuple()))
    file_name = f"{_NAME}-0-{hashlib.sha256(facts.encode()).hexdigest()[:20]}.kernel"
    payload = next(iter(kept(file_name)), None)
    if payload is None:
        module, library = cast(Any, nrtdynmod).create_nrt_module(target_context)
        library.enable_object_caching()
        library.add_ir_module(module)
        library.finalize()
        keep(file_name, pickle.dumps(library.serialize_using_object_code()))
    else:
        library = codegen.unserialize_library(pickle.loads(payload))
    system._library = library
    system._init = True
