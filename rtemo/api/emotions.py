"""The eight emotions: how corpora and models spell them, and where they lie on the circumplex."""

from collections.abc import Mapping

from rtemo.api.vocabulary import EMOTIONS

CIRCUMPLEX = {
    "neutral": (0.0, 0.0),
    "calm": (0.5, -0.6),
    "happy": (0.8, 0.5),
    "sad": (-0.7, -0.5),
    "angry": (-0.6, 0.7),
    "fear": (-0.6, 0.6),
    "disgust": (-0.7, 0.2),
    "surprise": (0.3, 0.7),
}
"""Emotion → (valence, arousal) in [-1, 1].

Quadrants and order follow the circumplex of Russell (1980, "A circumplex model of affect", J. Pers. Soc. Psychol. 39):
calm lower right, happy upper right, fear and anger upper left, sadness lower left, astonishment near the top. That
model has no neutral (put at the origin) and no disgust (put where its "annoyed" and "frustrated" stand, left and
slightly raised). The decimals are ours: targets for acted speech of which only a category is known, not ratings.
"""

_SPELLINGS = {
    "neutral": ("neutral", "neu", "neutrality"),
    "calm": ("calm", "calmness", "cal"),
    "happy": ("happy", "hap", "happiness", "joy", "joyful"),
    "sad": ("sad", "sadness"),
    "angry": ("angry", "ang", "anger"),
    "fear": ("fear", "fea", "fearful", "afraid", "fearfulness"),
    "disgust": ("disgust", "dis", "disgusted"),
    "surprise": ("surprise", "sur", "surprised", "pleasant_surprise", "pleasant surprise", "ps"),
}
_EMOTION_OF = {spelling: emotion for emotion, spellings in _SPELLINGS.items() for spelling in spellings}


def as_told(probabilities: Mapping[str, float]) -> dict[str, float]:
    """Take neutral and calm for one word, neutral, as a label does: listeners do not agree on which of them they hear.

    >>> as_told({"neutral": 0.25, "calm": 0.25, "happy": 0.5})
    {'neutral': 0.5, 'happy': 0.5}

    Args:
        probabilities: Label → probability; as it is where it has not both of them.
    """
    told = dict(probabilities)
    if "neutral" in told and "calm" in told:
        told["neutral"] += told.pop("calm")
    return told


def committed(probabilities: Mapping[str, float]) -> tuple[str, float]:
    """Give the label to say and its probability; see `as_told`.

    >>> committed({"neutral": 0.3, "calm": 0.25, "happy": 0.4, "sad": 0.05})[0]
    'neutral'
    """
    told = as_told(probabilities)
    best = max(told, key=told.__getitem__)
    return best, told[best]


def emotion_of(label: str, mapping: Mapping[str, str] | None = None) -> str | None:
    """Tell which of the eight emotions a label means.

    >>> emotion_of("Anger"), emotion_of("bored"), emotion_of("bored", {"bored": ""})
    ('angry', None, '')

    Args:
        label: As a corpus or a model spells it; case does not matter.
        mapping: Label → emotion, or empty for one that is to be left out; it goes before the usual spellings.

    Returns:
        One of `EMOTIONS`; empty for a label that the mapping leaves out; None for one that nobody knows.
    """
    if mapping:
        wanted = {name.strip().casefold(): emotion for name, emotion in mapping.items()}.get(label.strip().casefold())
        if wanted is not None:
            return wanted if wanted in EMOTIONS or not wanted else _EMOTION_OF.get(wanted.strip().casefold())
    return _EMOTION_OF.get(label.strip().casefold())
