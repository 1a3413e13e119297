import json
import os
import signal
import time
from itertools import pairwise
from urllib.request import urlopen

import pytest
import zmq

from rtemo.api import CapacityError, EndpointError, PolicyError
from rtemo.client import AudioReceiver, AudioSender, Subscriber
from rtemo.io.audio_wire import Open, encode_control, encode_packet, stream_names
from rtemo.io.curve import generate_keys
from rtemo.io.publishers.store import rows
from tests.fakes.meaning import meaning_bundles
from tests.fakes.program import call, start
from tests.fakes.voice import RATE_HZ
from tests.fakes.workers import PACKET, Heard, Served, Talk, serving, strain
from tests.fakes.zmq_ends import free_ports

pytestmark = [pytest.mark.e2e, pytest.mark.timed]

CALLS = [f"call-{number}" for number in range(8)]


@pytest.fixture(scope="module")
def server():
    with serving() as served:
        yield served


def has_events_of(calls, *kinds):
    return lambda heard: all(heard.of(name, *kinds) for name in calls)


def held(server: Served, count: int):
    """Wait until so many streams are placed, and tell which worker has how many."""
    until_s = time.monotonic() + 5.0
    while sum(one.streams for one in server.workers.values()) != count and time.monotonic() < until_s:
        time.sleep(0.02)
    return {number: one.streams for number, one in server.workers.items()}


def test_calls_are_shared_and_every_client_sees_one_server(server):
    with Heard(server.events) as heard, Talk(server.ingest, CALLS) as talk:
        heard.wait_for(has_events_of(CALLS, "speech_start"), 60.0)
        streams = held(server, len(CALLS))
        assert set(streams) == {1, 2}
        assert all(streams.values())
        talk.stop()
        heard.wait_for(has_events_of(CALLS, "stream_end"))
    for name in CALLS:
        stream, account = talk.streams[name], talk.streams[name].account
        assert account.reason == "end"
        assert account.lost_samples <= stream.dropped_samples  # 0, but where the machine has no time for us
        assert account.received_samples == talk.sent_packets * PACKET - stream.dropped_samples
    assert heard.lost_events == heard.restarts == 0
    assert len({event.epoch for event in heard.events}) == 1
    numbers = [event.pub_seq for event in heard.events]
    assert numbers == sorted(set(numbers))
    for name in CALLS:
        of_stream = [event.stream_seq for event in heard.of(name)]
        assert of_stream == list(range(1, len(of_stream) + 1))


def test_health_is_of_all_workers_together_and_of_each(server):
    with Subscriber(server.events, kinds=["health"]) as feed:
        # Each worker tells of itself once a second; until the first has, the front knows its name and state alone.
        health = next(wire.data for wire in feed.events(20.0) if wire.data.plugins)
    assert health.capacity == 64
    assert [(one.name, one.state) for one in health.workers] == [("1", "running"), ("2", "running")]
    assert [plugin.name for plugin in health.plugins] == ["level", "vad"]
    assert [source.name for source in health.sources] == ["front"]


def test_the_verbs_of_the_command_line_work_as_with_one_engine(server, capsys):
    done = call(capsys, "top", server.events, "--once")
    assert done.code == 0
    assert "of 64 streams" in done.out
    reader = start("subscribe", server.events, "--json", "--kind", "level", "--count", "2", "--call", "b")
    with Talk(server.ingest, ["a", "b"]):
        out, err = reader.communicate(timeout=60)
    assert (reader.returncode, err) == (0, "")
    assert {json.loads(line)["call"] for line in out.splitlines()} == {"b"}


def test_snapshot_replay_and_state_speak_of_calls_at_every_worker(server):
    state = server.events.replace(server.events.rsplit(":", 1)[1], str(int(server.events.rsplit(":", 1)[1]) + 1))
    with Heard(server.events) as heard, Talk(server.ingest, CALLS):
        heard.wait_for(has_events_of(CALLS, "level"))
        with Subscriber(server.events) as feed:
            assert {one.call for one in feed.list_calls() if one.is_open} >= set(CALLS)
            for name in CALLS:
                replayed = feed.replay(name)
                assert "level" in {event.kind for event in replayed}
                assert all(one.pub_seq < other.pub_seq for one, other in pairwise(replayed))
        context = zmq.Context()
        for name in (CALLS[0], CALLS[-1]):
            socket = context.socket(zmq.SUB)
            socket.setsockopt(zmq.CONFLATE, 1)
            socket.connect(state)
            socket.subscribe(f"v1/main/{name}/")
            assert socket.poll(3_000)
            assert b'"is_open":true' in socket.recv()
        context.destroy(linger=0)


