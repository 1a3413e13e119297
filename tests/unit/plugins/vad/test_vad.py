"""Both back ends find speech, keep short words, and cost nothing in silence."""

import shutil
import subprocess

import numpy as np
import pytest
import soundfile
from scipy.signal import butter, resample_poly, sosfilt

from rtemo.api import ConfigError, HopFlag, PluginError, SpeechEnd, SpeechStart, StreamFormat
from rtemo.engine import registry
from rtemo_plugins.vad import silero
from rtemo_plugins.vad.plugin import VadPlugin
from rtemo_plugins.vad.silero import REST_WINDOWS, SileroBackEnd
from rtemo_plugins.vad.windows import (
    CONTEXT_SAMPLES,
    LEAST_OVER_FLOOR_DB,
    LONGEST_GAIN_DB,
    SPREAD_HOPS,
    TARGET_DB,
    WINDOW_SAMPLES,
)
from tests.contract.harness import HOP, Context, Rig
from tests.fakes.voice import voice

pytestmark = pytest.mark.unit

RATE_HZ = 16_000
needs_espeak = pytest.mark.skipif(shutil.which("espeak-ng") is None, reason="espeak-ng is not installed")
BACK_ENDS = ["webrtc", "silero"]


def vad(**options) -> VadPlugin:
    return registry.make("vad", options)


def play(sound: np.ndarray, **options):
    return Rig(vad(**options)).play({"a": sound.astype(np.float32)})["a"]


def spans_s(heard) -> list[tuple[float, float]]:
    return [
        (event.start_sample / RATE_HZ, event.end_sample / RATE_HZ)
        for event in heard.events
        if isinstance(event.data, SpeechEnd)
    ]


def quiet(duration_s: float) -> np.ndarray:
    return np.random.default_rng(0).normal(0, 1e-4, round(duration_s * RATE_HZ))


def telephone(sound: np.ndarray) -> np.ndarray:
    """Pass sound through 300-3400 Hz at 8 kHz and back."""
    narrow = sosfilt(butter(4, (300, 3400), "bandpass", fs=8000, output="sos"), resample_poly(sound, 1, 2))
    return resample_poly(narrow, 2, 1)


@pytest.fixture(scope="module")
def say(tmp_path_factory):
    def speak(text: str, words_per_minute: int) -> np.ndarray:
        path = tmp_path_factory.mktemp("said") / "text.wav"
        subprocess.run(["espeak-ng", "-s", f"{words_per_minute}", "-w", path, text], check=True)
        sound, rate_hz = soundfile.read(path)
        sound = resample_poly(sound, RATE_HZ, rate_hz)
        loud = np.flatnonzero(np.abs(sound) > 0.01 * np.abs(sound).max())
        return 0.3 * sound[loud[0] : loud[-1]]

    return speak


@pytest.mark.parametrize("back_end", BACK_ENDS)
def test_boundaries_lie_near_the_truth(back_end):
    turn = voice(2.2, 1)[: round(1.9 * RATE_HZ)]
    first = np.flatnonzero(np.abs(turn) > 0.02)[0]
    sound = np.concatenate([quiet(1.0), turn, quiet(1.5)])
    [(start_s, end_s)] = spans_s(play(sound, back_end=back_end))
    # A pitch that stays for long at the beginning, as this one's does, is taken for a hum until it moves.
    assert start_s == pytest.approx(1.0 + first / RATE_HZ, abs=0.15 if back_end == "silero" else 0.1)
    assert end_s == pytest.approx(2.9, abs=0.15)


@needs_espeak
@pytest.mark.parametrize("back_end", BACK_ENDS)
@pytest.mark.parametrize(("word", "words_per_minute"), [("no", 300), ("okay", 450), ("right", 300)])
def test_short_word_on_the_telephone_is_kept(back_end, word, words_per_minute, say):
    said = say(word, words_per_minute)
    said_s = len(said) / RATE_HZ
    assert 0.1 < said_s < 0.2
    sound = telephone(np.concatenate([quiet(1.0), said, quiet(1.5)]))
    [(start_s, end_s)] = spans_s(play(sound, back_end=back_end))
    assert start_s == pytest.approx(1.0, abs=0.1)
    assert end_s == pytest.approx(1.0 + said_s, abs=0.1)


@needs_espeak
def test_yes_of_150_ms_on_the_telephone_is_kept(say):
    said = say("yes", 450)
    assert len(said) < 0.15 * RATE_HZ
    [(start_s, end_s)] = spans_s(play(telephone(np.concatenate([quiet(1.0), said, quiet(1.5)]))))
    assert end_s - start_s == pytest.approx(len(said) / RATE_HZ, abs=0.1)


