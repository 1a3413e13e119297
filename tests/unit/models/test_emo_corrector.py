"""A corrected recording says the new words where the old ones were, as clips of the wanted mood are said."""

import json
import re
from importlib.metadata import entry_points
from pathlib import Path

import numpy as np
import pytest
import soundfile
from click.testing import CliRunner

from rtemo.api import EMOTIONS, ConsentError
from rtemo.api.speech import SpokenText, Utterance
from rtemo.cli.lazy_tools import LazyTools
from rtemo.cli.speech_tag import read_tag
from rtemo.runtime import ModelStore
from rtemo.testing.voice import voice
from rtemo.voice.edits import Edit
from rtemo.voice.errors import VoiceError
from rtemo.voice.imitation import Imitator, stretched_contour
from rtemo.voice.manner import MANNERS, Manner
from rtemo.voice.reference import Melody
from rtemo.voice.service import VoiceService
from rtemo.voice.speaker import SpeakerEmbedder
from rtemo.voice.style import read_style
from rtemo_models.systems.emo_corrector import verb
from rtemo_models.systems.emo_corrector.correct import choose_delivery, correct, span_of, word_times
from rtemo_models.systems.emo_corrector.delivery import Delivery, delivered, delivery_of
from rtemo_models.systems.emo_corrector.mood import Mood, MoodEmbedder
from rtemo_models.systems.emo_corrector.store import ClipStore, StoredClip, heard_clip, open_store
from rtemo_models.systems.emo_corrector.takes import MOST_TAKES, TakeJudge, Verdict, best_of, takes_of
from rtemo_models.systems.emo_corrector.text_emotion import text_emotion
from tests.fakes.speaking import LetterEspeak, notes_voice, write_voice

pytestmark = pytest.mark.unit

RATE_HZ = 16_000


def one_hot(name):
    return np.array([0.93 if other == name else 0.01 for other in EMOTIONS])


def clip(emotion, speaker="a", text="", hz=200.0, level_db=-20.0, rate=4.0):
    pitch_hz = np.full(100, hz, np.float32) * (1 + 0.1 * np.sin(np.arange(100) / 10)).astype(np.float32)
    mood = Mood(one_hot(emotion), 0.0, 0.0, np.ones(4, np.float32))
    melody = Melody(pitch_hz, np.full(100, level_db, np.float32))
    return StoredClip(Path(f"{speaker}-{emotion}.wav"), text, speaker, mood, melody, rate, level_db)


@pytest.fixture(scope="module")
def recorded():
    """A recording of the notes' own making, so that it can be imitated exactly."""
    service = VoiceService(notes_voice(), LetterEspeak(), has_watermark=False)
    style = read_style("low", service.voice.voices, "notes")
    said = service.say("the old man sat here", style)
    rng = np.random.default_rng(0)
    samples = said.samples.copy()
    for word in said.words:  # words of noise over a bed of silence: something to align
        samples[word.start_sample : word.end_sample] = 0.2 * rng.standard_normal(word.end_sample - word.start_sample)
    return service, style, samples, said.words


@pytest.mark.parametrize(
    ("text", "emotion"),
    [
        ("I am so happy that you won!", "happy"),
        ("I am not happy about it.", "sad"),
        ("This is a stupid and ridiculous excuse.", "angry"),
        ("Be careful, it is dangerous there.", "fear"),
        ("The train leaves at nine.", "neutral"),
        ("Wow, what a surprise!", "surprise"),
    ],
)
def test_words_tell_the_mood_of_a_sentence(text, emotion):
    told = text_emotion(text)
    assert told.sum() == pytest.approx(1.0)
    assert EMOTIONS[int(told.argmax())] == emotion


def test_changed_words_count_more():
    text = "It is good that he is terrible"
    assert EMOTIONS[int(text_emotion(text, frozenset({"terrible"})).argmax())] == "angry"
    assert EMOTIONS[int(text_emotion(text, frozenset({"good"})).argmax())] == "happy"


def test_the_nearest_clips_are_found_exactly_and_none_of_the_same_text():
    store = ClipStore([clip("sad", text="Good morning."), clip("angry"), clip("sad", "b"), clip("happy")])
    found = store.search(one_hot("sad"), 2, ["good MORNING"])
    assert found[0].clip.speaker == "b"
    assert found[0].likeness == pytest.approx(1.0, abs=1e-6)
    assert found[0].likeness > found[1].likeness
    assert len(store.search(one_hot("sad"), 9, [])) == 4
    assert all(one.clip.text != "Good morning." for one in store.search(one_hot("sad"), 9, ["Good morning"]))


