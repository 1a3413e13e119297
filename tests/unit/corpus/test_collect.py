"""Turns of live calls are kept with consent, and of nobody without."""

import csv
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile

from rtemo import Session
from rtemo.api import ConfigError, ConsentError, Emotion, Event, ProcessedBlock, StreamFormat
from rtemo.config import load_config
from rtemo.corpus.collect import CollectOptions, CollectSink
from rtemo.extensions import SINKS, installed
from rtemo.io.sources.file import FileSource
from rtemo.testing.voice import voice
from tests.fakes.program import call

pytestmark = pytest.mark.unit

HOP = 160
LIST = "call,who,when\nopen-*,Jane Doe,2026-11-30\nhers,Ann Other,2026-11-01\n"


def sink(folder, text: str = LIST, **options) -> CollectSink:
    folder.mkdir(exist_ok=True)
    (folder / "consents.csv").write_text(text)
    made = CollectSink(CollectOptions(folder=str(folder), **options))
    made.open(StreamFormat())
    return made


def play(made: CollectSink, call: str, seconds: float, analysis: str = "person", end: bool = False) -> np.ndarray:
    sound = np.linspace(-0.5, 0.5, round(seconds * 16_000)).astype(np.float32)
    stream = SimpleNamespace(id=1, call=call, channel="0", role="caller", analysis=analysis)
    for at in range(0, len(sound), HOP):
        last = np.array([end and at + HOP >= len(sound)])
        place = np.array([at])
        made.write(ProcessedBlock((stream,), sound[None, at : at + HOP], place, place + HOP, place, last))
    return sound


def say(made: CollectSink, call: str, start_s: float, end_s: float, label: str = "sad", **more) -> None:
    fields = {"confidence": 0.9, "is_final": True} | more
    data = Emotion(
        label=label,
        probabilities={label: 0.9},
        arousal=0.0,
        valence=0.0,
        speech_s=end_s - start_s,
        trigger="turn_end",
        **fields,
    )
    at = {"start_sample": round(start_s * 16_000), "end_sample": round(end_s * 16_000)}
    made.publisher.publish([Event(call=call, channel="0", plugin="p", seq=1, capture_ns=0, emit_ns=0, data=data, **at)])


def rows(folder) -> list[dict[str, str]]:
    path = folder / "sources.csv"
    return list(csv.DictReader(path.open(newline=""))) if path.exists() else []


def test_a_turn_of_a_consented_call_is_kept_to_the_sample_with_whose_word_it_was(tmp_path):
    made = sink(tmp_path)
    sound = play(made, "open-17", 8.0)
    say(made, "open-17", 1.0, 5.0)
    made.tick()
    (row,) = rows(tmp_path)
    assert row["licence"] == "consent: Jane Doe, 2026-11-30"
    assert "open-17" not in row["path"] + row["source"]  # it may be somebody's number
    kept, rate_hz = soundfile.read(tmp_path / row["path"], dtype="float32")
    assert rate_hz == 16_000
    assert np.abs(kept - sound[16_000:80_000]).max() < 1e-4
    assert (tmp_path / row["path"]).stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("call", "analysis"), [("somebody", "person"), ("open-1", "timing"), ("hers-too", "person"), ("ope", "person")]
)
def test_nothing_is_held_or_kept_of_calls_without_consent_or_of_people_who_may_not_be_analysed(
    tmp_path, call, analysis
):
    made = sink(tmp_path)
    play(made, call, 6.0, analysis)
    say(made, call, 1.0, 5.0)
    made.tick()
    assert rows(tmp_path) == []
    assert not made._held


@pytest.mark.parametrize(
    "more",
    [
        {"label": "neutral"},
        {"is_final": False},
        {"is_trusted": False},
        {"end_s": 2.0},
        {"end_s": 13.5},
        {"start_s": -5.0, "end_s": 2.0},
    ],
)
def test_what_is_plain_or_not_final_or_not_of_a_usable_length_is_not_kept(tmp_path, more):
    made = sink(tmp_path)
    play(made, "hers", 16.0)
    say(made, "hers", **({"start_s": 1.0, "end_s": 5.0} | more))
    made.tick()
    assert rows(tmp_path) == []


