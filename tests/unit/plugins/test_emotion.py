"""The emotion plugin on a model whose outputs can be reckoned."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from rtemo.api import EMOTIONS, Block, Emotion, HopFlag, ModelError, Payload
from rtemo_plugins.emotion.options import EmotionOptions
from rtemo_plugins.emotion.plugin import EmotionPlugin, EmotionProcessor
from tests.fakes.model import FakeEmotionModel, emotion_card

pytestmark = pytest.mark.unit

HOP = 160


class Bench:
    """Drives one processor with given speech marks, every row with its own."""

    def __init__(self, streams: int, **options: Any) -> None:
        self.model = FakeEmotionModel()
        self.processor = EmotionProcessor(EmotionOptions(**options), self.model, capacity=100)
        self.events: list[tuple[int, Emotion, int, int]] = []
        self.marks: list[NDArray[np.float32]] = []
        self.hops = 0
        for row in range(streams):
            self.processor.admit(row)

    def emit(self, row: int, data: Payload, start_sample: int, end_sample: int) -> None:
        assert isinstance(data, Emotion)
        self.events.append((row, data, start_sample, end_sample))

    def hop(self, speech: list[int], last: bool = False, samples: NDArray[np.float32] | None = None) -> None:
        n = len(speech)
        marks: dict[str, NDArray[Any]] = {
            "vad.speech": np.array(speech, np.uint8),
            "vad.voice": np.array(speech, np.uint8),
            "emotion.posterior": np.zeros((n, 8), np.float32),
            "emotion.arousal": np.zeros(n, np.float32),
            "emotion.valence": np.zeros(n, np.float32),
        }
        block = Block(
            self.hops,
            np.zeros((n, HOP), np.float32) if samples is None else samples,
            np.arange(n),
            np.full(n, self.hops * HOP, np.int64),
            np.full(n, HopFlag.LAST if last else 0, np.uint8),
            marks,
        )
        self.processor.process(block, self.emit)
        self.marks.append(marks["emotion.posterior"].copy())
        self.hops += 1

    def of(self, row: int) -> list[tuple[Emotion, int, int]]:
        return [(data, start, end) for who, data, start, end in self.events if who == row]


def test_first_estimate_comes_after_the_set_amount_of_speech_then_refreshes():
    bench = Bench(1, first_s=1.0, refresh_s=0.4)
    for _ in range(200):
        bench.hop([1])
    triggers = [data.trigger for data, _, _ in bench.of(0)]
    ends = [end / HOP for _, _, end in bench.of(0)]
    assert triggers == ["first", "refresh", "refresh"]
    assert ends == [100, 140, 180]


def test_final_estimate_spans_the_turn_and_pools_its_speech_alone():
    bench = Bench(1)
    for speech in [0] * 8 + [1] * 60 + [0] * 20 + [1] * 80 + [0] * 8:
        bench.hop([speech])
    finals = [(data, start, end) for data, start, end in bench.of(0) if data.is_final]
    assert [(start / HOP, end / HOP) for _, start, end in finals] == [(8, 72), (88, 172)]
    assert [data.speech_s for data, _, _ in finals] == pytest.approx([0.6, 0.8])
    assert [data.valence for data, _, _ in finals] == [60, 80]  # pooled weight, fresh in every turn


def test_a_cough_shorter_than_the_least_gives_no_estimate():
    bench = Bench(1, least_s=0.3)
    for speech in [0] * 4 + [1] * 16 + [0] * 20:
        bench.hop([speech])
    assert bench.events == []


def test_a_turn_open_at_the_end_of_the_stream_is_closed():
    bench = Bench(1)
    for _ in range(50):
        bench.hop([1])
    bench.hop([1], last=True)
    assert [data.trigger for data, _, _ in bench.of(0)] == ["stream_end"]


def test_a_long_turn_is_closed_and_begun_anew():
    bench = Bench(1, span_s=2.0, first_s=1.0, refresh_s=10.0)
    for _ in range(640):
        bench.hop([1])
    spans = [(start / HOP, end / HOP) for data, start, end in bench.of(0) if data.trigger == "span"]
    assert spans == [(0, 200), (200, 400), (400, 600)]


def test_label_is_unsure_below_the_threshold_and_probabilities_are_given_all_the_same():
    bench = Bench(1, first_s=1.0, refresh_s=1.0, unsure_below=0.9)
    for _ in range(300):
        bench.hop([1])
    assert next(data.label for data, _, _ in bench.of(0)) == "unsure"
    assert bench.of(0)[-1][0].label == "angry"
    for data, _, _ in bench.of(0):
        assert sum(data.probabilities.values()) == pytest.approx(1.0, abs=1e-3)
        assert data.confidence == pytest.approx(max(data.probabilities.values()), abs=1e-3)
        assert tuple(data.probabilities) == EMOTIONS


def test_unknown_voice_activity_is_listened_to():
    bench = Bench(1)
    for _ in range(120):
        bench.hop([255])
    assert [data.trigger for data, _, _ in bench.of(0)] == ["first"]


def test_results_do_not_depend_on_row_or_stagger():
    rng = np.random.default_rng(0)
    speech = rng.integers(0, 2, 12).repeat(40)
    samples = rng.normal(0, 0.1, (len(speech), HOP)).astype(np.float32)
    alone, crowd = Bench(1), Bench(40)
    for k, is_speech in enumerate(speech):
        last = k == len(speech) - 1
        alone.hop([is_speech], last, samples[k : k + 1])
        crowd.hop([is_speech] * 40, last, samples[k : k + 1].repeat(40, axis=0))
    assert len(alone.events) > 3
    for row in range(40):
        assert crowd.of(row) == alone.of(0)
        np.testing.assert_array_equal([marks[row] for marks in crowd.marks], [marks[0] for marks in alone.marks])


@pytest.mark.parametrize(("streams", "most"), [(1, 1), (12, 12), (40, 16), (64, 16), (100, 25)])
def test_streams_that_begin_together_share_batches_and_then_spread_over_the_ticks(streams, most):
    bench = Bench(streams)
    for _ in range(40):
        bench.hop([1] * streams)
    assert max(bench.model.rows_per_call) == most


def test_marks_are_unknown_before_the_first_finding():
    bench = Bench(1)
    for _ in range(3):
        bench.hop([1])
    assert np.isnan(bench.marks[-1]).all()
    for _ in range(8):
        bench.hop([1])
    assert bench.marks[-1].sum() == pytest.approx(1.0)


def test_retired_row_takes_the_last_rows_turn_along():
    bench = Bench(2)
    for _ in range(100):
        bench.hop([0, 1])
    bench.processor.retire(0, 1)
    for _ in range(100):
        bench.hop([1])
    assert next(end / HOP for data, _, end in bench.of(0) if data.trigger == "refresh") == 152  # a step of 4 hops


def test_a_bundle_of_another_kind_is_refused_with_a_sentence():
    model = FakeEmotionModel(emotion_card(labels=("happy", "sad")))
    with pytest.raises(ModelError, match="does not give the eight emotions"):
        EmotionProcessor(EmotionOptions(), model, capacity=1)


def test_spec_requires_voice_activity():
    assert EmotionPlugin(EmotionOptions()).spec.requires == ("vad.speech", "vad.voice")