def test_the_roles_of_the_policy_hold(server):
    with Heard(server.events) as heard, AudioSender(server.ingest) as sender:
        stream = sender.open("roles", sample_rate_hz=RATE_HZ, role="agent")
        heard.wait_for(lambda heard: heard.of("roles", "stream_start"))
        assert heard.of("roles", "stream_start")[0].data.analysis == "timing"
        stream.end()
        with pytest.raises(PolicyError, match="was announced as 'agent'"):
            sender.open("roles", sample_rate_hz=RATE_HZ, role="customer")


def test_a_name_that_another_client_has_open_is_refused(server):
    with AudioSender(server.ingest) as sender, AudioSender(server.ingest, timeout_s=0.8) as other:
        stream = sender.open("taken", sample_rate_hz=RATE_HZ)
        with pytest.raises(CapacityError, match="is open from another client"):
            other.open("taken", sample_rate_hz=RATE_HZ)
        stream.end()


def test_a_client_that_is_not_ours_speaks_the_written_protocol(server):
    context = zmq.Context()
    socket = context.socket(zmq.DEALER)
    socket.connect(server.ingest)

    def heard(op):
        while socket.poll(5_000):
            message = json.loads(socket.recv())
            if message["op"] == op:
                return message
        raise AssertionError(f"no {op}")

    try:
        socket.send(b'{"op":"hello"}')
        assert "s16le" in heard("welcome")["codecs"]
        socket.send(encode_control(Open(call="strange", sample_rate_hz=8_000)))
        opened = heard("opened")
        assert opened["limit_bytes"] == 6_400
        names = stream_names("strange", "0")
        for number in range(15):
            socket.send(encode_packet(names, "s16le", 8_000, number, number * 160, 0, bytes(320)))
        assert heard("credit")["limit_bytes"] > 6_400
        socket.send(b'{"op":"end","call":"strange"}')
        ended = heard("ended")
        assert (ended["received_samples"], ended["lost_samples"]) == (2_400, 0)
        socket.send(b"nonsense")
        assert heard("error")["code"] == "bad_message"
    finally:
        context.destroy(linger=0)


def test_a_worker_that_dies_is_seen_at_once_and_its_calls_go_on_elsewhere_within_three_seconds():
    with serving() as server, Heard(server.events) as heard, Talk(server.ingest, CALLS) as talk:
        heard.wait_for(has_events_of(CALLS, "speech_start"), 60.0)
        streams = held(server, len(CALLS))
        assert all(streams.values())
        killed_s = time.monotonic()
        os.kill(server.processes[1], signal.SIGKILL)
        seen_s = heard.wait_for(lambda heard: heard.of("", "fault"))
        moved = [event.call for event in heard.events if event.kind == "fault" and event.call]
        assert len(moved) == streams[1]
        on_s = heard.wait_for(lambda heard: all(len(heard.of(name, "stream_start")) == 2 for name in moved))
        heard.wait_for(lambda heard: all(heard.of(name, "speech_start")[-1].stream_seq > 4 for name in moved))
        busy = strain()
        assert seen_s - killed_s < 0.5 * busy
        assert on_s - killed_s < 3.0 * busy
        stayed = set(CALLS) - set(moved)
        assert all(len(heard.of(name, "stream_start")) == 1 for name in stayed)
        # Another one takes its place, and has room.
        until_s = time.monotonic() + 90.0
        while server.workers[1].state != "running":
            assert time.monotonic() < until_s, server.workers
            time.sleep(0.1)
        assert server.workers[1].restarts == 1
        talk.stop()
        heard.wait_for(lambda heard: all(len(heard.of(name, "stream_end")) == 2 for name in moved))
    for name in moved:
        stream = talk.streams[name]
        (fault,) = heard.of(name, "fault")
        assert (fault.data.where, fault.data.action) == ("worker 1", "moved")
        assert "signal 9" in fault.data.problem
        assert heard.of(name, "stream_end")[0].data.reason == "worker lost"
        # What was on its way is counted, where the stream went on, and by its client.
        last = heard.of(name, "stream_end")[1].data
        assert stream.reopened == 1
        assert 0 < last.counters.source_lost_samples == stream.account.lost_samples
        assert stream.account.lost_samples < stream.dropped_samples + RATE_HZ
        numbers = [event.stream_seq for event in heard.of(name)]
        assert numbers == list(range(1, len(numbers) + 1))
        topics = [event.seq for event in heard.of(name, "stream_start", "level")]
        assert topics
    assert all(talk.streams[name].account.lost_samples <= talk.streams[name].dropped_samples for name in stayed)
    assert heard.lost_events == heard.restarts == 0


