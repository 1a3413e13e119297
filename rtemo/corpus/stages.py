"""Stages: what each finds out about a unit, as its ledger keeps it."""

from pathlib import Path

import msgspec

from rtemo.corpus.ledger import Entry, Ledger
from rtemo.corpus.recordings import Recording

NO_SPEECH = "no speech"
MUSIC = "music"
NOISE = "noise"
SEVERAL_VOICES = "several voices"
TWICE = "the same speech twice"
FEW_WORDS = "too few words"
OTHER_LANGUAGE = "another language"
NOT_RATED = "no recogniser spoke of it"
NOT_RETRIEVED = "not retrieved"


class Diarised(Entry, frozen=True, kw_only=True):
    """Who speaks when in a recording.

    Attributes:
        pieces: (first sample, one behind the last, voice) of stretches of one voice without a pause.
        voices: Mean embedding of each voice, of length 1.
        seconds: How long each speaks.
        pitch_hz: Lower end of the pitch of each; 0 where unknown.
    """

    pieces: list[tuple[int, int, int]] = msgspec.field(default_factory=list)
    voices: list[list[float]] = msgspec.field(default_factory=list)
    seconds: list[float] = msgspec.field(default_factory=list)
    pitch_hz: list[float] = msgspec.field(default_factory=list)


class Linked(Entry, frozen=True, kw_only=True):
    """Which speaker of the corpus each voice of a recording is, from 1."""

    speakers: list[int] = msgspec.field(default_factory=list)


class Cut(Entry, frozen=True, kw_only=True):
    """The turns of a recording, and the pieces that are in none.

    Attributes:
        turns: (first sample, one behind the last, voice, pieces joined).
        lost: (first sample, one behind the last, reason).
    """

    turns: list[tuple[int, int, int, int]] = msgspec.field(default_factory=list)
    lost: list[tuple[int, int, str]] = msgspec.field(default_factory=list)


class Gated(Entry, frozen=True, kw_only=True):
    """What the gates found out about a turn.

    Attributes:
        start: First sample in the recording.
        end: One behind the last.
        speaker: Number of the speaker in the corpus.
        music: Share that is music.
        snr_db: Estimated ratio of signal to noise.
        apart: How far the voices of its halves lie apart.
        changed: How much its sound changes at one place.
        words: Fingerprint, words of 32 bits.
        twin: The turn that it repeats.
    """

    start: int
    end: int
    speaker: int
    music: float = 0.0
    snr_db: float = 0.0
    apart: float = 0.0
    changed: float = 0.0
    words: bytes = b""
    twin: str = ""

    @property
    def recording(self) -> str:
        """The recording that it is from."""
        return self.unit.partition("_")[0]


class Written(Entry, frozen=True, kw_only=True):
    """What is said in a turn."""

    text: str = ""
    language: str = ""


class Opinion(Entry, frozen=True, kw_only=True):
    """What one recogniser says of a turn.

    Attributes:
        probabilities: Emotion → probability; empty of one that only scores queries.
        arousal: -1 to 1.
        valence: -1 to 1.
        queries: Query → score.
    """

    probabilities: dict[str, float] = msgspec.field(default_factory=dict)
    arousal: float = 0.0
    valence: float = 0.0
    queries: dict[str, float] = msgspec.field(default_factory=dict)


class Books:
    """The ledgers of a corpus.

    Args:
        folder: Of the corpus.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        place = folder / "ledgers"
        self.recordings = Ledger(place / "recordings.jsonl", Recording)
        self.diarised = Ledger(place / "diarised.jsonl", Diarised)
        self.linked = Ledger(place / "linked.jsonl", Linked)
        self.cut = Ledger(place / "cut.jsonl", Cut)
        self.gated = Ledger(place / "gated.jsonl", Gated)
        self.written = Ledger(place / "written.jsonl", Written)
        self.opinions = {path.stem: Ledger(path, Opinion) for path in sorted((place / "opinions").glob("*.jsonl"))}

    def opinions_of(self, name: str) -> Ledger[Opinion]:
        """The ledger of one recogniser."""
        if name not in self.opinions:
            self.opinions[name] = Ledger(self.folder / "ledgers" / "opinions" / f"{name}.jsonl", Opinion)
        return self.opinions[name]

    @property
    def turns(self) -> list[Gated]:
        """Turns that passed the gates, and the check of words where there was one."""
        return [turn for turn in self.gated.kept if (said := self.written.get(turn.unit)) is None or not said.dropped]

    def clip_path(self, unit: str) -> Path:
        """Where the audio of a turn lies."""
        return self.folder / "clips" / f"{unit}.wav"

    def pitch_hz(self) -> dict[int, float]:
        """Speaker → lower end of the pitch, weighted by how long each of the voices speaks; 0 where unknown."""
        sums: dict[int, list[float]] = {}
        for entry in self.linked.kept:
            heard = self.diarised[entry.unit]
            for speaker, seconds, pitch_hz in zip(entry.speakers, heard.seconds, heard.pitch_hz, strict=True):
                total = sums.setdefault(speaker, [0.0, 0.0])
                if pitch_hz > 0:
                    total[0] += seconds * pitch_hz
                    total[1] += seconds
        return {speaker: total / seconds if seconds else 0.0 for speaker, (total, seconds) in sums.items()}


def encode(value: object) -> bytes:
    """JSON for a file that people may read."""
    return msgspec.json.format(msgspec.json.encode(value), indent=1) + b"\n"
