"""The gem plugin on real graphs: one with random weights, one whose score is how loud the voice is."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from rtemo.api import (
    EMOTIONS,
    EXPERTS,
    Block,
    BlockEvent,
    HopFlag,
    ModelCard,
    ModelError,
    ModelHandle,
    Spoof,
    StateTable,
    StreamFormat,
)
from rtemo.dsp.filterbank import linear_filterbank
from rtemo.dsp.residual import Residual
from rtemo.runtime import ModelStore
from rtemo_plugins.gem.options import GemOptions
from rtemo_plugins.gem.plugin import GemPlugin
from tests.fakes.gem import FRONT_END, gem_bundle, hiss, loudness_bundle

pytestmark = pytest.mark.unit

HOP = 160
QUIET, LOUD = 0.01, 0.3
CALIBRATION = {
    "threshold_at_0.1_per_hour": 3.0,
    "threshold_at_1_per_hour": 2.0,
    "bona_fide_below": -1.0,
    "alarm_limit_at_1_per_hour": 8.0,
    "alarm_keep": 1.0,
}


@pytest.fixture(scope="session")
def random_bundle(tmp_path_factory):
    return gem_bundle(tmp_path_factory.mktemp("gem"))


@pytest.fixture(scope="session")
def loudness(tmp_path_factory):
    """Hiss of `LOUD` scores about +4, of `QUIET` about -3, after 0.2 s or so."""
    return loudness_bundle(tmp_path_factory.mktemp("gem"), offset=-8.3, keep=0.5, calibration=CALIBRATION)


class Witness:
    """A model that keeps copies of all that went through it."""

    def __init__(self, inner: ModelHandle) -> None:
        self.card: ModelCard = inner.card
        self.new_state, self.warm, self._inner = inner.new_state, inner.warm, inner
        self.calls: list[tuple[np.ndarray, dict[str, np.ndarray], dict[str, np.ndarray]]] = []

    def run(self, inputs: Mapping[str, Any], state: StateTable, rows: Any) -> dict[str, Any]:
        given = {name: array.copy() for name, array in inputs.items()}
        outputs = self._inner.run(inputs, state, rows)
        where = np.arange(rows) if isinstance(rows, int) else rows.copy()
        self.calls.append((where, given, {name: array.copy() for name, array in outputs.items()}))
        return outputs


class Bench:
    """Drives one processor without a VAD: rows are streams, speech and emotion are what the test says."""

    format = StreamFormat()

    def __init__(self, bundle: str, capacity: int = 100, **options: Any) -> None:
        self.model_seen: Witness
        self.processor = GemPlugin(GemOptions(bundle=bundle, **options)).open(self, capacity)
        self.events: list[tuple[int, Spoof, int, int]] = []
        self.n = 0
        self.ticks = 0
        self.doubted: np.ndarray = np.zeros(0, bool)

    def model(self, name: str) -> Witness:
        self.model_seen = Witness(ModelStore().load(name))
        return self.model_seen

    def admit(self, count: int = 1) -> "Bench":
        for _ in range(count):
            self.processor.admit(self.n)
            self.n += 1
        return self

    def hop(
        self,
        heard: np.ndarray,
        *,
        flags: Any = 0,
        voice: Any = 1,
        posterior: Any = np.nan,
        samples: Any = None,
        events: Any = (),
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Run float32 [n, hop]; give the samples that leave, and the marks score and verdict."""
        n = self.n
        marks: dict[str, Any] = {
            "vad.speech": np.full(n, voice, np.uint8),
            "vad.voice": np.full(n, voice, np.uint8),
            "emotion.posterior": np.full((n, 8), posterior, np.float32),
            "spoof.score": np.full(n, 77, np.float32),
            "spoof.verdict": np.full(n, 77, np.uint8),
        }
        out = heard.copy() if samples is None else samples.copy()
        start = np.full(n, self.ticks * HOP)
        bits = np.full(n, flags, np.uint8)
        block = Block(self.ticks, out, np.arange(n), start, bits, marks, heard.copy())
        block.events = events
        self.processor.process(block, lambda *event: self.events.append(event))
        self.ticks += 1
        self.doubted = block.is_doubted.copy()
        return out, marks["spoof.score"], marks["spoof.verdict"]

    def play(self, sound: np.ndarray, **more: Any) -> np.ndarray:
        """Play the same sound on every stream; give what leaves of the first."""
        hops = sound[: len(sound) // HOP * HOP].reshape(-1, HOP)
        return np.concatenate([self.hop(np.tile(hop, (self.n, 1)), **more)[0][0] for hop in hops])

    def told(self, row: int = 0) -> list[Spoof]:
        return [data for at, data, _, _ in self.events if at == row]

    def triggers(self, row: int = 0) -> list[tuple[str, str, float]]:
        return [(data.trigger, data.verdict, data.speech_s) for data in self.told(row)]


def test_traces_are_those_that_the_readme_describes(random_bundle):
    bench = Bench(random_bundle).admit()
    sound = hiss(0.4, 0.1)
    bench.play(sound)
    bank = linear_filterbank(16, rate_hz=16_000, fft_samples=128).dense().T
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(128) / 128)
    frames = np.lib.stride_tricks.sliding_window_view(np.pad(sound, (48, 0)), 128)[::80][: len(sound) // 80]
    power = np.abs(np.fft.rfft(frames * window)) ** 2 * (2 / window.sum()) ** 2
    expected = np.log(np.maximum(power @ bank, 1e-10)).reshape(-1, 4, 32)
    got = np.concatenate([given["traces"] for _, given, _ in bench.model_seen.calls])
    assert len(got) >= 9
    np.testing.assert_allclose(got[..., :32], expected[: len(got)], atol=1e-3)
    longer = np.lib.stride_tricks.sliding_window_view(np.pad(sound, (160, 0)), 320)[::HOP]
    residual = Residual(1).of_frames(longer).reshape(-1, 4, 4)
    np.testing.assert_allclose(got[..., 32:], residual[: len(got)], atol=1e-4)


def test_it_hears_what_came_in_and_not_what_became_of_it(loudness):
    wiped, plain = Bench(loudness).admit(), Bench(loudness).admit()
    sound = hiss(3.0, LOUD)
    wiped.play(sound, samples=np.zeros((1, HOP), np.float32))
    plain.play(sound)
    assert wiped.events == plain.events
    assert wiped.told()[-1].verdict == "spoof"


def test_nothing_is_decided_before_there_was_enough_speech(loudness):
    bench = Bench(loudness).admit()
    bench.play(hiss(1.4, LOUD))
    bench.play(hiss(5.0, LOUD), voice=0)
    assert bench.events == []
    bench.play(hiss(0.2, LOUD))
    assert bench.triggers() == [("first", "spoof", 1.52)]


def test_events_come_first_then_with_the_speech_then_at_a_change_and_at_the_end(loudness):
    bench = Bench(loudness).admit()
    bench.play(hiss(3.6, QUIET))
    bench.play(hiss(2.0, LOUD))
    bench.hop(np.zeros((1, HOP), np.float32), flags=int(HopFlag.LAST | HopFlag.PADDED))
    assert bench.triggers() == [
        ("first", "bona_fide", 1.52),
        ("refresh", "bona_fide", 2.52),
        ("refresh", "bona_fide", 3.52),
        ("change", "spoof", 4.0),
        ("alarm", "spoof", 5.0),
        ("stream_end", "spoof", 5.6),
    ]


def test_a_stream_that_ends_early_is_unknown_and_one_without_speech_says_nothing(loudness):
    bench = Bench(loudness).admit(2)
    for hop in hiss(0.8, LOUD).reshape(-1, HOP):
        bench.hop(np.stack([hop, hop]), voice=np.array([1, 0]))
    bench.hop(np.zeros((2, HOP), np.float32), flags=int(HopFlag.LAST | HopFlag.PADDED))
    assert bench.triggers() == [("stream_end", "unknown", 0.8)]
    assert bench.told(1) == []


def test_between_the_thresholds_the_verdict_is_unknown(tmp_path):
    bundle = loudness_bundle(tmp_path, offset=-8.3, keep=0.5, calibration=CALIBRATION | {"bona_fide_below": -5.0})
    bench = Bench(bundle).admit()
    bench.play(hiss(2.0, QUIET))
    (told,) = bench.told()
    assert -5.0 < told.score < 2.0
    assert told.verdict == "unknown"
    assert bench.hop(np.zeros((1, HOP), np.float32))[2][0] == 255


def test_what_the_listener_said_counts_for_thirty_seconds_of_speech_and_pauses_do_not_use_it_up(loudness):
    bench = Bench(loudness, policy="tag").admit(2)
    bench.play(hiss(2.0, QUIET))
    said = Spoof(score=1.5, verdict="spoof", speech_s=4.0, is_alarmed=True)
    before = len(bench.told(0))
    _, score, verdict = bench.hop(
        hiss(0.01, QUIET)[None].repeat(2, 0), events=[BlockEvent(0, None, "listener", said, 0, HOP)]
    )
    assert (score[0], verdict.tolist(), bench.doubted.tolist()) == (1.5, [1, 0], [True, False])
    bench.play(hiss(20.0, QUIET))
    bench.play(hiss(15.0, QUIET), voice=0)
    bench.play(hiss(9.0, QUIET))
    assert len(bench.told(0)) == before
    assert len(bench.told(1)) > 20
    assert bench.doubted.tolist() == [True, False]
    bench.play(hiss(2.0, QUIET))
    assert bench.told(0)[before:]
    assert {event.verdict for event in bench.told(0)[before:]} == {"bona_fide"}
    assert bench.doubted.tolist() == [False, False]


def test_of_a_voice_that_the_listener_judges_nothing_is_heard_as_speech(random_bundle):
    bench = Bench(random_bundle).admit(2)
    bench.play(hiss(0.5, LOUD))
    said = Spoof(score=-3.0, verdict="bona_fide", speech_s=4.0)
    bench.hop(hiss(0.01, LOUD)[None].repeat(2, 0), events=[BlockEvent(1, None, "listener", said, 0, HOP)])
    bench.play(hiss(0.08, LOUD))
    bench.model_seen.calls.clear()
    bench.play(hiss(1.0, LOUD))
    assert bench.model_seen.calls
    for rows, given, _ in bench.model_seen.calls:
        assert (given["weight"][rows == 0] == 1).all()
        assert not given["weight"][rows == 1].any(), "so that no run of the experts is needed for it"


@pytest.mark.parametrize(("per_hour", "verdict"), [(1.0, "spoof"), (0.01, "unknown")])
def test_fewer_false_alarms_ask_for_more_evidence(tmp_path, per_hour, verdict):
    bundle = loudness_bundle(tmp_path, offset=-8.3, keep=0.5, calibration=CALIBRATION)
    bench = Bench(bundle, false_alarms_per_hour=per_hour).admit()
    bench.play(hiss(1.6, LOUD))
    assert 2.0 < bench.told()[0].score < 3.0 + np.log(10)
    assert bench.told()[0].verdict == verdict


def test_marks_follow_the_decision_when_the_next_step_is_complete(loudness):
    bench = Bench(loudness).admit()
    decided = shown = 0
    for tick, hop in enumerate(hiss(1.7, LOUD).reshape(-1, HOP)):
        _, score, verdict = bench.hop(hop[None])
        decided = decided or (tick + 1 if bench.events else 0)
        if verdict[0] == 1 and not shown:
            shown = tick + 1
            assert np.isfinite(score[0])
        assert (verdict[0] == 255) == np.isnan(score[0])
    assert shown == 156  # 152 hops hold the 1.5 s, and the step after them is complete four later
    assert 152 <= decided < shown


def test_contributions_are_the_gate_times_the_experts_and_add_up_to_the_score(tmp_path):
    bundle = loudness_bundle(tmp_path, keep=0.9, biases=(0.0, 1.0, -2.0, 3.0))
    bench = Bench(bundle).admit()
    posterior = np.array(
        [[0.7 if name == "angry" else 0.1 if name in ("sad", "fear", "calm") else 0 for name in EMOTIONS]]
    )
    bench.play(hiss(2.0, 0.1), posterior=posterior)
    told = bench.told()[-1]
    _, given, outputs = [
        call for call in bench.model_seen.calls if call[2]["score"][0].round(4) == round(told.score, 4)
    ][-1]
    np.testing.assert_allclose(given["gate"][0], np.array([1, 0, 7**4, 2**4]) / 2418, atol=1e-3)  # sharpened
    assert tuple(told.contributions) == EXPERTS
    np.testing.assert_allclose(list(told.contributions.values()), given["gate"][0] * outputs["experts"][0], atol=1e-4)
    assert sum(told.contributions.values()) == pytest.approx(told.score, abs=1e-3)


def test_the_gate_is_uniform_while_the_emotion_is_unknown(loudness):
    bench = Bench(loudness).admit()
    bench.play(hiss(0.3, LOUD))
    for _, given, _ in bench.model_seen.calls:
        np.testing.assert_allclose(given["gate"], 0.25)


@pytest.mark.parametrize("flag", ["DISCONTINUITY", "CONCEALED", "PADDED", "SANITISED"])
def test_unsound_audio_and_frames_that_reach_into_it_count_as_no_speech(random_bundle, flag):
    bench = Bench(random_bundle).admit()
    hops = hiss(0.5, LOUD).reshape(-1, HOP)
    for k, hop in enumerate(hops):
        bench.hop(hop[None], flags=int(HopFlag[flag]) if k == 9 else int(HopFlag.CLIPPED))
    weight = np.concatenate([given["weight"][0] for _, given, _ in bench.model_seen.calls])
    assert np.flatnonzero(weight == 0).tolist() == list(range(9, 33))


def test_what_the_vad_does_not_know_is_not_listened_to(loudness):
    bench = Bench(loudness).admit()
    bench.play(hiss(4.0, LOUD), voice=255)
    bench.hop(np.zeros((1, HOP), np.float32), flags=int(HopFlag.LAST))
    assert bench.events == []


def test_an_alarm_is_told_once_and_again_only_after_the_cool_down(loudness):
    bench = Bench(loudness, cool_down_s=3.0, refresh_s=60.0).admit()
    bench.play(hiss(5.0, LOUD))
    assert [data.trigger for data in bench.told()].count("alarm") == 1
    assert bench.told()[-1].is_alarmed
    bench.play(hiss(1.5, QUIET))
    bench.play(hiss(3.0, LOUD))
    assert [data.trigger for data in bench.told()].count("alarm") == 1
    bench.play(hiss(9.0, QUIET))
    assert not bench.told()[-1].is_alarmed
    assert bench.told()[-1].trigger == "change"
    bench.play(hiss(9.0, LOUD))
    assert [data.trigger for data in bench.told()].count("alarm") == 2


@pytest.mark.parametrize(("policy", "is_doubted"), [("warn", False), ("tag", True), ("mute", True)])
def test_the_policy_says_whether_a_stream_is_doubted(loudness, policy, is_doubted):
    bench = Bench(loudness, policy=policy).admit(2)
    for one, other in zip(hiss(2.0, LOUD).reshape(-1, HOP), hiss(2.0, QUIET).reshape(-1, HOP), strict=True):
        bench.hop(np.stack([one, other]))
    assert bench.doubted.tolist() == [is_doubted, False]
    bench.play(hiss(2.0, QUIET))
    assert not bench.doubted.any()


@pytest.mark.parametrize("policy", ["warn", "tag", "mute"])
def test_only_muting_edits_the_audio_and_says_so(loudness, policy):
    plugin = GemPlugin(GemOptions(bundle=loudness, policy=policy))
    bench = Bench(loudness, policy=policy, cool_down_s=1.0).admit()
    sound = np.concatenate([hiss(5.0, LOUD), hiss(8.0, QUIET)])
    out = bench.play(sound)
    assert plugin.spec.edits_audio == (policy == "mute")
    assert plugin.spec.latency_samples == 0
    is_same = (out == sound).reshape(-1, HOP).all(axis=1)
    if policy != "mute":
        assert is_same.all()
        return
    is_silent = (out == 0).reshape(-1, HOP).all(axis=1)
    first, last = np.flatnonzero(is_silent)[[0, -1]]
    assert is_silent[first : last + 1].all()
    assert is_same[: first - 1].all()
    assert is_same[last + 2 :].all()
    assert first > 200
    assert last < len(is_same) - 100
    for fade, ramp in (
        (first - 1, np.linspace(1, 0, HOP, endpoint=False)),
        (last + 1, np.linspace(0, 1, HOP, endpoint=False)),
    ):
        hop = slice(fade * HOP, (fade + 1) * HOP)
        np.testing.assert_allclose(out[hop], sound[hop] * ramp, atol=1e-6)


def test_no_tick_has_more_than_its_share_of_steps(random_bundle):
    for n in (1, 2, 5, 13, 40):
        bench = Bench(random_bundle).admit(n)
        bench.play(hiss(0.5, LOUD))
        calls = [len(rows) for rows, _, _ in bench.model_seen.calls]
        assert max(calls) <= -(-n // 4) + 1
        assert sum(calls) >= 11 * n


def test_streams_that_come_and_go_at_any_time_have_their_steps_in_time(random_bundle):
    random = np.random.default_rng(3)
    bench = Bench(random_bundle)
    sound = hiss(3.0, LOUD).reshape(-1, HOP)
    computed = 0
    for hop in sound:
        if bench.n < 30 and random.random() < 0.4:
            bench.admit(int(random.integers(1, 6)))
        elif bench.n and random.random() < 0.2:
            bench.processor.retire(int(random.integers(bench.n)), bench.n - 1)
            bench.n -= 1
        if bench.n:
            bench.hop(np.tile(hop, (bench.n, 1)))
            table = bench.processor._ensemble
            late = table._is_waiting[: bench.n] & (table._hops[: bench.n] % 4 == 3)
            assert not late.any()
        computed = len(bench.model_seen.calls)
    assert computed > 100


def test_neighbours_stagger_and_batch_do_not_show(loudness):
    sound = np.concatenate([hiss(2.0, QUIET, 1), hiss(3.0, LOUD, 2)])
    alone = Bench(loudness, policy="mute").admit()
    told_alone = [alone.hop(hop[None]) for hop in sound.reshape(-1, HOP)]
    company = Bench(loudness, policy="mute").admit(9)
    for _ in range(7):
        company.hop(np.zeros((9, HOP), np.float32))
    company.admit()
    for tick, hop in enumerate(sound.reshape(-1, HOP)):
        if tick in (50, 222):
            company.admit(3)
        row = 9
        out, score, verdict = company.hop(
            np.concatenate(
                [
                    hiss(0.01 * company.n, 0.1, tick).reshape(-1, HOP)[:row],
                    hop[None],
                    hiss(0.01 * company.n, 0.1, tick).reshape(-1, HOP)[row + 1 :],
                ]
            )
        )
        np.testing.assert_allclose(out[row], told_alone[tick][0][0], atol=1e-6)
        np.testing.assert_allclose(score[row], told_alone[tick][1][0], rtol=1e-4)
        assert verdict[row] == told_alone[tick][2][0]
    assert [data.trigger for data in company.told(9)] == [data.trigger for data in alone.told()]


def test_a_score_that_is_not_finite_is_unknown_and_does_not_stay(tmp_path):
    bundle = loudness_bundle(tmp_path, offset=-8.3, keep=0.5, calibration=CALIBRATION)
    bench = Bench(bundle).admit()
    bench.play(hiss(0.5, LOUD))
    bench.processor._ensemble._network["pool_sum"][0] = np.nan
    bench.play(hiss(3.0, LOUD))
    scores = [outputs["score"][0] for _, _, outputs in bench.model_seen.calls]
    assert np.isnan(scores).sum() == 1
    assert all(np.isfinite(data.score) for data in bench.told())
    assert bench.told()[-1].verdict == "spoof"


def test_audio_that_is_not_a_number_is_survived(random_bundle):
    bench = Bench(random_bundle).admit(2)
    for hop in hiss(2.5, LOUD).reshape(-1, HOP):
        bench.hop(np.stack([np.full(HOP, np.nan, np.float32), hop]))
    clean = Bench(random_bundle).admit()
    clean.play(hiss(2.5, LOUD))
    assert [data.trigger for data in bench.told(1)] == [data.trigger for data in clean.told()]
    assert all(np.isfinite(data.score) for data in bench.told(0) + bench.told(1))


@pytest.mark.parametrize(
    ("facts", "problem"),
    [
        ({"hops_per_step": 1}, "makes a step of 1 hops, expected 4"),
        (
            {"labels": ("angry", "sad", "neutral", "happy")},
            "has experts for angry, sad, neutral, happy, not for neutral",
        ),
        ({"front_end": FRONT_END | {"band_count": 20}}, "expected \\[4, 44\\] float32"),
        ({"front_end": FRONT_END | {"frame_hop_samples": 96}}, "do not fill a hop of 160"),
        ({"front_end": FRONT_END | {"scale": "mel"}}, "needs another front end"),
        ({"front_end": FRONT_END | {"rate_hz": 8000}}, "at 8000 Hz, the engine gives 160 at 16000 Hz"),
    ],
)
def test_a_bundle_that_does_not_fit_is_refused_with_the_reason(tmp_path, facts, problem):
    with pytest.raises(ModelError, match=problem):
        Bench(gem_bundle(tmp_path, **facts))
