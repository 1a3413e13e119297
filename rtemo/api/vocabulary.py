"""Vocabulary: what plugins say about speech in words that several of them, views and reports share.

A plugin that finds the same thing says it with the same type, so that whoever reads it need not know who found it. What
is not here a plugin defines itself; see docs/plugins.md. Two class variables tell the engine what it must know of a
type: `state_key`, the field that tells the last values of one kind apart, and `trust_field`, the field that becomes
false while a plugin that guards the stream doubts the voice.
"""

from collections.abc import Mapping
from typing import ClassVar

import msgspec

from rtemo.api.challenge import Challenge
from rtemo.api.dialogue import DeadAir, Interruption, Talk
from rtemo.api.events import ENGINE_EVENTS, Payload, kind_of

EMOTIONS = ("neutral", "calm", "happy", "sad", "angry", "fear", "disgust", "surprise")
"""The eight emotion labels, in the order of every posterior array."""


class SpeechStart(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="speech_start"):
    """Speech begins at `start_sample` of the event."""

    confidence: float | None = None


class SpeechEnd(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="speech_end"):
    """A stretch of speech has ended at `end_sample`; the event spans all of it."""

    speech_s: float
    reason: str = "silence"
    """`silence`, `stream_end`, `frames_stopped` or `max_duration`."""


class Emotion(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="emotion"):
    """Perceived vocal expression over the speech of the current turn, not an inner state."""

    trust_field: ClassVar[str] = "is_trusted"

    label: str
    """Most probable emotion, or `unsure` when the confidence is below the threshold."""
    probabilities: dict[str, float]
    arousal: float
    """-1 (calm) to 1 (excited)."""
    valence: float
    """-1 (negative) to 1 (positive)."""
    confidence: float
    """Calibrated probability that the most probable label is right."""
    speech_s: float
    """Speech the estimate rests on."""
    trigger: str
    """`first`, `refresh`, `turn_end` or `stream_end`."""
    is_final: bool = False
    is_trusted: bool = True
    """False while a plugin that guards the stream holds the voice for synthetic."""


class Spoof(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="spoof"):
    """Risk that the voice is synthetic: a signal for a person, not an identity verdict."""

    score: float
    """Log-odds that the voice is synthetic."""
    verdict: str
    """`bona_fide`, `spoof` or `unknown`."""
    contributions: dict[str, float] = {}
    """Expert → its share of the score."""
    speech_s: float = 0.0
    """Speech of the stream so far."""
    trigger: str = ""
    """`first`, `refresh`, `change`, `alarm` or `stream_end`."""
    is_alarmed: bool = False
    """Whether an alarm over the call stands: evidence has gathered over many scores."""

    @property
    def is_decided(self) -> bool:
        """Whether there is more to say than that nobody knows."""
        return self.is_alarmed or self.verdict != "unknown"


class Rank(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="rank"):
    """Ordinal position of the present moment, per attribute: within the call, and among voices at large."""

    state_key: ClassVar[str] = "attribute"

    attribute: str
    """`arousal`, `valence`, `intensity` or another that the plugin's bundle knows."""
    score: float
    """Over the last seconds of speech; 0 is the mean of the training clips, 1 one standard deviation above it."""
    percentile: float | None = None
    """Share of this call's own past, in percent, that lies below; null while there is too little of it."""
    trend_per_min: float | None = None
    """Slope of the score over the last half minute of speech, per minute of speech."""
    p_rising: float | None = None
    """Probability that the present moment lies above what was before it."""
    spread: float | None = None
    """Standard deviation of the score's error."""
    anchor_percentile: float | None = None
    """Share of the bundle's training clips, in percent, that lies below."""
    change: float | None = None
    """By how much the score has changed, where a change is reported (`trigger` is `change`)."""
    speech_s: float = 0.0
    """Speech of the stream so far."""
    trigger: str = ""
    """`first`, `refresh`, `change` or `stream_end`."""


