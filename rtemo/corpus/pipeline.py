"""Pipeline: from decoded recordings to turns that passed the gates, unit by unit, each on disk when done."""

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from rtemo.api import ModelError
from rtemo.corpus import stages
from rtemo.corpus.diarisation import Diariser, Piece
from rtemo.corpus.files import write_samples
from rtemo.corpus.fingerprint import Fingerprints, fingerprint
from rtemo.corpus.models import CorpusModels
from rtemo.corpus.recordings import read_audio
from rtemo.corpus.settings import RATE_HZ, CorpusSettings
from rtemo.corpus.stages import Books, Cut, Diarised, Gated, Linked, Written
from rtemo.corpus.turns import cut_turns
from rtemo.corpus.voices import KnownSpeakers, change_of_sound, distance_of_halves, low_pitch_hz
from rtemo.dsp.amplitude_snr import wada_snr_db
from rtemo.dsp.music import music_share, steadiness

Progress = Callable[[str, int, int], None]
"""Called with the stage, how many units are done, and of how many."""

_PITCH_S = 60.0
_BATCH = 4


class Pipeline:
    """The stages of `rtemo corpus build` that need no engine; what is in a ledger is not done again.

    Args:
        books: Ledgers of the corpus.
        settings: Of the corpus.
        models: Networks.
        on_progress: Told how far it is.
        say: Told in a sentence what a person should know.
    """

    def __init__(
        self,
        books: Books,
        settings: CorpusSettings,
        models: CorpusModels,
        on_progress: Progress = lambda stage, done, total: None,
        say: Callable[[str], None] = lambda line: None,
    ) -> None:
        self._books = books
        self._settings = settings
        self._models = models
        self._on_progress = on_progress
        self._say = say

    def run(self) -> None:
        """Do what is not done yet, stage by stage."""
        self.diarise()
        self.link()
        self.cut()
        self.gate()
        self.write_down()

    def diarise(self) -> None:
        """Find who speaks when, of every recording."""
        books = self._books
        units = [entry.unit for entry in books.recordings.kept]
        for unit in self._pending("diarise", units, books.diarised):
            samples = read_audio(books.folder, unit)
            speech = self._models.finder.find(samples, self._settings.pause_s)
            if not speech:
                books.diarised.add(Diarised(unit=unit, dropped=stages.NO_SPEECH))
                continue
            diariser = Diariser(self._models.embedder, self._settings.same_voice)
            found = diariser.tell(samples, speech)
            by_voice = [[p for p in found.pieces if p.speaker == voice] for voice in range(len(found.voices))]
            books.diarised.add(
                Diarised(
                    unit=unit,
                    pieces=[(piece.start, piece.end, piece.speaker) for piece in found.pieces],
                    voices=[[round(float(value), 5) for value in voice] for voice in found.voices],
                    seconds=[sum(piece.end - piece.start for piece in pieces) / RATE_HZ for pieces in by_voice],
                    pitch_hz=[round(low_pitch_hz(_joined(samples, pieces, _PITCH_S)), 1) for pieces in by_voice],
                )
            )

    def link(self) -> None:
        """Find which voices of different recordings are one speaker, in the order of the recordings."""
        books = self._books
        known = KnownSpeakers(self._settings.same_speaker)
        heard_all = sorted(books.diarised.kept, key=lambda entry: entry.unit)
        for count, heard in enumerate(heard_all):
            self._on_progress("link", count, len(heard_all))
            before = books.linked.get(heard.unit)
            voices = np.array(heard.voices, np.float32)
            numbers = known.place(voices, heard.seconds, None if before is None else before.speakers)
            if before is None:
                books.linked.add(Linked(unit=heard.unit, speakers=numbers))
        self._on_progress("link", len(heard_all), len(heard_all))

    def cut(self) -> None:
        """Cut every recording into turns."""
        books = self._books
        for unit in self._pending("cut", [entry.unit for entry in books.diarised.kept], books.cut):
            turns, lost = cut_turns([Piece(*piece) for piece in books.diarised[unit].pieces], self._settings)
            dropped = "" if turns else "no turn of a usable length"
            told = [(turn.start, turn.end, turn.speaker, turn.pieces) for turn in turns]
            books.cut.add(
                Cut(unit=unit, dropped=dropped, turns=told, lost=[(one.start, one.end, one.reason) for one in lost])
            )

    def gate(self) -> None:
        """Let through the turns of one voice, without music and noise, that are not there already."""
        books = self._books
        known = Fingerprints()
        for turn in books.gated.kept:
            known.add(turn.unit, np.frombuffer(turn.words, np.uint32))
        entries = [entry for entry in books.cut.kept if f"{entry.unit}_{len(entry.turns) - 1:04d}" not in books.gated]
        total = sum(len(entry.turns) for entry in books.cut.kept)
        for entry in entries:
            samples = read_audio(books.folder, entry.unit)
            curve = steadiness(samples)
            speakers = books.linked[entry.unit].speakers
            for number, (start, end, voice, _) in enumerate(entry.turns):
                self._on_progress("gate", len(books.gated), total)
                unit = f"{entry.unit}_{number:04d}"
                if unit in books.gated:
                    continue
                turn = self._judged(unit, (start, end), speakers[voice], samples[start:end], curve, known)
                if not turn.dropped:
                    write_samples(books.clip_path(unit), samples[start:end], RATE_HZ)
                    known.add(unit, np.frombuffer(turn.words, np.uint32))
                books.gated.add(turn)
        self._on_progress("gate", len(books.gated), total)

    def _judged(
        self,
        unit: str,
        place: tuple[int, int],
        speaker: int,
        samples: NDArray[np.float32],
        curve: NDArray[np.float32],
        known: Fingerprints,
    ) -> Gated:
        settings = self._settings
        music = music_share(curve, *place, settings.steady)
        snr_db = wada_snr_db(samples)
        apart, changed, twin, words = 0.0, 0.0, "", b""
        if music > settings.most_music:
            dropped = stages.MUSIC
        elif snr_db < settings.least_snr_db:
            dropped = stages.NOISE
        elif (apart := distance_of_halves(samples, self._models.embedder)) > settings.most_apart or (
            changed := change_of_sound(samples)
        ) > settings.most_changed:
            dropped = stages.SEVERAL_VOICES
        else:
            made = fingerprint(samples)
            twin, words = known.twin_of(made), made.tobytes()
            dropped = stages.TWICE if twin else ""
        return Gated(
            unit=unit,
            dropped=dropped,
            start=place[0],
            end=place[1],
            speaker=speaker,
            music=round(music, 3),
            snr_db=round(snr_db, 1),
            apart=round(apart, 3),
            changed=round(changed, 3),
            words=b"" if dropped else words,
            twin=twin,
        )

    def write_down(self) -> None:
        """Write down what is said in each turn that passed; turns of a few words or another language go no further.

        Without the extra that does it nothing is written, and a line says so.
        """
        books = self._books
        units = [turn.unit for turn in books.gated.kept if turn.unit not in books.written]
        if not units:
            return
        try:
            writer = self._models.writer
        except ModelError as error:
            self._say(f"no words: {error.problem}; turns go on unread. To have them read: {error.mend}")
            return
        total = len(books.written) + len(units)
        for first in range(0, len(units), _BATCH):
            self._on_progress("words", len(books.written), total)
            some = units[first : first + _BATCH]
            turns = [books.gated[unit] for unit in some]
            sounds = [read_audio(books.folder, turn.recording, turn.start, turn.end) for turn in turns]
            said = writer.transcribe(sounds, words=False, patient=False)
            books.written.add(*(self._read(unit, one.text, one.language) for unit, one in zip(some, said, strict=True)))
        self._on_progress("words", total, total)

    def _read(self, unit: str, text: str, language: str) -> Written:
        wanted = self._settings.language
        if wanted and language and language != wanted:
            return Written(unit=unit, text=text, language=language, dropped=stages.OTHER_LANGUAGE)
        is_short = count_words(text) < self._settings.least_words
        return Written(unit=unit, text=text, language=language, dropped=stages.FEW_WORDS if is_short else "")

    def _pending(self, stage: str, units: list[str], done: "object") -> Iterator[str]:
        for count, unit in enumerate(units):
            self._on_progress(stage, count, len(units))
            if unit not in done:  # type: ignore[operator]
                yield unit
        self._on_progress(stage, len(units), len(units))


def count_words(text: str) -> int:
    """Count words; of languages that put no blanks between them, two signs are one.

    >>> count_words("well, I don't know"), count_words("我不知道你在说什么")
    (4, 4)
    """
    dense = sum(1 for sign in text if "\u3040" <= sign <= "\u30ff" or "\u4e00" <= sign <= "\u9fff")
    spaced = "".join(" " if "\u3040" <= sign <= "\u30ff" or "\u4e00" <= sign <= "\u9fff" else sign for sign in text)
    return dense // 2 + sum(1 for word in spaced.split() if any(sign.isalnum() for sign in word))


def _joined(samples: NDArray[np.float32], pieces: list[Piece], most_s: float) -> NDArray[np.float32]:
    """Join pieces up to a length."""
    found: list[NDArray[np.float32]] = []
    left = round(most_s * RATE_HZ)
    for piece in pieces:
        if left <= 0:
            break
        found.append(samples[piece.start : piece.end][:left])
        left -= len(found[-1])
    return np.concatenate(found) if found else np.zeros(0, np.float32)
