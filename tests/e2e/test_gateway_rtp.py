"""RtpSource over real UDP sockets: calls as telephone systems and ffmpeg send them, and senders that misbehave."""

import shutil
import socket
import struct
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile

from rtemo.api import ConfigError, EndpointError
from rtemo.io.gateways.options import RtpOptions
from rtemo.io.gateways.rtp import RtpSource
from rtemo.io.gateways.rtp_wire import left
from rtemo.io.pcm import encode_pcm
from tests.fakes.gateways import expected, sound
from tests.fakes.rtp import FRAME, Phone, ended, rtp
from tests.fakes.zmq_ends import wait_until

pytestmark = pytest.mark.e2e


@pytest.mark.parametrize(
    ("kind", "codec", "rate_hz"),
    [(0, "mulaw", 8_000), (8, "alaw", 8_000), (96, "s16le", 16_000), (11, "s16le", 44_100)],
)
def test_every_codec_arrives_to_the_sample_over_both_wraps(kind: int, codec: str, rate_hz: int) -> None:
    samples = sound(rate_hz=rate_hz)
    frame = rate_hz // 50
    with rtp(payload_types=("96 L16/16000",)) as made:
        phone = Phone(made)
        phone.send(samples, *range(20), kind=kind, codec=codec, frame=frame)
        phone.bye()
        writer = ended(made)
    np.testing.assert_allclose(writer.samples, expected(samples, codec, rate_hz), atol=1e-6)
    assert (writer.end_reason, writer.lost_samples, writer.role) == ("end", 0, "caller")


def test_two_legs_are_one_call_in_their_roles_and_the_next_call_is_another() -> None:
    voices = sound(seed=1), sound(seed=2)
    with rtp() as made:
        for calls in (1, 2):
            phones = Phone(made, 0, ssrc=1), Phone(made, 1, ssrc=2)
            for number in range(20):
                for phone, voice in zip(phones, voices, strict=True):
                    phone.send(voice, number)
            assert wait_until(lambda calls=calls: len(made.desk.writers) == 2 * calls)
            for phone in phones:
                phone.bye()
            assert wait_until(lambda: all(writer.end_reason for writer in made.desk.writers.values()))
            time.sleep(0.05)
        assert len({call for call, _ in made.desk.writers}) == 2
        roles = {(channel, writer.role) for (_, channel), writer in made.desk.writers.items()}
        assert roles == {("0", "caller"), ("1", "agent")}
        for (_, channel), writer in made.desk.writers.items():
            np.testing.assert_allclose(writer.samples, expected(voices[int(channel)]), atol=1e-6)


def test_missing_repeated_and_swapped_packets_are_placed_by_their_numbers() -> None:
    samples = sound()
    with rtp() as made:
        phone = Phone(made)
        phone.send(samples, 0, 1, 3, 2, 4, 4, 8, *range(9, 20))
        time.sleep(0.3)  # the jitter buffer gives up what is missing
        phone.bye()
        writer = ended(made)
    whole = expected(samples)
    assert len(writer.samples) == len(whole)
    assert sum(length for _, length in writer.gaps) == writer.lost_samples == 3 * 320
    np.testing.assert_allclose(writer.samples[: 5 * 320 - 120], whole[: 5 * 320 - 120], atol=1e-6)
    np.testing.assert_allclose(writer.samples[8 * 320 + 120 :], whole[8 * 320 + 120 :], atol=1e-6)


def test_comfort_noise_and_digits_are_pauses_and_no_losses() -> None:
    samples = sound()
    with rtp() as made:
        phone = Phone(made)
        phone.send(samples, *range(10))
        phone.raw(10, 10 * FRAME, 13, b"\x40")
        for number in (11, 12, 13):
            phone.raw(number, 10 * FRAME, 101, b"\x05\x0a\x00\xa0")
        phone.sequence += 4
        phone.stamp += 4_000  # half a second of pause
        phone.send(samples, *range(10, 20))
        phone.bye()
        writer = ended(made)
    assert writer.lost_samples == 0
    assert not made.faults
    np.testing.assert_allclose(writer.samples, expected(samples), atol=1e-6)


def test_another_sender_that_takes_over_goes_on_as_the_same_stream() -> None:
    samples = sound()
    with rtp() as made:
        Phone(made, ssrc=1).send(samples, *range(10))
        other = Phone(made, ssrc=2, sequence=99, stamp=5)
        other.send(samples[1600:], *range(10))
        other.bye()
        writer = ended(made)
    np.testing.assert_allclose(writer.samples, expected(samples), atol=1e-6)


