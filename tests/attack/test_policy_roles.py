"""No spelling of a role gets a person at work analysed, over any road."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import rtemo
from rtemo.api import CapacityError, PluginSpec, PolicyError, canonical_role, is_agent
from rtemo.client import AudioSender
from rtemo.config import Config, Policy
from rtemo.config.admission import Admission
from rtemo.engine import registry
from rtemo.io.audio_wire import Open, Opened, Refused
from rtemo.io.sources.ingest import IngestSource
from rtemo.io.zmq_options import IngestOptions
from tests.engine.plugins import FakePlugin, TellerProcessor
from tests.engine.rig import noise
from tests.fakes.program import ROOT, call

pytestmark = pytest.mark.e2e

DISGUISES = [
    " agent",
    "agent\n",
    "agent\u200b",
    "a\u00adgent",
    "\ufeffagent",
    "ag\u202eent",
    "ａｇｅｎｔ",
    "ＡＧＥＮＴ",
    "𝐚𝐠𝐞𝐧𝐭",
    "AGENT",
    "Agents",
    "rep",
    "reps",
    "call-center-agent",
    "call_centre_agent",
    "Senior Agent (1)",
    "employee\x00",
    "аgent",  # with a Cyrillic a
    "аgеnt",
    "Mitarbeiter",
    "坐席",
    "ageńt",
    "agent customer",
    "customer/agent",
    "customer2",
    "customer\u0301",
    "",
    " ",
    "\u200b",
]


@pytest.mark.parametrize("role", DISGUISES)
def test_no_disguise_is_analysed_over_the_network(role) -> None:
    assert Policy().rule(role).analysis == "timing"
    assert Policy(others="refuse", unnamed="refuse").rule(role).analysis == "refused"


@pytest.mark.parametrize("role", [role for role in DISGUISES if canonical_role(role)])
def test_no_disguise_is_analysed_on_this_machine_either(role) -> None:
    assert Policy().rule(role, is_local=True).analysis == "timing"


@pytest.mark.parametrize("role", ["customer", " Customer\n", "ｃｕｓｔｏｍｅｒ", "CALLER", "patient\u200b"])
def test_listed_roles_are_known_in_every_spelling(role) -> None:
    assert Policy().rule(role).analysis == "person"


@given(st.text(max_size=20))
@settings(max_examples=300)
def test_a_canonical_role_stays_what_it_is_and_hides_nothing(role) -> None:
    name = canonical_role(role)
    assert canonical_role(name) == name
    assert name.isprintable()
    assert name == name.strip()
    assert is_agent(role) == is_agent(name)


@given(
    st.sampled_from(["agent", "employee", "operator"]),
    st.text(alphabet="\u200b\u00ad \t\n\ufeff\u2060\x00", max_size=4),
)
@settings(max_examples=100)
def test_invisible_characters_around_and_within_a_word_change_nothing_for_the_ranker(word, invisible) -> None:
    assert is_agent(invisible + word + invisible)
    unspaced = "".join(char for char in invisible if not char.isspace())
    assert is_agent(unspaced.join(word))


def opened(admission: Admission, call: str, channel: str, role: str) -> str:
    analysis = admission.admit(call, channel, role, is_local=False)
    admission.remember(call, channel, role, analysis)
    return analysis


def test_a_party_cannot_become_another_by_opening_its_stream_again() -> None:
    admission = Admission(Policy())
    assert opened(admission, "call", "1", "agent") == "timing"
    with pytest.raises(PolicyError, match="was announced as 'agent' and cannot become 'customer'"):
        opened(admission, "call", "1", "customer")
    assert opened(admission, "call", "1", "Agent ") == "timing"
    assert opened(admission, "call", "2", "customer") == "person"
    assert opened(admission, "call", "2", "agent") == "timing"  # less may be found out, never more
    with pytest.raises(PolicyError):
        opened(admission, "call", "2", "customer")


def test_a_party_that_was_turned_away_cannot_come_in_under_another_role() -> None:
    admission = Admission(Policy(others="refuse"))
    with pytest.raises(PolicyError, match="role 'agent' is not analysed"):
        opened(admission, "call", "1", "agent")
    with pytest.raises(PolicyError, match="was announced as 'agent'"):
        opened(admission, "call", "1", "customer")


def test_memory_of_roles_is_bounded(monkeypatch) -> None:
    monkeypatch.setattr("rtemo.config.admission._MOST_NAMES", 3)
    admission = Admission(Policy())
    for number in range(10):
        opened(admission, str(number), "0", "agent")
    assert len(admission._announced) == 3


def test_nothing_is_remembered_of_whom_all_may_be_found_out_nor_of_anybody_for_longer_than_it_binds(
    monkeypatch,
) -> None:
    admission = Admission(Policy())
    for number in range(100):
        admission.remember(f"call{number}", "0", "customer", "person")
    assert not admission._announced
    admission.remember("call", "0", "", "timing")
    admission.remember("call", "0", "customer", "person")
    assert not admission._announced
    now_s = 1_000.0
    monkeypatch.setattr("rtemo.config.admission.time.monotonic", lambda: now_s)
    for number in range(100):
        admission.remember(f"call{number}", "0", "agent", "timing")
    now_s += 7_201.0
    admission.remember("new", "0", "agent", "timing")
    assert list(admission._announced) == [("new", "0")]


def test_a_stream_that_there_was_no_room_for_binds_nobody() -> None:
    with rtemo.Session(Config(chain=())) as session:
        session.stream("call", "0", role="customer")
        with pytest.raises(CapacityError, match="already open"):
            session.stream("call", "0", role="agent")
        with pytest.raises(CapacityError, match="already open"):  # and not: was announced as an agent
            session.stream("call", "0", role="customer")


class Persons(FakePlugin):
    """Emits a level per hop, about persons, as a plugin that says nothing else."""

    def __init__(self, options: object = None) -> None:
        super().__init__(PluginSpec(name="persons"), lambda context, capacity: TellerProcessor(capacity, 10))


@contextmanager
def serving(monkeypatch, policy: Policy) -> Iterator[tuple[rtemo.Session, AudioSender]]:
    real = registry.load
    monkeypatch.setattr(registry, "load", lambda name: Persons if name == "persons" else real(name))
    ingest = IngestSource(IngestOptions(endpoint="tcp://127.0.0.1:*"))
    config = Config(chain=("persons", "vad"), policy=policy)
    with rtemo.Session(config, sources=[ingest]) as session, AudioSender(str(ingest.endpoint)) as sender:
        yield session, sender


def speak(sender: AudioSender, roles: list[str]) -> None:
    streams = [sender.open("call", str(k), sample_rate_hz=16_000, role=role) for k, role in enumerate(roles)]
    for begin in range(30):
        for k, stream in enumerate(streams):
            stream.send(noise(320, seed=begin + k), wait=False)
        time.sleep(0.02)
    for stream in streams:
        stream.end()


def test_over_the_wire_only_the_customer_is_analysed_and_the_others_are_timed(monkeypatch) -> None:
    roles = ["customer", "agent\u200b", "", "Rep"]
    with serving(monkeypatch, Policy()) as (session, sender):
        speak(sender, roles)
        events = list(session.events(0.5))
    analysis = {event.channel: event.data.analysis for event in events if event.kind == "stream_start"}
    assert analysis == {"0": "person", "1": "timing", "2": "timing", "3": "timing"}
    assert {event.channel for event in events if event.kind == "level"} == {"0"}
    assert len([event for event in events if event.kind == "stream_end"]) == 4
    assert all(event.data.role.isprintable() for event in events if event.kind == "stream_start")


def test_over_the_wire_a_refusal_has_a_code_of_its_own(monkeypatch) -> None:
    with serving(monkeypatch, Policy(others="refuse", unnamed="refuse")) as (_, sender):
        for role in ("agent", " AGENT\n", "", "ａｇｅｎｔ"):
            with pytest.raises(PolicyError, match="not analysed"):
                sender.open("call", f"x{role!r}", sample_rate_hz=16_000, role=role)
        sender.open("call", "c", sample_rate_hz=16_000, role="customer")


def test_over_the_wire_an_open_stream_keeps_its_role(monkeypatch) -> None:
    with serving(monkeypatch, Policy()) as (_, sender):
        stream = sender.open("call", "c", sample_rate_hz=16_000, role="customer")
        heard: list[object] = []
        sender._link.listeners["call", "c"] = type("Ear", (), {"hear": staticmethod(heard.append)})()
        for role in ("agent", "Customer "):
            sender._link.post(Open(call="call", channel="c", sample_rate_hz=16_000, role=role))
            deadline_s = time.monotonic() + 3.0
            while not [one for one in heard if isinstance(one, Opened | Refused)] and time.monotonic() < deadline_s:
                sender._link.listen(0.05)
            (answer,) = (one for one in heard if isinstance(one, Opened | Refused))
            heard.clear()
            assert isinstance(answer, Refused if role == "agent" else Opened)
            assert not isinstance(answer, Refused) or answer.code == "policy"
        assert stream.is_open


def test_embedding_program_is_asked_for_no_role_but_held_to_the_one_it_gives(monkeypatch) -> None:
    monkeypatch.setattr(registry, "load", lambda name: Persons)
    found = {}
    with rtemo.Session(Config(chain=("persons",)), mode="freewheel") as session:
        for role in ("", "customer", "agent"):
            stream = session.stream(f"call {role}", role=role)
            stream.push(np.zeros(16_000, np.float32))
            stream.end()
        for event in session.events():
            found.setdefault(event.call, set()).add(event.kind)
    assert {call: "level" in kinds for call, kinds in found.items() if call} == {
        "call ": True,
        "call customer": True,
        "call agent": False,
    }
    with rtemo.Session(Config(chain=(), policy=Policy(others="refuse"))) as session:
        with pytest.raises(PolicyError) as caught:
            session.stream(role="agents")
        assert not isinstance(caught.value, CapacityError)


def test_each_channel_of_a_file_is_somebody_else(capsys) -> None:
    command = ("analyze", ROOT / "examples/call.flac", "--chain", "level,vad", "--roles", "agent,caller,", "--quiet")
    done = call(capsys, *command)
    assert done.code == 0, done.err
    agent, caller, unnamed = (json.loads(line) for line in done.out.splitlines())
    assert agent["speech_s"] > 1.0
    assert caller["speech_s"] > 1.0
    refusing = call(capsys, *command, "--set", "policy.others=refuse")
    assert refusing.code == 1
    assert "call.flac channel 0 refused: role 'agent' is not analysed" in refusing.complaint
    left = [json.loads(line) for line in refusing.out.splitlines()]
    assert [(line["channel"], line["speech_s"]) for line in left] == [
        ("1", caller["speech_s"]),
        ("2", unnamed["speech_s"]),
    ]
