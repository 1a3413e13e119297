"""VoiceSource: hears events, makes answers on a thread of its own, and speaks them as streams of the engine."""

import contextlib
import logging
import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from rtemo.answering.options import VoiceOptions
from rtemo.answering.rule import Rule, Turn, load_rule, manner_for
from rtemo.api import (
    Challenge,
    Emotion,
    Event,
    RtemoError,
    SpeechStart,
    StreamDesk,
    StreamStart,
    StreamWriter,
    Transcript,
)
from rtemo.voice.errors import VoiceError

_LOG = logging.getLogger("rtemo.answering")
_AHEAD_S = 0.05
_POLL_S = 0.01
_JOIN_S = 0.5
_MOST_WAITING = 8

Speaker = Callable[[str, str], Any]
"""Makes an iterator of sounds, float32 [k] at 16 kHz, of a text and the emotion that it answers."""


class _Phrase:
    """One answer: parts of sound as they are made."""

    def __init__(self, turn: Turn, text: str) -> None:
        self.turn = turn
        self.text = text
        self.parts: deque[NDArray[np.float32]] = deque()
        self.is_made = False
        self.is_broken_off = False
        self.writer: StreamWriter | None = None
        self.begun_s = 0.0
        self.written_samples = 0


class VoiceSource:
    """A voice that answers turns, each answer a stream of its own in the call of whom it answers.

    It is two ends of one connection: what the session publishes it hears (`publisher`), and what it says enters the
    engine as audio, from where loudspeaker, ZeroMQ feed and telephone gateways (`sources.NAME.assistant_role`) take it.
    A turn is answered when its transcript is final, or, where nobody writes words down, when its emotion is; what a
    doubtful voice should be asked (`challenge`) is asked. In a call one answer is said after the other. When somebody
    whom it answers begins to speak it falls silent: no more than 50 ms of an answer are in hand. The tone follows the
    mood of the turn.

    Args:
        options: Model, voice, rule.
        speaker: What makes sound of text, for tests; the model of the options when None.
    """

    name = "voice"
    is_local = True
    options_type: ClassVar[type[VoiceOptions]] = VoiceOptions

    def __init__(self, options: VoiceOptions | None = None, speaker: Speaker | None = None) -> None:
        self._options = options or VoiceOptions()
        self._rule: Rule = load_rule(self._options.rule, self._options.answers)
        self._speaker = speaker
        self.publisher = _Ears(self)
        self._waiting: queue.Queue[_Phrase | None] = queue.Queue(_MOST_WAITING)
        self._saying: list[_Phrase] = []
        self._lock = threading.Lock()
        self._ours: set[tuple[str, str]] = set()
        self._moods: dict[tuple[str, str], Emotion] = {}
        self._has_words = False
        self._closing = threading.Event()
        self._thread: threading.Thread | None = None
        self._count = 0

    def open(self, desk: StreamDesk) -> None:
        """Load the model.

        Raises:
            RtemoError: It is not installed, or the session freewheels.
        """
        if not desk.is_live:
            raise VoiceError("a voice answers in real time, but this session freewheels", "run it live")
        self._desk = desk
        if self._speaker is None:
            self._speaker = _load_speaker(self._options)
        self._thread = threading.Thread(target=self._work, name="rtemo-voice", daemon=True)
        self._thread.start()

    def pump(self) -> float | None:
        """Write what is due; see `rtemo.api.Source`."""
        with self._lock:
            phrases = list(self._saying)
        speaking: set[str] = set()
        for phrase in phrases:
            if phrase.turn.call in speaking and not phrase.is_broken_off:
                continue  # two answers at once are understood by nobody
            if self._write(phrase):
                with self._lock:
                    self._saying.remove(phrase)
            else:
                speaking.add(phrase.turn.call)
        return _POLL_S

    def close(self) -> None:
        """Fall silent and stop making answers."""
        if self._closing.is_set():
            return
        self._closing.set()
        with contextlib.suppress(queue.Full):
            self._waiting.put_nowait(None)
        with self._lock:
            phrases, self._saying = self._saying, []
        for phrase in phrases:
            phrase.is_broken_off = True
            if phrase.writer is not None:
                phrase.writer.end("stopped")
        if self._thread is not None and self._thread.ident is not None:
            self._thread.join(_JOIN_S)

    def hear(self, event: Event) -> None:
        """Take one event of the session. Publish thread."""
        key = (event.call, event.channel)
        data = event.data
        if isinstance(data, StreamStart):
            if data.role == self._options.role:
                self._ours.add(key)
            return
        if key in self._ours or not event.call:
            return
        if isinstance(data, SpeechStart):
            self._break_off(event.call)
        elif isinstance(data, Emotion) and data.is_final:
            self._moods[key] = data
            if not self._has_words:
                self._answer(key, "")
        elif isinstance(data, Transcript) and data.is_final:
            self._has_words = True
            self._answer(key, data.text)
        elif isinstance(data, Challenge) and data.state == "asked":
            self._say(Turn(call=event.call, channel=event.channel), data.ask)

    def _answer(self, key: tuple[str, str], text: str) -> None:
        mood = self._moods.pop(key, None)
        facts = {"emotion": mood.label, "arousal": mood.arousal, "valence": mood.valence} if mood is not None else {}
        turn = Turn(call=key[0], channel=key[1], text=text, **facts)  # type: ignore[arg-type]
        try:
            answer = self._rule(turn)
        except Exception as error:  # a stranger's rule does not take the session along
            _LOG.warning("the rule of the answering voice has failed (%s: %s)", type(error).__name__, error)
            return
        if answer.strip():
            self._say(turn, answer)

    def _say(self, turn: Turn, answer: str) -> None:
        try:
            self._waiting.put_nowait(_Phrase(turn, answer))
        except queue.Full:
            _LOG.warning("an answer was dropped: %d are waiting to be said", _MOST_WAITING)

    def _break_off(self, call: str) -> None:
        with self._lock:
            for phrase in self._saying:
                if phrase.turn.call == call:
                    phrase.is_broken_off = True

    def _work(self) -> None:
        """Make sound of answers, one after the other."""
        assert self._speaker is not None
        while not self._closing.is_set():
            phrase = self._waiting.get()
            if phrase is None:
                return
            with self._lock:
                self._saying.append(phrase)
            try:
                for part in self._speaker(phrase.text, phrase.turn.emotion):
                    if phrase.is_broken_off or self._closing.is_set():
                        break
                    phrase.parts.append(part)
            except RtemoError as error:
                _LOG.warning("an answer cannot be said: %s", error)
            phrase.is_made = True

    def _write(self, phrase: _Phrase) -> bool:
        """Write what is due of a phrase; tells whether it is over."""
        if phrase.is_broken_off:
            if phrase.writer is not None:
                phrase.writer.end("interrupted")
            return True
        now_s = time.monotonic()
        if phrase.writer is None:
            if not phrase.parts:
                return phrase.is_made
            self._count += 1
            channel = f"{self._options.channel}-{self._count}"
            self._ours.add((phrase.turn.call, channel))
            try:
                phrase.writer = self._desk.open_stream(
                    phrase.turn.call, channel, source=f"voice:{self._options.bundle}", role=self._options.role
                )
            except RtemoError as error:
                _LOG.warning("an answer cannot be said: %s", error)
                phrase.is_broken_off = True
                return True
            phrase.begun_s = now_s
        rate_hz = self._desk.format.sample_rate_hz
        due = round((now_s - phrase.begun_s + _AHEAD_S) * rate_hz) - phrase.written_samples
        while due > 0 and phrase.parts:
            part = phrase.parts.popleft()
            phrase.writer.write(part[:due])
            phrase.written_samples += min(due, len(part))
            if len(part) > due:
                phrase.parts.appendleft(part[due:])
            due -= len(part)
        if phrase.parts or not phrase.is_made:
            return False
        phrase.writer.end("end")
        return True


class _Ears:
    """The end of a voice that hears: a publisher that sends nothing."""

    name = "voice"

    def __init__(self, source: VoiceSource) -> None:
        self._source = source

    def open(self) -> None:
        """Nothing has to be opened."""

    def publish(self, events: Sequence[Event]) -> None:
        """Hear events in order."""
        for event in events:
            self._source.hear(event)

    def tick(self) -> None:
        """Nothing is periodic."""

    def close(self) -> None:
        """Nothing has to be closed."""


def _load_speaker(options: VoiceOptions) -> Speaker:
    from rtemo.runtime import ModelStore
    from rtemo.voice.service import VoiceService
    from rtemo.voice.style import read_style

    voice = ModelStore().voice(options.bundle)
    service = VoiceService(voice)
    style = read_style(options.voice or next(iter(voice.voices)), voice.voices, voice.card.name)

    def speak(text: str, emotion: str) -> Any:
        parts = service.stream(text, style, language=options.language, manner=manner_for(emotion))
        return (part.samples for part in parts if part.samples.size)

    return speak