@pytest.mark.parametrize("back_end", BACK_ENDS)
def test_start_event_carries_confidence_and_precedes_its_end(back_end):
    events = play(voice(6.0, 2), back_end=back_end).events
    assert [type(event.data) for event in events[:2]] == [SpeechStart, SpeechEnd]
    assert 0.4 < events[0].data.confidence <= 1.0
    assert events[0].start_sample == events[1].start_sample
    assert events[1].data.speech_s == (events[1].end_sample - events[1].start_sample) / RATE_HZ


@pytest.mark.parametrize("back_end", BACK_ENDS)
def test_frames_that_stop_mid_word_end_the_speech(back_end):
    rig = Rig(vad(back_end=back_end))
    rig.admit("a")
    for hop in voice(2.0, 1)[: RATE_HZ + 4800].reshape(-1, HOP):
        rig.tick({"a": hop})
    assert [type(event.data) for event in rig.heard["a"].events] == [SpeechStart]
    for _ in range(48):
        rig.tick({"a": np.zeros(HOP, np.float32)}, {"a": int(HopFlag.CONCEALED)})
    assert rig.heard["a"].events[-1].data.reason == "frames_stopped"


@pytest.mark.parametrize("back_end", BACK_ENDS)
def test_marks_say_unknown_for_made_up_audio(back_end):
    rig = Rig(vad(back_end=back_end))
    rig.admit("a")
    rig.tick({"a": voice(1.0)[:HOP]}, {"a": int(HopFlag.CONCEALED)})
    assert rig.heard["a"].mark("vad.voice").tolist() == [255]
    assert np.isnan(rig.heard["a"].mark("vad.probability")).all()


@pytest.mark.parametrize("back_end", BACK_ENDS)
def test_probability_separates_voice_from_quiet(back_end):
    sound = np.concatenate([quiet(2.0), voice(2.0, 1)[:RATE_HZ]])
    probability = play(sound, back_end=back_end).mark("vad.probability")
    assert np.nanmean(probability[50:200]) < 0.1
    assert np.nanmean(probability[240:300]) > 0.8


def test_webrtc_is_not_asked_in_silence():
    plugin = vad(back_end="webrtc", silence_dbfs=-60.0)
    processor = plugin.open(Context(), 1)
    asked = []

    class Spy:
        def is_speech(self, *_):
            asked.append(1)
            return False

    rig = Rig(plugin)
    rig.processors = [processor]
    rig.admit("a")
    processor._back_end._detectors[0] = Spy()
    for level in (1e-4, 1e-2):
        rig.tick({"a": np.full(HOP, level, np.float32)})
    assert len(asked) == 1


def test_webrtc_refuses_a_hop_it_cannot_take():
    context = Context()
    context.format = StreamFormat(hop_samples=100)
    with pytest.raises(PluginError, match="10, 20 or 30 ms"):
        vad(back_end="webrtc").open(context, 1)