def test_a_worker_that_hangs_is_ended_and_its_calls_go_on_within_three_seconds():
    with serving() as server, Heard(server.events) as heard, Talk(server.ingest, CALLS):
        heard.wait_for(has_events_of(CALLS, "level"), 60.0)
        processes = server.processes
        hung_s = time.monotonic()
        os.kill(processes[2], signal.SIGSTOP)
        while server.workers[2].state == "running":
            assert time.monotonic() - hung_s < 2.0
            time.sleep(0.01)
        late_s = time.monotonic()
        heard.wait_for(lambda heard: heard.of("", "fault"))
        moved = [event.call for event in heard.events if event.kind == "fault" and event.call]
        on_s = heard.wait_for(lambda heard: all(len(heard.of(name, "stream_start")) == 2 for name in moved))
        assert moved
        busy = strain()
        assert late_s - hung_s < 0.8 * busy
        assert on_s - hung_s < 3.0 * busy
        assert "said nothing for" in heard.of("", "fault")[0].data.problem
        with pytest.raises(ProcessLookupError):
            os.kill(processes[2], 0)


def test_a_worker_that_is_held_for_a_moment_keeps_its_calls():
    with serving() as server, Heard(server.events) as heard, Talk(server.ingest, CALLS) as talk:
        heard.wait_for(has_events_of(CALLS, "level"), 60.0)
        pid = server.processes[2]
        os.kill(pid, signal.SIGSTOP)
        time.sleep(0.7)
        os.kill(pid, signal.SIGCONT)
        time.sleep(1.5)
        assert server.workers[2].state == "running"
        assert server.processes[2] == pid
        talk.stop()
        assert [event for event in heard.events if event.kind == "fault"] == []
        assert all(len(heard.of(name, "stream_start")) == 1 for name in CALLS)


def test_workers_are_added_and_removed_while_calls_go_on_and_no_audio_is_lost_where_nobody_speaks(capsys):
    with serving("--set", "workers.move_s=20") as server, Heard(server.events) as heard:
        assert call(capsys, "workers", server.control, "add").code == 0
        until_s = time.monotonic() + 90.0
        while server.workers[3].state != "running":
            assert time.monotonic() < until_s
            time.sleep(0.1)
        with AudioSender(server.ingest) as sender:
            streams = {name: sender.open(name, sample_rate_hz=RATE_HZ, role="customer") for name in CALLS}

            def be_silent(duration_s):
                for _ in range(round(duration_s / 0.02)):
                    for stream in streams.values():
                        stream.send(bytes(2 * PACKET), wait=False)
                    time.sleep(0.02)

            be_silent(1.5)
            number, count = max(held(server, len(CALLS)).items(), key=lambda item: item[1])
            assert count
            assert "leaving" in call(capsys, "workers", server.control, "remove", number).out
            until_s = time.monotonic() + 30.0
            while number in server.workers:
                assert time.monotonic() < until_s
                be_silent(0.5)
            be_silent(0.5)
            assert sum(held(server, len(CALLS)).values()) == len(CALLS)
            lost = sum(stream.end().lost_samples for stream in streams.values())
            left_out = sum(stream.dropped_samples for stream in streams.values())
        moved = [name for name in CALLS if len(heard.of(name, "stream_start")) == 2]
        assert len(moved) == count
        assert all(heard.of(name, "stream_end")[0].data.reason == "moved" for name in moved)
        assert lost <= left_out + len(moved) * RATE_HZ // 2
        assert heard.of("", "fault") == []
        done = call(capsys, "workers", server.control, "remove", number)
        assert done.code == 2
        assert f"there is no worker {number}; there are: " in done.complaint


