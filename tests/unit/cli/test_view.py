import io
import re
import xml.etree.ElementTree

import msgspec
import pytest
from rich.cells import cell_len
from rich.console import Console

from rtemo.api import EMOTIONS, Fault, Level, Overload, Rank, SourceState, Spoof, StreamStart
from rtemo.cli.view.line import Line
from rtemo.cli.view.picture import picture
from rtemo.cli.view.screen import Lines, Screen
from rtemo.cli.view.state import ViewState
from rtemo.cli.view.summary import print_summary
from rtemo.cli.view.top import table
from tests.fakes.conversation import conversation, emotion, ended, event, health

pytestmark = pytest.mark.unit


def view(channels=1, **more):
    state = ViewState("call.flac")
    for item in conversation(channels, **more):
        state.add(item)
    return state


def text_of(state, width, height):
    return "\n".join(line.text for line in Screen(state).lines(width, height))


@pytest.mark.parametrize(("width", "height"), [(80, 24), (120, 32), (100, 30), (60, 20), (200, 60), (40, 10), (20, 5)])
@pytest.mark.parametrize("channels", [0, 1, 2, 3, 5, 30])
def test_the_view_never_exceeds_the_terminal(width, height, channels):
    lines = Screen(view(channels) if channels else ViewState("x")).lines(width, height)
    assert len(lines) <= height
    for line in lines:
        assert cell_len(line.text) == line.width
        assert line.width <= width, line.text


def test_classes_of_a_bundles_own_are_shown_by_their_names_and_the_emotions_that_it_does_not_tell_are_not():
    state = view()
    told = emotion("bored")
    told = msgspec.structs.replace(told, probabilities={"happy": 0.2, "bored": 0.7, "very keen indeed": 0.1})
    state.add(event(told))
    shown = text_of(state, 80, 24)
    assert "▶ bored" in shown
    assert "very keen" in shown
    assert "disgust" not in shown


def test_one_stream_at_80_columns_shows_everything():
    shown = text_of(view(), 80, 24)
    for word in (
        "call.flac",
        "level → vad → emotion",
        "0:24.0",
        "▶ angry",
        " 65%",
        "surprise",
        "arousal  +0.50  excited",
        "valence  -0.50  negative",
        "-20 dBFS",
        "peak  -8",
        "180 Hz",
        "latency 20 ms",
        "event age 11 ms, p99 11 ms",
        "load 4.7%",
        "BUSY p99",
        "emotion 1.31 ms",
        "✓ xruns 0   lost 0 ms   overrun 0 ms   skipped 0   dropped 0   concealed 0",
        "not inner state",
        "Ctrl-C ends",
    ):
        assert word in shown, word


def test_two_streams_at_80_columns_stand_side_by_side():
    lines = [line.text for line in Screen(view(2)).lines(80, 24)]
    assert sum("neutral" in line for line in lines) == 1
    assert next(line for line in lines if "neutral" in line).count("neutral") == 2


def test_many_streams_become_one_line_each_and_speakers_come_first():
    state = view(30, duration_s=20.0)
    lines = [line.text for line in Screen(state).lines(80, 24)]
    assert any("… and" in line for line in lines)
    speaking = next(key for key, stream in state.streams.items() if stream.is_speaking)
    assert lines[1].split()[1] == speaking[1]


def test_a_stream_on_one_line_ends_with_its_whole_valence_and_begins_with_its_alarm():
    state = view(3)
    state.add(event(Spoof(score=2.5, verdict="spoof", is_alarmed=True), 23, 24, channel="1"))
    first, second, third = (line.text for line in Screen(state).lines(80, 24)[1:4])
    for line in (first, second, third):
        assert re.search(r"arousal [+-]\d\.\d\d  valence [+-]\d\.\d\d *$", line), line
    assert second[1] == "!"
    assert first[1] == third[1] == " "


def test_speech_shows_by_sign_and_word_and_not_by_colour_alone():
    assert "● SPEECH" in text_of(view(duration_s=26.0), 80, 24)
    assert "○ silence" in text_of(view(duration_s=24.0), 80, 24)
    assert "◌ waiting" in text_of(view(duration_s=0.2), 80, 24)


def test_an_unsure_estimate_carries_a_question_mark():
    state = view()
    state.add(event(emotion("sad", 0.3, unsure=True), 23, 24))
    assert "? sad" in text_of(state, 80, 24)
    assert "▶" not in text_of(state, 80, 24)


