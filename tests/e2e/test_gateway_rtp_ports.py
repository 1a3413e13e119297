"""RtpSource handing out ports to who asks, over real sockets: calls with names and roles, and who asks too much."""

import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from bench.fakes.desk import FakeDesk
from rtemo.api import ConfigError, EndpointError, PolicyError
from rtemo.io.curve import ClientKeys, generate_keys
from rtemo.io.gateways.options import PortsOptions, RtpOptions
from rtemo.io.gateways.rtp import RtpSource
from rtemo.io.zmq_options import CurveOptions
from tests.fakes.gateways import Gate, expected, sound
from tests.fakes.rtp import Phone
from tests.fakes.rtp_ports import METADATA, SDP, Asker, free_udp_range, invitation
from tests.fakes.zmq_ends import ANY_PORT, pumping, wait_until

pytestmark = pytest.mark.e2e

EXAMPLE = Path(__file__).parents[2] / "examples" / "rtp_call.py"
needs_ffmpeg = pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="ffmpeg is not installed")


class StrictDesk(FakeDesk):
    """Lets no boss in."""

    def open_stream(self, call: str, channel: str, **more: Any) -> Any:
        if more.get("role") == "boss":
            raise PolicyError("role 'boss' is not analysed", "see `[policy]` in the configuration")
        return super().open_stream(call, channel, **more)


@contextmanager
def lending(pairs: int = 4, *, idle_s: float = 60.0, capacity: int = 64, **changes: Any) -> Iterator[Gate]:
    ports = PortsOptions(**{"range": free_udp_range(pairs), "endpoint": ANY_PORT, "client_share": 1.0, **changes})
    source = RtpSource(RtpOptions(first_port=0, lines=1, lost_s=600.0, reorder_s=0.2, idle_s=idle_s, ports=ports))
    desk = StrictDesk(is_live=True, capacity=capacity)
    with pumping(source, desk, desk.drain):
        yield Gate(source, desk)


@contextmanager
def asking(made: Gate, keys: ClientKeys | None = None) -> Iterator[Asker]:
    with Asker(made.source.endpoints["ports"], keys) as asker:
        yield asker


def phones(reply: dict[str, Any]) -> list[Phone]:
    assert reply["ok"], reply
    return [Phone(None, port=leg["port"], ssrc=number) for number, leg in enumerate(reply["legs"])]


def talk(phone: Phone, *numbers: int) -> None:
    phone.send(sound(), *(numbers or range(20)))


def test_two_legs_arrive_as_the_named_call_in_their_roles_until_both_say_goodbye() -> None:
    voices = sound(seed=1), sound(seed=2)
    with lending(2) as made, asking(made) as asker:
        for call in ("call 1", "call 2"):
            reply = asker.ports(call, "customer", "agent")
            assert (reply["id"], reply["call"], reply["free_ports"]) == (7, call, 0)
            assert (reply["unused_s"], reply["idle_s"]) == (30.0, 60.0)
            assert {leg["address"] for leg in reply["legs"]} == {"127.0.0.1"}
            assert all(leg["port"] % 2 == 0 for leg in reply["legs"])
            both = phones(reply)
            for number in range(20):
                for phone, voice in zip(both, voices, strict=True):
                    phone.send(voice, number)
            for phone in both:
                phone.bye()
            for channel, role in (("0", "customer"), ("1", "agent")):
                writer = made.ended(call, channel)
                assert (writer.role, writer.end_reason, writer.lost_samples) == (role, "end", 0)
                np.testing.assert_allclose(writer.samples, expected(voices[int(channel)]), atol=1e-6)
        assert not made.faults


def test_goodbye_is_heard_on_the_port_for_rtcp() -> None:
    with lending() as made, asking(made) as asker:
        reply = asker.ports("call", "caller")
        (phone,) = phones(reply)
        talk(phone)
        Phone(None, port=reply["legs"][0]["port"] + 1, ssrc=phone.ssrc).bye()
        assert made.ended("call", "0").end_reason == "end"


