"""Voice: what is known of the party of one stream, and its turn that waits for words to be said about it."""

from collections import deque

from rtemo.api import BlockEvent, Cue, Emotion, Prosody, SpeechEnd, StreamFacts, Transcript
from rtemo.cues.baseline import Baseline
from rtemo.cues.language import LANGUAGES
from rtemo.cues.reading import read
from rtemo.cues.turn import UNSURE, Reading, Turn, words_of
from rtemo_plugins.rationale.record import Record, Second

_SECONDS = 64  # of prosody that are kept: of a longer turn rate and tilt are those of its last minute


class Ended:
    """A turn that is over."""

    def __init__(self, record: Record, cues: tuple[Cue, ...], due_sample: int) -> None:
        self.start_sample = record.start_sample
        self.end_sample = record.end_sample
        self.cues = cues
        self.due_sample = due_sample
        """From here on nothing more is waited for."""
        self.emotion: Emotion | None = None
        self.transcript: Transcript | None = None
        self.is_told = False

    def spans(self, event: BlockEvent) -> bool:
        """Whether an event is about it."""
        return event.start_sample < self.end_sample and event.end_sample > self.start_sample


class Voice:
    """One stream.

    Args:
        language: What words are read in where the transcript does not say; rationales are written in it.
        cites_words: Whether words are looked at.
    """

    def __init__(self, language: str, cites_words: bool) -> None:
        self.stream: StreamFacts | None = None
        self.baseline = Baseline()
        self.seconds: deque[Second] = deque(maxlen=_SECONDS)
        self.ended: Ended | None = None
        self.told = -1, ""
        self.told_label = ""
        self.told_sample = 0
        self._language = language
        self._cites_words = cites_words
        self._emotion: BlockEvent | None = None
        self._transcript: BlockEvent | None = None
        self._span: tuple[int, int] | None = None
        self._has_transcripts = False

    def hear(self, event: BlockEvent) -> None:
        """Take in what an earlier plugin said of the stream."""
        data = event.data
        if isinstance(data, Prosody):
            self.seconds.append(Second(data, event.start_sample, event.end_sample))
        elif isinstance(data, SpeechEnd):
            self._span = event.start_sample, event.end_sample
        elif isinstance(data, Emotion):
            self._emotion = event
            self._match(event)
        elif isinstance(data, Transcript) and self._cites_words:
            self._transcript = event
            self._has_transcripts = True
            self._match(event)

    def end(self, record: Record, patience_samples: int) -> Ended:
        """Close the turn; what was heard of it already counts. The one before is forgotten."""
        cues = record.cues(self.baseline)
        record.remember(self.baseline)
        self.ended = ended = Ended(record, cues, record.end_sample + patience_samples)
        if self._span is not None and self._span[0] < ended.end_sample and self._span[1] > ended.start_sample:
            ended.start_sample, ended.end_sample = self._span
        for event in (self._emotion, self._transcript):
            if event is not None:
                self._match(event)
        return ended

    @property
    def is_ready(self) -> bool:
        """Whether all that may be said of the turn that is over has been said."""
        ended = self.ended
        if ended is None or ended.emotion is None or not ended.emotion.is_final:
            return False
        if ended.emotion.trigger == "span":  # of a long turn its first part was closed before
            return False
        return not self._has_transcripts or (ended.transcript is not None and ended.transcript.is_final)

    def turn(self, ended: Ended) -> Turn:
        """All that is known of the turn that is over."""
        return self._turn(ended.start_sample, ended.end_sample, ended.cues, ended.emotion, ended.transcript)

    def running(self, record: Record) -> Turn:
        """All that is known of the turn that goes on."""
        emotion = transcript = None
        for event in (self._emotion, self._transcript):
            if event is None or event.end_sample <= record.start_sample:
                continue
            if isinstance(event.data, Emotion):
                emotion = event.data
            elif isinstance(event.data, Transcript):
                transcript = event.data
        return self._turn(record.start_sample, record.end_sample, record.cues(self.baseline), emotion, transcript)

    def _match(self, event: BlockEvent) -> None:
        ended = self.ended
        if ended is None or not ended.spans(event):
            return
        if isinstance(event.data, Emotion):
            ended.emotion = event.data
        elif isinstance(event.data, Transcript):
            ended.transcript = event.data

    def _turn(
        self, start: int, end: int, cues: tuple[Cue, ...], emotion: Emotion | None, transcript: Transcript | None
    ) -> Turn:
        words = () if transcript is None else words_of(transcript.text, transcript.words, start, end)
        code = self._language if transcript is None or not transcript.language else transcript.language[:2]
        reading = read(words, code) if code in LANGUAGES else Reading("")
        label = ""
        if emotion is not None:
            label = emotion.label if emotion.probabilities or emotion.label != UNSURE else ""
        return Turn(
            start_sample=start,
            end_sample=end,
            cues=cues,
            label=label,
            probabilities=emotion.probabilities if emotion is not None else {},
            words=words,
            reading=reading,
        )
