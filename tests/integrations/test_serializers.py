"""pipecat's serializers for telephone systems as peers of the gateways, over real WebSockets."""

import asyncio
import json
import uuid
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

pytest.importorskip("pipecat", reason="pipecat-ai is not installed: the extra pipecat")
pytest.importorskip("websockets", reason="websockets is not installed: rtemo[telephony]")

from pipecat.frames.frames import Frame, InputAudioRawFrame, OutputAudioRawFrame, OutputTransportMessageUrgentFrame
from pipecat.serializers.genesys import AudioHookChannel, GenesysAudioHookSerializer
from pipecat.serializers.twilio import TwilioFrameSerializer
from websockets.sync import client

from rtemo.dsp.resample import resample
from rtemo.io.gateways.audiohook import AudioHookSource
from rtemo.io.gateways.twilio import TwilioSource
from rtemo.io.pcm import as_int16, decode_pcm, encode_pcm
from tests.fakes.gateways import gate
from tests.fakes.way_back import Facts, Peer, hand_out, start_twilio, tones
from tests.fakes.zmq_ends import wait_until

pytestmark = pytest.mark.e2e

RATE_HZ = 8_000
CODES_DB = 30.0  # the noise of mu-law lies about 37 dB below


class Setup:
    """What a pipeline tells a serializer when it starts."""

    audio_in_sample_rate = RATE_HZ
    audio_out_sample_rate = RATE_HZ


def twilio_serializer() -> TwilioFrameSerializer:
    params = TwilioFrameSerializer.InputParams(auto_hang_up=False)
    return TwilioFrameSerializer("MZ1", call_sid="CA1", params=params)


def pcm(sound: NDArray[np.float32]) -> bytes:
    return as_int16(resample(sound, 16_000, RATE_HZ)).tobytes()


def assert_near(heard: NDArray[np.float32], said: NDArray[np.float32]) -> None:
    assert len(heard) == len(said)
    assert 10 * np.log10(np.sum(said**2) / np.sum((heard - said) ** 2)) > CODES_DB


def heard_of(frames: list[Frame | None]) -> NDArray[np.float32]:
    audio = [frame for frame in frames if isinstance(frame, InputAudioRawFrame)]
    assert {(frame.sample_rate, frame.num_channels) for frame in audio} == {(RATE_HZ, 1)}
    return decode_pcm(b"".join(frame.audio for frame in audio), "s16le")