@pytest.mark.parametrize("plain", ["neutral", "calm"])
def test_delivery_is_what_a_clip_differs_by_from_how_its_speaker_usually_speaks(plain):
    others = [clip(plain, hz=200.0), clip("happy", hz=400.0, level_db=0.0, rate=9.0)]
    store = ClipStore([*others, clip("angry", hz=283.0, level_db=-14.0, rate=5.0)])
    manner = delivery_of(store.search(one_hot("angry"), 1), store).manner
    assert manner.pitch_semitones == pytest.approx(6.0, abs=0.3)
    assert manner.level_db == pytest.approx(6.0)
    assert manner.speed == pytest.approx(5.0 / 4.0)


def test_a_speaker_without_a_calm_clip_usually_speaks_as_all_of_them():
    store = ClipStore([clip("sad", hz=200.0), clip("angry", hz=283.0, level_db=-14.0, rate=5.0)])
    manner = delivery_of(store.search(one_hot("angry"), 1), store).manner
    assert manner.pitch_semitones == pytest.approx(3.0, abs=0.3)
    assert manner.level_db == pytest.approx(3.0)


def test_the_colour_of_a_mood_is_taken_from_the_clips_and_limited_and_its_level_is_not():
    bright = np.where(np.arange(257) > 128, 10.0, -10.0) + 30.0
    plain = clip("neutral")._replace(spectrum_db=np.zeros(257))
    store = ClipStore([plain, clip("angry")._replace(spectrum_db=bright)])
    colour_db = delivery_of(store.search(one_hot("angry"), 1), store).colour_db
    assert colour_db[:100] == pytest.approx(-10.0, abs=0.1)
    assert colour_db[150:] == pytest.approx(10.0, abs=0.1)
    assert not len(delivery_of(ClipStore([clip("angry")]).search(one_hot("angry"), 1), store).colour_db)


def test_a_speaker_of_one_clip_gives_a_melody_alone():
    store = ClipStore([clip("angry", hz=400.0)])
    manner = delivery_of(store.search(one_hot("angry"), 1), store).manner
    assert manner == Manner(
        speed=1.0, pitch_semitones=pytest.approx(0.0, abs=1e-6), pitch_range=pytest.approx(1.0), level_db=0.0
    )


def test_without_clips_a_mood_is_said_as_most_people_say_it():
    delivery, found = choose_delivery(one_hot("sad"), None, [])
    assert delivery.manner == MANNERS["sad"]
    assert found == ()


def test_a_contour_is_stretched_and_filled():
    pitch_hz = np.array([0, 100, 100, 0, 0, 200, 200, 0], np.float32)
    contour = stretched_contour(pitch_hz, 11)
    assert len(contour) == 11
    assert contour[0] < contour[-1]
    assert not stretched_contour(np.zeros(5, np.float32), 4).any()


def test_only_the_words_of_the_edit_are_said_differently(recorded):
    service, style, samples, _ = recorded
    imitator = Imitator(service, style, samples, "the old man sat here")
    imitator.melody = Melody(np.full(10, 150.0, np.float32), np.zeros(10, np.float32))
    before = imitator.planned("the old man sat here")
    after = delivered(
        imitator, before, 1, 2, Delivery(Manner(speed=2.0, pitch_semitones=12.0), np.zeros(0, np.float32))
    )
    low, high = after.spans[1].start, after.spans[1].stop
    halves = after.plan.durations_frames[low:high] * 2
    np.testing.assert_array_equal(halves, before.plan.durations_frames[low:high])
    np.testing.assert_array_equal(after.plan.durations_frames[high:], before.plan.durations_frames[high:])
    ends = np.cumsum(after.plan.durations_frames)
    start, end = 2 * ends[low - 1], 2 * ends[high - 1]
    np.testing.assert_allclose(after.plan.pitch_hz[start:end], 300.0, rtol=1e-3)
    np.testing.assert_allclose(after.plan.pitch_hz[end:], 150.0, rtol=1e-3)


