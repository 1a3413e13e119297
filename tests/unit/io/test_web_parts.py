import asyncio
import json
import time

import pytest

from rtemo.api import EndpointError, StreamEnd, StreamStart, state_key_of
from rtemo.api.events import Counters
from rtemo.io.publishers.numbering import Numbering
from rtemo.io.web.access import Access, RateLimit, Tokens
from rtemo.io.web.hub import Hub
from rtemo.io.web.link import EVENT, Frame
from rtemo.io.web.options import WebOptions
from rtemo.io.web.patience import ASK_S, TAKE_S, Patience
from rtemo.io.web.recent import Kept, Recent
from rtemo.io.wire import encode
from tests.fakes.web_events import alert, board, call_events, emotion, event, start

pytestmark = pytest.mark.unit


def fed(*events, **options):
    """A hub that was given events."""
    hub = Hub(WebOptions(**options), Tokens(""))
    numbering = Numbering("main")
    hub.live.epoch = numbering.epoch
    return hub, lambda *more: [hub.take(frame(numbering, one)) for one in (*events, *more)]


def frame(numbering, one):
    return Frame(EVENT, state_key_of(one.data), encode(numbering.number(one)[1]))


def test_who_falls_behind_gets_the_last_values_in_place_of_what_it_missed():
    hub, feed = fed(start(), client_events=5)
    feed()
    client = hub.add_events(Access(), [], [])
    feed(*(event("a", emotion(arousal=index / 10), index) for index in range(9)))
    assert client.needs_snapshot
    assert client.evictions == 1
    told = json.loads(hub.snapshot_of_events(client))
    assert told["calls"][0]["channels"]["0"]["latest"]["emotion"]["data"]["arousal"] == 0.8
    feed(event("a", emotion(arousal=0.9), 10.0))
    assert [kept.kind for kept in client.take()][-1] == "emotion"


def test_rows_for_one_tenant_tell_nothing_of_the_others_nor_of_the_engine():
    hub, feed = fed(start(), *call_events("acme-1"), *call_events("other-1"), board(**{"other-1": 2.0}))
    feed()
    client = hub.add_rows(Access(calls="acme-"))
    text = hub.snapshot_of_rows(client).decode()
    assert "acme-1" in text
    assert "other-1" not in text
    assert json.loads(text)["engine"]["capacity"] == 0
    feed(alert("other-1"), alert("acme-1"))
    hub.turn(0.0)
    told = json.loads(hub.update_of_rows(client))
    assert [row["call"] for row in told["calls"]] == ["acme-1"]


def test_a_stalled_client_of_rows_is_owed_each_call_once_however_long_it_stalls():
    hub, feed = fed(start())
    client = hub.add_rows(Access())
    client.needs_snapshot = False
    for index in range(50):
        feed(event("a", emotion(), index), event("b", emotion(), index))
        hub.turn(float(index))
    assert len(client.due) == 2


def test_events_are_kept_within_their_bytes_and_the_loss_can_be_seen():
    recent = Recent(3000)
    for number in range(1, 11):
        recent.add(Kept(number, "a", "level", b"x" * 300))
    kept = recent.after(0, lambda item: True, 100)
    assert [item.pub_seq for item in kept] == list(range(recent.dropped_pub_seq + 1, 11))
    assert recent.dropped_pub_seq > 0
    assert [item.pub_seq for item in recent.after(7, lambda item: True, 2)] == [8, 9]


def test_a_call_that_ended_long_ago_is_forgotten_and_told_as_gone():
    from rtemo.api import StreamEnd
    from rtemo.api.events import Counters

    hub, feed = fed(start(), *call_events("a"), keep_ended_s=0.0)
    feed(event("a", StreamEnd(reason="end", duration_s=1.0, counters=Counters())))
    client = hub.add_rows(Access())
    hub.snapshot_of_rows(client)
    hub.turn(10.0)
    assert json.loads(hub.update_of_rows(client))["gone"] == ["a"]
    assert hub.live.names(lambda name: True) == []