@pytest.mark.parametrize("goodbye", ["over RTCP", "ports given back"])
def test_what_came_before_the_end_is_heard_though_the_end_is_read_first(goodbye: str) -> None:
    with lending() as made, asking(made) as asker:
        reply = asker.ports("call", "caller")
        (phone,) = phones(reply)
        talk(phone, *range(10))
        wait_until(lambda: made.source.counts.messages == 10)
        made.source._loop.call_soon_threadsafe(time.sleep, 0.5)  # it is busy elsewhere while the last packets come
        talk(phone, *range(10, 20))
        if goodbye == "over RTCP":
            Phone(None, port=reply["legs"][0]["port"] + 1, ssrc=phone.ssrc).bye()
        else:
            assert asker.give_back("call", reply["ticket"])["ok"]
        writer = made.ended("call", "0")
    assert (writer.end_reason, writer.lost_samples) == ("end", 0)
    np.testing.assert_allclose(writer.samples, expected(sound()), atol=1e-6)


def test_payload_types_are_those_of_the_leg_and_others_are_told() -> None:
    samples = sound(rate_hz=16_000)
    with lending() as made, asking(made) as asker:
        reply = asker.ports("call", legs=[{"channel": "mic", "role": "caller", "payload_types": ["96 L16/16000"]}])
        assert "96 L16/16000" in reply["legs"][0]["payload_types"]
        (phone,) = phones(reply)
        phone.raw(0, 0, 97, bytes(160))
        assert "payload type 97, which is not known" in made.broken()
        phone.send(samples, *range(20), kind=96, codec="s16le", frame=320)
        phone.bye()
        writer = made.ended("call", "mic")
    np.testing.assert_allclose(writer.samples, expected(samples, "s16le", 16_000), atol=1e-6)


def test_ports_that_are_given_back_end_the_call_and_only_with_their_ticket() -> None:
    with lending(1) as made, asking(made) as asker, asking(made) as other:
        reply = asker.ports("call", "caller")
        talk(*phones(reply))
        for call, ticket in (("call", ""), ("call", "a" * 22), ("nobody", reply["ticket"])):
            assert other.give_back(call, ticket)["error"]["code"] == "unknown"
        assert other.refused("another", "caller") == "exhausted"
        back = asker.give_back("call", reply["ticket"])
        assert (back["ok"], back["call"], back["free_ports"]) == (True, "call", 1)
        assert made.ended("call", "0").end_reason == "end"
        assert other.ports("another", "caller")["ok"]


def test_ports_expire_that_nothing_comes_to_or_nothing_more() -> None:
    with lending(2, unused_s=0.6, idle_s=0.8) as made, asking(made) as asker:
        began_s = time.monotonic()
        unused, used = asker.ports("unused", "caller"), asker.ports("used", "caller")
        assert asker.refused("third", "caller") == "exhausted"
        (phone,) = phones(used)
        talk(phone)
        assert made.ended("unused", "0").end_reason == "unused"
        assert time.monotonic() - began_s >= 0.6
        assert made.ended("used", "0").end_reason == "idle"
        assert wait_until(lambda: asker.ports("third", "caller", "agent")["ok"])
        assert asker.give_back("unused", unused["ticket"])["error"]["code"] == "unknown"


def test_stray_packet_does_not_keep_ports_from_expiring() -> None:
    with lending(1, unused_s=0.5) as made, asking(made) as asker:
        (phone,) = phones(asker.ports("call", "caller"))
        talk(phone, 0)  # one that nothing follows on
        assert made.ended("call", "0").end_reason == "unused"


def test_name_of_a_call_that_goes_on_is_taken() -> None:
    with lending() as made, asking(made) as asker, asking(made) as other:
        asker.ports("call", "caller")
        assert other.refused("call", "caller") == "in_use"
        line = Phone(made)
        talk(line)
        assert wait_until(lambda: len(made.desk.writers) == 2)
        (name,) = [call for call, _ in made.desk.writers if call != "call"]
        assert asker.refused(name, "caller") == "in_use"


