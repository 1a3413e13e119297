import asyncio
import json

import pytest

from rtemo.api import EndpointError, state_key_of
from rtemo.io.publishers.numbering import Numbering
from rtemo.io.web.access import Access, RateLimit, Tokens
from rtemo.io.web.hub import Hub
from rtemo.io.web.link import EVENT, Frame
from rtemo.io.web.options import WebOptions
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
