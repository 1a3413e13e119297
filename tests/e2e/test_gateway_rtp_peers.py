"""RtpSource and senders that nobody here wrote: ffmpeg, GStreamer, SIPp; and Opus, as they encode it."""

import shutil
import socket
import struct
import subprocess
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from rtemo.api import ConfigError
from rtemo.dsp.resample import resample
from rtemo.io.gateways.options import RtpOptions
from rtemo.io.gateways.rtp import RtpSource
from rtemo.io.pcm import decode_pcm, encode_pcm
from tests.fakes.gateways import Gate
from tests.fakes.rtp import Phone, ended, rtp
from tests.fakes.zmq_ends import free_ports, wait_until

pytestmark = [pytest.mark.e2e, pytest.mark.timed]

OPUS = ("111 opus/48000/2",)


def needs(*tools: str) -> Any:
    missing = [tool for tool in tools if shutil.which(tool) is None]
    return pytest.mark.skipif(bool(missing), reason=f"{', '.join(missing)} is not installed")


def sweep(duration_s: float = 1.2, rate_hz: int = 8_000) -> NDArray[np.float32]:
    t = np.arange(round(duration_s * rate_hz)) / rate_hz
    return (0.4 * np.sin(2 * np.pi * (300 * t + 500 * t**2))).astype(np.float32)


def port_of(made: Gate, party: int = 0) -> int:
    assert isinstance(made.source, RtpSource)
    return made.source.ports[0][party]


def likeness(heard: NDArray[np.float32], said: NDArray[np.float32]) -> tuple[float, int]:
    """Give the highest correlation coefficient of a second from the middle, and how much later it is heard."""
    part = said[2_000:14_000]
    products = np.correlate(heard, part, "valid")
    power = np.convolve(heard.astype(np.float64) ** 2, np.ones(len(part)), "valid")
    found = products / np.sqrt(np.maximum(power, 1e-9) * np.sum(part**2))
    return float(found.max()), int(found.argmax()) - 2_000


def opus_packets(samples: NDArray[np.float32], rate_hz: int = 48_000) -> list[bytes]:
    """Encode to packets of 20 ms as libopus does."""
    av = pytest.importorskip("av", reason="av is not installed: rtemo[telephony]")
    encoder = av.CodecContext.create("libopus", "w")
    encoder.sample_rate, encoder.layout, encoder.format, encoder.bit_rate = rate_hz, "mono", "s16", 24_000
    packets = []
    integers = np.frombuffer(encode_pcm(samples, "s16le"), "<i2")
    for begin in range(0, len(integers) - 959, 960):
        frame = av.AudioFrame.from_ndarray(integers[None, begin : begin + 960].copy(), "s16", "mono")
        frame.sample_rate, frame.pts = rate_hz, begin
        packets += [bytes(packet) for packet in encoder.encode(frame)]
    return packets


def test_opus_arrives_whole_in_order_and_once_whatever_the_network_does() -> None:
    said = sweep(1.2, 48_000)
    packets = opus_packets(said)
    with rtp(payload_types=OPUS) as made:
        phone = Phone(made)
        order = list(range(len(packets)))
        order[20], order[21] = order[21], order[20]
        for number in [*order[:30], 29, *order[30:]]:
            phone.raw(number, 960 * number, 111, packets[number])
            time.sleep(0.0005)
        phone.bye()
        writer = ended(made)
    assert (writer.lost_samples, len(writer.samples)) == (0, 320 * len(packets))
    alike, late = likeness(writer.samples, resample(said, 48_000, 16_000))
    assert alike > 0.99
    assert 0 <= late < 200  # what the encoder looks ahead


def test_opus_that_is_lost_is_a_hole_and_nothing_is_made_up() -> None:
    packets = opus_packets(sweep(1.2, 48_000))
    with rtp(payload_types=OPUS, reorder_s=0.05) as made:
        phone = Phone(made)
        for number, packet in enumerate(packets):
            if number not in (20, 21, 22):
                phone.raw(number, 960 * number, 111, packet)
                time.sleep(0.0005)
        phone.bye()
        writer = ended(made)
    assert (writer.lost_samples, len(writer.samples)) == (3 * 320, 320 * len(packets))
    assert not np.abs(writer.samples[20 * 320 + 200 : 23 * 320 - 200]).any()