def test_role_that_the_policy_refuses_is_refused_at_the_door_and_leaves_nothing_open() -> None:
    with lending(2) as made, asking(made) as asker:
        reply = asker.ports("call", "caller", "boss")
        assert (reply["ok"], reply["error"]["code"]) == (False, "policy")
        assert reply["error"]["problem"] == "role 'boss' is not analysed"
        assert [writer.end_reason for writer in made.desk.writers.values()] == ["refused"]
        assert wait_until(lambda: asker.ports("call", "caller", "agent")["ok"])


def test_engine_without_room_is_told() -> None:
    with lending(capacity=1) as made, asking(made) as asker:
        assert asker.ports("call", "caller")["ok"]
        assert asker.refused("other", "caller") == "capacity"


def test_server_that_is_about_to_stop_hands_nothing_out() -> None:
    with lending() as made, asking(made) as asker:
        made.source.drain()
        assert asker.refused("call", "caller") == "draining"


def test_ports_that_another_program_has_are_passed_over() -> None:
    with lending(2) as made, asking(made) as asker:
        assert isinstance(made.source, RtpSource)
        first = int(made.source.options.ports.range.partition("-")[0])  # type: ignore[attr-defined]
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as held:
            held.bind(("127.0.0.1", first + 1))  # that for RTCP
            assert asker.ports("call", "caller")["legs"][0]["port"] == first + 2
            assert asker.refused("other", "caller") == "exhausted"
        assert asker.ports("other", "caller")["legs"][0]["port"] == first


def test_client_holds_no_more_than_its_share() -> None:
    with lending(4, client_share=0.75) as made, asking(made) as greedy, asking(made) as modest:
        assert [greedy.ports(f"call {number}", "caller")["ok"] for number in range(3)] == [True] * 3
        reply = greedy.ports("call 3", "caller")
        assert (reply["error"]["code"], "the 3 that one may" in reply["error"]["problem"]) == ("exhausted", True)
        assert modest.ports("modest", "caller")["ok"]


def test_room_is_made_for_a_newcomer_of_what_the_greedy_one_does_not_use() -> None:
    with lending(4) as made, asking(made) as greedy, asking(made) as modest:
        used, *_ = [greedy.ports(f"call {number}", "caller") for number in range(4)]
        talk(*phones(used), 0, 1, 2)
        assert wait_until(lambda: made.desk.writers["call 0", "0"].position_samples)
        assert modest.ports("modest", "caller", "agent")["ok"]
        ends = [made.desk.writers[f"call {number}", "0"].end_reason for number in range(4)]
        assert ends == [None, "made room", "made room", None]
        assert modest.refused("more", "caller") == "exhausted"  # it has as much as the other now


def test_client_that_asks_too_often_is_told_and_no_other() -> None:
    with lending(asks_per_s=0.1, ask_burst=3) as made, asking(made) as hasty, asking(made) as other:
        for _ in range(3):
            assert hasty.refused("call") == "bad_request"
        assert hasty.refused("call", "caller") == "rate"
        assert other.ports("call", "caller")["ok"]


def test_only_clients_with_a_key_get_ports_and_a_key_is_one_client(tmp_path: Path) -> None:
    keys = {name: generate_keys(tmp_path, name) for name in ("server", "friend", "stranger")}
    curve = CurveOptions(key_file=str(keys["server"][1]), allowed_clients=(str(keys["friend"][0]),))
    friend, stranger = (ClientKeys(keys["server"][0], keys[name][1]) for name in ("friend", "stranger"))
    with lending(4, client_share=0.5, curve=curve) as made:
        for number in range(2):
            with asking(made, friend) as asker:
                assert asker.ports(f"call {number}", "caller")["ok"]
        with asking(made, friend) as asker:
            assert asker.refused("call 2", "caller") == "exhausted"
        for outsider in (stranger, None):
            with asking(made, outsider) as asker:
                asker.socket.send(b'{"op": "ports"}')
                assert not asker.socket.poll(400)