def test_what_pipecat_writes_for_twilio_is_heard_by_the_gateway() -> None:
    said = tones(0.5)

    async def written() -> list[str | bytes | None]:
        serializer = twilio_serializer()
        await serializer.setup(Setup())  # type: ignore[arg-type]
        sound = pcm(said)
        parts = [sound[at : at + 320] for at in range(0, len(sound), 320)]
        return [await serializer.serialize(OutputAudioRawFrame(part, RATE_HZ, 1)) for part in parts]

    messages = asyncio.run(written())
    assert len(messages) == 25
    with gate(TwilioSource, unsigned=True) as made, client.connect(f"ws://127.0.0.1:{made.port}/") as socket:
        begin = {"callSid": "CA1", "streamSid": "MZ1", "tracks": ["inbound"]}
        socket.send(json.dumps({"event": "start", "streamSid": "MZ1", "start": begin}))
        for message in messages:
            assert isinstance(message, str)
            socket.send(message)
        socket.send(json.dumps({"event": "stop", "stop": {"callSid": "CA1"}}))
        writer = made.ended("CA1", "inbound")
        assert not made.faults
    heard = resample(writer.samples, 16_000, RATE_HZ)[: len(pcm(said)) // 2]
    assert_near(heard, resample(said, 16_000, RATE_HZ))


def test_what_the_gateway_sends_is_audio_for_pipecats_serializer_of_twilio_and_the_rest_is_not() -> None:
    said = tones(1.2)
    assistant = Facts("CA1", "assistant-1", "assistant", "timing")
    with gate(TwilioSource, unsigned=True, assistant_role="assistant") as made:
        peer = Peer(made.port)
        start_twilio(peer)
        assert wait_until(lambda: made.source.sink.wants(assistant))  # type: ignore[attr-defined]
        hand_out(made, {assistant: said}, is_last=True)
        assert wait_until(lambda: len(peer.texts) == 61)  # a mark among them
        peer.close()

    async def read() -> list[Frame | None]:
        serializer = twilio_serializer()
        await serializer.setup(Setup())  # type: ignore[arg-type]
        return [await serializer.deserialize(text) for text in peer.texts]

    frames = asyncio.run(read())
    assert frames.count(None) == 1
    assert_near(heard_of(frames), resample(said, 16_000, RATE_HZ))


class Genesys:
    """The messages of a client of AudioHook, for whoever answers them."""

    def __init__(self) -> None:
        self.id = str(uuid.uuid4())
        self.seq = self.server_seq = 0

    def write(self, kind: str, **parameters: Any) -> str:
        self.seq += 1
        message = {"version": "2", "id": self.id, "type": kind, "seq": self.seq, "serverseq": self.server_seq}
        self.server_seq += 1  # each is answered
        return json.dumps({**message, "position": "PT0S", "parameters": parameters})

    def open(self) -> str:
        media = {"type": "audio", "format": "PCMU", "channels": ["external", "internal"], "rate": RATE_HZ}
        who = {"id": "p1", "ani": "", "aniName": "", "dnis": ""}
        return self.write("open", organizationId="o", conversationId="c1", participant=who, media=[media])


def test_gateway_answers_a_client_of_genesys_as_pipecat_does_and_hears_the_same() -> None:
    genesys = Genesys()
    external, internal = (resample(sound, 16_000, RATE_HZ) for sound in (tones(0.5), tones(0.5)[::-1].copy()))
    audio = encode_pcm(np.stack([external, internal], axis=1), "mulaw")
    told: list[str | bytes] = [genesys.open(), audio, genesys.write("ping"), genesys.write("close", reason="end")]

    async def theirs() -> tuple[list[dict[str, Any]], list[Frame | None]]:
        serializer = GenesysAudioHookSerializer(GenesysAudioHookSerializer.InputParams(channel=AudioHookChannel.BOTH))
        await serializer.setup(Setup())  # type: ignore[arg-type]
        frames = [await serializer.deserialize(one) for one in told]
        answers = [frame for frame in frames if isinstance(frame, OutputTransportMessageUrgentFrame)]
        written = [await serializer.serialize(frame) for frame in answers]
        return [json.loads(one) for one in written if one is not None], frames

    answers, frames = asyncio.run(theirs())
    ours: list[dict[str, Any]] = []
    with (
        gate(AudioHookSource, unsigned=True) as made,
        client.connect(f"ws://127.0.0.1:{made.port}/", compression=None) as socket,
    ):
        for one in told:
            socket.send(one)
            if isinstance(one, str):
                ours.append(json.loads(socket.recv(timeout=5.0)))
        socket.close()
        writers = [made.ended("c1", channel) for channel in ("external", "internal")]
        assert not made.faults
    for mine, other in zip(ours, answers, strict=True):
        common = {"version", "type", "seq", "clientseq", "id"}
        assert {key: mine[key] for key in common} == {key: other[key] for key in common}
    assert [one["type"] for one in ours] == ["opened", "pong", "closed"]
    assert ours[0]["parameters"] == answers[0]["parameters"]
    heard = [resample(writer.samples, 16_000, RATE_HZ)[: len(external)] for writer in writers]
    assert_near(heard[0], external)
    assert_near(heard[1], internal)
    assert_near(heard_of(frames), external)


def test_audio_that_pipecat_writes_for_genesys_is_heard_by_the_gateway() -> None:
    said, genesys = tones(0.5), Genesys()
    media = {"type": "audio", "format": "PCMU", "channels": ["external"], "rate": RATE_HZ}
    begin = genesys.write("open", conversationId="c2", participant={"id": "p1"}, media=[media])

    async def written() -> list[str | bytes | None]:
        serializer = GenesysAudioHookSerializer()
        await serializer.setup(Setup())  # type: ignore[arg-type]
        await serializer.deserialize(begin)
        sound = pcm(said)
        parts = [sound[at : at + 3_200] for at in range(0, len(sound), 3_200)]
        return [await serializer.serialize(OutputAudioRawFrame(part, RATE_HZ, 1)) for part in parts]

    with gate(AudioHookSource, unsigned=True) as made, client.connect(f"ws://127.0.0.1:{made.port}/") as socket:
        socket.send(begin)
        assert json.loads(socket.recv(timeout=5.0))["type"] == "opened"
        for part in asyncio.run(written()):
            assert isinstance(part, bytes)
            socket.send(part)
        socket.send(genesys.write("close", reason="end"))
        assert json.loads(socket.recv(timeout=5.0))["type"] == "closed"
        socket.close()
        writer = made.ended("c2", "external")
        assert not made.faults
    assert_near(resample(writer.samples, 16_000, RATE_HZ)[: len(pcm(said)) // 2], resample(said, 16_000, RATE_HZ))
