"""How long after the end of a turn its text is there, at the pace of real time."""

import threading
import time
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from bench.quality.words.clips import RATE_HZ
from bench.quality.words.systems import config_of
from rtemo.api import SpeechEnd, Transcript
from rtemo.session import Session

_PACKET = RATE_HZ // 50


def delays(sounds: Sequence[NDArray[np.float32]], streams: int) -> tuple[list[float], list[float], float]:
    """Play clips to so many streams at once, one after the other on each.

    Returns:
        Seconds from the end of each turn's speech to its final text, seconds from when the end was told, and the share
        of one processor that all of it took.
    """
    ends: dict[tuple[str, int], float] = {}
    after_speech, after_told = [], []
    config = config_of({}, capacity=max(4, streams))
    with Session(config, mode="live") as session:
        begun_s, busy_s = time.monotonic(), time.process_time()
        origin_ns: dict[str, int] = {}
        threads = [
            threading.Thread(target=_play, args=(session, str(k), sounds[k::streams], origin_ns))
            for k in range(streams)
        ]
        for thread in threads:
            thread.start()
        while any(thread.is_alive() for thread in threads):
            for event in session.events(0.1):
                if isinstance(event.data, SpeechEnd):
                    ends[event.call, event.end_sample] = event.emit_ns
                elif isinstance(event.data, Transcript) and event.data.is_final:
                    spoken_ns = origin_ns[event.call] + event.end_sample * 1_000_000_000 // RATE_HZ
                    after_speech.append((event.emit_ns - spoken_ns) / 1e9)
                    after_told.append((event.emit_ns - ends[event.call, event.end_sample]) / 1e9)
        load = (time.process_time() - busy_s) / (time.monotonic() - begun_s)
    return after_speech, after_told, load


def _play(session: Session, call: str, sounds: Sequence[NDArray[np.float32]], origin_ns: dict[str, int]) -> None:
    stream = session.stream(call)
    begun_s = time.monotonic()
    origin_ns[call] = time.time_ns()
    sent = 0
    for sound in sounds:
        for start in range(0, len(sound) - _PACKET + 1, _PACKET):
            stream.push(sound[start : start + _PACKET])
            sent += _PACKET
            time.sleep(max(0.0, begun_s + sent / RATE_HZ - time.monotonic()))
    time.sleep(3.0)  # for what is still to be told
    stream.end()
