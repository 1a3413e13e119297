import gc
import os
import threading
import time
from pathlib import Path

import pytest

from bench.fakes.desk import FakeDesk, play
from bench.fakes.portaudio import FakePortAudio
from rtemo.io.sources.file import FileSource
from rtemo.io.sources.microphone import MicrophoneSource
from tests.fakes.sounds import chord, tone, write_sound

pytestmark = [
    pytest.mark.timed,
    pytest.mark.stress,
    pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="needs /proc to count what is open"),
]


def resident_kib() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") // 1024


def open_files() -> int:
    return len(os.listdir("/proc/self/fd"))


def test_five_hundred_files_leave_no_memory_and_no_descriptor_behind(tmp_path: Path) -> None:
    path = write_sound(tmp_path / "a.flac", chord(0.2, 44_100, 2), 44_100)
    cut = tmp_path / "cut.flac"
    cut.write_bytes(path.read_bytes()[:3_000])

    def cycle(count: int) -> None:
        for _ in range(count):
            play(FileSource(path), FakeDesk())
            play(FileSource(cut), FakeDesk())
        gc.collect()

    cycle(50)
    files, memory_kib = open_files(), resident_kib()
    cycle(250)
    assert open_files() == files
    assert resident_kib() - memory_kib < 4_096


def test_a_microphone_lost_and_found_over_and_over_leaves_no_thread_and_no_stream_behind() -> None:
    port = FakePortAudio()
    source = MicrophoneSource(backend=port, clock_ns=port.clock)
    desk = FakeDesk(is_live=True)
    source.open(desk)
    threads = threading.active_count()
    for _ in range(50):
        port.stream.play(tone(0.1, 48_000)[:, None].repeat(2, axis=1))
        lost = port.stream
        lost.is_active = False
        deadline_s = time.monotonic() + 10
        while port.stream is lost or source._outage is not None:
            port.clock.advance(0.05)
            source.pump()
            time.sleep(0.0005)
            assert time.monotonic() < deadline_s
    source.close()
    assert all(stream.is_closed for stream in port.streams)
    deadline_s = time.monotonic() + 5
    while threading.active_count() > threads and time.monotonic() < deadline_s:
        time.sleep(0.01)
    assert threading.active_count() <= threads
    assert len(port.streams) == 51
