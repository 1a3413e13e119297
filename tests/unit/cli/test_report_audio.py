"""Sound in a report: only when asked for, only of whom the policy lets be analysed, and little of it."""

import base64
import io
import re
import signal
import stat

import numpy as np
import pytest
import soundfile

from rtemo.api import StreamEnd, StreamStart
from rtemo.cli.callreport.excerpts import SAMPLE_RATE_HZ, excerpts_of
from rtemo.cli.callreport.page import page
from rtemo.cli.callreport.record import Span
from rtemo.cli.callreport.story import tensest
from tests.fakes.program import call
from tests.fakes.report_calls import a_call, an_hour, mood, recorded, told, write_events
from tests.fakes.sounds import tone, write_sound
from tests.unit.cli.test_report import MADE

pytestmark = pytest.mark.unit

CUSTOMER_HZ, AGENT_HZ = 300.0, 500.0
SOUNDS = re.compile(r'<audio[^>]* src="data:audio/mpeg;base64,([^"]*)"')


@pytest.fixture
def recording(tmp_path):
    """A tone on each channel for 100 s."""
    both = np.stack([tone(100.0, 8_000, hz) for hz in (CUSTOMER_HZ, AGENT_HZ)], axis=1)
    return write_sound(tmp_path / "call.wav", both, 8_000)


def loudness(samples, hz):
    """The amplitude of one frequency in the middle of a sound."""
    middle = samples[SAMPLE_RATE_HZ : 2 * SAMPLE_RATE_HZ]
    return 2 * abs(np.exp(-2j * np.pi * hz * np.arange(len(middle)) / SAMPLE_RATE_HZ) @ middle) / len(middle)


def heard_in(mp3):
    samples, rate_hz = soundfile.read(io.BytesIO(mp3), dtype="float32")
    assert (rate_hz, samples.ndim) == (SAMPLE_RATE_HZ, 1)
    return samples


def spans_of(record):
    return {one.span for one in tensest(record)}


def test_the_customer_is_heard_and_the_agent_who_is_only_timed_is_not(recording):
    record = recorded()
    excerpts = excerpts_of(record, recording, spans_of(record))
    assert (excerpts.heard, excerpts.unheard) == (("customer",), ("agent",))
    samples = heard_in(excerpts.sounds[Span(60.0, 80.0)])
    assert len(samples) / SAMPLE_RATE_HZ == pytest.approx(20.0, abs=0.2)
    assert loudness(samples, CUSTOMER_HZ) == pytest.approx(0.5, abs=0.05)
    assert loudness(samples, AGENT_HZ) < 0.001


def test_all_are_heard_where_the_policy_lets_all_be_analysed(recording):
    record = recorded([*a_call(), told("1", StreamStart(role="friend"), 0, 0)])
    excerpts = excerpts_of(record, recording, spans_of(record))
    assert (excerpts.heard, excerpts.unheard) == (("customer", "friend"), ())
    samples = heard_in(excerpts.sounds[Span(60.0, 80.0)])
    assert min(loudness(samples, hz) for hz in (CUSTOMER_HZ, AGENT_HZ)) > 0.4


def test_a_party_of_whom_no_event_says_that_it_may_be_analysed_is_not_heard(recording):
    record = recorded([event for event in a_call() if not isinstance(event.data, StreamStart)])
    excerpts = excerpts_of(record, recording, spans_of(record))
    assert excerpts.sounds == {}
    assert "<audio" not in page(record, "call.wav", MADE, excerpts)


def test_two_on_one_channel_are_heard_only_if_both_may_be(tmp_path):
    sound = write_sound(tmp_path / "mono.wav", tone(100.0, 8_000, CUSTOMER_HZ), 8_000)
    for role, analysis, is_heard in (("friend", "person", True), ("agent", "timing", False)):
        starts = [
            told("0", StreamStart(role="customer", is_estimate=True), 0, 0),
            told("1", StreamStart(role=role, analysis=analysis, is_estimate=True), 0, 0),
        ]
        record = recorded([*starts, *(event for event in a_call() if not isinstance(event.data, StreamStart))])
        assert bool(excerpts_of(record, sound, spans_of(record)).sounds) is is_heard


def test_channels_go_by_the_names_that_the_events_give_them(recording):
    events = [told("mine", StreamStart(role="customer"), 0, 0), told("mine", mood("angry", 0.9, -0.9), 0, 2)]
    record = recorded(events)
    (sound,) = excerpts_of(record, recording, [Span(0.0, 3.0)], ("theirs", "mine")).sounds.values()
    assert loudness(heard_in(sound), AGENT_HZ) > 0.4
    assert loudness(heard_in(sound), CUSTOMER_HZ) < 0.001