def test_siprec_body_in_place_of_legs_gives_ports_by_label() -> None:
    with lending() as made, asking(made) as asker:
        roles = {"sip:desk@pbx.example": "agent", "Bob": "customer"}
        reply = asker.ports(siprec=invitation(), roles=roles)
        assert reply["call"] == "ab30317f"
        first, second = reply["legs"]
        assert (first["channel"], first["role"], first["media_line"]) == ("10", "customer", 0)
        assert (second["channel"], second["role"], second["media_line"]) == ("20", "agent", 1)
        assert first["payload_types"] == ["0 PCMU/8000", "101 telephone-event/8000"]
        assert second["payload_types"] == ["8 PCMA/8000"]
        assert first["speakers"] == [{"address": "sip:bob@pbx.example", "name": "Bob"}]
        one, other = phones(reply)
        talk(one)
        other.send(sound(seed=3), *range(20), kind=8, codec="alaw")
        one.bye()
        other.bye()
        np.testing.assert_allclose(made.ended("ab30317f", "10").samples, expected(sound()), atol=1e-6)
        np.testing.assert_allclose(made.ended("ab30317f", "20").samples, expected(sound(seed=3), "alaw"), atol=1e-6)


def test_voices_that_nobody_gives_a_role_have_none_and_a_mixed_stream_is_neither() -> None:
    mixed = METADATA.replace("<send>Y=</send>", "<send>X=</send>")
    with lending() as made, asking(made) as asker:
        reply = asker.ports("mine", siprec=invitation(metadata=mixed), roles={"Bob": "customer"})
        assert [(leg["channel"], leg["role"]) for leg in reply["legs"]] == [("10", "mixed"), ("20", "")]
        assert {key: writer.role for key, writer in made.desk.writers.items()} == {
            ("mine", "10"): "mixed",
            ("mine", "20"): "",
        }


@pytest.mark.parametrize(
    ("message", "said"),
    [
        (b"", "are not a request"),
        (b"\xff", "are not a request"),
        (b'{"op": "list"}', "are not a request"),
        (b'{"op": "ports"}', "needs either `legs` or `siprec`"),
        (b'{"op": "ports", "call": "a", "legs": [{}], "siprec": ""}', "needs either `legs` or `siprec`"),
        (b'{"op": "ports", "legs": [{}]}', "got '' as a name"),
        (b'{"op": "ports", "call": "a\\u0007", "legs": [{}]}', "as a name"),
        (b'{"op": "ports", "call": "a", "legs": [{"channel": "1"}, {}]}', "the same channel"),
        (b'{"op": "ports", "call": "a", "legs": [' + b",".join([b"{}"] * 9) + b"]}", "are not a request"),
        (b'{"op": "ports", "call": "a", "legs": [{"payload_types": ["96 G729/8000"]}]}', "has '96 G729/8000'"),
        (b'{"op": "ports", "siprec": "v=0"}', "does not begin with a boundary"),
        (b'{"op": "ports", "siprec": "--a\\n\\n<recording/>\\n--a--"}', "no part application/sdp"),
    ],
)
def test_what_is_no_request_is_refused_in_one_line_and_the_next_one_is_met(message: bytes, said: str) -> None:
    with lending() as made, asking(made) as asker:
        error = asker.send(message)["error"]
        assert error["code"] == "bad_request"
        assert said in error["problem"]
        assert "\n" not in error["problem"] + error["mend"]
        assert asker.ports("call", "caller")["free_ports"] == 3


