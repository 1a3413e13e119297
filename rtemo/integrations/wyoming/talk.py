"""Talk: one Wyoming client: what it asks for, and what it is told."""

import asyncio
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray
from wyoming.asr import Transcript as SaidEvent
from wyoming.audio import AudioChunk, AudioFormat, AudioStart, AudioStop
from wyoming.error import Error
from wyoming.event import Event as WyomingEvent
from wyoming.info import AsrModel, AsrProgram, Attribution, Info, MicProgram
from wyoming.vad import VoiceStarted, VoiceStopped

from rtemo.api import Emotion, Event, SpeechEnd, SpeechStart, StreamEnd, Transcript
from rtemo.integrations.wyoming.options import WyomingOptions
from rtemo.integrations.wyoming.wire import encode_event
from rtemo.io.gateways.connection import Connection
from rtemo.io.pcm import encode_pcm

RATE_HZ, WIDTH = 16_000, 2
_CHUNK_SAMPLES = 320
_MOST_WAITING_BYTES = 1 << 20  # for a client that does not read; then it misses what is no answer
_ATTRIBUTION = Attribution(name="rtemo", url="")
_LANGUAGES = ("en", "de", "fr", "es", "it", "nl", "pl", "pt")


def info_of(options: WyomingOptions, version: str) -> Info:
    """Describe what the server offers: speech recognition and enhanced audio, as far as they are switched on.

    The protocol has no list for voice activity detectors; a client that sends audio is told of it all the same.
    """
    facts: dict[str, Any] = {"name": "rtemo", "attribution": _ATTRIBUTION, "installed": True, "version": version}
    about = "What is said, with the mood of the voice as context of the transcript."
    model = AsrModel(description="As the chain of the server has it.", languages=list(_LANGUAGES), **facts)
    words = AsrProgram(
        description=about,
        models=[model],
        requires_external_vad=False,
        prefers_auto_gain_enabled=False,
        prefers_noise_reduction_enabled=False,  # both take away what tells a mood
        **facts,
    )
    mic = MicProgram(
        description="The audio that is sent, its noise taken off.", mic_format=AudioFormat(RATE_HZ, WIDTH, 1), **facts
    )
    return Info(asr=[words] if options.words else [], mic=[mic] if options.enhanced else [])


class Talk(Connection):
    """A client on a TCP connection; everything here is called on the thread of the source.

    Args:
        writer: Its sending side.
        options: What is sent.

    Attributes:
        call: Name of the stream that it has open; empty between two.
        rate_hz: Of the audio of that stream.
        next_sample: How much of it has come.
        count_chunks: In how many pieces.
    """

    def __init__(self, writer: asyncio.StreamWriter, options: WyomingOptions) -> None:
        host, port = (writer.get_extra_info("peername") or ("?", 0))[:2]
        super().__init__(host, port)
        self.call = ""
        self.rate_hz = self.next_sample = self.count_chunks = 0
        self._writer = writer
        self._options = options
        self._said: list[str] = []
        self._language = ""
        self._mood: Emotion | None = None
        self._wants_words = False
        self._held: list[NDArray[np.float32]] = []

    def begin(self, call: str, rate_hz: int) -> None:
        """Take note of a new stream."""
        self.call, self.rate_hz = call, rate_hz
        self.next_sample = self.count_chunks = 0
        self._said, self._mood, self._held = [], None, []
        if self._options.enhanced:
            self.send(AudioStart(RATE_HZ, WIDTH, 1, timestamp=0).event())

    def ask_for_words(self) -> None:
        """Take note that the client wants to know what is said in the stream that follows."""
        self._wants_words = True

    def refuse(self, text: str, code: str) -> None:
        """Tell the client what cannot be done."""
        self.send(Error(text=text, code=code).event())

    def tell(self, event: Event) -> None:
        """Tell the client what was found out about its stream."""
        data = event.data
        if isinstance(data, SpeechStart):
            self.send(VoiceStarted(timestamp=_ms(event.start_s)).event(), is_answer=True)
        elif isinstance(data, SpeechEnd):
            self.send(VoiceStopped(timestamp=_ms(event.end_s)).event(), is_answer=True)
        elif isinstance(data, Transcript) and data.is_final:
            self._said.append(data.text)
            self._language = data.language
        elif isinstance(data, StreamEnd):
            self._finish()
        if isinstance(data, Emotion):
            self._mood = data
        if event.kind in self._options.findings:
            facts = {"start": _ms(event.start_s), "end": _ms(event.end_s), **msgspec.to_builtins(data)}
            facts.pop("kind", None)
            self.send(WyomingEvent(type=f"rtemo-{event.kind}", data=facts))

    def hear(self, start_sample: int, samples: NDArray[np.float32]) -> None:
        """Take processed audio, float32 [k] at 16 kHz, for the client."""
        self._held.append(samples)
        count = sum(len(part) for part in self._held)
        if count >= _CHUNK_SAMPLES:
            end_s = (start_sample + len(samples)) / RATE_HZ
            self._send_held(_ms(end_s - count / RATE_HZ))

    def send(self, event: WyomingEvent, *, is_answer: bool = False) -> None:
        """Send an event; a client that does not read misses those that are no answer."""
        transport = self._writer.transport
        if transport.is_closing() or (not is_answer and transport.get_write_buffer_size() > _MOST_WAITING_BYTES):
            return
        self._writer.write(encode_event(event))

    async def hang_up(self, reason: str, is_broken: bool) -> None:
        """Close it; see `Connection.hang_up`."""
        if is_broken:
            self.refuse(reason, "refused")
        self._writer.close()

    def _finish(self) -> None:
        if self._options.enhanced:
            if self._held:
                self._send_held(None)
            self.send(AudioStop().event(), is_answer=True)
        if self._wants_words:
            self._wants_words = False
            mood = self._mood
            context = {} if mood is None else {"rtemo": msgspec.to_builtins(mood)}
            text = " ".join(part for part in self._said if part)
            said = SaidEvent(text=text, language=self._language or None, context=context or None)
            self.send(said.event(), is_answer=True)
        self.call = ""

    def _send_held(self, start_ms: int | None) -> None:
        audio = encode_pcm(np.concatenate(self._held), "s16le")
        self._held = []
        self.send(AudioChunk(RATE_HZ, WIDTH, 1, audio=audio, timestamp=start_ms).event())


def _ms(time_s: float) -> int:
    return round(1000 * time_s)