def test_an_edit_takes_the_samples_of_its_words():
    times = np.array([[0, 100], [120, 200], [240, 300]])
    assert span_of(times, Edit(1, 2, 1, 2)) == (120, 200)
    assert span_of(times, Edit(1, 1, 1, 2)) == (110, 110)
    assert span_of(times, Edit(0, 0, 0, 1)) == (0, 0)
    assert span_of(times, Edit(3, 3, 3, 4)) == (300, 300)


def test_words_are_where_the_recogniser_heard_them_and_else_where_the_copy_has_them(recorded):
    service, style, samples, _ = recorded
    imitator = Imitator(service, style, samples, "the old man sat here")
    words = ["the", "old", "man", "sat", "here"]
    heard = (["the", "man"], np.array([[1_000, 2_000], [9_000, 12_000]]))
    times = word_times(samples, words, imitator, heard)
    assert times[0].tolist() == [1_000, 2_000]
    assert times[2].tolist() == [9_000, 12_000]
    assert (np.diff(times.reshape(-1)) >= 0).all()


def test_what_was_not_edited_stays_sample_for_sample(recorded):
    service, style, samples, said = recorded
    imitator = Imitator(service, style, samples, "the old man sat here")
    heard = ([word.text for word in said], np.array([[word.start_sample, word.end_sample] for word in said]))
    done = correct(samples, "the old man sat here", "the old cow sat here", imitator, heard=heard)
    (span,) = done.spans
    assert (span.old, span.new) == ("man", "cow")
    kept = said[1].end_sample - 700
    np.testing.assert_array_equal(done.samples[:kept], samples[:kept])
    tail = len(samples) - said[3].start_sample - 700
    np.testing.assert_array_equal(done.samples[-tail:], samples[-tail:])
    assert not np.array_equal(
        done.samples[span.start_sample : span.end_sample], samples[span.start_sample : span.end_sample]
    )


def test_several_edits_are_made_and_stand_in_order(recorded):
    service, style, samples, said = recorded
    imitator = Imitator(service, style, samples, "the old man sat here")
    heard = ([word.text for word in said], np.array([[word.start_sample, word.end_sample] for word in said]))
    done = correct(samples, "the old man sat here", "a old man sat there now", imitator, heard=heard)
    assert [span.new for span in done.spans] == ["a", "there now"]
    assert done.spans[0].end_sample < done.spans[1].start_sample <= done.spans[1].end_sample <= len(done.samples)


@pytest.mark.parametrize(
    ("new", "problem"), [("The OLD man sat here!", "says what the recording says"), ("...", "no word")]
)
def test_nothing_to_change_is_one_clear_line(recorded, new, problem):
    service, style, samples, _ = recorded
    imitator = Imitator(service, style, samples, "the old man sat here")
    with pytest.raises(VoiceError, match=problem) as caught:
        correct(samples, "the old man sat here", new, imitator)
    assert caught.value.mend


def test_a_folder_of_clips_is_heard_and_what_cannot_be_is_named(tmp_path):
    (tmp_path / "anna").mkdir()
    for name, seed in (("one", 1), ("two", 2)):
        soundfile.write(tmp_path / "anna" / f"{name}.wav", voice(2.0, seed=seed), RATE_HZ)
    (tmp_path / "anna" / "broken.wav").write_bytes(b"RIFF")
    (tmp_path / "manifest.csv").write_text("path,text,speaker\nanna/one.wav,Good morning,anna k\n")
    named = []
    mood = Mood(one_hot("sad"), 0.0, 0.0, np.ones(4, np.float32))
    store = open_store(tmp_path, LazyTools().read_audio, lambda samples: mood, named.append)
    assert sorted((one.speaker, one.text) for one in store.clips) == [("anna", ""), ("anna k", "Good morning")]
    assert len(named) == 1
    assert "broken.wav" in named[0]
    assert heard_clip(Path("x/y.wav"), voice(2.0, seed=1), mood).rate_per_s > 1.0


def run(*arguments):
    return CliRunner().invoke(verb.command, list(map(str, arguments)), obj=LazyTools(), standalone_mode=False)


def test_the_verb_is_found_through_its_entry_point():
    assert any(point.value == verb.__name__ for point in entry_points(group="rtemo.verbs"))


