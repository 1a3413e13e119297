"""Feeder: voices for many live streams in packets at the pace of real time, as a source of the network brings them."""

import threading
import time
from functools import cache

import numpy as np
from numpy.typing import NDArray

from rtemo.api import StreamWriter
from rtemo.dsp.voice import nonsense
from rtemo.engine.engine import Engine

_VOICES = 16
_VOICE_S = 20.0
_APART = 4567  # samples between the places at which two streams are


class Feeder(threading.Thread):
    """Feeds as many streams as it is told to, until it is stopped.

    Args:
        engine: Where to; it runs live.
        streams: How many at first.
        packet_s: Sound of a packet.
        prefill_s: Sound that the engine keeps in hand of each stream against jitter.

    Attributes:
        wanted: How many streams there are to be from the next packet on; the newest are opened, the oldest end.
        writers: Those that are open. Read it when the feeder has ended.
    """

    def __init__(self, engine: Engine, streams: int, packet_s: float = 0.02, prefill_s: float = 0.04) -> None:
        super().__init__(name="rtemo-feeder", daemon=True)
        self.wanted = streams
        self.writers: list[StreamWriter] = []
        self._engine = engine
        self._packet_s = packet_s
        self._packet_samples = round(packet_s * engine.format.sample_rate_hz)
        self._prefill_s = prefill_s
        self._opened = 0
        self._over = threading.Event()
        self._sounds = [_voice(seed, engine.format.sample_rate_hz) for seed in range(_VOICES)]

    def stop(self) -> None:
        """End it; the streams stay open."""
        self._over.set()
        self.join()

    def run(self) -> None:
        """Feed until it is stopped."""
        size = self._packet_samples
        start_s = time.perf_counter()
        packet = 0
        while not self._over.is_set():
            self._open_and_end()
            for number, writer in enumerate(self.writers):
                sound = self._sounds[number % _VOICES]
                at = (packet * size + _APART * number) % (sound.size - size)
                writer.write(sound[at : at + size])
            packet += 1
            time.sleep(max(0.0, start_s + packet * self._packet_s - time.perf_counter()))

    def _open_and_end(self) -> None:
        while len(self.writers) < self.wanted:
            self.writers.append(self._engine.open_stream(f"call-{self._opened}", "0", prefill_s=self._prefill_s))
            self._opened += 1
        while len(self.writers) > self.wanted:
            self.writers.pop(0).end("end")


@cache
def _voice(seed: int, rate_hz: int) -> NDArray[np.float32]:
    return nonsense(_VOICE_S, rate_hz, seed)
