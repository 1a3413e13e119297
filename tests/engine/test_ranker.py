"""The ranker plugin in a chain behind the network whose words it scores: calls come and go, people at work stay out."""

from typing import Any

import msgspec
import pytest

from rtemo_plugins.merit.options import MeritOptions
from rtemo_plugins.merit.plugin import MeritPlugin
from rtemo_plugins.ranker.options import RankerOptions
from rtemo_plugins.ranker.plugin import RankerPlugin
from rtemo_plugins.vad.options import VadOptions
from rtemo_plugins.vad.plugin import VadPlugin
from tests.engine.plugins import lent
from tests.engine.rig import Rig
from tests.fakes.merit import merit_bundles
from tests.fakes.ranker import ranker_bundle
from tests.fakes.voice import voice

pytestmark = pytest.mark.engine


@pytest.fixture(scope="module")
def bundles(tmp_path_factory):
    folder = tmp_path_factory.mktemp("ranker")
    return merit_bundles(folder / "merit"), ranker_bundle(folder / "ranker", seed=1)


def rig_of(bundles: Any, **options: Any) -> Rig:
    merit, bundle = bundles
    given = msgspec.convert(
        {"bundle": bundle, "listen_bundle": merit.listen_bundle, "least_s": 1.0, "refresh_s": 1.0} | options,
        RankerOptions,
    )
    plugins = [VadPlugin(VadOptions()), lent(MeritPlugin(MeritOptions(**merit._asdict()))), lent(RankerPlugin(given))]
    return Rig(*plugins, live=False)


def speak(rig: Rig, call: str, duration_s: float, role: str = "", seed: int = 0) -> None:
    writer = rig.engine.open_stream(call, "0", role=role)
    sound = voice(duration_s, seed)
    while len(sound):
        sound = sound[writer.write(sound) :]
        if len(sound):
            rig.step()
    writer.end("done")


def test_boards_name_the_calls_that_are_there_and_no_others(bundles):
    rig = rig_of(bundles)
    for k, call in enumerate(("short", "long", "middle")):
        speak(rig, call, (3.5, 4.5, 4.0)[k], seed=k)
    rig.run_dry()
    assert rig.all_events("fault") == []
    ended = {event.call: event.emit_ns for event in rig.all_events("stream_end")}
    order = [event for event in rig.all_events() if event.kind in ("board", "stream_end", "stream_start")]
    here: set[str] = set()
    for event in order:
        if event.kind == "stream_start":
            here.add(event.call)
        elif event.kind == "stream_end":
            here.discard(event.call)
        else:
            assert (event.call, event.channel, event.plugin) == ("", "", "ranker")
            assert {entry.call for entry in event.data.entries} <= here
    assert set(ended) == {"short", "long", "middle"}
    boards = rig.all_events("board")
    assert {entry.call for event in boards for entry in event.data.entries} == set(ended)
    assert boards[-1].data.entries == ()


def test_a_channel_of_an_agent_is_never_ranked_and_no_number_tells_of_it(bundles):
    alone, accompanied = rig_of(bundles), rig_of(bundles)
    speak(alone, "call", 4.5)
    alone.run_dry()
    for role in ("agent", "Employee"):
        speak(accompanied, f"the {role}", 4.5, role, seed=3)
    speak(accompanied, "call", 4.5, "customer")
    accompanied.run_dry()
    for kind in ("rank", "alert"):
        assert {event.call for event in accompanied.all_events(kind)} <= {"call"}
    boards = accompanied.all_events("board")
    assert {entry.call for event in boards for entry in event.data.entries} == {"call"}
    assert max(event.data.ranked + event.data.unsure for event in boards) == 1
    told = [[(event.end_sample, event.data) for event in rig.all_events("rank")] for rig in (alone, accompanied)]
    assert len(told[0]) >= 3
    assert told[0] == told[1]


def test_events_hold_nothing_summed_up_over_streams():
    """Boards list streams one by one: there is no field in which a person or a group could be added up."""
    from rtemo.api import Alert, Board, BoardEntry, Rank

    assert set(Board.__struct_fields__) == {"entries", "ranked", "unsure"}
    for kind in (Board, BoardEntry, Rank, Alert):
        assert not {"agent", "role", "team", "mean", "total", "sum"} & set(kind.__struct_fields__)


def test_alerts_belong_to_their_stream(bundles):
    rule = {"name": "any", "when": [{"attribute": "arousal", "above": -100.0}], "cool_down_s": 2.0}
    rig = rig_of(bundles, alerts=[rule])
    speak(rig, "a", 4.5)
    speak(rig, "b", 4.5, seed=1)
    rig.run_dry()
    alerts = rig.all_events("alert")
    assert {event.call for event in alerts} == {"a", "b"}
    assert {event.data.rule for event in alerts} == {"any"}