def test_a_calmer_sentence_keeps_its_words_and_is_marked(tmp_path):
    recording, out = tmp_path / "r.wav", tmp_path / "x.wav"
    soundfile.write(recording, voice(4.0, seed=4), RATE_HZ)
    done = run(recording, "--manner", "calm", "--consent", "Jane Doe, 2026-11-30", "--out", out)
    assert done.exception is None
    samples, _ = soundfile.read(out)
    assert len(samples) == pytest.approx(4.0 * RATE_HZ / 0.92, abs=2)
    assert read_tag(out) == "synthetic speech; changed: said calm; consent: Jane Doe, 2026-11-30"


def test_a_word_is_replaced_from_the_command_line(tmp_path, monkeypatch):
    monkeypatch.setattr("rtemo.voice.service.find_espeak", LetterEspeak)
    monkeypatch.setattr(LazyTools, "speech", no_recogniser)
    bundle, recording, out, report = (
        write_voice(tmp_path / "notes"),
        tmp_path / "r.wav",
        tmp_path / "x.wav",
        tmp_path / "r.json",
    )
    soundfile.write(recording, voice(3.0, seed=4), RATE_HZ)
    given = [recording, "--text", "the old man sat", "--to", "the sad man sat", "--voice", "low", "--bundle", bundle]
    done = run(*given, "--consent", "Jane Doe, 2026-11-30", "--out", out, "--report", report)
    assert done.exception is None
    told = json.loads(report.read_text())
    assert told["emotion"] == "sad"
    assert told["spans"][0]["new"] == "sad"
    assert "'old' became 'sad'" in read_tag(out)


def no_recogniser(tools, name):
    from rtemo.api import ModelError

    raise ModelError("whisper is not installed", "install it")


@pytest.mark.parametrize(
    ("arguments", "error", "problem"),
    [
        (["--to", "x"], ConsentError, "without the consent"),
        (["--consent", "Jane, 2026-11-30"], Exception, "either --to SENTENCE or --manner"),
        (["--to", "x", "--consent", "Jane, 2026-11-30"], VoiceError, "what the recording says is not known"),
        (
            ["--to", "x", "--text", "y", "--span", "1:9", "--consent", "Jane, 2026-11-30"],
            VoiceError,
            "outside of the recording",
        ),
        (["--to", "x", "--text", "y", "--span", "a", "--consent", "Jane, 2026-11-30"], Exception, "START:END"),
        (
            ["--to", "x", "--text", "y", "--emotion", "odd", "--consent", "Jane, 2026-11-30"],
            VoiceError,
            "no emotion 'odd'",
        ),
        (["--manner", "odd", "--consent", "Jane, 2026-11-30"], VoiceError, "no manner 'odd'"),
        (["--to", "...", "--text", "y", "--consent", "Jane, 2026-11-30", "--voice", "low"], VoiceError, "has no word"),
        (["--to", "утро", "--text", "y", "--consent", "Jane, 2026-11-30", "--voice", "low"], VoiceError, "in Cyrillic"),
    ],
)
def test_a_mistake_is_one_clear_line(tmp_path, monkeypatch, arguments, error, problem):
    monkeypatch.setattr("rtemo.voice.service.find_espeak", LetterEspeak)
    monkeypatch.setattr(LazyTools, "speech", no_recogniser)
    bundle, recording = write_voice(tmp_path / "notes"), tmp_path / "r.wav"
    soundfile.write(recording, voice(3.0, seed=4), RATE_HZ)
    done = run(recording, *arguments, "--bundle", bundle, "--out", tmp_path / "x.wav")
    assert isinstance(done.exception, error)
    assert problem in str(done.exception)
    assert not (tmp_path / "x.wav").exists()


