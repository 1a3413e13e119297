"""Writer: one or two sentences about a turn that say only what was measured and heard."""

import random
from collections.abc import Sequence

from rtemo.api.vocabulary import Cue, Word
from rtemo.cues.language import language
from rtemo.cues.turn import STANDS_OUT, UNSURE, VERY, Turn, disagree, fit

PROFILES = {
    "neutral": {"pitch": -1, "range": -1, "level": -1, "tilt": -1},
    "calm": {"pitch": -1, "range": -1, "level": -1, "rate": -1, "tilt": -1},
    "happy": {"pitch": 1, "range": 1, "level": 1, "tilt": 1},
    "sad": {"range": -1, "level": -1, "tilt": -1},
    "angry": {"range": 1, "level": 1, "tilt": 1},
    "fear": {"pitch": 1, "range": -1, "level": -1},
    "disgust": {"pitch": -1, "range": 1, "level": -1},
    "surprise": {"range": 1, "rate": 1},
}
"""On which side of the speaker's usual a cue was found in each emotion, where the mean over turns was a fifth of a
deviation or more (`python -m bench.quality.rationale.priors`; pauses are left out, as acted sentences hardly have any).
What is measured against it comes after an `although`."""

_MOST_CUES = 3
_DECIMAL_COMMA = frozenset({"de", "fr", "es", "pl"})
_CHANGE_UNITS = {
    "hz": "semitones",
    "semitones": "semitones",
    "dbfs": "db",
    "per_s": "per_s",
    "ratio": "ratio",
    "db_per_octave": "db_per_octave",
}


class Writer:
    """Writes about turns in one language.

    Args:
        code: One of `LANGUAGES`.

    Raises:
        KeyError: There is no such language.
    """

    def __init__(self, code: str) -> None:
        self.code = code
        self._language = language(code)

    def write(self, turn: Turn, seed: int | None = None, most_cues: int = _MOST_CUES) -> str:
        """Write about a turn.

        Args:
            turn: What is known of it.
            seed: Chooses among ways to say the same; None for the plainest.
            most_cues: So many cues at most, those that stand out most.

        Returns:
            The text; it claims nothing that `check` does not confirm.
        """
        lists = self._language
        choice = _Choice(seed)
        cues = sorted((c for c in turn.cues if abs(c.z) >= STANDS_OUT), key=lambda c: -abs(c.z))[:most_cues]
        profile = PROFILES.get(turn.label, {})
        contrary = [c for c in cues if profile.get(c.name, 0) * c.z < 0]
        with_it = [c for c in cues if c not in contrary]
        parts = [self._head(turn, choice)]
        if with_it:
            parts.append(f" – {self._cues(with_it, choice)}")
        elif turn.cues and not contrary:
            parts.append(f" – {choice(lists.nothing)}")
        if contrary:
            parts.append(f", {choice(lists.although)} {self._cues(contrary, choice)}")
        sentences = ["".join(parts)]
        if said := self._words(turn, choice):
            sentences.append(said)
        return " ".join(f"{sentence}." for sentence in sentences)

    def _head(self, turn: Turn, choice: "_Choice") -> str:
        lists, ranked = self._language, turn.ranked()
        if not turn.label or (turn.label == UNSURE and not ranked):
            return choice(lists.none)
        if turn.label == UNSURE:
            first, *others = ranked
            other = others[0] if others else first
            return choice(lists.unsure).format(
                label=self.name(first), share=self.share(turn.probabilities[first]), other=self.name(other)
            )
        share = self.share(turn.probabilities.get(turn.label, 0.0))
        return choice(lists.sure).format(label=self.name(turn.label), share=share)

    def name(self, emotion: str) -> str:
        """The emotion in the language."""
        return self._language.labels[emotion][0] if emotion in self._language.labels else emotion

    def _cues(self, cues: Sequence[Cue], choice: "_Choice") -> str:
        """Those that are held against the same together, so that it is named once."""
        groups = []
        for reference, than in (("self", self._language.than_before), ("prior", self._language.than_most)):
            told = [self._cue(cue, choice) for cue in cues if cue.reference == reference]
            if told:
                groups.append(f"{self._join(told)} {choice(than)}")
        return ", ".join(groups)

    def _cue(self, cue: Cue, choice: "_Choice") -> str:
        words = self._language.cues[cue.name]
        is_very = abs(cue.z) >= VERY
        if cue.z > 0:
            phrase = choice(words.say_very_high if is_very else words.say_high)
        else:
            phrase = choice(words.say_very_low if is_very else words.say_low)
        return f"{phrase} ({self.measured(cue)})"

    def measured(self, cue: Cue) -> str:
        """The change against the stream's own past, or the value where there is none yet."""
        unit = _CHANGE_UNITS[cue.unit] if cue.reference == "self" else cue.unit
        number = cue.change if cue.reference == "self" else cue.value
        scale = 100.0 if cue.unit == "ratio" else 1.0
        digits = 1 if unit in ("semitones", "per_s") else 0
        sign = "+" if cue.reference == "self" else ""
        text = f"{number * scale:{sign}.{digits}f}".replace("-", "−")
        if self.code in _DECIMAL_COMMA:
            text = text.replace(".", ",")
        return f"{text} {self._language.units['db' if unit == 'dbfs' else unit]}"

    def _words(self, turn: Turn, choice: "_Choice") -> str:
        if not turn.reading.words:
            return ""
        lists = self._language
        form = lists.differ if disagree(turn) else lists.fit if fit(turn) else lists.alone
        return choice(form).format(
            quotes=self._join([self.quote(word) for word in turn.reading.words]),
            text=self.name(turn.reading.label),
            label=self.name(turn.label),
        )

    def quote(self, word: Word) -> str:
        """A word in the quotation marks of the language."""
        opening, closing = self._language.quotes
        return f"{opening}{word.text.strip().strip('.,;:!?…')}{closing}"

    def _join(self, parts: Sequence[str]) -> str:
        *first, last = parts
        return f"{', '.join(first)} {self._language.conjunction} {last}" if first else last

    @staticmethod
    def share(probability: float) -> str:
        """A probability, as it is written."""
        return f"{probability:.0%}".replace("%", " %")


class _Choice:
    """Takes the first of several ways to say a thing, or any."""

    def __init__(self, seed: int | None) -> None:
        self._random = None if seed is None else random.Random(seed)

    def __call__(self, ways: Sequence[str]) -> str:
        return ways[0] if self._random is None else self._random.choice(ways)
