"""Streaming enhancers one would pick instead: each one thread, hop by hop, with explicit state.

| name | what | graph or package |
|---|---|---|
| `dtln` | DTLN (Westhausen & Meyer 2020), magnitude mask, then mask in a learned space | dtln_1.onnx, dtln_2.onnx |
| `gtcrn` | GTCRN (Rong et al. 2024), complex mask on grouped bands | gtcrn_stream.onnx |
| `ulunas` | UL-UNAS, a searched network of the same family | ulunas_stream.onnx |
| `webrtc` | the Wiener filter of WebRTC, level high, without gain control | webrtc-noise-gain |
| `rnnoise` | RNNoise at 48 kHz; the rate is converted without delay, which is kind to it | pyrnnoise |
"""

import hashlib
from importlib.metadata import version
from pathlib import Path
from typing import Any, ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

Sound = NDArray[np.float32]


class Peer(Protocol):
    """One stream of an enhancer."""

    rate_hz: ClassVar[int]
    hop_samples: ClassVar[int]
    delay_samples: ClassVar[int]
    """By how many samples the output lags the input when hops are handed over without waiting, at `rate_hz`."""

    @property
    def fingerprint(self) -> str:
        """Changes when the weights or the package do."""

    def reset(self) -> None:
        """Begin a new stream."""

    def process(self, hop: Sound) -> Sound:
        """Take float32 [hop_samples] and give as many."""


class Dtln:
    """Two small LSTM networks one after the other, overlap-add of 512 samples without a window.

    Args:
        folder: Where the graphs are.
    """

    rate_hz = 16_000
    hop_samples = 128
    delay_samples = 384
    frame_samples = 512

    def __init__(self, folder: Path) -> None:
        paths = [folder / "dtln_1.onnx", folder / "dtln_2.onnx"]
        self._first, self._second = (open_graph(path) for path in paths)
        self.fingerprint = digest_of(*paths)
        self.reset()

    def reset(self) -> None:
        """Begin a new stream."""
        self._input = np.zeros(self.frame_samples, np.float32)
        self._output = np.zeros(self.frame_samples, np.float32)
        self._states = [np.zeros((1, 2, 128, 2), np.float32) for _ in range(2)]

    def process(self, hop: Sound) -> Sound:
        """Take float32 [128] and give as many."""
        size = self.hop_samples
        self._input[:-size] = self._input[size:]
        self._input[-size:] = hop
        spectrum = np.fft.rfft(self._input)
        magnitude = np.abs(spectrum).astype(np.float32)[None, None]
        mask, self._states[0] = self._first.run(None, {"input_2": magnitude, "input_3": self._states[0]})
        estimate = np.fft.irfft(spectrum * mask[0, 0]).astype(np.float32)[None, None]
        block, self._states[1] = self._second.run(None, {"input_4": estimate, "input_5": self._states[1]})
        self._output[:-size] = self._output[size:]
        self._output[-size:] = 0.0
        self._output += block[0, 0]
        return self._output[:size].copy()


class SpectralPeer:
    """A network from one complex spectrum to another, hop 256 of 512.

    Args:
        folder: Where the graph is.
    """

    rate_hz = 16_000
    hop_samples = 256
    delay_samples = 256
    frame_samples = 512
    file: ClassVar[str]
    analysis: ClassVar[Sound]
    synthesis: ClassVar[Sound]
    """Includes the division by the sum of products, so that an unchanged spectrum gives the input back."""

    def __init__(self, folder: Path) -> None:
        self._session = open_graph(folder / self.file)
        self.fingerprint = digest_of(folder / self.file)
        self.reset()

    def reset(self) -> None:
        """Begin a new stream."""
        self._input = np.zeros(self.frame_samples, np.float32)
        self._overlap = np.zeros(self.frame_samples, np.float32)
        self._states = {i.name: np.zeros(i.shape, np.float32) for i in self._session.get_inputs() if i.name != "mix"}

    def process(self, hop: Sound) -> Sound:
        """Take float32 [256] and give as many."""
        size = self.hop_samples
        self._input[:-size] = self._input[size:]
        self._input[-size:] = hop
        spectrum = np.fft.rfft(self._input * self.analysis).astype(np.complex64)
        out = self._enhanced(spectrum)
        self._overlap[:-size] = self._overlap[size:]
        self._overlap[-size:] = 0.0
        self._overlap += np.fft.irfft(out).astype(np.float32) * self.synthesis
        return self._overlap[:size].copy()

    def _enhanced(self, spectrum: NDArray[np.complex64]) -> NDArray[np.complex64]:
        mix = spectrum.view(np.float32).reshape(1, 257, 1, 2)
        enhanced, *states = self._session.run(None, {"mix": mix, **self._states})
        self._states = dict(zip(self._states, states, strict=True))
        return np.ascontiguousarray(enhanced).reshape(257, 2).view(np.complex64)[:, 0]