def test_of_plain_turns_every_tenth_is_kept_and_what_nobody_is_sure_of_always(tmp_path):
    made = sink(tmp_path)
    play(made, "hers", 15.0)
    for place in range(20):
        say(made, "hers", 1.0 + 0.1 * place, 5.0 + 0.1 * place, "neutral")
    say(made, "hers", 4.0, 9.0, "neutral", confidence=0.2)
    made.tick()
    assert sorted(row["source"] for row in rows(tmp_path)) == ["live, drawn", "live, drawn", "live, unsure"]


def test_a_turn_that_is_told_before_its_audio_waits_for_it_and_after_the_end_of_a_call_still_is_kept(tmp_path):
    made = sink(tmp_path)
    say(made, "hers", 1.0, 5.0)
    play(made, "hers", 4.0)
    made.tick()
    assert made.kept == 0
    say(made, "hers", 1.0, 5.0)
    play(made, "hers", 6.0, end=True)
    say(made, "hers", 1.5, 5.5)
    made.tick()
    assert made.kept >= 1


def test_consent_that_is_taken_back_ends_it_at_once(tmp_path):
    made = sink(tmp_path)
    play(made, "hers", 6.0)
    (tmp_path / "consents.csv").write_text("call,who,when\nother,Jane Doe,2026-11-30\n")
    made.tick()
    assert not made._held
    say(made, "hers", 1.0, 5.0)
    made.tick()
    assert rows(tmp_path) == []


@pytest.mark.parametrize("text", ["call,who,when\nx,,2026-11-30\n", "call,who,when\nx,Jane Doe,tomorrow\n"])
def test_a_consent_that_names_nobody_or_no_day_is_none(tmp_path, text):
    with pytest.raises(ConsentError):
        sink(tmp_path, text)


@pytest.mark.parametrize("text", ["call,who,when\n*,Jane Doe,2026-11-30\n", "call,who,when\n,Jane Doe,2026-11-30\n"])
def test_nobody_consents_for_everybody(tmp_path, text):
    with pytest.raises(ConfigError, match="names no call"):
        sink(tmp_path, text)


def test_without_a_folder_or_a_list_nothing_is_begun(tmp_path):
    with pytest.raises(ConfigError, match="--collect DIR"):
        CollectSink()
    with pytest.raises(ConfigError, match="call,who,when"):
        CollectSink(CollectOptions(folder=str(tmp_path)))


def test_the_session_gives_it_audio_and_events_and_a_limit_is_kept(tmp_path):
    """Through the real engine, with the listener that ships."""
    path = tmp_path / "hers.wav"
    soundfile.write(path, voice(30, seed=2), 16_000)
    folder = tmp_path / "kept"
    folder.mkdir()
    (folder / "consents.csv").write_text(LIST)
    made = CollectSink(CollectOptions(folder=str(folder), least_s=0.5, unsure_below=1.0, most=3))
    config = load_config(None, (), ["vad", "merit"])
    source = FileSource(path, "hers", roles=("caller",))
    with Session(config, sources=[source], sinks=[made], mode="freewheel") as session:
        assert session.wait(60)
    assert made.kept == len(rows(folder)) == 3
    for row in rows(folder):
        sound, _ = soundfile.read(folder / row["path"])
        assert np.abs(sound).max() > 0.05


def test_serving_without_a_list_of_consents_ends_with_one_line(capsys, tmp_path):
    if "collect" not in installed(SINKS):
        pytest.skip("rtemo is not installed anew since the sink `collect` came")
    done = call(capsys, "serve", "--collect", tmp_path, "--quiet")
    assert done.code == 2
    assert "call,who,when" in done.complaint
