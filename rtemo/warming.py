"""Warming: have every kernel of a chain compiled, by all processors, and say how far it is."""

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType

import msgspec
import numpy as np

from rtemo.config import Config
from rtemo.dsp import kernel, kernel_cache
from rtemo.dsp.warmup import WarmUp, compile_kernels
from rtemo.engine.demand import take_all
from rtemo.engine.engine import Engine
from rtemo.engine.registry import make
from rtemo.runtime.store import ModelStore
from rtemo.side_compiler import SideCompilers

_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class WarmProgress:
    """How far the compiling of kernels is.

    Attributes:
        ready: Kernels that are compiled or were read from the cache; at the end those alone that this process uses, the
            same number at every start.
        total: Kernels that the chain and what was loaded with it define; a few may turn out not to be needed.
        is_over: Whether this is the last report: nothing is left to compile.
    """

    ready: int
    total: int
    is_over: bool = False

    def __str__(self) -> str:
        if self.is_over:
            return f"{self.ready} kernels ready"
        return f"compiling kernels, once: {self.ready} of {self.total}"


OnProgress = Callable[[WarmProgress], None]
"""Called on the thread that warms up and on others, one call at a time; never when all kernels come from the cache."""


class Warming:
    """While this is entered, kernels that are missing are compiled by all processors, and progress is told.

    Args:
        config: The chain that is about to be opened.
        on_progress: Receives how far it is.

    Attributes:
        result: What was done, after it was left.
    """

    def __init__(self, config: Config, on_progress: OnProgress | None = None) -> None:
        self._config = config
        self._on_progress = on_progress
        self._lock = threading.Lock()
        self._compiled: set[str] = set()
        self._loaded: set[str] = set()
        self._compiled_elsewhere: set[str] = set()  # some of which nobody here needs
        self._side: SideCompilers | None = None
        self._start_s = 0.0
        self.result = WarmUp(0, 0, 0, 0.0)

    def __enter__(self) -> "Warming":
        self._start_s = time.perf_counter()
        kernel_cache.watchers.append(self._watch)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        kernel_cache.watchers.remove(self._watch)
        if self._side is not None:
            self._side.stop()
        with self._lock:
            ready = (self._compiled | self._loaded) & _defined()
            cached = ready - self._compiled - self._compiled_elsewhere
            count = len(ready)
            took_s = time.perf_counter() - self._start_s
            self.result = WarmUp(count, count - len(cached), len(cached), took_s, kernel_cache.problem)
            if self._side is not None and error is None:
                _logger.log(logging.WARNING if self.result.problem else logging.INFO, "%s", self.result)
                self._tell(WarmProgress(count, count, is_over=True))

    def _watch(self, names: frozenset[str], step: kernel_cache.Step) -> None:
        with self._lock:
            if step == "missing":
                if self._side is None:
                    # Who is not told otherwise would take a first start for one that hangs.
                    level = logging.WARNING if self._on_progress is None else logging.INFO
                    _logger.log(level, "rtemo compiles its kernels, once: up to a minute; `rtemo warm` does it ahead")
                    self._side = SideCompilers(self._config, self._compiled_beside)
                    self._tell(self._progress())
                return
            (self._loaded if step == "loaded" else self._compiled).update(names)
            if self._side is not None:
                self._tell(self._progress())

    def _compiled_beside(self, names: frozenset[str]) -> None:
        with self._lock:
            self._compiled_elsewhere |= names
            self._tell(self._progress())

    def _progress(self) -> WarmProgress:
        defined = _defined()
        ready = (self._compiled | self._loaded | self._compiled_elsewhere) & defined
        return WarmProgress(len(ready), len(defined))

    def _tell(self, progress: WarmProgress) -> None:
        if self._on_progress is not None:
            self._on_progress(progress)


def _defined() -> set[str]:
    return {dispatcher._cache.name for dispatcher in kernel.dispatchers}


def warm(config: Config | None = None, on_progress: OnProgress | None = None) -> WarmUp:
    """Compile every kernel of a chain and keep it on disk, so that a later `Session.start` takes a second.

    For programs that must start within a time limit, called ahead: at the start of the program, in a thread, or when an
    image is built. It opens the chain, runs it once and closes it again; no audio, socket or device is touched.

    Args:
        config: The chain; the default one when None.
        on_progress: Receives how far it is, as in `Session`.

    Returns:
        How many kernels are ready, how many of them had to be compiled, and why none can be kept, if so.

    Raises:
        RtemoError: The chain cannot be opened.
    """
    config = config or Config()
    with Warming(config, on_progress) as warming:
        plugins = [make(name, config.plugins.get(name)) for name in config.chain]
        compile_kernels(("resample",))
        _warm_edges()
        options = msgspec.structs.replace(config.engine, owns_process=False)
        engine = Engine(plugins, options, open_store=ModelStore, on_audio=take_all)
        try:
            engine.open()
        finally:
            engine.stop("warmed")
    return warming.result


def _warm_edges() -> None:
    """Compile what sources and sinks bring along: the converters of the ingest, the rings of sound devices."""
    from rtemo.dsp.resample_rows import RowResampler
    from rtemo.io.sinks.play_ring import PlayRing
    from rtemo.io.sources.capture_ring import CaptureRing

    RowResampler(8_000, 16_000, 1).process(np.zeros(1, np.int64), np.zeros((1, 160), np.float32))
    for ring in (CaptureRing(1, 16), PlayRing(1, 16, 0)):
        assert ring.callback_address
