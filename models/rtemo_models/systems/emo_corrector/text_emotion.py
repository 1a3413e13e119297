"""What mood a sentence asks for, by rules over a small lexicon: words, negation, intensity, punctuation.

Rules and no network: a sentence of few words that was written to be edited is told by the words that were changed, and
what a rule decides can be read. English only; `--emotion` says it in other languages, and wherever the rules are wrong.
"""

import re

import numpy as np
from numpy.typing import NDArray

from rtemo.api import EMOTIONS

_LEXICON = {
    "happy": (
        "happy glad great wonderful love loved lovely excellent fantastic good nice thanks thank delighted "
        "joy enjoy enjoyed won win best amazing brilliant perfect celebrate excited beautiful smile laugh "
        "laughed lucky proud pleased cheerful congratulations hooray awesome fun birthday holiday"
    ),
    "sad": (
        "sad sorry miss missed lost loss cry cried died dead death alone lonely unhappy unfortunately grief "
        "tears hopeless disappointed regret funeral gone broken hurt heartbroken miserable depressed goodbye "
        "failed pity"
    ),
    "angry": (
        "angry furious hate hated stupid idiot damn outrageous ridiculous unacceptable shut enough worst "
        "terrible annoyed annoying mad rage nonsense liar lied cheat cheated complain complaint refuse fault "
        "useless never"
    ),
    "fear": (
        "afraid scared fear danger dangerous help fire terrified worried worry nervous panic emergency threat "
        "threatened attack careful horror frightened escape hide bomb gun risk anxious"
    ),
    "disgust": (
        "disgusting disgust gross filthy rotten vomit nasty sick smell smells stinks dirty awful foul vile mould"
    ),
    "surprise": ("surprise surprised wow what suddenly unbelievable unexpected incredible really astonishing shocked"),
    "calm": ("calm quiet quietly relax relaxed peaceful gently slowly easy breathe rest sleep soft softly fine"),
}
_WORDS = {word: name for name, words in _LEXICON.items() for word in words.split()}
_NEGATIONS = frozenset(
    ["not", "no", "never", "don't", "doesn't", "didn't", "isn't", "wasn't", "can't", "won't", "without", "hardly"]
)
_STRONG = frozenset(["very", "so", "really", "extremely", "absolutely", "totally", "completely", "too"])
_OPPOSITE = {"happy": "sad", "sad": "calm", "angry": "calm", "fear": "calm", "disgust": "neutral", "calm": "angry"}
_NEUTRAL_WEIGHT = 1.0
_WORD_WEIGHT, _STRONG_FACTOR = 2.0, 1.5


def text_emotion(text: str, changed: frozenset[str] = frozenset()) -> NDArray[np.float64]:
    """Tell the mood of a sentence as probabilities in the order of `EMOTIONS`.

    Args:
        text: The sentence.
        changed: Words of it that are new, lower case: they count twice, since the edit is why somebody asks.
    """
    weights = dict.fromkeys(EMOTIONS, 0.0)
    weights["neutral"] = _NEUTRAL_WEIGHT
    words = re.findall(r"[a-z]+(?:'[a-z]+)?", text.lower().replace("\u2019", "'"))
    for place, word in enumerate(words):
        name = _WORDS.get(word)
        if name is None:
            continue
        before = words[max(0, place - 3) : place]
        weight = _WORD_WEIGHT * (2.0 if word in changed else 1.0)
        if before and before[-1] in _STRONG:
            weight *= _STRONG_FACTOR
        if any(other in _NEGATIONS for other in before) and word not in _NEGATIONS:
            name = _OPPOSITE.get(name, "neutral")
        weights[name] += weight
    if text.rstrip().endswith("!"):
        loudest = max((name for name in EMOTIONS if name not in ("neutral", "calm")), key=weights.__getitem__)
        weights[loudest] += 1.0 if weights[loudest] else 0.0
        weights["surprise"] += 0.5
    if "?!" in text:
        weights["surprise"] += 1.5
    total = sum(weights.values())
    return np.array([weights[name] / total for name in EMOTIONS])