def test_trouble_shows_with_sign_and_number():
    state = view()
    state.add(event(health(xruns=3, source_lost_samples=1600, skipped_hops=2)))
    assert "! xruns 3   lost 100 ms   overrun 0 ms   skipped 2" in text_of(state, 80, 24)


def test_what_an_overloaded_engine_does_without_shows_with_the_time_since_when():
    state = view()
    lacking = msgspec.structs.replace(health(), given_up=("extras", "words"), given_up_s=75.0)
    state.add(event(lacking))
    assert "! overload without extras, words for 1:15.0" in text_of(state, 80, 24)
    assert any("! overload without extras, words" in line.text for line in table(lacking, "x", 80))
    told = Overload(state="given_up", what="words", plugins=("a", "b"), given_up=("extras", "words"), load=1.25)
    state.add(event(told, call="", channel=""))
    assert "! overload: goes without words (a, b), load 125%" in text_of(state, 80, 24)
    back = msgspec.structs.replace(told, state="taken_back", given_up=("extras",), load=0.5, where="worker 2")
    state.add(event(back, call="", channel=""))
    assert "overload: worker 2 takes back words (a, b), load 50%" in text_of(state, 80, 24)


def test_clipping_a_lost_source_and_a_fault_show():
    state = view()
    state.add(event(Level(rms_dbfs=-3.0, peak_dbfs=0.0, clipped_ratio=0.2), 23.9, 24))
    state.add(event(SourceState(state="lost", detail="no audio for 2 s"), 24, 24))
    state.add(event(Fault(where="emotion", problem="ValueError: x", action="bypassed"), call="", channel=""))
    shown = text_of(state, 80, 24)
    assert "! clipped" in shown
    assert "✕ source lost" in shown
    assert "! emotion bypassed: ValueError: x" in shown
    state.add(event(SourceState(state="recovered"), 25, 25))
    assert "source lost" not in text_of(state, 80, 24).split("╰")[0]


def test_spoof_and_rank_have_their_place():
    state = view()
    assert "spoof ·   rank ·" in text_of(state, 80, 24)
    state.add(event(Spoof(score=2.5, verdict="spoof"), 23, 24))
    state.add(event(Rank(attribute="arousal", score=1.0, percentile=88.0), 23, 24))
    assert "spoof ! spoof   rank 88 %" in text_of(state, 80, 24)
    assert "spoof ! spoof +2.50   rank arousal 88 %" in text_of(state, 120, 30)
    state.add(event(Spoof(score=-0.5, verdict="bona_fide", is_alarmed=True), 23, 24))
    assert "spoof ! alarm   rank 88 %" in text_of(state, 80, 24)
    state.add(event(Spoof(score=-0.5, verdict="bona_fide"), 23, 24))
    assert "spoof ✓ bona fide   rank 88 %" in text_of(state, 80, 24)


def test_the_trend_of_the_rank_shows_as_arrow_and_line():
    state = view()
    for k in range(12):
        for attribute, score in (("arousal", 0.2 * k), ("valence", -1.0)):
            state.add(event(Rank(attribute=attribute, score=score, trend_per_min=2.0), 10 + k, 11 + k))
    shown = text_of(state, 120, 30)
    assert "rank arousal +2.20 ↗ " in shown
    line = next(line for line in shown.splitlines() if "rank arousal" in line)
    assert "▇" in line.split("↗")[1]
    state.add(event(Rank(attribute="arousal", score=0.0, trend_per_min=-2.0), 23, 24))
    assert "rank arousal +0.00 ↘" in text_of(state, 120, 30)
    state.add(event(Rank(attribute="arousal", score=0.0, trend_per_min=0.1), 23, 24))
    assert "rank +0.00 →" in text_of(state, 80, 24)


def test_peaks_are_held_and_then_let_go():
    state = ViewState()
    for at_s, peak_dbfs in ((0.0, -3.0), (0.5, -30.0), (2.5, -30.0)):
        state.add(event(Level(rms_dbfs=-40.0, peak_dbfs=peak_dbfs, clipped_ratio=0.0), at_s, at_s))
        held = state.streams["call", "0"].peak_dbfs
        assert held == (-3.0 if at_s < 2 else -30.0)