def test_packets_of_a_stranger_between_those_of_the_sender_are_left_out() -> None:
    samples = sound()
    with rtp() as made:
        phone, stranger = Phone(made, ssrc=1), Phone(made, ssrc=2, sequence=0, stamp=0)
        for number in range(20):
            phone.send(samples, number)
            stranger.send(sound(seed=9), number)
        phone.bye()
        np.testing.assert_allclose(ended(made).samples, expected(samples), atol=1e-6)


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"hello", "no RTP packet"),
        (b"\x80\x7b" + bytes(10) + bytes(160), "payload type 123"),
        (b"\xa0\x00" + bytes(10) + b"\xff", "longer than the packet"),
        (b"\x90\x00" + bytes(12) + b"\xff\xff", "longer than the packet"),
        (b"\x80\x00" + bytes(10) + bytes(60_000), "sent 60000 bytes of PCMU/8000"),
        (b"\x80\x0b" + bytes(10) + bytes(3), "sent 3 bytes of L16/44100"),
    ],
)
def test_what_is_no_rtp_is_dropped_with_one_line_and_opens_nothing(data: bytes, told: str) -> None:
    samples = sound()
    with rtp(lines=2) as made:
        assert isinstance(made.source, RtpSource)
        bad = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        for _ in range(3):
            bad.sendto(data, ("127.0.0.1", made.source.ports[1][0]))
        assert told in made.broken()
        phone = Phone(made)
        phone.send(samples, *range(20))
        phone.bye()
        np.testing.assert_allclose(ended(made).samples, expected(samples), atol=1e-6)
        assert len(made.faults) == 1
        assert len(made.desk.writers) == 1


def test_call_of_which_nothing_comes_any_more_ends() -> None:
    with rtp(idle_s=0.3) as made:
        Phone(made).send(sound(), *range(5))
        assert ended(made).end_reason == "idle"


def test_wrong_settings_are_told() -> None:
    for wrong in ("96 G729/8000", "96 opus/16000", "96 L16/16000/2", "200 L16/16000"):
        with pytest.raises(ConfigError, match=wrong):
            RtpSource(RtpOptions(payload_types=(wrong,))).check()
    with pytest.raises(EndpointError, match="beyond 65535"):
        RtpSource(RtpOptions(first_port=65_500, lines=100)).check()
    with pytest.raises(EndpointError, match="plain text"):
        RtpSource(RtpOptions(address="0.0.0.0")).check()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as held:
        held.bind(("127.0.0.1", 0))
        port = held.getsockname()[1] // 2 * 2
        if port == held.getsockname()[1]:
            with pytest.raises(EndpointError, match=f"UDP port {port}"):
                RtpSource(RtpOptions(first_port=min(port, 65_400), lines=1)).check()


def test_goodbyes_are_read_from_whatever_comes() -> None:
    assert left(struct.pack(">BBHII", 0x82, 203, 2, 5, 6)) == [5, 6]
    assert left(struct.pack(">BBHI", 0x9F, 203, 1, 5)) == [5]
    for length in range(20):
        assert isinstance(left(bytes([0x81, 203, 255, 255])[:length] + bytes(max(0, length - 4))), list)


@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="ffmpeg is not installed")
@pytest.mark.parametrize(("codec", "kind"), [("pcm_alaw", 8), ("pcm_s16be", 97)])
def test_ffmpeg_brings_a_call(tmp_path: Path, codec: str, kind: int) -> None:
    rate_hz = 16_000 if kind == 97 else 8_000
    samples = sound(0.4, rate_hz)
    soundfile.write(tmp_path / "call.wav", samples, rate_hz, subtype="PCM_16")
    with rtp(payload_types=("97 L16/16000",), idle_s=0.6) as made:
        assert isinstance(made.source, RtpSource)
        url = f"rtp://127.0.0.1:{made.source.ports[0][0]}"
        command = ["ffmpeg", "-v", "error", "-re", "-i", str(tmp_path / "call.wav"), "-c:a", codec]
        subprocess.run([*command, "-payload_type", str(kind), "-f", "rtp", url], check=True, stdout=subprocess.DEVNULL)
        writer = ended(made)
    sample_type = "alaw" if codec == "pcm_alaw" else "s16le"
    integers = encode_pcm(samples, "s16le")
    heard = np.frombuffer(integers, "<i2").astype(np.float32) / 32_768
    whole = expected(heard, sample_type, rate_hz)
    assert writer.lost_samples == 0
    assert len(writer.samples) == len(whole)
    np.testing.assert_allclose(writer.samples, whole, atol=0.03)  # it rounds G.711 another way
