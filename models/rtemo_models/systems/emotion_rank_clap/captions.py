"""Captions: how a voice sounds, in words, by rules over its label, its place on the circumplex and measured cues.

No caption names what was said. The words for arousal and valence come from bins of seven and five, the words for level,
pitch and rate from where a clip stands among those of its speaker; each is put in many ways, in five languages.
"""

import random
from collections.abc import Sequence
from typing import NamedTuple

LANGUAGES = ("en", "de", "fr", "es", "pl")


class Place(NamedTuple):
    """What a caption is about.

    Attributes:
        emotion: One of the eight labels.
        valence: -1 to 1.
        arousal: -1 to 1.
        cues: Of level, pitch and rate: -1 below what the speaker usually has, 0, or 1 above it.
    """

    emotion: str
    valence: float
    arousal: float
    cues: tuple[int, int, int] = (0, 0, 0)


_WHO = {
    "en": ("someone", "a person", "a speaker", "a caller", "a voice", "a customer"),
    "de": ("jemand", "eine Person", "eine Stimme", "ein Anrufer"),
    "fr": ("quelqu'un", "une personne", "une voix", "un client"),
    "es": ("alguien", "una persona", "una voz", "un cliente"),
    "pl": ("ktoś", "osoba", "głos", "rozmówca"),
}
_EMOTIONS = {
    "en": {
        "neutral": ("neutral", "matter-of-fact", "without any emotion", "plain", "in an everyday tone"),
        "calm": ("calm", "relaxed", "peaceful", "at ease", "soothing", "relieved and quiet"),
        "happy": ("happy", "cheerful", "joyful", "delighted", "full of joy", "thankful and glad", "laughing"),
        "sad": ("sad", "sorrowful", "close to tears", "downcast", "depressed", "disappointed", "grieving"),
        "angry": ("angry", "furious", "losing patience", "irritated", "shouting with rage", "annoyed", "hostile"),
        "fear": ("afraid", "frightened", "anxious", "panicking", "worried", "terrified", "nervous"),
        "disgust": ("disgusted", "repelled", "full of contempt", "revolted", "sickened"),
        "surprise": ("surprised", "astonished", "amazed", "taken aback", "startled"),
    },
    "de": {
        "neutral": ("neutral", "sachlich", "ohne Gefühl"), "calm": ("ruhig", "entspannt", "gelassen"),
        "happy": ("fröhlich", "glücklich", "voller Freude"), "sad": ("traurig", "den Tränen nahe", "niedergeschlagen"),
        "angry": ("wütend", "verärgert", "ungeduldig"), "fear": ("ängstlich", "voller Angst", "besorgt"),
        "disgust": ("angeekelt", "voller Verachtung"), "surprise": ("überrascht", "erstaunt"),
    },
    "fr": {
        "neutral": ("neutre", "sans émotion"), "calm": ("calme", "détendu", "serein"),
        "happy": ("joyeux", "heureux", "ravi"), "sad": ("triste", "au bord des larmes", "abattu"),
        "angry": ("en colère", "furieux", "irrité"), "fear": ("effrayé", "inquiet", "angoissé"),
        "disgust": ("dégoûté", "méprisant"), "surprise": ("surpris", "étonné"),
    },
    "es": {
        "neutral": ("neutral", "sin emoción"), "calm": ("tranquilo", "relajado", "sereno"),
        "happy": ("alegre", "feliz", "contento"), "sad": ("triste", "a punto de llorar", "deprimido"),
        "angry": ("enfadado", "furioso", "impaciente"), "fear": ("asustado", "con miedo", "preocupado"),
        "disgust": ("asqueado", "con desprecio"), "surprise": ("sorprendido", "asombrado"),
    },
    "pl": {
        "neutral": ("neutralnie", "bez emocji"), "calm": ("spokojnie", "łagodnie"),
        "happy": ("radośnie", "wesoło", "szczęśliwie"), "sad": ("smutno", "prawie płacząc", "z żalem"),
        "angry": ("gniewnie", "ze złością", "z irytacją"), "fear": ("ze strachem", "z lękiem", "niespokojnie"),
        "disgust": ("ze wstrętem", "z pogardą"), "surprise": ("ze zdziwieniem", "z zaskoczeniem"),
    },
}  # fmt: skip
AROUSAL_BINS = {
    "en": ("very low energy", "low energy", "rather quiet energy", "moderate energy", "rather high energy",
           "high energy", "very high energy"),
    "de": ("sehr wenig Energie", "wenig Energie", "eher wenig Energie", "mittlere Energie", "eher viel Energie",
           "viel Energie", "sehr viel Energie"),
    "fr": ("très peu d'énergie", "peu d'énergie", "une énergie plutôt faible", "une énergie moyenne",
           "une énergie plutôt forte", "beaucoup d'énergie", "énormément d'énergie"),
    "es": ("muy poca energía", "poca energía", "energía más bien baja", "energía media", "energía más bien alta",
           "mucha energía", "muchísima energía"),
    "pl": ("bardzo mało energii", "mało energii", "raczej mało energii", "umiarkowana energia", "raczej dużo energii",
           "dużo energii", "bardzo dużo energii"),
}  # fmt: skip
VALENCE_BINS = {
    "en": ("very unpleasant", "unpleasant", "neither pleasant nor unpleasant", "pleasant", "very pleasant"),
    "de": ("sehr unangenehm", "unangenehm", "weder angenehm noch unangenehm", "angenehm", "sehr angenehm"),
    "fr": ("très désagréable", "désagréable", "ni agréable ni désagréable", "agréable", "très agréable"),
    "es": ("muy desagradable", "desagradable", "ni agradable ni desagradable", "agradable", "muy agradable"),
    "pl": ("bardzo nieprzyjemne", "nieprzyjemne", "ani przyjemne, ani nieprzyjemne", "przyjemne", "bardzo przyjemne"),
}  # fmt: skip
_CUES = {
    "en": (("quiet", "loud"), ("low-pitched", "high-pitched"), ("slow", "fast")),
    "de": (("leise", "laut"), ("tief", "hoch"), ("langsam", "schnell")),
    "fr": (("à voix basse", "à voix forte"), ("grave", "aigu"), ("lent", "rapide")),
    "es": (("en voz baja", "en voz alta"), ("grave", "agudo"), ("lento", "rápido")),
    "pl": (("cicho", "głośno"), ("nisko", "wysoko"), ("wolno", "szybko")),
}
_FORMS = {
    "en": (
        "{who} who sounds {emotion}",
        "{emotion} speech with {arousal}",
        "{who} speaking with {arousal}, {valence} in tone",
        "a {valence} voice, {emotion}, {arousal}",
        "{who} sounding {emotion}{cues}",
        "{who}, {emotion}{cues}, {arousal}",
    ),
    "de": (
        "{who} klingt {emotion}",
        "{emotion}, {arousal}",
        "{who} spricht, {arousal}, {valence}",
        "{who}: {emotion}{cues}",
    ),
    "fr": (
        "{who} a l'air {emotion}",
        "{emotion}, {arousal}",
        "{who} parle, {arousal}, {valence}",
        "{who} : {emotion}{cues}",
    ),
    "es": (
        "{who} suena {emotion}",
        "{emotion}, {arousal}",
        "{who} habla, {arousal}, {valence}",
        "{who}: {emotion}{cues}",
    ),
    "pl": (
        "{who} mówi {emotion}",
        "{emotion}, {arousal}",
        "{who} mówi, {arousal}, {valence}",
        "{who}: {emotion}{cues}",
    ),
}


