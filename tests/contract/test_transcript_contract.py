"""The transcript plugin keeps the contract, behind the real detector, with a model that writes how loud it is."""

from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from rtemo.api import SpokenText, SpokenWord, Utterance
from rtemo.runtime import ModelStore
from rtemo.runtime.store import find
from rtemo.testing.test_plugins import (  # noqa: F401 - the same checks on another case, but for the slow ones
    Case,
    rig,
    test_audio_is_untouched_or_late_as_declared,
    test_closing_twice_is_no_fault,
    test_concealed_and_broken_audio_is_survived,
    test_events_speak_of_samples_that_were_heard,
    test_file_pushed_in_any_chunks_equals_hop_by_hop,
    test_interleaved_streams_equal_separate_ones,
    test_no_array_is_kept_after_the_call,
    test_opened_twice_gives_two_independent_processors,
    test_options_have_defaults_and_descriptions_and_no_unknown_keys,
    test_reset_stream_repeats_and_its_neighbour_goes_on,
    test_row_of_a_stream_that_left_starts_afresh,
    test_rows_moved_by_compaction_change_nothing,
    test_short_streams_end_well,
    test_spec_says_what_the_entry_point_says,
)

pytestmark = pytest.mark.contract

STEP = 4800


class Loudness:
    """Writes a word for every 0.3 s of sound: which one depends on how loud that is."""

    card = find("whisper-base").card
    languages = ("en",)

    def transcribe(
        self,
        windows: Sequence[NDArray[np.float32]],
        *,
        language: str = "",
        words: bool = True,
        prompt: str = "",
        patient: bool = True,
    ) -> list[SpokenText]:
        return [self._write(samples) for samples in windows]

    def _write(self, samples: NDArray[np.float32]) -> SpokenText:
        spoken = []
        for start in range(0, len(samples), STEP):
            rms = float(np.sqrt(np.mean(np.square(np.clip(samples[start : start + STEP], -1, 1)))))
            text = " loud" if rms > 0.02 else " low"
            end = min(start + STEP, len(samples))
            spoken.append(SpokenWord(text=text, start_s=start / 16_000, end_s=end / 16_000, probability=0.5))
        utterance = Utterance(
            text="".join(word.text for word in spoken),
            start_s=0.0,
            end_s=len(samples) / 16_000,
            words=tuple(spoken),
            no_speech=0.0,
            mean_log_probability=-0.1,
            compression=1.0,
        )
        return SpokenText(language="en", language_probability=0.99, utterances=(utterance,))


@pytest.fixture
def case(monkeypatch) -> Case:
    monkeypatch.setattr(ModelStore, "speech", lambda self, name: Loudness())
    monkeypatch.setattr(ModelStore, "card", lambda store, name: find(name).card)
    return Case("transcript", {"compression_above": 1e9})
