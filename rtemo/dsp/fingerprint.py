"""Fingerprint: a hash of everything that the machine code of a kernel is made from.

Numba compares a kernel with the time stamp of its own file, so neither a constant nor a function of another file that
was compiled into it would be seen to have changed. Here the names that a kernel uses are followed wherever they lead,
through other kernels and constants of any package, and hashed by value.
"""

import enum
import hashlib
import sys
import types
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numba
import numpy as np
from numba.core.dispatcher import Dispatcher

_VERSIONED = ("numba", "llvmlite", "numpy", "math", "builtins", "operator")
"""Packages that the versions below speak for."""

_VERSIONS = f"numba {numba.__version__}, numpy {np.__version__}, {sys.implementation.cache_tag}"

_Seen = dict[int, str]
"""Of each function met: its identity, and its name if it is a kernel."""

_texts: dict[str, bytes] = {}


def fingerprint(function: types.FunctionType, options: Mapping[str, Any]) -> tuple[bytes, frozenset[str]]:
    """Hash a kernel: its code, the values of what it uses, and the same of every kernel that it calls.

    Returns:
        The hash, and the names (module and qualified name) of the kernel and of all kernels compiled into it.

    Functions that are no kernels, such as Numba intrinsics, count with the whole text of their file, since what they
    lower to need not be reachable from their name.
    """
    digest = hashlib.sha256(_VERSIONS.encode())
    seen: _Seen = {}
    for part in _of_kernel(function, options, seen):
        digest.update(part)
        digest.update(b"\0")
    return digest.digest(), frozenset(filter(None, seen.values()))


def name_of(function: types.FunctionType) -> str:
    """Name a function by module and qualified name, without signs that file names lack."""
    return f"{function.__module__}.{function.__qualname__}".replace("<", "").replace(">", "")


def _of_kernel(function: types.FunctionType, options: Mapping[str, Any], seen: _Seen) -> Iterator[bytes]:
    yield repr(sorted(options.items(), key=str)).encode()
    yield from _of_function(function, seen)
    seen[id(function)] = name_of(function)


def _of_function(function: types.FunctionType, seen: _Seen) -> Iterator[bytes]:
    if id(function) in seen:
        return
    seen[id(function)] = ""
    yield name_of(function).encode()
    names: set[str] = set()
    yield from _of_code(function.__code__, names, function.__doc__)
    for value in (function.__defaults__, function.__kwdefaults__):
        yield from _of_value(value, seen)
    for cell in function.__closure__ or ():
        yield from _of_value(cell.cell_contents, seen)
    for name in sorted(names & function.__globals__.keys()):
        value = function.__globals__[name]
        yield name.encode()
        yield from _of_value(value, seen)
        if isinstance(value, types.ModuleType) and not _is_versioned(value.__name__):
            for attribute in sorted(names & vars(value).keys()):
                yield from _of_value(vars(value)[attribute], seen)


def _of_code(code: types.CodeType, names: set[str], doc: str | None) -> Iterator[bytes]:
    names.update(code.co_names)
    yield code.co_code
    yield repr((code.co_names, code.co_varnames, code.co_freevars, code.co_cellvars, code.co_flags)).encode()
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _of_code(constant, names, None)
        elif constant is None or constant != doc:  # an edited docstring is no reason to compile
            yield from _of_value(constant, {})


def _of_value(value: Any, seen: _Seen) -> Iterator[bytes]:
    if isinstance(value, Dispatcher):
        yield from _of_kernel(value.py_func, value.targetoptions, seen)
    elif isinstance(value, np.ndarray):
        yield f"{value.dtype.descr} {value.shape}".encode()
        yield np.ascontiguousarray(value).tobytes()
    elif value is None or isinstance(value, bool | int | float | complex | str | bytes | enum.Enum | np.generic):
        yield f"{type(value).__name__} {value!r}".encode()
    elif isinstance(value, frozenset | set):
        yield repr(sorted(map(repr, value))).encode()
    elif isinstance(value, tuple | list):
        yield f"{type(value).__qualname__} {len(value)}".encode()
        for element in value:
            yield from _of_value(element, seen)
    elif isinstance(value, dict):
        for key, element in value.items():
            yield from _of_value(key, seen)
            yield from _of_value(element, seen)
    elif isinstance(value, np.dtype | numba.types.Type):
        yield str(value).encode()
    else:
        yield from _of_definition(value, seen)


def _of_definition(value: Any, seen: _Seen) -> Iterator[bytes]:
    """Describe a function, class, module or intrinsic by where it stands, and by the text of the file if it is ours."""
    value = getattr(value, "_defn", value)  # what a Numba intrinsic wraps
    module = value.__name__ if isinstance(value, types.ModuleType) else getattr(value, "__module__", None)
    module = module or type(value).__module__
    yield f"{module}.{getattr(value, '__qualname__', '')}".encode()
    if _is_versioned(module):
        return
    yield _text(module)
    if isinstance(value, types.FunctionType):
        yield from _of_function(value, seen)


def _is_versioned(module: str) -> bool:
    return module.partition(".")[0] in _VERSIONED


def _text(name: str) -> bytes:
    """Hash the source text of a module; empty when there is none to read."""
    if name not in _texts:
        module = sys.modules.get(name)
        try:
            text = Path(str(getattr(module, "__file__", ""))).read_bytes()
        except OSError:
            loader: Any = getattr(module, "__loader__", None)
            text = (loader.get_source(name) or "").encode() if hasattr(loader, "get_source") else b""
        _texts[name] = hashlib.sha256(text).digest()
    return _texts[name]