def test_wrong_settings_are_told() -> None:
    def check(first_port: int = 0, address: str = "127.0.0.1", **changes: Any) -> None:
        ports = PortsOptions(**{"range": "30000-30009", "endpoint": ANY_PORT, **changes})
        RtpSource(RtpOptions(first_port=first_port, address=address, insecure_plaintext=True, ports=ports)).check()

    for wrong in ("30000", "30009-30000", "30001-30002", "0-9", "65000-70000", "x"):
        with pytest.raises(ConfigError, match="FIRST-LAST"):
            check(range=wrong)
    with pytest.raises(ConfigError, match="holds ports of the lines 29990-30021"):
        check(first_port=29_990)
    with pytest.raises(ConfigError, match="told_address"):
        check(address="0.0.0.0")
    with pytest.raises(EndpointError, match=r"sources\.rtp\.ports\.curve\.key_file"):
        check(endpoint="tcp://0.0.0.0:5585")
    with pytest.raises(EndpointError, match="may open"):
        check(range="1024-65535")


def test_address_that_is_told_may_be_another_than_the_one_that_is_bound() -> None:
    with lending(told_address="media.example") as made, asking(made) as asker:
        assert asker.ports("call", "caller")["legs"][0]["address"] == "media.example"


@needs_ffmpeg
def test_ffmpeg_brings_both_legs_of_a_recording_session(tmp_path: Path) -> None:
    samples = sound(0.4)
    soundfile.write(tmp_path / "leg.wav", samples, 8_000, subtype="PCM_16")
    with lending(idle_s=0.8) as made, asking(made) as asker:
        reply = asker.ports(siprec=invitation(SDP))
        senders = []
        for leg, codec in zip(reply["legs"], ("pcm_mulaw", "pcm_alaw"), strict=True):
            command = ["ffmpeg", "-v", "error", "-re", "-i", str(tmp_path / "leg.wav"), "-c:a", codec, "-f", "rtp"]
            senders.append(
                subprocess.Popen([*command, f"rtp://{leg['address']}:{leg['port']}"], stdout=subprocess.DEVNULL)
            )
        assert [sender.wait(20.0) for sender in senders] == [0, 0]
        for leg, codec in zip(reply["legs"], ("mulaw", "alaw"), strict=True):
            writer = made.ended(reply["call"], leg["channel"])
            assert writer.lost_samples == 0
            np.testing.assert_allclose(writer.samples, expected(samples, codec), atol=0.03)


def test_example_answers_an_invitation(tmp_path: Path) -> None:
    body = tmp_path / "invite.txt"
    body.write_text(invitation("m=video 9 RTP/AVP 99\n" + SDP))
    with lending() as made:
        at = ["--at", str(made.source.endpoints["ports"])]
        command = [sys.executable, str(EXAMPLE), "--siprec", str(body), "--role", "sip:desk@pbx.example=agent", *at]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        lines = done.stdout.splitlines()
        video, first, second = [line.split() for line in lines if line.startswith("m=")]
        assert video == ["m=video", "0", "RTP/AVP", "99"]
        assert (first[2:], second[2:]) == (["RTP/AVP", "0", "101"], ["RTP/AVP", "8"])
        assert lines[-3:] == ["a=rtpmap:8 PCMA/8000", "a=label:20", "a=recvonly"]
        assert [writer.role for writer in made.desk.writers.values()] == ["", "agent"]
        again = subprocess.run(command, capture_output=True, text=True, timeout=60)
        assert again.returncode == 1
        assert again.stderr == "call 'ab30317f' is going on; give it back first, or choose another name\n"


@needs_ffmpeg
def test_example_brings_a_call(tmp_path: Path) -> None:
    samples = np.stack([sound(0.4, seed=1), sound(0.4, seed=2)], axis=1)
    soundfile.write(tmp_path / "call.wav", samples, 8_000, subtype="PCM_16")
    with lending() as made:
        command = [
            sys.executable,
            str(EXAMPLE),
            str(tmp_path / "call.wav"),
            "--at",
            str(made.source.endpoints["ports"]),
        ]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        call = done.stdout.split()[0]
        for channel, role in (("0", "caller"), ("1", "agent")):
            writer = made.ended(call, channel)
            assert (writer.role, writer.end_reason, writer.lost_samples) == (role, "end", 0)
            np.testing.assert_allclose(writer.samples, expected(samples[:, int(channel)]), atol=0.05)  # it rounds twice
