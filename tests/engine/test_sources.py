import io
from collections import defaultdict
from pathlib import Path

import msgspec
import numpy as np
import pytest
from numpy.typing import NDArray

from rtemo.api import Source, StreamEnd
from rtemo.config import Config
from rtemo.dsp.resample import resample
from rtemo.engine.options import EngineOptions
from rtemo.io.pcm import encode_pcm
from rtemo.io.sources.file import FileSource
from rtemo.io.sources.files import FilesSource
from rtemo.io.sources.stdin import StdinSource
from rtemo.session import Session
from tests.fakes.sounds import write_sound

pytestmark = pytest.mark.engine


class Run:
    """A session with an empty chain: what came out of the engine, and how each stream ended."""

    def __init__(self, source: Source, mode: str, **engine: int) -> None:
        hops: dict[tuple[str, str], list[NDArray[np.float32]]] = defaultdict(list)
        self.starts: dict[tuple[str, str], list[int]] = defaultdict(list)

        def hear(call: str, channel: str, start_sample: int, samples: NDArray[np.float32]) -> None:
            hops[call, channel].append(samples.copy())
            self.starts[call, channel].append(start_sample)

        config = msgspec.structs.replace(Config(), chain=(), engine=EngineOptions(**engine))
        self.ends: dict[tuple[str, str], StreamEnd] = {}
        with Session(config, sources=[source], mode=mode, on_audio=hear) as session:  # type: ignore[arg-type]
            for event in session.events(timeout_s=20):
                if isinstance(event.data, StreamEnd):
                    self.ends[event.call, event.channel] = event.data
        self.audio = {key: np.concatenate(parts) for key, parts in hops.items()}


def noise(duration_s: float, rate_hz: int, seed: int) -> NDArray[np.float32]:
    return np.random.default_rng(seed).uniform(-0.9, 0.9, round(duration_s * rate_hz)).astype(np.float32)


@pytest.mark.parametrize("mode", ["freewheel", "live"])
def test_a_file_comes_out_of_the_engine_sample_for_sample_in_either_mode(tmp_path: Path, mode: str) -> None:
    samples = noise(0.73, 44_100, 1)
    run = Run(FileSource(write_sound(tmp_path / "a.wav", samples, 44_100, subtype="FLOAT")), mode)
    expected = resample(samples, 44_100, 16_000)
    heard = run.audio["a", "0"]
    assert np.array_equal(heard[: expected.shape[0]], np.clip(expected, -1, 1))
    assert not heard[expected.shape[0] :].any()
    assert run.starts["a", "0"] == list(range(0, heard.shape[0], 160))
    assert run.ends["a", "0"].reason == "end_of_file"
    counters = run.ends["a", "0"].counters
    assert (counters.source_lost_samples, counters.overrun_samples, counters.skipped_hops) == (0, 0, 0)


def test_more_files_than_the_engine_holds_are_all_worked_off_without_a_refusal(tmp_path: Path) -> None:
    written = {}
    for i in range(12):
        written[f"{i:02}"] = noise(0.2 + 0.1 * (i % 4), 16_000, i)
        write_sound(tmp_path / f"{i:02}.wav", written[f"{i:02}"], 16_000, subtype="FLOAT")
    source = FilesSource([tmp_path], parallel=16)
    run = Run(source, "freewheel", capacity=4)
    assert source.failures == []
    assert source.progress.done_s == pytest.approx(source.progress.total_s)
    for call, samples in written.items():
        assert np.array_equal(run.audio[call, "0"][: samples.shape[0]], samples)
        assert run.ends[call, "0"].reason == "end_of_file"
        assert run.ends[call, "0"].duration_s == pytest.approx(samples.shape[0] / 16_000)


@pytest.mark.parametrize("mode", ["freewheel", "live"])
def test_raw_pcm_comes_out_of_the_engine_sample_for_sample_in_either_mode(mode: str) -> None:
    samples = noise(0.6, 16_000, 2)
    run = Run(StdinSource(io.BytesIO(encode_pcm(samples, "f32le")), sample_type="f32le"), mode)
    heard = run.audio["stdin", "0"]
    assert np.array_equal(heard[: samples.shape[0]], samples)
    assert run.ends["stdin", "0"].reason == "end_of_input"
    assert run.ends["stdin", "0"].counters.overrun_samples == 0


def test_a_truncated_file_ends_its_stream_with_that_reason(tmp_path: Path) -> None:
    path = write_sound(tmp_path / "a.wav", noise(1.0, 16_000, 3), 16_000)
    path.write_bytes(path.read_bytes()[:16_044])
    run = Run(FileSource(path), "freewheel")
    assert run.ends["a", "0"].reason == "truncated"
    assert run.ends["a", "0"].duration_s == pytest.approx(0.5)


@pytest.mark.timed
def test_both_parties_of_a_call_played_live_come_out_sample_for_sample_and_in_step(tmp_path: Path) -> None:
    samples = np.stack([noise(1.5, 8_000, 4), noise(1.5, 8_000, 5)], axis=1)
    path = write_sound(tmp_path / "call.wav", samples, 8_000, subtype="FLOAT")
    run = Run(FileSource(path, channel_names=("caller", "agent")), "live")
    for channel, name in enumerate(("caller", "agent")):
        expected = np.clip(resample(samples[:, channel], 8_000, 16_000), -1, 1)
        assert np.array_equal(run.audio["call", name][: expected.shape[0]], expected)
        assert run.ends["call", name].counters.concealed_hops == 0