def test_a_bucket_fills_again():
    limit = RateLimit(2.0, 3)
    assert [limit.take("a", 0.0) for _ in range(4)] == [0, 0, 0, 1]
    assert limit.take("b", 0.0) == 0
    assert limit.take("a", 0.6) == 0


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "holds no token"),
        ('[[token]]\nname = "a"\ntoken = "short"', "characters"),
        ('[[token]]\nname = "a"', "neither"),
        ('[[token]]\nname = "a"\nsha256 = "xyz"', "is none"),
        ('[[token]]\nname = "a"\ntoken = "0123456789abcdefghij"\nscopes = ["write"]', "scope 'write'"),
        ('[[token]]\nname = "a"\nwho = 1', "makes no sense"),
        ("[[token", "makes no sense"),
    ],
)
def test_a_token_file_that_makes_no_sense_is_refused_with_a_word(tmp_path, text, words):
    path = tmp_path / "tokens.toml"
    path.write_text(text)
    path.chmod(0o600)
    with pytest.raises(EndpointError, match=words):
        Tokens(str(path))


def test_a_writer_never_waits_and_counts_what_finds_no_room():
    import socket

    from rtemo.io.web.link import LinkWriter, read_frame

    ours, theirs = socket.socketpair()
    writer = LinkWriter(ours, full_bytes=50_000)
    for _ in range(1000):
        writer.put(EVENT, b"x" * 1000, "key")
        writer.flush()
    assert writer.dropped_events > 0

    async def read():
        reader, end = await asyncio.open_connection(sock=theirs)
        got = await read_frame(reader)
        end.close()
        return got

    assert asyncio.run(read()) == Frame(EVENT, "key", b"x" * 1000)
    writer.close()


def test_a_call_that_goes_on_forgets_the_channels_that_have_come_and_gone():
    hub, feed = fed(start())
    end = StreamEnd(reason="end", duration_s=1.0, counters=Counters())
    feed(event("a", StreamStart(role="customer"), channel="stays"))
    for number in range(200):
        feed(event("a", StreamStart(role="customer"), channel=f"c{number}"), event("a", end, channel=f"c{number}"))
    channels = [channel.channel for channel in hub.live.row("a").channels]
    assert len(channels) < 70
    assert channels[0] == "stays"
    assert channels[-1] == "c199"


def test_a_call_whose_end_was_lost_is_forgotten_when_it_is_silent_for_long(monkeypatch):
    hub, feed = fed(*call_events("lost"))
    feed()
    now_s = time.monotonic()
    monkeypatch.setattr("rtemo.io.web.live.time.monotonic", lambda: now_s + 3500)
    hub.live.forget()
    assert hub.live.names(lambda call: True) == ["lost"]
    monkeypatch.setattr("rtemo.io.web.live.time.monotonic", lambda: now_s + 3700)
    hub.live.forget()
    assert hub.live.names(lambda call: True) == []
    assert hub.live.gone == {"lost"}


class Cycle:
    response_complete = False


class Conn:
    """A connection of the server: of HTTP, with what waits for its client."""

    def __init__(self, cycle=None):
        self.cycle = cycle
        self.waiting_bytes = 0
        self.is_cut = False
        self.transport = self

    def get_write_buffer_size(self):
        return self.waiting_bytes

    def abort(self):
        self.is_cut = True


def test_who_asks_nothing_or_takes_nothing_is_cut_off_and_who_is_slow_is_not():
    silent, asking, stuck, slow = Conn(), Conn(Cycle()), Conn(Cycle()), Conn(Cycle())
    socket = Conn(Cycle())
    del socket.cycle  # a WebSocket has none
    patience = Patience(most_idle=9)
    for second in range(60):
        stuck.waiting_bytes = 5000
        slow.waiting_bytes = 5000 - second
        patience.look([one for one in (silent, asking, stuck, slow, socket) if not one.is_cut], float(second))
        assert silent.is_cut == (second > ASK_S), second
        assert stuck.is_cut == (second > TAKE_S), second
    assert not any(one.is_cut for one in (asking, slow, socket))


def test_of_too_many_that_ask_nothing_the_first_is_cut_off():
    patience = Patience(most_idle=2)
    waiting = []
    for second in range(4):
        waiting.append(Conn())
        patience.look([one for one in waiting if not one.is_cut], second / 10)
    assert [one.is_cut for one in waiting] == [True, True, False, False]


def test_the_trend_is_in_order_of_time_although_a_slower_plugin_speaks_late():
    hub, feed = fed(start())
    feed(*(event("a", emotion(arousal=at_s / 10), at_s) for at_s in (1.0, 3.0, 2.0, 4.0)))
    trend = hub.live.row("a", with_trend=True).trend["0"]
    assert [point[:2] for point in trend] == [(1.0, 0.1), (2.0, 0.2), (3.0, 0.3), (4.0, 0.4)]