def test_an_hour_with_its_three_tensest_minutes_stays_below_three_megabytes(tmp_path):
    noise = np.random.default_rng(1).normal(0.0, 0.1, (3600 * 8_000, 1)).astype(np.float32)
    sound = write_sound(tmp_path / "hour.wav", np.repeat(noise, 2, axis=1), 8_000)
    record = recorded(an_hour())
    excerpts = excerpts_of(record, sound, spans_of(record))
    assert len(excerpts.sounds) == 3
    assert len(page(record, "hour.wav", MADE, excerpts).encode()) < 3_000_000


def test_a_page_holds_sound_only_when_it_is_asked_for_and_then_only_its_owner_reads_it(tmp_path, recording, capsys):
    events, out = write_events(tmp_path / "events.jsonl"), tmp_path / "out.html"
    assert call(capsys, "report", events, "--out", out).code == 0
    silent = out.read_text()
    assert "<audio" not in silent
    assert "data:" not in silent
    assert "media-src" not in silent
    out.chmod(0o644)
    assert call(capsys, "report", events, "--audio", recording, "--out", out).code == 0
    assert stat.S_IMODE(out.stat().st_mode) == 0o600
    text = out.read_text()
    assert "default-src 'none'; style-src 'unsafe-inline'; media-src data:\"" in text
    assert "Whoever has this page hears customer; left out: agent, by policy." in text
    (sound,) = SOUNDS.findall(text)
    assert loudness(heard_in(base64.b64decode(sound)), AGENT_HZ) < 0.001


def test_a_recording_that_does_not_fit_is_refused_in_one_line(tmp_path, recording, capsys):
    events, out = write_events(tmp_path / "events.jsonl"), tmp_path / "out.html"
    mono = write_sound(tmp_path / "mono.wav", tone(1.0, 8_000), 8_000)
    done = call(capsys, "report", events, "--audio", mono, "--out", out)
    assert "the channels of" in done.complaint
    assert "channel_names" in done.complaint
    assert "--audio FILE" in call(capsys, "report", events, "--with-audio", "--out", out).err
    assert "--audio is for events" in call(capsys, "report", recording, "--audio", mono, "--out", out).err
    assert "holds no sound" in call(capsys, "report", events, "--audio", mono, "--out", tmp_path / "x.png").err
    assert "does not exist" in call(capsys, "report", events, "--audio", tmp_path / "no.wav", "--out", out).complaint
    assert "would write over" in call(capsys, "report", events, "--audio", mono, "--out", mono).complaint
    assert not out.exists()


@pytest.mark.parametrize("duration_s", [60.0, 160.0])
def test_a_recording_of_another_length_than_the_call_is_refused(tmp_path, capsys, duration_s):
    events, out = write_events(tmp_path / "events.jsonl"), tmp_path / "out.html"
    other = write_sound(tmp_path / "other.wav", np.stack([tone(duration_s, 8_000)] * 2, axis=1), 8_000)
    done = call(capsys, "report", events, "--audio", other, "--out", out)
    assert f"is {duration_s:.0f} s long and the call 100 s" in done.complaint
    assert not out.exists()


def test_a_recording_of_a_call_whose_end_is_not_told_may_be_longer(tmp_path, recording):
    record = recorded([event for event in a_call() if not isinstance(event.data, StreamEnd)])
    assert excerpts_of(record, recording, spans_of(record)).sounds


def test_a_recording_that_breaks_off_is_named_and_the_rest_is_heard(tmp_path, recording, capsys):
    events, out = write_events(tmp_path / "events.jsonl"), tmp_path / "out.html"
    recording.write_bytes(recording.read_bytes()[:100_000])
    done = call(capsys, "report", events, "--audio", recording, "--out", out)
    assert done.code == 0
    assert "breaks off" in done.complaint
    assert "the recording breaks off" in out.read_text()


def test_an_interrupt_while_a_sound_is_written_is_not_lost(recording, monkeypatch, capfd):
    class Interrupted(io.BytesIO):
        def write(self, data):
            signal.raise_signal(signal.SIGINT)
            return super().write(data)

    record = recorded()
    spans = spans_of(record)
    monkeypatch.setattr(io, "BytesIO", Interrupted)
    with pytest.raises(KeyboardInterrupt):
        excerpts_of(record, recording, spans)
    monkeypatch.undo()
    assert capfd.readouterr().err == ""
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