def _hann(size: int) -> NDArray[np.float64]:
    return np.asarray(0.5 - 0.5 * np.cos(2 * np.pi * np.arange(size) / size))


def _synthesis(window: NDArray[np.float64], hop: int) -> Sound:
    return (window / np.resize((window**2).reshape(-1, hop).sum(0), window.size)).astype(np.float32)


class Gtcrn(SpectralPeer):
    """GTCRN, square root of a Hann window on both sides."""

    file = "gtcrn_stream.onnx"
    analysis = np.sqrt(_hann(512)).astype(np.float32)
    synthesis = _synthesis(np.sqrt(_hann(512)), 256)


class UlUnas(SpectralPeer):
    """UL-UNAS, a Hann window on both sides."""

    file = "ulunas_stream.onnx"
    analysis = _hann(512).astype(np.float32)
    synthesis = _synthesis(_hann(512), 256)


class WebRtc:
    """The noise suppressor of WebRTC, level high (3 of 4), no gain control."""

    rate_hz = 16_000
    hop_samples = 160
    delay_samples = 96

    def __init__(self, folder: Path) -> None:
        from webrtc_noise_gain import AudioProcessor

        self._make: Any = AudioProcessor
        self.fingerprint = version("webrtc-noise-gain")
        self.reset()

    def reset(self) -> None:
        """Begin a new stream."""
        self._processor = self._make(0, 3)

    def process(self, hop: Sound) -> Sound:
        """Take float32 [160] and give as many."""
        pcm = (np.clip(hop, -1, 1) * 32767).astype("<i2")
        return np.frombuffer(self._processor.Process10ms(pcm.tobytes()).audio, "<i2").astype(np.float32) / 32768


class RnNoise:
    """RNNoise, whose samples have the scale of 16-bit integers."""

    rate_hz = 48_000
    hop_samples = 480
    delay_samples = 960

    def __init__(self, folder: Path) -> None:
        import ctypes

        from pyrnnoise import rnnoise

        self._library: Any = rnnoise
        self._float_p = ctypes.POINTER(ctypes.c_float)
        self._state: Any = None
        self.fingerprint = version("pyrnnoise")
        self.reset()

    def reset(self) -> None:
        """Begin a new stream."""
        self.close()
        self._state = self._library.create()

    def process(self, hop: Sound) -> Sound:
        """Take float32 [480] at 48 kHz and give as many."""
        frame = np.ascontiguousarray(hop * 32768, np.float32)
        pointer = frame.ctypes.data_as(self._float_p)
        self._library.lib.rnnoise_process_frame(self._state, pointer, pointer)
        return frame / np.float32(32768)

    def close(self) -> None:
        """Free the state, which the library holds."""
        if self._state is not None:
            self._library.destroy(self._state)
        self._state = None

    def __del__(self) -> None:
        if hasattr(self, "_state"):
            self.close()


PEERS: dict[str, type[Any]] = {"webrtc": WebRtc, "rnnoise": RnNoise, "dtln": Dtln, "gtcrn": Gtcrn, "ulunas": UlUnas}
"""Name → class, in the order of the tables."""


def stream_through(peer: Peer, samples: Sound) -> Sound:
    """Run a clip at 16 kHz hop by hop from a fresh state; the delay of the peer is still in it."""
    from scipy.signal import resample_poly

    up = peer.rate_hz // 16_000
    x = samples if up == 1 else resample_poly(samples, up, 1).astype(np.float32)
    x = np.pad(x, (0, -x.size % peer.hop_samples))
    peer.reset()
    y = np.concatenate([peer.process(hop) for hop in x.reshape(-1, peer.hop_samples)])
    return (y if up == 1 else resample_poly(y, 1, up).astype(np.float32))[: samples.size]


def open_graph(path: Path) -> Any:
    """Open a graph on one thread that does not spin while it waits."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(path.read_bytes(), options, providers=["CPUExecutionProvider"])


def digest_of(*paths: Path) -> str:
    """Name of the content of files."""
    sha = hashlib.sha256()
    for path in paths:
        sha.update(path.read_bytes())
    return sha.hexdigest()[:12]
