"""Trace: reads the claims of a rationale, whoever wrote it, and holds each against what was measured and heard.

After the trace checking of reasoning data for speech emotion (Lab-MSP's Comparative_Reasoning; the rules here are
ours): a rationale that names a cue which the measurements contradict, quotes a word that was not said, names another
emotion, or speaks of what nobody measured, is rejected whole.
"""

import re
from collections.abc import Iterator, Sequence
from functools import cache

from rtemo.api.vocabulary import Claim
from rtemo.cues.language import language
from rtemo.cues.tokens import Lexicon, Match, tokens
from rtemo.cues.turn import UNSURE, VERY, Turn, direction, disagree, fit

_QUOTED = re.compile(r"“([^”“]{0,200})[”“]|„([^“”„]{0,200})[“”]|«\s*([^»]{0,200}?)\s*»|\"([^\"]{0,200})\"")
_SENTENCE = re.compile(r"(?<!\d)[.!?]+(?:\s|$)|\n")
_BREAK = re.compile(r"[;()–—]|(?<!\d)\.(?!\d)|\s-\s")
_NUMBER = re.compile(r"([+−-]?\d+(?:[.,]\d+)?)\s*(%[^\W\d_]*|[^\W\d_]+(?:/[^\W\d_]+)?)?")
_NEGATION_REACH = 3
_MOST_LABELS = 3  # a rationale that names more emotions recites the list
_UNIT_CUES = {
    "hz": ("pitch",),
    "semitones": ("pitch", "range"),
    "db_per_octave": ("tilt",),
    "db": ("level",),
    "dbfs": ("level",),
    "per_s": ("rate",),
    "ratio": ("pauses",),
}


def check(text: str, turn: Turn, code: str) -> tuple[Claim, ...]:
    """Find what a text claims about a turn, and tell of each claim whether it is true.

    Args:
        text: A rationale.
        turn: What was measured and heard.
        code: Language of the text, one of `LANGUAGES`.

    Raises:
        KeyError: There is no such language.
    """
    return tuple(dict.fromkeys(_Trace(turn, code).claims(text)))


def share_of(claims: Sequence[Claim]) -> float:
    """Share of claims that are confirmed; a text without any claim has nothing to be wrong about, nor to rest on: 0."""
    return sum(claim.is_confirmed for claim in claims) / len(claims) if claims else 0.0


def holds(claims: Sequence[Claim]) -> bool:
    """Whether a rationale may be shown: it claims something, and all of it is confirmed."""
    return bool(claims) and all(claim.is_confirmed for claim in claims)


@cache
def _lexicon(code: str) -> Lexicon:
    """All that is looked for in texts of a language, under names as `label angry`, `noun pitch`, `high pitch`."""
    lists = language(code)
    named: dict[str, Sequence[str]] = {
        "very": lists.very,
        "usual": lists.usual,
        "not": lists.negations,
        "text": lists.text_words,
        "fit": lists.agree,
        "disagree": lists.disagree,
        "split": lists.splits,
        "unmeasured": lists.unmeasured,
    }
    named |= {f"label {emotion}": names for emotion, names in lists.labels.items()}
    for name, entry in lists.cues.items():
        named |= {f"noun {name}": entry.nouns, f"high {name}": entry.high, f"low {name}": entry.low}
        named |= {f"alone_high {name}": entry.high_alone, f"alone_low {name}": entry.low_alone}
    return Lexicon(named)


_Matches = list[list[Match]]


