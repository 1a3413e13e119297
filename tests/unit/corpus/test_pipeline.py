"""From a folder of recordings to turns: everything is counted."""

import os

import numpy as np
import pytest
import soundfile

pytest.importorskip("scipy", reason="the extra `corpus` is not installed")

from rtemo.corpus import stages
from rtemo.corpus.counts import count_stages
from rtemo.corpus.models import CorpusModels
from rtemo.corpus.pipeline import Pipeline
from rtemo.corpus.recordings import Origin, take_in
from rtemo.corpus.selection import Selection
from rtemo.corpus.settings import CorpusSettings
from rtemo.corpus.stages import Books
from rtemo.io.sources.files import find_sound_files
from rtemo.testing.voice import voice
from tests.fakes.corpus_recordings import write_recordings
from tests.unit.corpus.run_pipeline import run

pytestmark = pytest.mark.unit

LEDGERS = ("recordings", "diarised", "linked", "cut", "gated", "written")


@pytest.fixture(scope="module")
def recordings(tmp_path_factory):
    return write_recordings(tmp_path_factory.mktemp("in") / "recordings")


@pytest.fixture(scope="module")
def books(recordings, tmp_path_factory):
    return run(recordings, tmp_path_factory.mktemp("whole") / "work")


def fates(books: Books) -> dict[str, str]:
    return {entry.below: entry.dropped for entry in books.recordings}


def dropped_in(books: Books, name: str) -> set[str]:
    """Why turns of a recording were dropped at the gates; empty where one passed."""
    (unit,) = [entry.unit for entry in books.recordings if entry.below == name]
    return {turn.dropped for turn in books.gated if turn.recording == unit}


def test_every_kind_of_bad_recording_has_its_reason(books):
    told = fates(books)
    assert told["notes.wav"] == told["empty.mp3"] == "cannot be read"
    assert told["twin.wav"] == "the same file twice"
    assert all(told[name] == "" for name in ("talk0.wav", "cut.wav", "stereo.wav", "silence.wav"))
    silent = {entry.below: books.diarised[entry.unit].dropped for entry in books.recordings.kept}
    assert silent["silence.wav"] == silent["music.wav"] == stages.NO_SPEECH
    assert silent["talk0.wav"] == ""
    assert dropped_in(books, "noisy.wav") <= {stages.NOISE, stages.MUSIC}
    assert dropped_in(books, "sung.wav") <= {stages.MUSIC}
    assert "" in dropped_in(books, "talk1.wav")
    assert "" in dropped_in(books, "cut.wav")


def test_the_same_speech_in_two_files_is_in_the_corpus_once(books):
    both = dropped_in(books, "louder.flac") | dropped_in(books, "talk0.wav")
    assert stages.TWICE in both
    twins = {turn.unit: turn.twin for turn in books.gated if turn.dropped == stages.TWICE}
    assert all(books.gated[twin].dropped == "" for twin in twins.values())


def test_what_goes_into_a_stage_comes_out_or_has_a_reason(books):
    rows = count_stages(books, Selection())
    assert [row.stage for row in rows] == ["recordings", "diarise", "cut", "gate", "words", "recognise"]
    for row in rows:
        assert row.taken == row.kept + row.waiting + sum(row.dropped.values()), row
        assert row.kept_s <= row.taken_s + 1e-6
    assert [row.taken for row in rows[1:2]] == [rows[0].kept]
    assert all(row.waiting == 0 for row in rows[:-1])
    assert rows[-1].waiting == rows[-1].taken > 0  # no recogniser was asked


def test_a_turn_is_cut_out_of_its_recording_to_the_sample(books):
    turn = books.turns[0]
    sound, rate_hz = soundfile.read(books.clip_path(turn.unit), dtype="float32")
    whole, _ = soundfile.read(books.recordings[turn.recording].path, dtype="float32")
    assert rate_hz == 16_000
    assert np.abs(sound - whole[turn.start : turn.end]).max() < 1e-4
    assert books.clip_path(turn.unit).stat().st_mode & 0o777 == 0o600


def test_recordings_that_come_later_are_added_and_nothing_is_done_twice(recordings, tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    soundfile.write(folder / "b.wav", voice(20, seed=11), 16_000)
    before = {name: list(getattr(run(folder, tmp_path / "work"), name)) for name in LEDGERS}
    soundfile.write(folder / "a.wav", voice(20, seed=12), 16_000)
    after = run(folder, tmp_path / "work")
    assert [entry.below for entry in after.recordings] == ["b.wav", "a.wav"]
    for name in LEDGERS:
        assert list(getattr(after, name))[: len(before[name])] == before[name]


def test_channels_of_people_who_may_not_be_analysed_are_never_decoded(tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    sound = np.stack([voice(10, seed=1), voice(10, seed=2)], 1)
    soundfile.write(folder / "call.wav", sound, 16_000)
    books = Books(tmp_path / "work")
    take_in(
        books.folder,
        find_sound_files([folder]),
        books.recordings,
        {"call.wav": Origin(roles=("agent", "customer"), licence="ours")},
        may_analyse=lambda role: "people at work are not analysed" if role == "agent" else "",
    )
    agent, customer = books.recordings
    assert (agent.dropped, customer.dropped) == ("may not be analysed", "")
    assert [path.name for path in (books.folder / "audio").iterdir()] == ["0001.s16"]
    heard = np.fromfile(books.folder / "audio" / "0001.s16", "<i2") / 32_768
    assert np.abs(heard - sound[:, 1]).max() < 1e-4


@pytest.mark.skipif(os.name != "posix", reason="names are Unicode there")
def test_a_file_whose_name_is_no_unicode_is_taken_in_once(tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    soundfile.write(os.fsencode(folder) + b"/caf\xe9.wav", voice(4, seed=1), 16_000, format="WAV")
    for _ in range(2):
        books = Books(tmp_path / "work")
        take_in(books.folder, find_sound_files([folder]), books.recordings, {}, may_analyse=lambda role: "")
        assert [entry.dropped for entry in books.recordings] == [""]


def test_without_the_extra_turns_go_on_unread_and_one_line_says_so(recordings, tmp_path):
    class Deaf(CorpusModels):
        @property
        def writer(self):
            from rtemo.api import ModelError

            raise ModelError("faster-whisper is not installed", "run: pip install 'rtemo[words]'")

    folder = tmp_path / "in"
    folder.mkdir()
    soundfile.write(folder / "a.wav", voice(20, seed=1), 16_000)
    books, said = Books(tmp_path / "work"), []
    take_in(books.folder, find_sound_files([folder]), books.recordings, {}, may_analyse=lambda role: "")
    Pipeline(books, CorpusSettings(), Deaf(), say=said.append).run()
    assert len(said) == 1
    assert "no words" in said[0]
    assert "pip install 'rtemo[words]'" in said[0]
    assert books.turns


def test_turns_of_few_words_or_another_language_go_no_further(books, recordings, tmp_path):
    settings = CorpusSettings(language="en", least_words=4)
    pipeline = Pipeline(books, settings, CorpusModels())
    assert pipeline._read("u", "I do not know", "en").dropped == ""
    assert pipeline._read("u", "no", "en").dropped == stages.FEW_WORDS
    assert pipeline._read("u", "das weiß ich wirklich nicht", "de").dropped == stages.OTHER_LANGUAGE