def test_all_workers_are_renewed_one_after_the_other_and_every_call_goes_on(capsys):
    with (
        serving("--set", "workers.move_s=1") as server,
        Heard(server.events) as heard,
        Talk(server.ingest, CALLS) as talk,
    ):
        heard.wait_for(has_events_of(CALLS, "level"), 60.0)
        old = set(server.processes.values())
        assert "2 to be renewed" in call(capsys, "workers", server.control, "renew").out
        assert "workers are being renewed" in call(capsys, "workers", server.control, "renew").complaint
        until_s = time.monotonic() + 90.0
        while server.ask().to_renew:
            assert sum(one.state in ("running", "late") for one in server.workers.values()) >= 2
            assert time.monotonic() < until_s, server.workers
            time.sleep(0.1)
        assert sorted(server.workers) == [3, 4]
        assert old.isdisjoint(server.processes.values())
        talk.stop()
        heard.wait_for(has_events_of(CALLS, "stream_end"))
    assert all(talk.streams[name].account.reason == "end" for name in CALLS)
    assert not [event for event in heard.events if event.kind == "fault"]
    # Each call moves once when its worker goes, and once more at most where it came to the other old one.
    assert all(2 <= len(heard.of(name, "stream_start")) <= 3 for name in CALLS)


def test_the_last_worker_cannot_be_removed(capsys):
    with serving(workers=1) as server:
        done = call(capsys, "workers", server.control, "remove", "1")
        assert done.code == 2
        assert "worker 1 is the last" in done.complaint


def test_a_stop_ends_every_call_and_leaves_no_process_behind(server):
    with serving() as own, Heard(own.events) as heard, Talk(own.ingest, CALLS[:4]) as talk:
        heard.wait_for(has_events_of(CALLS[:4], "level"), 60.0)
        processes = list(own.processes.values())
        took_s = own.stop()
        assert took_s < 8.0 * strain()  # of which most is to take the front's own interpreter apart, on a busy machine
        assert own.process.returncode == 0
        assert sum("stream ends (" in line for line in own.said) == 4
        assert "session ends (stopped)" in own.said[-1]
        heard.wait_for(lambda heard: heard.of("", "session_end"))
        folder = own.control.removeprefix("ipc://").rsplit("/", 1)[0]
        assert not os.path.exists(folder)
        for pid in processes:
            with pytest.raises(ProcessLookupError):
                os.kill(pid, 0)
        talk._stop.set()


def test_keys_and_lists_of_clients_are_those_of_the_front(tmp_path):
    for name in ("server", "dashboard", "stranger"):
        generate_keys(tmp_path, name)
    words = []
    for table in ("sources", "publishers"):
        for key, value in (("key_file", "server.key_secret"), ("allowed_clients", "dashboard.key")):
            path = f"{str(tmp_path / value)!r}"
            words += ["--set", f"{table}.zmq.curve.{key}={path if key == 'key_file' else f'[{path}]'}"]
    keys = {"server_key": str(tmp_path / "server.key"), "key_file": str(tmp_path / "dashboard.key_secret")}
    strange = {**keys, "key_file": str(tmp_path / "stranger.key_secret")}
    with serving(*words, workers=1) as server, AudioSender(server.ingest, timeout_s=5.0, **keys) as sender:
        stream = sender.open("locked", sample_rate_hz=RATE_HZ)
        stream.send(bytes(2 * PACKET))
        with Subscriber(server.events, **keys) as feed:
            assert "locked" in {one.call for one in feed.list_calls()}
        assert stream.end().received_samples == PACKET
        for others in (strange, {}):
            with AudioSender(server.ingest, timeout_s=1.0, **others) as other, pytest.raises(EndpointError):
                other.open("not-let-in", sample_rate_hz=RATE_HZ)


def test_publishers_work_on_the_merged_events(tmp_path):
    words = ("--set", f"publishers.store.path={str(tmp_path / 'events.db')!r}", "--jsonl", tmp_path / "events.jsonl")
    words += ("--set", "publishers.web.port=0")
    first = free_ports(10) + 6  # the server takes five
    ends = ("--publish", f"tcp://127.0.0.1:{first},jsonl,store,web")
    with serving(*words, *ends) as server:
        server.events = f"tcp://127.0.0.1:{first}"
        web = next(line.split()[1] for line in server.said if line.startswith("web "))
        with Heard(server.events) as heard, Talk(server.ingest, CALLS):
            heard.wait_for(has_events_of(CALLS, "level"), 60.0)
            time.sleep(1.5)
            metrics = urlopen(f"{web}metrics", timeout=30.0).read().decode()
        assert 'rtemo_worker_running{worker="2"} 1.0' in metrics
        assert "rtemo_calls_open 8.0" in metrics
        server.stop()
    lines = [json.loads(line) for line in (tmp_path / "events.jsonl").read_text().splitlines()]
    assert {line["call"] for line in lines} >= set(CALLS)
    assert [line["kind"] for line in lines if line["kind"].startswith("session")] == ["session_start", "session_end"]
    stored = {json.loads(line)["call"] for line in rows(tmp_path / "events.db", (), ("stream_end",))}
    assert stored == set(CALLS)