def test_names_from_outside_cannot_draw_on_the_screen():
    state = view(call="\x1b[2Jevil\r\n")
    shown = text_of(state, 80, 24)
    assert "\x1b" not in shown
    assert "evil" in shown
    wide = view(call="電話の会話" * 12)
    for line in Screen(wide).lines(80, 24):
        assert cell_len(line.text) <= 80


def test_a_stream_that_begins_anew_is_shown_anew():
    state = view()
    state.add(ended())
    assert "■ ended" in text_of(state, 80, 24)
    for item in conversation(duration_s=0.5):
        state.add(item)
    assert state.streams["call", "0"].tally.turns == 0


def test_a_party_that_is_only_timed_is_said_to_be_so_in_its_panel_its_line_and_the_summary():
    state = ViewState("call.flac")
    for channel, analysis in (("0", "person"), ("1", "timing")):
        state.add(event(StreamStart(role="x", analysis=analysis), channel=channel))
    panels = text_of(state, 120, 40)
    assert panels.count("timing only") - panels.count("(x, timing only)") == 1
    assert panels.count("no level yet") == 1
    out = io.StringIO()
    print_summary(Console(width=80, file=out), state, health(), wall_s=1.0)
    assert out.getvalue().count("timing only") == out.getvalue().count("none rated") == 1
    state.add(event(StreamStart(role="x"), channel="2"))
    lines = [line.text for line in Screen(state).lines(80, 24)]
    assert sum(line.rstrip().endswith("timing only") for line in lines) == 1


def test_drawing_takes_a_few_milliseconds_at_most(benchmark):
    console = Console(width=120, height=40, file=io.StringIO(), force_terminal=True, color_system="truecolor")
    lines = Lines(Screen(view(2)).lines)
    benchmark(console.print, lines)


def test_the_picture_is_well_formed_and_holds_the_words():
    state = view(call="<&>")
    drawn = xml.etree.ElementTree.fromstring(picture(Screen(state).lines(100, 30), "rtemo listen <call>"))
    words = " ".join(drawn.itertext())
    for word in ("rtemo listen <call>", "<&>", "angry", "arousal", "BUSY p99"):
        assert word in words


def test_neutral_and_calm_share_a_bar_and_below_the_bars_stands_who_told():
    state = view()
    shares = {**dict.fromkeys(EMOTIONS, 0.0), "neutral": 0.3, "calm": 0.25, "angry": 0.45}
    told = msgspec.structs.replace(emotion("angry", unsure=True), probabilities=shares)
    state.add(msgspec.structs.replace(event(told), plugin="moods"))
    for width, height in ((80, 24), (60, 30)):
        shown = text_of(state, width, height)
        assert "? neutral" in shown
        assert " 55%" in shown
        assert "calm " not in shown
        assert "by moods" in shown
    rows = [line.text for line in Screen(view(9)).lines(80, 24)]
    assert not [row for row in rows if "by " in row], "where there is a line for each there is no room"


def test_the_summary_says_who_told_the_emotion():
    state = ViewState("call.flac")
    for plugin, speech_s in (("moods", 3.0), ("other", 1.0)):
        told = event(emotion("angry", speech_s=speech_s, is_final=True))
        state.add(msgspec.structs.replace(told, plugin=plugin))
    out = io.StringIO()
    print_summary(Console(width=80, file=out), state, health(), wall_s=1.0)
    assert "emotion told by moods (75%), other (25%)\n" in out.getvalue()


def test_the_summary_says_what_was_heard_and_what_was_lost():
    state = view()
    state.add(ended(24.0, xruns=2))
    out = io.StringIO()
    print_summary(Console(width=80, file=out), state, health(xruns=2), wall_s=24.5)
    shown = out.getvalue()
    for word in ("call/0", "0:24.0", "angry 65%", "+0.50", "! xruns 2 (ticks that ended late); 24.5 s"):
        assert word in shown, word
    assert max(map(len, shown.splitlines())) <= 80


def test_top_names_every_plugin_and_what_wait_means():
    lines = [line.text for line in table(health(xruns=1), "tcp://127.0.0.1:5570", 100)]
    shown = "\n".join(lines)
    for word in ("level", "1.31 ms", "13.1%", "1 of 64 streams", "! xruns 1", "WAIT"):
        assert word in shown, word


def test_a_cut_name_ends_with_an_ellipsis():
    assert Line().put_name("abcdefgh", 5).text == "abcd…"
    assert Line().put_name("abcde", 5).text == "abcde"
