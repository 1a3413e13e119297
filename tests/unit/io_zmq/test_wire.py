import contextlib
import json
from typing import Any, get_args

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtemo.api import Emotion, SpeechStart, StreamStart
from rtemo.io.publishers.numbering import Numbering
from rtemo.io.query_wire import decode_reply, decode_request
from rtemo.io.wire import (
    CallState,
    ChannelState,
    Encoding,
    LatestEvent,
    WireError,
    WireEvent,
    decode_event,
    decode_heartbeat,
    decode_state,
    encode,
)
from tests.fakes.zmq_ends import emotion, event

pytestmark = pytest.mark.unit

encodings = pytest.mark.parametrize("encoding", ["json", "msgpack"])


def wired(**changes: Any) -> WireEvent[Any]:
    _, wire = Numbering("main", "research").number(event("call", 7, capture_ns=1_700_000_000_000_000_000))
    return msgspec.structs.replace(wire, **changes)


@encodings
def test_event_comes_back_as_it_was_sent(encoding: Encoding) -> None:
    sent = wired()
    received = decode_event(encode(sent, encoding))
    assert received == sent
    assert isinstance(received.data, Emotion)


@encodings
def test_unknown_kind_becomes_a_plain_dict(encoding: Encoding) -> None:
    received = decode_event(encode(wired(kind="sarcasm", data={"kind": "sarcasm", "score": 0.5}), encoding))
    assert received.kind == "sarcasm"
    assert received.data == {"kind": "sarcasm", "score": 0.5}


@encodings
def test_unknown_fields_are_ignored(encoding: Encoding) -> None:
    module = msgspec.json if encoding == "json" else msgspec.msgpack
    message = module.decode(encode(wired(), encoding))
    message["colour"] = {"nested": [1, 2]}
    message["data"]["shade"] = "dark"
    received = decode_event(module.encode(message))
    assert received == wired(epoch=received.epoch, t_pub_ms=received.t_pub_ms, age_ms=received.age_ms)


def test_payload_of_a_later_form_is_kept_as_a_dict() -> None:
    message = json.loads(encode(wired()))
    message["data"]["label"] = ["happy", "sad"]
    assert decode_event(json.dumps(message).encode()).data["label"] == ["happy", "sad"]


def test_absent_facts_leave_no_field() -> None:
    _, wire = Numbering("main").number(event())
    message = json.loads(encode(wire))
    assert not {"role", "policy", "t_capture_ms", "age_ms"} & set(message)


def test_age_is_the_time_from_capture_to_publication() -> None:
    wire = wired()
    assert wire.age_ms == pytest.approx(wire.t_pub_ms - 1_700_000_000_000.0, abs=0.01)


def test_state_frame_has_topic_and_state_apart_by_a_space() -> None:
    latest = {"emotion": LatestEvent(seq=3, t1_ms=10.0, data=emotion("sad")), "new": LatestEvent(seq=1, t1_ms=0.0,
              data={"kind": "new", "x": 1})}  # fmt: skip
    state = CallState(schema="rtemo.state/1", epoch="e", pub_seq=9, t_pub_ms=1.0, call="a b",
                      channels={"0": ChannelState(is_open=True, latest=latest)})  # fmt: skip
    received = decode_state(b"v1/main/a%20b/ " + encode(state))
    assert received == state
    assert received.channels["0"].latest["emotion"].data.label == "sad"


@given(st.binary(max_size=300))
def test_any_bytes_are_refused_without_another_exception(message: bytes) -> None:
    for decode in (decode_event, decode_heartbeat, decode_state, decode_request, decode_reply):
        with pytest.raises(WireError):
            decode(message)


FIXED = {encoding: encode(wired(epoch="0" * 16, t_pub_ms=1.5, age_ms=2.5), encoding) for encoding in get_args(Encoding)}


@given(st.data())
def test_damaged_messages_are_read_or_refused(data: st.DataObject) -> None:
    message = bytearray(FIXED[data.draw(st.sampled_from(sorted(FIXED)))])
    for _ in range(data.draw(st.integers(1, 5))):
        message[data.draw(st.integers(0, len(message) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(WireError):
        decode_event(bytes(message[: data.draw(st.integers(0, len(message)))]))


def test_role_announced_at_the_start_is_on_every_event_of_the_stream() -> None:
    numbering = Numbering("main")
    numbering.number(event("a", 1, StreamStart(role="customer")))
    assert numbering.number(event("a", 2, SpeechStart()))[1].role == "customer"
    assert numbering.number(event("b", 1, SpeechStart()))[1].role == ""


def test_topics_count_on_their_own_and_all_together() -> None:
    numbering = Numbering("main")
    order = [("a", SpeechStart()), ("a", emotion()), ("b", emotion()), ("a", emotion())]
    wires = [numbering.number(event(call, 1, data))[1] for call, data in order]
    assert [wire.seq for wire in wires] == [1, 1, 1, 2]
    assert [wire.pub_seq for wire in wires] == [1, 2, 3, 4]
    assert len({wire.epoch for wire in wires}) == 1


def test_two_lives_of_a_publisher_have_different_epochs() -> None:
    assert Numbering("main").epoch != Numbering("main").epoch


@encodings
def test_numbers_of_numpy_are_written_as_numbers(encoding: Encoding) -> None:
    data = msgspec.structs.replace(emotion(), arousal=np.float32(0.5), valence=np.float64(-0.25), speech_s=np.int64(2))
    received = decode_event(encode(wired(data=data), encoding))
    assert (received.data.arousal, received.data.valence, received.data.speech_s) == (0.5, -0.25, 2.0)


def test_channel_that_has_ended_is_forgotten_and_the_others_count_on() -> None:
    numbering = Numbering("main")
    for channel in ("0", "1", "0", "1"):
        numbering.number(event("a", channel=channel))
    numbering.forget("a", "0")
    assert numbering.seqs("a") == {"v1/main/a/1/emotion/": 2}
    assert numbering.number(event("a", channel="0"))[1].seq == 1
    assert numbering.number(event("a", channel="1"))[1].seq == 3