def test_what_is_no_opus_is_dropped_with_one_line_and_the_call_goes_on() -> None:
    packets = opus_packets(sweep(1.2, 48_000))
    packets[10] = bytes([packets[10][0] | 3, 0x41, 0xFF, 0xFF])  # a frame behind more padding than there is
    packets[11] = b"\xff"
    with rtp(payload_types=OPUS, reorder_s=0.02) as made:
        phone = Phone(made)
        for number, packet in enumerate(packets):
            phone.raw(number, 960 * number, 111, packet)
            time.sleep(0.0005)
        phone.bye()
        writer = ended(made)
        assert made.source.counts.dropped == 2
        assert len(made.faults) == 1
        assert "no Opus packet" in made.faults[0]
    assert len(writer.samples) == 320 * len(packets)
    assert not writer.samples[10 * 320 + 200 : 12 * 320 - 200].any()


def test_opus_without_its_library_is_refused_at_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ConfigError, match="Opus over RTP needs the package av"):
        RtpSource(RtpOptions(payload_types=OPUS)).check()


@needs("ffmpeg")
def test_ffmpeg_brings_a_call_in_opus(tmp_path: Path) -> None:
    said = sweep(1.2, 48_000)
    soundfile.write(tmp_path / "call.wav", said, 48_000, subtype="PCM_16")
    with rtp(payload_types=OPUS, idle_s=0.6) as made:
        command = ["ffmpeg", "-v", "error", "-re", "-i", str(tmp_path / "call.wav"), "-c:a", "libopus", "-b:a", "24k"]
        url = f"rtp://127.0.0.1:{port_of(made)}"
        subprocess.run([*command, "-payload_type", "111", "-f", "rtp", url], check=True, stdout=subprocess.DEVNULL)
        writer = ended(made)
    assert writer.lost_samples == 0
    assert likeness(writer.samples, resample(said, 48_000, 16_000))[0] > 0.99


@needs("gst-launch-1.0")
@pytest.mark.parametrize(
    ("encode", "kind", "rate_hz"),
    [
        ("mulawenc ! rtppcmupay", 0, 8_000),
        ("alawenc ! rtppcmapay", 8, 8_000),
        ("rtpL16pay pt=97", 97, 16_000),
        ("opusenc ! rtpopuspay pt=111", 111, 48_000),
    ],
)
def test_gstreamer_brings_both_parties(tmp_path: Path, encode: str, kind: int, rate_hz: int) -> None:
    said = sweep(1.2, rate_hz)
    soundfile.write(tmp_path / "call.wav", said, rate_hz, subtype="PCM_16")
    with rtp(payload_types=("97 L16/16000", *OPUS), idle_s=0.8) as made:
        running = []
        for party in range(2):
            sink = f"udpsink host=127.0.0.1 port={port_of(made, party)}"
            text = f"filesrc location={tmp_path}/call.wav ! wavparse ! audioconvert ! {encode} ! {sink}"
            running.append(subprocess.Popen(["gst-launch-1.0", "-q", *text.split()], stderr=subprocess.PIPE, text=True))
        for one in running:
            _, told = one.communicate(timeout=60)
            assert one.returncode == 0, told
        writers = [ended(made, channel) for channel in ("0", "1")]
        assert len({writer.call for writer in writers}) == 1
    for writer in writers:
        assert writer.lost_samples == 0
        assert likeness(writer.samples, resample(said, rate_hz, 16_000))[0] > 0.99


ANSWERING = """<?xml version="1.0" encoding="ISO-8859-1" ?>
<scenario name="answers">
  <recv request="INVITE" crlf="true" />
  <send retrans="500"><![CDATA[
    SIP/2.0 200 OK
    [last_Via:]
    [last_From:]
    [last_To:];tag=[pid]SIPpTag01[call_number]
    [last_Call-ID:]
    [last_CSeq:]
    Contact: <sip:[local_ip]:[local_port]>
    Content-Type: application/sdp
    Content-Length: [len]

    v=0
    o=- 1 1 IN IP4 127.0.0.1
    s=-
    c=IN IP4 127.0.0.1
    t=0 0
    m=audio {port} RTP/AVP 0
    a=rtpmap:0 PCMU/8000
  ]]></send>
  <recv request="ACK" crlf="true" />
  <recv request="BYE" />
  <send><![CDATA[
    SIP/2.0 200 OK
    [last_Via:]
    [last_From:]
    [last_To:]
    [last_Call-ID:]
    [last_CSeq:]
    Content-Length: 0
  ]]></send>
</scenario>
"""