class BoardEntry(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One stream on the board."""

    call: str
    channel: str
    place: int
    """1 needs a person most; streams that cannot be told apart share a place."""
    urgency: float
    """Weighted sum of the scores, each taken half against all voices and half against the call's own past."""
    spread: float
    """Standard deviation of its error."""
    percentiles: dict[str, float] = {}
    """Attribute → share of the bundle's training clips, in percent, that lies below the score."""
    trend_per_min: float | None = None
    """Slope of the weighted sum of the scores, per minute of speech."""
    silent_s: float = 0.0
    """Time since the stream last spoke."""


class Board(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="board"):
    """Which calls need a person first, over all streams of the engine; never about people at work."""

    entries: tuple[BoardEntry, ...]
    """The first places, in order."""
    ranked: int
    """Streams that were compared."""
    unsure: int
    """Streams that were not: too little speech so far, or none for long."""


class Alert(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="alert"):
    """A rule of the configuration has been met on this stream."""

    rule: str
    """Its name."""
    values: dict[str, float] = {}
    """What its conditions looked at, as `valence.trend_per_min`, and what they found."""
    speech_s: float = 0.0
    """Speech of the stream so far."""


class Tone(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="tone"):
    """A sound of the telephone line, or music: nobody speaks in it."""

    name: str
    """`dtmf`, `dial`, `ringback`, `busy`, `congestion`, `facsimile`, `music`, or `tone` for another one."""
    digit: str = ""
    """Of `dtmf`: `0` to `9`, `*`, `#`, `A` to `D`."""
    frequencies_hz: tuple[float, ...] = ()
    """What it consists of; empty for music."""


class Quality(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="quality"):
    """Something is wrong with the sound of a stream, so that little or nothing can be heard in it."""

    problem: str
    """`silent`, `faint`, `clipped`, `scale`, `no_speech`, `offset` or `broken`."""
    detail: str
    """What was found and what it may be, for a person."""
    rms_dbfs: float | None = None
    """Level over the event's span."""
    peak_dbfs: float | None = None
    clipped_ratio: float | None = None
    """Share of samples at full scale."""


class Level(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="level"):
    """Level over the event's span."""

    rms_dbfs: float
    peak_dbfs: float
    clipped_ratio: float
    """Share of samples at full scale."""
    noise_dbfs: float | None = None
    """Estimated background level."""


class Prosody(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="prosody"):
    """Prosody over one second of speech."""

    pitch_hz: float | None
    """Median fundamental frequency of voiced frames; null without voiced frames."""
    pitch_range_semitones: float | None
    """10th to 90th percentile of pitch."""
    voiced_ratio: float
    rate_per_s: float
    """Syllable-like energy peaks per second of speech: a proxy for speech rate."""
    tilt_db_per_octave: float
    speech_s: float


class Word(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One word of a transcript and where it stands in the stream."""

    text: str
    start_sample: int
    end_sample: int
    probability: float | None = None
    """How sure the recogniser is of it, 0 to 1."""


class Transcript(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="transcript"):
    """What was said, in words, in the turn that the event spans; a later one of the same turn replaces it."""

    text: str
    """All words of the turn so far; empty where speech held no word that the recogniser is sure of."""
    stable_chars: int = 0
    """So many characters of the text will not change any more; all of them once the turn is over."""
    is_final: bool = False
    """Whether the turn is over."""
    language: str = ""
    """Two or three letters (ISO 639), as found or as configured."""
    language_probability: float | None = None
    words: tuple[Word, ...] = ()
    """With their times, where the recogniser gives them."""
    is_redacted: bool = False
    """Whether digits were replaced."""
    trigger: str = ""
    """`stride`, `turn_end` or `stream_end`."""


class Cue(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One thing measured of the voice over a turn, and how far it is from what is usual."""

    name: str
    """`pitch`, `range`, `level`, `rate`, `pauses` or `tilt`."""
    value: float
    unit: str
    """`hz`, `semitones`, `dbfs`, `per_s`, `ratio` or `db_per_octave`."""
    z: float
    """Standard deviations above what was expected."""
    change: float
    """Difference to what was expected; of pitch in semitones, of level in dB, else in the unit of the value."""
    reference: str
    """`self`: the turns of this stream before; `prior`: voices at large, while there are too few of them."""
    start_sample: int
    """Where it shows most: the stretch of the turn that differs most in the direction of `z`."""
    end_sample: int


class Claim(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One thing that a rationale says, and whether what was measured and heard confirms it."""

    about: str
    """Name of a cue, `label` (how it sounds), `text` (what the words express), `word` (a quotation), `words` (whether
    words and voice agree), `cues` (all at once), or `other` (what nobody measures)."""
    says: str
    """`high`, `low`, `usual`, `not_high`, `not_low`, an emotion, the quotation, `fit` or `disagree`."""
    is_confirmed: bool
    start_sample: int
    """What it rests on, in samples of the stream."""
    end_sample: int


class Rationale(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="rationale", omit_defaults=True):
    """Why a turn sounds as it is said to, in words that rest on measurements; a later one of the turn replaces it."""

    trust_field: ClassVar[str] = "is_trusted"

    label: str
    """How the voice sounds: an emotion, `unsure`, or empty where nobody estimated it."""
    text: str
    """One or two sentences."""
    language: str
    """Two letters (ISO 639-1)."""
    verified_share: float
    """Share of the claims that are confirmed; 1.0 of what the template writes."""
    claims: tuple[Claim, ...] = ()
    cues: tuple[Cue, ...] = ()
    confidence: float = 0.0
    """Of the label."""
    text_label: str = ""
    """What the words express by themselves: an emotion, `neutral`, or empty without words."""
    is_disagreeing: bool = False
    """Whether words and voice point in opposite directions."""
    writer: str = "template"
    """`template`, `decoder` or `teacher`."""
    trigger: str = ""
    """`turn_end`, `change` (within the turn), `words` (they came later), `rewritten` or `stream_end`."""
    is_final: bool = False
    """Whether the turn is over."""
    is_trusted: bool = True
    """False while a plugin that guards the stream holds the voice for synthetic."""


class EndOfTurn(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="end_of_turn"):
    """How likely it is that a turn is over, after so much silence; told again as the silence grows.

    The event spans the turn so far, from its first sample to its last voice.
    """

    p_end: float
    """Probability that the speaker does not go on."""
    silence_s: float
    """Time without voice so far."""
    is_over: bool = False
    """Whether the turn is held to be over; nothing more is said of it then."""
    is_backchannel: bool = False
    """Whether it was a sign of listening ("mhm") rather than a turn of its own, as far as can be told."""
    rests_on: tuple[str, ...] = ()
    """What was looked at: `silence`, `voice` (its melody and level), `words`, `network`."""


class QueryScore(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="query_score"):
    """How near the voice of a turn is to what somebody has described; perceived expression, not an inner state."""

    state_key: ClassVar[str] = "query"

    query: str
    """As it was asked."""
    score: float
    """Cosine to the query less that to its opposite, or to plain speech where none was given; -2 to 2."""
    z: float | None = None
    """The score against those of this query on this stream so far, in deviations; null while they are few."""
    speech_s: float = 0.0
    """Speech of the turn so far."""
    trigger: str = ""
    """`stride`, `turn_end` or `stream_end`."""
    is_final: bool = False
    """Whether the turn is over."""


class Party(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="party"):
    """Which party of a line that several share spoke, by the voice alone: an estimate, however sure it looks.

    A final one spans a piece of a turn; a later one with the trigger `correction` takes back what was told of its span.
    """

    party: int | None
    """0 is who was heard first; null where it cannot be told."""
    confidence: float
    """Probability that the nearest voice is the right one, told or not."""
    turn: int
    """Counts the turns of the stream from 1; all pieces of one turn have the same."""
    pieces: int = 1
    """In how many pieces the turn is told: more than one where more than one voice was heard in it."""
    speech_s: float = 0.0
    """Length of the piece."""
    known_s: tuple[float, ...] = ()
    """Speech put to each party so far; as many as are known."""
    unsure_s: float = 0.0
    """Speech put to nobody so far."""
    was: int | None = None
    """Of a correction: what was told before."""
    trigger: str = ""
    """`first` or `change` (within a turn that goes on), `span` (of a long one), `turn_end`, `stream_end` or
    `correction`."""
    is_final: bool = False
    """Whether the piece is over; what was told of a turn before its end is replaced by what is told then."""
    is_estimate: bool = True
    """Always true."""


VOCABULARY: tuple[type[msgspec.Struct], ...] = (
    SpeechStart,
    SpeechEnd,
    Emotion,
    Spoof,
    Rank,
    Board,
    Alert,
    Tone,
    Quality,
    Level,
    Prosody,
    Transcript,
    Rationale,
    EndOfTurn,
    QueryScore,
    Party,
    Talk,
    DeadAir,
    Interruption,
    Challenge,
)
"""All of them."""

SHARED_TYPES: Mapping[str, type[Payload]] = {kind_of(cls): cls for cls in (*ENGINE_EVENTS, *VOCABULARY)}
"""Kind → type, of the kinds that mean the same everywhere: those of the engine and of this vocabulary."""