@pytest.mark.parametrize(
    ("sound", "problem"),
    [
        (voice(3.0, seed=4)[: RATE_HZ // 5], "holds 0.[0-9] s of sound|is silent"),
        (np.zeros(2 * RATE_HZ, np.float32), "is silent"),
        (0.3 * np.sin(np.arange(4 * RATE_HZ) / 10).astype(np.float32), "is music or another steady sound"),
    ],
    ids=["0.2 s", "silence", "a tone"],
)
@pytest.mark.parametrize("voice_name", ["", "low"])
def test_a_recording_that_nobody_speaks_in_is_one_clear_line(tmp_path, monkeypatch, sound, problem, voice_name):
    monkeypatch.setattr("rtemo.voice.service.find_espeak", LetterEspeak)
    monkeypatch.setattr(LazyTools, "speech", no_recogniser)
    bundle, recording = write_voice(tmp_path / "notes"), tmp_path / "r.wav"
    soundfile.write(recording, sound, RATE_HZ)
    given = ["--to", "x", "--text", "y", "--consent", "Jane, 2026-11-30", "--bundle", bundle]
    done = run(recording, *given, "--voice", voice_name, "--out", tmp_path / "x.wav")
    assert isinstance(done.exception, VoiceError)
    assert re.search(problem, str(done.exception))
    assert "\n" not in str(done.exception)
    assert not (tmp_path / "x.wav").exists()


def test_of_takes_words_come_first_then_the_voice_then_the_mood():
    assert best_of([Verdict(1.0, 0.7, 0.2), Verdict(0.5, 0.9, 0.9), Verdict(0.9, 0.7, 0.6)]) == 2
    assert best_of([Verdict(1.0, 0.7, 0.2), Verdict(1.0, 0.5, 0.9)]) == 0
    unknown = float("nan")
    assert best_of([Verdict(1.0, unknown, unknown), Verdict(1.0, unknown, unknown)]) == 0


def test_takes_have_the_delivery_in_several_strengths_and_then_that_of_most_people():
    found = Delivery(Manner(speed=1.2, pitch_semitones=6.0, level_db=4.0), np.ones(8, np.float32), np.zeros(0))
    ways = takes_of(found, one_hot("sad"), MOST_TAKES)
    assert [way.manner.pitch_semitones for way in ways] == pytest.approx([6.0, 3.0, 7.0, -1.5, -0.75, -2.25])
    assert [len(way.contour) for way in ways] == [8, 8, 8, 0, 0, 0]
    assert ways[1].manner.speed == pytest.approx(1.2**0.5)
    assert len(takes_of(Delivery(MANNERS["sad"], np.zeros(0, np.float32)), one_hot("sad"), MOST_TAKES)) == 3


def test_the_take_that_is_kept_is_the_one_that_is_heard_best(recorded):
    service, style, samples, said = recorded
    imitator = Imitator(service, style, samples, "the old man sat here")
    heard = ([word.text for word in said], np.array([[word.start_sample, word.end_sample] for word in said]))
    lengths = []

    class LikesShort:
        def hear(self, made, text, places, stretches, emotion):
            assert text == "a old man sat there now"
            assert list(places) == [0, 4, 5]
            assert len(stretches) == 2
            lengths.append(len(made))
            return Verdict(1.0, 0.5, 1.0 / len(made))

    edited = ("the old man sat here", "a old man sat there now", imitator)
    done = correct(samples, *edited, heard=heard, emotion=one_hot("angry"), judge=LikesShort(), takes=3)
    assert len(lengths) == done.takes == 3
    assert len(done.samples) == min(lengths) < max(lengths)
    assert done.verdict == Verdict(1.0, 0.5, 1.0 / min(lengths))
    once = correct(samples, *edited, heard=heard, emotion=one_hot("angry"))
    assert (once.takes, once.verdict) == (1, None)


def test_a_judge_hears_words_voice_and_mood_of_what_is_new():
    store = ModelStore()
    sounds = np.concatenate([voice(2.0, seed=1), voice(2.0, seed=9)])
    voices = SpeakerEmbedder(store.load("speaker"))
    speaker = voices.embed_stretches([sounds[:32_000]])[0]
    judge = TakeJudge(Hears("one two tree"), "en", voices, speaker, MoodEmbedder(store.load("merit-large")))
    own = judge.hear(sounds, "one two three", [1, 2], [(0, 32_000)], one_hot("calm"))
    assert own.words == 0.5
    assert own.likeness == pytest.approx(1.0, abs=1e-4)
    assert 0.0 < own.mood < 1.0
    assert judge.hear(sounds, "one two three", [0], [(32_000, 64_000)], one_hot("calm")).likeness < 0.99
    short = judge.hear(sounds, "one two three", [0], [(0, 3_000)], one_hot("calm"))
    assert short.words == 1.0
    assert np.isnan(short.likeness)
    assert np.isnan(short.mood)


class Hears:
    """A recogniser that hears the same whatever is said."""

    languages = ("en",)

    def __init__(self, text):
        part = Utterance(
            text=text, start_s=0.0, end_s=1.0, words=(), no_speech=0.0, mean_log_probability=0.0, compression=1.0
        )
        self.text = SpokenText(language="en", language_probability=1.0, utterances=(part,))

    def transcribe(self, windows, *, language="", words=True, prompt=""):
        return [self.text for _ in windows]