CALLING = """<?xml version="1.0" encoding="ISO-8859-1" ?>
<scenario name="calls and plays">
  <send retrans="500"><![CDATA[
    INVITE sip:service@[remote_ip]:[remote_port] SIP/2.0
    Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]
    From: <sip:sipp@[local_ip]:[local_port]>;tag=[pid]SIPpTag00[call_number]
    To: <sip:service@[remote_ip]:[remote_port]>
    Call-ID: [call_id]
    CSeq: 1 INVITE
    Contact: <sip:sipp@[local_ip]:[local_port]>
    Max-Forwards: 70
    Content-Type: application/sdp
    Content-Length: [len]

    v=0
    o=- 1 1 IN IP4 [local_ip]
    s=-
    c=IN IP4 [local_ip]
    t=0 0
    m=audio [auto_media_port] RTP/AVP 0
    a=rtpmap:0 PCMU/8000
  ]]></send>
  <recv response="200" rtd="true" />
  <send><![CDATA[
    ACK sip:service@[remote_ip]:[remote_port] SIP/2.0
    Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]
    From: <sip:sipp@[local_ip]:[local_port]>;tag=[pid]SIPpTag00[call_number]
    To: <sip:service@[remote_ip]:[remote_port]>[peer_tag_param]
    Call-ID: [call_id]
    CSeq: 1 ACK
    Content-Length: 0
  ]]></send>
  <nop><action><exec play_pcap_audio="{pcap}" /></action></nop>
  <pause milliseconds="1800" />
  <send retrans="500"><![CDATA[
    BYE sip:service@[remote_ip]:[remote_port] SIP/2.0
    Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]
    From: <sip:sipp@[local_ip]:[local_port]>;tag=[pid]SIPpTag00[call_number]
    To: <sip:service@[remote_ip]:[remote_port]>[peer_tag_param]
    Call-ID: [call_id]
    CSeq: 2 BYE
    Content-Length: 0
  ]]></send>
  <recv response="200" />
</scenario>
"""


def write_pcap(path: Path, samples: NDArray[np.float32]) -> None:
    """Write a capture of RTP in PCMU, a packet every 20 ms, as a sniffer would."""
    coded = encode_pcm(samples, "mulaw")
    data = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65_535, 1)
    for number in range(len(coded) // 160):
        payload = coded[160 * number : 160 * number + 160]
        packet = struct.pack(">BBHII", 0x80, 0, number, 160 * number, 0xDEC0DE) + payload
        datagram = struct.pack(">HHHH", 6_000, 6_000, 8 + len(packet), 0) + packet
        addresses = socket.inet_aton("127.0.0.1") * 2
        internet = struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(datagram), number, 0, 64, 17, 0) + addresses + datagram
        frame = bytes(12) + b"\x08\x00" + internet
        seconds, micros = divmod(20_000 * number, 1_000_000)
        data += struct.pack("<IIII", seconds, micros, len(frame), len(frame)) + frame
    path.write_bytes(data)


@needs("sipp")
def test_sipp_calls_and_plays_what_was_captured(tmp_path: Path) -> None:
    said = sweep()
    write_pcap(tmp_path / "call.pcap", said)
    with rtp(idle_s=1.0) as made:
        port = free_ports(2)
        (tmp_path / "answers.xml").write_text(ANSWERING.replace("{port}", str(port_of(made))))
        (tmp_path / "calls.xml").write_text(CALLING.replace("{pcap}", str(tmp_path / "call.pcap")))
        common = ["-i", "127.0.0.1", "-m", "1", "-nostdin", "-timeout", "20"]
        answering = subprocess.Popen(
            ["sipp", "-sf", "answers.xml", "-p", str(port), *common], cwd=tmp_path, stdout=subprocess.DEVNULL
        )
        try:
            time.sleep(0.5)
            command = ["sipp", "-sf", "calls.xml", f"127.0.0.1:{port}", "-p", str(port + 1), *common]
            called = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=30, check=False)
            if "raw" in called.stderr and "ermitted" in called.stderr:
                pytest.skip("sipp may not open raw sockets here")
            assert called.returncode == 0, called.stdout[-2_000:] + called.stderr
            answering.wait(10.0)
        finally:
            answering.kill()
        assert wait_until(lambda: made.desk.writers)
        writer = ended(made)
    assert writer.lost_samples == 0
    whole = resample(decode_pcm(encode_pcm(said, "mulaw"), "mulaw"), 8_000, 16_000)
    np.testing.assert_allclose(writer.samples, whole[: len(writer.samples)], atol=1e-6)
    assert len(writer.samples) == len(whole)