def caption(place: Place, chance: random.Random, language: str = "en") -> str:
    """Say how a voice sounds, in one of many ways."""
    cues = [words[cue > 0] for words, cue in zip(_CUES[language], place.cues, strict=True) if cue]
    chance.shuffle(cues)
    return chance.choice(_FORMS[language]).format(
        who=chance.choice(_WHO[language]),
        emotion=chance.choice(_EMOTIONS[language][place.emotion]),
        arousal=AROUSAL_BINS[language][bin_of(place.arousal, 7)],
        valence=VALENCE_BINS[language][bin_of(place.valence, 5)],
        cues="".join(f", {cue}" for cue in cues[:2]),
    )


def bin_of(value: float, count: int) -> int:
    """Which of so many even bins over -1 to 1 a value falls into.

    >>> bin_of(-1.0, 5), bin_of(0.0, 5), bin_of(1.0, 5)
    (0, 2, 4)
    """
    return min(count - 1, max(0, int((value + 1) / 2 * count)))


def captions(places: Sequence[Place], each: int, seed: int, languages: Sequence[str] = LANGUAGES) -> list[list[str]]:
    """So many captions of every place, half of them English, the rest in the other languages in turn."""
    chance = random.Random(seed)
    others = [language for language in languages if language != "en"] or ["en"]
    return [
        [caption(place, chance, "en" if k % 2 == 0 else others[(k // 2) % len(others)]) for k in range(each)]
        for place in places
    ]
