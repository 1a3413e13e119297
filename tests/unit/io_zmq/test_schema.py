import json
from pathlib import Path
from typing import Any

import jsonschema
import msgspec
import pytest

from rtemo.io.audio_feed_wire import AudioBeat, AudioEnd, AudioStart
from rtemo.io.audio_wire import Alive, Ended, Error, Hello, Open, Opened, Refused, Welcome
from rtemo.io.query_wire import CallSummary, PublisherHealth, QueryProblem, QueryReply, QueryRequest
from rtemo.io.schema import SCHEMAS, documents, schema_text
from rtemo.io.wire import CallState, ChannelState, Heartbeat, LatestEvent
from tests.fakes.wire_samples import PAYLOADS, all_kinds, as_json, sample

pytestmark = pytest.mark.unit

FOLDER = Path(__file__).parents[3] / "docs" / "schema"


def validator(stem: str) -> jsonschema.Draft202012Validator:
    schema = json.loads(schema_text(stem))
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


@pytest.mark.parametrize("stem", SCHEMAS)
def test_schema_in_the_docs_is_the_one_of_the_types(stem: str) -> None:
    text = (FOLDER / f"{stem}.json").read_text()
    assert text == schema_text(stem), "stale; run: python -m rtemo.io.schema --out docs/schema"


def test_docs_hold_no_schema_of_something_that_is_gone() -> None:
    assert {file.stem for file in FOLDER.glob("*.json")} == {*SCHEMAS, *documents()}


@pytest.mark.parametrize("stem", ["asyncapi", "openapi"])
def test_descriptions_of_the_web_in_the_docs_are_those_of_the_types_and_every_schema_in_them_is_one(stem: str) -> None:
    text = documents()[stem]
    assert (FOLDER / f"{stem}.json").read_bytes() == text, "stale; run: python -m rtemo.io.schema --out docs/schema"
    document = json.loads(text)
    for schema in document["components"]["schemas"].values():
        jsonschema.Draft202012Validator.check_schema(schema)
    references: set[str] = set()
    todo: list[Any] = [document]
    while todo:
        part = todo.pop()
        if isinstance(part, dict):
            references |= {part["$ref"]} if isinstance(part.get("$ref"), str) else set()
            todo += part.values()
        elif isinstance(part, list):
            todo += part
    for reference in references:
        found: Any = document
        for key in reference.removeprefix("#/").split("/"):
            found = found[key]


@pytest.mark.parametrize("data", PAYLOADS, ids=lambda data: type(data).__name__)
def test_every_kind_of_event_fits_the_description_of_the_web_and_a_broken_one_does_not(data: Any) -> None:
    document = json.loads(documents()["openapi"])
    check = jsonschema.Draft202012Validator({**document, "$ref": "#/components/schemas/WireEvent"})
    event = as_json(sample(data))
    check.validate(event)
    assert not check.is_valid({**event, "data": {"kind": "emotion"}})
    assert not check.is_valid({**event, "data": {}})


@pytest.mark.parametrize("data", PAYLOADS, ids=lambda data: type(data).__name__)
def test_every_kind_of_event_fits_the_schema(data: Any) -> None:
    validator("event").validate(as_json(sample(data)))


def test_schema_knows_every_kind_and_describes_its_fields() -> None:
    schema = json.loads(schema_text("event"))
    tags = [part["properties"].get("kind", {}).get("enum") for part in schema["$defs"].values()]
    assert {tag[0] for tag in tags if tag} == all_kinds()
    assert schema["$defs"]["Emotion"]["properties"]["arousal"]["description"]
    assert schema["$defs"]["WireEvent"]["properties"]["seq"]["description"]


def test_schema_refuses_what_is_no_event() -> None:
    event = as_json(sample(PAYLOADS[0]))
    for change in ({"seq": "7"}, {"data": {"kind": "emotion"}}, {"t0_ms": None}):
        assert not validator("event").is_valid({**event, **change})
    del event["epoch"]
    assert not validator("event").is_valid(event)


def test_field_of_the_future_does_not_break_the_schema() -> None:
    assert validator("event").is_valid({**as_json(sample(PAYLOADS[0])), "mood": "good"})


OTHERS: list[tuple[str, msgspec.Struct]] = [
    ("heartbeat", Heartbeat(schema="rtemo.heartbeat/1", epoch="e", pub_seq=1, t_pub_ms=1.0, interval_ms=1000.0)),
    ("heartbeat", Heartbeat(schema="rtemo.heartbeat/1", epoch="e", pub_seq=1, t_pub_ms=1.0, interval_ms=1000.0,
                            call="a", seqs={"v1/main/a/0/emotion/": 3})),
    ("state", CallState(schema="rtemo.state/1", epoch="e", pub_seq=1, t_pub_ms=1.0, call="a", channels={
        "0": ChannelState(is_open=True, latest={"level": LatestEvent(seq=1, t1_ms=1.0, data=PAYLOADS[5])})})),
    ("query-request", QueryRequest(op="replay", id=3, call="a", after_pub_seq=7)),
    ("query-reply", QueryReply(schema="rtemo.reply/1", op="list", ok=True, epoch="e", pub_seq=1, t_pub_ms=1.0, calls=[
        CallSummary(call="a", channels=["0"], is_open=True, pub_seq=1, replay_after_pub_seq=0)])),
    ("query-reply", QueryReply(schema="rtemo.reply/1", op="", ok=False, epoch="e", pub_seq=1, t_pub_ms=1.0,
                               error=QueryProblem(problem="p", mend="m"))),
    ("query-reply", QueryReply(schema="rtemo.reply/1", op="health", ok=True, epoch="e", pub_seq=1, t_pub_ms=1.0,
                               health=PublisherHealth(uptime_s=1.0, published_events=1, published_bytes=1, calls=1,
                                                      open_calls=1, replay_bytes=1, refused_clients=0))),
    ("ingest-request", Hello()),
    ("audio-note", AudioStart(schema="rtemo.audio/1", epoch="e", call="a", channel="0", codec="s16le",
                              sample_rate_hz=16_000)),
    ("audio-note", AudioEnd(schema="rtemo.audio/1", epoch="e", call="a", channel="0", sequence=3, end_sample=900)),
    ("audio-note", AudioBeat(schema="rtemo.audio/1", epoch="e", t_pub_ms=1.0, interval_ms=1000.0, streams=2)),
    ("ingest-request", Open(call="a", codec="mulaw")),
    ("ingest-request", Alive(call="a")),
    ("ingest-response", Welcome(schema="rtemo.ingest/1", codecs=["s16le"], max_message_bytes=1)),
    ("ingest-response", Opened("a", "0", 10)),
    ("ingest-response", Refused("a", "0", "capacity", "full", "wait")),
    ("ingest-response", Error("not_open", "problem", "mend")),
    ("ingest-response", Ended(call="a", channel="0", reason="end", received_samples=1, lost_samples=0, late_packets=0,
                              duplicate_packets=0, over_credit_packets=0)),
]  # fmt: skip


@pytest.mark.parametrize(("stem", "message"), OTHERS, ids=lambda item: type(item).__name__)
def test_every_other_message_fits_its_schema(stem: str, message: msgspec.Struct) -> None:
    validator(stem).validate(as_json(message))
