"""Every system under one roof: a function from a noisy clip to an enhanced one, in step with it."""

import hashlib
import importlib
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

import rtemo.dsp
import rtemo_plugins
import rtemo_weights
from bench.quality.enhancement.metrics import aligned
from bench.quality.enhancement.peers import PEERS, stream_through
from rtemo.api import RtemoError
from rtemo.config import Config, load_config
from rtemo.engine import registry
from rtemo.runtime.store import find
from rtemo.session import Session

Sound = NDArray[np.float32]
RATE_HZ = 16_000
UNPROCESSED, MERIT = "unprocessed", "merit"
DEFAULT = (UNPROCESSED, *PEERS, MERIT)
_PATIENCE_S = 120.0


@dataclass(frozen=True)
class System:
    """One enhancer.

    Attributes:
        enhance: From float32 [k] at 16 kHz to as many, its own delay removed.
        hop_ms: Audio it takes at a time; 0 when unknown.
        latency_ms: Algorithmic latency: the hop it waits for plus the delay of its output; NaN when unknown.
        fingerprint: Changes when its results may; empty when that cannot be told, and then nothing is cached.
    """

    name: str
    enhance: Callable[[Sound], Sound]
    hop_ms: float
    latency_ms: float
    fingerprint: str


def open_system(name: str, peers: Path | None = None, config: Path | None = None) -> System:
    """Open a system.

    Args:
        name: `unprocessed`, a name in `PEERS`, `merit`, or `module:function` for anything else. The function maps
            float32 [k] to float32 [k]; it may carry `delay_samples` (by which its output lags; 0), and `version`
            (text that names what it runs; without it nothing is cached).
        peers: Folder of the peers' graphs.
        config: Configuration for `merit`; the default chain otherwise.

    Raises:
        RtemoError: There is no such system, or what it needs is missing.
    """
    if name == UNPROCESSED:
        return System(name, lambda samples: samples, 0.0, 0.0, "1")
    if name in PEERS:
        return _open_peer(name, peers)
    if name == MERIT:
        product = Product(config)
        return System(name, product, 10.0, 10.0 + product.latency_ms, product.fingerprint)
    if ":" in name:
        return _open_function(name)
    raise RtemoError(f"there is no system {name!r}", f"choose of {', '.join(DEFAULT)}, or give module:function")


def _open_peer(name: str, folder: Path | None) -> System:
    if folder is None:
        raise RtemoError(f"{name} needs its graphs", "give their folder with --peers")
    try:
        peer = PEERS[name](folder)
    except ModuleNotFoundError as error:
        raise RtemoError(f"{name} needs the package {error.name}", "install rtemo[bench]") from None
    except OSError as error:
        raise RtemoError(f"the graphs of {name} cannot be read ({error})", "give their folder with --peers") from None
    rate_khz = peer.rate_hz / 1000
    delay_samples = peer.delay_samples * RATE_HZ // peer.rate_hz

    def enhance(samples: Sound) -> Sound:
        return aligned(lambda x: stream_through(peer, x), samples, delay_samples)

    latency_ms = (peer.hop_samples + peer.delay_samples) / rate_khz
    return System(name, enhance, peer.hop_samples / rate_khz, latency_ms, peer.fingerprint)


def _open_function(name: str) -> System:
    module, _, attribute = name.partition(":")
    try:
        function = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise RtemoError(
            f"{name} cannot be imported ({error})", "give module:function, with the module on the path"
        ) from None
    delay_samples = int(getattr(function, "delay_samples", 0))
    return System(
        name,
        lambda samples: aligned(function, samples, delay_samples),
        0.0,
        float("nan"),
        str(getattr(function, "version", "")),
    )


class Product:
    """Clips through rtemo itself: one session in freewheel, one stream after the other, what `on_audio` gives.

    Args:
        config: A configuration; by default the default chain, with `merit` in the place of `emotion`.
    """

    def __init__(self, config: Path | None = None) -> None:
        self.config = load_config(config) if config else merit_config()
        plugins = [registry.make(name, self.config.plugins.get(name)) for name in self.config.chain]
        self.latency_ms = sum(p.spec.latency_samples for p in plugins) / (RATE_HZ / 1000)
        self._session: Session | None = None
        self._lock = threading.Lock()
        self._hops: list[tuple[int, Sound]] = []
        self._count = 0

    @property
    def fingerprint(self) -> str:
        """Digest of the configuration, of the weights it names, and of the code that runs and the installed weights."""
        sha = hashlib.sha256(msgspec.json.encode(self.config))
        for package in (rtemo.dsp.__path__[0], rtemo_plugins.__path__[0], rtemo_weights.__path__[0]):
            for path in sorted(Path(package).rglob("*")):
                if path.is_file() and path.suffix in (".py", ".json", ".onnx"):
                    sha.update(path.read_bytes())
        for options in self.config.plugins.values():
            for key, value in options.items():
                if key.endswith("bundle"):
                    sha.update(find(value).card.sha256.encode())
        return sha.hexdigest()[:12]

    def __call__(self, samples: Sound) -> Sound:
        """Enhance a clip from the state of a fresh stream.

        Raises:
            RtemoError: The engine did not finish.
        """
        session = self._open()
        with self._lock:
            self._hops = []
        stream = session.stream(f"clip-{self._count}")
        self._count += 1
        stream.push(samples)
        stream.end()
        if not session.wait(_PATIENCE_S):
            raise RtemoError("the engine does not finish a clip", "look at its events")
        out = np.zeros(samples.size, np.float32)
        with self._lock:
            for start, hop in self._hops:
                begin, end = max(0, start), min(samples.size, start + hop.size)
                if begin < end:
                    out[begin:end] = hop[begin - start : end - start]
        return out

    def _open(self) -> Session:
        if self._session is None:
            self._session = Session(self.config, mode="freewheel", on_audio=self._take)
            self._session.start()
        return self._session

    def _take(self, call: str, channel: str, start_sample: int, samples: Sound) -> None:
        with self._lock:
            self._hops.append((start_sample, samples))

    def close(self) -> None:
        """Stop the session."""
        if self._session is not None:
            self._session.stop()
            self._session = None


def merit_config() -> Config:
    """Give the default configuration with `merit` in the chain.

    Raises:
        RtemoError: The plugin is not installed.
    """
    if MERIT not in registry.installed():
        raise RtemoError("the plugin merit is not installed", "install rtemo again, or leave out this system")
    config = Config()
    if MERIT in config.chain:
        return config
    chain = [name for name in config.chain if name != "emotion"]
    return msgspec.structs.replace(config, chain=(*chain, MERIT))
