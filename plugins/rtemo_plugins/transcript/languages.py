"""Languages: the codes that Whisper models know."""

import difflib

from rtemo.api import ModelError

_CODES = """
af am ar as az ba be bg bn bo br bs ca cs cy da de el en es et eu fa fi fo fr gl gu ha haw he hi hr ht hu hy id is
it ja jw ka kk km kn ko la lb ln lo lt lv mg mi mk ml mn mr ms mt my ne nl nn no oc pa pl ps pt ro ru sa sd si sk sl
sn so sq sr su sv sw ta te tg th tk tl tr tt uk ur uz vi yi yo yue zh
"""
CODES: tuple[str, ...] = tuple(_CODES.split())
_NAMES = {
    "english": "en", "german": "de", "deutsch": "de", "french": "fr", "français": "fr", "spanish": "es",
    "español": "es", "polish": "pl", "polski": "pl", "italian": "it", "portuguese": "pt", "dutch": "nl",
    "korean": "ko", "chinese": "zh", "mandarin": "zh", "japanese": "ja", "arabic": "ar", "hindi": "hi",
    "russian": "ru", "turkish": "tr",
}  # fmt: skip


def check_language(code: str) -> None:
    """Refuse what is no code of a language that Whisper knows; empty means that it is found.

    Raises:
        ModelError: There is no such code.
    """
    if not code or code in CODES:
        return
    meant = _NAMES.get(code.strip().casefold()) or next(iter(difflib.get_close_matches(code.casefold(), CODES, 1)), "")
    hint = f"did you mean {meant!r}? " if meant else ""
    raise ModelError(
        f"plugins.transcript.language is {code!r}, which is no language that speech models know",
        f"{hint}Codes have two letters, as en, de, pl; leave it empty to have the language found",
    )