def test_workers_end_when_the_front_is_killed():
    with serving() as server:
        processes = list(server.processes.values())
        server.process.kill()
        until_s = time.monotonic() + 5.0
        while any(os.path.exists(f"/proc/{pid}") for pid in processes):
            assert time.monotonic() < until_s
            time.sleep(0.05)


def test_a_drained_server_takes_no_new_calls_and_ends_with_the_last():
    with serving("--drain", "20") as server, Talk(server.ingest, CALLS[:2]) as talk:
        server.process.send_signal(signal.SIGTERM)
        time.sleep(0.3)
        with AudioSender(server.ingest, timeout_s=2.0) as other, pytest.raises(CapacityError, match="about to stop"):
            other.open("new", sample_rate_hz=RATE_HZ)
        assert server.process.poll() is None
        talk.stop()
        assert all(stream.account.lost_samples <= stream.dropped_samples for stream in talk.streams.values())
        server.process.wait(30.0)
        assert server.process.returncode == 0


def test_processed_audio_of_every_worker_comes_from_one_endpoint():
    with serving(has_audio=True) as server, AudioReceiver(server.audio) as receiver, Talk(server.ingest, CALLS) as talk:
        assert all(held(server, len(CALLS)).values())
        position, received = dict.fromkeys(CALLS, 0), dict.fromkeys(CALLS, 0)
        until_s = time.monotonic() + 3.0
        while time.monotonic() < until_s:
            for audio in receiver.receive(0.1):
                assert audio.start_sample >= position[audio.call]
                position[audio.call] = audio.start_sample + audio.samples.size
                received[audio.call] += audio.samples.size
        assert all(count > RATE_HZ for count in received.values())
        assert receiver.restarts == receiver.lost_samples == receiver.malformed_messages == 0
        talk.stop()


def test_what_is_asked_in_words_all_workers_look_for_and_one_that_takes_the_place_of_another_too(tmp_path, capsys):
    bundles = meaning_bundles(tmp_path)
    settings = {"takes_queries": True, "queries": ["tense"], "sentence_bundle": bundles["bundle"], **bundles}
    words = ["--chain", "level,vad,meaning"]
    for key, value in settings.items():
        words += ["--set", f"plugins.meaning.{key}={json.dumps(value)}"]
    with serving(chain=words) as server, Subscriber(server.events) as feed:
        assert feed.queries() == ["tense"]
        assert feed.queries(ask=["in  tears"]) == ["tense", "in tears"]
        for text, problem in (("", "describes no voice"), ("x" * 2000, "2000 characters")):
            with pytest.raises(EndpointError, match=problem):
                feed.queries(ask=[text])
        os.kill(server.processes[1], signal.SIGKILL)
        until_s = time.monotonic() + 90.0
        while server.workers[1].state != "running" or not server.workers[1].restarts:
            assert time.monotonic() < until_s, server.workers
            time.sleep(0.1)
        # The first worker judges: it would not take back what it had not been asked.
        done = call(capsys, "ask", "bored", "--forget", "in tears", "--at", server.events)
        assert (done.code, done.out.splitlines()) == (0, ["tense", "bored"])
        done = call(capsys, "ask", "--forget", "in tears", "--at", server.events)
        assert done.code == 2
        assert "the query 'in tears' is not asked" in done.complaint
        assert feed.queries() == ["tense", "bored"]


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (
            ("--source", "stdin"),
            "stdin cannot be shared among workers, zmq and telephone gateways alone can; run a server",
        ),
        (
            ("--source", "twilio", "--set", "sources.twilio.enhanced=true"),
            "sources.twilio.enhanced sends audio back, which a server with workers does not; take it out, or run",
        ),
        (
            ("--source", "twilio", "--set", "sources.twilio.assistant_role=assistant"),
            "sources.twilio.assistant_role sends audio back, which a server with workers does not",
        ),
        (("--sink", "speaker"), "--sink speaker cannot be shared among workers"),
        (("--workers", "many"), "'many' is neither 'auto' nor a number from 1 to 256"),
        (("--chain", "level,unheard-of"), "'unheard-of', which is not installed"),
        (("--set", "workers.control=tcp://127.0.0.1:9"), "give a socket file, as ipc:///run/rtemo/control"),
    ],
)
def test_what_cannot_be_shared_is_refused_in_one_line(words, problem, capsys):
    done = call(capsys, "serve", "--workers", "2", *words)
    assert done.code == 2
    assert problem in done.complaint