@pytest.mark.parametrize("back_end", BACK_ENDS)
def test_start_is_known_soon_and_the_end_after_the_hangover(back_end):
    turn = voice(2.2, 1)[: round(1.9 * RATE_HZ)]
    first = np.flatnonzero(np.abs(turn) > 0.02)[0]
    sound = np.concatenate([quiet(1.0), turn, quiet(1.5)]).astype(np.float32)
    rig = Rig(vad(back_end=back_end))
    rig.admit("a")
    known_s: list[float] = []
    for k, hop in enumerate(sound[: len(sound) // HOP * HOP].reshape(-1, HOP)):
        rig.tick({"a": hop})
        known_s += [(k + 1) * HOP / RATE_HZ] * (len(rig.heard["a"].events) - len(known_s))
    start_s, end_s = known_s
    # This voice keeps its pitch for long at its beginning, as a hum does, and is believed when it has moved.
    assert 0.03 < start_s - (1.0 + first / RATE_HZ) < (0.3 if back_end == "silero" else 0.2)
    assert 0.4 < end_s - 2.9 < 0.4 + 0.15


def test_lookahead_is_the_most_that_a_judgement_lags_behind():
    rig = Rig(vad())
    rig.admit("a")
    lags = []
    for hop in voice(3.0, 1).reshape(-1, HOP):
        rig.tick({"a": hop})
        lags.append(int(rig.processors[0]._back_end.lag_samples[0]))
    assert 0 <= rig.plugin.spec.lookahead_samples - (max(lags) + HOP) < 2 * HOP
    assert rig.plugin.spec.latency_samples == 0


def test_stop_above_start_is_refused():
    with pytest.raises(ConfigError, match=r"stop_probability 0\.9 is above start_probability 0\.7"):
        vad(start_probability=0.7, stop_probability=0.9).open(Context(), 1)


def test_max_speech_cuts_a_monologue():
    sound = np.tile(voice(2.0, 1)[8000:28000], 6)
    reasons = [e.data.reason for e in play(sound, max_speech_s=2.0).events if isinstance(e.data, SpeechEnd)]
    assert reasons.count("max_duration") >= 2


def test_silero_equals_windows_run_one_after_another(monkeypatch):
    monkeypatch.setattr(silero, "weigh_steadiness", lambda *_: None)
    sound = (0.03 * voice(4.0, 3)).astype(np.float32)
    heard = play(sound, silence_dbfs=-200.0)
    handle = Context().model(silero.MODEL)
    state = handle.new_state(1)
    for _ in range(REST_WINDOWS):
        handle.run({"spectrum": np.zeros((1, 516), np.float32)}, state, 1)
    expected, context, gains = [], np.zeros(CONTEXT_SAMPLES, np.float32), []
    loud_db = floor_db = None
    for start in range(0, len(sound) - WINDOW_SAMPLES, WINDOW_SAMPLES):
        window = sound[start : start + WINDOW_SAMPLES]
        level_db = 10 * np.log10(np.mean(window**2))
        floor_db = level_db if floor_db is None else min(level_db, floor_db + 0.1)
        if loud_db is None or level_db > loud_db:
            loud_db = level_db
        elif level_db > floor_db + 6:
            loud_db = max(level_db, loud_db - 0.2)
        gains.append(min(max(TARGET_DB - max(loud_db, floor_db + LEAST_OVER_FLOOR_DB), 0), LONGEST_GAIN_DB))
        samples = np.pad(np.concatenate([context, window]), (0, 64), mode="reflect") * 10 ** (gains[-1] / 20)
        frames = np.lib.stride_tricks.sliding_window_view(samples, 256)[::128]
        magnitude = np.abs(np.fft.rfft(frames * np.hanning(257)[:-1]))
        out = handle.run({"spectrum": magnitude.reshape(1, -1).astype(np.float32)}, state, 1)
        expected.append(float(out["probability"][0, 0]))
        context = window[-CONTEXT_SAMPLES:]
    probability = heard.mark("vad.probability")
    changes = probability[np.isfinite(probability)]
    changes = changes[np.concatenate([[True], np.diff(changes) != 0])]
    assert min(gains) < 20 < max(gains)
    np.testing.assert_allclose(changes[: len(expected) - 1], expected[: len(changes)][: len(expected) - 1], atol=1e-4)


class CountingHandle:
    """Counts the rows of every call and passes it on."""

    def __init__(self) -> None:
        self._handle = Context().model(silero.MODEL)
        self.counts: list[int] = []

    def __getattr__(self, name):
        return getattr(self._handle, name)

    def run(self, inputs, state, rows):
        self.counts.append(len(inputs["spectrum"]))
        return self._handle.run(inputs, state, rows)


def test_silero_spreads_streams_that_started_together():
    handle = CountingHandle()
    context = Context()
    context.model = lambda name: handle
    rig = Rig(vad(), capacity=60)
    rig.processors = [rig.plugin.open(context, 60)]
    rig.play({f"{k}": voice(2.0, 1) for k in range(60)})
    assert max(handle.counts) == 20  # a third of sixty
    first = rig.heard["0"].mark("vad.probability")
    for k in range(1, 60):
        np.testing.assert_allclose(rig.heard[f"{k}"].mark("vad.probability"), first, atol=1e-5)


def test_silero_does_not_compute_silence():
    handle = CountingHandle()
    context = Context()
    context.model = lambda name: handle
    rig = Rig(vad(back_end="silero"))
    rig.processors = [rig.plugin.open(context, 6)]
    handle.counts.clear()
    probability = rig.play({"a": np.zeros(RATE_HZ, np.float32)})["a"].mark("vad.probability")
    assert handle.counts == []
    assert np.nanmax(probability) == 0.0
    assert np.isnan(probability[: 3 + SPREAD_HOPS]).all()  # nothing is known before the first window


def test_silero_forgets_after_a_long_silence():
    handle = Context().model(silero.MODEL)
    back_end = SileroBackEnd(StreamFormat(), 1, handle, 1e-7, forget_s=1.0)
    back_end.admit(0)

    def hear(sound: np.ndarray) -> None:
        from rtemo.api import Block

        for hop in sound.reshape(-1, HOP):
            zero = np.zeros(1, np.int64)
            block = Block(0, hop[None].astype(np.float32).copy(), zero, zero, np.zeros(1, np.uint8), {})
            back_end.judge(block, np.zeros(1, np.float32), np.zeros(1, np.uint8), np.zeros(1, np.uint32))

    fresh = back_end._memory["hidden"].copy()
    hear(voice(1.0, 1))
    assert np.abs(back_end._memory["hidden"] - fresh).max() > 0.1
    hear(np.zeros(2 * RATE_HZ))
    np.testing.assert_array_equal(back_end._memory["hidden"], fresh)