class _Trace:
    def __init__(self, turn: Turn, code: str) -> None:
        self._turn = turn
        self._lists = language(code)
        self._lexicon = _lexicon(code)
        self._than = [way for ways in (self._lists.than_before, self._lists.than_most) for way in ways]

    def claims(self, text: str) -> Iterator[Claim]:
        turn, lists = self._turn, self._lists
        plain = text
        for way in sorted(lists.nothing, key=len, reverse=True):
            if re.search(re.escape(way), text, re.IGNORECASE):
                text = re.sub(re.escape(way), " ", text, flags=re.IGNORECASE)
                yield self._claim("cues", "usual", all(direction(cue.z) == "usual" for cue in turn.cues))
                break
        yield from self._quotes(text)
        text = _QUOTED.sub(" ", text)
        yield from self._numbers(text)
        text = _NUMBER.sub(" ", text)
        for way in self._than:
            text = re.sub(re.escape(way).replace("’", "['’]"), " ", text, flags=re.IGNORECASE)
        named: list[str] = []
        for sentence in _SENTENCE.split(text):
            for claim in self._sentence(sentence):
                if claim.about in ("label", "text"):
                    named.append(claim.says)
                yield claim
        if len(set(named)) > _MOST_LABELS:
            yield self._claim("other", "list of labels", False)
        words = tokens(plain)
        for word, found in zip(words, self._lexicon.find(words), strict=True):
            if _has(found, "unmeasured") and not self._is_said(word):
                yield self._claim("other", word, False)

    def _is_said(self, token: str) -> bool:
        return any(token in tokens(word.text) for word in self._turn.words)

    def _quotes(self, text: str) -> Iterator[Claim]:
        flat = [(token, word) for word in self._turn.words for token in tokens(word.text)]
        said = [token for token, _ in flat]
        for match in _QUOTED.finditer(text):
            quotation = next(group for group in match.groups() if group is not None)
            wanted = tokens(quotation)
            at = next(
                (k for k in range(len(said) - len(wanted) + 1) if wanted and said[k : k + len(wanted)] == wanted), None
            )
            if at is None:
                yield self._claim("word", quotation.strip(), False)
            else:
                first, last = flat[at][1], flat[at + len(wanted) - 1][1]
                yield Claim(
                    about="word",
                    says=quotation.strip(),
                    is_confirmed=True,
                    start_sample=first.start_sample,
                    end_sample=max(first.end_sample, last.end_sample),
                )

    def _numbers(self, text: str) -> Iterator[Claim]:
        """Numbers that are wrong; a right one adds nothing to the claim beside it."""
        units = {name: written.lower() for name, written in self._lists.units.items()}
        for match in _NUMBER.finditer(text):
            written = match.group(1).replace("−", "-").replace(",", ".")
            rest = text[match.start(1) + len(match.group(1)) :].lstrip().lower()
            value, digits = float(written), len(written.partition(".")[2])
            fitting = [name for name, said in units.items() if rest.startswith(said)]
            unit = max(fitting, key=lambda name: len(units[name]), default="")
            near = 0.51 * 10.0**-digits + 0.02 * abs(value)
            if unit:
                about = _UNIT_CUES[unit]
                true = [number for name in about for number in self._measured(name)]
            elif rest.startswith("%"):
                about, true = ("label",), [100 * p for p in self._turn.probabilities.values()]
            else:
                continue
            if match.group(1)[0] not in "+-−":  # "4 semitones lower"
                true = [abs(number) for number in true]
            if not any(abs(value - number) <= near for number in true):
                yield self._claim(about[0], match.group(0).strip(), False)

    def _measured(self, name: str) -> list[float]:
        cue = self._turn.cue(name)
        if cue is None:
            return []
        scale = 100.0 if cue.unit == "ratio" else 1.0
        return [scale * cue.value, scale * cue.change]

    def _sentence(self, sentence: str) -> Iterator[Claim]:
        """Clause by clause; one that only names a cue, as in "pitch and level are higher", goes with the next."""
        for part in _BREAK.split(sentence):
            carried: list[str] = []
            for phrase in part.split(","):
                is_text = False
                for piece in phrase.split(":"):
                    for words in self._split(tokens(piece)):
                        words = [*carried, *words]
                        carried = []
                        found = self._lexicon.find(words)
                        is_text = is_text or any(_has(here, "text") for here in found)
                        claims = list(self._clause(found, is_text))
                        if not claims and len(words) <= 2 and _named(found, "noun "):
                            carried = words
                        yield from claims

    def _split(self, words: list[str]) -> Iterator[list[str]]:
        clause: list[str] = []
        for word in words:
            if word in self._lists.splits:
                yield clause
                clause = []
            else:
                clause.append(word)
        yield clause

    def _clause(self, found: _Matches, is_text: bool) -> Iterator[Claim]:
        turn = self._turn
        names = {match.list for here in found for match in here}
        for says, is_true in (("fit", fit(turn)), ("disagree", disagree(turn))):
            if says in names:
                yield self._claim("words", says, is_true)
        for emotion, place in _named(found, "label ").items():
            yield self._named(emotion, is_text, _is_denied(found, place))
        nouns = _named(found, "noun ")
        if "usual" in names:
            for name in nouns:
                cue = turn.cue(name)
                yield self._about(name, "usual", cue is not None and direction(cue.z) == "usual")
        for name in self._lists.cues:
            if nouns and name not in nouns:
                continue
            best = _best(found, name, "" if nouns else "alone_")
            if best is not None:
                way, place = best
                yield self._cue(name, way, "very" in names, _is_denied(found, place))

    def _named(self, emotion: str, is_text: bool, is_denied: bool) -> Claim:
        turn = self._turn
        if is_text:
            about, right = "text", {turn.reading.label}
        elif turn.label == UNSURE:
            about, right = "label", {UNSURE, *turn.ranked()[:2]}
        else:
            about, right = "label", {turn.label}
        return self._claim(about, f"not_{emotion}" if is_denied else emotion, (emotion in right) != is_denied)

    def _cue(self, name: str, way: str, is_very: bool, is_denied: bool) -> Claim:
        cue = self._turn.cue(name)
        if cue is None:
            return self._claim(name, way, False)
        is_true = direction(cue.z) == way and (not is_very or abs(cue.z) >= VERY)
        return self._about(name, f"not_{way}" if is_denied else way, is_true != is_denied)

    def _about(self, name: str, says: str, is_confirmed: bool) -> Claim:
        cue = self._turn.cue(name)
        if cue is None:
            return self._claim(name, says, False)
        return Claim(
            about=name,
            says=says,
            is_confirmed=is_confirmed,
            start_sample=cue.start_sample,
            end_sample=cue.end_sample,
        )

    def _claim(self, about: str, says: str, is_confirmed: bool) -> Claim:
        return Claim(
            about=about,
            says=says[:80],
            is_confirmed=is_confirmed,
            start_sample=self._turn.start_sample,
            end_sample=self._turn.end_sample,
        )


def _has(found: Sequence[Match], name: str) -> bool:
    return any(match.list == name for match in found)


def _named(found: _Matches, kind: str) -> dict[str, int]:
    """Emotions or cues that are named in a clause, and where."""
    named: dict[str, int] = {}
    for place, here in enumerate(found):
        for match in here:
            if match.list.startswith(kind):
                named.setdefault(match.list.removeprefix(kind), place)
    return named


def _best(found: _Matches, name: str, prefix: str) -> tuple[str, int] | None:
    """What a clause says of one cue, `high` or `low`, by its longest entry, and where."""
    told = [
        (match.words, match.chars, way, place)
        for place, here in enumerate(found)
        for match in here
        for way in ("high", "low")
        if match.list == f"{prefix}{way} {name}"
    ]
    return max(told)[2:] if told else None


def _is_denied(found: _Matches, place: int) -> bool:
    return any(_has(here, "not") for here in found[max(0, place - _NEGATION_REACH) : place])
